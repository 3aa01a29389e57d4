//! Which routes block: as declared, and as learned.
//!
//! A route whose handler overran twice, or once for long, is considered blocking: its leader gives the lane away before the call. After a
//! number of quick runs in a row it is considered quick again. Routes that are considered quick are timed only while there is no lookout.

use crate::route::{Blocking, Routes};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// A run below this is quick.
const QUICK: Duration = Duration::from_micros(200);
/// This many quick runs in a row make a route quick again.
const QUICK_RUNS: u32 = 16;
/// This many overruns make a route blocking.
const OVERRUNS: u32 = 2;

/// Set while a route is considered blocking. The bits below count quick runs then, and overruns otherwise; for routes of the host's
/// threads, which never set it, quick runs.
const BLOCKS: u32 = 1 << 31;

/// What is known of each route, by route number.
pub(crate) struct Habits {
    routes: Box<[Habit]>,
    /// Was any route ever considered blocking?
    any: AtomicBool,
}

struct Habit {
    said: Blocking,
    learned: AtomicU32,
}

impl Habits {
    pub(crate) fn new(routes: &Routes) -> Habits {
        Habits::of(routes.all().map(|route| route.blocking))
    }

    fn of(said: impl Iterator<Item = Blocking>) -> Habits {
        let routes: Box<[Habit]> = said.map(|said| Habit { said, learned: AtomicU32::new(0) }).collect();
        let any = AtomicBool::new(routes.iter().any(|habit| habit.said == Blocking::Yes));
        Habits { routes, any }
    }

    /// Was any route ever considered blocking?
    pub(crate) fn any_blocks(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Is the route considered blocking?
    pub(crate) fn blocks(&self, route: usize) -> bool {
        self.routes.get(route).is_some_and(|habit| match habit.said {
            Blocking::Yes => true,
            Blocking::No => false,
            Blocking::Auto => habit.learned.load(Ordering::Relaxed) & BLOCKS != 0,
        })
    }

    /// Must its runs be timed? Only what was learned can be unlearned.
    pub(crate) fn is_timed(&self, route: usize) -> bool {
        self.routes.get(route).is_some_and(|habit| habit.said == Blocking::Auto && habit.learned.load(Ordering::Relaxed) & BLOCKS != 0)
    }

    /// Its handler overran; `long`: by so much that it was not chance.
    pub(crate) fn note_overrun(&self, route: usize, long: bool) {
        self.learn(route, |now| match now {
            now if now & BLOCKS != 0 => BLOCKS,
            now if long || now + 1 >= OVERRUNS => BLOCKS,
            now => now + 1,
        });
    }

    /// Its handler ran for this time while the route was considered blocking.
    pub(crate) fn note_run(&self, route: usize, time: Duration) {
        self.learn(route, |now| match now {
            now if now & BLOCKS == 0 => now,
            _ if time >= QUICK => BLOCKS,
            now if (now & !BLOCKS) + 1 >= QUICK_RUNS => 0,
            now => now + 1,
        });
    }

    /// A request for a route of the host's threads was answered within this time.
    pub(crate) fn note_left_run(&self, route: usize, time: Duration) {
        self.learn(route, |now| if time < QUICK { (now + 1).min(QUICK_RUNS) } else { 0 });
    }

    /// Is a route of the host's threads known to be quick? One that is declared blocking never is, however quick it has been.
    pub(crate) fn is_known_quick(&self, route: usize) -> bool {
        self.routes.get(route).is_some_and(|habit| habit.learned.load(Ordering::Relaxed) >= QUICK_RUNS && habit.said != Blocking::Yes)
    }

    fn learn(&self, route: usize, next: impl Fn(u32) -> u32) {
        let Some(habit) = self.routes.get(route) else { return };
        // Most runs change nothing.
        let news = |now| Some(next(now)).filter(|&next| next != now);
        let learned = habit.learned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, news);
        if habit.said == Blocking::Auto && learned.is_ok_and(|before| next(before) & BLOCKS != 0) {
            self.any.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn habit(said: Blocking) -> Habits {
        Habits::of([said].into_iter())
    }

    const LONG: Duration = Duration::from_millis(5);
    const SHORT: Duration = Duration::from_micros(20);

    #[test]
    fn two_overruns_make_a_habit_or_a_long_one() {
        let habits = habit(Blocking::Auto);
        habits.note_overrun(0, false);
        assert!(!habits.blocks(0), "once is no habit");
        habits.note_overrun(0, false);
        assert!(habits.blocks(0));
        let long = habit(Blocking::Auto);
        long.note_overrun(0, true);
        assert!(long.blocks(0));
    }

    #[test]
    fn it_is_unlearned_after_quick_runs_in_a_row() {
        let habits = habit(Blocking::Auto);
        habits.note_overrun(0, true);
        (1..QUICK_RUNS).for_each(|_| habits.note_run(0, SHORT));
        habits.note_run(0, LONG);
        (1..QUICK_RUNS).for_each(|_| habits.note_run(0, SHORT));
        assert!(habits.blocks(0), "not in a row");
        habits.note_run(0, SHORT);
        assert!(!habits.blocks(0) && !habits.is_timed(0));
        habits.note_overrun(0, false);
        assert!(!habits.blocks(0), "what it was before counts no more");
    }

    #[test]
    fn a_host_route_is_known_quick_after_quick_runs_unless_declared_blocking() {
        let (auto, yes, no) = (habit(Blocking::Auto), habit(Blocking::Yes), habit(Blocking::No));
        for habits in [&auto, &yes, &no] {
            (1..QUICK_RUNS).for_each(|_| habits.note_left_run(0, SHORT));
            assert!(!habits.is_known_quick(0));
            (0..QUICK_RUNS).for_each(|_| habits.note_left_run(0, SHORT));
        }
        assert!(auto.is_known_quick(0) && no.is_known_quick(0) && !yes.is_known_quick(0));
        auto.note_left_run(0, LONG);
        assert!(!auto.is_known_quick(0));
    }

    #[test]
    fn a_declared_state_is_neither_learned_nor_unlearned() {
        let (yes, no) = (habit(Blocking::Yes), habit(Blocking::No));
        (0..QUICK_RUNS).for_each(|_| yes.note_run(0, SHORT));
        no.note_overrun(0, true);
        assert!(yes.blocks(0) && !no.blocks(0));
        assert!(!yes.is_timed(0) && !no.is_timed(0));
    }
}

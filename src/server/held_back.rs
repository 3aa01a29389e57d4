//! Answers that are kept back for a moment, so that they leave together: to wake a client that sleeps costs more than to answer it.
//!
//! It pays only where clients are woken: by those on this machine that wait. Others lose time by it, and so does this thread, which
//! comes back to sockets that its caches have forgotten. Which it is shows in the time that the first answer takes to be sent, and
//! those that follow it do not, since whom they go to is awake by then.

use super::slab::Id;
use super::sys::owned::Kept;
use crate::output::Output;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// For about so many requests they are kept back. Each request brings one of them at most.
const MOST: usize = 16;
/// Of fewer answers nothing is learned.
const TELLING: usize = 4;
/// After so many batches in a row that woke nobody, answers leave at once.
const CALM_BATCHES: u32 = 16;
/// So many of them; then a batch is kept back, to see.
const AT_ONCE: usize = 256;

/// Connections whose answers are ready, and leave as soon as no quick request comes before them.
#[derive(Default)]
pub(super) struct HeldBack {
    inner: Mutex<Inner>,
    /// For how many requests they have waited. Not exact where threads meet, like the next one.
    waited: AtomicUsize,
    /// So many answers are still to leave at once.
    at_once: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    answers: Vec<Answer>,
    calm: Calm,
    /// Buffers for the next answers.
    #[allow(clippy::vec_box, reason = "they take the place of others in their boxes")]
    spare: Vec<Box<Output>>,
}

/// What is to be sent.
pub(super) enum Answer {
    /// That of an exchange: its connection is to be attended to.
    Given(Id),
    /// That of a request that was lent: its connection has it, and is still owned.
    Ready(Id, Kept),
}

/// How long it took to send answers together: the first of them, and of the others the one that took least.
#[derive(Default)]
pub(super) struct Took {
    count: usize,
    first: Duration,
    least: Duration,
}

impl Took {
    /// One more was sent.
    pub(super) fn add(&mut self, time: Duration) {
        match self.count {
            0 => self.first = time,
            1 => self.least = time,
            _ => self.least = self.least.min(time),
        }
        self.count += 1;
    }
}

/// How many batches in a row have woken nobody.
#[derive(Default)]
struct Calm(u32);

impl Calm {
    /// A batch was sent. Has it come to so many that answers may leave at once? One more is enough the next time.
    fn learn(&mut self, took: &Took) -> bool {
        if took.count < TELLING {
            return false;
        }
        // The first takes 4.1 times as long as the others where it wakes a client, else 1.03 times: measured as the middle of many.
        self.0 = if took.first > 2 * took.least { 0 } else { self.0 + 1 };
        let is_calm = self.0 >= CALM_BATCHES;
        self.0 -= u32::from(is_calm);
        is_calm
    }
}

impl HeldBack {
    /// Is the next answer to be kept back at all?
    pub(super) fn pays(&self) -> bool {
        let left = self.at_once.load(Ordering::Relaxed);
        if left > 0 {
            self.at_once.store(left - 1, Ordering::Relaxed);
        }
        left == 0
    }

    /// May they wait for one more request?
    pub(super) fn may_wait(&self) -> bool {
        let waited = self.waited.load(Ordering::Relaxed) + 1;
        self.waited.store(waited, Ordering::Relaxed);
        waited < MOST
    }

    /// That of an exchange is there.
    pub(super) fn push_given(&self, id: Id) {
        self.inner.lock().answers.push(Answer::Given(id));
    }

    /// That of a request that was lent. `keep` is given a buffer for the place of the one that is kept back.
    pub(super) fn push(&self, id: Id, keep: impl FnOnce(Box<Output>) -> Kept) {
        let mut inner = self.inner.lock();
        let kept = keep(inner.spare.pop().unwrap_or_default());
        inner.answers.push(Answer::Ready(id, kept));
    }

    /// All of them.
    pub(super) fn take(&self) -> Vec<Answer> {
        let mut inner = self.inner.lock();
        self.waited.store(0, Ordering::Relaxed);
        std::mem::take(&mut inner.answers)
    }

    /// They were sent. Keeps their buffers, as far as they are wanted.
    #[allow(clippy::vec_box, reason = "they take the place of others in their boxes")]
    pub(super) fn note_sent(&self, buffers: &mut Vec<Box<Output>>, took: &Took) {
        buffers.iter_mut().for_each(|out| out.clear());
        let mut inner = self.inner.lock();
        let room = MOST.saturating_sub(inner.spare.len()).min(buffers.len());
        inner.spare.extend(buffers.drain(..room));
        if inner.calm.learn(took) {
            self.at_once.store(AT_ONCE, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of answers that took so many microseconds each.
    fn send_each(held: &HeldBack, times: &[u64]) {
        let mut took = Took::default();
        times.iter().for_each(|&time| took.add(Duration::from_micros(time)));
        held.note_sent(&mut Vec::new(), &took);
    }

    /// A batch of `count` answers, of which the first took so long, and each of the others four.
    fn send(held: &HeldBack, count: usize, first: u64) {
        let times: Vec<u64> = (0..count).map(|at| if at == 0 { first } else { 4 }).collect();
        send_each(held, &times);
    }

    fn leave_at_once(held: &HeldBack) -> usize {
        (0..2 * AT_ONCE).take_while(|_| !held.pays()).count()
    }

    #[test]
    fn where_nobody_is_woken_answers_leave_at_once() {
        let held = HeldBack::default();
        (1..CALM_BATCHES).for_each(|_| send(&held, 16, 5));
        assert_eq!(leave_at_once(&held), 0);
        send(&held, 16, 5);
        assert_eq!(leave_at_once(&held), AT_ONCE);
    }

    #[test]
    fn now_and_then_a_batch_is_kept_back_to_see() {
        let held = HeldBack::default();
        (0..CALM_BATCHES).for_each(|_| send(&held, 16, 5));
        assert_eq!(leave_at_once(&held), AT_ONCE);
        send(&held, 16, 5);
        assert_eq!(leave_at_once(&held), AT_ONCE, "one calm batch is enough");
        send(&held, 16, 16);
        send(&held, 16, 5);
        assert_eq!(leave_at_once(&held), 0, "one that woke somebody is enough as well");
    }

    #[test]
    fn where_clients_are_woken_answers_are_kept_back() {
        let held = HeldBack::default();
        for _ in 0..10 {
            (1..CALM_BATCHES).for_each(|_| send(&held, 16, 5));
            send(&held, 16, 16);
        }
        assert_eq!(leave_at_once(&held), 0);
    }

    #[test]
    fn several_that_are_woken_are_sleepers_too_but_not_one_for_each_answer() {
        let held = HeldBack::default();
        (0..2 * CALM_BATCHES).for_each(|_| send_each(&held, &[16, 15, 4, 16, 16, 4, 15, 4]));
        assert_eq!(leave_at_once(&held), 0, "some were awake when theirs came");
        (0..CALM_BATCHES).for_each(|_| send_each(&held, &[16, 15, 17, 16, 16, 15, 15, 16]));
        assert_eq!(leave_at_once(&held), AT_ONCE, "it spares nobody anything");
    }

    #[test]
    fn of_a_few_answers_nothing_is_learned() {
        let held = HeldBack::default();
        (0..10 * CALM_BATCHES).for_each(|_| send(&held, TELLING - 1, 4));
        assert_eq!(leave_at_once(&held), 0);
        (1..CALM_BATCHES).for_each(|_| send(&held, TELLING, 4));
        send(&held, 1, 100);
        send(&held, TELLING, 4);
        assert_eq!(leave_at_once(&held), AT_ONCE);
    }

    #[test]
    fn they_wait_for_so_many_requests_at_most() {
        let held = HeldBack::default();
        assert_eq!((0..2 * MOST).take_while(|_| held.may_wait()).count(), MOST - 1);
        assert!(held.take().is_empty());
        assert!(held.may_wait(), "the next ones wait anew");
    }
}

//! `src/server/leftover.rs`: threads that wait are notified of leftovers, whatever other threads announce meanwhile.

use super::{Model, Tally, reached};
use crate::leftover::{Leaves, Leftover, Said, is_left};
use crate::rest::Moves;
use crate::sys::baton::{Baton, Held};
use crate::sys::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;

const LEFT: &str = "something is left at the end";
const SERVED: &str = "all is served";
const SAID_ANEW: &str = "it is said anew";

pub(super) static MODELS: &[Model] = &[
    Model {
        name: "leftover: who leaves something meets who has found nothing",
        run: who_leaves_meets_who_has_found_nothing,
        reaches: &[LEFT, SAID_ANEW],
        interruptions: None,
    },
    Model {
        name: "leftover: what is left for a moment is known to those who wait for longer",
        run: what_is_left_for_a_moment,
        reaches: &[LEFT, SAID_ANEW],
        interruptions: Some(3),
    },
    Model {
        name: "leftover: who has done all in one lane does not unsay what is left in another",
        run: who_has_done_all_in_one_lane,
        reaches: &[LEFT, SAID_ANEW],
        interruptions: None,
    },
    Model {
        name: "leftover: who comes for it meets who leaves it, and who has found nothing",
        run: who_comes_for_it,
        reaches: &[LEFT, SERVED],
        interruptions: Some(3),
    },
    Model {
        name: "leftover: who waits for it is called, and everything is served once",
        run: who_waits_is_called,
        reaches: &[SERVED, "it had to wait"],
        interruptions: Some(3),
    },
];

/// Events on their way: so many of them are served.
#[derive(Default)]
struct Batch {
    cursor: usize,
    count: usize,
}

/// As much of an engine without threads as tells what is left: its lanes, and those who wait for something to do.
struct Engine {
    lanes: [(Baton<Batch>, Moves); 2],
    said: Said,
    /// Is the flag raised? Only for leftovers for which no thread comes back soon.
    line: Mutex<bool>,
    bell: Condvar,
    said_left: Tally,
    served: Tally,
}

impl Leaves for Engine {
    fn said(&self) -> Leftover {
        self.said.get()
    }

    fn say(&self, leftover: Leftover) {
        let mut rings = self.line.lock();
        self.said.set(leftover);
        *rings = leftover == Leftover::Left;
        if *rings {
            self.bell.notify_all();
        }
        if leftover != Leftover::None {
            self.said_left.add();
        }
    }

    fn are_left(&self) -> bool {
        self.lanes.iter().any(|(baton, batches)| is_left(baton, batches))
    }
}

impl Engine {
    fn new() -> Arc<Engine> {
        let lane = || (Baton::new(Batch::default()), Moves::default());
        let (lanes, said, line, bell) = ([lane(), lane()], Said::default(), Mutex::new(false), Condvar::new());
        Arc::new(Engine { lanes, said, line, bell, said_left: Tally::default(), served: Tally::default() })
    }

    /// Takes a batch of two events into a lane, and serves the first one: then a request is lent.
    fn begin(&self, lane: usize) -> Held<'_, Batch> {
        let (baton, batches) = &self.lanes[lane];
        let mut held = baton.take().expect("it is free");
        batches.note();
        *held = Batch { cursor: 1, count: 2 };
        self.served.add();
        held
    }

    /// What `Worker::leave` does.
    fn leave(&self, held: Held<'_, Batch>, leftover: Leftover) {
        self.note(leftover);
        held.lay_down();
        self.confirm(leftover);
    }

    /// Serves what is left to its end, as `Worker::lead` does for a thread that has other things to do as well.
    fn serve(&self, lane: usize, mut held: Held<'_, Batch>) {
        while held.cursor < held.count {
            held.cursor += 1;
            self.served.add();
        }
        self.lanes[lane].1.note_end();
        self.note(Leftover::None);
        held.lay_down();
    }

    /// Serves the lane, or finds nothing, as a thread that does not wait.
    fn come_by(&self, lane: usize) {
        match self.lanes[lane].0.take() {
            Some(held) => self.serve(lane, held),
            None => self.note(Leftover::None),
        }
    }

    /// Leftovers must be announced, and the flag raised if no thread comes back for them.
    fn is_known(&self) {
        if self.are_left() {
            reached(LEFT);
            assert!(self.said() != Leftover::None, "something is left, and nobody is told");
        } else {
            reached(SERVED);
        }
        let rings = self.line.lock();
        assert_eq!(*rings, self.said() == Leftover::Left, "the bell says what was said last");
    }
}

fn who_leaves_meets_who_has_found_nothing() {
    let engine = Engine::new();
    let held = engine.begin(0);
    let other = thread::spawn({
        let engine = Arc::clone(&engine);
        // It has seen that another thread leads.
        move || engine.note(Leftover::None)
    });
    engine.leave(held, Leftover::Left);
    other.join().unwrap();
    if engine.said_left.sum() > 1 {
        reached(SAID_ANEW);
    }
    engine.is_known();
}

fn what_is_left_for_a_moment() {
    let engine = Engine::new();
    let held = engine.begin(0);
    let others: Vec<_> = (0..2)
        .map(|_| {
            let engine = Arc::clone(&engine);
            thread::spawn(move || engine.note(Leftover::None))
        })
        .collect();
    engine.leave(held, Leftover::Soon);
    others.into_iter().for_each(|other| other.join().unwrap());
    if engine.said_left.sum() > 1 {
        reached(SAID_ANEW);
    }
    engine.is_known();
}

fn who_has_done_all_in_one_lane() {
    let engine = Engine::new();
    let held = engine.begin(0);
    let other = thread::spawn({
        let engine = Arc::clone(&engine);
        move || engine.serve(1, engine.begin(1))
    });
    engine.leave(held, Leftover::Left);
    other.join().unwrap();
    if engine.said_left.sum() > 1 {
        reached(SAID_ANEW);
    }
    engine.is_known();
}

fn who_comes_for_it() {
    let engine = Engine::new();
    let held = engine.begin(0);
    let others: Vec<_> = (0..2)
        .map(|_| {
            let engine = Arc::clone(&engine);
            thread::spawn(move || engine.come_by(0))
        })
        .collect();
    engine.leave(held, Leftover::Left);
    others.into_iter().for_each(|other| other.join().unwrap());
    engine.is_known();
}

fn who_waits_is_called() {
    let engine = Engine::new();
    let held = engine.begin(0);
    let waits = thread::spawn({
        let engine = Arc::clone(&engine);
        move || {
            loop {
                engine.come_by(0);
                if engine.served.sum() == 2 {
                    break;
                }
                let mut rings = engine.line.lock();
                while !*rings {
                    reached("it had to wait");
                    engine.bell.wait(&mut rings);
                }
            }
        }
    });
    engine.leave(held, Leftover::Left);
    waits.join().unwrap();
    assert_eq!(engine.served.sum(), 2, "everything is served once");
    engine.is_known();
}

//! `src/server/rest.rs`: a resting lookout is always woken. A lost wake-up would leave it waiting for ever, which loom reports.

use super::{Model, reached};
use crate::rest::{Moves, Rest};
use crate::sys::sync::{AtomicBool, Condvar, Mutex, Ordering};
use loom::thread;
use std::sync::Arc;

const WOKEN: &str = "it is woken";

pub(super) static MODELS: &[Model] = &[
    Model { name: "rest: what moves ends it", run: what_moves_ends_it, reaches: &[WOKEN, "it need not be woken"], interruptions: None },
    Model { name: "rest: each of two lanes ends it", run: each_of_two_lanes_ends_it, reaches: &[WOKEN], interruptions: None },
    Model { name: "rest: the next one ends as well", run: the_next_one_ends_as_well, reaches: &[WOKEN], interruptions: None },
    Model { name: "rest: who calls ends it", run: who_calls_ends_it, reaches: &["it is called"], interruptions: None },
];

/// The part of the lanes that a rest needs.
struct Lanes {
    rota: Mutex<()>,
    bell: Condvar,
    /// Was the lookout called? Changed under the lock only.
    called: AtomicBool,
    rest: Rest,
    moves: [Moves; 2],
}

impl Lanes {
    fn new() -> Arc<Lanes> {
        let (rest, moves) = (Rest::default(), [Moves::default(), Moves::default()]);
        Arc::new(Lanes { rota: Mutex::new(()), bell: Condvar::new(), called: AtomicBool::new(false), rest, moves })
    }

    /// The counts of moves that the lookout reads before it rests.
    fn look(&self) -> [usize; 2] {
        [self.moves[0].count(), self.moves[1].count()]
    }

    fn rest(&self, seen: [usize; 2]) {
        let mut rota = self.rota.lock();
        self.rest.take(&mut rota, &self.bell, self.moves.iter().zip(seen), || self.called.load(Ordering::Relaxed));
    }

    /// A leader takes a batch.
    fn begin_batch(&self, lane: usize) {
        let is_to_wake = self.moves[lane].note();
        reached(if is_to_wake { WOKEN } else { "it need not be woken" });
        if is_to_wake {
            let rota = self.rota.lock();
            self.rest.end(&rota);
            self.bell.notify_one();
        }
    }
}

fn what_moves_ends_it() {
    let lanes = Lanes::new();
    let seen = lanes.look();
    let leader = thread::spawn({
        let lanes = Arc::clone(&lanes);
        move || lanes.begin_batch(0)
    });
    lanes.rest(seen);
    assert_ne!(lanes.look(), seen, "something has moved");
    leader.join().unwrap();
}

fn each_of_two_lanes_ends_it() {
    let lanes = Lanes::new();
    let seen = lanes.look();
    let leaders: Vec<_> = (0..2)
        .map(|lane| {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || lanes.begin_batch(lane))
        })
        .collect();
    lanes.rest(seen);
    assert_ne!(lanes.look(), seen, "something has moved");
    leaders.into_iter().for_each(|leader| leader.join().unwrap());
}

fn the_next_one_ends_as_well() {
    let lanes = Lanes::new();
    let first = lanes.look();
    let leader = thread::spawn({
        let lanes = Arc::clone(&lanes);
        move || {
            lanes.begin_batch(1);
            lanes.begin_batch(1);
        }
    });
    lanes.rest(first);
    let second = lanes.look();
    // If both moves were counted already, no further one would end the rest.
    if second[1] == lanes.moves[0].count() + 2 {
        lanes.rest(second);
        assert_ne!(lanes.look(), second, "something has moved");
    }
    leader.join().unwrap();
}

fn who_calls_ends_it() {
    let lanes = Lanes::new();
    let seen = lanes.look();
    let caller = thread::spawn({
        let lanes = Arc::clone(&lanes);
        move || {
            let _rota = lanes.rota.lock();
            lanes.called.store(true, Ordering::Relaxed);
            lanes.bell.notify_one();
        }
    });
    lanes.rest(seen);
    assert_eq!(lanes.look(), seen, "nothing has moved");
    reached("it is called");
    caller.join().unwrap();
}

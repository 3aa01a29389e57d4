//! `src/server/sys/baton.rs`: one thread at a time leads a lane, and no event is lost.

use super::{Model, Tally, reached};
use crate::sys::baton::{Baton, Held};
use loom::thread;
use std::sync::Arc;

const TAKEN_OVER: &str = "it is taken over";
const IN_TIME: &str = "it is in time";
const GIVEN_AWAY: &str = "it is given away";

pub(super) static MODELS: &[Model] = &[
    Model {
        name: "baton: every event is served once, whoever leads",
        run: every_event_is_served_once,
        reaches: &[TAKEN_OVER, IN_TIME, "who has lost it leads again"],
        interruptions: None,
    },
    Model {
        name: "baton: every event is served once, with an idle thread there",
        run: an_idle_thread_may_lead_as_well,
        reaches: &[TAKEN_OVER],
        interruptions: Some(3),
    },
    Model {
        name: "baton: who gives it away meets who takes it over",
        run: who_gives_it_away_meets_who_takes_it_over,
        reaches: &[TAKEN_OVER, GIVEN_AWAY],
        interruptions: None,
    },
    Model {
        name: "baton: a service is resumed or taken over, not both",
        run: a_service_is_resumed_or_taken_over,
        reaches: &[TAKEN_OVER, IN_TIME],
        interruptions: None,
    },
    Model {
        name: "baton: two who look at the same service do not both take it over",
        run: two_who_look,
        reaches: &[TAKEN_OVER],
        interruptions: None,
    },
    Model {
        name: "baton: two idle threads hold it one after the other",
        run: two_idle_threads,
        reaches: &["one of them finds it held", "both of them hold it"],
        interruptions: None,
    },
    Model {
        name: "baton: a leader that ends meets one that takes over, and an idle one",
        run: a_leader_that_ends,
        reaches: &[TAKEN_OVER, IN_TIME, "the idle one has it"],
        interruptions: None,
    },
    Model {
        name: "baton: what was seen two services ago is not taken over",
        run: what_was_seen_long_ago,
        reaches: &[TAKEN_OVER, IN_TIME],
        interruptions: None,
    },
];

/// A batch of events: those from `cursor` on are not served.
struct Batch {
    cursor: usize,
    count: usize,
}

/// A lane with its events, and how often each was served.
struct Lane<const N: usize> {
    baton: Baton<Batch>,
    served: [Tally; N],
}

impl<const N: usize> Lane<N> {
    fn new() -> Arc<Lane<N>> {
        Arc::new(Lane { baton: Baton::new(Batch { cursor: 0, count: N }), served: std::array::from_fn(|_| Tally::default()) })
    }

    /// The next event; advances the cursor.
    fn next(held: &mut Held<'_, Batch>) -> Option<usize> {
        let event = held.cursor;
        (event < held.count).then(|| held.cursor += 1)?;
        Some(event)
    }

    /// Serves until nothing is left, or another thread has taken over (false).
    fn lead<'l>(&'l self, mut held: Held<'l, Batch>) -> bool {
        while let Some(event) = Lane::<N>::next(&mut held) {
            let service = held.serve();
            self.served[event].add();
            match self.baton.resume(service) {
                Some(again) => held = again,
                None => return false,
            }
        }
        held.lay_down();
        true
    }

    /// What an idle thread does.
    fn take_and_lead(&self) -> bool {
        self.baton.take().is_some_and(|held| self.lead(held))
    }

    /// What the lookout does.
    fn look_and_take_over(&self) {
        if let Some(held) = self.baton.take_over(self.baton.look()) {
            reached(TAKEN_OVER);
            self.lead(held);
        }
    }

    fn each_is_served_once(&self) {
        self.served.iter().for_each(|served| assert_eq!(served.sum(), 1, "an event is served once"));
    }
}

fn every_event_is_served_once() {
    let lane = Lane::<3>::new();
    let leader = thread::spawn({
        let lane = Arc::clone(&lane);
        move || {
            if lane.take_and_lead() {
                reached(IN_TIME);
            } else if lane.take_and_lead() {
                reached("who has lost it leads again");
            }
        }
    });
    lane.look_and_take_over();
    leader.join().unwrap();
    lane.each_is_served_once();
}

fn an_idle_thread_may_lead_as_well() {
    let lane = Lane::<2>::new();
    let idle: Vec<_> = (0..2)
        .map(|_| {
            let lane = Arc::clone(&lane);
            thread::spawn(move || lane.take_and_lead())
        })
        .collect();
    lane.look_and_take_over();
    for thread in idle {
        thread.join().unwrap();
    }
    lane.each_is_served_once();
}

fn who_gives_it_away_meets_who_takes_it_over() {
    let lane = Lane::<2>::new();
    let leader = thread::spawn({
        let lane = Arc::clone(&lane);
        move || {
            let mut held = lane.baton.take().expect("nobody else takes it yet");
            let event = Lane::<2>::next(&mut held).expect("there are two");
            let service = held.serve();
            if lane.baton.lay_down(service) {
                reached(GIVEN_AWAY);
                lane.take_and_lead();
            }
            lane.served[event].add();
        }
    });
    lane.look_and_take_over();
    leader.join().unwrap();
    // The woken thread takes it, unless another one was faster.
    lane.take_and_lead();
    lane.each_is_served_once();
}

fn a_service_is_resumed_or_taken_over() {
    let baton = Arc::new(Baton::new(0));
    let mut held = baton.take().expect("it is free");
    *held += 1;
    let service = held.serve();
    let seen = baton.look();
    let lookout = thread::spawn({
        let baton = Arc::clone(&baton);
        move || baton.take_over(seen).map(|mut held| *held += 1).is_some()
    });
    let in_time = baton.resume(service).map(|mut held| *held += 1).is_some();
    let taken_over = lookout.join().unwrap();
    assert_ne!(in_time, taken_over, "one of them has it, and one only");
    reached(if in_time { IN_TIME } else { TAKEN_OVER });
}

fn two_who_look() {
    let baton = Arc::new(Baton::new(0));
    let service = baton.take().expect("it is free").serve();
    let seen = baton.look();
    let looks = || {
        let baton = Arc::clone(&baton);
        thread::spawn(move || baton.take_over(seen).map(|mut held| *held += 1).is_some())
    };
    let (one, other) = (looks(), looks());
    assert!(one.join().unwrap() ^ other.join().unwrap(), "one of them has it, and one only");
    assert!(baton.resume(service).is_none(), "who took too long has lost it");
    reached(TAKEN_OVER);
}

fn two_idle_threads() {
    let baton = Arc::new(Baton::new(0));
    let takes = |baton: &Baton<usize>| {
        let Some(mut held) = baton.take() else { return 0 };
        *held += 1;
        held.lay_down();
        1
    };
    let other = thread::spawn({
        let baton = Arc::clone(&baton);
        move || takes(&baton)
    });
    let sum = takes(&baton) + other.join().unwrap();
    reached(if sum == 1 { "one of them finds it held" } else { "both of them hold it" });
    assert_eq!(*baton.take().expect("it is free"), sum, "what each has written is there");
}

fn a_leader_that_ends() {
    let baton = Arc::new(Baton::new(0));
    let service = baton.take().expect("it is free").serve();
    let seen = baton.look();
    let lookout = thread::spawn({
        let baton = Arc::clone(&baton);
        move || {
            let Some(mut held) = baton.take_over(seen) else { return 0 };
            reached(TAKEN_OVER);
            *held += 1;
            held.lay_down();
            1
        }
    });
    let idle = thread::spawn({
        let baton = Arc::clone(&baton);
        move || {
            let Some(mut held) = baton.take() else { return 0 };
            reached("the idle one has it");
            *held += 1;
            held.lay_down();
            1
        }
    });
    let mut sum = 0;
    if let Some(mut held) = baton.resume(service) {
        reached(IN_TIME);
        *held += 1;
        held.lay_down();
        sum += 1;
    }
    sum += lookout.join().unwrap() + idle.join().unwrap();
    assert_eq!(*baton.take().expect("it is free"), sum, "what each has written is there");
}

fn what_was_seen_long_ago() {
    let baton = Arc::new(Baton::new(0));
    let mut service = baton.take().expect("it is free").serve();
    let seen = baton.look();
    let lookout = thread::spawn({
        let baton = Arc::clone(&baton);
        move || {
            let held = baton.take_over(seen);
            held.map(|held| assert_eq!(*held, 0, "that service is over")).is_some()
        }
    });
    let mut services = 0;
    while let Some(mut held) = baton.resume(service) {
        services += 1;
        if services == 3 {
            break;
        }
        *held += 1;
        service = held.serve();
    }
    let taken_over = lookout.join().unwrap();
    assert_eq!(taken_over, services == 0, "only the service that was seen is taken over");
    reached(if taken_over { TAKEN_OVER } else { IN_TIME });
}

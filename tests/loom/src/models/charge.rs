//! `src/server/charge.rs`: one of the waiting threads polls, and none rests while nobody does.

use super::{Model, reached};
use crate::charge::{Charge, Rested};
use crate::sys::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

const CALLED: &str = "it had to be called";

pub(super) static MODELS: &[Model] = &[
    Model {
        name: "charge: who hands it on calls one that rests, and each has its turn",
        run: each_has_its_turn,
        reaches: &[CALLED, "nobody was in charge"],
        interruptions: Some(2),
    },
    Model {
        name: "charge: it is taken from who keeps it and does not come back",
        run: it_is_taken_from_who_does_not_come_back,
        reaches: &[CALLED],
        interruptions: Some(3),
    },
    Model {
        name: "charge: whoever it is taken from while it polls is told",
        run: whoever_polls_is_told,
        reaches: &["it is taken from one that polls", CALLED],
        interruptions: Some(3),
    },
];

const TICK: Duration = Duration::from_millis(2);

/// Waits until this thread is in charge.
fn await_charge(charge: &Charge) {
    match charge.wait(None, TICK) {
        Rested::Holds => reached("nobody was in charge"),
        Rested::Called => reached(CALLED),
        Rested::Late | Rested::Signal => panic!("neither comes here"),
    }
}

/// A thread that is in charge for once, answers something that may take long, and leaves.
fn have_a_turn(charge: &Charge) {
    await_charge(charge);
    charge.note_polled();
    charge.hand_on();
}

fn each_has_its_turn() {
    let charge = Arc::<Charge>::default();
    let others: Vec<_> = (0..2)
        .map(|_| {
            let charge = Arc::clone(&charge);
            thread::spawn(move || have_a_turn(&charge))
        })
        .collect();
    have_a_turn(&charge);
    others.into_iter().for_each(|other| other.join().unwrap());
}

fn it_is_taken_from_who_does_not_come_back() {
    let charge = Arc::<Charge>::default();
    await_charge(&charge);
    let lookout = thread::spawn({
        let charge = Arc::clone(&charge);
        move || await_charge(&charge)
    });
    charge.note_polled();
    // It was known to be quick, but blocks.
    charge.keep();
    lookout.join().unwrap();
}

fn whoever_polls_is_told() {
    let charge = Arc::<Charge>::default();
    await_charge(&charge);
    let told = Arc::new((Mutex::new(false), Condvar::new()));
    let takes = thread::spawn({
        let (charge, told) = (Arc::clone(&charge), Arc::clone(&told));
        move || {
            if charge.keep() {
                reached("it is taken from one that polls");
                *told.0.lock() = true;
                told.1.notify_all();
            }
            // Another one may be in charge by now.
            charge.hand_on();
        }
    });
    let mut is_told = told.0.lock();
    while !*is_told {
        told.1.wait(&mut is_told);
    }
    drop(is_told);
    charge.note_polled();
    have_a_turn(&charge);
    takes.join().unwrap();
}

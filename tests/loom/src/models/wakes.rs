//! `src/server/wakes.rs`: no wake is lost, not even the first one, while the descriptor is made.

use super::{Model, reached};
use crate::sys::sync::{AtomicBool, Condvar, Mutex, Ordering};
use crate::wakes::Wakes;
use loom::thread;
use std::sync::Arc;

pub(super) static MODELS: &[Model] = &[Model {
    name: "wakes: the first wake meets the first call that waits",
    run: the_first_wake_meets_the_first_wait,
    reaches: &["the call need not wait", "the call is woken"],
    interruptions: None,
}];

/// The part of the caller queue that a wake needs.
#[derive(Default)]
struct Queue {
    wakes: Wakes,
    /// Does the descriptor exist?
    is_made: AtomicBool,
    descriptor: Mutex<bool>,
    bell: Condvar,
}

fn the_first_wake_meets_the_first_wait() {
    let queue = Arc::<Queue>::default();
    let wakes = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            if queue.wakes.add() && queue.is_made.load(Ordering::Acquire) {
                *queue.descriptor.lock() = true;
                queue.bell.notify_all();
            }
        }
    });
    queue.wakes.begin_wait();
    queue.is_made.store(true, Ordering::Release);
    if queue.wakes.is_pending() {
        reached("the call need not wait");
    } else {
        let mut is_raised = queue.descriptor.lock();
        while !*is_raised {
            queue.bell.wait(&mut is_raised);
        }
        reached("the call is woken");
    }
    assert!(queue.wakes.take(), "the wake ends it");
    assert!(!queue.wakes.is_pending(), "and no other call");
    wakes.join().unwrap();
}

//! How many threads serve, and who waits for them to leave.

use super::sys::sync::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// The threads that serve. It outlives the engine by the moment in which the last one leaves.
#[derive(Default)]
pub(super) struct Crew {
    /// How many are serving.
    serving: AtomicUsize,
    /// How many have not yet let go of the engine.
    present: Mutex<usize>,
    /// Is the app gone? Then nobody comes any more. Changed under the lock of `present`.
    is_shut: AtomicBool,
    changed: Condvar,
}

impl Crew {
    /// `count` threads come to serve, unless it is too late.
    pub(super) fn enter(&self, count: usize, is_too_late: impl FnOnce() -> bool) -> bool {
        let mut present = self.present.lock();
        let in_time = !is_too_late();
        if in_time {
            *present += count;
            self.serving.fetch_add(count, Ordering::SeqCst);
        }
        in_time
    }

    /// Somebody from outside has something to do, unless it is too late. He leaves like the others.
    pub(super) fn visit(&self, is_too_late: impl FnOnce() -> bool) -> bool {
        let mut present = self.present.lock();
        let welcome = !is_too_late() && !self.is_shut.load(Ordering::Relaxed);
        *present += usize::from(welcome);
        welcome
    }

    /// `count` threads have stopped serving. Were they the last?
    pub(super) fn stop_serving(&self, count: usize) -> bool {
        self.serving.fetch_sub(count, Ordering::SeqCst) == count
    }

    /// `count` threads have let go of everything.
    pub(super) fn leave(&self, count: usize) {
        *self.present.lock() -= count;
        self.changed.notify_all();
    }

    /// How many are serving, about.
    pub(super) fn serving(&self) -> usize {
        self.serving.load(Ordering::Relaxed)
    }

    pub(super) fn is_nobody(&self) -> bool {
        self.serving.load(Ordering::SeqCst) == 0
    }

    /// Wakes those who wait for a change.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
    }

    /// Waits until all have left; None is without end. False: the time is up.
    pub(super) fn wait_until_gone(&self, end: Option<Instant>) -> bool {
        let mut present = self.present.lock();
        while *present > 0 {
            match end {
                None => self.changed.wait(&mut present),
                Some(end) => {
                    if !self.changed.wait_until(&mut present, end) {
                        return *present == 0;
                    }
                }
            }
        }
        true
    }

    /// Waits until all have left, and lets nobody come any more.
    pub(super) fn shut(&self) {
        let mut present = self.present.lock();
        while *present > 0 {
            self.changed.wait(&mut present);
        }
        self.is_shut.store(true, Ordering::Relaxed);
    }

    /// Waits until something has changed, at most until `end`.
    pub(super) fn wait_for_change(&self, end: Instant) {
        self.changed.wait_until(&mut self.present.lock(), end);
    }
}

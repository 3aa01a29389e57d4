//! Counts the threads that serve, and lets others wait for them to leave.

use super::sys::sync::{Condvar, Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// The threads that serve. It outlives the engine, which the last thread releases before it leaves.
#[derive(Default)]
pub(super) struct Crew {
    /// How many serve.
    serving: AtomicUsize,
    present: Mutex<Present>,
    /// Has the app been freed? Then no thread may enter. Changed under the lock of `present`.
    is_shut: AtomicBool,
    changed: Condvar,
}

#[derive(Default)]
struct Present {
    /// How many have not yet released the engine.
    count: usize,
    /// How many wait for a change. A notification costs a system call even if no thread waits.
    listeners: usize,
}

impl Crew {
    /// Counts `count` serving threads. False: it is too late for them.
    pub(super) fn enter(&self, count: usize, is_too_late: impl FnOnce() -> bool) -> bool {
        let mut present = self.present.lock();
        let in_time = !is_too_late();
        if in_time {
            present.count += count;
            self.serving.fetch_add(count, Ordering::SeqCst);
        }
        in_time
    }

    /// Counts a thread from outside that works in the engine for a moment. False: it is too late. It must call `leave` like the others.
    pub(super) fn visit(&self, is_too_late: impl FnOnce() -> bool) -> bool {
        let mut present = self.present.lock();
        let welcome = !is_too_late() && !self.is_shut.load(Ordering::Relaxed);
        present.count += usize::from(welcome);
        welcome
    }

    /// `count` threads have stopped serving. True: they were the last.
    pub(super) fn stop_serving(&self, count: usize) -> bool {
        self.serving.fetch_sub(count, Ordering::SeqCst) == count
    }

    /// `count` threads have released the engine.
    pub(super) fn leave(&self, count: usize) {
        let has_listeners = {
            let mut present = self.present.lock();
            present.count -= count;
            present.listeners > 0
        };
        if has_listeners {
            self.changed.notify_all();
        }
    }

    /// How many serve, approximately.
    pub(super) fn serving(&self) -> usize {
        self.serving.load(Ordering::Relaxed)
    }

    pub(super) fn is_nobody(&self) -> bool {
        self.serving.load(Ordering::SeqCst) == 0
    }

    /// Wakes the threads that wait for a change.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
    }

    /// Waits until all have left; without end if `end` is None. False: the time is up.
    pub(super) fn wait_until_gone(&self, end: Option<Instant>) -> bool {
        let mut present = self.present.lock();
        while present.count > 0 {
            if !self.listen(&mut present, end) {
                return present.count == 0;
            }
        }
        true
    }

    /// Waits until all have left, and refuses further threads.
    pub(super) fn shut(&self) {
        let mut present = self.present.lock();
        while present.count > 0 {
            self.listen(&mut present, None);
        }
        self.is_shut.store(true, Ordering::Relaxed);
    }

    /// Waits for a change, at most until `end`.
    pub(super) fn wait_for_change(&self, end: Instant) {
        self.listen(&mut self.present.lock(), Some(end));
    }

    /// Waits for one notification. False: the time is up.
    fn listen(&self, present: &mut MutexGuard<'_, Present>, end: Option<Instant>) -> bool {
        present.listeners += 1;
        let changed = match end {
            None => {
                self.changed.wait(present);
                true
            }
            Some(end) => self.changed.wait_until(present, end),
        };
        present.listeners -= 1;
        changed
    }
}

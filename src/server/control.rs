//! Whether the app drains or stops.

use super::sys::clock;
use super::sys::event::Flag;
use super::sys::fork::Birthmark;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The end of a drain that has none.
const NEVER: u64 = u64::MAX;

/// The switches that end an app. They exist before it starts, and are never reset.
pub(crate) struct Control {
    stopping: AtomicBool,
    draining: AtomicBool,
    flag: Flag,
    /// Raised for the serving threads, which carry out a drain that no thread of the host's waits for.
    drain: Flag,
    /// When such a drain stops the app, by `clock::microseconds`.
    drain_end: AtomicU64,
    /// Of the process that created the app; a child has none of its threads, but shares its descriptors.
    birthmark: Birthmark,
}

impl Control {
    pub(crate) fn new() -> io::Result<Control> {
        Ok(Control {
            stopping: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            flag: Flag::new()?,
            drain: Flag::new()?,
            drain_end: AtomicU64::new(NEVER),
            birthmark: Birthmark::new(),
        })
    }

    /// Asks all threads to leave. Safe in signal handlers: one store, one write.
    pub(crate) fn stop(&self) {
        if self.is_forked() {
            // The parent shares the flag.
            return;
        }
        self.stopping.store(true, Ordering::SeqCst);
        self.flag.raise();
    }

    /// From now on each answer ends its connection.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// The same; and the serving threads close the doors, and stop the app when no connection is left, after `timeout` at the latest.
    /// Safe in signal handlers: two stores, one write.
    pub(crate) fn begin_drain(&self, timeout: Option<Duration>) {
        if self.is_forked() {
            // The parent shares the flag.
            return;
        }
        let left = timeout.map_or(NEVER, |timeout| u64::try_from(timeout.as_micros()).unwrap_or(NEVER));
        self.drain_end.store(clock::microseconds().saturating_add(left), Ordering::SeqCst);
        self.drain();
        self.drain.raise();
    }

    /// Readable once `begin_drain` was called.
    pub(super) fn drain_flag(&self) -> BorrowedFd<'_> {
        self.drain.as_fd()
    }

    /// Is it time for that drain to stop the app?
    pub(super) fn is_drain_over(&self) -> bool {
        clock::microseconds() >= self.drain_end.load(Ordering::SeqCst)
    }

    /// Is this a child of the process that created the app?
    pub(crate) fn is_forked(&self) -> bool {
        self.birthmark.is_forked()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Does each answer end its connection?
    pub(crate) fn is_ending(&self) -> bool {
        self.draining.load(Ordering::SeqCst) || self.stopping.load(Ordering::SeqCst)
    }
}

/// Readable for ever once `stop` was called.
impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.flag.as_fd()
    }
}

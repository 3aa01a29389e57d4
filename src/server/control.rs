//! Whether the app is to end.

use super::sys::event::Flag;
use super::sys::fork::Birthmark;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The switches that end an app. They are there before it starts, and they are never switched back.
pub(crate) struct Control {
    stopping: AtomicBool,
    draining: AtomicBool,
    flag: Flag,
    /// Of the process that made the app; a fork of it has no threads, and shares our descriptors.
    birthmark: Birthmark,
}

impl Control {
    pub(crate) fn new() -> io::Result<Control> {
        Ok(Control { stopping: AtomicBool::new(false), draining: AtomicBool::new(false), flag: Flag::new()?, birthmark: Birthmark::new() })
    }

    /// Asks all threads to leave. Safe in signal handlers: one store, one write.
    pub(crate) fn stop(&self) {
        if self.is_forked() {
            // The flag is the other process's as well.
            return;
        }
        self.stopping.store(true, Ordering::SeqCst);
        self.flag.raise();
    }

    /// From now on each answer is the last one of its connection.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Is this a fork of the process that made the app?
    pub(crate) fn is_forked(&self) -> bool {
        self.birthmark.is_forked()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Is each answer the last one of its connection?
    pub(crate) fn is_ending(&self) -> bool {
        self.draining.load(Ordering::SeqCst) || self.stopping.load(Ordering::SeqCst)
    }
}

/// Readable from `stop` on, for ever.
impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.flag.as_fd()
    }
}

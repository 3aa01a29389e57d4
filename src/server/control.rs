//! Whether the app drains or stops.

use super::sys::event::Flag;
use super::sys::fork::Birthmark;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The switches that end an app. They exist before it starts, and are never reset.
pub(crate) struct Control {
    stopping: AtomicBool,
    draining: AtomicBool,
    flag: Flag,
    /// Of the process that created the app; a child has none of its threads, but shares its descriptors.
    birthmark: Birthmark,
}

impl Control {
    pub(crate) fn new() -> io::Result<Control> {
        Ok(Control { stopping: AtomicBool::new(false), draining: AtomicBool::new(false), flag: Flag::new()?, birthmark: Birthmark::new() })
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

//! Replaces `src/server/sys/event.rs`: a flag without a descriptor, and waits whose time is up at any moment.

use super::sync::{Condvar, Mutex};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// A flag that is raised until it is lowered.
pub(crate) struct Flag {
    is_raised: Mutex<bool>,
    bell: Condvar,
    /// A descriptor that nobody uses.
    input: std::io::Stdin,
}

/// The outcome of a wait. Signals do not come here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    Ready,
    Late,
    Signal,
}

impl Flag {
    pub(crate) fn new() -> std::io::Result<Flag> {
        Ok(Flag { is_raised: Mutex::new(false), bell: Condvar::new(), input: std::io::stdin() })
    }

    pub(crate) fn raise(&self) {
        *self.is_raised.lock() = true;
        self.bell.notify_all();
    }

    pub(crate) fn lower(&self) {
        *self.is_raised.lock() = false;
    }

    /// A wait with an end looks once, and is late then: other threads may have done anything or nothing meanwhile.
    pub(crate) fn wait(&self, end: Option<Instant>) -> Waited {
        let mut is_raised = self.is_raised.lock();
        while !*is_raised {
            if end.is_some() {
                return Waited::Late;
            }
            self.bell.wait(&mut is_raised);
        }
        Waited::Ready
    }
}

impl AsFd for Flag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
}

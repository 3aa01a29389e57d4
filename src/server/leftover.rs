//! Leftovers: events in a lane that was freed in the middle of a batch, since a request is lent.
//!
//! A thread that leaves events announces it before it frees the lane, and then checks that the announcement still stands. A thread that
//! finds none announces that, and then checks the lanes. Between each thread's announcement and its check there is a fence, so at least one
//! of the two sees what the other has done: leftovers never stay unannounced. A false announcement only costs a thread a look at the lanes.
//! `tests/loom` checks all interleavings.

use super::rest::Moves;
use super::sys::baton::Baton;
use super::sys::sync::{AtomicUsize, Ordering, fence};

/// Are there leftovers?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leftover {
    None,
    /// Yes, and the thread that left them comes back for them soon.
    Soon,
    Left,
}

/// The last announcement.
#[derive(Default)]
pub(super) struct Said(AtomicUsize);

impl Said {
    pub(super) fn get(&self) -> Leftover {
        match self.0.load(Ordering::Relaxed) {
            0 => Leftover::None,
            1 => Leftover::Soon,
            _ => Leftover::Left,
        }
    }

    /// The caller must hold the lock of the threads that are notified.
    pub(super) fn set(&self, leftover: Leftover) {
        self.0.store(leftover as usize, Ordering::Relaxed);
    }
}

/// Where leftovers are announced, and found.
pub(super) trait Leaves {
    fn said(&self) -> Leftover;

    /// Announces it to the threads that wait.
    fn say(&self, leftover: Leftover);

    /// Does any lane have leftovers?
    fn are_left(&self) -> bool;

    /// Announces what this thread knows, if that is new: that it is about to leave some, or has found none.
    fn note(&self, leftover: Leftover) {
        if self.said() == leftover {
            return;
        }
        self.say(leftover);
        if leftover == Leftover::None {
            fence(Ordering::SeqCst);
            if self.are_left() {
                // In another lane, or in this one, left since it was checked.
                self.say(Leftover::Left);
            }
        }
    }

    /// Checks the announcement after the lane was freed with these leftovers in it.
    fn confirm(&self, leftover: Leftover) {
        if leftover == Leftover::None {
            return;
        }
        fence(Ordering::SeqCst);
        // A thread that checked just before may have announced since that there are none.
        if self.said() == Leftover::None && self.are_left() {
            self.say(leftover);
        }
    }
}

/// Is the lane free although its batch was not served to the end?
pub(super) fn is_left<T>(baton: &Baton<T>, batches: &Moves) -> bool {
    baton.look().is_free() && batches.is_on()
}

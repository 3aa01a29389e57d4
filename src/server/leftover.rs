//! Work that was begun, and is nobody's: events in a lane that was laid down while a request is lent.
//!
//! Whoever leaves some says so before it lays the lane down, and looks afterwards whether that still stands. Whoever finds none says
//! that, and looks afterwards whether it is so. Between what each of them does and what it looks at there is a fence, so one of the two
//! sees what the other has done: what is left does not stay unsaid. That some is left where none is costs somebody a look, and no
//! more. `tests/loom` tries every order in which they can meet here.

use super::rest::Moves;
use super::sys::baton::Baton;
use super::sys::sync::{AtomicUsize, Ordering, fence};

/// Is there such work?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leftover {
    None,
    /// Yes, and whoever has begun it comes back for it soon.
    Soon,
    Left,
}

/// What was said last.
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

    /// The caller has the lock of those who are told.
    pub(super) fn set(&self, leftover: Leftover) {
        self.0.store(leftover as usize, Ordering::Relaxed);
    }
}

/// Where it is said, and where it is.
pub(super) trait Leaves {
    fn said(&self) -> Leftover;

    /// Tells those who wait.
    fn say(&self, leftover: Leftover);

    /// Is it in any lane?
    fn are_left(&self) -> bool;

    /// It has changed, as far as this thread knows: it is going to leave some, or has found none.
    fn note(&self, leftover: Leftover) {
        // From one request to the next it mostly has not.
        if self.said() == leftover {
            return;
        }
        self.say(leftover);
        if leftover == Leftover::None {
            fence(Ordering::SeqCst);
            if self.are_left() {
                // In another lane, or in this one from the very moment on in which it was looked at.
                self.say(Leftover::Left);
            }
        }
    }

    /// The lane was laid down with that in it.
    fn confirm(&self, leftover: Leftover) {
        if leftover == Leftover::None {
            return;
        }
        fence(Ordering::SeqCst);
        // Who has looked just before that may have said since that there is none.
        if self.said() == Leftover::None && self.are_left() {
            self.say(leftover);
        }
    }
}

/// Is a lane nobody's whose batch was not served to its end?
pub(super) fn is_left<T>(baton: &Baton<T>, batches: &Moves) -> bool {
    baton.look().is_free() && batches.is_on()
}

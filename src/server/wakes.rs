//! Wakes of the host's threads: how many calls wait, and how many of these are to return.
//!
//! The descriptor by which a wake reaches a call is made when one first wants to wait. A thread that wakes counts the wake, and then checks
//! whether the descriptor exists; a call that waits makes it, and then checks the count. Between the two steps of each there is a fence, so
//! at least one of the two sees what the other has done. `tests/loom` checks all interleavings.

use super::sys::sync::{AtomicU64, Ordering, fence};

/// One waiting call.
const WAITING: u64 = 1 << 32;
/// The bits that count wakes.
const WAKES: u64 = WAITING - 1;

/// High half: how many calls wait, or are about to. Low half: how many of these, or of future ones, are to return because of a wake.
#[derive(Default)]
pub(super) struct Wakes(AtomicU64);

impl Wakes {
    /// Counts a call that waits, or is about to.
    pub(super) fn begin_wait(&self) {
        self.0.fetch_add(WAITING, Ordering::SeqCst);
    }

    /// Uncounts a call that no wake has ended.
    pub(super) fn end_wait(&self) {
        self.0.fetch_sub(WAITING, Ordering::SeqCst);
    }

    /// Counts a wake, unless there are as many as waiting calls; several while no call waits count as one. The caller then raises the
    /// descriptor, if it exists. Safe in signal handlers.
    pub(super) fn add(&self) -> bool {
        let add = |word: u64| (word & WAKES < (word >> 32).max(1)).then(|| word + 1);
        let counted = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).is_ok();
        fence(Ordering::SeqCst);
        counted
    }

    /// Consumes a wake. True: it ends this call, which is then no longer counted.
    pub(super) fn take(&self) -> bool {
        let take = |word: u64| (word & WAKES > 0).then(|| word - WAITING - 1);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }

    /// Is there a wake that has not ended a call yet? The caller has made the descriptor.
    pub(super) fn is_pending(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::SeqCst) & WAKES > 0
    }
}

//! How the lookout rests while there is no activity, and how a batch that is taken ends its rest.
//!
//! A thread that takes a batch adds to a counter; the lookout sets a bit in the same word. Since both change one atomic word, either the
//! thread sees the bit, or the lookout sees that the count has changed. `tests/loom` checks all interleavings.

use super::sys::sync::{AtomicBool, AtomicUsize, Condvar, MutexGuard, Ordering};

/// Set while the lookout rests.
const RESTS: usize = 1;
const ONE: usize = 2;

/// Counts the batches taken.
#[derive(Default)]
pub(super) struct Moves {
    /// `count << 1 | RESTS`.
    word: AtomicUsize,
    /// The count when the last batch ended. Written by the thread that took it.
    ended: AtomicUsize,
}

impl Moves {
    /// A batch begins. True: the lookout rests and must be woken.
    pub(super) fn note(&self) -> bool {
        self.word.fetch_add(ONE, Ordering::Relaxed) & RESTS != 0
    }

    /// The batch has ended.
    pub(super) fn note_end(&self) {
        self.ended.store(self.count(), Ordering::Relaxed);
    }

    /// Is a batch being served?
    pub(super) fn is_on(&self) -> bool {
        self.ended.load(Ordering::Relaxed) != self.count()
    }

    /// A number that changes with each batch.
    pub(super) fn count(&self) -> usize {
        self.word.load(Ordering::Relaxed) & !RESTS
    }

    /// Requests a wake-up at the next batch. False: the count is not the one that was `seen` any more.
    fn ask(&self, seen: usize) -> bool {
        self.word.fetch_or(RESTS, Ordering::Relaxed) & !RESTS == seen
    }

    fn ask_no_more(&self) {
        self.word.fetch_and(!RESTS, Ordering::Relaxed);
    }
}

/// Whether the lookout rests. Changed under the lock with which it waits.
#[derive(Default)]
pub(super) struct Rest {
    rests: AtomicBool,
}

impl Rest {
    /// Rests until the count of one of `moves` is beyond what was seen of it, or `is_called`.
    pub(super) fn take<'m, T>(
        &self,
        lock: &mut MutexGuard<'_, T>,
        bell: &Condvar,
        moves: impl Iterator<Item = (&'m Moves, usize)> + Clone,
        is_called: impl Fn() -> bool,
    ) {
        self.rests.store(true, Ordering::Relaxed);
        if moves.clone().all(|(moves, seen)| moves.ask(seen)) {
            while self.rests.load(Ordering::Relaxed) && !is_called() {
                bell.wait(lock);
            }
        }
        moves.for_each(|(moves, _)| moves.ask_no_more());
        self.rests.store(false, Ordering::Relaxed);
    }

    /// Ends the rest; the caller holds the lock, and notifies the lookout.
    pub(super) fn end<T>(&self, _lock: &MutexGuard<'_, T>) {
        self.rests.store(false, Ordering::Relaxed);
    }
}

//! How the lookout rests while nothing moves, and how the first thing that does ends its rest.
//!
//! Whoever moves adds to a counter; the lookout sets a bit in the same word. So one of the two comes first: either the one who moves
//! finds the bit, or the lookout finds that the counter is another. `tests/loom` tries both, and what lies between.

use super::sys::sync::{AtomicBool, AtomicUsize, Condvar, MutexGuard, Ordering};

/// The lookout rests.
const RESTS: usize = 1;
const ONE: usize = 2;

/// How often something has moved.
#[derive(Default)]
pub(super) struct Moves {
    /// `count << 1 | RESTS`.
    word: AtomicUsize,
    /// The count when the last move ended. Written by whoever moves.
    ended: AtomicUsize,
}

impl Moves {
    /// It moves. True: the lookout rests, and is to be woken.
    pub(super) fn note(&self) -> bool {
        self.word.fetch_add(ONE, Ordering::Relaxed) & RESTS != 0
    }

    /// The move is over.
    pub(super) fn note_end(&self) {
        self.ended.store(self.count(), Ordering::Relaxed);
    }

    /// Is a move on?
    pub(super) fn is_on(&self) -> bool {
        self.ended.load(Ordering::Relaxed) != self.count()
    }

    /// A number that is another after each move.
    pub(super) fn count(&self) -> usize {
        self.word.load(Ordering::Relaxed) & !RESTS
    }

    /// The next one who moves is to wake the lookout. False: it has moved since its count was `seen`.
    fn ask(&self, seen: usize) -> bool {
        self.word.fetch_or(RESTS, Ordering::Relaxed) & !RESTS == seen
    }

    fn ask_no_more(&self) {
        self.word.fetch_and(!RESTS, Ordering::Relaxed);
    }
}

/// Whether the lookout rests. It changes under the lock that the lookout waits with.
#[derive(Default)]
pub(super) struct Rest {
    rests: AtomicBool,
}

impl Rest {
    /// Rests until one of `moves` has gone beyond the count that was seen of it, or somebody has called.
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

    /// Ends it; the caller has the lock, and rings.
    pub(super) fn end<T>(&self, _lock: &MutexGuard<'_, T>) {
        self.rests.store(false, Ordering::Relaxed);
    }
}

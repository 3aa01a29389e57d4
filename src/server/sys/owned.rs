//! The cell that a connection lives in, and the atomic word that says which thread owns it.
//!
//! Many threads may get events of one connection; only the one that sets OWNED in the word may access the value, for as long as it
//! receives, runs a handler and sends. A thread that finds OWNED set adds PENDING and moves on; the owner sees this when it releases.

use super::sync::{AtomicU64, Ordering, UnsafeCell};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

const OWNED: u64 = 1;
/// An event came while it was owned.
const PENDING: u64 = 2;
/// The client has closed its side.
pub(crate) const FIN: u64 = 4;
/// The connection is broken.
pub(crate) const GONE: u64 = 8;
const FLAGS: u64 = 0xffff_ffff;

/// A value, and the word that says which thread owns it: `generation << 32 | flags`.
pub(crate) struct Owned<T> {
    word: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is accessed only through a Guard, and a Guard exists only between the compare-exchange that sets OWNED and the one
// that clears it. Acquire there and Release here order one owner's writes before the next one's reads.
unsafe impl<T: Send> Sync for Owned<T> {}

/// The outcome of a claim.
pub(crate) enum Claim<'a, T> {
    /// The caller owns it.
    Mine(Guard<'a, T>),
    /// Another thread owns it, and will find PENDING.
    Busy,
    /// The generation has changed.
    Stale,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Owned<T> {
        Owned { word: AtomicU64::new(0), value: UnsafeCell::new(value) }
    }

    /// Claims it, if it is still of this generation. `noted`, FIN or GONE, is set also if another thread owns it.
    pub(crate) fn claim(&self, generation: u32, noted: u64) -> Claim<'_, T> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if (word >> 32) as u32 != generation {
                return Claim::Stale;
            }
            let busy = word & OWNED != 0;
            let next = word | noted | if busy { PENDING } else { OWNED };
            // Release as well: the owner that finds PENDING sees what this thread has done before.
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if busy => return Claim::Busy,
                Ok(_) => return Claim::Mine(Guard { owned: self, _here: PhantomData }),
                Err(now) => word = now,
            }
        }
    }

    /// Claims it whatever its generation; sets no PENDING if it is owned.
    pub(crate) fn claim_any(&self) -> Option<Guard<'_, T>> {
        let word = self.word.load(Ordering::Relaxed);
        if word & OWNED != 0 {
            return None;
        }
        self.word
            .compare_exchange(word, word | OWNED, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| Guard { owned: self, _here: PhantomData })
    }

    /// Claims it whatever its generation; if it is owned, the owner will find PENDING, and sees what this thread has done before.
    pub(crate) fn claim_or_tell(&self) -> Option<Guard<'_, T>> {
        match self.claim(self.generation(), 0) {
            Claim::Mine(guard) => Some(guard),
            Claim::Busy | Claim::Stale => None,
        }
    }

    /// Turns a Kept back into a guard. None: it belongs to another cell.
    pub(crate) fn resume(&self, kept: Kept) -> Option<Guard<'_, T>> {
        // A Kept is made only by consuming a guard, so this guard is the only one.
        (kept.0 == std::ptr::from_ref(self).addr()).then_some(Guard { owned: self, _here: PhantomData })
    }

    /// The present generation.
    pub(crate) fn generation(&self) -> u32 {
        (self.word.load(Ordering::Acquire) >> 32) as u32
    }

    /// Does a thread own it at this moment?
    pub(crate) fn is_owned(&self) -> bool {
        self.word.load(Ordering::Relaxed) & OWNED != 0
    }
}

/// Ownership without a guard: dropped, it leaves the value owned for ever. It may be moved to another thread; whoever moves it must
/// synchronize the two.
pub(crate) struct Kept(usize);

/// Ownership. `release`, `abandon` or `retire` end it, `keep` detaches it; a guard that is merely dropped leaves the value owned for ever.
pub(crate) struct Guard<'a, T> {
    owned: &'a Owned<T>,
    /// Neither Send nor Sync, since `T` need not be Sync.
    _here: PhantomData<*mut T>,
}

impl<'a, T> Guard<'a, T> {
    /// Releases it, unless events came meanwhile: then it is still owned, and must be served again.
    pub(crate) fn release(self) -> Option<Guard<'a, T>> {
        let mut word = self.owned.word.load(Ordering::Relaxed);
        loop {
            let pending = word & PENDING != 0;
            let next = word & !if pending { PENDING } else { OWNED };
            match self.owned.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if pending => return Some(self),
                Ok(_) => return None,
                Err(now) => word = now,
            }
        }
    }

    /// Releases it even if events came meanwhile; the caller re-queues it, and sees what the threads that brought them have done before.
    pub(crate) fn abandon(self) {
        self.owned.word.fetch_and(!(OWNED | PENDING), Ordering::AcqRel);
    }

    /// Releases it if `others` says that another thread will come for it. Some: it is still owned, since that thread came meanwhile, found it
    /// owned, and `others` is now false.
    pub(crate) fn leave_to(mut self, others: impl Fn(&T) -> bool) -> Option<Guard<'a, T>> {
        while others(&self) {
            self = self.release()?;
        }
        Some(self)
    }

    /// Keeps it owned until `Owned::resume`.
    pub(crate) fn keep(self) -> Kept {
        Kept(std::ptr::from_ref(self.owned).addr())
    }

    /// Releases it for good: events of this generation are stale from now on.
    pub(crate) fn retire(self) {
        let word = self.owned.word.load(Ordering::Relaxed);
        let generation = (word & !FLAGS).wrapping_add(FLAGS + 1);
        // A store would do; with a swap loom knows that it comes after all flags that were set.
        self.owned.word.swap(generation, Ordering::Release);
    }

    /// The generation, which cannot change while it is owned.
    pub(crate) fn generation(&self) -> u32 {
        self.owned.generation()
    }

    /// Has the client closed its side?
    pub(crate) fn fin(&self) -> bool {
        self.owned.word.load(Ordering::Relaxed) & (FIN | GONE) != 0
    }

    /// Is the connection broken?
    pub(crate) fn is_gone(&self) -> bool {
        self.owned.word.load(Ordering::Relaxed) & GONE != 0
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this is the only guard, see `Owned`.
        self.owned.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the only guard, see `Owned`; `&mut self` excludes other borrows of the value.
        self.owned.value.with_mut(|value| unsafe { &mut *value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn mine<T>(claim: Claim<'_, T>) -> Guard<'_, T> {
        match claim {
            Claim::Mine(guard) => guard,
            Claim::Busy => panic!("busy"),
            Claim::Stale => panic!("stale"),
        }
    }

    #[test]
    fn a_claim_of_an_owned_value_leaves_pending() {
        let owned = Owned::new(1);
        let guard = mine(owned.claim(0, 0));
        assert!(matches!(owned.claim(0, FIN), Claim::Busy));
        assert!(owned.claim_any().is_none());
        let guard = guard.release().expect("something happened");
        assert!(guard.fin());
        assert!(guard.release().is_none());
        assert!(!owned.is_owned());
    }

    #[test]
    fn what_is_kept_is_owned_until_it_is_resumed() {
        let (owned, other) = (Owned::new(1), Owned::new(2));
        let kept = mine(owned.claim(0, 0)).keep();
        assert!(matches!(owned.claim(0, FIN), Claim::Busy));
        let guard = owned.resume(kept).expect("it was this one");
        assert!(guard.fin(), "what came meanwhile is known");
        assert!(other.resume(guard.keep()).is_none(), "it was another one");
    }

    #[test]
    fn what_is_retired_is_stale() {
        let owned = Owned::new(1);
        mine(owned.claim(0, FIN)).retire();
        assert!(matches!(owned.claim(0, 0), Claim::Stale));
        assert!(!mine(owned.claim(1, 0)).fin(), "flags do not outlive their generation");
    }

    #[test]
    fn abandoned_is_free_for_the_next() {
        let owned = Owned::new(1);
        let guard = mine(owned.claim(0, 0));
        assert!(matches!(owned.claim(0, 0), Claim::Busy));
        guard.abandon();
        assert!(mine(owned.claim(0, 0)).release().is_none());
    }

    #[test]
    fn leave_to_keeps_what_the_other_thread_has_just_found_owned() {
        let owned = Owned::new(Cell::new(true));
        let others = |awaited: &Cell<bool>| {
            // The other thread brings what was waited for, and finds the value owned.
            awaited.get() && matches!(owned.claim(0, 0), Claim::Busy) && awaited.replace(false)
        };
        assert!(mine(owned.claim(0, 0)).leave_to(others).is_some(), "nobody would look again");
        let (theirs, ours) = (Owned::new(()), Owned::new(()));
        assert!(mine(theirs.claim(0, 0)).leave_to(|()| true).is_none() && !theirs.is_owned());
        assert!(mine(ours.claim(0, 0)).leave_to(|()| false).is_some() && ours.is_owned());
    }

    #[test]
    fn owners_never_meet() {
        const ROUNDS: usize = 20_000;
        let owned = Owned::new(0usize);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut done = 0;
                    while done < ROUNDS {
                        if let Claim::Mine(guard) = owned.claim(0, 0) {
                            let mut held = Some(guard);
                            while let Some(mut guard) = held {
                                *guard += 1;
                                done += 1;
                                held = guard.release();
                            }
                        }
                    }
                });
            }
        });
        assert!(*mine(owned.claim(0, 0)) >= 3 * ROUNDS, "no increment was lost");
    }
}

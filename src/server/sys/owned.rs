//! The cell that a connection lives in, and the word that says whose it is.
//!
//! Many threads see events of one connection; only the one that sets OWNED in the word may touch what is
//! in the cell. It does so for the moments in which it reads, runs a handler and writes. Who comes
//! meanwhile leaves PENDING and goes on; the owner finds it when it lets go.

use super::sync::{AtomicU64, Ordering, UnsafeCell};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

const OWNED: u64 = 1;
/// Something happened while it was owned.
const PENDING: u64 = 2;
/// The other side has ended its output.
pub(crate) const FIN: u64 = 4;
/// The connection is broken.
pub(crate) const GONE: u64 = 8;
const FLAGS: u64 = 0xffff_ffff;

/// A value, and the word that says whose it is: `generation << 32 | flags`.
pub(crate) struct Owned<T> {
    word: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is reached through a Guard only, and a Guard exists only between the compare-exchange that
// set OWNED and the one that cleared it. Acquire there and Release here make one owner's writes the next one's reads.
unsafe impl<T: Send> Sync for Owned<T> {}

/// What became of an attempt to own.
pub(crate) enum Claim<'a, T> {
    /// It is ours.
    Mine(Guard<'a, T>),
    /// Somebody else's, who will find PENDING.
    Busy,
    /// It is not what the caller means any more.
    Stale,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Owned<T> {
        Owned { word: AtomicU64::new(0), value: UnsafeCell::new(value) }
    }

    /// Owns it, if it is still of this generation. What is noted, FIN or GONE, is so in any case.
    pub(crate) fn claim(&self, generation: u32, noted: u64) -> Claim<'_, T> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if (word >> 32) as u32 != generation {
                return Claim::Stale;
            }
            let busy = word & OWNED != 0;
            let next = word | noted | if busy { PENDING } else { OWNED };
            // Release as well: the owner who finds PENDING sees what was done before.
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if busy => return Claim::Busy,
                Ok(_) => return Claim::Mine(Guard { owned: self, _here: PhantomData }),
                Err(now) => word = now,
            }
        }
    }

    /// Owns it whatever its generation, unless it is owned; leaves no PENDING.
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

    /// Owns it again, for whoever has kept it. None: it was another one that was kept.
    pub(crate) fn resume(&self, kept: Kept) -> Option<Guard<'_, T>> {
        // Nobody can make a Kept but by giving a guard up for it, so this guard is the only one.
        (kept.0 == std::ptr::from_ref(self).addr()).then_some(Guard { owned: self, _here: PhantomData })
    }

    /// The generation at this moment.
    pub(crate) fn generation(&self) -> u32 {
        (self.word.load(Ordering::Acquire) >> 32) as u32
    }

    /// Is it somebody's at this moment?
    pub(crate) fn is_owned(&self) -> bool {
        self.word.load(Ordering::Relaxed) & OWNED != 0
    }
}

/// Ownership without a guard: dropped, it leaves the value owned for ever. It may go to another thread; whoever hands it over makes the one's writes the other's reads.
pub(crate) struct Kept(usize);

/// Ownership. It is given up by `release`, `abandon` or `retire`, and put aside by `keep`; a guard that is merely dropped keeps it for ever.
pub(crate) struct Guard<'a, T> {
    owned: &'a Owned<T>,
    /// It stays with its thread, and is not shared: a `T` need not bear that.
    _here: PhantomData<*mut T>,
}

impl<'a, T> Guard<'a, T> {
    /// Gives it up, unless something happened meanwhile: then it is still ours, to look again.
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

    /// Gives it up although something may have happened; the caller queues it anew.
    pub(crate) fn abandon(self) {
        self.owned.word.fetch_and(!(OWNED | PENDING), Ordering::Release);
    }

    /// Gives it up to whoever `others` says it is for. It is still ours where they came, and found it owned, while that was asked, and it
    /// is not for them any more.
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

    /// Gives it up for good: events of this generation mean nothing from now on.
    pub(crate) fn retire(self) {
        let word = self.owned.word.load(Ordering::Relaxed);
        let generation = (word & !FLAGS).wrapping_add(FLAGS + 1);
        // A store would do; of a swap loom knows that it comes after all that was noted.
        self.owned.word.swap(generation, Ordering::Release);
    }

    /// The generation, which stays while it is owned.
    pub(crate) fn generation(&self) -> u32 {
        self.owned.generation()
    }

    /// Has the other side ended its output?
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
        // SAFETY: this guard is the only one, see `Owned`.
        self.owned.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one, see `Owned`; `&mut self` makes this borrow of it the only one.
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
    fn who_comes_meanwhile_leaves_word() {
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
    fn what_is_left_to_others_who_have_just_come_is_nobodys_else() {
        let owned = Owned::new(Cell::new(true));
        let others = |awaited: &Cell<bool>| {
            // They bring what was waited for, and find it owned.
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

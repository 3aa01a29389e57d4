//! The baton of a lane: a value, and an atomic word that says which thread owns it.
//!
//! The thread that holds the baton owns the value. During a service it marks the word SERVING and does not touch the value: if the
//! service takes too long, another thread may take over the baton, and with it the value.

use super::sync::{AtomicU64, Ordering, UnsafeCell};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// No thread owns it.
const FREE: u64 = 0;
/// Its holder polls, or picks the next event.
const HELD: u64 = 1;
/// Its holder is in a service.
const SERVING: u64 = 2;
const STATE: u64 = 3;
/// The bits above the state are a number that only grows.
const STEP: u64 = 4;

/// A value, and the word that says which thread owns it: `number << 2 | state`.
pub(crate) struct Baton<T> {
    word: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is accessed only through a Held. A Held is created by the compare-exchange that sets HELD, which only one thread can
// win, and is consumed by the store of another state. Release there and Acquire here order one holder's writes before the next one's reads.
unsafe impl<T: Send> Sync for Baton<T> {}

/// A value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Word(u64);

impl Word {
    /// Is it free, that is, owned by no thread?
    pub(crate) fn is_free(self) -> bool {
        self.0 & STATE == FREE
    }

    /// Does its holder serve?
    pub(crate) fn is_serving(self) -> bool {
        self.0 & STATE == SERVING
    }

    fn next(self, state: u64) -> u64 {
        (self.0 & !STATE).wrapping_add(STEP) | state
    }
}

/// A service begun by the holder. Another thread may have taken the baton over since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service(u64);

impl Service {
    /// The word as a number that is never 0.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The service with this number.
    pub(crate) fn of(number: u64) -> Service {
        Service(number)
    }
}

impl<T> Baton<T> {
    pub(crate) fn new(value: T) -> Baton<T> {
        Baton { word: AtomicU64::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Reads the word.
    pub(crate) fn look(&self) -> Word {
        Word(self.word.load(Ordering::Relaxed))
    }

    /// Takes it, if it is free.
    pub(crate) fn take(&self) -> Option<Held<'_, T>> {
        let word = self.look();
        if word.0 & STATE == FREE { self.win(word) } else { None }
    }

    /// Takes it from a holder that has been in the same service since the word was `seen`.
    pub(crate) fn take_over(&self, seen: Word) -> Option<Held<'_, T>> {
        if seen.is_serving() { self.win(seen) } else { None }
    }

    fn win(&self, word: Word) -> Option<Held<'_, T>> {
        let held = word.next(HELD);
        self.word.compare_exchange(word.0, held, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Held { baton: self, word: Word(held), _here: PhantomData })
    }

    /// Ends the service and holds the baton again. None: another thread has taken it over.
    pub(crate) fn resume(&self, service: Service) -> Option<Held<'_, T>> {
        let held = service.0 & !STATE | HELD;
        // Relaxed would do, since no other thread has touched the value; Acquire costs nothing here and needs no proof.
        self.word.compare_exchange(service.0, held, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Held { baton: self, word: Word(held), _here: PhantomData })
    }

    /// Frees it during a service. False: another thread has taken it over.
    pub(crate) fn lay_down(&self, service: Service) -> bool {
        let free = Word(service.0).next(FREE);
        self.word.compare_exchange(service.0, free, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Is this service still on, that is, was the baton not taken over?
    pub(crate) fn is_on(&self, service: Service) -> bool {
        self.look().0 == service.0
    }
}

/// The right to access the value. A Held that is dropped without `serve` or `lay_down` leaves the baton HELD for ever.
pub(crate) struct Held<'b, T> {
    baton: &'b Baton<T>,
    word: Word,
    /// Not Send: it stays with its thread.
    _here: PhantomData<*mut T>,
}

impl<T> Held<'_, T> {
    /// Begins a service, during which another thread may take the baton over.
    pub(crate) fn serve(self) -> Service {
        let serving = self.word.next(SERVING);
        self.baton.word.store(serving, Ordering::Release);
        Service(serving)
    }

    /// Frees it.
    pub(crate) fn lay_down(self) {
        self.baton.word.store(self.word.next(FREE), Ordering::Release);
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the word is HELD for this Held alone, see `Baton`.
        self.baton.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the word is HELD for this Held alone, see `Baton`; `&mut self` excludes other borrows of it.
        self.baton.value.with_mut(|value| unsafe { &mut *value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_in_time_goes_on_holding() {
        let baton = Baton::new(1);
        let mut held = baton.take().expect("it is free");
        *held += 1;
        assert!(baton.take().is_none(), "it is held");
        let service = held.serve();
        assert!(baton.is_on(service) && baton.take().is_none());
        assert_eq!(*baton.resume(service).expect("in time"), 2);
    }

    #[test]
    fn a_service_that_takes_too_long_loses_the_baton() {
        let baton = Baton::new(1);
        let service = baton.take().expect("free").serve();
        let seen = baton.look();
        let held = baton.take_over(seen).expect("still the same service");
        assert!(!baton.is_on(service) && baton.resume(service).is_none() && !baton.lay_down(service));
        held.lay_down();
        assert!(baton.take().is_some());
    }

    #[test]
    fn each_service_has_a_number_of_its_own() {
        let baton = Baton::new(1);
        let first = baton.take().expect("free").serve();
        let seen = baton.look();
        let second = baton.resume(first).expect("in time").serve();
        assert!(baton.take_over(seen).is_none(), "what was seen is over");
        assert!(baton.is_on(second));
    }

    #[test]
    fn what_is_held_is_not_taken_over() {
        let baton = Baton::new(1);
        let _held = baton.take().expect("free");
        assert!(baton.take_over(baton.look()).is_none());
    }

    #[test]
    fn a_baton_laid_down_in_a_service_is_free() {
        let baton = Baton::new(1);
        let service = baton.take().expect("free").serve();
        assert!(baton.lay_down(service));
        assert!(baton.resume(service).is_none());
        assert!(baton.take().is_some());
    }
}

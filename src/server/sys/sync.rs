//! Synchronization primitives that `tests/loom` can replace.
//!
//! The parts of the server where threads meet (`baton.rs`, `owned.rs`, `../rest.rs`, `../leftover.rs`, `../verdict.rs`, `../wakes.rs`,
//! `../charge.rs`) import them from here, so that `tests/loom` can substitute its own types, which try all interleavings.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

/// A lock that a thread may hold, or wait for, for long. It is the standard library's, without poisoning: parking_lot keeps all waiting
/// threads in one table of the process, whose copy in a fork's child names threads that do not exist there.
#[derive(Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

/// A lock that is held briefly.
pub(crate) type Brief<T> = parking_lot::Mutex<T>;

/// A lock that is held. None only while its thread waits for a Condvar.
pub(crate) struct MutexGuard<'a, T>(Option<std::sync::MutexGuard<'a, T>>);

const HELD: &str = "a guard is there but for waits";

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(HELD)
    }
}

/// Where threads wait for a change of what a lock guards.
#[derive(Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar::default()
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect(HELD);
        guard.0 = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits at most for `time`.
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, time: Duration) {
        let held = guard.0.take().expect(HELD);
        guard.0 = Some(self.0.wait_timeout(held, time).unwrap_or_else(PoisonError::into_inner).0);
    }

    /// Waits at most until `end`. False: the time is up.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, end: Instant) -> bool {
        self.wait_for(guard, end.saturating_duration_since(Instant::now()));
        Instant::now() < end
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A value to which something else controls the access.
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    /// Calls `read` with a pointer for reading.
    #[inline(always)]
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Calls `change` with a pointer for writing.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, change: impl FnOnce(*mut T) -> R) -> R {
        change(self.0.get())
    }
}

/// A number that no other live thread has. The standard library's id would be allocated on the host's threads, and stay.
pub(crate) fn this_thread() -> usize {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

//! Replaces `src/server/sys/sync.rs`: the same names, as types that loom observes.

pub(crate) use loom::cell::UnsafeCell;
use loom::sync::atomic;
pub(crate) use loom::sync::atomic::{Ordering, fence};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

/// An atomic of loom's, each load of which is a scheduling point.
///
/// Loom remembers only the last access to an atomic, so it would not try a store of one thread before the load of another if a third load
/// lies in between. A write to another atomic before each load makes it try all orders. It synchronizes nothing.
pub(crate) struct Atomic<A> {
    atomic: A,
    turn: atomic::AtomicUsize,
}

pub(crate) type AtomicBool = Atomic<atomic::AtomicBool>;
pub(crate) type AtomicU64 = Atomic<atomic::AtomicU64>;
pub(crate) type AtomicUsize = Atomic<atomic::AtomicUsize>;

impl<A> Deref for Atomic<A> {
    type Target = A;
    fn deref(&self) -> &A {
        &self.atomic
    }
}

macro_rules! atomics {
    ($($name:ident: $value:ty),*) => { $(
        impl $name {
            pub(crate) fn new(value: $value) -> $name {
                Atomic { atomic: atomic::$name::new(value), turn: atomic::AtomicUsize::new(0) }
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.turn.fetch_add(1, Ordering::Relaxed);
                self.atomic.load(order)
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::new(Default::default())
            }
        }
    )* };
}

atomics!(AtomicBool: bool, AtomicU64: u64, AtomicUsize: usize);

/// Loom's lock with the interface of `sync.rs`, without poisoning.
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self.0.lock().ok())
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

/// A lock that is held briefly: here like any other.
#[derive(Default)]
pub(crate) struct Brief<T>(Mutex<T>);

impl<T> Brief<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock()
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        Some(self.lock())
    }
}

/// None only during [`Condvar::wait`].
pub(crate) struct MutexGuard<'m, T>(Option<loom::sync::MutexGuard<'m, T>>);

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is locked")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("it is locked")
    }
}

pub(crate) struct Condvar(loom::sync::Condvar);

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let locked = guard.0.take().expect("it is locked");
        guard.0 = self.0.wait(locked).ok();
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Loom's threads share one thread of the system.
pub(crate) fn this_thread() -> usize {
    let mut hasher = DefaultHasher::new();
    loom::thread::current().id().hash(&mut hasher);
    hasher.finish() as usize
}

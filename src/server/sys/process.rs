//! Properties of the whole process: its limit of open files, and its signals.

use std::cell::Cell;

/// How many files the process may have open.
pub(crate) fn open_file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if result == 0 { limit.rlim_cur } else { 1024 }
}

/// Runs `spawn` with all signals blocked, so that the host's signal handlers never run on a thread started there.
pub(crate) fn with_signals_blocked<R>(spawn: impl FnOnce() -> R) -> R {
    let _restore = Blocked::all();
    spawn()
}

thread_local! {
    /// Was this thread started with all signals blocked?
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Notes that this thread was started inside `with_signals_blocked`.
pub(crate) fn this_thread_is_ours() {
    IS_OURS.set(true);
}

/// Makes a call that cannot take MSG_NOSIGNAL; on a thread of the host's, its SIGPIPE is blocked and consumed.
pub(crate) fn without_sigpipe<R>(call: impl FnOnce() -> R) -> R {
    if IS_OURS.get() {
        return call();
    }
    let mut pipe = empty_set();
    // SAFETY: `pipe` is a live set.
    unsafe { libc::sigaddset(&raw mut pipe, libc::SIGPIPE) };
    let restore = Blocked::these(&pipe);
    let mut pending = empty_set();
    // SAFETY: `pending` is writable.
    unsafe { libc::sigpending(&raw mut pending) };
    // SAFETY: `pending` was filled by the call above.
    let was_pending = unsafe { libc::sigismember(&raw const pending, libc::SIGPIPE) } == 1;
    let result = call();
    if !was_pending {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both live during the call, which consumes the signal that `call` may have raised.
        unsafe { libc::sigtimedwait(&raw const pipe, std::ptr::null_mut(), &raw const at_once) };
    }
    drop(restore);
    result
}

fn empty_set() -> libc::sigset_t {
    // SAFETY: a set of bits, for which all zeros is a valid value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable.
    unsafe { libc::sigemptyset(&raw mut set) };
    set
}

/// Restores the signal mask when it is dropped, also by a panic.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> Blocked {
        let mut all = empty_set();
        // SAFETY: `all` is writable.
        unsafe { libc::sigfillset(&raw mut all) };
        Blocked::these(&all)
    }

    fn these(set: &libc::sigset_t) -> Blocked {
        let mut before = empty_set();
        // SAFETY: both sets are live; the call fails only for an unknown `how`.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set, &raw mut before) };
        Blocked(before)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set was filled by the call that blocked.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// A thread whose waits end when it gets a signal.
#[cfg(test)]
pub(crate) struct Interruptible(libc::pthread_t);

#[cfg(test)]
impl Interruptible {
    pub(crate) fn this_thread() -> Interruptible {
        extern "C" fn only_interrupt(_: libc::c_int) {}
        let handler = only_interrupt as extern "C" fn(libc::c_int);
        // SAFETY: the handler does nothing, so it may run anywhere.
        unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
        // SAFETY: takes no pointers.
        Interruptible(unsafe { libc::pthread_self() })
    }

    /// The thread must not have ended.
    pub(crate) fn interrupt(&self) {
        // SAFETY: the caller vouches for the thread, and the signal has a handler.
        unsafe { libc::pthread_kill(self.0, libc::SIGUSR1) };
    }
}

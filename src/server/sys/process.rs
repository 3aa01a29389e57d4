//! What belongs to the whole process: its limit of files, and the signals of new threads.

/// How many files the process may have open.
pub(crate) fn open_file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if result == 0 { limit.rlim_cur } else { 1024 }
}

/// Runs `spawn` with all signals blocked, so that a thread it makes never runs the host's signal handlers.
pub(crate) fn with_signals_blocked<R>(spawn: impl FnOnce() -> R) -> R {
    let _restore = Blocked::all();
    spawn()
}

/// Signals are as they were again when this is dropped, also by a panic.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> Blocked {
        // SAFETY: a set of bits, for which all zeros is a value.
        let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
        let mut all = before;
        // SAFETY: `all` is writable.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: both sets are live; the call fails only for an unknown `how`.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
        Blocked(before)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set was filled by the call that blocked.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

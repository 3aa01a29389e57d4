//! Descriptors that become readable on request, or after a time; and waits with `poll(2)`.

use super::checked;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// A descriptor that is readable from a `raise` to the next `lower`.
pub(crate) struct Flag(OwnedFd);

impl Flag {
    pub(crate) fn new() -> io::Result<Flag> {
        Flag::with(0)
    }

    /// One for which each `raise` takes one `lower`.
    pub(crate) fn counting() -> io::Result<Flag> {
        Flag::with(libc::EFD_SEMAPHORE)
    }

    fn with(flags: libc::c_int) -> io::Result<Flag> {
        // SAFETY: takes no pointers.
        let fd = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK | flags) })?;
        // SAFETY: `fd` is open, and has no other owner.
        Ok(Flag(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable with one write, as a signal handler may; preserves errno.
    pub(crate) fn raise(&self) {
        let one = 1u64;
        // SAFETY: the location of this thread's errno is valid while the thread lives.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: `errno` points to this thread's errno.
        let before = unsafe { *errno };
        // SAFETY: an eventfd takes the eight bytes of `one`. The write fails only after 2^64 raises.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
        // SAFETY: as above.
        unsafe { *errno = before };
    }
}

impl Flag {
    /// Makes it unreadable again.
    pub(crate) fn lower(&self) {
        let mut count = 0u64;
        // SAFETY: an eventfd writes eight bytes into `count`. The read fails, harmlessly, if it was not raised.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }

    /// Waits until it is raised, the time is up, or a signal has come.
    pub(crate) fn wait(&self, end: Option<Instant>) -> Waited {
        poll_both(self.as_fd(), Readiness::Input, None, end)
    }
}

impl AsFd for Flag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor that becomes readable after each period.
pub(crate) struct Timer(OwnedFd);

impl Timer {
    pub(crate) fn new() -> io::Result<Timer> {
        // SAFETY: takes no pointers.
        let fd = checked(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) })?;
        // SAFETY: `fd` is open, and has no other owner.
        Ok(Timer(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Ticks every `period` from now on; zero stops it.
    pub(crate) fn set(&self, period: Duration) -> io::Result<()> {
        let time = libc::timespec { tv_sec: period.as_secs() as libc::time_t, tv_nsec: libc::c_long::from(period.subsec_nanos()) };
        let spec = libc::itimerspec { it_interval: time, it_value: time };
        // SAFETY: `spec` lives during the call; the old value is not requested.
        checked(unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut()) })?;
        Ok(())
    }

    /// Consumes the ticks so far.
    pub(crate) fn take(&self) {
        let mut ticks = 0u64;
        // SAFETY: a timerfd writes eight bytes into `ticks`. The read fails, harmlessly, if another thread was faster.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut ticks).cast(), size_of::<u64>()) };
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What to wait for.
#[derive(Clone, Copy)]
pub(crate) enum Readiness {
    Input,
    Output,
}

/// The outcome of a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The descriptor is ready, or broken.
    Ready,
    /// The time is up.
    Late,
    /// The other descriptor is readable.
    Other,
    /// A signal has come.
    Signal,
}

/// Waits until `fd` is readable; without end if `end` is None. False: the time is up.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, end: Option<Instant>) -> bool {
    wait_ready(fd, Readiness::Input, end.map(|end| end.saturating_duration_since(Instant::now())), None) == Waited::Ready
}

/// Waits until `fd` is ready or broken, or `other` is readable; at most for `time`, without end if None.
pub(crate) fn wait_ready(fd: BorrowedFd<'_>, readiness: Readiness, time: Option<Duration>, other: Option<BorrowedFd<'_>>) -> Waited {
    let end = time.map(|time| Instant::now() + time);
    loop {
        match poll_both(fd, readiness, other, end) {
            Waited::Signal => {}
            Waited::Late if end.is_some_and(|end| Instant::now() < end) => {}
            waited => return waited,
        }
    }
}

/// Waits until one of the two is readable, the time is up, or a signal has come.
pub(crate) fn wait_for_either(fd: BorrowedFd<'_>, other: BorrowedFd<'_>, end: Option<Instant>) -> Waited {
    poll_both(fd, Readiness::Input, Some(other), end)
}

fn poll_both(fd: BorrowedFd<'_>, readiness: Readiness, other: Option<BorrowedFd<'_>>, end: Option<Instant>) -> Waited {
    let events = match readiness {
        Readiness::Input => libc::POLLIN,
        Readiness::Output => libc::POLLOUT,
    };
    let left = end.map(|end| end.saturating_duration_since(Instant::now()));
    // Rounded up, so that the end of the wait is not a busy loop with a time of 0.
    let ms = left.map_or(-1, |left| libc::c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX));
    // poll ignores negative descriptors.
    let other = other.map_or(-1, |other| other.as_raw_fd());
    let mut polls = [libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }, libc::pollfd { fd: other, events: libc::POLLIN, revents: 0 }];
    // SAFETY: `polls` has two entries, and lives during the call.
    match unsafe { libc::poll(polls.as_mut_ptr(), 2, ms) } {
        0 => Waited::Late,
        // For any other error, too, the caller can only try again.
        count if count < 0 => Waited::Signal,
        _ if polls[0].revents != 0 => Waited::Ready,
        _ => Waited::Other,
    }
}

//! Readiness: one epoll instance, edge-triggered.

use super::checked;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Input, and the end of the client's output.
pub(crate) const READ: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET) as u32;
/// The same, and room for output.
pub(crate) const READ_WRITE: u32 = READ | libc::EPOLLOUT as u32;
/// Input, level-triggered: reported to every thread until it is consumed.
pub(crate) const READ_LEVEL: u32 = libc::EPOLLIN as u32;
/// Only what epoll always reports: that the descriptor is broken.
pub(crate) const NOTHING: u32 = 0;
/// In an event: the client has closed its side.
pub(crate) const FIN: u32 = libc::EPOLLRDHUP as u32;
/// In an event: the connection is broken, or both sides are closed.
pub(crate) const GONE: u32 = (libc::EPOLLHUP | libc::EPOLLERR) as u32;

/// An event: what is ready, and the token it was registered with.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Event(libc::epoll_event);

impl Event {
    pub(crate) const NONE: Event = Event(libc::epoll_event { events: 0, u64: 0 });

    pub(crate) fn ready(&self) -> u32 {
        self.0.events
    }

    pub(crate) fn token(&self) -> u64 {
        self.0.u64
    }
}

/// An epoll descriptor.
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: takes no pointers.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` is open, and has no other owner.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Registers `fd`. If it is ready already, that causes an event.
    pub(crate) fn add(&self, fd: RawFd, interest: u32, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, interest, token)
    }

    /// Changes the registration. If `fd` is ready, that causes an event again, so this also re-queues it.
    pub(crate) fn modify(&self, fd: RawFd, interest: u32, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, interest, token)
    }

    /// Waits for events, at most for `ms` milliseconds, or without end if that is negative. Returns their number.
    pub(crate) fn wait(&self, events: &mut [Event], ms: libc::c_int) -> io::Result<usize> {
        let most = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: `events` has room for `most` entries, and Event has the layout of epoll_event.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr().cast(), most, ms) };
        Ok(checked(count)? as usize)
    }

    /// The descriptor, which is readable while there are events.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, interest: u32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest, u64: token };
        // SAFETY: `event` lives during the call; for a descriptor that is not open the call fails with EBADF.
        checked(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &raw mut event) })?;
        Ok(())
    }
}

//! Sockets: what goes in and out of a connection, and how one is accepted.

use super::process::without_sigpipe;
use super::{checked, checked_len};
use crate::request::Peer;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{SockAddr, SockAddrStorage};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Receives once, into the room that `buffer` has left, at most `most` bytes. Ok(0): the other side has ended its output.
#[inline]
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let room = buffer.spare_capacity_mut();
    let most = most.min(room.len());
    // Not by way of libc, where it is a cancellation point: that takes 80 of the 3,000 instructions of a small request.
    let (_, count) = rustix::net::recv(fd, &mut room[..most], RecvFlags::empty())?;
    let len = buffer.len() + count;
    // SAFETY: the kernel wrote `count` bytes after the old end, and those are within the capacity.
    unsafe { buffer.set_len(len) };
    Ok(count)
}

/// Sends what the socket takes. A peer that is gone is an error, never a signal.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, SendFlags::NOSIGNAL)?)
}

/// Sends what the socket takes of several slices, in one call. With `more`, the next packet may wait for what follows.
pub(crate) fn send_slices(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    // SAFETY: a message of nulls and zeros is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // An IoSlice is an iovec in memory, says its documentation.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len().min(libc::UIO_MAXIOV as usize);
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: the message names `slices` only, which are readable; sendmsg writes to none of it.
    checked_len(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) })
}

/// Sends what the socket takes of a part of a file, without copying it. 0: the file ends before `offset`.
pub(crate) fn send_file(fd: BorrowedFd<'_>, file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<usize> {
    let mut offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    without_sigpipe(|| {
        // SAFETY: `offset` is writable; both descriptors are borrowed, so they are open.
        checked_len(unsafe { libc::sendfile(fd.as_raw_fd(), file.as_raw_fd(), &raw mut offset, len) })
    })
}

/// Ends our output; the other side can still send.
pub(crate) fn end_output(fd: BorrowedFd<'_>) {
    // SAFETY: takes no pointers. It fails where the other side is gone already, which is as well.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) };
}

/// The other side will see a reset where it would have seen a regular end.
pub(crate) fn reset_at_close(fd: BorrowedFd<'_>) {
    // It fails where the connection is broken already, which is as well.
    let _ = socket2::SockRef::from(&fd).set_linger(Some(std::time::Duration::ZERO));
}

/// Ends both directions of a socket that somebody else works with; the caller has made sure that `fd` is meant.
pub(crate) fn cut(fd: RawFd) {
    // SAFETY: takes no pointers; a number that is no socket is answered with an error.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

/// Another descriptor for a socket that is not the caller's, who has made sure that `fd` is meant.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers; a number that is not open is answered with EBADF.
    let copy = checked(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: `copy` is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Lets the kernel keep connections back until their first bytes are there, at most about so long.
pub(crate) fn defer_accept(fd: BorrowedFd<'_>, seconds: u32) -> io::Result<()> {
    let seconds = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX);
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option is an int, and `seconds` is one.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, (&raw const seconds).cast(), len) })?;
    Ok(())
}

/// Accepts one connection: non-blocking, and closed in programs that the host starts.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Peer)> {
    let mut storage = SockAddrStorage::zeroed();
    let mut len = storage.size_of();
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: `storage` is writable for `len` bytes, and `len` itself is writable.
    let fd = checked(unsafe { libc::accept4(listener.as_raw_fd(), (&raw mut storage).cast(), &raw mut len, flags) })?;
    // SAFETY: `fd` is open and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the kernel wrote an address of `len` bytes.
    let address = unsafe { SockAddr::new(storage, len) };
    Ok((fd, peer(&address)))
}

/// Is this error of `accept` about one connection only, or about nothing?
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
        || matches!(error.raw_os_error(), Some(libc::EPROTO | libc::ENETDOWN | libc::EHOSTDOWN | libc::EHOSTUNREACH | libc::ENETUNREACH))
}

fn peer(address: &SockAddr) -> Peer {
    match address.as_socket() {
        // A dual-stack listener shows IPv4 clients as ::ffff:a.b.c.d; they are known by their IPv4 address.
        Some(address) => Peer::Ip(address.ip().to_canonical()),
        None => Peer::Unix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_accept_says_again_and_again_is_not_passing() {
        let passes = |number| is_passing(&io::Error::from_raw_os_error(number));
        for one_connection in [libc::ECONNABORTED, libc::EPROTO, libc::ENETDOWN, libc::EHOSTUNREACH, libc::EINTR] {
            assert!(passes(one_connection), "{one_connection}");
        }
        // A sandbox says it before the connection is taken out of the queue.
        for all in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EINVAL, libc::EACCES, libc::EPERM] {
            assert!(!passes(all), "{all}");
        }
    }
}

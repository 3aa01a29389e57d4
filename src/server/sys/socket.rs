//! Sockets: what goes in and out of a connection, and how one is accepted.

use super::process::without_sigpipe;
use super::{checked, checked_len};
use crate::request::Peer;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{SockAddr, SockAddrStorage};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Receives once, at most `most` bytes, into the spare capacity of `buffer`. Ok(0): the client has closed its side.
#[inline]
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let room = buffer.spare_capacity_mut();
    let most = most.min(room.len());
    // Not through libc, where recv is a cancellation point: that takes 80 of the 3,000 instructions of a small request.
    let (_, count) = rustix::net::recv(fd, &mut room[..most], RecvFlags::empty())?;
    let len = buffer.len() + count;
    // SAFETY: the kernel has written `count` bytes after the old end, within the capacity.
    unsafe { buffer.set_len(len) };
    Ok(count)
}

/// Sends what the socket takes. A client that is gone is an error, never a signal.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, SendFlags::NOSIGNAL)?)
}

/// Sends what the socket takes of several slices, in one call. With `more`, the last packet may wait for further data.
pub(crate) fn send_slices(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    // SAFETY: a message of nulls and zeros is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // IoSlice has the layout of iovec, by its documentation.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len().min(libc::UIO_MAXIOV as usize);
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: the message names `slices` only, which are readable; sendmsg writes to none of it.
    checked_len(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) })
}

/// Sends what the socket takes of a part of a file, without copying. 0: the file ends before `offset`.
pub(crate) fn send_file(fd: BorrowedFd<'_>, file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<usize> {
    let mut offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    without_sigpipe(|| {
        // SAFETY: `offset` is writable; both descriptors are borrowed, so they are open.
        checked_len(unsafe { libc::sendfile(fd.as_raw_fd(), file.as_raw_fd(), &raw mut offset, len) })
    })
}

/// Shuts down our output; the client can still send.
pub(crate) fn end_output(fd: BorrowedFd<'_>) {
    // SAFETY: takes no pointers. It fails if the client is gone already, which is harmless.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) };
}

/// Makes the close of the socket a reset instead of a regular end.
pub(crate) fn reset_at_close(fd: BorrowedFd<'_>) {
    // It fails if the connection is broken already, which is harmless.
    let _ = socket2::SockRef::from(&fd).set_linger(Some(std::time::Duration::ZERO));
}

/// Shuts down both directions of a socket that another thread uses. The caller must ensure that `fd` still is that socket.
pub(crate) fn cut(fd: RawFd) {
    // SAFETY: takes no pointers; for a number that is no socket the call fails.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

/// Duplicates a descriptor that the caller does not own. The caller must ensure that `fd` still is that socket.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers; for a number that is not open the call fails with EBADF.
    let copy = checked(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: `copy` is open, and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Makes the kernel defer the accept of connections until their first bytes are there, for about `seconds` at most.
pub(crate) fn defer_accept(fd: BorrowedFd<'_>, seconds: u32) -> io::Result<()> {
    let seconds = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX);
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option is an int, and `seconds` is one.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, (&raw const seconds).cast(), len) })?;
    Ok(())
}

/// Accepts one connection: non-blocking and close-on-exec.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Peer)> {
    let mut storage = SockAddrStorage::zeroed();
    let mut len = storage.size_of();
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: `storage` is writable for `len` bytes, and `len` itself is writable.
    let fd = checked(unsafe { libc::accept4(listener.as_raw_fd(), (&raw mut storage).cast(), &raw mut len, flags) })?;
    // SAFETY: `fd` is open, and has no other owner.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the kernel wrote an address of `len` bytes.
    let address = unsafe { SockAddr::new(storage, len) };
    Ok((fd, peer(&address)))
}

/// Does this error of `accept` concern one connection only, or none?
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
        || matches!(error.raw_os_error(), Some(libc::EPROTO | libc::ENETDOWN | libc::EHOSTDOWN | libc::EHOSTUNREACH | libc::ENETUNREACH))
}

fn peer(address: &SockAddr) -> Peer {
    match address.as_socket() {
        // A dual-stack listener reports IPv4 clients as ::ffff:a.b.c.d.
        Some(address) => Peer::Ip(address.ip().to_canonical()),
        None => Peer::Unix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persistent_errors_of_accept_are_not_passing() {
        let passes = |number| is_passing(&io::Error::from_raw_os_error(number));
        for one_connection in [libc::ECONNABORTED, libc::EPROTO, libc::ENETDOWN, libc::EHOSTUNREACH, libc::EINTR] {
            assert!(passes(one_connection), "{one_connection}");
        }
        // A sandbox's error: it comes before the connection is taken from the queue, so it would repeat.
        for all in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EINVAL, libc::EACCES, libc::EPERM] {
            assert!(!passes(all), "{all}");
        }
    }
}

//! Sends output to sockets.

use super::sys::socket;
use crate::output::{Next, Output, SLICES};
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes sent to one connection per turn.
const TURN: usize = 1024 * 1024;

/// The outcome of sending.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All is sent.
    All,
    /// The socket takes no more.
    Blocked,
    /// The socket may take more, but other connections come first.
    Enough,
}

/// Sends until all is sent, the socket takes no more, or the turn's budget is used up.
#[inline(always)]
pub(super) fn send_output(socket: BorrowedFd<'_>, output: &mut Output) -> io::Result<Sent> {
    let from = output.sent();
    // Mostly one call sends all.
    if let Some(bytes @ [_, ..]) = output.single() {
        let len = bytes.len();
        let count = match socket::send(socket, bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Sent::Blocked),
            Err(error) => return Err(error),
        };
        output.advance(count);
        if count == len {
            return Ok(Sent::All);
        }
    }
    send_rest(socket, output, from)
}

/// Continues a turn that began when `from` bytes were sent.
#[inline(never)]
fn send_rest(socket: BorrowedFd<'_>, output: &mut Output, from: usize) -> io::Result<Sent> {
    while !output.is_empty() {
        if output.sent() - from >= TURN {
            return Ok(Sent::Enough);
        }
        match send_some(socket, output) {
            Ok(count) => output.advance(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Sent::Blocked),
            Err(error) => return Err(error),
        }
    }
    Ok(Sent::All)
}

/// Makes one system call.
fn send_some(socket: BorrowedFd<'_>, output: &Output) -> io::Result<usize> {
    if let Some(bytes) = output.single() {
        return socket::send(socket, bytes);
    }
    let mut slices = [IoSlice::new(&[]); SLICES];
    match output.next(&mut slices) {
        Next::Slices { count, more } => socket::send_slices(socket, &slices[..count], more),
        Next::File { file, offset, len } => match socket::send_file(socket, file.as_fd(), offset, len.min(TURN))? {
            // The file has become shorter than its announced length, and no other bytes could replace the missing ones.
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        },
    }
}

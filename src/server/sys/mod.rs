//! System calls and what needs `unsafe`; only this folder and `ffi` may contain it.

#![allow(unsafe_code, reason = "system calls, and the cell that connections are owned through")]

pub(super) mod baton;
pub(super) mod clock;
pub(super) mod epoll;
pub(super) mod event;
pub(super) mod fork;
pub(super) mod owned;
pub(super) mod process;
pub(super) mod socket;
pub(super) mod sync;

use std::io;

/// The result of a system call that returns -1 on failure.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The result of a system call that returns a length, or -1 on failure.
fn checked_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

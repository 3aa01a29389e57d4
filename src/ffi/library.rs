//! `hasty_*`: the library itself.

use super::guard::{guard, last_error};
use super::handle;
use super::types::*;
use std::ffi::c_char;

/// The version of the ABI; it changes only when programs must be recompiled.
const ABI_VERSION: u32 = 0;

/// Returns the ABI's number. Programs compiled for the same number work with this library.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_abi_version() -> u32 {
    ABI_VERSION
}

/// Returns the library's version, such as "0.1.0". Static.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Returns a status's name, such as "HASTY_ERR_INVALID"; "unknown" for any other number. Static.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_status_name(status: hasty_status) -> *const c_char {
    status_name(status).as_ptr()
}

pub(super) fn status_name(status: hasty_status) -> &'static std::ffi::CStr {
    match status {
        HASTY_OK => c"HASTY_OK",
        HASTY_ERR_NULL => c"HASTY_ERR_NULL",
        HASTY_ERR_INVALID => c"HASTY_ERR_INVALID",
        HASTY_ERR_STATE => c"HASTY_ERR_STATE",
        HASTY_ERR_IO => c"HASTY_ERR_IO",
        HASTY_ERR_CLOSED => c"HASTY_ERR_CLOSED",
        HASTY_ERR_TIMEOUT => c"HASTY_ERR_TIMEOUT",
        HASTY_ERR_PANIC => c"HASTY_ERR_PANIC",
        HASTY_ERR_LIMIT => c"HASTY_ERR_LIMIT",
        HASTY_ERR_NOT_FOUND => c"HASTY_ERR_NOT_FOUND",
        HASTY_ERR_UNSUPPORTED => c"HASTY_ERR_UNSUPPORTED",
        HASTY_NEXT => c"HASTY_NEXT",
        _ => c"unknown",
    }
}

/// Returns what went wrong in this thread's last failing call, naming the value and the rule.
///
/// Only a call that returns a failing status changes it; success neither clears nor moves it, and neither do
/// `HASTY_ERR_TIMEOUT` and `HASTY_ERR_CLOSED`. Absent before the first failure. Valid until the next one.
///
/// Threads: each thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_last_error() -> hasty_str {
    guard(|| Ok(last_error()))
}

/// Like `hasty_last_error()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_last_error_to(out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: as the caller vouches.
        unsafe { handle::write(out, last_error()) }
    })
}

//! Conversion of pointers from C, with the checks for NULL.

use super::types::*;
use crate::error::{Error, Kind, Result};
use crate::text::Text;
use std::ffi::{CStr, c_char, c_void};

/// An opaque C type and the Rust type behind it.
pub(super) trait Handle {
    /// The type behind the pointer.
    type Inner;
    /// Its C name, for messages.
    const NAME: &'static str;
}

/// The error for a required pointer that is NULL. Not inlined: it would take 40 bytes in each of over two hundred functions.
#[cold]
#[inline(never)]
pub(super) fn null(name: &'static str) -> Error {
    Error::late(Kind::Null, NullWords(name))
}

struct NullWords(&'static str);

impl std::fmt::Display for NullWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} must not be NULL", self.0)
    }
}

/// A shared borrow of the value behind `handle`.
///
/// # Safety
/// `handle` is NULL or live, and the value behind it is not changed during `'a`.
pub(super) unsafe fn borrow<'a, H: Handle>(handle: *const H) -> Result<&'a H::Inner> {
    // SAFETY: every `*const H` handed out was made from a `*const H::Inner`; the caller vouches for its lifetime.
    unsafe { handle.cast::<H::Inner>().as_ref() }.ok_or_else(|| null(H::NAME))
}

/// An exclusive borrow of the value behind `handle`.
///
/// # Safety
/// `handle` is NULL or live, and the value behind it is accessed only through the result during `'a`.
pub(super) unsafe fn borrow_mut<'a, H: Handle>(handle: *mut H) -> Result<&'a mut H::Inner> {
    // SAFETY: every `*mut H` handed out was made from a `*mut H::Inner`; the caller vouches for its lifetime and exclusive use.
    unsafe { handle.cast::<H::Inner>().as_mut() }.ok_or_else(|| null(H::NAME))
}

/// Gives `inner` to C, which frees it with `take`.
pub(super) fn give<H: Handle>(inner: H::Inner) -> *mut H {
    Box::into_raw(Box::new(inner)).cast::<H>()
}

/// Takes back a value from `give`; None for NULL.
///
/// # Safety
/// `handle` is NULL or came from `give` and was not taken before.
pub(super) unsafe fn take<H: Handle>(handle: *mut H) -> Option<Box<H::Inner>> {
    if handle.is_null() {
        return None;
    }
    // SAFETY: not NULL; the caller vouches that it came from `give` and is taken once.
    Some(unsafe { Box::from_raw(handle.cast::<H::Inner>()) })
}

/// The bytes of a required C string.
///
/// # Safety
/// `text` is NULL or NUL-terminated, and unchanged during `'a`.
pub(super) unsafe fn text<'a>(text: *const c_char, name: &'static str) -> Result<&'a [u8]> {
    // SAFETY: as the caller vouches.
    unsafe { optional_text(text) }.ok_or_else(|| null(name))
}

/// The bytes of a C string that may be NULL.
///
/// # Safety
/// `text` is NULL or NUL-terminated, and unchanged during `'a`.
pub(super) unsafe fn optional_text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL; the caller vouches that it is NUL-terminated.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A required C string that must be UTF-8.
///
/// # Safety
/// `text` is NULL or NUL-terminated, and unchanged during `'a`.
pub(super) unsafe fn utf8<'a>(text: *const c_char, name: &'static str) -> Result<&'a str> {
    // SAFETY: as the caller vouches.
    let bytes = unsafe { self::text(text, name) }?;
    std::str::from_utf8(bytes).map_err(|_| Error::invalid(format!("{name} \"{}\" is not UTF-8", crate::error::Shown(bytes))))
}

/// A buffer given as pointer and length: `(NULL, 0)` is empty, `(NULL, n)` is refused.
///
/// # Safety
/// `data` is NULL or has `len` readable bytes, unchanged during `'a`.
pub(super) unsafe fn bytes<'a>(data: *const c_void, len: usize, name: &'static str) -> Result<&'a [u8]> {
    match (data.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(null(name)),
        (false, len) if len > isize::MAX as usize => Err(Error::invalid(format!("{name}: a length of {len} exceeds the address space"))),
        // SAFETY: not NULL; the caller vouches for `len` bytes; the arm above excludes lengths over `isize::MAX`.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) }),
    }
}

/// An output buffer given as pointer and length: `(NULL, 0)` is empty, `(NULL, n)` is refused.
///
/// # Safety
/// `data` is NULL or has `len` writable bytes, which are accessed only through the result during `'a`.
pub(super) unsafe fn room<'a>(data: *mut c_void, len: usize, name: &'static str) -> Result<&'a mut [u8]> {
    match (data.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(null(name)),
        (false, len) if len > isize::MAX as usize => Err(Error::invalid(format!("{name}: a length of {len} exceeds the address space"))),
        // SAFETY: not NULL; the caller vouches for `len` bytes; the arm above excludes lengths over `isize::MAX`.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts_mut(data.cast::<u8>(), len) }),
    }
}

/// Writes an output of a call that succeeded.
///
/// # Safety
/// `out` is NULL or writable.
pub(super) unsafe fn write<T>(out: *mut T, value: T) -> Result<()> {
    if out.is_null() {
        return Err(null("out"));
    }
    // SAFETY: not NULL; the caller vouches that it is writable.
    unsafe { out.write(value) };
    Ok(())
}

/// Refuses a NULL output before anything is done.
pub(super) fn need_out<T>(out: *mut T) -> Result<()> {
    need(out, "out")
}

/// Refuses a NULL argument.
pub(super) fn need<T>(pointer: *mut T, name: &'static str) -> Result<()> {
    if pointer.is_null() { Err(null(name)) } else { Ok(()) }
}

impl hasty_str {
    /// No string at all.
    pub(super) const ABSENT: hasty_str = hasty_str { data: std::ptr::null(), len: 0 };

    /// A view of `bytes` without the last one, which is the NUL that C needs.
    pub(super) fn terminated(bytes: &[u8]) -> hasty_str {
        debug_assert_eq!(bytes.last(), Some(&0), "what C reads ends with a NUL");
        hasty_str { data: bytes.as_ptr().cast(), len: bytes.len() - 1 }
    }
}

impl From<Text<'_>> for hasty_str {
    fn from(text: Text<'_>) -> hasty_str {
        hasty_str::terminated(text.with_nul())
    }
}

impl From<Option<Text<'_>>> for hasty_str {
    fn from(text: Option<Text<'_>>) -> hasty_str {
        text.map_or(hasty_str::ABSENT, hasty_str::from)
    }
}

/// A struct of options: plain data that begins with its size and may otherwise be all zeros.
///
/// # Safety
/// The type is `repr(C)`, begins with a `usize` size, and is valid for all zeros and for any bytes that C may store in it.
pub(super) unsafe trait Options: Copy {}

// SAFETY: `repr(C)`, a size first, then numbers and raw pointers.
unsafe impl Options for hasty_options {}
// SAFETY: as above.
unsafe impl Options for hasty_cookie {}
// SAFETY: as above.
unsafe impl Options for hasty_static {}
// SAFETY: as above.
unsafe impl Options for hasty_cors {}
// SAFETY: as above; a view is a raw pointer and a length.
unsafe impl Options for hasty_access {}

/// Far above the size of any of our structs; a larger `size` indicates uninitialised memory.
pub(super) const MAX_OPTIONS_SIZE: usize = 4096;

/// Reads a struct of options of the size that the caller states: a program built for a newer library may pass a longer one.
///
/// The fields that this library does not know must be 0, else the struct is refused; so is one shorter than `T`.
///
/// # Safety
/// `given` is NULL or points to `given->size` readable bytes.
pub(super) unsafe fn options<T: Options>(given: *const T, name: &str) -> Result<Option<T>> {
    if given.is_null() {
        return Ok(None);
    }
    let known = size_of::<T>();
    // SAFETY: not NULL; the caller vouches that the struct begins with its size.
    let size = unsafe { given.cast::<usize>().read() };
    if size < known || size > MAX_OPTIONS_SIZE {
        return Err(Error::invalid(format!("{name}.size = {size}: it must be sizeof({name}), {known} here")));
    }
    // SAFETY: the caller vouches for `size` readable bytes, and `known` is at most `size`.
    let beyond = unsafe { given.cast::<u8>().add(known) };
    // SAFETY: `size - known` bytes follow the first `known`.
    let tail = unsafe { std::slice::from_raw_parts(beyond, size - known) };
    if tail.iter().any(|&byte| byte != 0) {
        return Err(Error::invalid(format!("{name}.size = {size}: a field beyond the {known} bytes that this library knows is set")));
    }
    // SAFETY: `known` bytes are readable, and any bytes are a valid `T`.
    Ok(Some(unsafe { given.read() }))
}

/// Refuses the 32-bit `HASTY_NONE` in a 64-bit field, where it would be taken for a number.
pub(super) fn refuse_none32(field: &str, value: u64) -> Result<()> {
    if value == u64::from(HASTY_NONE) {
        return Err(Error::invalid(format!("{field} = {value} is HASTY_NONE, which is for 32-bit fields: here it is HASTY_NONE64")));
    }
    Ok(())
}

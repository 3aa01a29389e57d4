//! `hasty_json_*`: values for C.

use super::guard::{guard, remember};
use super::handle::{self, Handle};
use super::types::*;
use crate::error::{Error, Kind, Result};
use crate::json::Value;
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

impl Handle for hasty_json {
    type Inner = Value;
    const NAME: &'static str = "json";
}

/// Passes ownership of a value to C. In an `Arc`, not a `Box`: the pointer remains valid after the value becomes part of another.
fn give(value: Value) -> *mut hasty_json {
    Arc::into_raw(Arc::new(value)).cast_mut().cast::<hasty_json>()
}

/// Lends a part of a value to C; NULL for None.
fn lend(value: Option<&Value>) -> *const hasty_json {
    value.map_or(ptr::null(), |value| ptr::from_ref(value).cast::<hasty_json>())
}

/// The result of a constructor: NULL on failure, and the last error gives the reason.
fn made(value: Result<Value>) -> *mut hasty_json {
    value.map_or_else(
        |error| {
            remember(error);
            ptr::null_mut()
        },
        give,
    )
}

/// Takes `value`, which is to become part of `parent`. If this fails, nothing is freed.
///
/// # Safety
/// Both are NULL or live, and neither is in use by another thread.
unsafe fn take_for(value: *mut hasty_json, parent: *const hasty_json) -> Result<Arc<Value>> {
    // SAFETY: as the caller vouches.
    let part = unsafe { handle::borrow(value.cast_const()) }.map_err(|_| handle::null("value"))?;
    // SAFETY: as the caller vouches. A NULL parent is reported by the calling function, once `value` is taken.
    match unsafe { handle::borrow(parent) } {
        Ok(parent) => part.may_enter(parent)?,
        Err(_) => part.may_enter(&Value::null())?,
    }
    // SAFETY: it is part of nothing, so it came from `give` and was not taken before.
    Ok(unsafe { Arc::from_raw(value.cast_const().cast::<Value>()) })
}

/// Parses `len` bytes of JSON: one value, followed by nothing but white space.
///
/// Members keep their order; of several with the same key the last value wins, at the first one's position. Arrays
/// and objects may be nested at most 128 deep. Whole numbers from -2^63 to 2^64-1 are exact, others become the
/// nearest double. An empty text is an error.
///
/// Ownership: `*out` is yours; end it with `hasty_json_free()`, or give it away with `hasty_json_set()` or
/// `hasty_json_push()`. `text` is copied.
///
/// Errors: `HASTY_ERR_INVALID` if the text is malformed or too deep (the message has line and column, in
/// bytes, from 1); `HASTY_ERR_NULL`.
///
/// # Safety
/// `text` is NULL or has `len` bytes; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_parse(text: *const c_void, len: usize, out: *mut *mut hasty_json) -> hasty_status {
    guard(|| {
        handle::need_out(out)?;
        // SAFETY: the caller vouches for `len` bytes; NULL becomes Err(Null).
        let text = unsafe { handle::bytes(text, len, "text") }?;
        let value = Value::parse(text)?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, give(value)) }
    })
}

/// Frees a value and all its parts.
///
/// Nothing happens for NULL, and for a value that is part of another or of a request: its owner frees it.
///
/// # Safety
/// `json` is NULL or live, and is not used any more, nor are its parts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_free(json: *mut hasty_json) {
    guard(|| {
        // SAFETY: the caller vouches for a live `json`.
        let Ok(value) = (unsafe { handle::borrow(json.cast_const()) }) else { return Ok(()) };
        if !value.is_held() {
            // SAFETY: it is part of nothing, so it came from `give` and was not taken before.
            drop(unsafe { Arc::from_raw(json.cast_const().cast::<Value>()) });
        }
        Ok(())
    });
}

/// Copies a value with all its parts, borrowed ones too.
///
/// Ownership: `*out` is yours; end it with `hasty_json_free()`, or give it away with `hasty_json_set()` or
/// `hasty_json_push()`.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `json` is NULL or live; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_clone(json: *const hasty_json, out: *mut *mut hasty_json) -> hasty_status {
    guard(|| {
        handle::need_out(out)?;
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?.clone();
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, give(value)) }
    })
}

/// Tells what a value is: one of `HASTY_JSON_*`, or -1 for NULL.
///
/// Threads: any number at a time may read a value, while none changes it.
///
/// # Safety
/// `json` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_kind(json: *const hasty_json) -> i32 {
    // SAFETY: the caller vouches for a live `json`.
    guard(|| Ok(unsafe { handle::borrow(json) }.map_or(-1, |value| value.kind() as i32)))
}

/// Counts the items of an array or the members of an object; 0 for anything else.
///
/// # Safety
/// `json` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_len(json: *const hasty_json) -> usize {
    // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
    guard(|| Ok(unsafe { handle::borrow(json) }?.len()))
}

/// Returns the value of the member called `key`, or NULL: there is none, or `json` is no object.
///
/// Borrowed: valid until that member is replaced or `json` is freed. Other members may be added meanwhile.
///
/// # Safety
/// `json` is NULL or live; `key` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_get(json: *const hasty_json, key: *const c_char) -> *const hasty_json {
    guard(|| {
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?;
        // SAFETY: the caller vouches for a terminated `key`; NULL becomes Err(Null).
        let key = unsafe { handle::text(key, "key") }?;
        // As `hasty_json_set()` stores it.
        Ok(lend(value.get(&String::from_utf8_lossy(key))))
    })
}

/// Returns the item of an array, or the value of a member of an object, at `index`; NULL beyond the last.
///
/// Borrowed: valid until it is replaced or `json` is freed. Others may be added meanwhile.
///
/// # Safety
/// `json` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_at(json: *const hasty_json, index: usize) -> *const hasty_json {
    // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
    guard(|| Ok(lend(unsafe { handle::borrow(json) }?.at(index))))
}

/// Returns the value that a JSON Pointer (RFC 6901) leads to, or NULL: it leads nowhere, or is malformed.
///
/// "" is `json` itself; "/items/0/price" goes by keys and by positions from 0. In a key, "~1" stands for
/// "/" and "~0" for "~". Borrowed: valid until it is replaced or `json` is freed.
///
/// # Safety
/// `json` is NULL or live; `pointer` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_find(json: *const hasty_json, pointer: *const c_char) -> *const hasty_json {
    guard(|| {
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?;
        // SAFETY: the caller vouches for a terminated `pointer`; NULL becomes Err(Null).
        let pointer = unsafe { handle::text(pointer, "pointer") }?;
        Ok(lend(value.find(&String::from_utf8_lossy(pointer))))
    })
}

/// Returns the key of the member at `index`; `hasty_json_at()` has its value.
///
/// Absent (`data` NULL) beyond the last member, and if `json` is no object. Keys may hold NUL: rely on
/// `len`. Valid until `json` is freed.
///
/// # Safety
/// `json` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_key_at(json: *const hasty_json, index: usize) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?;
        Ok(value.key_at_terminated(index).map_or(hasty_str::ABSENT, hasty_str::terminated))
    })
}

/// `hasty_json_key_at()` for languages that cannot take structs by value; an absent key is absent in `*out`.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `json` is NULL or live; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_key_at_to(json: *const hasty_json, index: usize, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?;
        let key = value.key_at_terminated(index).map_or(hasty_str::ABSENT, hasty_str::terminated);
        // SAFETY: the caller vouches for a writable `out`; NULL becomes Err(Null).
        unsafe { handle::write(out, key) }
    })
}

/// Returns the text of a string, as UTF-8; absent (`data` NULL) if the value is not a string.
///
/// It may hold NUL ("\u0000"): rely on `len`. Valid until the value is freed, or replaced in its parent.
///
/// # Safety
/// `json` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_as_string(json: *const hasty_json) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?;
        Ok(value.as_str_terminated().map_or(hasty_str::ABSENT, hasty_str::terminated))
    })
}

/// `hasty_json_as_string()` for languages that cannot take structs by value; what is no string is absent in `*out`.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `json` is NULL or live; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_as_string_to(json: *const hasty_json, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?;
        let text = value.as_str_terminated().map_or(hasty_str::ABSENT, hasty_str::terminated);
        // SAFETY: the caller vouches for a writable `out`; NULL becomes Err(Null).
        unsafe { handle::write(out, text) }
    })
}

/// Reads a number as a signed 64-bit integer; 3.0 and 3e0 are whole too.
///
/// Errors: `HASTY_ERR_INVALID` if it has a fraction or is too large (the message names it), and if the value
/// is not a number; `HASTY_ERR_NULL`. Numbers written with a point or an exponent are too large from 2^53 on, since
/// they may have been rounded.
///
/// # Safety
/// `json` is NULL or live; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_as_int(json: *const hasty_json, out: *mut i64) -> hasty_status {
    guard(|| {
        handle::need_out(out)?;
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?.as_int()?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, value) }
    })
}

/// Reads a number as the double nearest to it.
///
/// Errors: `HASTY_ERR_INVALID` if the value is no number; `HASTY_ERR_NULL`.
///
/// # Safety
/// `json` is NULL or live; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_as_double(json: *const hasty_json, out: *mut f64) -> hasty_status {
    guard(|| {
        handle::need_out(out)?;
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?.as_double()?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, value) }
    })
}

/// Reads `true` as 1 and `false` as 0.
///
/// Errors: `HASTY_ERR_INVALID` if the value is neither; `HASTY_ERR_NULL`.
///
/// # Safety
/// `json` is NULL or live; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_as_bool(json: *const hasty_json, out: *mut i32) -> hasty_status {
    guard(|| {
        handle::need_out(out)?;
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?.as_bool()?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, i32::from(value)) }
    })
}

/// Makes an empty object.
///
/// Ownership: it is yours, as is everything that a `hasty_json_new_*()` makes; end it with
/// `hasty_json_free()`, or give it away with `hasty_json_set()` or `hasty_json_push()`. A value given away
/// may still be filled through its pointer, as long as the one it belongs to lives.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_json_new_object() -> *mut hasty_json {
    guard(|| Ok(give(Value::object())))
}

/// Makes an empty array.
///
/// Ownership: it is yours.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_json_new_array() -> *mut hasty_json {
    guard(|| Ok(give(Value::array())))
}

/// Makes a null.
///
/// Ownership: it is yours.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_json_new_null() -> *mut hasty_json {
    guard(|| Ok(give(Value::null())))
}

/// Makes `false` of 0, and `true` of anything else.
///
/// Ownership: it is yours.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_json_new_bool(value: i32) -> *mut hasty_json {
    guard(|| Ok(give(Value::bool(value != 0))))
}

/// Makes a whole number.
///
/// Ownership: it is yours.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_json_new_int(value: i64) -> *mut hasty_json {
    guard(|| Ok(give(Value::int(value))))
}

/// Makes a number.
///
/// Ownership: it is yours.
///
/// Errors: NULL for NaN and the infinities, which JSON does not have; `hasty_last_error()` says so.
#[unsafe(no_mangle)]
pub extern "C" fn hasty_json_new_double(value: f64) -> *mut hasty_json {
    guard(|| Ok(made(Value::double(value))))
}

/// Makes a string of `len` bytes of UTF-8; invalid UTF-8 becomes U+FFFD.
///
/// Ownership: it is yours; the bytes are copied.
///
/// Errors: NULL if `utf8` is NULL and `len` is not 0; `hasty_last_error()` says so.
///
/// # Safety
/// `utf8` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_new_string(utf8: *const c_void, len: usize) -> *mut hasty_json {
    guard(|| {
        // SAFETY: the caller vouches for `len` bytes; NULL becomes Err(Null).
        let text = unsafe { handle::bytes(utf8, len, "utf8") };
        Ok(made(text.map(|text| Value::string(&String::from_utf8_lossy(text)))))
    })
}

/// Makes `value` the member `key` of an object: it replaces an earlier one, which is freed, or is added last.
///
/// Ownership: takes `value`, also on failure, unless it has an owner: if it is part of something already, or
/// `object` is part of it, nothing is freed. The key is copied; invalid UTF-8 in it becomes U+FFFD.
///
/// Errors: `HASTY_ERR_INVALID` if `object` is not an object, if `value` is already part of another value or of
/// a request, or would become part of itself; `HASTY_ERR_NULL`.
///
/// Threads: one at a time per tree.
///
/// Example: `hasty_json_set(user, "age", hasty_json_new_int(41));`
///
/// # Safety
/// `object` and `value` are NULL or live; `key` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_set(object: *mut hasty_json, key: *const c_char, value: *mut hasty_json) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for both.
        let value = unsafe { take_for(value, object) }?;
        // SAFETY: the caller vouches for a live `object`; NULL becomes Err(Null).
        let object = unsafe { handle::borrow_mut(object) }?;
        // SAFETY: the caller vouches for a terminated `key`; NULL becomes Err(Null).
        let key = unsafe { handle::text(key, "key") }?;
        object.set_shared(&String::from_utf8_lossy(key), value)
    })
}

/// `hasty_json_set()` with a key of `len` bytes, which may hold NUL.
///
/// # Safety
/// `object` and `value` are NULL or live; `key` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_set_bytes(
    object: *mut hasty_json,
    key: *const c_void,
    len: usize,
    value: *mut hasty_json,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for both.
        let value = unsafe { take_for(value, object) }?;
        // SAFETY: the caller vouches for a live `object`; NULL becomes Err(Null).
        let object = unsafe { handle::borrow_mut(object) }?;
        // SAFETY: the caller vouches for `len` bytes; NULL becomes Err(Null).
        let key = unsafe { handle::bytes(key, len, "key") }?;
        object.set_shared(&String::from_utf8_lossy(key), value)
    })
}

/// Makes `value` the last item of an array.
///
/// Ownership: takes `value`, also on failure, unless it has an owner: if it is part of something already, or
/// `array` is part of it, nothing is freed.
///
/// Errors: `HASTY_ERR_INVALID` if `array` is not an array, if `value` is already part of another value or of a
/// request, or would become part of itself; `HASTY_ERR_NULL`.
///
/// Threads: one at a time per tree.
///
/// # Safety
/// `array` and `value` are NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_push(array: *mut hasty_json, value: *mut hasty_json) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for both.
        let value = unsafe { take_for(value, array) }?;
        // SAFETY: the caller vouches for a live `array`; NULL becomes Err(Null).
        unsafe { handle::borrow_mut(array) }?.push_shared(value)
    })
}

/// Writes a value as JSON, without spaces and with a NUL at the end, into the `cap` bytes of `buf`.
///
/// `*needed` becomes the size that the text takes, with its NUL, so that `(NULL, 0)` asks how much to
/// allocate; it is written also if `cap` is too small, but then `buf` is left as it was.
///
/// Errors: `HASTY_ERR_LIMIT` if `cap` is less than `*needed`; `HASTY_ERR_NULL`.
///
/// # Safety
/// `json` is NULL or live; `buf` is NULL or has `cap` writable bytes; `needed` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_json_to_text(json: *const hasty_json, buf: *mut c_char, cap: usize, needed: *mut usize) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `json`; NULL becomes Err(Null).
        let value = unsafe { handle::borrow(json) }?;
        if needed.is_null() {
            return Err(handle::null("needed"));
        }
        if buf.is_null() && cap > 0 {
            return Err(handle::null("buf"));
        }
        let mut text = Vec::new();
        value.write_to(&mut text);
        text.push(0);
        // SAFETY: the caller vouches for a writable `needed`.
        unsafe { handle::write(needed, text.len()) }?;
        if text.len() > cap {
            return Err(Error::new(Kind::Limit, format!("the JSON text needs {} bytes with its NUL; buf has {cap}", text.len())));
        }
        // SAFETY: `cap` is not 0 here, so `buf` is not NULL; the caller vouches for `cap` bytes, and the text fits. The text is in our
        // own memory, so it does not overlap the caller's buffer.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), buf.cast::<u8>(), text.len()) };
        Ok(())
    })
}

//! `hasty_access_*`: the record of one finished request.

use super::guard::guard;
use super::handle;
use super::types::*;
use crate::access::{AccessFormat, AccessRecord, Entry};
use crate::error::{Error, Kind, Result};
use std::ffi::c_char;

impl hasty_access {
    /// The view of a record that is passed to C during a callback.
    pub(super) fn of(record: &AccessRecord<'_>) -> hasty_access {
        hasty_access {
            size: size_of::<hasty_access>(),
            method: record.method.into(),
            target: record.target.into(),
            route: record.route.into(),
            remote_address: record.remote_address.into(),
            user_agent: record.user_agent.into(),
            referer: record.referer.into(),
            id: record.id.into(),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            duration_us: record.duration_us,
            time_us: record.time_us,
            status: i32::from(record.status),
            reserved: 0,
        }
    }
}

/// The bytes of a view; None if it is absent.
///
/// # Safety
/// `text` is absent or has `len` bytes, unchanged during `'a`.
unsafe fn view<'a>(text: hasty_str) -> Result<Option<&'a [u8]>> {
    if text.data.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller vouches.
    unsafe { handle::bytes(text.data.cast(), text.len, "record") }.map(Some)
}

/// Writes a record as one line of an access log, without line end.
///
/// `format` is "common" or "combined", as Apache writes them, or "json": an object with the fields of the record. Client
/// input is escaped, so that nobody can forge a line. At most `cap` bytes are written to `buf`, including a final NUL;
/// `needed` may be NULL, else `*needed` is the size required, including the NUL.
///
/// Errors: `HASTY_ERR_LIMIT` if `cap` is too small (`*needed` is written all the same, `buf` is not); `HASTY_ERR_INVALID` for
/// another format; `HASTY_ERR_NULL`.
///
/// # Safety
/// `record` is NULL or one that a callback was given and has not returned from; `format` is NULL or NUL-terminated; `buf` is
/// NULL with `cap` 0, or has room for `cap` bytes; `needed` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_access_to_text(
    record: *const hasty_access,
    format: *const c_char,
    buf: *mut c_char,
    cap: usize,
    needed: *mut usize,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for `record`.
        let record = unsafe { handle::options(record, "hasty_access") }?.ok_or_else(|| handle::null("record"))?;
        // SAFETY: the caller vouches for a NUL-terminated `format`.
        let format = AccessFormat::from_name(unsafe { handle::utf8(format, "format") }?)?;
        if buf.is_null() && cap > 0 {
            return Err(handle::null("buf"));
        }
        let views = [record.method, record.target, record.route, record.remote_address, record.user_agent, record.referer, record.id];
        // SAFETY: the caller vouches for the record's views.
        let [method, target, route, remote_address, user_agent, referer, id] = views.map(|text| unsafe { view(text) });
        let entry = Entry {
            method: method?.unwrap_or_default(),
            target: target?.unwrap_or_default(),
            route: route?,
            remote_address: remote_address?.unwrap_or_default(),
            user_agent: user_agent?,
            referer: referer?,
            id: id?.unwrap_or_default(),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            duration_us: record.duration_us,
            time_us: record.time_us,
            status: u16::try_from(record.status).unwrap_or(0),
        };
        let mut text = Vec::new();
        entry.write(format, &mut text);
        text.push(0);
        if !needed.is_null() {
            // SAFETY: not NULL; the caller vouches that it is writable.
            unsafe { needed.write(text.len()) };
        }
        if text.len() > cap {
            return Err(Error::new(Kind::Limit, format!("the text takes {} bytes, cap is {cap}", text.len())));
        }
        // SAFETY: `text.len()` is at most `cap`, and the caller vouches for `cap` writable bytes. `text` is our own memory, so the two do
        // not overlap.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), buf.cast::<u8>(), text.len()) };
        Ok(())
    })
}

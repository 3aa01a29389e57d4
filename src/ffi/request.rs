//! `hasty_request_*`: the client's request, read only.
//!
//! Every function is written out, for cbindgen and grep, in the same form: check the handles, call one method
//! of the safe API, translate the result.

use super::callback::UserData;
use super::guard::guard;
use super::handle::{self, Handle};
use super::types::*;
use crate::error::{Error, Kind, Result};
use crate::form::FilePart;
use crate::http::pairs::Pairs;
use crate::request::Request;
use crate::text::Text;
use std::ffi::{CStr, OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

impl Handle for hasty_request {
    type Inner = Request;
    const NAME: &'static str = "req";
}

/// The body; absent if it has not been received yet, or if the handler reads it itself.
fn body(req: &Request) -> hasty_str {
    if req.has_body() { req.body().into() } else { hasty_str::ABSENT }
}

/// A part of the request line; absent if the request could not be parsed.
fn said(req: &Request, text: Text<'_>) -> hasty_str {
    if req.is_parsed() { text.into() } else { hasty_str::ABSENT }
}

/// A value among decoded pairs, as a view.
fn pair(value: Option<&[u8]>) -> hasty_str {
    value.map_or(hasty_str::ABSENT, hasty_str::terminated)
}

/// The pair at `index`, or an error that names how many there are.
fn pair_at(pairs: &Pairs, index: usize) -> Result<(hasty_str, hasty_str)> {
    match (pairs.name_terminated(index), pairs.value_terminated(index)) {
        (Some(name), Some(value)) => Ok((hasty_str::terminated(name), hasty_str::terminated(value))),
        _ => Err(no_index(index, pairs.len())),
    }
}

fn no_index(index: usize, count: usize) -> Error {
    struct Words(usize, usize);
    impl std::fmt::Display for Words {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "index {} is not below the count, {}", self.0, self.1)
        }
    }
    Error::late(Kind::NotFound, Words(index, count))
}

/// Writes a name and a value.
///
/// # Safety
/// Both are NULL or writable.
unsafe fn write_pair(name: *mut hasty_str, value: *mut hasty_str, pair: (hasty_str, hasty_str)) -> crate::Result<()> {
    handle::need(name, "name")?;
    handle::need(value, "value")?;
    // SAFETY: as the caller vouches.
    unsafe { handle::write(name, pair.0) }?;
    // SAFETY: as the caller vouches.
    unsafe { handle::write(value, pair.1) }
}

/// Returns the method as sent, such as "GET".
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_method(req: *const hasty_request) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(said(req, req.method()))
    })
}

/// Like `hasty_request_method()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_method_to(req: *const hasty_request, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, said(req, req.method())) }
    })
}

/// Returns the path, percent-decoded, for display.
///
/// Authorise by prefix or param instead: `%2F` decodes to a slash.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_path(req: *const hasty_request) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(said(req, req.path()))
    })
}

/// Like `hasty_request_path()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_path_to(req: *const hasty_request, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, said(req, req.path())) }
    })
}

/// Returns the path as sent, without the query.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_raw_path(req: *const hasty_request) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(said(req, req.raw_path()))
    })
}

/// Like `hasty_request_raw_path()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_raw_path_to(req: *const hasty_request, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, said(req, req.raw_path())) }
    })
}

/// Returns what follows the `?` as sent.
///
/// Absent where the target has no `?`, empty where nothing follows it.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_query_string(req: *const hasty_request) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(hasty_str::from(req.query_string()))
    })
}

/// Like `hasty_request_query_string()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_query_string_to(req: *const hasty_request, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, hasty_str::from(req.query_string())) }
    })
}

/// Returns the whole request target as sent.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_target(req: *const hasty_request) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(said(req, req.target()))
    })
}

/// Like `hasty_request_target()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_target_to(req: *const hasty_request, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, said(req, req.target())) }
    })
}

/// Returns the pattern of the route that answers, as registered.
///
/// Absent if no route does, as in an `hasty_app_on_error()` callback for 404. It is known in middleware already.
///
/// Valid as long as the app; in an exchange that outlives the app, until the exchange ends.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_route(req: *const hasty_request) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(hasty_str::from(req.route()))
    })
}

/// Like `hasty_request_route()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_route_to(req: *const hasty_request, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, hasty_str::from(req.route())) }
    })
}

/// Returns the client's address, without port, such as "127.0.0.1"; "unix" for a Unix socket.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_remote_address(req: *const hasty_request) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(hasty_str::from(req.remote_address()))
    })
}

/// Like `hasty_request_remote_address()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_remote_address_to(req: *const hasty_request, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, hasty_str::from(req.remote_address())) }
    })
}

/// Returns the request's id: its X-Request-ID if that is printable and at most 128 bytes long, else 32 hexadecimal digits generated on first use.
///
/// It is meant for logs. It is not secret, so never use it as a session key: a client may choose it, and generated ids are merely distinct.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_id(req: *const hasty_request) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(hasty_str::from(req.id()))
    })
}

/// Like `hasty_request_id()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_id_to(req: *const hasty_request, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, hasty_str::from(req.id())) }
    })
}

/// Returns the body, as received.
///
/// Empty if there is none. Chunks are joined. Absent (`data` NULL) in middleware, which runs before the body is received (except for
/// routes with `dispatch = caller`), on routes with `body = stream`, and if a large form was parsed while it arrived.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_body(req: *const hasty_request) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(body(req))
    })
}

/// Like `hasty_request_body()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_body_to(req: *const hasty_request, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, body(req)) }
    })
}

/// Returns 1 for HTTP/1.1, 0 for HTTP/1.0 (and for NULL).
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_minor_version(req: *const hasty_request) -> i32 {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(i32::from(req.minor_version()))
    })
}

/// Returns the first header called `name`, compared without case.
///
/// Absent if there is none; an empty header has `len` 0. Bytes are as received, without the spaces around them.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_header(req: *const hasty_request, name: *const c_char) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        Ok(hasty_str::from(req.header(name)))
    })
}

/// Like `hasty_request_header()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_header_to(req: *const hasty_request, name: *const c_char, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, hasty_str::from(req.header(name))) }
    })
}

/// Returns the segment that matched `:name` of the route's pattern, or the rest that matched `*name`, percent-decoded once.
///
/// "*" names an unnamed rest. Absent if the pattern has no such name. It is known in middleware already.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_param(req: *const hasty_request, name: *const c_char) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        Ok(hasty_str::from(req.param(name)))
    })
}

/// Like `hasty_request_param()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_param_to(req: *const hasty_request, name: *const c_char, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, hasty_str::from(req.param(name))) }
    })
}

/// Returns the first value of `name` in the query, decoded; `+` is a space.
///
/// Absent if there is none; `?name` and `?name=` are empty.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_query(req: *const hasty_request, name: *const c_char) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        Ok(pair(req.query().get_terminated(name)))
    })
}

/// Like `hasty_request_query()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_query_to(req: *const hasty_request, name: *const c_char, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, pair(req.query().get_terminated(name))) }
    })
}

/// Returns the first cookie called `name`, as received, without quotes around it.
///
/// Absent if there is none.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_cookie(req: *const hasty_request, name: *const c_char) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        Ok(pair(req.cookies().get_terminated(name)))
    })
}

/// Like `hasty_request_cookie()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_cookie_to(req: *const hasty_request, name: *const c_char, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, pair(req.cookies().get_terminated(name))) }
    })
}

/// Returns the first value of `name` among the fields of a form, urlencoded (decoded) or multipart; files are not fields.
///
/// Absent if there is none, and for bodies of other types.
///
/// Valid until the handler returns.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_form(req: *const hasty_request, name: *const c_char) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        Ok(pair(req.form().get_terminated(name)))
    })
}

/// Like `hasty_request_form()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_form_to(req: *const hasty_request, name: *const c_char, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, pair(req.form().get_terminated(name))) }
    })
}

/// Returns how many header lines there are.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_header_count(req: *const hasty_request) -> usize {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(req.header_count())
    })
}

/// Returns how many params there are.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_param_count(req: *const hasty_request) -> usize {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(req.params().len())
    })
}

/// Returns how many parameters the query has, counting repeated names each time.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_query_count(req: *const hasty_request) -> usize {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(req.query().len())
    })
}

/// Returns how many cookies there are.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_cookie_count(req: *const hasty_request) -> usize {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(req.cookies().len())
    })
}

/// Returns how many fields a form has, urlencoded or multipart, counting repeated names each time; 0 for other bodies.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_form_count(req: *const hasty_request) -> usize {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(req.form().len())
    })
}

/// Gives name and value number `index`, in order of arrival, names as sent.
///
/// Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_header_count()`; `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_header_at(
    req: *const hasty_request,
    index: usize,
    name: *mut hasty_str,
    value: *mut hasty_str,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        let found = match req.header_at(index) {
            Some((name, value)) => (hasty_str::from(name), hasty_str::from(value)),
            None => return Err(no_index(index, req.header_count())),
        };
        // SAFETY: the caller vouches for writable `name` and `value`.
        unsafe { write_pair(name, value, found) }
    })
}

/// Gives name and value number `index`, in the order of the pattern.
///
/// Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_param_count()`; `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_param_at(
    req: *const hasty_request,
    index: usize,
    name: *mut hasty_str,
    value: *mut hasty_str,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        let found = pair_at(req.params(), index)?;
        // SAFETY: the caller vouches for writable `name` and `value`.
        unsafe { write_pair(name, value, found) }
    })
}

/// Gives name and value number `index`, in order, decoded.
///
/// Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_query_count()`; `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_query_at(
    req: *const hasty_request,
    index: usize,
    name: *mut hasty_str,
    value: *mut hasty_str,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        let found = pair_at(req.query(), index)?;
        // SAFETY: the caller vouches for writable `name` and `value`.
        unsafe { write_pair(name, value, found) }
    })
}

/// Gives name and value number `index`, in order.
///
/// Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_cookie_count()`; `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_cookie_at(
    req: *const hasty_request,
    index: usize,
    name: *mut hasty_str,
    value: *mut hasty_str,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        let found = pair_at(req.cookies(), index)?;
        // SAFETY: the caller vouches for writable `name` and `value`.
        unsafe { write_pair(name, value, found) }
    })
}

/// Gives name and value number `index`, in order, decoded.
///
/// Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_form_count()`; `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_form_at(
    req: *const hasty_request,
    index: usize,
    name: *mut hasty_str,
    value: *mut hasty_str,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        let found = pair_at(req.form(), index)?;
        // SAFETY: the caller vouches for writable `name` and `value`.
        unsafe { write_pair(name, value, found) }
    })
}

/// Tells whether the body is a form that could be read: `HASTY_ERR_INVALID` if a multipart form is malformed.
///
/// `HASTY_OK`, with no fields, if the body is of another type. An urlencoded form is never malformed: invalid escapes are kept
/// as they are. If a handler reads fields or files of a form that could not be read, and has not called this function, the
/// client gets a 400 or 413 instead of its answer.
///
/// Errors: `HASTY_ERR_INVALID`; `HASTY_ERR_LIMIT` for more than `max_parts`, or fields of more than `spool_bytes`;
/// `HASTY_ERR_IO` if files could not be written to disk; `HASTY_ERR_STATE` for a form that has not arrived yet, as in middleware;
/// `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_form_status(req: *const hasty_request) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        req.form_status()
    })
}

/// Returns how many files a multipart form has; 0 for other bodies.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_file_count(req: *const hasty_request) -> usize {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(req.files().len())
    })
}

/// Describes a file of a multipart form, in the order of the form.
///
/// Set `out->size = sizeof *out` first. The files of a form of at most `spool_bytes` are in memory (`data`); others may be in a
/// temporary file (`path`) that is removed when the request ends. `filename` is client input: never use it as a path.
///
/// Ownership: the views are borrowed, until the handler returns or the exchange ends.
///
/// Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_file_count()`; `HASTY_ERR_INVALID` for a wrong
/// size; `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or has `out->size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_file_at(req: *const hasty_request, index: usize, out: *mut hasty_file) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for `out`.
        unsafe { need_file(out) }?;
        let file = file_at(req, index)?;
        // SAFETY: as above.
        unsafe { write_file(out, file) }
    })
}

/// Describes the first file of a multipart form whose field is called `name`.
///
/// Errors: `HASTY_ERR_NOT_FOUND` if there is none; otherwise as `hasty_request_file_at()`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or has `out->size`
/// writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_file(req: *const hasty_request, name: *const c_char, out: *mut hasty_file) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for `out`.
        unsafe { need_file(out) }?;
        let file = req.files().iter().find(|file| file.name().bytes() == name);
        let file = file.ok_or(Error::fixed(Kind::NotFound, "the form has no file of that name"))?;
        // SAFETY: as above.
        unsafe { write_file(out, file) }
    })
}

/// Writes a copy of a file of a multipart form to `path`, in place of any file there.
///
/// Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_file_count()`; `HASTY_ERR_IO` if it cannot be
/// written; `HASTY_ERR_INVALID` if `path` is a folder or a device; `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `path` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_save_file(req: *const hasty_request, index: usize, path: *const c_char) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `path`.
        let path = unsafe { handle::text(path, "path") }?;
        file_at(req, index)?.save(Path::new(OsStr::from_bytes(path)))
    })
}

fn file_at(req: &Request, index: usize) -> Result<&FilePart> {
    req.files()
        .get(index)
        .ok_or_else(|| Error::new(Kind::NotFound, format!("there is no file {index}; the form has {}", req.files().len())))
}

/// Refuses a `hasty_file` that is NULL or too small.
///
/// # Safety
/// `out` is NULL or begins with its size.
unsafe fn need_file(out: *mut hasty_file) -> Result<()> {
    handle::need_out(out)?;
    // SAFETY: not NULL; the caller vouches that it begins with its size.
    let size = unsafe { out.cast::<usize>().read() };
    let known = size_of::<hasty_file>();
    if size < known {
        return Err(Error::invalid(format!("hasty_file.size = {size}: it must be sizeof(hasty_file), {known} here")));
    }
    Ok(())
}

/// Describes a file; fields that only a newer program knows are left unchanged.
///
/// # Safety
/// `out` has passed `need_file`, and is writable.
unsafe fn write_file(out: *mut hasty_file, file: &FilePart) -> Result<()> {
    // SAFETY: it begins with its size.
    let size = unsafe { out.cast::<usize>().read() };
    let described = hasty_file {
        size,
        name: file.name().into(),
        filename: file.filename().into(),
        content_type: file.content_type().into(),
        data: file.data().into(),
        path: file.path().map_or(ptr::null(), CStr::as_ptr),
        length: file.length(),
    };
    // SAFETY: the caller vouches that `out` has passed `need_file`, so it is at least as large as this library's struct.
    unsafe { handle::write(out, described) }
}

/// Reads some bytes of the body, waiting for them: for routes with `body = stream`, whose handler runs before it is received.
///
/// `*got` is how many were read, at most `len`; 0 is the end. The client is slowed down to the speed of the reader. The
/// first call sends 100 Continue to a client that expects it.
///
/// Errors: `HASTY_ERR_CLOSED` if the client has left before the end; `HASTY_ERR_TIMEOUT` if nothing came for
/// `body_timeout_ms`; `HASTY_ERR_LIMIT` beyond `max_body_bytes`; `HASTY_ERR_INVALID` if the body is malformed;
/// `HASTY_ERR_STATE` on other routes and after `hasty_response_defer()`; `HASTY_ERR_NULL`. If the handler then fails, the client
/// gets a 400, 408 or 413 accordingly.
///
/// # Safety
/// `req` is NULL or the request of the current call; `buf` has room for `len` bytes; `got` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_read(req: *const hasty_request, buf: *mut c_void, len: usize, got: *mut usize) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        handle::need(got, "got")?;
        // SAFETY: the caller vouches for room for `len` bytes.
        let into = unsafe { handle::room(buf, len, "buf") }?;
        let count = req.read(into)?;
        // SAFETY: the caller vouches for a writable `got`.
        unsafe { handle::write(got, count) }
    })
}

/// Parses the body as JSON, whatever its Content-Type. Later calls return the same value.
///
/// Arrays and objects may be nested at most 128 deep. An empty body is malformed.
///
/// The values take up to 50 times the memory of the text, in the worst case, which is one of many small arrays; `max_buffered_bytes`
/// does not count them. What bounds them is the route's `max_body_bytes`.
///
/// Ownership: `*out` is borrowed, until the handler returns.
///
/// Errors: `HASTY_ERR_INVALID` if the body is malformed; the message has line and column. `HASTY_ERR_STATE` if it has not been
/// received: in middleware (except for routes with `dispatch = caller`), and with `body = stream`. `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_json(req: *const hasty_request, out: *mut *const hasty_json) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        handle::need_out(out)?;
        let value = ptr::from_ref(req.json()?).cast::<hasty_json>();
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, value) }
    })
}

/// Returns the `user_data` that the route was registered with; NULL if no route answers. It is known in middleware already.
///
/// # Safety
/// `req` is NULL or the request of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_user_data(req: *const hasty_request) -> *mut c_void {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        Ok(req.registered().map_or(ptr::null_mut(), |route| route.user_data()))
    })
}

/// Keeps `value` under `key` until the request ends, in place of an earlier one.
///
/// Ownership: takes `value`, also on failure. `drop` (may be NULL) runs on it exactly once: when it is
/// replaced, when the request ends, or before a failing call returns.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `req` is NULL or the request of the current call; `key` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_set_local(
    req: *const hasty_request,
    key: *const c_char,
    value: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let value = UserData::new(value, drop);
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `key`.
        let key = unsafe { handle::text(key, "key") }?;
        req.set_local(key, Box::new(value));
        Ok(())
    })
}

/// Returns the value set by `hasty_request_set_local()` under `key`; NULL if there is none.
///
/// # Safety
/// `req` is NULL or the request of the current call; `key` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_request_local(req: *const hasty_request, key: *const c_char) -> *mut c_void {
    guard(|| {
        // SAFETY: the caller vouches for a live `req`.
        let req = unsafe { handle::borrow(req) }?;
        // SAFETY: the caller vouches for a NUL-terminated `key`.
        let key = unsafe { handle::text(key, "key") }?;
        let pointer = req.local(key, |value| value.downcast_ref::<UserData>().map(UserData::pointer));
        Ok(pointer.flatten().unwrap_or(ptr::null_mut()))
    })
}

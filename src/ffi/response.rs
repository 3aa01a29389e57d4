//! `hasty_response_*`: the answer being prepared.

use super::callback::UserData;
use super::guard::guard;
use super::handle::{self, Handle};
use super::types::*;
use crate::cookie::Cookie;
use crate::error::Result;
use crate::json::Value;
use crate::request::Request;
use crate::response::Response;
use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// The struct behind a `hasty_response *`: the response, and the request that it answers.
pub(super) struct Answer {
    request: *const Request,
    response: *mut Response,
}

impl Answer {
    pub(super) const NONE: Answer = Answer { request: ptr::null(), response: ptr::null_mut() };

    pub(super) fn new(request: &Request, response: &mut Response) -> Answer {
        Answer { request: ptr::from_ref(request), response: ptr::from_mut(response) }
    }

    pub(super) fn request(&self) -> *const hasty_request {
        self.request.cast()
    }
}

impl Handle for hasty_response {
    type Inner = Answer;
    const NAME: &'static str = "res";
}

/// The response, and the request that it answers.
///
/// # Safety
/// `res` is NULL or the response of the current call, which is accessed only through the result during `'a`.
pub(super) unsafe fn parts<'a>(res: *mut hasty_response) -> Result<(&'a Request, &'a mut Response)> {
    // SAFETY: as the caller vouches.
    let answer = unsafe { handle::borrow(res.cast_const()) }?;
    // SAFETY: both live as long as the answer, and the caller vouches for exclusive use.
    let response = unsafe { answer.response.as_mut() };
    // SAFETY: as above.
    let request = unsafe { answer.request.as_ref() };
    request.zip(response).ok_or_else(|| handle::null("res"))
}

/// The response, read only.
///
/// # Safety
/// `res` is NULL or the response of the current call, which is not changed during `'a`.
unsafe fn response<'a>(res: *const hasty_response) -> Result<&'a Response> {
    // SAFETY: as the caller vouches.
    let answer = unsafe { handle::borrow(res) }?;
    // SAFETY: it lives as long as the answer, and the caller vouches that it is not changed.
    unsafe { answer.response.cast_const().as_ref() }.ok_or_else(|| handle::null("res"))
}

/// Changes a response. A failure is recorded in it, so that the answer becomes a 500 whatever the handler returns.
///
/// # Safety
/// `res` is NULL or the response of the current call.
unsafe fn changed(res: *mut hasty_response, change: impl FnOnce(&mut Response) -> Result<()>) -> hasty_status {
    guard(|| {
        // SAFETY: as the caller vouches.
        let (_, res) = unsafe { parts(res) }?;
        change(res).inspect_err(|error| res.note_failure(error))
    })
}

/// Sets the status code: 200 to 599. Without it the status is 200.
///
/// Errors: `HASTY_ERR_INVALID` for other codes; `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_set_status(res: *mut hasty_response, code: i32) -> hasty_status {
    let change = |res: &mut Response| res.set_status(code);
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Returns the status code as it stands.
///
/// # Safety
/// `res` is NULL or the response of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_status(res: *const hasty_response) -> i32 {
    guard(|| {
        // SAFETY: the caller vouches for a live `res`.
        let res = unsafe { response(res) }?;
        Ok(i32::from(res.status()))
    })
}

/// Sets a header in place of any of that name; both strings are copied.
///
/// Content-Length must match the body; `Connection: close` ends the connection after this answer.
/// The server itself adds the `Connection: upgrade` that an `Upgrade` needs.
///
/// Errors: `HASTY_ERR_INVALID` if the name is not a token, if the value holds CR, LF, NUL or another control character,
/// or if the server itself sets that header (Date, Transfer-Encoding); `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `name` and `value` are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_set_header(res: *mut hasty_response, name: *const c_char, value: *const c_char) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a NUL-terminated `value`.
        let value = unsafe { handle::text(value, "value") }?;
        res.set_header(&res.apart(name), &res.apart(value))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Adds a header beside any of that name; both strings are copied.
///
/// Errors: as `hasty_response_set_header()`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `name` and `value` are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_add_header(res: *mut hasty_response, name: *const c_char, value: *const c_char) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a NUL-terminated `value`.
        let value = unsafe { handle::text(value, "value") }?;
        res.add_header(&res.apart(name), &res.apart(value))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Like `hasty_response_set_header()`, with a value of `len` bytes that need not end with a NUL.
///
/// # Safety
/// `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated; `value` has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_set_header_bytes(
    res: *mut hasty_response,
    name: *const c_char,
    value: *const c_void,
    len: usize,
) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for `len` bytes.
        let value = unsafe { handle::bytes(value, len, "value") }?;
        res.set_header(&res.apart(name), &res.apart(value))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Like `hasty_response_add_header()`, with a value of `len` bytes that need not end with a NUL.
///
/// # Safety
/// `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated; `value` has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_add_header_bytes(
    res: *mut hasty_response,
    name: *const c_char,
    value: *const c_void,
    len: usize,
) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for `len` bytes.
        let value = unsafe { handle::bytes(value, len, "value") }?;
        res.add_header(&res.apart(name), &res.apart(value))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Removes all headers called `name`, compared without case; there need not be any.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_remove_header(res: *mut hasty_response, name: *const c_char) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        res.remove_header(&res.apart(name))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Returns the first header called `name` that was set so far, compared without case. Absent if there is none.
///
/// Valid until the response is changed.
///
/// # Safety
/// `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_header(res: *const hasty_response, name: *const c_char) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `res`.
        let res = unsafe { response(res) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        Ok(hasty_str::from(res.header(name)))
    })
}

/// Like `hasty_response_header()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
///
/// # Safety
/// `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_header_to(res: *const hasty_response, name: *const c_char, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `res`.
        let res = unsafe { response(res) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, hasty_str::from(res.header(name))) }
    })
}

/// Returns the body set so far. Absent if there is none, and for files and streams.
///
/// Valid until the response is changed.
///
/// # Safety
/// `res` is NULL or the response of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_body(res: *const hasty_response) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `res`.
        let res = unsafe { response(res) }?;
        Ok(hasty_str::from(res.body()))
    })
}

/// Like `hasty_response_body()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An absent body is no error: `out->data` is NULL.
///
/// # Safety
/// `res` is NULL or the response of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_body_to(res: *const hasty_response, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `res`.
        let res = unsafe { response(res) }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, hasty_str::from(res.body())) }
    })
}

/// Sets the body's type.
///
/// `type` with a slash is taken as it is, else it is an extension such as "json" or ".png"; an unknown one is
/// `application/octet-stream`. Text types by extension are UTF-8.
///
/// Errors: `HASTY_ERR_INVALID` if it is empty or holds controls; `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `type` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_set_type(res: *mut hasty_response, r#type: *const c_char) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `type`.
        let name = unsafe { handle::text(r#type, "type") }?;
        res.set_type(&res.apart(name))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Adds a cookie. `options` may be NULL: path "/", SameSite=Lax, HttpOnly, until the browser closes.
///
/// A cookie that is set twice is sent twice, and browsers keep the last. `hasty_response_remove_header(res, "Set-Cookie")` removes
/// all cookies set so far.
///
/// Errors: `HASTY_ERR_INVALID` if the name is not a token, if the value or an attribute holds bytes that a cookie cannot (encode
/// them then), or if browsers would reject or ignore the cookie: a path that does not begin with "/", a domain that is not a host
/// name, SameSite=None without `secure`, a name with the prefix `__Secure-` or `__Host-` that breaks its rules. `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; the strings are NULL or NUL-terminated; `options` is NULL
/// or a struct of `options->size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_set_cookie(
    res: *mut hasty_response,
    name: *const c_char,
    value: *const c_char,
    options: *const hasty_cookie,
) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a NUL-terminated `value`.
        let value = unsafe { handle::text(value, "value") }?;
        // SAFETY: the caller vouches for `options`.
        let options = unsafe { cookie(options) }?;
        res.set_cookie(&res.apart(name), &res.apart(value), &options)
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Tells the client to forget a cookie. Path and domain of `options` must be those it was set with; NULL means "/".
///
/// This adds a Set-Cookie header, too. For names that begin with `__Secure-` or `__Host-` it has the Secure attribute, which browsers require.
///
/// Errors: as `hasty_response_set_cookie()`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated; `options` is NULL or a
/// struct of `options->size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_delete_cookie(
    res: *mut hasty_response,
    name: *const c_char,
    options: *const hasty_cookie,
) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for `options`.
        let options = unsafe { cookie(options) }?;
        res.delete_cookie(&res.apart(name), &options)
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Converts the C struct of a cookie's attributes.
///
/// # Safety
/// `options` is NULL or a live struct of `options->size` bytes, whose strings are NULL or NUL-terminated.
unsafe fn cookie<'a>(options: *const hasty_cookie) -> Result<Cookie<'a>> {
    let mut cookie = Cookie::default();
    // SAFETY: as the caller vouches.
    let Some(given) = (unsafe { handle::options(options, "hasty_cookie") })? else { return Ok(cookie) };
    // SAFETY: as the caller vouches.
    cookie.path = unsafe { handle::optional_text(given.path) }.unwrap_or(cookie.path);
    // SAFETY: as the caller vouches.
    cookie.domain = unsafe { handle::optional_text(given.domain) };
    // SAFETY: as the caller vouches.
    cookie.same_site = unsafe { handle::optional_text(given.same_site) }.unwrap_or(cookie.same_site);
    let age = given.max_age_s as u64;
    handle::refuse_none32("hasty_cookie.max_age_s", age)?;
    let lives_on = age == 0 || age == HASTY_NONE64;
    cookie.max_age = (!lives_on).then_some(given.max_age_s);
    cookie.secure = given.secure != 0;
    cookie.script_visible = given.script_visible != 0;
    Ok(cookie)
}

/// Sends `len` bytes, which are copied. Without a type they are `application/octet-stream`.
///
/// Like all `send*` functions it replaces an earlier body. Nothing is sent until the handler returns.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `data` has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send(res: *mut hasty_response, data: *const c_void, len: usize) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for `len` bytes.
        let data = unsafe { handle::bytes(data, len, "data") }?;
        res.send(&res.apart(data))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Sends `len` bytes without copying them.
///
/// Ownership: `data` must stay as it is until `drop` (may be NULL) runs on `user_data`, exactly once: when the
/// bytes are written or given up, on any thread, or before a failing call returns.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `data` has `len` bytes until `drop` runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send_owned(
    res: *mut hasty_response,
    data: *const c_void,
    len: usize,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for `len` bytes until `drop` runs, which is when `ForeignBytes` is dropped.
        let data: &'static [u8] = unsafe { handle::bytes(data, len, "data") }?;
        res.send_owned(Box::new(ForeignBytes { data, _owner: user_data }))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Bytes of the host, valid until their owner's `drop` is called.
struct ForeignBytes {
    data: &'static [u8],
    _owner: UserData,
}

impl AsRef<[u8]> for ForeignBytes {
    fn as_ref(&self) -> &[u8] {
        self.data
    }
}

/// Sends UTF-8 text, which is copied.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `text` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send_text(res: *mut hasty_response, text: *const c_char) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `text`.
        let text = unsafe { handle::text(text, "text") }?;
        res.send_text(&res.apart(text))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Sends UTF-8 HTML, which is copied.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `html` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send_html(res: *mut hasty_response, html: *const c_char) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `html`.
        let html = unsafe { handle::text(html, "html") }?;
        res.send_html(&res.apart(html))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Sends JSON text as it is, copied; it is not checked.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `json` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send_json(res: *mut hasty_response, json: *const c_char) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `json`.
        let json = unsafe { handle::text(json, "json") }?;
        res.send_json(&res.apart(json))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Sends a JSON value as text; the value stays yours.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `value` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send_json_value(res: *mut hasty_response, value: *const hasty_json) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a live `value`.
        let value: &Value = unsafe { handle::borrow(value) }?;
        res.send_json_value(value)
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Sends a status with its phrase as text: "404 Not Found".
///
/// Errors: `HASTY_ERR_INVALID` for a code that is not in 200 to 599; `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send_status(res: *mut hasty_response, code: i32) -> hasty_status {
    let change = |res: &mut Response| res.send_status(code);
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Sends the client to `location`; `code` is 301, 302, 303, 307 or 308.
///
/// Bytes that a URL cannot hold, such as spaces and non-ASCII, are percent-encoded. Never redirect to a location
/// that a client chose without checking it against those you know.
///
/// Errors: `HASTY_ERR_INVALID` for other codes, and for a location that is empty or holds controls; `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `location` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send_redirect(res: *mut hasty_response, code: i32, location: *const c_char) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `location`.
        let location = unsafe { handle::text(location, "location") }?;
        res.send_redirect(code, &res.apart(location))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Sends a file; its type follows from its name unless one was set.
///
/// With status 200 it has an ETag and Last-Modified, and conditional requests and ranges are honoured: the client
/// may get a 304, 206, 412 or 416 instead. The file is opened now and sent when the handler has returned; large ones
/// never pass through the program's memory.
///
/// Never build `path` from client input: `hasty_app_static()` is for that.
///
/// Errors: `HASTY_ERR_NOT_FOUND` if there is no such file; `HASTY_ERR_IO` if it cannot be opened;
/// `HASTY_ERR_INVALID` if it is not a regular file; `HASTY_ERR_NULL`. To answer something else then, call
/// `hasty_response_reset()` first.
///
/// # Safety
/// `res` is NULL or the response of the current call; `path` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send_file(res: *mut hasty_response, path: *const c_char) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `path`.
        let path = unsafe { handle::text(path, "path") }?;
        res.send_file(OsStr::from_bytes(&res.apart(path)))
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Sends a file for the client to save as `filename`; NULL means the file's own name.
///
/// `filename` is UTF-8; slashes and control characters in it become "_". Its extension gives the type, unless one was set.
///
/// Errors: as `hasty_response_send_file()`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `path` and `filename` are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_send_download(
    res: *mut hasty_response,
    path: *const c_char,
    filename: *const c_char,
) -> hasty_status {
    let change = |res: &mut Response| {
        // SAFETY: the caller vouches for a NUL-terminated `path`.
        let path = unsafe { handle::text(path, "path") }?;
        // SAFETY: the caller vouches for a NUL-terminated `filename`.
        let filename = unsafe { handle::optional_text(filename) }.map(|filename| res.apart(filename));
        res.send_download(OsStr::from_bytes(&res.apart(path)), filename.as_deref())
    };
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

/// Writes a piece of the body, which is copied, and sends it. The first call sends the head.
///
/// The body is chunked, or has the Content-Length that was set; for HTTP/1.0 clients it ends with the connection. From
/// the first call on setters return `HASTY_ERR_STATE`, and if the handler fails the connection is cut, so that the client
/// notices that the end is missing. If fewer bytes than the Content-Length are written it is cut too, and this is logged.
///
/// In a handler it blocks while the client takes nothing, at most `write_timeout_ms`; other threads serve other requests meanwhile.
/// If no thread is left for them, it buffers what the client has not taken, up to `stream_buffer_bytes`, and then returns
/// `HASTY_ERR_LIMIT`. Handlers of a route with `blocking` = "yes" start only when they may wait (which is learned, too), except in
/// apps with one thread or none. With `dispatch` = "caller" it blocks as well, and so does `hasty_app_poll()`, whatever its time-out:
/// defer there.
///
/// On a deferred response it does not block: what the client has not taken is buffered, up to `stream_buffer_bytes`, and
/// `hasty_exchange_on_ready()` reports when there is room. Nothing is sent before the handler that deferred has returned.
///
/// Errors: `HASTY_ERR_CLOSED` once the client has left or the app has stopped, and after the head if there is no body (HEAD, 204, 304);
/// `HASTY_ERR_TIMEOUT` if the client took nothing for too long; `HASTY_ERR_LIMIT` if the buffer is full (nothing was taken; the piece
/// may be written again later); `HASTY_ERR_INVALID` for more than the Content-Length that was set, or if a setter failed before;
/// `HASTY_ERR_STATE` outside of handlers, middleware and exchanges, and if a body was set already by one of `send*`;
/// `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `data` has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_write(res: *mut hasty_response, data: *const c_void, len: usize) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `res`.
        let (request, res) = unsafe { parts(res) }?;
        // SAFETY: the caller vouches for `len` bytes.
        let data = unsafe { handle::bytes(data, len, "data") }?;
        let data = res.apart(data);
        res.write(request, &data)
    })
}

/// Writes a server-sent event as a piece of the body: `text/event-stream`, with headers that keep caches from storing and proxies from buffering it.
///
/// `event` is its name and `id` its id, both optional; each line of `data` becomes a line of the event. With `data` NULL
/// it is a comment, which keeps the connection alive. All are UTF-8.
///
/// Errors: as `hasty_response_write()`; `HASTY_ERR_INVALID` if `event` or `id` holds a line end.
///
/// # Safety
/// `res` is NULL or the response of the current call; the strings are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_write_event(
    res: *mut hasty_response,
    event: *const c_char,
    data: *const c_char,
    id: *const c_char,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `res`.
        let (request, res) = unsafe { parts(res) }?;
        // SAFETY: the caller vouches for a NUL-terminated `event`.
        let event = unsafe { handle::optional_text(event) };
        // SAFETY: the caller vouches for a NUL-terminated `data`.
        let data = unsafe { handle::optional_text(data) };
        // SAFETY: the caller vouches for a NUL-terminated `id`.
        let id = unsafe { handle::optional_text(id) };
        let [event, data, id] = [event, data, id].map(|text| text.map(|text| res.apart(text).into_owned()));
        res.write_event(request, event.as_deref(), data.as_deref(), id.as_deref())
    })
}

/// Resets the response to an empty 200, and forgets the failure of a setter.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_reset(res: *mut hasty_response) -> hasty_status {
    let change = |res: &mut Response| res.reset();
    // SAFETY: the caller vouches for a live `res`.
    unsafe { changed(res, change) }
}

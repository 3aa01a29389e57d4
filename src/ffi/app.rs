//! `hasty_app_*`: options, routes, listening, running, stopping.

use super::callback::{CAccessLog, CAllow, CHandler, CLog, CNoHandler, CNotify, UserData};
use super::exchange;
use super::guard::{Descriptor, guard};
use super::handle::{self, Handle};
use super::slot::Slots;
use super::types::*;
use crate::app::App;
use crate::cors::CorsOptions;
use crate::error::{Error, Result};
use crate::handler::Allow;
use crate::options::{Key, Options};
use crate::static_files::StaticOptions;
use parking_lot::Mutex;
use std::ffi::{OsStr, c_char, c_void};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

/// An app, and the texts of its options that were handed out.
pub(super) struct CApp {
    /// Declared, so dropped, before the app, which answers the requests that the slots leave unanswered.
    pub(super) slots: Arc<Slots>,
    pub(super) app: App,
    /// Kept until the app is freed, since C holds views of them.
    texts: Mutex<Vec<(String, Box<[u8]>)>>,
}

impl Handle for hasty_app {
    type Inner = CApp;
    const NAME: &'static str = "app";
}

/// Makes an app. `options` may be NULL: all defaults.
///
/// Ownership: `*out` is yours; end it with `hasty_app_free()`.
///
/// Errors: `HASTY_ERR_INVALID` if an option is out of bounds or `options->size` is wrong; `HASTY_ERR_IO` if
/// descriptors are short; `HASTY_ERR_NULL`.
///
/// # Safety
/// `options` is NULL or a struct of `options->size` bytes; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_new(options: *const hasty_options, out: *mut *mut hasty_app) -> hasty_status {
    guard(|| {
        handle::need_out(out)?;
        let mut settings = Options::new();
        // SAFETY: the caller vouches for `options`.
        if let Some(given) = unsafe { handle::options(options, "hasty_options") }? {
            // SAFETY: as above, and its string is NULL or NUL-terminated.
            unsafe { apply(&given, &mut settings) }?;
        }
        let app = CApp { app: App::new(settings)?, slots: Arc::default(), texts: Mutex::default() };
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, handle::give(app)) }
    })
}

/// Applies the fields of a struct: 0 is the default, HASTY_NONE is zero.
///
/// # Safety
/// `given.server_header` is NULL or NUL-terminated.
unsafe fn apply(given: &hasty_options, settings: &mut Options) -> Result<()> {
    handle::refuse_none32("hasty_options.max_body_bytes", given.max_body_bytes)?;
    match given.max_body_bytes {
        0 => {}
        HASTY_NONE64 => settings.set(Key::MaxBodyBytes, 0)?,
        value => settings.set(Key::MaxBodyBytes, value)?,
    }
    for (key, value) in [
        (Key::Threads, given.threads),
        (Key::MaxConnections, given.max_connections),
        (Key::MaxConnectionsPerIp, given.max_connections_per_ip),
        (Key::MaxHeaderBytes, given.max_header_bytes),
        (Key::MaxHeaders, given.max_headers),
        (Key::MaxTargetBytes, given.max_target_bytes),
        (Key::HeaderTimeoutMs, given.header_timeout_ms),
        (Key::BodyTimeoutMs, given.body_timeout_ms),
        (Key::IdleTimeoutMs, given.idle_timeout_ms),
        (Key::WriteTimeoutMs, given.write_timeout_ms),
        (Key::ExchangeTimeoutMs, given.exchange_timeout_ms),
        (Key::MaxRequestsPerConnection, given.max_requests_per_connection),
    ] {
        match value {
            0 => {}
            HASTY_NONE => settings.set(key, 0)?,
            value => settings.set(key, u64::from(value))?,
        }
    }
    if !given.server_header.is_null() {
        // SAFETY: as the caller vouches.
        settings.set_server_header(unsafe { handle::utf8(given.server_header, "server_header") }?)?;
    }
    Ok(())
}

/// Stops the app, waits for callbacks that run, and frees it. Nothing happens for NULL.
///
/// Inside one of the app's own callbacks it returns at once, and the rest is done when the last callback has
/// returned. Otherwise no callback and no drop of the app runs after it has returned: it runs the `drop` of every
/// registered user_data.
///
/// Threads: any, once; no other thread may use `app`, except those still in `hasty_app_start()` or `hasty_app_run()`, which it ends.
///
/// # Safety
/// `app` is NULL or came from `hasty_app_new()` and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_free(app: *mut hasty_app) {
    guard(|| {
        // SAFETY: the caller vouches for an app that was not freed.
        drop(unsafe { handle::take(app) });
        Ok(())
    });
}

/// Sets an option by name and text, literally: "0" is zero, none or off. Before start; options of listeners, before listen.
///
/// Besides the fields of `hasty_options` there are: `backlog` (4096), `reuse_port` (0), `min_rate_bytes` (240 a
/// second, after 5 s of grace), `max_buffered_bytes` (268435456), `defer_accept_s` (1), `cache_ms` (1000), `compress` (1), `max_queued`
/// (1024 requests that wait for a thread), `lanes` (one for each processor), `tick_us` (2000),
/// `spool_bytes` (262144), `spool_directory` (the system's for temporary files), `max_parts` (1000) and
/// `stream_buffer_bytes` (262144).
///
/// "0" is off for `reuse_port`, `min_rate_bytes`, `defer_accept_s`, `cache_ms` and `compress`. With `max_queued` "0" no request waits: it
/// is answered 503 if no thread is free, and always on a route of your own thread (unless slots take it without library threads, where
/// none is queued). `max_parts` "0" refuses every part of a form;
/// `spool_bytes` "0" refuses every field, and puts all files on disk. `stream_buffer_bytes` "0" keeps one piece at a time,
/// `max_buffered_bytes` "0" answers 503 while anything is kept. `tick_us` "0" treats every handler as blocking. `lanes` "0" is refused.
///
/// Errors: `HASTY_ERR_NOT_FOUND` for an unknown name (the message lists the known ones); `HASTY_ERR_INVALID`
/// for a value out of bounds; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live; `key` and `value` are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_set_option(app: *mut hasty_app, key: *const c_char, value: *const c_char) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        // SAFETY: the caller vouches for a NUL-terminated `key`.
        let key = unsafe { handle::utf8(key, "key") }?;
        // SAFETY: the caller vouches for a NUL-terminated `value`.
        let value = unsafe { handle::utf8(value, "value") }?;
        app.app.set_option(key, value)
    })
}

/// Sets an option of one route, identified by the method ("*" for any) and pattern it was registered with, before start.
///
/// - `max_body_bytes` and `exchange_timeout_ms` replace the app's ("0": no body; no limit).
/// - `body` is "buffer", the default: the handler runs when the whole body has arrived; "whole": likewise, but a form longer than
///   `spool_bytes` stays in memory as it was sent, for handlers that parse forms themselves; or "stream": it runs when the head
///   has, and calls `hasty_request_read()`.
/// - `dispatch` is "pool", the default, or "caller": the handler and its middleware run on a thread of yours that calls
///   `hasty_app_poll()`. Everything before them happens on the app's own threads.
/// - `blocking` is "auto", the default, "yes" or "no": whether the handler is known to block. With "auto" this is learned, at
///   the cost of some milliseconds for the first requests behind such a handler.
///
/// Errors: `HASTY_ERR_NOT_FOUND` for an unknown route or option; `HASTY_ERR_INVALID` for a value out of bounds;
/// `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live; the strings are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_set_route_option(
    app: *mut hasty_app,
    method: *const c_char,
    pattern: *const c_char,
    key: *const c_char,
    value: *const c_char,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        // SAFETY: the caller vouches for a NUL-terminated `method`.
        let method = unsafe { handle::utf8(method, "method") }?;
        // SAFETY: the caller vouches for a NUL-terminated `pattern`.
        let pattern = unsafe { handle::utf8(pattern, "pattern") }?;
        // SAFETY: the caller vouches for a NUL-terminated `key`.
        let key = unsafe { handle::utf8(key, "key") }?;
        // SAFETY: the caller vouches for a NUL-terminated `value`.
        let value = unsafe { handle::utf8(value, "value") }?;
        app.app.set_route_option(method, pattern, key, value)
    })
}

/// Returns an option's value as text, or its default. Absent for an unknown name. Valid until `hasty_app_free()`.
///
/// # Safety
/// `app` is NULL or live; `key` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_option(app: *const hasty_app, key: *const c_char) -> hasty_str {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app) }?;
        // SAFETY: the caller vouches for a NUL-terminated `key`.
        let key = unsafe { handle::utf8(key, "key") }?;
        Ok(option(app, key))
    })
}

/// Like `hasty_app_option()`, for languages that cannot take structs by value.
///
/// Errors: `HASTY_ERR_NULL`. An unknown name is no error: `out->data` is NULL.
///
/// # Safety
/// `app` is NULL or live; `key` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_option_to(app: *const hasty_app, key: *const c_char, out: *mut hasty_str) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app) }?;
        // SAFETY: the caller vouches for a NUL-terminated `key`.
        let key = unsafe { handle::utf8(key, "key") }?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, option(app, key)) }
    })
}

/// A view of an option's text that is valid until the app is freed: each distinct text is kept once.
fn option(app: &CApp, name: &str) -> hasty_str {
    let Ok(mut value) = app.app.option(name) else { return hasty_str::ABSENT };
    value.push('\0');
    let mut texts = app.texts.lock();
    let known = texts.iter().position(|(of, text)| of == name && **text == *value.as_bytes());
    let place = known.unwrap_or_else(|| {
        texts.push((name.to_owned(), value.into_bytes().into()));
        texts.len() - 1
    });
    hasty_str::terminated(&texts[place].1)
}

/// Adds `handler` for `method` and `pattern`.
///
/// With a NULL `handler` the route's requests wait for your own thread, which gets them from `hasty_app_next()` or
/// `hasty_slot_take()`; `hasty_app_poll()` has nothing to run for them, and answers 500.
///
/// `method` is a token such as "GET" or "PURGE", or "*" for any. Segments of `pattern` are literal, `:name`,
/// or a final `*` or `*rest`; at the first segment where two patterns differ, a literal beats a name and a name
/// beats a rest. A named method beats "*". HEAD falls back to GET.
///
/// Ownership: takes `user_data`, also on failure. `drop` (may be NULL) runs on it exactly once: at
/// `hasty_app_free()`, or before a failing call returns.
///
/// Errors: `HASTY_ERR_INVALID` if the method or pattern is malformed or conflicts with an earlier one (the message
/// names both); `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// Threads: `handler` runs on several at a time.
///
/// # Safety
/// `app` is NULL or live; `method` and `pattern` are NULL or NUL-terminated; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_route(
    app: *mut hasty_app,
    method: *const c_char,
    pattern: *const c_char,
    handler: hasty_handler,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for a NUL-terminated `method`.
        let method = unsafe { handle::utf8(method, "method") }?;
        // SAFETY: the caller vouches for `app` and `pattern`.
        unsafe { add_route(app, method, pattern, handler, user_data) }
    })
}

/// The common part of all functions that add a route.
///
/// # Safety
/// `app` is NULL or live; `pattern` is NULL or NUL-terminated.
unsafe fn add_route(app: *mut hasty_app, method: &str, pattern: *const c_char, handler: hasty_handler, user_data: UserData) -> Result<()> {
    // SAFETY: the caller vouches for a live `app`.
    let app = unsafe { handle::borrow(app.cast_const()) }?;
    // SAFETY: the caller vouches for a NUL-terminated `pattern`.
    let pattern = unsafe { handle::utf8(pattern, "pattern") }?;
    match handler {
        Some(function) => app.app.route(method, pattern, Box::new(CHandler { function, user_data })),
        None => app.app.route(method, pattern, Box::new(CNoHandler { user_data })),
    }
}

/// Adds `handler` for GET, and for HEAD unless HEAD has a handler of its own. `user_data` must outlive the app.
///
/// `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
///
/// Errors: as `hasty_app_route()`.
///
/// # Safety
/// `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_get(
    app: *mut hasty_app,
    pattern: *const c_char,
    handler: hasty_handler,
    user_data: *mut c_void,
) -> hasty_status {
    // SAFETY: the caller vouches for `app` and `pattern`.
    guard(|| unsafe { add_route(app, "GET", pattern, handler, UserData::new(user_data, None)) })
}

/// Adds `handler` for POST. `user_data` must outlive the app.
///
/// `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
///
/// Errors: as `hasty_app_route()`.
///
/// # Safety
/// `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_post(
    app: *mut hasty_app,
    pattern: *const c_char,
    handler: hasty_handler,
    user_data: *mut c_void,
) -> hasty_status {
    // SAFETY: the caller vouches for `app` and `pattern`.
    guard(|| unsafe { add_route(app, "POST", pattern, handler, UserData::new(user_data, None)) })
}

/// Adds `handler` for PUT. `user_data` must outlive the app.
///
/// `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
///
/// Errors: as `hasty_app_route()`.
///
/// # Safety
/// `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_put(
    app: *mut hasty_app,
    pattern: *const c_char,
    handler: hasty_handler,
    user_data: *mut c_void,
) -> hasty_status {
    // SAFETY: the caller vouches for `app` and `pattern`.
    guard(|| unsafe { add_route(app, "PUT", pattern, handler, UserData::new(user_data, None)) })
}

/// Adds `handler` for PATCH. `user_data` must outlive the app.
///
/// `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
///
/// Errors: as `hasty_app_route()`.
///
/// # Safety
/// `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_patch(
    app: *mut hasty_app,
    pattern: *const c_char,
    handler: hasty_handler,
    user_data: *mut c_void,
) -> hasty_status {
    // SAFETY: the caller vouches for `app` and `pattern`.
    guard(|| unsafe { add_route(app, "PATCH", pattern, handler, UserData::new(user_data, None)) })
}

/// Adds `handler` for DELETE. `user_data` must outlive the app.
///
/// `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
///
/// Errors: as `hasty_app_route()`.
///
/// # Safety
/// `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_delete(
    app: *mut hasty_app,
    pattern: *const c_char,
    handler: hasty_handler,
    user_data: *mut c_void,
) -> hasty_status {
    // SAFETY: the caller vouches for `app` and `pattern`.
    guard(|| unsafe { add_route(app, "DELETE", pattern, handler, UserData::new(user_data, None)) })
}

/// Adds `handler` for every method that has no handler of its own. `user_data` must outlive the app.
///
/// `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
///
/// Errors: as `hasty_app_route()`.
///
/// # Safety
/// `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_any(
    app: *mut hasty_app,
    pattern: *const c_char,
    handler: hasty_handler,
    user_data: *mut c_void,
) -> hasty_status {
    // SAFETY: the caller vouches for `app` and `pattern`.
    guard(|| unsafe { add_route(app, "*", pattern, handler, UserData::new(user_data, None)) })
}

/// Serves the files below `directory` for GET and HEAD, at `prefix` and every path below it. `options` may be NULL.
///
/// A directory is answered with its index; a path to it without a final slash is redirected to the one with it. Names
/// that begin with a dot, paths that lead out of the directory, and anything but regular files are answered 404. A
/// symbolic link may lead to another place below the directory, by a relative path. ETag, Last-Modified, conditional
/// requests and ranges are supported. If "page.html.br" or "page.html.gz" exists beside "page.html", clients that accept
/// it get that one.
///
/// The directory is opened by name again from time to time, so it may be replaced by renaming. Small files are
/// served from memory for `cache_ms` milliseconds (an option of the app) before they are checked on disk again.
///
/// Errors: `HASTY_ERR_IO` if the directory or its `fallback` cannot be opened (the message names it); `HASTY_ERR_INVALID` if the
/// prefix is malformed or conflicts with an earlier route, or an option or `options->size` is wrong;
/// `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live; `prefix` and `directory` are NULL or NUL-terminated; `options` is NULL or a struct of
/// `options->size` bytes, whose strings are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_static(
    app: *mut hasty_app,
    prefix: *const c_char,
    directory: *const c_char,
    options: *const hasty_static,
) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        // SAFETY: the caller vouches for a NUL-terminated `prefix`.
        let prefix = unsafe { handle::utf8(prefix, "prefix") }?;
        // SAFETY: the caller vouches for a NUL-terminated `directory`.
        let directory = unsafe { handle::text(directory, "directory") }?;
        let mut settings = StaticOptions::default();
        // SAFETY: the caller vouches for `options`.
        if let Some(given) = unsafe { handle::options(options, "hasty_static") }? {
            // SAFETY: as above, and its strings are NULL or NUL-terminated.
            unsafe { apply_static(&given, &mut settings) }?;
        }
        app.app.static_files(prefix, OsStr::from_bytes(directory), &settings)
    })
}

/// Applies the fields of a struct; NULL is the default.
///
/// # Safety
/// The strings of `given` are NULL or NUL-terminated.
unsafe fn apply_static(given: &hasty_static, settings: &mut StaticOptions) -> Result<()> {
    if !given.index.is_null() {
        // SAFETY: as the caller vouches.
        unsafe { handle::utf8(given.index, "index") }?.clone_into(&mut settings.index);
    }
    if !given.fallback.is_null() {
        // SAFETY: as the caller vouches.
        settings.fallback = Some(unsafe { handle::utf8(given.fallback, "fallback") }?.to_owned());
    }
    if !given.cache_control.is_null() {
        // SAFETY: as the caller vouches.
        settings.cache_control = Some(unsafe { handle::utf8(given.cache_control, "cache_control") }?.to_owned());
    }
    settings.list = given.list != 0;
    settings.dotfiles = given.dotfiles != 0;
    Ok(())
}

/// Runs `handler` before those of the routes, for every request at `prefix` and below, in the order of registration.
///
/// It returns `HASTY_NEXT` to go on to the next one, and then to the route; or `HASTY_OK` when it has answered, or deferred.
/// The headers that it has set in `res` stay, on errors too, but for those about a content (`Content-*` without a
/// `Content-Security-Policy`, `Cache-Control`, `Expires`, `ETag`, `Last-Modified`). It also runs before static files and the library's
/// own 404, 405 and 413; not for requests that cannot be parsed, nor for preflights that the library answers. `prefix` is compared
/// by whole decoded segments; a slash at its end is ignored; "/" covers everything.
///
/// It runs before the body is read, which is absent to it. For routes with `dispatch = caller` it runs with the handler, when the body
/// is there.
///
/// Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
///
/// Errors: `HASTY_ERR_INVALID` for a malformed prefix; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// Threads: `handler` runs on several at a time.
///
/// # Safety
/// `app` is NULL or live; `prefix` is NULL or NUL-terminated; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_use(
    app: *mut hasty_app,
    prefix: *const c_char,
    handler: hasty_handler,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for `app` and `prefix`.
        let (app, prefix, handler) = unsafe { around(app, prefix, handler, user_data) }?;
        app.middleware(prefix, Box::new(handler))
    })
}

/// The common part of the functions that add middleware and `after` functions.
///
/// # Safety
/// `app` is NULL or live, and `prefix` is NULL or NUL-terminated, both during `'a`.
unsafe fn around<'a>(
    app: *mut hasty_app,
    prefix: *const c_char,
    handler: hasty_handler,
    user_data: UserData,
) -> Result<(&'a App, &'a str, CHandler)> {
    // SAFETY: the caller vouches for a live `app`.
    let app = unsafe { handle::borrow(app.cast_const()) }?;
    // SAFETY: the caller vouches for a NUL-terminated `prefix`.
    let prefix = unsafe { handle::utf8(prefix, "prefix") }?;
    let function = handler.ok_or_else(|| handle::null("handler"))?;
    Ok((&app.app, prefix, CHandler { function, user_data }))
}

/// Runs `handler` after those of the routes, for every answer at `prefix` and below, in the reverse order of registration.
///
/// It may change status, headers and, unless the answer is written piece by piece, the body. It also runs for static files,
/// redirects and the library's own errors, but not if the request could not be parsed, nor for the 504 or 503 of an exchange whose
/// time is up or that the end of the app has left open. For an answer that is written piece by piece it runs before the first piece.
/// Anything but `HASTY_OK` is logged and answers 500.
///
/// Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
///
/// Errors: `HASTY_ERR_INVALID` for a malformed prefix; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// Threads: `handler` runs on several at a time; for a deferred answer, on the one that finishes it.
///
/// # Safety
/// `app` is NULL or live; `prefix` is NULL or NUL-terminated; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_after(
    app: *mut hasty_app,
    prefix: *const c_char,
    handler: hasty_handler,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for `app` and `prefix`.
        let (app, prefix, handler) = unsafe { around(app, prefix, handler, user_data) }?;
        app.after(prefix, Box::new(handler))
    })
}

/// Lets scripts of other origins read answers at `prefix` and below.
///
/// `policy` may be NULL: any origin, without credentials, with the methods that the path has and the headers that are asked
/// for. Preflights are answered 204, unless a handler for OPTIONS is registered on that path. Errors have the headers too.
/// If several policies match, only the one with the longest prefix applies.
///
/// Errors: `HASTY_ERR_INVALID` for a prefix that is malformed or has a policy already, for a malformed origin, method or
/// header, and for "*" together with credentials; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live; `prefix` is NULL or NUL-terminated; `policy` is NULL or a struct of `policy->size` bytes, whose
/// strings are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_cors(app: *mut hasty_app, prefix: *const c_char, policy: *const hasty_cors) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        // SAFETY: the caller vouches for a NUL-terminated `prefix`.
        let prefix = unsafe { handle::utf8(prefix, "prefix") }?;
        // SAFETY: the caller vouches for `policy`.
        let settings = match unsafe { handle::options(policy, "hasty_cors") }? {
            None => CorsOptions::default(),
            // SAFETY: the caller vouches that the strings of `policy` are NULL or NUL-terminated.
            Some(given) => unsafe { cors_options(&given) }?,
        };
        app.app.cors(prefix, &settings)
    })
}

/// Converts a struct of options.
///
/// # Safety
/// The strings of `given` are NULL or NUL-terminated.
unsafe fn cors_options(given: &hasty_cors) -> Result<CorsOptions> {
    if given.reserved != 0 {
        return Err(Error::invalid(format!("hasty_cors.reserved = {}: it must be 0", given.reserved)));
    }
    let list = |text: *const c_char, name: &'static str| match text.is_null() {
        true => Ok(None),
        // SAFETY: not NULL; the caller vouches that it is then NUL-terminated.
        false => unsafe { handle::utf8(text, name) }.map(Some),
    };
    let (origins, methods) = (list(given.origins, "origins")?, list(given.methods, "methods")?);
    let (headers, expose) = (list(given.headers, "headers")?, list(given.expose, "expose")?);
    let mut settings = CorsOptions::from_lists(origins, methods, headers, expose);
    match given.max_age_s {
        0 => {}
        HASTY_NONE => settings.max_age_s = 0,
        seconds => settings.max_age_s = seconds,
    }
    settings.credentials = given.credentials != 0;
    settings.private_network = given.private_network != 0;
    Ok(settings)
}

/// Limits the rate of each client's requests at `prefix` and below; excess ones are answered 429, with `Retry-After`.
///
/// A client is an address, or the first 64 bits of an IPv6 address. `per_minute` is its sustained rate, `burst` the most
/// requests at once; 0 means `per_minute`. Every answer reports the state (`RateLimit-Limit`, `-Remaining`, `-Reset`).
/// Preflights that the library answers do not count. Behind a proxy all clients have the proxy's address: let the proxy
/// limit them, or pass `allow`.
///
/// `allow` (may be NULL) decides instead, so that several processes can share a count: it is called for each request with
/// the client's address, and returns 1 to allow it or 0 to refuse it. Then only refusals report a state.
///
/// Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
///
/// Errors: `HASTY_ERR_INVALID` for a malformed prefix or 0 per minute; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// Threads: `allow` runs on several at a time.
///
/// # Safety
/// `app` is NULL or live; `prefix` is NULL or NUL-terminated; `allow` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_rate_limit(
    app: *mut hasty_app,
    prefix: *const c_char,
    per_minute: u32,
    burst: u32,
    allow: hasty_allow_fn,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        // SAFETY: the caller vouches for a NUL-terminated `prefix`.
        let prefix = unsafe { handle::utf8(prefix, "prefix") }?;
        let allow = allow.map(|function| Box::new(CAllow { function, user_data }) as Box<dyn Allow>);
        app.app.rate_limit(prefix, per_minute, burst, allow)
    })
}

/// Adds a header to every answer that has none of that name, `Vary` to all; both strings are copied. May be repeated.
///
/// Errors: `HASTY_ERR_INVALID` if the name is not a token, if the value holds a control character, or if the server itself sets
/// that header; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live; `name` and `value` are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_add_header(app: *mut hasty_app, name: *const c_char, value: *const c_char) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        // SAFETY: the caller vouches for a NUL-terminated `name`.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller vouches for a NUL-terminated `value`.
        let value = unsafe { handle::text(value, "value") }?;
        app.app.add_header(name, value)
    })
}

/// Adds a set of common security headers to every answer, each unless the answer has one of that name.
///
/// `X-Content-Type-Options: nosniff`, `X-Frame-Options: SAMEORIGIN`, `Referrer-Policy: strict-origin-when-cross-origin`,
/// `Cross-Origin-Opener-Policy: same-origin`, `X-Permitted-Cross-Domain-Policies: none`.
///
/// Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_secure_headers(app: *mut hasty_app) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        app.app.secure_headers()
    })
}

/// Lets `handler` change every answer from 400 to 599 that the library itself gives.
///
/// `res` has its status, headers and body set; `hasty_last_error()` has the reason. If the request could not be parsed, all
/// views of `req` but its id and the remote address are absent. If an exchange owns the request, `req` is a copy of its head,
/// without body and locals. If `handler` fails, the library's own answer is sent. A second call replaces the first.
///
/// Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
///
/// Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// Threads: `handler` runs on several at a time.
///
/// # Safety
/// `app` is NULL or live; `handler` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_on_error(
    app: *mut hasty_app,
    handler: hasty_handler,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        let function = handler.ok_or_else(|| handle::null("handler"))?;
        app.app.on_error(Box::new(CHandler { function, user_data }))
    })
}

/// Passes log messages to `log`; without it they are discarded. A second call replaces the first.
///
/// Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
///
/// Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// Threads: `log` runs on several at a time.
///
/// # Safety
/// `app` is NULL or live; `log` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_on_log(
    app: *mut hasty_app,
    log: hasty_log_fn,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        let function = log.ok_or_else(|| handle::null("log"))?;
        app.app.on_log(Box::new(CLog { function, user_data }))
    })
}

/// Passes `access` the record of each answered request, including those that could not be parsed.
///
/// It is called when the answer is complete, before it is sent; for one written piece by piece, at its end. The record is
/// valid until it returns; `hasty_access_to_text()` formats it as a line. An exchange whose client left has status 499. A
/// second call replaces the first.
///
/// Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
///
/// Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// Threads: `access` runs on several at a time.
///
/// # Safety
/// `app` is NULL or live; `access` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_on_access(
    app: *mut hasty_app,
    access: hasty_access_fn,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        let function = access.ok_or_else(|| handle::null("access"))?;
        app.app.on_access(Box::new(CAccessLog { function, user_data }))
    })
}

/// Calls `start` on each thread of the app's pool before it serves, and `stop` before it ends.
///
/// Either may be NULL. A second call replaces the first. Use it for what a thread must do before it may run handlers, such
/// as attaching to another language's runtime. It is not called for your own threads in `hasty_app_run()`.
///
/// Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
///
/// Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live; `start` and `stop` may be called on several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_on_thread(
    app: *mut hasty_app,
    start: hasty_notify_fn,
    stop: hasty_notify_fn,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        app.app.on_thread(Box::new(CNotify { start, stop, user_data }))
    })
}

/// Answers GET at `pattern` with a health report in JSON: status 200, or 503 while the app drains.
///
/// The members are `status` ("ok" or "draining"), `uptime_ms`, `requests` (received so far), `connections` (open now), `queued`
/// (requests waiting for a thread), and `caller_idle_ms`: how long ago, in milliseconds, a thread of yours last asked for requests
/// with `hasty_app_poll()`, `hasty_app_next()` or a slot; 0 while one waits for them, null if none ever did. The app's own threads
/// answer it, also while yours is busy. Its 503 is a report, not an error: `hasty_app_on_error()` is not asked.
///
/// Errors: as `hasty_app_route()`.
///
/// # Safety
/// `app` is NULL or live; `pattern` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_health(app: *mut hasty_app, pattern: *const c_char) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        // SAFETY: the caller vouches for a NUL-terminated `pattern`.
        app.app.health(unsafe { handle::utf8(pattern, "pattern") }?)
    })
}

/// Listens on a TCP port, at once; connections are accepted after start. May be repeated, up to 1024 listeners of all kinds.
///
/// `host` is an address or a name; NULL means "127.0.0.1", "0.0.0.0" every IPv4 address, "::" every IPv4 and IPv6
/// address. Port 0 picks a free one; `hasty_app_port()` returns it.
///
/// Errors: `HASTY_ERR_IO` if the system refuses (the message has its reason); `HASTY_ERR_INVALID` for a port outside
/// 0 to 65535; `HASTY_ERR_LIMIT` for too many listeners; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live; `host` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_listen(app: *mut hasty_app, host: *const c_char, port: i32) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        let host = match host.is_null() {
            true => None,
            // SAFETY: the caller vouches for a NUL-terminated `host`.
            false => Some(unsafe { handle::utf8(host, "host") }?),
        };
        app.app.listen(host, port)
    })
}

/// Listens on a Unix socket, at once. A stale socket is replaced; the file is removed when the app stops.
///
/// `mode` is the file's mode, such as 0660; 0 leaves it to the umask.
///
/// Errors: `HASTY_ERR_IO` if the system refuses, another program listens there, or the file is not a socket;
/// `HASTY_ERR_INVALID` for an empty path or a mode above 0777; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live; `path` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_listen_unix(app: *mut hasty_app, path: *const c_char, mode: u32) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        // SAFETY: the caller vouches for a NUL-terminated `path`.
        let path = unsafe { handle::text(path, "path") }?;
        app.app.listen_unix(path, mode)
    })
}

/// Listens on a socket that is listening already, such as one passed by a service manager.
///
/// Ownership: takes `fd` on success; on failure it stays yours.
///
/// Errors: `HASTY_ERR_INVALID` if it is not a listening socket; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live; `fd` belongs to nobody else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_listen_fd(app: *mut hasty_app, fd: i32) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        if fd < 0 {
            return Err(Error::invalid(format!("descriptor {fd} is negative")));
        }
        // SAFETY: the caller passes ownership of `fd`; on failure it is released below without being closed.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        app.app.listen_fd(socket).map_err(|(socket, error)| {
            let _ = socket.into_raw_fd();
            error
        })
    })
}

/// Returns the port of the first TCP listener; 0 without one.
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_port(app: *const hasty_app) -> i32 {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app) }?;
        Ok(i32::from(app.app.port()))
    })
}

/// Starts the app's threads, and returns.
///
/// Errors: `HASTY_ERR_STATE` if it was started or stopped before, or has no listener; `HASTY_ERR_IO` if descriptors
/// or threads cannot be created; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_start(app: *mut hasty_app) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for an `app` that is live now; `start` does not touch it once a thread serves.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        app.app.start()
    })
}

/// Starts the app unless it has started, and serves on this thread too until the app is stopped.
///
/// Errors: as `hasty_app_start()`, except that the app may have started before; `HASTY_ERR_STATE` inside a callback of the
/// app. After a stop it returns `HASTY_OK` at once.
///
/// Threads: any number at a time.
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_run(app: *mut hasty_app) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for an `app` that is live now; `run` does not touch it once it serves.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        app.app.run()
    })
}

/// Refuses new connections, lets requests in progress finish with `Connection: close`, and stops, at the latest after `timeout_ms`. Blocks.
///
/// Idle connections are closed at once. It also waits for requests that wait for your own thread: a program whose thread polls calls
/// `hasty_app_begin_drain()` instead, as does a signal handler.
///
/// Errors: `HASTY_ERR_TIMEOUT` if requests had to be cut off; `HASTY_ERR_STATE` inside a callback of the app, and
/// before start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_drain(app: *mut hasty_app, timeout_ms: i32) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        app.app.drain(timeout(timeout_ms))
    })
}

/// Asks the app to drain, and returns at once: `hasty_app_drain()` for programs whose threads have other things to do.
///
/// The threads that serve, in `hasty_app_poll()` or its like too, refuse new connections, close idle ones, and let requests in progress
/// finish with `Connection: close`, also those that wait for your own thread. When no connection is left, or after `timeout_ms`, the app
/// stops as by `hasty_app_stop()`: `hasty_app_run()` returns, `hasty_app_poll()` and its like return `HASTY_ERR_CLOSED`,
/// `hasty_app_fd()` is readable, and `hasty_app_wait()` reports completion. So go on polling until then.
///
/// A later call sets a new time; its end is noticed up to half a second late, and with `threads` none only while a thread is in
/// `hasty_app_poll()` or its like. A call before start is remembered: the app stops when it has started. Nothing happens for NULL.
///
/// Threads: any, any number of times, inside handlers and other callbacks, and inside signal handlers (it preserves errno).
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_begin_drain(app: *mut hasty_app, timeout_ms: i32) {
    if app.is_null() {
        return;
    }
    // No guard: a signal handler may be here, and nothing below can panic or allocate.
    // SAFETY: the caller vouches for a live `app`.
    if let Ok(app) = unsafe { handle::borrow(app.cast_const()) } {
        app.app.begin_drain(timeout(timeout_ms));
    }
}

/// Asks the app to stop, and returns at once.
///
/// New connections are refused. Running handlers finish and their answers are sent, but `hasty_response_write()` returns
/// `HASTY_ERR_CLOSED`, since an endless stream would never let the app stop. Open exchanges and waiting requests get a 503.
/// `hasty_app_wait()` reports completion. A stop before start is remembered.
///
/// Threads: any, any number of times, inside handlers, and inside signal handlers (it preserves errno).
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_stop(app: *mut hasty_app) {
    if app.is_null() {
        return;
    }
    // No guard: a signal handler may be here, and nothing below can panic or allocate.
    // SAFETY: the caller vouches for a live `app`.
    if let Ok(app) = unsafe { handle::borrow(app.cast_const()) } {
        app.app.stop();
    }
}

/// Waits until the app has stopped and its last callback has returned.
///
/// Errors: `HASTY_ERR_TIMEOUT`; `HASTY_ERR_STATE` inside a callback of the app, and before start; `HASTY_ERR_NULL`.
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_wait(app: *mut hasty_app, timeout_ms: i32) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        app.app.wait(timeout(timeout_ms))
    })
}

/// Converts a time-out; negative means no limit.
pub(super) fn timeout(timeout_ms: i32) -> Option<Duration> {
    u64::try_from(timeout_ms).ok().map(Duration::from_millis)
}

/// Returns a descriptor that is readable exactly while requests wait for `hasty_app_poll()` or its like.
///
/// With `threads` none it is also readable while the app has other work to do, unless a thread in `hasty_app_run()` does it. After
/// a stop it stays readable. It is level-triggered, for `poll`, `select`, `epoll` and the loops built on them. It is the same in every
/// call, also before start. Neither read from it nor close it: it belongs to the app, until free.
///
/// Errors: -1; `hasty_last_error()` says why.
///
/// Threads: any.
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_fd(app: *const hasty_app) -> i32 {
    guard(|| {
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app) }?;
        Ok(Descriptor(app.app.fd()?.as_raw_fd()))
    })
}

/// Runs handlers of routes with `dispatch = caller` on this thread.
///
/// It serves the waiting requests, at most `max_requests` of them, and returns; if none waits, it waits for one. With
/// `threads` none it does the app's other work as well: accepting, receiving, all other routes, time-outs.
///
/// `timeout_ms` limits only that wait: a running handler is let finish, and one whose `hasty_response_write()` waits for a slow client
/// delays this call as long, up to `write_timeout_ms` without progress. Defer such an answer, and go on writing when
/// `hasty_exchange_on_ready()` says so.
///
/// `*served` is how many handlers ran, those of other routes not counted.
///
/// Errors: `HASTY_ERR_TIMEOUT` if no such request came within `timeout_ms`, or `hasty_app_wake()` was called; `HASTY_ERR_CLOSED`
/// once the app has stopped; `HASTY_ERR_INVALID` if `max_requests` is 0; `HASTY_ERR_STATE` before start, inside a callback of the
/// app, and for an app whose requests are taken by `hasty_app_next()` or slots; `HASTY_ERR_NULL`.
///
/// Threads: any, several at a time.
///
/// # Safety
/// `app` is NULL or live; `served` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_poll(app: *mut hasty_app, max_requests: u32, timeout_ms: i32, served: *mut u32) -> hasty_status {
    guard(|| {
        handle::need(served, "served")?;
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        let count = app.app.poll(max_requests as usize, timeout(timeout_ms))?;
        // SAFETY: the caller vouches for a writable `served`.
        unsafe { handle::write(served, u32::try_from(count).unwrap_or(u32::MAX)) }
    })
}

/// Takes a request of a route with `dispatch = caller`, or waits for one.
///
/// `hasty_request_route()` and `hasty_request_user_data()` tell which route it is. Its middleware runs here; its handler does not.
/// With `threads` none this does the app's other work as well.
///
/// Ownership: `*out` is yours; end it with `hasty_exchange_finish()` or `hasty_exchange_free()`.
///
/// Errors: as `hasty_app_poll()`.
///
/// Threads: any, several at a time.
///
/// # Safety
/// `app` is NULL or live; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_next(app: *mut hasty_app, timeout_ms: i32, out: *mut *mut hasty_exchange) -> hasty_status {
    guard(|| {
        handle::need_out(out)?;
        // SAFETY: the caller vouches for a live `app`.
        let app = unsafe { handle::borrow(app.cast_const()) }?;
        let exchange = exchange::give(app.app.next(timeout(timeout_ms))?)?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, exchange) }
    })
}

/// Ends a waiting call of `hasty_app_poll()`, `hasty_app_next()` or `hasty_slot_wait()`, or else the next one that would wait.
///
/// That call returns `HASTY_ERR_TIMEOUT`. `hasty_app_fd()` does not become readable: a loop that waits for it needs another way
/// to be woken, such as a pipe. Nothing happens for NULL.
///
/// Threads: any, also in signal handlers.
///
/// # Safety
/// `app` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_app_wake(app: *mut hasty_app) {
    if app.is_null() {
        return;
    }
    // No guard: a signal handler may be here, and nothing below can panic or allocate.
    // SAFETY: the caller vouches for a live `app`.
    if let Ok(app) = unsafe { handle::borrow(app.cast_const()) } {
        app.app.wake();
    }
}

//! The types and constants of the C ABI.

#![allow(non_camel_case_types, reason = "these names are C's")]
#![allow(dead_code, reason = "C reads what is declared here; the layouts are those of the ABI from its first version on")]

use std::ffi::{c_char, c_void};

/// The outcome of a call: `HASTY_OK`, one of `HASTY_ERR_*`, or `HASTY_NEXT` from middleware. Numbers are permanent.
pub type hasty_status = i32;

/// Done.
pub const HASTY_OK: hasty_status = 0;
/// A required argument was NULL.
pub const HASTY_ERR_NULL: hasty_status = 1;
/// A value breaks a rule; `hasty_last_error()` names both.
pub const HASTY_ERR_INVALID: hasty_status = 2;
/// The call is not allowed now: registration after start, waiting inside a callback.
pub const HASTY_ERR_STATE: hasty_status = 3;
/// The operating system refused; `hasty_last_error()` has its reason.
pub const HASTY_ERR_IO: hasty_status = 4;
/// The client, or the app, is gone. Does not set the last error.
pub const HASTY_ERR_CLOSED: hasty_status = 5;
/// Nothing happened within the time allowed. Does not set the last error.
pub const HASTY_ERR_TIMEOUT: hasty_status = 6;
/// A bug in the library caused a panic, which was caught.
pub const HASTY_ERR_PANIC: hasty_status = 7;
/// A limit would be exceeded.
pub const HASTY_ERR_LIMIT: hasty_status = 8;
/// There is nothing of that name.
pub const HASTY_ERR_NOT_FOUND: hasty_status = 9;
/// This build or this machine cannot do it.
pub const HASTY_ERR_UNSUPPORTED: hasty_status = 10;
/// From middleware: go on to the next step. From the handler of a route it is a failure.
pub const HASTY_NEXT: hasty_status = 100;

/// In a 32-bit option: literally zero, none or off, where 0 means the default.
pub const HASTY_NONE: u32 = u32::MAX;
/// In a 64-bit option: literally zero, none or off, where 0 means the default.
pub const HASTY_NONE64: u64 = u64::MAX;

/// What the reply in a slot is: UTF-8 text.
pub const HASTY_KIND_TEXT: i32 = 0;
/// HTML.
pub const HASTY_KIND_HTML: i32 = 1;
/// JSON text.
pub const HASTY_KIND_JSON: i32 = 2;
/// Bytes.
pub const HASTY_KIND_BYTES: i32 = 3;
/// The path of a file.
pub const HASTY_KIND_FILE: i32 = 4;
/// No body.
pub const HASTY_KIND_NONE: i32 = 5;

/// Levels of log messages, the most severe first: a request or a thread failed.
pub const HASTY_LOG_ERROR: i32 = 1;
/// A problem that the library has recovered from.
pub const HASTY_LOG_WARN: i32 = 2;
/// Normal events.
pub const HASTY_LOG_INFO: i32 = 3;
/// Details for debugging.
pub const HASTY_LOG_DEBUG: i32 = 4;

/// Methods by number: any other token.
pub const HASTY_METHOD_OTHER: i32 = 0;
/// GET
pub const HASTY_GET: i32 = 1;
/// HEAD
pub const HASTY_HEAD: i32 = 2;
/// POST
pub const HASTY_POST: i32 = 3;
/// PUT
pub const HASTY_PUT: i32 = 4;
/// DELETE
pub const HASTY_DELETE: i32 = 5;
/// CONNECT
pub const HASTY_CONNECT: i32 = 6;
/// OPTIONS
pub const HASTY_OPTIONS: i32 = 7;
/// TRACE
pub const HASTY_TRACE: i32 = 8;
/// PATCH
pub const HASTY_PATCH: i32 = 9;

/// What `hasty_json_kind()` answers for null.
pub const HASTY_JSON_NULL: i32 = 0;
/// `true` or `false`.
pub const HASTY_JSON_BOOL: i32 = 1;
/// A number.
pub const HASTY_JSON_NUMBER: i32 = 2;
/// A string.
pub const HASTY_JSON_STRING: i32 = 3;
/// An array.
pub const HASTY_JSON_ARRAY: i32 = 4;
/// An object.
pub const HASTY_JSON_OBJECT: i32 = 5;

/// A server with its routes and options. Owned by you: `hasty_app_new()`, `hasty_app_free()`.
pub struct hasty_app {
    _opaque: [u8; 0],
}

/// One request, read only. Borrowed: valid until the handler returns.
pub struct hasty_request {
    _opaque: [u8; 0],
}

/// The answer being prepared. Borrowed: valid until the handler returns.
pub struct hasty_response {
    _opaque: [u8; 0],
}

/// One request and the answer that is owed for it. Owned by you.
pub struct hasty_exchange {
    _opaque: [u8; 0],
}

/// A JSON value. Owned by you, or borrowed from a request or from the value it is part of.
pub struct hasty_json {
    _opaque: [u8; 0],
}

/// A piece of text or bytes that belongs to somebody else.
///
/// Absent is `data == NULL`, empty is `len == 0`. A NUL byte follows every one handed out, so `data` is
/// a C string too; values may hold NUL themselves, `len` is the truth.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hasty_str {
    /// The bytes, or NULL.
    pub data: *const c_char,
    /// How many there are, without the NUL.
    pub len: usize,
}

/// Options of an app. Zero-initialise it and set `size`; 0 or NULL is the default, `HASTY_NONE` is literally zero, none or off.
///
/// What `HASTY_NONE` is here, "0" is by `hasty_app_set_option()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hasty_options {
    /// `sizeof(hasty_options)`.
    pub size: usize,
    /// Bytes of a request's body; 0 means 10485760. More is answered 413; with `HASTY_NONE64` any body is.
    pub max_body_bytes: u64,
    /// Threads of the pool; 0 means two per processor, at least 8; one more is on standby once handlers block. `HASTY_NONE`: only
    /// threads that call `hasty_app_run()`, `hasty_app_poll()` or its like serve.
    pub threads: u32,
    /// Concurrent connections; 0 means what RLIMIT_NOFILE allows, less some for the host; `HASTY_NONE` is 1048576. More are answered
    /// 503 and closed.
    pub max_connections: u32,
    /// Connections at a time from one address, or one /64 network of IPv6; 0 and `HASTY_NONE` mean no limit. More are answered 503 and
    /// closed.
    pub max_connections_per_ip: u32,
    /// Bytes of a head: request line, fields and blank line; 0 means 16384. More is answered 431; with `HASTY_NONE` every head is.
    pub max_header_bytes: u32,
    /// Field lines of a head; 0 means 100. More is answered 431; with `HASTY_NONE` every head with a field is, and every HTTP/1.1
    /// request has one.
    pub max_headers: u32,
    /// Bytes of a request target; 0 means 8192. More is answered 414; with `HASTY_NONE` every target is.
    pub max_target_bytes: u32,
    /// Longest time for a head, from its first byte, in milliseconds; 0 means 10000, `HASTY_NONE` for ever. Then 408 and the connection is closed.
    pub header_timeout_ms: u32,
    /// Longest pause in a body, in milliseconds; 0 means 30000, `HASTY_NONE` for ever. Then 408 and the connection is closed.
    pub body_timeout_ms: u32,
    /// Longest pause between two requests, in milliseconds; 0 means 30000, `HASTY_NONE` for ever. Then the connection is closed.
    pub idle_timeout_ms: u32,
    /// Longest pause in sending an answer while the client takes nothing, in milliseconds; 0 means 30000, `HASTY_NONE` for ever. Then the
    /// connection is closed.
    pub write_timeout_ms: u32,
    /// Longest time to the first byte of a deferred answer, from the end of its handler, or of one that your own thread gives, from the
    /// request; in milliseconds, 0 means 60000, `HASTY_NONE` for ever. Then 504. With `threads` none it is noticed only while a thread
    /// is in `hasty_app_poll()` or its like, as all time-outs are.
    pub exchange_timeout_ms: u32,
    /// Requests on one connection; 0 and `HASTY_NONE` mean no limit. The last answer says `Connection: close`.
    pub max_requests_per_connection: u32,
    /// What the Server field says; NULL means "hasty", "" sends none.
    pub server_header: *const c_char,
}

/// How a cookie is set. Zero-initialise it and set `size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hasty_cookie {
    /// `sizeof(hasty_cookie)`.
    pub size: usize,
    /// The paths it is sent to; NULL means "/".
    pub path: *const c_char,
    /// The domain it is sent to, with its subdomains; NULL means this host alone.
    pub domain: *const c_char,
    /// "Lax", "Strict" or "None"; NULL means "Lax".
    pub same_site: *const c_char,
    /// Seconds it lives; 0 and HASTY_NONE64 mean until the browser closes.
    pub max_age_s: i64,
    /// Not 0: it is sent over TLS only.
    pub secure: i32,
    /// Not 0: scripts of the page may read it.
    pub script_visible: i32,
}

/// Which other origins' scripts may read answers. Lists are separated by commas; NULL means the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hasty_cors {
    /// `sizeof(hasty_cors)`.
    pub size: usize,
    /// Origins such as `https://example.org`; a host of "*." and a domain means all its subdomains. NULL means any origin.
    pub origins: *const c_char,
    /// Methods; NULL means those that the path has.
    pub methods: *const c_char,
    /// Request headers; NULL means those that are asked for.
    pub headers: *const c_char,
    /// Response headers that scripts may read besides the CORS-safelisted ones; NULL means none.
    pub expose: *const c_char,
    /// Seconds for which a preflight's answer may be kept; 0 means 86400.
    pub max_age_s: u32,
    /// Not 0: requests may carry cookies and HTTP authentication.
    pub credentials: i32,
    /// Not 0: pages from the public network may call this server on a private one.
    pub private_network: i32,
    /// 0.
    pub reserved: u32,
}

/// How a folder of files is served. Zero-initialise it and set `size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hasty_static {
    /// `sizeof(hasty_static)`.
    pub size: usize,
    /// The file that is sent for a directory; NULL means "index.html", "" none.
    pub index: *const c_char,
    /// A file below the directory that is sent, with status 200, for paths without a file; NULL means 404. It must exist at registration.
    pub fallback: *const c_char,
    /// The Cache-Control field; NULL means none.
    pub cache_control: *const c_char,
    /// Not 0: directories without index are listed.
    pub list: i32,
    /// Not 0: names that begin with a dot are served too.
    pub dotfiles: i32,
}

/// One file of a multipart body. Its views are borrowed from the request.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hasty_file {
    /// `sizeof(hasty_file)`, set by you.
    pub size: usize,
    /// The form field's name.
    pub name: hasty_str,
    /// The file's name, as the client gives it.
    pub filename: hasty_str,
    /// The file's type, as the client gives it.
    pub content_type: hasty_str,
    /// The file's bytes; absent when they went to disk.
    pub data: hasty_str,
    /// The file on disk, removed when the request ends; NULL when the file is in memory.
    pub path: *const c_char,
    /// Bytes of the file.
    pub length: u64,
}

/// One finished request, for an access log. Its views are borrowed until the callback returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hasty_access {
    /// How much of the struct the library has filled.
    pub size: usize,
    /// The method as sent.
    pub method: hasty_str,
    /// The target as sent.
    pub target: hasty_str,
    /// The route's pattern; absent where none answered.
    pub route: hasty_str,
    /// The client's address.
    pub remote_address: hasty_str,
    /// The User-Agent field.
    pub user_agent: hasty_str,
    /// The Referer field.
    pub referer: hasty_str,
    /// The request's id.
    pub id: hasty_str,
    /// Bytes of the request, head and body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the end of the request's head to the complete answer, in microseconds.
    pub duration_us: u64,
    /// When the answer was complete, in microseconds since 1970.
    pub time_us: i64,
    /// The answer's status.
    pub status: i32,
    /// 0.
    pub reserved: u32,
}

/// A request and its answer at a fixed address, for languages in which every call is expensive.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct hasty_slot {
    /// `sizeof(hasty_slot)`, set by you.
    pub size: usize,
    /// Yours.
    pub app: *mut hasty_app,
    /// Identifies the request that an answer is owed for; 0 if there is none. Set by the library.
    pub ticket: u64,
    /// The number of the call that registered the route, from 0.
    pub route: i32,
    /// One of HASTY_GET and its like.
    pub method: i32,
    /// The route's.
    pub user_data: *mut c_void,
    /// Everything else, read when asked for.
    pub request: *const hasty_request,
    /// The method as sent.
    pub method_text: *const c_char,
    /// The decoded path.
    pub path: *const c_char,
    /// What follows the `?`, as sent.
    pub query: *const c_char,
    /// The params' values, percent-encoded, separated by line feeds.
    pub params: *const c_char,
    /// The headers' names in lower case, separated by line feeds.
    pub header_names: *const c_char,
    /// The headers' values, separated by line feeds.
    pub header_values: *const c_char,
    /// Bytes of `path`.
    pub path_len: u64,
    /// Bytes of `query`.
    pub query_len: u64,
    /// Bytes of `params`.
    pub params_len: u64,
    /// Lines of `header_names` and of `header_values`.
    pub header_count: u64,
    /// The body.
    pub body: *const u8,
    /// Bytes of `body`.
    pub body_len: u64,
    /// The answer's status; 200 at first.
    pub status: i32,
    /// One of HASTY_KIND_TEXT and its like.
    pub kind: i32,
    /// In place of what `kind` says; NULL means that.
    pub content_type: *const c_char,
    /// Lines of "Name: value", each ended by a line feed.
    pub extra_headers: *const c_char,
    /// Bytes of `extra_headers`.
    pub extra_headers_len: u64,
    /// The answer's body.
    pub reply: *const u8,
    /// Bytes of `reply`.
    pub reply_len: u64,
}

/// A slot with more fields: pass `&more.slot`, with `more.slot.size = sizeof more`.
#[repr(C)]
pub struct hasty_slot_more {
    /// The slot.
    pub slot: hasty_slot,
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub minor_version: i32,
    /// The client's IPv4 address, 127.0.0.1 as 0x7f000001; 0 if it has none: `hasty_request_remote_address()` then has what it is.
    pub remote_v4: u32,
    /// While this value and the app stay the same, the requests in this slot have the same head and come from the same address: only
    /// `ticket` and the body differ.
    pub alike: u64,
}

/// An object of the host's that stands for a slot: see `hasty_slot_take_object()`.
#[repr(C)]
pub struct hasty_slot_object {
    /// The host's own: the words that its objects begin with.
    pub first: *mut c_void,
    /// The host's own too.
    pub second: *mut c_void,
    /// The slot.
    pub slot: *mut hasty_slot,
    /// What the last `hasty_slot_take_object()` returned.
    pub status: hasty_status,
    /// Offset of the length, 8 bytes, in `reply`.
    pub length_at: u32,
    /// Offset of the bytes in `reply`.
    pub bytes_at: u32,
    /// 0.
    pub reserved: u32,
    /// NULL, or an object of the host's that is the answer's body where the slot has none. It is not changed.
    pub reply: *const c_void,
}

/// Answers one request.
///
/// Called once per request, on a thread that serves; different requests run at the same time, so shared
/// state behind `user_data` needs its own lock. `req` and `res` are valid until it returns. Return
/// `HASTY_OK` to send `res`, or after `hasty_response_defer()`; anything else is logged and answers 500.
/// `HASTY_ERR_CLOSED` answers 500 as well, if anybody is there, but is not logged: it says that the client has left.
/// Middleware returns `HASTY_NEXT` to go on.
///
/// It may block: that holds one thread. Let no exception and no `longjmp` leave the function.
pub type hasty_handler =
    Option<unsafe extern "C" fn(req: *const hasty_request, res: *mut hasty_response, user_data: *mut c_void) -> hasty_status>;

/// Frees a `user_data`. Runs exactly once, on any thread.
pub type hasty_drop = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Receives one log message; `level` is one of `HASTY_LOG_*`. Called on any thread, several at a time.
pub type hasty_log_fn = Option<unsafe extern "C" fn(level: i32, message: *const hasty_str, user_data: *mut c_void)>;

/// Reports an event; the function that registers it says which, when, and on which thread.
pub type hasty_notify_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Receives the record of one finished request. Called on any thread, several at a time.
pub type hasty_access_fn = Option<unsafe extern "C" fn(record: *const hasty_access, user_data: *mut c_void)>;

/// Decides whether one more request of `key` is allowed: 1 allows, 0 refuses. Called on any thread, several at a time.
pub type hasty_allow_fn = Option<unsafe extern "C" fn(key: *const hasty_str, user_data: *mut c_void) -> i32>;

/// The numbers that C knows are those of the Rust types.
const _: () = {
    use crate::handler::Level;
    use crate::http::method::Method;
    use crate::json::Kind;
    assert!(Level::Error as i32 == HASTY_LOG_ERROR && Level::Warn as i32 == HASTY_LOG_WARN);
    assert!(Level::Info as i32 == HASTY_LOG_INFO && Level::Debug as i32 == HASTY_LOG_DEBUG);
    assert!(Method::Other as i32 == HASTY_METHOD_OTHER && Method::Get as i32 == HASTY_GET && Method::Head as i32 == HASTY_HEAD);
    assert!(Method::Post as i32 == HASTY_POST && Method::Put as i32 == HASTY_PUT && Method::Delete as i32 == HASTY_DELETE);
    assert!(Method::Connect as i32 == HASTY_CONNECT && Method::Options as i32 == HASTY_OPTIONS);
    assert!(Method::Trace as i32 == HASTY_TRACE && Method::Patch as i32 == HASTY_PATCH);
    assert!(Kind::Null as i32 == HASTY_JSON_NULL && Kind::Bool as i32 == HASTY_JSON_BOOL);
    assert!(Kind::Number as i32 == HASTY_JSON_NUMBER && Kind::String as i32 == HASTY_JSON_STRING);
    assert!(Kind::Array as i32 == HASTY_JSON_ARRAY && Kind::Object as i32 == HASTY_JSON_OBJECT);
};

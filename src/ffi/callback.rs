//! Wraps C functions as the handlers that the Rust API takes.

use super::guard::{error_since, explaining, failures};
use super::library::status_name;
use super::response::Answer;
use super::types::*;
use crate::access::{AccessLog, AccessRecord};
use crate::error::{Error, Kind, Result};
use crate::handler::{Allow, ErrorHandler, Flow, Handler, Level, Log, Middleware, Notify};
use crate::request::Request;
use crate::response::Response;
use crate::text::Text;
use std::ffi::c_void;
use std::ptr;

/// A `user_data` with its `drop`, which runs exactly once: when this is dropped.
pub(super) struct UserData {
    pointer: *mut c_void,
    drop: hasty_drop,
}

// SAFETY: by the C API's contract handlers run on any thread, several at a time, and `drop` runs on any thread; a caller
// that passes a user_data vouches that this is sound for the data behind it.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    /// Taken in the first line of a call, so that `drop` runs also when the call fails.
    pub(super) fn new(pointer: *mut c_void, drop: hasty_drop) -> UserData {
        UserData { pointer, drop }
    }

    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: the caller gave `drop` for this pointer; this is the only place that calls it, once.
            unsafe { drop(self.pointer) };
        }
    }
}

type HandlerFn = unsafe extern "C" fn(*const hasty_request, *mut hasty_response, *mut c_void) -> hasty_status;

/// A handler written in C.
pub(super) struct CHandler {
    pub(super) function: HandlerFn,
    pub(super) user_data: UserData,
}

impl CHandler {
    fn call(&self, request: &Request, response: &mut Response) -> hasty_status {
        let mut answer = Answer::new(request, response);
        let response = ptr::from_mut(&mut answer).cast::<hasty_response>();
        // SAFETY: both live during the call and are this thread's alone; the function came with this user_data.
        unsafe { (self.function)(answer.request(), response, self.user_data.pointer()) }
    }

    fn run(&self, request: &Request, response: &mut Response) -> Result<()> {
        let before = failures();
        outcome(self.call(request, response), before)
    }
}

/// The meaning of a callback's status. If one of our functions has failed since there were `before` failures, and the
/// callback has returned its status, the error repeats that function's message.
#[inline]
fn outcome(status: hasty_status, before: u64) -> Result<()> {
    if status == HASTY_OK { Ok(()) } else { failure(status, before) }
}

#[cold]
fn failure(status: hasty_status, before: u64) -> Result<()> {
    match status {
        HASTY_ERR_CLOSED => Err(Error::fixed(Kind::Closed, "the client has left")),
        status => {
            let why = error_since(before, status).map_or_else(String::new, |words| format!(": {words}"));
            Err(Error::new(Kind::Invalid, format!("it returned {status} ({}){why}", status_name(status).to_string_lossy())))
        }
    }
}

impl Middleware for CHandler {
    fn pass(&self, request: &Request, response: &mut Response) -> Result<Flow> {
        let before = failures();
        match self.call(request, response) {
            HASTY_NEXT => Ok(Flow::Next),
            status => outcome(status, before).map(|()| Flow::Done),
        }
    }
}

impl Handler for CHandler {
    fn handle(&self, request: &Request, response: &mut Response) -> Result<()> {
        self.run(request, response)
    }

    fn user_data(&self) -> *mut c_void {
        self.user_data.pointer()
    }
}

impl ErrorHandler for CHandler {
    fn shape(&self, why: &Error, request: &Request, response: &mut Response) -> Result<()> {
        // Makes `hasty_last_error()` return the reason inside the callback.
        explaining(Error::new(why.kind(), why.to_string()), || self.run(request, response))
    }
}

/// Stands for a missing handler: the requests of the route are taken by the host's own threads.
pub(super) struct CNoHandler {
    pub(super) user_data: UserData,
}

impl Handler for CNoHandler {
    fn handle(&self, _request: &Request, _response: &mut Response) -> Result<()> {
        Err(Error::fixed(Kind::State, "the route was registered without a handler; its requests are for hasty_app_next"))
    }

    fn user_data(&self) -> *mut c_void {
        self.user_data.pointer()
    }

    fn is_for_caller(&self) -> bool {
        true
    }
}

/// A log function written in C.
pub(super) struct CLog {
    pub(super) function: unsafe extern "C" fn(i32, *const hasty_str, *mut c_void),
    pub(super) user_data: UserData,
}

impl Log for CLog {
    fn log(&self, level: Level, message: &str) {
        let text = [message.as_bytes(), b"\0"].concat();
        let view = hasty_str::terminated(&text);
        // SAFETY: `view` and the text behind it live during the call; the function came with this user_data.
        unsafe { (self.function)(level as i32, &raw const view, self.user_data.pointer()) };
    }
}

/// A one-time notification callback written in C.
pub(super) fn notice(function: unsafe extern "C" fn(*mut c_void), user_data: UserData) -> impl FnOnce() + Send + 'static {
    move || {
        // Captures the whole struct, not only the pointer, so that its drop runs after the call.
        let user_data = user_data;
        // SAFETY: the function came with this user_data.
        unsafe { function(user_data.pointer()) };
    }
}

/// An access log written in C.
pub(super) struct CAccessLog {
    pub(super) function: unsafe extern "C" fn(*const hasty_access, *mut c_void),
    pub(super) user_data: UserData,
}

impl AccessLog for CAccessLog {
    fn record(&self, record: &AccessRecord<'_>) {
        let record = hasty_access::of(record);
        // SAFETY: `record` and its views live during the call; the function came with this user_data.
        unsafe { (self.function)(&raw const record, self.user_data.pointer()) };
    }
}

/// C functions called when a thread of the pool starts or stops. Either may be absent.
pub(super) struct CNotify {
    pub(super) start: hasty_notify_fn,
    pub(super) stop: hasty_notify_fn,
    pub(super) user_data: UserData,
}

impl CNotify {
    fn call(&self, function: hasty_notify_fn) {
        if let Some(function) = function {
            // SAFETY: the function came with this user_data.
            unsafe { function(self.user_data.pointer()) };
        }
    }
}

impl Notify for CNotify {
    fn start(&self) {
        self.call(self.start);
    }

    fn stop(&self) {
        self.call(self.stop);
    }
}

/// A C function that decides whether a client may make another request.
pub(super) struct CAllow {
    pub(super) function: unsafe extern "C" fn(*const hasty_str, *mut c_void) -> i32,
    pub(super) user_data: UserData,
}

impl Allow for CAllow {
    fn allow(&self, key: Text<'_>) -> bool {
        let key = hasty_str::from(key);
        // SAFETY: `key` and the text behind it live during the call; the function came with this user_data.
        unsafe { (self.function)(&raw const key, self.user_data.pointer()) != 0 }
    }
}

//! Functions of C, as the handlers that the Rust API takes.

use super::guard::remember;
use super::library::status_name;
use super::types::*;
use crate::error::{Error, Kind, Result};
use crate::handler::{ErrorHandler, Handler, Level, Log};
use crate::request::Request;
use crate::response::Response;
use std::ffi::c_void;
use std::ptr;

/// A `user_data` with its `drop`, which runs exactly once: when this is dropped.
pub(super) struct UserData {
    pointer: *mut c_void,
    drop: hasty_drop,
}

// SAFETY: the contract says that handlers run on any thread, several at a time, and that drop runs on any;
// whoever passes a user_data vouches that what it points to bears that.
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
    fn call(&self, request: &Request, response: &mut Response) -> Result<()> {
        let request = ptr::from_ref(request).cast::<hasty_request>();
        let response = ptr::from_mut(response).cast::<hasty_response>();
        // SAFETY: both live during the call and are this thread's alone; the function came with this user_data.
        let status = unsafe { (self.function)(request, response, self.user_data.pointer()) };
        match status {
            HASTY_OK => Ok(()),
            HASTY_ERR_CLOSED => Err(Error::fixed(Kind::Closed, "the client has left")),
            status => Err(Error::new(Kind::Invalid, format!("it returned {status} ({})", status_name(status).to_string_lossy()))),
        }
    }
}

impl Handler for CHandler {
    fn handle(&self, request: &Request, response: &mut Response) -> Result<()> {
        self.call(request, response)
    }

    fn user_data(&self) -> *mut c_void {
        self.user_data.pointer()
    }
}

impl ErrorHandler for CHandler {
    fn shape(&self, why: &Error, request: &Request, response: &mut Response) -> Result<()> {
        // What `hasty_last_error()` says inside the callback.
        remember(Error::new(why.kind(), why.to_string()));
        self.call(request, response)
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

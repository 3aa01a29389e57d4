//! The traits of user functions: handlers, middleware, error handlers and loggers.

use crate::error::{Error, Result};
use crate::request::Request;
use crate::response::Response;
use crate::text::Text;
use std::ffi::c_void;

/// Answers requests. Runs on many threads at a time, and may block: that holds one thread.
///
/// An error is logged and answers 500, a panic as well.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: &Request, response: &mut Response) -> Result<()>;

    /// The `user_data` that a C program registered with the function; NULL for Rust handlers.
    fn user_data(&self) -> *mut c_void {
        std::ptr::null_mut()
    }

    /// Are the requests of its route left to the host's own threads?
    fn is_for_caller(&self) -> bool {
        false
    }
}

impl<F> Handler for F
where
    F: Fn(&Request, &mut Response) -> Result<()> + Send + Sync + 'static,
{
    fn handle(&self, request: &Request, response: &mut Response) -> Result<()> {
        self(request, response)
    }
}

/// What middleware has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on to the next step.
    Next,
    /// The response is the answer, or was deferred.
    Done,
}

/// Runs before handlers, for all requests below a prefix; the body has not been read yet, so an upload can be refused.
///
/// An error is logged and answers 500, a panic as well.
pub trait Middleware: Send + Sync + 'static {
    /// Examines one request. Changes to the response are kept for later middleware and the handler.
    fn pass(&self, request: &Request, response: &mut Response) -> Result<Flow>;
}

impl<F> Middleware for F
where
    F: Fn(&Request, &mut Response) -> Result<Flow> + Send + Sync + 'static,
{
    fn pass(&self, request: &Request, response: &mut Response) -> Result<Flow> {
        self(request, response)
    }
}

/// Decides in place of the library's own buckets whether one more request of an address is allowed.
pub trait Allow: Send + Sync + 'static {
    /// Is the request allowed?
    fn allow(&self, key: Text<'_>) -> bool;
}

impl<F> Allow for F
where
    F: Fn(Text<'_>) -> bool + Send + Sync + 'static,
{
    fn allow(&self, key: Text<'_>) -> bool {
        self(key)
    }
}

/// Called on each of the library's own threads.
pub trait Notify: Send + Sync + 'static {
    /// This thread is about to serve.
    fn start(&self);

    /// This thread has stopped serving.
    fn stop(&self);
}

/// Changes the error answers, 400 to 599, that the library itself gives. The response has its status and body set already.
pub trait ErrorHandler: Send + Sync + 'static {
    /// Changes one answer; `why` explains it. On an error the library's own answer is sent.
    fn shape(&self, why: &Error, request: &Request, response: &mut Response) -> Result<()>;
}

impl<F> ErrorHandler for F
where
    F: Fn(&Error, &Request, &mut Response) -> Result<()> + Send + Sync + 'static,
{
    fn shape(&self, why: &Error, request: &Request, response: &mut Response) -> Result<()> {
        self(why, request, response)
    }
}

/// The severity of a log message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// A request or a thread failed.
    Error = 1,
    /// A problem that the library has recovered from.
    Warn = 2,
    /// Normal events.
    Info = 3,
    /// Details for debugging.
    Debug = 4,
}

/// Receives log messages, on any thread, several at a time.
pub trait Log: Send + Sync + 'static {
    /// Receives one message.
    fn log(&self, level: Level, message: &str);
}

impl<F> Log for F
where
    F: Fn(Level, &str) + Send + Sync + 'static,
{
    fn log(&self, level: Level, message: &str) {
        self(level, message);
    }
}

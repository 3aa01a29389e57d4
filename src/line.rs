//! The connection as seen by a handler: what it needs to stream, read and defer.
//!
//! Requests and responses know no more than this of the server.

use crate::error::Result;
use crate::exchange::Exchange;
use crate::output::Output;
use crate::request::Request;
use crate::response::Response;

/// Where a request came from and its answer goes to.
pub(crate) trait Line: Send + Sync {
    /// Fixes the head of an answer that is written piece by piece, and makes it a stream.
    fn begin_stream(&self, request: &Request, response: &mut Response) -> Result<()>;

    /// Lets a handler wait for the rest of its request's body.
    fn open(&self, request: &Request) -> Result<Box<dyn Wire>>;

    /// Defers the answer: it may be given later, by any thread.
    fn defer(&self, request: &Request, response: &mut Response) -> Result<Exchange>;

    /// Sends answers that were held back, since something is about to take long.
    fn let_go(&self) {}
}

/// Carries the bytes of one answer, or of one body.
pub(crate) trait Wire: Send {
    /// Fails if so many bytes more would exceed the buffer for a slow client.
    fn make_room(&mut self, bytes: usize) -> Result<()>;

    /// Sends everything in `out`. After a failure nothing more may be sent.
    fn send(&mut self, out: &mut Output) -> Result<()>;

    /// Receives some bytes; 0 is the end.
    fn receive(&mut self, into: &mut [u8]) -> Result<usize>;
}

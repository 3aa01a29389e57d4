//! The connection, as a handler knows it: what streams, reads and defers go by.
//!
//! Requests and responses know this much of whoever serves them, and no more.

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

    /// Takes the answer out of its handler's hands: it may be given later, by any thread.
    fn defer(&self, request: &Request, response: &mut Response) -> Result<Exchange>;

    /// Something is going to take its time: answers that were kept back leave.
    fn let_go(&self) {}
}

/// Carries the bytes of one answer, or of one body.
pub(crate) trait Wire: Send {
    /// Is there room for so many bytes more? What waits for the client to take them must not become much.
    fn make_room(&mut self, bytes: usize) -> Result<()>;

    /// Sends all there is. Whoever fails here sends nothing more.
    fn send(&mut self, out: &mut Output) -> Result<()>;

    /// Receives some bytes; none is the end.
    fn receive(&mut self, into: &mut [u8]) -> Result<usize>;
}

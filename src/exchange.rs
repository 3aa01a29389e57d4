//! A request whose answer is given later.

use crate::call::Call;
use crate::error::Result;
use crate::request::Request;
use crate::response::{KeptHeaders, Response};
use std::sync::Arc;

/// A callback that runs at most once, on any thread.
pub type Notice = Box<dyn FnOnce() + Send>;

/// The server's side of an exchange: it owes the client an answer.
pub(crate) trait Debt: Send + Sync {
    /// Sends the answer, or the end of the stream; `outcome` is the handler's result. `Closed`: the exchange can no longer be answered.
    fn finish(&self, call: Box<Call>, outcome: Result<()>) -> Result<()>;

    /// Abandons the exchange without an answer.
    fn abandon(&self, call: Box<Call>);

    /// Is the client still waiting?
    fn is_alive(&self) -> bool;

    /// Can the exchange still be answered? A client that has shut down its sending side may still read.
    fn is_open(&self) -> bool;

    /// Notes whether a handler on one of the host's threads holds the exchange. If so, writes wait for the client and the handler may
    /// defer.
    fn lend(&self, lent: bool);

    /// Notes whether the exchange is queued for one of the host's threads.
    fn note_queued(&self, queued: bool);

    /// Notes the headers that middleware has set, for an answer in place of the exchange's.
    fn note_kept(&self, headers: KeptHeaders);

    /// Holds back the answer when it is given, so that it can be sent together with others.
    fn hold_back(&self);

    /// Calls `notice` once the client has gone; immediately if it has already.
    fn on_close(&self, notice: Notice);

    /// Calls `notice` once there is room for more of a stream; immediately if there is already.
    fn on_ready(&self, notice: Notice);
}

/// A request and the answer that is owed for it, kept from [`Response::defer`] until it is finished.
///
/// It may move to any thread, and occupies none while it waits. It can outlive the app; then it is closed. If it is dropped
/// without an answer, the client gets a 503.
pub struct Exchange {
    /// Some until it is finished.
    call: Option<Box<Call>>,
    debt: Arc<dyn Debt>,
}

impl Exchange {
    pub(crate) fn new(call: Box<Call>, debt: Arc<dyn Debt>) -> Exchange {
        Exchange { call: Some(call), debt }
    }

    fn call(&self) -> &Call {
        self.call.as_ref().expect("it is there until the exchange is consumed")
    }

    fn call_mut(&mut self) -> &mut Call {
        self.call.as_mut().expect("it is there until the exchange is consumed")
    }

    /// The request. Views of it from before it was deferred are invalid.
    pub fn request(&self) -> &Request {
        &self.call().request
    }

    /// The answer.
    pub fn response(&self) -> &Response {
        &self.call().response
    }

    /// The answer, to be changed.
    pub fn response_mut(&mut self) -> &mut Response {
        &mut self.call_mut().response
    }

    /// The request and the answer together.
    pub fn parts(&mut self) -> (&Request, &mut Response) {
        let Call { request, response } = self.call_mut();
        (request, response)
    }

    /// Writes a piece of the body, without waiting: [`Response::write`].
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        let (request, response) = self.parts();
        response.write(request, data)
    }

    /// Writes a server-sent event, without waiting: [`Response::write_event`].
    pub fn write_event(&mut self, event: Option<&[u8]>, data: Option<&[u8]>, id: Option<&[u8]>) -> Result<()> {
        let (request, response) = self.parts();
        response.write_event(request, event, data, id)
    }

    /// Sends the answer, or ends a streamed one, without waiting for the client. `Closed`: the client or the app is gone, or the client
    /// was answered by a time-out.
    pub fn finish(mut self) -> Result<()> {
        match self.call.take() {
            Some(call) => self.debt.finish(call, Ok(())),
            None => Ok(()),
        }
    }

    /// Is the client still waiting? Not once it has closed its side or was answered by a time-out, or the app has stopped.
    pub fn is_alive(&self) -> bool {
        self.debt.is_alive()
    }

    /// Can the exchange still be answered?
    pub(crate) fn is_open(&self) -> bool {
        self.debt.is_open()
    }

    /// The call, and the server's side of the exchange.
    pub(crate) fn take_apart(mut self) -> Option<(Box<Call>, Arc<dyn Debt>)> {
        Some((self.call.take()?, Arc::clone(&self.debt)))
    }

    /// A handle on the debt that outlives the exchange, since a notice called immediately may end the exchange.
    pub(crate) fn debt(&self) -> Arc<dyn Debt> {
        Arc::clone(&self.debt)
    }

    /// Calls `gone` once when the client has gone: on a serving thread, or within this call if it has gone already. It replaces an
    /// earlier one, and never runs after the exchange was finished or dropped.
    pub fn on_close(&self, gone: impl FnOnce() + Send + 'static) {
        self.debt.on_close(Box::new(gone));
    }

    /// Calls `ready` once when there is room again after a `write` found none: on a serving thread, or within this call if there is
    /// room already. It replaces an earlier one.
    pub fn on_ready(&self, ready: impl FnOnce() + Send + 'static) {
        self.debt.on_ready(Box::new(ready));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.debt.abandon(call);
        }
    }
}

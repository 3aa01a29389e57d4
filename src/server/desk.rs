//! What a serving thread has at hand.

use super::output::Output;
use super::sys::clock;
use crate::http::date::DateLine;
use crate::http::encoder::{self, Connection, Frame, Lines};
use crate::http::method::Method;
use crate::http::status::{self, BodyRule};
use crate::request::Request;
use crate::response::Response;
use crate::service::Service;
use std::sync::Arc;

/// Room for one receive: more than most batches of pipelined requests need.
const INPUT_BYTES: usize = 64 * 1024;
/// From here on answers are sent before more requests are served.
const OUTPUT_FULL: usize = 64 * 1024;
/// Request objects kept for connections that will have to save theirs.
const SPARE_REQUESTS: usize = 4;

/// One thread's tools. A connection brings what it had kept, and takes with it only what is unfinished.
pub(super) struct Desk {
    /// The request being served. Its bytes hold the input: the thread's own buffer, or what a connection brought.
    pub(super) request: Box<Request>,
    pub(super) response: Response,
    pub(super) out: Output,
    /// How many bytes of the input are done with.
    pub(super) used: usize,
    /// The thread's own request with its buffer, while one that a connection brought is on the desk.
    parked: Option<Box<Request>>,
    #[allow(clippy::vec_box, reason = "they come from connections in their boxes, and go to others in them")]
    spare: Vec<Box<Request>>,
    service: Arc<Service>,
    date: DateLine,
    /// Milliseconds, modulo 2^32; taken once for each batch of events.
    pub(super) now: u32,
    /// Seconds since 1970, taken with `now`.
    unix_seconds: u64,
}

impl Desk {
    pub(super) fn new(service: &Arc<Service>) -> Desk {
        let mut desk = Desk {
            request: Box::new(Request::new(Arc::clone(service))),
            response: Response::new(),
            out: Output::with_capacity(OUTPUT_FULL),
            used: 0,
            parked: None,
            spare: Vec::new(),
            service: Arc::clone(service),
            date: DateLine::new(),
            now: clock::milliseconds(),
            unix_seconds: clock::unix_seconds(),
        };
        desk.request.bytes_mut().reserve_exact(INPUT_BYTES);
        desk
    }

    /// Looks at the clock.
    pub(super) fn tick(&mut self) {
        self.now = clock::milliseconds();
        self.unix_seconds = clock::unix_seconds();
    }

    /// The input that is not done with.
    pub(super) fn input(&self) -> &[u8] {
        &self.request.bytes()[self.used..]
    }

    /// Done with all the input.
    pub(super) fn use_up(&mut self) {
        self.used = self.request.bytes().len();
    }

    pub(super) fn output_is_full(&self) -> bool {
        self.out.len() >= OUTPUT_FULL
    }

    /// Puts a connection's request on the desk, the thread's own aside.
    pub(super) fn put_on(&mut self, saved: Box<Request>) {
        self.parked = Some(std::mem::replace(&mut self.request, saved));
        self.used = 0;
    }

    /// Gives the request and the unused input to its connection; the thread has its own again.
    pub(super) fn take_off(&mut self) -> Box<Request> {
        let used = std::mem::take(&mut self.used);
        if let Some(own) = self.parked.take() {
            let mut kept = std::mem::replace(&mut self.request, own);
            kept.drop_before(used);
            return kept;
        }
        // The large buffer stays with the thread; only what is needed leaves, in one of its own.
        let fresh = self.spare.pop().unwrap_or_else(|| Box::new(Request::new(Arc::clone(&self.service))));
        let mut kept = std::mem::replace(&mut self.request, fresh);
        let rest = kept.bytes()[used..].to_vec();
        *self.request.bytes_mut() = std::mem::replace(kept.bytes_mut(), rest);
        self.request.bytes_mut().clear();
        kept.drop_before(0);
        kept
    }

    /// All input is used; the thread has its own request and buffer again.
    pub(super) fn clean(&mut self) {
        self.used = 0;
        if let Some(own) = self.parked.take() {
            let mut done = std::mem::replace(&mut self.request, own);
            if self.spare.len() < SPARE_REQUESTS {
                *done.bytes_mut() = Vec::new();
                self.spare.push(done);
            }
        }
        self.request.bytes_mut().clear();
    }

    /// Writes the response to the output. `last` ends the connection.
    pub(super) fn write_answer(&mut self, service: &Service, last: bool) {
        let Desk { request, response, out, date, .. } = self;
        let code = response.status();
        let has_body = status::body_rule(code) == BodyRule::Sent;
        let head_only = request.known_method() == Method::Head;
        let len = response.body_len();
        date.set(self.unix_seconds, &service.server_line);
        // RFC 9110 5.3: a field that is no list must not be sent twice.
        let own_server = response.header(b"server").is_some();
        let frame = Frame {
            status: code,
            lines: match code {
                200 if !own_server => Lines::Made(date.ok_lines()),
                _ => Lines::Parts { server: if own_server { &[] } else { &service.server_line }, date: date.date() },
            },
            connection: match (last, request.minor_version()) {
                (true, _) => Connection::Close,
                (false, 0) => Connection::KeepAlive,
                (false, _) => Connection::Implied,
            },
            length: Some(response.set_content_length().filter(|_| head_only).unwrap_or(len)),
        };
        let bytes = out.bytes_mut();
        encoder::begin(&frame, bytes);
        response.write_fields(has_body, bytes);
        encoder::finish(&frame, bytes);
        // RFC 9110 9.3.2: "the server MUST NOT send content in the response" to HEAD.
        if has_body && !head_only {
            match response.body_bytes() {
                Some(body) if Output::copies(body.len()) => bytes.extend_from_slice(body),
                _ => out.push_pieces(response.take_body()),
            }
        }
        // Nothing of an answer outlives it: the next one may be another client's.
        response.reset().unwrap_or_default();
    }
}

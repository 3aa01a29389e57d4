//! Turns an answer into bytes.

use super::sys::clock;
use crate::call::Call;
use crate::http::date::DateLine;
use crate::http::encoder::{self, Connection, Frame, Length, Lines};
use crate::http::method::Method;
use crate::http::status::{self, BodyRule};
use crate::output::Output;
use crate::request::Request;
use crate::response::Response;
use crate::service::Service;
use crate::stream::Ending;

/// The time, read once per batch of events, since reading it costs more than most of its uses.
pub(super) struct Clock {
    /// Milliseconds, modulo 2^32.
    pub(super) now: u32,
    /// Seconds since 1970.
    unix_seconds: u64,
    date: DateLine,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { now: clock::milliseconds(), unix_seconds: clock::unix_seconds(), date: DateLine::new() }
    }

    /// Reads the clock.
    pub(super) fn tick(&mut self) {
        let now = clock::milliseconds();
        if now != self.now {
            self.now = now;
            self.unix_seconds = clock::unix_seconds();
        }
    }
}

/// Writes a whole answer to `out`. `last`: the connection ends with it.
#[inline(always)]
pub(super) fn write(service: &Service, call: &mut Call, out: &mut Output, clock: &mut Clock, last: bool) {
    let Call { request, response } = call;
    let body = response.body_bytes();
    let len = body.map_or_else(|| response.body_len(), |body| body.len() as u64);
    let head_only = request.known_method() == Method::Head;
    let len = if head_only { response.set_content_length().unwrap_or(len) } else { len };
    let rule = write_head(service, request, response, out, clock, last, Length::Known(len));
    // RFC 9110 9.3.2: "the server MUST NOT send content in the response" to HEAD.
    if rule == BodyRule::Sent && !head_only {
        match body {
            Some(body) if Output::copies(body.len()) => out.bytes_mut().extend_from_slice(body),
            _ => out.push_pieces(response.take_body()),
        }
    }
}

/// How the end of a streamed answer will be marked.
pub(super) fn ending(request: &Request, response: &Response) -> Ending {
    let has_body = status::body_rule(response.status()) == BodyRule::Sent;
    match response.set_content_length() {
        _ if !has_body || request.known_method() == Method::Head => Ending::NoBody,
        Some(length) => Ending::Length(length),
        // RFC 9112 7: "A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request
        // indicates HTTP/1.1".
        None if request.minor_version() == 0 => Ending::Close,
        None => Ending::Chunked,
    }
}

/// Writes the head of a streamed answer to `out`.
pub(super) fn write_stream_head(service: &Service, request: &Request, response: &Response, out: &mut Output, last: bool) {
    let length = match response.set_content_length() {
        Some(length) => Length::Known(length),
        None if request.minor_version() == 0 => Length::Unknown,
        None => Length::Chunked,
    };
    write_head(service, request, response, out, &mut Clock::new(), last, length);
}

/// Writes a head; returns what the status says about a body.
#[inline(always)]
fn write_head(
    service: &Service,
    request: &Request,
    response: &Response,
    out: &mut Output,
    clock: &mut Clock,
    last: bool,
    length: Length,
) -> BodyRule {
    let code = response.status();
    let rule = status::body_rule(code);
    clock.date.set(clock.unix_seconds, &service.server_line);
    // RFC 9110 5.3: a field that is not a list must not be sent twice.
    let own_server = response.has_header(b"server");
    let frame = Frame {
        status: code,
        rule,
        lines: match code {
            200 if !own_server => Lines::Made(clock.date.ok_lines()),
            _ => Lines::Parts { server: if own_server { &[] } else { &service.server_line }, date: clock.date.date() },
        },
        connection: match (last, request.minor_version()) {
            (true, _) => Connection::Close,
            (false, 0) => Connection::KeepAlive,
            (false, _) => Connection::Implied,
        },
        length,
    };
    let bytes = out.bytes_mut();
    encoder::begin(&frame, bytes);
    response.write_fields(rule == BodyRule::Sent, bytes);
    service.write_default_fields(response, bytes);
    encoder::finish(&frame, bytes);
    rule
}

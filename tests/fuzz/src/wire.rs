//! A real server, asked in the same broken ways: it answers each request once, in order, and says why it stops.

use crate::promises::LIMITS;
use crate::random::Random;
use hasty::http::body::Chunked;
use hasty::http::parser::{Framing, Head, Outcome, head_end, parse};
use hasty::http::refusal::Refusal;
use hasty::{App, Options, Request, Response, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, process};

/// Bodies beyond it are refused.
const MAX_BODY_BYTES: usize = 1000;

/// A server on a Unix socket: no port is used up, however many connections there are.
pub struct Wire {
    app: App,
    socket: PathBuf,
    descriptors: usize,
}

/// What must come back for one request.
#[derive(Debug, PartialEq)]
enum Expected {
    /// The handler's answer, or the router's or the limit's.
    Answer { method: String, body_bytes: usize, last: bool },
    /// This status, and the end. A head beyond the limit is too long, whatever else is wrong with it.
    Refused { status: u16, too_long: bool },
    /// The same, or the error of a head that never ends: both are true of it.
    RefusedEarly(u16),
    /// The same for a body. The router may have answered already, and a body may be too long as well.
    RefusedBody(u16),
    /// RFC 9112 2.2 leaves open what more than one empty line is; so is all that follows.
    Open,
    /// The request never ends: an error, or nothing at all; the router may have answered already.
    Incomplete,
}

/// One answer that must come.
struct Turn {
    head_only: bool,
    expected: Expected,
}

struct Answer {
    status: u16,
    close: bool,
    body: Vec<u8>,
}

impl Wire {
    pub fn start() -> Result<Wire> {
        let descriptors = open_descriptors();
        let socket = env::temp_dir().join(format!("hasty-fuzz-{}.sock", process::id()));
        let app = App::new(Options::new())?;
        for (name, value) in [
            ("max_header_bytes", LIMITS.head_bytes),
            ("max_headers", LIMITS.fields),
            ("max_target_bytes", LIMITS.target_bytes),
            ("max_body_bytes", MAX_BODY_BYTES),
        ] {
            app.set_option(name, &value.to_string())?;
        }
        app.route("*", "/", Box::new(answer))?;
        app.route("*", "/*", Box::new(answer))?;
        app.listen_unix(socket.as_os_str().as_encoded_bytes(), 0o600)?;
        app.start()?;
        Ok(Wire { app, socket, descriptors })
    }

    /// Stops the server; it must leave nothing behind.
    pub fn stop(self) -> std::result::Result<(), String> {
        self.app.stop();
        self.app.wait(Some(Duration::from_secs(30))).map_err(|error| format!("the server does not stop: {error}"))?;
        let gone = !self.socket.exists();
        drop(self.app);
        let _ = fs::remove_file(&self.socket);
        let left = open_descriptors();
        match (gone, left == self.descriptors) {
            (true, true) => Ok(()),
            (false, _) => Err("the socket's file is still there".to_owned()),
            _ => Err(format!("{left} descriptors are open, {} were before", self.descriptors)),
        }
    }

    /// Sends one input in pieces, closes that direction, and reads what comes.
    pub fn check(&self, input: &[u8], random: &mut Random) -> std::result::Result<(), String> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|error| format!("no connection: {error}"))?;
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)).map_err(|error| error.to_string())?;
        let most = [8, 64, 4096][random.below(3)];
        let mut rest = input;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + random.below(most)).min(rest.len()));
            rest = later;
            if stream.write_all(piece).is_err() {
                // It answered and closed; what it said is read below.
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        let expected = expected(input);
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            // A client that goes on after its last request may see a reset behind the answer; behind an error never.
            Err(error)
                if error.kind() == ErrorKind::ConnectionReset
                    && matches!(expected.last(), Some(Turn { expected: Expected::Answer { last: true, .. }, .. })) => {}
            Err(error) => return Err(format!("{error}, after {}", shown(&bytes))),
        }
        judge(&expected, &bytes).map_err(|wrong| format!("{wrong}; all that came: {}", shown(&bytes)))
    }
}

/// Says what it was asked, and reads everything on the way.
fn answer(request: &Request, response: &mut Response) -> Result<()> {
    let _ = (request.id(), request.path(), request.remote_address(), request.header(b"host"), request.param(b"*"));
    let _ = (request.query(), request.cookies(), request.form(), request.json());
    let words = format!("{} {}", request.method().to_str(), request.body().bytes().len());
    response.send_text(words.as_bytes())
}

/// What the parser alone makes of the input: one entry for each answer that must come.
fn expected(input: &[u8]) -> Vec<Turn> {
    let mut found = Vec::new();
    let mut rest = input;
    while let Some((expected, end)) = one_expected(rest) {
        let last = !matches!(expected, Expected::Answer { last: false, .. });
        // RFC 9110 9.3.2: an answer to HEAD has no content. Whether a request that is refused was one may be unknown.
        let mut line = rest;
        while let Some(later) = line.strip_prefix(b"\r\n") {
            line = later;
        }
        found.push(Turn { head_only: line.starts_with(b"HEAD "), expected });
        if last {
            break;
        }
        rest = &rest[end..];
    }
    found
}

/// What the first request of the input must be answered with, and where it ends.
fn one_expected(input: &[u8]) -> Option<(Expected, usize)> {
    // Ignored, or too many of them for the limit of a head.
    if input.starts_with(b"\r\n\r\n") {
        return Some((Expected::Open, 0));
    }
    if input.iter().all(|b| b"\r\n".contains(b)) {
        // One empty line is no request (RFC 9112 2.2); other line ends may be none, or a broken one.
        return (!matches!(input, b"" | b"\r\n")).then_some((Expected::Incomplete, 0));
    }
    let mut head = Head::default();
    let end = match parse(input, &LIMITS, &mut head) {
        Outcome::Complete(end) => end,
        Outcome::Refused(refusal) => {
            let (status, too_long) = (refusal.status(), input.len() > LIMITS.head_bytes);
            let whole = head_end(input, 0).0 || too_long;
            return Some((if whole { Expected::Refused { status, too_long } } else { Expected::RefusedEarly(status) }, 0));
        }
        Outcome::Partial => return Some((Expected::Incomplete, 0)),
    };
    let method = String::from_utf8_lossy(head.method_span.of(input)).into_owned();
    let rest = &input[end..];
    let body = match head.framing {
        Framing::Absent => Ok(Some((0, 0))),
        Framing::Length(length) => match usize::try_from(length) {
            Ok(length) if length <= MAX_BODY_BYTES => Ok((length <= rest.len()).then_some((length, length))),
            _ => Err(413),
        },
        Framing::Chunked => match chunked(rest) {
            Ok(Some((data, _))) if data > MAX_BODY_BYTES => Err(413),
            Ok(found) => Ok(found),
            Err(refusal) => Err(refusal.status()),
        },
    };
    Some(match body {
        Ok(Some((body_bytes, consumed))) => (Expected::Answer { method, body_bytes, last: !head.keep_alive }, end + consumed),
        Ok(None) => (Expected::Incomplete, 0),
        Err(status) => (Expected::RefusedBody(status), 0),
    })
}

/// The length of a chunked body's data, and what it takes.
fn chunked(input: &[u8]) -> std::result::Result<Option<(usize, usize)>, Refusal> {
    let mut bytes = input.to_vec();
    let decoded = Chunked::new(u64::MAX, LIMITS.head_bytes, LIMITS.fields).decode(&mut bytes, 0, 0)?;
    Ok(decoded.done.then_some((decoded.data_end, decoded.consumed)))
}

fn judge(expected: &[Turn], bytes: &[u8]) -> std::result::Result<(), String> {
    let mut rest = bytes;
    for (number, Turn { head_only, expected }) in expected.iter().enumerate() {
        if *expected == Expected::Open {
            return Ok(());
        }
        let Some(answer) = next_answer(&mut rest, *head_only, !matches!(expected, Expected::Answer { .. }))? else {
            return match expected {
                Expected::Incomplete => Ok(()),
                _ => Err(format!("no answer to request {number}, which is {expected:?}")),
            };
        };
        let Answer { status, close, .. } = answer;
        let right = match expected {
            Expected::Refused { status: wanted, too_long } => close && (status == *wanted || *too_long && matches!(status, 414 | 431)),
            Expected::RefusedEarly(wanted) => close && (status == *wanted || status == 400),
            Expected::RefusedBody(wanted) => close && status == *wanted || matches!(status, 204 | 400 | 404 | 405 | 413 | 417),
            Expected::Open => true,
            Expected::Incomplete => matches!(status, 204 | 400 | 404 | 405 | 408 | 413 | 417),
            Expected::Answer { method, body_bytes, last } => {
                let ours = status == 200 && (*head_only || answer.body == format!("{method} {body_bytes}").as_bytes());
                (close || !last) && (ours || matches!(status, 204 | 400 | 404 | 405 | 417))
            }
        };
        if !right {
            return Err(format!("status {status}, close {close}, body {} for {expected:?}", shown(&answer.body)));
        }
        if close || matches!(expected, Expected::RefusedBody(_) | Expected::Incomplete) {
            break;
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("more than was asked for: {}", shown(rest))) }
}

/// Reads one answer strictly, and passes over 100 (Continue). None at the end. `lenient`: one to HEAD may have a body.
fn next_answer(rest: &mut &[u8], head_only: bool, lenient: bool) -> std::result::Result<Option<Answer>, String> {
    if rest.is_empty() {
        return Ok(None);
    }
    let end = rest.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| format!("a head without end: {}", shown(rest)))?;
    let head = std::str::from_utf8(&rest[..end]).map_err(|_| "a head that is not UTF-8".to_owned())?;
    *rest = &rest[end + 4..];
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|line| line.get(..3)?.parse::<u16>().ok());
    let status = status.ok_or_else(|| format!("the status line is {status_line:?}"))?;
    if status == 100 {
        return next_answer(rest, head_only, lenient);
    }
    let fields: Vec<_> = lines.map(|line| line.split_once(": ").unwrap_or((line, "\0"))).collect();
    if let Some(field) = fields.iter().find(|field| field.1.contains('\0')) {
        return Err(format!("the field line {field:?}"));
    }
    let field = |name: &str| fields.iter().find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1);
    if field("Date").is_none() {
        return Err(format!("no Date in a {status}"));
    }
    let close = field("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let length = match field("Content-Length") {
        Some(text) => text.parse::<usize>().map_err(|_| format!("Content-Length: {text}"))?,
        None if status == 204 => 0,
        None => return Err(format!("no Content-Length in a {status}")),
    };
    let length = if head_only && !(lenient && rest.len() == length) { 0 } else { length };
    let body = rest.get(..length).ok_or_else(|| format!("a body of {} bytes instead of {length}", rest.len()))?.to_vec();
    *rest = &rest[length..];
    Ok(Some(Answer { status, close, body }))
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count())
}

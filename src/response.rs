//! The answer being prepared.

mod body;
mod coding;
mod settle;

pub(crate) use body::Body;
pub use body::{FileSlice, OwnedBytes, Piece};

use crate::cookie::Cookie;
use crate::error::{Error, Kind, Result, Shown};
use crate::exchange::Exchange;
use crate::file::{self, FileAnswer, Servable};
use crate::http::disposition;
use crate::http::headers::{self, is_token, is_value};
use crate::http::{encoder, media_type, status};
use crate::json;
use crate::line::Line;
use crate::output::Output;
use crate::request::Request;
use crate::stream::{self, Stream};
use crate::text::Text;
use once_cell::unsync::OnceCell;
use std::any::Any;
use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// The type of the body.
#[derive(Default)]
enum Type {
    /// Not set; `send*` functions assume one.
    #[default]
    Unset,
    /// Assumed by the call that gave the body.
    Assumed(&'static Known),
    /// The type of the file that is sent.
    File(Arc<Servable>),
    /// The same, together with the file's other headers (ETag, Last-Modified, Accept-Ranges), preformatted.
    Whole(Arc<Servable>),
    /// Set by the handler, in `Response::kind_text`.
    Set,
}

/// For error handlers and `after` functions, whose answers can neither stream nor be deferred.
const NOT_HERE: Error = Error::fixed(Kind::State, "this answer is given whole; only handlers of routes and middleware stream or defer");

/// Otherwise the body that was set would be lost silently.
const GIVEN: Error =
    Error::fixed(Kind::State, "a body was set already: send sets all of it at once, write sends it in pieces; call reset first to switch");

/// Memory that a thread keeps from answer to answer.
const KEPT_BYTES: usize = 64 * 1024;

/// A common type, with its preformatted header line.
struct Known {
    /// Ends with a NUL.
    text: &'static [u8],
    line: &'static [u8],
}

macro_rules! known {
    ($name:ident, $text:literal) => {
        static $name: Known = Known { text: concat!($text, "\0").as_bytes(), line: concat!("Content-Type: ", $text, "\r\n").as_bytes() };
    };
}

known!(OCTETS, "application/octet-stream");
known!(PLAIN, "text/plain; charset=utf-8");
known!(HTML, "text/html; charset=utf-8");
known!(JSON, "application/json");

/// One header: its name and value in `Response::text`, each followed by a NUL.
#[derive(Clone, Copy)]
struct Header {
    name: (usize, usize),
    value: (usize, usize),
}

/// Headers with their text, for another answer to the same request.
#[derive(Clone, Default)]
pub(crate) struct KeptHeaders(Vec<Header>, Vec<u8>);

/// The answer being prepared: nothing leaves before the handler returns.
///
/// Setters copy their arguments. The first failure of a setter is remembered, and unless `reset` is called the answer
/// becomes a 500; so a handler may return the result of its last call.
pub struct Response {
    status: u16,
    kind: Type,
    /// The type that was set, followed by a NUL; the memory is reused for the next answer.
    kind_text: Vec<u8>,
    headers: Vec<Header>,
    text: Vec<u8>,
    body: Body,
    /// The file to send, until the request's conditions and ranges are applied. While it is set, there is no other body.
    file: Option<FileAnswer>,
    /// The file after that, if replacing it must also remove headers that were added for it.
    settled: Option<Box<settle::Settled>>,
    /// The error answer to give instead.
    instead: Option<Instead>,
    /// The copied body, followed by a NUL; the memory is reused for the next answer.
    bytes: Vec<u8>,
    /// A copy of an owned body with a NUL behind it, made for `body()`.
    seen: OnceCell<Vec<u8>>,
    /// Was the body set by middleware? Then the handler may replace it, also by a stream.
    is_left: bool,
    /// The Content-Length that was set.
    length: Option<u64>,
    close: bool,
    failure: Option<String>,
    stage: Stage,
    /// The headers that middleware has set: they stay also on the library's own answers.
    base: KeptHeaders,
    /// The output of a stream. While a handler runs it is the thread's buffer, which may hold earlier answers.
    pub(crate) out: Box<Output>,
}

/// What can still be done with the answer.
#[derive(Default)]
enum Stage {
    /// Everything: it can be changed, streamed or deferred.
    #[default]
    Composing,
    /// It can be changed, but neither streamed nor deferred.
    Whole,
    /// The head is sent; the body is written piece by piece.
    Streaming(Box<Stream>),
    /// It belongs to an exchange, which this refers to.
    Deferred(Box<dyn Any + Send>),
}

/// An error answer requested by one of the library's own handlers, such as 416.
pub(crate) struct Instead {
    pub(crate) code: u16,
    pub(crate) why: Error,
    /// A header field that belongs to it.
    pub(crate) field: Option<(&'static [u8], String)>,
}

impl Response {
    pub(crate) fn new() -> Response {
        Response {
            stage: Stage::Composing,
            base: KeptHeaders::default(),
            out: Box::default(),
            instead: None,
            status: 200,
            kind: Type::Unset,
            kind_text: Vec::new(),
            headers: Vec::new(),
            text: Vec::new(),
            body: Body::Absent,
            file: None,
            settled: None,
            bytes: Vec::new(),
            seen: OnceCell::new(),
            is_left: false,
            length: None,
            close: false,
            failure: None,
        }
    }

    /// Resets the answer to an empty 200, and forgets the failure of a setter.
    pub fn reset(&mut self) -> Result<()> {
        self.need_composing()?;
        // The library's own errors keep the headers of middleware all the same, and what is given whole stays so.
        let kept = (std::mem::take(&mut self.base), std::mem::take(&mut self.stage));
        self.clear();
        (self.base, self.stage) = kept;
        Ok(())
    }

    /// Sets the status code: 200 to 599.
    pub fn set_status(&mut self, code: i32) -> Result<()> {
        self.need_composing()?;
        match u16::try_from(code) {
            Ok(code @ 200..=599) => {
                self.take_apart();
                self.status = code;
                Ok(())
            }
            _ => self.refuse(format!("status {code} is not in 200 to 599")),
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Sets a header, in place of any of that name.
    pub fn set_header(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        self.header_checked(name, value, true)
    }

    /// Adds a header beside any of that name.
    pub fn add_header(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        self.header_checked(name, value, false)
    }

    /// Removes all headers called `name`; there need not be any.
    pub fn remove_header(&mut self, name: &[u8]) -> Result<()> {
        self.need_composing()?;
        self.take_apart();
        if name.eq_ignore_ascii_case(b"content-type") {
            self.kind = Type::Unset;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.length = None;
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.close = false;
        }
        self.remove_named(name);
        Ok(())
    }

    /// The first header called `name` that was set, compared without case.
    pub fn header(&self, name: &[u8]) -> Option<Text<'_>> {
        if name.eq_ignore_ascii_case(b"content-type") {
            return match &self.kind {
                Type::Unset => None,
                Type::Assumed(known) => Some(Text::new(known.text)),
                Type::File(file) | Type::Whole(file) => Some(Text::new(file.kind())),
                Type::Set => Some(Text::new(&self.kind_text)),
            };
        }
        let named = |header: &&Header| self.text[header.name.0..header.name.1].eq_ignore_ascii_case(name);
        match (self.headers.iter().find(named), &self.kind) {
            (Some(header), _) => Some(Text::new(&self.text[header.value.0..=header.value.1])),
            (None, Type::Whole(file)) => file.header(name),
            (None, _) => None,
        }
    }

    /// Was a header called `name` set? Not for Content-Type, which is kept elsewhere.
    #[inline]
    pub(crate) fn has_header(&self, name: &[u8]) -> bool {
        debug_assert!(!name.eq_ignore_ascii_case(b"content-type"));
        (!self.headers.is_empty() || matches!(self.kind, Type::Whole(_))) && self.header(name).is_some()
    }

    /// The body set so far; None if there is none, and for files.
    pub fn body(&self) -> Option<Text<'_>> {
        match &self.body {
            Body::Absent | Body::Kept(..) | Body::Pieces(_) => None,
            Body::Copied => Some(Text::new(&self.bytes)),
            Body::Owned(owned) => Some(Text::new(self.seen.get_or_init(|| {
                let mut seen = (**owned).as_ref().to_vec();
                seen.push(0);
                seen
            }))),
        }
    }

    /// Sets the body's type: a media type, or an extension such as "json" or ".png"; an unknown one is `application/octet-stream`.
    pub fn set_type(&mut self, name: &[u8]) -> Result<()> {
        self.need_composing()?;
        if !is_value(name) || headers::trim(name).is_empty() {
            return self.refuse(format!("type \"{}\" is neither a media type nor an extension", Shown(name)));
        }
        if name.contains(&b'/') {
            self.keep_type(headers::trim(name));
        } else {
            self.keep_type(media_type::of_extension(name).as_bytes());
        }
        Ok(())
    }

    /// Adds a cookie.
    pub fn set_cookie(&mut self, name: &[u8], value: &[u8], options: &Cookie<'_>) -> Result<()> {
        match options.line(name, value) {
            Ok(line) => self.header_checked(b"Set-Cookie", &line, false),
            Err(words) => self.refuse(words),
        }
    }

    /// Tells the client to forget a cookie; path and domain must be those it was set with.
    pub fn delete_cookie(&mut self, name: &[u8], options: &Cookie<'_>) -> Result<()> {
        match options.to_forget(name).line(name, b"") {
            Ok(line) => self.header_checked(b"Set-Cookie", &line, false),
            Err(words) => self.refuse(words),
        }
    }

    /// Sends bytes, which are copied; without a type they are `application/octet-stream`.
    pub fn send(&mut self, data: &[u8]) -> Result<()> {
        self.copy_body(data, &OCTETS)
    }

    /// Sends UTF-8 text.
    pub fn send_text(&mut self, text: &[u8]) -> Result<()> {
        self.copy_body(text, &PLAIN)
    }

    /// Sends HTML.
    pub fn send_html(&mut self, html: &[u8]) -> Result<()> {
        self.copy_body(html, &HTML)
    }

    /// Sends JSON text as it is; it is not checked.
    pub fn send_json(&mut self, json: &[u8]) -> Result<()> {
        self.copy_body(json, &JSON)
    }

    /// Sends a JSON value.
    pub fn send_json_value(&mut self, value: &json::Value) -> Result<()> {
        self.need_composing()?;
        self.clear_body();
        value.write_to(&mut self.bytes);
        self.bytes.push(0);
        self.body = Body::Copied;
        self.assume(&JSON);
        Ok(())
    }

    /// Sends bytes without copying them.
    pub fn send_owned(&mut self, data: OwnedBytes) -> Result<()> {
        self.need_composing()?;
        self.clear_body();
        self.body = Body::Owned(data);
        self.assume(&OCTETS);
        Ok(())
    }

    /// Sends several pieces of memory or files, one after the other; without a type it is `application/octet-stream`.
    pub fn send_pieces(&mut self, pieces: Vec<Piece>) -> Result<()> {
        self.need_composing()?;
        self.clear_body();
        self.body = Body::Pieces(pieces);
        self.assume(&OCTETS);
        Ok(())
    }

    /// Sends a file, with the type that its name implies. Conditional requests and ranges are honoured if the status is 200.
    ///
    /// The file is opened now: it is an error if it is not a regular file, or cannot be read. Never build the path from client
    /// input; [`crate::App::static_files`] is for that.
    pub fn send_file(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.open_file(path.as_ref(), None)
    }

    /// Sends a file for the client to save under a name: the file's own unless one is given, which also tells the type.
    pub fn send_download(&mut self, path: impl AsRef<Path>, filename: Option<&[u8]>) -> Result<()> {
        let path = path.as_ref();
        self.open_file(path, Some(filename.unwrap_or_else(|| file::base_name(path.as_os_str().as_bytes()))))
    }

    /// Writes a piece of the body, and sends it. The first call sends the head, chunked or with the Content-Length that was set;
    /// from then on it cannot be changed.
    ///
    /// `State` if a body was set before.
    ///
    /// In a handler it waits for a slow client, at most `write_timeout_ms` without progress: `Timeout`. On a deferred answer it
    /// never waits: `Limit`, with nothing taken, if more than `stream_buffer_bytes` would be buffered. `Closed` once the client has
    /// gone, and after the head if there is no body, as for HEAD.
    pub fn write(&mut self, request: &Request, data: &[u8]) -> Result<()> {
        if !self.is_streaming() {
            // Nothing has been sent, so it can still become a 500.
            if let Some(length) = self.length.filter(|&length| data.len() as u64 > length) {
                return self.refuse(format!("{} bytes are more than the Content-Length of {length} that was set", data.len()));
            }
            self.begin_stream(request)?;
        }
        let Response { stage: Stage::Streaming(stream), out, .. } = self else { return Err(Error::state("this is no stream")) };
        stream.write(data, out)
    }

    /// Writes a server-sent event as a piece of the body: `text/event-stream`, with headers that keep caches from storing and
    /// proxies from buffering it. Without data it is a comment that keeps the connection alive.
    pub fn write_event(&mut self, request: &Request, event: Option<&[u8]>, data: Option<&[u8]>, id: Option<&[u8]>) -> Result<()> {
        let text = stream::event_text(event, data, id)?;
        if !self.is_streaming() {
            self.need_line(request)?;
            if !matches!(self.kind, Type::Set) {
                self.keep_type(b"text/event-stream");
            }
            self.set_absent(b"Cache-Control", b"no-cache");
            // nginx would buffer events before it passes them on.
            self.set_absent(b"X-Accel-Buffering", b"no");
        }
        self.write(request, &text)
    }

    fn begin_stream(&mut self, request: &Request) -> Result<()> {
        let line = self.need_line(request)?;
        if let Some(words) = &self.failure {
            return Err(Error::invalid(words.clone()));
        }
        if self.has_body() && !self.is_left {
            self.note_failure(&GIVEN);
            return Err(GIVEN);
        }
        self.clear_body();
        self.assume(&OCTETS);
        line.begin_stream(request, self)
    }

    /// Was a body or a file set?
    fn has_body(&self) -> bool {
        !matches!(self.body, Body::Absent) || self.file.is_some()
    }

    /// The connection to stream by; there is none if the answer must be given whole.
    fn need_line(&self, request: &Request) -> Result<Arc<dyn Line>> {
        self.need_composing()?;
        let (line, _) = request.line().filter(|_| matches!(self.stage, Stage::Composing)).ok_or(NOT_HERE)?;
        Ok(Arc::clone(line))
    }

    /// Defers the answer: it is given later, by any thread, through the exchange that is returned.
    /// The handler must return `Ok` without touching request and response again.
    pub fn defer(&mut self, request: &Request) -> Result<Exchange> {
        if matches!(self.stage, Stage::Deferred(_)) {
            self.need_composing()?;
        }
        let (line, _) = request.line().filter(|_| !matches!(self.stage, Stage::Whole)).ok_or(NOT_HERE)?;
        Arc::clone(line).defer(request, self)
    }

    fn open_file(&mut self, path: &Path, download: Option<&[u8]>) -> Result<()> {
        self.need_composing()?;
        // A spooled file may have any name; the name that the client will save it under says more about its type.
        let named = download.filter(|name| !file::extension(name).is_empty());
        let file = file::open(path, named.unwrap_or(path.as_os_str().as_bytes())).inspect_err(|error| self.note_failure(error))?;
        self.give_file(FileAnswer { file: Arc::new(file), varies: false, disposition: download.map(disposition::attachment) });
        Ok(())
    }

    /// Sends a status with its phrase as text.
    pub fn send_status(&mut self, code: i32) -> Result<()> {
        self.set_status(code)?;
        let phrase = status::phrase(self.status);
        let words = if phrase.is_empty() { format!("{code}\n") } else { format!("{code} {phrase}\n") };
        self.send_text(words.as_bytes())
    }

    /// Redirects the client: 301, 302, 303, 307 or 308. Bytes that a URL cannot hold are escaped.
    pub fn send_redirect(&mut self, code: i32, location: &[u8]) -> Result<()> {
        if !matches!(code, 301 | 302 | 303 | 307 | 308) {
            return self.refuse(format!("redirect {code} is none of 301, 302, 303, 307, 308"));
        }
        if location.is_empty() || !is_value(location) {
            return self.refuse(format!("redirect to \"{}\": a location must not be empty nor hold control characters", Shown(location)));
        }
        self.set_status(code)?;
        self.header_checked(b"Location", &escape_location(location), true)?;
        self.send_text(format!("{code} {}\n", status::phrase(self.status)).as_bytes())
    }

    fn header_checked(&mut self, name: &[u8], value: &[u8], replace: bool) -> Result<()> {
        self.need_composing()?;
        self.take_apart();
        // RFC 9112 11.1: a line break in a value would allow response splitting.
        if !is_token(name) {
            return self.refuse(format!("header name \"{}\" is not a token: letters, digits and !#$%&'*+-.^_`|~", Shown(name)));
        }
        if !is_value(value) {
            return self.refuse(format!("header {} = \"{}\": a value must not hold control characters", Shown(name), Shown(value)));
        }
        let value = headers::trim(value);
        if let Some(done) = self.managed_header(name, value) {
            return done;
        }
        if replace {
            self.remove_header(name)?;
        }
        self.push_header(name, value);
        Ok(())
    }

    /// Handles the headers that the server itself acts on.
    fn managed_header(&mut self, name: &[u8], value: &[u8]) -> Option<Result<()>> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"content-type") {
            return Some(self.set_verbatim_type(value));
        }
        if is(b"content-length") {
            return Some(self.set_length(value));
        }
        if is(b"connection") {
            return Some(self.set_connection(value));
        }
        if is(b"date") || is(b"transfer-encoding") {
            return Some(self.refuse(format!("header {}: the server itself sets it", Shown(name))));
        }
        None
    }

    fn set_verbatim_type(&mut self, value: &[u8]) -> Result<()> {
        if value.is_empty() {
            return self.refuse("header Content-Type = \"\": a type must not be empty".to_owned());
        }
        self.keep_type(value);
        Ok(())
    }

    fn set_length(&mut self, value: &[u8]) -> Result<()> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten();
        if length.is_none() {
            return self.refuse(format!("header Content-Length = \"{}\" is not a number of bytes", Shown(value)));
        }
        self.length = length;
        self.remember_managed(b"Content-Length", value);
        Ok(())
    }

    fn set_connection(&mut self, value: &[u8]) -> Result<()> {
        for option in headers::list(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if !option.eq_ignore_ascii_case(b"keep-alive") {
                return self.refuse(format!("header Connection = \"{}\": only close can be asked for", Shown(value)));
            }
        }
        if self.close {
            self.remember_managed(b"Connection", b"close");
        }
        Ok(())
    }

    /// Keeps a managed header for `header` to find; `write_fields` skips it.
    fn remember_managed(&mut self, name: &[u8], value: &[u8]) {
        self.remove_named(name);
        self.push_header(name, value);
    }

    fn remove_named(&mut self, name: &[u8]) {
        let text = &self.text;
        self.headers.retain(|header| !text[header.name.0..header.name.1].eq_ignore_ascii_case(name));
    }

    fn push_header(&mut self, name: &[u8], value: &[u8]) {
        let mut put = |bytes: &[u8]| {
            let start = self.text.len();
            self.text.extend_from_slice(bytes);
            self.text.push(0);
            (start, start + bytes.len())
        };
        let header = Header { name: put(name), value: put(value) };
        self.headers.push(header);
    }

    /// Sets the body's type, as checked by the caller.
    fn keep_type(&mut self, kind: &[u8]) {
        self.take_apart();
        self.kind_text.clear();
        self.kind_text.extend_from_slice(kind);
        self.kind_text.push(0);
        self.kind = Type::Set;
    }

    fn assume(&mut self, kind: &'static Known) {
        if !matches!(self.kind, Type::Set) {
            self.kind = Type::Assumed(kind);
        }
    }

    fn refuse(&mut self, words: String) -> Result<()> {
        let error = Error::invalid(words);
        self.note_failure(&error);
        Err(error)
    }

    /// Fails if the head was sent, or the answer was deferred.
    fn need_composing(&self) -> Result<()> {
        match self.stage {
            Stage::Composing | Stage::Whole => Ok(()),
            Stage::Streaming(_) => Err(Error::state("the head of this answer has been sent; only its body can be added to")),
            Stage::Deferred(_) => Err(Error::state("this answer was deferred; it belongs to its exchange")),
        }
    }

    /// Remembers why a call failed, if none failed before. Failures after the head was sent are not remembered.
    pub(crate) fn note_failure(&mut self, error: &Error) {
        if self.need_composing().is_err() {
            return;
        }
        self.failure.get_or_insert_with(|| error.to_string());
    }
}

/// For setters that the library itself calls on an answer whose head has not been sent: statuses and names are constants, and
/// values are its own or were checked, so the setter cannot fail. If one did, the answer would be sent without that header.
pub(crate) fn cannot_fail(outcome: Result<()>) {
    debug_assert!(outcome.is_ok(), "{outcome:?}");
}

/// What the engine does with a response.
impl Response {
    /// Keeps the headers set so far, by middleware, for the library's own answers.
    pub(crate) fn keep_headers(&mut self) {
        self.is_left = self.has_body();
        self.base.0.clone_from(&self.headers);
        self.base.1.clone_from(&self.text);
    }

    /// The headers set by middleware, for an answer that replaces this one.
    pub(crate) fn kept_headers(&self) -> KeptHeaders {
        self.base.clone()
    }

    /// An answer that replaces the one from which `base` was taken.
    pub(crate) fn in_place_of(base: KeptHeaders) -> Response {
        Response { base, ..Response::new() }
    }

    /// Prepares for one of the library's own answers: discards everything that the handler has set.
    pub(crate) fn clear_for_error(&mut self) {
        let base = std::mem::take(&mut self.base);
        self.clear();
        for header in &base.0 {
            let (name, value) = (&base.1[header.name.0..header.name.1], &base.1[header.value.0..header.value.1]);
            if !describes_content(name) {
                self.push_header(name, value);
            }
            self.close |= name.eq_ignore_ascii_case(b"connection");
        }
        self.base = base;
    }

    /// Resets everything for the next answer.
    pub(crate) fn clear(&mut self) {
        self.base.0.clear();
        self.base.1.clear();
        // Also in `clear_body`: a look is shorter than a drop that finds nothing.
        if !matches!(self.stage, Stage::Composing) {
            self.stage = Stage::Composing;
        }
        self.status = 200;
        self.kind = Type::Unset;
        self.headers.clear();
        self.text.clear();
        self.clear_body();
        self.length = None;
        self.close = false;
        self.failure = None;
    }

    /// Is the response in the state that `clear` produces?
    pub(crate) fn is_blank(&self) -> bool {
        let unset = matches!((&self.kind, &self.body, &self.file, &self.stage), (Type::Unset, Body::Absent, None, Stage::Composing));
        unset
            && self.seen.get().is_none()
            && self.status == 200
            && self.headers.is_empty()
            && self.length.is_none()
            && !self.close
            && self.failure.is_none()
    }

    /// Requests an error answer in place of the body.
    pub(crate) fn refuse_with(&mut self, code: u16, why: Error) {
        self.clear_body();
        self.instead = Some(Instead { code, why, field: None });
    }

    /// From now on the answer can neither be streamed nor deferred.
    pub(crate) fn be_whole(&mut self) {
        if matches!(self.stage, Stage::Composing) {
            self.stage = Stage::Whole;
        }
    }

    /// Reverts `be_whole`: the answer may be streamed or deferred again.
    pub(crate) fn be_composed(&mut self) {
        if matches!(self.stage, Stage::Whole) {
            self.stage = Stage::Composing;
        }
    }

    /// Has its head been sent?
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self.stage, Stage::Streaming(_))
    }

    /// Was it deferred?
    pub(crate) fn is_deferred(&self) -> bool {
        matches!(self.stage, Stage::Deferred(_))
    }

    /// Fixes the head; from now on `write` goes to `stream`.
    pub(crate) fn start(&mut self, stream: Stream) {
        self.stage = Stage::Streaming(Box::new(stream));
    }

    /// The stream and its output, if the answer is streaming.
    pub(crate) fn stream_mut(&mut self) -> Option<(&mut Stream, &mut Output)> {
        match &mut self.stage {
            Stage::Streaming(stream) => Some((stream, &mut self.out)),
            _ => None,
        }
    }

    /// Is this an ordinary answer that needs no further checks before it is sent?
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        let nothing = self.file.is_none() && self.instead.is_none() && self.failure.is_none() && self.length.is_none();
        nothing && matches!(self.stage, Stage::Composing)
    }

    /// Moves the whole response into an exchange; `known_as` is the connection's reference to that exchange.
    pub(crate) fn hand_over(&mut self, known_as: Box<dyn Any + Send>) -> Response {
        let mut taken = std::mem::replace(self, Response::new());
        std::mem::swap(&mut self.out, &mut taken.out);
        self.stage = Stage::Deferred(known_as);
        taken
    }

    /// Takes the connection's reference to the exchange, if the answer was deferred.
    pub(crate) fn take_deferred(&mut self) -> Option<Box<dyn Any + Send>> {
        if !self.is_deferred() {
            return None;
        }
        match std::mem::take(&mut self.stage) {
            Stage::Deferred(known_as) => Some(known_as),
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Adds those of `members` to Vary that it does not list yet.
    pub(crate) fn add_vary(&mut self, members: &[u8]) {
        let mut missing = Vec::new();
        for member in headers::list(members) {
            // RFC 9110 12.5.5: "*" covers every request field.
            let is_named = |known: &[u8]| known == b"*" || known.eq_ignore_ascii_case(member);
            if !self.values_of(b"vary").any(|value| headers::list(value).any(is_named)) {
                missing.extend_from_slice(if missing.is_empty() { b"" } else { b", " });
                missing.extend_from_slice(member);
            }
        }
        if !missing.is_empty() {
            self.push_header(b"Vary", &missing);
        }
    }

    fn values_of<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let named = move |header: &&Header| self.text[header.name.0..header.name.1].eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|header| &self.text[header.value.0..header.value.1])
    }

    /// Sets a header that the handler has not set.
    fn set_absent(&mut self, name: &[u8], value: &[u8]) {
        if self.header(name).is_none() {
            self.push_header(name, value);
        }
    }

    /// Adds the headers of policies, except those already set, by the same rules as `Hooks::add_cors_fields`.
    pub(crate) fn add_policy_headers(&mut self, policies: &Response) {
        let own = self.header(b"access-control-allow-origin").is_some();
        for header in &policies.headers {
            let (name, value) = (&policies.text[header.name.0..header.name.1], &policies.text[header.value.0..header.value.1]);
            if name == b"Vary" {
                self.add_vary(value);
            } else if !(own && name.starts_with(b"Access-Control-")) {
                self.set_absent(name, value);
            }
        }
    }

    /// Why a setter failed, if one did.
    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Did the handler ask to close the connection?
    pub(crate) fn wants_close(&self) -> bool {
        self.close
    }

    /// The Content-Length that was set; it must equal the body's length.
    pub(crate) fn set_content_length(&self) -> Option<u64> {
        self.length
    }

    /// The bytes themselves, or a copy if they are a view of this response, which is about to change.
    pub(crate) fn apart<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let seen = self.seen.get().map_or(&[][..], Vec::as_slice);
        let inside = [&self.text[..], &self.bytes, &self.kind_text, seen].iter().any(|own| own.as_ptr_range().contains(&bytes.as_ptr()));
        if inside { Cow::Owned(bytes.to_vec()) } else { Cow::Borrowed(bytes) }
    }

    /// Appends the type and the other headers as field lines.
    pub(crate) fn write_fields(&self, with_type: bool, out: &mut Vec<u8>) {
        match &self.kind {
            Type::Assumed(known) if with_type => out.extend_from_slice(known.line),
            _ => self.write_own_type(with_type, out),
        }
        for header in &self.headers {
            let name = &self.text[header.name.0..header.name.1];
            if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"connection") {
                continue;
            }
            encoder::field(name, &self.text[header.value.0..header.value.1], out);
        }
    }

    /// A type that the handler or a file has given.
    #[inline(never)]
    fn write_own_type(&self, with_type: bool, out: &mut Vec<u8>) {
        match &self.kind {
            Type::Whole(file) => out.extend_from_slice(file.lines()),
            Type::File(file) if with_type => encoder::field(b"Content-Type", &file.kind()[..file.kind().len() - 1], out),
            Type::Set if with_type => encoder::field(b"Content-Type", &self.kind_text[..self.kind_text.len() - 1], out),
            _ => {}
        }
    }
}

/// Does this header describe the content, so that it is wrong on an error answer? That includes how long caches may keep it.
fn describes_content(name: &[u8]) -> bool {
    const CONTENT: [&[u8]; 4] = [b"cache-control", b"expires", b"etag", b"last-modified"];
    let begins = |start: &[u8]| name.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start));
    // Content-Security-Policy and its `-Report-Only` form apply to any content.
    (begins(b"content-") && !begins(b"content-security-policy")) || CONTENT.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Percent-encodes bytes that a URL must not contain. RFC 3986 2.4: existing escapes are not encoded again.
fn escape_location(location: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(location.len());
    for &b in location {
        if (b'!'..=b'~').contains(&b) && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}') {
            out.push(b);
        } else {
            out.extend_from_slice(format!("%{b:02X}").as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn fields(response: &Response) -> String {
        let mut out = Vec::new();
        response.write_fields(true, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn with(fill: impl FnOnce(&mut Response) -> Result<()>) -> Response {
        let mut response = Response::new();
        fill(&mut response).unwrap();
        response
    }

    #[test]
    fn a_body_has_the_type_of_the_call() {
        assert_eq!(fields(&with(|r| r.send(b"x"))), "Content-Type: application/octet-stream\r\n");
        assert_eq!(fields(&with(|r| r.send_text(b"x"))), "Content-Type: text/plain; charset=utf-8\r\n");
        assert_eq!(fields(&with(|r| r.send_json(b"{}"))), "Content-Type: application/json\r\n");
    }

    #[test]
    fn a_type_that_was_set_stays() {
        let response = with(|r| {
            r.set_type(b".svg")?;
            r.send_text(b"<svg/>")
        });
        assert_eq!(fields(&response), "Content-Type: image/svg+xml\r\n");
    }

    #[test]
    fn types_by_extension() {
        for (name, expected) in [
            ("html", "text/html; charset=utf-8"),
            ("JSON", "application/json"),
            (".png", "image/png"),
            ("nonsense", "application/octet-stream"),
            ("text/x-own", "text/x-own"),
        ] {
            let response = with(|r| r.set_type(name.as_bytes()));
            assert_eq!(response.header(b"content-type").unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn set_replaces_in_any_case_and_add_appends() {
        let response = with(|r| {
            r.add_header(b"X-A", b"1")?;
            r.add_header(b"x-a", b"2")?;
            r.set_header(b"X-B", b"1")?;
            r.set_header(b"x-b", b" 2 ")
        });
        assert_eq!(fields(&response), "X-A: 1\r\nx-a: 2\r\nx-b: 2\r\n");
        assert_eq!(response.header(b"X-a").unwrap(), "1");
    }

    #[test]
    fn headers_cannot_be_injected() {
        for (name, value) in [("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "a\0b"), ("X Y", "a"), ("X:", "a"), ("", "a"), ("X\r\n", "a")] {
            let mut response = Response::new();
            assert_eq!(response.set_header(name.as_bytes(), value.as_bytes()).unwrap_err().kind(), Kind::Invalid);
            assert!(response.take_failure().is_some(), "{name:?}");
            assert_eq!(fields(&response), "");
        }
    }

    #[test]
    fn what_frames_the_answer_is_the_servers() {
        for name in ["Date", "transfer-encoding"] {
            assert!(Response::new().set_header(name.as_bytes(), b"x").is_err(), "{name}");
        }
        let response = with(|r| r.set_header(b"connection", b"Close"));
        assert!(response.wants_close());
        assert_eq!(fields(&response), "");
        assert_eq!(response.header(b"Connection").unwrap(), "close");
        assert!(Response::new().set_header(b"Connection", b"upgrade").is_err());
        assert!(Response::new().set_header(b"Content-Length", b"+1").is_err());
        assert_eq!(with(|r| r.set_header(b"Content-Length", b"12")).set_content_length(), Some(12));
    }

    #[test]
    fn the_first_failure_is_remembered_until_reset() {
        let mut response = Response::new();
        response.set_status(99).unwrap_err();
        response.set_status(600).unwrap_err();
        assert_eq!(response.failure.as_deref(), Some("status 99 is not in 200 to 599"));
        response.reset().unwrap();
        assert_eq!(response.take_failure(), None);
    }

    #[test]
    fn redirects_escape_what_a_url_cannot_hold() {
        let response = with(|r| r.send_redirect(303, "/a b\u{fc}?c=%20".as_bytes()));
        assert_eq!(response.header(b"location").unwrap(), "/a%20b%C3%BC?c=%20");
        assert_eq!(response.status(), 303);
        assert!(Response::new().send_redirect(200, b"/").is_err());
        assert!(Response::new().send_redirect(302, b"/\r\nX: y").is_err());
    }

    #[test]
    fn an_owned_body_is_seen_and_sent_without_copying_it_back() {
        let response = with(|r| r.send_owned(Box::new(b"abc".to_vec())));
        assert_eq!(response.body().unwrap(), "abc");
        assert_eq!(response.body_bytes(), Some(&b"abc"[..]));
    }

    #[test]
    fn a_view_of_the_response_is_copied_before_it_changes() {
        let response = with(|r| {
            r.set_header(b"X", b"own")?;
            r.send(b"body")
        });
        for own in [response.header(b"X").unwrap().bytes(), response.body().unwrap().bytes()] {
            assert!(matches!(response.apart(own), Cow::Owned(_)));
        }
        assert!(matches!(response.apart(b"another's"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_sent_last_counts() {
        let response = with(|r| {
            r.send_json(b"{}")?;
            r.send_text(b"text")
        });
        assert_eq!(response.body().unwrap(), "text");
        assert_eq!(response.header(b"Content-Type").unwrap(), "text/plain; charset=utf-8");
    }
}

//! What a started app does with a request: find the route, run the handler, shape the errors.

use crate::buffered::Buffered;
use crate::error::{Error, Kind, Result};
use crate::file::FileRefusal;
use crate::handler::{ErrorHandler, Handler, Level, Log};
use crate::http::headers;
use crate::http::parser::{Framing, Limits};
use crate::http::status;
use crate::json::Value;
use crate::options::{Key, Options};
use crate::request::Request;
use crate::response::Response;
use crate::router::{Found, Router};
use crate::server::{Control, Pace};
use crate::text::Text;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A registered route.
pub(crate) struct Route {
    /// Ends with a NUL, for C.
    pattern: Vec<u8>,
    /// The names of its params, in the order of the pattern.
    pub(crate) param_names: Vec<String>,
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) max_body_bytes: Option<u64>,
}

impl Route {
    pub(crate) fn new(pattern: &str, param_names: Vec<String>, handler: Box<dyn Handler>) -> Route {
        Route { pattern: [pattern.as_bytes(), b"\0"].concat(), param_names, handler, max_body_bytes: None }
    }

    pub(crate) fn pattern(&self) -> Text<'_> {
        Text::new(&self.pattern)
    }
}

/// Everything registered before start. Read only from then on, and shared by all threads.
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) routes: Vec<Route>,
    pub(crate) on_error: Option<Box<dyn ErrorHandler>>,
    pub(crate) on_log: Option<Box<dyn Log>>,
    pub(crate) limits: Limits,
    pub(crate) max_body_bytes: u64,
    /// Zero is off.
    pub(crate) max_requests: u64,
    /// The whole field line, or nothing.
    pub(crate) server_line: Vec<u8>,
    /// The time-outs.
    pub(crate) pace: Pace,
    /// What clients make the app hold.
    pub(crate) buffered: Buffered,
    /// Whether the app is coming to its end.
    pub(crate) control: Arc<Control>,
}

impl Service {
    pub(crate) fn new(options: &Options, router: Router, routes: Vec<Route>, control: Arc<Control>) -> Service {
        let size = |key| usize::try_from(options.get(key)).unwrap_or(usize::MAX);
        let server_line = match options.server_header() {
            "" => Vec::new(),
            name => format!("Server: {name}\r\n").into_bytes(),
        };
        Service {
            router,
            routes,
            on_error: None,
            on_log: None,
            limits: Limits {
                head_bytes: size(Key::MaxHeaderBytes),
                fields: size(Key::MaxHeaders),
                target_bytes: size(Key::MaxTargetBytes),
            },
            max_body_bytes: options.get(Key::MaxBodyBytes),
            max_requests: options.get(Key::MaxRequestsPerConnection),
            server_line,
            pace: Pace::new(options),
            buffered: Buffered::new(size(Key::MaxBufferedBytes)),
            control,
        }
    }

    pub(crate) fn route(&self, index: usize) -> Option<&Route> {
        self.routes.get(index)
    }

    /// Decides by the head alone. False: `response` holds the answer, and the body, if any, is not wanted.
    pub(crate) fn admit(&self, request: &mut Request, response: &mut Response) -> bool {
        if self.buffered.is_overfull() {
            self.refuse_overfull(request, response);
            return false;
        }
        if request.head().expects_else {
            // RFC 9110 10.1.1: "A server that receives an Expect field value containing a member other than 100-continue MAY respond with a 417".
            let why = Error::fixed(Kind::Invalid, "the only expectation that can be met is 100-continue");
            self.fail(417, why, None, request, response);
            return false;
        }
        match request.route_by(&self.router) {
            Found::Route(_) => match request.head().framing {
                Framing::Length(length) if length > self.body_limit(request) => {
                    self.refuse_body(request, response);
                    false
                }
                _ => true,
            },
            Found::MethodNotAllowed(allow) => {
                self.answer_unregistered(&allow.to_string(), request, response);
                false
            }
            // RFC 9110 9.3.7: an asterisk asks about the server in general.
            Found::NotFound if request.head().target.asterisk => {
                self.answer_unregistered(&self.router.all_methods(), request, response);
                false
            }
            Found::NotFound => {
                let why = Error::fixed(Kind::NotFound, "there is no route for this path");
                self.fail(404, why, None, request, response);
                false
            }
            Found::BadPath => {
                let why = Error::fixed(Kind::Invalid, "the path holds a percent sign without two hexadecimal digits, or a NUL");
                self.fail(400, why, None, request, response);
                false
            }
        }
    }

    /// How many bytes the body may have.
    pub(crate) fn body_limit(&self, request: &Request) -> u64 {
        request.registered().and_then(|route| route.max_body_bytes).unwrap_or(self.max_body_bytes)
    }

    /// The answer when the app holds as much as it may. It ends the connection.
    pub(crate) fn refuse_overfull(&self, request: &Request, response: &mut Response) {
        let why = Error::fixed(Kind::Limit, "the server holds as much unfinished input and output as max_buffered_bytes allows");
        self.fail(503, why, None, request, response);
        response.set_header(b"Connection", b"close").unwrap_or_default();
    }

    /// The answer to a body over the limit.
    pub(crate) fn refuse_body(&self, request: &Request, response: &mut Response) {
        let limit = self.body_limit(request);
        let why = Error::late(Kind::Limit, BodyWords(limit));
        self.fail(413, why, None, request, response);
    }

    /// OPTIONS is answered from the routes; other methods are refused with those there are.
    fn answer_unregistered(&self, allow: &str, request: &Request, response: &mut Response) {
        if request.method() == "OPTIONS" {
            let set =
                response.reset().and_then(|()| response.set_status(204)).and_then(|()| response.set_header(b"Allow", allow.as_bytes()));
            return set.unwrap_or_default();
        }
        // RFC 9110 15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
        let why = Error::fixed(Kind::Invalid, "this path has no such method; Allow names those it has");
        self.fail(405, why, Some(allow), request, response);
    }

    /// Runs the route's handler. Whatever it does, `response` can be sent afterwards.
    pub(crate) fn handle(&self, request: &Request, response: &mut Response) {
        let Some(route) = request.registered() else { return };
        debug_assert!(response.is_blank(), "nothing of another request's answer is here");
        let outcome = caught(|| route.handler.handle(request, response)).and_then(|()| self.settle(request, response));
        if let Err(error) = outcome {
            if error.kind() != Kind::Closed {
                self.log(Level::Error, || format!("{request:?}: the handler failed: {error}"));
            }
            let why = Error::fixed(Kind::Invalid, "the handler of this route failed");
            self.fail(500, why, None, request, response);
        }
    }

    /// Decides what of a file is sent; the client may have asked for what there is not.
    fn settle(&self, request: &Request, response: &mut Response) -> Result<()> {
        if let Some(FileRefusal { code, words, content_range }) = response.settle(request, false)? {
            self.check(request, response)?;
            self.fail(code, Error::fixed(Kind::Invalid, words), None, request, response);
            if let Some(range) = content_range {
                // RFC 9110 15.5.17: it "SHOULD generate a Content-Range header field" with the current length.
                response.set_header(b"Content-Range", range.as_bytes())?;
            }
        }
        self.check(request, response)
    }

    /// A handler may return OK and yet have left an answer that cannot be sent.
    fn check(&self, request: &Request, response: &mut Response) -> Result<()> {
        if let Some(words) = response.take_failure() {
            return Err(Error::invalid(words));
        }
        let Some(length) = response.set_content_length() else { return Ok(()) };
        let known_to_head_only = request.method() == "HEAD" && response.body_len() == 0;
        if length == response.body_len() || known_to_head_only || status::body_rule(response.status()) != status::BodyRule::Sent {
            return Ok(());
        }
        Err(Error::invalid(format!("Content-Length was set to {length}, the body has {} bytes", response.body_len())))
    }

    /// Makes `response` the library's own answer for a failure; `on_error` may shape it.
    pub(crate) fn fail(&self, code: u16, why: Error, allow: Option<&str>, request: &Request, response: &mut Response) {
        self.own_answer(code, &why, allow, request, response);
        let Some(on_error) = &self.on_error else { return };
        let outcome = caught(|| on_error.shape(&why, request, response))
            .and_then(|()| response.settle(request, true))
            .and_then(|_| self.check(request, response));
        if let Err(error) = outcome {
            self.log(Level::Error, || format!("{request:?}: on_error failed: {error}"));
            self.own_answer(code, &why, allow, request, response);
        }
    }

    fn own_answer(&self, code: u16, why: &Error, allow: Option<&str>, request: &Request, response: &mut Response) {
        let fill = |response: &mut Response| -> Result<()> {
            response.reset()?;
            response.set_status(i32::from(code))?;
            if let Some(allow) = allow {
                response.set_header(b"Allow", allow.as_bytes())?;
            }
            if code == 503 {
                response.set_header(b"Retry-After", b"1")?;
            }
            if prefers_json(request) {
                response.send_json(error_json(code, why)?.as_bytes())
            } else {
                response.send_text(format!("{code} {}: {why}\n", status::phrase(code)).as_bytes())
            }
        };
        fill(response).unwrap_or_default();
    }

    /// Gives a message to the host's log; the words are made only where there is one.
    pub(crate) fn log(&self, level: Level, words: impl FnOnce() -> String) {
        if let Some(log) = &self.on_log {
            // A log that panics has nobody to tell.
            let _ = catch_unwind(AssertUnwindSafe(|| log.log(level, &words())));
        }
    }
}

struct BodyWords(u64);

impl std::fmt::Display for BodyWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the body is longer than the {} bytes that max_body_bytes allows", self.0)
    }
}

/// Runs a user's function; a panic is an error like others.
fn caught(run: impl FnOnce() -> Result<()>) -> Result<()> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(Error::new(Kind::Panic, format!("it panicked: {}", panic_words(&*panic)))))
}

/// What a panic said, where it said something.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Does the client rather want JSON than text? RFC 9110 12.5.1: the greater weight wins; of equals, the one named first.
fn prefers_json(request: &Request) -> bool {
    let Some(accept) = request.header(b"accept") else { return false };
    let (mut json, mut text) = (0, 0);
    for (name, weight) in headers::weighted(&accept) {
        let name = name.to_ascii_lowercase();
        if name == b"application/json" || name.ends_with(b"+json") {
            json = json.max(if weight > text { weight } else { 0 });
        } else if name == b"text/html" || name == b"text/plain" || name == b"text/*" {
            text = text.max(if weight > json { weight } else { 0 });
        }
    }
    json > text
}

fn error_json(code: u16, why: &Error) -> Result<String> {
    let mut error = Value::object();
    error.set("status", Value::int(i64::from(code)))?;
    error.set("reason", Value::string(status::phrase(code)))?;
    error.set("message", Value::string(&why.to_string()))?;
    let mut body = Value::object();
    body.set("error", error)?;
    Ok(body.to_text() + "\n")
}

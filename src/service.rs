//! Request processing in a started app: finds the route, runs the hooks and the handler, makes error answers.

use crate::access::AccessRecord;
use crate::buffered::Buffered;
use crate::compression::{self, Encoder};
use crate::error::{Error, Kind, Result};
use crate::form::FormRules;
use crate::handler::{Flow, Handler, Level};
use crate::hooks::{Hooks, TOO_MANY};
use crate::http::headers;
use crate::http::method::Method;
use crate::http::parser::{Framing, Limits};
use crate::http::status::{self, BodyRule};
use crate::json::Value;
use crate::options::{Key, Options};
use crate::output::Output;
use crate::request::Request;
use crate::response::{Instead, Response, cannot_fail};
use crate::route::{Delivery, Route, Routes};
use crate::router::{Found, Router};
use crate::server::{CallerQueue, Control, Habits, Pace, monotonic_ms};
use crate::tally::Tally;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Everything registered before start. Read only from then on, and shared by all threads.
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) routes: Arc<Routes>,
    /// The routes' handlers, indexed by route number.
    pub(crate) handlers: Vec<Box<dyn Handler>>,
    pub(crate) hooks: Hooks,
    pub(crate) limits: Limits,
    pub(crate) max_body_bytes: u64,
    /// 0: no limit.
    pub(crate) max_requests: u64,
    /// Are answers compressed for clients that accept it?
    compresses: bool,
    /// Is there anything to do after every handler?
    concludes: bool,
    /// Is there anything to do before every handler?
    pub(crate) intercepts: bool,
    /// Are there handlers that read their bodies themselves?
    pub(crate) lends_bodies: bool,
    /// How much of a deferred stream may wait for its client.
    pub(crate) stream_buffer_bytes: usize,
    /// The whole line of the Server field; empty for none.
    pub(crate) server_line: Vec<u8>,
    /// The time-outs.
    pub(crate) pace: Pace,
    /// The bytes held for all clients, against max_buffered_bytes.
    pub(crate) buffered: Buffered,
    /// Which routes block.
    pub(crate) habits: Habits,
    /// How many requests were received.
    pub(crate) requests: Tally,
    /// Requests that wait for one of the host's threads.
    pub(crate) callers: Arc<CallerQueue>,
    /// The most requests that may wait in `callers`.
    max_queued: usize,
    /// Whether the app drains or stops.
    pub(crate) control: Arc<Control>,
}

impl Service {
    pub(crate) fn new(
        options: &Options,
        router: Router,
        routes: Vec<Route>,
        handlers: Vec<Box<dyn Handler>>,
        hooks: Hooks,
        callers: Arc<CallerQueue>,
        control: Arc<Control>,
    ) -> Service {
        let size = |key| usize::try_from(options.get(key)).unwrap_or(usize::MAX);
        let server_line = match options.server_header() {
            "" => Vec::new(),
            name => format!("Server: {name}\r\n").into_bytes(),
        };
        let forms = FormRules {
            spool_bytes: size(Key::SpoolBytes),
            spool_directory: (!options.spool_directory().is_empty()).then(|| options.spool_directory().into()),
            max_parts: size(Key::MaxParts),
        };
        let routes = Arc::new(Routes::new(routes, forms));
        let lends_bodies = routes.all().any(|route| route.body == Delivery::Stream);
        Service {
            router,
            lends_bodies,
            compresses: options.get(Key::Compress) != 0,
            concludes: hooks.follow() || hooks.on_access.is_some(),
            intercepts: hooks.intercept(),
            pace: Pace::new(options, &routes),
            habits: Habits::new(&routes),
            routes,
            handlers,
            hooks,
            limits: Limits {
                head_bytes: size(Key::MaxHeaderBytes),
                fields: size(Key::MaxHeaders),
                target_bytes: size(Key::MaxTargetBytes),
            },
            max_body_bytes: options.get(Key::MaxBodyBytes),
            max_requests: options.get(Key::MaxRequestsPerConnection),
            stream_buffer_bytes: size(Key::StreamBufferBytes),
            server_line,
            buffered: Buffered::new(size(Key::MaxBufferedBytes)),
            requests: Tally::default(),
            callers,
            max_queued: size(Key::MaxQueued),
            control,
        }
    }

    /// Decides by the head alone whether the request is admitted. False: `response` holds the answer, and the body is not needed.
    #[inline(always)]
    pub(crate) fn admit(&self, request: &mut Request, response: &mut Response) -> bool {
        if self.buffered.is_overfull() {
            self.refuse_overfull(request, response);
            return false;
        }
        if request.head().expects_else {
            self.refuse_expectation(request, response);
            return false;
        }
        let found = request.route_by(&self.router);
        if self.intercepts && !matches!(found, Found::BadPath) && !self.pass_hooks(&found, request, response) {
            return false;
        }
        if !matches!(found, Found::Route(_)) {
            self.answer_unrouted(found, request, response);
            return false;
        }
        match request.head().framing {
            Framing::Length(length) if length > self.body_limit(request) => {
                self.refuse_body(request, response);
                false
            }
            _ => true,
        }
    }

    /// The answer if no route matches the path and the method.
    #[inline(never)]
    fn answer_unrouted(&self, found: Found<'_>, request: &Request, response: &mut Response) {
        match found {
            Found::MethodNotAllowed(allow) => self.answer_unregistered(&allow.to_string(), request, response),
            // RFC 9110 9.3.7: an asterisk asks about the server in general.
            Found::NotFound if request.head().target.asterisk => self.answer_unregistered(&self.router.all_methods(), request, response),
            Found::BadPath => {
                let why = Error::fixed(Kind::Invalid, "the path holds a percent sign without two hexadecimal digits, or a NUL");
                self.fail(400, why, None, request, response);
            }
            Found::NotFound | Found::Route(_) => {
                let why = Error::fixed(Kind::NotFound, "there is no route for this path");
                self.fail(404, why, None, request, response);
            }
        }
    }

    /// Runs preflights, rate limits and middleware, which may answer, refuse or defer the request before its route.
    #[inline(never)]
    fn pass_hooks(&self, found: &Found<'_>, request: &mut Request, response: &mut Response) -> bool {
        let method = match found {
            Found::Route(index) => self.router.route(*index).method(),
            _ => "",
        };
        if self.hooks.answer_preflight(found, method, request, response) {
            return false;
        }
        let verdict = caught(|| Ok(self.hooks.take_token(request, monotonic_ms))).unwrap_or_else(|error| {
            // A broken limiter must not make the app refuse every request.
            self.log_failure(request, &error, "the hook of a rate limit failed, the request is allowed");
            None
        });
        request.set_quota(verdict);
        if verdict.is_some_and(|verdict| !verdict.allowed) {
            self.fail(429, TOO_MANY, None, request, response);
            return false;
        }
        // If one of the host's threads runs the handler, middleware runs on that thread too.
        request.is_for_caller() || self.pass_middleware(request, response)
    }

    /// Runs middleware. False: it has answered, refused or deferred, and its answer can be sent.
    pub(crate) fn pass_middleware(&self, request: &Request, response: &mut Response) -> bool {
        let mut flow = Flow::Next;
        let outcome = caught(|| {
            flow = self.hooks.pass(request, response)?;
            Ok(())
        });
        if outcome.is_ok() && flow == Flow::Next && !response.is_streaming() && !response.is_deferred() {
            return true;
        }
        if outcome.is_err() && !response.is_streaming() && !response.is_deferred() {
            response.keep_headers();
        }
        self.settle(outcome, request, response);
        false
    }

    /// How many bytes the body may have.
    pub(crate) fn body_limit(&self, request: &Request) -> u64 {
        request.registered().and_then(|route| route.max_body_bytes).unwrap_or(self.max_body_bytes)
    }

    /// The answer when buffers have reached max_buffered_bytes. It closes the connection.
    #[cold]
    pub(crate) fn refuse_overfull(&self, request: &Request, response: &mut Response) {
        let why = Error::fixed(Kind::Limit, "the server holds as much unfinished input and output as max_buffered_bytes allows");
        self.fail(503, why, None, request, response);
        cannot_fail(response.set_header(b"Connection", b"close"));
    }

    /// RFC 9110 10.1.1: "A server that receives an Expect field value containing a member other than 100-continue MAY respond with a 417".
    #[cold]
    fn refuse_expectation(&self, request: &Request, response: &mut Response) {
        let why = Error::fixed(Kind::Invalid, "the only expectation that can be met is 100-continue");
        self.fail(417, why, None, request, response);
    }

    /// The answer to a body over the limit.
    #[cold]
    pub(crate) fn refuse_body(&self, request: &Request, response: &mut Response) {
        let limit = self.body_limit(request);
        let why = Error::late(Kind::Limit, BodyWords(limit));
        self.fail(413, why, None, request, response);
    }

    /// The answer to a form that is malformed or exceeds a limit.
    pub(crate) fn refuse_form(&self, why: Error, request: &Request, response: &mut Response) {
        let code = match why.kind() {
            Kind::Invalid => 400,
            Kind::Limit => 413,
            _ => {
                self.log_failure(request, &why, "an upload could not be stored");
                return self.fail(500, Error::fixed(Kind::Io, "the server could not store the upload"), None, request, response);
            }
        };
        self.fail(code, why, None, request, response);
    }

    /// OPTIONS is answered with the path's methods; others are refused, naming these in Allow.
    fn answer_unregistered(&self, allow: &str, request: &Request, response: &mut Response) {
        if request.method() == "OPTIONS" {
            response.clear_for_error();
            cannot_fail(response.set_status(204));
            cannot_fail(response.set_header(b"Allow", allow.as_bytes()));
            return;
        }
        // RFC 9110 15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
        let why = Error::fixed(Kind::Invalid, "this path does not support this method; Allow lists those it does");
        self.fail(405, why, Some(allow), request, response);
    }

    /// Runs the route's handler. Whatever it does, `response` can be sent afterwards.
    pub(crate) fn handle(&self, request: &Request, response: &mut Response) {
        let outcome = self.run_handler(request, response);
        self.settle(outcome, request, response);
    }

    #[inline]
    pub(crate) fn run_handler(&self, request: &Request, response: &mut Response) -> Result<()> {
        let Some(handler) = request.route_number().and_then(|number| self.handlers.get(number)) else { return Ok(()) };
        caught(|| handler.handle(request, response))
    }

    /// Queues a request for one of the host's threads.
    #[inline(never)]
    pub(crate) fn leave_to_caller(&self, request: &Request, response: &mut Response) {
        if self.callers.len() >= self.max_queued {
            return self.refuse_queued(request, response);
        }
        match response.defer(request) {
            Ok(exchange) => self.callers.push(exchange),
            Err(error) => self.settle(Err(error), request, response),
        }
    }

    /// Is the host known to answer requests of this route quickly?
    pub(crate) fn is_known_quick(&self, request: &Request) -> bool {
        request.route_number().is_some_and(|route| self.habits.is_known_quick(route))
    }

    /// The answer when max_queued requests are waiting for a thread.
    #[cold]
    pub(crate) fn refuse_queued(&self, request: &Request, response: &mut Response) {
        let why = Error::fixed(Kind::Limit, "as many requests wait for a thread as max_queued allows");
        self.fail(503, why, None, request, response);
    }

    /// Turns the handler's result into an answer that can be sent.
    #[inline]
    pub(crate) fn settle(&self, outcome: Result<()>, request: &Request, response: &mut Response) {
        if outcome.is_err() || !response.is_plain() || request.form_was_read() {
            self.settle_unplain(outcome, request, response);
        }
    }

    #[inline(never)]
    fn settle_unplain(&self, outcome: Result<()>, request: &Request, response: &mut Response) {
        if response.is_deferred() {
            // The exchange's owner answers; the handler's outcome no longer matters.
            if let Err(error) = outcome {
                self.log(Level::Error, || format!("{request:?}: the handler failed after it had deferred: {error}"));
            }
            return;
        }
        if let Some((stream, _)) = response.stream_mut() {
            if let Err(error) = outcome {
                // Passing on the Closed of a write to an answer without body is not a failure.
                if stream.has_no_body() && error.kind() == Kind::Closed {
                    return;
                }
                stream.break_off();
                self.log_failure(request, &error, "the handler failed after the head was sent, the connection is cut");
            }
            return;
        }
        if let Some(why) = request.misread_form() {
            // The handler took a form that could not be read for an empty one.
            return self.refuse_form(why, request, response);
        }
        if let Err(error) = outcome.and_then(|()| self.settle_file(request, response)) {
            if let Some(failure) = request.upload_failure() {
                // The client has caused the failure, so the answer reports it and nothing is logged.
                return self.fail(failure.code, Error::fixed(failure.kind, failure.words), None, request, response);
            }
            self.log_failure(request, &error, "the handler failed");
            let why = Error::fixed(Kind::Invalid, "the handler of this route failed");
            self.fail(500, why, None, request, response);
        }
    }

    fn log_failure(&self, request: &Request, error: &Error, what: &str) {
        if error.kind() != Kind::Closed {
            self.log(Level::Error, || format!("{request:?}: {what}: {error}"));
        }
    }

    /// Applies conditions and ranges to a file that is the answer; they may make it an error answer.
    fn settle_file(&self, request: &Request, response: &mut Response) -> Result<()> {
        if let Some(Instead { code, why, field }) = response.settle(request, false)? {
            self.check(request, response)?;
            self.fail(code, why, None, request, response);
            if let Some((name, value)) = field {
                response.set_header(name, value.as_bytes())?;
            }
        }
        self.check(request, response)
    }

    /// Completes an answer that is given whole: adds headers, runs `after`, compresses, and records it.
    #[inline(always)]
    pub(crate) fn conclude(&self, request: &Request, response: &mut Response) {
        if self.concludes || response.body_len() >= compression::LEAST {
            self.conclude_with(request, response);
        }
    }

    #[inline(never)]
    fn conclude_with(&self, request: &Request, response: &mut Response) {
        if self.hooks.follow() {
            self.dress(request, response);
        }
        if response.body_len() >= compression::LEAST && request.is_parsed() && self.may_compress(response) {
            response.compress(request);
        }
        self.record_whole(request, response);
    }

    /// Adds the headers of policies and runs `after`. If that fails, the answer becomes a 500.
    fn dress(&self, request: &Request, response: &mut Response) {
        self.add_policy_fields(request, response);
        if !request.is_parsed() || self.hooks.after.is_empty() {
            return;
        }
        response.be_whole();
        let outcome = caught(|| self.hooks.run_after(request, response))
            .and_then(|()| response.settle(request, true))
            .and_then(|_| self.check(request, response));
        if let Err(error) = outcome {
            self.log_failure(request, &error, "an after function failed");
            self.fail(500, Error::fixed(Kind::Invalid, "an after function failed"), None, request, response);
            self.add_policy_fields(request, response);
        }
    }

    /// The headers that policies add to an answer to this request, if any.
    pub(crate) fn policy_fields(&self, request: &Request) -> Option<Box<Response>> {
        if !self.hooks.follow() {
            return None;
        }
        let mut response = Response::new();
        self.add_policy_fields(request, &mut response);
        Some(Box::new(response))
    }

    fn add_policy_fields(&self, request: &Request, response: &mut Response) {
        if let Some(quota) = request.quota() {
            for (name, value) in [
                (&b"RateLimit-Limit"[..], u64::from(quota.limit)),
                (b"RateLimit-Remaining", u64::from(quota.remaining)),
                (b"RateLimit-Reset", quota.reset_s),
            ] {
                cannot_fail(response.set_header(name, value.to_string().as_bytes()));
            }
            if !quota.allowed {
                cannot_fail(response.set_header(b"Retry-After", quota.retry_after_s.to_string().as_bytes()));
            }
        }
        if request.is_parsed() {
            self.hooks.add_cors_fields(request, response);
        }
    }

    /// Completes the head of an answer that is written piece by piece.
    ///
    /// Some: the body is to be compressed with this encoder.
    pub(crate) fn dress_stream(&self, request: &Request, response: &mut Response) -> Result<Option<Encoder>> {
        self.add_policy_fields(request, response);
        if !self.hooks.after.is_empty() {
            response.be_whole();
            let outcome = caught(|| self.hooks.run_after(request, response));
            response.be_composed();
            outcome?;
            if let Some(words) = response.take_failure() {
                return Err(Error::invalid(words));
            }
        }
        Ok(if self.may_compress(response) { response.encoder(request) } else { None })
    }

    /// Is compression enabled, and not forbidden by a default Cache-Control? The answer's own Cache-Control replaces the default.
    fn may_compress(&self, response: &Response) -> bool {
        self.compresses && (!self.hooks.forbid_coding() || response.has_header(b"cache-control"))
    }

    /// Writes the end of an answer that was written piece by piece, and records it.
    pub(crate) fn conclude_stream(&self, request: &Request, response: &mut Response, out: &mut Output) {
        let code = response.status();
        let Some((stream, _)) = response.stream_mut() else { return };
        let outcome = stream.finish(out);
        let written = stream.written();
        if let Err(error) = outcome {
            self.log_failure(request, &error, "the connection is cut");
        }
        if self.hooks.on_access.is_some() {
            self.record(request, code, written);
        }
    }

    /// Records an answer that is given whole in the access log.
    pub(crate) fn record_whole(&self, request: &Request, response: &Response) {
        if self.hooks.on_access.is_some() {
            let sent = status::body_rule(response.status()) == BodyRule::Sent && request.known_method() != Method::Head;
            let bytes = if sent { response.body_len() } else { 0 };
            self.record(request, response.status(), bytes);
        }
    }

    /// Is the request needed to log an exchange, or to make an error answer in place of its own?
    pub(crate) fn asks_for(&self, request: &Request) -> bool {
        self.hooks.on_access.is_some() || self.hooks.on_error.is_some() || prefers_json(request)
    }

    /// Records an answer in the access log.
    pub(crate) fn record(&self, request: &Request, status: u16, bytes_out: u64) {
        let Some(on_access) = &self.hooks.on_access else { return };
        let record = AccessRecord {
            method: request.method(),
            target: request.target(),
            route: request.route(),
            remote_address: request.remote_address(),
            user_agent: request.header(b"user-agent"),
            referer: request.header(b"referer"),
            id: request.id(),
            bytes_in: request.len(),
            bytes_out,
            duration_us: request.age().map_or(0, |age| u64::try_from(age.as_micros()).unwrap_or(u64::MAX)),
            time_us: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
            status,
        };
        // A panic in a log function cannot be logged.
        let _ = catch_unwind(AssertUnwindSafe(|| on_access.record(&record)));
    }

    /// Appends the default fields.
    #[inline]
    pub(crate) fn write_default_fields(&self, response: &Response, out: &mut Vec<u8>) {
        self.hooks.write_fields(response, out);
    }

    /// Fails if a setter has failed or the Content-Length is wrong, even though the handler returned OK.
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

    /// Makes `response` the library's own answer for a failure; `on_error` may change it.
    pub(crate) fn fail(&self, code: u16, why: Error, allow: Option<&str>, request: &Request, response: &mut Response) {
        self.own_answer(code, &why, allow, request, response);
        let Some(on_error) = &self.hooks.on_error else { return };
        if let Some((line, _)) = request.line() {
            // on_error may block.
            line.let_go();
        }
        response.be_whole();
        let outcome = caught(|| on_error.shape(&why, request, response))
            .and_then(|()| response.settle(request, true))
            .and_then(|_| self.check(request, response));
        if let Err(error) = outcome {
            self.log_failure(request, &error, "on_error failed");
            self.own_answer(code, &why, allow, request, response);
        }
    }

    fn own_answer(&self, code: u16, why: &Error, allow: Option<&str>, request: &Request, response: &mut Response) {
        let fill = |response: &mut Response| -> Result<()> {
            response.clear_for_error();
            response.set_status(i32::from(code))?;
            if let Some(allow) = allow {
                response.set_header(b"Allow", allow.as_bytes())?;
            }
            if code == 503 {
                response.set_header(b"Retry-After", b"1")?;
            }
            if request.is_parsed() {
                // RFC 9110 12.5.5: the format depends on Accept, and caches must know that.
                response.add_vary(b"Accept");
            }
            if prefers_json(request) {
                response.send_json(error_json(code, why)?.as_bytes())
            } else {
                response.send_text(format!("{code} {}: {why}\n", status::phrase(code)).as_bytes())
            }
        };
        cannot_fail(fill(response));
    }

    /// Passes a message to the host's log function; the text is formatted only if there is such a function.
    pub(crate) fn log(&self, level: Level, words: impl FnOnce() -> String) {
        if let Some(log) = &self.hooks.on_log {
            // A panic in a log function cannot be logged.
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

/// Runs user code, and turns a panic into an error.
fn caught<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(Error::new(Kind::Panic, format!("it panicked: {}", panic_words(&*panic)))))
}

/// A panic's message, if it has one.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Does the client prefer JSON to text? RFC 9110 12.5.1: the greater weight wins; of equal ones, the one named first.
fn prefers_json(request: &Request) -> bool {
    let Some(accept) = request.header_list(b"accept") else { return false };
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

//! Everything around the handlers: middleware, policies by prefix, default header fields, and the callbacks for errors and logs.

use crate::access::AccessLog;
use crate::compression::is_forbidden;
use crate::cors::{Asked, Cors};
use crate::error::{Error, Kind, Result, Shown};
use crate::handler::{Allow, ErrorHandler, Flow, Handler, Log, Middleware, Notify};
use crate::http::encoder;
use crate::http::headers::{is, is_token, is_value, trim};
use crate::prefix::Prefix;
use crate::rate_limit::{RateLimit, Verdict};
use crate::request::{Peer, Request};
use crate::response::{Response, cannot_fail};
use crate::router::Found;
use crate::text::Text;

/// Everything registered around the routes. Read only from start on.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) middleware: Vec<(Prefix, Box<dyn Middleware>)>,
    pub(crate) after: Vec<(Prefix, Box<dyn Handler>)>,
    cors: Vec<(Prefix, Cors)>,
    limits: Vec<Limit>,
    fields: Vec<Field>,
    pub(crate) on_error: Option<Box<dyn ErrorHandler>>,
    pub(crate) on_log: Option<Box<dyn Log>>,
    pub(crate) on_access: Option<Box<dyn AccessLog>>,
    pub(crate) on_thread: Option<Box<dyn Notify>>,
}

struct Limit {
    prefix: Prefix,
    judge: Judge,
}

/// Decides whether an address has exceeded its rate.
enum Judge {
    Buckets(RateLimit),
    /// A callback of the host; the rate per minute is for the headers of refused requests.
    Hook(Box<dyn Allow>, u32),
}

/// A field of every answer.
struct Field {
    name: Vec<u8>,
    line: Vec<u8>,
}

/// Security headers that suit most sites, and that current browsers honour.
const SECURE_FIELDS: [(&[u8], &[u8]); 5] = [
    // Browsers do not guess another type from the content.
    (b"X-Content-Type-Options", b"nosniff"),
    // Against clickjacking: pages of other origins cannot show this one in a frame.
    (b"X-Frame-Options", b"SAMEORIGIN"),
    // Other sites see the origin that a visitor comes from, not the page.
    (b"Referrer-Policy", b"strict-origin-when-cross-origin"),
    // A page of another origin that opens this one in a window has no access to it.
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    // Plug-ins look for a cross-domain policy file; there is none.
    (b"X-Permitted-Cross-Domain-Policies", b"none"),
];

/// Registration, before start.
impl Hooks {
    pub(crate) fn add_cors(&mut self, prefix: Prefix, cors: Cors) -> Result<()> {
        if self.cors.iter().any(|(known, _)| *known == prefix) {
            return Err(Error::invalid(format!("prefix \"{}\" has a CORS policy already", Shown(prefix.as_str().as_bytes()))));
        }
        // Only the longest prefix applies, so it must be found first.
        let place = self.cors.partition_point(|(other, _)| other.depth() >= prefix.depth());
        self.cors.insert(place, (prefix, cors));
        Ok(())
    }

    /// Takes `allow` on success only.
    pub(crate) fn add_limit(&mut self, prefix: Prefix, per_minute: u32, burst: u32, allow: &mut Option<Box<dyn Allow>>) -> Result<()> {
        let buckets = RateLimit::new(per_minute, burst)?;
        let judge = allow.take().map_or(Judge::Buckets(buckets), |allow| Judge::Hook(allow, per_minute));
        self.limits.push(Limit { prefix, judge });
        Ok(())
    }

    pub(crate) fn add_field(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        if !is_token(name) {
            return Err(Error::invalid(format!("header name \"{}\" is not a token: letters, digits and !#$%&'*+-.^_`|~", Shown(name))));
        }
        if !is_value(value) {
            let words = format!("header {} = \"{}\": a value must not hold control characters", Shown(name), Shown(value));
            return Err(Error::invalid(words));
        }
        for managed in ["Date", "Transfer-Encoding", "Content-Length", "Connection", "Server", "Content-Type"] {
            if name.eq_ignore_ascii_case(managed.as_bytes()) {
                return Err(Error::invalid(format!("header {managed} cannot be the same on every answer; the server itself sets it")));
            }
        }
        let mut line = Vec::new();
        encoder::field(name, trim(value), &mut line);
        self.fields.push(Field { name: name.to_vec(), line });
        Ok(())
    }

    pub(crate) fn add_secure_fields(&mut self) -> Result<()> {
        for (name, value) in SECURE_FIELDS {
            if !self.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name)) {
                self.add_field(name, value)?;
            }
        }
        Ok(())
    }
}

/// The work done for each request.
impl Hooks {
    /// Is there middleware for this request?
    pub(crate) fn has_middleware(&self, request: &Request) -> bool {
        self.middleware.iter().any(|(prefix, _)| prefix.matches(request.routed_path()))
    }

    /// Runs middleware, in the order of registration, until one has answered.
    pub(crate) fn pass(&self, request: &Request, response: &mut Response) -> Result<Flow> {
        for (_, middleware) in self.middleware.iter().filter(|(prefix, _)| prefix.matches(request.routed_path())) {
            if middleware.pass(request, response)? == Flow::Done {
                return Ok(Flow::Done);
            }
            // At once, since the next one may defer the answer.
            response.keep_headers();
        }
        Ok(Flow::Next)
    }

    /// Runs the `after` functions, in the reverse order of registration.
    pub(crate) fn run_after(&self, request: &Request, response: &mut Response) -> Result<()> {
        for (prefix, after) in self.after.iter().rev() {
            if prefix.matches(request.routed_path()) {
                after.handle(request, response)?;
            }
        }
        Ok(())
    }

    fn cors_of(&self, request: &Request) -> Option<&Cors> {
        let path = request.routed_path();
        self.cors.iter().find(|(prefix, _)| prefix.matches(path)).map(|(_, cors)| cors)
    }

    /// Answers a preflight. False: the request is not a preflight, or a route for OPTIONS answers it.
    pub(crate) fn answer_preflight(&self, found: &Found<'_>, method: &str, request: &mut Request, response: &mut Response) -> bool {
        if self.cors.is_empty() || request.method() != "OPTIONS" || method == "OPTIONS" {
            return false;
        }
        let (Some(origin), Some(asked)) = (only_origin(request), request.header(b"access-control-request-method")) else {
            return false;
        };
        let Some(cors) = self.cors_of(request) else { return false };
        let text = |name: &[u8]| request.header(name).map_or(&b""[..], |text| text.bytes());
        let asked = Asked {
            origin: origin.bytes(),
            method: asked.bytes(),
            headers: text(b"access-control-request-headers"),
            private_network: text(b"access-control-request-private-network"),
        };
        let methods = match found {
            Found::Route(_) => "*".to_owned(),
            Found::MethodNotAllowed(allow) => allow.to_string(),
            Found::NotFound | Found::BadPath => String::new(),
        };
        let mut set = |name: &'static [u8], value: &[u8]| cannot_fail(response.add_header(name, value));
        cors.preflight(&asked, &methods, &mut set);
        cannot_fail(response.set_status(204));
        request.set_preflight();
        true
    }

    /// Adds the CORS headers that the policy prescribes, unless the handler has set its own.
    pub(crate) fn add_cors_fields(&self, request: &Request, response: &mut Response) {
        if self.cors.is_empty() || request.is_preflight() {
            return;
        }
        let Some(cors) = self.cors_of(request) else { return };
        let origin = only_origin(request);
        // A handler that sets Access-Control-Allow-Origin overrides the policy; but Vary is needed in any case.
        let own = response.header(b"access-control-allow-origin").is_some();
        cors.answer(origin.map(|origin| origin.bytes()), &mut |name, value| {
            if name == b"Vary" {
                response.add_vary(value);
            } else if !own {
                cannot_fail(response.add_header(name, value));
            }
        });
    }

    /// Takes a token from each limit whose prefix matches the request, up to the first that refuses. Returns the strictest verdict.
    pub(crate) fn take_token(&self, request: &Request, now_ms: impl FnOnce() -> u64) -> Option<Verdict> {
        if self.limits.is_empty() {
            return None;
        }
        let now = now_ms();
        let mut tightest: Option<Verdict> = None;
        for limit in self.limits.iter().filter(|limit| limit.prefix.matches(request.routed_path())) {
            let Some(verdict) = limit.take(request, now) else { continue };
            if tightest.is_none_or(|known| (verdict.allowed, verdict.remaining) < (known.allowed, known.remaining)) {
                tightest = Some(verdict);
            }
            if !verdict.allowed {
                break;
            }
        }
        tightest
    }

    /// Appends the default fields, except those that this answer sets itself.
    pub(crate) fn write_fields(&self, response: &Response, out: &mut Vec<u8>) {
        for field in &self.fields {
            // RFC 9110 12.5.5: Vary lists what an answer depends on, so a Vary of this answer adds to the default one.
            if is(&field.name, b"vary") || !response.has_header(&field.name) {
                out.extend_from_slice(&field.line);
            }
        }
    }

    /// Do the default fields forbid compression?
    pub(crate) fn forbid_coding(&self) -> bool {
        // A line is `name: value\r\n`.
        self.fields.iter().any(|Field { name, line }| is(name, b"cache-control") && is_forbidden(&line[name.len() + 2..line.len() - 2]))
    }

    /// Is there anything to do before a handler?
    pub(crate) fn intercept(&self) -> bool {
        !(self.middleware.is_empty() && self.cors.is_empty() && self.limits.is_empty())
    }

    /// Is there anything to do after a handler?
    pub(crate) fn follow(&self) -> bool {
        !(self.after.is_empty() && self.cors.is_empty() && self.limits.is_empty())
    }
}

/// The value of the Origin header; None if there are several, since none of them can be trusted.
fn only_origin(request: &Request) -> Option<Text<'_>> {
    let fields = (0..request.header_count()).filter_map(|index| request.header_at(index));
    let mut origins = fields.filter(|(name, _)| name.eq_ignore_ascii_case(b"origin")).map(|(_, value)| value);
    origins.next().filter(|_| origins.next().is_none())
}

impl Limit {
    /// None: the host's function has allowed the request, and provides no numbers for the headers.
    fn take(&self, request: &Request, now_ms: u64) -> Option<Verdict> {
        let (allow, per_minute) = match (&self.judge, request.peer()) {
            (Judge::Buckets(buckets), Peer::Ip(ip)) => return Some(buckets.take(Some(ip), now_ms)),
            (Judge::Buckets(buckets), Peer::Unix) => return Some(buckets.take(None, now_ms)),
            (Judge::Hook(allow, per_minute), _) => (allow, *per_minute),
        };
        if allow.allow(request.remote_address()) {
            return None;
        }
        let next_s = u64::from(60u32.div_ceil(per_minute));
        Some(Verdict { allowed: false, limit: per_minute, remaining: 0, reset_s: next_s, retry_after_s: next_s })
    }
}

/// Why a request beyond the rate limit is refused.
pub(crate) const TOO_MANY: Error =
    Error::fixed(Kind::Limit, "this address sends more requests than the rate limit allows; Retry-After says when to try again");

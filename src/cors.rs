//! CORS: which pages of other origins may read answers, by the Fetch standard (<https://fetch.spec.whatwg.org/>).
//!
//! The browser decides; a server only says what it allows. It says so in answers, and beforehand in the answer to a
//! preflight: an OPTIONS request that asks for a method and for headers which a page could not send without CORS.

#![forbid(unsafe_code)]

use crate::error::{Error, Result, Shown};
use crate::http::headers::{is_token, list};
use memchr::memchr;
use std::net::Ipv6Addr;

/// A day: no browser caches the answer to a preflight for longer.
const DAY_S: u32 = 24 * 60 * 60;

/// What pages of other origins may do. The default suits a public API without cookies: any origin, the methods
/// that the path has, and the headers that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOptions {
    /// The allowed origins, `["*"]` by default: `*` is any; `https://example.org` or `http://localhost:8080` is that one;
    /// `https://*.example.org` all subdomains at any depth, without the domain itself; `null` stands for local files and
    /// sandboxed frames, so anyone can send it.
    pub origins: Vec<String>,
    /// The methods that are allowed, whatever the path has; `*` among them is any. None: those that the path has.
    /// GET, HEAD and POST can always be sent.
    pub methods: Option<Vec<String>>,
    /// The request headers that are allowed; `*` among them is any. None: those that are asked for, which is the same.
    pub headers: Option<Vec<String>>,
    /// The headers of answers that scripts may read besides the common ones; `*` is all of them.
    pub expose: Vec<String>,
    /// For how many seconds browsers may cache the answer to a preflight: 86400, a day, by default. 0 disables caching.
    pub max_age_s: u32,
    /// Pages may send cookies and read the answers. Requires a list of origins: `*` is refused.
    pub credentials: bool,
    /// Public web pages may reach this server in a private network.
    pub private_network: bool,
}

impl Default for CorsOptions {
    fn default() -> CorsOptions {
        CorsOptions {
            origins: vec!["*".to_owned()],
            methods: None,
            headers: None,
            expose: Vec::new(),
            max_age_s: DAY_S,
            credentials: false,
            private_network: false,
        }
    }
}

impl CorsOptions {
    /// Options from comma-separated lists; None means the default, and an empty text an empty list.
    ///
    /// ```
    /// use hasty::CorsOptions;
    ///
    /// let options = CorsOptions::from_lists(Some("https://example.org, https://*.example.org"), None, None, Some("ETag"));
    /// assert_eq!(options.origins, ["https://example.org", "https://*.example.org"]);
    /// assert_eq!((options.methods, options.expose), (None, vec!["ETag".to_owned()]));
    /// ```
    pub fn from_lists(origins: Option<&str>, methods: Option<&str>, headers: Option<&str>, expose: Option<&str>) -> CorsOptions {
        let default = CorsOptions::default();
        CorsOptions {
            origins: origins.map_or(default.origins, members),
            methods: methods.map(members),
            headers: headers.map(members),
            expose: expose.map_or(default.expose, members),
            ..default
        }
    }
}

/// One policy, validated, with its header values composed in advance.
pub(crate) struct Cors {
    origins: Origins,
    methods: Methods,
    headers: Headers,
    /// Empty: none.
    expose: String,
    max_age: String,
    credentials: bool,
    private_network: bool,
    /// What the answer to a preflight depends on.
    preflight_vary: String,
}

/// The request headers of a preflight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Origin.
    pub(crate) origin: &'a [u8],
    /// Access-Control-Request-Method.
    pub(crate) method: &'a [u8],
    /// Access-Control-Request-Headers; empty if there is none.
    pub(crate) headers: &'a [u8],
    /// Access-Control-Request-Private-Network; empty if there is none.
    pub(crate) private_network: &'a [u8],
}

enum Origins {
    Any,
    Listed { null: bool, sites: Vec<Site> },
}

enum Methods {
    OfPath,
    Asked,
    /// Empty: none.
    Listed(String),
}

enum Headers {
    Asked,
    /// Empty: none.
    Listed(String),
}

impl Cors {
    /// Checks the options; the message names the value and the rule that it breaks.
    pub(crate) fn new(options: &CorsOptions) -> Result<Cors> {
        let origins = Origins::new(&options.origins)?;
        // The standard, CORS protocol and credentials: where credentials are sent, `*` in Access-Control-Allow-Origin and
        // in Access-Control-Expose-Headers is no wildcard.
        if options.credentials && matches!(origins, Origins::Any) {
            return Err(Error::invalid("origins \"*\": a policy with credentials lists its origins, since browsers refuse any"));
        }
        if options.credentials && options.expose.iter().any(|name| name == "*") {
            return Err(Error::invalid("expose \"*\": a policy with credentials lists the headers it exposes, since browsers refuse any"));
        }
        check_names("method", options.methods.as_deref().unwrap_or_default())?;
        check_names("header", options.headers.as_deref().unwrap_or_default())?;
        check_names("exposed header", &options.expose)?;
        let headers = Headers::new(options.headers.as_deref());
        let preflight_vary = preflight_vary(&headers, options.private_network);
        Ok(Cors {
            origins,
            methods: Methods::new(options.methods.as_deref()),
            headers,
            expose: options.expose.join(", "),
            max_age: options.max_age_s.to_string(),
            credentials: options.credentials,
            private_network: options.private_network,
            preflight_vary,
        })
    }

    /// Passes each header of a preflight's answer, which is a 204, to `set`.
    ///
    /// `path_methods` is the Allow value of the requested path; `*` in it is any method. An origin that is not allowed gets
    /// no CORS headers, so the browser refuses. Methods and headers that are not allowed are merely absent from the lists:
    /// then the browser can report which of them are missing.
    pub(crate) fn preflight(&self, asked: &Asked<'_>, path_methods: &str, set: &mut dyn FnMut(&'static [u8], &[u8])) {
        set(b"Vary", self.preflight_vary.as_bytes());
        if !self.allow(Some(asked.origin), set) {
            return;
        }
        if let Some(methods) = self.methods.allowed(asked.method, path_methods) {
            set(b"Access-Control-Allow-Methods", methods);
        }
        if let Some(headers) = self.headers.allowed(asked.headers) {
            set(b"Access-Control-Allow-Headers", headers);
        }
        set(b"Access-Control-Max-Age", self.max_age.as_bytes());
        // Private Network Access 3.1: the request says `true`, and so does the answer of a server that agrees.
        if self.private_network && asked.private_network == b"true" {
            set(b"Access-Control-Allow-Private-Network", b"true");
        }
    }

    /// Passes each header to add to any other answer, whatever its status, to `set`.
    ///
    /// `origin` is the request's Origin; None if it has none or several.
    pub(crate) fn answer(&self, origin: Option<&[u8]>, set: &mut dyn FnMut(&'static [u8], &[u8])) {
        // The standard, CORS protocol and HTTP caches: an answer that is the same for all origins has its headers even for
        // a request without Origin, and no Vary. Otherwise every answer has Vary, even if the origin is absent or not
        // allowed: else a cache could serve that answer, which lacks the headers, to an origin that is allowed.
        if let Origins::Listed { .. } = self.origins {
            set(b"Vary", b"Origin");
        }
        if self.allow(origin, set) && !self.expose.is_empty() {
            set(b"Access-Control-Expose-Headers", self.expose.as_bytes());
        }
    }

    /// Sets the headers that every answer to an allowed origin has. False: the origin is not allowed.
    fn allow(&self, origin: Option<&[u8]>, set: &mut dyn FnMut(&'static [u8], &[u8])) -> bool {
        let Some(value) = self.origins.allowed(origin) else { return false };
        set(b"Access-Control-Allow-Origin", value);
        if self.credentials {
            // The standard, 3.3.3: the only value is `true`, case-sensitive.
            set(b"Access-Control-Allow-Credentials", b"true");
        }
        true
    }
}

impl Origins {
    fn new(texts: &[String]) -> Result<Origins> {
        if texts.is_empty() {
            return Err(Error::invalid("origins: the list is empty; \"*\" is any origin"));
        }
        let (mut any, mut null, mut sites) = (false, false, Vec::new());
        for text in texts {
            match text.as_str() {
                "*" => any = true,
                "null" => null = true,
                _ => sites.push(Site::new(text).map_err(|rule| broken("origin", text, rule))?),
            }
        }
        Ok(if any { Origins::Any } else { Origins::Listed { null, sites } })
    }

    /// The value of Access-Control-Allow-Origin, if it has one.
    ///
    /// The standard, CORS check: the browser compares it byte by byte with the origin that it sent, so that is echoed.
    fn allowed<'a>(&self, origin: Option<&'a [u8]>) -> Option<&'a [u8]> {
        let Origins::Listed { null, sites } = self else { return Some(b"*") };
        let origin = origin?;
        let listed = match origin {
            b"null" => *null,
            _ => Origin::parse(origin).is_ok_and(|origin| sites.iter().any(|site| site.contains(&origin))),
        };
        listed.then_some(origin)
    }
}

impl Methods {
    fn new(methods: Option<&[String]>) -> Methods {
        match methods {
            None => Methods::OfPath,
            Some(methods) if methods.iter().any(|method| method == "*") => Methods::Asked,
            Some(methods) => Methods::Listed(methods.iter().map(|method| normalized(method)).collect::<Vec<_>>().join(", ")),
        }
    }

    /// The value of Access-Control-Allow-Methods, if it has one.
    fn allowed<'a>(&'a self, asked: &'a [u8], path_methods: &'a str) -> Option<&'a [u8]> {
        // The method itself instead of `*`, which is a wildcard only without credentials.
        let echo = is_token(asked).then_some(asked);
        let listed = match self {
            Methods::OfPath if list(path_methods.as_bytes()).any(|method| method == b"*") => return echo,
            Methods::OfPath => path_methods,
            Methods::Asked => return echo,
            Methods::Listed(methods) => methods,
        };
        (!listed.is_empty()).then_some(listed.as_bytes())
    }
}

impl Headers {
    fn new(headers: Option<&[String]>) -> Headers {
        match headers {
            Some(names) if !names.iter().any(|name| name == "*") => Headers::Listed(names.join(", ")),
            _ => Headers::Asked,
        }
    }

    /// The value of Access-Control-Allow-Headers, if it has one.
    fn allowed<'a>(&'a self, asked: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            // Their names instead of `*`, which is a wildcard only without credentials, and never for Authorization.
            Headers::Asked => (list(asked).next().is_some() && list(asked).all(is_token)).then_some(asked),
            Headers::Listed(names) => (!names.is_empty()).then_some(names.as_bytes()),
        }
    }
}

/// An entry of the list: one allowed origin, or all subdomains of a domain.
struct Site {
    scheme: Box<[u8]>,
    host: Named,
    port: Option<u16>,
}

enum Named {
    Host(Box<[u8]>),
    /// The domain with a leading dot.
    Below(Box<[u8]>),
    V6(Ipv6Addr),
}

/// A serialized origin (RFC 6454 6.2), parsed: scheme, host and port of `https://example.org:8443`.
#[derive(Debug, PartialEq)]
struct Origin<'a> {
    scheme: &'a [u8],
    host: Host<'a>,
    /// RFC 6454 4: defaults to the scheme's port. None: the scheme has no known default.
    port: Option<u16>,
}

#[derive(Debug, PartialEq)]
enum Host<'a> {
    Name(&'a [u8]),
    V6(Ipv6Addr),
}

/// The rule that a text breaks.
type Rule = &'static str;

const FORM: Rule = "an origin is scheme://host or scheme://host:port";

impl Site {
    fn new(text: &str) -> std::result::Result<Site, Rule> {
        let (plain, below) = match text.split_once("://*.") {
            Some((scheme, domain)) => (format!("{scheme}://{domain}"), true),
            None => (text.to_owned(), false),
        };
        if plain.contains('*') {
            return Err("'*' stands alone for any origin, or for all subdomains as in https://*.example.org");
        }
        let Origin { scheme, host, port } = Origin::parse(plain.as_bytes())?;
        let host = match host {
            Host::Name(domain) if below => Named::Below([b".", domain].concat().into()),
            Host::Name(name) => Named::Host(name.into()),
            Host::V6(_) if below => return Err("an address has no subdomains"),
            Host::V6(address) => Named::V6(address),
        };
        Ok(Site { scheme: scheme.into(), host, port })
    }

    /// RFC 6454 5: two origins are the same if their schemes, hosts and ports are; section 4 has scheme and host without case.
    fn contains(&self, origin: &Origin<'_>) -> bool {
        let same_host = match (&self.host, &origin.host) {
            (Named::Host(own), Host::Name(name)) => own.eq_ignore_ascii_case(name),
            // No label of a host is empty, so what precedes the dot is a subdomain.
            (Named::Below(domain), Host::Name(name)) => {
                name.len() > domain.len() && name[name.len() - domain.len()..].eq_ignore_ascii_case(domain)
            }
            (Named::V6(own), Host::V6(address)) => own == address,
            _ => false,
        };
        same_host && self.port == origin.port && self.scheme.eq_ignore_ascii_case(origin.scheme)
    }
}

impl<'a> Origin<'a> {
    /// Parses an origin strictly: it is echoed in a header, and nothing after the host may pass for part of a domain.
    fn parse(text: &'a [u8]) -> std::result::Result<Origin<'a>, Rule> {
        let (scheme, rest) = text.split_at(memchr(b':', text).ok_or(FORM)?);
        let authority = rest.strip_prefix(b"://").ok_or(FORM)?;
        if !is_scheme(scheme) {
            return Err("a scheme is a letter, then letters, digits, '+', '-' and '.'");
        }
        if authority.iter().any(|b| matches!(b, b'/' | b'?' | b'#')) {
            return Err("an origin ends with its host or port: no slash, no path, no query");
        }
        if authority.contains(&b'@') {
            return Err("an origin names no user");
        }
        let (host, port) = split_host(authority)?;
        let port = match port {
            Some(digits) => Some(parse_port(digits)?),
            None => default_port(scheme),
        };
        Ok(Origin { scheme, host, port })
    }
}

/// RFC 3986 3.1.
fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Splits an authority into the host and the text after the colon, if there is one.
fn split_host(authority: &[u8]) -> std::result::Result<(Host<'_>, Option<&[u8]>), Rule> {
    if let Some(inside) = authority.strip_prefix(b"[") {
        let rule = "an address of IPv6 stands in brackets, as in http://[::1]:8080";
        let (address, rest) = inside.split_at(memchr(b']', inside).ok_or(rule)?);
        let address = std::str::from_utf8(address).ok().and_then(|text| text.parse().ok()).ok_or(rule)?;
        return match &rest[1..] {
            [] => Ok((Host::V6(address), None)),
            [b':', port @ ..] => Ok((Host::V6(address), Some(port))),
            _ => Err(rule),
        };
    }
    let (host, port) = authority.split_at(memchr(b':', authority).unwrap_or(authority.len()));
    check_host(host)?;
    Ok((Host::Name(host), port.strip_prefix(b":")))
}

fn check_host(host: &[u8]) -> std::result::Result<(), Rule> {
    if host.is_empty() {
        return Err("a host is missing; pages without one have the origin null");
    }
    if !host.is_ascii() {
        return Err("a name beyond ASCII is written as browsers send it: xn--...");
    }
    let is_label = |label: &[u8]| !label.is_empty() && label.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if host.split(|&b| b == b'.').all(is_label) { Ok(()) } else { Err("a host is letters, digits, '-' and '_' between single dots") }
}

fn parse_port(digits: &[u8]) -> std::result::Result<u16, Rule> {
    let rule = "a port is a number from 0 to 65535";
    // Otherwise "+80" would be accepted.
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(rule);
    }
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(rule)
}

/// The URL standard, special scheme: the port that is omitted when it is the scheme's default.
fn default_port(scheme: &[u8]) -> Option<u16> {
    let is = |name: &[u8]| scheme.eq_ignore_ascii_case(name);
    match () {
        () if is(b"http") || is(b"ws") => Some(80),
        () if is(b"https") || is(b"wss") => Some(443),
        () => None,
    }
}

/// The Fetch standard, normalize a method: browsers send these six in capitals, however the page writes them.
fn normalized(method: &str) -> String {
    let capitals = method.to_ascii_uppercase();
    if matches!(&*capitals, "DELETE" | "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT") { capitals } else { method.to_owned() }
}

/// The request fields that the answer to a preflight depends on: always Origin and Access-Control-Request-Method, which
/// make a request a preflight; others only if the policy evaluates them.
fn preflight_vary(headers: &Headers, private_network: bool) -> String {
    let mut vary = "Origin, Access-Control-Request-Method".to_owned();
    if matches!(headers, Headers::Asked) {
        vary += ", Access-Control-Request-Headers";
    }
    if private_network {
        vary += ", Access-Control-Request-Private-Network";
    }
    vary
}

/// Methods and names of headers are tokens, and so is `*`.
fn check_names(what: &str, names: &[String]) -> Result<()> {
    match names.iter().find(|name| !is_token(name.as_bytes())) {
        Some(name) => Err(broken(what, name, "it is not a token: letters, digits and !#$%&'*+-.^_`|~ only")),
        None => Ok(()),
    }
}

fn broken(what: &str, value: &str, rule: Rule) -> Error {
    Error::invalid(format!("{what} \"{}\": {rule}", Shown(value.as_bytes())))
}

fn members(text: &str) -> Vec<String> {
    text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn with_origins(origins: &[&str]) -> CorsOptions {
        CorsOptions { origins: strings(origins), ..CorsOptions::default() }
    }

    fn cors(options: &CorsOptions) -> Cors {
        Cors::new(options).unwrap()
    }

    fn refusal(options: &CorsOptions) -> String {
        let error = Cors::new(options).err().unwrap_or_else(|| panic!("{options:?} is no policy"));
        assert_eq!(error.kind(), Kind::Invalid);
        error.to_string()
    }

    /// The headers that were set, one per line.
    fn lines(give: impl FnOnce(&mut dyn FnMut(&'static [u8], &[u8]))) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        give(&mut |name, value| {
            let name = format!("{}: ", name.escape_ascii());
            assert!(!lines.iter().any(|line| line.starts_with(&name)), "{name} is set once");
            lines.push(format!("{name}{}", value.escape_ascii()));
        });
        lines
    }

    fn answer(options: &CorsOptions, origin: Option<&str>) -> Vec<String> {
        lines(|set| cors(options).answer(origin.map(str::as_bytes), set))
    }

    /// Would a browser let a page of this origin read the answer?
    fn passes(policy: &Cors, origin: &str) -> bool {
        let lines = lines(|set| policy.answer(Some(origin.as_bytes()), set));
        let vary = lines.iter().any(|line| line == "Vary: Origin");
        assert_eq!(vary, matches!(policy.origins, Origins::Listed { .. }));
        let allowed = lines.iter().find_map(|line| line.strip_prefix("Access-Control-Allow-Origin: "));
        assert!(allowed.is_none_or(|value| value == "*" || value == origin));
        allowed.is_some()
    }

    const ASKED: Asked<'static> = Asked { origin: b"https://a.example", method: b"PUT", headers: b"", private_network: b"" };

    fn preflight(options: &CorsOptions, asked: Asked<'_>, path_methods: &str) -> Vec<String> {
        lines(|set| cors(options).preflight(&asked, path_methods, set))
    }

    /// The value of one header of a preflight's answer.
    fn preflight_value(options: &CorsOptions, asked: Asked<'_>, path_methods: &str, name: &str) -> Option<String> {
        let name = format!("{name}: ");
        preflight(options, asked, path_methods).iter().find_map(|line| line.strip_prefix(&name).map(str::to_owned))
    }

    #[test]
    fn by_default_any_page_may_read_answers_without_credentials() {
        // The same for all origins, so that a cache may share it.
        for origin in [Some("https://a.example"), Some("null"), Some("nonsense"), Some(""), None] {
            assert_eq!(answer(&CorsOptions::default(), origin), ["Access-Control-Allow-Origin: *"], "{origin:?}");
        }
    }

    #[test]
    fn by_default_a_preflight_allows_the_methods_of_the_path_and_the_headers_asked_for_for_a_day() {
        let asked = Asked { headers: b"authorization,content-type,x-a", ..ASKED };
        assert_eq!(
            preflight(&CorsOptions::default(), asked, "GET, HEAD, OPTIONS, PUT"),
            [
                "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
                "Access-Control-Allow-Origin: *",
                "Access-Control-Allow-Methods: GET, HEAD, OPTIONS, PUT",
                "Access-Control-Allow-Headers: authorization,content-type,x-a",
                "Access-Control-Max-Age: 86400",
            ]
        );
    }

    #[test]
    fn a_full_policy_says_all_of_it() {
        let options = CorsOptions {
            origins: strings(&["https://a.example", "https://b.example"]),
            methods: Some(strings(&["GET", "PUT"])),
            headers: Some(strings(&["Content-Type", "X-A"])),
            expose: strings(&["ETag", "X-B"]),
            max_age_s: 600,
            credentials: true,
            private_network: true,
        };
        let asked = Asked { headers: b"x-a", private_network: b"true", ..ASKED };
        assert_eq!(
            preflight(&options, asked, "GET, HEAD, OPTIONS"),
            [
                "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Private-Network",
                "Access-Control-Allow-Origin: https://a.example",
                "Access-Control-Allow-Credentials: true",
                "Access-Control-Allow-Methods: GET, PUT",
                "Access-Control-Allow-Headers: Content-Type, X-A",
                "Access-Control-Max-Age: 600",
                "Access-Control-Allow-Private-Network: true",
            ]
        );
        assert_eq!(
            answer(&options, Some("https://b.example")),
            [
                "Vary: Origin",
                "Access-Control-Allow-Origin: https://b.example",
                "Access-Control-Allow-Credentials: true",
                "Access-Control-Expose-Headers: ETag, X-B",
            ]
        );
    }

    #[test]
    fn an_origin_that_is_not_allowed_learns_nothing_and_caches_learn_why() {
        let options = CorsOptions {
            expose: strings(&["ETag"]),
            credentials: true,
            private_network: true,
            methods: Some(strings(&["PUT"])),
            ..with_origins(&["https://a.example"])
        };
        for origin in [Some("https://b.example"), Some("null"), Some(""), Some("*"), None] {
            assert_eq!(answer(&options, origin), ["Vary: Origin"], "{origin:?}");
        }
        for origin in [&b"https://b.example"[..], b"null", b"", b"*", b"https://a.example.", b"https://a.example https://b.example"] {
            let asked = Asked { origin, headers: b"x-a", private_network: b"true", ..ASKED };
            let vary =
                "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network";
            assert_eq!(preflight(&options, asked, "GET, PUT"), [vary], "{}", origin.escape_ascii());
        }
    }

    #[test]
    fn scheme_host_and_port_are_compared() {
        for (listed, origin, allowed) in [
            ("https://a.example", "https://a.example", true),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://b.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example", "https://aa.example", false),
            ("https://a.example", "https://a.example.org", false),
            ("https://a.example", "https://x.a.example", false),
            ("https://a.example", "https://axexample", false),
            ("https://a.example", "a.example", false),
            ("https://a.example", "null", false),
            // Case-insensitive, and echoed as received.
            ("https://a.example", "HTTPS://A.Example", true),
            ("HTTPS://A.Example", "https://a.example", true),
            // A default port may be written or omitted.
            ("https://a.example", "https://a.example:443", true),
            ("https://a.example:443", "https://a.example", true),
            ("http://a.example:80", "http://a.example", true),
            ("http://a.example:443", "http://a.example", false),
            ("http://a.example:443", "https://a.example", false),
            ("http://localhost:8080", "http://localhost:8080", true),
            ("http://localhost:8080", "http://localhost:8081", false),
            ("http://localhost:8080", "http://localhost", false),
            ("http://localhost:8080", "http://localhost:80800", false),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000", true),
            ("http://[::1]:3000", "http://[::1]:3000", true),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]", true),
            ("http://[::1]", "http://[::2]", false),
            ("http://[::1]", "http://::1", false),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh", true),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgi", false),
            ("app+x.y-z://host", "app+x.y-z://host", true),
            ("app://host", "app://host:1", false),
            ("app://host:1", "app://host", false),
            ("https://xn--mller-kva.example", "https://xn--mller-kva.example", true),
            ("https://a_b.example", "https://a_b.example", true),
        ] {
            assert_eq!(passes(&cors(&with_origins(&[listed])), origin), allowed, "{listed} {origin}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_subdomains_of_any_depth() {
        for (listed, origin, allowed) in [
            ("https://*.example.org", "https://a.example.org", true),
            ("https://*.example.org", "https://a.b.c.example.org", true),
            ("https://*.example.org", "HTTPS://A.EXAMPLE.ORG", true),
            ("https://*.Example.org", "https://a.example.org", true),
            ("https://*.example.org", "https://a.example.org:443", true),
            ("https://*.example.org:443", "https://a.example.org", true),
            ("https://*.example.org:8443", "https://a.example.org:8443", true),
            ("http://*.localhost:3000", "http://a.localhost:3000", true),
            ("https://*.example.org", "https://example.org", false),
            ("https://*.example.org", "https://.example.org", false),
            ("https://*.example.org", "https://a..example.org", false),
            ("https://*.example.org", "https://evilexample.org", false),
            ("https://*.example.org", "https://example.org.evil.test", false),
            ("https://*.example.org", "https://a.example.org.evil.test", false),
            ("https://*.example.org", "http://a.example.org", false),
            ("https://*.example.org", "https://a.example.org:8443", false),
            ("https://*.example.org:8443", "https://a.example.org", false),
            ("https://*.example.org:8443", "https://a.example.org:8444", false),
            // Hosts that only appear to end with the domain.
            ("https://*.example.org", "https://evil.test/.example.org", false),
            ("https://*.example.org", "https://evil.test?.example.org", false),
            ("https://*.example.org", "https://evil.test#.example.org", false),
            ("https://*.example.org", "https://evil.test\\.example.org", false),
            ("https://*.example.org", "https://evil.test:443.example.org", false),
            ("https://*.example.org", "https://evil.test:80@a.example.org", false),
            ("https://*.example.org", "https://evil.test%2F.example.org", false),
            ("https://*.example.org", "https://evil.test https://a.example.org", false),
            ("https://*.example.org", "https://evil.test,https://a.example.org", false),
            ("https://*.example.org", "https://*.example.org", false),
            ("https://*.example.org", "https://a.example.org.", false),
            ("https://*.example.org", "https://[::1].example.org", false),
            ("https://*.example.org", " https://a.example.org", false),
            ("https://*.example.org", "https://a.example.org\t", false),
            ("https://*.example.org", "https://a.example.org\r\nX: y", false),
            ("https://*.example.org", "https://\u{e9}.example.org", false),
        ] {
            assert_eq!(passes(&cors(&with_origins(&[listed])), origin), allowed, "{listed} {origin}");
        }
    }

    #[test]
    fn any_of_a_list_is_allowed() {
        let policy = cors(&with_origins(&["https://a.example", "https://*.b.example", "http://localhost:1", "null"]));
        for origin in ["https://a.example", "https://x.b.example", "http://localhost:1", "null"] {
            assert!(passes(&policy, origin), "{origin}");
        }
        for origin in ["https://b.example", "http://localhost", "NULL", "Null", "null ", ""] {
            assert!(!passes(&policy, origin), "{origin:?}");
        }
    }

    #[test]
    fn null_is_allowed_only_if_it_is_listed() {
        assert!(!passes(&cors(&with_origins(&["https://a.example", "https://*.example"])), "null"));
        assert!(passes(&cors(&with_origins(&["null"])), "null"));
        let credentials = CorsOptions { credentials: true, ..with_origins(&["null"]) };
        assert_eq!(
            answer(&credentials, Some("null")),
            ["Vary: Origin", "Access-Control-Allow-Origin: null", "Access-Control-Allow-Credentials: true"]
        );
    }

    #[test]
    fn any_in_a_list_is_any() {
        assert_eq!(answer(&with_origins(&["https://a.example", "*"]), None), ["Access-Control-Allow-Origin: *"]);
    }

    #[test]
    fn methods_that_are_listed_are_sent_whatever_the_path_has() {
        let name = "Access-Control-Allow-Methods";
        for (methods, asked, path_methods, expected) in [
            (None, "PUT", "GET, HEAD, OPTIONS", Some("GET, HEAD, OPTIONS")),
            (None, "PUT", "", None),
            (None, "PURGE", "*", Some("PURGE")),
            (None, "PURGE", "GET, HEAD, *", Some("PURGE")),
            (None, "PU RGE", "*", None),
            (Some(&["PUT", "PURGE"][..]), "PUT", "GET, HEAD, OPTIONS", Some("PUT, PURGE")),
            (Some(&["PUT"]), "DELETE", "*", Some("PUT")),
            (Some(&["PUT"]), "DELETE", "", Some("PUT")),
            (Some(&["*"]), "DELETE", "GET", Some("DELETE")),
            (Some(&["GET", "*"]), "DELETE", "GET", Some("DELETE")),
            (Some(&["*"]), "a,b", "GET", None),
            (Some(&["*"]), "", "GET", None),
            (Some(&[]), "PUT", "GET", None),
            // As a browser would write them.
            (Some(&["get", "Head", "post", "put", "delete", "options"]), "PUT", "", Some("GET, HEAD, POST, PUT, DELETE, OPTIONS")),
            (Some(&["patch", "Purge"]), "PUT", "", Some("patch, Purge")),
        ] {
            let options = CorsOptions { methods: methods.map(strings), ..CorsOptions::default() };
            let asked = Asked { method: asked.as_bytes(), ..ASKED };
            assert_eq!(preflight_value(&options, asked, path_methods, name).as_deref(), expected, "{methods:?} {asked:?} {path_methods}");
        }
    }

    #[test]
    fn headers_are_those_listed_or_those_asked_for_if_each_is_a_token() {
        let name = "Access-Control-Allow-Headers";
        for (headers, asked, expected) in [
            (None, &b"x-a"[..], Some("x-a")),
            (None, b"x-a,x-b", Some("x-a,x-b")),
            (None, b"X-A , x-b,,", Some("X-A , x-b,,")),
            (None, b"authorization", Some("authorization")),
            (None, b"", None),
            (None, b" , ", None),
            (None, b"x a", None),
            (None, b"x-a, x:b", None),
            (None, b"x-a, \xe9", None),
            (None, b"x-a;q=1", None),
            (Some(&["*"][..]), b"x-a,authorization", Some("x-a,authorization")),
            (Some(&["X-A", "*"]), b"x-b", Some("x-b")),
            (Some(&["*"]), b"", None),
            (Some(&["X-A", "X-B"]), b"x-c", Some("X-A, X-B")),
            (Some(&["X-A"]), b"", Some("X-A")),
            (Some(&["X-A"]), b"x a", Some("X-A")),
            (Some(&[]), b"x-a", None),
        ] {
            for credentials in [false, true] {
                let options =
                    CorsOptions { headers: headers.map(strings), credentials, ..with_origins(&["https://a.example", "https://b.example"]) };
                let asked = Asked { headers: asked, ..ASKED };
                let words = format!("{headers:?} {}", asked.headers.escape_ascii());
                assert_eq!(preflight_value(&options, asked, "GET", name).as_deref(), expected, "{words}");
            }
        }
    }

    #[test]
    fn with_credentials_no_header_has_a_star() {
        let any = Some(strings(&["*"]));
        let options = CorsOptions { methods: any.clone(), headers: any, credentials: true, ..with_origins(&["https://*.example", "null"]) };
        let asked = Asked { headers: b"x-a", ..ASKED };
        let all = [answer(&options, Some("https://a.example")), preflight(&options, asked, "*")].concat();
        assert_eq!(all.len(), 9);
        assert!(!all.iter().any(|line| line.contains('*')), "{all:?}");
    }

    #[test]
    fn any_with_credentials_is_refused() {
        let credentials = CorsOptions { credentials: true, ..CorsOptions::default() };
        for origins in [&["*"][..], &["https://a.example", "*"]] {
            let options = CorsOptions { origins: strings(origins), ..credentials.clone() };
            assert_eq!(refusal(&options), "origins \"*\": a policy with credentials lists its origins, since browsers refuse any");
        }
        let options = CorsOptions { expose: strings(&["ETag", "*"]), credentials: true, ..with_origins(&["https://a.example"]) };
        assert_eq!(refusal(&options), "expose \"*\": a policy with credentials lists the headers it exposes, since browsers refuse any");
    }

    #[test]
    fn without_credentials_all_headers_can_be_exposed() {
        let options = CorsOptions { expose: strings(&["*"]), ..CorsOptions::default() };
        assert_eq!(answer(&options, None), ["Access-Control-Allow-Origin: *", "Access-Control-Expose-Headers: *"]);
    }

    #[test]
    fn exposed_headers_and_max_age_stand_where_they_mean_something() {
        let options = CorsOptions { expose: strings(&["ETag"]), max_age_s: 0, ..CorsOptions::default() };
        assert_eq!(preflight_value(&options, ASKED, "PUT", "Access-Control-Max-Age").as_deref(), Some("0"));
        assert_eq!(preflight_value(&options, ASKED, "PUT", "Access-Control-Expose-Headers"), None);
        assert!(!answer(&options, Some("https://a.example")).iter().any(|line| line.contains("Max-Age")));
    }

    #[test]
    fn a_private_network_opens_only_if_the_policy_says_so_and_the_page_asks() {
        let name = "Access-Control-Allow-Private-Network";
        for (private_network, asked, opens) in
            [(true, &b"true"[..], true), (true, b"", false), (true, b"false", false), (true, b"TRUE", false), (false, b"true", false)]
        {
            let options = CorsOptions { private_network, ..CorsOptions::default() };
            let asked = Asked { private_network: asked, ..ASKED };
            assert_eq!(preflight_value(&options, asked, "PUT", name).as_deref(), opens.then_some("true"), "{private_network} {asked:?}");
            let vary = preflight_value(&options, asked, "PUT", "Vary").unwrap();
            assert_eq!(vary.contains("Access-Control-Request-Private-Network"), private_network);
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_rule() {
        let path = "an origin ends with its host or port: no slash, no path, no query";
        let star = "'*' stands alone for any origin, or for all subdomains as in https://*.example.org";
        let host = "a host is letters, digits, '-' and '_' between single dots";
        let missing = "a host is missing; pages without one have the origin null";
        let port = "a port is a number from 0 to 65535";
        let v6 = "an address of IPv6 stands in brackets, as in http://[::1]:8080";
        let scheme = "a scheme is a letter, then letters, digits, '+', '-' and '.'";
        for (text, rule) in [
            ("", FORM),
            ("example.org", FORM),
            ("//example.org", FORM),
            ("https:example.org", FORM),
            ("https:/example.org", FORM),
            ("localhost:8080", FORM),
            ("NULL", FORM),
            ("https://a.example, https://b.example", path),
            ("https://a.example https://b.example", path),
            ("https://a.example/", path),
            ("https://a.example/path", path),
            ("https://a.example?q", path),
            ("https://a.example#f", path),
            ("https://*.example.org/", path),
            ("https://me@a.example", "an origin names no user"),
            ("https://me:secret@a.example:1", "an origin names no user"),
            ("https://*", star),
            ("https://a*.example", star),
            ("https://a.*.example", star),
            ("https://*.*.example", star),
            ("*://a.example", star),
            ("*.example.org", star),
            ("http://localhost:*", star),
            ("**", star),
            ("https://*.", missing),
            ("https://", missing),
            ("file://", missing),
            ("file:///home", path),
            ("https://:443", missing),
            ("https://a..example", host),
            ("https://.a.example", host),
            ("https://a.example.", host),
            ("https://a b.example", host),
            ("https://a%20b.example", host),
            (" https://a.example", scheme),
            ("https://a.example ", host),
            ("https://a.example\n", host),
            ("https://m\u{fc}ller.example", "a name beyond ASCII is written as browsers send it: xn--..."),
            ("1http://a.example", scheme),
            ("ht tp://a.example", scheme),
            ("://a.example", scheme),
            ("https://a.example:", port),
            ("https://a.example:65536", port),
            ("https://a.example:+80", port),
            ("https://a.example:-1", port),
            ("https://a.example:80:80", port),
            ("https://a.example:http", port),
            ("http://::1", missing),
            ("http://fe80::1", port),
            ("http://[::1", v6),
            ("http://[::g]", v6),
            ("http://[]", v6),
            ("http://[1.2.3.4]", v6),
            ("http://[::1]a", v6),
            ("http://[::1]:x", port),
            ("http://*.[::1]", "an address has no subdomains"),
        ] {
            for origins in [&[text][..], &["https://a.example", text], &["*", text]] {
                let words = format!("origin \"{}\": {rule}", Shown(text.as_bytes()));
                assert_eq!(refusal(&with_origins(origins)), words);
            }
        }
        assert_eq!(refusal(&with_origins(&[])), "origins: the list is empty; \"*\" is any origin");
    }

    #[test]
    fn an_origin_is_taken_apart() {
        let name = |text| Host::Name(text);
        for (text, scheme, host, port) in [
            ("https://a.example", &b"https"[..], name(b"a.example"), Some(443)),
            ("http://a.example:8080", b"http", name(b"a.example"), Some(8080)),
            ("ws://a", b"ws", name(b"a"), Some(80)),
            ("wss://a", b"wss", name(b"a"), Some(443)),
            ("app://a", b"app", name(b"a"), None),
            ("app://a:0", b"app", name(b"a"), Some(0)),
            ("http://[2001:db8::1]:65535", b"http", Host::V6("2001:db8::1".parse().unwrap()), Some(65535)),
        ] {
            assert_eq!(Origin::parse(text.as_bytes()), Ok(Origin { scheme, host, port }), "{text}");
        }
    }

    #[test]
    fn methods_and_headers_are_tokens() {
        for bad in ["", "a b", "a,b", "a:", "a\r\nb", "\u{e9}", "(a)"] {
            let one = || strings(&["ok", bad]);
            let rule = format!("\"{}\": it is not a token: letters, digits and !#$%&'*+-.^_`|~ only", Shown(bad.as_bytes()));
            let with = CorsOptions::default;
            assert_eq!(refusal(&CorsOptions { methods: Some(one()), ..with() }), format!("method {rule}"));
            assert_eq!(refusal(&CorsOptions { headers: Some(one()), ..with() }), format!("header {rule}"));
            assert_eq!(refusal(&CorsOptions { expose: one(), ..with() }), format!("exposed header {rule}"));
        }
    }

    #[test]
    fn lists_are_divided_at_commas() {
        let default = CorsOptions::default();
        assert_eq!(CorsOptions::from_lists(None, None, None, None), default);
        for (text, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (" a\t, b ,,c, ", &["a", "b", "c"]),
            ("a b,c", &["a b", "c"]),
        ] {
            let expected = strings(expected);
            let origins = CorsOptions { origins: expected.clone(), ..default.clone() };
            assert_eq!(CorsOptions::from_lists(Some(text), None, None, None), origins, "{text:?}");
            let methods = CorsOptions { methods: Some(expected.clone()), ..default.clone() };
            assert_eq!(CorsOptions::from_lists(None, Some(text), None, None), methods, "{text:?}");
            let headers = CorsOptions { headers: Some(expected.clone()), ..default.clone() };
            assert_eq!(CorsOptions::from_lists(None, None, Some(text), None), headers, "{text:?}");
            let expose = CorsOptions { expose: expected, ..default.clone() };
            assert_eq!(CorsOptions::from_lists(None, None, None, Some(text)), expose, "{text:?}");
        }
    }
}

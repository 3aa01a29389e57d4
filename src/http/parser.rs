//! Parses the head of a request, in one pass.
//!
//! [`parse`] has three outcomes: the head is complete, more bytes are needed, or it is refused with the rule of the grammar that was
//! broken. It does not allocate once the field list has grown. Before a saved partial head is parsed again, [`head_end`] should tell that its
//! blank line has arrived, so that a head that arrives byte by byte costs at most twice as much as one that arrives whole.

use super::headers::{Field, Span, is, is_token_byte, list, trim};
use super::method::Method;
use super::refusal::Refusal;
use super::scan::{path_end, plain_end, target_end, token_end};
use super::target::{Target, authority_is_valid};

/// The limits of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The request line and the fields together, with the blank line.
    pub head_bytes: usize,
    /// Field lines.
    pub fields: usize,
    /// The request target.
    pub target_bytes: usize,
}

/// RFC 9110 9.1 sets no limit; no method in use is half as long as this.
const MAX_METHOD_BYTES: usize = 32;

/// How the body is delimited. RFC 9112 6.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No body: neither Content-Length nor Transfer-Encoding.
    #[default]
    Absent,
    /// Content-Length bytes.
    Length(u64),
    /// Chunks, then trailers.
    Chunked,
}

/// A parsed head: spans of the bytes it was parsed from, and their meaning for the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The method's token.
    pub method_span: Span,
    /// The target and its parts.
    pub target: Target,
    /// The minor version: 0 or 1. HTTP/1.2 and later are treated as 1.1 (RFC 9110 2.5).
    pub minor: u8,
    /// All field lines, in order of arrival.
    pub fields: Vec<Field>,
    /// How the body is delimited.
    pub framing: Framing,
    /// Does the client want to keep the connection? RFC 9112 9.3.
    pub keep_alive: bool,
    /// Does the client wait for a 100 before it sends the body?
    pub expects_continue: bool,
    /// Does it expect anything else, which cannot be met?
    pub expects_else: bool,
}

/// The outcome of parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The head takes this many bytes.
    Complete(usize),
    /// More bytes are needed.
    Partial,
    /// No continuation could be an acceptable head.
    Refused(Refusal),
}

/// Parses the head at the start of `input` into `head`, whose spans are relative to that.
pub fn parse(input: &[u8], limits: &Limits, head: &mut Head) -> Outcome {
    #[cfg(test)]
    work::add(input.len());
    let end = match (Parser { input, at: 0, limits }).head(head) {
        Ok(end) => end,
        Err(Stop::Refused(refusal)) => return Outcome::Refused(refusal),
        Err(Stop::Partial) if input.len() <= limits.head_bytes => return Outcome::Partial,
        // The limit is exceeded, by the target if the request line has not ended.
        Err(Stop::Partial) if memchr::memchr(b'\n', input).is_none() => return Outcome::Refused(Refusal::TargetLength),
        Err(Stop::Partial) => return Outcome::Refused(Refusal::HeadLength),
    };
    if end > limits.head_bytes {
        return Outcome::Refused(Refusal::HeadLength);
    }
    Outcome::Complete(end)
}

/// Has the blank line arrived? Searches only what follows `scanned`; the second value is the next `scanned`.
///
/// Bare line feeds count as well, so that a head that ends with them is refused at once, not by a time-out.
pub fn head_end(input: &[u8], scanned: usize) -> (bool, usize) {
    #[cfg(test)]
    work::add(input.len() - scanned);
    for lf in memchr::memchr_iter(b'\n', &input[scanned..]).map(|at| scanned + at) {
        if let [b'\n', ..] | [b'\r', b'\n', ..] = &input[lf + 1..] {
            return (true, lf);
        }
    }
    // A line end at the very end may be followed by the second one, so it is looked at again; nothing else is.
    let open = match input {
        [.., b'\n'] => 1,
        [.., b'\n', b'\r'] => 2,
        _ => 0,
    };
    (false, input.len() - open)
}

enum Stop {
    Partial,
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

struct Parser<'a> {
    input: &'a [u8],
    at: usize,
    limits: &'a Limits,
}

impl Parser<'_> {
    fn head(mut self, head: &mut Head) -> Result<usize, Stop> {
        head.fields.clear();
        head.method = Method::Other;
        self.skip_empty_line()?;
        self.request_line(head)?;
        let mut seen = Seen::default();
        while let Some(field) = self.field_line(head.fields.len())? {
            head.fields.push(field);
            seen.learn(self.input, field)?;
        }
        seen.conclude(head)?;
        Ok(self.at)
    }

    /// RFC 9112 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line (CRLF) received prior to the request-line."
    /// Exactly one: with more, a blank line would not show that a head is complete.
    fn skip_empty_line(&mut self) -> Result<(), Stop> {
        match &self.input[self.at..] {
            [b'\r', b'\n', ..] => self.at += 2,
            [] | [b'\r'] => return Err(Stop::Partial),
            _ => {}
        }
        Ok(())
    }

    /// RFC 9112 3: `request-line = method SP request-target SP HTTP-version`.
    fn request_line(&mut self, head: &mut Head) -> Result<(), Stop> {
        (head.method, head.method_span) = self.method()?;
        let (whole, path_end) = self.target()?;
        head.minor = self.version()?;
        head.target.set(self.input, whole, path_end, head.method)?;
        Ok(())
    }

    fn method(&mut self) -> Result<(Method, Span), Stop> {
        let rest = &self.input[self.at..];
        if rest.starts_with(b"GET ") {
            self.at += 4;
            return Ok((Method::Get, Span::new(self.at - 4, self.at - 1)));
        }
        let most = rest.len().min(MAX_METHOD_BYTES + 1);
        let Some(len) = rest[..most].iter().position(|&b| !is_token_byte(b)) else {
            return Err(if rest.len() > MAX_METHOD_BYTES { Refusal::MethodLength.into() } else { Stop::Partial });
        };
        if len == 0 || rest[len] != b' ' {
            return Err(Refusal::Method.into());
        }
        let span = Span::new(self.at, self.at + len);
        self.at += len + 1;
        Ok((Method::of(&rest[..len]), span))
    }

    /// The target, and the position where its path ends.
    fn target(&mut self) -> Result<(Span, usize), Stop> {
        let start = self.at;
        let path_end = path_end(self.input, start);
        let end = match self.input.get(path_end) {
            Some(b'?') => target_end(self.input, path_end),
            _ => path_end,
        };
        if end - start > self.limits.target_bytes {
            return Err(Refusal::TargetLength.into());
        }
        match self.input.get(end) {
            None => Err(Stop::Partial),
            Some(b' ') if end > start => {
                self.at = end + 1;
                Ok((Span::new(start, end), path_end))
            }
            // `GET /` and a line end: an HTTP/0.9 request.
            Some(b'\r' | b'\n') => Err(Refusal::Version.into()),
            Some(_) => Err(Refusal::Target.into()),
        }
    }

    /// RFC 9112 2.3: `HTTP-version = HTTP-name "/" DIGIT "." DIGIT`.
    fn version(&mut self) -> Result<u8, Stop> {
        const PATTERN: &[u8; 10] = b"HTTP/0.0\r\n";
        let rest = &self.input[self.at..];
        if rest.starts_with(b"HTTP/1.1\r\n") {
            self.at += PATTERN.len();
            return Ok(1);
        }
        for (&b, &p) in rest.iter().zip(PATTERN) {
            if b != p && !(p == b'0' && b.is_ascii_digit()) {
                return Err(if b == b'\n' && p == b'\r' { Refusal::LineEnd } else { Refusal::Version }.into());
            }
        }
        let Some(line) = rest.first_chunk::<10>() else {
            return Err(Stop::Partial);
        };
        self.at += line.len();
        match (line[5], line[7]) {
            (b'1', b'0') => Ok(0),
            (b'1', _) => Ok(1),
            _ => Err(Refusal::VersionUnsupported.into()),
        }
    }

    /// RFC 9112 5: `field-line = field-name ":" OWS field-value OWS`. None is the empty line that ends the head, which has `count` fields so
    /// far.
    #[inline(always)]
    fn field_line(&mut self, count: usize) -> Result<Option<Field>, Stop> {
        let start = self.at;
        let colon = match self.input.get(start) {
            Some(b'\r') => start,
            _ => token_end(self.input, start),
        };
        if colon == start {
            return self.blank_line().map(|()| None);
        }
        if count == self.limits.fields {
            return Err(Refusal::FieldCount.into());
        }
        match self.input.get(colon) {
            Some(b':') => {}
            None => return Err(Stop::Partial),
            // RFC 9112 5.1: "A server MUST reject, with a response status code of 400 (Bad Request), any received request message that contains whitespace between a header field name and colon."
            Some(_) => return Err(Refusal::FieldName.into()),
        }
        let value = self.field_value(colon + 1)?;
        Ok(Some(Field { name: Span::new(start, colon), value }))
    }

    /// The empty line that ends the head. Called where no name begins; a space here would be an obs-fold.
    fn blank_line(&mut self) -> Result<(), Stop> {
        match &self.input[self.at..] {
            [b'\r', b'\n', ..] => {
                self.at += 2;
                Ok(())
            }
            [] | [b'\r'] => Err(Stop::Partial),
            [b'\r', ..] | [b'\n', ..] => Err(Refusal::LineEnd.into()),
            // RFC 9112 5.2: "A server that receives an obs-fold in a request message [...] MUST either reject the message [...]".
            [b' ' | b'\t', ..] => Err(Refusal::FieldFold.into()),
            _ => Err(Refusal::FieldName.into()),
        }
    }

    /// The value after a colon, trimmed.
    #[inline(always)]
    fn field_value(&mut self, at: usize) -> Result<Span, Stop> {
        let end = plain_end(self.input, at);
        let end = if self.line_ends(end) { end } else { self.unusual_value_end(end)? };
        self.at = end + 2;
        // Most have one space before them, and none after them.
        match &self.input[at..end] {
            [b' ', first, .., last] if *first > b' ' && *last > b' ' => Ok(Span::new(at + 1, end)),
            _ => Ok(self.trimmed(at, end)),
        }
    }

    #[inline(always)]
    fn line_ends(&self, at: usize) -> bool {
        matches!(self.input.get(at..), Some([b'\r', b'\n', ..]))
    }

    /// The end of a value that continues after a tab, or why it has none.
    #[inline(never)]
    fn unusual_value_end(&self, mut end: usize) -> Result<usize, Stop> {
        while self.input.get(end) == Some(&b'\t') {
            end = plain_end(self.input, end + 1);
        }
        match &self.input[end..] {
            [b'\r', b'\n', ..] => Ok(end),
            [] | [b'\r'] => Err(Stop::Partial),
            // RFC 9112 2.2: a lone CR is "invalid"; a lone LF is not accepted as a line end, since recipients differ in that.
            [b'\r', ..] | [b'\n', ..] => Err(Refusal::LineEnd.into()),
            _ => Err(Refusal::FieldValue.into()),
        }
    }

    /// Trims spaces and tabs at both ends; if there is nothing else, an empty span at its end.
    #[inline(never)]
    fn trimmed(&self, mut start: usize, mut end: usize) -> Span {
        while start < end && matches!(self.input[start], b' ' | b'\t') {
            start += 1;
        }
        while start < end && matches!(self.input[end - 1], b' ' | b'\t') {
            end -= 1;
        }
        Span::new(start, end)
    }
}

/// What the fields say about framing and connection, gathered while they are parsed.
#[derive(Default)]
struct Seen {
    host: bool,
    length: Option<u64>,
    transfer: bool,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    expects_else: bool,
}

impl Seen {
    /// Most names do not matter here, which their length and first letter show.
    #[inline(always)]
    fn learn(&mut self, input: &[u8], field: Field) -> Result<(), Refusal> {
        let name = || field.name.of(input);
        // Every request has Host; checked separately it needs no jump table.
        if field.name.len() == 4 && is(name(), b"host") {
            return self.host(input, field.value);
        }
        match (input[field.name.start()] | 0x20, field.name.len()) {
            (b'e', 6) if is(name(), b"expect") => self.expect(field.value.of(input)),
            (b'c', 10) if is(name(), b"connection") => self.connection(field.value.of(input)),
            (b'c', 14) if is(name(), b"content-length") => self.content_length(field.value.of(input)),
            (b't', 17) if is(name(), b"transfer-encoding") => self.transfer_encoding(field.value.of(input)),
            _ => Ok(()),
        }
    }

    /// RFC 9112 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header field and to any request message that contains more than one Host header field line or a Host header field with an invalid field value."
    fn host(&mut self, input: &[u8], value: Span) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.host, true) {
            return Err(Refusal::HostRepeated);
        }
        if authority_is_valid(input, value) { Ok(()) } else { Err(Refusal::Host) }
    }

    /// RFC 9110 10.1.1: "A server that receives an Expect field value containing a member other than 100-continue MAY respond with a 417".
    #[inline(never)]
    fn expect(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for member in list(value) {
            if member.eq_ignore_ascii_case(b"100-continue") { self.expects_continue = true } else { self.expects_else = true }
        }
        Ok(())
    }

    #[inline(never)]
    fn connection(&mut self, value: &[u8]) -> Result<(), Refusal> {
        // What nearly all clients send needs no search for commas.
        if is(value, b"keep-alive") {
            self.keep_alive = true;
        } else if is(value, b"close") {
            self.close = true;
        } else {
            for option in list(value) {
                self.close |= is(option, b"close");
                self.keep_alive |= is(option, b"keep-alive");
            }
        }
        Ok(())
    }

    /// RFC 9110 8.6: `Content-Length = 1*DIGIT`; a list of equal numbers may be refused, and is.
    #[inline(never)]
    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::ContentLengthRepeated);
        }
        self.length = Some(decimal(value).ok_or(Refusal::ContentLength)?);
        Ok(())
    }

    /// RFC 9112 6.1: chunked must be last, and "A sender MUST NOT apply the chunked transfer coding more than once to a message body".
    #[inline(never)]
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.transfer = true;
        let mut any = false;
        for coding in list(value) {
            any = true;
            if self.chunked {
                return Err(Refusal::TransferEncoding);
            }
            let name = coding.split(|&b| b == b';').next().map(trim).unwrap_or_default();
            if !name.eq_ignore_ascii_case(b"chunked") {
                return Err(if name.iter().all(|&b| is_token_byte(b)) { Refusal::TransferCoding } else { Refusal::TransferEncoding });
            }
            if name.len() != coding.len() {
                return Err(Refusal::TransferEncoding);
            }
            self.chunked = true;
        }
        if any { Ok(()) } else { Err(Refusal::TransferEncoding) }
    }

    fn conclude(self, head: &mut Head) -> Result<(), Refusal> {
        if !self.host && head.minor > 0 {
            return Err(Refusal::HostMissing);
        }
        head.framing = self.framing(head.minor)?;
        // RFC 9112 9.3: close wins; 1.1 persists by default, 1.0 if the client asks for it.
        head.keep_alive = !self.close && (head.minor > 0 || self.keep_alive);
        // RFC 9110 10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation."
        head.expects_else = self.expects_else && head.minor > 0;
        head.expects_continue = self.expects_continue && head.minor > 0 && head.framing != Framing::Absent;
        Ok(())
    }

    /// RFC 9112 6.3.
    fn framing(&self, minor: u8) -> Result<Framing, Refusal> {
        match (self.transfer, self.length) {
            (false, None) => Ok(Framing::Absent),
            (false, Some(length)) => Ok(Framing::Length(length)),
            // 6.1: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding".
            (true, Some(_)) => Err(Refusal::BothFramings),
            // 6.1: a 1.0 message with Transfer-Encoding must be treated "as if the framing is faulty".
            (true, None) if minor == 0 => Err(Refusal::TransferEncodingVersion),
            (true, None) => Ok(Framing::Chunked),
        }
    }
}

/// A decimal number without sign, and nothing else.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, &b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Counts the bytes looked at, so that tests of cost need not measure time.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local! {
        static BYTES: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn add(bytes: usize) {
        BYTES.set(BYTES.get() + bytes);
    }

    /// The bytes looked at since the last call.
    pub(crate) fn take() -> usize {
        BYTES.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head_bytes: 16_384, fields: 100, target_bytes: 8192 };

    fn outcome(text: &str) -> Outcome {
        parse(text.as_bytes(), &LIMITS, &mut Head::default())
    }

    fn head(text: &str) -> Head {
        let mut head = Head::default();
        assert_eq!(parse(text.as_bytes(), &LIMITS, &mut head), Outcome::Complete(text.len()), "{text:?}");
        head
    }

    fn refused(text: &str) -> Refusal {
        match outcome(text) {
            Outcome::Refused(refusal) => refusal,
            other => panic!("{other:?} for {text:?}"),
        }
    }

    #[test]
    fn a_head_is_places_in_its_bytes() {
        let text = "POST /a?b HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nX-Spaces: \t a b \t\r\n\r\n";
        let head = head(text);
        let view = |span: Span| std::str::from_utf8(span.of(text.as_bytes())).unwrap();
        assert_eq!((head.method, view(head.method_span)), (Method::Post, "POST"));
        assert_eq!((view(head.target.path), head.target.query.map(view)), ("/a", Some("b")));
        let fields: Vec<_> = head.fields.iter().map(|f| (view(f.name), view(f.value))).collect();
        assert_eq!(fields, [("Host", "h"), ("X-Empty", ""), ("X-Spaces", "a b")]);
    }

    #[test]
    fn every_prefix_of_a_head_is_partial() {
        let text = "\r\nGET /path?query HTTP/1.1\r\nHost: example.org\r\nX-Tab: a\tb\r\nContent-Length: 5\r\n\r\n";
        for len in 0..text.len() {
            assert_eq!(outcome(&text[..len]), Outcome::Partial, "{:?}", &text[..len]);
        }
        head(text);
    }

    #[test]
    fn what_follows_the_head_is_left_alone() {
        let text = "GET / HTTP/1.0\r\n\r\n";
        assert_eq!(outcome(&format!("{text}GET /next")), Outcome::Complete(text.len()));
    }

    #[test]
    fn the_blank_line_is_found_wherever_the_bytes_are_cut() {
        for text in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\n\n", "GET /\r\n\n"] {
            let mut scanned = 0;
            for len in 0..text.len() {
                let (found, next) = head_end(&text.as_bytes()[..len], scanned);
                assert!(!found, "{:?}", &text[..len]);
                scanned = next;
            }
            assert!(head_end(text.as_bytes(), scanned).0, "{text:?}");
        }
    }

    #[test]
    fn a_blank_line_always_decides() {
        // Otherwise a head that arrives byte by byte would be parsed again with each of them.
        for text in ["\r\n\r\n", "\r\n\nGET", "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n", "\n\n", "A\r\n\r\n", "GET /\r\n\r\n"] {
            assert!(head_end(text.as_bytes(), 0).0, "{text:?}");
            assert_ne!(outcome(text), Outcome::Partial, "{text:?}");
        }
    }

    #[test]
    fn keep_alive_follows_version_and_connection() {
        for (line, connection, expected) in [
            ("HTTP/1.1", "", true),
            ("HTTP/1.1", "Connection: close\r\n", false),
            ("HTTP/1.1", "Connection: Foo, CLOSE\r\n", false),
            ("HTTP/1.1", "Connection: keep-alive, close\r\n", false),
            ("HTTP/1.1", "Connection: closed\r\n", true),
            ("HTTP/1.0", "", false),
            ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
            ("HTTP/1.2", "", true),
        ] {
            assert_eq!(head(&format!("GET / {line}\r\nHost: a\r\n{connection}\r\n")).keep_alive, expected, "{line} {connection}");
        }
    }

    #[test]
    fn limits_hold_exactly() {
        let limits = Limits { head_bytes: 60, fields: 2, target_bytes: 10 };
        let outcome = |text: &str| parse(text.as_bytes(), &limits, &mut Head::default());
        assert_eq!(outcome("GET /123456789 HTTP/1.0\r\n\r\n"), Outcome::Complete(27));
        assert_eq!(outcome("GET /1234567890 HTTP/1.0\r\n\r\n"), Outcome::Refused(Refusal::TargetLength));
        assert_eq!(outcome("GET / HTTP/1.0\r\na:\r\nb:\r\n\r\n"), Outcome::Complete(26));
        assert_eq!(outcome("GET / HTTP/1.0\r\na:\r\nb:\r\nc:\r\n\r\n"), Outcome::Refused(Refusal::FieldCount));
        let exact = format!("GET / HTTP/1.0\r\na: {}\r\n\r\n", "x".repeat(37));
        assert_eq!(outcome(&exact), Outcome::Complete(60));
        let over = format!("GET / HTTP/1.0\r\na: {}\r\n\r\n", "x".repeat(38));
        assert_eq!(outcome(&over), Outcome::Refused(Refusal::HeadLength));
        assert_eq!(outcome(&over[..61]), Outcome::Refused(Refusal::HeadLength), "a head without end");
    }

    #[test]
    fn request_lines_are_strict() {
        for (text, refusal) in [
            (" GET / HTTP/1.1\r\n", Refusal::Method),
            ("GE(T / HTTP/1.1\r\n", Refusal::Method),
            ("\nGET / HTTP/1.1\r\n", Refusal::Method),
            ("\r\n\r\nGET / HTTP/1.1\r\n", Refusal::Method),
            ("GET  / HTTP/1.1\r\n", Refusal::Target),
            ("GET /a b HTTP/1.1\r\n", Refusal::Version),
            ("GET /a#b HTTP/1.1\r\n", Refusal::Target),
            ("GET /\x01 HTTP/1.1\r\n", Refusal::Target),
            ("GET /\tHTTP/1.1\r\n", Refusal::Target),
            ("GET / HTTP/1.1 \r\n", Refusal::Version),
            ("GET / HTTP/1.1\n", Refusal::LineEnd),
            ("GET / http/1.1\r\n", Refusal::Version),
            ("GET / HTTP/1.10\r\n", Refusal::Version),
            ("GET / HTTP/11\r\n", Refusal::Version),
            ("GET / HTTP/2.0\r\n", Refusal::VersionUnsupported),
            ("GET / HTTP/0.9\r\n", Refusal::VersionUnsupported),
            ("GET /\r\n", Refusal::Version),
            ("\x16\x03\x01\x02\x00\x01", Refusal::Method),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Refusal::MethodLength),
        ] {
            assert_eq!(refused(text), refusal, "{text:?}");
        }
    }

    #[test]
    fn field_lines_are_strict() {
        for (line, refusal) in [
            ("Name : x\r\n", Refusal::FieldName),
            ("Na me: x\r\n", Refusal::FieldName),
            (": x\r\n", Refusal::FieldName),
            ("Name\r\n", Refusal::FieldName),
            ("N\u{e4}me: x\r\n", Refusal::FieldName),
            ("Name: a\0b\r\n", Refusal::FieldValue),
            ("Name: a\x07b\r\n", Refusal::FieldValue),
            ("Name: a\x7fb\r\n", Refusal::FieldValue),
            ("Name: a\rb\r\n", Refusal::LineEnd),
            ("Name: a\nb\r\n", Refusal::LineEnd),
            ("Name: a\r\n b\r\n", Refusal::FieldFold),
            ("Name: a\r\n\tb\r\n", Refusal::FieldFold),
            ("Name: a\r\n\n", Refusal::LineEnd),
        ] {
            assert_eq!(refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n")), refusal, "{line:?}");
        }
    }

    #[test]
    fn framing_is_never_guessed() {
        for (lines, expected) in [
            ("", Ok(Framing::Absent)),
            ("Content-Length: 0\r\n", Ok(Framing::Length(0))),
            ("content-length: 0042\r\n", Ok(Framing::Length(42))),
            ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
            ("Transfer-Encoding: , Chunked ,\r\n", Ok(Framing::Chunked)),
            ("Content-Length:\r\n", Err(Refusal::ContentLength)),
            ("Content-Length: +5\r\n", Err(Refusal::ContentLength)),
            ("Content-Length: -5\r\n", Err(Refusal::ContentLength)),
            ("Content-Length: 5, 5\r\n", Err(Refusal::ContentLength)),
            ("Content-Length: 5 5\r\n", Err(Refusal::ContentLength)),
            ("Content-Length: 0x5\r\n", Err(Refusal::ContentLength)),
            ("Content-Length: 18446744073709551616\r\n", Err(Refusal::ContentLength)),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", Err(Refusal::ContentLengthRepeated)),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(Refusal::ContentLengthRepeated)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(Refusal::BothFramings)),
            ("Transfer-Encoding:\r\n", Err(Refusal::TransferEncoding)),
            ("Transfer-Encoding: chunked, chunked\r\n", Err(Refusal::TransferEncoding)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(Refusal::TransferEncoding)),
            ("Transfer-Encoding: chunked;a=b\r\n", Err(Refusal::TransferEncoding)),
            ("Transfer-Encoding: chunked, gzip\r\n", Err(Refusal::TransferEncoding)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(Refusal::TransferCoding)),
            ("Transfer-Encoding: identity\r\n", Err(Refusal::TransferCoding)),
            ("Transfer-Encoding: xchunked\r\n", Err(Refusal::TransferCoding)),
            ("Transfer-Encoding: \x0bchunked\r\n", Err(Refusal::FieldValue)),
        ] {
            let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let mut head = Head::default();
            let found = match parse(text.as_bytes(), &LIMITS, &mut head) {
                Outcome::Complete(_) => Ok(head.framing),
                Outcome::Refused(refusal) => Err(refusal),
                Outcome::Partial => panic!("partial: {lines:?}"),
            };
            assert_eq!(found, expected, "{lines:?}");
        }
        assert_eq!(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Refusal::TransferEncodingVersion);
    }

    #[test]
    fn hosts_are_required_once_and_valid() {
        for (lines, refusal) in [
            ("", Refusal::HostMissing),
            ("Host: a\r\nHost: a\r\n", Refusal::HostRepeated),
            ("Host: a b\r\n", Refusal::Host),
            ("Host: a@b\r\n", Refusal::Host),
        ] {
            assert_eq!(refused(&format!("GET / HTTP/1.1\r\n{lines}\r\n")), refusal, "{lines:?}");
        }
        head("GET / HTTP/1.0\r\n\r\n");
        head("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    }

    #[test]
    fn expectations() {
        let with = |version: &str, lines: &str| format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
        assert!(head(&with("1.1", "Content-Length: 1\r\nExpect: 100-Continue\r\n")).expects_continue);
        assert!(!head(&with("1.1", "Expect: 100-continue\r\n")).expects_continue, "there is no body to wait for");
        assert!(!head(&with("1.0", "Content-Length: 1\r\nExpect: 100-continue\r\n")).expects_continue);
        assert!(head(&with("1.1", "Expect: miracles\r\n")).expects_else);
        assert!(!head(&with("1.0", "Expect: miracles\r\n")).expects_else);
    }
}

//! Multipart bodies: forms with files (RFC 7578, RFC 2046 5.1).
//!
//! A push parser: it takes a body in any pieces, and reports events as early as possible. Data are slices of what was fed. Between two pieces
//! it keeps only a line of a part's head, and how much of a boundary has matched.
//!
//! ```
//! use hasty::http::multipart::{Event, Limits, Multipart, Refusal, boundary_of};
//!
//! let boundary = boundary_of(b"multipart/form-data; boundary=x").unwrap().unwrap();
//! let mut multipart = Multipart::new(boundary, Limits::default()).unwrap();
//! let mut text = Vec::new();
//! let mut sink = |event: Event<'_>| -> Result<(), Refusal> {
//!     match event {
//!         Event::Begin(part) => assert_eq!(part.name, b"city"),
//!         Event::Data(data) => text.extend_from_slice(data),
//!         Event::End => {}
//!     }
//!     Ok(())
//! };
//! multipart.feed(b"--x\r\nContent-Disposition: form-data; name=\"city\"\r\n\r\nOul", &mut sink).unwrap();
//! multipart.feed(b"u\r\n--x--\r\n", &mut sink).unwrap();
//! assert_eq!(multipart.finish(), Ok(()));
//! assert_eq!(text, b"Oulu");
//! ```

#![forbid(unsafe_code)]

use super::headers::{self, is_token, is_token_byte, is_value, trim};
use super::pairs::percent_decode_into;
use memchr::memmem::Finder;
use memchr::{memchr, memchr2, memrchr};
use std::fmt;

/// RFC 2046 5.1.1: "Boundary delimiters [...] must be no longer than 70 characters, not counting the two leading hyphens."
const MAX_BOUNDARY_BYTES: usize = 70;

/// How much of a delimiter counts as matched when a body begins: its line end. RFC 2046 5.1.1 requires none before the first
/// boundary, and lets that of an empty part be the one that ends its head.
const LINE_END: usize = 2;

/// The limits of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Parts.
    pub parts: usize,
    /// Bytes of one part's head.
    pub head_bytes: usize,
    /// Fields of one part's head.
    pub fields: usize,
    /// Bytes of each of a part's name, its file's name, and its type.
    pub name_bytes: usize,
    /// Bytes outside parts: before the first, after the last, and spaces after boundaries, in total.
    pub outside_bytes: usize,
}

impl Default for Limits {
    /// 1000 parts; heads of 8 KiB and 16 fields, names of 1 KiB, since clients send less than a tenth of that.
    fn default() -> Limits {
        Limits { parts: 1000, head_bytes: 8192, fields: 16, name_bytes: 1024, outside_bytes: 8192 }
    }
}

/// The rule of the grammar that was broken, or the limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "explain() says what each means")]
pub enum Refusal {
    Boundary,
    BoundaryLine,
    LineEnd,
    FieldName,
    FieldValue,
    FieldFold,
    FieldRepeated,
    FieldCount,
    Disposition,
    NameMissing,
    NameLength,
    HeadLength,
    PartCount,
    OutsideLength,
    Incomplete,
}

impl Refusal {
    /// The status of the answer, and the sentence that says what is wrong.
    pub fn explain(self) -> (u16, &'static str) {
        match self {
            Refusal::Boundary => (400, "multipart/form-data must have one boundary of 1 to 70 characters that RFC 2046 allows"),
            Refusal::BoundaryLine => (400, "a boundary must be followed by CR LF, or by two hyphens after the last part"),
            Refusal::LineEnd => (400, "each line of a part's head must end with CR LF"),
            Refusal::FieldName => (400, "a field of a part must begin with a name, directly followed by a colon"),
            Refusal::FieldValue => (400, "a field of a part must not hold control characters"),
            Refusal::FieldFold => (400, "a field of a part must not be continued on the next line"),
            Refusal::FieldRepeated => (400, "a part must not have two Content-Disposition or Content-Type fields"),
            Refusal::FieldCount => (413, "a part has too many fields"),
            Refusal::Disposition => (400, "a part's Content-Disposition must be form-data and its parameters, each of them once"),
            Refusal::NameMissing => (400, "a part must have a Content-Disposition with a name"),
            Refusal::NameLength => (413, "a part's name, file name or type is too long"),
            Refusal::HeadLength => (413, "a part's head is too long"),
            Refusal::PartCount => (413, "the body has more parts than max_parts allows"),
            Refusal::OutsideLength => (413, "the body has too much that belongs to no part"),
            Refusal::Incomplete => (400, "the body ended before its last boundary"),
        }
    }

    /// The status of the answer.
    pub fn status(self) -> u16 {
        self.explain().0
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain().1)
    }
}

impl std::error::Error for Refusal {}

/// The contents of a part's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The name of the form's field. It may be empty, and several parts may have the same.
    pub name: &'a [u8],
    /// The file's name as the client gave it: never a path to write to, and it may hold slashes and line ends, but no NUL.
    pub filename: Option<&'a [u8]>,
    /// The type of the data. RFC 7578 4.4: it "defaults to "text/plain"".
    pub content_type: Option<&'a [u8]>,
}

/// A parser event. Each part is one `Begin`, any number of `Data`, and one `End`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A part begins: its head is complete.
    Begin(Part<'a>),
    /// The next bytes of its data; at least one.
    Data(&'a [u8]),
    /// Its data is complete.
    End,
}

/// The state of the parser between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// In a part's data.
    Data,
    /// Directly after a boundary.
    Boundary,
    /// After a boundary and one hyphen.
    Hyphen,
    /// In the spaces after a boundary that another part follows.
    Padding,
    /// At the line feed after it.
    PaddingLf,
    /// In a part's head.
    Head,
    /// In the spaces after the last boundary.
    LastPadding,
    /// At the line feed after it.
    LastLf,
    /// In what follows the last boundary.
    Epilogue,
    /// After a refusal, or an error of the sink.
    Failed,
}

/// Parses a body of multipart/form-data, which may arrive in any pieces.
///
/// RFC 2046 5.1.1: `delimiter := CRLF "--" boundary`. Its only carriage return is the first byte, so if a match fails no other match has begun
/// inside it. So the length of the match is all the state there is, and each byte is looked at once.
#[derive(Debug)]
pub struct Multipart {
    state: State,
    limits: Limits,
    /// Searches for delimiters.
    finder: Finder<'static>,
    /// How much of a delimiter the last bytes have matched.
    matched: usize,
    /// How many bytes of that are not data, if the match fails.
    taken: usize,
    parts: usize,
    outside_bytes: usize,
    head: Head,
}

/// The state of a part's head.
#[derive(Debug, Default)]
struct Head {
    /// The beginning of an incomplete line.
    line: Vec<u8>,
    bytes: usize,
    fields: usize,
    disposed: bool,
    name: Option<Vec<u8>>,
    filename: Option<Vec<u8>>,
    content_type: Option<Vec<u8>>,
}

impl Multipart {
    /// A parser at the start of a body. The boundary is the one that [`boundary_of`] found.
    pub fn new(boundary: &[u8], limits: Limits) -> Result<Multipart, Refusal> {
        if !is_boundary(boundary) {
            return Err(Refusal::Boundary);
        }
        Ok(Multipart {
            state: State::Preamble,
            limits,
            finder: Finder::new(&[b"\r\n--", boundary].concat()).into_owned(),
            matched: LINE_END,
            taken: LINE_END,
            parts: 0,
            outside_bytes: 0,
            head: Head::default(),
        })
    }

    /// Parses the next bytes of the body, and passes the events to `sink`, in order.
    ///
    /// The events do not depend on the pieces, except for where data is divided. After a refusal, or an error of the sink, further bytes are
    /// ignored. The cost is linear in the bytes, even if they come one by one.
    pub fn feed<E: From<Refusal>>(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        let outcome = self.read(bytes, sink);
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome
    }

    fn read<E: From<Refusal>>(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let consumed = match self.state {
                State::Preamble | State::Data => self.search(rest, sink)?,
                State::Head => self.head_line(rest, sink)?,
                State::Epilogue => {
                    self.count_outside(rest.len())?;
                    rest.len()
                }
                State::Failed => rest.len(),
                _ => {
                    self.boundary_line(first)?;
                    1
                }
            };
            rest = &rest[consumed..];
        }
        Ok(())
    }

    /// May the body end here? Only after its last boundary.
    pub fn finish(&self) -> Result<(), Refusal> {
        match self.state {
            State::LastPadding | State::LastLf | State::Epilogue => Ok(()),
            _ => Err(Refusal::Incomplete),
        }
    }

    /// The size of its memory, without the struct itself.
    pub fn memory_bytes(&self) -> usize {
        let text = |text: &Option<Vec<u8>>| text.as_ref().map_or(0, Vec::capacity);
        let head = &self.head;
        self.finder.needle().len() + head.line.capacity() + text(&head.name) + text(&head.filename) + text(&head.content_type)
    }

    /// Searches for the next delimiter, and passes on what precedes it. Returns how many bytes it has consumed.
    fn search<E: From<Refusal>>(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event<'_>) -> Result<(), E>) -> Result<usize, E> {
        let delimiter = self.finder.needle();
        let expected = &delimiter[self.matched..];
        let mut start = 0;
        if self.matched > 0 {
            let same = bytes.iter().zip(expected).take_while(|(byte, expected)| byte == expected).count();
            if same == expected.len() {
                self.end_search(sink)?;
                return Ok(same);
            }
            self.matched += same;
            if same == bytes.len() {
                return Ok(same);
            }
            // The match has failed. The bytes that had matched earlier are gone, but equal those of the delimiter.
            let before = &delimiter[self.taken..self.matched];
            pass(before, self.state, &mut self.outside_bytes, &self.limits, sink)?;
            start = same;
        }
        let rest = &bytes[start..];
        let found = self.finder.find(rest);
        let end = found.unwrap_or(rest.len() - common_len(rest, delimiter));
        pass(&rest[..end], self.state, &mut self.outside_bytes, &self.limits, sink)?;
        (self.matched, self.taken) = (rest.len() - end, 0);
        if found.is_none() {
            return Ok(bytes.len());
        }
        let consumed = start + end + delimiter.len();
        self.end_search(sink)?;
        Ok(consumed)
    }

    fn end_search<E: From<Refusal>>(&mut self, sink: &mut dyn FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.state == State::Data {
            sink(Event::End)?;
        }
        self.state = State::Boundary;
        Ok(())
    }

    /// Processes one byte after a boundary.
    ///
    /// RFC 2046 5.1.1: `transport-padding := *LWSP-char`, and the last boundary has "two more hyphens". Parsers differ in whether a line with
    /// anything else is a boundary, so it is refused.
    fn boundary_line(&mut self, b: u8) -> Result<(), Refusal> {
        self.state = match (self.state, b) {
            (State::Boundary, b'-') => State::Hyphen,
            (State::Hyphen, b'-') => State::LastPadding,
            (State::Boundary | State::Padding, b' ' | b'\t') => {
                self.count_outside(1)?;
                State::Padding
            }
            (State::Boundary | State::Padding, b'\r') => State::PaddingLf,
            (State::PaddingLf, b'\n') => {
                self.begin_head()?;
                State::Head
            }
            (State::LastPadding, b' ' | b'\t') => {
                self.count_outside(1)?;
                State::LastPadding
            }
            (State::LastPadding, b'\r') => State::LastLf,
            (State::LastLf, b'\n') => State::Epilogue,
            _ => return Err(Refusal::BoundaryLine),
        };
        Ok(())
    }

    fn begin_head(&mut self) -> Result<(), Refusal> {
        self.parts += 1;
        if self.parts > self.limits.parts {
            return Err(Refusal::PartCount);
        }
        let mut line = std::mem::take(&mut self.head.line);
        line.clear();
        self.head = Head { line, ..Head::default() };
        Ok(())
    }

    /// Processes a line of a head, or the part of it that is here. Returns how many bytes it has consumed.
    fn head_line<E: From<Refusal>>(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event<'_>) -> Result<(), E>) -> Result<usize, E> {
        let line_feed = memchr(b'\n', bytes);
        let piece = &bytes[..line_feed.map_or(bytes.len(), |at| at + 1)];
        let head = &mut self.head;
        head.bytes += piece.len();
        if head.bytes > self.limits.head_bytes {
            return Err(Refusal::HeadLength.into());
        }
        if line_feed.is_none() {
            head.line.extend_from_slice(piece);
            return Ok(piece.len());
        }
        let mut kept = std::mem::take(&mut head.line);
        let line = if kept.is_empty() {
            piece
        } else {
            kept.extend_from_slice(piece);
            &kept
        };
        match line.strip_suffix(b"\r\n").ok_or(Refusal::LineEnd)? {
            b"" => {
                sink(Event::Begin(head.part()?))?;
                self.state = State::Data;
                (self.matched, self.taken) = (LINE_END, LINE_END);
            }
            field => head.field(field, &self.limits)?,
        }
        kept.clear();
        head.line = kept;
        Ok(piece.len())
    }

    fn count_outside(&mut self, bytes: usize) -> Result<(), Refusal> {
        count(bytes, &mut self.outside_bytes, &self.limits)
    }
}

impl Head {
    /// The part, after its head. RFC 7578 4.2: the field "MUST also contain an additional parameter of "name"".
    fn part(&self) -> Result<Part<'_>, Refusal> {
        let name = self.name.as_deref().ok_or(Refusal::NameMissing)?;
        Ok(Part { name, filename: self.filename.as_deref(), content_type: self.content_type.as_deref() })
    }

    /// Processes one field line, without its end.
    fn field(&mut self, line: &[u8], limits: &Limits) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > limits.fields {
            return Err(Refusal::FieldCount);
        }
        if let [b' ' | b'\t', ..] = line {
            return Err(Refusal::FieldFold);
        }
        let colon = memchr(b':', line).ok_or(Refusal::FieldName)?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        if !is_token(name) {
            return Err(Refusal::FieldName);
        }
        if !is_value(value) {
            return Err(Refusal::FieldValue);
        }
        if headers::is(name, b"content-disposition") {
            if std::mem::replace(&mut self.disposed, true) {
                return Err(Refusal::FieldRepeated);
            }
            self.disposition(value, limits)
        } else if headers::is(name, b"content-type") {
            if self.content_type.is_some() {
                return Err(Refusal::FieldRepeated);
            }
            self.content_type = Some(bounded(value.to_vec(), limits)?);
            Ok(())
        } else {
            // RFC 7578 4.8: other fields "MUST be ignored". Content-Transfer-Encoding is one of them: 4.7 deprecates it.
            Ok(())
        }
    }

    fn disposition(&mut self, value: &[u8], limits: &Limits) -> Result<(), Refusal> {
        let (kind, parameters) = divide(value);
        // RFC 7578 4.2: "the disposition type is "form-data""
        if !headers::is(kind, b"form-data") {
            return Err(Refusal::Disposition);
        }
        let mut extended = None;
        for parameter in parameters {
            let parameter = parameter.ok_or(Refusal::Disposition)?;
            let repeated = if headers::is(parameter.name, b"name") {
                self.name.replace(bounded(parameter.text(), limits)?).is_some()
            } else if headers::is(parameter.name, b"filename") {
                self.filename.replace(bounded(parameter.text(), limits)?).is_some()
            } else if parameter.name.eq_ignore_ascii_case(b"filename*") {
                extended.replace(parameter.value).is_some()
            } else {
                false
            };
            if repeated {
                return Err(Refusal::Disposition);
            }
        }
        // RFC 7578 4.2: `filename*` "MUST NOT be used". Some clients send it all the same, and some send only that.
        if let (None, Some(value)) = (&self.filename, extended) {
            self.filename = Some(bounded(extended_text(value).ok_or(Refusal::Disposition)?, limits)?);
        }
        Ok(())
    }
}

/// Passes on bytes that are not a delimiter: data, or part of the preamble.
fn pass<E: From<Refusal>>(
    bytes: &[u8],
    state: State,
    outside_bytes: &mut usize,
    limits: &Limits,
    sink: &mut dyn FnMut(Event<'_>) -> Result<(), E>,
) -> Result<(), E> {
    if state == State::Preamble {
        Ok(count(bytes.len(), outside_bytes, limits)?)
    } else if bytes.is_empty() {
        Ok(())
    } else {
        sink(Event::Data(bytes))
    }
}

fn count(bytes: usize, outside_bytes: &mut usize, limits: &Limits) -> Result<(), Refusal> {
    *outside_bytes = outside_bytes.saturating_add(bytes);
    if *outside_bytes > limits.outside_bytes { Err(Refusal::OutsideLength) } else { Ok(()) }
}

/// The length of the longest end of a text that may be the beginning of a delimiter.
fn common_len(text: &[u8], delimiter: &[u8]) -> usize {
    let tail = &text[text.len() - text.len().min(delimiter.len() - 1)..];
    match memrchr(b'\r', tail) {
        Some(at) if delimiter.starts_with(&tail[at..]) => tail.len() - at,
        _ => 0,
    }
}

fn bounded(text: Vec<u8>, limits: &Limits) -> Result<Vec<u8>, Refusal> {
    if text.len() > limits.name_bytes { Err(Refusal::NameLength) } else { Ok(text) }
}

/// The boundary in the value of Content-Type; None if that is not multipart/form-data.
///
/// RFC 2046 5.1.1 permits spaces, commas, slashes and others in boundaries. Those that are not tokens must be quoted.
pub fn boundary_of(content_type: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    let (kind, parameters) = divide(content_type);
    if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
        return Ok(None);
    }
    let mut boundary = None;
    for parameter in parameters {
        let parameter = parameter.ok_or(Refusal::Boundary)?;
        // Two boundaries would give a body two meanings.
        if headers::is(parameter.name, b"boundary") && boundary.replace(parameter.value).is_some() {
            return Err(Refusal::Boundary);
        }
    }
    boundary.filter(|boundary| is_boundary(boundary)).map(Some).ok_or(Refusal::Boundary)
}

/// RFC 2046 5.1.1: `boundary := 0*69<bchars> bcharsnospace`
fn is_boundary(text: &[u8]) -> bool {
    let is_allowed = |b: &u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(b);
    text.len() <= MAX_BOUNDARY_BYTES && text.last().is_some_and(|&last| last != b' ') && text.iter().all(is_allowed)
}

/// A value's first word, and its parameters.
fn divide(value: &[u8]) -> (&[u8], Parameters<'_>) {
    let (kind, rest) = value.split_at(memchr(b';', value).unwrap_or(value.len()));
    (trim(kind), Parameters { rest })
}

/// RFC 9110 5.6.6: `parameters = *( OWS ";" OWS [ parameter ] )`. A malformed one is None, and ends the list.
struct Parameters<'a> {
    rest: &'a [u8],
}

/// RFC 9110 5.6.6: `parameter = parameter-name "=" parameter-value`
struct Parameter<'a> {
    name: &'a [u8],
    /// Without the quotes around it, otherwise unchanged.
    value: &'a [u8],
    quoted: bool,
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Option<Parameter<'a>>;

    fn next(&mut self) -> Option<Option<Parameter<'a>>> {
        loop {
            match trim(self.rest) {
                [] => return None,
                [b';', rest @ ..] => self.rest = trim(rest),
                _ => return self.give(None),
            }
            if !matches!(self.rest, [] | [b';', ..]) {
                let parameter = self.parameter();
                return self.give(parameter);
            }
        }
    }
}

impl<'a> Parameters<'a> {
    fn give(&mut self, parameter: Option<Parameter<'a>>) -> Option<Option<Parameter<'a>>> {
        if parameter.is_none() {
            self.rest = b"";
        }
        Some(parameter)
    }

    fn parameter(&mut self) -> Option<Parameter<'a>> {
        let (name, rest) = token(self.rest)?;
        let rest = rest.strip_prefix(b"=")?;
        if let [b'"', rest @ ..] = rest {
            let end = closing_quote(rest)?;
            self.rest = &rest[end + 1..];
            return Some(Parameter { name, value: &rest[..end], quoted: true });
        }
        let (value, rest) = token(rest)?;
        self.rest = rest;
        Some(Parameter { name, value, quoted: false })
    }
}

impl Parameter<'_> {
    /// The decoded value, as browsers and others encode it.
    ///
    /// The WHATWG's HTML standard writes a quote, CR and LF as `%22`, `%0D` and `%0A`, and everything else as it is: no
    /// other escape is one. Those that follow RFC 9110 5.6.4 put a backslash before a quote and before a backslash; one
    /// before anything else is itself, as in `C:\photo.jpg`.
    fn text(&self) -> Vec<u8> {
        if !self.quoted {
            return self.value.to_vec();
        }
        let mut text = Vec::with_capacity(self.value.len());
        let mut rest = self.value;
        while let Some(at) = memchr2(b'%', b'\\', rest) {
            text.extend_from_slice(&rest[..at]);
            let (byte, len) = match rest[at..] {
                [b'%', b'2', b'2', ..] => (b'"', 3),
                [b'%', b'0', b'D' | b'd', ..] => (b'\r', 3),
                [b'%', b'0', b'A' | b'a', ..] => (b'\n', 3),
                [b'\\', byte @ (b'"' | b'\\'), ..] => (byte, 2),
                _ => (rest[at], 1),
            };
            text.push(byte);
            rest = &rest[at + len..];
        }
        text.extend_from_slice(rest);
        text
    }
}

/// The token at the start of a text, and what follows it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = text.iter().position(|&b| !is_token_byte(b)).unwrap_or(text.len());
    if len == 0 { None } else { Some(text.split_at(len)) }
}

/// The position of the quote that ends a quoted string, which is not escaped by a backslash.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// RFC 8187 3.2.1: `ext-value = charset "'" [ language ] "'" value-chars`; "UTF-8" is the charset that all must know.
fn extended_text(value: &[u8]) -> Option<Vec<u8>> {
    let (charset, rest) = value.split_at(memchr(b'\'', value)?);
    let escaped = &rest[1..][memchr(b'\'', &rest[1..])? + 1..];
    let mut text = Vec::with_capacity(escaped.len());
    (charset.eq_ignore_ascii_case(b"UTF-8") && percent_decode_into(escaped, &mut text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part as it came: the data in one piece.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Came {
        name: String,
        filename: Option<String>,
        content_type: Option<String>,
        data: String,
        ended: bool,
    }

    impl Came {
        fn new(name: &str, data: &str) -> Came {
            Came { name: name.into(), data: data.into(), ended: true, ..Came::default() }
        }

        fn file(name: &str, filename: &str, content_type: Option<&str>, data: &str) -> Came {
            Came { filename: Some(filename.into()), content_type: content_type.map(Into::into), ..Came::new(name, data) }
        }
    }

    const LIMITS: Limits = Limits { parts: 3, head_bytes: 200, fields: 3, name_bytes: 30, outside_bytes: 20 };

    /// The parts of a body fed in pieces of these lengths, the last of which is repeated; and how it ends.
    fn parse(body: &[u8], limits: Limits, lens: &mut dyn Iterator<Item = usize>) -> (Vec<Came>, Result<(), Refusal>) {
        let mut multipart = Multipart::new(b"b", limits).unwrap();
        let mut came: Vec<Came> = Vec::new();
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let mut sink = |event: Event<'_>| -> Result<(), Refusal> {
            match event {
                Event::Begin(part) => {
                    assert!(came.last().is_none_or(|last| last.ended), "a part begins in a part");
                    let (name, data, ended) = (text(part.name), String::new(), false);
                    came.push(Came { name, data, ended, filename: part.filename.map(text), content_type: part.content_type.map(text) });
                }
                Event::Data(data) => {
                    assert!(!data.is_empty(), "data without a byte");
                    let last = came.last_mut().filter(|last| !last.ended).expect("data is in a part");
                    last.data.push_str(&text(data));
                }
                Event::End => {
                    let last = came.last_mut().filter(|last| !last.ended).expect("what ends has begun");
                    last.ended = true;
                }
            }
            Ok(())
        };
        let mut rest = body;
        let mut outcome = Ok(());
        while !rest.is_empty() && outcome.is_ok() {
            let (piece, after) = rest.split_at(lens.next().unwrap_or(rest.len()).clamp(1, rest.len()));
            outcome = multipart.feed(piece, &mut sink);
            rest = after;
            assert!(multipart.memory_bytes() <= 3 * limits.head_bytes + 80, "{}", multipart.memory_bytes());
        }
        if outcome.is_err() {
            let mut sink = |event: Event<'_>| -> Result<(), Refusal> { panic!("{event:?} after a refusal") };
            assert_eq!(multipart.feed(body, &mut sink), Ok(()));
            assert_eq!(multipart.finish(), Err(Refusal::Incomplete));
        }
        let outcome = outcome.and_then(|()| multipart.finish());
        (came, outcome)
    }

    /// The parts of a body, after checking that they are the same however it is cut: at one place, at every one.
    fn read(body: &[u8], limits: Limits) -> (Vec<Came>, Result<(), Refusal>) {
        let whole = parse(body, limits, &mut [].into_iter());
        for cut in 1..body.len() {
            assert_eq!(parse(body, limits, &mut [cut].into_iter()), whole, "cut at {cut}: {}", body.escape_ascii());
        }
        for len in 1..=body.len().min(7) {
            assert_eq!(parse(body, limits, &mut std::iter::repeat(len)), whole, "in pieces of {len}: {}", body.escape_ascii());
        }
        whole
    }

    #[track_caller]
    fn check(body: &str, expected: &[Came]) {
        assert_eq!(read(body.as_bytes(), LIMITS), (expected.to_vec(), Ok(())), "{body:?}");
    }

    /// A part whose Content-Disposition is this.
    fn disposed(value: &str) -> String {
        format!("--b\r\nContent-Disposition: {value}\r\n\r\nx\r\n--b--\r\n")
    }

    #[track_caller]
    fn refused(body: &str) -> Refusal {
        read(body.as_bytes(), LIMITS).1.expect_err(body)
    }

    #[test]
    fn a_form_with_fields_and_files_is_read_however_it_is_cut() {
        check(
            "--b\r\n\
            Content-Disposition: form-data; name=\"text\"\r\n\r\n\
            two\r\nlines\r\n--b\r\n\
            content-disposition:form-data;name=upload;filename=a.bin\r\n\
            Content-Type: application/octet-stream \r\n\
            Content-Transfer-Encoding: base64\r\n\r\n\
            \r\r\n\r\n-\r\n--\r\n--B\r\n\n--b\r\n\
            \r\n--b--\r\n",
            &[
                Came::new("text", "two\\r\\nlines"),
                Came::file("upload", "a.bin", Some("application/octet-stream"), "\\r\\r\\n\\r\\n-\\r\\n--\\r\\n--B\\r\\n\\n--b\\r\\n"),
            ],
        );
    }

    /// For some it is data, for others a boundary: RFC 2046 5.1.1 wants "the boundary string" compared "with the beginning
    /// of each candidate line".
    #[test]
    fn a_line_of_data_that_begins_like_the_boundary_is_refused() {
        let (came, outcome) = read(disposed("form-data; name=a").replace("x\r\n", "x\r\n--bc\r\n").as_bytes(), LIMITS);
        assert_eq!((came, outcome), (vec![Came::new("a", "x")], Err(Refusal::BoundaryLine)));
    }

    #[test]
    fn what_is_outside_of_the_parts_is_skipped() {
        let part = "Content-Disposition: form-data; name=a\r\n\r\n1";
        for body in [
            format!("--b\r\n{part}\r\n--b--"),
            format!("--b\r\n{part}\r\n--b--\r\n"),
            format!("--b\r\n{part}\r\n--b-- \t\r\nepilogue\r\n--b\r\n"),
            format!("\r\n--b\r\n{part}\r\n--b--"),
            format!("preamble --b\r\n--b \t \r\n{part}\r\n--b--"),
            format!("\r\n\r\n--\r\r\n--b\r\n{part}\r\n--b--"),
        ] {
            check(&body, &[Came::new("a", "1")]);
        }
    }

    #[test]
    fn a_form_may_be_empty_and_so_may_its_parts() {
        check("--b--\r\n", &[]);
        check("--b--", &[]);
        // The line end before a boundary belongs to it: here it is the empty line, too.
        for data in ["", "\r\n"] {
            check(&format!("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n{data}--b--"), &[Came::new("a", "")]);
        }
        check("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n\r\n--b--", &[Came::new("a", "\\r\\n")]);
    }

    #[test]
    fn parameters_are_tokens_or_quoted_as_browsers_and_others_do() {
        for (value, name, filename) in [
            ("form-data; name=a", "a", None),
            ("Form-Data;NAME=\"a\"", "a", None),
            ("form-data ;\t name=\"a b\" ; ; x=y;", "a b", None),
            ("form-data; name=\"\"", "", None),
            ("form-data; name=\"a;b=c\"; filename=\"\"", "a;b=c", Some("")),
            ("form-data; filename=\"x\"; name=\"a\"", "a", Some("x")),
            ("form-data; name=\"a%22b\"; filename=\"%0D%0A%0d%0a%22%25%2\"", "a\\\"b", Some("\\r\\n\\r\\n\\\"%25%2")),
            ("form-data; name=a%22; filename=\"%00%41%\"", "a%22", Some("%00%41%")),
            ("form-data; name=a; filename=\"C:\\new\\\\x\\\"y\"", "a", Some("C:\\\\new\\\\x\\\"y")),
            ("form-data; name=a; filename=\"\\\\\"", "a", Some("\\\\")),
            ("form-data; name=a; filename=\"../../etc/passwd\"", "a", Some("../../etc/passwd")),
            ("form-data; name=\"é\"; filename=\"\u{20ac}\"", "\\xc3\\xa9", Some("\\xe2\\x82\\xac")),
            ("form-data; name=a; filename=x; filename*=UTF-8''y", "a", Some("x")),
            ("form-data; name=a; filename*=latin1''y; filename=x", "a", Some("x")),
            ("form-data; name=a; filename*=utf-8'en'%E2%82%ACx", "a", Some("\\xe2\\x82\\xacx")),
        ] {
            let part = Came { filename: filename.map(Into::into), ..Came::new(name, "x") };
            check(&disposed(value), &[part]);
        }
    }

    #[test]
    fn a_malformed_disposition_is_refused() {
        for (value, refusal) in [
            ("", Refusal::Disposition),
            ("form-data", Refusal::NameMissing),
            ("form-data; filename=x", Refusal::NameMissing),
            ("attachment; name=a", Refusal::Disposition),
            ("form-data name=a", Refusal::Disposition),
            ("form-data; name", Refusal::Disposition),
            ("form-data; name=", Refusal::Disposition),
            ("form-data; name =a", Refusal::Disposition),
            ("form-data; name= a", Refusal::Disposition),
            ("form-data; =a", Refusal::Disposition),
            ("form-data; name=a b", Refusal::Disposition),
            ("form-data; name=\"a", Refusal::Disposition),
            ("form-data; name=\"a\\", Refusal::Disposition),
            ("form-data; name=\"a\\\"", Refusal::Disposition),
            ("form-data; name=\"a\"b", Refusal::Disposition),
            ("form-data; name=é", Refusal::Disposition),
            ("form-data; name=a; name=a", Refusal::Disposition),
            ("form-data; name=a; filename=x; FILENAME=y", Refusal::Disposition),
            ("form-data; name=a; filename*=utf-8''x; filename*=utf-8''y", Refusal::Disposition),
            ("form-data; name=a; filename*=x", Refusal::Disposition),
            ("form-data; name=a; filename*=latin1''x", Refusal::Disposition),
            ("form-data; name=a; filename*=utf-8''%00", Refusal::Disposition),
            ("form-data; name=\"a\0\"", Refusal::FieldValue),
            ("form-data; name=\"a\rb\"", Refusal::FieldValue),
            ("form-data;\r\n name=a", Refusal::FieldFold),
            ("form-data; name=\"a\nb\"", Refusal::LineEnd),
        ] {
            assert_eq!(refused(&disposed(value)), refusal, "{value:?}");
        }
    }

    #[test]
    fn a_malformed_body_is_refused() {
        let field = "Content-Disposition: form-data; name=a\r\n";
        for (body, refusal) in [
            ("".to_owned(), Refusal::Incomplete),
            ("--b".to_owned(), Refusal::Incomplete),
            ("--b-".to_owned(), Refusal::Incomplete),
            ("a=1&b=2".to_owned(), Refusal::Incomplete),
            ("x--b--".to_owned(), Refusal::Incomplete),
            ("\n--b--".to_owned(), Refusal::Incomplete),
            (format!("--b\r\n{field}\r\n1"), Refusal::Incomplete),
            (format!("--b\r\n{field}\r\n1\n--b--"), Refusal::Incomplete),
            (format!("--b\r\n{field}\r\n1\r--b--"), Refusal::Incomplete),
            (format!("--b\r\n{field}\r\n1\r\n--b"), Refusal::Incomplete),
            (format!("--b\r\n{field}"), Refusal::Incomplete),
            ("--bb\r\n".to_owned(), Refusal::BoundaryLine),
            (format!("--b\n{field}"), Refusal::BoundaryLine),
            (format!("--b\rx{field}"), Refusal::BoundaryLine),
            (format!("--b -\r\n{field}"), Refusal::BoundaryLine),
            ("--b-x".to_owned(), Refusal::BoundaryLine),
            ("--b--x".to_owned(), Refusal::BoundaryLine),
            ("--b--\n".to_owned(), Refusal::BoundaryLine),
            ("--b-- \rx".to_owned(), Refusal::BoundaryLine),
            ("--b\r\n\r\n1\r\n--b--".to_owned(), Refusal::NameMissing),
            ("--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--".to_owned(), Refusal::NameMissing),
            (format!("--b\r\n{field}--b--"), Refusal::Incomplete),
            (format!("--b\r\n{field}--b--\r\n"), Refusal::FieldName),
            (format!("--b\r\n{field}\n1\r\n--b--"), Refusal::LineEnd),
            (format!("--b\r\nx\r\n{field}\r\n"), Refusal::FieldName),
            (format!("--b\r\nx : y\r\n{field}\r\n"), Refusal::FieldName),
            (format!("--b\r\n: y\r\n{field}\r\n"), Refusal::FieldName),
            (format!("--b\r\nx: \x7f\r\n{field}\r\n"), Refusal::FieldValue),
            (format!("--b\r\n x: y\r\n{field}\r\n"), Refusal::FieldFold),
            (format!("--b\r\n{field}{field}\r\n"), Refusal::FieldRepeated),
            (format!("--b\r\nContent-Disposition: form-data\r\n{field}\r\n"), Refusal::FieldRepeated),
            (format!("--b\r\n{field}Content-Type: a/b\r\nContent-type:\r\n\r\n"), Refusal::FieldRepeated),
        ] {
            assert_eq!(refused(&body), refusal, "{body:?}");
        }
    }

    #[test]
    fn each_limit_holds_to_the_byte() {
        let part = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
        let bodies = |filling: &dyn Fn(usize) -> String, most: usize| (filling(most), filling(most + 1));
        let head = |len: usize| {
            let line = "Content-Disposition: form-data; name=a\r\n\r\n";
            format!("--b\r\nX: {}\r\n{line}\r\n--b--", "y".repeat(len - line.len() - 5))
        };
        for ((fits, too_much), refusal) in [
            (bodies(&|parts| format!("{}--b--", part.repeat(parts)), 3), Refusal::PartCount),
            (bodies(&|len| disposed(&format!("form-data; name={}", "n".repeat(len))), 30), Refusal::NameLength),
            (bodies(&|len| disposed(&format!("form-data; name=a; filename=\"{}\"", "%22".repeat(len))), 30), Refusal::NameLength),
            (bodies(&|len| disposed(&format!("form-data; name=a; filename*=utf-8''{}", "%22".repeat(len))), 30), Refusal::NameLength),
            (bodies(&|len| disposed(&format!("form-data; name=a\r\nContent-Type: {}", "t".repeat(len))), 30), Refusal::NameLength),
            (bodies(&|count| disposed(&format!("form-data; name=a{}", "\r\nX: y".repeat(count - 1))), 3), Refusal::FieldCount),
            (bodies(&head, 200), Refusal::HeadLength),
            (bodies(&|len| format!("{}\r\n--b--", "p".repeat(len)), 20), Refusal::OutsideLength),
            (bodies(&|len| format!("--b--\r\n{}", "e".repeat(len)), 20), Refusal::OutsideLength),
            (bodies(&|len| format!("--b--{}", " ".repeat(len)), 20), Refusal::OutsideLength),
            (bodies(&|len| format!("p\r\n--b{}{}--b-- ", " ".repeat(len - 2), &part[3..]), 20), Refusal::OutsideLength),
        ] {
            assert_eq!(read(fits.as_bytes(), LIMITS).1, Ok(()), "{fits:?}");
            assert_eq!(refused(&too_much), refusal, "{too_much:?}");
            assert_eq!(refusal.status(), 413);
        }
    }

    #[test]
    fn a_head_that_never_ends_is_refused_before_it_does() {
        for head in ["x".repeat(201), "X: y\r\n".repeat(4), format!("Content-Disposition: {}", " ".repeat(200))] {
            let refusal = refused(&format!("--b\r\n{head}"));
            assert!(matches!(refusal, Refusal::HeadLength | Refusal::FieldCount), "{head:?}: {refusal:?}");
        }
    }

    #[test]
    fn boundaries_are_found_in_a_type() {
        let long = "x".repeat(70);
        for (content_type, boundary) in [
            ("multipart/form-data; boundary=x", Some("x")),
            ("Multipart/Form-Data;Boundary=----WebKitFormBoundaryaB3", Some("----WebKitFormBoundaryaB3")),
            ("multipart/form-data ; charset=\"a;\\\"boundary=b\" ; boundary=\"a b'()+_,-./:=?\";", Some("a b'()+_,-./:=?")),
            (&format!("multipart/form-data; boundary={long}"), Some(&long)),
            ("", None),
            ("multipart/mixed; boundary=x", None),
            ("multipart/form-datax; boundary=x", None),
            ("application/x-www-form-urlencoded", None),
        ] {
            assert_eq!(boundary_of(content_type.as_bytes()), Ok(boundary.map(str::as_bytes)), "{content_type:?}");
        }
    }

    #[test]
    fn a_type_without_one_good_boundary_is_refused() {
        for parameters in [
            "",
            ";",
            "; boundary",
            "; boundary=",
            "; boundary=\"\"",
            "; boundary=\"x",
            "; boundary=\"x \"",
            "; boundary=\"x\\y\"",
            "; boundary=x/y",
            "; boundary=x y",
            "; boundary=*",
            "; boundary=\"\u{e9}\"",
            "; boundary=x; boundary=x",
            "; charset; boundary=x",
            &format!("; boundary={}", "x".repeat(71)),
        ] {
            let content_type = format!("multipart/form-data{parameters}");
            assert_eq!(boundary_of(content_type.as_bytes()), Err(Refusal::Boundary), "{content_type:?}");
        }
        for boundary in [&b""[..], b"x ", b"a\r\nb", b"\"", &[b'x'; 71]] {
            assert!(matches!(Multipart::new(boundary, LIMITS), Err(Refusal::Boundary)), "{}", boundary.escape_ascii());
        }
    }

    #[test]
    fn an_error_of_the_sink_stops_the_parser() {
        #[derive(Debug, PartialEq)]
        struct Full;
        impl From<Refusal> for Full {
            fn from(refusal: Refusal) -> Full {
                panic!("{refusal}")
            }
        }
        let mut multipart = Multipart::new(b"b", LIMITS).unwrap();
        let mut events = 0;
        let mut sink = |event: Event<'_>| {
            events += 1;
            if let Event::Data(_) = event { Err(Full) } else { Ok(()) }
        };
        assert_eq!(multipart.feed(disposed("form-data; name=a").as_bytes(), &mut sink), Err(Full));
        assert_eq!(multipart.feed(b"\r\n--b--", &mut sink), Ok(()));
        assert_eq!((events, multipart.finish()), (2, Err(Refusal::Incomplete)));
    }

    /// Were it quadratic, this would take hours.
    #[test]
    fn data_that_is_almost_a_boundary_costs_no_more() {
        let boundary = "-".repeat(69) + "b";
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=a\r\n\r\n");
        for almost in [format!("\r\n--{}", &boundary[..69]), "-".repeat(72), "\r".to_owned(), "\r\n".to_owned(), "\r\n--".to_owned()] {
            let data = almost.repeat(300_000 / almost.len()) + "x";
            let body = format!("{head}{data}\r\n--{boundary}--");
            for len in [1, 5, 73, 4096, usize::MAX] {
                let mut multipart = Multipart::new(boundary.as_bytes(), LIMITS).unwrap();
                let mut came = 0;
                let mut sink = |event: Event<'_>| -> Result<(), Refusal> {
                    came += if let Event::Data(data) = event { data.len() } else { 0 };
                    Ok(())
                };
                body.as_bytes().chunks(len).try_for_each(|piece| multipart.feed(piece, &mut sink)).unwrap();
                assert_eq!(multipart.finish(), Ok(()));
                assert_eq!(came, data.len(), "{almost:?} in pieces of {len}");
            }
        }
    }

    /// SplitMix64: numbers that look random and come again from their seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) % limit as u64) as usize
        }

        fn body(&mut self) -> Vec<u8> {
            const PIECES: [&str; 22] = [
                "--b\r\n",
                "\r\n--b\r\n",
                "\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
                "\r\n--b\r\nContent-Disposition: form-data; name=b; filename=\"c\"\r\nContent-Type: a/b\r\n\r\n",
                "\r\n--b--",
                "\r\n--b--\r\n",
                "\r\n--b",
                "\r\n--",
                "\r\n",
                "\r",
                "\n",
                "-",
                "b",
                "\"",
                "\\",
                "%22",
                "; ",
                "filename*=utf-8''%41",
                ": ",
                "data",
                "\0",
                "\u{e9}",
            ];
            let mut body = Vec::new();
            if self.below(4) > 0 {
                body.extend_from_slice(&PIECES[self.below(2) + 2].as_bytes()[2..]);
            }
            for _ in 0..self.below(8) {
                body.extend_from_slice(PIECES[self.below(PIECES.len())].as_bytes());
            }
            if self.below(4) > 0 {
                body.extend_from_slice(b"\r\n--b--\r\n");
            }
            for _ in 0..self.below(3).saturating_sub(1) {
                let at = self.below(body.len() + 1);
                match self.below(3) {
                    0 => body.insert(at, self.below(256) as u8),
                    1 => body.truncate(at),
                    _ => drop((at < body.len()).then(|| body.remove(at))),
                }
            }
            body
        }
    }

    /// A form as the WHATWG's HTML standard has browsers write it.
    fn written(parts: &[Came]) -> Vec<u8> {
        let escaped = |name: &str| name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22");
        let mut body = String::new();
        for part in parts {
            body += &format!("--b\r\nContent-Disposition: form-data; name=\"{}\"", escaped(&part.name));
            part.filename.iter().for_each(|name| body += &format!("; filename=\"{}\"", escaped(name)));
            part.content_type.iter().for_each(|kind| body += &format!("\r\nContent-Type: {kind}"));
            body += &format!("\r\n\r\n{}\r\n", part.data);
        }
        (body + "--b--\r\n").into_bytes()
    }

    #[test]
    fn what_a_browser_writes_is_read_as_it_was_meant() {
        let mut random = Random(2);
        for _ in 0..5000 {
            let mut text =
                |pieces: &[&str], most: usize| -> String { (0..random.below(most)).map(|_| pieces[random.below(pieces.len())]).collect() };
            let names = ["a", "\"", "\r", "\n", "%", "; ", "=", " ", "\t", "\u{e9}", "'", "name"];
            let contents = ["x", "\r", "\n", "\r\n", "\r\n--", "--b", "-", "b", "\0", "\r\n-"];
            let parts: Vec<_> = (0..3)
                .map(|number| Came {
                    filename: (number > 0).then(|| text(&names, 5)),
                    content_type: (number > 1).then(|| "image/png".to_owned()),
                    // What holds the boundary is not written with it.
                    ..Came::new(&text(&names, 5), &text(&contents, 12).replace("--b", "--B"))
                })
                .collect();
            let shown = |text: &str| text.as_bytes().escape_ascii().to_string();
            let expected: Vec<_> = parts
                .iter()
                .map(|part| Came {
                    name: shown(&part.name),
                    filename: part.filename.as_deref().map(shown),
                    data: shown(&part.data),
                    ..part.clone()
                })
                .collect();
            let body = written(&parts);
            for most in [1, 10, 1000] {
                let came = parse(&body, LIMITS, &mut std::iter::repeat_with(|| 1 + random.below(most)));
                assert_eq!(came, (expected.clone(), Ok(())), "{}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_the_same_however_they_are_cut() {
        let mut random = Random(1);
        let (mut complete, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let body = random.body();
            let (came, outcome) = parse(&body, LIMITS, &mut [].into_iter());
            for most in [1, 3, 20] {
                let pieces = parse(&body, LIMITS, &mut std::iter::repeat_with(|| 1 + random.below(most)));
                assert_eq!(pieces, (came.clone(), outcome), "{}", body.escape_ascii());
            }
            complete += u32::from(outcome.is_ok() && !came.is_empty());
            refused += u32::from(outcome.is_err_and(|refusal| refusal != Refusal::Incomplete));
        }
        assert!(complete > 2000 && refused > 2000, "the bodies have grown dull: {complete} forms, {refused} refused");
    }
}

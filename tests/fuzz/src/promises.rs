//! What holds for any input, however broken.

use crate::forms;
use crate::random::Random;
use hasty::http::body::Chunked;
use hasty::http::headers::{Span, is_token};
use hasty::http::parser::{Framing, Head, Limits, Outcome, head_end, parse};
use hasty::http::refusal::Refusal;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Small, so that inputs of a few hundred bytes reach each of them.
pub const LIMITS: Limits = Limits { head_bytes: 600, fields: 8, target_bytes: 80 };

/// Up to this length an input is cut at every place; beyond it at some.
const CUT_EVERYWHERE: usize = 400;

/// What was seen.
#[derive(Default)]
pub struct Tally {
    pub inputs: u64,
    /// Those that a server was asked, too.
    pub exchanges: u64,
    /// How long the longest of these took.
    pub slowest: Duration,
    partial: u64,
    complete: [u64; 3],
    bodies: u64,
    /// Forms that were read, and what others were refused for.
    pub forms: u64,
    pub broken_forms: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
}

impl Tally {
    pub fn add(mut self, other: Tally) -> Tally {
        self.inputs += other.inputs;
        self.exchanges += other.exchanges;
        self.slowest = self.slowest.max(other.slowest);
        self.partial += other.partial;
        self.bodies += other.bodies;
        self.complete.iter_mut().zip(other.complete).for_each(|(a, b)| *a += b);
        self.forms += other.forms;
        for (ours, theirs) in [(&mut self.refused, other.refused), (&mut self.broken_forms, other.broken_forms)] {
            theirs.into_iter().for_each(|(refusal, count)| *ours.entry(refusal).or_default() += count);
        }
        self
    }

    /// Why these inputs say nothing, if so.
    pub fn dull(&self) -> Option<String> {
        let seen = self.refused.len();
        if self.complete.contains(&0) || self.bodies == 0 || self.partial == 0 {
            return Some(format!("heads {:?}, chunked bodies {}, partial {}", self.complete, self.bodies, self.partial));
        }
        let broken = self.broken_forms.len();
        if self.forms == 0 || broken < 12 {
            return Some(format!("{} forms, {broken} kinds of broken ones: {:?}", self.forms, self.broken_forms.keys()));
        }
        (seen < 25).then(|| format!("only {seen} kinds of refusal: {:?}", self.refused.keys()))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused: u64 = self.refused.values().sum();
        write!(
            f,
            "{} inputs ({} over the wire, in at most {:?}): {} heads ({} with a length, {} chunked), {} chunked bodies, {} partial, {refused} refused for {} reasons, {} forms, {} broken in {} ways",
            self.inputs,
            self.exchanges,
            self.slowest,
            self.complete.iter().sum::<u64>(),
            self.complete[1],
            self.complete[2],
            self.bodies,
            self.partial,
            self.refused.len(),
            self.forms,
            self.broken_forms.values().sum::<u64>(),
            self.broken_forms.len(),
        )
    }
}

pub type Promise = Result<(), String>;

macro_rules! promise {
    ($condition:expr, $($words:tt)*) => {
        if !$condition {
            return Err(format!($($words)*));
        }
    };
}
pub(crate) use promise;

/// Checks one input: its first request, and those that follow on the same connection.
pub fn check(input: &[u8], random: &mut Random, tally: &mut Tally) -> Promise {
    tally.inputs += 1;
    let mut rest = input;
    // A used head must not leak into the next parse.
    let mut head = Head::default();
    loop {
        let outcome = parse(rest, &LIMITS, &mut head);
        check_cuts(rest, outcome, random)?;
        check_scan(rest, outcome, random)?;
        match outcome {
            Outcome::Partial => {
                promise!(rest.len() <= LIMITS.head_bytes, "{} bytes are still partial", rest.len());
                tally.partial += u64::from(!rest.is_empty());
                return Ok(());
            }
            Outcome::Refused(refusal) => return refuse(refusal, tally),
            Outcome::Complete(end) => {
                check_head(rest, end, &head)?;
                check_alone(&rest[..end], &head)?;
                let kind = field(rest, &head, "Content-Type").to_vec();
                rest = &rest[end..];
                match head.framing {
                    Framing::Absent => tally.complete[0] += 1,
                    Framing::Length(length) => {
                        tally.complete[1] += 1;
                        let (body, later) = rest.split_at(usize::try_from(length).unwrap_or(usize::MAX).min(rest.len()));
                        forms::check(&kind, body, random, tally)?;
                        rest = later;
                    }
                    Framing::Chunked => {
                        tally.complete[2] += 1;
                        match check_body(rest, random)? {
                            Ok((body, Some(consumed))) => {
                                forms::check(&kind, &body, random, tally)?;
                                rest = &rest[consumed..];
                            }
                            Ok((body, None)) => return forms::check(&kind, &body, random, tally),
                            Err(refusal) => return refuse(refusal, tally),
                        }
                        tally.bodies += 1;
                    }
                }
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn refuse(refusal: Refusal, tally: &mut Tally) -> Promise {
    let (status, words) = refusal.explain();
    promise!(matches!(status, 400 | 413 | 414 | 417 | 431 | 501 | 505), "{refusal:?} answers {status}");
    promise!(!words.is_empty(), "{refusal:?} has no words");
    *tally.refused.entry(format!("{refusal:?}")).or_default() += 1;
    Ok(())
}

/// However the bytes are cut, the way is Partial... and then the outcome of the whole, at the same place.
fn check_cuts(input: &[u8], whole: Outcome, random: &mut Random) -> Promise {
    let mut head = Head::default();
    let mut before = Outcome::Partial;
    let mut cut = 0;
    while cut < input.len() {
        let part = parse(&input[..cut], &LIMITS, &mut head);
        match (before, part) {
            (Outcome::Partial, _) => {}
            (Outcome::Refused(_), Outcome::Refused(_)) => {}
            (Outcome::Complete(a), Outcome::Complete(b)) if a == b => {}
            _ => return Err(format!("{before:?} became {part:?} at byte {cut}")),
        }
        if let Outcome::Complete(end) = part {
            promise!(part == whole && cut >= end, "{part:?} of {cut} bytes, but {whole:?} of all");
        }
        before = part;
        cut += if input.len() <= CUT_EVERYWHERE { 1 } else { 1 + random.below(input.len() / 100) };
    }
    match (before, whole) {
        (Outcome::Partial, _) | (Outcome::Refused(_), Outcome::Refused(_)) => Ok(()),
        (Outcome::Complete(a), Outcome::Complete(b)) if a == b => Ok(()),
        _ => Err(format!("{before:?} became {whole:?} at the last byte")),
    }
}

/// The search for the blank line finds the same, byte by byte and at once; and it never misses a head's end.
fn check_scan(input: &[u8], outcome: Outcome, random: &mut Random) -> Promise {
    let (mut scanned, mut cut, mut found) = (0, 0, None);
    while cut < input.len() && found.is_none() {
        cut = (cut + 1 + random.below(8)).min(input.len());
        let (end, next) = head_end(&input[..cut], scanned);
        promise!(next <= cut, "scanned {next} of {cut} bytes");
        promise!(end == head_end(&input[..cut], 0).0, "scanning on from {scanned} of {cut} bytes finds something else");
        scanned = next;
        found = end.then_some(cut);
    }
    if let Outcome::Complete(end) = outcome {
        promise!(head_end(&input[..end], 0).0, "a head of {end} bytes without a blank line");
    }
    Ok(())
}

/// A head is nothing but its parts: put together again they give the bytes that came.
fn check_head(input: &[u8], end: usize, head: &Head) -> Promise {
    promise!(end <= input.len() && end <= LIMITS.head_bytes, "a head of {end} bytes, of {}", input.len());
    promise!(head.fields.len() <= LIMITS.fields, "{} fields", head.fields.len());
    promise!(head.target.whole.end() - head.target.whole.start() <= LIMITS.target_bytes, "a long target");
    promise!(head.minor <= 1, "minor version {}", head.minor);
    let mut lines = Lines { input, at: 0 };
    while input[lines.at..].starts_with(b"\r\n") {
        lines.at += 2;
    }
    lines.span("method", head.method_span)?;
    lines.exactly(b" ")?;
    lines.span("target", head.target.whole)?;
    lines.exactly(b" HTTP/1.")?;
    let digit = input[lines.at];
    promise!(digit.is_ascii_digit() && (digit == b'0') == (head.minor == 0), "minor version {digit}");
    lines.at += 1;
    lines.exactly(b"\r\n")?;
    promise!(is_token(head.method_span.of(input)), "the method is no token");
    for field in &head.fields {
        lines.span("name", field.name)?;
        promise!(is_token(field.name.of(input)), "a field's name is no token");
        lines.exactly(b":")?;
        lines.spaces(field.value.start());
        lines.span("value", field.value)?;
        let value = field.value.of(input);
        promise!(value.iter().all(|&b| b == b'\t' || b >= b' ' && b != 0x7f), "a control character in a value");
        promise!(value.trim_ascii().len() == value.len(), "a value with spaces around it");
        while matches!(input[lines.at], b' ' | b'\t') {
            lines.at += 1;
        }
        lines.exactly(b"\r\n")?;
    }
    lines.exactly(b"\r\n")?;
    promise!(lines.at == end, "the head ends at {}, not at {end}", lines.at);
    check_target(input, head)?;
    check_framing(input, head)
}

/// Reads the parts of a head one after the other.
struct Lines<'a> {
    input: &'a [u8],
    at: usize,
}

impl Lines<'_> {
    fn exactly(&mut self, text: &[u8]) -> Promise {
        promise!(self.input[self.at..].starts_with(text), "no {} at byte {}", text.escape_ascii(), self.at);
        self.at += text.len();
        Ok(())
    }

    fn span(&mut self, what: &str, span: Span) -> Promise {
        promise!(span.start() == self.at && span.end() <= self.input.len(), "{what} at {}, not at {}", span.start(), self.at);
        self.at = span.end();
        Ok(())
    }

    fn spaces(&mut self, until: usize) {
        while self.at < until && matches!(self.input[self.at], b' ' | b'\t') {
            self.at += 1;
        }
    }
}

fn check_target(input: &[u8], head: &Head) -> Promise {
    let (whole, path) = (head.target.whole, head.target.path);
    let text = whole.of(input);
    promise!(text.iter().all(|&b| b > b' ' && b != 0x7f), "a space or control character in the target");
    let inside = |span: Span| whole.start() <= span.start() && span.end() <= whole.end();
    promise!(head.target.asterisk == (text == b"*"), "asterisk-form of {}", text.escape_ascii());
    if head.target.asterisk {
        promise!(path.is_empty(), "a path in *");
        return Ok(());
    }
    promise!(
        inside(path) && head.target.query.is_none_or(inside) && head.target.authority.is_none_or(inside),
        "parts outside of the target"
    );
    promise!(path.is_empty() || path.of(input)[0] == b'/', "a path without a slash");
    promise!(!path.of(input).contains(&b'?'), "a question mark in the path");
    promise!(path.is_empty() <= head.target.authority.is_some(), "no path in origin-form");
    match head.target.query {
        None => promise!(path.end() == whole.end(), "something after the path"),
        Some(query) => {
            promise!(
                query.start() == path.end() + 1 && input[path.end()] == b'?' && query.end() == whole.end(),
                "the query is not after the path"
            )
        }
    }
    Ok(())
}

/// RFC 9112 6.3, told a second time and more simply: one length or one chunked, or neither.
fn check_framing(input: &[u8], head: &Head) -> Promise {
    let values = |name: &str| -> Vec<&[u8]> {
        let named = head.fields.iter().filter(|field| field.name.of(input).eq_ignore_ascii_case(name.as_bytes()));
        named.map(|field| field.value.of(input)).collect()
    };
    let (lengths, codings) = (values("Content-Length"), values("Transfer-Encoding"));
    let right = match head.framing {
        Framing::Absent => lengths.is_empty() && codings.is_empty(),
        Framing::Length(length) => {
            let digits = lengths.first().filter(|text| text.iter().all(u8::is_ascii_digit)).and_then(|text| std::str::from_utf8(text).ok());
            codings.is_empty() && lengths.len() == 1 && digits.and_then(|text| text.parse().ok()) == Some(length)
        }
        Framing::Chunked => {
            let joined = codings.join(&b","[..]).to_ascii_lowercase();
            let mut members = joined.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty());
            lengths.is_empty() && head.minor == 1 && members.next() == Some(b"chunked") && members.next().is_none()
        }
    };
    promise!(right, "{:?} with the lengths {} and the codings {}", head.framing, shown(&lengths), shown(&codings));
    promise!(head.minor == 0 || values("Host").len() == 1, "{} Host fields", values("Host").len());
    Ok(())
}

/// The first field of that name, or nothing.
pub fn field<'a>(input: &'a [u8], head: &Head, name: &str) -> &'a [u8] {
    let found = head.fields.iter().find(|field| field.name.of(input).eq_ignore_ascii_case(name.as_bytes()));
    found.map_or(b"", |field| field.value.of(input))
}

fn shown(values: &[&[u8]]) -> String {
    values.iter().map(|value| format!("<{}>", value.escape_ascii())).collect()
}

/// What follows a head does not change it.
fn check_alone(input: &[u8], head: &Head) -> Promise {
    for more in [&b""[..], b"\r\n", b" ", b"GET / HTTP/1.1\r\n", b"\0\xff"] {
        let mut again = Head::default();
        let outcome = parse(&[input, more].concat(), &LIMITS, &mut again);
        promise!(outcome == Outcome::Complete(input.len()) && again == *head, "followed by {} it is another head", more.escape_ascii());
    }
    Ok(())
}

/// The data of a chunked body and where it ends, or why it is refused: the same whole, byte by byte and in any pieces.
fn check_body(input: &[u8], random: &mut Random) -> Result<Body, String> {
    let whole = decode(input, || usize::MAX)?;
    let single = decode(input, || 1)?;
    promise_same(&whole, &single, "byte by byte")?;
    for most in [3, 20] {
        let pieces = decode(input, || 1 + random.below(most))?;
        promise_same(&whole, &pieces, "in pieces")?;
    }
    if let Ok((data, Some(consumed))) = &whole {
        let again = plainly(&input[..*consumed]).ok_or("a body that is none by the plain reading")?;
        if again != *data {
            return Err(format!("the data is {}, plainly read {}", data.escape_ascii(), again.escape_ascii()));
        }
    }
    Ok(whole)
}

type Body = Result<(Vec<u8>, Option<usize>), Refusal>;

fn promise_same(whole: &Body, other: &Body, how: &str) -> Promise {
    promise!(whole == other, "the body is {whole:?}, {how} {other:?}");
    Ok(())
}

/// Decodes as a connection does: new bytes are put after the data so far.
fn decode(input: &[u8], mut piece: impl FnMut() -> usize) -> Result<Body, String> {
    let mut decoder = Chunked::new(u64::MAX, LIMITS.head_bytes, LIMITS.fields);
    let (mut bytes, mut came) = (Vec::new(), 0);
    while came < input.len() {
        let end = came.saturating_add(piece()).min(input.len());
        let start = bytes.len();
        bytes.extend_from_slice(&input[came..end]);
        came = end;
        let decoded = match decoder.decode(&mut bytes, start, start) {
            Ok(decoded) => decoded,
            Err(refusal) => return Ok(Err(refusal)),
        };
        promise_in_place(decoded.data_end, decoded.consumed, bytes.len())?;
        let rest = bytes.len() - decoded.consumed;
        bytes.truncate(decoded.data_end);
        if decoded.done {
            return Ok(Ok((bytes, Some(came - rest))));
        }
        if rest > 0 {
            return Err(format!("{rest} bytes left alone before the end"));
        }
    }
    Ok(Ok((bytes, None)))
}

fn promise_in_place(data_end: usize, consumed: usize, len: usize) -> Promise {
    promise!(data_end <= consumed && consumed <= len, "data to {data_end}, consumed {consumed}, of {len}");
    Ok(())
}

/// A whole chunked body read in the plainest way: line by line.
fn plainly(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let line = line(&mut rest)?;
        let size = line.split(|&b| b == b';').next()?.trim_ascii_end();
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        data.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    while !line(&mut rest)?.is_empty() {}
    rest.is_empty().then_some(data)
}

fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let at = rest.windows(2).position(|two| two == b"\r\n")?;
    let line = &rest[..at];
    *rest = &rest[at + 2..];
    Some(line)
}

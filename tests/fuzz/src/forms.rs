//! Forms of several parts, read a second time and more simply: whole, and never cut.

use crate::promises::{Promise, Tally, promise};
use crate::random::Random;
use hasty::http::headers::{is_token, is_token_byte, is_value, trim};
use hasty::http::multipart::{Event, Limits, Multipart, Refusal, boundary_of};
use hasty::http::pairs::percent_decode_into;

/// Small, so that forms of a few hundred bytes reach each of them.
const TIGHT: Limits = Limits { parts: 4, head_bytes: 250, fields: 4, name_bytes: 30, outside_bytes: 40 };

/// One part, whole.
#[derive(Debug, Default, PartialEq)]
pub struct Part {
    pub name: Vec<u8>,
    pub filename: Option<Vec<u8>>,
    pub content_type: Option<Vec<u8>>,
    pub data: Vec<u8>,
}

/// What was told of a body.
#[derive(Debug, PartialEq)]
struct Told {
    parts: Vec<Part>,
    /// Is the last of them not ended?
    open: bool,
    outcome: Result<(), Refusal>,
}

/// Checks a body, or its beginning: the same is told of it however it is cut, and it is what a plain reading finds.
pub fn check(content_type: &[u8], body: &[u8], random: &mut Random, tally: &mut Tally) -> Promise {
    let boundary = boundary(content_type);
    promise!(
        boundary_of(content_type).map(|found| found.map(<[u8]>::to_vec)).ok() == boundary,
        "the boundary is {:?}, plainly read {boundary:?}",
        boundary_of(content_type)
    );
    let Some(Some(boundary)) = boundary else { return Ok(()) };
    for limits in [TIGHT, Limits::default()] {
        let whole = tell(&boundary, limits, body, || usize::MAX)?;
        for most in [1, 3, 40] {
            let pieces = tell(&boundary, limits, body, || 1 + random.below(most))?;
            promise!(whole == pieces, "of the form is told {whole:?}, in pieces of up to {most} bytes {pieces:?}");
        }
        let plain = read(&boundary, body, &limits);
        match (&whole.outcome, plain) {
            (Ok(()), Some(parts)) => {
                promise!(!whole.open && whole.parts == parts, "the form has {:?}, plainly read {parts:?}", whole.parts);
                tally.forms += 1;
            }
            (Err(refusal), None) => *tally.broken_forms.entry(format!("{refusal:?}")).or_default() += 1,
            (outcome, plain) => return Err(format!("the form is {outcome:?}, plainly read {plain:?}")),
        }
    }
    Ok(())
}

/// Feeds a body in pieces, and puts together what is told.
fn tell(boundary: &[u8], limits: Limits, body: &[u8], mut piece: impl FnMut() -> usize) -> Result<Told, String> {
    let mut multipart = Multipart::new(boundary, limits).map_err(|refusal| format!("{refusal:?}"))?;
    let mut told = Told { parts: Vec::new(), open: false, outcome: Ok(()) };
    let mut wrong = None;
    let mut rest = body;
    while !rest.is_empty() {
        let (bytes, later) = rest.split_at(piece().min(rest.len()));
        rest = later;
        let refused = told.outcome.is_err();
        let fed = multipart.feed(bytes, &mut |event| {
            match event {
                _ if refused => wrong = Some("something is told after a refusal"),
                Event::Begin(_) if told.open => wrong = Some("a part begins in another"),
                Event::Data(_) | Event::End if !told.open => wrong = Some("something is told of no part"),
                Event::Data(b"") => wrong = Some("data of nothing"),
                Event::Begin(part) => {
                    told.open = true;
                    let (filename, content_type) = (part.filename.map(<[u8]>::to_vec), part.content_type.map(<[u8]>::to_vec));
                    told.parts.push(Part { name: part.name.to_vec(), filename, content_type, data: Vec::new() });
                }
                Event::Data(data) => told.parts.last_mut().into_iter().for_each(|part| part.data.extend_from_slice(data)),
                Event::End => told.open = false,
            }
            Ok::<(), Refusal>(())
        });
        match fed {
            Err(_) if refused => wrong = Some("it is refused twice"),
            Err(refusal) => told.outcome = Err(refusal),
            Ok(()) => {}
        }
        let most = 1024 + 2 * limits.head_bytes + 6 * limits.name_bytes;
        if multipart.memory_bytes() > most {
            return Err(format!("reading the form takes {} bytes", multipart.memory_bytes()));
        }
    }
    if let Some(wrong) = wrong {
        return Err(format!("{wrong}: {told:?}"));
    }
    let end = multipart.finish();
    if told.outcome.is_err() && end.is_ok() {
        return Err("a form that was refused may end".to_owned());
    }
    told.outcome = told.outcome.and(end);
    Ok(told)
}

/// The parts of a form; None where it is broken or has too much of something.
pub fn read(boundary: &[u8], body: &[u8], limits: &Limits) -> Option<Vec<Part>> {
    let delimiter = [b"\r\n--", boundary].concat();
    // RFC 2046 5.1.1: the line end before the first boundary may be missing.
    let text = [b"\r\n", body].concat();
    let start = find(&text, &delimiter)?;
    let mut outside = start.saturating_sub(2);
    let mut rest = &text[start + delimiter.len()..];
    let mut parts = Vec::new();
    loop {
        if let Some(last) = rest.strip_prefix(b"--") {
            let after = trim_start(last);
            let epilogue = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\r").filter(|rest| rest.is_empty()));
            outside += last.len() - after.len() + epilogue.map_or(0, <[u8]>::len);
            return (outside <= limits.outside_bytes && (after.is_empty() || epilogue.is_some())).then_some(parts);
        }
        let after = trim_start(rest);
        outside += rest.len() - after.len();
        let head = after.strip_prefix(b"\r\n")?;
        let (mut part, len) = part_head(head, limits)?;
        // The blank line of an empty part is the line end before the next boundary.
        let data = &head[len - 2..];
        let end = find(data, &delimiter)?;
        part.data = data.get(2..end).unwrap_or_default().to_vec();
        parts.push(part);
        rest = &data[end + delimiter.len()..];
        if parts.len() > limits.parts || outside > limits.outside_bytes {
            return None;
        }
    }
}

/// A part without its data, and how many bytes say so.
fn part_head(head: &[u8], limits: &Limits) -> Option<(Part, usize)> {
    let mut part = Part::default();
    let (mut at, mut count, mut name) = (0, 0, None);
    loop {
        let end = at + head[at..].iter().position(|&b| b == b'\n')?;
        let line = head[at..end].strip_suffix(b"\r")?;
        at = end + 1;
        if line.is_empty() {
            break;
        }
        count += 1;
        let colon = line.iter().position(|&b| b == b':')?;
        let (field, value) = (&line[..colon], trim(&line[colon + 1..]));
        if !is_token(field) || !is_value(value) {
            return None;
        }
        if field.eq_ignore_ascii_case(b"Content-Type") {
            if part.content_type.replace(value.to_vec()).is_some() || value.len() > limits.name_bytes {
                return None;
            }
        } else if field.eq_ignore_ascii_case(b"Content-Disposition") {
            if name.is_some() {
                return None;
            }
            let (kind, parameters) = parameters(value)?;
            if !kind.eq_ignore_ascii_case(b"form-data") {
                return None;
            }
            // Without a name in it the part is broken, whatever follows.
            name = Some(unescape(only(&parameters, "name")??));
            part.filename = match (only(&parameters, "filename")?, only(&parameters, "filename*")?) {
                (Some(given), _) => Some(unescape(given)),
                (None, Some(extended)) => Some(extended_text(&extended.value)?),
                (None, None) => None,
            };
        }
    }
    part.name = name?;
    let long = |text: &Vec<u8>| text.len() > limits.name_bytes;
    let too_much = at > limits.head_bytes || count > limits.fields || long(&part.name) || part.filename.as_ref().is_some_and(long);
    (!too_much).then_some((part, at))
}

/// The boundary, or that there is none since it is another type. None where there should be one.
pub fn boundary(content_type: &[u8]) -> Option<Option<Vec<u8>>> {
    if !is_form(content_type) {
        return Some(None);
    }
    let (_, parameters) = parameters(content_type)?;
    let boundary = only(&parameters, "boundary")??.value.clone();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(b);
    ((1..=70).contains(&boundary.len()) && boundary.iter().all(plain) && !boundary.ends_with(b" ")).then_some(Some(boundary))
}

/// Does a Content-Type begin with multipart/form-data?
pub fn is_form(content_type: &[u8]) -> bool {
    let kind = content_type.split(|&b| b == b';').next().unwrap_or_default();
    trim(kind).eq_ignore_ascii_case(b"multipart/form-data")
}

struct Parameter {
    name: Vec<u8>,
    value: Vec<u8>,
    quoted: bool,
}

/// A value's first word and its parameters, read byte by byte.
fn parameters(value: &[u8]) -> Option<(&[u8], Vec<Parameter>)> {
    let mut at = value.iter().position(|&b| b == b';').unwrap_or(value.len());
    let kind = trim(&value[..at]);
    let mut found = Vec::new();
    let spaces = |at: usize| at + (value.len() - at) - trim_start(&value[at..]).len();
    while at < value.len() {
        if value[at] != b';' {
            return None;
        }
        at = spaces(at + 1);
        if at == value.len() || value[at] == b';' {
            continue;
        }
        let name = token(&value[at..])?;
        at += name.len();
        if value.get(at) != Some(&b'=') {
            return None;
        }
        at += 1;
        let quoted = value.get(at) == Some(&b'"');
        let text = if quoted { quoted_text(&value[at + 1..])? } else { token(&value[at..])? };
        at = spaces(at + text.len() + if quoted { 2 } else { 0 });
        found.push(Parameter { name: name.to_vec(), value: text.to_vec(), quoted });
    }
    Some((kind, found))
}

/// The parameter of that name, if there is one; None where there are two.
fn only<'a>(parameters: &'a [Parameter], name: &str) -> Option<Option<&'a Parameter>> {
    let mut named = parameters.iter().filter(|parameter| parameter.name.eq_ignore_ascii_case(name.as_bytes()));
    let first = named.next();
    named.next().is_none().then_some(first)
}

fn token(text: &[u8]) -> Option<&[u8]> {
    let token = text.split(|&b| !is_token_byte(b)).next()?;
    (!token.is_empty()).then_some(token)
}

/// What is before the quote that ends a text.
fn quoted_text(text: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    for (at, &b) in text.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(&text[..at]),
            _ => {}
        }
    }
    None
}

/// What a parameter's text stands for: browsers escape with percent signs, others with backslashes.
fn unescape(parameter: &Parameter) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = &parameter.value[..];
    while let Some((&first, later)) = rest.split_first() {
        let escape = [(&b"%22"[..], b'"'), (b"%0D", b'\r'), (b"%0A", b'\n'), (b"\\\"", b'"'), (b"\\\\", b'\\')]
            .into_iter()
            .find(|(written, _)| parameter.quoted && rest.len() >= written.len() && rest[..written.len()].eq_ignore_ascii_case(written));
        text.push(escape.map_or(first, |(_, meant)| meant));
        rest = escape.map_or(later, |(written, _)| &rest[written.len()..]);
    }
    text
}

/// RFC 8187 3.2.1: `charset'language'escaped`.
fn extended_text(value: &[u8]) -> Option<Vec<u8>> {
    let mut pieces = value.splitn(3, |&b| b == b'\'');
    let (charset, _, escaped) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let mut text = Vec::new();
    (charset.eq_ignore_ascii_case(b"utf-8") && percent_decode_into(escaped, &mut text)).then_some(text)
}

fn trim_start(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|b| b" \t".contains(b)).count();
    &text[spaces..]
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

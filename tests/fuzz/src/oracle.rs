//! What a server must answer to an input. It follows from the bytes as they are, never from what they were made from: any
//! breakage may have made another path of them, another method, another length, or two requests of one.

use crate::handlers::{self, Whole};
use crate::promises::{LIMITS, field};
use hasty::http::body::Chunked;
use hasty::http::pairs::percent_decode_into;
use hasty::http::parser::{Framing, Head, Outcome, parse};
use hasty::http::refusal::Refusal;

/// Bodies beyond it are refused.
pub const MAX_BODY_BYTES: usize = 1000;
/// The same for forms.
pub const MAX_FORM_BYTES: usize = 3000;
/// What nobody reads of a longer body is not received either.
const SKIPPED_BYTES: u64 = 256 * 1024;

/// A request, or what stands where one should be. Each has one answer.
#[derive(Debug)]
pub struct Turn {
    /// Where the next one begins; None where nothing is read behind it, or it never ends.
    pub end: Option<usize>,
    /// Each of these is right. Which of them comes depends on how the bytes were cut.
    pub right: Vec<Right>,
    /// RFC 9110 9.3.2: an answer to HEAD has no content. None where it may be unknown whether it was one.
    pub is_head: Option<bool>,
    /// May a 100 (Continue) come before its answer?
    pub continues: bool,
    /// Does something follow although it says that nothing does? Unread, that makes the kernel reset the connection.
    pub may_reset: bool,
    /// Who answers it.
    pub place: Place,
    /// Of a form: can it be read?
    pub good_form: Option<bool>,
    /// Is some of the body left unread?
    pub partly: bool,
}

/// An answer that would be right.
#[derive(Debug)]
pub struct Right {
    pub status: u16,
    /// What the handler says; what errors say is not looked at.
    pub words: Option<String>,
    /// Does the connection end with it? None where that depends on how the bytes were cut.
    pub close: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// The handler of forms.
    Form,
    /// Those that read the body themselves.
    Read,
    /// The handler of all other paths.
    Look,
    /// No handler: the head is enough to answer with this status.
    Head(u16),
    /// No handler, and no head.
    Nowhere,
}

/// A body, as far as it came.
enum Body {
    Whole { data: Vec<u8>, end: usize },
    Unended { data: Vec<u8> },
    Broken { data: Vec<u8>, status: u16 },
}

/// What the requests of an input must be answered with.
pub fn turns(input: &[u8]) -> Vec<Turn> {
    let (mut turns, mut at) = (Vec::new(), 0);
    // RFC 9112 2.2: empty lines before a request are ignored; here as many as may be in a head.
    loop {
        let empty = input[at..].chunks(2).take_while(|two| *two == b"\r\n").count() * 2;
        at += empty;
        let turn = match &input[at..] {
            _ if empty > LIMITS.head_bytes => Turn::without_head(vec![431]),
            [] => return turns,
            rest => turn(rest, at),
        };
        let end = turn.end;
        turns.push(turn);
        match end {
            Some(end) => at = end,
            None => return turns,
        }
    }
}

/// The turn that begins `at` bytes into the input, with `rest`.
fn turn(rest: &[u8], at: usize) -> Turn {
    let mut head = Head::default();
    match parse(rest, &LIMITS, &mut head) {
        Outcome::Complete(len) => Request { input: rest, head: &head, behind: &rest[len..], at: at + len }.turn(),
        Outcome::Partial => Turn::without_head(vec![Refusal::Incomplete.status()]),
        // What is too long is too long, whatever else is wrong with it.
        Outcome::Refused(refusal) if rest.len() > LIMITS.head_bytes => Turn::without_head(vec![refusal.status(), 414, 431]),
        Outcome::Refused(refusal) => Turn::without_head(vec![refusal.status()]),
    }
}

impl Turn {
    fn without_head(statuses: Vec<u16>) -> Turn {
        Turn {
            end: None,
            right: statuses.into_iter().map(Right::end).collect(),
            is_head: None,
            continues: false,
            may_reset: false,
            place: Place::Nowhere,
            good_form: None,
            partly: false,
        }
    }
}

impl Right {
    /// An error that ends the connection.
    fn end(status: u16) -> Right {
        Right { status, words: None, close: Some(true) }
    }

    fn says(words: String, close: Option<bool>) -> Right {
        Right { status: 200, words: Some(words), close }
    }
}

/// A request whose head is complete.
struct Request<'a> {
    /// From its beginning on.
    input: &'a [u8],
    head: &'a Head,
    /// From its body on, which begins so far into the input.
    behind: &'a [u8],
    at: usize,
}

impl Request<'_> {
    fn turn(&self) -> Turn {
        let head = self.head;
        let mut place = self.place();
        let most = if place == Place::Form { MAX_FORM_BYTES } else { MAX_BODY_BYTES };
        if !matches!(place, Place::Head(_)) && matches!(head.framing, Framing::Length(length) if length > most as u64) {
            place = Place::Head(413);
        }
        let is_read = !matches!(place, Place::Head(_));
        let body = self.body(if is_read { most } else { usize::MAX });
        let end = if let Body::Whole { end, .. } = body { Some(end) } else { None };
        // One of whose body nobody has read all is waited for.
        let goes_on = (is_read || head.framing == Framing::Absent) && end.is_some_and(|end| end < self.behind.len());
        let mut turn = Turn {
            end: end.map(|end| self.at + end),
            right: Vec::new(),
            is_head: Some(self.method() == "HEAD"),
            continues: head.expects_continue,
            may_reset: goes_on && !head.keep_alive,
            place,
            good_form: None,
            partly: false,
        };
        match place {
            Place::Head(status) => turn.right.push(Right { status, words: None, close: self.closes_unread() }),
            Place::Read => self.read(body, &mut turn),
            _ => self.kept(body, &mut turn),
        }
        if turn.right.iter().all(|right| right.close == Some(true)) {
            turn.end = None;
        }
        turn
    }

    fn method(&self) -> String {
        String::from_utf8_lossy(self.head.method_span.of(self.input)).into_owned()
    }

    /// Who answers, in the order in which they are asked. All routes take any method.
    fn place(&self) -> Place {
        if self.head.expects_else {
            return Place::Head(417);
        }
        if self.head.target.asterisk {
            return Place::Head(204);
        }
        // Segments are decoded one by one, so that %2F divides nothing.
        let mut segments = Vec::new();
        for segment in self.head.target.path.of(self.input).split(|&b| b == b'/').skip(1) {
            let mut text = Vec::new();
            if !percent_decode_into(segment, &mut text) || text.contains(&0) {
                return Place::Head(400);
            }
            segments.push(text);
        }
        let texts: Vec<_> = segments.iter().map(|segment| &segment[..]).collect();
        match texts[..] {
            [b"form"] => Place::Form,
            [b"read" | b"sip"] => Place::Read,
            // The rest of a path does not begin with an empty segment.
            [b"", _, ..] => Place::Head(404),
            _ => Place::Look,
        }
    }

    fn body(&self, most: usize) -> Body {
        match self.head.framing {
            Framing::Absent => Body::Whole { data: Vec::new(), end: 0 },
            Framing::Length(length) => match usize::try_from(length).ok().and_then(|length| self.behind.get(..length)) {
                Some(data) => Body::Whole { data: data.to_vec(), end: data.len() },
                None => Body::Unended { data: self.behind.to_vec() },
            },
            Framing::Chunked => chunked(self.behind, most),
        }
    }

    /// Does the connection end with an answer after which nobody reads the body?
    fn closes_unread(&self) -> Option<bool> {
        let awaits = self.head.expects_continue || self.head.expects_else;
        match self.head.framing {
            _ if !self.head.keep_alive => Some(true),
            Framing::Absent | Framing::Length(0) => Some(false),
            Framing::Length(length) if length > SKIPPED_BYTES => Some(true),
            _ if !awaits => Some(false),
            // RFC 9110 10.1.1: the client may send the body or not. All of it may have come with the head, which leaves no doubt.
            Framing::Length(length) if length <= self.behind.len() as u64 => None,
            Framing::Length(_) | Framing::Chunked => Some(true),
        }
    }

    /// The body is kept until it is complete; that of a large form is looked at while it comes.
    fn kept(&self, body: Body, turn: &mut Turn) {
        let content_type = field(self.input, self.head, "Content-Type");
        let method = &self.method();
        let whole = |body| Whole { method, content_type, body };
        let data = match &body {
            Body::Whole { data, .. } => data,
            Body::Unended { data } | Body::Broken { data, .. } => {
                let status = if let Body::Broken { status, .. } = body { status } else { Refusal::Incomplete.status() };
                turn.right.push(Right::end(status));
                if handlers::is_large(&whole(data)) {
                    turn.right.extend([400, 413].map(Right::end));
                }
                return;
            }
        };
        let whole = whole(data);
        turn.good_form = handlers::is_good_form(&whole);
        let words = if turn.place == Place::Form { handlers::form_words(&whole) } else { handlers::look_words(&whole) };
        let close = Some(!self.head.keep_alive || turn.good_form == Some(false) && handlers::is_large(&whole));
        if words.is_empty() {
            turn.right.extend([400, 413].map(|status| Right { status, words: None, close }));
        }
        turn.right.extend(words.into_iter().map(|words| Right::says(words, close)));
    }

    /// The handler reads as much as it wants, and is answered for if that cannot be.
    fn read(&self, body: Body, turn: &mut Turn) {
        let wanted = handlers::read_wanted(self.head.target.query.map(|query| query.of(self.input)));
        let (data, broken) = match &body {
            Body::Whole { data, .. } => (data, None),
            Body::Unended { data } => (data, (wanted > data.len()).then_some(Refusal::Incomplete.status())),
            Body::Broken { data, status } => (data, Some(*status)),
        };
        turn.right.extend(broken.map(Right::end));
        if wanted <= data.len() || matches!(body, Body::Whole { .. }) {
            turn.partly = wanted < data.len();
            let words = handlers::read_words(&self.method(), &data[..wanted.min(data.len())]);
            // Who reads nothing leaves a client that waits for a 100 in doubt, if it has sent nothing. What is wrong behind the
            // bytes that are read may have come with them, or not.
            let last = !self.head.keep_alive;
            let in_doubt = broken.is_some() || self.head.expects_continue && wanted == 0;
            turn.right.push(Right::says(words, if last || !in_doubt { Some(last) } else { None }));
        }
    }
}

/// A chunked body of at most so many bytes.
fn chunked(input: &[u8], most: usize) -> Body {
    let mut decoder = Chunked::new(most as u64, LIMITS.head_bytes, LIMITS.fields);
    let mut data = Vec::new();
    for (at, &byte) in input.iter().enumerate() {
        let from = data.len();
        data.push(byte);
        match decoder.decode(&mut data, from, from) {
            Ok(decoded) => {
                data.truncate(decoded.data_end);
                if decoded.done {
                    return Body::Whole { data, end: at + 1 };
                }
            }
            Err(refusal) => {
                data.truncate(from);
                return Body::Broken { data, status: refusal.status() };
            }
        }
    }
    Body::Unended { data }
}

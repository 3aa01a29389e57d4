//! The notes in `tests/cases/*.http`, sent to a server. `tests/cases/README.md` says how to read them.

mod support;

use hasty::{App, Error, Kind, Request, Response};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;
use support::{Answer, Client, Random, Server, get, last_get, shown};

macro_rules! files {
    ($($name:ident)*) => {
        const FILES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*
    };
}

files! {
    answers chunked empty_lines expect fields framing host keep_alive limits methods paths pipelining request_line smuggling
    targets versions
}

#[test]
fn every_file_of_cases_is_run() {
    let mut found: Vec<_> = std::fs::read_dir(folder())
        .expect("tests/cases can be listed")
        .filter_map(|entry| Some(entry.expect("an entry").file_name().to_str()?.strip_suffix(".http")?.to_owned()))
        .collect();
    found.sort();
    assert_eq!(found, FILES);
}

#[test]
fn there_are_several_hundred_cases_each_with_a_title_of_its_own() {
    let mut titles: Vec<String> = FILES.iter().flat_map(|name| read(name)).map(|case| case.title).collect();
    let count = titles.len();
    println!("{count} cases");
    assert!(count >= 300, "{count} cases");
    titles.sort();
    let twice: Vec<_> = titles.windows(2).filter(|two| two[0] == two[1]).map(|two| &two[0]).collect();
    assert!(twice.is_empty(), "titles that stand twice: {twice:?}");
}

// ---- the server

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(&[], routes));

fn routes(app: &App) {
    for pattern in ["/echo", "/echo/*"] {
        app.route("*", pattern, Box::new(echo)).expect(pattern);
    }
    app.get("/before", |_: &Request, response: &mut Response| response.send_text(b"before")).expect("new");
    app.get("/probe", |_: &Request, response: &mut Response| response.send_text(b"probe")).expect("new");
    app.get("/users/:id", |request: &Request, response: &mut Response| {
        response.send_text(&[b"id: ", request.param(b"id").expect("the pattern has it").bytes()].concat())
    })
    .expect("new");
    app.get("/tree/*rest", |request: &Request, response: &mut Response| {
        response.send_text(&[b"rest: ", request.param(b"rest").expect("the pattern has it").bytes()].concat())
    })
    .expect("new");
    app.get("/query", |request: &Request, response: &mut Response| {
        let mut text = Vec::new();
        for index in 0..request.query().len() {
            let (name, value) = (request.query().name(index), request.query().value(index));
            text.extend_from_slice(&[name.expect("below the count"), b" = ", value.expect("below the count"), b"\n"].concat());
        }
        response.send_text(&text)
    })
    .expect("new");
    app.get("/status/:code", |request: &Request, response: &mut Response| {
        let code = request.param(b"code").expect("the pattern has it").to_str().parse();
        response.set_status(code.map_err(|_| Error::fixed(Kind::Invalid, "no number"))?)?;
        response.send_text(b"this status")
    })
    .expect("new");
    app.get("/empty", |_: &Request, _: &mut Response| Ok(())).expect("new");
    app.get("/bye", |_: &Request, response: &mut Response| {
        response.set_header(b"Connection", b"close")?;
        response.send_text(b"bye")
    })
    .expect("new");
    app.get("/upgrade", |_: &Request, response: &mut Response| {
        response.set_header(b"Upgrade", b"example/1")?;
        response.send_status(426)
    })
    .expect("new");
    app.post("/mirror", mirror).expect("new");
    app.post("/small", mirror).expect("new");
    app.set_route_option("POST", "/small", "max_body_bytes", "10").expect("a route option");
    for (method, pattern) in [("GET", "/only-get"), ("PUT", "/put-or-delete"), ("DELETE", "/put-or-delete")] {
        let name_method = |request: &Request, response: &mut Response| response.send_text(request.method().bytes());
        app.route(method, pattern, Box::new(name_method)).expect("new");
    }
    let asked = |_: &Request, response: &mut Response| response.send_text(b"asked");
    app.route("OPTIONS", "/asked", Box::new(asked)).expect("new");
}

fn mirror(request: &Request, response: &mut Response) -> hasty::Result<()> {
    response.send(request.body().bytes())
}

/// What the server understood, for the cases to look at.
fn echo(request: &Request, response: &mut Response) -> hasty::Result<()> {
    let mut text = Vec::new();
    let mut line = |parts: &[&[u8]]| text.extend_from_slice(&[&parts.concat()[..], b"\n"].concat());
    line(&[b"method: ", request.method().bytes()]);
    line(&[b"target: ", request.target().bytes()]);
    line(&[b"path: ", request.path().bytes()]);
    match request.query_string() {
        Some(query) => line(&[b"query: ", query.bytes()]),
        None => line(&[b"no query"]),
    }
    line(&[b"version: 1.", request.minor_version().to_string().as_bytes()]);
    line(&[b"body: ", request.body().len().to_string().as_bytes(), b" ", request.body().bytes()]);
    for index in 0..request.header_count() {
        let (name, value) = request.header_at(index).expect("below the count");
        line(&[name.bytes(), b" = ", value.bytes()]);
    }
    response.send_text(&text)
}

// ---- the cases

struct Case {
    place: String,
    title: String,
    phases: Vec<Phase>,
    end: End,
    /// The statuses with which it was first answered, by phase and number; none where the end came instead.
    seen: Mutex<HashMap<(usize, usize), Option<u16>>>,
}

/// What is sent, and then awaited before more is sent.
#[derive(Default)]
struct Phase {
    bytes: Vec<u8>,
    half_close: bool,
    expected: Vec<Expected>,
}

struct Expected {
    statuses: Vec<u16>,
    or_nothing: bool,
    without_body: bool,
    /// They hold for the first status.
    checks: Vec<Check>,
}

enum Check {
    Is(String, String),
    Present(String),
    Lists(String, String),
    Absent(String),
    Holds(Vec<u8>),
    Body(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Keep,
    Close,
    Either,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn read(name: &str) -> Vec<Case> {
    let path = folder().join(name).with_extension("http");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(name, &text).unwrap_or_else(|why| panic!("{why}"))
}

fn parse(name: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    let mut complete = true;
    for (number, line) in text.lines().enumerate() {
        let place = format!("tests/cases/{name}.http:{}", number + 1);
        let wrong = |why: &str| format!("{place}: {why}: {line}");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            if !complete {
                return Err(wrong("the case above has no keep, close or either"));
            }
            complete = false;
            cases.push(Case { place, title: title.to_owned(), phases: vec![Phase::default()], end: End::Either, seen: Mutex::default() });
            continue;
        }
        if complete {
            return Err(wrong("no case has begun"));
        }
        let case = cases.last_mut().expect("one has begun");
        let phase = case.phases.last_mut().expect("there always is one");
        if let Some(rest) = line.strip_prefix(">>").or_else(|| line.strip_prefix('>')) {
            let sent = if phase.expected.is_empty() {
                phase
            } else {
                case.phases.push(Phase::default());
                case.phases.last_mut().expect("just pushed")
            };
            sent.bytes.extend(bytes_of(rest.strip_prefix(' ').unwrap_or(rest)).ok_or_else(|| wrong("an escape that is none"))?);
            if !line.starts_with(">>") {
                sent.bytes.extend(b"\r\n");
            }
        } else if line == "half-close" {
            phase.half_close = true;
        } else if let Some(rest) = line.strip_prefix("< ") {
            let (count, rest) = rest.split_once(" times ").unwrap_or(("1", rest));
            for _ in 0..count.parse().map_err(|_| wrong("no count"))? {
                phase.expected.push(Expected::of(rest).ok_or_else(|| wrong("no status"))?);
            }
        } else if let Some(rest) = line.strip_prefix("  ") {
            let expected = phase.expected.last_mut().ok_or_else(|| wrong("a check without an answer"))?;
            expected.checks.push(Check::of(rest).ok_or_else(|| wrong("no check"))?);
        } else {
            case.end = match line {
                "keep" => End::Keep,
                "close" => End::Close,
                "either" => End::Either,
                _ => return Err(wrong("not understood")),
            };
            complete = true;
        }
    }
    if !complete {
        return Err(format!("tests/cases/{name}.http: the last case has no keep, close or either"));
    }
    Ok(cases)
}

impl Expected {
    fn of(text: &str) -> Option<Expected> {
        let without_body = text.strip_suffix(" without body");
        let mut expected = Expected { statuses: Vec::new(), or_nothing: false, without_body: without_body.is_some(), checks: Vec::new() };
        for word in without_body.unwrap_or(text).split(" or ") {
            match word {
                "nothing" => expected.or_nothing = true,
                _ => expected.statuses.push(word.parse().ok()?),
            }
        }
        Some(expected)
    }
}

impl Check {
    fn of(text: &str) -> Option<Check> {
        if let Some(name) = text.strip_prefix('!') {
            return Some(Check::Absent(name.to_owned()));
        }
        if let Some(bytes) = text.strip_prefix("| ") {
            return bytes_of(bytes).map(Check::Holds);
        }
        if let Some(bytes) = text.strip_prefix('=') {
            return bytes_of(bytes.strip_prefix(' ').unwrap_or(bytes)).map(Check::Body);
        }
        if let Some((name, token)) = text.split_once(" ~ ") {
            return Some(Check::Lists(name.to_owned(), token.to_owned()));
        }
        let (name, value) = text.split_once(": ")?;
        Some(if value == "*" { Check::Present(name.to_owned()) } else { Check::Is(name.to_owned(), value.to_owned()) })
    }

    fn holds_for(&self, answer: &Answer) -> Result<(), String> {
        let (holds, rule) = match self {
            Check::Is(name, value) => (answer.all(name) == [value], format!("{name} is not {value:?}")),
            Check::Present(name) => (answer.field(name).is_some(), format!("there is no {name}")),
            Check::Lists(name, token) => (answer.lists(name, token), format!("{name} does not list {token}")),
            Check::Absent(name) => (answer.field(name).is_none(), format!("there is a {name}")),
            Check::Holds(bytes) => {
                (answer.body.windows(bytes.len()).any(|part| part == bytes), format!("the body does not hold \"{}\"", shown(bytes)))
            }
            Check::Body(bytes) => (answer.body == *bytes, format!("the body is not \"{}\"", shown(bytes))),
        };
        if holds { Ok(()) } else { Err(format!("{rule}: {answer:?}")) }
    }
}

/// Text with escapes, as bytes.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (bytes, length) = match escape.as_bytes().first()? {
            b'r' => (b"\r".to_vec(), 1),
            b'n' => (b"\n".to_vec(), 1),
            b't' => (b"\t".to_vec(), 1),
            b'0' => (b"\0".to_vec(), 1),
            b'\\' => (b"\\".to_vec(), 1),
            b'x' => (vec![u8::from_str_radix(escape.get(1..3)?, 16).ok()?], 3),
            b'{' => {
                let end = escape.find('}')?;
                let (count, unit) = escape[1..end].split_once('*')?;
                (bytes_of(unit)?.repeat(count.parse().ok()?), end + 1)
            }
            _ => return None,
        };
        out.extend(bytes);
        rest = &escape[length..];
    }
    out.extend(rest.as_bytes());
    Some(out)
}

// ---- the four ways

type Way = fn(&Server, &Case) -> Result<(), String>;

/// Runs a file's cases and shows all that fail.
fn run(name: &str) {
    let wanted = std::env::var("HASTY_CASE").unwrap_or_default();
    let cases: Vec<Case> = read(name).into_iter().filter(|case| case.title.contains(&wanted)).collect();
    let mut failures = Vec::new();
    for case in &cases {
        let ways: [(&str, Way); 3] = [("whole", whole), ("behind a good request", behind_a_good_request), ("in two pieces", in_two_pieces)];
        for (way, send) in ways {
            let result = send(&SERVER, case).and_then(|()| fresh_connection_works(&SERVER));
            failures.extend(result.err().map(|why| case.failed(way, &why)));
        }
    }
    byte_by_byte(&SERVER, &cases, &mut failures);
    assert!(failures.is_empty(), "{} failures\n\n{}", failures.len(), failures.join("\n"));
}

fn whole(server: &Server, case: &Case) -> Result<(), String> {
    let mut client = server.connect();
    case.converse(&mut client, |client, phase| {
        let _ = client.try_send(&case.phases[phase].bytes);
    })
}

fn behind_a_good_request(server: &Server, case: &Case) -> Result<(), String> {
    let mut client = server.connect();
    let _ = client.try_send([&get("/before")[..], &case.phases[0].bytes].concat());
    let before = client.try_answer()?;
    if (before.status, &*before.body) != (200, b"before") {
        return Err(format!("the good request before was answered {before:?}"));
    }
    case.converse(&mut client, |client, phase| {
        if phase > 0 {
            let _ = client.try_send(&case.phases[phase].bytes);
        }
    })
}

/// Cuts each phase at every byte, long ones at some. Of a batch of connections all get their first piece; when
/// another connection has been answered, the server has seen these; then all get their second piece.
fn in_two_pieces(server: &Server, case: &Case) -> Result<(), String> {
    const BATCH: usize = 64;
    let mut other = server.connect();
    for cut in 0..case.phases.len() {
        for batch in case.cuts(cut).chunks(BATCH) {
            let mut clients: Vec<(Client, Option<Answer>)> = Vec::new();
            for &at in batch {
                let mut client = server.connect();
                let last = case.converse_before(&mut client, cut).map_err(|why| format!("cut at {at} of part {cut}: {why}"))?;
                let _ = client.try_send(&case.phases[cut].bytes[..at]);
                clients.push((client, last));
            }
            other.try_send(get("/")).map_err(|error| error.to_string())?;
            other.try_answer()?;
            for ((client, _), &at) in clients.iter_mut().zip(batch) {
                let _ = client.try_send(&case.phases[cut].bytes[at..]);
            }
            for ((mut client, last), at) in clients.into_iter().zip(batch) {
                let rest = |client: &mut Client, phase: usize| {
                    if phase > cut {
                        let _ = client.try_send(&case.phases[phase].bytes);
                    }
                };
                case.converse_from(&mut client, cut, last, rest).map_err(|why| format!("cut at {at} of part {cut}: {why}"))?;
            }
        }
    }
    Ok(())
}

/// All cases of a file take turns, a byte each: while the others have theirs, the server sees each alone.
fn byte_by_byte(server: &Server, cases: &[Case], failures: &mut Vec<String>) {
    const BATCH: usize = 64;
    for batch in cases.chunks(BATCH) {
        let mut running: Vec<_> = batch.iter().map(|case| (case, server.connect(), None)).collect();
        for phase in 0.. {
            running.retain(|(case, ..)| case.phases.len() > phase);
            if running.is_empty() {
                break;
            }
            let pieces: Vec<Vec<Range<usize>>> = running.iter().map(|(case, ..)| case.pieces(phase)).collect();
            let turns = pieces.iter().map(Vec::len).max().unwrap_or(0);
            for turn in 0..turns {
                for ((case, client, _), pieces) in running.iter_mut().zip(&pieces) {
                    if let Some(range) = pieces.get(turn) {
                        if client.take_what_came() {
                            let _ = client.try_send(&case.phases[phase].bytes[range.clone()]);
                        }
                    }
                }
            }
            running.retain_mut(|(case, client, last)| {
                let mut result = case.converse_in(client, phase).map(|answer| *last = answer.or(last.take()));
                if phase + 1 == case.phases.len() {
                    result = result.and_then(|()| case.end(client, last.as_ref()));
                }
                let result = result.and_then(|()| fresh_connection_works(server));
                failures.extend(result.as_ref().err().map(|why| case.failed("byte by byte", why)));
                result.is_ok()
            });
        }
    }
}

fn fresh_connection_works(server: &Server) -> Result<(), String> {
    let mut client = server.connect();
    client.try_send(last_get("/")).map_err(|error| format!("a fresh connection afterwards: {error}"))?;
    let answer = client.try_answer().map_err(|why| format!("a fresh connection afterwards: {why}"))?;
    if (answer.status, &*answer.body) == (200, b"root") { Ok(()) } else { Err(format!("a fresh connection afterwards: {answer:?}")) }
}

impl Case {
    fn failed(&self, way: &str, why: &str) -> String {
        let mut out = format!("{} \"{}\", sent {way}:\n    {why}\n", self.place, self.title);
        for phase in &self.phases {
            let _ = writeln!(out, "    sent: \"{}\"", shown(&phase.bytes));
        }
        out
    }

    /// Sends with `send`, reads what is expected, and sees how the connection goes on.
    fn converse(&self, client: &mut Client, send: impl Fn(&mut Client, usize)) -> Result<(), String> {
        self.converse_from(client, 0, None, send)
    }

    fn converse_from(
        &self,
        client: &mut Client,
        first: usize,
        mut last: Option<Answer>,
        send: impl Fn(&mut Client, usize),
    ) -> Result<(), String> {
        for phase in first..self.phases.len() {
            send(client, phase);
            last = self.converse_in(client, phase)?.or(last);
        }
        self.end(client, last.as_ref())
    }

    fn converse_before(&self, client: &mut Client, end: usize) -> Result<Option<Answer>, String> {
        let mut last = None;
        for phase in 0..end {
            let _ = client.try_send(&self.phases[phase].bytes);
            last = self.converse_in(client, phase)?.or(last);
        }
        Ok(last)
    }

    /// What the protocol leaves open is the same however the bytes are cut.
    fn is_as_before(&self, phase: usize, number: usize, status: Option<u16>) -> Result<(), String> {
        let before = *self.seen.lock().entry((phase, number)).or_insert(status);
        if before == status { Ok(()) } else { Err(format!("answered {status:?} now and {before:?} before, cut in another way")) }
    }

    /// Reads what is expected after the bytes of a phase were sent. Returns the last final answer.
    fn converse_in(&self, client: &mut Client, which: usize) -> Result<Option<Answer>, String> {
        let phase = &self.phases[which];
        if phase.half_close {
            client.half_close();
        }
        let mut last = None;
        for (number, expected) in phase.expected.iter().enumerate() {
            if expected.statuses.is_empty() {
                // Nothing: the end comes next.
                break;
            }
            let read = if expected.without_body { Client::try_answer_to_head } else { Client::try_answer };
            let answer = match read(client) {
                Err(_) if expected.or_nothing && client.try_end().is_ok() => {
                    self.is_as_before(which, number, None)?;
                    break;
                }
                other => other?,
            };
            if !expected.statuses.contains(&answer.status) {
                return Err(format!("{:?} was expected: {answer:?}", expected.statuses));
            }
            self.is_as_before(which, number, Some(answer.status))?;
            if answer.status == expected.statuses[0] {
                expected.checks.iter().try_for_each(|check| check.holds_for(&answer))?;
            }
            if answer.status >= 200 {
                last = Some(answer);
            }
        }
        Ok(last)
    }

    /// The connection goes on, or ends, as the case says, and as the last answer said.
    fn end(&self, client: &mut Client, last: Option<&Answer>) -> Result<(), String> {
        let half_closed = self.phases.iter().any(|phase| phase.half_close);
        let says_close = last.is_none_or(Answer::says_close);
        let closes = match self.end {
            End::Keep => false,
            End::Close => true,
            End::Either => says_close || half_closed,
        };
        // RFC 9112 9.6: a server that ends a connection announces it in the last answer. It cannot know of an end that
        // the client makes.
        if says_close != closes && !half_closed {
            return Err(format!("the answer {} that the connection ends: {last:?}", if says_close { "says" } else { "does not say" }));
        }
        if !closes {
            client.try_send(last_get("/probe")).map_err(|error| format!("the request afterwards: {error}"))?;
            let probe = client.try_answer().map_err(|why| format!("the request afterwards: {why}"))?;
            if (probe.status, &*probe.body) != (200, b"probe") {
                return Err(format!("the request afterwards was answered {probe:?}"));
            }
        }
        // RFC 9112 9.6: a client that said close "MUST NOT send further requests on that connection". The bytes of one that
        // does may meet a closed socket, when it has its answers; a refused client has broken no such promise.
        if last.is_some_and(|answer| answer.status < 400) { client.try_end_or_reset() } else { client.try_end() }
    }

    /// Where a phase is cut in two: everywhere, or in long ones at both ends and at places that do not change from run to run.
    fn cuts(&self, phase: usize) -> Vec<usize> {
        const MOST: usize = 240;
        const SOME: usize = 60;
        const ENDS: usize = 8;
        let length = self.phases[phase].bytes.len();
        if length <= MOST {
            return (1..length).collect();
        }
        let mut random = Random::new(length as u64);
        let mut cuts: Vec<usize> = (1..=ENDS).chain(length - ENDS..length).chain((0..SOME).map(|_| 1 + random.below(length - 1))).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    /// A phase in single bytes; the middle of a long one in larger pieces.
    fn pieces(&self, phase: usize) -> Vec<Range<usize>> {
        const ENDS: usize = 120;
        const MIDDLE: usize = 100;
        let length = self.phases[phase].bytes.len();
        let step = if length <= 4 * ENDS { 1 } else { (length / MIDDLE).max(1) };
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < length {
            let next = if at < ENDS || at + ENDS >= length { at + 1 } else { (at + step).min(length - ENDS) };
            pieces.push(at..next);
            at = next;
        }
        pieces
    }
}

// ---- the runner itself

#[test]
fn escapes_are_the_bytes_they_stand_for() {
    assert_eq!(bytes_of(r"a\r\n\t\0\\\xff\x20").unwrap(), b"a\r\n\t\0\\\xff ");
    assert_eq!(bytes_of(r"\{3*ab\n}c").unwrap(), b"ab\nab\nab\nc");
    assert!(bytes_of(r"\q").is_none() && bytes_of(r"\xg0").is_none() && bytes_of(r"\{3*").is_none() && bytes_of("\\").is_none());
}

#[test]
fn a_file_that_is_no_list_of_cases_is_refused() {
    for (text, why) in [
        ("== a\n> GET\n", "has no keep"),
        ("== a\n> GET\n== b\nkeep\n", "has no keep"),
        ("> GET\n", "no case has begun"),
        ("== a\n> \\q\nkeep\n", "escape"),
        ("== a\n< ok\nkeep\n", "no status"),
        ("== a\n  Allow: GET\nkeep\n", "without an answer"),
        ("== a\nstay\n", "not understood"),
    ] {
        let error = parse("x", text).err().unwrap_or_else(|| panic!("{text:?} was understood"));
        assert!(error.contains(why) && error.contains("tests/cases/x.http"), "{error}");
    }
}

#[test]
fn a_case_that_does_not_hold_fails_in_every_way() {
    for (wrong, why) in [
        ("< 404\nkeep", "was expected"),
        ("< 200\n  X-Absent: *\nkeep", "there is no X-Absent"),
        ("< 200\n  !Date\nkeep", "there is a Date"),
        ("< 200\n  = tree\nkeep", "is not \"tree\""),
        ("< 200\n  | tree\nkeep", "does not hold \"tree\""),
        ("< 200\n  Content-Type ~ gzip\nkeep", "does not list"),
        ("< 200\n  Content-Length: 5\nkeep", "is not \"5\""),
        ("< 200\nclose", "does not say"),
        ("< nothing\nkeep", "says that the connection ends"),
    ] {
        let cases = parse("x", &format!("== a\n> GET / HTTP/1.1\n> Host: a\n>\n{wrong}\n")).expect("it can be read");
        let mut failures = Vec::new();
        byte_by_byte(&SERVER, &cases, &mut failures);
        failures.extend(whole(&SERVER, &cases[0]).err());
        failures.extend(behind_a_good_request(&SERVER, &cases[0]).err());
        failures.extend(in_two_pieces(&SERVER, &cases[0]).err());
        assert_eq!(failures.len(), 4, "{wrong}: {failures:?}");
        assert!(failures.iter().all(|failure| failure.contains(why)), "{wrong}: {failures:?}");
    }
}

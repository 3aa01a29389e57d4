//! A real server, asked in the same broken ways: it answers each request once, in order, and says why it stops.

use crate::handlers::{self, MAX_PARTS, SPOOL_BYTES};
use crate::oracle::{self, MAX_BODY_BYTES, MAX_FORM_BYTES, Place, Right, Turn};
use crate::promises::LIMITS;
use crate::random::Random;
use hasty::{App, Error, Options, Request, Response, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, process, thread};

/// How much `/read` and `/sip` read at a time.
const READ_BYTES: usize = 64;
const SIP_BYTES: usize = 3;

/// A server on a Unix socket: no port is used up, however many connections there are.
pub struct Wire {
    app: App,
    socket: PathBuf,
    /// Where large files of forms are put aside.
    spool: PathBuf,
    descriptors: usize,
    /// What was answered.
    pub seen: Seen,
}

/// Answers that show that the inputs reach where they should.
#[derive(Default)]
pub struct Seen {
    forms: AtomicU64,
    put_aside: AtomicU64,
    broken: AtomicU64,
    broken_early: AtomicU64,
    read: AtomicU64,
    partly: AtomicU64,
    behind: AtomicU64,
    asterisk: AtomicU64,
    no_route: AtomicU64,
    too_long: AtomicU64,
    expectation: AtomicU64,
}

impl Seen {
    pub fn counts(&self) -> [(&'static str, u64); 11] {
        [
            ("forms", &self.forms),
            ("with files put aside", &self.put_aside),
            ("broken forms", &self.broken),
            ("refused while they came", &self.broken_early),
            ("bodies read by their handlers", &self.read),
            ("read in part", &self.partly),
            ("requests behind those", &self.behind),
            ("about the server", &self.asterisk),
            ("without a route", &self.no_route),
            ("with too long a body", &self.too_long),
            ("with a vain expectation", &self.expectation),
        ]
        .map(|(what, count)| (what, count.load(Ordering::Relaxed)))
    }
}

struct Answer {
    status: u16,
    close: bool,
    body: Vec<u8>,
}

impl Wire {
    pub fn start() -> Result<Wire> {
        let descriptors = open_descriptors();
        let socket = env::temp_dir().join(format!("hasty-fuzz-{}.sock", process::id()));
        let spool = env::temp_dir().join(format!("hasty-fuzz-{}.spool", process::id()));
        fs::create_dir_all(&spool).map_err(|error| Error::io("make a folder for uploads", &error))?;
        let app = App::new(Options::new())?;
        for (name, value) in [
            ("max_header_bytes", LIMITS.head_bytes),
            ("max_headers", LIMITS.fields),
            ("max_target_bytes", LIMITS.target_bytes),
            ("max_body_bytes", MAX_BODY_BYTES),
            ("spool_bytes", SPOOL_BYTES),
            ("max_parts", MAX_PARTS),
        ] {
            app.set_option(name, &value.to_string())?;
        }
        app.set_option("spool_directory", &spool.to_string_lossy())?;
        app.route("*", "/", Box::new(handlers::look))?;
        app.route("*", "/*", Box::new(handlers::look))?;
        app.route("*", "/form", Box::new(handlers::form))?;
        app.set_route_option("*", "/form", "max_body_bytes", &MAX_FORM_BYTES.to_string())?;
        for (pattern, piece) in [("/read", READ_BYTES), ("/sip", SIP_BYTES)] {
            app.route("*", pattern, Box::new(move |request: &Request, response: &mut Response| handlers::read(piece, request, response)))?;
            app.set_route_option("*", pattern, "body", "stream")?;
        }
        app.listen_unix(socket.as_os_str().as_encoded_bytes(), 0o600)?;
        app.start()?;
        Ok(Wire { app, socket, spool, descriptors, seen: Seen::default() })
    }

    /// Stops the server; it must leave nothing behind.
    pub fn stop(self) -> std::result::Result<(), String> {
        self.app.stop();
        self.app.wait(Some(Duration::from_secs(30))).map_err(|error| format!("the server does not stop: {error}"))?;
        let gone = !self.socket.exists();
        drop(self.app);
        let _ = fs::remove_file(&self.socket);
        let left = open_descriptors();
        let uploads = fs::read_dir(&self.spool).map_or(0, |entries| entries.count());
        let _ = fs::remove_dir_all(&self.spool);
        match (gone, left == self.descriptors) {
            _ if uploads > 0 => Err(format!("{uploads} files of forms are still there")),
            (true, true) => Ok(()),
            (false, _) => Err("the socket's file is still there".to_owned()),
            _ => Err(format!("{left} descriptors are open, {} were before", self.descriptors)),
        }
    }

    /// Sends one input in pieces, closes that direction, and reads what comes.
    pub fn check(&self, input: &[u8], random: &mut Random) -> std::result::Result<(), String> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|error| format!("no connection: {error}"))?;
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)).map_err(|error| error.to_string())?;
        let turns = oracle::turns(input);
        let mut bytes = Vec::new();
        // Some clients go on only when they have the first answer: it must not wait for what follows.
        let mut awaited = turns.first().and_then(|turn| turn.end).filter(|_| random.one_in(3));
        let most = [8, 64, 4096][random.below(3)];
        let mut rest = input;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + random.below(most)).min(rest.len()));
            rest = later;
            // The other side may have looked at what came so far, or not.
            if random.one_in(4) {
                thread::yield_now();
            }
            if stream.write_all(piece).is_err() {
                // It answered and closed; what it said is read below.
                break;
            }
            if awaited.is_some_and(|end| input.len() - rest.len() >= end) {
                awaited = None;
                let mut some = [0; 16];
                let count = stream.read(&mut some).map_err(|error| format!("{error}, while the first answer is awaited"))?;
                bytes.extend_from_slice(&some[..count]);
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        match stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            // A client that goes on after its last request may see a reset behind the answer; nobody else may.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && turns.last().is_some_and(|turn| turn.may_reset) => {}
            Err(error) => return Err(format!("{error}, after {}", shown(&bytes))),
        }
        judge(&turns, &bytes, &self.seen).map_err(|wrong| format!("{wrong}; all that came: {}", shown(&bytes)))
    }
}

fn judge(turns: &[Turn], bytes: &[u8], seen: &Seen) -> std::result::Result<(), String> {
    let mut rest = bytes;
    let mut behind = false;
    for (number, turn) in turns.iter().enumerate() {
        let Some(answer) = next_answer(&mut rest, turn)? else {
            return Err(format!("no answer to request {number}, which is {turn:?}"));
        };
        if !turn.right.iter().any(|right| is_right(right, turn, &answer)) {
            let Answer { status, close, body } = &answer;
            return Err(format!("status {status}, close {close}, body {} to request {number}, which is {turn:?}", shown(body)));
        }
        note(turn, answer.status, behind, seen);
        behind = turn.place == Place::Read;
        if answer.close {
            break;
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("more than was asked for: {}", shown(rest))) }
}

fn is_right(right: &Right, turn: &Turn, answer: &Answer) -> bool {
    let says = |words: &String| turn.is_head == Some(true) || answer.body == words.as_bytes();
    right.status == answer.status && right.close.is_none_or(|close| close == answer.close) && right.words.as_ref().is_none_or(says)
}

fn note(turn: &Turn, status: u16, behind: bool, seen: &Seen) {
    let count = |what: &AtomicU64, yes: bool| what.fetch_add(u64::from(yes), Ordering::Relaxed);
    let form = turn.place == Place::Form;
    let words = turn.right.iter().filter_map(|right| right.words.as_ref());
    count(&seen.forms, form && turn.good_form == Some(true));
    count(&seen.put_aside, form && words.clone().any(|words| words.contains(" files,") && !words.contains(" 0 of them")));
    count(&seen.broken, form && turn.good_form == Some(false));
    count(&seen.broken_early, form && turn.good_form == Some(false) && words.count() == 0);
    count(&seen.read, turn.place == Place::Read && status == 200);
    count(&seen.partly, turn.partly && status == 200);
    count(&seen.behind, behind);
    for (wanted, what) in [(204, &seen.asterisk), (404, &seen.no_route), (413, &seen.too_long), (417, &seen.expectation)] {
        count(what, turn.place == Place::Head(wanted));
    }
}

/// Reads one answer strictly, and passes over 100 (Continue) where one may be. None at the end.
fn next_answer(rest: &mut &[u8], turn: &Turn) -> std::result::Result<Option<Answer>, String> {
    if rest.is_empty() {
        return Ok(None);
    }
    let end = rest.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| format!("a head without end: {}", shown(rest)))?;
    let head = std::str::from_utf8(&rest[..end]).map_err(|_| "a head that is not UTF-8".to_owned())?;
    *rest = &rest[end + 4..];
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|line| line.get(..3)?.parse::<u16>().ok());
    let status = status.ok_or_else(|| format!("the status line is {status_line:?}"))?;
    if status == 100 && turn.continues {
        return next_answer(rest, turn);
    }
    let fields: Vec<_> = lines.map(|line| line.split_once(": ").unwrap_or((line, "\0"))).collect();
    if let Some(field) = fields.iter().find(|field| field.1.contains('\0')) {
        return Err(format!("the field line {field:?}"));
    }
    let field = |name: &str| fields.iter().find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1);
    if field("Date").is_none() {
        return Err(format!("no Date in a {status}"));
    }
    let close = field("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let length = match field("Content-Length") {
        Some(text) => text.parse::<usize>().map_err(|_| format!("Content-Length: {text}"))?,
        None if status == 204 => 0,
        None => return Err(format!("no Content-Length in a {status}")),
    };
    let length = match turn.is_head {
        Some(true) => 0,
        // It is the last one, so its content is all there is.
        None if rest.is_empty() => 0,
        _ => length,
    };
    let body = rest.get(..length).ok_or_else(|| format!("a body of {} bytes instead of {length}", rest.len()))?.to_vec();
    *rest = &rest[length..];
    Ok(Some(Answer { status, close, body }))
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count())
}

//! The protocol of one connection: bytes in, bytes out. It knows no socket, so that another driver, or a transport such as TLS, can use
//! it as well.
//!
//! A thread seats it at its desk, appends the bytes received to `desk.call.request`, lets it process them, and sends `desk.out`. Then the
//! connection leaves the desk, and takes along only what is unfinished.
//!
//! The steps from bytes to answers are in the files below; each returns whether there may be more to do.

mod admitting;
mod answering;
mod receiving;
mod waiting;

use super::deferred::Deferred;
use super::desk::Desk;
use super::incoming::{Incoming, Skip};
use super::pace::{LINGER_MOST_MS, LINGER_MS, Pace, after, earlier};
use crate::call::Call;
use crate::error::{Error, Kind};
use crate::http::method::Method;
use crate::http::parser::{self, Outcome};
use crate::http::refusal::Refusal;
use crate::output::Output;
use crate::request::{Caller, Peer};
use crate::response::Response;
use crate::service::Service;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// A last answer of up to this size does not need lingering: the client receives it at once.
const LARGE_ANSWER: u64 = 16 * 1024;
/// Longer answers are not held back.
const MOST_HELD_BACK: usize = 16 * 1024;
/// The least growth of the buffer for a head that is saved.
const HEAD_ROOM: usize = 1024;
/// The least growth of the buffer for a body. It grows with the bytes received, never by Content-Length.
const BODY_ROOM: usize = 64 * 1024;

/// One connection's state. An idle one holds no buffer.
pub(super) struct Connection {
    peer: Peer,
    phase: Phase,
    /// Unprocessed input: part of a head, a request that waits for its body, or requests that wait until the answers before them are sent.
    saved: Option<Box<Call>>,
    /// How much of a partial head was searched for its end; 0 if none was.
    scanned: usize,
    /// Bytes of empty lines since the last request.
    empty: usize,
    /// Is there more in `saved` than a partial request?
    unfed: bool,
    /// When the present head or idle time began, or the last byte of a body or an answer was moved; in milliseconds.
    since: u32,
    /// The deadline of the minimum rate, or of lingering; 0 is never.
    slow: u32,
    /// How many requests were answered.
    served: u64,
    /// Answers that the socket did not take.
    unsent: Option<Box<Output>>,
    /// The driver's token for it.
    ticket: u64,
    /// If unsent output is cut, must the connection be reset, since the answer would look complete otherwise?
    cut_resets: bool,
    /// Is it reset when all is sent?
    resets_at_end: bool,
    /// An exchange that is no longer waited for, and was not notified yet.
    left: Option<Arc<Deferred>>,
    /// Is it in the queue for a thread?
    is_queued: bool,
}

/// What a connection is doing.
enum Phase {
    /// Waiting for a head.
    Reading,
    /// A request was admitted, and its body is arriving.
    Uploading(Box<Incoming>),
    /// A request was answered before its body had arrived; the body is discarded.
    Skipping(Box<Skip>),
    /// A request waits for a thread on which its handler may block. Nothing is received meanwhile.
    Ready(Box<Ready>),
    /// A request is lent to a thread of the host's, and stays on the desk. What follows it begins at `next`. No other thread touches the
    /// connection meanwhile.
    Lent { next: usize },
    /// A request was deferred. Nothing is received until its exchange has answered.
    Waiting(Box<Wait>),
    /// Nothing more is received. It ends when all is sent; with `linger` the client gets time to read it.
    Ending { linger: bool },
    /// Our side is closed; further input is discarded until the client closes its side.
    Lingering,
    /// It is over. With `reset` the client must learn that its answer is incomplete.
    Closed { reset: bool },
}

/// A request that waits for a thread.
struct Ready {
    step: Step,
    /// Is it for another thread? If not, this thread continues once the output before it is sent.
    is_left: bool,
}

/// Where a request continues.
#[derive(Clone)]
enum Step {
    /// After its head: limits, policies and middleware come next. What follows the head begins at `body_at`.
    Admit { body_at: usize },
    /// It was admitted, and its handler reads the body itself.
    Lend { body_at: usize },
    /// It is complete.
    Answer { body: Range<usize>, next: usize },
}

impl Step {
    /// Adjusts to the removal of `count` bytes before it.
    fn shift(&mut self, count: usize) {
        match self {
            Step::Admit { body_at } | Step::Lend { body_at } => *body_at -= count,
            Step::Answer { body, next } => {
                *body = body.start - count..body.end - count;
                *next -= count;
            }
        }
    }
}

/// Waiting for an exchange.
struct Wait {
    exchange: Arc<Deferred>,
    /// Has it begun to answer?
    begun: bool,
    /// How long it may take to begin, in milliseconds; 0 is without limit.
    time_ms: u32,
    method: Method,
    keep_alive: bool,
    minor_version: u8,
    /// The headers of policies, for an answer in its place.
    fields: Option<Box<Response>>,
    then: Then,
}

/// What follows an answer.
struct Then {
    /// How much of the input is processed.
    used: usize,
    /// A body that is not read.
    skip: Option<Box<Skip>>,
    /// Does the connection end, since that body is too long to be worth receiving?
    last: bool,
}

impl Then {
    /// The next request, which begins at `used`.
    fn next(used: usize) -> Then {
        Then { used, skip: None, last: false }
    }
}

const CLOSED: Phase = Phase::Closed { reset: false };

impl Default for Connection {
    /// The connection of an unused slab entry.
    fn default() -> Connection {
        Connection { phase: CLOSED, ..Connection::new(Peer::Unix, 0) }
    }
}

/// What a driver queries.
impl Connection {
    /// A connection accepted at `now`.
    pub(super) fn new(peer: Peer, now: u32) -> Connection {
        Connection {
            peer,
            phase: Phase::Reading,
            saved: None,
            scanned: 0,
            empty: 0,
            unfed: false,
            since: now,
            slow: 0,
            served: 0,
            unsent: None,
            ticket: 0,
            cut_resets: false,
            resets_at_end: false,
            left: None,
            is_queued: false,
        }
    }

    /// Sets the driver's token, by which the connection's requests refer to it.
    pub(super) fn set_ticket(&mut self, ticket: u64) {
        self.ticket = ticket;
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    /// Is it over, so that the socket must be closed?
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// Must the client learn that its answer is incomplete?
    pub(super) fn wants_reset(&self) -> bool {
        matches!(self.phase, Phase::Closed { reset: true })
    }

    /// Does it wait for an exchange, or for another thread?
    pub(super) fn is_waiting(&self) -> bool {
        match &self.phase {
            Phase::Waiting(_) => true,
            Phase::Ready(ready) => ready.is_left,
            _ => false,
        }
    }

    /// Is its request lent to the host?
    pub(super) fn is_lent(&self) -> bool {
        matches!(self.phase, Phase::Lent { .. })
    }

    /// Does it have a request that only waits until the answers before it are sent?
    pub(super) fn is_ready(&self) -> bool {
        matches!(&self.phase, Phase::Ready(ready) if !ready.is_left)
    }

    /// Must it be queued for a thread? True only once.
    pub(super) fn wants_thread(&mut self) -> bool {
        let is_left = matches!(&self.phase, Phase::Ready(ready) if ready.is_left);
        is_left && !std::mem::replace(&mut self.is_queued, true)
    }

    /// It was not queued after all.
    pub(super) fn still_wants_thread(&mut self) {
        self.is_queued = false;
    }

    /// Is it queued for a thread? It may be closed all the same.
    pub(super) fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// The thread that it was queued for has come.
    pub(super) fn call_up(&mut self) {
        self.is_queued = false;
        if let Phase::Ready(ready) = &mut self.phase {
            ready.is_left = false;
            self.unfed = true;
        }
    }

    /// Is our side to be closed, so that the client sees the end and can read what was sent?
    pub(super) fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering)
    }

    /// Is it between two requests, with nothing begun?
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Reading) && self.saved.is_none() && self.unsent.is_none()
    }

    /// Is there input that can be processed without receiving more?
    pub(super) fn is_unfed(&self) -> bool {
        self.unfed && self.unsent.is_none() && !self.is_waiting()
    }

    /// Is it receiving a body into memory?
    pub(super) fn is_uploading(&self) -> bool {
        matches!(self.phase, Phase::Uploading(_))
    }

    /// Is the answer of its exchange being made at this moment?
    pub(super) fn is_being_answered(&self) -> bool {
        matches!(&self.phase, Phase::Waiting(wait) if wait.exchange.is_answering())
    }

    /// Output that the socket has not taken yet.
    pub(super) fn unsent_mut(&mut self) -> Option<&mut Output> {
        self.unsent.as_deref_mut()
    }

    /// Does it certainly hold no memory for the client?
    #[inline]
    pub(super) fn holds_nothing(&self) -> bool {
        self.saved.is_none() && self.unsent.is_none() && !matches!(self.phase, Phase::Uploading(_) | Phase::Waiting(_))
    }

    /// Bytes of memory held while the client is waited for.
    pub(super) fn held_bytes(&self) -> usize {
        let elsewhere = match &self.phase {
            Phase::Uploading(body) => body.form_bytes(),
            Phase::Waiting(wait) => wait.exchange.held_bytes(),
            _ => 0,
        };
        elsewhere
            + self.saved.as_ref().map_or(0, |saved| saved.request.held_bytes())
            + self.unsent.as_ref().map_or(0, |unsent| unsent.held_bytes())
    }

    /// When to check it if nothing happens; 0 is never.
    #[inline(always)]
    pub(super) fn deadline(&self, pace: &Pace) -> u32 {
        if self.is_idle() { after(self.since, pace.idle_ms) } else { self.deadline_at_work(pace) }
    }

    fn deadline_at_work(&self, pace: &Pace) -> u32 {
        match &self.phase {
            _ if self.unsent.is_some() => earlier(after(self.since, pace.write_ms), self.slow),
            // Counted from the first byte: sending a byte now and then does not prolong it.
            Phase::Reading => after(self.since, pace.header_ms),
            Phase::Uploading(_) | Phase::Skipping(_) => earlier(after(self.since, pace.body_ms), self.slow),
            Phase::Lingering => earlier(after(self.since, LINGER_MS), self.slow),
            Phase::Waiting(wait) if !wait.begun => after(self.since, wait.time_ms),
            Phase::Lent { .. } | Phase::Ready(_) | Phase::Waiting(_) | Phase::Ending { .. } | Phase::Closed { .. } => 0,
        }
    }

    /// Has its deadline passed?
    pub(super) fn is_late(&self, pace: &Pace, now: u32) -> bool {
        let deadline = self.deadline(pace);
        deadline != 0 && now.wrapping_sub(deadline) as i32 >= 0
    }
}

/// What a driver does between `sit_down` and `stand_up`, and with output.
impl Connection {
    /// Puts what it has saved onto the desk.
    #[inline]
    pub(super) fn sit_down(&mut self, desk: &mut Desk) {
        if let Some(saved) = self.saved.take() {
            desk.put_on(saved);
        }
    }

    /// Takes what is unfinished off the desk; the thread gets its own buffers back.
    #[inline(always)]
    pub(super) fn stand_up(&mut self, desk: &mut Desk) {
        if self.unfed {
            // The first of the remaining requests had to wait for us.
            self.since = desk.now();
        }
        if desk.input().is_empty() { desk.clean() } else { self.take_with(desk) }
    }

    fn take_with(&mut self, desk: &mut Desk) {
        match &mut self.phase {
            Phase::Uploading(body) => body.shift(desk.used),
            Phase::Ready(ready) => ready.step.shift(desk.used),
            _ => {}
        }
        self.saved = Some(desk.take_off());
    }

    /// Makes room for input; returns how many bytes to receive at most.
    pub(super) fn make_room(&self, desk: &mut Desk) -> usize {
        let bytes = desk.bytes_mut();
        let left = match &self.phase {
            Phase::Uploading(body) => body.left(),
            _ => usize::MAX,
        };
        // One byte stays free for the NUL behind a body.
        if bytes.capacity() - bytes.len() < left.min(HEAD_ROOM) + 1 {
            let step = if self.is_uploading() { BODY_ROOM.max(bytes.len()) } else { HEAD_ROOM.max(bytes.len()) };
            bytes.reserve(left.min(step) + 1);
        }
        left.min(bytes.capacity() - bytes.len() - 1)
    }

    /// Does all that the input on the desk allows: parses, runs handlers, writes answers to `desk.out`. Stops when so much was written that
    /// it should be sent first; then `is_unfed` is true.
    pub(super) fn feed(&mut self, desk: &mut Desk, service: &Arc<Service>) {
        self.unfed = false;
        loop {
            let goes_on = match &self.phase {
                Phase::Reading if desk.input().is_empty() => false,
                Phase::Reading => self.feed_head(desk, service),
                _ => self.feed_what_has_begun(desk, service),
            };
            if !goes_on {
                return;
            }
            if desk.output_is_full() {
                self.unfed = true;
                return;
            }
        }
    }

    /// The same after a head was processed. True: there may be more to do.
    #[inline(never)]
    fn feed_what_has_begun(&mut self, desk: &mut Desk, service: &Arc<Service>) -> bool {
        match &mut self.phase {
            Phase::Reading => true,
            Phase::Uploading(_) => self.feed_upload(desk, service),
            Phase::Skipping(_) => self.feed_skip(desk),
            Phase::Ready(ready) if !ready.is_left => {
                let step = ready.step.clone();
                self.phase = Phase::Reading;
                self.take_step(step, desk, service)
            }
            // Input received behind it waits as well.
            Phase::Ready(_) | Phase::Lent { .. } | Phase::Waiting(_) => false,
            Phase::Ending { .. } | Phase::Lingering | Phase::Closed { .. } => {
                desk.use_up();
                false
            }
        }
    }

    /// The client has closed its side, and all its bytes were processed.
    pub(super) fn end_of_input(&mut self, desk: &mut Desk, service: &Arc<Service>) {
        match self.phase {
            Phase::Reading if desk.input().is_empty() => self.phase = CLOSED,
            Phase::Reading => {
                // A head that arrived in pieces was parsed only at the first; it may be malformed, not only incomplete.
                let (input, head) = desk.call.request.parts_from(desk.used);
                let outcome = parser::parse(input, &service.limits, head);
                self.refuse(if let Outcome::Refused(refusal) = outcome { refusal } else { Refusal::Incomplete }, desk, service);
            }
            Phase::Uploading(_) => self.refuse(Refusal::Incomplete, desk, service),
            Phase::Skipping(_) | Phase::Lingering => self.phase = CLOSED,
            Phase::Lent { .. } | Phase::Ready(_) | Phase::Waiting(_) | Phase::Ending { .. } | Phase::Closed { .. } => {}
        }
    }

    /// The deadline has passed.
    pub(super) fn time_is_up(&mut self, desk: &mut Desk, service: &Arc<Service>) {
        let words = match &self.phase {
            Phase::Reading if !desk.input().is_empty() => "the head did not come within header_timeout_ms",
            Phase::Uploading(_) => "the body came more slowly than body_timeout_ms or min_rate_bytes allow",
            Phase::Waiting(_) => {
                return self.answer_waiting(504, "the handler did not answer within exchange_timeout_ms", desk.now(), service);
            }
            _ => return self.break_off(),
        };
        self.refuse_and_end(408, Error::fixed(Kind::Timeout, words), desk, service);
    }

    /// Answers with an error of the library's, and ends the connection.
    pub(super) fn refuse_and_end(&mut self, code: u16, why: Error, desk: &mut Desk, service: &Arc<Service>) {
        self.note_upload(desk);
        if !self.is_uploading() {
            let method = if desk.input().is_empty() { Method::Other } else { desk.call.request.known_method() };
            let caller = self.caller(service);
            desk.call.request.blank(caller, method);
        }
        let Call { request, response } = &mut *desk.call;
        service.fail(code, why, None, request, response);
        self.finish_early(desk, service);
        desk.use_up();
    }

    /// Notes that bytes were received.
    pub(super) fn note_received(&mut self, count: usize, pace: &Pace, now: u32) {
        match self.phase {
            Phase::Uploading(_) | Phase::Skipping(_) => {
                self.since = now;
                self.slow = pace.moved(self.slow, pace.body_ms, count, now);
            }
            Phase::Lingering => self.since = now,
            Phase::Reading | Phase::Ready(_) | Phase::Lent { .. } | Phase::Waiting(_) | Phase::Ending { .. } | Phase::Closed { .. } => {}
        }
    }

    /// Notes that unsent bytes were sent.
    pub(super) fn note_sent(&mut self, count: usize, pace: &Pace, now: u32) {
        if count > 0 {
            self.since = now;
            self.slow = pace.moved(self.slow, pace.write_ms, count, now);
        }
    }

    /// Refuses a body because max_buffered_bytes is reached.
    pub(super) fn refuse_upload(&mut self, desk: &mut Desk, service: &Arc<Service>) {
        self.note_upload(desk);
        let Call { request, response } = &mut *desk.call;
        service.refuse_overfull(request, response);
        self.finish_early(desk, service);
        desk.use_up();
    }

    /// Notes how much of a body was received, for the access log, since the rest will not be.
    fn note_upload(&self, desk: &mut Desk) {
        if let Phase::Uploading(body) = &self.phase {
            desk.call.request.note_taken(body.received());
        }
    }

    /// All output is sent.
    pub(super) fn sent_all(&mut self, now: u32) {
        self.unsent = None;
        if let Phase::Ending { linger } = self.phase {
            self.since = now;
            self.slow = after(now, LINGER_MOST_MS);
            self.phase = match linger {
                _ if self.resets_at_end => Phase::Closed { reset: true },
                true => Phase::Lingering,
                false => CLOSED,
            };
        }
    }

    /// Keeps what the socket did not take of `desk.out`.
    #[inline(never)]
    pub(super) fn keep_unsent(&mut self, desk: &mut Desk, pace: &Pace) {
        self.since = desk.now();
        self.slow = pace.moved(pace.begin(desk.now()), pace.write_ms, desk.out.sent(), desk.now());
        if let Phase::Ending { linger } = &mut self.phase {
            *linger = true;
        }
        self.unsent = Some(Box::new(desk.out.take_rest()));
    }

    /// Is the answer on the desk all there is to do, and small, so that it may be held back?
    pub(super) fn may_hold_back(&self, desk: &Desk) -> bool {
        !self.unfed && self.is_idle() && desk.out.len() <= MOST_HELD_BACK
    }

    /// Holds the desk's output back; `spare` takes its place there.
    pub(super) fn hold_back(&mut self, desk: &mut Desk, spare: Box<Output>) {
        self.unsent = Some(std::mem::replace(&mut desk.out, spare));
    }

    /// The output that was held back.
    pub(super) fn take_held_back(&mut self) -> Option<Box<Output>> {
        self.unsent.take()
    }

    /// Keeps what the socket did not take of held-back output.
    pub(super) fn keep_held_back(&mut self, rest: Box<Output>, pace: &Pace, now: u32) {
        self.since = now;
        self.slow = pace.begin(now);
        self.unsent = Some(rest);
    }

    /// Ends the connection: it is broken, or takes too long.
    pub(super) fn break_off(&mut self) {
        self.end_with(CLOSED);
    }

    fn end_with(&mut self, end: Phase) {
        let half_told = self.cut_resets && self.unsent.is_some();
        let half_told = half_told || matches!(&self.phase, Phase::Waiting(wait) if wait.exchange.ends_by_close());
        let end = if half_told { Phase::Closed { reset: true } } else { end };
        self.unsent = None;
        if let Phase::Waiting(wait) = std::mem::replace(&mut self.phase, end) {
            wait.exchange.close(None);
            self.left = Some(wait.exchange);
        }
    }

    fn caller(&self, service: &Service) -> Caller {
        let is_last = service.max_requests > 0 && self.served + 1 >= service.max_requests;
        let now = service.hooks.on_access.is_some().then(Instant::now);
        Caller { peer: self.peer, ticket: self.ticket, is_last, now }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Shift;
    use super::*;
    use crate::handler::{Flow, Handler};
    use crate::hooks::Hooks;
    use crate::http::parser::work;
    use crate::options::Options;
    use crate::prefix::Prefix;
    use crate::request::Request;
    use crate::response::Response;
    use crate::route::Route;
    use crate::router::Router;
    use crate::server::Control;

    fn service(set: impl FnOnce(&mut Options)) -> Arc<Service> {
        service_with(set, Hooks::default())
    }

    fn service_with(set: impl FnOnce(&mut Options), hooks: Hooks) -> Arc<Service> {
        let mut options = Options::new();
        set(&mut options);
        let mut router = Router::new();
        let mut routes = Vec::new();
        let mut handlers: Vec<Box<dyn Handler>> = Vec::new();
        for (method, pattern) in [("GET", "/"), ("POST", "/echo")] {
            router.add(method, pattern).unwrap();
            let echo = |request: &Request, response: &mut Response| response.send_text(&request.body());
            routes.push(Route::new(pattern, Vec::new(), std::ptr::null_mut()));
            handlers.push(Box::new(echo));
        }
        Arc::new(Service::new(&options, router, routes, handlers, hooks, Arc::default(), Arc::new(Control::new().unwrap())))
    }

    /// A client and a connection, without a socket between them.
    struct Talk {
        service: Arc<Service>,
        desk: Desk,
        connection: Connection,
        came: Vec<u8>,
    }

    impl Talk {
        fn new(service: Arc<Service>) -> Talk {
            Talk {
                desk: Desk::new(&service, None, Arc::new(Shift::none())),
                service,
                connection: Connection::new(Peer::Unix, 0),
                came: Vec::new(),
            }
        }

        /// Sends one piece, and returns the answer to it.
        fn say(&mut self, piece: &[u8]) -> String {
            let Talk { service, desk, connection, came } = self;
            let from = came.len();
            let mut rest = piece;
            while !rest.is_empty() || connection.is_unfed() {
                connection.sit_down(desk);
                if connection.is_unfed() {
                    connection.feed(desk, service);
                } else {
                    let count = connection.make_room(desk).min(rest.len());
                    assert!(count > 0, "there is always room");
                    desk.bytes_mut().extend_from_slice(&rest[..count]);
                    rest = &rest[count..];
                    connection.feed(desk, service);
                }
                while let Some(bytes) = desk.out.single() {
                    came.extend_from_slice(bytes);
                    let sent = bytes.len();
                    desk.out.advance(sent);
                    if desk.out.is_empty() {
                        break;
                    }
                }
                desk.out.clear();
                connection.sent_all(desk.now());
                connection.stand_up(desk);
            }
            String::from_utf8_lossy(&came[from..]).into_owned()
        }

        fn end(&mut self) -> String {
            let Talk { service, desk, connection, .. } = self;
            connection.sit_down(desk);
            connection.end_of_input(desk, service);
            let answer = String::from_utf8_lossy(desk.out.single().unwrap_or_default()).into_owned();
            desk.out.clear();
            connection.sent_all(desk.now());
            connection.stand_up(desk);
            answer
        }
    }

    fn talk() -> Talk {
        Talk::new(service(|_| {}))
    }

    #[test]
    fn an_idle_connection_holds_nothing() {
        let mut talk = talk();
        let answer = talk.say(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        assert!(answer.ends_with("\r\n\r\nabc"), "{answer}");
        assert!(talk.connection.is_idle());
        assert_eq!(talk.connection.held_bytes(), 0);
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_costs_no_more_than_three_that_come_whole() {
        let head =
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-Filler: 0123456789012345678901234567890123456789\r\n".repeat(99 * 3 / 4));
        work::take();
        assert!(talk().say(head.as_bytes()).starts_with("HTTP/1.1 200"));
        let whole = work::take();
        let mut slow = talk();
        let answers: String = head.bytes().map(|byte| slow.say(&[byte])).collect();
        assert!(answers.starts_with("HTTP/1.1 200"));
        let cut = work::take();
        // Each byte is looked at when it comes, line ends again with the next one, and all once more at the end.
        assert!(cut <= 3 * whole, "{cut} bytes looked at, {whole} when it came whole");
    }

    #[test]
    fn an_exchange_is_the_same_wherever_the_input_is_cut() {
        let input = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
                      GET / HTTP/1.1\r\nHost: a\r\n\r\n\
                      POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nXXXXX\
                      POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast";
        let strip = |text: String| text.split("Date: ").map(|part| part.get(29..).unwrap_or(part).to_owned()).collect::<Vec<_>>();
        let whole = strip(talk().say(input));
        assert_eq!(whole.len(), 5, "four answers: {whole:?}");
        for at in 1..input.len() {
            let mut talk = talk();
            let answer = talk.say(&input[..at]) + &talk.say(&input[at..]);
            assert_eq!(strip(answer), whole, "cut at {at}");
            assert!(talk.connection.is_closed());
        }
    }

    #[test]
    fn with_middleware_it_is_the_same_wherever_the_input_is_cut_twice() {
        let keeping = |request: &Request, _: &mut Response| {
            request.set_local(b"key", Box::new(1));
            Ok(Flow::Next)
        };
        let mut hooks = Hooks::default();
        hooks.middleware.push((Prefix::new("/").unwrap(), Box::new(keeping)));
        let service = service_with(|_| {}, hooks);
        let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\
                      POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nGET /e HTTP/\
                      POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
                      POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast";
        let strip = |text: String| text.split("Date: ").map(|part| part.get(29..).unwrap_or(part).to_owned()).collect::<Vec<_>>();
        let whole = strip(Talk::new(Arc::clone(&service)).say(input));
        assert_eq!(whole.len(), 5, "four answers: {whole:?}");
        for first in 1..input.len() {
            for second in (first + 1..input.len()).step_by(5) {
                let mut talk = Talk::new(Arc::clone(&service));
                let answer = talk.say(&input[..first]) + &talk.say(&input[first..second]) + &talk.say(&input[second..]);
                assert_eq!(strip(answer), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_client_that_expects_100_gets_it_once_its_request_is_admitted() {
        let mut talk = talk();
        let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        assert_eq!(talk.say(head), "HTTP/1.1 100 Continue\r\n\r\n");
        assert!(talk.say(b"abc").ends_with("abc"));
        assert!(talk.connection.is_idle());
    }

    #[test]
    fn a_refused_client_that_expects_100_is_disconnected() {
        let mut talk = talk();
        let answer = talk.say(b"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("Connection: close\r\n"), "{answer}");
        assert!(talk.connection.is_lingering());
    }

    #[test]
    fn answers_stop_until_they_are_sent_when_there_are_many() {
        let service = service(|_| {});
        let mut desk = Desk::new(&service, None, Arc::new(Shift::none()));
        let mut connection = Connection::new(Peer::Unix, 0);
        let one = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        connection.sit_down(&mut desk);
        desk.bytes_mut().extend(one.repeat(2000));
        connection.feed(&mut desk, &service);
        assert!(connection.is_unfed());
        assert!(desk.out.len() < 66_000, "{}", desk.out.len());
        connection.stand_up(&mut desk);
        assert!(connection.held_bytes() > 0, "the rest waits with the connection");
    }

    #[test]
    fn a_request_cut_short_is_answered_to_those_who_still_listen() {
        for begun in [&b"GET / HT"[..], b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"] {
            let mut talk = talk();
            talk.say(begun);
            assert!(talk.end().starts_with("HTTP/1.1 400"));
        }
        let mut slow = talk();
        slow.say(b"GET / HT");
        slow.say(b"TP/3.0\r\n");
        assert!(slow.end().starts_with("HTTP/1.1 505"), "what is wrong is said also when it came in pieces");
        let mut talk = talk();
        assert_eq!(talk.end(), "", "nothing was begun");
        assert!(talk.connection.is_closed());
    }

    const PACE: Pace = Pace {
        header_ms: 10_000,
        body_ms: 30_000,
        idle_ms: 20_000,
        write_ms: 30_000,
        exchange_ms: 60_000,
        min_rate: 240,
        shortest_ms: 2_000,
    };

    #[test]
    fn deadlines_follow_what_is_waited_for() {
        let mut talk = talk();
        talk.connection = Connection::new(Peer::Unix, 1000);
        talk.desk.clock.now = 2000;
        assert_eq!(talk.connection.deadline(&PACE), 21_000, "idle since it was accepted");
        talk.say(b"POST /echo HTTP/1.1\r\n");
        talk.desk.clock.now = 5000;
        talk.say(b"Host: a\r\nContent-Length: 100000\r\n");
        assert_eq!(talk.connection.deadline(&PACE), 12_000, "a head counts from its first byte");
        talk.say(b"\r\n");
        assert_eq!(talk.connection.deadline(&PACE), 10_000, "a body of nothing has its grace");
        talk.connection.note_received(480, &PACE, 6000);
        assert_eq!(talk.connection.deadline(&PACE), 12_000, "480 bytes buy two seconds");
        assert!(!talk.connection.is_late(&PACE, 11_999) && talk.connection.is_late(&PACE, 12_000));
        let impatient = Pace { body_ms: 1500, ..PACE };
        assert_eq!(talk.connection.deadline(&impatient), 7_500, "silence is judged for itself");
    }

    #[test]
    fn the_time_out_of_a_body_begins_after_middleware() {
        let mut hooks = Hooks::default();
        hooks.middleware.push((Prefix::new("/").unwrap(), Box::new(|_: &Request, _: &mut Response| Ok(Flow::Next))));
        let mut talk = Talk::new(service_with(|_| {}, hooks));
        // As if the middleware had taken a minute.
        let now = talk.desk.now();
        let before = now.wrapping_sub(60_000);
        talk.desk.clock.now = before;
        talk.say(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
        assert!(!talk.connection.is_late(&PACE, now), "late since {}", talk.connection.deadline(&PACE));
    }

    #[test]
    fn a_response_never_outlives_its_request() {
        let service = service(|_| {});
        let mut desk = Desk::new(&service, None, Arc::new(Shift::none()));
        let mut waiting = Connection::new(Peer::Unix, 0);
        let mut say = |connection: &mut Connection, bytes: &[u8]| {
            connection.sit_down(&mut desk);
            desk.bytes_mut().extend_from_slice(bytes);
            connection.feed(&mut desk, &service);
            connection.stand_up(&mut desk);
            let answer = String::from_utf8_lossy(desk.out.single().unwrap()).into_owned();
            desk.out.clear();
            answer
        };
        say(&mut waiting, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
        let other = say(&mut Connection::new(Peer::Unix, 0), b"PUT /echo HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(other.starts_with("HTTP/1.1 405") && other.contains("Allow: "));
        let answer = say(&mut waiting, b"cd");
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("Allow: ") && answer.ends_with("abcd"), "{answer}");
    }

    #[test]
    fn empty_lines_begin_nothing() {
        let mut talk = talk();
        talk.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r");
        talk.say(b"\n\r\n");
        assert!(talk.connection.is_idle());
        assert_eq!(talk.end(), "");
    }

    #[test]
    fn empty_lines_that_come_in_halves_buy_no_time() {
        let mut talk = talk();
        for (now, half) in [(1000, &b"\r"[..]), (9000, b"\n\r"), (10_500, b"\n\r")] {
            talk.desk.clock.now = now;
            talk.say(half);
            assert_eq!(talk.connection.deadline(&PACE), 11_000, "a head counts from its first byte, at {now}");
        }
        talk.desk.clock.now = 10_900;
        talk.say(b"\nGET");
        assert_eq!(talk.connection.deadline(&PACE), 20_900, "here one begins");
    }

    #[test]
    fn a_malformed_head_request_is_answered_without_a_body() {
        let answer = talk().say(b"HEAD / HTTP/1.1\r\nHost : a\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

//! The protocol of one connection: bytes in, bytes out. It knows no socket, so that another driver or a
//! transport such as TLS can carry its bytes as well.
//!
//! A thread seats it at its desk, adds what came to `desk.request`'s bytes, lets it feed on them, sends
//! what is then in `desk.out`, and lets it stand up again, taking with it only what is unfinished.

use super::answer::{self, Clock};
use super::deferred::{Closing, Collected, Deferred, End};
use super::desk::Desk;
use super::incoming::{Fault, Incoming, Skip};
use super::pace::{LINGER_MOST_MS, LINGER_MS, Pace, after, earlier, patient};
use crate::call::Call;
use crate::error::{Error, Kind};
use crate::http::method::Method;
use crate::http::parser::{self, Framing, Outcome, head_end};
use crate::http::refusal::Refusal;
use crate::output::Output;
use crate::request::{Caller, Peer, Request};
use crate::response::Response;
use crate::service::Service;
use crate::upload::{self, SKIPPED_BYTES, Unread, Upload};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// What is smaller is with the client at once.
const LARGE_ANSWER: u64 = 16 * 1024;
/// Longer answers leave at once.
const MOST_HELD_BACK: usize = 16 * 1024;
/// Saved heads grow by at least this.
const HEAD_ROOM: usize = 1024;
/// Bodies grow as they are received, by at least this, never by what Content-Length promises.
const BODY_ROOM: usize = 64 * 1024;

/// One connection's state. An idle one holds no buffer.
pub(super) struct Connection {
    peer: Peer,
    phase: Phase,
    /// Input that is not done with: part of a head, a request that waits for its body, or requests that
    /// must wait until answers before them are sent.
    saved: Option<Box<Call>>,
    /// How much of a partial head was searched for its end; 0 if it was never looked at.
    scanned: usize,
    /// Bytes of empty lines since the last request.
    empty: usize,
    /// Is there more in `saved` than a partial request?
    unfed: bool,
    /// When the present head or idle time began, or the last byte of a body or an answer moved; in milliseconds.
    since: u32,
    /// When the body or the answer is too slow, or the lingering too long; 0 is never.
    slow: u32,
    /// How many requests were answered.
    served: u64,
    /// Answers that the socket did not take.
    unsent: Option<Box<Output>>,
    /// What its driver calls it.
    ticket: u64,
    /// Does only a reset tell that what is unsent was cut?
    cut_resets: bool,
    /// Does it end with a reset when all is sent?
    resets_at_end: bool,
    /// An exchange that is not waited for any more, and has not been told yet.
    left: Option<Arc<Deferred>>,
    /// Has it been put where threads look for work?
    is_queued: bool,
}

/// What a connection is doing.
enum Phase {
    /// It waits for a head.
    Reading,
    /// A request was admitted, and its body is on the way.
    Uploading(Box<Incoming>),
    /// A request was answered before its body was there; the body is thrown away.
    Skipping(Box<Skip>),
    /// A request waits for a thread that may block. Nothing is read until its handler has run.
    Ready(Box<Ready>),
    /// A request is in the hands of a thread of the host's, on whose desk it stays. What follows it begins at `next`. Nobody else
    /// looks at the connection meanwhile.
    Lent { next: usize },
    /// A request was deferred. Nothing is read until its exchange has answered.
    Waiting(Box<Wait>),
    /// Nothing more is read. It ends when all is sent; with `linger` the client is given time to read it.
    Ending { linger: bool },
    /// Our side has ended; what still comes is thrown away until the client's side ends too.
    Lingering,
    /// It is over. With `reset` the client is told that what it has is not all.
    Closed { reset: bool },
}

/// Waiting for a thread.
struct Ready {
    step: Step,
    /// Is it for another thread? If not, it is this one's turn again once what was written before is sent.
    is_left: bool,
}

/// Where a request goes on.
#[derive(Clone)]
enum Step {
    /// Its head is there: limits, policies and middleware come first. What follows the head begins there.
    Admit { body_at: usize },
    /// It was admitted, and its handler reads the body itself.
    Lend { body_at: usize },
    /// It is complete.
    Answer { body: Range<usize>, next: usize },
}

/// What asking for a thread comes to.
enum Leave {
    Granted,
    Later,
    /// As many wait already as may.
    Refused,
}

impl Step {
    /// The first `count` bytes before it are gone.
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
    /// How long it may take until it has; in milliseconds, 0 is for ever.
    time_ms: u32,
    method: Method,
    keep_alive: bool,
    minor_version: u8,
    /// The headers of its policies, for an answer in its place.
    fields: Option<Box<Response>>,
    then: Then,
}

/// What comes after an answer.
struct Then {
    /// How much of the input is done with.
    used: usize,
    /// A body that nobody reads.
    skip: Option<Box<Skip>>,
    /// Is that more than is worth receiving?
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
    /// The one in a place where nobody lives.
    fn default() -> Connection {
        Connection { phase: CLOSED, ..Connection::new(Peer::Unix, 0) }
    }
}

/// What a driver asks.
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

    /// What its driver calls it; its requests say so when they ask for something.
    pub(super) fn set_ticket(&mut self, ticket: u64) {
        self.ticket = ticket;
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    /// Is it over? Then the socket is to be closed.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// Is the client to be told that what it has is not all?
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

    /// Has it a request that only waits for the answers before it to be sent?
    pub(super) fn is_ready(&self) -> bool {
        matches!(&self.phase, Phase::Ready(ready) if !ready.is_left)
    }

    /// Is it to be put where threads look for work? Said once.
    pub(super) fn wants_thread(&mut self) -> bool {
        let is_left = matches!(&self.phase, Phase::Ready(ready) if ready.is_left);
        is_left && !std::mem::replace(&mut self.is_queued, true)
    }

    /// It was not put there after all.
    pub(super) fn still_wants_thread(&mut self) {
        self.is_queued = false;
    }

    /// Is it where threads look for work? It may be over all the same.
    pub(super) fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// The thread that it has waited for is here.
    pub(super) fn call_up(&mut self) {
        self.is_queued = false;
        if let Phase::Ready(ready) = &mut self.phase {
            ready.is_left = false;
            self.unfed = true;
        }
    }

    /// Is our side to be ended, so that the client sees the end and can read what was sent?
    pub(super) fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering)
    }

    /// Is it between two requests, with nothing begun?
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Reading) && self.saved.is_none() && self.unsent.is_none()
    }

    /// Is there input that can be fed on without receiving any?
    pub(super) fn is_unfed(&self) -> bool {
        self.unfed && self.unsent.is_none() && !self.is_waiting()
    }

    /// Is it receiving a body that is kept?
    pub(super) fn is_uploading(&self) -> bool {
        matches!(self.phase, Phase::Uploading(_))
    }

    /// Is the answer of the exchange that it waits for being made at this moment?
    pub(super) fn is_being_answered(&self) -> bool {
        matches!(&self.phase, Phase::Waiting(wait) if wait.exchange.is_answering())
    }

    /// Answers that wait for the socket to take them.
    pub(super) fn unsent_mut(&mut self) -> Option<&mut Output> {
        self.unsent.as_deref_mut()
    }

    /// Is it plain that no memory is held for the client?
    #[inline]
    pub(super) fn holds_nothing(&self) -> bool {
        self.saved.is_none() && self.unsent.is_none() && !matches!(self.phase, Phase::Uploading(_) | Phase::Waiting(_))
    }

    /// Bytes of memory held for the client while it is waited for.
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

    /// When to look at it again if nothing happens; 0 is never.
    #[inline(always)]
    pub(super) fn deadline(&self, pace: &Pace) -> u32 {
        if self.is_idle() { after(self.since, pace.idle_ms) } else { self.deadline_at_work(pace) }
    }

    fn deadline_at_work(&self, pace: &Pace) -> u32 {
        match &self.phase {
            _ if self.unsent.is_some() => earlier(after(self.since, pace.write_ms), self.slow),
            // Absolute from the first byte: a byte now and then does not prolong it.
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

/// What a driver does, between `sit_down` and `stand_up`.
impl Connection {
    /// Puts what it had kept onto the desk.
    #[inline]
    pub(super) fn sit_down(&mut self, desk: &mut Desk) {
        if let Some(saved) = self.saved.take() {
            desk.put_on(saved);
        }
    }

    /// Takes what is unfinished off the desk; the thread has its own things again.
    #[inline(always)]
    pub(super) fn stand_up(&mut self, desk: &mut Desk) {
        if self.unfed {
            // Whatever comes first of what is left had to wait for us.
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

    /// Makes room for input; gives how many bytes to receive at most.
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

    /// Does all that the input on the desk allows: parses, runs handlers, writes answers to `desk.out`.
    /// Stops when so much was written that it should be sent first; `is_unfed` tells.
    pub(super) fn feed(&mut self, desk: &mut Desk, service: &Arc<Service>) {
        self.unfed = false;
        loop {
            let goes_on = match &self.phase {
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

    /// The same for a request whose head is done with. True: there may be more to do.
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
            // What was received behind it waits as well.
            Phase::Ready(_) | Phase::Lent { .. } | Phase::Waiting(_) => false,
            Phase::Ending { .. } | Phase::Lingering | Phase::Closed { .. } => {
                desk.use_up();
                false
            }
        }
    }

    /// The client has ended its side, and all its bytes were fed.
    pub(super) fn end_of_input(&mut self, desk: &mut Desk, service: &Arc<Service>) {
        match self.phase {
            Phase::Reading if desk.input().is_empty() => self.phase = CLOSED,
            Phase::Reading => {
                // What came in pieces was not parsed since the first; it may be worse than incomplete.
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

    /// Answers with an error of the library's own, and ends the connection.
    pub(super) fn refuse_and_end(&mut self, code: u16, why: Error, desk: &mut Desk, service: &Arc<Service>) {
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

    /// Bytes were received.
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

    /// Bytes of what is unsent were sent.
    pub(super) fn note_sent(&mut self, count: usize, pace: &Pace, now: u32) {
        if count > 0 {
            self.since = now;
            self.slow = pace.moved(self.slow, pace.write_ms, count, now);
        }
    }

    /// More is held for clients than the app allows, and this body is a part of it.
    pub(super) fn refuse_upload(&mut self, desk: &mut Desk, service: &Arc<Service>) {
        let Call { request, response } = &mut *desk.call;
        service.refuse_overfull(request, response);
        self.finish_early(desk, service);
        desk.use_up();
    }

    /// All answers are sent.
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

    /// The socket took only some of `desk.out`; the rest waits here.
    #[inline(never)]
    pub(super) fn keep_unsent(&mut self, desk: &mut Desk, pace: &Pace) {
        self.since = desk.now();
        self.slow = pace.moved(pace.begin(desk.now()), pace.write_ms, desk.out.sent(), desk.now());
        if let Phase::Ending { linger } = &mut self.phase {
            *linger = true;
        }
        self.unsent = Some(Box::new(desk.out.take_rest()));
    }

    /// Is an answer at the desk all that there is to do? Then it may be kept back.
    pub(super) fn may_hold_back(&self, desk: &Desk) -> bool {
        !self.unfed && self.is_idle() && desk.out.len() <= MOST_HELD_BACK
    }

    /// Keeps what was written at the desk for a moment; `spare` takes its place there.
    pub(super) fn hold_back(&mut self, desk: &mut Desk, spare: Box<Output>) {
        self.unsent = Some(std::mem::replace(&mut desk.out, spare));
    }

    /// What was kept for a moment.
    pub(super) fn take_held_back(&mut self) -> Option<Box<Output>> {
        self.unsent.take()
    }

    /// The socket did not take all of what was kept for a moment.
    pub(super) fn keep_held_back(&mut self, rest: Box<Output>, pace: &Pace, now: u32) {
        self.since = now;
        self.slow = pace.begin(now);
        self.unsent = Some(rest);
    }

    /// The connection is broken, or not worth more of our time.
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

/// What an exchange does to the connection that waits for it.
impl Connection {
    /// Takes what the exchange has answered so far, to be sent.
    pub(super) fn collect(&mut self, service: &Service, now: u32) {
        let Phase::Waiting(wait) = &mut self.phase else { return };
        let Collected { bytes, end } = wait.exchange.collect();
        if let Some(bytes) = bytes {
            wait.begun = true;
            self.take_bytes(bytes, service, now);
        }
        if let Some(end) = end {
            self.cut_resets = end.reset;
            self.end_wait(end, now, service);
        }
    }

    fn take_bytes(&mut self, bytes: Output, service: &Service, now: u32) {
        match &mut self.unsent {
            Some(unsent) => unsent.append(bytes),
            None => {
                self.since = now;
                self.slow = service.pace.begin(now);
                self.unsent = Some(Box::new(bytes));
            }
        }
    }

    /// The exchange has answered; the connection goes on to what follows, or ends.
    fn end_wait(&mut self, End { last, cut, reset }: End, now: u32, service: &Service) {
        let Phase::Waiting(wait) = std::mem::replace(&mut self.phase, Phase::Reading) else { return };
        let Wait { exchange, keep_alive, then, .. } = *wait;
        self.left = exchange.has_news().then_some(exchange);
        self.served += 1;
        if self.unsent.is_none() {
            if cut {
                return self.end_with(Phase::Closed { reset });
            }
            self.since = now;
        }
        if cut || last || then.last || !keep_alive {
            // What was written before it failed still leaves.
            self.resets_at_end = cut && reset;
            self.phase = Phase::Ending { linger: true };
            self.saved = None;
            self.unfed = false;
            return;
        }
        self.unfed = self.saved.is_some();
        if let Some(skip) = then.skip {
            self.slow = service.pace.begin(now);
            self.phase = Phase::Skipping(skip);
        }
    }

    /// Answers in place of the exchange, whose request is in other hands. It ends the connection.
    pub(super) fn answer_waiting(&mut self, code: u16, words: &'static str, now: u32, service: &Arc<Service>) {
        let Phase::Waiting(wait) = &mut self.phase else { return };
        match wait.exchange.close(Some(code)) {
            Closing::Closed => {}
            Closing::Streaming => return self.break_off(),
            Closing::Answered => {
                // Its answer is here, or about to be: no time runs any more.
                wait.begun = true;
                return self.collect(service, now);
            }
        }
        let Phase::Waiting(wait) = &mut self.phase else { return };
        // The request is in other hands, so all that is known of it is given.
        let (method, minor, fields) = (wait.method, wait.minor_version, wait.fields.take());
        let bytes = self.own_answer(code, words, method, minor, fields, service);
        self.take_bytes(bytes, service, now);
        self.end_wait(End { last: true, cut: false, reset: false }, now, service);
    }

    /// Answers a request that waits for a thread. It ends the connection.
    pub(super) fn answer_queued(&mut self, code: u16, words: &'static str, now: u32, service: &Arc<Service>) {
        let (Phase::Ready(_), Some(saved)) = (&self.phase, self.saved.take()) else { return };
        let (method, minor) = (saved.request.known_method(), saved.request.minor_version());
        let fields = service.policy_fields(&saved.request);
        let bytes = self.own_answer(code, words, method, minor, fields, service);
        self.take_bytes(bytes, service, now);
        self.unfed = false;
        self.phase = Phase::Ending { linger: true };
    }

    /// The bytes of an answer of the library's own, for a request that is not at hand.
    fn own_answer(
        &self,
        code: u16,
        words: &'static str,
        method: Method,
        minor_version: u8,
        fields: Option<Box<Response>>,
        service: &Arc<Service>,
    ) -> Output {
        let mut call = Call { request: Request::new(Arc::clone(&service.routes), None), response: Response::new() };
        let caller = Caller { peer: self.peer, ticket: self.ticket, is_last: true, now: None };
        call.request.blank(caller, method);
        call.request.set_minor_version(minor_version);
        service.fail(code, Error::fixed(Kind::Timeout, words), None, &call.request, &mut call.response);
        if let Some(fields) = &fields {
            call.response.add_headers_of(fields);
        }
        let mut bytes = Output::default();
        answer::write(service, &mut call, &mut bytes, &mut Clock::new(), true);
        bytes
    }

    /// The client has ended its side. Its exchange hears of it; an answer is still tried.
    pub(super) fn note_gone(&mut self) {
        if let Phase::Waiting(wait) = &self.phase {
            wait.exchange.note_gone();
        }
    }

    /// Is there something to tell an exchange?
    pub(super) fn has_news(&self) -> bool {
        self.left.is_some() || matches!(&self.phase, Phase::Waiting(wait) if wait.exchange.has_news())
    }

    /// Tells exchanges what has happened to them. For threads that serve: functions of the host's are called.
    pub(super) fn tell(&mut self, service: &Service) {
        if let Some(left) = self.left.take() {
            left.tell(service);
        }
        if let Phase::Waiting(wait) = &self.phase {
            let exchange = Arc::clone(&wait.exchange);
            exchange.tell(service);
        }
    }

    /// So much of a stream waits for the client.
    pub(super) fn note_unsent(&mut self) {
        if let Phase::Waiting(wait) = &self.phase {
            wait.exchange.note_unsent(self.unsent.as_ref().map_or(0, |unsent| unsent.len()));
        }
    }
}

/// From bytes to answers. Each step tells whether there may be more to do.
impl Connection {
    fn feed_head(&mut self, desk: &mut Desk, service: &Arc<Service>) -> bool {
        let first = desk.input().first().copied();
        if first.is_none() || (first == Some(b'\r') && !self.skip_empty_lines(desk, service)) {
            return false;
        }
        let input = desk.input();
        if self.scanned > 0 && input.len() <= service.limits.head_bytes {
            // Looked at before: parsed again only when its end is there.
            let (found, scanned) = head_end(input, self.scanned);
            if !found {
                self.scanned = scanned;
                return false;
            }
        }
        let (input, head) = desk.call.request.parts_from(desk.used);
        match parser::parse(input, &service.limits, head) {
            Outcome::Partial => {
                if self.scanned == 0 {
                    self.since = desk.clock.now;
                }
                self.scanned = head_end(input, 0).1;
                false
            }
            Outcome::Refused(refusal) => {
                self.refuse(refusal, desk, service);
                false
            }
            Outcome::Complete(_) if service.lends_bodies && head.framing != Framing::Absent && !desk.out.is_empty() => {
                // A handler that reads its body waits for its client, who may be waiting for the answers before this one.
                self.scanned = 0;
                self.unfed = true;
                false
            }
            Outcome::Complete(len) => {
                self.scanned = 0;
                self.empty = 0;
                let caller = self.caller(service);
                debug_assert!(desk.call.response.is_blank(), "nothing of another request's answer is here");
                desk.requests.count();
                desk.call.request.begin(caller, len);
                self.admit(desk, service, desk.used + len)
            }
        }
    }

    /// RFC 9112 2.2: empty lines before a request line are ignored; some clients send one after a body. They begin nothing, so they
    /// only use up the idle time, and the length of a head. False: there is nothing else, or too many of them.
    #[cold]
    fn skip_empty_lines(&mut self, desk: &mut Desk, service: &Arc<Service>) -> bool {
        while desk.input().starts_with(b"\r\n") {
            desk.used += 2;
            self.scanned = 0;
            self.empty += 2;
            if self.empty > service.limits.head_bytes {
                self.refuse(Refusal::HeadLength, desk, service);
                return false;
            }
        }
        !desk.input().is_empty()
    }

    /// Goes on where a request has waited.
    fn take_step(&mut self, step: Step, desk: &mut Desk, service: &Arc<Service>) -> bool {
        match step {
            Step::Admit { body_at } => self.admit(desk, service, body_at),
            Step::Lend { body_at } => self.lend_body(desk, service, body_at),
            Step::Answer { body, next } => self.answer(desk, service, body, next),
        }
    }

    /// Asks whether this thread may run what takes long. False: the request waits, or was refused.
    ///
    /// `waits`: it may wait for its client, whatever else it does.
    fn may_run(&mut self, desk: &mut Desk, service: &Arc<Service>, waits: bool, step: impl FnOnce() -> Step) -> Leave {
        let Some(route) = desk.call.request.route_number() else { return Leave::Granted };
        desk.shift.note_route(route);
        if !(waits || desk.shift.takes_all_to_block() || service.habits.blocks(route)) {
            return Leave::Granted;
        }
        // The clients of answers before this one wait for them.
        let is_left = desk.out.is_empty();
        if is_left && (desk.shift.step_aside() || !desk.shift.may_leave_it()) {
            return Leave::Granted;
        }
        if is_left && !desk.shift.has_room_in_queue() {
            return Leave::Refused;
        }
        self.unfed = !is_left;
        self.phase = Phase::Ready(Box::new(Ready { step: step(), is_left }));
        Leave::Later
    }

    /// Decides by the head, and goes on to the body, which begins at `body_at`.
    fn admit(&mut self, desk: &mut Desk, service: &Arc<Service>, mut body_at: usize) -> bool {
        let framing = desk.call.request.head().framing;
        let waits = framing != Framing::Absent && !is_all_here(desk, framing, body_at);
        if waits && service.hooks.has_middleware(&desk.call.request) {
            // Middleware may keep views for the handler. They are to stay good while the body is waited for, without the large
            // buffer of a thread being waited with.
            body_at -= desk.set_apart();
        }
        let ends_unread = framing != Framing::Absent && self.ends_unread(desk, framing, body_at);
        desk.call.request.set_ends_unread(ends_unread);
        if self.middleware_may_block(desk, service) {
            match self.may_run(desk, service, false, || Step::Admit { body_at }) {
                Leave::Granted => {}
                Leave::Later => return false,
                Leave::Refused => return self.refuse_queued(desk, service, body_at, framing),
            }
        }
        if desk.lends && !service.hooks.middleware.is_empty() {
            desk.let_go();
        }
        let admitted = desk.with_output(|call| service.admit(&mut call.request, &mut call.response));
        if service.intercepts {
            note_slow_hooks(desk, service);
        }
        if !admitted {
            return self.answer_early(desk, service, body_at, framing);
        }
        match framing {
            _ if desk.call.request.reads_body() => self.lend_body(desk, service, body_at),
            Framing::Absent => self.answer(desk, service, body_at..body_at, body_at),
            Framing::Length(_) | Framing::Chunked => {
                let body = Incoming::new(framing, body_at, service.body_limit(&desk.call.request), service);
                self.receive(body, desk, service)
            }
        }
    }

    /// Is there middleware, and does what comes behind it block? Then it had better not run here either.
    fn middleware_may_block(&self, desk: &mut Desk, service: &Service) -> bool {
        if service.hooks.middleware.is_empty() || !(desk.shift.takes_all_to_block() || service.habits.any_blocks()) {
            return false;
        }
        let request = &mut desk.call.request;
        request.route_by(&service.router);
        !request.is_for_caller() && service.hooks.has_middleware(request)
    }

    /// Too many requests wait for a thread already.
    #[cold]
    fn refuse_queued(&mut self, desk: &mut Desk, service: &Arc<Service>, body_at: usize, framing: Framing) -> bool {
        let Call { request, response } = &mut *desk.call;
        service.refuse_queued(request, response);
        self.answer_early(desk, service, body_at, framing)
    }

    fn feed_upload(&mut self, desk: &mut Desk, service: &Arc<Service>) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Reading) {
            Phase::Uploading(body) => self.receive(*body, desk, service),
            other => {
                self.phase = other;
                false
            }
        }
    }

    /// Takes in what is there of a body. When it is complete the request is answered.
    fn receive(&mut self, mut body: Incoming, desk: &mut Desk, service: &Arc<Service>) -> bool {
        let nothing_came = desk.call.request.bytes().len() == body.start;
        match body.take_in(&mut desk.call.request) {
            Ok(Some(next)) => self.answer(desk, service, body.start..body.end, next),
            Ok(None) => {
                if body.is_new {
                    body.is_new = false;
                    self.since = desk.now();
                    self.slow = service.pace.begin(desk.now());
                    // RFC 9110 10.1.1: "A server MAY omit sending a 100 (Continue) response if it has already received some or all of the content".
                    if nothing_came && desk.call.request.head().expects_continue {
                        desk.out.bytes_mut().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                }
                self.phase = Phase::Uploading(Box::new(body));
                false
            }
            Err(Fault::Refusal(Refusal::BodyLength)) => {
                let Call { request, response } = &mut *desk.call;
                service.refuse_body(request, response);
                self.finish_early(desk, service)
            }
            Err(Fault::Form(why)) => {
                let Call { request, response } = &mut *desk.call;
                service.refuse_form(why, request, response);
                self.finish_early(desk, service)
            }
            Err(Fault::Refusal(refusal)) => {
                self.phase = Phase::Uploading(Box::new(body));
                self.refuse(refusal, desk, service);
                false
            }
        }
    }

    /// Sends an answer that the rest of the body need not be waited for.
    #[cold]
    fn finish_early(&mut self, desk: &mut Desk, service: &Service) -> bool {
        self.finish(desk, service, true);
        self.phase = Phase::Ending { linger: true };
        true
    }

    /// Runs the handler on a complete request. What follows it begins at `next`.
    fn answer(&mut self, desk: &mut Desk, service: &Arc<Service>, body: Range<usize>, next: usize) -> bool {
        let is_for_caller = desk.call.request.is_for_caller();
        if is_for_caller && desk.lends && !service.hooks.has_middleware(&desk.call.request) {
            return self.lend(desk, service, body, next);
        }
        let leave = match is_for_caller {
            true => Leave::Granted,
            false => self.may_run(desk, service, false, || Step::Answer { body: body.clone(), next }),
        };
        if matches!(leave, Leave::Later) {
            return false;
        }
        desk.call.request.set_body(body);
        let Call { request, response } = &mut *desk.call;
        match leave {
            Leave::Refused => service.refuse_queued(request, response),
            _ if is_for_caller => service.leave_to_caller(request, response),
            _ => self.handle(desk, service),
        }
        self.conclude(desk, service, Then::next(next))
    }

    /// Leaves a complete request to the thread of the host's that is here for it.
    #[inline(never)]
    fn lend(&mut self, desk: &mut Desk, service: &Service, body: Range<usize>, next: usize) -> bool {
        if !desk.out.is_empty() && !service.is_known_quick(&desk.call.request) {
            // The clients of answers before this one wait for them.
            self.unfed = true;
            self.phase = Phase::Ready(Box::new(Ready { step: Step::Answer { body, next }, is_left: false }));
            return false;
        }
        desk.call.request.set_body(body);
        self.phase = Phase::Lent { next };
        false
    }

    /// The request that was lent is back, with its answer. `began`: when it was taken, where it is timed.
    pub(super) fn resume(&mut self, desk: &mut Desk, service: &Arc<Service>, began: Option<Instant>) {
        let Phase::Lent { next } = std::mem::replace(&mut self.phase, Phase::Reading) else { return };
        // Its handler has taken its time.
        desk.clock.tick();
        let route = desk.call.request.route_number();
        let goes_on = self.conclude(desk, service, Then::next(next));
        if let (Some(began), Some(route)) = (began, route) {
            // With what runs after the handler: answers that are kept back wait for that, too.
            service.habits.note_left_run(route, began.elapsed());
        }
        if !goes_on {
            return;
        }
        if desk.output_is_full() {
            self.unfed = true;
        } else {
            self.feed(desk, service);
        }
    }

    #[inline(always)]
    fn handle(&mut self, desk: &mut Desk, service: &Arc<Service>) {
        let is_timed = |&route: &usize| service.habits.is_timed(route) || desk.shift.is_unwatched();
        let timed = desk.call.request.route_number().filter(is_timed).map(|route| (route, Instant::now()));
        if desk.lends {
            // It may block, and a thread of the host's that waits is to look whether it does.
            service.callers.rouse();
            desk.let_go();
        }
        desk.with_output(|call| service.handle(&call.request, &mut call.response));
        if let Some((route, began)) = timed {
            let time = began.elapsed();
            service.habits.note_run(route, time);
            if let Some(long) = desk.shift.has_overrun(time) {
                service.habits.note_overrun(route, long);
            }
        } else if let (Some(true), Some(route)) = (desk.shift.overran(), desk.call.request.route_number()) {
            // The lookout has noted that it overran, but not how long.
            service.habits.note_overrun(route, true);
        }
        // A handler takes its time; the answer's date and deadlines count from now.
        desk.clock.tick();
    }

    /// Runs a handler that reads the body itself.
    #[inline(never)]
    fn lend_body(&mut self, desk: &mut Desk, service: &Arc<Service>, body_at: usize) -> bool {
        let framing = desk.call.request.head().framing;
        // It may wait for the rest of the body. Where nobody could take the lane then, another thread is waited for now.
        let waits = !desk.shift.could_step_aside();
        match self.may_run(desk, service, waits, || Step::Lend { body_at }) {
            Leave::Granted => {}
            Leave::Later => return false,
            Leave::Refused => return self.refuse_queued(desk, service, body_at, framing),
        }
        let request = &mut desk.call.request;
        let received = request.bytes()[body_at..].to_vec();
        request.bytes_mut().truncate(body_at);
        let framing = match framing {
            Framing::Chunked => {
                let Incoming { chunked: Some(decoder), .. } = Incoming::new(framing, body_at, service.body_limit(request), service) else {
                    return false;
                };
                upload::Framing::Chunked(decoder)
            }
            Framing::Length(length) => upload::Framing::Length(length),
            Framing::Absent => upload::Framing::Length(0),
        };
        request.set_upload(Upload::new(framing, received, request.head().expects_continue));
        self.handle(desk, service);
        let Some(upload) = desk.call.request.take_upload() else { return false };
        let Unread { bytes, framing, awaits_continue, failure, read } = upload.into_unread();
        desk.call.request.note_taken(read);
        let request = &mut desk.call.request;
        request.bytes_mut().truncate(body_at);
        if request.has_views_out() && request.bytes_mut().capacity() < body_at + bytes.len() {
            request.keep_bytes();
        }
        request.bytes_mut().extend_from_slice(&bytes);
        let skip = framing.map(|framing| Box::new(Skip::rest_of(framing)));
        let too_much = skip.as_ref().is_some_and(|skip| awaits_continue || skip.left > SKIPPED_BYTES + bytes.len() as u64);
        let last = failure.is_some() || too_much;
        self.conclude(desk, service, Then { used: body_at, skip, last })
    }

    /// If nobody reads the body, is it more than is worth receiving?
    fn ends_unread(&self, desk: &Desk, framing: Framing, body_at: usize) -> bool {
        let head = desk.call.request.head();
        let length = match framing {
            Framing::Length(length) => length,
            Framing::Absent | Framing::Chunked => 0,
        };
        let all_here = is_all_here(desk, framing, body_at);
        // RFC 9110 10.1.1: a client that waits for a 100 may send the body or not; only the end of the connection leaves no doubt.
        !all_here && (length > SKIPPED_BYTES || head.expects_continue || head.expects_else)
    }

    /// Sends the answer that was given by the head alone; the body that follows is skipped, or ends the connection.
    #[inline(never)]
    fn answer_early(&mut self, desk: &mut Desk, service: &Arc<Service>, body_at: usize, framing: Framing) -> bool {
        let last = framing != Framing::Absent && self.ends_unread(desk, framing, body_at);
        let skip = if framing == Framing::Absent { None } else { Some(Box::new(Skip::new(framing, service))) };
        self.conclude(desk, service, Then { used: body_at, skip, last })
    }

    /// The handler has returned: its answer is written, or waited for.
    fn conclude(&mut self, desk: &mut Desk, service: &Arc<Service>, then: Then) -> bool {
        if let Some(known_as) = desk.call.response.take_deferred() {
            let Ok(exchange) = known_as.downcast::<Arc<Deferred>>() else { return false };
            self.wait(*exchange, desk, service, then);
            return false;
        }
        self.finish(desk, service, then.last);
        self.go_on(desk, service, then)
    }

    fn go_on(&mut self, desk: &mut Desk, service: &Service, then: Then) -> bool {
        desk.used = then.used;
        match (&mut self.phase, then.skip) {
            (Phase::Ending { linger }, skip) => *linger |= then.last || skip.is_some() || !desk.input().is_empty(),
            (Phase::Closed { .. }, _) => return false,
            (phase, Some(skip)) => {
                self.slow = service.pace.begin(desk.now());
                *phase = Phase::Skipping(skip);
            }
            (Phase::Reading, None) => {}
            (phase, None) => *phase = Phase::Reading,
        }
        true
    }

    /// Waits for the exchange that the request was deferred to.
    #[inline(never)]
    fn wait(&mut self, exchange: Arc<Deferred>, desk: &mut Desk, service: &Service, then: Then) {
        let request = &mut desk.call.request;
        let own_time = request.registered().and_then(|route| route.exchange_timeout_ms);
        let wait = Wait {
            begun: exchange.has_begun(),
            exchange,
            time_ms: own_time.map_or(service.pace.exchange_ms, patient),
            method: request.known_method(),
            keep_alive: request.head().keep_alive,
            minor_version: request.minor_version(),
            fields: service.policy_fields(request),
            then: Then { used: 0, ..then },
        };
        request.end();
        desk.used = then.used;
        self.since = desk.now();
        self.phase = Phase::Waiting(Box::new(wait));
    }

    fn feed_skip(&mut self, desk: &mut Desk) -> bool {
        let Phase::Skipping(skip) = &mut self.phase else { return false };
        match skip.take_in(desk) {
            Some(false) => return false,
            Some(true) => self.phase = Phase::Reading,
            // The answer is out already; nothing can be said about the rest.
            None => self.phase = Phase::Ending { linger: true },
        }
        true
    }

    #[cold]
    fn refuse(&mut self, refusal: Refusal, desk: &mut Desk, service: &Arc<Service>) {
        let (code, words) = refusal.explain();
        self.refuse_and_end(code, Error::fixed(Kind::Invalid, words), desk, service);
    }

    /// Writes the answer to the output, and ends the request. The connection ends with it if it must.
    #[inline(always)]
    fn finish(&mut self, desk: &mut Desk, service: &Service, last: bool) {
        self.served += 1;
        let call = &mut *desk.call;
        let last = last || call.request.is_last() || service.control.is_ending();
        let keep_alive = call.request.head().keep_alive;
        if call.response.is_streaming() {
            return self.finish_stream(desk, service, last);
        }
        service.conclude(&call.request, &mut call.response);
        let last = last || call.response.wants_close();
        let large = last && call.response.body_len() > LARGE_ANSWER;
        desk.write_answer(last);
        desk.call.end();
        self.since = desk.now();
        if last {
            // What the client sends after its last request would, unread, make the kernel reset the connection, and
            // the client lose what it has not received. So those that meant to go on are waited for, and large answers.
            self.phase = Phase::Ending { linger: keep_alive || large };
        }
    }

    /// Writes the end of a stream, or cuts the connection where that would be a lie.
    #[inline(never)]
    fn finish_stream(&mut self, desk: &mut Desk, service: &Service, last: bool) {
        let Desk { call, out, .. } = desk;
        let Call { request, response } = &mut **call;
        service.conclude_stream(request, response, out);
        let Some((stream, _)) = response.stream_mut() else { return };
        let (broken, last, reset) = (stream.is_broken(), last || stream.is_last(), stream.ends_by_close());
        call.end();
        self.since = desk.now();
        if broken {
            desk.out.clear();
            self.end_with(Phase::Closed { reset });
        } else if last {
            self.phase = Phase::Ending { linger: true };
        }
    }
}

/// Hooks that took too long count for the route that they ran before.
#[inline(never)]
fn note_slow_hooks(desk: &Desk, service: &Service) {
    let request = &desk.call.request;
    let route = request.route_number().filter(|_| !request.is_for_caller());
    if let (Some(long), Some(route)) = (desk.shift.overran(), route) {
        service.habits.note_overrun(route, long);
    }
}

/// Is the whole body among the input? Of chunks only their decoder knows.
fn is_all_here(desk: &Desk, framing: Framing, body_at: usize) -> bool {
    let here = (desk.call.request.bytes().len() - body_at) as u64;
    matches!(framing, Framing::Length(length) if length <= here)
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

    /// A client and a connection without a socket between them.
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

        /// Sends one piece, and gives what is answered to it.
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
        // Each byte is looked at when it comes, line ends again with the next, and all once more at the end.
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
    fn a_client_that_waits_is_told_to_continue_once_its_request_is_admitted() {
        let mut talk = talk();
        let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        assert_eq!(talk.say(head), "HTTP/1.1 100 Continue\r\n\r\n");
        assert!(talk.say(b"abc").ends_with("abc"));
        assert!(talk.connection.is_idle());
    }

    #[test]
    fn a_client_that_waits_in_vain_is_left() {
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
    fn a_malformed_head_request_is_answered_without_a_body() {
        let answer = talk().say(b"HEAD / HTTP/1.1\r\nHost : a\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

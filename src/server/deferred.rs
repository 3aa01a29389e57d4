//! The state that an exchange and its connection share.
//!
//! Any thread may finish the exchange at any time, while the client leaves, the time runs out or the app stops. `verdict.rs` decides which
//! came first; this module moves the data.

use super::answer;
use super::control::Control;
use super::crew::Crew;
use super::engine::Engine;
use super::slab::Id;
use super::sys::event::Readiness;
pub(super) use super::verdict::Closing;
use super::verdict::{Case, Room, TooLate, Verdict};
use super::visit::Visit;
use super::wire::{self, Patience};
use crate::call::Call;
use crate::error::{Error, Kind, Result};
use crate::exchange::{Debt, Exchange, Notice};
use crate::handler::Level;
use crate::line::{Line, Wire};
use crate::output::Output;
use crate::request::Request;
use crate::response::{KeptHeaders, Response};
use crate::service::{Service, panic_words};
use std::any::Any;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

pub(super) const CLOSED: Error = Error::fixed(Kind::Closed, "nobody waits for this answer any more");

/// A status of access logs, not of HTTP: there was no client to answer.
const LEFT: u16 = 499;

/// The size of most answers, so that their buffer need not grow.
const USUAL_ANSWER: usize = 512;

/// The approximate size of a stream's encoder; that of brotli is larger.
const ENCODER_BYTES: usize = 400 * 1024;

/// A deferred answer.
pub(super) struct Deferred {
    engine: Weak<Engine>,
    crew: Arc<Crew>,
    control: Arc<Control>,
    /// The connection that waits.
    id: Id,
    /// A reference to itself, for its request.
    this: Weak<Deferred>,
    /// Bytes that the request and its answer hold.
    held: AtomicUsize,
    /// Is it queued for a thread of the host's?
    is_queued: AtomicBool,
    verdict: Verdict<Draft>,
}

/// What the exchange passes to its connection.
struct Draft {
    /// Bytes that the connection has not collected yet.
    out: Output,
    /// How many of the bytes it has collected are not sent.
    unsent: usize,
    /// The size of the last write that found no room.
    wanted: usize,
    /// How many bytes of a stream may wait for the client.
    limit: usize,
    end: Option<End>,
    /// The status of the connection's answer in its place; `LEFT` if there was no client.
    instead: u16,
    /// Bytes written to a stream.
    written: u64,
    /// Does the connection's end tell the client that the stream is over? So it is in HTTP/1.0.
    ends_by_close: bool,
    /// A copy of the request, if one is needed when the connection decides: the request itself belongs to the exchange.
    copy: Option<Box<Request>>,
    /// Headers that middleware had set, for an answer in its place.
    kept: KeptHeaders,
}

impl Room for Draft {
    fn has_room(&self) -> bool {
        let waiting = self.out.len() + self.unsent;
        waiting == 0 || waiting + self.wanted <= self.limit
    }
}

impl From<TooLate> for Error {
    fn from(_: TooLate) -> Error {
        CLOSED
    }
}

/// How an answer ends.
#[derive(Clone, Copy)]
pub(super) struct End {
    /// The connection ends with it.
    pub(super) last: bool,
    /// It failed after its head was sent: the connection is cut.
    pub(super) cut: bool,
    /// The answer ends with the connection, so only a reset shows that it is incomplete.
    pub(super) reset: bool,
}

/// What the connection collects.
pub(super) struct Collected {
    pub(super) bytes: Option<Output>,
    pub(super) end: Option<End>,
}

/// For handlers, and code that they give the exchange to.
impl Deferred {
    /// Takes a request and its answer over from the handler.
    pub(super) fn begin(engine: &Arc<Engine>, id: Id, request: &Request, response: &mut Response) -> Exchange {
        let this = Arc::new_cyclic(|this| Deferred {
            engine: Arc::downgrade(engine),
            crew: Arc::clone(&engine.crew),
            control: Arc::clone(&engine.service.control),
            id,
            this: Weak::clone(this),
            held: AtomicUsize::new(0),
            is_queued: AtomicBool::new(false),
            verdict: Verdict::new(Draft {
                out: Output::default(),
                unsent: 0,
                wanted: 0,
                limit: engine.service.stream_buffer_bytes,
                end: None,
                instead: LEFT,
                written: 0,
                ends_by_close: false,
                copy: engine.service.asks_for(request).then(|| Box::new(request.copy_of_head())),
                kept: response.kept_headers(),
            }),
        });
        let line: Arc<dyn Line> = Arc::clone(&this) as Arc<dyn Line>;
        let request = request.detach(line);
        this.held.store(request.held_bytes(), Ordering::Relaxed);
        let known_as: Arc<Deferred> = Arc::clone(&this);
        let mut response = response.hand_over(Box::new(known_as));
        if let Some((stream, _)) = response.stream_mut() {
            stream.set_wire(Box::new(Queue::new(Arc::clone(&this))));
            let mut case = this.verdict.lock();
            case.begin_stream();
            case.draft.ends_by_close = stream.ends_by_close();
            case.draft.written = stream.written();
        }
        Exchange::new(Box::new(Call { request, response }), this)
    }

    fn visit(&self) -> Result<Visit> {
        // The child of a fork has the exchange, but not the client.
        if self.control.is_forked() {
            return Err(CLOSED);
        }
        // After a stop running handlers may still answer, and a lent request belongs to one.
        let is_lent = self.verdict.lock().is_lent();
        Visit::to_deliver(&self.engine, &self.crew, || self.control.is_stopping() && !is_lent).ok_or(CLOSED)
    }

    fn is_closed(&self) -> bool {
        self.verdict.lock().is_closed()
    }

    /// Passes bytes to the connection; `end`: they complete the answer.
    fn give(&self, engine: &Engine, out: Output, end: Option<End>) -> Result<()> {
        {
            let mut case = self.verdict.lock();
            case.give(end.is_some())?;
            case.draft.out.append(out);
            case.draft.end = end;
            if case.is_held_back() {
                engine.held_back.push_given(self.id);
                return Ok(());
            }
        }
        engine.attend(self.id);
        Ok(())
    }

    /// Decides for the exchange, unless the connection has.
    fn decide(&self) -> Result<()> {
        let mut case = self.verdict.lock();
        case.decide()?;
        case.draft.copy = None;
        Ok(())
    }

    /// Makes the answer's bytes and passes them on. `settle` completes the answer first.
    fn answer(&self, call: &mut Call, settle: impl FnOnce(&Service, &Request, &mut Response)) -> Result<()> {
        let visit = self.visit()?;
        let engine = visit.engine()?;
        self.decide()?;
        match catch_unwind(AssertUnwindSafe(|| encode(engine, call, settle))) {
            Ok((out, end)) => self.give(engine, out, Some(end)),
            Err(panic) => {
                // No other thread will answer, so the connection is cut rather than left waiting.
                let _ = self.give(engine, Output::default(), Some(End { last: true, cut: true, reset: false }));
                resume_unwind(panic)
            }
        }
    }

    /// Prevents further notices, and waits for those that are being called.
    fn fall_silent(&self) {
        if !self.control.is_forked() {
            self.verdict.fall_silent();
        }
    }

    /// Counts bytes that are about to be written, if there is room for them.
    fn reserve(&self, bytes: usize) -> Result<()> {
        let mut case = self.verdict.lock();
        if case.is_closed() {
            return Err(CLOSED);
        }
        let draft = &mut case.draft;
        draft.wanted = bytes;
        if draft.has_room() {
            draft.written += bytes as u64;
            return Ok(());
        }
        Err(wire::FULL)
    }

    /// Waits until the client has read enough, and sends what is buffered, since no other thread may be there to do it.
    fn wait_for_room(&self, bytes: usize, patience: &mut Patience) -> Result<()> {
        let visit = self.visit()?;
        let engine = visit.engine()?;
        let socket = engine.slab.duplicate(self.id).map_err(|error| Error::io("dup", &error))?.ok_or(CLOSED)?;
        let pace = &engine.service.pace;
        loop {
            match self.reserve(bytes) {
                Err(error) if error.kind() == Kind::Limit => {}
                reserved => {
                    patience.moved(bytes, pace.write_ms, pace);
                    return reserved;
                }
            }
            if !patience.wait(socket.as_fd(), Readiness::Output, pace.write_ms, pace, &self.control, wire::UNTAKEN)? {
                return Err(wire::UNTAKEN);
            }
            engine.attend(self.id);
        }
    }
}

impl Debt for Deferred {
    fn finish(&self, mut call: Box<Call>, outcome: Result<()>) -> Result<()> {
        self.fall_silent();
        self.answer(&mut call, |service, request, response| service.settle(outcome, request, response))
    }

    fn abandon(&self, mut call: Box<Call>) {
        self.fall_silent();
        // An error means that the client has left, or has got another answer.
        let _ = self.answer(&mut call, |service, request, response| match response.stream_mut() {
            Some((stream, _)) => stream.break_off(),
            None => service.fail(503, Error::fixed(Kind::Closed, "the handler gave up this request"), None, request, response),
        });
    }

    fn is_alive(&self) -> bool {
        !self.control.is_forked() && self.verdict.lock().is_alive()
    }

    fn is_open(&self) -> bool {
        !self.control.is_forked() && self.verdict.lock().is_open()
    }

    fn lend(&self, lent: bool) {
        self.verdict.lock().lend(lent);
    }

    fn keep_headers(&self, headers: KeptHeaders) {
        self.verdict.lock().draft.kept = headers;
    }

    fn note_queued(&self, queued: bool) {
        self.is_queued.store(queued, Ordering::SeqCst);
    }

    fn hold_back(&self) {
        self.verdict.lock().hold_back();
    }

    fn on_close(&self, notice: Notice) {
        if !self.control.is_forked() {
            self.verdict.on_close(notice);
        }
    }

    fn on_ready(&self, notice: Notice) {
        if !self.control.is_forked() {
            self.verdict.on_ready(notice);
        }
    }
}

/// For the connection that waits.
impl Deferred {
    /// Takes what the exchange has put there so far.
    pub(super) fn collect(&self) -> Collected {
        let draft = &mut self.verdict.lock().draft;
        let bytes = if draft.out.is_empty() { None } else { Some(std::mem::take(&mut draft.out)) };
        draft.unsent += bytes.as_ref().map_or(0, Output::len);
        Collected { bytes, end: draft.end.take() }
    }

    /// Headers that an answer in its place keeps.
    pub(super) fn take_kept(&self) -> KeptHeaders {
        std::mem::take(&mut self.verdict.lock().draft.kept)
    }

    /// Notes how many of the collected bytes are not sent.
    pub(super) fn note_unsent(&self, bytes: usize) {
        self.verdict.lock().draft.unsent = bytes;
    }

    /// Notes that the client has closed its side; it may still read.
    pub(super) fn note_gone(&self) {
        self.verdict.lock().note_gone();
    }

    /// Decides for the connection, which answers with the status `instead`, or not at all; unless the exchange has decided.
    pub(super) fn close(&self, instead: Option<u16>) -> Closing {
        let closing = {
            let mut case = self.verdict.lock();
            if case.is_open() {
                case.draft.instead = instead.unwrap_or(LEFT);
            }
            case.close()
        };
        if let (true, Some(engine)) = (self.is_queued.load(Ordering::SeqCst), self.engine.upgrade()) {
            engine.service.callers.note_left();
        }
        closing
    }

    /// The copy of the request, for the answer in its place and the access log.
    pub(super) fn take_copy(&self) -> Option<Box<Request>> {
        self.verdict.lock().draft.copy.take()
    }

    /// Bytes that its request and its answer hold.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Has it begun to answer?
    pub(super) fn has_begun(&self) -> bool {
        self.verdict.lock().has_begun()
    }

    /// Is a thread making the answer, which it will deliver?
    pub(super) fn is_answering(&self) -> bool {
        self.verdict.lock().is_answering()
    }

    /// Would a truncated answer look complete?
    pub(super) fn ends_by_close(&self) -> bool {
        self.verdict.lock().draft.ends_by_close
    }

    /// Is a notice due? Threads that write or finish must not call it: they may hold a lock that the notice needs.
    pub(super) fn has_news(&self) -> bool {
        let case = self.verdict.lock();
        is_unrecorded(&case) || case.has_news()
    }

    /// Calls the notices that are due, and the access log. For serving threads.
    pub(super) fn tell(&self, service: &Service) {
        let mut case = self.verdict.lock();
        let copy = if is_unrecorded(&case) { case.draft.copy.take() } else { None };
        let (status, written) = (case.draft.instead, case.draft.written);
        drop(case);
        if let Some(request) = copy {
            service.record(&request, status, written);
        }
        // The connection continues, whatever a notice does.
        let log = |panic: Box<dyn Any + Send>| {
            service.log(Level::Error, || format!("a notice of an exchange panicked: {}", panic_words(&*panic)));
        };
        self.verdict.tell(log);
    }
}

/// Has the connection decided, and is that not in the access log yet?
fn is_unrecorded(case: &Case<Draft>) -> bool {
    case.is_closed() && case.draft.copy.is_some()
}

/// The bytes of an answer, or of the end of a stream, and what follows for the connection.
fn encode(engine: &Engine, call: &mut Call, settle: impl FnOnce(&Service, &Request, &mut Response)) -> (Output, End) {
    let service = &engine.service;
    let Call { request, response } = call;
    let is_last = request.is_last() || service.control.is_ending();
    if let Some((stream, out)) = response.stream_mut() {
        let mut out = std::mem::take(out);
        let (last, reset) = (is_last || stream.is_last(), stream.ends_by_close());
        settle(service, request, response);
        service.conclude_stream(request, response, &mut out);
        let cut = response.stream_mut().is_none_or(|(stream, _)| stream.is_broken());
        return (out, End { last, cut, reset });
    }
    settle(service, request, response);
    service.conclude(request, response);
    let last = is_last || response.wants_close();
    let mut out = Output::default();
    out.bytes_mut().reserve(USUAL_ANSWER);
    let mut clock = engine.clock.lock();
    clock.tick();
    answer::write(service, call, &mut out, &mut clock, last);
    (out, End { last, cut: false, reset: false })
}

/// The wire of a deferred answer's response.
struct Queue {
    deferred: Arc<Deferred>,
    /// For writes that wait for the client.
    patience: Patience,
}

impl Queue {
    fn new(deferred: Arc<Deferred>) -> Queue {
        Queue { deferred, patience: Patience::default() }
    }
}

impl Wire for Queue {
    fn make_room(&mut self, bytes: usize) -> Result<()> {
        match self.deferred.reserve(bytes) {
            Err(error) if error.kind() == Kind::Limit && self.deferred.verdict.lock().is_lent() => {
                self.deferred.wait_for_room(bytes, &mut self.patience)
            }
            reserved => reserved,
        }
    }

    fn send(&mut self, out: &mut Output) -> Result<()> {
        let visit = self.deferred.visit()?;
        self.deferred.give(visit.engine()?, std::mem::take(out), None)
    }

    fn receive(&mut self, _into: &mut [u8]) -> Result<usize> {
        Err(Error::state("a deferred request reads no more of its body"))
    }
}

impl Line for Deferred {
    fn begin_stream(&self, request: &Request, response: &mut Response) -> Result<()> {
        let visit = self.visit()?;
        let this = self.this.upgrade().ok_or(CLOSED)?;
        if self.is_closed() {
            return Err(CLOSED);
        }
        wire::begin(&visit.engine()?.service, request, response, Box::new(Queue::new(this)))?;
        let ends_by_close = response.stream_mut().is_some_and(|(stream, _)| stream.ends_by_close());
        self.verdict.lock().draft.ends_by_close = ends_by_close;
        if response.stream_mut().is_some_and(|(stream, _)| stream.is_coded()) {
            self.held.fetch_add(ENCODER_BYTES, Ordering::Relaxed);
        }
        Ok(())
    }

    fn open(&self, _request: &Request) -> Result<Box<dyn Wire>> {
        Err(Error::state("a deferred request reads no more of its body"))
    }

    fn defer(&self, request: &Request, response: &mut Response) -> Result<Exchange> {
        let this = self.this.upgrade().ok_or(CLOSED)?;
        if !self.verdict.lock().keep() {
            return Err(Error::state("this answer is deferred already"));
        }
        // Middleware may have run on the host's thread since.
        self.keep_headers(response.kept_headers());
        let line: Arc<dyn Line> = Arc::clone(&this) as Arc<dyn Line>;
        // No slot needs its identity: the connection waits for this exchange already.
        let call = Call { request: request.detach(line), response: response.hand_over(Box::new(())) };
        Ok(Exchange::new(Box::new(call), this))
    }
}

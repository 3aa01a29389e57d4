//! What an exchange and the connection that waits for it share.
//!
//! The exchange may be finished by any thread at any time, while the client leaves, the time runs out or the app stops.
//! `verdict.rs` decides who was first; what goes to and fro is here.

use super::answer;
use super::control::Control;
use super::crew::Crew;
use super::engine::Engine;
use super::pool::Serving;
use super::slab::Id;
use super::sys::event::Readiness;
pub(super) use super::verdict::Closing;
use super::verdict::{Case, Room, TooLate, Verdict};
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

const CLOSED: Error = Error::fixed(Kind::Closed, "nobody waits for this answer any more");

/// Not a status of HTTP, but of access logs: nobody was there to be answered.
const LEFT: u16 = 499;

/// Bytes of most answers: their buffer need not grow.
const USUAL_ANSWER: usize = 512;

/// What codes a stream takes, about; that of brotli takes more.
const ENCODER_BYTES: usize = 400 * 1024;

/// A deferred answer.
pub(super) struct Deferred {
    engine: Weak<Engine>,
    crew: Arc<Crew>,
    control: Arc<Control>,
    /// The connection that waits.
    id: Id,
    /// Itself, for its request to know.
    this: Weak<Deferred>,
    /// Memory that the request and its answer hold.
    held: AtomicUsize,
    /// Does it wait for a thread of the host's?
    is_queued: AtomicBool,
    verdict: Verdict<Draft>,
}

/// What goes from the exchange to its connection, and what is known of it.
struct Draft {
    /// What the connection has not collected yet,
    out: Output,
    /// and how much of what it has collected is not sent.
    unsent: usize,
    /// What the last write that found no room had wanted.
    wanted: usize,
    /// How much of a stream may wait for the client.
    limit: usize,
    end: Option<End>,
    /// What the connection has answered instead; `LEFT` where there was nobody to answer.
    instead: u16,
    /// Bytes written to a stream, whose end is told by the connection's where that is so.
    written: u64,
    ends_by_close: bool,
    /// A copy of the request where somebody will ask for it, should the connection decide: the request itself is in other hands.
    copy: Option<Box<Request>>,
    /// What middleware had set before, for the same answer.
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
    /// It failed after its head: the connection is cut.
    pub(super) cut: bool,
    /// Only a reset tells that it was cut.
    pub(super) reset: bool,
}

/// What the connection takes.
pub(super) struct Collected {
    pub(super) bytes: Option<Output>,
    pub(super) end: Option<End>,
}

/// Somebody from outside at work in the engine: while he is, it does not go.
pub(super) struct Visit {
    /// If not, it brings an answer, perhaps with a lock of the host's in hand: nobody else's notices are called then.
    comes_to_serve: bool,
    engine: Option<Arc<Engine>>,
    crew: Arc<Crew>,
    /// What is called from here cannot wait for the engine to go.
    _here: Serving,
}

impl Visit {
    /// None: it is too late.
    pub(super) fn of(engine: Arc<Engine>) -> Option<Visit> {
        let control = Arc::clone(&engine.service.control);
        Visit::unless(engine, || control.is_stopping())
    }

    /// The same, also after a stop. None: the app is gone.
    pub(super) fn late(engine: Arc<Engine>) -> Option<Visit> {
        Visit::unless(engine, || false)
    }

    fn unless(engine: Arc<Engine>, is_too_late: impl FnOnce() -> bool) -> Option<Visit> {
        let here = Serving::here(Arc::as_ptr(&engine).addr(), None);
        let crew = Arc::clone(&engine.crew);
        let welcome = crew.visit(is_too_late);
        welcome.then(|| Visit { comes_to_serve: true, engine: Some(engine), crew, _here: here })
    }

    pub(super) fn engine(&self) -> Result<&Arc<Engine>> {
        self.engine.as_ref().ok_or(CLOSED)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let comes_to_serve = self.engine.as_ref().filter(|_| self.comes_to_serve);
        if let Some(engine) = comes_to_serve.filter(|engine| engine.service.control.is_stopping()) {
            // Where no thread serves, nobody else does it.
            engine.close_if_nobody_serves();
        }
        // Whoever waits for the crew may free the app next.
        drop(self.engine.take());
        self.crew.leave(1);
    }
}

/// For handlers, and those that they give their exchange to.
impl Deferred {
    /// Takes a request and its answer over from their handler.
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
        // A fork of the process has the exchange, but not the client.
        if self.control.is_forked() {
            return Err(CLOSED);
        }
        // A stop leaves their time to handlers that run, and this may be in the hands of one.
        let is_lent = self.verdict.lock().is_lent();
        if !self.crew.visit(|| self.control.is_stopping() && !is_lent) {
            return Err(CLOSED);
        }
        Ok(Visit {
            comes_to_serve: false,
            engine: self.engine.upgrade(),
            crew: Arc::clone(&self.crew),
            _here: Serving::here(self.engine.as_ptr().addr(), None),
        })
    }

    fn is_closed(&self) -> bool {
        self.verdict.lock().is_closed()
    }

    /// Lets the answer go; `end` is decided with it.
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

    /// The exchange is going to answer, unless it is too late.
    fn decide(&self) -> Result<()> {
        let mut case = self.verdict.lock();
        case.decide()?;
        case.draft.copy = None;
        Ok(())
    }

    /// Makes bytes of the answer, and lets them go. `settle` makes it complete first.
    fn answer(&self, call: &mut Call, settle: impl FnOnce(&Service, &Request, &mut Response)) -> Result<()> {
        let visit = self.visit()?;
        let engine = visit.engine()?;
        self.decide()?;
        match catch_unwind(AssertUnwindSafe(|| encode(engine, call, settle))) {
            Ok((out, end)) => self.give(engine, out, Some(end)),
            Err(panic) => {
                // Nobody else answers any more: the client is not left waiting.
                let _ = self.give(engine, Output::default(), Some(End { last: true, cut: true, reset: false }));
                resume_unwind(panic)
            }
        }
    }

    /// Nothing calls back from now on, and nothing is at it.
    fn fall_silent(&self) {
        if !self.control.is_forked() {
            self.verdict.fall_silent();
        }
    }

    /// Counts bytes that are going to be written, if there is room for them.
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

    /// Waits until the client has taken enough, and sends it what waits: there may be nobody else who does.
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
        // Whoever waits has left, or is told: there is nothing else to do.
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
    /// Takes what was answered so far.
    pub(super) fn collect(&self) -> Collected {
        let draft = &mut self.verdict.lock().draft;
        let bytes = if draft.out.is_empty() { None } else { Some(std::mem::take(&mut draft.out)) };
        draft.unsent += bytes.as_ref().map_or(0, Output::len);
        Collected { bytes, end: draft.end.take() }
    }

    /// What the same answer keeps of the exchange's.
    pub(super) fn take_kept(&self) -> KeptHeaders {
        std::mem::take(&mut self.verdict.lock().draft.kept)
    }

    /// So much of what was collected is not sent.
    pub(super) fn note_unsent(&self, bytes: usize) {
        self.verdict.lock().draft.unsent = bytes;
    }

    /// The client has ended its side; it may still read.
    pub(super) fn note_gone(&self) {
        self.verdict.lock().note_gone();
    }

    /// The connection decides, and answers with a status of its own, or nobody; unless the exchange has decided.
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

    /// The copy of its request, for the answer that the connection gives in its place, and records.
    pub(super) fn take_copy(&self) -> Option<Box<Request>> {
        self.verdict.lock().draft.copy.take()
    }

    /// Memory that its request and its answer hold.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Has it begun to answer?
    pub(super) fn has_begun(&self) -> bool {
        self.verdict.lock().has_begun()
    }

    /// Is its answer being made by somebody who will bring it?
    pub(super) fn is_answering(&self) -> bool {
        self.verdict.lock().is_answering()
    }

    /// Would the half of its answer look like the whole?
    pub(super) fn ends_by_close(&self) -> bool {
        self.verdict.lock().draft.ends_by_close
    }

    /// Is there a notice to be called? Never by a thread that writes or finishes: it may hold a lock that the notice wants.
    pub(super) fn has_news(&self) -> bool {
        let case = self.verdict.lock();
        is_unrecorded(&case) || case.has_news()
    }

    /// Calls the notices whose time has come, and the access log. For threads that serve.
    pub(super) fn tell(&self, service: &Service) {
        let mut case = self.verdict.lock();
        let copy = if is_unrecorded(&case) { case.draft.copy.take() } else { None };
        let (status, written) = (case.draft.instead, case.draft.written);
        drop(case);
        if let Some(request) = copy {
            service.record(&request, status, written);
        }
        // The connection goes on, whatever a notice does.
        let log = |panic: Box<dyn Any + Send>| {
            service.log(Level::Error, || format!("a notice of an exchange panicked: {}", panic_words(&*panic)));
        };
        self.verdict.tell(log);
    }
}

/// Was it the connection that decided, and does the access log not know?
fn is_unrecorded(case: &Case<Draft>) -> bool {
    case.is_closed() && case.draft.copy.is_some()
}

/// The bytes of an answer, or of the end of a stream, and what becomes of the connection then.
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

/// What a deferred answer's own response writes to.
struct Queue {
    deferred: Arc<Deferred>,
    /// Where the handler waits for the client.
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
        // Middleware may have run in the host's thread meanwhile.
        self.verdict.lock().draft.kept = response.kept_headers();
        let line: Arc<dyn Line> = Arc::clone(&this) as Arc<dyn Line>;
        // Nobody asks what it is known as: its connection waits for it already.
        let call = Call { request: request.detach(line), response: response.hand_over(Box::new(())) };
        Ok(Exchange::new(Box::new(call), this))
    }
}

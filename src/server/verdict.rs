//! Who was first: an exchange with its answer, or the connection that waits for it; and who is told.
//!
//! One lock decides. No notice is called under it, none is called twice, and none after [`Verdict::fall_silent`] has returned.
//! `tests/loom` tries every order in which the two can meet here.

use super::sys::sync::{Condvar, Mutex, MutexGuard, this_thread};
use crate::exchange::Notice;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A case and its lock.
pub(super) struct Verdict<D> {
    case: Mutex<Case<D>>,
    /// A notice has returned.
    returned: Condvar,
}

/// What is to be decided, and what is known of it.
pub(super) struct Case<D> {
    stage: Stage,
    /// Has the client ended its side?
    gone: bool,
    /// Is it in the hands of a handler that runs in a thread of the host's?
    lent: bool,
    /// Is its answer to wait until others leave with it?
    is_held_back: bool,
    on_close: Option<Notice>,
    on_ready: Option<Notice>,
    /// Threads in a notice.
    calling: Vec<usize>,
    /// What the exchange has to say.
    pub(super) draft: D,
}

/// Something that may be full.
pub(super) trait Room {
    fn has_room(&self) -> bool;
}

/// Who has decided.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody.
    Open,
    /// The exchange: it has begun a stream.
    Streaming,
    /// The exchange: its answer is being made.
    Answering,
    /// The exchange: it has answered.
    Answered,
    /// The connection: the client has left, the time was up, or the app has stopped.
    Closed,
}

/// What became of closing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// It is closed, and nothing was sent.
    Closed,
    /// It is closed, in the middle of a stream.
    Streaming,
    /// The exchange was first.
    Answered,
}

/// The connection was first.
#[derive(Debug)]
pub(super) struct TooLate;

/// For the exchange.
impl<D> Case<D> {
    /// A stream has begun.
    pub(super) fn begin_stream(&mut self) {
        self.stage = Stage::Streaming;
    }

    /// The answer is going to be made: the connection leaves it the time.
    pub(super) fn decide(&mut self) -> Result<(), TooLate> {
        if self.stage == Stage::Closed {
            return Err(TooLate);
        }
        self.stage = Stage::Answering;
        Ok(())
    }

    /// The answer, or a piece of it, is there; the caller adds it to the draft before it lets go of the lock.
    pub(super) fn give(&mut self, is_last: bool) -> Result<(), TooLate> {
        if matches!(self.stage, Stage::Closed | Stage::Answered) {
            return Err(TooLate);
        }
        self.stage = if is_last { Stage::Answered } else { Stage::Streaming };
        Ok(())
    }

    pub(super) fn lend(&mut self, lent: bool) {
        self.lent = lent;
    }

    pub(super) fn is_lent(&self) -> bool {
        self.lent
    }

    /// Its handler keeps it. False: it was not lent.
    pub(super) fn keep(&mut self) -> bool {
        std::mem::take(&mut self.lent)
    }

    pub(super) fn hold_back(&mut self) {
        self.is_held_back = true;
    }

    pub(super) fn is_held_back(&self) -> bool {
        self.is_held_back
    }
}

/// For the connection.
impl<D> Case<D> {
    /// The client has ended its side; it may still read.
    pub(super) fn note_gone(&mut self) {
        self.gone = true;
    }

    /// The connection decides, unless the exchange has.
    pub(super) fn close(&mut self) -> Closing {
        let before = self.stage;
        if self.is_open() {
            self.stage = Stage::Closed;
        }
        match before {
            Stage::Open | Stage::Closed => Closing::Closed,
            Stage::Streaming => Closing::Streaming,
            Stage::Answering | Stage::Answered => Closing::Answered,
        }
    }

    /// Has the exchange begun to answer, or the connection?
    pub(super) fn has_begun(&self) -> bool {
        self.stage != Stage::Open
    }

    /// Is its answer being made by somebody who will bring it?
    pub(super) fn is_answering(&self) -> bool {
        self.stage == Stage::Answering || self.lent && self.is_open()
    }
}

/// For both.
impl<D> Case<D> {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Streaming)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Does the client still wait?
    pub(super) fn is_alive(&self) -> bool {
        !self.gone && self.is_open()
    }

    /// Does the client wait no more?
    fn is_over(&self) -> bool {
        self.gone || self.is_closed()
    }
}

impl<D: Room> Case<D> {
    /// Is there room again, or nobody to wait for?
    fn is_ready(&self) -> bool {
        self.draft.has_room() || self.is_closed()
    }

    /// Has the time of a notice come?
    pub(super) fn has_news(&self) -> bool {
        self.is_over() && self.on_close.is_some() || self.is_ready() && self.on_ready.is_some()
    }

    fn due_on_close(&mut self) -> Option<Notice> {
        if self.is_over() { self.on_close.take() } else { None }
    }

    fn due_on_ready(&mut self) -> Option<Notice> {
        if self.is_ready() { self.on_ready.take() } else { None }
    }
}

impl<D: Room> Verdict<D> {
    pub(super) fn new(draft: D) -> Verdict<D> {
        let case = Case {
            stage: Stage::Open,
            gone: false,
            lent: false,
            is_held_back: false,
            on_close: None,
            on_ready: None,
            calling: Vec::new(),
            draft,
        };
        Verdict { case: Mutex::new(case), returned: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Case<D>> {
        self.case.lock()
    }

    /// Calls `notice` once the client waits no more; at once if that is so. It replaces the one before.
    pub(super) fn on_close(&self, notice: Notice) {
        let mut case = self.lock();
        if case.is_over() {
            return self.call_at_once(case, notice);
        }
        let before = case.on_close.replace(notice);
        drop(case);
        drop(before);
    }

    /// Calls `notice` once there is room; at once if that is so. It replaces the one before.
    pub(super) fn on_ready(&self, notice: Notice) {
        let mut case = self.lock();
        if case.is_ready() {
            return self.call_at_once(case, notice);
        }
        let before = case.on_ready.replace(notice);
        drop(case);
        drop(before);
    }

    /// Calls the notices whose time has come. What one of them panics with goes to `panicked`.
    pub(super) fn tell(&self, panicked: impl Fn(Box<dyn Any + Send>)) {
        let mut case = self.lock();
        if let Some(notice) = case.due_on_close() {
            self.call(case, notice).unwrap_or_else(&panicked);
            case = self.lock();
        }
        if let Some(notice) = case.due_on_ready() {
            self.call(case, notice).unwrap_or_else(&panicked);
        }
    }

    /// Nothing is called from now on, and nothing is being called, but by whom this is called itself.
    pub(super) fn fall_silent(&self) {
        let mut case = self.lock();
        let notices = (case.on_close.take(), case.on_ready.take());
        let here = this_thread();
        while case.calling.iter().any(|&thread| thread != here) {
            self.returned.wait(&mut case);
        }
        drop(case);
        drop(notices);
    }

    /// Calls a notice, without the lock.
    fn call<'v>(&'v self, mut case: MutexGuard<'v, Case<D>>, notice: Notice) -> std::thread::Result<()> {
        let here = this_thread();
        case.calling.push(here);
        drop(case);
        // What it owns is dropped before it counts as returned.
        let outcome = catch_unwind(AssertUnwindSafe(notice));
        let mut case = self.lock();
        if let Some(place) = case.calling.iter().position(|&thread| thread == here) {
            case.calling.swap_remove(place);
        }
        drop(case);
        self.returned.notify_all();
        outcome
    }

    fn call_at_once<'v>(&'v self, case: MutexGuard<'v, Case<D>>, notice: Notice) {
        if let Err(panic) = self.call(case, notice) {
            resume_unwind(panic);
        }
    }
}

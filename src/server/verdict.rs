//! Decides whether an exchange answers first or its connection gives up, and which notices are called.
//!
//! One lock decides. No notice is called while it is held, none is called twice, and none after [`Verdict::fall_silent`] has returned.
//! `tests/loom` checks all interleavings.

use super::sys::sync::{Condvar, Mutex, MutexGuard, this_thread};
use crate::exchange::Notice;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A case and its lock.
pub(super) struct Verdict<D> {
    case: Mutex<Case<D>>,
    /// Notified when a notice has returned.
    returned: Condvar,
}

/// What is to be decided, and its state.
pub(super) struct Case<D> {
    stage: Stage,
    /// Has the client closed its side?
    gone: bool,
    /// Does a handler on a thread of the host's have it?
    lent: bool,
    /// Is its answer to be held back, and sent with others?
    is_held_back: bool,
    on_close: Option<Notice>,
    on_ready: Option<Notice>,
    /// The threads that are in a notice.
    calling: Vec<usize>,
    /// What the exchange has to send.
    pub(super) draft: D,
}

/// Something with limited room.
pub(super) trait Room {
    fn has_room(&self) -> bool;
}

/// Who has decided.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Neither side.
    Open,
    /// The exchange: it has begun a stream.
    Streaming,
    /// The exchange: it is making its answer.
    Answering,
    /// The exchange: it has answered.
    Answered,
    /// The connection: the client has left, the time was up, or the app has stopped.
    Closed,
}

/// The outcome of closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// Closed before anything was sent.
    Closed,
    /// Closed in the middle of a stream.
    Streaming,
    /// Too late: the exchange has answered.
    Answered,
}

/// The exchange is too late: the connection has decided.
#[derive(Debug)]
pub(super) struct TooLate;

/// For the exchange.
impl<D> Case<D> {
    /// Notes that a stream has begun.
    pub(super) fn begin_stream(&mut self) {
        self.stage = Stage::Streaming;
    }

    /// The exchange is about to make its answer; the connection waits for it from now on.
    pub(super) fn decide(&mut self) -> Result<(), TooLate> {
        if self.stage == Stage::Closed {
            return Err(TooLate);
        }
        self.stage = Stage::Answering;
        Ok(())
    }

    /// The answer, or a piece of it, is complete; the caller adds it to the draft under the same lock.
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

    /// Its handler has made an exchange of it. False: it was not lent.
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
    /// Notes that the client has closed its side; it may still read.
    pub(super) fn note_gone(&mut self) {
        self.gone = true;
    }

    /// Decides for the connection, unless the exchange has.
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

    /// Has the exchange begun to answer, or the connection decided?
    pub(super) fn has_begun(&self) -> bool {
        self.stage != Stage::Open
    }

    /// Is a thread making the answer, which it will deliver?
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

    /// Has the client stopped waiting?
    fn is_over(&self) -> bool {
        self.gone || self.is_closed()
    }
}

impl<D: Room> Case<D> {
    /// Is there room again, or no client to wait for?
    fn is_ready(&self) -> bool {
        self.draft.has_room() || self.is_closed()
    }

    /// Is a notice due?
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

    /// Calls `notice` when the client stops waiting, or at once if it has. Replaces the previous notice.
    pub(super) fn on_close(&self, notice: Notice) {
        let mut case = self.lock();
        if case.is_over() {
            return self.call_at_once(case, notice);
        }
        let before = case.on_close.replace(notice);
        drop(case);
        drop(before);
    }

    /// Calls `notice` when there is room, or at once if there is. Replaces the previous notice.
    pub(super) fn on_ready(&self, notice: Notice) {
        let mut case = self.lock();
        if case.is_ready() {
            return self.call_at_once(case, notice);
        }
        let before = case.on_ready.replace(notice);
        drop(case);
        drop(before);
    }

    /// Calls the notices that are due. If one panics, `panicked` gets its panic.
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

    /// Prevents further notices, and waits for those that are being called, except in this thread.
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
        // The notice, with all it owns, is dropped before it counts as returned.
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

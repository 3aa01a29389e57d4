//! What a serving thread works with.

use super::answer::{self, Clock};
use super::lanes::Shift;
use crate::call::Call;
use crate::line::Line;
use crate::output::Output;
use crate::request::Request;
use crate::response::Response;
use crate::service::Service;
use crate::tally::Place;
use std::sync::Arc;

/// The size of one receive: more than most batches of pipelined requests need.
const INPUT_BYTES: usize = 64 * 1024;
/// At this size answers are sent before more requests are served.
const OUTPUT_FULL: usize = 64 * 1024;
/// Spare calls, for connections that keep theirs.
const SPARE_CALLS: usize = 4;

/// One thread's buffers. A connection brings what it has kept, and takes away only what is unfinished.
pub(super) struct Desk {
    /// The request being served, with its answer. The request's bytes are the input: in the thread's own buffer, or in one that the
    /// connection has brought.
    pub(super) call: Box<Call>,
    pub(super) out: Box<Output>,
    /// How many bytes of the input are processed.
    pub(super) used: usize,
    /// Does a thread of the host's want one request? Then it is lent the first one for a route of the host's threads.
    pub(super) lends: bool,
    /// The thread's own call with its buffer, while one of a connection's is on the desk.
    parked: Option<Box<Call>>,
    #[allow(clippy::vec_box, reason = "they come from connections in their boxes, and go to others in them")]
    spare: Vec<Box<Call>>,
    service: Arc<Service>,
    line: Option<Arc<dyn Line>>,
    /// The service that the thread is in, and its lane.
    pub(super) shift: Arc<Shift>,
    pub(super) clock: Clock,
    /// Counts the requests begun here.
    pub(super) requests: Place,
}

impl Desk {
    pub(super) fn new(service: &Arc<Service>, line: Option<Arc<dyn Line>>, shift: Arc<Shift>) -> Desk {
        let mut desk = Desk {
            call: new_call(service, line.clone()),
            out: Box::new(Output::with_capacity(OUTPUT_FULL)),
            used: 0,
            lends: false,
            parked: None,
            spare: Vec::new(),
            service: Arc::clone(service),
            line,
            shift,
            clock: Clock::new(),
            requests: service.requests.place(),
        };
        desk.bytes_mut().reserve_exact(INPUT_BYTES);
        desk
    }

    /// Milliseconds, modulo 2^32, as of the current batch of events.
    pub(super) fn now(&self) -> u32 {
        self.clock.now
    }

    /// All input, including what is processed.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.call.request.bytes_mut()
    }

    /// The unprocessed input.
    pub(super) fn input(&self) -> &[u8] {
        &self.call.request.bytes()[self.used..]
    }

    /// Marks all input as processed.
    pub(super) fn use_up(&mut self) {
        self.used = self.call.request.bytes().len();
    }

    pub(super) fn output_is_full(&self) -> bool {
        self.out.len() >= OUTPUT_FULL
    }

    /// Runs a handler with the output in its response, so that it can write there.
    pub(super) fn with_output<R>(&mut self, run: impl FnOnce(&mut Call) -> R) -> R {
        std::mem::swap(&mut self.out, &mut self.call.response.out);
        let outcome = run(&mut self.call);
        std::mem::swap(&mut self.out, &mut self.call.response.out);
        outcome
    }

    /// Puts a connection's call on the desk, and the thread's own aside.
    pub(super) fn put_on(&mut self, saved: Box<Call>) {
        self.parked = Some(std::mem::replace(&mut self.call, saved));
        self.used = 0;
    }

    /// Gives the call and the unprocessed input to the connection; the thread gets its own call back.
    pub(super) fn take_off(&mut self) -> Box<Call> {
        let used = std::mem::take(&mut self.used);
        if let Some(own) = self.parked.take() {
            let mut kept = std::mem::replace(&mut self.call, own);
            if kept.request.has_views_out() {
                kept.request.keep_bytes();
            }
            kept.request.drop_before(used);
            return kept;
        }
        // The large buffer stays with the thread; the unprocessed bytes leave in a buffer of their size.
        let fresh = self.spare.pop().unwrap_or_else(|| new_call(&self.service, self.line.clone()));
        let mut kept = std::mem::replace(&mut self.call, fresh);
        if kept.request.has_views_out() {
            // Middleware keeps views of the buffer, so it must leave itself, and the thread gets a new one.
            kept.request.keep_bytes();
            kept.request.drop_before(used);
            self.bytes_mut().reserve_exact(INPUT_BYTES);
            return kept;
        }
        let rest = copy_with_room(&kept.request.bytes()[used..]);
        *self.bytes_mut() = std::mem::replace(kept.request.bytes_mut(), rest);
        self.bytes_mut().clear();
        kept.request.drop_before(0);
        kept
    }

    /// Gives the present call a buffer of the size it needs, if it has the thread's large one. Returns by how many bytes its contents have
    /// moved down.
    pub(super) fn set_apart(&mut self) -> usize {
        if self.parked.is_some() {
            return 0;
        }
        let used = self.used;
        let call = self.take_off();
        self.put_on(call);
        used
    }

    /// All input is processed; the thread gets its own call and buffer back.
    #[inline]
    pub(super) fn clean(&mut self) {
        self.used = 0;
        if self.parked.is_some() {
            self.take_own_back();
        }
        self.bytes_mut().clear();
    }

    fn take_own_back(&mut self) {
        if let Some(own) = self.parked.take() {
            let mut done = std::mem::replace(&mut self.call, own);
            if self.spare.len() < SPARE_CALLS {
                *done.request.bytes_mut() = Vec::new();
                self.spare.push(done);
            }
        }
    }

    /// Sends the answers that are held back, before code of the host's that may take long.
    pub(super) fn let_go(&self) {
        if let Some(line) = &self.line {
            line.let_go();
        }
    }

    /// Writes the answer to the output. `last`: the connection ends with it.
    #[inline(always)]
    pub(super) fn write_answer(&mut self, last: bool) {
        let Desk { call, out, clock, service, .. } = self;
        answer::write(service, call, out, clock, last);
    }
}

/// A copy with room for the NUL behind a body, since it must not be reallocated while there are views of it.
fn copy_with_room(bytes: &[u8]) -> Vec<u8> {
    let mut copy = Vec::with_capacity(bytes.len() + 1);
    copy.extend_from_slice(bytes);
    copy
}

fn new_call(service: &Service, line: Option<Arc<dyn Line>>) -> Box<Call> {
    Box::new(Call { request: Request::new(Arc::clone(&service.routes), line), response: Response::new() })
}

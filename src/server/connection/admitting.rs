//! Receives a head and makes the decisions that depend on it alone: who answers, and on which thread.

use super::receiving::is_all_here;
use super::{Connection, Phase, Ready, Step};
use crate::call::Call;
use crate::error::{Error, Kind};
use crate::http::parser::{self, Framing, Outcome, head_end};
use crate::http::refusal::Refusal;
use crate::server::desk::Desk;
use crate::server::incoming::Incoming;
use crate::service::Service;
use std::sync::Arc;

/// The outcome of `may_run`.
pub(super) enum Leave {
    Granted,
    Later,
    /// The queue is full.
    Refused,
}

impl Connection {
    pub(super) fn feed_head(&mut self, desk: &mut Desk, service: &Arc<Service>) -> bool {
        let first = desk.input().first().copied();
        if first.is_none() || (first == Some(b'\r') && !self.skip_empty_lines(desk, service)) {
            return false;
        }
        let input = desk.input();
        if self.scanned > 0 && input.len() <= service.limits.head_bytes {
            // A head that came in pieces is parsed again only when its end is there.
            let (found, scanned) = head_end(input, self.scanned);
            if !found {
                self.scanned = scanned;
                return false;
            }
        }
        let (input, head) = desk.call.request.parts_from(desk.used);
        match parser::parse(input, &service.limits, head) {
            Outcome::Partial => {
                // Half of a further empty line does not begin a head either; otherwise each would get the time that a head has.
                if self.scanned == 0 && (self.empty == 0 || input != b"\r") {
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
                // A handler that reads its body waits for a client that may be waiting for the answers before this one, so these are sent first.
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

    /// RFC 9112 2.2: empty lines before a request line are ignored; some clients send one after a body. They do not begin a request, so they
    /// count towards the idle time and the length of a head. False: there is nothing else, or there are too many of them.
    #[cold]
    pub(super) fn skip_empty_lines(&mut self, desk: &mut Desk, service: &Arc<Service>) -> bool {
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

    /// Continues a request that has waited.
    pub(super) fn take_step(&mut self, step: Step, desk: &mut Desk, service: &Arc<Service>) -> bool {
        match step {
            Step::Admit { body_at } => self.admit(desk, service, body_at),
            Step::Lend { body_at } => self.lend_body(desk, service, body_at),
            Step::Answer { body, next } => self.answer(desk, service, body, next),
        }
    }

    /// Makes the decisions that depend on the head, and continues with the body, which begins at `body_at`.
    pub(super) fn admit(&mut self, desk: &mut Desk, service: &Arc<Service>, mut body_at: usize) -> bool {
        let framing = desk.call.request.head().framing;
        let waits = framing != Framing::Absent && !is_all_here(desk, framing, body_at);
        if waits && service.hooks.has_middleware(&desk.call.request) {
            // Middleware may keep views for the handler, which must stay valid while the body arrives; so the request gets a buffer of its own,
            // since the thread's large one must not wait with it.
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
        let admitted = match service.intercepts {
            true => admit_with_hooks(desk, service),
            false => service.admit(&mut desk.call.request, &mut desk.call.response),
        };
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

    /// Is there middleware, and may its route block? Then the middleware must not run while the lane is held, either.
    pub(super) fn middleware_may_block(&self, desk: &mut Desk, service: &Service) -> bool {
        if service.hooks.middleware.is_empty() || !(desk.shift.takes_all_to_block() || service.habits.any_blocks()) {
            return false;
        }
        let request = &mut desk.call.request;
        request.route_by(&service.router);
        !request.is_for_caller() && service.hooks.has_middleware(request)
    }

    /// May this thread run something that may take long? If not, the request waits, or is refused.
    ///
    /// `waits`: it may wait for its client, whether or not its route is known to block.
    pub(super) fn may_run(&mut self, desk: &mut Desk, service: &Arc<Service>, waits: bool, step: impl FnOnce() -> Step) -> Leave {
        let Some(route) = desk.call.request.route_number() else { return Leave::Granted };
        desk.shift.note_route(route);
        if !(waits || desk.shift.takes_all_to_block() || service.habits.blocks(route)) {
            return Leave::Granted;
        }
        // Answers before this one are sent first, since their clients wait for them.
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

    /// Refuses a request, since the queue is full.
    #[cold]
    pub(super) fn refuse_queued(&mut self, desk: &mut Desk, service: &Arc<Service>, body_at: usize, framing: Framing) -> bool {
        let Call { request, response } = &mut *desk.call;
        service.refuse_queued(request, response);
        self.answer_early(desk, service, body_at, framing)
    }

    #[cold]
    pub(super) fn refuse(&mut self, refusal: Refusal, desk: &mut Desk, service: &Arc<Service>) {
        let (code, words) = refusal.explain();
        self.refuse_and_end(code, Error::fixed(Kind::Invalid, words), desk, service);
    }
}

/// Admits a request if code of the host's takes part. If that takes too long, it counts as an overrun of the request's route.
#[inline(never)]
fn admit_with_hooks(desk: &mut Desk, service: &Service) -> bool {
    let admitted = desk.with_output(|call| service.admit(&mut call.request, &mut call.response));
    if !service.hooks.middleware.is_empty() {
        // Middleware may take long, like a handler; the deadlines of a body count from now.
        desk.clock.tick();
    }
    let request = &desk.call.request;
    let route = request.route_number().filter(|_| !request.is_for_caller());
    if let (Some(long), Some(route)) = (desk.shift.overran(), route) {
        service.habits.note_overrun(route, long);
    }
    admitted
}

//! A head arrives, and alone decides: who answers, and whether there is a thread for it.

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

/// What asking for a thread comes to.
pub(super) enum Leave {
    Granted,
    Later,
    /// As many wait already as may.
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
                // Half of one more empty line begins nothing either, or each would buy as much time as a head has.
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

    /// Goes on where a request has waited.
    pub(super) fn take_step(&mut self, step: Step, desk: &mut Desk, service: &Arc<Service>) -> bool {
        match step {
            Step::Admit { body_at } => self.admit(desk, service, body_at),
            Step::Lend { body_at } => self.lend_body(desk, service, body_at),
            Step::Answer { body, next } => self.answer(desk, service, body, next),
        }
    }

    /// Decides by the head, and goes on to the body, which begins at `body_at`.
    pub(super) fn admit(&mut self, desk: &mut Desk, service: &Arc<Service>, mut body_at: usize) -> bool {
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

    /// Is there middleware, and does what comes behind it block? Then it had better not run here either.
    pub(super) fn middleware_may_block(&self, desk: &mut Desk, service: &Service) -> bool {
        if service.hooks.middleware.is_empty() || !(desk.shift.takes_all_to_block() || service.habits.any_blocks()) {
            return false;
        }
        let request = &mut desk.call.request;
        request.route_by(&service.router);
        !request.is_for_caller() && service.hooks.has_middleware(request)
    }

    /// Asks whether this thread may run what takes long. False: the request waits, or was refused.
    ///
    /// `waits`: it may wait for its client, whatever else it does.
    pub(super) fn may_run(&mut self, desk: &mut Desk, service: &Arc<Service>, waits: bool, step: impl FnOnce() -> Step) -> Leave {
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

    /// Too many requests wait for a thread already.
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

/// Decides where something of the host's has a say. If that took too long, it counts for the route that it ran before.
#[inline(never)]
fn admit_with_hooks(desk: &mut Desk, service: &Service) -> bool {
    let admitted = desk.with_output(|call| service.admit(&mut call.request, &mut call.response));
    if !service.hooks.middleware.is_empty() {
        // It takes its time, as handlers do; a body's deadlines count from now.
        desk.clock.tick();
    }
    let request = &desk.call.request;
    let route = request.route_number().filter(|_| !request.is_for_caller());
    if let (Some(long), Some(route)) = (desk.shift.overran(), route) {
        service.habits.note_overrun(route, long);
    }
    admitted
}

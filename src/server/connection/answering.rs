//! Answers a complete request, and continues with what follows it.

use super::admitting::Leave;
use super::{Connection, LARGE_ANSWER, Phase, Ready, Step, Then};
use crate::call::Call;
use crate::http::parser::Framing;
use crate::server::deferred::Deferred;
use crate::server::desk::Desk;
use crate::server::incoming::Skip;
use crate::service::Service;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

impl Connection {
    /// Runs the handler of a complete request. What follows the request begins at `next`.
    pub(super) fn answer(&mut self, desk: &mut Desk, service: &Arc<Service>, body: Range<usize>, next: usize) -> bool {
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

    /// Lends a complete request to the thread of the host's that came for one.
    #[inline(never)]
    pub(super) fn lend(&mut self, desk: &mut Desk, service: &Service, body: Range<usize>, next: usize) -> bool {
        if !desk.out.is_empty() && !service.is_known_quick(&desk.call.request) {
            // Answers before this one are sent first, since their clients wait for them.
            self.unfed = true;
            self.phase = Phase::Ready(Box::new(Ready { step: Step::Answer { body, next }, is_left: false }));
            return false;
        }
        desk.call.request.set_body(body);
        self.phase = Phase::Lent { next };
        false
    }

    /// Continues after a lent request was given back with its answer. `began`: when it was taken, if it is timed.
    pub(in crate::server) fn resume(&mut self, desk: &mut Desk, service: &Arc<Service>, began: Option<Instant>) {
        let Phase::Lent { next } = std::mem::replace(&mut self.phase, Phase::Reading) else { return };
        // Its handler may have taken long.
        desk.clock.tick();
        let route = desk.call.request.route_number();
        let goes_on = self.conclude(desk, service, Then::next(next));
        if let (Some(began), Some(route)) = (began, route) {
            // Including what runs after the handler: held-back answers wait for that, too.
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
    pub(super) fn handle(&mut self, desk: &mut Desk, service: &Arc<Service>) {
        let is_timed = |&route: &usize| service.habits.is_timed(route) || desk.shift.is_unwatched();
        let timed = desk.call.request.route_number().filter(is_timed).map(|route| (route, Instant::now()));
        if desk.lends {
            // It may block, and a waiting thread of the host's must look out for that.
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
            // The lookout has noted that it overran, but not by how much.
            service.habits.note_overrun(route, true);
        }
        // The handler may have taken long; the answer's date and deadlines count from now.
        desk.clock.tick();
    }

    /// Finishes an answer given by the head alone; the body is skipped, or ends the connection.
    #[inline(never)]
    pub(super) fn answer_early(&mut self, desk: &mut Desk, service: &Arc<Service>, body_at: usize, framing: Framing) -> bool {
        let last = framing != Framing::Absent && self.ends_unread(desk, framing, body_at);
        let skip = if framing == Framing::Absent { None } else { Some(Box::new(Skip::new(framing, service))) };
        self.conclude(desk, service, Then { used: body_at, skip, last })
    }

    /// Finishes an answer without waiting for the rest of the body; the connection ends.
    #[cold]
    pub(super) fn finish_early(&mut self, desk: &mut Desk, service: &Service) -> bool {
        self.finish(desk, service, true);
        self.phase = Phase::Ending { linger: true };
        true
    }

    /// After the handler has returned: writes its answer, or waits for its exchange.
    pub(super) fn conclude(&mut self, desk: &mut Desk, service: &Arc<Service>, then: Then) -> bool {
        if let Some(known_as) = desk.call.response.take_deferred() {
            let Ok(exchange) = known_as.downcast::<Arc<Deferred>>() else { return false };
            self.wait(*exchange, desk, service, then);
            return false;
        }
        self.finish(desk, service, then.last);
        self.go_on(desk, service, then)
    }

    pub(super) fn go_on(&mut self, desk: &mut Desk, service: &Service, then: Then) -> bool {
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

    /// Writes the answer to the output, and ends the request; `last`, or if it must, the connection as well.
    #[inline(always)]
    pub(super) fn finish(&mut self, desk: &mut Desk, service: &Service, last: bool) {
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
            // If input is unread at the close, the kernel resets the connection, and the client loses what it has not received. So the connection
            // lingers if the client may send more requests, or if the answer is large.
            self.phase = Phase::Ending { linger: keep_alive || large };
        }
    }

    /// Writes the end of a stream, or cuts the connection if the stream is incomplete.
    #[inline(never)]
    pub(super) fn finish_stream(&mut self, desk: &mut Desk, service: &Service, last: bool) {
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

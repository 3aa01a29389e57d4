//! A connection that waits for the exchange of its request.

use super::{Connection, Phase, Step, Then, Wait};
use crate::call::Call;
use crate::error::{Error, Kind};
use crate::output::Output;
use crate::request::{Caller, Peer, Request};
use crate::response::Response;
use crate::server::answer::{self, Clock};
use crate::server::deferred::{Closing, Collected, Deferred, End};
use crate::server::desk::Desk;
use crate::server::pace::patient;
use crate::service::Service;
use std::sync::Arc;

impl Connection {
    /// Waits for the exchange that the request was deferred to.
    #[inline(never)]
    pub(super) fn wait(&mut self, exchange: Arc<Deferred>, desk: &mut Desk, service: &Service, then: Then) {
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

    /// Takes what the exchange has put there so far, as output.
    pub(in crate::server) fn collect(&mut self, service: &Service, now: u32) {
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

    pub(super) fn take_bytes(&mut self, bytes: Output, service: &Service, now: u32) {
        match &mut self.unsent {
            Some(unsent) => unsent.append(bytes),
            None => {
                self.since = now;
                self.slow = service.pace.begin(now);
                self.unsent = Some(Box::new(bytes));
            }
        }
    }

    /// The exchange has answered; the connection continues with what follows, or ends.
    pub(super) fn end_wait(&mut self, End { last, cut, reset }: End, now: u32, service: &Service) {
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
            // What was written before the failure is still sent.
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

    /// Answers in place of the exchange, which has the request. The connection ends.
    pub(in crate::server) fn answer_waiting(&mut self, code: u16, words: &'static str, now: u32, service: &Arc<Service>) {
        let Phase::Waiting(wait) = &mut self.phase else { return };
        match wait.exchange.close(Some(code)) {
            Closing::Closed => {}
            Closing::Streaming => return self.break_off(),
            Closing::Answered => {
                // Its answer is there, or about to be: no time-out runs any more.
                wait.begun = true;
                return self.collect(service, now);
            }
        }
        let (peer, ticket) = (self.peer, self.ticket);
        let Phase::Waiting(wait) = &mut self.phase else { return };
        // The exchange has the request. Without a copy, method and version are all that this answer depends on.
        let request = wait.exchange.take_copy().map_or_else(|| stand_in(wait, peer, ticket, service), |copy| *copy);
        let mut call = Call { request, response: Response::in_place_of(wait.exchange.take_kept()) };
        service.fail(code, Error::fixed(Kind::Timeout, words), None, &call.request, &mut call.response);
        if let Some(fields) = wait.fields.take() {
            call.response.add_policy_headers(&fields);
        }
        service.record_whole(&call.request, &call.response);
        self.take_bytes(last_bytes(call, service), service, now);
        self.end_wait(End { last: true, cut: false, reset: false }, now, service);
    }

    /// Answers a request that is queued for a thread. The connection ends.
    pub(in crate::server) fn answer_queued(&mut self, code: u16, words: &'static str, now: u32, service: &Arc<Service>) {
        let (Phase::Ready(ready), Some(saved)) = (&self.phase, self.saved.take()) else { return };
        let Call { mut request, mut response } = *saved;
        if let Step::Answer { body, .. } = &ready.step {
            request.set_body(body.clone());
        }
        service.fail(code, Error::fixed(Kind::Timeout, words), None, &request, &mut response);
        service.conclude(&request, &mut response);
        self.take_bytes(last_bytes(Call { request, response }, service), service, now);
        self.unfed = false;
        self.phase = Phase::Ending { linger: true };
    }

    /// The client has closed its side: notifies the exchange, which may still answer.
    pub(in crate::server) fn note_gone(&mut self) {
        if let Phase::Waiting(wait) = &self.phase {
            wait.exchange.note_gone();
        }
    }

    /// Is there something to notify an exchange of?
    pub(in crate::server) fn has_news(&self) -> bool {
        self.left.is_some() || matches!(&self.phase, Phase::Waiting(wait) if wait.exchange.has_news())
    }

    /// Notifies exchanges of what has happened to them. For serving threads only: functions of the host's are called.
    pub(in crate::server) fn tell(&mut self, service: &Service) {
        if let Some(left) = self.left.take() {
            left.tell(service);
        }
        if let Phase::Waiting(wait) = &self.phase {
            let exchange = Arc::clone(&wait.exchange);
            exchange.tell(service);
        }
    }

    /// Notes how much of a stream waits for the client.
    pub(in crate::server) fn note_unsent(&mut self) {
        if let Phase::Waiting(wait) = &self.phase {
            wait.exchange.note_unsent(self.unsent.as_ref().map_or(0, |unsent| unsent.len()));
        }
    }
}

/// A substitute for a request that its exchange has.
fn stand_in(wait: &Wait, peer: Peer, ticket: u64, service: &Service) -> Request {
    let mut request = Request::new(Arc::clone(&service.routes), None);
    request.blank(Caller { peer, ticket, is_last: true, now: None }, wait.method);
    request.set_minor_version(wait.minor_version);
    request
}

/// The bytes of an answer that ends the connection.
fn last_bytes(mut call: Call, service: &Service) -> Output {
    let mut bytes = Output::default();
    answer::write(service, &mut call, &mut bytes, &mut Clock::new(), true);
    bytes
}

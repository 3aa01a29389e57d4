//! The body of a request: received into memory, read by the handler itself, or discarded.

use super::admitting::Leave;
use super::{Connection, Phase, Step, Then};
use crate::call::Call;
use crate::http::parser::Framing;
use crate::http::refusal::Refusal;
use crate::server::desk::Desk;
use crate::server::incoming::{Fault, Incoming, Skip};
use crate::service::Service;
use crate::upload::{self, SKIPPED_BYTES, Unread, Upload};
use std::sync::Arc;

impl Connection {
    pub(super) fn feed_upload(&mut self, desk: &mut Desk, service: &Arc<Service>) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Reading) {
            Phase::Uploading(body) => self.receive(*body, desk, service),
            other => {
                self.phase = other;
                false
            }
        }
    }

    /// Takes in what has arrived of a body. When it is complete the request is answered.
    pub(super) fn receive(&mut self, mut body: Incoming, desk: &mut Desk, service: &Arc<Service>) -> bool {
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
                request.note_taken(body.received());
                service.refuse_body(request, response);
                self.finish_early(desk, service)
            }
            Err(Fault::Form(why)) => {
                let Call { request, response } = &mut *desk.call;
                request.note_taken(body.received());
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

    pub(super) fn feed_skip(&mut self, desk: &mut Desk) -> bool {
        let Phase::Skipping(skip) = &mut self.phase else { return false };
        match skip.take_in(desk) {
            Some(false) => return false,
            Some(true) => self.phase = Phase::Reading,
            // The answer was sent already, so the fault in the body cannot be reported.
            None => self.phase = Phase::Ending { linger: true },
        }
        true
    }

    /// Runs a handler that reads the body itself.
    #[inline(never)]
    pub(super) fn lend_body(&mut self, desk: &mut Desk, service: &Arc<Service>, body_at: usize) -> bool {
        let framing = desk.call.request.head().framing;
        // It may wait for the rest of the body. If no thread could take over the lane meanwhile, the request is queued for another thread.
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

    /// If the body is not read, is it too long to be worth receiving?
    pub(super) fn ends_unread(&self, desk: &Desk, framing: Framing, body_at: usize) -> bool {
        let head = desk.call.request.head();
        let length = match framing {
            Framing::Length(length) => length,
            Framing::Absent | Framing::Chunked => 0,
        };
        let all_here = is_all_here(desk, framing, body_at);
        // RFC 9110 10.1.1: a client that waits for a 100 may send the body or not; only closing the connection removes the doubt.
        !all_here && (length > SKIPPED_BYTES || head.expects_continue || head.expects_else)
    }
}

/// Is the whole body in the input? For chunks only their decoder could tell.
pub(super) fn is_all_here(desk: &Desk, framing: Framing, body_at: usize) -> bool {
    let here = (desk.call.request.bytes().len() - body_at) as u64;
    matches!(framing, Framing::Length(length) if length <= here)
}

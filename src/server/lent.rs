//! A request that a thread of the host's answers in place: it stays on the desk, and its connection stays owned.
//!
//! Nothing is copied, and no other thread touches the connection meanwhile. So this is for handlers that answer before they do anything
//! else; a request to be answered later is turned into an exchange.

use super::desk::Desk;
use super::driver_epoll::{Loan, Worker};
use super::engine::Engine;
use super::visit::Visit;
use crate::call::Call;
use crate::error::{Error, Kind, Result};
use crate::exchange::Exchange;
use crate::request::Request;
use crate::response::Response;
use crate::service::Service;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

const GIVEN_BACK: Error = Error::fixed(Kind::State, "this request was given back");
const GIVEN_UP: Error = Error::fixed(Kind::Closed, "the handler gave up this request");

/// A request that is lent. Dropped without an answer, it answers 503.
pub(crate) struct Lent {
    engine: Weak<Engine>,
    /// Some until it is given back.
    lending: Option<Lending>,
}

/// The desk with the request, and how its connection continues afterwards.
pub(super) type Lending = (Box<Desk>, Loan);

/// What follows a request that was given back.
pub(crate) enum Next {
    /// Not known: the thread has not looked.
    Unknown,
    /// Nothing that could be lent.
    Nothing,
    Lent(Lent),
}

impl Lent {
    pub(super) fn new(engine: &Arc<Engine>, lending: Lending) -> Lent {
        engine.lent.fetch_add(1, Ordering::SeqCst);
        Lent { engine: Arc::downgrade(engine), lending: Some(lending) }
    }

    /// The request. It stays at its address until it is given back.
    pub(crate) fn request(&self) -> &Request {
        let (desk, _) = self.lending.as_ref().expect("it is there until it is given back");
        &desk.call.request
    }

    /// Gives it back, with the answer that `settle` completes, and sends that.
    fn give_back(mut self, engine: &Arc<Engine>, settle: impl FnOnce(&Service, &Request, &mut Response)) {
        let Some((mut desk, loan)) = self.lending.take() else { return };
        engine.lent.fetch_sub(1, Ordering::SeqCst);
        desk.lends = false;
        engine.employ(desk, |worker| worker.resume(loan, None, settle));
    }

    /// The same for a thread that wants the next request as well; the slot took this one at `began`.
    pub(super) fn trade(mut self, engine: &Arc<Engine>, began: Instant, settle: impl FnOnce(&Service, &Request, &mut Response)) -> Next {
        let Some((mut desk, loan)) = self.lending.take() else { return Next::Unknown };
        engine.lent.fetch_sub(1, Ordering::SeqCst);
        desk.lends = true;
        let serve = |worker: &mut Worker<'_>| {
            worker.resume(loan, Some(began), settle);
            worker.serve_on()
        };
        match engine.employ(desk, serve) {
            (_, Some(lending)) => {
                engine.lent.fetch_add(1, Ordering::SeqCst);
                self.lending = Some(lending);
                Next::Lent(self)
            }
            (true, None) => Next::Nothing,
            (false, None) => Next::Unknown,
        }
    }

    /// Turns it into an exchange.
    pub(super) fn defer(mut self, engine: &Arc<Engine>) -> Result<Exchange> {
        let (desk, _) = self.lending.as_mut().ok_or(GIVEN_BACK)?;
        let Call { request, response } = &mut *desk.call;
        let exchange = response.defer(request)?;
        self.give_back(engine, |_, _, _| {});
        Ok(exchange)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(lending) = self.lending.take() else { return };
        let engine = self.engine.upgrade();
        if engine.as_ref().is_some_and(|engine| engine.service.control.is_forked()) {
            // The client belongs to the parent process.
            return std::mem::forget((lending, engine));
        }
        let Some(visit) = engine.and_then(Visit::late) else { return };
        if let Ok(engine) = visit.engine() {
            Lent::new(engine, lending).give_back(engine, |service, request, response| service.fail(503, GIVEN_UP, None, request, response));
        }
    }
}

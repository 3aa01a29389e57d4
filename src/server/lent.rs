//! A request in the hands of a thread of the host's, which stays where it is: on a desk, in its connection's place.
//!
//! Nothing of it is copied, and nobody else touches its connection meanwhile. So this is for handlers that answer before they do
//! anything else; who wants to answer later makes an exchange of it.

use super::deferred::Visit;
use super::desk::Desk;
use super::driver_epoll::{Loan, Worker};
use super::engine::Engine;
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

/// Where the request lies, and what it has interrupted.
pub(super) type Lending = (Box<Desk>, Loan);

/// What comes after a request that was given back.
pub(crate) enum Next {
    /// Nobody has looked.
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

    /// Gives it back with what `settle` makes of its answer, which is sent.
    fn give_back(mut self, engine: &Arc<Engine>, settle: impl FnOnce(&Service, &Request, &mut Response)) {
        let Some((mut desk, loan)) = self.lending.take() else { return };
        engine.lent.fetch_sub(1, Ordering::SeqCst);
        desk.lends = false;
        engine.employ(desk, |worker| worker.resume(loan, None, settle));
    }

    /// The same, for a thread that has taken it then, and wants the next one.
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

    /// Makes an exchange of it.
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
            // The client is the other process's.
            return std::mem::forget((lending, engine));
        }
        let Some(visit) = engine.and_then(Visit::late) else { return };
        if let Ok(engine) = visit.engine() {
            Lent::new(engine, lending).give_back(engine, |service, request, response| service.fail(503, GIVEN_UP, None, request, response));
        }
    }
}

//! What threads of the host's do for the app: they run the handlers that are left to them, and without threads of the app's
//! own they do all its work.

use super::caller::Mode;
use super::deferred::Visit;
use super::driver_epoll::Worker;
use super::engine::Engine;
use super::lanes::{Shift, Watchfulness};
use super::pool::Serving;
use crate::error::{Error, Kind, Result};
use crate::exchange::Exchange;
use std::sync::Arc;
use std::time::Instant;

const STOPPED: Error = Error::fixed(Kind::Closed, "the app has stopped");
const NOTHING: Error = Error::fixed(Kind::Timeout, "no request has come");

impl Engine {
    /// Without threads of its own the app is driven by the host's, which watch what the engine waits for.
    pub(crate) fn let_host_watch(&self) -> Result<()> {
        if self.has_threads { Ok(()) } else { self.service.callers.watch_engine(&self.service.control, &self.epoll) }
    }

    /// Runs at most so many handlers of requests that wait, once there are some; gives how many. None is without end.
    pub(crate) fn poll(self: &Arc<Engine>, most: usize, end: Option<Instant>) -> Result<usize> {
        let callers = &self.service.callers;
        callers.choose(Mode::Poll)?;
        let _visit = Visit::of(self).ok_or(STOPPED)?;
        let _inside = callers.enter();
        self.wait_for(end, || {
            let mut served = 0;
            while served < most && !self.service.control.is_stopping() {
                let Some(exchange) = callers.pop() else { break };
                self.run_left_handler(exchange);
                served += 1;
            }
            (served > 0).then_some(served)
        })
    }

    /// Gives a request that waits, once there is one; its middleware has run. None is without end.
    pub(crate) fn next(self: &Arc<Engine>, end: Option<Instant>) -> Result<Exchange> {
        let callers = &self.service.callers;
        callers.choose(Mode::Next)?;
        let _visit = Visit::of(self).ok_or(STOPPED)?;
        let _inside = callers.enter();
        self.wait_for(end, || {
            loop {
                if let Some(exchange) = self.pass_left_middleware(callers.pop()?) {
                    return Some(exchange);
                }
            }
        })
    }

    /// Does what there is to be done for the app, where it has no threads of its own. False: another thread is at it.
    pub(super) fn work(self: &Arc<Engine>, watch: &mut Watchfulness) -> bool {
        let shift = Arc::new(Shift::new(&self.lanes));
        let _here = Serving::here(Arc::as_ptr(self).addr(), Some(Arc::clone(&shift)));
        let desk = match self.desks.lock().pop() {
            Some(mut desk) => {
                desk.shift = shift;
                desk
            }
            None => self.new_desk(&shift),
        };
        let mut worker = Worker::new(self, desk);
        let done = worker.run_once(watch);
        self.desks.lock().push(worker.into_desk());
        done
    }

    /// Looks again and again, until something is found, the app has stopped, somebody wakes this thread, or the time is up.
    fn wait_for<R>(self: &Arc<Engine>, end: Option<Instant>, mut look: impl FnMut() -> Option<R>) -> Result<R> {
        let callers = &self.service.callers;
        let mut watch = self.lanes.watchfulness();
        loop {
            let leads = !self.has_threads && self.work(&mut watch);
            if self.service.control.is_stopping() {
                return Err(STOPPED);
            }
            if let Some(found) = look() {
                return Ok(found);
            }
            if callers.take_wake() || end.is_some_and(|end| Instant::now() >= end) {
                return Err(NOTHING);
            }
            if self.has_threads || leads {
                callers.wait(&self.service.control, end)?;
            } else {
                // Another thread is at it, and is watched.
                let soon = Instant::now() + self.lanes.tick();
                callers.wait_for_requests(&self.service.control, end.map_or(soon, |end| end.min(soon)))?;
            }
        }
    }

    /// Runs middleware and handler of a request that was left to this thread, and sends the answer.
    fn run_left_handler(&self, exchange: Exchange) {
        let Some(exchange) = self.pass_left_middleware(exchange) else { return };
        let Some((mut call, debt)) = exchange.take_apart() else { return };
        debt.lend(true);
        let outcome = self.service.run_handler(&call.request, &mut call.response);
        debt.lend(false);
        if !call.response.is_deferred() {
            // Nobody is left to be told that nobody waits any more.
            let _ = debt.finish(call, outcome);
        }
    }

    /// Runs the middleware of a request that was left to this thread. None: that was all.
    pub(super) fn pass_left_middleware(&self, exchange: Exchange) -> Option<Exchange> {
        if !self.service.hooks.has_middleware(exchange.request()) {
            return Some(exchange);
        }
        let (mut call, debt) = exchange.take_apart()?;
        debt.lend(true);
        let goes_on = self.service.pass_middleware(&call.request, &mut call.response);
        debt.lend(false);
        if goes_on {
            return Some(Exchange::new(call, debt));
        }
        if !call.response.is_deferred() {
            let _ = debt.finish(call, Ok(()));
        }
        None
    }
}

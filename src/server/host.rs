//! What threads of the host's do for the app: run the handlers of their routes, and, if the app has no threads of its own, all its work.

use super::caller::Mode;
use super::charge::Rested;
use super::desk::Desk;
use super::driver_epoll::Worker;
use super::engine::Engine;
use super::held_back::{Answer, Took};
use super::lanes::{Seen, Shift};
use super::leftover::{Leaves, Leftover};
use super::lent::{Lending, Lent, Next};
use super::pool::Serving;
use super::sys::clock;
use super::visit::Visit;
use crate::error::{Error, Kind, Result};
use crate::exchange::Exchange;
use crate::handler::Level;
use crate::request::Request;
use crate::response::Response;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Spare desks, of up to 128 KiB each.
const SPARE_DESKS: usize = 64;

const STOPPED: Error = Error::fixed(Kind::Closed, "the app has stopped");
const FORKED: Error = Error::fixed(Kind::State, "this process is a fork of the one that made the app");
const NOTHING: Error = Error::fixed(Kind::Timeout, "no request has come");

/// A request in a slot.
pub(crate) enum Taken {
    /// Without library threads: the request stays in place.
    Lent(Lent),
    Exchange(Exchange),
}

impl Taken {
    pub(crate) fn request(&self) -> &Request {
        match self {
            Taken::Lent(lent) => lent.request(),
            Taken::Exchange(exchange) => exchange.request(),
        }
    }
}

/// A thread of the host's with a slot. It keeps the engine alive, even if the app is freed.
pub(crate) struct SlotVisit(Visit);

impl SlotVisit {
    /// Answers a request that was put into a slot at `began`; `fill` makes the answer.
    pub(crate) fn submit(&self, taken: Taken, began: Instant, fill: impl FnOnce(&Request, &mut Response) -> Result<()>) -> Next {
        let Ok(engine) = self.0.engine() else { return Next::Unknown };
        match taken {
            Taken::Lent(lent) => lent.trade(engine, began, |service, request, response| {
                let outcome = fill(request, response);
                service.settle(outcome, request, response);
            }),
            Taken::Exchange(exchange) => {
                if let Some(route) = exchange.request().route_number() {
                    engine.service.habits.note_left_run(route, began.elapsed());
                }
                engine.submit(exchange, fill);
                Next::Unknown
            }
        }
    }

    /// Takes a request, without waiting; its middleware has run. Sends the answers that are held back, unless the answer to this request is
    /// known to follow soon.
    pub(crate) fn take(&self, next: Next) -> Result<Taken> {
        let engine = self.0.engine()?;
        if engine.service.control.is_stopping() {
            engine.answer_what_waits();
            return Err(STOPPED);
        }
        let found = match next {
            Next::Lent(lent) => Some(Taken::Lent(lent)),
            Next::Unknown => engine.find_for_slot(),
            Next::Nothing => engine.pop_for_slot(),
        };
        if !found.as_ref().is_some_and(|taken| engine.keeps_answers_for(taken.request())) {
            engine.let_go();
        }
        if let Some(taken) = &found {
            engine.note_away(taken.request());
        }
        found.ok_or(NOTHING)
    }

    /// Turns a request that was taken into an exchange.
    pub(crate) fn keep(&self, taken: Taken) -> Result<Exchange> {
        let engine = self.0.engine()?;
        // It is unknown when this thread comes again.
        engine.let_go();
        engine.charge.hand_on();
        match taken {
            Taken::Lent(lent) => lent.defer(engine),
            Taken::Exchange(exchange) => {
                exchange.debt().lend(false);
                Ok(exchange)
            }
        }
    }

    /// Waits until there is a request to be taken, a wake or a signal; without end if `end` is None.
    pub(crate) fn wait(&self, end: Option<Instant>) -> Result<()> {
        let engine = self.0.engine()?;
        engine.let_go();
        let waited = engine.wait_for(end, Purpose::Slot, || (engine.service.callers.len() > 0).then_some(()));
        if engine.service.control.is_stopping() {
            engine.answer_what_waits();
        }
        waited
    }
}

/// What a thread of the host's waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A request to be put into a slot. A signal ends the wait.
    Slot,
    /// A request that is taken in another way.
    Other,
}

/// What the last thread that did not wait saw of the lanes.
#[derive(Default)]
pub(super) struct Glance {
    seen: Seen,
    at: Option<Instant>,
}

impl Glance {
    /// None: the previous check is less than a tick ago.
    fn take(&mut self, tick: Duration) -> Option<Seen> {
        let is_due = self.at.is_none_or(|at| at.elapsed() >= tick);
        is_due.then(|| std::mem::take(&mut self.seen))
    }

    fn put(&mut self, seen: Seen) {
        (self.seen, self.at) = (seen, Some(Instant::now()));
    }
}

impl Engine {
    /// A thread of the host's enters with a slot, also after a stop, since it may have an answer to submit.
    pub(crate) fn visit_with_slot(self: Arc<Engine>) -> Result<SlotVisit> {
        self.service.callers.choose(Mode::Take)?;
        Visit::late(self).map(SlotVisit).ok_or(STOPPED)
    }

    /// A thread of the host's enters. It keeps the engine alive; freeing the app waits for it.
    fn visited_for(self: Arc<Engine>, mode: Mode) -> Result<Visit> {
        self.service.callers.choose(mode)?;
        if self.service.control.is_stopping() && !self.has_threads {
            // No other thread comes to close what is open.
            self.close_if_nobody_serves();
        }
        Visit::of(self).ok_or(STOPPED)
    }

    /// This thread is about to answer a request.
    fn note_away(&self, request: &Request) {
        if !self.service.is_known_quick(request) {
            self.charge.hand_on();
        } else if self.charge.keep() {
            self.service.callers.rouse_in_any_case();
        }
    }

    /// May the held-back answers wait for the answer to this request?
    fn keeps_answers_for(&self, request: &Request) -> bool {
        self.service.is_known_quick(request) && self.held_back.may_wait() && !self.service.control.is_ending()
    }

    /// Takes a queued request, or serves until one is found.
    fn find_for_slot(self: &Arc<Engine>) -> Option<Taken> {
        self.pop_for_slot().or_else(|| {
            if self.has_threads {
                return None;
            }
            let (leads, lent) = self.work_in_passing(true);
            if !leads && !self.service.control.is_forked() {
                // The leading thread serves the leftovers too, so the host's loop is not woken for them until there are new ones.
                self.note_leftover(Leftover::None);
            }
            lent.map(Taken::Lent).or_else(|| self.pop_for_slot())
        })
    }

    /// Takes a queued request.
    fn pop_for_slot(&self) -> Option<Taken> {
        if let Some(lent) = self.service.callers.pop_lent() {
            return Some(Taken::Lent(lent));
        }
        loop {
            let exchange = self.service.callers.pop()?;
            if self.service.hooks.has_middleware(exchange.request()) {
                // Middleware may take long.
                self.let_go();
            }
            if let Some(exchange) = self.pass_left_middleware(exchange) {
                // A slot counts as a handler: a stop leaves it time, and a write waits for the client.
                exchange.debt().lend(true);
                return Some(Taken::Exchange(exchange));
            }
        }
    }

    /// Answers a request that was put into a slot; the answer may be held back until the next request is taken.
    fn submit(&self, exchange: Exchange, fill: impl FnOnce(&Request, &mut Response) -> Result<()>) {
        let Some((mut call, debt)) = exchange.take_apart() else { return };
        let outcome = fill(&call.request, &mut call.response);
        if self.held_back.pays() && !self.service.control.is_ending() {
            debt.hold_back();
        }
        // An error means that the client has left, which concerns no one here.
        let _ = debt.finish(call, outcome);
    }

    /// Sends the answers that are held back.
    pub(super) fn let_go(&self) {
        let answers = self.held_back.take();
        if answers.is_empty() {
            return;
        }
        let now = clock::milliseconds();
        let (mut buffers, mut took) = (Vec::with_capacity(answers.len()), Took::default());
        let mut before = Instant::now();
        for answer in answers {
            match answer {
                Answer::Given(id) => self.attend(id),
                Answer::Ready(id, kept) => buffers.extend(self.release(id, kept, now)),
            }
            let sent = Instant::now();
            took.add(sent - before);
            before = sent;
        }
        self.held_back.note_sent(&mut buffers, &took);
    }

    /// When the app ends: sends the answers that are held back, and gives up lent requests that no thread will take.
    pub(super) fn answer_what_waits(&self) {
        self.let_go();
        self.service.callers.give_up_lent();
    }

    /// Without library threads the host's threads do all the work, so their descriptor covers the engine's epoll.
    pub(super) fn let_host_watch(&self) -> Result<()> {
        if self.has_threads { Ok(()) } else { self.service.callers.watch_engine(&self.service.control, &self.epoll) }
    }

    /// While a thread that stays waits for events, the host's loop is not notified of them: otherwise each would wake it in vain.
    pub(super) fn let_host_watch_events(&self, watches: bool) {
        if self.has_threads {
            return;
        }
        if let Err(error) = self.service.callers.watch_engine_anew(&self.epoll, watches) {
            self.service.log(Level::Error, || format!("epoll_ctl: {error}; the host's event loop may be woken too often, or too late"));
        }
    }

    /// Waits for requests, and runs at most `most` handlers; returns how many. None is without end.
    pub(crate) fn poll(self: Arc<Engine>, most: usize, end: Option<Instant>) -> Result<usize> {
        let visit = self.visited_for(Mode::Poll)?;
        let engine = visit.engine()?;
        engine.wait_for(end, Purpose::Other, || {
            let mut served = 0;
            while served < most && !engine.service.control.is_stopping() {
                let Some(exchange) = engine.service.callers.pop() else { break };
                engine.charge.hand_on();
                engine.run_left_handler(exchange);
                served += 1;
            }
            (served > 0).then_some(served)
        })
    }

    /// Waits for a request and takes it; its middleware has run. None is without end.
    pub(crate) fn next(self: Arc<Engine>, end: Option<Instant>) -> Result<Exchange> {
        let visit = self.visited_for(Mode::Next)?;
        let engine = visit.engine()?;
        engine.wait_for(end, Purpose::Other, || {
            loop {
                if let Some(exchange) = engine.pass_left_middleware(engine.service.callers.pop()?) {
                    engine.charge.hand_on();
                    return Some(exchange);
                }
            }
        })
    }

    /// Serves a batch, if the app has no threads of its own. False: another thread leads. With `lends` it ends with the first request that is
    /// lent.
    pub(super) fn work(self: &Arc<Engine>, seen: &mut Seen, lends: bool) -> (bool, Option<Lent>) {
        let kept = self.desks.lock().pop();
        let mut desk = kept.unwrap_or_else(|| self.new_desk(&Arc::new(Shift::new(&self.lanes))));
        desk.lends = lends;
        // The desk may have been unused for long, and the events may have been taken by another thread.
        desk.clock.tick();
        let (leads, lending) = self.employ(desk, |worker| worker.run_once(seen));
        (leads, lending.map(|lending| Lent::new(self, lending)))
    }

    /// The same for a thread that does not wait here. It compares the lanes with what the previous such thread saw; otherwise none of these
    /// threads would notice that a leader takes too long.
    fn work_in_passing(self: &Arc<Engine>, lends: bool) -> (bool, Option<Lent>) {
        let done = self.work(&mut Seen::new(), lends);
        if done.0 || self.service.control.is_forked() {
            return done;
        }
        let Some(mut seen) = self.glance.lock().take(self.lanes.tick()) else { return done };
        let done = self.work(&mut seen, lends);
        self.glance.lock().put(seen);
        done
    }

    fn put_away(&self, desk: Box<Desk>) {
        let mut desks = self.desks.lock();
        if desks.len() < SPARE_DESKS {
            desks.push(desk);
        }
    }

    /// Lets a worker use a desk on this thread. Some: a request is lent, and the desk with it.
    pub(super) fn employ<R: Default>(self: &Arc<Engine>, desk: Box<Desk>, work: impl FnOnce(&mut Worker<'_>) -> R) -> (R, Option<Lending>) {
        let _here = Serving::here(Arc::as_ptr(self).addr(), Some(Arc::clone(&desk.shift)));
        let mut worker = Worker::new(self, desk);
        match catch_unwind(AssertUnwindSafe(|| work(&mut worker))) {
            Ok(done) => match worker.into_parts() {
                (desk, Some(loan)) => (done, Some((desk, loan))),
                (desk, None) => {
                    self.put_away(desk);
                    (done, None)
                }
            },
            // A handler has forked and returned in the child; `wait_for` reports that to the host.
            Err(_) if self.service.control.is_forked() => {
                std::mem::forget(worker);
                (R::default(), None)
            }
            Err(panic) => {
                if let (desk, Some(loan)) = worker.into_parts() {
                    // Dropping it answers its client and releases its connection.
                    drop(Lent::new(self, (desk, loan)));
                }
                resume_unwind(panic)
            }
        }
    }

    /// Repeats `look` until it finds something, the app stops, this thread is woken, or the time is up.
    fn wait_for<R>(self: &Arc<Engine>, end: Option<Instant>, purpose: Purpose, mut look: impl FnMut() -> Option<R>) -> Result<R> {
        let callers = &self.service.callers;
        let control = &self.service.control;
        let mut seen = Seen::new();
        let mut waits = callers.begin_wait();
        let only_looks = end.is_some_and(|end| Instant::now() >= end);
        loop {
            let (leads, lent) = match purpose == Purpose::Slot {
                _ if self.has_threads => (false, None),
                // A host that waits again without taking would be lent another request, and a desk with it, by each call.
                true if callers.len() > 0 => (false, None),
                lends if only_looks => self.work_in_passing(lends),
                lends => self.work(&mut seen, lends),
            };
            if let Some(lent) = lent {
                callers.push_lent(lent);
            }
            if control.is_forked() {
                return Err(FORKED);
            }
            if control.is_stopping() {
                self.charge.hand_on();
                return Err(STOPPED);
            }
            if let Some(found) = look() {
                return Ok(found);
            }
            if waits.take_wake() || end.is_some_and(|end| Instant::now() >= end) {
                self.charge.hand_on();
                return Err(NOTHING);
            }
            match self.charge.wait(end, self.lanes.tick()) {
                Rested::Holds => {}
                Rested::Signal if purpose == Purpose::Slot => {
                    self.charge.hand_on();
                    return Err(NOTHING);
                }
                Rested::Called => {
                    // The thread in charge may be blocked, and its held-back answers would wait for it.
                    self.let_go();
                    continue;
                }
                Rested::Late | Rested::Signal => continue,
            }
            // Another thread may have begun to serve since this one looked.
            let has_begun = || !self.has_threads && self.lanes.are_serving();
            let waited = if self.has_threads || leads {
                callers.wait(control, end, has_begun)
            } else if self.lanes.are_serving() {
                // Another thread leads, and serves the leftovers too. This thread checks on it a tick later.
                self.note_leftover(Leftover::None);
                let soon = Instant::now() + self.lanes.tick();
                callers.wait_for_requests(control, Some(end.map_or(soon, |end| end.min(soon))), || false)
            } else if self.crew.is_nobody() {
                // Another thread of the host's has just looked, and returns.
                callers.wait(control, end, has_begun)
            } else {
                // Another thread waits for events, and rouses this one if there are some.
                callers.wait_for_requests(control, end, has_begun)
            };
            self.charge.note_polled();
            if waited? && purpose == Purpose::Slot {
                self.charge.hand_on();
                return Err(NOTHING);
            }
        }
    }

    /// Announces leftovers to the host's threads, if there are no others to serve them.
    pub(super) fn note_leftover(&self, leftover: Leftover) {
        if !self.has_threads {
            self.note(leftover);
        }
    }

    /// Runs middleware and handler of a request on this thread, and sends the answer.
    fn run_left_handler(&self, exchange: Exchange) {
        let Some(exchange) = self.pass_left_middleware(exchange) else { return };
        let Some((mut call, debt)) = exchange.take_apart() else { return };
        debt.lend(true);
        let outcome = self.service.run_handler(&call.request, &mut call.response);
        if !call.response.is_deferred() {
            // An error means that the client has left, which concerns no one here.
            let _ = debt.finish(call, outcome);
        }
    }

    /// Runs the middleware of a request on this thread. None: middleware has answered.
    pub(super) fn pass_left_middleware(&self, exchange: Exchange) -> Option<Exchange> {
        if !self.service.hooks.has_middleware(exchange.request()) {
            return Some(exchange);
        }
        let (mut call, debt) = exchange.take_apart()?;
        debt.lend(true);
        let goes_on = self.service.pass_middleware(&call.request, &mut call.response);
        if goes_on {
            debt.keep_headers(call.response.kept_headers());
            debt.lend(false);
            return Some(Exchange::new(call, debt));
        }
        if !call.response.is_deferred() {
            let _ = debt.finish(call, Ok(()));
        }
        None
    }
}

impl Leaves for Engine {
    fn said(&self) -> Leftover {
        self.service.callers.leftover()
    }

    fn say(&self, leftover: Leftover) {
        self.service.callers.say_leftover(leftover);
    }

    fn are_left(&self) -> bool {
        self.lanes.are_left()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::App;
    use crate::options::Options;
    use crate::server::lanes::BATCH;
    use crate::server::sys::process::Interruptible;
    use once_cell::sync::OnceCell;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{OnceLock, Weak};

    /// Something that happens once, for others to wait for.
    #[derive(Clone, Default)]
    struct Event(Arc<OnceCell<()>>);

    impl Event {
        fn happens(&self) {
            let _ = self.0.set(());
        }

        fn wait(&self) {
            self.0.wait();
        }
    }

    #[test]
    fn a_waiting_thread_finds_what_another_leaves_in_its_lane() {
        let [entered, goes_on, has_left, waits, is_over] = std::array::from_fn(|_| Event::default());
        let app = App::new(Options::default()).unwrap();
        app.set_option("threads", "0").unwrap();
        // Checks of the lanes are far apart: only a signal ends a wait.
        app.set_option("tick_us", "1000000").unwrap();
        app.get("/mine", |_: &Request, _: &mut Response| Ok(())).unwrap();
        app.set_route_option("GET", "/mine", "dispatch", "caller").unwrap();
        let (here, on) = (entered.clone(), goes_on.clone());
        let hold = move |_: &Request, response: &mut Response| {
            here.happens();
            on.wait();
            response.send_text(b"held")
        };
        app.get("/holds", hold).unwrap();
        app.listen(Some("127.0.0.1"), 0).unwrap();
        app.start().unwrap();
        let _clients = ["GET /holds HTTP/1.1\r\nHost: a\r\n\r\n", ""].map(|first| {
            let mut client = TcpStream::connect(("127.0.0.1", app.port())).unwrap();
            write!(client, "{first}GET /mine HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            client
        });

        let waiter = Interruptible::this_thread();
        let found = std::thread::scope(|scope| {
            scope.spawn(|| {
                let visit = app.visit_with_slot().unwrap();
                let _taken = visit.take(Next::Unknown).unwrap();
                has_left.happens();
                is_over.wait();
            });
            scope.spawn(|| {
                waits.wait();
                while is_over.0.get().is_none() {
                    waiter.interrupt();
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            entered.wait();
            let visit = app.visit_with_slot().unwrap();
            let engine = visit.0.engine().unwrap();
            // The other thread leads when this one looks, and has left the second request when this one is about to wait.
            let found = engine.wait_for(None, Purpose::Slot, || {
                goes_on.happens();
                has_left.wait();
                waits.happens();
                (engine.service.callers.len() > 0).then_some(())
            });
            is_over.happens();
            found
        });
        found.expect("the second request is nobody else's");
    }

    /// An app with a route for the host's threads that is known to be quick.
    fn quick_app() -> App {
        let app = App::new(Options::default()).unwrap();
        app.set_option("threads", "0").unwrap();
        app.get("/mine", |_: &Request, _: &mut Response| Ok(())).unwrap();
        app.set_route_option("GET", "/mine", "dispatch", "caller").unwrap();
        app.listen(Some("127.0.0.1"), 0).unwrap();
        app.start().unwrap();
        let visit = app.visit_with_slot().unwrap();
        (0..100).for_each(|_| visit.0.engine().unwrap().service.habits.note_left_run(0, Duration::ZERO));
        app
    }

    /// Two clients that have sent a request.
    fn two_ask(app: &App) -> [TcpStream; 2] {
        std::array::from_fn(|_| {
            let mut client = TcpStream::connect(("127.0.0.1", app.port())).unwrap();
            client.write_all(b"GET /mine HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            client.set_nonblocking(true).unwrap();
            client
        })
    }

    /// Answers, and counts as quick, however busy the machine is.
    fn answer(visit: &SlotVisit, taken: Taken) -> Next {
        let began = Instant::now() + Duration::from_secs(3600);
        visit.submit(taken, began, |_, response| response.send_text(b"mine"))
    }

    /// Answers the first of two requests, whose answer is held back, and takes the second.
    fn keep_back(visit: &SlotVisit) -> Taken {
        visit.wait(None).unwrap();
        let first = visit.take(Next::Unknown).unwrap();
        visit.take(answer(visit, first)).expect("both have come")
    }

    #[test]
    fn waiting_again_without_taking_lends_no_second_request() {
        let app = quick_app();
        let _clients = two_ask(&app);
        let visit = app.visit_with_slot().unwrap();
        for _ in 0..3 {
            visit.wait(None).unwrap();
        }
        assert_eq!(visit.0.engine().unwrap().lent.load(Ordering::SeqCst), 1, "each holds a desk");
        let second = keep_back(&visit);
        let next = answer(&visit, second);
        assert!(visit.take(next).is_err(), "both have been taken");
    }

    /// Stops the app, so that a failing test leaves no thread waiting.
    struct Stops<'a>(&'a App);

    impl Drop for Stops<'_> {
        fn drop(&mut self) {
            self.0.stop();
        }
    }

    fn are_answered(clients: &[TcpStream]) -> usize {
        clients.iter().filter(|client| client.peek(&mut [0]).is_ok()).count()
    }

    fn await_answers(clients: &[TcpStream], count: usize) {
        let end = Instant::now() + Duration::from_secs(20);
        while are_answered(clients) < count {
            assert!(Instant::now() < end, "it waits for the request that was taken behind it");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_drain_sends_held_back_answers_and_later_ones_at_once() {
        let app = quick_app();
        let clients = two_ask(&app);
        let visit = app.visit_with_slot().unwrap();
        let second = keep_back(&visit);
        let engine = Arc::clone(visit.0.engine().unwrap());
        assert_eq!(are_answered(&clients), 0);
        // While the lane is held no sweep can send the answer.
        let (_, lane) = engine.lanes.take_free().unwrap();
        std::thread::scope(|scope| {
            let _stops = Stops(&app);
            let draining = scope.spawn(|| engine.drain(None));
            await_answers(&clients, 1);
            assert!(!engine.keeps_answers_for(second.request()));
            engine.lanes.lay_down(lane);
            let next = answer(&visit, second);
            await_answers(&clients, 2);
            assert!(visit.take(next).is_err());
            drop(visit);
            draining.join().unwrap().unwrap();
        });
    }

    #[test]
    fn held_back_answers_are_sent_when_their_thread_is_blocked() {
        let app = quick_app();
        let clients = two_ask(&app);
        let visit = app.visit_with_slot().unwrap();
        let second = keep_back(&visit);
        assert_eq!(are_answered(&clients), 0);
        let engine = visit.0.engine().unwrap();
        // While the lane is held no sweep can send the answer.
        let (_, lane) = engine.lanes.take_free().unwrap();
        std::thread::scope(|scope| {
            let _stops = Stops(&app);
            let waiting = scope.spawn(|| {
                let waits = app.visit_with_slot().unwrap();
                waits.0.engine().unwrap().wait_for::<()>(None, Purpose::Slot, || None)
            });
            await_answers(&clients, 1);
            engine.lanes.lay_down(lane);
            assert!(visit.take(answer(&visit, second)).is_err());
            app.stop();
            assert!(waiting.join().unwrap().is_err());
        });
    }

    /// An app with a leftover connection in its lane, and a desk that was unused for an hour.
    fn left_for_an_idle_desk() -> (App, Arc<Engine>, Box<Desk>, TcpStream) {
        let app = App::new(Options::default()).unwrap();
        app.set_option("threads", "0").unwrap();
        app.listen(Some("127.0.0.1"), 0).unwrap();
        app.start().unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", app.port())).unwrap();
        client.write_all(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let engine = Arc::clone(app.visit_with_slot().unwrap().0.engine().unwrap());
        let (_, mut held) = engine.lanes.take_free().unwrap();
        let count = engine.epoll.wait(&mut held.events[..1], -1).unwrap();
        held.fill(count, BATCH);
        engine.lanes.lay_down(held);
        let mut desk = engine.new_desk(&Arc::new(Shift::new(&engine.lanes)));
        desk.clock.now = desk.clock.now.wrapping_sub(3_600_000);
        (app, engine, desk, client)
    }

    /// Waits until the only connection has been served. Is its deadline still ahead?
    fn has_time(engine: &Engine, client: &mut TcpStream) -> bool {
        assert!(client.read(&mut [0; 1024]).unwrap() > 0);
        let now = clock::milliseconds();
        while !engine.slab.is_due(0, now.wrapping_add(1 << 30)) {
            std::thread::yield_now();
        }
        !engine.slab.is_due(0, now)
    }

    #[test]
    fn a_visit_with_a_desk_idle_for_an_hour_reads_the_clock() {
        let (_app, engine, desk, mut client) = left_for_an_idle_desk();
        engine.desks.lock().push(desk);
        assert!(engine.work(&mut Seen::new(), false).0);
        assert!(has_time(&engine, &mut client));
    }

    #[test]
    fn a_leader_with_a_desk_idle_for_an_hour_reads_the_clock() {
        let (app, engine, desk, mut client) = left_for_an_idle_desk();
        std::thread::scope(|scope| {
            let _stops = Stops(&app);
            scope.spawn(|| Worker::new(&engine, desk).run());
            assert!(has_time(&engine, &mut client));
        });
    }

    #[test]
    fn a_drain_waits_for_a_connection_that_is_just_being_accepted() {
        let app = App::new(Options::default()).unwrap();
        app.set_option("threads", "0").unwrap();
        app.set_option("defer_accept_s", "0").unwrap();
        app.get("/", |_: &Request, response: &mut Response| response.send_text(b"root")).unwrap();
        app.listen(Some("127.0.0.1"), 0).unwrap();
        app.start().unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", app.port())).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let engine = Arc::clone(app.visit_with_slot().unwrap().0.engine().unwrap());
        let accepted = std::iter::repeat_with(|| engine.accept_from(0)).find_map(|accepted| accepted.ok()).unwrap();
        std::thread::scope(|scope| {
            let draining = scope.spawn(|| engine.drain(None));
            while !engine.listeners.read().is_empty() {
                std::thread::yield_now();
            }
            // Long enough for a drain that would not wait.
            let end = Instant::now() + Duration::from_millis(100);
            while !draining.is_finished() && Instant::now() < end {
                std::thread::yield_now();
            }
            Worker::new(&engine, engine.new_desk(&Arc::new(Shift::new(&engine.lanes)))).welcome(accepted);
            draining.join().unwrap().unwrap();
        });
        drop((app, engine));
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("root"), "{answer}");
    }

    #[test]
    fn a_request_that_is_being_answered_does_not_count_as_lent() {
        let engine = Arc::<OnceLock<Weak<Engine>>>::default();
        let lent = Arc::new(AtomicUsize::new(usize::MAX));
        let app = App::new(Options::default()).unwrap();
        app.set_option("threads", "0").unwrap();
        app.get("/mine", |_: &Request, _: &mut Response| Ok(())).unwrap();
        app.set_route_option("GET", "/mine", "dispatch", "caller").unwrap();
        let (known, seen) = (Arc::clone(&engine), Arc::clone(&lent));
        let look = move |_: &Request, response: &mut Response| {
            let engine = known.get().and_then(Weak::upgrade).unwrap();
            seen.store(engine.lent.load(Ordering::SeqCst), Ordering::SeqCst);
            response.send_text(b"seen")
        };
        app.get("/here", look).unwrap();
        app.listen(Some("127.0.0.1"), 0).unwrap();
        app.start().unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", app.port())).unwrap();
        client.write_all(b"GET /mine HTTP/1.1\r\nHost: a\r\n\r\nGET /here HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();

        let visit = app.visit_with_slot().unwrap();
        engine.set(Arc::downgrade(visit.0.engine().unwrap())).unwrap();
        visit.wait(None).unwrap();
        let taken = visit.take(Next::Unknown).unwrap();
        assert_eq!(visit.0.engine().unwrap().lent.load(Ordering::SeqCst), 1);
        let next = visit.submit(taken, Instant::now(), |_, response| response.send_text(b"mine"));

        assert_eq!(lent.load(Ordering::SeqCst), 0, "a drain would take it for one that was cut off");
        assert!(visit.take(next).is_err());
        let mut answers = String::new();
        client.read_to_string(&mut answers).unwrap();
        assert!(answers.contains("mine") && answers.ends_with("seen"), "{answers}");
    }
}

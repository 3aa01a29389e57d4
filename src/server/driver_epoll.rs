//! Moves bytes between sockets and connections: what each thread does with the one edge-triggered epoll.

use super::connection::Connection;
use super::desk::Desk;
use super::engine::{Accepted, CONNECTIONS, DRAIN, Engine, LISTENER, STOP, TIMER};
use super::lanes::{BATCH, BATCH_ALONE, Batch, Duty, Look, Parker, Seen, Shift, Task};
use super::leftover::{Leaves, Leftover};
use super::sending::{Sent, send_output};
use super::slab::{Id, Tenant};
use super::sys::baton::Held;
use super::sys::clock;
use super::sys::epoll;
use super::sys::owned::{Claim, FIN, GONE, Guard, Kept};
use super::sys::socket;
use super::wire::EngineLine;
use crate::call::Call;
use crate::error::{Error, Kind};
use crate::handler::Level;
use crate::output::Output;
use crate::request::Request;
use crate::response::Response;
use crate::service::{Service, panic_words};
use std::any::Any;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a lane other than the first waits for events before it is given up, in milliseconds.
const EXTRA_LANE_MS: i32 = 2;
/// How long a thread pauses after epoll_wait has failed.
const EPOLL_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of requests received per turn.
const INPUT_TURN: usize = 64 * 1024;
/// Bytes of a body received per turn.
const BODY_TURN: usize = 256 * 1024;

/// One serving thread.
pub(super) struct Worker<'e> {
    engine: &'e Arc<Engine>,
    desk: Box<Desk>,
    /// What to continue with once the request on the desk is given back.
    loan: Option<Loan>,
}

/// A connection whose request is lent. It stays owned meanwhile.
pub(super) struct Loan {
    id: Id,
    kept: Kept,
    pass: Pass,
}

/// The progress of a turn.
#[derive(Clone, Copy, Default)]
struct Pass {
    /// Bytes received in this turn.
    received: usize,
    /// May there be more to receive?
    more: bool,
}

/// What is served besides events of connections.
enum Job {
    Welcome(Accepted),
    /// Check the deadlines.
    Sweep,
    Drain,
    PauseAccepting(std::io::Error),
}

/// How long a leader leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Term {
    /// Until it loses its lane, or the app stops.
    Long,
    /// For one batch of events.
    Short,
}

/// Where a turn begins.
enum Start {
    /// With the connection's present state. `due`: its deadline has passed.
    Look { due: bool },
    /// After a request that was lent and is given back.
    Fed(Pass),
}

/// The outcome of a turn.
enum Turn {
    /// The connection waits for an event.
    Wait,
    /// It has more to do, but other connections come first.
    Again,
    /// Its request is lent to the host.
    Lend(Pass),
    /// Its answer is held back, to be sent with others.
    HoldBack,
    /// It is to be closed.
    Close,
}

impl<'e> Worker<'e> {
    pub(super) fn new(engine: &'e Arc<Engine>, desk: Box<Desk>) -> Worker<'e> {
        Worker { engine, desk, loan: None }
    }

    /// Serves until the app stops.
    pub(super) fn run(&mut self) {
        let engine = self.engine;
        let parker = Arc::<Parker>::default();
        while let Some(duty) = engine.lanes.next_duty(&parker, || engine.service.control.is_stopping()) {
            // The thread may have been idle for long, and the events may have been taken by another.
            self.desk.clock.tick();
            match duty {
                Duty::Lead(lane, held) => self.lead(lane, held, Term::Long),
                Duty::Overran(lane, held) => {
                    self.note_overrun(lane);
                    self.lead(lane, held, Term::Long);
                }
                Duty::Answer(id) => self.answer_queued(id),
            }
        }
    }

    /// The desk, for the next worker or for the thread that gives back the request on it.
    pub(super) fn into_parts(self) -> (Box<Desk>, Option<Loan>) {
        (self.desk, self.loan)
    }

    /// Continues after a lent request, whose answer `settle` completes. `began`: when the handler began, if it is timed.
    pub(super) fn resume(
        &mut self,
        Loan { id, kept, pass }: Loan,
        began: Option<Instant>,
        settle: impl FnOnce(&Service, &Request, &mut Response),
    ) {
        let Some(mut guard) = self.engine.slab.resume(id, kept) else { return };
        let fin = guard.fin();
        let turn = self.caught(|worker| {
            let Worker { engine, desk, .. } = &mut *worker;
            let Call { request, response } = &mut *desk.call;
            settle(&engine.service, request, response);
            guard.connection.resume(desk, &engine.service, began);
            worker.turn(&mut guard, fin, Start::Fed(pass))
        });
        self.follow(id, guard, turn);
    }

    /// Serves another batch, unless a request is lent or others wait to be taken. False: it did not try.
    pub(super) fn serve_on(&mut self) -> bool {
        let callers = &self.engine.service.callers;
        callers.note_look_at(self.desk.now());
        let looks = self.loan.is_none() && callers.len() == 0;
        if looks {
            self.run_once(&mut Seen::new());
        }
        looks
    }

    /// Serves one batch, for a host's thread: up to the first request that is lent, if it came for one. False: another thread leads.
    pub(super) fn run_once(&mut self, seen: &mut Seen) -> bool {
        let engine = self.engine;
        let (lane, held) = match engine.lanes.take_free() {
            Some(free) => free,
            None => match engine.lanes.look(seen) {
                Look::Overran(lane, held) => {
                    self.note_overrun(lane);
                    (lane, held)
                }
                Look::Quiet | Look::Moved => return false,
            },
        };
        self.lead(lane, held, Term::Short);
        true
    }

    fn note_overrun(&self, lane: usize) {
        if let Some(route) = self.engine.lanes.overran_route(lane) {
            self.engine.service.habits.note_overrun(route, false);
        }
    }

    /// Leads a lane: takes events and serves them.
    fn lead(&mut self, lane: usize, mut held: Held<'e, Batch>, term: Term) {
        let engine = self.engine;
        // The first lane decides: it is always active, and the leader of another one moves to it when its own is given up.
        if lane == 0 && held.keep(term == Term::Long) {
            engine.let_host_watch_events(term == Term::Short);
        }
        let mut is_over = false;
        loop {
            let Some(task) = held.next() else {
                if std::mem::replace(&mut is_over, term == Term::Short) {
                    engine.lanes.end_batch(lane);
                    // Before the lane is freed: what its next leader reports is newer.
                    engine.note_leftover(Leftover::None);
                    return engine.lanes.lay_down(held);
                }
                match self.refill(lane, held, term) {
                    Some(filled) => held = filled,
                    None => return,
                }
                continue;
            };
            match task {
                Task::Event { token, ready } if CONNECTIONS.contains(&token) => {
                    self.begin_task(lane, held);
                    self.serve(Id::from_token(token), ready);
                }
                task => {
                    let Some(job) = self.take_up(task, &mut held) else { continue };
                    self.begin_task(lane, held);
                    self.do_job(job);
                }
            }
            match self.desk.shift.end(&engine.lanes) {
                Some(still) if self.loan.is_some() => return self.leave(lane, still),
                Some(still) => held = still,
                None => return,
            }
        }
    }

    /// Begins a service, during which the lookout may take over the lane.
    #[inline(always)]
    fn begin_task(&self, lane: usize, held: Held<'e, Batch>) {
        self.engine.lanes.begin_task(lane);
        self.desk.shift.begin(lane, held.serve());
    }

    /// Frees the lane while a request is lent, so that the next thread serves the remaining events.
    fn leave(&self, lane: usize, held: Held<'e, Batch>) {
        let engine = self.engine;
        let leftover = match held.is_over() {
            true => Leftover::None,
            false if engine.service.is_known_quick(&self.desk.call.request) => Leftover::Soon,
            false => Leftover::Left,
        };
        if leftover == Leftover::None {
            engine.lanes.end_batch(lane);
        }
        // Before the lane is freed, as in `lead`.
        engine.note_leftover(leftover);
        engine.lanes.lay_down(held);
        engine.confirm(leftover);
    }

    /// Waits for events. None: the lane was freed.
    fn refill(&mut self, lane: usize, held: Held<'e, Batch>, term: Term) -> Option<Held<'e, Batch>> {
        let engine = self.engine;
        engine.lanes.end_batch(lane);
        if term == Term::Long {
            // The events that a host's thread had left in the lane are served.
            engine.note_leftover(Leftover::None);
        }
        if engine.service.control.is_stopping() {
            engine.lanes.lay_down(held);
            return None;
        }
        let mut held = if term == Term::Long { engine.lanes.lead_on(lane, held)? } else { held };
        // Events in a lane wait for those before them unless another thread can take it over.
        let most = if engine.is_alone() { BATCH_ALONE } else { BATCH };
        let ms = match term {
            Term::Short => 0,
            Term::Long if lane == 0 => -1,
            Term::Long => EXTRA_LANE_MS,
        };
        match engine.epoll.wait(&mut held.events[..most], ms) {
            Ok(0) if term == Term::Short => {
                engine.note_leftover(Leftover::None);
                engine.lanes.lay_down(held);
                None
            }
            Ok(0) => engine.lanes.narrow(lane, held),
            Ok(count) => {
                engine.lanes.begin_batch(lane);
                if held.fill(count, most) {
                    engine.lanes.widen();
                }
                if !engine.has_threads && !self.desk.lends {
                    // One of the host's waiting threads must look out for a handler that takes long.
                    engine.service.callers.rouse();
                }
                self.desk.clock.tick();
                Some(held)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Some(held),
            Err(error) => {
                engine.lanes.lay_down(held);
                engine.service.log(Level::Error, || format!("epoll_wait: {error}; a thread pauses"));
                // This is not known to happen with an open descriptor; if it does, it must not take a whole processor.
                std::thread::sleep(EPOLL_PAUSE);
                None
            }
        }
    }

    /// Handles what cannot take long while the lane is held: everything but events of connections. Some: the rest, to be served.
    #[inline(never)]
    fn take_up(&self, task: Task, held: &mut Batch) -> Option<Job> {
        let engine = self.engine;
        match task {
            Task::Event { token: STOP, .. } => None,
            Task::Event { token: TIMER, .. } => Some(Job::Sweep),
            Task::Event { token: DRAIN, .. } => Some(Job::Drain),
            // None of these, and no connection: a listener.
            Task::Event { token, .. } => {
                held.open_door((LISTENER - token) as usize);
                None
            }
            Task::Accept(number) => match engine.accept_from(number) {
                Ok(accepted) => {
                    // Whoever leads next continues to accept, however long this connection takes.
                    if held.note_accepted() {
                        engine.resume_listener(number);
                    }
                    Some(Job::Welcome(accepted))
                }
                Err(error) if socket::is_passing(&error) => None,
                Err(error) => {
                    held.close_door();
                    // Out of descriptors or memory: waiting connections are accepted when some are released.
                    (error.kind() != ErrorKind::WouldBlock).then_some(Job::PauseAccepting(error))
                }
            },
        }
    }

    #[inline(never)]
    fn do_job(&mut self, job: Job) {
        match job {
            Job::Welcome(accepted) => self.welcome(accepted),
            Job::Sweep => self.sweep(),
            Job::Drain => self.engine.drain_unattended(),
            Job::PauseAccepting(error) => self.engine.pause_accepting(&error),
        }
    }

    fn serve(&mut self, id: Id, ready: u32) {
        let fin = if ready & epoll::FIN != 0 { FIN } else { 0 };
        let gone = if ready & epoll::GONE != 0 { GONE } else { 0 };
        if let Claim::Mine(guard) = self.engine.slab.claim(id, fin | gone) {
            self.turns(id, guard, false);
        }
    }

    /// Runs the handler of a queued request.
    fn answer_queued(&mut self, id: Id) {
        let engine = self.engine;
        match engine.slab.claim(id, 0) {
            Claim::Mine(mut guard) => {
                guard.connection.call_up();
                self.turns(id, guard, false);
            }
            // Another thread owns it for a moment.
            Claim::Busy => {
                engine.lanes.enqueue(id);
                std::thread::yield_now();
            }
            // The client has left.
            Claim::Stale => {}
        }
    }

    /// Serves all connections whose deadline has passed.
    fn sweep(&mut self) {
        let engine = self.engine;
        engine.on_tick();
        // The thread that held answers back may be blocked.
        engine.let_go();
        // The desk has room for one lent request, and several connections are served here.
        let lends = std::mem::take(&mut self.desk.lends);
        engine.slab.for_each_due(self.desk.now(), |id, guard| {
            // The previous owner may have set a new deadline meanwhile, and what it waits for may just have come.
            self.turns(id, guard, true);
        });
        self.desk.lends = lends;
    }

    /// Puts a new connection into the slab. If its first bytes are there already, it may never need the epoll.
    pub(super) fn welcome(&mut self, Accepted { socket, peer, deferred }: Accepted) {
        let engine = self.engine;
        let Ok((id, mut guard)) = engine.slab.insert(socket, Connection::new(peer, self.desk.now())) else {
            // Not even an entry for a 503 is left.
            return;
        };
        engine.on_insert();
        if let Err(words) = engine.admit(peer) {
            guard.turned_away = true;
            engine.count_turned_away();
            self.turn_away(&mut guard, words);
            return self.turns(id, guard, false);
        }
        if deferred {
            return self.turns(id, guard, false);
        }
        // Released before it is registered, since another thread may get its first event.
        guard.registered = true;
        self.set_deadline(id, &guard);
        guard.abandon();
        if let Err(error) = engine.slab.register(id, &engine.epoll) {
            self.engine.service.log(Level::Error, || format!("epoll_ctl: {error}; a connection is closed"));
            if let Claim::Mine(guard) = engine.slab.claim(id, 0) {
                engine.close(id, guard);
            }
        } else if engine.service.control.is_ending() {
            // A drain that began meanwhile has missed it.
            self.requeue(id);
        }
    }

    fn turn_away(&mut self, tenant: &mut Tenant, words: &'static str) {
        let Tenant { socket: Some(socket), connection, .. } = tenant else { return };
        let Worker { engine, desk, .. } = self;
        connection.refuse_and_end(503, Error::fixed(Kind::Limit, words), desk, &engine.service);
        connection.stand_up(desk);
        send(socket.as_fd(), connection, desk, engine);
    }

    /// Serves a connection that this thread owns until it waits, is closed, has lent its request, or has had its turn. `due`: its deadline
    /// has passed.
    fn turns(&mut self, id: Id, mut guard: Guard<'_, Tenant>, due: bool) {
        let turn = self.next_turn(&mut guard, due);
        self.follow(id, guard, turn);
    }

    fn next_turn(&mut self, guard: &mut Guard<'_, Tenant>, due: bool) -> Turn {
        // Once announced, the end of the client's side comes after all its bytes.
        let fin = guard.fin();
        self.caught(|worker| worker.turn(guard, fin, Start::Look { due }))
    }

    /// Carries out the outcome of a turn, and takes further turns if events came meanwhile.
    fn follow(&mut self, id: Id, mut guard: Guard<'_, Tenant>, mut turn: Turn) {
        loop {
            if !matches!(turn, Turn::Wait) || !self.engine.is_at_rest(&guard) {
                match self.round_off(id, guard, turn) {
                    Some(waiting) => guard = waiting,
                    None => return,
                }
            }
            self.set_deadline(id, &guard);
            let wants_thread = guard.connection.wants_thread();
            match guard.release() {
                None if wants_thread => return self.engine.lanes.enqueue(id),
                None => return,
                Some(mut again) => {
                    if wants_thread {
                        again.connection.still_wants_thread();
                    }
                    guard = again;
                }
            }
            if !self.desk.shift.leads() {
                // This thread has taken too long: further events are for a leader.
                guard.abandon();
                return self.requeue(id);
            }
            turn = self.next_turn(&mut guard, false);
        }
    }

    /// Carries out the outcome of a turn. Some: the connection waits.
    #[inline(never)]
    fn round_off<'g>(&mut self, id: Id, mut guard: Guard<'g, Tenant>, turn: Turn) -> Option<Guard<'g, Tenant>> {
        match turn {
            Turn::Lend(pass) => {
                self.loan = Some(Loan { id, kept: guard.keep(), pass });
                return None;
            }
            Turn::HoldBack => {
                self.engine.held_back.push(id, |spare| {
                    guard.connection.hold_back(&mut self.desk, spare);
                    guard.keep()
                });
                return None;
            }
            Turn::Wait | Turn::Again | Turn::Close => {}
        }
        let turn = self.note_gone(&mut guard, turn);
        let Tenant { connection, counted, .. } = &mut *guard;
        self.engine.count_held(connection, counted);
        let ends = match turn {
            Turn::Close => true,
            _ if !self.register(id, &mut guard) => true,
            // Checked after it is registered: a drain that begins now finds it in the epoll.
            _ => guard.connection.is_idle() && self.engine.service.control.is_ending(),
        };
        if ends {
            self.engine.close(id, guard);
            return None;
        }
        if matches!(turn, Turn::Again) {
            self.set_deadline(id, &guard);
            guard.abandon();
            self.requeue(id);
            return None;
        }
        Some(guard)
    }

    /// Notifies an exchange that its client has left, unless it has answered. If the client cannot read any more, the connection is closed.
    #[inline]
    fn note_gone(&self, guard: &mut Guard<'_, Tenant>, turn: Turn) -> Turn {
        let (fin, gone) = (guard.fin(), guard.is_gone());
        if guard.connection.is_waiting() && gone {
            guard.connection.break_off();
        } else if guard.connection.is_waiting() && fin {
            guard.connection.note_gone();
        }
        self.engine.tell_exchanges(guard);
        if guard.connection.is_closed() { Turn::Close } else { turn }
    }

    #[inline(always)]
    fn set_deadline(&self, id: Id, tenant: &Tenant) {
        self.engine.set_deadline(id, tenant);
    }

    fn requeue(&self, id: Id) {
        self.engine.requeue(id);
    }

    fn register(&self, id: Id, tenant: &mut Tenant) -> bool {
        self.engine.register(id, tenant)
    }

    /// Runs a turn. A panic, which only a destructor or a view of the host's can cause here, closes this connection only.
    #[inline(always)]
    fn caught(&mut self, turn: impl FnOnce(&mut Self) -> Turn) -> Turn {
        let outcome = catch_unwind(AssertUnwindSafe(|| turn(self)));
        outcome.unwrap_or_else(|panic| self.note_panic(&*panic))
    }

    #[cold]
    fn note_panic(&mut self, panic: &(dyn Any + Send)) -> Turn {
        self.engine.leave_if_forked();
        self.engine.service.log(Level::Error, || format!("a connection is closed, serving it panicked: {}", panic_words(panic)));
        self.desk = self.engine.new_desk(&self.desk.shift);
        Turn::Close
    }

    /// Receives, processes and sends until nothing more can be done now, or a request is lent.
    fn turn(&mut self, tenant: &mut Tenant, fin: bool, start: Start) -> Turn {
        let (due, mut pass) = match start {
            Start::Look { due } => (due, Pass::default()),
            Start::Fed(pass) => match self.send_fed(tenant, &pass) {
                Ok(()) => (false, pass),
                Err(turn) => return turn,
            },
        };
        let Tenant { socket: Some(socket), connection, counted, unreceived, .. } = tenant else { return Turn::Close };
        let Worker { engine, desk, .. } = self;
        let socket = socket.as_fd();
        // Most turns begin between two requests.
        let mut is_idle = connection.is_idle();
        let mut sent = Sent::All;
        if !is_idle {
            if connection.is_waiting() {
                connection.collect(&engine.service, desk.now());
            }
            sent = send_kept(socket, connection, engine, desk.now());
        }
        loop {
            if !is_idle {
                if let Some(turn) = first_of_all(socket, connection, desk, engine, due, sent, unreceived) {
                    return turn;
                }
            }
            *unreceived = false;
            if pass.received >= if connection.is_uploading() { BODY_TURN } else { INPUT_TURN } {
                return Turn::Again;
            }
            let has_fed = !is_idle && feed_kept(connection, desk, engine);
            pass.more = has_fed || receive(socket, connection, desk, engine, fin, &mut pass.received);
            if connection.is_lent() {
                return Turn::Lend(pass);
            }
            engine.leave_if_forked();
            connection.stand_up(desk);
            // Memory that was released is no longer counted when the client has its answer.
            engine.count_held(connection, counted);
            sent = send(socket, connection, desk, engine);
            is_idle = false;
            if has_more(connection, &pass, sent) {
                continue;
            }
            // Nothing has arrived in time.
            if !(due && connection.is_late(&engine.service.pace, desk.now())) {
                return Turn::Wait;
            }
            connection.sit_down(desk);
            connection.time_is_up(desk, &engine.service);
            connection.stand_up(desk);
            sent = send(socket, connection, desk, engine);
        }
    }

    /// Sends the answer of a request that was lent, or holds it back. Err: the turn is over.
    fn send_fed(&mut self, tenant: &mut Tenant, pass: &Pass) -> Result<(), Turn> {
        let Tenant { socket: Some(socket), connection, counted, .. } = tenant else { return Err(Turn::Close) };
        let Worker { engine, desk, .. } = self;
        if connection.is_lent() {
            return Err(Turn::Lend(*pass));
        }
        engine.leave_if_forked();
        connection.stand_up(desk);
        engine.count_held(connection, counted);
        if desk.lends && !pass.more && connection.may_hold_back(desk) && engine.held_back.pays() && !engine.service.control.is_ending() {
            return Err(Turn::HoldBack);
        }
        let sent = send(socket.as_fd(), connection, desk, engine);
        if sent == Sent::All && connection.is_ready() {
            // A handler has had its time, and the next one is not known to be quick: other connections come first.
            return Err(Turn::Again);
        }
        if has_more(connection, pass, sent) { Ok(()) } else { Err(Turn::Wait) }
    }
}

/// The connection may have stopped reading because of its output or its end; and no event announces what a turn's budget has left over.
fn has_more(connection: &Connection, pass: &Pass, sent: Sent) -> bool {
    pass.more || connection.is_unfed() || connection.is_closed() || sent == Sent::Enough
}

/// What comes before receiving: the end, unsent output, an exchange that is waited for. Some: the turn is over.
#[inline(never)]
fn first_of_all(
    socket: BorrowedFd<'_>,
    connection: &mut Connection,
    desk: &mut Desk,
    engine: &Engine,
    due: bool,
    mut sent: Sent,
    unreceived: &mut bool,
) -> Option<Turn> {
    loop {
        if connection.is_closed() {
            return Some(Turn::Close);
        }
        let is_late = due && connection.is_late(&engine.service.pace, desk.now());
        if connection.unsent_mut().is_some() {
            // The client has not read the answer in time.
            if is_late {
                connection.break_off();
                return Some(Turn::Close);
            }
            return Some(if sent == Sent::Enough { Turn::Again } else { Turn::Wait });
        }
        if !connection.is_waiting() {
            return None;
        }
        // Nothing is received while an exchange is waited for.
        *unreceived = true;
        if !is_late {
            return Some(Turn::Wait);
        }
        connection.time_is_up(desk, &engine.service);
        sent = send_kept(socket, connection, engine, desk.now());
        if connection.is_waiting() {
            return Some(Turn::Wait);
        }
    }
}

/// Lets the connection process input that it has kept. False: there is none.
#[inline(never)]
fn feed_kept(connection: &mut Connection, desk: &mut Desk, engine: &Engine) -> bool {
    let overfull = connection.is_uploading() && engine.service.buffered.is_overfull();
    connection.sit_down(desk);
    if overfull {
        connection.refuse_upload(desk, &engine.service);
        true
    } else if connection.is_unfed() {
        connection.feed(desk, &engine.service);
        true
    } else {
        false
    }
}

/// Receives once, and lets the connection process it. False: there is no more for now.
fn receive(socket: BorrowedFd<'_>, connection: &mut Connection, desk: &mut Desk, engine: &Engine, fin: bool, received: &mut usize) -> bool {
    let most = connection.make_room(desk);
    match socket::receive(socket, desk.bytes_mut(), most) {
        Ok(0) => {
            connection.end_of_input(desk, &engine.service);
            true
        }
        Ok(count) => {
            *received += count;
            connection.note_received(count, &engine.service.pace, desk.now());
            connection.feed(desk, &engine.service);
            // With TCP, a short receive has emptied the socket.
            count == most || fin
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(_) => {
            connection.break_off();
            true
        }
    }
}

/// Sends the desk's output; the connection keeps what the socket does not take.
fn send(socket: BorrowedFd<'_>, connection: &mut Connection, desk: &mut Desk, engine: &Engine) -> Sent {
    let sent = send_output(socket, &mut desk.out);
    match sent {
        Ok(Sent::All) => {
            desk.out.clear();
            end_side(socket, connection, desk.now());
        }
        Ok(_) => connection.keep_unsent(desk, &engine.service.pace),
        Err(_) => {
            desk.out.clear();
            connection.break_off();
        }
    }
    sent.unwrap_or(Sent::All)
}

/// Sends what the connection has kept.
#[inline]
fn send_kept(socket: BorrowedFd<'_>, connection: &mut Connection, engine: &Engine, now: u32) -> Sent {
    if connection.unsent_mut().is_none() { Sent::All } else { send_unsent(socket, connection, engine, now) }
}

#[inline(never)]
fn send_unsent(socket: BorrowedFd<'_>, connection: &mut Connection, engine: &Engine, now: u32) -> Sent {
    let Some(unsent) = connection.unsent_mut() else { return Sent::All };
    let before = unsent.sent();
    let sent = send_output(socket, unsent);
    match sent {
        Ok(Sent::All) => end_side(socket, connection, now),
        Ok(_) => {
            let count = unsent.sent() - before;
            connection.note_sent(count, &engine.service.pace, now);
        }
        Err(_) => connection.break_off(),
    }
    connection.note_unsent();
    sent.unwrap_or(Sent::All)
}

/// All is sent; if that was the last answer, our side of the connection ends.
fn end_side(socket: BorrowedFd<'_>, connection: &mut Connection, now: u32) {
    let was_lingering = connection.is_lingering();
    connection.sent_all(now);
    if connection.is_lingering() && !was_lingering {
        socket::end_output(socket);
    }
}

impl Engine {
    /// A callback may have forked and returned in the child, which must not send anything.
    fn leave_if_forked(&self) {
        if self.service.control.is_forked() {
            resume_unwind(Box::new("a fork"));
        }
    }

    /// A desk for a thread.
    pub(super) fn new_desk(self: &Arc<Engine>, shift: &Arc<Shift>) -> Box<Desk> {
        Box::new(Desk::new(&self.service, Some(Arc::new(EngineLine::new(self))), Arc::clone(shift)))
    }
}

/// Releases a connection. False: an event came meanwhile, so the caller must re-queue it.
fn give_up(guard: Guard<'_, Tenant>) -> bool {
    guard.release().map(Guard::abandon).is_none()
}

/// What the owner of a connection does for it, be it a serving thread or an exchange.
impl Engine {
    /// Sends what an exchange has put into its connection, as far as the socket takes it. What the client sends next is left to the
    /// serving threads.
    pub(super) fn attend(&self, id: Id) {
        let Claim::Mine(guard) = self.slab.claim(id, 0) else { return };
        if !self.deliver(id, guard, clock::milliseconds()) {
            self.requeue(id);
        }
        self.close_if_last(id);
    }

    /// After a connection was released. The thread that closes all has either found it free, or told its owner, which then sees that nobody
    /// serves any more.
    fn close_if_last(&self, id: Id) {
        if self.service.control.is_stopping() && self.crew.is_nobody() {
            if let Claim::Mine(mut guard) = self.slab.claim(id, 0) {
                self.dismiss(&mut guard);
                self.close(id, guard);
            }
        }
    }

    /// Sends an answer that was held back. Returns its buffer if all was sent.
    pub(super) fn release(&self, id: Id, kept: Kept, now: u32) -> Option<Box<Output>> {
        let mut guard = self.slab.resume(id, kept)?;
        let Tenant { socket: Some(socket), connection, .. } = &mut *guard else { return None };
        let mut sent = None;
        if let Some(mut out) = connection.take_held_back() {
            if matches!(send_output(socket.as_fd(), &mut out), Ok(Sent::All)) {
                sent = Some(out);
                connection.sent_all(now);
            } else {
                connection.keep_held_back(out, &self.service.pace, now);
            }
        }
        let done = if sent.is_some() && !guard.unreceived && self.is_at_rest(&guard) {
            self.set_deadline(id, &guard);
            give_up(guard)
        } else {
            self.deliver(id, guard, now)
        };
        if !done {
            self.requeue(id);
        }
        self.close_if_last(id);
        sent
    }

    /// Sends what an exchange has put there, and releases the connection. False: there is more to do for a serving thread.
    fn deliver(&self, id: Id, mut guard: Guard<'_, Tenant>, now: u32) -> bool {
        let Tenant { socket, connection, counted, .. } = &mut *guard;
        let Some(socket) = socket else {
            guard.abandon();
            return true;
        };
        connection.collect(&self.service, now);
        let sent = send_kept(socket.as_fd(), connection, self, now);
        self.count_held(connection, counted);
        if !connection.is_closed() && !self.register(id, &mut guard) {
            guard.connection.break_off();
        }
        self.set_deadline(id, &guard);
        let idle = guard.connection.unsent_mut().is_none() && !guard.connection.is_waiting();
        // Even its close: what is then notified may need a lock that the caller of this function holds.
        let goes_on = idle && (guard.unreceived || !guard.connection.is_idle());
        if sent == Sent::Enough || goes_on || guard.connection.has_news() || self.service.control.is_ending() {
            guard.abandon();
            return false;
        }
        give_up(guard)
    }

    /// Is it between two requests, as after most turns, with nothing to notify, count or register?
    #[inline(always)]
    fn is_at_rest(&self, tenant: &Tenant) -> bool {
        let Tenant { connection, registered, counted, .. } = tenant;
        !self.service.control.is_ending() && *registered && *counted == 0 && !connection.has_news() && connection.is_idle()
    }

    /// Notifies exchanges of what has happened to them.
    #[inline]
    pub(super) fn tell_exchanges(&self, tenant: &mut Tenant) {
        if tenant.connection.has_news() {
            self.tell_news(tenant);
        }
    }

    #[inline(never)]
    fn tell_news(&self, tenant: &mut Tenant) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| tenant.connection.tell(&self.service))) {
            self.service.log(Level::Error, || format!("notifying an exchange panicked: {}", panic_words(&*panic)));
        }
    }

    /// After a stop: answers a client that waits for an exchange, as far as the socket takes it.
    pub(super) fn dismiss(&self, tenant: &mut Tenant) {
        let Tenant { socket: Some(socket), connection, .. } = tenant else { return };
        if connection.is_waiting() {
            let now = clock::milliseconds();
            connection.answer_waiting(503, "the server has stopped", now, &self.service);
            connection.answer_queued(503, "the server has stopped", now, &self.service);
            send_kept(socket.as_fd(), connection, self, now);
        }
    }

    #[inline(always)]
    fn set_deadline(&self, id: Id, tenant: &Tenant) {
        self.slab.set_deadline(id.index, tenant.connection.deadline(&self.service.pace));
    }

    fn requeue(&self, id: Id) {
        if let Err(error) = self.slab.requeue(id, &self.epoll) {
            self.service.log(Level::Error, || format!("epoll_ctl: {error}; a connection waits for its time-out"));
        }
    }

    /// Registers the socket with the epoll: always for input, and for output from the first time that some was left unsent.
    #[inline]
    fn register(&self, id: Id, tenant: &mut Tenant) -> bool {
        let output = tenant.watches_output || tenant.connection.unsent_mut().is_some();
        (tenant.registered && output == tenant.watches_output) || self.watch(id, tenant, output)
    }

    #[inline(never)]
    fn watch(&self, id: Id, tenant: &mut Tenant, output: bool) -> bool {
        let interest = if output { epoll::READ_WRITE } else { epoll::READ };
        let Some(socket) = tenant.socket.as_ref() else { return false };
        let done = match tenant.registered {
            true => self.epoll.modify(socket.as_raw_fd(), interest, id.token()),
            false => self.epoll.add(socket.as_raw_fd(), interest, id.token()),
        };
        tenant.registered = true;
        tenant.watches_output = output;
        if let Err(error) = &done {
            self.service.log(Level::Error, || format!("epoll_ctl: {error}; a connection is closed"));
        }
        done.is_ok()
    }
}

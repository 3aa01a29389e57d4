//! What the serving threads share: epoll, listeners, slab, timer, lanes.

use super::answer::Clock;
use super::charge::Charge;
use super::connection::Connection;
use super::control::Control;
use super::crew::Crew;
use super::desk::Desk;
use super::guests::Guests;
use super::held_back::HeldBack;
use super::host::Glance;
use super::lanes::Lanes;
use super::listener::Listener;
use super::slab::{Id, Slab, Tenant};
use super::sys::epoll::{self, Epoll};
use super::sys::event::Timer;
use super::sys::fork::{self, Descriptors};
use super::sys::owned::Guard;
use super::sys::socket;
use crate::error::{Error, Result};
use crate::handler::Level;
use crate::health::Signs;
use crate::options::{Key, Options};
use crate::request::Peer;
use crate::service::Service;
use parking_lot::{Mutex, RwLock};
use std::io;
use std::ops::RangeToInclusive;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Tokens in the epoll that are not connections.
pub(super) const STOP: u64 = u64::MAX;
pub(super) const TIMER: u64 = u64::MAX - 1;
pub(super) const DRAIN: u64 = u64::MAX - 2;
/// The token of the first listener; the others follow downwards. Tokens of connections are below all of these.
pub(super) const LISTENER: u64 = u64::MAX - 16;
pub(super) const MAX_LISTENERS: u64 = 1024;
/// The tokens of connections.
pub(super) const CONNECTIONS: RangeToInclusive<u64> = ..=LISTENER - MAX_LISTENERS;

/// Slab entries beyond max_connections, for connections that only get a 503.
const TURNED_AWAY: usize = 64;

/// What the serving threads share.
pub(crate) struct Engine {
    pub(crate) service: Arc<Service>,
    pub(super) epoll: Epoll,
    pub(super) slab: Slab,
    timer: Timer,
    timer_period: Duration,
    /// Does the timer run? It stops while there are no connections. Changed under `timer_lock`.
    ticking: AtomicBool,
    timer_lock: Mutex<()>,
    /// Does the app stop by itself when no connection is left?
    ends_when_empty: AtomicBool,
    /// Emptied when the app drains or stops.
    pub(super) listeners: RwLock<Vec<Listener>>,
    /// Is accepting paused, since descriptors or memory ran out?
    accept_paused: AtomicBool,
    /// Had they run out at the last attempt? So that it is logged once.
    accept_short: AtomicBool,
    max_connections: usize,
    /// How many of the connections only get a 503.
    turned_away: AtomicUsize,
    guests: Guests,
    pub(super) crew: Arc<Crew>,
    pub(super) lanes: Arc<Lanes>,
    /// Has a thread begun to close the connections that no thread owns?
    pub(super) is_closing: AtomicBool,
    /// The library's threads.
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    /// Connections whose answers are held back, to be sent together.
    pub(super) held_back: HeldBack,
    /// The clock of exchanges, which are answered by any thread.
    pub(super) clock: Mutex<Clock>,
    /// Which of the host's waiting threads polls for all of them.
    pub(super) charge: Charge,
    /// For the host's threads that do not wait: what the last visit saw of the lanes.
    pub(super) glance: Mutex<Glance>,
    /// How many requests are lent.
    pub(super) lent: AtomicUsize,
    /// Desks of the host's threads, between two calls.
    #[allow(clippy::vec_box, reason = "they go from hand to hand, and are large")]
    pub(super) desks: Mutex<Vec<Box<Desk>>>,
    began: Instant,
    /// Does the app have threads of its own?
    pub(super) has_threads: bool,
}

/// A connection that has just been accepted.
pub(super) struct Accepted {
    pub(super) socket: OwnedFd,
    pub(super) peer: Peer,
    /// Had the kernel deferred the accept until the first bytes were there?
    pub(super) deferred: bool,
}

/// What an app's start may fail to create. Made first, so that a start that fails has consumed nothing.
pub(crate) struct Watch {
    epoll: Epoll,
    timer: Timer,
}

impl Watch {
    pub(crate) fn new(control: &Control, listeners: &[Listener]) -> Result<Watch> {
        let build = || -> io::Result<Watch> {
            let watch = Watch { epoll: Epoll::new()?, timer: Timer::new()? };
            watch.epoll.add(control.as_fd().as_raw_fd(), epoll::READ_LEVEL, STOP)?;
            watch.epoll.add(watch.timer.as_fd().as_raw_fd(), epoll::READ, TIMER)?;
            watch.epoll.add(control.drain_flag().as_raw_fd(), epoll::READ, DRAIN)?;
            for (number, listener) in (0..MAX_LISTENERS).zip(listeners) {
                watch.epoll.add(listener.as_fd().as_raw_fd(), epoll::READ, LISTENER - number)?;
            }
            Ok(watch)
        };
        build().map_err(|error| Error::io("start", &error))
    }
}

impl Engine {
    pub(crate) fn new(watch: Watch, service: Service, options: &Options, listeners: Vec<Listener>) -> Engine {
        let size = |key| usize::try_from(options.get(key)).unwrap_or(usize::MAX);
        let max_connections = match size(Key::MaxConnections) {
            0 => usize::try_from(options.most(Key::MaxConnections)).unwrap_or(usize::MAX),
            most => most,
        };
        let crew = Arc::default();
        Engine {
            epoll: watch.epoll,
            timer: watch.timer,
            timer_period: Duration::from_millis(u64::from((service.pace.shortest_ms() / 4).clamp(20, 1000))),
            ticking: AtomicBool::new(false),
            ends_when_empty: AtomicBool::new(false),
            timer_lock: Mutex::default(),
            slab: Slab::new(max_connections + TURNED_AWAY),
            listeners: RwLock::new(listeners),
            accept_paused: AtomicBool::new(false),
            accept_short: AtomicBool::new(false),
            turned_away: AtomicUsize::new(0),
            max_connections,
            guests: Guests::new(size(Key::MaxConnectionsPerIp)),
            is_closing: AtomicBool::new(false),
            lanes: Arc::new(Lanes::new(
                &crew,
                size(Key::Lanes),
                options.get(Key::TickUs),
                size(Key::MaxQueued),
                options.get(Key::Threads) > 1,
            )),
            threads: Mutex::default(),
            crew,
            held_back: HeldBack::default(),
            clock: Mutex::new(Clock::new()),
            charge: Charge::default(),
            glance: Mutex::default(),
            lent: AtomicUsize::new(0),
            desks: Mutex::default(),
            began: Instant::now(),
            has_threads: options.get(Key::Threads) > 0,
            service: Arc::new(service),
        }
    }
}

/// For forks of the process.
impl Descriptors for Engine {
    fn for_each(&self, each: &mut dyn FnMut(RawFd)) {
        self.slab.for_each_fd(each);
        // If they are locked, they are just being closed.
        if let Some(listeners) = self.listeners.try_read() {
            listeners.iter().for_each(|listener| each(listener.as_fd().as_raw_fd()));
        }
        each(self.epoll.as_fd().as_raw_fd());
        each(self.timer.as_fd().as_raw_fd());
        each(self.service.control.as_fd().as_raw_fd());
        each(self.service.control.drain_flag().as_raw_fd());
        self.service.callers.for_each_descriptor(each);
        self.charge.for_each_descriptor(each);
    }
}

/// What serving threads use.
impl Engine {
    /// The app's state, for health checks.
    pub(crate) fn signs(&self) -> Signs {
        Signs {
            is_ending: self.service.control.is_ending(),
            uptime_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            requests: self.service.requests.sum(),
            connections: self.slab.len(),
            queued: self.service.callers.len() + self.lanes.queued(),
            caller_idle_ms: self.service.callers.idle_ms(),
        }
    }

    /// Accepts one connection, which the caller inserts into the slab. It is counted before the lock of the listeners is released, so that a
    /// drain, which takes that lock to close them, waits for it.
    pub(super) fn accept(&self, listener: &Listener) -> io::Result<(OwnedFd, Peer)> {
        let accepted = socket::accept(listener.as_fd())?;
        self.slab.expect();
        Ok(accepted)
    }

    /// Accepts one connection. A listener that is closed counts as having none.
    pub(super) fn accept_from(&self, number: usize) -> io::Result<Accepted> {
        // Locked for one call that does not block, so that closing the listeners is not delayed.
        let listeners = self.listeners.read();
        let listener = listeners.get(number).ok_or(io::ErrorKind::WouldBlock)?;
        let (socket, peer) = self.accept(listener)?;
        if self.accept_short.load(Ordering::Relaxed) {
            self.accept_short.store(false, Ordering::SeqCst);
        }
        Ok(Accepted { socket, peer, deferred: listener.defers })
    }

    /// Is there no other thread to which events that this one has taken could matter? The host's threads do not count: they free their lane
    /// before they do anything of their own.
    pub(super) fn is_alone(&self) -> bool {
        self.crew.serving() < 2
    }

    /// Re-arms a listener, since more connections may wait there.
    pub(super) fn resume_listener(&self, number: usize) {
        if self.accept_paused.load(Ordering::SeqCst) {
            return;
        }
        let resumed = {
            // Locked so that the number still belongs to this listener; released before the log, which is the host's function.
            let listeners = self.listeners.read();
            let Some(listener) = listeners.get(number) else { return };
            self.epoll.modify(listener.as_fd().as_raw_fd(), epoll::READ, LISTENER - number as u64)
        };
        if let Err(error) = resumed {
            self.service.log(Level::Error, || format!("epoll_ctl: {error}; a listener may miss connections"));
        }
    }

    /// Pauses accepting: descriptors or memory have run out.
    pub(super) fn pause_accepting(&self, error: &io::Error) {
        self.accept_paused.store(true, Ordering::SeqCst);
        if !self.accept_short.swap(true, Ordering::SeqCst) {
            self.service.log(Level::Warn, || format!("accept: {error}; new connections wait"));
        }
        self.start_timer();
    }

    fn resume_accepting(&self) {
        if self.accept_paused.load(Ordering::SeqCst) && self.accept_paused.swap(false, Ordering::SeqCst) {
            self.resume_listeners();
        }
    }

    /// Re-arms all listeners.
    pub(super) fn resume_listeners(&self) {
        let count = self.listeners.read().len();
        for number in 0..count {
            self.resume_listener(number);
        }
    }

    /// Counts a new connection of `peer`, which is in the slab already; Err: why it gets a 503.
    pub(super) fn admit(&self, peer: Peer) -> std::result::Result<(), &'static str> {
        let served = self.slab.len().saturating_sub(self.turned_away.load(Ordering::SeqCst));
        if served > self.max_connections {
            return Err("the server has as many connections as max_connections allows");
        }
        let refused = "this address has as many connections as max_connections_per_ip allows";
        if self.guests.admit(peer) { Ok(()) } else { Err(refused) }
    }

    /// Counts a connection that only gets a 503.
    pub(super) fn count_turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::SeqCst);
    }

    /// Updates the count of buffered bytes.
    #[inline]
    pub(super) fn count_held(&self, connection: &Connection, counted: &mut usize) {
        if *counted != 0 || !connection.holds_nothing() {
            self.count_anew(connection, counted);
        }
    }

    fn count_anew(&self, connection: &Connection, counted: &mut usize) {
        let held = connection.held_bytes();
        if held != *counted {
            self.service.buffered.replace(*counted, held);
            *counted = held;
        }
    }

    /// Starts the timer for the first connection.
    pub(super) fn on_insert(&self) {
        if !self.ticking.load(Ordering::SeqCst) {
            self.start_timer();
        }
    }

    fn start_timer(&self) {
        let _changing = self.timer_lock.lock();
        if !self.ticking.swap(true, Ordering::SeqCst) {
            self.set_timer(self.timer_period);
        }
    }

    fn set_timer(&self, period: Duration) {
        if let Err(error) = self.timer.set(period) {
            self.service.log(Level::Error, || format!("timerfd_settime: {error}; time-outs are late"));
        }
    }

    /// Handles the tick of the timer.
    pub(super) fn on_tick(&self) {
        self.timer.take();
        self.resume_accepting();
        self.stop_if_drained();
        if self.slab.len() > 0 {
            return;
        }
        // No connection is left: the timer stops. One that comes just now either sees `ticking` unset, or is counted below.
        let _changing = self.timer_lock.lock();
        self.ticking.store(false, Ordering::SeqCst);
        if self.slab.len() == 0 && !self.accept_paused.load(Ordering::SeqCst) {
            self.set_timer(Duration::ZERO);
        } else {
            self.ticking.store(true, Ordering::SeqCst);
        }
    }

    /// Closes a connection.
    pub(super) fn close(&self, id: Id, mut guard: Guard<'_, Tenant>) {
        if let (true, Some(socket)) = (guard.connection.wants_reset(), &guard.socket) {
            socket::reset_at_close(socket.as_fd());
        }
        if let (true, false, Some(socket)) = (fork::has_forked(), guard.connection.wants_reset(), &guard.socket) {
            // A fork may hold a copy of the socket; the client must see the end all the same.
            socket::cut(socket.as_raw_fd());
        }
        if guard.connection.is_queued() {
            self.lanes.forget(id);
        }
        guard.connection.break_off();
        self.tell_exchanges(&mut guard);
        self.service.buffered.replace(guard.counted, 0);
        if guard.turned_away {
            self.turned_away.fetch_sub(1, Ordering::SeqCst);
        } else {
            self.guests.leave(guard.connection.peer());
        }
        self.slab.remove(id, guard);
        self.resume_accepting();
        if self.service.control.is_ending() {
            self.stop_if_drained();
            self.crew.tell();
        }
    }

    /// Drains the app for a host that does not wait for it: when all is done, or the time is up, the app stops by itself.
    pub(super) fn drain_unattended(&self) {
        self.close_doors();
        // A connection that ends from now on is noticed by `close`.
        self.ends_when_empty.store(true, Ordering::SeqCst);
        self.stop_if_drained();
    }

    #[inline(never)]
    fn stop_if_drained(&self) {
        let control = &self.service.control;
        let is_done = self.ends_when_empty.load(Ordering::SeqCst) && self.slab.len() == 0;
        if is_done || control.is_drain_over() {
            control.stop();
        }
    }
}

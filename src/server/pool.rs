//! The threads that serve, from the first to the last.

use super::connection::Connection;
use super::control::Control;
use super::driver_epoll::{LISTENER, MAX_LISTENERS, STOP, TIMER, Worker};
use super::listener::Listener;
use super::slab::{Id, Slab, Tenant};
use super::sys::epoll::{self, Epoll};
use super::sys::event::{Timer, wait_readable};
use super::sys::owned::Guard;
use super::sys::{clock, process, socket};
use crate::error::{Error, Kind, Result};
use crate::handler::Level;
use crate::options::{Key, Options};
use crate::request::Peer;
use crate::service::{Service, panic_words};
use parking_lot::{Condvar, Mutex, RwLock};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// After a drain has cut connections: how long it waits for the threads to find out.
const CUT_GRACE: Duration = Duration::from_millis(500);
/// Places beyond max_connections, for those that are told so.
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
    /// Emptied when the app drains or stops.
    listeners: RwLock<Vec<Listener>>,
    /// Were descriptors or memory short, and is it not yet time to try again?
    accept_paused: AtomicBool,
    /// Were they short at the last try? Said once.
    accept_short: AtomicBool,
    max_connections: usize,
    /// How many of the connections are only told to come again later.
    turned_away: AtomicUsize,
    /// Zero is off.
    max_per_ip: usize,
    per_ip: Mutex<HashMap<IpAddr, usize>>,
    crew: Arc<Crew>,
}

/// A connection that has just been accepted.
pub(super) struct Accepted {
    pub(super) socket: OwnedFd,
    pub(super) peer: Peer,
    /// Did the kernel keep it back until its first bytes were there?
    pub(super) deferred: bool,
}

/// The threads that serve. It outlives the engine by the moment in which the last one leaves.
struct Crew {
    /// How many are serving.
    serving: AtomicUsize,
    /// How many have not yet let go of the engine.
    present: Mutex<usize>,
    changed: Condvar,
}

thread_local! {
    /// The engines that this thread serves; more than one where a handler runs another app.
    static SERVING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// What can be short when an app starts. Made first, so that a start that fails has used up nothing.
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
        Engine {
            epoll: watch.epoll,
            timer: watch.timer,
            timer_period: Duration::from_millis(u64::from((service.pace.shortest_ms() / 4).clamp(20, 1000))),
            ticking: AtomicBool::new(false),
            timer_lock: Mutex::default(),
            slab: Slab::new(max_connections + TURNED_AWAY),
            listeners: RwLock::new(listeners),
            accept_paused: AtomicBool::new(false),
            accept_short: AtomicBool::new(false),
            turned_away: AtomicUsize::new(0),
            max_connections,
            max_per_ip: size(Key::MaxConnectionsPerIp),
            per_ip: Mutex::default(),
            crew: Arc::new(Crew { serving: AtomicUsize::new(0), present: Mutex::new(0), changed: Condvar::new() }),
            service: Arc::new(service),
        }
    }
}

/// The crew.
impl Engine {
    /// Makes threads that serve.
    pub(crate) fn spawn(self: &Arc<Engine>, count: usize) -> Result<Vec<JoinHandle<()>>> {
        let mut threads = Vec::with_capacity(count);
        // All are counted before the first runs, so that it does not take itself for the only one.
        self.crew.serving.fetch_add(count, Ordering::SeqCst);
        *self.crew.present.lock() += count;
        for number in 0..count {
            let engine = Arc::clone(self);
            let thread = std::thread::Builder::new().name(format!("hasty-{number}"));
            match process::with_signals_blocked(|| thread.spawn(move || {
                process::this_thread_is_ours();
                engine.serve();
            })) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    self.service.control.stop();
                    self.crew.serving.fetch_sub(count - number, Ordering::SeqCst);
                    *self.crew.present.lock() -= count - number;
                    return Err(Error::io(format!("start thread {} of {count}", number + 1), &error));
                }
            }
        }
        Ok(threads)
    }

    /// Serves on this thread, too, until the app stops.
    pub(crate) fn run(self: Arc<Engine>) {
        {
            let mut present = self.crew.present.lock();
            if self.service.control.is_stopping() {
                return;
            }
            *present += 1;
            if self.crew.serving.fetch_add(1, Ordering::SeqCst) == 1 {
                self.share();
            }
        }
        self.serve();
    }

    /// A thread that was alone is so no longer. The events it has in its hands would wait for its handler:
    /// all are put back into the queue, where the other finds them.
    fn share(&self) {
        self.slab.requeue_all(&self.epoll);
        let count = self.listeners.read().len();
        for number in 0..count {
            self.resume_listener(number);
        }
    }

    fn serve(self: Arc<Engine>) {
        let name = Arc::as_ptr(&self).addr();
        SERVING.with_borrow_mut(|serving| serving.push(name));
        let outcome = catch_unwind(AssertUnwindSafe(|| Worker::new(Arc::clone(&self)).run()));
        if let Err(panic) = outcome {
            self.service.log(Level::Error, || format!("a serving thread ends, it panicked: {}", panic_words(&*panic)));
        }
        if self.crew.serving.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.close_all();
        }
        // Whoever waits for the crew may free the app next, so everything of it is let go before.
        let crew = Arc::clone(&self.crew);
        drop(self);
        SERVING.with_borrow_mut(|serving| serving.pop());
        *crew.present.lock() -= 1;
        crew.changed.notify_all();
    }

    /// Is this call made by one of the app's own callbacks?
    pub(crate) fn is_serving_here(&self) -> bool {
        let name = std::ptr::from_ref(self).addr();
        // A thread that is ending, and calls from a destructor of its own, serves nothing any more.
        SERVING.try_with(|serving| serving.borrow().contains(&name)).unwrap_or(false)
    }

    /// Is one thread serving, and no other?
    pub(super) fn is_alone(&self) -> bool {
        self.crew.serving.load(Ordering::Relaxed) == 1
    }

    /// Waits until the app was stopped and all threads have left. None is without end.
    pub(crate) fn wait(&self, end: Option<Instant>) -> Result<()> {
        const TIMED_OUT: Error = Error::fixed(Kind::Timeout, "the app is still running");
        if !wait_readable(self.service.control.as_fd(), end) {
            return Err(TIMED_OUT);
        }
        let mut present = self.crew.present.lock();
        while *present > 0 {
            match end {
                None => self.crew.changed.wait(&mut present),
                Some(end) => {
                    if self.crew.changed.wait_until(&mut present, end).timed_out() && *present > 0 {
                        return Err(TIMED_OUT);
                    }
                }
            }
        }
        drop(present);
        // With no thread ever serving, nobody has done it.
        self.close_all();
        Ok(())
    }

    /// Refuses new connections, lets what runs finish, and stops: when all is done, or at `end`.
    pub(crate) fn drain(&self, end: Option<Instant>) -> Result<()> {
        self.service.control.drain();
        self.accept_last();
        if self.crew.serving.load(Ordering::SeqCst) == 0 {
            self.slab.for_each_free(|id, guard| self.close(id, guard));
        }
        // A thread looks at each whether a request has just come, and closes those that are idle.
        self.slab.requeue_all(&self.epoll);
        let done = self.wait_until_empty(end);
        self.service.control.stop();
        // Where somebody else has stopped the app, what runs still has its time.
        if self.wait(if done { None } else { end }).is_ok() {
            return Ok(());
        }
        self.slab.cut_owned();
        // Threads that find out leave at once; one that is in a handler keeps its time.
        let _ = self.wait(Some(Instant::now() + CUT_GRACE));
        Err(Error::fixed(Kind::Timeout, "requests were cut off at the deadline"))
    }

    /// Takes in who has connected already, and closes the doors.
    fn accept_last(&self) {
        let listeners = std::mem::take(&mut *self.listeners.write());
        for listener in &listeners {
            loop {
                let (socket, peer) = match socket::accept(listener.as_fd()) {
                    Ok(accepted) => accepted,
                    Err(error) if socket::is_passing(&error) => continue,
                    Err(_) => break,
                };
                let Ok((id, mut guard)) = self.slab.insert(socket, Connection::new(peer, clock::milliseconds())) else { break };
                self.on_insert();
                guard.registered = true;
                guard.turned_away = self.admit(peer).is_err();
                if guard.turned_away {
                    self.count_turned_away();
                    self.close(id, guard);
                    continue;
                }
                let added = guard.socket.as_ref().map(|socket| self.epoll.add(socket.as_raw_fd(), epoll::READ, id.token()));
                if matches!(added, Some(Ok(()))) { guard.abandon() } else { self.close(id, guard) }
            }
        }
    }

    fn wait_until_empty(&self, end: Option<Instant>) -> bool {
        let mut present = self.crew.present.lock();
        while self.slab.len() > 0 && !self.service.control.is_stopping() {
            // A connection's end is announced; a stop from a signal handler is not, so look now and then.
            let soon = Instant::now() + Duration::from_millis(50);
            let until = end.map_or(soon, |end| end.min(soon));
            self.crew.changed.wait_until(&mut present, until);
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
        }
        self.slab.len() == 0
    }

    /// Closes doors and connections, after the last thread has left.
    fn close_all(&self) {
        self.listeners.write().clear();
        self.slab.for_each_free(|id, guard| self.close(id, guard));
    }
}

/// What workers ask for.
impl Engine {
    /// Accepts one connection; there is none where the listener is closed.
    pub(super) fn accept_from(&self, number: usize) -> io::Result<Accepted> {
        // Held for one call that does not block, so that nobody keeps a door open that is being closed.
        let listeners = self.listeners.read();
        let listener = listeners.get(number).ok_or(io::ErrorKind::WouldBlock)?;
        let (socket, peer) = socket::accept(listener.as_fd())?;
        if self.accept_short.load(Ordering::Relaxed) {
            self.accept_short.store(false, Ordering::SeqCst);
        }
        Ok(Accepted { socket, peer, deferred: listener.defers })
    }

    /// Puts a listener back into the queue: there may be more to accept.
    pub(super) fn resume_listener(&self, number: usize) {
        if self.accept_paused.load(Ordering::SeqCst) {
            return;
        }
        let fd = self.listeners.read().get(number).map(|listener| listener.as_fd().as_raw_fd());
        let Some(fd) = fd else { return };
        if let Err(error) = self.epoll.modify(fd, epoll::READ, LISTENER - number as u64) {
            self.service.log(Level::Error, || format!("epoll_ctl: {error}; a listener may miss connections"));
        }
    }

    /// Descriptors or memory are short: nobody is accepted until some are free again.
    pub(super) fn pause_accepting(&self, error: &io::Error) {
        self.accept_paused.store(true, Ordering::SeqCst);
        if !self.accept_short.swap(true, Ordering::SeqCst) {
            self.service.log(Level::Warn, || format!("accept: {error}; new connections wait"));
        }
        self.start_timer();
    }

    fn resume_accepting(&self) {
        if self.accept_paused.load(Ordering::SeqCst) && self.accept_paused.swap(false, Ordering::SeqCst) {
            let count = self.listeners.read().len();
            for number in 0..count {
                self.resume_listener(number);
            }
        }
    }

    /// Counts a new connection of `peer`, which has its place already, or tells why it is to come again later.
    pub(super) fn admit(&self, peer: Peer) -> std::result::Result<(), &'static str> {
        let served = self.slab.len().saturating_sub(self.turned_away.load(Ordering::SeqCst));
        if served > self.max_connections {
            return Err("the server has as many connections as max_connections allows");
        }
        let (true, Peer::Ip(ip)) = (self.max_per_ip > 0, peer) else { return Ok(()) };
        let mut per_ip = self.per_ip.lock();
        let count = per_ip.entry(ip).or_insert(0);
        if *count >= self.max_per_ip {
            return Err("this address has as many connections as max_connections_per_ip allows");
        }
        *count += 1;
        Ok(())
    }

    /// A connection is there only to be told to come again later.
    pub(super) fn count_turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::SeqCst);
    }

    fn uncount_ip(&self, peer: Peer) {
        let (true, Peer::Ip(ip)) = (self.max_per_ip > 0, peer) else { return };
        let mut per_ip = self.per_ip.lock();
        if let Some(count) = per_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                per_ip.remove(&ip);
            }
        }
    }

    /// Brings the count of buffered bytes up to date.
    pub(super) fn count_held(&self, connection: &Connection, counted: &mut usize) {
        let held = connection.held_bytes();
        if held != *counted {
            self.service.buffered.replace(*counted, held);
            *counted = held;
        }
    }

    /// A connection has come.
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

    /// The timer has ticked.
    pub(super) fn on_tick(&self) {
        self.timer.take();
        self.resume_accepting();
        if self.slab.len() > 0 {
            return;
        }
        // Nobody is there: no more ticks. Who comes in this moment either finds the timer off, or is found here.
        let _changing = self.timer_lock.lock();
        self.ticking.store(false, Ordering::SeqCst);
        if self.slab.len() == 0 && !self.accept_paused.load(Ordering::SeqCst) {
            self.set_timer(Duration::ZERO);
        } else {
            self.ticking.store(true, Ordering::SeqCst);
        }
    }

    /// Ends a connection.
    pub(super) fn close(&self, id: Id, mut guard: Guard<'_, Tenant>) {
        guard.connection.break_off();
        self.service.buffered.replace(guard.counted, 0);
        if guard.turned_away {
            self.turned_away.fetch_sub(1, Ordering::SeqCst);
        } else {
            self.uncount_ip(guard.connection.peer());
        }
        self.slab.remove(id, guard);
        self.resume_accepting();
        if self.service.control.is_ending() {
            self.crew.changed.notify_all();
        }
    }
}

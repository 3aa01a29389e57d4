//! The threads that serve, from the first to the last.

use super::connection::Connection;
use super::driver_epoll::Worker;
use super::engine::Engine;
use super::lanes::{Seen, Shift};
use super::sys::event::wait_readable;
use super::sys::fork::{self, Descriptors};
use super::sys::{clock, epoll, process, socket};
use crate::error::{Error, Kind, Result};
use crate::handler::{Level, Notify};
use crate::service::panic_words;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// When a drain's time is up: how long it waits for clients to be told, which takes threads that are not held up a moment.
const TELLING: Duration = Duration::from_millis(50);
/// After a drain has cut connections: how long it waits for the threads to find out.
const CUT_GRACE: Duration = Duration::from_millis(500);

thread_local! {
    /// The engines that this thread serves; more than one where a handler runs another app.
    static SERVING: RefCell<Vec<Service>> = const { RefCell::new(Vec::new()) };
}

/// The engine that is served, and the lane that is led for it.
type Service = (usize, Option<Arc<Shift>>);

/// While it lives, this thread does work of an engine, and what it calls cannot wait for that to end.
pub(super) struct Serving(());

impl Serving {
    pub(super) fn here(engine: usize, shift: Option<Arc<Shift>>) -> Serving {
        // A thread that is ending, and calls from a destructor of its own, may have lost it already.
        let _ = SERVING.try_with(|serving| serving.borrow_mut().push((engine, shift)));
        Serving(())
    }
}

/// What this thread has in hand of an engine.
pub(super) fn shift_here(engine: usize) -> Option<Arc<Shift>> {
    let find = |serving: &RefCell<Vec<Service>>| {
        let serving = serving.borrow();
        serving.iter().rev().find_map(|(name, shift)| shift.clone().filter(|_| *name == engine))
    };
    SERVING.try_with(find).ok().flatten()
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = SERVING.try_with(|serving| serving.borrow_mut().pop());
    }
}

/// A thread of our own, which runs none of the host's signal handlers.
fn spawn_serving(name: String, engine: Arc<Engine>) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name);
    process::with_signals_blocked(|| {
        thread.spawn(move || {
            process::this_thread_is_ours();
            engine.serve(true);
        })
    })
}

impl Engine {
    /// Makes threads that serve.
    pub(crate) fn spawn(self: &Arc<Engine>, count: usize) -> Result<Vec<JoinHandle<()>>> {
        let mut threads = Vec::with_capacity(count);
        let known: Weak<dyn Descriptors> = Arc::downgrade(&(Arc::clone(self) as Arc<dyn Descriptors>));
        fork::close_in_forks(known).map_err(|error| Error::io("start", &error))?;
        let weak = Arc::downgrade(self);
        self.lanes.reinforce_by(move || weak.upgrade().is_some_and(|engine| engine.spawn_spare()));
        // All are counted before the first runs, so that it does not take itself for the only one.
        self.crew.enter(count, || false);
        for number in 0..count {
            match spawn_serving(format!("hasty-{number}"), Arc::clone(self)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    self.service.control.stop();
                    self.crew.stop_serving(count - number);
                    self.crew.leave(count - number);
                    return Err(Error::io(format!("start thread {} of {count}", number + 1), &error));
                }
            }
        }
        Ok(threads)
    }

    /// Serves on this thread, too, until the app stops.
    pub(crate) fn run(self: Arc<Engine>) {
        if self.crew.enter(1, || self.service.control.is_stopping()) {
            self.serve(false);
        }
    }

    /// Makes the thread that stands by when all others may be held up.
    fn spawn_spare(self: &Arc<Engine>) -> bool {
        if !self.crew.enter(1, || self.service.control.is_stopping()) {
            return false;
        }
        let engine = Arc::clone(self);
        match spawn_serving("hasty-spare".to_owned(), engine) {
            Ok(thread) => {
                *self.spare.lock() = Some(thread);
                true
            }
            Err(error) => {
                self.crew.stop_serving(1);
                self.crew.leave(1);
                self.service.log(Level::Warn, || format!("start a thread that stands by: {error}; slow handlers may hold up others"));
                false
            }
        }
    }

    /// Tells those who want to know of the pool's threads.
    fn tell(&self, what: impl FnOnce(&dyn Notify)) {
        // The thread serves whether or not somebody has trouble with it.
        let _ = catch_unwind(AssertUnwindSafe(|| self.service.hooks.on_thread.as_deref().map(what)));
    }

    /// `is_ours`: the thread is one of the pool.
    fn serve(self: Arc<Engine>, is_ours: bool) {
        let name = Arc::as_ptr(&self).addr();
        let shift = Arc::new(Shift::new(&self.lanes));
        let here = Serving::here(name, Some(Arc::clone(&shift)));
        if is_ours {
            self.tell(Notify::start);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| Worker::new(&self, self.new_desk(&shift)).run()));
        if self.service.control.is_forked() {
            // A callback has forked, and come back in the other process, which has nothing of this but copies.
            std::mem::forget(self);
            return;
        }
        if let Err(panic) = outcome {
            self.service.log(Level::Error, || format!("a serving thread ends, it panicked: {}", panic_words(&*panic)));
        }
        // The first one as well: a handler that takes its time keeps nobody else waiting.
        let is_first = self.service.control.is_stopping() && !self.is_closing.swap(true, Ordering::SeqCst);
        if self.crew.stop_serving(1) || is_first {
            self.close_all();
        }
        if is_ours {
            self.tell(Notify::stop);
        }
        // Whoever waits for the crew may free the app next, so everything of it is let go before.
        let crew = Arc::clone(&self.crew);
        drop(self);
        drop(here);
        crew.leave(1);
    }

    /// Waits until nobody is at work here, and lets nobody come any more.
    pub(crate) fn shut(&self) {
        self.crew.shut();
    }

    /// The thread that stands by, to be waited for.
    pub(crate) fn take_spare(&self) -> Option<JoinHandle<()>> {
        self.spare.lock().take()
    }

    /// Is this call made by one of the app's own callbacks?
    pub(crate) fn is_serving_here(&self) -> bool {
        let name = std::ptr::from_ref(self).addr();
        // A thread that is ending, and calls from a destructor of its own, serves nothing any more.
        SERVING.try_with(|serving| serving.borrow().iter().any(|(engine, _)| *engine == name)).unwrap_or(false)
    }

    /// Waits until the app was stopped and all threads have left. None is without end.
    pub(crate) fn wait(&self, end: Option<Instant>) -> Result<()> {
        const TIMED_OUT: Error = Error::fixed(Kind::Timeout, "the app is still running");
        if !wait_readable(self.service.control.as_fd(), end) {
            return Err(TIMED_OUT);
        }
        if !self.crew.wait_until_gone(end) {
            return Err(TIMED_OUT);
        }
        // With no thread ever serving, nobody has done it.
        self.close_all();
        Ok(())
    }

    /// Refuses new connections, lets what runs finish, and stops: when all is done, or at `end`.
    pub(crate) fn drain(self: &Arc<Engine>, end: Option<Instant>) -> Result<()> {
        self.service.control.drain();
        // Whoever has kept answers back may be held up. Those that come now leave at once.
        self.let_go();
        self.accept_last();
        // A thread looks at each whether a request has just come, and closes those that are idle.
        self.slab.requeue_all(&self.epoll);
        let done = self.wait_until_empty(end);
        let owed = !self.service.control.is_stopping() && self.owes_answers();
        self.service.control.stop();
        // Where somebody else has stopped the app, what runs still has its time. Those who only wait are told that it ends before
        // anybody is cut off. Where nobody is, threads have longer to leave; but a handler may go on whose client has left.
        let grace = if done { CUT_GRACE } else { TELLING };
        let end = end.map(|end| end.max(Instant::now() + grace));
        if self.wait(end).is_ok() && !owed {
            return Ok(());
        }
        self.answer_what_waits();
        self.slab.cut_owned();
        // Threads that find out leave at once; one that is in a handler keeps its time.
        let _ = self.wait(Some(Instant::now() + CUT_GRACE));
        Err(Error::fixed(Kind::Timeout, "requests were cut off at the deadline"))
    }

    /// Is an exchange waited for?
    fn owes_answers(&self) -> bool {
        let mut owes = self.lent.load(Ordering::SeqCst) > 0;
        self.slab.for_each_free(|id, guard| {
            owes |= guard.connection.is_waiting();
            guard.abandon();
            // What happened in this moment was not looked at.
            let _ = self.slab.requeue(id, &self.epoll);
        });
        owes
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

    fn wait_until_empty(self: &Arc<Engine>, end: Option<Instant>) -> bool {
        let mut seen = Seen::new();
        while self.slab.len() > 0 && !self.service.control.is_stopping() {
            // A connection's end is announced; a stop from a signal handler is not, so look now and then.
            let soon = Instant::now() + Duration::from_millis(50);
            let until = end.map_or(soon, |end| end.min(soon));
            if self.crew.is_nobody() && self.work(&mut seen, false).0 {
                // Nobody else does it.
                wait_readable(self.epoll.as_fd(), Some(until));
            } else {
                self.crew.wait_for_change(until);
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
        }
        self.slab.len() == 0
    }

    /// The app has stopped, and no thread serves: what is nobody's is closed.
    pub(super) fn close_if_nobody_serves(&self) {
        if self.crew.is_nobody() && !self.service.control.is_forked() {
            self.close_all();
        }
    }

    /// Closes doors, and connections that are nobody's.
    fn close_all(&self) {
        self.answer_what_waits();
        self.listeners.write().clear();
        self.slab.for_each_free(|id, guard| {
            // Whoever brings the answer closes it.
            let Some(mut guard) = guard.leave_to(|tenant| tenant.connection.is_being_answered()) else { return };
            self.dismiss(&mut guard);
            self.close(id, guard);
        });
    }
}

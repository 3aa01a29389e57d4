//! The serving threads, from start to end.

use super::connection::Connection;
use super::driver_epoll::Worker;
use super::engine::Engine;
use super::lanes::{Seen, Shift};
use super::sys::event::wait_readable;
use super::sys::fork::{self, Descriptors};
use super::sys::{clock, epoll, process, socket};
use super::visit::Visit;
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

/// When a drain's time is up: how long it waits for threads that are not in a handler to send the clients a 503.
const TELLING: Duration = Duration::from_millis(50);
/// After a drain has cut connections: how long it waits for the threads to notice.
const CUT_GRACE: Duration = Duration::from_millis(500);

thread_local! {
    /// The engines that this thread serves; more than one if a handler runs another app.
    static SERVING: RefCell<Vec<Service>> = const { RefCell::new(Vec::new()) };
}

/// An engine, by its address, and the shift of this thread there.
type Service = (usize, Option<Arc<Shift>>);

/// While this exists, the thread works for an engine, so what it calls must not wait for that engine's threads to leave.
pub(super) struct Serving(());

impl Serving {
    pub(super) fn here(engine: usize, shift: Option<Arc<Shift>>) -> Serving {
        // A destructor that runs while the thread ends may find the thread-local destroyed.
        let _ = SERVING.try_with(|serving| serving.borrow_mut().push((engine, shift)));
        Serving(())
    }
}

/// This thread's shift at an engine.
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

/// Starts a thread of the library's, with all signals blocked, so that no signal handler of the host's runs there.
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
    /// Starts serving threads.
    pub(crate) fn start(self: &Arc<Engine>, count: usize) -> Result<()> {
        self.let_host_watch()?;
        let known: Weak<dyn Descriptors> = Arc::downgrade(&(Arc::clone(self) as Arc<dyn Descriptors>));
        fork::close_in_forks(known).map_err(|error| Error::io("start", &error))?;
        let weak = Arc::downgrade(self);
        self.lanes.reinforce_by(move || weak.upgrade().is_some_and(|engine| engine.spawn_spare()));
        // All are counted before the first one runs, so that it does not consider itself alone.
        self.crew.enter(count, || false);
        for number in 0..count {
            match spawn_serving(format!("hasty-{number}"), Arc::clone(self)) {
                Ok(thread) => self.threads.lock().push(thread),
                Err(error) => {
                    self.service.control.stop();
                    self.crew.stop_serving(count - number);
                    self.crew.leave(count - number);
                    return Err(Error::io(format!("start thread {} of {count}", number + 1), &error));
                }
            }
        }
        Ok(())
    }

    /// Serves on the calling thread until the app stops.
    pub(crate) fn run(visit: Visit) {
        let Ok(engine) = visit.engine().cloned() else { return };
        let enters = engine.crew.enter(1, || engine.service.control.is_stopping());
        if enters {
            // Not earlier, so that whoever frees the app waits for this thread.
            drop(visit);
            engine.serve(false);
        }
    }

    /// Starts the standby thread.
    fn spawn_spare(self: &Arc<Engine>) -> bool {
        if !self.crew.enter(1, || self.service.control.is_stopping()) {
            return false;
        }
        let engine = Arc::clone(self);
        match spawn_serving("hasty-spare".to_owned(), engine) {
            Ok(thread) => {
                self.threads.lock().push(thread);
                true
            }
            Err(error) => {
                self.crew.stop_serving(1);
                self.crew.leave(1);
                self.service.log(Level::Warn, || format!("start the standby thread: {error}; slow handlers may hold up other requests"));
                false
            }
        }
    }

    /// Calls the host's `on_thread`.
    fn tell(&self, what: impl FnOnce(&dyn Notify)) {
        // The thread serves even if that function panics.
        let _ = catch_unwind(AssertUnwindSafe(|| self.service.hooks.on_thread.as_deref().map(what)));
    }

    /// `is_ours`: it is a thread of the pool.
    fn serve(self: Arc<Engine>, is_ours: bool) {
        let name = Arc::as_ptr(&self).addr();
        let shift = Arc::new(Shift::new(&self.lanes));
        let here = Serving::here(name, Some(Arc::clone(&shift)));
        if is_ours {
            self.tell(Notify::start);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| Worker::new(&self, self.new_desk(&shift)).run()));
        if self.service.control.is_forked() {
            // A callback has forked and returned in the child, where the engine is only a copy.
            std::mem::forget(self);
            return;
        }
        if let Err(panic) = outcome {
            self.service.log(Level::Error, || format!("a serving thread ends, it panicked: {}", panic_words(&*panic)));
        }
        // The first thread to leave does it as well, so that clients need not wait for a handler that takes long.
        let is_first = self.service.control.is_stopping() && !self.is_closing.swap(true, Ordering::SeqCst);
        if self.crew.stop_serving(1) || is_first {
            self.close_all();
        }
        if is_ours {
            self.tell(Notify::stop);
        }
        // The thread that waits for the crew may free the app next, so everything of it is released before.
        let crew = Arc::clone(&self.crew);
        drop(self);
        drop(here);
        crew.leave(1);
    }

    /// Waits until no thread is at work here, and refuses threads from then on.
    pub(crate) fn shut(&self) {
        self.crew.shut();
    }

    /// The library's threads, to be joined.
    pub(crate) fn take_threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.threads.lock())
    }

    /// Is this call made by one of the app's callbacks?
    pub(crate) fn is_serving_here(&self) -> bool {
        let name = std::ptr::from_ref(self).addr();
        // A destructor that runs while the thread ends may find the thread-local destroyed; it serves nothing any more.
        SERVING.try_with(|serving| serving.borrow().iter().any(|(engine, _)| *engine == name)).unwrap_or(false)
    }

    /// Waits until the app was stopped and all threads have left; without end if `end` is None.
    pub(crate) fn wait(&self, end: Option<Instant>) -> Result<()> {
        const TIMED_OUT: Error = Error::fixed(Kind::Timeout, "the app is still running");
        if !wait_readable(self.service.control.as_fd(), end) {
            return Err(TIMED_OUT);
        }
        if !self.crew.wait_until_gone(end) {
            return Err(TIMED_OUT);
        }
        // If no thread has ever served, nothing was closed yet.
        self.close_all();
        Ok(())
    }

    /// Refuses new connections, lets running requests finish, and stops when all are done, or at `end`.
    pub(crate) fn drain(self: &Arc<Engine>, end: Option<Instant>) -> Result<()> {
        self.service.control.drain();
        self.close_doors();
        let done = self.wait_until_empty(end);
        let owed = !self.service.control.is_stopping() && self.owes_answers();
        self.service.control.stop();
        // If another call has stopped the app, running handlers still have their time. Clients that wait for an exchange get their 503
        // before any connection is cut. If none waits, threads have longer to leave. A handler whose client has left may still be running.
        let grace = if done { CUT_GRACE } else { TELLING };
        let end = end.map(|end| end.max(Instant::now() + grace));
        if self.wait(end).is_ok() && !owed {
            return Ok(());
        }
        self.answer_what_waits();
        self.slab.cut_owned();
        // Threads that notice leave at once; one in a handler does so after it.
        let _ = self.wait(Some(Instant::now() + CUT_GRACE));
        Err(Error::fixed(Kind::Timeout, "requests were cut off at the deadline"))
    }

    /// What a drain begins with: no new connections, and none that is idle.
    #[inline(never)]
    pub(super) fn close_doors(&self) {
        // The thread that held answers back may be blocked. From now on answers are sent at once.
        self.let_go();
        self.accept_last();
        // A serving thread checks each connection for a request, and closes those that are idle.
        self.slab.requeue_all(&self.epoll);
    }

    /// Does a client wait for an exchange, or for a request that is lent?
    fn owes_answers(&self) -> bool {
        let mut owes = self.lent.load(Ordering::SeqCst) > 0;
        self.slab.for_each_free(|id, guard| {
            owes |= guard.connection.is_waiting();
            guard.abandon();
            // Events that came while this thread owned the connection were not handled.
            let _ = self.slab.requeue(id, &self.epoll);
        });
        owes
    }

    /// Accepts the connections that are complete already, and closes the listeners.
    fn accept_last(&self) {
        let listeners = std::mem::take(&mut *self.listeners.write());
        for listener in &listeners {
            loop {
                let (socket, peer) = match self.accept(listener) {
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
            // The end of a connection is signalled; a stop from a signal handler is not, hence the short wait.
            let soon = Instant::now() + Duration::from_millis(50);
            let until = end.map_or(soon, |end| end.min(soon));
            if self.crew.is_nobody() && self.work(&mut seen, false).0 {
                // No other thread would serve.
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

    /// After a stop: closes the connections that no thread owns, if no thread serves.
    pub(super) fn close_if_nobody_serves(&self) {
        if self.crew.is_nobody() && !self.service.control.is_forked() {
            self.close_all();
        }
    }

    /// Closes the listeners, and the connections that no thread owns.
    fn close_all(&self) {
        self.answer_what_waits();
        self.listeners.write().clear();
        // The owners of the others close theirs: either they serve, or `close_if_last` tells them that nobody does.
        self.slab.for_each_free_and_tell(|id, guard| {
            // The thread that delivers its answer closes it.
            let Some(mut guard) = guard.leave_to(|tenant| tenant.connection.is_being_answered()) else { return };
            self.dismiss(&mut guard);
            self.close(id, guard);
        });
    }
}

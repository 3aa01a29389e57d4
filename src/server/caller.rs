//! The queue of requests for the host's own threads, and the descriptors that tell these threads of them.

use super::control::Control;
use super::leftover::{Leftover, Said};
use super::lent::Lent;
use super::sys::clock;
use super::sys::epoll::{self, Epoll};
use super::sys::event::{Flag, Waited, wait_for_either};
use super::wakes::Wakes;
use crate::error::{Error, Kind, Result};
use crate::exchange::Exchange;
use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

/// Up to this many queued requests are searched at once.
const FEW: usize = 16;

/// How the host takes its requests. The first way used is the app's for good.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// `poll` runs the handlers.
    Poll = 1,
    /// `next` hands out exchanges.
    Next = 2,
    /// Slots carry requests in and answers out.
    Take = 3,
}

impl Mode {
    fn name(number: u8) -> &'static str {
        match number {
            1 => "hasty_app_poll",
            2 => "hasty_app_next",
            _ => "hasty_slot_take",
        }
    }
}

/// The queue of requests for the host's threads.
#[derive(Default)]
pub(crate) struct CallerQueue {
    line: Mutex<Waiting>,
    /// How many requests are queued, readable without the lock.
    count: AtomicUsize,
    /// Changed under the lock of `line`.
    leftover: Said,
    /// Made when a thread first wants to wait.
    bells: OnceCell<Bells>,
    wakes: Wakes,
    mode: AtomicU8,
    /// When a thread of the host's last looked for requests, in milliseconds; 0 is never.
    last_look: AtomicU32,
}

#[derive(Default)]
struct Waiting {
    exchanges: VecDeque<Exchange>,
    /// Lent requests found by a thread that only waited; they have stayed in place.
    lent: VecDeque<Lent>,
    /// About how many of the exchanges can no longer be answered.
    left: usize,
    /// How many calls watch `ready`; it is not raised for none, since that costs a system call.
    watchers: usize,
    /// Has the host asked for the descriptor? Then it may watch it at any time.
    is_watched: bool,
    is_ringing: bool,
}

/// The descriptors that the host's threads wait for.
struct Bells {
    /// Readable while requests are queued, or there are leftovers.
    ready: Flag,
    /// Readable once a waiting call is to return, or to look at the lanes.
    wake: Flag,
    /// Readable while `ready` is, and after the stop.
    requests: Epoll,
    /// The same, and while the engine has work for the host's threads: this is what the host watches.
    outer: Epoll,
}

impl Bells {
    fn new(control: &Control) -> io::Result<Bells> {
        let bells = Bells { ready: Flag::new()?, wake: Flag::counting()?, requests: Epoll::new()?, outer: Epoll::new()? };
        bells.requests.add(bells.ready.as_fd().as_raw_fd(), epoll::READ_LEVEL, 0)?;
        bells.requests.add(control.as_fd().as_raw_fd(), epoll::READ_LEVEL, 0)?;
        bells.outer.add(bells.requests.as_fd().as_raw_fd(), epoll::READ_LEVEL, 0)?;
        Ok(bells)
    }
}

/// A call that waits, or may.
pub(super) struct Waits<'q> {
    queue: &'q CallerQueue,
    is_counted: bool,
}

impl Waits<'_> {
    /// Consumes a wake that has not ended a call yet. True: it ends this call, which is then no longer counted.
    pub(super) fn take_wake(&mut self) -> bool {
        let taken = self.queue.wakes.take();
        if taken {
            self.is_counted = false;
            if let Some(bells) = self.queue.bells.get() {
                bells.wake.lower();
            }
        }
        taken
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.is_counted {
            self.queue.wakes.end_wait();
        }
    }
}

impl CallerQueue {
    fn bells(&self, control: &Control) -> Result<&Bells> {
        self.bells.get_or_try_init(|| Bells::new(control)).map_err(|error| Error::io("make the descriptors for waiting requests", &error))
    }

    /// Makes the descriptors early, when a failure loses nothing yet.
    pub(crate) fn prepare(&self, control: &Control) -> Result<()> {
        self.bells(control).map(|_| ())
    }

    /// The descriptor that is readable while there is something to do, and after the stop.
    pub(crate) fn descriptor(&self, control: &Control) -> Result<BorrowedFd<'_>> {
        let bells = self.bells(control)?;
        let mut line = self.line.lock();
        line.is_watched = true;
        self.ring(&mut line, bells);
        Ok(bells.outer.as_fd())
    }

    /// The host does the engine's work as well: the descriptor also covers the engine's epoll.
    pub(super) fn watch_engine(&self, control: &Control, engine: &Epoll) -> Result<()> {
        let outer = &self.bells(control)?.outer;
        outer.add(engine.as_fd().as_raw_fd(), epoll::READ_LEVEL, 0).map_err(|error| Error::io("start", &error))
    }

    /// Turns that off or on again.
    pub(super) fn watch_engine_anew(&self, engine: &Epoll, watches: bool) -> io::Result<()> {
        let Some(bells) = self.bells.get() else { return Ok(()) };
        bells.outer.modify(engine.as_fd().as_raw_fd(), if watches { epoll::READ_LEVEL } else { epoll::NOTHING }, 0)
    }

    /// Gives the descriptors to `each`, without locking.
    pub(super) fn for_each_descriptor(&self, each: &mut dyn FnMut(RawFd)) {
        if let Some(Bells { ready, wake, requests, outer }) = self.bells.get() {
            [ready.as_fd(), wake.as_fd(), requests.as_fd(), outer.as_fd()].iter().for_each(|fd| each(fd.as_raw_fd()));
        }
    }

    /// Records the first mode; fails if another one was recorded.
    pub(super) fn choose(&self, mode: Mode) -> Result<()> {
        let known = self.mode.load(Ordering::Relaxed);
        if known == mode as u8 {
            return Ok(());
        }
        match self.mode.compare_exchange(0, mode as u8, Ordering::SeqCst, Ordering::SeqCst) {
            Err(chosen) if chosen != mode as u8 => {
                let (chosen, wanted) = (Mode::name(chosen), Mode::name(mode as u8));
                Err(Error::new(Kind::State, format!("this app's requests are taken by {chosen}; {wanted} cannot be used as well")))
            }
            _ => Ok(()),
        }
    }

    /// How many requests are queued.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Updates the count and the descriptor after a change.
    fn tell(&self, line: &mut Waiting) {
        self.count.store(line.exchanges.len() + line.lent.len(), Ordering::Release);
        if let Some(bells) = self.bells.get() {
            self.ring(line, bells);
        }
    }

    /// Makes `ready` readable exactly while there is work and a thread that may watch it.
    fn ring(&self, line: &mut Waiting, bells: &Bells) {
        let leftover = self.leftover.get();
        let has_work = !line.exchanges.is_empty() || !line.lent.is_empty() || leftover == Leftover::Left;
        let rings = (line.is_watched && (has_work || leftover == Leftover::Soon)) || (line.watchers > 0 && has_work);
        if rings == line.is_ringing {
            return;
        }
        line.is_ringing = rings;
        if rings { bells.ready.raise() } else { bells.ready.lower() }
    }

    /// A queued exchange can no longer be answered. Its memory is released soon: at once in a short queue, else when half of the queue is like
    /// that. So the cost stays constant per request, and clients cannot make it quadratic.
    pub(super) fn note_left(&self) {
        let left: Vec<Exchange> = {
            let mut line = self.line.lock();
            line.left += 1;
            if line.exchanges.len() > FEW && 2 * line.left < line.exchanges.len() {
                return;
            }
            line.left = 0;
            let (open, left) = std::mem::take(&mut line.exchanges).into_iter().partition(Exchange::is_open);
            line.exchanges = open;
            self.tell(&mut line);
            Vec::from(left as VecDeque<Exchange>)
        };
        drop(left);
    }

    /// Queues a request.
    pub(crate) fn push(&self, exchange: Exchange) {
        exchange.debt().note_queued(true);
        let mut line = self.line.lock();
        line.exchanges.push_back(exchange);
        self.tell(&mut line);
        // If the client left before it was queued, it was not noted.
        let has_left = line.exchanges.back().is_some_and(|last| !last.is_open());
        drop(line);
        if has_left {
            self.note_left();
        }
    }

    /// Takes the oldest request that can still be answered.
    pub(super) fn pop(&self) -> Option<Exchange> {
        self.note_look();
        loop {
            let exchange = {
                let mut line = self.line.lock();
                let first = line.exchanges.pop_front()?;
                self.tell(&mut line);
                first
            };
            exchange.debt().note_queued(false);
            // Otherwise it ends here: its client has left, or has got another answer.
            if exchange.is_open() {
                return Some(exchange);
            }
        }
    }

    /// Queues a lent request, which stays in place.
    pub(super) fn push_lent(&self, lent: Lent) {
        let mut line = self.line.lock();
        line.lent.push_back(lent);
        self.tell(&mut line);
    }

    pub(super) fn pop_lent(&self) -> Option<Lent> {
        if self.len() == 0 {
            return None;
        }
        let mut line = self.line.lock();
        let lent = line.lent.pop_front()?;
        self.note_look();
        self.tell(&mut line);
        Some(lent)
    }

    /// After a stop: gives up the lent requests.
    pub(super) fn give_up_lent(&self) {
        let lent = {
            let mut line = self.line.lock();
            let lent = std::mem::take(&mut line.lent);
            self.tell(&mut line);
            lent
        };
        drop(lent);
    }

    /// Ends a call that waits, or the next one that would. Safe in signal handlers: atomics and one write.
    pub(crate) fn wake(&self) {
        if let (true, Some(bells)) = (self.wakes.add(), self.bells.get()) {
            bells.wake.raise();
        }
    }

    /// Counts a call that waits.
    pub(super) fn begin_wait(&self) -> Waits<'_> {
        self.wakes.begin_wait();
        Waits { queue: self, is_counted: true }
    }

    /// The last announcement.
    pub(super) fn leftover(&self) -> Leftover {
        self.leftover.get()
    }

    /// Announces leftovers. Threads that wait are only notified of those for which no thread comes back soon; the host's own loop of all.
    pub(super) fn say_leftover(&self, leftover: Leftover) {
        let mut line = self.line.lock();
        self.leftover.set(leftover);
        self.tell(&mut line);
    }

    /// Lets one of the waiting threads look at the lanes.
    pub(crate) fn rouse(&self) {
        if let (true, Some(bells)) = (self.line.lock().watchers > 0, self.bells.get()) {
            bells.wake.raise();
        }
    }

    /// The same, even if that thread is only about to wait.
    pub(super) fn rouse_in_any_case(&self) {
        if let Some(bells) = self.bells.get() {
            bells.wake.raise();
        }
    }

    fn note_look(&self) {
        self.note_look_at(clock::milliseconds());
    }

    /// Notes that a thread of the host's looks for requests.
    pub(super) fn note_look_at(&self, now: u32) {
        self.last_look.store(now.max(1), Ordering::Relaxed);
    }

    /// For how long no thread has looked for requests; 0 while one waits for them, None if none ever did.
    pub(crate) fn idle_ms(&self) -> Option<u32> {
        if self.line.lock().watchers > 0 {
            return Some(0);
        }
        match self.last_look.load(Ordering::Relaxed) {
            0 => None,
            last => Some(clock::milliseconds().wrapping_sub(last)),
        }
    }

    /// Waits until there may be something to do, a wake or a signal; at most until `end`, without end if None. True: it was a signal.
    ///
    /// `has_changed` is called after this thread has counted itself as waiting, so that no `rouse` is missed.
    pub(super) fn wait(&self, control: &Control, end: Option<Instant>, has_changed: impl Fn() -> bool) -> Result<bool> {
        self.wait_by(control, |bells| bells.outer.as_fd(), end, has_changed)
    }

    /// The same, but not for the engine's work.
    pub(super) fn wait_for_requests(&self, control: &Control, end: Option<Instant>, has_changed: impl Fn() -> bool) -> Result<bool> {
        self.wait_by(control, |bells| bells.requests.as_fd(), end, has_changed)
    }

    fn wait_by(
        &self,
        control: &Control,
        watched: impl Fn(&Bells) -> BorrowedFd<'_>,
        end: Option<Instant>,
        has_changed: impl Fn() -> bool,
    ) -> Result<bool> {
        let bells = self.bells(control)?;
        {
            let mut line = self.line.lock();
            line.watchers += 1;
            self.ring(&mut line, bells);
        }
        if self.wakes.is_pending() || has_changed() {
            // The wake came before the descriptor existed, or before this call was counted as waiting.
            return Ok(self.note_waited(bells, Waited::Other));
        }
        let waited = wait_for_either(watched(bells), bells.wake.as_fd(), end);
        if waited == Waited::Other && !self.wakes.is_pending() {
            // The wake was consumed before this call saw it, or was a `rouse`.
            bells.wake.lower();
        }
        Ok(self.note_waited(bells, waited))
    }

    /// A wait is over. True: by a signal.
    fn note_waited(&self, bells: &Bells, waited: Waited) -> bool {
        let mut line = self.line.lock();
        line.watchers -= 1;
        self.ring(&mut line, bells);
        self.note_look();
        waited == Waited::Signal
    }
}

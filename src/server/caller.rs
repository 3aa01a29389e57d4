//! The requests that wait for a thread of the host's own, and what tells that thread of them.

use super::control::Control;
use super::leftover::{Leftover, Said};
use super::lent::Lent;
use super::sys::clock;
use super::sys::epoll::{self, Epoll};
use super::sys::event::{Flag, Waited, wait_for_either};
use crate::error::{Error, Kind, Result};
use crate::exchange::Exchange;
use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// So many requests are looked through at once.
const FEW: usize = 16;

/// How the host comes for its requests. The first way it takes is the app's for good.
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

/// The queue of those requests.
#[derive(Default)]
pub(crate) struct CallerQueue {
    line: Mutex<Waiting>,
    /// How many requests wait there, for those who only look.
    count: AtomicUsize,
    /// Changed under the lock of `line`.
    leftover: Said,
    /// Made when somebody first wants to wait.
    bells: OnceCell<Bells>,
    /// How many calls wait, or are about to, above; how many of them, or of those to come, are to return instead, below.
    wakes: AtomicU64,
    mode: AtomicU8,
    /// When a thread of the host's last looked for requests; in milliseconds, 0 is never.
    last_look: AtomicU32,
}

#[derive(Default)]
struct Waiting {
    exchanges: VecDeque<Exchange>,
    /// Those that were found by a thread that only waited; they have stayed where they are.
    lent: VecDeque<Lent>,
    /// How many of the exchanges cannot be answered any more, about.
    left: usize,
    /// How many watch the bell; nobody is rung for otherwise, which costs a system call.
    watchers: usize,
    /// Has the host the descriptor? Then it may be watching at any time.
    is_watched: bool,
    is_ringing: bool,
}

/// What threads of the host's wait for.
struct Bells {
    /// Readable while requests wait, or work that was begun is nobody's.
    ready: Flag,
    /// Readable once somebody wants a waiting call to return, or to have a look.
    wake: Flag,
    /// Readable while `ready` is, and from the stop on.
    requests: Epoll,
    /// The same, and while the engine has work that is for the host's threads: what the host watches.
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

/// One call that waits.
const WAITING: u64 = 1 << 32;
/// The part that counts wakes.
const WAKES: u64 = WAITING - 1;

/// A call that waits, or may.
pub(super) struct Waits<'q> {
    queue: &'q CallerQueue,
    is_counted: bool,
}

impl Waits<'_> {
    /// Was there a wake that has ended nobody yet? Then it ends this call, which does not count any more.
    pub(super) fn take_wake(&mut self) -> bool {
        let take = |word: u64| (word & WAKES > 0).then(|| word - WAITING - 1);
        let taken = self.queue.wakes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
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
            self.queue.wakes.fetch_sub(WAITING, Ordering::SeqCst);
        }
    }
}

impl CallerQueue {
    fn bells(&self, control: &Control) -> Result<&Bells> {
        self.bells.get_or_try_init(|| Bells::new(control)).map_err(|error| Error::io("make what tells of requests", &error))
    }

    /// Makes what threads of the host's wait for, while a failure still loses nothing.
    pub(crate) fn prepare(&self, control: &Control) -> Result<()> {
        self.bells(control).map(|_| ())
    }

    /// The descriptor that is readable while there is something to do, and from the stop on.
    pub(crate) fn descriptor(&self, control: &Control) -> Result<BorrowedFd<'_>> {
        let bells = self.bells(control)?;
        let mut line = self.line.lock();
        line.is_watched = true;
        self.ring(&mut line, bells);
        Ok(bells.outer.as_fd())
    }

    /// The host does the engine's work as well: what the engine waits for is told by the same descriptor.
    pub(super) fn watch_engine(&self, control: &Control, engine: &Epoll) -> Result<()> {
        let outer = &self.bells(control)?.outer;
        outer.add(engine.as_fd().as_raw_fd(), epoll::READ_LEVEL, 0).map_err(|error| Error::io("start", &error))
    }

    /// It is told so no more, or again.
    pub(super) fn watch_engine_anew(&self, engine: &Epoll, watches: bool) -> io::Result<()> {
        let Some(bells) = self.bells.get() else { return Ok(()) };
        bells.outer.modify(engine.as_fd().as_raw_fd(), if watches { epoll::READ_LEVEL } else { epoll::NOTHING }, 0)
    }

    /// Gives the descriptors to `each`, without any lock.
    pub(super) fn for_each_descriptor(&self, each: &mut dyn FnMut(RawFd)) {
        if let Some(Bells { ready, wake, requests, outer }) = self.bells.get() {
            [ready.as_fd(), wake.as_fd(), requests.as_fd(), outer.as_fd()].iter().for_each(|fd| each(fd.as_raw_fd()));
        }
    }

    /// Does nothing but for the first mode, and those that come after in the same.
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

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// What waits has changed: those who look and those who watch are to know.
    fn tell(&self, line: &mut Waiting) {
        self.count.store(line.exchanges.len() + line.lent.len(), Ordering::Release);
        if let Some(bells) = self.bells.get() {
            self.ring(line, bells);
        }
    }

    /// Lets the bell ring exactly while somebody waits who may be watched for.
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

    /// One of those that wait cannot be answered any more. What it holds is let go of soon: when it is one of few, or one of many
    /// such, so that nobody can make this costly.
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

    /// A request waits from now on.
    pub(crate) fn push(&self, exchange: Exchange) {
        exchange.debt().note_queued(true);
        let mut line = self.line.lock();
        line.exchanges.push_back(exchange);
        self.tell(&mut line);
        // A client that has left before it stood here has told nobody.
        let has_left = line.exchanges.back().is_some_and(|last| !last.is_open());
        drop(line);
        if has_left {
            self.note_left();
        }
    }

    /// The request that has waited longest, and can still be answered.
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
            // One whose client has left, or was told to wait no longer, ends here.
            if exchange.is_open() {
                return Some(exchange);
            }
        }
    }

    /// A request waits that has stayed where it is.
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

    /// The app has stopped: nobody takes these any more.
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
        // Those that come before anybody waits end one call between them.
        let add = |word: u64| (word & WAKES < (word >> 32).max(1)).then(|| word + 1);
        let counted = self.wakes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        if let (Ok(_), Some(bells)) = (counted, self.bells.get()) {
            bells.wake.raise();
        }
    }

    /// A call that waits begins.
    pub(super) fn begin_wait(&self) -> Waits<'_> {
        self.wakes.fetch_add(WAITING, Ordering::SeqCst);
        Waits { queue: self, is_counted: true }
    }

    /// What was said last.
    pub(super) fn leftover(&self) -> Leftover {
        self.leftover.get()
    }

    /// What is left of the engine's work. Threads that wait are told of what nobody comes back for soon; the host's own loop is told
    /// of all.
    pub(super) fn say_leftover(&self, leftover: Leftover) {
        let mut line = self.line.lock();
        self.leftover.set(leftover);
        self.tell(&mut line);
    }

    /// Lets one of those who wait have a look.
    pub(crate) fn rouse(&self) {
        if let (true, Some(bells)) = (self.line.lock().watchers > 0, self.bells.get()) {
            bells.wake.raise();
        }
    }

    /// The same, also where it is only about to wait.
    pub(super) fn rouse_in_any_case(&self) {
        if let Some(bells) = self.bells.get() {
            bells.wake.raise();
        }
    }

    fn note_look(&self) {
        self.note_look_at(clock::milliseconds());
    }

    /// A thread of the host's has looked for requests.
    pub(super) fn note_look_at(&self, now: u32) {
        self.last_look.store(now.max(1), Ordering::Relaxed);
    }

    /// How long nobody has looked for requests, 0 while somebody waits for them; None if nobody ever did.
    pub(crate) fn idle_ms(&self) -> Option<u32> {
        if self.line.lock().watchers > 0 {
            return Some(0);
        }
        match self.last_look.load(Ordering::Relaxed) {
            0 => None,
            last => Some(clock::milliseconds().wrapping_sub(last)),
        }
    }

    /// Waits until there may be something to do, a wake or a signal; at most until `end`, None is without end. True: it was a signal.
    ///
    /// `has_changed` is asked once those who rouse see that this thread waits.
    pub(super) fn wait(&self, control: &Control, end: Option<Instant>, has_changed: impl Fn() -> bool) -> Result<bool> {
        self.wait_by(control, |bells| bells.outer.as_fd(), end, has_changed)
    }

    /// The same, whatever the engine gets to do.
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
        if self.wakes.load(Ordering::SeqCst) & WAKES > 0 || has_changed() {
            // It came before there was anything to ring, or anybody to be rung for.
            return Ok(self.note_waited(bells, Waited::Other));
        }
        let waited = wait_for_either(watched(bells), bells.wake.as_fd(), end);
        if waited == Waited::Other && self.wakes.load(Ordering::SeqCst) & WAKES == 0 {
            // It was taken before it rang, or this is to have a look.
            bells.wake.lower();
        }
        Ok(self.note_waited(bells, waited))
    }

    /// A wait is over. Did a signal end it?
    fn note_waited(&self, bells: &Bells, waited: Waited) -> bool {
        let mut line = self.line.lock();
        line.watchers -= 1;
        self.ring(&mut line, bells);
        self.note_look();
        waited == Waited::Signal
    }
}

//! Which of the host's waiting threads polls, while the others rest.
//!
//! If all idle threads polled the same descriptors, each request would wake them all. So one is in charge: it polls, and stays in charge
//! while it answers requests known to be quick, since it returns at once. Before anything longer it hands over to a thread that rests. One of
//! the resting threads is the lookout: if the thread in charge neither polls nor moves for a tick, it is blocked after all, and the lookout
//! takes over. While there is no activity the lookout rests as well. `tests/loom` checks many interleavings.

use super::sys::event::{Flag, Waited};
use super::sys::sync::{AtomicUsize, Brief, Ordering, this_thread};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After this many ticks without activity the lookout rests. Waking it costs about as much as four of them.
const QUIET_TICKS: u32 = 4;

/// Spare seats. Each has a descriptor.
const SPARE_SEATS: usize = 64;

/// Which thread is in charge, and which rest.
#[derive(Default)]
pub(super) struct Charge {
    bench: Brief<Bench>,
    /// How often the thread in charge has moved, that is, begun or finished something.
    moves: AtomicUsize,
    /// The thread in charge while it does not poll, for itself to read without the lock; 0 is none.
    mover: AtomicUsize,
}

#[derive(Default)]
struct Bench {
    /// The thread in charge; None only while no thread rests.
    holder: Option<usize>,
    /// Does it poll? Then the lookout need not watch it.
    polls: bool,
    lookout: Option<Arc<Seat>>,
    /// Does the lookout rest as well?
    is_quiet: bool,
    resting: Vec<Arc<Seat>>,
    spare: Vec<Arc<Seat>>,
}

/// Where one thread rests at a time.
struct Seat {
    /// The thread. Changed only under the bench's lock.
    thread: AtomicUsize,
    bell: Flag,
}

impl Seat {
    fn thread(&self) -> usize {
        self.thread.load(Ordering::Relaxed)
    }
}

/// The outcome of a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rested {
    /// This thread is in charge; it was before, or no thread was.
    Holds,
    /// This thread was woken, or took over, to be in charge.
    Called,
    Late,
    Signal,
}

impl Charge {
    /// Rests until this thread is in charge, the time is up or a signal has come. Returns at once if no other thread is in charge.
    pub(super) fn wait(&self, end: Option<Instant>, tick: Duration) -> Rested {
        let me = this_thread();
        let seat = {
            let mut bench = self.bench.lock();
            if bench.holder.is_none_or(|holder| holder == me) {
                bench.holder = Some(me);
                bench.polls = true;
                self.note_mover(&bench);
                return Rested::Holds;
            }
            // Out of descriptors: it polls beside the thread in charge.
            let Some(seat) = bench.seat(me) else { return Rested::Holds };
            bench.sit(&seat);
            seat
        };
        let rested = self.rest(&seat, end, tick);
        let mut bench = self.bench.lock();
        if bench.spare.len() < SPARE_SEATS {
            bench.spare.push(seat);
        }
        rested
    }

    fn rest(&self, seat: &Arc<Seat>, end: Option<Instant>, tick: Duration) -> Rested {
        let mut seen = self.moves.load(Ordering::Relaxed);
        let mut quiet = 0;
        loop {
            let looks_out = {
                let bench = self.bench.lock();
                bench.is_lookout(seat) && !bench.is_quiet
            };
            let soon = looks_out.then(|| Instant::now() + tick);
            let until = [soon, end].into_iter().flatten().min();
            let waited = seat.bell.wait(until);
            let mut bench = self.bench.lock();
            if waited == Waited::Ready {
                seat.bell.lower();
            }
            if !bench.rests(seat) {
                // Woken to be in charge; yet another thread may have taken the charge since.
                drop(bench);
                self.note_polled();
                return if waited == Waited::Signal { Rested::Signal } else { Rested::Called };
            }
            match waited {
                Waited::Signal => {
                    bench.get_up(seat);
                    return Rested::Signal;
                }
                Waited::Late if end.is_some_and(|end| Instant::now() >= end) => {
                    bench.get_up(seat);
                    return Rested::Late;
                }
                _ => {}
            }
            let moves = self.moves.load(Ordering::Relaxed);
            let is_still = waited == Waited::Late && looks_out && std::mem::replace(&mut seen, moves) == moves;
            if is_still && !bench.polls {
                bench.holder = Some(seat.thread());
                self.note_mover(&bench);
                bench.get_up(seat);
                return Rested::Called;
            }
            quiet = if is_still { quiet + 1 } else { 0 };
            bench.is_quiet |= quiet >= QUIET_TICKS && bench.is_lookout(seat);
        }
    }

    /// This thread stops polling. If it is in charge the lookout watches it from now on.
    pub(super) fn note_polled(&self) {
        self.note_move();
        let mut bench = self.bench.lock();
        if bench.holder == Some(this_thread()) {
            bench.begin_move();
            self.note_mover(&bench);
        }
    }

    /// This thread is in charge: it answers a request that is known to be quick, and returns at once. True: another thread was in charge and
    /// polls, so it must be woken.
    pub(super) fn keep(&self) -> bool {
        self.note_move();
        let me = this_thread();
        if self.mover.load(Ordering::Acquire) == me {
            // Noted before.
            return false;
        }
        let mut bench = self.bench.lock();
        let before = bench.holder.replace(me);
        let polled = before.is_some_and(|before| before != me) && bench.polls;
        bench.begin_move();
        self.note_mover(&bench);
        polled
    }

    /// Updates `mover` after the holder, or whether it polls, has changed.
    fn note_mover(&self, bench: &Bench) {
        self.mover.store(bench.holder.filter(|_| !bench.polls).unwrap_or(0), Ordering::Release);
    }

    fn note_move(&self) {
        // Approximate if several threads move at once; one of them is counted.
        self.moves.store(self.moves.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// This thread may be away for long: a resting thread, if there is one, is put in charge.
    pub(super) fn hand_on(&self) {
        let mut bench = self.bench.lock();
        if bench.holder.is_some_and(|holder| holder != this_thread()) {
            return;
        }
        let next = bench.resting.pop().or_else(|| bench.lookout.take());
        bench.holder = next.as_ref().map(|seat| seat.thread());
        // It is about to poll.
        bench.polls = true;
        self.note_mover(&bench);
        if let Some(seat) = next {
            seat.bell.raise();
        }
        bench.appoint_lookout();
    }

    /// Gives the descriptors to `each`, except while another thread has the lock.
    pub(super) fn for_each_descriptor(&self, each: &mut dyn FnMut(RawFd)) {
        let Some(bench) = self.bench.try_lock() else { return };
        let seats = bench.resting.iter().chain(&bench.lookout).chain(&bench.spare);
        seats.for_each(|seat| each(seat.bell.as_fd().as_raw_fd()));
    }
}

impl Bench {
    /// The thread in charge does not poll for a moment: the lookout watches how long.
    fn begin_move(&mut self) {
        self.polls = false;
        if let (true, Some(lookout)) = (std::mem::take(&mut self.is_quiet), &self.lookout) {
            lookout.bell.raise();
        }
    }

    fn seat(&mut self, thread: usize) -> Option<Arc<Seat>> {
        match self.spare.pop() {
            Some(seat) => {
                seat.thread.store(thread, Ordering::Relaxed);
                Some(seat)
            }
            None => Some(Arc::new(Seat { thread: AtomicUsize::new(thread), bell: Flag::new().ok()? })),
        }
    }

    fn sit(&mut self, seat: &Arc<Seat>) {
        match self.lookout {
            Some(_) => self.resting.push(Arc::clone(seat)),
            None => {
                self.lookout = Some(Arc::clone(seat));
                self.is_quiet = false;
            }
        }
    }

    fn is_lookout(&self, seat: &Arc<Seat>) -> bool {
        self.lookout.as_ref().is_some_and(|lookout| Arc::ptr_eq(lookout, seat))
    }

    /// Does the thread in this seat rest?
    fn rests(&self, seat: &Arc<Seat>) -> bool {
        self.is_lookout(seat) || self.resting.iter().any(|other| Arc::ptr_eq(other, seat))
    }

    /// The thread in this seat rests no longer.
    fn get_up(&mut self, seat: &Arc<Seat>) {
        self.resting.retain(|other| !Arc::ptr_eq(other, seat));
        if self.is_lookout(seat) {
            self.lookout = None;
            self.appoint_lookout();
        }
    }

    /// Makes a resting thread the lookout, if there is none.
    fn appoint_lookout(&mut self) {
        if self.lookout.is_none() {
            self.lookout = self.resting.pop();
            self.is_quiet = false;
            if let Some(lookout) = &self.lookout {
                lookout.bell.raise();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const TICK: Duration = Duration::from_millis(2);
    const FOREVER: Duration = Duration::from_secs(3600);

    /// A thread that waits on request and reports the outcome.
    struct Idler {
        begin: Sender<Duration>,
        rested: Receiver<Rested>,
    }

    impl Idler {
        fn new(charge: &Arc<Charge>) -> Idler {
            let (begin, begins) = channel::<Duration>();
            let (tell, rested) = channel();
            let charge = Arc::clone(charge);
            std::thread::spawn(move || begins.into_iter().for_each(|tick| tell.send(charge.wait(None, tick)).unwrap()));
            Idler { begin, rested }
        }

        fn rest(&self, charge: &Charge, tick: Duration) {
            let before = charge.sitting();
            self.begin.send(tick).unwrap();
            while charge.sitting() == before {
                std::thread::yield_now();
            }
        }

        fn outcome(&self) -> Rested {
            self.rested.recv_timeout(Duration::from_secs(10)).expect("it is called")
        }
    }

    impl Charge {
        fn sitting(&self) -> usize {
            let bench = self.bench.lock();
            bench.resting.len() + usize::from(bench.lookout.is_some())
        }
    }

    fn with_two_idlers(tick: Duration) -> (Arc<Charge>, [Idler; 2]) {
        let charge = Arc::<Charge>::default();
        assert_eq!(charge.wait(None, tick), Rested::Holds, "nobody else is in charge");
        let idlers = [Idler::new(&charge), Idler::new(&charge)];
        idlers.iter().for_each(|idler| idler.rest(&charge, tick));
        (charge, idlers)
    }

    #[test]
    fn handing_on_wakes_a_resting_thread() {
        let (charge, [lookout, other]) = with_two_idlers(FOREVER);
        charge.note_polled();
        charge.hand_on();
        assert_eq!(other.outcome(), Rested::Called);
        assert_eq!(charge.sitting(), 1, "the lookout rests on");
        charge.keep();
        charge.hand_on();
        assert_eq!(lookout.outcome(), Rested::Called);
    }

    #[test]
    fn the_lookout_takes_over_only_from_a_blocked_thread() {
        let (charge, [lookout, other]) = with_two_idlers(TICK);
        std::thread::sleep(4 * TICK);
        assert_eq!(charge.sitting(), 2, "whoever polls is told of everything");
        assert!(!charge.keep(), "it was in charge itself");
        assert_eq!(lookout.outcome(), Rested::Called);
        assert_eq!(charge.sitting(), 1);
        drop(other);
    }

    #[test]
    fn a_woken_thread_returns_even_if_another_has_taken_the_charge_since() {
        let (charge, [_lookout, other]) = with_two_idlers(FOREVER);
        charge.note_polled();
        charge.hand_on();
        charge.keep();
        assert_eq!(other.outcome(), Rested::Called, "it is not forgotten");
    }

    #[test]
    fn taking_the_charge_from_a_polling_thread_is_reported() {
        let charge = Arc::<Charge>::default();
        let other = Idler::new(&charge);
        other.begin.send(FOREVER).unwrap();
        assert_eq!(other.outcome(), Rested::Holds);
        assert!(charge.keep(), "the other one polls");
        assert!(!charge.keep());
        charge.note_polled();
        assert_eq!(charge.bench.lock().holder, Some(this_thread()));
    }
}

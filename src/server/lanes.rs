//! Lanes: the right to poll, and who has it.
//!
//! As many threads poll as there are active lanes. A thread that leads a lane holds its baton, takes events from the epoll into the
//! lane, and serves them one by one, handlers included. One idle thread is the lookout: where a service lasts longer than a tick or
//! two it takes the lane over, with the events that are left, so a handler that blocks holds one thread and nobody's connection. A
//! handler that is known to block has its lane given away before the call. The other idle threads are parked.
//!
//! What always holds:
//! 1. Events that were taken and not served are in a lane, never with a thread.
//! 2. No thread parks while an active lane is nobody's, or a request waits for a thread.
//! 3. A thread gives its lane up only to one that is idle. So there is always one that is in no handler known to block.

use super::crew::Crew;
use super::leftover::is_left;
use super::rest::{Moves, Rest};
use super::slab::Id;
use super::sys::baton::{Baton, Held, Service, Word};
use super::sys::clock;
use super::sys::epoll::Event;
use super::sys::sync::{Condvar, Mutex, MutexGuard};
use once_cell::sync::OnceCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Events taken at a time where others can take them over, and where nobody can.
pub(super) const BATCH: usize = 8;
pub(super) const BATCH_ALONE: usize = 64;
/// Connections accepted in one turn.
const ACCEPTED: usize = 16;
/// So many full batches in a row are more than one lane can do.
const FULL_BATCHES: u32 = 4;
/// After so many ticks in which nothing moved the lookout rests.
const QUIET_TICKS: u32 = 50;
/// What a tick is at the least: with a tick of 0 nothing is waited for, since every handler has its lane given away.
const LEAST_TICK: Duration = Duration::from_micros(20);
const USUAL_TICK: Duration = Duration::from_millis(2);

/// All lanes, and those who wait for one.
pub(super) struct Lanes {
    lanes: Box<[Lane]>,
    tick: Duration,
    /// Is every handler taken to block? That is for tests.
    always: bool,
    rota: Mutex<Rota>,
    /// Is there a lookout? Where there is none, handlers are timed by those who run them.
    is_watched: AtomicBool,
    /// The lookout's, after which whoever finds events wakes it.
    rest: Rest,
    max_queued: usize,
    /// How many requests wait for a thread.
    queued: AtomicUsize,
    /// Can a thread be made that stands by? Without one as many handlers may block as there are threads, and nobody serves then.
    may_reinforce: bool,
    crew: Arc<Crew>,
    /// Makes one more thread, which stands by.
    reinforce: OnceCell<Reinforce>,
}

type Reinforce = Box<dyn Fn() -> bool + Send + Sync>;

struct Lane {
    baton: Baton<Batch>,
    /// The route whose handler runs, plus 1.
    route: AtomicU32,
    /// The batches that are taken.
    batches: Moves,
    /// When it was taken over last, in microseconds.
    taken_us: AtomicU64,
}

/// Events on their way through a lane.
pub(super) struct Batch {
    pub(super) events: [Event; BATCH_ALONE],
    count: usize,
    cursor: usize,
    /// A listener where more connections may wait, and how many may still be accepted in this turn.
    door: Option<Door>,
    /// How many batches in a row were full.
    full: u32,
    /// Is it led by a thread that stays, and waits for events with the lane in hand?
    is_kept: bool,
}

#[derive(Clone, Copy)]
struct Door {
    number: usize,
    left: usize,
}

/// What there is to do next.
pub(super) enum Task {
    /// An event of the socket that this token is of.
    Event {
        token: u64,
        ready: u32,
    },
    Accept(usize),
}

impl Default for Batch {
    fn default() -> Batch {
        Batch { events: [Event::NONE; BATCH_ALONE], count: 0, cursor: 0, door: None, full: 0, is_kept: false }
    }
}

impl Batch {
    /// The next thing to do; the cursor is behind it already, unless it is a door that may have more to give.
    pub(super) fn next(&mut self) -> Option<Task> {
        if let Some(door) = self.door {
            return Some(Task::Accept(door.number));
        }
        let event = self.events[..self.count].get(self.cursor)?;
        self.cursor += 1;
        Some(Task::Event { token: event.token(), ready: event.ready() })
    }

    /// Is nothing left to do?
    pub(super) fn is_over(&self) -> bool {
        self.door.is_none() && self.cursor >= self.count
    }

    /// It is led by a thread that stays, or by one that goes on with other things. True: before it was otherwise.
    pub(super) fn keep(&mut self, stays: bool) -> bool {
        std::mem::replace(&mut self.is_kept, stays) != stays
    }

    /// Connections wait at a listener.
    pub(super) fn open_door(&mut self, number: usize) {
        self.door = Some(Door { number, left: ACCEPTED });
    }

    pub(super) fn close_door(&mut self) {
        self.door = None;
    }

    /// One was accepted. True: that was the last of this turn, though there may be more.
    pub(super) fn note_accepted(&mut self) -> bool {
        let Some(door) = &mut self.door else { return false };
        door.left -= 1;
        let last = door.left == 0;
        if last {
            self.door = None;
        }
        last
    }

    /// So many events have come, where `most` could have. True: it goes on like that.
    pub(super) fn fill(&mut self, count: usize, most: usize) -> bool {
        (self.count, self.cursor) = (count, 0);
        self.full = if count == most { self.full + 1 } else { 0 };
        let goes_on = self.full == FULL_BATCHES;
        if goes_on {
            self.full = 0;
        }
        goes_on
    }
}

/// Who is idle, and what waits for one.
#[derive(Default)]
struct Rota {
    parked: Vec<Arc<Parker>>,
    lookout: Option<Arc<Parker>>,
    /// Requests that wait for a thread that may block.
    queue: VecDeque<Id>,
    /// Lanes from here on are not led.
    active: usize,
    ended: bool,
    spare_made: bool,
}

/// Where one idle thread waits.
#[derive(Default)]
pub(super) struct Parker {
    bell: Condvar,
    /// Was it called? Changed under the rota's lock only.
    called: AtomicBool,
}

/// What a thread that was idle does next.
pub(super) enum Duty<'l> {
    /// It leads the lane of this number.
    Lead(usize, Held<'l, Batch>),
    /// The same, after whoever led it before took too long.
    Overran(usize, Held<'l, Batch>),
    /// It runs the handler of a request that has waited.
    Answer(Id),
}

/// What a thread has in hand: the lane that it leads, if any. Others than its own thread do not use it.
pub(super) struct Shift {
    lanes: Option<Arc<Lanes>>,
    lane: AtomicUsize,
    /// The number of the service; 0 where it leads none.
    service: AtomicU64,
}

impl Shift {
    pub(super) fn new(lanes: &Arc<Lanes>) -> Shift {
        Shift { lanes: Some(Arc::clone(lanes)), lane: AtomicUsize::new(0), service: AtomicU64::new(0) }
    }

    /// That of a thread without lanes.
    #[cfg(test)]
    pub(super) fn none() -> Shift {
        Shift { lanes: None, lane: AtomicUsize::new(0), service: AtomicU64::new(0) }
    }

    /// It serves what it has taken from a lane.
    pub(super) fn begin(&self, lane: usize, service: Service) {
        self.lane.store(lane, Ordering::Relaxed);
        self.service.store(service.number(), Ordering::Relaxed);
    }

    fn leading(&self) -> Option<(&Lanes, &Lane, Service)> {
        let service = self.service.load(Ordering::Relaxed);
        let lanes = self.lanes.as_deref().filter(|_| service != 0)?;
        Some((lanes, &lanes.lanes[self.lane.load(Ordering::Relaxed)], Service::of(service)))
    }

    /// Does it still lead?
    pub(super) fn leads(&self) -> bool {
        self.leading().is_some_and(|(_, lane, service)| lane.baton.is_on(service))
    }

    /// The handler of this route is going to run.
    pub(super) fn note_route(&self, route: usize) {
        if let Some((_, lane, _)) = self.leading().filter(|(_, lane, service)| lane.baton.is_on(*service)) {
            lane.route.store(route as u32 + 1, Ordering::Relaxed);
        }
    }

    /// Is every handler taken to block?
    pub(super) fn takes_all_to_block(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| lanes.always)
    }

    /// Has the lane been taken over since, and was that long ago? None: it has not.
    pub(super) fn overran(&self) -> Option<bool> {
        let (lanes, lane, service) = self.leading()?;
        if lane.baton.is_on(service) {
            return None;
        }
        // Said once: what comes after it in the same service has not overrun.
        self.service.store(0, Ordering::Relaxed);
        let since = clock::microseconds().saturating_sub(lane.taken_us.load(Ordering::Relaxed));
        Some(u128::from(since) >= lanes.tick.as_micros())
    }

    /// Does nobody look whether a handler takes too long?
    pub(super) fn is_unwatched(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| !lanes.is_watched.load(Ordering::Relaxed)) && !self.is_alone()
    }

    /// Has it lasted so long that the lookout would have taken the lane over? And so long that it cannot be chance, such as that
    /// the thread had to wait for a processor?
    pub(super) fn has_overrun(&self, time: Duration) -> Option<bool> {
        let tick = self.lanes.as_ref()?.tick;
        (time >= 2 * tick).then_some(time >= 5 * tick)
    }

    /// Is this the only thread there is? Then nothing can be left to others.
    pub(super) fn is_alone(&self) -> bool {
        self.lanes.as_ref().is_none_or(|lanes| lanes.crew.serving() < 2)
    }

    /// May a request wait for another thread, where none is idle? Only where one stands by, or all threads but one would be all.
    pub(super) fn may_leave_it(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| lanes.may_reinforce) && !self.is_alone()
    }

    /// May one more request wait for a thread?
    pub(super) fn has_room_in_queue(&self) -> bool {
        self.lanes.as_ref().is_none_or(|lanes| lanes.queued.load(Ordering::Relaxed) < lanes.max_queued)
    }

    /// Could it give the lane away, if it leads one?
    pub(super) fn could_step_aside(&self) -> bool {
        self.leading().is_none_or(|(lanes, lane, service)| lanes.has_idle() || !lane.baton.is_on(service))
    }

    /// Gives the lane away, if it leads one. False: nobody is there to take it.
    pub(super) fn step_aside(&self) -> bool {
        let Some((lanes, lane, service)) = self.leading() else { return true };
        let aside = lanes.give_away(lane, service);
        if aside {
            self.service.store(0, Ordering::Relaxed);
        }
        aside
    }

    /// The service is over.
    pub(super) fn end<'l>(&self, lanes: &'l Lanes) -> Option<Held<'l, Batch>> {
        // No swap: nobody else writes it.
        let service = self.service.load(Ordering::Relaxed);
        self.service.store(0, Ordering::Relaxed);
        match service {
            0 => None,
            service => lanes.lanes[self.lane.load(Ordering::Relaxed)].baton.resume(Service::of(service)),
        }
    }
}

impl Lanes {
    /// `tick_us`: the lookout's; with 0 every handler is taken to block.
    pub(super) fn new(crew: &Arc<Crew>, count: usize, tick_us: u64, max_queued: usize, may_reinforce: bool) -> Lanes {
        let tick = if tick_us == 0 { USUAL_TICK } else { Duration::from_micros(tick_us).max(LEAST_TICK) };
        let lane = || Lane {
            baton: Baton::new(Batch::default()),
            route: AtomicU32::new(0),
            batches: Moves::default(),
            taken_us: AtomicU64::new(0),
        };
        Lanes {
            lanes: (0..count.max(1)).map(|_| lane()).collect(),
            tick,
            always: tick_us == 0,
            rota: Mutex::new(Rota { active: 1, spare_made: !may_reinforce, ..Rota::default() }),
            is_watched: AtomicBool::new(false),
            rest: Rest::default(),
            max_queued,
            queued: AtomicUsize::new(0),
            may_reinforce,
            crew: Arc::clone(crew),
            reinforce: OnceCell::new(),
        }
    }

    /// `reinforce` makes one more thread, once there is need of it.
    pub(super) fn reinforce_by(&self, reinforce: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.reinforce.set(Box::new(reinforce));
    }

    /// How many requests wait for a thread.
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn tick(&self) -> Duration {
        self.tick
    }

    /// Waits until there is something to do for this thread; None: it leaves.
    pub(super) fn next_duty(&self, me: &Arc<Parker>, is_stopping: impl Fn() -> bool) -> Option<Duty<'_>> {
        let mut rota = self.rota.lock();
        loop {
            if rota.ended || is_stopping() {
                rota.ended = true;
                rota.call_all();
                return None;
            }
            if let Some((number, held)) = self.free_lane(&rota) {
                rota.appoint_lookout();
                return Some(Duty::Lead(number, held));
            }
            if let Some(id) = rota.queue.pop_front() {
                self.queued.fetch_sub(1, Ordering::Relaxed);
                rota.appoint_lookout();
                return Some(Duty::Answer(id));
            }
            if rota.lookout.is_none() {
                let Some((number, held)) = self.look_out(me, &mut rota) else { continue };
                let is_watched = rota.appoint_lookout();
                drop(rota);
                if !is_watched {
                    self.make_spare();
                }
                return Some(Duty::Overran(number, held));
            }
            rota.parked.push(Arc::clone(me));
            while !me.called.swap(false, Ordering::Relaxed) {
                me.bell.wait(&mut rota);
            }
        }
    }

    /// An active lane that is nobody's, for a thread that does not wait for one.
    pub(super) fn take_free(&self) -> Option<(usize, Held<'_, Batch>)> {
        // The first is always active, so it takes no lock.
        self.lanes[0].baton.take().map(|held| (0, held)).or_else(|| self.free_lane(&self.rota.lock()))
    }

    fn free_lane(&self, rota: &Rota) -> Option<(usize, Held<'_, Batch>)> {
        self.lanes[..rota.active].iter().enumerate().find_map(|(number, lane)| Some((number, lane.baton.take()?)))
    }

    /// Looks at the batons until one is to be taken over, or somebody calls.
    fn look_out<'l>(&'l self, me: &Arc<Parker>, rota: &mut MutexGuard<'_, Rota>) -> Option<(usize, Held<'l, Batch>)> {
        rota.lookout = Some(Arc::clone(me));
        self.is_watched.store(true, Ordering::Relaxed);
        let mut seen = Seen::new();
        let mut quiet = 0;
        loop {
            if quiet < QUIET_TICKS {
                me.bell.wait_for(rota, self.tick);
            } else {
                self.rest(me, rota, &seen);
                quiet = 0;
            }
            if me.called.swap(false, Ordering::Relaxed) {
                // Whoever has called has put somebody else, or nobody, in this place.
                return None;
            }
            match self.look(&mut seen) {
                Look::Overran(number, held) => {
                    rota.lookout = None;
                    self.is_watched.store(false, Ordering::Relaxed);
                    return Some((number, held));
                }
                Look::Quiet => quiet += 1,
                Look::Moved => quiet = 0,
            }
        }
    }

    /// Rests until something moves, or somebody calls.
    fn rest(&self, me: &Parker, rota: &mut MutexGuard<'_, Rota>, seen: &Seen) {
        let batches = self.lanes.iter().zip(seen).map(|(lane, seen)| (&lane.batches, seen.1));
        self.rest.take(rota, &me.bell, batches, || me.called.load(Ordering::Relaxed));
    }

    /// Looks at all lanes once. The first look sees nothing but what the next one compares with.
    pub(super) fn look(&self, seen: &mut Seen) -> Look<'_> {
        seen.resize_with(self.lanes.len(), Default::default);
        let mut moved = false;
        for (number, (lane, seen)) in self.lanes.iter().zip(seen).enumerate() {
            let now = (lane.baton.look(), lane.batches.count());
            let overran = if now.0 == seen.0 { lane.baton.take_over(now.0) } else { None };
            if let Some(held) = overran {
                lane.taken_us.store(clock::microseconds(), Ordering::Relaxed);
                return Look::Overran(number, held);
            }
            moved |= now != *seen || lane.batches.is_on();
            *seen = now;
        }
        if moved { Look::Moved } else { Look::Quiet }
    }

    /// Is there a batch in any lane?
    pub(super) fn are_serving(&self) -> bool {
        self.lanes.iter().any(|lane| lane.batches.is_on())
    }

    /// Is a lane nobody's whose batch was not served to its end?
    pub(super) fn are_left(&self) -> bool {
        self.lanes.iter().any(|lane| is_left(&lane.baton, &lane.batches))
    }

    /// The route whose handler ran when this lane was taken over.
    pub(super) fn overran_route(&self, number: usize) -> Option<usize> {
        self.lanes[number].route.load(Ordering::Relaxed).checked_sub(1).map(|route| route as usize)
    }

    /// A batch was taken.
    pub(super) fn begin_batch(&self, number: usize) {
        if self.lanes[number].batches.note() {
            let rota = self.rota.lock();
            self.rest.end(&rota);
            if let Some(lookout) = &rota.lookout {
                lookout.bell.notify_one();
            }
        }
    }

    /// All of the batch was served.
    pub(super) fn end_batch(&self, number: usize) {
        self.lanes[number].batches.note_end();
    }

    /// What is served next is no handler, as far as is known.
    pub(super) fn begin_task(&self, number: usize) {
        self.lanes[number].route.store(0, Ordering::Relaxed);
    }

    /// More comes than the active lanes can do: one more is led, if there is a thread for it.
    pub(super) fn widen(&self) {
        let mut rota = self.rota.lock();
        if rota.active == self.lanes.len() {
            return;
        }
        // The lookout stays: who is called comes from those that are parked.
        match rota.parked.pop() {
            Some(parker) => {
                rota.active += 1;
                parker.call();
            }
            None if rota.lookout.is_some() => {
                drop(rota);
                if self.make_spare() {
                    let mut rota = self.rota.lock();
                    // The leader of another lane may have had the same wish meanwhile.
                    rota.active = self.lanes.len().min(rota.active + 1);
                    // As in `give_away`.
                    if let Some(parker) = rota.parked.pop() {
                        parker.call();
                    }
                }
            }
            None => {}
        }
    }

    /// There is too little to do for this lane. Gives it back where another one is to be left first.
    pub(super) fn narrow<'l>(&'l self, number: usize, held: Held<'l, Batch>) -> Option<Held<'l, Batch>> {
        let mut rota = self.rota.lock();
        if number == 0 || number + 1 != rota.active {
            return Some(held);
        }
        rota.active -= 1;
        held.lay_down();
        None
    }

    /// Somebody who is idle, and is to be called. The lookout goes last.
    fn reserve(&self, rota: &mut Rota) -> Option<Arc<Parker>> {
        rota.parked.pop().or_else(|| {
            self.is_watched.store(false, Ordering::Relaxed);
            rota.lookout.take()
        })
    }

    /// A leader ends: the lane is for whoever is idle.
    pub(super) fn lay_down(&self, held: Held<'_, Batch>) {
        let mut rota = self.rota.lock();
        held.lay_down();
        if let Some(parker) = self.reserve(&mut rota) {
            parker.call_and_unlock(rota);
        }
    }

    /// Gives a lane to somebody who is idle, in the middle of a service. False: there is nobody.
    fn give_away(&self, lane: &Lane, service: Service) -> bool {
        {
            let mut rota = self.rota.lock();
            if let Some(parker) = self.reserve(&mut rota) {
                // Where it was taken over in this moment, who is called finds nothing to do, and that is all.
                lane.baton.lay_down(service);
                parker.call_and_unlock(rota);
                return true;
            }
            if !lane.baton.is_on(service) {
                return true;
            }
        }
        if !self.make_spare() {
            return false;
        }
        let mut rota = self.rota.lock();
        lane.baton.lay_down(service);
        // The one that was made may have come, found nothing to lead, and be idle by now.
        if let Some(parker) = self.reserve(&mut rota) {
            parker.call_and_unlock(rota);
        }
        true
    }

    /// Is a thread idle, or can one be made?
    fn has_idle(&self) -> bool {
        let rota = self.rota.lock();
        !rota.parked.is_empty() || rota.lookout.is_some() || !rota.spare_made
    }

    /// Makes the thread that stands by, once. False: it was made before, or cannot be.
    fn make_spare(&self) -> bool {
        let wanted = !std::mem::replace(&mut self.rota.lock().spare_made, true);
        wanted && self.reinforce.get().is_some_and(|reinforce| reinforce())
    }

    /// A request that waits for a thread has lost its client.
    pub(super) fn forget(&self, id: Id) {
        let mut rota = self.rota.lock();
        if let Some(place) = rota.queue.iter().position(|&queued| queued == id) {
            rota.queue.remove(place);
            self.queued.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A request waits for a thread.
    pub(super) fn enqueue(&self, id: Id) {
        let mut rota = self.rota.lock();
        rota.queue.push_back(id);
        self.queued.fetch_add(1, Ordering::Relaxed);
        if let Some(parker) = self.reserve(&mut rota) {
            parker.call_and_unlock(rota);
        }
    }
}

/// What a thread remembers from one look to the next: the word of each lane, and how many batches it had taken.
pub(super) type Seen = Vec<(Word, usize)>;

/// What a look at the lanes has shown.
pub(super) enum Look<'l> {
    /// Nothing has moved, and nobody serves.
    Quiet,
    Moved,
    /// A service has lasted too long; its lane is in hand.
    Overran(usize, Held<'l, Batch>),
}

impl Parker {
    /// The caller has the lock of the rota.
    fn call(&self) {
        self.called.store(true, Ordering::Relaxed);
        self.bell.notify_one();
    }

    /// Lets go of the lock before it rings, since who is called needs it at once: 0.3 waits less for each request that blocks.
    fn call_and_unlock(&self, rota: MutexGuard<'_, Rota>) {
        self.called.store(true, Ordering::Relaxed);
        drop(rota);
        self.bell.notify_one();
    }
}

impl Rota {
    /// A parked thread becomes the lookout, if there is none. False: there is nobody.
    fn appoint_lookout(&mut self) -> bool {
        if self.lookout.is_some() {
            return true;
        }
        self.parked.pop().map(|parker| parker.call()).is_some()
    }

    fn call_all(&mut self) {
        for parker in self.parked.drain(..).chain(self.lookout.take()) {
            parker.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_lanes_are_led_than_there_are() {
        let lanes = Arc::new(Lanes::new(&Arc::default(), 3, 2000, 1024, true));
        {
            let mut rota = lanes.rota.lock();
            rota.active = 2;
            rota.lookout = Some(Arc::default());
        }
        // While one leader makes the thread that stands by, that one is idle already, and the leader of the other lane calls it.
        let known = Arc::downgrade(&lanes);
        lanes.reinforce_by(move || {
            let lanes = known.upgrade().unwrap();
            lanes.rota.lock().parked.push(Arc::default());
            lanes.widen();
            true
        });
        lanes.widen();
        let held: Vec<_> = std::iter::from_fn(|| lanes.take_free()).collect();
        assert_eq!(held.len(), 3);
    }
}

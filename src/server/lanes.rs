//! Lanes: the right to poll, and who has it.
//!
//! As many threads poll as there are active lanes. A thread that leads a lane holds its baton, takes events from the epoll into the
//! lane, and serves them one by one, handlers included. One idle thread is the lookout: if a service lasts longer than a tick or two, it
//! takes over the lane with the remaining events. So a handler that blocks holds up one thread and one connection. Before a handler that
//! is known to block, the lane is given away. The other idle threads are parked.
//!
//! Invariants:
//! 1. Events that were taken and not served are in a lane, never private to a thread.
//! 2. No thread parks while an active lane is free or a request is queued.
//! 3. A thread gives its lane up only to an idle thread. So there always is a thread outside handlers known to block.

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

/// Events taken at a time if other threads can take them over, and if there is no other thread.
pub(super) const BATCH: usize = 8;
pub(super) const BATCH_ALONE: usize = 64;
/// Connections accepted per turn.
const ACCEPTED: usize = 16;
/// After this many full batches in a row one more lane is activated.
const FULL_BATCHES: u32 = 4;
/// After this many ticks without activity the lookout rests.
const QUIET_TICKS: u32 = 50;
/// The shortest tick. With `tick_us` = 0 the usual one is used, since then the lane is given away before every handler.
const LEAST_TICK: Duration = Duration::from_micros(20);
const USUAL_TICK: Duration = Duration::from_millis(2);

/// All lanes, and the idle threads.
pub(super) struct Lanes {
    lanes: Box<[Lane]>,
    tick: Duration,
    /// Is every handler considered blocking? For tests.
    always: bool,
    rota: Mutex<Rota>,
    /// Is there a lookout? If not, each thread times its own handlers.
    is_watched: AtomicBool,
    /// Whether the lookout rests; if so, the thread that takes a batch wakes it.
    rest: Rest,
    max_queued: usize,
    /// The length of the queue, readable without the lock.
    queued: AtomicUsize,
    /// Can a standby thread be made? Without one, as many handlers may block as there are threads, and none is left to serve.
    may_reinforce: bool,
    crew: Arc<Crew>,
    /// Makes the standby thread.
    reinforce: OnceCell<Reinforce>,
}

type Reinforce = Box<dyn Fn() -> bool + Send + Sync>;

struct Lane {
    baton: Baton<Batch>,
    /// The route whose handler runs, plus 1; 0 for none.
    route: AtomicU32,
    /// Counts the batches taken.
    batches: Moves,
    /// When it was last taken over, in microseconds.
    taken_us: AtomicU64,
}

/// A lane's events.
pub(super) struct Batch {
    pub(super) events: [Event; BATCH_ALONE],
    count: usize,
    cursor: usize,
    /// A listener that may have more connections, and how many may still be accepted in this turn.
    door: Option<Door>,
    /// How many batches in a row were full.
    full: u32,
    /// Is the leader a thread that stays, and waits for events while it holds the lane?
    is_kept: bool,
}

#[derive(Clone, Copy)]
struct Door {
    number: usize,
    left: usize,
}

/// What to serve next.
pub(super) enum Task {
    /// An event of the socket with this token.
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
    /// The next task. The cursor is past it already, except for a listener that may have more connections.
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

    /// Notes whether the leader stays, or returns to the host after one batch. True: that has changed.
    pub(super) fn keep(&mut self, stays: bool) -> bool {
        std::mem::replace(&mut self.is_kept, stays) != stays
    }

    /// Notes that connections wait at a listener.
    pub(super) fn open_door(&mut self, number: usize) {
        self.door = Some(Door { number, left: ACCEPTED });
    }

    pub(super) fn close_door(&mut self) {
        self.door = None;
    }

    /// Counts an accepted connection. True: the turn's limit is reached, and more may wait.
    pub(super) fn note_accepted(&mut self) -> bool {
        let Some(door) = &mut self.door else { return false };
        door.left -= 1;
        let last = door.left == 0;
        if last {
            self.door = None;
        }
        last
    }

    /// Notes the number of events that were received, of `most` possible. True: one lane is not enough.
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

/// The idle threads, and the queue.
#[derive(Default)]
struct Rota {
    parked: Vec<Arc<Parker>>,
    lookout: Option<Arc<Parker>>,
    /// Requests that wait for a thread on which their handler may block.
    queue: VecDeque<Id>,
    /// The number of active lanes; those from this index on are not led.
    active: usize,
    ended: bool,
    spare_made: bool,
}

/// Where an idle thread parks.
#[derive(Default)]
pub(super) struct Parker {
    bell: Condvar,
    /// Was it woken? Changed only under the rota's lock.
    called: AtomicBool,
}

/// What an idle thread is to do next.
pub(super) enum Duty<'l> {
    /// Lead the lane with this number.
    Lead(usize, Held<'l, Batch>),
    /// The same, since its previous leader took too long.
    Overran(usize, Held<'l, Batch>),
    /// Run the handler of a queued request.
    Answer(Id),
}

/// The service that a thread is in, and its lane. Used by that thread only.
pub(super) struct Shift {
    lanes: Option<Arc<Lanes>>,
    lane: AtomicUsize,
    /// The word of the service; 0 if it leads no lane.
    service: AtomicU64,
}

impl Shift {
    pub(super) fn new(lanes: &Arc<Lanes>) -> Shift {
        Shift { lanes: Some(Arc::clone(lanes)), lane: AtomicUsize::new(0), service: AtomicU64::new(0) }
    }

    /// For a thread without lanes.
    #[cfg(test)]
    pub(super) fn none() -> Shift {
        Shift { lanes: None, lane: AtomicUsize::new(0), service: AtomicU64::new(0) }
    }

    /// Begins a service.
    pub(super) fn begin(&self, lane: usize, service: Service) {
        self.lane.store(lane, Ordering::Relaxed);
        self.service.store(service.number(), Ordering::Relaxed);
    }

    fn leading(&self) -> Option<(&Lanes, &Lane, Service)> {
        let service = self.service.load(Ordering::Relaxed);
        let lanes = self.lanes.as_deref().filter(|_| service != 0)?;
        Some((lanes, &lanes.lanes[self.lane.load(Ordering::Relaxed)], Service::of(service)))
    }

    /// Does this thread still lead?
    pub(super) fn leads(&self) -> bool {
        self.leading().is_some_and(|(_, lane, service)| lane.baton.is_on(service))
    }

    /// Notes the route whose handler is about to run.
    pub(super) fn note_route(&self, route: usize) {
        if let Some((_, lane, _)) = self.leading().filter(|(_, lane, service)| lane.baton.is_on(*service)) {
            lane.route.store(route as u32 + 1, Ordering::Relaxed);
        }
    }

    /// Is every handler considered blocking?
    pub(super) fn takes_all_to_block(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| lanes.always)
    }

    /// Has the lane been taken over, and at least a tick ago? None: it has not.
    pub(super) fn overran(&self) -> Option<bool> {
        let (lanes, lane, service) = self.leading()?;
        if lane.baton.is_on(service) {
            return None;
        }
        // Reported once: what follows in the same service has not overrun.
        self.service.store(0, Ordering::Relaxed);
        let since = clock::microseconds().saturating_sub(lane.taken_us.load(Ordering::Relaxed));
        Some(u128::from(since) >= lanes.tick.as_micros())
    }

    /// Are there other threads, but no lookout?
    pub(super) fn is_unwatched(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| !lanes.is_watched.load(Ordering::Relaxed)) && !self.is_alone()
    }

    /// Would the lookout have taken the lane over? And was the time too long to be chance, such as a wait for a processor?
    pub(super) fn has_overrun(&self, time: Duration) -> Option<bool> {
        let tick = self.lanes.as_ref()?.tick;
        (time >= 2 * tick).then_some(time >= 5 * tick)
    }

    /// Is this the only thread? Then there is no other to leave anything to.
    pub(super) fn is_alone(&self) -> bool {
        self.lanes.as_ref().is_none_or(|lanes| lanes.crew.serving() < 2)
    }

    /// May a request be queued if no thread is idle? Only with a standby thread: without it all threads may block, and none lead.
    pub(super) fn may_leave_it(&self) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| lanes.may_reinforce) && !self.is_alone()
    }

    /// Is there room in the queue?
    pub(super) fn has_room_in_queue(&self) -> bool {
        self.lanes.as_ref().is_none_or(|lanes| lanes.queued.load(Ordering::Relaxed) < lanes.max_queued)
    }

    /// Does it lead no lane, or one that it could give away?
    pub(super) fn could_step_aside(&self) -> bool {
        self.leading().is_none_or(|(lanes, lane, service)| lanes.has_idle() || !lane.baton.is_on(service))
    }

    /// Gives the lane away, if it leads one. False: no thread is idle.
    pub(super) fn step_aside(&self) -> bool {
        let Some((lanes, lane, service)) = self.leading() else { return true };
        let aside = lanes.give_away(lane, service);
        if aside {
            self.service.store(0, Ordering::Relaxed);
        }
        aside
    }

    /// Ends the service. Some: the lane is still this thread's.
    pub(super) fn end<'l>(&self, lanes: &'l Lanes) -> Option<Held<'l, Batch>> {
        // No swap: only this thread writes it.
        let service = self.service.load(Ordering::Relaxed);
        self.service.store(0, Ordering::Relaxed);
        match service {
            0 => None,
            service => lanes.lanes[self.lane.load(Ordering::Relaxed)].baton.resume(Service::of(service)),
        }
    }
}

impl Lanes {
    /// `tick_us`: the lookout's tick; with 0 every handler is considered blocking.
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

    /// Sets the function that makes the standby thread.
    pub(super) fn reinforce_by(&self, reinforce: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.reinforce.set(Box::new(reinforce));
    }

    /// How many requests are queued.
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn tick(&self) -> Duration {
        self.tick
    }

    /// Waits until there is something to do; None: the thread is to leave.
    pub(super) fn next_duty(&self, me: &Arc<Parker>, is_stopping: impl Fn() -> bool) -> Option<Duty<'_>> {
        let mut rota = self.rota.lock();
        let mut looked_out = false;
        loop {
            if rota.ended || is_stopping() {
                rota.ended = true;
                rota.call_all();
                return None;
            }
            if let Some((number, held)) = self.free_lane(&rota) {
                self.replace_lookout(rota, looked_out);
                return Some(Duty::Lead(number, held));
            }
            if let Some(id) = rota.queue.pop_front() {
                self.queued.fetch_sub(1, Ordering::Relaxed);
                self.replace_lookout(rota, looked_out);
                return Some(Duty::Answer(id));
            }
            if rota.lookout.is_none() {
                looked_out = true;
                let Some((number, held)) = self.look_out(me, &mut rota) else { continue };
                self.replace_lookout(rota, looked_out);
                return Some(Duty::Overran(number, held));
            }
            rota.parked.push(Arc::clone(me));
            while !me.called.swap(false, Ordering::Relaxed) {
                me.bell.wait(&mut rota);
            }
        }
    }

    /// This thread has a duty, so another one must look out. If it `looked_out` itself, and none is idle, the standby thread is made.
    fn replace_lookout(&self, mut rota: MutexGuard<'_, Rota>, looked_out: bool) {
        let is_watched = rota.appoint_lookout();
        drop(rota);
        if looked_out && !is_watched {
            self.make_spare();
        }
    }

    /// A free active lane, for a thread that does not wait for one.
    pub(super) fn take_free(&self) -> Option<(usize, Held<'_, Batch>)> {
        // The first lane is always active, so it is tried without the lock.
        self.lanes[0].baton.take().map(|held| (0, held)).or_else(|| self.free_lane(&self.rota.lock()))
    }

    fn free_lane(&self, rota: &Rota) -> Option<(usize, Held<'_, Batch>)> {
        self.lanes[..rota.active].iter().enumerate().find_map(|(number, lane)| Some((number, lane.baton.take()?)))
    }

    /// Checks the batons until a lane can be taken over (Some), or this thread is woken for something else (None).
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
                // The caller has already replaced or removed the lookout.
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

    /// Rests until a batch is taken, or this thread is woken.
    fn rest(&self, me: &Parker, rota: &mut MutexGuard<'_, Rota>, seen: &Seen) {
        let batches = self.lanes.iter().zip(seen).map(|(lane, seen)| (&lane.batches, seen.1));
        self.rest.take(rota, &me.bell, batches, || me.called.load(Ordering::Relaxed));
    }

    /// Checks all lanes once. The first check only records what the next one compares with.
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

    /// Is a lane free although its batch was not served to the end?
    pub(super) fn are_left(&self) -> bool {
        self.lanes.iter().any(|lane| is_left(&lane.baton, &lane.batches))
    }

    /// The route whose handler ran when this lane was taken over.
    pub(super) fn overran_route(&self, number: usize) -> Option<usize> {
        self.lanes[number].route.load(Ordering::Relaxed).checked_sub(1).map(|route| route as usize)
    }

    /// Notes that a batch was taken, and wakes the lookout if it rests.
    pub(super) fn begin_batch(&self, number: usize) {
        if self.lanes[number].batches.note() {
            let rota = self.rota.lock();
            self.rest.end(&rota);
            if let Some(lookout) = &rota.lookout {
                lookout.bell.notify_one();
            }
        }
    }

    /// Notes that the whole batch was served.
    pub(super) fn end_batch(&self, number: usize) {
        self.lanes[number].batches.note_end();
    }

    /// Clears the route: what is served next is not known to run a handler.
    pub(super) fn begin_task(&self, number: usize) {
        self.lanes[number].route.store(0, Ordering::Relaxed);
    }

    /// Activates one more lane, if there is a thread for it.
    pub(super) fn widen(&self) {
        let mut rota = self.rota.lock();
        if rota.active == self.lanes.len() {
            return;
        }
        // Only parked threads are woken; the lookout stays.
        match rota.parked.pop() {
            Some(parker) => {
                rota.active += 1;
                parker.call();
            }
            None if rota.lookout.is_some() => {
                drop(rota);
                if self.make_spare() {
                    let mut rota = self.rota.lock();
                    // The leader of another lane may have activated the last one at the same time.
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

    /// For a leader between two batches. None: its lane is deactivated, since nobody looks out for the leaders of the others: this thread is to.
    pub(super) fn lead_on<'l>(&'l self, number: usize, held: Held<'l, Batch>) -> Option<Held<'l, Batch>> {
        if number == 0 || self.is_watched.load(Ordering::Relaxed) { Some(held) } else { self.narrow(number, held) }
    }

    /// Deactivates this lane for lack of events. Some: not this one, since lanes are deactivated from the last on.
    pub(super) fn narrow<'l>(&'l self, number: usize, held: Held<'l, Batch>) -> Option<Held<'l, Batch>> {
        let mut rota = self.rota.lock();
        if number == 0 || number + 1 != rota.active {
            return Some(held);
        }
        rota.active -= 1;
        held.lay_down();
        None
    }

    /// Removes an idle thread from the rota, for the caller to wake; the lookout only if no other is idle.
    fn reserve(&self, rota: &mut Rota) -> Option<Arc<Parker>> {
        rota.parked.pop().or_else(|| {
            self.is_watched.store(false, Ordering::Relaxed);
            rota.lookout.take()
        })
    }

    /// A leader leaves: frees the lane and wakes an idle thread.
    pub(super) fn lay_down(&self, held: Held<'_, Batch>) {
        let mut rota = self.rota.lock();
        held.lay_down();
        if let Some(parker) = self.reserve(&mut rota) {
            parker.call_and_unlock(rota);
        }
    }

    /// Frees a lane during a service and wakes an idle thread. False: no thread is idle.
    fn give_away(&self, lane: &Lane, service: Service) -> bool {
        {
            let mut rota = self.rota.lock();
            if let Some(parker) = self.reserve(&mut rota) {
                // If the lane was taken over just now, the woken thread finds nothing to do, which is harmless.
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
        // The new thread may have started, found no free lane, and parked already.
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

    /// Makes the standby thread. False: it was made before, or cannot be made.
    fn make_spare(&self) -> bool {
        let wanted = !std::mem::replace(&mut self.rota.lock().spare_made, true);
        wanted && self.reinforce.get().is_some_and(|reinforce| reinforce())
    }

    /// Removes a queued request whose client has left.
    pub(super) fn forget(&self, id: Id) {
        let mut rota = self.rota.lock();
        if let Some(place) = rota.queue.iter().position(|&queued| queued == id) {
            rota.queue.remove(place);
            self.queued.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Queues a request for a thread.
    pub(super) fn enqueue(&self, id: Id) {
        let mut rota = self.rota.lock();
        rota.queue.push_back(id);
        self.queued.fetch_add(1, Ordering::Relaxed);
        if let Some(parker) = self.reserve(&mut rota) {
            parker.call_and_unlock(rota);
        }
    }
}

/// What the lookout remembers from the previous check: for each lane the word, and the number of batches taken.
pub(super) type Seen = Vec<(Word, usize)>;

/// The result of a check.
pub(super) enum Look<'l> {
    /// Nothing has changed, and no lane has a batch.
    Quiet,
    Moved,
    /// A service has taken too long; its lane is now held by this thread.
    Overran(usize, Held<'l, Batch>),
}

impl Parker {
    /// The caller must hold the rota's lock.
    fn call(&self) {
        self.called.store(true, Ordering::Relaxed);
        self.bell.notify_one();
    }

    /// Unlocks before it notifies, since the woken thread needs the lock at once; this saves 0.3 waits per blocking request.
    fn call_and_unlock(&self, rota: MutexGuard<'_, Rota>) {
        self.called.store(true, Ordering::Relaxed);
        drop(rota);
        self.bell.notify_one();
    }
}

impl Rota {
    /// Wakes a parked thread to become the lookout, if there is none. False: no thread is parked.
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
        // While one leader makes the standby thread, that one parks already, and the leader of another lane wakes it.
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

    #[test]
    fn a_lane_beyond_the_first_is_led_on_only_while_somebody_looks_out() {
        let lanes = Lanes::new(&Arc::default(), 2, 2000, 1024, true);
        lanes.rota.lock().active = 2;
        let (first, second) = (lanes.take_free().unwrap(), lanes.take_free().unwrap());
        lanes.is_watched.store(true, Ordering::Relaxed);
        let second = lanes.lead_on(second.0, second.1).expect("somebody does");
        lanes.is_watched.store(false, Ordering::Relaxed);
        assert!(lanes.lead_on(1, second).is_none(), "the leader of the first lane may be blocked, and nobody would notice");
        assert!(lanes.lead_on(first.0, first.1).is_some());
        let me = Arc::default();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| lanes.next_duty(&me, || stop.load(Ordering::Relaxed)).is_none());
            while !lanes.is_watched.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
            assert!(lanes.next_duty(&Arc::default(), || true).is_none());
        });
    }
}

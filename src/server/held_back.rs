//! Answers that are held back for a moment and sent together, since waking a sleeping client costs more than answering it.
//!
//! This pays only for clients on this machine that sleep while they wait. Others lose time by it, and so does this thread, which returns to
//! sockets that are no longer in its caches. Which case it is shows in the send times: if clients sleep, the first send takes longer than
//! the following ones, whose recipient is awake by then.

use super::slab::Id;
use super::sys::owned::Kept;
use crate::output::Output;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// They are held back for about this many requests; each request brings at most one of them.
const MOST: usize = 16;
/// From fewer answers nothing is learned.
const TELLING: usize = 4;
/// After this many batches in a row that woke no client, answers are sent at once.
const CALM_BATCHES: u32 = 16;
/// This many answers are sent at once; then a batch is held back as a probe.
const AT_ONCE: usize = 256;

/// Connections whose answers are ready, and are sent as soon as no further quick request comes.
#[derive(Default)]
pub(super) struct HeldBack {
    inner: Mutex<Inner>,
    /// For how many requests they have waited. Approximate if several threads take requests, like `at_once`.
    waited: AtomicUsize,
    /// This many answers are still to be sent at once.
    at_once: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    answers: Vec<Answer>,
    calm: Calm,
    /// Buffers for the next answers.
    #[allow(clippy::vec_box, reason = "they take the place of others in their boxes")]
    spare: Vec<Box<Output>>,
}

/// An answer to be sent.
pub(super) enum Answer {
    /// Of an exchange: `attend` sends it.
    Given(Id),
    /// Of a request that was lent: its connection has it, and stays owned.
    Ready(Id, Kept),
}

/// How long sending a batch took: the first answer, and the fastest of the others.
#[derive(Default)]
pub(super) struct Took {
    count: usize,
    first: Duration,
    least: Duration,
}

impl Took {
    /// Adds the time of one answer.
    pub(super) fn add(&mut self, time: Duration) {
        match self.count {
            0 => self.first = time,
            1 => self.least = time,
            _ => self.least = self.least.min(time),
        }
        self.count += 1;
    }
}

/// How many batches in a row have woken no client.
#[derive(Default)]
struct Calm(u32);

impl Calm {
    /// Learns from a batch. True: answers are to be sent at once for a while. Then one more such batch suffices the next time.
    fn learn(&mut self, took: &Took) -> bool {
        if took.count < TELLING {
            return false;
        }
        // The first takes 4.1 times as long as the others if it wakes a client, else 1.03 times (medians of many).
        self.0 = if took.first > 2 * took.least { 0 } else { self.0 + 1 };
        let is_calm = self.0 >= CALM_BATCHES;
        self.0 -= u32::from(is_calm);
        is_calm
    }
}

impl HeldBack {
    /// Is the next answer to be held back at all?
    pub(super) fn pays(&self) -> bool {
        let left = self.at_once.load(Ordering::Relaxed);
        if left > 0 {
            self.at_once.store(left - 1, Ordering::Relaxed);
        }
        left == 0
    }

    /// May they wait for one more request?
    pub(super) fn may_wait(&self) -> bool {
        let waited = self.waited.load(Ordering::Relaxed) + 1;
        self.waited.store(waited, Ordering::Relaxed);
        waited < MOST
    }

    /// Adds the answer of an exchange.
    pub(super) fn push_given(&self, id: Id) {
        self.inner.lock().answers.push(Answer::Given(id));
    }

    /// Adds the answer of a request that was lent. `keep` gets a buffer in exchange for the one that is held back.
    pub(super) fn push(&self, id: Id, keep: impl FnOnce(Box<Output>) -> Kept) {
        let mut inner = self.inner.lock();
        let kept = keep(inner.spare.pop().unwrap_or_default());
        inner.answers.push(Answer::Ready(id, kept));
    }

    /// Takes all of them.
    pub(super) fn take(&self) -> Vec<Answer> {
        let mut inner = self.inner.lock();
        self.waited.store(0, Ordering::Relaxed);
        std::mem::take(&mut inner.answers)
    }

    /// Learns from a batch that was sent, and keeps spare buffers.
    #[allow(clippy::vec_box, reason = "they take the place of others in their boxes")]
    pub(super) fn note_sent(&self, buffers: &mut Vec<Box<Output>>, took: &Took) {
        buffers.iter_mut().for_each(|out| out.clear());
        let mut inner = self.inner.lock();
        let room = MOST.saturating_sub(inner.spare.len()).min(buffers.len());
        inner.spare.extend(buffers.drain(..room));
        if inner.calm.learn(took) {
            self.at_once.store(AT_ONCE, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a batch of answers that took so many microseconds each.
    fn send_each(held: &HeldBack, times: &[u64]) {
        let mut took = Took::default();
        times.iter().for_each(|&time| took.add(Duration::from_micros(time)));
        held.note_sent(&mut Vec::new(), &took);
    }

    /// Sends a batch of `count` answers, of which the first took `first` microseconds, and each of the others four.
    fn send(held: &HeldBack, count: usize, first: u64) {
        let times: Vec<u64> = (0..count).map(|at| if at == 0 { first } else { 4 }).collect();
        send_each(held, &times);
    }

    fn leave_at_once(held: &HeldBack) -> usize {
        (0..2 * AT_ONCE).take_while(|_| !held.pays()).count()
    }

    #[test]
    fn answers_are_sent_at_once_if_no_client_is_woken() {
        let held = HeldBack::default();
        (1..CALM_BATCHES).for_each(|_| send(&held, 16, 5));
        assert_eq!(leave_at_once(&held), 0);
        send(&held, 16, 5);
        assert_eq!(leave_at_once(&held), AT_ONCE);
    }

    #[test]
    fn a_batch_is_occasionally_held_back_as_a_probe() {
        let held = HeldBack::default();
        (0..CALM_BATCHES).for_each(|_| send(&held, 16, 5));
        assert_eq!(leave_at_once(&held), AT_ONCE);
        send(&held, 16, 5);
        assert_eq!(leave_at_once(&held), AT_ONCE, "one calm batch is enough");
        send(&held, 16, 16);
        send(&held, 16, 5);
        assert_eq!(leave_at_once(&held), 0, "one that woke somebody is enough as well");
    }

    #[test]
    fn answers_are_held_back_if_clients_are_woken() {
        let held = HeldBack::default();
        for _ in 0..10 {
            (1..CALM_BATCHES).for_each(|_| send(&held, 16, 5));
            send(&held, 16, 16);
        }
        assert_eq!(leave_at_once(&held), 0);
    }

    #[test]
    fn several_woken_clients_count_unless_each_answer_wakes_one() {
        let held = HeldBack::default();
        (0..2 * CALM_BATCHES).for_each(|_| send_each(&held, &[16, 15, 4, 16, 16, 4, 15, 4]));
        assert_eq!(leave_at_once(&held), 0, "some were awake when theirs came");
        (0..CALM_BATCHES).for_each(|_| send_each(&held, &[16, 15, 17, 16, 16, 15, 15, 16]));
        assert_eq!(leave_at_once(&held), AT_ONCE, "it spares nobody anything");
    }

    #[test]
    fn small_batches_teach_nothing() {
        let held = HeldBack::default();
        (0..10 * CALM_BATCHES).for_each(|_| send(&held, TELLING - 1, 4));
        assert_eq!(leave_at_once(&held), 0);
        (1..CALM_BATCHES).for_each(|_| send(&held, TELLING, 4));
        send(&held, 1, 100);
        send(&held, TELLING, 4);
        assert_eq!(leave_at_once(&held), AT_ONCE);
    }

    #[test]
    fn answers_wait_for_a_limited_number_of_requests() {
        let held = HeldBack::default();
        assert_eq!((0..2 * MOST).take_while(|_| held.may_wait()).count(), MOST - 1);
        assert!(held.take().is_empty());
        assert!(held.may_wait(), "the next ones wait anew");
    }
}

//! Answers that are kept back for a moment, so that they leave together: to wake a client that sleeps costs more than to answer it.

use super::slab::Id;
use super::sys::owned::Kept;
use crate::output::Output;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// For so many requests at most they are kept back. Each request brings one of them at most.
const MOST: usize = 16;

/// Connections whose answers are ready, and leave as soon as no quick request comes before them.
#[derive(Default)]
pub(super) struct HeldBack {
    inner: Mutex<Inner>,
    /// For how many requests they have waited. Not exact where threads meet, whose count is one too low then.
    waited: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    answers: Vec<Answer>,
    /// Buffers for the next answers.
    #[allow(clippy::vec_box, reason = "they take the place of others in their boxes")]
    spare: Vec<Box<Output>>,
}

/// What is to be sent.
pub(super) enum Answer {
    /// That of an exchange: its connection is to be attended to.
    Given(Id),
    /// That of a request that was lent: its connection has it, and is still owned.
    Ready(Id, Kept),
}

impl HeldBack {
    /// May they wait for one more request?
    pub(super) fn may_wait(&self) -> bool {
        let waited = self.waited.load(Ordering::Relaxed) + 1;
        self.waited.store(waited, Ordering::Relaxed);
        waited < MOST
    }

    /// That of an exchange is there.
    pub(super) fn push_given(&self, id: Id) {
        self.inner.lock().answers.push(Answer::Given(id));
    }

    /// That of a request that was lent. `keep` is given a buffer for the place of the one that is kept back.
    pub(super) fn push(&self, id: Id, keep: impl FnOnce(Box<Output>) -> Kept) {
        let mut inner = self.inner.lock();
        let kept = keep(inner.spare.pop().unwrap_or_default());
        inner.answers.push(Answer::Ready(id, kept));
    }

    /// Keeps buffers whose bytes were sent.
    #[allow(clippy::vec_box, reason = "they take the place of others in their boxes")]
    pub(super) fn put_by(&self, mut sent: Vec<Box<Output>>) {
        sent.iter_mut().for_each(|out| out.clear());
        let mut inner = self.inner.lock();
        let room = MOST.saturating_sub(inner.spare.len());
        inner.spare.extend(sent.into_iter().take(room));
    }

    /// All of them.
    pub(super) fn take(&self) -> Vec<Answer> {
        let mut inner = self.inner.lock();
        self.waited.store(0, Ordering::Relaxed);
        std::mem::take(&mut inner.answers)
    }
}

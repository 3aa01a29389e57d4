//! Answers that are kept back for a moment, so that they leave together: to wake a client that sleeps costs more than to answer it.

use super::slab::Id;
use super::sys::owned::Kept;
use crate::output::Output;
use parking_lot::Mutex;

/// For so many requests at most they are kept back. Each request brings one of them at most.
const MOST: usize = 16;

/// Connections whose answers are ready, and leave as soon as no quick request comes before them.
#[derive(Default)]
pub(super) struct HeldBack {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    answers: Vec<Answer>,
    /// For how many requests they have waited.
    waited: usize,
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
        let mut inner = self.inner.lock();
        inner.waited += 1;
        inner.waited < MOST
    }

    /// A buffer in the place of one that is going to be kept back.
    pub(super) fn spare(&self) -> Box<Output> {
        self.inner.lock().spare.pop().unwrap_or_default()
    }

    /// That of an exchange is there.
    pub(super) fn push_given(&self, id: Id) {
        self.inner.lock().answers.push(Answer::Given(id));
    }

    /// That of a request that was lent.
    pub(super) fn push(&self, id: Id, kept: Kept) {
        self.inner.lock().answers.push(Answer::Ready(id, kept));
    }

    /// Keeps a buffer whose bytes were sent.
    pub(super) fn put_by(&self, mut sent: Box<Output>) {
        sent.clear();
        let mut inner = self.inner.lock();
        if inner.spare.len() < MOST {
            inner.spare.push(sent);
        }
    }

    /// All of them.
    pub(super) fn take(&self) -> Vec<Answer> {
        let mut inner = self.inner.lock();
        inner.waited = 0;
        std::mem::take(&mut inner.answers)
    }
}

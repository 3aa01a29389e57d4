//! The models, and how one is run.

mod baton;
mod charge;
mod exchange;
mod leftover;
mod owned;
mod rest;
mod wakes;

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A few threads, and what must hold when they meet.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    run: fn(),
    /// States that some interleavings must reach, as told by [`reached`]; otherwise the model proves nothing.
    reaches: &'static [&'static str],
    /// The most preemptions of a thread that could continue. None: no limit.
    interruptions: Option<usize>,
}

pub(crate) fn all() -> impl Iterator<Item = &'static Model> {
    [baton::MODELS, owned::MODELS, rest::MODELS, leftover::MODELS, exchange::MODELS, wakes::MODELS, charge::MODELS].into_iter().flatten()
}

/// What was reached since it was cleared.
static REACHED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// Notes a state of this interleaving.
fn reached(what: &'static str) {
    REACHED.lock().unwrap().insert(what);
}

impl Model {
    /// Returns the number of interleavings, or what failed in one of them.
    pub(crate) fn try_all_orders(&'static self) -> Result<usize, String> {
        REACHED.lock().unwrap().clear();
        let orders = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&orders);
        let tried = std::thread::spawn(move || {
            let mut builder = loom::model::Builder::new();
            builder.preemption_bound = self.interruptions;
            builder.check(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                (self.run)();
            });
        });
        tried.join().map_err(|panic| words(&*panic))?;
        let reached = REACHED.lock().unwrap();
        match self.reaches.iter().find(|what| !reached.contains(*what)) {
            Some(what) => Err(format!("in none of its orders {what}")),
            None => Ok(orders.load(Ordering::Relaxed)),
        }
    }
}

/// The first line of a panic's message.
fn words(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    words.and_then(|words| words.lines().find(|line| !line.is_empty())).unwrap_or("it panicked").trim().to_string()
}

/// Counts events of one interleaving. Loom does not observe it, so it synchronizes nothing.
#[derive(Clone, Default)]
struct Tally(Arc<AtomicUsize>);

impl Tally {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

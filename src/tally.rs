//! A counter that many threads increment.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sum of all threads' counts. Each thread has a counter of its own, so that no cache line is contended.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Vec<Arc<AtomicU64>>>);

/// Where one thread counts.
pub(crate) struct Place(Arc<AtomicU64>);

impl Tally {
    /// A place to count in; what was counted there stays when it is dropped.
    pub(crate) fn place(&self) -> Place {
        let place = Arc::default();
        self.0.lock().push(Arc::clone(&place));
        Place(place)
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.lock().iter().map(|place| place.load(Ordering::Relaxed)).sum()
    }
}

impl Place {
    /// Adds one. There is only one writer, so no atomic read-modify-write is needed.
    #[inline]
    pub(crate) fn count(&mut self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_add_up_and_outlast_their_threads() {
        let tally = Tally::default();
        for _ in 0..3 {
            let mut place = tally.place();
            place.count();
            place.count();
        }
        assert_eq!(tally.sum(), 6);
    }
}

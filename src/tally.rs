//! A number that many threads count up.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sum of what all threads have counted. Each counts in a place of its own, so that none waits for another's cache.
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
    /// One more. Nobody else writes here, so this needs no bus lock.
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

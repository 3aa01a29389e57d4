//! How many bytes the app holds for all clients together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of unfinished requests and unsent answers, counted against `max_buffered_bytes`.
pub(crate) struct Buffered {
    bytes: AtomicUsize,
    most: usize,
}

impl Buffered {
    pub(crate) fn new(most: usize) -> Buffered {
        Buffered { bytes: AtomicUsize::new(0), most }
    }

    /// A connection that held `before` bytes holds `now`.
    pub(crate) fn replace(&self, before: usize, now: usize) {
        // Modulo 2^64 the sum is right whichever is the greater.
        self.bytes.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Is more held than the app allows?
    pub(crate) fn is_overfull(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_counts_no_more() {
        let buffered = Buffered::new(10);
        buffered.replace(0, 11);
        assert!(buffered.is_overfull());
        buffered.replace(11, 10);
        assert!(!buffered.is_overfull());
        buffered.replace(10, 0);
        buffered.replace(0, 10);
        assert!(!buffered.is_overfull());
    }
}

//! Bytes on their way out.

use crate::response::OwnedBytes;
use std::io::IoSlice;

/// Bodies up to this size are copied behind their heads: one copy is cheaper than one more slice.
const COPIED: usize = 16 * 1024;

/// How many slices one call sends.
pub(super) const SLICES: usize = 16;

/// Answers in order: heads and small bodies in one buffer, large bodies where they lie.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    parts: Vec<Part>,
    /// Of all that is here, in order, the bytes already sent.
    sent: usize,
    /// The bytes of all parts.
    part_bytes: usize,
    /// The bytes sent since it was empty, those that are not here any more as well.
    sent_in_all: usize,
}

/// A body that is sent from where it lies, after the first `at` bytes of the buffer.
struct Part {
    at: usize,
    body: OwnedBytes,
}

impl Output {
    pub(super) fn with_capacity(capacity: usize) -> Output {
        Output { bytes: Vec::with_capacity(capacity), ..Output::default() }
    }

    /// The buffer that heads and small bodies are written to.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Is a body of this size better copied than referred to?
    pub(super) fn copies(len: usize) -> bool {
        len <= COPIED
    }

    /// Adds a body without copying it.
    pub(super) fn push_body(&mut self, body: OwnedBytes) {
        self.part_bytes += (*body).as_ref().len();
        self.parts.push(Part { at: self.bytes.len(), body });
    }

    /// The bytes not yet sent.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.part_bytes - self.sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes were sent since it was empty.
    pub(super) fn sent(&self) -> usize {
        self.sent_in_all
    }

    /// How much memory it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.part_bytes
    }

    /// All that is left, if it lies in one piece.
    pub(super) fn single(&self) -> Option<&[u8]> {
        self.parts.is_empty().then(|| &self.bytes[self.sent..])
    }

    /// The first slices of what is left; gives their number.
    pub(super) fn slices<'a>(&'a self, into: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut skip = self.sent;
        let mut count = 0;
        let mut from = 0;
        let tail = [(self.bytes.len(), &[][..])];
        let pieces = self.parts.iter().map(|part| (part.at, (*part.body).as_ref())).chain(tail);
        for (at, body) in pieces {
            for piece in [&self.bytes[from..at], body] {
                let skipped = skip.min(piece.len());
                skip -= skipped;
                if skipped < piece.len() && count < SLICES {
                    into[count] = IoSlice::new(&piece[skipped..]);
                    count += 1;
                }
            }
            from = at;
            if count == SLICES {
                break;
            }
        }
        count
    }

    /// Notes that the next `count` bytes are sent. Bodies that are passed are dropped.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        self.sent_in_all += count;
        while let Some(Part { at, body }) = self.parts.first() {
            let (at, len) = (*at, (**body).as_ref().len());
            if self.sent < at + len {
                return;
            }
            self.parts.remove(0);
            self.part_bytes -= len;
            self.sent -= at + len;
            self.bytes.drain(..at);
            for part in &mut self.parts {
                part.at -= at;
            }
        }
    }

    /// Empty again, with its buffer; bodies are dropped.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.parts.clear();
        self.sent = 0;
        self.part_bytes = 0;
        self.sent_in_all = 0;
    }

    /// What is left, for a connection to keep; this one is empty again, with its buffer.
    pub(super) fn take_rest(&mut self) -> Output {
        if !self.parts.is_empty() {
            return std::mem::take(self);
        }
        let rest = Output { bytes: self.bytes[self.sent..].to_vec(), ..Output::default() };
        self.clear();
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Output {
        let mut output = Output::default();
        output.bytes_mut().extend_from_slice(b"head1");
        output.push_body(Box::new(b"BODY1".to_vec()));
        output.bytes_mut().extend_from_slice(b"head2");
        output.push_body(Box::new(b"BODY2".to_vec()));
        output.bytes_mut().extend_from_slice(b"tail");
        output
    }

    fn gathered(output: &Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = output.slices(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn bodies_lie_between_their_heads() {
        assert_eq!(gathered(&sample()), b"head1BODY1head2BODY2tail");
    }

    #[test]
    fn it_goes_on_wherever_it_was_cut() {
        let all = b"head1BODY1head2BODY2tail";
        for sent in 0..=all.len() {
            let mut output = sample();
            output.advance(sent);
            assert_eq!(gathered(&output), &all[sent..], "after {sent}");
            assert_eq!(output.len(), all.len() - sent);
            assert_eq!(output.sent(), sent);
        }
    }

    #[test]
    fn a_body_is_dropped_as_soon_as_it_is_sent() {
        let mut output = sample();
        let before = output.held_bytes();
        output.advance(9);
        assert_eq!(output.held_bytes(), before);
        output.advance(1);
        assert_eq!(output.held_bytes(), before - 5);
    }

    #[test]
    fn the_rest_of_a_single_piece_is_copied_out() {
        let mut output = Output::default();
        output.bytes_mut().extend_from_slice(b"abcdef");
        output.advance(4);
        assert_eq!(output.take_rest().single(), Some(&b"ef"[..]));
        assert!(output.is_empty());
    }

    #[test]
    fn more_bodies_than_slices_go_in_turns() {
        let mut output = Output::default();
        let mut all = Vec::new();
        for n in 0..40u8 {
            output.bytes_mut().push(n);
            output.push_body(Box::new(vec![n + 100; 3]));
            all.extend_from_slice(&[n, n + 100, n + 100, n + 100]);
        }
        let mut sent = Vec::new();
        while !output.is_empty() {
            let some = gathered(&output);
            output.advance(some.len());
            sent.extend(some);
        }
        assert_eq!(sent, all);
    }
}

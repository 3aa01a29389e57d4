//! Output that has not been sent yet: heads, bodies and files, in order.

use crate::response::Piece;
use std::fs::File;
use std::io::IoSlice;

/// Bodies up to this size are copied behind their heads: one copy is cheaper than one more slice.
const COPIED: usize = 16 * 1024;

/// How many slices one call sends.
pub(crate) const SLICES: usize = 16;

/// Answers in order: heads and small bodies in one buffer, large bodies and files where they lie.
#[derive(Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    parts: Vec<Part>,
    /// How many of the bytes held here were already sent.
    passed: usize,
    /// The bytes of all parts.
    part_bytes: usize,
    /// The bytes of the parts that are in memory.
    part_memory: usize,
    /// The bytes sent since it was empty, including those no longer held here.
    sent: usize,
}

/// A body that is sent from where it lies, after the first `at` bytes of the buffer.
struct Part {
    at: usize,
    piece: Piece,
}

impl Part {
    fn len(&self) -> usize {
        usize::try_from(self.piece.len()).unwrap_or(usize::MAX)
    }

    fn memory(&self) -> usize {
        match &self.piece {
            Piece::Bytes(_) => self.len(),
            Piece::File(_) => 0,
        }
    }
}

/// The next item to send.
pub(crate) enum Next<'a> {
    /// This many slices. With `more`, a file or further slices follow.
    Slices { count: usize, more: bool },
    /// A part of a file.
    File { file: &'a File, offset: u64, len: usize },
}

impl Output {
    pub(crate) fn with_capacity(capacity: usize) -> Output {
        Output { bytes: Vec::with_capacity(capacity), ..Output::default() }
    }

    /// The buffer that heads and small bodies are written to.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Is a body of this size better copied than referred to?
    pub(crate) fn copies(len: usize) -> bool {
        len <= COPIED
    }

    /// Adds a body without copying it.
    pub(crate) fn push_pieces(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            let part = Part { at: self.bytes.len(), piece };
            self.part_bytes += part.len();
            self.part_memory += part.memory();
            self.parts.push(part);
        }
    }

    /// Appends another output, of which nothing was sent yet.
    pub(crate) fn append(&mut self, other: Output) {
        debug_assert_eq!(other.passed, 0, "what was begun goes on where it was begun");
        self.forget_passed();
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.part_bytes += other.part_bytes;
        self.part_memory += other.part_memory;
        self.parts.extend(other.parts.into_iter().map(|part| Part { at: part.at + shift, ..part }));
    }

    /// Drops the bytes sent once they outnumber the rest: otherwise a stream that never empties would grow without bound.
    fn forget_passed(&mut self) {
        let first = self.parts.first().map_or(self.bytes.len(), |part| part.at);
        if self.passed > first || self.passed < self.bytes.len() - self.passed {
            return;
        }
        self.bytes.drain(..self.passed);
        for part in &mut self.parts {
            part.at -= self.passed;
        }
        self.passed = 0;
        self.bytes.shrink_to(2 * self.bytes.len());
    }

    /// The bytes not yet sent.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.part_bytes - self.passed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes were sent since it was empty.
    pub(crate) fn sent(&self) -> usize {
        self.sent
    }

    /// How much memory it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.part_memory
    }

    /// The whole unsent rest, if it lies in the buffer.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        self.parts.is_empty().then(|| &self.bytes[self.passed..])
    }

    /// The next item to send: slices, which are written to `into`, or a part of a file.
    pub(crate) fn next<'a>(&'a self, into: &mut [IoSlice<'a>; SLICES]) -> Next<'a> {
        let mut skip = self.passed;
        let mut count = 0;
        let mut from = 0;
        for part in &self.parts {
            count = gather(&self.bytes[from..part.at], &mut skip, into, count);
            from = part.at;
            match &part.piece {
                Piece::Bytes(bytes) => count = gather((**bytes).as_ref(), &mut skip, into, count),
                Piece::File(slice) if count == 0 && skip < part.len() => {
                    return Next::File { file: &slice.file, offset: slice.offset + skip as u64, len: part.len() - skip };
                }
                Piece::File(_) if count > 0 => return Next::Slices { count, more: true },
                Piece::File(_) => skip -= part.len(),
            }
            if count == SLICES {
                return Next::Slices { count, more: true };
            }
        }
        let count = gather(&self.bytes[from..], &mut skip, into, count);
        Next::Slices { count, more: false }
    }

    /// Notes that the next `count` bytes were sent. Bodies that were sent completely are dropped.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.passed += count;
        self.sent += count;
        if !self.parts.is_empty() {
            self.pass_parts();
        }
    }

    fn pass_parts(&mut self) {
        while let Some(part) = self.parts.first() {
            let (at, len, memory) = (part.at, part.len(), part.memory());
            if self.passed < at + len {
                return;
            }
            self.parts.remove(0);
            self.part_bytes -= len;
            self.part_memory -= memory;
            self.passed -= at + len;
            self.bytes.drain(..at);
            for part in &mut self.parts {
                part.at -= at;
            }
        }
    }

    /// Empties it, but keeps its buffer.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        if !self.parts.is_empty() {
            self.parts.clear();
        }
        self.passed = 0;
        self.part_bytes = 0;
        self.part_memory = 0;
        self.sent = 0;
    }

    /// Takes the unsent rest, for a connection to keep; this one is left empty, with its buffer.
    pub(crate) fn take_rest(&mut self) -> Output {
        if !self.parts.is_empty() {
            return std::mem::take(self);
        }
        let rest = Output { bytes: self.bytes[self.passed..].to_vec(), ..Output::default() };
        self.clear();
        rest
    }
}

/// Adds `bytes`, without the first `skip`, to the slices; returns the new count.
fn gather<'a>(bytes: &'a [u8], skip: &mut usize, into: &mut [IoSlice<'a>; SLICES], count: usize) -> usize {
    let skipped = (*skip).min(bytes.len());
    *skip -= skipped;
    if skipped == bytes.len() || count == SLICES {
        return count;
    }
    into[count] = IoSlice::new(&bytes[skipped..]);
    count + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::FileSlice;
    use std::sync::Arc;

    fn bytes(text: &[u8]) -> Vec<Piece> {
        vec![Piece::Bytes(Box::new(text.to_vec()))]
    }

    fn sample() -> Output {
        let mut output = Output::default();
        output.bytes_mut().extend_from_slice(b"head1");
        output.push_pieces(bytes(b"BODY1"));
        output.bytes_mut().extend_from_slice(b"head2");
        output.push_pieces(bytes(b"BODY2"));
        output.bytes_mut().extend_from_slice(b"tail");
        output
    }

    fn gathered(output: &Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        match output.next(&mut slices) {
            Next::Slices { count, .. } => slices[..count].iter().flat_map(|slice| slice.to_vec()).collect(),
            Next::File { offset, len, .. } => format!("[{len} of the file from {offset}]").into_bytes(),
        }
    }

    #[test]
    fn files_lie_between_slices() {
        let file = Arc::new(File::open("Cargo.toml").unwrap());
        let mut output = Output::default();
        output.bytes_mut().extend_from_slice(b"head");
        output.push_pieces(vec![
            Piece::File(FileSlice { file: Arc::clone(&file), offset: 10, len: 5 }),
            Piece::Bytes(Box::new(b"between".to_vec())),
            Piece::File(FileSlice { file, offset: 20, len: 3 }),
        ]);
        output.bytes_mut().extend_from_slice(b"next");
        let expected = ["head", "[5 of the file from 10]", "[3 of the file from 12]", "between", "[3 of the file from 20]", "next"];
        for (text, sent) in expected.iter().zip([4, 2, 3, 7, 3, 4]) {
            assert_eq!(gathered(&output), text.as_bytes());
            output.advance(sent);
        }
        assert!(output.is_empty());
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
    fn a_queue_that_never_empties_holds_no_more_than_what_waits() {
        let mut output = Output::default();
        let mut sent = Vec::new();
        for round in 0..2000u32 {
            let mut more = Output::default();
            more.bytes_mut().extend_from_slice(&[round as u8; 1000]);
            output.append(more);
            while output.len() > 10 {
                let some = gathered(&output);
                sent.extend_from_slice(&some[..some.len() - 10]);
                output.advance(some.len() - 10);
            }
            assert!(output.held_bytes() < 8000, "{} bytes held in round {round}", output.held_bytes());
        }
        assert_eq!(sent.len(), 2_000_000 - 10);
        assert!(sent.chunks(1000).enumerate().all(|(round, bytes)| bytes.iter().all(|&byte| byte == round as u8)));
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
            output.push_pieces(bytes(&[n + 100; 3]));
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

//! A body on its way in: kept for its request, or thrown away.

use super::desk::Desk;
use crate::http::body::Chunked;
use crate::http::parser::Framing;
use crate::http::refusal::Refusal;
use crate::service::Service;

/// An unread body up to this size is received and thrown away, so that the connection can go on.
pub(super) const SKIPPED_BYTES: u64 = 256 * 1024;

/// A body being received, behind its head in a request's bytes.
pub(super) struct Incoming {
    /// Where it begins.
    pub(super) start: usize,
    /// Where the data received so far ends.
    pub(super) end: usize,
    /// How many bytes it will have; None when it comes in chunks.
    length: Option<u64>,
    /// The decoder, when it comes in chunks.
    chunked: Option<Chunked>,
    /// Was it not looked at before?
    pub(super) is_new: bool,
}

impl Incoming {
    pub(super) fn new(framing: Framing, start: usize, limit: u64, service: &Service) -> Incoming {
        let (length, chunked) = match framing {
            Framing::Absent => (Some(0), None),
            Framing::Length(length) => (Some(length), None),
            Framing::Chunked => (None, Some(Chunked::new(limit, service.limits.head_bytes, service.limits.fields))),
        };
        Incoming { start, end: start, length, chunked, is_new: true }
    }

    pub(super) fn received(&self) -> u64 {
        (self.end - self.start) as u64
    }

    /// How many bytes to receive at most.
    pub(super) fn left(&self) -> usize {
        self.length.map_or(usize::MAX, |length| usize::try_from(length - self.received()).unwrap_or(usize::MAX))
    }

    /// The first `count` bytes before it are gone.
    pub(super) fn shift(&mut self, count: usize) {
        self.start -= count;
        self.end -= count;
    }

    /// Takes in what was added to `bytes`. Some: it is complete, and what follows it begins there.
    pub(super) fn take_in(&mut self, bytes: &mut Vec<u8>) -> Result<Option<usize>, Refusal> {
        let Some(chunked) = &mut self.chunked else {
            let length = self.length.unwrap_or(0);
            let here = (bytes.len() - self.start) as u64;
            self.end = self.start + here.min(length) as usize;
            return Ok((here >= length).then_some(self.end));
        };
        let decoded = chunked.decode(bytes, self.end, self.end)?;
        self.end = decoded.data_end;
        if decoded.done {
            return Ok(Some(decoded.consumed));
        }
        bytes.truncate(self.end);
        Ok(None)
    }
}

/// A body being thrown away.
pub(super) struct Skip {
    /// How many bytes may still come; of chunks, their sizes and line ends as well.
    pub(super) left: u64,
    chunked: Option<Chunked>,
}

impl Skip {
    pub(super) fn new(framing: Framing, service: &Service) -> Skip {
        let (left, chunked) = match framing {
            Framing::Absent => (0, None),
            Framing::Length(length) => (length, None),
            Framing::Chunked => (SKIPPED_BYTES, Some(Chunked::new(SKIPPED_BYTES, service.limits.head_bytes, service.limits.fields))),
        };
        Skip { left, chunked }
    }

    /// Throws away what is there. Some(true): that was all of it. None: it is malformed, or too much.
    pub(super) fn take_in(&mut self, desk: &mut Desk) -> Option<bool> {
        let from = desk.used;
        let here = (desk.request.bytes().len() - from) as u64;
        let (consumed, done) = match &mut self.chunked {
            None => (here.min(self.left), here >= self.left),
            Some(chunked) => {
                let decoded = chunked.decode(desk.request.bytes_mut(), from, from).ok()?;
                ((decoded.consumed - from) as u64, decoded.done)
            }
        };
        self.left = self.left.checked_sub(consumed)?;
        desk.used += consumed as usize;
        Some(done)
    }
}

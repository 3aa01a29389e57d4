//! The body of an answer: bytes copied, lent or in files.

use super::{KEPT_BYTES, Known, Response};
use crate::error::Result;
use crate::file::{self, Servable};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// Bytes sent without copying, together with their owner, which is dropped after they are sent or discarded, on any thread.
pub type OwnedBytes = Box<dyn AsRef<[u8]> + Send>;

/// A part of a file, sent from where it is.
pub struct FileSlice {
    /// The file, open for reading.
    pub file: Arc<File>,
    /// Where the part begins.
    pub offset: u64,
    /// How many bytes it has.
    pub len: u64,
}

/// A part of a body.
pub enum Piece {
    /// Bytes with their owner.
    Bytes(OwnedBytes),
    /// A part of a file.
    File(FileSlice),
}

impl Piece {
    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => (**bytes).as_ref().len() as u64,
            Piece::File(slice) => slice.len,
        }
    }

    /// Is the piece empty?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a body's bytes are kept.
#[derive(Default)]
pub(crate) enum Body {
    /// None was given.
    #[default]
    Absent,
    /// In `Response::bytes`.
    Copied,
    /// With their owner.
    Owned(OwnedBytes),
    /// With the file that they were read from.
    Kept(Arc<Servable>, Range<u64>),
    /// In several places, files among them.
    Pieces(Vec<Piece>),
}

impl Response {
    pub(super) fn copy_body(&mut self, data: &[u8], kind: &'static Known) -> Result<()> {
        self.need_composing()?;
        self.clear_body();
        self.bytes.extend_from_slice(data);
        self.bytes.push(0);
        // Not dropped: `clear_body` has left one that owns nothing.
        std::mem::forget(std::mem::replace(&mut self.body, Body::Copied));
        self.assume(kind);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn clear_body(&mut self) {
        // The check avoids a drop that most answers do not need and that takes 40 of some 2,600 instructions.
        if !matches!(self.body, Body::Absent | Body::Copied) || self.seen.get().is_some() {
            self.drop_body();
        }
        // `Absent` and `Copied`, the only variants left, own nothing.
        std::mem::forget(std::mem::take(&mut self.body));
        self.is_left = false;
        if self.file.is_some() || self.instead.is_some() || self.settled.is_some() {
            self.leave_file();
        }
        self.bytes.clear();
        // Memory of an unusually large body is released.
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes.shrink_to(KEPT_BYTES);
        }
    }

    #[inline(never)]
    fn drop_body(&mut self) {
        self.body = Body::Absent;
        self.seen.take();
    }

    /// The length of the body given.
    #[inline]
    pub(crate) fn body_len(&self) -> u64 {
        match &self.body {
            Body::Copied => self.bytes.len() as u64 - 1,
            _ => self.uncopied_len(),
        }
    }

    #[inline(never)]
    fn uncopied_len(&self) -> u64 {
        match &self.body {
            Body::Absent | Body::Copied => 0,
            Body::Owned(owned) => (**owned).as_ref().len() as u64,
            Body::Kept(_, range) => range.end - range.start,
            Body::Pieces(pieces) => pieces.iter().map(Piece::len).sum(),
        }
    }

    /// The body, where it is in memory and in one piece; without any NUL behind it.
    #[inline]
    pub(crate) fn body_bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Copied => Some(&self.bytes[..self.bytes.len() - 1]),
            _ => self.uncopied_bytes(),
        }
    }

    #[inline(never)]
    fn uncopied_bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Absent | Body::Copied => Some(&[]),
            Body::Owned(owned) => Some((**owned).as_ref()),
            Body::Kept(file, range) => file.bytes(range.clone()),
            Body::Pieces(_) => None,
        }
    }

    /// Takes the body out, to be sent from where it lies.
    pub(crate) fn take_body(&mut self) -> Vec<Piece> {
        match std::mem::take(&mut self.body) {
            Body::Absent => Vec::new(),
            Body::Owned(owned) => {
                self.seen.take();
                vec![Piece::Bytes(owned)]
            }
            Body::Kept(file, range) => vec![Piece::Bytes(file::kept(file, range))],
            Body::Pieces(pieces) => pieces,
            Body::Copied => {
                let mut bytes = std::mem::take(&mut self.bytes);
                bytes.pop();
                vec![Piece::Bytes(Box::new(bytes))]
            }
        }
    }
}

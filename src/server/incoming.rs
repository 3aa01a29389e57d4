//! A body that is being received: kept for its request, or discarded.

use super::desk::Desk;
use crate::error::Error;
use crate::form::FormReader;
use crate::http::body::Chunked;
use crate::http::parser::Framing;
use crate::http::refusal::Refusal;
use crate::request::Request;
use crate::service::Service;
use crate::upload::{self, SKIPPED_BYTES};

/// A body that is being received, behind its head in the request's bytes.
pub(super) struct Incoming {
    /// Where it begins.
    pub(super) start: usize,
    /// Where the data received so far ends, without what was passed to a form reader.
    pub(super) end: usize,
    /// How many bytes were passed to the form reader.
    taken: u64,
    /// Is it a form to be parsed while it arrives? Determined once it is large.
    brings_form: Option<bool>,
    /// Parses the form from then on.
    form: Option<Box<FormReader>>,
    /// Its length; None if it is chunked.
    length: Option<u64>,
    /// The decoder, if it is chunked.
    pub(super) chunked: Option<Chunked>,
    /// True until its first bytes are processed.
    pub(super) is_new: bool,
}

impl Incoming {
    pub(super) fn new(framing: Framing, start: usize, limit: u64, service: &Service) -> Incoming {
        let (length, chunked) = match framing {
            Framing::Absent => (Some(0), None),
            Framing::Length(length) => (Some(length), None),
            Framing::Chunked => (None, Some(Chunked::new(limit, service.limits.head_bytes, service.limits.fields))),
        };
        Incoming { start, end: start, taken: 0, brings_form: None, form: None, length, chunked, is_new: true }
    }

    /// How many bytes of it were received.
    pub(super) fn received(&self) -> u64 {
        self.taken + (self.end - self.start) as u64
    }

    /// Memory that the form reader holds.
    pub(super) fn form_bytes(&self) -> usize {
        self.form.as_ref().map_or(0, |form| form.memory_bytes())
    }

    /// How many bytes to receive at most.
    pub(super) fn left(&self) -> usize {
        self.length.map_or(usize::MAX, |length| usize::try_from(length - self.received()).unwrap_or(usize::MAX))
    }

    /// Adjusts to the removal of `count` bytes before it.
    pub(super) fn shift(&mut self, count: usize) {
        self.start -= count;
        self.end -= count;
    }

    /// Processes what was added to the request's bytes. Some: it is complete, and what follows it begins there.
    pub(super) fn take_in(&mut self, request: &mut Request) -> Result<Option<usize>, Fault> {
        let Some(next) = self.delimit(request.bytes_mut())? else {
            self.feed_form(request)?;
            return Ok(None);
        };
        let left = self.feed_form(request)?;
        if let Some(form) = self.form.take() {
            request.note_taken(self.taken);
            request.set_form(form.finish().map_err(Fault::Form)?);
        }
        Ok(Some(next - left))
    }

    /// Determines how much of it is here. Some: all of it, and what follows it begins there.
    fn delimit(&mut self, bytes: &mut Vec<u8>) -> Result<Option<usize>, Fault> {
        let Some(chunked) = &mut self.chunked else {
            let left = self.length.unwrap_or(0) - self.taken;
            let here = (bytes.len() - self.start) as u64;
            self.end = self.start + here.min(left) as usize;
            return Ok((here >= left).then_some(self.end));
        };
        let decoded = chunked.decode(bytes, self.end, self.end).map_err(Fault::Refusal)?;
        self.end = decoded.data_end;
        if decoded.done {
            return Ok(Some(decoded.consumed));
        }
        bytes.truncate(self.end);
        Ok(None)
    }

    /// Passes what is here to the form reader, if that is too much to be kept. Returns how many bytes it has removed.
    fn feed_form(&mut self, request: &mut Request) -> Result<usize, Fault> {
        if self.form.is_none() && self.end - self.start <= request.form_bytes() {
            return Ok(0);
        }
        if !*self.brings_form.get_or_insert_with(|| request.brings_form() && !request.keeps_body_whole()) {
            return Ok(0);
        }
        if self.form.is_none() {
            self.form = request.form_reader().map_err(Fault::Form)?.map(Box::new);
        }
        let Some(form) = &mut self.form else { return Ok(0) };
        let here = self.start..self.end;
        form.feed(&request.bytes()[here.clone()]).map_err(Fault::Form)?;
        let count = here.len();
        request.bytes_mut().drain(here);
        self.taken += count as u64;
        self.end = self.start;
        Ok(count)
    }
}

/// Why a body is refused.
pub(super) enum Fault {
    /// Its framing is malformed, or it is too long.
    Refusal(Refusal),
    /// Its form is malformed, exceeds a limit, or could not be stored.
    Form(Error),
}

/// A body that is discarded.
pub(super) struct Skip {
    /// How many bytes may still come, including chunk sizes and line ends.
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

    /// The rest of a body that a handler could read itself.
    pub(super) fn rest_of(framing: upload::Framing) -> Skip {
        match framing {
            upload::Framing::Length(left) => Skip { left, chunked: None },
            upload::Framing::Chunked(decoder) => Skip { left: SKIPPED_BYTES, chunked: Some(decoder) },
        }
    }

    /// Discards what is here. Some(true): that was the rest. None: it is malformed, or too long.
    pub(super) fn take_in(&mut self, desk: &mut Desk) -> Option<bool> {
        let from = desk.used;
        let here = (desk.call.request.bytes().len() - from) as u64;
        let (consumed, done) = match &mut self.chunked {
            None => (here.min(self.left), here >= self.left),
            Some(chunked) => {
                let decoded = chunked.decode(desk.bytes_mut(), from, from).ok()?;
                ((decoded.consumed - from) as u64, decoded.done)
            }
        };
        self.left = self.left.checked_sub(consumed)?;
        desk.used += consumed as usize;
        Some(done)
    }
}

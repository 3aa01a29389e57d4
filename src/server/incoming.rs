//! A body on its way in: kept for its request, or thrown away.

use super::desk::Desk;
use crate::error::Error;
use crate::form::FormReader;
use crate::http::body::Chunked;
use crate::http::parser::Framing;
use crate::http::refusal::Refusal;
use crate::request::Request;
use crate::service::Service;
use crate::upload::{self, SKIPPED_BYTES};

/// A body being received, behind its head in a request's bytes.
pub(super) struct Incoming {
    /// Where it begins.
    pub(super) start: usize,
    /// Where the data received so far ends, but for what a form has taken.
    pub(super) end: usize,
    /// How much that has.
    taken: u64,
    /// Is it a form to be parsed while it arrives? Asked once there is much of it.
    brings_form: Option<bool>,
    /// What takes the form from then on.
    form: Option<Box<FormReader>>,
    /// How many bytes it will have; None when it comes in chunks.
    length: Option<u64>,
    /// The decoder, when it comes in chunks.
    pub(super) chunked: Option<Chunked>,
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
        Incoming { start, end: start, taken: 0, brings_form: None, form: None, length, chunked, is_new: true }
    }

    /// Bytes of it that have come.
    pub(super) fn received(&self) -> u64 {
        self.taken + (self.end - self.start) as u64
    }

    /// Memory that the form has taken.
    pub(super) fn form_bytes(&self) -> usize {
        self.form.as_ref().map_or(0, |form| form.memory_bytes())
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

    /// Takes in what was added to the request's bytes. Some: it is complete, and what follows it begins there.
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

    /// Finds out how much of it is here.
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

    /// Gives what is here to the form, once that is too much to be kept. Gives how many bytes have left.
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

/// Why a body cannot be taken in.
pub(super) enum Fault {
    /// It is not framed as it must be, or too long.
    Refusal(Refusal),
    /// The form in it is malformed, too much, or could not be put aside.
    Form(Error),
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

    /// What a handler that could read it has left.
    pub(super) fn rest_of(framing: upload::Framing) -> Skip {
        match framing {
            upload::Framing::Length(left) => Skip { left, chunked: None },
            upload::Framing::Chunked(decoder) => Skip { left: SKIPPED_BYTES, chunked: Some(decoder) },
        }
    }

    /// Throws away what is there. Some(true): that was all of it. None: it is malformed, or too much.
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

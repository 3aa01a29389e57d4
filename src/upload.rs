//! A streamed request body: the handler reads it while it arrives.

use crate::error::{Error, Kind, Result};
use crate::http::body::Chunked;
use crate::http::refusal::Refusal;
use crate::line::Wire;
use crate::output::Output;
use crate::request::Request;

/// An unread body up to this size is received and discarded, so that the connection can be reused.
pub(crate) const SKIPPED_BYTES: u64 = 256 * 1024;

/// Room for one receive of a chunked body.
const INPUT_BYTES: usize = 64 * 1024;

/// How the end of a body is delimited.
pub(crate) enum Framing {
    /// This many bytes have not been read yet.
    Length(u64),
    Chunked(Chunked),
}

/// The body of a route with `body = stream`.
pub(crate) struct Upload {
    framing: Framing,
    /// The input buffer; its first `len` bytes were received.
    bytes: Vec<u8>,
    len: usize,
    /// Decoded data still to be read is `bytes[at..data_end]`; input from `raw` on is not decoded yet.
    at: usize,
    data_end: usize,
    raw: usize,
    done: bool,
    /// Does the client wait for a 100 Continue?
    awaits_continue: bool,
    /// Has the answer begun? Then it is too late for a 100 Continue.
    is_answered: bool,
    wire: Option<Box<dyn Wire>>,
    /// How many bytes the handler has read.
    read: u64,
    /// Why the body cannot be read to its end: the status and message for the client.
    failure: Option<Failure>,
}

/// Why a body cannot be read to its end.
#[derive(Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) code: u16,
    pub(crate) words: &'static str,
}

/// The rest of a body after its handler has returned.
pub(crate) struct Unread {
    /// Input that was received and not consumed; it may extend beyond the body.
    pub(crate) bytes: Vec<u8>,
    /// How the end of the body is delimited; None if the body was read to its end.
    pub(crate) framing: Option<Framing>,
    pub(crate) awaits_continue: bool,
    pub(crate) failure: Option<Failure>,
    /// How many bytes the handler has read.
    pub(crate) read: u64,
}

impl Upload {
    /// A body whose beginning, `received`, has already arrived.
    pub(crate) fn new(framing: Framing, received: Vec<u8>, expects_continue: bool) -> Upload {
        Upload {
            // RFC 9110 10.1.1: "A server MAY omit sending a 100 (Continue) response if it has already received some or all of the
            // content".
            awaits_continue: expects_continue && received.is_empty(),
            framing,
            is_answered: false,
            len: received.len(),
            bytes: received,
            at: 0,
            data_end: 0,
            raw: 0,
            done: false,
            wire: None,
            read: 0,
            failure: None,
        }
    }

    /// Reads some bytes, blocking until there are any; 0 is the end.
    pub(crate) fn read(&mut self, request: &Request, into: &mut [u8]) -> Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(Failure { kind, words, .. }) = self.failure {
                return Err(Error::fixed(kind, words));
            }
            let count = self.take_in(into).map_err(|refusal| self.refuse(refusal))?;
            if count > 0 || self.done {
                self.read += count as u64;
                return Ok(count);
            }
            let count = self.wait(request, into).map_err(|error| self.fail(error))?;
            if count > 0 {
                self.read += count as u64;
                return Ok(count);
            }
        }
    }

    /// Copies data that was received to `into`.
    fn take_in(&mut self, into: &mut [u8]) -> std::result::Result<usize, Refusal> {
        match &mut self.framing {
            Framing::Length(left) => {
                let here = (self.len - self.raw) as u64;
                let count = here.min(*left).min(into.len() as u64) as usize;
                into[..count].copy_from_slice(&self.bytes[self.raw..self.raw + count]);
                self.raw += count;
                *left -= count as u64;
                self.done = *left == 0;
                Ok(count)
            }
            Framing::Chunked(decoder) => {
                if self.at == self.data_end && !self.done {
                    let decoded = decoder.decode(&mut self.bytes[..self.len], self.raw, self.raw)?;
                    (self.at, self.data_end, self.raw, self.done) = (self.raw, decoded.data_end, decoded.consumed, decoded.done);
                }
                let count = (self.data_end - self.at).min(into.len());
                into[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
                self.at += count;
                // The end is reported once all data before it was read.
                if count > 0 || self.at < self.data_end { Ok(count) } else { Ok(0) }
            }
        }
    }

    /// Waits for more input. A body of known length is received directly into `into`.
    fn wait(&mut self, request: &Request, into: &mut [u8]) -> Result<usize> {
        let wire = match &mut self.wire {
            Some(wire) => wire,
            None => {
                let (line, _) = request.line().ok_or(Error::state("there is no connection to read from"))?;
                self.wire.insert(line.open(request)?)
            }
        };
        // RFC 9110 15.2: a 1xx comes "prior to" the final response. Behind its head it would be a part of the body.
        if !self.is_answered && std::mem::take(&mut self.awaits_continue) {
            let mut out = Output::default();
            out.bytes_mut().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            wire.send(&mut out)?;
        }
        let count = match &mut self.framing {
            Framing::Length(left) => {
                let most = into.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                let count = wire.receive(&mut into[..most])?;
                *left -= count as u64;
                self.done = *left == 0;
                count
            }
            Framing::Chunked(_) => {
                self.bytes.resize(INPUT_BYTES.max(self.bytes.len()), 0);
                (self.at, self.data_end, self.raw, self.len) = (0, 0, 0, 0);
                let count = wire.receive(&mut self.bytes)?;
                self.len = count;
                if count > 0 {
                    return Ok(0);
                }
                count
            }
        };
        if count == 0 {
            return Err(self.refuse(Refusal::Incomplete));
        }
        Ok(count)
    }

    fn refuse(&mut self, refusal: Refusal) -> Error {
        let (code, words) = refusal.explain();
        let kind = match refusal {
            Refusal::BodyLength | Refusal::TrailerLength => Kind::Limit,
            Refusal::Incomplete => Kind::Closed,
            _ => Kind::Invalid,
        };
        self.failure = Some(Failure { kind, code, words });
        Error::fixed(kind, words)
    }

    /// Records that waiting failed, unless a more specific failure is recorded already.
    fn fail(&mut self, error: Error) -> Error {
        let (code, words) = match error.kind() {
            Kind::Timeout => (408, "the body came more slowly than body_timeout_ms or min_rate_bytes allow"),
            _ => (400, "the connection was broken before the request was complete"),
        };
        self.failure.get_or_insert(Failure { kind: error.kind(), code, words });
        error
    }

    /// Notes that the answer begins. Returns whether the connection must close after it: the client still waits for a 100 Continue and
    /// may or may not send the body, or the end of the body cannot be found.
    pub(crate) fn note_answered(&mut self) -> bool {
        self.is_answered = true;
        self.awaits_continue || self.failure.is_some()
    }

    /// How many bytes the handler has read.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read
    }

    /// Is the rest of the body too long to skip (more than `most` bytes), or impossible to skip?
    pub(crate) fn is_much(&self, most: u64) -> bool {
        let left = match &self.framing {
            Framing::Length(left) => left.saturating_sub((self.len - self.raw) as u64),
            Framing::Chunked(_) => 0,
        };
        self.awaits_continue || self.failure.is_some() || left > most
    }

    /// Why the body cannot be read to its end; None if it can.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// The rest of the body, once the handler no longer reads.
    pub(crate) fn into_unread(mut self) -> Unread {
        // The end may be in the input already received.
        if let (Framing::Chunked(decoder), false, None) = (&mut self.framing, self.done, self.failure) {
            if let Ok(decoded) = decoder.decode(&mut self.bytes[..self.len], self.raw, self.raw) {
                (self.raw, self.done) = (decoded.consumed, decoded.done);
            } else {
                self.failure = Some(Failure { kind: Kind::Invalid, code: 400, words: "the rest of the body is malformed" });
            }
        }
        if let Framing::Length(0) = self.framing {
            self.done = true;
        }
        self.bytes.truncate(self.len);
        self.bytes.drain(..self.raw);
        Unread {
            bytes: self.bytes,
            framing: if self.done { None } else { Some(self.framing) },
            awaits_continue: self.awaits_continue,
            failure: self.failure,
            read: self.read,
        }
    }
}

//! An answer that is written piece by piece.

use crate::compression::Encoder;
use crate::error::{Error, Kind, Result};
use crate::line::Wire;
use crate::output::Output;
use std::io::Write;

/// Large writes are framed in pieces of at most this size, so that no second copy of the whole is needed.
const PIECE: usize = 64 * 1024;

/// How the end of the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// RFC 9112 7.1: by the last chunk.
    Chunked,
    /// By the Content-Length that was set, of which this much is missing.
    Length(u64),
    /// RFC 9112 6.3: by the end of the connection, for clients of HTTP/1.0.
    Close,
    /// The answer has a head and no body.
    NoBody,
}

/// The body of an answer whose head was sent.
pub(crate) struct Stream {
    ending: Ending,
    wire: Box<dyn Wire>,
    /// Compresses the body, for clients that accept it.
    encoder: Option<Encoder>,
    /// A compressed piece; the memory is reused.
    coded: Vec<u8>,
    /// Does the connection end with it?
    last: bool,
    /// Has the stream failed? Then nothing more is sent, and the client must be able to tell that the end is missing.
    broken: bool,
    /// The writer's mistake, reported at the end.
    fault: Option<String>,
    /// Bytes of the body so far.
    written: u64,
}

impl Stream {
    pub(crate) fn new(ending: Ending, last: bool, wire: Box<dyn Wire>, encoder: Option<Encoder>) -> Stream {
        Stream { ending, wire, encoder, coded: Vec::new(), last, broken: false, fault: None, written: 0 }
    }

    /// Continues on another wire.
    pub(crate) fn set_wire(&mut self, wire: Box<dyn Wire>) {
        self.wire = wire;
    }

    /// Does the connection end with it?
    pub(crate) fn is_last(&self) -> bool {
        self.last
    }

    /// Does the answer have only a head, as for HEAD?
    pub(crate) fn has_no_body(&self) -> bool {
        self.ending == Ending::NoBody
    }

    /// Is the body compressed?
    pub(crate) fn is_coded(&self) -> bool {
        self.encoder.is_some()
    }

    /// Must the client be able to tell that the body is incomplete?
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Does the body end with the connection? Then only a reset shows that it was cut.
    pub(crate) fn ends_by_close(&self) -> bool {
        self.ending == Ending::Close
    }

    /// Cuts the stream off: nothing more is sent.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
    }

    /// Bytes of the body so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Sends what is in `out`, then `data`. `Limit`: nothing of `data` was taken.
    pub(crate) fn write(&mut self, mut data: &[u8], out: &mut Output) -> Result<()> {
        if self.broken {
            return Err(Error::fixed(Kind::Closed, "the stream is broken off"));
        }
        match self.ending {
            Ending::NoBody if !data.is_empty() => {
                self.push(out)?;
                return Err(Error::fixed(Kind::Closed, "an answer to HEAD, or one of this status, has no body"));
            }
            Ending::Length(left) if data.len() as u64 > left => {
                let words = format!("{} bytes are more than the {left} that Content-Length leaves", data.len());
                // The head may still be here, and the answers before it.
                self.push(out)?;
                self.broken = true;
                self.fault = Some(words.clone());
                return Err(Error::invalid(words));
            }
            _ => {}
        }
        self.wire.make_room(data.len())?;
        loop {
            let (piece, rest) = data.split_at(data.len().min(PIECE));
            self.code(piece, out);
            self.push(out)?;
            data = rest;
            if data.is_empty() {
                return Ok(());
            }
        }
    }

    fn push(&mut self, out: &mut Output) -> Result<()> {
        self.wire.send(out).inspect_err(|_| {
            self.broken = true;
            out.clear();
        })
    }

    fn code(&mut self, piece: &[u8], out: &mut Output) {
        let mut coded = std::mem::take(&mut self.coded);
        match &mut self.encoder {
            Some(encoder) if !piece.is_empty() => {
                coded.clear();
                encoder.write(piece, &mut coded);
                self.frame(&coded, out);
            }
            _ => self.frame(piece, out),
        }
        self.coded = coded;
    }

    fn frame(&mut self, data: &[u8], out: &mut Output) {
        self.written += data.len() as u64;
        if data.is_empty() {
            // An empty chunk would be the last one.
            return;
        }
        let bytes = out.bytes_mut();
        match &mut self.ending {
            Ending::Chunked => {
                // Writing to memory does not fail.
                let _ = write!(bytes, "{:x}\r\n", data.len());
                bytes.extend_from_slice(data);
                bytes.extend_from_slice(b"\r\n");
            }
            Ending::Length(left) => {
                *left -= data.len() as u64;
                bytes.extend_from_slice(data);
            }
            Ending::Close => bytes.extend_from_slice(data),
            Ending::NoBody => {}
        }
    }

    /// Writes the end to `out`, for its owner to send. More or fewer bytes than the Content-Length are an error.
    pub(crate) fn finish(&mut self, out: &mut Output) -> Result<()> {
        if let (Some(encoder), false) = (self.encoder.take(), self.broken) {
            let mut coded = Vec::new();
            encoder.finish(&mut coded);
            self.frame(&coded, out);
        }
        match self.ending {
            _ if self.broken => self.fault.take().map_or(Ok(()), |words| Err(Error::invalid(words))),
            Ending::Chunked => {
                out.bytes_mut().extend_from_slice(b"0\r\n\r\n");
                Ok(())
            }
            Ending::Length(left) if left > 0 => {
                self.broken = true;
                Err(Error::invalid(format!("the body ended {left} bytes before the Content-Length that was set")))
            }
            Ending::Length(_) | Ending::Close | Ending::NoBody => Ok(()),
        }
    }
}

/// A server-sent event in the HTML standard's `text/event-stream` format. Without data it is a comment that
/// keeps the connection alive.
pub(crate) fn event_text(event: Option<&[u8]>, data: Option<&[u8]>, id: Option<&[u8]>) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for (field, value) in [("event", event), ("id", id)] {
        let Some(value) = value else { continue };
        // A line break would allow the value to inject further fields.
        if value.iter().any(|&b| matches!(b, b'\r' | b'\n' | 0)) {
            return Err(Error::invalid(format!("{field} \"{}\" of an event holds a line end or a NUL", crate::error::Shown(value))));
        }
        text.extend_from_slice(field.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    match data {
        Some(data) => {
            for line in lines(data) {
                text.extend_from_slice(b"data: ");
                text.extend_from_slice(line);
                text.push(b'\n');
            }
        }
        None if text.is_empty() => text.extend_from_slice(b":\n"),
        None => {}
    }
    text.push(b'\n');
    Ok(text)
}

/// The lines of a text, each ended by CR LF, LF or CR, the last by nothing.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.iter().position(|&b| b == b'\r' || b == b'\n') {
        lines.push(&rest[..end]);
        let crlf = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + if crlf { 2 } else { 1 }..];
    }
    lines.push(rest);
    lines
}

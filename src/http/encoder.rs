//! Encodes the head of an answer.

use super::headers::is;
use super::status::{self, BodyRule};

/// A head without the answer's own fields.
pub struct Frame<'a> {
    /// The status code.
    pub status: u16,
    /// Whether it has a body.
    pub rule: BodyRule,
    /// The status line and the lines of Server and Date, as far as they are prepared.
    pub lines: Lines<'a>,
    /// The Connection field, if one is needed.
    pub connection: Connection,
    /// The length of the body; for HEAD, of the body that GET would have sent.
    pub length: Length,
}

/// How the length of the body is indicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// By Content-Length.
    Known(u64),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    Unknown,
}

/// The first lines of a head.
pub enum Lines<'a> {
    /// Prepared: a 200 with the usual Server.
    Made(&'a [u8]),
    /// With a status line that is made now.
    Parts {
        /// `Server: name\r\n`, or empty.
        server: &'a [u8],
        /// `Date: ...\r\n`.
        date: &'a [u8],
    },
}

/// What an answer says about the connection. RFC 9112 9.3: without the field it persists in 1.1, and ends in 1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Nothing, since it persists by default.
    Implied,
    /// It persists: a 1.0 client asked for it.
    KeepAlive,
    /// It ends after this answer.
    Close,
}

/// Appends the head up to the answer's own fields; `finish` ends it.
#[inline(always)]
pub fn begin(frame: &Frame<'_>, out: &mut Vec<u8>) {
    match &frame.lines {
        Lines::Made(lines) => out.extend_from_slice(lines),
        Lines::Parts { server, date } => {
            status::write_line(frame.status, out);
            out.extend_from_slice(server);
            out.extend_from_slice(date);
        }
    }
    match frame.connection {
        Connection::Implied => {}
        Connection::KeepAlive => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        Connection::Close => out.extend_from_slice(b"Connection: close\r\n"),
    }
}

/// Appends one field line. Name and value were checked when they were set.
pub fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    if is(name, b"upgrade") {
        // RFC 9110 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option in the Connection header field".
        out.extend_from_slice(b"Connection: upgrade\r\n");
    }
}

/// Appends the length, if the status has one, and the blank line.
#[inline]
pub fn finish(frame: &Frame<'_>, out: &mut Vec<u8>) {
    match (frame.rule, frame.length) {
        (BodyRule::Sent, Length::Known(length)) => content_length(length, out),
        _ => finish_unusual(frame, out),
    }
}

/// The same for answers without a body of known length.
#[inline(never)]
fn finish_unusual(frame: &Frame<'_>, out: &mut Vec<u8>) {
    match frame.rule {
        BodyRule::Empty => content_length(0, out),
        BodyRule::Sent if matches!(frame.length, Length::Chunked) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n"),
        _ => out.extend_from_slice(b"\r\n"),
    }
}

#[inline]
fn content_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    decimal(length, out);
    out.extend_from_slice(b"\r\n\r\n");
}

/// Appends a number in decimal.
#[inline]
pub fn decimal(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16, connection: Connection, length: Length) -> String {
        let rule = status::body_rule(status);
        let frame = Frame { status, rule, lines: Lines::Parts { server: b"Server: hasty\r\n", date: b"Date: D\r\n" }, connection, length };
        let mut out = Vec::new();
        begin(&frame, &mut out);
        field(b"X", b"y", &mut out);
        finish(&frame, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_is_complete() {
        assert_eq!(
            head(200, Connection::Close, Length::Known(13)),
            "HTTP/1.1 200 OK\r\nServer: hasty\r\nDate: D\r\nConnection: close\r\nX: y\r\nContent-Length: 13\r\n\r\n"
        );
    }

    #[test]
    fn the_length_follows_the_status() {
        assert!(!head(204, Connection::Implied, Length::Known(5)).contains("Content-Length"));
        assert!(!head(304, Connection::Implied, Length::Known(5)).contains("Content-Length"));
        assert!(head(205, Connection::Implied, Length::Known(5)).contains("Content-Length: 0\r\n"));
        assert!(!head(200, Connection::Implied, Length::Unknown).contains("Content-Length"));
        assert!(head(200, Connection::Implied, Length::Chunked).contains("Transfer-Encoding: chunked\r\n"));
        assert!(!head(304, Connection::Implied, Length::Chunked).contains("Transfer-Encoding"));
    }
}

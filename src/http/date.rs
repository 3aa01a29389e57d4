//! The first lines of every answer, made once a second.

use std::time::{Duration, UNIX_EPOCH};

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n`, with the status line of a 200 and the Server line before it.
///
/// RFC 9110 6.6.1: "An origin server with a clock MUST generate a Date header field".
pub struct DateLine {
    second: u64,
    /// `HTTP/1.1 200 OK\r\n`, the Server line and the Date line, as most answers begin.
    lines: Vec<u8>,
    /// Where the Date line begins.
    date_at: usize,
}

impl DateLine {
    /// Without lines; `set` makes them.
    pub fn new() -> DateLine {
        DateLine { second: u64::MAX, lines: Vec::new(), date_at: 0 }
    }

    /// Makes the lines for a time in seconds since 1970, unless they are current. `server` is a whole field line, or empty.
    #[inline]
    pub fn set(&mut self, second: u64, server: &[u8]) {
        if self.second != second {
            self.make(second, server);
        }
    }

    #[cold]
    fn make(&mut self, second: u64, server: &[u8]) {
        self.second = second;
        let date = format!("Date: {}\r\n", httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second)));
        self.lines.clear();
        self.lines.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        self.lines.extend_from_slice(server);
        self.date_at = self.lines.len();
        self.lines.extend_from_slice(date.as_bytes());
    }

    /// The Date line.
    pub fn date(&self) -> &[u8] {
        &self.lines[self.date_at..]
    }

    /// The status line of a 200, the Server line and the Date line.
    pub fn ok_lines(&self) -> &[u8] {
        &self.lines
    }
}

impl Default for DateLine {
    fn default() -> DateLine {
        DateLine::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_follow_their_second() {
        let mut date = DateLine::new();
        date.set(784_111_777, b"Server: a\r\n");
        assert_eq!(date.date(), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_eq!(date.ok_lines(), b"HTTP/1.1 200 OK\r\nServer: a\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        date.set(784_111_778, b"");
        assert_eq!(date.date(), b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
    }
}

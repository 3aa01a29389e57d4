//! The Date line, made once a second.

use std::time::{Duration, UNIX_EPOCH};

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n`, kept until the second changes.
///
/// RFC 9110 6.6.1: "An origin server with a clock MUST generate a Date header field".
pub struct DateLine {
    second: u64,
    line: Vec<u8>,
}

impl DateLine {
    /// A line that is made at the first use.
    pub fn new() -> DateLine {
        DateLine { second: u64::MAX, line: Vec::new() }
    }

    /// The line for a time in seconds since 1970.
    pub fn at(&mut self, second: u64) -> &[u8] {
        if self.second != second {
            self.second = second;
            let time = UNIX_EPOCH + Duration::from_secs(second);
            self.line = format!("Date: {}\r\n", httpdate::HttpDate::from(time)).into_bytes();
        }
        &self.line
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
    fn a_line_follows_its_second() {
        let mut date = DateLine::new();
        assert_eq!(date.at(784_111_777), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_eq!(date.at(784_111_778), b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
    }
}

//! Status codes, reason phrases and status lines.

/// The reason phrase of a code; "" if none is registered.
pub fn phrase(code: u16) -> &'static str {
    match code {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

/// Appends the status line with its CRLF.
///
/// RFC 9112 4: the phrase may be empty, the space before it is required.
pub fn write_line(code: u16, out: &mut Vec<u8>) {
    let digits = [b'0' + (code / 100) as u8, b'0' + (code / 10 % 10) as u8, b'0' + (code % 10) as u8, b' '];
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&digits);
    out.extend_from_slice(phrase(code).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Whether an answer with a status has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// The body is sent with its length.
    Sent,
    /// Neither body nor length. RFC 9110 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx or 204".
    Never,
    /// No body; the length is zero. RFC 9110 15.3.6: 205 has no content.
    Empty,
    /// No body, and no length, since it would have to be that of the 200 answer. RFC 9110 15.4.5.
    NotModified,
}

/// The rule for the body of an answer with `code`.
pub fn body_rule(code: u16) -> BodyRule {
    match code {
        100..=199 | 204 => BodyRule::Never,
        205 => BodyRule::Empty,
        304 => BodyRule::NotModified,
        _ => BodyRule::Sent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(code: u16) -> String {
        let mut out = Vec::new();
        write_line(code, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_has_code_and_phrase() {
        assert_eq!(line(200), "HTTP/1.1 200 OK\r\n");
        assert_eq!(line(404), "HTTP/1.1 404 Not Found\r\n");
    }

    #[test]
    fn an_unknown_code_keeps_the_space() {
        assert_eq!(line(299), "HTTP/1.1 299 \r\n");
    }
}

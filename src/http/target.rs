//! Request targets: the four forms of RFC 9112 3.2.

use super::headers::Span;
use super::method::Method;
use super::refusal::Refusal;

/// Where the parts of a target lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// All of it.
    pub whole: Span,
    /// The path, from its slash to before the `?`; empty in `OPTIONS *` and where an absolute target has none.
    pub path: Span,
    /// What follows the `?`, if there is one.
    pub query: Option<Span>,
    /// The host and port of an absolute target.
    pub authority: Option<Span>,
    /// `OPTIONS *`: the server as a whole is meant.
    pub asterisk: bool,
}

impl Target {
    /// Finds the parts of the target at `whole` of `head`; its bytes were checked by the parser.
    pub fn split(head: &[u8], whole: Span, method: Method) -> Result<Target, Refusal> {
        let text = whole.of(head);
        // RFC 9112 3.2.3: CONNECT has authority-form, and only CONNECT has it.
        if method == Method::Connect {
            return Err(if authority_is_valid(text) && text.contains(&b':') { Refusal::Connect } else { Refusal::Target });
        }
        if text.first() == Some(&b'/') {
            return Ok(Target::with_path(text, whole, 0));
        }
        // RFC 9112 3.2.4: "The asterisk-form of request-target is only used for a server-wide OPTIONS request".
        if text == b"*" {
            return match method {
                Method::Options => Ok(Target { whole, asterisk: true, ..Target::default() }),
                _ => Err(Refusal::Target),
            };
        }
        Target::absolute(text, whole)
    }

    /// RFC 9112 3.2.2: "A server MUST accept the absolute-form in requests even though most HTTP/1.1 clients will only send the absolute-form to a proxy."
    fn absolute(text: &[u8], whole: Span) -> Result<Target, Refusal> {
        let scheme = text.iter().position(|&b| b == b':').ok_or(Refusal::Target)?;
        let known = text[..scheme].eq_ignore_ascii_case(b"http") || text[..scheme].eq_ignore_ascii_case(b"https");
        if !known || !text[scheme..].starts_with(b"://") {
            return Err(Refusal::Target);
        }
        let start = scheme + 3;
        let len = text[start..].iter().position(|&b| b == b'/' || b == b'?').unwrap_or(text.len() - start);
        let authority = &text[start..start + len];
        // RFC 9110 4.2.1: "A sender MUST NOT generate an "http" URI with an empty host identifier."
        if authority.is_empty() || authority[0] == b':' || !authority_is_valid(authority) {
            return Err(Refusal::Target);
        }
        let mut target = Target::with_path(text, whole, start + len);
        target.authority = Some(Span::new(whole.start() + start, whole.start() + start + len));
        Ok(target)
    }

    /// The target whose path begins `at` bytes into its text.
    fn with_path(text: &[u8], whole: Span, at: usize) -> Target {
        let base = whole.start();
        let end = base + text.len();
        match memchr::memchr(b'?', &text[at..]) {
            None => Target { whole, path: Span::new(base + at, end), ..Target::default() },
            Some(len) => Target {
                whole,
                path: Span::new(base + at, base + at + len),
                query: Some(Span::new(base + at + len + 1, end)),
                ..Target::default()
            },
        }
    }
}

/// RFC 9110 7.2: `Host = uri-host [ ":" port ]`, with RFC 3986's host: no user, no path, nothing that could be read in two ways.
pub fn authority_is_valid(text: &[u8]) -> bool {
    if text.first() == Some(&b'[') {
        return bracketed_is_valid(text);
    }
    // One look at each byte of the common name or address; escapes are rare enough to be looked at twice.
    match text.iter().position(|&b| !IN_REG_NAME[b as usize]) {
        None => true,
        Some(end) if text[end] == b'%' => {
            let end = text.iter().position(|&b| b == b':').unwrap_or(text.len());
            let (host, port) = text.split_at(end);
            host.iter().all(|&b| b == b'%' || IN_REG_NAME[b as usize]) && escapes_are_whole(host) && port_is_valid(port)
        }
        Some(end) => port_is_valid(&text[end..]),
    }
}

/// RFC 3986 3.2.2: `IP-literal = "[" ( IPv6address / IPvFuture ) "]"`; of the second kind there is none.
fn bracketed_is_valid(text: &[u8]) -> bool {
    let Some(end) = text.iter().position(|&b| b == b']') else { return false };
    end > 1 && text[1..end].iter().all(|&b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')) && port_is_valid(&text[end + 1..])
}

/// RFC 3986 3.2.3: `port = *DIGIT`, so it may even be empty.
fn port_is_valid(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] => {
            let mut port = 0;
            for &b in digits {
                if !b.is_ascii_digit() {
                    return false;
                }
                port = (port * 10 + u32::from(b - b'0')).min(100_000);
            }
            port <= 65_535
        }
        _ => false,
    }
}

/// RFC 3986 3.2.2: `reg-name = *( unreserved / pct-encoded / sub-delims )`; here without the percent sign.
const IN_REG_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        table[b] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        b += 1;
    }
    table
};

fn escapes_are_whole(text: &[u8]) -> bool {
    text.iter()
        .enumerate()
        .all(|(at, &b)| b != b'%' || matches!(text.get(at + 1..at + 3), Some([h, l]) if h.is_ascii_hexdigit() && l.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, method: Method) -> Result<Target, Refusal> {
        Target::split(text.as_bytes(), Span::new(0, text.len()), method)
    }

    fn parts(text: &str) -> (&str, Option<&str>) {
        let target = split(text, Method::Get).unwrap();
        let view = |span: Span| std::str::from_utf8(span.of(text.as_bytes())).unwrap();
        (view(target.path), target.query.map(view))
    }

    #[test]
    fn origin_form_splits_at_the_first_question_mark() {
        assert_eq!(parts("/a/b?c=d?e"), ("/a/b", Some("c=d?e")));
        assert_eq!(parts("/"), ("/", None));
        assert_eq!(parts("/?"), ("/", Some("")));
    }

    #[test]
    fn absolute_form_gives_its_path_and_authority() {
        assert_eq!(parts("http://example.org:80/x?y"), ("/x", Some("y")));
        assert_eq!(parts("HTTPS://example.org"), ("", None));
        assert_eq!(parts("http://example.org?y"), ("", Some("y")));
        assert_eq!(split("http://[::1]:8080/", Method::Get).unwrap().authority, Some(Span::new(7, 17)));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "a", "ftp://x/", "http:/x", "http:///x", "http://:80/", "http://u@h/", "http://h:x/", "*", "example.org:80"] {
            assert_eq!(split(text, Method::Get), Err(Refusal::Target), "{text}");
        }
    }

    #[test]
    fn the_asterisk_is_for_options() {
        assert!(split("*", Method::Options).unwrap().asterisk);
    }

    #[test]
    fn connect_is_told_from_nonsense() {
        assert_eq!(split("example.org:443", Method::Connect), Err(Refusal::Connect));
        assert_eq!(split("example.org:port", Method::Connect), Err(Refusal::Target));
        assert_eq!(split("example.org", Method::Connect), Err(Refusal::Target));
        assert_eq!(split("/path", Method::Connect), Err(Refusal::Target));
    }

    #[test]
    fn hosts_are_checked() {
        for good in ["", "a", "a:", "a:80", "127.0.0.1:8080", "[::1]", "[fe80::1]:80", "ex-ample_1.org", "a%20b"] {
            assert!(authority_is_valid(good.as_bytes()), "{good}");
        }
        for bad in ["a b", "a/b", "u@a", "a:b", "a:99999", "[::1", "[]", "[::1]x", "a:80:80", "a?b", "a%2", "\u{fc}", "a\"b", "a\\b"] {
            assert!(!authority_is_valid(bad.as_bytes()), "{bad}");
        }
    }
}

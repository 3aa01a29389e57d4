//! Request targets: the four forms of RFC 9112 3.2.

use super::headers::Span;
use super::method::Method;
use super::refusal::Refusal;
use super::scan::{HostBytes, host_end};
use std::net::Ipv6Addr;

/// The parts of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The whole target.
    pub whole: Span,
    /// The path, up to but excluding the `?`; empty in `OPTIONS *` and if an absolute target has none.
    pub path: Span,
    /// What follows the `?`, if there is one.
    pub query: Option<Span>,
    /// The host and port of an absolute target.
    pub authority: Option<Span>,
    /// `OPTIONS *`: concerns the server as a whole.
    pub asterisk: bool,
}

impl Target {
    /// Finds the parts of the target at `whole` of `head`, whose path ends at `path_end`: at its first `?` or its end. The parser has checked its
    /// bytes.
    #[inline]
    pub fn set(&mut self, head: &[u8], whole: Span, path_end: usize, method: Method) -> Result<(), Refusal> {
        self.whole = whole;
        self.path = Span::new(whole.start(), path_end);
        self.query = (path_end < whole.end()).then(|| Span::new(path_end + 1, whole.end()));
        self.authority = None;
        self.asterisk = false;
        if method != Method::Connect && head.get(whole.start()) == Some(&b'/') {
            return Ok(());
        }
        self.set_unusual(head, method)
    }

    /// The same for a target that is not a path.
    #[cold]
    fn set_unusual(&mut self, head: &[u8], method: Method) -> Result<(), Refusal> {
        let text = self.whole.of(head);
        // RFC 9112 3.2.3: CONNECT has authority-form, and only CONNECT has it.
        if method == Method::Connect {
            return Err(if authority_is_valid(head, self.whole) && text.contains(&b':') { Refusal::Connect } else { Refusal::Target });
        }
        // RFC 9112 3.2.4: "The asterisk-form of request-target is only used for a server-wide OPTIONS request".
        if text == b"*" {
            self.asterisk = true;
            self.path = Span::default();
            return if method == Method::Options { Ok(()) } else { Err(Refusal::Target) };
        }
        self.set_absolute(head)
    }

    /// RFC 9112 3.2.2: "A server MUST accept the absolute-form in requests even though most HTTP/1.1 clients will only send the absolute-form to a proxy."
    fn set_absolute(&mut self, head: &[u8]) -> Result<(), Refusal> {
        let text = self.whole.of(head);
        let scheme = text.iter().position(|&b| b == b':').ok_or(Refusal::Target)?;
        let known = text[..scheme].eq_ignore_ascii_case(b"http") || text[..scheme].eq_ignore_ascii_case(b"https");
        if !known || !text[scheme..].starts_with(b"://") {
            return Err(Refusal::Target);
        }
        let start = scheme + 3;
        let len = text[start..].iter().position(|&b| b == b'/' || b == b'?').unwrap_or(text.len() - start);
        let start = self.whole.start() + start;
        let authority = Span::new(start, start + len);
        // RFC 9110 4.2.1: "A sender MUST NOT generate an "http" URI with an empty host identifier."
        if matches!(authority.of(head), [] | [b':', ..]) || !authority_is_valid(head, authority) {
            return Err(Refusal::Target);
        }
        self.authority = Some(authority);
        self.path = Span::new(start + len, self.path.end());
        Ok(())
    }
}

/// RFC 9110 7.2: `Host = uri-host [ ":" port ]`, with RFC 3986's host: no user, no path, nothing ambiguous.
#[inline]
pub fn authority_is_valid(head: &[u8], authority: Span) -> bool {
    is_short_and_common(head, authority) || is_valid(head, authority)
}

/// Is it one of the most common: a plain name or an IPv4 address, perhaps with a port, in sixteen bytes? One comparison tells.
#[inline(always)]
fn is_short_and_common(head: &[u8], authority: Span) -> bool {
    let Some(look) = HostBytes::at(head, authority.start()).filter(|_| authority.len() <= HostBytes::COUNT) else {
        return false;
    };
    let within = (1 << authority.len()) - 1;
    let colons = look.colons & within;
    let colon = colons & colons.wrapping_neg();
    // The bytes after the first colon; none if there is no colon.
    let port = within & !colon.wrapping_sub(1) ^ colon;
    let port_len = authority.len().saturating_sub(colon.trailing_zeros() as usize + 1);
    let is_port = match port_len {
        0..=4 => true,
        5 => head[authority.end() - 5] < b'6',
        _ => false,
    };
    is_port && look.digits & port == port && (look.common | colon) & within == within
}

#[inline(never)]
fn is_valid(head: &[u8], authority: Span) -> bool {
    // Most are plain names and addresses, which take one comparison; the byte that follows an authority ends the run as well.
    let end = host_end(head, authority.start()).min(authority.end());
    port_is_valid(&head[end..authority.end()]) || unusual_is_valid(authority.of(head))
}

#[cold]
fn unusual_is_valid(text: &[u8]) -> bool {
    if text.first() == Some(&b'[') {
        return bracketed_is_valid(text);
    }
    // Escapes are rare, so a second pass for them is cheap.
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

/// RFC 3986 3.2.2: `IP-literal = "[" ( IPv6address / IPvFuture ) "]"`; no IPvFuture is defined.
fn bracketed_is_valid(text: &[u8]) -> bool {
    let Some(end) = text.iter().position(|&b| b == b']') else { return false };
    let address = std::str::from_utf8(&text[1..end]).unwrap_or_default();
    address.parse::<Ipv6Addr>().is_ok() && port_is_valid(&text[end + 1..])
}

/// RFC 3986 3.2.3: `port = *DIGIT`, so it may be empty.
#[inline]
fn port_is_valid(rest: &[u8]) -> bool {
    let [b':', digits @ ..] = rest else { return rest.is_empty() };
    let mut port = 0;
    for &b in digits {
        let digit = u32::from(b.wrapping_sub(b'0'));
        port = port * 10 + digit;
        if digit > 9 || port > 65_535 {
            return false;
        }
    }
    true
}

/// RFC 3986 3.2.2: `reg-name = *( unreserved / pct-encoded / sub-delims )`; here without pct-encoded.
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
        let path_end = text.find('?').unwrap_or(text.len());
        let mut target = Target::default();
        target.set(text.as_bytes(), Span::new(0, text.len()), path_end, method).map(|()| target)
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
        for good in [
            "",
            "a",
            "a:",
            "a:80",
            "127.0.0.1:8080",
            "[::1]",
            "[fe80::1]:80",
            "[::ffff:1.2.3.4]",
            "ex-ample_1.org",
            "a%20b",
            "a:65535",
            "a:0000000065535",
            "a:00000",
        ] {
            assert!(authority_is_valid(good.as_bytes(), Span::new(0, good.len())), "{good}");
        }
        for bad in [
            "a b",
            "a/b",
            "u@a",
            "a:b",
            "a:99999",
            "[::1",
            "[]",
            "[::1]x",
            "[:::::]",
            "[1.2.3.4]",
            "[1::2::3]",
            "[12345::]",
            "a:80:80",
            "a:65536",
            "a:0000000065536",
            "a:100000",
            "a:8x",
            "a:00000x",
            "a?b",
            "a%2",
            "\u{fc}",
            "a\"b",
            "a\\b",
        ] {
            assert!(!authority_is_valid(bad.as_bytes(), Span::new(0, bad.len())), "{bad}");
        }
    }

    #[test]
    fn one_look_finds_no_host_valid_that_is_not() {
        let mut texts = vec![String::new()];
        for _ in 0..7 {
            texts = texts.iter().flat_map(|text| ["", "a", "5", "6", ":", "%", "\u{fc}"].map(|next| format!("{text}{next}"))).collect();
            texts.sort();
            texts.dedup();
        }
        let (mut short, mut valid) = (0, 0);
        for text in texts {
            let (head, host) = (format!("x{text}:6\r\nabcdefghijklmnop"), Span::new(1, 1 + text.len()));
            let is_valid = is_valid(head.as_bytes(), host);
            assert_eq!(authority_is_valid(head.as_bytes(), host), is_valid, "{text}");
            short += usize::from(is_short_and_common(head.as_bytes(), host));
            valid += usize::from(is_valid);
        }
        assert!(short > valid / 4, "{short} of {valid}");
    }

    #[test]
    fn one_look_suffices_for_common_hosts() {
        for (host, suffices) in [
            ("localhost", true),
            ("localhost:59999", true),
            ("127.0.0.1:8080", true),
            ("ex-ample.org", true),
            ("localhost:60000", false),
            ("localhost:000080", false),
            ("[::1]:80", false),
            ("www.example.org:80", false),
        ] {
            let head = format!("{host}\r\nAccept: text/html");
            assert_eq!(is_short_and_common(head.as_bytes(), Span::new(0, host.len())), suffices, "{host}");
        }
    }
}

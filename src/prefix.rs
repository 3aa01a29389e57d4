//! Prefixes of paths: where middleware, CORS policies and rate limits apply.
//!
//! A prefix matches whole segments, decoded once like those of a route, and a trailing slash is ignored: `/api` and
//! `/api/` are the same prefix. It matches `/api`, `/api/`, `/api/users` and `/%61pi`, but neither `/apis` nor
//! `/api%2Fusers`. `/` matches everything, including `*`, the target of `OPTIONS *`. As for routes, nothing is normalised:
//! `//api` and `/x/../api` are not below `/api`, and no route below `/api` answers them.

#![forbid(unsafe_code)]

use crate::error::{Error, Result, Shown};
use crate::http::pairs::percent_decode_into;
use memchr::memchr;
use std::fmt;

/// All paths that begin with the same segments.
#[derive(Clone)]
pub(crate) struct Prefix {
    text: String,
    /// Decoded, and without NUL, since `new` refuses prefixes that contain one.
    segments: Vec<Vec<u8>>,
}

impl Prefix {
    /// Parses a prefix. Literals are written as in route patterns; parameters and rests are refused.
    pub(crate) fn new(text: &str) -> Result<Prefix> {
        let refuse = |rule: &str| Error::invalid(format!("prefix \"{}\": {rule}", Shown(text.as_bytes())));
        let Some(inside) = text.strip_prefix('/') else {
            return Err(refuse("it must begin with '/'"));
        };
        if text.contains(['?', '#']) {
            return Err(refuse("a path must not hold '?' or '#'; as literals they are written %3F and %23"));
        }
        if text.contains(|c: char| c.is_ascii_control()) {
            return Err(refuse("a control character must be written as an escape"));
        }
        if text.contains('*') {
            return Err(refuse("a prefix covers all paths below it without '*'; as a literal it is written %2A"));
        }
        let mut segments = Vec::new();
        if !inside.is_empty() {
            for segment in inside.strip_suffix('/').unwrap_or(inside).split('/') {
                segments.push(literal(segment).map_err(refuse)?);
            }
        }
        Ok(Prefix { text: text.to_owned(), segments })
    }

    /// Does this raw path, without query, equal the prefix or lie below it?
    ///
    /// An invalid escape, or `%00`, matches no segment. The path beyond the prefix is not examined, so `/` matches even a
    /// path that is later refused as malformed.
    pub(crate) fn matches(&self, raw_path: &[u8]) -> bool {
        let mut rest = raw_path;
        for expected in &self.segments {
            let [b'/', inside @ ..] = rest else { return false };
            let (segment, behind) = inside.split_at(memchr(b'/', inside).unwrap_or(inside.len()));
            if !decodes_to(segment, expected) {
                return false;
            }
            rest = behind;
        }
        true
    }

    /// The number of segments. Of two prefixes that match the same path, the longer one has more.
    pub(crate) fn depth(&self) -> usize {
        self.segments.len()
    }

    /// The prefix as it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// Two prefixes are equal if they match the same paths, however they are written.
impl PartialEq for Prefix {
    fn eq(&self, other: &Prefix) -> bool {
        self.segments == other.segments
    }
}

impl Eq for Prefix {}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Decodes one segment of a prefix; the error is the rule that it breaks.
fn literal(segment: &str) -> std::result::Result<Vec<u8>, &'static str> {
    if segment.is_empty() {
        return Err("a segment is empty; segments are separated by one slash, with at most one at the end");
    }
    if segment.starts_with(':') {
        return Err("a prefix has no names; a ':' that begins a segment is written %3A");
    }
    let mut text = Vec::new();
    if percent_decode_into(segment.as_bytes(), &mut text) {
        Ok(text)
    } else {
        Err("an escape must be '%' and two hexadecimal digits, and not %00")
    }
}

/// Does a segment, decoded once, equal `text`, which has no NUL? Decodes without a copy, since this runs for every request.
fn decodes_to(mut raw: &[u8], text: &[u8]) -> bool {
    for &expected in text {
        let (byte, rest) = match raw {
            [b'%', high, low, rest @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => return false,
            },
            [b'%', ..] | [] => return false,
            [byte, rest @ ..] => (*byte, rest),
        };
        if byte != expected {
            return false;
        }
        raw = rest;
    }
    raw.is_empty()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn prefix(text: &str) -> Prefix {
        Prefix::new(text).unwrap()
    }

    fn refusal(text: &str) -> String {
        let error = Prefix::new(text).expect_err(text);
        assert_eq!(error.kind(), Kind::Invalid);
        error.to_string()
    }

    #[test]
    fn a_prefix_goes_by_whole_segments() {
        for (text, inside, outside) in [
            ("/api", &["/api", "/api/", "/api/a", "/api/a/b", "/api//", "/api//a"][..], &["/", "/ap", "/apis", "/apis/a", "/a/api"][..]),
            ("/api/v1", &["/api/v1", "/api/v1/", "/api/v1/x"], &["/api", "/api/", "/api/v", "/api/v10", "/api//v1", "/api/v1%2F"]),
            ("/a", &["/a", "/a/b", "/a/..", "/a/../b"], &["/b", "//a", "/./a", "/b/../a", "/A", "/aa", "/a;x", "/a%2F", "/a%2Fb"]),
            ("/a.b", &["/a.b", "/a.b/"], &["/a", "/a.", "/aXb", "/a.b.c"]),
        ] {
            for path in inside {
                assert!(prefix(text).matches(path.as_bytes()), "{path} is below {text}");
            }
            for path in outside {
                assert!(!prefix(text).matches(path.as_bytes()), "{path} is not below {text}");
            }
        }
    }

    #[test]
    fn a_slash_is_everything() {
        for path in ["/", "/a", "/a/b", "//", "/%zz", "/%00", "*", "", "a", "/\u{e9}"] {
            assert!(prefix("/").matches(path.as_bytes()), "{path:?}");
        }
    }

    #[test]
    fn what_is_no_path_is_below_a_slash_alone() {
        for path in ["*", "", "api", "api/", "%2Fapi"] {
            assert!(!prefix("/api").matches(path.as_bytes()), "{path:?}");
        }
    }

    #[test]
    fn a_segment_of_the_path_is_decoded_once() {
        for (text, path, is_below) in [
            ("/abc", "/%61bc", true),
            ("/abc", "/a%62%63/x", true),
            ("/abc", "/%61%62%63", true),
            ("/abc", "/%2561bc", false),
            ("/abc", "/ab%63d", false),
            ("/abc", "/ab%6", false),
            ("/abc", "/ab%", false),
            ("/abc", "/ab%zz", false),
            ("/abc", "/ab%6g", false),
            ("/abc", "/ab%+3", false),
            ("/abc", "/abc%", false),
            ("/abc", "/abc%00", false),
            ("/abc", "/abc/%zz", true),
            ("/abc", "/abc/%00", true),
            ("/a/b", "/a%2Fb", false),
            ("/a/b", "/a%2fb", false),
            ("/a/b", "%2Fa/b", false),
            ("/a/b", "/%61/%62", true),
            ("/a b", "/a%20b", true),
            ("/a b", "/a+b", false),
            ("/a+b", "/a+b", true),
            ("/a+b", "/a%2Bb", true),
        ] {
            assert_eq!(prefix(text).matches(path.as_bytes()), is_below, "{text} {path}");
        }
    }

    #[test]
    fn a_segment_of_the_prefix_is_decoded_once() {
        for (text, path, is_below) in [
            ("/%61", "/a", true),
            ("/%61", "/%61", true),
            ("/%2561", "/%2561", true),
            ("/%2561", "/%61", false),
            ("/a%2Fb", "/a%2Fb", true),
            ("/a%2Fb", "/a%2fb/c", true),
            ("/a%2Fb", "/a/b", false),
            ("/100%25", "/100%25", true),
            ("/100%25", "/100%", false),
            ("/%25zz", "/%25zz", true),
            ("/%25zz", "/%zz", false),
            ("/%3Aid", "/:id", true),
            ("/%2A", "/*", true),
            ("/%2A", "*", false),
            ("/x%3Fy%23", "/x%3fy%23", true),
            ("/caf\u{e9}", "/caf%C3%A9", true),
            ("/caf%c3%a9", "/caf\u{e9}", true),
            ("/jobs:stop", "/jobs:stop", true),
            ("/%ff", "/%FF", true),
            ("/%01", "/%01", true),
        ] {
            assert_eq!(prefix(text).matches(path.as_bytes()), is_below, "{text} {path}");
        }
        assert!(prefix("/%ff").matches(b"/\xff/a"));
    }

    #[test]
    fn every_byte_but_nul_matches_itself_and_its_escape() {
        for byte in 1..=255u8 {
            let text = format!("/%{byte:02x}");
            for path in [format!("/%{byte:02X}"), format!("/%{byte:02x}/a")] {
                assert!(prefix(&text).matches(path.as_bytes()), "{path}");
            }
            // Unescaped, a slash separates segments and a percent sign begins an escape.
            let plain = !matches!(byte, b'/' | b'%');
            assert_eq!(prefix(&text).matches(&[b'/', byte]), plain, "{text}");
            assert!(!prefix(&text).matches(&[b'/', byte ^ 1]), "{text}");
        }
    }

    #[test]
    fn prefixes_are_equal_where_they_hold_the_same_paths() {
        for (one, other, same) in [
            ("/", "/", true),
            ("/api", "/api/", true),
            ("/api", "/%61pi", true),
            ("/a/b/", "/a/%62", true),
            ("/a/b", "/a%2Fb", false),
            ("/api", "/API", false),
            ("/api", "/", false),
            ("/api", "/api/v1", false),
        ] {
            assert_eq!(prefix(one) == prefix(other), same, "{one} {other}");
        }
    }

    #[test]
    fn the_longer_prefix_has_more_segments() {
        for (text, depth) in [("/", 0), ("/a", 1), ("/a/", 1), ("/a/b", 2), ("/a%2Fb", 1), ("/a/b/c/", 3)] {
            assert_eq!(prefix(text).depth(), depth, "{text}");
        }
    }

    #[test]
    fn a_prefix_is_shown_as_it_was_given() {
        for text in ["/", "/api/", "/%61pi"] {
            assert_eq!(prefix(text).as_str(), text);
            assert_eq!(format!("{:?}", prefix(text)), format!("{text:?}"));
        }
    }

    #[test]
    fn what_breaks_a_rule_is_refused_with_the_rule() {
        for (text, words) in [
            ("", "prefix \"\": it must begin with '/'"),
            ("api", "prefix \"api\": it must begin with '/'"),
            ("*", "prefix \"*\": it must begin with '/'"),
            ("https://a/b", "prefix \"https://a/b\": it must begin with '/'"),
            ("/a?b", "prefix \"/a?b\": a path must not hold '?' or '#'; as literals they are written %3F and %23"),
            ("/a#b", "prefix \"/a#b\": a path must not hold '?' or '#'; as literals they are written %3F and %23"),
            ("/a\nb", "prefix \"/a\\nb\": a control character must be written as an escape"),
            ("/\0", "prefix \"/\\u{0}\": a control character must be written as an escape"),
            ("/a\u{7f}", "prefix \"/a\\u{7f}\": a control character must be written as an escape"),
            ("/*", "prefix \"/*\": a prefix covers all paths below it without '*'; as a literal it is written %2A"),
            ("/api/*", "prefix \"/api/*\": a prefix covers all paths below it without '*'; as a literal it is written %2A"),
            ("/api/*rest", "prefix \"/api/*rest\": a prefix covers all paths below it without '*'; as a literal it is written %2A"),
            ("/a*b", "prefix \"/a*b\": a prefix covers all paths below it without '*'; as a literal it is written %2A"),
            ("/users/:id", "prefix \"/users/:id\": a prefix has no names; a ':' that begins a segment is written %3A"),
            ("/:", "prefix \"/:\": a prefix has no names; a ':' that begins a segment is written %3A"),
            ("//", "prefix \"//\": a segment is empty; segments are separated by one slash, with at most one at the end"),
            ("//a", "prefix \"//a\": a segment is empty; segments are separated by one slash, with at most one at the end"),
            ("/a//b", "prefix \"/a//b\": a segment is empty; segments are separated by one slash, with at most one at the end"),
            ("/a//", "prefix \"/a//\": a segment is empty; segments are separated by one slash, with at most one at the end"),
            ("/a%", "prefix \"/a%\": an escape must be '%' and two hexadecimal digits, and not %00"),
            ("/%zz", "prefix \"/%zz\": an escape must be '%' and two hexadecimal digits, and not %00"),
            ("/a/%00", "prefix \"/a/%00\": an escape must be '%' and two hexadecimal digits, and not %00"),
        ] {
            assert_eq!(refusal(text), words);
        }
    }
}

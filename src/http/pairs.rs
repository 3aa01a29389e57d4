//! Lists of names and values decoded from text: queries, forms, cookies and path parameters.
//!
//! One buffer holds all bytes of a list and is reused from request to request, so that a list costs no
//! allocation per entry. Every name and value is followed by a NUL byte, so a view into the buffer is a C string.
//!
//! ```
//! use hasty::http::pairs::Pairs;
//!
//! let mut query = Pairs::default();
//! query.query(b"q=caf%C3%A9+au+lait&page=2&q=again&draft");
//! assert_eq!(query.get(b"q"), Some("café au lait".as_bytes())); // the first of two
//! assert_eq!(query.value(2), Some(&b"again"[..]));
//! assert_eq!(query.get(b"draft"), Some(&b""[..])); // there, and empty
//! assert_eq!(query.get(b"Page"), None); // absent: names are compared exactly
//! assert_eq!(query.get_terminated(b"page"), Some(&b"2\0"[..]));
//! ```

#![forbid(unsafe_code)]

use super::headers::trim;
use memchr::{memchr, memchr2};

/// Decoded names and values in one buffer, each followed by a NUL byte (so they are C strings too), in order.
///
/// Building takes linear time, and linear memory: 8 bytes and two NULs per pair beside its text.
/// Names and values may themselves contain NUL (`%00` in a query); only the length of a view tells where it ends.
#[derive(Debug, Default)]
pub struct Pairs {
    /// `name NUL value NUL`, pair after pair without gaps.
    text: Vec<u8>,
    places: Vec<Place>,
}

/// Where a pair is in the text. It ends where the next one begins, the last one at the end of the text.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: u32,
    value: u32,
}

/// Offsets have 32 bits, which halves the table of a form with many short fields. No body that is decoded in memory
/// comes near 4 GiB; what would exceed it is left out rather than wrapped around.
const MOST_TEXT: usize = u32::MAX as usize;

impl Pairs {
    /// Removes all pairs and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
    }

    /// Frees memory beyond `bytes` of text, and the same number of bytes of places.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.text.shrink_to(bytes);
        self.places.shrink_to(bytes / size_of::<Place>());
    }

    /// Appends one pair without decoding.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.append(name, value, Vec::extend_from_slice);
    }

    /// Appends the decoded pairs of `a=1&b=2`: a query string, or a form body in this format.
    ///
    /// `+` is a space, `%41` is `A`, and a malformed escape stays as it is (`100%`). Empty pieces (`a=1&&b=2`) are skipped; a piece without
    /// `=` is a name with an empty value. The first `=` separates name and value.
    pub fn query(&mut self, text: &[u8]) {
        let pieces = || text.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty());
        // Decoding never lengthens, so no pair reallocates; and `&&&...` reserves nothing.
        let count = pieces().count();
        self.places.reserve(count);
        self.text.reserve(text.len() + 2 * count);
        for piece in pieces() {
            let (name, value) = split_at_byte(piece, b'=').unwrap_or((piece, b""));
            self.append(name, value, decode_lenient);
        }
    }

    /// Appends the pairs of one Cookie header; call it for each header.
    ///
    /// Nothing is percent-decoded, since cookies have no such rule. One pair of quotes around a value and spaces around names and values are
    /// removed, and a missing space after `;` is accepted. Pieces without `=` or without a name are skipped.
    pub fn cookies(&mut self, header: &[u8]) {
        // RFC 6265 4.2.1: cookie-string = cookie-pair *( ";" SP cookie-pair )
        for piece in header.split(|&byte| byte == b';') {
            let Some((name, value)) = split_at_byte(piece, b'=') else { continue };
            let (name, value) = (trim(name), trim(value));
            // RFC 6265 4.1.1: cookie-name = token, which is not empty.
            if name.is_empty() {
                continue;
            }
            // RFC 6265 4.1.1: cookie-value = *cookie-octet / ( DQUOTE *cookie-octet DQUOTE )
            let value = match value {
                [b'"', inside @ .., b'"'] => inside,
                bare => bare,
            };
            self.push(name, value);
        }
    }

    /// The number of pairs; repeated names count each time.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The name of pair `i`, in order from 0.
    pub fn name(&self, i: usize) -> Option<&[u8]> {
        self.name_terminated(i).map(without_nul)
    }

    /// The value of pair `i`, in order from 0.
    pub fn value(&self, i: usize) -> Option<&[u8]> {
        self.value_terminated(i).map(without_nul)
    }

    /// The first value under `name`, compared byte by byte. None if there is none; an empty value is `Some`.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.get_terminated(name).map(without_nul)
    }

    /// Like [`Pairs::name`], including the NUL byte that follows.
    pub fn name_terminated(&self, i: usize) -> Option<&[u8]> {
        let place = self.places.get(i)?;
        self.text.get(place.name as usize..place.value as usize)
    }

    /// Like [`Pairs::value`], including the NUL byte that follows.
    pub fn value_terminated(&self, i: usize) -> Option<&[u8]> {
        let place = self.places.get(i)?;
        let end = self.places.get(i + 1).map_or(self.text.len(), |next| next.name as usize);
        self.text.get(place.value as usize..end)
    }

    /// Like [`Pairs::get`], including the NUL byte that follows.
    ///
    /// A linear search: requests are small, and most look up only a few names.
    pub fn get_terminated(&self, name: &[u8]) -> Option<&[u8]> {
        let i = (0..self.len()).find(|&i| self.name(i) == Some(name))?;
        self.value_terminated(i)
    }

    /// The only place that writes: both parts through `copy`, which must not lengthen them.
    fn append(&mut self, name: &[u8], value: &[u8], copy: impl Fn(&mut Vec<u8>, &[u8])) {
        if name.len() + value.len() + 2 > MOST_TEXT - self.text.len() {
            return;
        }
        let name_at = self.text.len();
        copy(&mut self.text, name);
        self.text.push(0);
        let value_at = self.text.len();
        copy(&mut self.text, value);
        self.text.push(0);
        // The casts lose no bits: the text stays within MOST_TEXT.
        self.places.push(Place { name: name_at as u32, value: value_at as u32 });
    }
}

/// Appends a path segment to `out`, percent-decoded; `+` is not a space.
///
/// Returns false, and leaves `out` unchanged, if an escape is not `%` and two hex digits, or is `%00`.
pub fn percent_decode_into(segment: &[u8], out: &mut Vec<u8>) -> bool {
    let before = out.len();
    let mut rest = segment;
    while let Some(at) = memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        match escaped(&rest[at..]) {
            None | Some(0) => {
                out.truncate(before);
                return false;
            }
            Some(byte) => out.push(byte),
        }
        rest = &rest[at + 3..];
    }
    out.extend_from_slice(rest);
    true
}

/// Is every `%` of `path` followed by two hex digits that are not `00`?
pub fn escapes_are_valid(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = memchr(b'%', rest) {
        if matches!(escaped(&rest[at..]), None | Some(0)) {
            return false;
        }
        rest = &rest[at + 3..];
    }
    true
}

/// Appends `text`, decoded by the rules of queries and forms.
fn decode_lenient(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = memchr2(b'%', b'+', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, taken) = match (rest[at], escaped(&rest[at..])) {
            (b'+', _) => (b' ', 1),
            (_, Some(byte)) => (byte, 3),
            (other, None) => (other, 1),
        };
        out.push(byte);
        rest = &rest[at + taken..];
    }
    out.extend_from_slice(rest);
}

/// The byte encoded by the escape at the beginning of `text`, if there is one.
fn escaped(text: &[u8]) -> Option<u8> {
    // RFC 3986 2.1: pct-encoded = "%" HEXDIG HEXDIG, in either case.
    match *text {
        [b'%', high, low, ..] => Some(hex(high)? << 4 | hex(low)?),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Splits at the first `byte`.
fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(byte, text)?;
    Some((&text[..at], &text[at + 1..]))
}

fn without_nul(terminated: &[u8]) -> &[u8] {
    &terminated[..terminated.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    type Texts<'a> = &'a [(&'a str, &'a str)];

    /// The pairs as a reader sees them, after checking the NULs and the consistency of the table.
    fn texts(pairs: &Pairs) -> Vec<(String, String)> {
        assert_eq!(pairs.is_empty(), pairs.places.is_empty());
        assert_eq!((pairs.name(pairs.len()), pairs.value(pairs.len())), (None, None));
        let text = |bare: Option<&[u8]>, terminated: Option<&[u8]>| {
            let (bare, terminated) = (bare.unwrap(), terminated.unwrap());
            assert_eq!(terminated, [bare, b"\0"].concat());
            bare.escape_ascii().to_string()
        };
        (0..pairs.len()).map(|i| (text(pairs.name(i), pairs.name_terminated(i)), text(pairs.value(i), pairs.value_terminated(i)))).collect()
    }

    fn check(list: impl Fn(&mut Pairs, &[u8]), table: &[(&str, Texts<'_>)]) {
        let mut pairs = Pairs::default();
        for (input, expected) in table {
            pairs.clear();
            list(&mut pairs, input.as_bytes());
            let expected: Vec<_> = expected.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            assert_eq!(texts(&pairs), expected, "{input:?}");
        }
    }

    #[test]
    fn a_query_is_decoded_in_order() {
        check(
            Pairs::query,
            &[
                ("", &[]),
                ("a=1", &[("a", "1")]),
                ("a=1&b=2", &[("a", "1"), ("b", "2")]),
                ("a=1&a=2", &[("a", "1"), ("a", "2")]),
                ("a", &[("a", "")]),
                ("a=", &[("a", "")]),
                ("=1", &[("", "1")]),
                ("=", &[("", "")]),
                ("&", &[]),
                ("&&a=1&&&b=2&", &[("a", "1"), ("b", "2")]),
                ("a==b=c", &[("a", "=b=c")]),
                ("a=1;b=2", &[("a", "1;b=2")]),
            ],
        );
    }

    #[test]
    fn plus_is_a_space_and_escapes_are_bytes_in_names_and_values() {
        check(
            Pairs::query,
            &[
                ("a+b=c+d", &[("a b", "c d")]),
                ("a%2Bb=c%2bd", &[("a+b", "c+d")]),
                ("%61%3D%26=%3d%26", &[("a=&", "=&")]),
                ("a=%C3%A9", &[("a", "\\xc3\\xa9")]),
                ("a=%FF", &[("a", "\\xff")]),
                ("a=x%00y", &[("a", "x\\x00y")]),
                ("a=%2541", &[("a", "%41")]),
            ],
        );
    }

    #[test]
    fn an_invalid_escape_in_a_query_stays_as_written() {
        check(
            Pairs::query,
            &[
                ("a=100%", &[("a", "100%")]),
                ("a=%4", &[("a", "%4")]),
                ("a=%zz", &[("a", "%zz")]),
                ("a=%4g%41", &[("a", "%4gA")]),
                ("a=%%41", &[("a", "%A")]),
                ("a=%+1", &[("a", "% 1")]),
                ("%=%&%4=%4", &[("%", "%"), ("%4", "%4")]),
            ],
        );
    }

    #[test]
    fn cookies_are_read_as_browsers_send_them_and_as_others_do() {
        check(
            Pairs::cookies,
            &[
                ("", &[]),
                ("a=1", &[("a", "1")]),
                ("a=1; b=2", &[("a", "1"), ("b", "2")]),
                ("a=1;b=2", &[("a", "1"), ("b", "2")]),
                ("  a=1 ;\tb=2  ", &[("a", "1"), ("b", "2")]),
                ("a = 1", &[("a", "1")]),
                ("a=", &[("a", "")]),
                ("a=b=c==", &[("a", "b=c==")]),
                ("a=1; a=2", &[("a", "1"), ("a", "2")]),
                ("a=\"1 2\"", &[("a", "1 2")]),
                ("a=\"\"", &[("a", "")]),
                ("a=\"", &[("a", "\\\"")]),
                ("a=\"1", &[("a", "\\\"1")]),
                ("a=\"\"1\"\"", &[("a", "\\\"1\\\"")]),
                ("a=%41+%20", &[("a", "%41+%20")]),
                (";;a=1;; ;b=2;", &[("a", "1"), ("b", "2")]),
            ],
        );
    }

    #[test]
    fn a_cookie_without_a_name_or_an_equals_sign_is_skipped() {
        check(Pairs::cookies, &[("a", &[]), ("=1; b=2", &[("b", "2")]), (" =1", &[]), ("x; b=2; y", &[("b", "2")])]);
    }

    #[test]
    fn the_first_value_of_a_name_in_its_exact_case_is_found() {
        let mut pairs = Pairs::default();
        pairs.query(b"A=0&a=1&a=2&empty");
        assert_eq!(pairs.get(b"a"), Some(&b"1"[..]));
        assert_eq!(pairs.get_terminated(b"a"), Some(&b"1\0"[..]));
        assert_eq!(pairs.get(b"A"), Some(&b"0"[..]));
        assert_eq!(pairs.get(b"empty"), Some(&b""[..]));
        assert_eq!(pairs.get_terminated(b"empty"), Some(&b"\0"[..]));
        assert_eq!(pairs.get(b"b"), None);
        assert_eq!(pairs.get(b"a\0"), None);
        assert_eq!(pairs.get(b""), None);
    }

    #[test]
    fn lists_of_several_sources_follow_each_other() {
        let mut pairs = Pairs::default();
        pairs.push(b"id", b"a%20b+c\0");
        pairs.push(b"", b"");
        pairs.query(b"q=1");
        pairs.cookies(b"c=2");
        pairs.cookies(b"d=3");
        let expected = [("id", "a%20b+c\\x00"), ("", ""), ("q", "1"), ("c", "2"), ("d", "3")];
        assert_eq!(texts(&pairs), expected.map(|(n, v)| (n.to_string(), v.to_string())));
    }

    #[test]
    fn clearing_forgets_the_pairs_and_keeps_the_memory() {
        let mut pairs = Pairs::default();
        let text = "name=a+long+value&".repeat(100);
        pairs.query(text.as_bytes());
        assert_eq!(pairs.len(), 100);
        let capacity = (pairs.text.capacity(), pairs.places.capacity());
        pairs.clear();
        assert!(pairs.is_empty() && pairs.get(b"name").is_none());
        pairs.query(text.as_bytes());
        assert_eq!((pairs.text.capacity(), pairs.places.capacity()), capacity);
    }

    #[test]
    fn a_hostile_query_costs_memory_in_proportion_to_its_length() {
        for (piece, pairs_each) in [("&", 0), ("a&", 1), ("=&", 1), ("%", 0), ("%41&", 1)] {
            let text = piece.repeat(100_000);
            let mut pairs = Pairs::default();
            pairs.query(text.as_bytes());
            // "%%%..." is one name.
            assert_eq!(pairs.len(), if piece == "%" { 1 } else { 100_000 * pairs_each }, "{piece:?}");
            let bytes = pairs.text.capacity() + pairs.places.capacity() * size_of::<Place>();
            assert!(bytes <= 6 * text.len() + 64, "{piece:?}: {bytes} bytes for {}", text.len());
        }
    }

    #[test]
    fn a_path_segment_is_decoded_once_and_strictly() {
        let table: &[(&[u8], Option<&[u8]>)] = &[
            (b"", Some(b"")),
            (b"abc", Some(b"abc")),
            (b"a+b", Some(b"a+b")),
            (b"%61", Some(b"a")),
            (b"a%2Fb%2f", Some(b"a/b/")),
            (b"%2541", Some(b"%41")),
            (b"%25", Some(b"%")),
            (b"%C3%a9", Some("é".as_bytes())),
            (b"%ff", Some(b"\xff")),
            (b"%01", Some(b"\x01")),
            (b"%", None),
            (b"%4", None),
            (b"a%", None),
            (b"%zz", None),
            (b"%4z", None),
            (b"%z4", None),
            (b"%%41", None),
            (b"%+1", None),
            (b"%-1", None),
            (b"%00", None),
            (b"ab%41%00", None),
        ];
        for (input, expected) in table {
            let mut out = b"kept".to_vec();
            let valid = percent_decode_into(input, &mut out);
            assert_eq!(valid, expected.is_some(), "{:?}", input.escape_ascii().to_string());
            assert_eq!(out, [b"kept", expected.unwrap_or_default()].concat());
            assert_eq!(escapes_are_valid(input), valid, "{:?}", input.escape_ascii().to_string());
        }
    }

    #[test]
    fn every_byte_survives_its_escape() {
        for byte in 1..=255u8 {
            for escape in [format!("%{byte:02x}"), format!("%{byte:02X}")] {
                let mut out = Vec::new();
                assert!(percent_decode_into(escape.as_bytes(), &mut out) && out == [byte], "{escape}");
                let mut pairs = Pairs::default();
                pairs.query(escape.as_bytes());
                assert_eq!(pairs.name(0), Some(&[byte][..]), "{escape}");
            }
        }
    }
}

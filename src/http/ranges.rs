//! Selects the requested ranges of a file: RFC 9110 14.

use super::headers;
use std::ops::Range;

/// The outcome of a Range field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// The whole file: the field is malformed, in another unit, or has too many ranges, and so is ignored.
    Whole,
    /// These ranges in the requested order, none of them empty, no two of them touching.
    Parts(Vec<Range<u64>>),
    /// No range lies in the file: 416.
    Unsatisfiable,
}

/// The most ranges per request. RFC 9110 14.2: a server "MAY ignore or reject a Range header field" with "many small ranges", each of which
/// costs the server a part, and the client nothing.
const MOST_RANGES: usize = 32;

/// Evaluates a Range field for a file of `len` bytes.
pub fn select(value: &[u8], len: u64) -> Ranges {
    // RFC 9110 14.1: range units are case-insensitive; 14.2: an unknown one is ignored.
    let Some(equals) = value.iter().position(|&b| b == b'=') else { return Ranges::Whole };
    if !value[..equals].eq_ignore_ascii_case(b"bytes") {
        return Ranges::Whole;
    }
    let mut parts: Vec<Range<u64>> = Vec::new();
    let mut empty_suffix = false;
    let mut count = 0;
    for spec in headers::list(&value[equals + 1..]) {
        count += 1;
        match Spec::parse(spec) {
            Some(_) if count > MOST_RANGES => return Ranges::Whole,
            Some(spec) => match spec.within(len) {
                Some(range) => add(&mut parts, range),
                // RFC 9110 14.1.2: a suffix "is satisfiable if the suffix-length is non-zero", even for an
                // empty file, but no Content-Range can express that.
                None => empty_suffix |= len == 0 && matches!(spec, Spec::Suffix(1..)),
            },
            None => return Ranges::Whole,
        }
    }
    match (parts.is_empty(), count) {
        (_, 0) => Ranges::Whole,
        (true, _) if empty_suffix => Ranges::Whole,
        (true, _) => Ranges::Unsatisfiable,
        (false, _) => Ranges::Parts(parts),
    }
}

/// RFC 9110 15.3.7.2: a server "MAY coalesce any of the ranges that overlap", so that no byte is sent twice.
fn add(parts: &mut Vec<Range<u64>>, mut range: Range<u64>) {
    let mut place = parts.len();
    let mut at = 0;
    while at < parts.len() {
        let other = &parts[at];
        if other.start <= range.end && range.start <= other.end {
            range = range.start.min(other.start)..range.end.max(other.end);
            parts.remove(at);
            place = place.min(at);
        } else {
            at += 1;
        }
    }
    parts.insert(place.min(parts.len()), range);
}

enum Spec {
    /// `first-last`, both inclusive.
    Int(u64, u64),
    /// `-length`: the last bytes.
    Suffix(u64),
}

impl Spec {
    /// RFC 9110 14.1.1: `int-range = first-pos "-" [ last-pos ]`, `suffix-range = "-" suffix-length`.
    fn parse(text: &[u8]) -> Option<Spec> {
        let dash = text.iter().position(|&b| b == b'-')?;
        match (&text[..dash], &text[dash + 1..]) {
            (b"", length) => number(length).map(Spec::Suffix),
            (first, b"") => number(first).map(|first| Spec::Int(first, u64::MAX)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                // RFC 9110 14.1.1: "An int-range is invalid if the last-pos value is present and less than first-pos."
                (first <= last).then_some(Spec::Int(first, last))
            }
        }
    }

    fn within(&self, len: u64) -> Option<Range<u64>> {
        match *self {
            Spec::Int(first, last) if first < len => Some(first..last.saturating_add(1).min(len)),
            Spec::Suffix(length) if length > 0 && len > 0 => Some(len - length.min(len)..len),
            _ => None,
        }
    }
}

/// A decimal number; what exceeds 64 bits becomes the largest.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<const N: usize>(ranges: [(u64, u64); N]) -> Ranges {
        Ranges::Parts(ranges.iter().map(|&(first, last)| first..last + 1).collect())
    }

    #[test]
    fn one_range() {
        for (value, expected) in [
            ("bytes=0-0", (0, 0)),
            ("bytes=0-99", (0, 99)),
            ("bytes=0-", (0, 99)),
            ("bytes=99-", (99, 99)),
            ("bytes=10-19", (10, 19)),
            ("bytes=90-1000", (90, 99)),
            ("bytes=-1", (99, 99)),
            ("bytes=-1000", (0, 99)),
            ("BYTES=5-6", (5, 6)),
            ("bytes= 5-6", (5, 6)),
            ("bytes=,5-6,", (5, 6)),
            ("bytes=5-99999999999999999999999", (5, 99)),
        ] {
            assert_eq!(select(value.as_bytes(), 100), parts([expected]), "{value}");
        }
    }

    #[test]
    fn several_ranges_keep_their_order() {
        assert_eq!(select(b"bytes=50-59,0-9, -5", 100), parts([(50, 59), (0, 9), (95, 99)]));
        assert_eq!(select(b"bytes=200-,0-9", 100), parts([(0, 9)]), "those outside are left out");
    }

    #[test]
    fn ranges_that_overlap_or_touch_become_one() {
        assert_eq!(select(b"bytes=0-9,5-14", 100), parts([(0, 14)]));
        assert_eq!(select(b"bytes=0-9,10-19", 100), parts([(0, 19)]));
        assert_eq!(select(b"bytes=0-9,20-29,5-24", 100), parts([(0, 29)]));
        assert_eq!(select(b"bytes=90-99,40-49,0-9,45-95", 100), parts([(40, 99), (0, 9)]));
        assert_eq!(select(b"bytes=0-9,11-19", 100), parts([(0, 9), (11, 19)]));
    }

    #[test]
    fn nothing_of_the_file_is_unsatisfiable() {
        for (value, len) in
            [("bytes=100-", 100), ("bytes=100-200,300-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=0-0", 0), ("bytes=-0", 0)]
        {
            assert_eq!(select(value.as_bytes(), len), Ranges::Unsatisfiable, "{value} of {len}");
        }
    }

    #[test]
    fn the_last_bytes_of_an_empty_file_are_all_of_it() {
        assert_eq!(select(b"bytes=-5", 0), Ranges::Whole);
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=5",
            "bytes=9-5",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=0x1-2",
            "lines=0-1",
            "bytes =0-1",
            "bytes=0-1;5-6",
            "bytes=0-1,x",
            "bytes=1 -2",
            "bytes=--1",
        ] {
            assert_eq!(select(value.as_bytes(), 100), Ranges::Whole, "{value}");
        }
    }

    #[test]
    fn many_ranges_are_ignored() {
        let ask = |count: u64| {
            let specs: Vec<String> = (0..count).map(|n| format!("{}-{}", 3 * n, 3 * n)).collect();
            select(format!("bytes={}", specs.join(",")).as_bytes(), 10_000)
        };
        assert!(matches!(ask(32), Ranges::Parts(parts) if parts.len() == 32));
        assert_eq!(ask(33), Ranges::Whole);
    }
}

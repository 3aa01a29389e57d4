//! Conditional requests: RFC 9110 13.

use super::headers;
use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What distinguishes one state of a file from another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    /// The entity tag with its quotes, and with `W/` if it is weak.
    pub etag: Option<&'a [u8]>,
    /// Last-Modified in seconds since 1970.
    pub modified: Option<u64>,
    /// Did it change so long ago that its time-stamp is a strong validator? RFC 9110 8.8.2.2.
    pub settled: bool,
}

/// The fields of a request that make it conditional.
#[derive(Clone, Debug, Default)]
pub struct Conditions<'a> {
    if_match: Option<Cow<'a, [u8]>>,
    if_none_match: Option<Cow<'a, [u8]>>,
    if_modified_since: Option<Cow<'a, [u8]>>,
    if_unmodified_since: Option<Cow<'a, [u8]>>,
    if_range: Option<Cow<'a, [u8]>>,
    range: Option<Cow<'a, [u8]>>,
}

/// The outcome of the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The file is sent; its Range field applies, if there is one.
    Ranged,
    /// The whole file is sent.
    Whole,
    /// The client has the current state: 304.
    NotModified,
    /// A precondition failed: 412.
    Failed,
}

impl<'a> Conditions<'a> {
    /// Notes a field of the request, if it is a condition.
    pub fn note(&mut self, name: &[u8], value: &'a [u8]) {
        let place = match name.len() {
            5 if name.eq_ignore_ascii_case(b"range") => &mut self.range,
            8 if name.eq_ignore_ascii_case(b"if-match") => &mut self.if_match,
            8 if name.eq_ignore_ascii_case(b"if-range") => &mut self.if_range,
            13 if name.eq_ignore_ascii_case(b"if-none-match") => &mut self.if_none_match,
            17 if name.eq_ignore_ascii_case(b"if-modified-since") => &mut self.if_modified_since,
            19 if name.eq_ignore_ascii_case(b"if-unmodified-since") => &mut self.if_unmodified_since,
            _ => return,
        };
        // RFC 9110 5.3: lines with the same name form one list. Two dates or Ranges form a malformed value, which is ignored.
        *place = Some(match place.take() {
            None => Cow::Borrowed(value),
            Some(before) => Cow::Owned([&before, &b", "[..], value].concat()),
        });
    }

    /// The Range field.
    pub fn range(&self) -> Option<&[u8]> {
        self.range.as_deref()
    }

    /// Evaluates the conditions against the file's current state, in the order of RFC 9110 13.2.2. For GET and HEAD.
    pub fn judge(&self, file: Validators<'_>) -> Verdict {
        if let Some(tags) = &self.if_match {
            // RFC 9110 13.1.1: "An origin server MUST use the strong comparison function".
            if !any_tag(tags, |tag| strong_eq(Some(tag), file.etag)) {
                return Verdict::Failed;
            }
        } else if let (Some(date), Some(modified)) = (self.if_unmodified_since.as_deref().and_then(seconds), file.modified) {
            if modified > date {
                return Verdict::Failed;
            }
        }
        if let Some(tags) = &self.if_none_match {
            // RFC 9110 13.1.2: "A recipient MUST use the weak comparison function".
            if any_tag(tags, |tag| file.etag.is_some_and(|etag| opaque(tag) == opaque(etag))) {
                return Verdict::NotModified;
            }
        } else if let (Some(date), Some(modified)) = (self.if_modified_since.as_deref().and_then(seconds), file.modified) {
            if modified <= date {
                return Verdict::NotModified;
            }
        }
        match &self.if_range {
            _ if self.range.is_none() => Verdict::Whole,
            Some(validator) if !is_current(validator, file) => Verdict::Whole,
            _ => Verdict::Ranged,
        }
    }
}

/// RFC 9110 13.1.5: If-Range is a strong tag, or a date that equals Last-Modified, if that is a strong validator.
fn is_current(validator: &[u8], file: Validators<'_>) -> bool {
    if validator.starts_with(b"\"") || validator.starts_with(b"W/") {
        return strong_eq(Some(validator), file.etag);
    }
    file.settled && seconds(validator).is_some_and(|date| Some(date) == file.modified)
}

fn strong_eq(one: Option<&[u8]>, other: Option<&[u8]>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one == other && one.starts_with(b"\""))
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// Does any tag of a list match? `*` matches every existing file.
///
/// RFC 9110 8.8.3: `entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE`. A tag may hold commas. The list ends where it is malformed.
fn any_tag(list: &[u8], matches: impl Fn(&[u8]) -> bool) -> bool {
    if headers::trim(list) == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        while let [b' ' | b'\t' | b',', more @ ..] = rest {
            rest = more;
        }
        let start = if rest.starts_with(b"W/") { 2 } else { 0 };
        if rest.get(start) != Some(&b'"') {
            return false;
        }
        let Some(len) = rest[start + 1..].iter().position(|&b| b == b'"') else { return false };
        let end = start + 1 + len + 1;
        if matches(&rest[..end]) {
            return true;
        }
        rest = &rest[end..];
    }
}

/// A date of RFC 9110 5.6.7 in seconds since 1970; None if it is malformed, so that the field is ignored.
pub fn seconds(date: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(date).ok()?).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// A time as a date; None if its year has more than four digits.
pub fn date(seconds: u64) -> Option<String> {
    const YEAR_10000: u64 = 253_402_300_800;
    let time: SystemTime = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).filter(|_| seconds < YEAR_10000)?;
    Some(httpdate::fmt_http_date(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: u64 = 784_111_777;
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn judge(fields: &[(&str, &str)], etag: &str) -> Verdict {
        let mut conditions = Conditions::default();
        for (name, value) in fields {
            conditions.note(name.as_bytes(), value.as_bytes());
        }
        conditions.judge(Validators { etag: Some(etag.as_bytes()), modified: Some(THEN), settled: !etag.starts_with("W/") })
    }

    #[test]
    fn one_condition() {
        use Verdict::{Failed, NotModified, Ranged, Whole};
        let range = ("Range", "bytes=0-1");
        for (fields, strong, weak) in [
            (&[][..], Whole, Whole),
            (&[range], Ranged, Ranged),
            (&[("If-None-Match", "\"a\"")], NotModified, NotModified),
            (&[("If-None-Match", "W/\"a\"")], NotModified, NotModified),
            (&[("If-None-Match", "\"b\", \"a\"")], NotModified, NotModified),
            (&[("If-None-Match", "\"x,y\",\"a\"")], NotModified, NotModified),
            (&[("If-None-Match", "*")], NotModified, NotModified),
            (&[("If-None-Match", "\"b\"")], Whole, Whole),
            (&[("If-None-Match", "a")], Whole, Whole),
            (&[("If-None-Match", "\"a")], Whole, Whole),
            (&[("If-None-Match", "w/\"a\"")], Whole, Whole),
            (&[("If-None-Match", "")], Whole, Whole),
            (&[("If-Match", "\"a\"")], Whole, Failed),
            (&[("If-Match", "\"b\", \"a\"")], Whole, Failed),
            (&[("If-Match", "*")], Whole, Whole),
            (&[("If-Match", "W/\"a\"")], Failed, Failed),
            (&[("If-Match", "\"b\"")], Failed, Failed),
            (&[("If-Match", "junk")], Failed, Failed),
            (&[("If-Modified-Since", DATE)], NotModified, NotModified),
            (&[("If-Modified-Since", LATER)], NotModified, NotModified),
            (&[("If-Modified-Since", EARLIER)], Whole, Whole),
            (&[("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")], NotModified, NotModified),
            (&[("If-Modified-Since", "Sun Nov  6 08:49:37 1994")], NotModified, NotModified),
            (&[("If-Modified-Since", "yesterday")], Whole, Whole),
            (&[("If-Unmodified-Since", DATE)], Whole, Whole),
            (&[("If-Unmodified-Since", EARLIER)], Failed, Failed),
            (&[("If-Unmodified-Since", "yesterday")], Whole, Whole),
            (&[range, ("If-Range", "\"a\"")], Ranged, Whole),
            (&[range, ("If-Range", "W/\"a\"")], Whole, Whole),
            (&[range, ("If-Range", "\"b\"")], Whole, Whole),
            (&[range, ("If-Range", DATE)], Ranged, Whole),
            (&[range, ("If-Range", LATER)], Whole, Whole),
            (&[range, ("If-Range", "junk")], Whole, Whole),
            (&[("If-Range", "\"a\"")], Whole, Whole),
        ] {
            assert_eq!(judge(fields, "\"a\""), strong, "{fields:?}");
            assert_eq!(judge(fields, "W/\"a\""), weak, "{fields:?}, weak");
        }
    }

    #[test]
    fn tags_count_before_dates() {
        for (fields, expected) in [
            (&[("If-None-Match", "\"b\""), ("If-Modified-Since", LATER)][..], Verdict::Whole),
            (&[("If-None-Match", "\"a\""), ("If-Modified-Since", EARLIER)], Verdict::NotModified),
            (&[("If-Match", "\"a\""), ("If-Unmodified-Since", EARLIER)], Verdict::Whole),
            (&[("If-Match", "\"b\""), ("If-None-Match", "\"a\"")], Verdict::Failed),
            (&[("If-None-Match", "\"a\""), ("Range", "bytes=0-1")], Verdict::NotModified),
            (&[("If-Unmodified-Since", DATE), ("If-Modified-Since", DATE)], Verdict::NotModified),
        ] {
            assert_eq!(judge(fields, "\"a\""), expected, "{fields:?}");
        }
    }

    #[test]
    fn lines_of_one_name_are_one_list() {
        assert_eq!(judge(&[("If-None-Match", "\"b\""), ("if-none-match", "\"a\"")], "\"a\""), Verdict::NotModified);
        assert_eq!(judge(&[("If-Modified-Since", DATE), ("If-Modified-Since", DATE)], "\"a\""), Verdict::Whole);
    }

    #[test]
    fn dates_end_with_the_year_9999() {
        assert_eq!(date(THEN).as_deref(), Some(DATE));
        assert_eq!(date(253_402_300_799).as_deref(), Some("Fri, 31 Dec 9999 23:59:59 GMT"));
        assert_eq!(date(253_402_300_800), None);
        assert_eq!(date(u64::MAX), None);
    }
}

//! The record of a finished request, and its formats as a line of an access log.

use crate::error::{Error, Result, Shown};
use crate::http::encoder::decimal;
use crate::text::Text;

/// One finished request.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// The method as sent; empty if the request line could not be parsed.
    pub method: Text<'a>,
    /// The target as sent; empty if the request line could not be parsed.
    pub target: Text<'a>,
    /// The route's pattern; None if no route answered.
    pub route: Option<Text<'a>>,
    /// The client's address.
    pub remote_address: Text<'a>,
    /// The User-Agent field.
    pub user_agent: Option<Text<'a>>,
    /// The Referer field.
    pub referer: Option<Text<'a>>,
    /// The request's id.
    pub id: Text<'a>,
    /// Bytes of the request, head and body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the end of the request's head to the complete answer, in microseconds.
    pub duration_us: u64,
    /// When the answer was finished, in microseconds since 1970.
    pub time_us: i64,
    /// The answer's status.
    pub status: u16,
}

/// The format of a record as a line.
///
/// Clients control many of the fields. Each format escapes them, so that no client can end a line, a field or a string, and
/// no control character reaches the terminal on which the log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// Apache's Common Log Format: `192.0.2.1 - - [22/Nov/2026:16:31:46 +0000] "GET /a?b=c HTTP/1.1" 200 5`.
    ///
    /// The time is that of the request's arrival, in UTC. A body of no bytes is `-`. The version is always 1.1, the
    /// server's: records do not keep that of the request. Bytes that are not printable ASCII are written as `\xhh`, some
    /// as `\n`, `\r`, `\t`, `\v`, `\b`; `"` and `\` as `\"` and `\\`.
    Common,
    /// Apache's Combined Log Format: the Common one, then `"Referer" "User-Agent"`, `"-"` for a field that was not sent.
    Combined,
    /// One JSON object on one line, always with these members in this order: `time` (when the answer was finished, such as
    /// `"2026-11-22T16:31:46.123456Z"`), `remote_address`, `method`, `target`, `route`, `status`, `bytes_in`, `bytes_out`,
    /// `duration_us`, `user_agent`, `referer`, `id`. Absent values are null; invalid UTF-8 becomes U+FFFD.
    Json,
}

impl AccessFormat {
    /// The format called "common", "combined" or "json".
    pub fn from_name(name: &str) -> Result<AccessFormat> {
        match name {
            "common" => Ok(AccessFormat::Common),
            "combined" => Ok(AccessFormat::Combined),
            "json" => Ok(AccessFormat::Json),
            _ => Err(Error::invalid(format!("access format \"{}\" is not common, combined or json", Shown(name.as_bytes())))),
        }
    }
}

/// Receives a record of each finished request, on any thread, several at a time.
pub trait AccessLog: Send + Sync + 'static {
    /// Receives one record. Its views are valid only during the call.
    fn record(&self, record: &AccessRecord<'_>);
}

impl<F> AccessLog for F
where
    F: Fn(&AccessRecord<'_>) + Send + Sync + 'static,
{
    fn record(&self, record: &AccessRecord<'_>) {
        self(record);
    }
}

impl AccessRecord<'_> {
    /// This record as a line, without the line's end.
    pub fn format(&self, format: AccessFormat) -> String {
        let mut out = Vec::new();
        self.write(format, &mut out);
        String::from_utf8(out).expect("every format writes UTF-8")
    }

    /// Appends this record as a line, without the line's end.
    pub fn write(&self, format: AccessFormat, out: &mut Vec<u8>) {
        Entry::from(self).write(format, out);
    }
}

/// A record whose texts need not end with NUL: C may pass in a copy that it made.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) route: Option<&'a [u8]>,
    pub(crate) remote_address: &'a [u8],
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) referer: Option<&'a [u8]>,
    pub(crate) id: &'a [u8],
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) duration_us: u64,
    pub(crate) time_us: i64,
    pub(crate) status: u16,
}

impl<'a> From<&AccessRecord<'a>> for Entry<'a> {
    fn from(record: &AccessRecord<'a>) -> Entry<'a> {
        Entry {
            method: record.method.bytes(),
            target: record.target.bytes(),
            route: record.route.map(Text::bytes),
            remote_address: record.remote_address.bytes(),
            user_agent: record.user_agent.map(Text::bytes),
            referer: record.referer.map(Text::bytes),
            id: record.id.bytes(),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            duration_us: record.duration_us,
            time_us: record.time_us,
            status: record.status,
        }
    }
}

impl Entry<'_> {
    /// Appends this record as a line, without the line's end.
    pub(crate) fn write(&self, format: AccessFormat, out: &mut Vec<u8>) {
        match format {
            AccessFormat::Common => self.common(out),
            AccessFormat::Combined => {
                self.common(out);
                for field in [self.referer, self.user_agent] {
                    out.push(b' ');
                    quoted(field, out);
                }
            }
            AccessFormat::Json => self.json(out),
        }
    }

    /// `%h %l %u %t "%r" %>s %b` of Apache.
    fn common(&self, out: &mut Vec<u8>) {
        word(self.remote_address, out);
        out.extend_from_slice(b" - - [");
        Moment::of(self.time_us.saturating_sub_unsigned(self.duration_us)).write_common(out);
        out.extend_from_slice(b"] \"");
        if self.method.is_empty() {
            out.push(b'-');
        } else {
            escaped(self.method, b'!', out);
            out.push(b' ');
            escaped(self.target, b'!', out);
            out.extend_from_slice(b" HTTP/1.1");
        }
        out.extend_from_slice(b"\" ");
        number(self.status.into(), out);
        out.push(b' ');
        number(self.bytes_out, out);
    }

    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        Moment::of(self.time_us).write_iso(out);
        out.push(b'"');
        member("remote_address", Some(self.remote_address), out);
        member("method", Some(self.method), out);
        member("target", Some(self.target), out);
        member("route", self.route, out);
        for (name, value) in
            [("status", self.status.into()), ("bytes_in", self.bytes_in), ("bytes_out", self.bytes_out), ("duration_us", self.duration_us)]
        {
            key(name, out);
            decimal(value, out);
        }
        member("user_agent", self.user_agent, out);
        member("referer", self.referer, out);
        member("id", Some(self.id), out);
        out.push(b'}');
    }
}

/// A number, or `-` for 0, as in Apache.
fn number(value: u64, out: &mut Vec<u8>) {
    if value == 0 { out.push(b'-') } else { decimal(value, out) }
}

/// Text between spaces, or `-`.
fn word(text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() { out.push(b'-') } else { escaped(text, b'!', out) }
}

fn quoted(text: Option<&[u8]>, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text.unwrap_or(b"-"), b' ', out);
    out.push(b'"');
}

/// Apache's escapes; `first` is the first character that needs none, a space or the one after it.
fn escaped(text: &[u8], first: u8, out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ if (first..=b'~').contains(&byte) => out.push(byte),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0b => out.extend_from_slice(b"\\v"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.extend_from_slice(&[b'\\', b'x', hex(byte >> 4), hex(byte & 15)]),
        }
    }
}

fn hex(digit: u8) -> u8 {
    b"0123456789abcdef"[usize::from(digit)]
}

/// `,"name":`
fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn member(name: &str, value: Option<&[u8]>, out: &mut Vec<u8>) {
    key(name, out);
    match value {
        Some(text) => string(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// A JSON string. Besides the characters that RFC 8259 requires and `json` escapes, this escapes DEL, C1 controls and
/// U+2028: the text is a client's, and terminals and log tools may take these for commands or line ends.
fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            '\u{2028}' | '\u{2029}' => unicode(c, out),
            c if c.is_control() => unicode(c, out),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// `\uhhhh`, for code points of up to four digits.
fn unicode(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    out.extend([12, 8, 4, 0].map(|shift| hex((c as u32 >> shift & 15) as u8)));
}

/// A time in UTC, broken down.
#[derive(Debug, PartialEq, Eq)]
struct Moment {
    year: i64,
    /// 1 to 12.
    month: u8,
    /// 1 to 31.
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    microsecond: u32,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Moment {
    fn of(time_us: i64) -> Moment {
        const DAY: i64 = 86_400;
        let seconds = time_us.div_euclid(1_000_000);
        let (year, month, day) = civil(seconds.div_euclid(DAY));
        let of_day = seconds.rem_euclid(DAY);
        Moment {
            year,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            microsecond: time_us.rem_euclid(1_000_000) as u32,
        }
    }

    /// `22/Nov/2026:16:31:46 +0000`
    fn write_common(&self, out: &mut Vec<u8>) {
        padded(self.day.into(), 2, out);
        out.push(b'/');
        out.extend_from_slice(MONTHS[usize::from(self.month) - 1].as_bytes());
        out.push(b'/');
        self.write_year(out);
        out.push(b':');
        self.write_clock(out);
        out.extend_from_slice(b" +0000");
    }

    /// `2026-11-22T16:31:46.123456Z`, as in RFC 3339.
    fn write_iso(&self, out: &mut Vec<u8>) {
        self.write_year(out);
        out.push(b'-');
        padded(self.month.into(), 2, out);
        out.push(b'-');
        padded(self.day.into(), 2, out);
        out.push(b'T');
        self.write_clock(out);
        out.push(b'.');
        padded(self.microsecond, 6, out);
        out.push(b'Z');
    }

    /// `16:31:46`
    fn write_clock(&self, out: &mut Vec<u8>) {
        padded(self.hour.into(), 2, out);
        out.push(b':');
        padded(self.minute.into(), 2, out);
        out.push(b':');
        padded(self.second.into(), 2, out);
    }

    /// Four digits. Years that need more, or a sign, can only come from a wrong clock or from C.
    fn write_year(&self, out: &mut Vec<u8>) {
        match u32::try_from(self.year) {
            Ok(year @ 0..10_000) => padded(year, 4, out),
            _ => out.extend_from_slice(self.year.to_string().as_bytes()),
        }
    }
}

/// A zero-padded number.
fn padded(number: u32, digits: u32, out: &mut Vec<u8>) {
    for place in (0..digits).rev() {
        out.push(b'0' + (number / 10_u32.pow(place) % 10) as u8);
    }
}

/// Year, month and day of a day since 1970, in the Gregorian calendar.
///
/// Years are taken to begin in March, so that a leap day is the last of its year; 400 of them have 146097 days.
fn civil(days: i64) -> (i64, u8, u8) {
    const ERA: i64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let of_era = days.rem_euclid(ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // The months from March on have 31, 30, 31, 30, 31 days, twice and a bit: 153 in five.
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = days.div_euclid(ERA) * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Value;
    use std::sync::Mutex;
    use std::time::{Duration, UNIX_EPOCH};

    fn text(with_nul: &[u8]) -> Text<'_> {
        Text::new(with_nul)
    }

    /// 22 November 2026, 16:31:46 and 123456 us, after 1.5 s.
    fn record() -> AccessRecord<'static> {
        AccessRecord {
            method: text(b"GET\0"),
            target: text(b"/items/7?a=b\0"),
            route: Some(text(b"/items/:id\0")),
            remote_address: text(b"192.0.2.1\0"),
            user_agent: Some(text(b"curl/8.5.0\0")),
            referer: Some(text(b"https://example.org/\0")),
            id: text(b"0123456789abcdef\0"),
            bytes_in: 120,
            bytes_out: 2326,
            duration_us: 1_500_000,
            time_us: 1_795_365_106_123_456,
            status: 200,
        }
    }

    fn entry() -> Entry<'static> {
        Entry::from(&record())
    }

    fn line(entry: &Entry<'_>, format: AccessFormat) -> String {
        let mut out = Vec::new();
        entry.write(format, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_three_formats() {
        let common = "192.0.2.1 - - [22/Nov/2026:16:31:44 +0000] \"GET /items/7?a=b HTTP/1.1\" 200 2326";
        assert_eq!(record().format(AccessFormat::Common), common);
        assert_eq!(record().format(AccessFormat::Combined), format!("{common} \"https://example.org/\" \"curl/8.5.0\""));
        assert_eq!(
            record().format(AccessFormat::Json),
            "{\"time\":\"2026-11-22T16:31:46.123456Z\",\"remote_address\":\"192.0.2.1\",\"method\":\"GET\",\
             \"target\":\"/items/7?a=b\",\"route\":\"/items/:id\",\"status\":200,\"bytes_in\":120,\"bytes_out\":2326,\
             \"duration_us\":1500000,\"user_agent\":\"curl/8.5.0\",\"referer\":\"https://example.org/\",\
             \"id\":\"0123456789abcdef\"}"
        );
    }

    #[test]
    fn a_line_is_appended() {
        let mut out = b"before ".to_vec();
        record().write(AccessFormat::Common, &mut out);
        assert!(out.starts_with(b"before 192.0.2.1 - - ["));
    }

    #[test]
    fn formats_have_names() {
        for (name, format) in [("common", AccessFormat::Common), ("combined", AccessFormat::Combined), ("json", AccessFormat::Json)] {
            assert_eq!(AccessFormat::from_name(name).unwrap(), format);
        }
        for name in ["", "JSON", "json ", "apache"] {
            let error = AccessFormat::from_name(name).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Invalid);
            assert_eq!(error.to_string(), format!("access format \"{name}\" is not common, combined or json"));
        }
    }

    #[test]
    fn what_is_absent_shows_as_such() {
        let record = AccessRecord {
            method: Text::EMPTY,
            target: Text::EMPTY,
            route: None,
            remote_address: Text::EMPTY,
            user_agent: None,
            referer: None,
            id: Text::EMPTY,
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 0,
            time_us: 0,
            status: 0,
        };
        assert_eq!(record.format(AccessFormat::Combined), "- - - [01/Jan/1970:00:00:00 +0000] \"-\" - - \"-\" \"-\"");
        assert_eq!(
            record.format(AccessFormat::Json),
            "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"remote_address\":\"\",\"method\":\"\",\"target\":\"\",\"route\":null,\
             \"status\":0,\"bytes_in\":0,\"bytes_out\":0,\"duration_us\":0,\"user_agent\":null,\"referer\":null,\"id\":\"\"}"
        );
    }

    #[test]
    fn an_empty_field_is_not_an_absent_one() {
        let entry = Entry { user_agent: Some(b""), referer: None, ..entry() };
        assert!(line(&entry, AccessFormat::Combined).ends_with(" \"-\" \"\""));
        assert!(line(&entry, AccessFormat::Json).contains("\"user_agent\":\"\",\"referer\":null"));
    }

    #[test]
    fn escapes_are_those_of_apache() {
        for (sent, written) in [
            ("a\"b", "a\\\"b"),
            ("a\\b", "a\\\\b"),
            ("a\\\"b", "a\\\\\\\"b"),
            ("\x08\t\n\x0b\r", "\\b\\t\\n\\v\\r"),
            ("\0\x0c\x1b[2J\x7f", "\\x00\\x0c\\x1b[2J\\x7f"),
            ("é", "\\xc3\\xa9"),
            ("it's a [plain] ~one", "it's a [plain] ~one"),
        ] {
            let mut out = Vec::new();
            escaped(sent.as_bytes(), b' ', &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written, "{sent:?}");
        }
        let mut out = Vec::new();
        escaped(b"\x80 \xff", b'!', &mut out);
        assert_eq!(out, b"\\x80\\x20\\xff");
    }

    /// Attempts of a client to forge a line or a field, or to control the terminal.
    const ATTACKS: &[&[u8]] = &[
        b"\n192.0.2.9 - - [22/Nov/2026:16:31:46 +0000] \"GET /forged HTTP/1.1\" 200 1",
        b"\r\n{\"status\":200}",
        b"\",\"status\":200,\"x\":\"",
        b"\" 200 1 \"a\" \"b",
        b"\\",
        b"\\\"",
        b"\\\" 200 1",
        b"\\u000a",
        b"\x1b]0;title\x07\x1b[2K\x1b[1A",
        b"\0\x7f\x0b\x0c",
        b"\xff\xfe\n\xc0\x80",
        "a\u{85}b\u{9b}31mc\u{2028}d\u{2029}e".as_bytes(),
        b"\xe2\x80",
        b" ",
        b"- - -",
    ];

    #[test]
    fn no_client_forges_a_line() {
        for &attack in ATTACKS {
            let target = [b"/", attack].concat();
            let entry = Entry {
                method: attack,
                target: &target,
                route: Some(attack),
                remote_address: attack,
                user_agent: Some(attack),
                referer: Some(attack),
                id: attack,
                ..entry()
            };
            for format in [AccessFormat::Common, AccessFormat::Combined, AccessFormat::Json] {
                let line = line(&entry, format);
                let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
                assert!(!line.contains(hidden), "{format:?}: {line:?}");
            }
        }
    }

    /// The fields of a line as a reader of Apache's logs finds them: words, `[...]` and `"..."` with escapes.
    fn fields(line: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut rest = line;
        while !rest.is_empty() {
            let (begin, end) = match rest.as_bytes()[0] {
                b'"' => (1, b'"'),
                b'[' => (1, b']'),
                _ => (0, b' '),
            };
            let bytes = rest.as_bytes();
            let mut at = begin;
            while at < bytes.len() && bytes[at] != end {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            assert!(at < bytes.len() || begin == 0, "a field has no end: {line}");
            found.push(&rest[begin..at]);
            rest = &rest[(at + begin).min(rest.len())..];
            assert!(rest.is_empty() || rest.starts_with(' '), "something follows a field: {line}");
            rest = rest.strip_prefix(' ').unwrap_or_default();
        }
        found
    }

    #[test]
    fn no_client_forges_a_field_of_a_combined_line() {
        for &attack in ATTACKS {
            let entry = Entry {
                method: attack,
                target: attack,
                remote_address: attack,
                user_agent: Some(attack),
                referer: Some(attack),
                ..entry()
            };
            let line = line(&entry, AccessFormat::Combined);
            let fields = fields(&line);
            assert_eq!(fields.len(), 9, "{line}");
            assert_eq!(fields[1..4], ["-", "-", "22/Nov/2026:16:31:44 +0000"]);
            assert_eq!(fields[5..7], ["200", "2326"]);
            assert_eq!(fields[7], fields[8]);
            assert_eq!(fields[4].split(' ').count(), 3, "the request line has three words: {line}");
        }
    }

    #[test]
    fn json_says_what_was_sent() {
        for &attack in ATTACKS {
            let entry = Entry { target: attack, user_agent: Some(attack), id: attack, ..entry() };
            let value = Value::parse(line(&entry, AccessFormat::Json).as_bytes()).unwrap();
            assert_eq!(value.len(), 12);
            for name in ["target", "user_agent", "id"] {
                assert_eq!(value.get(name).unwrap().as_str().unwrap(), String::from_utf8_lossy(attack), "{name}");
            }
            assert_eq!(value.get("status").unwrap().as_int().unwrap(), 200);
        }
    }

    #[test]
    fn letters_of_all_scripts_stay_readable_in_json() {
        let entry = Entry { user_agent: Some("Zoë 你好 😀".as_bytes()), ..entry() };
        assert!(line(&entry, AccessFormat::Json).contains("\"user_agent\":\"Zoë 你好 😀\""));
    }

    #[test]
    fn days_have_their_names() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (790, (1972, 3, 1)),
            (11_015, (2000, 2, 28)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (11_322, (2000, 12, 31)),
            (11_323, (2001, 1, 1)),
            (19_782, (2024, 2, 29)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
            (-25_509, (1900, 2, 28)),
            (-25_508, (1900, 3, 1)),
            (-719_468, (0, 3, 1)),
            (-719_469, (0, 2, 29)),
        ] {
            assert_eq!(civil(days), expected, "day {days}");
        }
    }

    #[test]
    fn days_agree_with_httpdate() {
        for day in 0..150_000 {
            let (year, month, of_month) = civil(day);
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(day as u64 * 86_400));
            assert_eq!(format!("{of_month:02} {} {year}", MONTHS[usize::from(month) - 1]), date[5..16], "day {day}");
        }
    }

    #[test]
    fn any_clock_gives_a_line() {
        for (time_us, iso) in [
            (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
            (253_402_300_800_000_000, "10000-01-01T00:00:00.000000Z"),
            (i64::MAX, "294247-01-10T04:00:54.775807Z"),
            (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
        ] {
            let entry = Entry { time_us, duration_us: u64::MAX, ..entry() };
            assert!(line(&entry, AccessFormat::Json).contains(&format!("{{\"time\":\"{iso}\"")), "{iso}");
            assert!(line(&entry, AccessFormat::Combined).contains(" +0000] "), "{iso}");
        }
    }

    #[test]
    fn a_closure_is_an_access_log() {
        let lines = Mutex::new(Vec::new());
        let log = move |record: &AccessRecord<'_>| {
            lines.lock().unwrap().push(record.format(AccessFormat::Common));
            assert_eq!(lines.lock().unwrap().len(), 1);
        };
        let log: Box<dyn AccessLog> = Box::new(log);
        log.record(&record());
    }
}

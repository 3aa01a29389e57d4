//! The page that lists a folder.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The most names on a page; the others are only counted.
pub(super) const MOST_NAMES: usize = 10_000;

/// One name in a folder.
pub(super) struct Item {
    pub(super) name: Vec<u8>,
    pub(super) is_folder: bool,
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) modified: i64,
}

/// The page for a folder. `path` is the one in the URL, decoded; `beyond` is how many names are left out.
pub(super) fn page(path: &[u8], has_parent: bool, mut items: Vec<Item>, beyond: usize) -> String {
    // Folders first, then by name.
    // No two have the same name.
    items.sort_unstable_by(|one, other| other.is_folder.cmp(&one.is_folder).then_with(|| one.name.cmp(&other.name)));
    let title = escaped(&String::from_utf8_lossy(path));
    let mut out = String::new();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;margin:2em}}td{{padding:0 2em 0 0}}td+td{{text-align:right;color:#666}}\
         a{{text-decoration:none}}a:hover{{text-decoration:underline}}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<table>\n"
    );
    if has_parent {
        out.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for item in &items {
        let slash = if item.is_folder { "/" } else { "" };
        let size = if item.is_folder { String::new() } else { size(item.size) };
        let _ = writeln!(
            out,
            "<tr><td><a href=\"./{}{slash}\">{}{slash}</a></td><td>{size}</td><td>{}</td></tr>",
            in_url(&item.name),
            escaped(&String::from_utf8_lossy(&item.name)),
            day(item.modified)
        );
    }
    out.push_str("</table>\n");
    if beyond > 0 {
        let _ = writeln!(out, "<p>and {beyond} more</p>");
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// Escapes text for HTML, also within quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Characters that turn the direction of text make a name look like another one.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// RFC 3986 2.3: everything but `unreserved` is encoded.
fn in_url(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for &b in name {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

/// A size for people: at most three digits, in powers of 1024.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Whole numbers, since to write others takes 15 KB of code that nothing else here needs.
    let mut unit = 0;
    let in_units = |parts: u128, unit: usize| (u128::from(bytes) * parts + (512 << (10 * unit))) >> (10 * (unit + 1));
    while in_units(1, unit) >= 1024 {
        unit += 1;
    }
    let tenths = in_units(10, unit);
    let number = if tenths < 100 { format!("{}.{}", tenths / 10, tenths % 10) } else { in_units(1, unit).to_string() };
    format!("{number} {}", UNITS[unit])
}

/// The day of a time, as in 2026-01-31; nothing where it has no four-digit year.
fn day(seconds: i64) -> String {
    let Ok(seconds) = u64::try_from(seconds) else { return String::new() };
    if seconds >= 253_402_300_800 {
        return String::new();
    }
    // "Sun, 06 Nov 1994 08:49:37 GMT" has all that is needed.
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|month| *month == &text[8..11]).map_or(0, |month| month + 1);
    format!("{}-{month:02}-{}", &text[12..16], &text[5..7])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, is_folder: bool, size: u64) -> Item {
        Item { name: name.as_bytes().to_vec(), is_folder, size, modified: 784_111_777 }
    }

    #[test]
    fn folders_come_first_and_names_are_sorted() {
        let page = page(b"/x/", true, vec![item("b", false, 1), item("a", false, 1), item("z", true, 0)], 0);
        let places: Vec<usize> = ["\"../\"", "\"./z/\"", "\"./a\"", "\"./b\""].iter().map(|href| page.find(href).unwrap()).collect();
        assert!(places.is_sorted(), "{page}");
    }

    #[test]
    fn names_can_neither_be_markup_nor_schemes() {
        let page =
            page(b"/<script>/", false, vec![item("<img src=x onerror='a\"b'>&", false, 1), item("javascript:alert(1)", false, 1)], 3);
        assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
        assert!(page.contains("&lt;img src=x onerror=&#39;a&quot;b&#39;&gt;&amp;"));
        assert!(page.contains("href=\"./javascript%3Aalert%281%29\""));
        assert!(page.contains("and 3 more"));
        assert!(!page.contains("\"../\""));
    }

    #[test]
    fn sizes_and_days_are_for_people() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_188, "9.9 KiB"),
            (10_189, "10 KiB"),
            (10_240, "10 KiB"),
            (1_048_063, "1023 KiB"),
            (1_048_064, "1.0 MiB"),
            (1_048_000, "1023 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(day(784_111_777), "1994-11-06");
        assert_eq!(day(-1), "");
        assert_eq!(day(i64::MAX), "");
    }
}

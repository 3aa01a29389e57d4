//! Media types by file extension, from a table that `build.rs` writes.

/// A part of `TEXT`. Without a pointer, so that the table needs no relocation.
#[derive(Clone, Copy)]
struct Place {
    start: u16,
    length: u8,
}

include!(concat!(env!("OUT_DIR"), "/media_types.rs"));

impl Place {
    fn text(self) -> &'static str {
        let start = usize::from(self.start);
        &TEXT[start..start + usize::from(self.length)]
    }
}

/// The media type for a file extension, with or without its dot; text types get charset UTF-8.
pub(crate) fn of_extension(name: &[u8]) -> &'static str {
    let name = name.strip_prefix(b".").unwrap_or(name);
    let found = KNOWN.binary_search_by(|(known, _)| known.text().bytes().cmp(name.iter().map(u8::to_ascii_lowercase)));
    found.map_or("application/octet-stream", |at| KNOWN[at].1.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_has_the_type_that_mime_guess_tells() {
        for name in mime_guess::get_extensions("*", "*").unwrap() {
            let told = mime_guess::from_ext(name).first_raw().unwrap();
            for name in [name.to_ascii_lowercase(), name.to_ascii_uppercase(), format!(".{name}")] {
                let found = of_extension(name.as_bytes());
                let alike = found == told || found.strip_suffix("; charset=utf-8") == Some(told);
                assert!(alike || found == "text/javascript; charset=utf-8" && told.ends_with("javascript"), "{name}: {found}");
                assert_eq!(found.starts_with("text/"), found.contains("charset"), "{name}: {found}");
            }
        }
    }

    #[test]
    fn what_nobody_knows_is_octets() {
        for name in ["", ".", "..html", "htm l", "html ", "zzzzzz", "!", "h\u{0}", "\u{212a}ml"] {
            assert_eq!(of_extension(name.as_bytes()), "application/octet-stream", "{name}");
        }
        assert_eq!(of_extension(b"\xff\xfe"), "application/octet-stream");
    }
}

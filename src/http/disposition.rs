//! Content-Disposition: the name under which a client saves a file. RFC 6266.

/// `attachment` with `filename`, which should be UTF-8.
///
/// RFC 6266 4.3 tells clients not to use it as a path; slashes and controls are replaced all the same.
pub fn attachment(filename: &[u8]) -> Vec<u8> {
    let name: String =
        String::from_utf8_lossy(filename).chars().map(|c| if c.is_control() || matches!(c, '/' | '\\') { '_' } else { c }).collect();
    let mut value = b"attachment; filename=\"".to_vec();
    let mut plain = true;
    for c in name.chars() {
        match c {
            '"' => value.extend_from_slice(b"\\\""),
            // RFC 6266 D: some clients decode what looks like an escape.
            ' '..='~' if c != '%' => value.push(c as u8),
            _ => {
                plain = false;
                value.push(b'_');
            }
        }
    }
    value.push(b'"');
    if !plain {
        // RFC 6266 4.3: "recipients SHOULD pick "filename*" and ignore "filename"" if both are present.
        value.extend_from_slice(b"; filename*=UTF-8''");
        for &b in name.as_bytes() {
            // RFC 8187 3.2.1: `attr-char`
            if b.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&b) {
                value.push(b);
            } else {
                value.extend_from_slice(format!("%{b:02X}").as_bytes());
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("report.pdf", "attachment; filename=\"report.pdf\""),
            ("a b;c,d.txt", "attachment; filename=\"a b;c,d.txt\""),
            ("say \"hi\".txt", "attachment; filename=\"say \\\"hi\\\".txt\""),
            ("Über €.txt", "attachment; filename=\"_ber _.txt\"; filename*=UTF-8''%C3%9Cber%20%E2%82%AC.txt"),
            ("50%25.txt", "attachment; filename=\"50_25.txt\"; filename*=UTF-8''50%2525.txt"),
            ("a'(b)*.txt\u{e9}", "attachment; filename=\"a'(b)*.txt_\"; filename*=UTF-8''a%27%28b%29%2A.txt%C3%A9"),
            ("../etc\\x", "attachment; filename=\".._etc_x\""),
            ("a\r\nSet-Cookie: b", "attachment; filename=\"a__Set-Cookie: b\""),
        ] {
            assert_eq!(String::from_utf8(attachment(name.as_bytes())).unwrap(), expected, "{name:?}");
        }
        assert_eq!(attachment(b"\xff.txt"), b"attachment; filename=\"_.txt\"; filename*=UTF-8''%EF%BF%BD.txt");
    }
}

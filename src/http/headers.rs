//! Field lines as spans of the received bytes.

use super::scan::plain_end;

/// A range of bytes of a request's head. Heads are far smaller than 4 GiB, so 32 bits suffice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// From `start`, up to but excluding `end`.
    pub fn new(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= u32::MAX as usize);
        Span { start: start as u32, end: end as u32 }
    }

    /// The position of the first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// The position after the last byte.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// Its length in bytes.
    pub fn len(self) -> usize {
        self.end() - self.start()
    }

    /// Is it empty?
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The bytes themselves.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start()..self.end()]
    }
}

/// One field line: its name, and its value without surrounding spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name.
    pub name: Span,
    /// The value.
    pub value: Span,
}

/// RFC 9110 5.6.2: `tchar`.
pub const fn is_token_byte(b: u8) -> bool {
    TOKEN[b as usize]
}

/// Is it a token, that is one or more `tchar`?
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| is_token_byte(b))
}

/// RFC 9110 5.5: the bytes of a field value: tab, space, visible ASCII, and bytes above 127.
pub fn is_value(text: &[u8]) -> bool {
    plain_end(text, 0) == text.len() || text.iter().all(|&b| b == b'\t' || (b >= b' ' && b != 0x7f))
}

/// Does `text`, which holds no line end, equal `lower` in any case? Compares words, not bytes: 7 instructions for ten letters instead of
/// the 80 of `eq_ignore_ascii_case`.
#[inline(always)]
pub fn is<const N: usize>(text: &[u8], lower: &[u8; N]) -> bool {
    // With bit 5 set, only the two cases of a letter yield that letter, and only a line end or a hyphen yields a hyphen.
    debug_assert!(lower.iter().all(|&b| b == b'-' || b.is_ascii_lowercase()));
    <&[u8; N]>::try_from(text).is_ok_and(|text| text.iter().zip(lower).fold(0, |unlike, (b, l)| unlike | ((b | 0x20) ^ l)) == 0)
}

/// The members of a comma-separated list, trimmed, without empty ones.
///
/// RFC 9110 5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list elements".
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim).filter(|member| !member.is_empty())
}

/// The members of a list with their weights in thousandths, as in Accept and Accept-Encoding: RFC 9110 12.4.2. The default is 1000.
pub fn weighted(value: &[u8]) -> impl Iterator<Item = (&[u8], u16)> {
    list(value).map(|member| {
        let mut parts = member.split(|&b| b == b';').map(trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| match part {
            [b'q' | b'Q', b'=', number @ ..] => Some(thousandths(number)),
            _ => None,
        });
        (name, weight.unwrap_or(1000))
    })
}

/// RFC 9110 12.4.2: `qvalue`, "0" to "1" with at most three decimals. A malformed one counts as 0, a refusal.
fn thousandths(text: &[u8]) -> u16 {
    let (whole, decimals) = match text {
        [whole] | [whole, b'.'] => (*whole, &[][..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (*whole, decimals),
        _ => return 0,
    };
    if !decimals.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let value = (0..3).fold(0, |value, place| 10 * value + decimals.get(place).map_or(0, |digit| u16::from(digit - b'0')));
    match whole {
        b'0' => value,
        b'1' if value == 0 => 1000,
        _ => 0,
    }
}

/// Removes spaces and tabs at both ends.
pub fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        table[b] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        b += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_tabs_but_no_line_ends() {
        assert!(is_value(b"a\tb \xfc"));
        for bad in [&b"a\rb"[..], b"a\nb", b"a\0b", b"\x7f"] {
            assert!(!is_value(bad));
        }
    }

    #[test]
    fn a_list_ignores_empty_members() {
        assert_eq!(list(b" a, ,b ,").collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn names_are_compared_without_case() {
        for text in [&b"keep-alive"[..], b"Keep-Alive", b"KEEP-ALIVE"] {
            assert!(is(text, b"keep-alive"));
        }
        let name = *b"keep-alive";
        for at in 0..name.len() {
            for b in (0..=255).filter(|&b: &u8| !b.eq_ignore_ascii_case(&name[at]) && b != b'\r') {
                let mut other = name;
                other[at] = b;
                assert!(!is(&other, &name), "{}", other.escape_ascii());
            }
        }
        assert!(!is(b"keep-aliv", &name) && !is(b"keep-alives", &name) && !is(b"", &name));
    }

    #[test]
    fn tokens() {
        assert!(is_token(b"X-Request-ID"));
        for bad in [&b""[..], b"a b", b"a:", b"\xe4", b"(a)"] {
            assert!(!is_token(bad));
        }
    }
}

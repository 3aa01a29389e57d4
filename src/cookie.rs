//! Cookies, as they are set.

use crate::error::Shown;
use crate::http::headers::is_token;

/// How a cookie is set.
#[derive(Clone, Copy, Debug)]
pub struct Cookie<'a> {
    /// The paths it is sent to; "/" unless set.
    pub path: &'a [u8],
    /// The domain it is sent to with its subdomains; the host alone where None.
    pub domain: Option<&'a [u8]>,
    /// "Lax" unless set; or "Strict", or "None", which browsers take from secure cookies only.
    pub same_site: &'a [u8],
    /// Seconds it lives; None is until the browser closes.
    pub max_age: Option<i64>,
    /// Only over TLS.
    pub secure: bool,
    /// May scripts of the page read it?
    pub script_visible: bool,
}

impl Default for Cookie<'_> {
    fn default() -> Self {
        Cookie { path: b"/", domain: None, same_site: b"Lax", max_age: None, secure: false, script_visible: false }
    }
}

impl Cookie<'_> {
    /// The value of Set-Cookie, RFC 6265 4.1.1, or why there is none.
    pub(crate) fn line(&self, name: &[u8], value: &[u8]) -> std::result::Result<Vec<u8>, String> {
        if !is_token(name) {
            return Err(format!("cookie name \"{}\" is not a token", Shown(name)));
        }
        if !value.iter().all(|&b| is_cookie_byte(b)) {
            return Err(format!(
                "cookie {} = \"{}\": a value must not hold spaces, quotes, commas, semicolons, backslashes, controls or non-ASCII; encode it",
                Shown(name),
                Shown(value)
            ));
        }
        let same_site = [&b"Lax"[..], b"Strict", b"None"].into_iter().find(|known| known.eq_ignore_ascii_case(self.same_site));
        let Some(same_site) = same_site else {
            return Err(format!("cookie {}: same_site \"{}\" is none of Lax, Strict, None", Shown(name), Shown(self.same_site)));
        };
        let mut line = [name, b"=", value].concat();
        for (attribute, text) in [(&b"; Path="[..], Some(self.path)), (b"; Domain=", self.domain)] {
            let Some(text) = text else { continue };
            // RFC 6265 4.1.1: `path-value = <any CHAR except CTLs or ";">`
            if !text.iter().all(|&b| (b' '..=b'~').contains(&b) && b != b';') {
                return Err(format!(
                    "cookie {}: path or domain \"{}\" holds a semicolon, a control or non-ASCII",
                    Shown(name),
                    Shown(text)
                ));
            }
            line.extend_from_slice(attribute);
            line.extend_from_slice(text);
        }
        if let Some(seconds) = self.max_age {
            line.extend_from_slice(format!("; Max-Age={seconds}").as_bytes());
        }
        line.extend_from_slice(b"; SameSite=");
        line.extend_from_slice(same_site);
        if self.secure {
            line.extend_from_slice(b"; Secure");
        }
        if !self.script_visible {
            line.extend_from_slice(b"; HttpOnly");
        }
        Ok(line)
    }
}

/// RFC 6265 4.1.1: `cookie-octet`.
fn is_cookie_byte(b: u8) -> bool {
    matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_safe() {
        assert_eq!(Cookie::default().line(b"id", b"7").unwrap(), b"id=7; Path=/; SameSite=Lax; HttpOnly");
        let gone = Cookie { path: b"/a", max_age: Some(0), ..Cookie::default() };
        assert_eq!(gone.line(b"id", b"").unwrap(), b"id=; Path=/a; Max-Age=0; SameSite=Lax; HttpOnly");
    }

    #[test]
    fn none_can_carry_attributes_of_its_own() {
        for (name, value, path) in [("a", "b; Secure", "/"), ("a b", "c", "/"), ("a", "b", "/; Domain=x"), ("a", "\"", "/"), ("", "b", "/")]
        {
            let cookie = Cookie { path: path.as_bytes(), ..Cookie::default() };
            assert!(cookie.line(name.as_bytes(), value.as_bytes()).is_err(), "{name} {value} {path}");
        }
        assert!(Cookie { same_site: b"x", ..Cookie::default() }.line(b"a", b"b").is_err());
    }
}

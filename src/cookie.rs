//! Set-Cookie.

use crate::error::Shown;
use crate::http::headers::is_token;

/// The attributes of a cookie.
#[derive(Clone, Copy, Debug)]
pub struct Cookie<'a> {
    /// The path below which browsers send it, beginning with "/"; "/" by default.
    pub path: &'a [u8],
    /// The domain to which browsers send it, with its subdomains; None is this host only.
    pub domain: Option<&'a [u8]>,
    /// "Lax" by default, "Strict", or "None", which browsers accept for secure cookies only.
    pub same_site: &'a [u8],
    /// Its lifetime in seconds; None is until the browser closes.
    pub max_age: Option<i64>,
    /// Is it sent over TLS only?
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
        self.check_place().and_then(|()| self.check_promises(name, same_site)).map_err(|why| format!("cookie {}: {why}", Shown(name)))?;
        let mut line = [name, b"=", value, b"; Path=", self.path].concat();
        if let Some(domain) = self.domain {
            line.extend_from_slice(b"; Domain=");
            line.extend_from_slice(domain);
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

    /// The attributes that make browsers delete the cookie: they must satisfy the same rules as those that set it.
    pub(crate) fn to_forget(self, name: &[u8]) -> Self {
        Cookie { max_age: Some(0), secure: self.secure || begins(name, SECURE) || begins(name, HOST), ..self }
    }

    fn check_place(&self) -> std::result::Result<(), String> {
        // RFC 6265 4.1.1: `path-value = <any CHAR except CTLs or ";">`
        if !self.path.iter().all(|&b| (b' '..=b'~').contains(&b) && b != b';') {
            return Err(format!("path \"{}\" holds a semicolon, a control or non-ASCII", Shown(self.path)));
        }
        // RFC 6265 5.2.4: browsers replace any other path by the page's.
        if self.path.first() != Some(&b'/') {
            return Err(format!("path \"{}\" does not begin with \"/\"; browsers ignore it", Shown(self.path)));
        }
        match self.domain {
            Some(domain) if domain.is_empty() || !domain.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-') => {
                Err(format!("domain \"{}\" is no name of a host, of letters, digits, dots and hyphens", Shown(domain)))
            }
            _ => Ok(()),
        }
    }

    /// Refuses combinations that browsers reject silently.
    fn check_promises(&self, name: &[u8], same_site: &[u8]) -> std::result::Result<(), String> {
        if same_site == b"None" && !self.secure {
            return Err("browsers reject same_site None without secure: set both".to_owned());
        }
        if begins(name, SECURE) && !self.secure {
            return Err("browsers reject a name that begins with __Secure- without secure: set it as well".to_owned());
        }
        if begins(name, HOST) && !(self.secure && self.domain.is_none() && self.path == b"/") {
            return Err(
                "browsers reject a name that begins with __Host- without secure, with a domain, or with a path other than \"/\"".to_owned()
            );
        }
        Ok(())
    }
}

/// The prefixes of names that require attributes: RFC 6265bis 4.1.3.
const SECURE: &[u8] = b"__Secure-";
const HOST: &[u8] = b"__Host-";

/// Browsers compare the prefix of a name without case.
fn begins(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
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

    const SAFE: Cookie<'_> = Cookie { path: b"/", domain: None, same_site: b"Lax", max_age: None, secure: true, script_visible: false };

    #[test]
    fn what_browsers_ignore_or_reject_is_refused() {
        let open = Cookie { secure: false, ..SAFE };
        for (name, cookie, words) in [
            ("a", Cookie { path: b"", ..SAFE }, "path \"\" does not begin with \"/\""),
            ("a", Cookie { path: b"app", ..SAFE }, "path \"app\" does not begin with \"/\""),
            ("a", Cookie { domain: Some(b""), ..SAFE }, "domain \"\" is no name of a host"),
            ("a", Cookie { domain: Some(b"http://x"), ..SAFE }, "domain \"http://x\" is no name of a host"),
            ("a", Cookie { domain: Some(b"x:80"), ..SAFE }, "domain \"x:80\" is no name of a host"),
            ("a", Cookie { same_site: b"none", ..open }, "same_site None without secure"),
            ("__Secure-a", open, "__Secure- without secure"),
            ("__secure-a", open, "__Secure- without secure"),
            ("__Host-a", open, "__Host- without secure"),
            ("__Host-a", Cookie { domain: Some(b"example.org"), ..SAFE }, "with a domain"),
            ("__Host-a", Cookie { path: b"/app", ..SAFE }, "a path other than \"/\""),
        ] {
            let refused = cookie.line(name.as_bytes(), b"v").unwrap_err();
            assert!(refused.starts_with(&format!("cookie {name}: ")) && refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn what_browsers_take_is_taken() {
        for (name, cookie) in [
            ("a", Cookie { domain: Some(b".Example-1.org"), ..SAFE }),
            ("a", Cookie { same_site: b"None", ..SAFE }),
            ("__Secure-a", Cookie { path: b"/app", domain: Some(b"example.org"), ..SAFE }),
            ("__Host-a", SAFE),
            ("__Hosta", Cookie { secure: false, ..SAFE }),
            ("a__Host-", Cookie { secure: false, ..SAFE }),
        ] {
            assert!(cookie.line(name.as_bytes(), b"v").is_ok(), "{name} {cookie:?}");
        }
    }

    #[test]
    fn a_name_that_promises_is_forgotten_as_it_promises() {
        for name in [&b"__Host-a"[..], b"__Secure-a"] {
            let gone = Cookie::default().to_forget(name).line(name, b"").unwrap();
            assert!(gone.ends_with(b"=; Path=/; Max-Age=0; SameSite=Lax; Secure; HttpOnly"), "{}", Shown(&gone));
        }
    }
}

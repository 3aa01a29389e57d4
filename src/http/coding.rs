//! Content codings, and which of them a client prefers: RFC 9110 12.5.3.

use super::headers;

/// The content coding of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not coded.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
}

impl Coding {
    /// Its name in Content-Encoding.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
        }
    }
}

/// The best available coding. Among equal weights brotli comes first, then gzip, since they are smaller in this order. `Identity` is always
/// available, even if it was refused and nothing else is left: RFC 9110 12.5.3 permits that.
pub fn choose(accept: &[u8], gzip: bool, brotli: bool) -> Coding {
    let mut wanted = Wanted::default();
    for (name, weight) in headers::weighted(accept) {
        wanted.note(name, weight);
    }
    // RFC 9110 12.5.3: "*" matches all codings that are not listed. A coding that is not matched is not used, except identity.
    let mut best = (wanted.identity.or(wanted.any).unwrap_or(0), Coding::Identity);
    for (there, coding, weight) in [(gzip, Coding::Gzip, wanted.gzip), (brotli, Coding::Brotli, wanted.brotli)] {
        let weight = weight.or(wanted.any).unwrap_or(0);
        if there && weight > 0 && weight >= best.0 {
            best = (weight, coding);
        }
    }
    best.1
}

/// The client's weights, in thousandths.
#[derive(Default)]
struct Wanted {
    gzip: Option<u16>,
    brotli: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

impl Wanted {
    fn note(&mut self, name: &[u8], weight: u16) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let place = match name {
            // RFC 9110 8.4.1.3: "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"."
            _ if is(b"gzip") || is(b"x-gzip") => &mut self.gzip,
            _ if is(b"br") => &mut self.brotli,
            _ if is(b"identity") => &mut self.identity,
            b"*" => &mut self.any,
            _ => return,
        };
        place.get_or_insert(weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Identity};

    #[test]
    fn the_client_decides() {
        for (accept, both, gzip_only) in [
            ("", Identity, Identity),
            ("gzip", Gzip, Gzip),
            ("GZIP", Gzip, Gzip),
            ("x-gzip", Gzip, Gzip),
            ("br", Brotli, Identity),
            ("gzip, deflate, br, zstd", Brotli, Gzip),
            ("gzip;q=1.0, br;q=0.5", Gzip, Gzip),
            ("gzip;q=0.5, br;q=0.8", Brotli, Gzip),
            ("gzip;q=0.5,br;q=0.501", Brotli, Gzip),
            ("gzip ; q=0.9 , br ; q=0.1", Gzip, Gzip),
            ("gzip;q=0", Identity, Identity),
            ("gzip;q=0.000, br;q=0", Identity, Identity),
            ("*", Brotli, Gzip),
            ("*;q=0", Identity, Identity),
            ("gzip, *;q=0", Gzip, Gzip),
            ("br;q=0, *", Gzip, Gzip),
            ("identity, gzip;q=0.5", Identity, Identity),
            ("identity;q=0.5, gzip;q=0.5", Gzip, Gzip),
            ("identity;q=0, gzip", Gzip, Gzip),
            ("identity;q=0", Identity, Identity),
            ("gzip;q=2", Identity, Identity),
            ("gzip;q=-1", Identity, Identity),
            ("gzip;q=1.001", Identity, Identity),
            ("gzip;q=", Identity, Identity),
            ("gzip;q=0.0001", Identity, Identity),
            ("gzipped, brr", Identity, Identity),
            (",,gzip,,", Gzip, Gzip),
            ("gzip;Q=0", Identity, Identity),
            ("gzip;level=9;q=0", Identity, Identity),
        ] {
            assert_eq!(choose(accept.as_bytes(), true, true), both, "{accept} of both");
            assert_eq!(choose(accept.as_bytes(), true, false), gzip_only, "{accept} of gzip");
            assert_eq!(choose(accept.as_bytes(), false, false), Identity, "{accept} of none");
        }
    }
}

//! Requests that are almost right.

use crate::bodies;
use crate::random::Random;
use std::fs;
use std::path::Path;

/// Far beyond the limits of the check there is nothing new to see.
const MAX_BYTES: usize = 4096;

/// Requests that are right, whatever `tests/cases` holds.
const OWN: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /path/to?query=1&b=%20 HTTP/1.1\r\nHost: example.org:8080\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n",
    b"POST /form HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 5\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=b&c",
    b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=\"b\\\"\"\r\n world\r\n0\r\nX-T: v\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://example.org:80/abs?x HTTP/1.1\r\nHost: example.org\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"\r\nHEAD /pipelined HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST /wait HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
];

const METHODS: &[&[u8]] = &[
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"get",
    b"M-SEARCH",
    b"G\0T",
    b"",
    b"QUITE-A-LONG-METHOD-NAME-THAT-NOBODY-HAS",
];
const TARGETS: &[&[u8]] = &[
    b"/",
    b"/a/b",
    b"/a%2Fb?c=d",
    b"*",
    b"http://h/p?q",
    b"HTTPS://h",
    b"http://",
    b"http://u@h/",
    b"h:80",
    b"//h/p",
    b"/\xff",
    b"/a b",
    b"/#f",
    b"?q",
    b"",
    b"/%",
    b"/%00",
    b"/../..",
    b"http://[::1]:8/x",
    b"http://[::1",
];
const VERSIONS: &[&[u8]] = &[
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"HTTP/1.1 ",
    b"http/1.1",
    b"HTTP/11",
    b"HTTP/1.",
    b"",
    b" HTTP/1.1",
];
const LINE_ENDS: &[&[u8]] = &[b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\0\r\n", b" \r\n", b""];
const FIELDS: &[&[u8]] = &[
    b"Host: a",
    b"Host: b:1",
    b"Host:",
    b"Host: a b",
    b"Host : a",
    b"Host: [::1]",
    b"host: a,b",
    b"Content-Length: 5",
    b"Content-Length: 0",
    b"Content-Length: +5",
    b"Content-Length: 5,5",
    b"Content-Length: 18446744073709551615",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: 0x5",
    b"Content-Length:5 ",
    b"Content-Length\t: 5",
    b"Content-Length:",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: Chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding:, chunked ,",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer_Encoding: chunked",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: close, keep-alive",
    b"Connection: Upgrade, HTTP2-Settings",
    b"Expect: 100-continue",
    b"Expect: 100-Continue, x",
    b"Expect: miracles",
    b"X: \x80\xff",
    b"X: a\0b",
    b"X: a\x7fb",
    b"X: a\rb",
    b"X:\t a \t",
    b" folded",
    b"\tfolded",
    b"X-Empty:",
    b": no name",
    b"no colon",
    b"(bad): x",
    b"X\xc3\xa4: x",
    b"Accept: text/html;q=0.9, */*",
    b"Cookie: a=1; b=2",
];
const CHUNKS: &[&[u8]] = &[
    b"0\r\n",
    b"1\r\nx\r\n",
    b"5\r\nhello\r\n",
    b"A;n=v\r\n0123456789\r\n",
    b"0005\r\nhello\r\n",
    b"5 \r\nhello\r\n",
    b"5\nhello\r\n",
    b"-1\r\n",
    b"0x5\r\nhello\r\n",
    b"ffffffffffffffff\r\n",
    b"10000000000000000\r\n",
    b"5\r\nhello",
    b"5\r\nhello\n",
    b"1;\"a\r\nx\r\n",
    b"1;a=\"\\\"\"\r\nx\r\n",
    b"\r\n",
    b"X-Trailer: v\r\n",
    b"bad trailer\r\n",
    b" x: y\r\n",
    b"g\r\n",
];

/// The requests to start from: our own, and what the cases send.
pub fn seeds(cases: &Path) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = OWN.iter().map(|seed| seed.to_vec()).collect();
    let mut files: Vec<_> = fs::read_dir(cases).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ext| ext == "http")) {
        seeds.extend(fs::read_to_string(file).iter().flat_map(|text| sent(text)));
    }
    seeds.retain(|seed| !seed.is_empty());
    seeds
}

/// What each case of a file sends; `tests/cases/README.md` tells how to read it.
fn sent(text: &str) -> Vec<Vec<u8>> {
    let mut cases: Vec<Vec<u8>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("==") {
            cases.push(Vec::new());
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(bytes) = line.strip_prefix(">> ") {
            case.extend(unescape(bytes));
        } else if let Some(bytes) = line.strip_prefix('>') {
            case.extend(unescape(bytes.strip_prefix(' ').unwrap_or(bytes)));
            case.extend_from_slice(b"\r\n");
        }
        case.truncate(MAX_BYTES);
    }
    cases
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let code = escape.chars().next().unwrap_or('\\');
        rest = escape.get(code.len_utf8()..).unwrap_or_default();
        match code {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            'x' => {
                bytes.extend(rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()));
                rest = rest.get(2..).unwrap_or_default();
            }
            '{' => {
                let (times, what) = rest.split_once('}').and_then(|(inside, _)| inside.split_once('*')).unwrap_or_default();
                bytes.extend(unescape(what).repeat(times.parse::<usize>().unwrap_or(0).min(MAX_BYTES)));
                rest = rest.split_once('}').map_or("", |(_, rest)| rest);
            }
            other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// One input: made from parts, or a seed, or two; then broken in a few places, or in none.
pub fn input(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut most_breakages = 4;
    let mut bytes = match random.below(7) {
        0 => seed(random, seeds).to_vec(),
        1 => {
            let (a, b) = (seed(random, seeds), seed(random, seeds));
            [&a[..random.below(a.len() + 1)], &b[random.below(b.len() + 1)..]].concat()
        }
        2..4 => (0..=random.below(3)).flat_map(|_| request(random)).collect(),
        _ => {
            // What is broken in these is broken in their bodies; the heads around them are usually right.
            most_breakages = random.pick(&[0, 0, 0, 2]);
            (0..=random.below(3)).flat_map(|_| if random.one_in(5) { request(random) } else { bodies::request(random) }).collect()
        }
    };
    for _ in 0..random.below(most_breakages) {
        breakage(random, &mut bytes);
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

fn seed<'a>(random: &mut Random, seeds: &'a [Vec<u8>]) -> &'a [u8] {
    &seeds[random.below(seeds.len())]
}

/// A request from the grammar. Each part is usually right, so that several wrong ones do not hide each other.
fn request(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    if random.one_in(20) {
        bytes.extend_from_slice(random.pick(LINE_ENDS));
    }
    mostly(random, &mut bytes, b"POST", METHODS);
    bytes.extend_from_slice(if random.one_in(40) { b"  " } else { b" " });
    mostly(random, &mut bytes, b"/a", TARGETS);
    bytes.push(b' ');
    mostly(random, &mut bytes, b"HTTP/1.1", VERSIONS);
    line_end(random, &mut bytes);
    if !random.one_in(12) {
        bytes.extend_from_slice(b"Host: a\r\n");
    }
    let (chunked, length) = (random.one_in(2), random.below(8));
    if chunked {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    } else if random.one_in(2) {
        bytes.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
    }
    for _ in 0..random.below(4) {
        bytes.extend_from_slice(random.pick(FIELDS));
        line_end(random, &mut bytes);
    }
    line_end(random, &mut bytes);
    if chunked {
        for _ in 0..random.below(4) {
            mostly(random, &mut bytes, b"3\r\nabc\r\n", CHUNKS);
        }
        mostly(random, &mut bytes, b"0\r\n\r\n", CHUNKS);
    } else {
        bytes.extend_from_slice(&b"12345678"[..length]);
    }
    bytes
}

fn mostly(random: &mut Random, bytes: &mut Vec<u8>, right: &[u8], any: &[&[u8]]) {
    bytes.extend_from_slice(if random.one_in(4) { random.pick(any) } else { right });
}

fn line_end(random: &mut Random, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(if random.one_in(40) { random.pick(LINE_ENDS) } else { b"\r\n" });
}

/// Breaks one place.
pub fn breakage(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len() + 1);
    let end = (at + 1 + random.below(12)).min(bytes.len());
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.next() as u8,
        2 => bytes.insert(at, random.pick(b"\0\t\n\r \"#%,/0:;=?\\\x7f\x80\xff")),
        3 if at < end => drop(bytes.drain(at..end)),
        4 if at < end => {
            let copy = bytes[at..end].to_vec();
            insert(bytes, random.below(bytes.len()), &copy);
        }
        5 => insert(bytes, at, random.pick(FIELDS)),
        6 => insert(bytes, at, random.pick(LINE_ENDS)),
        7 => insert(bytes, at, random.pick(CHUNKS)),
        // Long enough for every limit of the check.
        8 if random.one_in(8) => insert(bytes, at, &vec![random.pick(b"a /%\t:0\xff"); 1 + random.below(700)]),
        _ => bytes.truncate(at.max(1)),
    }
}

pub fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}

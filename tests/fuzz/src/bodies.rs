//! Requests whose bodies matter: forms of several parts, and what handlers read themselves.

use crate::generate::{breakage, insert};
use crate::random::Random;

/// RFC 2046 has boundaries that are no token, and some that look like their own delimiters.
const BOUNDARIES: &[&[u8]] = &[b"x", b"----WebKitFormBoundary7MA4YWxk", b"a b", b"--", b"-", b"'()+_,-./:=?", &[b'7'; 70], b"0"];
/// Types that are another one, or have no good boundary.
const TYPES: &[&[u8]] = &[
    b"multipart/form-data",
    b"multipart/form-data; boundary=",
    b"multipart/form-data; boundary=\"x ",
    b"multipart/form-data; boundary=x; boundary=y",
    b"multipart/form-data; boundary=\"x \"",
    b"multipart/form-data;; Boundary=\"x\" ;a=b;",
    b"Multipart/Form-Data ; boundary=x",
    b"multipart/form-data; boundary=x y",
    b"multipart/mixed; boundary=x",
    b"application/x-www-form-urlencoded",
    b"text/plain",
];
const DISPOSITIONS: &[&[u8]] = &[
    b"form-data; name=\"a\"",
    b"form-data; name=\"a\"; filename=\"\"",
    b"form-data; name=file; filename=photo.jpg",
    b"Form-Data;name=\"%22 %0d%0A \\\" \\\\ \\x\";FILENAME=\"C:\\photo.jpg\"",
    b"form-data; name=\"\"; filename*=UTF-8''%e2%82%ac.txt",
    b"form-data; name=\"b\"; filename=\"plain\"; filename*=broken",
    b"form-data; name=\"b\"; filename*=UTF-8'en'%00",
    b"form-data; name=\"b\"; filename*=latin1''x",
    b"form-data; name=\"a\"; name=\"b\"",
    b"form-data; filename=\"no name\"",
    b"form-data; name=\"open",
    b"form-data; name",
    b"form-data; name=\"a\" x",
    b"form-data;; name=\"a\" ; ;",
    b"attachment; name=\"a\"",
    b"form-data; name=\"a name of more than thirty characters\"",
    b"form-data; name=\"\xc3\xa4\xff\"",
];
/// Other words for targets: of the same handlers, of others, and of none.
const TARGETS: &[&[u8]] = &[
    b"/%66orm",
    b"http://a/form",
    b"/%2Fform",
    b"/form/",
    b"//form",
    b"/form%00",
    b"/form%",
    b"/r%65ad?3",
    b"/read/?0",
    b"//sip",
    b"http://a?2",
    b"/",
    b"*",
];
/// The handlers answer any method, and most answers do not depend on it.
const METHODS: &[&[u8]] = &[b"PUT", b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"X"];
/// The first ones are good ones.
const PART_FIELDS: &[&[u8]] = &[
    b"content-type:image/png; a=\"b\"",
    b"Content-Transfer-Encoding: base64",
    b"X: y",
    b"X-Empty:",
    b"Content-Type: text/plain",
    b"Content-Type: a type of more than thirty characters",
    &[b'X'; 250],
    b" folded",
    b"no colon",
    b": no name",
    b"X: a\x7fb",
    b"Content-Disposition: form-data; name=\"second\"",
];
/// What data may hold, and what is put where it does not belong. `~` is the boundary.
const PIECES: &[&[u8]] = &[
    b"value",
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n-",
    b"\r\n--",
    b"--~",
    b"\r\n--~",
    b"\r\n--~--",
    b"\r\n--~-",
    b"\r\n--~ \t\r\n",
    b"\r\n\r\n",
    b"\r\n--~\r\nContent-Disposition: form-data; name=\"in\"\r\n\r\n",
    b"\0\xff",
    b"GET /bait HTTP/1.1\r\nHost: a\r\n\r\n",
    b"0\r\n\r\n",
];
/// What would be answered if a server took it for a request.
const BAITS: &[&[u8]] = &[
    b"GET /bait HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    b"\r\n",
    b"0\r\n\r\n",
    b"x",
    b"\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// A request with a body that its handler looks into.
pub fn request(random: &mut Random) -> Vec<u8> {
    if random.one_in(3) { to_read(random) } else { form(random) }
}

/// One whose handler reads the body itself: all of it, or so much.
fn to_read(random: &mut Random) -> Vec<u8> {
    let target = random.pick(&[&b"/read"[..], b"/sip"]);
    let much = match random.below(4) {
        0 => "?0".to_owned(),
        1 => format!("?{}", random.below(60)),
        _ => String::new(),
    };
    let mut body = Vec::new();
    for _ in 0..random.below(5) {
        body.extend_from_slice(random.pick(BAITS));
    }
    if random.one_in(6) {
        body.extend(vec![b'y'; random.below(900)]);
    }
    message(random, &[target, much.as_bytes()].concat(), b"", &body)
}

/// A form; usually a good one, or broken in its body and nowhere else.
fn form(random: &mut Random) -> Vec<u8> {
    let boundary = random.pick(BOUNDARIES);
    let kind =
        if random.one_in(12) { random.pick(TYPES).to_vec() } else { [b"multipart/form-data; boundary=\"", boundary, b"\""].concat() };
    let mut body = Vec::new();
    if random.one_in(10) {
        body.extend_from_slice(random.pick(&[&b"preamble\r\n"[..], b"\r\n", b"preamble", &[b'p'; 50]]));
    }
    for _ in 0..random.pick(&[0, 1, 1, 2, 2, 3, 3, 5, 7]) {
        part(random, boundary, &mut body);
    }
    body.extend_from_slice(&[b"--", boundary, b"--"].concat());
    body.extend_from_slice(random.pick(&[&b"\r\n"[..], b"\r\n", b"", b"\r", b" \r\n", b"\r\nepilogue", b"\n"]));
    for _ in 0..random.pick(&[0, 0, 0, 1, 1, 2]) {
        match random.below(5) {
            0 => body.truncate(random.below(body.len() + 1)),
            1 | 2 => {
                let (piece, at) = (piece(random, boundary), random.below(body.len() + 1));
                insert(&mut body, at, &piece);
            }
            _ => breakage(random, &mut body),
        }
    }
    let target: &[u8] = if random.one_in(4) { b"/unasked" } else { b"/form" };
    message(random, target, &[b"Content-Type: ", &kind[..], b"\r\n"].concat(), &body)
}

fn part(random: &mut Random, boundary: &[u8], body: &mut Vec<u8>) {
    body.extend_from_slice(&[b"--", boundary].concat());
    body.extend_from_slice(if random.one_in(15) { b" \t\r\n" } else { b"\r\n" });
    let is_file = random.one_in(2);
    let disposition = match is_file {
        _ if random.one_in(6) => random.pick(DISPOSITIONS),
        true => b"form-data; name=\"up\"; filename=\"a.txt\"",
        false => DISPOSITIONS[0],
    };
    body.extend_from_slice(&[b"Content-Disposition: ", disposition, b"\r\n"].concat());
    while random.one_in(3) {
        body.extend_from_slice(if random.one_in(8) { random.pick(PART_FIELDS) } else { random.pick(&PART_FIELDS[..4]) });
        body.extend_from_slice(b"\r\n");
    }
    // An empty part may have one line end or two.
    body.extend_from_slice(b"\r\n");
    if random.one_in(12) {
        return;
    }
    for _ in 0..random.below(4) {
        // Usually something that ends no part.
        let data = if random.one_in(12) { piece(random, boundary) } else { random.pick(&PIECES[..6]).to_vec() };
        body.extend(data);
    }
    // Many fields are too much; files are put aside.
    if random.one_in(if is_file { 3 } else { 20 }) {
        body.extend(vec![b'z'; random.below(400)]);
    }
    body.extend_from_slice(b"\r\n");
}

fn piece(random: &mut Random, boundary: &[u8]) -> Vec<u8> {
    let piece = random.pick(PIECES);
    piece.iter().flat_map(|&b| if b == b'~' { boundary.to_vec() } else { vec![b] }).collect()
}

/// A request that is framed as it must be, unless it says HTTP/1.0 and has chunks.
fn message(random: &mut Random, target: &[u8], fields: &[u8], body: &[u8]) -> Vec<u8> {
    let target = if random.one_in(12) { random.pick(TARGETS) } else { target };
    let method = match target {
        b"*" => b"OPTIONS",
        _ if random.one_in(12) => random.pick(METHODS),
        _ => b"POST",
    };
    let version: &[u8] = if random.one_in(30) { b"1.0\r\nConnection: keep-alive" } else { b"1.1" };
    let mut bytes = [method, b" ", target, b" HTTP/", version, b"\r\nHost: a\r\n", fields].concat();
    if random.one_in(12) {
        bytes.extend_from_slice(if random.one_in(4) { b"Expect: 100-continue, x\r\n" } else { b"Expect: 100-continue\r\n" });
    }
    if random.one_in(20) {
        bytes.extend_from_slice(b"Connection: close\r\n");
    }
    if random.one_in(2) {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        return bytes;
    }
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    let most = random.pick(&[3, 50, 2000]);
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at((1 + random.below(most)).min(rest.len()));
        rest = later;
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(if random.one_in(8) { b"0\r\nX-Trailer: v\r\n\r\n" } else { b"0\r\n\r\n" });
    bytes
}

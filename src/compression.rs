//! Compression of answers that the program generates: which ones, and at what level.
//!
//! Files are not compressed here: `static_files` sends the precompressed `.gz` and `.br` beside them.
//!
//! If an answer repeats text of the request beside a secret, its compressed length reveals how much the two have in common
//! (the BREACH attack). Such an answer needs a Content-Encoding or `Cache-Control: no-transform`, which disable compression.

use crate::http::coding::{self, Coding};
use crate::http::headers;
use flate2::{Compress, Compression, FlushCompress, Status};

/// Shorter bodies are not compressed. With a head of a few hundred bytes they fit into one TCP segment of 1460, so that
/// nothing would arrive sooner, and compressing 1 KiB takes 20 us: more than the rest of a small request. (Bytes are saved
/// from about 150 on: gzip reduces 256 bytes of JSON to 77 %, 1024 to 42 %.)
pub(crate) const LEAST: u64 = 1024;

/// Less time than level 6 for about the same bytes: 64 KiB of JSON become 22.9 % in 0.65 ms (6: 22.8 %, 0.9 ms; 1: 33 %,
/// 0.16 ms; 9: 22.9 %, 1.7 ms), of HTML 16.1 % in 0.65 ms (6: 14.9 %, 1.8 ms). Up to 4 KiB, 4 to 6 do the same.
const GZIP_LEVEL: u32 = 5;

/// The window of 2^15 bytes that gzip has. A compressor holds 380 KB with it, whatever passes through.
const GZIP_WINDOW: u8 = 15;

/// The first that is smaller than gzip: 16 KiB of JSON become 22.4 % in 0.5 ms (gzip: 24.8 %, 0.15 ms; 4: 24.5 %, 0.4 ms).
#[cfg(feature = "brotli")]
const BROTLI_QUALITY: i32 = 5;

/// A window of 2^18 bytes. A compressor holds 1.1 MB at first, and 5.5 MB after 16 MiB at once. With 2^22, the default, it
/// would be 44 MB; with 2^16 or less, where brotli uses other tables, 34 MB from the first byte on.
#[cfg(feature = "brotli")]
const BROTLI_WINDOW: i32 = 18;

/// Free space in the output before each call of the compressor.
const ROOM: usize = 4096;

/// Is a body of this Content-Type text, or something else that compresses well?
///
/// Not formats that are compressed already: images, audio, video, archives, WOFF, PDF. Nor `text/event-stream`: each
/// client would hold a compressor for hours, which takes more memory than the rest of the connection, to save some hundred
/// bytes per event.
pub(crate) fn is_compressible(media_type: &[u8]) -> bool {
    let end = memchr::memchr(b';', media_type).unwrap_or(media_type.len());
    let name = headers::trim(&media_type[..end]).to_ascii_lowercase();
    let Some(slash) = memchr::memchr(b'/', &name) else { return false };
    match (&name[..slash], &name[slash + 1..]) {
        (b"text", subtype) => subtype != b"event-stream",
        // RFC 6839: the suffix names the underlying format. SVG is an image/ with +xml.
        (_, subtype) if COMPRESSIBLE_SUFFIXES.iter().any(|suffix| subtype.ends_with(suffix)) => true,
        (b"application", subtype) => COMPRESSIBLE_APPLICATIONS.contains(&subtype),
        // WOFF and WOFF2 are compressed internally, these are not.
        (b"font", subtype) => matches!(subtype, b"ttf" | b"otf" | b"sfnt" | b"collection"),
        _ => false,
    }
}

const COMPRESSIBLE_SUFFIXES: &[&[u8]] = &[b"+json", b"+xml", b"+yaml", b"+json-seq"];

const COMPRESSIBLE_APPLICATIONS: &[&[u8]] = &[
    b"ecmascript",
    b"geo+json-seq",
    b"graphql",
    b"javascript",
    b"json",
    b"json-seq",
    b"json5",
    b"jsonl",
    b"jsonlines",
    b"ndjson",
    b"postscript",
    b"rtf",
    b"sql",
    b"toml",
    b"vnd.ms-fontobject",
    b"wasm",
    b"x-font-ttf",
    b"x-javascript",
    b"x-jsonlines",
    b"x-ndjson",
    b"x-sh",
    b"x-sql",
    b"x-www-form-urlencoded",
    b"x-yaml",
    b"xml",
    b"xml-dtd",
    b"yaml",
];

/// Does this Cache-Control contain no-transform? RFC 9111 5.2.2.6 forbids compression to intermediaries; here a handler
/// also uses it to forbid compression to the library.
pub(crate) fn is_forbidden(cache_control: &[u8]) -> bool {
    headers::list(cache_control).any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// The coding for an answer to a request with this Accept-Encoding, of those that this build has.
///
/// RFC 9110 12.5.3 lets a server choose any when there is none; but a client that does not ask for compression may not support it.
pub(crate) fn choose(accept_encoding: Option<&[u8]>) -> Coding {
    accept_encoding.map_or(Coding::Identity, |accept| coding::choose(accept, true, cfg!(feature = "brotli")))
}

/// Encodes all of `data` in `coding`.
pub(crate) fn compress(coding: Coding, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() / 2 + ROOM);
    let mut encoder = Encoder::new(coding);
    encoder.push(data, &mut out);
    encoder.finish(&mut out);
    out
}

/// Compresses a body that is written piece by piece.
pub(crate) enum Encoder {
    /// Pieces are passed through unchanged.
    Identity,
    /// One member of RFC 1952.
    Gzip(Compress),
    /// One stream of RFC 7932.
    #[cfg(feature = "brotli")]
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    /// A fresh encoder. `coding` must come from `choose`: a build without brotli has no encoder for it.
    pub(crate) fn new(coding: Coding) -> Encoder {
        match coding {
            Coding::Identity => Encoder::Identity,
            Coding::Gzip => Encoder::Gzip(Compress::new_gzip(Compression::new(GZIP_LEVEL), GZIP_WINDOW)),
            #[cfg(feature = "brotli")]
            Coding::Brotli => Encoder::Brotli(Box::new(brotli::CompressorWriter::with_params(Vec::new(), ROOM, &brotli_params()))),
            #[cfg(not(feature = "brotli"))]
            Coding::Brotli => unreachable!("a build without brotli chooses another coding"),
        }
    }

    /// Appends `data`, compressed and flushed, to `out`: the client can decode all of it at once.
    pub(crate) fn write(&mut self, data: &[u8], out: &mut Vec<u8>) {
        // Flushing an empty piece would write an empty block.
        if !data.is_empty() {
            self.push(data, out);
            self.flush(out);
        }
    }

    /// Appends the end of the coded body.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        match self {
            Encoder::Identity => {}
            Encoder::Gzip(mut deflate) => run(&mut deflate, b"", FlushCompress::Finish, out),
            #[cfg(feature = "brotli")]
            Encoder::Brotli(mut writer) => {
                std::mem::swap(out, writer.get_mut());
                *out = writer.into_inner();
            }
        }
    }

    /// Compresses all of `data`, and appends the output produced so far.
    fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoder::Identity => out.extend_from_slice(data),
            Encoder::Gzip(deflate) => run(deflate, data, FlushCompress::None, out),
            #[cfg(feature = "brotli")]
            Encoder::Brotli(writer) => through(writer, out, |writer| std::io::Write::write_all(writer, data)),
        }
    }

    /// Appends the output that the compressor has held back.
    fn flush(&mut self, out: &mut Vec<u8>) {
        match self {
            Encoder::Identity => {}
            Encoder::Gzip(deflate) => run(deflate, b"", FlushCompress::Sync, out),
            #[cfg(feature = "brotli")]
            Encoder::Brotli(writer) => through(writer, out, std::io::Write::flush),
        }
    }
}

/// Feeds `data` to the compressor, and appends its output until there is no more.
fn run(deflate: &mut Compress, mut data: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
    loop {
        out.reserve(ROOM);
        let before = deflate.total_in();
        let status = deflate.compress_vec(data, out, flush).expect("a compressor that is not finished takes every byte");
        data = &data[(deflate.total_in() - before) as usize..];
        let room_left = out.len() < out.capacity();
        // If zlib leaves room in the output, it has no more; after Finish it reports StreamEnd instead.
        let done = status == Status::StreamEnd || (room_left && data.is_empty() && flush != FlushCompress::Finish);
        if done {
            return;
        }
    }
}

#[cfg(feature = "brotli")]
fn brotli_params() -> brotli::enc::BrotliEncoderParams {
    brotli::enc::BrotliEncoderParams { quality: BROTLI_QUALITY, lgwin: BROTLI_WINDOW, ..Default::default() }
}

/// Swaps `out` into the writer for the duration of `act`.
#[cfg(feature = "brotli")]
fn through(
    writer: &mut brotli::CompressorWriter<Vec<u8>>,
    out: &mut Vec<u8>,
    act: impl FnOnce(&mut brotli::CompressorWriter<Vec<u8>>) -> std::io::Result<()>,
) {
    std::mem::swap(out, writer.get_mut());
    let done = act(writer);
    std::mem::swap(out, writer.get_mut());
    done.expect("a Vec takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    const CODINGS: &[Coding] =
        if cfg!(feature = "brotli") { &[Coding::Identity, Coding::Gzip, Coding::Brotli] } else { &[Coding::Identity, Coding::Gzip] };

    /// Everything that a client can decode from `coded`, which may be the beginning of a body. Fails if it is malformed or,
    /// with `whole`, if the end is missing or something follows it.
    fn decoded(coding: Coding, coded: &[u8], whole: bool) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Identity => out.extend_from_slice(coded),
            Coding::Gzip => {
                let mut decoder = flate2::write::GzDecoder::new(&mut out);
                decoder.write_all(coded).unwrap();
                decoder.flush().unwrap();
                if whole {
                    decoder.finish().expect("the length and the check are there and right");
                    let mut rest = coded;
                    let mut once = Vec::new();
                    flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut once).unwrap();
                    assert!(rest.is_empty(), "{} bytes after the end", rest.len());
                }
            }
            #[cfg(feature = "brotli")]
            Coding::Brotli => {
                // It holds back output that does not fit into its buffer, so the buffer must be large enough for all.
                let mut decoder = brotli::DecompressorWriter::new(&mut out, 1 << 20);
                decoder.write_all(coded).unwrap();
                decoder.flush().unwrap();
                if whole {
                    decoder.close().expect("the end is there");
                }
                drop(decoder);
            }
            #[cfg(not(feature = "brotli"))]
            Coding::Brotli => unreachable!(),
        }
        out
    }

    fn json(len: usize) -> Vec<u8> {
        let mut text = String::from("[");
        for id in 0.. {
            if text.len() >= len {
                break;
            }
            text += &format!("{{\"id\":{id},\"name\":\"item {}\",\"price\":{}.50,\"active\":true}},", id * 7919 % 1000, id * 31 % 97);
        }
        text.truncate(len);
        text.into_bytes()
    }

    /// xorshift64: incompressible bytes, the same each time.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 88_172_645_463_325_252_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        std::iter::repeat_with(next).flatten().take(len).collect()
    }

    #[test]
    fn what_is_compressed_comes_back() {
        for &coding in CODINGS {
            for len in [0, 1, 2, 17, 1023, 4095, 4096, 4097, 65_535, 65_536, 300_000] {
                for data in [json(len), noise(len), vec![0; len]] {
                    let coded = compress(coding, &data);
                    assert!(decoded(coding, &coded, true) == data, "{coding:?}, {len} bytes");
                }
            }
        }
    }

    #[test]
    fn nothing_becomes_a_whole_body() {
        for &coding in CODINGS {
            let mut out = Vec::new();
            Encoder::new(coding).finish(&mut out);
            assert_eq!(decoded(coding, &out, true), b"");
            assert_eq!(compress(coding, b""), out);
        }
    }

    #[test]
    fn text_becomes_much_smaller_and_noise_hardly_larger() {
        for &coding in CODINGS.iter().filter(|&&coding| coding != Coding::Identity) {
            let least = LEAST as usize;
            assert!(compress(coding, &json(least)).len() * 2 < least, "{coding:?}");
            assert!(compress(coding, &json(100_000)).len() * 4 < 100_000, "{coding:?}");
            let coded = compress(coding, &noise(100_000)).len();
            assert!(coded < 100_000 + 100, "{coding:?}: {coded}");
        }
    }

    #[test]
    fn what_was_written_can_be_decoded_at_once() {
        for &coding in CODINGS {
            for piece in [1, 7, 100, 1000, 4096, 70_000] {
                for data in [json(140_000.min(piece * 300)), noise(140_000.min(piece * 300))] {
                    let mut encoder = Encoder::new(coding);
                    let mut coded = Vec::new();
                    for (count, part) in data.chunks(piece).enumerate() {
                        encoder.write(part, &mut coded);
                        // Decoding every beginning from scratch takes quadratic time.
                        if count < 5 || count % 50 == 0 {
                            let so_far = decoded(coding, &coded, false);
                            assert!(so_far == data[..count * piece + part.len()], "{coding:?}, pieces of {piece}, after {count}");
                        }
                    }
                    encoder.finish(&mut coded);
                    assert!(decoded(coding, &coded, true) == data, "{coding:?}, pieces of {piece}");
                }
            }
        }
    }

    #[test]
    fn what_was_in_out_stays_and_an_empty_piece_adds_nothing() {
        for &coding in CODINGS {
            let mut encoder = Encoder::new(coding);
            let mut out = b"5\r\n".to_vec();
            encoder.write(b"hello", &mut out);
            let len = out.len();
            encoder.write(b"", &mut out);
            assert_eq!(out.len(), len, "{coding:?}");
            encoder.write(b", world", &mut out);
            encoder.finish(&mut out);
            assert_eq!(&out[..3], b"5\r\n");
            assert_eq!(decoded(coding, &out[3..], true), b"hello, world");
        }
    }

    #[test]
    fn each_piece_may_have_a_buffer_of_its_own() {
        for &coding in CODINGS {
            let data = json(10_000);
            let mut encoder = Encoder::new(coding);
            let mut pieces = Vec::new();
            for part in data.chunks(999) {
                let mut out = Vec::new();
                encoder.write(part, &mut out);
                assert!(!out.is_empty(), "{coding:?}");
                pieces.push(out);
            }
            let mut last = Vec::new();
            encoder.finish(&mut last);
            pieces.push(last);
            assert!(decoded(coding, &pieces.concat(), true) == data, "{coding:?}");
        }
    }

    #[test]
    fn pieces_know_of_one_another() {
        for &coding in CODINGS.iter().filter(|&&coding| coding != Coding::Identity) {
            let line = noise(200);
            let mut encoder = Encoder::new(coding);
            let mut first = Vec::new();
            encoder.write(&line, &mut first);
            let mut second = Vec::new();
            encoder.write(&line, &mut second);
            assert!(second.len() < 30 && first.len() > 200, "{coding:?}: {} and {}", first.len(), second.len());
        }
    }

    #[test]
    fn text_is_compressible_and_what_is_compressed_is_not() {
        for (media_type, expected) in [
            ("text/html", true),
            ("text/html; charset=utf-8", true),
            ("TEXT/HTML;charset=utf-8", true),
            (" text/plain ; charset=utf-8", true),
            ("text/css", true),
            ("text/csv", true),
            ("text/javascript", true),
            ("text/x-anything", true),
            ("application/json", true),
            ("Application/JSON", true),
            ("application/problem+json", true),
            ("application/vnd.api+json; charset=utf-8", true),
            ("application/geo+json-seq", true),
            ("application/x-ndjson", true),
            ("application/javascript", true),
            ("application/xml", true),
            ("application/xhtml+xml", true),
            ("application/atom+xml", true),
            ("application/wasm", true),
            ("application/yaml", true),
            ("application/x-www-form-urlencoded", true),
            ("image/svg+xml", true),
            ("font/ttf", true),
            ("text/event-stream", false),
            ("text/event-stream; charset=utf-8", false),
            ("Text/Event-Stream", false),
            ("image/png", false),
            ("image/jpeg", false),
            ("image/webp", false),
            ("image/avif", false),
            ("audio/mpeg", false),
            ("video/mp4", false),
            ("application/zip", false),
            ("application/gzip", false),
            ("application/x-7z-compressed", false),
            ("application/pdf", false),
            ("application/octet-stream", false),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", false),
            ("application/epub+zip", false),
            ("font/woff", false),
            ("font/woff2", false),
            ("multipart/byteranges; boundary=a", false),
            ("application/jsonx", false),
            ("application/zip; was=text/html", false),
            ("textual/html", false),
            ("text", false),
            ("json", false),
            ("", false),
            (";", false),
        ] {
            assert_eq!(is_compressible(media_type.as_bytes()), expected, "{media_type:?}");
        }
    }

    #[test]
    fn a_handler_can_forbid_it() {
        for (cache_control, expected) in [
            ("no-transform", true),
            ("No-Transform", true),
            ("max-age=60, no-transform", true),
            ("private,no-transform,max-age=0", true),
            ("", false),
            ("no-store", false),
            ("x-no-transform", false),
            ("no-transform-not", false),
        ] {
            assert_eq!(is_forbidden(cache_control.as_bytes()), expected, "{cache_control:?}");
        }
    }

    #[test]
    fn the_coding_is_one_that_this_build_has() {
        let best = if cfg!(feature = "brotli") { Coding::Brotli } else { Coding::Gzip };
        for (accept, expected) in [
            (None, Coding::Identity),
            (Some("gzip, deflate, br, zstd"), best),
            (Some("*"), best),
            (Some("gzip"), Coding::Gzip),
            (Some("br;q=0, gzip"), Coding::Gzip),
            (Some("br"), if cfg!(feature = "brotli") { Coding::Brotli } else { Coding::Identity }),
            (Some("identity"), Coding::Identity),
            (Some(""), Coding::Identity),
        ] {
            let chosen = choose(accept.map(str::as_bytes));
            assert_eq!(chosen, expected, "{accept:?}");
            assert!(CODINGS.contains(&chosen));
        }
    }
}

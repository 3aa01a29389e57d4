//! Shared by the raw-socket tests: a server in this process, and a client that checks answers strictly.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test file uses its part")]

mod client;
mod random;
mod server;

use std::sync::LazyLock;

pub use client::{Answer, Client, Framing, PATIENCE, Streamed};
pub use random::Random;
pub use server::{Gate, Logs, Opened, Server};

/// Bytes made readable for failure messages: non-ASCII and control bytes are escaped, long input is truncated.
pub fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 600;
    let mut out: String = bytes.iter().take(MOST).flat_map(|&byte| std::ascii::escape_default(byte)).map(char::from).collect();
    if bytes.len() > MOST {
        out += &format!("... ({} bytes)", bytes.len());
    }
    out
}

/// A GET request that every server of these tests can answer.
pub fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// The same, as the last request of its connection.
pub fn last_get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes()
}

/// A POST with a length.
pub fn post(target: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Decompresses a gzip file, which must be exactly one member.
#[track_caller]
pub fn gunzip(coded: &[u8]) -> Vec<u8> {
    let mut decoder = flate2::bufread::GzDecoder::new(coded);
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut decoder, &mut plain).expect("gzip that can be decoded to its end");
    assert!(decoder.into_inner().is_empty(), "something follows the end of the gzip");
    plain
}

/// Decompresses a whole brotli stream.
#[cfg(feature = "brotli")]
#[track_caller]
pub fn unbrotli(coded: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut brotli::Decompressor::new(coded, 4096), &mut plain).expect("brotli that can be decoded to its end");
    plain
}

/// Polls until `is_so`; for changes by another thread that come without a notification.
#[track_caller]
pub fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < end, "{what}: it does not come about");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Up to 8 MiB of pseudo-random bytes, in which a lost, duplicated or moved piece is detected.
pub fn pattern(length: usize) -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut random = Random::new(8);
        let mut bytes = Vec::new();
        while bytes.len() < 8 << 20 {
            bytes.extend_from_slice(&random.next().to_le_bytes());
        }
        bytes
    });
    &BYTES[..length]
}

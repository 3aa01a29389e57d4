//! What the raw-socket tests share: a server in this process, and a client that reads strictly.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test file uses its part")]

mod client;
mod random;
mod server;

use std::sync::LazyLock;

pub use client::{Answer, Client, Framing, PATIENCE, Streamed};
pub use random::Random;
pub use server::{Gate, Logs, Opened, Server};

/// Bytes as a reader of a failed test can use them: text where it is text, escapes elsewhere, long ones cut.
pub fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 600;
    let mut out: String = bytes.iter().take(MOST).flat_map(|&byte| std::ascii::escape_default(byte)).map(char::from).collect();
    if bytes.len() > MOST {
        out += &format!("... ({} bytes)", bytes.len());
    }
    out
}

/// A GET that every server of these tests can answer with something.
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

/// What a gzip file has inside, which must be one member and no more.
#[track_caller]
pub fn gunzip(coded: &[u8]) -> Vec<u8> {
    let mut decoder = flate2::bufread::GzDecoder::new(coded);
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut decoder, &mut plain).expect("gzip that can be decoded to its end");
    assert!(decoder.into_inner().is_empty(), "something follows the end of the gzip");
    plain
}

/// What a stream of brotli has inside, to its end.
#[cfg(feature = "brotli")]
#[track_caller]
pub fn unbrotli(coded: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut brotli::Decompressor::new(coded, 4096), &mut plain).expect("brotli that can be decoded to its end");
    plain
}

/// Waits until `is_so`; for what another thread brings about without telling.
#[track_caller]
pub fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < end, "{what}: it does not come about");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Up to 8 MiB in which a lost, doubled or moved piece shows.
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

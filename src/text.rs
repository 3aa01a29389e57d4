//! Bytes for Rust and C alike.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// Bytes that a NUL follows in memory, so that C can read them as a string. They may hold NUL themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// No bytes.
    pub const EMPTY: Text<'static> = Text(b"\0");

    /// All of `with_nul` but its last byte, which must be a NUL.
    pub(crate) fn new(with_nul: &'a [u8]) -> Text<'a> {
        assert_eq!(with_nul.last(), Some(&0), "what C reads ends with a NUL");
        Text(with_nul)
    }

    /// The bytes, without the NUL.
    pub fn bytes(self) -> &'a [u8] {
        &self.0[..self.0.len() - 1]
    }

    /// The bytes and the NUL.
    pub(crate) fn with_nul(self) -> &'a [u8] {
        self.0
    }

    /// As text; invalid UTF-8 becomes U+FFFD.
    pub fn to_str(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes())
    }
}

impl Deref for Text<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.to_str(), f)
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.bytes() == other.as_bytes()
    }
}

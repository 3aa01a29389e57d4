//! The error of a failed call: its kind, and a message that explains it.

use std::fmt;

/// The kind of a failure. The numbers are those of `hasty_status` and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Kind {
    /// A required pointer was NULL.
    Null = 1,
    /// A value breaks a rule; the message names both.
    Invalid = 2,
    /// The call is not allowed now: after start, or twice.
    State = 3,
    /// A system call failed; the message gives the reason.
    Io = 4,
    /// The other side, or the app, is gone.
    Closed = 5,
    /// Nothing happened within the time allowed.
    Timeout = 6,
    /// A Rust panic was caught before it could leave the library.
    Panic = 7,
    /// A limit would be exceeded.
    Limit = 8,
    /// Nothing has that name.
    NotFound = 9,
    /// Not supported by this build or this machine.
    Unsupported = 10,
}

impl Kind {
    /// The kind's number in the C ABI.
    pub fn code(self) -> i32 {
        self as i32
    }
}

/// A failure: its kind, and a sentence naming the value and the rule.
pub struct Error {
    kind: Kind,
    message: Message,
}

/// Clients can cause many errors whose messages are never read, so those messages are formatted only on demand.
enum Message {
    Fixed(&'static str),
    Text(String),
    Late(Box<dyn fmt::Display + Send + Sync>),
}

/// The result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with a message known at compile time.
    pub const fn fixed(kind: Kind, words: &'static str) -> Error {
        Error { kind, message: Message::Fixed(words) }
    }

    /// An error whose message is formatted now: for mistakes of the program.
    #[cold]
    pub fn new(kind: Kind, words: impl Into<String>) -> Error {
        Error { kind, message: Message::Text(words.into()) }
    }

    /// An error whose message is formatted when it is read: for mistakes of a client.
    #[cold]
    pub fn late(kind: Kind, words: impl fmt::Display + Send + Sync + 'static) -> Error {
        Error { kind, message: Message::Late(Box::new(words)) }
    }

    /// A value that breaks a rule.
    #[cold]
    pub fn invalid(words: impl Into<String>) -> Error {
        Error::new(Kind::Invalid, words)
    }

    /// A call at the wrong moment.
    #[cold]
    pub fn state(words: &'static str) -> Error {
        Error::fixed(Kind::State, words)
    }

    /// A failure of the operating system while `doing` something.
    pub fn io(doing: impl fmt::Display, error: &std::io::Error) -> Error {
        Error::new(Kind::Io, format!("{doing}: {error}"))
    }

    /// A copy. Not Clone, since copying formats a late message.
    pub(crate) fn copy(&self) -> Error {
        match &self.message {
            Message::Fixed(words) => Error::fixed(self.kind, words),
            Message::Text(_) | Message::Late(_) => Error::new(self.kind, self.to_string()),
        }
    }

    /// The kind of this failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Message::Fixed(words) => f.write_str(words),
            Message::Text(words) => f.write_str(words),
            Message::Late(words) => words.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl std::error::Error for Error {}

/// Bytes as shown in messages: UTF-8 as it is, with escapes for control characters and other bytes; at most 120 bytes.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 120;
        let shown = &self.0[..self.0.len().min(MOST)];
        for chunk in shown.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() || c == '"' { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if self.0.len() > MOST { f.write_str("...") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_words() {
        assert_eq!(Error::invalid("port 70000 is not in 0..=65535").to_string(), "port 70000 is not in 0..=65535");
    }

    #[test]
    fn late_words_are_made_when_read() {
        let error = Error::late(Kind::Invalid, "line 1, column 2");
        assert_eq!(format!("{error:?}"), "Invalid: line 1, column 2");
    }

    #[test]
    fn shown_bytes_are_printable_and_bounded() {
        assert_eq!(Shown(b"a\r\n\xff\"").to_string(), "a\\r\\n\\xff\\\"");
        assert!(Shown(&[b'x'; 500]).to_string().len() < 130);
    }
}

//! Chunked bodies, decoded in place.

use super::headers::is_token_byte;
use super::refusal::Refusal;

/// RFC 9112 7.1.1: "A server ought to limit the total length of chunk extensions received in a request". No client uses them.
const MAX_EXTENSION_BYTES: u32 = 4096;

/// Sixteen hexadecimal digits are 64 bits; further ones could only be leading zeros.
const MAX_SIZE_DIGITS: u8 = 16;

/// The state of the decoder between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a chunk's size, which has at least one digit.
    Size,
    /// After the size, in spaces that may only precede an extension.
    SizeEnd,
    /// In an extension.
    Extension,
    /// In a quoted string of an extension.
    Quoted,
    /// After a backslash in a quoted string.
    Escaped,
    /// At the line feed that ends the size line.
    SizeLf,
    /// In the chunk's data.
    Data,
    /// At the carriage return after the data.
    DataCr,
    /// At the line feed after the data.
    DataLf,
    /// At the start of a trailer line, or of the last, empty one.
    TrailerStart,
    /// In a trailer's name.
    TrailerName,
    /// In a trailer's value.
    TrailerValue,
    /// At the line feed that ends a trailer.
    TrailerLf,
    /// At the last line feed.
    EndLf,
    /// The body is complete.
    Done,
}

/// Decodes a chunked body (RFC 9112 7.1), which may arrive in any pieces.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    /// The bytes of the current chunk that are still to come.
    left: u64,
    digits: u8,
    extension_bytes: u32,
    trailer_bytes: usize,
    trailers: usize,
    max_trailer_bytes: usize,
    max_trailers: usize,
    /// How much more data is allowed.
    room: u64,
}

/// The progress of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The end of the data.
    pub data_end: usize,
    /// The end of the bytes that were processed.
    pub consumed: usize,
    /// Is the body complete?
    pub done: bool,
}

impl Chunked {
    /// A decoder for a body of at most `max_bytes`. Trailers are subject to the limits of a head.
    pub fn new(max_bytes: u64, max_trailer_bytes: usize, max_trailers: usize) -> Chunked {
        Chunked {
            state: State::Size,
            left: 0,
            digits: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailers: 0,
            max_trailer_bytes,
            max_trailers,
            room: max_bytes,
        }
    }

    /// Decodes `bytes[from..]`, and moves the data down to `bytes[data_end..]`.
    ///
    /// Each byte is read once and moved at most once, so the cost is linear whatever the pieces.
    pub fn decode(&mut self, bytes: &mut [u8], mut data_end: usize, from: usize) -> Result<Decoded, Refusal> {
        let mut at = from;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                bytes.copy_within(at..at + len, data_end);
                data_end += len;
                at += len;
                self.left -= len as u64;
                self.room -= len as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(Decoded { data_end, consumed: at, done: self.state == State::Done })
    }

    fn step(&mut self, b: u8) -> Result<(), Refusal> {
        self.state = match self.state {
            State::Size => return self.size(b),
            // RFC 9112 7.1.1: `chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`
            State::SizeEnd => match b {
                b' ' | b'\t' => self.extension(State::SizeEnd)?,
                b';' => self.extension(State::Extension)?,
                _ => return Err(Refusal::ChunkSize),
            },
            State::Extension => match b {
                b'\r' => State::SizeLf,
                b'"' => self.extension(State::Quoted)?,
                b' ' | b'\t' | b';' | b'=' => self.extension(State::Extension)?,
                _ if is_token_byte(b) => self.extension(State::Extension)?,
                _ => return Err(Refusal::ChunkExtension),
            },
            State::Quoted => match b {
                b'"' => self.extension(State::Extension)?,
                b'\\' => self.extension(State::Escaped)?,
                b'\t' | b' '..=b'~' | 0x80.. => self.extension(State::Quoted)?,
                _ => return Err(Refusal::ChunkExtension),
            },
            State::Escaped => match b {
                b'\t' | b' '..=b'~' | 0x80.. => self.extension(State::Quoted)?,
                _ => return Err(Refusal::ChunkExtension),
            },
            State::SizeLf if b == b'\n' => self.after_size(),
            State::SizeLf => return Err(Refusal::ChunkSize),
            State::DataCr if b == b'\r' => State::DataLf,
            State::DataLf if b == b'\n' => {
                self.digits = 0;
                State::Size
            }
            State::DataCr | State::DataLf => return Err(Refusal::ChunkEnd),
            _ => return self.trailer(b),
        };
        Ok(())
    }

    fn size(&mut self, b: u8) -> Result<(), Refusal> {
        if let Some(digit) = char::from(b).to_digit(16) {
            // Checked at each digit, so that the outcome does not depend on the pieces.
            if self.left > self.room >> 4 {
                return Err(Refusal::BodyLength);
            }
            self.left = self.left << 4 | u64::from(digit);
            if self.left > self.room {
                return Err(Refusal::BodyLength);
            }
            self.digits = self.digits.saturating_add(1);
            return if self.digits > MAX_SIZE_DIGITS { Err(Refusal::ChunkSize) } else { Ok(()) };
        }
        if self.digits == 0 {
            return Err(Refusal::ChunkSize);
        }
        self.state = match b {
            b'\r' => State::SizeLf,
            b';' => self.extension(State::Extension)?,
            b' ' | b'\t' => self.extension(State::SizeEnd)?,
            _ => return Err(Refusal::ChunkSize),
        };
        Ok(())
    }

    /// RFC 9112 7.1: `last-chunk = 1*("0")`, so a size of zero ends the data.
    fn after_size(&self) -> State {
        if self.left == 0 { State::TrailerStart } else { State::Data }
    }

    /// Counts a byte of extensions, in all chunks together.
    fn extension(&mut self, next: State) -> Result<State, Refusal> {
        self.extension_bytes += 1;
        if self.extension_bytes > MAX_EXTENSION_BYTES { Err(Refusal::ChunkExtension) } else { Ok(next) }
    }

    /// RFC 9112 7.1.2: trailers are field lines. They are checked like those of a head, and discarded.
    fn trailer(&mut self, b: u8) -> Result<(), Refusal> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > self.max_trailer_bytes {
            return Err(Refusal::TrailerLength);
        }
        self.state = match (self.state, b) {
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart, _) if is_token_byte(b) => {
                self.trailers += 1;
                if self.trailers > self.max_trailers {
                    return Err(Refusal::TrailerLength);
                }
                State::TrailerName
            }
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerName, _) if is_token_byte(b) => State::TrailerName,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(Refusal::Trailer),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of `step` bytes, as a connection does; returns the data and what was not processed.
    fn decode(text: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), Refusal> {
        let mut chunked = Chunked::new(1 << 20, 64, 3);
        let mut bytes = Vec::new();
        let mut came = 0;
        for piece in text.chunks(step) {
            let data_end = bytes.len();
            bytes.extend_from_slice(piece);
            came += piece.len();
            let decoded = chunked.decode(&mut bytes, data_end, data_end)?;
            let rest = bytes.len() - decoded.consumed;
            bytes.truncate(decoded.data_end);
            if decoded.done {
                return Ok((bytes, Some(came - rest)));
            }
        }
        Ok((bytes, None))
    }

    #[test]
    fn a_body_decodes_the_same_however_it_is_cut() {
        let text = b"5\r\nhello\r\n006 ; a=\"q\\\"\";b=c\r\n world\r\n0\r\nX-Trailer: v\r\n\r\nNEXT";
        for step in 1..=text.len() {
            assert_eq!(decode(text, step), Ok((b"hello world".to_vec(), Some(text.len() - 4))), "in pieces of {step}");
        }
    }

    #[test]
    fn a_body_is_done_only_with_its_last_line() {
        let text = b"1\r\na\r\n0\r\n\r\n";
        for len in 0..text.len() {
            assert_eq!(decode(&text[..len], 1).unwrap().1, None, "{len}");
        }
        assert_eq!(decode(text, 1), Ok((b"a".to_vec(), Some(text.len()))));
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for (text, refusal) in [
            (&b"\r\n"[..], Refusal::ChunkSize),
            (b"g\r\n", Refusal::ChunkSize),
            (b"-1\r\n", Refusal::ChunkSize),
            (b"0x1\r\n", Refusal::ChunkSize),
            (b" 1\r\n", Refusal::ChunkSize),
            (b"1 \r\n", Refusal::ChunkSize),
            (b"1\n", Refusal::ChunkSize),
            (b"1\rx", Refusal::ChunkSize),
            (b"00000000000000001\r\n", Refusal::ChunkSize),
            (b"11112222333344445\r\n", Refusal::BodyLength),
            (b"100001\r\n", Refusal::BodyLength),
            (b"1\r\na\r\n100000\r\n", Refusal::BodyLength),
            (b"1;\n", Refusal::ChunkExtension),
            (b"1;a\0\r\n", Refusal::ChunkExtension),
            (b"1;a=\"\r\n", Refusal::ChunkExtension),
            (b"1\r\nab\r\n", Refusal::ChunkEnd),
            (b"1\r\na\n", Refusal::ChunkEnd),
            (b"1\r\na\rx", Refusal::ChunkEnd),
            (b"0\r\nx\r\n\r\n", Refusal::Trailer),
            (b"0\r\n x: y\r\n\r\n", Refusal::Trailer),
            (b"0\r\nx : y\r\n\r\n", Refusal::Trailer),
            (b"0\r\nx: y\n\r\n", Refusal::Trailer),
            (b"0\r\n\n", Refusal::Trailer),
            (b"0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n", Refusal::TrailerLength),
        ] {
            for step in [1, 100] {
                assert_eq!(decode(text, step), Err(refusal), "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn extensions_and_trailers_are_limited_in_all() {
        let many = b"1;abcdefg\r\nx\r\n".repeat(1000);
        assert_eq!(decode(&many, 1000), Err(Refusal::ChunkExtension));
        let long = [b"0\r\nx: ", &[b'y'; 100][..]].concat();
        assert_eq!(decode(&long, 1000), Err(Refusal::TrailerLength));
    }
}

//! A client that sends any bytes, even invalid ones, and checks everything it receives.

use super::shown;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long an answer may take before the server counts as hanging: long, for machines with other work, and less than the time after
/// which an idle connection is closed by itself.
pub const PATIENCE: Duration = Duration::from_secs(25);

/// How long an answer may lie in a queue before this client reads it.
const MOST_AGE: Duration = Duration::from_secs(120);

/// More than any head that a test asks for.
const MOST_HEAD: usize = 64 * 1024;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// One connection.
pub struct Client {
    stream: Stream,
    /// Bytes received but not yet consumed.
    unread: Vec<u8>,
    /// The server has sent its FIN.
    ended: bool,
}

impl Client {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Client {
        Client::of(TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts a connection"))
    }

    pub fn of(stream: TcpStream) -> Client {
        // Each write is a segment of its own, so that a test controls where a request is split.
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read time-out");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write time-out");
        Client { stream: Stream::Tcp(stream), unread: Vec::new(), ended: false }
    }

    #[track_caller]
    pub fn connect_unix(path: &Path) -> Client {
        let stream = UnixStream::connect(path).expect("the server accepts a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read time-out");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write time-out");
        Client { stream: Stream::Unix(stream), unread: Vec::new(), ended: false }
    }

    /// The socket of a TCP connection.
    pub fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Unix(_) => panic!("this connection is no TCP"),
        }
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server takes what is sent");
    }

    /// For servers that may have closed already, as they may after an error answer.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes.as_ref()),
            Stream::Unix(stream) => stream.write_all(bytes.as_ref()),
        }
    }

    /// Shuts down the sending side; answers may still arrive.
    pub fn half_close(&self) {
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Receives available bytes without waiting. False when the server has closed the connection.
    pub fn take_what_came(&mut self) -> bool {
        self.set_nonblocking(true);
        while !self.ended && matches!(self.receive(), Ok(true)) {}
        self.set_nonblocking(false);
        !self.ended
    }

    pub fn set_nonblocking(&self, on: bool) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(on),
            Stream::Unix(stream) => stream.set_nonblocking(on),
        }
        .expect("a socket's mode can change");
    }

    pub fn set_read_timeout(&self, patience: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(patience)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(patience)),
        }
        .expect("a read time-out");
    }

    /// One read. False at the end.
    fn receive(&mut self) -> io::Result<bool> {
        let mut piece = [0; 16 * 1024];
        let count = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut piece),
            Stream::Unix(stream) => stream.read(&mut piece),
        }?;
        self.unread.extend_from_slice(&piece[..count]);
        self.ended |= count == 0;
        Ok(count > 0)
    }

    /// Reads until `enough` returns a length, and returns that many bytes.
    fn receive_until(&mut self, what: &str, enough: impl Fn(&[u8]) -> Option<usize>) -> Result<Vec<u8>, String> {
        loop {
            if let Some(count) = enough(&self.unread) {
                return Ok(self.unread.drain(..count).collect());
            }
            let trouble = match if self.ended { Ok(false) } else { self.receive() } {
                Ok(true) => continue,
                Ok(false) => "the connection ended".to_owned(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => "nothing came in time".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(format!("{trouble} where {what} was expected; received: \"{}\"", shown(&self.unread)));
        }
    }

    /// The next answer, interim ones included, checked against every rule that applies to all answers.
    pub fn try_answer(&mut self) -> Result<Answer, String> {
        let answer = self.read_answer(false)?;
        if answer.status >= 400 {
            answer.explains().map_err(|why| format!("{why} in {answer:?}"))?;
        }
        Ok(answer)
    }

    /// The next answer, to a HEAD request: no body follows, whatever its Content-Length.
    pub fn try_answer_to_head(&mut self) -> Result<Answer, String> {
        self.read_answer(true)
    }

    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.try_answer().unwrap_or_else(|why| panic!("{why}"))
    }

    #[track_caller]
    pub fn answer_to_head(&mut self) -> Answer {
        self.try_answer_to_head().unwrap_or_else(|why| panic!("{why}"))
    }

    /// Asserts that the next answer has this status.
    #[track_caller]
    pub fn expect(&mut self, status: u16) -> Answer {
        let answer = self.answer();
        assert_eq!(answer.status, status, "{answer:?}");
        answer
    }

    fn read_answer(&mut self, to_head: bool) -> Result<Answer, String> {
        let head = self.receive_until("an answer's head", |bytes| {
            // Stops at an oversized head, which then fails the check for its end.
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
            end.or((bytes.len() > MOST_HEAD).then_some(bytes.len()))
        })?;
        let mut answer = Answer::of_head(&head).map_err(|why| format!("{why} in the head \"{}\"", shown(&head)))?;
        let length = answer.body_length(to_head).map_err(|why| format!("{why} in the head \"{}\"", shown(&head)))?;
        answer.body = self.receive_until("an answer's body", |bytes| (bytes.len() >= length).then_some(length))?;
        Ok(answer)
    }

    /// The head of the next answer, which may be one that is written piece by piece.
    pub fn try_head(&mut self) -> Result<Streamed, String> {
        let head =
            self.receive_until("an answer's head", |bytes| bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4))?;
        let answer = Answer::of_head(&head).map_err(|why| format!("{why} in the head \"{}\"", shown(&head)))?;
        let framing = answer.framing().map_err(|why| format!("{why} in the head \"{}\"", shown(&head)))?;
        Ok(Streamed { answer, framing })
    }

    /// The same, of an answer with this status.
    #[track_caller]
    pub fn expect_head(&mut self, status: u16) -> Streamed {
        let head = self.try_head().unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(head.answer.status, status, "{:?}", head.answer);
        head
    }

    /// The next chunk's data; empty at the end of the body.
    pub fn try_chunk(&mut self) -> Result<Vec<u8>, String> {
        let line = self.receive_until("a chunk's size", |bytes| bytes.windows(2).position(|two| two == b"\r\n").map(|at| at + 2))?;
        let digits = std::str::from_utf8(&line[..line.len() - 2]).map_err(|_| "a chunk size that is no text")?;
        if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("the chunk size {digits:?}"));
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| format!("the chunk size {digits:?}"))?;
        // Includes the CRLF after the data; for the last chunk that is the blank line that ends the empty trailer section.
        let mut data = self.receive_until("a chunk", |bytes| (bytes.len() >= size + 2).then_some(size + 2))?;
        if !data.ends_with(b"\r\n") {
            return Err(format!("a chunk that ends with \"{}\"", shown(&data[size..])));
        }
        data.truncate(size);
        Ok(data)
    }

    #[track_caller]
    pub fn chunk(&mut self) -> Vec<u8> {
        self.try_chunk().unwrap_or_else(|why| panic!("{why}"))
    }

    /// Exactly `count` bytes of a body delimited by its length or the end of the connection.
    pub fn try_bytes(&mut self, count: usize) -> Result<Vec<u8>, String> {
        self.receive_until("a body", |bytes| (bytes.len() >= count).then_some(count))
    }

    /// All bytes until the server closes the connection in an orderly way, without a reset.
    pub fn try_rest(&mut self) -> Result<Vec<u8>, String> {
        while !self.ended {
            match self.receive() {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// The next whole answer, however the end of its body is delimited.
    pub fn try_streamed(&mut self) -> Result<Streamed, String> {
        let mut streamed = self.try_head()?;
        match streamed.framing {
            Framing::Length(length) => streamed.answer.body = self.try_bytes(length)?,
            Framing::Close => streamed.answer.body = self.try_rest()?,
            Framing::Chunked => loop {
                let chunk = self.try_chunk()?;
                if chunk.is_empty() {
                    break;
                }
                streamed.answer.body.extend_from_slice(&chunk);
            },
        }
        Ok(streamed)
    }

    #[track_caller]
    pub fn streamed(&mut self) -> Streamed {
        self.try_streamed().unwrap_or_else(|why| panic!("{why}"))
    }

    /// Asserts that the next answer is streamed and has this status.
    #[track_caller]
    pub fn expect_streamed(&mut self, status: u16) -> Streamed {
        let streamed = self.streamed();
        assert_eq!(streamed.answer.status, status, "{:?}", streamed.answer);
        streamed
    }

    /// The next answer, which may be an error of any content type: for programs that make their own error answers.
    #[track_caller]
    pub fn answer_of_any_type(&mut self) -> Answer {
        self.read_answer(false).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Reads up to `most` bytes, whatever they are; fewer at the end of the connection.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        let mut taken = vec![0; most];
        let mut length = 0;
        while length < most {
            let read = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(&mut taken[length..]),
                Stream::Unix(stream) => stream.read(&mut taken[length..]),
            };
            match read {
                Ok(0) | Err(_) => break,
                Ok(count) => length += count,
            }
        }
        taken.truncate(length);
        taken
    }

    /// The answer that begins with bytes taken before.
    #[track_caller]
    pub fn answer_after(&mut self, taken: Vec<u8>) -> Answer {
        self.put_back(taken);
        self.answer()
    }

    /// Gives back bytes that were taken, to be read again.
    pub fn put_back(&mut self, taken: Vec<u8>) {
        self.unread.splice(0..0, taken);
    }

    /// Are there unread bytes? Does not wait.
    pub fn has_more(&mut self) -> bool {
        self.take_what_came();
        !self.unread.is_empty()
    }

    /// Waits until bytes arrive or the server closes. True for the latter.
    pub fn is_at_end(&mut self) -> Result<bool, String> {
        while self.unread.is_empty() && !self.ended {
            match self.receive() {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err("neither an answer nor the end of the connection came in time".to_owned());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(self.unread.is_empty())
    }

    /// Expects the server to close without sending anything more.
    pub fn try_end(&mut self) -> Result<(), String> {
        self.read_end(false)
    }

    /// The same, but a reset is accepted too: for clients that keep sending after they announced not to.
    pub fn try_end_or_reset(&mut self) -> Result<(), String> {
        self.read_end(true)
    }

    fn read_end(&mut self, or_reset: bool) -> Result<(), String> {
        let what = "the end of the connection";
        while !self.ended {
            match self.receive() {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(format!("nothing came in time where {what} was expected"));
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset && or_reset => self.ended = true,
                Err(error) => return Err(format!("{error} where {what} was expected")),
            }
            if !self.unread.is_empty() {
                break;
            }
        }
        if self.unread.is_empty() { Ok(()) } else { Err(format!("more came where {what} was expected: \"{}\"", shown(&self.unread))) }
    }

    #[track_caller]
    pub fn expect_end(&mut self) {
        self.try_end().unwrap_or_else(|why| panic!("{why}"));
    }

    /// Reads to the end of the connection and discards everything.
    pub fn read_and_forget(&mut self) -> io::Result<()> {
        while self.receive()? {
            self.unread.clear();
        }
        Ok(())
    }

    /// Returns all bytes until the server closes or resets the connection.
    pub fn read_until_gone(&mut self) -> Result<Vec<u8>, String> {
        loop {
            match if self.ended { Ok(false) } else { self.receive() } {
                Ok(true) => {}
                Ok(false) => return Ok(std::mem::take(&mut self.unread)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err("the connection stays open".to_owned());
                }
                Err(_) => return Ok(std::mem::take(&mut self.unread)),
            }
        }
    }
}

/// How the end of a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
    /// By the end of the connection.
    Close,
}

/// An answer that may be written piece by piece.
#[derive(Debug)]
pub struct Streamed {
    pub answer: Answer,
    pub framing: Framing,
}

/// One answer, interim or final.
pub struct Answer {
    pub status: u16,
    pub phrase: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Every rule of RFC 9112 4 and 5 that a sender must keep.
    fn of_head(head: &[u8]) -> Result<Answer, String> {
        let lines = head.strip_suffix(b"\r\n\r\n").ok_or("a head without end")?;
        if lines.iter().enumerate().any(|(at, &byte)| byte == b'\n' && (at == 0 || lines[at - 1] != b'\r')) {
            return Err("a bare LF".to_owned());
        }
        let lines = std::str::from_utf8(lines).map_err(|_| "bytes that are not text")?;
        let mut lines = lines.split("\r\n");
        // RFC 9112 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
        let rest = lines.next().unwrap_or_default().strip_prefix("HTTP/1.1 ").ok_or("no status line of HTTP/1.1")?;
        let (code, phrase) = rest.split_once(' ').ok_or("no space after the status")?;
        if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_digit()) || !(b'1'..=b'5').contains(&code.as_bytes()[0]) {
            return Err(format!("the status {code:?}"));
        }
        if phrase.bytes().any(|byte| byte.is_ascii_control()) {
            return Err("a control character in the phrase".to_owned());
        }
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("the line {line:?} without colon"))?;
            if name.is_empty() || !name.bytes().all(is_token_byte) {
                return Err(format!("the field name {name:?}"));
            }
            let value = value.trim_matches([' ', '\t']);
            if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
                return Err(format!("a control character in {name}"));
            }
            fields.push((name.to_owned(), value.to_owned()));
        }
        Ok(Answer { status: code.parse().expect("three digits"), phrase: phrase.to_owned(), fields, body: Vec::new() })
    }

    /// How many bytes follow the head of an answer that is sent whole; checks fields required in every answer of an origin server.
    fn body_length(&self, to_head: bool) -> Result<usize, String> {
        match self.framing()? {
            Framing::Length(length) => Ok(if to_head { 0 } else { length }),
            Framing::Chunked => Err("a Transfer-Encoding nobody asked for".to_owned()),
            Framing::Close => Err("no Content-Length".to_owned()),
        }
    }

    /// How the end of the body is delimited; checks fields required in every answer of an origin server.
    fn framing(&self) -> Result<Framing, String> {
        let lengths = self.all("content-length");
        let codings = self.all("transfer-encoding");
        // RFC 9112 6.2: "A sender MUST NOT send a Content-Length header field in any message that contains a Transfer-Encoding".
        if !codings.is_empty() && (codings != ["chunked"] || !lengths.is_empty()) {
            return Err(format!("Transfer-Encoding {codings:?} with Content-Length {lengths:?}"));
        }
        if self.status < 200 || self.status == 204 {
            // RFC 9110 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx
            // (Informational) or 204 (No Content)." RFC 9112 6.1 has the same for Transfer-Encoding.
            let framed = !lengths.is_empty() || !codings.is_empty();
            return if framed { Err(format!("a framed body in a {}", self.status)) } else { Ok(Framing::Length(0)) };
        }
        self.check_date()?;
        if self.status == 304 {
            return Ok(Framing::Length(0));
        }
        if !codings.is_empty() {
            return Ok(Framing::Chunked);
        }
        let length = match lengths[..] {
            [] => return Ok(Framing::Close),
            [length] => length,
            _ => return Err(format!("{} Content-Length fields", lengths.len())),
        };
        if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("the Content-Length {length:?}"));
        }
        let length = length.parse().map_err(|_| format!("the Content-Length {length:?}"))?;
        Ok(Framing::Length(length))
    }

    /// RFC 9110 6.6.1: an origin server with a clock "MUST generate a Date header field" in 2xx, 3xx and 4xx answers.
    fn check_date(&self) -> Result<(), String> {
        let dates = self.all("date");
        let [date] = dates[..] else { return Err(format!("{} Date fields", dates.len())) };
        let time = httpdate::parse_http_date(date).map_err(|_| format!("the date {date:?}"))?;
        if date.len() != "Sun, 06 Nov 1994 08:49:37 GMT".len() || !date.ends_with(" GMT") {
            return Err(format!("the date {date:?}, which is not an IMF-fixdate"));
        }
        // The answer may have waited to be read, but its date cannot be in the future.
        let age = SystemTime::now().duration_since(time);
        if age.as_ref().map_or_else(|early| early.duration() > Duration::from_secs(1), |age| *age > MOST_AGE) {
            return Err(format!("the date {date:?}, which is not now"));
        }
        Ok(())
    }

    /// Checks that an error's body explains the error, in a human-readable content type.
    fn explains(&self) -> Result<(), String> {
        let kind = self.field("content-type").unwrap_or_default();
        if !kind.starts_with("text/plain") && !kind.starts_with("application/json") && !kind.starts_with("application/problem+json") {
            return Err(format!("an error of the type {kind:?}"));
        }
        let text = std::str::from_utf8(&self.body).map_err(|_| "an error that is not UTF-8")?;
        if text.trim().len() < 4 { Err("an error that explains nothing".to_owned()) } else { Ok(()) }
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value).collect()
    }

    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Is `token` a member of the field's list?
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name).iter().flat_map(|value| value.split(',')).any(|member| member.trim().eq_ignore_ascii_case(token))
    }

    /// Does the server announce that it closes?
    pub fn says_close(&self) -> bool {
        self.lists("connection", "close")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.phrase)?;
        for (name, value) in &self.fields {
            write!(f, "; {name}: {value}")?;
        }
        write!(f, "; \"{}\"", shown(&self.body))
    }
}

/// RFC 9110 5.6.2
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

//! A file as an answer: its validators and type, conditional requests and ranges.

use crate::error::{Error, Kind, Result, Shown};
use crate::http::coding::Coding;
use crate::http::conditions::{self, Conditions, Validators, Verdict};
use crate::http::method::Method;
use crate::http::ranges::{self, Ranges};
use crate::http::{encoder, media_type};
use crate::request::Request;
use crate::response::{FileSlice, Instead, OwnedBytes, Piece};
use crate::text::Text;
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Files up to this size are read into memory and sent together with the head; larger ones are sent with sendfile.
pub(crate) const SMALL: u64 = 64 * 1024;

/// How often reading a small file is tried if it changes while it is read.
const TRIES: usize = 8;

/// A second change within this time may leave the modification time unchanged: file systems' clocks are coarse.
const UNSETTLED_NS: i128 = 2_000_000_000;

/// Identifies one state of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(crate) fn of(stat: &Stat) -> Identity {
        // The fields' types differ between platforms; each fits.
        #[allow(clippy::unnecessary_cast, reason = "not on every machine")]
        Identity {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    /// The opaque part of the tag: equal states have equal tags, in every process. FNV-1a suffices, since nothing is gained by a collision.
    fn tag(&self) -> u64 {
        let words = [
            self.device,
            self.inode,
            self.size,
            self.modified.0 as u64,
            self.modified.1 as u64,
            self.changed.0 as u64,
            self.changed.1 as u64,
        ];
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// Was the last change long enough before `now` that another one would alter the modification time?
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        now - (i128::from(self.modified.0) * 1_000_000_000 + i128::from(self.modified.1)) >= UNSETTLED_NS
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }
}

/// A file's state with its preformatted header fields; shared by the requests for it.
pub(crate) struct Servable {
    content: Content,
    len: u64,
    etag: String,
    /// The field lines of an answer with the whole file: Content-Type, ETag, Last-Modified, Accept-Ranges.
    lines: Vec<u8>,
    /// Copies of the tag and the date, each followed by a NUL.
    texts: [Vec<u8>; 2],
    /// Last-Modified, in seconds and as text.
    modified: Option<(u64, String)>,
    settled: bool,
    /// The media type, ended with a NUL.
    kind: Vec<u8>,
    coding: Coding,
}

enum Content {
    Memory(Vec<u8>),
    File(Arc<File>),
}

impl Servable {
    /// Examines an open file; `name` determines the type. A small file is read into memory, unless it changes while it is read.
    pub(crate) fn load(file: File, identity: &mut Identity, name: &[u8], coding: Coding, now: SystemTime) -> Servable {
        for _ in 0..TRIES {
            if identity.size > SMALL {
                break;
            }
            let bytes = read(&file, 0..identity.size);
            let Ok(stat) = rustix::fs::fstat(&file) else { break };
            let before = std::mem::replace(identity, Identity::of(&stat));
            if let (Ok(bytes), true) = (bytes, before == *identity) {
                return Servable::new(Content::Memory(bytes), identity, name, coding, now);
            }
        }
        Servable::new(Content::File(Arc::new(file)), identity, name, coding, now)
    }

    fn new(content: Content, identity: &Identity, name: &[u8], coding: Coding, now: SystemTime) -> Servable {
        let settled = identity.is_settled(now);
        let weak = if settled { "" } else { "W/" };
        // RFC 9110 8.8.2.1: no date "later than the server's time of message origination".
        let most = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let modified = u64::try_from(identity.modified.0).ok().map(|seconds| seconds.min(most));
        let kind = [type_of_name(name).as_bytes(), b"\0"].concat();
        let etag = format!("{weak}\"{:x}-{:016x}\"", identity.size, identity.tag());
        let modified = modified.and_then(|seconds| Some((seconds, conditions::date(seconds)?)));
        let date = modified.as_ref().map_or("", |(_, text)| text);
        let mut lines = Vec::new();
        encoder::field(b"Content-Type", &kind[..kind.len() - 1], &mut lines);
        encoder::field(b"ETag", etag.as_bytes(), &mut lines);
        if !date.is_empty() {
            encoder::field(b"Last-Modified", date.as_bytes(), &mut lines);
        }
        encoder::field(b"Accept-Ranges", b"bytes", &mut lines);
        let texts = [&*etag, date].map(|text| format!("{text}\0").into_bytes());
        Servable { content, len: identity.size, etag, lines, texts, modified, settled, kind, coding }
    }

    /// The field lines of an answer with the whole file, formatted once.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// One of the headers in those lines.
    pub(crate) fn header(&self, name: &[u8]) -> Option<Text<'_>> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match () {
            () if is(b"etag") => Some(Text::new(&self.texts[0])),
            () if is(b"last-modified") && self.modified.is_some() => Some(Text::new(&self.texts[1])),
            () if is(b"accept-ranges") => Some(Text::new(b"bytes\0")),
            () => None,
        }
    }

    pub(crate) fn etag(&self) -> &[u8] {
        self.etag.as_bytes()
    }

    /// What conditions are judged by.
    pub(crate) fn validators(&self) -> Validators<'_> {
        let modified = self.modified.as_ref().map(|(seconds, _)| *seconds);
        Validators { etag: Some(self.etag()), modified, settled: self.settled }
    }

    pub(crate) fn last_modified(&self) -> Option<&[u8]> {
        self.modified.as_ref().map(|(_, text)| text.as_bytes())
    }

    /// The media type, with a NUL behind it.
    pub(crate) fn kind(&self) -> &[u8] {
        &self.kind
    }

    pub(crate) fn coding(&self) -> Coding {
        self.coding
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.content, Content::Memory(_))
    }

    /// A part of the file, if it is in memory.
    pub(crate) fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        match &self.content {
            Content::Memory(bytes) => Some(&bytes[in_memory(&range)]),
            Content::File(_) => None,
        }
    }

    /// A part of the file, to be sent. `unread`: only the length is needed.
    pub(crate) fn piece(&self, range: Range<u64>, unread: bool) -> io::Result<Piece> {
        match &self.content {
            Content::Memory(bytes) => Ok(Piece::Bytes(Box::new(bytes[in_memory(&range)].to_vec()))),
            Content::File(file) if range.end - range.start <= SMALL && !unread => Ok(Piece::Bytes(Box::new(read(file, range)?))),
            Content::File(file) => Ok(Piece::File(FileSlice { file: Arc::clone(file), offset: range.start, len: range.end - range.start })),
        }
    }
}

/// Converts a range of a file that is in memory.
fn in_memory(range: &Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn read(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; in_memory(&range).len()];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// A part of a file that is in memory, as bytes with their owner.
pub(crate) fn kept(file: Arc<Servable>, range: Range<u64>) -> OwnedBytes {
    Box::new(Kept { file, range })
}

struct Kept {
    file: Arc<Servable>,
    range: Range<u64>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        self.file.bytes(self.range.clone()).unwrap_or_default()
    }
}

/// A file set as an answer, before the request's conditions and ranges are applied.
pub(crate) struct FileAnswer {
    pub(crate) file: Arc<Servable>,
    /// Was the coding chosen among several? If so, Vary is added.
    pub(crate) varies: bool,
    /// The value of Content-Disposition.
    pub(crate) disposition: Option<Vec<u8>>,
}

/// How a request for a file is answered.
pub(crate) enum Share {
    Whole,
    /// 206 with these ranges.
    Ranges(Vec<Range<u64>>),
    /// 304.
    Nothing,
    /// An error instead.
    Instead(Instead),
}

/// Evaluates the conditions and ranges of a request. The validators may differ from the file's.
pub(crate) fn share(file: &Servable, validators: Validators<'_>, request: &Request) -> Share {
    let method = request.known_method();
    if !matches!(method, Method::Get | Method::Head) {
        return Share::Whole;
    }
    let mut conditions = Conditions::default();
    for index in 0..request.header_count() {
        if let Some((name, value)) = request.header_at(index) {
            conditions.note(name.bytes(), value.bytes());
        }
    }
    match conditions.judge(validators) {
        Verdict::NotModified => Share::Nothing,
        Verdict::Failed => {
            let words = "the file does not meet the condition of If-Match or If-Unmodified-Since";
            Share::Instead(Instead { code: 412, why: Error::fixed(Kind::Invalid, words), field: None })
        }
        // RFC 9110 14.2: a server "MUST ignore a Range header field" for methods other than GET.
        Verdict::Ranged if method == Method::Get => match ranges::select(conditions.range().unwrap_or_default(), file.len) {
            Ranges::Whole => Share::Whole,
            Ranges::Parts(parts) => Share::Ranges(parts),
            Ranges::Unsatisfiable => {
                let words = "none of the ranges lies within the file; Content-Range has its length";
                // RFC 9110 15.5.17: it "SHOULD generate a Content-Range header field" with the current length.
                let field = Some((&b"Content-Range"[..], format!("bytes */{}", file.len)));
                Share::Instead(Instead { code: 416, why: Error::fixed(Kind::Invalid, words), field })
            }
        },
        Verdict::Ranged | Verdict::Whole => Share::Whole,
    }
}

/// RFC 9110 14.4: `first-pos "-" last-pos "/" complete-length`.
pub(crate) fn content_range(range: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", range.start, range.end - 1)
}

/// RFC 9110 14.6: several ranges as parts, and the boundary between them. `kind` is without NUL.
pub(crate) fn parts(file: &Servable, kind: &[u8], ranges: &[Range<u64>]) -> io::Result<(Vec<Piece>, String)> {
    // Each RandomState has its own random keys, so that no file can contain the boundary on purpose.
    let random = || RandomState::new().build_hasher().finish();
    let boundary = format!("{:016x}{:016x}", random(), random());
    let mut pieces = Vec::with_capacity(2 * ranges.len() + 1);
    for (number, range) in ranges.iter().enumerate() {
        let line_end = if number == 0 { "" } else { "\r\n" };
        let mut head = format!("{line_end}--{boundary}\r\nContent-Type: ").into_bytes();
        head.extend_from_slice(kind);
        head.extend_from_slice(format!("\r\nContent-Range: {}\r\n\r\n", content_range(range, file.len)).as_bytes());
        pieces.push(Piece::Bytes(Box::new(head)));
        pieces.push(file.piece(range.clone(), false)?);
    }
    pieces.push(Piece::Bytes(Box::new(format!("\r\n--{boundary}--\r\n"))));
    Ok((pieces, boundary))
}

/// Opens a file at a path given by the program.
pub(crate) fn open(path: &Path, name: &[u8]) -> Result<Servable> {
    let shown = path.as_os_str().as_bytes();
    let failed = |error: rustix::io::Errno| {
        let kind = if error == rustix::io::Errno::NOENT { Kind::NotFound } else { Kind::Io };
        Error::new(kind, format!("file \"{}\": {}", Shown(shown), io::Error::from(error)))
    };
    // Opening a FIFO or a device must not hang the thread, and must not acquire a controlling terminal.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&opened).map_err(failed)?;
    if !is_regular(&stat) {
        return Err(Error::invalid(format!("file \"{}\" is a directory or a device; only regular files are sent", Shown(shown))));
    }
    Ok(Servable::load(File::from(opened), &mut Identity::of(&stat), name, Coding::Identity, SystemTime::now()))
}

pub(crate) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

pub(crate) fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// The last component of a path.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'/').next().unwrap_or(path)
}

/// The extension of a name, without its dot; empty where there is none.
pub(crate) fn extension(name: &[u8]) -> &[u8] {
    let name = base_name(name);
    match name.iter().rposition(|&b| b == b'.') {
        Some(dot) if dot > 0 => &name[dot + 1..],
        _ => &[],
    }
}

fn type_of_name(name: &[u8]) -> &'static str {
    media_type::of_extension(extension(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn identity(modified: i64) -> Identity {
        Identity { device: 1, inode: 2, size: 255, modified: (modified, 5), changed: (0, 0) }
    }

    fn served(modified: i64, now: u64) -> Servable {
        let now = UNIX_EPOCH + Duration::from_secs(now);
        Servable::new(Content::Memory(vec![0; 255]), &identity(modified), b"a.txt", Coding::Identity, now)
    }

    #[test]
    fn a_tag_is_weak_while_another_change_could_go_unseen() {
        assert!(served(1000, 1001).etag.starts_with("W/\"ff-"));
        assert!(served(1000, 1002).etag.starts_with("W/\"ff-"), "the nanoseconds count");
        assert!(served(1000, 1003).etag.starts_with("\"ff-"));
        assert!(served(2000, 1000).etag.starts_with("W/\"ff-"), "of the future");
        assert_eq!(served(1000, 1001).etag[2..], served(1000, 1003).etag);
    }

    #[test]
    fn every_part_of_a_state_changes_its_tag() {
        let base = identity(1000);
        let others = [
            Identity { device: 7, ..base },
            Identity { inode: 7, ..base },
            Identity { size: 7, ..base },
            Identity { modified: (7, 5), ..base },
            Identity { modified: (1000, 7), ..base },
            Identity { changed: (7, 0), ..base },
            Identity { changed: (0, 7), ..base },
        ];
        for other in others {
            assert_ne!(base.tag(), other.tag(), "{other:?}");
        }
        assert_eq!(base.tag(), identity(1000).tag());
    }

    #[test]
    fn last_modified_is_never_of_the_future_nor_before_1970() {
        assert_eq!(served(1000, 2000).last_modified(), Some(&b"Thu, 01 Jan 1970 00:16:40 GMT"[..]));
        assert_eq!(served(3000, 2000).last_modified(), Some(&b"Thu, 01 Jan 1970 00:33:20 GMT"[..]));
        assert_eq!(served(-1, 2000).last_modified(), None);
        assert_eq!(served(i64::MAX, u64::from(u32::MAX)).modified.unwrap().0, u64::from(u32::MAX));
    }

    #[test]
    fn types_by_name() {
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a/b.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.tar.gz", "application/gzip"),
            ("a.wasm", "application/wasm"),
            ("a.woff2", "font/woff2"),
            ("Makefile", "application/octet-stream"),
            ("a.b/c", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("a.\u{fc}", "application/octet-stream"),
        ] {
            assert_eq!(type_of_name(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn parts_have_heads_and_boundaries() {
        let file = served(1000, 2000);
        let (pieces, boundary) = parts(&file, b"text/plain", &[0..2, 250..255]).unwrap();
        let bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| if let Piece::Bytes(bytes) = piece { (**bytes).as_ref().to_vec() } else { panic!("no file") })
            .collect();
        let expected = format!(
            "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/255\r\n\r\n\0\0\r\n\
             --{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 250-254/255\r\n\r\n\0\0\0\0\0\r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}

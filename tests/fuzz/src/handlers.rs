//! What the handlers of the fuzzed server say, each with what it must have said by a plain reading.

use crate::digest::Digest;
use crate::forms::{self, Part};
use hasty::http::multipart::Limits;
use hasty::http::pairs::Pairs;
use hasty::{Kind, Request, Response, Result};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// Forms of more bytes are read while they come, and their large files put aside.
pub const SPOOL_BYTES: usize = 256;
pub const MAX_PARTS: usize = 6;

/// What is known of a request whose body came whole.
pub struct Whole<'a> {
    pub method: &'a str,
    pub content_type: &'a [u8],
    pub body: &'a [u8],
}

/// What the form of a request is.
enum Form {
    /// The body is none, or of another kind.
    Other,
    Parts(Vec<Part>),
    Broken,
}

/// Says what it was asked, and reads everything on the way; but it does not ask whether a form could be read.
pub fn look(request: &Request, response: &mut Response) -> Result<()> {
    let _ = (request.id(), request.path(), request.remote_address(), request.header(b"host"), request.param(b"*"));
    let _ = (request.query(), request.cookies(), request.form(), request.files(), request.json());
    let words = format!("{} {}", request.method().to_str(), request.body().bytes().len());
    response.send_text(words.as_bytes())
}

/// What `look` says; nothing where its answer is replaced by an error.
pub fn look_words(whole: &Whole<'_>) -> Vec<String> {
    // A form that was read while it came is no body.
    let here = if is_large(whole) { 0 } else { whole.body.len() };
    match whole.form() {
        Form::Broken => Vec::new(),
        _ => vec![format!("{} {here}", whole.method)],
    }
}

/// Says what is in a form, or that it cannot be read.
pub fn form(request: &Request, response: &mut Response) -> Result<()> {
    let status = request.form_status();
    let (fields, files) = (request.form(), request.files());
    if let Err(error) = status {
        let nothing = fields.is_empty() && files.is_empty();
        let words = match error.kind() {
            Kind::Invalid if nothing => "INVALID",
            Kind::Limit if nothing => "LIMIT",
            _ => return Err(error),
        };
        return response.send_text(words.as_bytes());
    }
    let mut told = FormDigest::new(fields);
    for file in files {
        let (content, spooled) = match (file.data(), file.path()) {
            (Some(data), None) => (data.bytes().to_vec(), false),
            (None, Some(path)) => (fs::read(OsStr::from_bytes(path.to_bytes())).unwrap_or_default(), true),
            _ => (b"in two places, or in none".to_vec(), false),
        };
        told.file(
            &file.name(),
            &file.filename(),
            file.content_type().as_deref(),
            &content,
            spooled && file.length() == content.len() as u64,
        );
    }
    response.send_text(told.words(&request.method().to_str()).as_bytes())
}

/// What `form` may say; nothing where it is not asked.
pub fn form_words(whole: &Whole<'_>) -> Vec<String> {
    let parts = match whole.form() {
        Form::Broken if is_large(whole) => return Vec::new(),
        Form::Broken => return vec!["INVALID".to_owned(), "LIMIT".to_owned()],
        Form::Other => {
            let mut fields = Pairs::default();
            let kind = whole.content_type.split(|&b| b == b';').next().unwrap_or_default();
            if kind.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
                fields.query(whole.body);
            }
            return vec![FormDigest::new(&fields).words(whole.method)];
        }
        Form::Parts(parts) => parts,
    };
    let mut fields = Pairs::default();
    parts.iter().filter(|part| part.filename.is_none()).for_each(|part| fields.push(&part.name, &part.data));
    let mut told = FormDigest::new(&fields);
    let mut kept = 0;
    for part in &parts {
        let Some(filename) = part.filename.as_deref().filter(|name| !name.is_empty() || !part.data.is_empty()) else { continue };
        // Small forms stay in memory as a whole; of large ones each file does for which there is room.
        let spooled = kept + part.data.len() > SPOOL_BYTES;
        kept += if spooled { 0 } else { part.data.len() };
        told.file(&part.name, filename, part.content_type.as_deref(), &part.data, spooled);
    }
    vec![told.words(whole.method)]
}

/// Reads the body itself, `piece` bytes at a time: as many as the query says, or all.
pub fn read(piece: usize, request: &Request, response: &mut Response) -> Result<()> {
    let query = request.query_string();
    let wanted = read_wanted(query.as_deref());
    let mut body = Vec::new();
    let mut buffer = vec![0; piece];
    while body.len() < wanted {
        let most = piece.min(wanted - body.len());
        let count = request.read(&mut buffer[..most])?;
        if count == 0 {
            break;
        }
        body.extend_from_slice(&buffer[..count]);
    }
    response.send_text(read_words(&request.method().to_str(), &body).as_bytes())
}

/// How many bytes `read` reads.
pub fn read_wanted(query: Option<&[u8]>) -> usize {
    query.and_then(|query| std::str::from_utf8(query).ok()?.parse().ok()).unwrap_or(usize::MAX)
}

/// What `read` says of what it has read.
pub fn read_words(method: &str, body: &[u8]) -> String {
    format!("{method} {} {:016x}", body.len(), Digest::of(body))
}

/// Is it a form that is not kept whole?
pub fn is_large(whole: &Whole<'_>) -> bool {
    forms::is_form(whole.content_type) && whole.body.len() > SPOOL_BYTES
}

/// Is it a form that can be read, or one that cannot?
pub fn is_good_form(whole: &Whole<'_>) -> Option<bool> {
    match whole.form() {
        Form::Other => None,
        Form::Parts(_) => Some(true),
        Form::Broken => Some(false),
    }
}

impl Whole<'_> {
    fn form(&self) -> Form {
        match forms::boundary(self.content_type) {
            Some(None) => Form::Other,
            None => Form::Broken,
            Some(Some(boundary)) => {
                let limits = Limits { parts: MAX_PARTS, ..Limits::default() };
                let parts = forms::read(&boundary, self.body, &limits).filter(|parts| {
                    let fields = parts.iter().filter(|part| part.filename.is_none());
                    fields.map(|part| part.name.len() + part.data.len()).sum::<usize>() <= SPOOL_BYTES
                });
                parts.map_or(Form::Broken, Form::Parts)
            }
        }
    }
}

/// A form in few words.
struct FormDigest {
    digest: Digest,
    fields: usize,
    files: usize,
    spooled: usize,
}

impl FormDigest {
    fn new(fields: &Pairs) -> FormDigest {
        let mut digest = Digest::default();
        for at in 0..fields.len() {
            digest.text(fields.name(at).unwrap_or_default());
            digest.text(fields.value(at).unwrap_or_default());
        }
        FormDigest { digest, fields: fields.len(), files: 0, spooled: 0 }
    }

    fn file(&mut self, name: &[u8], filename: &[u8], content_type: Option<&[u8]>, content: &[u8], spooled: bool) {
        for text in [name, filename, content_type.unwrap_or(b"\0"), content] {
            self.digest.text(text);
        }
        self.files += 1;
        self.spooled += usize::from(spooled);
    }

    fn words(&self, method: &str) -> String {
        let FormDigest { digest, fields, files, spooled } = self;
        format!("{method} {fields} fields, {files} files, {spooled} of them put aside, {:016x}", digest.0)
    }
}

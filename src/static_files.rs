//! Serves a folder of files: maps names to files, and files to answers.

mod listing;
mod memory;
mod root;

pub(crate) use memory::Memory;

use crate::error::{Error, Kind, Result, Shown};
use crate::file::{self, FileAnswer, Identity, SMALL, Servable};
use crate::handler::Handler;
use crate::http::coding::{self, Coding};
use crate::http::headers::is_value;
use crate::http::pairs::percent_decode_into;
use crate::request::Request;
use crate::response::Response;
use listing::Item;
use memory::{Entry, Freshness, Variant};
use root::{Found, Root};
use rustix::io::Errno;
use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How a folder of files is served.
#[derive(Clone, Debug)]
pub struct StaticOptions {
    /// The file that is sent for its folder: "index.html". "" is none.
    pub index: String,
    /// A file below the folder that is sent if the requested one does not exist, for single-page applications.
    pub fallback: Option<String>,
    /// The value of Cache-Control.
    pub cache_control: Option<String>,
    /// Folders without an index file are listed.
    pub list: bool,
    /// Names that begin with a dot are served, too.
    pub dotfiles: bool,
    /// Resolves paths without openat2 even if the kernel has it. For tests.
    #[doc(hidden)]
    pub walk: bool,
}

impl Default for StaticOptions {
    fn default() -> StaticOptions {
        StaticOptions { index: "index.html".to_owned(), fallback: None, cache_control: None, list: false, dotfiles: false, walk: false }
    }
}

/// The codings that a file may have beside it, by suffix; the first is the file itself.
const CODINGS: [(&[u8], Coding); 3] = [(b"", Coding::Identity), (b".br", Coding::Brotli), (b".gz", Coding::Gzip)];

/// A file and its coded variants, as they are sent.
type Choices = [Option<Arc<Servable>>; 3];

/// One folder and the prefix it is served under.
pub(crate) struct StaticFiles {
    root: Root,
    options: StaticOptions,
    memory: Arc<Memory>,
    /// This folder's number in `memory`.
    number: usize,
}

/// The outcome for a path.
enum Outcome {
    Sent,
    /// There is no such file; the fallback may be sent.
    Missing,
    /// The path may not be requested: 404 even if there is a fallback.
    Refused,
    /// The process has no permission to read it.
    Forbidden,
    /// A folder, requested without its slash.
    Folder,
    /// Descriptors or memory have run out.
    Short,
}

impl StaticFiles {
    /// Opens the folder, and checks the options.
    pub(crate) fn new(directory: &Path, options: &StaticOptions, memory: &Arc<Memory>) -> Result<StaticFiles> {
        let shown = |text: &str| Shown(text.as_bytes()).to_string();
        if options.index.contains(['/', '\0']) || matches!(&*options.index, "." | "..") {
            return Err(Error::invalid(format!("index \"{}\" is not the name of a file", shown(&options.index))));
        }
        let mut options = options.clone();
        if let Some(fallback) = &mut options.fallback {
            let path = fallback.trim_start_matches('/');
            if path.contains('\0') || path.split('/').any(|name| matches!(name, "" | "." | "..")) {
                return Err(Error::invalid(format!("fallback \"{}\" is not the path of a file below the folder", shown(fallback))));
            }
            *fallback = path.to_owned();
        }
        if let Some(value) = options.cache_control.as_ref().filter(|value| !is_value(value.as_bytes())) {
            return Err(Error::invalid(format!("cache_control \"{}\": a value must not hold control characters", shown(value))));
        }
        // Made absolute, so that a later change of the working directory does not matter.
        let opened = std::path::absolute(directory).and_then(|path| Root::new(path, options.walk));
        let root = opened.map_err(|error| Error::io(format_args!("directory \"{}\"", Shown(directory.as_os_str().as_bytes())), &error))?;
        options.fallback.as_deref().map_or(Ok(()), |fallback| check_fallback(&root, fallback))?;
        Ok(StaticFiles { root, options, memory: Arc::clone(memory), number: memory.add_folder() })
    }

    fn answer(&self, raw: &[u8], request: &Request, response: &mut Response) -> Result<()> {
        let outcome = match self.path_of(raw) {
            Some(path) => self.send(&path, request, response)?,
            None => Outcome::Refused,
        };
        let outcome = match (outcome, &self.options.fallback) {
            (Outcome::Missing, Some(fallback)) => self.send(fallback.as_bytes(), request, response)?,
            (outcome, _) => outcome,
        };
        match outcome {
            Outcome::Sent => {}
            Outcome::Folder => redirect_to_folder(request, response)?,
            Outcome::Short => response.refuse_with(503, Error::fixed(Kind::Io, "the server cannot open more files for the moment")),
            Outcome::Forbidden => response.refuse_with(403, Error::fixed(Kind::Io, "the server may not read this file")),
            Outcome::Missing | Outcome::Refused => response.refuse_with(404, Error::fixed(Kind::NotFound, "there is no such file")),
        }
        Ok(())
    }

    /// The decoded path below the folder for the rest of a target; None if it names nothing that may be served.
    fn path_of<'a>(&self, raw: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let mut names = raw.split(|&b| b == b'/').peekable();
        while let Some(name) = names.next() {
            // Only the last name may be empty, since a folder's name ends with a slash.
            if name.is_empty() && names.peek().is_some() {
                return None;
            }
            if name.first() == Some(&b'.') && !self.serves_dot(name) {
                return None;
            }
        }
        if !raw.contains(&b'%') {
            return Some(Cow::Borrowed(raw));
        }
        let mut path = Vec::with_capacity(raw.len());
        for (number, name) in raw.split(|&b| b == b'/').enumerate() {
            if number > 0 {
                path.push(b'/');
            }
            let start = path.len();
            // A file's name holds no slash; and nothing is decoded twice.
            let decoded = percent_decode_into(name, &mut path);
            let name = &path[start..];
            if !decoded || name.contains(&b'/') || name.contains(&0) || (name.first() == Some(&b'.') && !self.serves_dot(name)) {
                return None;
            }
        }
        Some(Cow::Owned(path))
    }

    fn serves_dot(&self, name: &[u8]) -> bool {
        self.options.dotfiles && !matches!(name, b"." | b"..")
    }

    /// Sends the file at a path, if there is one.
    fn send(&self, path: &[u8], request: &Request, response: &mut Response) -> Result<Outcome> {
        let wanted = Wanted::of(request);
        if let Some(entry) = self.remembered(path) {
            if let Some(file) = self.pick(&entry, path, &wanted) {
                return self.give(file, entry.variants[1..].iter().any(Option::is_some), response);
            }
        }
        let found = match self.root.open(&self.file_path(path), self.memory.fresh()) {
            Ok(found) => found,
            Err(error) => return self.without_file(error, path, request, response),
        };
        if file::is_folder(&found.stat) && !names_folder(path) {
            return Ok(Outcome::Folder);
        }
        if !file::is_regular(&found.stat) {
            // The folder itself, if it has no index; or a folder with the name of an index file, which is not one.
            return self.missing(path, request, response);
        }
        let mut choices = self.load(path, found)?;
        let varies = choices[1..].iter().any(Option::is_some);
        match choices[wanted.choose(choices.each_ref().map(Option::is_some))].take() {
            Some(file) => self.give(file, varies, response),
            None => Ok(Outcome::Missing),
        }
    }

    fn give(&self, file: Arc<Servable>, varies: bool, response: &mut Response) -> Result<Outcome> {
        if let Some(value) = &self.options.cache_control {
            response.set_header(b"Cache-Control", value.as_bytes())?;
        }
        response.give_file(FileAnswer { file, varies, disposition: None });
        Ok(Outcome::Sent)
    }

    /// The path of the file that is sent for a path.
    fn file_path<'a>(&self, path: &'a [u8]) -> Cow<'a, [u8]> {
        if names_folder(path) { Cow::Owned([path, self.options.index.as_bytes()].concat()) } else { Cow::Borrowed(path) }
    }

    /// The cache entry of a path, if it still holds.
    fn remembered(&self, path: &[u8]) -> Option<Arc<Entry>> {
        if self.memory.fresh().is_zero() {
            return None;
        }
        let entry = self.memory.get(self.number, path)?;
        match self.memory.freshness(&entry) {
            Freshness::Fresh => Some(entry),
            Freshness::Old => None,
            Freshness::Check => {
                let now = self.memory.now_ms();
                if self.still_holds(&entry, path) {
                    self.memory.confirm(&entry, now);
                    return Some(entry);
                }
                self.memory.forget(self.number, path, &entry);
                None
            }
        }
    }

    /// Checks whether the files of an entry are unchanged.
    fn still_holds(&self, entry: &Entry, path: &[u8]) -> bool {
        let mut name = self.file_path(path).into_owned();
        let len = name.len();
        entry.variants.iter().zip(CODINGS).all(|(variant, (ending, _))| {
            name.truncate(len);
            name.extend_from_slice(ending);
            match (self.root.open(&name, self.memory.fresh()), variant) {
                (Ok(found), Some(variant)) => file::is_regular(&found.stat) && Identity::of(&found.stat) == variant.identity,
                (Ok(found), None) => !file::is_regular(&found.stat),
                (Err(error), None) => is_missing(error),
                (Err(_), Some(_)) => false,
            }
        })
    }

    /// The variant of an entry to send; opened if it is too large to be kept. None if it has gone.
    fn pick(&self, entry: &Entry, path: &[u8], wanted: &Wanted<'_>) -> Option<Arc<Servable>> {
        let place = wanted.choose(entry.variants.each_ref().map(Option::is_some));
        if let Some(kept) = &entry.variants[place].as_ref()?.kept {
            return Some(Arc::clone(kept));
        }
        let name = self.file_path(path);
        let (ending, coding) = CODINGS[place];
        let found = self.root.open(&[&name, ending].concat(), self.memory.fresh()).ok()?;
        let mut identity = Identity::of(&found.stat);
        file::is_regular(&found.stat).then(|| Arc::new(Servable::load(found.file, &mut identity, &name, coding, SystemTime::now())))
    }

    /// Opens a file's variants, and caches those that may be cached.
    fn load(&self, path: &[u8], plain: Found) -> Result<Choices> {
        let now_ms = self.memory.now_ms();
        let now = SystemTime::now();
        let fresh = self.memory.fresh();
        let name = self.file_path(path);
        let is_coded = CODINGS[1..].iter().any(|(ending, _)| name.ends_with(ending));
        let mut found = [Some(plain), None, None];
        for (place, (ending, _)) in CODINGS.iter().enumerate().skip(1).filter(|_| !is_coded) {
            match self.root.open(&[&name, *ending].concat(), fresh) {
                Ok(coded) if file::is_regular(&coded.stat) => found[place] = Some(coded),
                Err(error) if is_shortage(error) => return Err(io_error(error)),
                _ => {}
            }
        }
        let mut keeps = !fresh.is_zero();
        let mut variants = [None, None, None];
        let mut choices: Choices = [None, None, None];
        for (place, found) in found.into_iter().enumerate() {
            let Some(Found { file, stat }) = found else { continue };
            let mut identity = Identity::of(&stat);
            let servable = Arc::new(Servable::load(file, &mut identity, &name, CODINGS[place].1, now));
            let small = identity.size() <= SMALL;
            // A file that could change without a new time-stamp is not cached.
            let kept = small && servable.is_in_memory() && identity.is_settled(now);
            keeps &= kept || !small;
            variants[place] = Some(Variant { identity, kept: kept.then(|| Arc::clone(&servable)) });
            choices[place] = Some(servable);
        }
        if keeps {
            self.memory.put(self.number, path, variants, now_ms);
        }
        Ok(choices)
    }

    /// What to do if a file cannot be opened.
    fn without_file(&self, error: Errno, path: &[u8], request: &Request, response: &mut Response) -> Result<Outcome> {
        match error {
            error if is_missing(error) => self.missing(path, request, response),
            Errno::XDEV => Ok(Outcome::Refused),
            Errno::ACCESS | Errno::PERM => Ok(Outcome::Forbidden),
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Ok(Outcome::Short),
            error => Err(io_error(error)),
        }
    }

    /// There is no file to send for a path; a folder may be listed.
    fn missing(&self, path: &[u8], request: &Request, response: &mut Response) -> Result<Outcome> {
        if names_folder(path) && self.options.list { self.list(path, request, response) } else { Ok(Outcome::Missing) }
    }

    /// Lists a folder: its regular files and folders, and links to such that stay below the root.
    fn list(&self, path: &[u8], request: &Request, response: &mut Response) -> Result<Outcome> {
        let folder_path: &[u8] = if path.is_empty() { b"." } else { path };
        let folder = match self.root.open(folder_path, self.memory.fresh()) {
            Ok(found) if file::is_folder(&found.stat) => found.file,
            Ok(_) => return Ok(Outcome::Missing),
            Err(error) if is_missing(error) => return Ok(Outcome::Missing),
            Err(Errno::XDEV) => return Ok(Outcome::Refused),
            Err(Errno::ACCESS | Errno::PERM) => return Ok(Outcome::Forbidden),
            Err(error) => return Err(io_error(error)),
        };
        let mut items = Vec::new();
        let mut beyond = 0;
        for name in rustix::fs::Dir::read_from(&folder).map_err(io_error)? {
            let name = name.map_err(io_error)?;
            let bytes = name.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") || (bytes.starts_with(b".") && !self.options.dotfiles) {
                continue;
            }
            if items.len() == listing::MOST_NAMES {
                beyond += 1;
                continue;
            }
            let Ok(mut stat) = root::look_at(&folder, name.file_name()) else { continue };
            if !file::is_regular(&stat) && !file::is_folder(&stat) {
                // A link is listed as its target.
                let Ok(found) = self.root.open(&[path, bytes].concat(), self.memory.fresh()) else { continue };
                stat = found.stat;
                if !file::is_regular(&stat) && !file::is_folder(&stat) {
                    continue;
                }
            }
            #[allow(clippy::unnecessary_cast, reason = "not on every machine")]
            items.push(Item {
                name: bytes.to_vec(),
                is_folder: file::is_folder(&stat),
                size: u64::try_from(stat.st_size).unwrap_or(0),
                modified: stat.st_mtime as i64,
            });
        }
        response.send_html(listing::page(&request.path(), !path.is_empty(), items, beyond).as_bytes())?;
        Ok(Outcome::Sent)
    }
}

/// A missing fallback is most likely a typing error, which would otherwise show only when a client requests a page.
fn check_fallback(root: &Root, path: &str) -> Result<()> {
    let shown = Shown(path.as_bytes());
    let found = root.open(path.as_bytes(), Duration::MAX);
    match found.map_err(|error| Error::io(format_args!("fallback \"{shown}\", below the folder"), &std::io::Error::from(error)))? {
        found if file::is_regular(&found.stat) => Ok(()),
        _ => Err(Error::invalid(format!("fallback \"{shown}\" is not a regular file"))),
    }
}

/// What a request wants of codings and ranges.
struct Wanted<'a> {
    accept: Cow<'a, [u8]>,
    /// Ranges apply to the plain file, since clients that request them have a part of it.
    ranged: bool,
}

impl<'a> Wanted<'a> {
    fn of(request: &'a Request) -> Wanted<'a> {
        let mut wanted = Wanted { accept: Cow::Borrowed(b""), ranged: false };
        for index in 0..request.header_count() {
            let Some((name, value)) = request.header_at(index) else { continue };
            match name.len() {
                5 if name.eq_ignore_ascii_case(b"range") => wanted.ranged = true,
                15 if name.eq_ignore_ascii_case(b"accept-encoding") => {
                    wanted.accept = if wanted.accept.is_empty() {
                        Cow::Borrowed(value.bytes())
                    } else {
                        Cow::Owned([&wanted.accept, &b","[..], &value].concat())
                    };
                }
                _ => {}
            }
        }
        wanted
    }

    /// The index in `CODINGS` of the variant to send.
    fn choose(&self, there: [bool; 3]) -> usize {
        if self.ranged || self.accept.is_empty() || !(there[1] || there[2]) {
            return 0;
        }
        match coding::choose(&self.accept, there[2], there[1]) {
            Coding::Identity => 0,
            Coding::Brotli => 1,
            Coding::Gzip => 2,
        }
    }
}

/// Does a path below the folder name a folder?
fn names_folder(path: &[u8]) -> bool {
    path.is_empty() || path.ends_with(b"/")
}

/// Does the error mean that there is no such file?
fn is_missing(error: Errno) -> bool {
    // A socket cannot be opened, nor can some devices: NXIO, NODEV.
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL | Errno::NXIO | Errno::NODEV)
}

/// Does the error mean that the process has run out of a resource?
fn is_shortage(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

fn io_error(error: Errno) -> Error {
    Error::io("open a file", &std::io::Error::from(error))
}

/// Redirects to the same path with a slash, and the same query. RFC 9110 10.2.2 permits a location relative to the target.
fn redirect_to_folder(request: &Request, response: &mut Response) -> Result<()> {
    let path = request.raw_path();
    // A single slash at the start, since two would begin a host name.
    let start = path.iter().position(|&b| b != b'/').unwrap_or(path.len());
    let mut location = [b"/", &path[start..], b"/"].concat();
    if let Some(query) = request.query_string() {
        location.push(b'?');
        location.extend_from_slice(&query);
    }
    response.send_redirect(301, &location)
}

/// The route of a folder: for its prefix alone, or for everything below.
pub(crate) struct Mount {
    pub(crate) files: Arc<StaticFiles>,
    /// Does its pattern end with `*`?
    pub(crate) below: bool,
}

impl Handler for Mount {
    fn handle(&self, request: &Request, response: &mut Response) -> Result<()> {
        if self.below { self.files.answer(request.raw_rest(), request, response) } else { redirect_to_folder(request, response) }
    }
}

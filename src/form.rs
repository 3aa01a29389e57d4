//! Parses bodies of multipart/form-data into fields, and files in memory or in temporary files.

use crate::error::{Error, Kind, Result, Shown};
use crate::http::multipart::{Event, Limits, Multipart, Part, Refusal, boundary_of};
use crate::http::pairs::Pairs;
use crate::text::Text;
use std::ffi::{CStr, CString};
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};

/// The limit for the names and types of all files of a form: 260 bytes for each of 1000.
const FILE_TEXT_BYTES: usize = 256 * 1024;

/// Data that arrives in small pieces is buffered before it is written.
const WRITE_BYTES: usize = 8 * 1024;

/// The usual mode for open(2), before the umask.
const USUAL_MODE: u32 = 0o666;

/// How much of a form is kept in memory, and where the rest is stored.
#[derive(Clone, Debug)]
pub(crate) struct FormRules {
    /// The limit for all fields together, and for all files in memory; further files are written to the disk.
    pub(crate) spool_bytes: usize,
    /// The folder for temporary files; None is the system's.
    pub(crate) spool_directory: Option<PathBuf>,
    /// Fields and files together.
    pub(crate) max_parts: usize,
}

/// A complete form.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// The parts that are not files, in order, including those with equal names.
    pub(crate) fields: Pairs,
    /// The parts that are files, in order.
    pub(crate) files: Vec<FilePart>,
    /// The size of the fields.
    field_bytes: usize,
}

/// One file of a form.
#[derive(Debug)]
pub struct FilePart {
    /// Each ends with a NUL.
    name: Vec<u8>,
    filename: Vec<u8>,
    content_type: Option<Vec<u8>>,
    content: Content,
    length: u64,
}

#[derive(Debug)]
enum Content {
    /// With a NUL behind it.
    Memory(Vec<u8>),
    /// In a temporary file, with its path for C. It is not kept open, since a form may have more files than a process may have descriptors.
    Spooled(Spool, CString),
}

/// A temporary file that is removed when this is dropped, except in a forked child.
#[derive(Debug)]
struct Spool {
    path: TempPath,
    process: u32,
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            self.path.disable_cleanup(true);
        }
    }
}

/// Parses a form from a body that arrives in pieces.
#[derive(Debug)]
pub(crate) struct FormReader {
    multipart: Multipart,
    builder: Builder,
}

#[derive(Debug)]
struct Builder {
    rules: FormRules,
    form: Form,
    open: Open,
    /// The open field's name and value, concatenated.
    text: Vec<u8>,
    /// The size of the names and values of all fields.
    text_bytes: usize,
    /// The size of the names and types of all files.
    file_text_bytes: usize,
    /// The size of the contents of all files in memory.
    kept_bytes: usize,
}

/// The part that is being received.
#[derive(Debug)]
enum Open {
    Nothing,
    Field { name_len: usize },
    File(OpenFile),
}

#[derive(Debug)]
struct OpenFile {
    name: Vec<u8>,
    filename: Vec<u8>,
    content_type: Option<Vec<u8>>,
    target: Target,
    length: u64,
}

#[derive(Debug)]
enum Target {
    Memory(Vec<u8>),
    Spool(BufWriter<NamedTempFile>),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        let (status, words) = refusal.explain();
        Error::fixed(if status == 413 { Kind::Limit } else { Kind::Invalid }, words)
    }
}

impl FormReader {
    /// A reader for a body of this type; None if that is not multipart/form-data.
    ///
    /// Errors: `Invalid` if the type has no valid boundary.
    pub(crate) fn new(content_type: &[u8], rules: &FormRules) -> Result<Option<FormReader>> {
        let Some(boundary) = boundary_of(content_type)? else { return Ok(None) };
        let multipart = Multipart::new(boundary, Limits { parts: rules.max_parts, ..Limits::default() })?;
        let builder = Builder {
            rules: rules.clone(),
            form: Form::default(),
            open: Open::Nothing,
            text: Vec::new(),
            text_bytes: 0,
            file_text_bytes: 0,
            kept_bytes: 0,
        };
        Ok(Some(FormReader { multipart, builder }))
    }

    /// Parses the next bytes of the body. May write to the disk. After an error the reader must be dropped.
    ///
    /// Errors: `Invalid` if the body is malformed, `Limit` if it exceeds a limit, `Io` if a temporary file cannot be written.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let builder = &mut self.builder;
        self.multipart.feed(bytes, &mut |event| builder.take(event))
    }

    /// The form, after the whole body was fed.
    ///
    /// Errors: `Invalid` if the body is incomplete.
    pub(crate) fn finish(self) -> Result<Form> {
        self.multipart.finish()?;
        Ok(self.builder.form)
    }

    /// How much memory it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        let builder = &self.builder;
        let open = match &builder.open {
            Open::Nothing | Open::Field { .. } => 0,
            Open::File(file) => {
                let content = match &file.target {
                    Target::Memory(bytes) => bytes.capacity(),
                    Target::Spool(_) => WRITE_BYTES,
                };
                content + text_bytes(&file.name, &file.filename, file.content_type.as_deref())
            }
        };
        self.multipart.memory_bytes() + builder.form.memory_bytes() + builder.text.capacity() + open
    }
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::Begin(part) => self.begin(&part),
            Event::Data(data) => self.data(data),
            Event::End => self.end(),
        }
    }

    fn begin(&mut self, part: &Part<'_>) -> Result<()> {
        let Some(filename) = part.filename else {
            self.text.clear();
            self.open = Open::Field { name_len: part.name.len() };
            return self.field_text(part.name);
        };
        self.file_text_bytes += text_bytes(part.name, filename, part.content_type);
        if self.file_text_bytes > FILE_TEXT_BYTES {
            return Err(Error::fixed(Kind::Limit, "the names and types of the form's files are too long"));
        }
        self.open = Open::File(OpenFile {
            name: with_nul(part.name),
            filename: with_nul(filename),
            content_type: part.content_type.map(with_nul),
            target: Target::Memory(Vec::new()),
            length: 0,
        });
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<()> {
        let Open::File(file) = &mut self.open else { return self.field_text(data) };
        file.length += data.len() as u64;
        match &mut file.target {
            Target::Memory(bytes) if data.len() <= self.rules.spool_bytes - self.kept_bytes => {
                self.kept_bytes += data.len();
                bytes.extend_from_slice(data);
                return Ok(());
            }
            Target::Memory(bytes) => {
                let mut spool = self.rules.spool()?;
                self.rules.written(spool.write_all(bytes))?;
                self.kept_bytes -= bytes.len();
                file.target = Target::Spool(spool);
            }
            Target::Spool(_) => {}
        }
        if let Target::Spool(spool) = &mut file.target {
            self.rules.written(spool.write_all(data))?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Field { name_len } => {
                let (name, value) = self.text.split_at(name_len);
                self.form.push_field(name, value);
            }
            // Browsers send this for an input in which no file was chosen.
            Open::File(file) if file.length == 0 && file.filename == b"\0" => {}
            Open::File(OpenFile { name, filename, content_type, target, length }) => {
                let content = match target {
                    Target::Memory(mut bytes) => {
                        bytes.reserve_exact(1);
                        bytes.push(0);
                        Content::Memory(bytes)
                    }
                    Target::Spool(spool) => self.rules.spooled(spool)?,
                };
                self.form.files.push(FilePart { name, filename, content_type, content, length });
            }
        }
        Ok(())
    }

    /// Adds to the open field: its name, or the next piece of its value.
    fn field_text(&mut self, text: &[u8]) -> Result<()> {
        if text.len() > self.rules.spool_bytes - self.text_bytes {
            return Err(Error::fixed(Kind::Limit, "the form's fields are longer than spool_bytes allows"));
        }
        self.text_bytes += text.len();
        self.text.extend_from_slice(text);
        Ok(())
    }
}

impl FormRules {
    /// Creates a temporary file that only this user can read.
    fn spool(&self) -> Result<BufWriter<NamedTempFile>> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("hasty-");
        let file = match &self.spool_directory {
            Some(directory) => builder.tempfile_in(directory),
            None => builder.tempfile(),
        };
        Ok(BufWriter::with_capacity(WRITE_BYTES, self.written(file)?))
    }

    fn spooled(&self, spool: BufWriter<NamedTempFile>) -> Result<Content> {
        let file = self.written(spool.into_inner().map_err(io::IntoInnerError::into_error))?;
        let path = file.into_temp_path();
        let text = self.written(CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from))?;
        Ok(Content::Spooled(Spool { path, process: std::process::id() }, text))
    }

    fn written<T>(&self, outcome: io::Result<T>) -> Result<T> {
        outcome.map_err(|error| {
            let directory = self.spool_directory.clone().unwrap_or_else(std::env::temp_dir);
            Error::io(format_args!("write an uploaded file to \"{}\"", Shown(directory.as_os_str().as_bytes())), &error)
        })
    }
}

impl Form {
    fn push_field(&mut self, name: &[u8], value: &[u8]) {
        self.fields.push(name, value);
        // `Pairs` needs two NULs and two offsets for each.
        self.field_bytes += name.len() + value.len() + 10;
    }

    /// How much memory it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        let beyond: usize = self.files.iter().map(FilePart::memory_bytes).sum();
        self.field_bytes + self.files.capacity() * size_of::<FilePart>() + beyond
    }
}

impl FilePart {
    /// The name of the form's field.
    pub fn name(&self) -> Text<'_> {
        Text::new(&self.name)
    }

    /// The file's name as the client gave it. Never use it as a path to write to.
    pub fn filename(&self) -> Text<'_> {
        Text::new(&self.filename)
    }

    /// The type that the client gave, if it did.
    pub fn content_type(&self) -> Option<Text<'_>> {
        self.content_type.as_deref().map(Text::new)
    }

    /// The content; None if it is in a file.
    pub fn data(&self) -> Option<Text<'_>> {
        match &self.content {
            Content::Memory(bytes) => Some(Text::new(bytes)),
            Content::Spooled(..) => None,
        }
    }

    /// The path of the file with the content, valid while this lives; None if the content is in memory.
    pub fn path(&self) -> Option<&CStr> {
        match &self.content {
            Content::Memory(_) => None,
            Content::Spooled(_, path) => Some(path),
        }
    }

    /// The content's length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes a copy of the content to `path`, which is replaced in one step, or left alone if that fails.
    ///
    /// The copy has the permissions of any new file, those that the umask leaves. A symbolic link is replaced, not followed.
    ///
    /// Errors: `Invalid` if the path names no file, or something other than a file is there; `Io` with the system's message.
    pub fn save(&self, path: &Path) -> Result<()> {
        let shown = || Shown(path.as_os_str().as_bytes()).to_string();
        if path.file_name().is_none() || path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(Error::invalid(format!("\"{}\" is not the path of a file", shown())));
        }
        // A device or a socket would be replaced like a file.
        if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file() && !there.is_symlink()) {
            return Err(Error::invalid(format!("\"{}\" is there, and is not a file", shown())));
        }
        self.write_beside(path).map_err(|error| Error::io(format_args!("save an uploaded file as \"{}\"", shown()), &error))
    }

    /// Writes to a new file in the same folder, then renames it.
    fn write_beside(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".hasty-").permissions(Permissions::from_mode(USUAL_MODE));
        let mut copy = builder.tempfile_in(directory)?;
        match &self.content {
            Content::Memory(bytes) => copy.write_all(&bytes[..bytes.len() - 1])?,
            // From file to file, so that the kernel copies, or shares blocks.
            Content::Spooled(spool, _) => drop(io::copy(&mut File::open(&spool.path)?, copy.as_file_mut())?),
        }
        copy.persist(path).map(drop).map_err(|failed| failed.error)
    }

    /// The size of its memory, without the struct itself.
    fn memory_bytes(&self) -> usize {
        let content = match &self.content {
            Content::Memory(bytes) => bytes.capacity(),
            Content::Spooled(spool, text) => spool.path.as_os_str().len() + text.as_bytes().len(),
        };
        content + text_bytes(&self.name, &self.filename, self.content_type.as_deref())
    }
}

fn text_bytes(name: &[u8], filename: &[u8], content_type: Option<&[u8]>) -> usize {
    name.len() + filename.len() + content_type.map_or(0, <[u8]>::len)
}

fn with_nul(text: &[u8]) -> Vec<u8> {
    [text, b"\0"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    const TYPE: &[u8] = b"multipart/form-data; boundary=b";

    /// A place for temporary files, and rules that send them there.
    struct Place {
        directory: TempDir,
        rules: FormRules,
    }

    impl Place {
        fn new(spool_bytes: usize) -> Place {
            let directory = tempfile::tempdir().unwrap();
            let rules = FormRules { spool_bytes, spool_directory: Some(directory.path().to_owned()), max_parts: 10 };
            Place { directory, rules }
        }

        fn reader(&self) -> FormReader {
            FormReader::new(TYPE, &self.rules).unwrap().unwrap()
        }

        fn read(&self, body: &[u8]) -> Result<Form> {
            let mut reader = self.reader();
            reader.feed(body)?;
            reader.finish()
        }

        fn file_count(&self) -> usize {
            fs::read_dir(&self.directory).unwrap().count()
        }
    }

    fn field(name: &str, value: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    fn file(name: &str, filename: &str, content: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: a/b\r\n\r\n{content}\r\n")
    }

    fn body(parts: &[String]) -> Vec<u8> {
        (parts.concat() + "--b--\r\n").into_bytes()
    }

    fn fields(form: &Form) -> Vec<(&[u8], &[u8])> {
        (0..form.fields.len()).map(|i| (form.fields.name(i).unwrap(), form.fields.value(i).unwrap())).collect()
    }

    fn content(file: &FilePart) -> Vec<u8> {
        assert_eq!(file.data().is_some(), file.path().is_none(), "it is in one of both places");
        let bytes = match file.path() {
            Some(path) => fs::read(path.to_str().unwrap()).unwrap(),
            None => file.data().unwrap().to_vec(),
        };
        assert_eq!(file.length(), bytes.len() as u64);
        bytes
    }

    #[test]
    fn fields_and_files_are_kept_in_order() {
        let place = Place::new(1000);
        let form = place
            .read(&body(&[
                field("a", "1"),
                file("f", "x.txt", "content"),
                field("b", ""),
                field("a", "2\0"),
                file("f", "y\u{e9}.txt", ""),
                "--b\r\nContent-Disposition: form-data; name=g; filename=z\r\n\r\n\0\r\n".into(),
            ]))
            .unwrap();
        assert_eq!(fields(&form), [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"a", b"2\0")]);
        let files: Vec<_> = form.files.iter().map(|file| (file.name(), file.filename(), content(file))).collect();
        assert_eq!(
            files,
            [
                (Text::new(b"f\0"), Text::new(b"x.txt\0"), b"content".to_vec()),
                (Text::new(b"f\0"), Text::new(b"y\xc3\xa9.txt\0"), vec![]),
                (Text::new(b"g\0"), Text::new(b"z\0"), b"\0".to_vec()),
            ]
        );
        assert_eq!(form.files[0].content_type(), Some(Text::new(b"a/b\0")));
        assert_eq!(form.files[2].content_type(), None);
        assert_eq!(form.files[0].data().unwrap().with_nul(), b"content\0");
        assert_eq!(place.file_count(), 0);
    }

    #[test]
    fn an_input_without_a_file_is_no_file() {
        let place = Place::new(1000);
        let form = place.read(&body(&[file("f", "", ""), file("f", "", "x"), file("f", "x", "")])).unwrap();
        let files: Vec<_> = form.files.iter().map(|file| (file.filename().to_vec(), content(file))).collect();
        assert_eq!(files, [(vec![], b"x".to_vec()), (b"x".to_vec(), vec![])]);
    }

    #[test]
    fn other_types_are_not_for_it() {
        let rules = Place::new(0).rules;
        assert!(FormReader::new(b"application/json", &rules).unwrap().is_none());
        assert_eq!(FormReader::new(b"multipart/form-data", &rules).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn the_file_that_would_pass_spool_bytes_goes_to_the_disk() {
        let place = Place::new(10);
        let body = body(&[file("a", "a", "12345"), file("b", "b", "123456"), file("c", "c", "12345")]);
        let mut reader = place.reader();
        body.chunks(1).try_for_each(|byte| reader.feed(byte)).unwrap();
        let form = reader.finish().unwrap();
        let spooled: Vec<_> = form.files.iter().map(|file| file.path().is_some()).collect();
        assert_eq!(spooled, [false, true, false]);
        assert_eq!(content(&form.files[1]), b"123456");
        let path = form.files[1].path().unwrap().to_str().unwrap();
        assert_eq!(Path::new(path).parent(), Some(place.directory.path()));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600, "it is the user's only");
        assert_eq!(place.file_count(), 1);
        drop(form);
        assert_eq!(place.file_count(), 0);
    }

    #[test]
    fn a_form_is_the_same_however_it_is_cut() {
        let place = Place::new(20);
        let long = "0123456789\r\n".repeat(2000);
        let body = body(&[field("a", "1"), file("f", "x", "12345"), file("g", "y", &long), field("a", "\r\n2")]);
        for len in [1, 2, 3, 7, 8191, body.len()] {
            let mut reader = place.reader();
            body.chunks(len).try_for_each(|piece| reader.feed(piece)).unwrap();
            let form = reader.finish().unwrap();
            assert_eq!(fields(&form), [(&b"a"[..], &b"1"[..]), (b"a", b"\r\n2")]);
            assert_eq!(form.files[0].data(), Some(Text::new(b"12345\0")));
            assert!(form.files[1].path().is_some());
            assert_eq!(content(&form.files[1]), long.as_bytes(), "in pieces of {len}");
        }
    }

    #[test]
    fn what_is_not_finished_leaves_no_file_behind() {
        let place = Place::new(3);
        let body = body(&[file("f", "x", "12345"), file("g", "y", "12345"), field("a", "12345")]);
        for end in 0..=body.len() {
            let mut reader = place.reader();
            let _ = reader.feed(&body[..end]);
            drop(reader);
            assert_eq!(place.file_count(), 0, "after {end} bytes");
        }
        assert_eq!(place.read(&body).unwrap_err().kind(), Kind::Limit);
        assert_eq!(place.file_count(), 0);
    }

    #[test]
    fn fields_may_be_as_long_as_spool_bytes_together() {
        let place = Place::new(10);
        assert!(place.read(&body(&[field("a", "1234"), file("f", "x", "1234567890"), field("b", "1234")])).is_ok());
        for fields in [[field("a", "1234"), field("b", "12345")], [field("a", "1234"), field("bc", "1234")]] {
            let error = place.read(&body(&fields)).unwrap_err();
            assert_eq!((error.kind(), error.to_string().contains("spool_bytes")), (Kind::Limit, true), "{error}");
        }
    }

    #[test]
    fn there_may_be_max_parts_parts() {
        let place = Place::new(100);
        assert_eq!(place.read(&body(&vec![field("a", ""); 10])).unwrap().fields.len(), 10);
        let error = place.read(&body(&vec![file("f", "", ""); 11])).unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("max_parts")), (Kind::Limit, true), "{error}");
    }

    #[test]
    fn the_names_of_files_are_limited_too() {
        let mut place = Place::new(0);
        place.rules.max_parts = 1000;
        let name = "n".repeat(1000);
        let error = place.read(&body(&vec![file(&name, &name, ""); 500])).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit);
        assert_eq!(place.read(&body(&vec![file("name", "filename.jpg", ""); 1000])).unwrap().files.len(), 1000);
    }

    #[test]
    fn a_body_that_is_none_is_invalid() {
        let place = Place::new(100);
        for body in [&b""[..], b"a=1", b"--b\r\n", b"--b\r\nx\r\n\r\n", field("a", "1").as_bytes()] {
            assert_eq!(place.read(body).unwrap_err().kind(), Kind::Invalid, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn without_a_place_for_temporary_files_there_are_words() {
        let mut place = Place::new(3);
        place.rules.spool_directory = Some(place.directory.path().join("missing"));
        assert!(place.read(&body(&[file("f", "x", "123")])).is_ok(), "nobody needs the place");
        let error = place.read(&body(&[file("f", "x", "1234")])).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.to_string().contains("/missing\": "), "{error}");
    }

    #[test]
    fn the_memory_it_tells_is_what_it_holds_and_is_bounded() {
        let place = Place::new(1000);
        let long = "x".repeat(100_000);
        let body = body(&[field("a", &long[..500]), file("f", "x", &long[..700]), file("g", "y", &long), field("b", &long[..400])]);
        let mut reader = place.reader();
        let mut most = 0;
        for piece in body.chunks(100) {
            reader.feed(piece).unwrap();
            most = most.max(reader.memory_bytes());
        }
        assert!((WRITE_BYTES..WRITE_BYTES + 6000).contains(&most), "{most}");
        let form = reader.finish().unwrap();
        assert!((1600..4000).contains(&form.memory_bytes()), "{}", form.memory_bytes());
    }

    #[test]
    fn a_file_is_saved_from_memory_and_from_the_disk() {
        let place = Place::new(10);
        let target = tempfile::tempdir().unwrap();
        let form = place.read(&body(&[file("f", "x", "short"), file("g", "y", "longer than that")])).unwrap();
        let usual = target.path().join("usual");
        File::create(&usual).unwrap();
        let usual = fs::metadata(usual).unwrap().permissions();
        for (number, expected) in ["short", "longer than that"].into_iter().enumerate() {
            let file = &form.files[number];
            let path = target.path().join(format!("saved {number}"));
            for before in [None, Some("what was there before, and was longer than both")] {
                before.map_or(Ok(()), |text| fs::write(&path, text)).unwrap();
                file.save(&path).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), expected);
                assert_eq!(fs::metadata(&path).unwrap().permissions(), usual);
                assert_eq!(content(file), expected.as_bytes(), "what is saved is still here");
            }
        }
        assert_eq!(fs::read_dir(&target).unwrap().count(), 3, "nothing else is left");
        drop(form);
        assert_eq!(fs::read_to_string(target.path().join("saved 1")).unwrap(), "longer than that");
    }

    #[test]
    fn a_link_is_replaced_and_what_is_no_file_is_left_alone() {
        let place = Place::new(10);
        let target = tempfile::tempdir().unwrap();
        let at = |name: &str| target.path().join(name);
        let form = place.read(&body(&[file("f", "x", "new")])).unwrap();
        fs::write(at("secret"), "old").unwrap();
        symlink(at("secret"), at("link")).unwrap();
        form.files[0].save(&at("link")).unwrap();
        assert_eq!(fs::read_to_string(at("secret")).unwrap(), "old");
        assert_eq!(fs::read_to_string(at("link")).unwrap(), "new");
        assert!(!at("link").is_symlink());
        for (path, kind) in [
            (at(""), Kind::Invalid),
            (at(".."), Kind::Invalid),
            (target.path().to_owned(), Kind::Invalid),
            (PathBuf::new(), Kind::Invalid),
            (at("new/"), Kind::Invalid),
            (PathBuf::from("/dev/null"), Kind::Invalid),
            (at("missing/x"), Kind::Io),
        ] {
            let error = form.files[0].save(&path).unwrap_err();
            assert_eq!(error.kind(), kind, "{path:?}: {error}");
        }
        assert_eq!(fs::read_dir(&target).unwrap().count(), 2);
    }

    #[test]
    fn a_form_may_go_from_thread_to_thread() {
        fn moves<T: Send + Sync>() {}
        moves::<Form>();
        moves::<FormReader>();
    }
}

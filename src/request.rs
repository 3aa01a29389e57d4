//! One request: its bytes, and views of them made on demand.

use crate::error::{Error, Kind, Result, Shown};
use crate::form::{FilePart, Form, FormReader};
use crate::http::headers::Span;
use crate::http::method::Method;
use crate::http::pairs::{Pairs, percent_decode_into};
use crate::http::parser::{Framing, Head};
use crate::json;
use crate::line::Line;
use crate::rate_limit::Verdict;
use crate::route::{Delivery, Route, Routes};
use crate::router::{Found, Params, Router};
use crate::text::Text;
use crate::upload::{SKIPPED_BYTES, Upload};
use once_cell::unsync::OnceCell;
use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::net::IpAddr;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The client at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address; IPv4-mapped IPv6 addresses appear as IPv4.
    Ip(IpAddr),
    /// A process on this machine, over a Unix socket.
    Unix,
}

/// The properties of a connection that it passes to each of its requests.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    /// The connection's token on its line.
    pub(crate) ticket: u64,
    /// Does the connection close after this request's answer, whatever the answer says?
    pub(crate) is_last: bool,
    /// The time, if there is an access log.
    pub(crate) now: Option<Instant>,
}

/// One request, read only.
///
/// All views are bytes as received unless said otherwise. Making one may fill a cache, so a request belongs
/// to one thread at a time.
pub struct Request {
    /// Declared first, so dropped first: a local's drop may still read the request.
    locals: Locals,
    /// Holds the head and the body, from `base` on. The buffer is the serving thread's, or this request's own once the
    /// request had to wait for its body.
    bytes: Vec<u8>,
    base: usize,
    head: Head,
    /// Bytes of the head; 0 if it could not be parsed.
    head_len: usize,
    body: Range<usize>,
    /// Has the body been received? Before that, and if the handler reads it itself, it is absent.
    is_whole: bool,
    /// How many bytes of the body were consumed elsewhere: by a form, or by a handler that read them.
    taken: u64,
    /// The byte after the body that a NUL has overwritten; None if the body was the end of the buffer.
    after_body: Option<u8>,
    params: Params,
    route: Option<usize>,
    peer: Peer,
    routes: Arc<Routes>,
    /// The connection of this request, for handlers that stream, read or defer; None without a connection.
    line: Option<Arc<dyn Line>>,
    /// The connection's token on `line`.
    ticket: u64,
    /// Is it known already that the connection closes after the answer?
    is_last: bool,
    /// Does the connection close if the body is not read?
    ends_unread: bool,
    /// When it arrived, if there is an access log.
    began: Option<Instant>,
    /// The state of the client's rate limit.
    quota: Option<Verdict>,
    /// Is this a preflight that the library has answered?
    is_preflight: bool,
    views: KeptViews,
    /// The outcome of reading a multipart form.
    form: OnceCell<Arc<Result<Form>>>,
    /// Has the handler asked whether the form could be read? If not, it cannot tell a malformed form from an empty one.
    form_status_seen: Cell<bool>,
    form_read: Cell<bool>,
    /// The body, if the handler reads it itself.
    upload: RefCell<Option<Box<Upload>>>,
    /// The buffer that middleware has seen, kept because middleware may have kept views into it for the handler.
    keepsake: Option<Vec<u8>>,
}

/// The most memory of a view that is kept for the next request.
const KEPT_BYTES: usize = 16 * 1024;

/// The body is neither empty nor malformed, but absent.
const NO_BODY_YET: Error = Error::fixed(
    Kind::State,
    "the body has not been received yet: middleware runs before it is received, and on a route with body = stream the handler reads it itself",
);

/// A local: its key and its value.
type Local = (Box<[u8]>, Box<dyn Any + Send>);

/// The locals of a request.
#[derive(Default)]
struct Locals(RefCell<Vec<Local>>);

impl Locals {
    /// Drops all. That may run user code, which finds the list empty but not borrowed; what it adds is dropped as well.
    #[inline]
    fn end(&mut self) {
        if !self.0.get_mut().is_empty() {
            self.drop_all();
        }
    }

    #[inline(never)]
    fn drop_all(&mut self) {
        while !self.0.get_mut().is_empty() {
            drop(self.0.take());
        }
    }
}

impl Drop for Locals {
    fn drop(&mut self) {
        self.end();
    }
}

/// The views made so far.
#[derive(Default)]
struct Views {
    /// Has any been made? If not, nothing needs to be cleared for the next request.
    used: Cell<bool>,
    path: OnceCell<Vec<u8>>,
    raw_path: OnceCell<Vec<u8>>,
    remote_address: OnceCell<Vec<u8>>,
    host: OnceCell<Vec<u8>>,
    id: OnceCell<Vec<u8>>,
    params: OnceCell<Pairs>,
    query: OnceCell<Pairs>,
    cookies: OnceCell<Pairs>,
    form: OnceCell<Pairs>,
    json: OnceCell<Box<json::Value>>,
    /// The fields of a form that has not been received.
    nothing: Pairs,
    /// Memory of earlier requests' views, to be reused.
    spare_texts: RefCell<Vec<Vec<u8>>>,
    spare_pairs: RefCell<Vec<Pairs>>,
}

/// The views, allocated with the first one: thousands of deferred requests may be kept, most of them without any.
#[derive(Default)]
struct KeptViews(OnceCell<Box<Views>>);

impl KeptViews {
    /// The views, if they were allocated.
    fn made(&self) -> Option<&Views> {
        self.0.get().map(|views| &**views)
    }

    #[inline(always)]
    fn clear(&mut self) {
        if let Some(views) = self.0.get_mut().filter(|views| views.used.get()) {
            views.clear();
        }
    }
}

impl Deref for KeptViews {
    type Target = Views;
    fn deref(&self) -> &Views {
        self.0.get_or_init(Box::default)
    }
}

impl Views {
    #[inline(never)]
    fn clear(&mut self) {
        self.used.set(false);
        for cell in [&mut self.path, &mut self.raw_path, &mut self.remote_address, &mut self.host, &mut self.id] {
            if let Some(mut text) = cell.take() {
                text.clear();
                text.shrink_to(KEPT_BYTES);
                self.spare_texts.get_mut().push(text);
            }
        }
        for cell in [&mut self.params, &mut self.query, &mut self.cookies, &mut self.form] {
            if let Some(mut pairs) = cell.take() {
                pairs.clear();
                pairs.shrink_to(KEPT_BYTES);
                self.spare_pairs.get_mut().push(pairs);
            }
        }
        self.json.take();
    }

    /// The text in `cell`, which `fill` makes on first use; a NUL is added.
    fn text<'a>(&'a self, cell: &'a OnceCell<Vec<u8>>, fill: impl FnOnce(&mut Vec<u8>)) -> Text<'a> {
        Text::new(cell.get_or_init(|| {
            self.used.set(true);
            let mut text = self.spare_texts.borrow_mut().pop().unwrap_or_default();
            fill(&mut text);
            text.push(0);
            text
        }))
    }

    fn pairs<'a>(&'a self, cell: &'a OnceCell<Pairs>, fill: impl FnOnce(&mut Pairs)) -> &'a Pairs {
        cell.get_or_init(|| {
            self.used.set(true);
            let mut pairs = self.spare_pairs.borrow_mut().pop().unwrap_or_default();
            fill(&mut pairs);
            pairs
        })
    }
}

impl Request {
    /// The method, as sent.
    pub fn method(&self) -> Text<'_> {
        self.text_at(self.head.method_span)
    }

    /// The method as one of those known by name.
    pub fn known_method(&self) -> Method {
        self.head.method
    }

    /// The path, percent-decoded, for display. Authorise by prefix or param: `%2F` decodes to a slash. Empty, like all views, if the
    /// request could not be parsed.
    pub fn path(&self) -> Text<'_> {
        let raw = self.route_path();
        if !raw.contains(&b'%') {
            return self.raw_path();
        }
        self.views.text(&self.views.path, |text| {
            // A request with an invalid escape is answered 400, but on_error still sees it.
            if !percent_decode_into(raw, text) {
                text.clear();
                text.extend_from_slice(raw);
            }
        })
    }

    /// The path as sent.
    pub fn raw_path(&self) -> Text<'_> {
        let target = &self.head.target;
        if target.asterisk {
            return self.text_at(target.whole);
        }
        if target.query.is_none() && !target.path.is_empty() {
            return self.text_at(target.path);
        }
        self.views.text(&self.views.raw_path, |text| text.extend_from_slice(self.route_path()))
    }

    /// What follows the `?`; None without a `?`.
    pub fn query_string(&self) -> Option<Text<'_>> {
        self.head.target.query.map(|span| self.text_at(span))
    }

    /// The whole target as sent.
    pub fn target(&self) -> Text<'_> {
        self.text_at(self.head.target.whole)
    }

    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub fn minor_version(&self) -> u8 {
        self.head.minor
    }

    /// The pattern of the route that answers, if one does.
    pub fn route(&self) -> Option<Text<'_>> {
        self.registered().map(|route| route.pattern())
    }

    /// The first header called `name`, in any case, without the spaces around its value.
    pub fn header(&self, name: &[u8]) -> Option<Text<'_>> {
        if let (true, Some(authority)) = (name.eq_ignore_ascii_case(b"host"), self.head.target.authority) {
            // RFC 9112 3.2.2: "When an origin server receives a request with an absolute-form of request-target, the origin
            // server MUST ignore the received Host header field (if any) and instead use the host information of the request-target."
            return Some(self.views.text(&self.views.host, |text| text.extend_from_slice(self.bytes_at(authority))));
        }
        let field = self.head.fields.iter().find(|field| self.bytes_at(field.name).eq_ignore_ascii_case(name))?;
        Some(self.text_at(field.value))
    }

    /// The values of all headers called `name` as one list; None if there is none.
    ///
    /// RFC 9110 5.3: lines of the same name mean the same as one line with their values in a list.
    pub(crate) fn header_list(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let lines = self.head.fields.iter().filter(|field| self.bytes_at(field.name).eq_ignore_ascii_case(name));
        let mut values = lines.map(|field| self.bytes_at(field.value));
        let first = Cow::Borrowed(values.next()?);
        Some(values.fold(first, |list, value| Cow::Owned([&list, &b", "[..], value].concat())))
    }

    /// How many header lines there are.
    pub fn header_count(&self) -> usize {
        self.head.fields.len()
    }

    /// Name and value of a header line, in order of arrival. As in [`header`](Request::header), the host is that of an absolute target.
    pub fn header_at(&self, index: usize) -> Option<(Text<'_>, Text<'_>)> {
        let field = self.head.fields.get(index)?;
        let name = self.text_at(field.name);
        let host = self.head.target.authority.filter(|_| name.bytes().eq_ignore_ascii_case(b"host")).and_then(|_| self.header(b"host"));
        Some((name, host.unwrap_or_else(|| self.text_at(field.value))))
    }

    /// The part of the path that `:name` stands for, decoded once; "*" names an unnamed rest.
    pub fn param(&self, name: &[u8]) -> Option<Text<'_>> {
        let index = self.registered()?.param_names.iter().position(|known| known.as_bytes() == name)?;
        // The last one ends where the target ends, and a NUL stands there already.
        if let Some(text) = self.param_in_place(index) {
            return Some(text);
        }
        self.params().value_terminated(index).map(Text::new)
    }

    /// All params, decoded, in the order of the pattern.
    pub fn params(&self) -> &Pairs {
        self.views.pairs(&self.views.params, |pairs| {
            let Some(route) = self.registered() else { return };
            let mut value = Vec::new();
            for (index, name) in route.param_names.iter().enumerate() {
                value.clear();
                percent_decode_into(self.raw_param(index), &mut value);
                pairs.push(name.as_bytes(), &value);
            }
        })
    }

    /// All names and values of the query, decoded; `+` is a space.
    pub fn query(&self) -> &Pairs {
        self.views.pairs(&self.views.query, |pairs| {
            if let Some(query) = self.query_string() {
                pairs.query(&query);
            }
        })
    }

    /// All cookies, of all Cookie headers.
    pub fn cookies(&self) -> &Pairs {
        self.views.pairs(&self.views.cookies, |pairs| {
            for field in &self.head.fields {
                if self.bytes_at(field.name).eq_ignore_ascii_case(b"cookie") {
                    pairs.cookies(self.bytes_at(field.value));
                }
            }
        })
    }

    /// All fields of a form, `application/x-www-form-urlencoded` (decoded) or `multipart/form-data`; none for other bodies, and for
    /// forms that [`form_status`](Request::form_status) says cannot be read.
    pub fn form(&self) -> &Pairs {
        if let Some(form) = self.multipart() {
            return &form.fields;
        }
        if !self.is_whole {
            return &self.views.nothing;
        }
        self.views.pairs(&self.views.form, |pairs| {
            if self.brings_fields() {
                pairs.query(&self.body());
            }
        })
    }

    /// The files of a multipart form, in order; none for other bodies, and for forms that cannot be read.
    pub fn files(&self) -> &[FilePart] {
        self.multipart().map_or(&[], |form| &form.files)
    }

    /// Could the form be read? `Invalid` if it is malformed, `Limit` if it exceeds a limit, `State` if it has not been received
    /// yet; `Ok` for bodies of other types. If a handler reads a malformed form without calling this, the client gets a 400 or 413.
    pub fn form_status(&self) -> Result<()> {
        self.form_status_seen.set(self.is_whole);
        if self.awaits_body() && (self.brings_form() || self.brings_fields()) {
            return Err(NO_BODY_YET);
        }
        match self.form_outcome() {
            Some(Err(error)) => Err(error.copy()),
            _ => Ok(()),
        }
    }

    fn multipart(&self) -> Option<&Form> {
        self.form_read.set(self.is_whole);
        self.form_outcome()?.as_ref().ok()
    }

    /// The outcome of reading the multipart form; None for other bodies.
    fn form_outcome(&self) -> Option<&Result<Form>> {
        if self.form.get().is_none() {
            if !self.is_whole {
                return None;
            }
            let kind = self.header(b"content-type").filter(|_| self.has_media_type(b"multipart/form-data"))?;
            let read = || {
                let Some(mut reader) = FormReader::new(&kind, &self.routes.forms)? else { return Ok(Form::default()) };
                reader.feed(&self.body())?;
                reader.finish()
            };
            let _ = self.form.set(Arc::new(read()));
        }
        self.form.get().map(|outcome| &**outcome)
    }

    /// Has the handler read a form? Then its answer may have to be replaced: `misread_form`.
    #[inline]
    pub(crate) fn form_was_read(&self) -> bool {
        self.form_read.get()
    }

    /// The error that the handler has missed if it took a form that could not be read for an empty one.
    pub(crate) fn misread_form(&self) -> Option<Error> {
        let misread = self.form_read.get() && !self.form_status_seen.get();
        misread.then(|| self.form.get()?.as_ref().as_ref().err().map(Error::copy)).flatten()
    }

    /// The form was parsed while it arrived; there is no other body.
    pub(crate) fn set_form(&mut self, form: Form) {
        self.form = OnceCell::with_value(Arc::new(Ok(form)));
    }

    /// The reader for a multipart form that is about to arrive, if it is one.
    pub(crate) fn form_reader(&self) -> Result<Option<FormReader>> {
        match self.header(b"content-type") {
            Some(kind) => FormReader::new(&kind, &self.routes.forms),
            None => Ok(None),
        }
    }

    /// Is the body an urlencoded form, by its type?
    fn brings_fields(&self) -> bool {
        self.has_media_type(b"application/x-www-form-urlencoded")
    }

    /// Is the body a multipart form, by its type?
    pub(crate) fn brings_form(&self) -> bool {
        self.has_media_type(b"multipart/form-data")
    }

    /// How many bytes of a form are kept in memory.
    pub(crate) fn form_bytes(&self) -> usize {
        self.routes.forms.spool_bytes
    }

    /// Does the handler want its body as it was sent, even if it is a form?
    pub(crate) fn keeps_body_whole(&self) -> bool {
        self.registered().is_some_and(|route| route.body == Delivery::Whole)
    }

    /// The body; empty where there is none.
    pub fn body(&self) -> Text<'_> {
        if self.body.is_empty() { Text::EMPTY } else { Text::new(&self.bytes[self.body.start..=self.body.end]) }
    }

    /// Reads some bytes of the body, blocking until there are any; 0 is the end. For routes with `body = stream`, whose handlers run
    /// before the body is received.
    pub fn read(&self, into: &mut [u8]) -> Result<usize> {
        match &mut *self.upload.borrow_mut() {
            Some(upload) => upload.read(self, into),
            None => Err(Error::state("there is nothing to read: only routes with body = stream read, before they defer")),
        }
    }

    /// The body as JSON, whatever its type; parsed once. `State` if it has not been received yet.
    pub fn json(&self) -> Result<&json::Value> {
        if self.awaits_body() {
            return Err(NO_BODY_YET);
        }
        let value = self.views.json.get_or_try_init(|| {
            self.views.used.set(true);
            json::Value::parse(&self.body()).map(|value| Box::new(value.lent()))
        })?;
        Ok(value)
    }

    /// The client's address, without port; "unix" for a Unix socket, and "" for no connection.
    pub fn remote_address(&self) -> Text<'_> {
        self.views.text(&self.views.remote_address, |text| match self.peer {
            Peer::Ip(ip) => {
                let _ = write!(text, "{ip}"); // writing to a Vec cannot fail
            }
            Peer::Unix => text.extend_from_slice(b"unix"),
        })
    }

    /// The client at the other end of the connection.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// X-Request-ID if it is printable and at most 128 bytes long, else 32 hexadecimal digits, generated on first use.
    pub fn id(&self) -> Text<'_> {
        if let Some(id) = self.header(b"x-request-id") {
            if (1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic) {
                return id;
            }
        }
        // Each RandomState has different keys, seeded by the operating system.
        let random = || RandomState::new().build_hasher().finish();
        self.views.text(&self.views.id, |text| {
            let _ = write!(text, "{:016x}{:016x}", random(), random()); // writing to a Vec cannot fail
        })
    }

    /// Keeps `value` under `key` until the request ends; a previous value is dropped.
    pub fn set_local(&self, key: &[u8], value: Box<dyn Any + Send>) {
        let before = {
            let mut locals = self.locals.0.borrow_mut();
            match locals.iter_mut().find(|(known, _)| &**known == key) {
                Some((_, place)) => Some(std::mem::replace(place, value)),
                None => {
                    locals.push((key.into(), value));
                    None
                }
            }
        };
        // Dropping the value may run user code, so it happens after the borrow has ended.
        drop(before);
    }

    /// Passes the value under `key` to `look`.
    pub fn local<R>(&self, key: &[u8], look: impl FnOnce(&dyn Any) -> R) -> Option<R> {
        let locals = self.locals.0.borrow();
        locals.iter().find(|(known, _)| &**known == key).map(|(_, value)| look(&**value))
    }

    /// The route that answers, as registered.
    pub(crate) fn registered(&self) -> Option<&Route> {
        self.routes.get(self.route?)
    }

    fn bytes_at(&self, span: Span) -> &[u8] {
        &self.bytes[self.base + span.start()..self.base + span.end()]
    }

    fn text_at(&self, span: Span) -> Text<'_> {
        if span.is_empty() {
            return Text::EMPTY;
        }
        Text::new(&self.bytes[self.base + span.start()..=self.base + span.end()])
    }

    /// The path that is routed: RFC 9112 3.2.4 for `*`; RFC 9110 4.2.3: an empty path is the same as "/".
    fn route_path(&self) -> &[u8] {
        let target = &self.head.target;
        match (target.asterisk, self.bytes_at(target.path)) {
            (true, _) => b"*",
            (false, b"") if self.is_parsed() => b"/",
            (false, path) => path,
        }
    }

    /// The part of the path that a final `*` stands for, as sent.
    pub(crate) fn raw_rest(&self) -> &[u8] {
        self.registered().map_or(&[], |route| self.raw_param(route.param_names.len().saturating_sub(1)))
    }

    /// Could the head be parsed?
    pub(crate) fn is_parsed(&self) -> bool {
        self.head_len > 0
    }

    /// The head as received, except for the NULs written after its parts: equal requests have equal bytes.
    pub(crate) fn head_bytes(&self) -> &[u8] {
        &self.bytes[self.base..self.base + self.head_len]
    }

    /// Bytes of head and body.
    pub(crate) fn len(&self) -> u64 {
        (self.head_len + self.body.len()) as u64 + self.taken
    }

    /// Notes how much of the body was consumed elsewhere.
    pub(crate) fn note_taken(&mut self, bytes: u64) {
        self.taken = bytes;
    }

    /// How long ago it arrived, if there is an access log.
    pub(crate) fn age(&self) -> Option<Duration> {
        Some(self.began?.elapsed())
    }

    /// The state of the client's rate limit.
    pub(crate) fn quota(&self) -> Option<Verdict> {
        self.quota
    }

    pub(crate) fn set_quota(&mut self, quota: Option<Verdict>) {
        self.quota = quota;
    }

    /// Sets whether the connection closes after the answer if the body is not read.
    pub(crate) fn set_ends_unread(&mut self, ends: bool) {
        self.ends_unread = ends;
    }

    /// Would the connection close if the answer were given now?
    fn ends_now(&self) -> bool {
        match &*self.upload.borrow() {
            Some(upload) => upload.is_much(SKIPPED_BYTES),
            None => self.leaves_body(),
        }
    }

    /// Notes that a streamed answer begins. Returns whether the connection closes after it because of an unread body.
    pub(crate) fn note_answered(&self) -> bool {
        match &mut *self.upload.borrow_mut() {
            Some(upload) => upload.note_answered(),
            None => self.leaves_body(),
        }
    }

    /// Is there an unreceived body that is too long to skip?
    fn leaves_body(&self) -> bool {
        self.ends_unread && !self.is_whole
    }

    /// Is this a preflight that the library has answered?
    pub(crate) fn is_preflight(&self) -> bool {
        self.is_preflight
    }

    pub(crate) fn set_preflight(&mut self) {
        self.is_preflight = true;
    }

    /// Does the handler read the body itself?
    pub(crate) fn reads_body(&self) -> bool {
        self.registered().is_some_and(|route| route.body == Delivery::Stream)
    }

    /// Is the route's handler run by one of the host's threads?
    pub(crate) fn is_for_caller(&self) -> bool {
        self.registered().is_some_and(|route| route.is_for_caller)
    }

    /// Sets the version, for a placeholder of a request that its exchange owns.
    pub(crate) fn set_minor_version(&mut self, minor: u8) {
        self.head.minor = minor;
    }

    /// The number of the route that answers.
    pub(crate) fn route_number(&self) -> Option<usize> {
        self.route
    }

    /// The path that is routed and that prefixes are compared with, as sent.
    pub(crate) fn routed_path(&self) -> &[u8] {
        self.route_path()
    }

    /// The line of this request, and the connection's token on it.
    pub(crate) fn line(&self) -> Option<(&Arc<dyn Line>, u64)> {
        Some((self.line.as_ref()?, self.ticket))
    }

    /// Is it known already that the connection closes after the answer?
    pub(crate) fn is_last(&self) -> bool {
        self.is_last || !self.head.keep_alive
    }

    /// The params' values as sent, in the order of the pattern.
    pub(crate) fn raw_params(&self) -> impl Iterator<Item = &[u8]> {
        let count = self.registered().map_or(0, |route| route.param_names.len());
        (0..count).map(|index| self.raw_param(index))
    }

    fn raw_param(&self, index: usize) -> &[u8] {
        let path = self.route_path();
        self.params.range(index).map_or(&[], |range| &path[range])
    }

    fn param_in_place(&self, index: usize) -> Option<Text<'_>> {
        let target = &self.head.target;
        let range = self.params.range(index)?;
        let span = Span::new(target.path.start() + range.start, target.path.start() + range.end);
        let in_place = !target.path.is_empty() && span.end() == target.whole.end() && !self.bytes_at(span).contains(&b'%');
        in_place.then(|| self.text_at(span))
    }

    /// RFC 9110 8.3.1: types compare without case, parameters follow a semicolon.
    fn has_media_type(&self, wanted: &[u8]) -> bool {
        let Some(value) = self.header(b"content-type") else { return false };
        let essence = value.bytes().split(|&b| b == b';').next().map(crate::http::headers::trim);
        essence.is_some_and(|essence| essence.eq_ignore_ascii_case(wanted))
    }
}

/// What the engine does with a request.
impl Request {
    pub(crate) fn new(routes: Arc<Routes>, line: Option<Arc<dyn Line>>) -> Request {
        Request {
            bytes: Vec::new(),
            base: 0,
            head: Head::default(),
            head_len: 0,
            body: 0..0,
            is_whole: false,
            taken: 0,
            after_body: None,
            params: Params::default(),
            route: None,
            peer: Peer::Unix,
            routes,
            line,
            ticket: 0,
            is_last: false,
            ends_unread: false,
            began: None,
            quota: None,
            is_preflight: false,
            views: KeptViews::default(),
            locals: Locals::default(),
            form: OnceCell::new(),
            form_status_seen: Cell::new(false),
            form_read: Cell::new(false),
            upload: RefCell::default(),
            keepsake: None,
        }
    }

    /// A copy for an exchange, with its own buffer and on its own line. Locals move to the copy; the unread rest of a streamed body does
    /// not.
    pub(crate) fn detach(&self, line: Arc<dyn Line>) -> Request {
        self.detach_from(Some(line), true)
    }

    fn detach_from(&self, line: Option<Arc<dyn Line>>, with_body: bool) -> Request {
        let has_body = with_body && !self.body.is_empty();
        let end = if !has_body { self.base + self.head_len } else { self.body.end };
        let mut bytes = Vec::with_capacity(end - self.base + 1);
        bytes.extend_from_slice(&self.bytes[self.base..end]);
        let body = if has_body { self.body.start - self.base..self.body.end - self.base } else { 0..0 };
        if has_body {
            bytes.push(0);
        }
        let views = KeptViews::default();
        if let Some(id) = self.views.made().and_then(|views| views.id.get()) {
            views.used.set(true);
            // A generated id must stay the same.
            let _ = views.id.set(id.clone());
        }
        Request {
            bytes,
            base: 0,
            head: self.head.clone(),
            head_len: self.head_len,
            body,
            is_whole: self.is_whole,
            taken: self.taken
                + if has_body { 0 } else { self.body.len() as u64 }
                + self.upload.borrow().as_ref().map_or(0, |upload| upload.read_bytes()),
            after_body: None,
            params: self.params.copy(),
            route: self.route,
            peer: self.peer,
            routes: Arc::clone(&self.routes),
            line,
            ticket: self.ticket,
            is_last: self.is_last || self.ends_now(),
            ends_unread: false,
            began: self.began,
            quota: self.quota,
            is_preflight: self.is_preflight,
            views,
            locals: Locals(RefCell::new(self.locals.0.take())),
            form: self.form.clone(),
            form_status_seen: self.form_status_seen.clone(),
            form_read: self.form_read.clone(),
            upload: RefCell::default(),
            keepsake: None,
        }
    }

    /// A copy without the body, for use while the request itself is owned elsewhere.
    pub(crate) fn copy_of_head(&self) -> Request {
        // Generated before the copy is made, so that both have the same id.
        self.id();
        let locals = self.locals.0.take();
        let copy = Request { is_whole: false, form: OnceCell::new(), ..self.detach_from(None, false) };
        self.locals.0.replace(locals);
        copy
    }

    /// The handler is going to read the body itself.
    pub(crate) fn set_upload(&mut self, upload: Upload) {
        *self.upload.get_mut() = Some(Box::new(upload));
    }

    /// Takes what the handler has left unread of a streamed body.
    pub(crate) fn take_upload(&mut self) -> Option<Box<Upload>> {
        self.upload.get_mut().take()
    }

    /// Why the handler could not read the body to its end; None if it could.
    pub(crate) fn upload_failure(&self) -> Option<crate::upload::Failure> {
        self.upload.borrow().as_ref()?.failure()
    }

    /// The whole buffer, including bytes before and after this request.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The bytes from `base` on, and the head to parse them into.
    pub(crate) fn parts_from(&mut self, base: usize) -> (&[u8], &mut Head) {
        self.base = base;
        (&self.bytes[base..], &mut self.head)
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// Makes the parsed head at `base` this request: a NUL goes after each view that C may read.
    pub(crate) fn begin(&mut self, from: Caller, head_len: usize) {
        self.called_by(from);
        self.head_len = head_len;
        let base = self.base;
        self.bytes[base + self.head.method_span.end()] = 0;
        self.bytes[base + self.head.target.whole.end()] = 0;
        for field in &self.head.fields {
            self.bytes[base + field.name.end()] = 0;
            self.bytes[base + field.value.end()] = 0;
        }
    }

    /// Discards a head that was refused, so that no callback sees a half-parsed one. The method is kept, since it decides
    /// whether the answer has a body.
    pub(crate) fn blank(&mut self, from: Caller, method: Method) {
        self.head = Head { method, ..Head::default() };
        self.head_len = 0;
        self.base = 0;
        self.called_by(from);
        self.views.clear();
    }

    fn called_by(&mut self, Caller { peer, ticket, is_last, now }: Caller) {
        self.began = now;
        self.quota = None;
        self.is_preflight = false;
        self.peer = peer;
        self.ticket = ticket;
        self.is_last = is_last;
        self.route = None;
        self.body = 0..0;
        self.is_whole = false;
        self.taken = 0;
    }

    /// Finds this request's route.
    pub(crate) fn route_by<'r>(&mut self, router: &'r Router) -> Found<'r> {
        let target = &self.head.target;
        let at = |span: Span| &self.bytes[self.base + span.start()..self.base + span.end()];
        let path = match (target.asterisk, at(target.path)) {
            (false, b"") => b"/",
            (_, path) => path,
        };
        let found = router.find(at(self.head.method_span), path, &mut self.params);
        if let Found::Route(index) = found {
            self.route = Some(index);
        }
        found
    }

    /// Sets the body to the range `body` of the buffer, and writes a NUL behind it, which `end` removes.
    pub(crate) fn set_body(&mut self, body: Range<usize>) {
        self.is_whole = true;
        if body.is_empty() {
            return;
        }
        self.after_body = match self.bytes.get_mut(body.end) {
            Some(after) => Some(std::mem::replace(after, 0)),
            None => {
                debug_assert!(self.bytes.capacity() > self.bytes.len(), "views of the head may be out, so the bytes must not move");
                self.bytes.push(0);
                None
            }
        };
        self.body = body;
    }

    /// Ends the request: restores the byte after the body, and drops views and locals.
    pub(crate) fn end(&mut self) {
        self.locals.end();
        if !self.body.is_empty() {
            match self.after_body.take() {
                Some(byte) => self.bytes[self.body.end] = byte,
                None => self.bytes.truncate(self.body.end),
            }
            self.body = 0..0;
        }
        self.views.clear();
        if self.form_read.replace(false) | self.form_status_seen.replace(false) | self.form.get().is_some() {
            self.form.take();
        }
        if self.keepsake.is_some() {
            self.keepsake = None;
        }
        if self.upload.get_mut().is_some() {
            self.upload.get_mut().take();
        }
    }

    /// How much memory the request's data takes.
    pub(crate) fn held_bytes(&self) -> usize {
        let form = self.form.get().and_then(|form| form.as_ref().as_ref().ok()).map_or(0, Form::memory_bytes);
        self.bytes.capacity() + self.keepsake.as_ref().map_or(0, Vec::capacity) + form
    }

    /// Is the body available? Not in middleware, nor to handlers that read it themselves.
    pub(crate) fn has_body(&self) -> bool {
        self.is_whole && self.taken == 0
    }

    /// Is there a body that has not been received?
    fn awaits_body(&self) -> bool {
        !self.is_whole && !matches!(self.head.framing, Framing::Absent | Framing::Length(0))
    }

    /// May middleware have kept views of the buffer in its locals? Then the buffer must not move while the body is received.
    pub(crate) fn has_views_out(&self) -> bool {
        self.keepsake.is_none() && !self.locals.0.borrow().is_empty()
    }

    /// Keeps the buffer in place until the request ends, and continues with a copy.
    pub(crate) fn keep_bytes(&mut self) {
        let mut copy = Vec::with_capacity(self.bytes.len() + 1);
        copy.extend_from_slice(&self.bytes);
        self.keepsake = Some(std::mem::replace(&mut self.bytes, copy));
    }

    /// Drops the first `count` bytes; the head begins at the new start.
    pub(crate) fn drop_before(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.base = 0;
        if self.bytes.capacity() > 4 * self.bytes.len().max(KEPT_BYTES) {
            // A large request has shrunk to a small rest; its memory is released.
            self.bytes.shrink_to(2 * self.bytes.len());
        }
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Clients choose the target and logs are read in terminals, so it is escaped.
        write!(f, "{} {}", self.method(), Shown(self.target().bytes()))
    }
}

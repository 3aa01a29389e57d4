//! Settling a file: applies the request's conditions and ranges to the file that is to be sent.

use super::{Body, Instead, Piece, Response, Type};
use crate::error::{Error, Result};
use crate::file::{self, FileAnswer, Servable, Share};
use crate::http::coding::Coding;
use crate::http::conditions::{self, Validators};
use crate::http::method::Method;
use crate::request::Request;
use crate::text::Text;
use std::ops::Range;
use std::sync::Arc;

/// A file that was settled, and the resulting status.
pub(super) struct Settled {
    answer: FileAnswer,
    /// 0 if conditions and ranges were ignored.
    status: u16,
}

impl Response {
    /// Sets a file as the body; `settle` later decides which parts are sent.
    pub(crate) fn give_file(&mut self, answer: FileAnswer) {
        self.clear_body();
        if !matches!(self.kind, Type::Set) {
            self.kind = Type::File(Arc::clone(&answer.file));
        }
        self.file = Some(answer);
    }

    /// Turns the file that was set, if any, into a body by the request's conditions and ranges. Returns an error answer to send instead.
    ///
    /// Conditions and ranges apply only if the status is 200; with `plain` they are ignored, as for error answers.
    pub(crate) fn settle(&mut self, request: &Request, plain: bool) -> Result<Option<Instead>> {
        if self.instead.is_some() {
            return Ok(self.instead.take());
        }
        let Some(answer) = self.file.take() else { return Ok(None) };
        let current = self.status == 200 && !plain;
        let outcome = self.settle_answer(request, current, &answer);
        // The preformatted lines of a whole file are dropped with its type; other added headers must be removed with the file.
        if !matches!(self.kind, Type::Whole(_)) || answer.file.coding() != Coding::Identity || answer.disposition.is_some() {
            self.settled = Some(Box::new(Settled { answer, status: if current { self.status } else { 0 } }));
        }
        outcome
    }

    fn settle_answer(&mut self, request: &Request, current: bool, answer: &FileAnswer) -> Result<Option<Instead>> {
        let (file, varies, disposition) = (Arc::clone(&answer.file), answer.varies, answer.disposition.as_deref());
        let share = match current {
            true if self.headers.is_empty() => file::share(&file, file.validators(), request),
            true => file::share(&file, self.validators(&file), request),
            false => Share::Whole,
        };
        if !matches!(share, Share::Whole) {
            // A Content-Length that was set is the whole file's.
            self.remove_header(b"content-length")?;
        }
        if let Share::Instead(instead) = share {
            return Ok(Some(instead));
        }
        if varies {
            self.add_vary(b"Accept-Encoding");
        }
        let whole = current && matches!(share, Share::Whole) && matches!(self.kind, Type::File(_)) && !self.describes_file();
        if whole {
            self.kind = Type::Whole(Arc::clone(&file));
        } else if current {
            self.set_absent(b"ETag", file.etag());
        }
        if matches!(share, Share::Nothing) {
            // RFC 9110 15.4.5: a 304 repeats the file's tag, and its date only if there is no tag.
            self.status = 304;
            return Ok(None);
        }
        if current && !whole {
            if let Some(date) = file.last_modified() {
                self.set_absent(b"Last-Modified", date);
            }
            self.set_absent(b"Accept-Ranges", b"bytes");
        }
        if file.coding() != Coding::Identity {
            self.push_header(b"Content-Encoding", file.coding().name().as_bytes());
        }
        if let Some(disposition) = disposition {
            self.set_absent(b"Content-Disposition", disposition);
        }
        let unread = request.known_method() == Method::Head;
        match share {
            Share::Ranges(ranges) => self.send_ranges(&file, &ranges),
            _ => self.send_part(file, None, unread),
        }
        .map_err(|error| Error::io("read a file", &error))?;
        Ok(None)
    }

    /// What conditions are judged by: the tag and the date that the handler has set, else the file's.
    fn validators<'a>(&'a self, file: &'a Servable) -> Validators<'a> {
        let own = file.validators();
        let date = self.header(b"last-modified");
        Validators {
            etag: self.header(b"etag").map(Text::bytes).or(own.etag),
            modified: date.map_or(own.modified, |date| conditions::seconds(&date)),
            // Nothing is known of the time at which the handler's date was current.
            settled: own.settled && date.is_none(),
        }
    }

    /// Has the handler set one of the headers that are in the file's lines?
    fn describes_file(&self) -> bool {
        !self.headers.is_empty() && [&b"etag"[..], b"last-modified", b"accept-ranges"].iter().any(|name| self.header(name).is_some())
    }

    /// Turns the file's preformatted lines into ordinary headers, since one of them is about to change.
    pub(super) fn take_apart(&mut self) {
        if !matches!(self.kind, Type::Whole(_)) {
            return;
        }
        if let Type::Whole(file) = std::mem::take(&mut self.kind) {
            self.push_header(b"ETag", file.etag());
            if let Some(date) = file.last_modified() {
                self.push_header(b"Last-Modified", date);
            }
            self.push_header(b"Accept-Ranges", b"bytes");
            if self.settled.is_none() {
                let answer = FileAnswer { file: Arc::clone(&file), varies: false, disposition: None };
                self.settled = Some(Box::new(Settled { answer, status: 200 }));
            }
            self.kind = Type::File(file);
        }
    }

    /// Another body replaces a file that was settled: removes the headers that described the file, unless they were set
    /// again, and turns a 206 or 304 back into an ordinary answer.
    #[inline(never)]
    pub(super) fn leave_file(&mut self) {
        (self.file, self.instead) = (None, None);
        let Some(settled) = self.settled.take() else { return };
        let FileAnswer { file, disposition, .. } = &settled.answer;
        if matches!(settled.status, 206 | 304) && self.status == settled.status {
            self.status = 200;
            self.remove_named(b"Content-Range");
        }
        let date = file.last_modified().unwrap_or_default();
        let coding = file.coding().name().as_bytes();
        let disposition = disposition.as_deref().unwrap_or_default();
        for (name, told) in [
            (&b"ETag"[..], file.etag()),
            (b"Last-Modified", date),
            (b"Accept-Ranges", b"bytes"),
            (b"Content-Encoding", coding),
            (b"Content-Disposition", disposition),
        ] {
            if self.header(name).is_some_and(|value| *value == *told) {
                self.remove_named(name);
            }
        }
        if matches!(self.kind, Type::Set) && self.kind_text.starts_with(b"multipart/byteranges;") {
            self.kind = Type::Unset;
        }
    }

    /// RFC 9110 15.3.7: a single range is the body itself, several are parts of a multipart body.
    fn send_ranges(&mut self, file: &Arc<Servable>, ranges: &[Range<u64>]) -> std::io::Result<()> {
        self.status = 206;
        if let [range] = ranges {
            self.push_header(b"Content-Range", file::content_range(range, file.len()).as_bytes());
            return self.send_part(Arc::clone(file), Some(range.clone()), false);
        }
        let kind = self.header(b"content-type").unwrap_or(Text::new(file.kind())).to_vec();
        let (pieces, boundary) = file::parts(file, &kind, ranges)?;
        self.keep_type(format!("multipart/byteranges; boundary={boundary}").as_bytes());
        self.body = Body::Pieces(pieces);
        Ok(())
    }

    fn send_part(&mut self, file: Arc<Servable>, range: Option<Range<u64>>, unread: bool) -> std::io::Result<()> {
        let range = range.unwrap_or(0..file.len());
        self.body = match file.is_in_memory() {
            true => Body::Kept(file, range),
            false => match file.piece(range, unread)? {
                Piece::Bytes(bytes) => Body::Owned(bytes),
                piece => Body::Pieces(vec![piece]),
            },
        };
        Ok(())
    }
}

//! Content coding: compresses answers for clients that accept it.

use super::{Body, OCTETS, Response, Type};
use crate::compression::{self, Encoder};
use crate::http::coding::Coding;
use crate::http::method::Method;
use crate::http::status;
use crate::request::Request;

impl Response {
    /// Compresses the body if the client accepts it and the result is shorter.
    pub(crate) fn compress(&mut self, request: &Request) {
        // Files are excluded: they are compressed by means of siblings, and their strong tag names the exact bytes.
        if !matches!(self.body, Body::Copied | Body::Owned(_)) || !self.may_be_coded() {
            return;
        }
        let coding = self.negotiate_coding(request);
        let Some(body) = self.body_bytes().filter(|_| coding != Coding::Identity) else { return };
        let coded = compression::compress(coding, body);
        if coded.len() >= body.len() {
            return;
        }
        self.be_coded(coding);
        self.seen.take();
        self.bytes = coded;
        self.bytes.push(0);
        self.body = Body::Copied;
    }

    /// The encoder for a streamed body, if the client accepts a coding.
    pub(crate) fn encoder(&mut self, request: &Request) -> Option<Encoder> {
        if self.length.is_some() || !self.may_be_coded() {
            return None;
        }
        let coding = self.negotiate_coding(request);
        if coding == Coding::Identity {
            return None;
        }
        self.be_coded(coding);
        // RFC 9110 9.3.2: the header fields are the same "as if the request method had been GET".
        (request.known_method() != Method::Head).then(|| Encoder::new(coding))
    }

    /// Compressed bodies, partial content, and answers for which the handler forbids it are not coded.
    fn may_be_coded(&self) -> bool {
        let is_text = match &self.kind {
            Type::Unset | Type::File(_) | Type::Whole(_) => false,
            Type::Assumed(known) => !std::ptr::eq(*known, &raw const OCTETS),
            Type::Set => compression::is_compressible(&self.kind_text[..self.kind_text.len() - 1]),
        };
        let is_part = || self.status == 206 || self.header(b"content-range").is_some() || self.header(b"accept-ranges").is_some();
        // A digest covers the bytes or the representation as sent (RFC 9530), so coding would invalidate one that was set.
        let has_digest = || [&b"content-digest"[..], b"repr-digest", b"digest", b"content-md5"].iter().any(|name| self.has_header(name));
        let forbidden = || self.values_of(b"cache-control").any(compression::is_forbidden);
        is_text
            && status::body_rule(self.status) == status::BodyRule::Sent
            && self.header(b"content-encoding").is_none()
            && !is_part()
            && !has_digest()
            && !forbidden()
    }

    /// Chooses the coding, and adds Vary even if none is chosen: the answer depends on Accept-Encoding either way.
    fn negotiate_coding(&mut self, request: &Request) -> Coding {
        self.add_vary(b"Accept-Encoding");
        compression::choose(request.header_list(b"accept-encoding").as_deref())
    }

    fn be_coded(&mut self, coding: Coding) {
        self.push_header(b"Content-Encoding", coding.name().as_bytes());
        self.length = None;
        // RFC 9110 8.8.3.3: a coded representation needs a different strong tag, so the tag becomes weak; a weak one may stay.
        if let Some(tag) = self.header(b"etag").filter(|tag| tag.starts_with(b"\"")).map(|tag| [b"W/", tag.bytes()].concat()) {
            self.remove_named(b"etag");
            self.push_header(b"ETag", &tag);
        }
    }
}

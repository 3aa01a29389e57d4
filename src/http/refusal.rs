//! Why a request is refused: one table of reasons, statuses and messages.

/// The rule of the grammar that was broken, or the limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "status() and words() say what each means")]
pub enum Refusal {
    Method,
    MethodLength,
    Target,
    TargetLength,
    Connect,
    Version,
    VersionUnsupported,
    LineEnd,
    FieldName,
    FieldValue,
    FieldFold,
    HeadLength,
    FieldCount,
    HostMissing,
    HostRepeated,
    Host,
    ContentLength,
    ContentLengthRepeated,
    BothFramings,
    TransferEncodingVersion,
    TransferEncoding,
    TransferCoding,
    BodyLength,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    Trailer,
    TrailerLength,
    Incomplete,
}

impl Refusal {
    /// The status of the answer, and the sentence that says what is wrong.
    pub fn explain(self) -> (u16, &'static str) {
        match self {
            Refusal::Method => (400, "the request line must begin with a method, followed by one space"),
            Refusal::MethodLength => (501, "the method is longer than any that is implemented"),
            Refusal::Target => (400, "the request target must be a path, an absolute http URL, or * for OPTIONS"),
            Refusal::TargetLength => (414, "the request target is longer than max_target_bytes allows"),
            Refusal::Connect => (501, "CONNECT is for proxies, and this is not one"),
            Refusal::Version => (400, "the request line must end with one space, the version HTTP/1.1 and CR LF"),
            Refusal::VersionUnsupported => (505, "the only versions supported are HTTP/1.1 and HTTP/1.0"),
            Refusal::LineEnd => (400, "each line of a head must end with CR LF"),
            Refusal::FieldName => (400, "a field line must begin with a name, directly followed by a colon"),
            Refusal::FieldValue => (400, "a field value must not hold control characters"),
            Refusal::FieldFold => (400, "a field line must not be continued on the next line"),
            Refusal::HeadLength => (431, "the head is longer than max_header_bytes allows"),
            Refusal::FieldCount => (431, "the head has more fields than max_headers allows"),
            Refusal::HostMissing => (400, "an HTTP/1.1 request must have a Host field"),
            Refusal::HostRepeated => (400, "a request must not have two Host fields"),
            Refusal::Host => (400, "the Host field must be a host name or address, with or without a port"),
            Refusal::ContentLength => (400, "Content-Length must be one decimal number"),
            Refusal::ContentLengthRepeated => (400, "a request must not have two Content-Length fields"),
            Refusal::BothFramings => (400, "a request must not have both Content-Length and Transfer-Encoding"),
            Refusal::TransferEncodingVersion => (400, "an HTTP/1.0 request must not have Transfer-Encoding"),
            Refusal::TransferEncoding => (400, "the last transfer coding must be chunked, once"),
            Refusal::TransferCoding => (501, "the only transfer coding implemented is chunked"),
            Refusal::BodyLength => (413, "the body is longer than max_body_bytes allows"),
            Refusal::ChunkSize => (400, "a chunk must begin with its size in hexadecimal, followed by CR LF"),
            Refusal::ChunkExtension => (400, "a chunk extension is malformed or too long"),
            Refusal::ChunkEnd => (400, "the data of a chunk must end with CR LF"),
            Refusal::Trailer => (400, "a trailer line is malformed"),
            Refusal::TrailerLength => (431, "the trailers are longer than max_header_bytes or more than max_headers allow"),
            Refusal::Incomplete => (400, "the connection was closed before the request was complete"),
        }
    }

    /// The status of the answer.
    pub fn status(self) -> u16 {
        self.explain().0
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.explain().1)
    }
}

//! The router: finds the route for a method and a path.
//!
//! A pattern begins with `/`. Each of its segments, the parts between slashes, is one of:
//!
//! | segment | matches | as a parameter |
//! |---|---|---|
//! | `text` | itself | - |
//! | `:name` | one segment that is not empty | `name` |
//! | `*`, at the end only | the rest of the path | `*` |
//! | `*name`, at the end only | the rest of the path | `name` |
//!
//! A name is a letter or `_`, then letters, digits and `_`; names in a pattern are distinct.
//!
//! **The path** is matched as received, without query, segment by segment; each segment is percent-decoded once
//! before it is compared, so `/%61` is `/a`, and `%2F` never separates segments. Literals of a pattern are decoded once
//! too, at registration: the patterns `/a%20b` and `/a b` are the same, and both match the path `/a%20b`. A literal
//! `:` or `*` at the start of a segment is written `%3A` or `%2A`, a `?` `%3F` and a `#` `%23`. `{`, `}`, `<` and `>` must
//! be escaped as well: a path cannot contain them unescaped, and other routers write parameters with them. An invalid
//! escape or `%00` anywhere makes the path bad, whichever pattern would have matched. Nothing is normalised: `/a/` is not
//! `/a`, `//a` has an empty first segment, and `.` and `..` are ordinary segments, which a parameter may match.
//!
//! **A rest** may be empty, so `/p/*` matches `/p/` (but not `/p`). Otherwise its first segment must not be empty, so
//! `/p//x` does not match.
//!
//! **The most specific pattern** that matches the whole path wins: at the first segment where two differ, a literal
//! beats a name and a name beats a rest. The order of registration never matters.
//!
//! **The method** is looked up in the winning pattern alone: the method itself, else GET for a HEAD, else `*`, which
//! stands for any. Failing these, the result is "method not allowed", with a list of the methods that are. This applies to
//! OPTIONS too, unless a route handles it: the caller answers with the list.
//!
//! **Two routes conflict** if they match the same requests: the same method, and patterns that differ only in
//! names. Routes with different methods may use different names.
//!
//! ```
//! use hasty::router::{Found, Params, Router};
//!
//! let mut router = Router::new();
//! for (method, pattern) in [
//!     ("GET", "/"),
//!     ("GET", "/users/:id"),
//!     ("PUT", "/users/:user"),
//!     ("GET", "/users/me"),
//!     ("GET", "/users/:id/posts/:post"),
//!     ("GET", "/users/me/mail"),
//!     ("GET", "/files/*"),
//!     ("GET", "/docs/*page"),
//!     ("GET", "/docs/:chapter/print"),
//!     ("*", "/any"),
//!     ("GET", "/any"),
//!     ("GET", "/v1/jobs:stop"),
//! ] {
//!     router.add(method, pattern)?;
//! }
//!
//! let table = [
//!     // request                   the result, with parameters as they appear in the path
//!     ("GET /",                    "GET /"),
//!     ("GET /users/7",             "GET /users/:id id=7"),
//!     ("PUT /users/7",             "PUT /users/:user user=7"),
//!     ("HEAD /users/7",            "GET /users/:id id=7"),
//!     ("POST /users/7",            "405 GET, HEAD, OPTIONS, PUT"),
//!     ("OPTIONS /users/7",         "405 GET, HEAD, OPTIONS, PUT"),
//!     ("GET /users/me",            "GET /users/me"),
//!     ("PUT /users/me",            "405 GET, HEAD, OPTIONS"), // the literal wins before the method is considered
//!     ("GET /users/%6De",          "GET /users/me"),
//!     ("GET /users/a%2Fb",         "GET /users/:id id=a%2Fb"),
//!     ("GET /users/",              "404"),
//!     ("GET /users/7/",            "404"),
//!     ("GET /users/me/mail",       "GET /users/me/mail"),
//!     ("GET /users/me/posts/1",    "GET /users/:id/posts/:post id=me post=1"), // the router backtracks from the literal
//!     ("GET /files",               "404"),
//!     ("GET /files/",              "GET /files/* *="),
//!     ("GET /files/a/b.txt",       "GET /files/* *=a/b.txt"),
//!     ("GET /files//b.txt",        "404"),
//!     ("GET /docs/api/print",      "GET /docs/:chapter/print chapter=api"),
//!     ("GET /docs/api/printed",    "GET /docs/*page page=api/printed"),
//!     ("GET /any",                 "GET /any"),
//!     ("PURGE /any",               "* /any"),
//!     ("GET /v1/jobs:stop",        "GET /v1/jobs:stop"),
//!     ("GET /Users/7",             "404"),
//!     ("GET /users/%zz",           "400"),
//!     ("GET /nowhere/%00",         "400"),
//! ];
//! let mut params = Params::default(); // one for many requests
//! for (request, expected) in table {
//!     let (method, path) = request.split_once(' ').unwrap();
//!     let found = match router.find(method, path.as_bytes(), &mut params) {
//!         Found::Route(id) => {
//!             let route = router.route(id);
//!             let mut text = format!("{} {}", route.method(), route.pattern());
//!             for (i, name) in route.param_names().iter().enumerate() {
//!                 text += &format!(" {name}={}", &path[params.range(i).unwrap()]);
//!             }
//!             text
//!         }
//!         Found::MethodNotAllowed(allow) => format!("405 {allow}"),
//!         Found::NotFound => "404".to_string(),
//!         Found::BadPath => "400".to_string(),
//!     };
//!     assert_eq!(found, expected, "{request}");
//! }
//!
//! let refused = router.add("GET", "/users/:name").unwrap_err();
//! assert_eq!(refused.to_string(), r#"GET "/users/:name" conflicts with GET "/users/:id""#);
//! # Ok::<(), hasty::Error>(())
//! ```
//!
//! # Cost
//!
//! A path without escapes that a wholly literal pattern matches costs one hash look-up, however many routes there
//! are. Nothing is more specific than such a pattern, so its table is asked first, by the path as it was received.
//!
//! Every other path walks a tree with a level per segment. A node leads on by a hash table of literals, by one
//! name, or ends in a rest. To arrive at a node takes exactly the literals and names above it, so a walk enters each
//! at most once, and going back never repeats work: the tree itself is the memo. The nodes that a path can reach on
//! one level differ in where they took a literal and where a name, so there are at most as many as there are such
//! *shapes* among the patterns. A walk therefore enters at most `shapes * (segments + 1)` nodes, with no more segments
//! than the longest pattern has. Ten thousand routes like `/shops/:id` and `/shops/about` are two shapes, and requests
//! cannot add any. Only a program that itself registers literals and names in thousands of combinations pays for them.

#![forbid(unsafe_code)]

use crate::error::{Error, Result, Shown};
use crate::http::headers::{Span, is_token};
use crate::http::method::Method;
use crate::http::pairs::{escapes_are_valid, percent_decode_into};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

/// Finds the route for a method and a path. Filled before the server starts, only read from then on.
pub struct Router {
    /// In order of registration; the index is the route's number.
    routes: Vec<Route>,
    /// The ends of patterns, one per set of patterns that differ in nothing but names.
    ends: Vec<End>,
    /// The ends of wholly literal patterns, by the path that matches them without decoding.
    exact: Literals,
    /// Every pattern, a node per segment. The first is the root.
    nodes: Vec<Node>,
    /// The most segments that any node has above it.
    deepest: usize,
    methods: BTreeSet<String>,
}

/// A registered route: what was given, and the names of its parameters.
pub struct Route {
    method: String,
    pattern: String,
    param_names: Vec<String>,
}

/// What [`Router::find`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'r> {
    /// The route of this number answers.
    Route(usize),
    /// The path is known, but not for this method: 405, or the answer to OPTIONS.
    MethodNotAllowed(Allow<'r>),
    /// No pattern matches: 404.
    NotFound,
    /// An escape in the path is invalid or `%00`: 400.
    BadPath,
}

/// The value of an Allow header: the methods of one path, in alphabetical order, each once.
///
/// Includes HEAD if it includes GET, and always OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allow<'r>(&'r str);

/// Where the parameters of a found route are in the raw path, in the order of the route's names.
///
/// To be reused for many calls of [`Router::find`]: it also holds the scratch memory of the search, which allocates nothing once the
/// buffers are large enough.
#[derive(Debug, Default)]
pub struct Params {
    spans: Vec<Span>,
    segments: Vec<Segment>,
    escapes: bool,
    /// The segments of a path with escapes, decoded, one after the other.
    decoded: Vec<u8>,
    /// How many nodes the last walk entered.
    #[cfg(test)]
    entered: usize,
}

/// One segment of the path that is searched for.
#[derive(Clone, Copy, Debug)]
struct Segment {
    raw: Span,
    /// What is compared: in `Params::decoded` where the path has escapes, else the same as `raw`.
    text: Span,
}

struct Node {
    /// None only for the root.
    parent: Option<usize>,
    literals: Literals,
    name: Option<usize>,
    /// The end of the pattern whose rest begins here.
    rest: Option<usize>,
    /// The end of the pattern whose last segment led here.
    end: Option<usize>,
}

/// The routes of one set of patterns that differ only in names.
#[derive(Default)]
struct End {
    /// Method and route, without `*`. So few that a scan is faster than a table.
    methods: Vec<(Box<str>, usize)>,
    any: Option<usize>,
    allow: String,
}

/// From text to a node or an end.
#[derive(Default)]
struct Literals {
    places: HashMap<Box<[u8]>, usize, BuildHasherDefault<TextHasher>>,
    /// The length of the longest key: longer text is not hashed, so a long segment costs no more than a short one.
    longest: usize,
}

/// One segment of a pattern.
enum Step {
    Literal(Vec<u8>),
    Name,
    Rest,
}

/// The kinds of children of a node, in the order of specificity, in which they are tried.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Branch {
    Literal,
    Name,
    Rest,
}

const ROOT: usize = 0;

/// The methods listed for a route for any method: those that have a registering call of their own, and those that follow from them.
const COMMON_METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

impl Router {
    /// A router without routes.
    pub fn new() -> Router {
        Router {
            routes: Vec::new(),
            ends: Vec::new(),
            exact: Literals::default(),
            nodes: vec![Node::below(None)],
            deepest: 0,
            methods: BTreeSet::new(),
        }
    }

    /// Adds a route and returns its number, counted from 0.
    ///
    /// `method` is a token such as "GET", kept as given and compared with case, or "*" for any. Fails, and changes
    /// nothing, if the method or the pattern breaks a rule or conflicts with an earlier route; the words name both.
    pub fn add(&mut self, method: &str, pattern: &str) -> Result<usize> {
        let (steps, param_names) = self.parse_new(method, pattern)?;

        let route = self.routes.len();
        self.routes.push(Route { method: method.to_string(), pattern: pattern.to_string(), param_names });
        let end = self.grow(&steps);
        self.ends[end].insert(method, route);
        if let Some(path) = plain_path(&steps) {
            self.exact.insert(path, end);
        }
        self.methods.insert(method.to_string());
        Ok(route)
    }

    /// Fails as `add` would, and changes nothing.
    pub fn check(&self, method: &str, pattern: &str) -> Result<()> {
        self.parse_new(method, pattern).map(drop)
    }

    fn parse_new(&self, method: &str, pattern: &str) -> Result<(Vec<Step>, Vec<String>)> {
        if !is_token(method.as_bytes()) {
            let shown = Shown(method.as_bytes());
            return Err(Error::invalid(format!("method \"{shown}\" is not a token: letters, digits and !#$%&'*+-.^_`|~ only")));
        }
        refuse_unheard(method)?;
        let (steps, param_names) = parse(pattern)?;
        let taken = self.end_of(&steps).and_then(|end| self.ends[end].registered(method));
        if let Some(earlier) = taken {
            let earlier = &self.routes[earlier];
            return Err(Error::invalid(format!(
                "{method} \"{}\" conflicts with {} \"{}\"",
                Shown(pattern.as_bytes()),
                earlier.method,
                Shown(earlier.pattern().as_bytes())
            )));
        }
        Ok((steps, param_names))
    }

    /// Finds the route that answers `method` on `path`, the raw path without query, and where its parameters lie.
    ///
    /// `params` is empty afterwards unless a route was found. A path that does not begin with `/` is not found.
    pub fn find<'r>(&'r self, method: impl AsRef<[u8]>, path: &[u8], params: &mut Params) -> Found<'r> {
        params.clear();
        // Keys of this table contain no '%', so what is found here has no escapes to check or decode.
        let end = match self.exact.get(path) {
            Some(end) => end,
            None => {
                // One more than nodes can consume: the first segment of a rest. What follows it is not needed.
                if !params.divide(path, self.deepest + 1) {
                    return Found::BadPath;
                }
                match self.walk(path, params) {
                    Some(end) => end,
                    None => return Found::NotFound,
                }
            }
        };
        let end = &self.ends[end];
        match end.choose(method.as_ref()) {
            Some(route) => Found::Route(route),
            None => {
                params.clear();
                Found::MethodNotAllowed(Allow(&end.allow))
            }
        }
    }

    /// The route of this number, as [`Router::add`] and [`Router::find`] give them. Panics for any other.
    pub fn route(&self, id: usize) -> &Route {
        &self.routes[id]
    }

    /// All routes in order of their numbers.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The number of the route that was added with exactly these words.
    pub fn lookup(&self, method: &str, pattern: &str) -> Option<usize> {
        let (steps, _) = parse(pattern).ok()?;
        let route = self.ends[self.end_of(&steps)?].registered(method)?;
        (self.routes[route].pattern() == pattern).then_some(route)
    }

    /// Every method that some route answers, as an Allow value, for the answer to `OPTIONS *`.
    ///
    /// Routes for any method add the common ones.
    pub fn all_methods(&self) -> String {
        let any = self.methods.contains("*");
        let common = COMMON_METHODS.into_iter().filter(|_| any);
        allow_value(self.methods.iter().map(String::as_str).filter(|&method| method != "*").chain(common))
    }

    /// The end that these steps lead to, if an earlier pattern has created it.
    fn end_of(&self, steps: &[Step]) -> Option<usize> {
        let mut at = &self.nodes[ROOT];
        for step in steps {
            at = match step {
                Step::Literal(text) => &self.nodes[at.literals.get(text)?],
                Step::Name => &self.nodes[at.name?],
                Step::Rest => return at.rest,
            };
        }
        at.end
    }

    /// The end that these steps lead to, created if it is missing.
    fn grow(&mut self, steps: &[Step]) -> usize {
        let mut at = ROOT;
        for (above, step) in steps.iter().enumerate() {
            self.deepest = self.deepest.max(above);
            at = match step {
                Step::Literal(text) => match self.nodes[at].literals.get(text) {
                    Some(child) => child,
                    None => {
                        let child = self.new_node(at);
                        self.nodes[at].literals.insert(text.as_slice().into(), child);
                        child
                    }
                },
                Step::Name => match self.nodes[at].name {
                    Some(child) => child,
                    None => {
                        let child = self.new_node(at);
                        *self.nodes[at].name.insert(child)
                    }
                },
                Step::Rest => return *self.nodes[at].rest.get_or_insert_with(|| new_end(&mut self.ends)),
            };
        }
        self.deepest = self.deepest.max(steps.len());
        *self.nodes[at].end.get_or_insert_with(|| new_end(&mut self.ends))
    }

    fn new_node(&mut self, parent: usize) -> usize {
        self.nodes.push(Node::below(Some(parent)));
        self.nodes.len() - 1
    }

    /// The end of the most specific pattern that matches the whole path, which `params` has divided.
    fn walk(&self, path: &[u8], params: &mut Params) -> Option<usize> {
        let Params {
            spans,
            segments,
            escapes,
            decoded,
            #[cfg(test)]
            entered,
        } = params;
        let source = if *escapes { decoded.as_slice() } else { path };

        // Depth first. The branches of a node are tried in order of specificity, so the first end that is reached
        // is the answer. `depth` is both the level of the node and the number of segments consumed.
        let (mut at, mut depth, mut branch) = (ROOT, 0, Branch::Literal);
        loop {
            let node = &self.nodes[at];
            #[cfg(test)]
            if branch == Branch::Literal {
                *entered += 1;
            }
            let below = match segments.get(depth) {
                None => {
                    if node.end.is_some() {
                        return node.end;
                    }
                    None
                }
                Some(segment) => {
                    let literal = match branch {
                        Branch::Literal => node.literals.get(segment.text.of(source)),
                        _ => None,
                    };
                    let name = match literal {
                        None if branch <= Branch::Name && !segment.raw.is_empty() => node.name,
                        _ => None,
                    };
                    if name.is_some() {
                        spans.push(segment.raw);
                    }
                    let below = literal.or(name);
                    let last = segment.raw.end() == path.len();
                    if below.is_none() && node.rest.is_some() && (last || !segment.raw.is_empty()) {
                        spans.push(Span::new(segment.raw.start(), path.len()));
                        return node.rest;
                    }
                    below
                }
            };
            match below {
                Some(child) => (at, depth, branch) = (child, depth + 1, Branch::Literal),
                // No child matches. Back to the parent, and to the next kind of child after this one.
                None => {
                    let parent = node.parent?;
                    branch = if self.nodes[parent].name == Some(at) {
                        spans.pop();
                        Branch::Rest
                    } else {
                        Branch::Name
                    };
                    (at, depth) = (parent, depth - 1);
                }
            }
        }
    }
}

impl Default for Router {
    fn default() -> Router {
        Router::new()
    }
}

impl Route {
    /// The method as it was given: "*" is any.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The pattern as it was given.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The names of the parameters from left to right; "*" for a rest without a name.
    pub fn param_names(&self) -> &[String] {
        &self.param_names
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.method, self.pattern())
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.routes).finish()
    }
}

impl<'r> Allow<'r> {
    /// The header's value: `GET, HEAD, OPTIONS`.
    pub fn as_str(self) -> &'r str {
        self.0
    }

    /// The methods one by one.
    pub fn methods(self) -> impl Iterator<Item = &'r str> {
        self.0.split(", ")
    }
}

impl fmt::Display for Allow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Params {
    /// How many parameters the found route has.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none, because the route has none or no route was found.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The spans alone, without the scratch memory.
    pub(crate) fn copy(&self) -> Params {
        Params { spans: self.spans.clone(), ..Params::default() }
    }

    /// Where parameter `i` lies in the raw path.
    pub fn range(&self, i: usize) -> Option<Range<usize>> {
        self.spans.get(i).map(|span| span.start()..span.end())
    }

    /// Forgets the parameters and keeps the memory.
    pub fn clear(&mut self) {
        self.spans.clear();
        #[cfg(test)]
        {
            self.entered = 0;
        }
    }

    /// Splits the path into its first `most` segments, and decodes them if there are escapes.
    ///
    /// False if an escape is invalid, anywhere in the path. A path that does not begin with `/` has no segments.
    fn divide(&mut self, path: &[u8], most: usize) -> bool {
        self.segments.clear();
        self.decoded.clear();
        self.escapes = false;
        // Spans have 32 bits; no server reads a longer request target.
        if path.first() != Some(&b'/') || u32::try_from(path.len()).is_err() {
            return escapes_are_valid(path);
        }

        // One pass over the bytes: segments are short, so starting a search for each would take longer than the search.
        let mut start = 1;
        for (at, &byte) in path.iter().enumerate().skip(1) {
            match byte {
                b'%' => self.escapes = true,
                b'/' => {
                    self.segments.push(Segment::of(start, at));
                    start = at + 1;
                    if self.segments.len() == most {
                        break;
                    }
                }
                _ => {}
            }
        }
        let undivided = if self.segments.len() == most {
            &path[start..]
        } else {
            self.segments.push(Segment::of(start, path.len()));
            &[]
        };

        if !self.escapes {
            return escapes_are_valid(undivided);
        }
        for segment in &mut self.segments {
            let from = self.decoded.len();
            if !percent_decode_into(segment.raw.of(path), &mut self.decoded) {
                return false;
            }
            segment.text = Span::new(from, self.decoded.len());
        }
        escapes_are_valid(undivided)
    }
}

impl Segment {
    fn of(start: usize, end: usize) -> Segment {
        let raw = Span::new(start, end);
        Segment { raw, text: raw }
    }
}

impl Node {
    fn below(parent: Option<usize>) -> Node {
        Node { parent, literals: Literals::default(), name: None, rest: None, end: None }
    }
}

impl End {
    fn registered(&self, method: &str) -> Option<usize> {
        if method == "*" { self.any } else { self.named(method.as_bytes()) }
    }

    fn named(&self, method: &[u8]) -> Option<usize> {
        self.methods.iter().find(|(own, _)| own.as_bytes() == method).map(|&(_, route)| route)
    }

    fn insert(&mut self, method: &str, route: usize) {
        if method == "*" {
            self.any = Some(route);
        } else {
            self.methods.push((method.into(), route));
        }
        self.allow = allow_value(self.methods.iter().map(|(own, _)| &**own));
    }

    /// The route for a request's method: by name before the fallbacks.
    fn choose(&self, method: &[u8]) -> Option<usize> {
        // RFC 9110 9.3.2: HEAD is GET, except that no content is sent.
        let as_get = || if method == b"HEAD" { self.named(b"GET") } else { None };
        self.named(method).or_else(as_get).or(self.any)
    }
}

impl Literals {
    fn get(&self, text: &[u8]) -> Option<usize> {
        if text.len() > self.longest {
            return None;
        }
        self.places.get(text).copied()
    }

    fn insert(&mut self, text: Box<[u8]>, place: usize) {
        self.longest = self.longest.max(text.len());
        self.places.insert(text, place);
    }
}

/// A fast hash without a secret.
///
/// The tables hold only what the program registered, so a client cannot insert colliding keys. At worst it can request the fullest bucket
/// of a finished table: a bounded number of comparisons, each of which ends at the first byte that differs. The cost is proportional to the
/// length of the text, eight bytes a step.
#[derive(Clone, Copy, Default)]
struct TextHasher(u64);

impl TextHasher {
    fn mix(&mut self, word: u64) {
        // Two odd numbers without a pattern, from the digits of pi. The upper half of the product is folded into the
        // lower, since a table takes its index from the low bits and its tag from the high ones.
        let product = u128::from((self.0 ^ word).wrapping_add(0x243f_6a88_85a3_08d3)) * 0x1319_8a2e_0370_7345;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for TextHasher {
    fn write(&mut self, mut bytes: &[u8]) {
        while let Some((word, rest)) = bytes.split_first_chunk() {
            self.mix(u64::from_le_bytes(*word));
            bytes = rest;
        }
        let tail = match (bytes.first_chunk(), bytes.last_chunk()) {
            // Four to seven bytes as two overlapping words; the length, hashed too, tells how they overlap.
            (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)),
            _ => bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        self.mix(tail);
    }

    /// A slice hashes its length through this, which distinguishes texts that differ in zero bytes at the end.
    fn write_usize(&mut self, length: usize) {
        self.mix(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn new_end(ends: &mut Vec<End>) -> usize {
    ends.push(End::default());
    ends.len() - 1
}

/// Refuses methods for which no request could ever come.
fn refuse_unheard(method: &str) -> Result<()> {
    let upper = method.to_ascii_uppercase();
    match Method::of(upper.as_bytes()) {
        Method::Connect => Err(Error::invalid(format!("method \"{method}\": CONNECT is for proxies; the server itself answers it 501"))),
        // RFC 9110 9.1: "The method token is case-sensitive".
        known if known != Method::Other && upper != method => {
            Err(Error::invalid(format!("method \"{method}\": methods are case-sensitive, this one is {upper}")))
        }
        _ => Ok(()),
    }
}

/// Splits a pattern into steps and the names of its parameters.
fn parse(pattern: &str) -> Result<(Vec<Step>, Vec<String>)> {
    let refuse = |rule: &str| Error::invalid(format!("pattern \"{}\": {rule}", Shown(pattern.as_bytes())));
    let Some(inside) = pattern.strip_prefix('/') else {
        return Err(refuse("it must begin with '/'"));
    };
    if pattern.contains(['?', '#']) {
        return Err(refuse("a path must not hold '?' or '#'; as literals they are written %3F and %23"));
    }
    if pattern.contains(|c: char| c.is_ascii_control()) {
        return Err(refuse("a control character must be written as an escape"));
    }
    // RFC 3986 3.3: none of them is a pchar. In the patterns of others they stand around a parameter.
    if pattern.contains(['{', '}', '<', '>']) {
        return Err(refuse(
            "a parameter is written :name; '{', '}', '<' and '>' are not allowed in a path; as literals they are written as escapes, such as %7B",
        ));
    }

    let mut steps = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut segments = inside.split('/').peekable();
    while let Some(segment) = segments.next() {
        let (name, step) = if let Some(name) = segment.strip_prefix(':') {
            (Some(name), Step::Name)
        } else if let Some(name) = segment.strip_prefix('*') {
            if segments.peek().is_some() {
                return Err(refuse("a rest ('*') must be the last segment"));
            }
            (Some(name), Step::Rest)
        } else if segment.contains('*') {
            return Err(refuse("'*' may only begin the last segment; as a literal it is written %2A"));
        } else {
            let mut text = Vec::new();
            if !percent_decode_into(segment.as_bytes(), &mut text) {
                return Err(refuse("an escape must be '%' and two hexadecimal digits, and not %00"));
            }
            (None, Step::Literal(text))
        };
        if let Some(name) = name {
            let name = match segment {
                "*" => "*",
                _ if is_name(name) => name,
                _ => return Err(refuse("a name must be a letter or '_', followed by letters, digits and '_'")),
            };
            if names.iter().any(|earlier| earlier == name) {
                return Err(refuse(&format!("the name \"{name}\" appears twice")));
            }
            names.push(name.to_string());
        }
        steps.push(step);
    }
    Ok((steps, names))
}

/// The path that these steps match without decoding, if all are literals and there is such a path.
fn plain_path(steps: &[Step]) -> Option<Box<[u8]>> {
    let mut path = Vec::new();
    for step in steps {
        match step {
            // A slash or a percent sign inside a segment can only be sent as an escape.
            Step::Literal(text) if !text.contains(&b'/') && !text.contains(&b'%') => {
                path.push(b'/');
                path.extend_from_slice(text);
            }
            _ => return None,
        }
    }
    Some(path.into_boxed_slice())
}

/// RFC 9110 10.2.1: Allow = #method. HEAD follows from GET, and OPTIONS is answered everywhere.
fn allow_value<'m>(methods: impl Iterator<Item = &'m str>) -> String {
    let mut listed: BTreeSet<&str> = methods.collect();
    if listed.contains("GET") {
        listed.insert("HEAD");
    }
    listed.insert("OPTIONS");
    listed.into_iter().collect::<Vec<_>>().join(", ")
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[(&str, &str)]) -> Router {
        let mut router = Router::new();
        for (number, (method, pattern)) in routes.iter().enumerate() {
            assert_eq!(router.add(method, pattern).unwrap(), number);
        }
        router
    }

    fn router_of(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Router {
        let mut router = Router::new();
        for pattern in patterns {
            router.add("GET", pattern.as_ref()).unwrap();
        }
        router
    }

    /// What is found, in words: "GET /a/:x x=1", "405 GET, HEAD, OPTIONS", "404", "400".
    fn answer(router: &Router, method: &str, path: impl AsRef<[u8]>) -> String {
        answer_into(router, method, path.as_ref(), &mut Params::default())
    }

    fn answer_into(router: &Router, method: &str, path: &[u8], params: &mut Params) -> String {
        let found = router.find(method, path, params);
        if !matches!(found, Found::Route(_)) {
            assert!(params.is_empty());
        }
        match found {
            Found::Route(id) => {
                let route = router.route(id);
                assert_eq!(params.len(), route.param_names().len());
                let mut words = format!("{route:?}").replace('"', "");
                for (i, name) in route.param_names().iter().enumerate() {
                    words += &format!(" {name}={}", path[params.range(i).unwrap()].escape_ascii());
                }
                words
            }
            Found::MethodNotAllowed(allow) => format!("405 {allow}"),
            Found::NotFound => "404".into(),
            Found::BadPath => "400".into(),
        }
    }

    fn get(router: &Router, path: impl AsRef<[u8]>) -> String {
        answer(router, "GET", path)
    }

    fn refusal(router: &mut Router, method: &str, pattern: &str) -> String {
        let state = |router: &Router| (router.routes.len(), router.ends.len(), router.nodes.len(), router.deepest, router.all_methods());
        let before = state(router);
        let error = router.add(method, pattern).expect_err(pattern);
        assert_eq!(error.kind(), crate::error::Kind::Invalid);
        assert_eq!(before, state(router), "a refused route leaves no trace");
        error.to_string()
    }

    #[test]
    fn a_router_without_routes_finds_nothing() {
        let router = Router::new();
        assert_eq!(get(&router, "/"), "404");
        assert_eq!(get(&router, "/%zz"), "400");
        assert_eq!(router.all_methods(), "OPTIONS");
        assert_eq!(router.lookup("GET", "/"), None);
    }

    #[test]
    fn a_literal_beats_a_name_and_a_name_beats_a_rest() {
        let patterns = ["/a/*", "/a/:x", "/a/b", "/:x/b", "/:x/:y", "/*"];
        let mut reversed = patterns;
        reversed.reverse();
        for router in [router_of(patterns), router_of(reversed)] {
            assert_eq!(get(&router, "/a/b"), "GET /a/b");
            assert_eq!(get(&router, "/a/c"), "GET /a/:x x=c");
            assert_eq!(get(&router, "/a/c/d"), "GET /a/* *=c/d");
            assert_eq!(get(&router, "/a/"), "GET /a/* *=");
            assert_eq!(get(&router, "/c/b"), "GET /:x/b x=c");
            assert_eq!(get(&router, "/c/d"), "GET /:x/:y x=c y=d");
            assert_eq!(get(&router, "/c/d/e"), "GET /* *=c/d/e");
            assert_eq!(get(&router, "/a"), "GET /* *=a");
            assert_eq!(get(&router, "/"), "GET /* *=");
        }
    }

    #[test]
    fn the_first_segment_that_differs_decides() {
        let router = router_of(["/a/:x/:y", "/:x/b/c", "/a/*rest", "/:x/:y/d"]);
        assert_eq!(get(&router, "/a/b/c"), "GET /a/:x/:y x=b y=c");
        assert_eq!(get(&router, "/a/b/d"), "GET /a/:x/:y x=b y=d");
        assert_eq!(get(&router, "/e/b/c"), "GET /:x/b/c x=e");
        assert_eq!(get(&router, "/e/b/d"), "GET /:x/:y/d x=e y=b");
        assert_eq!(get(&router, "/a/b"), "GET /a/*rest rest=b");
    }

    #[test]
    fn a_search_returns_from_a_branch_that_does_not_lead_to_the_end() {
        let router = router_of(["/a/b/c/d", "/a/:x/c/e", "/:x/b/:y/f", "/:v/:w/:x/:y", "/a/b/*"]);
        assert_eq!(get(&router, "/a/b/c/d"), "GET /a/b/c/d");
        assert_eq!(get(&router, "/a/b/c/z"), "GET /a/b/* *=c/z");
        assert_eq!(get(&router, "/a/x/c/e"), "GET /a/:x/c/e x=x");
        assert_eq!(get(&router, "/a/x/c/f"), "GET /:v/:w/:x/:y v=a w=x x=c y=f");
        assert_eq!(get(&router, "/x/b/c/f"), "GET /:x/b/:y/f x=x y=c");
        assert_eq!(get(&router, "/x/b/c/g"), "GET /:v/:w/:x/:y v=x w=b x=c y=g");
        assert_eq!(get(&router, "/x/b/c"), "404");
    }

    #[test]
    fn names_and_rests_do_not_match_an_empty_segment() {
        let router = router_of(["/n/:x", "/n/:x/z", "/p/*", "/q/*rest"]);
        for path in ["/n/", "/n//z", "/n", "/n/a/", "/p", "/p//", "/p//x", "/q//", "//", "/"] {
            assert_eq!(get(&router, path), "404", "{path}");
        }
        assert_eq!(get(&router, "/p/"), "GET /p/* *=");
        assert_eq!(get(&router, "/p/x/"), "GET /p/* *=x/");
        assert_eq!(get(&router, "/p/x//y"), "GET /p/* *=x//y");
        assert_eq!(get(&router, "/q/"), "GET /q/*rest rest=");
    }

    #[test]
    fn an_empty_segment_in_a_pattern_is_a_literal() {
        let router = router_of(["/", "/a", "/a/", "/a//b", "//", "/a/*"]);
        for path in ["/", "/a", "/a/", "/a//b", "//"] {
            assert_eq!(get(&router, path), format!("GET {path}"));
        }
        assert_eq!(get(&router, "/a//c"), "404");
        assert_eq!(get(&router, "/a//b/"), "404");
        assert_eq!(get(&router, "///"), "404");
    }

    #[test]
    fn a_segment_of_the_path_is_decoded_once() {
        let router = router_of(["/a/b", "/:x", "/files/*", "/café", "/e/%41"]);
        assert_eq!(get(&router, "/%61/b"), "GET /a/b");
        assert_eq!(get(&router, "/a%2Fb"), "GET /:x x=a%2Fb");
        assert_eq!(get(&router, "/%2561"), "GET /:x x=%2561");
        assert_eq!(get(&router, "/%66iles/%61/b%20"), "GET /files/* *=%61/b%20");
        assert_eq!(get(&router, "/caf%c3%a9"), "GET /café");
        assert_eq!(get(&router, "/café"), "GET /café");
        assert_eq!(get(&router, "/e/A"), "GET /e/%41");
        assert_eq!(get(&router, "/e/%41"), "GET /e/%41");
        assert_eq!(get(&router, "/e/%2541"), "404");
        assert_eq!(get(&router, "/a+b"), "GET /:x x=a+b");
    }

    #[test]
    fn a_literal_of_a_pattern_is_decoded_once_too() {
        let router = router_of(["/a%2Fb", "/100%25", "/%2541", "/a b", "/%3Aid", "/%2A", "/x%3Fy%23", "/%2E."]);
        for (path, expected) in [
            ("/a%2Fb", "GET /a%2Fb"),
            ("/a%2fb", "GET /a%2Fb"),
            ("/a/b", "404"),
            ("/100%25", "GET /100%25"),
            ("/100%", "400"),
            // The decoded pattern reads "/%41", but so reads a path that means "/A".
            ("/%2541", "GET /%2541"),
            ("/%41", "404"),
            ("/a%20b", "GET /a b"),
            ("/:id", "GET /%3Aid"),
            ("/%3aid", "GET /%3Aid"),
            ("/*", "GET /%2A"),
            ("/x%3Fy%23", "GET /x%3Fy%23"),
            ("/..", "GET /%2E."),
        ] {
            assert_eq!(get(&router, path), expected, "{path}");
        }
    }

    #[test]
    fn an_invalid_escape_anywhere_is_a_bad_path() {
        let router = router_of(["/a", "/:x/y", "/files/*", "/*"]);
        for path in ["/%", "/%4", "/%zz", "/a%", "/a/%g0", "/files/a/%00/b", "/files/a/b%0", "/no/%00", "%zz", "/a%00"] {
            assert_eq!(get(&router, path), "400", "{path}");
            assert_eq!(answer(&router, "POST", path), "400", "{path}");
        }
    }

    #[test]
    fn escapes_beyond_the_longest_pattern_are_checked_too() {
        let router = router_of(["/f/*"]);
        for before in ["/f/a/b/c", "/%66/a/b/c", "/f/%61/b/c", "/none/a/b/c", "/%6e/a/b/c"] {
            for bad in ["%zz", "d/%00", "%", "d/e%4", "%41%4"] {
                assert_eq!(get(&router, format!("{before}/{bad}")), "400", "{before}/{bad}");
            }
        }
        assert_eq!(get(&router, "/f/a/b/c/%20"), "GET /f/* *=a/b/c/%20");
        assert_eq!(get(&router, "/%66/a/b/c/%20"), "GET /f/* *=a/b/c/%20");
    }

    #[test]
    fn a_path_that_does_not_begin_with_a_slash_is_not_found() {
        let router = router_of(["/", "/*", "/:x", "/a"]);
        for path in ["", "*", "a", "a/", "%61"] {
            assert_eq!(get(&router, path), "404", "{path:?}");
        }
    }

    #[test]
    fn any_bytes_may_stand_in_a_path() {
        let router = router_of(["/:x", "/f/*"]);
        assert_eq!(get(&router, b"/\xff\x01"), "GET /:x x=\\xff\\x01");
        assert_eq!(get(&router, b"/f/\x80/\xfe"), "GET /f/* *=\\x80/\\xfe");
        assert_eq!(get(&router, "/:x"), "GET /:x x=:x");
        assert_eq!(get(&router, "/f/*"), "GET /f/* *=*");
        assert_eq!(get(&router, "/.."), "GET /:x x=..");
    }

    #[test]
    fn a_method_is_found_by_name_then_head_as_get_then_any() {
        let router = router(&[("GET", "/a"), ("*", "/a"), ("GET", "/b"), ("HEAD", "/b"), ("*", "/c"), ("OPTIONS", "/d"), ("POST", "/d")]);
        for (method, path, expected) in [
            ("GET", "/a", "GET /a"),
            ("HEAD", "/a", "GET /a"),
            ("POST", "/a", "* /a"),
            ("OPTIONS", "/a", "* /a"),
            ("get", "/a", "* /a"),
            ("*", "/a", "* /a"),
            ("HEAD", "/b", "HEAD /b"),
            ("POST", "/b", "405 GET, HEAD, OPTIONS"),
            ("OPTIONS", "/b", "405 GET, HEAD, OPTIONS"),
            ("get", "/b", "405 GET, HEAD, OPTIONS"),
            ("*", "/b", "405 GET, HEAD, OPTIONS"),
            ("", "/b", "405 GET, HEAD, OPTIONS"),
            ("HEAD", "/c", "* /c"),
            ("OPTIONS", "/d", "OPTIONS /d"),
            ("HEAD", "/d", "405 OPTIONS, POST"),
            ("GET", "/d", "405 OPTIONS, POST"),
        ] {
            assert_eq!(answer(&router, method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_winning_pattern_alone_decides_on_the_method() {
        let router = router(&[("GET", "/a/:x"), ("POST", "/a/b"), ("*", "/*")]);
        assert_eq!(answer(&router, "GET", "/a/b"), "405 OPTIONS, POST");
        assert_eq!(answer(&router, "POST", "/a/c"), "405 GET, HEAD, OPTIONS");
        assert_eq!(answer(&router, "PUT", "/a/b/c"), "* /* *=a/b/c");
    }

    #[test]
    fn each_method_keeps_the_names_of_its_own_route() {
        let router = router(&[("GET", "/u/:id/*"), ("PUT", "/u/:user/*file"), ("*", "/u/:any/*rest")]);
        assert_eq!(answer(&router, "GET", "/u/1/x"), "GET /u/:id/* id=1 *=x");
        assert_eq!(answer(&router, "PUT", "/u/1/x"), "PUT /u/:user/*file user=1 file=x");
        assert_eq!(answer(&router, "DELETE", "/u/1/x"), "* /u/:any/*rest any=1 rest=x");
        assert_eq!(router.route(1).param_names(), ["user", "file"]);
    }

    #[test]
    fn allow_lists_each_method_once_in_alphabetical_order() {
        let router = router(&[("PUT", "/a"), ("HEAD", "/a"), ("GET", "/a"), ("DELETE", "/a"), ("POST", "/b/:x")]);
        assert_eq!(answer(&router, "PATCH", "/a"), "405 DELETE, GET, HEAD, OPTIONS, PUT");
        let mut params = Params::default();
        let Found::MethodNotAllowed(allow) = router.find(b"OPTIONS", b"/b/1", &mut params) else { panic!() };
        assert_eq!(allow.as_str(), "OPTIONS, POST");
        assert_eq!(allow.methods().collect::<Vec<_>>(), ["OPTIONS", "POST"]);
    }

    #[test]
    fn all_methods_are_those_of_all_routes() {
        let mut router = router(&[("PUT", "/a"), ("GET", "/b"), ("GET", "/c"), ("BREW", "/pot")]);
        assert_eq!(router.all_methods(), "BREW, GET, HEAD, OPTIONS, PUT");
        router.add("*", "/any").unwrap();
        assert_eq!(router.all_methods(), "BREW, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    }

    #[test]
    fn a_conflict_is_refused_and_names_both_routes() {
        for (first, second, words) in [
            (("GET", "/a"), ("GET", "/a"), r#"GET "/a" conflicts with GET "/a""#),
            (("GET", "/a/:id"), ("GET", "/a/:x"), r#"GET "/a/:x" conflicts with GET "/a/:id""#),
            (("GET", "/a/*x"), ("GET", "/a/*y"), r#"GET "/a/*y" conflicts with GET "/a/*x""#),
            (("GET", "/a/*"), ("GET", "/a/*y"), r#"GET "/a/*y" conflicts with GET "/a/*""#),
            (("*", "/:a/b/:c"), ("*", "/:x/b/:y"), r#"* "/:x/b/:y" conflicts with * "/:a/b/:c""#),
            (("GET", "/a%2fb"), ("GET", "/a%2Fb"), r#"GET "/a%2Fb" conflicts with GET "/a%2fb""#),
            (("GET", "/a b"), ("GET", "/%61%20b"), r#"GET "/%61%20b" conflicts with GET "/a b""#),
            (("GET", "/"), ("GET", "/"), r#"GET "/" conflicts with GET "/""#),
        ] {
            let mut router = router(&[("POST", "/other"), first]);
            assert_eq!(refusal(&mut router, second.0, second.1), words);
            assert_eq!(router.add("PUT", second.1).unwrap(), 2, "a refused route has no number");
        }
    }

    #[test]
    fn what_differs_in_more_than_names_does_not_conflict() {
        router(&[
            ("GET", "/a"),
            ("POST", "/a"),
            ("*", "/a"),
            ("brew", "/a"),
            ("BREW", "/a"),
            ("HEAD", "/a"),
            ("GET", "/a/"),
            ("GET", "/A"),
            ("GET", "/a/:x"),
            ("POST", "/a/:y"),
            ("GET", "/a/*x"),
            ("GET", "/a/x"),
            ("GET", "/:a/x"),
            ("GET", "/a%2Fx"),
            ("GET", "/*"),
        ]);
    }

    #[test]
    fn a_malformed_pattern_is_refused_by_name_and_rule() {
        let slash = "it must begin with '/'";
        let name = "a name must be a letter or '_', followed by letters, digits and '_'";
        let rest = "a rest ('*') must be the last segment";
        let star = "'*' may only begin the last segment; as a literal it is written %2A";
        let escape = "an escape must be '%' and two hexadecimal digits, and not %00";
        let query = "a path must not hold '?' or '#'; as literals they are written %3F and %23";
        let control = "a control character must be written as an escape";
        let parameter = "a parameter is written :name; '{', '}', '<' and '>' are not allowed in a path; as literals they are written as escapes, such as %7B";
        for (pattern, rule) in [
            ("/users/{id}", parameter),
            ("/users/<int:id>", parameter),
            ("/a{", parameter),
            ("/:id>", parameter),
            ("", slash),
            ("a", slash),
            ("*", slash),
            (":x", slash),
            ("http://a/", slash),
            ("/:", name),
            ("/:/a", name),
            ("/:1a", name),
            ("/:a-b", name),
            ("/:a.txt", name),
            ("/:é", name),
            ("/:*", name),
            ("/::a", name),
            ("/**", name),
            ("/*a*", name),
            ("/*1", name),
            ("/*a.b", name),
            ("/*/a", rest),
            ("/*/", rest),
            ("/a/*rest/b", rest),
            ("/*/*", rest),
            ("/a*", star),
            ("/a*b/c", star),
            ("/%", escape),
            ("/a%zz/b", escape),
            ("/%00", escape),
            ("/a?b=1", query),
            ("/:a?", query),
            ("/a#b", query),
            ("/:a/:a", "the name \"a\" appears twice"),
            ("/:rest/b/*rest", "the name \"rest\" appears twice"),
        ] {
            let mut router = router_of(["/other"]);
            assert_eq!(refusal(&mut router, "GET", pattern), format!("pattern \"{pattern}\": {rule}"));
        }
        let words = refusal(&mut Router::new(), "GET", "/a\nb");
        assert_eq!(words, format!("pattern \"/a\\nb\": {control}"));
        assert!(refusal(&mut Router::new(), "GET", &"x".repeat(10_000)).len() < 300);
    }

    #[test]
    fn a_method_is_a_token_of_any_case() {
        let mut router = Router::new();
        for method in ["GET", "brew", "M-SEARCH", "X!#$%&'*+-.^_`|~9", "*", "getter"] {
            router.add(method, "/").unwrap();
        }
        for method in ["", "G T", "GET ", "GET,PUT", "É", "A/B", "A:B", "\"", "GET\r\n"] {
            let words = refusal(&mut router, method, "/a");
            assert!(words.starts_with("method \"") && words.contains("is not a token"), "{words}");
        }
    }

    #[test]
    fn a_method_that_no_request_has_is_refused() {
        for (method, words) in [
            ("get", "method \"get\": methods are case-sensitive, this one is GET"),
            ("Patch", "method \"Patch\": methods are case-sensitive, this one is PATCH"),
            ("CONNECT", "method \"CONNECT\": CONNECT is for proxies; the server itself answers it 501"),
            ("connect", "method \"connect\": CONNECT is for proxies; the server itself answers it 501"),
        ] {
            assert_eq!(refusal(&mut Router::new(), method, "/a"), words);
        }
    }

    #[test]
    fn a_literal_may_have_colons_and_what_is_escaped() {
        let router = router_of(["/x:id", "/%7Bid%7D", "/a:"]);
        for path in ["/x:id", "/%7Bid%7D", "/%7bid%7d", "/a:"] {
            assert!(matches!(router.find("GET", path.as_bytes(), &mut Params::default()), Found::Route(_)), "{path}");
        }
    }

    #[test]
    fn a_route_is_looked_up_by_the_words_it_was_added_with() {
        let router = router(&[("GET", "/a/:x"), ("POST", "/a/:y"), ("*", "/a/*"), ("GET", "/%62")]);
        for (number, route) in router.routes().iter().enumerate() {
            assert_eq!(router.lookup(route.method(), route.pattern()), Some(number));
        }
        for (method, pattern) in [
            ("GET", "/a/:y"),
            ("PUT", "/a/:x"),
            ("*", "/a/:x"),
            ("GET", "/a/*"),
            ("*", "/a/*rest"),
            ("GET", "/b"),
            ("HEAD", "/a/:x"),
            ("GET", "/a"),
            ("GET", "malformed"),
            ("", ""),
        ] {
            assert_eq!(router.lookup(method, pattern), None, "{method} {pattern}");
        }
    }

    #[test]
    fn a_route_tells_what_was_registered() {
        let router = router(&[("GET", "/u/:id/%61/*")]);
        let route = router.route(0);
        assert_eq!((route.method(), route.pattern()), ("GET", "/u/:id/%61/*"));
        assert_eq!(route.param_names(), ["id", "*"]);
    }

    #[test]
    fn a_router_is_shared_by_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&Router::new());
    }

    /// How many nodes a search enters.
    fn entered(router: &Router, path: &str) -> usize {
        let mut params = Params::default();
        router.find("GET", path.as_bytes(), &mut params);
        params.entered
    }

    #[test]
    fn a_literal_path_is_one_look_up_and_no_walk() {
        for count in [10, 10_000] {
            let mut router = router_of((0..count).map(|i| format!("/api/v{}/thing{i}", i % 7)));
            router.add("GET", "/api/:version/*").unwrap();
            let mut params = Params::default();
            let found = router.find("GET", b"/api/v2/thing9", &mut params);
            assert_eq!((found, params.entered), (Found::Route(9), 0));
        }
    }

    #[test]
    fn the_cost_of_a_search_does_not_depend_on_the_number_of_routes() {
        let paths = ["/shop3/7/edit", "/shop3/7/view", "/shop9/", "/none/7/edit", "/shop%33/%37/edit", "/shop3/7/a/b/c"];
        let cost = |count: usize| {
            let mut router = Router::new();
            for i in 0..count {
                router.add("GET", &format!("/shop{i}/:item/edit")).unwrap();
                router.add("GET", &format!("/shop{i}/about")).unwrap();
            }
            router.add("GET", "/:shop/:item/view").unwrap();
            router.add("GET", "/*").unwrap();
            paths.map(|path| entered(&router, path))
        };
        let few = cost(10);
        assert_eq!(few, cost(10_000));
        assert_eq!(few[0], 4, "root, shop, item, edit");
        assert!(few.into_iter().all(|nodes| nodes <= 7), "{few:?}");
    }

    #[test]
    fn a_long_path_is_walked_no_deeper_than_the_longest_pattern() {
        let router = router_of(["/:a/:b/:c/:d/:e/x", "/a/a/a/a/a/y", "/a/:b/a/:d/z", "/f/*"]);
        let long = "/a".repeat(4_000);
        let mut params = Params::default();
        assert_eq!(answer_into(&router, "GET", long.as_bytes(), &mut params), "404");
        router.find("GET", long.as_bytes(), &mut params);
        assert!(params.segments.len() == 7 && params.entered <= 4 * 7, "{}", params.entered);
        assert_eq!(entered(&router, &"/".repeat(8_000)), 1);
        assert_eq!(entered(&router, &format!("/f{long}")), 2);
    }

    #[test]
    fn backtracking_enters_at_most_one_node_per_shape_and_level() {
        const DEPTH: usize = 20;
        // Pattern i has its literal at segment i: a search by trial of every choice would take 2^20 steps.
        let shapes = (0..DEPTH).map(|literal| {
            let segments = (0..DEPTH).map(|i| if i == literal { "/a".into() } else { format!("/:n{i}") });
            segments.collect::<String>() + "/x"
        });
        let router = router_of(shapes);
        let path = "/a".repeat(DEPTH);
        assert!(get(&router, format!("{path}/x")).starts_with("GET /a/:n1/"));
        assert_eq!(get(&router, format!("{path}/y")), "404");
        let nodes = entered(&router, &format!("{path}/y"));
        // All nodes but the 20 behind "x" are reached, each once.
        assert_eq!(nodes, router.nodes.len() - DEPTH);
        assert!((DEPTH..=DEPTH * (DEPTH + 2)).contains(&nodes), "{nodes}");
    }

    #[test]
    fn the_worst_table_costs_each_of_its_nodes_once() {
        // Every combination of literal and name over ten segments: 1,024 shapes, registered one by one.
        let router = router_of((0..1 << 10).map(|bits| {
            let segment = |i| if bits >> i & 1 == 1 { "/a".into() } else { format!("/:n{i}") };
            (0..10).map(segment).collect::<String>() + "/x"
        }));
        assert_eq!(entered(&router, &("/a".repeat(10) + "/y")), (1 << 11) - 1);
        assert_eq!(entered(&router, &("/a".repeat(10) + "/x/y")), router.nodes.len());
        // A path without the literals has but one way to go.
        assert_eq!(entered(&router, &("/b".repeat(10) + "/y")), 11);
    }

    #[test]
    fn a_search_leaves_the_buffers_of_the_one_before_in_use() {
        let router = router_of(["/:a/:b/*c", "/a/b/c/d"]);
        let mut params = Params::default();
        let paths: [&[u8]; 5] = [b"/%61/%62/%63/%64/%65/%66", b"/x/y/z", b"/a/b/c/d", b"/%zz", b"/none"];
        let capacities = |params: &Params| (params.spans.capacity(), params.segments.capacity(), params.decoded.capacity());
        router.find("GET", paths[0], &mut params);
        let grown = capacities(&params);
        for path in paths.iter().cycle().take(50) {
            router.find("GET", path, &mut params);
        }
        assert_eq!(capacities(&params), grown);
    }

    #[test]
    fn nothing_of_an_earlier_search_shows_in_a_later_one() {
        let router = router_of(["/:a/:b", "/%61/c", "/:a/:b/:c/x"]);
        let mut params = Params::default();
        for (path, expected) in [
            ("/%31/%32", "GET /:a/:b a=%31 b=%32"),
            ("/1/2", "GET /:a/:b a=1 b=2"),
            ("/a/c", "GET /%61/c"),
            ("/1/2/3/y", "404"),
            ("/%61/c", "GET /%61/c"),
            ("/%", "400"),
            ("/3/4", "GET /:a/:b a=3 b=4"),
        ] {
            assert_eq!(answer_into(&router, "GET", path.as_bytes(), &mut params), expected, "{path}");
        }
    }

    #[test]
    fn a_pattern_of_very_many_segments_is_no_trouble() {
        let deep: String = (0..5_000).map(|i| format!("/:n{i}")).collect();
        let router = router_of([deep + "/x"]);
        assert_eq!(entered(&router, &("/1".repeat(5_000) + "/y")), 5_001);
        assert_eq!(get(&router, "/1".repeat(5_000)), "404");
    }

    #[test]
    fn the_hash_spreads_texts_that_are_alike() {
        let hash = |text: &[u8]| {
            let mut hasher = TextHasher::default();
            std::hash::Hash::hash(text, &mut hasher);
            hasher.finish()
        };
        let texts = (0..4_096).map(|i| format!("/users/{i}"));
        let zeros = (0..40).map(|length| "\0".repeat(length));
        let hashes: Vec<u64> = texts.chain(zeros).map(|text| hash(text.as_bytes())).collect();
        // The low 12 bits choose a place: were they random, 4,136 texts would fill about 2,604 of 4,096 places.
        let places: BTreeSet<u64> = hashes.iter().map(|hash| hash & 4_095).collect();
        let tags: BTreeSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), hashes.len());
        assert!(places.len() > 2_400 && tags.len() == 128, "{} places, {} tags", places.len(), tags.len());
    }

    /// The definition at the top of this file, word by word: every pattern is tried, the most specific one is kept.
    mod definition {
        /// What a pattern is at each segment of the path (0 literal, 1 name, 2 rest), if it matches.
        fn ranks(pattern: &str, path: &str) -> Option<Vec<u8>> {
            let mut path: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
            let mut ranks = Vec::new();
            for segment in pattern[1..].split('/') {
                if segment.starts_with('*') {
                    let whole = path.join("/");
                    let fits = !path.is_empty() && (whole.is_empty() || !whole.starts_with('/'));
                    ranks.push(2);
                    return fits.then_some(ranks);
                }
                if path.is_empty() {
                    return None;
                }
                let text = path.remove(0);
                let name = segment.starts_with(':');
                if !(if name { !text.is_empty() } else { text.replace("%61", "a") == segment }) {
                    return None;
                }
                ranks.push(u8::from(name));
            }
            path.is_empty().then_some(ranks)
        }

        pub(super) fn find<'p>(patterns: &[&'p str], path: &str) -> Option<&'p str> {
            let matching = patterns.iter().filter_map(|pattern| Some((ranks(pattern, path)?, *pattern)));
            matching.min().map(|(_, pattern)| pattern)
        }
    }

    #[test]
    fn the_walk_agrees_with_the_definition() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        // xorshift: the same numbers in every run.
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % below
        };
        let mut text = |choices: &[&str], last: &[&str]| {
            let mut text: String = (0..random(5)).map(|_| format!("/{}", choices[random(choices.len())])).collect();
            text += &format!("/{}", last[random(last.len())]);
            text
        };
        let (mut found, mut missed) = (0, 0);
        for _ in 0..400 {
            let mut router = Router::new();
            for _ in 0..12 {
                // Names are numbered below, so that none appears twice.
                let drawn = text(&["a", "b", ":", ":", ""], &["a", "b", ":", "*", ""]);
                let mut pattern = String::new();
                for (i, part) in drawn.split(':').enumerate() {
                    pattern += &if i == 0 { part.to_string() } else { format!(":n{i}{part}") };
                }
                let _ = router.add("GET", &pattern); // a conflict is as good as a shorter table
            }
            let patterns: Vec<&str> = router.routes().iter().map(Route::pattern).collect();
            for _ in 0..60 {
                let path = text(&["a", "b", "c", "%61", ""], &["a", "b", "c", "%61", ""]);
                let mut params = Params::default();
                let own = match router.find("GET", path.as_bytes(), &mut params) {
                    Found::Route(id) => Some(router.route(id).pattern()),
                    Found::NotFound => None,
                    other => panic!("{path}: {other:?}"),
                };
                assert_eq!(own, definition::find(&patterns, &path), "{path} in {patterns:?}");
                assert!(params.entered <= router.nodes.len());
                *if own.is_some() { &mut found } else { &mut missed } += 1;
                // The parameters put back into the pattern give the path.
                if let Some(pattern) = own {
                    let mut values = (0..params.len()).map(|i| &path[params.range(i).unwrap()]);
                    let parts = pattern[1..]
                        .split('/')
                        .zip(path[1..].split('/'))
                        .map(|(part, literal)| if part.starts_with([':', '*']) { values.next().unwrap() } else { literal });
                    assert_eq!(parts.map(|part| format!("/{part}")).collect::<String>(), path, "{pattern}");
                }
            }
        }
        assert!(found > 5_000 && missed > 5_000, "{found} found, {missed} missed");
    }
}

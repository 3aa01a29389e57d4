//! The options of an app: one table of names, defaults and bounds.

use crate::error::{Error, Kind, Result, Shown};
use crate::http::headers;

/// One option that is a number.
struct Rule {
    name: &'static str,
    default: u64,
    most: u64,
}

/// Deadlines are compared modulo 2^32 ms, so none may be further away than half of that.
const MOST_MS: u64 = i32::MAX as u64;
const MOST_U32: u64 = u32::MAX as u64;
/// Offsets into a head are 32-bit numbers.
const MOST_HEAD: u64 = 1 << 30;

macro_rules! options {
    ($($(#[doc = $doc:literal])* $key:ident $name:literal = $default:expr, at most $most:expr;)*) => {
        /// The options that are numbers. Zero means zero, none or off.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Key { $($(#[doc = $doc])* $key,)* }

        const RULES: &[Rule] = &[$(Rule { name: $name, default: $default, most: $most },)*];
        const KEYS: &[Key] = &[$(Key::$key,)*];
    };
}

options! {
    /// Bytes of a request's body; more is 413. 10 MiB.
    MaxBodyBytes "max_body_bytes" = 10 << 20, at most i64::MAX as u64;
    /// Threads of the pool, which serve and run handlers; two per processor, at least 8. None: only threads that call `run` do.
    Threads "threads" = 0, at most 4096;
    /// Concurrent connections; more are answered 503. From RLIMIT_NOFILE.
    MaxConnections "max_connections" = 0, at most 1 << 20;
    /// Connections at a time from one address, or one /64 network of IPv6; more are answered 503. Off.
    MaxConnectionsPerIp "max_connections_per_ip" = 0, at most MOST_U32;
    /// Bytes of a head, with its request line and blank line; more is 431. 16 KiB.
    MaxHeaderBytes "max_header_bytes" = 16_384, at most MOST_HEAD;
    /// Field lines of a head; more is 431. 100.
    MaxHeaders "max_headers" = 100, at most MOST_U32;
    /// Bytes of a request target; more is 414. 8 KiB, the common limit of proxies.
    MaxTargetBytes "max_target_bytes" = 8192, at most MOST_HEAD;
    /// Time for a head, from its first byte; then 408. 10 s.
    HeaderTimeoutMs "header_timeout_ms" = 10_000, at most MOST_MS;
    /// Time without progress in a body; then 408. 30 s.
    BodyTimeoutMs "body_timeout_ms" = 30_000, at most MOST_MS;
    /// Time between requests; then the connection is closed. 30 s.
    IdleTimeoutMs "idle_timeout_ms" = 30_000, at most MOST_MS;
    /// Time in which the client takes nothing of an answer; then the connection is closed. 30 s.
    WriteTimeoutMs "write_timeout_ms" = 30_000, at most MOST_MS;
    /// Time to the first byte of a deferred answer; then 504. 60 s.
    ExchangeTimeoutMs "exchange_timeout_ms" = 60_000, at most MOST_MS;
    /// Requests on one connection; the last one's answer says close. Off.
    MaxRequestsPerConnection "max_requests_per_connection" = 0, at most MOST_U32;
    /// Connections that may wait to be accepted. 4096; the kernel caps it at net.core.somaxconn.
    Backlog "backlog" = 4096, at most i32::MAX as u64;
    /// 1: several processes may listen on one port, and share its connections. Off.
    ReusePort "reuse_port" = 0, at most 1;
    /// Bytes a second at which a body or an answer must move, after 5 s of grace; a slower one is cut off. 240.
    MinRateBytes "min_rate_bytes" = 240, at most MOST_U32;
    /// Bytes held for clients in all: unfinished requests, unsent answers; beyond it 503. 256 MiB.
    MaxBufferedBytes "max_buffered_bytes" = 256 << 20, at most i64::MAX as u64;
    /// Milliseconds for which a small file is served from memory before it is checked on disk again. 1 s; 0 keeps none.
    CacheMs "cache_ms" = 1000, at most MOST_MS;
    /// Bytes of a multipart form's files that stay in memory, further files go to disk; and of its fields, more is 413. 256 KiB.
    SpoolBytes "spool_bytes" = 256 << 10, at most 1 << 40;
    /// Parts of a multipart form; more is 413. 1000.
    MaxParts "max_parts" = 1000, at most MOST_U32;
    /// 1: answers are compressed for clients that accept it. On.
    Compress "compress" = 1, at most 1;
    /// Bytes of a deferred stream that may wait for its client; more is refused until there is room. 256 KiB.
    StreamBufferBytes "stream_buffer_bytes" = 256 << 10, at most i64::MAX as u64;
    /// Lanes: threads that receive and serve at a time, while others block. One for each processor.
    Lanes "lanes" = 0, at most 64;
    /// Microseconds between two checks for slow handlers; 0 treats every handler as blocking. 2 ms.
    TickUs "tick_us" = 2000, at most 1_000_000;
    /// Requests that may wait for the host's thread, or for a free one; more is 503. 1024.
    MaxQueued "max_queued" = 1024, at most MOST_U32;
    /// Seconds for which the kernel holds back a new connection until its first bytes arrive. 1.
    DeferAcceptS "defer_accept_s" = 1, at most 3600;
}

/// The values of all options.
#[derive(Clone, Debug)]
pub struct Options {
    numbers: Vec<u64>,
    /// Was max_connections set? Otherwise its default follows the number of threads.
    connections_set: bool,
    server_header: String,
    spool_directory: String,
}

impl Options {
    /// All defaults.
    pub fn new() -> Options {
        let numbers = RULES.iter().map(|rule| rule.default).collect();
        let mut options = Options { numbers, connections_set: false, server_header: "hasty".to_owned(), spool_directory: String::new() };
        options.numbers[Key::Threads as usize] = default_threads();
        options.numbers[Key::Lanes as usize] = processors().min(RULES[Key::Lanes as usize].most);
        options.numbers[Key::MaxConnections as usize] = default_connections(default_threads());
        options
    }

    /// The value of an option.
    pub fn get(&self, key: Key) -> u64 {
        self.numbers[key as usize]
    }

    /// The most that an option can be.
    pub(crate) fn most(&self, key: Key) -> u64 {
        RULES[key as usize].most
    }

    /// Sets an option that is a number.
    pub fn set(&mut self, key: Key, value: u64) -> Result<()> {
        self.numbers[key as usize] = Options::checked(key, value)?;
        self.connections_set |= key == Key::MaxConnections;
        if key == Key::Threads && !self.connections_set {
            self.numbers[Key::MaxConnections as usize] = default_connections(value);
        }
        Ok(())
    }

    /// The value, if it is within the option's bounds.
    pub(crate) fn checked(key: Key, value: u64) -> Result<u64> {
        let rule = &RULES[key as usize];
        if key == Key::Lanes && value == 0 {
            return Err(Error::fixed(Kind::Invalid, "option lanes = 0: it must be at least 1"));
        }
        if value > rule.most {
            return Err(Error::invalid(format!("option {} = {value} is more than {}", rule.name, rule.most)));
        }
        Ok(value)
    }

    /// What the `Server` field says; "" for no such field.
    pub fn server_header(&self) -> &str {
        &self.server_header
    }

    /// Sets what the `Server` field says; "" sends none.
    pub fn set_server_header(&mut self, value: &str) -> Result<()> {
        if !headers::is_value(value.as_bytes()) || headers::trim(value.as_bytes()).len() != value.len() {
            return Err(Error::invalid(format!(
                "option server_header = \"{}\" is not a field value: no control characters, no spaces around it",
                Shown(value.as_bytes())
            )));
        }
        value.clone_into(&mut self.server_header);
        Ok(())
    }

    /// The folder for large files of forms; "" is the system's for temporary files.
    pub fn spool_directory(&self) -> &str {
        &self.spool_directory
    }

    /// Sets the folder for large files of forms, which must exist; "" is the system's for temporary files.
    pub fn set_spool_directory(&mut self, path: &str) -> Result<()> {
        if !path.is_empty() && !std::path::Path::new(path).is_dir() {
            return Err(Error::invalid(format!("option spool_directory = \"{}\" is not a folder", Shown(path.as_bytes()))));
        }
        path.clone_into(&mut self.spool_directory);
        Ok(())
    }

    /// Sets an option by name and text, literally: "0" is zero, none or off.
    pub fn set_by_name(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "server_header" => self.set_server_header(value),
            "spool_directory" => self.set_spool_directory(value),
            _ => {
                let key = find(name)?;
                self.set(key, parse_number(key, value)?)
            }
        }
    }

    /// An option's value as text.
    pub fn get_by_name(&self, name: &str) -> Result<String> {
        match name {
            "server_header" => Ok(self.server_header.clone()),
            "spool_directory" => Ok(self.spool_directory.clone()),
            _ => Ok(self.get(find(name)?).to_string()),
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

fn find(name: &str) -> Result<Key> {
    let place = RULES.iter().position(|rule| rule.name == name);
    place.map(|place| KEYS[place]).ok_or_else(|| {
        let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        Error::new(
            Kind::NotFound,
            format!("there is no option \"{}\"; there are server_header, spool_directory, {}", Shown(name.as_bytes()), names.join(", ")),
        )
    })
}

/// A decimal number and nothing else, so that "10k" is refused rather than taken for 10.
pub(crate) fn parse_number(key: Key, value: &str) -> Result<u64> {
    let Rule { name, most, .. } = &RULES[key as usize];
    let least = u8::from(key == Key::Lanes);
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten().ok_or_else(|| {
        Error::invalid(format!("option {name} = \"{}\" is not a whole number from {least} to {most}", Shown(value.as_bytes())))
    })
}

/// A blocked thread serves no other request, so even with one processor there are eight.
fn default_threads() -> u64 {
    (2 * processors()).max(8).min(RULES[Key::Threads as usize].most)
}

fn processors() -> u64 {
    std::thread::available_parallelism().map_or(4, |processors| processors.get() as u64)
}

/// What RLIMIT_NOFILE allows, less a sixteenth (at least 32) for the files of the host, and two for each thread: one that streams
/// an answer or reads a body has another descriptor for its socket.
fn default_connections(threads: u64) -> u64 {
    let files = crate::server::open_file_limit();
    (files - files.min((files / 16).max(32) + 2 * threads)).clamp(1, RULES[Key::MaxConnections as usize].most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_rules_stand_in_the_same_order() {
        for (place, &key) in KEYS.iter().enumerate() {
            assert_eq!(key as usize, place);
        }
    }

    #[test]
    fn an_option_is_set_and_read_by_name() {
        let mut options = Options::new();
        options.set_by_name("max_headers", "7").unwrap();
        assert_eq!(options.get(Key::MaxHeaders), 7);
        assert_eq!(options.get_by_name("max_headers").unwrap(), "7");
        options.set_by_name("server_header", "").unwrap();
        assert_eq!(options.server_header(), "");
    }

    #[test]
    fn a_wrong_value_is_refused_by_name_and_rule() {
        let mut options = Options::new();
        for (name, value, words) in [
            ("max_headers", "ten", "max_headers = \"ten\""),
            ("max_headers", "", "not a whole number"),
            ("max_headers", "-1", "not a whole number from 0 to 4294967295"),
            ("threads", "-3", "threads = \"-3\" is not a whole number from 0 to 4096"),
            ("threads", "99999999999999999999", "from 0 to 4096"),
            ("compress", "on", "from 0 to 1"),
            ("lanes", "many", "from 1 to 64"),
            ("max_headers", "4294967296", "more than 4294967295"),
            ("idle_timeout_ms", "2147483648", "more than 2147483647"),
            ("server_header", "a\r\nb", "not a field value"),
        ] {
            let error = options.set_by_name(name, value).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(error.to_string().contains(words), "{error}");
        }
        let unknown = options.set_by_name("max_heeders", "1").unwrap_err();
        assert_eq!(unknown.kind(), Kind::NotFound);
        assert!(unknown.to_string().contains("max_headers"), "the names there are: {unknown}");
    }

    #[test]
    fn defaults_are_of_use() {
        let options = Options::new();
        assert!(options.get(Key::Threads) >= 8);
        assert!(options.get(Key::MaxConnections) >= 1);
    }
}

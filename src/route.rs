//! The registered routes, without their handlers: requests refer to them, even after the app was freed.

use crate::error::{Error, Kind, Result, Shown};
use crate::form::FormRules;
use crate::options::{Key, Options, parse_number};
use crate::text::Text;
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};

/// All routes, by the router's numbers.
pub(crate) struct Routes {
    list: Vec<Route>,
    /// The limits for forms.
    pub(crate) forms: FormRules,
}

impl Routes {
    pub(crate) fn new(list: Vec<Route>, forms: FormRules) -> Routes {
        Routes { list, forms }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Route> {
        self.list.iter()
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Route> {
        self.list.get(number)
    }
}

/// One route; its handler has the same number in `Service::handlers`.
pub(crate) struct Route {
    /// Ends with a NUL, for C.
    pattern: Vec<u8>,
    /// The names of its params, in the order of the pattern.
    pub(crate) param_names: Vec<String>,
    /// The `user_data` of a C program; NULL for Rust handlers. Atomic only to be Sync: it never changes.
    user_data: AtomicPtr<c_void>,
    /// The number of the call that registered it, from 0. The two routes of a folder share one.
    pub(crate) registration: u32,
    /// In place of the app's.
    pub(crate) max_body_bytes: Option<u64>,
    /// In place of the app's; zero is off.
    pub(crate) exchange_timeout_ms: Option<u32>,
    pub(crate) body: Delivery,
    /// Do its requests wait for one of the host's threads?
    pub(crate) is_for_caller: bool,
    /// Does its handler block?
    pub(crate) blocking: Blocking,
}

/// How a handler gets a request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Received in full before the handler runs; files of a form larger than `spool_bytes` are stored on disk.
    #[default]
    Buffer,
    /// Received in full and unparsed, even if it is a large form: for handlers that pass it to an application that parses forms itself.
    Whole,
    /// The handler reads it while it arrives.
    Stream,
}

/// Whether a program declares that a route's handler blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// Not declared: the server learns it.
    #[default]
    Auto,
    Yes,
    No,
}

impl Route {
    pub(crate) fn new(pattern: &str, param_names: Vec<String>, user_data: *mut c_void) -> Route {
        Route {
            pattern: [pattern.as_bytes(), b"\0"].concat(),
            param_names,
            user_data: AtomicPtr::new(user_data),
            registration: 0,
            max_body_bytes: None,
            exchange_timeout_ms: None,
            body: Delivery::Buffer,
            is_for_caller: false,
            blocking: Blocking::Auto,
        }
    }

    /// Sets an option by name and text. A route without a handler can only be left to the host's threads.
    pub(crate) fn set_option(&mut self, name: &str, value: &str, has_handler: bool) -> Result<()> {
        match name {
            "body" => {
                const MEANINGS: [Delivery; 3] = [Delivery::Buffer, Delivery::Whole, Delivery::Stream];
                let body = MEANINGS[parse_word(name, value, ["buffer", "whole", "stream"])?];
                refuse_stream_for_caller(body, self.is_for_caller)?;
                self.body = body;
            }
            "blocking" => {
                const MEANINGS: [Blocking; 3] = [Blocking::Auto, Blocking::Yes, Blocking::No];
                self.blocking = MEANINGS[parse_word(name, value, ["auto", "yes", "no"])?];
            }
            "dispatch" => {
                let for_caller = parse_word(name, value, ["pool", "caller"])? == 1;
                refuse_stream_for_caller(self.body, for_caller)?;
                if !for_caller && !has_handler {
                    return Err(Error::fixed(
                        Kind::Invalid,
                        "route option dispatch = \"pool\": this route has no handler for the pool to run",
                    ));
                }
                self.is_for_caller = for_caller;
            }
            "max_body_bytes" => self.max_body_bytes = Some(parse_checked(Key::MaxBodyBytes, value)?),
            "exchange_timeout_ms" => {
                let ms = parse_checked(Key::ExchangeTimeoutMs, value)?;
                self.exchange_timeout_ms = Some(u32::try_from(ms).unwrap_or(u32::MAX));
            }
            _ => {
                let words = format!(
                    "there is no route option \"{}\"; there are blocking, dispatch, body, max_body_bytes, exchange_timeout_ms",
                    Shown(name.as_bytes())
                );
                return Err(Error::new(Kind::NotFound, words));
            }
        }
        Ok(())
    }

    pub(crate) fn pattern(&self) -> Text<'_> {
        Text::new(&self.pattern)
    }

    pub(crate) fn user_data(&self) -> *mut c_void {
        self.user_data.load(Ordering::Relaxed)
    }
}

/// A number within the bounds of the app's option of the same name.
fn parse_checked(key: Key, value: &str) -> Result<u64> {
    Options::checked(key, parse_number(key, value)?)
}

/// The index of `value` among the words that the option allows.
fn parse_word<const N: usize>(name: &str, value: &str, words: [&str; N]) -> Result<usize> {
    words.iter().position(|&word| word == value).ok_or_else(|| {
        let words = words.join(", ");
        Error::invalid(format!("route option {name} = \"{}\" is none of {words}", Shown(value.as_bytes())))
    })
}

/// Refuses body = stream for routes of the host's threads: a request waits for such a thread only after its body has arrived.
fn refuse_stream_for_caller(body: Delivery, is_for_caller: bool) -> Result<()> {
    match body == Delivery::Stream && is_for_caller {
        true => Err(Error::fixed(Kind::Invalid, "a route cannot have both body = stream and dispatch = caller")),
        false => Ok(()),
    }
}

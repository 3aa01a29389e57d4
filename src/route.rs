//! The registered routes, but for their handlers: what a request may know of them, also after the app has gone.

use crate::form::FormRules;
use crate::text::Text;
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};

/// All routes, under the numbers that the router knows them by.
pub(crate) struct Routes {
    list: Vec<Route>,
    /// How the forms that they are sent are read.
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

/// What stands in `Service::handlers` under the same number is its handler.
pub(crate) struct Route {
    /// Ends with a NUL, for C.
    pattern: Vec<u8>,
    /// The names of its params, in the order of the pattern.
    pub(crate) param_names: Vec<String>,
    /// What a C program registered it with; NULL for Rust's. Never written again, atomic only to be shared.
    user_data: AtomicPtr<c_void>,
    /// In place of the app's.
    pub(crate) max_body_bytes: Option<u64>,
    /// In place of the app's; zero is off.
    pub(crate) exchange_timeout_ms: Option<u32>,
    /// Does the handler read the body itself, while it comes?
    pub(crate) streams_body: bool,
    /// Do its requests wait for a thread of the host's?
    pub(crate) is_for_caller: bool,
    /// Does its handler block?
    pub(crate) blocking: Blocking,
}

/// What a program says of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// It is learned.
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
            max_body_bytes: None,
            exchange_timeout_ms: None,
            streams_body: false,
            is_for_caller: false,
            blocking: Blocking::Auto,
        }
    }

    pub(crate) fn pattern(&self) -> Text<'_> {
        Text::new(&self.pattern)
    }

    pub(crate) fn user_data(&self) -> *mut c_void {
        self.user_data.load(Ordering::Relaxed)
    }
}

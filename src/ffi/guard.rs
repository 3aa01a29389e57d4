//! Translates results into return values, statuses and the last error for C, and catches panics.

use super::types::*;
use crate::error::{Error, Kind, Result};
use crate::service::panic_words;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// The return type of a call determines its value on failure: a status gives the reason, other types have an "absent" value.
pub(super) trait Answer {
    type Abi;
    fn done(self) -> Self::Abi;
    fn failed(error: Error) -> Self::Abi;
}

impl Answer for () {
    type Abi = hasty_status;
    fn done(self) -> hasty_status {
        HASTY_OK
    }
    fn failed(error: Error) -> hasty_status {
        let status = error.kind().code();
        remember(error);
        status
    }
}

impl Answer for hasty_str {
    type Abi = hasty_str;
    fn done(self) -> hasty_str {
        self
    }
    fn failed(_: Error) -> hasty_str {
        hasty_str::ABSENT
    }
}

/// A descriptor; on failure -1, and the last error gives the reason.
pub(super) struct Descriptor(pub(super) i32);

impl Answer for Descriptor {
    type Abi = i32;
    fn done(self) -> i32 {
        self.0
    }
    fn failed(error: Error) -> i32 {
        remember(error);
        -1
    }
}

macro_rules! nothing {
    ($type:ty, $nothing:expr $(, $generic:ident)?) => {
        impl$(<$generic>)? Answer for $type {
            type Abi = $type;
            fn done(self) -> $type {
                self
            }
            fn failed(_: Error) -> $type {
                $nothing
            }
        }
    };
}

nothing!(i32, 0);
nothing!(usize, 0);
nothing!(*const T, ptr::null(), T);
nothing!(*mut T, ptr::null_mut(), T);

/// Runs the body of an exported function. A panic becomes `HASTY_ERR_PANIC`, or the absent value of the return type.
pub(super) fn guard<T: Answer>(body: impl FnOnce() -> Result<T>) -> T::Abi {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value.done(),
        Ok(Err(error)) => failed::<T>(error),
        Err(panic) => panicked::<T>(panic),
    }
}

#[cold]
#[inline(never)]
fn failed<T: Answer>(error: Error) -> T::Abi {
    T::failed(error)
}

#[cold]
#[inline(never)]
fn panicked<T: Answer>(panic: Box<dyn std::any::Any + Send>) -> T::Abi {
    failed::<T>(Error::new(Kind::Panic, format!("a panic was caught: {}", panic_words(&*panic))))
}

/// The last error of a thread. Its text is formatted when it is read.
struct LastError {
    error: Option<Error>,
    text: Option<Vec<u8>>,
    /// How many errors there have been.
    count: u64,
}

thread_local! {
    static LAST: RefCell<LastError> = const { RefCell::new(LastError { error: None, text: None, count: 0 }) };
}

/// Makes `error` this thread's last error, unless it is a time-out or a closed connection: these are normal outcomes.
pub(super) fn remember(error: Error) {
    if !matches!(error.kind(), Kind::Timeout | Kind::Closed) {
        let _ = explain(error);
    }
}

/// The same for every kind. Returns the error that it takes the place of.
fn explain(error: Error) -> Option<LastError> {
    // In a thread-local destructor of an ending thread, LAST may be destroyed already.
    let explained = LAST.try_with(|last| {
        let count = last.borrow().count + 1;
        last.replace(LastError { error: Some(error), text: None, count })
    });
    explained.ok()
}

/// Runs a callback that asks why it was called. Afterwards this thread's last error is that of its last failing call again, since the call
/// that led to the callback, such as the end of an exchange, may succeed.
pub(super) fn explaining<R>(error: Error, callback: impl FnOnce() -> R) -> R {
    let before = explain(error);
    let explained = failures();
    let outcome = callback();
    if let Some(before) = before.filter(|_| failures() == explained) {
        let _ = LAST.try_with(|last| last.replace(LastError { count: explained, ..before }));
    }
    outcome
}

/// How many calls of this thread have failed so far.
pub(super) fn failures() -> u64 {
    LAST.try_with(|last| last.borrow().count).unwrap_or(0)
}

/// The last error, if it occurred after the first `before` failures and has this status.
pub(super) fn error_since(before: u64, status: hasty_status) -> Option<String> {
    let read = LAST.try_with(|last| {
        let last = last.borrow();
        let error = last.error.as_ref().filter(|error| last.count > before && error.kind().code() == status)?;
        Some(error.to_string())
    });
    read.ok().flatten()
}

/// The message of this thread's last error: absent before the first, valid until the next failing call.
pub(super) fn last_error() -> hasty_str {
    let read = LAST.try_with(|last| {
        let LastError { error, text, .. } = &mut *last.borrow_mut();
        match error {
            None => hasty_str::ABSENT,
            Some(error) => hasty_str::terminated(text.get_or_insert_with(|| format!("{error}\0").into_bytes())),
        }
    });
    read.unwrap_or(hasty_str::ABSENT)
}

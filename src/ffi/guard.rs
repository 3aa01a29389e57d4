//! Turns what happened inside into what C is told: values, statuses, the last error; panics stop here.

use super::types::*;
use crate::error::{Error, Kind, Result};
use crate::service::panic_words;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// What a failing call answers follows from its return type: a status says why, anything else is "nothing".
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

/// A descriptor. Where there is none it is -1, and the last error says why.
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

/// Runs the body of an exported function. A panic becomes `HASTY_ERR_PANIC`, or nothing.
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

/// The last failing call of a thread. The text is made when it is read.
struct LastError {
    error: Option<Error>,
    text: Option<Vec<u8>>,
    /// How many there have been.
    count: u64,
}

thread_local! {
    static LAST: RefCell<LastError> = const { RefCell::new(LastError { error: None, text: None, count: 0 }) };
}

/// Makes `error` this thread's last one. Time-outs and closed clients are news, not errors.
pub(super) fn remember(error: Error) {
    if !matches!(error.kind(), Kind::Timeout | Kind::Closed) {
        explain(error);
    }
}

/// The same, whatever it is: for a callback that asks why it was called.
pub(super) fn explain(error: Error) {
    // A thread that is ending, and calls from a destructor of its own, may have lost it already.
    let _ = LAST.try_with(|last| {
        let count = last.borrow().count + 1;
        last.replace(LastError { error: Some(error), text: None, count })
    });
}

/// How many calls of this thread have failed so far.
pub(super) fn failures() -> u64 {
    LAST.try_with(|last| last.borrow().count).unwrap_or(0)
}

/// The last error since there were `before` failures, if it has this status.
pub(super) fn error_since(before: u64, status: hasty_status) -> Option<String> {
    let read = LAST.try_with(|last| {
        let last = last.borrow();
        let error = last.error.as_ref().filter(|error| last.count > before && error.kind().code() == status)?;
        Some(error.to_string())
    });
    read.ok().flatten()
}

/// The words of this thread's last error: absent before the first, valid until the next failing call.
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

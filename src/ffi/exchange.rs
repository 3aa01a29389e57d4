//! `hasty_exchange_*`: a request and the answer that is owed for it.

use super::callback::{UserData, notice};
use super::guard::guard;
use super::handle::{self, Handle};
use super::response::{self, Answer};
use super::types::*;
use crate::error::Result;
use crate::exchange::Exchange;
use std::ffi::c_void;
use std::ptr;

/// An exchange, and the `Answer` to which its `hasty_response *` points.
pub(super) struct CExchange {
    exchange: Exchange,
    answer: Answer,
}

impl Handle for hasty_exchange {
    type Inner = CExchange;
    const NAME: &'static str = "exchange";
}

/// Defers the answer: it may be given later, by any thread.
///
/// The handler must then return `HASTY_OK` without touching `req` and `res` again: the exchange has its own. Views of `req`
/// expire when the handler returns; take them again from `hasty_exchange_request()`. In middleware it ends the chain. An open
/// exchange holds no thread. If nothing is sent within `exchange_timeout_ms`, the client gets a 504.
///
/// Until the handler has returned, nothing of the answer is sent, no time-out runs and no callback of the exchange is called:
/// never wait for the exchange there. With `dispatch = caller` bytes are sent at once, and the time-out counts from the arrival
/// of the request.
///
/// Ownership: `*out` is yours; end it with `hasty_exchange_finish()` or `hasty_exchange_free()`.
///
/// Errors: `HASTY_ERR_STATE` if it was deferred before, and outside of handlers and middleware; `HASTY_ERR_NULL`.
///
/// # Safety
/// `res` is NULL or the response of the current call; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_response_defer(res: *mut hasty_response, out: *mut *mut hasty_exchange) -> hasty_status {
    guard(|| {
        handle::need_out(out)?;
        // SAFETY: the caller vouches for a live `res`.
        let (request, res) = unsafe { response::parts(res) }?;
        let exchange = give(res.defer(request)?)?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, exchange) }
    })
}

/// Passes ownership of an exchange to C, which must end it.
pub(super) fn give(exchange: Exchange) -> Result<*mut hasty_exchange> {
    let exchange = handle::give(CExchange { exchange, answer: Answer::NONE });
    // SAFETY: it was just made, and no other pointer to it is in use yet.
    let inner = unsafe { handle::borrow_mut::<hasty_exchange>(exchange) }?;
    // Pointers into the exchange are made only now, when it no longer moves.
    let (request, res) = inner.exchange.parts();
    inner.answer = Answer::new(request, res);
    Ok(exchange)
}

/// Returns the request, as it was when it was deferred. Borrowed: valid until finish or free.
///
/// # Safety
/// `exchange` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_exchange_request(exchange: *const hasty_exchange) -> *const hasty_request {
    guard(|| {
        // SAFETY: the caller vouches for a live `exchange`.
        let exchange = unsafe { handle::borrow(exchange) }?;
        Ok(exchange.answer.request())
    })
}

/// Returns the response, to be filled in or written. Borrowed: valid until finish or free.
///
/// # Safety
/// `exchange` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_exchange_response(exchange: *mut hasty_exchange) -> *mut hasty_response {
    guard(|| {
        // SAFETY: the caller vouches for a live `exchange`.
        let exchange = unsafe { handle::borrow(exchange.cast_const()) }?;
        Ok(ptr::from_ref(&exchange.answer).cast_mut().cast::<hasty_response>())
    })
}

/// Sends the answer, or the end of what was written, and ends the exchange.
///
/// It sends on this thread what the client takes at once, and leaves the rest to the app's threads. It runs no handler.
/// If the handler that deferred has not returned yet, the answer is sent when it has.
///
/// Ownership: takes `exchange`, also on failure.
///
/// Errors: `HASTY_ERR_CLOSED` if nobody waits any more: the client has left, was answered by a time-out, or the app has
/// stopped. `HASTY_ERR_NULL`.
///
/// Threads: any, also the handler's own before it returns, and after `hasty_app_free()`.
///
/// # Safety
/// `exchange` is NULL or live, and nobody else uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_exchange_finish(exchange: *mut hasty_exchange) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for an exchange that was not ended.
        let exchange = unsafe { handle::take(exchange) }.ok_or_else(|| handle::null("exchange"))?;
        exchange.exchange.finish()
    })
}

/// Tells whether the client still waits: 0 once it has closed its side, was answered by a time-out, or the app has stopped.
///
/// # Safety
/// `exchange` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_exchange_alive(exchange: *const hasty_exchange) -> i32 {
    guard(|| {
        // SAFETY: the caller vouches for a live `exchange`.
        let exchange = unsafe { handle::borrow(exchange) }?;
        Ok(i32::from(exchange.exchange.is_alive()))
    })
}

/// Calls `gone` once when nobody waits for the answer any more: on one of the app's threads, or within this call if that is so already.
///
/// That is when the client has closed its side or the connection; and, with the client still there, when `exchange_timeout_ms` has
/// passed (it gets a 504), when it takes a stream more slowly than `write_timeout_ms` or `min_rate_bytes` allow (it is cut off), and
/// when the app stops, is drained or freed (it gets a 503, or the stream is cut). None of this is noticed before the handler that
/// deferred has returned.
///
/// `gone` never runs after `hasty_exchange_finish()` or `hasty_exchange_free()` has returned: those wait for a call in progress on
/// another thread, so do not hold a lock that `gone` takes. It may itself finish or free the exchange. A second registration
/// replaces the first. If the client has only closed its side, `hasty_exchange_finish()` still tries to send the answer.
///
/// Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `exchange` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_exchange_on_close(
    exchange: *mut hasty_exchange,
    gone: hasty_notify_fn,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for a live `exchange`.
        let exchange = unsafe { handle::borrow(exchange.cast_const()) }?;
        let function = gone.ok_or_else(|| handle::null("gone"))?;
        // It may be called at once, and end the exchange.
        let debt = exchange.exchange.debt();
        debt.on_close(Box::new(notice(function, user_data)));
        Ok(())
    })
}

/// Calls `ready` once when there is room to write more: on one of the app's threads, or within this call if there is room already.
///
/// Use it after `hasty_response_write()` has returned `HASTY_ERR_LIMIT`. `ready` is also called when nobody waits for the answer
/// any more. It never runs after finish or free has returned. A second registration replaces the first. No room is made before
/// the handler that deferred has returned.
///
/// Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
///
/// Errors: `HASTY_ERR_NULL`.
///
/// # Safety
/// `exchange` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_exchange_on_ready(
    exchange: *mut hasty_exchange,
    ready: hasty_notify_fn,
    user_data: *mut c_void,
    drop: hasty_drop,
) -> hasty_status {
    let user_data = UserData::new(user_data, drop);
    guard(|| {
        // SAFETY: the caller vouches for a live `exchange`.
        let exchange = unsafe { handle::borrow(exchange.cast_const()) }?;
        let function = ready.ok_or_else(|| handle::null("ready"))?;
        // It may be called at once, and end the exchange.
        let debt = exchange.exchange.debt();
        debt.on_ready(Box::new(notice(function, user_data)));
        Ok(())
    })
}

/// Ends an exchange without an answer: the client gets a 503, or in the middle of a stream the connection is cut.
///
/// Nothing happens for NULL.
///
/// Threads: any, also after `hasty_app_free()`.
///
/// # Safety
/// `exchange` is NULL or live, and nobody else uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_exchange_free(exchange: *mut hasty_exchange) {
    guard(|| {
        // SAFETY: the caller vouches for an exchange that was not ended.
        drop(unsafe { handle::take(exchange) });
        Ok(())
    });
}

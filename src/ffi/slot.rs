//! `hasty_slot_*`: one request and its answer in a struct, for languages that pay for every call and argument.

use super::app::{CApp, timeout};
use super::exchange;
use super::guard::guard;
use super::handle;
use super::types::*;
use crate::app::end_of;
use crate::error::{Error, Kind, Result};
use crate::request::{Peer, Request};
use crate::response::Response;
use crate::server::{Next, Taken};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::{OsStr, c_char};
use std::mem::offset_of;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

/// If an app has more slots than this, waiting slots release the memory of their last request.
const WAITING_SLOTS: usize = 256;
/// Memory that a slot keeps from request to request.
const KEPT_BYTES: usize = 16 * 1024;

/// The library's data for the slots of an app, by the slots' addresses.
#[derive(Default)]
pub(super) struct Slots {
    all: Mutex<AllClaimed>,
}

#[derive(Default)]
struct AllClaimed {
    by_address: BTreeMap<usize, Option<Box<Claimed>>>,
    /// The last ticket that was issued.
    tickets: u64,
}

/// The request in a slot.
#[derive(Default)]
struct Claimed {
    ticket: u64,
    request: Option<(Taken, Instant)>,
    /// The memory to which the slot's texts point: one allocation, reused for later requests.
    texts: Vec<u8>,
    /// The positions of the texts, then the head and the client and route from which they were made.
    places: Texts,
    head: Vec<u8>,
    asker: Option<(Peer, Option<usize>)>,
    /// The first ticket of the current run of requests with equal texts.
    alike: u64,
}

impl Slots {
    /// Calls `run` with a slot's data, created if there is none, and a new ticket. If `run` fails, the data is dropped unless it still
    /// holds a request; if there merely was no request to take, it is kept for up to `WAITING_SLOTS` slots.
    fn with<R>(&self, slot: *const hasty_slot, run: impl FnOnce(&mut Claimed, u64) -> Result<R>) -> Result<R> {
        let (mut claimed, ticket) = {
            let AllClaimed { by_address, tickets } = &mut *self.all.lock();
            *tickets += 1;
            (by_address.entry(slot.addr()).or_default().take().unwrap_or_default(), *tickets)
        };
        // No lock is held during `run`, which may call the host's middleware and log functions.
        let outcome = run(&mut claimed, ticket);
        let found_none = matches!(&outcome, Err(error) if error.kind() == Kind::Timeout);
        let mut all = self.all.lock();
        let waits = found_none && claimed.asker.is_some() && all.by_address.len() <= WAITING_SLOTS;
        if outcome.is_ok() || claimed.request.is_some() || waits {
            all.by_address.insert(slot.addr(), Some(claimed));
        } else {
            all.by_address.remove(&slot.addr());
            // Unlock first: dropping `claimed` may drop a request, which may call a function of the host.
            drop(all);
        }
        outcome
    }
}

impl Claimed {
    /// Takes the request for which the ticket was issued.
    fn redeem(&mut self, ticket: u64) -> Result<(Taken, Instant)> {
        let known = if ticket == self.ticket { self.request.take() } else { None };
        known.ok_or_else(|| Error::invalid(format!("slot ticket {ticket}: no answer is owed for it; only hasty_slot_take sets it")))
    }
}

/// Submits the answer in the slot, if one is owed, and takes the next request. It never waits.
///
/// Set `slot->size` and `slot->app`, initialise all other fields to 0, and do not move the slot. On `HASTY_OK` it holds a
/// request: `ticket` is not 0, `route` is the number of the successful call that registered the route, from 0 (folders and health
/// reports count), the texts end with NUL and are valid until the next take, and the answer's fields are preset to 200, UTF-8 text,
/// empty. Fill those in and call again.
///
/// `kind` says what `reply` is; with `HASTY_KIND_FILE` it is a path, with `HASTY_KIND_NONE` there is no body. `content_type`
/// overrides the type, `extra_headers` is lines of "Name: value". All three are borrowed until the next take. An answer that
/// cannot be sent becomes a 500 and a log message. Answers are held back only while the next request is known to be answered
/// quickly, and never before one whose route has the option `blocking` "yes".
///
/// A `hasty_slot_more`, recognised by its `size`, also has the client's address and the version of HTTP.
///
/// Errors: `HASTY_ERR_TIMEOUT` if no request waits, `HASTY_ERR_CLOSED` once the app has stopped: in both cases the answer was
/// submitted, and `ticket` is 0. `HASTY_ERR_INVALID` for a wrong size or ticket; `HASTY_ERR_STATE` before start, inside a callback of
/// the app, and for an app whose requests are taken by `hasty_app_poll()` or `hasty_app_next()`; `HASTY_ERR_NULL`.
///
/// With `threads` none the request has no `exchange_timeout_ms`: nobody else looks at its connection.
///
/// Threads: any, each with a slot of its own.
///
/// # Safety
/// `slot` is NULL or a struct of `slot->size` bytes whose pointers are as said above, and nobody else uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_slot_take(slot: *mut hasty_slot) -> hasty_status {
    // SAFETY: as the caller vouches.
    guard(|| unsafe { take(slot, ptr::null()) })
}

/// The same as `hasty_slot_take()`, called with an object that refers to the slot.
///
/// It is for hosts whose runtime can call a C function with one of its own objects at much lower cost than with an address. In CPython
/// it can serve as a type's truth-value slot (`nb_bool`), whose call takes a twentieth of one through libffi.
///
/// If the slot has no `reply` and `object->reply` is not NULL, the latter gives the reply. The returned status is also stored in
/// `object->status`.
///
/// Errors: as `hasty_slot_take()`; `HASTY_ERR_NULL`.
///
/// Threads: any, each with a slot of its own.
///
/// # Safety
/// `object` is NULL or a struct whose `slot` is as `hasty_slot_take()` wants it and whose `reply` is as said at the fields, and
/// nobody else uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_slot_take_object(object: *mut hasty_slot_object) -> hasty_status {
    if object.is_null() {
        return guard(|| handle::need(object, "object"));
    }
    // SAFETY: not NULL, and the caller vouches for it.
    let slot = unsafe { (*object).slot };
    // SAFETY: the caller vouches for the slot and the object.
    let status = guard(|| unsafe { take(slot, object) });
    // SAFETY: as above; `take` may have called back into the host, but it has returned, and no reference to the object remains.
    unsafe { object.wrapping_byte_add(offset_of!(hasty_slot_object, status)).cast::<hasty_status>().write(status) };
    status
}

/// Submits the answer in a slot, if one is owed, and takes the next request.
///
/// # Safety
/// `place` is as `hasty_slot_take()` requires; `object` is NULL or as `hasty_slot_take_object()` requires.
unsafe fn take(place: *mut hasty_slot, object: *const hasty_slot_object) -> Result<()> {
    // SAFETY: the caller vouches for the slot.
    let (slot, app) = unsafe { open(place) }?;
    // A callback below may free the app: from here on only `visit` and `slots` are used.
    // The slots are dropped before the visit, which answers the requests that they leave unanswered.
    let visit = app.app.visit_with_slot()?;
    let slots = Arc::clone(&app.slots);
    slots.with(ptr::from_ref(slot), |claimed, ticket| {
        let mut next = Next::Unknown;
        if slot.ticket != 0 {
            let (taken, began) = claimed.redeem(slot.ticket)?;
            slot.ticket = 0;
            let answer: &hasty_slot = slot;
            // SAFETY: the caller vouches for the object.
            let reply = unsafe { reply(answer, object) };
            // SAFETY: the caller vouches for what the answer's fields point to.
            next = visit.submit(taken, began, |_, response| unsafe { fill(answer, reply, response) });
        }
        let taken = visit.take(next)?;
        claimed.ticket = ticket;
        let (request, alike) = claim(slot, claimed, taken);
        // SAFETY: the caller vouches for `size` bytes and exclusive use; the reference `slot` is not used again.
        unsafe { tell_more(place, slot.size, request, alike) };
        Ok(())
    })
}

/// The reply's address and length, from the slot, or else from the object.
///
/// # Safety
/// `object` is NULL or as `hasty_slot_take_object()` requires.
unsafe fn reply(slot: &hasty_slot, object: *const hasty_slot_object) -> (*const u8, u64) {
    let own = (slot.reply, slot.reply_len);
    // SAFETY: as the caller vouches.
    let Some(object) = (unsafe { object.as_ref() }) else { return own };
    if !slot.reply.is_null() || object.reply.is_null() {
        return own;
    }
    let reply = object.reply.cast::<u8>();
    // SAFETY: the caller vouches for a readable length of 8 bytes at `length_at` in the reply.
    let length = unsafe { reply.wrapping_add(object.length_at as usize).cast::<u64>().read_unaligned() };
    (reply.wrapping_add(object.bytes_at as usize), length)
}

/// Waits until `hasty_slot_take()` would take a request. A signal ends it early.
///
/// With `threads` none it does the app's work meanwhile.
///
/// Errors: `HASTY_ERR_TIMEOUT` if none came within `timeout_ms`, or a signal or `hasty_app_wake()` did; otherwise as
/// `hasty_slot_take()`.
///
/// Threads: any, each with a slot of its own.
///
/// # Safety
/// `slot` is NULL or a struct of `slot->size` bytes, and nobody else uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_slot_wait(slot: *mut hasty_slot, timeout_ms: i32) -> hasty_status {
    guard(|| {
        // SAFETY: the caller vouches for `slot`.
        let (_, app) = unsafe { open(slot) }?;
        app.app.visit_with_slot()?.wait(end_of(timeout(timeout_ms)))
    })
}

/// Turns the request in the slot into an exchange, to be answered later; `ticket` becomes 0.
///
/// The slot's `request`, `method_text`, `path`, `query` and `body` now refer to the exchange. Other views of the request expire:
/// take them again.
///
/// Ownership: `*out` is yours; end it with `hasty_exchange_finish()` or `hasty_exchange_free()`.
///
/// Errors: `HASTY_ERR_STATE` if there is no request in the slot, and inside a callback of the app; `HASTY_ERR_INVALID` for a wrong
/// size or ticket; `HASTY_ERR_NULL`.
///
/// # Safety
/// `slot` is NULL or a struct of `slot->size` bytes, and nobody else uses it; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hasty_slot_exchange(slot: *mut hasty_slot, out: *mut *mut hasty_exchange) -> hasty_status {
    guard(|| {
        handle::need_out(out)?;
        // SAFETY: the caller vouches for `slot`.
        let (slot, app) = unsafe { open(slot) }?;
        if slot.ticket == 0 {
            return Err(Error::fixed(Kind::State, "there is no request in this slot"));
        }
        let visit = app.app.visit_with_slot()?;
        let (taken, _) = app.slots.with(ptr::from_ref(slot), |claimed, _| claimed.redeem(slot.ticket))?;
        slot.ticket = 0;
        let kept = visit.keep(taken).inspect_err(|_| hide(slot))?;
        show(slot, kept.request());
        let exchange = exchange::give(kept)?;
        // SAFETY: the caller vouches for a writable `out`.
        unsafe { handle::write(out, exchange) }
    })
}

/// The slot, and its app.
///
/// # Safety
/// `slot` is NULL or a struct of `slot->size` bytes that is accessed only through the result during `'a`; its `app` is NULL or live.
unsafe fn open<'a>(slot: *mut hasty_slot) -> Result<(&'a mut hasty_slot, &'a CApp)> {
    handle::need(slot, "slot")?;
    // SAFETY: not NULL, and the caller vouches that it begins with its size.
    let size = unsafe { slot.cast::<usize>().read() };
    if size < size_of::<hasty_slot>() || size > handle::MAX_OPTIONS_SIZE {
        return Err(Error::invalid(format!("hasty_slot.size = {size}: it must be sizeof(hasty_slot), {} here", size_of::<hasty_slot>())));
    }
    // SAFETY: the caller vouches for `size` bytes, which suffice, and any bytes are a valid `hasty_slot`.
    let slot = unsafe { &mut *slot };
    // SAFETY: the caller vouches for a live `app`.
    let app = unsafe { handle::borrow(slot.app.cast_const()) }?;
    Ok((slot, app))
}

/// Puts a request into the slot.
fn claim<'c>(slot: &mut hasty_slot, claimed: &'c mut Claimed, taken: Taken) -> (&'c Request, u64) {
    let (taken, _) = claimed.request.insert((taken, Instant::now()));
    let request = taken.request();
    let asker = Some((request.peer(), request.route_number()));
    // Most clients send the same head again and again, so texts are rebuilt only for a different one.
    if claimed.asker != asker || claimed.head != request.head_bytes() {
        claimed.head.clear();
        claimed.head.shrink_to(KEPT_BYTES);
        claimed.texts.clear();
        claimed.texts.shrink_to(KEPT_BYTES);
        claimed.head.extend_from_slice(request.head_bytes());
        claimed.asker = asker;
        claimed.alike = claimed.ticket;
        claimed.places = Texts::of(request, &mut claimed.texts);
    }
    let texts = &claimed.places;
    let at = |start: usize| claimed.texts[start..].as_ptr().cast::<c_char>();
    *slot = hasty_slot {
        ticket: claimed.ticket,
        route: request.registered().and_then(|route| i32::try_from(route.registration).ok()).unwrap_or(-1),
        method: request.known_method() as i32,
        user_data: request.registered().map_or(ptr::null_mut(), |route| route.user_data()),
        params: at(0),
        header_names: at(texts.names),
        header_values: at(texts.values),
        params_len: texts.params_len as u64,
        header_count: request.header_count() as u64,
        status: 200,
        kind: HASTY_KIND_TEXT,
        content_type: ptr::null(),
        extra_headers: ptr::null(),
        extra_headers_len: 0,
        reply: ptr::null(),
        reply_len: 0,
        ..*slot
    };
    show(slot, request);
    (request, claimed.alike)
}

/// Fills the additional fields of a longer slot.
///
/// # Safety
/// `place` is writable for `size` bytes.
unsafe fn tell_more(place: *mut hasty_slot, size: usize, request: &Request, alike: u64) {
    let remote_v4: u32 = match request.peer() {
        Peer::Ip(IpAddr::V4(address)) => address.into(),
        _ => 0,
    };
    if size >= offset_of!(hasty_slot_more, alike) {
        let version = place.wrapping_byte_add(offset_of!(hasty_slot_more, minor_version)).cast::<i32>();
        // SAFETY: the field lies before `alike`, so within `size`.
        unsafe { version.write(request.minor_version().into()) };
        let remote = place.wrapping_byte_add(offset_of!(hasty_slot_more, remote_v4)).cast::<u32>();
        // SAFETY: as above.
        unsafe { remote.write(remote_v4) };
    }
    if size >= size_of::<hasty_slot_more>() {
        let place = place.wrapping_byte_add(offset_of!(hasty_slot_more, alike)).cast::<u64>();
        // SAFETY: the whole struct is within `size`.
        unsafe { place.write(alike) };
    }
}

/// Clears the slot's view of the request.
fn hide(slot: &mut hasty_slot) {
    slot.request = ptr::null();
    (slot.method_text, slot.path, slot.query) = (EMPTY.as_ptr().cast(), EMPTY.as_ptr().cast(), EMPTY.as_ptr().cast());
    (slot.path_len, slot.query_len, slot.body_len) = (0, 0, 0);
    slot.body = EMPTY.as_ptr();
}

/// Points the slot to the texts that lie in the request itself.
fn show(slot: &mut hasty_slot, request: &Request) {
    let (method, path, query, body) = (request.method(), request.path(), request.query_string(), request.body());
    slot.request = ptr::from_ref(request).cast();
    slot.method_text = method.with_nul().as_ptr().cast();
    slot.path = path.with_nul().as_ptr().cast();
    slot.path_len = path.bytes().len() as u64;
    slot.query = query.map_or(EMPTY.as_ptr(), |query| query.with_nul().as_ptr()).cast();
    slot.query_len = query.map_or(0, |query| query.bytes().len() as u64);
    slot.body = body.with_nul().as_ptr();
    slot.body_len = body.bytes().len() as u64;
}

const EMPTY: &[u8] = b"\0";

/// The positions of the texts that are made for a slot.
#[derive(Default)]
struct Texts {
    params_len: usize,
    names: usize,
    values: usize,
}

impl Texts {
    /// Writes the texts: params, header names and header values, each separated by line feeds and terminated by a NUL.
    fn of(request: &Request, out: &mut Vec<u8>) -> Texts {
        out.clear();
        for param in request.raw_params() {
            out.extend_from_slice(param);
            out.push(b'\n');
        }
        let params_len = end_lines(out, 0);
        let names = out.len();
        for index in 0..request.header_count() {
            if let Some((name, _)) = request.header_at(index) {
                out.extend(name.bytes().iter().map(u8::to_ascii_lowercase));
                out.push(b'\n');
            }
        }
        end_lines(out, names);
        let values = out.len();
        for index in 0..request.header_count() {
            if let Some((_, value)) = request.header_at(index) {
                out.extend_from_slice(value.bytes());
                out.push(b'\n');
            }
        }
        end_lines(out, values);
        Texts { params_len, names, values }
    }
}

/// Replaces the last line feed since `start` by a NUL; returns the length without it.
fn end_lines(out: &mut Vec<u8>, start: usize) -> usize {
    match out.len() > start {
        true => out.pop(),
        false => None,
    };
    out.push(0);
    out.len() - 1 - start
}

/// Fills a response from the slot.
///
/// # Safety
/// The reply and the pointers of the answer's fields are NULL or as their lengths say, and `content_type` is NULL or NUL-terminated.
unsafe fn fill(slot: &hasty_slot, (reply, length): (*const u8, u64), response: &mut Response) -> Result<()> {
    response.set_status(slot.status)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    // SAFETY: the caller vouches for the reply.
    let reply = unsafe { handle::bytes(reply.cast(), length, "reply") }?;
    match slot.kind {
        HASTY_KIND_TEXT => response.send_text(reply),
        HASTY_KIND_HTML => response.send_html(reply),
        HASTY_KIND_JSON => response.send_json(reply),
        HASTY_KIND_BYTES => response.send(reply),
        HASTY_KIND_FILE => response.send_file(OsStr::from_bytes(reply)),
        HASTY_KIND_NONE => Ok(()),
        kind => Err(Error::invalid(format!("slot kind {kind} is none of HASTY_KIND_*"))),
    }?;
    if !slot.content_type.is_null() {
        // SAFETY: the caller vouches for a NUL-terminated `content_type`.
        response.set_type(unsafe { handle::text(slot.content_type, "content_type") }?)?;
    }
    let length = usize::try_from(slot.extra_headers_len).unwrap_or(usize::MAX);
    // SAFETY: the caller vouches for the headers.
    let headers = unsafe { handle::bytes(slot.extra_headers.cast(), length, "extra_headers") }?;
    for line in headers.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        add_header(response, line.strip_suffix(b"\r").unwrap_or(line))?;
    }
    Ok(())
}

fn add_header(response: &mut Response, line: &[u8]) -> Result<()> {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return Err(Error::invalid(format!("extra header \"{}\" has no colon", crate::error::Shown(line))));
    };
    let (name, value) = (&line[..colon], crate::http::headers::trim(&line[colon + 1..]));
    // Content-Type replaces the one set by `kind`; other headers may be repeated.
    if name.eq_ignore_ascii_case(b"content-type") { response.set_header(name, value) } else { response.add_header(name, value) }
}

//! A connection while its handler sends or receives and waits for the client: streams, and bodies that a handler reads itself.

use super::answer;
use super::control::Control;
use super::deferred::Deferred;
use super::engine::Engine;
use super::pace::Pace;
use super::pool::shift_here;
use super::sending::{Sent, send_output};
use super::slab::Id;
use super::sys::event::{Readiness, Waited, wait_ready};
use crate::error::{Error, Kind, Result};
use crate::exchange::Exchange;
use crate::line::{Line, Wire};
use crate::output::Output;
use crate::request::Request;
use crate::response::Response;
use crate::service::Service;
use crate::stream::Stream;
use socket2::SockRef;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The minimum rate is enforced only after this much waiting.
const RATE_GRACE: Duration = Duration::from_secs(5);

const GONE: Error = Error::fixed(Kind::Closed, "the client has left");
const SLOW: Error = Error::fixed(Kind::Timeout, "the body came more slowly than body_timeout_ms or min_rate_bytes allow");
pub(super) const UNTAKEN: Error = Error::fixed(Kind::Timeout, "the client took nothing for write_timeout_ms, or less than min_rate_bytes");
pub(super) const FULL: Error =
    Error::fixed(Kind::Limit, "more than stream_buffer_bytes waits for the client; on_ready of an exchange tells when there is room");
const CROWDED: Error = Error::fixed(
    Kind::Limit,
    "more than stream_buffer_bytes waits for the client, and no thread is free to serve others meanwhile; \
     with blocking = yes the route's requests wait for a thread first",
);
const STOPPED: Error = Error::fixed(Kind::Closed, "the app has stopped");

/// The engine, as its requests reach it.
pub(super) struct EngineLine(Weak<Engine>);

impl EngineLine {
    pub(super) fn new(engine: &Arc<Engine>) -> EngineLine {
        EngineLine(Arc::downgrade(engine))
    }

    /// The engine, and the connection's ticket there.
    fn engine(&self, request: &Request) -> Result<(Arc<Engine>, u64)> {
        let engine = self.0.upgrade().ok_or(STOPPED)?;
        let (_, ticket) = request.line().ok_or(STOPPED)?;
        // A handler that forks and continues in the child has the request there, but not the client.
        if engine.service.control.is_forked() { Err(STOPPED) } else { Ok((engine, ticket)) }
    }

    fn wire(&self, request: &Request) -> Result<(Arc<Engine>, DirectWire)> {
        let (engine, ticket) = self.engine(request)?;
        // A duplicate, so that its number cannot come to mean another connection while the handler uses it.
        let socket = engine.slab.duplicate(Id::from_token(ticket)).map_err(|error| Error::io("dup", &error))?.ok_or(GONE)?;
        let (service, name) = (Arc::clone(&engine.service), Arc::as_ptr(&engine).addr());
        // A handler on a host's thread holds no lane, so nothing is learned from its waits.
        let route = request.route_number().filter(|_| !request.is_for_caller());
        let wire = DirectWire { socket, service, engine: name, route, kept: 0, input: Patience::default(), output: Patience::default() };
        Ok((engine, wire))
    }
}

impl Line for EngineLine {
    fn begin_stream(&self, request: &Request, response: &mut Response) -> Result<()> {
        let (engine, wire) = self.wire(request)?;
        begin(&engine.service, request, response, Box::new(wire))
    }

    fn open(&self, request: &Request) -> Result<Box<dyn Wire>> {
        Ok(Box::new(self.wire(request)?.1))
    }

    fn defer(&self, request: &Request, response: &mut Response) -> Result<Exchange> {
        let (engine, ticket) = self.engine(request)?;
        Ok(Deferred::begin(&engine, Id::from_token(ticket), request, response))
    }

    fn let_go(&self) {
        if let Some(engine) = self.0.upgrade() {
            engine.let_go();
        }
    }
}

/// Writes the head, and begins a stream that sends its body through `wire`.
pub(super) fn begin(service: &Service, request: &Request, response: &mut Response, wire: Box<dyn Wire>) -> Result<()> {
    let encoder = service.dress_stream(request, response)?;
    let ending = answer::ending(request, response);
    let last = request.is_last() || service.control.is_ending() || response.wants_close();
    let last = last || ending == crate::stream::Ending::Close || request.note_answered();
    let mut out = std::mem::take(&mut response.out);
    answer::write_stream_head(service, request, response, &mut out, last);
    response.out = out;
    response.start(Stream::new(ending, last, wire, encoder));
    Ok(())
}

/// The socket itself.
struct DirectWire {
    socket: OwnedFd,
    service: Arc<Service>,
    /// The engine's address, by which the thread's shift is found.
    engine: usize,
    /// The route whose handler waits.
    route: Option<usize>,
    /// How many bytes are buffered because the thread may not wait.
    kept: usize,
    input: Patience,
    output: Patience,
}

/// How much longer a client may be waited for at the minimum rate. Each byte adds to it, up to the longest pause, as in `Pace`.
pub(super) struct Patience {
    left: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { left: RATE_GRACE }
    }
}

impl Patience {
    pub(super) fn moved(&mut self, bytes: usize, pause_ms: u32, pace: &Pace) {
        let bought = (bytes as u64).saturating_mul(1000).checked_div(u64::from(pace.min_rate)).unwrap_or(0);
        let most = Duration::from_millis(u64::from(pause_ms)).max(RATE_GRACE);
        self.left = (self.left + Duration::from_millis(bought.min(most.as_millis() as u64))).min(most);
    }

    /// Waits for the client, at most `pause_ms`. False: the time is up. The client may have taken a little all the same, since the kernel
    /// reports room for output only when there is much.
    pub(super) fn wait(
        &mut self,
        socket: BorrowedFd<'_>,
        readiness: Readiness,
        pause_ms: u32,
        pace: &Pace,
        control: &Control,
        too_slow: Error,
    ) -> Result<bool> {
        let pause = (pause_ms > 0).then(|| Duration::from_millis(u64::from(pause_ms)));
        let rated = (pace.min_rate > 0).then_some(self.left);
        let most = [pause, rated].into_iter().flatten().min();
        let began = Instant::now();
        let waited = wait_ready(socket, readiness, most, Some(control.as_fd()));
        self.left = self.left.saturating_sub(began.elapsed());
        match waited {
            Waited::Other => Err(STOPPED),
            _ if rated.is_some() && self.left.is_zero() => Err(too_slow),
            waited => Ok(waited == Waited::Ready),
        }
    }
}

impl DirectWire {
    /// May this thread wait? It gives its lane away first; if no thread can take the lane, other requests would wait too.
    fn may_wait(&self) -> bool {
        shift_here(self.engine).is_none_or(|shift| shift.step_aside())
    }

    fn wait(&mut self, readiness: Readiness, pause_ms: u32, too_slow: Error) -> Result<bool> {
        let patience = match readiness {
            Readiness::Input => &mut self.input,
            Readiness::Output => &mut self.output,
        };
        // A stop ends every wait.
        patience.wait(self.socket.as_fd(), readiness, pause_ms, &self.service.pace, &self.service.control, too_slow)
    }

    /// The handler writes more than the client takes at once. Its route is considered blocking from now on: its handlers give their lane away
    /// before they begin, or are queued, so that they do not run out of threads in the middle of an answer.
    fn note_slow_client(&self) {
        if let Some(route) = self.route {
            self.service.habits.note_overrun(route, true);
        }
    }
}

impl Wire for DirectWire {
    fn make_room(&mut self, bytes: usize) -> Result<()> {
        if self.kept == 0 || self.kept + bytes <= self.service.stream_buffer_bytes || self.may_wait() { Ok(()) } else { Err(CROWDED) }
    }

    fn send(&mut self, out: &mut Output) -> Result<()> {
        let mut in_time = true;
        loop {
            // Otherwise a stop would wait for an endless stream.
            if self.service.control.is_stopping() {
                return Err(STOPPED);
            }
            let before = out.sent();
            let sent = send_output(self.socket.as_fd(), out).map_err(|_| GONE)?;
            let count = out.sent() - before;
            let pace = &self.service.pace;
            self.output.moved(count, pace.write_ms, pace);
            if matches!(sent, Sent::Blocked) {
                self.note_slow_client();
            }
            match sent {
                Sent::All => {
                    out.clear();
                    self.kept = 0;
                    return Ok(());
                }
                Sent::Enough => {}
                Sent::Blocked if count == 0 && !in_time => return Err(UNTAKEN),
                Sent::Blocked if !self.may_wait() => {
                    self.kept = out.len();
                    return Ok(());
                }
                Sent::Blocked => in_time = self.wait(Readiness::Output, self.service.pace.write_ms, UNTAKEN)?,
            }
        }
    }

    fn receive(&mut self, into: &mut [u8]) -> Result<usize> {
        let mut in_time = true;
        loop {
            match (&*SockRef::from(&self.socket)).read(into) {
                Ok(count) => {
                    self.input.moved(count, self.service.pace.body_ms, &self.service.pace);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && in_time => {
                    // If it cannot be given away, the lookout or the next idle thread takes the lane over.
                    self.may_wait();
                    in_time = self.wait(Readiness::Input, self.service.pace.body_ms, SLOW)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(SLOW),
                Err(_) => return Err(GONE),
            }
        }
    }
}

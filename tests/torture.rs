//! Lanes that change hands all the time: with a tick of 50 us every handler that spins or sleeps loses its lane, while
//! clients pipeline, dawdle and vanish. Each request carries a number, each answer must carry the same one, and in the end
//! nothing is left. Alone in its file, since it counts the threads and descriptors of the process.
//!
//! `TORTURE_SEED=7 cargo test --test torture` has other requests; each run prints its seed.

mod support;

use hasty::{App, Exchange, Request, Response};
use parking_lot::Mutex;
use socket2::SockRef;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use support::{Client, Logs, Random, Server, await_that, pattern, shown};

/// Twice this is the longest that a handler may take before its lane is taken over.
const TICK: Duration = Duration::from_micros(50);
const CLIENTS: u64 = 10;
const FINISHERS: usize = 3;
/// Of all answers of a batch together there is less than the sockets hold, so that a client may write all of it first.
const MOST_BATCH: usize = 12;
const MOST_BYTES: usize = 6000;
/// More than the sockets hold: who does not read it makes the server wait.
const LARGE_BYTES: usize = 3 << 20;

/// The routes, by what their handlers do. What they are asked for is `/name/number/amount`.
const ROUTES: &[(&str, &str, Do)] = &[
    ("quick", "auto", Do::Nothing),
    // Learned, and forgotten, since some of them are short.
    ("spin", "auto", Do::Spin),
    ("sleep", "auto", Do::Sleep),
    // Never learned: each of these loses its lane.
    ("busy", "no", Do::Spin),
    ("doze", "no", Do::Sleep),
    // Handed over before, though some of them are quick.
    ("wait", "yes", Do::Sleep),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Do {
    Nothing,
    Spin,
    Sleep,
}

impl Do {
    fn for_micros(self, micros: u64) {
        let time = Duration::from_micros(micros);
        let begin = Instant::now();
        match self {
            Do::Nothing => {}
            Do::Spin => while begin.elapsed() < time {},
            Do::Sleep => thread::sleep(time),
        }
    }
}

/// A request, and what answers it.
struct Asked {
    bytes: Vec<u8>,
    body: Vec<u8>,
}

/// One client's requests: all of them have different numbers.
struct Asking {
    random: Random,
    client: u64,
    count: u64,
}

impl Asking {
    fn new(seed: u64, client: u64) -> Asking {
        Asking { random: Random::new(seed.wrapping_mul(0x1_0001) + client), client, count: 0 }
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.client << 32 | self.count
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.below(end)
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// How long a handler takes.
    fn micros(&mut self, what: Do) -> usize {
        match what {
            Do::Nothing => 0,
            _ if self.one_in(4) => 0,
            Do::Spin => 100 + self.below(400),
            Do::Sleep if self.one_in(3) => 1000 + self.below(9000),
            Do::Sleep => 1000 + self.below(1500),
        }
    }

    /// Any request whose answer is short.
    fn request(&mut self) -> Asked {
        match self.below(16) {
            0 => self.upload(MOST_BYTES),
            1 => self.mirror(),
            2 => self.get("later", &[0, 0, 1, 3, 9]),
            3 => self.get("events", &[0, 1, 4, 20]),
            4 => self.get("written", &[0, 1, 700, MOST_BYTES]),
            5 | 6 => self.worked(3),
            7 => self.worked(4),
            8 => self.worked(1),
            9 | 10 => self.worked(2),
            11 => self.worked(5),
            _ => self.worked(0),
        }
    }

    fn worked(&mut self, route: usize) -> Asked {
        let (name, _, what) = ROUTES[route];
        let amount = self.micros(what);
        self.get(name, &[amount])
    }

    fn get(&mut self, name: &str, amounts: &[usize]) -> Asked {
        let amount = amounts[self.below(amounts.len())];
        let number = self.number();
        let bytes = format!("GET /{name}/{number}/{amount} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        Asked { bytes, body: answer_to(name, number, amount) }
    }

    /// A body that its handler reads piece by piece.
    fn upload(&mut self, most: usize) -> Asked {
        let amount = self.below(most);
        let number = self.number();
        let bytes = self.framed(&format!("/upload/{number}/{amount}"), &pattern(amount + 77)[77..]);
        Asked { bytes, body: answer_to("upload", number, amount) }
    }

    /// A body that comes back.
    fn mirror(&mut self) -> Asked {
        let number = self.number();
        let at = self.below(1 << 20);
        let mut body = format!("mirror {number} ").into_bytes();
        body.extend_from_slice(&pattern(at + MOST_BYTES)[at..][..self.below(MOST_BYTES)]);
        Asked { bytes: self.framed(&format!("/mirror/{number}/0"), &body), body }
    }

    fn framed(&mut self, target: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!("POST {target} HTTP/1.1\r\nHost: a\r\n").into_bytes();
        if self.one_in(2) {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
            return bytes;
        }
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for piece in body.chunks(1 + body.len() / (1 + self.below(6))) {
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }

    fn batch(&mut self) -> Vec<Asked> {
        (0..1 + self.below(MOST_BATCH)).map(|_| self.request()).collect()
    }
}

/// What the routes that are asked by GET, and `upload`, answer.
fn answer_to(name: &str, number: u64, amount: usize) -> Vec<u8> {
    let mut body = format!("{name} {number} {amount}").into_bytes();
    match name {
        "events" => return format!("data: {number}\n\n").repeat(amount).into_bytes(),
        "written" | "large" => body.extend_from_slice(pattern(amount)),
        _ => {}
    }
    body
}

/// What the handlers know.
#[derive(Default)]
struct Seen {
    /// The requests that have reached their handlers: none does so twice.
    ran: Mutex<HashSet<u64>>,
    /// Those of them that were long enough to lose a lane.
    overran: AtomicUsize,
    answered: AtomicU64,
}

impl Seen {
    fn note(&self, number: u64) {
        assert!(self.ran.lock().insert(number), "request {number} has reached its handler twice");
    }
}

fn numbers(request: &Request) -> (u64, usize) {
    let param = |name: &[u8]| String::from_utf8_lossy(request.param(name).expect("the pattern has it").bytes()).into_owned();
    (param(b"number").parse().expect("a number"), param(b"amount").parse().expect("an amount"))
}

/// An exchange that somebody else finishes.
type Later = (Exchange, u64, usize, bool);

fn routes(app: &App, seen: &Arc<Seen>, later: Sender<Later>) {
    for &(name, blocking, what) in ROUTES {
        let seen = Arc::clone(seen);
        let path = format!("/{name}/:number/:amount");
        let handler = move |request: &Request, response: &mut Response| {
            let (number, amount) = numbers(request);
            seen.note(number);
            let begin = Instant::now();
            what.for_micros(amount as u64);
            if begin.elapsed() > 3 * TICK {
                seen.overran.fetch_add(1, Ordering::Relaxed);
            }
            response.send_text(&answer_to(name, number, amount))
        };
        app.get(&path, handler).expect("new");
        app.set_route_option("GET", &path, "blocking", blocking).expect("an option");
    }
    let known = Arc::clone(seen);
    app.post("/upload/:number/:amount", move |request: &Request, response: &mut Response| {
        let (number, amount) = numbers(request);
        known.note(number);
        let (mut body, mut piece) = (Vec::new(), [0; 10_000]);
        loop {
            match request.read(&mut piece)? {
                0 => break,
                count => body.extend_from_slice(&piece[..count]),
            }
        }
        let name = if body == pattern(amount + 77)[77..] { "upload" } else { "another body" };
        response.send_text(&answer_to(name, number, amount))
    })
    .expect("new");
    app.set_route_option("POST", "/upload/:number/:amount", "body", "stream").expect("an option");
    let known = Arc::clone(seen);
    app.post("/mirror/:number/:amount", move |request: &Request, response: &mut Response| {
        known.note(numbers(request).0);
        response.send(request.body().bytes())
    })
    .expect("new");
    let known = Arc::clone(seen);
    app.get("/written/:number/:amount", move |request: &Request, response: &mut Response| {
        let (number, amount) = numbers(request);
        known.note(number);
        answer_to("written", number, amount).chunks(1 + amount / 3).try_for_each(|piece| response.write(request, piece))
    })
    .expect("new");
    let known = Arc::clone(seen);
    app.get("/large/:number/:amount", move |request: &Request, response: &mut Response| {
        let (number, amount) = numbers(request);
        known.note(number);
        response.send(&answer_to("large", number, amount))
    })
    .expect("new");
    let later = Arc::new(Mutex::new(later));
    for (path, streams) in [("/later/:number/:amount", false), ("/events/:number/:amount", true)] {
        let (known, later) = (Arc::clone(seen), Arc::clone(&later));
        app.get(path, move |request: &Request, response: &mut Response| {
            let (number, amount) = numbers(request);
            known.note(number);
            let later = later.lock();
            later.send((response.defer(request)?, number, amount, streams)).map_err(|_| hasty::Error::invalid("the test has ended"))
        })
        .expect("new");
    }
}

/// Finishes what was deferred, in whatever order. Clients may have left.
fn finish(later: &Mutex<Receiver<Later>>) {
    loop {
        let taken = later.lock().recv();
        let Ok((mut exchange, number, amount, streams)) = taken else { return };
        if streams {
            let event = number.to_string();
            let wrote = (0..amount).try_for_each(|_| exchange.write_event(None, Some(event.as_bytes()), None));
            let _ = wrote.and_then(|()| exchange.write(b"")).and_then(|()| exchange.finish());
            continue;
        }
        thread::sleep(Duration::from_millis(amount as u64));
        exchange.response_mut().send_text(&answer_to("later", number, amount)).expect("an answer");
        let _ = exchange.finish();
    }
}

/// One client, for as long as it is wanted.
struct Visitor<'a> {
    server: &'a Server,
    seen: &'a Seen,
    asking: Asking,
}

impl Visitor<'_> {
    fn visit(&mut self) {
        match self.asking.below(13) {
            0 => self.reset_in_the_middle(),
            1 => self.leave_with_half_a_request(),
            2 => self.leave_without_reading(),
            3 => self.say_that_it_was_all(),
            4 if self.asking.one_in(3) => self.read_slowly(),
            5 => self.upload_slowly(),
            6 => self.come_in_numbers(),
            7 => self.vanish_from_an_exchange(),
            _ => self.talk(),
        }
    }

    /// Several batches on one connection.
    fn talk(&mut self) {
        let mut client = self.server.connect();
        for _ in 0..1 + self.asking.below(5) {
            let batch = self.asking.batch();
            self.send(&mut client, &batch);
            self.expect(&mut client, &batch);
        }
        client.half_close();
        client.expect_end();
    }

    /// Writes requests one by one, all at once, or cut anywhere.
    fn send(&mut self, client: &mut Client, batch: &[Asked]) {
        let bytes: Vec<u8> = batch.iter().flat_map(|asked| asked.bytes.iter().copied()).collect();
        let most = [bytes.len(), bytes.len(), 1000, 60][self.asking.below(4)];
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, left) = rest.split_at((1 + self.asking.below(most)).min(rest.len()));
            client.send(piece);
            rest = left;
        }
    }

    /// The answers to these come, in this order.
    fn expect(&self, client: &mut Client, batch: &[Asked]) {
        for (at, asked) in batch.iter().enumerate() {
            let whole = client.try_streamed();
            self.judge(whole.map(|streamed| streamed.answer), asked, at);
        }
    }

    fn judge(&self, answer: Result<support::Answer, String>, asked: &Asked, at: usize) {
        let told = |why: String| -> ! { panic!("{why}; asked at place {at}: {}", shown(&asked.bytes)) };
        let answer = answer.unwrap_or_else(|why| told(why));
        if answer.status != 200 || answer.body != asked.body {
            told(format!("{answer:?} where {} was expected", shown(&asked.body)));
        }
        self.seen.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads some answers or none, and ends with a reset.
    fn reset_in_the_middle(&mut self) {
        let mut client = self.server.connect();
        let batch = self.asking.batch();
        self.send(&mut client, &batch);
        let read = self.asking.below(batch.len() + 1);
        self.expect(&mut client, &batch[..read]);
        self.dawdle();
        reset(client);
    }

    fn leave_with_half_a_request(&mut self) {
        let mut client = self.server.connect();
        let batch = self.asking.batch();
        let (last, before) = batch.split_last().expect("a batch is not empty");
        self.send(&mut client, before);
        client.send(&last.bytes[..self.asking.below(last.bytes.len())]);
        self.expect(&mut client, before);
        if self.asking.one_in(2) {
            reset(client);
        }
    }

    /// Closes at once. Unread answers make a reset of it, sooner or later.
    fn leave_without_reading(&mut self) {
        let mut client = self.server.connect();
        let batch = self.asking.batch();
        self.send(&mut client, &batch);
        self.dawdle();
    }

    /// Who says that nothing follows is answered all the same.
    fn say_that_it_was_all(&mut self) {
        let mut client = self.server.connect();
        let batch = self.asking.batch();
        self.send(&mut client, &batch);
        client.half_close();
        self.expect(&mut client, &batch);
        client.expect_end();
    }

    /// Takes its time with more than the sockets hold: the server has to wait for it, in its handler or behind it.
    fn read_slowly(&mut self) {
        let mut client = self.server.connect_narrow();
        let name = ["large", "written"][self.asking.below(2)];
        let batch = [self.asking.get(name, &[LARGE_BYTES]), self.asking.request()];
        self.send(&mut client, &batch);
        let mut taken = Vec::new();
        for _ in 0..self.asking.below(20) {
            thread::sleep(Duration::from_millis(2));
            taken.extend(client.take(4000));
        }
        if self.asking.one_in(3) {
            return reset(client);
        }
        client.put_back(taken);
        self.expect(&mut client, &batch);
    }

    /// A body that comes in pieces, behind which others wait.
    fn upload_slowly(&mut self) {
        let mut client = self.server.connect();
        let batch = [self.asking.request(), self.asking.upload(100_000), self.asking.request()];
        let bytes: Vec<u8> = batch.iter().flat_map(|asked| asked.bytes.iter().copied()).collect();
        let end = if self.asking.one_in(3) { self.asking.below(bytes.len()) } else { bytes.len() };
        for piece in bytes[..end].chunks(1 + end / 15) {
            client.send(piece);
            thread::sleep(Duration::from_micros(300));
        }
        if end < bytes.len() {
            return if self.asking.one_in(2) {
                reset(client)
            };
        }
        self.expect(&mut client, &batch);
    }

    /// Many connections that are all there before the first of them is answered.
    fn come_in_numbers(&mut self) {
        let mut crowd: Vec<_> = (0..12).map(|_| (self.server.connect(), vec![self.asking.request()])).collect();
        for (client, batch) in &mut crowd {
            client.send(&batch[0].bytes);
        }
        for (client, batch) in &mut crowd {
            self.expect(client, batch);
        }
    }

    /// Leaves while another thread is about to answer.
    fn vanish_from_an_exchange(&mut self) {
        let mut client = self.server.connect();
        let batch = [self.asking.get("later", &[0, 1, 2]), self.asking.request()];
        self.send(&mut client, &batch);
        self.dawdle();
        if self.asking.one_in(2) {
            reset(client);
        }
    }

    fn dawdle(&mut self) {
        thread::sleep(Duration::from_micros([0, 50, 500, 3000][self.asking.below(4)]));
    }
}

fn reset(client: Client) {
    SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    drop(client);
}

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).expect("Linux").count()
}

fn tasks() -> usize {
    count("/proc/self/task")
}

fn descriptors() -> usize {
    count("/proc/self/fd")
}

/// Tortures an app until so many handlers have overrun, or the time is over; gives how many have.
fn torture(seed: u64, threads: usize, lanes: usize, enough: usize, most: Duration) -> usize {
    let options = [
        ("threads", &*threads.to_string()),
        ("lanes", &*lanes.to_string()),
        ("tick_us", &*TICK.as_micros().to_string()),
        ("max_connections", "2000"),
    ];
    let seen = Arc::new(Seen::default());
    let (later, deferred) = channel();
    let deferred = Arc::new(Mutex::new(deferred));
    let mut logs = Logs::default();
    let server = Server::start(&options, |app| {
        routes(app, &seen, later);
        logs = Logs::of(app);
    });
    let finishers = [(); FINISHERS].map(|()| {
        let deferred = Arc::clone(&deferred);
        thread::spawn(move || finish(&deferred))
    });
    let begin = Instant::now();
    let visit = |client| {
        let mut visitor = Visitor { server: &server, seen: &seen, asking: Asking::new(seed, client) };
        while begin.elapsed() < most && seen.overran.load(Ordering::Relaxed) < enough {
            visitor.visit();
        }
    };
    let failed = thread::scope(|scope| {
        let visit = &visit;
        let visitors: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || visit(client))).collect();
        visitors.into_iter().filter_map(|visitor| visitor.join().err()).count()
    });
    assert_eq!(failed, 0, "clients were not answered as they must be, see above");
    server.expect_alive();
    server.stop();
    server.wait(Some(support::PATIENCE)).expect("the app ends when it is stopped");
    // The routes have the sender: with them end those who finish.
    drop(server);
    finishers.into_iter().for_each(|finisher| finisher.join().expect("an exchange can be finished"));
    let (overran, answered) = (seen.overran.load(Ordering::Relaxed), seen.answered.load(Ordering::Relaxed));
    let time = begin.elapsed().as_secs_f64();
    println!("{threads} threads, {lanes} lanes, seed {seed}: {answered} answers, {overran} long handlers, {time:.1} s");
    assert_eq!(logs.errors(), Vec::<String>::new(), "nothing goes wrong unseen");
    overran
}

/// All kinds of apps in turn, each of which leaves the process as it was.
fn torture_all(enough: usize, most: Duration) {
    let seed = std::env::var("TORTURE_SEED").map_or(1, |text| text.parse().expect("TORTURE_SEED is a number"));
    println!("TORTURE_SEED={seed} has the same requests");
    // The first app of a process makes what is made once.
    drop(Server::start(&[], |_| {}));
    let before = (tasks(), descriptors());
    let mut overran = 0;
    for (turn, (threads, lanes)) in [(4, 1), (4, 2), (8, 1), (8, 2)].into_iter().enumerate() {
        overran += torture(seed * 10 + turn as u64, threads, lanes, enough, most);
        await_that("all threads end, and all descriptors are closed", || (tasks(), descriptors()) == before);
    }
    assert!(overran > 1000, "only {overran} handlers were long enough to lose a lane");
}

#[test]
fn whatever_takes_lanes_over_everybody_is_answered_once_and_in_order() {
    torture_all(4000, Duration::from_secs(6));
}

#[test]
#[ignore = "takes minutes"]
fn whatever_takes_lanes_over_for_minutes_everybody_is_answered_once_and_in_order() {
    torture_all(usize::MAX, Duration::from_secs(40));
}

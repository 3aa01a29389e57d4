//! Answers that are given later: who waits, who is told, and who was first. `crowd.rs` has many of them.

mod support;

use hasty::{App, Exchange, Flow, Kind, Request, Response};
use parking_lot::{Condvar, Mutex};
use socket2::SockRef;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::{Client, Framing, Gate, Logs, Opened, PATIENCE, Random, Server, await_that, get, gunzip, pattern, post, shown};

/// Where handlers leave their exchanges for the test.
#[derive(Clone, Default)]
struct Parked(Arc<(Mutex<Vec<Exchange>>, Condvar)>);

impl Parked {
    fn put(&self, exchange: Exchange) {
        let (list, changed) = &*self.0;
        list.lock().push(exchange);
        changed.notify_all();
    }

    /// The exchange that was put here first, waited for.
    #[track_caller]
    fn take(&self) -> Exchange {
        let (list, changed) = &*self.0;
        let mut list = list.lock();
        let end = Instant::now() + PATIENCE;
        while list.is_empty() {
            assert!(!changed.wait_until(&mut list, end).timed_out(), "no request was deferred");
        }
        list.remove(0)
    }

    #[track_caller]
    fn await_count(&self, count: usize) {
        await_that("requests are deferred", || self.0.0.lock().len() >= count);
    }

    fn take_all(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.0.0.lock())
    }
}

/// A server whose `/later` defers, whatever the method.
fn deferring(options: &[(&str, &str)]) -> (Server, Parked) {
    deferring_with(options, |_| {})
}

fn deferring_with(options: &[(&str, &str)], more: impl FnOnce(&App)) -> (Server, Parked) {
    let parked = Parked::default();
    let server = Server::start(options, |app| {
        let place = parked.clone();
        let defer = move |request: &Request, response: &mut Response| {
            place.put(response.defer(request)?);
            Ok(())
        };
        app.route("*", "/later/*", Box::new(defer.clone())).expect("new");
        app.route("*", "/later", Box::new(defer)).expect("new");
        more(app);
    });
    (server, parked)
}

fn say(mut exchange: Exchange, text: &str) -> hasty::Result<()> {
    exchange.response_mut().send_text(text.as_bytes())?;
    exchange.finish()
}

fn reset(client: Client) {
    SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    drop(client);
}

/// Counts how often the exchange hears that its client has gone.
fn count_notices(exchange: &Exchange) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&count);
    exchange.on_close(move || {
        told.fetch_add(1, Ordering::SeqCst);
    });
    count
}

#[test]
fn an_answer_is_given_later_by_any_thread() {
    let (server, parked) = deferring(&[]);
    let mut client = server.connect();
    for turn in 0..10 {
        client.send(post(&format!("/later/{turn}?a=b"), b"the body"));
        let exchange = parked.take();
        assert!(exchange.is_alive());
        thread::spawn(move || {
            let mut exchange = exchange;
            let (request, response) = exchange.parts();
            assert_eq!((request.method().bytes(), request.path().bytes()), (&b"POST"[..], format!("/later/{turn}").as_bytes()));
            assert_eq!((request.query().get(b"a"), request.header(b"host").expect("sent").bytes()), (Some(&b"b"[..]), &b"a"[..]));
            assert_eq!(request.remote_address(), "127.0.0.1");
            response.set_status(201).expect("a status");
            response.send_text(request.body().bytes()).expect("an answer");
            exchange.finish().expect("the client waits");
        })
        .join()
        .expect("no panic");
        let answer = client.expect(201);
        assert_eq!((answer.text(), answer.says_close()), ("the body".to_owned(), false));
    }
}

#[test]
fn an_exchange_may_be_finished_before_its_handler_returns() {
    let server = Server::start(&[], |app| {
        app.get("/here", |request: &Request, response: &mut Response| say(response.defer(request)?, "here")).expect("new");
        app.get("/there", |request: &Request, response: &mut Response| {
            let exchange = response.defer(request)?;
            thread::spawn(move || say(exchange, "there")).join().expect("no panic")
        })
        .expect("new");
        app.get("/streamed", |request: &Request, response: &mut Response| {
            let mut exchange = response.defer(request)?;
            exchange.write(b"one ")?;
            exchange.write(b"two")?;
            exchange.finish()
        })
        .expect("new");
        app.get("/dropped", |request: &Request, response: &mut Response| response.defer(request).map(drop)).expect("new");
    });
    let mut client = server.connect();
    for _ in 0..20 {
        client.send([get("/here"), get("/"), get("/there"), get("/streamed"), get("/dropped"), get("/")].concat());
        for (status, text) in [(200, "here"), (200, "root"), (200, "there"), (200, "one two"), (503, ""), (200, "root")] {
            let answer = client.expect_streamed(status).answer;
            assert!(status == 503 || answer.text() == text, "{answer:?}");
        }
    }
}

#[test]
fn requests_behind_an_exchange_wait_for_it() {
    let (server, parked) = deferring(&[]);
    let mut client = server.connect();
    client.send([get("/"), get("/later"), get("/"), get("/later"), get("/nowhere")].concat());
    assert_eq!(client.expect(200).text(), "root", "what was answered before does not wait");
    let first = parked.take();
    server.expect_alive();
    assert!(client.take_what_came(), "nothing is closed");
    assert!(parked.0.0.lock().is_empty(), "the second is not begun before the first is answered");
    say(first, "first").expect("the client waits");
    assert_eq!(client.expect(200).text(), "first");
    assert_eq!(client.expect(200).text(), "root");
    say(parked.take(), "second").expect("the client waits");
    assert_eq!(client.expect(200).text(), "second");
    client.expect(404);
    // What comes while it is waited for is read afterwards.
    client.send(get("/later"));
    let exchange = parked.take();
    client.send([get("/"), post("/later", pattern(300_000))].concat());
    say(exchange, "third").expect("the client waits");
    assert_eq!(client.expect(200).text(), "third");
    assert_eq!(client.expect(200).text(), "root");
    let exchange = parked.take();
    assert!(exchange.request().body().bytes() == pattern(300_000));
    say(exchange, "fourth").expect("the client waits");
    assert_eq!(client.expect(200).text(), "fourth");
}

#[test]
fn an_exchange_that_is_dropped_answers_503() {
    let (server, parked) = deferring(&[]);
    let mut client = server.connect();
    client.send([get("/later"), get("/")].concat());
    drop(parked.take());
    client.expect(503);
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn an_exchange_that_is_dropped_in_its_stream_cuts_the_connection() {
    let (server, parked) = deferring(&[]);
    let mut client = server.connect();
    client.send([get("/later"), get("/")].concat());
    let mut exchange = parked.take();
    exchange.write(b"piece").expect("the client waits");
    assert_eq!(client.expect_head(200).framing, Framing::Chunked);
    assert_eq!(shown(&client.chunk()), "piece");
    drop(exchange);
    client.try_end_or_reset().expect("no last chunk");
}

#[test]
fn an_exchange_nobody_answers_is_504_after_its_time() {
    let (server, parked) = deferring_with(&[("exchange_timeout_ms", "60000")], |app| {
        app.set_route_option("*", "/later/*", "exchange_timeout_ms", "300").expect("the route is there");
        let shape = |_: &hasty::Error, _: &Request, response: &mut Response| response.set_header(b"X-Shaped", b"yes");
        app.on_error(Box::new(shape)).expect("before start");
    });
    let mut client = server.connect();
    let begin = Instant::now();
    client.send([get("/later/x"), get("/")].concat());
    let exchange = parked.take();
    let closed = count_notices(&exchange);
    let answer = client.expect(504);
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
    assert_eq!((answer.says_close(), answer.field("X-Shaped")), (true, Some("yes")));
    client.expect_end();
    await_that("the notice", || closed.load(Ordering::SeqCst) == 1);
    assert!(!exchange.is_alive());
    assert_eq!(say(exchange, "too late").map_err(|error| error.kind()), Err(Kind::Closed));
    assert_eq!(closed.load(Ordering::SeqCst), 1);
    // To HEAD the same without a body.
    let mut client = server.connect();
    client.send("HEAD /later/x HTTP/1.1\r\nHost: a\r\n\r\n");
    let exchange = parked.take();
    let answer = client.answer_to_head();
    assert_eq!(answer.status, 504);
    client.expect_end();
    drop(exchange);
}

#[test]
fn a_time_that_ends_while_an_exchange_answers_neither_cuts_nor_spins() {
    let gate = Gate::new();
    let _opened = Opened(gate.clone());
    let passed = gate.clone();
    let (server, parked) = deferring_with(&[("threads", "1"), ("exchange_timeout_ms", "1500")], |app| {
        let slow = move |_: &Request, _: &mut Response| {
            passed.pass();
            Ok(())
        };
        app.after("/later", Box::new(slow)).expect("before start");
    });
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    let finisher = thread::spawn(move || say(exchange, "late, but decided in time"));
    gate.await_arrivals(1);
    // The only thread goes on serving, long after the time has ended.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2200) {
        server.expect_alive();
    }
    gate.open();
    assert_eq!(client.expect(200).text(), "late, but decided in time");
    finisher.join().expect("no panic").expect("the client waited");
}

#[test]
fn the_time_of_an_exchange_ends_with_its_first_write() {
    let (server, parked) = deferring(&[("exchange_timeout_ms", "1500")]);
    let mut client = server.connect();
    client.send(get("/later"));
    let mut exchange = parked.take();
    exchange.write(b"first ").expect("the client waits");
    client.expect_head(200);
    assert_eq!(shown(&client.chunk()), "first ");
    // Another's time-out shows that this one's would have been noticed.
    for _ in 0..2 {
        let mut other = server.connect();
        other.send(get("/later"));
        let abandoned = parked.take();
        other.expect(504);
        drop(abandoned);
    }
    assert!(exchange.is_alive());
    exchange.write(b"second").expect("the client waits");
    exchange.finish().expect("the client waits");
    assert_eq!(shown(&client.chunk()), "second");
    assert!(client.chunk().is_empty());
    client.send(get("/"));
    client.expect(200);
}

#[test]
fn a_client_that_half_closes_is_gone_and_is_answered_all_the_same() {
    let (server, parked) = deferring(&[]);
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    let gone = Gate::new();
    let _opened = Opened(gone.clone());
    gone.open();
    let told = gone.clone();
    exchange.on_close(move || told.pass());
    client.half_close();
    gone.await_arrivals(1);
    assert!(!exchange.is_alive());
    say(exchange, "still").expect("it may listen yet");
    assert_eq!(client.expect(200).text(), "still");
    client.expect_end();
}

#[test]
fn a_client_that_resets_is_gone_and_nobody_is_answered() {
    let (server, parked) = deferring(&[]);
    for streaming in [false, true] {
        let mut client = server.connect();
        client.send(get("/later"));
        let mut exchange = parked.take();
        if streaming {
            exchange.write(b"piece").expect("the client waits");
            client.expect_head(200);
        }
        let gone = count_notices(&exchange);
        reset(client);
        await_that("the exchange hears of it", || gone.load(Ordering::SeqCst) == 1);
        assert!(!exchange.is_alive());
        // Registering after the fact calls at once, in this thread.
        let here = thread::current().id();
        let late = Arc::new(Mutex::new(None));
        let place = Arc::clone(&late);
        exchange.on_close(move || *place.lock() = Some(thread::current().id()));
        assert_eq!(*late.lock(), Some(here));
        assert_eq!(say_or_end(exchange, streaming).map_err(|error| error.kind()), Err(Kind::Closed));
        assert_eq!(gone.load(Ordering::SeqCst), 1);
    }
    server.expect_alive();
}

fn say_or_end(exchange: Exchange, streaming: bool) -> hasty::Result<()> {
    if streaming { exchange.finish() } else { say(exchange, "to nobody") }
}

#[test]
fn a_notice_is_replaced_by_the_next_and_dropped_with_the_exchange() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (server, parked) = deferring(&[]);
    let ended = Arc::new(AtomicUsize::new(0));
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    for number in 0..3 {
        let counted = Counted(Arc::clone(&ended));
        exchange.on_close(move || panic!("the client has not gone: {}", counted.0.load(Ordering::SeqCst)));
        assert_eq!(ended.load(Ordering::SeqCst), number);
    }
    say(exchange, "done").expect("the client waits");
    assert_eq!(ended.load(Ordering::SeqCst), 3, "nothing calls back after finish");
    client.expect(200);
    drop(client);
    server.expect_alive();
}

#[test]
fn a_notice_that_panics_disturbs_nobody() {
    let mut logs = Logs::default();
    let (server, parked) = deferring_with(&[], |app| logs = Logs::of(app));
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    exchange.on_close(|| panic!("as it was told"));
    reset(client);
    await_that("the log", || logs.complain_of("as it was told"));
    assert_eq!(say(exchange, "to nobody").map_err(|error| error.kind()), Err(Kind::Closed));
    server.expect_alive();
}

#[test]
fn an_exchange_may_be_finished_or_dropped_by_its_own_notice() {
    let (server, parked) = deferring(&[]);
    for finishes in [true, false] {
        let mut client = server.connect();
        client.send(get("/later"));
        let place = Arc::new(Mutex::new(Some(parked.take())));
        let done = Arc::new(AtomicBool::new(false));
        let (mine, flag) = (Arc::clone(&place), Arc::clone(&done));
        if let Some(exchange) = &*place.lock() {
            exchange.on_close(move || {
                let exchange = mine.lock().take().expect("the test put it here");
                if finishes {
                    let _ = say(exchange, "good-bye");
                }
                flag.store(true, Ordering::SeqCst);
            });
        }
        client.half_close();
        await_that("the notice", || done.load(Ordering::SeqCst));
        if finishes {
            assert_eq!(client.expect(200).text(), "good-bye");
        } else {
            client.expect(503);
        }
        client.expect_end();
    }
}

#[test]
fn writes_find_a_limit_and_on_ready_tells_when_there_is_room() {
    let (server, parked) = deferring(&[("stream_buffer_bytes", "100000")]);
    let mut client = server.connect_narrow();
    client.send([get("/later"), get("/")].concat());
    let mut exchange = parked.take();
    let mut rest = pattern(8 << 20);
    let ready = Arc::new((Mutex::new(false), Condvar::new()));
    let mut refused = 0;
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            assert_eq!(client.expect_head(200).framing, Framing::Chunked);
            let mut body = Vec::new();
            loop {
                let chunk = client.chunk();
                if chunk.is_empty() {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            assert!(body == pattern(8 << 20));
            assert_eq!(client.expect(200).text(), "root");
        });
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(30_000)];
            match exchange.write(piece) {
                Ok(()) => rest = &rest[piece.len()..],
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Limit);
                    refused += 1;
                    let told = Arc::clone(&ready);
                    exchange.on_ready(move || {
                        *told.0.lock() = true;
                        told.1.notify_all();
                    });
                    let mut there = ready.0.lock();
                    while !std::mem::take(&mut *there) {
                        assert!(!ready.1.wait_for(&mut there, PATIENCE).timed_out(), "on_ready is not called");
                    }
                }
            }
        }
        exchange.finish().expect("the client waits");
        reader.join().expect("no panic");
    });
    assert!(refused > 0, "a narrow client makes it wait");
}

#[test]
fn a_write_that_found_no_room_took_nothing() {
    let (server, parked) = deferring(&[("stream_buffer_bytes", "100000")]);
    let mut client = server.connect_narrow();
    client.send(get("/later"));
    let mut exchange = parked.take();
    // One piece larger than the limit goes where nothing waits.
    exchange.write(pattern(8 << 20)).expect("there is room for one");
    let count = (0..).take_while(|_| exchange.write(b"more").is_ok()).take(100_000).count();
    assert!(count < 100_000, "a client that reads nothing is written to without end");
    assert_eq!(exchange.write(b"more").map_err(|error| error.kind()), Err(Kind::Limit));
    exchange.finish().expect("the client waits");
    let body = client.expect_streamed(200).answer.body;
    assert!(body[..8 << 20] == *pattern(8 << 20));
    assert_eq!(shown(&body[8 << 20..]), "more".repeat(count));
}

#[test]
fn a_deferred_stream_to_a_client_that_takes_nothing_is_given_up() {
    let (server, parked) = deferring(&[("write_timeout_ms", "300")]);
    let mut client = server.connect_narrow();
    client.send(get("/later"));
    let mut exchange = parked.take();
    let gone = count_notices(&exchange);
    exchange.write(pattern(8 << 20)).expect("there is room for one");
    await_that("the exchange hears of it", || gone.load(Ordering::SeqCst) == 1);
    assert_eq!(exchange.write(b"more").map_err(|error| error.kind()), Err(Kind::Closed));
    assert_eq!(exchange.finish().map_err(|error| error.kind()), Err(Kind::Closed));
    client.expect_head(200);
    assert!(client.read_until_gone().expect("it is cut").len() < 8 << 20);
    server.expect_alive();
}

#[test]
fn deferred_requests_leave_the_threads_to_others() {
    let gate = Gate::new();
    let (server, parked) = deferring_with(&[("threads", "2")], |app| {
        let gate = gate.clone();
        app.get("/block", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"blocked")
        })
        .expect("new");
    });
    let _opened = Opened(gate.clone());
    let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/later"));
    }
    parked.await_count(50);
    let mut blocked = server.connect();
    blocked.send(get("/block"));
    gate.await_arrivals(1);
    server.expect_alive();
    for exchange in parked.take_all() {
        say(exchange, "later").expect("the client waits");
    }
    for client in &mut clients {
        assert_eq!(client.expect(200).text(), "later");
    }
    gate.open();
    assert_eq!(blocked.expect(200).text(), "blocked");
}

#[test]
fn stop_answers_open_exchanges_with_503() {
    let (server, parked) = deferring(&[]);
    let closed = Arc::new(AtomicUsize::new(0));
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    let mut exchanges = Vec::new();
    for client in &mut clients {
        client.send([get("/later"), get("/")].concat());
        let exchange = parked.take();
        let count = Arc::clone(&closed);
        exchange.on_close(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        exchanges.push(exchange);
    }
    let mut streaming = server.connect();
    streaming.send(get("/later"));
    let mut stream = parked.take();
    stream.write(b"piece").expect("the client waits");
    streaming.expect_head(200);
    assert_eq!(shown(&streaming.chunk()), "piece");
    server.stop();
    server.wait(Some(PATIENCE)).expect("open exchanges hold nothing up");
    for client in &mut clients {
        let answer = client.expect(503);
        assert!(answer.says_close(), "{answer:?}");
        client.expect_end();
    }
    streaming.try_end_or_reset().expect("a stream that is not at its end is cut");
    assert_eq!(closed.load(Ordering::SeqCst), 10, "each is told once");
    for exchange in exchanges {
        assert!(!exchange.is_alive());
        assert_eq!(say(exchange, "too late").map_err(|error| error.kind()), Err(Kind::Closed));
    }
    assert_eq!(stream.write(b"more").map_err(|error| error.kind()), Err(Kind::Closed));
    assert_eq!(stream.finish().map_err(|error| error.kind()), Err(Kind::Closed));
    assert_eq!(closed.load(Ordering::SeqCst), 10);
}

#[test]
fn a_drain_waits_for_open_exchanges_up_to_its_end() {
    let (server, parked) = deferring(&[]);
    let mut client = server.connect();
    client.send([get("/later"), get("/")].concat());
    let exchange = parked.take();
    let app = server.share();
    let drain = thread::spawn(move || app.drain(Some(PATIENCE)));
    await_that("the drain", || std::net::TcpStream::connect(server.address()).is_err());
    assert!(exchange.is_alive());
    say(exchange, "in time").expect("the client waits");
    let answer = client.expect(200);
    assert_eq!((answer.text(), answer.says_close()), ("in time".to_owned(), true));
    client.expect_end();
    drain.join().expect("no panic").expect("the app drains");
    // The other way: nobody answers, and the time ends.
    let (server, parked) = deferring(&[]);
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    assert_eq!(server.drain(Some(Duration::from_millis(100))).map_err(|error| error.kind()), Err(Kind::Timeout));
    server.wait(Some(PATIENCE)).expect("the app stops");
    assert_eq!(say(exchange, "too late").map_err(|error| error.kind()), Err(Kind::Closed));
    let came = client.read_until_gone().expect("the connection ends");
    assert!(came.is_empty() || came.starts_with(b"HTTP/1.1 503 "), "{}", shown(&came));
}

#[test]
fn an_exchange_outlives_its_app() {
    for streaming in [false, true] {
        let (server, parked) = deferring(&[]);
        let mut client = server.connect();
        client.send(post("/later?a=b", b"the body"));
        let mut exchange = parked.take();
        if streaming {
            exchange.write(b"piece").expect("the client waits");
        }
        let gone = count_notices(&exchange);
        drop(server);
        assert_eq!((exchange.is_alive(), gone.load(Ordering::SeqCst)), (false, 1));
        // What it knows of its request, it knows still.
        let request = exchange.request();
        assert_eq!((request.body().bytes(), request.query().get(b"a")), (&b"the body"[..], Some(&b"b"[..])));
        assert_eq!(request.route().map(|route| route.to_string()), Some("/later".to_owned()));
        assert_eq!(say_or_end(exchange, streaming).map_err(|error| error.kind()), Err(Kind::Closed));
        client.read_until_gone().expect("the connection ends");
    }
}

#[test]
fn handlers_of_an_app_are_dropped_although_exchanges_live() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Counted(Arc::clone(&ended));
    let (server, parked) = deferring_with(&[], |app| {
        app.get("/counted", move |_: &Request, response: &mut Response| {
            response.send_text(counted.0.load(Ordering::SeqCst).to_string().as_bytes())
        })
        .expect("new");
    });
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    drop(server);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    drop(exchange);
}

#[test]
fn middleware_defers_with_a_body_unread() {
    let parked = Parked::default();
    let server = Server::start(&[("max_body_bytes", "100000000")], |app| {
        let place = parked.clone();
        let defer = move |request: &Request, response: &mut Response| {
            place.put(response.defer(request)?);
            Ok(Flow::Done)
        };
        app.middleware("/later", Box::new(defer)).expect("a prefix");
        app.post("/later", |_: &Request, _: &mut Response| panic!("nobody gets here")).expect("new");
    });
    // A body that is worth receiving, before and after the answer, whole and in pieces.
    for (before, chunked) in [(0, false), (1000, false), (100_000, false), (1000, true)] {
        let mut client = server.connect();
        let (head, body) = if chunked {
            let chunk = format!("{:x}\r\n", 100_000).into_bytes();
            ("Transfer-Encoding: chunked", [&chunk[..], pattern(100_000), b"\r\n0\r\n\r\n"].concat())
        } else {
            ("Content-Length: 100000", pattern(100_000).to_vec())
        };
        client.send(format!("POST /later HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n"));
        client.send(&body[..before]);
        let exchange = parked.take();
        assert!(exchange.request().body().is_empty());
        say(exchange, "later").expect("the client waits");
        assert_eq!(client.expect(200).text(), "later");
        client.send([&body[before..], &get("/")].concat());
        assert_eq!(client.expect(200).text(), "root");
    }
    // One that is too large, or whose client waits to be told, ends the connection.
    for head in ["Content-Length: 50000000\r\n", "Content-Length: 5\r\nExpect: 100-continue\r\n"] {
        let mut client = server.connect();
        client.send(format!("POST /later HTTP/1.1\r\nHost: a\r\n{head}\r\n"));
        say(parked.take(), "later").expect("the client waits");
        let answer = client.expect(200);
        assert_eq!((answer.text(), answer.says_close()), ("later".to_owned(), true), "{answer:?}");
        client.expect_end();
    }
}

#[test]
fn a_deferred_answer_is_like_any_other() {
    let (server, parked) = deferring_with(&[("max_requests_per_connection", "100")], |app| {
        app.add_header(b"X-Default", b"d").expect("a header");
        app.cors("/", &hasty::CorsOptions::default()).expect("a policy");
        app.after("/", Box::new(|_: &Request, response: &mut Response| response.set_header(b"X-After", b"a"))).expect("a prefix");
    });
    let text = "words that come again and again ".repeat(100);
    let mut client = server.connect();
    client.send("GET /later HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\nAccept-Encoding: gzip\r\n\r\n");
    say(parked.take(), &text).expect("the client waits");
    let answer = client.expect(200);
    let fields = ["X-Default", "X-After", "Access-Control-Allow-Origin", "Content-Encoding"].map(|name| answer.all(name));
    assert_eq!(fields, [vec!["d"], vec!["a"], vec!["*"], vec!["gzip"]]);
    assert!(gunzip(&answer.body) == text.as_bytes());
    client.send("HEAD /later HTTP/1.1\r\nHost: a\r\n\r\n");
    say(parked.take(), "12345").expect("the client waits");
    assert_eq!(client.answer_to_head().field("Content-Length"), Some("5"));
    // A file, a wrong answer, and a client of HTTP/1.0.
    client.send(get("/later"));
    let mut exchange = parked.take();
    exchange.response_mut().send_file("Cargo.toml").expect("it is there");
    exchange.finish().expect("the client waits");
    assert!(client.expect(200).body == std::fs::read("Cargo.toml").expect("it is there"));
    client.send(get("/later"));
    let mut exchange = parked.take();
    exchange.response_mut().set_header(b"Content-Length", b"7").expect("a length");
    exchange.response_mut().send_text(b"12345").expect("a text");
    exchange.finish().expect("the client waits");
    client.expect(500);
    client.send("GET /later HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    say(parked.take(), "old").expect("the client waits");
    let answer = client.expect(200);
    assert_eq!((answer.text(), answer.lists("Connection", "keep-alive")), ("old".to_owned(), true));
    client.send("GET /later HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let mut exchange = parked.take();
    exchange.write(b"old ").expect("the client waits");
    exchange.write(b"stream").expect("the client waits");
    exchange.finish().expect("the client waits");
    let streamed = client.expect_streamed(200);
    assert_eq!((streamed.framing, streamed.answer.text()), (Framing::Close, "old stream".to_owned()));
}

#[test]
fn the_last_request_of_a_connection_may_be_deferred() {
    let (server, parked) = deferring(&[("max_requests_per_connection", "2")]);
    for request in [[get("/"), get("/later")].concat(), support::last_get("/later")] {
        for streaming in [false, true] {
            let mut client = server.connect();
            client.send(&request);
            let mut exchange = parked.take();
            if streaming {
                exchange.write(b"later").expect("the client waits");
                exchange.finish().expect("the client waits");
            } else {
                say(exchange, "later").expect("the client waits");
            }
            if request.starts_with(b"GET / ") {
                assert_eq!(client.expect(200).text(), "root");
            }
            let answer = client.expect_streamed(200).answer;
            assert_eq!((answer.text(), answer.says_close()), ("later".to_owned(), true), "{answer:?}");
            client.expect_end();
        }
    }
}

#[test]
fn a_handler_may_begin_a_stream_and_defer_the_rest() {
    let parked = Parked::default();
    let server = Server::start(&[], |app| {
        let place = parked.clone();
        app.get("/begun", move |request: &Request, response: &mut Response| {
            response.write(request, b"one ")?;
            place.put(response.defer(request)?);
            Ok(())
        })
        .expect("new");
    });
    let mut client = server.connect();
    client.send([get("/begun"), get("/")].concat());
    let mut exchange = parked.take();
    assert_eq!(client.expect_head(200).framing, Framing::Chunked);
    assert_eq!(shown(&client.chunk()), "one ");
    exchange.write(b"two").expect("the client waits");
    assert_eq!(shown(&client.chunk()), "two");
    exchange.finish().expect("the client waits");
    assert!(client.chunk().is_empty());
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn finishing_and_leaving_at_once_end_in_one_of_both() {
    let (server, parked) = deferring(&[("threads", "4")]);
    let begin = Instant::now();
    let mut random = Random::new(3);
    let mut rounds = 0;
    while begin.elapsed() < Duration::from_secs(2) || rounds < 50 {
        rounds += 1;
        let mut client = server.connect();
        client.send([get("/later"), get("/")].concat());
        let exchange = parked.take();
        let told = count_notices(&exchange);
        let (pause, way) = (random.below(200), random.below(4));
        let finisher = thread::spawn(move || {
            for _ in 0..pause {
                std::hint::spin_loop();
            }
            say(exchange, "later").map_err(|error| error.kind())
        });
        match way {
            0 => reset(client),
            1 => {
                client.half_close();
                assert_eq!(client.expect(200).text(), "later");
                client.expect(200);
                client.expect_end();
            }
            2 => drop(client),
            _ => {
                assert_eq!(client.expect(200).text(), "later");
                assert_eq!(client.expect(200).text(), "root");
            }
        }
        let outcome = finisher.join().expect("no panic");
        let after = told.load(Ordering::SeqCst);
        assert!(after <= 1 && matches!(outcome, Ok(()) | Err(Kind::Closed)), "{after} {outcome:?}");
        assert!(way == 0 || way == 2 || outcome == Ok(()), "{outcome:?} where the client waited");
    }
    server.expect_alive();
}

/// Handlers of many connections defer to many threads, which answer, stream or give up, while clients ask, leave and reset.
#[test]
fn many_threads_finish_what_many_clients_leave() {
    let (sender, receiver) = std::sync::mpsc::channel::<Exchange>();
    let receiver = Arc::new(Mutex::new(receiver));
    let sender = Mutex::new(sender);
    let server = Server::start(&[("threads", "4"), ("stream_buffer_bytes", "5000")], |app| {
        app.route(
            "*",
            "/later/:n",
            Box::new(move |request: &Request, response: &mut Response| {
                let exchange = response.defer(request)?;
                sender.lock().send(exchange).map_err(|_| hasty::Error::invalid("the test has ended"))
            }),
        )
        .expect("new");
    });
    let answered = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (receiver, over) = (Arc::clone(&receiver), &over);
            scope.spawn(move || {
                let mut random = Random::new(seed + 100);
                while !over.load(Ordering::SeqCst) {
                    let next = receiver.lock().recv_timeout(Duration::from_millis(20));
                    let Ok(mut exchange) = next else { continue };
                    let noted = count_notices(&exchange);
                    exchange.on_ready(|| {});
                    let name = exchange.request().param(b"n").expect("the pattern has it").to_string();
                    // What is said tells for whom it is. Odd ones are streamed, each seventh is given up.
                    let number: usize = name.parse().expect("a number");
                    let outcome = match number % 7 {
                        0 => {
                            drop(exchange);
                            Ok(())
                        }
                        1 | 3 => {
                            for _ in 0..random.below(4) {
                                let _ = exchange.write(name.as_bytes());
                            }
                            exchange.write(b"").and_then(|()| exchange.finish())
                        }
                        _ => say(exchange, &name),
                    };
                    assert!(matches!(outcome.map_err(|error| error.kind()), Ok(()) | Err(Kind::Closed)));
                    assert!(noted.load(Ordering::SeqCst) <= 1);
                }
            });
        }
        let clients: Vec<_> = (0..4_u64)
            .map(|seed| {
                let (server, answered) = (&server, &answered);
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    let begin = Instant::now();
                    while begin.elapsed() < Duration::from_secs(3) {
                        let mut client = server.connect();
                        let numbers: Vec<_> = (0..1 + random.below(4)).map(|_| random.below(10_000)).collect();
                        let requests: Vec<_> =
                            numbers.iter().flat_map(|number| post(&format!("/later/{number}"), pattern(number % 50))).collect();
                        match random.below(4) {
                            0 => {
                                client.send(&requests[..random.below(requests.len())]);
                                reset(client);
                            }
                            1 => {
                                client.send(&requests);
                                reset(client);
                            }
                            way => {
                                client.send(&requests);
                                if way == 2 {
                                    client.half_close();
                                }
                                for number in numbers {
                                    let answer = client.streamed().answer;
                                    if number % 7 == 0 {
                                        assert_eq!(answer.status, 503, "{answer:?}");
                                    } else {
                                        assert!(
                                            answer.status == 200 && answer.text().replace(&number.to_string(), "").is_empty(),
                                            "{number}: {answer:?}"
                                        );
                                    }
                                    answered.fetch_add(1, Ordering::SeqCst);
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        let outcomes: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::SeqCst);
        assert!(outcomes.iter().all(Result::is_ok), "a client was answered wrongly");
    });
    assert!(answered.load(Ordering::SeqCst) > 100, "{answered:?}");
    server.expect_alive();
}

#[test]
fn apps_end_while_exchanges_are_finished_elsewhere() {
    let begin = Instant::now();
    let mut rounds = 0;
    while begin.elapsed() < Duration::from_secs(2) || rounds < 10 {
        rounds += 1;
        let (server, parked) = deferring(&[("threads", "2")]);
        let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(get("/later"));
        }
        parked.await_count(8);
        let exchanges = parked.take_all();
        thread::scope(|scope| {
            for (number, mut exchange) in exchanges.into_iter().enumerate() {
                scope.spawn(move || {
                    exchange.on_close(|| {});
                    match number % 3 {
                        0 => drop(exchange),
                        1 => drop(say(exchange, "later")),
                        _ => {
                            let _ = exchange.write(b"piece");
                            let _ = exchange.finish();
                        }
                    }
                });
            }
            match rounds % 3 {
                0 => drop(server),
                1 => {
                    server.stop();
                    server.wait(Some(PATIENCE)).expect("the app stops");
                }
                _ => drop(server.drain(Some(Duration::from_millis(50)))),
            }
        });
        for client in &mut clients {
            client.read_until_gone().expect("the connection ends with the app");
        }
    }
}

#[test]
fn an_answer_at_the_very_end_of_its_time_is_given_once() {
    let (server, parked) = deferring(&[("exchange_timeout_ms", "60"), ("threads", "4")]);
    let (mut in_time, mut late) = (0, 0);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) || (begin.elapsed() < PATIENCE && (in_time == 0 || late == 0)) {
        let mut clients: Vec<_> = (0..16).map(|_| server.connect()).collect();
        let mut finishers = Vec::new();
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(get("/later"));
            let exchange = parked.take();
            let notices = count_notices(&exchange);
            finishers.push(thread::spawn(move || {
                thread::sleep(Duration::from_millis(58 + 4 * number as u64));
                let outcome = say(exchange, "later").map_err(|error| error.kind());
                (outcome, notices.load(Ordering::SeqCst))
            }));
        }
        for (client, finisher) in clients.iter_mut().zip(finishers) {
            let answer = client.answer();
            match (finisher.join().expect("no panic"), answer.status) {
                ((Ok(()), 0), 200) => in_time += 1,
                // Who finishes while the notice is on its way does without it.
                ((Err(Kind::Closed), 0 | 1), 504) => late += 1,
                (said, status) => panic!("{said:?} and {status}"),
            }
        }
    }
    assert!(in_time > 0 && late > 0, "{in_time} in time, {late} late");
}

#[test]
fn nothing_is_read_behind_an_exchange() {
    let (server, parked) = deferring(&[("max_body_bytes", "100000000"), ("write_timeout_ms", "60000")]);
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    let mut writer = client.tcp().try_clone().expect("a second handle");
    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        let counted = &sent;
        scope.spawn(move || {
            let request = post("/nowhere", pattern(100_000));
            for _ in 0..640 {
                std::io::Write::write_all(&mut writer, &request).expect("the server takes it in the end");
                counted.fetch_add(request.len(), Ordering::SeqCst);
            }
        });
        for _ in 0..50 {
            server.expect_alive();
        }
        let ahead = sent.load(Ordering::SeqCst);
        assert!(ahead < 32 << 20, "{ahead} bytes were taken that nobody can answer yet");
        say(exchange, "later").expect("the client waits");
        assert_eq!(client.expect(200).text(), "later");
        for _ in 0..640 {
            client.expect(404);
        }
    });
}

#[test]
fn what_waits_for_slow_readers_counts_against_max_buffered_bytes() {
    let (server, parked) = deferring(&[("max_buffered_bytes", "3000000"), ("stream_buffer_bytes", "400000")]);
    let mut clients: Vec<_> = (0..10).map(|_| server.connect_narrow()).collect();
    let mut exchanges = Vec::new();
    for client in &mut clients {
        client.send(get("/later"));
        exchanges.push(parked.take());
    }
    for exchange in &mut exchanges {
        while exchange.write(pattern(50_000)).is_ok() {}
    }
    let mut other = server.connect();
    other.send(get("/"));
    other.expect(503);
    for client in clients {
        reset(client);
    }
    await_that("the readers are gone", || exchanges.iter().all(|exchange| !exchange.is_alive()));
    drop(exchanges);
    server.expect_alive();
}

#[test]
fn locals_go_with_the_exchange() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let (server, parked) = deferring_with(&[], |app| {
        let ended = Arc::clone(&ended);
        let keep = move |request: &Request, _: &mut Response| {
            request.set_local(b"counted", Box::new(Counted(Arc::clone(&ended))));
            request.set_local(b"name", Box::new("ada".to_owned()));
            Ok(Flow::Next)
        };
        app.middleware("/later", Box::new(keep)).expect("a prefix");
    });
    let mut client = server.connect();
    client.send(get("/later"));
    let mut exchange = parked.take();
    server.expect_alive();
    let (request, response) = exchange.parts();
    let name = request.local(b"name", |any| any.downcast_ref::<String>().cloned()).flatten().expect("set by the middleware");
    response.send_text(name.as_bytes()).expect("an answer");
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    exchange.finish().expect("the client waits");
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert_eq!(client.expect(200).text(), "ada");
}

#[test]
fn each_deferred_request_is_recorded_once() {
    let records: Arc<Mutex<Vec<(u16, u64)>>> = Arc::default();
    let (server, parked) = deferring_with(&[], |app| {
        app.set_route_option("*", "/later/*", "exchange_timeout_ms", "100").expect("the route is there");
        let records = Arc::clone(&records);
        let log = move |record: &hasty::AccessRecord<'_>| {
            assert_eq!(record.method, "GET");
            records.lock().push((record.status, record.bytes_out));
        };
        app.on_access(Box::new(log)).expect("before start");
    });
    let next = || {
        await_that("a record", || !records.lock().is_empty());
        records.lock().remove(0)
    };
    let begun = |target: &str| {
        let mut client = server.connect();
        client.send(get(target));
        (client, parked.take())
    };
    let (mut client, exchange) = begun("/later");
    say(exchange, "later").expect("the client waits");
    client.expect(200);
    assert_eq!(next(), (200, 5));
    let (mut client, mut exchange) = begun("/later");
    exchange.write(b"one").expect("the client waits");
    exchange.write(b"two").expect("the client waits");
    exchange.finish().expect("the client waits");
    client.expect_streamed(200);
    assert_eq!(next(), (200, 6));
    let (mut client, exchange) = begun("/later");
    drop(exchange);
    let length = client.expect(503).body.len() as u64;
    assert_eq!(next(), (503, length));
    let (mut client, exchange) = begun("/later/x");
    let length = client.expect(504).body.len() as u64;
    drop(exchange);
    assert_eq!(next(), (504, length));
    let (client, exchange) = begun("/later");
    let gone = count_notices(&exchange);
    reset(client);
    await_that("the exchange hears of it", || gone.load(Ordering::SeqCst) == 1);
    drop(exchange);
    assert_eq!(next(), (499, 0), "nobody was there to be answered");
    let (mut client, exchange) = begun("/later");
    server.stop();
    let length = client.expect(503).body.len() as u64;
    drop(exchange);
    assert_eq!(next(), (503, length));
    assert!(records.lock().is_empty(), "nothing else: {:?}", records.lock());
}

/// Shapes each error into its request as far as it is known, and keeps `on_access`'s word for the same.
fn shaping_and_recording(app: &App) -> Arc<Mutex<Vec<String>>> {
    let shape = |_: &hasty::Error, request: &Request, response: &mut Response| {
        assert!(request.body().is_empty() && request.form().is_empty(), "the body stays with the exchange");
        response.set_status(if request.header(b"x-own-status").is_some() { 555 } else { response.status().into() })?;
        let text = format!("{:?} {} {}", request, request.id(), request.route().expect("it was found"));
        response.send_text(text.as_bytes())
    };
    app.on_error(Box::new(shape)).expect("before start");
    let records: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&records);
    let log = move |record: &hasty::AccessRecord<'_>| {
        let route = record.route.expect("it was found");
        let who = format!("{} {} {} {route}", record.method, record.target, record.id);
        kept.lock().push(format!("{} {} {who}", record.status, record.bytes_out));
    };
    app.on_access(Box::new(log)).expect("before start");
    records
}

#[test]
fn an_answer_in_place_of_an_exchange_knows_its_request_and_is_recorded_as_it_was_shaped() {
    let mut records = None;
    let (server, parked) = deferring_with(&[], |app| {
        app.set_route_option("*", "/later/*", "exchange_timeout_ms", "100").expect("the route is there");
        records = Some(shaping_and_recording(app));
    });
    let records = records.expect("set above");
    let expect = |answer: support::Answer, begin: &str| {
        let text = answer.text();
        assert!(text.starts_with(begin), "{text:?}");
        await_that("a record", || !records.lock().is_empty());
        assert_eq!(records.lock().remove(0), format!("{} {} {text}", answer.status, text.len()));
        answer
    };
    let mut client = server.connect();
    client.send(post("/later/x?y=1", b"the body"));
    let exchange = parked.take();
    let id = exchange.request().id().to_string();
    expect(client.expect(504), &format!("POST /later/x?y=1 {id} /later/*"));
    drop(exchange);
    let mut client = server.connect();
    client.send("GET /later/z HTTP/1.1\r\nHost: a\r\nX-Request-ID: mine\r\nX-Own-Status: yes\r\n\r\n");
    expect(client.expect(555), "GET /later/z mine /later/*");
    drop(parked.take());
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    server.stop();
    expect(client.expect(503), "GET /later ");
    drop(exchange);
}

#[test]
fn an_answer_in_place_of_an_exchange_is_json_for_a_client_that_prefers_it() {
    let (server, parked) = deferring(&[("exchange_timeout_ms", "100")]);
    for (accept, kind) in [("application/json", "application/json"), ("*/*", "text/plain; charset=utf-8")] {
        let mut client = server.connect();
        client.send(format!("GET /later HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n"));
        let exchange = parked.take();
        assert_eq!(client.expect(504).field("Content-Type"), Some(kind));
        drop(exchange);
    }
}

#[test]
fn a_head_that_times_out_is_recorded_without_a_body() {
    let sizes: Arc<Mutex<Vec<u64>>> = Arc::default();
    let (server, parked) = deferring_with(&[("exchange_timeout_ms", "100")], |app| {
        let sizes = Arc::clone(&sizes);
        app.on_access(Box::new(move |record: &hasty::AccessRecord<'_>| sizes.lock().push(record.bytes_out))).expect("before start");
    });
    let mut client = server.connect();
    client.send("HEAD /later HTTP/1.1\r\nHost: a\r\n\r\n");
    let exchange = parked.take();
    assert_eq!(client.answer_to_head().status, 504);
    drop(exchange);
    await_that("a record", || !sizes.lock().is_empty());
    assert_eq!(*sizes.lock(), [0]);
}

#[test]
fn a_deferred_stream_keeps_to_its_framing() {
    let (server, parked) = deferring(&[]);
    let mut client = server.connect();
    client.send([get("/later"), get("/")].concat());
    let mut exchange = parked.take();
    exchange.response_mut().set_header(b"Content-Length", b"6").expect("a length");
    exchange.write(b"one").expect("the client waits");
    exchange.write(b"two").expect("the client waits");
    exchange.finish().expect("the client waits");
    let streamed = client.expect_streamed(200);
    assert_eq!((streamed.framing, streamed.answer.text()), (Framing::Length(6), "onetwo".to_owned()));
    client.expect(200);
    // Fewer bytes than were promised, then more.
    for more in [&b""[..], b"four"] {
        let mut client = server.connect();
        client.send([get("/later"), get("/")].concat());
        let mut exchange = parked.take();
        exchange.response_mut().set_header(b"Content-Length", b"6").expect("a length");
        exchange.write(b"one").expect("the client waits");
        assert_eq!(client.expect_head(200).framing, Framing::Length(6));
        if !more.is_empty() {
            assert_eq!(exchange.write(more).map_err(|error| error.kind()), Err(Kind::Invalid));
        }
        let _ = exchange.finish();
        assert_eq!(shown(&client.read_until_gone().expect("the connection ends")), "one");
    }
    // HEAD has the head, and the connection goes on.
    let mut client = server.connect();
    client.send("HEAD /later HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut exchange = parked.take();
    assert_eq!(exchange.write(b"one").map_err(|error| error.kind()), Err(Kind::Closed));
    let _ = exchange.finish();
    client.expect_head(200);
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn notices_may_do_what_they_like() {
    let (server, parked) = deferring(&[("threads", "2")]);
    // One exchange's end finishes another's.
    let mut first = server.connect();
    first.send(get("/later"));
    let exchange = parked.take();
    let mut second = server.connect();
    second.send(get("/later"));
    let other = Mutex::new(Some(parked.take()));
    exchange.on_close(move || {
        if let Some(other) = other.lock().take() {
            say(other, "the other has left").expect("the client waits");
        }
    });
    reset(first);
    assert_eq!(second.expect(200).text(), "the other has left");
    drop(exchange);
    // One stops the app, and that waits for nobody.
    let app = server.share();
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    exchange.on_close(move || app.stop());
    reset(client);
    server.wait(Some(PATIENCE)).expect("the app stops");
    drop(exchange);
}

#[test]
fn finish_waits_for_a_notice_that_runs() {
    let (server, parked) = deferring(&[]);
    let gate = Gate::new();
    let _opened = Opened(gate.clone());
    let mut client = server.connect();
    client.send(get("/later"));
    let exchange = parked.take();
    let running = gate.clone();
    let over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&over);
    exchange.on_close(move || {
        running.pass();
        flag.store(true, Ordering::SeqCst);
    });
    client.half_close();
    gate.await_arrivals(1);
    let seen = Arc::clone(&over);
    let finisher = thread::spawn(move || {
        let outcome = say(exchange, "good-bye");
        (outcome, seen.load(Ordering::SeqCst))
    });
    for _ in 0..20 {
        server.expect_alive();
    }
    assert!(!finisher.is_finished(), "what the notice uses may be gone after finish");
    gate.open();
    let (outcome, was_over) = finisher.join().expect("no panic");
    assert!(outcome.is_ok() && was_over, "{outcome:?}");
    assert_eq!(client.expect(200).text(), "good-bye");
}

#[test]
fn a_handler_that_fails_after_it_has_deferred_decides_nothing_more() {
    let parked = Parked::default();
    let mut logs = Logs::default();
    let server = Server::start(&[], |app| {
        logs = Logs::of(app);
        let place = parked.clone();
        app.get("/kept/:how", move |request: &Request, response: &mut Response| {
            place.put(response.defer(request)?);
            match &*request.param(b"how").expect("the pattern has it").to_string() {
                "panics" => panic!("as it was told"),
                "fails" => Err(hasty::Error::invalid("as it was told")),
                "again" => response.defer(request).map(drop),
                _ => response.send_text(b"too late").or(Ok(())),
            }
        })
        .expect("new");
        app.get("/lost", |request: &Request, response: &mut Response| {
            let _exchange = response.defer(request)?;
            panic!("as it was told")
        })
        .expect("new");
        let place = parked.clone();
        let pass = move |request: &Request, response: &mut Response| {
            place.put(response.defer(request)?);
            Ok(Flow::Next)
        };
        app.middleware("/middleware", Box::new(pass)).expect("a prefix");
        app.get("/middleware", |_: &Request, _: &mut Response| panic!("nobody gets here")).expect("new");
    });
    let mut client = server.connect();
    for target in ["/kept/panics", "/kept/fails", "/kept/again", "/kept/sends", "/middleware"] {
        client.send([get(target), get("/")].concat());
        say(parked.take(), target).expect("the client waits");
        assert_eq!(client.expect(200).text(), target);
        assert_eq!(client.expect(200).text(), "root");
    }
    client.send([get("/lost"), get("/")].concat());
    client.expect(503);
    assert_eq!(client.expect(200).text(), "root");
    assert!(logs.complain_of("as it was told"));
}

#[test]
fn who_waits_for_room_is_told_when_there_is_nobody_left() {
    let (server, parked) = deferring(&[]);
    let mut client = server.connect_narrow();
    client.send(get("/later"));
    let mut exchange = parked.take();
    while exchange.write(pattern(100_000)).is_ok() {}
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    exchange.on_ready(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(told.load(Ordering::SeqCst), 0);
    reset(client);
    await_that("the notice", || told.load(Ordering::SeqCst) == 1);
    assert_eq!(exchange.write(b"more").map_err(|error| error.kind()), Err(Kind::Closed));
    let count = Arc::clone(&told);
    exchange.on_ready(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(told.load(Ordering::SeqCst), 2, "at once");
}

#[test]
fn large_deferred_answers_reach_slow_readers_whole() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("large.bin");
    std::fs::write(&path, pattern(8 << 20)).expect("a file");
    let (server, parked) = deferring(&[]);
    for way in 0..3 {
        let mut client = server.connect_narrow();
        client.send([get("/later"), get("/")].concat());
        let mut exchange = parked.take();
        match way {
            0 => exchange.response_mut().send(pattern(8 << 20)).expect("an answer"),
            1 => exchange.response_mut().send_owned(Box::new(pattern(8 << 20))).expect("an answer"),
            _ => exchange.response_mut().send_file(&path).expect("an answer"),
        }
        exchange.finish().expect("the client waits");
        server.expect_alive();
        assert!(client.expect(200).body == pattern(8 << 20), "way {way}");
        assert_eq!(client.expect(200).text(), "root");
    }
}

#[test]
fn registering_a_notice_meets_the_clients_end() {
    let (server, parked) = deferring(&[("threads", "4")]);
    let begin = Instant::now();
    let mut rounds = 0;
    while begin.elapsed() < Duration::from_millis(1500) || rounds < 100 {
        rounds += 1;
        let mut client = server.connect();
        client.send(get("/later"));
        let exchange = parked.take();
        let leaver = thread::spawn(move || reset(client));
        let told = count_notices(&exchange);
        leaver.join().expect("no panic");
        await_that("the notice", || told.load(Ordering::SeqCst) == 1);
        drop(exchange);
        assert_eq!(told.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn finish_serves_nobodys_next_request() {
    let gate = Gate::new();
    let (server, parked) = deferring_with(&[("threads", "2")], |app| {
        let gate = gate.clone();
        app.get("/block", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"blocked")
        })
        .expect("new");
    });
    let _opened = Opened(gate.clone());
    let mut client = server.connect();
    client.send([get("/later"), get("/block"), get("/")].concat());
    // In this thread, which would wait for the gate that only it can open.
    say(parked.take(), "later").expect("the client waits");
    assert_eq!(client.expect(200).text(), "later");
    gate.await_arrivals(1);
    gate.open();
    assert_eq!(client.expect(200).text(), "blocked");
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn thousands_of_pipelined_requests_are_deferred_one_after_the_other() {
    let server = Server::start(&[], |app| {
        app.get("/here", |request: &Request, response: &mut Response| say(response.defer(request)?, "here")).expect("new");
        app.get("/there", |request: &Request, response: &mut Response| {
            let exchange = response.defer(request)?;
            thread::spawn(move || say(exchange, "there"));
            Ok(())
        })
        .expect("new");
    });
    let mut client = server.connect();
    let mut writer = client.tcp().try_clone().expect("a second handle");
    thread::scope(|scope| {
        scope.spawn(move || {
            for target in ["/here", "/there"] {
                std::io::Write::write_all(&mut writer, &get(target).repeat(2000)).expect("the server takes it");
            }
        });
        for text in ["here", "there"] {
            for number in 0..2000 {
                assert_eq!(client.expect(200).text(), text, "{number}");
            }
        }
    });
}

#[test]
fn what_was_written_before_a_cut_arrives_and_does_not_look_whole() {
    let (server, parked) = deferring(&[]);
    for version in ["1.0", "1.1"] {
        let mut client = server.connect_narrow();
        client.send(format!("GET /later HTTP/{version}\r\nHost: a\r\n\r\n"));
        let mut exchange = parked.take();
        exchange.write(pattern(8 << 20)).expect("there is room for one");
        drop(exchange);
        let head = client.expect_head(200);
        if head.framing == Framing::Close {
            // Only a reset tells that this is not all; it may take along what was not read yet.
            assert!(client.try_rest().is_err(), "the connection ended as if that were all");
        } else {
            let mut body = Vec::new();
            while body.len() < 8 << 20 {
                body.extend(client.chunk());
            }
            assert!(body == pattern(8 << 20));
            assert!(client.try_chunk().is_err(), "there is no last chunk");
        }
    }
}

/// The client's time does not run while it waits for us.
#[test]
fn no_time_out_of_the_clients_runs_while_an_exchange_is_open() {
    let parked = Parked::default();
    let options =
        [("idle_timeout_ms", "2000"), ("header_timeout_ms", "2000"), ("body_timeout_ms", "2000"), ("exchange_timeout_ms", "60000")];
    let server = Server::start(&options, |app| {
        let place = parked.clone();
        let defer = move |request: &Request, response: &mut Response| {
            place.put(response.defer(request)?);
            Ok(Flow::Done)
        };
        app.middleware("/later", Box::new(defer)).expect("a prefix");
        app.post("/mirror", |request: &Request, response: &mut Response| response.send(request.body().bytes())).expect("new");
    });
    let mirror = post("/mirror", b"hello");
    let unread = post("/later", pattern(1000));
    // What is there when the exchange begins, and what comes when it has ended.
    let cases: [(Vec<u8>, Vec<u8>, &str); 5] = [
        (get("/later"), get("/"), "root"),
        ([get("/later"), b"GET / HT".to_vec()].concat(), b"TP/1.1\r\nHost: a\r\n\r\n".to_vec(), "root"),
        ([&get("/later")[..], &mirror[..mirror.len() - 2]].concat(), b"lo".to_vec(), "hello"),
        (unread[..unread.len() - 500].to_vec(), [pattern(1000)[500..].to_vec(), get("/")].concat(), "root"),
        ([get("/later"), b"\r\n".to_vec()].concat(), get("/"), "root"),
    ];
    let mut clients: Vec<_> = cases.iter().map(|_| server.connect()).collect();
    for (client, (before, ..)) in clients.iter_mut().zip(&cases) {
        client.send(before);
    }
    parked.await_count(cases.len());
    // An idle client's end shows that all these times are over.
    let mut idle = server.connect();
    idle.send(get("/"));
    idle.expect(200);
    idle.expect_end();
    thread::sleep(Duration::from_millis(500));
    for exchange in parked.take_all() {
        say(exchange, "later").expect("the client waits");
    }
    for (number, (client, (_, after, text))) in clients.iter_mut().zip(&cases).enumerate() {
        assert_eq!(client.expect(200).text(), "later", "case {number}");
        client.send(after);
        assert_eq!(client.expect(200).text(), *text, "case {number}");
    }
}

#[test]
fn a_deferred_stream_is_compressed_like_any_other() {
    let (server, parked) = deferring(&[("stream_buffer_bytes", "20000")]);
    let mut client = server.connect_narrow();
    client.send("GET /later HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut exchange = parked.take();
    exchange.response_mut().set_type(b"text/plain").expect("a type");
    let mut random = Random::new(17);
    let mut pieces = std::iter::repeat_with(|| &pattern(1 << 20)[random.below(900_000)..][..random.below(19_000)]);
    let mut expected = Vec::new();
    // Nobody reads yet, so one of them finds no room.
    let mut refused = pieces.by_ref().find(|piece| {
        let outcome = exchange.write(piece);
        assert!(matches!(outcome.as_ref().map_err(|error| error.kind()), Ok(()) | Err(Kind::Limit)));
        expected.extend_from_slice(if outcome.is_ok() { piece } else { b"" });
        outcome.is_err()
    });
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let body = gunzip(&client.expect_streamed(200).answer.body);
            assert_eq!(client.expect(200).text(), "root");
            body
        });
        for piece in refused.take().into_iter().chain(pieces.take(200)) {
            // What is refused must leave no trace in the coded stream.
            while let Err(error) = exchange.write(piece) {
                assert_eq!(error.kind(), Kind::Limit);
                thread::sleep(Duration::from_micros(100));
            }
            expected.extend_from_slice(piece);
        }
        exchange.finish().expect("the client waits");
        assert!(reader.join().expect("no panic") == expected);
    });
}

//! Requests that do not wait for answers: their order, and how much of them a server holds at a time.

mod support;

use hasty::{App, Request, Response};
use std::io::{ErrorKind, Write as _};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Client, Gate, Opened, PATIENCE, Random, Server, get, last_get, pattern, post};

const MIB: usize = 1 << 20;

fn routes(app: &App) {
    app.post("/mirror", |request: &Request, response: &mut Response| response.send(request.body().bytes())).expect("new");
    app.get("/bytes/:n", |request: &Request, response: &mut Response| {
        let length = request.param(b"n").expect("the pattern has it").to_str().parse().expect("a number");
        response.send(pattern(length))
    })
    .expect("new");
}

/// What a request is answered with.
enum Wanted {
    Body(&'static [u8]),
    Status(u16),
    Head(usize),
}

fn any_request(random: &mut Random) -> (Vec<u8>, Wanted) {
    let length = match random.below(10) {
        0 => random.below(100_000),
        1..=4 => random.below(3000),
        _ => random.below(40),
    };
    match random.below(6) {
        0 | 1 => (post("/mirror", pattern(length)), Wanted::Body(pattern(length))),
        2 => (get(&format!("/bytes/{length}")), Wanted::Body(pattern(length))),
        3 => (format!("HEAD /bytes/{length} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(), Wanted::Head(length)),
        4 => (post("/nowhere", pattern(length % 5000)), Wanted::Status(404)),
        _ => {
            let body = pattern(length);
            let mut bytes = b"POST /mirror HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            // Their sum is limited, RFC 9112 7.1.1.
            let extension = if length < 1000 { ";n=1" } else { "" };
            for chunk in body.chunks(1 + random.below(4000)) {
                write!(bytes, "{:x}{extension}\r\n", chunk.len()).expect("a vector takes all");
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\nX-Sum: 7\r\n\r\n");
            (bytes, Wanted::Body(body))
        }
    }
}

#[test]
fn a_thousand_requests_of_all_sizes_are_answered_in_order() {
    let server = Server::start(&[], routes);
    let mut random = Random::new(11);
    let (requests, wanted): (Vec<_>, Vec<_>) = (0..1000).map(|_| any_request(&mut random)).unzip();
    let bytes = requests.concat();
    let mut client = server.connect();
    let mut writer = client.tcp().try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(1 + random.below(70_000)));
                writer.write_all(piece).expect("the server takes requests");
                rest = after;
            }
        });
        for (number, wanted) in wanted.iter().enumerate() {
            match wanted {
                Wanted::Body(body) => assert!(client.expect(200).body == *body, "the body of answer {number}"),
                Wanted::Status(status) => assert_eq!(client.answer().status, *status, "answer {number}"),
                Wanted::Head(length) => {
                    let answer = client.answer_to_head();
                    assert_eq!(answer.field("Content-Length"), Some(&*length.to_string()), "answer {number}");
                }
            }
        }
    });
    client.send(last_get("/"));
    client.expect(200);
    client.expect_end();
}

#[test]
fn a_slow_answer_holds_back_the_quick_one_behind_it() {
    let gate = Gate::new();
    let server = Server::start(&[], |app| {
        let gate = gate.clone();
        app.get("/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")
        })
        .expect("new");
    });
    let _opened = Opened(gate.clone());
    let mut client = server.connect();
    client.send([get("/slow"), get("/")].concat());
    gate.await_arrivals(1);
    assert!(client.take_what_came(), "the connection is open");
    gate.open();
    assert_eq!(client.expect(200).text(), "slow");
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn an_answer_before_a_slow_one_does_not_wait_for_it() {
    let gate = Gate::new();
    let server = Server::start(&[], |app| {
        let gate = gate.clone();
        app.get("/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")
        })
        .expect("new");
    });
    let _opened = Opened(gate.clone());
    let mut client = server.connect();
    client.send(get("/"));
    assert_eq!(client.expect(200).text(), "root");
    client.send(get("/slow"));
    gate.await_arrivals(1);
    gate.open();
    assert_eq!(client.expect(200).text(), "slow");
}

#[test]
fn large_and_small_answers_keep_their_order() {
    let server = Server::start(&[], routes);
    let lengths = [3 * MIB, 1, 0, 700_000, 5, 5 * MIB, 64 * 1024, 64 * 1024 + 1, 2];
    let mut client = server.connect();
    client.send(lengths.map(|length| get(&format!("/bytes/{length}"))).concat());
    for length in lengths {
        assert!(client.expect(200).body == pattern(length), "the answer of {length} bytes");
    }
}

#[test]
fn a_client_that_does_not_read_is_given_no_more_answers_than_its_connection_holds() {
    const REQUESTS: usize = 60;
    let served = Arc::new(AtomicUsize::new(0));
    let server = Server::start(&[], |app| {
        let served = Arc::clone(&served);
        app.get("/large", move |_: &Request, response: &mut Response| {
            served.fetch_add(1, Ordering::SeqCst);
            response.send(&[b'x'; MIB])
        })
        .expect("new");
    });
    let mut client = server.connect_narrow();
    client.send(get("/large").repeat(REQUESTS));
    let count = when_steady(|| served.load(Ordering::SeqCst));
    // Its socket holds some megabytes at most; what is more would be held by the server.
    assert!((1..=16).contains(&count), "{count} answers of 1 MiB were made for a client that reads none");
    for _ in 0..REQUESTS {
        assert!(client.expect(200).body == [b'x'; MIB]);
    }
    assert_eq!(served.load(Ordering::SeqCst), REQUESTS);
}

#[test]
fn a_client_that_writes_and_never_reads_is_stopped_by_its_own_socket() {
    const MOST: usize = 64 * MIB;
    let server = Server::start(&[], routes);
    let mut client = server.connect_narrow();
    let padding = "x".repeat(4000);
    let request = format!("GET /bytes/2000 HTTP/1.1\r\nHost: a\r\nX-Padding: {padding}\r\n\r\n").into_bytes();
    let mut stream = client.tcp();
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a write time-out");
    let mut sent = 0;
    loop {
        match stream.write(&request[sent % request.len()..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("after {sent} bytes: {error}"),
        }
        assert!(sent < MOST, "the server took {sent} bytes of requests whose answers nobody reads");
    }
    stream.set_write_timeout(Some(PATIENCE)).expect("a write time-out");
    let whole = sent / request.len();
    for _ in 0..whole {
        assert!(client.expect(200).body == pattern(2000));
    }
    if sent % request.len() > 0 {
        client.send(&request[sent % request.len()..]);
        assert!(client.expect(200).body == pattern(2000));
    }
    client.send(last_get("/"));
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_else() {
    let server = Server::start(&[("threads", "2")], routes);
    let mut deaf: Vec<_> = (0..8).map(|_| server.connect_narrow()).collect();
    for client in &mut deaf {
        client.send(get("/bytes/4000000").repeat(3));
    }
    let mut client = server.connect();
    for _ in 0..200 {
        client.send(get("/"));
        client.expect(200);
    }
    server.expect_alive();
    for client in &mut deaf {
        assert!(client.expect(200).body == pattern(4_000_000));
    }
}

/// `busy` uses its connection, as fast as it can, until another client has been served many times.
fn others_have_their_turn(server: &Server, busy: impl Fn(&mut Client, &AtomicBool) + Sync) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| busy(&mut server.connect(), &done));
        }
        let mut client = server.connect();
        for _ in 0..30 {
            client.send(get("/"));
            // Raised before the assertion, so that a failure ends the others too.
            let answer = client.try_answer();
            done.fetch_or(answer.is_err(), Ordering::SeqCst);
            assert_eq!(answer.expect("its turn comes").status, 200);
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_client_that_never_stops_asking_leaves_others_their_turn() {
    let server = Server::start(&[("threads", "1")], routes);
    let requests = get("/").repeat(500);
    others_have_their_turn(&server, |client, done| {
        let mut writer = client.tcp().try_clone().expect("a second handle");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) && writer.write_all(&requests).is_ok() {}
                let _ = writer.shutdown(Shutdown::Write);
            });
            let _ = client.read_and_forget();
        });
    });
}

#[test]
fn a_client_that_never_stops_sending_leaves_others_their_turn() {
    let server = Server::start(&[("threads", "1"), ("max_body_bytes", "10000000000")], |app| {
        app.post("/sink", |_: &Request, response: &mut Response| response.send_text(b"sunk")).expect("new");
    });
    others_have_their_turn(&server, |client, done| {
        while !done.load(Ordering::SeqCst) {
            client.send(post("/sink", pattern(4 * MIB)));
            client.expect(200);
        }
    });
}

#[test]
fn a_client_that_never_stops_reading_leaves_others_their_turn() {
    let server = Server::start(&[("threads", "1")], routes);
    others_have_their_turn(&server, |client, done| {
        while !done.load(Ordering::SeqCst) {
            client.send(get("/bytes/8000000").repeat(2));
            client.expect(200);
            client.expect(200);
        }
    });
}

/// The value when it has not changed for half a second.
fn when_steady(value: impl Fn() -> usize) -> usize {
    let end = Instant::now() + PATIENCE;
    let (mut last, mut since) = (value(), Instant::now());
    while since.elapsed() < Duration::from_millis(500) {
        assert!(Instant::now() < end, "it goes on changing");
        std::thread::sleep(Duration::from_millis(10));
        let now = value();
        if now != last || now == 0 {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

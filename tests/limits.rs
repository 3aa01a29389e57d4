//! Limits that need more than one connection, or options of their own. Limits of one message are in `cases/limits.http`.

mod support;

use hasty::{App, Request, Response};
use std::time::{Duration, Instant};
use support::{Client, Gate, Opened, PATIENCE, Server, get, last_get, pattern, post};

const MIB: usize = 1 << 20;

fn routes(app: &App) {
    app.post("/mirror", |request: &Request, response: &mut Response| response.send(request.body().bytes())).expect("new");
    app.post("/count", |request: &Request, response: &mut Response| response.send_text(request.body().len().to_string().as_bytes()))
        .expect("new");
}

/// The connection is refused in words, with a hint when to come again.
#[track_caller]
fn expect_refused(client: &mut Client) {
    // A refused client may be told before it has asked.
    let _ = client.try_send(get("/"));
    let answer = client.expect(503);
    assert!(answer.says_close(), "{answer:?}");
    assert!(answer.field("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer:?}");
    client.expect_end();
}

/// A new connection is served, if need be when the server has noticed that others have gone.
#[track_caller]
fn expect_served_soon(connect: impl Fn() -> Client) -> Client {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut client = connect();
        let _ = client.try_send(get("/"));
        match client.answer().status {
            200 => return client,
            status => assert_eq!(status, 503),
        }
        assert!(Instant::now() < end, "refused although there is room");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn as_many_connections_as_allowed_are_served_and_one_more_is_refused() {
    for most in [1, 2, 5] {
        let server = Server::start(&[("max_connections", &most.to_string())], routes);
        let mut clients: Vec<Client> = (0..most).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(get("/"));
            client.expect(200);
        }
        for _ in 0..20 {
            expect_refused(&mut server.connect());
        }
        for client in &mut clients {
            client.send(get("/"));
            client.expect(200);
        }
    }
}

#[test]
fn a_connection_that_ends_makes_room_for_another() {
    let server = Server::start(&[("max_connections", "3")], routes);
    let mut clients: Vec<Client> = (0..3).map(|_| expect_served_soon(|| server.connect())).collect();
    for turn in 0..20 {
        expect_refused(&mut server.connect());
        // Once by the client's end, once by the server's.
        let mut leaving = clients.remove(0);
        if turn % 2 == 0 {
            drop(leaving);
        } else {
            leaving.send(last_get("/"));
            leaving.expect(200);
            leaving.expect_end();
        }
        clients.push(expect_served_soon(|| server.connect()));
    }
}

#[test]
fn connections_of_one_address_are_counted_apart_from_those_of_others() {
    let server = Server::start(&[("max_connections_per_ip", "2")], routes);
    let mut first: Vec<Client> = (0..2).map(|_| expect_served_soon(|| server.connect())).collect();
    expect_refused(&mut server.connect());
    let mut others: Vec<Client> = (0..2).map(|_| expect_served_soon(|| server.connect_from(2))).collect();
    expect_refused(&mut server.connect_from(2));
    let _third_address = expect_served_soon(|| server.connect_from(3));
    drop(first.pop());
    let _again = expect_served_soon(|| server.connect());
    expect_refused(&mut server.connect_from(2));
    others[0].send(get("/"));
    others[0].expect(200);
}

#[test]
fn the_last_request_that_a_connection_may_make_closes_it() {
    let server = Server::start(&[("max_requests_per_connection", "3")], routes);
    let mut client = server.connect();
    for number in 1..=3 {
        client.send(get("/"));
        assert_eq!(client.expect(200).says_close(), number == 3, "request {number}");
    }
    client.expect_end();

    let mut pipelining = server.connect();
    pipelining.send(get("/").repeat(5));
    for number in 1..=3 {
        assert_eq!(pipelining.expect(200).says_close(), number == 3, "request {number}");
    }
    pipelining.expect_end();

    let mut with_bodies = server.connect();
    for number in 1..=3 {
        with_bodies.send(post("/mirror", b"hello"));
        assert_eq!(with_bodies.expect(200).says_close(), number == 3, "request {number}");
    }
    with_bodies.expect_end();
}

#[test]
fn errors_of_the_path_count_as_requests_of_a_connection() {
    let server = Server::start(&[("max_requests_per_connection", "2")], routes);
    let mut client = server.connect();
    client.send(get("/nowhere"));
    assert!(!client.expect(404).says_close());
    client.send(get("/nowhere"));
    assert!(client.expect(404).says_close());
    client.expect_end();
}

#[test]
fn a_body_beyond_what_may_be_held_is_refused() {
    let server = Server::start(&[("max_buffered_bytes", "1000000"), ("max_body_bytes", "100000000")], routes);
    for _ in 0..5 {
        let mut client = server.connect();
        let _ = client.try_send(post("/count", pattern(4 * MIB)));
        let answer = client.expect(503);
        assert!(answer.says_close(), "{answer:?}");
        client.expect_end();
        // What it had held is free again.
        let mut small = server.connect();
        small.send(post("/count", pattern(300_000)));
        assert_eq!(small.expect(200).text(), "300000");
    }
}

#[test]
fn many_bodies_together_are_held_up_to_the_limit() {
    let server = Server::start(&[("max_buffered_bytes", "2000000")], routes);
    let body = pattern(300_000);
    let request = post("/count", body);
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        // All but the last byte: it must be held.
        let _ = client.try_send(&request[..request.len() - 1]);
    }
    // The server has most likely seen these when it has answered another, in whatever way.
    let mut other = server.connect();
    let _ = other.try_send(get("/"));
    assert!(matches!(other.answer().status, 200 | 503));
    let mut served = 0;
    for client in &mut clients {
        let _ = client.try_send(&request[request.len() - 1..]);
        match client.answer().status {
            200 => served += 1,
            status => assert_eq!(status, 503),
        }
    }
    assert!((1..20).contains(&served), "{served} of 20 bodies of 300 kB were held, in 2 MB");
    // And all that was held is free again.
    for _ in 0..10 {
        let mut client = server.connect();
        client.send(&request);
        assert_eq!(client.expect(200).text(), "300000");
    }
}

#[test]
fn a_chunked_body_without_end_is_refused_at_the_limit() {
    let server = Server::start(&[("max_body_bytes", "100000")], routes);
    let mut client = server.connect();
    client.send("POST /mirror HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..200 {
        if client.try_send([&b"3e8\r\n"[..], pattern(1000), b"\r\n"].concat()).is_err() {
            break;
        }
    }
    let answer = client.expect(413);
    assert!(answer.says_close(), "{answer:?}");
    client.expect_end();
    server.expect_alive();
}

#[test]
fn a_body_at_the_limit_is_taken_in_each_framing() {
    let server = Server::start(&[("max_body_bytes", "100000")], routes);
    let mut client = server.connect();
    client.send(post("/mirror", pattern(100_000)));
    assert!(client.expect(200).body == pattern(100_000));
    let mut chunked = b"POST /mirror HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in pattern(100_000).chunks(1000) {
        chunked.extend_from_slice(&[b"3e8\r\n", chunk, b"\r\n"].concat());
    }
    client.send([&chunked[..], b"0\r\n\r\n"].concat());
    assert!(client.expect(200).body == pattern(100_000));
    client.send([&chunked[..], b"1\r\nx\r\n0\r\n\r\n"].concat());
    client.expect(413);
}

#[test]
fn a_limit_of_no_bytes_takes_no_body() {
    let server = Server::start(&[("max_body_bytes", "0")], routes);
    let mut client = server.connect();
    client.send(post("/count", b""));
    assert_eq!(client.expect(200).text(), "0");
    client.send(post("/count", b"x"));
    client.expect(413);
}

#[test]
fn a_route_may_take_more_than_others() {
    let server = Server::start(&[("max_body_bytes", "10")], |app| {
        routes(app);
        app.set_route_option("POST", "/count", "max_body_bytes", "100000").expect("a route option");
    });
    let mut client = server.connect();
    client.send(post("/count", pattern(100_000)));
    assert_eq!(client.expect(200).text(), "100000");
    client.send(post("/mirror", pattern(10)));
    assert!(client.expect(200).body == pattern(10));
    client.send(post("/mirror", pattern(11)));
    client.expect(413);
    let mut client = server.connect();
    let _ = client.try_send(post("/count", pattern(100_001)));
    client.expect(413);
}

#[test]
fn limits_of_a_head_are_what_the_options_say() {
    let options = [("max_header_bytes", "200"), ("max_headers", "4"), ("max_target_bytes", "40")];
    let server = Server::start(&options, routes);
    let status = |request: String| {
        let mut client = server.connect();
        let _ = client.try_send(request);
        client.answer().status
    };
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1));
    assert_eq!((status(target(40)), status(target(41))), (404, 414));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!((status(fields(4)), status(fields(5))), (200, 431));
    let head = |length: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(length - rest))
    };
    assert_eq!((status(head(200)), status(head(201))), (200, 431));
}

#[test]
fn a_limit_of_a_head_holds_for_heads_without_end() {
    let server = Server::start(&[("max_header_bytes", "200")], routes);
    for piece in ["GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\n", "\r\n", "GET /", "G"] {
        let mut client = server.connect();
        let _ = client.try_send(piece);
        while client.take_what_came() && client.try_send("aaaa").is_ok() {}
        let answer = client.answer();
        assert!(matches!(answer.status, 400 | 414 | 431 | 501), "{piece:?}: {answer:?}");
        client.expect_end();
    }
}

/// A limit on connections is none on handlers: those that run go on.
#[test]
fn a_refusal_leaves_running_handlers_alone() {
    let gate = Gate::new();
    let server = Server::start(&[("max_connections", "2")], |app| {
        let gate = gate.clone();
        app.get("/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")
        })
        .expect("new");
    });
    let _opened = Opened(gate.clone());
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.send(get("/slow"));
    }
    gate.await_arrivals(2);
    expect_refused(&mut server.connect());
    gate.open();
    for client in &mut clients {
        assert_eq!(client.expect(200).text(), "slow");
    }
}

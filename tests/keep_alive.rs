//! Many requests on one connection, one after the other, and what must not pass between them.

mod support;

use hasty::{App, Request, Response};
use socket2::SockRef;
use std::io::Write as _;
use std::time::{Duration, Instant};
use support::{Random, Server, get, pattern, post};

fn mirror(request: &Request, response: &mut Response) -> hasty::Result<()> {
    response.send(request.body().bytes())
}

fn routes(app: &App) {
    app.post("/mirror", mirror).expect("new");
    app.get("/only-get", |_: &Request, response: &mut Response| response.send_text(b"got")).expect("new");
    app.get("/number/:n", |request: &Request, response: &mut Response| {
        response.set_header(b"X-Number", request.param(b"n").expect("the pattern has it").bytes())?;
        response.send_text(request.param(b"n").expect("the pattern has it").bytes())
    })
    .expect("new");
}

#[test]
fn one_connection_serves_a_thousand_requests_in_turn() {
    let server = Server::start(&[], routes);
    let mut client = server.connect();
    let mut random = Random::new(1);
    for number in 0..1000 {
        if number % 3 == 0 {
            let body = pattern(random.below(5000));
            client.send(post("/mirror", body));
            assert!(client.expect(200).body == body, "request {number}");
        } else {
            client.send(get(&format!("/number/{number}")));
            assert_eq!(client.expect(200).text(), number.to_string());
        }
    }
}

#[test]
fn a_short_body_after_a_long_one_is_short() {
    let server = Server::start(&[], routes);
    let mut client = server.connect();
    for length in [1_000_000, 100_000, 10_000, 1000, 100, 10, 1, 0, 1, 70_000, 0] {
        let body = pattern(length);
        client.send(post("/mirror", body));
        assert!(client.expect(200).body == body, "a body of {length} bytes");
    }
}

/// Found by the cases: the answer of a request that had waited for its body was that of another client's.
#[test]
fn a_request_that_waits_for_its_body_gets_an_answer_of_its_own() {
    let server = Server::start(&[("threads", "1")], routes);
    let mut waiting = server.connect();
    let mut other = server.connect();
    waiting.send(&post("/mirror", b"hello")[..55]);
    for (wrong, status) in [
        ("DELETE /only-get HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /number/7 HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ] {
        other.send(wrong);
        other.expect(status);
    }
    waiting.send(&post("/mirror", b"hello")[55..]);
    let answer = waiting.expect(200);
    assert_eq!(answer.text(), "hello");
    assert_eq!((answer.field("Allow"), answer.field("X-Number")), (None, None), "{answer:?}");
}

#[test]
fn answers_never_cross_between_connections() {
    let server = Server::start(&[], routes);
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                let mut random = Random::new(thread as u64);
                for turn in 0..200 {
                    let number = thread * 1000 + turn;
                    match turn % 3 {
                        0 => {
                            client.send(get(&format!("/number/{number}")));
                            let answer = client.expect(200);
                            assert_eq!((answer.text(), answer.field("X-Number")), (number.to_string(), Some(&*number.to_string())));
                        }
                        1 => {
                            let request = post("/mirror", format!("body of {number}").as_bytes());
                            let (head, rest) = request.split_at(1 + random.below(request.len() - 1));
                            client.send(head);
                            std::thread::yield_now();
                            client.send(rest);
                            let answer = client.expect(200);
                            assert_eq!((answer.text(), answer.field("X-Number")), (format!("body of {number}"), None));
                        }
                        _ => {
                            client.send(format!("DELETE /number/{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
                            let answer = client.expect(405);
                            assert_eq!((answer.field("X-Number"), answer.lists("Allow", "GET")), (None, true));
                        }
                    }
                }
            });
        }
    });
}

#[test]
fn idle_connections_are_served_when_they_speak_again() {
    let server = Server::start(&[], routes);
    let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    let mut random = Random::new(3);
    for turn in 0..600 {
        let at = if turn < clients.len() { turn } else { random.below(clients.len()) };
        clients[at].send(get(&format!("/number/{turn}")));
        assert_eq!(clients[at].expect(200).text(), turn.to_string());
    }
}

#[test]
fn an_unread_body_of_200_kib_does_not_cost_the_connection() {
    let server = Server::start(&[], routes);
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(post("/nowhere", pattern(200 * 1024)));
        let answer = client.expect(404);
        assert!(!answer.says_close(), "{answer:?}");
        client.send(get("/number/7"));
        assert_eq!(client.expect(200).text(), "7");
    }
}

#[test]
fn an_unread_body_of_three_megabytes_ends_the_connection_and_the_answer_can_be_read() {
    let server = Server::start(&[], routes);
    for _ in 0..5 {
        let mut client = server.connect();
        // Most clients send all of a body before they look for an answer; a reset would lose it.
        client.send(post("/nowhere", pattern(3 << 20)));
        let answer = client.expect(404);
        assert!(answer.says_close(), "{answer:?}");
        client.expect_end();
    }
}

#[test]
#[ignore = "takes half a minute"]
fn a_body_without_end_that_nobody_reads_is_cut_off() {
    let server = Server::start(&[("max_body_bytes", "100000000000")], routes);
    let mut client = server.connect();
    client.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000000\r\n\r\n");
    let begin = Instant::now();
    while client.try_send(pattern(64 * 1024)).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the server reads without end what nobody needs");
        std::thread::sleep(Duration::from_millis(5));
    }
    client.expect(404);
    server.expect_alive();
}

/// A close while bytes wait to be read sends a reset, which takes along what the client has not read yet.
#[test]
fn bytes_behind_the_last_request_do_not_cost_its_answer() {
    let server = Server::start(&[("max_requests_per_connection", "1")], |app| {
        app.get("/large", |_: &Request, response: &mut Response| response.send(pattern(4 << 20))).expect("new");
    });
    for request in [
        "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /large HTTP/1.0\r\n\r\n",
        "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = server.connect_narrow();
        let mut writer = client.tcp().try_clone().expect("a second handle");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _ = writer.write_all(request.as_bytes());
                let _ = writer.write_all(&get("/").repeat(20_000));
            });
            assert!(client.expect(200).body == pattern(4 << 20), "{request:?}");
            client.expect_end();
        });
    }
}

/// RFC 9112 9.6: "If a server performs an immediate close of a TCP connection, there is a significant risk that the client
/// will not be able to read the last HTTP response." This client may pipeline: it cannot know that its last request was that.
#[test]
fn a_request_that_crosses_the_close_does_not_cost_the_answer_before() {
    let server = Server::start(&[("max_requests_per_connection", "1")], |app| {
        app.get("/large", |_: &Request, response: &mut Response| response.send(pattern(1 << 20))).expect("new");
    });
    for _ in 0..5 {
        let mut client = server.connect_narrow();
        client.send(get("/large"));
        // The answer has begun, and all of it is with the kernel when the server is through with it.
        let begin = client.take(1000);
        server.expect_alive();
        client.send(get("/"));
        server.expect_alive();
        assert!(client.answer_after(begin).body == pattern(1 << 20));
    }
}

#[test]
fn an_answer_to_head_may_be_of_any_length() {
    let server = Server::start(&[], |app| {
        app.get("/large", |_: &Request, response: &mut Response| response.send(pattern(4 << 20))).expect("new");
    });
    let mut client = server.connect();
    for _ in 0..10 {
        client.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer_to_head().field("Content-Length"), Some("4194304"));
        assert_eq!(client.expect(200).text(), "root");
    }
}

#[test]
fn the_server_says_its_name_as_the_option_has_it() {
    for (name, said) in [("hasty", Some("hasty")), ("my server/1.0 (tests)", Some("my server/1.0 (tests)")), ("", None)] {
        let server = Server::start(&[("server_header", name)], routes);
        let mut client = server.connect();
        client.send([get("/"), get("/nowhere"), b"bad\r\n\r\n".to_vec()].concat());
        for status in [200, 404, 400] {
            let answer = client.expect(status);
            assert_eq!(answer.all("Server"), Vec::from_iter(said), "{answer:?}");
        }
    }
}

#[test]
fn clients_that_reset_in_the_middle_disturb_nobody() {
    let server = Server::start(&[], routes);
    let mut faithful = server.connect();
    let request = post("/mirror", pattern(3000));
    let mut random = Random::new(4);
    for turn in 0..200 {
        let mut client = server.connect();
        client.send(&request[..random.below(request.len())]);
        // Zero linger: closing sends RST.
        SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        drop(client);
        if turn % 10 == 0 {
            faithful.send(get("/number/1"));
            faithful.expect(200);
            server.expect_alive();
        }
    }
}

#[test]
fn clients_that_reset_while_they_are_answered_disturb_nobody() {
    let server = Server::start(&[], |app| {
        app.get("/large", |_: &Request, response: &mut Response| response.send(pattern(2 << 20))).expect("new");
    });
    for _ in 0..50 {
        let mut client = server.connect();
        client.send([get("/large"), get("/large"), get("/large")].concat());
        SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        drop(client);
    }
    server.expect_alive();
}

//! Clients that take their time: each has a limit, and holds up nobody. Time itself is tested, so here are waits.
//!
//! Lower bounds are strict: no client may be cut off early. Upper bounds are wide, for machines with other work.

mod support;

use hasty::{App, Request, Response};
use std::time::{Duration, Instant, SystemTime};
use support::{Client, PATIENCE, Server, get, last_get, pattern, post};

const MIB: usize = 1 << 20;

/// The server's clock counts milliseconds, and may have counted one that had begun.
const TICK: Duration = Duration::from_millis(2);

/// How much later than it is due something may come, on a machine that has no time for it.
const LATE: Duration = Duration::from_secs(10);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn routes(app: &App) {
    app.post("/mirror", |request: &Request, response: &mut Response| response.send(request.body().bytes())).expect("new");
    app.get("/large", |_: &Request, response: &mut Response| response.send(pattern(8 * MIB))).expect("new");
}

/// The client is told 408 and the connection ends, `limit` after `begin` and not much later.
#[track_caller]
fn expect_too_late(client: &mut Client, begin: Instant, limit: Duration) {
    let answer = client.expect(408);
    let after = begin.elapsed();
    assert!(answer.says_close(), "{answer:?}");
    assert!(after + TICK >= limit, "cut off after {after:?}, before {limit:?}");
    assert!(after < 2 * limit + LATE, "cut off after {after:?}, long after {limit:?}");
    client.expect_end();
}

/// A client for each part of a request, side by side.
#[track_caller]
fn expect_all_too_late(server: &Server, parts: &[&str], limit: Duration) {
    let mut clients: Vec<_> = parts
        .iter()
        .map(|part| {
            let mut client = server.connect();
            let begin = Instant::now();
            client.send(part);
            (client, begin)
        })
        .collect();
    for (client, begin) in &mut clients {
        expect_too_late(client, *begin, limit);
    }
}

#[test]
fn a_head_that_does_not_come_in_time_is_told_so() {
    let server = Server::start(&[("header_timeout_ms", "400")], routes);
    expect_all_too_late(&server, &["G", "GET / HT", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"], ms(400));
    server.expect_alive();
}

/// The time for a head is absolute: a byte now and then does not prolong it.
#[test]
fn a_head_that_comes_byte_by_byte_has_no_more_time() {
    let server = Server::start(&[("header_timeout_ms", "400")], routes);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send("GET / HTTP/1.1\r\nX: ");
    while client.take_what_came() && begin.elapsed() < PATIENCE {
        let _ = client.try_send("a");
        std::thread::sleep(ms(40));
    }
    expect_too_late(&mut client, begin, ms(400));
}

/// Empty lines before a request line are ignored (RFC 9112 2.2), but they do not hold a connection for ever.
#[test]
fn empty_lines_do_not_prolong_the_time_of_a_head() {
    let server = Server::start(&[("header_timeout_ms", "400"), ("idle_timeout_ms", "400")], routes);
    let mut client = server.connect();
    let begin = Instant::now();
    while client.take_what_came() {
        assert!(begin.elapsed() < PATIENCE, "the connection is held by empty lines");
        let _ = client.try_send("\r\n");
        std::thread::sleep(ms(40));
    }
}

#[test]
fn the_second_head_has_its_own_time() {
    let server = Server::start(&[("header_timeout_ms", "400")], routes);
    let mut client = server.connect();
    client.send(get("/"));
    client.expect(200);
    std::thread::sleep(ms(300));
    let begin = Instant::now();
    client.send("GET / HTTP/1.1\r\n");
    expect_too_late(&mut client, begin, ms(400));
}

#[test]
fn a_head_behind_an_answered_request_has_its_time_too() {
    let server = Server::start(&[("header_timeout_ms", "400")], routes);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send([&get("/")[..], b"GET / HTTP"].concat());
    client.expect(200);
    expect_too_late(&mut client, begin, ms(400));
}

#[test]
fn a_connection_that_is_silent_between_requests_ends_without_a_word() {
    let server = Server::start(&[("idle_timeout_ms", "400")], routes);
    let mut client = server.connect();
    // The server begins to count when it has sent the answer, which may be long before this client has read it.
    let begin = Instant::now();
    client.send(get("/"));
    client.expect(200);
    client.expect_end();
    let after = begin.elapsed();
    assert!(after + TICK >= ms(400) && after < LATE, "{after:?}");
}

#[test]
fn a_connection_that_speaks_in_time_does_not_end() {
    let server = Server::start(&[("idle_timeout_ms", "3000")], routes);
    let mut client = server.connect();
    for _ in 0..6 {
        client.send(get("/"));
        client.expect(200);
        std::thread::sleep(ms(600));
    }
}

#[test]
fn a_connection_that_never_speaks_ends_without_a_word() {
    // Without deferred accepts: with them the kernel alone knows of it.
    let server = Server::start(&[("idle_timeout_ms", "400"), ("header_timeout_ms", "400"), ("defer_accept_s", "0")], routes);
    let begin = Instant::now();
    let mut client = server.connect();
    client.expect_end();
    let after = begin.elapsed();
    assert!(after + TICK >= ms(400) && after < LATE, "{after:?}");
}

#[test]
fn a_body_that_stops_is_told_so() {
    let server = Server::start(&[("body_timeout_ms", "400")], routes);
    let parts = [
        "POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
        "POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
        "POST /mirror HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "POST /mirror HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "POST /mirror HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ];
    expect_all_too_late(&server, &parts, ms(400));
    server.expect_alive();
}

#[test]
fn a_body_that_was_asked_for_and_does_not_come_is_told_so() {
    let server = Server::start(&[("body_timeout_ms", "400")], routes);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send("POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client.expect(100);
    expect_too_late(&mut client, begin, ms(400));
}

/// The time for a body is time without progress.
#[test]
fn a_body_that_goes_on_is_waited_for() {
    let server = Server::start(&[("body_timeout_ms", "3000"), ("min_rate_bytes", "0")], routes);
    let mut client = server.connect();
    client.send("POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    for byte in b"progress" {
        std::thread::sleep(ms(500));
        client.send([*byte]);
    }
    assert_eq!(client.expect(200).text(), "progress");
}

/// The time for a head is not the time for its body.
#[test]
fn a_body_may_come_after_the_time_for_heads() {
    let server = Server::start(&[("header_timeout_ms", "300")], routes);
    let mut client = server.connect();
    client.send("POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    std::thread::sleep(ms(900));
    client.send("llo");
    assert_eq!(client.expect(200).text(), "hello");
}

/// Side by side, since each waits for longer than the 5 s of grace.
#[test]
fn a_body_or_a_reader_below_the_least_rate_is_let_go_and_no_other() {
    std::thread::scope(|scope| {
        scope.spawn(a_body_below_the_least_rate_is_told_so);
        scope.spawn(a_body_above_the_least_rate_is_waited_for);
        scope.spawn(a_client_that_reads_below_the_least_rate_is_let_go);
    });
}

fn a_body_below_the_least_rate_is_told_so() {
    // After 5 s of grace.
    let server = Server::start(&[("min_rate_bytes", "1000")], routes);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send("POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    while client.take_what_came() && begin.elapsed() < PATIENCE {
        let _ = client.try_send("0123456789");
        std::thread::sleep(ms(100));
    }
    expect_too_late(&mut client, begin, ms(4900));
}

fn a_body_above_the_least_rate_is_waited_for() {
    let server = Server::start(&[("min_rate_bytes", "1000")], routes);
    let mut client = server.connect();
    client.send("POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 420000\r\n\r\n");
    // So far above it that a busy machine is as well.
    for piece in pattern(420_000).chunks(6000) {
        client.send(piece);
        std::thread::sleep(ms(100));
    }
    assert!(client.expect(200).body == pattern(420_000));
}

fn a_client_that_reads_below_the_least_rate_is_let_go() {
    let server = Server::start(&[("min_rate_bytes", "2000000")], routes);
    let mut client = server.connect_narrow();
    client.send(get("/large"));
    let begin = Instant::now();
    let mut length = 0;
    // After 5 s of grace; at this rate the answer would take minutes.
    while begin.elapsed() < PATIENCE {
        std::thread::sleep(ms(100));
        let piece = client.take(4096).len();
        length += piece;
        if piece == 0 {
            break;
        }
        if begin.elapsed() > ms(9000) {
            // What the sockets hold is read quickly now.
            length += client.read_until_gone().expect("the server is gone").len();
            break;
        }
    }
    assert!(length < 8 * MIB, "all {length} bytes were sent in {:?}", begin.elapsed());
}

/// Reads one byte, and nothing more until the server has let go of the connection. How many bytes it had sent by then.
fn received_of_large(server: &Server) -> (usize, Duration) {
    let mut client = server.connect_narrow();
    let begin = Instant::now();
    client.send(get("/large"));
    assert_eq!(client.take(1).len(), 1, "it is the first to be served");
    // Only one connection is allowed: when another is served, the first is gone.
    while {
        let mut other = server.connect();
        let _ = other.try_send(last_get("/"));
        other.answer().status != 200
    } {
        assert!(begin.elapsed() < PATIENCE, "the connection is kept for a client that reads nothing");
        std::thread::sleep(ms(20));
    }
    let after = begin.elapsed();
    (client.read_until_gone().expect("the server is gone").len(), after)
}

#[test]
fn a_client_that_reads_nothing_is_let_go() {
    let server = Server::start(&[("write_timeout_ms", "500"), ("max_connections", "1")], routes);
    let (length, after) = received_of_large(&server);
    assert!(length < 8 * MIB, "{length} bytes: nothing was left to write");
    assert!(after + TICK >= ms(500) && after < LATE, "{after:?}");
}

#[test]
fn a_client_that_reads_slowly_is_waited_for() {
    let server = Server::start(&[("write_timeout_ms", "3000")], routes);
    let mut client = server.connect_narrow();
    client.send(get("/large"));
    // Each read makes room at the server; eight of them take longer than the time without progress.
    let mut received = Vec::new();
    for _ in 0..8 {
        std::thread::sleep(ms(500));
        received.extend(client.take(256 * 1024));
    }
    let answer = client.answer_after(received);
    assert!(answer.body == pattern(8 * MIB));
}

/// The times are the client's. A handler has none.
#[test]
fn a_handler_may_take_longer_than_any_time_of_its_client() {
    let times = ["header_timeout_ms", "body_timeout_ms", "idle_timeout_ms", "write_timeout_ms"].map(|name| (name, "1500"));
    let server = Server::start(&times, |app| {
        app.post("/slow", |request: &Request, response: &mut Response| {
            std::thread::sleep(ms(2500));
            response.send(request.body().bytes())
        })
        .expect("new");
    });
    let mut client = server.connect();
    let mut hurried = server.connect();
    client.send(post("/slow", b"hello"));
    // The one behind it has begun, and does not come to its end.
    hurried.send([&post("/slow", b"you")[..], b"GET / HT"].concat());
    assert_eq!(client.expect(200).text(), "hello");
    std::thread::sleep(ms(100));
    client.send(get("/"));
    client.expect(200);
    assert_eq!(hurried.expect(200).text(), "you");
    hurried.expect(408);
    hurried.expect_end();
}

#[test]
fn the_date_is_that_of_the_answer() {
    let server = Server::start(&[], routes);
    let mut client = server.connect();
    // The server may keep its date from answer to answer, but not while it sleeps.
    for _ in 0..3 {
        let asked = SystemTime::now();
        client.send([get("/"), get("/nowhere")].concat());
        for status in [200, 404] {
            let answer = client.expect(status);
            let date = httpdate::parse_http_date(answer.field("Date").expect("every answer has one")).expect("it is a date");
            // Whole seconds, one of which may have begun.
            assert!(date <= SystemTime::now() && date + ms(1500) > asked, "{date:?} for what was asked at {asked:?}: {answer:?}");
        }
        std::thread::sleep(ms(1600));
    }
}

#[test]
fn slow_clients_hold_up_nobody() {
    let server = Server::start(&[("threads", "1")], routes);
    let parts = ["GET / HT", "POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello"];
    let mut slow: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for (number, client) in slow.iter_mut().enumerate() {
        client.send(parts[number % 2]);
    }
    let mut client = server.connect();
    for _ in 0..100 {
        client.send(get("/"));
        client.expect(200);
    }
    let rests = ["TP/1.1\r\nHost: a\r\n\r\n", "world"];
    for (number, client) in slow.iter_mut().enumerate() {
        client.send(rests[number % 2]);
        assert_eq!(client.expect(200).text(), ["root", "helloworld"][number % 2]);
    }
}

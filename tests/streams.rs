//! Answers that handlers write piece by piece.

mod support;

use hasty::{App, Error, Kind, Request, Response};
use parking_lot::Mutex;
use socket2::SockRef;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Client, Framing, Gate, Logs, Opened, PATIENCE, Server, await_that, get, gunzip, last_get, pattern, shown};

/// Registers a handler under `GET` and a path.
fn on<F>(app: &App, path: &str, handle: F)
where
    F: Fn(&Request, &mut Response) -> hasty::Result<()> + Send + Sync + 'static,
{
    app.get(path, handle).expect("new");
}

fn pieces(request: &Request, response: &mut Response) -> hasty::Result<()> {
    for piece in ["one ", "two ", "", "three"] {
        response.write(request, piece.as_bytes())?;
    }
    Ok(())
}

/// How a body ended that should have come in chunks or by length, with what came of it.
fn cut_body(client: &mut Client) -> (Vec<u8>, bool) {
    let framing = client.expect_head(200).framing;
    let mut body = Vec::new();
    loop {
        let piece = match framing {
            Framing::Chunked => client.try_chunk(),
            Framing::Length(length) if length == body.len() => return (body, true),
            _ => client.try_bytes(1),
        };
        match piece {
            Ok(chunk) if chunk.is_empty() => return (body, true),
            Ok(chunk) => body.extend_from_slice(&chunk),
            Err(_) => return (body, false),
        }
    }
}

#[test]
fn pieces_go_out_in_chunks_and_the_connection_goes_on() {
    let server = Server::start(&[], |app| on(app, "/pieces", pieces));
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(get("/pieces"));
        let head = client.expect_head(200);
        assert_eq!((head.framing, head.answer.says_close()), (Framing::Chunked, false), "{head:?}");
        assert_eq!(head.answer.field("Content-Type"), Some("application/octet-stream"));
        for piece in ["one ", "two ", "three", ""] {
            assert_eq!(shown(&client.chunk()), piece);
        }
        client.send(get("/"));
        assert_eq!(client.expect(200).text(), "root");
    }
}

#[test]
fn a_piece_is_with_the_client_before_the_next_is_written() {
    let gate = Gate::new();
    let server = Server::start(&[], |app| {
        let gate = gate.clone();
        on(app, "/slow", move |request: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            response.write(request, b"first")?;
            gate.pass();
            response.write(request, b"second")
        });
    });
    let _opened = Opened(gate.clone());
    for coded in ["", "Accept-Encoding: gzip\r\n"] {
        let mut client = server.connect();
        client.send(format!("GET /slow HTTP/1.1\r\nHost: a\r\n{coded}\r\n"));
        assert_eq!(client.expect_head(200).framing, Framing::Chunked);
        assert!(!client.chunk().is_empty(), "the first piece comes while the handler waits");
        gate.open();
        while !client.chunk().is_empty() {}
    }
}

#[test]
fn a_stream_of_a_set_length_has_it() {
    let server = Server::start(&[], |app| {
        on(app, "/right", |request: &Request, response: &mut Response| {
            response.set_header(b"Content-Length", b"13")?;
            pieces(request, response)
        });
        on(app, "/none", |request: &Request, response: &mut Response| {
            response.set_header(b"Content-Length", b"0")?;
            response.write(request, b"")
        });
    });
    let mut client = server.connect();
    client.send([get("/right"), get("/none"), get("/right")].concat());
    for (length, text) in [(13, "one two three"), (0, ""), (13, "one two three")] {
        let streamed = client.expect_streamed(200);
        assert_eq!((streamed.framing, streamed.answer.text()), (Framing::Length(length), text.to_owned()));
    }
}

#[test]
fn too_few_bytes_end_the_connection_and_are_logged() {
    let mut logs = Logs::default();
    let server = Server::start(&[], |app| {
        logs = Logs::of(app);
        on(app, "/short", |request: &Request, response: &mut Response| {
            response.set_header(b"Content-Length", b"20")?;
            pieces(request, response)
        });
    });
    let mut client = server.connect();
    client.send([get("/short"), get("/")].concat());
    assert_eq!(cut_body(&mut client), (b"one two three".to_vec(), false));
    await_that("the log", || logs.complain_of("before the Content-Length"));
}

#[test]
fn too_many_bytes_end_the_connection_are_not_sent_and_are_logged() {
    let outcome: Arc<Mutex<Option<Kind>>> = Arc::default();
    let mut logs = Logs::default();
    let server = Server::start(&[], |app| {
        logs = Logs::of(app);
        let outcome = Arc::clone(&outcome);
        on(app, "/long", move |request: &Request, response: &mut Response| {
            response.set_header(b"Content-Length", b"10")?;
            response.write(request, b"12345")?;
            *outcome.lock() = response.write(request, b"678901").err().map(|error| error.kind());
            assert!(response.write(request, b"6").is_err(), "nothing goes after that");
            Ok(())
        });
        on(app, "/at-once", |request: &Request, response: &mut Response| {
            response.set_header(b"Content-Length", b"3")?;
            response.write(request, b"1234")
        });
    });
    let mut client = server.connect();
    client.send([get("/long"), get("/")].concat());
    assert_eq!(cut_body(&mut client), (b"12345".to_vec(), false));
    assert_eq!(*outcome.lock(), Some(Kind::Invalid));
    await_that("the log", || logs.complain_of("more than the"));
    // While nothing was sent it can be a 500 yet.
    let mut client = server.connect();
    client.send([get("/at-once"), get("/")].concat());
    client.expect(500);
    client.expect(200);
}

#[test]
fn a_handler_that_fails_after_the_head_cuts_the_connection() {
    let mut logs = Logs::default();
    let server = Server::start(&[], |app| {
        logs = Logs::of(app);
        on(app, "/fails", |request: &Request, response: &mut Response| {
            pieces(request, response)?;
            Err(Error::invalid("as it was told"))
        });
        on(app, "/panics", |request: &Request, response: &mut Response| {
            pieces(request, response)?;
            panic!("as it was told");
        });
        on(app, "/length", |request: &Request, response: &mut Response| {
            response.set_header(b"Content-Length", b"13")?;
            pieces(request, response)?;
            panic!("as it was told");
        });
        on(app, "/before", |_: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            Err(Error::invalid("as it was told"))
        });
    });
    for target in ["/fails", "/panics"] {
        let mut client = server.connect();
        client.send([get("/"), get(target), get("/")].concat());
        assert_eq!(client.expect(200).text(), "root", "the answer before is whole");
        assert_eq!(cut_body(&mut client), (b"one two three".to_vec(), false), "{target}: no last chunk");
    }
    // All of its bytes were sent: the client may take it for whole, but the connection does not go on.
    let mut client = server.connect();
    client.send([get("/length"), get("/")].concat());
    assert_eq!(cut_body(&mut client).0, b"one two three");
    client.try_end_or_reset().expect("the connection ends");
    assert!(logs.complain_of("as it was told"));
    let mut client = server.connect();
    client.send([get("/before"), get("/")].concat());
    client.expect(500);
    client.expect(200);
}

#[test]
fn clients_of_http_1_0_get_a_body_that_ends_with_the_connection() {
    let server = Server::start(&[], |app| {
        on(app, "/pieces", pieces);
        on(app, "/length", |request: &Request, response: &mut Response| {
            response.set_header(b"Content-Length", b"13")?;
            pieces(request, response)
        });
        on(app, "/fails", |request: &Request, response: &mut Response| {
            pieces(request, response)?;
            Err(Error::invalid("as it was told"))
        });
    });
    for keep_alive in ["", "Connection: keep-alive\r\n"] {
        let mut client = server.connect();
        client.send(format!("GET /pieces HTTP/1.0\r\n{keep_alive}\r\n"));
        let streamed = client.expect_streamed(200);
        assert_eq!((streamed.framing, streamed.answer.text()), (Framing::Close, "one two three".to_owned()), "{streamed:?}");
        assert!(!streamed.answer.lists("Connection", "keep-alive"), "{streamed:?}");
    }
    let mut client = server.connect();
    client.send("GET /length HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    let streamed = client.expect_streamed(200);
    assert_eq!((streamed.framing, streamed.answer.lists("Connection", "keep-alive")), (Framing::Length(13), true), "{streamed:?}");
    client.expect(200);
    client.expect_end();
    // Only a reset tells this client that the body is not whole.
    let mut client = server.connect();
    client.send("GET /fails HTTP/1.0\r\n\r\n");
    client.expect_head(200);
    let outcome = client.try_rest();
    assert!(outcome.is_err(), "a cut body looks like a whole one: {outcome:?}");
}

#[test]
fn head_has_the_head_and_no_body() {
    let outcome: Arc<Mutex<Vec<Option<Kind>>>> = Arc::default();
    let server = Server::start(&[], |app| {
        let outcome = Arc::clone(&outcome);
        on(app, "/pieces", move |request: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            let first = response.write(request, b"one");
            outcome.lock().push(first.as_ref().err().map(|error| error.kind()));
            first
        });
        on(app, "/length", |request: &Request, response: &mut Response| {
            response.set_header(b"Content-Length", b"13")?;
            pieces(request, response)
        });
    });
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("HEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\nHEAD /length HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.expect_head(200).answer;
        assert_eq!((head.field("Content-Type"), head.says_close()), (Some("text/plain"), false), "{head:?}");
        assert_eq!(client.expect_head(200).framing, Framing::Length(13));
        assert_eq!(client.expect(200).text(), "root");
    }
    assert_eq!(*outcome.lock(), [Some(Kind::Closed); 3], "the handler learns that it need not go on");
}

#[test]
fn an_answer_without_body_stays_one() {
    let server = Server::start(&[], |app| {
        for status in [204, 304] {
            on(app, &format!("/{status}"), move |request: &Request, response: &mut Response| {
                response.set_status(status)?;
                let _ = response.write(request, b"not to be sent");
                Ok(())
            });
        }
    });
    let mut client = server.connect();
    client.send([get("/204"), get("/304"), get("/")].concat());
    for status in [204, 304] {
        assert_eq!(client.expect_streamed(status).framing, Framing::Length(0));
    }
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn pipelined_requests_around_streams_are_answered_in_order() {
    let server = Server::start(&[], |app| {
        on(app, "/pieces", pieces);
        on(app, "/large", |request: &Request, response: &mut Response| {
            for piece in pattern(1 << 20).chunks(10_000) {
                response.write(request, piece)?;
            }
            Ok(())
        });
        app.post("/mirror", |request: &Request, response: &mut Response| {
            for piece in request.body().bytes().chunks(7) {
                response.write(request, piece)?;
            }
            Ok(())
        })
        .expect("new");
    });
    let mut client = server.connect();
    let requests = [get("/"), get("/pieces"), get("/large"), support::post("/mirror", pattern(3000)), get("/pieces"), get("/")];
    client.send(requests.concat());
    assert_eq!(client.expect(200).text(), "root");
    assert_eq!(client.expect_streamed(200).answer.text(), "one two three");
    assert!(client.expect_streamed(200).answer.body == pattern(1 << 20));
    assert!(client.expect_streamed(200).answer.body == pattern(3000));
    assert_eq!(client.expect_streamed(200).answer.text(), "one two three");
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn a_stream_to_a_client_that_wants_to_close_says_so() {
    let server = Server::start(&[("max_requests_per_connection", "2")], |app| {
        on(app, "/pieces", pieces);
        on(app, "/close", |request: &Request, response: &mut Response| {
            response.set_header(b"Connection", b"close")?;
            pieces(request, response)
        });
    });
    for requests in [vec![last_get("/pieces")], vec![get("/close")], vec![get("/pieces"), get("/pieces")]] {
        let mut client = server.connect();
        client.send(requests.concat());
        for number in 1..=requests.len() {
            let streamed = client.expect_streamed(200);
            assert_eq!((streamed.framing, streamed.answer.text()), (Framing::Chunked, "one two three".to_owned()));
            assert_eq!(streamed.answer.says_close(), number == requests.len(), "{streamed:?}");
        }
        client.expect_end();
    }
}

#[test]
fn a_half_closed_client_gets_its_stream() {
    let server = Server::start(&[], |app| on(app, "/pieces", pieces));
    let mut client = server.connect();
    client.send(get("/pieces"));
    client.half_close();
    assert_eq!(client.expect_streamed(200).answer.text(), "one two three");
    client.expect_end();
}

#[test]
fn large_pieces_arrive_as_they_were() {
    let server = Server::start(&[], |app| {
        on(app, "/large", |request: &Request, response: &mut Response| {
            let mut rest = pattern(8 << 20);
            for size in [1, 63 * 1024, 64 * 1024, 64 * 1024 + 1, 1 << 20, 4 << 20] {
                let (piece, left) = rest.split_at(size);
                response.write(request, piece)?;
                rest = left;
            }
            response.write(request, rest)
        });
    });
    let mut client = server.connect_narrow();
    for _ in 0..2 {
        client.send(get("/large"));
        assert!(client.expect_streamed(200).answer.body == pattern(8 << 20));
    }
}

/// The head is fixed with the first piece.
#[test]
fn nothing_changes_in_a_head_that_was_sent() {
    let server = Server::start(&[], |app| {
        on(app, "/late", |request: &Request, response: &mut Response| {
            response.set_header(b"X-Early", b"yes")?;
            response.write(request, b"body")?;
            for late in [
                response.set_header(b"X-Late", b"yes"),
                response.set_status(500),
                response.send_text(b"other"),
                response.reset(),
                response.send_file("/etc/hostname"),
                response.remove_header(b"X-Early"),
            ] {
                assert_eq!(late.map_err(|error| error.kind()), Err(Kind::State));
            }
            Ok(())
        });
    });
    let mut client = server.connect();
    client.send(get("/late"));
    let answer = client.expect_head(200).answer;
    assert_eq!((answer.field("X-Early"), answer.field("X-Late")), (Some("yes"), None));
}

#[test]
fn a_stream_is_not_begun_where_a_body_was_given_or_a_setter_failed() {
    let server = Server::start(&[], |app| {
        on(app, "/both", |request: &Request, response: &mut Response| {
            response.send_html(b"<p>given")?;
            assert_eq!(response.write(request, b"written").map_err(|error| error.kind()), Err(Kind::State));
            Ok(())
        });
        on(app, "/instead", |request: &Request, response: &mut Response| {
            response.send_html(b"<p>given")?;
            response.reset()?;
            response.write(request, b"written")
        });
        on(app, "/wrong", |request: &Request, response: &mut Response| {
            let _ = response.set_header(b"X Y", b"no token");
            assert!(response.write(request, b"written").is_err(), "an answer that cannot be sent is not begun");
            Ok(())
        });
    });
    let mut client = server.connect();
    client.send([get("/both"), get("/instead"), get("/wrong"), get("/")].concat());
    client.expect(500);
    assert_eq!(client.expect_streamed(200).answer.text(), "written");
    client.expect(500);
    client.expect(200);
}

#[test]
fn a_slow_reader_slows_its_handler_and_nobody_else() {
    let written = Arc::new(AtomicUsize::new(0));
    let server = Server::start(&[("threads", "4")], |app| {
        let written = Arc::clone(&written);
        on(app, "/endless", move |request: &Request, response: &mut Response| {
            for _ in 0..64 {
                response.write(request, pattern(1 << 20))?;
                written.fetch_add(1 << 20, Ordering::SeqCst);
            }
            Ok(())
        });
    });
    let mut client = server.connect_narrow();
    client.send(get("/endless"));
    client.expect_head(200);
    for _ in 0..50 {
        server.expect_alive();
    }
    // What nobody reads fills the sockets' buffers and no more.
    let ahead = written.load(Ordering::SeqCst);
    assert!(ahead < 32 << 20, "{ahead} bytes were written to a client that reads nothing");
    let mut received = 0;
    loop {
        let chunk = client.chunk();
        if chunk.is_empty() {
            break;
        }
        received += chunk.len();
    }
    assert_eq!(received, 64 << 20);
}

#[test]
fn more_slow_readers_than_threads_get_all_there_is() {
    // Made now, so that no handler is learned to take long for making it.
    let piece = pattern(1 << 17);
    for blocking in ["auto", "yes"] {
        let server = Server::start(&[("threads", "2")], |app| {
            on(app, "/large", |request: &Request, response: &mut Response| (0..64).try_for_each(|_| response.write(request, piece)));
            app.set_route_option("GET", "/large", "blocking", blocking).expect("new");
        });
        let mut clients: Vec<_> = (0..8).map(|_| server.connect_narrow()).collect();
        for client in &mut clients {
            client.send(get("/large"));
        }
        for client in &mut clients {
            let (body, whole) = cut_body(client);
            assert!(whole && body.len() == 64 << 17, "blocking = {blocking}: {} bytes came", body.len());
        }
    }
}

#[test]
fn a_client_that_takes_nothing_is_given_up_after_write_timeout_ms() {
    let outcome: Arc<Mutex<Option<(Kind, Duration)>>> = Arc::default();
    let server = Server::start(&[("write_timeout_ms", "400"), ("threads", "2")], |app| {
        let outcome = Arc::clone(&outcome);
        on(app, "/endless", move |request: &Request, response: &mut Response| {
            let begin = Instant::now();
            loop {
                if let Err(error) = response.write(request, pattern(1 << 20)) {
                    *outcome.lock() = Some((error.kind(), begin.elapsed()));
                    return Err(error);
                }
            }
        });
    });
    let mut client = server.connect_narrow();
    client.send(get("/endless"));
    await_that("the end of the handler", || outcome.lock().is_some());
    let (kind, time) = outcome.lock().take().expect("it was there");
    assert_eq!(kind, Kind::Timeout);
    assert!(time >= Duration::from_millis(400) && time < PATIENCE, "{time:?}");
    assert!(!cut_body(&mut client).1);
    server.expect_alive();
}

#[test]
fn a_reader_that_dawdles_is_not_given_up_while_it_takes_something() {
    let server = Server::start(&[("write_timeout_ms", "2500")], |app| {
        on(app, "/large", |request: &Request, response: &mut Response| response.write(request, pattern(8 << 20)));
    });
    let mut client = server.connect_narrow();
    client.send(get("/large"));
    client.expect_head(200);
    let mut body = Vec::new();
    loop {
        let chunk = client.chunk();
        if chunk.is_empty() {
            break;
        }
        body.extend_from_slice(&chunk);
        // 16 pauses of 200 ms take longer than the time-out, which counts from the last byte taken.
        if body.len() % (512 * 1024) == 0 {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    assert!(body == pattern(8 << 20));
}

/// The kernel says that a socket takes more only when a third of its buffer is free again; a client may need longer for that
/// than the time-out, and yet take something all the time.
#[test]
fn a_reader_that_never_stops_is_not_given_up() {
    let server = Server::start(&[("write_timeout_ms", "1500")], |app| {
        on(app, "/large", |request: &Request, response: &mut Response| response.write(request, pattern(8 << 20)));
        on(app, "/small", |request: &Request, response: &mut Response| {
            for piece in pattern(8 << 20).chunks(50_000) {
                response.write(request, piece)?;
            }
            Ok(())
        });
        on(app, "/whole", |_: &Request, response: &mut Response| response.send(pattern(8 << 20)));
        on(app, "/deferred", |request: &Request, response: &mut Response| {
            let mut exchange = response.defer(request)?;
            exchange.write(pattern(8 << 20))?;
            exchange.finish()
        });
    });
    std::thread::scope(|scope| {
        for target in ["/large", "/small", "/whole", "/deferred"] {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect_narrow();
                client.send(get(target));
                let framing = client.expect_head(200).framing;
                let mut received = 0;
                while received < 8 << 20 {
                    received += match framing {
                        Framing::Chunked => client.try_chunk().unwrap_or_else(|why| panic!("{target}: {}", &why[..30])).len(),
                        _ => client.try_bytes(32 << 10).unwrap_or_else(|why| panic!("{target}: {}", &why[..30])).len(),
                    };
                    // 700 KB a second, a twentieth of the time-out at a time.
                    std::thread::sleep(Duration::from_millis(if framing == Framing::Chunked { 75 } else { 45 }));
                }
            });
        }
    });
}

#[test]
fn a_handler_notices_that_its_client_has_gone() {
    for reset in [true, false] {
        let ended = Arc::new(Mutex::new(None));
        let server = Server::start(&[], |app| {
            let ended = Arc::clone(&ended);
            on(app, "/endless", move |request: &Request, response: &mut Response| {
                let error = loop {
                    if let Err(error) = response.write(request, pattern(10_000)) {
                        break error;
                    }
                };
                *ended.lock() = Some(error.kind());
                Err(error)
            });
        });
        let mut logs = Vec::new();
        for _ in 0..10 {
            let mut client = server.connect();
            client.send(get("/endless"));
            client.expect_head(200);
            if reset {
                SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
            }
            drop(client);
            await_that("the end of the handler", || ended.lock().is_some());
            logs.extend(ended.lock().take());
        }
        assert_eq!(logs, [Kind::Closed; 10]);
        server.expect_alive();
    }
}

#[test]
fn events_are_lines_of_text_event_stream() {
    let server = Server::start(&[], |app| {
        on(app, "/events", |request: &Request, response: &mut Response| {
            response.write_event(request, None, Some(b"plain"), None)?;
            response.write_event(request, Some(b"tick"), Some(b"one\ntwo\r\nthree\rfour\n"), Some(b"7"))?;
            response.write_event(request, None, None, None)?;
            response.write_event(request, Some(b"empty"), Some(b""), None)?;
            for (event, id) in [("a\nb", "1"), ("a\rb", "1"), ("a", "1\n"), ("a", "\0")] {
                let wrong = response.write_event(request, Some(event.as_bytes()), Some(b"x"), Some(id.as_bytes()));
                assert_eq!(wrong.map_err(|error| error.kind()), Err(Kind::Invalid));
            }
            response.write_event(request, None, Some(b"after"), None)
        });
        on(app, "/own", |request: &Request, response: &mut Response| {
            response.set_header(b"Cache-Control", b"no-store")?;
            response.set_header(b"X-Accel-Buffering", b"yes")?;
            response.write_event(request, None, Some(b"x"), None)
        });
    });
    let mut client = server.connect();
    client.send("GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nAccept-Encoding: gzip\r\n\r\n");
    let answer = client.expect_streamed(200).answer;
    assert_eq!(answer.field("Content-Encoding"), None, "events are not coded");
    assert!(answer.field("Content-Type").is_some_and(|kind| kind.starts_with("text/event-stream")), "{answer:?}");
    assert_eq!((answer.all("Cache-Control"), answer.all("X-Accel-Buffering")), (vec!["no-cache"], vec!["no"]));
    let expected = "data: plain\n\n\
        event: tick\nid: 7\ndata: one\ndata: two\ndata: three\ndata: four\ndata: \n\n\
        :\n\n\
        event: empty\ndata: \n\n\
        data: after\n\n";
    assert_eq!(answer.text(), expected);
    client.send(get("/own"));
    let answer = client.expect_streamed(200).answer;
    assert_eq!((answer.all("Cache-Control"), answer.all("X-Accel-Buffering")), (vec!["no-store"], vec!["yes"]));
}

#[test]
fn a_compressed_stream_is_one_gzip_that_can_be_read_as_it_comes() {
    let server = Server::start(&[], |app| {
        on(app, "/text", |request: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            response.set_header(b"ETag", b"\"strong\"")?;
            for number in 0..1000 {
                response.write(request, format!("line {number}\n").as_bytes())?;
            }
            Ok(())
        });
        on(app, "/length", |request: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            response.set_header(b"Content-Length", b"13")?;
            pieces(request, response)
        });
        on(app, "/bytes", pieces);
    });
    let expected: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    let mut client = server.connect();
    client.send("GET /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let streamed = client.expect_streamed(200);
    assert_eq!((streamed.framing, streamed.answer.all("Content-Encoding")), (Framing::Chunked, vec!["gzip"]));
    assert!(streamed.answer.lists("Vary", "Accept-Encoding"), "{streamed:?}");
    assert_eq!(streamed.answer.all("ETag"), ["W/\"strong\""]);
    assert!(gunzip(&streamed.answer.body) == expected.as_bytes());
    client.send(get("/text"));
    let answer = client.expect_streamed(200).answer;
    assert_eq!((answer.field("Content-Encoding"), answer.text() == expected), (None, true));
    assert!(answer.lists("Vary", "Accept-Encoding"), "{answer:?}");
    client.send("GET /text HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
    let streamed = client.expect_streamed(200);
    assert_eq!(streamed.framing, Framing::Close);
    assert!(gunzip(&streamed.answer.body) == expected.as_bytes());
    let mut client = server.connect();
    for target in ["/length", "/bytes"] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"));
        let answer = client.expect_streamed(200).answer;
        assert_eq!((answer.field("Content-Encoding"), answer.text()), (None, "one two three".to_owned()), "{target}");
    }
}

#[test]
fn a_compressed_stream_that_fails_has_no_end() {
    let server = Server::start(&[], |app| {
        on(app, "/fails", |request: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            response.write(request, b"some text")?;
            Err(Error::invalid("as it was told"))
        });
    });
    let mut client = server.connect();
    client.send("GET /fails HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let (body, whole) = cut_body(&mut client);
    let mut decoder = flate2::bufread::GzDecoder::new(&body[..]);
    assert!(!whole && std::io::Read::read_to_end(&mut decoder, &mut Vec::new()).is_err());
}

#[test]
fn a_stream_ends_in_a_drain_and_its_connection_with_it() {
    let gate = Gate::new();
    let server = Server::start(&[], |app| {
        let gate = gate.clone();
        on(app, "/slow", move |request: &Request, response: &mut Response| {
            response.write(request, b"first ")?;
            gate.pass();
            response.write(request, b"second")
        });
    });
    let _opened = Opened(gate.clone());
    let mut client = server.connect();
    client.send(get("/slow"));
    gate.await_arrivals(1);
    let app = server.share();
    let drain = std::thread::spawn(move || app.drain(Some(PATIENCE)));
    assert_eq!(client.expect_head(200).framing, Framing::Chunked);
    assert_eq!(shown(&client.chunk()), "first ");
    gate.open();
    assert_eq!(shown(&client.chunk()), "second");
    assert!(client.chunk().is_empty());
    client.expect_end();
    drain.join().expect("no panic").expect("the app drains");
}

#[test]
fn many_streams_at_once_keep_their_bytes_apart() {
    let server = Server::start(&[("threads", "8")], |app| {
        app.get("/repeat/:n", |request: &Request, response: &mut Response| {
            let piece = request.param(b"n").expect("the pattern has it").bytes().repeat(100);
            for _ in 0..100 {
                response.write(request, &piece)?;
            }
            Ok(())
        })
        .expect("new");
    });
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                for turn in 0..10 {
                    let word = format!("{}", thread * 100 + turn + 1000);
                    client.send(get(&format!("/repeat/{word}")));
                    assert!(client.expect_streamed(200).answer.text() == word.repeat(10_000));
                }
            });
        }
    });
}

#[test]
fn middleware_may_stream_whatever_it_returns() {
    let server = Server::start(&[], |app| {
        for (prefix, flow) in [("/done", hasty::Flow::Done), ("/next", hasty::Flow::Next)] {
            let stream = move |request: &Request, response: &mut Response| {
                pieces(request, response)?;
                Ok(flow)
            };
            app.middleware(prefix, Box::new(stream)).expect("a prefix");
            on(app, prefix, |_: &Request, _: &mut Response| panic!("nobody gets here"));
        }
        let fails = |request: &Request, response: &mut Response| {
            pieces(request, response)?;
            Err(Error::invalid("as it was told"))
        };
        app.middleware("/fails", Box::new(fails)).expect("a prefix");
    });
    let mut client = server.connect();
    client.send([get("/done"), get("/next"), support::post("/done", pattern(1000)), get("/")].concat());
    for _ in 0..3 {
        assert_eq!(client.expect_streamed(200).answer.text(), "one two three");
    }
    assert_eq!(client.expect(200).text(), "root");
    client.send([get("/fails"), get("/")].concat());
    assert_eq!(cut_body(&mut client), (b"one two three".to_vec(), false));
}

#[test]
fn head_of_a_stream_says_what_get_says() {
    let server = Server::start(&[], |app| {
        on(app, "/text", |request: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            response.set_header(b"ETag", b"\"tag\"")?;
            pieces(request, response)
        });
    });
    for accept in ["gzip", "identity"] {
        let mut client = server.connect();
        client.send(format!("GET /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\n\r\n"));
        let whole = client.expect_streamed(200).answer;
        client.send(format!("HEAD /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\n\r\n"));
        let head = client.expect_head(200).answer;
        for name in ["Content-Encoding", "Content-Type", "ETag", "Vary", "Transfer-Encoding", "Content-Length"] {
            assert_eq!(head.all(name), whole.all(name), "{name} for {accept}");
        }
        client.send(get("/"));
        assert_eq!(client.expect(200).text(), "root");
    }
}

/// What `after` does to a stream's head counts; a body it cannot have.
#[test]
fn after_runs_before_the_head_of_a_stream_leaves() {
    let server = Server::start(&[], |app| {
        on(app, "/pieces", pieces);
        on(app, "/fails", pieces);
        let after = |request: &Request, response: &mut Response| {
            response.set_header(b"X-After", b"yes")?;
            match request.path().bytes() {
                b"/fails" => Err(Error::invalid("as it was told")),
                _ => response.send_text(b"another body"),
            }
        };
        app.after("/", Box::new(after)).expect("a prefix");
    });
    let mut client = server.connect();
    client.send([get("/pieces"), get("/fails"), get("/")].concat());
    let streamed = client.expect_streamed(200);
    assert_eq!((streamed.framing, streamed.answer.all("X-After")), (Framing::Chunked, vec!["yes"]));
    assert_eq!(streamed.answer.text(), "one two three");
    client.expect(500);
    client.expect(200);
}

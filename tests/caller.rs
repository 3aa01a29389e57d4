//! Requests that wait for a thread of the host's own: `dispatch = caller`, `poll`, `next`, `fd`, `wake`.

mod support;

use hasty::{App, CorsOptions, Flow, Kind, Request, Response};
use parking_lot::Mutex;
use socket2::SockRef;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};
use support::{Client, Gate, Opened, PATIENCE, Random, Server, await_that, get, last_get, pattern, post};

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);
/// Longer than a test waits for anything.
const FOR_EVER: Option<Duration> = None;

/// `/mine` and `/mine/:number`, which give back number and body, wait for the host; `GET /` and `/health` do not.
fn with_mine(options: &[(&str, &str)], more: impl FnOnce(&App)) -> Server {
    Server::start(options, |app| {
        for pattern in ["/mine", "/mine/:number"] {
            app.route("*", pattern, Box::new(mine)).expect("new");
            app.set_route_option("*", pattern, "dispatch", "caller").expect("an option");
        }
        app.health("/health").expect("new");
        // On a busy machine it may seem to take long, and would wait for a thread then.
        app.set_route_option("GET", "/health", "blocking", "no").expect("an option");
        more(app);
    })
}

fn mine(request: &Request, response: &mut Response) -> hasty::Result<()> {
    let number = request.param(b"number").map(|number| number.to_string()).unwrap_or_default();
    response.send_text(&[b"mine ", number.as_bytes(), b" ", request.body().bytes()].concat())
}

/// A thread of the host's that polls until the app stops, which it does when this ends.
struct Host {
    app: Arc<App>,
    thread: Option<JoinHandle<usize>>,
}

impl Host {
    fn of(server: &Server) -> Host {
        Host::taking(server, 16)
    }

    fn taking(server: &Server, most: usize) -> Host {
        let app = server.share();
        let polled = server.share();
        let thread = thread::spawn(move || {
            let mut ran = 0;
            loop {
                match polled.poll(most, FOR_EVER) {
                    Ok(count) => ran += count,
                    Err(error) if error.kind() == Kind::Timeout => {}
                    Err(error) => {
                        assert_eq!(error.kind(), Kind::Closed, "{error}");
                        return ran;
                    }
                }
            }
        });
        Host { app, thread: Some(thread) }
    }

    fn id(&self) -> ThreadId {
        self.thread.as_ref().expect("it runs").thread().id()
    }

    /// How many handlers it has run in its life.
    fn end(mut self) -> usize {
        self.app.stop();
        self.thread.take().expect("it runs").join().expect("a stop is all that ends it")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.app.stop();
        self.thread.take().map(JoinHandle::join);
    }
}

fn kind_of<R>(outcome: hasty::Result<R>) -> Option<Kind> {
    outcome.err().map(|error| error.kind())
}

/// Polls until so many handlers have run.
#[track_caller]
fn poll_for(server: &Server, count: usize) {
    let (mut ran, end) = (0, Instant::now() + PATIENCE);
    while ran < count {
        assert!(Instant::now() < end, "{ran} of {count} requests came");
        ran += server.poll(count - ran, Some(Duration::from_millis(100))).unwrap_or(0);
    }
}

/// Is there something for the host to do?
fn is_readable(server: &Server) -> bool {
    let fd = server.fd().expect("a descriptor").as_raw_fd();
    let mut one = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: `one` is one pollfd, and its descriptor is open as long as the app is.
    let ready = unsafe { libc::poll(&raw mut one, 1, 0) };
    ready == 1 && one.revents & libc::POLLIN != 0
}

/// How many requests wait, by the app's own account.
#[track_caller]
fn queued(server: &Server) -> usize {
    let mut client = server.connect();
    client.send(last_get("/health"));
    let text = client.expect(200).text();
    let (_, number) = text.split_once("\"queued\":").expect("it tells");
    number.split([',', '}']).next().and_then(|number| number.trim().parse().ok()).expect("a number")
}

#[track_caller]
fn await_queued(server: &Server, count: usize) {
    await_that(&format!("{count} requests wait"), || queued(server) == count);
}

/// A client that has asked.
fn asked(server: &Server, request: impl AsRef<[u8]>) -> Client {
    let mut client = server.connect();
    client.send(request);
    client
}

fn reset(client: Client) {
    SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
}

#[test]
fn handlers_run_in_the_thread_that_polls_and_all_that_is_around_them() {
    let seen: Arc<Mutex<Vec<(&str, ThreadId)>>> = Arc::default();
    let note = |name: &'static str| {
        let seen = Arc::clone(&seen);
        move || seen.lock().push((name, thread::current().id()))
    };
    let (before, here, behind) = (note("middleware"), note("handler"), note("after"));
    let server = with_mine(&[], |app| {
        let pass = move |_: &Request, _: &mut Response| {
            before();
            Ok(Flow::Next)
        };
        app.middleware("/", Box::new(pass)).expect("a prefix");
        let look = move |_: &Request, _: &mut Response| {
            behind();
            Ok(())
        };
        app.after("/", Box::new(look)).expect("a prefix");
        let handle = move |_: &Request, response: &mut Response| {
            here();
            response.send_text(b"here")
        };
        app.get("/here", handle).expect("new");
        app.set_route_option("GET", "/here", "dispatch", "caller").expect("an option");
    });
    let host = Host::of(&server);
    let mut client = asked(&server, get("/here"));
    assert_eq!(client.expect(200).text(), "here");
    let id = host.id();
    assert_eq!(*seen.lock(), [("middleware", id), ("handler", id), ("after", id)]);
    seen.lock().clear();
    client.send(get("/"));
    client.expect(200);
    assert!(seen.lock().iter().all(|(_, thread)| *thread != id), "the pool's are the pool's");
}

#[test]
fn pipelined_requests_of_both_kinds_are_answered_in_order() {
    for threads in ["0", "1", "2", "8"] {
        let server = with_mine(&[("threads", threads)], |_| {});
        let host = Host::of(&server);
        let mut client = server.connect();
        for round in 0..20 {
            let body = &pattern(8000)[..round * 400];
            client.send(
                [get("/"), get("/mine/1"), get("/mine/2"), get("/"), post("/mine/3", body), get("/nowhere"), get("/mine/4")].concat(),
            );
            assert_eq!(client.expect(200).text(), "root");
            assert_eq!(client.expect(200).text(), "mine 1 ");
            assert_eq!(client.expect(200).text(), "mine 2 ");
            assert_eq!(client.expect(200).text(), "root");
            assert!(client.expect(200).body == [b"mine 3 ", body].concat(), "{threads} threads, round {round}");
            client.expect(404);
            assert_eq!(client.expect(200).text(), "mine 4 ");
        }
        assert_eq!(host.end(), 80);
    }
}

#[test]
fn requests_in_random_pieces_are_whole_when_they_run() {
    for threads in ["0", "4"] {
        let server = with_mine(&[("threads", threads)], |_| {});
        let _host = Host::of(&server);
        let mut random = Random::new(21);
        let mut client = server.connect();
        for round in 0..40 {
            let body = &pattern(40_000)[..random.below(40_000)];
            let chunk =
                [format!("{:x}\r\n", body.len()).as_bytes(), body, if body.is_empty() { b"" } else { b"\r\n0\r\n" }, b"\r\n"].concat();
            let chunked = [&b"POST /mine/2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &chunk].concat();
            let bytes = [get("/mine/0"), post("/mine/1", body), chunked].concat();
            let mut at = 0;
            while at < bytes.len() {
                let end = bytes.len().min(at + 1 + random.below(9000));
                client.send(&bytes[at..end]);
                at = end;
            }
            assert_eq!(client.expect(200).text(), "mine 0 ");
            for number in ["1", "2"] {
                let right = [b"mine ", number.as_bytes(), b" ", body].concat();
                assert!(client.expect(200).body == right, "{threads} threads, round {round}");
            }
        }
    }
}

#[test]
fn a_head_a_half_closed_client_and_a_last_request_are_answered_as_elsewhere() {
    let server = with_mine(&[], |_| {});
    let _host = Host::of(&server);
    let mut client = asked(&server, "HEAD /mine/7 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer_to_head().field("content-length"), Some("7"));
    client.send(get("/mine/8"));
    client.half_close();
    assert_eq!(client.expect(200).text(), "mine 8 ");
    client.expect_end();
    let mut client = asked(&server, last_get("/mine/9"));
    assert!(client.expect(200).says_close());
    client.expect_end();
    let mut client = asked(&server, "GET /mine/10 HTTP/1.0\r\n\r\n");
    assert_eq!(client.expect(200).text(), "mine 10 ");
    client.expect_end();
    let mut client = asked(&server, "POST /mine HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    let told = client.take(25);
    assert!(told.starts_with(b"HTTP/1.1 100 "), "{}", support::shown(&told));
    client.send("body");
    assert_eq!(client.expect(200).text(), "mine  body");
}

#[test]
fn what_the_library_answers_itself_waits_for_no_host() {
    let server = with_mine(&[("max_body_bytes", "1000")], |app| {
        app.cors("/mine", &CorsOptions::default()).expect("a policy");
        app.rate_limit("/limited", 1, 1, None).expect("a limit");
        app.get("/limited", mine).expect("new");
        app.set_route_option("GET", "/limited", "dispatch", "caller").expect("an option");
        app.get("/only", mine).expect("new");
        app.set_route_option("GET", "/only", "dispatch", "caller").expect("an option");
    });
    // Nobody polls.
    let _waits = asked(&server, get("/limited"));
    await_queued(&server, 1);
    for (request, status) in [
        ("OPTIONS /mine HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccess-Control-Request-Method: POST\r\n\r\n", 204),
        ("OPTIONS /only HTTP/1.1\r\nHost: a\r\n\r\n", 204),
        ("DELETE /only HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("GET /mine/ HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /limited HTTP/1.1\r\nHost: a\r\n\r\n", 429),
        ("POST /mine HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413),
        ("GET /mine HTTP/1.1\r\n\r\n", 400),
    ] {
        asked(&server, request).expect(status);
    }
    assert_eq!(queued(&server), 1);
    server.expect_alive();
}

#[test]
fn who_is_told_504_while_its_handler_runs_gets_what_middleware_has_set() {
    let gate = Gate::new();
    let server = with_mine(&[("exchange_timeout_ms", "1000")], |app| {
        let set = |_: &Request, response: &mut Response| response.set_header(b"X-Seen", b"yes").map(|()| Flow::Next);
        app.middleware("/held", Box::new(set)).expect("a prefix");
        let gate = gate.clone();
        app.get("/held", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"too late")
        })
        .expect("new");
        app.set_route_option("GET", "/held", "dispatch", "caller").expect("an option");
    });
    let host = Host::of(&server);
    let _opened = Opened(gate.clone());
    let mut client = asked(&server, get("/held"));
    gate.await_arrivals(1);
    assert_eq!(client.expect(504).field("x-seen"), Some("yes"));
    gate.open();
    assert_eq!(host.end(), 1);
}

#[test]
fn who_waits_too_long_is_told_and_its_handler_does_not_run() {
    let server = with_mine(&[("exchange_timeout_ms", "60")], |_| {});
    let mut clients: Vec<Client> = (0..3).map(|number| asked(&server, get(&format!("/mine/{number}")))).collect();
    for client in &mut clients {
        client.expect(504);
    }
    assert_eq!(kind_of(server.poll(9, AT_ONCE)), Some(Kind::Timeout));
    await_queued(&server, 0);
}

#[test]
fn more_than_max_queued_are_told_to_come_again() {
    let server = with_mine(&[("max_queued", "3")], |_| {});
    let mut waiting: Vec<Client> = (0..3).map(|number| asked(&server, get(&format!("/mine/{number}")))).collect();
    await_queued(&server, 3);
    for _ in 0..3 {
        let mut refused = asked(&server, get("/mine/9"));
        let answer = refused.expect(503);
        assert!(answer.field("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer:?}");
    }
    poll_for(&server, 3);
    for (number, client) in waiting.iter_mut().enumerate() {
        assert_eq!(client.expect(200).text(), format!("mine {number} "));
    }
    let mut again = asked(&server, get("/mine/4"));
    poll_for(&server, 1);
    assert_eq!(again.expect(200).text(), "mine 4 ");
}

#[test]
fn headers_that_middleware_sets_stay_when_who_took_the_request_is_too_late() {
    let server = with_mine(&[("exchange_timeout_ms", "1000")], |app| {
        let mark = |_: &Request, response: &mut Response| response.set_header(b"X-Mark", b"1").map(|()| Flow::Next);
        app.middleware("/mine", Box::new(mark)).expect("a prefix");
    });
    let mut client = asked(&server, get("/mine"));
    let exchange = server.next(Some(PATIENCE)).expect("it waits");
    let answer = client.expect(504);
    assert_eq!(answer.field("X-Mark"), Some("1"), "{answer:?}");
    drop(exchange);
}

#[test]
fn next_hands_out_what_waits_and_it_is_answered_by_whoever_has_it() {
    for threads in ["0", "2"] {
        let server = with_mine(&[("threads", threads)], |_| {});
        let clients: Vec<Client> = (0..3).map(|number| asked(&server, get(&format!("/mine/{number}")))).collect();
        let exchanges: Vec<_> = (0..3).map(|_| server.next(Some(PATIENCE)).expect("three wait")).collect();
        assert_eq!(kind_of(server.next(AT_ONCE)), Some(Kind::Timeout));
        let finish = move || {
            for mut exchange in exchanges {
                let path = exchange.request().path().to_string();
                assert_eq!(exchange.request().route().expect("a route"), "/mine/:number");
                if path == "/mine/2" {
                    continue; // given up
                }
                exchange.response_mut().send_text(path.as_bytes()).expect("an answer");
                exchange.finish().expect("the client waits");
            }
        };
        thread::spawn(finish).join().expect("any thread may");
        if threads == "0" {
            // What is given up is sent by whoever works for the app.
            let _ = server.next(Some(Duration::from_millis(50)));
        }
        for (number, mut client) in clients.into_iter().enumerate() {
            if number == 2 {
                client.expect(503);
            } else {
                assert_eq!(client.expect(200).text(), format!("/mine/{number}"));
            }
        }
    }
}

#[test]
fn the_first_way_to_take_requests_is_the_apps() {
    let server = with_mine(&[], |_| {});
    assert_eq!(kind_of(server.poll(0, AT_ONCE)), Some(Kind::Invalid));
    assert_eq!(kind_of(server.next(AT_ONCE)), Some(Kind::Timeout), "what was invalid has decided nothing");
    assert_eq!(kind_of(server.poll(1, AT_ONCE)), Some(Kind::State));
    server.stop();
    assert_eq!(kind_of(server.next(FOR_EVER)), Some(Kind::Closed));
    let app = Server::app(&[], |_| {});
    assert_eq!(kind_of(app.poll(1, AT_ONCE)), Some(Kind::State), "not started");
    for (name, value) in [("dispatch", "host"), ("dispatch", ""), ("dispatch", "CALLER")] {
        assert_eq!(kind_of(app.set_route_option("GET", "/", name, value)), Some(Kind::Invalid), "{value:?}");
    }
    app.set_route_option("GET", "/", "body", "stream").expect("an option");
    assert_eq!(kind_of(app.set_route_option("GET", "/", "dispatch", "caller")), Some(Kind::Invalid), "who reads a body blocks");
}

#[test]
fn a_handler_may_neither_poll_nor_wait_and_its_client_is_answered() {
    let app: Arc<Mutex<Option<Arc<App>>>> = Arc::default();
    let server = with_mine(&[], |routes| {
        let app = Arc::clone(&app);
        let handle = move |_: &Request, response: &mut Response| {
            let app = app.lock().clone().expect("it is there");
            let kinds = [kind_of(app.poll(1, AT_ONCE)), kind_of(app.next(AT_ONCE)), kind_of(app.wait(AT_ONCE))];
            response.send_text(if kinds == [Some(Kind::State); 3] { b"refused" } else { b"allowed" })
        };
        routes.get("/inside", handle).expect("new");
        routes.set_route_option("GET", "/inside", "dispatch", "caller").expect("an option");
    });
    *app.lock() = Some(server.share());
    let mut client = asked(&server, get("/inside"));
    poll_for(&server, 1);
    assert_eq!(client.expect(200).text(), "refused");
    *app.lock() = None;
}

#[test]
fn poll_runs_as_many_as_it_was_told_in_the_order_they_came() {
    let server = with_mine(&[], |_| {});
    let mut clients = Vec::new();
    for number in 0..7 {
        clients.push(asked(&server, get(&format!("/mine/{number}"))));
        await_queued(&server, number + 1);
    }
    for (most, first) in [(3, 0), (1, 3), (10, 4)] {
        assert!(is_readable(&server));
        let ran = server.poll(most, AT_ONCE).expect("some wait");
        assert_eq!(ran, most.min(7 - first));
        for (number, client) in clients.iter_mut().enumerate().skip(first).take(ran) {
            assert_eq!(client.expect(200).text(), format!("mine {number} "));
        }
        assert!(clients.iter_mut().skip(first + ran).all(|client| !client.has_more()), "not yet");
    }
    assert!(!is_readable(&server));
    assert_eq!(kind_of(server.poll(1, Some(Duration::from_millis(5)))), Some(Kind::Timeout));
}

#[test]
fn a_stop_answers_who_waits_and_ends_every_poll() {
    let server = with_mine(&[], |_| {});
    let hosts: Vec<Host> = (0..3).map(|_| Host::of(&server)).collect();
    await_that("they wait", || is_readable(&server) || queued(&server) == 0);
    hosts.into_iter().for_each(|host| assert_eq!(host.end(), 0));
    assert!(is_readable(&server), "from the stop on");
    let server = with_mine(&[], |_| {});
    let mut clients: Vec<Client> = (0..5).map(|_| asked(&server, get("/mine"))).collect();
    await_queued(&server, 5);
    server.stop();
    for client in &mut clients {
        client.expect(503);
    }
    assert_eq!(kind_of(server.poll(9, FOR_EVER)), Some(Kind::Closed));
}

#[test]
fn a_drain_ends_at_its_deadline_although_a_handler_runs_on_whose_client_has_left() {
    let gate = Gate::new();
    let holds = gate.clone();
    let server = with_mine(&[], |app| {
        let hold = move |_: &Request, _: &mut Response| {
            holds.pass();
            Ok(())
        };
        app.get("/holds", hold).expect("new");
        app.set_route_option("GET", "/holds", "dispatch", "caller").expect("an option");
    });
    let _host = Host::of(&server);
    let opened = Opened(gate.clone());
    let client = asked(&server, get("/holds"));
    gate.await_arrivals(1);
    reset(client);
    let (tell, told) = channel();
    let draining = server.share();
    let drains = thread::spawn(move || tell.send(draining.drain(Some(Duration::from_secs(1)))).expect("somebody listens"));
    let drained = told.recv_timeout(PATIENCE).expect("the deadline is the end in any case");
    assert_eq!(kind_of(drained), Some(Kind::Timeout), "the handler was not waited for");
    drop(opened);
    drains.join().expect("it has ended");
}

#[test]
fn a_handler_that_fails_under_poll_is_a_500_and_the_next_one_runs() {
    let server = with_mine(&[], |app| {
        app.get("/panics", |_: &Request, _: &mut Response| panic!("as it was told")).expect("new");
        app.get("/streams", |request: &Request, response: &mut Response| {
            response.write(request, b"one")?;
            response.write(request, b"two")
        })
        .expect("new");
        for pattern in ["/panics", "/streams"] {
            app.set_route_option("GET", pattern, "dispatch", "caller").expect("an option");
        }
    });
    let host = Host::of(&server);
    let mut client = asked(&server, [get("/panics"), get("/streams"), get("/mine/1")].concat());
    client.expect(500);
    assert_eq!(client.expect_streamed(200).answer.text(), "onetwo");
    assert_eq!(client.expect(200).text(), "mine 1 ");
    assert_eq!(host.end(), 3);
}

#[test]
fn who_has_left_waits_no_longer() {
    // Many at a time, and the few at which each one is looked for at once.
    for (count, threads) in [(60, "2"), (5, "2"), (60, "8")] {
        let server = with_mine(&[("threads", threads)], |_| {});
        assert!(!is_readable(&server));
        let clients: Vec<Client> = (0..count).map(|_| asked(&server, post("/mine", pattern(30_000)))).collect();
        await_queued(&server, count);
        assert!(is_readable(&server));
        clients.into_iter().for_each(reset);
        await_queued(&server, 0);
        assert!(!is_readable(&server), "nothing is there to be done");
        assert_eq!(kind_of(server.poll(99, AT_ONCE)), Some(Kind::Timeout));
    }
}

#[test]
fn who_stays_among_many_that_leave_is_answered_in_its_turn() {
    let server = with_mine(&[("max_queued", "40")], |_| {});
    let clients: Vec<Client> = (0..40).map(|number| asked(&server, get(&format!("/mine/{number}")))).collect();
    await_queued(&server, 40);
    let mut staying = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        if number % 4 == 1 { staying.push((number, client)) } else { reset(client) }
    }
    await_that("most have left", || queued(&server) <= 16);
    // Their places are for others.
    let mut late = asked(&server, get("/mine/99"));
    poll_for(&server, 11);
    for (number, client) in &mut staying {
        assert_eq!(client.expect(200).text(), format!("mine {number} "));
    }
    assert_eq!(late.expect(200).text(), "mine 99 ");
    assert_eq!(kind_of(server.poll(99, AT_ONCE)), Some(Kind::Timeout), "nobody else's handler runs");
    await_queued(&server, 0);
}

/// A client that sends quick requests and takes their answers, so that the server always has something to do for it.
struct Pump {
    goes_on: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pump {
    /// It takes work from all others, and ends by itself where a test hangs: not before they have had their time.
    const PATIENCE: Duration = PATIENCE.saturating_mul(4);

    fn start(server: &Server) -> Pump {
        let goes_on = Arc::new(AtomicBool::new(true));
        let client = server.connect();
        let (mut sends, mut takes) = [(), ()].map(|()| Client::of(client.tcp().try_clone().expect("a descriptor"))).into();
        takes.set_read_timeout(Pump::PATIENCE);
        sends.tcp().set_write_timeout(Some(Pump::PATIENCE)).expect("a write time-out");
        let requests = get("/").repeat(64);
        let wanted = Arc::clone(&goes_on);
        let end = Instant::now() + Pump::PATIENCE;
        let sender = thread::spawn(move || {
            while wanted.load(Ordering::Relaxed) && Instant::now() < end && sends.try_send(&requests).is_ok() {}
            wanted.store(false, Ordering::Relaxed);
            let _ = sends.tcp().shutdown(Shutdown::Both);
        });
        let taker = thread::spawn(move || drop(takes.read_and_forget()));
        Pump { goes_on, threads: vec![sender, taker] }
    }

    fn is_on(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed)
    }

    fn end(self) {
        self.goes_on.store(false, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a pump ends");
        }
    }
}

#[test]
fn poll_comes_back_however_much_others_ask_for() {
    let server = with_mine(&[("threads", "0")], |_| {});
    let pumps: Vec<Pump> = (0..4).map(|_| Pump::start(&server)).collect();
    for _ in 0..20 {
        // Quick requests of the pool are no reason to stay, and none to return something else.
        assert_eq!(kind_of(server.poll(1, AT_ONCE)), Some(Kind::Timeout));
    }
    assert!(pumps.iter().all(Pump::is_on), "all that time there was something to do");
    let mut client = asked(&server, get("/mine/5"));
    poll_for(&server, 1);
    assert!(pumps.iter().all(Pump::is_on), "it was run while others asked");
    // A wake ends a wait without end in the same way.
    server.wake();
    assert_eq!(kind_of(server.poll(1, FOR_EVER)), Some(Kind::Timeout));
    assert!(pumps.iter().all(Pump::is_on));
    assert_eq!(client.expect(200).text(), "mine 5 ");
    server.stop();
    server.wait(Some(PATIENCE)).expect("nobody serves");
    pumps.into_iter().for_each(Pump::end);
}

#[test]
fn a_request_for_the_host_waits_for_no_handler_of_the_pool() {
    let gate = Gate::new();
    let server = with_mine(&[("threads", "0")], |app| {
        let gate = gate.clone();
        app.get("/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")
        })
        .expect("new");
    });
    let _opened = Opened(gate.clone());
    let _hosts = [Host::of(&server), Host::of(&server)];
    let mut slow = asked(&server, get("/slow"));
    gate.await_arrivals(1);
    for number in 0..20 {
        assert_eq!(asked(&server, get(&format!("/mine/{number}"))).expect(200).text(), format!("mine {number} "));
        server.expect_alive();
    }
    gate.open();
    assert_eq!(slow.expect(200).text(), "slow");
}

#[test]
fn each_request_runs_once_whoever_polls() {
    for (threads, hosts) in [("0", 1), ("0", 3), ("1", 2), ("8", 3)] {
        let ran = Arc::new(AtomicUsize::new(0));
        let server = with_mine(&[("threads", threads), ("tick_us", "50")], |app| {
            let ran = Arc::clone(&ran);
            let handle = move |request: &Request, response: &mut Response| {
                ran.fetch_add(1, Ordering::Relaxed);
                response.send(request.body().bytes())
            };
            app.post("/count", handle).expect("new");
            app.set_route_option("POST", "/count", "dispatch", "caller").expect("an option");
        });
        let hosts: Vec<Host> = (0..hosts).map(|number| Host::taking(&server, 1 + number)).collect();
        thread::scope(|scope| {
            for number in 0..4 {
                let server = &server;
                scope.spawn(move || {
                    let mut client = server.connect();
                    for round in 0..50 {
                        let body = format!("{number} {round}");
                        client.send([post("/count", body.as_bytes()), get("/"), post("/count", body.as_bytes())].concat());
                        assert_eq!(client.expect(200).text(), body);
                        assert_eq!(client.expect(200).text(), "root");
                        assert_eq!(client.expect(200).text(), body);
                    }
                });
            }
        });
        assert_eq!(ran.load(Ordering::Relaxed), 400);
        assert_eq!(hosts.into_iter().map(Host::end).sum::<usize>(), 400, "poll tells how many it has run");
    }
}

/// An app without threads of its own, and a route of its that holds its thread.
fn with_holds(tick_us: &str) -> (Server, Gate) {
    let gate = Gate::new();
    let held = gate.clone();
    let server = with_mine(&[("threads", "0"), ("tick_us", tick_us)], |app| {
        let hold = move |_: &Request, response: &mut Response| {
            held.pass();
            response.send_text(b"held")
        };
        app.get("/holds", hold).expect("new");
        app.set_route_option("GET", "/holds", "blocking", "no").expect("an option");
    });
    (server, gate)
}

/// A client whose connection the server knows: what it sends next is told at once.
fn known(server: &Server) -> Client {
    let mut client = asked(server, get("/"));
    assert_eq!(client.expect(200).text(), "root");
    client
}

/// Longer than any test.
const NO_TICK: &str = "1000000";

#[test]
fn a_loop_is_not_told_of_what_is_for_a_thread_that_runs_the_app() {
    for runners in 1..=2 {
        let (server, gate) = with_holds(NO_TICK);
        let running: Vec<_> = (0..runners)
            .map(|_| {
                thread::spawn({
                    let app = server.share();
                    move || app.run()
                })
            })
            .collect();
        let _opened = Opened(gate.clone());
        let (mut first, mut second) = (known(&server), known(&server));
        first.send(get("/holds"));
        gate.await_arrivals(1);
        second.send(get("/"));
        // It waits for the thread that is in the handler, which will come back for it.
        let looks = (0..1000).take_while(|_| is_readable(&server)).filter(|_| server.poll(1, AT_ONCE).is_err()).count();
        assert!(looks < 10, "{looks} looks in vain, beside {runners}");
        gate.open();
        assert_eq!(first.expect(200).text(), "held");
        assert_eq!(second.expect(200).text(), "root");
        first.send(get("/mine/1"));
        await_that("the loop is told of what is for it", || is_readable(&server));
        poll_for(&server, 1);
        assert_eq!(first.expect(200).text(), "mine 1 ");
        server.stop();
        running.into_iter().for_each(|thread| thread.join().expect("it runs").expect("it stops"));
    }
}

#[test]
fn a_loop_is_told_again_once_the_thread_that_runs_the_app_has_lost_its_lane() {
    let (server, gate) = with_holds("2000");
    let running = thread::spawn({
        let app = server.share();
        move || app.run()
    });
    let opened = Opened(gate.clone());
    let (mut first, mut second) = (known(&server), known(&server));
    first.send(get("/holds"));
    gate.await_arrivals(1);
    second.send(get("/mine/2"));
    // This thread waits, sees that nobody comes back, and serves.
    poll_for(&server, 1);
    assert_eq!(second.expect(200).text(), "mine 2 ");
    second.send(get("/"));
    await_that("the loop is told", || is_readable(&server));
    assert_eq!(kind_of(server.poll(1, AT_ONCE)), Some(Kind::Timeout));
    assert_eq!(second.expect(200).text(), "root");
    drop(opened);
    assert_eq!(first.expect(200).text(), "held");
    server.stop();
    running.join().expect("it runs").expect("it stops");
}

#[test]
fn a_loop_that_is_told_again_and_again_takes_over_from_who_takes_too_long() {
    let (server, gate) = with_holds("2000");
    let (mut first, mut second) = (asked(&server, get("/")), asked(&server, get("/")));
    for client in [&mut first, &mut second] {
        await_that("it is served", || kind_of(server.poll(1, AT_ONCE)) == Some(Kind::Timeout) && client.has_more());
        client.expect(200);
    }
    let waiting = thread::spawn({
        let app = server.share();
        move || app.poll(1, FOR_EVER)
    });
    let opened = Opened(gate.clone());
    first.send(get("/holds"));
    gate.await_arrivals(1);
    second.send(get("/"));
    await_that("it is served", || {
        assert!(!is_readable(&server) || kind_of(server.poll(1, AT_ONCE)) == Some(Kind::Timeout));
        second.has_more()
    });
    assert_eq!(second.expect(200).text(), "root");
    drop(opened);
    assert_eq!(first.expect(200).text(), "held");
    server.stop();
    assert_eq!(kind_of(waiting.join().expect("it waits")), Some(Kind::Closed));
}

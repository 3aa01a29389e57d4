//! The end of an app: stop, drain, wait, drop, in every order.

mod support;

use hasty::{App, Kind, Options, Request, Response};
use parking_lot::Mutex;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{Gate, Opened, PATIENCE, Server, get, pattern, post};

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

fn is_refused(server: &Server) -> bool {
    TcpStream::connect(server.address()).is_err()
}

/// `GET /slow` waits at the gate.
fn with_gate() -> (Server, Gate) {
    let gate = Gate::new();
    let server = Server::start(&[], |app| {
        let gate = gate.clone();
        app.get("/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")
        })
        .expect("new");
        app.post("/mirror", |request: &Request, response: &mut Response| response.send(request.body().bytes())).expect("new");
    });
    (server, gate)
}

#[test]
fn stop_ends_idle_connections_and_refuses_new_ones() {
    let server = Server::start(&[], |_| {});
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/"));
        client.expect(200);
    }
    server.stop();
    server.wait(Some(PATIENCE)).expect("the app stops");
    for client in &mut clients {
        client.expect_end();
    }
    assert!(is_refused(&server));
}

#[test]
fn stop_lets_running_handlers_finish() {
    let (server, gate) = with_gate();
    let _opened = Opened(gate.clone());
    let mut client = server.connect();
    client.send(get("/slow"));
    gate.await_arrivals(1);
    server.stop();
    assert_eq!(server.wait(AT_ONCE).unwrap_err().kind(), Kind::Timeout);
    gate.open();
    assert_eq!(client.expect(200).text(), "slow");
    client.expect_end();
    server.wait(Some(PATIENCE)).expect("the app stops");
}

#[test]
fn stop_may_be_said_by_a_handler() {
    let place: Arc<Mutex<Option<Arc<App>>>> = Arc::default();
    let server = Server::start(&[], |app| {
        let place = Arc::clone(&place);
        app.get("/stop", move |_: &Request, response: &mut Response| {
            place.lock().as_ref().expect("put there by the test").stop();
            response.send_text(b"stopping")
        })
        .expect("new");
    });
    *place.lock() = Some(server.share());
    let mut client = server.connect();
    client.send(get("/stop"));
    assert_eq!(client.expect(200).text(), "stopping");
    client.expect_end();
    server.wait(Some(PATIENCE)).expect("the app stops");
    place.lock().take();
}

#[test]
fn stop_may_be_said_many_times_by_many_threads() {
    let server = Server::start(&[], |_| {});
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    server.stop();
                }
                server.wait(Some(PATIENCE)).expect("the app stops");
            });
        }
    });
    server.stop();
    server.wait(AT_ONCE).expect("it has stopped");
}

#[test]
fn stop_before_run_is_remembered() {
    let app = Server::app(&[], |_| {});
    app.listen(None, 0).expect("port 0 is free");
    app.stop();
    app.run().expect("it returns at once");
}

#[test]
fn run_serves_on_the_threads_that_call_it_until_stop() {
    let app = Server::app(&[("threads", "0")], |_| {});
    app.listen(None, 0).expect("port 0 is free");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                app.run().expect("it ends well");
                assert!(ended.load(Ordering::SeqCst), "it ends when it is told to");
            });
        }
        let address = ([127, 0, 0, 1], app.port()).into();
        let mut client = support::Client::connect(address);
        for _ in 0..100 {
            client.send(get("/"));
            client.expect(200);
        }
        ended.store(true, Ordering::SeqCst);
        app.stop();
        client.expect_end();
    });
    app.wait(Some(PATIENCE)).expect("it has stopped");
}

#[test]
fn an_app_runs_once() {
    let server = Server::start(&[], |_| {});
    let nothing = |_: &Request, _: &mut Response| Ok(());
    for result in [
        App::start(&server),
        server.get("/late", nothing),
        server.set_option("threads", "1"),
        server.listen(None, 0),
        server.on_log(Box::new(|_, _: &str| {})),
    ] {
        assert_eq!(result.unwrap_err().kind(), Kind::State);
    }
    server.expect_alive();
    server.stop();
    server.wait(Some(PATIENCE)).expect("the app stops");
    assert_eq!(App::start(&server).unwrap_err().kind(), Kind::State);
}

#[test]
fn an_app_without_a_listener_does_not_start() {
    let app = App::new(Options::new()).expect("an app");
    assert_eq!(app.start().unwrap_err().kind(), Kind::State);
    assert_eq!(app.wait(AT_ONCE).unwrap_err().kind(), Kind::State);
    app.listen(None, 0).expect("port 0 is free");
    app.start().expect("now it starts");
}

#[test]
fn wait_and_drain_in_a_handler_are_refused() {
    let place: Arc<Mutex<Option<Arc<App>>>> = Arc::default();
    let server = Server::start(&[], |app| {
        let place = Arc::clone(&place);
        app.get("/wait", move |_: &Request, response: &mut Response| {
            let app = Arc::clone(place.lock().as_ref().expect("put there by the test"));
            let kinds = [app.wait(None), app.drain(None)].map(|result| result.map_err(|error| error.kind()));
            response.send_text(format!("{kinds:?}").as_bytes())
        })
        .expect("new");
    });
    *place.lock() = Some(server.share());
    let mut client = server.connect();
    client.send(get("/wait"));
    assert_eq!(client.expect(200).text(), "[Err(State), Err(State)]");
    place.lock().take();
    server.expect_alive();
}

#[test]
fn drain_ends_idle_connections_at_once_and_lets_requests_finish() {
    let (server, gate) = with_gate();
    let _opened = Opened(gate.clone());
    let mut idle = server.connect();
    idle.send(get("/"));
    idle.expect(200);
    let mut running = server.connect();
    running.send(get("/slow"));
    gate.await_arrivals(1);
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| server.drain(Some(PATIENCE)));
        idle.expect_end();
        assert!(!drain.is_finished(), "it waits for the handler");
        gate.open();
        let answer = running.expect(200);
        assert_eq!(answer.text(), "slow");
        assert!(answer.says_close(), "{answer:?}");
        running.expect_end();
        drain.join().expect("no panic").expect("all were done in time");
    });
    assert!(is_refused(&server));
    server.wait(Some(PATIENCE)).expect("a drained app has stopped");
}

#[test]
fn drain_refuses_new_connections_while_it_waits() {
    let (server, gate) = with_gate();
    let _opened = Opened(gate.clone());
    let mut running = server.connect();
    running.send(get("/slow"));
    gate.await_arrivals(1);
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| server.drain(Some(PATIENCE)));
        let end = Instant::now() + PATIENCE;
        while !is_refused(&server) {
            assert!(Instant::now() < end, "connections are accepted");
            std::thread::yield_now();
        }
        assert!(!drain.is_finished(), "it waits for the handler");
        gate.open();
        running.expect(200);
        drain.join().expect("no panic").expect("all were done in time");
    });
}

#[test]
fn drain_answers_what_was_asked_before_it_began() {
    for _ in 0..200 {
        let server = Server::start(&[("threads", "2"), ("defer_accept_s", "0")], |_| {});
        let mut client = server.connect();
        client.send(get("/"));
        std::thread::scope(|scope| {
            let draining = scope.spawn(|| server.drain(Some(PATIENCE)));
            client.expect(200);
            // If this was the last answer, the server waits for the client to read its last answer.
            drop(client);
            draining.join().unwrap().expect("the app stops");
        });
    }
}

#[test]
fn drain_lets_a_request_that_has_begun_come_to_its_end() {
    let (server, _gate) = with_gate();
    let mut idle = server.connect();
    idle.send(get("/"));
    idle.expect(200);
    let request = post("/mirror", pattern(100_000));
    let mut sending = server.connect();
    sending.send(&request[..50_000]);
    server.expect_alive();
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| server.drain(Some(PATIENCE)));
        idle.expect_end();
        sending.send(&request[50_000..]);
        let answer = sending.expect(200);
        assert!(answer.body == pattern(100_000));
        assert!(answer.says_close(), "{answer:?}");
        sending.expect_end();
        drain.join().expect("no panic").expect("all were done in time");
    });
}

#[test]
fn drain_lets_a_slow_client_read_its_answer_to_the_end() {
    let server = Server::start(&[], |app| {
        app.get("/large", |_: &Request, response: &mut Response| response.send(pattern(8 << 20))).expect("new");
    });
    let mut idle = server.connect();
    idle.send(get("/"));
    idle.expect(200);
    let mut reading = server.connect_narrow();
    reading.send(get("/large"));
    let begin = reading.take(1000);
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| server.drain(Some(PATIENCE)));
        idle.expect_end();
        assert!(!drain.is_finished(), "it waits for the client");
        assert!(reading.answer_after(begin).body == pattern(8 << 20));
        reading.expect_end();
        drain.join().expect("no panic").expect("all were done in time");
    });
}

#[test]
fn drain_of_idle_connections_is_over_at_once() {
    let server = Server::start(&[], |_| {});
    let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/"));
        client.expect(200);
    }
    let begin = Instant::now();
    server.drain(Some(Duration::from_secs(60))).expect("nothing was left to do");
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    for client in &mut clients {
        client.expect_end();
    }
}

#[test]
fn drain_ends_at_its_deadline_whatever_runs() {
    let (server, gate) = with_gate();
    let _opened = Opened(gate.clone());
    let mut running = server.connect();
    running.send(get("/slow"));
    gate.await_arrivals(1);
    std::thread::scope(|scope| {
        let server = &server;
        let begin = Instant::now();
        let drain = scope.spawn(move || {
            let _ = server.drain(Some(Duration::from_millis(300)));
            begin.elapsed()
        });
        // The client is let go although its handler still runs.
        let received = running.read_until_gone().expect("the connection is shut");
        assert!(received.is_empty(), "{}", support::shown(&received));
        assert!(begin.elapsed() >= Duration::from_millis(298), "{:?}", begin.elapsed());
        gate.open();
        let took = drain.join().expect("no panic");
        assert!(took >= Duration::from_millis(298), "{took:?}");
    });
    server.wait(Some(PATIENCE)).expect("the app stops");
}

#[test]
fn stop_ends_a_drain() {
    let (server, gate) = with_gate();
    let _opened = Opened(gate.clone());
    let mut idle = server.connect();
    idle.send(get("/"));
    idle.expect(200);
    let mut running = server.connect();
    running.send(get("/slow"));
    gate.await_arrivals(1);
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| server.drain(None));
        idle.expect_end();
        server.stop();
        gate.open();
        let _ = drain.join().expect("no panic");
    });
    server.wait(Some(PATIENCE)).expect("the app stops");
}

#[test]
fn a_dropped_app_has_stopped() {
    let server = Server::start(&[], |_| {});
    let address = server.address();
    let mut client = server.connect();
    client.send(get("/"));
    client.expect(200);
    drop(server);
    client.expect_end();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_dropped_app_drops_what_its_handlers_hold() {
    let held = Arc::new(());
    let server = Server::start(&[], |app| {
        for pattern in ["/a", "/b"] {
            let held = Arc::clone(&held);
            app.get(pattern, move |_: &Request, response: &mut Response| response.send_text(format!("{:?}", &held).as_bytes()))
                .expect("new");
        }
    });
    server.expect_alive();
    drop(server);
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn two_apps_know_nothing_of_each_other() {
    let one = Server::start(&[], |_| {});
    let two = Server::start(&[], |_| {});
    let mut client = two.connect();
    client.send(get("/"));
    client.expect(200);
    one.stop();
    one.wait(Some(PATIENCE)).expect("the app stops");
    client.send(get("/"));
    client.expect(200);
    two.expect_alive();
}

#[test]
fn a_port_can_be_taken_again_at_once() {
    let server = Server::start(&[], |_| {});
    let port = i32::from(server.port());
    // The server closes first: its side of the connection lingers in the kernel.
    server.expect_alive();
    drop(server);
    let app = Server::app(&[], |_| {});
    app.listen(None, port).expect("the port is free again");
    Server::of(app).expect_alive();
}

#[test]
fn a_port_in_use_is_refused_by_name() {
    let server = Server::start(&[], |_| {});
    let app = Server::app(&[], |_| {});
    let error = app.listen(None, i32::from(server.port())).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().contains(&server.port().to_string()), "{error}");
    server.expect_alive();
}

#[test]
fn an_app_listens_at_several_places() {
    let app = Server::app(&[], |_| {});
    app.listen(None, 0).expect("port 0 is free");
    let first = app.port();
    let given = TcpListener::bind(("127.0.0.1", 0)).expect("port 0 is free");
    let second = given.local_addr().expect("it has an address");
    app.listen_fd(OwnedFd::from(given)).map_err(|(_, error)| error).expect("it listens");
    assert_eq!(app.port(), first, "the first listener's");
    let server = Server::of(app);
    server.expect_alive();
    for _ in 0..10 {
        let mut client = support::Client::connect(second);
        client.send(get("/"));
        assert_eq!(client.expect(200).text(), "root");
    }
}

#[test]
fn two_apps_share_a_port_when_both_say_so() {
    let listening = |port| {
        let app = Server::app(&[("reuse_port", "1")], |_| {});
        app.listen(None, port).map(|()| app)
    };
    let one = Server::of(listening(0).expect("port 0 is free"));
    let two = Server::of(listening(i32::from(one.port())).expect("the port is shared"));
    for _ in 0..20 {
        one.expect_alive();
    }
    one.drain(Some(PATIENCE)).expect("nothing was left to do");
    for _ in 0..20 {
        two.expect_alive();
    }
}

#[test]
fn apps_that_come_and_go_leave_no_descriptors() {
    const APPS: usize = 400;
    let before = descriptors();
    for _ in 0..APPS {
        let server = Server::start(&[("threads", "2")], |_| {});
        server.expect_alive();
    }
    // Other tests of this process hold some meanwhile, but not one for each app.
    let after = descriptors();
    assert!(after < before + APPS, "{before} descriptors before, {after} after {APPS} apps");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

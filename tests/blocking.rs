//! A handler that blocks holds one thread, and nobody's connection.

mod support;

use hasty::{App, Request, Response};
use parking_lot::Mutex;
use socket2::SockRef;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::{Client, Gate, Opened, PATIENCE, Server, await_that, get, last_get, pattern, post};

/// These never block. On a busy machine they may seem to, and would wait for a thread when all are in handlers.
fn are_quick(app: &App, paths: &[&str]) {
    for path in paths {
        app.set_route_option("GET", path, "blocking", "no").expect("an option");
    }
}

fn with_gate(threads: &str) -> (Server, Gate) {
    let gate = Gate::new();
    let server = Server::start(&[("threads", threads)], |app: &App| {
        let gate = gate.clone();
        app.get("/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")
        })
        .expect("new");
        are_quick(app, &["/"]);
    });
    (server, gate)
}

/// Connections with handlers that wait at the gate.
fn block(server: &Server, gate: &Gate, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/slow"));
    }
    gate.await_arrivals(count);
    clients
}

#[track_caller]
fn expect_slow(clients: &mut [Client]) {
    for client in clients {
        assert_eq!(client.expect(200).text(), "slow");
        client.send(get("/"));
        assert_eq!(client.expect(200).text(), "root");
    }
}

#[test]
fn one_blocked_handler_holds_up_no_other_connection() {
    let (server, gate) = with_gate("2");
    let _opened = Opened(gate.clone());
    // These are there before, so that each of them is some thread's.
    let mut others: Vec<Client> = (0..60).map(|_| server.connect()).collect();
    for client in &mut others {
        client.send(get("/"));
        client.expect(200);
    }
    let mut blocked = block(&server, &gate, 1);
    for _ in 0..20 {
        for client in &mut others {
            client.send(get("/"));
        }
        for client in &mut others {
            assert_eq!(client.expect(200).text(), "root");
        }
    }
    server.expect_alive();
    gate.open();
    expect_slow(&mut blocked);
}

#[test]
fn a_handler_that_blocks_among_ready_connections_holds_up_none_of_them() {
    let (server, gate) = with_gate("2");
    let _opened = Opened(gate.clone());
    let mut clients: Vec<Client> = (0..60).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/"));
        client.expect(200);
    }
    // All at once: a thread that takes several of them must not keep those behind the slow one.
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(get(if number == 30 { "/slow" } else { "/" }));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        if number != 30 {
            assert_eq!(client.expect(200).text(), "root");
        }
    }
    gate.await_arrivals(1);
    gate.open();
    assert_eq!(clients[30].expect(200).text(), "slow");
}

#[test]
fn all_threads_but_one_may_be_blocked() {
    let (server, gate) = with_gate("6");
    let _opened = Opened(gate.clone());
    let mut blocked = block(&server, &gate, 5);
    let mut client = server.connect();
    for _ in 0..100 {
        client.send(get("/"));
        client.expect(200);
    }
    for _ in 0..20 {
        server.expect_alive();
    }
    gate.open();
    expect_slow(&mut blocked);
}

#[test]
fn as_many_handlers_run_at_a_time_as_there_are_threads() {
    let (server, gate) = with_gate("8");
    let _opened = Opened(gate.clone());
    let mut blocked = block(&server, &gate, 8);
    gate.open();
    expect_slow(&mut blocked);
}

#[test]
fn the_default_pool_runs_eight_handlers_at_a_time_at_least() {
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
    let mut blocked = block(&server, &gate, 8);
    gate.open();
    expect_slow(&mut blocked);
}

#[test]
fn what_comes_while_all_threads_are_blocked_is_served_afterwards() {
    let (server, gate) = with_gate("2");
    let _opened = Opened(gate.clone());
    let mut blocked = block(&server, &gate, 2);
    let mut waiting: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(if number % 2 == 0 { last_get("/") } else { get("/slow") });
    }
    gate.open();
    expect_slow(&mut blocked);
    for (number, client) in waiting.iter_mut().enumerate() {
        assert_eq!(client.expect(200).text(), if number % 2 == 0 { "root" } else { "slow" });
    }
}

#[test]
fn more_handlers_wait_than_there_are_threads_and_each_has_its_turn() {
    let (server, gate) = with_gate("3");
    let _opened = Opened(gate.clone());
    let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/slow"));
    }
    gate.await_arrivals(3);
    gate.open();
    expect_slow(&mut clients);
}

#[test]
fn a_client_that_leaves_while_its_handler_blocks_disturbs_nobody() {
    let (server, gate) = with_gate("4");
    let _opened = Opened(gate.clone());
    let blocked = block(&server, &gate, 3);
    drop(blocked);
    for _ in 0..20 {
        server.expect_alive();
    }
    gate.open();
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/slow"));
    }
    expect_slow(&mut clients);
}

#[test]
fn a_half_closed_client_whose_handler_blocks_is_answered() {
    let (server, gate) = with_gate("2");
    let _opened = Opened(gate.clone());
    let mut client = block(&server, &gate, 1).remove(0);
    client.half_close();
    server.expect_alive();
    gate.open();
    assert_eq!(client.expect(200).text(), "slow");
    client.expect_end();
}

#[test]
fn what_a_client_sends_while_its_handler_blocks_is_answered_in_order() {
    let (server, gate) = with_gate("2");
    let _opened = Opened(gate.clone());
    let mut client = block(&server, &gate, 1).remove(0);
    for _ in 0..50 {
        client.send(get("/"));
        server.expect_alive();
    }
    gate.open();
    assert_eq!(client.expect(200).text(), "slow");
    for _ in 0..50 {
        assert_eq!(client.expect(200).text(), "root");
    }
}

#[test]
fn one_thread_serves_after_its_handler_has_blocked() {
    let (server, gate) = with_gate("1");
    let _opened = Opened(gate.clone());
    let mut blocked = block(&server, &gate, 1);
    let mut waiting: Vec<Client> = (0..30).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(get("/"));
    }
    gate.open();
    for client in &mut waiting {
        assert_eq!(client.expect(200).text(), "root");
    }
    expect_slow(&mut blocked);
}

/// A server whose `/slow/:number` is said to block or not, and which numbers its handler has seen.
struct Slow {
    server: Server,
    gate: Gate,
    ran: Arc<Mutex<Vec<usize>>>,
}

fn with_slow(options: &[(&str, &str)], blocking: &str) -> Slow {
    with_slow_and(options, blocking, |_| {})
}

fn with_slow_and(options: &[(&str, &str)], blocking: &str, more: impl FnOnce(&App)) -> Slow {
    let (gate, ran) = (Gate::new(), Arc::new(Mutex::new(Vec::new())));
    let server = Server::start(options, |app| {
        let (held, seen) = (gate.clone(), Arc::clone(&ran));
        let handler = move |request: &Request, response: &mut Response| {
            let number = String::from_utf8_lossy(&request.param(b"number").expect("the pattern has it")).into_owned();
            seen.lock().push(number.parse().expect("a number"));
            held.pass();
            response.send_text(&[b"slow ", number.as_bytes(), b" ", request.body().bytes()].concat())
        };
        app.route("*", "/slow/:number", Box::new(handler)).expect("new");
        app.set_route_option("*", "/slow/:number", "blocking", blocking).expect("an option");
        app.health("/health").expect("new");
        are_quick(app, &["/", "/health"]);
        more(app);
    });
    Slow { server, gate, ran }
}

impl Slow {
    /// Connections that have asked for `/slow/first` and those behind it.
    fn ask(&self, first: usize, count: usize) -> Vec<Client> {
        let ask = |number| {
            let mut client = self.server.connect();
            client.send(get(&format!("/slow/{number}")));
            client
        };
        (first..first + count).map(ask).collect()
    }

    fn opened(&self) -> Opened {
        Opened(self.gate.clone())
    }
}

/// How many requests wait for a thread, by the app's own account.
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
    await_that(&format!("{count} requests wait for a thread"), || queued(server) == count);
}

/// Every one of them gets its own answer, and then another one.
#[track_caller]
fn expect_numbers(clients: &mut [Client], first: usize) {
    for (number, client) in (first..).zip(clients) {
        assert_eq!(client.expect(200).text(), format!("slow {number} "));
        client.send(get("/"));
        assert_eq!(client.expect(200).text(), "root");
    }
}

#[track_caller]
fn expect_quick(client: &mut Client) {
    client.send(get("/"));
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn while_all_threads_are_in_handlers_that_are_known_to_block_others_are_answered() {
    let slow = with_slow(&[("threads", "8")], "yes");
    let _opened = slow.opened();
    let mut before = slow.server.connect();
    expect_quick(&mut before);
    let mut clients = slow.ask(0, 32);
    slow.gate.await_arrivals(8);
    for _ in 0..100 {
        expect_quick(&mut before);
        slow.server.expect_alive();
    }
    await_queued(&slow.server, 24);
    assert_eq!(slow.ran.lock().len(), 8, "as many as there are threads run at a time");
    slow.gate.open();
    expect_numbers(&mut clients, 0);
    assert_eq!(queued(&slow.server), 0);
}

#[test]
fn a_route_that_has_blocked_is_known_to_block() {
    let (gate, holds) = (Gate::new(), Arc::new(AtomicBool::new(false)));
    let server = Server::start(&[("threads", "8")], |app| {
        let (gate, holds) = (gate.clone(), Arc::clone(&holds));
        let handler = move |_: &Request, response: &mut Response| {
            if holds.load(Ordering::Relaxed) {
                gate.pass()
            } else {
                thread::sleep(Duration::from_millis(10))
            }
            response.send_text(b"slow")
        };
        app.get("/slow", handler).expect("new");
        app.health("/health").expect("new");
        are_quick(app, &["/", "/health"]);
    });
    let _opened = Opened(gate.clone());
    let mut clients: Vec<Client> = (0..32).map(|_| server.connect()).collect();
    for _ in 0..4 {
        clients.iter_mut().for_each(|client| client.send(get("/slow")));
        expect_slow(&mut clients);
    }
    holds.store(true, Ordering::Relaxed);
    clients.iter_mut().for_each(|client| client.send(get("/slow")));
    gate.await_arrivals(8);
    for _ in 0..100 {
        server.expect_alive();
    }
    await_queued(&server, 24);
    gate.open();
    expect_slow(&mut clients);
}

#[test]
fn two_hundred_routes_that_block_are_known_one_by_one() {
    const ROUTES: usize = 200;
    let (gate, holds) = (Gate::new(), Arc::new(AtomicBool::new(false)));
    let server = Server::start(&[("threads", "8")], |app| {
        for number in 0..ROUTES {
            let (gate, holds) = (gate.clone(), Arc::clone(&holds));
            let handler = move |_: &Request, response: &mut Response| {
                if holds.load(Ordering::Relaxed) {
                    gate.pass()
                } else {
                    thread::sleep(Duration::from_millis(10))
                }
                response.send_text(format!("slow {number} ").as_bytes())
            };
            app.get(&format!("/slow/{number}"), handler).expect("new");
        }
        app.health("/health").expect("new");
        are_quick(app, &["/", "/health"]);
    });
    let _opened = Opened(gate.clone());
    let mut clients: Vec<Client> = (0..ROUTES).map(|_| server.connect()).collect();
    let ask = |clients: &mut [Client]| {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(get(&format!("/slow/{number}")));
        }
    };
    // All threads are in some of them most of the time, and the others have to be known all the same.
    for _ in 0..4 {
        ask(&mut clients);
        expect_numbers(&mut clients, 0);
    }
    holds.store(true, Ordering::Relaxed);
    ask(&mut clients);
    gate.await_arrivals(8);
    for _ in 0..100 {
        server.expect_alive();
    }
    await_queued(&server, ROUTES - 8);
    gate.open();
    expect_numbers(&mut clients, 0);
}

#[test]
fn others_are_answered_while_all_threads_are_in_handlers_that_nobody_knew_to_block() {
    let (server, gate) = with_gate("4");
    let _opened = Opened(gate.clone());
    let mut blocked = block(&server, &gate, 4);
    for _ in 0..20 {
        server.expect_alive();
    }
    gate.open();
    expect_slow(&mut blocked);
}

#[test]
fn others_are_answered_while_one_handler_is_known_to_block_and_nobody_knew_it_of_the_other() {
    let gate = Gate::new();
    let server = Server::start(&[("threads", "2")], |app| {
        for (path, blocking) in [("/known", "yes"), ("/unknown", "auto")] {
            let gate = gate.clone();
            app.get(path, move |_: &Request, response: &mut Response| {
                gate.pass();
                response.send_text(path.as_bytes())
            })
            .expect("new");
            app.set_route_option("GET", path, "blocking", blocking).expect("an option");
        }
        are_quick(app, &["/"]);
    });
    let _opened = Opened(gate.clone());
    server.expect_alive();
    // The first one's lane goes to the only idle thread, so that the standby thread must look out for the second one.
    let mut clients = ["/known", "/unknown"].map(|path| {
        let mut client = server.connect();
        client.send(get(path));
        client
    });
    gate.await_arrivals(2);
    for _ in 0..20 {
        server.expect_alive();
    }
    gate.open();
    for (client, path) in clients.iter_mut().zip(["/known", "/unknown"]) {
        assert_eq!(client.expect(200).text(), path);
    }
}

#[test]
fn a_route_that_is_said_not_to_block_is_never_made_to_wait() {
    let slow = with_slow(&[("threads", "2")], "no");
    let _opened = slow.opened();
    // Two threads, and the standby thread: it is in no handler that is known to block, but this one is known not to.
    let mut clients = slow.ask(0, 3);
    slow.gate.await_arrivals(3);
    slow.gate.open();
    expect_numbers(&mut clients, 0);
}

#[test]
fn what_one_thread_is_told_to_block_in_it_blocks_in() {
    let slow = with_slow(&[("threads", "1")], "yes");
    let _opened = slow.opened();
    let mut clients = slow.ask(0, 10);
    slow.gate.await_arrivals(1);
    slow.gate.open();
    expect_numbers(&mut clients, 0);
}

#[test]
fn blocking_is_yes_no_or_auto() {
    let app = Server::app(&[], |_| {});
    for word in ["yes", "no", "auto"] {
        app.set_route_option("GET", "/", "blocking", word).expect(word);
    }
    for word in ["", "maybe", "YES", "1"] {
        let error = app.set_route_option("GET", "/", "blocking", word).expect_err(word);
        assert_eq!(error.kind(), hasty::Kind::Invalid, "{word}: {error}");
    }
}

#[test]
fn requests_beyond_max_queued_are_503_and_told_when_to_come_again() {
    let slow = with_slow(&[("threads", "2"), ("max_queued", "3")], "yes");
    let _opened = slow.opened();
    let mut running = slow.ask(0, 2);
    slow.gate.await_arrivals(2);
    let mut waiting = slow.ask(2, 3);
    await_queued(&slow.server, 3);
    for mut client in slow.ask(10, 5) {
        let answer = client.expect(503);
        let after = answer.all("retry-after");
        assert!(matches!(after[..], [seconds] if seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0)), "{answer:?}");
        if !answer.says_close() {
            expect_quick(&mut client);
        }
    }
    assert_eq!(queued(&slow.server), 3, "who was refused waits for nothing");
    slow.gate.open();
    expect_numbers(&mut running, 0);
    expect_numbers(&mut waiting, 2);
    // There is room again.
    expect_numbers(&mut slow.ask(20, 3), 20);
    let mut ran = slow.ran.lock().clone();
    ran.sort_unstable();
    assert_eq!(ran, [0, 1, 2, 3, 4, 20, 21, 22], "the handler of who was refused has not run");
}

#[test]
fn who_has_left_while_it_waited_for_a_thread_has_no_handler_run() {
    // One lane: what happens is seen in the order in which it has happened.
    let slow = with_slow(&[("threads", "2"), ("lanes", "1")], "yes");
    let _opened = slow.opened();
    let mut running = slow.ask(0, 2);
    slow.gate.await_arrivals(2);
    let mut waiting = slow.ask(2, 6);
    await_queued(&slow.server, 6);
    for client in [waiting.remove(1), waiting.remove(3)] {
        SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        drop(client);
    }
    for _ in 0..10 {
        slow.server.expect_alive();
    }
    slow.gate.open();
    expect_numbers(&mut running, 0);
    for (number, client) in [2, 4, 5, 7].into_iter().zip(&mut waiting) {
        expect_numbers(std::slice::from_mut(client), number);
    }
    await_queued(&slow.server, 0);
    let mut ran = slow.ran.lock().clone();
    ran.sort_unstable();
    assert_eq!(ran, [0, 1, 2, 4, 5, 7]);
}

#[test]
fn who_waits_for_a_thread_and_has_said_that_nothing_follows_is_answered() {
    let slow = with_slow(&[("threads", "2")], "yes");
    let _opened = slow.opened();
    let mut running = slow.ask(0, 2);
    slow.gate.await_arrivals(2);
    let mut waiting = slow.ask(2, 4);
    await_queued(&slow.server, 4);
    waiting.iter().for_each(Client::half_close);
    for _ in 0..10 {
        slow.server.expect_alive();
    }
    slow.gate.open();
    expect_numbers(&mut running, 0);
    for (number, client) in (2..).zip(&mut waiting) {
        assert_eq!(client.expect(200).text(), format!("slow {number} "));
        client.expect_end();
    }
}

#[test]
fn a_request_that_has_waited_for_a_thread_is_as_it_came() {
    let slow = with_slow(&[("threads", "2")], "yes");
    let _opened = slow.opened();
    let mut running = slow.ask(0, 2);
    slow.gate.await_arrivals(2);
    let body = |number: usize| &pattern(200_000)[number * 1000..][..[0, 1, 3000, 150_000][number % 4]];
    let mut waiting: Vec<_> = (0..20)
        .map(|number| {
            let mut client = slow.server.connect();
            // With the next one behind it.
            client.send([post(&format!("/slow/{}", 100 + number), body(number)), get("/")].concat());
            client
        })
        .collect();
    await_queued(&slow.server, 20);
    slow.gate.open();
    expect_numbers(&mut running, 0);
    for (number, client) in waiting.iter_mut().enumerate() {
        let answer = client.expect(200);
        let right = [format!("slow {} ", 100 + number).as_bytes(), body(number)].concat();
        assert!(answer.body == right, "{answer:?}");
        assert_eq!(client.expect(200).text(), "root");
    }
}

#[test]
fn a_body_that_its_handler_reads_comes_after_it_has_waited_for_a_thread() {
    let gate = Gate::new();
    let server = Server::start(&[("threads", "2")], |app| {
        let held = gate.clone();
        let handler = move |request: &Request, response: &mut Response| {
            held.pass();
            let (mut body, mut piece) = (Vec::new(), [0; 5000]);
            loop {
                match request.read(&mut piece)? {
                    0 => return response.send(&body),
                    count => body.extend_from_slice(&piece[..count]),
                }
            }
        };
        app.post("/read", handler).expect("new");
        app.set_route_option("POST", "/read", "body", "stream").expect("an option");
        app.set_route_option("POST", "/read", "blocking", "yes").expect("an option");
        app.health("/health").expect("new");
        are_quick(app, &["/", "/health"]);
    });
    let _opened = Opened(gate.clone());
    let body = pattern(100_000);
    let whole = post("/read", body);
    let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    // Of the last four there is some of the body when they begin to wait, of the others all or none.
    let cut = |number: usize| if number < 4 { whole.len() - body.len() * (number % 2) } else { whole.len() - number * 10_000 };
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&whole[..cut(number)]);
    }
    gate.await_arrivals(2);
    await_queued(&server, 6);
    gate.open();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&whole[cut(number)..]);
        let answer = client.expect(200);
        assert!(answer.body == body, "{answer:?}");
        expect_quick(client);
    }
}

#[test]
fn answers_before_one_that_blocks_do_not_wait_for_it() {
    for threads in ["1", "2", "8"] {
        let slow = with_slow(&[("threads", threads)], "yes");
        let _opened = slow.opened();
        let mut client = slow.server.connect();
        client.send([get("/"), get("/"), get("/slow/7"), get("/"), get("/slow/8"), get("/")].concat());
        for _ in 0..2 {
            assert_eq!(client.expect(200).text(), "root");
        }
        slow.gate.await_arrivals(1);
        assert!(!client.has_more(), "the third answer is not there yet");
        slow.gate.open();
        for words in ["slow 7 ", "root", "slow 8 ", "root"] {
            assert_eq!(client.expect(200).text(), words);
        }
    }
}

#[test]
fn the_places_of_those_who_have_left_are_given_to_others() {
    let slow = with_slow(&[("threads", "2"), ("max_queued", "6")], "yes");
    let _opened = slow.opened();
    let mut running = slow.ask(0, 2);
    slow.gate.await_arrivals(2);
    for round in 0..3 {
        let leaving = slow.ask(100, 6);
        await_queued(&slow.server, 6);
        for client in &leaving {
            SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        }
        drop(leaving);
        await_that(&format!("round {round}: nobody waits"), || queued(&slow.server) == 0);
    }
    let mut waiting = slow.ask(2, 6);
    await_queued(&slow.server, 6);
    slow.ask(50, 1)[0].expect(503);
    slow.gate.open();
    expect_numbers(&mut running, 0);
    expect_numbers(&mut waiting, 2);
    let mut ran = slow.ran.lock().clone();
    ran.sort_unstable();
    assert_eq!(ran, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn what_is_pipelined_behind_a_handler_that_takes_long_is_not_taken_to_block() {
    const TICK: Duration = Duration::from_millis(40);
    let gate = Gate::new();
    let server = Server::start(&[("threads", "4"), ("lanes", "1"), ("tick_us", "40000")], |app| {
        let gate = gate.clone();
        app.get("/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")
        })
        .expect("new");
        // What is said is not learned: it takes long every time.
        app.set_route_option("GET", "/slow", "blocking", "no").expect("an option");
        let handler = |_: &Request, response: &mut Response| response.send_text(format!("{:?}", thread::current().id()).as_bytes());
        app.get("/quick", handler).expect("new");
    });
    let _opened = Opened(gate.clone());
    let mut client = server.connect();
    let mut other = server.connect();
    other.send([get("/slow"), get("/quick")].concat());
    gate.await_arrivals(1);
    // The lane was taken over,
    expect_quick(&mut client);
    // and that is long ago.
    thread::sleep(2 * TICK);
    gate.open();
    assert_eq!(other.expect(200).text(), "slow");
    other.expect(200);
    // Who is taken to block gives the lane away each time, so that the next one is another thread's.
    // On a busy machine others have the lane for a while, but not each time.
    let threads: Vec<String> = (0..40)
        .map(|_| {
            client.send(get("/quick"));
            client.expect(200).text()
        })
        .collect();
    let changes = threads.windows(2).filter(|two| two[0] != two[1]).count();
    assert!(changes < 33, "{threads:?}");
}

#[test]
fn a_stop_ends_streams_that_have_no_end() {
    for threads in ["0", "1", "4"] {
        let writes = Arc::new(AtomicBool::new(false));
        let server = Server::start(&[("threads", threads)], |app| {
            let writes = Arc::clone(&writes);
            let handler = move |request: &Request, response: &mut Response| loop {
                response.write(request, b"tick\n")?;
                writes.store(true, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            };
            app.get("/ticks", handler).expect("new");
        });
        let app = server.share();
        let host = (threads == "0").then(|| thread::spawn(move || app.run()));
        let mut client = server.connect();
        client.send(get("/ticks"));
        await_that("it streams", || writes.load(Ordering::Relaxed));
        server.stop();
        server.wait(Some(PATIENCE)).expect("nobody has to leave for that");
        let told = client.read_until_gone().expect("an end");
        assert!(!told.ends_with(b"0\r\n\r\n"), "it says that it was cut");
        host.map(thread::JoinHandle::join);
    }
}

#[test]
fn a_stop_closes_what_is_nobodys_although_a_handler_runs() {
    let (gate, kept) = (Gate::new(), Arc::new(Mutex::new(None)));
    let server = Server::start(&[("threads", "4")], |app| {
        let (held, kept) = (gate.clone(), Arc::clone(&kept));
        app.get("/slow", move |_: &Request, response: &mut Response| {
            held.pass();
            response.send_text(b"slow")
        })
        .expect("new");
        app.get("/later", move |request: &Request, response: &mut Response| {
            *kept.lock() = Some(response.defer(request)?);
            Ok(())
        })
        .expect("new");
    });
    let _opened = Opened(gate.clone());
    let (mut slow, mut later, mut idle) = (server.connect(), server.connect(), server.connect());
    expect_quick(&mut idle);
    slow.send(get("/slow"));
    gate.await_arrivals(1);
    later.send(get("/later"));
    await_that("it is deferred", || kept.lock().is_some());
    server.stop();
    idle.expect_end();
    later.expect(503);
    later.expect_end();
    await_that("nobody listens", || TcpStream::connect(server.address()).is_err());
    assert!(!slow.has_more(), "its handler still runs");
    assert_eq!(server.wait(Some(Duration::ZERO)).map_err(|error| error.kind()), Err(hasty::Kind::Timeout));
    gate.open();
    assert_eq!(slow.expect(200).text(), "slow");
    server.wait(Some(PATIENCE)).expect("the app stops");
}

#[test]
fn a_stop_answers_and_records_the_requests_that_stand_in_line_as_they_were_asked() {
    let records: Arc<Mutex<Vec<String>>> = Arc::default();
    let slow = with_slow_and(&[("threads", "2")], "yes", |app| {
        let kept = Arc::clone(&records);
        let log = move |record: &hasty::AccessRecord<'_>| {
            let line = format!("{} {} {} {}", record.status, record.target, record.bytes_in, record.bytes_out);
            kept.lock().push(line);
        };
        app.on_access(Box::new(log)).expect("before start");
        let name = |request: &Request, response: &mut Response| response.set_header(b"X-Target", request.target().bytes());
        app.after("/slow", Box::new(name)).expect("before start");
    });
    let _opened = slow.opened();
    let mut running = slow.ask(0, 2);
    slow.gate.await_arrivals(2);
    let mut waiting = slow.server.connect();
    let request = post("/slow/2", b"a body");
    waiting.send(&request);
    await_queued(&slow.server, 1);
    slow.server.stop();
    let answer = waiting.expect(503);
    assert_eq!(answer.field("X-Target"), Some("/slow/2"), "the request is at hand, and so is what comes after its handler");
    let line = format!("503 /slow/2 {} {}", request.len(), answer.body.len());
    await_that("its record", || records.lock().contains(&line));
    slow.gate.open();
    for client in &mut running {
        client.expect(200);
    }
}

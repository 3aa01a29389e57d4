//! A handler that blocks holds one thread, and nobody's connection.

mod support;

use hasty::{App, Request, Response};
use support::{Client, Gate, Opened, Server, get, last_get};

fn with_gate(threads: &str) -> (Server, Gate) {
    let gate = Gate::new();
    let server = Server::start(&[("threads", threads)], |app: &App| {
        let gate = gate.clone();
        app.get("/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")
        })
        .expect("new");
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

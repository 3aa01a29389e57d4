//! A handler that panics costs one answer: not the connection, not the thread, not the app.

mod support;

use hasty::{App, Error, Kind, Request, Response};
use std::sync::Once;
use support::{Gate, Logs, Opened, Server, get, last_get, post};

const PURPOSE: &str = "on purpose, for the test";

fn routes(app: &App) {
    // Panics on purpose say nothing; others do.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.to_string().contains(PURPOSE) {
                tell(info);
            }
        }));
    });
    app.get("/panics", |_: &Request, response: &mut Response| {
        response.set_status(201)?;
        response.set_header(b"X-Half", b"done")?;
        response.send_text(b"half done")?;
        panic!("{PURPOSE}");
    })
    .expect("new");
    app.post("/panics", |_: &Request, _: &mut Response| panic!("{PURPOSE}")).expect("new");
    app.get("/panics-with-a-number", |_: &Request, _: &mut Response| -> hasty::Result<()> {
        let purpose = PURPOSE.to_owned();
        // Any value may be thrown.
        std::panic::resume_unwind(Box::new((7, purpose)));
    })
    .expect("new");
    app.get("/fails", |_: &Request, _: &mut Response| Err(Error::fixed(Kind::Invalid, "no luck today"))).expect("new");
    app.get("/bad-header", |_: &Request, response: &mut Response| {
        let _ = response.set_header(b"X-Split", b"a\r\nX-Injected: b");
        response.send_text(b"sent all the same")
    })
    .expect("new");
    app.get("/reset", |_: &Request, response: &mut Response| {
        let _ = response.set_header(b"X-Split", b"a\r\nX-Injected: b");
        response.reset()?;
        response.send_text(b"begun anew")
    })
    .expect("new");
}

#[test]
fn a_panic_is_answered_500_and_the_connection_goes_on() {
    let server = Server::start(&[], routes);
    let mut client = server.connect();
    for _ in 0..20 {
        client.send(get("/panics"));
        let answer = client.expect(500);
        assert!(!answer.says_close(), "{answer:?}");
        client.send(get("/"));
        assert_eq!(client.expect(200).text(), "root");
    }
}

#[test]
fn nothing_of_the_half_made_answer_or_the_panic_is_sent() {
    let server = Server::start(&[], routes);
    let mut client = server.connect();
    client.send(get("/panics"));
    let answer = client.expect(500);
    assert_eq!(answer.field("X-Half"), None, "{answer:?}");
    assert!(!answer.text().contains("half done") && !answer.text().contains(PURPOSE), "{answer:?}");
}

#[test]
fn any_value_may_be_thrown() {
    let server = Server::start(&[], routes);
    let mut client = server.connect();
    client.send(get("/panics-with-a-number"));
    client.expect(500);
    client.send(get("/"));
    client.expect(200);
}

#[test]
fn a_panic_among_pipelined_requests_costs_one_answer() {
    let server = Server::start(&[], routes);
    let mut client = server.connect();
    client.send([get("/"), get("/panics"), get("/"), post("/panics", b"hello"), get("/panics"), last_get("/")].concat());
    let statuses: Vec<_> = (0..6).map(|_| client.answer().status).collect();
    assert_eq!(statuses, [200, 500, 200, 500, 500, 200]);
    client.expect_end();
}

#[test]
fn the_pool_has_all_its_threads_after_many_panics() {
    const THREADS: usize = 4;
    let gate = Gate::new();
    let server = Server::start(&[("threads", "4")], |app| {
        routes(app);
        let gate = gate.clone();
        app.get("/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")
        })
        .expect("new");
    });
    let _opened = Opened(gate.clone());
    let mut clients: Vec<_> = (0..THREADS).map(|_| server.connect()).collect();
    for _ in 0..50 {
        for client in &mut clients {
            client.send(get("/panics"));
        }
        for client in &mut clients {
            client.expect(500);
        }
    }
    // Each thread takes one of these at the same time.
    for client in &mut clients {
        client.send(get("/slow"));
    }
    gate.await_arrivals(THREADS);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.expect(200).text(), "slow");
    }
}

#[test]
fn panics_and_failures_are_logged_with_their_words() {
    let mut logs = Logs::default();
    let server = Server::start(&[], |app| {
        routes(app);
        logs = Logs::of(app);
    });
    let mut client = server.connect();
    for (target, words) in [("/panics", PURPOSE), ("/fails", "no luck today"), ("/bad-header", "X-Split")] {
        client.send(get(target));
        client.expect(500);
        let errors = logs.errors();
        assert!(errors.last().is_some_and(|error| error.contains(words)), "{target}: {errors:?}");
    }
    assert_eq!(logs.errors().len(), 3, "one line each: {:?}", logs.errors());
}

#[test]
fn a_header_that_would_split_the_answer_is_a_500() {
    let server = Server::start(&[], routes);
    let mut client = server.connect();
    client.send(get("/bad-header"));
    let answer = client.expect(500);
    assert_eq!((answer.field("X-Split"), answer.field("X-Injected")), (None, None), "{answer:?}");
    client.send(get("/reset"));
    assert_eq!(client.expect(200).text(), "begun anew");
}

#[test]
fn an_on_error_that_panics_leaves_the_answer_of_the_library() {
    let server = Server::start(&[], |app| {
        routes(app);
        app.on_error(Box::new(|_: &Error, _: &Request, response: &mut Response| {
            response.send_text(b"half done")?;
            panic!("{PURPOSE}");
        }))
        .expect("before start");
    });
    let mut client = server.connect();
    for (target, status) in [("/nowhere", 404), ("/panics", 500), ("/fails", 500)] {
        client.send(get(target));
        let answer = client.expect(status);
        assert!(!answer.text().contains("half done"), "{answer:?}");
    }
    server.expect_alive();
}

#[test]
fn a_log_that_panics_costs_nothing() {
    let server = Server::start(&[], |app| {
        routes(app);
        app.on_log(Box::new(|_, _: &str| panic!("{PURPOSE}"))).expect("before start");
    });
    let mut client = server.connect();
    for _ in 0..5 {
        client.send(get("/fails"));
        client.expect(500);
    }
    server.expect_alive();
}

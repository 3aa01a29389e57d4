//! What the library says when it refuses: in JSON or text as the client takes it, or as `on_error` shapes it.

mod support;

use hasty::{App, Error, Kind, Request, Response, json};
use parking_lot::Mutex;
use support::{Answer, Logs, Server};

fn routes(app: &App) {
    app.get("/got", |_: &Request, response: &mut Response| response.send_text(b"got")).expect("new");
    app.get("/own", |_: &Request, response: &mut Response| {
        response.set_status(404)?;
        response.send_text(b"my own words")
    })
    .expect("new");
    app.get("/teapot", |_: &Request, response: &mut Response| response.send_status(418)).expect("new");
    app.get("/fails", |_: &Request, response: &mut Response| {
        response.set_header(b"X-Half", b"done")?;
        Err(Error::fixed(Kind::Invalid, "a secret of the handler"))
    })
    .expect("new");
    app.post("/small", |request: &Request, response: &mut Response| response.send(request.body().bytes())).expect("new");
    app.set_route_option("POST", "/small", "max_body_bytes", "10").expect("a route option");
}

fn answer(server: &Server, request: &str) -> Answer {
    let mut client = server.connect();
    client.send(request);
    client.answer()
}

fn with_accept(server: &Server, accept: &str) -> Answer {
    answer(server, &format!("GET /nowhere HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n"))
}

#[track_caller]
fn assert_text(answer: &Answer, said: &str) {
    assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"), "{said}: {answer:?}");
    assert!(answer.text().contains(&answer.status.to_string()), "{said}: {answer:?}");
}

#[track_caller]
fn assert_json(answer: &Answer, said: &str) {
    assert_eq!(answer.field("Content-Type"), Some("application/json"), "{said}: {answer:?}");
    let value = json::Value::parse(&answer.body).unwrap_or_else(|error| panic!("{said}: {error}: {answer:?}"));
    assert_eq!(value.kind(), json::Kind::Object, "{said}: {answer:?}");
    assert!(answer.text().contains(&answer.status.to_string()), "{said}: {answer:?}");
}

#[test]
fn an_error_is_text_unless_json_is_asked_for() {
    let server = Server::start(&[], routes);
    assert_text(&answer(&server, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"), "no Accept");
    for accept in [
        "",
        "*/*",
        "text/plain",
        "text/*",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
        "image/png",
        "application/json;q=0, text/plain",
        "text/plain, application/json;q=0.5",
        "x/application/json",
        ";;;,,, =",
    ] {
        assert_text(&with_accept(&server, accept), accept);
    }
}

#[test]
fn an_error_is_json_when_json_is_asked_for() {
    let server = Server::start(&[], routes);
    for accept in [
        "application/json",
        "Application/JSON",
        "application/json, text/plain;q=0.5",
        "application/json;q=0.9, text/plain;q=0.1",
        "application/json;charset=utf-8",
        "application/json, */*;q=0.1",
        "text/plain;q=0.3 , application/json ; q=0.7",
        "image/png\r\nAccept: application/json",
        "text/plain;q=0.3\r\nAccept: application/json",
    ] {
        assert_json(&with_accept(&server, accept), accept);
    }
}

#[test]
fn an_error_says_that_it_depends_on_accept() {
    let server = Server::start(&[], routes);
    for accept in ["text/plain", "application/json"] {
        assert!(with_accept(&server, accept).lists("Vary", "Accept"), "caches must not give this to others: {accept}");
    }
    let answer = answer(&server, "GET / HTTP/1.1\r\n\r\n");
    assert_eq!((answer.status, answer.field("Vary")), (400, None), "nobody has looked at Accept: {answer:?}");
}

#[test]
fn every_error_of_the_library_comes_in_both() {
    let options = [("max_target_bytes", "100"), ("max_headers", "5")];
    let server = Server::start(&options, routes);
    let long = "x".repeat(200);
    let many = "X: y\r\n".repeat(9);
    for (status, request) in [
        (404, "GET /nowhere HTTP/1.1\r\nHost: a\r\n{}\r\n"),
        (405, "DELETE /got HTTP/1.1\r\nHost: a\r\n{}\r\n"),
        (400, "GET /%zz HTTP/1.1\r\nHost: a\r\n{}\r\n"),
        (413, "POST /small HTTP/1.1\r\nHost: a\r\n{}Content-Length: 11\r\n\r\n01234567890"),
        (413, "POST /small HTTP/1.1\r\nHost: a\r\n{}Transfer-Encoding: chunked\r\n\r\nff\r\n"),
        (400, "POST /small HTTP/1.1\r\nHost: a\r\n{}Transfer-Encoding: chunked\r\n\r\nx\r\n"),
        (417, "GET /got HTTP/1.1\r\nHost: a\r\n{}Expect: tea\r\n\r\n"),
        (500, "GET /fails HTTP/1.1\r\nHost: a\r\n{}\r\n"),
    ] {
        assert_text(&expect(&server, status, &request.replace("{}", "")), request);
        assert_json(&expect(&server, status, &request.replace("{}", "Accept: application/json\r\n")), request);
    }
    // What is refused before its header is read cannot say what it takes.
    for (status, request) in [
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (414, format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned()),
        (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned()),
    ] {
        assert_text(&expect(&server, status, &request), &request);
    }
}

#[track_caller]
fn expect(server: &Server, status: u16, request: &str) -> Answer {
    let answer = answer(server, request);
    assert_eq!(answer.status, status, "{request:?}: {answer:?}");
    answer
}

#[test]
fn a_failed_handler_is_answered_without_its_secrets_and_its_half_made_answer() {
    let server = Server::start(&[], routes);
    for accept in ["text/plain", "application/json"] {
        let answer = expect(&server, 500, &format!("GET /fails HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n"));
        assert!(!answer.text().contains("secret"), "{answer:?}");
        assert_eq!(answer.field("X-Half"), None, "{answer:?}");
    }
}

#[test]
fn bytes_of_the_request_do_not_break_json() {
    let server = Server::start(&[], routes);
    for target in ["/\"quoted\"", "/%22%5C%0A", "/a\\b", "/\u{e4}", "/%zz\"", "/<script>"] {
        let answer = answer(&server, &format!("GET {target} HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n"));
        assert!(matches!(answer.status, 400 | 404), "{answer:?}");
        if answer.field("Content-Type") == Some("application/json") {
            assert_json(&answer, target);
        }
    }
}

// ---- on_error

/// Shapes all errors into one line: status, whether the request is known, and the reason.
fn shaped(options: &[(&str, &str)]) -> Server {
    Server::start(options, |app| {
        routes(app);
        app.on_error(Box::new(|why: &Error, request: &Request, response: &mut Response| {
            let line = format!("shaped {} {} {why}", response.status(), request.raw_path());
            response.set_header(b"X-Shaped", b"yes")?;
            response.send_html(line.as_bytes())
        }))
        .expect("before start");
    })
}

/// `on_error` may give a type of its own, which the client of these tests does not take for an error's.
fn shaped_answer(server: &Server, request: &str) -> Answer {
    let mut client = server.connect();
    client.send(request);
    client.answer_of_any_type()
}

#[test]
fn on_error_shapes_what_the_library_refuses() {
    let server = shaped(&[("max_headers", "5")]);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(9));
    for (status, request) in [
        (404, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"),
        (405, "DELETE /got HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        (413, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n01234567890"),
        (417, "GET /got HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"),
        (431, &many),
        (500, "GET /fails HTTP/1.1\r\nHost: a\r\n\r\n"),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    ] {
        let answer = shaped_answer(&server, request);
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        assert_eq!(answer.field("X-Shaped"), Some("yes"), "{request:?}: {answer:?}");
        assert!(answer.text().starts_with(&format!("shaped {status} ")), "{answer:?}");
        assert!(answer.field("Content-Type").is_some_and(|kind| kind.starts_with("text/html")), "{answer:?}");
    }
}

#[test]
fn on_error_knows_the_request_and_the_reason() {
    let server = shaped(&[]);
    let answer = shaped_answer(&server, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.text().starts_with("shaped 404 /nowhere "), "{answer:?}");
    assert!(answer.text().len() > "shaped 404 /nowhere ".len() + 10, "a reason: {answer:?}");
}

#[test]
fn on_error_leaves_what_the_answer_must_have() {
    let server = shaped(&[]);
    let answer = shaped_answer(&server, "DELETE /got HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.lists("Allow", "GET") && answer.lists("Allow", "HEAD"), "{answer:?}");
    let closed = shaped_answer(&server, "GET / HTTP/1.1\r\n\r\n");
    assert!(closed.says_close(), "{closed:?}");
}

#[test]
fn on_error_has_no_say_in_what_handlers_send() {
    let server = shaped(&[]);
    let own = answer(&server, "GET /own HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((own.status, &*own.text(), own.field("X-Shaped")), (404, "my own words", None));
    let teapot = answer(&server, "GET /teapot HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((teapot.status, teapot.field("X-Shaped")), (418, None));
    let good = answer(&server, "GET /got HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((good.status, good.field("X-Shaped")), (200, None));
}

#[test]
fn on_error_shapes_the_head_of_an_answer_to_head() {
    let server = shaped(&[]);
    let mut client = server.connect();
    client.send("HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGET /got HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.answer_to_head();
    assert_eq!((answer.status, answer.field("X-Shaped")), (404, Some("yes")));
    assert_eq!(client.expect(200).text(), "got");
}

#[test]
fn an_on_error_that_fails_leaves_the_answer_of_the_library() {
    let server = Server::start(&[], |app| {
        routes(app);
        app.on_error(Box::new(|_: &Error, _: &Request, response: &mut Response| {
            response.set_header(b"X-Half", b"done")?;
            response.send_text(b"half done")?;
            Err(Error::fixed(Kind::Invalid, "on purpose"))
        }))
        .expect("before start");
    });
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.expect(404);
        assert_eq!(answer.field("X-Half"), None, "{answer:?}");
        assert_text(&answer, "a failed on_error");
    }
}

#[test]
fn a_target_in_the_log_is_shown_without_what_a_terminal_obeys() {
    let logs = Mutex::new(None);
    let server = Server::start(&[], |app| {
        *logs.lock() = Some(Logs::of(app));
        routes(app);
    });
    // CSI as one character of UTF-8, which no parser of heads refuses.
    assert_eq!(answer(&server, "GET /fails?\u{9b}31m HTTP/1.1\r\nHost: a\r\n\r\n").status, 500);
    let errors = logs.lock().as_ref().map(Logs::errors).unwrap_or_default();
    let shown = |error: &String| error.contains("GET /fails?") && !error.contains('\u{9b}');
    assert!(errors.len() == 1 && errors.iter().all(shown), "{errors:?}");
}

//! What runs around the handlers: middleware, `after`, access records, default headers, rate limits.

mod support;

use hasty::{AccessFormat, AccessRecord, App, CorsOptions, Error, Exchange, Flow, Kind, Notify, Request, Response, Text};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Answer, Client, Gate, Logs, Opened, PATIENCE, Server, await_that, get, pattern, post};

/// Registers middleware that is a function.
fn using<F>(app: &App, prefix: &str, pass: F)
where
    F: Fn(&Request, &mut Response) -> hasty::Result<Flow> + Send + Sync + 'static,
{
    app.middleware(prefix, Box::new(pass)).expect("the prefix is one");
}

fn after<F>(app: &App, prefix: &str, handle: F)
where
    F: Fn(&Request, &mut Response) -> hasty::Result<()> + Send + Sync + 'static,
{
    app.after(prefix, Box::new(handle)).expect("the prefix is one");
}

/// Middleware that says that it was there.
fn marking(app: &App, prefix: &str, mark: &'static str) {
    using(app, prefix, move |_: &Request, response: &mut Response| {
        response.add_header(b"X-Mark", mark.as_bytes())?;
        Ok(Flow::Next)
    });
}

fn mirror(request: &Request, response: &mut Response) -> hasty::Result<()> {
    response.send(request.body().bytes())
}

fn ask(server: &Server, request: impl AsRef<[u8]>) -> Answer {
    let mut client = server.connect();
    client.send(request);
    client.answer()
}

#[test]
fn middleware_runs_in_the_order_of_registration_and_after_in_the_reverse() {
    let server = Server::start(&[], |app| {
        for (prefix, mark) in [("/", "1"), ("/a", "2"), ("/a/b", "3"), ("/", "4"), ("/other", "never")] {
            marking(app, prefix, mark);
        }
        for (prefix, mark) in [("/", "d"), ("/a", "c"), ("/a/b", "b"), ("/", "a"), ("/other", "never")] {
            after(app, prefix, move |_: &Request, response: &mut Response| response.add_header(b"X-Mark", mark.as_bytes()));
        }
        app.get("/a/b", |_: &Request, response: &mut Response| {
            response.add_header(b"X-Mark", b"handler")?;
            response.send_text(b"b")
        })
        .expect("new");
    });
    assert_eq!(ask(&server, get("/a/b")).all("X-Mark"), ["1", "2", "3", "4", "handler", "a", "b", "c", "d"]);
    assert_eq!(ask(&server, get("/")).all("X-Mark"), ["1", "4", "a", "d"]);
}

#[test]
fn prefixes_go_by_whole_decoded_segments() {
    let server = Server::start(&[], |app| {
        marking(app, "/api", "api");
        app.get("/*", |_: &Request, response: &mut Response| response.send_text(b"all")).expect("new");
    });
    for (target, is_below) in [
        ("/api", true),
        ("/api/", true),
        ("/api/users", true),
        ("/api?a=b", true),
        ("/%61pi/users", true),
        ("http://a/api/x", true),
        ("/apis", false),
        ("/ap", false),
        ("/", false),
        ("//api", false),
        ("/api%2Fusers", false),
        ("/API", false),
        ("/x/../api", false),
    ] {
        let answer = ask(&server, get(target));
        assert_eq!(answer.field("X-Mark").is_some(), is_below, "{target}: {answer:?}");
    }
}

#[test]
fn middleware_runs_before_404_and_405_and_for_the_asterisk_and_head() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(&[], |app| {
        let calls = Arc::clone(&calls);
        using(app, "/", move |_: &Request, _: &mut Response| {
            calls.fetch_add(1, Ordering::SeqCst);
            Ok(Flow::Next)
        });
    });
    for (number, (request, status)) in [
        ("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204),
        ("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", 204),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 405),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(ask(&server, request).status, status, "{request:?}");
        assert_eq!(calls.load(Ordering::SeqCst), number + 1, "{request:?}");
    }
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.answer_to_head();
    assert_eq!(calls.load(Ordering::SeqCst), 6);
}

#[test]
fn no_middleware_runs_for_what_is_no_request() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(&[], |app| {
        let calls = Arc::clone(&calls);
        using(app, "/", move |_: &Request, _: &mut Response| {
            calls.fetch_add(1, Ordering::SeqCst);
            Ok(Flow::Next)
        });
    });
    for (request, status) in [
        ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: more\r\nContent-Length: 1\r\n\r\nx", 417),
    ] {
        assert_eq!(ask(&server, request).status, status, "{request:?}");
        assert_eq!(calls.load(Ordering::SeqCst), 0, "{request:?}");
    }
}

#[test]
fn middleware_that_is_done_has_answered() {
    let handled = Arc::new(AtomicUsize::new(0));
    let server = Server::start(&[], |app| {
        marking(app, "/", "first");
        using(app, "/", |request: &Request, response: &mut Response| {
            if request.header(b"authorization").is_some() {
                return Ok(Flow::Next);
            }
            response.set_status(401)?;
            response.set_header(b"WWW-Authenticate", b"Basic")?;
            response.send_text(b"who are you?\n")?;
            Ok(Flow::Done)
        });
        marking(app, "/", "second");
        let count = Arc::clone(&handled);
        app.get("/secret", move |_: &Request, response: &mut Response| {
            count.fetch_add(1, Ordering::SeqCst);
            response.send_text(b"secret")
        })
        .expect("new");
    });
    let mut client = server.connect();
    client.send(get("/secret"));
    let answer = client.expect(401);
    assert_eq!((answer.all("X-Mark"), answer.field("WWW-Authenticate")), (vec!["first"], Some("Basic")));
    assert!(!answer.says_close(), "the connection goes on");
    client.send("GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n\r\n");
    let answer = client.expect(200);
    assert_eq!((answer.all("X-Mark"), answer.text()), (vec!["first", "second"], "secret".to_owned()));
    assert_eq!(answer.field("WWW-Authenticate"), None, "nothing is left of the answer before");
    assert_eq!(handled.load(Ordering::SeqCst), 1);
}

#[test]
fn middleware_that_fails_or_panics_answers_500() {
    let server = Server::start(&[], |app| {
        using(app, "/fails", |_: &Request, _: &mut Response| Err(Error::invalid("as it was told")));
        using(app, "/panics", |_: &Request, _: &mut Response| panic!("as it was told"));
    });
    let mut client = server.connect();
    for target in ["/fails", "/panics", "/fails/x"] {
        client.send(get(target));
        let answer = client.expect(500);
        assert!(!answer.text().contains("as it was told"), "{answer:?}");
        client.send(get("/"));
        client.expect(200);
    }
}

fn refusing_uploads(app: &App) {
    using(app, "/upload", |_: &Request, response: &mut Response| {
        response.send_status(403)?;
        Ok(Flow::Done)
    });
    app.post("/upload", |_: &Request, _: &mut Response| panic!("nobody gets here")).expect("new");
    app.post("/mirror", mirror).expect("new");
}

#[test]
fn an_upload_is_refused_before_its_body_has_come() {
    let server = Server::start(&[], refusing_uploads);
    let mut client = server.connect();
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    let answer = client.expect(403);
    assert!(!answer.says_close(), "a thousand bytes are worth receiving: {answer:?}");
    // What follows the body is the next request.
    client.send([pattern(1000), &get("/")].concat());
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn a_large_upload_that_is_refused_ends_the_connection() {
    let server = Server::start(&[("max_body_bytes", "100000000")], refusing_uploads);
    let mut client = server.connect();
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n");
    assert!(client.expect(403).says_close());
    client.expect_end();
}

#[test]
fn a_client_that_expects_to_be_told_is_refused_without_its_body() {
    let server = Server::start(&[], refusing_uploads);
    let mut client = server.connect();
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    // RFC 9110 10.1.1: it may send the body or another request now, and only the end of the connection leaves no doubt.
    assert!(client.expect(403).says_close());
    client.expect_end();
    let mut client = server.connect();
    client.send("POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client.expect(100);
    client.send("hello");
    assert_eq!(client.expect(200).text(), "hello");
}

#[test]
fn a_chunked_upload_that_is_refused_is_skipped() {
    let server = Server::start(&[], refusing_uploads);
    let mut client = server.connect();
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    client.expect(403);
    client.send("lo\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n");
    client.send(get("/"));
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn locals_go_from_middleware_to_handler_and_end_with_the_request() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let server = Server::start(&[], |app| {
        let count = Arc::clone(&ended);
        using(app, "/user", move |request: &Request, _: &mut Response| {
            let name = request.query().get(b"name").unwrap_or_default().to_vec();
            request.set_local(b"name", Box::new(name));
            request.set_local(b"counted", Box::new(Counted(Arc::clone(&count))));
            Ok(Flow::Next)
        });
        let tell = |request: &Request, response: &mut Response| {
            let name = request.local(b"name", |any| any.downcast_ref::<Vec<u8>>().expect("set by the middleware").clone());
            response.send_text(&name.unwrap_or_else(|| b"nobody".to_vec()))
        };
        app.get("/user", tell).expect("new");
        app.post("/user", tell).expect("new");
        app.get("/other", tell).expect("new");
    });
    let mut client = server.connect();
    client.send([get("/user?name=ada"), get("/other"), get("/user?name=bob")].concat());
    for name in ["ada", "nobody", "bob"] {
        assert_eq!(client.expect(200).text(), name);
    }
    await_that("locals end with their request", || ended.load(Ordering::SeqCst) == 2);
    // They also outlive the wait for a body, and end when it never comes.
    client.send("POST /user?name=eve HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
    server.expect_alive();
    client.send("y");
    assert_eq!(client.expect(200).text(), "eve");
    client.send("POST /user?name=eve HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
    server.expect_alive();
    drop(client);
    await_that("locals end with their connection", || ended.load(Ordering::SeqCst) == 4);
}

/// Middleware runs when the head is there; the answer that it prepares waits with its own request.
#[test]
fn what_middleware_sets_outlives_the_wait_for_a_body_and_reaches_nobody_else() {
    let server = Server::start(&[("threads", "1")], |app| {
        using(app, "/", |request: &Request, response: &mut Response| {
            if let Some(name) = request.header(b"x-name") {
                response.set_header(b"X-Name", name.bytes())?;
                response.set_status(201)?;
            }
            Ok(Flow::Next)
        });
        app.post("/mirror", mirror).expect("new");
    });
    let mut waiting: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for (number, client) in waiting.iter_mut().enumerate() {
        client.send(format!("POST /mirror HTTP/1.1\r\nHost: a\r\nX-Name: {number}\r\nContent-Length: 5\r\n\r\n"));
        let answer = ask(&server, post("/mirror", b"other"));
        assert_eq!((answer.status, answer.field("X-Name")), (200, None), "{answer:?}");
    }
    for piece in ["hel", "lo"] {
        for client in &mut waiting {
            client.send(piece);
        }
        server.expect_alive();
    }
    for (number, client) in waiting.iter_mut().enumerate().rev() {
        let answer = client.expect(201);
        assert_eq!((answer.all("X-Name"), answer.text()), (vec![&*number.to_string()], "hello".to_owned()));
        client.send(get("/"));
        assert_eq!(client.expect(200).field("X-Name"), None);
    }
}

#[test]
fn headers_that_middleware_sets_stay_on_errors_of_the_librarys_own_and_what_handlers_set_does_not() {
    let server = Server::start(&[("max_body_bytes", "10")], |app| {
        using(app, "/", |request: &Request, response: &mut Response| {
            response.set_header(b"X-Request-ID", request.id().bytes())?;
            response.set_status(201)?;
            response.send_html(b"<p>not yet")?;
            Ok(Flow::Next)
        });
        app.post("/mirror", mirror).expect("new");
        app.get("/fails", |_: &Request, response: &mut Response| {
            response.set_header(b"Cache-Control", b"max-age=3600")?;
            response.set_header(b"X-Request-ID", b"changed")?;
            Err(Error::invalid("as it was told"))
        })
        .expect("new");
        app.get("/resets", |_: &Request, response: &mut Response| {
            response.reset()?;
            Err(Error::invalid("as it was told"))
        })
        .expect("new");
    });
    for (request_line, rest, status) in [
        ("GET /nowhere", "\r\n", 404),
        ("POST /mirror", "Content-Length: 11\r\n\r\nhello world", 413),
        ("PUT /", "\r\n", 405),
        ("GET /fails", "\r\n", 500),
        ("GET /resets", "\r\n", 500),
        ("OPTIONS /", "\r\n", 204),
        ("GET /", "\r\n", 201),
    ] {
        let answer = ask(&server, format!("{request_line} HTTP/1.1\r\nHost: a\r\nX-Request-ID: id-7\r\n{rest}"));
        assert_eq!((answer.status, answer.all("X-Request-ID")), (status, vec!["id-7"]), "{request_line}: {answer:?}");
        assert_eq!(answer.field("Cache-Control"), None, "an error must not be kept for an hour: {answer:?}");
        assert!(!answer.text().contains("not yet"), "{answer:?}");
    }
}

#[test]
fn a_policy_of_content_is_none_of_the_headers_that_describe_one() {
    let server = Server::start(&[], |app| {
        using(app, "/", |_: &Request, response: &mut Response| {
            response.set_header(b"Content-Security-Policy", b"default-src 'self'")?;
            response.set_header(b"content-security-policy-report-only", b"img-src 'none'")?;
            response.set_header(b"Content-Language", b"fi")?;
            Ok(Flow::Next)
        });
    });
    let answer = ask(&server, get("/nowhere"));
    let said = ["Content-Security-Policy", "Content-Security-Policy-Report-Only", "Content-Language"].map(|name| answer.field(name));
    assert_eq!((answer.status, said), (404, [Some("default-src 'self'"), Some("img-src 'none'"), None]), "{answer:?}");
}

#[test]
fn headers_that_middleware_sets_stay_on_answers_in_the_place_of_an_exchange() {
    let open = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start(&[("exchange_timeout_ms", "60000")], |app| {
        using(app, "/", |request: &Request, response: &mut Response| {
            response.set_header(b"X-Request-ID", request.id().bytes())?;
            Ok(Flow::Next)
        });
        let shape = |_: &Error, _: &Request, response: &mut Response| {
            let id = response.header(b"X-Request-ID").map(|id| id.to_vec()).unwrap_or_default();
            response.set_header(b"X-Shaped", &id)
        };
        app.on_error(Box::new(shape)).expect("before start");
        for pattern in ["/never", "/until-stop"] {
            let open = Arc::clone(&open);
            app.get(pattern, move |request: &Request, response: &mut Response| {
                open.lock().push(response.defer(request)?);
                Ok(())
            })
            .expect("new");
        }
        app.set_route_option("GET", "/never", "exchange_timeout_ms", "100").expect("the route is there");
    });
    let asked = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Request-ID: id-7\r\n\r\n");
    let expect = |answer: Answer| {
        assert_eq!(["X-Request-ID", "X-Shaped"].map(|name| answer.all(name)), [["id-7"], ["id-7"]], "{answer:?}");
    };
    let mut client = server.connect();
    client.send(asked("/never"));
    expect(client.expect(504));
    let mut client = server.connect();
    client.send(asked("/until-stop"));
    await_that("the deferral", || open.lock().len() == 2);
    server.stop();
    expect(client.expect(503));
}

#[test]
fn headers_that_middleware_sets_stay_when_the_next_one_defers() {
    let open = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start(&[("exchange_timeout_ms", "100")], |app| {
        marking(app, "/", "1");
        let open = Arc::clone(&open);
        using(app, "/", move |request: &Request, response: &mut Response| {
            let exchange = response.defer(request)?;
            if request.query_string().is_none() {
                open.lock().push(exchange);
            }
            Ok(Flow::Done)
        });
    });
    for (target, status) in [("/", 504), ("/?given-up", 503)] {
        let answer = ask(&server, get(target));
        assert_eq!((answer.status, answer.all("X-Mark")), (status, vec!["1"]), "{answer:?}");
    }
}

#[test]
fn after_runs_for_every_answer_to_a_request() {
    let server = Server::start(&[("max_body_bytes", "10")], |app| {
        using(app, "/refused", |_: &Request, response: &mut Response| {
            response.send_status(403)?;
            Ok(Flow::Done)
        });
        after(app, "/", |request: &Request, response: &mut Response| {
            let status = response.status().to_string();
            response.set_header(b"X-After", format!("{} {status}", request.method()).as_bytes())
        });
        app.get("/fails", |_: &Request, _: &mut Response| Err(Error::invalid("as it was told"))).expect("new");
        app.post("/mirror", mirror).expect("new");
        app.get("/stream", |request: &Request, response: &mut Response| response.write(request, b"piece")).expect("new");
        app.get("/deferred", |request: &Request, response: &mut Response| {
            let mut exchange = response.defer(request)?;
            exchange.response_mut().send_text(b"later")?;
            exchange.finish()
        })
        .expect("new");
    });
    for (request, said) in [
        (get("/"), "GET 200"),
        (get("/nowhere"), "GET 404"),
        (get("/fails"), "GET 500"),
        (get("/refused"), "GET 403"),
        (post("/mirror", pattern(11)), "POST 413"),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "DELETE 405"),
        (get("/stream"), "GET 200"),
        (get("/deferred"), "GET 200"),
    ] {
        let mut client = server.connect();
        client.send(&request);
        let answer = client.streamed().answer;
        assert_eq!(answer.all("X-After"), [said], "{}", support::shown(&request));
    }
    assert_eq!(ask(&server, "GET / HTTP/1.1\r\n\r\n").field("X-After"), None, "what is no request has no path to be below");
}

#[test]
fn after_may_change_the_body_and_its_failure_is_a_500() {
    let server = Server::start(&[], |app| {
        after(app, "/", |request: &Request, response: &mut Response| match request.query().get(b"do") {
            Some(b"replace") => {
                let text = response.body().map(|body| body.to_vec()).unwrap_or_default().to_ascii_uppercase();
                response.send_text(&text)
            }
            Some(b"fail") => Err(Error::invalid("as it was told")),
            Some(b"panic") => panic!("as it was told"),
            Some(b"defer") => response.defer(request).map(|_| ()),
            Some(b"write") => response.write(request, b"piece"),
            _ => Ok(()),
        });
    });
    let mut client = server.connect();
    client.send(get("/?do=replace"));
    assert_eq!(client.expect(200).text(), "ROOT");
    for wrong in ["fail", "panic", "defer", "write"] {
        client.send(get(&format!("/?do={wrong}")));
        client.expect(500);
    }
    client.send(get("/"));
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn a_reset_does_not_let_an_answer_be_streamed_or_deferred_that_is_given_whole() {
    let try_it = |request: &Request, response: &mut Response| match request.query().get(b"do") {
        Some(b"defer") => response.reset().and_then(|()| response.defer(request)).map(drop),
        Some(b"write") => response.reset().and_then(|()| response.write(request, b"piece")),
        _ => Ok(()),
    };
    let server = Server::start(&[], |app| {
        after(app, "/", try_it);
        app.on_error(Box::new(move |_: &Error, request: &Request, response: &mut Response| try_it(request, response))).expect("new");
        app.get("/stream", |request: &Request, response: &mut Response| response.write(request, b"piece")).expect("new");
    });
    for target in ["/", "/nowhere", "/stream"] {
        for wrong in ["defer", "write"] {
            let answer = ask(&server, get(&format!("{target}?do={wrong}")));
            assert_eq!(answer.status, 500, "{target} {wrong}: {answer:?}");
        }
    }
    server.expect_alive();
}

#[test]
fn a_default_header_stands_on_every_answer_that_has_none_of_its_name() {
    let server = Server::start(&[("max_body_bytes", "10")], |app| {
        app.add_header(b"X-Default", b"d").expect("a header");
        app.add_header(b"Cache-Control", b"no-store").expect("a header");
        app.secure_headers().expect("before start");
        app.get("/own", |_: &Request, response: &mut Response| {
            response.set_header(b"cache-control", b"max-age=5")?;
            response.set_header(b"X-Frame-Options", b"DENY")?;
            response.send_text(b"own")
        })
        .expect("new");
        app.get("/stream", |request: &Request, response: &mut Response| response.write(request, b"piece")).expect("new");
    });
    for request in [
        get("/"),
        get("/nowhere"),
        get("/%zz"),
        get("/stream"),
        post("/", pattern(3)),
        "rubbish\r\n\r\n".into(),
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into(),
    ] {
        let mut client = server.connect();
        client.send(&request);
        let answer = client.streamed().answer;
        let said =
            ["X-Default", "Cache-Control", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"].map(|name| answer.all(name));
        let expected = ["d", "no-store", "nosniff", "SAMEORIGIN", "strict-origin-when-cross-origin"].map(|value| vec![value]);
        assert_eq!(said, expected, "{}", support::shown(&request));
    }
    let answer = ask(&server, get("/own"));
    assert_eq!((answer.all("Cache-Control"), answer.all("X-Frame-Options")), (vec!["max-age=5"], vec!["DENY"]));
    assert_eq!(answer.all("X-Default"), ["d"]);
}

#[test]
fn what_every_answer_varies_with_is_said_whatever_else_one_varies_with() {
    let server = Server::start(&[], |app| {
        app.add_header(b"Vary", b"Accept-Language").expect("a header");
        app.cors("/", &CorsOptions { origins: vec!["https://a.example".to_owned()], ..CorsOptions::default() }).expect("a policy");
        app.get("/long", |_: &Request, response: &mut Response| response.send_text(&[b'x'; 2000])).expect("new");
        app.get("/own", |_: &Request, response: &mut Response| {
            response.set_header(b"Vary", b"Cookie")?;
            response.send_text(b"own")
        })
        .expect("new");
    });
    for (target, members) in [("/", &["Origin"][..]), ("/long", &["Origin", "Accept-Encoding"]), ("/own", &["Cookie", "Origin"])] {
        let answer = ask(&server, get(target));
        for member in members.iter().chain(&["Accept-Language"]) {
            assert!(answer.lists("Vary", member), "{target} varies with {member}: {answer:?}");
        }
    }
}

#[test]
fn a_default_header_must_be_one() {
    let app = Server::app(&[], |_| {});
    for (name, value) in
        [("", "v"), ("a b", "v"), ("X", "a\r\nY: b"), ("X", "\0"), ("Content-Length", "5"), ("Date", "now"), ("connection", "close")]
    {
        let refused = app.add_header(name.as_bytes(), value.as_bytes()).map_err(|error| error.kind());
        assert_eq!(refused, Err(Kind::Invalid), "{name}: {value}");
    }
}

/// What was recorded, as far as it is the same in every run.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: String,
    target: String,
    route: Option<String>,
    status: u16,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Seen>>>);

impl Records {
    fn of(app: &App) -> Records {
        let records = Records::default();
        let kept = Arc::clone(&records.0);
        let log = move |record: &AccessRecord<'_>| {
            assert_eq!(record.remote_address, "127.0.0.1");
            assert!(record.time_us > 1_700_000_000_000_000 && record.duration_us < 60_000_000, "{record:?}");
            kept.lock().push(Seen {
                method: record.method.to_string(),
                target: record.target.to_string(),
                route: record.route.map(|route: Text<'_>| route.to_string()),
                status: record.status,
                bytes_in: record.bytes_in,
                bytes_out: record.bytes_out,
            });
        };
        app.on_access(Box::new(log)).expect("before start");
        records
    }

    /// The next record, which may come a moment after the answer.
    #[track_caller]
    fn next(&self) -> Seen {
        await_that("a record", || !self.0.lock().is_empty());
        self.0.lock().remove(0)
    }
}

#[test]
fn each_request_is_recorded_once() {
    let mut records = Records::default();
    let server = Server::start(&[("max_body_bytes", "100")], |app| {
        records = Records::of(app);
        using(app, "/refused", |_: &Request, response: &mut Response| {
            response.send_status(403)?;
            Ok(Flow::Done)
        });
        app.post("/mirror/:name", mirror).expect("new");
        app.get("/empty", |_: &Request, response: &mut Response| response.set_status(204)).expect("new");
        app.get("/fails", |_: &Request, _: &mut Response| panic!("as it was told")).expect("new");
        app.get("/stream", |request: &Request, response: &mut Response| {
            response.write(request, b"hello ")?;
            response.write(request, b"world")
        })
        .expect("new");
        app.get("/deferred", |request: &Request, response: &mut Response| {
            let mut exchange = response.defer(request)?;
            exchange.response_mut().send_text(b"later")?;
            exchange.finish()
        })
        .expect("new");
        app.route(
            "POST",
            "/read",
            Box::new(|request: &Request, response: &mut Response| {
                let mut piece = [0; 100];
                while request.read(&mut piece)? > 0 {}
                response.send_text(b"read")
            }),
        )
        .expect("new");
        app.set_route_option("POST", "/read", "body", "stream").expect("the route is there");
    });
    let chunked = b"POST /mirror/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec();
    let chunked_head = chunked.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") as u64 + 4;
    for (request, target, route, status, bytes_out, bytes_in) in [
        (get("/?a=b"), "/?a=b", Some("/"), 200, Some(4), None),
        (get("/nowhere"), "/nowhere", None, 404, None, None),
        (get("/empty"), "/empty", Some("/empty"), 204, Some(0), None),
        (get("/fails"), "/fails", Some("/fails"), 500, None, None),
        (get("/refused"), "/refused", None, 403, None, None),
        (get("/stream"), "/stream", Some("/stream"), 200, Some(11), None),
        (get("/deferred"), "/deferred", Some("/deferred"), 200, Some(5), None),
        (post("/mirror/x", b"hello"), "/mirror/x", Some("/mirror/:name"), 200, Some(5), None),
        (post("/read", pattern(90)), "/read", Some("/read"), 200, Some(4), None),
        (chunked, "/mirror/c", Some("/mirror/:name"), 200, Some(5), Some(chunked_head + 5)),
    ] {
        let mut client = server.connect();
        client.send(&request);
        let answer = client.streamed().answer;
        let method = if request.starts_with(b"GET") { "GET" } else { "POST" };
        let expected = Seen {
            method: method.to_owned(),
            target: target.to_owned(),
            route: route.map(str::to_owned),
            status,
            bytes_in: bytes_in.unwrap_or(request.len() as u64),
            bytes_out: bytes_out.unwrap_or(answer.body.len() as u64),
        };
        assert_eq!((answer.status, records.next()), (status, expected));
    }
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.answer_to_head();
    let seen = records.next();
    assert_eq!((&*seen.method, seen.status, seen.bytes_out), ("HEAD", 200, 0), "nothing was sent of the body");
    client.send("rubbish\r\n\r\n");
    let body = client.expect(400).body.len() as u64;
    let seen = records.next();
    assert_eq!((&*seen.method, &*seen.target, seen.status, seen.bytes_out), ("", "", 400, body));
    assert!(records.0.lock().is_empty(), "nothing else: {:?}", records.0.lock());
}

#[test]
fn a_client_that_asks_half_and_leaves_is_answered_for_once() {
    let mut records = Records::default();
    let server = Server::start(&[], |app| {
        records = Records::of(app);
        app.post("/mirror", mirror).expect("new");
    });
    let mut client = server.connect();
    client.send("POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    client.half_close();
    client.expect(400);
    assert_eq!(records.next().status, 400);
    assert!(records.0.lock().is_empty());
}

#[test]
fn the_formats_of_an_access_log_are_lines() {
    let lines: Arc<Mutex<Vec<[String; 3]>>> = Arc::default();
    let server = Server::start(&[], |app| {
        let kept = Arc::clone(&lines);
        let log = move |record: &AccessRecord<'_>| {
            kept.lock().push([AccessFormat::Common, AccessFormat::Combined, AccessFormat::Json].map(|format| record.format(format)));
        };
        app.on_access(Box::new(log)).expect("before start");
    });
    ask(&server, b"GET /?a=\"b HTTP/1.1\r\nHost: a\r\nUser-Agent: x \"y\" \\ \t\xff\r\nReferer: http://b/\r\nX-Request-ID: id-7\r\n\r\n");
    await_that("a record", || !lines.lock().is_empty());
    let [common, combined, json] = lines.lock().remove(0);
    assert!(common.starts_with("127.0.0.1 - - [") && common.ends_with("] \"GET /?a=\\\"b HTTP/1.1\" 200 4"), "{common}");
    assert!(combined.starts_with(&common) && combined.contains("\"http://b/\" \"x \\\"y\\\" \\\\ "), "{combined}");
    let value = hasty::json::Value::parse(json.as_bytes()).expect("JSON");
    assert!(json.contains("\"id\":\"id-7\"") && json.contains("\"status\":200"), "{json} {value:?}");
    for line in [common, combined, json] {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn a_log_that_panics_disturbs_nobody() {
    let server = Server::start(&[], |app| {
        app.on_access(Box::new(|_: &AccessRecord<'_>| panic!("as it was told"))).expect("before start");
        app.get("/stream", |request: &Request, response: &mut Response| response.write(request, b"piece")).expect("new");
    });
    let mut client = server.connect();
    for _ in 0..10 {
        client.send([get("/"), get("/stream")].concat());
        assert_eq!(client.streamed().answer.text(), "root");
        assert_eq!(client.streamed().answer.text(), "piece");
    }
}

#[test]
fn a_rate_limit_counts_by_address_and_tells_when_to_come_again() {
    let server = Server::start(&[], |app| {
        app.rate_limit("/limited", 60, 3, None).expect("a limit");
        app.get("/limited", |_: &Request, response: &mut Response| response.send_text(b"ok")).expect("new");
    });
    let mut client = server.connect();
    for remaining in ["2", "1", "0"] {
        client.send(get("/limited"));
        let answer = client.expect(200);
        assert_eq!((answer.all("RateLimit-Limit"), answer.all("RateLimit-Remaining")), (vec!["3"], vec![remaining]), "{answer:?}");
        assert_eq!(answer.field("Retry-After"), None);
    }
    client.send(get("/limited"));
    let answer = client.expect(429);
    assert_eq!((answer.field("RateLimit-Remaining"), answer.field("Retry-After")), (Some("0"), Some("1")), "{answer:?}");
    let reset: u64 = answer.field("RateLimit-Reset").expect("a reset").parse().expect("seconds");
    assert!((2..=3).contains(&reset), "{answer:?}");
    // 404s below the prefix count as well, and another address has a bucket of its own.
    client.send(get("/limited/nowhere"));
    client.expect(429);
    client.send(get("/"));
    let answer = client.expect(200);
    assert_eq!(answer.field("RateLimit-Limit"), None, "not below the prefix");
    let mut other = server.connect_from(2);
    other.send(get("/limited/nowhere"));
    let answer = other.expect(404);
    assert_eq!(answer.field("RateLimit-Remaining"), Some("2"), "{answer:?}");
}

#[test]
fn a_refused_request_reaches_no_middleware_and_its_body_does_not_matter() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(&[], |app| {
        app.rate_limit("/", 1, 1, None).expect("a limit");
        let calls = Arc::clone(&calls);
        using(app, "/", move |_: &Request, _: &mut Response| {
            calls.fetch_add(1, Ordering::SeqCst);
            Ok(Flow::Next)
        });
        app.post("/mirror", mirror).expect("new");
    });
    let mut client = server.connect();
    client.send([post("/mirror", b"one"), post("/mirror", b"two"), post("/mirror", b"three")].concat());
    assert_eq!(client.expect(200).text(), "one");
    client.expect(429);
    client.expect(429);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn the_tightest_of_several_limits_is_told_and_a_hook_decides_in_place_of_buckets() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let server = Server::start(&[], |app| {
        app.rate_limit("/", 600, 100, None).expect("a limit");
        app.rate_limit("/tight", 600, 2, None).expect("a limit");
        let asked = Arc::clone(&asked);
        let allow = move |key: Text<'_>| {
            asked.lock().push(key.to_string());
            asked.lock().len() < 2
        };
        app.rate_limit("/hook", 30, 1, Some(Box::new(allow))).expect("a limit");
        for pattern in ["/tight", "/hook"] {
            app.get(pattern, |_: &Request, response: &mut Response| response.send_text(b"ok")).expect("new");
        }
    });
    let mut client = server.connect();
    client.send([get("/tight"), get("/tight"), get("/tight"), get("/hook"), get("/hook")].concat());
    for (status, limit) in [(200, "2"), (200, "2"), (429, "2"), (200, "100"), (429, "30")] {
        let answer = client.expect(status);
        assert_eq!(answer.all("RateLimit-Limit"), [limit], "{answer:?}");
    }
    assert_eq!(*asked.lock(), ["127.0.0.1", "127.0.0.1"]);
}

#[test]
fn middleware_may_defer_and_the_handler_is_not_called() {
    let kept: Arc<Mutex<Vec<Exchange>>> = Arc::default();
    let server = Server::start(&[], |app| {
        let kept = Arc::clone(&kept);
        using(app, "/later", move |request: &Request, response: &mut Response| {
            response.set_header(b"X-From", b"middleware")?;
            kept.lock().push(response.defer(request)?);
            Ok(Flow::Done)
        });
        app.post("/later", |_: &Request, _: &mut Response| panic!("nobody gets here")).expect("new");
    });
    let mut client = server.connect();
    client.send([post("/later", pattern(500)), get("/")].concat());
    await_that("the deferral", || !kept.lock().is_empty());
    let mut exchange = kept.lock().remove(0);
    assert_eq!(exchange.request().method(), "POST");
    exchange.response_mut().send_text(b"later").expect("an answer");
    exchange.finish().expect("the client waits");
    let answer = client.expect(200);
    assert_eq!((answer.text(), answer.all("X-From")), ("later".to_owned(), vec!["middleware"]));
    assert_eq!(client.expect(200).text(), "root", "the body that nobody read is skipped");
}

#[test]
fn middleware_that_blocks_holds_one_thread_and_nobody_else() {
    let gate = Gate::new();
    let server = Server::start(&[("threads", "3")], |app| {
        let gate = gate.clone();
        using(app, "/slow", move |_: &Request, response: &mut Response| {
            gate.pass();
            response.send_text(b"slow")?;
            Ok(Flow::Done)
        });
    });
    let _opened = Opened(gate.clone());
    let mut client = server.connect();
    client.send(get("/slow"));
    gate.await_arrivals(1);
    for _ in 0..20 {
        server.expect_alive();
    }
    gate.open();
    assert_eq!(client.expect(200).text(), "slow");
}

#[test]
fn threads_of_the_pool_are_told_of() {
    #[derive(Default)]
    struct Count(AtomicUsize, AtomicUsize);
    struct Hook(Arc<Count>);
    impl Notify for Hook {
        fn start(&self) {
            self.0.0.fetch_add(1, Ordering::SeqCst);
        }
        fn stop(&self) {
            self.0.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::new(Count::default());
    let server = Server::start(&[("threads", "4")], |app| app.on_thread(Box::new(Hook(Arc::clone(&count)))).expect("before start"));
    await_that("four threads", || count.0.load(Ordering::SeqCst) == 4);
    server.expect_alive();
    assert_eq!(count.1.load(Ordering::SeqCst), 0);
    server.stop();
    server.wait(Some(PATIENCE)).expect("the app stops");
    drop(server);
    await_that("all have ended", || count.1.load(Ordering::SeqCst) == 4);
}

#[test]
fn on_error_shapes_what_hooks_refuse() {
    let mut logs = Logs::default();
    let server = Server::start(&[], |app| {
        logs = Logs::of(app);
        app.rate_limit("/limited", 1, 1, None).expect("a limit");
        using(app, "/fails", |_: &Request, _: &mut Response| Err(Error::invalid("as it was told")));
        let shape = |why: &Error, _: &Request, response: &mut Response| {
            let words = format!("shaped {}: {why}", response.status());
            response.send_text(words.as_bytes())
        };
        app.on_error(Box::new(shape)).expect("before start");
    });
    let mut client = server.connect();
    client.send([get("/limited"), get("/limited"), get("/fails")].concat());
    assert!(client.expect(404).text().starts_with("shaped 404: "));
    let answer = client.expect(429);
    assert!(answer.text().starts_with("shaped 429: ") && answer.field("Retry-After") == Some("60"), "{answer:?}");
    assert!(client.expect(500).text().starts_with("shaped 500: "));
    assert!(logs.complain_of("as it was told"), "{:?}", logs.errors());
}

#[test]
fn registering_ends_with_the_start() {
    let server = Server::start(&[], |_| {});
    let next = || Box::new(|_: &Request, _: &mut Response| Ok(Flow::Next));
    let nothing = || Box::new(|_: &Request, _: &mut Response| Ok(()));
    let late = [
        server.middleware("/", next()),
        server.after("/", nothing()),
        server.add_header(b"X", b"y"),
        server.secure_headers(),
        server.rate_limit("/", 1, 1, None),
        server.cors("/", &hasty::CorsOptions::default()),
    ];
    for outcome in late {
        assert_eq!(outcome.map_err(|error| error.kind()), Err(Kind::State));
    }
    let app = Server::app(&[], |_| {});
    for prefix in ["", "api", "/a*", "/:id", "/a?b", "/a#b", "/%zz"] {
        assert_eq!(app.middleware(prefix, next()).map_err(|error| error.kind()), Err(Kind::Invalid), "{prefix:?}");
    }
}

//! CORS as a browser's network stack sees it: the headers of preflights, answers and errors.

mod support;

use hasty::{App, CorsOptions, Error, Flow, Kind, Request, Response};
use support::{Answer, Server, get, pattern, post};

const SITE: &str = "https://example.org";

fn listed(origins: &str) -> CorsOptions {
    CorsOptions::from_lists(Some(origins), None, None, None)
}

fn routes(app: &App) {
    app.get("/api/things", |_: &Request, response: &mut Response| response.send_text(b"things")).expect("new");
    app.post("/api/things", |request: &Request, response: &mut Response| response.send(request.body().bytes())).expect("new");
    app.route("DELETE", "/api/things/:id", Box::new(|_: &Request, response: &mut Response| response.set_status(204))).expect("new");
    app.get("/api/fails", |_: &Request, _: &mut Response| Err(Error::invalid("as it was told"))).expect("new");
    app.get("/api/panics", |_: &Request, _: &mut Response| panic!("as it was told")).expect("new");
    app.get("/api/stream", |request: &Request, response: &mut Response| response.write(request, b"piece")).expect("new");
    app.get("/api/deferred", |request: &Request, response: &mut Response| {
        let mut exchange = response.defer(request)?;
        exchange.response_mut().send_text(b"later")?;
        exchange.finish()
    })
    .expect("new");
    app.get("/api/dropped", |request: &Request, response: &mut Response| response.defer(request).map(drop)).expect("new");
    app.get("/api/own", |_: &Request, response: &mut Response| {
        response.set_header(b"Access-Control-Allow-Origin", b"https://own.example")?;
        response.set_header(b"Vary", b"Accept")?;
        response.send_text(b"own")
    })
    .expect("new");
    app.route("OPTIONS", "/api/registered", Box::new(|_: &Request, response: &mut Response| response.send_text(b"mine"))).expect("new");
    app.route("*", "/api/any", Box::new(|_: &Request, response: &mut Response| response.send_text(b"any"))).expect("new");
}

fn server(policy: CorsOptions) -> Server {
    Server::start(&[("max_body_bytes", "100")], |app| {
        app.cors("/api", &policy).expect("a policy");
        routes(app);
    })
}

fn ask(server: &Server, request: impl AsRef<[u8]>) -> Answer {
    let mut client = server.connect();
    client.send(request);
    client.streamed().answer
}

fn from(origin: &str, request_line: &str, fields: &str) -> String {
    format!("{request_line} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n{fields}\r\n")
}

fn preflight(target: &str, origin: &str, method: &str, fields: &str) -> String {
    from(origin, &format!("OPTIONS {target}"), &format!("Access-Control-Request-Method: {method}\r\n{fields}"))
}

fn allowed(answer: &Answer) -> Vec<&str> {
    answer.all("Access-Control-Allow-Origin")
}

#[test]
fn the_default_policy_lets_any_origin_read_answers_and_errors() {
    let server = server(CorsOptions::default());
    let chunked = "POST /api/things HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\nTransfer-Encoding: chunked\r\n\r\nc8\r\n".to_owned();
    for (request, status) in [
        (from("https://b", "GET /api/things", ""), 200),
        (from("null", "GET /api/things", ""), 200),
        ("GET /api/things HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 200),
        (from("https://b", "GET /api/nowhere", ""), 404),
        (from("https://b", "PUT /api/things", ""), 405),
        (from("https://b", "POST /api/things", "Content-Length: 5000\r\n"), 413),
        (chunked + &"x".repeat(200) + "\r\n0\r\n\r\n", 413),
        (from("https://b", "GET /api/fails", ""), 500),
        (from("https://b", "GET /api/panics", ""), 500),
        (from("https://b", "GET /api/stream", ""), 200),
        (from("https://b", "GET /api/deferred", ""), 200),
        (from("https://b", "GET /api/dropped", ""), 503),
        (from("https://b", "GET /api/%zz", ""), 400),
        (from("https://b", "OPTIONS /api/things", ""), 204),
    ] {
        let answer = ask(&server, &request);
        assert_eq!((answer.status, allowed(&answer)), (status, vec!["*"]), "{request:?}: {answer:?}");
        assert_eq!(answer.field("Access-Control-Allow-Credentials"), None);
        assert!(!answer.lists("Vary", "Origin"), "the answer is the same for all: {answer:?}");
    }
}

#[test]
fn what_is_not_below_the_prefix_has_no_cors_headers() {
    let server = server(CorsOptions::default());
    for target in ["/", "/apix", "/nowhere", "//api/things", "/api%2Fthings"] {
        let answer = ask(&server, from("https://b", &format!("GET {target}"), ""));
        assert!(!answer.fields.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("access-control")), "{target}: {answer:?}");
    }
    let answer = ask(&server, preflight("/", "https://b", "GET", ""));
    assert_eq!((answer.status, allowed(&answer), answer.lists("Allow", "GET")), (204, vec![], true), "an OPTIONS like any other");
}

#[test]
fn a_listed_origin_is_echoed_and_others_get_nothing_but_vary() {
    let server = server(listed("https://example.org, http://localhost:8080, https://*.example.com, null"));
    for (origin, is_allowed) in [
        (SITE, true),
        ("https://example.org:443", true),
        ("HTTPS://EXAMPLE.ORG", true),
        ("http://localhost:8080", true),
        ("https://a.example.com", true),
        ("https://b.a.example.com", true),
        ("null", true),
        ("http://example.org", false),
        ("https://example.org:8443", false),
        ("https://example.com", false),
        ("https://evilexample.com", false),
        ("https://example.org.evil.com", false),
        ("https://example.org@evil.com", false),
        ("https://a.example.com.evil.com", false),
        ("https://.example.com", false),
        ("https://a..example.com", false),
        ("http://localhost", false),
        ("http://localhost:80801", false),
        ("https://example.org/", false),
        ("https://example.org https://evil.com", false),
        ("https://example.org, https://evil.com", false),
        ("NULL", false),
        ("", false),
        ("*", false),
    ] {
        for request in
            [from(origin, "GET /api/things", ""), from(origin, "GET /api/nowhere", ""), preflight("/api/things", origin, "GET", "")]
        {
            let answer = ask(&server, &request);
            let expected = if is_allowed { vec![origin] } else { vec![] };
            assert_eq!(allowed(&answer), expected, "{request:?}: {answer:?}");
            assert!(answer.lists("Vary", "Origin"), "{request:?}: {answer:?}");
        }
    }
    let answer = ask(&server, get("/api/things"));
    assert_eq!((allowed(&answer), answer.lists("Vary", "Origin")), (vec![], true), "caches must not give this to an allowed page");
}

#[test]
fn of_two_origins_none_is_trusted() {
    let server = server(listed(SITE));
    for fields in ["Origin: https://example.org\r\n", "Origin: https://evil.com\r\n"] {
        let answer = ask(&server, from(SITE, "GET /api/things", fields));
        assert_eq!(allowed(&answer), Vec::<&str>::new(), "{answer:?}");
    }
}

#[test]
fn a_preflight_is_answered_without_handler_or_body() {
    let server = server(CorsOptions::default());
    let mut client = server.connect();
    client.send(preflight("/api/things", SITE, "POST", "Access-Control-Request-Headers: content-type, x-token\r\n"));
    let answer = client.expect(204);
    assert_eq!(allowed(&answer), ["*"]);
    assert!(answer.lists("Access-Control-Allow-Methods", "POST") && answer.lists("Access-Control-Allow-Methods", "GET"), "{answer:?}");
    assert!(!answer.lists("Access-Control-Allow-Methods", "DELETE"), "the path has none: {answer:?}");
    let names = ["content-type", "x-token"].map(|name| answer.lists("Access-Control-Allow-Headers", name));
    assert_eq!((names, answer.field("Access-Control-Max-Age")), ([true, true], Some("86400")), "{answer:?}");
    assert!(answer.lists("Vary", "Access-Control-Request-Headers"), "{answer:?}");
    assert_eq!(answer.all("Access-Control-Allow-Private-Network"), Vec::<&str>::new());
    // The connection goes on.
    client.send(from(SITE, "GET /api/things", ""));
    client.expect(200);
    client.send(preflight("/api/things/7", SITE, "DELETE", ""));
    let answer = client.expect(204);
    assert_eq!((answer.lists("Access-Control-Allow-Methods", "DELETE"), answer.field("Access-Control-Allow-Headers")), (true, None));
    client.send(preflight("/api/any", SITE, "PROPFIND", ""));
    assert!(client.expect(204).lists("Access-Control-Allow-Methods", "PROPFIND"), "a route for any method has it");
    client.send(preflight("/api/nowhere", SITE, "GET", ""));
    let answer = client.expect(204);
    assert_eq!((allowed(&answer), answer.field("Access-Control-Allow-Methods")), (vec!["*"], None), "so the page can read the 404");
}

#[test]
fn what_is_no_preflight_is_an_options_like_any_other() {
    let server = server(CorsOptions::default());
    for request in [
        from(SITE, "OPTIONS /api/things", ""),
        "OPTIONS /api/things HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: GET\r\n\r\n".to_owned(),
        preflight("/api/things", SITE, "GET", "Origin: https://other.example\r\n"),
    ] {
        let answer = ask(&server, &request);
        assert_eq!((answer.status, answer.lists("Allow", "POST")), (204, true), "{request:?}: {answer:?}");
        assert_eq!(answer.field("Access-Control-Allow-Methods"), None, "{request:?}");
        assert_eq!(allowed(&answer), ["*"], "{request:?}");
    }
    let answer = ask(&server, preflight("/api/registered", SITE, "GET", ""));
    assert_eq!((answer.status, answer.text(), allowed(&answer)), (200, "mine".to_owned(), vec!["*"]), "its handler answers");
    // A route for any method is not one for OPTIONS.
    assert_eq!(ask(&server, preflight("/api/any", SITE, "GET", "")).status, 204);
}

#[test]
fn no_middleware_and_no_rate_limit_stands_before_a_preflight_and_after_runs_behind_it() {
    let server = Server::start(&[], |app| {
        let refuse = |_: &Request, response: &mut Response| {
            response.send_status(401)?;
            Ok(Flow::Done)
        };
        app.middleware("/", Box::new(refuse)).expect("a prefix");
        app.rate_limit("/", 1, 1, None).expect("a limit");
        app.cors("/api", &listed(SITE)).expect("a policy");
        routes(app);
    });
    let mut client = server.connect();
    for _ in 0..5 {
        client.send(preflight("/api/things", SITE, "POST", ""));
        let answer = client.expect(204);
        assert_eq!((allowed(&answer), answer.all("Vary").join(",").matches("Origin").count()), (vec![SITE], 1), "{answer:?}");
    }
    // What middleware and limits refuse is readable all the same: the page can tell its user why.
    for status in [401, 429] {
        client.send(from(SITE, "GET /api/things", ""));
        assert_eq!(allowed(&client.expect(status)), [SITE]);
    }
}

#[test]
fn lists_of_methods_and_headers_are_told_as_they_are() {
    let server = server(CorsOptions {
        max_age_s: 0,
        private_network: true,
        ..CorsOptions::from_lists(Some("*"), Some("get, POST, x-Own"), Some("X-One, X-Two"), Some("ETag, X-Count"))
    });
    let answer = ask(
        &server,
        preflight(
            "/api/things",
            SITE,
            "DELETE",
            "Access-Control-Request-Headers: x-three\r\nAccess-Control-Request-Private-Network: true\r\n",
        ),
    );
    // The Fetch standard normalizes GET and POST; other methods are compared with case.
    assert_eq!(answer.all("Access-Control-Allow-Methods"), ["GET, POST, x-Own"]);
    assert_eq!(answer.all("Access-Control-Allow-Headers"), ["X-One, X-Two"]);
    assert_eq!((answer.field("Access-Control-Max-Age"), answer.field("Access-Control-Allow-Private-Network")), (Some("0"), Some("true")));
    assert_eq!(answer.field("Access-Control-Expose-Headers"), None, "nothing of a preflight's answer is read");
    let answer = ask(&server, from(SITE, "GET /api/things", ""));
    assert_eq!(answer.all("Access-Control-Expose-Headers"), ["ETag, X-Count"]);
    for name in ["Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age"] {
        assert_eq!(answer.field(name), None, "{name} belongs to preflights");
    }
}

#[test]
fn credentials_are_allowed_to_listed_origins_only() {
    let server = server(CorsOptions { credentials: true, ..listed(SITE) });
    for request in [from(SITE, "GET /api/things", "Cookie: a=b\r\n"), preflight("/api/things", SITE, "POST", "")] {
        let answer = ask(&server, &request);
        assert_eq!((allowed(&answer), answer.all("Access-Control-Allow-Credentials")), (vec![SITE], vec!["true"]), "{answer:?}");
    }
    let answer = ask(&server, from("https://evil.com", "GET /api/things", "Cookie: a=b\r\n"));
    assert_eq!((allowed(&answer), answer.field("Access-Control-Allow-Credentials")), (vec![], None));
}

#[test]
fn a_policy_that_browsers_would_refuse_is_refused_at_set_up() {
    let app = Server::app(&[], |_| {});
    for policy in [
        CorsOptions { credentials: true, ..CorsOptions::default() },
        CorsOptions { credentials: true, ..CorsOptions::from_lists(Some(SITE), None, None, Some("*")) },
        listed("https://example.org/"),
        listed("example.org"),
        listed("https://*"),
        listed("https://a*.example.org"),
        listed(""),
        CorsOptions::from_lists(None, Some("GET POST"), None, None),
        CorsOptions::from_lists(None, None, Some("X-A:"), None),
        CorsOptions::from_lists(None, None, None, Some("a b")),
    ] {
        assert_eq!(app.cors("/", &policy).map_err(|error| error.kind()), Err(Kind::Invalid), "{policy:?}");
    }
    app.cors("/api", &CorsOptions::default()).expect("a policy");
    assert_eq!(app.cors("/api/", &listed(SITE)).map_err(|error| error.kind()), Err(Kind::Invalid), "the same prefix again");
}

#[test]
fn the_policy_of_the_longest_prefix_applies_alone() {
    let server = Server::start(&[], |app| {
        app.cors("/api/things", &CorsOptions::from_lists(Some("https://b.example"), None, None, None)).expect("a policy");
        app.cors("/", &listed("https://a.example")).expect("a policy");
        routes(app);
    });
    for (target, origin, is_allowed) in [
        ("/api/things", "https://a.example", false),
        ("/api/things", "https://b.example", true),
        ("/api/things/7", "https://b.example", true),
        ("/api/thingsx", "https://b.example", false),
        ("/", "https://a.example", true),
        ("/api/fails", "https://a.example", true),
    ] {
        let answer = ask(&server, from(origin, &format!("GET {target}"), ""));
        assert_eq!(!allowed(&answer).is_empty(), is_allowed, "{target} from {origin}: {answer:?}");
    }
}

#[test]
fn a_handler_that_sets_the_header_has_decided() {
    let server = server(CorsOptions { credentials: true, ..CorsOptions::from_lists(Some(SITE), None, None, Some("ETag")) });
    let answer = ask(&server, from(SITE, "GET /api/own", ""));
    assert_eq!(allowed(&answer), ["https://own.example"]);
    assert_eq!(answer.field("Access-Control-Allow-Credentials"), None);
    assert!(answer.lists("Vary", "Accept") && answer.lists("Vary", "Origin"), "{answer:?}");
}

#[test]
fn vary_is_added_to_and_never_doubled() {
    let server = Server::start(&[], |app| {
        app.cors("/", &listed(SITE)).expect("a policy");
        for (pattern, vary) in [("/star", &b"*"[..]), ("/same", b"origin, Accept"), ("/other", b"Accept")] {
            app.get(pattern, move |_: &Request, response: &mut Response| {
                response.set_header(b"Vary", vary)?;
                response.send_text(pattern.as_bytes())
            })
            .expect("new");
        }
    });
    for (target, expected) in [("/star", "*"), ("/same", "origin, Accept"), ("/other", "Accept, Origin")] {
        let answer = ask(&server, from(SITE, &format!("GET {target}"), ""));
        let members: Vec<_> = answer.all("Vary").iter().flat_map(|value| value.split(',')).map(|member| member.trim().to_owned()).collect();
        let expected: Vec<_> = expected.split(", ").map(str::to_owned).collect();
        if target == "/star" {
            assert!(members.contains(&"*".to_owned()), "{answer:?}");
        } else {
            assert_eq!(members, expected, "{target}: {answer:?}");
        }
    }
}

#[test]
fn policies_cost_no_pipelined_request_its_answer() {
    let server = server(listed(SITE));
    let mut client = server.connect();
    let requests = [
        preflight("/api/things", SITE, "POST", "").into_bytes(),
        post("/api/things", pattern(50)),
        preflight("/api/things", "https://evil.com", "POST", "Content-Length: 5\r\n").into_bytes(),
        b"extra".to_vec(),
        from(SITE, "GET /api/things", "").into_bytes(),
    ];
    client.send(requests.concat());
    assert_eq!(allowed(&client.expect(204)), [SITE]);
    assert_eq!(client.expect(200).body, pattern(50));
    assert_eq!(allowed(&client.expect(204)), Vec::<&str>::new());
    assert_eq!(client.expect(200).text(), "things");
}

#[test]
fn answers_in_place_of_an_exchange_can_be_read_too() {
    let kept = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let server = Server::start(&[], |app| {
        app.cors("/", &CorsOptions { credentials: true, ..listed(SITE) }).expect("a policy");
        let own = |_: &Request, response: &mut Response| {
            response.set_header(b"Access-Control-Allow-Origin", b"*")?;
            response.set_header(b"Vary", b"Origin, Cookie")?;
            Ok(Flow::Next)
        };
        app.middleware("/never/own", Box::new(own)).expect("a prefix");
        for pattern in ["/never", "/never/own", "/until-stop"] {
            let kept = std::sync::Arc::clone(&kept);
            app.get(pattern, move |request: &Request, response: &mut Response| {
                kept.lock().expect("no panic").push(response.defer(request)?);
                Ok(())
            })
            .expect("new");
        }
        for pattern in ["/never", "/never/own"] {
            app.set_route_option("GET", pattern, "exchange_timeout_ms", "100").expect("the route is there");
        }
    });
    let mut client = server.connect();
    client.send(from(SITE, "GET /never/own", ""));
    let answer = client.expect(504);
    let told = (allowed(&answer), answer.field("Access-Control-Allow-Credentials"), answer.all("Vary"));
    assert_eq!(told, (vec!["*"], None, vec!["Origin, Cookie"]), "who sets one of them has decided: {answer:?}");
    let mut client = server.connect();
    client.send(from(SITE, "GET /never", ""));
    let answer = client.expect(504);
    assert_eq!((allowed(&answer), answer.lists("Vary", "Origin")), (vec![SITE], true), "{answer:?}");
    let mut client = server.connect();
    client.send(from(SITE, "GET /until-stop", ""));
    support::await_that("the deferral", || kept.lock().expect("no panic").len() == 3);
    server.stop();
    assert_eq!(allowed(&client.expect(503)), [SITE]);
}

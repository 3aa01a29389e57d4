//! Compression of what handlers answer: which answers, for whom, and what the head says of it.

mod support;

use hasty::{App, Request, Response, StaticOptions};
use std::fs;
use std::time::{Duration, SystemTime};
use support::{Answer, Server, get, gunzip, pattern};

fn text() -> String {
    "words that come again and again, ".repeat(200)
}

/// Answers with `kind` and the body, after `set` has set what it wants.
fn giving<F>(app: &App, path: &str, kind: &'static str, body: Vec<u8>, set: F)
where
    F: Fn(&mut Response) -> hasty::Result<()> + Send + Sync + 'static,
{
    app.get(path, move |_: &Request, response: &mut Response| {
        set(response)?;
        if !kind.is_empty() {
            response.set_type(kind.as_bytes())?;
        }
        response.send(&body)
    })
    .expect("new");
}

fn plain(app: &App) {
    giving(app, "/text", "text/plain", text().into_bytes(), |_| Ok(()));
}

/// Asks with an Accept-Encoding.
fn ask(server: &Server, target: &str, accept: &str) -> Answer {
    let mut client = server.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\n\r\n"));
    client.answer()
}

#[test]
fn gzip_is_chosen_by_accept_encoding() {
    let server = Server::start(&[], plain);
    for (accept, is_coded) in [
        ("gzip", true),
        ("GZIP", true),
        ("x-gzip", true),
        ("deflate, gzip", true),
        ("gzip;q=0.001", true),
        ("gzip;q=1.0, identity;q=0.5", true),
        ("", false),
        ("identity", false),
        ("deflate, compress", false),
        ("gzip;q=0", false),
        ("gzip;q=0.2, identity;q=0.9", false),
        ("*;q=0", false),
        ("gzipped", false),
        ("identity;q=1, *;q=0", false),
        ("gzip;q=0.5, br;q=0.1, identity;q=0.2", true),
    ] {
        let answer = ask(&server, "/text", accept);
        assert_eq!(answer.all("Content-Encoding"), if is_coded { vec!["gzip"] } else { vec![] }, "{accept:?}: {answer:?}");
        let body = if is_coded { gunzip(&answer.body) } else { answer.body.clone() };
        assert!(body == text().as_bytes(), "{accept:?}");
        assert!(!is_coded || answer.body.len() < text().len() / 5, "{accept:?}: {} bytes", answer.body.len());
        assert!(answer.lists("Vary", "Accept-Encoding"), "{accept:?}: {answer:?}");
    }
    let mut client = server.connect();
    client.send(get("/text"));
    let answer = client.expect(200);
    assert_eq!((answer.field("Content-Encoding"), answer.lists("Vary", "Accept-Encoding")), (None, true));
    client.send("GET /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: identity\r\nAccept-Encoding: gzip\r\n\r\n");
    let answer = client.expect(200);
    assert!(answer.field("Content-Encoding").is_none() || gunzip(&answer.body) == text().as_bytes());
}

/// RFC 9110 5.3: lines of the same name are one list.
#[test]
fn several_lines_of_accept_encoding_are_one_list() {
    let server = Server::start(&[], plain);
    for (accept, coding) in [
        ("deflate\r\nAccept-Encoding: gzip", vec!["gzip"]),
        ("\r\naccept-encoding: compress\r\nAccept-Encoding: gzip;q=0.1", vec!["gzip"]),
        ("identity;q=0.5\r\nX: y\r\nAccept-Encoding: gzip", vec!["gzip"]),
        ("gzip;q=0.5\r\nAccept-Encoding: identity", vec![]),
    ] {
        let answer = ask(&server, "/text", accept);
        assert_eq!(answer.all("Content-Encoding"), coding, "{accept:?}");
    }
}

/// `*` is any that is not named. A build with brotli has two.
#[test]
fn an_asterisk_is_any_coding_that_is_not_named() {
    let server = Server::start(&[], plain);
    let best = if cfg!(feature = "brotli") { "br" } else { "gzip" };
    let others = if cfg!(feature = "brotli") { vec!["br"] } else { vec![] };
    for (accept, coding) in [("*", vec![best]), ("compress, *;q=0.1", vec![best]), ("gzip;q=0.000, *", others), ("br;q=0, *", vec!["gzip"])]
    {
        assert_eq!(ask(&server, "/text", accept).all("Content-Encoding"), coding, "{accept}");
    }
}

#[cfg(feature = "brotli")]
#[test]
fn brotli_is_chosen_where_a_client_has_it() {
    use support::unbrotli;
    let server = Server::start(&[], |app| {
        plain(app);
        app.get("/stream", |request: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            (0..1000).try_for_each(|number| response.write(request, format!("line {number}\n").as_bytes()))
        })
        .expect("new");
    });
    for (accept, coding) in
        [("br", "br"), ("gzip, br", "br"), ("gzip, deflate, br, zstd", "br"), ("br;q=0.5, gzip", "gzip"), ("br;q=0, gzip", "gzip")]
    {
        let answer = ask(&server, "/text", accept);
        assert_eq!(answer.all("Content-Encoding"), [coding], "{accept}");
        let body = if coding == "br" { unbrotli(&answer.body) } else { gunzip(&answer.body) };
        assert!(body == text().as_bytes(), "{accept}");
    }
    let mut client = server.connect();
    client.send([&b"GET /stream HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n"[..], &get("/")].concat());
    let streamed = client.expect_streamed(200);
    assert_eq!(streamed.answer.all("Content-Encoding"), ["br"]);
    let expected: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    assert!(unbrotli(&streamed.answer.body) == expected.as_bytes());
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn the_length_is_that_of_what_is_sent_and_requests_may_be_pipelined() {
    let server = Server::start(&[], plain);
    let mut client = server.connect();
    let coded = "GET /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";
    client.send([coded.as_bytes(), &get("/text"), coded.as_bytes(), &get("/")].concat());
    for is_coded in [true, false, true] {
        let answer = client.expect(200);
        assert_eq!(answer.field("Content-Encoding").is_some(), is_coded);
        assert!(if is_coded { gunzip(&answer.body) } else { answer.body } == text().as_bytes());
    }
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn types_with_repetition_are_compressed_and_others_left_alone() {
    const TYPES: [(&str, bool); 17] = [
        ("text/html; charset=utf-8", true),
        ("TEXT/CSS", true),
        ("application/json", true),
        ("application/problem+json", true),
        ("application/javascript", true),
        ("image/svg+xml", true),
        ("application/wasm", true),
        ("application/xml", true),
        ("text/event-stream", false),
        ("image/png", false),
        ("image/jpeg", false),
        ("video/mp4", false),
        ("application/zip", false),
        ("application/gzip", false),
        ("application/pdf", false),
        ("application/octet-stream", false),
        ("font/woff2", false),
    ];
    let server = Server::start(&[], |app| {
        for (number, (kind, _)) in TYPES.iter().enumerate() {
            giving(app, &format!("/{number}"), kind, text().into_bytes(), |_| Ok(()));
        }
        giving(app, "/none", "", text().into_bytes(), |_| Ok(()));
    });
    for (number, (kind, is_coded)) in TYPES.iter().enumerate() {
        let answer = ask(&server, &format!("/{number}"), "gzip");
        assert_eq!((answer.field("Content-Encoding").is_some(), answer.field("Content-Type")), (*is_coded, Some(*kind)));
        assert_eq!(answer.lists("Vary", "Accept-Encoding"), *is_coded, "{kind}: what is never coded varies with nothing");
    }
    assert_eq!(ask(&server, "/none", "gzip").field("Content-Encoding"), None, "bytes of no type are what they are");
}

#[test]
fn small_bodies_and_those_that_would_grow_are_left_alone() {
    let server = Server::start(&[], |app| {
        for length in [0, 1, 500, 1023, 1024, 1025] {
            giving(app, &format!("/{length}"), "text/plain", vec![b'a'; length], |_| Ok(()));
        }
        giving(app, "/noise", "text/plain", pattern(20_000).to_vec(), |_| Ok(()));
    });
    for length in [0, 1, 500, 1023, 1024, 1025] {
        let answer = ask(&server, &format!("/{length}"), "gzip");
        assert_eq!(answer.field("Content-Encoding").is_some(), length >= 1024, "{length}");
    }
    let answer = ask(&server, "/noise", "gzip");
    assert_eq!((answer.field("Content-Encoding"), answer.body == pattern(20_000)), (None, true));
    assert!(answer.lists("Vary", "Accept-Encoding"), "{answer:?}");
}

#[test]
fn what_a_handler_forbids_is_not_done() {
    let server = Server::start(&[], |app| {
        for (path, name, value) in [
            ("/no-transform", "Cache-Control", "max-age=60, No-Transform"),
            ("/identity", "Content-Encoding", "identity"),
            ("/coded", "Content-Encoding", "br"),
            ("/range", "Content-Range", "bytes 0-9/20"),
            ("/ranges", "Accept-Ranges", "bytes"),
        ] {
            giving(app, path, "text/plain", text().into_bytes(), move |response| response.set_header(name.as_bytes(), value.as_bytes()));
        }
        giving(app, "/partial", "text/plain", text().into_bytes(), |response| response.set_status(206));
        giving(app, "/public", "text/plain", text().into_bytes(), |response| response.set_header(b"Cache-Control", b"public"));
    });
    for target in ["/no-transform", "/identity", "/coded", "/range", "/ranges", "/partial"] {
        let answer = ask(&server, target, "gzip");
        assert!(answer.body == text().as_bytes() && answer.field("Content-Encoding") != Some("gzip"), "{target}: {answer:?}");
    }
    assert_eq!(ask(&server, "/coded", "gzip").all("Content-Encoding"), ["br"]);
    assert_eq!(ask(&server, "/public", "gzip").all("Content-Encoding"), ["gzip"]);
}

#[test]
fn a_tag_of_other_bytes_becomes_a_weak_one() {
    let server = Server::start(&[], |app| {
        giving(app, "/strong", "text/plain", text().into_bytes(), |response| response.set_header(b"ETag", b"\"tag\""));
        giving(app, "/weak", "text/plain", text().into_bytes(), |response| response.set_header(b"ETag", b"W/\"tag\""));
    });
    for (target, accept, tag) in [
        ("/strong", "gzip", "W/\"tag\""),
        ("/weak", "gzip", "W/\"tag\""),
        ("/strong", "identity", "\"tag\""),
        ("/weak", "identity", "W/\"tag\""),
    ] {
        assert_eq!(ask(&server, target, accept).all("ETag"), [tag], "{target} {accept}");
    }
}

#[test]
fn vary_is_completed_not_replaced() {
    let server = Server::start(&[], |app| {
        for (path, vary) in [("/other", "Origin"), ("/same", "accept-encoding, Origin")] {
            giving(app, path, "text/plain", text().into_bytes(), move |response| response.set_header(b"Vary", vary.as_bytes()));
        }
    });
    for target in ["/other", "/same"] {
        let answer = ask(&server, target, "gzip");
        let members: Vec<_> = answer.all("Vary").join(",").split(',').map(|member| member.trim().to_ascii_lowercase()).collect();
        assert!(members.contains(&"origin".to_owned()), "{answer:?}");
        assert_eq!(members.iter().filter(|member| *member == "accept-encoding").count(), 1, "{answer:?}");
    }
}

#[test]
fn head_says_what_get_says() {
    let server = Server::start(&[], plain);
    let mut client = server.connect();
    for accept in ["gzip", "identity"] {
        for method in ["GET", "HEAD"] {
            client.send(format!("{method} /text HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accept}\r\n\r\n"));
        }
        let (whole, head) = (client.expect(200), client.answer_to_head());
        for name in ["Content-Encoding", "Content-Length", "Vary", "Content-Type"] {
            assert_eq!(head.all(name), whole.all(name), "{name} for {accept}");
        }
    }
}

#[test]
fn no_transform_counts_in_whichever_line_it_stands() {
    let server = Server::start(&[], |app| {
        giving(app, "/secret", "text/plain", text().into_bytes(), |response| {
            response.add_header(b"Cache-Control", b"private")?;
            response.add_header(b"Cache-Control", b"no-transform")
        });
    });
    assert_eq!(ask(&server, "/secret", "gzip").field("Content-Encoding"), None);
    // Also where it stands on every answer, but for those that have a word of their own.
    let server = Server::start(&[], |app| {
        app.add_header(b"Cache-Control", b"no-store, no-transform").expect("a header");
        plain(app);
        giving(app, "/own", "text/plain", text().into_bytes(), |response| response.set_header(b"Cache-Control", b"max-age=60"));
        app.get("/stream", |request: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            response.write(request, text().as_bytes())
        })
        .expect("new");
    });
    for (target, coding) in [("/text", None), ("/stream", None), ("/own", Some("gzip"))] {
        let mut client = server.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"));
        assert_eq!(client.expect_streamed(200).answer.field("Content-Encoding"), coding, "{target}");
    }
}

#[test]
fn what_has_a_digest_is_left_as_it_is() {
    for name in ["Content-Digest", "repr-digest", "Digest", "Content-MD5"] {
        let server = Server::start(&[], |app| {
            giving(app, "/signed", "text/plain", text().into_bytes(), |response| response.set_header(name.as_bytes(), b"sha-256=:AA==:"));
        });
        let answer = ask(&server, "/signed", "gzip");
        assert_eq!((answer.field("Content-Encoding"), answer.body == text().as_bytes()), (None, true), "{name}: {answer:?}");
    }
}

#[test]
fn a_set_length_is_that_of_the_body_before() {
    let server = Server::start(&[], |app| {
        giving(app, "/length", "text/plain", text().into_bytes(), |response| {
            response.set_header(b"Content-Length", text().len().to_string().as_bytes())
        });
    });
    let answer = ask(&server, "/length", "gzip");
    let body = if answer.field("Content-Encoding").is_some() { gunzip(&answer.body) } else { answer.body.clone() };
    assert!(body == text().as_bytes(), "{answer:?}");
}

#[test]
fn files_and_ranges_are_left_to_their_siblings() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("a.txt");
    fs::write(&path, text()).expect("a file");
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().append(true).open(&path).expect("it is there").set_modified(long_ago).expect("its time can be set");
    let server = Server::start(&[], |app| {
        app.static_files("/s", folder.path(), &StaticOptions::default()).expect("a folder");
        let file = path.clone();
        app.get("/sent", move |_: &Request, response: &mut Response| response.send_file(&file)).expect("new");
    });
    for target in ["/s/a.txt", "/sent"] {
        // The second time it comes from memory.
        for _ in 0..3 {
            let answer = ask(&server, target, "gzip");
            assert_eq!((answer.status, answer.field("Content-Encoding"), answer.body == text().as_bytes()), (200, None, true), "{target}");
            let mut client = server.connect();
            client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nRange: bytes=0-4999\r\n\r\n"));
            let answer = client.expect(206);
            assert_eq!((answer.field("Content-Encoding"), answer.body == text().as_bytes()[..5000]), (None, true), "{target}");
        }
    }
}

#[test]
fn errors_are_answers_too_and_compress_0_is_off() {
    let long = |app: &App| {
        plain(app);
        let shape = |_: &hasty::Error, _: &Request, response: &mut Response| response.send_html(text().as_bytes());
        app.on_error(Box::new(shape)).expect("before start");
    };
    let server = Server::start(&[], long);
    let mut client = server.connect();
    client.send("GET /nowhere HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let answer = client.answer_of_any_type();
    assert_eq!((answer.status, answer.field("Content-Encoding")), (404, Some("gzip")));
    assert!(gunzip(&answer.body) == text().as_bytes());
    let server = Server::start(&[("compress", "0")], long);
    let answer = ask(&server, "/text", "gzip");
    assert_eq!((answer.field("Content-Encoding"), answer.field("Vary"), answer.body == text().as_bytes()), (None, None, true));
}

#[test]
fn large_bodies_and_owned_ones_come_through() {
    let server = Server::start(&[], |app| {
        app.get("/owned", |_: &Request, response: &mut Response| {
            response.set_type(b"text/plain")?;
            response.send_owned(Box::new(text().repeat(300)))
        })
        .expect("new");
    });
    for _ in 0..3 {
        let answer = ask(&server, "/owned", "gzip");
        assert_eq!(answer.field("Content-Encoding"), Some("gzip"));
        assert!(gunzip(&answer.body) == text().repeat(300).as_bytes());
    }
}

//! Everything at once: requests of all kinds in random order on one connection, in random pieces, each answered in its turn.

mod support;

use hasty::{App, CorsOptions, Exchange, Flow, Request, Response};
use parking_lot::Mutex;
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use support::{Client, Random, Server, get, gunzip, pattern, shown};

/// What a request asks for, and how its answer is known.
struct Asked {
    request: Vec<u8>,
    status: u16,
    /// None: whatever explains the status.
    body: Option<Vec<u8>>,
    head: bool,
}

fn answered(request: Vec<u8>, body: impl Into<Vec<u8>>) -> Asked {
    Asked { request, status: 200, body: Some(body.into()), head: false }
}

fn refused(request: Vec<u8>, status: u16) -> Asked {
    Asked { request, status, body: None, head: false }
}

fn framed(target: &str, fields: &str, body: &[u8], chunk: usize) -> Vec<u8> {
    let mut request = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{fields}").into_bytes();
    if chunk == 0 {
        request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        request.extend_from_slice(body);
        return request;
    }
    request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(chunk) {
        request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

fn random_request(random: &mut Random) -> Asked {
    let number = random.below(1_000_000);
    let word = number.to_string();
    let most = if random.below(8) == 0 { 200_000 } else { 3000 };
    let body = &pattern(1 << 20)[random.below(500_000)..][..random.below(most)];
    let chunk = if random.below(2) == 0 { 0 } else { 1 + body.len() / (1 + random.below(20)) };
    match random.below(16) {
        0 => answered(get("/"), "root"),
        1 => answered(get(&format!("/streamed/{word}")), word.repeat(number % 50)),
        2 => answered(get(&format!("/deferred/{word}")), word),
        3 => answered(get(&format!("/events/{word}")), format!("data: {word}\n\n").repeat(number % 50)),
        4 => answered(framed("/mirror", "", body, chunk), body),
        5 => answered(framed("/read", "", body, chunk), body),
        6 => answered(framed(&format!("/some/{}", number % 2000), "", body, chunk), body[..body.len().min(number % 2000)].to_vec()),
        7 => answered(framed("/echo", "", body, chunk), body),
        8 => refused(framed("/refused", "", body, chunk), 403),
        9 => refused(framed("/nowhere", "", body, chunk), 404),
        10 => refused(framed("/fails", "", &body[..body.len().min(9000)], chunk), 500),
        11 => refused(format!("DELETE /mirror HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\nX: {word}\r\n\r\n").into_bytes(), 405),
        12 => {
            let form = [&b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n"[..], body, b"\r\n--b--\r\n"].concat();
            answered(framed("/form", "Content-Type: multipart/form-data; boundary=b\r\n", &form, chunk), body)
        }
        13 => answered(
            format!("GET /text/{} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", number % 700).into_bytes(),
            "text and ".repeat(number % 700),
        ),
        14 => {
            let request = format!("HEAD /deferred/{word} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
            Asked { request, status: 200, body: Some(word.len().to_string().into_bytes()), head: true }
        }
        _ => {
            let preflight = "OPTIONS /mirror HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\nAccess-Control-Request-Method: POST\r\n\r\n";
            Asked { request: preflight.as_bytes().to_vec(), status: 204, body: Some(Vec::new()), head: false }
        }
    }
}

fn word(request: &Request) -> Vec<u8> {
    request.param(b"word").expect("the pattern has it").to_vec()
}

fn times(request: &Request) -> usize {
    String::from_utf8_lossy(&word(request)).parse::<usize>().expect("a number") % 50
}

fn routes(app: &App, later: Sender<Exchange>) {
    let on = |method: &str, path: &str, handler: fn(&Request, &mut Response) -> hasty::Result<()>| {
        app.route(method, path, Box::new(handler)).expect("new");
    };
    on("GET", "/streamed/:word", |request, response| (0..times(request)).try_for_each(|_| response.write(request, &word(request))));
    on("GET", "/text/:word", |request, response| {
        let times = String::from_utf8_lossy(&word(request)).parse().expect("a number");
        response.send_text("text and ".repeat(times).as_bytes())
    });
    on("POST", "/mirror", |request, response| response.send(request.body().bytes()));
    on("POST", "/fails", |_, _| panic!("as it was told"));
    on("POST", "/refused", |_, _| panic!("nobody gets here"));
    on("POST", "/form", |request, response| {
        let file = &request.files()[0];
        match file.path() {
            Some(path) => response.send_file(path.to_str().expect("UTF-8")),
            None => response.send(file.data().expect("in memory").bytes()),
        }
    });
    on("POST", "/read", |request, response| {
        let mut body = Vec::new();
        let mut piece = [0; 700];
        loop {
            match request.read(&mut piece)? {
                0 => return response.send(&body),
                count => body.extend_from_slice(&piece[..count]),
            }
        }
    });
    on("POST", "/some/:word", |request, response| {
        let most: usize = String::from_utf8_lossy(&word(request)).parse().expect("a number");
        let mut body = vec![0; most];
        let mut length = 0;
        while length < most {
            match request.read(&mut body[length..])? {
                0 => break,
                count => length += count,
            }
        }
        response.send(&body[..length])
    });
    on("POST", "/echo", |request, response| {
        let mut piece = [0; 2000];
        loop {
            match request.read(&mut piece)? {
                0 => return Ok(()),
                count => response.write(request, &piece[..count])?,
            }
        }
    });
    for path in ["/read", "/some/:word", "/echo"] {
        app.set_route_option("POST", path, "body", "stream").expect("the route is there");
    }
    let later = Mutex::new(later);
    let defer = move |request: &Request, response: &mut Response| {
        later.lock().send(response.defer(request)?).map_err(|_| hasty::Error::invalid("the test has ended"))
    };
    let defer = std::sync::Arc::new(defer);
    for path in ["/deferred/:word", "/events/:word"] {
        let defer = std::sync::Arc::clone(&defer);
        app.get(path, move |request: &Request, response: &mut Response| defer(request, response)).expect("new");
    }
    let refuse = |_: &Request, response: &mut Response| response.send_status(403).map(|()| Flow::Done);
    app.middleware("/refused", Box::new(refuse)).expect("a prefix");
    let mark = |request: &Request, response: &mut Response| {
        request.set_local(b"mark", Box::new(7));
        response.set_header(b"X-Mark", b"7").map(|()| Flow::Next)
    };
    app.middleware("/", Box::new(mark)).expect("a prefix");
    app.after("/", Box::new(|_: &Request, response: &mut Response| response.set_header(b"X-After", b"8"))).expect("a prefix");
    app.cors("/mirror", &CorsOptions::default()).expect("a policy");
    app.secure_headers().expect("before start");
}

/// Answers what was deferred.
fn serve(later: &Receiver<Exchange>) {
    for mut exchange in later {
        let word = word(exchange.request());
        let outcome = if exchange.request().path().bytes().starts_with(b"/events") {
            (0..times(exchange.request())).try_for_each(|_| exchange.write_event(None, Some(&word), None)).and_then(|()| {
                // Without events it is an empty stream all the same.
                exchange.write(b"")
            })
        } else {
            exchange.response_mut().send_text(&word)
        };
        outcome.and_then(|()| exchange.finish()).expect("the client waits");
    }
}

fn check(client: &mut Client, asked: &Asked) {
    let failed = |why: String| -> ! { panic!("{why}; asked: {}", shown(&asked.request)) };
    if asked.head {
        let answer = client.try_answer_to_head().unwrap_or_else(|why| failed(why));
        let length = asked.body.as_deref().map(|text| String::from_utf8_lossy(text).into_owned());
        assert_eq!((answer.status, answer.field("Content-Length")), (asked.status, length.as_deref()), "{answer:?}");
        return;
    }
    let answer = client.try_streamed().unwrap_or_else(|why| failed(why)).answer;
    assert_eq!(answer.status, asked.status, "{}: {answer:?}", shown(&asked.request));
    assert_eq!((answer.says_close(), answer.all("X-After")), (false, vec!["8"]), "{}: {answer:?}", shown(&asked.request));
    if let Some(body) = &asked.body {
        let came = if answer.field("Content-Encoding").is_some() { gunzip(&answer.body) } else { answer.body.clone() };
        assert!(came == *body, "{}: {answer:?}", shown(&asked.request));
    }
}

#[test]
fn requests_of_all_kinds_are_answered_in_their_turn() {
    let (sender, receiver) = channel();
    let server = Server::start(&[("threads", "4"), ("spool_bytes", "2000")], |app| routes(app, sender));
    let serving = thread::spawn(move || serve(&receiver));
    let begin = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|seed| {
                let server = &server;
                scope.spawn(move || {
                    let mut random = Random::new(seed + 1000);
                    let mut count = 0;
                    while begin.elapsed() < Duration::from_secs(4) {
                        let mut client = if seed == 0 { server.connect_narrow() } else { server.connect() };
                        let asked: Vec<_> = (0..1 + random.below(60)).map(|_| random_request(&mut random)).collect();
                        let bytes: Vec<u8> = asked.iter().flat_map(|asked| asked.request.iter().copied()).collect();
                        let mut writer = client.tcp().try_clone().expect("a second handle");
                        let most = 1 + random.below(20_000);
                        thread::scope(|scope| {
                            scope.spawn(move || {
                                let mut random = Random::new(seed);
                                let mut rest = &bytes[..];
                                while !rest.is_empty() {
                                    let (piece, left) = rest.split_at((1 + random.below(most)).min(rest.len()));
                                    writer.write_all(piece).expect("the server takes it");
                                    rest = left;
                                }
                            });
                            for asked in &asked {
                                check(&mut client, asked);
                                count += 1;
                            }
                        });
                        client.half_close();
                        client.expect_end();
                    }
                    count
                })
            })
            .collect();
        let counts: Vec<usize> = clients.into_iter().map(|client| client.join().expect("all were answered")).collect();
        assert!(counts.iter().all(|&count| count > 100), "{counts:?}");
    });
    server.expect_alive();
    // The routes have the sender: with them ends who serves the deferred.
    drop(server);
    serving.join().expect("all clients waited");
}

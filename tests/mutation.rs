//! Thousands of requests that are nearly right. Whatever comes, the server answers in valid HTTP or closes, in bounded
//! time, and goes on serving others. A failure names its seed: `HASTY_SEED=123 cargo test --test mutation` sends that one alone.

mod support;

use hasty::{App, Request, Response};
use std::time::Duration;
use support::{Client, Logs, Random, Server, get, shown};

/// No HEAD among them: its answers cannot be told from others by their bytes.
const GOOD: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /echo?x=1&y=%20 HTTP/1.1\r\nHost: example.com:80\r\nAccept: */*\r\nUser-Agent: nobody/1.0\r\n\r\n",
    "GET http://a/echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS /echo HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccess-Control-Request-Method: GET\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"a\":[1,2,3]}",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\na;n=v;q=\"z\"\r\n0123456789\r\n3\r\nabc\r\n0;last\r\nX: y\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "DELETE /users/7 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, TE\r\nTE: trailers\r\n\r\n",
    "GET /users/%41%2Fb HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "GET /echo HTTP/1.0\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d\r\nX-Request-ID: 7\r\nConnection: close\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: [::1]:80\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\na=1&b=%20+c",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nPATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
];

/// What parsers trip over.
const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "\"",
    "\\",
    "%",
    "%00",
    "%2",
    "/",
    "//",
    "/..",
    "?",
    "#",
    "*",
    "\x7f",
    "\r\n\r\n",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2.0",
    "Host: b\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 4294967296\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 18446744073709551617\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: ",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\nUpgrade: h2c\r\n",
    "0\r\n\r\n",
    "ffffffff\r\n",
    "ffffffffffffffff\r\n",
    "10000000000000000\r\n",
    "5;\r\n",
    "0",
    "1",
    "9",
    "-",
    "+",
    "0x",
    " \r\n ",
    "X: y\r\n z\r\n",
    "GET ",
    "POST ",
    "CONNECT a:1 ",
    "http://",
    "http://u:p@",
    "[::1",
    "]",
    "@",
    "\u{80}",
    "\u{fffd}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

fn routes(app: &App) {
    app.route(
        "*",
        "/echo",
        Box::new(|request: &Request, response: &mut Response| {
            // Everything that is made of a request's bytes is made.
            let text = format!(
                "{} {} {} {:?} {} {} {} {} {}",
                request.method(),
                request.path(),
                request.target(),
                request.query_string().map(|query| query.len()),
                request.query().len(),
                request.cookies().len(),
                request.form().len(),
                request.json().is_ok(),
                request.id(),
            );
            response.send_text(&[text.as_bytes(), request.body().bytes()].concat())
        }),
    )
    .expect("new");
    app.get("/users/:id", |request: &Request, response: &mut Response| {
        response.send_text(request.param(b"id").expect("the pattern has it").bytes())
    })
    .expect("new");
}

/// A good request, changed in one to four ways; now and then not at all.
fn mutated(random: &mut Random) -> Vec<u8> {
    let mut bytes = random.one_of(GOOD).as_bytes().to_vec();
    for _ in 0..[0, 1, 1, 1, 2, 2, 3, 4][random.below(8)] {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        let to = (at + 1 + random.below(12)).min(bytes.len());
        match random.below(9) {
            0 => bytes[at] = random.byte(),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.drain(at..to)),
            3 => {
                // Half of them where a line begins: there a field line is one.
                let line = bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
                let at = if random.below(2) == 0 { at } else { line };
                bytes.splice(at..at, random.one_of(WORDS).bytes());
            }
            4 => drop(bytes.splice(at..to, random.one_of(WORDS).bytes())),
            5 => {
                let piece = bytes[at..to].to_vec();
                let times = 1 + random.below(30);
                bytes.splice(at..at, piece.repeat(times));
            }
            6 => bytes.truncate(at),
            7 => {
                let other = random.one_of(GOOD).as_bytes();
                let from = random.below(other.len());
                bytes.splice(at..at, other[from..].iter().copied());
            }
            _ => {
                // Whole lines change places or vanish.
                let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
                let (one, two) = (random.below(lines.len()), random.below(lines.len()));
                if one == two {
                    drop(lines.remove(one))
                } else {
                    lines.swap(one, two)
                }
                bytes = lines.concat();
            }
        }
    }
    bytes
}

/// Reads answers until the server closes. Each is valid. Returns the statuses of the final ones.
fn read_all(client: &mut Client) -> Result<Vec<u16>, String> {
    let mut statuses = Vec::new();
    while !client.is_at_end()? {
        let answer = client.try_answer()?;
        if answer.status >= 200 {
            statuses.push(answer.status);
        }
    }
    Ok(statuses)
}

fn send_one(server: &Server, seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let bytes = mutated(&mut random);
    let said = |why: String| format!("HASTY_SEED={seed}: {why}\nsent: \"{}\"", shown(&bytes));
    let mut client = server.connect();
    let (first, second) = bytes.split_at(if bytes.is_empty() { 0 } else { random.below(bytes.len()) });
    let _ = client.try_send(first);
    if random.below(4) == 0 {
        std::thread::yield_now();
    }
    let _ = client.try_send(second);
    // All has been said: what is incomplete stays so, and the server need not wait for it.
    client.half_close();
    let answers = read_all(&mut client).map_err(said)?;
    if GOOD.iter().any(|good| good.as_bytes() == bytes) && answers.is_empty() {
        return Err(said("a good request was not answered".to_owned()));
    }
    Ok(())
}

#[test]
fn five_thousand_mutated_requests_are_answered_or_refused() {
    const COUNT: u64 = 5000;
    let mut logs = Logs::default();
    let server = Server::start(&[], |app| {
        routes(app);
        logs = Logs::of(app);
    });
    if let Some(seed) = std::env::var("HASTY_SEED").ok().and_then(|seed| seed.parse().ok()) {
        println!("\"{}\"", shown(&mutated(&mut Random::new(seed))));
        return send_one(&server, seed).unwrap_or_else(|why| panic!("{why}"));
    }
    let threads = 2;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let server = &server;
            scope.spawn(move || {
                let mut faithful = server.connect();
                for seed in (0..COUNT).filter(|seed| seed % threads == thread) {
                    send_one(server, seed).unwrap_or_else(|why| panic!("{why}"));
                    if seed % 10 < threads {
                        faithful.send(get("/users/good"));
                        assert_eq!(faithful.expect(200).text(), "good", "after HASTY_SEED={seed}");
                    }
                    if seed % 50 < threads {
                        server.expect_alive();
                    }
                }
            });
        }
    });
    assert_eq!(logs.errors(), Vec::<String>::new(), "no request makes the library fail");
}

#[test]
fn where_a_mutated_request_is_cut_changes_nothing() {
    const BATCHES: u64 = 40;
    const BATCH: u64 = 64;
    let server = Server::start(&[], routes);
    let mut other = server.connect();
    for batch in 0..BATCHES {
        let mut running: Vec<_> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|seed| {
                let mut random = Random::new(2_000_000 + seed);
                let bytes = mutated(&mut random);
                let at = if bytes.is_empty() { 0 } else { random.below(bytes.len()) };
                let mut whole = server.connect();
                let _ = whole.try_send(&bytes);
                whole.half_close();
                let mut cut = server.connect();
                let _ = cut.try_send(&bytes[..at]);
                (seed, bytes, at, whole, cut)
            })
            .collect();
        // When another is answered, the server has most likely seen the first pieces.
        other.send(get("/"));
        other.expect(200);
        for (_, bytes, at, _, cut) in &mut running {
            let _ = cut.try_send(&bytes[*at..]);
            cut.half_close();
        }
        for (seed, bytes, at, whole, cut) in &mut running {
            let [whole, cut] = [whole, cut].map(|client| {
                let mut statuses = read_all(client).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
                // What has several mistakes may be refused for the first one seen; that it is refused does not depend on the cut.
                statuses.iter_mut().filter(|status| matches!(status, 413 | 414 | 431 | 501 | 505)).for_each(|status| *status = 400);
                statuses
            });
            // A refused expectation ends the connection unless the body is there already, which the cut decides.
            let may_differ = whole.iter().chain(&cut).any(|&status| status == 417);
            assert!(
                whole == cut || may_differ,
                "seed {seed}: {whole:?} to the whole, {cut:?} to the same cut at {at}:\n\"{}\"",
                shown(bytes)
            );
        }
    }
}

#[test]
fn mutated_requests_of_clients_that_wait_end_by_a_time_out_at_the_latest() {
    const BATCHES: u64 = 6;
    const BATCH: u64 = 100;
    let timeouts = ["header_timeout_ms", "body_timeout_ms", "idle_timeout_ms", "write_timeout_ms"].map(|name| (name, "400"));
    let server = Server::start(&timeouts, routes);
    for batch in 0..BATCHES {
        let seeds = 1_000_000 + batch * BATCH..1_000_000 + (batch + 1) * BATCH;
        let mut clients: Vec<_> = seeds
            .map(|seed| {
                let bytes = mutated(&mut Random::new(seed));
                let mut client = server.connect();
                let _ = client.try_send(&bytes);
                (seed, bytes, client)
            })
            .collect();
        for (seed, bytes, client) in &mut clients {
            if bytes.is_empty() {
                // With deferred accepts only the kernel knows of this one.
                continue;
            }
            client.set_read_timeout(Duration::from_secs(10));
            read_all(client).unwrap_or_else(|why| panic!("seed {seed}: {why}\nsent: \"{}\"", shown(bytes)));
        }
        server.expect_alive();
    }
}

#[test]
fn random_bytes_are_refused_or_left_alone() {
    let server = Server::start(&[], routes);
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let bytes: Vec<u8> = (0..1 + random.below(3000)).map(|_| random.byte()).collect();
        let mut client = server.connect();
        let _ = client.try_send(&bytes);
        client.half_close();
        read_all(&mut client).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    server.expect_alive();
}

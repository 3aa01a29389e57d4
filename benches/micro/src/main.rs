//! Nanoseconds per head parsed and per path routed: the least of many short runs, which other work can only lengthen.

use hasty::http::parser::{Head, Limits, Outcome, parse};
use hasty::router::{Found, Params, Router};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// 40 bytes: the least that a client with a short host sends.
const SMALL: &[u8] = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// 664 bytes: what a browser sends to a site that has set a few cookies.
const BROWSER: &[u8] = b"GET /articles/2025/epoll-and-threads?page=2&sort=newest HTTP/1.1\r\n\
Host: www.example.org\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Referer: https://www.example.org/articles\r\n\
Connection: keep-alive\r\n\
Cookie: session=6f1ed002ab5595859014ebf0951522d9; theme=dark; consent=1; seen=1763820000; lang=en; font=serif; v=3\r\n\
Upgrade-Insecure-Requests: 1\r\n\
Sec-Fetch-Dest: document\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-User: ?1\r\n\
Priority: u=0, i\r\n\
\r\n";

const LIMITS: Limits = Limits { head_bytes: 16_384, fields: 100, target_bytes: 8192 };
const RUNS: u32 = 200;
const RUN: Duration = Duration::from_millis(2);

/// The least time of one call, in nanoseconds.
fn least(mut call: impl FnMut()) -> f64 {
    let mut calls: u32 = 1;
    // As many calls as fill one run: long against the clock's cost, short against a time slice.
    while timed(calls, &mut call) < RUN {
        calls *= 2;
    }
    let best = (0..RUNS).map(|_| timed(calls, &mut call)).min().unwrap_or_default();
    best.as_nanos() as f64 / f64::from(calls)
}

fn timed(calls: u32, call: &mut impl FnMut()) -> Duration {
    let began = Instant::now();
    for _ in 0..calls {
        call();
    }
    began.elapsed()
}

fn parsing(bytes: &[u8]) -> f64 {
    let mut head = Head::default();
    assert_eq!(parse(bytes, &LIMITS, &mut head), Outcome::Complete(bytes.len()));
    least(|| {
        black_box(parse(black_box(bytes), &LIMITS, black_box(&mut head)));
    })
}

/// Routes like those of an API: a third each is literal, has one parameter, and has two.
fn router(routes: usize) -> Router {
    let mut router = Router::new();
    for number in 0..routes {
        let noun = format!("/v{}/things{number}", number % 7);
        let pattern = match number % 3 {
            0 => format!("{noun}/list"),
            1 => format!("{noun}/:id"),
            _ => format!("{noun}/:id/parts/:part"),
        };
        router.add("GET", &pattern).expect("no two are alike");
    }
    router
}

fn routing(routes: usize, kind: usize) -> f64 {
    let router = router(routes);
    // The last route of its kind, so that a search in order would show.
    let number = (0..routes).rev().find(|number| number % 3 == kind).expect("there are at least three");
    let end = ["list", "12345", "12345/parts/678"][kind];
    let path = format!("/v{}/things{number}/{end}", number % 7);
    let mut params = Params::default();
    assert!(matches!(router.find("GET", path.as_bytes(), &mut params), Found::Route(found) if found == number));
    least(|| {
        black_box(router.find(black_box("GET"), black_box(path.as_bytes()), black_box(&mut params)));
    })
}

fn main() {
    assert_eq!((SMALL.len(), BROWSER.len()), (40, 664), "the heads have the lengths that the tables name");
    println!("\nTime of one call, the least of {RUNS} runs\n\n| | ns |\n|---|--:|");
    println!("| parse a head of 40 bytes | {:.0} |", parsing(SMALL));
    println!("| parse a head of 664 bytes, from a browser | {:.0} |", parsing(BROWSER));
    println!("\n| routes | literal, ns | one parameter, ns | two parameters, ns |\n|--:|--:|--:|--:|");
    for routes in [10, 100, 1_000, 10_000] {
        println!("| {routes} | {:.0} | {:.0} | {:.0} |", routing(routes, 0), routing(routes, 1), routing(routes, 2));
    }
}

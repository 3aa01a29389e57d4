//! Heads that come in pieces are understood like those that come whole. (That they cost little more is counted by
//! tests beside the parser.)

mod support;

use hasty::{App, Request, Response};
use std::fmt::Write as _;
use support::{Random, Server, pattern};

/// On a busy machine thousands of pieces take their time.
const SLOWLY: (&str, &str) = ("header_timeout_ms", "0");

fn routes(app: &App) {
    app.route(
        "*",
        "/account",
        Box::new(|request: &Request, response: &mut Response| {
            let mut text = Vec::new();
            for index in 0..request.header_count() {
                let (name, value) = request.header_at(index).expect("below the count");
                text.extend_from_slice(&[name.bytes(), b"=", value.bytes(), b"\n"].concat());
            }
            text.extend_from_slice(request.body().bytes());
            response.send_text(&text)
        }),
    )
    .expect("new");
}

/// A head of nearly 16 KiB, and what the server shall say of it.
fn long_head(mark: &str, length: usize) -> (Vec<u8>, Vec<u8>) {
    let mut head = "POST /account HTTP/1.1\r\n".to_owned();
    let mut account = String::new();
    for (name, value) in [("Host", "a".to_owned()), ("Content-Length", length.to_string())]
        .into_iter()
        .chain((0..90).map(|number| ("X-Field", format!("{mark} {number} {}", "x".repeat(140)))))
    {
        write!(head, "{name}: {value}\r\n").expect("a string takes all");
        writeln!(account, "{name}={value}").expect("a string takes all");
    }
    head += "\r\n";
    assert!((12_000..16_384).contains(&head.len()));
    (head.into_bytes(), account.into_bytes())
}

#[test]
fn a_long_head_byte_by_byte_is_understood() {
    let server = Server::start(&[SLOWLY], routes);
    let (head, account) = long_head("a", 0);
    let mut client = server.connect();
    for byte in &head {
        client.send([*byte]);
    }
    assert_eq!(client.expect(200).body, account);
}

#[test]
fn two_long_heads_byte_by_byte_in_turn_are_each_understood() {
    let server = Server::start(&[("threads", "1"), SLOWLY], routes);
    let (first, account_of_first) = long_head("first", 0);
    let (second, account_of_second) = long_head("second", 0);
    let (mut one, mut two) = (server.connect(), server.connect());
    for at in 0..first.len().max(second.len()) {
        one.send(&first[at.min(first.len())..(at + 1).min(first.len())]);
        two.send(&second[at.min(second.len())..(at + 1).min(second.len())]);
    }
    assert_eq!(one.expect(200).body, account_of_first);
    assert_eq!(two.expect(200).body, account_of_second);
}

#[test]
fn a_request_in_pieces_of_any_size_is_understood() {
    let server = Server::start(&[SLOWLY], routes);
    let mut client = server.connect();
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let body = pattern(random.below(60_000));
        let (head, account) = long_head("a", body.len());
        let request = [&head[..], body].concat();
        let most = [3000, 200, 40_000][random.below(3)];
        let mut rest = &request[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(1 + random.below(most)));
            client.send(piece);
            rest = after;
        }
        assert!(client.expect(200).body == [&account[..], body].concat(), "seed {seed}");
    }
}

#[test]
fn a_cut_around_the_end_of_a_head_loses_nothing() {
    let server = Server::start(&[], routes);
    let mut other = server.connect();
    let mut client = server.connect();
    for length in [0, 1, 2, 100, 20_000] {
        let body = pattern(length);
        let (head, account) = long_head("a", length);
        let request = [&head[..], body].concat();
        for at in (head.len() - 6..head.len() + 6).filter(|&at| at < request.len()) {
            client.send(&request[..at]);
            // Once another is answered, the server has most likely seen the first piece.
            other.send(support::get("/"));
            other.expect(200);
            client.send(&request[at..]);
            assert!(client.expect(200).body == [&account[..], body].concat(), "a body of {length}, cut at {at}");
        }
    }
}

#[test]
fn a_body_byte_by_byte_is_whole() {
    let server = Server::start(&[], routes);
    let body = pattern(3000);
    let mut client = server.connect();
    client.send(format!("POST /account HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    for byte in body {
        client.send([*byte]);
    }
    assert!(client.expect(200).body.ends_with(body));
}

#[test]
fn a_body_of_chunks_of_one_byte_is_whole() {
    let server = Server::start(&[], routes);
    let body = pattern(3000);
    let mut client = server.connect();
    client.send("POST /account HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for byte in body {
        client.send([b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    client.send("0\r\n\r\n");
    assert!(client.expect(200).body.ends_with(body));
}

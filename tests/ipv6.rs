//! IPv6, alone and together with IPv4. Skipped, visibly, on a machine without it.

mod support;

use hasty::{App, Request, Response};
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use support::{Client, Server, get};

/// Says on the terminal, past what the test runner keeps to itself, that a test has nothing to do.
fn has_ipv6(test: &str) -> bool {
    match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => true,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "skipped: {test}: this machine has no IPv6: {why}");
            false
        }
    }
}

fn routes(app: &App) {
    app.get("/who", |request: &Request, response: &mut Response| response.send_text(request.remote_address().bytes())).expect("new");
}

fn listening_on(host: &str) -> Server {
    let app = Server::app(&[], routes);
    app.listen(Some(host), 0).expect("port 0 is free");
    Server::of(app)
}

#[track_caller]
fn expect_to_be(address: SocketAddr, name: &str) {
    let mut client = Client::connect(address);
    client.send([get("/who"), get("/")].concat());
    assert_eq!(client.expect(200).text(), name);
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn the_loopback_of_ipv6_is_served() {
    if has_ipv6("the_loopback_of_ipv6_is_served") {
        let server = listening_on("::1");
        expect_to_be((Ipv6Addr::LOCALHOST, server.port()).into(), "::1");
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_err(), "it is not IPv4's");
    }
}

#[test]
fn all_of_ipv6_is_dual_stack() {
    if has_ipv6("all_of_ipv6_is_dual_stack") {
        let server = listening_on("::");
        expect_to_be((Ipv6Addr::LOCALHOST, server.port()).into(), "::1");
        // One client has one name, whichever way it came.
        expect_to_be((Ipv4Addr::LOCALHOST, server.port()).into(), "127.0.0.1");
    }
}

#[test]
fn one_app_serves_both_loopbacks() {
    if has_ipv6("one_app_serves_both_loopbacks") {
        let app = Server::app(&[], routes);
        app.listen(Some("127.0.0.1"), 0).expect("port 0 is free");
        let port = app.port();
        app.listen(Some("::1"), i32::from(port)).expect("the same port is free there");
        let _server = Server::of(app);
        expect_to_be((Ipv4Addr::LOCALHOST, port).into(), "127.0.0.1");
        expect_to_be((Ipv6Addr::LOCALHOST, port).into(), "::1");
    }
}

#[test]
fn connections_are_counted_for_each_address_behind_a_dual_stack() {
    if has_ipv6("connections_are_counted_for_each_address_behind_a_dual_stack") {
        let app = Server::app(&[("max_connections_per_ip", "1")], routes);
        app.listen(Some("::"), 0).expect("port 0 is free");
        let server = Server::of(app);
        for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())), (Ipv6Addr::LOCALHOST, server.port()).into()] {
            let mut first = Client::connect(address);
            first.send(get("/"));
            first.expect(200);
            let mut second = Client::connect(address);
            let _ = second.try_send(get("/"));
            second.expect(503);
            first.send(get("/"));
            first.expect(200);
        }
    }
}

#[test]
fn the_default_is_the_loopback_of_ipv4() {
    let app = Server::app(&[], routes);
    app.listen(None, 0).expect("port 0 is free");
    let server = Server::of(app);
    expect_to_be((Ipv4Addr::LOCALHOST, server.port()).into(), "127.0.0.1");
}

#[test]
fn all_of_ipv4_is_served() {
    let server = listening_on("0.0.0.0");
    expect_to_be((Ipv4Addr::LOCALHOST, server.port()).into(), "127.0.0.1");
}

#[test]
fn localhost_by_name_is_served() {
    let server = listening_on("localhost");
    let address = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", server.port())).expect("localhost has an address");
    assert!(address.into_iter().any(|address| std::net::TcpStream::connect(address).is_ok()));
}

#[test]
fn hosts_and_ports_that_are_none_are_refused() {
    let app = Server::app(&[], routes);
    for (host, port) in
        [(Some("999.1.1.1"), 0), (Some("not a host"), 0), (Some(""), 0), (Some("["), 0), (None, -1), (None, 65_536), (None, i32::MAX)]
    {
        let error = app.listen(host, port).err().unwrap_or_else(|| panic!("{host:?} {port} was taken"));
        assert!(error.to_string().len() > 10, "{error}");
    }
    assert_eq!(app.port(), 0);
}

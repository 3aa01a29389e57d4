//! Unix sockets: the same server behind a path.

mod support;

use hasty::{App, Kind, Request, Response};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use support::{Client, PATIENCE, Server, get, last_get, pattern, post};

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hasty-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder can be made");
        Folder(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn routes(app: &App) {
    app.post("/mirror", |request: &Request, response: &mut Response| response.send(request.body().bytes())).expect("new");
    app.get("/who", |request: &Request, response: &mut Response| response.send_text(request.remote_address().bytes())).expect("new");
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

fn listening_at(path: &Path) -> Server {
    let app = Server::app(&[], routes);
    app.listen_unix(bytes(path), 0).expect("a socket can be made");
    Server::of(app)
}

#[track_caller]
fn expect_alive(path: &Path) {
    let mut client = Client::connect_unix(path);
    client.send(last_get("/"));
    assert_eq!(client.expect(200).text(), "root");
    client.expect_end();
}

#[test]
fn a_unix_socket_serves_like_any_other() {
    let folder = Folder::new();
    let server = listening_at(&folder.socket());
    assert_eq!(server.port(), 0, "there is no TCP listener");
    let mut client = Client::connect_unix(&folder.socket());
    for length in [0, 1, 5000, 3_000_000, 2] {
        client.send(post("/mirror", pattern(length)));
        assert!(client.expect(200).body == pattern(length));
    }
    client.send([get("/"), get("/who"), get("/nowhere"), get("/")].concat());
    assert_eq!(client.expect(200).text(), "root");
    assert_eq!(client.expect(200).text(), "unix");
    client.expect(404);
    client.expect(200);
    client.half_close();
    client.expect_end();
    expect_alive(&folder.socket());
}

#[test]
fn refusals_are_the_same_at_a_unix_socket() {
    let folder = Folder::new();
    let _server = listening_at(&folder.socket());
    for (bytes, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ] {
        let mut client = Client::connect_unix(&folder.socket());
        client.send(bytes);
        client.expect(status);
        client.expect_end();
    }
    expect_alive(&folder.socket());
}

#[test]
fn an_app_serves_a_unix_socket_and_a_port() {
    let folder = Folder::new();
    let app = Server::app(&[], routes);
    app.listen_unix(bytes(&folder.socket()), 0).expect("a socket can be made");
    app.listen(None, 0).expect("port 0 is free");
    let server = Server::of(app);
    assert_ne!(server.port(), 0);
    server.expect_alive();
    expect_alive(&folder.socket());
}

#[test]
fn the_socket_is_gone_after_the_end() {
    let folder = Folder::new();
    let server = listening_at(&folder.socket());
    let kind = std::fs::metadata(folder.socket()).expect("it is there").file_type();
    assert!(kind.is_socket());
    let mut client = Client::connect_unix(&folder.socket());
    client.send(get("/"));
    client.expect(200);
    server.stop();
    server.wait(Some(PATIENCE)).expect("the app stops");
    client.expect_end();
    assert!(!folder.socket().exists(), "the server unlinks its own");
}

#[test]
fn a_stale_socket_is_replaced() {
    let folder = Folder::new();
    // Nobody listens any more, but the file is still there: this is what a crash leaves.
    drop(UnixListener::bind(folder.socket()).expect("a socket can be made"));
    assert!(folder.socket().exists());
    let _server = listening_at(&folder.socket());
    expect_alive(&folder.socket());
}

#[test]
fn a_socket_that_somebody_listens_on_is_left_alone() {
    let folder = Folder::new();
    let _first = listening_at(&folder.socket());
    let second = Server::app(&[], routes);
    let error = second.listen_unix(bytes(&folder.socket()), 0).unwrap_err();
    assert_eq!(error.kind(), Kind::Io, "{error}");
    drop(second);
    expect_alive(&folder.socket());
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = Folder::new();
    std::fs::write(folder.socket(), "precious").expect("a file can be written");
    let app = Server::app(&[], routes);
    let error = app.listen_unix(bytes(&folder.socket()), 0).unwrap_err();
    assert!(error.to_string().contains("socket"), "{error}");
    drop(app);
    assert_eq!(std::fs::read_to_string(folder.socket()).expect("it is still there"), "precious");
}

#[test]
fn a_server_does_not_unlink_the_socket_of_its_successor() {
    let folder = Folder::new();
    let first = listening_at(&folder.socket());
    // As a deployment does that moves its own socket into the place of the old one.
    std::fs::remove_file(folder.socket()).expect("it is there");
    let _second = listening_at(&folder.socket());
    drop(first);
    expect_alive(&folder.socket());
}

#[test]
fn the_mode_is_what_was_asked_for() {
    let folder = Folder::new();
    for mode in [0o600, 0o660, 0o666] {
        let app = Server::app(&[], routes);
        app.listen_unix(bytes(&folder.socket()), mode).expect("a socket can be made");
        let seen = std::fs::metadata(folder.socket()).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(seen, mode, "{seen:o} instead of {mode:o}");
    }
}

#[test]
fn an_app_that_never_starts_unlinks_its_socket() {
    let folder = Folder::new();
    let app = Server::app(&[], routes);
    app.listen_unix(bytes(&folder.socket()), 0).expect("a socket can be made");
    drop(app);
    assert!(!folder.socket().exists());
}

#[test]
fn paths_that_cannot_be_a_socket_are_refused() {
    let folder = Folder::new();
    let app = Server::app(&[], routes);
    let long = folder.0.join("x".repeat(200));
    let missing = folder.0.join("missing/socket");
    for path in [bytes(&long), bytes(&missing), b"", b"a\0b"] {
        let error = app.listen_unix(path, 0).expect_err("it is no place for a socket");
        assert!(matches!(error.kind(), Kind::Invalid | Kind::Io | Kind::Limit), "{error}");
    }
}

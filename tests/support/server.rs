//! A server in this process, on a free port of the loopback.

use super::Client;
use hasty::{App, Level, Options, Request, Response};
use parking_lot::{Condvar, Mutex};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An app that serves until it is dropped. Dereferences to the app.
pub struct Server {
    app: Arc<App>,
}

impl Server {
    /// Starts an app with options by name and the routes that `routes` registers, and `GET /` besides.
    pub fn start(options: &[(&str, &str)], routes: impl FnOnce(&App)) -> Server {
        let app = Server::app(options, routes);
        app.listen(None, 0).expect("port 0 is free");
        app.start().expect("the app starts");
        Server { app: Arc::new(app) }
    }

    /// The same before it listens.
    pub fn app(options: &[(&str, &str)], routes: impl FnOnce(&App)) -> App {
        let app = App::new(Options::new()).expect("an app can be made");
        // With HASTY_TEST_TICK_US=0 a test run hands over the lane before every handler.
        if let Ok(tick) = std::env::var("HASTY_TEST_TICK_US") {
            app.set_option("tick_us", &tick).expect("a tick in microseconds");
        }
        for (name, value) in options {
            app.set_option(name, value).expect("the option is valid");
        }
        app.get("/", |_: &Request, response: &mut Response| response.send_text(b"root")).expect("the route is new");
        routes(&app);
        app
    }

    /// Serves an app that listens already.
    pub fn of(app: App) -> Server {
        app.start().expect("the app starts");
        Server { app: Arc::new(app) }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.app.port()))
    }

    /// A new connection.
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// A new connection with small socket buffers, so that a slow reader soon blocks the server.
    pub fn connect_narrow(&self) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(128 * 1024).expect("SO_RCVBUF");
        socket.set_send_buffer_size(32 * 1024).expect("SO_SNDBUF");
        socket.connect(&self.address().into()).expect("the server accepts a connection");
        Client::of(socket.into())
    }

    /// A new connection from another address of the loopback: 127.0.0.`last`.
    pub fn connect_from(&self, last: u8) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).expect("all of 127.0.0.0/8 is the loopback");
        socket.connect(&self.address().into()).expect("the server accepts a connection");
        Client::of(socket.into())
    }

    /// The app, for another thread.
    pub fn share(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// Asserts that `GET /` is answered on a fresh connection.
    #[track_caller]
    pub fn expect_alive(&self) {
        let mut client = self.connect();
        client.send(super::last_get("/"));
        let answer = client.answer();
        assert_eq!((answer.status, &*answer.body), (200, &b"root"[..]), "a fresh connection is served");
        client.expect_end();
    }
}

impl Deref for Server {
    type Target = App;
    fn deref(&self) -> &App {
        &self.app
    }
}

/// A gate at which handlers wait until the test opens it, and the test can wait for handlers to arrive.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    arrived: usize,
    open: bool,
}

impl Gate {
    /// How long a handler waits at most, in case the test has died.
    const END: Duration = Duration::from_secs(60);

    pub fn new() -> Gate {
        Gate::default()
    }

    /// In a handler: reports its arrival, and waits until the gate is open.
    pub fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock();
        state.arrived += 1;
        changed.notify_all();
        let end = Instant::now() + Gate::END;
        while !state.open && !changed.wait_until(&mut state, end).timed_out() {}
    }

    /// In a test: waits until `count` handlers have arrived.
    #[track_caller]
    pub fn await_arrivals(&self, count: usize) {
        let (state, changed) = &*self.0;
        let mut state = state.lock();
        let end = Instant::now() + super::PATIENCE;
        while state.arrived < count {
            assert!(!changed.wait_until(&mut state, end).timed_out(), "{} of {count} handlers were called", state.arrived);
        }
    }

    /// In a test: lets all handlers continue, including later ones.
    pub fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().open = true;
        changed.notify_all();
    }
}

/// Opens the gate when dropped, so that a failing test does not leave handlers waiting.
pub struct Opened(pub Gate);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Collects what an app logs.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<(Level, String)>>>);

impl Logs {
    /// Makes `app` log to the result.
    pub fn of(app: &App) -> Logs {
        let logs = Logs::default();
        let kept = logs.clone();
        app.on_log(Box::new(move |level: Level, message: &str| kept.0.lock().push((level, message.to_owned())))).expect("before start");
        logs
    }

    pub fn errors(&self) -> Vec<String> {
        self.0.lock().iter().filter(|(level, _)| *level == Level::Error).map(|(_, message)| message.clone()).collect()
    }

    /// Is there a warning or an error with these words?
    pub fn complain_of(&self, words: &str) -> bool {
        self.0.lock().iter().any(|(level, message)| *level <= Level::Warn && message.contains(words))
    }
}

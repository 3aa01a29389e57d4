//! Many clients that wait cost no thread. Alone in its file, since it counts the threads of the process.

mod support;

use hasty::{Exchange, Request, Response};
use parking_lot::Mutex;
use socket2::SockRef;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Framing, Server, await_that, get, pattern, shown};

/// Where handlers leave their exchanges for the test.
#[derive(Clone, Default)]
struct Parked(Arc<Mutex<Vec<Exchange>>>);

impl Parked {
    /// All exchanges, once there are `count`.
    #[track_caller]
    fn take(&self, count: usize) -> Vec<Exchange> {
        await_that("requests are deferred", || self.0.lock().len() >= count);
        std::mem::take(&mut *self.0.lock())
    }
}

/// How many threads this process has.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

/// A thousand readers of events and a hundred that read nothing, on 8 threads: none of them costs a thread, and other
/// routes answer meanwhile.
#[test]
fn a_thousand_event_streams_and_a_hundred_slow_readers_cost_no_thread() {
    const READERS: usize = 1000;
    const SLOW: usize = 100;
    let parked = Parked::default();
    let server = Server::start(&[("threads", "8"), ("max_connections", "3000")], |app| {
        let place = parked.clone();
        app.get("/later/*", move |request: &Request, response: &mut Response| {
            place.0.lock().push(response.defer(request)?);
            Ok(())
        })
        .expect("new");
    });
    server.expect_alive();
    let before = threads();
    let mut readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut client = server.connect();
            client.send(get("/later/events"));
            client
        })
        .collect();
    let mut streams = parked.take(READERS);
    let mut slow_readers: Vec<_> = (0..SLOW)
        .map(|_| {
            let mut client = server.connect_narrow();
            client.send(get("/later/slow"));
            client
        })
        .collect();
    let mut slow_streams = parked.take(SLOW);
    for stream in &mut slow_streams {
        let mut waiting = 0;
        while waiting < 1000 && stream.write(pattern(64 * 1024)).is_ok() {
            waiting += 1;
        }
        assert!(waiting < 1000, "a reader that reads nothing is written to without end");
    }
    for round in 0..3 {
        for stream in &mut streams {
            stream.write_event(Some(b"tick"), Some(round.to_string().as_bytes()), None).expect("the client waits");
        }
        // All threads are free: one blocked would show in what the others have to do.
        let begin = Instant::now();
        for _ in 0..50 {
            server.expect_alive();
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "50 requests took {:?}", begin.elapsed());
    }
    // The standby thread is made when a handler first takes longer than usual.
    assert!(threads() <= before + 1, "threads were added: {} of {before}", threads());
    for client in &mut readers {
        assert_eq!(client.expect_head(200).framing, Framing::Chunked);
        for round in 0..3 {
            assert_eq!(shown(&client.chunk()), format!("event: tick\\ndata: {round}\\n\\n"));
        }
    }
    for stream in streams {
        stream.finish().expect("the client waits");
    }
    for client in &mut readers {
        assert!(client.chunk().is_empty());
        client.send(get("/"));
    }
    for client in &mut readers {
        assert_eq!(client.expect(200).text(), "root", "the connection goes on");
    }
    // Half of the slow ones read at last, the others are reset.
    for stream in slow_streams {
        stream.finish().expect("the client waits");
    }
    for (number, mut client) in slow_readers.drain(..).enumerate() {
        if number % 10 == 0 {
            let body = client.expect_streamed(200).answer.body;
            assert!(body.chunks(64 * 1024).all(|piece| piece == pattern(64 * 1024)));
        } else {
            SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        }
    }
    server.expect_alive();
}

//! A request that is like those before it allocates nothing: memory is kept from request to request.

use hasty::{App, Flow, Options, Request, Response, StaticOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// Counts what the whole process allocates.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const WARM_UP: usize = 200;
const COUNTED: usize = 2000;
/// What each request allocates shows in each of so many; what a thread allocates that takes over from one that has no processor, in some.
const WINDOW: usize = 100;
/// The Date line is made anew each second.
const FOR_THE_DATE: usize = 5;

/// Sends the same request again and again; gives what was allocated in the quietest window after the warm-up.
fn allocations_of(port: u16, request: &str) -> usize {
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut answer = [0; 4096];
    let (mut before, mut fewest) = (0, usize::MAX);
    for round in 0..=WARM_UP + COUNTED {
        if round >= WARM_UP && round % WINDOW == 0 {
            let now = ALLOCATIONS.load(Ordering::Relaxed);
            if round > WARM_UP {
                fewest = fewest.min(now - before);
            }
            before = now;
        }
        client.write_all(request.as_bytes()).unwrap();
        // Small answers come in one piece; the end of each is known.
        let mut len = 0;
        while !answer[..len].ends_with(b"END") {
            let count = client.read(&mut answer[len..]).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&answer[..len]));
            len += count;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    fewest
}

#[test]
fn a_request_like_those_before_it_allocates_nothing() {
    let mut options = Options::new();
    options.set_by_name("threads", "2").unwrap();
    let app = App::new(options).unwrap();
    app.get("/", |_: &Request, response: &mut Response| response.send_text(b"END")).unwrap();
    app.get("/users/:id", |request: &Request, response: &mut Response| {
        response.set_header(b"X-Id", &request.param(b"id").unwrap())?;
        response.send_text(b"END")
    })
    .unwrap();
    app.get("/look", |request: &Request, response: &mut Response| {
        assert_eq!(request.query().get(b"a"), Some(&b"b c"[..]));
        assert_eq!(request.cookies().get(b"k"), Some(&b"v"[..]));
        assert_eq!(request.raw_path(), "/look");
        response.set_type(b"text/plain")?;
        response.send(b"END")
    })
    .unwrap();
    app.post("/echo", |request: &Request, response: &mut Response| response.send(&request.body())).unwrap();
    // A folder whose file was last changed an hour ago: young ones are not kept in memory.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    std::fs::write(&path, "<p>THE END").unwrap();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().append(true).open(&path).unwrap().set_modified(hour_ago).unwrap();
    app.static_files("/files", folder.path(), &StaticOptions::default()).unwrap();
    for pattern in ["/passed", "/marked"] {
        app.get(pattern, |_: &Request, response: &mut Response| response.send_text(b"END")).unwrap();
    }
    let pass = |request: &Request, _: &mut Response| {
        assert_eq!(request.header(b"x-key").unwrap(), "open");
        Ok(Flow::Next)
    };
    app.middleware("/passed", Box::new(pass)).unwrap();
    let mark = |_: &Request, response: &mut Response| response.set_header(b"X-Marked", b"yes").map(|()| Flow::Next);
    app.middleware("/marked", Box::new(mark)).unwrap();
    app.add_header(b"X-Everywhere", b"yes").unwrap();
    app.secure_headers().unwrap();
    app.listen(None, 0).unwrap();
    app.start().unwrap();
    let mut wrong = Vec::new();
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /users/12345 HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nthe END",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nthe END\r\n0\r\n\r\n",
        "GET /look?a=b%20c HTTP/1.1\r\nHost: a\r\nCookie: k=v\r\n\r\n",
        "GET /passed HTTP/1.1\r\nHost: a\r\nX-Key: open\r\n\r\n",
        "GET /marked HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /files/page.html HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nAccept-Encoding: gzip, br\r\n\r\n",
    ] {
        let count = allocations_of(app.port(), request);
        if count >= FOR_THE_DATE {
            wrong.push(format!("{count} allocations in {WINDOW} requests: {request:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

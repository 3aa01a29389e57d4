//! may_minihttp, as fast as it goes: it has no router, so paths are compared by hand.
//! `/sleep` blocks its thread, as it does in the event loops of this benchmark.

use may_minihttp::{HttpServer, HttpService, Request, Response};
use std::io::{self, Read};
use std::net::TcpListener;
use std::time::Duration;

const TEXT: &str = "Content-Type: text/plain; charset=utf-8";

#[derive(Clone)]
struct Service;

impl HttpService for Service {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        if request.method() == "POST" && request.path() == "/echo" {
            let mut body = Vec::new();
            request.body().read_to_end(&mut body)?;
            response.header("Content-Type: application/octet-stream").body_vec(body);
            return Ok(());
        }
        match request.path() {
            "/" => drop(response.header(TEXT).body("Hello, World!")),
            "/json" => drop(response.header("Content-Type: application/json").body("{\"message\":\"Hello, World!\"}")),
            "/sleep" => {
                std::thread::sleep(Duration::from_millis(10));
                response.header(TEXT).body("slept");
            }
            path => match path.strip_prefix("/users/") {
                Some(id) => response.header(TEXT).body_vec(id.into()),
                None => drop(response.status_code(404, "Not Found")),
            },
        }
        Ok(())
    }
}

fn main() {
    let wanted: usize = std::env::args().nth(1).and_then(|threads| threads.parse().ok()).expect("the number of threads");
    let processors = std::thread::available_parallelism().map_or(4, usize::from);
    let threads = if wanted == 0 { (processors * 2).max(8) } else { wanted };
    may::config().set_workers(threads).set_pool_capacity(1000).set_stack_size(0x2000);
    // It tells no port that it was not given, so a free one is asked for and let go of.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let server = HttpServer(Service).start(free).expect("a listener");
    println!("{}", free.port());
    server.join().expect("the server");
}

//! hyper, as fast as it goes: no service layers, one single-threaded runtime a thread.
//! `/sleep` blocks its thread, as it does in the other event loops of this benchmark.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

const TEXT: &str = "text/plain; charset=utf-8";

type Answer = Result<Response<Full<Bytes>>, Infallible>;

async fn handle(request: Request<Incoming>) -> Answer {
    if request.method() == Method::POST && request.uri().path() == "/echo" {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        return answer("application/octet-stream", body);
    }
    match request.uri().path() {
        "/" => answer(TEXT, Bytes::from_static(b"Hello, World!")),
        "/json" => answer("application/json", Bytes::from_static(b"{\"message\":\"Hello, World!\"}")),
        "/sleep" => {
            std::thread::sleep(Duration::from_millis(10));
            answer(TEXT, Bytes::from_static(b"slept"))
        }
        path => match path.strip_prefix("/users/") {
            Some(id) => answer(TEXT, Bytes::copy_from_slice(id.as_bytes())),
            None => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::NOT_FOUND;
                Ok(response)
            }
        },
    }
}

fn answer(kind: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// Accepts, and serves what it accepts: every thread has the listener.
fn serve(listener: TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            stream.set_nodelay(true).ok();
            tokio::task::spawn_local(async move {
                http1::Builder::new().pipeline_flush(true).serve_connection(TokioIo::new(stream), service_fn(handle)).await.ok();
            });
        }
    });
}

fn main() {
    let wanted: usize = std::env::args().nth(1).and_then(|threads| threads.parse().ok()).expect("the number of threads");
    let processors = std::thread::available_parallelism().map_or(4, usize::from);
    let threads = if wanted == 0 { (processors * 2).max(8) } else { wanted };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("O_NONBLOCK");
    println!("{}", listener.local_addr().expect("an address").port());
    for _ in 1..threads {
        let listener = listener.try_clone().expect("a descriptor");
        std::thread::spawn(move || serve(listener));
    }
    serve(listener);
}

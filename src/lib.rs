//! hasty: an embeddable HTTP/1.1 server.
//!
//! The path of a request, file by file:
//!
//! | step | file |
//! |---|---|
//! | a socket has bytes | `server/sys`, `server/driver_epoll.rs` |
//! | which connection they belong to | `server/slab.rs`, `server/connection.rs` |
//! | bytes become a head and a body | `http/parser.rs`, `http/body.rs` |
//! | the path finds its route | `service.rs`, `router.rs` |
//! | what comes before the handler | `hooks.rs`, `cors.rs`, `rate_limit.rs` |
//! | the handler reads and answers | `handler.rs`, `request.rs`, `response.rs` |
//! | or writes piece by piece, or later | `stream.rs`, `exchange.rs`, `server/wire.rs`, `server/deferred.rs` |
//! | processing of every answer | `service.rs`, `hooks.rs`, `compression.rs`, `access.rs` |
//! | the answer becomes bytes | `server/answer.rs`, `http/encoder.rs` |
//! | the bytes leave | `output.rs`, `server/sending.rs`, `server/sys` |
//!
//! `http` knows bytes and values only; `router`, `request` and `response` use it; `app` and `handler`
//! use those; `server` uses them all; `ffi` is a thin shell that exposes the Rust API to C.
//! `unsafe` is confined to `server/sys` and `ffi`.

#![deny(unsafe_code)]

mod access;
mod app;
mod buffered;
mod call;
mod compression;
mod cookie;
mod cors;
mod error;
mod exchange;
mod file;
#[allow(unsafe_code, reason = "the border to C")]
mod ffi;
mod form;
mod handler;
mod health;
mod hooks;
pub mod http;
pub mod json;
mod line;
mod options;
mod output;
mod prefix;
mod rate_limit;
mod request;
mod response;
mod route;
pub mod router;
mod server;
mod service;
mod static_files;
mod stream;
mod tally;
mod text;
mod upload;

pub use access::{AccessFormat, AccessLog, AccessRecord};
pub use app::App;
pub use cookie::Cookie;
pub use cors::CorsOptions;
pub use error::{Error, Kind, Result};
pub use exchange::{Exchange, Notice};
pub use form::FilePart;
pub use handler::{Allow, ErrorHandler, Flow, Handler, Level, Log, Middleware, Notify};
pub use options::{Key, Options};
pub use request::{Peer, Request};
pub use response::{FileSlice, OwnedBytes, Piece, Response};
pub use static_files::StaticOptions;
pub use text::Text;

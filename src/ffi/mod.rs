//! The C ABI: a thin shell on the Rust API. The order of the modules is the order of the header.

#![allow(unreachable_pub, reason = "C reaches what is exported by name, whatever Rust's modules say")]

mod types;

mod library;

mod app;

mod access;

mod request;

mod response;

mod exchange;

mod slot;

mod json;

mod callback;
mod guard;
mod handle;

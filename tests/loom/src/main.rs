//! Tries the words that the library's threads meet at in every order that the memory model allows.
//!
//! The files under test are those of the library, by their paths; only `sys/sync.rs` is another, whose types loom watches. It runs a
//! model again and again, each time with another choice of who goes next and of which value a load sees, until all are tried.
//!
//! `hasty-models` runs all models, `hasty-models NAME...` those. A model fails if it panics in one of the orders, if threads wait for
//! each other for ever, if they get at a value without having agreed on it, or if it never reaches what it is about.

#![allow(dead_code, reason = "the library uses all of its files, a model some of it")]

mod models;
mod sys;

#[path = "../../../src/server/leftover.rs"]
mod leftover;
#[path = "../../../src/server/rest.rs"]
mod rest;
#[path = "../../../src/server/verdict.rs"]
mod verdict;

/// What `verdict.rs` has from `src/exchange.rs`.
mod exchange {
    pub(crate) type Notice = Box<dyn FnOnce() + Send>;
}

use models::Model;
use std::process::ExitCode;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |model: &&Model| wanted.is_empty() || wanted.iter().any(|name| name == model.name);
    let (mut passed, mut failed) = (0, 0);
    for model in models::all().filter(is_wanted) {
        match model.try_all_orders() {
            Ok(orders) => {
                passed += 1;
                println!("ok {} ({orders} orders)", model.name);
            }
            Err(why) => {
                failed += 1;
                println!("not ok {}: {why}", model.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

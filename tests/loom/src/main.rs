//! Model checks of the library's lock-free synchronization: every interleaving that the memory model allows.
//!
//! The files under test are the library's own, by path; only `sys/sync.rs` and `sys/event.rs` are replaced, by types that loom observes.
//! Loom runs a model repeatedly, each time with another schedule and other values that loads may see, until all are tried.
//!
//! `hasty-models` runs all models, `hasty-models NAME...` those named. A model fails if it panics in any interleaving, deadlocks, has a data
//! race, or never reaches the states that it is meant to test.

#![allow(dead_code, reason = "the library uses all of its files, a model some of it")]

mod models;
mod sys;

#[path = "../../../src/server/charge.rs"]
mod charge;
#[path = "../../../src/server/leftover.rs"]
mod leftover;
#[path = "../../../src/server/rest.rs"]
mod rest;
#[path = "../../../src/server/verdict.rs"]
mod verdict;
#[path = "../../../src/server/wakes.rs"]
mod wakes;

/// What `verdict.rs` uses of `src/exchange.rs`.
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

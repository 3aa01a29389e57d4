//! The engine: sockets, threads, time.
//!
//! | file | noun |
//! |---|---|
//! | `sys/` | the operating system; the only room here with `unsafe` |
//! | `listener.rs` | where connections come from |
//! | `guests.rs` | how many connections each client has |
//! | `slab.rs` | the places connections live in, and their deadlines |
//! | `connection.rs` | the protocol of one connection: bytes in, bytes out, no socket |
//! | `incoming.rs` | a body on its way in |
//! | `pace.rs` | how long anything may take |
//! | `control.rs` | whether the app is to end |
//! | `desk.rs` | what a serving thread has at hand: one request with its answer, buffers |
//! | `answer.rs` | an answer becomes bytes |
//! | `sending.rs` | output into sockets |
//! | `wire.rs` | a connection in the hands of its handler, which waits for it |
//! | `deferred.rs` | what an exchange and its connection share |
//! | `verdict.rs` | which of the two was first |
//! | `held_back.rs` | answers that leave together |
//! | `lent.rs` | a request in the hands of a thread of the host's |
//! | `lanes.rs` | the right to poll, and who has it |
//! | `rest.rs` | how the lookout rests, and is woken |
//! | `leftover.rs` | what is left in a lane, and who is told of it |
//! | `habits.rs` | which routes block |
//! | `caller.rs` | the requests that wait for a thread of the host's own |
//! | `charge.rs` | which of those threads watches, while the others rest |
//! | `host.rs` | what threads of the host's do for the app |
//! | `driver_epoll.rs` | carries bytes between sockets and connections |
//! | `engine.rs` | what the serving threads share |
//! | `crew.rs` | how many threads serve |
//! | `pool.rs` | the threads, from start to end |

mod answer;
mod caller;
mod charge;
mod connection;
mod control;
mod crew;
mod deferred;
mod desk;
mod driver_epoll;
mod engine;
mod guests;
mod habits;
mod held_back;
mod host;
mod incoming;
mod lanes;
mod leftover;
mod lent;
mod listener;
mod pace;
mod pool;
mod rest;
mod sending;
mod slab;
mod sys;
mod verdict;
mod wire;

pub(crate) use caller::CallerQueue;
pub(crate) use control::Control;
pub(crate) use engine::{Engine, Watch};
pub(crate) use habits::Habits;
pub(crate) use host::{SlotVisit, Taken};
pub(crate) use lent::Next;
pub(crate) use listener::Listener;
pub(crate) use pace::Pace;
pub(crate) use sys::clock::monotonic_ms;
pub(crate) use sys::process::open_file_limit;

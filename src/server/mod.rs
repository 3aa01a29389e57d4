//! The engine: sockets, threads, time.
//!
//! | file | contents |
//! |---|---|
//! | `sys/` | system calls and atomic words; the only folder here with `unsafe` |
//! | `listener.rs` | listening sockets |
//! | `guests.rs` | how many connections each client has |
//! | `slab.rs` | the entries that connections live in, and their deadlines |
//! | `connection.rs` | the protocol of one connection: bytes in, bytes out, no socket |
//! | `incoming.rs` | a body that is being received |
//! | `pace.rs` | time-outs, and the minimum rate |
//! | `control.rs` | whether the app drains or stops |
//! | `desk.rs` | the buffers of a serving thread |
//! | `answer.rs` | an answer becomes bytes |
//! | `sending.rs` | output to sockets |
//! | `wire.rs` | a handler that streams, or reads its body, and waits for its client |
//! | `deferred.rs` | the state that an exchange and its connection share |
//! | `verdict.rs` | which of these two came first |
//! | `lanes.rs` | which threads poll, which are idle, and which takes over |
//! | `rest.rs` | how the lookout rests, and is woken |
//! | `habits.rs` | which routes block |
//! | `driver_epoll.rs` | moves bytes between sockets and connections |
//! | `engine.rs` | what the serving threads share |
//! | `crew.rs` | how many threads serve |
//! | `pool.rs` | the serving threads, from start to end |
//! | `visit.rs` | a call from outside that works in the engine |
//!
//! Only for the host's own threads (`poll`, `next`, slots); to be skipped on first reading:
//!
//! | file | contents |
//! |---|---|
//! | `host.rs` | what these threads do for the app |
//! | `caller.rs` | the queue of requests for them |
//! | `wakes.rs` | how many of their waits are to end |
//! | `charge.rs` | which of them polls, while the others rest |
//! | `lent.rs` | a request that one of them answers in place |
//! | `leftover.rs` | the events that such a request leaves in its lane |
//! | `held_back.rs` | answers that are held back, and sent together |
//!
//! # Glossary
//!
//! - **lane**: the right to poll, and the batch of events that its leader has taken; there are as many as processors
//! - **baton**: the atomic word that says which thread owns a lane, and whether that thread is in a service
//! - **service**: the handling of one event, during which the lookout may take over the lane
//! - **lookout**: an idle thread that takes over the lane of a service that lasts too long
//! - **standby thread**, `spare` in code: the one thread beyond `threads`, created when no other is idle
//! - **rota**: the idle threads, and the queue of requests that wait for one
//! - **shift**: the service that a thread is in, and its lane
//! - **desk**: a thread's buffers, with the request being served and its answer
//! - **turn**: one thread's work on a connection, limited so that other connections get theirs
//! - **slab**, **tenant**: the table of connections; a connection in its entry there, with its socket
//! - **line**, **wire**: the traits by which a request reaches its connection, and a stream or a body its socket
//! - **exchange**: a deferred request with its answer, to be finished by any thread
//! - **verdict**: whether an exchange answered first, or its connection gave up
//! - **caller queue**: the requests for routes of the host's threads (`dispatch = caller`)
//! - **slot**: a struct of the host's by which one call submits an answer and takes the next request
//! - **lent**: in the hands of a thread of the host's, in place or as an exchange
//! - **leftover**: events in a lane that was freed because a request is lent
//! - **held back**: ready, but not yet sent, so that several answers leave together
//! - **charge**: which of the host's waiting threads polls for all of them

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
mod visit;
mod wakes;
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
pub(crate) use visit::Visit;

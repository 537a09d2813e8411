//! The data path of methods `http` and `tcp`.
//!
//! N workers, each one thread with one event loop, its own listeners, its own connections to servers, its own timers and
//! its own lane of the counters. A connection never leaves the worker that accepted it, so nothing here is locked; what
//! workers share is the published table and a few atomics in [`Shared`].
//!
//! ```text
//! accept ─► http: hyper's server ─► exchange ─► offer ─► hyper's client ─► server
//!        │        (one task per client)   │ choose, retry    (one task per connection, kept in the pool)
//!        │                                └► answer: sorry page, refusals
//!        └► tcp: relay ◄─ a tunnel after 101 joins here
//! ```
//!
//! What hyper 1.12 decides for us: header names go out in lower case (keeping their spelling costs a map per head), interim
//! responses other than 100 and 101 are not passed on, a client that closes its sending side while it waits is taken as
//! gone, and trailers pass only if a `Trailer` field announced them (and, to clients, only after `TE: trailers`).

mod accept;
mod answer;
mod body;
mod choice;
mod client;
mod exchange;
mod front;
mod local;
mod offer;
mod pool;
mod relay;
mod shared;
mod tally;
mod tcp;
mod timers;
mod upstream;
mod worker;

pub use shared::{ProxyReading, Shared};
pub use worker::{Order, Worker, WorkerGone};

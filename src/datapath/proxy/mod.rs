//! The data path of methods `http` and `tcp`.
//!
//! N workers, each one thread with one event loop, its own listeners, its own connections to servers, its own timers and
//! its own lane of the counters. A connection never leaves the worker that accepted it, so nothing here is locked; what
//! workers share is the published table and a few atomics in [`Shared`].
//!
//! ```text
//! accept ─► front: hyper's server ─► exchange ─► offer ─► upstream: hyper's client ─► server
//!        │   (one task per client)      │ choice, retries   (one task per connection, kept in the pool)
//!        │                              └► respond: the server's response, the sorry page, refusals
//!        └► tcp ─► relay ◄─ a tunnel after 101
//!                   └► flow, one per direction: copies, or splices through one of the worker's pipes
//! ```
//!
//! Decisions of this room, each argued where it is made:
//!
//! * Offered again: any request that was certainly not sent; one without a body and with an idempotent method also when
//!   its connection ended before a byte of a response, first to the same server over a fresh connection if the broken one
//!   came from the pool, then to others, at most `retries` of them. Never a request whose body has begun to move.
//! * Where no server is left to ask, the port's sorry page is the answer, and `Tsuji-Error` says what became of the last
//!   attempt; where others were left but not allowed any more, 502 or 504.
//! * `Expect: 100-continue` goes to the server; the client hears 100 when the server has said it, or after a second.
//! * A response that breaks off ends the client's connection with a reset, so that no framing makes it look whole.
//!
//! What hyper 1.12 decides for us: header names go out in lower case (keeping their spelling costs a map per head), interim
//! responses other than 100 and 101 are not passed on, a client that closes its sending side while it waits is taken as
//! gone, and trailers pass only if a `Trailer` field announced them (and, to clients, only after `TE: trailers`).

mod accept;
mod answer;
mod cargo;
mod choice;
mod client;
mod download;
mod ending;
mod exchange;
mod flow;
mod front;
mod local;
mod offer;
mod pace;
mod pipes;
mod pool;
mod relay;
mod respond;
mod shared;
mod tally;
mod tcp;
mod timers;
mod upload;
mod upstream;
mod wire;
mod worker;

pub use shared::{ProxyReading, Shared};
pub use worker::{Order, Worker, WorkerGone};

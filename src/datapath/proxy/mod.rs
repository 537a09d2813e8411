//! The data path of methods `http` and `tcp`.
//!
//! N workers, each one thread with one event loop, its own listeners, its own connections to servers, its own timers and
//! its own lane of the counters. A connection never leaves the worker that serves it, so nothing here is locked; what
//! workers share is the published table, a few atomics in [`Shared`], a queue each for connections that another accepted
//! and has too many of (`balance`, `intake`), and a shelf of server connections that nobody has used for a while (`shelf`).
//!
//! ```text
//! accept ─► arrival ─► secure ─► front: hyper's server ─► exchange ─► offer ─► upstream: a line of our own ─► server
//!                   │   (one task per client        │ choice, retries      (polled by the same task;
//!                   │    polls all of it; parked    │                       kept in the pool between requests)
//!                   │    while it is silent)        └► respond: the server's response, the sorry page, refusals
//!                   └► tcp ─► relay ◄─ a tunnel after 101
//!                              └► flow, one per direction: copies, or splices through one of the worker's pipes
//! ```
//!
//! Decisions of this room, each argued where it is made:
//!
//! * A trusted proxy's PROXY header is read before anything else, and only there (`arrival`). Connections to servers that
//!   begin with one (`announce`) carry requests of one client connection alone.
//! * Offered again: any request that was certainly not sent; one without a body and with an idempotent method also when
//!   its connection ended before a byte of a response, first to the same server over a fresh connection if the broken one
//!   came from the pool, then to others, at most `retries` of them. Never a request whose body has begun to move.
//! * Where no server is left to ask, the port's sorry page is the answer, and `Tsuji-Error` says what became of the last
//!   attempt; where others were left but not allowed any more, 502 or 504.
//! * `Expect: 100-continue` goes to the server; the client hears 100 when the server has said it, or after a second.
//! * A response that breaks off ends the client's connection with a reset, so that no framing makes it look whole.
//!
//! What hyper 1.12 decides for us on the client's side: header names go out in lower case (keeping their spelling costs a map
//! per head), interim responses other than 100 and 101 cannot be passed on, a client that closes its sending side while it
//! waits is taken as gone, and trailers of a response pass only if a `Trailer` field announced them and after `TE: trailers`.

mod accept;
mod announce;
mod answer;
mod arrival;
mod balance;
mod body_rate;
mod bound;
mod channel;
mod choice;
mod client;
mod connecting;
mod download;
mod ending;
mod exchange;
mod flow;
mod front;
mod handshake;
mod hello;
mod http2;
mod http2_line;
mod intake;
mod journal;
mod ledger;
mod line;
mod local;
mod named;
mod offer;
mod pace;
mod per_client;
mod pipes;
mod pool;
mod pressure;
mod relay;
mod request_body;
mod respond;
mod secure;
mod secure_server;
mod shared;
mod shelf;
mod stream;
mod tally;
mod tcp;
mod timers;
mod upload;
mod upstream;
mod waiting;
mod wire;
mod worker;

pub use pressure::{Pressure, ceiling};
pub use shared::{ProxyReading, Shared};
pub use worker::{Order, Worker, WorkerGone};

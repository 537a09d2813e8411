//! The data path on real sockets: a worker, scripted servers and raw clients in one process.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    reason = "a test that meets the unexpected should stop right there, helpers outside #[test] functions included"
)]

mod proxy;
mod support;

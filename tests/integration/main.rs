//! Rooms on real sockets: the data path with scripted servers and raw clients, dscontrol with a scripted daemon.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    reason = "a test that meets the unexpected should stop right there, helpers outside #[test] functions included"
)]

mod dscontrol;
mod proxy;
mod support;

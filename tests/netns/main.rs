//! MAC forwarding on real interfaces: hosts in network namespaces around a bridge, real ARP, real daemons.
//!
//! Needs root, iproute2 and ethtool (and nftables for losses); each test says in one line that it is skipped where they are missing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected should stop right there"
)]

mod bulk;
mod faults;
mod forwarding;
mod ha_lab;
mod lab;
mod lossy;
mod pair;
mod probe;
mod rights;
mod routed;
mod sockets;
mod upgrade;
mod web;

//! The whole program, as an operator runs it: real processes, real sockets, real files.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected should stop right there"
)]

mod access_log;
mod alerts;
mod boot;
mod certificates;
mod commands;
mod floods;
mod import;
mod load;
mod memory;
mod outage;
mod privileges;
mod prompt;
mod proxy_protocol;
mod reload;
mod support;
mod tls_clients;
mod tomcat;
#[path = "../support/tools.rs"]
mod tools;
mod topologies;
mod traffic;

//! What holds for every input: one function for each fuzz target, to be handed any bytes. It returns, or it panics at a fault.
//!
//! The files are shared. `make fuzz` has libFuzzer look for inputs that break them (`fuzz/`, which includes this folder);
//! `make test` replays the corpus with mutations of it.

#![allow(dead_code, reason = "the test and the fuzz targets use different parts")]

mod chunked;
mod client_hello;
mod commands;
mod configuration;
mod control_frames;
mod heartbeat;
mod import;
mod memory;
mod paths;
mod proxy_protocol;
mod requests;
mod responses;
mod sessions;
#[path = "../../../benches/support/mod.rs"]
mod support;

use std::borrow::Cow;

/// One fuzz target.
pub struct Target {
    /// Of its program in `fuzz/fuzz_targets`, its folder in `fuzz/corpus` and its words in `fuzz/dictionaries`.
    pub name: &'static str,
    pub check: fn(&[u8]),
}

pub const TARGETS: [Target; 13] = [
    chunked::TARGET,
    client_hello::TARGET,
    commands::TARGET,
    control_frames::TARGET,
    heartbeat::TARGET,
    import::TARGET,
    paths::TARGET,
    proxy_protocol::TARGET,
    requests::TARGET,
    responses::TARGET,
    configuration::SCRIPT,
    configuration::TOML,
    sessions::TARGET,
];

/// The check of the target with this name.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").check)(data);
}

/// Bytes of an input that are looked at: a socket gives no more at once, and what takes long for so many is a fault.
pub const MOST: usize = 64 * 1024;

fn bounded(data: &[u8]) -> &[u8] {
    data.get(..MOST).unwrap_or(data)
}

fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bounded(data))
}

/// Places at which an input is cut in two: all of a short one, and the beginning and a hundred others of a long one.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    const DENSE: usize = 100;
    let step = (length.saturating_sub(DENSE) / DENSE).max(1);
    (0..length.min(DENSE)).chain((DENSE..length).step_by(step))
}

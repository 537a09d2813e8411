//! What the XDP program makes of frames: scripts under `scripts/`, run by the kernel's test run. Needs root, no network.
//!
//! A script says services, servers and rules, and then frames with what is expected of each:
//!
//! ```text
//! service shop 192.0.2.10:80 sticky=300
//! server shop w1 10.1.0.1 weight=2
//! send tcp 203.0.113.7:4000 > 192.0.2.10:80 S -> tx w1
//! clock 31
//! count w1 opened=1
//! reason unserved 2
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected should stop right there"
)]

mod bed;
mod broken;
mod crowd;
mod frame;
mod plans;
mod random;
mod script;
mod traffic;
mod twin;

use bed::Bed;

#[test]
fn scripts() {
    if Bed::is_not_here() {
        return;
    }
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packets/scripts");
    let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 8, "{paths:?}");
    for path in paths {
        script::run(&path);
    }
}

//! The edge: threads, tasks, sockets, files and signals around the heart.
//!
//! One control thread drives the dispatcher, answers commands, serves metrics and carries out probes; the
//! proxy's workers are threads of their own; a third kind writes files, so that a hanging disk holds up nobody, and one runs operators' scripts.
//! Nothing is decided here.

mod accesslog;
mod bell;
mod boot;
mod bounded;
mod certificate_watch;
mod certificates;
mod check;
mod claiming;
mod cli;
mod clock;
mod cookie_key;
mod datapath;
mod demo;
mod desk;
mod fetch;
mod files;
mod heart;
mod import;
mod keeper;
mod keys;
mod log;
mod loopback;
mod memory_watch;
mod packets;
mod page;
mod pair;
mod paths;
mod plugin_watch;
mod privileges;
pub mod probe;
mod readings;
mod run;
mod scripts;
pub mod sorry;
mod workers;

pub use cli::main;

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

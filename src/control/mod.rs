//! The operators' language: what they type, what they are answered, and the socket in between.
//!
//! `command` turns words into a [`Command`] by the one table in `grammar`, which also makes the help; `reply`
//! holds the typed answers, `render` their tables for people and JSON for programs. `completion` says what may follow
//! at the cursor of a line that is being typed. `protocol` frames commands and answers for
//! a stream; `socket` and `server` are the daemon's end of it, `client`, `prompt` and `session` are `dscontrol`'s.
//!
//! `client`, `prompt`, `session`, `server` and `socket` touch the machine; the rest is pure.
//!
//! Nothing is decided or carried out here: commands that change the configuration are parsed by `config`, and
//! all commands are carried out by the dispatcher, to which the server hands them over a bounded channel.

pub mod client;
pub mod command;
pub mod completion;
mod grammar;
pub mod help;
mod lookup;
pub mod peer;
pub mod prompt;
pub mod protocol;
pub mod render;
pub mod reply;
pub mod server;
pub mod session;
pub mod socket;
#[cfg(test)]
mod tests;

pub use command::{AdvisorSelection, Command, ConnectionFilter, Exchange, Level, RequestLine, standby_refusal};
pub use peer::Peer;
pub use reply::{Body, Outcome, Reply};

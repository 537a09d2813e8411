//! A daemon in a directory of its own, servers that can be killed, clients that do not forgive.

mod certificates;
mod client;
mod daemon;
mod origin;
mod terminal;

pub use certificates::{Issuer, Made, Session, Traffic, put, served};
pub use client::{ask, get};
pub use daemon::{Daemon, Output, Site, free_port};
pub use origin::Origin;
pub use terminal::Terminal;

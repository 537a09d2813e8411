//! What the tests of the data path are made of.

pub mod client;
pub mod http2;
pub mod origin;
pub mod secure;
pub mod site;

pub use client::Client;
pub use origin::{Origin, Visit};
pub use site::{PATIENCE, Setup, Site, has_ipv6};

//! Packet bytes and headers: parsing and writing frames, without sockets.

pub mod arp;
mod mac;
pub mod ndp;

pub use mac::{Mac, NotAMac};

//! Packet bytes and headers: parsing and writing frames, without sockets.

mod mac;

pub use mac::{Mac, NotAMac};

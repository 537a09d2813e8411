//! MAC forwarding in the kernel: the XDP program, its tables, and what keeps them up to date.
//!
//! The program under `program/` looks at each frame once, finds or makes the connection, and gives the frame its server's
//! MAC address; the answer goes from the server to the client directly. It holds no judgement: what to choose from is
//! compiled into small tables by [`writer`] whenever the forwarding table changes, and swapped by single words.
//!
//! The object is committed with a checksum of its sources ([`object`]), so that no build needs a C compiler.

pub mod attach;
pub mod copies;
pub mod directory;
pub mod engine;
mod gate;
mod heritage;
pub mod image;
pub mod lines;
pub mod load;
pub mod lock;
pub mod numbers;
pub mod object;
pub mod pins;
mod programs;
mod rights;
pub mod tables;
pub mod writer;

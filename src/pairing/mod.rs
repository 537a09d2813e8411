//! What two dispatchers tell each other, as bytes that nobody else can make, change, read or play again.
//!
//! A heartbeat of the pair's machine becomes a [`datagram`] of constant size, sealed with a key that both have in a file
//! ([`key`]). What comes in goes through the [`gate`], which says who sent it, that it is new, and that its sender lives now and
//! not in a recording; only that is told to the machine. [`record`] seals and opens any bytes; [`copy`] makes streams of them, by
//! which each keeps a copy of the other's tables.
//!
//! Whoever has the key is the partner: a pair has a key file of its own, and shares it with no other pair.
//!
//! Not here: sockets and which address is which path, reading the key file, randomness and clocks (they are handed in),
//! and what a heartbeat means (`high_availability`).

mod bucket;
mod bytes;
pub mod copy;
pub mod datagram;
pub mod gate;
pub mod key;
pub mod letter;
mod lives;
mod numbers;
pub mod record;
mod refusal;
#[cfg(test)]
mod tests;
mod window;

pub use datagram::SIZE;
pub use gate::{Gate, SealError};
pub use key::{KeyFileFault, KeyId, PairKeys};
pub use letter::{Greeting, Letter, Malformed};
pub use record::Life;
pub use refusal::{Counts, Reason, Refusal};

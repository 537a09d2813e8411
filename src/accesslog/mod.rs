//! Access logs as bytes: what is known of an exchange, packed small, and the line that is made of it.
//!
//! A worker packs a [`Record`] when an exchange is over ([`Record::pack`]: a few copies, no formatting); another thread
//! unpacks it ([`unpack`]) and writes the line ([`Lines`]). What clients sent is in the record as it came, cut to a
//! bound, and is escaped when the line is made, so that a line is always one line. Nothing is counted or written to a
//! file here, and the time zone is handed in.

mod combined;
mod digits;
mod escape;
mod json;
mod lines;
mod record;
mod request;
mod stamp;
#[cfg(test)]
mod tests;

pub use lines::Lines;
pub use record::{End, Kind, Line, MAX_RECORD, Record, Server, Upstream, unpack};
pub use request::{Request, Text, Version};
pub use stamp::Offset;

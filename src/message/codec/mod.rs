//! The server's side of HTTP/1 as bytes: requests written, responses read (RFC 9112).
//!
//! The client's side is hyper's. Towards servers the proxy is the one who speaks first, knows what it asked for and takes
//! one answer at a time, so all that a client codec needs is here, without the channels and the task of its own that a
//! general one has (docs/performance.md has what that saves). Where the RFC lets a reader be lenient this one is strict:
//! what is refused here costs one request to a broken server, what is misread costs somebody else's response.

mod chunked;
mod request_head;
mod response_head;
#[cfg(test)]
mod tests;

pub use chunked::{BadChunk, Chunked, Piece, write_chunk, write_last_chunk};
pub use request_head::{OutgoingHead, write_request};
pub use response_head::{BadHead, MAX_INTERIM, MAX_RESPONSE_HEAD, Read, parse_response};

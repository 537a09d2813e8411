//! A message means the same to its sender, to us and to whom we pass it on, or it is refused.
//!
//! The corpus is `tests/fixtures/one-meaning`: requests that could be read in two ways, with what has to become of each. The
//! same requests, and some thousand mutations of honest ones, are recorded byte by byte as a server gets them and read by
//! readers that have nothing in common with each other or with us.

mod canonical;
mod corpus;
mod crosstalk;
mod frames;
mod http1;
mod http2;
mod lengths;
mod random;
mod readers;
mod recorder;
mod responses;
mod reuse;

//! What is sent through the proxies.

pub mod crowd;
pub mod echo;
pub mod h2load;
pub mod handshake;
pub mod wrk;

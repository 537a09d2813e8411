//! What is sent through the proxies.

pub mod crowd;
pub mod echo;
pub mod wrk;

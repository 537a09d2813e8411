//! What an advisor is to probe.

use std::net::SocketAddr;

use crate::model::{Advisor, ProxyVersion, ServerId, ServerKey};

/// One server as one advisor sees it. The advisor's key and the server together identify it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub advisor: Advisor,
    pub server: ServerId,
    pub key: ServerKey,
    /// `None`: the server's name has no address, which is a verdict of its own.
    pub address: Option<SocketAddr>,
    /// The server's `advisorrequest`.
    pub request: String,
    /// The server's `advisorresponse`.
    pub response: Vec<u8>,
    /// The port's `sendproxy`: connections to the server begin with such a header.
    pub sendproxy: Option<ProxyVersion>,
    /// The server's name for `Host` and for its certificate.
    pub host: String,
}

//! The PROXY protocol: what a proxy says of its client before the first byte of the client's own.
//!
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>, both versions, from bytes to a value and back. The bytes
//! are read by `ppp`. Around it stands what it leaves open: where a header ends and how long it may be, so that each
//! beginning of a header is incomplete and nothing else is; what a header without usable addresses means; the checksum.

mod binary;
#[cfg(test)]
mod tests;
mod text;

use std::net::SocketAddr;

use crate::model::ProxyVersion;

/// What the header at the beginning of a connection says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyHeader {
    /// Nothing about a client: the connection's own addresses count. The proxy speaks for itself, as its health checks do
    /// (LOCAL), or its client has no addresses of the internet (UNKNOWN, UNSPEC, UNIX).
    Own,
    Client(ProxiedClient),
}

/// A client as the proxy saw it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProxiedClient {
    pub source: SocketAddr,
    /// Where the client connected to.
    pub destination: SocketAddr,
    /// The client spoke TLS to the proxy. Version 1 cannot say so.
    pub tls: bool,
}

/// What the bytes read so far are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The beginning of a header.
    Incomplete,
    /// A header of this many bytes; what follows it is the client's.
    Whole { header: ProxyHeader, length: usize },
}

/// Why bytes are not, and will not become, a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProxyHeaderFault {
    #[error("the connection begins with something else")]
    Missing,
    #[error("the line is longer than {} bytes", text::MAX_LENGTH)]
    LineTooLong,
    #[error("the line has not the form `PROXY TCP4|TCP6 address address port port`")]
    Line,
    #[error("the header is {length} bytes long; {MAX_PROXY_HEADER} are the most")]
    TooLong { length: usize },
    #[error("version and command are {0:#04x}, and neither 0x20 nor 0x21")]
    Command(u8),
    #[error("family and transport are {0:#04x}, which means nothing")]
    Family(u8),
    #[error("the header is too short for its addresses")]
    TooShort,
    #[error("the type-length-values do not fill the header")]
    Values,
    #[error("the checksum is wrong")]
    Checksum,
}

/// Bytes of a whole header: what nginx takes today, so a proxy that works before nginx works before us. Addresses, a TLS
/// description with names, an authority and a unique identifier come to some 800; only a whole certificate is more. The
/// length field could say 64 KiB, which nobody shall make us hold for a connection of which nothing is known.
pub const MAX_PROXY_HEADER: usize = 4096;

/// Looks for a header of either version at the beginning of these bytes.
pub fn parse(bytes: &[u8]) -> Result<Progress, ProxyHeaderFault> {
    if begins(bytes, binary::SIGNATURE) {
        binary::parse(bytes)
    } else if begins(bytes, text::SIGNATURE) {
        text::parse(bytes)
    } else {
        Err(ProxyHeaderFault::Missing)
    }
}

/// As far as both go. The signatures differ in their first byte.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

impl ProxyHeader {
    pub fn to_bytes(&self, version: ProxyVersion) -> Vec<u8> {
        match version {
            ProxyVersion::V1 => text::print(self),
            ProxyVersion::V2 => binary::print(self),
        }
    }
}

impl ProxiedClient {
    /// Both addresses in one family, since a header has but one: where they differ, IPv4 is written as IPv6.
    fn ends(&self) -> (SocketAddr, SocketAddr) {
        let (source, destination) = (self.source, self.destination);
        if source.is_ipv4() == destination.is_ipv4() {
            (source, destination)
        } else {
            (mapped(source), mapped(destination))
        }
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        v6 @ SocketAddr::V6(_) => v6,
    }
}

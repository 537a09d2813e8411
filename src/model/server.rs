//! Servers of a port.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::{AdministrativeState, Name, PortKey, PortNumber, ServerTls, Weight};

/// A back end as configured on one port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// Unique on its port; the same machine may be several servers.
    pub name: Name,
    pub host: ServerHost,
    /// Where it listens; the port's own number unless `mapport` says otherwise.
    pub mapport: PortNumber,
    /// The weight to start from, and for good when fixed.
    pub weight: Weight,
    /// The manager may not change the weight; a verdict of down still applies.
    pub fixedweight: bool,
    /// `false`: no affinity record is made when a rule chose this server (sorry and overflow servers).
    pub sticky: bool,
    /// It runs on the dispatcher itself (IBM's `collocated`; `mac` ports alone).
    pub collocated: bool,
    pub state: AdministrativeState,
    /// What the http and https advisors send: a request line, by default `HEAD / HTTP/1.0`.
    pub advisorrequest: String,
    /// Bytes that an answer must contain to count as good; empty: any answer.
    pub advisorresponse: Vec<u8>,
    pub proxied: ProxiedServer,
}

/// What a proxy's port says of a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProxiedServer {
    /// What session ids that belong here carry (the plug-in's `CloneID`, Tomcat's `jvmRoute`).
    pub clone_id: Option<String>,
    /// It is used only while no other of its group is usable.
    pub backup: bool,
    /// Requests or connections in progress over all workers; 0: no bound.
    pub max_connections: u32,
    /// `None`: the port's.
    pub connect_timeout: Option<Duration>,
    /// `None`: the port's.
    pub server_timeout: Option<Duration>,
    /// Its timeouts count as failures for which it is left alone (a negative `ServerIOTimeout`).
    pub marks_on_timeout: bool,
    /// Each connection is asked with a HEAD before it gets a request.
    pub extended_handshake: bool,
    /// It is sent the plug-in's private fields (`$WSRA` and so on).
    pub private_headers: bool,
    /// `None`: it is spoken to plainly.
    pub tls: Option<ServerTls>,
    /// It is spoken to in HTTP/2 (http): as agreed on inside TLS, else from the start.
    pub http2: bool,
}

impl Server {
    /// IBM's default request of the http advisor.
    pub const DEFAULT_ADVISOR_REQUEST: &'static str = "HEAD / HTTP/1.0";
}

/// Where a server is: an address, or a name to be resolved (and resolved again) while running.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ServerHost {
    Address(IpAddr),
    Name(String),
}

impl fmt::Display for ServerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.pad(name),
        }
    }
}

/// One server of one port, by name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerKey {
    pub port: PortKey,
    pub server: Name,
}

/// As operators write it: `cluster:port:server`.
impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = self.port.separator();
        write!(f, "{}{separator}{}", self.port, self.server)
    }
}

//! Ports of a cluster and how traffic is carried there.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{
    Claim, Group, HeaderEdit, Name, OutOfRange, Policy, PortLimits, PortNumber, PortTls, Route, Rule, Server,
    StickyMask, Unserved, WeightBound,
};

/// One port of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub number: PortNumber,
    pub method: ForwardingMethod,
    /// How long a client stays with its server after its last connection began; zero: no affinity.
    pub stickytime: Duration,
    pub stickymask: StickyMask,
    /// The port whose affinity records this one shares; its own number: none shared.
    pub crossport: PortNumber,
    pub weightbound: WeightBound,
    pub all_down: AllDown,
    pub ondown: OnDown,
    pub timeouts: Timeouts,
    /// How requests that no group takes find their server; of `tcp` and `mac` ports: how connections do.
    pub policy: Policy,
    /// Client connections at one time; 0: bounded by the process's file descriptors alone.
    pub maxconnections: u32,
    /// What its clients may ask of it.
    pub limits: PortLimits,
    pub sorry: SorryPage,
    /// `None`: nothing is written.
    pub accesslog: Option<AccessLog>,
    /// Peers that are believed when they say who the client is.
    pub trusted: Vec<Network>,
    /// These peers begin each connection with a PROXY protocol header.
    pub proxyprotocol: bool,
    /// The PROXY protocol header that connections to servers begin with; `None`: none.
    pub sendproxy: Option<ProxyVersion>,
    pub forwarded: ForwardedHeaders,
    /// Protocols a client may upgrade to, lower case; `*` stands for any but `h2c`.
    pub upgrade: Vec<String>,
    /// Idle connections to one server that one worker keeps for reuse.
    pub poolsize: u32,
    /// What matters to method `mac` alone.
    pub packets: PacketSettings,
    /// Methods that are answered with 405 (http), as they are written in requests.
    pub excluded_methods: Vec<String>,
    /// Changes to requests for servers (http).
    pub request_edits: Vec<HeaderEdit>,
    /// Changes to servers' responses (http).
    pub response_edits: Vec<HeaderEdit>,
    /// The port of the same cluster whose servers' state decides whether this one is served.
    pub follows: Option<PortNumber>,
    /// Its servers are probed, and nothing is served there.
    pub monitor: bool,
    /// `None`: clients speak plainly.
    pub tls: Option<PortTls>,
    /// Clients may speak HTTP/2 (http): inside TLS where it is agreed on, else where they begin with its preface.
    pub http2: bool,
    /// Whether requests for hosts that the certificate served does not cover are answered (http inside TLS).
    pub misdirected: Misdirected,
    pub servers: Vec<Server>,
    /// In the order they are asked: ascending priority.
    pub rules: Vec<Rule>,
    /// The applications that share the port (http).
    pub groups: Vec<Group>,
    /// Which requests are whose; none: all are the port's own.
    pub routes: Vec<Route>,
}

impl Port {
    /// A port of which nothing was said but this.
    pub fn preset(number: PortNumber, method: ForwardingMethod) -> Self {
        let is_mac = method == ForwardingMethod::Mac;
        Self {
            number,
            method,
            stickytime: Duration::ZERO,
            stickymask: StickyMask::DEFAULT,
            crossport: number,
            weightbound: WeightBound::DEFAULT,
            all_down: if is_mac { AllDown::Spread } else { AllDown::Refuse },
            ondown: if is_mac { OnDown::Purge } else { OnDown::Keep },
            timeouts: Timeouts::PRESET,
            policy: Policy::preset(),
            maxconnections: 0,
            limits: PortLimits::PRESET,
            sorry: SorryPage::preset(),
            accesslog: None,
            trusted: Vec::new(),
            proxyprotocol: false,
            sendproxy: None,
            forwarded: ForwardedHeaders::XForwarded,
            upgrade: vec!["websocket".to_owned()],
            poolsize: 64,
            packets: PacketSettings::DEFAULT,
            excluded_methods: Vec::new(),
            request_edits: Vec::new(),
            response_edits: Vec::new(),
            follows: None,
            monitor: false,
            tls: None,
            http2: false,
            misdirected: Misdirected::Refuse,
            servers: Vec::new(),
            rules: Vec::new(),
            groups: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// The ports whose packets are this object's, where no narrower object of the cluster has them.
    pub fn ports(&self) -> RangeInclusive<u16> {
        if self.number.is_wildcard() {
            return 0..=u16::MAX;
        }
        let first = self.number.get();
        first..=self.packets.lastport.map_or(first, PortNumber::get)
    }

    /// Whether clients connect to this program there.
    pub fn listens(&self) -> bool {
        self.method.is_proxy() && !self.monitor
    }

    /// Several ports, but not the wildcard.
    pub fn is_range(&self) -> bool {
        self.packets.lastport.is_some()
    }
}

/// How a connection gets to its server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ForwardingMethod {
    /// Requests are read and forwarded one by one.
    Http,
    /// Bytes are carried both ways, whatever they mean.
    Tcp,
    /// Frames are given their server's MAC address in the kernel, and the server answers the client itself (IBM's `mac`,
    /// direct server return).
    Mac,
}

impl ForwardingMethod {
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Mac => "mac",
        }
    }

    /// Whether clients connect to this program, which connects to servers.
    pub fn is_proxy(self) -> bool {
        self != Self::Mac
    }
}

/// What only packets of a `mac` port know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PacketSettings {
    /// The last port of a range that begins with the port's number; above it. `None`: that port alone.
    pub lastport: Option<PortNumber>,
    pub selection: SelectionAlgorithm,
    /// How long a connection is remembered after its client's FIN (IBM's `fintimeout`; there of the executor).
    pub fintimeout: Duration,
    /// Clients of a server that is down are sent a TCP reset (IBM's `reset`).
    pub reset: bool,
    /// A TCP segment that is no SYN and belongs to no known connection goes to the consistent hash's server; else it is
    /// discarded, as in IBM.
    pub pickup: bool,
    /// The cluster's.
    pub unserved: Unserved,
    /// The cluster's.
    pub claim: Claim,
}

impl PacketSettings {
    /// Of a port without a stickytime of which nothing else was said.
    pub const DEFAULT: Self = Self {
        lastport: None,
        selection: SelectionAlgorithm::Connection,
        fintimeout: Duration::from_secs(60),
        reset: false,
        pickup: true,
        unserved: Unserved::Drop,
        claim: Claim::Auto,
    };
}

/// By what a packet finds its server (IBM's `selectionalgorithm`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SelectionAlgorithm {
    /// By its connection; affinity is not asked.
    Connection,
    /// By its client's affinity record; connections are not remembered.
    Affinity,
    /// By its connection; new connections by affinity first.
    ConnectionAffinity,
}

impl SelectionAlgorithm {
    pub fn word(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Affinity => "affinity",
            Self::ConnectionAffinity => "conn+affin",
        }
    }
}

/// How new connections are spread over the candidates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Balance {
    /// Weighted round robin, exact.
    RoundRobin,
    /// By a consistent hash, weighted: of the client's address and port (`mac`), of its address (`http`, `tcp`).
    Hash,
    /// By a consistent hash of the request's path, weighted (http).
    UriHash,
    /// By chance, weighted (in the plug-in's manner: not weighted).
    Random,
    /// To the server with the fewest active connections for its weight.
    LeastConnections,
    /// To the better of two that chance has named, weighted: less waits there than where all go to the best.
    TwoChoices,
    /// To the server with the least product of its recent peak response time and what is active there, for its weight.
    LeastTime,
    /// To the server that carried the fewest bytes lately, for its weight (ARR's weighted total traffic).
    Traffic,
}

impl Balance {
    pub const ALL: [Self; 8] = [
        Self::RoundRobin,
        Self::Hash,
        Self::UriHash,
        Self::Random,
        Self::LeastConnections,
        Self::TwoChoices,
        Self::LeastTime,
        Self::Traffic,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::RoundRobin => "roundrobin",
            Self::Hash => "hash",
            Self::UriHash => "urihash",
            Self::Random => "random",
            Self::LeastConnections => "leastconnections",
            Self::TwoChoices => "twochoices",
            Self::LeastTime => "leasttime",
            Self::Traffic => "traffic",
        }
    }
}

/// What happens to a new connection when no server is usable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AllDown {
    /// Round robin over all of them, as IBM does: one may be back already.
    Spread,
    /// The sorry page (`http`) or a closed connection (`tcp`).
    Refuse,
}

/// What happens to running connections when an advisor calls their server down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnDown {
    /// They stay: an advisor's view of new connections says little about running ones.
    Keep,
    /// They are closed.
    Purge,
}

/// What becomes of a request whose host is not covered by the certificate that its connection was served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Misdirected {
    /// 421 (RFC 9110 15.5.20): clients come again over a connection of its own.
    Refuse,
    Serve,
}

/// Absolute bounds on each wait of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// From the first byte of a request's head to its end (http).
    pub head: Duration,
    /// From a connection's first moment to the end of its TLS handshake.
    pub tls: Duration,
    /// Between requests of a kept-alive client (http).
    pub idle: Duration,
    /// After which a silent kept-alive client keeps its connection only, without any buffers (http); zero: never.
    pub park: Duration,
    /// Without a byte of a body in either direction (http).
    pub body: Duration,
    /// For a connection to a server.
    pub connect: Duration,
    /// From the request's end to the head of the server's response (http).
    pub server: Duration,
    /// Without a byte in either direction on a `tcp` connection or a tunnel (IBM's `staletimeout`).
    pub stale: Duration,
    /// How long an unused connection to a server is kept (http). Shorter than the server's own patience.
    pub pool: Duration,
}

impl Timeouts {
    /// Of a port of which nothing was said; `stale` is that of ports other than 21, 22, 23, …, which wait longer.
    pub const PRESET: Self = Self {
        head: Duration::from_secs(10),
        tls: Duration::from_secs(5),
        idle: Duration::from_secs(60),
        park: Duration::from_secs(1),
        body: Duration::from_secs(60),
        connect: Duration::from_secs(5),
        server: Duration::from_secs(60),
        stale: Duration::from_secs(300),
        pool: Duration::from_secs(28),
    };

    /// Every wait as long as the others.
    pub const fn all(patience: Duration) -> Self {
        Self {
            head: patience,
            tls: patience,
            idle: patience,
            park: patience,
            body: patience,
            connect: patience,
            server: patience,
            stale: patience,
            pool: patience,
        }
    }

    /// How long a silent client keeps its buffers.
    pub fn until_parked(&self) -> Duration {
        if self.park.is_zero() { self.idle } else { self.park.min(self.idle) }
    }
}

/// The answer of the port itself when nobody else can answer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SorryPage {
    /// A file sent for every URL, or a directory whose files are sent as themselves and its `index.html` for
    /// every other URL. `None`: a short built-in page.
    pub path: Option<PathBuf>,
    /// A directory with pages for errors of our own: `no-route.html` by reason, `404.html` by status, `4xx.html`, `5xx.html`.
    /// `None`: short texts.
    pub errors: Option<PathBuf>,
    /// Status of the page, 503 by default. Pictures and style sheets of a directory are sent with 200.
    pub status: u16,
    /// Seconds in `Retry-After`; 0: no such header.
    pub retry_after: u32,
    /// Value of `Cache-Control`; empty: no such header.
    pub cache_control: String,
}

impl SorryPage {
    /// Of a port of which nothing was said.
    pub fn preset() -> Self {
        Self { path: None, errors: None, status: 503, retry_after: 30, cache_control: "no-store".to_owned() }
    }
}

/// Where a port writes one line for each request (`http`) or connection (`tcp`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessLog {
    /// Ports may share a file.
    pub path: PathBuf,
    pub format: AccessLogFormat,
}

/// How a line of an access log is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccessLogFormat {
    /// Apache's combined line, and what it lacks behind it.
    Combined,
    /// One JSON object.
    Json,
}

impl AccessLogFormat {
    pub fn word(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Json => "json",
        }
    }
}

/// Which headers tell the server who the client is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`.
    XForwarded,
    /// RFC 7239 `Forwarded`.
    Forwarded,
    Both,
    /// None is added; those of untrusted clients are still removed.
    Off,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProxyVersion {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyVersion {
    pub fn word(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

/// One port of one cluster, by name and number.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortKey {
    pub cluster: Name,
    pub port: PortNumber,
}

impl PortKey {
    /// `:`, or `@` where the cluster's name is itself an IPv6 address.
    pub fn separator(&self) -> char {
        if self.cluster.as_str().contains(':') { '@' } else { ':' }
    }
}

/// As operators write it: `cluster:port`.
impl fmt::Display for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.cluster, self.separator(), self.port)
    }
}

/// Addresses that share a prefix, as in `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is not a network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NetworkFault {
    #[error("`{0}` is neither an address nor a network such as 10.0.0.0/8")]
    NotAnAddress(String),
    #[error("the prefix length of `{text}`: {source}")]
    Prefix { text: String, source: OutOfRange },
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkFault;

    fn from_str(text: &str) -> Result<Self, NetworkFault> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let not_an_address = || NetworkFault::NotAnAddress(text.to_owned());
        let address: IpAddr = address.parse().map_err(|_| not_an_address())?;
        let most: u64 = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| not_an_address())?;
        if bits > most {
            let source = OutOfRange { value: bits, least: 0, most };
            return Err(NetworkFault::Prefix { text: text.to_owned(), source });
        }
        Ok(Self { address, bits: bits as u8 })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
        ];
        for (network, address, inside) in cases {
            let parsed: Network = network.parse().expect(network);
            assert_eq!(parsed.contains(address.parse().expect(address)), inside, "{network} {address}");
        }
    }

    #[test]
    fn wrong_networks_are_named() {
        for wrong in ["", "10.0.0", "10.0.0.0/", "10.0.0.0/x", "shop"] {
            assert_eq!(wrong.parse::<Network>(), Err(NetworkFault::NotAnAddress(wrong.to_owned())));
        }
        assert!(matches!("10.0.0.0/33".parse::<Network>(), Err(NetworkFault::Prefix { .. })));
    }
}

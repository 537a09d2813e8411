//! What is known of one exchange, and how it is packed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::message::ErrorReason;
use crate::model::{AccessLogFormat, AccessLogId};

use super::request::{MAX_TEXTS, Request, Text, Version};

/// What one line tells of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// A request.
    #[default]
    Http,
    /// A connection that was upgraded, from the request to its end.
    Tunnel,
    /// A connection of a `tcp` port.
    Tcp,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Http, Self::Tunnel, Self::Tcp];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tunnel => "tunnel",
            Self::Tcp => "tcp",
        }
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum End {
    /// The answer was handed over whole, ours or a server's; both sides of a connection have closed.
    #[default]
    Complete,
    /// The client went away before its answer was whole.
    ClientGone,
    /// The server broke off in the middle of its answer, or one side of a tunnel or connection broke.
    Broken,
    /// The server was taken down.
    Cut,
    /// Nothing moved for too long.
    Stalled,
    /// The connection was closed without an answer.
    Refused,
    /// The dispatcher ended first.
    Stopped,
    /// By a fault of our own.
    Fault,
}

impl End {
    const ALL: [Self; 8] = [
        Self::Complete,
        Self::ClientGone,
        Self::Broken,
        Self::Cut,
        Self::Stalled,
        Self::Refused,
        Self::Stopped,
        Self::Fault,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client-gone",
            Self::Broken => "broken-off",
            Self::Cut => "cut",
            Self::Stalled => "stalled",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::Fault => "fault",
        }
    }
}

/// How the server was reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Upstream {
    /// No server was.
    #[default]
    None,
    /// Over a connection of its own.
    New,
    /// Over a connection that was kept from an exchange before.
    Reused,
}

impl Upstream {
    const ALL: [Self; 3] = [Self::None, Self::New, Self::Reused];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::New => "new",
            Self::Reused => "reused",
        }
    }
}

/// The numbers of a line. Times are in microseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line {
    pub file: AccessLogId,
    pub format: AccessLogFormat,
    pub kind: Kind,
    /// When it began, since 1970.
    pub began: u64,
    /// From then on to its end.
    pub total: u64,
    /// Until a new connection to the server stood.
    pub connect: Option<u64>,
    /// From the beginning to the head of the server's response.
    pub first_byte: Option<u64>,
    /// From the beginning to the end of the request's body.
    pub request: Option<u64>,
    /// Bytes of bodies (of everything, for tunnels and `tcp`) to the client.
    pub sent: u64,
    /// Bytes of bodies (of everything, for tunnels and `tcp`) from the client.
    pub received: u64,
    /// 0: nothing was answered.
    pub status: u16,
    /// Servers that it was offered to.
    pub attempts: u16,
    pub error: Option<ErrorReason>,
    pub end: End,
    pub upstream: Upstream,
    /// Who asked, behind the proxies that are trusted.
    pub client: IpAddr,
    /// Who connected.
    pub peer: SocketAddr,
    /// The port's number.
    pub port: u16,
}

/// A server, as a line shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Server<'a> {
    pub name: &'a [u8],
    pub address: SocketAddr,
}

/// Everything that a line is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    pub line: Line,
    /// The cluster's name.
    pub cluster: &'a [u8],
    /// The one that answered, or that was asked last.
    pub server: Option<Server<'a>>,
    pub version: Version,
    pub(super) cut: u8,
    pub(super) lengths: [u16; Text::ALL.len()],
    pub(super) texts: &'a [u8],
}

/// A record's numbers: words of 8 bytes.
const WORDS: usize = 18;
const NUMBERS: usize = WORDS * 8;

/// Bytes of the largest record.
pub const MAX_RECORD: usize = NUMBERS + MAX_TEXTS + 2 * MAX_NAME_BYTES;
/// See [`crate::model::MAX_NAME`].
const MAX_NAME_BYTES: usize = crate::model::MAX_NAME;

/// No time was taken.
const NONE: u64 = u64::MAX;
/// No reason.
const NO_ERROR: u8 = u8::MAX;

impl<'a> Record<'a> {
    pub fn new(line: Line, cluster: &'a [u8], server: Option<Server<'a>>, request: &'a Request) -> Self {
        let Request { version, bytes, lengths, cut } = request;
        Self { line, cluster, server, version: *version, cut: *cut, lengths: *lengths, texts: bytes }
    }

    /// A text of the request; empty if there was none.
    pub fn text(&self, wanted: Text) -> &'a [u8] {
        let wanted = wanted as usize;
        let before: usize = self.lengths.iter().take(wanted).map(|&length| usize::from(length)).sum();
        let length = self.lengths.get(wanted).copied().unwrap_or_default();
        self.texts.get(before..before + usize::from(length)).unwrap_or_default()
    }

    pub(super) fn is_cut(&self, text: Text) -> bool {
        self.cut & (1 << text as u8) != 0
    }

    /// Bytes that it takes when packed.
    pub fn size(&self) -> usize {
        NUMBERS + self.cluster.len() + self.server.map_or(0, |server| server.name.len()) + self.texts.len()
    }

    /// Puts it behind what is in `out` already.
    pub fn pack(&self, out: &mut Vec<u8>) {
        let line = &self.line;
        let server = self.server.map_or((&[][..], None), |server| (server.name, Some(server.address)));
        let names = [self.cluster.len() as u16, server.0.len() as u16];
        let families = family(Some(line.client)) | family(Some(line.peer.ip())) << 2;
        let families = families | family(server.1.map(|address| address.ip())) << 4;
        let [method, target, host, referer, agent] = self.lengths;
        let [client, peer] = [line.client, line.peer.ip()].map(bits);
        let upstream = server.1.map_or(0, |address| bits(address.ip()));
        let server_port = server.1.map_or(0, |address| address.port());
        let words: [u64; WORDS] = [
            self.size() as u64 | u64::from(line.file.0) << 32,
            line.began,
            line.total,
            line.connect.unwrap_or(NONE),
            line.first_byte.unwrap_or(NONE),
            line.request.unwrap_or(NONE),
            line.sent,
            line.received,
            quarters([
                line.status,
                line.attempts,
                pair(line.error.map_or(NO_ERROR, index), line.end as u8),
                self.small(),
            ]),
            client as u64,
            (client >> 64) as u64,
            peer as u64,
            (peer >> 64) as u64,
            upstream as u64,
            (upstream >> 64) as u64,
            quarters([line.peer.port(), server_port, line.port, pair(families, self.cut)]),
            quarters([names[0], names[1], method, target]),
            quarters([host, referer, agent, pair(line.kind as u8, 0)]),
        ];
        out.reserve(self.size());
        out.extend_from_slice(words.map(u64::to_le_bytes).as_flattened());
        out.extend_from_slice(self.cluster);
        out.extend_from_slice(server.0);
        out.extend_from_slice(self.texts);
    }

    fn small(&self) -> u16 {
        pair(self.version as u8 | (self.line.upstream as u8) << 4, self.line.format as u8)
    }
}

/// The records in a worker's buffer, one after the other. What is not a record ends them.
pub fn unpack(mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (record, rest) = first(bytes)?;
        bytes = rest;
        Some(record)
    })
}

fn first(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (numbers, _) = bytes.split_first_chunk::<NUMBERS>()?;
    let (words, _) = numbers.as_chunks::<8>();
    let words: &[[u8; 8]; WORDS] = words.try_into().ok()?;
    let [
        head,
        began,
        total,
        connect,
        first_byte,
        request,
        sent,
        received,
        small,
        c0,
        c1,
        p0,
        p1,
        s0,
        s1,
        ports,
        t0,
        t1,
    ] = words.map(u64::from_le_bytes);
    let (record, rest) = bytes.split_at_checked((head as u32) as usize)?;
    let [status, attempts, ended, choices] = split(small);
    let [peer_port, server_port, port, flags] = split(ports);
    let ([families, cut], [error, end]) = (flags.to_le_bytes(), ended.to_le_bytes());
    let [version, format] = choices.to_le_bytes();
    let ([cluster, server, method, target], [host, referer, agent, kind]) = (split(t0), split(t1));
    let names = record.get(NUMBERS..)?;
    let (cluster, names) = names.split_at_checked(usize::from(cluster))?;
    let (name, texts) = names.split_at_checked(usize::from(server))?;
    let time = |word: u64| (word != NONE).then_some(word);
    let line = Line {
        file: AccessLogId((head >> 32) as u32),
        format: if format == 0 { AccessLogFormat::Combined } else { AccessLogFormat::Json },
        kind: of(&Kind::ALL, kind as u8),
        began,
        total,
        connect: time(connect),
        first_byte: time(first_byte),
        request: time(request),
        sent,
        received,
        status,
        attempts,
        error: ErrorReason::ALL.get(usize::from(error)).copied(),
        end: of(&End::ALL, end),
        upstream: of(&Upstream::ALL, version >> 4),
        client: address(families, c0, c1)?,
        peer: SocketAddr::new(address(families >> 2, p0, p1)?, peer_port),
        port,
    };
    let server = address(families >> 4, s0, s1).map(|ip| Server { name, address: SocketAddr::new(ip, server_port) });
    let lengths = [method, target, host, referer, agent];
    Some((Record { line, cluster, server, version: of(&Version::ALL, version & 15), cut, lengths, texts }, rest))
}

fn of<T: Copy + Default>(all: &[T], place: u8) -> T {
    all.get(usize::from(place)).copied().unwrap_or_default()
}

fn index(reason: ErrorReason) -> u8 {
    reason as u8
}

fn pair(low: u8, high: u8) -> u16 {
    u16::from_le_bytes([low, high])
}

fn quarters([a, b, c, d]: [u16; 4]) -> u64 {
    u64::from(a) | u64::from(b) << 16 | u64::from(c) << 32 | u64::from(d) << 48
}

fn split(word: u64) -> [u16; 4] {
    [word as u16, (word >> 16) as u16, (word >> 32) as u16, (word >> 48) as u16]
}

/// Two bits: none, IPv4, IPv6.
fn family(address: Option<IpAddr>) -> u8 {
    match address {
        None => 0,
        Some(IpAddr::V4(_)) => 1,
        Some(IpAddr::V6(_)) => 2,
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address(family: u8, low: u64, high: u64) -> Option<IpAddr> {
    match family & 3 {
        1 => Some(std::net::Ipv4Addr::from_bits(low as u32).into()),
        2 => Some(Ipv6Addr::from_bits(u128::from(low) | u128::from(high) << 64).into()),
        _ => None,
    }
}

/// What stands between a cluster's name and its port: see [`crate::model::PortKey::separator`].
pub(super) fn separator(cluster: &[u8]) -> u8 {
    if cluster.contains(&b':') { b'@' } else { b':' }
}

//! What servers are told of the client: `X-Forwarded-*` and RFC 7239 `Forwarded`.
//!
//! A peer that is not trusted tells servers nothing: whatever it sent, in any spelling, goes first, and then ours is
//! set. What a trusted peer (another proxy) sent stays, and the peer itself is added to the chain.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::client_address::client_address;
use super::framing::RequestFacts;
use super::names::Field;
use crate::model::{ForwardedHeaders, Network};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How the client speaks to us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proto {
    Http,
    Https,
}

impl Proto {
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What every request of one client connection says alike, as values ready to be set. Made once per connection, so
/// that a request from an untrusted client costs no allocation here.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    peer: IpAddr,
    local: SocketAddr,
    proto: Proto,
    peer_text: HeaderValue,
    port_text: HeaderValue,
    /// `X-Forwarded-For`, `-Proto` and `-Port` as they go on the wire.
    lines: Bytes,
    /// The beginning of our element in `Forwarded`: `for=192.0.2.1;proto=http`.
    element: HeaderValue,
}

impl ConnectionFacts {
    /// The two ends of the client's connection. IPv4 inside IPv6 is taken as IPv4.
    pub fn new(peer: IpAddr, local: SocketAddr, proto: Proto) -> Self {
        let peer = peer.to_canonical();
        let mut text = BytesMut::with_capacity(80);
        let address = write_for(&mut text, peer);
        let _ = write!(text, ";proto={}", proto.word());
        let text = text.freeze();
        let (peer_text, port_text) = (visible(text.slice(address)), HeaderValue::from(local.port()));
        let lines = [
            (X_FORWARDED_FOR, peer_text.as_bytes()),
            (X_FORWARDED_PROTO, proto.word().as_bytes()),
            (X_FORWARDED_PORT, port_text.as_bytes()),
        ];
        let lines = lines.map(|(name, value)| [name.as_str().as_bytes(), b": ", value, b"\r\n"].concat());
        Self { peer, local, proto, peer_text, port_text, lines: lines.concat().into(), element: visible(text) }
    }

    /// The peer of the connection: the client, or the proxy before us.
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// What a request says of the client besides its own fields.
    pub(super) fn write_lines(&self, host: Option<&HeaderValue>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lines);
        if let Some(host) = host {
            out.extend_from_slice(X_FORWARDED_HOST.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(host.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Our own address and port as a `Host`, for clients of HTTP/1.0 that name none.
    pub(super) fn host(&self) -> HeaderValue {
        let mut text = BytesMut::with_capacity(56);
        let address = SocketAddr::new(self.local.ip().to_canonical(), self.local.port());
        let _ = write!(text, "{address}");
        visible(text.freeze())
    }
}

/// Writes `for=` with a node and tells where the bare address is in it. RFC 7239 6: an IPv6 address stands in brackets,
/// and brackets only inside quotes. `X-Forwarded-For` has it bare.
fn write_for(text: &mut BytesMut, address: IpAddr) -> Range<usize> {
    let (opening, closing) = if address.is_ipv6() { ("for=\"[", "]\"") } else { ("for=", "") };
    let begin = text.len() + opening.len();
    let _ = write!(text, "{opening}{address}");
    let end = text.len();
    text.extend_from_slice(closing.as_bytes());
    begin..end
}

/// How a port sees its clients: the connection, and whom and what it believes.
#[derive(Clone, Copy, Debug)]
pub struct ClientView<'a> {
    pub connection: &'a ConnectionFacts,
    pub trusted: &'a [Network],
    pub forwarded: ForwardedHeaders,
}

impl ClientView<'_> {
    /// Whether the connection's peer is believed when it speaks of the client.
    pub fn trusts_peer(&self) -> bool {
        self.trusts(self.connection.peer)
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    pub(super) fn speaks_x_forwarded(&self) -> bool {
        matches!(self.forwarded, ForwardedHeaders::XForwarded | ForwardedHeaders::Both)
    }

    pub(super) fn speaks_forwarded(&self) -> bool {
        matches!(self.forwarded, ForwardedHeaders::Forwarded | ForwardedHeaders::Both)
    }
}

/// Where the fields that tell the server who the client is are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Introduction {
    /// In the head, as far as there are any.
    InHead,
    /// Not in the head: [`write_request`](super::codec::write_request) adds those of the connection. Three of the four are
    /// the same for all requests of a client, and putting them into a map only to write them out costs more than all
    /// else that is done to a head.
    OfConnection {
        /// The client named a host.
        with_host: bool,
    },
}

/// Removes what the client may not say and sets what we say. `facts` are those of this head; `Connection` was heeded
/// before ([`super::hop`]), so it cannot take away what is set here.
pub fn introduce(headers: &mut HeaderMap, facts: &RequestFacts, view: &ClientView<'_>) -> Introduction {
    if view.trusts(view.connection.peer) {
        translate(headers, facts, view);
        if view.speaks_x_forwarded() {
            add_x_forwarded(headers, facts, view.connection);
        }
        if view.speaks_forwarded() {
            let element = forwarded_element(headers, view.connection);
            extend_list(headers, &FORWARDED, element);
        }
        return Introduction::InHead;
    }
    for name in &facts.claims {
        headers.remove(name);
    }
    const ALL: [(Field, HeaderName); 4] = [
        (Field::XForwardedFor, X_FORWARDED_FOR),
        (Field::XForwardedHost, X_FORWARDED_HOST),
        (Field::XForwardedPort, X_FORWARDED_PORT),
        (Field::XForwardedProto, X_FORWARDED_PROTO),
    ];
    for (_, name) in ALL.iter().filter(|(field, _)| facts.fields.has(*field)) {
        headers.remove(name);
    }
    if view.speaks_forwarded() {
        let element = forwarded_element(headers, view.connection);
        headers.insert(FORWARDED, element);
    } else if facts.fields.has(Field::Forwarded) {
        headers.remove(FORWARDED);
    }
    if view.speaks_x_forwarded() {
        Introduction::OfConnection { with_host: facts.names_host() }
    } else {
        Introduction::InHead
    }
}

/// For a trusted peer: the chain grows by the peer; what the first proxy said of scheme, host and port stays, and only
/// gaps are filled. A port is a gap only where the scheme is one too: ours beside a scheme of theirs would make a
/// server answer with links to `https://host:80`.
fn add_x_forwarded(headers: &mut HeaderMap, facts: &RequestFacts, connection: &ConnectionFacts) {
    extend_list(headers, &X_FORWARDED_FOR, connection.peer_text.clone());
    if !facts.fields.has(Field::XForwardedProto) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(connection.proto.word()));
        if !facts.fields.has(Field::XForwardedPort) {
            headers.insert(X_FORWARDED_PORT, connection.port_text.clone());
        }
    }
    if !facts.fields.has(Field::XForwardedHost)
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
}

/// Where the port speaks both and the proxy spoke only one, the client that it named begins the other as well: a server
/// that reads the other would take the proxy for the client.
fn translate(headers: &mut HeaderMap, facts: &RequestFacts, view: &ClientView<'_>) {
    let (x_forwarded, forwarded) = (facts.fields.has(Field::XForwardedFor), facts.fields.has(Field::Forwarded));
    if view.forwarded != ForwardedHeaders::Both || x_forwarded == forwarded {
        return;
    }
    let client = client_address(view, headers);
    if client == view.connection.peer {
        return;
    }
    let mut text = BytesMut::with_capacity(56);
    let address = write_for(&mut text, client);
    let text = text.freeze();
    if x_forwarded {
        headers.insert(FORWARDED, visible(text));
    } else {
        headers.insert(X_FORWARDED_FOR, visible(text.slice(address)));
    }
}

/// `for=…;proto=…;host=…`. The host was checked, so quotes are enough to make it safe; only a colon needs them.
fn forwarded_element(headers: &HeaderMap, connection: &ConnectionFacts) -> HeaderValue {
    let Some(host) = headers.get(HOST) else { return connection.element.clone() };
    let quote: &[u8] = if host.as_bytes().contains(&b':') { b"\"" } else { b"" };
    let parts = [connection.element.as_bytes(), b";host=", quote, host.as_bytes(), quote];
    joined(&parts)
}

/// Puts `last` at the end of a list. All its lines become one: many servers read one line only.
fn extend_list(headers: &mut HeaderMap, name: &HeaderName, last: HeaderValue) {
    let room: usize = headers.get_all(name).iter().map(|line| line.len() + ", ".len()).sum();
    if room == 0 {
        headers.insert(name, last);
        return;
    }
    let mut text = BytesMut::with_capacity(room + last.len());
    for line in headers.get_all(name).iter().filter(|line| !line.is_empty()) {
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(b", ");
    }
    text.extend_from_slice(last.as_bytes());
    headers.insert(name, visible(text.freeze()));
}

fn joined(parts: &[&[u8]]) -> HeaderValue {
    let mut text = BytesMut::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        text.extend_from_slice(part);
    }
    visible(text.freeze())
}

/// Text that is made of header values and ASCII only.
fn visible(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).expect("made of header values and visible ASCII")
}

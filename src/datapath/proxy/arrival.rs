//! Who a new connection is from: its peer, or the client that a trusted proxy names before anything else.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::net::TcpStream;

use crate::message::ErrorReason;
use crate::message::proxy_protocol::{MAX_PROXY_HEADER, Progress, ProxiedClient, ProxyHeader, ProxyHeaderFault, parse};

use super::client::{Client, Wait};
use super::ending::reset;
use super::local::PortRef;
use super::shared::Event;
use super::stream::Stream;
use super::upstream::Rest;

/// For the whole header, from accept on. A proxy sends it in its first segment, and a lost one comes again after a second:
/// less than "at least 3 seconds to cover a TCP retransmit" (section 2 of the specification) would refuse clients for the
/// network's sake. `headtimeout` is for clients who type, and a tcp port has none; nobody has to set this one.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes read at first: what the smallest segment carries, and so any header without large values. What comes behind the
/// header is read with it and handed on.
const SEGMENT: usize = 536;

/// Finds out who the client is; what was read of its own bytes meanwhile is in `rest`. `false`: the connection is over.
pub(super) async fn meet(client: &Client, port: &PortRef, rest: &mut Option<Rest>) -> bool {
    let Some(rest) = rest else { return false };
    if !expects_header(client, port) {
        if port.settings.sendproxy.is_some() && port.listen.ip().is_unspecified() {
            speak_for_itself(client, &rest.stream);
        }
        return true;
    }
    // Boxed because it is rare: what is awaited there would else be room in the task of every connection.
    let Some(stream) = rest.stream.tcp() else { return true };
    match Box::pin(read(client, stream)).await {
        Ok((header, early)) => {
            client.local.count(Event::HeaderRead);
            match header {
                ProxyHeader::Client(named) => client.introduce(canonical(named)),
                ProxyHeader::Own => speak_for_itself(client, &rest.stream),
            }
            rest.read = early;
            true
        }
        Err(failure) => {
            refuse(client, port, &rest.stream, &failure);
            false
        }
    }
}

/// Of an untrusted peer no byte is looked at here: it is an ordinary client, and a header would be its lie.
fn expects_header(client: &Client, port: &PortRef) -> bool {
    let peer = client.peer().ip();
    port.settings.proxyprotocol && port.settings.trusted.iter().any(|network| network.contains(peer))
}

/// The connection's own two ends. The port's address may stand for any of this machine.
fn speak_for_itself(client: &Client, stream: &Stream) {
    if let Some(Ok(destination)) = stream.tcp().map(TcpStream::local_addr) {
        client.introduce(canonical(ProxiedClient { source: client.peer(), destination, tls: false }));
    }
}

/// IPv4 inside IPv6 is IPv4: rules, affinity and servers know the client by that.
fn canonical(named: ProxiedClient) -> ProxiedClient {
    let canonical = |mut address: std::net::SocketAddr| {
        address.set_ip(address.ip().to_canonical());
        address
    };
    ProxiedClient { source: canonical(named.source), destination: canonical(named.destination), tls: named.tls }
}

/// Why there is no header.
enum Failure {
    Faulty(ProxyHeaderFault),
    Late,
    /// The connection ended after so many bytes.
    Ended(usize),
}

async fn read(client: &Client, stream: &TcpStream) -> Result<(ProxyHeader, Bytes), Failure> {
    client.arm(Wait::ProxyHeader, Instant::now(), PATIENCE);
    let mut bytes = BytesMut::with_capacity(SEGMENT);
    poll_fn(|cx| {
        client.listen(cx);
        loop {
            match parse(&bytes) {
                Ok(Progress::Whole { header, length }) => return Poll::Ready(Ok((header, behind(&mut bytes, length)))),
                Ok(Progress::Incomplete) => {}
                Err(fault) => return Poll::Ready(Err(Failure::Faulty(fault))),
            }
            match poll_more(stream, &mut bytes, cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(Err(Failure::Ended(bytes.len()))),
                Poll::Pending if client.take_expired() => return Poll::Ready(Err(Failure::Late)),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

/// Reads once, never more than the longest header: what is incomplete at that length does not exist.
fn poll_more(stream: &TcpStream, bytes: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    if bytes.len() == bytes.capacity() {
        bytes.reserve(MAX_PROXY_HEADER.saturating_sub(bytes.len()));
    }
    let room = bytes.capacity().min(MAX_PROXY_HEADER).saturating_sub(bytes.len());
    loop {
        ready!(stream.poll_read_ready(cx))?;
        match stream.try_read_buf(&mut (&mut *bytes).limit(room)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return Poll::Ready(read),
        }
    }
}

/// The client's own bytes. Nothing of the buffer stays where there are none.
fn behind(bytes: &mut BytesMut, header: usize) -> Bytes {
    if bytes.len() == header { Bytes::new() } else { bytes.split_off(header).freeze() }
}

/// Whoever the proxy serves shall not take an answer of ours for the site's: the connection is reset.
fn refuse(client: &Client, port: &PortRef, stream: &Stream, failure: &Failure) {
    match failure {
        // A look whether somebody listens, as balancers have it.
        Failure::Ended(0) => return,
        Failure::Ended(read) => tracing::debug!(peer = %client.peer(), port = %port.key, read, "half a PROXY header"),
        Failure::Faulty(fault) => tracing::debug!(peer = %client.peer(), port = %port.key, %fault, "no PROXY header"),
        Failure::Late => {
            client.local.count(Event::HeaderLate);
            tracing::debug!(peer = %client.peer(), port = %port.key, "no PROXY header in time");
        }
    }
    port.counters.count_reason(client.local.lane, ErrorReason::BadProxyHeader.index());
    reset(stream);
}

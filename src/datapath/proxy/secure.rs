//! The beginning of TLS with a client.
//!
//! A client holds nothing but its socket and what it said, until its first message is whole; only then a session is made for
//! it. Of such half-made sessions a worker has a bounded number, and it makes one key exchange at a time.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use rustls::{HandshakeKind, ServerConnection};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;
use tokio_rustls::{TlsAcceptor, TlsStream, server};

use crate::message::client_hello::is_settled;
use crate::message::{ErrorReason, is_method_start};
use crate::model::{AppProtocol, ForwardingMethod};
use crate::tls::{Identity, TlsFront};

use super::answer;
use super::client::{Client, Wait};
use super::ending::{answer_and_close, reset};
use super::hello::poll_more;
use super::local::PortRef;
use super::shared::Event;
use super::stream::Stream;
use super::upstream::Rest;

/// What both sides agreed on.
pub(super) struct Secured {
    /// Who the client asked for (SNI), in lower case.
    pub name: Option<Box<str>>,
    /// The certificate that it saw, or on a session that it resumed would see.
    pub served: Option<Arc<Identity>>,
    /// HTTP/2 was agreed on.
    pub http2: bool,
}

impl Secured {
    /// Whether the certificate that the client was served is for this host, too.
    pub fn covers(&self, host: &str) -> bool {
        self.served.as_ref().is_some_and(|identity| identity.facts.cover(host))
    }
}

/// Sessions in the making at one worker. Each holds some 10 KiB, and a worker finishes some thousands in a second: who
/// comes later waits without any, within the same time, and the oldest of them ends. Who has not said all of a ClientHello has
/// none.
pub(super) const MOST_HANDSHAKES: u32 = 1024;

/// The type of a record that a TLS client begins with (RFC 8446 5.1).
pub(super) const HANDSHAKE: u8 = 22;

/// Why there is no session.
enum Failure {
    /// Nothing could be made of the port's certificates.
    NoCertificate,
    /// The client ended the connection before it said anything.
    Silent,
    Late,
    /// It does not speak TLS; whether it speaks HTTP.
    NotTls {
        is_http: bool,
    },
    Broken(io::Error),
}

/// Opens TLS where the port speaks it. `false`: the connection is over.
pub(super) async fn secure(client: &Client, port: &PortRef, rest: &mut Option<Rest>) -> bool {
    if port.settings.tls.is_none() {
        return true;
    }
    // Boxed because it is over before anything else begins: it would else be room in the task of every connection.
    Box::pin(shake_hands(client, port, rest)).await
}

async fn shake_hands(client: &Client, port: &PortRef, rest: &mut Option<Rest>) -> bool {
    client.arm(Wait::Tls, Instant::now(), port.settings.timeouts.tls);
    let Some(Rest { stream: Stream::Plain(stream), read }) = rest.take() else { return false };
    let mut read = read.to_vec();
    match open(client, port, &stream, &mut read).await {
        Ok((front, place)) => match accept(client, &front, stream, read).await {
            Ok((session, served)) => {
                drop(place);
                welcome(client, served, &session);
                let stream = Stream::Tls(Box::new(TlsStream::Server(session)));
                *rest = Some(Rest { stream, read: Bytes::new() });
                true
            }
            Err(failure) => {
                note(client, port, &failure);
                false
            }
        },
        Err(failure) => {
            note(client, port, &failure);
            turn_away(client, port, Stream::Plain(stream), &failure).await;
            false
        }
    }
}

/// Waits for the client's first message, and for room for one more session.
async fn open<'a>(
    client: &'a Client,
    port: &PortRef,
    stream: &TcpStream,
    read: &mut Vec<u8>,
) -> Result<(Arc<TlsFront>, Place<'a>), Failure> {
    let front = port.tls.clone().ok_or(Failure::NoCertificate)?;
    loop {
        // Also of what came with a PROXY header.
        if read.first().is_some_and(|first| *first != HANDSHAKE) {
            let is_http = port.settings.method == ForwardingMethod::Http && is_method_start(read);
            return Err(Failure::NotTls { is_http });
        }
        if is_settled(read) {
            return Ok((front, Place::take(client).await?));
        }
        poll_fn(|cx| within(client, cx, |cx| poll_message(client, stream, read, cx))).await?;
    }
}

/// Room for a session in the making.
struct Place<'a> {
    client: &'a Client,
    serial: u64,
    _permit: SemaphorePermit<'a>,
}

impl<'a> Place<'a> {
    /// Where all places are taken, some may be by clients that said a first message and left: the one that has had its place for
    /// longest gives it up, and its handshake ends as if its time were over. Honest ones need theirs for a round trip.
    async fn take(client: &'a Client) -> Result<Self, Failure> {
        let local = &client.local;
        let places = local.handshakes();
        if places.available_permits() == 0 {
            local.displace();
        }
        let permit = acquire(client, places).await?;
        Ok(Self { client, serial: local.half_made(client.ticket()), _permit: permit })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.client.local.made(self.serial);
    }
}

fn poll_message(
    client: &Client,
    stream: &TcpStream,
    read: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Failure>> {
    let is_first = read.is_empty();
    Poll::Ready(match ready!(poll_more(client, stream, read, cx)) {
        Ok(0) if is_first => Err(Failure::Silent),
        Ok(0) => Err(Failure::Broken(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Broken(error)),
    })
}

/// Waits in line.
async fn acquire<'a>(client: &Client, places: &'a Semaphore) -> Result<SemaphorePermit<'a>, Failure> {
    let mut permit = pin!(places.acquire());
    let permit = poll_fn(|cx| {
        within(client, cx, |cx| {
            // It is closed by nobody.
            permit.as_mut().poll(cx).map(|permit| permit.map_err(|_| Failure::Late))
        })
    });
    permit.await
}

async fn accept(
    client: &Client,
    front: &TlsFront,
    stream: TcpStream,
    read: Vec<u8>,
) -> Result<(server::TlsStream<TcpStream>, Option<Arc<Identity>>), Failure> {
    let (config, serving) = front.serving();
    let acceptor = TlsAcceptor::from(config);
    let turn = acquire(client, client.local.key_exchange()).await?;
    let mut accepting = pin!(acceptor.accept_with(stream, |session| feed(session, &read)));
    drop(read);
    // A key exchange is dear: a hundred times what a small request costs. When many come at once, all that other clients
    // sent is looked at between two of them.
    yield_now().await;
    drop(turn);
    let session =
        poll_fn(|cx| within(client, cx, |cx| accepting.as_mut().poll(cx).map(|done| done.map_err(Failure::Broken))));
    Ok((session.await?, serving.served().cloned()))
}

/// Gives a new session what was read before. What is wrong with it is found again, and answered, when the session goes on.
fn feed(session: &mut ServerConnection, mut read: &[u8]) {
    while !read.is_empty() {
        if session.read_tls(&mut read).is_err() || session.process_new_packets().is_err() {
            return;
        }
    }
}

/// Polls something for as long as the client may take for its handshake.
fn within<T>(
    client: &Client,
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<Result<T, Failure>>,
) -> Poll<Result<T, Failure>> {
    client.listen(cx);
    match poll(cx) {
        Poll::Pending if client.take_expired() => Poll::Ready(Err(Failure::Late)),
        polled => polled,
    }
}

fn welcome(client: &Client, served: Option<Arc<Identity>>, session: &server::TlsStream<TcpStream>) {
    let (_, session) = session.get_ref();
    client.local.count(Event::TlsHandshake);
    if session.handshake_kind() == Some(HandshakeKind::Resumed) {
        client.local.count(Event::TlsResumed);
    }
    let name = session.server_name().map(|name| name.to_ascii_lowercase().into());
    let http2 = session.alpn_protocol() == Some(AppProtocol::Http2.word().as_bytes());
    client.secured(Secured { name, served, http2 });
}

fn note(client: &Client, port: &PortRef, failure: &Failure) {
    let reason = match failure {
        // A look whether somebody listens, as balancers have it.
        Failure::Silent => return,
        Failure::NoCertificate => ErrorReason::NoCertificate,
        Failure::Late => ErrorReason::TlsTimeout,
        Failure::NotTls { .. } => ErrorReason::NotTls,
        Failure::Broken(_) => ErrorReason::TlsHandshake,
    };
    if let Failure::Broken(error) = failure {
        tracing::debug!(peer = %client.peer(), port = %port.key, %error, "no TLS session");
    }
    port.counters.count_reason(client.local.lane, reason.index());
}

/// Tells a client that speaks HTTP what it should speak; others are left without a word that they would understand.
async fn turn_away(client: &Client, port: &PortRef, stream: Stream, failure: &Failure) {
    match failure {
        Failure::Silent => {}
        Failure::NotTls { is_http: true } => {
            port.counters.count_code(client.local.lane, ErrorReason::NotTls.status().as_u16());
            client.log_refused(port, ErrorReason::NotTls, true);
            answer_and_close(client, stream, &answer::raw(ErrorReason::NotTls)).await;
        }
        _ => reset(&stream),
    }
}

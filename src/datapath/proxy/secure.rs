//! The beginning of TLS with a client.
//!
//! A client that has not said anything holds nothing but its socket. Its first bytes tell whether it speaks TLS at all;
//! only then a session is made for it, and of such half-made sessions a worker has a bounded number.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use rustls::{HandshakeKind, ServerConnection};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::SemaphorePermit;
use tokio_rustls::{TlsAcceptor, TlsStream, server};

use crate::message::{ErrorReason, is_method_start};
use crate::model::{AppProtocol, ForwardingMethod};
use crate::tls::TlsFront;

use super::answer;
use super::client::{Client, Wait};
use super::ending::{answer_and_close, reset};
use super::local::PortRef;
use super::shared::Event;
use super::stream::Stream;
use super::upstream::Rest;

/// What both sides agreed on.
pub(super) struct Secured {
    /// Who the client asked for (SNI), in lower case.
    pub name: Option<Box<str>>,
    /// What it was served from.
    pub front: Arc<TlsFront>,
    /// HTTP/2 was agreed on.
    pub http2: bool,
}

impl Secured {
    /// Whether the certificate that the client was served is for this host, too.
    pub fn covers(&self, host: &str) -> bool {
        self.front.certificates().cover(self.name.as_deref(), host)
    }
}

/// Sessions in the making at one worker. Each holds some 10 KiB, and a worker finishes some thousands in a second: who
/// comes later waits without any, within the same time.
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
    let Some(Rest { stream: Stream::Plain(mut stream), mut read }) = rest.take() else { return false };
    match open(client, port, &mut stream, &mut read).await {
        Ok((front, permit)) => match accept(client, &front, stream, read).await {
            Ok(session) => {
                drop(permit);
                welcome(client, front, &session);
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

/// Waits for the client's first bytes, and for room for one more session.
async fn open<'a>(
    client: &'a Client,
    port: &PortRef,
    stream: &mut TcpStream,
    read: &mut Bytes,
) -> Result<(Arc<TlsFront>, SemaphorePermit<'a>), Failure> {
    let front = port.tls.clone().ok_or(Failure::NoCertificate)?;
    if read.is_empty() {
        *read = poll_fn(|cx| within(client, cx, |cx| poll_first(client, stream, cx))).await?;
    }
    if read.first() != Some(&HANDSHAKE) {
        return Err(Failure::NotTls {
            is_http: port.settings.method == ForwardingMethod::Http && is_method_start(read),
        });
    }
    let mut permit = pin!(client.local.handshakes().acquire());
    let permit = poll_fn(|cx| {
        within(client, cx, |cx| {
            // It is closed by nobody.
            permit.as_mut().poll(cx).map(|permit| permit.map_err(|_| Failure::Late))
        })
    });
    Ok((front, permit.await?))
}

fn poll_first(client: &Client, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<Result<Bytes, Failure>> {
    let mut scratch = client.local.scratch.borrow_mut();
    let room = scratch.len().min(FIRST);
    let mut buf = ReadBuf::new(scratch.get_mut(..room).unwrap_or_default());
    match ready!(Pin::new(stream).poll_read(cx, &mut buf)) {
        Ok(()) if buf.filled().is_empty() => Poll::Ready(Err(Failure::Silent)),
        Ok(()) => Poll::Ready(Ok(Bytes::copy_from_slice(buf.filled()))),
        Err(error) => Poll::Ready(Err(Failure::Broken(error))),
    }
}

/// Bytes of a first look: a whole first message of any client.
const FIRST: usize = 4096;

async fn accept(
    client: &Client,
    front: &TlsFront,
    stream: TcpStream,
    read: Bytes,
) -> Result<server::TlsStream<TcpStream>, Failure> {
    let acceptor = TlsAcceptor::from(Arc::clone(front.config()));
    let mut accepting = pin!(acceptor.accept_with(stream, |session| feed(session, &read)));
    poll_fn(|cx| within(client, cx, |cx| accepting.as_mut().poll(cx).map(|done| done.map_err(Failure::Broken)))).await
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

fn welcome(client: &Client, front: Arc<TlsFront>, session: &server::TlsStream<TcpStream>) {
    let (_, session) = session.get_ref();
    client.local.count(Event::TlsHandshake);
    if session.handshake_kind() == Some(HandshakeKind::Resumed) {
        client.local.count(Event::TlsResumed);
    }
    let name = session.server_name().map(|name| name.to_ascii_lowercase().into());
    let http2 = session.alpn_protocol() == Some(AppProtocol::Http2.word().as_bytes());
    client.secured(Secured { name, front, http2 });
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

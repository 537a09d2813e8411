//! The client's side of method `http`: hyper's server on one connection, and what hyper does not do.
//!
//! hyper's connection is polled here, not spawned as it is, so that our own timers, a cut and a drain reach it, its own
//! error answers become ours, and its socket can be taken back: for a tunnel, for an answer to half a head, for closing
//! so that the client still gets our last bytes.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, Connection};
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::message::{ConnectionFacts, ErrorReason, Proto};

use super::answer;
use super::body::ResponseBody;
use super::client::{Client, Wait};
use super::exchange::exchange;
use super::local::PortRef;
use super::relay;
use super::shared::Event;
use super::tally::Tally;
use super::upstream::{MAX_BUFFER, Rest, Upstream};

/// One http client's connection, as its exchanges and its driver see it.
pub(super) struct FrontState {
    pub client: Rc<Client>,
    /// As it was when the client came.
    pub port: PortRef,
    pub facts: ConnectionFacts,
    /// A request is being served.
    busy: Cell<bool>,
    /// A response has begun.
    streaming: Cell<bool>,
    /// Bytes came since the last request.
    heard: Cell<bool>,
    /// Everything that was to be written is written, and no request is being served: what hyper writes now is an error
    /// answer of its own.
    quiet: Cell<bool>,
    /// The status of such an answer.
    hyper_said: Cell<Option<Refused>>,
    /// Request bytes may be left unread when the connection is closed.
    unread: Cell<bool>,
    aborted: Cell<bool>,
    tunnel: RefCell<Option<Tunnel>>,
}

/// What is left of an exchange after 101.
pub(super) struct Tunnel {
    pub upstream: Upstream,
    pub tally: Rc<Tally>,
}

#[derive(Clone, Copy)]
struct Refused {
    status: [u8; 3],
}

impl FrontState {
    fn new(client: Rc<Client>, port: PortRef) -> Rc<Self> {
        let facts = ConnectionFacts::new(client.peer.ip(), port.listen, Proto::Http);
        Rc::new(Self {
            client,
            port,
            facts,
            busy: Cell::new(false),
            streaming: Cell::new(false),
            heard: Cell::new(false),
            quiet: Cell::new(true),
            hyper_said: Cell::new(None),
            unread: Cell::new(false),
            aborted: Cell::new(false),
            tunnel: RefCell::new(None),
        })
    }

    /// A request has come.
    pub fn begin(&self) {
        self.busy.set(true);
        self.quiet.set(false);
    }

    /// Its response has begun.
    pub fn stream(&self) {
        self.streaming.set(true);
    }

    /// Its response is handed over; the next request may come.
    pub fn rest(&self, now: Instant, patience: Duration) {
        self.busy.set(false);
        self.streaming.set(false);
        self.heard.set(false);
        self.client.serve_by(None);
        self.client.arm(Wait::Idle, now, patience);
    }

    /// The rest of the request will not be read: the connection ends with the response, and gently, because closing a
    /// socket with unread bytes takes back what is on its way to the client.
    pub fn leave_unread(&self) {
        self.unread.set(true);
    }

    /// The response was broken off.
    pub fn abort(&self) {
        self.aborted.set(true);
    }

    pub fn tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    /// Looks at what hyper does not know of, when hyper has nothing to do.
    fn look(&self) -> Poll<End> {
        if self.client.wait() == Wait::Idle && self.heard.replace(false) {
            // Absolute from the first byte: who sends a byte now and then does not move it.
            self.client.arm(Wait::Head, Instant::now(), self.port.settings.timeouts.head);
        }
        if self.streaming.get() && self.client.take_cut() {
            return Poll::Ready(End::Cut);
        }
        if self.client.take_expired() {
            return Poll::Ready(End::Expired(self.client.wait()));
        }
        Poll::Pending
    }
}

/// How hyper's part of a connection ended.
enum End {
    Done,
    Failed(hyper::Error),
    /// While hyper was not listening to the exchange, or there was none.
    Expired(Wait),
    Cut,
}

type Front = Connection<TokioIo<Wire>, Desk>;

/// Serves one http client until its connection ends.
pub(super) async fn serve(client: Rc<Client>, port: PortRef, stream: TcpStream) {
    let state = FrontState::new(client, port);
    state.client.arm(Wait::Idle, Instant::now(), state.port.settings.timeouts.idle);
    let wire = Wire { stream, state: Rc::clone(&state) };
    let mut connection = builder().serve_connection(TokioIo::new(wire), Desk(Rc::clone(&state)));
    let end = drive(&state, &mut connection).await;
    let parts = connection.into_parts();
    let rest = Rest { stream: parts.io.into_inner().stream, read: parts.read_buf };
    // The exchange is over, whatever it was doing: its guards have to end now, not after the client has gone.
    drop(parts.service);
    finish(&state, end, rest).await;
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    // Our timers measure heads; the others have been chosen for memory (see MAX_REQUEST_HEAD) and speed.
    builder.header_read_timeout(None).max_buf_size(MAX_BUFFER).max_header_size(MAX_REQUEST_HEAD);
    builder
}

/// Bytes of a request's head: four times what browsers and servers agree on for cookies, as much as HAProxy's and nginx's
/// defaults together. Beyond it 431.
const MAX_REQUEST_HEAD: usize = 32 * 1024;

async fn drive(state: &FrontState, connection: &mut Front) -> End {
    let draining = &state.client.local.draining;
    if draining.get() {
        // Taken from the queue of a listener that is closing: its request may be here already, but only the next look at
        // the event queue says so.
        tokio::task::yield_now().await;
    }
    let mut told = false;
    poll_fn(|cx| {
        state.client.listen(cx);
        loop {
            match Pin::new(&mut *connection).poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(End::Done),
                Poll::Ready(Err(error)) => return Poll::Ready(End::Failed(error)),
                Poll::Pending if draining.get() && !told => {
                    // hyper had its look for a request, so an idle connection is closed and nothing that came is lost.
                    told = true;
                    Pin::new(&mut *connection).graceful_shutdown();
                }
                Poll::Pending => return state.look(),
            }
        }
    })
    .await
}

async fn finish(state: &FrontState, end: End, rest: Rest) {
    let client = &state.client;
    match end {
        End::Done => {
            let tunnel = state.tunnel.borrow_mut().take();
            match tunnel {
                Some(tunnel) => relay::tunnel(client, tunnel, rest).await,
                None if state.unread.get() => linger(client, rest.stream).await,
                None => {}
            }
        }
        End::Failed(error) => failed(state, &error, rest).await,
        End::Expired(Wait::Head) => refuse(state, ErrorReason::HeadTimeout, rest).await,
        End::Expired(Wait::Idle) => client.local.count(Event::IdleClosed),
        End::Expired(_) => {
            client.local.count(Event::Stalled);
            reset(&rest.stream);
        }
        End::Cut => {
            state.port.counters.count_reason(client.local.lane, ErrorReason::ServerDown.index());
            reset(&rest.stream);
        }
    }
}

async fn failed(state: &FrontState, error: &hyper::Error, rest: Rest) {
    if let Some(refused) = state.hyper_said.get() {
        tracing::debug!(peer = %state.client.peer, port = %state.port.key, error = %error, "request refused");
        return refuse(state, refused.reason(), rest).await;
    }
    if state.aborted.get() {
        return reset(&rest.stream);
    }
    if state.busy.get() {
        state.client.local.count(Event::ClientGone);
    }
}

impl Refused {
    fn reason(self) -> ErrorReason {
        match &self.status {
            b"414" => ErrorReason::UriTooLong,
            b"431" => ErrorReason::HeadTooLarge,
            _ => ErrorReason::BadRequest,
        }
    }
}

/// Answers a head that hyper could not make a request of.
async fn refuse(state: &FrontState, reason: ErrorReason, mut rest: Rest) {
    let lane = state.client.local.lane;
    state.port.counters.count_reason(lane, reason.index());
    state.port.counters.count_code(lane, reason.status().as_u16());
    // A client that has not taken its last response would take this for a part of it.
    if !state.quiet.get() {
        return reset(&rest.stream);
    }
    // The socket's buffer is empty here, so this takes one write; a client that is gone needs no answer.
    if rest.stream.write_all(&answer::raw(reason)).await.is_ok() {
        linger(&state.client, rest.stream).await;
    }
}

/// Closes our side and reads what the client still sends, so that the kernel does not answer it with a reset, which would
/// take our last answer back. Bounded in bytes and time: this is a courtesy.
async fn linger(client: &Client, mut stream: TcpStream) {
    client.arm(Wait::Linger, Instant::now(), LINGER);
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut left = LINGER_BYTES;
    poll_fn(|cx| {
        client.listen(cx);
        loop {
            let mut scratch = client.local.scratch.borrow_mut();
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => left = left.saturating_sub(buf.filled().len()),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if client.take_expired() => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
            if left == 0 {
                return Poll::Ready(());
            }
        }
    })
    .await;
}

const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;

/// The client shall know that its answer is not whole, even if the answer ends with the connection.
pub(super) fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "cannot reset a connection");
    }
}

/// hyper's way to an exchange.
struct Desk(Rc<FrontState>);

impl Service<Request<Incoming>> for Desk {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.0.begin();
        let state = Rc::clone(&self.0);
        Box::pin(async move { Ok(exchange(state, request).await) })
    }
}

/// The client's socket. hyper never closes it: that is done here, when the last bytes are out.
struct Wire {
    stream: TcpStream,
    state: Rc<FrontState>,
}

impl Wire {
    /// Keeps an error answer of hyper's from the client, which gets ours instead.
    fn swallow(&self, bytes: &[u8]) {
        if self.state.hyper_said.get().is_none() {
            let mut status = *b"400";
            if let Some(said) = bytes.get(9..12) {
                status.copy_from_slice(said);
            }
            self.state.hyper_said.set(Some(Refused { status }));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.state.heard.set(true);
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.state.quiet.get() {
            self.swallow(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.state.quiet.get() {
            self.swallow(slices.first().map_or(&[], |first| &**first));
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper comes here when all that it had is written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.state.busy.get() {
            self.state.quiet.set(true);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

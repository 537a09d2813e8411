//! The client's side of method `http`: hyper's server on one connection, and what hyper does not do.
//!
//! hyper's connection is polled here, not spawned as it is, so that our own timers, a cut and a drain reach it, its own
//! error answers become ours, and its socket can be taken back: for a tunnel, for an answer to half a head, for closing
//! so that the client still gets our last bytes.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, Connection};
use hyper::service::Service;
use hyper_util::rt::TokioIo;

use crate::accesslog;
use crate::executor::{PortTable, RequestView};
use crate::message::{ConnectionFacts, ErrorReason};
use crate::model::{Misdirected, Timeouts};

use super::client::{Client, Wait};
use super::download::ResponseBody;
use super::ending::{End, finish};
use super::exchange::Exchange;
use super::local::PortRef;
use super::request_body::RequestBody;
use super::secure::HANDSHAKE;
use super::shared::Event;
use super::stream::Stream;
use super::tally::Tally;
use super::upload::Upload;
use super::upstream::{Rest, Upstream};
use super::wire::Wire;

/// One http client's connection, as its exchanges and its driver see it. It is there as long as hyper is.
pub(super) struct FrontState {
    pub client: Rc<Client>,
    /// As it was when the client came.
    pub port: PortRef,
    pub facts: Rc<ConnectionFacts>,
    /// When the last request was over; before the first one, when the client came.
    rested: Cell<Instant>,
    /// A request is being served.
    busy: Cell<bool>,
    /// A response has begun.
    streaming: Cell<bool>,
    /// Bytes came since the last request.
    heard: Cell<bool>,
    /// The first of them.
    begins: Cell<u8>,
    /// Everything that was to be written is written, and no request is being served: what hyper writes now is an error
    /// answer of its own.
    quiet: Cell<bool>,
    /// What such an answer said.
    hyper_said: Cell<Option<ErrorReason>>,
    /// Request bytes may be left unread when the connection is closed.
    unread: Cell<bool>,
    aborted: Cell<bool>,
    tunnel: RefCell<Option<Tunnel>>,
    upload: RefCell<Option<Rc<Upload>>>,
    /// Bytes of a response that are taken from its server at a time.
    most_read: Cell<usize>,
    /// The last `Host` that the client's certificate was found to cover.
    covered: RefCell<Option<HeaderValue>>,
}

/// What is left of an exchange after 101.
pub(super) struct Tunnel {
    pub upstream: Upstream,
    pub tally: Rc<Tally>,
}

impl FrontState {
    fn new(client: Rc<Client>, port: PortRef, rested: Instant) -> Rc<Self> {
        let facts = ConnectionFacts::new(client.peer().ip(), client.destination(&port), client.proto());
        Self::of(client, port, Rc::new(facts), rested)
    }

    /// Of one request among several of a connection.
    pub fn of_stream(client: Rc<Client>, port: PortRef, facts: Rc<ConnectionFacts>) -> Rc<Self> {
        Self::of(client, port, facts, Instant::now())
    }

    fn of(client: Rc<Client>, port: PortRef, facts: Rc<ConnectionFacts>, rested: Instant) -> Rc<Self> {
        Rc::new(Self {
            client,
            port,
            facts,
            rested: Cell::new(rested),
            busy: Cell::new(false),
            streaming: Cell::new(false),
            heard: Cell::new(false),
            begins: Cell::new(0),
            quiet: Cell::new(true),
            hyper_said: Cell::new(None),
            unread: Cell::new(false),
            aborted: Cell::new(false),
            tunnel: RefCell::new(None),
            upload: RefCell::new(None),
            most_read: Cell::new(usize::MAX),
            covered: RefCell::new(None),
        })
    }

    /// Whether the request is for a host that the certificate served does not cover. Names that share a certificate share
    /// connections (RFC 9113 9.1.1), so it is the certificate that counts and not the name that was asked for.
    pub fn is_misdirected(&self, port: &PortTable, request: &RequestView<'_>) -> bool {
        let Some(tls) = self.client.tls().filter(|_| port.settings.misdirected == Misdirected::Refuse) else {
            return false;
        };
        // A client's requests are mostly for one host.
        let field = request.fields.get(HOST);
        if field.is_some() && *self.covered.borrow() == field.cloned() {
            return false;
        }
        let is_misdirected = !tls.covers(request.host());
        if !is_misdirected {
            *self.covered.borrow_mut() = field.cloned();
        }
        is_misdirected
    }

    /// A request has come.
    pub fn begin(&self) {
        self.busy.set(true);
        self.quiet.set(false);
    }

    /// Its body, which the connection's driver carries on.
    pub fn upload(&self, upload: Option<Rc<Upload>>) {
        *self.upload.borrow_mut() = upload;
    }

    /// Whether the body waits for the server's word.
    pub fn holds_upload(&self) -> bool {
        self.upload.borrow().as_ref().is_some_and(|upload| upload.is_held())
    }

    /// Carries the body on while something else is waited for.
    pub fn pump_upload(&self, cx: &mut Context<'_>) {
        if let Some(upload) = &*self.upload.borrow() {
            let _moved = upload.pump(cx);
        }
    }

    /// From now on so much of a response is taken from its server at a time.
    pub fn read_at_most(&self, bytes: usize) {
        self.most_read.set(bytes);
    }

    pub fn most_read(&self) -> usize {
        self.most_read.get()
    }

    /// Its response has begun.
    pub fn stream(&self) {
        self.streaming.set(true);
    }

    /// Its response is handed over; the next request may come.
    pub fn rest(&self, now: Instant, timeouts: &Timeouts) {
        self.rested.set(now);
        self.busy.set(false);
        self.streaming.set(false);
        self.heard.set(false);
        self.upload(None);
        self.client.serve_by(None);
        self.client.log_end(now, accesslog::End::Complete);
        self.client.arm(Wait::Idle, now, timeouts.until_parked());
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

    pub fn has_tunnel(&self) -> bool {
        self.tunnel.borrow().is_some()
    }

    pub fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.borrow_mut().take()
    }

    pub fn is_busy(&self) -> bool {
        self.busy.get()
    }

    pub fn is_aborted(&self) -> bool {
        self.aborted.get()
    }

    pub fn leaves_unread(&self) -> bool {
        self.unread.get()
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet.get()
    }

    pub fn hyper_said(&self) -> Option<ErrorReason> {
        self.hyper_said.get()
    }

    /// Bytes came, this one first.
    pub fn hear(&self, first: Option<&u8>) {
        if !self.heard.replace(true) {
            self.begins.set(first.copied().unwrap_or_default());
        }
    }

    /// What hyper could not read may be the beginning of a TLS session.
    pub fn sounds_like_tls(&self) -> bool {
        self.begins.get() == HANDSHAKE && self.client.tls().is_none()
    }

    /// Whether bytes came that no request was made of yet.
    pub fn has_heard(&self) -> bool {
        self.heard.get()
    }

    /// All that hyper had for the client is written.
    pub fn flushed(&self) {
        if !self.busy.get() {
            self.quiet.set(true);
        }
    }

    /// Keeps an error answer of hyper's from the client, which gets ours instead.
    pub fn swallow(&self, bytes: &[u8]) {
        if self.hyper_said.get().is_some() {
            return;
        }
        self.hyper_said.set(Some(match bytes.get(9..12) {
            Some(b"414") => ErrorReason::UriTooLong,
            Some(b"431") => ErrorReason::HeadTooLarge,
            _ => ErrorReason::BadRequest,
        }));
    }

    /// Nothing is on its way to or from the client, so that hyper's side of the connection is empty.
    fn is_silent(&self) -> bool {
        !self.busy.get() && self.quiet.get() && !self.heard.get()
    }

    /// Looks at what hyper does not know of, when hyper has nothing to do.
    fn look(&self) -> Poll<End> {
        if self.client.wait() == Wait::Unread && self.quiet.get() {
            self.client.arm(Wait::Idle, Instant::now(), self.port.settings.timeouts.until_parked());
        }
        if matches!(self.client.wait(), Wait::Idle | Wait::Unread) && self.heard.replace(false) {
            // Absolute from the first byte: who sends a byte now and then does not move it.
            self.client.arm(Wait::Head, Instant::now(), self.port.settings.timeouts.head);
        }
        if self.streaming.get() && self.client.take_cut() {
            return Poll::Ready(End::Cut);
        }
        if self.client.take_expired() {
            return Poll::Ready(match self.client.wait() {
                Wait::Idle if self.is_silent() => End::Silent,
                // It has not taken its last response. That is no silence that could be parked.
                Wait::Idle => {
                    self.client.arm(Wait::Unread, self.rested.get(), self.port.settings.timeouts.idle);
                    return Poll::Pending;
                }
                wait => End::Expired(wait),
            });
        }
        Poll::Pending
    }
}

type Front = Connection<TokioIo<Wire>, Desk>;

/// Serves one http client until its connection ends.
///
/// hyper is there while the client has something to say or to hear, and for a moment after; a client that is silent
/// longer is parked. It begins parked, because a connection may be opened long before its first request.
pub(super) async fn serve(client: &Rc<Client>, port: &PortRef, rest: &mut Option<Rest>) {
    let mut rested = Instant::now();
    // The beginning of a head that came behind the last request is not silence: hyper gets it back, and its clock runs.
    while let Some(Rest { stream, read }) = rest
        && (!read.is_empty() || park(client, port, stream, rested).await)
        && let Some(speaking) = rest.take()
    {
        let Some((silent, since)) = Box::pin(attend(client, port, speaking, rested)).await else { return };
        if silent.read.is_empty() {
            client.local.parked();
        }
        (*rest, rested) = (Some(silent), since);
    }
}

/// Serves a client that speaks until it is silent: what is left then, and since when. `None`: the connection is over.
async fn attend(client: &Rc<Client>, port: &PortRef, rest: Rest, rested: Instant) -> Option<(Rest, Instant)> {
    let state = FrontState::new(Rc::clone(client), port.clone(), rested);
    let wire = Wire { stream: rest.stream, early: rest.read, state: Rc::clone(&state) };
    let mut connection =
        builder(port.settings.limits.head).serve_connection(TokioIo::new(wire), Desk(Rc::clone(&state)));
    let end = drive(&state, &mut connection).await;
    let parts = connection.into_parts();
    // An empty slice would hold the memory of the whole buffer.
    let read = if parts.read_buf.is_empty() { Bytes::new() } else { parts.read_buf };
    let rest = Rest { stream: parts.io.into_inner().stream, read };
    // The exchange is over, whatever it was doing: its guards have to end now, not after the client has gone.
    drop(parts.service);
    if matches!(end, End::Silent) {
        return Some((rest, state.rested.get()));
    }
    finish(&state, end, rest).await;
    None
}

/// Waits for a silent client to speak, holding nothing but the socket. `false`: its time is over, or the worker drains.
async fn park(client: &Client, port: &PortRef, stream: &Stream, rested: Instant) -> bool {
    client.arm(Wait::Parked, rested, port.settings.timeouts.idle);
    let mut spoken = poll_fn(|cx| poll_spoken(client, stream, cx)).await;
    if !spoken && client.local.draining.get() {
        // A request may be here already, but only the next look at the event queue says so.
        tokio::task::yield_now().await;
        spoken = poll_fn(|cx| poll_spoken(client, stream, cx)).await;
    }
    // What came is the beginning of a head, or the end of the connection; hyper tells.
    client.arm(Wait::Idle, Instant::now(), port.settings.timeouts.until_parked());
    spoken
}

fn poll_spoken(client: &Client, stream: &Stream, cx: &mut Context<'_>) -> Poll<bool> {
    client.listen(cx);
    if stream.has_early() || stream.tcp().is_none_or(|stream| stream.poll_read_ready(cx).is_ready()) {
        return Poll::Ready(true);
    }
    if client.local.draining.get() {
        return Poll::Ready(false);
    }
    if client.take_expired() {
        client.local.count(Event::IdleClosed);
        return Poll::Ready(false);
    }
    Poll::Pending
}

fn builder(most_head: usize) -> Builder {
    let mut builder = Builder::new();
    // Our timers measure heads; the others have been chosen for memory and speed.
    builder.header_read_timeout(None).max_buf_size(MAX_BUFFER).max_header_size(most_head);
    builder
}

/// Bytes that wait in each direction between reading and writing. Larger reads save system calls for large bodies; a slow
/// reader holds at most this much on each side. No head may be larger.
const MAX_BUFFER: usize = 128 * 1024;

async fn drive(state: &FrontState, connection: &mut Front) -> End {
    let draining = &state.client.local.draining;
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
                Poll::Pending => {
                    // hyper asks for nothing while it waits for the client to take a response; the request goes on.
                    state.pump_upload(cx);
                    return state.look();
                }
            }
        }
    })
    .await
}

/// hyper's way to an exchange.
struct Desk(Rc<FrontState>);

/// What hyper polls for the answer to one request.
type Answering = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>>>>;

impl Service<Request<Incoming>> for Desk {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        self.0.begin();
        match Exchange::begin(&self.0, request.map(RequestBody::Http1)) {
            Ok(exchange) => Box::pin(exchange.answer()),
            Err(refused) => Box::pin(ready(Ok(*refused))),
        }
    }
}

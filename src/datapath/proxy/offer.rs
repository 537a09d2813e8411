//! One attempt to have a server answer a request.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::response::Parts;
use hyper::ext::ReasonPhrase;

use crate::executor::{Event, Phase, ServerIndex, verdict};
use crate::message::codec::{self, write_request};
use crate::message::{ErrorReason, PrivateFacts, PrivateFields, write_private};
use crate::model::{AppProtocol, ServerId};
use crate::tls::ServerLink;

use super::announce::announce;
use super::client::{Client, Wait};
use super::connecting::{NoConnection, connect};
use super::exchange::{Exchange, Offered};
use super::http2_line::Trunk;
use super::line::LineFault;
use super::pool::Wanted;
use super::secure_server::{link_of, secure};
use super::shared::Event as ProxyEvent;
use super::stream::Stream;
use super::tally::{Chosen, NotBegun, Tally};
use super::upload::{Progress, Upload};
use super::upstream::Upstream;

/// A server that began to answer.
pub(super) struct Answered {
    pub head: Parts,
    pub upstream: Upstream,
    pub tally: Rc<Tally>,
}

/// A server that did not.
pub(super) struct Failure {
    pub reason: ErrorReason,
    /// Another server may be asked: this one did nothing, or doing it again does no harm.
    pub elsewhere: bool,
    /// It let us wait.
    pub timed_out: bool,
}

impl Failure {
    fn for_good(reason: ErrorReason) -> Self {
        Self { reason, elsewhere: false, timed_out: false }
    }
}

impl Answered {
    /// The server itself says that another one had better be asked.
    pub fn is_unavailable(&self) -> bool {
        self.head.status == StatusCode::SERVICE_UNAVAILABLE
    }
}

/// Why a request that was given to a connection has no response.
pub(super) enum Silence {
    /// Not a byte of it was sent.
    Unsent,
    /// The connection ended without a byte of a response.
    Closed,
    /// What came is not a response.
    Garbage,
    /// The extended handshake was not answered.
    Handshake,
    /// The connection ended before it was.
    StaleHandshake,
    /// The client's own body broke off.
    BadBody,
    Timeout(ErrorReason),
    Cut,
}

/// For the server's word on `Expect: 100-continue`; then the body goes without it, as clients do too (RFC 9110 10.1.1).
const CONTINUE: Duration = Duration::from_secs(1);

impl Exchange {
    /// Offers the request to this server: over a connection that waits in the pool, or over a new one.
    pub async fn offer(&mut self, chosen: Chosen) -> Result<Answered, Offered> {
        let tally = match Tally::begin(&self.port, chosen, self.local().lane) {
            Ok(tally) => Rc::new(tally),
            Err(NotBegun::Full) => return Err(Offered::Full),
            Err(NotBegun::NoServer) => return Err(Offered::Failed(Failure::for_good(ErrorReason::NoServer))),
        };
        self.attempt(chosen.server, tally).await.map_err(Offered::Failed)
    }

    async fn attempt(&mut self, index: ServerIndex, tally: Rc<Tally>) -> Result<Answered, Failure> {
        let entry = tally.server().and_then(|server| Some((server, server.address?)));
        let Some((server, address)) = entry else {
            return Err(self.blame(ErrorReason::Unresolved, Event::NotReached, &tally));
        };
        let id = server.id;
        self.front.client.serve_by(Some(id));
        self.front.client.log_offer(&self.port, index);
        if !self.may_repeat(&tally) {
            // There is no second try for this one, so the pool had better know of every server that has hung up: one look
            // at the event queue tells.
            tokio::task::yield_now().await;
        }
        let now = self.now();
        tally.ask(now);
        let wanted = Wanted { server: id, address, link: server.tls.as_ref(), owner: self.owner() };
        if let Some(upstream) = self.idle(&wanted, server.proxied().http2, now) {
            self.local().count(ProxyEvent::PoolHit);
            self.front.client.log_reused();
            match self.send(&upstream, &tally, now).await {
                Ok(head) => return Ok(Answered { head, upstream, tally }),
                // The server closed it while the request was on its way there, as servers do with idle connections. That
                // is nobody's failure; a fresh connection tells what the server is up to.
                // Nor was anything of the request sent before the extended handshake was answered.
                Err(Silence::Unsent | Silence::StaleHandshake) => self.local().count(ProxyEvent::PoolStale),
                Err(Silence::Closed) if self.may_repeat(&tally) => self.local().count(ProxyEvent::PoolStale),
                Err(silence) => return Err(self.judge(silence, &tally)),
            }
        }
        // Boxed because it is rare: what is awaited here would else be room in the future of every request.
        Box::pin(self.offer_fresh(id, address, tally)).await
    }

    /// A connection that stands: the one by which the server knows this client, else one for everybody.
    fn idle(&self, wanted: &Wanted<'_>, http2: bool, now: Instant) -> Option<Upstream> {
        let pool = &self.local().pool;
        // Whose credentials are for a whole connection does not bring them to one that others use at the same time.
        let joined = || if http2 && !self.authenticates { pool.join(wanted, now) } else { None };
        let own = self.front.client.take_bound(wanted);
        own.or_else(joined).or_else(|| pool.take(wanted, now))
    }

    async fn offer_fresh(&self, id: ServerId, address: SocketAddr, tally: Rc<Tally>) -> Result<Answered, Failure> {
        self.local().count(ProxyEvent::PoolMiss);
        let upstream = match self.open(id, address, &tally).await {
            Ok(upstream) => upstream,
            Err(NoConnection::Failed(reason)) => return Err(self.blame(reason, Event::NotReached, &tally)),
            Err(NoConnection::Exhausted) => return Err(Failure::for_good(ErrorReason::Overloaded)),
            // Nothing was sent, so whatever it is may go elsewhere.
            Err(NoConnection::Cut) => {
                return Err(Failure { reason: ErrorReason::ServerDown, elsewhere: true, timed_out: false });
            }
        };
        let born = upstream.born;
        tally.ask(born);
        match self.send(&upstream, &tally, born).await {
            Ok(head) => Ok(Answered { head, upstream, tally }),
            Err(silence) => Err(self.judge(silence, &tally)),
        }
    }

    async fn open(&self, id: ServerId, address: SocketAddr, tally: &Tally) -> Result<Upstream, NoConnection> {
        let local = self.local();
        let link = tally.server().map_or(Ok(None), link_of)?;
        let begun = Instant::now();
        let patience = self.connect_patience(tally);
        let mut stream = match connect(&self.front.client, address, begun, patience).await {
            Err(NoConnection::Exhausted) => {
                // Idle connections can be spared for one that is needed.
                local.pool.clear();
                tokio::task::yield_now().await;
                connect(&self.front.client, address, begun, patience).await?
            }
            other => other?,
        };
        announce(&self.front.client, &self.port, &mut stream).await?;
        let stream = secure(&self.front.client, link, stream).await?;
        let upstream = if speaks_http2(tally, &stream) {
            self.begin_http2(id, address, link, stream).await?
        } else {
            Upstream::new(id, address, stream, link, self.owner())
        };
        tally.record(Phase::Connect, begun, upstream.born);
        self.front.client.log_connected(upstream.born.saturating_duration_since(begun));
        Ok(upstream)
    }

    async fn begin_http2(
        &self,
        id: ServerId,
        address: SocketAddr,
        link: Option<&Arc<ServerLink>>,
        stream: Stream,
    ) -> Result<Upstream, NoConnection> {
        let patience = self.port.settings.timeouts.pool;
        let trunk = Trunk::open(&self.front.client, address, link, stream, patience).await?;
        // One that begins with a client's PROXY header, or gets its credentials, is for that client's request alone.
        if self.owner().is_none() && !self.authenticates {
            self.local().pool.share(id, &trunk);
            self.local().expect_sweep(trunk.born);
        }
        Ok(Upstream::on(&trunk, id))
    }

    /// Where connections to servers begin by saying whom they are for: their client.
    fn owner(&self) -> Option<&Rc<Client>> {
        self.port.settings.sendproxy.map(|_| &self.front.client)
    }

    /// Sends the request and waits for the head of its response.
    async fn send(&self, upstream: &Upstream, tally: &Rc<Tally>, now: Instant) -> Result<Parts, Silence> {
        // A connection of several requests is known to be there.
        let is_alone = upstream.channel().line().is_some();
        if is_alone && tally.server().is_some_and(|server| server.proxied().extended_handshake) {
            // Boxed because it is rare.
            Box::pin(self.shake_hands(upstream, tally, now)).await?;
        }
        if let Some(upload) = &self.upload {
            upload.0.direct(upstream.shared(), tally, self.server_patience(tally));
        }
        self.await_server(tally, now);
        let before = Counts::of(upstream);
        let mut is_given = false;
        let head = poll_fn(|cx| {
            if !std::mem::replace(&mut is_given, true) {
                self.give(upstream, tally, cx);
            }
            match self.poll_answer(upstream, tally, cx) {
                Poll::Pending => self.poll_patience(tally, cx),
                ready => ready,
            }
        })
        .await;
        let head = head.map_err(|silence| before.judge(silence, upstream, self.upload()));
        if matches!(head, Err(Silence::Timeout(ErrorReason::ServerTimeout))) {
            upstream.channel().distrust();
        }
        if let (Err(_), Some(upload)) = (&head, self.upload()) {
            upload.detach();
        }
        head
    }

    /// Hands the request's head to the line. That of a request with a body waits there for the body's beginning.
    fn give(&self, upstream: &Upstream, tally: &Tally, cx: &mut Context<'_>) {
        let mut spare = self.local().spare.borrow_mut();
        spare.head.clear();
        let private = |out: &mut Vec<u8>| self.write_private(tally, out);
        write_request(self.outgoing(), self.introduction, &self.front.facts, private, &mut spare.head);
        if let Err(error) = upstream.channel().give(cx, &spare.head, self.upload.is_some()) {
            // Reading tells what became of the connection: a server that has hung up may have said why.
            tracing::debug!(address = %upstream.address, %error, "cannot send a request");
        }
    }

    /// The head of the final response, if it has come; carries the request on meanwhile.
    fn poll_answer(&self, upstream: &Upstream, tally: &Tally, cx: &mut Context<'_>) -> Poll<Result<Parts, Silence>> {
        match self.upload() {
            Some(upload) => {
                let _moved = upload.pump(cx);
                if upload.progress() == Progress::Broken {
                    return Poll::Ready(Err(Silence::BadBody));
                }
            }
            None => {
                let _written = upstream.channel().poll_flush(cx);
            }
        }
        loop {
            let read = {
                let mut scratch = self.local().scratch.borrow_mut();
                let mut spare = self.local().spare.borrow_mut();
                ready!(upstream.channel().poll_head(cx, &mut scratch, &mut spare.fields))
            };
            match read {
                Ok(read) if read.head.status == StatusCode::CONTINUE => self.heard_continue(tally, cx),
                // Others than 101 cannot be passed on through hyper; a final response follows (RFC 9110 15.2).
                Ok(read) if is_interim(read.head.status) => {}
                Ok(read) => return Poll::Ready(Ok(with_reason(read))),
                Err(fault) => return Poll::Ready(Err(Silence::from(fault))),
            }
        }
    }

    fn heard_continue(&self, tally: &Tally, cx: &mut Context<'_>) {
        if let Some(upload) = self.upload()
            && upload.is_held()
        {
            upload.open_gate();
            self.await_server(tally, Instant::now());
            let _moved = upload.pump(cx);
        }
    }

    /// Whether the wait is over although nothing has come.
    fn poll_patience(&self, tally: &Tally, cx: &mut Context<'_>) -> Poll<Result<Parts, Silence>> {
        let client = &self.front.client;
        if client.take_cut() {
            return Poll::Ready(Err(Silence::Cut));
        }
        if !client.take_expired() {
            return Poll::Pending;
        }
        if client.wait() == Wait::Continue {
            self.heard_continue(tally, cx);
            return Poll::Pending;
        }
        Poll::Ready(Err(Silence::Timeout(self.late())))
    }

    /// Starts the clock for what comes next: the client's body, or the server's word.
    fn await_server(&self, tally: &Tally, now: Instant) {
        let timeouts = &self.port.settings.timeouts;
        let is_gated = self.upload().is_some_and(Upload::is_held);
        let is_uploading = self.upload().is_some_and(|upload| upload.progress() != Progress::Done);
        let (wait, patience) = match (is_gated, is_uploading) {
            (true, _) => (Wait::Continue, CONTINUE),
            (false, true) => (Wait::Body, timeouts.body),
            (false, false) => (Wait::Server, self.server_patience(tally)),
        };
        self.front.client.arm(wait, now, patience);
    }

    /// Who let us wait.
    fn late(&self) -> ErrorReason {
        let starved = |upload: &Upload| upload.progress() != Progress::Done && upload.is_starved();
        if self.upload().is_some_and(starved) { ErrorReason::BodyTimeout } else { ErrorReason::ServerTimeout }
    }

    /// What follows from a request that was given to a connection in vain.
    fn judge(&self, silence: Silence, tally: &Tally) -> Failure {
        let (reason, event) = match silence {
            Silence::Unsent => (ErrorReason::ServerClosed, Event::Unsent),
            Silence::Closed => (ErrorReason::ServerClosed, Event::Closed),
            Silence::Garbage => (ErrorReason::BadResponse, Event::Nonsense),
            Silence::Handshake | Silence::StaleHandshake => (ErrorReason::HandshakeFailed, Event::HandshakeFailed),
            Silence::BadBody if self.upload().is_some_and(Upload::is_too_large) => {
                (ErrorReason::BodyTooLarge, Event::Client)
            }
            Silence::BadBody => (ErrorReason::BadBody, Event::Client),
            Silence::Timeout(ErrorReason::BodyTimeout) => (ErrorReason::BodyTimeout, Event::Client),
            Silence::Timeout(reason) => (reason, Event::TimedOut),
            Silence::Cut => (ErrorReason::ServerDown, Event::Cut),
        };
        self.blame(reason, event, tally)
    }

    /// What follows from this failure, for the request and for its server.
    pub fn blame(&self, reason: ErrorReason, event: Event, tally: &Tally) -> Failure {
        let marks_on_timeout = tally.server().is_some_and(|server| server.proxied().marks_on_timeout);
        let (verdict, newly) = tally.judge(event, self.situation(marks_on_timeout), Instant::now());
        if newly {
            self.local().count(ProxyEvent::MarkedDown);
        }
        Failure { reason, elsewhere: verdict.elsewhere, timed_out: event == Event::TimedOut }
    }

    /// Whether the request could be given to another connection after this one took it and said nothing.
    fn may_repeat(&self, tally: &Tally) -> bool {
        verdict(tally.policy(), Event::Closed, self.situation(false)).elsewhere
    }

    fn connect_patience(&self, tally: &Tally) -> Duration {
        let own = tally.server().and_then(|server| server.proxied().connect_timeout);
        own.unwrap_or(self.port.settings.timeouts.connect)
    }

    pub fn server_patience(&self, tally: &Tally) -> Duration {
        let own = tally.server().and_then(|server| server.proxied().server_timeout);
        own.unwrap_or(self.port.settings.timeouts.server)
    }

    fn write_private(&self, tally: &Tally, out: &mut Vec<u8>) {
        if !tally.server().is_some_and(|server| server.proxied().private_headers) {
            return;
        }
        let view = self.view();
        let facts = PrivateFacts {
            client: self.address,
            proto: self.front.facts.proto(),
            is_old: self.is_old,
            host: view.host(),
            port: view.port(),
            partitions: self.port.counters.partitions().version(),
            failed_over: self.has_failed_over(),
        };
        write_private(self.private.as_deref().unwrap_or(&PrivateFields::new()), facts, out);
    }
}

/// Whether what was agreed on is HTTP/2; without TLS it is known beforehand.
fn speaks_http2(tally: &Tally, stream: &Stream) -> bool {
    let is_wanted = tally.server().is_some_and(|server| server.proxied().http2);
    is_wanted && stream.agreed().is_none_or(|protocol| protocol == AppProtocol::Http2.word().as_bytes())
}

/// What a connection had carried before a request.
struct Counts {
    sent: u64,
    received: u64,
}

impl Counts {
    fn of(upstream: &Upstream) -> Self {
        let channel = upstream.channel();
        Self { sent: channel.sent(), received: channel.received() }
    }

    /// A connection that ended before it took or gave a byte has not cost the request anything.
    fn judge(&self, silence: Silence, upstream: &Upstream, upload: Option<&Upload>) -> Silence {
        let now = Self::of(upstream);
        match silence {
            Silence::Closed if now.received > self.received => Silence::Garbage,
            Silence::Closed if now.sent == self.sent && upload.is_none_or(Upload::is_whole) => Silence::Unsent,
            silence => silence,
        }
    }
}

impl From<LineFault> for Silence {
    fn from(fault: LineFault) -> Self {
        if fault.is_nonsense() { Self::Garbage } else { Self::Closed }
    }
}

pub(super) fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// The head with the server's own words after the status, if they are not the usual ones.
fn with_reason(read: codec::Read) -> Parts {
    let codec::Read { mut head, reason, .. } = read;
    if let Some(reason) = reason.and_then(|reason| ReasonPhrase::try_from(reason).ok()) {
        head.extensions.insert(reason);
    }
    head
}

//! One attempt to have a server answer a request.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::net::TcpStream;

use crate::executor::{Phase, ServerIndex};
use crate::message::ErrorReason;
use crate::model::ServerId;

use super::accept::is_exhaustion;
use super::cargo::Cargo;
use super::client::{Client, Wait};
use super::exchange::Exchange;
use super::shared::Event;
use super::tally::Tally;
use super::upload::{Progress, RequestBody, Upload};
use super::upstream::Upstream;

/// A server that began to answer.
pub(super) struct Answered {
    pub response: Response<Incoming>,
    pub upstream: Upstream,
    pub tally: Rc<Tally>,
}

/// A server that did not.
pub(super) struct Failure {
    pub reason: ErrorReason,
    /// Another server may be asked: this one did nothing, or doing it again does no harm.
    pub elsewhere: bool,
}

/// Why a request that was given to a connection has no response.
enum Silence {
    /// It was never sent; the cargo has it again.
    Unsent,
    /// The connection ended without a byte of a response.
    Closed,
    /// What came is not a response.
    Garbage,
    /// The client's own body broke off.
    BadBody,
    Timeout(ErrorReason),
    Cut,
}

/// Why there is no connection.
pub(super) enum NoConnection {
    Failed(ErrorReason),
    /// Our own file descriptors or memory are used up; no server is to blame.
    Exhausted,
    Cut,
}

/// For the server's word on `Expect: 100-continue`; then the body goes without it, as clients do too (RFC 9110 10.1.1).
const CONTINUE: Duration = Duration::from_secs(1);

impl Exchange {
    /// Offers the request to this server: over a connection that waits in the pool, or over a new one.
    pub async fn offer(&mut self, index: ServerIndex, cargo: &mut Cargo) -> Result<Answered, Failure> {
        let lane = self.local().lane;
        let nobody = Failure { reason: ErrorReason::NoServer, elsewhere: false };
        let tally = Rc::new(Tally::begin(&self.port, index, lane).ok_or(nobody)?);
        let (id, address) = tally.server().map_or((ServerId(0), None), |server| (server.id, server.address));
        let Some(address) = address else {
            tally.failed();
            return Err(Failure { reason: ErrorReason::Unresolved, elsewhere: true });
        };
        self.front.client.serve_by(Some(id));
        self.front.client.log_offer(&self.port, index);
        if let Some(upload) = &self.upload {
            upload.count_for(&tally);
        }
        if !self.replayable {
            // There is no second try for this one, so the pool had better know of every server that has hung up: one look
            // at the event queue tells.
            tokio::task::yield_now().await;
        }
        let now = if self.is_first_offer() { self.started } else { Instant::now() };
        if let Some(mut upstream) = self.local().pool.take(id, address, now) {
            self.local().count(Event::PoolHit);
            self.front.client.log_reused();
            match self.send(&mut upstream, cargo, now).await {
                Ok(response) => return Ok(Answered { response, upstream, tally }),
                // The server closed it while the request was on its way there, as servers do with idle connections. That
                // is nobody's failure; a fresh connection tells what the server is up to.
                Err(Silence::Unsent) => self.local().count(Event::PoolStale),
                Err(Silence::Closed) if self.replayable => self.local().count(Event::PoolStale),
                Err(silence) => return Err(self.blame(silence, &tally)),
            }
        }
        // Boxed because it is rare: what is awaited here would else be room in the future of every request.
        Box::pin(self.offer_fresh(id, address, tally, cargo)).await
    }

    async fn offer_fresh(
        &self,
        id: ServerId,
        address: SocketAddr,
        tally: Rc<Tally>,
        cargo: &mut Cargo,
    ) -> Result<Answered, Failure> {
        self.local().count(Event::PoolMiss);
        let mut upstream = match self.open(id, address, &tally).await {
            Ok(upstream) => upstream,
            Err(NoConnection::Failed(reason)) => {
                tally.failed();
                return Err(Failure { reason, elsewhere: true });
            }
            Err(NoConnection::Exhausted) => return Err(Failure { reason: ErrorReason::Overloaded, elsewhere: false }),
            Err(NoConnection::Cut) => return Err(Failure { reason: ErrorReason::ServerDown, elsewhere: true }),
        };
        let born = upstream.born;
        match self.send(&mut upstream, cargo, born).await {
            Ok(response) => Ok(Answered { response, upstream, tally }),
            Err(silence) => Err(self.blame(silence, &tally)),
        }
    }

    async fn open(&self, id: ServerId, address: SocketAddr, tally: &Tally) -> Result<Upstream, NoConnection> {
        let local = self.local();
        let begun = Instant::now();
        let stream = match connect(&self.front.client, address, begun, self.port.settings.timeouts.connect).await {
            Err(NoConnection::Exhausted) => {
                // Idle connections can be spared for one that is needed.
                local.pool.clear();
                tokio::task::yield_now().await;
                connect(&self.front.client, address, begun, self.port.settings.timeouts.connect).await?
            }
            other => other?,
        };
        let started = Upstream::start(local, id, address, stream).await;
        let upstream = started.map_err(|_| NoConnection::Failed(ErrorReason::Unreachable))?;
        tally.record(Phase::Connect, begun, upstream.born);
        self.front.client.log_connected(upstream.born.saturating_duration_since(begun));
        Ok(upstream)
    }

    /// Sends the request and waits for the head of its response.
    async fn send(
        &self,
        upstream: &mut Upstream,
        cargo: &mut Cargo,
        now: Instant,
    ) -> Result<Response<Incoming>, Silence> {
        let client = &self.front.client;
        let request = cargo.take().ok_or(Silence::BadBody)?;
        self.await_server(now, cargo.gate().is_some());
        let before = upstream.received();
        let mut sending = pin!(upstream.send(request));
        let sent = poll_fn(|cx| {
            if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
                return Poll::Ready(Ok(sent));
            }
            if client.take_cut() {
                return Poll::Ready(Err(Silence::Cut));
            }
            if !client.take_expired() {
                return Poll::Pending;
            }
            match cargo.gate() {
                Some(gate) if client.wait() == Wait::Continue => {
                    self.await_server(Instant::now(), false);
                    gate.open();
                    Poll::Pending
                }
                _ => Poll::Ready(Err(Silence::Timeout(self.late()))),
            }
        })
        .await?;
        let spoke = upstream.received() > before;
        sent.map_err(|error| silence(error, spoke, cargo))
    }

    /// Starts the clock for what comes next: the client's body, or the server's word.
    fn await_server(&self, now: Instant, is_gated: bool) {
        let timeouts = &self.port.settings.timeouts;
        let is_uploading = self.upload.as_ref().is_some_and(|upload| upload.progress() != Progress::Done);
        let (wait, patience) = match (is_gated, is_uploading) {
            (true, _) => (Wait::Continue, CONTINUE),
            (false, true) => (Wait::Body, timeouts.body),
            (false, false) => (Wait::Server, timeouts.server),
        };
        self.front.client.arm(wait, now, patience);
    }

    /// Who let us wait.
    fn late(&self) -> ErrorReason {
        let starved = |upload: &Upload| upload.progress() != Progress::Done && upload.is_starved();
        if self.upload.as_ref().is_some_and(|upload| starved(upload)) {
            ErrorReason::BodyTimeout
        } else {
            ErrorReason::ServerTimeout
        }
    }

    fn blame(&self, silence: Silence, tally: &Tally) -> Failure {
        let (reason, elsewhere) = match silence {
            Silence::Unsent => (ErrorReason::ServerClosed, true),
            Silence::Closed => (ErrorReason::ServerClosed, self.replayable),
            Silence::Garbage => (ErrorReason::BadResponse, false),
            Silence::BadBody => (ErrorReason::BadBody, false),
            Silence::Timeout(reason) => (reason, false),
            Silence::Cut => (ErrorReason::ServerDown, self.replayable),
        };
        if !matches!(reason, ErrorReason::BadBody | ErrorReason::BodyTimeout | ErrorReason::ServerDown) {
            tally.failed();
        }
        Failure { reason, elsewhere }
    }
}

fn silence(mut error: TrySendError<Request<RequestBody>>, spoke: bool, cargo: &mut Cargo) -> Silence {
    if let Some(unsent) = error.take_message() {
        cargo.came_back(unsent);
        return Silence::Unsent;
    }
    let error = error.into_error();
    if error.is_user() {
        Silence::BadBody
    } else if spoke {
        Silence::Garbage
    } else {
        Silence::Closed
    }
}

/// Opens a connection, unless that takes too long or its server is taken down meanwhile.
pub(super) async fn connect(
    client: &Client,
    address: SocketAddr,
    begun: Instant,
    patience: Duration,
) -> Result<TcpStream, NoConnection> {
    client.arm(Wait::Connect, begun, patience);
    let mut connecting = pin!(TcpStream::connect(address));
    let connected = poll_fn(|cx| {
        if let Poll::Ready(connected) = connecting.as_mut().poll(cx) {
            return Poll::Ready(connected.map_err(no_connection));
        }
        if client.take_cut() {
            return Poll::Ready(Err(NoConnection::Cut));
        }
        if client.take_expired() {
            return Poll::Ready(Err(NoConnection::Failed(ErrorReason::ConnectTimeout)));
        }
        Poll::Pending
    });
    let stream = connected.await?;
    // Without it a small request may wait for the acknowledgement of the one before. Who cannot set it can still serve.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "cannot set TCP_NODELAY");
    }
    Ok(stream)
}

fn no_connection(error: io::Error) -> NoConnection {
    if is_exhaustion(&error) {
        return NoConnection::Exhausted;
    }
    NoConnection::Failed(match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorReason::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorReason::ConnectTimeout,
        _ => ErrorReason::Unreachable,
    })
}

//! What a connection tells the access log of the exchange that it is in.
//!
//! A client has one exchange at a time, so its draft hangs at the [`Client`], and whoever learns something of the exchange
//! notes it there. Where the port does not log there is no draft, and each note is one look at nothing. A draft becomes a
//! record when the exchange ends; one whose end nobody noted, when the client is dropped: one line for each request, whatever
//! becomes of it.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use http::header::{HOST, REFERER, USER_AGENT};
use http::{HeaderName, Uri};

use crate::accesslog::{End, Kind, Line, Record, Request, Server, Text, Upstream, Version};
use crate::executor::ServerIndex;
use crate::message::ErrorReason;
use crate::model::{AccessLogFormat, AccessLogId, ForwardingMethod};

use super::client::Client;
use super::local::{Local, PortRef};

/// A client's exchange, as far as it has come.
#[derive(Default)]
pub(super) struct Journal(RefCell<Option<Box<Draft>>>);

/// What is known of it. Kept by the worker and used again.
pub(super) struct Draft {
    port: PortRef,
    to: (AccessLogId, AccessLogFormat),
    began: Instant,
    request: Request,
    /// The one that was asked last, in the table that it was chosen from.
    server: Option<(PortRef, ServerIndex)>,
    kind: Kind,
    client: IpAddr,
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    uploaded: Option<Duration>,
    sent: u64,
    received: u64,
    status: u16,
    attempts: u16,
    error: Option<ErrorReason>,
    upstream: Upstream,
}

impl Journal {
    fn note(&self, note: impl FnOnce(&mut Draft)) {
        if let Some(draft) = self.0.borrow_mut().as_deref_mut() {
            note(draft);
        }
    }
}

impl Client {
    /// A request has come, and is still as the client sent it.
    pub fn log_request<B>(&self, port: &PortRef, began: Instant, request: &http::Request<B>) {
        let Some(to) = port.accesslog else { return };
        let mut draft = draft(&self.local, self.peer(), port, to, began);
        draft.request.version = version(request.version());
        put_head(&mut draft.request, request);
        self.begin(draft);
    }

    /// A connection of a `tcp` port.
    pub fn log_connection(&self, port: &PortRef, began: Instant) {
        let Some(to) = port.accesslog else { return };
        let mut draft = draft(&self.local, self.peer(), port, to, began);
        draft.kind = Kind::Tcp;
        self.begin(draft);
    }

    /// A head that is no request, or none that came in time, is answered for this reason, or not any more.
    pub fn log_refused(&self, port: &PortRef, reason: ErrorReason, is_answered: bool) {
        log_rejected(&self.local, port, self.peer(), reason, is_answered);
    }

    /// Who asks, behind the proxies that we trust.
    pub fn log_address(&self, address: IpAddr) {
        self.journal.note(|draft| draft.client = address);
    }

    /// The exchange is offered to this server.
    pub fn log_offer(&self, port: &PortRef, server: ServerIndex) {
        self.journal.note(|draft| {
            draft.attempts = draft.attempts.saturating_add(1);
            draft.server = Some((port.clone(), server));
            draft.upstream = Upstream::None;
        });
    }

    /// It goes over a connection that was kept.
    pub fn log_reused(&self) {
        self.journal.note(|draft| draft.upstream = Upstream::Reused);
    }

    /// It goes over a connection that took this long.
    pub fn log_connected(&self, took: Duration) {
        self.journal.note(|draft| {
            draft.upstream = Upstream::New;
            draft.connect = Some(took);
        });
    }

    /// The client is answered with this status.
    pub fn log_status(&self, status: u16) {
        self.journal.note(|draft| draft.status = status);
    }

    /// A server's response has begun.
    pub fn log_response(&self, status: u16, now: Instant) {
        self.journal.note(|draft| {
            draft.status = status;
            draft.first_byte = Some(now.saturating_duration_since(draft.began));
        });
    }

    /// What the Tsuji-Error field says, or would say.
    pub fn log_error(&self, reason: ErrorReason) {
        self.journal.note(|draft| draft.error = Some(reason));
    }

    pub fn log_sent(&self, bytes: usize) {
        self.journal.note(|draft| draft.sent += bytes as u64);
    }

    pub fn log_received(&self, bytes: usize) {
        self.journal.note(|draft| draft.received += bytes as u64);
    }

    /// The request's body is here as a whole.
    pub fn log_uploaded(&self) {
        self.journal.note(|draft| draft.uploaded = Some(draft.began.elapsed()));
    }

    /// From now on the bytes are a tunnel's.
    pub fn log_tunnel(&self) {
        self.journal.note(|draft| draft.kind = Kind::Tunnel);
    }

    /// The exchange is over. Nothing happens if it was before, or there is none.
    pub fn log_end(&self, now: Instant, end: End) {
        let draft = self.journal.0.borrow_mut().take();
        if let Some(draft) = draft {
            enter(&self.local, self.peer(), draft, now, end);
        }
    }

    /// As [`Self::log_end`], for an exchange that ended for this reason.
    pub fn log_broken(&self, now: Instant, end: End, reason: ErrorReason) {
        self.log_error(reason);
        self.log_end(now, end);
    }

    fn begin(&self, draft: Box<Draft>) {
        // One before it that nobody ended did not go well.
        let before = self.journal.0.borrow_mut().replace(draft);
        if let Some(before) = before {
            enter(&self.local, self.peer(), before, Instant::now(), End::ClientGone);
        }
    }
}

/// A client, or a head that is no request, is turned away for this reason; a line tells of that alone.
pub(super) fn log_rejected(local: &Local, port: &PortRef, peer: SocketAddr, reason: ErrorReason, is_answered: bool) {
    let Some(to) = port.accesslog else { return };
    let now = Instant::now();
    let mut draft = draft(local, peer, port, to, now);
    draft.error = Some(reason);
    if is_answered {
        draft.status = reason.status().as_u16();
        draft.sent = reason.body().len() as u64;
    }
    if port.settings.method == ForwardingMethod::Tcp {
        draft.kind = Kind::Tcp;
    }
    enter(local, peer, draft, now, if is_answered { End::Complete } else { End::Refused });
}

fn draft(
    local: &Local,
    peer: SocketAddr,
    port: &PortRef,
    to: (AccessLogId, AccessLogFormat),
    began: Instant,
) -> Box<Draft> {
    match local.ledger.take_draft() {
        Some(mut draft) => {
            let mut request = std::mem::take(&mut draft.request);
            request.clear();
            *draft = Draft::new(port.clone(), to, began, peer.ip(), request);
            draft
        }
        None => Box::new(Draft::new(port.clone(), to, began, peer.ip(), Request::default())),
    }
}

impl Draft {
    fn new(
        port: PortRef,
        to: (AccessLogId, AccessLogFormat),
        began: Instant,
        client: IpAddr,
        request: Request,
    ) -> Self {
        Self {
            port,
            to,
            began,
            request,
            server: None,
            kind: Kind::Http,
            client,
            connect: None,
            first_byte: None,
            uploaded: None,
            sent: 0,
            received: 0,
            status: 0,
            attempts: 0,
            error: None,
            upstream: Upstream::None,
        }
    }
}

/// An exchange whose end nobody noted: the client's connection ended first, or we did.
impl Drop for Client {
    fn drop(&mut self) {
        let end = if std::thread::panicking() {
            End::Fault
        } else if self.local.draining.get() {
            End::Stopped
        } else {
            End::ClientGone
        };
        self.log_end(Instant::now(), end);
    }
}

fn enter(local: &Local, peer: SocketAddr, draft: Box<Draft>, now: Instant, end: End) {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let line = Line {
        file: draft.to.0,
        format: draft.to.1,
        kind: draft.kind,
        began: local.ledger.time_of(draft.began),
        total: micros(now.saturating_duration_since(draft.began)),
        connect: draft.connect.map(micros),
        first_byte: draft.first_byte.map(micros),
        request: draft.uploaded.map(micros),
        sent: draft.sent,
        received: draft.received,
        status: draft.status,
        attempts: draft.attempts,
        error: draft.error,
        end,
        upstream: draft.upstream,
        client: draft.client,
        peer,
        port: draft.port.key.port.get(),
    };
    let entry = draft.server.as_ref().and_then(|(port, index)| port.server(*index));
    let server =
        entry.and_then(|server| Some(Server { name: server.name.as_str().as_bytes(), address: server.address? }));
    let record = Record::new(line, draft.port.key.cluster.as_str().as_bytes(), server, &draft.request);
    if local.ledger.enter(&record, now) {
        local.expect_look(now);
    }
    local.ledger.keep_draft(draft);
}

fn version(version: http::Version) -> Version {
    match version {
        http::Version::HTTP_11 => Version::Http11,
        http::Version::HTTP_10 => Version::Http10,
        http::Version::HTTP_2 => Version::Http2,
        _ => Version::Other,
    }
}

fn put_head<B>(texts: &mut Request, request: &http::Request<B>) {
    texts.put(Text::Method, &[request.method().as_str().as_bytes()]);
    put_target(texts, request.uri());
    let mut field = |text: Text, name: HeaderName| {
        if let Some(value) = request.headers().get(name) {
            texts.put(text, &[value.as_bytes()]);
        }
    };
    field(Text::Host, HOST);
    field(Text::Referer, REFERER);
    field(Text::Agent, USER_AGENT);
}

/// As the client wrote it: a path, a whole URL for a proxy, or an authority.
fn put_target(texts: &mut Request, uri: &Uri) {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    match (uri.scheme_str(), uri.authority()) {
        (None, None) => texts.put(Text::Target, &[path.as_bytes()]),
        (scheme, authority) => {
            let (scheme, separator) = scheme.map_or(("", ""), |scheme| (scheme, "://"));
            let authority = authority.map_or("", |authority| authority.as_str());
            texts.put(Text::Target, &[scheme, separator, authority, path].map(str::as_bytes));
        }
    }
}

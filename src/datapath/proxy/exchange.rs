//! One request of an http client, from its head to the answer that it gets.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::executor::{Phase, Refusal, ServerIndex, Turn};
use crate::message::{
    Body, ClientView, ErrorReason, RequestFacts, Upgrade, client_address, examine_request, examine_response,
    is_idempotent, prepare_request, strip_response,
};
use crate::model::ServerId;

use super::answer;
use super::body::{Download, Gate, Progress, RequestBody, ResponseBody, Running, Upload};
use super::choice::{Asker, choose};
use super::client::Wait;
use super::front::{FrontState, Tunnel};
use super::local::{Local, PortRef};
use super::offer::{Answered, Cargo, Failure};

/// What a request needs until its response begins.
pub(super) struct Exchange {
    pub front: Rc<FrontState>,
    pub port: PortRef,
    pub started: Instant,
    /// The client behind the proxies that we trust.
    address: IpAddr,
    method: Method,
    uri: Uri,
    /// It may be sent again: it has no body and doing it twice is doing it once.
    pub replayable: bool,
    upgrade: Option<Upgrade>,
    pub upload: Option<Rc<Upload>>,
    /// By identity, because the next attempt may see another table.
    tried: Vec<ServerId>,
}

/// Answers one request.
pub(super) async fn exchange(front: Rc<FrontState>, request: Request<Incoming>) -> Response<ResponseBody> {
    let started = Instant::now();
    let Some(port) = front.client.local.port(front.client.port) else {
        // The port was removed while this client was connected.
        let response = refuse(&front, &front.port, started, request.method(), ErrorReason::NoServer);
        return closing(response);
    };
    port.counters.count_request(front.client.local.lane);
    let (head, incoming) = request.into_parts();
    let facts = match examine_request(&head) {
        Ok(facts) => facts,
        Err(reason) => return refuse(&front, &port, started, &head.method, reason),
    };
    let (exchange, cargo) = Exchange::new(&front, &port, started, head, facts, incoming);
    let response = exchange.run(cargo).await;
    port.counters.count_code(front.client.local.lane, response.status().as_u16());
    response
}

/// Answers a request that goes nowhere, and ends the connection: what follows it cannot be trusted.
fn refuse(
    front: &FrontState,
    port: &PortRef,
    now: Instant,
    method: &Method,
    reason: ErrorReason,
) -> Response<ResponseBody> {
    tracing::debug!(port = %port.key, peer = %front.client.peer, %reason, "request refused");
    let (lane, response) = (front.client.local.lane, reason.answer(method));
    port.counters.count_reason(lane, reason.index());
    port.counters.count_code(lane, response.status().as_u16());
    front.leave_unread();
    front.rest(now, port.settings.timeouts.idle);
    answer::own(response)
}

fn closing(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(CONNECTION, CLOSE);
    response
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");

impl Exchange {
    fn new(
        front: &Rc<FrontState>,
        port: &PortRef,
        started: Instant,
        mut head: Parts,
        facts: RequestFacts,
        incoming: Incoming,
    ) -> (Self, Cargo) {
        let settings = &port.settings;
        let view = ClientView { connection: &front.facts, trusted: &settings.trusted, forwarded: settings.forwarded };
        let address = client_address(&view, &head.headers);
        let upgrade = Upgrade::asked(&head, &facts, &settings.upgrade);
        let (method, uri) = (head.method.clone(), head.uri.clone());
        prepare_request(&mut head, &facts, &view, upgrade.as_ref());
        // hyper's own note about an upgrade does not belong to the server's connection.
        head.extensions.clear();
        let has_body = facts.body() != Body::None;
        let replayable = !has_body && is_idempotent(&method);
        let gate = facts.expects_continue().then(Arc::<Gate>::default);
        let timeouts = &settings.timeouts;
        let upload = has_body.then(|| Upload::new(&front.client, timeouts.body, timeouts.server, gate.clone()));
        let cargo = match &upload {
            None if replayable => Cargo::Replayable(head),
            None => Cargo::once(head, RequestBody::none(), None),
            Some(upload) => Cargo::once(head, RequestBody::new(incoming, Rc::clone(upload)), gate),
        };
        let exchange = Self {
            front: Rc::clone(front),
            port: port.clone(),
            started,
            address,
            method,
            uri,
            replayable,
            upgrade,
            upload,
            tried: Vec::new(),
        };
        (exchange, cargo)
    }

    pub fn local(&self) -> &Rc<Local> {
        &self.front.client.local
    }

    /// Offers the request to one server after the other until one answers.
    async fn run(mut self, mut cargo: Cargo) -> Response<ResponseBody> {
        let mut last = None;
        loop {
            let index = match self.choose(Turn::Take) {
                Ok(index) => index,
                Err(refusal) => return self.sorry(refusal, last, cargo).await,
            };
            let Failure { reason, elsewhere } = match self.offer(index, &mut cargo).await {
                Ok(answered) => return self.forward(answered, cargo).await,
                Err(failure) => failure,
            };
            if !elsewhere || !cargo.is_there() {
                return self.fail(reason, cargo).await;
            }
            self.tried.extend(self.port.server(index).map(|server| server.id));
            if self.tried.len() > self.port.settings.retries as usize {
                return self.give_up(reason, cargo).await;
            }
            self.port.counters.count_retry(self.local().lane);
            last = Some(reason);
        }
    }

    fn choose(&mut self, turn: Turn) -> Result<ServerIndex, Refusal> {
        if !self.tried.is_empty() {
            // Some time has passed; what has been published since (a server taken down, say) holds for the next attempt.
            if let Some(newest) = self.local().port(self.front.client.port) {
                self.port = newest;
            }
        }
        let asker = Asker { client: &self.front.client, address: self.address, now: self.started };
        choose(&asker, &self.port, &self.tried, turn)
    }

    /// No more attempts. Where nobody is left who could be asked, the port itself answers.
    async fn give_up(mut self, reason: ErrorReason, cargo: Cargo) -> Response<ResponseBody> {
        match self.choose(Turn::Peek) {
            Err(refusal) => self.sorry(refusal, Some(reason), cargo).await,
            Ok(_) => self.fail(reason, cargo).await,
        }
    }

    /// Nobody can answer, so the port does. Where servers were tried, the reason says what became of that.
    async fn sorry(self, refusal: Refusal, last: Option<ErrorReason>, cargo: Cargo) -> Response<ResponseBody> {
        let reason = match refusal {
            Refusal::EmptyRule(_) => ErrorReason::RefusedByRule,
            Refusal::NoServers | Refusal::AllDown | Refusal::AllTried => last.unwrap_or(ErrorReason::NoServer),
        };
        let response = self.port.sorry.answer(reason, &self.method, self.uri.path());
        self.own(reason, response, cargo).await
    }

    async fn fail(self, reason: ErrorReason, cargo: Cargo) -> Response<ResponseBody> {
        let response = reason.answer(&self.method);
        self.own(reason, response, cargo).await
    }

    /// An answer of ours. What the client still wants to send is read if it is here already; else the connection ends,
    /// because nobody may know where its next request begins.
    async fn own(self, reason: ErrorReason, response: Response<Bytes>, cargo: Cargo) -> Response<ResponseBody> {
        tracing::debug!(port = %self.port.key, client = %self.address, %reason, "answered by ourselves");
        self.port.counters.count_reason(self.local().lane, reason.index());
        let mut response = answer::own(response);
        let is_read = match &self.upload {
            None => true,
            Some(upload) if upload.progress() == Progress::Done => true,
            Some(_) => match cargo.into_untouched() {
                Some(incoming) => drain(incoming).await,
                None => false,
            },
        };
        if !is_read {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        if !is_read || reason.closes() {
            self.front.leave_unread();
        }
        self.front.rest(Instant::now(), self.port.settings.timeouts.idle);
        response
    }

    /// Passes a server's response on.
    async fn forward(self, answered: Answered, cargo: Cargo) -> Response<ResponseBody> {
        let Answered { response, upstream, tally } = answered;
        let now = Instant::now();
        let (mut head, incoming) = response.into_parts();
        let facts = match examine_response(&head, self.upgrade.as_ref()) {
            Ok(facts) => facts,
            Err(fault) => {
                tracing::debug!(port = %self.port.key, server = %upstream.address, %fault, "bad response");
                tally.failed();
                drop((upstream, tally));
                return self.fail(fault.into(), cargo).await;
            }
        };
        tally.record(Phase::FirstByte, self.started, now);
        tally.responded(head.status.as_u16());
        strip_response(&mut head.headers, &facts);
        let reusable = head.version == Version::HTTP_11;
        head.version = Version::HTTP_11;
        if facts.switches() {
            let patience = self.port.settings.timeouts.stale;
            self.front.client.arm(Wait::Stale, now, patience);
            self.front.tunnel(Tunnel { upstream, tally });
            return Response::from_parts(head, ResponseBody::Own(None));
        }
        let uploading = self.upload.as_ref().is_some_and(|upload| upload.progress() != Progress::Done);
        if uploading {
            // The server has answered before it has read everything. It may read on while its response runs; when that
            // is over, what is left of the request is of no use to anybody.
            head.headers.insert(CONNECTION, CLOSE);
            self.front.leave_unread();
        }
        let running =
            Running { front: self.front, upstream, tally, upload: self.upload, started: self.started, reusable };
        if incoming.is_end_stream() {
            running.end(now);
            return Response::from_parts(head, ResponseBody::Own(None));
        }
        running.begin(now);
        Response::from_parts(head, ResponseBody::Server(Download::new(incoming, running)))
    }
}

/// Reads what is already here of a body that nobody wants. Whether that was all of it.
async fn drain(incoming: Incoming) -> bool {
    let mut incoming = pin!(incoming);
    let mut left = DRAIN_BYTES;
    poll_fn(|cx| {
        loop {
            if incoming.is_end_stream() {
                return Poll::Ready(true);
            }
            match incoming.as_mut().poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Ok(frame))) => {
                    left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                    if left == 0 {
                        return Poll::Ready(false);
                    }
                }
                Poll::Ready(Some(Err(_))) | Poll::Pending => return Poll::Ready(false),
            }
        }
    })
    .await
}

/// Of an unwanted body; more is not worth a kept connection.
const DRAIN_BYTES: usize = 64 * 1024;

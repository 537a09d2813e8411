//! What becomes of an exchange: a server's response passed on, or an answer of ours.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, SET_COOKIE};
use http::response::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version};
use http_body::Body as _;

use crate::executor::{Event, GroupTable, NotTaken, Phase};
use crate::message::{ErrorReason, Proto, edit_fields, examine_response, strip_response, take_private};

use super::answer;
use super::client::{Client, Wait};
use super::download::{ResponseBody, Running};
use super::exchange::Exchange;
use super::front::{FrontState, Tunnel};
use super::local::PortRef;
use super::offer::Answered;
use super::request_body::RequestBody;
use super::shared::Event as ProxyEvent;
use super::tally::Tally;
use super::upload::Progress;

/// An answer of ours and why it is given.
pub(super) struct Own {
    /// `None`: it is no error, as a redirect.
    pub reason: Option<ErrorReason>,
    pub response: Response<Bytes>,
}

/// Answers a request that goes nowhere and ends the connection: what follows it cannot be trusted.
pub(super) fn refuse(
    front: &FrontState,
    port: &PortRef,
    now: Instant,
    method: &Method,
    reason: ErrorReason,
) -> Response<ResponseBody> {
    tracing::debug!(port = %port.key, peer = %front.client.peer(), %reason, "request refused");
    let (lane, response) = (front.client.local.lane, port.sorry.error(reason, method));
    port.counters.count_reason(lane, reason.index());
    port.counters.count_code(lane, response.status().as_u16());
    log_own(&front.client, Some(reason), &response);
    front.leave_unread();
    front.rest(now, &port.settings.timeouts);
    answer::own(response)
}

fn log_own(client: &Client, reason: Option<ErrorReason>, response: &Response<Bytes>) {
    client.log_status(response.status().as_u16());
    if let Some(reason) = reason {
        client.log_error(reason);
    }
    client.log_sent(response.body().len());
}

/// [`refuse`] for a reason that does not close by itself.
pub(super) fn refuse_and_close(
    front: &FrontState,
    port: &PortRef,
    now: Instant,
    method: &Method,
    reason: ErrorReason,
) -> Response<ResponseBody> {
    let mut response = refuse(front, port, now, method, reason);
    response.headers_mut().insert(CONNECTION, CLOSE);
    response
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");

impl Exchange {
    /// Passes a server's response on.
    pub fn forward(&mut self, answered: Answered) -> Result<Response<ResponseBody>, Box<Own>> {
        let Answered { mut head, mut upstream, tally } = answered;
        let now = Instant::now();
        let facts = match examine_response(&head, self.upgrade.as_ref()) {
            Ok(facts) => facts,
            Err(fault) => {
                tracing::debug!(port = %self.port.key, server = %upstream.address, %fault, "bad response");
                let failure = self.blame(fault.into(), Event::Nonsense, &tally);
                return Err(self.failed(failure.reason));
            }
        };
        // A server that says it is unavailable has not shown that it is in order again.
        if head.status != StatusCode::SERVICE_UNAVAILABLE {
            tally.succeeded(self.started, now);
        }
        self.follow_session(&mut head, &tally, now);
        tally.record(Phase::FirstByte, self.started, now);
        tally.responded(head.status.as_u16());
        self.port.counters.count_code(self.local().lane, head.status.as_u16());
        self.front.client.log_response(head.status.as_u16(), now);
        strip_response(&mut head.headers, &facts);
        self.edit_response(&mut head);
        head.version = Version::HTTP_11;
        let request_fields = std::mem::take(&mut self.head.headers);
        self.local().spare.borrow_mut().recycle(request_fields);
        if facts.switches() {
            self.front.client.log_tunnel();
            self.front.client.arm(Wait::Stale, now, self.port.settings.timeouts.stale);
            self.front.tunnel(Tunnel { upstream, tally });
            return Ok(Response::from_parts(head, ResponseBody::Own(None)));
        }
        if self.upload().is_some_and(|upload| upload.progress() != Progress::Done) {
            // The server has answered before it has read everything. It may read on while its response runs; when that
            // is over, what is left of the request is of no use to anybody.
            head.headers.insert(CONNECTION, CLOSE);
            self.front.leave_unread();
        }
        upstream.channel().expect(facts.length(&self.head.method));
        if self.authenticates || facts.challenges_connection() {
            upstream.bind();
        }
        let (front, upload) = (Rc::clone(&self.front), self.upload.take());
        upload.iter().for_each(|upload| upload.0.forget());
        let reusable = facts.keeps_alive();
        let running = Running { front, upstream, tally, upload, started: self.started, reusable };
        Ok(Response::from_parts(head, running.into_body(now)))
    }

    fn edit_response(&self, head: &mut Parts) {
        edit_fields(&mut head.headers, &self.port.settings.response_edits);
        if let Some(route) = self.route() {
            edit_fields(&mut head.headers, &route.settings().response_edits);
        }
    }

    /// What the response tells of its session, and what we tell the client of its server.
    fn follow_session(&self, head: &mut Parts, tally: &Tally, now: Instant) {
        if tally.server().is_some_and(|server| server.proxied().private_headers) {
            self.take_partitions(head);
        }
        let Some(sessions) = tally.port.group(tally.group).and_then(GroupTable::sessions) else { return };
        if !sessions.inserts() && !sessions.reads_responses() {
            return;
        }
        // A sorry or overflow server shall not keep whom it got.
        let Some(server) = tally.server().filter(|server| server.sticky) else { return };
        let route = self.route();
        sessions.learn(route, &head.headers, server, now);
        if let Some((name, value)) = sessions.to_insert(&self.view(), route, tally.index()) {
            let secure = if self.front.facts.proto() == Proto::Https { "; Secure" } else { "" };
            let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                head.headers.append(SET_COOKIE, cookie);
            }
        }
    }

    /// A WebSphere server's private fields are for us alone: who has which partition now.
    fn take_partitions(&self, head: &mut Parts) {
        let fields = take_private(&mut head.headers);
        let value =
            |wanted: &str| fields.iter().find(|(name, _)| name.as_str() == wanted).map(|(_, value)| value.as_bytes());
        let (Some(version), Some(table)) = (value("_ws_haprt_wlmversion"), value("$wspt")) else { return };
        if let Err(fault @ (NotTaken::Malformed | NotTaken::TooLarge)) =
            self.port.counters.partitions().learn(version, table)
        {
            tracing::debug!(port = %self.port.key, ?fault, "a server's partition table is not taken");
            self.local().count(ProxyEvent::BadPartitionTable);
        }
    }

    /// An answer of ours. What the client still wants to send is read if it is here already; else the connection ends,
    /// because nobody may know where its next request begins.
    pub async fn own(self, own: Own) -> Response<ResponseBody> {
        let Own { reason, response } = own;
        if let Some(reason) = reason {
            tracing::debug!(port = %self.port.key, client = %self.address, %reason, "answered by ourselves");
            self.port.counters.count_reason(self.local().lane, reason.index());
        }
        self.port.counters.count_code(self.local().lane, response.status().as_u16());
        log_own(&self.front.client, reason, &response);
        let mut response = answer::own(response);
        let is_read = match self.upload() {
            None => true,
            Some(upload) if upload.progress() == Progress::Done => true,
            Some(upload) => match upload.take_untouched() {
                Some(incoming) => drain(incoming).await,
                None => false,
            },
        };
        if !is_read {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        if !is_read || reason.is_some_and(ErrorReason::closes) {
            self.front.leave_unread();
        }
        self.front.rest(Instant::now(), &self.port.settings.timeouts);
        response
    }
}

/// Reads what is already here of a body that nobody wants. Whether that was all of it.
async fn drain(incoming: RequestBody) -> bool {
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

//! What becomes of an exchange: a server's response passed on, or an answer of ours.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Method, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::executor::Phase;
use crate::message::{ErrorReason, examine_response, strip_response};

use super::answer;
use super::client::{Client, Wait};
use super::download::{ResponseBody, Running};
use super::exchange::Exchange;
use super::front::{FrontState, Tunnel};
use super::local::PortRef;
use super::offer::Answered;
use super::upload::Progress;

/// An answer of ours and why it is given.
pub(super) struct Own {
    pub reason: ErrorReason,
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
    let (lane, response) = (front.client.local.lane, reason.answer(method));
    port.counters.count_reason(lane, reason.index());
    port.counters.count_code(lane, response.status().as_u16());
    log_own(&front.client, reason, &response);
    front.leave_unread();
    front.rest(now, &port.settings.timeouts);
    answer::own(response)
}

fn log_own(client: &Client, reason: ErrorReason, response: &Response<Bytes>) {
    client.log_status(response.status().as_u16());
    client.log_error(reason);
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
        let Answered { mut head, upstream, tally } = answered;
        let now = Instant::now();
        let facts = match examine_response(&head, self.upgrade.as_ref()) {
            Ok(facts) => facts,
            Err(fault) => {
                tracing::debug!(port = %self.port.key, server = %upstream.address, %fault, "bad response");
                tally.failed();
                return Err(self.failed(fault.into()));
            }
        };
        tally.record(Phase::FirstByte, self.started, now);
        tally.responded(head.status.as_u16());
        self.port.counters.count_code(self.local().lane, head.status.as_u16());
        self.front.client.log_response(head.status.as_u16(), now);
        strip_response(&mut head.headers, &facts);
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
        upstream.line().expect(facts.length(&self.head.method));
        let (front, upload) = (Rc::clone(&self.front), self.upload.take());
        let reusable = facts.keeps_alive();
        let running = Running { front, upstream, tally, upload, started: self.started, reusable };
        Ok(Response::from_parts(head, running.into_body(now)))
    }

    /// An answer of ours. What the client still wants to send is read if it is here already; else the connection ends,
    /// because nobody may know where its next request begins.
    pub async fn own(self, own: Own) -> Response<ResponseBody> {
        let Own { reason, response } = own;
        tracing::debug!(port = %self.port.key, client = %self.address, %reason, "answered by ourselves");
        self.port.counters.count_reason(self.local().lane, reason.index());
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
        if !is_read || reason.closes() {
            self.front.leave_unread();
        }
        self.front.rest(Instant::now(), &self.port.settings.timeouts);
        response
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

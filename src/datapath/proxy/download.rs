//! What a client gets: a server's response, frame by frame and never gathered, or an answer of ours.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::accesslog::End;
use crate::executor::Phase;
use crate::message::{ErrorReason, clean_trailers};

use super::client::Wait;
use super::front::FrontState;
use super::line::LineFault;
use super::shared::Event;
use super::tally::Tally;
use super::upload::{Progress, Uploading};
use super::upstream::Upstream;

/// The body of a response to a client.
pub(super) enum ResponseBody {
    /// An answer of ours, or none.
    Own(Option<Bytes>),
    Server(Download),
}

/// A server's response on its way to the client, until it has come to its end.
pub(super) struct Download(Option<Running>);

/// All that an exchange holds while its response is on its way. Dropping it closes the connection to the server.
pub(super) struct Running {
    pub front: Rc<FrontState>,
    pub upstream: Upstream,
    pub tally: Rc<Tally>,
    pub upload: Option<Uploading>,
    pub started: Instant,
    /// The server's connection may serve again.
    pub reusable: bool,
}

/// Why a response that had begun was broken off. The client's connection is broken off too: a short answer must not
/// look like a whole one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the server broke off its response")]
    Server(#[source] LineFault),
    #[error("the client broke off its request")]
    Client,
    #[error("no byte of the response came in time")]
    Stalled,
    #[error("the server was taken down")]
    Cut,
}

impl Download {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(running) = &self.0 else { return Poll::Ready(None) };
        if running.front.client.take_cut() {
            return self.broke(Broken::Cut);
        }
        if running.upload.as_ref().is_some_and(|upload| upload.0.progress() == Progress::Broken) {
            return self.broke(Broken::Client);
        }
        match running.poll_body(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.passed(&mut frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.ended();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(fault))) => self.broke(Broken::Server(fault)),
            Poll::Pending if running.front.client.take_expired() => self.broke(Broken::Stalled),
            Poll::Pending => Poll::Pending,
        }
    }

    fn passed(&mut self, frame: &mut Frame<Bytes>) {
        let Some(running) = &self.0 else { return };
        if let Some(trailers) = frame.trailers_mut() {
            clean_trailers(trailers);
        }
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        running.tally.bytes_out(bytes);
        running.front.client.log_sent(bytes);
        // hyper asks no more once a body has said that it is at its end.
        if frame.is_trailers() || running.is_over() {
            self.ended();
        } else {
            let patience = running.tally.port.settings.timeouts.body;
            running.front.client.arm(Wait::Body, Instant::now(), patience);
        }
    }

    fn ended(&mut self) {
        if let Some(running) = self.0.take() {
            running.end(Instant::now());
        }
    }

    fn broke(&mut self, broken: Broken) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(running) = self.0.take() {
            running.break_off(&broken);
        }
        Poll::Ready(Some(Err(broken)))
    }
}

impl Running {
    /// The body of a response whose head is on its way. One that is here already, as most are, is over with that: its
    /// server's connection can serve the next request.
    pub fn into_body(self, now: Instant) -> ResponseBody {
        let whole = self.upstream.channel().take_whole();
        if let Some(bytes) = whole.or_else(|| self.is_over().then(Bytes::new)) {
            self.tally.bytes_out(bytes.len());
            self.front.client.log_sent(bytes.len());
            self.end(now);
            return ResponseBody::Own((!bytes.is_empty()).then_some(bytes));
        }
        self.front.stream();
        self.front.client.arm(Wait::Body, now, self.tally.port.settings.timeouts.body);
        ResponseBody::Server(Download(Some(self)))
    }

    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, LineFault>>> {
        let mut scratch = self.front.client.local.scratch.borrow_mut();
        let most = self.front.most_read().min(scratch.len());
        self.upstream.channel().poll_body(cx, scratch.get_mut(..most).unwrap_or_default())
    }

    fn left(&self) -> Option<u64> {
        self.upstream.channel().left()
    }

    /// Whether the client has all of it. To one of HTTP/2 trailers may go behind a body of a known length; to one of HTTP/1.1
    /// they cannot (RFC 9112 7.1.2), and hyper asks for nothing behind such a body.
    fn is_over(&self) -> bool {
        let channel = self.upstream.channel();
        if self.front.client.is_branch() { channel.is_over() } else { channel.left() == Some(0) }
    }

    /// The last byte of the response was handed over: the connection to the server may be used again.
    fn end(self, now: Instant) {
        let Self { front, upstream, tally, upload, started, reusable } = self;
        tally.record(Phase::Total, started, now);
        let sent = upload.is_none_or(|upload| upload.0.progress() == Progress::Done);
        let settings = &tally.port.settings;
        let local = &front.client.local;
        if reusable && sent && upstream.is_bound() {
            if local.pool.is_over(&upstream) {
                front.client.keep(upstream, tally.server());
            }
        } else if reusable && sent && local.pool.put(upstream, settings, now) {
            local.expect_sweep(now);
        }
        front.rest(now, &settings.timeouts);
    }

    fn break_off(self, broken: &Broken) {
        let local = &self.front.client.local;
        let (reason, end) = match broken {
            Broken::Server(fault) if fault.is_nonsense() => (ErrorReason::BadResponse, End::Broken),
            Broken::Server(_) => (ErrorReason::ServerClosed, End::Broken),
            Broken::Client => (ErrorReason::BadBody, End::Broken),
            Broken::Stalled => {
                local.count(Event::Stalled);
                (ErrorReason::ServerTimeout, End::Stalled)
            }
            Broken::Cut => (ErrorReason::ServerDown, End::Cut),
        };
        if !matches!(broken, Broken::Cut | Broken::Client) {
            self.tally.failed();
        }
        self.tally.port.counters.count_reason(local.lane, reason.index());
        self.front.client.log_broken(Instant::now(), end, reason);
        self.front.abort();
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Server(download) => download.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Server(download) => download.0.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Server(Download(running)) => {
                let left = running.as_ref().map_or(Some(0), Running::left);
                left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}

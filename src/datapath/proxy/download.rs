//! What a client gets: a server's response, frame by frame and never gathered, or an answer of ours.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::accesslog::End;
use crate::executor::Phase;
use crate::message::{ErrorReason, clean_trailers};

use super::client::Wait;
use super::front::FrontState;
use super::shared::Event;
use super::tally::Tally;
use super::upload::{Progress, Upload};
use super::upstream::Upstream;

/// The body of a response to a client.
pub(super) enum ResponseBody {
    /// An answer of ours, or none.
    Own(Option<Bytes>),
    Server(Download),
}

/// A server's response on its way to the client.
pub(super) struct Download {
    incoming: Incoming,
    /// Until the response has come to its end.
    running: Option<Running>,
}

/// All that an exchange holds while its response is on its way. Dropping it closes the connection to the server.
pub(super) struct Running {
    pub front: Rc<FrontState>,
    pub upstream: Upstream,
    pub tally: Rc<Tally>,
    pub upload: Option<Rc<Upload>>,
    pub started: Instant,
    /// The server speaks HTTP/1.1, so its connection may serve again.
    pub reusable: bool,
}

/// Why a response that had begun was broken off. The client's connection is broken off too: a short answer must not
/// look like a whole one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the server broke off its response")]
    Server(#[source] hyper::Error),
    #[error("no byte of the response came in time")]
    Stalled,
    #[error("the server was taken down")]
    Cut,
}

impl Download {
    pub fn new(incoming: Incoming, running: Running) -> Self {
        Self { incoming, running: Some(running) }
    }

    fn passed(&mut self, frame: &mut Frame<Bytes>) {
        let Some(running) = &self.running else { return };
        if let Some(trailers) = frame.trailers_mut() {
            clean_trailers(trailers);
        }
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        running.tally.bytes_out(bytes);
        running.front.client.log_sent(bytes);
        // hyper asks no more once a body has said that it is at its end.
        if frame.is_trailers() || self.incoming.is_end_stream() {
            self.ended();
        } else {
            let patience = running.tally.port.settings.timeouts.body;
            running.front.client.arm(Wait::Body, Instant::now(), patience);
        }
    }

    fn ended(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Instant::now());
        }
    }

    fn is_cut(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.front.client.take_cut())
    }

    fn has_stalled(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.front.client.take_expired())
    }

    fn broke(&mut self, broken: Broken) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(running) = self.running.take() {
            running.break_off(&broken);
        }
        Poll::Ready(Some(Err(broken)))
    }
}

impl Running {
    /// The response's head is on its way.
    pub fn begin(&self, now: Instant) {
        self.front.stream();
        self.front.client.arm(Wait::Body, now, self.tally.port.settings.timeouts.body);
    }

    /// The last byte of the response was handed over: the connection to the server may be used again.
    pub fn end(self, now: Instant) {
        let Self { front, upstream, tally, upload, started, reusable } = self;
        tally.record(Phase::Total, started, now);
        let sent = upload.is_none_or(|upload| upload.progress() == Progress::Done);
        let settings = &tally.port.settings;
        if reusable && sent {
            let local = &front.client.local;
            if local.pool.put(upstream, settings, now) {
                local.expect_sweep(now);
            }
        }
        front.rest(now, settings.timeouts.idle);
    }

    fn break_off(self, broken: &Broken) {
        let local = &self.front.client.local;
        let (reason, end) = match broken {
            Broken::Server(error) => (fault_of(error), End::Broken),
            Broken::Stalled => {
                local.count(Event::Stalled);
                (ErrorReason::ServerTimeout, End::Stalled)
            }
            Broken::Cut => (ErrorReason::ServerDown, End::Cut),
        };
        if !matches!(broken, Broken::Cut) {
            self.tally.failed();
        }
        self.tally.port.counters.count_reason(local.lane, reason.index());
        self.front.client.log_broken(Instant::now(), end, reason);
        self.front.abort();
    }
}

/// Whether the server said something wrong, or nothing more.
fn fault_of(error: &hyper::Error) -> ErrorReason {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => ErrorReason::BadResponse,
        _ => ErrorReason::ServerClosed,
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let download = match &mut *self {
            Self::Own(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Server(download) => download,
        };
        if download.is_cut() {
            return download.broke(Broken::Cut);
        }
        match Pin::new(&mut download.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                download.passed(&mut frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                download.ended();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => download.broke(Broken::Server(error)),
            Poll::Pending if download.has_stalled() => download.broke(Broken::Stalled),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Server(download) => download.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Server(download) => download.incoming.size_hint(),
        }
    }
}

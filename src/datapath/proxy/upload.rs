//! A request's body on its way to a server, frame by frame, never gathered.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::message::clean_trailers;

use super::client::{Client, Wait};
use super::tally::Tally;

/// A request's body on its way to a server.
pub(super) struct RequestBody(Option<Uploading>);

struct Uploading {
    incoming: Incoming,
    upload: Rc<Upload>,
}

/// How far a request's body has come, for the exchange that waits for the response.
pub(super) struct Upload {
    client: Rc<Client>,
    /// Without a byte.
    patience: Duration,
    /// For the response, from the body's end.
    server_patience: Duration,
    progress: Cell<Progress>,
    /// The last look found nothing to send: it is the client that we wait for.
    starved: Cell<bool>,
    tally: RefCell<Option<Rc<Tally>>>,
    gate: Option<Arc<Gate>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// Nothing was taken from the client yet.
    Untouched,
    Moving,
    /// All of it was handed over.
    Done,
}

impl RequestBody {
    pub fn none() -> Self {
        Self(None)
    }

    pub fn new(incoming: Incoming, upload: Rc<Upload>) -> Self {
        Self(Some(Uploading { incoming, upload }))
    }

    /// What the client sends, if none of it was taken.
    pub fn into_incoming(self) -> Option<Incoming> {
        self.0.map(|uploading| uploading.incoming)
    }
}

impl Upload {
    pub fn new(
        client: &Rc<Client>,
        patience: Duration,
        server_patience: Duration,
        gate: Option<Arc<Gate>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            client: Rc::clone(client),
            patience,
            server_patience,
            progress: Cell::new(Progress::Untouched),
            starved: Cell::new(false),
            tally: RefCell::new(None),
            gate,
        })
    }

    pub fn progress(&self) -> Progress {
        self.progress.get()
    }

    pub fn is_starved(&self) -> bool {
        self.starved.get()
    }

    /// The server whose bytes these are from now on.
    pub fn count_for(&self, tally: &Rc<Tally>) {
        *self.tally.borrow_mut() = Some(Rc::clone(tally));
    }

    fn is_held(&self, cx: &Context<'_>) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.holds(cx))
    }

    fn moved(&self, bytes: usize, is_last: bool) {
        if let Some(tally) = &*self.tally.borrow() {
            tally.bytes_in(bytes);
        }
        self.client.log_received(bytes);
        self.starved.set(false);
        self.progress.set(Progress::Moving);
        if is_last {
            return self.ended();
        }
        self.client.arm(Wait::Body, Instant::now(), self.patience);
    }

    fn ended(&self) {
        self.progress.set(Progress::Done);
        self.client.log_uploaded();
        // While a response is already on its way, its own progress is what counts.
        if self.tally.borrow().as_ref().is_some_and(|tally| !tally.has_answered()) {
            self.client.arm(Wait::Server, Instant::now(), self.server_patience);
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(Uploading { incoming, upload }) = &mut self.0 else { return Poll::Ready(None) };
        if upload.is_held(cx) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut *incoming).poll_frame(cx);
        match polled {
            Poll::Pending => {
                upload.starved.set(true);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(mut frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if let Some(trailers) = frame.trailers_mut() {
                    clean_trailers(trailers);
                }
                upload.moved(bytes, frame.is_trailers() || incoming.is_end_stream());
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                upload.ended();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|uploading| uploading.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |uploading| uploading.incoming.size_hint())
    }
}

/// Holds a body back until the server says `100 Continue`. hyper's server sends its own 100 to the client when the body is
/// first asked for, so the client hears it when the server has said it, and never when the server refuses.
///
/// hyper wants to call it from any thread, hence the lock; only requests with `Expect` have one.
#[derive(Default)]
pub(super) struct Gate {
    open: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Gate {
    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn holds(&self, cx: &Context<'_>) -> bool {
        if self.is_open() {
            return false;
        }
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        !self.is_open()
    }
}

//! A request's body on its way to a server, frame by frame, never gathered.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body as _, Frame};

use crate::message::{Body, RequestFacts, clean_trailers};
use crate::model::Timeouts;

use super::body_rate::BodyRate;
use super::client::{Client, Wait};
use super::request_body::{BadBody, RequestBody};
use super::tally::Tally;
use super::upstream::SharedChannel;

/// A request's body, and how far it has come. The client's connection carries it on whenever it is polled, whatever the
/// exchange waits for meanwhile: a server may read on while its response is already on its way.
pub(super) struct Upload {
    client: Rc<Client>,
    /// Without a byte.
    patience: Duration,
    /// For the response, from the body's end.
    server_patience: Cell<Duration>,
    is_chunked: bool,
    progress: Cell<Progress>,
    /// The last look found nothing to send: it is the client that we wait for.
    starved: Cell<bool>,
    gate: Cell<Gate>,
    incoming: RefCell<Option<RequestBody>>,
    target: RefCell<Option<Target>>,
    /// The first frame, until a byte of it went to a server: a line that was dead already has not cost it.
    first: RefCell<Option<Frame<Bytes>>>,
    has_waited: Cell<bool>,
    kept: Kept,
    /// Bytes that the body may have.
    limit: Option<u64>,
    passed: Cell<u64>,
    rate: Cell<BodyRate>,
    /// By when the client has to bring more.
    due: Cell<Option<Instant>>,
}

/// How much of a body is kept for a second attempt, how much of it may come (`None`: all), and how slowly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    pub most: u64,
    pub limit: Option<u64>,
    pub rate: BodyRate,
}

/// The body so far, as long as it is small enough. The bytes are shared with those that are sent: what costs is that hyper's
/// buffers live longer.
struct Kept {
    most: u64,
    frames: RefCell<Vec<Bytes>>,
    /// More came than is kept, or trailers.
    is_lost: Cell<bool>,
    /// What a second server gets before what the client still sends.
    again: RefCell<VecDeque<Bytes>>,
}

impl Kept {
    /// A frame costs more than its bytes: a body of 64 KiB that comes byte by byte would else hold some MiB.
    const FRAME: u64 = 64;

    fn keep(&self, bytes: &Bytes, so_far: u64) {
        let mut frames = self.frames.borrow_mut();
        let frames_cost = Self::FRAME.saturating_mul(frames.len() as u64);
        if self.is_lost.get() || so_far > self.most || frames_cost > self.most {
            self.is_lost.set(true);
            frames.clear();
        } else {
            frames.push(bytes.clone());
        }
    }
}

struct Target {
    channel: SharedChannel,
    tally: Rc<Tally>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// No server was given anything of it yet.
    Untouched,
    Moving,
    /// All of it was handed over.
    Done,
    /// The client's side of it broke.
    Broken,
}

/// `Expect: 100-continue` holds a body back until the server says `100 Continue`. hyper's server sends its own 100 to the
/// client when the body is first asked for, so the client hears it when the server has said it, and never when the
/// server refuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Gate {
    None,
    Closed,
    Open,
}

impl Upload {
    /// `None`: the request has no body.
    pub fn new(
        client: &Rc<Client>,
        facts: &RequestFacts,
        timeouts: &Timeouts,
        keep: Keep,
        incoming: RequestBody,
    ) -> Option<Rc<Self>> {
        let is_chunked = match facts.body() {
            Body::None => return None,
            Body::Sized(_) => false,
            Body::Chunked => true,
        };
        Some(Rc::new(Self {
            client: Rc::clone(client),
            patience: timeouts.body,
            server_patience: Cell::new(timeouts.server),
            is_chunked,
            progress: Cell::new(Progress::Untouched),
            starved: Cell::new(false),
            gate: Cell::new(if facts.expects_continue() { Gate::Closed } else { Gate::None }),
            incoming: RefCell::new(Some(incoming)),
            target: RefCell::new(None),
            first: RefCell::new(None),
            has_waited: Cell::new(false),
            kept: Kept {
                most: keep.most,
                frames: RefCell::default(),
                is_lost: Cell::new(false),
                again: RefCell::default(),
            },
            limit: keep.limit,
            passed: Cell::new(0),
            rate: Cell::new(keep.rate),
            due: Cell::new(None),
        }))
    }

    pub fn progress(&self) -> Progress {
        self.progress.get()
    }

    pub fn is_starved(&self) -> bool {
        self.starved.get()
    }

    /// Sends the body over this line from now on, behind what the line has been given already.
    pub fn direct(&self, channel: &SharedChannel, tally: &Rc<Tally>, server_patience: Duration) {
        self.server_patience.set(server_patience);
        self.has_waited.set(false);
        if self.progress.get() != Progress::Untouched && !self.kept.is_lost.get() {
            // Another line has had some of it: this one gets all of it.
            self.first.borrow_mut().take();
            *self.kept.again.borrow_mut() = self.kept.frames.borrow().iter().cloned().collect();
            self.progress.set(Progress::Untouched);
        } else if self.first.borrow().is_some() {
            self.progress.set(Progress::Untouched);
        }
        *self.target.borrow_mut() = Some(Target { channel: Rc::clone(channel), tally: Rc::clone(tally) });
    }

    /// The line is of no use any more; another one may come.
    pub fn detach(&self) {
        *self.target.borrow_mut() = None;
    }

    /// There is no second attempt any more.
    pub fn forget(&self) {
        self.kept.is_lost.set(true);
        self.kept.frames.borrow_mut().clear();
    }

    /// The exchange is over: what is left of the body is of no use to anybody.
    fn stop(&self) {
        self.detach();
        *self.incoming.borrow_mut() = None;
    }

    pub fn is_held(&self) -> bool {
        self.gate.get() == Gate::Closed
    }

    pub fn open_gate(&self) {
        if self.is_held() {
            self.gate.set(Gate::Open);
        }
    }

    /// Whether all of it can still go to a server. Only the line knows whether its server was given a byte.
    pub fn is_whole(&self) -> bool {
        self.progress.get() == Progress::Untouched || self.first.borrow().is_some()
    }

    /// Whether all of it can go to another server, though this one was given some of it.
    pub fn is_repeatable(&self) -> bool {
        self.is_whole() || !self.kept.is_lost.get()
    }

    /// More came than may.
    pub fn is_too_large(&self) -> bool {
        self.limit.is_some_and(|limit| self.passed.get() > limit)
    }

    /// What the client sends, if nobody has begun to send it. To ask for a body that its client holds back would tell
    /// the client to send it.
    pub fn take_untouched(&self) -> Option<RequestBody> {
        let is_untouched = self.progress.get() == Progress::Untouched && self.gate.get() == Gate::None;
        if is_untouched { self.incoming.borrow_mut().take() } else { None }
    }

    /// Moves what can be moved now. `Ready`: there is nothing more to move, or the way is blocked for good; the exchange
    /// sees which from [`Upload::progress`] and from its line.
    pub fn pump(&self, cx: &mut Context<'_>) -> Poll<()> {
        let target = self.target.borrow();
        let Some(target) = &*target else { return Poll::Ready(()) };
        loop {
            if !self.waits_for_first() {
                // A server may answer and stop reading: a write that fails says nothing about the response.
                let flushed = ready!(target.channel.borrow_mut().poll_flush(cx));
                if flushed.is_err() {
                    return Poll::Ready(());
                }
                self.first.borrow_mut().take();
            }
            if matches!(self.progress.get(), Progress::Done | Progress::Broken) {
                return Poll::Ready(());
            }
            let Poll::Ready(next) = self.poll_frame(cx) else {
                self.hurry(target);
                if self.waits_for_first() {
                    // The head waits for the body's beginning, which is mostly here already and then leaves in one
                    // write with it; one more look, and it goes alone.
                    self.has_waited.set(true);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                return Poll::Pending;
            };
            self.pass(target, next);
            if self.progress.get() == Progress::Broken {
                // Whoever waits for the response has to hear of it, though nothing more comes from either side.
                cx.waker().wake_by_ref();
            }
        }
    }

    fn waits_for_first(&self) -> bool {
        self.progress.get() == Progress::Untouched && self.gate.get() == Gate::None && !self.has_waited.get()
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BadBody>>> {
        if let Some(first) = self.first.borrow_mut().take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Some(again) = self.kept.again.borrow_mut().pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(again))));
        }
        if self.is_held() {
            return Poll::Pending;
        }
        let mut incoming = self.incoming.borrow_mut();
        let Some(incoming) = &mut *incoming else { return Poll::Pending };
        let polled = Pin::new(incoming).poll_frame(cx);
        self.watch(polled.is_pending());
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.client.log_received(bytes);
            self.passed.set(self.passed.get() + bytes as u64);
            match frame.data_ref() {
                Some(bytes) => self.kept.keep(bytes, self.passed.get()),
                None => self.kept.is_lost.set(true),
            }
        }
        polled
    }

    /// Measures how long the client is waited for.
    fn watch(&self, is_starved: bool) {
        if self.starved.replace(is_starved) == is_starved {
            return;
        }
        let mut rate = self.rate.get();
        self.due.set(if is_starved {
            rate.wait(self.passed.get(), Instant::now())
        } else {
            rate.came(Instant::now);
            None
        });
        self.rate.set(rate);
    }

    /// The client brings less than it must. While a response is already on its way, its own progress is what counts.
    fn hurry(&self, target: &Target) {
        if let Some(due) = self.due.get()
            && self.client.wait() == Wait::Body
            && !target.tally.has_answered()
        {
            self.client.arm_sooner(due);
        }
    }

    /// Hands the next of the body to the line.
    fn pass(&self, target: &Target, next: Option<Result<Frame<Bytes>, BadBody>>) {
        match next {
            None => self.end(target, None),
            Some(Err(_)) => self.progress.set(Progress::Broken),
            Some(Ok(_)) if self.is_too_large() => self.progress.set(Progress::Broken),
            Some(Ok(mut frame)) => match (frame.data_ref().cloned(), frame.trailers_mut()) {
                (Some(bytes), _) => {
                    if self.progress.get() == Progress::Untouched {
                        *self.first.borrow_mut() = Some(frame);
                    }
                    self.pass_data(target, bytes);
                }
                (None, Some(trailers)) => {
                    clean_trailers(trailers);
                    self.end(target, Some(trailers));
                }
                (None, None) => {}
            },
        }
    }

    fn pass_data(&self, target: &Target, bytes: Bytes) {
        target.tally.bytes_in(bytes.len());
        self.progress.set(Progress::Moving);
        // Who uploads and takes nothing of the response is not excused by that.
        if self.client.wait() != Wait::Take {
            self.client.arm(Wait::Body, Instant::now(), self.patience);
        }
        let is_last = self.kept.again.borrow().is_empty()
            && self.incoming.borrow().as_ref().is_some_and(http_body::Body::is_end_stream);
        if !bytes.is_empty() {
            target.channel.borrow_mut().data(bytes, self.is_chunked);
        }
        if is_last {
            self.end(target, None);
        }
    }

    fn end(&self, target: &Target, trailers: Option<&http::HeaderMap>) {
        target.channel.borrow_mut().finish(trailers, self.is_chunked);
        self.progress.set(Progress::Done);
        self.client.log_uploaded();
        // While a response is already on its way, its own progress is what counts.
        if !target.tally.has_answered() {
            let now = Instant::now();
            target.tally.ask(now);
            self.client.arm(Wait::Server, now, self.server_patience.get());
        }
    }
}

/// An exchange's hold on its upload. Dropping it, for whatever reason, ends the upload.
pub(super) struct Uploading(pub Rc<Upload>);

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(most: u64, sizes: &[usize]) -> usize {
        let kept = Kept { most, frames: RefCell::default(), is_lost: Cell::new(false), again: RefCell::default() };
        let mut so_far = 0;
        for size in sizes {
            so_far += *size as u64;
            kept.keep(&Bytes::from(vec![b'x'; *size]), so_far);
        }
        if kept.is_lost.get() { 0 } else { kept.frames.borrow().iter().map(Bytes::len).sum() }
    }

    #[test]
    fn what_is_kept_of_a_body_has_a_bound_in_bytes_and_in_frames() {
        assert_eq!(kept(65_536, &[32_768, 32_768]), 65_536);
        assert_eq!(kept(65_536, &[65_537]), 0);
        assert_eq!(kept(65_536, &[1; 1_024]), 1_024);
        assert_eq!(kept(65_536, &[1; 1_026]), 0, "byte by byte");
        assert_eq!(kept(0, &[1]), 0, "nothing is to be kept");
    }
}

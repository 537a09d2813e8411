//! One client's connection.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::{Builder, Connection};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;

use crate::message::{ConnectionFacts, ErrorReason};
use crate::model::Http2Limits;

use super::super::client::{Client, Registered, Wait};
use super::super::ending::reset;
use super::super::local::PortRef;
use super::super::pressure::Pressure;
use super::super::shared::Event;
use super::super::stream::Stream;
use super::super::upstream::Rest;
use super::meter::{Allowance, Flood, Meter, PREFACE};
use super::refusals::Refusals;
use super::stream;

/// What the streams of a connection share.
pub(super) struct Trunk {
    pub client: Rc<Client>,
    pub port: PortRef,
    pub facts: Rc<ConnectionFacts>,
    /// Requests in progress.
    streams: Cell<u32>,
    /// Clients of streams that are over, for the next ones: each has its place in the registry and in the timers.
    spare: RefCell<Vec<(Rc<Client>, Registered)>>,
    meter: RefCell<Meter>,
    flood: Cell<Option<Flood>>,
    /// Heads that were handed over and did not go out yet.
    heads: Cell<u64>,
}

/// Resets that a client makes us send, in the life of a connection.
const CAUSED_RESETS: usize = 256;

/// Of one response, between its server and the client's socket.
const SEND_BUFFER: usize = 64 * 1024;

/// What a client may send in frames.
fn allowance(limits: &Http2Limits) -> Allowance {
    let share = |usual: u32| (usual.saturating_mul(limits.frames) / 100).max(1);
    Allowance {
        resets: limits.resets,
        pings: limits.pings,
        settings: share(50),
        priorities: share(200),
        empty_data: share(100),
        windows: share(1000),
        continuations: most_continuations(limits.fields),
    }
}

/// As many as `h2` takes itself for fields of so many bytes, which would call the next one a fault of protocol: a quarter more
/// than full frames of 16 KiB would be, and five at least.
fn most_continuations(fields: u32) -> u32 {
    let full = (fields / 16_384).max(1);
    (full + full / 4).max(5)
}

/// A request's guard in the count of its connection.
pub(super) struct Counted(pub Rc<Trunk>);

impl Drop for Counted {
    fn drop(&mut self) {
        let trunk = &self.0;
        trunk.streams.set(trunk.streams.get() - 1);
        if trunk.streams.get() == 0 {
            // The connection's own wait begins.
            trunk.client.wake();
        }
    }
}

impl Trunk {
    /// A client for one more stream.
    pub fn branch(&self) -> (Rc<Client>, Registered) {
        let spare = self.spare.borrow_mut().pop();
        let branch = spare.unwrap_or_else(|| self.client.branch());
        branch.0.begin_again(&self.client);
        branch
    }

    /// A response's head, or its trailers, is handed over.
    pub fn head(&self) {
        self.heads.set(self.heads.get() + 1);
    }

    /// So many heads go out: how many of them are not from us.
    fn foreign(&self, out: u64) -> u64 {
        let ours = self.heads.get().min(out);
        self.heads.set(self.heads.get() - ours);
        out - ours
    }

    /// The stream is over.
    pub fn take_back(&self, branch: (Rc<Client>, Registered)) {
        self.client.learn_from(&branch.0);
        self.spare.borrow_mut().push(branch);
    }
}

/// Whether bytes are the beginning of HTTP/2, as far as they are here.
pub(super) fn is_preface(bytes: &[u8]) -> bool {
    // No method begins with these.
    const ENOUGH: usize = 4;
    bytes.len() >= ENOUGH && (PREFACE.starts_with(bytes) || bytes.starts_with(PREFACE))
}

/// Serves one client until its connection ends.
pub(in super::super) async fn serve(client: &Rc<Client>, port: &PortRef, rest: &mut Option<Rest>) {
    let Some(rest) = rest.take() else { return };
    let facts = ConnectionFacts::new(client.peer().ip(), client.destination(port), client.proto());
    let trunk = Rc::new(Trunk {
        client: Rc::clone(client),
        port: port.clone(),
        facts: Rc::new(facts),
        streams: Cell::new(0),
        spare: RefCell::default(),
        meter: RefCell::new(Meter::new(allowance(&port.settings.limits.http2))),
        flood: Cell::new(None),
        heads: Cell::new(0),
    });
    client.arm(Wait::Head, Instant::now(), port.settings.timeouts.head);
    let wire = Wire {
        stream: rest.stream,
        early: rest.read,
        trunk: Rc::clone(&trunk),
        refusals: Refusals::default(),
        is_deaf: false,
    };
    let mut greeting = Box::pin(builder(&port.settings.limits.http2).handshake::<_, Bytes>(wire));
    let greeted = poll_fn(|cx| {
        client.listen(cx);
        match greeting.as_mut().poll(cx) {
            Poll::Pending if client.take_expired() => Poll::Ready(None),
            polled => polled.map(Some),
        }
    })
    .await;
    drop(greeting);
    match greeted {
        Some(Ok(mut connection)) => drive(&trunk, &mut connection).await,
        Some(Err(error)) => failed(&trunk, &error),
        None => count(&trunk, ErrorReason::HeadTimeout),
    }
}

fn builder(limits: &Http2Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.fields)
        .max_pending_accept_reset_streams((limits.resets / 5).max(1) as usize)
        .max_local_error_reset_streams(Some(CAUSED_RESETS))
        .initial_window_size(limits.window)
        .initial_connection_window_size(limits.window.saturating_mul(2))
        .max_send_buffer_size(SEND_BUFFER)
        // Which protocols a tunnel may be asked for is the port's to say, request by request.
        .enable_connect_protocol();
    builder
}

type Front = Connection<Wire, Bytes>;

/// How a connection ends.
enum End {
    Closed,
    Failed(h2::Error),
    /// The client does not take its last frames.
    Late,
}

async fn drive(trunk: &Rc<Trunk>, connection: &mut Front) {
    let mut driver = Driver { trunk, is_leaving: false, is_cut: false, resting: None, taken: 0 };
    let end = poll_fn(|cx| driver.poll(connection, cx)).await;
    match end {
        End::Closed | End::Late => {}
        End::Failed(error) => failed(trunk, &error),
    }
}

struct Driver<'a> {
    trunk: &'a Rc<Trunk>,
    /// The client was told that its connection ends.
    is_leaving: bool,
    /// And that nothing of what is in progress comes to its end.
    is_cut: bool,
    /// Since when nothing is in progress.
    resting: Option<Instant>,
    /// Bytes that had gone to the client when its clock was set.
    taken: u64,
}

impl Driver<'_> {
    fn poll(&mut self, connection: &mut Front, cx: &mut Context<'_>) -> Poll<End> {
        let client = &self.trunk.client;
        client.listen(cx);
        self.trunk.meter.borrow_mut().begin_turn();
        loop {
            match connection.poll_accept(cx) {
                Poll::Ready(None) => return Poll::Ready(End::Closed),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(End::Failed(error)),
                Poll::Ready(Some(Ok((request, respond)))) => self.accept(request, respond),
                Poll::Pending if self.is_late() => return Poll::Ready(End::Late),
                Poll::Pending if self.leaves(connection) => {}
                Poll::Pending => break,
            }
        }
        self.rest(connection);
        if self.trunk.meter.borrow().is_spent() {
            // It wakes this task again, after the sockets of all others were looked at.
            let _is_pending = pin!(yield_now()).as_mut().poll(cx);
        }
        Poll::Pending
    }

    fn accept(&mut self, request: Request<RecvStream>, respond: h2::server::SendResponse<Bytes>) {
        let trunk = self.trunk;
        trunk.streams.set(trunk.streams.get() + 1);
        self.resting = None;
        tokio::task::spawn_local(stream::serve(Counted(Rc::clone(trunk)), request, respond));
    }

    /// Whether a client that was told of the end has not taken that in time.
    fn is_late(&self) -> bool {
        let client = &self.trunk.client;
        matches!(client.wait(), Wait::Linger | Wait::Unread) && client.take_expired()
    }

    /// Ends the connection, where there is a reason: what is in progress comes to its end, unless the client floods us.
    fn leaves(&mut self, connection: &mut Front) -> bool {
        let trunk = self.trunk;
        if let Some(flood) = trunk.flood.take() {
            count(trunk, reason_of(flood));
            tracing::debug!(peer = %trunk.client.peer(), port = %trunk.port.key, ?flood, "too many frames");
            return self.cut(connection, Reason::ENHANCE_YOUR_CALM);
        }
        let is_late = trunk.client.take_expired();
        if is_late && trunk.client.wait() == Wait::Head && trunk.meter.borrow().is_midway() {
            count(trunk, ErrorReason::HeadTimeout);
            return self.cut(connection, Reason::NO_ERROR);
        }
        let is_over = is_late && trunk.client.wait() == Wait::Idle && !self.is_busy(connection);
        let local = &trunk.client.local;
        let is_unwanted = local.draining.get() || local.shared.pressure() >= Pressure::Refusing;
        if self.is_leaving || !(is_over || is_unwanted) {
            return false;
        }
        if is_over {
            trunk.client.local.count(Event::IdleClosed);
        }
        self.is_leaving = true;
        connection.graceful_shutdown();
        true
    }

    fn cut(&mut self, connection: &mut Front, reason: Reason) -> bool {
        (self.is_leaving, self.is_cut) = (true, true);
        connection.abrupt_shutdown(reason);
        true
    }

    /// Starts the clock for what the connection waits for: the rest of a head, the next request, or the client to take what
    /// is left of the last.
    fn rest(&mut self, connection: &Front) {
        let (client, settings) = (&self.trunk.client, &self.trunk.port.settings);
        let timeouts = &settings.timeouts;
        let (is_midway, taken) = {
            let meter = self.trunk.meter.borrow();
            (meter.is_midway(), meter.total())
        };
        if self.is_cut || (self.is_leaving && !self.is_busy(connection)) {
            self.arm_once(Wait::Linger, LINGER);
        } else if is_midway {
            // Absolute: who sends a byte now and then does not move it.
            self.arm_once(Wait::Head, timeouts.head);
        } else if self.trunk.streams.get() > 0 {
            client.disarm(Wait::Streams);
        } else if self.is_busy(connection) {
            // All is handed over, and some of it still waits for the client's socket.
            if client.wait() != Wait::Unread || taken > self.taken {
                self.taken = taken;
                client.arm(Wait::Unread, Instant::now(), timeouts.body);
            }
        } else if client.wait() != Wait::Idle {
            // Counted from the last response, whatever came meanwhile that was no request.
            let since = *self.resting.get_or_insert_with(Instant::now);
            client.arm(Wait::Idle, since, settings.limits.http2.idle);
        }
    }

    fn arm_once(&self, wait: Wait, patience: Duration) {
        if self.trunk.client.wait() != wait {
            self.trunk.client.arm(wait, Instant::now(), patience);
        }
    }

    /// Whether requests are in progress, or responses are not written to their end.
    fn is_busy(&self, connection: &Front) -> bool {
        self.trunk.streams.get() > 0 || connection.has_streams()
    }
}

/// For the client to take what it is told at the end.
const LINGER: Duration = Duration::from_secs(2);

fn failed(trunk: &Trunk, error: &h2::Error) {
    tracing::debug!(peer = %trunk.client.peer(), port = %trunk.port.key, %error, "connection broke");
    // What we found wrong; a client that goes away has not done anything wrong.
    if error.is_library() && !error.is_io() {
        count(trunk, ErrorReason::Http2Protocol);
    }
}

fn count(trunk: &Trunk, reason: ErrorReason) {
    trunk.port.counters.count_reason(trunk.client.local.lane, reason.index());
}

fn reason_of(flood: Flood) -> ErrorReason {
    match flood {
        Flood::Resets => ErrorReason::Http2Resets,
        Flood::Pings => ErrorReason::Http2Pings,
        Flood::Settings => ErrorReason::Http2Settings,
        Flood::Windows => ErrorReason::Http2Windows,
        Flood::Priorities => ErrorReason::Http2Priorities,
        Flood::Continuations => ErrorReason::Http2Continuations,
        Flood::EmptyData => ErrorReason::Http2EmptyData,
    }
}

/// The client's connection as `h2` sees it.
struct Wire {
    stream: Stream,
    /// Read before, and given to it first: what told that it is HTTP/2, or what was more than a turn's.
    early: Bytes,
    trunk: Rc<Trunk>,
    refusals: Refusals,
    /// The client has flooded us: nothing of it is heard any more.
    is_deaf: bool,
}

impl Wire {
    /// Looks at what came, and says how much of it is for `h2` now.
    fn meter(&mut self, bytes: &[u8]) -> usize {
        let heard = self.trunk.meter.borrow_mut().read(bytes, Instant::now);
        heard.unwrap_or_else(|flood| {
            self.trunk.flood.set(Some(flood));
            self.trunk.client.wake();
            self.is_deaf = true;
            0
        })
    }

    /// Counts what the client was refused in the first `written` of these bytes.
    fn note<S: Deref<Target = [u8]>>(&mut self, slices: &[S], mut written: usize) {
        self.trunk.meter.borrow_mut().sent(written);
        for slice in slices {
            let here = written.min(slice.len());
            written -= here;
            let seen = self.refusals.look(slice.get(..here).unwrap_or_default());
            for _ in 0..seen.refused + self.trunk.foreign(seen.heads) {
                count(&self.trunk, ErrorReason::Http2Refused);
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Who is not heard any more, or has had its turn: the driver comes back by itself.
        if self.is_deaf || self.trunk.meter.borrow().is_spent() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if self.early.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        } else {
            let now = self.early.len().min(buf.remaining());
            let early = self.early.split_to(now);
            buf.put_slice(&early);
        }
        let came = buf.filled().get(before..).unwrap_or_default();
        let heard = self.meter(came);
        if self.is_deaf {
            buf.set_filled(before);
            return Poll::Pending;
        }
        if let Some(later @ [_, ..]) = came.get(heard..) {
            self.early = [later, &self.early].concat().into();
            buf.set_filled(before + heard);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.note(&[bytes], written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.note(slices, written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_deaf {
            // What it still sends is nobody's business, and must not hold the socket.
            reset(&self.stream);
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

//! One request and its response.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_TYPE, DATE, TE};
use http::response::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body::{Body, Frame};

use crate::accesslog;
use crate::message::{ErrorReason, restate_request};

use super::super::client::Wait;
use super::super::download::ResponseBody;
use super::super::exchange::Exchange;
use super::super::front::FrontState;
use super::super::request_body::RequestBody;
use super::super::shared::Event;
use super::serve::{Counted, Trunk};
use super::tunnel::protocol_of;

/// For so many bytes of a response to be taken by a client that has opened its window only a little: whoever opens it byte
/// by byte holds a response, and its server, as long as it likes.
const STALL: Duration = Duration::from_secs(30);
const STALL_BYTES: usize = 16 * 1024;

/// Of a response so much is taken from its server at first, then twice as much with each piece that its client took at once:
/// how far the windows are open is seen only when something is to be sent, and a client that opens none and asks for much
/// holds what was taken for each request.
const FIRST_READ: usize = 4 * 1024;
const MOST_READ: usize = 128 * 1024;

/// How a stream ends before its response is whole.
pub(super) enum Cut {
    /// The client reset it or went away.
    Gone,
    /// Its response broke off.
    Broken,
    /// Nothing moved in time.
    Late,
    /// The client does not take it.
    NotTaken,
}

/// Serves one stream.
pub(super) async fn serve(counted: Counted, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let trunk = &counted.0;
    let branch = trunk.branch();
    let state = FrontState::of_stream(Rc::clone(&branch.0), trunk.port.clone(), Rc::clone(&trunk.facts));
    let sending = Sending { state: &state, trunk };
    let answered = match protocol_of(&request) {
        None => sending.answer(request, &mut respond).await,
        // Boxed because it is rare: what is awaited there would else be room in the task of every request.
        Some(protocol) => Box::pin(sending.tunnel(request, &protocol, &mut respond)).await,
    };
    if let Err(cut) = answered {
        sending.end(&cut, &mut respond);
    }
    state.upload(None);
    drop(state);
    trunk.take_back(branch);
}

pub(super) struct Sending<'a> {
    pub state: &'a Rc<FrontState>,
    trunk: &'a Trunk,
}

impl Sending<'_> {
    async fn answer(&self, request: Request<RecvStream>, respond: &mut SendResponse<Bytes>) -> Result<(), Cut> {
        let wants_trailers = wants_trailers(request.headers());
        let (mut head, body) = request.into_parts();
        restate_request(&mut head, !body.is_end_stream());
        let response = self.respond(Request::from_parts(head, RequestBody::Http2(body)), respond).await?;
        self.pass(response, wants_trailers, respond).await
    }

    /// Passes a response on.
    pub async fn pass(
        &self,
        response: Response<ResponseBody>,
        wants_trailers: bool,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), Cut> {
        let (head, body) = response.into_parts();
        let is_whole = body.is_end_stream();
        let response = Response::from_parts(self.in_http2(head), ());
        self.trunk.head();
        let stream = respond.send_response(response, is_whole).map_err(|_| Cut::Gone)?;
        if is_whole {
            return Ok(());
        }
        let mut passing = Passing {
            state: self.state,
            trunk: self.trunk,
            body,
            stream,
            piece: Bytes::new(),
            wants_trailers,
            taken: 0,
            patience: STALL,
            waits: Instant::now(),
        };
        self.state.read_at_most(FIRST_READ);
        poll_fn(|cx| passing.poll(cx)).await
    }

    /// Waits for the response's head.
    pub async fn respond(
        &self,
        request: Request<RequestBody>,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<Response<ResponseBody>, Cut> {
        self.state.begin();
        let exchange = match Exchange::begin(self.state, request) {
            Ok(exchange) => exchange,
            Err(refused) => return Ok(*refused),
        };
        let mut answering = Box::pin(exchange.answer());
        poll_fn(|cx| {
            self.state.client.listen(cx);
            if respond.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Cut::Gone));
            }
            let held = self.state.holds_upload();
            let polled = answering.as_mut().poll(cx);
            if held && !self.state.holds_upload() && polled.is_pending() {
                // The server wants the body: so it is said to the client, who waits with it.
                let go_on = Response::builder().status(StatusCode::CONTINUE).body(());
                self.trunk.head();
                let _said = go_on.map(|go_on| respond.send_informational(go_on));
            }
            polled.map(|Ok(response)| Ok(response))
        })
        .await
    }

    /// A head as HTTP/2 has it: nothing of a connection, and a date, which RFC 9110 6.6.1 has us add.
    pub fn in_http2(&self, mut head: Parts) -> Parts {
        head.headers.remove(CONNECTION);
        head.version = Version::HTTP_2;
        if !head.headers.contains_key(DATE) {
            head.headers.insert(DATE, self.state.client.local.date());
        }
        head
    }

    /// Tells the client, the counters and the log that its response is not whole.
    fn end(&self, cut: &Cut, respond: &mut SendResponse<Bytes>) {
        let (client, now) = (&self.state.client, Instant::now());
        match cut {
            Cut::Gone => {
                client.local.count(Event::ClientGone);
                client.log_end(now, accesslog::End::ClientGone);
            }
            // It was counted and written where it was found.
            Cut::Broken => {}
            Cut::Late => {
                client.local.count(Event::Stalled);
                client.log_end(now, accesslog::End::Stalled);
            }
            Cut::NotTaken => {
                let (port, reason) = (&self.state.port, ErrorReason::Http2Stalled);
                port.counters.count_reason(client.local.lane, reason.index());
                client.log_end(now, accesslog::End::Stalled);
            }
        }
        respond.send_reset(if matches!(cut, Cut::NotTaken) { Reason::CANCEL } else { Reason::INTERNAL_ERROR });
    }
}

/// A body on its way to the client.
struct Passing<'a> {
    state: &'a Rc<FrontState>,
    trunk: &'a Trunk,
    body: ResponseBody,
    stream: SendStream<Bytes>,
    /// What the client has not taken yet.
    piece: Bytes,
    wants_trailers: bool,
    /// Bytes since the client's patience was last filled up.
    taken: usize,
    /// For how long the client may still be waited for before it has taken [`STALL_BYTES`].
    patience: Duration,
    /// Since when it is.
    waits: Instant,
}

impl Passing<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        self.state.client.listen(cx);
        if self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(Cut::Gone));
        }
        loop {
            self.state.pump_upload(cx);
            match self.poll_piece(cx) {
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(cut)) => return Poll::Ready(Err(cut)),
                Poll::Pending => return self.look(),
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(done) = self.take(frame) {
                        return Poll::Ready(done);
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Cut::Broken)),
                Poll::Ready(None) => return Poll::Ready(self.finish()),
                Poll::Pending => return self.look(),
            }
        }
    }

    /// Takes the next of the body. `Some`: that was all.
    fn take(&mut self, frame: Frame<Bytes>) -> Option<Result<(), Cut>> {
        match frame.into_data() {
            Ok(bytes) => {
                self.piece = bytes;
                self.stream.reserve_capacity(self.piece.len());
                (self.piece.is_empty() && self.body.is_end_stream()).then(|| self.finish())
            }
            Err(frame) => Some(match frame.into_trailers() {
                Ok(trailers) if self.wants_trailers => {
                    self.trunk.head();
                    self.stream.send_trailers(trailers).map_err(|_| Cut::Gone)
                }
                _ => self.finish(),
            }),
        }
    }

    fn finish(&mut self) -> Result<(), Cut> {
        self.stream.send_data(Bytes::new(), true).map_err(|_| Cut::Gone)
    }

    /// Hands on what the client's windows have room for. `true`: it was the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Cut>> {
        while !self.piece.is_empty() {
            let room = self.stream.capacity().min(self.piece.len());
            if room == 0 {
                self.expect_taking();
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return Poll::Ready(Err(Cut::Gone)),
                }
            }
            let now = self.piece.split_to(room);
            let is_last = self.piece.is_empty() && self.body.is_end_stream();
            self.taken += now.len();
            self.stream.send_data(now, is_last).map_err(|_| Cut::Gone)?;
            if is_last {
                return Poll::Ready(Ok(true));
            }
            if self.piece.is_empty() {
                self.state.read_at_most(self.state.most_read().saturating_mul(2).min(MOST_READ));
                self.expect_more();
            }
        }
        Poll::Ready(Ok(false))
    }

    /// The server's clock runs instead of the client's, which goes on from where it was: who takes a little of each piece is
    /// no quicker for that.
    fn expect_more(&mut self) {
        let (client, now) = (&self.state.client, Instant::now());
        if client.wait() == Wait::Take {
            self.patience = self.patience.saturating_sub(now.saturating_duration_since(self.waits));
        }
        client.arm(Wait::Body, now, self.state.port.settings.timeouts.body);
    }

    /// Starts the client's clock, and anew only when it has taken enough.
    fn expect_taking(&mut self) {
        self.state.read_at_most(FIRST_READ / 2);
        let client = &self.state.client;
        let has_taken = self.taken >= STALL_BYTES;
        if has_taken {
            (self.taken, self.patience) = (0, STALL);
        }
        if has_taken || client.wait() != Wait::Take {
            self.waits = Instant::now();
            client.arm(Wait::Take, self.waits, self.patience);
        }
    }

    /// Whether the wait is over although nothing moved.
    fn look(&self) -> Poll<Result<(), Cut>> {
        let client = &self.state.client;
        // The body itself sees it only when it is asked for more.
        if client.take_cut() {
            let (port, reason) = (&self.state.port, ErrorReason::ServerDown);
            port.counters.count_reason(client.local.lane, reason.index());
            client.log_broken(Instant::now(), accesslog::End::Cut, reason);
            self.state.abort();
            return Poll::Ready(Err(Cut::Broken));
        }
        if !client.take_expired() {
            return Poll::Pending;
        }
        Poll::Ready(Err(if client.wait() == Wait::Take { Cut::NotTaken } else { Cut::Late }))
    }
}

/// Trailers go to those who ask for them, and to gRPC, which is nothing without them.
fn wants_trailers(fields: &HeaderMap) -> bool {
    let is_grpc = fields.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    is_grpc || fields.get(TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"))
}

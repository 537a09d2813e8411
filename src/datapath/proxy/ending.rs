//! How a client's connection ends once hyper has nothing more to do with it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::accesslog;
use crate::message::ErrorReason;

use super::answer;
use super::client::{Client, Wait};
use super::front::FrontState;
use super::relay;
use super::shared::Event;
use super::stream::Stream;
use super::upstream::Rest;

/// How hyper's part of a connection ended.
pub(super) enum End {
    Done,
    Failed(hyper::Error),
    /// The client says nothing and takes nothing: its connection can be parked.
    Silent,
    /// While hyper was not listening to the exchange, or there was none.
    Expired(Wait),
    Cut,
}

/// Ends the connection in the way that its end asks for.
pub(super) async fn finish(state: &FrontState, end: End, rest: Rest) {
    let client = &state.client;
    log_end(client, &end, state.has_tunnel());
    match end {
        End::Done => match state.take_tunnel() {
            Some(tunnel) => relay::tunnel(client, tunnel, rest).await,
            None if state.leaves_unread() => linger(client, rest.stream).await,
            None => close(rest.stream),
        },
        End::Silent => {}
        End::Failed(error) => failed(state, &error, rest).await,
        End::Expired(Wait::Head) => refuse(state, ErrorReason::HeadTimeout, rest).await,
        End::Expired(_) => {
            client.local.count(Event::Stalled);
            reset(&rest.stream);
        }
        End::Cut => {
            state.port.counters.count_reason(client.local.lane, ErrorReason::ServerDown.index());
            reset(&rest.stream);
        }
    }
}

async fn failed(state: &FrontState, error: &hyper::Error, rest: Rest) {
    // To some heads (the preface of HTTP/2) hyper says nothing at all.
    let unreadable = (error.is_parse() && state.is_quiet()).then_some(ErrorReason::BadRequest);
    if let Some(reason) = state.hyper_said().or(unreadable) {
        tracing::debug!(peer = %state.client.peer(), port = %state.port.key, %error, "request refused");
        // Such a client understands no answer but that of HTTP, and shows it at best.
        let reason = if state.sounds_like_tls() { ErrorReason::TlsOnPlainPort } else { reason };
        return refuse(state, reason, rest).await;
    }
    if state.is_aborted() {
        return reset(&rest.stream);
    }
    if state.is_busy() || state.has_heard() || state.client.wait() == Wait::Head {
        state.client.local.count(Event::ClientGone);
    }
}

/// What was in progress when hyper's part ended did not go well, unless a tunnel takes it on.
fn log_end(client: &Client, end: &End, goes_on: bool) {
    let now = Instant::now();
    match end {
        End::Done if goes_on => {}
        End::Silent => {}
        End::Done | End::Failed(_) => client.log_end(now, accesslog::End::ClientGone),
        End::Expired(_) => client.log_end(now, accesslog::End::Stalled),
        End::Cut => client.log_broken(now, accesslog::End::Cut, ErrorReason::ServerDown),
    }
}

/// Answers a head that hyper could not make a request of.
async fn refuse(state: &FrontState, reason: ErrorReason, rest: Rest) {
    let lane = state.client.local.lane;
    state.port.counters.count_reason(lane, reason.index());
    state.port.counters.count_code(lane, reason.status().as_u16());
    state.client.log_refused(&state.port, reason, state.is_quiet());
    // A client that has not taken its last response would take this for a part of it.
    if !state.is_quiet() {
        return reset(&rest.stream);
    }
    answer_and_close(&state.client, rest.stream, &answer::raw(reason)).await;
}

/// A last word. The socket's buffer is empty here, so this takes one write; a client that is gone needs no answer.
pub(super) async fn answer_and_close(client: &Client, mut stream: Stream, answer: &[u8]) {
    if stream.write_all(answer).await.is_ok() {
        linger(client, stream).await;
    }
}

/// Closes a connection on which nothing is on its way. Inside TLS the client is told, if its socket has room for that.
pub(super) fn close(mut stream: Stream) {
    if stream.is_tls() {
        let _told = Pin::new(&mut stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }
}

/// Closes our side and reads what the client still sends, so that the kernel does not answer it with a reset, which would
/// take our last answer back. Bounded in bytes and time: this is a courtesy.
async fn linger(client: &Client, mut stream: Stream) {
    client.arm(Wait::Linger, Instant::now(), LINGER);
    let shut = poll_fn(|cx| {
        client.listen(cx);
        match Pin::new(&mut stream).poll_shutdown(cx) {
            // Inside TLS our last word may wait for the socket.
            Poll::Pending if client.take_expired() => Poll::Ready(false),
            polled => polled.map(|shut| shut.is_ok()),
        }
    });
    if !shut.await {
        return;
    }
    let mut left = LINGER_BYTES;
    poll_fn(|cx| {
        client.listen(cx);
        loop {
            let mut scratch = client.local.scratch.borrow_mut();
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => left = left.saturating_sub(buf.filled().len()),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if client.take_expired() => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
            if left == 0 {
                return Poll::Ready(());
            }
        }
    })
    .await;
}

const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;

/// The client shall know that its answer is not whole, even if the answer ends with the connection.
pub(super) fn reset(stream: &Stream) {
    // A stream among several is reset when it is dropped.
    if let Some(Err(error)) = stream.tcp().map(TcpStream::set_zero_linger) {
        tracing::debug!(%error, "cannot reset a connection");
    }
}

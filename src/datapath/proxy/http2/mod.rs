//! The client's side of method `http` in HTTP/2: one connection, many requests at once.
//!
//! Frames, compression and flow control are the business of the crate `h2`, which is driven here directly: our own timers, a
//! drain and a cut reach each stream, resets and stalls are ours to count, and there is no second queue between a response
//! and its frames. A stream is an exchange like any other: it has a client of its own, as it were, with its wait, its
//! place in the registry and its line in the access log.
//!
//! ```text
//! serve ─► meter: what the peer's frames cost ─► h2 ─► stream ─► exchange ─► …
//! ```

mod duplex;
mod frames;
mod meter;
mod refusals;
mod serve;
mod stream;
mod tunnel;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use tokio::io::ReadBuf;

use super::client::{Client, Wait};
use super::local::PortRef;
use super::shared::Event;
use super::upstream::Rest;

pub(super) use duplex::Duplex;
pub(super) use serve::serve;

/// Whether the client speaks HTTP/2: as agreed on inside TLS, else if it begins with the preface where the port allows that.
/// `None`: it said nothing for too long.
pub(super) async fn begins(client: &Rc<Client>, port: &PortRef, rest: &Option<Rest>) -> Option<bool> {
    if let Some(tls) = client.tls() {
        return Some(tls.http2);
    }
    match rest {
        Some(rest) if port.settings.http2 => Box::pin(sounds_so(client, port, rest)).await,
        _ => Some(false),
    }
}

async fn sounds_so(client: &Client, port: &PortRef, rest: &Rest) -> Option<bool> {
    if !rest.read.is_empty() {
        return Some(serve::is_preface(&rest.read));
    }
    client.arm(Wait::Parked, Instant::now(), port.settings.timeouts.idle);
    // It is only looked at: whoever serves the client reads it. Clients send the preface in one piece.
    let mut first = [0; meter::PREFACE.len()];
    poll_fn(|cx| {
        client.listen(cx);
        let mut buf = ReadBuf::new(&mut first);
        let Some(stream) = rest.stream.tcp() else { return Poll::Ready(Some(false)) };
        match stream.poll_peek(cx, &mut buf) {
            Poll::Ready(peeked) => Poll::Ready(Some(peeked.is_ok() && serve::is_preface(buf.filled()))),
            // Whoever serves silent clients knows how they end.
            Poll::Pending if client.local.draining.get() => Poll::Ready(Some(false)),
            Poll::Pending if client.take_expired() => {
                client.local.count(Event::IdleClosed);
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

//! Bytes both ways, whatever they mean.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::accesslog;
use crate::message::ErrorReason;

use super::client::{Client, Wait};
use super::ending::reset;
use super::flow::{Flow, Tools};
use super::front::Tunnel;
use super::shared::Event;
use super::stream::Stream;
use super::tally::Tally;
use super::upstream::Rest;

/// Carries an upgraded connection after its 101 went to the client.
pub(super) async fn tunnel(client: &Rc<Client>, tunnel: Tunnel, front: Rest) {
    let Tunnel { upstream, tally } = tunnel;
    let Some(back) = upstream.into_rest() else {
        tally.failed();
        client.log_broken(Instant::now(), accesslog::End::Broken, ErrorReason::ServerClosed);
        return reset(&front.stream);
    };
    relay(client, &tally, front, back).await;
}

/// Carries bytes until both sides have closed, one breaks, nothing moves for too long, or the server is cut. A side that
/// closes its sending half goes on hearing the other.
pub(super) async fn relay(client: &Client, tally: &Tally, front: Rest, back: Rest) {
    let patience = tally.port.settings.timeouts.stale;
    client.arm(Wait::Stale, Instant::now(), patience);
    let mut pair =
        Pair { front: front.stream, back: back.stream, up: Flow::new(front.read), down: Flow::new(back.read) };
    let end = poll_fn(|cx| {
        client.listen(cx);
        let (before, polled) = (pair.moved(), pair.poll(client, tally, cx));
        if pair.moved() > before {
            client.arm(Wait::Stale, Instant::now(), patience);
        }
        if client.take_cut() {
            return Poll::Ready(End::Cut);
        }
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(End::Closed),
            Poll::Ready(Err(_)) => Poll::Ready(End::Broken),
            Poll::Pending if client.take_expired() => Poll::Ready(End::Stale),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    log_end(client, &end);
    let local = &client.local;
    match end {
        End::Closed => return,
        End::Broken => {}
        End::Stale => local.count(Event::Stalled),
        End::Cut => tally.port.counters.count_reason(local.lane, ErrorReason::ServerDown.index()),
    }
    // Both sides shall know that this was not the other's regular end.
    reset(&pair.front);
    reset(&pair.back);
}

fn log_end(client: &Client, end: &End) {
    let now = Instant::now();
    match end {
        End::Closed => client.log_end(now, accesslog::End::Complete),
        End::Broken => client.log_end(now, accesslog::End::Broken),
        End::Stale => client.log_end(now, accesslog::End::Stalled),
        End::Cut => client.log_broken(now, accesslog::End::Cut, ErrorReason::ServerDown),
    }
}

enum End {
    Closed,
    Broken,
    Stale,
    Cut,
}

struct Pair {
    front: Stream,
    back: Stream,
    up: Flow,
    down: Flow,
}

impl Pair {
    fn moved(&self) -> u64 {
        self.up.moved + self.down.moved
    }

    fn poll(&mut self, client: &Client, tally: &Tally, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut tools = Tools::of(&client.local);
        let up = self.up.poll(cx, &mut self.front, &mut self.back, &mut tools, |bytes| {
            tally.bytes_in(bytes);
            client.log_received(bytes);
        })?;
        let down = self.down.poll(cx, &mut self.back, &mut self.front, &mut tools, |bytes| {
            tally.bytes_out(bytes);
            client.log_sent(bytes);
        })?;
        if up.is_ready() && down.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

//! The plug-in's extended handshake: a question that precedes a request.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use http::header::HOST;
use http::{HeaderValue, Method};

use crate::message::examine_response;

use super::client::Wait;
use super::exchange::Exchange;
use super::offer::{Silence, is_interim};
use super::tally::Tally;
use super::upstream::Upstream;

impl Exchange {
    /// Asks the server whether it is there before it gets the request (the plug-in's `ExtendedHandshake`): a proxy between us
    /// takes connections for servers that are gone.
    pub async fn shake_hands(&self, upstream: &Upstream, tally: &Tally, now: Instant) -> Result<(), Silence> {
        self.front.client.arm(Wait::Server, now, self.server_patience(tally));
        let mut is_asked = false;
        let head = poll_fn(|cx| {
            if !std::mem::replace(&mut is_asked, true) {
                let asked = upstream.channel().give(cx, &handshake(self.outgoing().fields.get(HOST)), false);
                if asked.is_err() {
                    return Poll::Ready(Err(Silence::StaleHandshake));
                }
            }
            let read = {
                let mut scratch = self.local().scratch.borrow_mut();
                let mut spare = self.local().spare.borrow_mut();
                upstream.channel().poll_head(cx, &mut scratch, &mut spare.fields)
            };
            match read {
                Poll::Ready(Ok(read)) if is_interim(read.head.status) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Ready(Ok(read)) => Poll::Ready(Ok(read.head)),
                Poll::Ready(Err(fault)) if fault.is_nonsense() => Poll::Ready(Err(Silence::Handshake)),
                Poll::Ready(Err(_)) => Poll::Ready(Err(Silence::StaleHandshake)),
                Poll::Pending if self.front.client.take_cut() => Poll::Ready(Err(Silence::Cut)),
                Poll::Pending if self.front.client.take_expired() => Poll::Ready(Err(Silence::Handshake)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await?;
        let facts = examine_response(&head, None).map_err(|_| Silence::Handshake)?;
        upstream.channel().expect(facts.length(&Method::HEAD));
        // A connection that ends with this answer is of no use for what follows; nor is one on which more came than the answer,
        // as a body, which would be taken for the answer to what follows.
        let stays = facts.keeps_alive() && upstream.channel().line().is_some_and(|line| line.is_between());
        if stays { Ok(()) } else { Err(Silence::Handshake) }
    }
}

fn handshake(host: Option<&HeaderValue>) -> Vec<u8> {
    let host = host.map_or(&b""[..], HeaderValue::as_bytes);
    [b"HEAD / HTTP/1.1\r\nhost: ", host, b"\r\n\r\n"].concat()
}

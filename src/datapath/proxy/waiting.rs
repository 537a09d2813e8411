//! Waiting until a server has room.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use crate::executor::{Refusal, Turn};
use crate::message::ErrorReason;

use super::client::Wait;
use super::exchange::{Exchange, Refused};
use super::tally::Chosen;

impl Exchange {
    /// All servers that may take the request have as many as they may: it waits in line until one has room, its time is
    /// over, or things have changed so that nobody is there at all.
    pub async fn wait_for_room(&mut self) -> Result<Chosen, Refused> {
        self.has_waited = true;
        let (bound, patience) = (self.policy().max_queue as usize, self.policy().queue_timeout);
        let queue = std::sync::Arc::clone(self.queue());
        self.front.client.arm(Wait::Room, Instant::now(), patience);
        let mut place = None;
        poll_fn(|cx| {
            let Some(place) = &place else {
                match queue.enter(bound, cx.waker()) {
                    Some(entered) => place = Some(entered),
                    None => return Poll::Ready(Err(Refused::For(ErrorReason::QueueFull))),
                }
                // Those before look first; what they leave comes here.
                queue.notify();
                return Poll::Pending;
            };
            self.look_again();
            match self.choose(Turn::Take) {
                Ok(chosen) => return Poll::Ready(Ok(chosen)),
                Err(Refusal::Busy) => {}
                Err(refusal) => return Poll::Ready(Err(Refused::By(refusal))),
            }
            if self.front.client.take_expired() {
                return Poll::Ready(Err(Refused::For(ErrorReason::QueueTimeout)));
            }
            // Where nobody has room, all behind would look in vain, at each request that ends.
            if self.port.may_have_room(self.group(), Instant::now()) {
                place.pass_on();
            }
            Poll::Pending
        })
        .await
    }
}

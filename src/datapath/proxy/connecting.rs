//! Opening a connection to a server, step by step, within one time for all the steps.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::message::ErrorReason;

use super::accept::is_exhaustion;
use super::client::{Client, Wait};

/// Why there is no connection.
pub(super) enum NoConnection {
    Failed(ErrorReason),
    /// Our own file descriptors or memory are used up; no server is to blame.
    Exhausted,
    Cut,
}

/// The first step: it sets the time, in which those after it have to come to their end as well.
pub(super) async fn connect(
    client: &Client,
    address: SocketAddr,
    begun: Instant,
    patience: Duration,
) -> Result<TcpStream, NoConnection> {
    client.arm(Wait::Connect, begun, patience);
    let mut connecting = pin!(TcpStream::connect(address));
    let stream = in_time(client, |cx| connecting.as_mut().poll(cx).map_err(no_connection)).await?;
    // Without it a small request may wait for the acknowledgement of the one before. Who cannot set it can still serve.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "cannot set TCP_NODELAY");
    }
    Ok(stream)
}

/// One step, unless that takes too long or its server is taken down meanwhile.
pub(super) async fn in_time<T>(
    client: &Client,
    mut step: impl FnMut(&mut Context<'_>) -> Poll<Result<T, NoConnection>>,
) -> Result<T, NoConnection> {
    poll_fn(|cx| {
        // Nothing else of a tcp client's task listens yet.
        client.listen(cx);
        match step(cx) {
            Poll::Pending => ended(client).map_or(Poll::Pending, |why| Poll::Ready(Err(why))),
            done => done,
        }
    })
    .await
}

/// Why nobody waits for the connection any more, if so; asking settles it.
pub(super) fn ended(client: &Client) -> Option<NoConnection> {
    if client.take_cut() {
        return Some(NoConnection::Cut);
    }
    client.take_expired().then_some(NoConnection::Failed(ErrorReason::ConnectTimeout))
}

fn no_connection(error: io::Error) -> NoConnection {
    if is_exhaustion(&error) {
        return NoConnection::Exhausted;
    }
    NoConnection::Failed(match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorReason::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorReason::ConnectTimeout,
        _ => ErrorReason::Unreachable,
    })
}

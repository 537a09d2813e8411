//! Telling a server, before anything else, whom a new connection is for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::message::proxy_protocol::{ProxiedClient, ProxyHeader};
use crate::message::{ErrorReason, Proto};

use super::client::Client;
use super::connecting::{NoConnection, ended};
use super::local::PortRef;

/// Sends the port's PROXY header, if it has one. It is written by itself: what follows is hyper's business or the relay's,
/// and one small segment more per connection is nothing beside the handshake.
pub(super) async fn announce(client: &Client, port: &PortRef, stream: &mut TcpStream) -> Result<(), NoConnection> {
    match port.settings.sendproxy {
        Some(version) => write(client, stream, &header(client, port).to_bytes(version)).await,
        None => Ok(()),
    }
}

/// Within what is left of the time for the connection, which [`super::connecting::connect`] began.
async fn write<S>(client: &Client, stream: &mut S, mut left: &[u8]) -> Result<(), NoConnection>
where
    S: AsyncWrite + Unpin,
{
    poll_fn(|cx| {
        client.listen(cx);
        if let Some(why) = ended(client) {
            return Poll::Ready(Err(why));
        }
        while !left.is_empty() {
            // A server that hangs up now would not have taken a request either.
            match ready!(Pin::new(&mut *stream).poll_write(cx, left)) {
                Ok(written @ 1..) => left = left.get(written..).unwrap_or_default(),
                Ok(0) | Err(_) => return Poll::Ready(Err(NoConnection::Failed(ErrorReason::ServerClosed))),
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

/// The connection's own client. Whom a trusted proxy names in a request's `X-Forwarded-For` is said in that request.
fn header(client: &Client, port: &PortRef) -> ProxyHeader {
    ProxyHeader::Client(ProxiedClient {
        source: client.peer(),
        destination: client.destination(port),
        tls: client.proto() == Proto::Https,
    })
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt, duplex};
    use tokio::runtime::{Builder, LocalOptions};

    use crate::executor::{ForwardingTable, Lane};
    use crate::model::{PortId, ServerId};

    use super::super::client::Wait;
    use super::super::local::Local;
    use super::super::shared::Shared;
    use super::*;

    const HEADER: &[u8] = b"PROXY UNKNOWN\r\n";

    fn with_client<T>(story: impl AsyncFnOnce(Rc<Client>, Rc<Local>) -> T) -> T {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let local = Rc::new(Local::new(Shared::new(ForwardingTable::default(), 1), Lane(0)));
            let ticking = tokio::task::spawn_local(Rc::clone(&local).tick());
            let (client, _registered) = Client::register(&local, PortId(0), "192.0.2.1:1024".parse().unwrap());
            let told = story(client, local).await;
            ticking.abort();
            told
        })
    }

    #[test]
    fn a_header_goes_out_as_the_server_takes_it() {
        with_client(async |client, _local| {
            let (mut near, mut far) = duplex(4);
            client.arm(Wait::Connect, Instant::now(), Duration::from_secs(60));
            let reading = tokio::task::spawn_local(async move {
                let mut bytes = vec![0; HEADER.len()];
                far.read_exact(&mut bytes).await.map(|_| bytes)
            });
            assert!(write(&client, &mut near, HEADER).await.is_ok());
            assert_eq!(reading.await.unwrap().unwrap(), HEADER);
        });
    }

    #[test]
    fn a_server_that_takes_half_of_it_is_given_up_in_time_or_when_it_is_taken_down() {
        with_client(async |client, local| {
            let (mut near, _far) = duplex(4);
            client.arm(Wait::Connect, Instant::now(), Duration::from_millis(1));
            let late = write(&client, &mut near, HEADER).await;
            assert!(matches!(late, Err(NoConnection::Failed(ErrorReason::ConnectTimeout))));
            client.arm(Wait::Connect, Instant::now(), Duration::from_secs(60));
            client.serve_by(Some(ServerId(1)));
            tokio::task::spawn_local(async move { local.clients.cut(ServerId(1)) });
            assert!(matches!(write(&client, &mut near, HEADER).await, Err(NoConnection::Cut)));
        });
    }

    #[test]
    fn a_server_that_hung_up_has_not_taken_it() {
        with_client(async |client, _local| {
            let (mut near, far) = duplex(4);
            client.arm(Wait::Connect, Instant::now(), Duration::from_secs(60));
            drop(far);
            let gone = write(&client, &mut near, HEADER).await;
            assert!(matches!(gone, Err(NoConnection::Failed(ErrorReason::ServerClosed))));
        });
    }
}

//! TLS with a server, on a connection that stands.

use std::pin::pin;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::executor::ServerEntry;
use crate::message::ErrorReason;
use crate::tls::ServerLink;

use super::client::Client;
use super::connecting::{NoConnection, in_time};
use super::stream::Stream;

/// How a server is spoken to: plainly, or inside TLS. Where TLS is asked for and nothing could be made of the settings, there
/// is no connection: what is meant for TLS never leaves in the clear.
pub(super) fn link_of(server: &ServerEntry) -> Result<Option<&Arc<ServerLink>>, NoConnection> {
    match (&server.proxied().tls, &server.tls) {
        (None, _) => Ok(None),
        (Some(_), Some(link)) => Ok(Some(link)),
        (Some(_), None) => Err(NoConnection::Failed(ErrorReason::ServerTls)),
    }
}

/// Within what is left of the time for the connection, which [`super::connecting::connect`] began.
pub(super) async fn secure(
    client: &Client,
    link: Option<&Arc<ServerLink>>,
    stream: TcpStream,
) -> Result<Stream, NoConnection> {
    let Some(link) = link else { return Ok(Stream::Plain(stream)) };
    let connector = TlsConnector::from(Arc::clone(link.back.config()));
    let mut connecting = pin!(connector.connect(link.name.clone(), stream));
    let failed = |error| {
        tracing::warn!(name = ?link.name, %error, "no TLS session with a server");
        NoConnection::Failed(ErrorReason::ServerTls)
    };
    let session = in_time(client, |cx| connecting.as_mut().poll(cx).map_err(failed)).await?;
    Ok(Stream::Tls(Box::new(TlsStream::Client(session))))
}

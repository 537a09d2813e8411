//! The host that a `tcp` client asks for inside TLS, by which its connection finds its servers.
//!
//! Where the port speaks TLS itself it knows the name already. Where it does not, the client's first message is read, and
//! goes to the server as it came: neither side notices.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use tokio::net::TcpStream;

use crate::executor::{RequestView, Routed};
use crate::message::client_hello::{ClientHelloFault, Progress, parse};
use crate::message::{Canonical, ErrorReason};

use super::client::{Client, Wait};
use super::hello::poll_more;
use super::local::PortRef;
use super::stream::Stream;
use super::upstream::Rest;

/// A connection as routes see it: a host, and nothing else.
pub(super) struct Named {
    method: Method,
    uri: Uri,
    fields: HeaderMap,
    canonical: Canonical,
}

impl Named {
    fn new(host: Option<&str>, port: &PortRef) -> Self {
        let mut fields = HeaderMap::new();
        if let Some(host) = host.and_then(|host| HeaderValue::from_str(host).ok()) {
            fields.insert(HOST, host);
        }
        let canonical = Canonical::new(None, port.settings.number.get());
        Self { method: Method::CONNECT, uri: Uri::default(), fields, canonical }
    }

    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            uri: &self.uri,
            version: Version::HTTP_11,
            fields: &self.fields,
            canonical: &self.canonical,
        }
    }
}

/// What the port's routes go by; `None`: it has none. What was read of the client for that stays in `rest`.
pub(super) async fn name(client: &Client, port: &PortRef, rest: &mut Rest) -> Result<Option<Named>, ErrorReason> {
    if port.routes.is_empty() {
        return Ok(None);
    }
    let named = match (client.tls(), &rest.stream) {
        (Some(tls), _) => Named::new(tls.name.as_deref(), port),
        (None, Stream::Plain(stream)) => {
            let (named, read) = listen(client, port, stream, std::mem::take(&mut rest.read)).await?;
            rest.read = read;
            named
        }
        (None, Stream::Tls(_) | Stream::Http2(_)) => Named::new(None, port),
    };
    match port.route(&named.view()) {
        Routed::Group(..) => Ok(Some(named)),
        Routed::Redirect(..) | Routed::Nowhere => Err(ErrorReason::NoRoute),
    }
}

/// Reads until the client's first message is whole.
async fn listen(
    client: &Client,
    port: &PortRef,
    stream: &TcpStream,
    early: Bytes,
) -> Result<(Named, Bytes), ErrorReason> {
    client.arm(Wait::Tls, Instant::now(), port.settings.timeouts.tls);
    let mut bytes = early.to_vec();
    let named = poll_fn(|cx| {
        client.listen(cx);
        loop {
            match parse(&bytes) {
                Ok(Progress::Whole(hello)) => return Poll::Ready(Ok(Named::new(hello.server_name.as_deref(), port))),
                Ok(Progress::Incomplete) => {}
                Err(ClientHelloFault::NotTls { .. }) => return Poll::Ready(Err(ErrorReason::NotTls)),
                Err(fault) => {
                    tracing::debug!(peer = %client.peer(), port = %port.key, %fault, "no name to route by");
                    return Poll::Ready(Err(ErrorReason::TlsHandshake));
                }
            }
            match poll_more(client, stream, &mut bytes, cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(Err(ErrorReason::TlsHandshake)),
                Poll::Pending if client.take_expired() => return Poll::Ready(Err(ErrorReason::TlsTimeout)),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    Ok((named.await?, bytes.into()))
}

//! Connections to servers.

use std::cell::Cell;
use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::model::ServerId;

use super::client::Client;
use super::local::Local;
use super::shared::Event;
use super::upload::RequestBody;

/// One connection to a server. Dropping it closes it, whatever it is in the middle of.
///
/// hyper's connection is a task of its own: it reads responses, notices when an idle server hangs up, and ends with an
/// error when the server says something unasked.
pub(super) struct Upstream {
    pub server: ServerId,
    pub address: SocketAddr,
    pub born: Instant,
    /// The one client connection that it is for, because it began with that client's PROXY header. `None`: for anybody.
    owner: Option<Weak<Client>>,
    sender: SendRequest<RequestBody>,
    task: JoinHandle<()>,
    /// Bytes that ever came from the server.
    received: Rc<Cell<u64>>,
    /// What is left when hyper has let go of the connection: only after 101 of interest.
    rest: Rc<Cell<Option<Rest>>>,
}

/// A socket and what was read from it already.
pub(super) struct Rest {
    pub stream: TcpStream,
    pub read: Bytes,
}

/// Bytes of a response's head, more than any server we know of sends by default (Apache 8 KiB, nginx 4 or 8, Tomcat 8).
const MAX_RESPONSE_HEAD: usize = 64 * 1024;

/// Bytes that wait in each direction of a connection between reading and writing. Larger reads save system calls for
/// large bodies; a slow reader holds at most this much on each side.
pub(super) const MAX_BUFFER: usize = 128 * 1024;

impl Upstream {
    /// Speaks HTTP over a new connection.
    pub async fn start(
        local: &Rc<Local>,
        server: ServerId,
        address: SocketAddr,
        stream: TcpStream,
        owner: Option<&Rc<Client>>,
    ) -> hyper::Result<Self> {
        let received = Rc::new(Cell::new(0));
        let wire = Wire { stream, received: Rc::clone(&received) };
        let mut builder = Builder::new();
        builder.max_buf_size(MAX_BUFFER).max_header_size(MAX_RESPONSE_HEAD);
        let (sender, connection) = builder.handshake(TokioIo::new(wire)).await?;
        let rest = Rc::new(Cell::new(None));
        let task = tokio::task::spawn_local(drive(Rc::clone(local), connection, Rc::clone(&rest)));
        let owner = owner.map(Rc::downgrade);
        Ok(Self { server, address, born: Instant::now(), owner, sender, task, received, rest })
    }

    /// The last exchange is over on both sides and the server has not hung up.
    pub fn is_ready(&self) -> bool {
        self.sender.is_ready() && !self.sender.is_closed()
    }

    /// Whether requests of this client may go over it, or where none is named, of any.
    pub fn is_for(&self, client: Option<&Rc<Client>>) -> bool {
        match (&self.owner, client) {
            (None, None) => true,
            (Some(owner), Some(client)) => std::ptr::eq(owner.as_ptr(), Rc::as_ptr(client)),
            _ => false,
        }
    }

    /// The client that it is for has gone.
    pub fn is_orphaned(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.strong_count() == 0)
    }

    /// Bytes that ever came from the server.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    pub fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<> {
        self.sender.try_send_request(request)
    }

    /// The socket after 101. `None`: the connection broke first.
    pub async fn into_rest(mut self) -> Option<Rest> {
        // How the task ended is in what it left behind.
        let _ended = (&mut self.task).await;
        self.rest.take()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn drive(local: Rc<Local>, connection: Connection<TokioIo<Wire>, RequestBody>, rest: Rc<Cell<Option<Rest>>>) {
    match connection.without_shutdown().await {
        Ok(parts) => rest.set(Some(Rest { stream: parts.io.into_inner().stream, read: parts.read_buf })),
        // Errors of an exchange went to the exchange. What comes here befell an idle connection: either the network broke
        // it, which has a cause, or the server sent bytes that nobody asked for.
        Err(error) if error.source().is_none() => local.count(Event::PoolSpoiled),
        Err(_) => {}
    }
}

/// A socket that counts what comes in.
struct Wire {
    stream: TcpStream,
    received: Rc<Cell<u64>>,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.received.set(self.received.get() + (buf.filled().len() - before) as u64);
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

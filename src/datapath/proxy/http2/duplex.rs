//! Bytes both ways over one stream, for tunnels (RFC 8441).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream as a connection. Dropping it before it was closed resets it, so that its client can tell the two.
pub(in super::super) struct Duplex {
    receive: RecvStream,
    send: SendStream<Bytes>,
    /// Received and not yet read.
    early: Bytes,
    /// Our end is said.
    is_closed: bool,
}

/// The most that is handed over at once, and so the most that one tunnel copies ahead of its client.
const PIECE: usize = 16 * 1024;

impl Duplex {
    pub fn new(receive: RecvStream, send: SendStream<Bytes>) -> Self {
        Self { receive, send, early: Bytes::new(), is_closed: false }
    }
}

impl AsyncRead for Duplex {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.early.is_empty() {
            match ready!(self.receive.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                Some(Ok(bytes)) => self.early = bytes,
            }
        }
        let now = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early.split_to(now));
        // The client may send as much again.
        self.receive.flow_control().release_capacity(now).map_err(broken)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.send.reserve_capacity(bytes.len().min(PIECE));
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(room) => drop(room.map_err(broken)?),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let now = bytes.get(..self.send.capacity().min(PIECE)).unwrap_or(bytes);
        self.send.send_data(Bytes::copy_from_slice(now), false).map_err(broken)?;
        Poll::Ready(Ok(now.len()))
    }

    /// What was handed over is the connection's business.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.send.send_data(Bytes::new(), true).map_err(broken)?;
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

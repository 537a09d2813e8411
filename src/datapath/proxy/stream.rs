//! A connection's bytes: as the socket has them, or inside TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::http2::Duplex;

/// A client's or a server's connection.
pub(super) enum Stream {
    Plain(TcpStream),
    /// Boxed because a session's state is large beside a socket, and most of what waits in tables is not inside TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// One stream among several of a connection (HTTP/2).
    Http2(Box<Duplex>),
}

impl Stream {
    /// The socket, for what concerns the connection and not its bytes. `None`: it is not this one's alone.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Http2(_) => None,
        }
    }

    /// Bytes, or the end, that came already though the socket says nothing of them: a client's first request comes with the
    /// end of its handshake.
    pub fn has_early(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Http2(_) => false,
            Self::Tls(stream) => !stream.get_ref().1.wants_read(),
        }
    }

    /// The socket, if its bytes are the connection's.
    pub fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(_) | Self::Http2(_) => None,
        }
    }

    /// The socket, if nothing but it belongs to the connection.
    pub fn into_plain(self) -> Option<TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(_) | Self::Http2(_) => None,
        }
    }

    /// The protocol that was agreed on inside TLS; empty where nothing was said of it. `None`: there is no TLS.
    pub fn agreed(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(stream) => Some(stream.get_ref().1.alpn_protocol().unwrap_or_default()),
            Self::Plain(_) | Self::Http2(_) => None,
        }
    }

    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Http2(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

/// Inside TLS what was written may still wait for the socket: only a flush says that it is out.
impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Http2(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Http2(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Http2(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Inside TLS the other side is told first, so that it can tell an end from a broken connection (RFC 8446 6.1).
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Http2(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

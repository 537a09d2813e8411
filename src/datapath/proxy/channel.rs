//! How a request goes to its server and the response comes back: in HTTP/1.1 over a line, or in HTTP/2 over a stream.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

use crate::message::ResponseLength;
use crate::message::codec::{Read, write_chunk, write_last_chunk};

use super::http2_line::Http2Line;
use super::line::{Line, LineFault};

pub(super) enum Channel {
    Http1(Line),
    /// Boxed because most servers are spoken to in HTTP/1.1.
    Http2(Box<Http2Line>),
}

impl Channel {
    /// What ever went to the server: more, if it was given anything.
    pub fn sent(&self) -> u64 {
        match self {
            Self::Http1(line) => line.sent(),
            Self::Http2(line) => line.sent(),
        }
    }

    /// What ever came from the server.
    pub fn received(&self) -> u64 {
        match self {
            Self::Http1(line) => line.received(),
            Self::Http2(line) => line.received(),
        }
    }

    /// Hands a request's head over. That of a request with a body waits for the body's beginning.
    pub fn give(&mut self, cx: &mut Context<'_>, head: &[u8], has_body: bool) -> io::Result<()> {
        match self {
            Self::Http1(line) if has_body => {
                line.queue(Bytes::copy_from_slice(head));
                Ok(())
            }
            Self::Http1(line) => line.send(cx, head),
            Self::Http2(line) => line.give(head, has_body),
        }
    }

    /// Hands a piece of the body over.
    pub fn data(&mut self, bytes: Bytes, is_chunked: bool) {
        match self {
            Self::Http1(line) if is_chunked => {
                let mut size = Vec::with_capacity(16);
                write_chunk(bytes.len(), &mut size);
                line.queue(size.into());
                line.queue(bytes);
                line.queue(Bytes::from_static(b"\r\n"));
            }
            Self::Http1(line) => line.queue(bytes),
            Self::Http2(line) => line.data(bytes),
        }
    }

    /// The body is over.
    pub fn finish(&mut self, trailers: Option<&HeaderMap>, is_chunked: bool) {
        match self {
            Self::Http1(line) if is_chunked => {
                let mut last = Vec::with_capacity(16);
                write_last_chunk(trailers, &mut last);
                line.queue(last.into());
            }
            Self::Http1(_) => {}
            Self::Http2(line) => line.finish(trailers.cloned()),
        }
    }

    /// Writes what was handed over.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Http1(line) => line.poll_flush(cx),
            Self::Http2(line) => line.poll_flush(cx),
        }
    }

    /// The head of the response, interim ones before it. Its fields may go into `fields`.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        fields: &mut HeaderMap,
    ) -> Poll<Result<Read, LineFault>> {
        match self {
            Self::Http1(line) => line.poll_head(cx, scratch, fields),
            Self::Http2(line) => line.poll_head(cx),
        }
    }

    /// The body is so long.
    pub fn expect(&mut self, length: ResponseLength) {
        match self {
            Self::Http1(line) => line.expect(length),
            Self::Http2(line) => line.expect(length),
        }
    }

    /// The server was silent for too long: a connection that others would use too may be dead.
    pub fn distrust(&self) {
        if let Self::Http2(line) = self {
            line.distrust();
        }
    }

    /// Bytes of the body that are still to come, if that is known.
    pub fn left(&self) -> Option<u64> {
        match self {
            Self::Http1(line) => line.left(),
            Self::Http2(line) => line.left(),
        }
    }

    /// The whole body, if all of it is here already.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        match self {
            Self::Http1(line) => line.take_whole(),
            Self::Http2(line) => line.is_over().then(Bytes::new),
        }
    }

    /// Nothing more of the response comes, be it trailers.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Http1(line) => line.left() == Some(0),
            Self::Http2(line) => line.is_over(),
        }
    }

    /// The next piece of the body, as it comes.
    pub fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<Option<Result<Frame<Bytes>, LineFault>>> {
        match self {
            Self::Http1(line) => line.poll_body(cx, scratch),
            Self::Http2(line) => line.poll_body(cx),
        }
    }

    /// The line, where requests follow one another on it.
    pub fn line(&mut self) -> Option<&mut Line> {
        match self {
            Self::Http1(line) => Some(line),
            Self::Http2(_) => None,
        }
    }

    pub fn into_line(self) -> Option<Line> {
        match self {
            Self::Http1(line) => Some(line),
            Self::Http2(_) => None,
        }
    }
}

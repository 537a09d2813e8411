//! A client's socket as hyper's server sees it.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::front::FrontState;
use super::stream::Stream;

/// Up to so many bytes are copied together and written plainly, which costs the kernel less than gathering them itself.
const TOGETHER: usize = 4 * 1024;

fn gather<'a>(slices: &[io::IoSlice<'_>], room: &'a mut [u8]) -> &'a [u8] {
    let mut len = 0;
    for slice in slices {
        if let Some(room) = room.get_mut(len..len + slice.len()) {
            room.copy_from_slice(slice);
            len += slice.len();
        }
    }
    room.get(..len).unwrap_or_default()
}

/// The client's connection. hyper never closes it: that is done here, when the last bytes are out.
pub(super) struct Wire {
    pub stream: Stream,
    /// Read before hyper came, and given to it first.
    pub early: Bytes,
    pub state: Rc<FrontState>,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let now = self.early.len().min(buf.remaining());
            let early = self.early.split_to(now);
            self.state.hear(early.first());
            buf.put_slice(&early);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(first) = buf.filled().get(before) {
            self.state.hear(Some(first));
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.state.is_quiet() {
            self.state.swallow(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        if self.state.is_quiet() {
            self.state.swallow(slices.first().map_or(&[], |first| &**first));
            return Poll::Ready(Ok(len));
        }
        let Self { stream, state, .. } = &mut *self;
        // TLS gathers them itself.
        if len > TOGETHER || slices.len() < 2 || stream.is_tls() {
            return Pin::new(stream).poll_write_vectored(cx, slices);
        }
        let mut scratch = state.client.local.scratch.borrow_mut();
        Pin::new(stream).poll_write(cx, gather(slices, &mut scratch))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper comes here when all that it had is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.state.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

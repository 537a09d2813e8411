//! A connection to a server as HTTP sees it: requests out, one response at a time in.
//!
//! It is polled by whoever serves the client, so that a request and its response need no second task, no channel and no
//! wakeup between the two. An idle line has no buffers.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::message::ResponseLength;
use crate::message::codec::{BadChunk, BadHead, Chunked, MAX_INTERIM, MAX_RESPONSE_HEAD, Piece, Read, parse_response};

use super::stream::Stream;

pub(super) struct Line {
    stream: Stream,
    /// Handed over and not yet taken by the kernel. Bounded by its users: a head, and one frame of a body.
    out: VecDeque<Bytes>,
    /// Read and not yet used.
    read: Bytes,
    sent: u64,
    received: u64,
    /// Bytes that the last look at the socket brought.
    last: usize,
    /// Interim responses to the request that is being answered.
    interim: u32,
    extent: Extent,
    /// The last response had no body by rule and not by its own word: its server may think otherwise.
    is_bodiless: bool,
}

/// What is left of the response that is being read.
enum Extent {
    /// Nothing: there is none, or it is over.
    Done,
    Sized(u64),
    Chunked(Box<Chunked>),
    UntilClose,
}

/// Why a line is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineFault {
    #[error("the connection ended")]
    Ended,
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    #[error("what came is no response")]
    BadHead(#[source] BadHead),
    #[error("the body is not what its head says")]
    BadBody(#[source] BadChunk),
}

impl LineFault {
    /// The server said something wrong, rather than nothing more.
    pub fn is_nonsense(&self) -> bool {
        matches!(self, Self::BadHead(_) | Self::BadBody(_))
    }
}

/// How an idle line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Idle {
    /// It can take a request.
    Ready,
    Closed,
    /// The server said something that nobody asked for.
    Spoiled,
}

/// Up to this much is read into the worker's scratch memory and copied: most responses fit, with their head, and their
/// buffers are then as large as they are. Longer bodies are read into buffers of their own.
const SMALL: usize = 32 * 1024;

/// Bytes of a long body that are read at once. Larger reads save system calls and wakeups; a slow client holds at most
/// two such buffers.
const LARGE: usize = 128 * 1024;

/// Buffers that one write takes.
const SLICES: usize = 8;

impl Line {
    pub fn new(stream: Stream) -> Self {
        let (out, read) = (VecDeque::new(), Bytes::new());
        Self { stream, out, read, sent: 0, received: 0, last: 0, interim: 0, extent: Extent::Done, is_bodiless: false }
    }

    /// Bytes that ever went to the server.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that ever came from the server.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Hands `bytes` over, straight to the kernel as far as it takes them.
    pub fn send(&mut self, cx: &mut Context<'_>, mut bytes: &[u8]) -> io::Result<()> {
        if self.out.is_empty()
            && let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes)?
        {
            self.sent += written as u64;
            bytes.advance(written);
        }
        if !bytes.is_empty() {
            self.queue(Bytes::copy_from_slice(bytes));
        }
        Ok(())
    }

    /// Hands `bytes` over; the next [`Line::poll_flush`] writes them, together with what else there is.
    pub fn queue(&mut self, bytes: Bytes) {
        self.out.push_back(bytes);
    }

    /// Writes what was handed over.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(self.poll_write_out(cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written as u64;
            self.advance_out(written);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.out.len().min(SLICES);
        for (slice, bytes) in slices.iter_mut().zip(&self.out) {
            *slice = IoSlice::new(bytes);
        }
        match slices.get(..count) {
            Some([one]) => stream.poll_write(cx, one),
            Some(several) => stream.poll_write_vectored(cx, several),
            None => Poll::Ready(Ok(0)),
        }
    }

    fn advance_out(&mut self, mut written: usize) {
        while let Some(first) = self.out.front_mut() {
            let here = first.len().min(written);
            first.advance(here);
            written -= here;
            if !first.is_empty() {
                return;
            }
            self.out.pop_front();
        }
    }

    /// The head of the response. Its fields go into `fields`, which is emptied before.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        fields: &mut HeaderMap,
    ) -> Poll<Result<Read, LineFault>> {
        // Where a head ends is looked for in new bytes only, so that a head that drips is not parsed for each drop.
        let mut seen = 0;
        loop {
            if may_end_head(&self.read, seen)
                && let Some(read) = parse_response(&self.read, fields).map_err(LineFault::BadHead)?
            {
                self.read.advance(read.len);
                self.interim = if read.head.status.is_informational() { self.interim + 1 } else { 0 };
                if self.interim > MAX_INTERIM {
                    return Poll::Ready(Err(LineFault::BadHead(BadHead::TooManyInterim)));
                }
                return Poll::Ready(Ok(read));
            }
            if self.read.len() >= MAX_RESPONSE_HEAD {
                return Poll::Ready(Err(LineFault::BadHead(BadHead::TooLarge)));
            }
            seen = self.read.len();
            if ready!(self.poll_little(cx, scratch)).map_err(LineFault::Broken)? == 0 {
                return Poll::Ready(Err(LineFault::Ended));
            }
        }
    }

    /// The body is so long; it begins with what came after the head.
    pub fn expect(&mut self, length: ResponseLength) {
        self.is_bodiless = length == ResponseLength::None;
        self.extent = match length {
            ResponseLength::None | ResponseLength::Sized(0) => Extent::Done,
            ResponseLength::Sized(bytes) => Extent::Sized(bytes),
            ResponseLength::Chunked => Extent::Chunked(Box::default()),
            ResponseLength::UntilClose => Extent::UntilClose,
        };
    }

    /// Bytes of the body that are still to come, if that is known.
    pub fn left(&self) -> Option<u64> {
        match self.extent {
            Extent::Done => Some(0),
            Extent::Sized(left) => Some(left),
            Extent::Chunked(_) | Extent::UntilClose => None,
        }
    }

    /// The whole body, if all of it is here already.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        match self.extent {
            Extent::Done => Some(Bytes::new()),
            Extent::Sized(left) => {
                let here = usize::try_from(left).ok().filter(|&left| left <= self.read.len())?;
                self.extent = Extent::Done;
                Some(self.read.split_to(here))
            }
            Extent::Chunked(_) | Extent::UntilClose => None,
        }
    }

    /// The next piece of the body, as it comes.
    pub fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<Option<Result<Frame<Bytes>, LineFault>>> {
        loop {
            match self.next_piece() {
                Ok(Piece::Data(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Ok(Piece::Trailers(fields)) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(fault) => return Poll::Ready(Some(Err(LineFault::BadBody(fault)))),
            }
            match ready!(self.poll_more(cx, scratch)) {
                Ok(1..) => {}
                Ok(0) if matches!(self.extent, Extent::UntilClose) => self.extent = Extent::Done,
                Ok(0) => return Poll::Ready(Some(Err(LineFault::Ended))),
                Err(error) => return Poll::Ready(Some(Err(LineFault::Broken(error)))),
            }
        }
    }

    fn next_piece(&mut self) -> Result<Piece, BadChunk> {
        let piece = match &mut self.extent {
            Extent::Done => Piece::End,
            Extent::Chunked(chunked) => chunked.next(&mut self.read)?,
            _ if self.read.is_empty() => Piece::More,
            Extent::UntilClose => Piece::Data(std::mem::take(&mut self.read)),
            Extent::Sized(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.read.len());
                *left -= here as u64;
                Piece::Data(self.read.split_to(here))
            }
        };
        if matches!(piece, Piece::Trailers(_) | Piece::End) || matches!(self.extent, Extent::Sized(0)) {
            self.extent = Extent::Done;
        }
        Ok(piece)
    }

    /// The response is over, nothing of the request is left, and nothing came after the response.
    pub fn is_between(&self) -> bool {
        matches!(self.extent, Extent::Done) && self.read.is_empty() && self.out.is_empty()
    }

    /// More came than the response that is over.
    pub fn has_extra(&self) -> bool {
        matches!(self.extent, Extent::Done) && !self.read.is_empty()
    }

    /// How the line is while nothing is asked of it. Costs no system call unless something has happened to it, or a body may
    /// have come that its response must not have.
    pub fn look(&mut self) -> Idle {
        if !self.is_between() {
            return Idle::Spoiled;
        }
        if self.is_bodiless
            && let Some(idle) = self.peek()
        {
            return idle;
        }
        let mut byte = [0; 1];
        let mut buf = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf) {
            Poll::Pending => Idle::Ready,
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => Idle::Spoiled,
            Poll::Ready(_) => Idle::Closed,
        }
    }

    /// What the kernel has for us now, which the last turn of the event loop may not have known: the body of an answer to HEAD
    /// mostly comes a moment after its head, and would be read as the answer to the next request. `None`: nothing.
    fn peek(&self) -> Option<Idle> {
        let socket = SockRef::from(self.stream.tcp()?);
        match socket.peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => Some(Idle::Closed),
            // Inside TLS it may be a ticket or the end; a connection less is no loss.
            Ok(_) if self.stream.is_tls() => Some(Idle::Closed),
            Ok(_) => Some(Idle::Spoiled),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => Some(Idle::Closed),
        }
    }

    /// The socket, and what was read from it already.
    pub fn into_rest(self) -> (Stream, Bytes) {
        (self.stream, self.read)
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let expected = match self.extent {
            Extent::Sized(left) => usize::try_from(left).unwrap_or(usize::MAX).min(LARGE),
            // Who has sent much at once is likely to do so again.
            _ if self.last >= SMALL => LARGE,
            _ => 0,
        };
        // Who lends little room wants no more than that.
        let expected = expected.min(scratch.len());
        if expected > SMALL && self.read.is_empty() {
            self.poll_much(cx, expected)
        } else {
            self.poll_little(cx, scratch)
        }
    }

    /// Reads into memory of its own.
    fn poll_much(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>> {
        let mut buffer = BytesMut::with_capacity(most);
        let count = ready!(pin!(self.stream.read_buf(&mut buffer)).poll(cx))?;
        self.read = buffer.freeze();
        Poll::Ready(Ok(self.note(count)))
    }

    /// Reads into `scratch` and copies.
    fn poll_little(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let room = scratch.len().min(SMALL);
        let (scratch, _) = scratch.split_at_mut(room);
        let mut buf = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        let filled = buf.filled();
        if self.read.is_empty() {
            self.read = Bytes::copy_from_slice(filled);
        } else {
            let mut longer = BytesMut::from(std::mem::take(&mut self.read));
            longer.extend_from_slice(filled);
            self.read = longer.freeze();
        }
        let count = filled.len();
        Poll::Ready(Ok(self.note(count)))
    }

    fn note(&mut self, count: usize) -> usize {
        self.received += count as u64;
        self.last = count;
        count
    }
}

/// Whether an empty line may be in `bytes`, of which the first `seen` were looked at before.
fn may_end_head(bytes: &[u8], seen: usize) -> bool {
    const LONGEST_END: usize = b"\n\r\n".len();
    if seen == 0 {
        return !bytes.is_empty();
    }
    let fresh = bytes.get(seen.saturating_sub(LONGEST_END)..).unwrap_or_default();
    fresh.windows(2).any(|pair| pair == b"\n\n") || fresh.windows(LONGEST_END).any(|end| end == b"\n\r\n")
}

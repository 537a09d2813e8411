//! One direction of a relay.

use std::cell::RefMut;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::local::Local;
use super::pace::Pace;
use super::pipes::{Filled, Load, Pipes};
use super::stream::Stream;

/// Bytes from one socket to the other: copied, and while much comes in a row spliced through a pipe.
pub(super) struct Flow {
    /// Read but not yet written.
    pending: Bytes,
    /// In a pipe but not yet written; never together with `pending`.
    load: Option<Load>,
    pace: Pace,
    state: State,
    pub moved: u64,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Open,
    /// Its source has closed; what is pending still goes out.
    Ended,
    /// Its sink knows.
    Closed,
}

/// What the flows of one worker move bytes with.
pub(super) struct Tools<'a> {
    scratch: RefMut<'a, Box<[u8]>>,
    pipes: &'a Pipes,
}

impl<'a> Tools<'a> {
    pub fn of(local: &'a Local) -> Self {
        Self { scratch: local.scratch.borrow_mut(), pipes: &local.pipes }
    }
}

/// Reads in a row before other tasks of the worker have their turn.
const ROUNDS: usize = 8;

impl Flow {
    /// `early` was read before the relay began.
    pub fn new(early: Bytes) -> Self {
        Self { pending: early, load: None, pace: Pace::default(), state: State::Open, moved: 0 }
    }

    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        tools: &mut Tools<'_>,
        count: impl Fn(usize),
    ) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            ready!(self.flush(cx, to, tools.pipes, &count))?;
            match self.state {
                // What is inside TLS has to be opened here, and what goes inside closed.
                State::Open if self.pace.is_bulk() && from.plain().is_some() && to.plain().is_some() => {
                    ready!(self.splice(cx, from, to, tools, &count))?;
                }
                State::Open => ready!(self.copy(cx, from, to, tools, &count))?,
                State::Ended => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.state = State::Closed;
                }
                State::Closed => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what was read.
    fn flush(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Stream,
        pipes: &Pipes,
        count: &impl Fn(usize),
    ) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut *to).poll_write(cx, &self.pending))?;
            self.wrote(written, count)?;
            // What is written leaves with its buffer: an idle connection keeps none.
            drop(self.pending.split_to(written));
        }
        while let (Some(load), Some(to)) = (self.load.as_mut().filter(|load| load.bytes() > 0), to.plain()) {
            let written = ready!(load.unload(cx, to))?;
            self.wrote(written, count)?;
        }
        if let Some(load) = self.load.take() {
            load.put_back(pipes);
        }
        Pin::new(to).poll_flush(cx)
    }

    /// Moves once into a pipe and out of it as far as it goes.
    fn splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        tools: &mut Tools<'_>,
        count: &impl Fn(usize),
    ) -> Poll<io::Result<()>> {
        let Some((pipe, source)) = from.plain().and_then(|from| Some((tools.pipes.take()?, from))) else {
            self.pace.denied();
            return self.copy(cx, from, to, tools, count);
        };
        match ready!(pipe.fill(cx, source, tools.pipes))? {
            Filled::Bytes(load) => {
                self.pace.piece(load.bytes());
                self.load = Some(load);
                self.flush(cx, to, tools.pipes, count)
            }
            Filled::Nothing => {
                self.pace.denied();
                self.copy(cx, from, to, tools, count)
            }
        }
    }

    /// Reads once and writes what was read as far as it goes.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        tools: &mut Tools<'_>,
        count: &impl Fn(usize),
    ) -> Poll<io::Result<()>> {
        let room = self.pace.room();
        let mut buf = ReadBuf::new(tools.scratch.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(from).poll_read(cx, &mut buf))?;
        let mut read: &[u8] = buf.filled();
        if read.is_empty() {
            self.state = State::Ended;
            return Poll::Ready(Ok(()));
        }
        let length = read.len();
        if let Poll::Ready(written) = Pin::new(to).poll_write(cx, read)? {
            self.wrote(written, count)?;
            read.advance(written);
        }
        self.pace.copied(length, read.is_empty());
        if !read.is_empty() {
            self.pending = Bytes::copy_from_slice(read);
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, written: usize, count: &impl Fn(usize)) -> io::Result<()> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.moved += written as u64;
        count(written);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    const MIB: usize = 1 << 20;

    /// A flow between two connections of its own, and their far ends.
    struct Bench {
        flow: Flow,
        from: Stream,
        to: Stream,
        scratch: RefCell<Box<[u8]>>,
        pipes: Pipes,
        counted: Cell<usize>,
    }

    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    impl Bench {
        async fn new() -> (Self, TcpStream, TcpStream) {
            let ((from, source), (to, sink)) = (connection().await, connection().await);
            let scratch = RefCell::new(vec![0; Pace::MOST].into_boxed_slice());
            let flow = Flow::new(Bytes::new());
            let (from, to) = (Stream::Plain(from), Stream::Plain(to));
            (Self { flow, from, to, scratch, pipes: Pipes::default(), counted: Cell::new(0) }, source, sink)
        }

        /// Carries until the flow is over, or for as long as `meanwhile` lasts.
        async fn carry<T>(&mut self, meanwhile: impl Future<Output = T>) -> Result<T, io::Result<()>> {
            let Self { flow, from, to, scratch, pipes, counted } = self;
            let carrying = poll_fn(|cx| {
                let mut tools = Tools { scratch: scratch.borrow_mut(), pipes };
                flow.poll(cx, from, to, &mut tools, |bytes| counted.set(counted.get() + bytes))
            });
            tokio::select! {
                done = meanwhile => Ok(done),
                end = carrying => Err(end),
            }
        }
    }

    fn on_a_worker(story: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
    }

    /// So much from end to end.
    async fn exchange(bench: &mut Bench, source: &mut TcpStream, sink: &mut TcpStream, length: usize) {
        let sent = vec![7; length];
        let mut heard = vec![0; length];
        let both = async { tokio::join!(source.write_all(&sent), sink.read_exact(&mut heard)) };
        let (written, read) = bench.carry(both).await.unwrap();
        written.unwrap();
        read.unwrap();
        assert!(sent == heard);
    }

    /// Goes on until the sink is full and the rest waits in a pipe.
    async fn fill_up(bench: &mut Bench, source: &mut TcpStream) {
        let piece = vec![7; MIB];
        while bench.flow.load.is_none() {
            let _full = source.try_write(&piece);
            bench.carry(tokio::task::yield_now()).await.unwrap();
        }
    }

    #[test]
    fn a_bulk_flow_goes_through_a_pipe_and_gives_it_back_when_it_is_empty() {
        on_a_worker(async {
            let (mut bench, mut source, mut sink) = Bench::new().await;
            exchange(&mut bench, &mut source, &mut sink, 1000).await;
            assert_eq!((bench.pipes.open(), bench.flow.moved), (0, 1000), "not for so little");
            exchange(&mut bench, &mut source, &mut sink, 64 * MIB).await;
            assert_eq!((bench.pipes.open(), bench.pipes.waiting()), (1, 1), "used, and back");
            exchange(&mut bench, &mut source, &mut sink, 1).await;
            assert_eq!((bench.counted.get(), bench.flow.moved), (64 * MIB + 1001, 64 << 20 | 1001));
            drop(source);
            assert!(bench.carry(std::future::pending::<()>()).await.unwrap_err().is_ok());
            assert_eq!(sink.read(&mut [0]).await.unwrap(), 0);
        });
    }

    #[test]
    fn a_flow_that_breaks_takes_its_full_pipe_with_it() {
        on_a_worker(async {
            let (mut bench, mut source, mut sink) = Bench::new().await;
            exchange(&mut bench, &mut source, &mut sink, 64 * MIB).await;
            fill_up(&mut bench, &mut source).await;
            assert_eq!((bench.pipes.open(), bench.pipes.waiting()), (1, 0), "it waits in the pipe");
            drop(sink);
            assert!(bench.carry(std::future::pending::<()>()).await.unwrap_err().is_err());
            drop(bench.flow);
            assert_eq!((bench.pipes.open(), bench.pipes.waiting()), (0, 0));
        });
    }

    #[test]
    fn without_a_pipe_to_be_had_it_copies() {
        on_a_worker(async {
            let (mut bench, mut source, mut sink) = Bench::new().await;
            let mut others: Vec<_> = std::iter::from_fn(|| bench.pipes.take()).collect();
            let there = bench.pipes.open();
            exchange(&mut bench, &mut source, &mut sink, 64 * MIB).await;
            assert_eq!((bench.pipes.open(), bench.pipes.waiting()), (there, 0));
            others.drain(..).for_each(|pipe| bench.pipes.put(pipe));
            exchange(&mut bench, &mut source, &mut sink, 64 * MIB).await;
            fill_up(&mut bench, &mut source).await;
            assert_eq!((bench.pipes.open(), bench.pipes.waiting()), (there, there - 1), "it has one of them");
        });
    }
}

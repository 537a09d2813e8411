//! Pipes, through which bytes go from socket to socket without being copied.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The pipes of one worker. A flow has one only while there are bytes in it: idle and chatty connections have none, and
/// a few serve many.
#[derive(Default)]
pub(super) struct Pipes {
    empty: RefCell<Vec<Pipe>>,
    open: Rc<Cell<usize>>,
}

/// Pipes per worker, two descriptors each: as many flows may wait for slow sinks with a full pipe; more of them copy.
const MOST: usize = 16;

/// What a pipe holds at most. Half of it costs a quarter more CPU per byte on loopback, twice of it saves nothing;
/// unprivileged users have 64 MiB for all their pipes (fs.pipe-user-pages-soft).
const SIZE: usize = 512 * 1024;
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a constant that fits")]
const SIZE_ASKED: i32 = SIZE as i32;

/// An empty pipe.
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    open: Rc<Cell<usize>>,
}

/// A pipe with bytes in it. Dropped, it is closed with them: they never come out of somebody else's connection.
pub(super) struct Load {
    pipe: Pipe,
    bytes: usize,
}

/// How filling a pipe ended.
pub(super) enum Filled {
    Bytes(Load),
    /// The ordinary read shall look why: the end of the stream, or a kernel or socket that does not splice.
    Nothing,
}

impl Pipes {
    /// An empty pipe. `None`: all are in use, or the system gives no more.
    pub fn take(&self) -> Option<Pipe> {
        self.empty.borrow_mut().pop().or_else(|| self.another())
    }

    pub fn put(&self, pipe: Pipe) {
        self.empty.borrow_mut().push(pipe);
    }

    fn another(&self) -> Option<Pipe> {
        if self.open.get() >= MOST {
            return None;
        }
        let (read, write) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).ok()?;
        // A smaller one would be dearer than copying.
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(SIZE_ASKED)).ok()?;
        self.open.set(self.open.get() + 1);
        Some(Pipe { read, write, open: Rc::clone(&self.open) })
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}

impl Pipe {
    /// Moves what has come into the pipe, which goes back to the others while there is nothing.
    pub fn fill(self, cx: &mut Context<'_>, from: &TcpStream, pipes: &Pipes) -> Poll<io::Result<Filled>> {
        // The pipe is empty: "would block" means the socket.
        match poll_splice(
            || from.poll_read_ready(cx),
            || from.try_io(Interest::READABLE, || pass(from, &self.write, SIZE)),
        ) {
            Poll::Ready(Ok(bytes)) if bytes > 0 => Poll::Ready(Ok(Filled::Bytes(Load { pipe: self, bytes }))),
            Poll::Ready(Err(error)) if !is_refusal(&error) => Poll::Ready(Err(error)),
            other => {
                pipes.put(self);
                other.map(|_| Ok(Filled::Nothing))
            }
        }
    }
}

impl Load {
    /// Moves as much as the sink takes.
    pub fn unload(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<usize>> {
        // There are bytes in the pipe: "would block" means the socket.
        let moved = ready!(poll_splice(
            || to.poll_write_ready(cx),
            || { to.try_io(Interest::WRITABLE, || pass(&self.pipe.read, to, self.bytes)) }
        ))?;
        self.bytes = self.bytes.saturating_sub(moved);
        Poll::Ready(Ok(moved))
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives an empty pipe back to the others.
    pub fn put_back(self, pipes: &Pipes) {
        if self.bytes == 0 {
            pipes.put(self.pipe);
        }
    }
}

fn pass(from: impl std::os::fd::AsFd, to: impl std::os::fd::AsFd, most: usize) -> io::Result<usize> {
    Ok(splice(from, None, to, None, most, SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE)?)
}

/// Tries until it is done or the socket is not ready, whose next readiness then wakes the task.
fn poll_splice(
    mut ready: impl FnMut() -> Poll<io::Result<()>>,
    mut attempt: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(ready())?;
        match attempt() {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Nothing was read, and reading in the ordinary way may succeed. Not so an error of the connection, which is told once.
fn is_refusal(error: &io::Error) -> bool {
    let refusals = [Errno::EINVAL, Errno::ENOSYS, Errno::EPERM, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|number| refusals.contains(&Errno::from_raw(number)))
}

#[cfg(test)]
impl Pipes {
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// Those that nobody uses.
    pub fn waiting(&self) -> usize {
        self.empty.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more_until_one_is_back_or_closed() {
        let pipes = Pipes::default();
        let mut taken: Vec<Pipe> = std::iter::from_fn(|| pipes.take()).collect();
        assert_eq!(taken.len(), MOST);
        pipes.put(taken.pop().unwrap());
        assert!(pipes.take().is_some(), "the same again, dropped here");
        assert!(pipes.take().is_some(), "a fresh one for it");
        assert_eq!(pipes.open(), MOST - 1);
    }

    #[test]
    fn one_with_bytes_in_it_is_closed() {
        let pipes = Pipes::default();
        for (bytes, open) in [(0, 1), (1, 0)] {
            Load { pipe: pipes.take().unwrap(), bytes }.put_back(&pipes);
            assert_eq!((pipes.open(), pipes.waiting()), (open, open));
        }
    }
}

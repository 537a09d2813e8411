//! A TCP port that answers only while this dispatcher is active, for clouds whose own balancer finds out by it where to send
//! traffic: a connection is taken, and whatever is asked in HTTP is answered with 200.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

/// The port, until this is dropped.
#[derive(Debug)]
pub(super) struct ProbePort {
    wanted: watch::Sender<Option<u16>>,
    active: watch::Sender<bool>,
    task: AbortHandle,
}

/// Probes at one time. A provider's balancer asks from a few addresses every few seconds.
const MOST: usize = 64;
/// For a question.
const PATIENCE: Duration = Duration::from_secs(2);
/// After the port could not be had.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// The longest question; what is behind it is not looked at.
const QUESTION: usize = 4096;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\nConnection: close\r\n\r\nactive\n";

impl ProbePort {
    pub fn start(port: Option<u16>) -> Self {
        let (wanted, active) = (watch::Sender::new(port), watch::Sender::new(false));
        let task = spawn_local(live(wanted.subscribe(), active.subscribe())).abort_handle();
        Self { wanted, active, task }
    }

    /// `None`: no port.
    pub fn change(&self, port: Option<u16>) {
        self.wanted.send_if_modified(|before| std::mem::replace(before, port) != port);
    }

    /// Answers from now on, or no longer.
    pub fn set_active(&self, active: bool) {
        self.active.send_if_modified(|before| std::mem::replace(before, active) != active);
    }
}

impl Drop for ProbePort {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn live(mut wanted: watch::Receiver<Option<u16>>, mut active: watch::Receiver<bool>) {
    let mut told = false;
    loop {
        let port = wanted.borrow_and_update().filter(|_| *active.borrow_and_update());
        let listener = port.map(listen).transpose();
        let is_refused = listener.is_err();
        if let (Err(error), Some(port)) = (&listener, port)
            && !std::mem::replace(&mut told, true)
        {
            tracing::error!("pair: probes cannot come in on port {port}: {error}; tried again every second");
        }
        told &= is_refused;
        tokio::select! {
            () = serve(listener.ok().flatten()) => {}
            () = tokio::time::sleep(TRY_AGAIN), if is_refused => {}
            changed = wanted.changed() => if changed.is_err() { return },
            changed = active.changed() => if changed.is_err() { return },
        }
    }
}

/// For good; whoever stops it closes the port.
async fn serve(listener: Option<TcpListener>) {
    let Some(listener) = listener else { return std::future::pending().await };
    let room = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(TRY_AGAIN).await;
            continue;
        };
        // Beyond that a connection is taken and closed, which is an answer, too.
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        spawn_local(async move {
            let _answered = timeout(PATIENCE, answer(stream)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") && question.len() < QUESTION {
        if stream.read_buf(&mut question).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(ANSWER).await?;
    stream.shutdown().await
}

/// On all addresses, of both kinds where the host has them.
fn listen(port: u16) -> io::Result<TcpListener> {
    let bound = |address: SocketAddr| -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        socket.listen(MOST as i32)?;
        TcpListener::from_std(socket.into())
    };
    bound((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|_| bound((Ipv4Addr::UNSPECIFIED, port).into()))
}

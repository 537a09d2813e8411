//! The daemon's end of the control socket: accepts, reads, understands, hands over, answers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::command::Command;
use super::help::help;
use super::peer::{self, Peer};
use super::protocol::{FrameFault, HEADER, MAX_REQUEST, Request, decode_request, encode_reply, length};
use super::reply::Reply;
use super::socket::ControlSocket;

/// A command for the dispatcher. Dropping it unanswered tells the peer that the daemon is stopping.
#[derive(Debug)]
pub struct Incoming {
    pub command: Command,
    /// The words of the command, for the audit line, and the caller's directory.
    pub request: Request,
    pub peer: Peer,
    pub reply: oneshot::Sender<Reply>,
}

/// How much the server bears.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections at one time: people and scripts, never traffic. One more is told to come back.
    pub connections: usize,
    /// For one request to come in whole, and for one answer to go out whole.
    pub patience: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: 64, patience: Duration::from_secs(30) }
    }
}

/// Commands that wait for the dispatcher. One more is told to come back.
pub const QUEUE: usize = 64;

/// The way from the server to the dispatcher.
pub fn channel() -> (mpsc::Sender<Incoming>, mpsc::Receiver<Incoming>) {
    mpsc::channel(QUEUE)
}

/// What happened at the door since the start.
#[derive(Debug, Default)]
pub struct ServerCounters {
    pub accepted: AtomicU64,
    /// Turned away because all connections were taken.
    pub too_many: AtomicU64,
    /// Told to come back because the queue was full.
    pub busy: AtomicU64,
    /// Messages that were too long, of another version or not understood.
    pub garbage: AtomicU64,
    /// Peers that were too slow.
    pub timed_out: AtomicU64,
    /// `accept` failed (no file descriptors left).
    pub accept_failed: AtomicU64,
}

/// Serves until the future is dropped, which also ends its connections.
pub async fn serve(
    socket: ControlSocket,
    limits: ServerLimits,
    commands: mpsc::Sender<Incoming>,
    counters: Arc<ServerCounters>,
) {
    // Not asked of the owner of /proc/self: that is root for a process that leaves no core dumps.
    let own_uid = nix::unistd::Uid::effective().as_raw();
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut spare = Spare::filled();
    loop {
        let accepted = tokio::select! {
            accepted = socket.listener.accept() => accepted,
            Some(_) = connections.join_next() => {
                spare.refill();
                continue;
            }
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(_) if spare.give_up_one() => continue,
            Err(fault) => {
                pause_after(&fault, &counters).await;
                spare.refill();
                continue;
            }
        };
        // Not before: what was given up must be there for `accept`.
        spare.refill();
        count(&counters.accepted);
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            turn_away(&stream, &counters);
            continue;
        };
        let Some(peer) = peer_of(&stream, &socket, own_uid) else { continue };
        let (commands, counters) = (commands.clone(), Arc::clone(&counters));
        connections.spawn(Connection { stream, peer, limits, commands, counters, _place: place }.run());
    }
}

/// `accept` fails at once, again and again, while there are no file descriptors: wait a little instead of spinning.
async fn pause_after(fault: &io::Error, counters: &ServerCounters) {
    count(&counters.accept_failed);
    tracing::warn!(error = %fault, "cannot accept a control connection");
    sleep(Duration::from_millis(100)).await;
}

/// File descriptors put by, so that an operator gets in when traffic has used up all others. Without them
/// nobody could look at, or steer, a dispatcher just when that is most needed.
struct Spare(Vec<std::fs::File>);

impl Spare {
    /// As many operators as are likely to look at one time.
    const ENOUGH: usize = 4;

    fn filled() -> Self {
        let mut spare = Self(Vec::new());
        spare.refill();
        spare
    }

    fn refill(&mut self) {
        while self.0.len() < Self::ENOUGH {
            match std::fs::File::open("/dev/null") {
                Ok(file) => self.0.push(file),
                Err(_) => return,
            }
        }
    }

    /// Makes room for one connection, if there is anything left to give.
    fn give_up_one(&mut self) -> bool {
        self.0.pop().is_some()
    }
}

fn turn_away(stream: &UnixStream, counters: &ServerCounters) {
    count(&counters.too_many);
    let frame = encode_reply(Reply::refused("busy: too many control connections are open, try again"));
    // A new socket's buffer takes a short frame at once; should it not, the peer sees the connection close.
    let _ = stream.try_write(&frame);
}

fn peer_of(stream: &UnixStream, socket: &ControlSocket, own_uid: u32) -> Option<Peer> {
    let credentials = stream.peer_cred().ok()?;
    let (uid, gid) = (credentials.uid(), credentials.gid());
    Some(Peer {
        uid,
        gid,
        pid: credentials.pid(),
        level: peer::level(uid, gid, socket.owner, own_uid, &socket.operators),
    })
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One peer, which may send one command after the other.
struct Connection {
    stream: UnixStream,
    peer: Peer,
    limits: ServerLimits,
    commands: mpsc::Sender<Incoming>,
    counters: Arc<ServerCounters>,
    _place: OwnedSemaphorePermit,
}

/// Why a conversation ends.
enum End {
    /// The peer hung up between two commands, or the socket broke.
    Gone,
    /// Too slow.
    Late,
    /// Not our protocol; the peer is told once.
    Fault(FrameFault),
}

impl From<io::Error> for End {
    fn from(fault: io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::UnexpectedEof => Self::Fault(FrameFault::ClosedEarly),
            _ => Self::Gone,
        }
    }
}

impl From<FrameFault> for End {
    fn from(fault: FrameFault) -> Self {
        Self::Fault(fault)
    }
}

impl Connection {
    async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.exchange().await {
                break end;
            }
        };
        match end {
            End::Gone => {}
            End::Late => count(&self.counters.timed_out),
            End::Fault(fault) => {
                count(&self.counters.garbage);
                let _ = self.send(Reply::misuse(fault.to_string())).await;
            }
        }
    }

    /// One command and its answer.
    async fn exchange(&mut self) -> Result<(), End> {
        let bytes = timeout(self.limits.patience, receive(&mut self.stream)).await.map_err(|_| End::Late)??;
        let request = decode_request(&bytes)?;
        let reply = self.answer(request).await;
        self.send(reply).await
    }

    async fn answer(&self, request: Request) -> Reply {
        let command = match Command::parse(&request.words) {
            Ok(Command::Help(object)) => return help(object),
            Ok(command) => command,
            Err(refusal) => return refusal.into(),
        };
        if let Err(refusal) = self.peer.may(&command) {
            return refusal.into();
        }
        self.hand_over(command, request).await
    }

    async fn hand_over(&self, command: Command, request: Request) -> Reply {
        let (reply, answer) = oneshot::channel();
        let stopping = || Reply::refused("tsuji is stopping");
        match self.commands.try_send(Incoming { command, request, peer: self.peer, reply }) {
            Ok(()) => answer.await.unwrap_or_else(|_| stopping()),
            Err(mpsc::error::TrySendError::Closed(_)) => stopping(),
            Err(mpsc::error::TrySendError::Full(_)) => {
                count(&self.counters.busy);
                Reply::refused(format!("busy: {QUEUE} commands are waiting, try again"))
            }
        }
    }

    async fn send(&mut self, reply: Reply) -> Result<(), End> {
        let frame = encode_reply(reply);
        timeout(self.limits.patience, self.stream.write_all(&frame))
            .await
            .map_err(|_| End::Late)?
            .map_err(|_| End::Gone)
    }
}

/// The bytes of one request. Memory is taken as bytes arrive, not as a length promises.
async fn receive(stream: &mut UnixStream) -> Result<Vec<u8>, End> {
    let mut header = [0; HEADER];
    let first = stream.read(&mut header).await?;
    if first == 0 {
        return Err(End::Gone);
    }
    let (_, rest) = header.split_at_mut(first);
    stream.read_exact(rest).await?;
    let length = length(header, MAX_REQUEST)?;
    let mut bytes = Vec::new();
    let got = stream.take(length as u64).read_to_end(&mut bytes).await?;
    if got < length { Err(End::Fault(FrameFault::ClosedEarly)) } else { Ok(bytes) }
}

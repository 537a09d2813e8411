//! Keeps a copy of the partner's tables here and lets it have ours: a stream each way over TCP, beside the heartbeats and on the
//! same port.
//!
//! Who has a stream is told everything first, then what is new. A stream that breaks is asked for anew, on the next path,
//! and begins with everything again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

use crate::daemon::heart::Heart;
use crate::daemon::packets::Batch;
use crate::executor::AffinityTable;
use crate::high_availability::{BootId, Sync};
use crate::model::HeartbeatPath;
use crate::pairing::copy::{ANSWER, CopyError, LENGTH, MOST_RECORDS, Message, Numbers, REQUEST, Receiver, Sender};

use super::PairService;
use super::wire::{Ports, affinity_copies, affinity_records, connection_records, copies};

/// Streams of one life of a pair, until it is dropped.
#[derive(Debug)]
pub struct Copying(Vec<AbortHandle>);

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("the partner is not heard")]
    NotHeard,
    #[error("there is no key")]
    NoKey,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it takes too long")]
    Late,
    #[error("{0}")]
    Copy(#[from] CopyError),
}

struct Streams {
    heart: Rc<Heart>,
    service: Rc<PairService>,
    numbers: RefCell<Numbers>,
    /// The stream to the partner. There is one at most: who asks again has lost the one before.
    told: RefCell<Option<AbortHandle>>,
    trouble: RefCell<Option<String>>,
    received: Cell<u64>,
}

/// For a connection, a question and an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nothing was said for so long: the stream is broken. Its sender says something each second.
const SILENCE: Duration = Duration::from_secs(4);
const SAY_SOMETHING: Duration = Duration::from_secs(1);
/// Between two looks for what is new.
const LOOK: Duration = Duration::from_millis(25);
/// After a stream has broken, or none came about.
const TRY_AGAIN: Duration = Duration::from_millis(300);
/// Listeners follow the configuration this often.
const RECONCILE: Duration = Duration::from_secs(1);

impl Copying {
    /// Begins to ask, and to answer.
    pub fn start(heart: &Rc<Heart>, service: &Rc<PairService>) -> Self {
        let streams = Rc::new(Streams {
            heart: Rc::clone(heart),
            service: Rc::clone(service),
            numbers: RefCell::new(Numbers::new(service.life())),
            told: RefCell::default(),
            trouble: RefCell::default(),
            received: Cell::new(0),
        });
        let asking = spawn_local(Rc::clone(&streams).ask()).abort_handle();
        let answering = spawn_local(streams.answer()).abort_handle();
        Self(vec![asking, answering])
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.told.take().inspect(AbortHandle::abort);
    }
}

/// Ends a task with whoever started it.
struct Bound(AbortHandle);

impl Drop for Bound {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Streams {
    fn paths(&self) -> (u16, Vec<HeartbeatPath>) {
        self.heart.read(|dispatcher| {
            let plan = dispatcher.pair();
            plan.map_or((0, Vec::new()), |plan| (plan.settings.port.get(), plan.settings.paths.clone()))
        })
    }

    /// The life in which the partner is heard.
    fn partner(&self) -> Option<BootId> {
        let partner = self.service.shown().report?.partner?;
        (!partner.silent).then_some(partner.boot)
    }

    /// Listens on each address that a path begins at.
    async fn answer(self: Rc<Self>) {
        let mut listeners: HashMap<SocketAddr, Bound> = HashMap::new();
        loop {
            let (port, paths) = self.paths();
            let wanted: Vec<SocketAddr> = paths.iter().map(|path| SocketAddr::new(path.source, port)).collect();
            listeners.retain(|address, task| wanted.contains(address) && !task.0.is_finished());
            for address in wanted {
                if listeners.contains_key(&address) {
                    continue;
                }
                // An address that is not there yet is told with the heartbeats' sockets.
                if let Ok(listener) = listen(address) {
                    let streams = Rc::clone(&self);
                    let task = spawn_local(async move { streams.accept(listener, address.ip()).await });
                    listeners.insert(address, Bound(task.abort_handle()));
                }
            }
            tokio::time::sleep(RECONCILE).await;
        }
    }

    async fn accept(self: Rc<Self>, listener: TcpListener, source: IpAddr) {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                tokio::time::sleep(TRY_AGAIN).await;
                continue;
            };
            let (_, paths) = self.paths();
            if !paths.iter().any(|path| path.source == source && path.destination == peer.ip()) {
                continue;
            }
            if let Err(error) = self.begin_to_tell(stream).await {
                tracing::debug!("pair: {peer} asked for copies and got none: {error}");
            }
        }
    }

    /// One question at a time: whoever does not ask in time keeps the next one waiting for no longer than that.
    async fn begin_to_tell(self: &Rc<Self>, mut stream: TcpStream) -> Result<(), StreamError> {
        let mut request = [0; REQUEST];
        timeout(PATIENCE, stream.read_exact(&mut request)).await.map_err(|_| StreamError::Late)??;
        let partner = self.partner().ok_or(StreamError::NotHeard)?;
        let keys = self.heart.partnership().keys().ok_or(StreamError::NoKey)?;
        let (answer, sender) = self.numbers.borrow_mut().answer(&request, partner, &keys)?;
        timeout(PATIENCE, stream.write_all(&answer)).await.map_err(|_| StreamError::Late)??;
        stream.set_nodelay(true)?;
        // The old one ends before: what it leaves off, the new one takes up.
        if let Some(before) = self.told.take() {
            before.abort();
            while !before.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        let teller = Teller {
            heart: Rc::clone(&self.heart),
            stream,
            sender,
            said: Instant::now(),
            tickets_told: Instant::now(),
        };
        let task = spawn_local(async move {
            if let Err(error) = teller.tell().await {
                tracing::debug!("pair: the stream to the partner has ended: {error}");
            }
        });
        self.told.replace(Some(task.abort_handle()));
        Ok(())
    }

    /// Asks on one path after the other, and listens for as long as a stream lasts.
    async fn ask(self: Rc<Self>) {
        loop {
            let (port, paths) = self.paths();
            for path in paths {
                let Some(partner) = self.partner() else { break };
                let Err(error) = self.listen_to(partner, path, port).await else { continue };
                self.service.synchronized(partner, Sync::default());
                self.note_trouble(&format!("no copies come on the path {path}: {error}"));
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    fn note_trouble(&self, text: &str) {
        let is_new = self.trouble.borrow().as_deref() != Some(text);
        if is_new {
            tracing::warn!(target: "tsuji::state", "pair: {text}; tried again");
            self.trouble.replace(Some(text.to_owned()));
        }
    }

    async fn listen_to(&self, partner: BootId, path: HeartbeatPath, port: u16) -> Result<(), StreamError> {
        let keys = self.heart.partnership().keys().ok_or(StreamError::NoKey)?;
        let connected = timeout(PATIENCE, connect(path, port)).await;
        let mut stream = connected.map_err(|_| StreamError::Late)??;
        let request = self.numbers.borrow_mut().ask(&keys)?;
        timeout(PATIENCE, stream.write_all(&request)).await.map_err(|_| StreamError::Late)??;
        let mut answer = [0; ANSWER];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.map_err(|_| StreamError::Late)??;
        let mut receiver = self.numbers.borrow_mut().hear(&answer, partner, &keys)?;
        let mut is_proven = false;
        loop {
            let message = timeout(SILENCE, receive(&mut stream, &mut receiver)).await;
            let message = message.map_err(|_| StreamError::Late)??;
            if !std::mem::replace(&mut is_proven, true) {
                self.numbers.borrow_mut().proven(&receiver);
            }
            self.take(partner, message).await;
        }
    }

    async fn take(&self, partner: BootId, message: Message) {
        match message {
            Message::Alive => {}
            Message::Connections(records) => {
                self.received.set(self.received.get() + records.len() as u64);
                let copies: Vec<_> = records.iter().filter_map(copies).collect();
                while self.heart.packets().is_some_and(|packets| !packets.take_in(&copies)) {
                    tokio::time::sleep(LOOK).await;
                }
            }
            Message::Affinity(records) => {
                self.received.set(self.received.get() + records.len() as u64);
                let (ports, table) =
                    self.heart.read(|dispatcher| (Ports::of(dispatcher), Arc::clone(dispatcher.affinity())));
                let now = Instant::now();
                for record in &records {
                    if let Some(copy) = affinity_copies(record, &ports) {
                        table.take_in(&copy, now);
                    }
                }
            }
            Message::TicketKeys(secrets) => self.heart.fetcher().tickets().set_partners(&secrets),
            Message::Whole => {
                let position = self.received.get();
                self.trouble.replace(None);
                tracing::info!(target: "tsuji::state", "pair: the partner's tables are copied here: {position} records so far");
                self.service.synchronized(partner, Sync { position, in_sync: true, lag: Duration::ZERO });
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// There is one partner.
const BACKLOG: i32 = 8;

async fn connect(path: HeartbeatPath, port: u16) -> io::Result<TcpStream> {
    let socket = if path.source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(path.source, 0))?;
    socket.connect(SocketAddr::new(path.destination, port)).await
}

async fn receive(stream: &mut TcpStream, receiver: &mut Receiver) -> Result<Message, StreamError> {
    let mut head = [0; LENGTH];
    stream.read_exact(&mut head).await?;
    let mut sealed = vec![0; Receiver::length(head)?];
    stream.read_exact(&mut sealed).await?;
    Ok(receiver.open(&mut sealed)?)
}

/// Tells the partner what is served here.
struct Teller {
    heart: Rc<Heart>,
    stream: TcpStream,
    sender: Sender,
    said: Instant,
    tickets_told: Instant,
}

/// Keys of tickets turn every few hours; a new one seals at once, so it should soon be known.
const TICKETS: Duration = Duration::from_secs(10);

/// Records of affinity are wanted for as long as this lives.
struct Wanted(Arc<AffinityTable>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.want_news(false);
    }
}

impl Teller {
    async fn tell(mut self) -> Result<(), StreamError> {
        let table = self.heart.read(|dispatcher| Arc::clone(dispatcher.affinity()));
        table.want_news(true);
        let wanted = Wanted(table);
        let mut batches = self.heart.packets().map(|packets| packets.tell_partner());
        self.tell_affinity(&wanted.0, true).await?;
        self.tell_tickets().await?;
        if batches.is_none() {
            self.say(&Message::Whole).await?;
        }
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                batch = next(&mut batches) => self.tell_connections(&batch).await?,
                _ = look.tick() => {
                    self.tell_affinity(&wanted.0, false).await?;
                    if self.tickets_told.elapsed() >= TICKETS {
                        self.tell_tickets().await?;
                    }
                    if self.said.elapsed() >= SAY_SOMETHING {
                        self.say(&Message::Alive).await?;
                    }
                }
            }
        }
    }

    async fn tell_connections(&mut self, batch: &Batch) -> Result<(), StreamError> {
        for records in batch.copies.chunks(MOST_RECORDS) {
            self.say(&Message::Connections(records.iter().map(connection_records).collect())).await?;
        }
        if batch.is_whole { self.say(&Message::Whole).await } else { Ok(()) }
    }

    async fn tell_affinity(&mut self, table: &AffinityTable, all: bool) -> Result<(), StreamError> {
        let now = Instant::now();
        let news = if all { None } else { table.take_news(now) };
        let copies = news.unwrap_or_else(|| table.all(now));
        if copies.is_empty() {
            return Ok(());
        }
        let claiming = Arc::clone(self.heart.partnership().claiming());
        let ports = self.heart.read(Ports::of);
        let records: Vec<_> = copies.iter().filter_map(|copy| affinity_records(copy, &ports, &claiming)).collect();
        for records in records.chunks(MOST_RECORDS) {
            self.say(&Message::Affinity(records.to_vec())).await?;
        }
        Ok(())
    }

    async fn tell_tickets(&mut self) -> Result<(), StreamError> {
        let secrets = self.heart.fetcher().tickets().secrets();
        self.tickets_told = Instant::now();
        self.say(&Message::TicketKeys(secrets)).await
    }

    async fn say(&mut self, message: &Message) -> Result<(), StreamError> {
        let sealed = self.sender.seal(message)?;
        timeout(SILENCE, self.stream.write_all(&sealed)).await.map_err(|_| StreamError::Late)??;
        self.said = Instant::now();
        Ok(())
    }
}

/// The next batch; never, where no packets are forwarded.
async fn next(batches: &mut Option<mpsc::Receiver<Batch>>) -> Batch {
    match batches {
        Some(receiver) => match receiver.recv().await {
            Some(batch) => batch,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

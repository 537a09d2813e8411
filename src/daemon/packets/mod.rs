//! Drives the packet engine: a thread of its own gets each forwarding table and each change of the neighbourhood, keeps the
//! kernel's tables up to date, sweeps them, and carries their counters to where reports look.

pub mod claims;
mod copying;
pub mod interfaces;
mod keeper;
mod listing;
pub mod neighbours;
mod posts;
mod presence;
mod status;
mod voices;
mod wire;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::control::ConnectionFilter;
use crate::control::reply::ConnectionList;
use crate::datapath::xdp::copies::Copy;
use crate::datapath::xdp::engine::EngineError;
use crate::dispatcher::ClaimedAddress;
use crate::executor::ForwardingTable;
use crate::model::EngineSettings;

use tokio::sync::{mpsc, oneshot};

use super::claiming::Claiming;

use claims::Claimants;
use copying::BATCHES;
use interfaces::{InterfaceError, interface};
use keeper::Keeper;
use neighbours::Surroundings;

pub use copying::Batch;
pub use status::Status;

/// Why packets are not forwarded.
#[derive(Debug, thiserror::Error)]
pub enum PacketsError {
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("no thread for the packet engine: {0}")]
    Thread(std::io::Error),
}

/// What the thread has not seen yet. The newest of each kind is all that counts, so nothing queues up.
#[derive(Debug, Default)]
struct News {
    table: Option<Arc<ForwardingTable>>,
    around: Option<Surroundings>,
    questions: Vec<Question>,
    /// Whether new connections are refused.
    closed: Option<bool>,
    claimed: Option<Vec<ClaimedAddress>>,
    /// The partner wants to be told of connections.
    session: Option<mpsc::Sender<Batch>>,
    /// Connections that the partner has told.
    copied: Vec<Copy>,
    stop: bool,
}

/// Connections of the partner that wait to be taken in: some tenths of a second of work, and some MiB.
const MOST_COPIED: usize = 131_072;

impl News {
    fn is_empty(&self) -> bool {
        self.table.is_none()
            && self.around.is_none()
            && self.questions.is_empty()
            && self.closed.is_none()
            && self.claimed.is_none()
            && self.session.is_none()
            && self.copied.is_empty()
            && !self.stop
    }
}

/// Somebody wants to see connections.
#[derive(Debug)]
struct Question {
    filter: ConnectionFilter,
    answer: oneshot::Sender<ConnectionList>,
}

/// Questions that wait at one time: more than operators ask.
const QUESTIONS: usize = 16;

/// Why connections cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("the packet engine is too busy to list connections; a moment later would be right")]
pub struct Busy;

/// Where news are left for the thread, and what wakes it.
#[derive(Debug, Default)]
struct Inbox {
    news: Mutex<News>,
    left: Condvar,
}

impl Inbox {
    fn leave(&self, change: impl FnOnce(&mut News)) {
        change(&mut lock(&self.news));
        self.left.notify_one();
    }

    /// What is new, or nothing when the time has come.
    fn wait(&self, until: Instant) -> News {
        let patience = until.saturating_duration_since(Instant::now());
        let waited = self.left.wait_timeout_while(lock(&self.news), patience, |news| news.is_empty());
        std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// The packet engine's thread, as the control thread sees it.
#[derive(Debug)]
pub struct Packets {
    inbox: Arc<Inbox>,
    status: Arc<Mutex<Status>>,
    thread: Option<JoinHandle<()>>,
    wanted: tokio::sync::watch::Sender<HashSet<IpAddr>>,
    claimants: Claimants,
}

impl Packets {
    /// Loads the engine, writes the first table, attaches, and goes on in a thread. `None`: no interface is named.
    pub fn start(
        settings: &EngineSettings,
        table: Arc<ForwardingTable>,
        claiming: &Arc<Claiming>,
    ) -> Result<Option<Self>, PacketsError> {
        if settings.interfaces.is_empty() {
            return Ok(None);
        }
        let interfaces = settings.interfaces.iter().map(|name| interface(name)).collect::<Result<Vec<_>, _>>()?;
        let status = Arc::new(Mutex::new(Status::default()));
        let mut keeper = Keeper::new(settings, &interfaces, table, Arc::clone(&status), claiming)?;
        keeper.begin()?;
        for (name, mode) in &lock(&status).interfaces {
            tracing::info!(target: "tsuji::state", "interface {name}: packets are forwarded by {mode}");
        }
        let inbox = Arc::new(Inbox::default());
        let seen = Arc::clone(&inbox);
        let thread = std::thread::Builder::new().name("packets".to_owned()).spawn(move || keeper.live(&seen));
        let thread = Some(thread.map_err(PacketsError::Thread)?);
        let wanted = tokio::sync::watch::Sender::new(HashSet::new());
        let claimants = Claimants::start(&interfaces, claiming).map_err(PacketsError::Thread)?;
        Ok(Some(Self { inbox, status, thread, wanted, claimants }))
    }

    /// New flows are decided by this table soon after this returns; within a millisecond on an idle machine.
    pub fn publish(&self, table: Arc<ForwardingTable>) {
        let servers = table.mac_ports().flat_map(|port| port.servers.iter());
        let wanted: HashSet<IpAddr> = servers.filter_map(|server| server.address).map(|address| address.ip()).collect();
        self.wanted.send_if_modified(|before| {
            let differs = *before != wanted;
            *before = wanted;
            differs
        });
        self.leave(|news| news.table = Some(table));
    }

    /// The cluster addresses that are spoken for from now on.
    pub fn claim(&self, addresses: &[ClaimedAddress]) {
        self.claimants.claim(addresses);
        self.leave(|news| news.claimed = Some(addresses.to_vec()));
    }

    /// Connections for the partner, from now on; all there are come first.
    pub fn tell_partner(&self) -> mpsc::Receiver<Batch> {
        let (session, batches) = mpsc::channel(BATCHES);
        self.leave(|news| news.session = Some(session));
        batches
    }

    /// Connections of the partner. `false`: too many wait, and these have to wait outside.
    pub fn take_in(&self, copies: &[Copy]) -> bool {
        let mut has_room = false;
        self.leave(|news| {
            has_room = news.copied.len() + copies.len() <= MOST_COPIED;
            if has_room {
                news.copied.extend_from_slice(copies);
            }
        });
        has_room
    }

    /// `executor stop` and `start`: whether new connections are refused and echo requests not answered, from soon after this
    /// returns. Cluster addresses stay claimed, because connections that run need them.
    pub fn close(&self, closed: bool) {
        self.leave(|news| news.closed = Some(closed));
    }

    /// Connections that the table remembers, the first thousand of those that the filter lets through.
    pub async fn connections(&self, filter: ConnectionFilter) -> Result<ConnectionList, Busy> {
        let (answer, awaited) = oneshot::channel();
        let question = Question { filter, answer };
        self.leave(|news| {
            if news.questions.len() < QUESTIONS {
                news.questions.push(question);
            }
        });
        awaited.await.map_err(|_| Busy)
    }

    pub fn status(&self) -> Status {
        Status { claims: self.claimants.counts(), ..lock(&self.status).clone() }
    }

    /// Watches the neighbourhood on this thread's runtime, for good.
    pub async fn watch(&self, changed: impl Fn(&Surroundings)) {
        loop {
            let told = |around: &Surroundings| {
                self.claimants.look_again(around.link_news);
                self.leave(|news| news.around = Some(around.clone()));
                changed(around);
            };
            match neighbours::watch(self.wanted.subscribe(), told).await {
                Ok(()) => return,
                Err(error) => tracing::error!("neighbours are not watched: {error}; tried again in a second"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn leave(&self, change: impl FnOnce(&mut News)) {
        self.inbox.leave(change);
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            tracing::error!("the packet engine's thread has died; the kernel goes on with the last plan");
        }
    }
}

impl Drop for Packets {
    /// The programs stay where they are and go on by the last plan: that is what pins are for.
    fn drop(&mut self) {
        self.inbox.leave(|news| news.stop = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

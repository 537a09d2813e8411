//! Runs this dispatcher's half of a pair: a thread with the machine of `high_availability`, and what the control thread knows
//! of it.

mod carriers;
mod copying;
mod epochs;
mod fitness;
mod key;
mod key_watch;
mod news;
mod partnership;
mod paths;
mod probe_port;
mod shown;
mod thread;
mod wire;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc};

use crate::dispatcher::{PairPlan, path_id};
use crate::executor::{HistogramReading, fnv1a};
use crate::high_availability::{
    BootId, Configuration, Epoch, GroupId, Health, NodeId, Notice, Pair, Settings, SettingsError, Sync, TAKEOVER_LIMIT,
};
use crate::pairing::{Life, PairKeys};

use super::claiming::Claiming;
use thread::{Configured, MOST_NEWS, Order, Orders, Shared, Speaker};

pub use copying::Copying;
pub use key::{KeyError, read_keys};
pub use key_watch::KeyWatch;
pub use news::tell;
pub use partnership::Partnership;
use shown::{Board, Shown};
pub use thread::News;

/// The pair's thread, as the control thread sees it.
#[derive(Debug)]
pub struct PairService {
    life: Life,
    claiming: Arc<Claiming>,
    orders: Arc<Orders>,
    board: Arc<Board>,
    outcomes: broadcast::Sender<Notice>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Why there is no pair.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(
        "the system gives no random bytes, without which the partner cannot tell one life of this dispatcher from another"
    )]
    NoRandomness,
    #[error("its key was not read")]
    NoKeys,
    #[error("no thread for the pair: {0}")]
    Thread(io::Error),
}

/// How a `takeover` ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TakenOver {
    Done,
    Refused(crate::high_availability::Refusal),
    /// The machine has not answered in time, or had no room for the order.
    NoAnswer,
}

/// Outcomes that wait for whoever gave a command: as many as commands at one time.
const OUTCOMES: usize = 16;
/// Beyond the time in which the machine answers.
const GRACE: Duration = Duration::from_millis(500);

impl PairService {
    /// Starts the thread. From here on nobody speaks for cluster addresses without the machine's consent. News come out of the
    /// receiver.
    pub fn start(
        plan: &PairPlan<'_>,
        generation: u64,
        keys: Arc<PairKeys>,
        epochs: &[(GroupId, Epoch)],
        claiming: Arc<Claiming>,
    ) -> Result<(Self, mpsc::Receiver<News>), PairError> {
        let configured = configured(plan, generation, keys);
        let boot = thread::new_boot().ok_or(PairError::NoRandomness)?;
        let life = Life { node: configured.settings.node, boot };
        let now = Instant::now();
        let pair = Pair::new(configured.settings.clone(), boot, epochs, now)?;
        claiming.set_in_pair(true);
        let (orders, board) = (Arc::<Orders>::default(), Arc::<Board>::default());
        let (news, told) = mpsc::channel(MOST_NEWS);
        let shared =
            Shared { claiming: Arc::clone(&claiming), orders: Arc::clone(&orders), board: Arc::clone(&board), news };
        let speaker = Speaker::new(pair, life, configured, shared, now);
        let thread = std::thread::Builder::new().name("tsuji-pair".to_owned()).spawn(move || speaker.live());
        let thread = Mutex::new(Some(thread.map_err(PairError::Thread)?));
        Ok((Self { life, claiming, orders, board, outcomes: broadcast::Sender::new(OUTCOMES), thread }, told))
    }

    /// The configuration has changed.
    pub fn configure(&self, plan: &PairPlan<'_>, generation: u64, keys: Arc<PairKeys>) {
        self.order(Order::Configure(Box::new(configured(plan, generation, keys))));
    }

    /// Of this dispatcher.
    pub fn life(&self) -> Life {
        self.life
    }

    /// How far the tables are copied between this dispatcher and that life of the partner.
    pub fn synchronized(&self, with: BootId, sync: Sync) {
        self.order(Order::Synchronized { with, sync });
    }

    /// The key file has changed.
    pub fn rekey(&self, keys: Arc<PairKeys>) {
        self.order(Order::Rekey(keys));
    }

    pub fn health(&self, health: Health) {
        self.order(Order::Health(health));
    }

    /// Whether an epoch is on the disk.
    pub fn persisted(&self, group: GroupId, epoch: Epoch, done: bool) {
        self.order(Order::Persisted { group, epoch, done });
    }

    /// Takes a group over, and waits for the outcome.
    pub async fn take_over(&self, group: GroupId) -> TakenOver {
        let mut outcomes = self.outcomes.subscribe();
        if !self.order(Order::Takeover(group)) {
            return TakenOver::NoAnswer;
        }
        let outcome = async {
            loop {
                match outcomes.recv().await {
                    Ok(Notice::TakeoverDone { group: done }) if done == group => return TakenOver::Done,
                    Ok(Notice::TakeoverRefused { group: refused, refusal }) if refused == group => {
                        return TakenOver::Refused(refusal);
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return TakenOver::NoAnswer,
                }
            }
        };
        tokio::time::timeout(TAKEOVER_LIMIT + GRACE, outcome).await.unwrap_or(TakenOver::NoAnswer)
    }

    /// What the machine noticed; whoever waits for it is told.
    pub fn noticed(&self, notice: &Notice) {
        // Nobody may wait.
        let _nobody = self.outcomes.send(notice.clone());
    }

    /// The state of some milliseconds ago.
    pub fn shown(&self) -> Shown {
        self.board.look()
    }

    /// How much later than it wanted the thread ran.
    pub fn lateness(&self) -> HistogramReading {
        self.board.lateness()
    }

    /// Nothing is claimed any more when this returns; the partner finds silence.
    pub fn stop(&self) {
        self.orders.leave(Order::Stop);
        self.claiming.bell().ring();
        if let Some(thread) = self.thread().take() {
            let _panicked = thread.join();
        }
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, order: Order) -> bool {
        let is_dead = self.thread().as_ref().is_some_and(JoinHandle::is_finished);
        if is_dead {
            tracing::error!("the pair's thread has died: nothing is claimed here any more, and a restart is needed");
        }
        let left = self.orders.leave(order);
        self.claiming.bell().ring();
        left && !is_dead
    }
}

impl Drop for PairService {
    fn drop(&mut self) {
        self.stop();
    }
}

fn configured(plan: &PairPlan<'_>, generation: u64, keys: Arc<PairKeys>) -> Configured {
    let configuration = Configuration { generation, clusters: plan.clusters_hash() };
    Configured {
        settings: settings(plan, configuration),
        paths: plan.settings.paths.iter().map(|path| (path_id(path), *path)).collect(),
        port: plan.settings.port.get(),
        keys,
    }
}

fn settings(plan: &PairPlan<'_>, configuration: Configuration) -> Settings {
    let host = || nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let name = plan.settings.node.as_ref().map(ToString::to_string).or_else(host).unwrap_or_default();
    plan.machine(NodeId(fnv1a(&name)), version(), configuration)
}

/// Of this program, as the partner compares it.
fn version() -> u16 {
    let part = |text: &str| text.parse::<u16>().unwrap_or(0) & 0xff;
    (part(env!("CARGO_PKG_VERSION_MAJOR")) << 8) | part(env!("CARGO_PKG_VERSION_MINOR"))
}

//! The pair's own thread: waits for heartbeats, orders and the time, and carries out what the machine wants at once.
//!
//! It does nothing that can hang: files, scripts, logs and the network's names are other threads' work.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tokio::sync::mpsc;

use crate::daemon::claiming::Claiming;
use crate::daemon::privileges::without_rights;
use crate::high_availability::{
    Action, BootId, Epoch, Event, GroupId, Health, MOST_GROUPS, Notice, Pair, PathId, Settings, Sync,
};
use crate::model::HeartbeatPath;
use crate::pairing::{Gate, Life, PairKeys, SIZE};
use crate::sys::priority::{self, Priority};

use super::paths::Paths;
use super::shown::{Board, Shown};

/// What the control thread wants of the pair's.
#[derive(Debug)]
pub(super) enum Order {
    Configure(Box<Configured>),
    Rekey(Arc<PairKeys>),
    Health(Health),
    Takeover(GroupId),
    Synchronized { with: BootId, sync: Sync },
    Persisted { group: GroupId, epoch: Epoch, done: bool },
    Stop,
}

/// A half of a pair as it is configured.
#[derive(Debug)]
pub(super) struct Configured {
    pub settings: Settings,
    pub paths: Vec<(PathId, HeartbeatPath)>,
    pub port: u16,
    pub keys: Arc<PairKeys>,
}

/// What the control thread is told.
#[derive(Debug)]
pub enum News {
    Notice(Notice),
    /// An epoch is to be written down.
    Persist {
        group: GroupId,
        epoch: Epoch,
    },
    /// Something is wrong with a way to the partner, or well again.
    Path(String),
    Priority(Priority),
}

/// Orders that wait. They come at the pace of people and of probes; the thread takes all of them many times in a second.
const MOST_ORDERS: usize = 256;
/// News that wait for the control thread.
pub(super) const MOST_NEWS: usize = 1024;
/// Datagrams that are looked at before the machine hears the time again.
const BURST: usize = 64;
/// Reports are made anew this often at the most.
const SHOWN_EVERY: Duration = Duration::from_millis(20);

/// Where orders are left.
#[derive(Debug, Default)]
pub(super) struct Orders(Mutex<VecDeque<Order>>);

impl Orders {
    /// `false`: there are too many, and this one is not carried out.
    pub fn leave(&self, order: Order) -> bool {
        let mut orders = self.queue();
        let has_room = orders.len() < MOST_ORDERS || matches!(order, Order::Stop);
        if has_room {
            orders.push_back(order);
        }
        has_room
    }

    fn take(&self) -> VecDeque<Order> {
        std::mem::take(&mut *self.queue())
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Order>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that the thread works with.
pub(super) struct Speaker {
    pair: Pair,
    gate: Gate,
    paths: Paths,
    claiming: Arc<Claiming>,
    orders: Arc<Orders>,
    board: Arc<Board>,
    news: mpsc::Sender<News>,
    /// Until when a station may answer that has an address which was asked for.
    asked: [Option<Instant>; MOST_GROUPS],
    probing: Duration,
    news_lost: u64,
    shown_at: Option<Instant>,
}

/// What the thread shares with the control thread.
pub(super) struct Shared {
    pub claiming: Arc<Claiming>,
    pub orders: Arc<Orders>,
    pub board: Arc<Board>,
    pub news: mpsc::Sender<News>,
}

/// Of the time in which the machine waits for an answer, this part is for the station to answer in; the rest is for us to be
/// told.
const ANSWER_PERCENT: u32 = 80;

impl Speaker {
    pub fn new(pair: Pair, life: Life, configured: Configured, shared: Shared, now: Instant) -> Self {
        let Configured { settings, paths, port, keys } = configured;
        let ids: Vec<PathId> = paths.iter().map(|(id, _)| *id).collect();
        let Shared { claiming, orders, board, news } = shared;
        Self {
            gate: Gate::new(life, &ids, keys),
            paths: Paths::open(port, &paths, now),
            probing: settings.timings.probing(),
            pair,
            claiming,
            orders,
            board,
            news,
            asked: [None; MOST_GROUPS],
            news_lost: 0,
            shown_at: None,
        }
    }

    /// Until it is told to stop.
    pub fn live(mut self) {
        self.tell(News::Priority(priority::raise()));
        without_rights();
        loop {
            let due = self.due();
            let ready = self.wait(due);
            let now = Instant::now();
            if now >= due {
                self.board.note_late(now.saturating_duration_since(due));
            }
            // First of all, so that a thread that stood still for a while yields before it believes anything.
            self.pair.handle(Event::Tick, now);
            self.act(now);
            if !self.obey(now) {
                return self.fall_silent();
            }
            for place in ready {
                self.hear(place);
            }
            self.look_at_answers(now);
            self.paths.look_again(now);
            self.show(now);
        }
    }

    fn due(&self) -> Instant {
        let others = self.asked.iter().flatten().copied().chain(self.paths.deadline());
        others.fold(self.pair.next_deadline(), Instant::min)
    }

    /// The sockets that have something. The bell wakes too, and is no socket.
    fn wait(&self, due: Instant) -> Vec<usize> {
        let (places, sockets): (Vec<usize>, Vec<_>) = self.paths.sockets().unzip();
        let mut waited: Vec<PollFd<'_>> =
            sockets.into_iter().map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
        waited.push(PollFd::new(self.claiming.bell().as_fd(), PollFlags::POLLIN));
        let patience = due.saturating_duration_since(Instant::now());
        // A signal ends the wait early, which does no harm.
        let _woken = ppoll(&mut waited, Some(TimeSpec::from_duration(patience)), None);
        let is_ready = |waited: &PollFd<'_>| waited.any().unwrap_or(false);
        places.into_iter().zip(&waited).filter(|(_, waited)| is_ready(waited)).map(|(place, _)| place).collect()
    }

    fn hear(&mut self, place: usize) {
        // One byte more than a heartbeat has, so that a longer one is seen to be longer.
        let mut buffer = [0; SIZE + 1];
        for _ in 0..BURST {
            let Some((path, length)) = self.paths.receive(place, &mut buffer) else { return };
            let now = Instant::now();
            let opened = self.gate.open(path, buffer.get(..length).unwrap_or_default(), now);
            if let (Some(path), Ok(heartbeat)) = (path, opened) {
                self.handle(Event::Heard { path, heartbeat }, now);
            }
        }
    }

    fn handle(&mut self, event: Event, now: Instant) {
        self.pair.handle(event, now);
        self.act(now);
    }

    /// `false`: it is to end.
    fn obey(&mut self, now: Instant) -> bool {
        self.claiming.bell().hush();
        for order in self.orders.take() {
            match order {
                Order::Configure(configured) => self.configure(*configured, now),
                Order::Rekey(keys) => self.gate.set_keys(keys),
                Order::Health(health) => self.handle(Event::Health(health), now),
                Order::Synchronized { with, sync } => self.handle(Event::Synchronized { with, sync }, now),
                Order::Takeover(group) => self.handle(Event::Takeover { group }, now),
                Order::Persisted { group, epoch, done: true } => {
                    self.handle(Event::EpochPersisted { group, epoch }, now);
                }
                Order::Persisted { group, epoch, done: false } => {
                    self.handle(Event::EpochNotPersisted { group, epoch }, now);
                }
                Order::Stop => return false,
            }
        }
        true
    }

    fn configure(&mut self, configured: Configured, now: Instant) {
        let Configured { settings, paths, port, keys } = configured;
        let ids: Vec<PathId> = paths.iter().map(|(id, _)| *id).collect();
        self.gate.set_keys(keys);
        self.gate.set_paths(&ids);
        self.paths.change(port, &paths, now);
        self.probing = settings.timings.probing();
        self.handle(Event::Settings(settings), now);
    }

    /// Carries out what the machine wants, and lends the claims for as long as it may.
    fn act(&mut self, now: Instant) {
        while let Some(action) = self.pair.poll_action() {
            match action {
                Action::Send { path, heartbeat } => match self.gate.seal(path, &heartbeat, now) {
                    Ok(datagram) => self.paths.send(path, &datagram),
                    Err(error) => self.tell(News::Path(format!("a heartbeat was not sealed: {error}"))),
                },
                // The lease below says it.
                Action::Claim { .. } => {}
                Action::Yield { group } => self.claiming.lend(group, None),
                Action::Announce { group } => self.claiming.announce(group),
                Action::ProbeAddresses { group } => {
                    self.claiming.ask(group);
                    if let Some(asked) = self.asked.get_mut(usize::from(group.0)) {
                        *asked = Some(now + self.probing * ANSWER_PERCENT / 100);
                    }
                }
                Action::PersistEpoch { group, epoch } => self.tell(News::Persist { group, epoch }),
                Action::RequestSnapshot { .. } => {}
                Action::Notice(notice) => {
                    self.shown_at = None;
                    self.tell(News::Notice(notice));
                }
            }
        }
        for group in (0..MOST_GROUPS as u8).map(GroupId) {
            self.claiming.lend(group, self.pair.claimed_until(group));
        }
        for trouble in self.paths.take_trouble() {
            self.tell(News::Path(trouble));
        }
    }

    fn look_at_answers(&mut self, now: Instant) {
        for group in (0..MOST_GROUPS as u8).map(GroupId) {
            let Some(asked) = self.asked.get_mut(usize::from(group.0)) else { continue };
            if self.claiming.take_answer(group) {
                *asked = None;
                self.handle(Event::AddressAnswered { group }, now);
            } else if asked.is_some_and(|until| now >= until) {
                *asked = None;
                self.handle(Event::AddressSilent { group }, now);
            }
        }
    }

    fn tell(&mut self, news: News) {
        // Whoever hangs must not hold up heartbeats. Reports show the state all the same.
        self.news_lost += u64::from(self.news.try_send(news).is_err());
    }

    fn show(&mut self, now: Instant) {
        if self.shown_at.is_some_and(|at| now.saturating_duration_since(at) < SHOWN_EVERY) {
            return;
        }
        self.shown_at = Some(now);
        self.board.show(Shown {
            report: Some(self.pair.report(now)),
            datagrams: *self.gate.counts(),
            news_lost: self.news_lost,
        });
    }

    fn fall_silent(&self) {
        for group in (0..MOST_GROUPS as u8).map(GroupId) {
            self.claiming.lend(group, None);
        }
    }
}

/// A boot id that was never used.
pub(super) fn new_boot() -> Option<BootId> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(BootId(u128::from_be_bytes(bytes)))
}

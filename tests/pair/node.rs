//! One machine of the pair: the production code, its clock, its disk, its place on the LAN.

use std::time::{Duration, Instant};

use tsuji::high_availability::*;

use crate::network::PATHS;
use crate::time::{Clock, Time};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pause {
    /// The process is stopped; the clock runs.
    Stopped,
    /// The whole machine is, and its clock with it.
    Frozen,
}

/// A socket's buffer, in heartbeats.
pub const BUFFER: usize = 64;

pub struct Node {
    pub pair: Option<Pair>,
    pub clock: Clock,
    /// Counts its starts, so that what was meant for one life does not reach the next.
    pub life: u64,
    pub paused: Option<(Pause, Time)>,
    /// What waits for the process to run again.
    pub waiting: Vec<Event>,
    /// Its leg to the LAN carries frames.
    pub attached: bool,
    /// Its interface knows that it does not.
    pub carrier: bool,
    /// Reach targets that would answer if the leg were whole.
    pub targets: u16,
    pub failing: u8,
    pub disk: [Epoch; MOST_GROUPS],
    pub disk_delay: Time,
    pub disk_fails: bool,
    pub sync: Sync,
    pub recovery: Recovery,
    /// Claims as the rest of the machine carries them out: from `Claim` to `Yield`.
    pub claimed: [Option<Epoch>; MOST_GROUPS],
    /// Since when it would answer a question on the LAN for a group.
    pub answers_since: Time,
    /// When its last heartbeat left, on its own clock.
    pub spoke: Instant,
    pub wake: Time,
}

impl Node {
    pub fn new(clock: Clock) -> Self {
        Self {
            spoke: clock.read(0),
            pair: None,
            clock,
            life: 0,
            paused: None,
            waiting: Vec::new(),
            attached: true,
            carrier: true,
            targets: 3,
            failing: 0,
            disk: [Epoch(0); MOST_GROUPS],
            disk_delay: 0,
            disk_fails: false,
            sync: Sync::default(),
            recovery: Recovery::Auto,
            claimed: [None; MOST_GROUPS],
            answers_since: 0,
            wake: Time::MAX,
        }
    }

    pub fn runs(&self) -> bool {
        self.pair.is_some() && self.paused.is_none()
    }

    /// Whether a claim of it stands. A stopped process counts as claiming until its lease is over, which is stricter than its
    /// silence; a frozen machine claims nothing. The lease is measured here, and not asked of the machine.
    pub fn claims(&self, group: usize, now: Time, lease: Option<Duration>) -> bool {
        if self.claimed[group].is_none() || matches!(self.paused, Some((Pause::Frozen, _))) {
            return false;
        }
        let since = self.clock.read(now).saturating_duration_since(self.spoke);
        lease.is_none_or(|lease| since <= lease)
    }

    pub fn health(&self) -> Health {
        let up = u8::from(self.carrier);
        let reach = if self.attached { self.targets } else { 0 };
        Health { carriers: 1, carriers_up: up, reach, failing: self.failing, on_time: true }
    }

    /// Well, and with a leg to the clients.
    pub fn could_serve(&self) -> bool {
        self.runs() && self.attached && self.carrier && self.targets > 0
    }
}

/// The settings of one side.
pub fn settings(side: usize, groups: usize, timings: Timings, recovery: Recovery, both_primary: bool) -> Settings {
    let role = |group: usize| if group == side || both_primary { Role::Primary } else { Role::Backup };
    Settings {
        node: NodeId(side as u64 + 1),
        groups: (0..groups).map(|group| (GroupId(group as u8), role(group))).collect(),
        paths: (0..PATHS as u32).map(PathId).collect(),
        timings,
        recovery,
        hold: Settings::HOLD,
        version: 1,
        configuration: Configuration::default(),
    }
}

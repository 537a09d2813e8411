//! What must always be true, and what must come true.
//!
//! Names are those of the project's list of properties. *Claims* means: from `Claim` to `Yield`, as long as the process runs or
//! its lease lasts. Where a statement differs from the list, the reason stands beside it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::time::Instant;

use tsuji::high_availability::*;

use crate::storm::Mode;
use crate::time::{MINUTE, Time};

/// What the judge knows of the run so far.
pub struct Checks {
    pub mode: Mode,
    pub violation: Option<String>,
    /// Of everything that was done, in order: the same for the same seed.
    pub hash: u64,
    /// The last lines of the log.
    pub lines: VecDeque<String>,
    pub claimed: BTreeMap<(usize, Epoch), usize>,
    /// What each side was told last about each group.
    pub told: [Told; 2],
    /// No claim before: a machine listens.
    pub floor: [Option<Instant>; 2],
    /// Since when both claim.
    pub both: [Option<Time>; MOST_GROUPS],
    /// While both claim: since when each side hears the other without a gap, and when it did last.
    pub contact: [[Option<(Time, Time)>; MOST_GROUPS]; 2],
    /// When one of the two began to claim, as far as each side knows in its present life.
    pub known_claims: [[VecDeque<Time>; MOST_GROUPS]; 2],
    pub commands: [[Option<Time>; MOST_GROUPS]; 2],
    /// Since when a side is in sync.
    pub in_sync: [Option<Time>; 2],
    /// No change of roles any more, except for a primary that takes its group back.
    pub settled: bool,
    pub taken_back: [u32; MOST_GROUPS],
    /// Since when nobody claims a group that somebody could.
    pub vacant: [Option<Time>; MOST_GROUPS],
    /// Since when nobody claims a group, and for how long at most that was so.
    pub gap: [(Option<Time>, Time); MOST_GROUPS],
    pub totals: Totals,
    /// How often a state was left for each reason.
    pub reasons: HashMap<Reason, u64>,
}

/// What a side was told by the newest heartbeat that it took in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    pub newest: (u128, u64),
    pub at: Time,
    pub active: [Option<Epoch>; MOST_GROUPS],
    pub reach: u16,
    pub fault: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub events: u64,
    pub claims: u64,
    /// Changes to or from active.
    pub changes: u64,
    pub conflicts: u64,
    pub longest_both: Time,
    pub takeovers_done: u64,
    pub takeovers_refused: u64,
}

const LINES: usize = 80;

impl Checks {
    pub fn new(mode: Mode, _groups: usize) -> Self {
        Self {
            mode,
            violation: None,
            hash: 0xcbf2_9ce4_8422_2325,
            lines: VecDeque::new(),
            claimed: BTreeMap::new(),
            told: [Told::default(); 2],
            floor: [None; 2],
            both: [None; MOST_GROUPS],
            contact: [[None; MOST_GROUPS]; 2],
            known_claims: Default::default(),
            commands: [[None; MOST_GROUPS]; 2],
            in_sync: [None; 2],
            settled: false,
            taken_back: [0; MOST_GROUPS],
            vacant: [None; MOST_GROUPS],
            gap: [(None, 0); MOST_GROUPS],
            totals: Totals::default(),
            reasons: HashMap::new(),
        }
    }

    pub fn fail(&mut self, property: &str, what: String) {
        if self.violation.is_none() {
            self.violation = Some(format!("{property}: {what}"));
        }
    }

    pub fn log(&mut self, now: Time, what: impl Debug) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:>14.6} s  {what:?}", now as f64 / 1e9));
    }

    /// D1: everything that is done goes into one number.
    pub fn note(&mut self, now: Time, side: usize, action: &Action) {
        let (kind, what) = match action {
            Action::Send { heartbeat, .. } => (1, heartbeat.sequence),
            Action::Claim { epoch, .. } => (2, epoch.0),
            Action::Yield { group } => (3, u64::from(group.0)),
            Action::Announce { group } => (4, u64::from(group.0)),
            Action::ProbeAddresses { group } => (5, u64::from(group.0)),
            Action::PersistEpoch { epoch, .. } => (6, epoch.0),
            Action::RequestSnapshot { boot } => (7, boot.0 as u64),
            Action::Notice(_) => (8, 0),
        };
        for word in [now, side as u64, kind, what] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        if kind != 1 {
            self.log(now, (side, action));
        }
    }

    pub fn started(&mut self, side: usize, _now: Instant) {
        self.told[side] = Told::default();
        self.in_sync[side] = None;
        self.floor[side] = None;
        self.commands[side] = [None; MOST_GROUPS];
    }

    pub fn crashed(&mut self, side: usize) {
        self.commands[side] = [None; MOST_GROUPS];
        self.in_sync[side] = None;
        self.known_claims[side] = Default::default();
    }

    /// An operator's clock stands still while the machine does: the limit of a command is the machine's to keep.
    pub fn paused(&mut self, side: usize) {
        self.commands[side] = [None; MOST_GROUPS];
    }

    pub fn resumed(&mut self, side: usize, now: Instant, late: bool) {
        if late {
            self.floor[side] = Some(now);
        }
    }

    pub fn commanded(&mut self, side: usize, group: usize, now: Time) {
        self.commands[side][group].get_or_insert(now);
    }

    /// Whether it is news.
    pub fn heard(&mut self, side: usize, heartbeat: &Heartbeat, now: Time) -> bool {
        let order = (heartbeat.boot.0, heartbeat.sequence);
        if order <= self.told[side].newest {
            return false;
        }
        let mut told = Told { newest: order, at: now, reach: heartbeat.health.reach, ..Told::default() };
        for word in heartbeat.groups.iter().flatten() {
            let group = usize::from(word.group.0);
            told.active[group] = (word.state == GroupState::Active).then_some(word.epoch);
            let same_life = heartbeat.boot.0 == self.told[side].newest.0;
            let before = self.told[side].active[group].is_some() && same_life;
            if told.active[group].is_some() && !before {
                self.known_claims[side][group].push_back(now);
            }
            told.fault |= word.state == GroupState::Fault;
        }
        if heartbeat.boot.0 != self.told[side].newest.0 {
            self.in_sync[side] = None;
        }
        self.told[side] = told;
        true
    }

    pub fn synchronized(&mut self, side: usize, with: BootId, now: Time) {
        if self.told[side].newest.0 == with.0 {
            self.in_sync[side].get_or_insert(now);
        }
    }

    /// S3: the number on the disk never goes down.
    pub fn persists(&mut self, on_disk: Epoch, epoch: Epoch) {
        if epoch <= on_disk {
            self.fail("S3", format!("{epoch:?} is written over {on_disk:?}"));
        }
    }

    /// Claims in the minute before now that a side knows of; forgets older ones.
    pub fn recent(&mut self, side: usize, group: usize, now: Time) -> usize {
        let claims = &mut self.known_claims[side][group];
        while claims.front().is_some_and(|at| now - at > MINUTE) {
            claims.pop_front();
        }
        claims.len()
    }
}

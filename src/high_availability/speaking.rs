//! What this dispatcher tells the partner, and when.

use std::time::{Duration, Instant};

use super::event::{Action, Notice};
use super::group::{Group, State};
use super::heartbeat::Heartbeat;
use super::pair::Pair;
use super::view::Outcome;
use super::words::Epoch;

impl Pair {
    /// Sends a heartbeat on every path, and by that renews the lease. It is always the whole word: one that was urgent takes the
    /// place of the one that would have come.
    pub(super) fn speak(&mut self, now: Instant) {
        let timings = self.timings();
        let late = now.saturating_duration_since(self.speak_at);
        self.health.on_time = late < timings.lease() / LATE;
        self.sequence += 1;
        self.sent.note(self.sequence, now);
        let heartbeat = self.heartbeat();
        for path in &self.paths {
            let heartbeat = Heartbeat { echo: path.echo(now), ..heartbeat };
            self.out.actions.push_back(Action::Send { path: path.id, heartbeat });
        }
        self.out.urgent = false;
        self.spoke = now;
        self.speak_at = now + self.pace();
    }

    fn pace(&self) -> Duration {
        let timings = self.timings();
        if self.groups.iter().any(Group::hurries) { timings.quick() } else { timings.interval() }
    }

    fn heartbeat(&self) -> Heartbeat {
        let mut words = self.groups.iter().map(Group::word);
        Heartbeat {
            node: self.settings.node,
            boot: self.boot,
            sequence: self.sequence,
            version: self.settings.version,
            groups: std::array::from_fn(|_| words.next()),
            health: self.health,
            listening: self.listening.is_some(),
            wants_answer: self.groups.iter().any(|group| matches!(group.state, State::Probing { .. })),
            recovery: self.settings.recovery,
            dead: self.settings.timings.dead(),
            sync: self.sync,
            configuration: self.settings.configuration,
            echo: None,
        }
    }
}

/// A heartbeat that comes later than this part of the lease is not on time.
const LATE: u32 = 4;

impl Group {
    pub fn saved(&mut self, epoch: Epoch) {
        self.unsaved = self.unsaved.filter(|unsaved| *unsaved > epoch);
    }

    /// The claim stands: an epoch that is forgotten in a crash is learnt from the partner again, or there is nobody to
    /// learn it from and nobody to mistake it for another's.
    pub fn not_saved(&mut self, epoch: Epoch, out: &mut Outcome) {
        self.unsaved = Some(epoch);
        out.notice(Notice::EpochNotPersisted { group: self.id, epoch });
    }
}

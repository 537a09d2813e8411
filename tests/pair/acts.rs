//! What comes of a machine's actions: heartbeats travel, claims are announced, disks write, tables are copied.

use std::time::{Duration, Instant};

use tsuji::high_availability::*;

use crate::mutant::Mutant;
use crate::time::{MS, SECOND, nanos};
use crate::world::{Happening, World};

impl World {
    pub fn act(&mut self, side: usize, action: Action, now: Instant) {
        self.checks.note(self.now, side, &action);
        match action {
            Action::Send { path, heartbeat } => self.send(side, path, heartbeat, now),
            Action::Claim { group, epoch } => self.claim(side, usize::from(group.0), epoch),
            Action::Yield { group } => self.give_up(side, usize::from(group.0)),
            Action::Announce { group } if self.mutant != Mutant::NeverRepeats => {
                self.announce(side, usize::from(group.0))
            }
            Action::Announce { .. } => {}
            Action::ProbeAddresses { group } => {
                let after = self.random.between(MS, nanos(self.timings.probing()) / 2);
                let probed = Happening::Probed { by: side, life: self.nodes[side].life, group: usize::from(group.0) };
                self.queue.push(self.now + after, probed);
            }
            Action::PersistEpoch { group, epoch } => self.persist(side, group, epoch),
            Action::RequestSnapshot { boot } => self.copy_tables(side, boot),
            Action::Notice(notice) => self.noticed(side, notice),
        }
    }

    fn send(&mut self, side: usize, path: PathId, heartbeat: Heartbeat, now: Instant) {
        self.nodes[side].spoke = now;
        let link = self.links[side][path.0 as usize];
        for delay in link.carry(&mut self.random).into_iter().flatten() {
            self.queue.push(self.now + delay, Happening::Deliver { to: 1 - side, path, heartbeat });
        }
    }

    fn claim(&mut self, side: usize, group: usize, epoch: Epoch) {
        self.judge_claim(side, group, epoch);
        let claims = self.mutant != Mutant::NeverClaims;
        if claims && self.nodes[side].claimed[group].replace(epoch).is_none() {
            self.announce(side, group);
            self.nodes[side].answers_since = self.now;
        }
    }

    fn give_up(&mut self, side: usize, group: usize) {
        if self.mutant == Mutant::YieldsLate {
            let yielded = Happening::Yielded { by: side, life: self.nodes[side].life, group };
            return self.queue.push(self.now + 200 * MS, yielded);
        }
        self.nodes[side].claimed[group] = None;
    }

    pub fn announce(&mut self, side: usize, group: usize) {
        if self.nodes[side].attached {
            self.lan.owner[group] = Some(side);
        }
    }

    /// A question on the LAN comes back. Only who is attached, runs and claims has answered it.
    pub fn probed(&mut self, by: usize, group: usize) {
        let other = &self.nodes[1 - by];
        let there = self.nodes[by].attached && other.attached && other.runs();
        let answered = there && other.claims(group, self.now, self.lease()) && self.mutant != Mutant::NeverLooks;
        let group = GroupId(group as u8);
        self.tell(by, if answered { Event::AddressAnswered { group } } else { Event::AddressSilent { group } });
    }

    fn persist(&mut self, side: usize, group: GroupId, epoch: Epoch) {
        let node = &self.nodes[side];
        self.checks.persists(node.disk[usize::from(group.0)], epoch);
        let (life, at) = (node.life, self.now + node.disk_delay);
        let event = if node.disk_fails {
            Event::EpochNotPersisted { group, epoch }
        } else {
            self.queue.push(at, Happening::Written { by: side, group: usize::from(group.0), epoch });
            Event::EpochPersisted { group, epoch }
        };
        self.queue.push(at, Happening::Tell { to: side, life, event });
    }

    /// The tables are copied from the partner in one to three seconds.
    fn copy_tables(&mut self, side: usize, with: BootId) {
        self.nodes[side].sync =
            Sync { position: self.nodes[side].sync.position + 1, in_sync: true, lag: Duration::ZERO };
        let after = self.random.between(SECOND, 3 * SECOND);
        let event = Event::Synchronized { with, sync: self.nodes[side].sync };
        self.queue.push(self.now + after, Happening::Tell { to: side, life: self.nodes[side].life, event });
    }

    /// The lease that claims are judged by; the mutant without one is not judged by it either.
    pub fn lease(&self) -> Option<Duration> {
        (self.mutant != Mutant::NoLease).then(|| self.timings.lease())
    }
}

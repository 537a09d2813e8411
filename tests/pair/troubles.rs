//! What can happen to the pair from outside, and how everything is well again.

use tsuji::high_availability::*;

use crate::mutant::Mutant;
use crate::network::{Link, PATHS};
use crate::node::Pause;
use crate::time::{MS, SECOND, Time, nanos};
use crate::world::{Happening, World};

/// One thing that happens to the pair from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    Link(usize, usize, LinkTrouble),
    Pause(usize, Pause),
    Resume(usize),
    Crash(usize),
    Restart(usize),
    Carrier(usize, bool),
    Attached(usize, bool),
    Targets(usize, u16),
    Failing(usize, u8),
    Disk(usize, Time, bool),
    Takeover(usize, usize),
    Recovery(usize, bool),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkTrouble {
    Cut,
    Loses(u32),
    /// Delays up to this, in any order.
    Delays(Time),
    Doubles,
    Good,
}

impl World {
    pub fn befall(&mut self, trouble: Trouble) {
        self.storm.moved = self.now;
        self.checks.log(self.now, trouble);
        match trouble {
            Trouble::Link(side, path, trouble) => self.befall_link(side, path, trouble),
            Trouble::Pause(side, pause) => self.pause(side, pause),
            Trouble::Resume(side) => self.resume(side),
            Trouble::Crash(side) => self.crash(side),
            Trouble::Restart(side) => self.start(side),
            Trouble::Takeover(side, group) => self.take_over(side, group),
            Trouble::Disk(side, delay, fails) => {
                (self.nodes[side].disk_delay, self.nodes[side].disk_fails) = (delay, fails);
            }
            Trouble::Recovery(side, auto) => {
                let recovery = if auto { Recovery::Auto } else { Recovery::Manual };
                self.nodes[side].recovery = recovery;
                if self.mutant != Mutant::TakesBackAnyway {
                    self.tell(side, Event::Recovery(recovery));
                }
            }
            Trouble::Carrier(..) | Trouble::Attached(..) | Trouble::Targets(..) | Trouble::Failing(..) => {
                self.befall_health(trouble);
            }
        }
    }

    fn befall_link(&mut self, side: usize, path: usize, trouble: LinkTrouble) {
        let link = &mut self.links[side][path];
        match trouble {
            LinkTrouble::Cut => link.cut = true,
            LinkTrouble::Loses(permille) => link.loss_permille = permille,
            LinkTrouble::Delays(spread) => link.spread = spread,
            LinkTrouble::Doubles => link.twice_permille = 300,
            LinkTrouble::Good => *link = Link::GOOD,
        }
    }

    fn befall_health(&mut self, trouble: Trouble) {
        let (side, after) = match trouble {
            // A carrier is seen at once; targets are asked from time to time.
            Trouble::Carrier(side, up) => {
                (self.nodes[side].carrier, self.nodes[side].attached) = (up, up);
                (side, self.random.between(0, 5 * MS))
            }
            Trouble::Attached(side, attached) => {
                self.nodes[side].attached = attached;
                (side, self.random.between(SECOND / 2, 2 * SECOND))
            }
            Trouble::Targets(side, targets) => {
                self.nodes[side].targets = targets;
                (side, self.random.between(SECOND / 2, 2 * SECOND))
            }
            Trouble::Failing(side, failing) => {
                self.nodes[side].failing = failing;
                (side, 0)
            }
            _ => return,
        };
        let node = &mut self.nodes[side];
        node.attached &= node.carrier;
        node.answers_since = self.now;
        let told = Happening::Look { by: side, life: node.life };
        self.queue.push(self.now + after, told);
        // Whoever answers for an address announces it when its leg is back.
        for group in 0..self.groups {
            if self.nodes[side].runs() && self.nodes[side].claims(group, self.now, self.lease()) {
                self.announce(side, group);
            }
        }
    }

    fn take_over(&mut self, side: usize, group: usize) {
        if self.nodes[side].runs() {
            self.checks.commanded(side, group, self.now);
            self.tell(side, Event::Takeover { group: GroupId(group as u8) });
        }
    }

    /// Everything is well from now on.
    pub fn heal(&mut self) {
        for side in 0..2 {
            (0..PATHS).for_each(|path| self.befall(Trouble::Link(side, path, LinkTrouble::Good)));
            self.befall(Trouble::Disk(side, 0, false));
            self.befall(Trouble::Resume(side));
            self.befall(Trouble::Restart(side));
            self.befall(Trouble::Carrier(side, true));
            self.befall(Trouble::Attached(side, true));
            self.befall(Trouble::Targets(side, 3));
            self.befall(Trouble::Failing(side, 0));
        }
        self.queue.push(self.now + self.settling(), Happening::Settled);
        self.calm();
    }

    /// After so long nothing of a trouble is left: targets were asked again (2 s), who was born or unfit has listened, who was
    /// found wanting has handed over (after a retry, 5 s, at most).
    pub fn settling(&self) -> Time {
        nanos(self.timings.dead()) * 8 + 9 * SECOND
    }
}

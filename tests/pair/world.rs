//! Two machines, their links and their LAN in virtual time, driven by one seed.

use std::time::{Duration, Instant};

use tsuji::high_availability::*;

use crate::checks::Checks;
use crate::mutant::Mutant;
use crate::network::{Lan, Link, Links, PATHS};
use crate::node::{BUFFER, Node, Pause, settings};
use crate::random::Random;
use crate::storm::{Mode, Storm};
use crate::time::{Clock, MS, Queue, SECOND, Time, nanos};
use crate::troubles::Trouble;

/// What happens in the world.
#[derive(Clone, Debug)]
pub enum Happening {
    Deliver {
        to: usize,
        path: PathId,
        heartbeat: Heartbeat,
    },
    /// Something that a life of a machine asked for has come to an end.
    Tell {
        to: usize,
        life: u64,
        event: Event,
    },
    /// It looks at its interfaces and reach targets.
    Look {
        by: usize,
        life: u64,
    },
    Probed {
        by: usize,
        life: u64,
        group: usize,
    },
    Yielded {
        by: usize,
        life: u64,
        group: usize,
    },
    Written {
        by: usize,
        group: usize,
        epoch: Epoch,
    },
    Trouble(Trouble),
    Strike,
    Heal,
    /// Everything is well for so long that it must show.
    Settled,
}

pub struct World {
    pub now: Time,
    pub random: Random,
    pub queue: Queue<Happening>,
    pub nodes: [Node; 2],
    pub links: Links,
    pub lan: Lan,
    pub timings: Timings,
    pub groups: usize,
    pub checks: Checks,
    pub storm: Storm,
    pub mutant: Mutant,
}

impl World {
    pub fn new(seed: u64, minutes: u64, mode: Mode, mutant: Mutant) -> Self {
        let mut random = Random::new(seed);
        let base = Instant::now();
        let timings = Self::timings(&mut random);
        let groups = 1 + usize::from(random.permille(300));
        let recovery = random.pick(&[Recovery::Auto, Recovery::Auto, Recovery::Manual]);
        let nodes = [200, -200].map(|most: i64| {
            let drift = most - random.between(0, 201) as i64 * most.signum();
            let mut node = Node::new(Clock::new(base + Duration::from_secs(3600), drift));
            node.recovery = recovery;
            node
        });
        let storm = Storm::new(mode, minutes);
        let mut world = Self {
            now: 0,
            random,
            queue: Queue::new(),
            nodes,
            links: [[Link::GOOD; PATHS]; 2],
            lan: Lan::default(),
            timings,
            groups,
            checks: Checks::new(mode, groups),
            storm,
            mutant,
        };
        world.storm.pace = world.random.pick(&[2, 6, 12, 20]);
        world.begin();
        world
    }

    /// Two machines that are well, past their start: nothing happens but what is brought about.
    pub fn quiet(timings: Timings, minutes: u64) -> Self {
        let mut world = Self::new(1, minutes, Mode::Quiet, Mutant::None);
        world.timings = timings;
        world.groups = 1;
        for side in 0..2 {
            world.crash(side);
            world.nodes[side].recovery = Recovery::Manual;
            world.start(side);
        }
        world
    }

    /// Runs up to this time, or until a property is broken.
    pub fn run_until(&mut self, end: Time) {
        while self.checks.violation.is_none()
            && self.queue.next_at().min(self.nodes[0].wake).min(self.nodes[1].wake) <= end
        {
            self.step();
        }
        self.now = end;
    }

    /// Most seeds run the slow profile, because it is cheap to simulate; the faults scale with it.
    fn timings(random: &mut Random) -> Timings {
        let long = Timings::new(Duration::from_secs(1), Duration::from_secs(10)).expect("a good pair of times");
        match random.between(0, 20) {
            0 => Timings::FAST,
            1..=6 => Timings::STANDARD,
            7..=9 => long,
            _ => Timings::IBM,
        }
    }

    fn begin(&mut self) {
        let second = self.random.pick(&[0, 0, MS, 200 * MS, 5 * SECOND]);
        self.start(0);
        self.queue.push(second, Happening::Trouble(Trouble::Restart(1)));
        self.plan();
        if matches!(self.storm.mode, Mode::All | Mode::Loss) && self.random.permille(150) {
            self.part();
        }
    }

    /// Runs until everything that was planned has happened.
    pub fn run(&mut self) {
        while self.checks.violation.is_none() && self.step() {}
    }

    fn step(&mut self) -> bool {
        let event_at = self.queue.next_at();
        let wake_at = self.nodes[0].wake.min(self.nodes[1].wake);
        self.now = event_at.min(wake_at);
        if self.now > self.storm.end {
            return false;
        }
        if event_at <= wake_at {
            if let Some(happening) = self.queue.pop() {
                self.happen(happening);
            }
        } else {
            let node = usize::from(self.nodes[0].wake > wake_at);
            self.tell(node, Event::Tick);
        }
        self.watch();
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver { to, path, heartbeat } => self.tell(to, Event::Heard { path, heartbeat }),
            Happening::Tell { to, life, event } if self.nodes[to].life == life => self.tell(to, event),
            Happening::Probed { by, life, group } if self.nodes[by].life == life => self.probed(by, group),
            Happening::Yielded { by, life, group } if self.nodes[by].life == life => {
                self.nodes[by].claimed[group] = None
            }
            Happening::Look { by, life } if self.nodes[by].life == life => {
                let health = self.nodes[by].health();
                self.tell(by, Event::Health(health));
            }
            Happening::Tell { .. } | Happening::Look { .. } | Happening::Probed { .. } | Happening::Yielded { .. } => {}
            Happening::Written { by, group, epoch } => {
                self.nodes[by].disk[group] = self.nodes[by].disk[group].max(epoch)
            }
            Happening::Trouble(trouble) => self.befall(trouble),
            Happening::Strike => self.strike(),
            Happening::Heal => self.heal(),
            Happening::Settled => self.settled(),
        }
    }

    /// A process starts: nothing is left of the last one but what is on the disk.
    pub fn start(&mut self, side: usize) {
        if self.nodes[side].pair.is_some() {
            return;
        }
        let both = self.mutant == Mutant::BothPrimary;
        let old = self.mutant == Mutant::OldDisk;
        let deaf = self.mutant == Mutant::TakesBackAnyway;
        let node = &mut self.nodes[side];
        node.life += 1;
        let recovery = if deaf { Recovery::Auto } else { node.recovery };
        let now = node.clock.read(self.now);
        let boot = BootId(((side as u128) << 64) | u128::from(node.life));
        let persisted: Vec<_> = (0..self.groups)
            .map(|group| (GroupId(group as u8), if old { Epoch(0) } else { node.disk[group] }))
            .collect();
        let settings = settings(side, self.groups, self.timings, recovery, both);
        node.pair = Some(Pair::new(settings, boot, &persisted, now).expect("good settings"));
        node.spoke = now;
        node.sync = Sync::default();
        self.checks.started(side, now);
        let health = self.nodes[side].health();
        self.tell(side, Event::Health(health));
    }

    pub fn crash(&mut self, side: usize) {
        let node = &mut self.nodes[side];
        node.pair = None;
        node.paused = None;
        node.waiting.clear();
        node.claimed = [None; MOST_GROUPS];
        node.life += 1;
        node.wake = Time::MAX;
        self.checks.crashed(side);
    }

    pub fn pause(&mut self, side: usize, pause: Pause) {
        let node = &mut self.nodes[side];
        if node.runs() {
            node.paused = Some((pause, self.now));
            node.wake = Time::MAX;
            self.checks.paused(side);
        }
    }

    pub fn resume(&mut self, side: usize) {
        let Some((pause, since)) = self.nodes[side].paused.take() else { return };
        let unseen = pause == Pause::Frozen || matches!(self.mutant, Mutant::NoLease | Mutant::ForgetsToListen);
        if unseen {
            self.nodes[side].clock.stand_still(self.now - since);
        }
        self.nodes[side].answers_since = self.now;
        let now = self.nodes[side].clock.read(self.now);
        let lease = self.timings.lease();
        let late = pause == Pause::Stopped && now.saturating_duration_since(self.nodes[side].spoke) > lease;
        let late = late || self.mutant == Mutant::ForgetsToListen && self.now - since > nanos(lease);
        self.checks.resumed(side, now, late);
        let mut waiting = std::mem::take(&mut self.nodes[side].waiting);
        let at = self.random.below(waiting.len() + 1);
        waiting.insert(at, Event::Tick);
        waiting.into_iter().for_each(|event| self.tell(side, event));
    }

    /// Hands an event to a machine, and does what comes of it.
    pub fn tell(&mut self, side: usize, event: Event) {
        let node = &mut self.nodes[side];
        if node.paused.is_some() {
            if node.waiting.len() < BUFFER {
                node.waiting.push(event);
            }
            return;
        }
        let Some(pair) = node.pair.as_mut() else { return };
        let now = node.clock.read(self.now);
        let heard = if let Event::Heard { heartbeat, .. } = &event {
            self.checks.heard(side, heartbeat, self.now)
        } else {
            false
        };
        if let Event::Synchronized { with, .. } = &event {
            self.checks.synchronized(side, *with, self.now);
        }
        pair.handle(event, now);
        let mut count = 0;
        while let Some(action) = self.nodes[side].pair.as_mut().and_then(Pair::poll_action) {
            self.act(side, action, now);
            count += 1;
        }
        let late = self.random.between(0, MS / 2);
        let node = &mut self.nodes[side];
        if let Some(pair) = &node.pair {
            node.wake = node.clock.when(pair.next_deadline()) + late;
        }
        self.handled(side, heard, count);
    }
}

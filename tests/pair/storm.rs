//! Troubles: which there are, when they strike, when all is well again.

use crate::network::PATHS;
use crate::node::Pause;
use crate::time::{MINUTE, MS, SECOND, Time, nanos};
use crate::troubles::{LinkTrouble, Trouble};
use crate::world::{Happening, World};

/// What may go wrong in a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Everything.
    All,
    /// Stops and crashes, commands: with these nobody ever claims beside another.
    StopsAndCrashes,
    /// Machines freeze, clock and all.
    Freezes,
    /// Heartbeats get lost on all paths, and nothing else goes wrong.
    Loss,
    /// Nothing but what a scenario brings.
    Quiet,
}

impl Mode {
    pub fn of(seed: u64) -> Self {
        match seed % 8 {
            0 | 1 => Self::StopsAndCrashes,
            2 => Self::Freezes,
            3 => Self::Loss,
            _ => Self::All,
        }
    }
}

/// The plan of a run: storms of three minutes, at the end of each a while in which nothing changes, then two minutes of calm; a long
/// calm at the end.
#[derive(Clone, Debug)]
pub struct Storm {
    pub mode: Mode,
    pub end: Time,
    /// No new trouble, and no relief, until the storm ends.
    pub from: Time,
    pub still_from: Time,
    /// When something last went wrong, or well.
    pub moved: Time,
    last_calm: Time,
    /// Dead times between two strikes, at most.
    pub pace: u64,
}

const STORM: Time = 3 * MINUTE;
const STILL: Time = 50 * SECOND;
const CALM: Time = 2 * MINUTE;

impl Storm {
    pub fn new(mode: Mode, minutes: u64) -> Self {
        let end = minutes * MINUTE;
        let last = if minutes >= 20 { 11 * MINUTE } else { CALM };
        Self { mode, end, from: 0, still_from: 0, moved: 0, last_calm: end.saturating_sub(last), pace: 12 }
    }
}

impl World {
    /// The first storm.
    pub fn plan(&mut self) {
        if self.storm.mode == Mode::Quiet {
            return;
        }
        let settled = 9 * SECOND + self.settling();
        self.queue.push(settled, Happening::Settled);
        self.brew(settled + SECOND);
    }

    /// The next storm, after a calm.
    pub fn calm(&mut self) {
        self.brew(self.now + CALM);
    }

    fn brew(&mut self, at: Time) {
        let until = (at + STORM).min(self.storm.last_calm);
        if until <= at + STILL {
            return;
        }
        self.storm.from = at;
        self.storm.still_from = until - STILL;
        self.queue.push(at, Happening::Strike);
        self.queue.push(until, Happening::Heal);
    }

    pub fn strike(&mut self) {
        // Of the last storm, perhaps.
        if self.now < self.storm.from || self.now >= self.storm.still_from {
            return;
        }
        self.checks.settled = false;
        let longest = nanos(self.timings.dead()) * self.storm.pace;
        let next = self.random.between(MS, longest.max(SECOND * self.storm.pace / 2));
        self.queue.push(self.now + next, Happening::Strike);
        let side = self.random.below(2);
        match self.storm.mode {
            Mode::All => self.strike_any(side),
            Mode::StopsAndCrashes => self.strike_process(side, Pause::Stopped),
            Mode::Freezes => self.strike_process(side, Pause::Frozen),
            Mode::Loss => self.strike_links(),
            Mode::Quiet => {}
        }
    }

    fn strike_any(&mut self, side: usize) {
        match self.random.between(0, 12) {
            0..=2 => self.strike_process(side, Pause::Stopped),
            3 => self.strike_process(side, Pause::Frozen),
            4..=7 => self.strike_links(),
            8 => self.lasting(Trouble::Carrier(side, false), Trouble::Carrier(side, true)),
            9 => self.lasting(Trouble::Attached(side, false), Trouble::Attached(side, true)),
            10 => {
                let targets = self.random.between(0, 4) as u16;
                self.lasting(Trouble::Targets(side, targets), Trouble::Targets(side, 3));
            }
            _ => self.strike_small(side),
        }
    }

    fn strike_small(&mut self, side: usize) {
        match self.random.between(0, 4) {
            0 => self.lasting(Trouble::Failing(side, 1), Trouble::Failing(side, 0)),
            1 => {
                let delay = self.random.between(0, 5 * SECOND);
                let fails = self.random.permille(500);
                self.lasting(Trouble::Disk(side, delay, fails), Trouble::Disk(side, 0, false));
            }
            2 => {
                let auto = self.random.permille(600);
                self.befall(Trouble::Recovery(side, auto));
                self.befall(Trouble::Recovery(1 - side, auto));
            }
            _ => self.command(side),
        }
    }

    fn strike_process(&mut self, side: usize, pause: Pause) {
        match self.random.between(0, 6) {
            0 | 1 => self.lasting(Trouble::Pause(side, pause), Trouble::Resume(side)),
            2 => self.lasting(Trouble::Crash(side), Trouble::Restart(side)),
            3 => {
                // Back before anybody can think it dead.
                self.befall(Trouble::Crash(side));
                let back = self.random.between(1, nanos(self.timings.dead()));
                self.queue.push(self.now + back, Happening::Trouble(Trouble::Restart(side)));
            }
            _ => self.command(side),
        }
    }

    /// An operator, or two at once.
    fn command(&mut self, side: usize) {
        let group = self.random.below(self.groups);
        self.befall(Trouble::Takeover(side, group));
        if self.random.permille(300) {
            let after = self.random.between(0, 5 * MS);
            self.queue.push(self.now + after, Happening::Trouble(Trouble::Takeover(1 - side, group)));
        }
    }

    fn strike_links(&mut self) {
        let trouble = match self.random.between(0, 6) {
            _ if self.storm.mode == Mode::Loss => LinkTrouble::Loses(self.random.between(100, 700) as u32),
            0..=2 => LinkTrouble::Cut,
            3 => LinkTrouble::Loses(self.random.between(50, 700) as u32),
            4 => LinkTrouble::Delays(self.random.between(MS, nanos(self.timings.dead()))),
            _ => LinkTrouble::Doubles,
        };
        let directions = self.random.pick(&[1_u8, 2, 3, 3]);
        let paths = self.random.pick(&[1_u8, 2, 3, 3, 3]);
        let (lasts, victim) = (self.duration(), self.random.below(2));
        let uneven = self.random.permille(300);
        for side in (0..2).filter(|side| directions & (1 << side) != 0) {
            // Sometimes one direction comes back before the other.
            let lasts = if uneven { self.duration() } else { lasts };
            for path in (0..PATHS).filter(|path| paths & (1 << path) != 0) {
                self.befall(Trouble::Link(side, path, trouble));
                self.relieve(lasts, Trouble::Link(side, path, LinkTrouble::Good));
            }
        }
        // A machine that is cut off altogether: its leg to the clients goes with its heartbeats.
        if trouble == LinkTrouble::Cut && paths == 3 && self.random.permille(400) {
            self.befall(Trouble::Attached(victim, false));
            self.relieve(lasts, Trouble::Attached(victim, true));
        }
    }

    /// Born apart: neither hears the other, and one of them has no leg to the clients, until shortly before the first storm.
    pub fn part(&mut self) {
        for side in 0..2 {
            for path in 0..PATHS {
                self.befall(Trouble::Link(side, path, LinkTrouble::Cut));
                let relief = Trouble::Link(side, path, LinkTrouble::Good);
                self.queue.push(8 * SECOND + side as u64 * SECOND, Happening::Trouble(relief));
            }
        }
        self.befall(Trouble::Attached(1, false));
        self.queue.push(8 * SECOND, Happening::Trouble(Trouble::Attached(1, true)));
    }

    /// Lasts from a moment to several dead times, or until the storm is over.
    fn lasting(&mut self, trouble: Trouble, relief: Trouble) {
        self.befall(trouble);
        let lasts = self.duration();
        self.relieve(lasts, relief);
    }

    fn duration(&mut self) -> Time {
        let dead = nanos(self.timings.dead());
        let most = self.random.pick(&[dead / 2, dead * 2, dead * 8, dead * 30]);
        self.random.between(1, most)
    }

    fn relieve(&mut self, after: Time, relief: Trouble) {
        if self.now + after < self.storm.still_from {
            self.queue.push(self.now + after, Happening::Trouble(relief));
        }
    }
}

//! Lives: the partner's present one, those that want to take its place, and what we have said in ours.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::high_availability::{BootId, PathId, Timings};

use super::key::{KeyId, PairKeys};
use super::letter::Greeting;
use super::record::{Life, Open, Purpose};
use super::window::Window;

/// The partner in the life that it has proven.
pub(super) struct Partner {
    pub life: Life,
    /// For each key of the file, the one that seals first.
    opens: Vec<(KeyId, Open)>,
    pub window: Window,
    /// The newest of our heartbeats that this life has heard. One that began later has heard a newer one.
    pub heard_of_us: u64,
}

impl Partner {
    pub fn new(life: Life, keys: &PairKeys, window: Window, heard_of_us: u64) -> Self {
        let mut partner = Self { life, opens: Vec::new(), window, heard_of_us };
        partner.rekey(keys);
        partner
    }

    pub fn rekey(&mut self, keys: &PairKeys) {
        self.opens = keys.all().map(|key| (key.id(), Open::new(key, self.life, Purpose::HEARTBEAT))).collect();
    }

    pub fn greeting(&self) -> Greeting {
        Greeting { boot: self.life.boot, sequence: self.window.newest() }
    }

    pub fn open(&self, key: KeyId) -> Option<&Open> {
        self.opens.iter().find(|(id, _)| *id == key).map(|(_, open)| open)
    }
}

/// An echo proves nothing after the longest time for which a partner may be silent without being dead.
pub(super) const FRESH: Duration = Timings::MOST_DEAD;

/// Authentic lives that have not proven themselves. They are told what was heard of them, so that they can say it back.
#[derive(Debug, Default)]
pub(super) struct Candidates(Vec<Candidate>);

#[derive(Debug)]
struct Candidate {
    boot: BootId,
    newest: u64,
    since: Instant,
    heard: Instant,
}

/// One is the partner that starts. The others leave room for recordings of lives of long ago, which anybody may play; they
/// will never prove themselves, and should not push out the one that will.
pub(super) const MOST_CANDIDATES: usize = 4;

/// A place is kept for so long before another may have it: time for some heartbeats there and back.
const HOLD: Duration = Duration::from_secs(2);

impl Candidates {
    /// A life was heard. Without a place it is forgotten; it will be heard again.
    ///
    /// Somebody with more recordings than there are places can hold all of them. That does not keep the partner out: it hears
    /// us and greets us meanwhile, and its greeting proves it here.
    pub fn note(&mut self, boot: BootId, sequence: u64, now: Instant) {
        self.0.retain(|candidate| now.saturating_duration_since(candidate.heard) < FRESH);
        if let Some(known) = self.0.iter_mut().find(|candidate| candidate.boot == boot) {
            known.newest = known.newest.max(sequence);
            known.heard = now;
            return;
        }
        let over = |candidate: &Candidate| now.saturating_duration_since(candidate.since) >= HOLD;
        if self.0.len() == MOST_CANDIDATES && self.0.first().is_some_and(over) {
            self.0.remove(0);
        }
        if self.0.len() < MOST_CANDIDATES {
            self.0.push(Candidate { boot, newest: sequence, since: now, heard: now });
        }
    }

    /// It has proven itself.
    pub fn forget(&mut self, boot: BootId) {
        self.0.retain(|candidate| candidate.boot != boot);
    }

    /// Who is greeted in our heartbeat with this number: each in turn.
    pub fn greeting(&self, turn: u64, now: Instant) -> Option<Greeting> {
        let fresh = |candidate: &&Candidate| now.saturating_duration_since(candidate.heard) < FRESH;
        let fresh: Vec<&Candidate> = self.0.iter().filter(fresh).collect();
        let turn = turn.checked_rem(fresh.len() as u64)?;
        let candidate = fresh.get(usize::try_from(turn).ok()?)?;
        Some(Greeting { boot: candidate.boot, sequence: candidate.newest })
    }
}

/// Lives of the partner that have ended, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Ended(VecDeque<BootId>);

/// Lives remembered by name, so that most of what is left of them is refused unopened. One that is forgotten does not come
/// back either: it has not heard what a later life of the partner has heard of us ([`Partner::heard_of_us`]).
const MOST_ENDED: usize = 16;

impl Ended {
    pub fn add(&mut self, boot: BootId) {
        if self.0.len() == MOST_ENDED {
            self.0.pop_front();
        }
        self.0.push_back(boot);
    }

    pub fn contains(&self, boot: BootId) -> bool {
        self.0.contains(&boot)
    }
}

/// The heartbeats that we have sealed: no number twice on one path, and when.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The oldest first.
    times: VecDeque<(u64, Instant)>,
    /// Where the newest has gone already.
    paths: Vec<PathId>,
}

/// Echoes of older ones prove nothing. With the shortest interval it is two and a half seconds, and no way there and back
/// takes so long.
const MOST_SAID: usize = 256;

impl Said {
    /// Whether the number is new on this path. It is not from then on.
    pub fn note(&mut self, sequence: u64, path: PathId, now: Instant) -> bool {
        let newest = self.times.back().map(|(newest, _)| *newest);
        if newest.is_some_and(|newest| sequence < newest) || newest == Some(sequence) && self.paths.contains(&path) {
            return false;
        }
        if newest != Some(sequence) {
            self.paths.clear();
            if self.times.len() == MOST_SAID {
                self.times.pop_front();
            }
            self.times.push_back((sequence, now));
        }
        self.paths.push(path);
        true
    }

    /// Whether we said it a short time ago.
    pub fn lately(&self, sequence: u64, now: Instant) -> bool {
        let Ok(index) = self.times.binary_search_by_key(&sequence, |(said, _)| *said) else { return false };
        self.times.get(index).is_some_and(|(_, at)| now.saturating_duration_since(*at) <= FRESH)
    }
}

//! Which numbers of a life have come in on which path.

use crate::high_availability::PathId;

/// The last 64 numbers of a life, with one bit for each of them on each path.
///
/// The paths share the newest number. Otherwise somebody who can hold back what travels on one path could let it go much
/// later, when the other paths are far ahead, and it would look new there. A path that is slower than the others by more than 64
/// heartbeats is no use, and what comes on it is refused; with the shortest interval that is two thirds of a second.
#[derive(Clone, Debug)]
pub(super) struct Window {
    newest: u64,
    paths: Vec<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    path: PathId,
    /// The newest number in the lowest bit.
    numbers: u64,
}

impl Seen {
    /// Takes the newest number and what follows.
    fn from_now_on(path: PathId) -> Self {
        Self { path, numbers: !1 }
    }
}

impl Window {
    /// Begins with the first number that is believed. Those before it are not: we did not live, or did not know the sender.
    pub fn new(first: u64, paths: &[PathId]) -> Self {
        Self { newest: first, paths: paths.iter().map(|path| Seen::from_now_on(*path)).collect() }
    }

    /// The newest number that has come in, on whatever path.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether this number may still come in on the path.
    pub fn is_new(&self, path: PathId, sequence: u64) -> bool {
        let Some(seen) = self.paths.iter().find(|seen| seen.path == path) else { return false };
        sequence > self.newest || bit(self.newest - sequence).is_some_and(|bit| seen.numbers & bit == 0)
    }

    /// It has come in, and was authentic.
    pub fn note(&mut self, path: PathId, sequence: u64) {
        if let Some(ahead) = sequence.checked_sub(self.newest) {
            let shifted = |numbers: u64| u32::try_from(ahead).ok().and_then(|by| numbers.checked_shl(by)).unwrap_or(0);
            self.paths.iter_mut().for_each(|seen| seen.numbers = shifted(seen.numbers));
            self.newest = sequence;
        }
        let bit = bit(self.newest - sequence).unwrap_or(0);
        self.paths.iter_mut().filter(|seen| seen.path == path).for_each(|seen| seen.numbers |= bit);
    }

    /// The paths are these now. One that stays keeps its bits.
    pub fn set_paths(&mut self, paths: &[PathId]) {
        self.paths.retain(|seen| paths.contains(&seen.path));
        for path in paths {
            if !self.paths.iter().any(|seen| seen.path == *path) {
                self.paths.push(Seen::from_now_on(*path));
            }
        }
    }
}

fn bit(back: u64) -> Option<u64> {
    u32::try_from(back).ok().and_then(|by| 1_u64.checked_shl(by))
}

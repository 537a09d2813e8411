//! The turns of the web-server plug-in, which count weights down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{ServerId, Weight};

use super::table::ServerEntry;
use super::{ServerIndex, Turn};

/// Each server begins with its weight, divided by what all weights share, and loses one with each turn. Servers that
/// have something left take turns in their order; when nobody usable has, each gets its weight added. Requests with affinity may
/// count too: then a server with many sessions falls below zero and gets fewer new ones until it has caught up.
///
/// Behind a lock, for its few steps: the plug-in's order is exact only when one turn sees what the one before left.
#[derive(Clone, Debug, Default)]
pub struct Wheel {
    candidates: Arc<[(ServerIndex, ServerId, i64)]>,
    turns: Arc<Mutex<Turns>>,
}

/// What goes on when a table takes another's place.
#[derive(Debug, Default)]
struct Turns {
    left: HashMap<ServerId, i64>,
    /// Who had the turn before.
    last: Option<ServerId>,
}

impl Wheel {
    /// The same turns with other candidates. A server whose weight changed begins anew.
    pub(super) fn with(&self, candidates: &[(ServerIndex, Weight)], servers: &[ServerEntry]) -> Self {
        let divisor = candidates.iter().fold(0, |divisor, (_, weight)| common_divisor(divisor, weight.get())).max(1);
        let known = candidates.iter().filter_map(|&(index, weight)| {
            let id = servers.get(usize::from(index.0))?.id;
            Some((index, id, i64::from(weight.get() / divisor)))
        });
        let candidates: Arc<[_]> = known.collect();
        let mut turns = self.lock();
        let starts: HashMap<ServerId, i64> = candidates.iter().map(|&(_, id, start)| (id, start)).collect();
        let before: HashMap<ServerId, i64> = self.candidates.iter().map(|&(_, id, start)| (id, start)).collect();
        turns.left.retain(|id, _| starts.contains_key(id) && before.get(id) == starts.get(id));
        for (&id, &start) in &starts {
            turns.left.entry(id).or_insert(start);
        }
        drop(turns);
        Self { candidates, turns: Arc::clone(&self.turns) }
    }

    pub(super) fn pick(&self, turn: Turn, usable: impl Fn(ServerIndex) -> bool) -> Option<ServerIndex> {
        let mut turns = self.lock();
        let round = self.next_round(&turns, &usable)?;
        let (index, id) = self.in_turn(turns.last, |index, id| {
            usable(index) && turns.left.get(&id).copied().unwrap_or(0) + round * self.start_of(id) > 0
        })?;
        if turn == Turn::Take {
            for &(_, id, start) in &*self.candidates {
                let left = turns.left.entry(id).or_default();
                // A server that was left alone shall not have saved up its turns: it gets its share from now on. For those
                // that are usable the bound is without effect, because the round is the first that gives one of them a turn.
                *left = left.saturating_add(round * start).clamp(-FARTHEST, start.max(*left));
            }
            *turns.left.entry(id).or_default() -= 1;
            turns.last = Some(id);
        }
        Some(index)
    }

    /// A request went there out of turn.
    pub(super) fn charge(&self, server: ServerIndex) {
        let mut turns = self.lock();
        if let Some(&(_, id, _)) = self.candidates.iter().find(|(index, ..)| *index == server) {
            let left = turns.left.entry(id).or_default();
            *left = left.saturating_sub(1).max(-FARTHEST);
        }
    }

    /// How many times all weights have to be added until somebody usable has something left. `None`: never, because nobody
    /// usable has a weight.
    fn next_round(&self, turns: &Turns, usable: impl Fn(ServerIndex) -> bool) -> Option<i64> {
        let candidates = self.candidates.iter().filter(|(index, _, start)| *start > 0 && usable(*index));
        let rounds = candidates.map(|&(_, id, start)| match turns.left.get(&id).copied().unwrap_or(start) {
            left if left > 0 => 0,
            left => -left / start + 1,
        });
        rounds.min()
    }

    fn in_turn(
        &self,
        last: Option<ServerId>,
        takes: impl Fn(ServerIndex, ServerId) -> bool,
    ) -> Option<(ServerIndex, ServerId)> {
        let place = last.and_then(|last| self.candidates.iter().position(|&(_, id, _)| id == last));
        let start = place.map_or(0, |place| place + 1);
        let (before, after) = self.candidates.split_at_checked(start)?;
        let in_order = after.iter().chain(before).filter(|(_, _, start)| *start > 0);
        in_order.map(|&(index, id, _)| (index, id)).find(|&(index, id)| takes(index, id))
    }

    fn start_of(&self, server: ServerId) -> i64 {
        self.candidates.iter().find(|(_, id, _)| *id == server).map_or(0, |&(_, _, start)| start)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Turns> {
        // What a panicking turn left is still a state of the wheel.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a server may fall behind or get ahead.
const FARTHEST: i64 = 1_000_000;

fn common_divisor(a: u8, b: u8) -> u8 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

//! One way to the partner: whether it works, what it loses, how long it takes.

use std::time::{Duration, Instant};

use super::heartbeat::Echo;
use super::words::PathId;

/// What is known of a path.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub id: PathId,
    /// The highest sequence that came in on it, and when.
    heard: Option<(u64, Instant)>,
    /// The last heartbeats, the newest in the lowest bit: one where it came.
    seen: u64,
    /// How many of those bits mean something.
    span: u32,
    pub round_trip: Option<Duration>,
    pub lost: bool,
}

impl Path {
    pub fn new(id: PathId) -> Self {
        Self { id, heard: None, seen: 0, span: 0, round_trip: None, lost: false }
    }

    /// Takes a heartbeat in. Whether it is newer than all before; only those prove that the path works now.
    pub fn hear(&mut self, sequence: u64, now: Instant) -> bool {
        let Some((newest, _)) = self.heard else {
            (self.seen, self.span) = (1, 1);
            self.heard = Some((sequence, now));
            return true;
        };
        if sequence <= newest {
            // Overtaken by another on its way: late, but not lost.
            self.seen |= bit(newest - sequence);
            return false;
        }
        let ahead = sequence - newest;
        self.seen = u32::try_from(ahead).ok().and_then(|by| self.seen.checked_shl(by)).unwrap_or(0) | 1;
        self.span = u32::try_from(ahead).unwrap_or(WINDOW).saturating_add(self.span).min(WINDOW);
        self.heard = Some((sequence, now));
        true
    }

    /// The partner starts to count anew.
    pub fn restart(&mut self) {
        self.heard = None;
    }

    pub fn heard_at(&self) -> Option<Instant> {
        self.heard.map(|(_, at)| at)
    }

    pub fn echo(&self, now: Instant) -> Option<Echo> {
        let (sequence, at) = self.heard?;
        Some(Echo { sequence, age: now.saturating_duration_since(at) })
    }

    /// Of a thousand heartbeats, by the last ones that should have come.
    pub fn loss_permille(&self) -> u32 {
        let came = self.seen.count_ones().min(self.span);
        (self.span - came) * 1000 / self.span.max(1)
    }
}

/// Heartbeats that loss is measured over.
const WINDOW: u32 = u64::BITS;

fn bit(back: u64) -> u64 {
    u32::try_from(back).ok().and_then(|by| 1_u64.checked_shl(by)).unwrap_or(0)
}

/// When the last heartbeats were sent, so that an echo can be turned into a time.
#[derive(Clone, Debug)]
pub(super) struct Sent([Option<(u64, Instant)>; SENT]);

/// An echo is one round trip old; with the shortest interval this covers a third of a second.
const SENT: usize = 32;

impl Sent {
    pub fn new() -> Self {
        Self([None; SENT])
    }

    pub fn note(&mut self, sequence: u64, now: Instant) {
        if let Some(slot) = self.0.get_mut(slot_of(sequence)) {
            *slot = Some((sequence, now));
        }
    }

    pub fn at(&self, sequence: u64) -> Option<Instant> {
        let (noted, at) = self.0.get(slot_of(sequence)).copied().flatten()?;
        (noted == sequence).then_some(at)
    }
}

fn slot_of(sequence: u64) -> usize {
    (sequence % SENT as u64) as usize
}

//! The other dispatcher, as far as it was heard.

use std::collections::VecDeque;
use std::time::Instant;

use super::heartbeat::Heartbeat;
use super::words::BootId;

/// What is known of the partner.
#[derive(Clone, Debug, Default)]
pub(super) struct Partner {
    pub boot: Option<BootId>,
    /// Lives of the partner that have ended. What still arrives from them is nobody's word.
    ended: VecDeque<BootId>,
    sequence: u64,
    /// Its newest heartbeat.
    pub word: Option<Heartbeat>,
    /// When it was last heard on any path.
    pub heard: Option<Instant>,
    /// When the newest of our heartbeats was sent that it has heard.
    pub hears: Option<Instant>,
}

/// What a heartbeat is to us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    /// The newest word of a partner that was known.
    News,
    /// The first word of a life of the partner.
    Introduction,
    /// Older than what is known, or the same on another path.
    Old,
    /// From a life that has ended.
    Ghost,
}

/// Lives remembered. A partner that crashes in a loop lives some seconds each time, and no network keeps a packet that long.
const ENDED: usize = 8;

impl Partner {
    /// Judges a heartbeat and keeps it if it is news.
    pub fn hear(&mut self, heartbeat: &Heartbeat) -> Told {
        if self.ended.contains(&heartbeat.boot) {
            return Told::Ghost;
        }
        let told = match self.boot {
            Some(boot) if boot == heartbeat.boot && heartbeat.sequence <= self.sequence => return Told::Old,
            Some(boot) if boot == heartbeat.boot => Told::News,
            Some(boot) => {
                self.end(boot);
                Told::Introduction
            }
            None => Told::Introduction,
        };
        self.boot = Some(heartbeat.boot);
        self.sequence = heartbeat.sequence;
        self.word = Some(*heartbeat);
        told
    }

    /// Trusts nothing that was heard, except the order of what is to come.
    pub fn forget(&mut self) {
        self.word = None;
        self.heard = None;
        self.hears = None;
    }

    fn end(&mut self, boot: BootId) {
        if self.ended.len() == ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(boot);
        self.hears = None;
    }
}

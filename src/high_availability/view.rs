//! What the dispatcher as a whole knows at a moment, for each of its groups to look at; and what comes of that.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::event::{Action, Notice, Reason};
use super::heartbeat::{GroupWord, Health, Heartbeat};
use super::words::{GroupId, NodeId, Recovery};
use crate::model::Timings;

/// The dispatcher at a moment.
pub(super) struct View<'a> {
    pub now: Instant,
    pub node: NodeId,
    pub timings: Timings,
    /// The longer of both dispatchers' dead times.
    pub dead: Duration,
    /// Born or late a moment ago: takes nothing.
    pub listening: bool,
    /// Nothing was heard on any path for the dead time.
    pub silent: bool,
    /// The partner's newest word is recent enough to build on.
    pub fresh: bool,
    /// The partner has not heard us for the dead time.
    pub unheard: bool,
    pub fault: Option<Reason>,
    pub recovery: Recovery,
    /// Recovery is `auto` on both, and the tables are in sync.
    pub may_recover: bool,
    pub hold: Duration,
    pub health: Health,
    /// The partner's newest word, however old.
    pub word: Option<&'a Heartbeat>,
}

impl View<'_> {
    /// The partner's word about a group.
    pub fn theirs(&self, group: GroupId) -> Option<&GroupWord> {
        self.word.and_then(|word| word.group(group))
    }

    /// In strictly better health than the partner.
    pub fn better(&self) -> bool {
        self.word.is_some_and(|word| self.health.strictly_better_than(&word.health))
    }

    /// In strictly worse health than the partner.
    pub fn worse(&self) -> bool {
        self.word.is_some_and(|word| word.health.strictly_better_than(&self.health))
    }

    /// No reach here, and some at the partner by its last word.
    pub fn outreached(&self) -> bool {
        self.health.reach == 0 && self.word.is_some_and(|word| word.health.reach > 0)
    }

    /// The partner would be in fault if it had a group.
    pub fn partner_unfit(&self) -> bool {
        self.word.is_some_and(|word| word.health.no_carrier() || (word.health.reach == 0 && self.health.reach > 0))
    }
}

/// What comes of an event.
#[derive(Default)]
pub(super) struct Outcome {
    pub actions: VecDeque<Action>,
    /// The partner should hear of it at once.
    pub urgent: bool,
}

impl Outcome {
    pub fn notice(&mut self, notice: Notice) {
        self.actions.push_back(Action::Notice(notice));
    }
}

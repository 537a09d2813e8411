//! One group of clusters on this dispatcher: its state, and how states follow one another.
//!
//! ```text
//!              silence on all paths                nobody answers for the addresses
//!   Standby ───────────────────────────► Probing ──────────────────────────────────► Active
//!    ▲ ▲ │ ▲                                │                                          │ │
//!    │ │ │ └── partner heard, or somebody ──┘                                          │ │
//!    │ │ │     answers for the addresses                                               │ │
//!    │ │ └──── asked, and the partner yields; or the partner is in Fault ──────────►───┘ │
//!    │ └────── asked by the partner; higher epoch heard; loop late ────────────────◄─────┤
//!    └──────── fit again, listens ──────────────────────── Fault ◄── not fit ────────────┘ (from anywhere)
//! ```
//!
//! A group is claimed through one of three doors and no other: *silence* of the partner for its whole dead time and a last look,
//! the partner's *word* that it has yielded, or its word that it is in *fault*. Two who hear each other therefore need
//! an agreement, and two who do not are separated by the time that a claim outlives its last heartbeat.

use std::time::{Duration, Instant};

use super::damper::Damper;
use super::event::{Action, Change, Notice, Reason, Refusal};
use super::heartbeat::{Answer, GroupWord, Objection, Wish};
use super::view::{Outcome, View};
use super::words::{Epoch, GroupId, GroupState, Role};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Standby,
    /// `silent`: nobody answers for the addresses. `anyway`: although the partner is heard, because it settles nothing.
    Probing {
        until: Instant,
        silent: bool,
        anyway: bool,
    },
    Active {
        epoch: Epoch,
    },
    Fault,
}

impl State {
    pub fn name(self) -> GroupState {
        match self {
            Self::Standby => GroupState::Standby,
            Self::Probing { .. } => GroupState::Probing,
            Self::Active { .. } => GroupState::Active,
            Self::Fault => GroupState::Fault,
        }
    }
}

/// A wish that is being told to the partner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub wish: Wish,
    /// A later answer is not believed. It ends before the partner's promise does, so that nobody acts on an old one.
    pub until: Instant,
}

/// The partner's wish that was granted: we do not claim before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    pub wish: Wish,
    /// We claimed until then.
    pub served: bool,
    pub until: Instant,
}

/// The machine of one group.
pub(super) struct Group {
    pub id: GroupId,
    pub role: Role,
    pub state: State,
    /// The highest epoch that anybody has claimed with, or was promised.
    pub known: Epoch,
    /// The highest epoch that was asked for.
    pub asked: Epoch,
    pub ask: Option<Ask>,
    pub promise: Option<Promise>,
    pub refused: Option<(Epoch, Objection)>,
    /// When a takeover command has failed.
    pub command: Option<Instant>,
    /// Heartbeats of an active in a row that showed it in worse health than us.
    pub better: u32,
    /// No planned hand-over of our own choice before.
    pub retry: Option<Instant>,
    /// Since when neither has it, while both could talk about it.
    pub vacant: Option<Instant>,
    /// Since when we would be allowed to take it back, but for the hold.
    pub recovering: Option<Instant>,
    /// Somebody answered for the addresses: no other look before.
    pub held: Option<Instant>,
    /// Since when both claim and the partner cannot hear us.
    pub unheard: Option<Instant>,
    /// Both claim.
    pub conflict: bool,
    /// The partner was silent while we claimed: it may have claimed as well.
    pub unwatched: bool,
    /// Has served, or been the standby of one who does, in this life: it knows more than one who has just started.
    pub seasoned: bool,
    pub damper: Damper,
    /// The partner claimed it when it was last heard.
    pub theirs: bool,
    pub last: Option<(Change, Instant)>,
    /// The disk refused this epoch.
    pub unsaved: Option<Epoch>,
}

impl Group {
    pub fn new(id: GroupId, role: Role, persisted: Epoch) -> Self {
        Self {
            id,
            role,
            state: State::Standby,
            known: persisted,
            asked: persisted,
            ask: None,
            promise: None,
            refused: None,
            command: None,
            better: 0,
            retry: None,
            vacant: None,
            recovering: None,
            held: None,
            unheard: None,
            conflict: false,
            unwatched: false,
            seasoned: false,
            damper: Damper::default(),
            theirs: false,
            last: None,
            unsaved: None,
        }
    }

    pub fn word(&self) -> GroupWord {
        let answer = match (self.promise, self.refused) {
            (Some(promise), _) => Some(Answer::Yielded { epoch: promise.wish.epoch, served: promise.served }),
            (None, Some((epoch, objection))) => Some(Answer::Refused { epoch, objection }),
            (None, None) => None,
        };
        let epoch = match self.state {
            State::Active { epoch } => epoch,
            State::Standby | State::Probing { .. } | State::Fault => self.known,
        };
        let wish = self.ask.map(|ask| ask.wish);
        GroupWord { group: self.id, state: self.state.name(), role: self.role, epoch, wish, answer }
    }

    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    /// Heartbeats follow each other quickly while something hangs on them.
    pub fn hurries(&self) -> bool {
        self.ask.is_some() || matches!(self.state, State::Probing { .. })
    }

    /// When it has to be looked at, apart from the usual rhythm.
    pub fn deadline(&self) -> Option<Instant> {
        let probing = match self.state {
            State::Probing { until, .. } => Some(until),
            State::Standby | State::Active { .. } | State::Fault => None,
        };
        let ends = [probing, self.ask.map(|ask| ask.until), self.promise.map(|promise| promise.until), self.command];
        ends.into_iter().flatten().min()
    }

    /// Claims the group, with an epoch that is above all that were known.
    pub fn activate(&mut self, epoch: Epoch, reason: Reason, view: &View<'_>, out: &mut Outcome) {
        self.known = epoch;
        self.seasoned = true;
        self.damper.note(view.now);
        self.ask = None;
        self.promise = None;
        self.refused = None;
        out.actions.push_back(Action::Claim { group: self.id, epoch });
        out.actions.push_back(Action::PersistEpoch { group: self.id, epoch });
        self.change(State::Active { epoch }, reason, view.now, out);
        if self.command.take().is_some() {
            out.notice(Notice::TakeoverDone { group: self.id });
        }
    }

    /// Leaves whatever it is doing. An active yields before anything else is said.
    pub fn step_down(&mut self, to: State, reason: Reason, now: Instant, out: &mut Outcome) {
        if self.is_active() {
            out.actions.push_back(Action::Yield { group: self.id });
            self.retry = Some(now + RETRY);
        }
        self.ask = None;
        self.refused = None;
        if self.state.name() != to.name() {
            self.change(to, reason, now, out);
        }
    }

    pub fn change(&mut self, to: State, reason: Reason, now: Instant, out: &mut Outcome) {
        let change = Change { group: self.id, from: self.state.name(), to: to.name(), reason, epoch: self.known };
        self.state = to;
        self.last = Some((change, now));
        self.better = 0;
        self.vacant = None;
        self.recovering = None;
        self.conflict = false;
        self.unwatched = false;
        self.unheard = None;
        out.urgent = true;
        out.notice(Notice::Changed(change));
    }

    /// A takeover command comes to nothing.
    pub fn refuse(&mut self, refusal: Refusal, out: &mut Outcome) {
        if self.command.take().is_some() {
            out.notice(Notice::TakeoverRefused { group: self.id, refusal });
        }
    }

    /// The next epoch of ours, above all that were claimed, promised or asked for.
    pub fn next_epoch(&self) -> Epoch {
        self.known.max(self.asked).next_for(self.role)
    }
}

/// After a planned hand-over that was refused, and after having yielded, before the next one of our own choice.
pub(super) const RETRY: Duration = Duration::from_secs(5);

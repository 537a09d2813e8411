//! The planned way of a group from one dispatcher to the other: asked for, yielded, taken.
//!
//! The standby asks with an epoch that was never asked for before. The active ceases to claim first, promises to stay so for a
//! dead time, and only then says so with that epoch. The standby believes such an answer for a lease from its first asking,
//! which is shorter than the promise. So whatever is lost, late or doubled on the way: at most one of the two claims. And when
//! either dies in the middle, the other one hears silence, which is a door of its own.

use std::time::{Duration, Instant};

use super::event::{Action, Misconfiguration, Notice, Reason, Refusal, TAKEOVER_LIMIT};
use super::group::{Ask, Group, Promise, RETRY, State};
use super::heartbeat::{Answer, Cause, GroupWord, Objection, Wish};
use super::view::{Outcome, View};
use super::words::{Epoch, GroupState, Recovery, Role};

/// Heartbeats in a row that must show the active in worse health.
const SURE: u32 = 2;
/// An operator hears the outcome a little before the limit, because a loop is never exactly on time.
const PATIENCE: Duration = TAKEOVER_LIMIT.saturating_sub(Duration::from_millis(100));

impl Group {
    pub fn begin_asking(&mut self, cause: Cause, view: &View<'_>, out: &mut Outcome) {
        let epoch = self.next_epoch();
        self.asked = epoch;
        // A long dead time makes a long lease; but who has not been answered for a second is better off with a new question.
        let until = view.now + view.timings.lease().min(TAKEOVER_LIMIT);
        self.ask = Some(Ask { wish: Wish { epoch, cause }, until });
        out.urgent = true;
    }

    /// An operator wants the group here.
    pub fn take_over(&mut self, view: &View<'_>, out: &mut Outcome) {
        let refusal = self.obstacle(view);
        if let Some(refusal) = refusal {
            return out.notice(Notice::TakeoverRefused { group: self.id, refusal });
        }
        self.command = Some(view.now + PATIENCE);
        self.held = None;
        // Nobody to ask. The operator's word stands for the reach, but not for the question on the link, whose answer would
        // be from somebody who serves: settling the silence, with a command pending, asks it.
        if !view.silent {
            self.begin_asking(Cause::Command, view, out);
        }
    }

    fn obstacle(&self, view: &View<'_>) -> Option<Refusal> {
        if self.is_active() {
            return Some(Refusal::AlreadyActive);
        }
        if self.command.is_some() {
            return Some(Refusal::AlreadyAsked);
        }
        if let Some(reason) = view.fault {
            return Some(Refusal::Unfit(reason));
        }
        if view.listening {
            return Some(Refusal::Listening);
        }
        if view.outreached() && !view.silent {
            return Some(Refusal::Unfit(Reason::NoReach));
        }
        self.misconfiguration(view).map(Refusal::Misconfigured)
    }

    fn misconfiguration(&self, view: &View<'_>) -> Option<Misconfiguration> {
        let same_role = view.theirs(self.id).is_some_and(|theirs| theirs.role == self.role);
        (same_role && !view.silent).then_some(Misconfiguration::SameRole(self.id))
    }

    /// The partner serves. Is there a reason to ask it for the group?
    pub fn settle_beside_active(&mut self, view: &View<'_>, out: &mut Outcome) {
        let waits = self.role == Role::Primary && view.may_recover && !view.worse();
        let since = waits.then(|| self.recovering.unwrap_or(view.now));
        self.recovering = since;
        if self.ask.is_some() {
            return;
        }
        if self.command.is_some() {
            return self.begin_asking(Cause::Command, view, out);
        }
        let rests = self.retry.is_some_and(|retry| view.now < retry) || self.damper.rests(view.now);
        if rests || self.promise.is_some() || view.outreached() || self.misconfiguration(view).is_some() {
            return;
        }
        let held = since.is_some_and(|since| view.now.saturating_duration_since(since) >= view.hold);
        if self.better >= SURE {
            self.begin_asking(Cause::Health, view, out);
        } else if held {
            self.begin_asking(Cause::Recovery, view, out);
        }
    }

    /// Takes in the partner's newest word about this group.
    pub fn hear(&mut self, theirs: &GroupWord, view: &View<'_>, out: &mut Outcome) {
        self.known = self.known.max(theirs.epoch);
        self.release_promise(theirs);
        self.note_theirs(theirs, view.now);
        match self.state {
            State::Active { epoch } if theirs.state == GroupState::Active => {
                self.hear_rival(epoch, theirs, view, out);
            }
            State::Active { epoch } => self.hear_standby(epoch, out),
            State::Probing { .. } | State::Standby | State::Fault => {}
        }
        let worse = theirs.state == GroupState::Active && view.better();
        self.better = if worse { self.better.saturating_add(1) } else { 0 };
        self.hear_wish(theirs, view, out);
        self.hear_answer(theirs, view, out);
    }

    fn note_theirs(&mut self, theirs: &GroupWord, now: Instant) {
        let active = theirs.state == GroupState::Active;
        if active && !std::mem::replace(&mut self.theirs, active) {
            self.damper.note(now);
        }
        self.theirs = active;
    }

    /// A partner that neither serves nor asks any more has given its attempt up, and never takes it up again.
    fn release_promise(&mut self, theirs: &GroupWord) {
        let asks = |promise: &Promise| theirs.wish.is_some_and(|wish| wish.epoch == promise.wish.epoch);
        self.promise = self.promise.filter(|promise| theirs.state != GroupState::Active && asks(promise));
    }

    /// Both claim. The higher epoch wins; of equal ones, which only two of the same role can have, the greater id.
    fn hear_rival(&mut self, epoch: Epoch, theirs: &GroupWord, view: &View<'_>, out: &mut Outcome) {
        let loses = theirs.epoch > epoch || (theirs.epoch == epoch && !self.outranks_partner(view));
        if !self.conflict {
            out.notice(Notice::Conflict { group: self.id, ours: epoch, theirs: theirs.epoch });
        }
        if loses {
            return self.step_down(State::Standby, Reason::HigherEpoch, view.now, out);
        }
        self.conflict = true;
        out.urgent = true;
        // The loser yields when it hears of our epoch. If it cannot hear us, it never will, and we are the only one who knows.
        let since = view.unheard.then(|| self.unheard.unwrap_or(view.now));
        self.unheard = since;
        if since.is_some_and(|since| view.now.saturating_duration_since(since) >= view.dead) {
            self.step_down(State::Standby, Reason::Unheard, view.now, out);
        }
    }

    fn hear_standby(&mut self, epoch: Epoch, out: &mut Outcome) {
        // A partner that was not heard for a while may have claimed meanwhile, and ceased when it heard us: by what it announced,
        // the clients ask it. The same when both are known to have claimed.
        if self.conflict || self.unwatched {
            self.end_conflict(out);
        }
        // Somebody claimed with a higher epoch and does so no longer. Ours has to be the highest, or else the next rival, who
        // knows only that one, could lose against the past.
        if self.known > epoch {
            let epoch = self.next_epoch();
            self.known = epoch;
            self.state = State::Active { epoch };
            out.actions.push_back(Action::Claim { group: self.id, epoch });
            out.actions.push_back(Action::PersistEpoch { group: self.id, epoch });
            out.urgent = true;
        }
    }

    fn hear_wish(&mut self, theirs: &GroupWord, view: &View<'_>, out: &mut Outcome) {
        let Some(wish) = theirs.wish else {
            self.refused = None;
            return;
        };
        // Said before, and perhaps lost; or a wish from the past, which our word about the present answers.
        out.urgent = true;
        let answered = self.promise.is_some_and(|promise| promise.wish.epoch == wish.epoch);
        if answered || wish.epoch <= self.known {
            return;
        }
        if self.ask.is_some() && self.outranks_partner(view) {
            return;
        }
        if self.is_active() {
            self.refused = self.objection(wish.cause, view).map(|objection| (wish.epoch, objection));
            if self.refused.is_some() || wish.cause == Cause::Vacant {
                return;
            }
        }
        self.grant(wish, view, out);
    }

    fn grant(&mut self, wish: Wish, view: &View<'_>, out: &mut Outcome) {
        let served = self.is_active();
        if !matches!(self.state, State::Fault) {
            self.step_down(State::Standby, Reason::Yielded(wish.cause), view.now, out);
        }
        self.refuse(Refusal::PartnerTakes, out);
        self.ask = None;
        self.refused = None;
        self.known = wish.epoch;
        self.promise = Some(Promise { wish, served, until: view.now + view.dead });
    }

    /// What an active has against letting the group go.
    fn objection(&self, cause: Cause, view: &View<'_>) -> Option<Objection> {
        let same_role = self.misconfiguration(view).is_some();
        let planned = matches!(cause, Cause::Recovery | Cause::Health);
        match cause {
            Cause::Vacant => None,
            _ if same_role => Some(Objection::SameRole),
            _ if view.partner_unfit() => Some(Objection::AskerUnfit),
            _ if planned && self.damper.rests(view.now) => Some(Objection::Damped),
            Cause::Recovery if view.recovery == Recovery::Manual => Some(Objection::ManualRecovery),
            Cause::Health if !view.worse() => Some(Objection::NotBetter),
            Cause::Command | Cause::Recovery | Cause::Health => None,
        }
    }

    fn hear_answer(&mut self, theirs: &GroupWord, view: &View<'_>, out: &mut Outcome) {
        let Some(ask) = self.ask else { return };
        let own = |epoch: Epoch| epoch == ask.wish.epoch;
        match theirs.answer {
            Some(Answer::Yielded { epoch, served }) if own(epoch) && theirs.state != GroupState::Active => {
                let fit = view.fault.is_none() && !view.listening && !view.outreached();
                if fit && view.now < ask.until {
                    // What nobody claimed was not handed over, whatever we had asked for it.
                    let cause = if served { ask.wish.cause } else { Cause::Vacant };
                    self.activate(epoch, Reason::Granted(cause), view, out);
                }
            }
            Some(Answer::Refused { epoch, objection }) if own(epoch) => {
                self.ask = None;
                self.retry = Some(view.now + RETRY);
                self.refuse(Refusal::Partner(objection), out);
            }
            // Our question is about a past that the partner is beyond. The next one knows better.
            _ if theirs.epoch >= ask.wish.epoch => self.ask = None,
            _ => {}
        }
    }
}

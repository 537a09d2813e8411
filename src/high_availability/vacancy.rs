//! How a group is come by without the partner's consent, and what follows from the time alone.

use std::time::Instant;

use super::event::{Action, Notice, Reason, Refusal};
use super::group::{Group, RETRY, State};
use super::heartbeat::Cause;
use super::view::{Outcome, View};
use super::words::{GroupState, Role};

/// Dead times that the lower in rank leaves the higher one to ask first.
const COURTESY: u32 = 2;
/// Dead times without anybody becoming active, although both are heard, before one of them helps itself.
const DEADLOCK: u32 = 4;

impl Group {
    /// Looks at what the time and the dispatcher's view bring. Called after every event.
    pub fn settle(&mut self, view: &View<'_>, out: &mut Outcome) {
        self.expire(view.now, out);
        match self.state {
            State::Active { .. } => self.settle_active(view, out),
            State::Probing { until, silent, anyway } => self.settle_probing(until, silent, anyway, view, out),
            State::Standby if view.listening => self.lose_count(),
            State::Standby if view.silent => self.settle_silence(view, out),
            State::Standby => self.settle_standby(view, out),
            State::Fault => {}
        }
    }

    fn expire(&mut self, now: Instant, out: &mut Outcome) {
        self.promise = self.promise.filter(|promise| now < promise.until);
        if self.command.is_some_and(|limit| now >= limit) {
            self.refuse(Refusal::NoAnswer, out);
            self.ask = self.ask.filter(|ask| ask.wish.cause != Cause::Command);
        }
        if let Some(ask) = self.ask.filter(|ask| now >= ask.until) {
            self.ask = None;
            if matches!(ask.wish.cause, Cause::Recovery | Cause::Health) {
                self.retry = Some(now + RETRY);
            }
        }
    }

    fn settle_active(&mut self, view: &View<'_>, out: &mut Outcome) {
        if !view.silent {
            return;
        }
        // The rival's last announcement may be younger than ours, and it will not tell us any more that it has ceased.
        if self.conflict {
            self.end_conflict(out);
        }
        self.unwatched = true;
    }

    pub fn end_conflict(&mut self, out: &mut Outcome) {
        self.conflict = false;
        self.unwatched = false;
        self.unheard = None;
        out.actions.push_back(Action::Announce { group: self.id });
    }

    /// What was waited for in the company of the partner begins anew.
    fn lose_count(&mut self) {
        self.vacant = None;
        self.recovering = None;
        self.better = 0;
    }

    /// Silence. What was asked is not answered any more; what was promised to the partner still holds.
    fn settle_silence(&mut self, view: &View<'_>, out: &mut Outcome) {
        self.ask = None;
        self.lose_count();
        let held = self.held.is_some_and(|until| view.now < until);
        // A dispatcher that reaches nothing is more likely the one that is cut off. An operator may know better.
        let cut_off = view.outreached() && self.command.is_none();
        if self.promise.is_none() && !held && !cut_off {
            self.begin_probing(false, Reason::Silence, view, out);
        }
    }

    pub fn begin_probing(&mut self, anyway: bool, reason: Reason, view: &View<'_>, out: &mut Outcome) {
        let until = view.now + view.timings.probing();
        self.ask = None;
        self.held = None;
        self.change(State::Probing { until, silent: false, anyway }, reason, view.now, out);
        out.actions.push_back(Action::ProbeAddresses { group: self.id });
    }

    fn settle_probing(&mut self, until: Instant, silent: bool, anyway: bool, view: &View<'_>, out: &mut Outcome) {
        let settled = view.theirs(self.id).is_some_and(|theirs| theirs.state == GroupState::Active);
        if !view.silent && (settled || !anyway) {
            return self.step_down(State::Standby, Reason::PartnerHeard, view.now, out);
        }
        if view.now < until {
            return;
        }
        // The room that asks on the link has not come back with a word. It gets as much time again, and no more: an address
        // nobody answers for is the commoner case, and every moment of it is an outage.
        let last = until + view.timings.probing();
        if !silent && view.now < last {
            self.state = State::Probing { until: last, silent: true, anyway };
            return;
        }
        self.activate(self.next_epoch(), if anyway { Reason::Unanswered } else { Reason::Silence }, view, out);
    }

    /// Somebody answers for the addresses: heartbeats do not get through, but somebody is alive.
    pub fn address_answered(&mut self, view: &View<'_>, out: &mut Outcome) {
        if !matches!(self.state, State::Probing { .. }) {
            return;
        }
        self.step_down(State::Standby, Reason::AddressAnswered, view.now, out);
        self.held = Some(view.now + view.dead);
        out.notice(Notice::AddressAnswered { group: self.id });
        self.refuse(Refusal::AddressAnswered, out);
    }

    pub fn address_silent(&mut self) {
        if let State::Probing { silent, .. } = &mut self.state {
            *silent = true;
        }
    }

    /// The partner is heard, and we could serve.
    fn settle_standby(&mut self, view: &View<'_>, out: &mut Outcome) {
        // Somebody is heard, but has not said anything yet: a copy of a heartbeat from before we stopped to trust.
        let Some(word) = view.word else { return };
        match word.group(self.id).map(|theirs| theirs.state) {
            Some(GroupState::Active) => {
                self.vacant = None;
                self.seasoned = true;
                self.settle_beside_active(view, out);
            }
            // A partner in fault listens for a dead time before it can claim anything, so its word is as good as a promise,
            // while the word is fresh. One that does not have the group never claims it.
            Some(GroupState::Fault) | None => {
                let may = view.fresh && self.promise.is_none() && !view.outreached();
                if may {
                    self.activate(self.next_epoch(), Reason::PartnerFault, view, out);
                }
            }
            Some(GroupState::Standby | GroupState::Probing) => self.settle_vacancy(view, out),
        }
    }

    /// Neither has it. One of the two asks and the other one consents, so that they never start side by side.
    fn settle_vacancy(&mut self, view: &View<'_>, out: &mut Outcome) {
        self.recovering = None;
        let since = *self.vacant.get_or_insert(view.now);
        let waited = view.now.saturating_duration_since(since);
        if self.promise.is_some() || view.outreached() {
            return;
        }
        if waited >= view.dead * DEADLOCK {
            return self.begin_probing(true, Reason::Unanswered, view, out);
        }
        let courteous = self.leaves_it_to_partner(view) && waited < view.dead * COURTESY;
        if self.ask.is_none() && !courteous {
            self.begin_asking(Cause::Vacant, view, out);
        }
    }

    /// Whether the partner should ask first. Two who start together: the primary. One that knows the connections does not
    /// wait for one that has just started.
    fn leaves_it_to_partner(&self, view: &View<'_>) -> bool {
        let starting = view.word.is_some_and(|word| word.listening);
        let outranked = !self.outranks_partner(view);
        outranked && !view.better() && !(starting && self.seasoned)
    }

    /// Who goes first when nothing else decides.
    pub fn outranks_partner(&self, view: &View<'_>) -> bool {
        match (self.role, view.theirs(self.id).map(|theirs| theirs.role)) {
            (Role::Primary, Some(Role::Backup)) => true,
            (Role::Backup, Some(Role::Primary)) => false,
            _ => view.word.is_none_or(|word| view.node > word.node),
        }
    }
}

//! The properties themselves, judged after each step.

use tsuji::high_availability::*;

use crate::mutant::Mutant;
use crate::storm::Mode;
use crate::time::{MS, SECOND, nanos};
use crate::world::World;

/// Actions that one event may cause: a heartbeat for each path, and a handful for each group.
const MOST_ACTIONS: usize = MOST_PATHS + 12 * MOST_GROUPS + 8;

impl World {
    /// Somebody begins to claim.
    pub fn judge_claim(&mut self, side: usize, group: usize, epoch: Epoch) {
        self.checks.totals.claims += 1;
        self.judge_epoch(side, group, epoch);
        let renewed = self.nodes[side].claimed[group].is_some();
        if !renewed {
            self.judge_contact(side, group);
            self.judge_link(side, group);
            self.judge_listening(side);
            self.judge_reach(side);
        }
    }

    /// S3: at most one of the two claims with an epoch.
    fn judge_epoch(&mut self, side: usize, group: usize, epoch: Epoch) {
        let owner = *self.checks.claimed.entry((group, epoch)).or_insert(side);
        if owner != side {
            self.checks.fail("S3", format!("both claimed group {group} with {epoch:?}"));
        }
    }

    /// S1, at the door: nobody begins to claim who was told within the dead time, by the newest heartbeat it took in, that the
    /// partner claims.
    ///
    /// The list says: never both while *any* path delivers. A path that delivers only one way lets nobody agree, so what is
    /// demanded is what each can know: this at the door, and [`World::judge_both`] for those who claim already.
    fn judge_contact(&mut self, side: usize, group: usize) {
        let told = self.checks.told[side];
        let ago = self.now - told.at;
        if told.active[group].is_some() && ago < nanos(self.timings.dead()) * 99 / 100 {
            self.checks
                .fail("S1", format!("{side} claims group {group}, though told {ago} ns ago that the partner does"));
        }
    }

    /// S1, on the LAN: nobody begins to claim beside one who has answered for the addresses there for a while. The while is
    /// what lies between the question and the claim.
    fn judge_link(&mut self, side: usize, group: usize) {
        let other = &self.nodes[1 - side];
        let long = nanos(self.timings.probing()) * 2 + 5 * MS;
        let since = other.answers_since.max(self.nodes[side].answers_since);
        let there = other.runs() && other.attached && self.nodes[side].attached;
        let asked = self.checks.told[side].active[group].is_none();
        if there && asked && other.claims(group, self.now, self.lease()) && self.now - since > long {
            self.checks.fail("S1", format!("{side} claims group {group} beside one who answers for it"));
        }
    }

    /// S4: nobody claims within a dead time after a stop that outlasted its lease.
    fn judge_listening(&mut self, side: usize) {
        let now = self.nodes[side].clock.read(self.now);
        let floor = self.checks.floor[side];
        if floor.is_some_and(|floor| now < floor + self.timings.dead()) {
            self.checks.fail("S4", format!("{side} claims too soon after it was stopped"));
        }
    }

    /// S8: nobody claims without reach who was told within the dead time that the partner has some.
    fn judge_reach(&mut self, side: usize) {
        let told = self.checks.told[side];
        let node = &self.nodes[side];
        let knows = node.pair.as_ref().is_some_and(|pair| pair.report(node.clock.read(self.now)).health.reach == 0);
        if knows && told.reach > 0 && self.now - told.at < nanos(self.timings.dead()) * 99 / 100 {
            self.checks.fail("S8", format!("{side} claims without reach"));
        }
    }

    pub fn noticed(&mut self, side: usize, notice: Notice) {
        match notice {
            Notice::Changed(change) => self.judge_change(side, change),
            _ if self.mutant == Mutant::NeverAnswers => {}
            Notice::TakeoverDone { group } => {
                self.checks.totals.takeovers_done += 1;
                self.checks.commands[side][usize::from(group.0)] = None;
            }
            Notice::TakeoverRefused { group, refusal } => {
                self.checks.totals.takeovers_refused += 1;
                if refusal != Refusal::AlreadyAsked {
                    self.checks.commands[side][usize::from(group.0)] = None;
                }
            }
            Notice::Conflict { .. } => self.checks.totals.conflicts += 1,
            _ => {}
        }
    }

    fn judge_change(&mut self, side: usize, change: Change) {
        *self.checks.reasons.entry(change.reason).or_default() += 1;
        if change.from != GroupState::Active && change.to != GroupState::Active {
            return;
        }
        self.checks.totals.changes += 1;
        let group = usize::from(change.group.0);
        if change.to == GroupState::Active {
            self.judge_damping(side, change);
            self.checks.known_claims[side][group].push_back(self.now);
        }
        self.judge_recovery(side, change);
        let planned = matches!(change.reason, Reason::Granted(Cause::Recovery) | Reason::Yielded(Cause::Recovery));
        self.checks.taken_back[group] += u32::from(planned);
        if self.checks.settled && (!planned || self.checks.taken_back[group] > 2) {
            self.checks.fail("L2", format!("{side} changed when all was well: {change:?}"));
        }
    }

    /// L3: when either of the two knows of three claims of a group within 60 s, none follows that is of somebody's own choice
    /// (health, recovery).
    ///
    /// The list says: never more than three changes. But a group that nobody claims is worse than one that moves, an operator
    /// is obeyed, and who is outvoted or stopped has no choice.
    fn judge_damping(&mut self, side: usize, change: Change) {
        let group = usize::from(change.group.0);
        let chosen = matches!(change.reason, Reason::Granted(Cause::Health | Cause::Recovery));
        let known = [0, 1].map(|side| self.checks.recent(side, group, self.now)).into_iter().max().unwrap_or(0);
        if chosen && known >= 3 {
            self.checks.fail("L3", format!("{side} chose the claim after {known} in a minute: {change:?}"));
        }
    }

    /// S7: a group is taken back by itself only when both have recovery `auto`, and after having been in sync for the hold.
    fn judge_recovery(&mut self, side: usize, change: Change) {
        if change.reason != Reason::Granted(Cause::Recovery) {
            return;
        }
        if self.nodes[side].recovery == Recovery::Manual {
            self.checks.fail("S7", format!("{side} took its group back, though recovery is manual"));
        }
        let hold = nanos(Settings::HOLD) * 99 / 100;
        if self.checks.in_sync[side].is_none_or(|since| self.now - since < hold) {
            self.checks.fail("S7", format!("{side} took its group back before it was in sync for the hold"));
        }
    }

    /// After each event that a machine has taken in.
    pub fn handled(&mut self, side: usize, news: bool, actions: usize) {
        self.checks.totals.events += 1;
        // S10: what one event causes is bounded, whatever it is.
        if actions > MOST_ACTIONS {
            self.checks.fail("S10", format!("{actions} actions at once"));
        }
        for group in 0..self.groups {
            self.judge_word(side, group);
            if news {
                self.judge_loser(side, group);
                self.note_contact(side, group);
            }
        }
    }

    /// S6: what the machine says of its claims is what its actions said. (That an active announces within 50 ms and again every
    /// 30 s is the business of the room that answers ARP; here a claim is announced as it begins.)
    fn judge_word(&mut self, side: usize, group: usize) {
        let node = &self.nodes[side];
        let Some(pair) = &node.pair else { return };
        let says = pair.claims(GroupId(group as u8), node.clock.read(self.now));
        if self.mutant == Mutant::None && says != node.claimed[group].is_some() {
            self.checks.fail("S6", format!("{side} and its actions disagree about group {group}"));
        }
    }

    /// S1, for those who claim already: who has taken in a heartbeat with a higher epoch does not claim any more.
    fn judge_loser(&mut self, side: usize, group: usize) {
        let Some(theirs) = self.checks.told[side].active[group] else { return };
        let own = self.nodes[side].claimed[group];
        if own.is_some_and(|own| own < theirs) {
            self.checks.fail("S1", format!("{side} claims group {group} on, though it was told of {theirs:?}"));
        }
    }

    /// While both claim: how long has this side heard the other?
    fn note_contact(&mut self, side: usize, group: usize) {
        let Some(since) = self.checks.both[group] else {
            self.checks.contact[side][group] = None;
            return;
        };
        let gap = nanos(self.timings.dead());
        let contact = &mut self.checks.contact[side][group];
        let first = contact
            .filter(|(first, last)| self.now - last < gap && *first >= since)
            .map_or(self.now, |(first, _)| first);
        *contact = Some((first, self.now));
        // S1, with one direction cut: the only one who can know gives way. It takes a dead time to be sure that it is not
        // heard, and another one until then in which it was heard last.
        if self.now - first > gap * 3 {
            self.checks
                .fail("S1", format!("both claim group {group}, and {side} has known it for {} ns", self.now - first));
        }
    }

    /// After each step.
    pub fn watch(&mut self) {
        for group in 0..self.groups {
            self.judge_both(group);
        }
        self.judge_commands();
        self.judge_service();
    }

    /// S2: with stops and crashes alone, never both. With frozen machines: until the one that comes back has heard the other,
    /// which takes an interval. (The list says zero for both; but a frozen clock tells nobody how late it is.)
    fn judge_both(&mut self, group: usize) {
        let lease = self.lease();
        let both = self.nodes.iter().all(|node| node.claims(group, self.now, lease));
        let since = if both { Some(self.checks.both[group].unwrap_or(self.now)) } else { None };
        self.checks.both[group] = since;
        let Some(since) = since else { return };
        let lasted = self.now - since;
        self.checks.totals.longest_both = self.checks.totals.longest_both.max(lasted);
        let allowed = match self.checks.mode {
            Mode::StopsAndCrashes | Mode::Quiet => 0,
            Mode::Freezes => nanos(self.timings.interval()) + 5 * MS,
            Mode::All | Mode::Loss => return,
        };
        if lasted > allowed || allowed == 0 {
            self.checks.fail("S2", format!("both claim group {group} for {lasted} ns"));
        }
    }

    /// L4: a takeover command ends within a second, in one way or the other.
    fn judge_commands(&mut self) {
        for side in 0..2 {
            for group in 0..self.groups {
                if self.checks.commands[side][group].is_some_and(|since| self.now - since > SECOND) {
                    self.checks.fail("L4", format!("a takeover of group {group} on {side} has no outcome"));
                }
            }
        }
    }

    /// L1: when nothing has gone wrong or well for a while, and one of the two could serve, no group is left unclaimed for two
    /// dead times. (The list says dead + 200 ms after anything; but who was just born listens three dead times, and targets are
    /// asked every two seconds. A planned hand-over leaves a group for as long as two messages take, or for a dead time
    /// when the taker dies.)
    fn judge_service(&mut self) {
        let quiet = self.now - self.storm.moved >= self.settling() && self.nodes.iter().any(|node| node.could_serve());
        let lease = self.lease();
        for group in 0..self.groups {
            let claimed = self.nodes.iter().any(|node| node.claims(group, self.now, lease));
            self.note_gap(group, claimed);
            let since = (!claimed && quiet).then(|| self.checks.vacant[group].unwrap_or(self.now));
            self.checks.vacant[group] = since;
            if since.is_some_and(|since| self.now - since > nanos(self.timings.dead()) * 2) {
                self.checks.fail("L1", format!("nobody claims group {group}"));
            }
        }
    }

    fn note_gap(&mut self, group: usize, claimed: bool) {
        let (since, longest) = self.checks.gap[group];
        let longest = longest.max(since.map_or(0, |since| self.now - since));
        self.checks.gap[group] = ((!claimed).then(|| since.unwrap_or(self.now)), longest);
    }

    /// L2: all is well for a while: exactly one claims each group, both know its epoch, the clients have its address.
    pub fn settled(&mut self) {
        let lease = self.lease();
        for group in 0..self.groups {
            let claims = [0, 1].map(|side| self.nodes[side].claims(group, self.now, lease));
            let epochs = [0, 1].map(|side| self.epoch_on(side, group));
            let owner = usize::from(claims[1]);
            if claims[0] == claims[1] || epochs[0] != epochs[1] {
                self.checks.fail("L2", format!("group {group} has not settled: {claims:?}, {epochs:?}"));
            } else if self.lan.owner[group] != Some(owner) {
                self.checks
                    .fail("L2", format!("{owner} claims group {group}, and the clients ask {:?}", self.lan.owner));
            }
        }
        self.checks.settled = self.checks.violation.is_none();
        self.checks.taken_back = [0; MOST_GROUPS];
    }

    fn epoch_on(&self, side: usize, group: usize) -> Option<Epoch> {
        let node = &self.nodes[side];
        let report = node.pair.as_ref()?.report(node.clock.read(self.now));
        report.groups.get(group).map(|group| group.epoch)
    }
}

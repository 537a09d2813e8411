//! The machine as a whole: what comes in, what is due, when to be called again.

use std::time::{Duration, Instant};

use super::event::{Action, Event, Misconfiguration, Notice, Reason, Refusal};
use super::group::{Group, State};
use super::heartbeat::{Health, Sync};
use super::partner::Partner;
use super::path::{Path, Sent};
use super::settings::{Settings, SettingsError};
use super::view::{Outcome, View};
use super::words::{BootId, Epoch, GroupId, PathId, Recovery};
use crate::model::Timings;

/// One dispatcher's half of the pair. Its memory is bounded by its settings: whatever the partner says replaces what it said.
pub struct Pair {
    pub(super) settings: Settings,
    pub(super) boot: BootId,
    pub(super) groups: Vec<Group>,
    pub(super) paths: Vec<Path>,
    pub(super) partner: Partner,
    pub(super) health: Health,
    pub(super) sync: Sync,
    pub(super) listening: Option<Listening>,
    /// Silence is counted from here when the partner was not heard since.
    baseline: Instant,
    /// When the last heartbeat was sent: the lease of every claim runs from here.
    pub(super) spoke: Instant,
    pub(super) speak_at: Instant,
    pub(super) sequence: u64,
    /// Shorter times that hold until the partner has heard a later heartbeat than this: so long it may take over as early as
    /// they let it.
    pub(super) former: Option<(Timings, u64)>,
    pub(super) sent: Sent,
    /// Heartbeats of the partner in a row that told of reach while there was none here.
    pub(super) outreached: u32,
    pub(super) fault: Option<Reason>,
    pub(super) misconfigured: Vec<Misconfiguration>,
    pub(super) out: Outcome,
    /// The time of the last event.
    pub(super) now: Instant,
}

/// The time in which a dispatcher takes nothing, because somebody may serve of whom it does not know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    pub since: Instant,
    /// Dead times, if nobody is heard. With somebody heard one is enough.
    pub patience: u32,
}

/// After a start the partner may be starting too, and its link, and the switch between.
const PATIENCE_AT_BIRTH: u32 = 3;
const PATIENCE_LATER: u32 = 1;

/// The lease of who has no partner to keep it from.
const ALONE: Duration = Duration::from_secs(24 * 60 * 60);

impl Pair {
    /// A dispatcher that starts: standby, listening. `boot` was drawn at random for this life, `persisted` are the epochs on
    /// the disk; a group without one starts from zero.
    pub fn new(
        settings: Settings,
        boot: BootId,
        persisted: &[(GroupId, Epoch)],
        now: Instant,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        let epoch =
            |id: GroupId| persisted.iter().find(|(group, _)| *group == id).map_or(Epoch(0), |(_, epoch)| *epoch);
        let groups = settings.groups.iter().map(|&(id, role)| Group::new(id, role, epoch(id))).collect();
        let paths = settings.paths.iter().map(|id| Path::new(*id)).collect();
        Ok(Self {
            settings,
            boot,
            groups,
            paths,
            partner: Partner::default(),
            health: Health::UNTRACKED,
            sync: Sync::default(),
            listening: Some(Listening { since: now, patience: PATIENCE_AT_BIRTH }),
            baseline: now,
            spoke: now,
            speak_at: now,
            sequence: 0,
            former: None,
            sent: Sent::new(),
            outreached: 0,
            fault: None,
            misconfigured: Vec::new(),
            out: Outcome::default(),
            now,
        })
    }

    /// Takes an event in. Time must not run backwards; if it does, nothing becomes due.
    pub fn handle(&mut self, event: Event, now: Instant) {
        self.catch_up(now);
        self.now = now;
        self.apply(event, now);
        self.judge_health(now);
        self.settle(now);
        if self.out.urgent || now >= self.speak_at {
            self.speak(now);
        }
    }

    /// The next thing to be done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.actions.pop_front()
    }

    /// When to be called at the latest. Always in the future of the last event.
    pub fn next_deadline(&self) -> Instant {
        let groups = self.groups.iter().filter_map(Group::deadline);
        let silence = self.last_sign() + self.dead();
        let listening = self.listening.map(|listening| self.listening_ends(listening));
        let ends = groups.chain([silence]).chain(listening).filter(|at| *at > self.now);
        ends.fold(self.speak_at, Instant::min)
    }

    /// Whether this dispatcher may answer for the group's addresses at this time. A claim outlives the last heartbeat by a lease
    /// and no longer; who answers questions asks here each time, or as often as it looks at the clock.
    pub fn claims(&self, group: GroupId, now: Instant) -> bool {
        self.claimed_until(group).is_some_and(|until| now <= until)
    }

    /// Until when [`Pair::claims`] holds unless another heartbeat is sent; `None`: it does not hold.
    pub fn claimed_until(&self, group: GroupId) -> Option<Instant> {
        let active = self.groups.iter().any(|own| own.id == group && own.is_active());
        // Without a partner a late answer is better than none, and there is always one more day.
        let lease = if self.paths.is_empty() { ALONE } else { self.timings().lease() };
        active.then(|| self.spoke + lease)
    }

    fn is_late(&self, now: Instant) -> bool {
        // Without a partner nobody takes over, and a late answer is better than none.
        !self.paths.is_empty() && now.saturating_duration_since(self.spoke) > self.timings().lease()
    }

    /// This process did not run for longer than its lease: the partner may be active by now, and whatever is in our queues
    /// is old. Yields before anything else, trusts nothing it knew, and listens.
    fn catch_up(&mut self, now: Instant) {
        if !self.is_late(now) {
            return;
        }
        for group in &mut self.groups {
            let to = if group.state == State::Fault { State::Fault } else { State::Standby };
            group.step_down(to, Reason::LoopLate, now, &mut self.out);
            group.promise = None;
            group.refuse(Refusal::Listening, &mut self.out);
        }
        self.out.notice(Notice::LoopLate { by: now.saturating_duration_since(self.spoke) });
        self.partner.forget();
        self.listen(now);
    }

    fn apply(&mut self, event: Event, now: Instant) {
        match event {
            Event::Tick => {}
            Event::Heard { path, heartbeat } => self.hear(path, &heartbeat, now),
            Event::Health(health) => self.health = Health { on_time: self.health.on_time, ..health },
            Event::Synchronized { with, sync } if self.partner.boot == Some(with) => self.sync = sync,
            Event::Synchronized { .. } => {}
            Event::AddressAnswered { group } => {
                self.on_group(group, now, |own, view, out| own.address_answered(view, out))
            }
            Event::AddressSilent { group } => self.on_group(group, now, |own, _, _| own.address_silent()),
            Event::Takeover { group } => self.take_over(group, now),
            Event::Recovery(recovery) => self.choose(recovery),
            Event::EpochPersisted { group, epoch } => self.on_group(group, now, |own, _, _| own.saved(epoch)),
            Event::EpochNotPersisted { group, epoch } => {
                self.on_group(group, now, |own, _, out| own.not_saved(epoch, out));
            }
            Event::Settings(settings) => self.adopt(settings, now),
        }
    }

    fn take_over(&mut self, group: GroupId, now: Instant) {
        if self.groups.iter().any(|own| own.id == group) {
            self.on_group(group, now, |own, view, out| own.take_over(view, out));
        } else {
            self.out.notice(Notice::TakeoverRefused { group, refusal: Refusal::UnknownGroup });
        }
    }

    fn choose(&mut self, recovery: Recovery) {
        self.settings.recovery = recovery;
        self.out.urgent = true;
        self.compare();
    }

    /// New settings. Groups and paths that stay keep what they know; a new group starts in standby.
    fn adopt(&mut self, settings: Settings, now: Instant) {
        if let Err(error) = settings.check() {
            return self.out.notice(Notice::SettingsRefused(error));
        }
        let stays = |group: &Group| settings.groups.iter().any(|(id, _)| *id == group.id);
        for group in self.groups.iter_mut().filter(|group| !stays(group)) {
            group.refuse(Refusal::UnknownGroup, &mut self.out);
            group.step_down(State::Standby, Reason::Removed, now, &mut self.out);
        }
        self.groups.retain(stays);
        for &(id, role) in &settings.groups {
            match self.groups.iter_mut().find(|group| group.id == id) {
                Some(group) => group.role = role,
                None => self.groups.push(Group::new(id, role, Epoch(0))),
            }
        }
        let kept = |id: &PathId| self.paths.iter().find(|path| path.id == *id).cloned();
        self.paths = settings.paths.iter().map(|id| kept(id).unwrap_or_else(|| Path::new(*id))).collect();
        let present = self.timings();
        let longer = settings.timings.dead() > present.dead();
        self.former = longer.then_some((present, self.sequence));
        self.settings = settings;
        self.out.urgent = true;
        self.compare();
    }

    /// Whether this dispatcher is fit to serve. When it becomes fit again it listens: others may have taken its place.
    fn judge_health(&mut self, now: Instant) {
        let fault = self.unfitness(now);
        if fault == self.fault {
            return;
        }
        let was = std::mem::replace(&mut self.fault, fault);
        let to = if fault.is_some() { State::Fault } else { State::Standby };
        for group in &mut self.groups {
            if let Some(reason) = fault {
                group.refuse(Refusal::Unfit(reason), &mut self.out);
            }
            group.step_down(to, fault.unwrap_or(Reason::Fit), now, &mut self.out);
        }
        if was.is_some() && fault.is_none() {
            self.listen(now);
        }
    }

    /// What makes this dispatcher unfit. A partner who is heard and no better off is no reason to move.
    fn unfitness(&self, now: Instant) -> Option<Reason> {
        let partner = self.partner.word.filter(|_| !self.is_silent(now)).map(|word| word.health);
        if self.health.no_carrier() && !partner.is_some_and(|theirs| theirs.no_carrier()) {
            return Some(Reason::NoCarrier);
        }
        let outreached = self.health.reach == 0 && partner.is_some_and(|theirs| theirs.reach > 0);
        // Both look at their targets at different moments: one word may only mean that the partner has not looked yet.
        (outreached && self.outreached >= SURE_OF_REACH).then_some(Reason::NoReach)
    }

    fn settle(&mut self, now: Instant) {
        if self.listening.is_some_and(|listening| now >= self.listening_ends(listening)) {
            self.listening = None;
        }
        self.note_lost_paths(now);
        let mut groups = std::mem::take(&mut self.groups);
        let mut out = std::mem::take(&mut self.out);
        let view = self.view(now);
        groups.iter_mut().for_each(|group| group.settle(&view, &mut out));
        (self.groups, self.out) = (groups, out);
    }

    pub(super) fn on_group(
        &mut self,
        id: GroupId,
        now: Instant,
        act: impl FnOnce(&mut Group, &View<'_>, &mut Outcome),
    ) {
        let mut groups = std::mem::take(&mut self.groups);
        let mut out = std::mem::take(&mut self.out);
        let view = self.view(now);
        if let Some(group) = groups.iter_mut().find(|group| group.id == id) {
            act(group, &view, &mut out);
        }
        (self.groups, self.out) = (groups, out);
    }

    pub(super) fn view(&self, now: Instant) -> View<'_> {
        let dead = self.dead();
        let word = self.partner.word.as_ref();
        let within =
            |at: Option<Instant>, time: Duration| at.is_some_and(|at| now.saturating_duration_since(at) < time);
        let both_auto =
            self.settings.recovery == Recovery::Auto && word.is_some_and(|word| word.recovery == Recovery::Auto);
        View {
            now,
            node: self.settings.node,
            timings: self.timings(),
            dead,
            listening: self.listening.is_some(),
            silent: self.is_silent(now),
            fresh: within(self.partner.heard, dead / 2),
            unheard: !within(self.partner.hears, dead),
            fault: self.fault,
            recovery: self.settings.recovery,
            may_recover: both_auto && self.sync.in_sync,
            hold: self.settings.hold,
            health: self.health,
            word,
        }
    }

    /// What this dispatcher keeps to. What it tells, and waits for, are the times of its settings.
    pub(super) fn timings(&self) -> Timings {
        self.former.map_or(self.settings.timings, |(former, _)| former)
    }

    fn listen(&mut self, now: Instant) {
        let patience = self.listening.map_or(PATIENCE_LATER, |listening| listening.patience);
        self.listening = Some(Listening { since: now, patience });
        self.baseline = now;
    }

    fn listening_ends(&self, listening: Listening) -> Instant {
        let heard = self.partner.heard.is_some_and(|heard| heard >= listening.since);
        listening.since + self.dead() * if heard { 1 } else { listening.patience }
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_sign()) >= self.dead()
    }

    fn last_sign(&self) -> Instant {
        self.partner.heard.map_or(self.baseline, |heard| heard.max(self.baseline))
    }

    /// The longer patience of the two counts: who has the shorter one must not take over within the other's lease.
    pub(super) fn dead(&self) -> Duration {
        let theirs = self.partner.word.map_or(Duration::ZERO, |word| word.dead.min(Timings::MOST_DEAD));
        self.settings.timings.dead().max(theirs)
    }
}

/// Words of the partner in a row that tell of reach, before no reach here is a fault.
const SURE_OF_REACH: u32 = 2;

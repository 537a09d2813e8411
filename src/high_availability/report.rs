//! What an operator sees of the pair.

use std::time::{Duration, Instant};

use super::event::{Change, Misconfiguration, Reason};
use super::group::{Group, State};
use super::heartbeat::{Configuration, Health, Sync};
use super::pair::Pair;
use super::words::{BootId, Epoch, GroupId, GroupState, NodeId, PathId, Recovery, Role};

/// This dispatcher's half of the pair at a moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    pub node: NodeId,
    pub recovery: Recovery,
    pub health: Health,
    pub sync: Sync,
    pub groups: Vec<GroupReport>,
    pub paths: Vec<PathReport>,
    /// `None`: nothing was heard since this dispatcher started or found itself late.
    pub partner: Option<PartnerReport>,
    /// Why this dispatcher is not fit.
    pub fault: Option<Reason>,
    pub misconfigured: Vec<Misconfiguration>,
}

/// One group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupReport {
    pub group: GroupId,
    pub role: Role,
    pub state: GroupState,
    pub sub_state: SubState,
    pub epoch: Epoch,
    /// What the partner says of it.
    pub partner: Option<GroupState>,
    /// The last change, and how long ago it was.
    pub last: Option<(Change, Duration)>,
    /// It moves for nobody's choice but an operator's now.
    pub damped: bool,
    /// The epoch that could not be written to the disk.
    pub unsaved: Option<Epoch>,
}

/// What a group is doing in its state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SubState {
    /// Started or was late a moment ago, and takes nothing yet.
    Listening,
    /// A last look before it takes the place of a silent partner.
    Probing,
    /// Would take the place of a silent partner, but somebody answers for the addresses.
    AddressAnswered,
    /// Would take the place of a silent partner, but reaches nothing itself.
    NoReach,
    /// Asks the partner for the group.
    Asking,
    /// Has yielded to the partner and waits for it to begin.
    HandingOver,
    /// Neither of the two has it yet.
    Vacant,
    /// Standby, and the tables are not copied yet.
    Synchronizing,
    /// Standby, and could take over with nothing lost.
    Synchronized,
    /// Serves, and the partner is heard.
    Serving,
    /// Serves, and there is nobody to take over.
    ServingAlone,
    /// Serves, and so does the partner.
    Conflict,
    /// Serves on the strength of a lease that has run out: it will yield when it next runs.
    LeaseOver,
    /// Not fit.
    Unfit,
}

/// One path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PathReport {
    pub path: PathId,
    /// How long ago the last heartbeat came.
    pub heard: Option<Duration>,
    /// It was heard before and is silent.
    pub lost: bool,
    /// Of the last 64 heartbeats, in thousandths.
    pub loss_permille: u32,
    /// There and back, without the time that the partner took.
    pub round_trip: Option<Duration>,
}

/// The partner by its newest word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PartnerReport {
    pub node: NodeId,
    pub boot: BootId,
    /// Silent on all paths for the dead time.
    pub silent: bool,
    /// It hears us.
    pub hears_us: bool,
    pub listening: bool,
    pub health: Health,
    pub recovery: Recovery,
    pub sync: Sync,
    pub configuration: Configuration,
    pub version: u16,
}

impl Pair {
    /// Everything that an operator may want to know.
    pub fn report(&self, now: Instant) -> Report {
        Report {
            node: self.settings.node,
            recovery: self.settings.recovery,
            health: self.health,
            sync: self.sync,
            groups: self.groups.iter().map(|group| self.group_report(group, now)).collect(),
            paths: self.path_reports(now),
            partner: self.partner_report(now),
            fault: self.fault,
            misconfigured: self.misconfigured.clone(),
        }
    }

    fn group_report(&self, group: &Group, now: Instant) -> GroupReport {
        let word = group.word();
        GroupReport {
            group: group.id,
            role: group.role,
            state: word.state,
            sub_state: self.sub_state(group, now),
            epoch: word.epoch,
            partner: self.partner.word.and_then(|word| word.group(group.id).map(|theirs| theirs.state)),
            last: group.last.map(|(change, at)| (change, now.saturating_duration_since(at))),
            damped: group.damper.rests(now),
            unsaved: group.unsaved,
        }
    }

    fn sub_state(&self, group: &Group, now: Instant) -> SubState {
        match group.state {
            State::Fault => SubState::Unfit,
            State::Probing { .. } => SubState::Probing,
            State::Active { .. } if !self.claims(group.id, now) => SubState::LeaseOver,
            State::Active { .. } if group.conflict => SubState::Conflict,
            State::Active { .. } if self.partner.word.is_none() || self.is_silent(now) => SubState::ServingAlone,
            State::Active { .. } => SubState::Serving,
            State::Standby => self.standby_sub_state(group, now),
        }
    }

    fn standby_sub_state(&self, group: &Group, now: Instant) -> SubState {
        let view = self.view(now);
        let held = group.held.is_some_and(|until| now < until);
        let beside_active = view.theirs(group.id).is_some_and(|theirs| theirs.state == GroupState::Active);
        let questions = [
            (view.listening, SubState::Listening),
            (group.promise.is_some(), SubState::HandingOver),
            (group.ask.is_some(), SubState::Asking),
            (view.silent && held, SubState::AddressAnswered),
            (view.silent && view.outreached(), SubState::NoReach),
            (view.silent || !beside_active, SubState::Vacant),
            (self.sync.in_sync, SubState::Synchronized),
        ];
        questions
            .into_iter()
            .find_map(|(holds, sub_state)| holds.then_some(sub_state))
            .unwrap_or(SubState::Synchronizing)
    }

    fn path_reports(&self, now: Instant) -> Vec<PathReport> {
        let report = |path: &super::path::Path| PathReport {
            path: path.id,
            heard: path.heard_at().map(|at| now.saturating_duration_since(at)),
            lost: path.lost,
            loss_permille: path.loss_permille(),
            round_trip: path.round_trip,
        };
        self.paths.iter().map(report).collect()
    }

    fn partner_report(&self, now: Instant) -> Option<PartnerReport> {
        let word = self.partner.word?;
        Some(PartnerReport {
            node: word.node,
            boot: word.boot,
            silent: self.is_silent(now),
            hears_us: !self.view(now).unheard,
            listening: word.listening,
            health: word.health,
            recovery: word.recovery,
            sync: word.sync,
            configuration: word.configuration,
            version: word.version,
        })
    }
}

//! What happens to a pair, and what it wants done.

use std::time::Duration;

use super::heartbeat::{Cause, Health, Heartbeat, Objection, Sync};
use super::settings::Settings;
use super::words::{BootId, Epoch, GroupId, GroupState, NodeId, PathId, Recovery};

/// What happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// A heartbeat came in; its sender is proven and it is no replay.
    Heard { path: PathId, heartbeat: Heartbeat },
    /// This dispatcher's own health, whenever it changes. Its `on_time` is overwritten: the machine knows better.
    Health(Health),
    /// Somebody on the link answers for an address of the group.
    AddressAnswered { group: GroupId },
    /// Nobody answered the probe.
    AddressSilent { group: GroupId },
    /// How far the tables are copied between this dispatcher and that life of the partner, whenever it changes. What is said of
    /// a life that has ended is too late and means nothing.
    Synchronized { with: BootId, sync: Sync },
    /// An operator wants the group here. Answered by [`Notice::TakeoverDone`] or [`Notice::TakeoverRefused`] within
    /// [`TAKEOVER_LIMIT`]. With no partner heard there is nobody to ask: the group is taken in the usual way, by a last look, but
    /// without regard to the reach.
    Takeover { group: GroupId },
    /// An operator chooses the way of recovery.
    Recovery(Recovery),
    /// An epoch is on the disk.
    EpochPersisted { group: GroupId, epoch: Epoch },
    /// An epoch could not be written.
    EpochNotPersisted { group: GroupId, epoch: Epoch },
    /// The configuration has changed: partner, paths, groups, roles, times.
    Settings(Settings),
}

/// An operator waits no longer for the outcome of a takeover.
pub const TAKEOVER_LIMIT: Duration = Duration::from_secs(1);

/// What is to be done, in this order.
#[expect(clippy::large_enum_variant, reason = "most actions are heartbeats, and there is never more than a handful")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    Send {
        path: PathId,
        heartbeat: Heartbeat,
    },
    /// Answer for the group's addresses from now on, and announce them. Said again with a higher epoch while it is
    /// claimed, it means nothing new to the link.
    Claim {
        group: GroupId,
        epoch: Epoch,
    },
    /// Do not answer any more.
    Yield {
        group: GroupId,
    },
    /// Announce the claimed addresses again: somebody else did in the meantime.
    Announce {
        group: GroupId,
    },
    /// Ask on the link whether anybody answers for the group's addresses. The answer is worth something for
    /// [`Timings::probing`](super::Timings::probing).
    ProbeAddresses {
        group: GroupId,
    },
    /// Write the epoch to the disk. Nothing waits for it.
    PersistEpoch {
        group: GroupId,
        epoch: Epoch,
    },
    /// The partner has a boot id that was not known: what it has and what we have are to be compared from the start.
    RequestSnapshot {
        boot: BootId,
    },
    Notice(Notice),
}

/// Somebody should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    Changed(Change),
    PathLost(PathId),
    PathBack(PathId),
    PartnerRestarted {
        boot: BootId,
    },
    /// Both claimed the group, with these epochs.
    Conflict {
        group: GroupId,
        ours: Epoch,
        theirs: Epoch,
    },
    /// The partner is silent on every path, and yet somebody answers for the group's addresses.
    AddressAnswered {
        group: GroupId,
    },
    TakeoverDone {
        group: GroupId,
    },
    TakeoverRefused {
        group: GroupId,
        refusal: Refusal,
    },
    SettingsRefused(super::SettingsError),
    Misconfigured(Misconfiguration),
    Mended(Misconfiguration),
    EpochNotPersisted {
        group: GroupId,
        epoch: Epoch,
    },
    /// This process did not run for so long.
    LoopLate {
        by: Duration,
    },
}

/// A group went from one state to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    pub group: GroupId,
    pub from: GroupState,
    pub to: GroupState,
    pub reason: Reason,
    /// The highest epoch known afterwards; what an active claims with.
    pub epoch: Epoch,
}

/// Why a group changed its state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// The partner fell silent on all paths.
    Silence,
    /// The partner was heard again.
    PartnerHeard,
    /// Somebody answers for the addresses.
    AddressAnswered,
    /// The partner let us have it.
    Granted(Cause),
    /// The partner was let have it.
    Yielded(Cause),
    /// The partner is heard, but for a while it neither claimed the group nor let us have it.
    Unanswered,
    /// The partner says that it is not fit.
    PartnerFault,
    /// The partner claims with a higher epoch.
    HigherEpoch,
    /// The partner claims too and cannot hear us, so only we can end it.
    Unheard,
    /// This process did not run for longer than its lease.
    LoopLate,
    /// No interface towards clients and servers has a carrier.
    NoCarrier,
    /// No reach target answers here, and some do at the partner.
    NoReach,
    /// What was wrong with this dispatcher is mended.
    Fit,
    /// The group is gone from the configuration.
    Removed,
}

/// Why a `takeover` came to nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    UnknownGroup,
    /// It is active here.
    AlreadyActive,
    /// An earlier command is still on its way.
    AlreadyAsked,
    /// This dispatcher has just started, or found itself late, and listens first.
    Listening,
    /// This dispatcher is not fit: see the reason.
    Unfit(Reason),
    Misconfigured(Misconfiguration),
    /// The active dispatcher said no.
    Partner(Objection),
    /// The partner takes the group itself.
    PartnerTakes,
    /// No answer in time.
    NoAnswer,
    /// No partner is heard, but somebody answers for the addresses.
    AddressAnswered,
}

/// What the two dispatchers should have the same, or different, and do not.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Misconfiguration {
    /// Both are the primary, or both the backup.
    SameRole(GroupId),
    /// One of the two does not have the group.
    GroupMissing(GroupId),
    SameNode(NodeId),
    OtherRecovery,
    OtherClusters,
    OtherVersion,
    OtherTimings,
}

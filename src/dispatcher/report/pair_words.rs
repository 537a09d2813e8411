//! What operators read for the words of the pair's machine.

use crate::dispatcher::event::{Notice, Severity};
use crate::dispatcher::pair::{PairPlan, path_id};
use crate::high_availability::{
    Cause, Change, GroupId, GroupState, Misconfiguration, Notice as PairNotice, Objection, PathId, Reason, Refusal,
    SubState,
};
use crate::model::PairRole;

pub fn sub_state(sub_state: SubState) -> &'static str {
    match sub_state {
        SubState::Listening => "listening",
        SubState::Probing => "probing",
        SubState::AddressAnswered => "address answered",
        SubState::NoReach => "no reach",
        SubState::Asking => "asking",
        SubState::HandingOver => "handing over",
        SubState::Vacant => "vacant",
        SubState::Synchronizing => "synchronizing",
        SubState::Synchronized => "synchronized",
        SubState::Serving => "serving",
        SubState::ServingAlone => "serving alone",
        SubState::Conflict => "conflict",
        SubState::LeaseOver => "lease over",
        SubState::Unfit => "not fit",
    }
}

pub fn reason(reason: Reason) -> String {
    let words = match reason {
        Reason::Granted(cause) => return format!("the partner let it go ({})", self::cause(cause)),
        Reason::Yielded(cause) => return format!("the partner was let have it ({})", self::cause(cause)),
        Reason::Silence => "the partner fell silent",
        Reason::PartnerHeard => "the partner was heard again",
        Reason::AddressAnswered => "somebody answers for the addresses",
        Reason::Unanswered => "the partner neither claimed it nor let it go",
        Reason::PartnerFault => "the partner is not fit",
        Reason::HigherEpoch => "the partner has the newer claim",
        Reason::Unheard => "the partner claims too and does not hear this dispatcher",
        Reason::LoopLate => "this process did not run for a while",
        Reason::NoCarrier => "no tracked interface has a carrier",
        Reason::NoReach => "no reach target answers here, and some do at the partner",
        Reason::Fit => "what was wrong here is mended",
        Reason::Removed => "it is no longer configured",
    };
    words.to_owned()
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Vacant => "nobody had it",
        Cause::Command => "takeover",
        Cause::Recovery => "recovery auto",
        Cause::Health => "better health",
    }
}

pub fn misconfiguration(fault: Misconfiguration) -> String {
    let words = match fault {
        Misconfiguration::SameRole(_) => "both dispatchers have the same role",
        Misconfiguration::GroupMissing(_) => "one of the two has role both, the other has not",
        Misconfiguration::SameNode(_) => "both dispatchers have the same `node`",
        Misconfiguration::OtherRecovery => "the partner has another recovery",
        Misconfiguration::OtherClusters => "the partner has other clusters",
        Misconfiguration::OtherVersion => "the partner runs another version",
        Misconfiguration::OtherTimings => "the partner has another hatimeout",
    };
    words.to_owned()
}

fn refusal(refusal: Refusal) -> String {
    let words = match refusal {
        Refusal::UnknownGroup => "it is no longer configured",
        Refusal::AlreadyActive => "it is active here",
        Refusal::AlreadyAsked => "an earlier takeover is still on its way",
        Refusal::Listening => "this dispatcher has just started and listens first; a moment later would be right",
        Refusal::Unfit(why) => return format!("this dispatcher is not fit: {}", reason(why)),
        Refusal::Misconfigured(fault) => return misconfiguration(fault),
        Refusal::Partner(objection) => return format!("the partner keeps it: {}", self::objection(objection)),
        Refusal::PartnerTakes => "the partner takes it itself",
        Refusal::NoAnswer => "the partner has not answered",
        Refusal::AddressAnswered => "no partner is heard, but somebody answers for the addresses",
    };
    words.to_owned()
}

fn objection(objection: Objection) -> &'static str {
    match objection {
        Objection::AskerUnfit => "this dispatcher could not serve",
        Objection::NotBetter => "this dispatcher is no better off",
        Objection::ManualRecovery => "its recovery is manual",
        Objection::Damped => "the clusters have moved too often of late",
        Objection::SameRole => "both dispatchers have the same role",
    }
}

/// Why a takeover came to nothing, for who asked for it.
pub fn not_taken_over(why: Refusal) -> String {
    format!("nothing was taken over: {}", refusal(why))
}

/// What happened to the pair, for the log and alerts.
pub fn pair_notice(notice: &PairNotice, plan: Option<&PairPlan<'_>>) -> Notice {
    let whose = |group: GroupId| {
        let found = plan.and_then(|plan| plan.groups().into_iter().find(|one| one.id == group));
        let host = plan.filter(|plan| plan.settings.role == PairRole::Both).and(found).and_then(|one| one.primary_host);
        host.map_or("the clusters".to_owned(), |host| format!("the clusters of primary {host}"))
    };
    let path = |id: PathId| {
        let found = plan.and_then(|plan| plan.settings.paths.iter().find(|path| path_id(path) == id));
        found.map_or("that is configured no longer".to_owned(), ToString::to_string)
    };
    let (severity, text) = match notice {
        PairNotice::Changed(change) => (changed(change), change_text(change, &whose(change.group))),
        PairNotice::PathLost(id) => (Severity::Warning, format!("the heartbeat {} is silent", path(*id))),
        PairNotice::PathBack(id) => (Severity::Info, format!("the heartbeat {} is heard again", path(*id))),
        PairNotice::PartnerRestarted { .. } => (Severity::Info, "the partner is heard; it began a new life".to_owned()),
        PairNotice::Conflict { group, ours, theirs } => (
            Severity::Alert,
            format!("both dispatchers claimed {}, with epoch {} here and {} there", whose(*group), ours.0, theirs.0),
        ),
        PairNotice::AddressAnswered { group } => (
            Severity::Alert,
            format!(
                "the partner is silent on every heartbeat, but somebody answers for the addresses of {}: nothing is taken over",
                whose(*group)
            ),
        ),
        PairNotice::TakeoverDone { group } => (Severity::Info, format!("takeover of {} is done", whose(*group))),
        PairNotice::TakeoverRefused { group, refusal: why } => {
            (Severity::Warning, format!("takeover of {} came to nothing: {}", whose(*group), refusal(*why)))
        }
        PairNotice::SettingsRefused(error) => (Severity::Alert, format!("the new settings are not in force: {error}")),
        PairNotice::Misconfigured(fault) => (Severity::Alert, misconfiguration(*fault)),
        PairNotice::Mended(fault) => (Severity::Info, format!("mended: {}", misconfiguration(*fault))),
        PairNotice::EpochNotPersisted { epoch, .. } => {
            (Severity::Warning, format!("epoch {} is not on the disk and will be forgotten with a restart", epoch.0))
        }
        PairNotice::LoopLate { by } => (
            Severity::Alert,
            format!("this process did not run for {} ms: whatever it claimed, it claims no longer", by.as_millis()),
        ),
    };
    Notice { severity, text: format!("pair: {text}") }
}

fn change_text(change: &Change, whose: &str) -> String {
    let Change { from, to, epoch, .. } = change;
    format!("{whose}: {from} -> {to}, epoch {}: {}", epoch.0, reason(change.reason))
}

/// Traffic that moves because something broke is somebody's business; a look that found nothing is nobody's.
fn changed(change: &Change) -> Severity {
    let moves = change.from == GroupState::Active || change.to == GroupState::Active;
    match change.reason {
        _ if change.to == GroupState::Fault => Severity::Alert,
        Reason::Granted(_) | Reason::Yielded(_) | Reason::Removed | Reason::Fit => Severity::Info,
        _ if moves => Severity::Alert,
        _ => Severity::Info,
    }
}

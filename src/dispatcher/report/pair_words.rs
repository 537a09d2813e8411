//! What operators read for the words of the pair's machine.

use crate::high_availability::{Cause, Misconfiguration, Reason, SubState};

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

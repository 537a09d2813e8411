//! Which script is due when a dispatcher of a pair changes its role: IBM's goActive, goStandby, goInOp, goIdle and
//! highavailChange.

use std::net::IpAddr;

use crate::high_availability::{Change, GroupState};
use crate::model::PairRole;

use super::AlertEvent;
use super::pair::PairPlan;
use super::report::pair_reason;

/// Everything that a script of a role is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleAlert {
    pub event: AlertEvent,
    /// The event before it, for `highavailChange`.
    pub after: Option<AlertEvent>,
    /// With role both: an address of the dispatcher whose clusters they are.
    pub primary_host: Option<IpAddr>,
    /// States as reports write them; empty where there is no pair.
    pub from: String,
    pub to: String,
    pub reason: String,
}

/// What is to be told of a change. A last look at a silent partner is no change of role.
pub fn role_alerts(change: &Change, plan: Option<&PairPlan<'_>>) -> Vec<RoleAlert> {
    let event = match (change.from, change.to) {
        (_, GroupState::Active) => AlertEvent::GoActive,
        (_, GroupState::Fault) => AlertEvent::GoInOp,
        (GroupState::Active | GroupState::Fault, GroupState::Standby) => AlertEvent::GoStandby,
        _ => return Vec::new(),
    };
    let mutual = plan.filter(|plan| plan.settings.role == PairRole::Both);
    let group = mutual.and_then(|plan| plan.groups().into_iter().find(|group| group.id == change.group));
    both(RoleAlert {
        event,
        after: None,
        primary_host: group.and_then(|group| group.primary_host),
        from: change.from.to_string(),
        to: change.to.to_string(),
        reason: pair_reason(change.reason),
    })
}

/// A dispatcher that serves without a partner: at its start, or because it has none any more.
pub fn idle_alerts() -> Vec<RoleAlert> {
    let (from, to, reason) = (String::new(), "idle".to_owned(), "there is no partner".to_owned());
    both(RoleAlert { event: AlertEvent::GoIdle, after: None, primary_host: None, from, to, reason })
}

/// A change of a role is told by its own script, and then by the one for all of them.
fn both(alert: RoleAlert) -> Vec<RoleAlert> {
    let general = RoleAlert { event: AlertEvent::HighavailChange, after: Some(alert.event), ..alert.clone() };
    vec![alert, general]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::high_availability::{Epoch, GroupId, Reason};

    #[test]
    fn each_change_of_role_has_its_script() {
        use AlertEvent::{GoActive, GoInOp, GoStandby, HighavailChange};
        use GroupState::{Active, Fault, Probing, Standby};
        let told = |from, to| {
            let change = Change { group: GroupId(0), from, to, reason: Reason::Silence, epoch: Epoch(2) };
            role_alerts(&change, None).into_iter().map(|alert| (alert.event, alert.after)).collect::<Vec<_>>()
        };
        let both = |event| vec![(event, None), (HighavailChange, Some(event))];
        let cases = [
            (Standby, Active, both(GoActive)),
            (Probing, Active, both(GoActive)),
            (Active, Standby, both(GoStandby)),
            (Active, Fault, both(GoInOp)),
            (Standby, Fault, both(GoInOp)),
            (Fault, Standby, both(GoStandby)),
            (Standby, Probing, Vec::new()),
            (Probing, Standby, Vec::new()),
        ];
        for (from, to, expected) in cases {
            assert_eq!(told(from, to), expected, "{from} -> {to}");
        }
    }
}

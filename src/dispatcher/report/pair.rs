//! `highavailability status`.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::Refusal;
use crate::control::reply::{
    Count, HeartbeatStatus, PairChange, PairGroupStatus, PairStatus, PartnerStatus, ReachStatus, SyncStatus,
};
use crate::high_availability::{Change, GroupReport, PartnerReport, PathReport};
use crate::model::HeartbeatPath;

use super::Look;
use super::pair_words::{misconfiguration, reason, sub_state};
use crate::dispatcher::pair::{NoPair, PairGroup, PairReading, path_id};

impl Look<'_> {
    pub(super) fn pair_status(&self) -> Result<PairStatus, Refusal> {
        let plan = self.heart.pair().ok_or_else(|| NoPair::NotConfigured.refusal())?;
        let reading = self.outside.pair.as_ref().ok_or_else(|| NoPair::NotRunning.refusal())?;
        let (settings, report) = (plan.settings, &reading.report);
        let group =
            |group: PairGroup| Some(group_status(&group, report.groups.iter().find(|one| one.group == group.id)?));
        let path = |path: &HeartbeatPath| heartbeat(path, report.paths.iter().find(|one| one.path == path_id(path)));
        Ok(PairStatus {
            role: settings.role.word().to_owned(),
            recovery: report.recovery.word().to_owned(),
            node: settings.node.as_ref().map(ToString::to_string),
            port: settings.port.get(),
            interval_seconds: settings.timings.interval().as_secs_f64(),
            timeout_seconds: settings.timings.dead().as_secs_f64(),
            groups: plan.groups().into_iter().filter_map(group).collect(),
            heartbeats: settings.paths.iter().map(path).collect(),
            reach: settings.reach.targets.iter().map(|target| reach(*target, reading)).collect(),
            partner: report.partner.as_ref().map(partner),
            fault: report.fault.map(reason),
            misconfigured: report.misconfigured.iter().map(|fault| misconfiguration(*fault)).collect(),
            sync: SyncStatus {
                in_sync: report.sync.in_sync,
                position: report.sync.position,
                lag_ms: milliseconds(report.sync.lag),
            },
            refused: reading
                .refused
                .iter()
                .map(|&(reason, count)| Count { reason: reason.to_owned(), count })
                .collect(),
            overrides: self.changes().to_only("highavailability"),
        })
    }
}

fn group_status(group: &PairGroup, report: &GroupReport) -> PairGroupStatus {
    PairGroupStatus {
        clusters: group.clusters.iter().map(ToString::to_string).collect(),
        primary_host: group.primary_host.map(|host| host.to_string()),
        state: report.state.to_string(),
        sub_state: sub_state(report.sub_state).to_owned(),
        epoch: report.epoch.0,
        partner_state: report.partner.map(|state| state.to_string()),
        last_change: report.last.map(|(last, ago)| change(&last, ago)),
        damped: report.damped,
        unsaved: report.unsaved.is_some(),
    }
}

fn change(change: &Change, ago: Duration) -> PairChange {
    PairChange {
        from: change.from.to_string(),
        to: change.to.to_string(),
        reason: reason(change.reason),
        seconds_ago: ago.as_secs_f64(),
    }
}

fn heartbeat(path: &HeartbeatPath, report: Option<&PathReport>) -> HeartbeatStatus {
    HeartbeatStatus {
        source: path.source.to_string(),
        destination: path.destination.to_string(),
        heard_seconds_ago: report.and_then(|report| report.heard).map(|ago| ago.as_secs_f64()),
        lost: report.is_some_and(|report| report.lost),
        loss_percent: report.map_or(0.0, |report| f64::from(report.loss_permille) / 10.0),
        round_trip_ms: report.and_then(|report| report.round_trip).map(milliseconds),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

fn reach(target: IpAddr, reading: &PairReading) -> ReachStatus {
    let answers = reading.reach.iter().find(|(address, _)| *address == target).map(|(_, answers)| *answers);
    ReachStatus { address: target.to_string(), reachable: answers }
}

fn partner(report: &PartnerReport) -> PartnerStatus {
    PartnerStatus {
        silent: report.silent,
        hears_us: report.hears_us,
        reach: report.health.reach,
        in_sync: report.sync.in_sync,
    }
}

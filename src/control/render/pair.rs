//! IBM's lists of the pair.

use super::dotted::Dotted;
use super::spelling::{Row, overrides, rate, row, span, yes_no};
use crate::control::reply::{
    Count, HeartbeatStatus, PairGroupStatus, PairStatus, PartnerStatus, ReachStatus, SyncStatus,
};

pub fn status(status: &PairStatus) -> String {
    let lists = [summary(status), heartbeats(&status.heartbeats), reach(&status.reach)];
    lists.map(|list| list.to_string()).join("\n")
}

fn summary(status: &PairStatus) -> Dotted {
    Dotted::new("High Availability Status")
        .row("Role", &status.role)
        .row("Recovery strategy", &status.recovery)
        .rows(status.groups.iter().flat_map(|group| self::group(group, status.groups.len() > 1)))
        .row("Port", status.port)
        .rows(status.heartbeats.first().map(|path| row("Preferred target", &path.destination)))
        .rows(status.node.iter().map(|node| row("Node", node)))
        .row("Interval (seconds)", status.interval_seconds)
        .row("Timeout (seconds)", status.timeout_seconds)
        .rows(partner(status.partner.as_ref()))
        .rows(status.fault.iter().map(|fault| row("Not fit", fault)))
        .rows(status.misconfigured.iter().map(|fault| row("Misconfigured", fault)))
        .rows([row("Copied here", copied(&status.sync))])
        .rows(refused(&status.refused))
        .rows(overrides(&status.overrides))
}

fn copied(sync: &SyncStatus) -> String {
    let SyncStatus { in_sync, position, lag_ms } = sync;
    let whole = if *in_sync { "all" } else { "not all" };
    format!("{whole}, {position} records so far, {lag_ms} ms behind")
}

fn refused(refused: &[Count]) -> Option<Row> {
    let counts: Vec<String> =
        refused.iter().filter(|one| one.count > 0).map(|one| format!("{} {}", one.reason, one.count)).collect();
    (!counts.is_empty()).then(|| row("Refused datagrams", counts.join(", ")))
}

/// With role both each row says whose it is, because there are two of each.
fn group(group: &PairGroupStatus, is_one_of_two: bool) -> Vec<Row> {
    let clusters = group.clusters.join(" ");
    let of = if is_one_of_two { format!(" of {}", clusters) } else { String::new() };
    let named = |label: &str, value: String| (format!("{label}{of}"), value);
    let mut rows = vec![named("State", capital(&group.state)), named("Sub-state", capital(&group.sub_state))];
    rows.extend(group.primary_host.iter().map(|host| named("Primary host", host.clone())));
    rows.extend(group.partner_state.iter().map(|state| named("Partner's state", capital(state))));
    rows.extend(group.last_change.iter().map(|change| {
        let ago = span(change.seconds_ago as u64);
        named("Last change", format!("{} to {}, {ago} ago: {}", change.from, change.to, change.reason))
    }));
    if group.damped {
        rows.push(named("Damped", "moved too often, moves for `takeover` only".to_owned()));
    }
    if group.unsaved {
        rows.push(named("Epoch", "could not be written to the disk".to_owned()));
    }
    rows
}

fn partner(partner: Option<&PartnerStatus>) -> Vec<Row> {
    let Some(partner) = partner else { return vec![row("Partner", "not heard yet")] };
    let heard = if partner.silent { "silent" } else { "heard" };
    vec![
        row("Partner", heard),
        row("Partner hears us", yes_no(partner.hears_us)),
        row("Partner reaches", partner.reach),
        row("Partner in sync", yes_no(partner.in_sync)),
    ]
}

fn heartbeats(paths: &[HeartbeatStatus]) -> Dotted {
    let rows = paths
        .iter()
        .map(|path| row("Source/destination", format!("{}/{} {}", path.source, path.destination, heard(path))));
    Dotted::new("Heartbeat Status").row("Count", paths.len()).rows(rows)
}

fn heard(path: &HeartbeatStatus) -> String {
    let Some(ago) = path.heard_seconds_ago else { return "never heard".to_owned() };
    let state = if path.lost { "lost" } else { "heard" };
    let round_trip = path.round_trip_ms.map_or(String::new(), |trip| format!(", round trip {trip} ms"));
    format!("{state} {} s ago, {} % lost{round_trip}", rate(ago), rate(path.loss_percent))
}

fn reach(targets: &[ReachStatus]) -> Dotted {
    let word = |target: &ReachStatus| match target.reachable {
        Some(true) => "reachable",
        Some(false) => "unreachable",
        None => "unknown",
    };
    let rows = targets.iter().map(|target| row("Address", format!("{} {}", target.address, word(target))));
    Dotted::new("Reachability Status").row("Count", targets.len()).rows(rows)
}

/// IBM begins the words of states with a capital.
fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

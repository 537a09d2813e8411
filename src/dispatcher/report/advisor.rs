//! Advisors.

use std::collections::HashMap;

use crate::advisor::Record;
use crate::config::Refusal;
use crate::control::reply::{AdvisorLine, AdvisorReport, AdvisorServer, AdvisorStatus};
use crate::control::{AdvisorSelection, Body};
use crate::model::{Advisor, AdvisorKey, AdvisorKind, AdvisorTimeout};

use super::Look;
use super::machinery;
use super::select::{ServerView, proposal};
use super::server::{address, whole_ms};

pub(super) fn version(selection: &AdvisorSelection) -> Body {
    match selection.kind {
        Some(kind) => machinery::version(&format!("advisor {}", kind.word())),
        None => machinery::version("advisor"),
    }
}

impl<'a> Look<'a> {
    pub(super) fn advisor_list(&self) -> Vec<AdvisorLine> {
        let line = |advisor: &Advisor| AdvisorLine {
            advisor: advisor.key.kind.word().to_owned(),
            scope: advisor.key.scope.to_string(),
            timeout_seconds: timeout_seconds(advisor),
        };
        self.heart.config().advisors.iter().map(line).collect()
    }

    pub(super) fn advisor_status(&self, selection: &AdvisorSelection) -> Result<Vec<AdvisorStatus>, Refusal> {
        Ok(self.advisors(selection)?.into_iter().map(|advisor| self.status_of_advisor(advisor)).collect())
    }

    fn status_of_advisor(&self, advisor: &Advisor) -> AdvisorStatus {
        AdvisorStatus {
            advisor: advisor.key.kind.word().to_owned(),
            scope: advisor.key.scope.to_string(),
            interval_seconds: advisor.interval.as_secs_f64(),
            timeout_seconds: timeout_seconds(advisor),
            connect_timeout_seconds: advisor.connecttimeout.as_secs_f64(),
            receive_timeout_seconds: advisor.receivetimeout.as_secs_f64(),
            retries: advisor.retries,
            verify: (advisor.key.kind == AdvisorKind::Https).then_some(advisor.verify),
            overrides: self.changes().to("advisor", &advisor.key),
        }
    }

    pub(super) fn advisor_report(&self, selection: &AdvisorSelection) -> Result<Vec<AdvisorReport>, Refusal> {
        let advisors = self.advisors(selection)?;
        let mut seen = self.seen_by(&advisors);
        let report = |advisor: &Advisor| AdvisorReport {
            advisor: advisor.key.kind.word().to_owned(),
            scope: advisor.key.scope.to_string(),
            servers: seen.remove(&advisor.key).unwrap_or_default(),
        };
        Ok(advisors.into_iter().map(report).collect())
    }

    /// The servers that each of these advisors looks at; one walk for all, since a large site has many of both.
    fn seen_by(&self, advisors: &[&'a Advisor]) -> HashMap<&'a AdvisorKey, Vec<AdvisorServer>> {
        let mut seen: HashMap<_, _> = advisors.iter().map(|advisor| (&advisor.key, (*advisor, Vec::new()))).collect();
        for server in self.all_ports().flat_map(|port| self.servers_of(port).collect::<Vec<_>>()) {
            for record in self.heart.advisors.records_of(server.state.id) {
                if let Some((advisor, servers)) = seen.get_mut(&record.advisor) {
                    servers.push(self.row(server, record, advisor));
                }
            }
        }
        seen.into_iter().map(|(key, (_, servers))| (key, servers)).collect()
    }

    fn row(&self, view: ServerView<'_>, record: &Record, advisor: &Advisor) -> AdvisorServer {
        let last = record.last();
        AdvisorServer {
            cluster: view.port.cluster.name.to_string(),
            port: view.port.state.key.port.get(),
            server: view.state.server.name.to_string(),
            address: address(view.state),
            load: self.load(record, advisor),
            health: self.measured(&record.state, record.since),
            last_seconds: last.map(|last| self.now.saturating_duration_since(last.at).as_secs_f64()),
            last_fault: last.and_then(|last| last.failure.as_ref()).map(ToString::to_string),
            failures: record.bad_in_row,
        }
    }

    fn load(&self, record: &Record, advisor: &Advisor) -> Option<i64> {
        match record.load(advisor.timeout, self.now) {
            Some(load) => Some(whole_ms(load)),
            None => (record.last().is_some() || record.state.is_down()).then_some(-1),
        }
    }

    fn advisors(&self, selection: &AdvisorSelection) -> Result<Vec<&'a Advisor>, Refusal> {
        let all = &self.heart.site.config.advisors;
        let chosen: Vec<&Advisor> = all.iter().filter(|advisor| selection.matches(&advisor.key)).collect();
        if !chosen.is_empty() {
            return Ok(chosen);
        }
        let there: Vec<String> = all.iter().map(|advisor| advisor.key.to_string()).collect();
        Err(Refusal::Refused(match wanted(selection) {
            Some(_) if there.is_empty() => NO_ADVISOR.to_owned(),
            Some(wanted) => format!("advisor `{wanted}` does not run; {}", proposal(&wanted, &there)),
            None => NO_ADVISOR.to_owned(),
        }))
    }
}

/// What was asked for, in words; `None`: anything.
fn wanted(selection: &AdvisorSelection) -> Option<String> {
    let kind = selection.kind?.word();
    Some(selection.scope.as_ref().map_or(kind.to_owned(), |scope| format!("{kind} {scope}")))
}

fn timeout_seconds(advisor: &Advisor) -> Option<f64> {
    match advisor.timeout {
        AdvisorTimeout::Unlimited => None,
        AdvisorTimeout::After(limit) => Some(limit.as_secs_f64()),
    }
}

const NO_ADVISOR: &str = "no advisor runs; `advisor start http 80` would start one";

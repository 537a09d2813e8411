//! Rules.

use crate::config::{Operand, Refusal};
use crate::control::reply::{RuleReport, RuleStatus};
use crate::executor::measured;
use crate::model::{Evaluate, RuleType};

use super::Look;
use super::select::{RuleView, is_usable};
use super::traffic::traffic;

impl<'a> Look<'a> {
    pub(super) fn rule_status(&self, operand: &Operand) -> Result<Vec<RuleStatus>, Refusal> {
        Ok(self.rules(operand)?.into_iter().map(|rule| self.status_of_rule(rule)).collect())
    }

    fn status_of_rule(&self, view: RuleView<'_>) -> RuleStatus {
        let (rule, port) = (view.rule, &view.port.state.key);
        let (begin_range, end_range) = range(&rule.kind).unzip();
        RuleStatus {
            cluster: view.port.cluster.name.to_string(),
            port: port.port.get(),
            rule: rule.name.to_string(),
            kind: rule.kind.word().to_owned(),
            begin_range,
            end_range,
            priority: rule.priority,
            evaluate: evaluate(&rule.kind).map(str::to_owned),
            servers: rule.servers.iter().map(ToString::to_string).collect(),
            overrides: self.changes().to("rule", &format!("{port}{}{}", port.separator(), rule.name)),
        }
    }

    pub(super) fn rule_report(&self, operand: &Operand) -> Result<Vec<RuleReport>, Refusal> {
        Ok(self.rules(operand)?.into_iter().map(|rule| self.report_of_rule(rule)).collect())
    }

    fn report_of_rule(&self, view: RuleView<'a>) -> RuleReport {
        let traffic = traffic(self.servers_of(view.port).map(|server| server.state));
        let members = view.entry.servers.iter().filter_map(|index| view.port.table.server(*index));
        RuleReport {
            cluster: view.port.cluster.name.to_string(),
            port: view.port.state.key.port.get(),
            rule: view.rule.name.to_string(),
            kind: view.rule.kind.word().to_owned(),
            priority: view.rule.priority,
            hits: view.entry.hits(),
            holds: self.holds(view),
            servers: view.rule.servers.len(),
            usable: members.filter(|server| is_usable(server)).count(),
            port_active: traffic.active,
            port_new_per_second: traffic.new_per_second,
        }
    }

    /// Whether its condition is true now, where that is the same for all clients.
    fn holds(&self, view: RuleView<'_>) -> Option<bool> {
        match &view.rule.kind {
            RuleType::True => Some(true),
            RuleType::Time(hours) => Some(hours.contains(self.outside.hour)),
            RuleType::Active { range, .. } | RuleType::Connection { range, .. } => {
                measured(view.port.table, view.entry).map(|value| range.contains(value))
            }
            RuleType::Ip(_) | RuleType::Content(_) => None,
        }
    }
}

fn range(kind: &RuleType) -> Option<(String, String)> {
    match kind {
        RuleType::True | RuleType::Content(_) => None,
        RuleType::Active { range, .. } | RuleType::Connection { range, .. } => {
            Some((range.begin.to_string(), range.end.to_string()))
        }
        RuleType::Ip(range) => Some((range.begin.to_string(), range.end.to_string())),
        RuleType::Time(range) => Some((range.begin.to_string(), range.end.to_string())),
    }
}

fn evaluate(kind: &RuleType) -> Option<&'static str> {
    match kind {
        RuleType::Active { evaluate, .. } | RuleType::Connection { evaluate, .. } => Some(match evaluate {
            Evaluate::Port => "port",
            Evaluate::Rule => "rule",
        }),
        RuleType::True | RuleType::Ip(_) | RuleType::Time(_) | RuleType::Content(_) => None,
    }
}

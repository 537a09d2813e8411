//! The steps of a decision in plain English.

use std::net::IpAddr;

use crate::executor::{Narrator, PortTable, RuleEntry, ServerEntry, ServerIndex, Step, Takes, measured};
use crate::model::{AdministrativeState, Evaluate, Health, RuleType, Weight};

use super::super::report::either;

/// Listens to a decision and writes a line per step.
pub(super) struct Notebook<'a> {
    port: &'a PortTable,
    client: IpAddr,
    hour: u8,
    lines: Vec<String>,
}

impl<'a> Notebook<'a> {
    pub fn new(port: &'a PortTable, client: IpAddr, hour: u8) -> Self {
        Self { port, client, hour, lines: Vec::new() }
    }

    pub fn note(&mut self, line: String) {
        self.lines.push(line);
    }

    pub fn note_some(&mut self, line: Option<String>) {
        self.lines.extend(line);
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines
    }

    fn line(&self, step: Step<'_>) -> String {
        match step {
            Step::NoSession => "the request carries no session".to_owned(),
            Step::SessionOfNobody => "the request carries a session that names none of these servers".to_owned(),
            Step::SessionNotUsable(server) => {
                format!(
                    "the request's session names {}, which may not take it: it is {}",
                    server.name,
                    standing(server)
                )
            }
            Step::SessionUsed(server) => match server.state {
                AdministrativeState::Quiesced => {
                    format!("the request's session names {}, which is quiesced and keeps its sessions", server.name)
                }
                _ => format!("the request's session names {}, which may take it", server.name),
            },
            Step::BackupChose(server) => {
                format!("no primary server is usable; the first usable backup is {}", server.name)
            }
            Step::AllBusy => "who may take it has as many requests as maxconnections allows".to_owned(),
            Step::MarkedChose(server) => {
                format!("the others are down or were tried, so {} is tried although it failed lately", server.name)
            }
            Step::NoAffinity => "the port has no affinity (its stickytime is 0)".to_owned(),
            Step::NoRecord => format!("there is no affinity record for {}", self.client),
            Step::RecordOfUnknownServer => {
                "the client's affinity record names a server that the port has no more".to_owned()
            }
            Step::RecordNotUsable(server) => {
                format!(
                    "the client's affinity record names {}, which may not take it: it is {}",
                    server.name,
                    standing(server)
                )
            }
            Step::RecordUsed(server) => record_used(server),
            Step::RuleNotTrue(rule) => format!("rule `{}` is not true: {}", rule.name, self.condition(rule)),
            Step::RuleWithoutUsableServer(rule) => {
                format!("{}, but none of its servers is usable: {}", self.truth(rule), self.standings(&rule.servers))
            }
            Step::RuleWithoutServers(rule) => format!("{}, and has no servers", self.truth(rule)),
            Step::RuleChose(rule, server) => {
                format!("{}: {}", self.truth(rule), self.turn(&rule.servers, server))
            }
            Step::NoRuleDecides if self.port.rules.is_empty() => "the port has no rules".to_owned(),
            Step::NoRuleDecides => "no rule decides, so all servers of the port are candidates".to_owned(),
            Step::RoundRobinChose(server) => self.turn(&self.everybody(), server),
            Step::NoneUsable => format!("no server of the port is usable: {}", self.standings(&self.everybody())),
            Step::FailOpenChose(server) => {
                format!("`failopen` is on and most servers are called down, so {} is tried all the same", server.name)
            }
            Step::SpreadChose(server) => format!("`all-down spread`: the next of them is {}", server.name),
            Step::Refused(_) => "`all-down refuse`: nobody is tried".to_owned(),
        }
    }

    fn truth(&self, rule: &RuleEntry) -> String {
        match &rule.kind {
            RuleType::True => format!("rule `{}` is true", rule.name),
            _ => format!("rule `{}` is true ({})", rule.name, self.condition(rule)),
        }
    }

    /// What the rule looks at, and its range.
    fn condition(&self, rule: &RuleEntry) -> String {
        let value = measured(self.port, rule).unwrap_or_default();
        match &rule.kind {
            RuleType::True => "always".to_owned(),
            RuleType::Content(pattern) => format!("its pattern is {pattern}"),
            RuleType::Active { range, evaluate } => {
                let connections = either(value, "active connection", "active connections");
                format!("{connections} on {}, its range is {} to {}", over(*evaluate), range.begin, range.end)
            }
            RuleType::Connection { range, evaluate } => {
                let connections = either(value, "new connection", "new connections");
                format!(
                    "{connections} per second on {}, its range is {} to {}",
                    over(*evaluate),
                    range.begin,
                    range.end
                )
            }
            RuleType::Ip(range) => {
                format!("the client is {}, its range is {} to {}", self.client, range.begin, range.end)
            }
            RuleType::Time(range) => {
                format!("it is {:02}:xx, its hours are from {:02}:00 to {:02}:00", self.hour, range.begin, range.end)
            }
        }
    }

    /// Whose turn it is among the candidates.
    fn turn(&self, members: &[ServerIndex], chosen: &ServerEntry) -> String {
        let servers = || self.servers(members);
        let takes_new = |server: &&ServerEntry| matches!(server.takes, Takes::New | Takes::FailOpen);
        let candidates: Vec<_> =
            servers().filter(takes_new).map(|server| format!("{} ({})", server.name, server.weight.get())).collect();
        let others: Vec<_> = servers()
            .filter(|server| !takes_new(server))
            .map(|server| format!("{} is {}", server.name, standing(server)))
            .collect();
        let among = match candidates.as_slice() {
            [_] => format!("{} is its only usable server", chosen.name),
            _ => format!("weighted round robin among {} comes to {}", shortened(&candidates), chosen.name),
        };
        if others.is_empty() { among } else { format!("{among}; {}", shortened(&others)) }
    }

    fn standings(&self, members: &[ServerIndex]) -> String {
        let standings: Vec<_> =
            self.servers(members).map(|server| format!("{} is {}", server.name, standing(server))).collect();
        shortened(&standings)
    }

    fn servers(&self, members: &[ServerIndex]) -> impl Iterator<Item = &'a ServerEntry> {
        members.iter().filter_map(|index| self.port.server(*index))
    }

    fn everybody(&self) -> Vec<ServerIndex> {
        (0..).map(ServerIndex).take(self.port.servers.len()).collect()
    }
}

impl Narrator for Notebook<'_> {
    fn step(&mut self, step: Step<'_>) {
        let line = self.line(step);
        self.note(line);
    }
}

fn record_used(server: &ServerEntry) -> String {
    match server.state {
        AdministrativeState::Quiesced => {
            format!("the client's affinity record names {}, which is quiesced and keeps its clients", server.name)
        }
        _ => format!("the client's affinity record names {}, which may take it", server.name),
    }
}

/// In one word or two; the operator's wish before what was measured.
fn standing(server: &ServerEntry) -> String {
    match (server.state, &server.health) {
        (AdministrativeState::Down, _) => "taken down by an operator".to_owned(),
        (AdministrativeState::QuiescedNow, _) => "quiesced now".to_owned(),
        (_, Health::Down(reason)) => format!("down ({reason})"),
        _ if server.address.is_none() => "unresolved".to_owned(),
        (AdministrativeState::Quiesced, _) => "quiesced".to_owned(),
        _ if server.weight == Weight::ZERO => "of weight 0".to_owned(),
        _ => "up".to_owned(),
    }
}

fn over(evaluate: Evaluate) -> &'static str {
    match evaluate {
        Evaluate::Port => "the port",
        Evaluate::Rule => "its own servers",
    }
}

/// A list for one line; the first few of many.
fn shortened(items: &[String]) -> String {
    let shown = items.iter().take(MOST_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(MOST_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Servers in one line.
const MOST_SHOWN: usize = 10;

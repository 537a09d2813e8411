//! The order in which a server is chosen, the same for every data path.

use std::net::IpAddr;
use std::time::Instant;

use std::sync::atomic::Ordering;

use crate::model::{AllDown, Evaluate, RuleType};

use super::affinity::Session;
use super::table::{PortTable, RuleEntry, ServerEntry, ServerIndex, Takes};
use super::{Affinity, Ring};

/// The time as decisions need it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Instant,
    /// Local hour, 0 to 23, for time rules.
    pub hour: u8,
}

/// A new connection, or a request that looks for a server.
pub struct Ask<'a> {
    pub client: IpAddr,
    /// What the client's connection remembers of its affinity.
    pub session: &'a mut Session,
    /// Servers that this request was already offered to.
    pub tried: &'a Tried,
    pub turn: Turn,
}

/// Whether the choice counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It moves the ring and is remembered.
    Take,
    /// It is only asked about (`dscontrol explain`): nothing moves, nothing is counted or remembered.
    Peek,
}

/// The servers that one request was offered to; seldom more than two, never more than the port's `retries + 1`.
#[derive(Clone, Debug, Default)]
pub struct Tried(Vec<ServerIndex>);

impl Tried {
    pub fn add(&mut self, server: ServerIndex) {
        self.0.push(server);
    }

    pub fn contains(&self, server: ServerIndex) -> bool {
        self.0.contains(&server)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a connection goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    Forward { server: ServerIndex, why: Why },
    Refuse(Refusal),
}

/// What chose the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The client was there last.
    Affinity,
    /// The rule at this place of [`PortTable::rules`].
    Rule(usize),
    /// Round robin over all servers of the port.
    AllServers,
    /// Nobody else was left, and fail-open sets the advisors' verdict aside.
    FailOpen,
    /// All are down, and the port spreads over them (`all-down spread`).
    Spread,
}

/// Why there is no server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The port has none.
    NoServers,
    /// The rule at this place is true and has no servers: it is there to refuse.
    EmptyRule(usize),
    /// None is usable, and the port refuses then (`all-down refuse`).
    AllDown,
    /// Each usable one was tried.
    AllTried,
}

/// One step of the way to a decision, for those who want to know why.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    NoAffinity,
    NoRecord,
    /// The record's server is gone from the port.
    RecordOfUnknownServer,
    /// The record's server may not take this client now.
    RecordNotUsable(&'a ServerEntry),
    RecordUsed(&'a ServerEntry),
    RuleNotTrue(&'a RuleEntry),
    /// True, but all its servers are down or were tried.
    RuleWithoutUsableServer(&'a RuleEntry),
    RuleWithoutServers(&'a RuleEntry),
    RuleChose(&'a RuleEntry, &'a ServerEntry),
    NoRuleDecides,
    RoundRobinChose(&'a ServerEntry),
    NoneUsable,
    FailOpenChose(&'a ServerEntry),
    SpreadChose(&'a ServerEntry),
    Refused(AllDown),
}

/// Listens to the steps.
pub trait Narrator {
    fn step(&mut self, step: Step<'_>);
}

/// Does not listen; costs nothing.
pub struct Silent;

impl Narrator for Silent {
    #[inline]
    fn step(&mut self, _: Step<'_>) {}
}

/// Chooses a server for a new connection or request.
///
/// Affinity comes before rules, rules in ascending priority before round robin over all servers, and the policy for "all
/// down" last. A server in `ask.tried` is never chosen.
pub fn decide(port: &PortTable, ask: &mut Ask<'_>, moment: Moment) -> Decision {
    decide_aloud(port, ask, moment, &mut Silent)
}

/// [`decide`], telling each step.
pub fn decide_aloud(port: &PortTable, ask: &mut Ask<'_>, moment: Moment, narrator: &mut impl Narrator) -> Decision {
    if port.servers.is_empty() {
        return Decision::Refuse(Refusal::NoServers);
    }
    let decision = by_affinity(port, ask, moment, narrator)
        .or_else(|| by_rules(port, ask, moment, narrator))
        .or_else(|| by_round_robin(port, ask, narrator))
        .unwrap_or_else(|| when_all_down(port, ask, narrator));
    if ask.turn == Turn::Take {
        note(port, ask, moment, decision);
    }
    decision
}

fn by_affinity(port: &PortTable, ask: &Ask<'_>, moment: Moment, narrator: &mut impl Narrator) -> Option<Decision> {
    let Some(affinity) = &port.affinity else {
        narrator.step(Step::NoAffinity);
        return None;
    };
    let Some(hash) = remembered(affinity, ask, moment) else {
        narrator.step(Step::NoRecord);
        return None;
    };
    let Some((index, server)) = port.server_by_hash(hash).and_then(|index| Some((index, port.server(index)?))) else {
        narrator.step(Step::RecordOfUnknownServer);
        return None;
    };
    // A quiesced server keeps its clients: that is the difference between "quiesce" and "quiesce now". A server that
    // advisors call down does not, whatever fail-open says: the client is better off with a new choice.
    if !matches!(server.takes, Takes::New | Takes::Affinity) || ask.tried.contains(index) {
        narrator.step(Step::RecordNotUsable(server));
        return None;
    }
    narrator.step(Step::RecordUsed(server));
    Some(Decision::Forward { server: index, why: Why::Affinity })
}

fn remembered(affinity: &Affinity, ask: &Ask<'_>, moment: Moment) -> Option<u64> {
    let known = ask.session.server_of(&affinity.slot, ask.client);
    known.or_else(|| affinity.table.server_of(&affinity.slot, ask.client, moment.now))
}

fn by_rules(port: &PortTable, ask: &Ask<'_>, moment: Moment, narrator: &mut impl Narrator) -> Option<Decision> {
    for (place, rule) in port.rules.iter().enumerate() {
        if !is_true(port, rule, ask.client, moment) {
            narrator.step(Step::RuleNotTrue(rule));
            continue;
        }
        if rule.servers.is_empty() {
            narrator.step(Step::RuleWithoutServers(rule));
            return Some(Decision::Refuse(Refusal::EmptyRule(place)));
        }
        let Some((index, server)) = choose(port, &rule.ring, ask) else {
            narrator.step(Step::RuleWithoutUsableServer(rule));
            continue;
        };
        narrator.step(Step::RuleChose(rule, server));
        return Some(Decision::Forward { server: index, why: Why::Rule(place) });
    }
    narrator.step(Step::NoRuleDecides);
    None
}

fn is_true(port: &PortTable, rule: &RuleEntry, client: IpAddr, moment: Moment) -> bool {
    match rule.kind {
        RuleType::True => true,
        RuleType::Ip(range) => range.contains(client.to_canonical()),
        RuleType::Time(range) => range.contains(moment.hour),
        RuleType::Active { range, .. } | RuleType::Connection { range, .. } => {
            measured(port, rule).is_some_and(|value| range.contains(value))
        }
    }
}

/// What the rule's condition measures, now: active connections, or connections per second. `None`: it measures nothing.
pub fn measured(port: &PortTable, rule: &RuleEntry) -> Option<u64> {
    match rule.kind {
        RuleType::Active { evaluate, .. } => Some(load(port, rule, evaluate, |server| server.counters.active())),
        RuleType::Connection { evaluate, .. } => Some(load(port, rule, evaluate, |server| server.counters.rate())),
        RuleType::True | RuleType::Ip(_) | RuleType::Time(_) => None,
    }
}

fn load(port: &PortTable, rule: &RuleEntry, evaluate: Evaluate, of: impl Fn(&ServerEntry) -> u64) -> u64 {
    match evaluate {
        Evaluate::Port => port.servers.iter().map(of).sum(),
        Evaluate::Rule => rule.servers.iter().filter_map(|&index| port.server(index)).map(of).sum(),
    }
}

/// Rules that are true but have no usable server do not stand in the way of the port's other servers: IBM calls such
/// a rule "not true", and a client is better served by any server than by none.
fn by_round_robin(port: &PortTable, ask: &Ask<'_>, narrator: &mut impl Narrator) -> Option<Decision> {
    let (index, server) = choose(port, &port.all, ask)?;
    narrator.step(Step::RoundRobinChose(server));
    Some(Decision::Forward { server: index, why: Why::AllServers })
}

fn when_all_down(port: &PortTable, ask: &Ask<'_>, narrator: &mut impl Narrator) -> Decision {
    narrator.step(Step::NoneUsable);
    if let Some((index, server)) = choose(port, &port.fail_open, ask) {
        narrator.step(Step::FailOpenChose(server));
        return Decision::Forward { server: index, why: Why::FailOpen };
    }
    if port.settings.all_down == AllDown::Spread
        && let Some((index, server)) = choose(port, &port.spread, ask)
    {
        narrator.step(Step::SpreadChose(server));
        return Decision::Forward { server: index, why: Why::Spread };
    }
    narrator.step(Step::Refused(port.settings.all_down));
    Decision::Refuse(if ask.tried.is_empty() { Refusal::AllDown } else { Refusal::AllTried })
}

fn choose<'a>(port: &'a PortTable, ring: &Ring, ask: &Ask<'_>) -> Option<(ServerIndex, &'a ServerEntry)> {
    let usable = |index| !ask.tried.contains(index);
    let index = match ask.turn {
        Turn::Take => ring.take(usable),
        Turn::Peek => ring.peek(usable),
    }?;
    Some((index, port.server(index)?))
}

/// Counts the rule and remembers the client's server.
fn note(port: &PortTable, ask: &mut Ask<'_>, moment: Moment, decision: Decision) {
    if let Decision::Forward { why: Why::Rule(place), .. } | Decision::Refuse(Refusal::EmptyRule(place)) = decision
        && let Some(rule) = port.rules.get(place)
    {
        rule.hits.fetch_add(1, Ordering::Relaxed);
    }
    let Decision::Forward { server, why } = decision else { return };
    let (Some(affinity), Some(server)) = (&port.affinity, port.server(server)) else { return };
    // "sticky no": clients shall leave a sorry or overflow server as soon as the rule no longer sends them there.
    if matches!(why, Why::Rule(_)) && !server.sticky {
        return;
    }
    ask.session.remember(&affinity.table, &affinity.slot, ask.client, server.name_hash, moment.now);
}

#[cfg(test)]
mod tests;

//! The order in which a server is chosen, the same for every data path.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::model::{AllDown, Compat, Evaluate, RuleType};

use super::Ring;
use super::affinity::{Session, Slot};
use super::cookies::Named;
use super::group::{GroupIndex, GroupTable};
use super::picker::{Occasion, Picker};
use super::request::RequestView;
use super::table::{Affinity, PortTable, RouteEntry, RuleEntry, ServerEntry, ServerIndex, Takes};

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
    /// Of method `http`.
    pub request: Option<RequestAsk<'a>>,
    /// What the client's connection remembers of its affinity.
    pub session: &'a mut Session,
    /// Servers that this request was already offered to.
    pub tried: &'a Tried,
    pub turn: Turn,
}

/// A request and where routes lead it.
#[derive(Clone, Copy, Debug)]
pub struct RequestAsk<'a> {
    pub view: RequestView<'a>,
    pub group: GroupIndex,
    pub route: Option<&'a RouteEntry>,
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
    Forward {
        server: ServerIndex,
        why: Why,
        /// The server was left alone for its failures, and this is the one request that tries it.
        trial: bool,
    },
    Refuse(Refusal),
}

/// What chose the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The session that the request carries names it.
    Session,
    /// The client was there last.
    Affinity,
    /// The rule at this place of [`PortTable::rules`].
    Rule(usize),
    /// The balance over all servers of the port or group.
    AllServers,
    /// No primary server is usable.
    Backup,
    /// Nobody else was left but those that failed lately.
    Marked,
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
    /// Each usable one has as many requests as it may have.
    Busy,
}

/// One step of the way to a decision, for those who want to know why.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The request has no session id.
    NoSession,
    /// Its session ids name no server of the group.
    SessionOfNobody,
    /// The server that the session names may not take it now.
    SessionNotUsable(&'a ServerEntry),
    SessionUsed(&'a ServerEntry),
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
    BackupChose(&'a ServerEntry),
    /// Somebody could take it, but for the number of requests there.
    AllBusy,
    MarkedChose(&'a ServerEntry),
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
/// Within the group that routes lead to: rules marked `over-affinity`, the session that the request carries, the server
/// that knows the client by its connection, the client's affinity record, the other rules in ascending priority, the balance over the group's servers, its backups, servers that
/// failed lately, and the policy for "all down" last. A server in `ask.tried` is never chosen.
pub fn decide(port: &PortTable, ask: &mut Ask<'_>, moment: Moment) -> Decision {
    decide_aloud(port, ask, moment, &mut Silent)
}

/// [`decide`], telling each step.
pub fn decide_aloud(port: &PortTable, ask: &mut Ask<'_>, moment: Moment, narrator: &mut impl Narrator) -> Decision {
    if port.servers.is_empty() {
        return Decision::Refuse(Refusal::NoServers);
    }
    let group = port.group_or_port(ask.request.map_or(GroupIndex::PORT, |request| request.group));
    let search = Search {
        port,
        group,
        client: ask.client,
        request: ask.request.as_ref(),
        tried: ask.tried,
        turn: ask.turn,
        moment,
        busy: Cell::new(false),
        minds_marks: true,
    };
    let decision = search.by_rules(true, narrator).or_else(|| search.by_session(narrator));
    let decision = decision.or_else(|| search.by_connection(ask.session));
    let decision = decision.or_else(|| search.by_affinity(ask.session, narrator));
    let decision = decision.or_else(|| search.by_rules(false, narrator));
    let decision = decision.or_else(|| search.by_balance(narrator)).unwrap_or_else(|| search.otherwise(narrator));
    if ask.turn == Turn::Take {
        search.note(ask.session, decision);
    }
    decision
}

/// One search for a server.
struct Search<'a> {
    port: &'a PortTable,
    group: &'a GroupTable,
    client: IpAddr,
    request: Option<&'a RequestAsk<'a>>,
    tried: &'a Tried,
    turn: Turn,
    moment: Moment,
    /// A server would have been usable, but for the number of requests there.
    busy: Cell<bool>,
    /// Servers that failed lately are left alone.
    minds_marks: bool,
}

impl<'a> Search<'a> {
    fn by_session(&self, narrator: &mut impl Narrator) -> Option<Decision> {
        let (sessions, request) = (self.group.sessions()?, self.request?);
        let (mut chosen, mut last, mut waits) = (None, None, false);
        let of = (&request.view, request.route);
        let named = sessions.named(&self.port.servers, of, self.moment.now, |index| {
            last = self.port.server(index);
            chosen = self.affine(index);
            waits = chosen.is_none() && self.waits_for(index);
            // Who waits for its own server does not look for another.
            chosen.is_some() || waits
        });
        if waits {
            narrator.step(Step::AllBusy);
            return Some(Decision::Refuse(Refusal::Busy));
        }
        match (named, chosen, last) {
            (Named::Nothing, ..) => narrator.step(Step::NoSession),
            (_, Some(_), Some(server)) => narrator.step(Step::SessionUsed(server)),
            (_, None, Some(server)) => narrator.step(Step::SessionNotUsable(server)),
            (_, _, None) => narrator.step(Step::SessionOfNobody),
        }
        let (index, trial) = chosen?;
        Some(Decision::Forward { server: index, why: Why::Session, trial })
    }

    /// Where the client has authenticated a connection. No step of a narration: who only asks has none.
    fn by_connection(&self, session: &Session) -> Option<Decision> {
        let index = self.port.server_by_hash(session.bound()?)?;
        let (index, trial) = self.affine(index)?;
        Some(Decision::Forward { server: index, why: Why::Affinity, trial })
    }

    fn by_affinity(&self, session: &Session, narrator: &mut impl Narrator) -> Option<Decision> {
        let Some(affinity) = &self.port.affinity else {
            narrator.step(Step::NoAffinity);
            return None;
        };
        let slot = self.slot(affinity);
        let known = session.server_of(&slot, self.client);
        let Some(hash) = known.or_else(|| affinity.table.server_of(&slot, self.client, self.moment.now)) else {
            narrator.step(Step::NoRecord);
            return None;
        };
        let found = self.port.server_by_hash(hash).and_then(|index| Some((index, self.port.server(index)?)));
        let Some((index, server)) = found else {
            narrator.step(Step::RecordOfUnknownServer);
            return None;
        };
        let Some((index, trial)) = self.affine(index) else {
            if self.waits_for(index) {
                narrator.step(Step::AllBusy);
                return Some(Decision::Refuse(Refusal::Busy));
            }
            narrator.step(Step::RecordNotUsable(server));
            return None;
        };
        narrator.step(Step::RecordUsed(server));
        Some(Decision::Forward { server: index, why: Why::Affinity, trial })
    }

    /// The server of a client with affinity to it, if it may take the client; and whether as a trial.
    ///
    /// A quiesced server keeps its clients: that is the difference between "quiesce" and "quiesce now". A server that
    /// advisors call down does not, whatever fail-open says: the client is better off with a new choice.
    fn affine(&self, index: ServerIndex) -> Option<(ServerIndex, bool)> {
        let server = self.keeps_clients(index).filter(|server| !server.is_full())?;
        Some((index, self.claim(server)?))
    }

    /// The server, if it may have clients with affinity to it as soon as it has room.
    fn keeps_clients(&self, index: ServerIndex) -> Option<&'a ServerEntry> {
        let server = self.port.server(index)?;
        let may = self.belongs(index) && matches!(server.takes, Takes::New | Takes::Affinity);
        (may && !self.is_excluded(index, server)).then_some(server)
    }

    /// A record may be of a time when the server was in this group; another application's servers are nothing to its clients.
    fn belongs(&self, index: ServerIndex) -> bool {
        self.group.has(index) || self.port.rules.iter().any(|rule| rule.servers.contains(&index))
    }

    /// A session is worth more than the moment until its server has room; the plug-in goes to the next one instead.
    fn waits_for(&self, index: ServerIndex) -> bool {
        self.group.policy.compat == Compat::Off && self.keeps_clients(index).is_some_and(ServerEntry::is_full)
    }

    fn by_rules(&self, over_affinity: bool, narrator: &mut impl Narrator) -> Option<Decision> {
        let of_group = |rule: &RuleEntry| {
            rule.group.is_none_or(|group| self.port.group(group).is_some_and(|group| std::ptr::eq(group, self.group)))
        };
        for (place, rule) in self.port.rules.iter().enumerate() {
            if rule.over_affinity != over_affinity || !of_group(rule) {
                continue;
            }
            if !self.is_true(rule) {
                narrator.step(Step::RuleNotTrue(rule));
                continue;
            }
            if rule.servers.is_empty() {
                narrator.step(Step::RuleWithoutServers(rule));
                return Some(Decision::Refuse(Refusal::EmptyRule(place)));
            }
            let Some((index, server, trial)) = self.pick(&rule.picker) else {
                narrator.step(Step::RuleWithoutUsableServer(rule));
                continue;
            };
            narrator.step(Step::RuleChose(rule, server));
            return Some(Decision::Forward { server: index, why: Why::Rule(place), trial });
        }
        if !over_affinity {
            narrator.step(Step::NoRuleDecides);
        }
        None
    }

    fn is_true(&self, rule: &RuleEntry) -> bool {
        match &rule.kind {
            RuleType::True => true,
            RuleType::Ip(range) => range.contains(self.client.to_canonical()),
            RuleType::Time(range) => range.contains(self.moment.hour),
            RuleType::Content(pattern) => self.request.is_some_and(|request| pattern.matches(&request.view)),
            RuleType::Active { range, .. } | RuleType::Connection { range, .. } => {
                measured(self.port, rule).is_some_and(|value| range.contains(value))
            }
        }
    }

    /// Rules that are true but have no usable server do not stand in the way of the port's other servers: IBM calls such
    /// a rule "not true", and a client is better served by any server than by none.
    fn by_balance(&self, narrator: &mut impl Narrator) -> Option<Decision> {
        if let Some((index, server, trial)) = self.pick(&self.group.all) {
            narrator.step(Step::RoundRobinChose(server));
            return Some(Decision::Forward { server: index, why: Why::AllServers, trial });
        }
        // In their order and not in turn: each stands in for the one before.
        for &index in &self.group.backups {
            let Some(server) = self.port.server(index).filter(|_| self.is_usable(index)) else { continue };
            let Some(trial) = self.claim(server) else { continue };
            narrator.step(Step::BackupChose(server));
            return Some(Decision::Forward { server: index, why: Why::Backup, trial });
        }
        None
    }

    /// Nobody is usable as things are.
    fn otherwise(&self, narrator: &mut impl Narrator) -> Decision {
        if self.busy.get() {
            narrator.step(Step::AllBusy);
            return Decision::Refuse(Refusal::Busy);
        }
        // A mark is what a few requests found, not a verdict: before the client gets nothing, it is set aside.
        let unmarked = Search { minds_marks: false, busy: Cell::new(false), ..*self };
        let everybody = self.group.all.ring.places().iter().chain(&self.group.backups).copied();
        // The ring has moved on already, when it was asked in vain.
        let marked = self.group.all.ring.peek(|index| unmarked.is_usable(index));
        let marked = marked.or_else(|| everybody.into_iter().find(|&index| unmarked.is_usable(index)));
        if let Some((index, server)) = marked.and_then(|index| Some((index, self.port.server(index)?))) {
            narrator.step(Step::MarkedChose(server));
            return Decision::Forward { server: index, why: Why::Marked, trial: false };
        }
        self.when_all_down(&unmarked, narrator)
    }

    fn when_all_down(&self, unmarked: &Search<'_>, narrator: &mut impl Narrator) -> Decision {
        narrator.step(Step::NoneUsable);
        let next = |ring: &Ring| {
            let index = match self.turn {
                Turn::Take => ring.take(|index| unmarked.is_usable(index)),
                Turn::Peek => ring.peek(|index| unmarked.is_usable(index)),
            }?;
            Some((index, self.port.server(index)?))
        };
        if let Some((index, server)) = next(&self.group.fail_open) {
            narrator.step(Step::FailOpenChose(server));
            return Decision::Forward { server: index, why: Why::FailOpen, trial: false };
        }
        if self.port.settings.all_down == AllDown::Spread
            && let Some((index, server)) = next(&self.group.spread)
        {
            narrator.step(Step::SpreadChose(server));
            return Decision::Forward { server: index, why: Why::Spread, trial: false };
        }
        narrator.step(Step::Refused(self.port.settings.all_down));
        Decision::Refuse(match (unmarked.busy.get(), self.tried.is_empty()) {
            (true, _) => Refusal::Busy,
            (false, true) => Refusal::AllDown,
            (false, false) => Refusal::AllTried,
        })
    }

    /// One of the picker's candidates; and whether as a trial.
    fn pick(&self, picker: &Picker) -> Option<(ServerIndex, &'a ServerEntry, bool)> {
        let view = self.request.map(|request| &request.view);
        let occasion = Occasion { client: self.client, request: view, turn: self.turn, now: self.moment.now };
        // A server whose trial somebody else takes just now is not usable in the next round, so that each round has fewer.
        for _ in 0..=self.port.servers.len() {
            let index = picker.pick(&self.port.servers, &occasion, |index| self.is_usable(index))?;
            let server = self.port.server(index)?;
            if let Some(trial) = self.claim(server) {
                return Some((index, server, trial));
            }
        }
        None
    }

    fn is_usable(&self, index: ServerIndex) -> bool {
        let Some(server) = self.port.server(index) else { return false };
        if self.is_excluded(index, server) {
            return false;
        }
        let full = server.is_full();
        if full {
            self.busy.set(true);
        }
        !full
    }

    fn is_excluded(&self, index: ServerIndex, server: &ServerEntry) -> bool {
        self.tried.contains(index) || (self.minds_marks && !server.counters.mark.allows(self.moment.now))
    }

    fn claim(&self, server: &ServerEntry) -> Option<bool> {
        match self.turn {
            Turn::Take => server.counters.mark.claim(self.moment.now),
            Turn::Peek => Some(false),
        }
    }

    /// The client's record for this application.
    fn slot(&self, affinity: &Affinity) -> Slot {
        Slot { application: self.group.name_hash, ..affinity.slot }
    }

    /// Counts the rule and remembers the client's server.
    fn note(&self, session: &mut Session, decision: Decision) {
        if let Decision::Forward { why: Why::Rule(place), .. } | Decision::Refuse(Refusal::EmptyRule(place)) = decision
            && let Some(rule) = self.port.rules.get(place)
        {
            rule.hits.fetch_add(1, Ordering::Relaxed);
        }
        let Decision::Forward { server: index, why, .. } = decision else { return };
        if matches!(why, Why::Session | Why::Affinity) && !self.group.policy.ignore_affinity {
            self.group.all.charge(index);
        }
        let (Some(affinity), Some(server)) = (&self.port.affinity, self.port.server(index)) else { return };
        // "sticky no": clients shall leave a sorry or overflow server as soon as the rule no longer sends them there.
        if matches!(why, Why::Rule(_)) && !server.sticky {
            return;
        }
        session.remember(&affinity.table, &self.slot(affinity), self.client, server.name_hash, self.moment.now);
    }
}

/// What the rule's condition measures, now: active connections, or connections per second. `None`: it measures nothing.
pub fn measured(port: &PortTable, rule: &RuleEntry) -> Option<u64> {
    match rule.kind {
        RuleType::Active { evaluate, .. } => Some(load(port, rule, evaluate, |server| server.counters.active())),
        RuleType::Connection { evaluate, .. } => Some(load(port, rule, evaluate, |server| server.counters.rate())),
        RuleType::True | RuleType::Ip(_) | RuleType::Time(_) | RuleType::Content(_) => None,
    }
}

fn load(port: &PortTable, rule: &RuleEntry, evaluate: Evaluate, of: impl Fn(&ServerEntry) -> u64) -> u64 {
    match evaluate {
        Evaluate::Port => port.servers.iter().map(of).sum(),
        Evaluate::Rule => rule.servers.iter().filter_map(|&index| port.server(index)).map(of).sum(),
    }
}

#[cfg(test)]
mod tests;

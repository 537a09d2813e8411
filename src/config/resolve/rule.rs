//! Rules: conditions, their ranges, and that their servers are there.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use super::port::Surroundings;
use super::{Check, View, called};
use crate::config::fault::{proposal, quoted};
use crate::config::object::{Key, Path};
use crate::config::schema::Kind;
use crate::model::{
    ContentPattern, Evaluate, Group, HourRange, IpRange, MAX_RULES_PER_PORT, Name, NumberRange, Rule, RuleType, Server,
};

impl Check {
    /// In the order they are asked.
    pub(super) fn rules(
        &mut self,
        port: &Surroundings<'_>,
        servers: &[Server],
        groups: &[Group],
        view: View<'_>,
    ) -> Vec<Rule> {
        let count = view.children(Kind::Rule).count();
        if count > MAX_RULES_PER_PORT {
            let message = format!("{} has {count} rules; {MAX_RULES_PER_PORT} is the most", called(port.path));
            self.fault(view.place(), message);
        }
        if count == 0 {
            return Vec::new();
        }
        // Servers with a faulty address are there too: one report is enough.
        let mut known: Known<'_> = view.named(Kind::Server).map(|(name, _)| (name.as_str(), None)).collect();
        known.extend(servers.iter().map(|server| (server.name.as_str(), Some(&server.name))));
        let mut rules: Vec<Rule> =
            view.named(Kind::Rule).filter_map(|(name, rule)| self.rule(port, name, (&known, groups), rule)).collect();
        rules.sort_by_key(|rule| rule.priority);
        rules
    }

    fn rule(
        &mut self,
        port: &Surroundings<'_>,
        name: &Name,
        (known, groups): (&Known<'_>, &[Group]),
        view: View<'_>,
    ) -> Option<Rule> {
        let condition = Condition { path: port.path.join(Key::named(Kind::Rule, name.clone())), view };
        self.rule_servers(&condition, known);
        let kind = self.rule_type(&condition, port.address)?;
        let servers = view.list("servers").into_iter().filter_map(|name| known.get(name).copied().flatten().cloned());
        Some(Rule {
            name: name.clone(),
            kind,
            priority: view.count("priority"),
            servers: servers.collect(),
            over_affinity: view.flag("over-affinity"),
            group: self.rule_group(&condition, groups),
        })
    }

    fn rule_group(&mut self, rule: &Condition<'_>, groups: &[Group]) -> Option<Name> {
        rule.view.said("group")?;
        let name = rule.view.text("group");
        let group = groups.iter().find(|group| group.name.as_str() == name);
        if group.is_none() {
            let near = proposal(name, groups.iter().map(|group| group.name.as_str()));
            let message = format!("{}: this port has no group {}{near}", called(&rule.path), quoted(name));
            self.fault(rule.view.place_at("group"), message);
        }
        group.map(|group| group.name.clone())
    }

    fn rule_servers(&mut self, rule: &Condition<'_>, known: &Known<'_>) {
        let mut seen = HashSet::new();
        for name in rule.view.list("servers") {
            let message = if !known.contains_key(name) {
                let near = proposal(name, known.keys().copied());
                format!("{}: this port has no server {}{near}", called(&rule.path), quoted(name))
            } else if !seen.insert(name) {
                format!("{}: server {} is listed twice", called(&rule.path), quoted(name))
            } else {
                continue;
            };
            self.fault(rule.view.place_at("servers"), message);
        }
    }

    fn rule_type(&mut self, rule: &Condition<'_>, address: IpAddr) -> Option<RuleType> {
        let kind = rule.view.word("type");
        if kind.is_empty() {
            if rule.view.is_silent_on("type") {
                let message =
                    format!("{} has no `type`; one of true, active, connection, ip, time, content", called(&rule.path));
                self.fault(rule.view.place(), message);
            }
            return None;
        }
        self.only_with(rule, "evaluate", &["active", "connection"]);
        let evaluate = if rule.view.word("evaluate") == "rule" { Evaluate::Rule } else { Evaluate::Port };
        self.only_with(rule, "pattern", &["content"]);
        match kind {
            "content" => self.content(rule),
            "active" => self.number_range(rule).map(|range| RuleType::Active { range, evaluate }),
            "connection" => self.number_range(rule).map(|range| RuleType::Connection { range, evaluate }),
            "ip" => self.ip_range(rule, address).map(RuleType::Ip),
            "time" => self.hour_range(rule).map(RuleType::Time),
            _ => {
                self.only_with(rule, "beginrange", &["active", "connection", "ip", "time"]);
                self.only_with(rule, "endrange", &["active", "connection", "ip", "time"]);
                Some(RuleType::True)
            }
        }
    }

    fn content(&mut self, rule: &Condition<'_>) -> Option<RuleType> {
        for word in ["beginrange", "endrange"] {
            self.only_with(rule, word, &["active", "connection", "ip", "time"]);
        }
        match rule.view.text("pattern").parse::<ContentPattern>() {
            Ok(pattern) => Some(RuleType::Content(Arc::new(pattern))),
            // Other faults of a pattern are found where it is read.
            Err(fault) => {
                let message = format!("{}: `pattern` {fault}", called(&rule.path));
                self.fault(rule.view.place_at("pattern"), message);
                None
            }
        }
    }

    fn only_with(&mut self, rule: &Condition<'_>, word: &str, kinds: &[&str]) {
        if rule.view.said(word).is_some() && !kinds.contains(&rule.view.word("type")) {
            let message = format!("{}: `{word}` belongs to rules of type {}", called(&rule.path), kinds.join(", "));
            self.fault(rule.view.place_at(word), message);
        }
    }

    fn number_range(&mut self, rule: &Condition<'_>) -> Option<NumberRange> {
        let begin = self.bound(rule, "beginrange", 0, "a number of connections")?;
        let end = self.bound(rule, "endrange", u32::MAX, "a number of connections")?;
        self.in_order(rule, begin, end).then_some(NumberRange { begin, end })
    }

    fn hour_range(&mut self, rule: &Condition<'_>) -> Option<HourRange> {
        let begin = self.bound(rule, "beginrange", 0, "an hour from 0 to 24")?;
        let end = self.bound(rule, "endrange", 24, "an hour from 0 to 24")?;
        for (word, hour) in [("beginrange", begin), ("endrange", end)] {
            if hour > 24 {
                let message = format!("{}: `{word}` is an hour from 0 to 24, not `{hour}`", called(&rule.path));
                self.fault(rule.view.place_at(word), message);
            }
        }
        Some(HourRange { begin, end })
    }

    /// Where only one end is written, the other is the first or last address of its family.
    fn ip_range(&mut self, rule: &Condition<'_>, cluster: IpAddr) -> Option<IpRange> {
        let family = rule.view.address("beginrange").or(rule.view.address("endrange")).unwrap_or(cluster);
        let (first, last) = match family {
            IpAddr::V4(_) => (IpAddr::from([0; 4]), IpAddr::from([u8::MAX; 4])),
            IpAddr::V6(_) => (IpAddr::from([0; 16]), IpAddr::from([u8::MAX; 16])),
        };
        let begin = self.bound(rule, "beginrange", first, "an IP address")?;
        let end = self.bound(rule, "endrange", last, "an IP address")?;
        if begin.is_ipv4() != end.is_ipv4() {
            let message = format!("{}: {begin} and {end} are of different families", called(&rule.path));
            self.fault(rule.view.place_at("endrange"), message);
            return None;
        }
        self.in_order(rule, begin, end).then_some(IpRange { begin, end })
    }

    fn bound<T: FromStr>(&mut self, rule: &Condition<'_>, word: &str, default: T, meaning: &str) -> Option<T> {
        if rule.view.said(word).is_none() {
            return Some(default);
        }
        let text = rule.view.text(word);
        let bound = text.parse().ok();
        if bound.is_none() {
            let kind = rule.view.word("type");
            let message = format!("{}: `{word}` of type {kind} is {meaning}, not {}", called(&rule.path), quoted(text));
            self.fault(rule.view.place_at(word), message);
        }
        bound
    }

    fn in_order<T: PartialOrd + Display>(&mut self, rule: &Condition<'_>, begin: T, end: T) -> bool {
        if begin <= end {
            return true;
        }
        let message =
            format!("{}: beginrange {begin} is above endrange {end}, so it could never be true", called(&rule.path));
        self.fault(rule.view.place_at("beginrange"), message);
        false
    }
}

/// The servers of a port by name; those that are faulty have no name in the configuration.
type Known<'s> = HashMap<&'s str, Option<&'s Name>>;

/// A rule under examination.
struct Condition<'d> {
    path: Path,
    view: View<'d>,
}

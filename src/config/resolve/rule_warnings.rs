//! What works and will surprise: rules that are never asked, never true, or refuse.

use std::collections::HashSet;

use super::Check;
use super::warnings::Seen;
use crate::config::fault::listed;
use crate::config::object::Key;
use crate::config::schema::Kind;
use crate::model::{Rule, RuleType};

impl Check {
    pub(super) fn warn_of_rules(&mut self, seen: Seen<'_>) {
        let mut earlier: Option<&Rule> = None;
        for rule in &seen.port.rules {
            self.warn_of_rule(seen, rule);
            if let Some(earlier) = earlier {
                self.warn_of_order(seen, earlier, rule);
            }
            earlier = Some(rule);
        }
        self.warn_of_hidden(seen);
        self.warn_of_idle_servers(seen);
    }

    fn rule_warning(&mut self, seen: Seen<'_>, rule: &Rule, word: &str, message: &str) {
        let path = seen.path().join(Key::named(Kind::Rule, rule.name.clone()));
        self.warn_at(seen.root, &path, word, message);
    }

    fn warn_of_rule(&mut self, seen: Seen<'_>, rule: &Rule) {
        if rule.servers.is_empty() {
            self.rule_warning(seen, rule, "servers", "it uses no server, so connections are refused when it is true");
        }
        match rule.kind {
            RuleType::Time(hours) if hours.begin == hours.end => {
                self.rule_warning(seen, rule, "endrange", "the range is empty, so it is never true");
            }
            // A proxy that is trusted may report clients of the other family.
            RuleType::Ip(range)
                if range.begin.is_ipv4() != seen.cluster.address.is_ipv4()
                    && seen.port.trusted.is_empty()
                    && !seen.cluster.address.is_unspecified() =>
            {
                let message =
                    format!("clients of {} are of the other family, so it is never true", seen.cluster.address);
                self.rule_warning(seen, rule, "beginrange", &message);
            }
            _ => {}
        }
    }

    fn warn_of_order(&mut self, seen: Seen<'_>, earlier: &Rule, rule: &Rule) {
        if earlier.priority == rule.priority {
            let message = format!(
                "it has the priority of rule {}, which is asked first only because it was made first",
                earlier.name
            );
            self.rule_warning(seen, rule, "priority", &message);
        }
    }

    /// Another true rule after a true rule is the usual sorry rule; anything else there was probably meant to come before.
    fn warn_of_hidden(&mut self, seen: Seen<'_>) {
        let mut rules = seen.port.rules.iter();
        let Some(always) = rules.by_ref().find(|rule| rule.kind == RuleType::True && rule.group.is_none()) else {
            return;
        };
        for rule in rules {
            if always.servers.is_empty() {
                let message = format!(
                    "it is never asked, because rule {} before it is always true and uses no server",
                    always.name
                );
                self.rule_warning(seen, rule, "priority", &message);
            } else if rule.kind != RuleType::True {
                let message = format!(
                    "rule {} before it is always true, so it is asked only when no server of that one is usable",
                    always.name
                );
                self.rule_warning(seen, rule, "priority", &message);
            }
        }
    }

    /// With a rule that is always true, "no rule is true" never happens.
    fn warn_of_idle_servers(&mut self, seen: Seen<'_>) {
        let rules = &seen.port.rules;
        if !rules.iter().any(|rule| rule.kind == RuleType::True) {
            return;
        }
        let used: HashSet<&str> = rules.iter().flat_map(|rule| &rule.servers).map(|name| name.as_str()).collect();
        let servers = seen.port.servers.iter().map(|server| server.name.as_str());
        let idle: Vec<&str> = servers.filter(|name| !used.contains(name)).collect();
        if !idle.is_empty() {
            let message =
                format!("no rule uses {}, and one rule is always true, so no new connection goes there", listed(idle));
            self.warn_at(seen.root, &seen.path(), "number", &message);
        }
    }
}

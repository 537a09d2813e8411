//! What works and will surprise: advisors that probe nobody, or whose verdict means little.

use std::collections::{HashMap, HashSet};

use super::warnings::Seen;
use super::{Check, Config, View};
use crate::config::object::{Key, Path};
use crate::config::schema::Kind;
use crate::config::value::Value;
use crate::model::{Advisor, AdvisorKey, AdvisorKind, AdvisorScope, AdvisorTimeout, PortNumber, Server};

/// The ports of all clusters by number.
type Ports<'c> = HashMap<PortNumber, Vec<Seen<'c>>>;

impl Check {
    pub(super) fn warn_of_advisors(&mut self, root: View<'_>, config: &Config) {
        let mut ports: Ports<'_> = HashMap::new();
        for cluster in &config.clusters {
            for port in &cluster.ports {
                ports.entry(port.number).or_default().push(Seen { cluster, port, root });
            }
        }
        let asked = self.warn_of_each(root, config, &ports);
        for seen in ports.values().flatten().filter(|seen| !asked.contains(&seen.path())) {
            self.warn_of_unasked(*seen);
        }
    }

    /// The paths of all ports whose servers are asked by HTTP.
    fn warn_of_each(&mut self, root: View<'_>, config: &Config, ports: &Ports<'_>) -> HashSet<Path> {
        let keys: HashSet<&AdvisorKey> = config.advisors.iter().map(|advisor| &advisor.key).collect();
        let mut asked = HashSet::new();
        for advisor in &config.advisors {
            let covered = covered(&advisor.key, ports, &keys);
            self.warn_of_timing(root, config, advisor);
            self.warn_of_coverage(root, &advisor.key, &covered);
            if speaks_http(advisor.key.kind) {
                self.warn_of_responses(root, &advisor.key, &covered);
                asked.extend(covered.iter().map(|seen| seen.path()));
            }
        }
        asked
    }

    fn advisor_warning(&mut self, root: View<'_>, key: &AdvisorKey, word: &str, message: &str) {
        let path = Path::of([Key::advisor(key.kind, key.scope.cluster().cloned(), key.scope.port())]);
        self.warn_at(root, &path, word, message);
    }

    fn warn_of_coverage(&mut self, root: View<'_>, key: &AdvisorKey, covered: &[Seen<'_>]) {
        if covered.is_empty() {
            let message = match &key.scope {
                AdvisorScope::Port(port) => format!("no cluster has a port {port} for it, so it probes nobody"),
                AdvisorScope::ClusterPort(port) => format!("there is no port {port}, so it probes nobody"),
            };
            self.advisor_warning(root, key, "port", &message);
        }
    }

    fn warn_of_timing(&mut self, root: View<'_>, config: &Config, advisor: &Advisor) {
        let interval = config.manager.interval;
        if interval * 4 < advisor.interval {
            let (mine, theirs) = (Value::seconds_text(advisor.interval), Value::seconds_text(interval));
            let message = format!(
                "the manager's interval of {theirs} s is less than a quarter of this one's {mine} s, so it weighs by old loads"
            );
            self.advisor_warning(root, &advisor.key, "interval", &message);
        }
        if matches!(advisor.timeout, AdvisorTimeout::After(timeout) if timeout < advisor.interval) {
            let message = "loads expire (`timeout`) before the next probe (`interval`), so they seldom count";
            self.advisor_warning(root, &advisor.key, "timeout", message);
        }
        if advisor.verify && advisor.key.kind != AdvisorKind::Https {
            self.advisor_warning(
                root,
                &advisor.key,
                "verify",
                "`verify` has no effect: only advisor https sees a certificate",
            );
        }
    }

    fn warn_of_responses(&mut self, root: View<'_>, key: &AdvisorKey, covered: &[Seen<'_>]) {
        let mut servers = covered.iter().flat_map(|seen| &seen.port.servers).peekable();
        if servers.peek().is_some() && servers.all(|server| server.advisorresponse.is_empty()) {
            let message = "any response counts as up, a status of 500 too, because no server has an `advisorresponse`";
            self.advisor_warning(root, key, "name", message);
        }
        for seen in covered {
            self.warn_of_heads(*seen);
        }
    }

    /// One per port: a setting is usually wrong for all servers alike.
    fn warn_of_heads(&mut self, seen: Seen<'_>) {
        let mut blind = seen.port.servers.iter().filter(|server| looks_for_a_body_in_a_head(server));
        let Some(server) = blind.next() else { return };
        let others = match blind.count() {
            0 => String::new(),
            more => format!(" (and {more} more of this port)"),
        };
        let message = format!(
            "`{}` is answered without a body, so `advisorresponse` is looked for in the status line and the headers alone{others}; a GET would be right for a page",
            server.advisorrequest
        );
        let path = seen.path().join(Key::named(Kind::Server, server.name.clone()));
        self.warn_at(seen.root, &path, "advisorresponse", &message);
    }

    fn warn_of_unasked(&mut self, seen: Seen<'_>) {
        let is_told = |server: &&Server| {
            !server.advisorresponse.is_empty() || server.advisorrequest != Server::DEFAULT_ADVISOR_REQUEST
        };
        let Some(server) = seen.port.servers.iter().find(is_told) else { return };
        let path = seen.path().join(Key::named(Kind::Server, server.name.clone()));
        let message =
            "no http or https advisor probes this port, so `advisorrequest` and `advisorresponse` have no effect";
        self.warn_at(seen.root, &path, "advisorrequest", message);
    }
}

/// The ports whose servers the advisor probes: one for a single cluster takes the place of the same one for all.
fn covered<'c>(key: &AdvisorKey, ports: &Ports<'c>, keys: &HashSet<&AdvisorKey>) -> Vec<Seen<'c>> {
    let numbered = ports.get(&key.scope.port()).into_iter().flatten().copied();
    match &key.scope {
        AdvisorScope::ClusterPort(port) => numbered.filter(|seen| seen.cluster.name == port.cluster).collect(),
        AdvisorScope::Port(port) => numbered
            .filter(|seen| {
                let own = crate::model::PortKey { cluster: seen.cluster.name.clone(), port: *port };
                !keys.contains(&AdvisorKey { kind: key.kind, scope: AdvisorScope::ClusterPort(own) })
            })
            .collect(),
    }
}

fn speaks_http(kind: AdvisorKind) -> bool {
    matches!(kind, AdvisorKind::Http | AdvisorKind::Https)
}

/// What begins like a status line is found in a head too.
fn looks_for_a_body_in_a_head(server: &Server) -> bool {
    let method = server.advisorrequest.split(' ').next().unwrap_or_default();
    let wanted = &server.advisorresponse;
    method.eq_ignore_ascii_case("head") && !wanted.is_empty() && !wanted.starts_with(b"HTTP/")
}

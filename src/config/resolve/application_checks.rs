//! What only method `http` can do, and what works and will surprise: groups, routes, balances, content rules.

use super::{Check, Config, View, called};
use crate::config::object::{Key, Path};
use crate::config::schema::Kind;
use crate::model::{Balance, Cluster, CookieAffinity, Destination, ForwardingMethod, Port, RuleType};

impl Check {
    pub(super) fn applications(&mut self, config: &Config, root: View<'_>) {
        for cluster in &config.clusters {
            for port in &cluster.ports {
                let path = path_of(cluster, port);
                self.balance_suits(port, &path, root);
                self.rules_suit(port, &path, root);
                match port.method {
                    ForwardingMethod::Http => {
                        self.warn_of_routes(port, &path, root);
                        self.warn_of_sessions(port, &path, root);
                    }
                    ForwardingMethod::Tcp => {
                        self.warn_of_routes(port, &path, root);
                        self.routes_by_name(port, &path, root);
                    }
                    ForwardingMethod::Mac if port.groups.is_empty() && port.routes.is_empty() => {}
                    ForwardingMethod::Mac => {
                        let message =
                            format!("{}: groups and routes belong to methods http and tcp, not mac", called(&path));
                        self.fault(root.at(&path, Kind::Port).place_at("method"), message);
                    }
                }
            }
        }
    }

    /// Of a `tcp` port's client nothing is known but the host that its TLS asks for.
    fn routes_by_name(&mut self, port: &Port, path: &Path, root: View<'_>) {
        for route in &port.routes {
            let route_path = path.join(Key::named(Kind::Route, route.name.clone()));
            let view = root.at(&route_path, Kind::Route);
            let redirects = matches!(route.to, Destination::Redirect(_)).then_some("redirect");
            let heeded = [
                (!route.uris.is_empty()).then_some("uris"),
                route.rewrite.is_some().then_some("rewrite"),
                (!route.request_edits.is_empty()).then_some("requestheaders"),
                (!route.response_edits.is_empty()).then_some("responseheaders"),
                redirects,
            ];
            if let Some(word) = heeded.into_iter().flatten().next() {
                let message = format!(
                    "{}: `{word}` needs method http; a tcp port knows only the host that its clients' TLS asks for (`hosts`)",
                    called(&route_path)
                );
                self.fault(view.place_at(word), message);
            }
        }
    }

    fn balance_suits(&mut self, port: &Port, path: &Path, root: View<'_>) {
        let right: &[Balance] = match port.method {
            ForwardingMethod::Http => return,
            ForwardingMethod::Mac => &[Balance::RoundRobin, Balance::Hash],
            ForwardingMethod::Tcp => &[
                Balance::RoundRobin,
                Balance::Hash,
                Balance::Random,
                Balance::LeastConnections,
                Balance::TwoChoices,
                Balance::LeastTime,
                Balance::Traffic,
            ],
        };
        if !right.contains(&port.policy.balance) {
            let words: Vec<&str> = right.iter().map(|balance| balance.word()).collect();
            let message = format!(
                "{}: balance {} does not go with method {}; one of {} would be right",
                called(path),
                port.policy.balance.word(),
                port.method.word(),
                words.join(", ")
            );
            self.fault(root.at(path, Kind::Port).place_at("balance"), message);
        }
    }

    fn rules_suit(&mut self, port: &Port, path: &Path, root: View<'_>) {
        for rule in &port.rules {
            let rule_path = path.join(Key::named(Kind::Rule, rule.name.clone()));
            let place = root.at(&rule_path, Kind::Rule);
            if rule.over_affinity && port.method == ForwardingMethod::Mac {
                let message = format!(
                    "{}: packets are asked for their affinity first, so `over-affinity` is not there with method mac",
                    called(&rule_path)
                );
                self.fault(place.place_at("over-affinity"), message);
            }
            if matches!(rule.kind, RuleType::Content(_)) && port.method != ForwardingMethod::Http {
                let message = format!(
                    "{}: method {} reads no requests, so a rule of type content is never true",
                    called(&rule_path),
                    port.method.word()
                );
                self.fault(place.place_at("type"), message);
            }
        }
    }

    fn warn_of_routes(&mut self, port: &Port, path: &Path, root: View<'_>) {
        for (at, route) in port.routes.iter().enumerate() {
            let same = port.routes.iter().take(at).find(|other| other.hosts == route.hosts && other.uris == route.uris);
            if let Some(other) = same {
                let route_path = path.join(Key::named(Kind::Route, route.name.clone()));
                let message = format!(
                    "route `{}` has the same hosts and paths and comes first, so this one is never taken",
                    other.name
                );
                self.warn_at(root, &route_path, "name", &message);
            }
        }
        for group in &port.groups {
            let is_used = port
                .routes
                .iter()
                .any(|route| matches!(&route.to, crate::model::Destination::Group(Some(name)) if *name == group.name));
            if !is_used {
                let group_path = path.join(Key::named(Kind::Group, group.name.clone()));
                self.warn_at(root, &group_path, "name", "no route leads to it");
            }
        }
    }

    fn warn_of_sessions(&mut self, port: &Port, path: &Path, root: View<'_>) {
        let policies = port.groups.iter().map(|group| &group.policy).chain([&port.policy]);
        let uses_clone_ids = policies.into_iter().any(|policy| policy.affinity == CookieAffinity::CloneId);
        let without = port.servers.iter().filter(|server| server.proxied.clone_id.is_none() && server.sticky).count();
        let with = port.servers.iter().filter(|server| server.proxied.clone_id.is_some()).count();
        if uses_clone_ids && with > 0 && without > 0 && port.rules.is_empty() && port.groups.is_empty() {
            let message =
                format!("{without} of its servers have no `cloneid`, so sessions that begin there do not stay");
            self.warn_at(root, path, "affinity", &message);
        }
    }
}

fn path_of(cluster: &Cluster, port: &Port) -> Path {
    Path::of([Key::named(Kind::Cluster, cluster.name.clone()), Key::port(port.number)])
}

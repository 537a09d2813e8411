//! What works and will surprise: clusters, ports, servers.

use super::{Check, Config, View, called};
use crate::config::fault::listed;
use crate::config::object::{Field, Key, Path};
use crate::config::schema::Kind;
use crate::model::{Cluster, ForwardingMethod, Port};

/// A port with all that is known of it.
#[derive(Clone, Copy)]
pub(super) struct Seen<'c> {
    pub cluster: &'c Cluster,
    pub port: &'c Port,
    pub root: View<'c>,
}

impl<'c> Seen<'c> {
    pub fn path(self) -> Path {
        Path::of([Key::named(Kind::Cluster, self.cluster.name.clone()), Key::port(self.port.number)])
    }

    fn view(self) -> View<'c> {
        self.root.at(&self.path(), Kind::Port)
    }
}

impl Check {
    pub(super) fn warn(&mut self, root: View<'_>, config: &Config) {
        for cluster in &config.clusters {
            self.warn_of_proportions(root, cluster);
            for port in &cluster.ports {
                let seen = Seen { cluster, port, root };
                self.warn_of_port(seen);
                self.warn_of_servers(seen);
                self.warn_of_rules(seen);
            }
        }
        self.warn_of_advisors(root, config);
    }

    /// A warning at the object's field, else at the object.
    pub(super) fn warn_at(&mut self, root: View<'_>, path: &Path, word: &str, message: &str) {
        let kind = path.kind().unwrap_or(Kind::Executor);
        let place = root.at(path, kind).place_at(word);
        self.warning(place, format!("{}: {message}", called(path)));
    }

    fn warn_of_proportions(&mut self, root: View<'_>, cluster: &Cluster) {
        let path = Path::of([Key::named(Kind::Cluster, cluster.name.clone())]);
        let proportions = cluster.proportions;
        if proportions.system() > 0 {
            let message = "nothing measures the systems of servers yet, so their part of the proportions says nothing";
            self.warn_at(root, &path, "proportions", message);
        }
        if proportions.active().min(proportions.new_connections()) < LEAST_PROPORTION {
            let message = "active and new connections should count 20 percent each at least, else weights follow noise";
            self.warn_at(root, &path, "proportions", message);
        }
    }

    fn warn_of_port(&mut self, seen: Seen<'_>) {
        let (path, root) = (seen.path(), seen.root);
        if seen.port.servers.is_empty() {
            self.warn_at(root, &path, "number", "it has no server, so every connection is refused");
        }
        self.warn_of_idle_words(seen, &path);
        if let Some(all) = seen.port.trusted.iter().find(|network| network.to_string().ends_with("/0")) {
            let message = format!("{all} trusts everybody, so every client can say that it is another");
            self.warn_at(root, &path, "trustedproxies", &message);
        }
        self.warn_of_proxies(seen, &path);
        if seen.port.upgrade.iter().any(|protocol| protocol == "h2c") {
            let message = "requests within h2c pass without being looked at; it has been used to get past proxies";
            self.warn_at(root, &path, "upgrade", message);
        }
    }

    fn warn_of_proxies(&mut self, seen: Seen<'_>, path: &Path) {
        let port = seen.port;
        if port.proxyprotocol && port.trusted.is_empty() {
            let message = "`proxyprotocol on` has no effect without trustedproxies: nobody's header would be read";
            self.warn_at(seen.root, path, "proxyprotocol", message);
        }
        if port.method == ForwardingMethod::Tcp && !port.proxyprotocol && !port.trusted.is_empty() {
            let message = "no effect with method tcp but together with `proxyprotocol on`: trustedproxies";
            self.warn_at(seen.root, path, "trustedproxies", message);
        }
    }

    fn warn_of_idle_words(&mut self, seen: Seen<'_>, path: &Path) {
        let method = seen.port.method;
        let idle: Vec<&Field> = seen.view().fields().filter(|field| !field.keyword.only.has(method)).collect();
        if let Some(first) = idle.first() {
            let words = listed(idle.iter().map(|field| field.keyword.word));
            let message = format!("no effect with method {}: {words}", method.word());
            self.warn_at(seen.root, path, first.keyword.word, &message);
        }
    }

    fn warn_of_servers(&mut self, seen: Seen<'_>) {
        let port = seen.port;
        let passing = port.servers.iter().filter(|server| !server.sticky);
        let names: Vec<&str> = passing.map(|server| server.name.as_str()).collect();
        if names.is_empty() {
            return;
        }
        if port.rules.is_empty() {
            let message = format!("`sticky no` of {} has no effect without a rule", listed(names));
            self.warn_at(seen.root, &seen.path(), "number", &message);
        } else if names.len() == port.servers.len() && !port.stickytime.is_zero() {
            let message = "all servers are `sticky no`, so no client that a rule sent there stays with its server";
            self.warn_at(seen.root, &seen.path(), "stickytime", message);
        }
    }
}

/// Percent, as IBM advises.
const LEAST_PROPORTION: u8 = 20;

//! From the plug-in's configuration to one of ours that behaves alike.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::plugin::{Host, PluginConfig, PluginRoute, PluginServer, Role, ServerCluster, Uri};
use super::toml_text::TomlText;
use super::xml::{self, XmlFault};
use super::{Front, Imported, Remark};
use crate::config::{Document, Fault, Faults, Place};
use crate::model::{HostPattern, Name, Network, UriPattern};

/// Translates a plugin-cfg.xml. `Err`: it cannot be read, or what it says does not fit together; each fault has its line.
pub fn import_plugin(text: &str, file: &str, front: &Front) -> Result<Imported, Faults> {
    let root = xml::read(text).map_err(|fault| faults_of(file, vec![unread(&fault)]))?;
    let mut config = PluginConfig::of(&root);
    check_references(&mut config);
    if !config.faults.is_empty() {
        config.faults.sort();
        return Err(faults_of(file, config.faults));
    }
    let mut translation = Translation {
        names: server_names(&config),
        groups: group_names(&config),
        config: &config,
        out: TomlText::default(),
        remarks: Vec::new(),
    };
    translation.site(front);
    let Translation { out, mut remarks, .. } = translation;
    let toml = out.finish();
    loadable(&toml).map_err(|messages| faults_of(file, messages))?;
    remarks.extend(config.remarks.iter().cloned());
    remarks.sort();
    remarks.dedup();
    let refresh = u64::try_from(config.refresh).ok().map(|seconds| Duration::from_secs(seconds.max(1)));
    Ok(Imported { toml, remarks, refresh })
}

/// More servers, groups or routes than a port holds show only when all is counted; where that was in the file nobody can say.
fn loadable(toml: &str) -> Result<(), Vec<Remark>> {
    let resolved = Document::parse(toml, "plugin.toml").and_then(|document| document.resolve());
    let message = |fault: &Fault| Remark { line: 1, text: fault.message.clone() };
    resolved.map(drop).map_err(|faults| faults.iter().map(message).collect())
}

fn unread(fault: &XmlFault) -> Remark {
    Remark { line: fault.line(), text: fault.to_string() }
}

fn faults_of(file: &str, faults: Vec<Remark>) -> Faults {
    let file: std::sync::Arc<str> = file.into();
    let fault = |remark: Remark| Fault {
        place: Some(Place { file: std::sync::Arc::clone(&file), line: remark.line, column: 1 }),
        message: remark.text,
    };
    faults.into_iter().map(fault).collect::<Vec<_>>().into()
}

/// What routes name has to be there.
fn check_references(config: &mut PluginConfig) {
    let mut faults = Vec::new();
    let mut fault = |line, text| faults.push(Remark { line, text });
    for route in &config.routes {
        if !config.clusters.iter().any(|cluster| cluster.name == route.cluster) {
            fault(route.line, format!("there is no ServerCluster `{}`", route.cluster));
        }
        if let Some(hosts) = route.hosts.as_ref().filter(|hosts| !config.hosts.contains_key(*hosts)) {
            fault(route.line, format!("there is no VirtualHostGroup `{hosts}`"));
        }
        if let Some(uris) = route.uris.as_ref().filter(|uris| !config.uris.contains_key(*uris)) {
            fault(route.line, format!("there is no UriGroup `{uris}`"));
        }
    }
    if config.clusters.is_empty() {
        fault(1, "there is no <ServerCluster> in it".to_owned());
    }
    config.faults.extend(faults);
}

/// Names of servers on our port: as they are where only one cluster has them.
fn server_names(config: &PluginConfig) -> HashMap<(String, String), Name> {
    let mut names = HashMap::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for cluster in &config.clusters {
        for server in &cluster.servers {
            let shared =
                config.clusters.iter().filter(|other| other.servers.iter().any(|it| it.name == server.name)).count()
                    > 1;
            let wanted = if shared { format!("{}.{}", cluster.name, server.name) } else { server.name.clone() };
            if let Some(name) = unique(&wanted, &mut taken) {
                names.insert((cluster.name.clone(), server.name.clone()), name);
            }
        }
    }
    names
}

/// Names of groups by those of their clusters.
fn group_names(config: &PluginConfig) -> HashMap<String, String> {
    let mut taken = BTreeSet::new();
    let name = |cluster: &ServerCluster| {
        let unique = unique(&cluster.name, &mut taken).map(|name| name.as_str().to_owned());
        (cluster.name.clone(), unique.unwrap_or_default())
    };
    config.clusters.iter().map(name).collect()
}

/// The text as a name that nobody has yet.
fn unique(text: &str, taken: &mut BTreeSet<String>) -> Option<Name> {
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '-' }).collect();
    let plain = plain.trim_start_matches(['-', '.', '_']);
    let short: String = if plain.is_empty() { "server".to_owned() } else { plain.chars().take(56).collect() };
    let candidates = std::iter::once(short.clone()).chain((2_u32..).map(|number| format!("{short}-{number}")));
    let mut free = candidates.filter(|candidate| !taken.contains(&candidate.to_ascii_lowercase()));
    let name = free.find_map(|candidate| Name::new(&candidate).ok())?;
    taken.insert(name.as_str().to_ascii_lowercase());
    Some(name)
}

struct Translation<'c> {
    config: &'c PluginConfig,
    names: HashMap<(String, String), Name>,
    groups: HashMap<String, String>,
    out: TomlText,
    remarks: Vec<Remark>,
}

/// The largest weight here.
const MAX_WEIGHT: u64 = 100;

impl Translation<'_> {
    fn remark(&mut self, line: u32, text: String) {
        self.remarks.push(Remark { line, text });
    }

    fn site(&mut self, front: &Front) {
        let ports = self.ports(front);
        self.out.object("[[cluster]]", 0, "");
        self.out.text("name", "plugin");
        self.out.text("address", &front.address.to_string());
        for port in ports {
            self.port(port);
        }
    }

    /// Where to listen: the web server knew, and the file does not say.
    fn ports(&mut self, front: &Front) -> Vec<u16> {
        let mut known: BTreeSet<u16> = BTreeSet::new();
        let mut any = self.config.hosts.is_empty();
        for host in self.config.hosts.values().flatten() {
            match host.name.rsplit_once(':').map(|(_, port)| port) {
                Some(port) if port != "*" => known.extend(port.parse::<u16>().ok().filter(|&port| port > 0)),
                _ => any = true,
            }
        }
        if !front.ports.is_empty() {
            return front.ports.clone();
        }
        let chosen = if any || known.contains(&80) { 80 } else { known.first().copied().unwrap_or(80) };
        known.remove(&chosen);
        let others: Vec<String> = known.iter().map(u16::to_string).collect();
        if !others.is_empty() {
            let text = format!(
                "virtual hosts name the ports {} too; only {chosen} is served, `--port` adds those that the web server listened on",
                others.join(", ")
            );
            self.remark(1, text);
        }
        vec![chosen]
    }

    fn port(&mut self, number: u16) {
        let all = || self.config.clusters.iter().flat_map(|cluster| &cluster.servers);
        let bound = all().map(|server| server.weight).max().unwrap_or(0).clamp(20, MAX_WEIGHT);
        let ttls: BTreeSet<u64> = all().filter_map(|server| server.ttl).collect();
        let with_ttl = all().find(|server| server.ttl.is_some()).map_or(1, |server| server.line);
        self.out.object("[[cluster.port]]", 1, "");
        self.out.number("number", number.into());
        self.out.text("method", "http");
        self.out.number("weightbound", bound);
        // Each answer of the plug-in's took the time of the server's answer, however long.
        self.out.number("idletimeout", 60);
        if let (Some(&ttl), 1) = (ttls.first(), ttls.len()) {
            self.out.number("pooltime", ttl.min(86_400));
        } else if ttls.len() > 1 {
            self.remark(
                with_ttl,
                "transports have different values of ConnectionTTL; `pooltime` of the port is one for all".to_owned(),
            );
        }
        self.trusted();
        let config = self.config;
        for cluster in &config.clusters {
            let scale = Scale::of(cluster);
            for server in &cluster.servers {
                self.server(cluster, server, &scale);
            }
        }
        for cluster in &config.clusters {
            self.group(cluster);
        }
        self.routes();
    }

    fn trusted(&mut self) {
        let (addresses, others): (Vec<&Host>, Vec<&Host>) =
            self.config.trusted.iter().partition(|proxy| proxy.name.parse::<Network>().is_ok());
        if !addresses.is_empty() {
            let list: Vec<String> = addresses.into_iter().map(|proxy| proxy.name.clone()).collect();
            self.out.list("trustedproxies", &list);
        }
        for Host { line, name } in others {
            let text =
                format!("trusted proxy `{name}` is named by host; `trustedproxies` takes addresses and networks");
            self.remark(*line, text);
        }
    }

    fn server(&mut self, cluster: &ServerCluster, server: &PluginServer, scale: &Scale) {
        let Some(name) = self.names.get(&(cluster.name.clone(), server.name.clone())).cloned() else { return };
        let comment = format!("server `{}` of cluster `{}`, line {}", server.name, cluster.name, server.line);
        self.out.object("[[cluster.port.server]]", 2, &comment);
        self.out.text("name", name.as_str());
        match &server.transport {
            Some((host, port)) => {
                self.out.text("address", host);
                self.out.number("mapport", u64::from(*port));
            }
            None => {
                self.out.text("address", "127.0.0.1");
                self.out.text("state", "down");
                let text = format!(
                    "server `{}` has an https transport only, so it is down here until TLS to servers is there",
                    server.name
                );
                self.remark(server.line, text);
            }
        }
        let weight = scale.weight(server.weight);
        if scale.rounds {
            let text = format!(
                "LoadBalanceWeight {} of server `{}` becomes {weight}: {MAX_WEIGHT} is the most here, and the weights of its cluster have no divisor in common",
                server.weight, server.name
            );
            self.remark(server.line, text);
        }
        self.out.number("weight", weight);
        self.out.flag("fixedweight", true);
        if let Some(id) = &server.clone_id {
            self.out.text("cloneid", id);
        }
        match server.role {
            Role::Primary => {}
            Role::Backup => self.out.flag("backup", true),
            Role::Out => {
                if server.transport.is_some() {
                    self.out.text("state", "quiesced-now");
                }
                let text =
                    format!("server `{}` is in neither list of its cluster, so it gets no requests", server.name);
                self.remark(server.line, text);
            }
        }
        self.timeouts(server);
        if server.extended_handshake {
            self.out.flag("extendedhandshake", true);
        }
        if server.max_connections > 0 {
            self.out.number("maxconnections", server.max_connections.min(1_000_000));
        }
        self.out.flag("privateheaders", true);
    }

    fn timeouts(&mut self, server: &PluginServer) {
        match server.connect_timeout {
            0 => {
                let text = format!(
                    "server `{}` has no ConnectTimeout, so the system's counted; here it is the port's 5 s",
                    server.name
                );
                self.remark(server.line, text);
            }
            seconds => self.out.number("connecttimeout", seconds.min(3600)),
        }
        match server.io_timeout {
            0 => {
                self.out.number("servertimeout", 86_400);
                let text = format!("server `{}` has no ServerIOTimeout; a day is the most here", server.name);
                self.remark(server.line, text);
            }
            seconds => self.out.number("servertimeout", seconds.unsigned_abs().min(86_400)),
        }
        if server.io_timeout < 0 {
            self.out.text("ontimeout", "mark");
        }
    }

    fn group(&mut self, cluster: &ServerCluster) {
        let members: Vec<String> = cluster
            .servers
            .iter()
            .filter_map(|server| self.names.get(&(cluster.name.clone(), server.name.clone())))
            .map(|name| name.as_str().to_owned())
            .collect();
        let comment = format!("cluster `{}`, line {}", cluster.name, cluster.line);
        self.out.object("[[cluster.port.group]]", 2, &comment);
        let name = self.group_name(&cluster.name).to_owned();
        self.out.text("name", &name);
        self.out.list("servers", &members);
        self.out.text("compat", "plugin");
        if cluster.is_random {
            self.out.text("balance", "random");
        }
        if !cluster.ignores_affinity {
            self.out.flag("ignoreaffinity", false);
        }
        self.out.number("retries", (members.len() as u64).saturating_sub(1).min(16));
        self.out.number("retryinterval", cluster.retry_interval.clamp(1, 86_400));
        self.out.bounded("iotimeoutretries", cluster.timeout_retries.map(|retries| retries.min(16)));
        self.out.bounded("postbuffersize", cluster.post_buffer.map(|kib| kib.min(1_048_576)));
        if let Some(limit) = cluster.post_limit {
            self.out.number("postsizelimit", limit.min(1_073_741_824));
        }
        if cluster.servers.iter().any(|server| server.max_connections > 0) {
            // The plug-in answers 503 at once where no server has room.
            self.out.number("maxqueue", 0);
        }
    }

    fn group_name(&self, cluster: &str) -> &str {
        self.groups.get(cluster).map_or("", String::as_str)
    }

    fn routes(&mut self) {
        let config = self.config;
        let mut taken = BTreeSet::new();
        for route in &config.routes {
            let Some(hosts) = self.hosts_of(route) else { continue };
            let Some((group, uris)) = route.uris.as_ref().and_then(|name| config.uris.get_key_value(name)) else {
                self.route(&route.cluster, route.line, (&hosts, &[]), None, &mut taken);
                continue;
            };
            if uris.is_empty() {
                self.remark(route.line, format!("route left out: UriGroup `{group}` has no path in it"));
            }
            for (first, same) in alike(uris) {
                let patterns = self.patterns(&same);
                if !patterns.is_empty() {
                    self.route(&route.cluster, route.line, (&hosts, &patterns), Some(first), &mut taken);
                }
            }
        }
    }

    /// The hosts of a route, empty where it has them all. `None`: its group has none that could be matched. Without hosts the
    /// route would match every one, the opposite of what the group says, so it is left out.
    fn hosts_of(&mut self, route: &PluginRoute) -> Option<Vec<String>> {
        let Some((group, hosts)) = route.hosts.as_ref().and_then(|name| self.config.hosts.get_key_value(name)) else {
            return Some(Vec::new());
        };
        let hosts = self.hosts(hosts);
        if hosts.is_none() {
            let text = format!("route left out: VirtualHostGroup `{group}` has no host that can be matched");
            self.remark(route.line, text);
        }
        hosts
    }

    /// `None`: no host is left; an empty list: every host.
    fn hosts(&mut self, hosts: &[Host]) -> Option<Vec<String>> {
        let mut patterns = Vec::new();
        for host in hosts {
            match host.name.parse::<HostPattern>() {
                Ok(pattern) => patterns.push(pattern.to_string()),
                Err(fault) => self.remark(host.line, format!("virtual host left out: {fault}")),
            }
        }
        if patterns.is_empty() {
            return None;
        }
        // A host that stands for all makes the list mean nothing.
        Some(if patterns.iter().any(|pattern| pattern == "*") { Vec::new() } else { patterns })
    }

    fn patterns(&mut self, uris: &[&Uri]) -> Vec<String> {
        let mut patterns = Vec::new();
        for uri in uris {
            match uri.name.parse::<UriPattern>() {
                Ok(pattern) => patterns.push(pattern.to_string()),
                Err(fault) => self.remark(uri.line, format!("path left out: {fault}")),
            }
        }
        patterns
    }

    fn route(
        &mut self,
        cluster: &str,
        line: u32,
        (hosts, uris): (&[String], &[String]),
        uri: Option<&Uri>,
        taken: &mut BTreeSet<String>,
    ) {
        let group = self.group_name(cluster).to_owned();
        let Some(name) = unique(&group, taken) else { return };
        self.out.object("[[cluster.port.route]]", 2, &format!("route in line {line}"));
        self.out.text("name", name.as_str());
        if !hosts.is_empty() {
            self.out.list("hosts", hosts);
        }
        if !uris.is_empty() {
            self.out.list("uris", uris);
        }
        self.out.text("group", &group);
        if let Some(uri) = uri.filter(|uri| uri.cookie != "JSESSIONID") {
            self.out.text("cookiename", &uri.cookie);
        }
        if let Some(uri) = uri.filter(|uri| uri.identifier != "jsessionid") {
            self.out.text("urlidentifier", &uri.identifier);
        }
    }
}

/// Paths with the same cookie and identifier, in their order, with the first of each.
fn alike(uris: &[Uri]) -> Vec<(&Uri, Vec<&Uri>)> {
    let mut sorted: Vec<(&Uri, Vec<&Uri>)> = Vec::new();
    for uri in uris {
        match sorted.iter_mut().find(|(first, _)| first.cookie == uri.cookie && first.identifier == uri.identifier) {
            Some((_, same)) => same.push(uri),
            None => sorted.push((uri, vec![uri])),
        }
    }
    sorted
}

/// How a cluster's weights get below our bound. Only what they have in common can be taken out without changing turns; where
/// that is not enough, they are rounded.
struct Scale {
    divisor: u64,
    /// The largest weight after the division.
    top: u64,
    rounds: bool,
}

impl Scale {
    fn of(cluster: &ServerCluster) -> Self {
        let weights = || cluster.servers.iter().map(|server| server.weight);
        let largest = weights().max().unwrap_or(0);
        let divisor = if largest <= MAX_WEIGHT { 1 } else { weights().fold(0, common_divisor).max(1) };
        let top = largest / divisor;
        Self { divisor, top, rounds: top > MAX_WEIGHT }
    }

    /// Never 0 for a server that gets requests.
    fn weight(&self, weight: u64) -> u64 {
        let weight = weight / self.divisor;
        if !self.rounds || weight == 0 {
            return weight;
        }
        let share = (u128::from(weight) * u128::from(MAX_WEIGHT) + u128::from(self.top) / 2) / u128::from(self.top);
        u64::try_from(share).unwrap_or(MAX_WEIGHT).clamp(1, MAX_WEIGHT)
    }
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

//! What a plugin-cfg.xml says, as values with their lines.

use std::collections::HashMap;

use super::Remark;
use super::xml::Element;
use crate::config::schema::Kind;

/// The file, as far as it means something here.
#[derive(Debug, Default)]
pub struct PluginConfig {
    pub refresh: i64,
    pub trusted: Vec<Host>,
    pub hosts: HashMap<String, Vec<Host>>,
    pub uris: HashMap<String, Vec<Uri>>,
    pub clusters: Vec<ServerCluster>,
    pub routes: Vec<PluginRoute>,
    pub remarks: Vec<Remark>,
    pub faults: Vec<Remark>,
}

/// A virtual host, as `*:80`, or a trusted proxy.
#[derive(Clone, Debug)]
pub struct Host {
    pub line: u32,
    pub name: String,
}

#[derive(Clone, Debug)]
pub struct Uri {
    pub line: u32,
    pub name: String,
    pub cookie: String,
    pub identifier: String,
}

#[derive(Clone, Debug)]
pub struct PluginRoute {
    pub line: u32,
    pub cluster: String,
    pub hosts: Option<String>,
    pub uris: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ServerCluster {
    pub line: u32,
    pub name: String,
    pub is_random: bool,
    pub retry_interval: u64,
    pub ignores_affinity: bool,
    /// KiB; `None`: no bound.
    pub post_limit: Option<u64>,
    /// KiB; `None`: all.
    pub post_buffer: Option<u64>,
    /// `None`: as many as there are servers.
    pub timeout_retries: Option<u64>,
    /// Primaries in their order, then backups in theirs.
    pub servers: Vec<PluginServer>,
}

#[derive(Clone, Debug)]
pub struct PluginServer {
    pub line: u32,
    pub name: String,
    pub clone_id: Option<String>,
    pub weight: u64,
    pub role: Role,
    /// Seconds; 0: no limit.
    pub connect_timeout: u64,
    /// Seconds; negative: a timeout marks; 0: none.
    pub io_timeout: i64,
    pub extended_handshake: bool,
    pub max_connections: u64,
    /// `None`: it has only transports that cannot be spoken here.
    pub transport: Option<(String, u16)>,
    pub ttl: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    Primary,
    Backup,
    /// In neither list although there are lists: the plug-in sends it nothing.
    Out,
}

/// Attributes and elements that need no equivalent or have none, each with what to do.
const REMARKS: [(&str, &str, &str); 21] = [
    ("Config", "ASDisableNagle", "Nagle's algorithm is always off here"),
    ("Config", "IISDisableNagle", "Nagle's algorithm is always off here"),
    (
        "Config",
        "AppServerPortPreference",
        "servers see the client's Host field and X-Forwarded-Port; nothing is to be set",
    ),
    ("Config", "ChunkedResponse", "responses are passed on as they come"),
    ("Config", "ResponseChunkSize", "responses are passed on as they come"),
    ("Config", "IISPluginPriority", "there is no IIS"),
    ("Config", "FIPSEnable", "TLS is not there yet"),
    ("Config", "HTTPMaxHeaders", "128 fields are the most here"),
    ("Config", "SSLConsolidate", "TLS is not there yet"),
    ("Config", "AcceptAllContent", "bodies of all methods are forwarded here, as with true"),
    ("Config", "VHostMatchingCompat", "the port of a virtual host is that of the Host field, as with false"),
    ("Config", "IgnoreDNSFailures", "a server whose name has no address is down until it has one, as with true"),
    ("ServerCluster", "GetDWLMTable", "partition tables are learnt from the first response; all workers share them"),
    (
        "ServerCluster",
        "RemoveSpecialHeaders",
        "private fields of clients are always removed; only `trustedproxies` may send them",
    ),
    ("ServerCluster", "CloneSeparatorChange", "`:`, `+` and `.` are understood side by side; nothing is to be set"),
    (
        "ServerCluster",
        "ClusterAddress",
        "requests without affinity go to the servers themselves, not to another balancer",
    ),
    ("Server", "WaitForContinue", "a client's own Expect: 100-continue is passed on; none is made up"),
    ("Server", "wsServerIOTimeout", "`staletimeout` of the port ends silent WebSocket connections"),
    ("Server", "wsServerIdleTimeout", "`staletimeout` of the port ends silent WebSocket connections"),
    ("Config", "Log", "access logs and diagnostics are `accesslog` of the port and [log]"),
    ("Config", "RequestMetrics", "`accesslog` and the metrics page tell about requests"),
];

/// What is known without a word.
const KNOWN: [(&str, &[&str]); 12] = [
    ("Config", &["RefreshInterval", "TrustedProxyEnable"]),
    ("VirtualHostGroup", &["Name"]),
    ("VirtualHost", &["Name"]),
    ("TrustedProxy", &["Name"]),
    ("UriGroup", &["Name"]),
    ("Uri", &["Name", "AffinityCookie", "AffinityURLIdentifier"]),
    ("Route", &["ServerCluster", "VirtualHostGroup", "UriGroup"]),
    (
        "ServerCluster",
        &[
            "Name",
            "LoadBalance",
            "RetryInterval",
            "IgnoreAffinityRequests",
            "PostSizeLimit",
            "PostBufferSize",
            "ServerIOTimeoutRetry",
        ],
    ),
    (
        "Server",
        &[
            "Name",
            "CloneID",
            "LoadBalanceWeight",
            "ConnectTimeout",
            "ServerIOTimeout",
            "ExtendedHandshake",
            "MaxConnections",
        ],
    ),
    ("Transport", &["Hostname", "Port", "Protocol", "ConnectionTTL"]),
    ("PrimaryServers", &[]),
    ("BackupServers", &[]),
];

const DEFAULT_WEIGHT: u64 = 2;
/// Of version 8 and later.
const DEFAULT_IO_TIMEOUT: i64 = 900;
const DEFAULT_RETRY_INTERVAL: u64 = 60;
const DEFAULT_REFRESH: i64 = 60;
const DEFAULT_POST_BUFFER: i64 = 64;

impl PluginConfig {
    /// Takes the tree of a file apart.
    pub fn of(root: &Element) -> Self {
        let mut config = Self { refresh: DEFAULT_REFRESH, ..Self::default() };
        if !root.name.eq_ignore_ascii_case("Config") {
            config.fault(root, format!("the root element is <{}>, not <Config>", root.name));
            return config;
        }
        config.remark_attributes(root);
        config.refresh = config.number(root, "RefreshInterval", DEFAULT_REFRESH);
        for child in &root.children {
            match child.name.to_ascii_lowercase().as_str() {
                "virtualhostgroup" => config.host_group(child),
                "urigroup" => config.uri_group(child),
                "servercluster" | "servergroup" => {
                    let cluster = config.cluster(child);
                    if config.clusters.iter().any(|known| known.name == cluster.name) {
                        config.fault(child, format!("there is a ServerCluster `{}` already", cluster.name));
                    }
                    config.clusters.push(cluster);
                }
                "route" => config.route(child),
                "trustedproxygroup" if !is_true(root.get("TrustedProxyEnable")) => {
                    config.remark(child, "TrustedProxyEnable is not true, so nobody is trusted".to_owned());
                }
                "trustedproxygroup" => {
                    config.children_are(child, "TrustedProxy");
                    let names = child.all("TrustedProxy").filter_map(host);
                    config.trusted.extend(names);
                }
                "property" => config.property(child),
                _ => config.unknown("Config", child),
            }
        }
        config
    }

    fn remark(&mut self, element: &Element, text: String) {
        self.remarks.push(Remark { line: element.line, text });
    }

    fn fault(&mut self, element: &Element, text: String) {
        self.faults.push(Remark { line: element.line, text });
    }

    fn unknown(&mut self, parent: &str, element: &Element) {
        let known = REMARKS.iter().find(|(of, name, _)| *of == parent && element.name.eq_ignore_ascii_case(name));
        let what = known.map_or("is not known and left out", |(_, _, what)| what);
        self.remark(element, format!("<{}>: {what}", element.name));
    }

    /// Groups are lists: what else is in one is not known, and each item has a name.
    fn children_are(&mut self, group: &Element, item: &str) {
        for child in &group.children {
            if child.name.eq_ignore_ascii_case(item) {
                self.remark_attributes(child);
                self.name_of(child);
            } else {
                self.unknown(&group.name, child);
            }
        }
    }

    fn remark_attributes(&mut self, element: &Element) {
        let known =
            KNOWN.iter().find(|(name, _)| element.name.eq_ignore_ascii_case(name)).map_or(&[][..], |(_, known)| known);
        for (name, _) in &element.attributes {
            if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                continue;
            }
            let said = REMARKS
                .iter()
                .find(|(of, word, _)| of.eq_ignore_ascii_case(&element.name) && word.eq_ignore_ascii_case(name));
            let what = said.map_or("is not known and left out", |(_, _, what)| what);
            self.remark(element, format!("{name} of <{}>: {what}", element.name));
        }
    }

    fn property(&mut self, element: &Element) {
        let name = element.get("Name").unwrap_or_default().to_owned();
        if name.starts_with("ESI") || name == "PluginInstallRoot" {
            let what = if name == "ESIEnable" {
                "edge side includes are not there; servers answer whole pages"
            } else {
                "it has no meaning here"
            };
            self.remark(element, format!("property {name}: {what}"));
        } else {
            self.remark(element, format!("property {name} is not known and left out"));
        }
    }

    fn host_group(&mut self, element: &Element) {
        self.remark_attributes(element);
        self.children_are(element, "VirtualHost");
        let Some(name) = self.name_of(element) else { return };
        let hosts: Vec<Host> = element.all("VirtualHost").filter_map(host).collect();
        if self.hosts.insert(name.clone(), hosts).is_some() {
            self.fault(element, format!("there is a VirtualHostGroup `{name}` already"));
        }
    }

    fn uri_group(&mut self, element: &Element) {
        self.remark_attributes(element);
        self.children_are(element, "Uri");
        let Some(name) = self.name_of(element) else { return };
        let uris: Vec<Uri> = element.all("Uri").filter_map(|uri| self.uri(uri)).collect();
        if self.uris.insert(name.clone(), uris).is_some() {
            self.fault(element, format!("there is a UriGroup `{name}` already"));
        }
    }

    fn uri(&mut self, element: &Element) -> Option<Uri> {
        let cookie = self.fitting(element, "AffinityCookie", (Kind::Route, "cookiename"));
        let identifier = self.fitting(element, "AffinityURLIdentifier", (Kind::Route, "urlidentifier"));
        Some(Uri {
            line: element.line,
            name: element.get("Name")?.to_owned(),
            cookie: cookie.unwrap_or_else(|| "JSESSIONID".to_owned()),
            identifier: identifier.unwrap_or_else(|| "jsessionid".to_owned()),
        })
    }

    fn route(&mut self, element: &Element) {
        self.remark_attributes(element);
        let Some(cluster) = element.get("ServerCluster").or(element.get("ServerGroup")) else {
            return self.fault(element, "<Route> names no ServerCluster".to_owned());
        };
        let own = |name| element.get(name).map(str::to_owned);
        self.routes.push(PluginRoute {
            line: element.line,
            cluster: cluster.to_owned(),
            hosts: own("VirtualHostGroup"),
            uris: own("UriGroup"),
        });
    }

    fn cluster(&mut self, element: &Element) -> ServerCluster {
        self.remark_attributes(element);
        let name = self.name_of(element).unwrap_or_default();
        let order = |list: &str| -> Option<Vec<String>> {
            let list = element.all(list).next()?;
            Some(list.all("Server").filter_map(|server| server.get("Name")).map(str::to_owned).collect())
        };
        let (primaries, backups) = (order("PrimaryServers"), order("BackupServers").unwrap_or_default());
        let mut servers: Vec<PluginServer> = Vec::new();
        for child in &element.children {
            match child.name.to_ascii_lowercase().as_str() {
                "server" => servers.extend(self.server(child)),
                "primaryservers" | "backupservers" => {}
                _ => self.unknown("ServerCluster", child),
            }
        }
        put_in_order(&mut servers, primaries.as_deref(), &backups);
        for name in primaries.iter().flatten().chain(&backups) {
            if !servers.iter().any(|server| server.name == *name) {
                self.fault(element, format!("cluster {name:?} lists server `{name}`, which it does not have"));
            }
        }
        self.servers_differ(&servers);
        ServerCluster {
            line: element.line,
            is_random: element.get("LoadBalance").is_some_and(|kind| kind.eq_ignore_ascii_case("Random")),
            retry_interval: self.count(element, "RetryInterval", DEFAULT_RETRY_INTERVAL),
            ignores_affinity: element
                .get("IgnoreAffinityRequests")
                .is_none_or(|value| !value.eq_ignore_ascii_case("false")),
            post_limit: u64::try_from(self.number(element, "PostSizeLimit", -1)).ok(),
            post_buffer: u64::try_from(self.number(element, "PostBufferSize", DEFAULT_POST_BUFFER)).ok(),
            timeout_retries: u64::try_from(self.number(element, "ServerIOTimeoutRetry", -1)).ok(),
            servers,
            name,
        }
    }

    /// Servers of a cluster are told apart by their names and by their clone ids.
    fn servers_differ(&mut self, servers: &[PluginServer]) {
        for (at, server) in servers.iter().enumerate() {
            let (name, before) = (&server.name, || servers.iter().take(at));
            let mut fault = |text| self.faults.push(Remark { line: server.line, text });
            if before().any(|other| other.name == *name) {
                fault(format!("its cluster has a server `{name}` already"));
            }
            let Some(id) = &server.clone_id else { continue };
            if let Some(other) = before().find(|other| other.clone_id.as_ref() == Some(id)) {
                let first = &other.name;
                fault(format!("servers `{first}` and `{name}` have the same CloneID `{id}`; each needs its own"));
            }
        }
    }

    fn server(&mut self, element: &Element) -> Option<PluginServer> {
        self.remark_attributes(element);
        let name = self.name_of(element)?;
        for child in element.children.iter().filter(|child| !child.name.eq_ignore_ascii_case("Transport")) {
            self.unknown("Server", child);
        }
        let (transport, ttl) = self.transport(element, &name);
        let connect_timeout = self.count(element, "ConnectTimeout", 0);
        let max = self.number(element, "MaxConnections", -1);
        if max > 0 {
            let text = format!(
                "MaxConnections {max} of server `{name}` is meant for each process of a web server; here it counts over all workers: multiply it by the number of processes there were"
            );
            self.remark(element, text);
        }
        Some(PluginServer {
            line: element.line,
            clone_id: self.fitting(element, "CloneID", (Kind::Server, "cloneid")),
            weight: self.count(element, "LoadBalanceWeight", DEFAULT_WEIGHT),
            role: Role::Primary,
            connect_timeout,
            io_timeout: self.number(element, "ServerIOTimeout", DEFAULT_IO_TIMEOUT),
            extended_handshake: is_true(element.get("ExtendedHandshake")),
            max_connections: u64::try_from(max).unwrap_or(0),
            ttl,
            transport,
            name,
        })
    }

    /// Where the server listens for plain HTTP, and how long its connections are kept.
    fn transport(&mut self, element: &Element, name: &str) -> (Option<(String, u16)>, Option<u64>) {
        let transports: Vec<&Element> = element.all("Transport").collect();
        for transport in &transports {
            self.remark_attributes(transport);
        }
        let is_plain = |transport: &&&Element| {
            transport.get("Protocol").is_none_or(|protocol| protocol.eq_ignore_ascii_case("http"))
        };
        let plain = transports.iter().find(is_plain).copied();
        let secure = transports.iter().find(|transport| !is_plain(transport));
        if let Some(secure) = secure {
            let keys = secure
                .all("Property")
                .any(|property| property.get("Value").is_some_and(|value| value.ends_with(".kdb")));
            let what = if keys {
                "TLS to servers is not there yet, and key stores in IBM's .kdb form are not read: `gskcapicmd -cert -extract -format ascii` makes PEM files of them"
            } else {
                "TLS to servers is not there yet"
            };
            self.remark(secure, format!("https transport of server `{name}`: {what}"));
        }
        if transports.is_empty() {
            self.fault(element, format!("server `{name}` has no <Transport>"));
        }
        let transport = plain.and_then(|plain| {
            let host = self.fitting(plain, "Hostname", (Kind::Server, "address"));
            if plain.get("Hostname").is_none_or(str::is_empty) {
                self.fault(plain, format!("the transport of server `{name}` has no Hostname"));
            }
            let port = plain.get("Port").and_then(|port| port.trim().parse::<u16>().ok()).filter(|port| *port > 0);
            if port.is_none() {
                self.fault(plain, format!("the transport of server `{name}` has no port from 1 to 65535"));
            }
            Some((host?, port?))
        });
        let ttl = plain.and_then(|plain| plain.get("ConnectionTTL")).and_then(|ttl| ttl.trim().parse().ok());
        (transport, ttl)
    }

    fn name_of(&mut self, element: &Element) -> Option<String> {
        let name = element.get("Name").map(str::to_owned).filter(|name| !name.is_empty());
        if name.is_none() {
            self.fault(element, format!("<{}> has no Name", element.name));
        }
        name
    }

    /// An attribute that goes into a keyword of ours as it is. What the keyword does not take is at fault here, where it has
    /// its line, and not only in the configuration that is made of it.
    fn fitting(&mut self, element: &Element, attribute: &str, (kind, word): (Kind, &str)) -> Option<String> {
        let text = element.get(attribute).filter(|text| !text.is_empty())?;
        let keyword = kind.keyword(word)?;
        if let Err(refusal) = keyword.value.read(text) {
            self.fault(element, format!("{attribute} of <{}> is {}", element.name, refusal.message()));
            return None;
        }
        Some(text.to_owned())
    }

    fn count(&mut self, element: &Element, word: &str, default: u64) -> u64 {
        u64::try_from(self.number(element, word, i64::try_from(default).unwrap_or(i64::MAX))).unwrap_or(default)
    }

    fn number(&mut self, element: &Element, word: &str, default: i64) -> i64 {
        let Some(text) = element.get(word) else { return default };
        text.trim().parse().unwrap_or_else(|_| {
            self.fault(
                element,
                format!("{word} of <{}> is a whole number, not `{}`", element.name, text.escape_debug()),
            );
            default
        })
    }
}

/// `None`: it has no name.
fn host(element: &Element) -> Option<Host> {
    Some(Host { line: element.line, name: element.get("Name")?.to_owned() })
}

fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Gives each server its role, and puts primaries in their order before backups in theirs.
fn put_in_order(servers: &mut [PluginServer], primaries: Option<&[String]>, backups: &[String]) {
    let place_in = |list: &[String], server: &PluginServer| list.iter().position(|name| *name == server.name);
    for server in servers.iter_mut() {
        server.role = match primaries {
            _ if backups.contains(&server.name) => Role::Backup,
            Some(primaries) if !primaries.contains(&server.name) => Role::Out,
            _ => Role::Primary,
        };
    }
    servers.sort_by_key(|server| match server.role {
        Role::Primary => (0, primaries.and_then(|list| place_in(list, server))),
        Role::Backup => (1, place_in(backups, server)),
        Role::Out => (2, None),
    });
}

//! The nouns everybody shares: clusters, ports, servers, rules, advisors and what can be said of them.
//!
//! A value of this room is already right: names are spelled as the grammar allows, numbers are inside
//! their range, references point to something. There is no text format, no clock and no I/O here;
//! `config` turns what an operator wrote into these values.

mod advisor;
mod cluster;
mod content;
mod header_edit;
mod id;
mod limits;
mod name;
mod pair;
mod policy;
mod port;
mod port_limits;
mod quantity;
mod route;
mod rule;
mod server;
mod settings;
mod state;
mod timings;
mod tls;

pub use advisor::{Advisor, AdvisorKey, AdvisorKind, AdvisorScope, AdvisorTimeout};
pub use cluster::{Claim, Cluster, Proportions, ProportionsNotWhole, Unserved};
pub use content::{ContentFault, ContentPattern, Subject};
pub use header_edit::{HeaderEdit, HeaderEditFault};
pub use id::{AccessLogId, PortId, ServerId};
pub use limits::{
    MAX_CLUSTERS, MAX_GROUPS_PER_PORT, MAX_NAME, MAX_PORT_RANGES, MAX_PORTS, MAX_ROUTE_PATTERNS, MAX_ROUTES_PER_PORT,
    MAX_RULES_PER_PORT, MAX_SERVERS, MAX_SERVERS_PER_PORT,
};
pub use name::{Name, NameFault};
pub use pair::{HeartbeatPath, MOST_PATHS, MOST_REACH_TARGETS, PairRole, PairSettings, Reach, Recovery, Side, Tracked};
pub use policy::{Compat, CookieAffinity, Group, Policy};
pub use port::{
    AccessLog, AccessLogFormat, AllDown, Balance, ForwardedHeaders, ForwardingMethod, Misdirected, Network,
    NetworkFault, OnDown, PacketSettings, Port, PortKey, ProxyVersion, SelectionAlgorithm, SorryPage, Timeouts,
};
pub use port_limits::{Http2Limits, PortLimits};
pub use quantity::{OutOfRange, PortNumber, StickyMask, Weight, WeightBound};
pub use route::{Destination, Fit, HostPattern, PatternFault, Redirect, Route, UriPattern};
pub use rule::{Evaluate, HourRange, IpRange, NumberRange, Rule, RuleType};
pub use server::{ProxiedServer, Server, ServerHost, ServerKey};
pub use settings::{
    AlertSettings, ControlSettings, Engine, EngineSettings, ExecutorSettings, LogFormat, LogLevel, LogSettings,
    ManagerSettings, MetricsSettings, XdpMode,
};
pub use state::{AdministrativeState, DownReason, Health, Standing};
pub use timings::{Timings, TimingsError};
pub use tls::{
    AppProtocol, CipherSuite, ClientCertificates, ClientIssuers, KeyExchange, PortTls, ServerTls, TlsPolicy,
    TlsVersion, UnknownWord,
};

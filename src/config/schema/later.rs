//! Words that IBM's users know and that belong to later versions, or mean nothing here.

use super::Kind;

/// A known word that Tsuji does not act on.
#[derive(Debug)]
pub struct Later {
    pub kind: Kind,
    pub word: &'static str,
    /// Values with which it changes nothing and is accepted with a warning; `["*"]`: all values.
    pub harmless: &'static [&'static str],
    /// What is to be known, and what would be right.
    pub sentence: &'static str,
}

impl Later {
    /// Whether the word may be accepted with this value, as it changes nothing.
    pub fn is_harmless(&self, value: &str) -> bool {
        self.harmless.iter().any(|harmless| *harmless == "*" || harmless.eq_ignore_ascii_case(value))
    }
}

/// The known later word of a kind, spelled in full.
pub fn later(kind: Kind, word: &str) -> Option<&'static Later> {
    LATER.iter().find(|later| later.kind == kind && later.word.eq_ignore_ascii_case(word))
}

/// The known later words of a kind.
pub fn later_words(kind: Kind) -> impl Iterator<Item = &'static Later> {
    LATER.iter().filter(move |later| later.kind == kind)
}

/// What is to be said of an object or table that belongs to later versions.
pub fn later_object(word: &str) -> Option<&'static str> {
    LATER_OBJECTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, sentence)| *sentence)
}

pub(super) const METHODS: &[(&str, &str)] = &[
    ("nat", "method http or tcp would be right"),
    ("cbr", "method http would be right"),
    ("encap", "method http or tcp would be right"),
];

pub(super) const RULE_TYPES: &[(&str, &str)] = &[
    ("port", "rules by the client's source port are not there"),
    ("service", "rules by type of service are not there"),
    ("reservedbandwidth", "bandwidth is not measured; type connection or active would be right"),
    ("sharedbandwidth", "bandwidth is not measured; type connection or active would be right"),
    ("metricall", "metrics of servers are not there"),
    ("metricavg", "metrics of servers are not there"),
];

pub(super) const ADVISORS: &[(&str, &str)] = &[
    ("ftp", CONNECT_INSTEAD),
    ("dns", CONNECT_INSTEAD),
    ("imap", CONNECT_INSTEAD),
    ("pop3", CONNECT_INSTEAD),
    ("smtp", CONNECT_INSTEAD),
    ("nntp", CONNECT_INSTEAD),
    ("telnet", CONNECT_INSTEAD),
    ("sip", CONNECT_INSTEAD),
    ("db2", CONNECT_INSTEAD),
    ("ldap", CONNECT_INSTEAD),
    ("ldapuri", CONNECT_INSTEAD),
    ("ssl", "advisor https or connect would be right"),
    ("ssl2http", "advisor http would be right"),
    ("cachingproxy", "advisor http would be right"),
    ("ibmproxy", "advisor http would be right"),
    ("reach", "reach targets belong to the pair: `highavailability reach add` would be right"),
    ("self", CONNECT_INSTEAD),
    ("wlm", CONNECT_INSTEAD),
];

const CONNECT_INSTEAD: &str = "advisor connect would be right";
const REPLICATION: &str = "the copying of tables between dispatchers is not there yet";
const BOUNDED: &str = "the bounds are fixed: 4096 clusters, 4096 ports, 1024 servers per port";
const TCP_ONLY: &str = "ports are TCP ports";
const NO_METRICS: &str = "metrics of servers are not there yet";
const SOURCE: &str = "servers answer the proxy itself; method nat is not there yet";
const ENCAPSULATION: &str = "encapsulation is not there yet";
const COOKIES: &str = "affinity by cookies belongs to ports and groups: `affinity`, `cookiename` and the servers' `cloneid` would be right";
const DIAGNOSTICS: &str =
    "diagnostics have one level, which `set loglevel` sets, and rotation is the service manager's business";

static LATER: &[Later] = &[
    word(Kind::Executor, "nfa", &["*"], "a proxy needs no non-forwarding address"),
    word(Kind::Executor, "clientgateway", &["*"], "the routes of the system are used"),
    word(Kind::Executor, "clientgateway6", &["*"], "the routes of the system are used"),
    word(Kind::Executor, "fincount", &["*"], "`fintimeout` of the port would be right"),
    word(Kind::Executor, "fintimeout", &["*"], "`fintimeout` of the port would be right"),
    word(Kind::Executor, "mss", &["*"], "the system negotiates segment sizes"),
    word(Kind::Executor, "maxclusters", &["*"], BOUNDED),
    word(Kind::Executor, "maxports", &["*"], BOUNDED),
    word(Kind::Executor, "maxservers", &["*"], BOUNDED),
    word(Kind::Executor, "porttype", &["tcp", "both"], TCP_ONLY),
    word(Kind::Executor, "hatimeout", &[], "`highavailability set hatimeout` would be right"),
    word(Kind::Executor, "hasynctimeout", &[], REPLICATION),
    word(Kind::Executor, "wideportnumber", &["0"], "forwarding between sites is not there"),
    word(Kind::Executor, "sharedbandwidth", &["0"], "bandwidth is not measured"),
    word(Kind::Manager, "loglevel", &["*"], DIAGNOSTICS),
    word(Kind::Manager, "logsize", &["*"], DIAGNOSTICS),
    word(Kind::Log, "logsize", &["*"], DIAGNOSTICS),
    word(Kind::Advisor, "loglevel", &["*"], DIAGNOSTICS),
    word(Kind::Advisor, "logsize", &["*"], DIAGNOSTICS),
    word(Kind::Cluster, "maxports", &["*"], BOUNDED),
    word(Kind::Cluster, "maxservers", &["*"], BOUNDED),
    word(Kind::Cluster, "porttype", &["tcp", "both"], TCP_ONLY),
    word(Kind::Cluster, "sharedbandwidth", &["0"], "bandwidth is not measured"),
    word(Kind::Port, "porttype", &["tcp", "both"], TCP_ONLY),
    word(Kind::Port, "maxservers", &["*"], BOUNDED),
    word(Kind::Port, "protocol", &["http"], "TLS to clients is not there yet"),
    word(Kind::Port, "repstrategy", &["none"], REPLICATION),
    word(Kind::Port, "maxhalfopen", &["0"], "the system's SYN cookies meet floods of half-open connections"),
    word(Kind::Server, "cookievalue", &[], COOKIES),
    word(Kind::Server, "collocation", &[], "the word is `collocated`"),
    word(Kind::Server, "router", &["0.0.0.0"], "the routes of the system are used"),
    word(Kind::Server, "returnaddress", &[], SOURCE),
    word(Kind::Server, "nat", &["no"], SOURCE),
    word(Kind::Server, "encapforward", &["no"], ENCAPSULATION),
    word(Kind::Server, "encaptype", &[], ENCAPSULATION),
    word(Kind::Server, "encapcond", &[], ENCAPSULATION),
    word(Kind::Server, "protocol", &["http"], "TLS to servers is not there yet"),
    word(Kind::Rule, "sharelevel", &[], "bandwidth is not measured"),
    word(Kind::Rule, "tos", &[], "rules by type of service are not there"),
    word(Kind::Rule, "affinity", &["none"], COOKIES),
    word(Kind::Rule, "cookiename", &[], COOKIES),
    word(Kind::Rule, "stickytime", &["0"], COOKIES),
];

static LATER_OBJECTS: &[(&str, &str)] = &[
    ("metric", NO_METRICS),
    ("binlog", "binary statistics are not there; Prometheus scrapes the metrics listener"),
    ("subagent", "SNMP is not there; Prometheus scrapes the metrics listener"),
    ("host", "remote administration is not there yet"),
];

const fn word(kind: Kind, word: &'static str, harmless: &'static [&'static str], sentence: &'static str) -> Later {
    Later { kind, word, harmless, sentence }
}

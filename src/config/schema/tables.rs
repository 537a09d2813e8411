//! The table of all objects and keywords.
//!
//! Defaults are IBM's where IBM has them; the others carry their reason here.

use super::Preset::{Decimal, Flag, List, Parts, Seconds, Text, Told, Unlimited, Whole, Word};
use super::{Keyword, Usage, ValueKind, later};

/// A kind of object.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Executor,
    Manager,
    Control,
    Metrics,
    Log,
    Cluster,
    Port,
    Server,
    Rule,
    Advisor,
}

/// A kind of object with its keywords, in the order in which they are printed.
#[derive(Debug)]
pub struct ObjectSchema {
    pub kind: Kind,
    /// Its word in TOML and in commands.
    pub word: &'static str,
    pub help: &'static str,
    pub keywords: &'static [Keyword],
    /// The kinds of objects within it.
    pub children: &'static [Kind],
}

impl Kind {
    pub fn schema(self) -> &'static ObjectSchema {
        match self {
            Self::Executor => &EXECUTOR,
            Self::Manager => &MANAGER,
            Self::Control => &CONTROL,
            Self::Metrics => &METRICS,
            Self::Log => &LOG,
            Self::Cluster => &CLUSTER,
            Self::Port => &PORT,
            Self::Server => &SERVER,
            Self::Rule => &RULE,
            Self::Advisor => &ADVISOR,
        }
    }

    pub fn word(self) -> &'static str {
        self.schema().word
    }

    /// Whether there is exactly one of it.
    pub fn is_single(self) -> bool {
        matches!(self, Self::Executor | Self::Manager | Self::Control | Self::Metrics | Self::Log)
    }

    /// The keyword, spelled in full and in lower case.
    pub fn keyword(self, word: &str) -> Option<&'static Keyword> {
        self.schema().keywords.iter().find(|keyword| keyword.word == word)
    }
}

/// All kinds, in the order in which they are printed.
pub static OBJECTS: [&ObjectSchema; 10] =
    [&EXECUTOR, &MANAGER, &CONTROL, &METRICS, &LOG, &CLUSTER, &PORT, &SERVER, &RULE, &ADVISOR];

/// Keywords whose value is copied at creation: from the executor into a cluster, from a cluster into a port.
pub static INHERITED: [&str; 5] = ["stickytime", "stickymask", "stickymask6", "weightbound", "staletimeout"];

static EXECUTOR: ObjectSchema = ObjectSchema {
    kind: Kind::Executor,
    word: "executor",
    help: "forwards; its sticky, weight and stale settings are copied into clusters created later",
    keywords: &[
        Keyword::new("workers", whole(0, 1024), Whole(0), "proxy threads; 0: one per CPU"),
        Keyword::new(
            "maxconnections",
            whole(0, 10_000_000),
            Whole(0),
            "client connections over all ports; 0: as many as file descriptors allow",
        ),
        // 262,144 records of some 100 bytes: 25 MiB.
        Keyword::new(
            "maxaffinity",
            whole(1, 16_777_216),
            Whole(262_144),
            "affinity records; beyond it the longest unused one makes room",
        ),
        // systemd's own patience with a service that stops is 90 s.
        Keyword::new(
            "draintime",
            fractions(0, 86_400),
            Seconds(30),
            "how long running exchanges may take to end when the daemon stops",
        ),
        STICKYTIME,
        STICKYMASK,
        STICKYMASK6,
        WEIGHTBOUND,
        STALETIMEOUT,
    ],
    children: &[],
};

static MANAGER: ObjectSchema = ObjectSchema {
    kind: Kind::Manager,
    word: "manager",
    help: "turns measurements into weights",
    keywords: &[
        Keyword::new(
            "running",
            ValueKind::Flag,
            Flag(true),
            "no: weights stay what they are; verdicts of advisors still count",
        )
        .used(Usage::Elsewhere("manager start | manager stop"))
        .lean(),
        Keyword::new("interval", fractions(100, 3600), Seconds(2), "between two rounds"),
        Keyword::new("refresh", whole(1, 1000), Whole(2), "connection counts are taken every so many rounds"),
        Keyword::new(
            "sensitivity",
            whole(1, 100),
            Whole(5),
            "percent by which a port's sum of weights must change before new ones are used",
        ),
        // Below 1 a step would go beyond its target.
        Keyword::new(
            "smoothing",
            ValueKind::Decimal { least: 1, most: 1000 },
            Decimal(1.5),
            "the larger, the smaller the step towards the target",
        ),
        Keyword::new(
            "velocitylimit",
            ValueKind::Flag,
            Flag(false),
            "at most max(1, 20 %) of a port's servers are taken out by advisors per advisor interval",
        ),
        Keyword::new(
            "failopen",
            ValueKind::Flag,
            Flag(false),
            "with less than half of a port's servers healthy, verdicts of advisors are set aside",
        ),
    ],
    children: &[],
};

static CONTROL: ObjectSchema = ObjectSchema {
    kind: Kind::Control,
    word: "control",
    help: "where dscontrol comes in",
    keywords: &[
        Keyword::new(
            "socket",
            ValueKind::AbsolutePath,
            Told("/run/tsuji/control.sock, for other users than root in $XDG_RUNTIME_DIR"),
            "the control socket",
        ),
        Keyword::new("mode", ValueKind::Mode, Text("0660"), "permission bits of the socket"),
        Keyword::new("owner", ValueKind::Account, Told("the daemon's user"), "owner of the socket"),
        Keyword::new("group", ValueKind::Account, Told("the daemon's group"), "group of the socket"),
        Keyword::new(
            "statedir",
            ValueKind::AbsolutePath,
            Told("/var/lib/tsuji, for other users than root in $XDG_STATE_HOME"),
            "keeps overrides and the last good configuration",
        ),
    ],
    children: &[],
};

static METRICS: ObjectSchema = ObjectSchema {
    kind: Kind::Metrics,
    word: "metrics",
    help: "where Prometheus comes in",
    keywords: &[
        // Loopback: names and addresses of servers are nobody else's business until the operator says so.
        Keyword::new(
            "listen",
            ValueKind::Listen,
            Text("127.0.0.1:9150"),
            "address and port of /metrics and /healthz; empty: off",
        ),
    ],
    children: &[],
};

static LOG: ObjectSchema = ObjectSchema {
    kind: Kind::Log,
    word: "log",
    help: "diagnostics on stderr",
    keywords: &[
        Keyword::new(
            "loglevel",
            whole(0, 5),
            Whole(1),
            "0 nothing, 1 changes of state and faults, 2 and 3 information, 4 debugging, 5 everything",
        ),
        Keyword::new(
            "format",
            choice(&["text", "json"]),
            Word("text"),
            "for people or for programs (in commands: set logformat)",
        ),
    ],
    children: &[],
};

static CLUSTER: ObjectSchema = ObjectSchema {
    kind: Kind::Cluster,
    word: "cluster",
    help: "a virtual address; its sticky, weight and stale settings are copied into ports created later",
    keywords: &[
        Keyword::new("name", ValueKind::Name, Told("must be given"), "how commands and reports call it")
            .used(Usage::Identity),
        Keyword::new("address", ValueKind::Address, Told("its name"), "the address that clients connect to")
            .used(Usage::Add),
        Keyword::new(
            "proportions",
            ValueKind::Proportions,
            Parts([50, 50, 0, 0]),
            "percent that active connections, new connections, advisors and system metrics count",
        ),
        STICKYTIME,
        STICKYMASK,
        STICKYMASK6,
        WEIGHTBOUND,
        STALETIMEOUT,
    ],
    children: &[Kind::Port],
};

static PORT: ObjectSchema = ObjectSchema {
    kind: Kind::Port,
    word: "port",
    help: "a TCP port of a cluster",
    keywords: &[
        Keyword::new("number", whole(1, 65535), Told("must be given"), "the TCP port").used(Usage::Identity),
        Keyword::new(
            "method",
            ValueKind::Choice { words: &["http", "tcp"], later: later::METHODS },
            Told("must be given"),
            "requests are forwarded one by one (http), or bytes both ways (tcp)",
        )
        .used(Usage::Add),
        STICKYTIME,
        STICKYMASK,
        STICKYMASK6,
        Keyword::new(
            "crossport",
            whole(1, 65535),
            Told("its own number"),
            "the port of the same cluster whose affinity records it shares",
        ),
        WEIGHTBOUND,
        // IBM spreads. A proxy can do better than to try servers known dead: it can answer.
        Keyword::new(
            "all-down",
            choice(&["refuse", "spread"]),
            Word("refuse"),
            "when no server is usable: sorry page or close, or round robin over all of them",
        ),
        Keyword::new(
            "ondown",
            choice(&["keep", "purge"]),
            Word("keep"),
            "running connections of a server that an advisor calls down",
        ),
        // The timeouts are absolute and as in the field: long enough for a slow line, short enough for a flood of slow heads.
        Keyword::new("headtimeout", fractions(100, 3600), Seconds(10), "for a whole request head").http_only(),
        Keyword::new("idletimeout", fractions(100, 86_400), Seconds(60), "between requests of a kept-alive client")
            .http_only(),
        Keyword::new("bodytimeout", fractions(100, 86_400), Seconds(60), "without a byte of a body").http_only(),
        Keyword::new("connecttimeout", fractions(100, 3600), Seconds(5), "for a connection to a server"),
        Keyword::new(
            "servertimeout",
            fractions(100, 86_400),
            Seconds(60),
            "from the end of a request to the head of its response",
        )
        .http_only(),
        STALETIMEOUT,
        // Shorter than the 30 s and more after which servers close idle connections themselves.
        Keyword::new(
            "pooltime",
            fractions(0, 86_400),
            Seconds(28),
            "how long an unused connection to a server is kept",
        )
        .http_only(),
        Keyword::new("poolsize", whole(0, 65535), Whole(64), "unused connections that one worker keeps per server")
            .http_only(),
        Keyword::new("retries", whole(0, 16), Whole(2), "other servers tried when one cannot be connected"),
        Keyword::new(
            "maxconnections",
            whole(0, 10_000_000),
            Whole(0),
            "client connections of this port; 0: no bound of its own",
        ),
        Keyword::new(
            "sorrypage",
            ValueKind::Path,
            Text(""),
            "file, or directory with index.html, sent when no server can answer; relative to the configuration file",
        )
        .http_only(),
        Keyword::new("sorrystatus", whole(200, 599), Whole(503), "status of the sorry page").http_only(),
        Keyword::new(
            "retryafter",
            whole(0, 31_536_000),
            Whole(30),
            "seconds in Retry-After of the sorry page; 0: no such header",
        )
        .http_only(),
        Keyword::new(
            "sorrycache",
            ValueKind::HeaderValue,
            Text("no-store"),
            "Cache-Control of the sorry page; empty: no such header",
        )
        .http_only(),
        Keyword::new("trustedproxies", ValueKind::Networks, List(&[]), "peers whose forwarding headers are believed")
            .http_only(),
        Keyword::new(
            "forwarded",
            choice(&["x-forwarded", "forwarded", "both", "off"]),
            Word("x-forwarded"),
            "headers that tell servers who the client is",
        )
        .http_only(),
        Keyword::new(
            "upgrade",
            ValueKind::Protocols,
            List(&["websocket"]),
            "protocols that clients may upgrade to; * is any but h2c",
        )
        .http_only(),
    ],
    children: &[Kind::Server, Kind::Rule],
};

static SERVER: ObjectSchema = ObjectSchema {
    kind: Kind::Server,
    word: "server",
    help: "a back end of a port",
    keywords: &[
        Keyword::new("name", ValueKind::Name, Told("must be given"), "how commands and reports call it")
            .used(Usage::Identity),
        Keyword::new("address", ValueKind::Host, Told("its name"), "IP address or host name").used(Usage::Add),
        Keyword::new("mapport", whole(1, 65535), Told("the port's number"), "the TCP port where the server listens"),
        Keyword::new(
            "weight",
            whole(0, 100),
            Told("half of the port's weightbound"),
            "its share of new connections to start from; 0: no new ones",
        ),
        Keyword::new("fixedweight", ValueKind::Flag, Flag(false), "the manager leaves the weight alone"),
        Keyword::new(
            "sticky",
            ValueKind::Flag,
            Flag(true),
            "no: clients do not stay when a rule chose it (sorry and overflow servers)",
        ),
        Keyword::new(
            "advisorrequest",
            ValueKind::RequestLine,
            Text("HEAD / HTTP/1.0"),
            "what the http and https advisors send",
        ),
        Keyword::new(
            "advisorresponse",
            ValueKind::Phrase,
            Text(""),
            "what an answer must contain; empty: any answer is good",
        ),
        Keyword::new(
            "state",
            choice(&["up", "quiesced", "quiesced-now", "down"]),
            Word("up"),
            "what the operator wants of it",
        )
        .used(Usage::Elsewhere("manager quiesce | manager unquiesce | server down | server up"))
        .lean(),
    ],
    children: &[],
};

static RULE: ObjectSchema = ObjectSchema {
    kind: Kind::Rule,
    word: "rule",
    help: "which servers may take a new connection, under which condition",
    keywords: &[
        Keyword::new("name", ValueKind::RuleName, Told("must be given"), "how commands and reports call it")
            .used(Usage::Identity),
        Keyword::new(
            "type",
            ValueKind::Choice { words: &["true", "active", "connection", "ip", "time"], later: later::RULE_TYPES },
            Told("must be given"),
            "the condition",
        )
        .used(Usage::Add),
        Keyword::new(
            "beginrange",
            ValueKind::Bound,
            Told("the least"),
            "connections, connections per second, client address or local hour",
        ),
        Keyword::new(
            "endrange",
            ValueKind::Bound,
            Told("the most"),
            "the end of the range; for hours the first that is outside",
        ),
        Keyword::new(
            "priority",
            whole(0, 1_000_000_000),
            Told("1 for the first rule, then the largest + 10"),
            "lower is asked first",
        ),
        Keyword::new(
            "evaluate",
            choice(&["port", "rule"]),
            Word("port"),
            "load of all servers of the port, or of the rule's own (active and connection)",
        ),
        Keyword::new(
            "servers",
            ValueKind::Names,
            List(&[]),
            "the servers that may be chosen; none: the connection is refused",
        )
        .used(Usage::Elsewhere("rule useserver | rule dropserver"))
        .lean(),
    ],
    children: &[],
};

static ADVISOR: ObjectSchema = ObjectSchema {
    kind: Kind::Advisor,
    word: "advisor",
    help: "probes servers",
    keywords: &[
        Keyword::new(
            "name",
            ValueKind::Choice { words: &["http", "https", "connect", "ping"], later: later::ADVISORS },
            Told("must be given"),
            "what a probe does",
        )
        .used(Usage::Identity),
        Keyword::new("cluster", ValueKind::Name, Told("all clusters"), "only servers of this cluster")
            .used(Usage::Identity),
        Keyword::new("port", whole(1, 65535), Told("must be given"), "the port whose servers are probed")
            .used(Usage::Identity),
        Keyword::new("interval", fractions(100, 86_400), Seconds(7), "between two probes of one server"),
        Keyword::new(
            "timeout",
            ValueKind::FractionsOrUnlimited { least_ms: 100, most: 32_000_000 },
            Unlimited,
            "how long a load value counts; a verdict of down never expires",
        ),
        Keyword::new("connecttimeout", fractions(100, 86_400), Told("3 × interval"), "for the connection"),
        Keyword::new(
            "receivetimeout",
            fractions(100, 86_400),
            Told("3 × interval"),
            "for the whole answer after the connection",
        ),
        Keyword::new("retries", whole(0, 100), Whole(0), "failures in a row that are forgiven"),
        // Certificates of servers seldom name the address they are probed at.
        Keyword::new("verify", ValueKind::Flag, Flag(false), "https: the server's certificate must be valid"),
    ],
    children: &[],
};

// A record without end is a leak, so 32,000,000 s (a year), IBM's own largest default, is the most.
const STICKYTIME: Keyword = Keyword::new(
    "stickytime",
    seconds(0, 32_000_000),
    Seconds(0),
    "how long a client stays with its server; 0: no affinity",
);
const STICKYMASK: Keyword =
    Keyword::new("stickymask", whole(1, 32), Whole(32), "leading bits of an IPv4 client that make it the same client");
const STICKYMASK6: Keyword = Keyword::new(
    "stickymask6",
    whole(1, 128),
    Whole(128),
    "leading bits of an IPv6 client that make it the same client",
);
const WEIGHTBOUND: Keyword =
    Keyword::new("weightbound", whole(1, 100), Whole(20), "the largest weight that the manager gives");
const STALETIMEOUT: Keyword = Keyword::new(
    "staletimeout",
    fractions(100, 32_000_000),
    Told("300, port 21: 900, port 23: 32000000"),
    "without a byte in either direction on a tcp connection or tunnel",
);

const fn whole(least: u64, most: u64) -> ValueKind {
    ValueKind::Whole { least, most }
}

const fn seconds(least: u64, most: u64) -> ValueKind {
    ValueKind::Seconds { least, most }
}

const fn fractions(least_ms: u64, most: u64) -> ValueKind {
    ValueKind::Fractions { least_ms, most }
}

const fn choice(words: &'static [&'static str]) -> ValueKind {
    ValueKind::Choice { words, later: &[] }
}

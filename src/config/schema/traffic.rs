//! Keywords of what carries traffic: clusters, ports, servers, rules, and the advisors that probe.
//!
//! Defaults are IBM's where IBM has them; the others carry their reason here.

use super::Preset::{Flag, List, Parts, Seconds, Text, Told, Unlimited, Whole, Word};
use super::inherited::{STALETIMEOUT, STICKYMASK, STICKYMASK6, STICKYTIME, WEIGHTBOUND};
use super::keyword::joined;
use super::limits::{self, PORT_LIMIT_KEYWORDS};
use super::policy::{self, POLICY_KEYWORDS};
use super::tls::{self, PORT_TLS_KEYWORDS, SERVER_TLS_KEYWORDS};
use super::value_kind::{choice, fractions, whole};
use super::{Keyword, Kind, ObjectSchema, Usage, ValueKind, later};

pub(super) static CLUSTER: ObjectSchema = ObjectSchema {
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
        Keyword::new(
            "claim",
            choice(&["auto", "none"]),
            Word("auto"),
            "with mac ports: answer ARP and neighbour discovery for the address while active, or leave that to others",
        ),
        // One value per machine, the same file on both: the machine that has the address among its heartbeats is the primary.
        Keyword::new(
            "primaryhost",
            ValueKind::Address,
            Told("none"),
            "in a pair with role both: an address, among those of the heartbeats, of the dispatcher that serves this cluster",
        ),
        // IBM discards. Passing is for those who reach the dispatcher itself by the address.
        Keyword::new(
            "unserved",
            choice(&["drop", "pass"]),
            Word("drop"),
            "with mac ports: packets to a port that is not configured are discarded, or go to this host",
        ),
        STICKYTIME,
        STICKYMASK,
        STICKYMASK6,
        WEIGHTBOUND,
        STALETIMEOUT,
    ],
    children: &[Kind::Port],
};

pub(super) static PORT: ObjectSchema = ObjectSchema {
    kind: Kind::Port,
    word: "port",
    help: "a TCP port of a cluster",
    keywords: &PORT_KEYWORDS,
    children: &[Kind::Server, Kind::Group, Kind::Route, Kind::Rule],
};

/// What a port has of its own, what it bounds, how it speaks TLS, and its policy.
static PORT_KEYWORDS: [Keyword; PORT_WITH_TLS + POLICY_KEYWORDS] =
    joined(joined::<PORT_WITH_LIMITS, PORT_TLS_KEYWORDS, PORT_WITH_TLS>(WITH_LIMITS, tls::ON_PORTS), policy::ON_PORTS);

const WITH_LIMITS: [Keyword; PORT_WITH_LIMITS] = joined(ON_PORTS, limits::ON_PORTS);

const PORT_OWN: usize = 41;
const PORT_WITH_LIMITS: usize = PORT_OWN + PORT_LIMIT_KEYWORDS;
const PORT_WITH_TLS: usize = PORT_WITH_LIMITS + PORT_TLS_KEYWORDS;

const ON_PORTS: [Keyword; PORT_OWN] = [
    Keyword::new(
        "number",
        whole(0, 65535),
        Told("must be given"),
        "the port; 0, with method mac: all ports that have no object of their own",
    )
    .used(Usage::Identity),
    Keyword::new(
        "lastport",
        whole(1, 65535),
        Told("its own number"),
        "the last of the ports from the number on; an object of its own for one of them has precedence",
    )
    .mac_only(),
    Keyword::new(
        "method",
        ValueKind::Choice { words: &["http", "tcp", "mac"], later: later::METHODS },
        Told("must be given; in a script: mac"),
        "requests are forwarded one by one (http), bytes both ways (tcp), or frames to the server, which answers itself (mac)",
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
        Told("refuse; with method mac spread"),
        "when no server is usable: sorry page or close, or round robin over all of them",
    ),
    Keyword::new(
        "ondown",
        choice(&["keep", "purge"]),
        Told("keep; with method mac purge"),
        "running connections of a server that an advisor calls down",
    ),
    // The timeouts are absolute and as in the field: long enough for a slow line, short enough for a flood of slow heads.
    Keyword::new("headtimeout", fractions(100, 3600), Seconds(10), "for a whole request head").http_only(),
    Keyword::new("idletimeout", fractions(100, 86_400), Seconds(60), "between requests of a kept-alive client")
        .http_only(),
    // Browsers fetch the parts of a page within it; who is silent for longer may be so for the whole idletimeout.
    Keyword::new(
        "parktime",
        fractions(0, 86_400),
        Seconds(1),
        "after which a silent client's buffers are given up until it speaks again; 0: never",
    )
    .http_only(),
    Keyword::new("bodytimeout", fractions(100, 86_400), Seconds(60), "without a byte of a body").http_only(),
    Keyword::new("connecttimeout", fractions(100, 3600), Seconds(5), "for a connection to a server")
        .proxy_only(),
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
    Keyword::new(
        "maxconnections",
        whole(0, 10_000_000),
        Whole(0),
        "client connections of this port; 0: no bound of its own",
    )
    .proxy_only(),
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
    Keyword::new(
        "accesslog",
        ValueKind::PathOrOff,
        Text(""),
        "file that gets a line for each request or connection; relative to the configuration file; empty or off: none",
    )
    .proxy_only(),
    Keyword::new(
        "accesslogformat",
        choice(&["combined", "json"]),
        Word("combined"),
        "Apache's line with more behind it, or one JSON object per line",
    )
    .proxy_only(),
    Keyword::new(
        "trustedproxies",
        ValueKind::Networks,
        List(&[]),
        "peers that are believed when they say who the client is",
    )
    .proxy_only(),
    // Off: a port that waits for a header serves nobody who sends none.
    Keyword::new(
        "proxyprotocol",
        choice(&["off", "on"]),
        Word("off"),
        "on: trusted proxies begin each connection with a PROXY protocol header, v1 or v2",
    )
    .proxy_only(),
    Keyword::new(
        "sendproxy",
        choice(&["off", "v1", "v2"]),
        Word("off"),
        "PROXY protocol header that connections to servers begin with",
    )
    .proxy_only(),
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
    Keyword::new(
        "selectionalgorithm",
        choice(&["connection", "affinity", "conn+affin"]),
        Told("connection; with a stickytime conn+affin"),
        "packets find their server by connection, by their client's affinity record, or by both",
    )
    .mac_only(),
    Keyword::new(
        "fintimeout",
        fractions(1000, 86_400),
        Seconds(60),
        "how long a connection is remembered after its client's FIN",
    )
    .mac_only(),
    Keyword::new(
        "reset",
        ValueKind::Flag,
        Flag(false),
        "clients of a server that is down are sent a TCP reset",
    )
    .mac_only(),
    // A wrong server answers with a reset at once; silence costs the client minutes. IBM discards.
    Keyword::new(
        "pickup",
        ValueKind::Flag,
        Flag(true),
        "TCP segments of unknown connections go to the consistent hash's server; no: they are discarded",
    )
    .mac_only(),
    Keyword::new(
        "errorpages",
        ValueKind::Path,
        Text(""),
        "directory with pages for errors of our own: no-route.html by reason, 404.html by status, 4xx.html, 5xx.html",
    )
    .http_only(),
    Keyword::new(
        "requestheaders",
        ValueKind::HeaderEdits,
        List(&[]),
        "changes to the fields of requests for servers",
    )
    .http_only(),
    Keyword::new(
        "responseheaders",
        ValueKind::HeaderEdits,
        List(&[]),
        "changes to the fields of servers' responses",
    )
    .http_only(),
    Keyword::new(
        "excludemethods",
        ValueKind::Methods,
        List(&[]),
        "methods that are answered with 405 instead of being forwarded",
    )
    .http_only(),
    Keyword::new(
        "follows",
        whole(1, 65535),
        Told("no port"),
        "the port of the same cluster without whose servers this one is closed: while none is usable there, none is here",
    ),
    Keyword::new(
        "monitor",
        ValueKind::Flag,
        Flag(false),
        "yes: its servers are probed, and nothing is served there",
    ),
];

pub(super) static SERVER: ObjectSchema = ObjectSchema {
    kind: Kind::Server,
    word: "server",
    help: "a back end of a port",
    keywords: &SERVER_KEYWORDS,
    children: &[],
};

/// What a server has of its own, and how it is spoken to inside TLS.
static SERVER_KEYWORDS: [Keyword; SERVER_OWN + SERVER_TLS_KEYWORDS] = joined(ON_SERVERS, tls::ON_SERVERS);

const SERVER_OWN: usize = 18;

const ON_SERVERS: [Keyword; SERVER_OWN] = [
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
    Keyword::new("collocated", ValueKind::Flag, Flag(false), "yes: it runs on the dispatcher itself (mac ports alone)"),
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
        "cloneid",
        ValueKind::CloneId,
        Text(""),
        "what session ids that belong to this server carry: its CloneID or jvmRoute",
    ),
    Keyword::new(
        "backup",
        ValueKind::Flag,
        Flag(false),
        "yes: it is used only while no other of its group is usable; several in the order of the file",
    ),
    Keyword::new(
        "maxconnections",
        whole(0, 1_000_000),
        Whole(0),
        "requests or connections in progress there, over all workers; 0: no bound",
    ),
    Keyword::new("connecttimeout", fractions(100, 3600), Told("the port's"), "for a connection to it"),
    Keyword::new("servertimeout", fractions(100, 86_400), Told("the port's"), "for the head of its response"),
    Keyword::new(
        "ontimeout",
        choice(&["keep", "mark"]),
        Word("keep"),
        "mark: its timeouts are failures for which it is left alone (a negative ServerIOTimeout)",
    ),
    Keyword::new(
        "extendedhandshake",
        ValueKind::Flag,
        Flag(false),
        "each request is preceded by a HEAD that has to be answered",
    ),
    Keyword::new(
        "privateheaders",
        ValueKind::Flag,
        Flag(false),
        "it is told of the client in the plug-in's private fields, $WSRA and so on",
    ),
    Keyword::new(
        "state",
        choice(&["up", "quiesced", "quiesced-now", "down"]),
        Word("up"),
        "what the operator wants of it",
    )
    .used(Usage::Elsewhere("manager quiesce | manager unquiesce | server down | server up"))
    .lean(),
];

pub(super) static RULE: ObjectSchema = ObjectSchema {
    kind: Kind::Rule,
    word: "rule",
    help: "which servers may take a new connection, under which condition",
    keywords: &[
        Keyword::new("name", ValueKind::RuleName, Told("must be given"), "how commands and reports call it")
            .used(Usage::Identity),
        Keyword::new(
            "type",
            ValueKind::Choice {
                words: &["true", "active", "connection", "ip", "time", "content"],
                later: later::RULE_TYPES,
            },
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
            "pattern",
            ValueKind::Pattern,
            Text(""),
            "type content: what the request has to be like, such as (uri=/shop/*)&!(method=POST)",
        ),
        Keyword::new(
            "over-affinity",
            ValueKind::Flag,
            Flag(false),
            "yes: it is asked before affinity (service hours, maintenance)",
        ),
        Keyword::new(
            "group",
            ValueKind::Name,
            Told("all of the port"),
            "the only group whose requests it is asked for",
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

pub(super) static ADVISOR: ObjectSchema = ObjectSchema {
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

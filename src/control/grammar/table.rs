//! The table: every object and verb with its syntax, its meaning and an example.
//!
//! Words of later versions have their place too, so that today's short forms stay unique.

use super::{Object, Understood, Verb};
use crate::control::command::Command;
use crate::control::command::arguments::{
    AdvisorSelection, Exchange, connections, file, file_delete, file_save, help, only, operand, takeover,
};

pub const OBJECTS: &[Object] = &[
    Object {
        word: "executor",
        meaning: "The part that forwards.",
        verbs: &[
            here("start", "", "Accepts new connections again.", "", |w| only(w, Command::ExecutorStart)),
            here("stop", "", "Accepts no new connections on any port; what runs, runs on.", "", |w| {
                only(w, Command::ExecutorStop)
            }),
            change(
                "set",
                "KEYWORD VALUE [KEYWORD VALUE]...",
                "Changes a setting or a default for objects that are added later.",
                "maxaffinity 100000",
            ),
            here("status", "", "Shows the settings.", "", |w| only(w, Command::ExecutorStatus)),
            here("report", "", "Shows what was carried.", "", |w| only(w, Command::ExecutorReport)),
            here("logreopen", "", "Opens access logs anew that were moved away, as SIGUSR1 does.", "", |w| {
                only(w, Command::LogReopen)
            }),
            here(
                "certreload",
                "",
                "Reads certificates and keys again; what cannot be used leaves those in force.",
                "",
                |w| only(w, Command::CertificateReload),
            ),
            here("certificates", "", "Shows the certificates in use and when they expire.", "", |w| {
                only(w, Command::Certificates)
            }),
            known("configure"),
            known("unconfigure"),
            known("nicconfig"),
        ],
    },
    Object {
        word: "cluster",
        meaning: "A virtual address.",
        verbs: &[
            change(
                "add",
                "C[+C2...] [address ADDRESS] [proportions A N P S] [KEYWORD VALUE]...",
                "Adds clusters.",
                "shop address 192.0.2.10",
            ),
            change(
                "set",
                "C[+C2...] proportions A N P S | KEYWORD VALUE [KEYWORD VALUE]...",
                "Changes clusters; an empty name means all.",
                "shop proportions 49 50 1 0",
            ),
            change("remove", "C[+C2...]", "Removes clusters with all that is in them.", "shop"),
            here("status", "[C[+C2...]]", "Shows what is configured.", "shop", |w| {
                operand(w, 1).map(Command::ClusterStatus)
            }),
            here("report", "[C[+C2...]]", "Shows what was carried.", "shop", |w| {
                operand(w, 1).map(Command::ClusterReport)
            }),
        ],
    },
    Object {
        word: "port",
        meaning: "A TCP port of a cluster.",
        verbs: &[
            change(
                "add",
                "C:P[+P2...] method http|tcp [KEYWORD VALUE]...",
                "Adds ports and listens there.",
                "shop:80 method http stickytime 300",
            ),
            change(
                "set",
                "C:P[+P2...] KEYWORD VALUE [KEYWORD VALUE]...",
                "Changes ports; an empty part means all.",
                "shop:80 stickytime 60",
            ),
            change("remove", "C:P[+P2...]", "Removes ports with their servers and rules.", "shop:80"),
            here("status", "[C:P[+P2...]]", "Shows what is configured.", "shop:80", |w| {
                operand(w, 2).map(Command::PortStatus)
            }),
            here("report", "[C:P[+P2...]]", "Shows what was carried.", "shop:80", |w| {
                operand(w, 2).map(Command::PortReport)
            }),
            later(
                "halfopenaddressreport",
                "half-open connections are counted for MAC forwarding, which is not there yet",
            ),
        ],
    },
    Object {
        word: "server",
        meaning: "A back end of a port.",
        verbs: &[
            change(
                "add",
                "C:P:S[+S2...] [address ADDRESS] [KEYWORD VALUE]...",
                "Adds servers.",
                "shop:80:w1 address 192.0.2.21 mapport 9080",
            ),
            change(
                "set",
                "C:P:S[+S2...] KEYWORD VALUE [KEYWORD VALUE]...",
                "Changes servers; an empty part means all.",
                "shop:80:w1 weight 5 fixedweight yes",
            ),
            change("remove", "C:P:S[+S2...]", "Removes servers; what runs at them runs on.", "shop:80:w1"),
            change(
                "down",
                "C:P:S[+S2...]",
                "Takes servers out at once: running connections are cut, affinity ends.",
                "shop:80:w1",
            ),
            change("up", "C:P:S[+S2...]", "Takes back `server down` and quiesce.", "shop:80:w1"),
            here("status", "[C:P:S[+S2...]]", "Shows what is configured and what advisors say.", "shop:80:w1", |w| {
                operand(w, 3).map(Command::ServerStatus)
            }),
            here("report", "[C:P:S[+S2...]]", "Shows what was carried.", "shop:80:w1", |w| {
                operand(w, 3).map(Command::ServerReport)
            }),
        ],
    },
    Object {
        word: "group",
        meaning: "Servers of a port that carry one application.",
        verbs: &[
            change(
                "add",
                "C:P:G servers S[+S2...] [KEYWORD VALUE]...",
                "Adds a group; what it does not say is the port's.",
                "shop:80:cart servers w1+w2 balance leastconnections",
            ),
            change(
                "set",
                "C:P:G KEYWORD VALUE [KEYWORD VALUE]...",
                "Changes groups.",
                "shop:80:cart cookiename CARTID",
            ),
            change("remove", "C:P:G[+G2...]", "Removes groups; their servers stay on the port.", "shop:80:cart"),
        ],
    },
    Object {
        word: "route",
        meaning: "Hosts and paths, and where requests for them go.",
        verbs: &[
            change(
                "add",
                "C:P:R [hosts H[+H2...]] [uris U[+U2...]] [group G] [KEYWORD VALUE]...",
                "Adds a route; the most specific one is taken.",
                "shop:80:cart uris /cart/*+*.jsp group cart",
            ),
            change("set", "C:P:R KEYWORD VALUE [KEYWORD VALUE]...", "Changes routes.", "shop:80:cart uris /cart/*"),
            change("remove", "C:P:R[+R2...]", "Removes routes.", "shop:80:cart"),
        ],
    },
    Object {
        word: "rule",
        meaning: "Which servers of a port may be chosen, and when.",
        verbs: &[
            change(
                "add",
                "C:P:R type true|active|connection|ip|time|content [beginrange LOW endrange HIGH] [pattern P] [priority N] [over-affinity yes|no] [KEYWORD VALUE]...",
                "Adds a rule.",
                "shop:80:night type time beginrange 22 endrange 6 priority 10",
            ),
            change(
                "set",
                "C:P:R [beginrange LOW] [endrange HIGH] [priority N] [evaluate port|rule]",
                "Changes a rule, but not its type.",
                "shop:80:night priority 20",
            ),
            change(
                "useserver",
                "C:P:R S[+S2...]",
                "Adds servers to those that the rule chooses from.",
                "shop:80:night w1+w2",
            ),
            change(
                "dropserver",
                "C:P:R S[+S2...]",
                "Takes servers from those that the rule chooses from.",
                "shop:80:night w1",
            ),
            change("remove", "C:P:R[+R2...]", "Removes rules.", "shop:80:night"),
            here("status", "[C:P:R[+R2...]]", "Shows what is configured.", "shop:80:night", |w| {
                operand(w, 3).map(Command::RuleStatus)
            }),
            here("report", "[C:P:R[+R2...]]", "Shows how often rules decided.", "shop:80:night", |w| {
                operand(w, 3).map(Command::RuleReport)
            }),
        ],
    },
    Object {
        word: "manager",
        meaning: "The part that weighs servers.",
        verbs: &[
            change("start", "", "Computes weights again.", ""),
            change("stop", "", "Leaves weights as they are; verdicts of advisors still count.", ""),
            change(
                "set",
                "KEYWORD VALUE [KEYWORD VALUE]...",
                "Changes any setting, also velocitylimit and failopen.",
                "velocitylimit yes",
            ),
            change("interval", "SECONDS", "Sets the time between two rounds.", "2"),
            change("refresh", "ROUNDS", "Sets how many rounds pass between two counts of connections.", "2"),
            change("sensitivity", "PERCENT", "Sets by how much weights must change before they are used.", "5"),
            change("smoothing", "INDEX", "Sets how slowly weights change; larger is slower.", "1.5"),
            change("quiesce", "S|C:P:S [now]", "Lets a server finish; `now`: clients with affinity move too.", "w1"),
            change("unquiesce", "S|C:P:S", "Takes back quiesce.", "w1"),
            here("status", "", "Shows the settings.", "", |w| only(w, Command::ManagerStatus)),
            here("report", "[C[+C2...]]", "Shows the weights and what they come from.", "shop", |w| {
                operand(w, 1).map(Command::ManagerReport)
            }),
            here("version", "", "Shows the version.", "", |w| only(w, Command::ManagerVersion)),
            known("loglevel"),
            known("logsize"),
            later(
                "restart",
                "`manager restart` is not there yet: use `server set C:P:S weight N`, or `manager stop` and `manager start`",
            ),
            known("reach"),
            known("metric"),
        ],
    },
    Object {
        word: "advisor",
        meaning: "Probes of servers.",
        verbs: &[
            change("start", "NAME P|C:P", "Starts probing the servers of a port.", "http 80"),
            change("stop", "NAME P|C:P", "Stops probing; servers it called down are taken back.", "http 80"),
            change("interval", "NAME P|C:P SECONDS", "Sets the time between two probes of a server.", "http 80 7"),
            change(
                "timeout",
                "NAME P|C:P SECONDS|unlimited",
                "Sets how long a measured load counts.",
                "http 80 unlimited",
            ),
            change(
                "connecttimeout",
                "NAME P|C:P SECONDS",
                "Sets how long a probe waits for a connection.",
                "http 80 21",
            ),
            change("receivetimeout", "NAME P|C:P SECONDS", "Sets how long a probe waits for an answer.", "http 80 21"),
            change("retries", "NAME P|C:P N", "Sets how many failures in a row are forgiven.", "http 80 1"),
            change("verify", "NAME P|C:P yes|no", "Sets whether certificates are verified (https).", "https 443 yes"),
            here("list", "", "Lists the advisors.", "", |w| only(w, Command::AdvisorList)),
            here("status", "[NAME [P|C:P]]", "Shows the settings.", "http 80", |w| {
                AdvisorSelection::parse(w).map(Command::AdvisorStatus)
            }),
            here("report", "[NAME [P|C:P]]", "Shows what the probes found.", "http 80", |w| {
                AdvisorSelection::parse(w).map(Command::AdvisorReport)
            }),
            here("version", "[NAME [P|C:P]]", "Shows the version.", "http 80", |w| {
                AdvisorSelection::parse(w).map(Command::AdvisorVersion)
            }),
            known("loglevel"),
            known("logsize"),
        ],
    },
    Object {
        word: "file",
        meaning: "Configurations on disk.",
        verbs: &[
            here(
                "save",
                "NAME [force]",
                "Saves what runs: as TOML when NAME ends in `.toml`, else as a script; `force` replaces a file.",
                "site.toml force",
                file_save,
            ),
            here("newload", "NAME", "Replaces what runs by a file; a name with a slash is a path.", "site.toml", |w| {
                file(w).map(|name| Command::FileNewload { name })
            }),
            here(
                "appendload",
                "NAME",
                "Carries out a file on top of what runs; a name with a slash is a path.",
                "more.cfg",
                |w| file(w).map(|name| Command::FileAppendload { name }),
            ),
            here("report", "", "Lists the files.", "", |w| only(w, Command::FileReport)),
            here("delete", "NAME", "Deletes a file.", "old.cfg", file_delete),
        ],
    },
    Object {
        word: "set",
        meaning: "Settings of the whole.",
        verbs: &[change(
            "",
            "loglevel 0..5 | logformat text|json | accesslogsize MIB | accesslogkeep N",
            "Sets how much is logged (0 nothing, 1 changes of state and faults, 5 everything) and how, and when access logs are turned over.",
            "loglevel 1",
        )],
    },
    Object {
        word: "control",
        meaning: "The way in for dscontrol.",
        verbs: &[
            change(
                "set",
                "KEYWORD VALUE [KEYWORD VALUE]...",
                "Changes a setting; those of the socket hold from the next start.",
                "group operators",
            ),
            here("status", "", "Shows the settings.", "", |w| only(w, Command::ControlStatus)),
        ],
    },
    Object {
        word: "metrics",
        meaning: "The page for Prometheus.",
        verbs: &[
            change(
                "set",
                "listen ADDRESS:PORT",
                "Sets where the page is; an empty address: nowhere.",
                "listen 127.0.0.1:9150",
            ),
            here("status", "", "Shows the settings.", "", |w| only(w, Command::MetricsStatus)),
        ],
    },
    Object {
        word: "alerts",
        meaning: "Scripts that run when servers go and come back.",
        verbs: &[
            change(
                "set",
                "KEYWORD VALUE [KEYWORD VALUE]...",
                "Sets where the scripts are, how long one may run, and as whom.",
                "timeout 10",
            ),
            here("status", "", "Shows the settings, and which scripts would run.", "", |w| {
                only(w, Command::AlertsStatus)
            }),
        ],
    },
    Object {
        word: "highavailability",
        meaning: "The pair of dispatchers.",
        verbs: &[
            change(
                "backup",
                "add primary|backup|both auto|manual [PORT] | delete",
                "Makes this dispatcher one of a pair, with IBM's times unless a profile is set; or ends that.",
                "add primary auto 12345",
            ),
            change(
                "heartbeat",
                "add SOURCE DESTINATION | delete ADDRESS",
                "Adds a way to the partner, or deletes those that begin or end at an address.",
                "add 10.0.0.1 10.0.0.2",
            ),
            change(
                "reach",
                "add ADDRESS[+ADDRESS2...] [MASK] | delete ADDRESS[+ADDRESS2...]",
                "Adds or deletes addresses that both dispatchers ping.",
                "add 10.0.0.254",
            ),
            change(
                "set",
                "KEYWORD VALUE [KEYWORD VALUE]...",
                "Changes any setting, also profile, interval and hatimeout.",
                "hatimeout 3",
            ),
            here(
                "takeover",
                "[PRIMARYHOST]",
                "Has this dispatcher serve; with role both, the clusters of the primary host.",
                "",
                takeover,
            ),
            here("status", "", "Shows who serves, how the partner is heard, and what is reached.", "", |w| {
                only(w, Command::HighAvailabilityStatus)
            }),
        ],
    },
    Object {
        word: "logstatus",
        meaning: "The log.",
        verbs: &[here("", "", "Shows the settings of the log.", "", |w| only(w, Command::LogStatus))],
    },
    Object {
        word: "status",
        meaning: "Everything at one glance.",
        verbs: &[here("", "", "Shows what runs, the advisors, and what needs you.", "", |w| only(w, Command::Status))],
    },
    Object {
        word: "explain",
        meaning: "Decisions.",
        verbs: &[here(
            "",
            "CLIENT C:P [REQUEST-LINE] [HEADER]...",
            "Says which server a client would get and why, without sending anything.",
            "203.0.113.7 shop:80 'GET /cart HTTP/1.1' 'Host: shop.example.com'",
            |w| Exchange::parse(w).map(Command::Explain),
        )],
    },
    Object {
        word: "connections",
        meaning: "Connections of mac ports.",
        verbs: &[here(
            "",
            "[CLIENT|NETWORK|C[:P[:S]]]",
            "Lists those that are remembered, with server, state and time since the last packet; the first thousand.",
            "203.0.113.0/24",
            connections,
        )],
    },
    Object {
        word: "help",
        meaning: "This language.",
        verbs: &[here("", "[OBJECT]", "Shows the grammar, of one object with examples.", "file", help)],
    },
    Object {
        word: "version",
        meaning: "The program.",
        verbs: &[here("", "", "Shows the version of the daemon.", "", |w| only(w, Command::Version))],
    },
    Object { word: "binlog", meaning: "Statistics on disk.", verbs: &[known("")] },
    Object { word: "metric", meaning: "System metrics.", verbs: &[known("")] },
    Object { word: "subagent", meaning: "SNMP.", verbs: &[known("")] },
    Object {
        word: "host",
        meaning: "Other dispatchers.",
        verbs: &[later("", "commands for other machines are not there yet: run dscontrol on the dispatcher itself")],
    },
];

/// Understood by `config`.
const fn change(word: &'static str, operands: &'static str, meaning: &'static str, example: &'static str) -> Verb {
    Verb { word, operands, meaning, example, understood: Understood::Change }
}

/// Understood by this room.
const fn here(
    word: &'static str,
    operands: &'static str,
    meaning: &'static str,
    example: &'static str,
    understand: super::Understand,
) -> Verb {
    Verb { understood: Understood::Here(understand), ..change(word, operands, meaning, example) }
}

/// Known to users of IBM's product; `config` says what became of it.
const fn known(word: &'static str) -> Verb {
    change(word, "", "", "")
}

/// Not there yet; `instead` is what an operator reads.
const fn later(word: &'static str, instead: &'static str) -> Verb {
    Verb { understood: Understood::Later(instead), ..known(word) }
}

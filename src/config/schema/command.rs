//! The objects and verbs of dscontrol, including those that only report.

/// An object of the command language and its verbs.
#[derive(Debug)]
pub struct CommandWords {
    pub object: &'static str,
    pub verbs: &'static [&'static str],
}

/// All of them. Objects without verbs are commands by themselves.
pub static COMMANDS: [CommandWords; 22] = [
    words(
        "executor",
        &[
            "start",
            "stop",
            "status",
            "report",
            "set",
            "logreopen",
            "certreload",
            "certificates",
            "configure",
            "unconfigure",
            "nicconfig",
        ],
    ),
    words("cluster", &["add", "set", "remove", "report", "status"]),
    words("port", &["add", "set", "remove", "report", "status", "halfopenaddressreport"]),
    words("server", &["add", "set", "remove", "report", "status", "down", "up"]),
    words("group", &["add", "set", "remove"]),
    words("route", &["add", "set", "remove"]),
    words("rule", &["add", "set", "remove", "report", "status", "useserver", "dropserver"]),
    words(
        "manager",
        &[
            "start",
            "stop",
            "status",
            "report",
            "version",
            "set",
            "interval",
            "refresh",
            "sensitivity",
            "smoothing",
            "loglevel",
            "logsize",
            "quiesce",
            "unquiesce",
            "restart",
            "reach",
            "metric",
        ],
    ),
    words(
        "advisor",
        &[
            "start",
            "stop",
            "status",
            "report",
            "version",
            "list",
            "interval",
            "timeout",
            "connecttimeout",
            "receivetimeout",
            "retries",
            "verify",
            "loglevel",
            "logsize",
        ],
    ),
    words("control", &["set", "status"]),
    words("metrics", &["set", "status"]),
    words("alerts", &["set", "status"]),
    words("set", &[]),
    words("file", &["save", "newload", "appendload", "report", "delete"]),
    words("highavailability", &["backup", "heartbeat", "reach", "takeover", "set", "status"]),
    words("binlog", &["start", "stop", "status", "set"]),
    words("metric", &["add", "remove", "status", "proportions"]),
    words("subagent", &["start", "stop", "status", "report", "version", "loglevel", "logsize"]),
    words("status", &[]),
    words("logstatus", &[]),
    words("explain", &[]),
    words("help", &[]),
];

const fn words(object: &'static str, verbs: &'static [&'static str]) -> CommandWords {
    CommandWords { object, verbs }
}

//! Answers of the commands that are about files, logs, decisions and the language itself.

use serde::{Deserialize, Serialize};

/// What a change touched.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Changed {
    /// Operands as operators write them: `shop:80:w1`.
    pub touched: Vec<String>,
    /// What was accepted but may surprise.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FileReport {
    /// Where plain names are looked for.
    pub directory: String,
    /// What runs now: the files that were loaded last.
    pub loaded: Vec<String>,
    pub files: Vec<FileEntry>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct FileEntry {
    pub name: String,
    pub bytes: u64,
    /// Seconds since 1970, if the file system says.
    pub modified: Option<i64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct LogStatus {
    /// 0 to 5.
    pub level: u8,
    /// `text` or `json`.
    pub format: String,
    /// Where it goes: `standard error`.
    pub destination: String,
    /// Lines that were given up because the reader was too slow.
    pub dropped: u64,
    /// MiB after which an access log is turned over; 0: never.
    pub access_log_mib: u64,
    /// Access logs put aside that are kept.
    pub access_log_keep: u32,
    /// Lines written to all access logs.
    pub access_log_lines: u64,
    /// Lines of access logs that were lost.
    pub access_log_dropped: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ControlStatus {
    /// The socket that is listened on.
    pub socket: String,
    /// Permission bits as four octal digits: `0660`.
    pub mode: String,
    /// As configured; `None`: the daemon's own.
    pub owner: Option<String>,
    pub group: Option<String>,
    pub state_directory: String,
    pub overrides: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MetricsStatus {
    /// `None`: there is no page.
    pub listen: Option<String>,
    pub overrides: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AlertsStatus {
    /// `None`: no script is run.
    pub directory: Option<String>,
    pub timeout_seconds: f64,
    /// As whom scripts run where the daemon is root.
    pub user: String,
    pub scripts: Vec<AlertScript>,
    pub overrides: Vec<String>,
}

/// One script.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AlertScript {
    pub script: String,
    /// What would become of it if it were due: `runs`, `is not there`, or `refused:` and why.
    pub state: String,
}

/// Which server would be chosen, and why.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Explanation {
    /// One line per step of the decision, in order.
    pub steps: Vec<String>,
    /// The server as operators write it; `None`: nobody would get it.
    pub server: Option<String>,
    /// The deciding reason in one sentence.
    pub reason: String,
}

/// Lines of the grammar.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Help {
    /// One object was asked for: examples are of use.
    pub detailed: bool,
    pub entries: Vec<HelpEntry>,
    /// What an object's `add` and `set` take; only with `detailed`.
    pub keywords: Vec<HelpKeyword>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct HelpEntry {
    pub object: String,
    /// What the object is, one sentence.
    pub about: String,
    /// Empty for objects that are their own verb.
    pub verb: String,
    /// The grammar without the leading `dscontrol`.
    pub syntax: String,
    /// One sentence.
    pub meaning: String,
    /// A command that fits, without the leading `dscontrol`.
    pub example: String,
}

/// A keyword of an object, the same in commands and in TOML.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct HelpKeyword {
    pub word: String,
    /// A clause of what it does.
    pub meaning: String,
    /// A clause of what it may be.
    pub value: String,
    /// Empty where the default is nothing.
    pub default: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct VersionReport {
    /// Which program or part answers: `tsuji`, `manager`, `advisor http`.
    pub program: String,
    pub version: String,
}

/// The certificates in use.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CertificateReport {
    /// In configuration order; one that several ports use is there for each.
    pub certificates: Vec<CertificateLine>,
    /// Ports that turn clients away because none of their certificates could be used.
    pub without: Vec<String>,
}

/// One certificate of one port, or of one server that is shown it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CertificateLine {
    /// `shop:443`, or `shop:443:w1` where it is shown to that server.
    pub object: String,
    pub file: String,
    /// Host names and addresses that it is for.
    pub names: Vec<String>,
    pub subject: String,
    pub issuer: String,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// Whole days until it expires; below zero once it has.
    pub days_left: i64,
    /// `ECDSA P-256`, `RSA 2048`.
    pub key: String,
}

/// Connections of `mac` ports.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ConnectionList {
    pub connections: Vec<ConnectionLine>,
    /// How many there are; the list has the first of them.
    pub total: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ConnectionLine {
    /// Address and port.
    pub client: String,
    /// `cluster:port`.
    pub service: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    pub server: String,
    /// `new` (a SYN), `established`, `fin`, `closed`, `udp`.
    pub state: String,
    /// Since its last packet.
    pub idle_seconds: u64,
}

//! Commands: what an operator wants, understood.

pub(in crate::control) mod arguments;
mod standby;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::config::{Change, Operand, Refusal};
use crate::model::Network;

use super::grammar;

pub use arguments::{AdvisorSelection, Exchange, RequestLine};
pub use standby::standby_refusal;

/// One command, ready to be carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Changes configured state: objects, weights, administrative states, settings.
    Change(Change),
    /// Everything at one glance.
    Status,
    /// All listeners accept again.
    ExecutorStart,
    /// All listeners stop accepting; what runs, runs on.
    ExecutorStop,
    /// Access logs were moved away.
    LogReopen,
    /// Certificates are read again.
    CertificateReload,
    /// The certificates in use.
    Certificates,
    ExecutorStatus,
    ExecutorReport,
    ClusterStatus(Operand),
    ClusterReport(Operand),
    PortStatus(Operand),
    PortReport(Operand),
    ServerStatus(Operand),
    ServerReport(Operand),
    RuleStatus(Operand),
    RuleReport(Operand),
    ManagerStatus,
    /// For these clusters.
    ManagerReport(Operand),
    ManagerVersion,
    AdvisorList,
    AdvisorStatus(AdvisorSelection),
    AdvisorReport(AdvisorSelection),
    AdvisorVersion(AdvisorSelection),
    /// A plain name, below the configuration directory.
    FileSave {
        name: String,
        /// An existing file may be replaced.
        force: bool,
    },
    /// A plain name, or a path when it contains a slash: see [`file_path`](super::protocol::Request::file_path).
    FileNewload {
        name: String,
    },
    FileAppendload {
        name: String,
    },
    FileReport,
    /// A plain name, below the configuration directory.
    FileDelete {
        name: String,
    },
    LogStatus,
    ControlStatus,
    MetricsStatus,
    AlertsStatus,
    HighAvailabilityStatus,
    /// Clusters move to this dispatcher: all, or in a pair with role both those of a primary host.
    Takeover {
        primaryhost: Option<IpAddr>,
    },
    Explain(Exchange),
    /// Connections of `mac` ports.
    Connections(ConnectionFilter),
    /// About one object, or about all.
    Help(Option<&'static str>),
    Version,
}

/// Which connections are listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConnectionFilter {
    All,
    /// Of these clients.
    Client(Network),
    /// Of this cluster, port or server, spelled `cluster`, `cluster:port` or `cluster:port:server`.
    Object(String),
}

/// What a peer may do. Each level includes the ones before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Look.
    Read,
    /// Steer servers: quiesce, unquiesce, down, up.
    Operate,
    /// Change, replace and delete configurations; stop everything.
    Admin,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl Command {
    /// Understands `words` (without the leading `dscontrol`). A refusal says what was wrong, what would be right
    /// and, for misuse, the grammar.
    pub fn parse(words: &[String]) -> Result<Self, Refusal> {
        grammar::parse(words)
    }

    /// Whether the command changes anything that others see; such commands leave an audit line.
    pub fn is_change(&self) -> bool {
        self.level() > Level::Read
    }

    /// What a peer needs to be allowed for this command.
    pub fn level(&self) -> Level {
        match self {
            Self::Change(change) if change.steers_only() => Level::Operate,
            Self::LogReopen | Self::CertificateReload => Level::Operate,
            Self::Change(_)
            | Self::Takeover { .. }
            | Self::FileSave { .. }
            | Self::ExecutorStart
            | Self::ExecutorStop
            | Self::FileNewload { .. }
            | Self::FileAppendload { .. }
            | Self::FileDelete { .. } => Level::Admin,
            _ => Level::Read,
        }
    }
}

//! What the dispatcher answers: an outcome, sentences for people, and a typed body for reports.
//!
//! These types are the wire format of the control socket and of `dscontrol --json`, so a field that was
//! once released keeps its name and meaning. Numbers are finite (JSON knows no others). Seconds and milliseconds are numbers whose names say so;
//! ages count back from the moment of the answer, because programs of other machines read them.

mod machinery;
mod objects;
mod pair;
mod tools;

use serde::{Deserialize, Serialize};

use crate::config::Refusal;

pub use machinery::{
    AdvisorLine, AdvisorReport, AdvisorServer, AdvisorStatus, Defaults, ExecutorReport, ExecutorStatus, ManagerPort,
    ManagerReport, ManagerServer, ManagerStatus, PacketReport, StatusReport,
};
pub use objects::{
    AdminState, ClusterReport, ClusterStatus, Count, GroupStatus, HealthState, LatencyReport, Listener, Measured,
    PortReport, PortStatus, Probe, ProbeView, RouteStatus, RuleReport, RuleStatus, ServerReport, ServerStatus,
    TimeoutsStatus, Traffic,
};
pub use pair::{HeartbeatStatus, PairChange, PairGroupStatus, PairStatus, PartnerStatus, ReachStatus, SyncStatus};
pub use tools::{
    AlertScript, AlertsStatus, CertificateLine, CertificateReport, Changed, ConnectionLine, ConnectionList,
    ControlStatus, Explanation, FileEntry, FileReport, Help, HelpEntry, HelpKeyword, LogStatus, MetricsStatus,
    VersionReport,
};

/// The answer to one command.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Reply {
    pub outcome: Outcome,
    /// Sentences for people: what was done, or what was wrong and what would be right.
    #[serde(default)]
    pub lines: Vec<String>,
    /// The report that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// It was understood and not carried out, or it failed.
    Refused,
    /// It was not understood.
    Misuse,
}

impl Outcome {
    /// The exit code of `dscontrol`: 0 done, 1 refused or failed, 2 misused.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Misuse => 2,
        }
    }
}

/// One kind of report each. Lists hold one entry per object that the operand named, in configuration order.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A change: what it touched.
    Changed(Changed),
    Status(StatusReport),
    ExecutorStatus(ExecutorStatus),
    ExecutorReport(ExecutorReport),
    Certificates(CertificateReport),
    ClusterStatus(Vec<ClusterStatus>),
    ClusterReport(Vec<ClusterReport>),
    PortStatus(Vec<PortStatus>),
    PortReport(Vec<PortReport>),
    ServerStatus(Vec<ServerStatus>),
    ServerReport(Vec<ServerReport>),
    RuleStatus(Vec<RuleStatus>),
    RuleReport(Vec<RuleReport>),
    ManagerStatus(ManagerStatus),
    ManagerReport(ManagerReport),
    AdvisorList(Vec<AdvisorLine>),
    AdvisorStatus(Vec<AdvisorStatus>),
    AdvisorReport(Vec<AdvisorReport>),
    FileReport(FileReport),
    LogStatus(LogStatus),
    ControlStatus(ControlStatus),
    MetricsStatus(MetricsStatus),
    AlertsStatus(AlertsStatus),
    HighAvailabilityStatus(PairStatus),
    Explanation(Explanation),
    Connections(ConnectionList),
    Help(Help),
    Version(VersionReport),
}

impl Reply {
    /// Carried out, with a sentence (lines are split at line ends).
    pub fn done(text: impl AsRef<str>) -> Self {
        Self::without_body(Outcome::Done, text.as_ref())
    }

    /// Understood but not carried out. The sentence says why and what would be right.
    pub fn refused(text: impl AsRef<str>) -> Self {
        Self::without_body(Outcome::Refused, text.as_ref())
    }

    /// Not understood. The sentence says what would be right.
    pub fn misuse(text: impl AsRef<str>) -> Self {
        Self::without_body(Outcome::Misuse, text.as_ref())
    }

    /// A report.
    pub fn report(body: Body) -> Self {
        Self { outcome: Outcome::Done, lines: Vec::new(), body: Some(body) }
    }

    fn without_body(outcome: Outcome, text: &str) -> Self {
        Self { outcome, lines: text.lines().map(str::to_owned).collect(), body: None }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Misuse(text) => Self::misuse(text),
            Refusal::Refused(text) => Self::refused(text),
        }
    }
}

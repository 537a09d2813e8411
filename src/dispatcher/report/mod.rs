//! Answers to everything that operators may ask without changing anything.
//!
//! [`Dispatcher::answer`] fills the replies of `control` from what the dispatcher knows: configuration, counters, the
//! manager's evidence, the advisors' records. One file per kind of object. What stands outside (threads, sockets, the
//! log, the clock's hour) comes in as [`Outside`]. Nothing is rendered here.

mod advisor;
mod certificates;
mod changes;
mod cluster;
mod machinery;
mod manager;
mod pair;
mod pair_words;
mod port;
mod rule;
mod select;
mod server;
mod traffic;

use std::cell::OnceCell;
use std::time::Instant;

use crate::config::Refusal;
use crate::control::reply::{AlertScript, PacketReport};
use crate::control::{Body, Command, Reply, help};

use super::{Dispatcher, PairReading};
use changes::Changes;

pub(super) use pair_words::reason as pair_reason;
pub use pair_words::{not_taken_over, pair_notice};
pub(super) use select::{PortView, either, proposal};

/// What the dispatcher cannot know itself.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// After `executor stop`.
    pub paused: bool,
    /// Proxy threads that run.
    pub workers: usize,
    /// Lines that the log gave up.
    pub log_dropped: u64,
    /// What became of the lines of access logs.
    pub access_logs: AccessLogReading,
    /// What needs an operator, one sentence each.
    pub warnings: Vec<String>,
    /// The local hour, 0 to 23.
    pub hour: u8,
    /// The time, in seconds since 1970.
    pub seconds: i64,
    /// The control socket that is listened on.
    pub socket: String,
    /// Where overrides and the last good configuration are kept.
    pub state_directory: String,
    /// Alert scripts, and what would become of each if it were due; only for `alerts status`.
    pub scripts: Vec<AlertScript>,
    /// What became of packets, where they are forwarded.
    pub packets: Option<PacketReport>,
    /// What the pair's machine says, where it runs.
    pub pair: Option<PairReading>,
}

/// What became of the lines of all access logs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AccessLogReading {
    /// Lines written.
    pub lines: u64,
    pub bytes: u64,
    /// Lines lost because whoever writes them was behind or could not.
    pub dropped: u64,
    /// Failed attempts to open or write a file.
    pub errors: u64,
}

impl Dispatcher {
    /// Answers a command that only looks. One that does more is not ours, and is told so.
    pub fn answer(&self, query: &Command, outside: &Outside, now: Instant) -> Reply {
        let look = Look { heart: self, outside, now, changes: OnceCell::new() };
        look.answer(query).unwrap_or_else(Reply::from)
    }

    /// Settings of the present configuration that cannot work or may surprise, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        self.site.warnings.iter().map(ToString::to_string).collect()
    }
}

/// One look at the dispatcher.
pub(super) struct Look<'a> {
    pub heart: &'a Dispatcher,
    pub outside: &'a Outside,
    pub now: Instant,
    changes: OnceCell<Changes>,
}

impl Look<'_> {
    fn answer(&self, query: &Command) -> Result<Reply, Refusal> {
        let body = match query {
            Command::Status => Body::Status(self.status()),
            Command::ExecutorStatus => Body::ExecutorStatus(self.executor_status()),
            Command::ExecutorReport => Body::ExecutorReport(self.executor_report()),
            Command::Certificates => Body::Certificates(self.certificates()),
            Command::ClusterStatus(operand) => Body::ClusterStatus(self.cluster_status(operand)?),
            Command::ClusterReport(operand) => Body::ClusterReport(self.cluster_report(operand)?),
            Command::PortStatus(operand) => Body::PortStatus(self.port_status(operand)?),
            Command::PortReport(operand) => Body::PortReport(self.port_report(operand)?),
            Command::ServerStatus(operand) => Body::ServerStatus(self.server_status(operand)?),
            Command::ServerReport(operand) => Body::ServerReport(self.server_report(operand)?),
            Command::RuleStatus(operand) => Body::RuleStatus(self.rule_status(operand)?),
            Command::RuleReport(operand) => Body::RuleReport(self.rule_report(operand)?),
            Command::ManagerStatus => Body::ManagerStatus(self.manager_status()),
            Command::ManagerReport(operand) => Body::ManagerReport(self.manager_report(operand)?),
            Command::ManagerVersion => machinery::version("manager"),
            Command::AdvisorList => Body::AdvisorList(self.advisor_list()),
            Command::AdvisorStatus(selection) => Body::AdvisorStatus(self.advisor_status(selection)?),
            Command::AdvisorReport(selection) => Body::AdvisorReport(self.advisor_report(selection)?),
            Command::AdvisorVersion(selection) => advisor::version(selection),
            Command::LogStatus => Body::LogStatus(self.log_status()),
            Command::ControlStatus => Body::ControlStatus(self.control_status()),
            Command::AlertsStatus => Body::AlertsStatus(self.alerts_status()),
            Command::HighAvailabilityStatus => Body::HighAvailabilityStatus(self.pair_status()?),
            Command::MetricsStatus => Body::MetricsStatus(self.metrics_status()),
            Command::Explain(exchange) => Body::Explanation(self.explain(exchange)?),
            Command::Help(object) => return Ok(help::help(*object)),
            Command::Version => machinery::version("tsuji"),
            Command::Change(_)
            | Command::Takeover { .. }
            | Command::ExecutorStart
            | Command::ExecutorStop
            | Command::LogReopen
            | Command::CertificateReload
            | Command::FileSave { .. }
            | Command::FileNewload { .. }
            | Command::FileAppendload { .. }
            | Command::FileReport
            | Command::Connections(_)
            | Command::FileDelete { .. } => return Err(not_a_question(query)),
        };
        Ok(Reply::report(body))
    }

    /// What operators changed on top of the file; worked out when it is first asked for.
    fn changes(&self) -> &Changes {
        self.changes.get_or_init(|| Changes::of(&self.heart.overrides()))
    }
}

/// Nothing that an operator types leads here.
fn not_a_question(command: &Command) -> Refusal {
    Refusal::Refused(format!(
        "a mistake of tsuji itself: this command was taken for a question, and nothing was done ({command:?})"
    ))
}

//! What happens to the dispatcher, and what it wants done.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::advisor::{ProbeId, ProbeOrder, ProbeOutcome};
use crate::executor::ForwardingTable;
use crate::model::{AccessLogId, PortId, ServerId};

use super::alerts::Alert;

/// Something that happened outside.
#[derive(Debug)]
pub enum Event {
    /// The time of [`next_deadline`](super::Dispatcher::next_deadline) has come.
    Due,
    /// A probe has ended.
    ProbeFinished { probe: ProbeId, outcome: ProbeOutcome },
    /// A host name was looked up; the error is the resolver's own words.
    Resolved { host: String, answer: Result<Vec<IpAddr>, String> },
    /// These machines cannot be reached on their link, all others can or may; why, as people say it.
    Unreached(HashMap<IpAddr, String>),
}

/// Something to be done outside.
#[derive(Debug)]
pub enum Action {
    /// Hand this table to all workers.
    Publish(Arc<ForwardingTable>),
    /// These are the files that access logs go to from now on. Comes before the table that names them.
    Log { files: BTreeMap<AccessLogId, PathBuf> },
    /// Begin to take connections; the socket is bound already. Comes after the table that knows the port.
    Listen { port: PortId, address: SocketAddr },
    /// Take no more connections for this port; what runs goes on.
    Unlisten { port: PortId },
    /// End everything that runs at this server, at once.
    Cut { server: ServerId },
    /// Ask a server how it is.
    Probe(ProbeOrder),
    /// Look this host name up.
    Resolve { host: String },
    /// Have an operator's script run, if there is one.
    RunScript(Alert),
    /// A change of state for the log.
    Notice(Notice),
}

/// One line of the log: a change of state, with before, after and reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    pub severity: Severity,
    pub text: String,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// Someone should act.
    Alert,
    /// Someone should know.
    Warning,
    Info,
}

impl Notice {
    pub(super) fn alert(text: impl Into<String>) -> Self {
        Self { severity: Severity::Alert, text: text.into() }
    }

    pub(super) fn warning(text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, text: text.into() }
    }

    pub(super) fn info(text: impl Into<String>) -> Self {
        Self { severity: Severity::Info, text: text.into() }
    }
}

//! How a script is called: its arguments and its environment.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use crate::dispatcher::{Alert, AlertEvent, RoleAlert};

use super::printable;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    pub event: AlertEvent,
    /// IBM's operands, as words of their own: no shell reads them.
    pub arguments: Vec<String>,
    /// What it is about.
    variables: Vec<(&'static str, String)>,
}

impl From<Alert> for Call {
    fn from(alert: Alert) -> Self {
        let server = alert.server.as_ref();
        let named = server.filter(|_| !alert.event.is_of_port()).map(|one| one.name.to_string());
        let words = [Some(alert.cluster.to_string()), Some(alert.port.to_string()), named];
        let address = |address: Option<IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
        Self {
            event: alert.event,
            arguments: words.into_iter().flatten().collect(),
            variables: vec![
                ("TSUJI_CLUSTER", alert.cluster.to_string()),
                ("TSUJI_CLUSTER_ADDRESS", alert.cluster_address.to_string()),
                ("TSUJI_PORT", alert.port.to_string()),
                ("TSUJI_SERVER", server.map(|server| server.name.to_string()).unwrap_or_default()),
                ("TSUJI_SERVER_ADDRESS", address(server.and_then(|server| server.address))),
                ("TSUJI_REASON", printable(&alert.reason)),
            ],
        }
    }
}

/// `highavailChange` gets the name of the script before it, as in IBM; the others, with role both, the primary's address.
impl From<RoleAlert> for Call {
    fn from(alert: RoleAlert) -> Self {
        let host = alert.primary_host.map(|host| host.to_string());
        let after = alert.after.map(|event| event.script().to_owned());
        Self {
            event: alert.event,
            arguments: after.into_iter().chain(host.clone()).collect(),
            variables: vec![
                ("TSUJI_PRIMARYHOST", host.unwrap_or_default()),
                ("TSUJI_FROM", alert.from),
                ("TSUJI_TO", alert.to),
                ("TSUJI_REASON", printable(&alert.reason)),
            ],
        }
    }
}

impl Call {
    /// All that a script has; what the daemon's own environment holds is not its business.
    pub(super) fn environment(&self, at: SystemTime, socket: &Path) -> Vec<(&'static str, OsString)> {
        let common = [
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("LANG", "C".into()),
            ("TSUJI_EVENT", self.event.script().into()),
            ("TSUJI_TIME", time(at).into()),
            ("TSUJI_SOCKET", socket.into()),
        ];
        common.into_iter().chain(self.variables.iter().map(|(name, value)| (*name, value.into()))).collect()
    }
}

/// RFC 3339, in UTC.
fn time(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}

//! Advisors: their timing.

use std::time::Duration;

use super::{Check, View};
use crate::config::object::{Label, advisor_key};
use crate::config::schema::Kind;
use crate::config::value::Value;
use crate::model::{Advisor, AdvisorKey, AdvisorTimeout};

impl Check {
    pub(super) fn advisors(&mut self, root: View<'_>) -> Vec<Advisor> {
        let keyed = root.children(Kind::Advisor).filter_map(|(label, view)| match label {
            Label::Advisor(kind, cluster, port) => Some((advisor_key(*kind, cluster.as_ref(), *port), view)),
            _ => None,
        });
        let advisors: Vec<Advisor> = keyed.map(|(key, view)| advisor(key, view)).collect();
        if advisors.len() > MAX_ADVISORS {
            self.fault(None, format!("there are {} advisors; {MAX_ADVISORS} is the most", advisors.len()));
        }
        advisors
    }
}

fn advisor(key: AdvisorKey, view: View<'_>) -> Advisor {
    let interval = view.seconds("interval");
    let patience = |word| match view.said(word) {
        Some(Value::Seconds(patience)) => *patience,
        _ => interval * DEFAULT_PATIENCE,
    };
    Advisor {
        key,
        interval,
        timeout: timeout(view),
        connecttimeout: patience("connecttimeout"),
        receivetimeout: patience("receivetimeout"),
        retries: view.count("retries"),
        verify: view.flag("verify"),
    }
}

fn timeout(view: View<'_>) -> AdvisorTimeout {
    match view.said("timeout") {
        Some(Value::Seconds(timeout)) => AdvisorTimeout::After((*timeout).max(Duration::from_millis(1))),
        _ => AdvisorTimeout::Unlimited,
    }
}

/// Intervals that IBM waits for a connection, and again for an answer.
const DEFAULT_PATIENCE: u32 = 3;
/// One for each port, as each costs a schedule.
const MAX_ADVISORS: usize = crate::model::MAX_PORTS;

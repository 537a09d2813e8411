//! How long one probe may take.

use std::time::{Duration, Instant};

use crate::model::Advisor;

/// How long a probe that begins at `now` may take in all.
///
/// The promise is that a dead server is out within (retries + 1) × interval + timeout. A probe waits for its
/// predecessor, so with timeouts above the interval (IBM's default is three times as long) full patience for every
/// retry would break it: retries in a row would take (retries + 1) × timeout. So the first probe has all the time of
/// its settings, and retry number r, while a series of failures that began at `since` is being judged, must end by
/// since + r × interval + timeout. It has at least one interval for that: its predecessor ended by since + (r − 1) ×
/// interval + timeout. A server that is already down, or up and well, is probed with full patience.
///
/// The timeout here is the longer one of the two, since a dead server spends one of them: no answer to the connection,
/// or a connection and no answer. One that spends both (connects late, then says nothing) is out within (retries + 1) ×
/// interval + both.
pub(super) fn patience(advisor: &Advisor, failing: Option<Failing>, now: Instant) -> Duration {
    let whole = advisor.connecttimeout.saturating_add(advisor.receivetimeout);
    let Some(failing) = failing else { return whole };
    let one = advisor.connecttimeout.max(advisor.receivetimeout);
    let allowed = advisor.interval.saturating_mul(failing.times).saturating_add(one);
    let left = allowed.saturating_sub(now.saturating_duration_since(failing.since));
    left.clamp(advisor.interval.min(whole), whole)
}

/// A series of failures that is not yet a verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Failing {
    /// When the first probe of the series began.
    pub(super) since: Instant,
    /// At least 1.
    pub(super) times: u32,
}

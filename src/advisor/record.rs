//! What is known of one target.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::order::ProbeOutcome;
use super::patience::Failing;
use crate::model::{AdvisorKey, AdvisorTimeout, DownReason, Health, ServerId, ServerKey};

/// One server as one advisor knows it.
#[derive(Clone, Debug)]
pub struct Record {
    pub advisor: AdvisorKey,
    pub server: ServerId,
    pub key: ServerKey,
    pub state: Health,
    /// Since when it is up, down (whatever the reason) or unknown.
    pub since: Instant,
    /// Good probes since the last bad one.
    pub good_in_row: u32,
    /// Bad probes since the last good one.
    pub bad_in_row: u32,
    /// Good probes ever.
    pub ok: u64,
    /// Bad probes ever, by the word of their reason.
    pub failed: BTreeMap<&'static str, u64>,
    /// Probes that this machine could not make.
    pub not_made: u64,
    history: VecDeque<ProbeResult>,
    /// When the first of the present failures began.
    failing_since: Option<Instant>,
    load: Option<Load>,
}

/// How one probe ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbeResult {
    /// When its outcome was known.
    pub at: Instant,
    pub latency: Duration,
    /// `None`: it was good.
    pub failure: Option<DownReason>,
}

#[derive(Clone, Copy, Debug)]
struct Load {
    latency: Duration,
    at: Instant,
}

impl Record {
    /// How many results are kept: two minutes at the default interval, enough to see a pattern.
    pub const HISTORY: usize = 16;

    pub(super) fn new(advisor: AdvisorKey, server: ServerId, key: ServerKey, now: Instant) -> Self {
        Self {
            advisor,
            server,
            key,
            state: Health::Unknown,
            since: now,
            good_in_row: 0,
            bad_in_row: 0,
            ok: 0,
            failed: BTreeMap::new(),
            not_made: 0,
            history: VecDeque::new(),
            failing_since: None,
            load: None,
        }
    }

    /// The last result, if there is one.
    pub fn last(&self) -> Option<&ProbeResult> {
        self.history.back()
    }

    /// The last results, oldest first, at most [`Record::HISTORY`].
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &ProbeResult> {
        self.history.iter()
    }

    /// The last good latency in milliseconds, while it is valid and the server is not down.
    pub fn load(&self, timeout: AdvisorTimeout, now: Instant) -> Option<f64> {
        let load = self.load.filter(|_| !self.state.is_down())?;
        let age = now.saturating_duration_since(load.at);
        let valid = match timeout {
            AdvisorTimeout::Unlimited => true,
            AdvisorTimeout::After(limit) => age <= limit,
        };
        valid.then_some(load.latency.as_secs_f64() * 1000.0)
    }

    /// Takes the outcome of a probe that began at `begun`. Down after `retries + 1` failures in a row.
    pub(super) fn take(&mut self, outcome: ProbeOutcome, begun: Instant, retries: u32, now: Instant) {
        match outcome {
            ProbeOutcome::Good { latency } => self.take_good(latency, now),
            ProbeOutcome::Bad { reason, latency } => self.take_bad(reason, latency, begun, retries, now),
            ProbeOutcome::NotMade { .. } => self.not_made += 1,
        }
    }

    /// The server's name has no address.
    pub(super) fn unresolved(&mut self, now: Instant) {
        self.enter(Health::Down(DownReason::Unresolved), now);
    }

    /// The server has another address. What failed at the old one is forgiven, but a verdict stands until the next
    /// probe; where there was no address at all, nobody has looked yet.
    pub(super) fn readdressed(&mut self, now: Instant) {
        if self.state == Health::Down(DownReason::Unresolved) {
            self.enter(Health::Unknown, now);
        }
        self.bad_in_row = 0;
        self.failing_since = None;
    }

    /// The series of failures that is being judged, if there is one.
    pub(super) fn failing(&self) -> Option<Failing> {
        let since = self.failing_since.filter(|_| !self.state.is_down())?;
        Some(Failing { since, times: self.bad_in_row })
    }

    fn take_good(&mut self, latency: Duration, now: Instant) {
        self.ok += 1;
        self.good_in_row = self.good_in_row.saturating_add(1);
        self.bad_in_row = 0;
        self.failing_since = None;
        self.load = Some(Load { latency, at: now });
        self.remember(ProbeResult { at: now, latency, failure: None });
        self.enter(Health::Up, now);
    }

    fn take_bad(&mut self, reason: DownReason, latency: Duration, begun: Instant, retries: u32, now: Instant) {
        *self.failed.entry(reason.word()).or_default() += 1;
        self.good_in_row = 0;
        self.bad_in_row = self.bad_in_row.saturating_add(1);
        self.failing_since.get_or_insert(begun);
        self.remember(ProbeResult { at: now, latency, failure: Some(reason.clone()) });
        if self.bad_in_row > retries || self.state.is_down() {
            self.enter(Health::Down(reason), now);
        }
    }

    fn enter(&mut self, state: Health, now: Instant) {
        let same = self.state.is_down() && state.is_down() || self.state == state;
        if !same {
            self.since = now;
        }
        self.state = state;
    }

    fn remember(&mut self, result: ProbeResult) {
        if self.history.len() == Self::HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(result);
    }
}

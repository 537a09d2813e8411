//! What is counted of ports and servers, and the guards that count.
//!
//! Each worker writes to a lane of its own, on cache lines of its own; a reader adds the lanes up. Only the number of
//! active connections is one shared figure, because every choice of a server may depend on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::budget::Budget;
use super::mark::Mark;
use super::pace::Pace;
use super::partitions::Partitions;

/// The lane of one worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lane(pub usize);

/// What is counted of one server of one port. It outlives tables: a reload does not reset it.
#[derive(Debug)]
pub struct ServerCounters {
    active: Padded<AtomicU64>,
    /// Connections begun within the last whole second, as measured by the heart.
    rate: AtomicU64,
    /// What requests have found out.
    pub mark: Mark,
    pace: Padded<Pace>,
    lanes: Box<[Padded<ServerLane>]>,
}

#[repr(align(128))]
#[derive(Debug, Default)]
struct Padded<T>(T);

#[derive(Debug, Default)]
struct ServerLane {
    begun: AtomicU64,
    failed: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Responses by their first digit, 1 to 5.
    responses: [AtomicU64; CLASSES],
}

const CLASSES: usize = 5;

/// The sum of a server's lanes at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerReading {
    /// Connections (`tcp`, tunnels) or requests (`http`) in progress.
    pub active: u64,
    /// Begun per second.
    pub rate: u64,
    /// Begun since the server was added.
    pub begun: u64,
    /// Offered to the server but not taken by it (connection refused, timed out, closed).
    pub failed: u64,
    /// Bytes of bodies from clients to the server.
    pub bytes_in: u64,
    /// Bytes of bodies from the server to clients.
    pub bytes_out: u64,
    /// Responses 1xx, 2xx, 3xx, 4xx, 5xx.
    pub responses: [u64; CLASSES],
}

impl ServerCounters {
    /// `lanes` is the number of workers.
    pub fn new(lanes: usize) -> Self {
        let lanes = (0..lanes.max(1)).map(|_| Padded::default()).collect();
        Self {
            active: Padded::default(),
            rate: AtomicU64::new(0),
            mark: Mark::default(),
            pace: Padded::default(),
            lanes,
        }
    }

    pub fn active(&self) -> u64 {
        self.active.0.load(Ordering::Relaxed)
    }

    pub fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }

    pub fn set_rate(&self, per_second: u64) {
        self.rate.store(per_second, Ordering::Relaxed);
    }

    /// A response began after so long.
    pub fn count_response_time(&self, now: Instant, micros: u64) {
        self.pace.0.record(now, micros);
    }

    /// The recent peak of response times in microseconds, at least 1: it rises at once and falls slowly, also while nobody
    /// asks, so that a server that was slow gets another chance. `now` in milliseconds of the executor's clock.
    pub(super) fn response_time(&self, now: u64) -> f64 {
        self.pace.0.read(now)
    }

    /// Bytes carried lately, both ways.
    pub fn recent_bytes(&self) -> u64 {
        self.bytes().saturating_sub(self.pace.0.forgotten.load(Ordering::Relaxed))
    }

    /// Once a second: what was carried long ago counts less and less. A sixteenth is forgotten each time.
    pub fn age_bytes(&self) {
        let aged = self.recent_bytes().div_ceil(16);
        self.pace.0.forgotten.fetch_add(aged, Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        let of = |lane: &ServerLane| lane.bytes_in.load(Ordering::Relaxed) + lane.bytes_out.load(Ordering::Relaxed);
        self.lanes.iter().map(|lane| of(&lane.0)).sum()
    }

    pub fn begun(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.0.begun.load(Ordering::Relaxed)).sum()
    }

    /// The server did not take what was offered to it.
    pub fn count_failed(&self, lane: Lane) {
        self.with(lane, |counters| &counters.failed, 1);
    }

    pub fn count_bytes_in(&self, lane: Lane, bytes: u64) {
        self.with(lane, |counters| &counters.bytes_in, bytes);
    }

    pub fn count_bytes_out(&self, lane: Lane, bytes: u64) {
        self.with(lane, |counters| &counters.bytes_out, bytes);
    }

    /// A response with this status came from the server.
    pub fn count_response(&self, lane: Lane, status: u16) {
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(count) = self.lane(lane).and_then(|counters| counters.responses.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a packet engine has counted in all; it keeps the figures itself, and they take the place of those before.
    pub fn set_from_packets(&self, active: u64, begun: u64, bytes_in: u64) {
        self.active.0.store(active, Ordering::Relaxed);
        if let Some(lane) = self.lane(Lane(0)) {
            lane.begun.store(begun, Ordering::Relaxed);
            lane.bytes_in.store(bytes_in, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> ServerReading {
        let zero = ServerReading { active: self.active(), rate: self.rate(), ..ServerReading::default() };
        self.lanes.iter().fold(zero, |mut sum, Padded(lane)| {
            sum.begun += lane.begun.load(Ordering::Relaxed);
            sum.failed += lane.failed.load(Ordering::Relaxed);
            sum.bytes_in += lane.bytes_in.load(Ordering::Relaxed);
            sum.bytes_out += lane.bytes_out.load(Ordering::Relaxed);
            add_up(&mut sum.responses, &lane.responses);
            sum
        })
    }

    fn lane(&self, lane: Lane) -> Option<&ServerLane> {
        self.lanes.get(lane.0).map(|padded| &padded.0)
    }

    fn with(&self, lane: Lane, counter: impl Fn(&ServerLane) -> &AtomicU64, amount: u64) {
        if let Some(counters) = self.lane(lane) {
            counter(counters).fetch_add(amount, Ordering::Relaxed);
        }
    }
}

fn add_up<const N: usize>(sums: &mut [u64; N], counters: &[AtomicU64; N]) {
    for (sum, counter) in sums.iter_mut().zip(counters) {
        *sum += counter.load(Ordering::Relaxed);
    }
}

fn add_up_all(sums: &mut Vec<u64>, counters: &[AtomicU64]) {
    sums.resize(counters.len(), 0);
    for (sum, counter) in sums.iter_mut().zip(counters) {
        *sum += counter.load(Ordering::Relaxed);
    }
}

/// One connection or request in progress at a server. Dropping it, for whatever reason, ends it in the counters.
#[must_use]
#[derive(Debug)]
pub struct ActiveConnection(Arc<ServerCounters>);

impl ActiveConnection {
    /// Begins one, unless the server has as many as it may (`most`, 0: no bound) over all workers.
    pub fn begin_within(counters: &Arc<ServerCounters>, lane: Lane, most: u32) -> Option<Self> {
        let before = counters.active.0.fetch_add(1, Ordering::Relaxed);
        if most != 0 && before >= u64::from(most) {
            counters.active.0.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        counters.with(lane, |lane| &lane.begun, 1);
        Some(Self(Arc::clone(counters)))
    }

    /// Begins one: active now, and one more begun.
    pub fn begin(counters: &Arc<ServerCounters>, lane: Lane) -> Self {
        counters.active.0.fetch_add(1, Ordering::Relaxed);
        counters.with(lane, |lane| &lane.begun, 1);
        Self(Arc::clone(counters))
    }
}

impl Drop for ActiveConnection {
    fn drop(&mut self) {
        self.0.active.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The stages of a request whose duration is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Until a new connection to the server stood. Requests on a kept connection have none.
    Connect,
    /// From the request's head to the first byte of the server's response.
    FirstByte,
    /// From the request's head to the last byte of the response.
    Total,
}

impl Phase {
    pub const ALL: [Self; 3] = [Self::Connect, Self::FirstByte, Self::Total];

    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::FirstByte => "first_byte",
            Self::Total => "total",
        }
    }
}

/// Upper bounds of the latency buckets in microseconds; one more bucket takes everything above.
pub const LATENCY_BOUNDS_US: [u64; 15] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

const BUCKETS: usize = LATENCY_BOUNDS_US.len() + 1;

/// Durations of one phase on one lane.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

/// A histogram at one moment; buckets are not cumulative.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HistogramReading {
    pub buckets: [u64; BUCKETS],
    pub sum_us: u64,
}

impl Histogram {
    pub fn record(&self, duration_us: u64) {
        let bucket = LATENCY_BOUNDS_US.partition_point(|&bound| bound < duration_us);
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
            self.sum_us.fetch_add(duration_us, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> HistogramReading {
        let mut reading = HistogramReading::default();
        self.add_to(&mut reading);
        reading
    }

    fn add_to(&self, reading: &mut HistogramReading) {
        add_up(&mut reading.buckets, &self.buckets);
        reading.sum_us += self.sum_us.load(Ordering::Relaxed);
    }
}

/// What is counted of one port. It outlives tables.
#[derive(Debug)]
pub struct PortCounters {
    connections: Padded<AtomicU64>,
    /// What its servers told of their partitions.
    partitions: Arc<Partitions>,
    lanes: Box<[Padded<PortLane>]>,
}

#[derive(Debug)]
struct PortLane {
    accepted: AtomicU64,
    requests: AtomicU64,
    budget: Budget,
    /// By the reason why the server before was given up.
    retries: Box<[AtomicU64]>,
    phases: [Histogram; Phase::ALL.len()],
    reasons: Box<[AtomicU64]>,
    codes: [AtomicU64; CLASSES],
}

/// The sum of a port's lanes at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PortReading {
    /// Client connections open now.
    pub connections: u64,
    /// Client connections taken since the port was added.
    pub accepted: u64,
    /// Requests read (http).
    pub requests: u64,
    /// Requests or connections offered to one more server, by the index of the reason why the one before was given up.
    pub retries: Vec<u64>,
    /// Answers given to clients, 1xx to 5xx, our own included.
    pub codes: [u64; CLASSES],
    /// By the index of the reason.
    pub reasons: Vec<u64>,
    /// In the order of [`Phase::ALL`].
    pub phases: [HistogramReading; Phase::ALL.len()],
}

impl PortCounters {
    /// `lanes` is the number of workers, `reasons` the number of reasons for which the data path may refuse.
    pub fn new(lanes: usize, reasons: usize) -> Self {
        let lane = || PortLane {
            accepted: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            budget: Budget::default(),
            retries: (0..reasons).map(|_| AtomicU64::new(0)).collect(),
            phases: Default::default(),
            reasons: (0..reasons).map(|_| AtomicU64::new(0)).collect(),
            codes: Default::default(),
        };
        Self {
            connections: Padded::default(),
            partitions: Arc::default(),
            lanes: (0..lanes.max(1)).map(|_| Padded(lane())).collect(),
        }
    }

    pub fn partitions(&self) -> &Arc<Partitions> {
        &self.partitions
    }

    /// Client connections open now, over all workers.
    pub fn connections(&self) -> u64 {
        self.connections.0.load(Ordering::Relaxed)
    }

    /// A client connection was taken; the guard ends it.
    pub fn open_connection(self: &Arc<Self>, lane: Lane) -> OpenConnection {
        self.connections.0.fetch_add(1, Ordering::Relaxed);
        self.with(lane, |lane| lane.accepted.fetch_add(1, Ordering::Relaxed));
        OpenConnection(Arc::clone(self))
    }

    pub fn count_request(&self, lane: Lane) {
        self.with(lane, |lane| lane.requests.fetch_add(1, Ordering::Relaxed));
    }

    /// One more server is asked, because of what became of the one before.
    pub fn count_retry(&self, lane: Lane, reason: usize) {
        self.with(lane, |lane| lane.retries.get(reason).map(|count| count.fetch_add(1, Ordering::Relaxed)));
    }

    /// Whether there may be one more second attempt, of which each hundred requests pay `percent`.
    pub fn may_retry(&self, lane: Lane, percent: u8, now: Instant) -> bool {
        let lane = self.lanes.get(lane.0).map(|padded| &padded.0);
        lane.is_none_or(|lane| lane.budget.take(lane.requests.load(Ordering::Relaxed), percent, now))
    }

    /// The client was answered with this status.
    pub fn count_code(&self, lane: Lane, status: u16) {
        let class = usize::from(status / 100).wrapping_sub(1);
        self.with(lane, |lane| lane.codes.get(class).map(|count| count.fetch_add(1, Ordering::Relaxed)));
    }

    /// Something was refused or failed for this reason.
    pub fn count_reason(&self, lane: Lane, reason: usize) {
        self.with(lane, |lane| lane.reasons.get(reason).map(|count| count.fetch_add(1, Ordering::Relaxed)));
    }

    pub fn record(&self, lane: Lane, phase: Phase, duration_us: u64) {
        self.with(lane, |lane| lane.phases.get(phase as usize).map(|histogram| histogram.record(duration_us)));
    }

    pub fn read(&self) -> PortReading {
        let zero = PortReading { connections: self.connections(), ..PortReading::default() };
        self.lanes.iter().fold(zero, |mut sum, Padded(lane)| {
            sum.accepted += lane.accepted.load(Ordering::Relaxed);
            sum.requests += lane.requests.load(Ordering::Relaxed);
            add_up_all(&mut sum.retries, &lane.retries);
            add_up_all(&mut sum.reasons, &lane.reasons);
            for (reading, histogram) in sum.phases.iter_mut().zip(&lane.phases) {
                histogram.add_to(reading);
            }
            add_up(&mut sum.codes, &lane.codes);
            sum
        })
    }

    fn with<T>(&self, lane: Lane, count: impl Fn(&PortLane) -> T) {
        self.lanes.get(lane.0).map(|padded| count(&padded.0));
    }
}

/// One client connection. Dropping it, for whatever reason, ends it in the counters.
#[must_use]
#[derive(Debug)]
pub struct OpenConnection(Arc<PortCounters>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_add_up_and_guards_end_what_they_began() {
        let counters = Arc::new(ServerCounters::new(2));
        let first = ActiveConnection::begin(&counters, Lane(0));
        let second = ActiveConnection::begin(&counters, Lane(1));
        counters.count_bytes_in(Lane(0), 10);
        counters.count_bytes_in(Lane(1), 5);
        counters.count_response(Lane(1), 204);
        counters.count_response(Lane(1), 503);
        counters.count_response(Lane(1), 99);
        counters.count_failed(Lane(7));
        drop(first);
        let reading = counters.read();
        assert_eq!((reading.active, reading.begun, reading.bytes_in, reading.failed), (1, 2, 15, 0));
        assert_eq!(reading.responses, [0, 1, 0, 0, 1]);
        drop(second);
        assert_eq!(counters.active(), 0);
    }

    #[test]
    fn durations_fall_into_their_buckets() {
        let counters = Arc::new(PortCounters::new(1, 3));
        for duration in [0, 250, 251, 10_000_000, 10_000_001, u64::MAX / 4] {
            counters.record(Lane(0), Phase::FirstByte, duration);
        }
        let reading = counters.read().phases[1];
        assert_eq!((reading.buckets[0], reading.buckets[1], reading.buckets[14], reading.buckets[15]), (2, 1, 1, 2));
        assert_eq!(counters.read().phases[0], HistogramReading::default());
    }

    #[test]
    fn a_port_counts_connections_reasons_and_codes() {
        let counters = Arc::new(PortCounters::new(2, 3));
        let open = counters.open_connection(Lane(1));
        counters.count_reason(Lane(0), 2);
        counters.count_reason(Lane(0), 3);
        counters.count_code(Lane(0), 200);
        let reading = counters.read();
        assert_eq!((reading.connections, reading.accepted), (1, 1));
        assert_eq!((reading.reasons, reading.codes), (vec![0, 0, 1], [0, 1, 0, 0, 0]));
        drop(open);
        assert_eq!(counters.connections(), 0);
    }
}

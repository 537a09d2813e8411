//! What the daemon and all workers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::datapath::record_queue::RecordQueue;

use crate::executor::{ForwardingTable, Lane};

use super::intake::Floor;
use super::per_client::PerClient;
use super::pressure::Pressure;
use super::secure::MOST_HANDSHAKES;
use super::shelf::Shelf;

/// The table in force, the hour, the bound on connections and what is counted of the process as a whole.
#[derive(Debug)]
pub struct Shared {
    table: ArcSwap<ForwardingTable>,
    /// One more with each table. Workers look at it for every request, at the table only when it has changed.
    version: AtomicU64,
    hour: AtomicU8,
    /// Client connections over all ports at one time; 0: unbounded.
    most_connections: AtomicU64,
    connections: Padded<AtomicU64>,
    /// TLS sessions in the making of one worker.
    most_handshakes: AtomicU32,
    memory: Memory,
    lanes: Box<[Padded<LaneCounters>]>,
    /// Where records for access logs are taken from the workers.
    records: Arc<RecordQueue>,
    pub(super) floor: Floor,
    pub(super) shelf: Shelf,
    pub(super) per_client: PerClient,
}

/// What was read of the process's memory last.
#[derive(Debug, Default)]
struct Memory {
    level: AtomicU8,
    resident: AtomicU64,
    ceiling: AtomicU64,
}

/// What is written by one thread and read by others has its own line in their caches.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub T);

type LaneCounters = [AtomicU64; Event::ALL.len()];

impl Shared {
    /// `lanes` is the number of workers.
    pub fn new(table: ForwardingTable, lanes: usize) -> Arc<Self> {
        Arc::new(Self {
            table: ArcSwap::from_pointee(table),
            version: AtomicU64::new(1),
            hour: AtomicU8::new(0),
            most_connections: AtomicU64::new(0),
            connections: Padded::default(),
            most_handshakes: AtomicU32::new(MOST_HANDSHAKES),
            memory: Memory::default(),
            lanes: (0..lanes.max(1)).map(|_| Padded::default()).collect(),
            records: RecordQueue::new(),
            floor: Floor::new(lanes),
            shelf: Shelf::default(),
            per_client: PerClient::new(),
        })
    }

    /// Publishes the next table: every request that begins after this has returned, on any worker, sees it.
    pub fn publish(&self, table: Arc<ForwardingTable>) {
        self.table.store(Arc::clone(&table));
        self.version.fetch_add(1, Ordering::Release);
        // It may have room for those in line, or nobody at all.
        table.ports().flat_map(|port| port.groups()).for_each(|group| group.queue.notify());
    }

    pub fn table(&self) -> Arc<ForwardingTable> {
        self.table.load_full()
    }

    /// The local hour, 0 to 23, for time rules.
    pub fn set_hour(&self, hour: u8) {
        self.hour.store(hour, Ordering::Relaxed);
    }

    /// From now on at most so many client connections at one time over all ports; 0: unbounded.
    pub fn set_most_connections(&self, most: u64) {
        self.most_connections.store(most, Ordering::Relaxed);
    }

    /// From now on each worker makes at most so many TLS sessions at one time.
    pub fn set_most_handshakes(&self, most: u32) {
        self.most_handshakes.store(most, Ordering::Relaxed);
    }

    /// So much memory is in use out of so much, and this is what follows from it.
    pub fn set_memory(&self, resident: u64, ceiling: u64, level: Pressure) {
        self.memory.resident.store(resident, Ordering::Relaxed);
        self.memory.ceiling.store(ceiling, Ordering::Relaxed);
        self.memory.level.store(level as u8, Ordering::Relaxed);
    }

    pub fn pressure(&self) -> Pressure {
        Pressure::of(self.memory.level.load(Ordering::Relaxed))
    }

    pub(super) fn most_handshakes(&self) -> u32 {
        self.most_handshakes.load(Ordering::Relaxed)
    }

    pub fn counters(&self) -> ProxyReading {
        let sum = |event: Event| self.lanes.iter().map(|lane| count_of(&lane.0, event)).sum();
        ProxyReading {
            connections: self.connections(),
            accept_pauses: sum(Event::AcceptPause),
            rejected: sum(Event::Rejected),
            panics: sum(Event::Panic),
            pool_hits: sum(Event::PoolHit),
            pool_misses: sum(Event::PoolMiss),
            pool_stale: sum(Event::PoolStale),
            pool_spoiled: sum(Event::PoolSpoiled),
            pool_shelved: sum(Event::PoolShelved),
            pool_takeovers: sum(Event::PoolTakeover),
            stalled: sum(Event::Stalled),
            idle_closed: sum(Event::IdleClosed),
            clients_gone: sum(Event::ClientGone),
            parked: sum(Event::Parked),
            headers_read: sum(Event::HeaderRead),
            headers_late: sum(Event::HeaderLate),
            handovers: sum(Event::Handover),
            handovers_forgone: sum(Event::HandoverForgone),
            handovers_refused: sum(Event::HandoverRefused),
            marked_down: sum(Event::MarkedDown),
            bad_partition_tables: sum(Event::BadPartitionTable),
            tls_handshakes: sum(Event::TlsHandshake),
            tls_resumed: sum(Event::TlsResumed),
            memory_pauses: sum(Event::MemoryPause),
            shed: sum(Event::Shed),
            memory_level: u64::from(self.memory.level.load(Ordering::Relaxed)),
            memory_ceiling: self.memory.ceiling.load(Ordering::Relaxed),
            memory_resident: self.memory.resident.load(Ordering::Relaxed),
        }
    }

    /// Where the workers' records for access logs come in.
    pub fn records(&self) -> &Arc<RecordQueue> {
        &self.records
    }

    /// Client connections of each worker now. Empty if there is only one.
    pub fn spread(&self) -> Vec<u64> {
        self.floor.open().collect()
    }

    /// Client connections open now, over all ports.
    pub(super) fn connections(&self) -> u64 {
        self.connections.0.load(Ordering::Relaxed)
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn hour(&self) -> u8 {
        self.hour.load(Ordering::Relaxed)
    }

    /// Whether there are other workers who could use what one has to spare.
    pub(super) fn has_several_workers(&self) -> bool {
        self.lanes.len() > 1
    }

    pub(super) fn count(&self, lane: Lane, event: Event) {
        if let Some(count) = self.lanes.get(lane.0).and_then(|lane| lane.0.get(event as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One more client connection, served by the worker with this lane, unless there are as many as there may be.
    pub(super) fn admit(self: &Arc<Self>, lane: Lane) -> Option<Admitted> {
        let most = self.most_connections.load(Ordering::Relaxed);
        // The guard is made first, so that it takes itself back when it was one too many.
        let before = self.connections.0.fetch_add(1, Ordering::Relaxed);
        self.floor.enter(lane);
        let admitted = Admitted { shared: Arc::clone(self), lane };
        (most == 0 || before < most).then_some(admitted)
    }
}

fn count_of(lane: &LaneCounters, event: Event) -> u64 {
    lane.get(event as usize).map_or(0, |count| count.load(Ordering::Relaxed))
}

/// One client connection of the process. Dropping it, for whatever reason, ends it in the counters.
#[must_use]
#[derive(Debug)]
pub(super) struct Admitted {
    shared: Arc<Shared>,
    lane: Lane,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.connections.0.fetch_sub(1, Ordering::Relaxed);
        self.shared.floor.leave(self.lane);
    }
}

/// What is counted of the process as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Event {
    AcceptPause,
    Rejected,
    Panic,
    PoolHit,
    PoolMiss,
    PoolStale,
    PoolSpoiled,
    PoolShelved,
    PoolTakeover,
    Stalled,
    IdleClosed,
    ClientGone,
    Parked,
    HeaderRead,
    HeaderLate,
    Handover,
    HandoverForgone,
    HandoverRefused,
    MarkedDown,
    BadPartitionTable,
    TlsHandshake,
    TlsResumed,
    MemoryPause,
    Shed,
}

impl Event {
    const ALL: [Self; 24] = [
        Self::AcceptPause,
        Self::Rejected,
        Self::Panic,
        Self::PoolHit,
        Self::PoolMiss,
        Self::PoolStale,
        Self::PoolSpoiled,
        Self::PoolShelved,
        Self::PoolTakeover,
        Self::Stalled,
        Self::IdleClosed,
        Self::ClientGone,
        Self::Parked,
        Self::HeaderRead,
        Self::HeaderLate,
        Self::Handover,
        Self::HandoverForgone,
        Self::HandoverRefused,
        Self::MarkedDown,
        Self::BadPartitionTable,
        Self::TlsHandshake,
        Self::TlsResumed,
        Self::MemoryPause,
        Self::Shed,
    ];
}

/// The sum of all workers at one moment. What belongs to a port or a server is counted there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ProxyReading {
    /// Client connections open now, over all ports.
    pub connections: u64,
    /// Times that accepting paused because file descriptors or memory were used up.
    pub accept_pauses: u64,
    /// Client connections refused because the port or the process had as many as it may have.
    pub rejected: u64,
    /// Panics that ended one connection each.
    pub panics: u64,
    /// Requests that found an idle connection to their server.
    pub pool_hits: u64,
    /// Requests for which a connection was opened.
    pub pool_misses: u64,
    /// Idle connections that turned out to be closed only when a request was sent over them.
    pub pool_stale: u64,
    /// Idle connections closed because their server said something unasked.
    pub pool_spoiled: u64,
    /// Idle connections that a worker had no use for and left to the others.
    pub pool_shelved: u64,
    /// Requests for which another worker's idle connection was taken over.
    pub pool_takeovers: u64,
    /// Exchanges ended because no byte of a body moved within the time for that.
    pub stalled: u64,
    /// Kept-alive client connections closed after their idle time.
    pub idle_closed: u64,
    /// Clients that left in the middle of a head or while their request was in progress.
    pub clients_gone: u64,
    /// Times that a silent client's buffers were given up until it speaks again.
    pub parked: u64,
    /// PROXY protocol headers that trusted proxies began their connections with.
    pub headers_read: u64,
    /// Those that did not come in time.
    pub headers_late: u64,
    /// Connections that a worker with more than its share gave to another.
    pub handovers: u64,
    /// Connections that it kept because it had given away as many as it may for the moment.
    pub handovers_forgone: u64,
    /// Connections that it kept because the other's queue was full, or closed at that moment.
    pub handovers_refused: u64,
    /// Times that a server was left alone for its failures.
    pub marked_down: u64,
    /// Partition tables of servers that could not be read.
    pub bad_partition_tables: u64,
    /// TLS sessions with clients.
    pub tls_handshakes: u64,
    /// Those of them that went on from an earlier one.
    pub tls_resumed: u64,
    /// Times that a listener paused because memory was short.
    pub memory_pauses: u64,
    /// Silent clients closed before their time because memory was short.
    pub shed: u64,
    /// What is done about memory now, as [`Pressure`] counts.
    pub memory_level: u64,
    /// Bytes that the process may have; 0: no bound.
    pub memory_ceiling: u64,
    /// Bytes that it has.
    pub memory_resident: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_is_bounded_and_given_back() {
        let shared = Shared::new(ForwardingTable::default(), 1);
        shared.set_most_connections(2);
        let first = shared.admit(Lane(0));
        let second = shared.admit(Lane(0));
        assert!(first.is_some() && second.is_some() && shared.admit(Lane(0)).is_none());
        assert_eq!(shared.counters().connections, 2, "a refused one is not counted");
        drop(first);
        assert!(shared.admit(Lane(0)).is_some());
        shared.set_most_connections(0);
        let many: Vec<_> = (0..100).filter_map(|_| shared.admit(Lane(0))).collect();
        assert_eq!(many.len(), 100);
    }

    #[test]
    fn events_have_their_places() {
        let shared = Shared::new(ForwardingTable::default(), 2);
        for (place, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, place);
        }
        shared.count(Lane(0), Event::PoolHit);
        shared.count(Lane(1), Event::PoolHit);
        shared.count(Lane(2), Event::PoolHit);
        assert_eq!(shared.counters(), ProxyReading { pool_hits: 2, ..ProxyReading::default() });
    }
}

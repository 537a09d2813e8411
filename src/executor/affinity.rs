//! Which server a client used last (IBM: server affinity, "sticky").

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::table::ServerEntry;
use crate::model::{PortId, StickyMask};

/// The affinity records of all ports, shared by all workers and bounded.
///
/// A server is remembered by the hash of its name, not by its place on a port: ports that share records
/// (cross-port) have the same servers in places of their own, and a server that is removed and added again is still
/// the same to its clients.
#[derive(Debug)]
pub struct AffinityTable {
    records: DashMap<Key, Record>,
    capacity: AtomicUsize,
    evicted: AtomicU64,
    /// Keys of the hashes of cookies.
    keys: [RandomState; 2],
    /// What a partner is to be told, while there is one.
    news: News,
}

/// Records that were written since they were asked for last.
#[derive(Debug, Default)]
struct News {
    are_wanted: AtomicBool,
    keys: Mutex<Vec<Key>>,
    lost: AtomicBool,
}

/// Records that wait to be told: more than are written between two looks. Beyond them all are told anew.
const MOST_NEWS: usize = 65_536;

/// A client's server, as two dispatchers tell it to each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AffinityCopy {
    pub group: PortId,
    /// 0: the port itself.
    pub application: u64,
    /// The client's, or its network's.
    pub network: IpAddr,
    /// By the hash of its name.
    pub server: u64,
    /// How long ago the client came.
    pub idle: Duration,
    pub stickytime: Duration,
}

/// Who is remembered, on one group of ports and there in one application (0: the port itself).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key {
    group: PortId,
    application: u64,
    who: Who,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Who {
    /// Clients of one network.
    Network(IpAddr),
    /// Whoever has this cookie. A keyed hash of 128 bits in place of the value: a record has one size, and nobody can
    /// choose a value that meets another's.
    Session(u64, u64),
}

#[derive(Clone, Copy, Debug)]
struct Record {
    server: u64,
    used: Instant,
    stickytime: Duration,
}

impl Record {
    fn is_valid(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < self.stickytime
    }
}

impl AffinityTable {
    pub fn new(capacity: usize) -> Self {
        Self {
            records: DashMap::new(),
            capacity: AtomicUsize::new(capacity),
            evicted: AtomicU64::new(0),
            keys: [RandomState::new(), RandomState::new()],
            news: News::default(),
        }
    }

    /// From now on records that are written are kept for [`take_news`](Self::take_news), or no longer.
    pub fn want_news(&self, are_wanted: bool) {
        self.news.are_wanted.store(are_wanted, Ordering::Relaxed);
        self.news.keys().clear();
        self.news.lost.store(false, Ordering::Relaxed);
    }

    /// Clients' records that were written since the last call. `None`: they were too many, and [`all`](Self::all) tells. Those of
    /// cookies are not among them: they go by a secret of this process.
    pub fn take_news(&self, now: Instant) -> Option<Vec<AffinityCopy>> {
        let keys = std::mem::take(&mut *self.news.keys());
        if self.news.lost.swap(false, Ordering::Relaxed) {
            return None;
        }
        let copy = |key: Key| copy_of(&key, &*self.records.get(&key)?, now);
        Some(keys.into_iter().filter_map(copy).collect())
    }

    /// All clients' records.
    pub fn all(&self, now: Instant) -> Vec<AffinityCopy> {
        self.records.iter().filter_map(|entry| copy_of(entry.key(), entry.value(), now)).collect()
    }

    /// A record of the partner's, unless a younger one is here.
    pub fn take_in(&self, copy: &AffinityCopy, now: Instant) {
        let AffinityCopy { group, application, network, server, idle, stickytime } = *copy;
        let Some(used) = now.checked_sub(idle) else { return };
        let key = Key { group, application, who: Who::Network(network) };
        if self.records.get(&key).is_none_or(|known| known.used < used) {
            self.write(key, Record { server, used, stickytime }, now);
        }
    }

    /// From now on at most `capacity` records; those beyond it leave as new ones come.
    pub fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Records that left before their time because the table was full.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Valid records of each group of ports. Looks at every record, so it is for reports.
    pub fn census(&self, now: Instant) -> HashMap<PortId, u64> {
        let mut counts = HashMap::new();
        for entry in self.records.iter().filter(|entry| entry.value().is_valid(now)) {
            *counts.entry(entry.key().group).or_default() += 1;
        }
        counts
    }

    pub(super) fn server_of(&self, slot: &Slot, client: IpAddr, now: Instant) -> Option<u64> {
        let record = self.records.get(&slot.key(client))?;
        record.is_valid(now).then_some(record.server)
    }

    pub(super) fn remember(&self, slot: &Slot, client: IpAddr, server: u64, now: Instant) {
        self.put(slot.key(client), Record { server, used: now, stickytime: slot.stickytime }, now);
    }

    /// The server of whoever has this cookie on a group of ports and an application there. Asking keeps the record alive.
    pub(super) fn session_server(&self, of: (PortId, u64), value: &[u8], now: Instant) -> Option<u64> {
        let key = self.session_key(of, value);
        let record = *self.records.get(&key)?;
        if !record.is_valid(now) {
            return None;
        }
        // Seldom, because writing keeps other workers from the shard.
        if now.saturating_duration_since(record.used) >= record.stickytime / REFRESHES
            && let Some(mut known) = self.records.get_mut(&key)
        {
            known.used = now;
        }
        Some(record.server)
    }

    /// Whoever has this cookie belongs to this server, until it was not used for so long.
    pub(super) fn remember_session(
        &self,
        (of, time): ((PortId, u64), Duration),
        value: &[u8],
        server: u64,
        now: Instant,
    ) {
        self.put(self.session_key(of, value), Record { server, used: now, stickytime: time }, now);
    }

    fn session_key(&self, (group, application): (PortId, u64), value: &[u8]) -> Key {
        let [first, second] = &self.keys;
        Key { group, application, who: Who::Session(first.hash_one(value), second.hash_one(value)) }
    }

    fn put(&self, key: Key, record: Record, now: Instant) {
        self.write(key, record, now);
        if self.news.are_wanted.load(Ordering::Relaxed) && matches!(key.who, Who::Network(_)) {
            self.news.note(key);
        }
    }

    fn write(&self, key: Key, record: Record, now: Instant) {
        if let Some(mut known) = self.records.get_mut(&key) {
            *known = record;
            return;
        }
        if self.records.len() >= self.capacity.load(Ordering::Relaxed) {
            self.make_room(now);
        }
        self.records.insert(key, record);
    }

    /// Removes what has expired; called now and then from the control thread.
    pub fn sweep(&self, now: Instant) {
        self.records.retain(|_, record| record.is_valid(now));
    }

    /// Removes every record that points to this server on this group of ports.
    pub fn forget_server(&self, group: PortId, server: u64) {
        self.records.retain(|key, record| key.group != group || record.server != server);
    }

    /// Full, so the stalest of a few records goes. A sample is enough: clients at the far end of the table matter
    /// least, and looking at every record would let a flood of new clients stall the worker.
    fn make_room(&self, now: Instant) {
        let age = |record: &Record| (!record.is_valid(now), now.saturating_duration_since(record.used));
        let stalest =
            self.records.iter().take(EVICTION_SAMPLE).max_by_key(|entry| age(entry.value())).map(|entry| *entry.key());
        if let Some(key) = stalest {
            self.records.remove(&key);
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl News {
    fn note(&self, key: Key) {
        let mut keys = self.keys();
        if keys.len() < MOST_NEWS {
            keys.push(key);
        } else {
            self.lost.store(true, Ordering::Relaxed);
        }
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copy_of(key: &Key, record: &Record, now: Instant) -> Option<AffinityCopy> {
    let Who::Network(network) = key.who else { return None };
    let Record { server, used, stickytime } = *record;
    let idle = now.saturating_duration_since(used);
    let copy = AffinityCopy { group: key.group, application: key.application, network, server, idle, stickytime };
    record.is_valid(now).then_some(copy)
}

/// Records looked at to find one that may go.
const EVICTION_SAMPLE: usize = 16;

/// How one port uses the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slot {
    /// The port whose records these are: its own, or the one it shares with (cross-port).
    pub group: PortId,
    /// The application, by the hash of its group's name; 0: the port itself.
    pub application: u64,
    pub mask: StickyMask,
    pub stickytime: Duration,
}

impl Slot {
    fn key(&self, client: IpAddr) -> Key {
        Key { group: self.group, application: self.application, who: Who::Network(network_of(client, self.mask)) }
    }
}

fn network_of(client: IpAddr, mask: StickyMask) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & leading_ones_32(mask.v4())).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & leading_ones_128(mask.v6())).into(),
    }
}

fn leading_ones_32(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)
}

fn leading_ones_128(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}

/// What one client connection remembers of its own affinity, so that the shared table is asked once per
/// connection and not once per request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Session {
    known: Option<Remembered>,
    /// The server that knows the client by a connection which is kept for it.
    bound: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    client: IpAddr,
    slot: Slot,
    server: u64,
    written: Instant,
}

impl Session {
    /// The client authenticated a connection at this server: another one would not know it.
    pub fn bind(&mut self, server: &ServerEntry) {
        self.bound = Some(server.name_hash);
    }

    pub(super) fn bound(&self) -> Option<u64> {
        self.bound
    }

    /// The server of this client on this port, as far as this connection knows.
    pub(super) fn server_of(&self, slot: &Slot, client: IpAddr) -> Option<u64> {
        let known = self.known.as_ref()?;
        (known.client == client && known.slot == *slot).then_some(known.server)
    }

    /// Notes the choice here, and in the table when that one's note is about to look old.
    pub(super) fn remember(&mut self, table: &AffinityTable, slot: &Slot, client: IpAddr, server: u64, now: Instant) {
        let fresh = |known: &Remembered| now.saturating_duration_since(known.written) < slot.stickytime / REFRESHES;
        let noted = self.server_of(slot, client) == Some(server) && self.known.as_ref().is_some_and(fresh);
        if !noted {
            table.remember(slot, client, server, now);
            self.known = Some(Remembered { client, slot: *slot, server, written: now });
        }
    }
}

/// A busy connection writes its record this many times per stickytime, so that a record never expires more than
/// 1/16 of the stickytime too early.
const REFRESHES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const STICKYTIME: Duration = Duration::from_secs(300);

    fn slot(group: u32, v4: u64, v6: u64) -> Slot {
        Slot { group: PortId(group), application: 0, mask: StickyMask::new(v4, v6).unwrap(), stickytime: STICKYTIME }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn records_live_exactly_as_long_as_the_stickytime() {
        let (table, slot, start) = (AffinityTable::new(10), slot(1, 32, 128), Instant::now());
        table.remember(&slot, ip("192.0.2.1"), 7, start);
        let almost = start + STICKYTIME - Duration::from_millis(1);
        assert_eq!(table.server_of(&slot, ip("192.0.2.1"), almost), Some(7));
        assert_eq!(table.server_of(&slot, ip("192.0.2.1"), start + STICKYTIME), None);
        table.remember(&slot, ip("192.0.2.1"), 7, almost);
        assert_eq!(
            table.server_of(&slot, ip("192.0.2.1"), start + STICKYTIME),
            Some(7),
            "a new connection starts it again"
        );
    }

    #[test]
    fn the_mask_groups_exactly_the_prefix() {
        let now = Instant::now();
        let cases = [
            (24, 64, "192.0.2.1", "192.0.2.254", true),
            (24, 64, "192.0.2.1", "192.0.3.1", false),
            (32, 64, "192.0.2.1", "192.0.2.2", false),
            (1, 64, "128.0.0.0", "255.0.0.0", true),
            (24, 64, "2001:db8::1", "2001:db8::ffff", true),
            (24, 64, "2001:db8::1", "2001:db8:0:1::1", false),
            (24, 128, "2001:db8::1", "2001:db8::2", false),
            (24, 64, "192.0.2.9", "::ffff:192.0.2.1", true),
        ];
        for (v4, v6, first, second, together) in cases {
            let (table, slot) = (AffinityTable::new(10), slot(1, v4, v6));
            table.remember(&slot, ip(first), 7, now);
            assert_eq!(table.server_of(&slot, ip(second), now).is_some(), together, "{first} {second} /{v4} /{v6}");
        }
    }

    #[test]
    fn groups_are_apart_and_a_removed_server_is_forgotten() {
        let (table, now) = (AffinityTable::new(10), Instant::now());
        table.remember(&slot(1, 32, 128), ip("192.0.2.1"), 7, now);
        assert_eq!(table.server_of(&slot(2, 32, 128), ip("192.0.2.1"), now), None);
        table.forget_server(PortId(2), 7);
        assert_eq!(table.len(), 1);
        table.forget_server(PortId(1), 7);
        assert!(table.is_empty());
    }

    #[test]
    fn a_full_table_never_grows_and_loses_the_expired_first() {
        let (table, slot, start) = (AffinityTable::new(8), slot(1, 32, 128), Instant::now());
        table.remember(&slot, ip("192.0.2.255"), 9, start);
        let later = start + STICKYTIME;
        for host in 0..20 {
            table.remember(&slot, Ipv4Addr::new(192, 0, 2, host).into(), 7, later);
            assert!(table.len() <= 8);
        }
        assert_eq!(table.evicted(), 13);
        table.sweep(later);
        assert_eq!(table.len(), 8, "the expired record was the first to go");
        table.sweep(later + STICKYTIME);
        assert!(table.is_empty());
    }

    #[test]
    fn a_session_spares_the_table_but_keeps_its_record_alive() {
        let (table, slot, start) = (AffinityTable::new(8), slot(1, 32, 128), Instant::now());
        let mut session = Session::default();
        let client = ip("192.0.2.1");
        for second in 0..600 {
            session.remember(&table, &slot, client, 7, start + Duration::from_secs(second));
        }
        assert_eq!(session.server_of(&slot, client), Some(7));
        assert_eq!(session.server_of(&slot, ip("192.0.2.2")), None, "another client behind the same proxy");
        let later = start + Duration::from_secs(600 + 270);
        assert_eq!(table.server_of(&slot, client, later), Some(7));
    }
}

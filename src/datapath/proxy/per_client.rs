//! How many connections each client address has, where a port bounds that.
//!
//! An address may hold connections at every worker, so all of them count in one table. It is cut into shards, each behind a
//! lock of its own that is held for one look into a map: with some hundred shards two workers hardly ever meet at one. An
//! entry is there while its client has a connection, so the bound on connections bounds the table.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::executor::PortTable;
use crate::model::PortId;

use super::shared::Shared;

/// Counts by port and client.
#[derive(Debug)]
pub(super) struct PerClient {
    shards: Box<[Mutex<Shard>]>,
    /// Keyed at random, so that nobody can choose addresses for one shard.
    hasher: RandomState,
}

type Shard = HashMap<Key, u32>;

/// A port, and an IPv4 address or the network of an IPv6 address: whoever has one IPv6 address has 2^64.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key {
    port: PortId,
    client: IpAddr,
}

/// So many that workers seldom meet, so few that they cost nothing while the table is empty.
const SHARDS: usize = 256;

/// One connection of a client. Dropping it, for whatever reason, ends it in the count.
#[must_use]
#[derive(Debug)]
pub(super) struct Seat {
    shared: Arc<Shared>,
    key: Key,
}

/// The client has as many connections as it may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TooMany;

/// A seat for one more connection of this client. `None`: the port does not bound them, or the peer speaks for many.
pub(super) fn sit(shared: &Arc<Shared>, port: &PortTable, client: IpAddr) -> Result<Option<Box<Seat>>, TooMany> {
    let most = port.settings.limits.per_client;
    if most == 0 || port.settings.trusted.iter().any(|network| network.contains(client)) {
        return Ok(None);
    }
    let key = Key { port: port.id, client: network_of(client) };
    let entered = shared.per_client.enter(key, most);
    entered.then(|| Some(Box::new(Seat { shared: Arc::clone(shared), key }))).ok_or(TooMany)
}

impl PerClient {
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    fn enter(&self, key: Key, most: u32) -> bool {
        let Some(mut shard) = self.shard(&key) else { return true };
        let count = shard.entry(key).or_insert(0);
        let has_room = *count < most;
        *count += u32::from(has_room);
        has_room
    }

    fn leave(&self, key: Key) {
        let Some(mut shard) = self.shard(&key) else { return };
        if let Entry::Occupied(mut count) = shard.entry(key) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
        // After a flood of addresses the memory goes back.
        if shard.is_empty() && shard.capacity() > ROOMY {
            shard.shrink_to_fit();
        }
    }

    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, Shard>> {
        let place = self.hasher.hash_one(key) as usize % self.shards.len().max(1);
        // Nothing under the lock can panic half-way.
        self.shards.get(place).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

const ROOMY: usize = 64;

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.per_client.leave(self.key);
    }
}

/// IPv4 inside IPv6 is IPv4.
fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u32, client: &str) -> Key {
        Key { port: PortId(port), client: network_of(client.parse().unwrap()) }
    }

    #[test]
    fn each_client_of_each_port_has_its_own_count() {
        let table = PerClient::new();
        assert!(table.enter(key(1, "192.0.2.1"), 2) && table.enter(key(1, "::ffff:192.0.2.1"), 2));
        assert!(!table.enter(key(1, "192.0.2.1"), 2));
        assert!(table.enter(key(1, "192.0.2.2"), 2) && table.enter(key(2, "192.0.2.1"), 2));
        table.leave(key(1, "192.0.2.1"));
        assert!(table.enter(key(1, "192.0.2.1"), 2));
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        assert_eq!(key(1, "2001:db8::1"), key(1, "2001:db8::ffff:0:0:2"));
        assert_ne!(key(1, "2001:db8::1"), key(1, "2001:db8:0:1::1"));
    }

    #[test]
    fn who_has_no_connection_has_no_entry() {
        let table = PerClient::new();
        let keys: Vec<Key> =
            (0..1000).map(|number| key(1, &format!("10.0.{}.{}", number / 250, number % 250))).collect();
        assert!(keys.iter().all(|key| table.enter(*key, 1)));
        assert_eq!(table.len(), 1000);
        keys.iter().for_each(|key| table.leave(*key));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn threads_never_let_in_one_too_many() {
        let table = PerClient::new();
        let inside: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| table.enter(key(1, "192.0.2.1"), 500)).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(inside, 500);
    }
}

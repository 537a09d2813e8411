//! Every interleaving of the protocol's steps by two and three threads, under a memory model weaker than the machine's:
//! loads may be as old as their orderings allow.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering, fence};
use loom::thread;

use super::*;
use crate::packet::hash::HashKeys;
use crate::packet::sweep::{Census, Patience, Sweep};

impl Word for AtomicU64 {
    fn read(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn exchange(&self, next: u64) -> u64 {
        self.swap(next, Ordering::AcqRel)
    }

    fn change(&self, seen: u64, next: u64) -> Result<(), u64> {
        self.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    fn barrier() {
        fence(Ordering::SeqCst);
    }
}

/// Memory that the threads of a model share.
struct Shared {
    words: Vec<AtomicU64>,
    keys: HashKeys,
}

impl Shared {
    /// Two buckets, of which all slots but these are taken by entries of other flows: what is taken costs the checker one
    /// load at most, as nobody changes it.
    fn with_free(free: &[u32]) -> Arc<Self> {
        let word = |slot: u32, word| match word {
            _ if free.contains(&slot) => 0,
            0 => OTHERS + u64::from(slot),
            _ => value(99, State::Established, NOW).0,
        };
        let words = (0..2 * SLOTS).flat_map(|slot| [0, 1].map(|part| AtomicU64::new(word(slot, part)))).collect();
        Arc::new(Self { words, keys: HashKeys([0; 32]) })
    }

    fn table(&self) -> Table<'_, AtomicU64> {
        Table::new(&self.words, &self.keys).unwrap()
    }

    fn sweep(&self, slot: u32, now: u32, purged: u16) {
        let patience = |_| Patience { stale: 1_000_000, fin: 1_000_000 };
        let sweep = Sweep { now, patience: &patience, purged: &|server| server == purged };
        let start = slot as usize * 2;
        sweep.run(&self.words[start..start + 2], &mut Census::default());
    }

    /// Live entries of a key, when nobody moves.
    fn entries(&self, key: u64) -> Vec<Value> {
        self.table().slots().filter_map(|(_, slot)| slot.entry(key)).collect()
    }
}

const NOW: u32 = 1000;
/// Keys of flows that are of no interest begin here.
const OTHERS: u64 = 100;

fn value(server: u16, state: State, now: u32) -> Value {
    Value::new(server, state, u32::from(server), now)
}

fn checked(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    builder.check(model);
}

/// Enters the flow with this server. The server that it yielded to, if it did.
fn enter(shared: &Shared, key: u64, server: u16) -> Option<u16> {
    match shared.table().enter(key, value(server, State::New, NOW), &mut |_| ()) {
        Entered::Here(_) => None,
        Entered::Existing(other) => Some(other.server()),
        Entered::Full => panic!("there is room"),
    }
}

/// One entry is left, and who yielded went to its server.
#[test]
fn two_who_enter_one_flow_leave_one_entry() {
    for free in [[0, 1], [2, 6]] {
        checked(Some(3), move || {
            let shared = Shared::with_free(&free);
            let other = Arc::clone(&shared);
            let second = thread::spawn(move || enter(&other, 7, 2));
            let yielded = [enter(&shared, 7, 1), second.join().unwrap()];
            let entries = shared.entries(7);
            assert_eq!(entries.len(), 1);
            let winner = entries[0].server();
            assert!(yielded.iter().flatten().all(|server| *server == winner), "{yielded:?} {winner}");
        });
    }
}

#[test]
fn three_who_enter_one_flow_leave_one_entry() {
    checked(Some(2), || {
        let shared = Shared::with_free(&[1, 2, 5]);
        let others = [2, 3].map(|server| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || enter(&shared, 7, server))
        });
        enter(&shared, 7, 1);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(shared.entries(7).len(), 1);
    });
}

/// A packet of the flow that finds one of two entries, and refreshes it while they come together.
#[test]
fn a_refresh_keeps_no_second_entry() {
    checked(Some(2), || {
        let shared = Shared::with_free(&[1, 5]);
        let [second, third] = [(); 2].map(|()| Arc::clone(&shared));
        let second = thread::spawn(move || enter(&second, 7, 2));
        let third = thread::spawn(move || {
            if let Some(found) = third.table().find(7) {
                let _ = third.table().change(found, found.value.seen(State::Established, NOW + 1));
            }
        });
        enter(&shared, 7, 1);
        second.join().unwrap();
        third.join().unwrap();
        assert_eq!(shared.entries(7).len(), 1);
    });
}

#[test]
fn each_end_is_counted_once() {
    checked(Some(3), || {
        let shared = Shared::with_free(&[1, 5]);
        let other = Arc::clone(&shared);
        let opened = |shared: &Shared, server| {
            let mut count = 1;
            let _ = shared.table().enter(7, value(server, State::New, NOW), &mut |_| count -= 1);
            count
        };
        let second = thread::spawn(move || opened(&other, 2));
        let first = opened(&shared, 1);
        assert_eq!(first + second.join().unwrap(), 1);
    });
}

/// A reader who finds the key finds the value that was published under it, and nothing of the slot's flow before.
#[test]
fn no_key_is_seen_without_its_value() {
    checked(Some(3), || {
        let shared = Shared::with_free(&[1]);
        let [inserter, sweeper] = [(); 2].map(|()| Arc::clone(&shared));
        let inserter = thread::spawn(move || enter(&inserter, 7, 1));
        let sweeper = thread::spawn(move || sweeper.sweep(1, NOW, 2));
        let table = shared.table();
        let slot = table.slot(Place(1)).unwrap();
        if slot.key() == 7 {
            assert_eq!(slot.value(), value(1, State::New, NOW));
        }
        inserter.join().unwrap();
        sweeper.join().unwrap();
        assert_eq!(shared.entries(7), [value(1, State::New, NOW)]);
    });
}

/// The slot's first flow (7, server 1) ends, the slot is freed, and the next flow (8, server 2) enters it, while a packet of
/// the first flow is being forwarded: its refresh lands on its own entry or nowhere.
#[test]
fn no_refresh_lands_on_another_flow() {
    checked(Some(3), || {
        let shared = Shared::with_free(&[1]);
        enter(&shared, 7, 1);
        let [sweeper, inserter] = [(); 2].map(|()| Arc::clone(&shared));
        let sweeper = thread::spawn(move || {
            sweeper.sweep(1, NOW + 1, 1);
            sweeper.sweep(1, NOW + 1 + units(REST) + 1, 1);
        });
        let later = NOW + 1 + units(REST) + 1;
        let inserter = thread::spawn(move || inserter.table().enter(8, value(2, State::New, later), &mut |_| ()));
        if let Some(found) = shared.table().find(7) {
            assert_eq!(found.value.server(), 1);
            let _ = shared.table().change(found, found.value.seen(State::Established, NOW + 1));
        }
        sweeper.join().unwrap();
        let entered = inserter.join().unwrap();
        assert!(shared.entries(7).iter().all(|value| value.server() == 1));
        match entered {
            Entered::Here(_) => {
                assert_eq!(shared.entries(8), [value(2, State::New, later)]);
                assert_eq!(shared.entries(7), []);
            }
            _ => assert_eq!(shared.entries(8), []),
        }
    });
}

/// Whoever ended an entry takes its key away afterwards, and may come late: after the slot was freed and is another flow's.
#[test]
fn the_next_flow_keeps_its_key() {
    checked(Some(3), || {
        let shared = Shared::with_free(&[1]);
        enter(&shared, 7, 1);
        let [killer, sweeper] = [(); 2].map(|()| Arc::clone(&shared));
        let killer = thread::spawn(move || killer.table().find(7).is_some_and(|found| killer.table().end(found, NOW)));
        let later = NOW + units(REST) + 1;
        let sweeper = thread::spawn(move || sweeper.sweep(1, later, 0));
        let entered = shared.table().enter(8, value(2, State::New, later), &mut |_| ());
        assert!(killer.join().unwrap());
        sweeper.join().unwrap();
        if let Entered::Here(_) = entered {
            assert_eq!(shared.entries(8), [value(2, State::New, later)]);
        }
        assert_eq!(shared.entries(7), []);
    });
}

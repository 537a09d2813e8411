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

/// A thread of a model.
type Actor<T> = Box<dyn FnOnce(&Shared) -> T + Send>;

/// Runs all actors at the same time, each in a thread of its own: the checker does not try every beginning of a thread
/// that starts others.
fn together<T: Send + 'static, const N: usize>(shared: &Arc<Shared>, actors: [Actor<T>; N]) -> [T; N] {
    let threads = actors.map(|actor| {
        let shared = Arc::clone(shared);
        thread::spawn(move || actor(&shared))
    });
    threads.map(|thread| thread.join().unwrap())
}

/// With as many switches between threads in the middle of their work as are said: where all of them take minutes.
fn checked(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    builder.check(model);
}

/// Enters the flow with this server. What became of it, and how many entries were displaced.
fn entering(key: u64, server: u16, now: u32) -> Actor<(Option<Entered>, usize)> {
    Box::new(move |shared| {
        let mut displaced = Displaced(0);
        let entered = shared.table().enter(key, value(server, State::New, now), &mut displaced);
        (Some(entered), displaced.0)
    })
}

struct Displaced(usize);

impl Witness for Displaced {
    fn displaced(&mut self, _: Value) {
        self.0 += 1;
    }
}

fn sweeping(slot: u32, times: &'static [u32], purged: u16) -> Actor<(Option<Entered>, usize)> {
    Box::new(move |shared| {
        for &now in times {
            shared.sweep(slot, now, purged);
        }
        (None, 0)
    })
}

/// A packet that finds the flow's entry, which must be this server's, and refreshes it.
fn refreshing(key: u64, servers: &'static [u16]) -> Actor<(Option<Entered>, usize)> {
    Box::new(move |shared| {
        if let Some(found) = shared.table().find(key) {
            assert!(servers.contains(&found.value.server()));
            let _ = shared.table().change(found, found.value.seen(State::Established, NOW + 1));
        }
        (None, 0)
    })
}

fn ending(key: u64) -> Actor<(Option<Entered>, usize)> {
    Box::new(move |shared| {
        let found = shared.table().find(key).unwrap();
        assert!(shared.table().end(found, NOW));
        (None, 0)
    })
}

/// When a slot is free whose entry ended at [`NOW`].
fn rested() -> u32 {
    NOW + units(REST) + 1
}

#[test]
fn of_two_who_enter_one_flow_the_lower_stays() {
    for free in [[0, 1], [2, 6]] {
        checked(None, move || {
            let shared = Shared::with_free(&free);
            let ends = together(&shared, [entering(7, 1, NOW), entering(7, 2, NOW)]);
            let [entry] = shared.entries(7)[..] else { panic!("{ends:?}") };
            for (end, _) in ends {
                match end.unwrap() {
                    Entered::Existing(winner) => assert_eq!(winner, entry),
                    // This one was done before the other one began to look.
                    Entered::Here(place) => assert!(place <= Place(free[1])),
                    Entered::Full => panic!("there is room"),
                }
            }
            let [(_, first), (_, second)] = ends;
            assert_eq!(first + second, 1, "two were opened, one is left");
        });
    }
}

#[test]
fn three_who_enter_one_flow_leave_one_entry() {
    checked(Some(2), || {
        let shared = Shared::with_free(&[0, 1, 2]);
        let ends = together(&shared, [1, 2, 3].map(|server| entering(7, server, NOW)));
        assert_eq!(shared.entries(7).len(), 1);
        assert_eq!(ends.iter().map(|(_, displaced)| displaced).sum::<usize>(), 2);
    });
}

/// A packet of the flow finds one of two entries, and refreshes it while they come together.
#[test]
fn a_refresh_keeps_no_second_entry() {
    checked(Some(3), || {
        let shared = Shared::with_free(&[1, 5]);
        together(&shared, [entering(7, 1, NOW), entering(7, 2, NOW), refreshing(7, &[1, 2])]);
        assert_eq!(shared.entries(7).len(), 1);
    });
}

/// The sweeper, to whom a claimed slot is none of its business, and a reader: the value was there before the key.
#[test]
fn no_key_is_seen_without_its_value() {
    checked(None, || {
        let shared = Shared::with_free(&[1]);
        let looking: Actor<_> = Box::new(|shared| {
            let slot = shared.table().slot(Place(1)).unwrap();
            if slot.key() == 7 {
                assert_eq!(slot.value(), value(1, State::New, NOW));
            }
            (None, 0)
        });
        together(&shared, [entering(7, 1, NOW), sweeping(1, &[NOW], 2), looking]);
        assert_eq!(shared.entries(7), [value(1, State::New, NOW)]);
    });
}

/// The slot's first flow (7, server 1) ends, the slot is freed, and the next flow (8, server 2) enters it, while a packet of
/// the first flow is being forwarded: its refresh lands on its own entry or nowhere.
#[test]
fn no_refresh_lands_on_another_flow() {
    checked(Some(3), || {
        let shared = Shared::with_free(&[1]);
        together(&shared, [entering(7, 1, NOW)]);
        let times = &[NOW, NOW + 24];
        assert_eq!(times[1], rested());
        let actors = [sweeping(1, times, 1), entering(8, 2, rested()), refreshing(7, &[1])];
        let [_, (entered, _), _] = together(&shared, actors);
        assert!(shared.entries(7).iter().all(|value| value.server() == 1));
        if let Some(Entered::Here(_)) = entered {
            assert_eq!(shared.entries(8), [value(2, State::New, rested())]);
            assert_eq!(shared.entries(7), []);
        }
    });
}

/// Whoever ends an entry takes its key away afterwards, and may come late: after the slot was freed and is another flow's.
#[test]
fn the_next_flow_keeps_its_key() {
    checked(Some(4), || {
        let shared = Shared::with_free(&[1]);
        together(&shared, [entering(7, 1, NOW)]);
        let [.., (entered, _)] = together(&shared, [ending(7), sweeping(1, &[NOW + 24], 0), entering(8, 2, rested())]);
        if let Some(Entered::Here(_)) = entered {
            assert_eq!(shared.entries(8), [value(2, State::New, rested())]);
        }
        assert_eq!(shared.entries(7), []);
    });
}

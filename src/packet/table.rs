//! The connection table's protocol, step by step as the XDP program has it (`datapath/xdp/program/connections.h`, `open.h`).
//!
//! The program's compiler knows nothing of atomics beyond single operations, and no tool looks at all of its interleavings.
//! This twin is the same protocol in a language that has both; its tests run under loom, which tries every order in which
//! the steps of some threads can meet.
//!
//! # The protocol, and why it holds
//!
//! A slot is two words, key and value. It is *free* (0, 0), *claimed* (0, value), *live* (key, value), *dead* (any, value
//! whose state is dead), and free again.
//!
//! * **No key without its value.** A value is put into a free slot by compare-and-swap, so one claimer has it; the key is
//!   stored after that, so who sees the key sees the value or a later one.
//! * **No value of another flow.** A reader takes key, value, key. A slot passes from one flow to another by the steps dead,
//!   key 0, value 0, new value, new key, in this order; so a reader that got the new value finds the old key gone.
//! * **No refresh lands on another flow.** Every change of a value is a compare-and-swap of the value that was read. Values of
//!   two flows in one slot differ: a slot rests for 100 ms before it is free, and the time is part of the value.
//! * **At rest one entry per key.** Two claimers of one key put theirs into different slots at worst. Each stores its key,
//!   passes a full barrier, and looks at both buckets again; the barriers cannot both come before the other's store, so
//!   one at least sees the other's entry, and ends the one in the higher slot. An entry that is ended is ended once, by
//!   compare-and-swap.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A word that others write at the same time.
pub trait Word {
    fn load(&self) -> u64;
    fn store(&self, value: u64);
    fn swap(&self, value: u64);
    /// `true`: it was `seen` and is `next` now.
    fn change(&self, seen: u64, next: u64) -> bool;
    /// What the exchange is on x86-64.
    fn barrier();
}

impl Word for AtomicU64 {
    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn store(&self, value: u64) {
        self.store(value, Ordering::Release);
    }

    fn swap(&self, value: u64) {
        self.swap(value, Ordering::AcqRel);
    }

    fn change(&self, seen: u64, next: u64) -> bool {
        self.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn barrier() {
        fence(Ordering::SeqCst);
    }
}

/// Key and value.
#[derive(Debug, Default)]
pub struct Slot<W> {
    pub key: W,
    pub value: W,
}

/// An entry as it was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    pub place: usize,
    pub value: u64,
}

/// The two buckets of a key, in the order in which they are looked at: runs of slots of one table.
pub struct Buckets<'t, W> {
    pub slots: &'t [Slot<W>],
    pub first: std::ops::Range<usize>,
    pub second: std::ops::Range<usize>,
}

/// What became of a new entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entered {
    /// It is there.
    New(Seen),
    /// Somebody else entered the key at the same time, and that entry stays.
    Known(Seen),
    /// Both buckets are full.
    Full,
}

const STATE: u64 = 7 << 16;

fn is_live(value: u64) -> bool {
    value != 0 && value & STATE != STATE
}

impl<W: Word> Buckets<'_, W> {
    fn places(&self) -> impl Iterator<Item = usize> + use<W> {
        self.first.clone().chain(self.second.clone())
    }

    /// The live entry of this key.
    pub fn find(&self, key: u64) -> Option<Seen> {
        self.places().find_map(|place| self.live_at(place, key))
    }

    fn live_at(&self, place: usize, key: u64) -> Option<Seen> {
        let slot = self.slots.get(place)?;
        if slot.key.load() != key {
            return None;
        }
        let value = slot.value.load();
        (slot.key.load() == key && is_live(value)).then_some(Seen { place, value })
    }

    /// Enters a key that was not found.
    pub fn enter(&self, key: u64, value: u64, now: u64) -> Entered {
        let Some(place) = self.places().find(|&place| self.claim(place, value)) else { return Entered::Full };
        let mine = Seen { place, value };
        if let Some(slot) = self.slots.get(place) {
            slot.key.swap(key);
        }
        W::barrier();
        let other = self.places().filter(|&other| other != place).find_map(|other| self.live_at(other, key));
        match other {
            Some(other) if other.place < place => {
                // Whoever ends ours first has ended it; either way the other one stays.
                self.end(mine, now);
                Entered::Known(other)
            }
            Some(other) => {
                self.end(other, now);
                Entered::New(mine)
            }
            None => Entered::New(mine),
        }
    }

    fn claim(&self, place: usize, value: u64) -> bool {
        let Some(slot) = self.slots.get(place) else { return false };
        slot.value.load() == 0 && slot.key.load() == 0 && slot.value.change(0, value)
    }

    /// Changes an entry as it was read; `false`: it is another one by now.
    pub fn change(&self, seen: Seen, next: u64) -> bool {
        self.slots.get(seen.place).is_some_and(|slot| slot.value.change(seen.value, next))
    }

    /// LIVE → DEAD → without key; `false`: somebody else was quicker.
    pub fn end(&self, seen: Seen, now: u64) -> bool {
        let dead = now << 32 | STATE | seen.value & 0xfff0_ffff;
        let ended = self.change(seen, dead);
        if let (true, Some(slot)) = (ended, self.slots.get(seen.place)) {
            slot.key.store(0);
        }
        ended
    }

    /// Gives a slot back that is dead and has rested.
    pub fn free(&self, place: usize) -> bool {
        let Some(slot) = self.slots.get(place) else { return false };
        let value = slot.value.load();
        value & STATE == STATE && slot.key.load() == 0 && slot.value.change(value, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic as loomed;
    use loom::thread;

    impl Word for loomed::AtomicU64 {
        fn load(&self) -> u64 {
            self.load(loomed::Ordering::Acquire)
        }

        fn store(&self, value: u64) {
            self.store(value, loomed::Ordering::Release);
        }

        fn swap(&self, value: u64) {
            self.swap(value, loomed::Ordering::AcqRel);
        }

        fn change(&self, seen: u64, next: u64) -> bool {
            self.compare_exchange(seen, next, loomed::Ordering::AcqRel, loomed::Ordering::Acquire).is_ok()
        }

        fn barrier() {
            loomed::fence(loomed::Ordering::SeqCst);
        }
    }

    type Slots = Arc<Vec<Slot<loomed::AtomicU64>>>;

    /// Two buckets of one slot each: the least in which two entries of one key can lie.
    fn slots(entries: &[(u64, u64)]) -> Slots {
        let slot = |&(key, value)| Slot { key: loomed::AtomicU64::new(key), value: loomed::AtomicU64::new(value) };
        Arc::new(entries.iter().map(slot).collect())
    }

    fn buckets(slots: &Slots) -> Buckets<'_, loomed::AtomicU64> {
        Buckets { slots, first: 0..1, second: 1..2 }
    }

    fn live(slots: &Slots, key: u64) -> usize {
        let is = |slot: &&Slot<loomed::AtomicU64>| Word::load(&slot.key) == key && is_live(Word::load(&slot.value));
        slots.iter().filter(is).count()
    }

    /// State established, server in the low bits, time in the upper half.
    fn value(server: u64, time: u64) -> u64 {
        time << 32 | 2 << 16 | server
    }

    #[test]
    fn of_two_that_enter_one_key_one_stays() {
        loom::model(|| {
            let table = slots(&[(0, 0), (0, 0)]);
            let other = Arc::clone(&table);
            let thread = thread::spawn(move || buckets(&other).enter(5, value(1, 10), 10));
            let mine = buckets(&table).enter(5, value(2, 10), 10);
            let theirs = thread.join().unwrap();
            assert_ne!((mine, theirs), (Entered::Full, Entered::Full));
            assert_eq!(live(&table, 5), 1);
            if let (Entered::Known(_), Entered::Known(_)) = (mine, theirs) {
                panic!("each gave way to the other");
            }
        });
    }

    #[test]
    fn two_that_look_before_they_enter_agree_afterwards() {
        loom::model(|| {
            let table = slots(&[(9, value(7, 1)), (0, 0)]);
            let other = Arc::clone(&table);
            // The first bucket's flow ends meanwhile, so that one may find room there and the other beside it.
            let sweeper = thread::spawn(move || {
                let table = buckets(&other);
                table.end(Seen { place: 0, value: value(7, 1) }, 2);
                table.free(0);
            });
            let third = Arc::clone(&table);
            let thread = thread::spawn(move || buckets(&third).enter(5, value(1, 10), 10));
            buckets(&table).enter(5, value(2, 10), 10);
            thread.join().unwrap();
            sweeper.join().unwrap();
            assert_eq!(live(&table, 5), 1);
        });
    }

    #[test]
    fn a_key_is_never_seen_without_its_value() {
        loom::model(|| {
            let table = slots(&[(0, 0), (0, 0)]);
            let other = Arc::clone(&table);
            let thread = thread::spawn(move || buckets(&other).enter(5, value(1, 10), 10));
            if let Some(seen) = buckets(&table).find(5) {
                assert_eq!(seen.value, value(1, 10));
            }
            thread.join().unwrap();
        });
    }

    /// Even without the rest between two flows a reader takes no other flow's value, and a refresh reaches no other flow.
    #[test]
    fn a_slot_that_changes_hands_deceives_nobody() {
        loom::model(|| {
            let table = slots(&[(5, value(1, 10)), (9, value(9, 1))]);
            let other = Arc::clone(&table);
            let thread = thread::spawn(move || {
                let table = buckets(&other);
                if table.end(Seen { place: 0, value: value(1, 10) }, 20) {
                    table.free(0);
                    table.enter(6, value(2, 30), 30);
                }
            });
            let table_of = buckets(&table);
            if let Some(seen) = table_of.find(5) {
                assert_eq!(seen.value, value(1, 10));
                table_of.change(seen, value(1, 11));
            }
            thread.join().unwrap();
            if let Some(seen) = table_of.find(6) {
                assert_eq!(seen.value, value(2, 30));
            }
            if let Some(seen) = table_of.find(5) {
                assert_eq!(seen.value, value(1, 11), "a refreshed entry outlives the sweeper");
            }
        });
    }

    #[test]
    fn an_entry_is_ended_once() {
        loom::model(|| {
            let table = slots(&[(5, value(1, 10)), (0, 0)]);
            let other = Arc::clone(&table);
            let seen = Seen { place: 0, value: value(1, 10) };
            let thread = thread::spawn(move || buckets(&other).end(seen, 20));
            let mine = buckets(&table).end(seen, 20);
            assert!(mine ^ thread.join().unwrap());
            assert_eq!(live(&table, 5), 0);
        });
    }

    #[test]
    fn full_buckets_take_nothing_and_freed_slots_do() {
        let slot = |key, value| Slot { key: AtomicU64::new(key), value: AtomicU64::new(value) };
        let slots = vec![slot(1, value(1, 1)), slot(2, value(1, 1))];
        let table = Buckets { slots: &slots, first: 0..1, second: 1..2 };
        assert_eq!(table.enter(5, value(1, 10), 10), Entered::Full);
        let seen = table.find(2).unwrap();
        assert!(table.end(seen, 11) && table.find(2).is_none());
        assert_eq!(table.enter(5, value(1, 10), 10), Entered::Full, "it rests");
        assert!(table.free(1));
        assert_eq!(table.enter(5, value(1, 20), 20), Entered::New(Seen { place: 1, value: value(1, 20) }));
    }
}

//! The table over its slots: finding, entering, changing, ending.

use std::num::TryFromIntError;

use super::slot::Slot;
use super::value::Value;
use super::word::Word;
use crate::packet::hash::{HashKeys, Key};

/// Slots of a bucket, which is a cache line.
pub const SLOTS: u32 = 4;
const WORDS: usize = SLOTS as usize * 2;

/// The table over memory that others may write to at the same time, by the protocol that [`super`] describes.
#[derive(Debug)]
pub struct Table<'a, W> {
    buckets: &'a [[W; WORDS]],
    count: u32,
    keys: &'a HashKeys,
}

/// Memory that is no table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a connection table has from 2 to 2^30 buckets of {WORDS} words; this memory has {words} words")]
pub struct NotATable {
    pub words: usize,
}

/// Which slot of the table, counted through all buckets.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place(pub u32);

/// A flow's entry as it was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    pub key: Key,
    pub place: Place,
    pub value: Value,
}

/// What became of an entry that was to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entered {
    /// It is in the table.
    Here(Place),
    /// The flow has an entry already, which stays: this is its value.
    Existing(Value),
    /// Both buckets are full of others. The flow goes by the consistent hash, and is counted.
    Full,
}

/// Who wants to know what happens while an entry is made.
pub trait Witness {
    /// The entry will be at this place; nobody finds it there yet. What belongs to it can be written.
    fn claimed(&mut self, _place: Place) {}
    /// An entry of the same flow was ended because another one stays. It was, or will be, counted by whoever made it.
    fn displaced(&mut self, _value: Value) {}
}

/// Nobody.
impl Witness for () {}

impl<'a, W: Word> Table<'a, W> {
    /// The table in this memory, eight words to a bucket.
    ///
    /// # Errors
    ///
    /// The memory is smaller than two buckets, bigger than places can be numbered, or no whole number of buckets.
    pub fn new(words: &'a [W], keys: &'a HashKeys) -> Result<Self, NotATable> {
        let refused = NotATable { words: words.len() };
        let (buckets, rest) = words.as_chunks::<WORDS>();
        let count = u32::try_from(buckets.len()).map_err(|_: TryFromIntError| refused)?;
        let is_table = rest.is_empty() && (2..=u32::MAX / SLOTS).contains(&count);
        is_table.then_some(Self { buckets, count, keys }).ok_or(refused)
    }

    /// The flow's live entry.
    pub fn find(&self, key: Key) -> Option<Found> {
        self.candidates(key).find_map(|(place, slot)| Some(Found { key, place, value: slot.entry(key)? }))
    }

    /// Makes the flow's entry, unless it has one. Entries of the same flow that others make at this moment come together in
    /// one, and each entry that this call ended is told to the witness, its own one included.
    ///
    /// `value` is that of a live entry; the time in it is the present.
    pub fn insert(&self, key: Key, value: Value, witness: &mut impl Witness) -> Entered {
        if let Some(found) = self.find(key) {
            return Entered::Existing(found.value);
        }
        self.enter(key, value, witness)
    }

    /// The same for a flow that was looked for just now, and not found.
    pub fn enter(&self, key: Key, value: Value, witness: &mut impl Witness) -> Entered {
        let mut room = self.buckets_to_fill(key).into_iter().flat_map(|index| self.bucket(index));
        let Some((mine, slot)) = room.find(|(_, slot)| slot.claim(value)) else {
            return Entered::Full;
        };
        witness.claimed(mine);
        slot.publish(key);
        match self.settle(key, mine, value.last(), witness) {
            Some(winner) => Entered::Existing(winner),
            None => Entered::Here(mine),
        }
    }

    /// The flow's buckets in the order in which a place is looked for. The first bucket is the one that packets look at first;
    /// its last slot is left to flows whose second bucket is as full. So with half of all slots in use one flow in some
    /// thousands finds no room, and one in ten is in its second bucket.
    fn buckets_to_fill(&self, key: Key) -> [u32; 2] {
        let [first, second] = self.keys.buckets_of(key, self.count);
        if self.free_in(first) < 2 && self.free_in(second) > 1 { [second, first] } else { [first, second] }
    }

    fn free_in(&self, index: u32) -> usize {
        self.bucket(index).filter(|(_, slot)| slot.value() == Value(0)).count()
    }

    /// Looks at both buckets again: of all entries of one key the lowest stays. The value of one that is lower than ours.
    fn settle(&self, key: Key, mine: Place, now: u32, witness: &mut impl Witness) -> Option<Value> {
        for (place, slot) in self.candidates(key).filter(|(place, _)| *place != mine) {
            let Some(other) = slot.entry(key) else { continue };
            let loser = if place < mine { self.slot(mine)? } else { slot };
            if let Some(ended) = loser.end_as_it_is(key, now) {
                witness.displaced(ended);
            }
            if place < mine {
                return Some(other);
            }
        }
        None
    }

    /// Gives a found entry another value.
    ///
    /// # Errors
    ///
    /// The value that is there instead of the one that was found: another packet changed it first.
    pub fn change(&self, found: Found, next: Value) -> Result<(), Value> {
        self.slot(found.place).map_or(Err(Value(0)), |slot| slot.change(found.value, next))
    }

    /// Ends a found entry. `false`: it has changed and lives on, or somebody else ended it.
    pub fn end(&self, found: Found, now: u32) -> bool {
        self.slot(found.place).is_some_and(|slot| slot.end(found.key, found.value, now))
    }

    /// Buckets that there are.
    pub fn buckets(&self) -> u32 {
        self.count
    }

    pub fn slot(&self, place: Place) -> Option<Slot<'a, W>> {
        let Place(number) = place;
        self.bucket(number / SLOTS).nth((number % SLOTS) as usize).map(|(_, slot)| slot)
    }

    /// All slots, for reports and tests.
    pub fn slots(&self) -> impl Iterator<Item = (Place, Slot<'a, W>)> {
        (0..self.count).flat_map(|index| self.bucket(index))
    }

    /// The slots in which a flow's entry may be, in the order in which they are searched.
    fn candidates(&self, key: Key) -> impl Iterator<Item = (Place, Slot<'a, W>)> {
        self.keys.buckets_of(key, self.count).into_iter().flat_map(|index| self.bucket(index))
    }

    fn bucket(&self, index: u32) -> impl Iterator<Item = (Place, Slot<'a, W>)> + use<'a, W> {
        let words = self.buckets.get(index as usize).map_or(&[][..], |bucket| &bucket[..]);
        let slots = words.as_chunks::<2>().0.iter().map(Slot::from);
        (index * SLOTS..).map(Place).zip(slots)
    }
}

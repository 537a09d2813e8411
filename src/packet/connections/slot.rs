//! The steps that the table's protocol is made of, on one slot. Why they are enough: see [`super`].

use super::value::{Value, units};
use super::word::Word;
use crate::packet::hash::Key;
use std::time::Duration;

/// A slot rests between two flows, so that whoever read the first one's entry is done with it.
pub const REST: Duration = Duration::from_millis(100);
/// A slot that was claimed and got no key: whoever claimed it would have been done with it within microseconds.
pub const ABANDONED: Duration = Duration::from_secs(1);

/// Attempts to end an entry that others keep changing. An entry is refreshed at most once in a unit of time and changes
/// its state four times at most, so one attempt fails seldom and this many never do.
const ATTEMPTS: usize = 8;

/// Room for one entry: key and value.
#[derive(Debug)]
pub struct Slot<'a, W> {
    key: &'a W,
    value: &'a W,
}

impl<'a, W> From<&'a [W; 2]> for Slot<'a, W> {
    fn from([key, value]: &'a [W; 2]) -> Self {
        Self { key, value }
    }
}

impl<W: Word> Slot<'_, W> {
    /// The live entry of this key, when it is here: key, value, and the key again, so that the value is the key's.
    pub fn entry(&self, key: Key) -> Option<Value> {
        if self.key.read() != key {
            return None;
        }
        let value = self.value();
        (self.key.read() == key && value.is_live()).then_some(value)
    }

    pub fn value(&self) -> Value {
        Value(self.value.read())
    }

    pub fn key(&self) -> Key {
        self.key.read()
    }

    /// FREE → claimed. `false`: it is not free, or somebody else was quicker.
    pub(super) fn claim(&self, value: Value) -> bool {
        self.value.read() == 0 && self.key.read() == 0 && self.value.change(0, value.0).is_ok()
    }

    /// Claimed → LIVE. What the caller reads afterwards is newer than what others read before they saw this key.
    pub(super) fn publish(&self, key: Key) {
        self.key.exchange(key);
        W::barrier();
    }

    /// LIVE → LIVE: refreshes, changes of state, another connection of the same flow.
    ///
    /// # Errors
    ///
    /// The value that was met instead of `seen`; nothing has changed.
    pub fn change(&self, seen: Value, next: Value) -> Result<(), Value> {
        self.value.change(seen.0, next.0).map_err(Value)
    }

    /// LIVE → DEAD, if the entry is still as it was seen. `false`: it has changed and lives on, or somebody else ended it.
    pub fn end(&self, key: Key, seen: Value, now: u32) -> bool {
        let ended = self.change(seen, seen.ended(now)).is_ok();
        if ended {
            self.clear(key);
        }
        ended
    }

    /// LIVE → DEAD, whatever the entry has become; what it was. `None`: somebody else ended it.
    pub(super) fn end_as_it_is(&self, key: Key, now: u32) -> Option<Value> {
        for _ in 0..ATTEMPTS {
            let seen = self.entry(key)?;
            if self.end(key, seen, now) {
                return Some(seen);
            }
        }
        None
    }

    /// DEAD → FREE when the slot has rested, and so for a claim that was given up. Only one thread of all may call this,
    /// the sweeper's.
    pub fn free(&self, seen: Value, now: u32) {
        let rest = if seen.is_live() { units(ABANDONED) } else { units(REST) + 1 };
        if seen.0 == 0 || seen.age(now) < rest {
            return;
        }
        // Whoever ended it takes the key away after the value, and may have been held up in between.
        self.clear(self.key.read());
        let _ = self.change(seen, Value(0));
    }

    /// Takes the key away, but never another flow's.
    fn clear(&self, key: Key) {
        if key != 0 {
            let _ = self.key.change(key, 0);
        }
    }
}

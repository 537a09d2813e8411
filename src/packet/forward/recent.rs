//! A map with a bound that forgets what has not been asked for.

use std::collections::HashMap;
use std::hash::Hash;

/// Holds up to a number of values. When it is full, a new one takes the place of one that was not asked for since the
/// hand last came by (the clock algorithm, Corbató 1968): nearly the oldest, at the cost of one bit.
#[derive(Debug)]
pub struct Recent<K, V> {
    places: HashMap<K, usize>,
    entries: Vec<Entry<K, V>>,
    bound: usize,
    hand: usize,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    asked: bool,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    /// Holds `bound` values, at least one. Memory is taken as they come.
    pub fn new(bound: usize) -> Self {
        Self { places: HashMap::new(), entries: Vec::new(), bound: bound.max(1), hand: 0 }
    }

    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(*self.places.get(key)?)?;
        entry.asked = true;
        Some(&mut entry.value)
    }

    pub fn put(&mut self, key: K, value: V) {
        if let Some(known) = self.get(&key) {
            *known = value;
            return;
        }
        let entry = Entry { key, value, asked: false };
        if self.entries.len() < self.bound {
            self.places.insert(key, self.entries.len());
            self.entries.push(entry);
            return;
        }
        let place = self.oldest();
        if let Some(old) = self.entries.get_mut(place) {
            self.places.remove(&old.key);
            self.places.insert(key, place);
            *old = entry;
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The place that the hand stops at; within two rounds it meets one that nobody asked for.
    fn oldest(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.entries.len().max(1);
            match self.entries.get_mut(place) {
                Some(entry) if entry.asked => entry.asked = false,
                _ => return place,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays() {
        let mut recent = Recent::new(3);
        for key in 1..=3 {
            recent.put(key, key * 10);
        }
        recent.get(&1);
        recent.put(4, 40);
        assert_eq!([1, 2, 3, 4].map(|key| recent.get(&key).copied()), [Some(10), None, Some(30), Some(40)]);
        assert_eq!(recent.len(), 3);
        recent.put(4, 41);
        assert_eq!(recent.get(&4), Some(&mut 41));
    }

    #[test]
    fn a_full_map_of_which_all_is_asked_for_takes_more() {
        let mut recent = Recent::new(2);
        for key in 0..100 {
            recent.put(key, key);
            assert!(recent.get(&key).is_some() && recent.len() <= 2);
        }
    }
}

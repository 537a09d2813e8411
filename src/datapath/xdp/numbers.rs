//! Numbers by which the tables know services, servers, machines and rules.
//!
//! Connections and affinity records hold such numbers, so a number never moves while its owner lives, not even across a
//! restart: the owner's identity stands beside it in the tables. The number of one that has gone rests before another gets
//! it, because records may still point there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::executor::fnv1a;

/// Who a number belongs to: a hash of a full name, or of an address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identity(pub u64);

impl Identity {
    /// [`fnv1a`]: the same in every version, because it is kept in pinned tables. Never 0, which means nobody.
    pub fn of(text: &str) -> Self {
        Self(fnv1a(text).max(1))
    }
}

/// Numbers of one kind, from a first one up to a bound.
#[derive(Debug)]
pub struct Numbers {
    owners: HashMap<Identity, u32>,
    resting: Vec<(u32, Instant)>,
    next: u32,
    bound: u32,
    rest: Duration,
}

/// All numbers of a kind are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the tables hold no more than {0} of them (those that were removed keep their place for a while)")]
pub struct NoNumber(pub u32);

impl Numbers {
    /// Numbers from `first` up to, but without, `bound`; one that was freed rests for `rest`.
    pub fn new(first: u32, bound: u32, rest: Duration) -> Self {
        Self { owners: HashMap::new(), resting: Vec::new(), next: first, bound, rest }
    }

    /// Takes over what tables of an earlier process say.
    pub fn adopt(&mut self, number: u32, owner: Identity) {
        self.owners.insert(owner, number);
        self.next = self.next.max(number + 1);
    }

    pub fn get(&self, owner: Identity) -> Option<u32> {
        self.owners.get(&owner).copied()
    }

    /// The owner's number, old or new.
    pub fn number(&mut self, owner: Identity, now: Instant) -> Result<u32, NoNumber> {
        if let Some(number) = self.get(owner) {
            return Ok(number);
        }
        let number = self.fresh(now).ok_or(NoNumber(self.bound))?;
        self.owners.insert(owner, number);
        Ok(number)
    }

    fn fresh(&mut self, now: Instant) -> Option<u32> {
        if let Some(place) = self.resting.iter().position(|(_, until)| *until <= now) {
            return Some(self.resting.swap_remove(place).0);
        }
        let number = self.next;
        (number < self.bound).then(|| {
            self.next += 1;
            number
        })
    }

    /// Takes the numbers of all others back; they are returned.
    pub fn keep(&mut self, mut wanted: impl FnMut(Identity) -> bool, now: Instant) -> Vec<u32> {
        let gone: Vec<_> = self.owners.extract_if(|owner, _| !wanted(*owner)).map(|(_, number)| number).collect();
        self.resting.extend(gone.iter().map(|&number| (number, now + self.rest)));
        gone
    }

    pub fn len(&self) -> usize {
        self.owners.len()
    }

    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(900);

    #[test]
    fn numbers_stay_and_rest() {
        let (mut numbers, start) = (Numbers::new(1, 4, REST), Instant::now());
        let [a, b, c, d] = ["a", "b", "c", "d"].map(Identity::of);
        assert_eq!(numbers.number(a, start), Ok(1));
        assert_eq!(numbers.number(b, start), Ok(2));
        assert_eq!(numbers.keep(|owner| owner == b, start), [1]);
        assert_eq!(numbers.number(c, start), Ok(3), "1 rests");
        assert_eq!(numbers.number(d, start), Err(NoNumber(4)));
        assert_eq!(numbers.number(d, start + REST), Ok(1));
        assert_eq!(numbers.number(b, start + REST), Ok(2));
    }

    #[test]
    fn adopted_numbers_are_not_given_twice() {
        let (mut numbers, now) = (Numbers::new(0, 10, REST), Instant::now());
        numbers.adopt(4, Identity::of("a"));
        assert_eq!(numbers.number(Identity::of("a"), now), Ok(4));
        assert_eq!(numbers.number(Identity::of("b"), now), Ok(5));
    }
}

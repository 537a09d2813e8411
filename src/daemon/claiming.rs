//! Who may speak for cluster addresses at this moment: the pair's thread says it, and the threads that claim ask before each
//! frame. A dispatcher that stands alone always may.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::high_availability::{GroupId, MOST_GROUPS};

use super::bell::Bell;

/// Between the pair's thread and those that claim.
#[derive(Debug)]
pub struct Claiming {
    state: Mutex<State>,
    claimants: Mutex<Vec<Arc<Bell>>>,
    /// Wakes the pair's thread.
    pair: Bell,
}

#[derive(Debug, Default)]
struct State {
    in_pair: bool,
    groups: [Group; MOST_GROUPS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    until: Option<Instant>,
    asked: u64,
    announced: u64,
    /// Another station answers for an address that was asked for.
    answered: bool,
}

/// What is said about a group of clusters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Voice {
    /// It is ours to speak for.
    pub is_active: bool,
    /// Until when, in a pair.
    pub lease: Option<Instant>,
    /// How often it was to be asked whether another station has the addresses.
    pub asked: u64,
    /// How often they were to be announced anew.
    pub announced: u64,
}

impl Claiming {
    /// A dispatcher that stands alone.
    pub fn alone() -> io::Result<Self> {
        Ok(Self { state: Mutex::default(), claimants: Mutex::default(), pair: Bell::new()? })
    }

    /// From now on nobody speaks without a lease; or everybody may again.
    pub fn set_in_pair(&self, in_pair: bool) {
        let was = std::mem::replace(&mut self.state().in_pair, in_pair);
        if was != in_pair {
            self.state().groups = [Group::default(); MOST_GROUPS];
            self.wake();
        }
    }

    /// Until when the group may be spoken for; `None`: not at all.
    pub fn lend(&self, group: GroupId, until: Option<Instant>) {
        let was = self.change(group, |group| std::mem::replace(&mut group.until, until));
        if was.is_some_and(|was| was.is_some() != until.is_some()) {
            self.wake();
        }
    }

    /// It is to be looked whether another station answers for the group's addresses.
    pub fn ask(&self, group: GroupId) {
        self.change(group, |group| {
            group.asked += 1;
            group.answered = false;
        });
        self.wake();
    }

    /// The group's addresses are to be announced anew.
    pub fn announce(&self, group: GroupId) {
        self.change(group, |group| group.announced += 1);
        self.wake();
    }

    pub fn voice(&self, group: GroupId) -> Voice {
        let state = self.state();
        let own = state.groups.get(usize::from(group.0)).copied().unwrap_or_default();
        let Group { until, asked, announced, .. } = own;
        let lease = until.filter(|_| state.in_pair);
        Voice { is_active: !state.in_pair || until.is_some(), lease, asked, announced }
    }

    /// Another station has one of the group's addresses.
    pub fn answered(&self, group: GroupId) {
        self.change(group, |group| group.answered = true);
        self.pair.ring();
    }

    /// Takes the answer, if there was one since the group was last asked for.
    pub fn take_answer(&self, group: GroupId) -> bool {
        self.change(group, |group| std::mem::take(&mut group.answered)).unwrap_or(false)
    }

    /// What wakes the pair's thread.
    pub fn bell(&self) -> &Bell {
        &self.pair
    }

    /// A thread that claims wants to be woken.
    pub fn tell(&self, claimant: Arc<Bell>) {
        self.claimants.lock().unwrap_or_else(PoisonError::into_inner).push(claimant);
    }

    fn wake(&self) {
        self.claimants.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|bell| bell.ring());
    }

    fn change<T>(&self, group: GroupId, change: impl FnOnce(&mut Group) -> T) -> Option<T> {
        self.state().groups.get_mut(usize::from(group.0)).map(change)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_alone_speaks_and_who_is_in_a_pair_needs_a_lease() {
        let claiming = Claiming::alone().unwrap();
        let group = GroupId(0);
        assert_eq!(claiming.voice(group), Voice { is_active: true, ..Voice::default() });
        claiming.set_in_pair(true);
        assert_eq!(claiming.voice(group), Voice::default());
        let until = Instant::now();
        claiming.lend(group, Some(until));
        assert_eq!(claiming.voice(group), Voice { is_active: true, lease: Some(until), ..Voice::default() });
        assert_eq!(claiming.voice(GroupId(1)), Voice::default(), "the other group is the partner's");
        claiming.lend(group, None);
        assert_eq!(claiming.voice(group), Voice::default());
        claiming.set_in_pair(false);
        assert!(claiming.voice(group).is_active);
    }

    #[test]
    fn an_answer_counts_for_the_question_before_it() {
        let claiming = Claiming::alone().unwrap();
        claiming.set_in_pair(true);
        let group = GroupId(1);
        claiming.ask(group);
        assert!(!claiming.take_answer(group));
        claiming.answered(group);
        assert_eq!(claiming.voice(group).asked, 1);
        assert!(claiming.take_answer(group) && !claiming.take_answer(group));
        claiming.answered(group);
        claiming.ask(group);
        assert!(!claiming.take_answer(group), "it was to an earlier question");
    }
}

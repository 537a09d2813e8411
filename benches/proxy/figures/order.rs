//! The order of runs within a round.

/// Brings those of one kind together, at the place of the first of them, and changes no order otherwise: what is to be
/// compared closely runs directly after one another, so that the machine has the least time to change in between.
pub fn bring_together<T, K: PartialEq>(entries: &mut [T], kind: impl Fn(&T) -> K) {
    let kinds: Vec<K> = entries.iter().map(&kind).collect();
    entries.sort_by_key(|entry| kinds.iter().position(|other| *other == kind(entry)));
}

//! Paths, floods, counters, and what a caller may not do.

use super::*;

/// Bob's gate, which knows Alice on both paths, and hers.
fn joined(now: Instant) -> (Gate, Gate) {
    let mut alice = Gate::new(ALICE, &PATHS, keys(&[1]));
    let mut bob = Gate::new(BOB, &PATHS, keys(&[1]));
    let said = bob.seal(PATH, &word(BOB, 1), now).unwrap();
    assert_eq!(alice.open(Some(PATH), &said, now), Err(Refusal::Unproven));
    let said = alice.seal(PATH, &word(ALICE, 1), now).unwrap();
    assert_eq!(bob.open(Some(PATH), &said, now), Ok(word(ALICE, 1)));
    (alice, bob)
}

fn say(alice: &mut Gate, path: PathId, sequence: u64) -> [u8; SIZE] {
    alice.seal(path, &word(ALICE, sequence), Instant::now()).unwrap()
}

#[test]
fn a_datagram_counts_on_its_own_path_only() {
    let now = Instant::now();
    let (mut alice, mut bob) = joined(now);
    let said = say(&mut alice, OTHER_PATH, 2);
    assert_eq!(bob.open(None, &said, now), Err(Refusal::Stranger));
    assert_eq!(bob.open(Some(PathId(7)), &said, now), Err(Refusal::Stranger));
    assert_eq!(bob.open(Some(PATH), &said, now), Err(Refusal::OtherPath { came: 0, sent: 1 }));
    assert_eq!(bob.open(Some(OTHER_PATH), &said, now), Ok(word(ALICE, 2)));
    bob.set_paths(&[PATH]);
    let said = say(&mut alice, OTHER_PATH, 3);
    assert_eq!(bob.open(Some(OTHER_PATH), &said, now), Err(Refusal::Stranger));
    bob.set_paths(&[PATH, OTHER_PATH]);
    assert_eq!(bob.open(Some(OTHER_PATH), &said, now), Ok(word(ALICE, 3)));
}

/// Somebody keeps what goes out on one path, and lets it go when the other is far ahead.
#[test]
fn what_was_held_back_on_one_path_is_too_late() {
    let now = Instant::now();
    let (mut alice, mut bob) = joined(now);
    let held_back: Vec<_> = (2..100).map(|sequence| say(&mut alice, OTHER_PATH, sequence)).collect();
    let said = say(&mut alice, PATH, 100);
    assert!(bob.open(Some(PATH), &said, now).is_ok());
    let judged: Vec<_> = held_back.iter().map(|said| bob.open(Some(OTHER_PATH), said, now).is_ok()).collect();
    let expected: Vec<_> = (2..100).map(|sequence| sequence + 64 > 100).collect();
    assert_eq!(judged, expected);
}

#[test]
fn a_number_is_sealed_once_on_each_path() {
    let now = Instant::now();
    let mut alice = Gate::new(ALICE, &PATHS, keys(&[1]));
    let mut check = |path: PathId, sequence: u64, expected: Result<(), SealError>| {
        assert_eq!(alice.seal(path, &word(ALICE, sequence), now).map(|_| ()), expected, "{sequence} on {path:?}");
    };
    let used = |path: PathId, sequence: u64| Err(SealError::SequenceUsed { path, sequence });
    check(PATH, 5, Ok(()));
    check(OTHER_PATH, 5, Ok(()));
    check(PATH, 5, used(PATH, 5));
    check(OTHER_PATH, 4, used(OTHER_PATH, 4));
    check(OTHER_PATH, 6, Ok(()));
    check(PathId(2), 7, Err(SealError::NoPath(PathId(2))));
    alice.set_keys(keys(&[1]));
    alice.set_paths(&[OTHER_PATH]);
    alice.set_paths(&PATHS);
    let again = alice.seal(OTHER_PATH, &word(ALICE, 6), now);
    assert_eq!(again, used(OTHER_PATH, 6).map(|()| [0; SIZE]), "not after a change of keys and paths either");
    assert_eq!(alice.seal(PATH, &word(BOB, 8), now), Err(SealError::NotOurs));
}

/// Datagrams of unknown senders come in at twice the bound, those that pretend to be the partner at a fifth of theirs.
#[test]
fn a_flood_keeps_the_partner_waiting_for_nothing() {
    let mut now = Instant::now();
    let (mut alice, mut bob) = joined(now);
    let mut forged = say(&mut alice, PATH, 1_000_000_000);
    forged[255] ^= 1;
    let mut unknown = forged;
    unknown[31] ^= 1;
    let mut alice = Gate::new(ALICE, &PATHS, keys(&[1]));
    for sequence in 2..12 {
        for _ in 0..1000 {
            now += MS / 10;
            let looked_at = bob.open(Some(PATH), &unknown, now).unwrap_err();
            assert!([Refusal::Forged, Refusal::TooMany].contains(&looked_at));
            assert_eq!(bob.open(Some(PATH), &forged, now), Err(Refusal::Forged));
        }
        let said = say(&mut alice, PATH, sequence);
        assert_eq!(bob.open(Some(PATH), &said, now), Ok(word(ALICE, sequence)));
    }
    let too_many = bob.counts().refused(Reason::TooMany);
    assert!((4700..5100).contains(&too_many), "{too_many} of 10,000 in a second were not looked at");
}

#[test]
fn a_flood_in_the_partner_s_name_is_bounded_on_its_path() {
    let now = Instant::now();
    let (mut alice, mut bob) = joined(now);
    let mut forged = say(&mut alice, PATH, 2);
    forged[255] ^= 1;
    let forgeries = (0..2000).filter(|_| bob.open(Some(PATH), &forged, now) == Err(Refusal::Forged)).count();
    assert_eq!(forgeries, 1000);
    let said = say(&mut alice, PATH, 3);
    assert_eq!(bob.open(Some(PATH), &said, now), Err(Refusal::TooMany));
    let said = say(&mut alice, OTHER_PATH, 3);
    assert_eq!(bob.open(Some(OTHER_PATH), &said, now), Ok(word(ALICE, 3)), "the other path has its own");
}

#[test]
fn each_datagram_is_counted_once_by_its_reason() {
    let now = Instant::now();
    let (mut alice, mut bob) = joined(now);
    let said = say(&mut alice, PATH, 2);
    let mut check = |path: Option<PathId>, bytes: &[u8], reason: Option<Reason>| {
        let before = *bob.counts();
        let judged = bob.open(path, bytes, now);
        assert_eq!(judged.as_ref().err().map(Refusal::reason), reason);
        let admitted = bob.counts().admitted() - before.admitted();
        assert_eq!(admitted, u64::from(reason.is_none()));
        for each in Reason::ALL {
            let more = bob.counts().refused(each) - before.refused(each);
            assert_eq!(more, u64::from(reason == Some(each)), "{}", each.name());
        }
    };
    check(Some(PATH), &said[..255], Some(Reason::Size));
    check(Some(PATH), &[0; SIZE], Some(Reason::NotHeartbeat));
    check(None, &said, Some(Reason::Stranger));
    check(Some(PATH), &said, None);
    check(Some(PATH), &said, Some(Reason::Replayed));
}

#[test]
fn reasons_are_numbered_in_their_order_and_named_apart() {
    for (index, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, index);
    }
    let names: std::collections::HashSet<_> = Reason::ALL.into_iter().map(Reason::name).collect();
    assert_eq!(names.len(), Reason::ALL.len());
}

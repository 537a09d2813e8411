//! What holds for every heartbeat and for any bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::letter::SAID;
use super::*;
use crate::high_availability::{Answer, Echo, Objection};

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u64>().prop_map(Epoch)
}

fn nanoseconds() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn answer() -> impl Strategy<Value = Answer> {
    use Objection::{AskerUnfit, Damped, ManualRecovery, NotBetter, SameRole};
    let objection = one_of(&[AskerUnfit, NotBetter, ManualRecovery, Damped, SameRole]);
    prop_oneof![
        (epoch(), any::<bool>()).prop_map(|(epoch, served)| Answer::Yielded { epoch, served }),
        (epoch(), objection).prop_map(|(epoch, objection)| Answer::Refused { epoch, objection }),
    ]
}

prop_compose! {
    fn group()(
        group in any::<u8>().prop_map(GroupId),
        state in one_of(&[GroupState::Standby, GroupState::Probing, GroupState::Active, GroupState::Fault]),
        role in one_of(&[Role::Primary, Role::Backup]),
        epoch in epoch(),
        wish in proptest::option::of((
            epoch(),
            one_of(&[Cause::Vacant, Cause::Command, Cause::Recovery, Cause::Health]),
        )),
        answer in proptest::option::of(answer()),
    ) -> GroupWord {
        let wish = wish.map(|(epoch, cause)| Wish { epoch, cause });
        GroupWord { group, state, role, epoch, wish, answer }
    }
}

prop_compose! {
    fn health()(
        (carriers, carriers_up, failing) in any::<(u8, u8, u8)>(), reach in any::<u16>(), on_time in any::<bool>(),
    ) -> Health {
        Health { carriers, carriers_up, reach, failing, on_time }
    }
}

prop_compose! {
    fn heartbeat()(
        (version, sequence) in any::<(u16, u64)>(),
        first in proptest::option::of(group()),
        second in proptest::option::of(group()),
        health in health(),
        (listening, wants_answer, in_sync) in any::<(bool, bool, bool)>(),
        recovery in one_of(&[Recovery::Auto, Recovery::Manual]),
        (dead, lag) in (nanoseconds(), nanoseconds()),
        (position, generation, clusters) in any::<(u64, u64, u64)>(),
        echo in proptest::option::of((any::<u64>(), nanoseconds())),
    ) -> Heartbeat {
        Heartbeat {
            node: ALICE.node, boot: ALICE.boot, sequence, version, groups: [first, second], health, listening,
            wants_answer, recovery, dead,
            sync: Sync { position, in_sync, lag },
            configuration: Configuration { generation, clusters },
            echo: echo.map(|(sequence, age)| Echo { sequence, age }),
        }
    }
}

prop_compose! {
    fn letter()(
        heartbeat in heartbeat(),
        about in any::<u128>(),
        greeting in proptest::option::of(any::<(u128, u64)>()),
    ) -> Letter {
        let greeting = greeting.map(|(boot, sequence)| Greeting { boot: BootId(boot), sequence });
        Letter { heartbeat, about: BootId(about), greeting }
    }
}

/// A gate of Bob's that knows Alice, and a heartbeat of hers that it would admit.
fn known() -> (Gate, [u8; SIZE], Instant) {
    let now = Instant::now();
    let mut alice = Gate::new(ALICE, &PATHS, keys(&[1, 2]));
    let mut bob = Gate::new(BOB, &PATHS, keys(&[1, 2]));
    for sequence in 1..3 {
        let said = alice.seal(PATH, &word(ALICE, sequence), now).unwrap();
        let _unproven_at_first = bob.open(Some(PATH), &said, now);
        let said = bob.seal(PATH, &word(BOB, sequence), now).unwrap();
        alice.open(Some(PATH), &said, now).expect("greeted");
    }
    assert_eq!(bob.partner(), Some(ALICE.boot));
    let said = alice.seal(PATH, &word(ALICE, 3), now).unwrap();
    (bob, said, now)
}

/// Each of the 2048 bits, in turn and not by chance.
#[test]
fn any_bit_that_is_flipped_is_noticed() {
    let (mut bob, said, mut now) = known();
    for bit in 0..SIZE * 8 {
        let mut changed = said;
        changed[bit / 8] ^= 1 << (bit % 8);
        now += MS;
        assert!(bob.open(Some(PATH), &changed, now).is_err(), "bit {bit}");
    }
    assert_eq!(bob.counts().refused(Reason::TooMany), 0);
    assert_eq!(bob.open(Some(PATH), &said, now).map(|word| word.sequence), Ok(3), "the true one is still welcome");
}

#[test]
fn datagrams_of_any_other_length_are_refused() {
    let (mut bob, said, now) = known();
    let long = [said.as_slice(), &said].concat();
    for length in (0..long.len()).filter(|length| *length != SIZE) {
        assert_eq!(bob.open(Some(PATH), &long[..length], now), Err(Refusal::Size { bytes: length }));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(letter in letter()) {
        let body = letter.encode();
        prop_assert!(body[SAID..].iter().all(|byte| *byte == 0));
        prop_assert_eq!(Letter::decode(ALICE, letter.heartbeat.sequence, &body), Ok(letter));
    }

    #[test]
    fn no_bytes_are_a_panic_or_a_heartbeat(bytes in vec(any::<u8>(), 0..2 * SIZE)) {
        let _any = Letter::decode(ALICE, 1, &bytes);
        let (mut bob, said, now) = known();
        prop_assert!(bob.open(Some(PATH), &bytes, now).is_err());
        let mut behind_a_true_head = said;
        for (byte, other) in behind_a_true_head.iter_mut().skip(40).zip(&bytes) {
            *byte = *other;
        }
        prop_assert!(behind_a_true_head == said || bob.open(Some(PATH), &behind_a_true_head, now).is_err());
    }

    /// In whatever order and however often: each copy is admitted once at most, and none that is 64 behind, or older than the
    /// first that was believed.
    #[test]
    fn no_copy_is_admitted_twice(order in vec((0_usize..100, 0_usize..2), 1..400)) {
        let now = Instant::now();
        let mut alice = Gate::new(ALICE, &PATHS, keys(&[1]));
        let mut bob = Gate::new(BOB, &PATHS, keys(&[1]));
        let greeting = bob.seal(PATH, &word(BOB, 1), now).unwrap();
        prop_assert!(alice.open(Some(PATH), &greeting, now).is_err());
        let said: Vec<[[u8; SIZE]; 2]> = (1..=100)
            .map(|sequence| PATHS.map(|path| alice.seal(path, &word(ALICE, sequence), now).unwrap()))
            .collect();
        let mut admitted = std::collections::HashSet::new();
        let mut span: Option<(usize, usize)> = None;
        for (index, path) in order {
            let judged = bob.open(Some(PATHS[path]), &said[index][path], now);
            let expected = span.is_none_or(|(first, newest)| index >= first && index + 64 > newest)
                && !admitted.contains(&(index, path));
            prop_assert_eq!(judged.is_ok(), expected, "{:?}", judged);
            if expected {
                admitted.insert((index, path));
                span = Some(span.map_or((index, index), |(first, newest)| (first, newest.max(index))));
            }
        }
    }
}

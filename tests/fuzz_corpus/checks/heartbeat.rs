//! Datagrams between the two dispatchers of a pair.

use std::sync::LazyLock;
use std::time::Instant;

use tsuji::high_availability::{
    BootId, Configuration, Health, Heartbeat, NodeId, PathId, Recovery, Sync as Copied, Timings,
};
use tsuji::pairing::datagram::{self, HEAD, Head};
use tsuji::pairing::letter::BODY;
use tsuji::pairing::record::{Purpose, Seal};
use tsuji::pairing::{Gate, Letter, Life, PairKeys, Refusal, SIZE};

use super::{Target, bounded};

pub const TARGET: Target = Target { name: "heartbeat", check };

const ALICE: Life = Life { node: NodeId(1), boot: BootId(0xa1) };
const BOB: Life = Life { node: NodeId(2), boot: BootId(0xb1) };
const PATHS: [PathId; 2] = [PathId(0), PathId(1)];

/// A datagram as it came in, once to a gate that knows nobody and once to one that knows the sender of the corpus. What is
/// behind the head is also looked at as somebody with the key would have said it.
fn check(data: &[u8]) {
    let data = bounded(data);
    let now = Instant::now();
    for mut gate in [Gate::new(BOB, &PATHS, keys()), joined(now)] {
        for path in [None, Some(PATHS[0]), Some(PATHS[1])] {
            assert!(gate.open(path, data, now).is_err(), "made without the key, and let in");
        }
        assert_eq!(gate.counts().admitted(), u64::from(gate.partner().is_some()));
    }
    if let Ok(datagram) = <&[u8; SIZE]>::try_from(data)
        && let Ok(head) = Head::parse(datagram)
    {
        assert!(datagram::open(&head, datagram, &open()).is_err());
    }
    body(data.get(HEAD..).unwrap_or(data), now);
}

/// An authentic body of any bytes is understood or refused, and what was understood is said in the same words again.
fn body(bytes: &[u8], now: Instant) {
    let mut body = [0; BODY];
    body.iter_mut().zip(bytes).for_each(|(byte, given)| *byte = *given);
    let decoded = Letter::decode(ALICE, 2, &body);
    if let Ok(letter) = decoded {
        assert_eq!(Letter::decode(ALICE, 2, &letter.encode()), decoded);
    }
    let head = Head { key: KEYS.sealing().id(), sender: ALICE, sequence: 2, path: PATHS[0] };
    let datagram = datagram::seal(&head, &body, &SEAL).expect("a body is short");
    match (joined(now).open(Some(PATHS[0]), &datagram, now), decoded) {
        (Ok(told), Ok(letter)) => {
            assert_eq!(Heartbeat { echo: None, ..told }, Heartbeat { echo: None, ..letter.heartbeat })
        }
        (Err(Refusal::Malformed(said)), Err(fault)) => assert_eq!(said, fault),
        (told, letter) => panic!("{told:?}, but {letter:?}"),
    }
}

static KEYS: LazyLock<PairKeys> = LazyLock::new(keys);
static SEAL: LazyLock<Seal> = LazyLock::new(|| Seal::new(KEYS.sealing(), ALICE, Purpose::HEARTBEAT));

fn open() -> tsuji::pairing::record::Open {
    tsuji::pairing::record::Open::new(KEYS.sealing(), ALICE, Purpose::HEARTBEAT)
}

fn keys() -> PairKeys {
    PairKeys::parse("1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").expect("a key")
}

/// A gate of Bob's that has admitted one heartbeat of Alice's.
fn joined(now: Instant) -> Gate {
    let (mut alice, mut bob) = (Gate::new(ALICE, &PATHS, keys()), Gate::new(BOB, &PATHS, keys()));
    let said = bob.seal(PATHS[0], &word(BOB), now).expect("a new number");
    assert_eq!(alice.open(Some(PATHS[0]), &said, now), Err(Refusal::Unproven));
    let said = alice.seal(PATHS[0], &word(ALICE), now).expect("a new number");
    assert_eq!(bob.open(Some(PATHS[0]), &said, now), Ok(word(ALICE)));
    bob
}

fn word(sender: Life) -> Heartbeat {
    Heartbeat {
        node: sender.node,
        boot: sender.boot,
        sequence: 1,
        version: 1,
        groups: [None, None],
        health: Health::UNTRACKED,
        listening: false,
        wants_answer: false,
        recovery: Recovery::Auto,
        dead: Timings::STANDARD.dead(),
        sync: Copied::default(),
        configuration: Configuration::default(),
        echo: None,
    }
}

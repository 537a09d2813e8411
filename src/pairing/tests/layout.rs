//! Where each word stands, and that nothing else opens.

use super::super::datagram::{self, HEAD, Head, OLDEST_FORMAT};
use super::super::key::KeyId;
use super::super::letter::{BODY, SAID};
use super::super::record::{Open, Purpose, Seal};
use super::*;
use crate::high_availability::{Answer, Echo, Objection};

fn letter() -> Letter {
    let echo = Some(Echo { sequence: 0x0102, age: 3 * MS });
    let greeting = Some(Greeting { boot: BootId(0x0c), sequence: 0x0d });
    Letter { heartbeat: Heartbeat { echo, ..word(ALICE, 70) }, about: BOB.boot, greeting }
}

fn decode(body: &[u8]) -> Result<Letter, Malformed> {
    Letter::decode(ALICE, 70, body)
}

/// Two versions of this program have to agree on each byte: this table changes with [`datagram::FORMAT`] only.
#[test]
fn every_word_has_its_place() {
    let body = letter().encode();
    let mut at = 0;
    let mut check = |what: &str, expected: &[u8]| {
        assert_eq!(&body[at..at + expected.len()], expected, "{what}, at {at}");
        at += expected.len();
    };
    check("version", &[0, 7]);
    check("a group's word, its id, standby, backup", &[1, 3, 1, 2]);
    check("its epoch", &[0, 0, 0, 0, 0, 0, 0, 4]);
    check("a wish by command, its epoch", &[2, 0, 0, 0, 0, 0, 0, 0, 5]);
    check("no answer", &[0; 10]);
    check("no second group", &[0; 31]);
    check("carriers, carriers up, reach, failing, on time", &[2, 1, 1, 44, 4, 1]);
    check("not listening, wants an answer, manual recovery", &[0, 1, 2]);
    check("dead time", &300_000_000_u64.to_be_bytes());
    check("position of the tables", &[0, 0, 0, 0, 0, 0, 0, 6]);
    check("in sync, lag", &[1, 0, 0, 0, 0, 0, 0x1e, 0x84, 0x80]);
    check("generation, clusters", &[0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9]);
    check("an echo, about this life", &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb1]);
    check("of this number, so old", &[0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0x2d, 0xc6, 0xc0]);
    check("a greeting", &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0x0d]);
    check("reserve", &[0; BODY - SAID]);
    assert_eq!((at, letter().write().length()), (BODY, SAID));
}

#[test]
fn the_head_is_readable_and_the_rest_is_not() {
    let head = Head { key: KeyId(0x0203), sender: ALICE, sequence: 70, path: OTHER_PATH };
    let (seal, open) = both(ALICE);
    let sealed = datagram::seal(&head, &letter().encode(), &seal).unwrap();
    let clear = b"TsHB\x01\0\x02\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xa1\0\0\0\0\0\0\0\x46\0\0\0\x01";
    assert_eq!(sealed[..HEAD], clear[..]);
    assert_ne!(sealed[HEAD..][..BODY], letter().encode());
    assert_eq!(Head::parse(&sealed), Ok(head));
    assert_eq!(datagram::open(&head, &sealed, &open), Ok(letter()));
}

fn both(sender: Life) -> (Seal, Open) {
    let keys = keys(&[1]);
    let purpose = Purpose::HEARTBEAT;
    (Seal::new(keys.sealing(), sender, purpose), Open::new(keys.sealing(), sender, purpose))
}

#[test]
fn what_is_sealed_for_one_life_direction_or_purpose_opens_for_no_other() {
    let head = Head { key: KeyId(1), sender: ALICE, sequence: 70, path: PATH };
    let sealed = datagram::seal(&head, &letter().encode(), &both(ALICE).0).unwrap();
    let check = |what: &str, keys: &PairKeys, sender: Life, purpose: Purpose| {
        let open = Open::new(keys.sealing(), sender, purpose);
        assert_eq!(datagram::open(&head, &sealed, &open), Err(Refusal::Forged), "{what}");
    };
    let heartbeat = Purpose::HEARTBEAT;
    check("another boot", &keys(&[1]), Life { boot: BootId(0xa2), ..ALICE }, heartbeat);
    check("another node", &keys(&[1]), Life { node: NodeId(2), ..ALICE }, heartbeat);
    check("another purpose", &keys(&[1]), ALICE, Purpose("tsuji pair snapshot;"));
    check("another key", &keys(&[2]), ALICE, heartbeat);
}

/// The same words on two paths: the sequence is the same, and so would the nonce be if it were all of it.
#[test]
fn copies_on_two_paths_have_two_nonces() {
    let head = Head { key: KeyId(1), sender: ALICE, sequence: 70, path: PATH };
    let (seal, body) = (both(ALICE).0, letter().encode());
    let sealed = |head: Head| -> Vec<u8> { datagram::seal(&head, &body, &seal).unwrap()[HEAD..][..BODY].to_vec() };
    let here = sealed(head);
    assert_ne!(here, sealed(Head { path: OTHER_PATH, ..head }));
    assert_ne!(here, sealed(Head { sequence: 71, ..head }));
    assert_eq!(here, sealed(Head { key: KeyId(2), ..head }), "the nonce is what tells them apart: nothing else does");
}

#[test]
fn numbers_that_are_not_known_are_named() {
    let check = |what: &'static str, place: usize, number: u8| {
        let mut body = letter().encode();
        assert_ne!(body[place], number);
        body[place] = number;
        assert_eq!(decode(&body), Err(Malformed::UnknownNumber { what, number }), "at {place}");
    };
    check("yes or no", 2, 2);
    check("state of a group", 4, 0);
    check("state of a group", 4, 5);
    check("role", 5, 3);
    check("cause of a wish", 14, 5);
    check("kind of answer", 23, 4);
    check("way of recovery", 72, 0);
    assert_eq!(
        Malformed::UnknownNumber { what: "role", number: 3 }.to_string(),
        "3 is no role that this version knows"
    );
}

#[test]
fn answers_are_told_apart() {
    let check = |answer: Answer| {
        let mut letter = letter();
        letter.heartbeat.groups[0] = letter.heartbeat.groups[0].map(|word| GroupWord { answer: Some(answer), ..word });
        assert_eq!(decode(&letter.encode()), Ok(letter), "{answer:?}");
    };
    let epoch = Epoch(6);
    check(Answer::Yielded { epoch, served: true });
    check(Answer::Yielded { epoch, served: false });
    check(Answer::Refused { epoch, objection: Objection::SameRole });
}

#[test]
fn words_of_a_later_version_are_passed_over() {
    let mut body = letter().encode();
    body[SAID..].fill(0xff);
    assert_eq!(decode(&body), Ok(letter()));
    for length in 0..SAID {
        assert_eq!(decode(&body[..length]), Err(Malformed::Short), "{length} bytes");
    }
}

#[test]
fn what_is_no_heartbeat_of_a_known_format_is_not_opened() {
    let head = Head { key: KeyId(1), sender: ALICE, sequence: 70, path: PATH };
    let sealed = datagram::seal(&head, &letter().encode(), &both(ALICE).0).unwrap();
    let check = |place: usize, byte: u8, expected: Refusal| {
        let mut changed = sealed;
        changed[place] = byte;
        assert_eq!(Head::parse(&changed), Err(expected));
    };
    check(0, b'X', Refusal::NotHeartbeat);
    check(4, OLDEST_FORMAT - 1, Refusal::OtherFormat { format: OLDEST_FORMAT - 1 });
    check(4, datagram::FORMAT + 1, Refusal::OtherFormat { format: datagram::FORMAT + 1 });
}

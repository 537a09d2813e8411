//! The text of key files.

use super::super::key::{LineFault, RotationUnderWay, file_with, fresh_file};
use super::*;

fn ids(keys: &PairKeys) -> Vec<u16> {
    keys.all().map(|key| key.id().0).collect()
}

#[test]
fn key_files_are_read() {
    let check = |text: &str, expected: &[u16]| {
        let keys = PairKeys::parse(text).unwrap();
        assert_eq!(ids(&keys), expected, "{text}");
        assert_eq!(keys.sealing().id().0, expected[0]);
    };
    let (one, two) = (digits(1), digits(2).to_uppercase());
    check(&format!("1 {one}"), &[1]);
    check(&format!("# a pair\r\n\n  9\t{one}  # the old one\r\n65535 {two}\n"), &[9, 65535]);
}

#[test]
fn key_files_are_refused_with_line_and_reason_and_without_the_key() {
    let one = digits(1);
    let check = |text: &str, line: usize, reason: LineFault| {
        let fault = PairKeys::parse(text).unwrap_err();
        assert_eq!(fault, KeyFileFault::Line { line, reason }, "{text}");
        assert!(!fault.to_string().contains(&one[..4]), "{fault}");
    };
    check(&one, 1, LineFault::Words);
    check(&format!("\n1 {one} x"), 2, LineFault::Words);
    check(&format!("{one} 1"), 1, LineFault::Id);
    check(&format!("0 {one}"), 1, LineFault::Id);
    check(&format!("65536 {one}"), 1, LineFault::Id);
    check(&format!("1 {}", &one[1..]), 1, LineFault::Length { digits: 63 });
    check(&format!("1 {one}é"), 1, LineFault::Length { digits: 65 });
    check(&format!("1 {}g{}", &one[..10], &one[11..]), 1, LineFault::Digit { position: 11 });
    check(&format!("1 {}+{}", &one[..10], &one[11..]), 1, LineFault::Digit { position: 11 });
    check(&format!("1 {}", "7a".repeat(32)), 1, LineFault::Placeholder);
    check(&format!("1 {one}\n#\n1 {}", digits(2)), 3, LineFault::IdTwice { above: 1 });
    check(&format!("1 {one}\n2 {one}"), 2, LineFault::KeyTwice { above: 1 });
    check(&format!("1 {one}\n2 {}\n3 {}", digits(2), digits(3)), 3, LineFault::TooMany);
    assert_eq!(PairKeys::parse("# none\n").unwrap_err(), KeyFileFault::NoKey);
}

#[test]
fn a_fresh_file_has_one_key_and_room_for_another() {
    let secret = |seed: u8| std::array::from_fn(|index| index as u8 ^ seed);
    let text = fresh_file(&secret(1));
    let first = PairKeys::parse(&text).unwrap();
    assert_eq!((ids(&first), first.sealing().secret()), (vec![1], &secret(1)));
    let both = PairKeys::parse(&file_with(&first, &secret(2)).unwrap()).unwrap();
    assert_eq!(ids(&both), [1, 2], "the old one seals until both dispatchers have the new one");
    assert_eq!(both.sealing().secret(), &secret(1));
    let refused = file_with(&both, &secret(3));
    assert_eq!(refused, Err(RotationUnderWay { first: KeyId(1), second: KeyId(2) }));
    let last = PairKeys::parse(&format!("65535 {}", digits(1))).unwrap();
    let both = PairKeys::parse(&file_with(&last, &secret(2)).unwrap()).unwrap();
    assert_eq!(ids(&both), [65535, 1], "ids begin again");
}

#[test]
fn keys_are_not_shown() {
    let shown = format!("{:?}", keys(&[1, 2]));
    assert_eq!(shown, "PairKeys { seals: PairKey { id: KeyId(1), .. }, other: Some(PairKey { id: KeyId(2), .. }) }");
}

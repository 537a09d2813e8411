//! Inputs like those of a corpus, and a little wrong.

use fastrand::Rng;

/// One input, made of two others and some words.
pub fn mutated(rng: &mut Rng, corpus: &[Vec<u8>], words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = pick(rng, corpus).cloned().unwrap_or_default();
    for _ in 0..rng.usize(1..5) {
        mutate(rng, &mut bytes, corpus, words);
    }
    bytes
}

fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> Option<&'a T> {
    if all.is_empty() { None } else { all.get(rng.usize(..all.len())) }
}

fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[Vec<u8>]) {
    let part = part(rng, bytes.len());
    match rng.u8(..8) {
        0 => flip(rng, bytes),
        1 => bytes.truncate(part.start),
        2 => drop(bytes.drain(part)),
        3 => {
            let copy = bytes[part.clone()].to_vec();
            bytes.splice(part.start..part.start, copy);
        }
        4 => {
            let word = pick(rng, words).cloned().unwrap_or_default();
            bytes.splice(part.start..part.start, word);
        }
        5 => {
            let word = pick(rng, words).cloned().unwrap_or_default();
            bytes.splice(part, word);
        }
        6 => {
            let other = pick(rng, corpus).cloned().unwrap_or_default();
            let from = rng.usize(..=other.len());
            bytes.truncate(part.start);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => {
            let byte = *pick(rng, b"\0\n\r \"%+,./:;=@[]{}\\\x7f\x80\xff09az").unwrap_or(&0);
            bytes.insert(part.start, byte);
        }
    }
}

fn flip(rng: &mut Rng, bytes: &mut [u8]) {
    if !bytes.is_empty() {
        let at = rng.usize(..bytes.len());
        bytes[at] = if rng.bool() { bytes[at] ^ 1 << rng.u8(..8) } else { rng.u8(..) };
    }
}

/// A stretch of so many bytes, short most of the time.
fn part(rng: &mut Rng, length: usize) -> std::ops::Range<usize> {
    let begin = rng.usize(..=length);
    let most = if rng.u8(..4) == 0 { length - begin } else { (length - begin).min(8) };
    begin..begin + rng.usize(..=most)
}

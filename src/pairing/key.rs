//! The key file: what two dispatchers know each other by.
//!
//! ```text
//! # The key of a pair; both dispatchers have the same file.
//! 1 6b1f...64 hexadecimal digits...c0
//! ```
//!
//! One key per line, an id from 1 to 65535 and 64 hexadecimal digits; `#` begins a comment. The first key seals, all open. There
//! are two while a key takes the place of another: the new one is added below on both dispatchers, then moved up on both, then
//! the old one is removed from both. At no moment does it matter which of the two dispatchers has read its file first.

use std::fmt::{self, Write};
use std::hint;

/// What a key is called in datagrams and messages.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(pub u16);

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A key with its id.
pub struct PairKey {
    id: KeyId,
    /// In a box, so that moving a key leaves no copies behind.
    secret: Box<[u8; SECRET]>,
}

/// Bytes of a key.
pub const SECRET: usize = 32;

/// An old one and a new one. With more, a key that should be gone would stay.
pub const MOST_KEYS: usize = 2;

impl PairKey {
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn secret(&self) -> &[u8; SECRET] {
        &self.secret
    }
}

/// Nothing of a key is shown.
impl fmt::Debug for PairKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PairKey").field("id", &self.id).finish_non_exhaustive()
    }
}

// The memory is given back without the key. A compiler may drop a write that nobody reads, so somebody seems to read this
// one; the language promises no more than that without `unsafe`. The crate `zeroize` does, and would take this place if it
// became a dependency.
impl Drop for PairKey {
    fn drop(&mut self) {
        *self.secret = [0; SECRET];
        hint::black_box(&self.secret);
    }
}

/// The keys of a file: at least one, at most [`MOST_KEYS`], all different.
#[derive(Debug)]
pub struct PairKeys {
    seals: PairKey,
    other: Option<PairKey>,
}

impl PairKeys {
    /// Reads the text of a key file.
    ///
    /// # Errors
    ///
    /// The first fault, with its line. No message shows anything that stands in the file: it might be the key.
    pub fn parse(text: &str) -> Result<Self, KeyFileFault> {
        let mut keys: Vec<(usize, PairKey)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let Some(key) = parse_line(line).map_err(|reason| KeyFileFault::Line { line: line_number, reason })? else {
                continue;
            };
            compare(&keys, &key).map_err(|reason| KeyFileFault::Line { line: line_number, reason })?;
            keys.push((line_number, key));
        }
        let mut keys = keys.into_iter().map(|(_, key)| key);
        Ok(Self { seals: keys.next().ok_or(KeyFileFault::NoKey)?, other: keys.next() })
    }

    /// The key that seals: the first one.
    pub fn sealing(&self) -> &PairKey {
        &self.seals
    }

    /// All keys, which open; the one that seals comes first.
    pub fn all(&self) -> impl Iterator<Item = &PairKey> {
        std::iter::once(&self.seals).chain(&self.other)
    }

    /// The key with this id.
    pub fn named(&self, id: KeyId) -> Option<&PairKey> {
        self.all().find(|key| key.id == id)
    }
}

/// A line's key; `None` if there is only a comment.
fn parse_line(line: &str) -> Result<Option<PairKey>, LineFault> {
    let said = line.split_once('#').map_or(line, |(said, _)| said);
    let mut words = said.split_whitespace();
    let Some(id) = words.next() else { return Ok(None) };
    let (Some(digits), None) = (words.next(), words.next()) else { return Err(LineFault::Words) };
    let id = id.parse().ok().filter(|id| *id > 0).map(KeyId).ok_or(LineFault::Id)?;
    let key = PairKey { id, secret: parse_secret(digits)? };
    let [first, rest @ ..] = key.secret();
    if rest.iter().all(|byte| byte == first) {
        return Err(LineFault::Placeholder);
    }
    Ok(Some(key))
}

fn parse_secret(digits: &str) -> Result<Box<[u8; SECRET]>, LineFault> {
    let length = digits.chars().count();
    if length != 2 * SECRET {
        return Err(LineFault::Length { digits: length });
    }
    let mut secret = Box::new([0; SECRET]);
    for (index, digit) in digits.chars().enumerate() {
        let value = digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
        let value = value.ok_or(LineFault::Digit { position: index + 1 })?;
        if let Some(byte) = secret.get_mut(index / 2) {
            *byte = *byte << 4 | value;
        }
    }
    Ok(secret)
}

/// A new key beside those above it.
fn compare(above: &[(usize, PairKey)], key: &PairKey) -> Result<(), LineFault> {
    if let Some((line, _)) = above.iter().find(|(_, other)| other.id == key.id) {
        return Err(LineFault::IdTwice { above: *line });
    }
    if let Some((line, _)) = above.iter().find(|(_, other)| other.secret == key.secret) {
        return Err(LineFault::KeyTwice { above: *line });
    }
    if above.len() == MOST_KEYS { Err(LineFault::TooMany) } else { Ok(()) }
}

/// The text of a new key file with one key. The bytes have to be random: who can guess them is the partner.
pub fn fresh_file(secret: &[u8; SECRET]) -> String {
    format!("{HEADING}{}", line(KeyId(1), secret))
}

/// The text of a key file with a new key below the one there is: the first step of a rotation. The bytes have to be random.
///
/// # Errors
///
/// There are two keys already.
pub fn file_with(keys: &PairKeys, secret: &[u8; SECRET]) -> Result<String, RotationUnderWay> {
    let old = keys.sealing();
    if let Some(other) = &keys.other {
        return Err(RotationUnderWay { first: old.id, second: other.id });
    }
    let id = KeyId(old.id.0.checked_add(1).unwrap_or(1));
    Ok(format!("{HEADING}{}{}", line(old.id, old.secret()), line(id, secret)))
}

fn line(id: KeyId, secret: &[u8; SECRET]) -> String {
    let mut line = format!("{id} ");
    for byte in secret {
        // A string takes whatever is written.
        let _never_fails = write!(line, "{byte:02x}");
    }
    line.push('\n');
    line
}

const HEADING: &str = "\
# The key of a pair of dispatchers. Both have the same file, readable by tsuji alone; no other pair has it.
# The first key seals, all open. To change the key: add the new one below on both dispatchers (tsuji keys pair --add on one,
# and copy), then move it above the old one on both, then remove the old one from both; reload after each step.
";

/// A third key is not added.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the file has two keys, {first} and {second}: bring the change to its end and remove the old one first")]
pub struct RotationUnderWay {
    pub first: KeyId,
    pub second: KeyId,
}

/// Why a key file is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFileFault {
    #[error("line {line}: {reason}")]
    Line { line: usize, reason: LineFault },
    #[error("there is no key in it; `tsuji keys pair` makes one")]
    NoKey,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineFault {
    #[error("a line is an id and a key, with a space between")]
    Words,
    #[error("the id comes first, a number from 1 to 65535")]
    Id,
    #[error("a key has 64 hexadecimal digits, this one has {digits}")]
    Length { digits: usize },
    #[error("character {position} of the key is not a hexadecimal digit")]
    Digit { position: usize },
    #[error("all bytes of the key are the same, so nobody drew it at random; `tsuji keys pair` does")]
    Placeholder,
    #[error("the key in line {above} has this id already")]
    IdTwice { above: usize },
    #[error("the key in line {above} is the same")]
    KeyTwice { above: usize },
    #[error("a third key: there are at most two, the one that seals and another that opens too")]
    TooMany,
}

//! What is wrong with a text, and where.

use std::fmt;
use std::sync::Arc;

/// A position in a configuration file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

/// `file:line:column`, as editors and compilers write it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is wrong (or, among warnings, surprising). The message says what would be right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// `None`: it was not written in a file.
    pub place: Option<Place>,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

/// Faults found by others, such as a file that is not there.
impl From<Vec<Fault>> for Faults {
    fn from(faults: Vec<Fault>) -> Self {
        Self(faults)
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One fault per line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Why a command was not carried out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The command is not of the language: exit code 2.
    #[error("{0}")]
    Misuse(String),
    /// The command is well-formed but cannot be done: exit code 1.
    #[error("{0}")]
    Refused(String),
}

impl Refusal {
    pub fn misuse(message: impl Into<String>) -> Self {
        Self::Misuse(message.into())
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    /// The same refusal with words before its message.
    pub(super) fn after(self, words: &str) -> Self {
        match self {
            Self::Misuse(message) => Self::Misuse(format!("{words}{message}")),
            Self::Refused(message) => Self::Refused(format!("{words}{message}")),
        }
    }

    /// The text without its kind.
    pub fn message(&self) -> &str {
        match self {
            Self::Misuse(message) | Self::Refused(message) => message,
        }
    }
}

/// Gathers faults. It keeps the first [`MAX_FAULTS`] and counts the rest, so that a file of garbage ends in a
/// page of text and not in swallowed memory.
#[derive(Debug, Default)]
pub(super) struct Collector {
    kept: Vec<Fault>,
    beyond: usize,
}

impl Collector {
    pub fn add(&mut self, place: Option<&Place>, message: impl Into<String>) {
        if self.kept.len() < MAX_FAULTS {
            self.kept.push(Fault { place: place.cloned(), message: message.into() });
        } else {
            self.beyond += 1;
        }
    }

    pub fn extend(&mut self, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            self.add(fault.place.as_ref(), fault.message);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether further faults are only counted.
    pub fn is_full(&self) -> bool {
        self.kept.len() >= MAX_FAULTS
    }

    /// In the order of the file; what has no place comes last.
    pub fn into_list(mut self) -> Vec<Fault> {
        self.kept.sort_by(|a, b| (a.place.is_none(), &a.place).cmp(&(b.place.is_none(), &b.place)));
        if self.beyond > 0 {
            let message = format!("… and {} more", self.beyond);
            self.kept.push(Fault { place: None, message });
        }
        self.kept
    }

    /// `value` when nothing was wrong.
    pub fn settle<T>(self, value: T) -> Result<T, Faults> {
        if self.is_empty() { Ok(value) } else { Err(Faults(self.into_list())) }
    }
}

/// A piece of the operator's text within a message: in back quotes, cut at a readable length, and without
/// control characters, which could forge lines of a log or drive a terminal.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shown(text, MAX_QUOTED))
}

/// At most so many characters of the text, and none that is a control character.
pub(super) fn shown(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).flat_map(visible).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let plain = escaped.is_none().then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

/// `a`, `b` and `c`; beyond [`MAX_LISTED`] the rest is counted.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    let more = words.len().saturating_sub(MAX_LISTED);
    let mut shown: Vec<String> = words.iter().take(MAX_LISTED).map(|word| quoted(word)).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The candidate that was probably meant: at most a third of its letters differ.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= MAX_SLIP)
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, MAX_SLIP))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `, did you mean ...?` or nothing.
pub(super) fn proposal<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!(", did you mean {}?", quoted(near)))
}

/// Faults (and warnings) of one text that are spelled out: more than anybody mends in one go.
pub(super) const MAX_FAULTS: usize = 200;
/// Characters of the operator's text in a message.
const MAX_QUOTED: usize = 80;
/// Names listed as "there are ..." in a message.
const MAX_LISTED: usize = 8;
/// Letters that may differ between a word and its proposal.
const MAX_SLIP: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals() {
        let words = ["stickytime", "stickymask", "staletimeout", "port"];
        let cases = [
            ("stickytme", Some("stickytime")),
            ("STICKYTIME", Some("stickytime")),
            ("stickytiem", Some("stickytime")),
            ("prot", Some("port")),
            ("weight", None),
            ("", None),
        ];
        for (word, meant) in cases {
            assert_eq!(nearest(word, words), meant, "{word}");
        }
    }

    #[test]
    fn quoted_text_cannot_forge_lines() {
        assert_eq!(quoted("a\nb\u{1b}[1m"), r"`a\nb\u{1b}[1m`");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), MAX_QUOTED + 3);
    }

    #[test]
    fn lists_are_readable() {
        assert_eq!(listed([]), "");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
        assert!(listed(["x"; 20]).ends_with("and 12 more"));
    }

    #[test]
    fn a_flood_of_faults_is_counted() {
        let mut faults = Collector::default();
        (0..1000).for_each(|_| faults.add(None, "no"));
        assert_eq!(faults.into_list().last().map(ToString::to_string), Some("… and 800 more".to_owned()));
    }
}

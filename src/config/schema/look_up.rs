//! Looking words up: in full, or shortened while unique.

use std::fmt;

use super::{Keyword, Kind};
use crate::config::fault::{listed, nearest, quoted};

/// Why a word was not found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotFound {
    /// It begins several words.
    Ambiguous { word: String, candidates: Vec<&'static str> },
    /// It begins none; one of them may have been meant.
    Unknown { word: String, nearest: Option<&'static str>, candidates: Vec<&'static str> },
}

/// Says what would be right.
impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambiguous { word, candidates } => {
                write!(f, "{} may mean {}", quoted(word), listed(candidates.iter().copied()))
            }
            Self::Unknown { word, nearest: Some(near), .. } => {
                write!(f, "unknown word {}, did you mean `{near}`?", quoted(word))
            }
            Self::Unknown { word, candidates, .. } => {
                write!(f, "unknown word {}; there are {}", quoted(word), candidates.join(", "))
            }
        }
    }
}

/// The candidate that equals `word` or, alone, begins with it. Letters may be of either case.
pub fn unabbreviate(word: &str, candidates: &[&'static str]) -> Result<&'static str, NotFound> {
    full_word(word, candidates).map_err(|begun| match begun.is_empty() {
        true => NotFound::Unknown {
            word: word.to_owned(),
            nearest: nearest(word, candidates.iter().copied()),
            candidates: candidates.to_vec(),
        },
        false => NotFound::Ambiguous { word: word.to_owned(), candidates: begun },
    })
}

/// [`unabbreviate`] where nobody is told why: `Err` has the candidates that begin so. It compares beginnings only, and so may be
/// asked of each word of a long line.
fn full_word(word: &str, candidates: &[&'static str]) -> Result<&'static str, Vec<&'static str>> {
    if let Some(exact) = candidates.iter().find(|candidate| candidate.eq_ignore_ascii_case(word)) {
        return Ok(exact);
    }
    let begun: Vec<&'static str> = candidates.iter().copied().filter(|candidate| begins(candidate, word)).collect();
    match begun.as_slice() {
        [only] => Ok(only),
        _ => Err(begun),
    }
}

/// The keyword of `kind` that a (perhaps shortened) word means.
pub fn find(kind: Kind, word: &str) -> Result<&'static Keyword, NotFound> {
    let words: Vec<&'static str> = kind.schema().keywords.iter().map(|keyword| keyword.word).collect();
    let full = unabbreviate(word, &words)?;
    kind.keyword(full).ok_or_else(|| NotFound::Unknown { word: full.to_owned(), nearest: None, candidates: words })
}

fn begins(candidate: &str, word: &str) -> bool {
    !word.is_empty() && candidate.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_words() {
        let port = |word| find(Kind::Port, word).map(|keyword| keyword.word).map_err(|fault| fault.to_string());
        let cases = [
            ("stickytime", Ok("stickytime")),
            ("STICKYT", Ok("stickytime")),
            ("stickymask", Ok("stickymask")),
            ("stickymask6", Ok("stickymask6")),
            ("me", Ok("method")),
            ("sticky", Err("`sticky` may mean `stickytime`, `stickymask` and `stickymask6`")),
            ("stickytme", Err("unknown word `stickytme`, did you mean `stickytime`?")),
        ];
        for (word, found) in cases {
            assert_eq!(port(word), found.map_err(str::to_owned), "{word}");
        }
        assert!(port("").is_err() && port("ü").is_err() && port(&"x".repeat(100_000)).is_err());
    }
}

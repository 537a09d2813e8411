//! The grey text behind the cursor: the rest of the word, what it means, or what may follow.

use super::expected::{Expected, Word, expected};
use super::{begins, typed};

/// What is shown behind the cursor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hint {
    /// The rest of the word, which may be taken over.
    pub rest: Option<String>,
    /// The rest and what it means.
    pub shown: String,
}

/// The hint for a line with the cursor at its end; the grammar alone decides, nobody is asked.
pub fn hint(line: &str) -> Option<Hint> {
    let (_, typed) = typed(line, line.len())?;
    if typed.quote.is_some() || (typed.words.is_empty() && typed.word.is_empty()) {
        return None;
    }
    let expected = expected(&typed.words);
    match typed.word.as_str() {
        "" => next(&expected),
        word => rest(&expected, word),
    }
}

/// What may stand here.
fn next(expected: &[Expected]) -> Option<Hint> {
    let told = expected.iter().find_map(|one| match one {
        Expected::Told(text) => Some(text.clone()),
        _ => None,
    });
    let shown = told.or_else(|| words(expected).map(either))?;
    Some(Hint { rest: None, shown })
}

/// The only word that begins so.
fn rest(expected: &[Expected], typed: &str) -> Option<Hint> {
    let words = words(expected)?;
    let mut begun = words.iter().filter(|one| begins(one.word, typed));
    let exact = words.iter().find(|one| one.word.eq_ignore_ascii_case(typed));
    let found = match (begun.next(), begun.next()) {
        (Some(only), None) => only,
        _ => exact?,
    };
    let rest = found.word.get(typed.len()..)?;
    let shown = if found.help.is_empty() { rest.to_owned() } else { format!("{rest}  {}", found.help) };
    let hint = Hint { rest: (!rest.is_empty()).then(|| format!("{rest} ")), shown };
    (!hint.shown.is_empty()).then_some(hint)
}

fn words(expected: &[Expected]) -> Option<&[Word]> {
    expected.iter().find_map(|one| match one {
        Expected::Words(words) => Some(words.as_slice()),
        _ => None,
    })
}

fn either(words: &[Word]) -> String {
    words.iter().map(|one| one.word).collect::<Vec<_>>().join("|")
}

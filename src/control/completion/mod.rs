//! What may follow at the cursor of a line that is being typed: TAB and the grey hint of the prompt.
//!
//! Pure: `expected` reads the grammar and the words before the cursor, `operand` spells names of live objects, and
//! [`Objects`] stands for whoever can be asked for those names. Nothing is asked that the word at the cursor does not need.

mod expected;
mod hint;
mod operand;
mod question;
#[cfg(test)]
mod tests;

use crate::config::{Unfinished, quote, split_unfinished};

use expected::{Expected, expected};
pub use hint::{Hint, hint};
pub use question::Question;

/// Who knows the objects that there are. An empty answer may also mean that nobody can be asked.
pub trait Objects {
    fn names(&self, question: &Question) -> Vec<String>;
}

/// One way to go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// As it is listed among others.
    pub label: String,
    /// What it is; may be empty.
    pub help: &'static str,
    /// What stands in the line from [`Completion::begins`] to the cursor when it is taken.
    pub spelled: String,
}

/// All ways to go on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Completion {
    /// The byte where the word at the cursor begins.
    pub begins: usize,
    pub candidates: Vec<Candidate>,
}

/// A word that fits, not yet spelled for the line.
struct Fitting {
    label: String,
    help: &'static str,
    text: String,
    /// Nothing more belongs to this word.
    whole: bool,
}

/// The ways to go on at `cursor`, a byte of `line`.
pub fn complete(line: &str, cursor: usize, objects: &impl Objects) -> Completion {
    let Some((offset, typed)) = typed(line, cursor) else { return Completion::default() };
    let fitting = expected(&typed.words).into_iter().flat_map(|one| fitting(&one, &typed.word, objects));
    let spelled = fitting.filter_map(|one| spell(one, typed.quote));
    let candidates = bounded(without_duplicates(spelled.collect()), cursor.saturating_sub(offset + typed.begins));
    Completion { begins: offset + typed.begins, candidates }
}

/// The line and the cursor after `spelled` was taken for what stands between `begins` and `cursor`. What was typed of it
/// behind the cursor already is not written twice.
pub fn taken(line: &str, begins: usize, cursor: usize, spelled: &str) -> (String, usize) {
    let (before, after) = (line.get(..begins).unwrap_or_default(), line.get(cursor..).unwrap_or_default());
    let word = spelled.trim_end_matches(' ');
    let added = word.len().saturating_sub(cursor.saturating_sub(begins));
    let rest_of_word = after.split(char::is_whitespace).next().unwrap_or_default();
    let separator = rest_of_word.get(..1).filter(|first| matches!(*first, ":" | "@")).unwrap_or_default();
    let is_typed = |text: &&str| text.len() <= added && word.ends_with(*text);
    let typed = [rest_of_word, separator].into_iter().find(is_typed).unwrap_or_default();
    let after = after.get(typed.len()..).unwrap_or_default();
    let inserted = if after.is_empty() { spelled } else { word };
    (format!("{before}{inserted}{after}"), before.len() + inserted.len())
}

/// What stands before the cursor in the last of the lines (a paste may have several), and where that one begins.
fn typed(line: &str, cursor: usize) -> Option<(usize, Unfinished)> {
    let before = line.get(..cursor)?;
    let offset = before.rfind('\n').map_or(0, |at| at + 1);
    let mut typed = split_unfinished(before.get(offset..)?)?;
    // Lines of scripts begin with the program's name.
    if typed.words.first().is_some_and(|word| word == "dscontrol") {
        typed.words.remove(0);
    }
    Some((offset, typed))
}

fn fitting(expected: &Expected, word: &str, objects: &impl Objects) -> Vec<Fitting> {
    match expected {
        Expected::Words(words) => {
            let begun = words.iter().filter(|one| begins(one.word, word));
            begun
                .map(|one| Fitting {
                    label: one.word.to_owned(),
                    help: one.help,
                    text: one.word.to_owned(),
                    whole: true,
                })
                .collect()
        }
        Expected::Operand(shape) => operand::fitting(word, *shape, objects),
        Expected::Names(question) => operand::listed(word, &objects.names(question)),
        Expected::One(question) => {
            let names = objects.names(question).into_iter().filter(|name| name.starts_with(word));
            names.map(|name| Fitting { label: name.clone(), help: "", text: name, whole: true }).collect()
        }
        Expected::Told(_) => Vec::new(),
    }
}

/// Letters of the language may be of either case.
fn begins(word: &str, typed: &str) -> bool {
    word.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed))
}

/// In the quotes that are open, or in those that it needs.
fn spell(fitting: Fitting, open: Option<char>) -> Option<Candidate> {
    let Fitting { label, help, text, whole } = fitting;
    // Such a name ends up in front of a terminal.
    if text.chars().any(char::is_control) {
        return None;
    }
    let end = if whole { " " } else { "" };
    let spelled = match open {
        None => format!("{}{end}", quote(&text)),
        Some(_) if text.contains(['"', '\'', '\\']) => return None,
        Some(mark) if whole => format!("{mark}{text}{mark}{end}"),
        Some(mark) => format!("{mark}{text}"),
    };
    Some(Candidate { label, help, spelled })
}

fn without_duplicates(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut seen = std::collections::HashSet::new();
    candidates.into_iter().filter(|candidate| seen.insert(candidate.spelled.clone())).collect()
}

/// More than anybody reads is not listed; what all of them begin with is still worth a key.
fn bounded(candidates: Vec<Candidate>, typed: usize) -> Vec<Candidate> {
    if candidates.len() <= MOST {
        return candidates;
    }
    let common = common(&candidates);
    match common.len() > typed {
        true => vec![Candidate { label: common.clone(), help: "", spelled: common }],
        false => Vec::new(),
    }
}

fn common(candidates: &[Candidate]) -> String {
    let mut spelled = candidates.iter().map(|candidate| candidate.spelled.as_str());
    let mut common = spelled.next().unwrap_or_default();
    for other in spelled {
        let same = common.char_indices().zip(other.chars()).take_while(|((_, a), b)| a == b).last();
        let length = same.map_or(0, |((at, c), _)| at + c.len_utf8());
        common = common.get(..length).unwrap_or_default();
    }
    common.to_owned()
}

/// Candidates that are listed: all servers of the fullest port, in a list that still scrolls by in a moment.
const MOST: usize = crate::model::MAX_SERVERS_PER_PORT;

//! `KEYWORD VALUE` pairs of `add` and `set`.

use super::Refusal;
use super::parse::Line;
use crate::config::fault::{nearest, quoted};
use crate::config::object::{Field, Fields};
use crate::config::schema::{Keyword, Kind, Later, NotFound, Usage, full_word, later_words, unabbreviate};
use crate::config::value::Value;

/// In which command keywords are read.
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub kind: Kind,
    pub adding: bool,
}

/// The pairs up to the end of the line. Faulty ones are reported to the line.
pub(super) fn read_fields(line: &mut Line<'_>, context: Context) -> Result<Fields, Refusal> {
    if line.peek().is_none() && !context.adding {
        let message = format!("the command is not complete: {}", words_of(context).join(", "));
        return Err(Refusal::misuse(message));
    }
    let mut fields = Fields::default();
    while let Some(word) = line.next() {
        let position = line.position().saturating_sub(1);
        match known(word, context) {
            Ok(Found::Keyword(keyword)) => read_field(line, position, keyword, &mut fields),
            Ok(Found::Later(later)) => read_later(line, position, later),
            Err(refusal) => {
                line.refuse(position, refusal);
                skip(line, context);
            }
        }
    }
    Ok(fields)
}

enum Found {
    Keyword(&'static Keyword),
    Later(&'static Later),
}

fn known(word: &str, context: Context) -> Result<Found, Refusal> {
    let spoken: Vec<&'static str> = context.kind.schema().keywords.iter().map(Keyword::spoken).collect();
    match unabbreviate(word, &spoken) {
        Ok(full) => usable(full, context).map(Found::Keyword),
        Err(fault @ NotFound::Ambiguous { .. }) => Err(Refusal::misuse(fault.to_string())),
        Err(NotFound::Unknown { .. }) => known_later(word, context).map(Found::Later),
    }
}

/// A word may be known and still not belong here.
fn usable(full: &'static str, context: Context) -> Result<&'static Keyword, Refusal> {
    let object = context.kind.word();
    let keyword = context.kind.schema().keywords.iter().find(|keyword| keyword.spoken() == full);
    let keyword = keyword.ok_or_else(|| Refusal::misuse(format!("unknown word `{full}`")))?;
    match keyword.usage {
        Usage::Set => Ok(keyword),
        Usage::Add if context.adding => Ok(keyword),
        Usage::Add => Err(Refusal::refused(format!(
            "`{full}` is given once, when the {object} is added; to change it, remove the {object} and add it again"
        ))),
        Usage::Identity => Err(Refusal::misuse(format!("`{full}` is part of the {object}'s operand"))),
        Usage::Elsewhere(command) => Err(Refusal::misuse(format!("`{full}` is said by {command}"))),
    }
}

fn known_later(word: &str, context: Context) -> Result<&'static Later, Refusal> {
    let candidates: Vec<&'static str> = later_words(context.kind).map(|later| later.word).collect();
    let full = unabbreviate(word, &candidates).map_err(|fault| {
        let words = words_of(context);
        match (fault, nearest(word, words.iter().copied())) {
            (NotFound::Unknown { .. }, Some(near)) => {
                format!("unknown keyword {}, did you mean `{near}`?", quoted(word))
            }
            (NotFound::Unknown { .. }, None) => {
                format!("unknown keyword {}; there are {}", quoted(word), words.join(", "))
            }
            (ambiguous, _) => ambiguous.to_string(),
        }
    });
    let full = full.map_err(Refusal::Misuse)?;
    later_words(context.kind)
        .find(|later| later.word == full)
        .ok_or_else(|| Refusal::misuse(format!("unknown keyword `{full}`")))
}

fn read_field(line: &mut Line<'_>, position: usize, keyword: &'static Keyword, fields: &mut Fields) {
    let word = keyword.spoken();
    let place = line.place(position);
    let mut values = Vec::new();
    while values.len() < keyword.value.words()
        && let Some(value) = line.next()
    {
        values.push(value);
    }
    let value = if values.len() < keyword.value.words() {
        Err(Refusal::misuse(format!("{}, and nothing follows", keyword.value.description())))
    } else if fields.get(keyword.word).is_some() {
        return line.refuse(position, Refusal::misuse(format!("`{word}` is said twice")));
    } else {
        keyword.value.read_word(&values.join(" "))
    };
    let value = value.unwrap_or_else(|refusal| {
        line.refuse(position + 1, refusal.after(&format!("`{word}` is ")));
        Value::Faulty
    });
    fields.put(Field { keyword, value, place });
}

fn read_later(line: &mut Line<'_>, position: usize, later: &Later) {
    let value = line.next().unwrap_or_default();
    if later.is_harmless(value) {
        line.note(format!("`{}` has no effect: {}", later.word, later.sentence));
    } else {
        let message = format!("`{}` belongs to a later version: {}", later.word, later.sentence);
        line.refuse(position, Refusal::Refused(message));
    }
}

/// After an unknown word, on to the next known one: what is between was probably its value.
fn skip(line: &mut Line<'_>, context: Context) {
    let spoken: Vec<&'static str> = context.kind.schema().keywords.iter().map(Keyword::spoken).collect();
    let later: Vec<&'static str> = later_words(context.kind).map(|later| later.word).collect();
    // What `known` says of a word, without looking for what may have been meant: a line may have ten thousand words.
    let is_known = |word: &str| match full_word(word, &spoken) {
        Ok(full) => usable(full, context).is_ok(),
        Err(begun) => begun.is_empty() && full_word(word, &later).is_ok(),
    };
    while line.peek().is_some_and(|word| !is_known(word)) {
        line.next();
    }
}

/// The words that may stand here.
fn words_of(context: Context) -> Vec<&'static str> {
    let fits = |keyword: &&Keyword| keyword.usage == Usage::Set || (context.adding && keyword.usage == Usage::Add);
    context.kind.schema().keywords.iter().filter(fits).map(Keyword::spoken).collect()
}

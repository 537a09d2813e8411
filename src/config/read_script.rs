//! Scripts of dscontrol commands into a document.

use std::sync::Arc;

use super::change::{Parsed, parse_words};
use super::document::Draft;
use super::fault::{Fault, Place, quoted};
use super::words::{Word, split};

/// Reads a script into the draft, line by line; what is wrong is left out and reported.
pub(super) fn read(text: &str, file: &str, draft: &mut Draft) {
    let file: Arc<str> = file.into();
    let mut touched = 0;
    for (number, line) in (1..).zip(text.split('\n')) {
        let place = |column| Place { file: file.clone(), line: number, column };
        match split(line.strip_suffix('\r').unwrap_or(line)) {
            Ok(words) => touched += read_line(&words, &place, draft),
            Err(fault) => draft.faults.add(Some(&place(fault.column)), fault.message),
        }
        if draft.faults.is_full() {
            return draft.faults.add(Some(&place(1)), "the rest of the file was not read");
        }
        if touched > MAX_TOUCHED {
            return draft.faults.add(Some(&place(1)), touches_too_much());
        }
    }
}

/// What is said of the line where reading ended, because commands mean too many objects.
pub(super) fn touches_too_much() -> String {
    format!("commands up to here touch more than {MAX_TOUCHED} objects; the rest was not read")
}

/// Objects that all commands of a script add and change, counted each time. One line may mean all servers there are, so a few
/// thousand such lines would keep us busy for minutes; a site of the most servers has eight lines for each.
const MAX_TOUCHED: usize = 8 * crate::model::MAX_SERVERS;

/// How many objects the line touched.
fn read_line(words: &[Word], place: &impl Fn(u32) -> Place, draft: &mut Draft) -> usize {
    let is_own_name =
        |word: &&Word| word.text.eq_ignore_ascii_case("dscontrol") || word.text.eq_ignore_ascii_case("ndcontrol");
    let words = words.split_first().filter(|(first, _)| is_own_name(first)).map_or(words, |(_, rest)| rest);
    let Some(first) = words.first() else { return 0 };
    let texts: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let places: Vec<Place> = words.iter().map(|word| place(word.column)).collect();
    let Parsed { change, faults } = parse_words(&texts, &places);
    if change.is_none() && faults.is_empty() {
        let message = format!("{} changes nothing, so it has no place in a configuration", quoted(&first_two(&texts)));
        draft.faults.add(Some(&place(first.column)), message);
    }
    draft.faults.extend(faults.into_iter().map(|(place, refusal)| Fault { place, message: refusal.to_string() }));
    let Some(change) = change else { return 0 };
    for note in change.notes() {
        draft.document.note(Fault { place: change.place().cloned(), message: note.clone() });
    }
    match draft.document.apply(&change) {
        Ok(touched) => touched.0.len(),
        Err(refusal) => {
            draft.faults.add(change.place(), refusal.message());
            0
        }
    }
}

fn first_two(words: &[String]) -> String {
    words.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" ")
}

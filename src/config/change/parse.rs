//! Words into a change, with all faults of the line.

use super::verbs::dispatch;
use super::{Change, Deed};
use crate::config::Refusal;
use crate::config::fault::{Place, quoted};
use crate::config::operand::Operand;
use crate::config::schema::{COMMANDS, later_object, unabbreviate};

/// What a line of words turned out to be.
pub(in crate::config) struct Parsed {
    /// `None`: nothing that changes configuration, or too faulty. With faults: what is left of it without them.
    pub change: Option<Change>,
    pub faults: Vec<(Option<Place>, Refusal)>,
}

/// Reads words. `places` are theirs where they stand in a file, else empty.
pub(in crate::config) fn parse_words(words: &[String], places: &[Place]) -> Parsed {
    let mut line = Line { words, places, at: 0, operand: 0, notes: Vec::new(), faults: Vec::new() };
    let deed = match command(&mut line) {
        Ok(deed) => deed,
        Err(refusal) => {
            line.refuse(line.at.saturating_sub(1), refusal);
            None
        }
    };
    line.nothing_more(deed.is_some());
    let change = deed.map(|deed| Change { deed, notes: line.notes, place: places.get(line.operand).cloned() });
    Parsed { change, faults: line.faults }
}

/// The words of a command, read one after the other.
pub(super) struct Line<'w> {
    words: &'w [String],
    places: &'w [Place],
    /// The next word.
    at: usize,
    /// The word that names the objects, where there is one.
    operand: usize,
    notes: Vec<String>,
    faults: Vec<(Option<Place>, Refusal)>,
}

impl<'w> Line<'w> {
    pub fn next(&mut self) -> Option<&'w str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    pub fn peek(&self) -> Option<&'w str> {
        self.words.get(self.at).map(String::as_str)
    }

    /// The next word, which must be there.
    pub fn need(&mut self, form: &str) -> Result<&'w str, Refusal> {
        self.next().ok_or_else(|| Refusal::misuse(format!("the command is not complete: {form}")))
    }

    /// The next word as the operand of the command.
    pub fn operand(&mut self, depth: usize, form: &str) -> Result<Operand, Refusal> {
        let text = self.operand_word(form)?;
        Operand::parse(text, depth)
    }

    /// The next word, which says what the command is about.
    pub fn operand_word(&mut self, form: &str) -> Result<&'w str, Refusal> {
        let word = self.need(form)?;
        self.operand = self.at.saturating_sub(1);
        Ok(word)
    }

    /// Where the next word is.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn place(&self, position: usize) -> Option<Place> {
        self.places.get(position).or(self.places.last()).cloned()
    }

    pub fn refuse(&mut self, position: usize, refusal: Refusal) {
        let place = self.place(position);
        self.faults.push((place, refusal));
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// A command that changes nothing and is accepted all the same.
    pub fn nothing(&mut self, sentence: &str) -> Option<Deed> {
        self.at = self.words.len();
        self.note(sentence.to_owned());
        Some(Deed::Nothing { words: self.words.to_vec() })
    }

    fn nothing_more(&mut self, is_change: bool) {
        if let (Some(word), true, true) = (self.peek(), is_change, self.faults.is_empty()) {
            self.refuse(self.at, Refusal::misuse(format!("{} is one word too many", quoted(word))));
        }
    }
}

/// `None`: a command that changes no configuration.
fn command(line: &mut Line<'_>) -> Result<Option<Deed>, Refusal> {
    let Some(word) = line.next() else { return Ok(None) };
    let objects: Vec<&'static str> = COMMANDS.iter().map(|command| command.object).collect();
    let object = unabbreviate(word, &objects).map_err(|fault| Refusal::misuse(fault.to_string()))?;
    if let Some(sentence) = later_object(object) {
        return Err(Refusal::refused(format!("`{object}` belongs to a later version: {sentence}")));
    }
    let verbs = COMMANDS.iter().find(|command| command.object == object).map_or(&[][..], |command| command.verbs);
    if verbs.is_empty() {
        return dispatch(line, object, "");
    }
    let form = format!("{object} is followed by {}", verbs.join(", "));
    let verb = unabbreviate(line.need(&form)?, verbs).map_err(|fault| Refusal::misuse(format!("{object}: {fault}")))?;
    dispatch(line, object, verb)
}

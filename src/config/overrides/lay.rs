//! Laying overrides over a file.

use super::Entry;
use crate::config::Document;
use crate::config::edit;
use crate::config::object::{Field, Path};
use crate::config::schema::Kind;
use crate::config::value::Value;

/// The file with the overrides that it bears, and the names of the others.
pub(super) fn over(entries: &[Entry], file: &Document) -> (Document, Vec<String>) {
    let mut document = file.clone();
    let mut dropped = Vec::new();
    for entry in entries {
        if let Err(reason) = lay(entry, file, &mut document) {
            dropped.push(reason);
        }
    }
    // Seldom: together they are wrong while the file alone is right, as when an added rule names a server that left the file.
    if document.resolve().is_err() && file.resolve().is_ok() {
        return Sorting { file, document: file.clone(), dropped: Vec::new(), trials: 0 }.sort(entries);
    }
    (document, dropped)
}

/// Finding those overrides that make a right file wrong.
struct Sorting<'f> {
    file: &'f Document,
    document: Document,
    dropped: Vec<String>,
    trials: usize,
}

impl Sorting<'_> {
    fn sort(mut self, entries: &[Entry]) -> (Document, Vec<String>) {
        self.keep(entries);
        (self.document, self.dropped)
    }

    /// Keeps all, or else looks for the wrong ones in either half: few are wrong as a rule, and each trial is a resolve.
    fn keep(&mut self, entries: &[Entry]) {
        let mut next = self.document.clone();
        let reasons: Vec<String> = entries.iter().filter_map(|entry| lay(entry, self.file, &mut next).err()).collect();
        self.trials += 1;
        let Err(faults) = next.resolve() else {
            self.document = next;
            return self.dropped.extend(reasons);
        };
        let (first, rest) = entries.split_at(entries.len() / 2);
        if first.is_empty() || self.trials >= MAX_TRIALS {
            let fault = faults.iter().next().map(|fault| fault.message.clone()).unwrap_or_default();
            return self.dropped.extend(entries.iter().map(|entry| format!("{}: {fault}", name(entry))));
        }
        self.keep(first);
        self.keep(rest);
    }
}

/// Lays one override, or says why it gives way. What the file says by now anyway is done without a word.
fn lay(entry: &Entry, file: &Document, document: &mut Document) -> Result<(), String> {
    let because = |reason: &str| Err(format!("{}: {reason}", name(entry)));
    match entry {
        Entry::Field { path, word, was, now } => {
            let object = file.root.at(path);
            if object.is_none() && !path.kind().is_some_and(Kind::is_single) {
                return because("the file no longer has it");
            }
            let says = object.and_then(|object| object.fields.value(word));
            if says == now.as_ref() {
                return Ok(());
            }
            if says != was.as_ref() {
                return because(&format!("the file now says {}", shown(path, word, says)));
            }
            set(document, path, word, now.as_ref());
        }
        Entry::Added { path, object } => match file.root.at(path) {
            Some(there) if *there == **object => {}
            Some(_) => return because("the file has it now, and otherwise"),
            None if !is_there(document, &path.parent()) => {
                return because("the file no longer has what it was added to");
            }
            None => edit::insert(document.root_mut(), path, (**object).clone()),
        },
        Entry::Removed { path, was } => match file.root.at(path) {
            Some(there) if *there == **was => edit::remove(document.root_mut(), path),
            Some(_) => return because("the file changed it"),
            None => {}
        },
    }
    Ok(())
}

/// Whether something can be added there. The single objects come with what is within them.
fn is_there(document: &Document, parent: &Path) -> bool {
    document.root.at(parent).is_some() || parent.kind().is_some_and(Kind::is_single)
}

fn set(document: &mut Document, path: &Path, word: &str, now: Option<&Value>) {
    let keyword = path.kind().and_then(|kind| kind.keyword(word));
    match (keyword, now) {
        (Some(keyword), Some(value)) => {
            edit::set_field(document.root_mut(), path, Field { keyword, value: value.clone(), place: None });
        }
        _ => edit::unset_field(document.root_mut(), path, word),
    }
}

/// How an override is named to people.
fn name(entry: &Entry) -> String {
    match entry {
        Entry::Field { path, word, now, .. } => {
            format!("{} {word} {}", called(path), shown(path, word, now.as_ref()))
        }
        Entry::Added { path, .. } => format!("{} added", called(path)),
        Entry::Removed { path, .. } => format!("{} removed", called(path)),
    }
}

fn called(path: &Path) -> String {
    let kind = path.kind().map_or("", Kind::word);
    if path.kind().is_some_and(Kind::is_single) { kind.to_owned() } else { format!("{kind} {path}") }
}

fn shown(path: &Path, word: &str, value: Option<&Value>) -> String {
    let keyword = path.kind().and_then(|kind| kind.keyword(word));
    match (keyword, value) {
        (Some(keyword), Some(value)) => keyword.value.show(value),
        _ => "nothing of it".to_owned(),
    }
}

/// Resolves that sorting may take, a second or so of a large site. After that, what is not right together is dropped together.
const MAX_TRIALS: usize = 128;

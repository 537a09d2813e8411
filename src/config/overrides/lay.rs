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
    // Seldom: together they are wrong while the file alone is right, as when an added rule names a server that left the
    // file. Then each is tried by itself, which costs a resolve apiece.
    if document.resolve().is_err() && file.resolve().is_ok() {
        return one_by_one(entries, file);
    }
    (document, dropped)
}

fn one_by_one(entries: &[Entry], file: &Document) -> (Document, Vec<String>) {
    let mut document = file.clone();
    let mut dropped = Vec::new();
    for entry in entries {
        let mut next = document.clone();
        if let Err(reason) = lay(entry, file, &mut next) {
            dropped.push(reason);
            continue;
        }
        match next.resolve() {
            Ok(_) => document = next,
            Err(faults) => {
                let first = faults.iter().next().map(|fault| fault.message.clone()).unwrap_or_default();
                dropped.push(format!("{}: {first}", name(entry)));
            }
        }
    }
    (document, dropped)
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
            None if document.root.at(&path.parent()).is_none() => {
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

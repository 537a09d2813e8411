//! What differs between two trees.

use std::path::Path as FilePath;
use std::sync::Arc;

use super::Entry;
use crate::config::edit::default_of;
use crate::config::object::{Field, Key, Object, Path};
use crate::config::schema::{INHERITED, Kind, OBJECTS, ValueKind};
use crate::config::value::Value;

/// Adds the differences of two objects at one path and of all within. Servers come before the rules that use them.
pub(super) fn collect(path: &Path, file: &Arc<Object>, effective: &Arc<Object>, entries: &mut Vec<Entry>) {
    if Arc::ptr_eq(file, effective) {
        return;
    }
    fields(path, file, effective, entries);
    for kind in OBJECTS.iter().map(|schema| schema.kind) {
        for (key, was) in file.children().filter(|(key, _)| key.kind == kind) {
            child(path, key, was, effective, entries);
        }
        for (key, object) in effective.children().filter(|(key, _)| key.kind == kind) {
            if file.child(key).is_none() {
                added(&path.join(key.clone()), object, entries);
            }
        }
    }
}

fn child(path: &Path, key: &Key, was: &Arc<Object>, effective: &Object, entries: &mut Vec<Entry>) {
    let path = path.join(key.clone());
    match effective.child(key) {
        Some(now) => collect(&path, was, now, entries),
        // The single objects are there as long as a field of them is set.
        None if key.kind.is_single() => collect(&path, was, &Arc::default(), entries),
        None => entries.push(Entry::Removed { path, was: was.clone() }),
    }
}

fn added(path: &Path, object: &Arc<Object>, entries: &mut Vec<Entry>) {
    if path.kind().is_some_and(Kind::is_single) {
        return collect(path, &Arc::default(), object, entries);
    }
    entries.push(Entry::Added { path: path.clone(), object: Arc::new(rooted(object)) });
}

fn fields(path: &Path, file: &Object, effective: &Object, entries: &mut Vec<Entry>) {
    let (Some(kind), Some((_, key))) = (path.kind(), path.split()) else { return };
    for keyword in kind.schema().keywords {
        let (was, now) = (file.fields.get(keyword.word), effective.fields.get(keyword.word));
        if was != now && !is_default(key, was, now) {
            let was = was.map(|field| field.value.clone());
            let now = now.map(|field| rooted_field(field).value);
            entries.push(Entry::Field { path: path.clone(), word: keyword.word, was, now });
        }
    }
}

/// Whether one says with its word what the other says by its silence. A field that is handed down is another matter: there
/// its own word keeps the giver's out.
fn is_default(key: &Key, was: Option<&Field>, now: Option<&Field>) -> bool {
    let ((Some(said), None) | (None, Some(said))) = (was, now) else { return false };
    let word = said.keyword.word;
    !INHERITED.contains(&word) && default_of(key, word).is_some_and(|default| default == said.value)
}

/// An object whose relative paths start at the root.
fn rooted(object: &Object) -> Object {
    let mut rooted = object.clone();
    for field in
        object.fields.iter().filter(|field| matches!(field.keyword.value, ValueKind::Path | ValueKind::PathOrOff))
    {
        rooted.fields.set(rooted_field(field));
    }
    for (key, child) in object.children() {
        rooted.put(key.clone(), Arc::new(self::rooted(child)));
    }
    rooted
}

/// The place that a relative path starts from is not kept, so the path is completed.
fn rooted_field(field: &Field) -> Field {
    let directory = field.place.as_ref().and_then(|place| FilePath::new(&*place.file).parent());
    let (ValueKind::Path | ValueKind::PathOrOff, Value::Text(path), Some(directory)) =
        (field.keyword.value, &field.value, directory)
    else {
        return field.clone();
    };
    if path.is_empty() {
        return field.clone();
    }
    Field { value: Value::text(&directory.join(&**path).to_string_lossy()), ..field.clone() }
}

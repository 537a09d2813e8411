//! Overrides as TOML: one `[[override]]` for each difference. Values are spelled as in commands, objects are scripts.

use std::fmt::Write;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Entry;
use crate::config::change::{AdvisorOperand, Deed, advisor_kind};
use crate::config::edit;
use crate::config::fault::{Collector, quoted};
use crate::config::lines::Lines;
use crate::config::object::{Fields, Key, Object, Path};
use crate::config::operand::Operand;
use crate::config::print_script::object_changes;
use crate::config::print_toml::string;
use crate::config::schema::{Kind, OBJECTS};
use crate::config::value::Value;
use crate::config::{Change, Document, Faults, split_words};

pub(super) fn print(entries: &[Entry]) -> String {
    let mut out = String::from("# Kept by tsuji: what operators changed on top of the configuration file.\n");
    for entry in entries {
        let (path, change) = match entry {
            Entry::Field { path, .. } => (path, "field"),
            Entry::Added { path, .. } => (path, "added"),
            Entry::Removed { path, .. } => (path, "removed"),
        };
        let _ = writeln!(out, "\n[[override]]\nchange = {}", string(change));
        let kind = path.kind().map_or("", Kind::word);
        let _ = writeln!(out, "object = {}\noperand = {}", string(kind), string(&path.to_string()));
        match entry {
            Entry::Field { path, word, was, now } => print_field(&mut out, path, word, [("was", was), ("now", now)]),
            Entry::Added { path, object } | Entry::Removed { path, was: object } => {
                print_object(&mut out, path, object)
            }
        }
    }
    out
}

fn print_field(out: &mut String, path: &Path, word: &str, values: [(&str, &Option<Value>); 2]) {
    let _ = writeln!(out, "keyword = {}", string(word));
    let Some(keyword) = path.kind().and_then(|kind| kind.keyword(word)) else { return };
    for (side, value) in values {
        if let Some(value) = value {
            let _ = writeln!(out, "{side} = {}", string(&keyword.value.show(value)));
        }
    }
}

fn print_object(out: &mut String, path: &Path, object: &Object) {
    let mut changes = Vec::new();
    object_changes(path, object, None, &mut changes);
    let lines: String = changes.iter().map(|change| format!("  {},\n", string(&change.to_string()))).collect();
    let _ = writeln!(out, "script = [\n{lines}]");
}

pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Faults> {
    let mut faults = Collector::default();
    if text.len() > MAX_TEXT {
        faults.add(None, format!("the overrides are larger than {} MiB", MAX_TEXT >> 20));
        return faults.settle(Vec::new());
    }
    let lines = Lines::new(text, "overrides");
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let place = lines.place(error.span().map_or(0, |span| span.start));
            faults.add(Some(&place), error.message());
            return faults.settle(Vec::new());
        }
    };
    let mut entries = Vec::new();
    for table in tables(&table, &lines, &mut faults) {
        match read_entry(table.get_ref()) {
            Ok(entry) => entries.push(entry),
            Err(message) => faults.add(Some(&lines.place(table.span().start)), message),
        }
    }
    faults.settle(entries)
}

fn tables<'t, 'i>(table: &'t DeTable<'i>, lines: &Lines<'_>, faults: &mut Collector) -> Vec<&'t Spanned<DeValue<'i>>> {
    let mut found = Vec::new();
    for (key, value) in table {
        match (&**key.get_ref(), value.get_ref()) {
            ("override", DeValue::Array(items)) => found.extend(items.iter()),
            (word, _) => faults.add(Some(&lines.place(key.span().start)), format!("unknown key {}", quoted(word))),
        }
    }
    found
}

fn read_entry(value: &DeValue<'_>) -> Result<Entry, String> {
    let DeValue::Table(table) = value else { return Err("an override is a table".to_owned()) };
    let path = read_path(text(table, "object")?, text(table, "operand")?)?;
    match text(table, "change")? {
        "field" => read_field(table, path),
        "added" => read_object(table, &path).map(|object| Entry::Added { path, object }),
        "removed" => read_object(table, &path).map(|was| Entry::Removed { path, was }),
        other => Err(format!("`change` is one of field, added, removed, not {}", quoted(other))),
    }
}

fn text<'t>(table: &'t DeTable<'_>, word: &str) -> Result<&'t str, String> {
    optional(table, word)?.ok_or_else(|| format!("this override has no `{word}`"))
}

fn optional<'t>(table: &'t DeTable<'_>, word: &str) -> Result<Option<&'t str>, String> {
    match table.get(word).map(Spanned::get_ref) {
        None => Ok(None),
        Some(DeValue::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{word}` is a text")),
    }
}

fn read_path(object: &str, operand: &str) -> Result<Path, String> {
    let schema = OBJECTS.iter().find(|schema| schema.word == object);
    let kind = schema.map(|schema| schema.kind).ok_or_else(|| format!("no object is called {}", quoted(object)))?;
    let not_one = || format!("{} is not the operand of one {object}", quoted(operand));
    let path = match kind {
        kind if kind.is_single() => Some(Path::of([Key::only(kind)])),
        Kind::Advisor => advisor_path(operand),
        Kind::Heartbeat => heartbeat_path(operand),
        _ => object_path(kind, operand),
    };
    path.ok_or_else(not_one)
}

fn advisor_path(operand: &str) -> Option<Path> {
    let (name, scope) = operand.split_once(' ')?;
    let operand = AdvisorOperand::new(advisor_kind(name).ok()?, scope).ok()?;
    only(operand.vacant(&Object::default()).ok()?)
}

fn heartbeat_path(operand: &str) -> Option<Path> {
    let (source, destination) = operand.split_once(' ')?;
    let key = Key::heartbeat(source.parse().ok()?, destination.parse().ok()?);
    Some(Path::of([Key::only(Kind::HighAvailability), key]))
}

fn object_path(kind: Kind, operand: &str) -> Option<Path> {
    let depth = match kind {
        Kind::Cluster => 1,
        Kind::Port => 2,
        _ => 3,
    };
    let levels = Operand::parse(operand, depth).ok()?.levels(kind);
    let keys: Option<Vec<Key>> = levels.into_iter().map(|(_, keys)| only(keys?)).collect();
    keys.map(Path)
}

fn only<T>(items: Vec<T>) -> Option<T> {
    let mut items = items.into_iter();
    items.next().filter(|_| items.next().is_none())
}

fn read_field(table: &DeTable<'_>, path: Path) -> Result<Entry, String> {
    let word = text(table, "keyword")?;
    let keyword =
        path.kind().and_then(|kind| kind.keyword(word)).ok_or_else(|| format!("unknown keyword {}", quoted(word)))?;
    let value = |side: &str| -> Result<Option<Value>, String> {
        let Some(shown) = optional(table, side)? else { return Ok(None) };
        let words = split_words(shown).map_err(|refusal| refusal.to_string())?;
        let value = keyword.value.read_word(&words.join(" "));
        value.map(Some).map_err(|refusal| format!("`{}` is {refusal}", keyword.word))
    };
    Ok(Entry::Field { word: keyword.word, was: value("was")?, now: value("now")?, path })
}

/// Runs the script in an empty document in which the object's parents stand.
fn read_object(table: &DeTable<'_>, path: &Path) -> Result<Arc<Object>, String> {
    let Some(DeValue::Array(lines)) = table.get("script").map(Spanned::get_ref) else {
        return Err("this override has no `script`".to_owned());
    };
    let mut document = Document::default();
    for depth in 1..path.0.len() {
        let parent = Path(path.0.iter().take(depth).cloned().collect());
        edit::insert(document.root_mut(), &parent, Object::new(None, Fields::default()));
    }
    for line in lines.iter() {
        let DeValue::String(line) = line.get_ref() else { return Err("`script` is a list of texts".to_owned()) };
        run(line, path, &mut document)?;
    }
    let object = edit::take(document.root_mut(), path);
    object.ok_or_else(|| format!("the script does not make {}", quoted(&path.to_string())))
}

fn run(line: &str, path: &Path, document: &mut Document) -> Result<(), String> {
    let words = split_words(line).map_err(|refusal| refusal.to_string())?;
    let words = words.split_first().map_or(&[][..], |(_, words)| words);
    let change = Change::parse(words).map_err(|refusal| refusal.to_string())?;
    let change = change.ok_or_else(|| format!("{} changes nothing", quoted(line)))?;
    if let (Some(Kind::Rule), Deed::UseServers { servers, .. }) = (path.kind(), &change.deed) {
        // A rule by itself uses servers that stand beside it in the whole document.
        for server in servers {
            let beside = path.parent().join(Key::named(Kind::Server, server.clone()));
            edit::insert(document.root_mut(), &beside, Object::new(None, Fields::default()));
        }
    }
    document.apply(&change).map(|_| ()).map_err(|refusal| refusal.to_string())
}

/// Bytes: a file in which everything was changed, with what it was and what it is.
const MAX_TEXT: usize = 16 << 20;

//! TOML into a document, by the schema, with the place of each key.

use std::collections::{HashMap, HashSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::Draft;
use super::fault::{Fault, Place, proposal, quoted};
use super::lines::Lines;
use super::object::{Field, Fields, Key, Object, Path};
use super::schema::{Keyword, Kind, OBJECTS, Usage, later, later_object};
use super::toml_value::{as_text, read_value};
use super::value::Value;
use super::words::MAX_LINE;
use super::{edit, identity};

/// Reads TOML into the draft; what is wrong is left out and reported.
pub(super) fn read(text: &str, file: &str, draft: &mut Draft) {
    let lines = Lines::new(text, file);
    if let Some(place) = lines.longer_than(MAX_LINE) {
        draft.garbled = true;
        return draft.faults.add(Some(&place), format!("the line is longer than {} KiB", MAX_LINE / 1024));
    }
    let (table, errors) = parse(text);
    draft.garbled |= !errors.is_empty();
    let mut broken = HashSet::new();
    for error in errors {
        let place = lines.place(error.span().map_or(0, |span| span.start));
        draft.faults.add(Some(&place), error.message());
        broken.insert(place.line);
    }
    Reader { lines, draft, broken, seen: HashMap::new() }.root(&table);
}

/// All syntax errors of a text. A large one is reported by its first error only, because each error costs memory and
/// garbage has one per byte.
fn parse(text: &str) -> (DeTable<'_>, Vec<toml::de::Error>) {
    if text.len() <= MAX_RECOVERED {
        let (table, errors) = DeTable::parse_recoverable(text);
        return (table.into_inner(), errors);
    }
    match DeTable::parse(text) {
        Ok(table) => (table.into_inner(), Vec::new()),
        Err(error) => (DeTable::default(), vec![error]),
    }
}

struct Reader<'a> {
    lines: Lines<'a>,
    draft: &'a mut Draft,
    /// Lines with a syntax error; what the parser made up there is not reported again.
    broken: HashSet<u32>,
    /// Objects of this file.
    seen: HashMap<Path, Place>,
}

type Entry<'t, 'i> = (&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

/// One table as far as it could be understood.
struct Reading<'t, 'i> {
    place: Place,
    fields: Fields,
    /// Words of the object's name, in the order of the schema.
    identity: Vec<(&'static Keyword, Value)>,
    children: Vec<(Kind, Entry<'t, 'i>)>,
}

impl Reader<'_> {
    /// The single objects come first, because clusters inherit from the executor wherever it stands in the file.
    fn root(&mut self, table: &DeTable<'_>) {
        let kinds: Vec<(Option<Kind>, Entry<'_, '_>)> =
            table.iter().map(|(key, value)| (root_kind(key.get_ref()), (key, value))).collect();
        for (kind, entry) in &kinds {
            match kind {
                Some(kind) if kind.is_single() => self.single(*kind, *entry),
                Some(_) => {}
                None => self.unknown_table(*entry),
            }
        }
        for (kind, entry) in kinds {
            if let Some(kind) = kind.filter(|kind| !kind.is_single()) {
                self.list(kind, entry, Some(&Path::default()));
            }
        }
    }

    fn unknown_table(&mut self, (key, _): Entry<'_, '_>) {
        let word = key.get_ref();
        let within = OBJECTS.iter().find(|schema| schema.word == &**word);
        let message = match (within, later_object(word)) {
            (Some(schema), _) => {
                let outer = if schema.kind == Kind::Heartbeat { "highavailability" } else { "a cluster" };
                format!("{} belongs within {outer}: write {}", quoted(word), heading(schema.kind))
            }
            (None, Some(sentence)) => format!("{} belongs to a later version: {sentence}", quoted(word)),
            (None, None) => {
                let known = OBJECTS.iter().map(|schema| schema.word).filter(|word| root_kind(word).is_some());
                format!("unknown key {}{}", quoted(word), self.proposal(word, known))
            }
        };
        self.fault(key.span().start, message);
    }

    fn single(&mut self, kind: Kind, (key, value): Entry<'_, '_>) {
        let DeValue::Table(table) = value.get_ref() else {
            return self.fault(key.span().start, format!("`{0}` is a table: write [{0}]", kind.word()));
        };
        let reading = self.table(kind, table, key.span().start);
        let path = Path::of([Key::only(kind)]);
        for field in reading.fields.iter() {
            edit::set_field(self.draft.document.root_mut(), &path, field.clone());
        }
        for (kind, entry) in reading.children {
            self.list(kind, entry, Some(&path));
        }
    }

    /// A list of tables. Without a parent (whose name was faulty) the tables are only checked.
    fn list(&mut self, kind: Kind, (key, value): Entry<'_, '_>, parent: Option<&Path>) {
        let DeValue::Array(tables) = value.get_ref() else {
            let message = format!("there may be several of `{}`: write {}", kind.word(), heading(kind));
            return self.fault(key.span().start, message);
        };
        for table in tables.iter() {
            match table.get_ref() {
                DeValue::Table(fields) => self.object(kind, fields, table.span().start, parent),
                _ => self.fault(table.span().start, format!("`{0}` is a table: write {1}", kind.word(), heading(kind))),
            }
        }
    }

    fn object(&mut self, kind: Kind, table: &DeTable<'_>, offset: usize, parent: Option<&Path>) {
        let reading = self.table(kind, table, offset);
        let key = self.key(kind, &reading);
        let path =
            parent.zip(key).map(|(parent, key)| parent.join(key)).filter(|path| self.is_new(path, &reading.place));
        if let Some(path) = &path {
            self.keep(path, reading.place, reading.fields);
        }
        for (kind, entry) in reading.children {
            self.list(kind, entry, path.as_ref());
        }
    }

    fn key(&mut self, kind: Kind, reading: &Reading<'_, '_>) -> Option<Key> {
        let key = identity::key(kind, |word| {
            reading.identity.iter().find(|(keyword, _)| keyword.word == word).map(|(_, value)| value)
        });
        match key {
            Ok(key) => Some(key),
            Err(Some(missing)) => {
                self.fault_at(&reading.place, format!("this {} has no `{missing}`", kind.word()));
                None
            }
            Err(None) => None,
        }
    }

    fn is_new(&mut self, path: &Path, place: &Place) -> bool {
        let Some(earlier) = self.seen.insert(path.clone(), place.clone()) else { return true };
        let kind = path.kind().map_or("", Kind::word);
        self.fault_at(place, format!("{kind} {} is already there, at {earlier}", quoted(&path.to_string())));
        false
    }

    /// On top of another document, an object that is there takes the fields; a new one is made of them.
    fn keep(&mut self, path: &Path, place: Place, fields: Fields) {
        let root = self.draft.document.root_mut();
        if root.at(path).is_none() {
            return edit::insert(root, path, Object::new(Some(place), fields));
        }
        for field in fields.iter() {
            edit::set_field(root, path, field.clone());
        }
    }

    fn table<'t, 'i>(&mut self, kind: Kind, table: &'t DeTable<'i>, offset: usize) -> Reading<'t, 'i> {
        let place = self.lines.place(offset);
        let mut reading = Reading { place, fields: Fields::default(), identity: Vec::new(), children: Vec::new() };
        for entry in table.iter() {
            let word: &str = entry.0.get_ref();
            if let Some(keyword) = kind.keyword(word) {
                self.field(keyword, entry, &mut reading);
            } else if let Some(child) = kind.schema().children.iter().find(|child| child.word() == word) {
                reading.children.push((*child, entry));
            } else {
                self.other_word(kind, entry);
            }
        }
        reading
    }

    fn field(&mut self, keyword: &'static Keyword, (key, value): Entry<'_, '_>, reading: &mut Reading<'_, '_>) {
        let read = read_value(keyword.value, value.get_ref()).unwrap_or_else(|refusal| {
            self.fault(value.span().start, format!("`{}` is {refusal}", keyword.word));
            Value::Faulty
        });
        if keyword.usage == Usage::Identity {
            reading.identity.push((keyword, read));
        } else {
            let place = Some(self.lines.place(key.span().start));
            reading.fields.set(Field { keyword, value: read, place });
        }
    }

    /// A word of a later version, or none of ours.
    fn other_word(&mut self, kind: Kind, (key, value): Entry<'_, '_>) {
        let word = key.get_ref();
        let place = self.lines.place(key.span().start);
        match later(kind, word) {
            Some(known) if known.is_harmless(&as_text(value.get_ref())) => {
                let message = format!("`{}` has no effect: {}", known.word, known.sentence);
                self.draft.document.note(Fault { place: Some(place), message });
            }
            Some(known) => {
                self.fault_at(&place, format!("`{}` belongs to a later version: {}", known.word, known.sentence));
            }
            None => {
                let keywords = kind.schema().keywords.iter().map(|keyword| keyword.word);
                let words = keywords.chain(kind.schema().children.iter().map(|child| child.word()));
                self.fault_at(&place, format!("unknown key {}{}", quoted(word), self.proposal(word, words)));
            }
        }
    }

    /// What may have been meant, as long as faults are told and not only counted: looking for it takes the time of a hundred keys.
    fn proposal<'a>(&self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
        if self.draft.faults.is_full() { String::new() } else { proposal(word, candidates) }
    }

    fn fault(&mut self, offset: usize, message: String) {
        let place = self.lines.place(offset);
        self.fault_at(&place, message);
    }

    fn fault_at(&mut self, place: &Place, message: String) {
        if !self.broken.contains(&place.line) {
            self.draft.faults.add(Some(place), message);
        }
    }
}

/// The kind that a word at the top of the file means.
fn root_kind(word: &str) -> Option<Kind> {
    let schema = OBJECTS.iter().find(|schema| schema.word == word)?;
    let is_within = OBJECTS.iter().any(|parent| parent.children.contains(&schema.kind));
    (!is_within).then_some(schema.kind)
}

/// The heading of an object that may be there several times.
pub(super) fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Port => "[[cluster.port]]",
        Kind::Server => "[[cluster.port.server]]",
        Kind::Group => "[[cluster.port.group]]",
        Kind::Route => "[[cluster.port.route]]",
        Kind::Rule => "[[cluster.port.rule]]",
        Kind::Advisor => "[[advisor]]",
        Kind::Heartbeat => "[[highavailability.heartbeat]]",
        _ => "[[cluster]]",
    }
}

/// Bytes of a text whose syntax errors are all looked for.
const MAX_RECOVERED: usize = 256 * 1024;

//! What operators changed on top of the file, told object by object.

use std::collections::HashMap;

use toml::{Table, Value};

use crate::config::Overrides;

/// Sentences about each object that differs from the file.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// By the object's kind and operand.
    sentences: HashMap<(String, String), Vec<String>>,
    count: usize,
}

impl Changes {
    /// From the text in which overrides are kept: it names each object, what it was and what it is.
    pub fn of(overrides: &Overrides) -> Self {
        let table: Table = overrides.to_text().parse().unwrap_or_default();
        let entries = table.get("override").and_then(Value::as_array).into_iter().flatten();
        let mut changes = Self::default();
        for entry in entries.filter_map(Value::as_table) {
            changes.take(entry);
        }
        changes
    }

    /// How many differences there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Of an object that operands name.
    pub fn to(&self, kind: &str, operand: &impl ToString) -> Vec<String> {
        let key = (kind.to_owned(), operand.to_string());
        self.sentences.get(&key).cloned().unwrap_or_default()
    }

    /// Of an object that is there once.
    pub fn to_only(&self, kind: &str) -> Vec<String> {
        let of_kind = self.sentences.iter().filter(|((object, _), _)| object == kind);
        of_kind.flat_map(|(_, sentences)| sentences.clone()).collect()
    }

    fn take(&mut self, entry: &Table) {
        self.count += 1;
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let (kind, operand) = (text("object").unwrap_or_default(), text("operand").unwrap_or_default());
        match text("change") {
            Some("removed") => {
                // There is nobody left to tell it of but the object that it was in.
                let (above, name) = operand.rsplit_once(separator(operand)).unwrap_or_default();
                self.tell(parent_kind(kind), above, format!("{kind} {name} removed"));
            }
            Some("added") => self.tell(kind, operand, "added".to_owned()),
            _ => {
                let value = |side: &str| text(side).unwrap_or("the default").to_owned();
                let keyword = text("keyword").unwrap_or_default();
                self.tell(kind, operand, format!("{keyword} {} (file: {})", value("now"), value("was")));
            }
        }
    }

    fn tell(&mut self, kind: &str, operand: &str, sentence: String) {
        self.sentences.entry((kind.to_owned(), operand.to_owned())).or_default().push(sentence);
    }
}

fn separator(operand: &str) -> char {
    if operand.contains('@') { '@' } else { ':' }
}

fn parent_kind(kind: &str) -> &'static str {
    match kind {
        "server" | "rule" => "port",
        "port" => "cluster",
        _ => "",
    }
}

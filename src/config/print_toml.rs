//! A document as TOML.

use std::fmt::Write;

use super::Document;
use super::object::{Field, Fields, Key, Label, Object};
use super::print_script::own_fields;
use super::read_toml::heading;
use super::schema::{Keyword, Kind, OBJECTS, Usage, ValueKind};
use super::value::{UNLIMITED, Value};

impl Document {
    /// The document as TOML: what is set, in canonical order; what is a default or inherited is left out.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        for kind in OBJECTS.iter().map(|schema| schema.kind).filter(|kind| kind.is_single()) {
            if let Some(object) = self.root.child(&Key::only(kind)) {
                head(&mut out, &format!("[{}]", kind.word()), 0);
                fields(&mut out, kind, &object.fields, 0);
                for (label, child) in object.children_of(Kind::Heartbeat) {
                    self::object(&mut out, (Kind::Heartbeat, label), child, None, 1);
                }
            }
        }
        let executor = self.root.child(&Key::only(Kind::Executor)).map(|executor| &executor.fields);
        for kind in [Kind::Cluster, Kind::Advisor] {
            for (label, child) in self.root.children_of(kind) {
                object(&mut out, (kind, label), child, executor, 0);
            }
        }
        out
    }
}

fn object(out: &mut String, (kind, label): (Kind, &Label), object: &Object, giver: Option<&Fields>, depth: usize) {
    head(out, heading(kind), depth);
    for (word, value) in identity(label) {
        let _ = writeln!(out, "{}{word} = {value}", indent(depth));
    }
    fields(out, kind, &own_fields(kind, &object.fields, giver), depth);
    for kind in [Kind::Port, Kind::Server, Kind::Group, Kind::Route, Kind::Rule] {
        for (label, child) in object.children_of(kind) {
            self::object(out, (kind, label), child, Some(&object.fields), depth + 1);
        }
    }
}

fn head(out: &mut String, heading: &str, depth: usize) {
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "{}{heading}", indent(depth));
}

fn identity(label: &Label) -> Vec<(&'static str, String)> {
    match label {
        Label::Only => Vec::new(),
        Label::Heartbeat(path) => {
            let text = |address: std::net::IpAddr| string(&address.to_string());
            vec![("source", text(path.source)), ("destination", text(path.destination))]
        }
        Label::Name(name) => vec![("name", string(name.as_str()))],
        Label::Number(number) => vec![("number", number.to_string())],
        Label::Advisor(kind, cluster, port) => {
            let cluster = cluster.as_ref().map(|cluster| ("cluster", string(cluster.as_str())));
            let name = ("name", string(kind.word()));
            [name].into_iter().chain(cluster).chain([("port", port.to_string())]).collect()
        }
    }
}

fn fields(out: &mut String, kind: Kind, fields: &Fields, depth: usize) {
    let keywords = kind.schema().keywords.iter().filter(|keyword| keyword.usage != Usage::Identity);
    for Field { keyword, value, .. } in keywords.filter_map(|keyword| fields.get(keyword.word)) {
        let _ = writeln!(out, "{}{} = {}", indent(depth), keyword.word, shown(keyword, value, depth));
    }
}

fn shown(keyword: &Keyword, value: &Value, depth: usize) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Word(word) => string(word),
        Value::Unlimited => string(UNLIMITED),
        Value::Text(text) => {
            let is_number = matches!(keyword.value, ValueKind::Bound) && text.bytes().all(|b| b.is_ascii_digit());
            if is_number { text.to_string() } else { string(text) }
        }
        Value::List(items) => list(items.iter().map(|item| string(item)).collect(), depth),
        Value::Parts(parts) => list(parts.iter().map(ToString::to_string).collect(), depth),
        Value::Whole(_) | Value::Decimal(_) | Value::Seconds(_) | Value::Faulty => value.to_string(),
    }
}

/// On one line while it is short, else an item per line.
fn list(items: Vec<String>, depth: usize) -> String {
    if items.len() <= SHORT_LIST {
        return format!("[{}]", items.join(", "));
    }
    let inner = indent(depth + 1);
    let lines: String = items.iter().map(|item| format!("{inner}{item},\n")).collect();
    format!("[\n{lines}{}]", indent(depth))
}

/// A TOML string; texts have no control characters, so two escapes are enough.
pub(super) fn string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

/// Items of a list that stands on one line.
const SHORT_LIST: usize = 8;

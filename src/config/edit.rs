//! The few ways in which a document changes. They keep its law of inheritance:
//!
//! Where the executor has an inheritable field, every cluster has it too, and where a cluster has it, every port of it. So a
//! value is copied at creation, a later `executor set` moves nothing that exists, and what is printed reads back as the same.

use std::sync::Arc;
use std::time::Duration;

use super::fault::Place;
use super::object::{Field, Fields, Key, Label, Object, Path, hands_down, inherits};
use super::schema::{INHERITED, Kind};
use super::value::Value;
use crate::model::Name;

/// Sets one field of an object that is there; the single objects (executor, manager, …) come and go with their fields.
pub(super) fn set_field(root: &mut Object, path: &Path, field: Field) {
    come_if_absent(root, path, field.place.as_ref());
    if let Some(kind) = path.kind()
        && hands_down(kind, field.keyword.word)
        && root.at(path).is_some_and(|object| object.fields.get(field.keyword.word).is_none())
    {
        keep_defaults(root, path, field.keyword.word);
    }
    if let Some(object) = root.at_mut(path) {
        object.fields.set(field);
    }
    leave_if_empty(root, path);
}

/// Unsets one field; what exists below keeps what it has.
pub(super) fn unset_field(root: &mut Object, path: &Path, word: &str) {
    if let Some(object) = root.at_mut(path) {
        object.fields.unset(word);
    }
    leave_if_empty(root, path);
}

/// The single objects are there as long as something is said of them or is within them.
fn come_if_absent(root: &mut Object, path: &Path, place: Option<&Place>) {
    let single = path.0.first().filter(|key| key.kind.is_single());
    if let Some(only) = single.filter(|only| root.child(only).is_none()) {
        root.put(only.clone(), Arc::new(Object::new(place.cloned(), Fields::default())));
    }
}

fn leave_if_empty(root: &mut Object, path: &Path) {
    let single = path.0.first().filter(|key| key.kind.is_single());
    if let Some(only) = single.filter(|only| root.child(only).is_some_and(|object| object.is_empty())) {
        root.take(only);
    }
}

/// Puts a new object in, with what it inherits; a rule gets its priority.
pub(super) fn insert(root: &mut Object, path: &Path, mut object: Object) {
    let Some((parent_path, key)) = path.split() else { return };
    come_if_absent(root, &parent_path, object.place.as_ref());
    let Some(parent) = root.at(&parent_path) else { return };
    let giver = if key.kind == Kind::Cluster { root.child(&Key::only(Kind::Executor)) } else { None };
    let giver = giver.map_or(parent, AsRef::as_ref);
    if inherits(key.kind) {
        inherit(&mut object, key.kind, &giver.fields);
    }
    if key.kind == Kind::Rule && object.fields.get("priority").is_none() {
        object.fields.set(next_priority(parent, object.place.clone()));
    }
    if let Some(parent) = root.at_mut(&parent_path) {
        parent.put(key.clone(), Arc::new(object));
    }
}

/// Takes an object out; a server leaves the rules of its port too.
pub(super) fn remove(root: &mut Object, path: &Path) {
    let Some((parent_path, key)) = path.split() else { return };
    let Some(parent) = root.at_mut(&parent_path) else { return };
    parent.take(key);
    if let (Kind::Server, Label::Name(server)) = (key.kind, &key.label) {
        leave_rules(parent, server);
    }
    leave_if_empty(root, path);
}

/// Takes an object out, to be used elsewhere.
pub(super) fn take(root: &mut Object, path: &Path) -> Option<Arc<Object>> {
    let (parent, key) = path.split()?;
    root.at_mut(&parent)?.take(key)
}

fn leave_rules(port: &mut Object, server: &Name) {
    let mentions = |rule: &Object| rule_servers(rule).any(|name| name == server.as_str());
    let keys: Vec<Key> = port
        .children()
        .filter(|(key, rule)| matches!(key.kind, Kind::Rule | Kind::Group) && mentions(rule))
        .map(|(key, _)| key.clone())
        .collect();
    for key in keys {
        let Some(rule) = port.child_mut(&key) else { continue };
        let Some(field) = rule.fields.get("servers").cloned() else { continue };
        let value = Value::list(rule_servers(rule).filter(|name| *name != server.as_str()));
        rule.fields.set(Field { value, ..field });
    }
}

/// The names in a rule's list.
pub(super) fn rule_servers(rule: &Object) -> impl Iterator<Item = &str> {
    let items = match rule.fields.value("servers") {
        Some(Value::List(items)) => items.as_ref(),
        _ => &[],
    };
    items.iter().map(AsRef::as_ref)
}

/// Copies inheritable fields that `object` lacks from its giver, and on into the objects within it.
fn inherit(object: &mut Object, kind: Kind, giver: &Fields) {
    for word in INHERITED {
        if let (Some(field), None) = (giver.get(word), object.fields.get(word)) {
            let keyword = kind.keyword(word).unwrap_or(field.keyword);
            object.fields.set(Field { keyword, ..field.clone() });
        }
    }
    let fields = object.fields.clone();
    for key in heirs(object) {
        if let Some(child) = object.child_mut(&key) {
            inherit(child, key.kind, &fields);
        }
    }
}

/// Before the executor or a cluster gets a field that it never had: what exists below keeps its default as its own.
fn keep_defaults(root: &mut Object, path: &Path, word: &str) {
    if path.kind() == Some(Kind::Executor) {
        keep_defaults_below(root, word);
    } else if let Some(cluster) = root.at_mut(path) {
        keep_defaults_below(cluster, word);
    }
}

fn keep_defaults_below(object: &mut Object, word: &str) {
    for key in heirs(object) {
        let Some(child) = object.child_mut(&key) else { continue };
        if child.fields.get(word).is_none()
            && let (Some(keyword), Some(value)) = (key.kind.keyword(word), default_of(&key, word))
        {
            child.fields.set(Field { keyword, value, place: child.place.clone() });
            keep_defaults_below(child, word);
        }
    }
}

fn heirs(object: &Object) -> Vec<Key> {
    object.children().map(|(key, _)| key).filter(|key| inherits(key.kind)).cloned().collect()
}

/// What holds for an object that has no such field of its own.
pub(super) fn default_of(key: &Key, word: &str) -> Option<Value> {
    if word == "staletimeout" {
        return Some(Value::Seconds(default_staletimeout(&key.label)));
    }
    key.kind.keyword(word)?.preset.value()
}

/// IBM's: sessions of FTP's control connection (21) and of telnet (23) are quiet for long.
pub(super) fn default_staletimeout(label: &Label) -> Duration {
    let port = if let Label::Number(port) = label { port.get() } else { 0 };
    Duration::from_secs(match port {
        21 => 900,
        23 => 32_000_000,
        _ => 300,
    })
}

/// IBM's: 1 for the first rule of a port, then the largest of them + 10.
fn next_priority(port: &Object, place: Option<Place>) -> Field {
    let priority = |rule: &Object| match rule.fields.value("priority") {
        Some(Value::Whole(priority)) => *priority,
        _ => 0,
    };
    let largest = port.children_of(Kind::Rule).map(|(_, rule)| priority(rule)).max();
    let keyword = Kind::Rule.keyword("priority").expect("rules have a priority");
    let value = Value::Whole(largest.map_or(1, |largest| (largest + 10).min(MAX_PRIORITY)));
    Field { keyword, value, place }
}

/// As the schema's range; beyond it rules share a priority, which is warned of.
const MAX_PRIORITY: u64 = 1_000_000_000;

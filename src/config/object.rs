//! What was written, as a tree: objects with a label, fields and objects within.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use indexmap::IndexMap;

use super::fault::Place;
use super::schema::{INHERITED, Keyword, Kind};
use super::value::Value;
use crate::model::{AdvisorKey, AdvisorKind, AdvisorScope, HeartbeatPath, Name, PortKey, PortNumber, ServerKey};

/// What an object is called among its siblings of one kind.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Label {
    /// There is only one: the executor, the manager, …
    Only,
    Name(Name),
    Number(PortNumber),
    Advisor(AdvisorKind, Option<Name>, PortNumber),
    Heartbeat(HeartbeatPath),
}

/// An object among its siblings of all kinds.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    pub kind: Kind,
    pub label: Label,
}

impl Key {
    pub fn only(kind: Kind) -> Self {
        Self { kind, label: Label::Only }
    }

    pub fn named(kind: Kind, name: Name) -> Self {
        Self { kind, label: Label::Name(name) }
    }

    pub fn port(number: PortNumber) -> Self {
        Self { kind: Kind::Port, label: Label::Number(number) }
    }

    pub fn advisor(kind: AdvisorKind, cluster: Option<Name>, port: PortNumber) -> Self {
        Self { kind: Kind::Advisor, label: Label::Advisor(kind, cluster, port) }
    }

    pub fn heartbeat(source: IpAddr, destination: IpAddr) -> Self {
        Self { kind: Kind::Heartbeat, label: Label::Heartbeat(HeartbeatPath { source, destination }) }
    }
}

/// The way from the root to an object.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Path(pub Vec<Key>);

impl Path {
    pub fn of(keys: impl IntoIterator<Item = Key>) -> Self {
        Self(keys.into_iter().collect())
    }

    pub fn join(&self, key: Key) -> Self {
        Self(self.0.iter().cloned().chain([key]).collect())
    }

    /// The object's parent and its own key; the root has neither.
    pub fn split(&self) -> Option<(Path, &Key)> {
        self.0.split_last().map(|(last, parents)| (Path(parents.to_vec()), last))
    }

    /// The root's parent is the root.
    pub fn parent(&self) -> Self {
        self.split().map(|(parent, _)| parent).unwrap_or_default()
    }

    pub fn kind(&self) -> Option<Kind> {
        self.0.last().map(|key| key.kind)
    }
}

/// As operators write it: `executor`, `shop`, `shop:80:w1`, `http shop:80`, `10.0.0.1 10.0.0.2`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<&Label> = self.0.iter().map(|key| &key.label).collect();
        match labels.as_slice() {
            [Label::Name(cluster), Label::Number(port)] => PortKey { cluster: cluster.clone(), port: *port }.fmt(f),
            [Label::Name(cluster), Label::Number(port), Label::Name(third)] => {
                let port = PortKey { cluster: cluster.clone(), port: *port };
                let separator = if third.as_str().contains(':') { '@' } else { port.separator() };
                if separator == port.separator() {
                    return ServerKey { port, server: third.clone() }.fmt(f);
                }
                write!(f, "{}@{}@{third}", port.cluster, port.port)
            }
            [Label::Advisor(kind, cluster, port)] => advisor_key(*kind, cluster.as_ref(), *port).fmt(f),
            [Label::Only, Label::Heartbeat(path)] => path.fmt(f),
            [Label::Name(name)] => name.fmt(f),
            _ => f.write_str(self.kind().map_or("", Kind::word)),
        }
    }
}

/// The model's key of an advisor.
pub(super) fn advisor_key(kind: AdvisorKind, cluster: Option<&Name>, port: PortNumber) -> AdvisorKey {
    let scope = match cluster {
        Some(cluster) => AdvisorScope::ClusterPort(PortKey { cluster: cluster.clone(), port }),
        None => AdvisorScope::Port(port),
    };
    AdvisorKey { kind, scope }
}

/// One field as it was written.
#[derive(Clone)]
pub(super) struct Field {
    pub keyword: &'static Keyword,
    pub value: Value,
    pub place: Option<Place>,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.keyword.word, self.value)
    }
}

/// The same word with the same value, wherever it was written.
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.keyword.word == other.keyword.word && self.value == other.value
    }
}

impl Eq for Field {}

/// The fields of one object; a handful, so they are searched one by one.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<Field>);

impl Fields {
    /// Sets a field. A default that is as good as nothing unsets it.
    pub fn set(&mut self, field: Field) {
        self.unset(field.keyword.word);
        let is_default = || field.keyword.preset.value().as_ref() == Some(&field.value);
        if !(field.keyword.lean && is_default()) {
            self.0.push(field);
        }
    }

    /// Puts a field in as it is, defaults too: what a command said.
    pub fn put(&mut self, field: Field) {
        self.unset(field.keyword.word);
        self.0.push(field);
    }

    /// The fields as an object keeps them.
    pub fn kept(&self) -> Self {
        let mut kept = Self::default();
        self.0.iter().for_each(|field| kept.set(field.clone()));
        kept
    }

    pub fn unset(&mut self, word: &str) {
        self.0.retain(|field| field.keyword.word != word);
    }

    pub fn get(&self, word: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.keyword.word == word)
    }

    pub fn value(&self, word: &str) -> Option<&Value> {
        self.get(word).map(|field| &field.value)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The order in which fields were written does not matter.
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|field| other.get(field.keyword.word) == Some(field))
    }
}

impl Eq for Fields {}

/// An object and all that is within it. Cloning shares what is within.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    pub place: Option<Place>,
    pub fields: Fields,
    children: IndexMap<Key, Arc<Object>>,
}

/// Equal fields and equal objects within, wherever they were written. The order of servers, rules and heartbeats counts: it
/// decides among equals.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
            && self.children.len() == other.children.len()
            && self.children.iter().all(|(key, child)| other.children.get(key) == Some(child))
            && [Kind::Server, Kind::Group, Kind::Route, Kind::Rule, Kind::Heartbeat]
                .into_iter()
                .all(|kind| self.keys(kind).eq(other.keys(kind)))
    }
}

impl Eq for Object {}

impl Object {
    pub fn new(place: Option<Place>, fields: Fields) -> Self {
        Self { place, fields, children: IndexMap::new() }
    }

    /// The objects within, in the order in which they were made.
    pub fn children(&self) -> impl Iterator<Item = (&Key, &Arc<Object>)> {
        self.children.iter()
    }

    pub fn children_of(&self, kind: Kind) -> impl Iterator<Item = (&Label, &Arc<Object>)> {
        self.children.iter().filter(move |(key, _)| key.kind == kind).map(|(key, child)| (&key.label, child))
    }

    fn keys(&self, kind: Kind) -> impl Iterator<Item = &Key> {
        self.children.keys().filter(move |key| key.kind == kind)
    }

    /// Whether nothing is said and nothing is within.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.children.is_empty()
    }

    pub fn child(&self, key: &Key) -> Option<&Arc<Object>> {
        self.children.get(key)
    }

    pub fn child_mut(&mut self, key: &Key) -> Option<&mut Object> {
        self.children.get_mut(key).map(Arc::make_mut)
    }

    pub fn at(&self, path: &Path) -> Option<&Object> {
        path.0.iter().try_fold(self, |object, key| object.child(key).map(AsRef::as_ref))
    }

    pub fn at_mut(&mut self, path: &Path) -> Option<&mut Object> {
        path.0.iter().try_fold(self, |object, key| object.child_mut(key))
    }

    /// Puts an object in as the last of its siblings, or in the place of its namesake.
    pub fn put(&mut self, key: Key, child: Arc<Object>) {
        self.children.insert(key, child);
    }

    /// Takes an object out; its siblings keep their order.
    pub fn take(&mut self, key: &Key) -> Option<Arc<Object>> {
        self.children.shift_remove(key)
    }
}

/// Whether objects of the kind take defaults from their parent.
pub(super) fn inherits(kind: Kind) -> bool {
    matches!(kind, Kind::Cluster | Kind::Port)
}

/// Whether the keyword is copied at creation from an object of the kind.
pub(super) fn hands_down(kind: Kind, word: &str) -> bool {
    matches!(kind, Kind::Executor | Kind::Cluster) && INHERITED.contains(&word)
}

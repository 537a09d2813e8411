//! A document as the list of commands that makes it.

use super::change::{AdvisorOperand, Change, Deed, JOIN, PairDeed, Steering, Target};
use super::object::{Field, Fields, Key, Label, Object, Path, inherits};
use super::operand::Operand;
use super::schema::{INHERITED, Kind, OBJECTS};
use super::value::Value;
use super::{Document, edit};
use crate::model::Name;

impl Document {
    /// A script that makes this document: what is set, in canonical order; what is a default or inherited is left out.
    pub fn to_script(&self) -> String {
        let singles = OBJECTS.iter().map(|schema| schema.kind).filter(|kind| kind.is_single());
        let mut changes: Vec<Change> = singles.flat_map(|kind| single(&self.root, kind)).collect();
        let executor = self.root.child(&Key::only(Kind::Executor)).map(|executor| &executor.fields);
        for kind in [Kind::Cluster, Kind::Advisor] {
            for (label, object) in self.root.children_of(kind) {
                let path = Path::of([Key { kind, label: label.clone() }]);
                object_changes(&path, object, executor, &mut changes);
            }
        }
        changes.iter().map(|change| format!("{change}\n")).collect()
    }
}

/// The changes that make one object and all within it. `giver`: the fields it inherits from where it will be made.
pub(super) fn object_changes(path: &Path, object: &Object, giver: Option<&Fields>, changes: &mut Vec<Change>) {
    match path.0.last().map(|key| (key.kind, &key.label)) {
        Some((Kind::Advisor, Label::Advisor(kind, cluster, port))) => {
            let operand = AdvisorOperand::one(*kind, cluster.as_ref(), *port);
            return advisor(operand, &object.fields, changes);
        }
        Some((Kind::Heartbeat, label)) => return changes.extend(heartbeat(label)),
        Some((kind, _)) => changes.extend(Change::add(path, own_fields(kind, &object.fields, giver))),
        None => return,
    }
    changes.extend(special(path, object));
    for kind in [Kind::Port, Kind::Server, Kind::Group, Kind::Route, Kind::Rule] {
        for (label, child) in object.children_of(kind) {
            object_changes(&path.join(Key { kind, label: label.clone() }), child, Some(&object.fields), changes);
        }
    }
}

/// The fields that are not the same as those copied at creation anyway.
pub(super) fn own_fields(kind: Kind, fields: &Fields, giver: Option<&Fields>) -> Fields {
    let Some(giver) = giver.filter(|_| inherits(kind)) else { return fields.clone() };
    let mut own = Fields::default();
    let is_copied =
        |field: &Field| INHERITED.contains(&field.keyword.word) && giver.get(field.keyword.word) == Some(field);
    fields.iter().filter(|field| !is_copied(field)).for_each(|field| own.put(field.clone()));
    own
}

/// What is said by commands of its own: a server's state, a rule's servers.
fn special(path: &Path, object: &Object) -> Vec<Change> {
    let Some(operand) = Operand::of(path) else { return Vec::new() };
    if let Some(Value::Word(state)) = object.fields.value("state") {
        let steering = Steering::of(state);
        return steering.map(|steering| Change::new(Deed::Steer { servers: operand, steering })).into_iter().collect();
    }
    if path.kind() != Some(Kind::Rule) {
        return Vec::new();
    }
    let names: Vec<Name> = edit::rule_servers(object).filter_map(|name| Name::new(name).ok()).collect();
    let line = |names: &[Name]| Change::new(Deed::UseServers { rules: operand.clone(), servers: names.to_vec() });
    names.chunks(NAMES_PER_LINE).map(line).collect()
}

fn single(root: &Object, kind: Kind) -> Vec<Change> {
    let Some(object) = root.child(&Key::only(kind)) else { return Vec::new() };
    let set = |fields| Change::new(Deed::Set { target: Target::Only(kind), fields });
    if kind == Kind::HighAvailability {
        return pair(object);
    }
    if kind != Kind::Manager {
        return vec![set(object.fields.clone())];
    }
    one_by_one(kind, &object.fields).map(set).collect()
}

/// IBM's `backup add` comes with IBM's times where none are said, so it is used only where they are. It comes last: a pair without a
/// key or a heartbeat would be refused, were the lines typed.
fn pair(object: &Object) -> Vec<Change> {
    let fields = &object.fields;
    let as_ibm = ["role", "recovery", "profile"].iter().all(|word| fields.get(word).is_some());
    let joins = |field: &&Field| as_ibm && JOIN.contains(&field.keyword.word);
    let (mut others, mut join) = (Fields::default(), Fields::default());
    fields.iter().for_each(|field| if joins(&field) { join.put(field.clone()) } else { others.put(field.clone()) });
    let set = Change::new(Deed::Set { target: Target::Only(Kind::HighAvailability), fields: others.clone() });
    let heartbeats = object.children_of(Kind::Heartbeat).filter_map(|(label, _)| heartbeat(label));
    let mut changes: Vec<Change> = heartbeats.collect();
    if !others.is_empty() {
        changes.push(set);
    }
    if as_ibm {
        changes.push(Change::new(Deed::Pair(PairDeed::Join(join))));
    }
    changes
}

fn heartbeat(label: &Label) -> Option<Change> {
    let Label::Heartbeat(path) = label else { return None };
    Some(Change::new(Deed::Pair(PairDeed::AddHeartbeat(*path))))
}

fn advisor(operand: Option<AdvisorOperand>, fields: &Fields, changes: &mut Vec<Change>) {
    let Some(operand) = operand else { return };
    changes.push(Change::new(Deed::StartAdvisor(operand.clone())));
    let target = || Target::Advisors(operand.clone());
    let set = |fields| Change::new(Deed::Set { target: target(), fields });
    changes.extend(one_by_one(Kind::Advisor, fields).map(set));
}

/// Each field by itself, in the schema's order.
fn one_by_one(kind: Kind, fields: &Fields) -> impl Iterator<Item = Fields> {
    let keywords = kind.schema().keywords.iter();
    keywords.filter_map(|keyword| fields.get(keyword.word)).map(|field| {
        let mut alone = Fields::default();
        alone.put(field.clone());
        alone
    })
}

/// Names of one `rule useserver` line, so that lines stay readable.
const NAMES_PER_LINE: usize = 32;

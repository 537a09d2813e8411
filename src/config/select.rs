//! Which objects of a document an operand means.

use super::Refusal;
use super::fault::{listed, nearest, quoted};
use super::object::{Key, Label, Object, Path};
use super::operand::Operand;
use super::schema::Kind;

/// The objects that are there and meant. Each one that is named must be there; below a wildcard, at least once.
pub(super) fn select(root: &Object, operand: &Operand, kind: Kind) -> Result<Vec<Path>, Refusal> {
    descend(root, &operand.levels(kind))
}

/// Paths for new objects: their parents are there, they are not, and they are named.
pub(super) fn vacant(root: &Object, operand: &Operand, kind: Kind) -> Result<Vec<Path>, Refusal> {
    let levels = operand.levels(kind);
    let Some(((_, Some(keys)), above)) = levels.split_last() else {
        return Err(Refusal::misuse(format!(
            "`{0} add` needs the name of the {0}; a wildcard may stand above it only",
            kind.word()
        )));
    };
    let parents = descend(root, above)?;
    let count = parents.len().saturating_mul(keys.len());
    if count > MAX_AT_ONCE {
        return Err(Refusal::refused(format!("this would add {count} of them; {MAX_AT_ONCE} at once are the most")));
    }
    let paths: Vec<Path> = parents.iter().flat_map(|parent| keys.iter().map(|key| parent.join(key.clone()))).collect();
    match paths.iter().find(|path| root.at(path).is_some()) {
        Some(taken) => Err(Refusal::refused(format!("{} {taken} is already there", kind.word()))),
        None => Ok(paths),
    }
}

/// Objects that one command adds: as many as there may be servers. A line of lists multiplies: some thousand names of servers
/// on some thousand ports would be more than fits into memory, before anything could say that they are too many.
const MAX_AT_ONCE: usize = crate::model::MAX_SERVERS;

type Level = (Kind, Option<Vec<Key>>);

fn descend(root: &Object, levels: &[Level]) -> Result<Vec<Path>, Refusal> {
    let mut found = vec![Path::default()];
    let mut below_wildcard = false;
    for (kind, keys) in levels {
        found = match keys {
            Some(keys) => named(root, &found, keys, below_wildcard)?,
            None => all(root, &found, *kind)?,
        };
        below_wildcard |= keys.is_none();
    }
    Ok(found)
}

fn named(root: &Object, parents: &[Path], keys: &[Key], below_wildcard: bool) -> Result<Vec<Path>, Refusal> {
    let is_there = |parent: &Path, key: &Key| root.at(parent).is_some_and(|object| object.child(key).is_some());
    for key in keys {
        let missing = parents.iter().find(|parent| !is_there(parent, key));
        let nowhere = below_wildcard && parents.iter().all(|parent| !is_there(parent, key));
        if let (Some(parent), true) = (missing, nowhere || !below_wildcard) {
            let within = (!below_wildcard).then_some(parent);
            return Err(absent(root, parents, within, key));
        }
    }
    let wanted =
        |parent: &Path| keys.iter().filter(|key| is_there(parent, key)).map(|key| parent.join(key.clone())).collect();
    Ok(parents.iter().flat_map(|parent| -> Vec<Path> { wanted(parent) }).collect())
}

fn all(root: &Object, parents: &[Path], kind: Kind) -> Result<Vec<Path>, Refusal> {
    let mut found = Vec::new();
    for parent in parents {
        let Some(object) = root.at(parent) else { continue };
        found.extend(
            object.children().map(|(key, _)| key).filter(|key| key.kind == kind).map(|key| parent.join(key.clone())),
        );
    }
    if found.is_empty() {
        return Err(Refusal::refused(format!("there is no {}", kind.word())));
    }
    Ok(found)
}

/// Says what is there instead.
fn absent(root: &Object, parents: &[Path], within: Option<&Path>, key: &Key) -> Refusal {
    let looked_at = within.map_or(parents, std::slice::from_ref);
    let mut siblings: Vec<String> = Vec::new();
    for object in looked_at.iter().filter_map(|parent| root.at(parent)) {
        let keys = object.children().map(|(sibling, _)| sibling).filter(|sibling| sibling.kind == key.kind);
        siblings.extend(keys.map(label_text));
    }
    siblings.sort();
    siblings.dedup();
    let word = key.kind.word();
    let place = match within.filter(|parent| !parent.0.is_empty()) {
        Some(parent) => {
            format!("{} {parent} has no {word} {}", parent.kind().map_or("", Kind::word), quoted(&label_text(key)))
        }
        None => format!("no {word} {}", quoted(&label_text(key))),
    };
    let names = || siblings.iter().map(String::as_str);
    // Numbers are not mistyped names: 81 is as far from 80 as from 443.
    let near = nearest(&label_text(key), names()).filter(|_| key.kind != Kind::Port);
    Refusal::refused(match (near, siblings.len()) {
        (Some(near), _) => format!("{place}; did you mean `{near}`?"),
        (None, 0) => format!("{place}; there is none at all"),
        (None, 1) => format!("{place}; there is {}", listed(names())),
        (None, _) => format!("{place}; there are {}", listed(names())),
    })
}

/// A key without its surroundings.
fn label_text(key: &Key) -> String {
    match &key.label {
        Label::Name(name) => name.to_string(),
        Label::Number(number) => number.to_string(),
        Label::Only | Label::Advisor(..) | Label::Heartbeat(_) => Path::of([key.clone()]).to_string(),
    }
}

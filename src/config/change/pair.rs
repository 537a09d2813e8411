//! The pair's own verbs, which are IBM's: `backup`, `heartbeat` and `reach`, each with `add` and `delete`.
//!
//! What `backup add` says can be said by `highavailability set` too. The difference is what is not said: who speaks like IBM gets
//! IBM's times.

use std::fmt;
use std::net::IpAddr;

use indexmap::IndexSet;

use super::parse::Line;
use super::{Deed, joined};
use crate::config::Refusal;
use crate::config::edit;
use crate::config::fault::{Place, quoted};
use crate::config::object::{Field, Fields, Key, Label, Object, Path};
use crate::config::schema::{Kind, unabbreviate};
use crate::config::value::Value;
use crate::model::HeartbeatPath;

/// What a verb of the pair does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::config) enum PairDeed {
    /// `backup add`: role, recovery and perhaps a port.
    Join(Fields),
    /// `backup delete`
    Leave,
    AddHeartbeat(HeartbeatPath),
    DeleteHeartbeats(Ends),
    AddReach(Vec<IpAddr>),
    DeleteReach(Vec<IpAddr>),
}

/// Which heartbeats are meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum Ends {
    /// Those that begin or end at this address, as in IBM.
    At(IpAddr),
    /// This one.
    Both(HeartbeatPath),
}

/// Reads what follows one of the three verbs.
pub(super) fn read(line: &mut Line<'_>, verb: &str) -> Result<Deed, Refusal> {
    let form = match verb {
        "backup" => "highavailability backup add primary|backup|both auto|manual [PORT] | delete",
        "heartbeat" => "highavailability heartbeat add SOURCE DESTINATION | delete ADDRESS",
        _ => "highavailability reach add ADDRESS[+ADDRESS]... | delete ADDRESS[+ADDRESS]...",
    };
    let word = line.need(form)?;
    let adds = unabbreviate(word, &["add", "delete"]).map_err(|fault| Refusal::misuse(fault.to_string()))? == "add";
    let deed = match (verb, adds) {
        ("backup", true) => PairDeed::Join(read_join(line, form)?),
        ("backup", false) => PairDeed::Leave,
        ("heartbeat", true) => PairDeed::AddHeartbeat(HeartbeatPath {
            source: address(line.operand_word(form)?)?,
            destination: address(line.need(form)?)?,
        }),
        ("heartbeat", false) => PairDeed::DeleteHeartbeats(read_ends(line, form)?),
        (_, true) => PairDeed::AddReach(read_reach(line, form)?),
        (_, false) => PairDeed::DeleteReach(addresses(line.operand_word(form)?)?),
    };
    Ok(Deed::Pair(deed))
}

fn read_join(line: &mut Line<'_>, form: &str) -> Result<Fields, Refusal> {
    let mut fields = Fields::default();
    for word in JOIN {
        let position = line.position();
        let text = match line.peek() {
            None if word == "port" => break,
            _ => line.operand_word(form)?,
        };
        let keyword = Kind::HighAvailability.keyword(word).expect("the pair has these keywords");
        let value = keyword.value.read_word(text).map_err(|refusal| refusal.after(&format!("`{word}` is ")))?;
        fields.put(Field { keyword, value, place: line.place(position) });
    }
    Ok(fields)
}

fn read_ends(line: &mut Line<'_>, form: &str) -> Result<Ends, Refusal> {
    let first = address(line.operand_word(form)?)?;
    match line.next() {
        None => Ok(Ends::At(first)),
        Some(second) => Ok(Ends::Both(HeartbeatPath { source: first, destination: address(second)? })),
    }
}

/// IBM's second operand is a mask.
fn read_reach(line: &mut Line<'_>, form: &str) -> Result<Vec<IpAddr>, Refusal> {
    let targets = addresses(line.operand_word(form)?)?;
    if let Some(mask) = line.next() {
        address(mask)?;
        line.note("the mask of `reach add` has no effect: the routes of the system are used".to_owned());
    }
    Ok(targets)
}

fn address(text: &str) -> Result<IpAddr, Refusal> {
    text.parse().map_err(|_| Refusal::misuse(format!("an IP address is needed, not {}", quoted(text))))
}

/// In the order written, none twice.
fn addresses(text: &str) -> Result<Vec<IpAddr>, Refusal> {
    let list: Result<IndexSet<IpAddr>, Refusal> = text.split('+').map(address).collect();
    Ok(list?.into_iter().collect())
}

impl PairDeed {
    /// Carries it out, or leaves everything as it was.
    pub fn apply(&self, root: &mut Object, place: Option<&Place>) -> Result<Vec<Path>, Refusal> {
        match self {
            Self::Join(fields) => join(root, fields, place),
            Self::Leave => leave(root),
            Self::AddHeartbeat(path) => add_heartbeat(root, *path, place),
            Self::DeleteHeartbeats(ends) => delete_heartbeats(root, *ends),
            Self::AddReach(targets) => {
                let mut list = reach(root);
                list.extend(targets);
                Ok(set_reach(root, &list, place))
            }
            Self::DeleteReach(targets) => {
                let mut list = reach(root);
                if let Some(missing) = targets.iter().find(|target| !list.contains(*target)) {
                    return Err(Refusal::refused(format!("{missing} is no reach target{}", there_are(&list))));
                }
                list.retain(|target| !targets.contains(target));
                Ok(set_reach(root, &list, place))
            }
        }
    }
}

fn join(root: &mut Object, fields: &Fields, place: Option<&Place>) -> Result<Vec<Path>, Refusal> {
    if let Some(Value::Word(role)) = said(root, "role") {
        let message = format!(
            "this dispatcher has the role {role} already; `highavailability set role` changes it, `backup delete` ends it"
        );
        return Err(Refusal::refused(message));
    }
    fields.iter().for_each(|field| edit::set_field(root, &pair(), field.clone()));
    if let (None, Some(keyword)) = (said(root, "profile"), Kind::HighAvailability.keyword("profile")) {
        edit::set_field(root, &pair(), Field { keyword, value: Value::Word("ibm"), place: place.cloned() });
    }
    Ok(vec![pair()])
}

fn leave(root: &mut Object) -> Result<Vec<Path>, Refusal> {
    if said(root, "role").is_none() {
        return Err(Refusal::refused("this dispatcher has no partner; `highavailability backup add` gives it one"));
    }
    JOIN.iter().for_each(|word| edit::unset_field(root, &pair(), word));
    Ok(vec![pair()])
}

fn add_heartbeat(root: &mut Object, path: HeartbeatPath, place: Option<&Place>) -> Result<Vec<Path>, Refusal> {
    let path = heartbeat(path);
    if root.at(&path).is_some() {
        return Err(Refusal::refused(format!("heartbeat {path} is already there")));
    }
    edit::insert(root, &path, Object::new(place.cloned(), Fields::default()));
    Ok(vec![path])
}

fn delete_heartbeats(root: &mut Object, ends: Ends) -> Result<Vec<Path>, Refusal> {
    let is_meant = |path: &HeartbeatPath| match ends {
        Ends::At(address) => path.source == address || path.destination == address,
        Ends::Both(both) => *path == both,
    };
    let (meant, others): (Vec<HeartbeatPath>, Vec<HeartbeatPath>) = heartbeats(root).partition(is_meant);
    if meant.is_empty() {
        let others: Vec<String> = others.into_iter().map(|path| heartbeat(path).to_string()).collect();
        return Err(Refusal::refused(format!("no heartbeat {ends}{}", there_are(&others))));
    }
    let paths: Vec<Path> = meant.into_iter().map(heartbeat).collect();
    paths.iter().for_each(|path| edit::remove(root, path));
    Ok(paths)
}

fn heartbeats(root: &Object) -> impl Iterator<Item = HeartbeatPath> {
    let pair = root.at(&pair()).into_iter();
    pair.flat_map(|pair| pair.children_of(Kind::Heartbeat)).filter_map(|(label, _)| match label {
        Label::Heartbeat(path) => Some(*path),
        _ => None,
    })
}

fn reach(root: &Object) -> IndexSet<IpAddr> {
    let items = match said(root, "reach") {
        Some(Value::List(items)) => items.as_ref(),
        _ => &[],
    };
    items.iter().filter_map(|item| item.parse().ok()).collect()
}

fn set_reach(root: &mut Object, targets: &IndexSet<IpAddr>, place: Option<&Place>) -> Vec<Path> {
    let keyword = Kind::HighAvailability.keyword("reach").expect("the pair has reach targets");
    let texts: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let value = Value::list(texts.iter().map(String::as_str));
    edit::set_field(root, &pair(), Field { keyword, value, place: place.cloned() });
    vec![pair()]
}

fn said<'r>(root: &'r Object, word: &str) -> Option<&'r Value> {
    root.at(&pair())?.fields.value(word)
}

fn pair() -> Path {
    Path::of([Key::only(Kind::HighAvailability)])
}

fn heartbeat(path: HeartbeatPath) -> Path {
    pair().join(Key::heartbeat(path.source, path.destination))
}

fn there_are<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [] => "; there is none at all".to_owned(),
        [only] => format!("; there is {only}"),
        many => format!("; there are {}", many.join(", ")),
    }
}

/// The canonical words.
impl fmt::Display for PairDeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("highavailability ")?;
        match self {
            Self::Join(fields) => {
                f.write_str("backup add")?;
                let said = JOIN.iter().filter_map(|word| fields.value(word));
                said.into_iter().try_for_each(|value| write!(f, " {value}"))
            }
            Self::Leave => f.write_str("backup delete"),
            Self::AddHeartbeat(path) => write!(f, "heartbeat add {path}"),
            Self::DeleteHeartbeats(ends) => write!(f, "heartbeat delete {ends}"),
            Self::AddReach(targets) => write!(f, "reach add {}", joined(targets)),
            Self::DeleteReach(targets) => write!(f, "reach delete {}", joined(targets)),
        }
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Both(path) => path.fmt(f),
        }
    }
}

/// The operands of `backup add`; the last may be left out.
pub(in crate::config) const JOIN: [&str; 3] = ["role", "recovery", "port"];

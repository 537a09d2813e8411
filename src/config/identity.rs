//! From the words of an object's name to its key.

use std::net::IpAddr;

use super::object::Key;
use super::schema::{Kind, Usage};
use super::value::Value;
use crate::model::{AdvisorKind, Name, PortNumber};

/// The key of an object of which `value` knows the words. `Err(Some(word))`: that word is missing. `Err(None)`: one of
/// them is faulty, which is already reported.
pub(super) fn key<'v>(kind: Kind, value: impl Fn(&str) -> Option<&'v Value>) -> Result<Key, Option<&'static str>> {
    let identity = kind.schema().keywords.iter().filter(|keyword| keyword.usage == Usage::Identity);
    let needed = identity.filter(|keyword| keyword.word != "cluster");
    if let Some(missing) = needed.map(|keyword| keyword.word).find(|word| value(word).is_none()) {
        return Err(Some(missing));
    }
    match kind {
        Kind::Port => value("number").and_then(number).map(Key::port).ok_or(None),
        Kind::Advisor => advisor(value).ok_or(None),
        Kind::Heartbeat => heartbeat(value).ok_or(None),
        _ => value("name").and_then(name).map(|name| Key::named(kind, name)).ok_or(None),
    }
}

fn advisor<'v>(value: impl Fn(&str) -> Option<&'v Value>) -> Option<Key> {
    let cluster = match value("cluster") {
        Some(cluster) => Some(name(cluster)?),
        None => None,
    };
    let kind = advisor_kind(value("name")?)?;
    Some(Key::advisor(kind, cluster, value("port").and_then(number)?))
}

fn heartbeat<'v>(value: impl Fn(&str) -> Option<&'v Value>) -> Option<Key> {
    Some(Key::heartbeat(value("source").and_then(address)?, value("destination").and_then(address)?))
}

fn address(value: &Value) -> Option<IpAddr> {
    let Value::Text(text) = value else { return None };
    text.parse().ok()
}

fn name(value: &Value) -> Option<Name> {
    let Value::Text(text) = value else { return None };
    Name::new(text).ok()
}

fn number(value: &Value) -> Option<PortNumber> {
    let Value::Whole(number) = value else { return None };
    PortNumber::new(*number).ok()
}

/// The advisor that a word of the schema's choice means.
pub(super) fn advisor_kind(value: &Value) -> Option<AdvisorKind> {
    let Value::Word(word) = value else { return None };
    AdvisorKind::ALL.into_iter().find(|kind| kind.word() == *word)
}

//! One keyword of one kind of object.

use std::fmt;
use std::time::Duration;

use super::ValueKind;
use crate::config::value::Value;
use crate::model::ForwardingMethod;

/// A keyword: the same word in TOML and in commands.
#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    pub word: &'static str,
    pub value: ValueKind,
    pub preset: Preset,
    /// One line for people.
    pub help: &'static str,
    pub usage: Usage,
    pub only: Only,
    /// Its default is as good as nothing and is not kept.
    pub lean: bool,
}

/// What holds when nothing was said.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    Whole(u64),
    Decimal(f64),
    Seconds(u64),
    Flag(bool),
    Word(&'static str),
    Text(&'static str),
    List(&'static [&'static str]),
    Parts([u8; 4]),
    Unlimited,
    /// Depends on something else, as these words tell.
    Told(&'static str),
}

/// Two lists of keywords as one.
#[expect(clippy::indexing_slicing, reason = "it runs when the program is built, and a mistake ends that")]
pub(super) const fn joined<const FIRST: usize, const SECOND: usize, const ALL: usize>(
    first: [Keyword; FIRST],
    second: [Keyword; SECOND],
) -> [Keyword; ALL] {
    assert!(ALL == FIRST + SECOND, "room for all keywords and no more");
    let mut all = [first[0]; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < FIRST { first[at] } else { second[at - FIRST] };
        at += 1;
    }
    all
}

/// The methods of ports on which a keyword means something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Only {
    Any,
    Http,
    /// `http` and `tcp`.
    Proxy,
    Mac,
}

impl Only {
    pub fn has(self, method: ForwardingMethod) -> bool {
        match self {
            Self::Any => true,
            Self::Http => method == ForwardingMethod::Http,
            Self::Proxy => method.is_proxy(),
            Self::Mac => method == ForwardingMethod::Mac,
        }
    }
}

/// Where commands may say a keyword. TOML may say each in its object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Usage {
    /// Part of the object's name.
    Identity,
    /// In `add` only.
    Add,
    /// In `add` and `set`.
    Set,
    /// By a command of its own, which is named.
    Elsewhere(&'static str),
}

impl Keyword {
    pub(super) const fn new(word: &'static str, value: ValueKind, preset: Preset, help: &'static str) -> Self {
        Self { word, value, preset, help, usage: Usage::Set, only: Only::Any, lean: false }
    }

    /// The word in commands; `set format` alone would not say of what.
    pub fn spoken(&self) -> &'static str {
        if self.word == "format" { "logformat" } else { self.word }
    }

    pub(super) const fn used(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }

    pub(super) const fn http_only(self) -> Self {
        Self { only: Only::Http, ..self }
    }

    pub(super) const fn proxy_only(self) -> Self {
        Self { only: Only::Proxy, ..self }
    }

    pub(super) const fn mac_only(self) -> Self {
        Self { only: Only::Mac, ..self }
    }

    pub(super) const fn lean(self) -> Self {
        Self { lean: true, ..self }
    }
}

impl Preset {
    /// The value, unless it depends on something else.
    pub(in crate::config) fn value(self) -> Option<Value> {
        Some(match self {
            Self::Whole(number) => Value::Whole(number),
            Self::Decimal(number) => Value::Decimal(number),
            Self::Seconds(seconds) => Value::Seconds(Duration::from_secs(seconds)),
            Self::Flag(flag) => Value::Flag(flag),
            Self::Word(word) => Value::Word(word),
            Self::Text(text) => Value::text(text),
            Self::List(items) => Value::list(items.iter().copied()),
            Self::Parts(parts) => Value::Parts(parts),
            Self::Unlimited => Value::Unlimited,
            Self::Told(_) => return None,
        })
    }
}

/// As help and the reference tell it.
impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.value()) {
            (Self::Told(words), _) => f.write_str(words),
            (_, Some(value)) => value.fmt(f),
            (_, None) => Ok(()),
        }
    }
}

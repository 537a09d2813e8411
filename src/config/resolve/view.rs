//! Reading fields of an object, defaults included.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::fault::Place;
use crate::config::object::{Field, Key, Label, Object, Path};
use crate::config::schema::{Keyword, Kind, Preset};
use crate::config::value::Value;
use crate::model::Name;

/// An object (or the absence of one, for the single ones) with its kind.
#[derive(Clone, Copy)]
pub(super) struct View<'d> {
    kind: Kind,
    object: Option<&'d Object>,
}

impl<'d> View<'d> {
    /// The whole document. It has no fields of its own.
    pub fn root(object: &'d Object) -> Self {
        Self { kind: Kind::Executor, object: Some(object) }
    }

    /// The executor, the manager, …: there even when nothing was said of it.
    pub fn single(self, kind: Kind) -> Self {
        let object = self.object.and_then(|root| root.child(&Key::only(kind)));
        Self { kind, object: object.map(AsRef::as_ref) }
    }

    pub fn children(self, kind: Kind) -> impl Iterator<Item = (&'d Label, View<'d>)> {
        let children = self.object.into_iter().flat_map(move |object| object.children_of(kind));
        children.map(move |(label, child)| (label, View { kind, object: Some(child) }))
    }

    /// The objects of a kind that have a name.
    pub fn named(self, kind: Kind) -> impl Iterator<Item = (&'d Name, View<'d>)> {
        self.children(kind).filter_map(|(label, view)| match label {
            Label::Name(name) => Some((name, view)),
            _ => None,
        })
    }

    /// The object at a path below.
    pub fn at(self, path: &Path, kind: Kind) -> View<'d> {
        View { kind, object: self.object.and_then(|object| object.at(path)) }
    }

    pub fn place(self) -> Option<&'d Place> {
        self.object?.place.as_ref()
    }

    /// Where the field was written, else where the object was.
    pub fn place_at(self, word: &str) -> Option<&'d Place> {
        self.field(word).and_then(|field| field.place.as_ref()).or(self.place())
    }

    pub fn field(self, word: &str) -> Option<&'d Field> {
        self.object?.fields.get(word)
    }

    pub fn fields(self) -> impl Iterator<Item = &'d Field> {
        self.object.into_iter().flat_map(|object| object.fields.iter())
    }

    /// What was said; `None` when nothing was, or something faulty.
    pub fn said(self, word: &str) -> Option<&'d Value> {
        self.field(word).map(|field| &field.value).filter(|value| **value != Value::Faulty)
    }

    /// Whether nothing at all was said, not even something faulty.
    pub fn is_silent_on(self, word: &str) -> bool {
        self.field(word).is_none()
    }

    pub fn whole(self, word: &str) -> u64 {
        match self.said(word) {
            Some(Value::Whole(number)) => *number,
            _ => match self.preset(word) {
                Some(Preset::Whole(number)) => *number,
                _ => 0,
            },
        }
    }

    /// The default of a word that takes whole numbers; `None`: unlimited.
    pub fn preset_whole(self, word: &str) -> Option<u64> {
        match self.preset(word) {
            Some(Preset::Whole(number)) => Some(*number),
            _ => None,
        }
    }

    /// A whole number whose range in the schema is within 32 bits.
    pub fn count(self, word: &str) -> u32 {
        u32::try_from(self.whole(word)).unwrap_or(u32::MAX)
    }

    pub fn decimal(self, word: &str) -> f64 {
        match self.said(word) {
            Some(Value::Decimal(number)) => *number,
            _ => match self.preset(word) {
                Some(Preset::Decimal(number)) => *number,
                _ => 0.0,
            },
        }
    }

    pub fn seconds(self, word: &str) -> Duration {
        match self.said(word) {
            Some(Value::Seconds(duration)) => *duration,
            _ => match self.preset(word) {
                Some(Preset::Seconds(seconds)) => Duration::from_secs(*seconds),
                _ => Duration::ZERO,
            },
        }
    }

    pub fn flag(self, word: &str) -> bool {
        match self.said(word) {
            Some(Value::Flag(flag)) => *flag,
            _ => matches!(self.preset(word), Some(Preset::Flag(true))),
        }
    }

    pub fn word(self, word: &str) -> &'static str {
        match self.said(word) {
            Some(Value::Word(choice)) => choice,
            _ => match self.preset(word) {
                Some(Preset::Word(choice)) => choice,
                _ => "",
            },
        }
    }

    pub fn text(self, word: &str) -> &'d str {
        match self.said(word) {
            Some(Value::Text(text)) => text,
            _ => match self.preset(word) {
                Some(Preset::Text(text)) => text,
                _ => "",
            },
        }
    }

    pub fn address(self, word: &str) -> Option<IpAddr> {
        self.text(word).parse().ok()
    }

    pub fn list(self, word: &str) -> Vec<&'d str> {
        match self.said(word) {
            Some(Value::List(items)) => items.iter().map(AsRef::as_ref).collect(),
            _ => match self.preset(word) {
                Some(Preset::List(items)) => items.to_vec(),
                _ => Vec::new(),
            },
        }
    }

    fn preset(self, word: &str) -> Option<&'static Preset> {
        self.kind.keyword(word).map(|keyword: &'static Keyword| &keyword.preset)
    }
}

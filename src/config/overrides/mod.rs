//! What operators changed on top of the file, and what becomes of it when the file changes.

mod difference;
mod lay;
mod text;

use std::sync::Arc;

use super::object::{Object, Path};
use super::value::Value;
use super::{Document, Faults};

/// The difference between the file and what operators made of it. Relative paths of sorry pages in it are completed, so it
/// means the same wherever it is kept. The order of servers and rules is not part of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides {
    entries: Vec<Entry>,
}

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Entry {
    /// A field of an object that is in the file. `None`: not set.
    Field { path: Path, word: &'static str, was: Option<Value>, now: Option<Value> },
    /// An object that is not in the file.
    Added { path: Path, object: Arc<Object> },
    /// An object of the file that was taken out.
    Removed { path: Path, was: Arc<Object> },
}

impl Overrides {
    /// What leads from the file to what is in effect.
    pub fn between(file: &Document, effective: &Document) -> Self {
        let mut entries = Vec::new();
        difference::collect(&Path::default(), &file.root, &effective.root, &mut entries);
        Self { entries }
    }

    /// Lays them over a (new) file. An override gives way when the file changed the very thing since it was made, or when
    /// the file no longer has what it belongs to, or when it would make a right file wrong; those are named.
    pub fn over(&self, file: &Document) -> (Document, Vec<String>) {
        lay::over(&self.entries, file)
    }

    /// How many fields and objects differ.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// As TOML, to be kept.
    pub fn to_text(&self) -> String {
        text::print(&self.entries)
    }

    /// Reads [`Self::to_text`] again.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        text::parse(text).map(|entries| Self { entries })
    }
}

#[cfg(test)]
mod tests;

//! The document: what was written, and the doors to reading, changing and printing it.

use std::path::Path as FilePath;
use std::sync::Arc;

use super::fault::Collector;
use super::import::{self, Front};
use super::object::{Key, Object, Path};
use super::schema::Kind;
use super::{Fault, Faults, Place, read_script, read_toml};
use crate::model::PortKey;

/// What was written, as a tree of objects and fields, each with its place. Cloning shares everything, so a command works on
/// a clone and throws it away when it fails. Two documents are equal when they say the same, wherever they say it.
#[derive(Clone, Debug, Default)]
pub struct Document {
    pub(super) root: Arc<Object>,
    /// What was accepted with a warning while reading.
    pub(super) notes: Arc<Vec<Fault>>,
}

impl Eq for Document {}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

/// The objects that a change touched, as operators write them: `shop:80:w1`. Empty where nothing was to be done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Touched(pub Vec<String>);

impl Document {
    /// Reads a configuration: TOML when `file` ends in `.toml`, else the web-server plug-in's when it is XML, else a script
    /// of dscontrol commands. A BOM and CRLF are
    /// fine. `file` goes into the places of faults, and relative paths of sorry pages start at its directory.
    ///
    /// All faults come at once, those of meaning too. Never panics; files over 4 MiB are refused.
    pub fn parse(text: &str, file: &str) -> Result<Self, Faults> {
        Self::default().append(text, file)
    }

    /// Reads a configuration on top of this one, as `file appendload` does. A script's `add` of something that is there is
    /// a fault; TOML sets the fields it names.
    pub fn append(&self, text: &str, file: &str) -> Result<Self, Faults> {
        let mut draft = Draft { document: self.clone(), faults: Collector::default(), garbled: false };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if !is_toml(file) && import::is_xml(text) {
            read_plugin(text, file, &mut draft);
        } else if text.len() > MAX_FILE {
            draft.faults.add(None, format!("{file}: the file is larger than {} MiB", MAX_FILE >> 20));
        } else if is_toml(file) {
            read_toml::read(text, file, &mut draft);
        } else {
            read_script::read(text, file, &mut draft);
        }
        draft.finish()
    }

    /// Where a keyword of a port was written, for faults that show only when it is used (a sorry page that is not there).
    pub fn place_at(&self, port: &PortKey, keyword: &str) -> Option<&Place> {
        let path = Path::of([Key::named(Kind::Cluster, port.cluster.clone()), Key::port(port.port)]);
        self.root.at(&path)?.fields.get(keyword)?.place.as_ref()
    }

    pub(super) fn root_mut(&mut self) -> &mut Object {
        Arc::make_mut(&mut self.root)
    }

    pub(super) fn note(&mut self, note: Fault) {
        if self.notes.len() < MAX_NOTES {
            Arc::make_mut(&mut self.notes).push(note);
        }
    }
}

/// A document being read.
pub(super) struct Draft {
    pub document: Document,
    pub faults: Collector,
    /// The text is not even of its syntax, so what was understood of it says little.
    pub garbled: bool,
}

impl Draft {
    /// Faults of meaning are looked for too when others are there already, so that a file is mended in one go.
    fn finish(mut self) -> Result<Document, Faults> {
        if !self.faults.is_empty()
            && !self.garbled
            && let Err(faults) = self.document.resolve()
        {
            self.faults.extend(faults.iter().cloned());
        }
        self.faults.settle(self.document)
    }
}

/// A plugin-cfg.xml as what it means here. Its places are those of the file; should the translation itself be at fault, they
/// are lines of what `tsuji import` prints.
fn read_plugin(text: &str, file: &str, draft: &mut Draft) {
    match import::import_plugin(text, file, &Front::default()) {
        Ok(imported) => {
            read_toml::read(&imported.toml, &format!("{file} as TOML"), draft);
            for remark in imported.remarks {
                let place = Place { file: file.into(), line: remark.line, column: 1 };
                draft.document.note(Fault { place: Some(place), message: remark.text });
            }
        }
        Err(faults) => {
            draft.garbled = true;
            draft.faults.extend(faults.iter().cloned());
        }
    }
}

/// Whether the name says that a file holds TOML.
pub(super) fn is_toml(file: &str) -> bool {
    FilePath::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

/// Bytes of one file: 1,000 ports with 10 servers each take about 2 MiB when every key is written out.
const MAX_FILE: usize = 4 << 20;
/// Warnings kept of the reading; nobody reads more.
const MAX_NOTES: usize = 200;

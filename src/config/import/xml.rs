//! XML as a tree of elements with their lines, within bounds.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::config::fault;

/// Bytes of a file. A plug-in for a thousand applications has 2 MiB.
pub const MAX_XML: usize = 16 << 20;
/// Elements within each other; a plugin-cfg.xml has 5.
const MAX_DEPTH: usize = 32;
/// Elements and attributes of a file, each.
const MAX_ELEMENTS: usize = 100_000;
const MAX_ATTRIBUTES: usize = 1_000_000;
/// Bytes of one attribute.
const MAX_VALUE: usize = 64 * 1024;

/// An element. Text between elements means nothing in these files and is not kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Element {
    pub name: String,
    /// From 1.
    pub line: u32,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
}

/// Why a text is not read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum XmlFault {
    #[error("the file is larger than {} MiB; that is no plugin-cfg.xml", MAX_XML >> 20)]
    TooLarge,
    #[error("{what}")]
    Syntax { line: u32, what: String },
    #[error("document types and entities are not read; they have no place in a plugin-cfg.xml")]
    DocumentType { line: u32 },
    #[error("the entity `{name}` is not known; a plugin-cfg.xml has only those of XML itself")]
    Entity { line: u32, name: String },
    #[error("{what}; that is no plugin-cfg.xml")]
    Bound { line: u32, what: &'static str },
    #[error("there is no element in it")]
    Empty,
}

impl XmlFault {
    /// Where it is; the first line, where it is everywhere.
    pub fn line(&self) -> u32 {
        match self {
            Self::Syntax { line, .. }
            | Self::DocumentType { line }
            | Self::Entity { line, .. }
            | Self::Bound { line, .. } => *line,
            Self::TooLarge | Self::Empty => 1,
        }
    }
}

impl Element {
    /// An attribute's value, whatever the case of its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name.eq_ignore_ascii_case(name))
    }
}

/// The text of a file whose bytes are no UTF-8 and whose declaration says ISO-8859-1, as those that WebSphere writes do.
pub fn latin1(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..100.min(bytes.len()))?;
    let declaration = head.split(|&byte| byte == b'>').next()?.to_ascii_lowercase();
    let declares = declaration.starts_with(b"<?xml") && declaration.windows(10).any(|word| word == b"iso-8859-1");
    declares.then(|| bytes.iter().map(|&byte| char::from(byte)).collect())
}

/// Reads the root element with all that is in it.
pub fn read(text: &str) -> Result<Element, XmlFault> {
    if text.len() > MAX_XML {
        return Err(XmlFault::TooLarge);
    }
    if text.contains('\0') {
        let what = "there are NUL characters in it; if it is UTF-16, save it as UTF-8".to_owned();
        return Err(XmlFault::Syntax { line: 1, what });
    }
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut tree = Tree { lines: Lines { text, at: 0, line: 1 }, ..Tree::default() };
    loop {
        let begins = reader.buffer_position();
        let line = tree.lines.of(begins as usize);
        match reader.read_event() {
            Ok(Event::Start(start)) => tree.open(&start, line)?,
            Ok(Event::End(_)) => tree.close(),
            Ok(Event::DocType(_)) => return Err(XmlFault::DocumentType { line }),
            // Text means nothing here; an entity in it that nobody can know is a sign of a document type elsewhere.
            Ok(Event::GeneralRef(entity)) if !is_known(&entity) => {
                return Err(XmlFault::Entity { line, name: entity.escape_debug().take(40).collect() });
            }
            Ok(Event::Eof) => return tree.finish(line),
            Ok(_) => {}
            Err(error) => {
                let line = tree.lines.of(reader.error_position() as usize);
                return Err(XmlFault::Syntax { line, what: shown(&error.to_string()) });
            }
        }
    }
}

/// Names of the file, and the reader's words that repeat them: a terminal shall not obey them, and nobody reads 64 KiB.
fn shown(what: &str) -> String {
    fault::shown(what, MOST_SHOWN)
}

/// Characters of a message.
const MOST_SHOWN: usize = 300;

/// Names go into comments, messages and terminals: a line break by number would begin a line of its own there.
fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// The five entities of XML itself, and characters by number.
fn is_known(entity: &str) -> bool {
    entity.starts_with('#') || ["amp", "lt", "gt", "quot", "apos"].contains(&entity)
}

/// Counts lines as they are passed, so that a file is walked once.
#[derive(Default)]
struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: u32,
}

impl Lines<'_> {
    /// The line of a place at or behind the last one, past the blanks there.
    fn of(&mut self, place: usize) -> u32 {
        let bytes = self.text.as_bytes();
        let mut end = place.min(bytes.len());
        while bytes.get(end).is_some_and(u8::is_ascii_whitespace) {
            end += 1;
        }
        let passed = bytes.get(self.at..end).unwrap_or_default();
        self.line = self.line.saturating_add(passed.iter().filter(|&&byte| byte == b'\n').count() as u32);
        self.at = self.at.max(end);
        self.line
    }
}

#[derive(Default)]
struct Tree<'t> {
    lines: Lines<'t>,
    /// From the root to the element that is being read.
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
    attributes: usize,
}

impl Tree<'_> {
    fn open(&mut self, start: &BytesStart<'_>, line: u32) -> Result<(), XmlFault> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(XmlFault::Bound { line, what: "there are more than 100,000 elements" });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(XmlFault::Bound { line, what: "elements are more than 32 deep" });
        }
        if self.root.is_some() && self.open.is_empty() {
            return Err(XmlFault::Syntax { line, what: "a second root element".to_owned() });
        }
        let mut element = Element { name: start.name().0.to_owned(), line, ..Element::default() };
        if !is_plain(&element.name) {
            let what = format!("the name of <{}> has control characters in it", shown(&element.name));
            return Err(XmlFault::Syntax { line, what });
        }
        for attribute in start.attributes() {
            let syntax = |what: String| XmlFault::Syntax { line, what };
            let attribute = attribute.map_err(|error| syntax(shown(&error.to_string())))?;
            // Only the five entities of XML itself and characters by number are known: nothing can grow.
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| syntax(shown(&error.to_string())))?;
            self.attributes += 1;
            if value.len() > MAX_VALUE || self.attributes > MAX_ATTRIBUTES {
                return Err(XmlFault::Bound {
                    line,
                    what: "an attribute is larger than 64 KiB, or there are too many",
                });
            }
            let key = attribute.key.0;
            if !is_plain(key) || !is_plain(&value) {
                return Err(syntax(format!("{} of <{}> has control characters in it", shown(key), element.name)));
            }
            element.attributes.push((key.to_owned(), value.into_owned()));
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn finish(self, line: u32) -> Result<Element, XmlFault> {
        if let Some(open) = self.open.last() {
            let what = format!("the file ends within <{}>, which begins in line {}", open.name, open.line);
            return Err(XmlFault::Syntax { line, what });
        }
        self.root.ok_or(XmlFault::Empty)
    }
}

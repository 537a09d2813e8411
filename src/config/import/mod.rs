//! Configurations of others, told in ours: the web-server plug-in's `plugin-cfg.xml` and dscontrol scripts.
//!
//! What has no equivalent here, or another meaning, is not passed over: each such thing is a [`Remark`] with its line and
//! what to do. Text in, text out; files are the daemon's business.

mod plugin;
mod script;
mod toml_text;
mod translate;
mod xml;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

pub use script::import_script;
pub use translate::import_plugin;
pub use xml::{MAX_XML, XmlFault, latin1};

/// What an import came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imported {
    /// A configuration that can be loaded.
    pub toml: String,
    /// What whoever uses it has to know, in the order of the file.
    pub remarks: Vec<Remark>,
    /// How often the file is looked at for changes (`RefreshInterval`); `None`: never.
    pub refresh: Option<Duration>,
}

/// Something that has no equivalent, or another meaning.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Remark {
    /// From 1.
    pub line: u32,
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// Where the imported site listens; a plugin-cfg.xml leaves that to the web server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Front {
    pub address: IpAddr,
    /// Empty: port 80 if a virtual host has it or any, else the lowest that one has.
    pub ports: Vec<u16>,
}

impl Default for Front {
    fn default() -> Self {
        Self { address: IpAddr::from([0, 0, 0, 0]), ports: Vec::new() }
    }
}

/// Whether a text is XML rather than a script.
pub fn is_xml(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

#[cfg(test)]
mod tests;

//! TOML as text, with a comment above each object that says where it came from.

use std::fmt::{Display, Write};

/// A configuration being written.
#[derive(Debug, Default)]
pub struct TomlText {
    text: String,
    depth: usize,
}

impl TomlText {
    /// Begins an object of a kind: `depth` 0 is a cluster, 1 a port, 2 what is in a port.
    pub fn object(&mut self, heading: &str, depth: usize, comment: &str) {
        self.depth = depth;
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        if !comment.is_empty() {
            self.line(format_args!("# {comment}"));
        }
        self.line(format_args!("{heading}"));
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.line(format_args!("{key} = {}", quoted(value)));
    }

    pub fn number(&mut self, key: &str, value: u64) {
        self.line(format_args!("{key} = {value}"));
    }

    pub fn flag(&mut self, key: &str, value: bool) {
        self.line(format_args!("{key} = {value}"));
    }

    pub fn list(&mut self, key: &str, items: &[String]) {
        let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
        self.line(format_args!("{key} = [{}]", items.join(", ")));
    }

    /// A number, or the word `unlimited`.
    pub fn bounded(&mut self, key: &str, value: Option<u64>) {
        match value {
            Some(number) => self.number(key, number),
            None => self.text(key, "unlimited"),
        }
    }

    pub fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: impl Display) {
        let _infallible = writeln!(self.text, "{:width$}{line}", "", width = 2 * self.depth);
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

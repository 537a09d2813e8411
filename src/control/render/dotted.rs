//! IBM's lists: a title, underlined, and one `Label ...... value` per line.

use std::fmt;

use crate::control::lookup::plain;

/// A list in the making.
pub struct Dotted {
    title: &'static str,
    rows: Vec<(String, String)>,
}

impl Dotted {
    /// The title comes without its colon.
    pub fn new(title: &'static str) -> Self {
        Self { title, rows: Vec::new() }
    }

    #[must_use]
    pub fn row(self, label: impl Into<String>, value: impl fmt::Display) -> Self {
        self.rows([(label.into(), value.to_string())])
    }

    #[must_use]
    pub fn rows(mut self, rows: impl IntoIterator<Item = (String, String)>) -> Self {
        self.rows.extend(rows.into_iter().map(|(label, value)| (plain(&label), plain(&value))));
        self
    }
}

impl fmt::Display for Dotted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.title)?;
        writeln!(f, "{}", "-".repeat(self.title.chars().count() + 1))?;
        let longest = self.rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
        for (label, value) in &self.rows {
            let dots = ".".repeat(longest - label.chars().count() + LEAST_DOTS);
            writeln!(f, "{}", format!("{label} {dots} {value}").trim_end())?;
        }
        Ok(())
    }
}

/// After the longest label, as in IBM's reports.
const LEAST_DOTS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_one_column() {
        let list = Dotted::new("Port Report").row("Port number", 80).row("Method", "http").row("Silent", "");
        let wanted = "Port Report:\n------------\nPort number .. 80\nMethod ....... http\nSilent .......\n";
        assert_eq!(list.to_string(), wanted);
    }
}

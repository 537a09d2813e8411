//! IBM's tables: cells between bars, with rules of dashes around head and rows.

use std::fmt;

use crate::control::lookup::plain;

/// A table in the making. All lines have as many cells as there are columns.
pub struct Boxed {
    columns: Vec<Align>,
    head: Vec<Vec<String>>,
    rows: Vec<Vec<String>>,
}

/// Where a cell's text stands.
#[derive(Clone, Copy)]
pub enum Align {
    Left,
    Right,
}

impl Boxed {
    pub fn new(columns: &[Align]) -> Self {
        Self { columns: columns.to_vec(), head: Vec::new(), rows: Vec::new() }
    }

    /// Adds a line of the head.
    #[must_use]
    pub fn head<const N: usize>(mut self, cells: [&str; N]) -> Self {
        self.head.push(cells.iter().map(|cell| plain(cell)).collect());
        self
    }

    /// Adds a row.
    #[must_use]
    pub fn row<const N: usize>(mut self, cells: [String; N]) -> Self {
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
        self
    }

    /// Adds many rows.
    #[must_use]
    pub fn rows<const N: usize>(self, rows: impl IntoIterator<Item = [String; N]>) -> Self {
        rows.into_iter().fold(self, Self::row)
    }

    fn widths(&self) -> Vec<usize> {
        let lines = || self.head.iter().chain(&self.rows);
        let width = |column: usize| lines().filter_map(|line| line.get(column)?.chars().count().into()).max();
        (0..self.columns.len()).map(|column| width(column).unwrap_or_default()).collect()
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
        for ((cell, align), &width) in cells.iter().zip(&self.columns).zip(widths) {
            match align {
                Align::Left => write!(f, "| {cell:<width$} ")?,
                Align::Right => write!(f, "| {cell:>width$} ")?,
            }
        }
        writeln!(f, "|")
    }
}

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let rule = "-".repeat(widths.iter().map(|width| width + 3).sum::<usize>() + 1);
        writeln!(f, "{rule}")?;
        for cells in &self.head {
            self.line(f, cells, &widths)?;
        }
        writeln!(f, "{rule}")?;
        for cells in &self.rows {
            self.line(f, cells, &widths)?;
        }
        if self.rows.is_empty() { Ok(()) } else { writeln!(f, "{rule}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_in_columns() {
        let table = Boxed::new(&[Align::Left, Align::Right]).head(["SERVER", "WT"]).row(["w1".into(), "10".into()]);
        let wanted = "\
---------------
| SERVER | WT |
---------------
| w1     | 10 |
---------------
";
        assert_eq!(table.to_string(), wanted);
    }
}

//! A cell as text for the terminal.

use std::fmt::Write as _;

use super::measure::{Measure, Spread};
use super::report::{Cell, Row};

/// The cell's title, one line per row, one per ratio, the remark.
pub fn table(cell: &Cell) -> String {
    let measures: Vec<Measure> = columns(cell);
    let mut lines = vec![heading(cell, &measures)];
    lines.extend(cell.rows.iter().map(|row| line(row, cell.headline, &measures)));
    let mut text = format!("{} ({})\n", cell.title, cell.name);
    for line in aligned(&lines) {
        let _ = writeln!(text, "  {line}");
    }
    for ratio in &cell.ratios {
        let Spread { median, lower, upper, .. } = ratio.spread;
        let _ =
            writeln!(text, "  {} ÷ {}: {median:.3} (half of the rounds: {lower:.3} to {upper:.3})", ratio.of, ratio.to);
    }
    if let Some(remark) = &cell.remark {
        let _ = writeln!(text, "  {remark}");
    }
    text
}

/// Every measure that a row has; failures only where there were some.
fn columns(cell: &Cell) -> Vec<Measure> {
    let mut measures: Vec<Measure> = cell.rows.iter().flat_map(|row| row.figures.keys().copied()).collect();
    measures.sort_unstable();
    measures.dedup();
    let failed =
        cell.rows.iter().any(|row| row.figures.get(&Measure::Failures).is_some_and(|spread| spread.most > 0.0));
    measures.retain(|measure| *measure != Measure::Failures || failed);
    measures
}

fn heading(cell: &Cell, measures: &[Measure]) -> Vec<String> {
    let mut cells = vec![String::new()];
    for measure in measures {
        let unit = measure.unit();
        cells.push(if unit.is_empty() { measure.title().to_owned() } else { format!("{} {unit}", measure.title()) });
        if *measure == cell.headline {
            cells.push("(least to most)".to_owned());
        }
    }
    cells
}

fn line(row: &Row, headline: Measure, measures: &[Measure]) -> Vec<String> {
    let mut cells = vec![row.name.clone()];
    for measure in measures {
        let spread = row.figures.get(measure);
        cells.push(spread.map_or_else(|| "-".to_owned(), |spread| number(spread.median)));
        if *measure == headline {
            let range = spread.map(|spread| format!("({} to {})", number(spread.least), number(spread.most)));
            cells.push(range.unwrap_or_default());
        }
    }
    cells
}

/// Three digits that count; whole numbers from 100 on.
pub fn number(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        middle if middle < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The first column to the left, the others to the right.
fn aligned(lines: &[Vec<String>]) -> Vec<String> {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let align = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).enumerate();
        let padded = cells.map(|(index, (cell, &width))| match index {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(align).collect()
}

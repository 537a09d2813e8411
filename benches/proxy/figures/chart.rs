//! The report as a chart: a panel per cell, a bar per row, every bar with its name and its figure, so that no colour
//! has to be told from another. Each panel has a scale of its own.

use std::fmt::Write as _;

use super::measure::{Measure, Spread};
use super::report::{Buffers, Cell, Report, Row};
use super::table::number;

const MARGIN: f64 = 24.0;
/// Of the title and what stands below it.
const HEAD: f64 = 74.0;
const COLUMN: f64 = 390.0;
const GAP: f64 = 32.0;
const WIDTH: f64 = 2.0 * (MARGIN + COLUMN) + GAP;
/// Names stand left of the bars, figures right of them.
const NAME: f64 = 118.0;
const FIGURE: f64 = 66.0;
const BAR: f64 = 13.0;
const LINE: f64 = 19.0;
const PANEL_HEAD: f64 = 24.0;
const PANEL_GAP: f64 = 18.0;
/// As many characters as a line of the small print holds.
const SMALL_PRINT: usize = 128;

/// Follows the reader's choice of light or dark, on a ground of its own, so that it can be read on any page.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;font-size:12px;fill:#1f2937}\
.ground{fill:#ffffff;stroke:#d1d5db}.title{font-size:18px;font-weight:600}.small{font-size:11px;fill:#4b5563}\
.panel{font-weight:600}.bar{fill:#9ca3af}.tsuji{fill:#2563eb}.haproxy{fill:#d97706}.nginx{fill:#059669}\
.spread{stroke:#111827;stroke-width:1.5}\
@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.ground{fill:#0d1117;stroke:#374151}.small{fill:#9ca3af}\
.bar{fill:#6b7280}.tsuji{fill:#3b82f6}.haproxy{fill:#d97706}.nginx{fill:#10b981}.spread{stroke:#f9fafb}}";

/// One whole SVG file.
pub fn chart(report: &Report) -> String {
    let (mut panels, mut heights) = (String::new(), [0.0, 0.0]);
    let cells: Vec<&Cell> = report.cells.iter().filter(|cell| !cell.rows.is_empty()).collect();
    let half = cells.iter().map(|cell| height(cell)).sum::<f64>() / 2.0;
    for cell in cells {
        // The left column is filled first. A panel goes where more than half of it belongs.
        let [left, right] = &mut heights;
        let is_left = *right == 0.0 && *left + height(cell) / 2.0 <= half;
        let (x, used) = if is_left { (MARGIN, left) } else { (MARGIN + COLUMN + GAP, right) };
        panels += &panel(cell, x, MARGIN + HEAD + *used);
        *used += height(cell);
    }
    let small_print = small_print(report);
    let lines = wrapped(&small_print, SMALL_PRINT);
    let bottom = MARGIN + HEAD + heights[0].max(heights[1]);
    let height = bottom + 16.0 * lines.len() as f64 + MARGIN / 2.0;
    let mut svg = head(height, report.method.peers_buffers);
    svg += &panels;
    for (index, line) in lines.iter().enumerate() {
        svg += &text("small", MARGIN, bottom + 12.0 + 16.0 * index as f64, line);
    }
    svg + "</svg>\n"
}

fn head(height: f64, buffers: Buffers) -> String {
    let title = "Tsuji beside HAProxy and nginx";
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        WIDTH - 1.0,
        height - 1.0,
    );
    svg += &text("title", MARGIN, MARGIN + 16.0, title);
    let below = "CPU time of the proxy per request, in microseconds, and memory per idle client: shorter is better";
    svg += &text("", MARGIN, MARGIN + 38.0, below);
    let explained = "Bars are medians, thin lines go from the least to the most of all rounds";
    svg + &text("small", MARGIN, MARGIN + 56.0, &format!("{}. {explained}.", buffers.title()))
}

fn height(cell: &Cell) -> f64 {
    PANEL_HEAD + LINE * cell.rows.len() as f64 + PANEL_GAP
}

fn panel(cell: &Cell, x: f64, y: f64) -> String {
    let mut svg = text("panel", x, y + 12.0, &cell.title);
    let most = cell.rows.iter().filter_map(|row| figure(row, cell.headline)).map(|spread| spread.most);
    let most = most.fold(f64::MIN_POSITIVE, f64::max);
    let scale = (COLUMN - NAME - FIGURE) / most;
    for (index, row) in cell.rows.iter().enumerate() {
        svg += &bar(row, cell.headline, scale, (x, y + PANEL_HEAD + LINE * index as f64));
    }
    svg
}

/// Name, bar, spread and figure of one row.
fn bar(row: &Row, headline: Measure, scale: f64, (x, y): (f64, f64)) -> String {
    let baseline = y + BAR - 2.5;
    let mut svg = text("", x, baseline, &row.name);
    let Some(Spread { median, least, most, .. }) = figure(row, headline) else { return svg };
    let (start, middle) = (x + NAME, y + BAR / 2.0);
    let at = |value: f64| start + value.max(0.0) * scale;
    let colour = row.name.split(',').next().unwrap_or_default();
    let _ = writeln!(
        svg,
        "<rect class=\"bar {}\" x=\"{start:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>",
        escaped(colour),
        at(median) - start,
    );
    if row.rounds.len() > 1 {
        let (from, to) = (at(least), at(most));
        let _ = writeln!(
            svg,
            "<line class=\"spread\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>"
        );
    }
    svg + &text("", at(most) + 6.0, baseline, &format!("{} {}", number(median), headline.unit()))
}

fn figure(row: &Row, headline: Measure) -> Option<Spread> {
    row.figures.get(&headline).copied()
}

fn small_print(report: &Report) -> String {
    let (machine, method) = (&report.machine, &report.method);
    let versions: Vec<String> = machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "{}. {}, {} CPUs, Linux {}, {}: the proxy on one, load and servers on the others. {} rounds of {} s ({} of {} s \
         where a product is set against itself) in random order, each with fresh processes.",
        versions.join(", "),
        machine.processor,
        machine.cpus,
        machine.kernel,
        machine.system,
        method.rounds,
        method.seconds,
        method.precise_rounds,
        method.precise_seconds,
    )
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn text(class: &str, x: f64, y: f64, text: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<text{class} x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! dscontrol scripts as TOML: all lines that can be kept.

use super::{Imported, Remark};
use crate::config::{Document, Faults};

/// Rounds in which faulty lines are left out; each round finds those that depended on the ones before.
const MOST_ROUNDS: usize = 20;

/// Reads a script of dscontrol commands. Lines that cannot be kept are remarks; what depends on them goes too. `Err`: nothing is
/// left of it.
pub fn import_script(text: &str, file: &str) -> Result<Imported, Faults> {
    // The name decides how a text is read, and this one is a script whatever it is called.
    let name = format!("{file}.script");
    let mut lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    let mut remarks = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let faults = match Document::parse(&lines.join("\n"), &name) {
            Ok(document) => return Ok(imported(&document, remarks)),
            Err(faults) => faults,
        };
        let mut left_out = false;
        for fault in &faults {
            let Some(place) = &fault.place else { continue };
            let Some(line) = lines.get_mut((place.line as usize).saturating_sub(1)) else { continue };
            left_out |= !line.is_empty();
            *line = "";
            remarks.push(Remark { line: place.line, text: format!("left out: {}", fault.message) });
        }
        if !left_out || lines.iter().all(|line| line.trim().is_empty()) {
            return Err(faults);
        }
    }
    Document::parse(&lines.join("\n"), &name).map(|document| imported(&document, remarks))
}

fn imported(document: &Document, mut remarks: Vec<Remark>) -> Imported {
    let warnings = document.resolve().map(|resolved| resolved.warnings).unwrap_or_default();
    remarks.extend(
        warnings.into_iter().map(|warning| Remark {
            line: warning.place.as_ref().map_or(0, |place| place.line),
            text: warning.message,
        }),
    );
    remarks.sort();
    remarks.dedup();
    Imported { toml: document.to_toml(), remarks, refresh: None }
}

//! dscontrol scripts as TOML: all lines that can be kept.

use super::{Imported, Remark};
use crate::config::read_script::touches_too_much;
use crate::config::{Document, Fault, Faults};

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
        let faults = match read(&lines, &name) {
            Ok((document, warnings)) => return Ok(imported(&document, warnings, remarks)),
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
        // Without this line the next would be the one too many, and so on through all rounds.
        let too_much = faults.iter().find(|fault| fault.message == touches_too_much());
        if let Some(place) = too_much.and_then(|fault| fault.place.as_ref()) {
            lines.truncate((place.line as usize).saturating_sub(1));
        }
        if !left_out || lines.iter().all(|line| line.trim().is_empty()) {
            return Err(faults);
        }
    }
    read(&lines, &name).map(|(document, warnings)| imported(&document, warnings, remarks))
}

/// What the lines say, if it can be loaded, and what their author should know.
fn read(lines: &[&str], name: &str) -> Result<(Document, Vec<Fault>), Faults> {
    let document = Document::parse(&lines.join("\n"), name)?;
    let warnings = document.resolve()?.warnings;
    Ok((document, warnings))
}

fn imported(document: &Document, warnings: Vec<Fault>, mut remarks: Vec<Remark>) -> Imported {
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

//! `tsuji import`: another product's configuration as one of ours.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::import::{Front, Imported, import_plugin, import_script, is_xml};

use super::files;

/// Prints the TOML on standard output and the remarks on standard error. Exit code 1 when nothing could be read.
pub fn run(path: &Path, front: Front) -> ExitCode {
    match translate(path, &front) {
        Ok(imported) => {
            imported.remarks.iter().for_each(|remark| eprintln!("{}: {remark}", path.display()));
            match io::stdout().write_all(imported.toml.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    eprintln!("tsuji: {error}");
                    ExitCode::FAILURE
                }
                _ => ExitCode::SUCCESS,
            }
        }
        Err(faults) => {
            eprintln!("{faults}");
            ExitCode::FAILURE
        }
    }
}

fn translate(path: &Path, front: &Front) -> Result<Imported, String> {
    let text = files::read(path).map_err(|error| error.to_string())?;
    let name = path.to_string_lossy();
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
        return Err(format!("{name} is TOML already; `tsuji check` looks for faults in it"));
    }
    let imported = if is_xml(&text) { import_plugin(&text, &name, front) } else { import_script(&text, &name) };
    imported.map_err(|faults| faults.to_string())
}

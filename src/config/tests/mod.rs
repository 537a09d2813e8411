//! Stories and laws of the whole room.

mod applications;
mod change;
mod files;
mod laws;
mod pair;
mod ranges;
mod script;
mod toml;
mod warnings;

use super::{Config, Document};

const FILE: &str = "/etc/tsuji/tsuji.toml";

fn faults(text: &str, file: &str) -> Vec<String> {
    let faults = match Document::parse(text, file) {
        Ok(document) => document.resolve().expect_err("the text is faulty"),
        Err(faults) => faults,
    };
    let strip = |fault: &super::Fault| fault.to_string().replace(&format!("{file}:"), "");
    faults.iter().map(strip).collect()
}

fn document(text: &str, file: &str) -> Document {
    Document::parse(text, file).unwrap_or_else(|faults| panic!("{faults}"))
}

fn config(text: &str, file: &str) -> Config {
    document(text, file).resolve().unwrap_or_else(|faults| panic!("{faults}")).config
}

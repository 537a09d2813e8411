//! Stories and laws of the whole room.

mod toml;

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

fn config(text: &str, file: &str) -> Config {
    let document = Document::parse(text, file).unwrap_or_else(|faults| panic!("{faults}"));
    document.resolve().unwrap_or_else(|faults| panic!("{faults}")).config
}

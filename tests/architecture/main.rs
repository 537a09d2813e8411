//! The house rules that a machine can hold: which room may know which, what pure rooms keep away from, and that rooms,
//! files and dependencies say what they are for.
//!
//! The check reads the sources as text. It does not know what a macro makes or what a glob import brings along; it is there
//! to catch the honest mistake, not the cunning one.

#![allow(clippy::indexing_slicing, reason = "a test that meets the unexpected should stop right there")]

mod manifest;
mod rooms;
mod rules;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source of the library and the programs, by its path under `src`. What only tests see is left out.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source can be read");
        let below = path.strip_prefix(root().join("src")).expect("it lies under src");
        Source::new(below.to_str().expect("its name is plain"), &text)
    };
    let all: Vec<Source> = files.into_iter().map(read).collect();
    let for_tests: Vec<String> = all.iter().flat_map(Source::test_modules).collect();
    all.into_iter().filter(|source| !source.is_for_tests(&for_tests)).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the folder can be read") {
        let path = entry.expect("its entries can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// All faults at once, so that they are mended in one go.
#[track_caller]
fn assert_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn check_all(rule: fn(&Source) -> Vec<String>) -> Vec<String> {
    let sources = sources();
    assert!(sources.len() > 20, "the sources are found");
    sources.iter().flat_map(rule).collect()
}

#[test]
fn rooms_import_in_one_direction() {
    assert_none(check_all(rules::arrows));
}

#[test]
fn pure_rooms_read_no_clock_and_touch_nothing() {
    assert_none(check_all(rules::purity));
}

#[test]
fn unsafe_lives_in_sys() {
    assert_none(check_all(rules::safety));
}

#[test]
fn rooms_say_what_they_are_for() {
    assert_none(check_all(rules::paragraph));
}

#[test]
fn files_have_one_subject() {
    assert_none(check_all(rules::length));
}

#[test]
fn dependencies_say_why_they_are_there() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml can be read");
    assert_none(manifest::without_reason(&manifest));
}

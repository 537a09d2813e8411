//! The files that are shipped.

use std::path::{Path, PathBuf};

use super::super::schema::OBJECTS;
use crate::config::{Document, Resolved};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn load(path: &Path) -> Resolved {
    let text = std::fs::read_to_string(path).expect("is readable");
    let document = Document::parse(&text, &path.to_string_lossy()).unwrap_or_else(|faults| panic!("{faults}"));
    document.resolve().unwrap_or_else(|faults| panic!("{faults}"))
}

fn configurations(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("is there") {
        let path = entry.expect("is readable").path();
        if path.is_dir() {
            found.extend(configurations(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml" || extension == "cfg") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_shipped_configuration_loads() {
    let files = configurations(&shipped());
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        // The reference shows the default of `interfaces`, with which its mac port has nothing to do.
        let expected = |warning: &String| warning.contains("`interfaces` of the executor names none");
        let mut warnings: Vec<String> = load(&file).warnings.iter().map(ToString::to_string).collect();
        warnings.retain(|warning| !expected(warning));
        assert_eq!(warnings, [""; 0]);
    }
}

#[test]
fn the_sorry_page_lies_beside_its_configuration() {
    let resolved = load(&shipped().join("examples/sorry-page.toml"));
    let page = resolved.config.clusters[0].ports[0].sorry.path.clone().expect("is set");
    assert_eq!(page, shipped().join("examples/sorry"));
    assert!(page.join("index.html").is_file());
}

/// `key =` or `# key =`, under the heading of its object.
#[test]
fn the_reference_names_every_keyword() {
    let text = std::fs::read_to_string(shipped().join("tsuji.toml")).expect("is readable");
    let mut named = std::collections::BTreeSet::new();
    let mut object = String::new();
    for line in text.lines().map(|line| line.trim_start_matches([' ', '#'])) {
        if let Some(heading) = line.strip_prefix('[') {
            let path = heading.trim_start_matches('[').split(']').next().expect("a heading");
            object = path.rsplit('.').next().expect("a word").to_owned();
        } else if let Some((key, _)) = line.split_once(" =") {
            named.insert((object.clone(), key.to_owned()));
        }
    }
    // Said once, at the executor.
    let said_above = |schema: &str, word: &str| schema == "cluster" && super::super::schema::INHERITED.contains(&word);
    for schema in OBJECTS {
        for keyword in schema.keywords.iter().filter(|keyword| !said_above(schema.word, keyword.word)) {
            let entry = (schema.word.to_owned(), keyword.word.to_owned());
            assert!(named.contains(&entry), "config/tsuji.toml does not name {} of {}", keyword.word, schema.word);
        }
    }
}

/// The defaults that the reference shows are the defaults.
#[test]
fn the_reference_shows_true_defaults() {
    let text = std::fs::read_to_string(shipped().join("tsuji.toml")).expect("is readable");
    let settings: String =
        text.lines().take_while(|line| !line.starts_with("[[cluster]]")).map(|line| format!("{line}\n")).collect();
    let shown = Document::parse(&settings, "x.toml").expect("loads").resolve().expect("is right");
    let silent = Document::default().resolve().expect("is right");
    assert_eq!(shown.config, silent.config);
}

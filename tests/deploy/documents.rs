//! The operators' pages: what they point to is there, and the vocabulary of errors is complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tsuji::message::ErrorReason;

use super::{file, text};

/// README, the pages of `docs/` and those that they point to.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(file("docs")).expect("docs can be read").map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "deploy/README.md"].map(file));
    pages
}

/// Targets of `[text](target)`, and words in backticks that name a file of ours.
fn targets(page: &str) -> Vec<&str> {
    page.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|target| !target.contains(' ')).collect()
}

/// What a heading is called in links: lower case, blanks as `-`, without other characters.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
    };
    headings.map(slug).collect()
}

fn is_broken(page: &Path, target: &str) -> bool {
    if target.contains("://") {
        return false;
    }
    let (name, anchor) = target.split_once('#').map_or((target, None), |(name, anchor)| (name, Some(anchor)));
    let there = if name.is_empty() { page.to_owned() } else { page.with_file_name("").join(name) };
    match (there.exists(), anchor) {
        (false, _) => true,
        (true, None) => false,
        (true, Some(anchor)) => !anchors(&fs::read_to_string(&there).expect("a page")).contains(anchor),
    }
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page can be read");
        for target in targets(&text) {
            seen += 1;
            if is_broken(&page, target) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(seen > 10, "the pages have links");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_index() {
    let index = text("docs/README.md");
    for entry in fs::read_dir(file("docs")).expect("docs can be read") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let is_page = name.ends_with(".md") && name != "README.md";
        assert!(!is_page || index.contains(&format!("({name})")), "{name} is not in docs/README.md");
    }
}

/// One row per reason, with its status, and none that nobody sends.
#[test]
fn every_reason_of_an_error_is_explained() {
    let page = text("docs/http.md");
    let (_, table) = page.split_once("| Reason | Status |").expect("the table");
    let rows: BTreeSet<(&str, &str)> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split_once("` | "))
        .filter_map(|(word, rest)| Some((word, rest.split(' ').next()?)))
        .collect();
    let statuses: Vec<(&str, String)> =
        ErrorReason::ALL.into_iter().map(|reason| (reason.word(), reason.status().as_str().to_owned())).collect();
    let reasons: BTreeSet<(&str, &str)> = statuses.iter().map(|(word, status)| (*word, status.as_str())).collect();
    assert_eq!(rows, reasons);
}

#[test]
fn every_metric_is_explained() {
    let (page, sample) = (text("docs/monitoring.md"), text("tests/metrics/small.txt"));
    let families = sample.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    // Figures of the data path come from the daemon; the sample has two of a test's own.
    let missing: Vec<&str> =
        families.filter(|name| !name.starts_with("tsuji_proxy_") && !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/monitoring.md does not explain {missing:?}");
}

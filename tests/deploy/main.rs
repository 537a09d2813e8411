//! What is installed beside the programs, judged by the programs that will read it.

#[path = "../support/tools.rs"]
mod tools;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tools::{assert_content, run};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(file(path)).expect("the file can be read")
}

fn promtool(arguments: &[&str], path: &str) {
    let path = file(path);
    let arguments = [arguments, &[path.to_str().expect("a plain path")]].concat();
    let Some(output) = run("promtool", &arguments, b"") else { return };
    assert_content(&format!("promtool {}", arguments.join(" ")), &output);
}

#[test]
fn promtool_accepts_the_configuration() {
    promtool(&["check", "config"], "deploy/prometheus/prometheus.yml");
}

#[test]
fn promtool_accepts_the_rules() {
    promtool(&["check", "rules"], "deploy/prometheus/tsuji.rules.yml");
}

#[test]
fn alerts_fire_when_they_should() {
    promtool(&["test", "rules"], "deploy/prometheus/tsuji.test.yml");
}

/// An alert on a metric that nobody exports never fires, and promtool cannot know.
#[test]
fn alerts_are_about_metrics_that_exist() {
    let page = text("tests/metrics/small.txt");
    let exported: BTreeSet<&str> = page.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let rules = text("deploy/prometheus/tsuji.rules.yml");
    let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named: BTreeSet<&str> = rules
        .split(|c| !is_part_of_name(c))
        .filter(|word| word.starts_with("tsuji_") || word.starts_with("process_"))
        .collect();
    assert!(named.len() > 10, "the rules name metrics");
    let unknown: Vec<_> = named.difference(&exported).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not on the page tests/metrics/small.txt");
}

#[test]
fn every_alert_says_what_to_do() {
    let rules = text("deploy/prometheus/tsuji.rules.yml");
    for alert in rules.split("- alert: ").skip(1) {
        let name = alert.lines().next().expect("a name");
        for field in ["severity:", "summary:", "description:", "action:"] {
            assert!(alert.contains(field), "{name} has no {field}");
        }
    }
}

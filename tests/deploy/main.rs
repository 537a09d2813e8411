//! What comes with the programs, judged by those who will read it.

mod alert_scripts;
mod documents;
mod packages;
#[path = "../support/tools.rs"]
mod tools;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

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

/// Runs a program of systemd with an option that those before 250 do not have.
fn run_of_systemd_250(program: &str, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let version = run(program, &["--version"], b"")?.stdout;
    let version = String::from_utf8_lossy(&version);
    let number: Option<u32> = version.split([' ', '\n']).nth(1).and_then(|number| number.parse().ok());
    if number < Some(250) {
        eprintln!("skipped: {program} is older than 250");
        return None;
    }
    run(program, arguments, input)
}

/// The unit with a program that is there in place of ours, which may not be installed; with what adds to it, or without.
fn unit_for_this_machine(directory: &Path, additions: &[&str]) -> PathBuf {
    let unit = text("deploy/systemd/tsuji.service");
    let installed = "ExecStart=/usr/bin/tsuji run";
    assert!(unit.contains(installed), "the unit starts the daemon");
    let path = directory.join("tsuji.service");
    fs::write(&path, unit.replace(installed, "ExecStart=/bin/true run")).expect("the unit can be written");
    let beside = directory.join("tsuji.service.d");
    fs::create_dir(&beside).expect("a directory");
    for name in additions {
        let addition = text(&format!("deploy/systemd/tsuji.service.d/{name}"));
        fs::write(beside.join(name), addition).expect("an addition can be written");
    }
    path
}

/// What systemd makes of the unit with these additions; below `threshold` in tenths of its exposure.
fn check_unit(additions: &[&str], threshold: u32) {
    let directory = tempfile::tempdir().expect("a directory");
    let unit = unit_for_this_machine(directory.path(), additions);
    let unit = unit.to_str().expect("a plain path");
    let Some(output) = run("systemd-analyze", &["verify", "--man=no", unit], b"") else { return };
    assert_content("systemd-analyze verify", &output);
    // What it does not know it only warns of.
    let warnings = String::from_utf8_lossy(&output.stderr);
    assert!(!warnings.contains("tsuji.service"), "{warnings}");
    let threshold = format!("--threshold={threshold}");
    let arguments = ["security", "--offline=yes", "--no-pager", &threshold, unit];
    let Some(output) = run_of_systemd_250("systemd-analyze", &arguments, b"") else { return };
    assert_content(&format!("systemd-analyze security {threshold}"), &output);
    let seen = String::from_utf8_lossy(&output.stdout);
    let has_packet_sockets = seen.lines().any(|line| line.contains("AF_PACKET") && line.starts_with('✗'));
    assert_eq!(has_packet_sockets, additions.contains(&MAC_FORWARDING), "additions are read: {seen}");
}

/// In tenths, as systemd counts it; a bare unit has 96.
const MOST_EXPOSED: u32 = 20;

const MAC_FORWARDING: &str = "mac-forwarding.conf";

#[test]
fn systemd_understands_the_unit_and_it_exposes_little() {
    check_unit(&[], MOST_EXPOSED);
}

#[test]
fn systemd_understands_what_mac_forwarding_adds() {
    check_unit(&[MAC_FORWARDING], MOST_EXPOSED);
}

#[test]
fn systemd_understands_what_a_pair_adds() {
    check_unit(&[MAC_FORWARDING, "pair.conf"], MOST_EXPOSED);
}

#[test]
fn systemd_understands_the_user() {
    let users = fs::read(file("deploy/systemd/tsuji.sysusers")).expect("the file can be read");
    // Read from the input, for an empty root, and only pretended: this machine's users stay as they are.
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("etc")).expect("its etc");
    let root = format!("--root={}", root.path().display());
    let Some(output) = run_of_systemd_250("systemd-sysusers", &["--dry-run", &root, "-"], &users) else { return };
    assert_content("systemd-sysusers", &output);
}

//! The samples of alert scripts: for any POSIX shell, and with nothing to be gained from what servers say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tsuji::dispatcher::AlertEvent;

use super::{assert_content, file, run, text};

fn samples() -> Vec<(AlertEvent, PathBuf)> {
    AlertEvent::SERVERS.map(|event| (event, file(&format!("deploy/scripts/{}.sample", event.script())))).to_vec()
}

/// For all scripts of a pair.
fn role_sample() -> PathBuf {
    file("deploy/scripts/highavailChange.sample")
}

#[test]
fn a_change_of_role_is_written_to_the_log() {
    let programs = programs();
    let mut command = Command::new("/bin/sh");
    command.arg(role_sample()).args(["goActive", "10.0.0.1"]).env_clear().env("PATH", programs.path());
    command.env("TSUJI_FROM", "standby").env("TSUJI_TO", "active").env("TSUJI_TIME", "2026-11-27T08:15:00Z");
    command.env("TSUJI_REASON", "the partner fell silent").env("TSUJI_PRIMARYHOST", "10.0.0.1");
    let output = command.output().expect("a shell is everywhere");
    assert_content("highavailChange", &output);
    let called = fs::read_to_string(programs.path().join("called")).unwrap_or_default();
    let text = "goActive 10.0.0.1: standby -> active: the partner fell silent";
    assert!(called.starts_with("logger\n-p\n") && called.contains(text), "{called}");
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn there_is_a_sample_for_each_alert_and_shells_understand_it() {
    for (_, path) in samples() {
        let text = fs::read_to_string(&path).expect("a sample");
        assert!(text.starts_with("#!/bin/sh\n"), "{}", path.display());
        let output = run("sh", &["-n", plain(&path)], b"").expect("a shell is everywhere");
        assert_content(&format!("sh -n {}", path.display()), &output);
    }
}

#[test]
fn shellcheck_has_nothing_to_say() {
    let paths: Vec<PathBuf> = samples().into_iter().map(|(_, path)| path).chain([role_sample()]).collect();
    let paths: Vec<&str> = paths.iter().map(|path| plain(path)).collect();
    let arguments = [&["--shell=sh"], paths.as_slice()].concat();
    let Some(output) = run("shellcheck", &arguments, b"") else { return };
    assert_content("shellcheck", &output);
}

/// A directory of programs that note how they were called, one word a line.
fn programs() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for program in ["logger", "mail", "curl", "dscontrol"] {
        let path = directory.path().join(program);
        let log = directory.path().join("called");
        let body = format!("#!/bin/sh\nprintf '%s\\n' {program} \"$@\" >>{}\n", log.display());
        fs::write(&path, body).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    directory
}

/// Runs this script as the daemon would, but with those programs; what they were called with.
fn called(script: &str, event: AlertEvent) -> (Output, String) {
    let programs = programs();
    let arguments = ["shop", "9080", "w1"];
    let count = if event.is_of_port() { 2 } else { 3 };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, event.script()]).args(arguments.iter().take(count)).env_clear();
    command.env("PATH", programs.path()).env("TSUJI_SERVER", "w1").env("TSUJI_TIME", "2026-11-27T08:15:00Z");
    command.env("TSUJI_REASON", "tls ($(touch x); `id` \"quoted\" &evil=1)");
    let output = command.output().expect("a shell is everywhere");
    (output, fs::read_to_string(programs.path().join("called")).unwrap_or_default())
}

#[test]
fn samples_write_to_the_log_and_nowhere_else_at_first() {
    for (event, path) in samples() {
        let (output, called) = called(&fs::read_to_string(&path).expect("a sample"), event);
        assert_content(event.script(), &output);
        let words: Vec<&str> = called.lines().collect();
        assert_eq!((words[0], words[1], words.len()), ("logger", "-p", 7), "{called}");
        assert!(output.stderr.is_empty() && output.stdout.is_empty(), "{output:?}");
        let tells_why = event != AlertEvent::ManagerClear;
        assert_eq!(words[6].contains("tls ($(touch x); `id` \"quoted\" &evil=1)"), tells_why, "{called}");
    }
}

#[test]
fn what_is_filled_in_is_used() {
    for (event, path) in samples() {
        let sample = fs::read_to_string(&path).expect("a sample");
        let filled = sample
            .replace("\nmail_to=\n", "\nmail_to=ops@example.com\n")
            .replace("\nwebhook=\n", "\nwebhook=https://hooks.example.com/x\n")
            .replace("\nmonitored=\n", "\nmonitored=9080\n");
        let (output, called) = called(&filled, event);
        assert_content(event.script(), &output);
        let has = |program: &str| called.lines().any(|line| line == program);
        assert!(has("mail") && has("ops@example.com") && has("curl") && has("https://hooks.example.com/x"), "{called}");
        let steered = match event {
            AlertEvent::ManagerAlert => "dscontrol\nserver\ndown\nshop@80@web1+web2\n",
            AlertEvent::ManagerClear => "dscontrol\nserver\nup\nshop@80@web1+web2\n",
            _ => "",
        };
        // First of all: whoever is told by mail may take as long as he likes.
        assert!(called.starts_with(steered) && has("dscontrol") != steered.is_empty(), "{called}");
    }
}

/// Another port than the one that is watched moves nobody.
#[test]
fn the_recipe_is_about_one_port() {
    let sample = text("deploy/scripts/managerAlert.sample").replace("\nmonitored=\n", "\nmonitored=9081\n");
    let (_, called) = called(&sample, AlertEvent::ManagerAlert);
    assert!(!called.contains("dscontrol"), "{called}");
}

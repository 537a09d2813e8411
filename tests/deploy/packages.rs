//! `tests/setup/packages.sh`, which changes the machine: told on an imagined one, with an `apt-get` and an `id` of our own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A machine without the wanted programs.
struct Machine {
    root: TempDir,
}

impl Machine {
    /// `apt_get` is the body of its apt-get; `$POLICY` is where the policy of services stands.
    fn new(uid: u32, apt_get: &str) -> Self {
        let machine = Self { root: tempfile::tempdir().expect("a directory") };
        fs::create_dir(machine.path("bin")).expect("bin");
        for tool in ["bash", "sh", "timeout", "mktemp", "ln", "rm", "chmod", "grep", "sleep"] {
            let real = ["/usr/bin", "/bin"].iter().map(|bin| Path::new(bin).join(tool)).find(|path| path.exists());
            symlink(real.expect("a tool of every Debian"), machine.path("bin").join(tool)).expect("a link");
        }
        machine.program("bin/id", &format!("echo {uid}"));
        machine.program("bin/apt-get", &format!("echo \"$@\" >>\"$ROOT/asked\"\n{apt_get}"));
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn program(&self, name: &str, body: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{body}\n")).expect("a program");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/bin/bash");
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup/packages.sh"))
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("ROOT", self.root.path())
            .env("TMPDIR", self.root.path())
            .env("POLICY", self.path("policy-rc.d"))
            .env("TSUJI_POLICY_RC_D", self.path("policy-rc.d"));
        command
    }

    /// Runs the script, which must end well, and returns what it said.
    fn set_up(&self) -> String {
        let output = self.command().output().expect("the script runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        said
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.path("asked")).unwrap_or_default()
    }

    /// Whatever lies beside the imagined programs.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.path()).expect("the directory");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.retain(|name| name != "bin" && name != "asked");
        names
    }
}

/// Notes what a maintainer script would be told while packages are installed.
const ASK_POLICY: &str = "\"$POLICY\" prometheus start; echo \"policy $?\" >>\"$ROOT/asked\"";

#[test]
fn services_are_forbidden_while_packages_are_installed_and_never_after() {
    let machine = Machine::new(0, ASK_POLICY);
    assert_eq!(machine.set_up(), "");
    assert!(machine.asked().contains("install --no-install-recommends prometheus"), "{}", machine.asked());
    assert_eq!(machine.asked().matches("policy 101").count(), 2, "{}", machine.asked());
    assert_eq!(machine.left(), [""; 0]);
}

#[test]
fn a_failure_is_one_line_and_leaves_nothing_behind() {
    let machine = Machine::new(0, "echo 'E: no network' >&2; exit 100");
    let said = machine.set_up();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("prometheus") && said.contains("E: no network") && said.contains("left out"), "{said}");
    assert_eq!(machine.left(), [""; 0]);
}

#[test]
fn an_interrupted_installation_takes_its_policy_along() {
    let machine = Machine::new(0, "until [ -e \"$ROOT/go\" ]; do sleep 0.01; done; exit 100");
    let mut script = machine.command().spawn().expect("the script runs");
    while machine.asked().is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(machine.path("policy-rc.d").exists(), "services are forbidden now");
    let killed = Command::new("kill").arg(script.id().to_string()).status().expect("kill runs");
    assert!(killed.success());
    fs::write(machine.path("go"), "").expect("apt-get ends");
    assert_eq!(script.wait().expect("the script ends").code(), Some(128 + 15));
    assert_eq!(machine.left(), ["go"]);
}

#[test]
fn a_policy_that_is_there_stays_as_it_is() {
    let forbids = Machine::new(0, ASK_POLICY);
    forbids.program("policy-rc.d", "exit 101");
    assert_eq!(forbids.set_up(), "");
    assert_eq!(forbids.left(), ["policy-rc.d"]);

    let allows = Machine::new(0, ASK_POLICY);
    allows.program("policy-rc.d", "exit 0");
    let said = allows.set_up();
    assert!(said.contains("would let their services start"), "{said}");
    assert_eq!((allows.asked(), allows.left()), (String::new(), vec!["policy-rc.d".to_owned()]));
}

#[test]
fn others_may_want_other_programs() {
    let machine = Machine::new(0, ASK_POLICY);
    let mut command = machine.command();
    // sleep is there; the others are not.
    command.args(["bench", "promtool:prometheus", "sleep:coreutils", "wrk:wrk"]);
    assert!(command.status().expect("the script runs").success());
    assert!(machine.asked().contains("install --no-install-recommends prometheus wrk\n"), "{}", machine.asked());

    let poor = Machine::new(1000, "exit 100");
    let output = poor.command().args(["bench", "wrk:wrk"]).output().expect("the script runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("bench: missing Debian packages: wrk ") && said.lines().count() == 1, "{said}");
}

#[test]
fn others_than_root_are_told_what_is_missing() {
    let machine = Machine::new(1000, "exit 100");
    let said = machine.set_up();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("prometheus curl") && said.contains("apt-get install"), "{said}");
    assert_eq!(machine.asked(), "");
}

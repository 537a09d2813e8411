//! The program `dscontrol` as shells and scripts see it. No daemon is needed.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn dscontrol(arguments: &[&str], input: &str) -> Output {
    let nowhere = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(env!("CARGO_BIN_EXE_dscontrol"))
        .args(arguments)
        .env("TSUJI_SOCKET", nowhere.path().join("control.sock"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dscontrol starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A program that ends early does not read its input.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("dscontrol ends")
}

fn check(arguments: &[&str], input: &str, code: i32, stdout: &str, stderr: &str) {
    let output = dscontrol(arguments, input);
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let story = format!("{arguments:?} {input:.20?}: {output:?}");
    assert_eq!(output.status.code(), Some(code), "{story}");
    assert!(told(&output.stdout).contains(stdout), "{story}");
    assert!(told(&output.stderr).contains(stderr), "{story}");
}

#[test]
fn exit_codes_and_streams() {
    check(&["help"], "", 0, "dscontrol port add C:P", "");
    check(&["he", "f"], "", 0, "Saves what runs", "");
    check(&["--version"], "", 0, "dscontrol 0", "");
    check(&["status"], "", 1, "", "tsuji is not running or listens elsewhere: cannot connect to ");
    check(&["status", "--json"], "", 1, "\"outcome\": \"refused\"", "");
    check(&["--socket", "/etc/hostname", "status"], "", 1, "", "cannot connect to /etc/hostname");
    check(&["--host", "other", "status"], "", 1, "", "--host is not there yet");
    check(&["--nonsense"], "", 2, "", "--nonsense");
    check(&["server", &"x".repeat(100_000)], "", 2, "", "at most 65536 are allowed");
}

#[test]
fn lines_of_standard_input() {
    check(&[], "", 0, "", "");
    check(&[], "dscontrol help file\nexit\nstatus\n", 0, "file save NAME", "");
    check(&[], "status\nhelp\n", 1, "dscontrol port add", "not running");
    check(&[], &format!("{}\nhelp\n", "x".repeat(10 << 20)), 2, "dscontrol port add", "this line is longer");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut child = Command::new(env!("CARGO_BIN_EXE_dscontrol"));
    let output = child.arg("help").stdout(writer).stderr(Stdio::piped()).output().expect("dscontrol ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

//! Programs of the system that tests ask for their opinion.

use std::io::{ErrorKind, Write};
use std::process::{Command, Output, Stdio};

/// Runs a program with this input. `None`, with one line that says so, where the program is not installed.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = command.spawn();
    if started.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        eprintln!("skipped: {program} is not installed here");
        return None;
    }
    let mut child = started.expect("the program starts");
    let mut stdin = child.stdin.take().expect("the input is a pipe");
    // A program that is content before it has read everything closes its input: its answer still counts.
    let written = stdin.write_all(input).or_else(|error| match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    });
    written.expect("the program takes its input");
    drop(stdin);
    Some(child.wait_with_output().expect("its output can be read"))
}

/// Fails with everything the program said if it was not content.
#[track_caller]
pub fn assert_content(what: &str, output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{out}{err}", output.status);
}

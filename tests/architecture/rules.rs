//! The rules, each from a source to its faults.

use super::rooms::Room;
use super::source::{CodePath, Source};

/// Imports of rooms that this room may not know.
pub fn arrows(source: &Source) -> Vec<String> {
    if source.path == "lib.rs" {
        return Vec::new();
    }
    let Some(room) = Room::named(source.room()) else {
        return vec![format!(
            "src/{}: the room `{}` is not in the plan, tests/architecture/rooms.rs",
            source.path,
            source.room()
        )];
    };
    let wrong = |path: &CodePath| {
        let other = room_named_by(source, path)?;
        (!room.may_know(&other)).then(|| fault(source, path.line, &format!("`{}` may not know `{other}`", room.name)))
    };
    source.paths().iter().filter_map(wrong).collect()
}

/// The room that a path leads to, if it starts from the crate.
fn room_named_by(source: &Source, path: &CodePath) -> Option<String> {
    let mut parts = path.parts.iter().map(String::as_str).peekable();
    match *parts.peek()? {
        "crate" => parts.nth(1),
        // The programs are crates of their own.
        "tsuji" if source.room() == "bin" => parts.nth(1),
        "super" => {
            let ups = path.parts.iter().take_while(|part| *part == "super").count();
            (ups >= source.module().len()).then(|| parts.nth(ups)).flatten()
        }
        _ => None,
    }
    // Below the crate's root there are rooms only; a name with a capital or a macro would be an item of lib.rs.
    .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
    .map(str::to_owned)
}

/// Clocks, sockets, files, tasks and logs in a pure room.
pub fn purity(source: &Source) -> Vec<String> {
    let pure = Room::named(source.room()).is_some_and(|room| room.is_pure_at(&source.path));
    if !pure {
        return Vec::new();
    }
    let wrong = |path: &CodePath| {
        let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
        let (_, what) = IMPURE.iter().find(|(impure, _)| parts.windows(impure.len()).any(|part| part == *impure))?;
        Some(fault(
            source,
            path.line,
            &format!("`{}` is pure but names {what} (`{}`)", source.room(), parts.join("::")),
        ))
    };
    source.paths().iter().filter_map(wrong).collect()
}

/// What pure rooms keep away from. The values of a clock (`Instant`, `SystemTime`) come in as parameters and are fine.
const IMPURE: [(&[&str], &str); 20] = [
    (&["Instant", "now"], "a clock"),
    (&["SystemTime", "now"], "a clock"),
    (&["SystemTime", "elapsed"], "a clock"),
    (&["jiff", "Timestamp", "now"], "a clock"),
    (&["jiff", "Zoned", "now"], "a clock"),
    (&["std", "net", "TcpStream"], "a socket"),
    (&["std", "net", "TcpListener"], "a socket"),
    (&["std", "net", "UdpSocket"], "a socket"),
    (&["std", "net", "ToSocketAddrs"], "a resolver"),
    (&["std", "os", "unix", "net"], "a socket"),
    (&["socket2"], "a socket"),
    (&["std", "fs"], "a file"),
    (&["std", "process"], "a process"),
    (&["std", "env"], "the environment"),
    (&["std", "thread"], "a thread"),
    (&["tokio"], "a task"),
    (&["tracing"], "a log"),
    (&["println"], "a terminal"),
    (&["eprintln"], "a terminal"),
    (&["libc"], "the system"),
];

/// `unsafe` outside of `sys`.
pub fn safety(source: &Source) -> Vec<String> {
    if source.room() == "sys" {
        return Vec::new();
    }
    let wrong = source.tokens.iter().filter(|token| token.text == "unsafe");
    wrong.map(|token| fault(source, token.line, "`unsafe` lives in `sys` alone")).collect()
}

/// A folder or a room of one file without a paragraph that says what it is for.
pub fn paragraph(source: &Source) -> Vec<String> {
    let is_room = !source.path.contains('/') || source.path.ends_with("/mod.rs");
    let has_one = source.text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//! "));
    if is_room && !has_one {
        return vec![fault(source, 1, "begins without a `//!` paragraph that says what it is for")];
    }
    Vec::new()
}

/// A file longer than anyone reads at once.
pub fn length(source: &Source) -> Vec<String> {
    let lines = source.tests_begin - 1;
    if lines > MOST_LINES {
        return vec![fault(source, MOST_LINES, &format!("{lines} lines before the tests, more than {MOST_LINES}"))];
    }
    Vec::new()
}

/// Twice what is typical: such a file has a second reason to change.
const MOST_LINES: usize = 600;

fn fault(source: &Source, line: usize, what: &str) -> String {
    format!("src/{}:{line}: {what}", source.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: fn(&Source) -> Vec<String>, path: &str, text: &str, expected: &[&str]) {
        assert_eq!(rule(&Source::new(path, text)), expected, "{path}: {text}");
    }

    #[test]
    fn wrong_arrows_are_caught() {
        check(
            arrows,
            "model/port.rs",
            "\nuse crate::config::X;",
            &["src/model/port.rs:2: `model` may not know `config`"],
        );
        let wrong = ["src/manager/mod.rs:1: `manager` may not know `executor`"];
        check(arrows, "manager/mod.rs", "use crate::{model::Port, executor::Ring};", &wrong);
        check(arrows, "manager/mod.rs", "fn f() -> crate::executor::Ring {}", &wrong);
        check(arrows, "manager/mod.rs", "use super::executor::Ring;", &wrong);
        check(arrows, "manager/mod.rs", "pub use super::{executor};", &wrong);
        check(
            arrows,
            "manager/a.rs",
            "use super::super::executor::Ring;",
            &["src/manager/a.rs:1: `manager` may not know `executor`"],
        );
        check(arrows, "sys/mod.rs", "use crate::daemon;", &["src/sys/mod.rs:1: `sys` may not know `daemon`"]);
        check(arrows, "metrics.rs", "use crate::config::A;", &["src/metrics.rs:1: `metrics` may not know `config`"]);
        check(arrows, "bin/tsuji.rs", "tsuji::executor::x()", &["src/bin/tsuji.rs:1: `bin` may not know `executor`"]);
        let unplanned = ["src/attic/mod.rs: the room `attic` is not in the plan, tests/architecture/rooms.rs"];
        check(arrows, "attic/mod.rs", "", &unplanned);
    }

    #[test]
    fn right_arrows_pass() {
        let right = [
            (
                "executor/table.rs",
                "use crate::model::Port; use crate::message::X; use super::ring; use crate::executor::Y;",
            ),
            ("manager/deep/file.rs", "use super::super::history; use super::executor;"),
            ("daemon/mod.rs", "use crate::{config, datapath, dispatcher, metrics, sys};"),
            ("bin/tsuji.rs", "fn main() -> std::process::ExitCode { tsuji::daemon::main() }"),
            ("model/mod.rs", "#[cfg(test)] mod tests { use crate::config::X; }"),
            ("model/mod.rs", "// crate::config\nlet text = \"crate::config\";"),
            ("lib.rs", "pub mod config;"),
            ("model/id.rs", "crate::Thing"),
        ];
        for (path, text) in right {
            check(arrows, path, text, &[]);
        }
    }

    #[test]
    fn impure_code_is_caught() {
        let in_manager = |text: &str| purity(&Source::new("manager/mod.rs", text)).len();
        let impure = [
            "let now = Instant::now();",
            "std::time::SystemTime::now()",
            "use std::{fs, fmt};",
            "use std::net::{IpAddr, TcpStream};",
            "use tokio::time::sleep;",
            "tokio::spawn(x);",
            "tracing::info!(\"x\");",
            "std::fs::read(x)",
            "println!(\"x\")",
        ];
        for text in impure {
            assert_eq!(in_manager(text), 1, "{text}");
        }
        let pure = [
            "use std::time::{Duration, Instant};",
            "use std::net::IpAddr;",
            "now.duration_since(then)",
            "// tokio::spawn",
        ];
        for text in pure {
            assert_eq!(in_manager(text), 0, "{text}");
        }
    }

    #[test]
    fn some_parts_may_be_impure() {
        let faults = |path| purity(&Source::new(path, "use tokio::net::UnixStream;")).len();
        assert_eq!((faults("control/mod.rs"), faults("control/grammar.rs"), faults("control/servers.rs")), (1, 1, 1));
        assert_eq!(
            (faults("control/server.rs"), faults("control/client/prompt.rs"), faults("daemon/mod.rs")),
            (0, 0, 0)
        );
    }

    #[test]
    fn unsafe_code_is_caught() {
        check(safety, "executor/a.rs", "\n unsafe { x }", &["src/executor/a.rs:2: `unsafe` lives in `sys` alone"]);
        check(safety, "sys/a.rs", "unsafe { x }", &[]);
        check(safety, "executor/a.rs", "#[deny(unsafe_code)] // unsafe", &[]);
    }

    #[test]
    fn silent_rooms_are_caught() {
        let wrong = ["src/wire/mod.rs:1: begins without a `//!` paragraph that says what it is for"];
        check(paragraph, "wire/mod.rs", "mod a;\n//! Late.", &wrong);
        check(paragraph, "wire/mod.rs", "\n//! Bytes and headers.", &[]);
        check(paragraph, "wire/header.rs", "mod a;", &[]);
        assert_eq!(paragraph(&Source::new("metrics.rs", "")).len(), 1);
    }

    #[test]
    fn long_files_are_caught() {
        let lines = |count: usize| "x;\n".repeat(count);
        assert_eq!(length(&Source::new("a/b.rs", &lines(601))).len(), 1);
        let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(600), lines(500));
        assert_eq!(length(&Source::new("a/b.rs", &tested)), Vec::<String>::new());
    }
}

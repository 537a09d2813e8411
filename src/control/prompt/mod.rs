//! Lines of commands, typed or piped: read, split, carried out, until `exit` or the end.
//!
//! `plain` reads pipes, files and simple terminals. `editor` edits lines on a terminal, with `history` for the file of
//! earlier lines, `live` for the names that a dispatcher has, and `terminal` to give the terminal back in any case.

mod editor;
mod history;
mod live;
mod plain;
mod terminal;

use std::ffi::OsStr;
use std::io;

use super::protocol::MAX_REQUEST;
use super::reply::Reply;
use crate::config::split_words;

pub use editor::Editor;
pub use plain::Plain;

/// Who carries out what was typed.
pub trait Shell {
    /// Carries out one command, shows its answer and returns the exit code. An error means that nobody reads any more.
    fn execute(&mut self, words: &[String]) -> io::Result<u8>;
    /// Shows an answer that needs no dispatcher.
    fn show(&mut self, reply: &Reply) -> io::Result<u8>;
}

/// Where lines come from.
pub trait Source {
    fn next(&mut self) -> io::Result<Line>;
}

/// What a source has read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line {
    Text(String),
    TooLong,
    NotText,
    End,
}

/// Whether lines can be edited: both ends are a terminal, and one that understands escape codes.
pub fn can_edit(reads_terminal: bool, writes_terminal: bool, term: Option<&OsStr>) -> bool {
    let simple = |term: &OsStr| ["", "dumb", "cons25", "emacs"].iter().any(|name| term.eq_ignore_ascii_case(name));
    reads_terminal && writes_terminal && term.is_some_and(|term| !simple(term))
}

/// Carries out commands until the end of the source, `exit` or `quit`, and returns the exit code of the last one that
/// failed, 0 when none did. A failure does not end it.
pub fn run(source: &mut impl Source, shell: &mut impl Shell) -> io::Result<u8> {
    let mut last_failure = 0;
    loop {
        let words = match source.next()? {
            Line::End => return Ok(last_failure),
            Line::Text(line) => split_words(&line).map_err(Reply::from),
            Line::TooLong => {
                Err(Reply::misuse(format!("a command may be {MAX_REQUEST} bytes long, this line is longer")))
            }
            Line::NotText => Err(Reply::misuse("this line is not UTF-8 text")),
        };
        let code = match words.as_ref().map(|words| without_program(words)) {
            Err(reply) => shell.show(reply)?,
            Ok([]) => continue,
            Ok([word]) if matches!(word.as_str(), "exit" | "quit") => return Ok(last_failure),
            Ok(words) => shell.execute(words)?,
        };
        if code != 0 {
            last_failure = code;
        }
    }
}

/// Lines of scripts begin with the program's name.
fn without_program(words: &[String]) -> &[String] {
    match words {
        [program, rest @ ..] if program == "dscontrol" => rest,
        _ => words,
    }
}

const PROMPT: &str = "dscontrol>> ";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Recorder {
        commands: Vec<String>,
        shown: Vec<String>,
    }

    impl Shell for Recorder {
        fn execute(&mut self, words: &[String]) -> io::Result<u8> {
            self.commands.push(words.join("|"));
            Ok(if words[0] == "fail" { 1 } else { 0 })
        }

        fn show(&mut self, reply: &Reply) -> io::Result<u8> {
            self.shown.push(reply.lines.join("\n"));
            Ok(reply.outcome.exit_code())
        }
    }

    fn piped(input: &[u8]) -> (u8, Recorder) {
        let mut recorder = Recorder::default();
        let code = run(&mut Plain { input, screen: None }, &mut recorder).expect("no input error");
        (code, recorder)
    }

    #[test]
    fn lines_are_commands_until_exit() {
        let (code, recorder) = piped(b"status\n\n# a comment\ndscontrol port report shop:80\r\nquit\nnever\n");
        assert_eq!((code, recorder.commands), (0, vec!["status".to_owned(), "port|report|shop:80".to_owned()]));
        assert_eq!(piped(b"status").1.commands, ["status"], "the last line may have no end");
        assert_eq!(piped(b"").0, 0);
    }

    #[test]
    fn failures_do_not_end_it_and_the_last_one_is_remembered() {
        let (code, recorder) = piped(b"fail\nstatus\n");
        assert_eq!((code, recorder.commands.len()), (1, 2));
    }

    #[test]
    fn what_is_no_line_is_refused_and_the_next_one_counts() {
        let mut input = vec![b'x'; 10 << 20];
        input.extend_from_slice(b"\nstatus\n\xff\nversion\n");
        let (code, recorder) = piped(&input);
        assert_eq!(code, 2);
        assert_eq!(recorder.commands, ["status", "version"]);
        assert!(recorder.shown[0].contains("longer") && recorder.shown[1].contains("UTF-8"), "{:?}", recorder.shown);
    }

    #[test]
    fn a_terminal_is_prompted() {
        let mut screen = Vec::new();
        let typed = &b"status\nexit\n"[..];
        run(&mut Plain { input: typed, screen: Some(&mut screen) }, &mut Recorder::default()).expect("no input error");
        assert_eq!(screen, b"dscontrol>> dscontrol>> ");
        screen.clear();
        run(&mut Plain { input: &b""[..], screen: Some(&mut screen) }, &mut Recorder::default())
            .expect("no input error");
        assert_eq!(screen, b"dscontrol>> \n", "the shell's own prompt begins a line");
    }
    #[test]
    fn lines_are_edited_on_a_terminal_alone() {
        let on = |term: &str| can_edit(true, true, Some(OsStr::new(term)));
        assert!(on("xterm-256color") && on("linux") && on("screen"));
        assert!(!on("dumb") && !on("DUMB") && !on("") && !can_edit(true, true, None));
        let term = Some(OsStr::new("xterm"));
        assert!(!can_edit(false, true, term) && !can_edit(true, false, term));
    }
}

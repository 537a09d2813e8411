//! What the program `dscontrol` does with its command line.

use std::io::{self, BufReader, IsTerminal, Write};
use std::path::PathBuf;

use super::client::{Client, own_uid, socket_to_ask};
use super::command::Command;
use super::help::help;
use super::prompt::{self, Editor, Plain, Shell};
use super::protocol::Request;
use super::render;
use super::reply::{Outcome, Reply};

/// The command line.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// `--socket`
    pub socket: Option<PathBuf>,
    /// `--host`
    pub host: Option<String>,
    /// `--json`
    pub json: bool,
    /// The command; none: lines of standard input.
    pub words: Vec<String>,
}

/// Carries out one command or a session of them; returns the exit code.
pub fn run(invocation: Invocation) -> u8 {
    let mut session = Session {
        client: Client::new(invocation.socket.unwrap_or_else(socket)),
        json: invocation.json,
        cwd: std::env::current_dir().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    let code = match invocation.host {
        Some(_) => session.show(&Reply::refused(
            "--host is not there yet: run dscontrol on the dispatcher itself, for example through ssh",
        )),
        None if invocation.words.is_empty() => session.prompt(),
        None => session.once(&invocation.words),
    };
    code.unwrap_or_else(|fault| complain(&fault))
}

fn socket() -> PathBuf {
    socket_to_ask(|name| std::env::var_os(name), own_uid(), |path| path.exists())
}

/// A reader that has seen enough (`dscontrol status | head -1`) is no fault.
fn complain(fault: &io::Error) -> u8 {
    if fault.kind() == io::ErrorKind::BrokenPipe {
        return Outcome::Done.exit_code();
    }
    // Nowhere is left to say that standard error is broken too.
    let _ = writeln!(io::stderr(), "dscontrol: {fault}");
    Outcome::Refused.exit_code()
}

struct Session {
    client: Client,
    json: bool,
    cwd: String,
}

impl Session {
    /// The outcome counts, whether or not anybody reads the answer to its end.
    fn once(&mut self, words: &[String]) -> io::Result<u8> {
        let reply = self.ask(words);
        self.show(&reply).or_else(|fault| match fault.kind() {
            io::ErrorKind::BrokenPipe => Ok(reply.outcome.exit_code()),
            _ => Err(fault),
        })
    }

    /// On a terminal each failure was seen when it happened.
    fn prompt(&mut self) -> io::Result<u8> {
        let stdin = io::stdin();
        let (reads_terminal, writes_terminal) = (stdin.is_terminal(), io::stdout().is_terminal());
        if prompt::can_edit(reads_terminal, writes_terminal, std::env::var_os("TERM").as_deref()) {
            let mut editor = Editor::new(self.client.clone())?;
            return prompt::run(&mut editor, self).map(|_| Outcome::Done.exit_code());
        }
        let input = BufReader::new(stdin.lock());
        if reads_terminal {
            let mut lines = Plain { input, screen: Some(&mut io::stdout()) };
            return prompt::run(&mut lines, self).map(|_| Outcome::Done.exit_code());
        }
        prompt::run(&mut Plain { input, screen: None }, self)
    }

    fn ask(&self, words: &[String]) -> Reply {
        // Help must be there when no daemon is; the daemon would say the same.
        if let Ok(Command::Help(object)) = Command::parse(words) {
            return help(object);
        }
        let request = Request::new(words.to_vec(), self.cwd.clone());
        self.client.ask(&request).unwrap_or_else(|fault| match fault.is_misuse() {
            true => Reply::misuse(fault.to_string()),
            false => Reply::refused(fault.to_string()),
        })
    }
}

impl Shell for Session {
    fn execute(&mut self, words: &[String]) -> io::Result<u8> {
        let reply = self.ask(words);
        self.show(&reply)
    }

    /// Answers go to standard output; refusals to standard error, unless a program reads them.
    fn show(&mut self, reply: &Reply) -> io::Result<u8> {
        if self.json {
            write_all(io::stdout(), &render::json(reply))?;
        } else if reply.outcome == Outcome::Done {
            write_all(io::stdout(), &render::text(reply))?;
        } else {
            write_all(io::stderr(), &render::text(reply))?;
        }
        Ok(reply.outcome.exit_code())
    }
}

fn write_all(mut stream: impl Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

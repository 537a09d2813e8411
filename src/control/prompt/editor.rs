//! Lines edited on a terminal: keys, history, TAB and hints.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Write};

use rustyline::completion::{Candidate, Completer};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::MemHistory;
use rustyline::line_buffer::LineBuffer;
use rustyline::validate::Validator;
use rustyline::{Changeset, CompletionType, Config, Context, Helper};

use super::history::{History, MOST_LINES, default_path, is_kept};
use super::live::Live;
use super::terminal::Terminal;
use super::{Line, PROMPT, Source};
use crate::control::client::Client;
use crate::control::completion::{complete, hint, taken};
use crate::control::lookup::plain;
use crate::control::protocol::MAX_REQUEST;

/// A terminal on which lines are edited.
pub struct Editor {
    lines: rustyline::Editor<Assistant, MemHistory>,
    history: Option<History>,
    /// Lines of a paste that are still to be carried out.
    pasted: VecDeque<String>,
    /// Given back last.
    _terminal: Terminal,
}

impl Editor {
    /// `client` asks for what TAB wants to know.
    pub fn new(client: Client) -> io::Result<Self> {
        let terminal = Terminal::new(io::stdin())?;
        // Without the thread for it a signal leaves the terminal as it is: worse, but better than no prompt.
        let _ = terminal.watch_signals();
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .completion_show_all_if_ambiguous(true)
            .history_ignore_space(true);
        let config = config.history_ignore_dups(true).and_then(|config| config.max_history_size(MOST_LINES));
        let config = config.map_err(broken)?.build();
        let memory = MemHistory::with_config(&config);
        let mut lines = rustyline::Editor::with_history(config, memory).map_err(broken)?;
        lines.set_helper(Some(Assistant::new(Live::new(client))));
        let history = default_path(|name| std::env::var_os(name)).map(History::new);
        let mut editor = Self { lines, history, pasted: VecDeque::new(), _terminal: terminal };
        editor.recall();
        Ok(editor)
    }

    fn recall(&mut self) {
        let Some(history) = &mut self.history else { return };
        let (lines, complaint) = history.load();
        for line in lines {
            // Only what is kept in memory is added to, which cannot fail.
            let _ = self.lines.add_history_entry(line);
        }
        complain(complaint);
    }

    /// The command that ends the session is nothing to come back to.
    fn remember(&mut self, line: &str) {
        // TAB leaves a blank behind.
        let line = line.trim_end();
        let ends = matches!(line, "exit" | "quit");
        let is_new = !ends && is_kept(line) && self.lines.add_history_entry(line).unwrap_or_default();
        if let (true, Some(history)) = (is_new, &mut self.history) {
            complain(history.append(line));
        }
    }

    /// What was entered at once, in lines.
    fn edit(&mut self) -> io::Result<Option<Vec<String>>> {
        let columns = self.lines.dimensions().map_or(usize::MAX, |(columns, _)| usize::from(columns));
        if let Some(assistant) = self.lines.helper() {
            assistant.begin(columns);
        }
        loop {
            return match self.lines.readline(PROMPT) {
                Ok(text) => Ok(Some(text.split(['\n', '\r']).map(str::to_owned).collect())),
                // Ctrl-C gives up this line, and what was typed ahead of it in the same moment, but not the session.
                Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => continue,
                Err(ReadlineError::Eof) => Ok(None),
                Err(fault) => Err(broken(fault)),
            };
        }
    }

    /// The answer to each line of a paste follows that line.
    fn next_pasted(&mut self) -> io::Result<Option<String>> {
        let Some(line) = self.pasted.pop_front() else { return Ok(None) };
        let mut screen = io::stdout();
        writeln!(screen, "{PROMPT}{}", plain(&line))?;
        screen.flush()?;
        Ok(Some(line))
    }
}

impl Source for Editor {
    fn next(&mut self) -> io::Result<Line> {
        let line = match self.next_pasted()? {
            Some(line) => line,
            None => {
                let Some(lines) = self.edit()? else { return Ok(Line::End) };
                self.pasted = lines.into_iter().filter(|line| !line.trim().is_empty()).collect();
                match self.pasted.len() {
                    0 | 1 => self.pasted.pop_front().unwrap_or_default(),
                    _ => self.next_pasted()?.unwrap_or_default(),
                }
            }
        };
        self.remember(&line);
        Ok(if line.len() > MAX_REQUEST { Line::TooLong } else { Line::Text(line) })
    }
}

/// What the keys ask while a line is edited.
struct Assistant {
    live: Live,
    /// Of the terminal, when the line was begun.
    columns: Cell<usize>,
    /// Without colours a hint would look like something typed.
    hints: bool,
}

impl Assistant {
    fn new(live: Live) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { live, columns: Cell::new(usize::MAX), hints: !plain }
    }

    fn begin(&self, columns: usize) {
        self.columns.set(columns);
        self.live.forget();
    }
}

impl Helper for Assistant {}
impl Validator for Assistant {}

impl Completer for Assistant {
    type Candidate = Listed;

    fn complete(&self, line: &str, cursor: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Listed>)> {
        let completion = complete(line, cursor, &self.live);
        let widest = completion.candidates.iter().map(|one| one.label.chars().count()).max().unwrap_or_default();
        let listed = completion
            .candidates
            .into_iter()
            .map(|one| Listed { shown: shown(&one.label, one.help, widest, self.columns.get()), spelled: one.spelled });
        Ok((completion.begins, listed.collect()))
    }

    fn update(&self, line: &mut LineBuffer, begins: usize, elected: &str, changes: &mut Changeset) {
        let (text, cursor) = taken(line.as_str(), begins, line.pos(), elected);
        line.update(&text, cursor, changes);
    }
}

/// One way to go on, as it is listed and as it is taken.
struct Listed {
    shown: String,
    spelled: String,
}

impl Candidate for Listed {
    fn display(&self) -> &str {
        &self.shown
    }

    fn replacement(&self) -> &str {
        &self.spelled
    }
}

/// A word with its help on one line of the terminal; without help several words share a line.
fn shown(label: &str, help: &str, widest: usize, columns: usize) -> String {
    if help.is_empty() {
        return label.to_owned();
    }
    // Two columns are kept free behind each entry.
    fitted(&format!("{label:widest$}  {help}"), columns.saturating_sub(2).max(1))
}

/// Cut where it would not fit, with a sign of that.
fn fitted(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

impl Hinter for Assistant {
    type Hint = Grey;

    fn hint(&self, line: &str, cursor: usize, _: &Context<'_>) -> Option<Grey> {
        if !self.hints || cursor < line.len() {
            return None;
        }
        let hint = hint(line)?;
        let used = PROMPT.len() + line.rsplit('\n').next().unwrap_or_default().chars().count();
        // The last column stays free, or the terminal would begin another line.
        let room = self.columns.get().saturating_sub(used + 1);
        (room >= LEAST_HINT).then(|| Grey { shown: fitted(&hint.shown, room), rest: hint.rest })
    }
}

/// What is shown behind the cursor; the arrow to the right takes the rest of the word.
struct Grey {
    shown: String,
    rest: Option<String>,
}

impl Hint for Grey {
    fn display(&self) -> &str {
        &self.shown
    }

    fn completion(&self) -> Option<&str> {
        self.rest.as_deref()
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        format!("\x1b[90m{hint}\x1b[0m").into()
    }
}

/// One quiet line.
fn complain(complaint: Option<String>) {
    if let Some(sentence) = complaint {
        // Without standard error there is nobody to tell.
        let _ = writeln!(io::stderr(), "dscontrol: {sentence}");
    }
}

fn broken(fault: ReadlineError) -> io::Error {
    match fault {
        ReadlineError::Io(fault) => fault,
        other => io::Error::other(other),
    }
}

/// Shorter ones say nothing.
const LEAST_HINT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_fit_the_terminal() {
        assert_eq!(shown("w1", "", 4, 80), "w1");
        assert_eq!(shown("set", "Changes ports.", 6, 80), "set     Changes ports.");
        assert_eq!(shown("set", "Changes ports.", 6, 17), "set     Change…");
        assert_eq!(shown("set", "Changes ports.", 6, 0), "…");
    }
}

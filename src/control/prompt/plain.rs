//! Lines of pipes, files and terminals that cannot be drawn on: nothing is edited, nothing is kept.

use std::io::{self, BufRead, Read, Write};

use super::{Line, PROMPT, Source};
use crate::control::protocol::MAX_REQUEST;

/// Reads lines from `input`. `screen` gets the prompt, and is there only for a terminal.
pub struct Plain<'a, I> {
    pub input: I,
    pub screen: Option<&'a mut dyn Write>,
}

impl<I: BufRead> Source for Plain<'_, I> {
    fn next(&mut self) -> io::Result<Line> {
        if let Some(screen) = self.screen.as_mut() {
            screen.write_all(PROMPT.as_bytes())?;
            screen.flush()?;
        }
        let line = read_line(&mut self.input)?;
        if let (Line::End, Some(screen)) = (&line, self.screen.as_mut()) {
            screen.write_all(b"\n")?;
        }
        Ok(line)
    }
}

/// One line without its end. What is longer than a command may be is skipped, not kept.
fn read_line(input: &mut impl BufRead) -> io::Result<Line> {
    let mut bytes = Vec::new();
    input.by_ref().take(MAX_REQUEST as u64 + 1).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(Line::End);
    }
    if bytes.len() > MAX_REQUEST && !bytes.ends_with(b"\n") {
        input.skip_until(b'\n')?;
        return Ok(Line::TooLong);
    }
    let text = String::from_utf8(bytes);
    Ok(text.map_or(Line::NotText, |text| Line::Text(text.trim_end_matches(['\r', '\n']).to_owned())))
}

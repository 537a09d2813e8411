//! Words of a command line: quotes, escapes, comments.

use super::Refusal;

/// A word and the column of its first character, from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Word {
    pub text: String,
    pub column: u32,
}

/// Splits a command line as a shell would: blanks separate, single quotes keep everything, double quotes keep everything but
/// `\"` and `\\`, outside of quotes a backslash keeps the next character, and a `#` at the beginning of a word
/// opens a comment. A line that is empty or only a comment has no words.
///
/// Refused (as misuse): an open quote, a control character, a line longer than 128 KiB.
pub fn split_words(line: &str) -> Result<Vec<String>, Refusal> {
    let words = split(line).map_err(|fault| Refusal::Misuse(fault.message))?;
    Ok(words.into_iter().map(|word| word.text).collect())
}

/// Why a line has no words, and the column where that shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct LineFault {
    pub column: u32,
    pub message: String,
}

/// [`split_words`] with the columns.
pub(super) fn split(line: &str) -> Result<Vec<Word>, LineFault> {
    if line.len() > MAX_LINE {
        let message = format!("the line is longer than {} KiB", MAX_LINE / 1024);
        return Err(LineFault { column: 1, message });
    }
    let mut splitter = Splitter::default();
    for c in line.chars() {
        splitter.column += 1;
        if c.is_control() && c != '\t' {
            let message = format!("the control character U+{:04X} has no place in a command", u32::from(c));
            return Err(LineFault { column: splitter.column, message });
        }
        splitter.take(c);
        if splitter.mode == Mode::Comment {
            break;
        }
    }
    splitter.finish()
}

/// A line that is still being typed, as far as the cursor.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unfinished {
    /// The words that are finished.
    pub words: Vec<String>,
    /// The word that the cursor is in; empty where one may begin.
    pub word: String,
    /// The byte where that word begins, with its quotes.
    pub begins: usize,
    /// The quote that is open at the cursor.
    pub quote: Option<char>,
}

/// What was typed so far, split as [`split_words`] will split it. `None` where nothing can follow: in a comment, and
/// after what would be refused.
pub fn split_unfinished(line: &str) -> Option<Unfinished> {
    if line.len() > MAX_LINE || line.chars().any(|c| c.is_control() && c != '\t') {
        return None;
    }
    let mut splitter = Splitter::default();
    let mut begins = line.len();
    for (at, c) in line.char_indices() {
        let was_blank = splitter.mode == Mode::Blank;
        splitter.take(c);
        match splitter.mode {
            Mode::Comment => return None,
            Mode::Blank => begins = line.len(),
            _ if was_blank => begins = at,
            _ => {}
        }
    }
    let quote = match splitter.mode {
        Mode::Single => Some('\''),
        Mode::Double | Mode::DoubleEscape => Some('"'),
        _ => None,
    };
    let mut words: Vec<String> = splitter.words.into_iter().map(|word| word.text).collect();
    let word = if begins < line.len() { words.pop().unwrap_or_default() } else { String::new() };
    Some(Unfinished { words, word, begins, quote })
}

/// `text` as one word of a command line, quoted only where needed.
pub fn quote(text: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\' | '#');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Mode {
    #[default]
    Blank,
    Plain,
    PlainEscape,
    Single,
    Double,
    DoubleEscape,
    Comment,
}

#[derive(Default)]
struct Splitter {
    mode: Mode,
    column: u32,
    /// Where the open quote began.
    opened: u32,
    words: Vec<Word>,
}

impl Splitter {
    fn take(&mut self, c: char) {
        self.mode = match (self.mode, c) {
            (Mode::Blank, '#') => Mode::Comment,
            (Mode::Blank | Mode::Plain, c) if c.is_whitespace() => Mode::Blank,
            (Mode::Blank, c) => {
                self.words.push(Word { text: String::new(), column: self.column });
                self.within_word(c)
            }
            (Mode::Plain, c) => self.within_word(c),
            (Mode::PlainEscape, c) => self.keep(c, Mode::Plain),
            (Mode::Single, '\'') | (Mode::Double, '"') => Mode::Plain,
            (Mode::Single, c) => self.keep(c, Mode::Single),
            (Mode::Double, '\\') => Mode::DoubleEscape,
            (Mode::Double, c) => self.keep(c, Mode::Double),
            (Mode::DoubleEscape, '"' | '\\') => self.keep(c, Mode::Double),
            (Mode::DoubleEscape, c) => {
                self.keep('\\', Mode::Double);
                self.keep(c, Mode::Double)
            }
            (Mode::Comment, _) => Mode::Comment,
        };
    }

    fn within_word(&mut self, c: char) -> Mode {
        match c {
            '\'' => self.open(Mode::Single),
            '"' => self.open(Mode::Double),
            '\\' => self.open(Mode::PlainEscape),
            c => self.keep(c, Mode::Plain),
        }
    }

    fn open(&mut self, mode: Mode) -> Mode {
        self.opened = self.column;
        mode
    }

    fn keep(&mut self, c: char, mode: Mode) -> Mode {
        if let Some(word) = self.words.last_mut() {
            word.text.push(c);
        }
        mode
    }

    fn finish(self) -> Result<Vec<Word>, LineFault> {
        let message = match self.mode {
            Mode::Blank | Mode::Plain | Mode::Comment => return Ok(self.words),
            Mode::Single | Mode::Double | Mode::DoubleEscape => "the quote is not closed",
            Mode::PlainEscape => "nothing follows the backslash",
        };
        Err(LineFault { column: self.opened, message: message.to_owned() })
    }
}

/// Bytes of one line, of a script or of TOML: a rule's list of the most servers with the longest names fits.
pub(super) const MAX_LINE: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_a_shell_sees_them() {
        let cases: [(&str, &[&str]); 10] = [
            ("", &[]),
            ("   # only a comment", &[]),
            ("cluster add  shop\taddress 1.2.3.4", &["cluster", "add", "shop", "address", "1.2.3.4"]),
            ("a \"b c\" 'd e'", &["a", "b c", "d e"]),
            ("a\"b c\"d", &["ab cd"]),
            ("a#b #c", &["a#b"]),
            (r#""say \"hi\" \n \\""#, &[r#"say "hi" \n \"#]),
            (r"a\ b '\'", &["a b", "\\"]),
            ("\"\"", &[""]),
            ("x \"# no comment\"", &["x", "# no comment"]),
        ];
        for (line, words) in cases {
            assert_eq!(split_words(line).expect(line), words, "{line}");
        }
    }

    #[test]
    fn words_while_they_are_typed() {
        let typed = |line: &str| {
            let Unfinished { words, word, begins, quote } = split_unfinished(line)?;
            Some((words.join("|"), word, begins, quote))
        };
        let cases = [
            ("", ("", "", 0, None)),
            ("port ", ("port", "", 5, None)),
            ("port st", ("port", "st", 5, None)),
            ("ü x 'a b", ("ü|x", "a b", 5, Some('\''))),
            ("a\"b c", ("", "ab c", 0, Some('"'))),
            ("a \"\"", ("a", "", 2, None)),
            ("a \"b\" ", ("a|b", "", 6, None)),
        ];
        for (line, (words, word, begins, quote)) in cases {
            let expected = Some((words.to_owned(), word.to_owned(), begins, quote));
            assert_eq!(typed(line), expected, "{line}");
        }
        assert_eq!(typed("a # b"), None);
        assert_eq!(typed("a\u{1b}"), None);
    }

    #[test]
    fn columns_count_characters() {
        let columns = |line: &str| split(line).expect(line).into_iter().map(|word| word.column).collect::<Vec<_>>();
        assert_eq!(columns("ab  cd \"ü ö\" x"), [1, 5, 8, 14]);
    }

    #[test]
    fn refused_lines() {
        let refused = |line: &str| split(line).expect_err(line);
        assert_eq!(refused("a \"b"), LineFault { column: 3, message: "the quote is not closed".to_owned() });
        assert_eq!(refused("a b'").column, 4);
        assert_eq!(refused("a\\").message, "nothing follows the backslash");
        assert_eq!(refused("a\0b").message, "the control character U+0000 has no place in a command");
        assert_eq!(refused(&"x".repeat(10 << 20)).message, "the line is longer than 128 KiB");
    }

    proptest::proptest! {
        #[test]
        fn a_quoted_word_is_one_word(text in "[^\\p{Cc}]{0,40}") {
            proptest::prop_assert_eq!(split_words(&quote(&text)).expect("splits"), vec![text]);
        }

        #[test]
        fn no_line_panics(line in ".{0,60}") {
            let _ = (split_words(&line), split_unfinished(&line));
        }
    }
}

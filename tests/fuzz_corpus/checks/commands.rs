//! Lines that operators type: understood, refused, completed.

use tsuji::config::{Change, split_unfinished, split_words};
use tsuji::control::Command;
use tsuji::control::completion::{Objects, Question, complete, hint, taken};

use super::{Target, text};

pub const TARGET: Target = Target { name: "commands", check };

/// Bytes of one line, well beyond what is typed; a line may have 128 KiB, and is completed at each place here.
const MOST: usize = 2048;

fn check(data: &[u8]) {
    let text = text(data);
    for line in text.lines().take(200) {
        understood(line);
    }
    let end = text.floor_char_boundary(MOST);
    completed(&text[..end]);
}

fn understood(line: &str) {
    let Ok(words) = split_words(line) else { return };
    match Command::parse(&words) {
        Ok(command) => {
            let _level = command.level();
            if let Command::Change(change) = command {
                said_again(change);
            }
        }
        Err(refusal) => {
            let message = refusal.message();
            let lines = message.split('\n');
            assert!(lines.clone().count() <= 3 && message.len() < 4000, "{message}");
            assert!(!lines.flat_map(str::chars).any(char::is_control), "{message:?}");
        }
    }
}

/// A change is printed as a command that says the same.
fn said_again(change: Change) {
    let printed = change.to_string();
    let words = split_words(&printed).expect("what we print we read");
    let (program, words) = words.split_first().expect("a command");
    assert_eq!(program, "dscontrol");
    assert_eq!(Change::parse(words), Ok(Some(change)), "{printed}");
}

/// Names with all that makes names difficult.
struct Site;

impl Objects for Site {
    fn names(&self, question: &Question) -> Vec<String> {
        assert!(!question.words().is_empty());
        ["shop", "2001:db8::1", "80", "with space", "quo\"te", "esc\u{1b}", "größe", "a+b"].map(str::to_owned).to_vec()
    }
}

/// Whatever is taken belongs to the word at the cursor: words before it stay.
fn completed(text: &str) {
    for cursor in places(text) {
        let _hint = hint(&text[..cursor]);
        let completion = complete(text, cursor, &Site);
        for candidate in completion.candidates.iter().take(20) {
            assert!(completion.begins <= cursor && text.is_char_boundary(completion.begins));
            assert!(!candidate.spelled.chars().any(char::is_control));
            let (line, at) = taken(text, completion.begins, cursor, &candidate.spelled);
            assert!(line.is_char_boundary(at), "{line:?} at {at}");
            assert!(line.starts_with(&text[..completion.begins]));
            let begin = text[..completion.begins].rfind('\n').map_or(0, |at| at + 1);
            let before = split_unfinished(&text[begin..cursor]).expect("it was completed").words;
            let after = split_unfinished(&line[begin..at]).expect("a line still").words;
            assert!(after.starts_with(&before), "{text:?} at {cursor} became {line:?}");
        }
    }
}

/// Some twenty of a line: each place of a long one would take its square.
fn places(text: &str) -> impl Iterator<Item = usize> {
    let step = (text.len() / 20).max(1);
    let end = text.len();
    (0..=end).filter(move |at| at.is_multiple_of(step) || *at == end).filter(|&at| text.is_char_boundary(at))
}

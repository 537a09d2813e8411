//! Help, made from the grammar and from the keywords of `config`.

use super::grammar::{OBJECTS, Object, Verb};
use super::reply::{Body, Help, HelpEntry, HelpKeyword, Reply};
use crate::config::schema::{self, Keyword, Usage};

/// The grammar of the object called `word`, or of all. Needs no dispatcher.
pub fn help(word: Option<&str>) -> Reply {
    let wanted = |object: &&Object| word.is_none_or(|word| word == object.word);
    let objects: Vec<&Object> = OBJECTS.iter().filter(wanted).filter(|object| object.spoken().count() > 0).collect();
    if objects.is_empty() {
        let word = word.unwrap_or_default();
        return Reply::refused(format!("`{word}` is not there yet; `dscontrol {word}` says what to use instead"));
    }
    let entries = objects.into_iter().flat_map(|object| object.spoken().map(|verb| entry(object, verb)));
    let keywords = word.map(keywords).unwrap_or_default();
    Reply::report(Body::Help(Help { detailed: word.is_some(), entries: entries.collect(), keywords }))
}

/// What follows `add` and `set` of an object; nothing for objects that have neither.
fn keywords(object: &str) -> Vec<HelpKeyword> {
    let word = if object == "set" { "log" } else { object };
    let schema = schema::OBJECTS.iter().find(|schema| schema.word == word);
    let keywords = schema.map_or(&[][..], |schema| schema.keywords).iter();
    keywords.filter(|keyword| matches!(keyword.usage, Usage::Add | Usage::Set)).map(explain).collect()
}

fn explain(keyword: &Keyword) -> HelpKeyword {
    HelpKeyword {
        word: keyword.word.to_owned(),
        meaning: keyword.help.to_owned(),
        value: keyword.value.description(),
        default: keyword.preset.to_string(),
    }
}

fn entry(object: &Object, verb: &Verb) -> HelpEntry {
    HelpEntry {
        object: object.word.to_owned(),
        about: object.meaning.to_owned(),
        verb: verb.word.to_owned(),
        syntax: verb.syntax(object),
        meaning: verb.meaning.to_owned(),
        example: verb.example(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Command, Outcome};

    #[test]
    fn help_of_an_object_tells_its_keywords() {
        let Some(Body::Help(port)) = help(Some("port")).body else { panic!("no help") };
        let bound = port.keywords.iter().find(|keyword| keyword.word == "weightbound").expect("a keyword");
        assert!(!bound.meaning.is_empty() && !bound.value.is_empty() && !bound.default.is_empty(), "{bound:?}");
        assert!(!keywords("set").is_empty() && keywords("file").is_empty());
    }

    fn entries(word: Option<&str>) -> Vec<HelpEntry> {
        match help(word).body {
            Some(Body::Help(help)) => help.entries,
            other => panic!("no help but {other:?}"),
        }
    }

    #[test]
    fn every_example_parses_and_every_verb_is_explained() {
        for entry in entries(None) {
            let words = shell_words(&entry.example);
            let command = Command::parse(&words).unwrap_or_else(|fault| panic!("{}: {fault}", entry.example));
            let is_report = ["report", "status"].iter().any(|word| entry.verb == *word);
            assert!(!(is_report && command.is_change()), "{} changes nothing", entry.syntax);
            assert!(entry.meaning.ends_with('.'), "{} has a sentence", entry.syntax);
        }
    }

    #[test]
    fn help_of_one_object() {
        let file: Vec<String> = entries(Some("file")).into_iter().map(|entry| entry.syntax).collect();
        assert_eq!(file[0], "file save NAME [force]");
        assert_eq!(file.len(), 5);
        assert_eq!(entries(Some("help"))[0].syntax, "help [OBJECT]");
    }

    #[test]
    fn what_is_not_there_yet_says_so() {
        let reply = help(Some("binlog"));
        assert_eq!(reply.outcome, Outcome::Refused);
        assert!(reply.lines[0].contains("not there yet"), "{reply:?}");
    }

    /// Blanks separate, single quotes hold together: all that the examples need.
    fn shell_words(line: &str) -> Vec<String> {
        let quoted = line.split('\'').enumerate();
        quoted
            .flat_map(|(at, part)| match at % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect()
    }
}

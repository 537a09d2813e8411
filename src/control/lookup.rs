//! Words that may be shortened while they are unique, and what is said when they are not.

use crate::config::schema::{NotFound, unabbreviate};

/// The word that `typed` stands for: the same one (in any case of letters), else the only one that begins so. If there
/// is none, a sentence about what was typed, which was meant as a `kind` ("verb of `port`").
pub fn find(typed: &str, words: &[&'static str], kind: &str) -> Result<&'static str, String> {
    unabbreviate(typed, words).map_err(|fault| match fault {
        NotFound::Ambiguous { candidates, .. } => {
            format!("`{}` is ambiguous, it may be {}", shown(typed), either(&candidates))
        }
        NotFound::Unknown { nearest: Some(near), .. } => {
            format!("`{}` is not a {kind}, did you mean `{near}`?", shown(typed))
        }
        NotFound::Unknown { .. } => format!("`{}` is not a {kind}", shown(typed)),
    })
}

/// `a`, `b` or `c`.
pub fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// What an operator typed, short enough and harmless enough to be repeated to a terminal.
pub fn shown(typed: &str) -> String {
    let mut text = plain(&typed.chars().take(MAX_SHOWN).collect::<String>());
    if typed.chars().nth(MAX_SHOWN).is_some() {
        text.push('…');
    }
    text
}

/// The text with control characters (a terminal would obey them) written as escapes.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => plain.extend(character.escape_default()),
            false => plain.push(character),
        }
    }
    plain
}

/// Characters of an operator's word that a message repeats.
const MAX_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 5] = ["report", "remove", "set", "status", "start"];

    #[test]
    fn words_are_shortened_while_unique() {
        let find = |typed| find(typed, &WORDS, "verb of `port`");
        let wrong = |sentence: &str| Err(sentence.to_owned());
        assert_eq!(find("rep"), Ok("report"));
        assert_eq!(find("SET"), Ok("set"), "case does not matter");
        assert_eq!(find("sta"), wrong("`sta` is ambiguous, it may be `status` or `start`"));
        assert_eq!(find("s"), wrong("`s` is ambiguous, it may be `set`, `status` or `start`"));
        assert_eq!(find("reprot"), wrong("`reprot` is not a verb of `port`, did you mean `report`?"));
        assert_eq!(find(""), wrong("`` is not a verb of `port`"));
        assert_eq!(find("\u{1b}[2J"), wrong("`\\u{1b}[2J` is not a verb of `port`"));
        assert_eq!(super::find("http", &["https", "http"], ""), Ok("http"), "a whole word is itself");
    }

    #[test]
    fn what_is_repeated_is_short() {
        assert_eq!(shown(&"é".repeat(70)).chars().filter(|c| *c == 'é').count(), MAX_SHOWN);
        assert!(find(&"x".repeat(1_000_000), &WORDS, "verb").is_err_and(|sentence| sentence.len() < 300));
    }
}

//! Words that may be shortened while they are unique, and what is said when they are not.

/// No word, or more than one, answers to what was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unclear {
    /// Several begin like this.
    Ambiguous(Vec<&'static str>),
    /// None begins like this; the nearest one, when it is near.
    Unknown(Option<&'static str>),
}

impl Unclear {
    /// One sentence about `word`, which was meant as a `kind` ("verb of `port`").
    pub fn sentence(&self, kind: &str, word: &str) -> String {
        let word = shown(word);
        match self {
            Self::Ambiguous(words) => format!("`{word}` is ambiguous, it may be {}", either(words)),
            Self::Unknown(Some(near)) => format!("`{word}` is not a {kind}, did you mean `{near}`?"),
            Self::Unknown(None) => format!("`{word}` is not a {kind}"),
        }
    }
}

/// The word that `typed` stands for: the same one (in any case of letters), else the only one that begins so.
pub fn find(typed: &str, words: impl Iterator<Item = &'static str> + Clone) -> Result<&'static str, Unclear> {
    let typed = typed.to_ascii_lowercase();
    if let Some(exact) = words.clone().find(|word| *word == typed) {
        return Ok(exact);
    }
    let begins: Vec<_> = words.clone().filter(|word| !typed.is_empty() && word.starts_with(&typed)).collect();
    match begins.as_slice() {
        [only] => Ok(only),
        [] => Err(Unclear::Unknown(nearest(&typed, words))),
        _ => Err(Unclear::Ambiguous(begins)),
    }
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

fn nearest(typed: &str, words: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // The distance costs length × length; nobody meant a known word by something that long.
    if typed.len() > MAX_SHOWN {
        return None;
    }
    let near = words.map(|word| (strsim::damerau_levenshtein(typed, word), word)).min();
    near.filter(|(distance, word)| *distance <= 1.max(word.len() / 3)).map(|(_, word)| word)
}

/// Characters of an operator's word that a message repeats.
const MAX_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 5] = ["report", "remove", "set", "status", "start"];

    #[test]
    fn words_are_shortened_while_unique() {
        let find = |typed| find(typed, WORDS.into_iter());
        assert_eq!(find("rep"), Ok("report"));
        assert_eq!(find("SET"), Ok("set"), "case does not matter");
        assert_eq!(find("s"), Err(Unclear::Ambiguous(vec!["set", "status", "start"])));
        assert_eq!(find("sta"), Err(Unclear::Ambiguous(vec!["status", "start"])));
        assert_eq!(find("reprot"), Err(Unclear::Unknown(Some("report"))));
        assert_eq!(find("zebra"), Err(Unclear::Unknown(None)));
        assert_eq!(find(""), Err(Unclear::Unknown(None)));
        assert_eq!(find(&"x".repeat(1_000_000)), Err(Unclear::Unknown(None)));
    }

    #[test]
    fn a_word_equal_to_another_ones_beginning_is_itself() {
        assert_eq!(find("http", ["https", "http"].into_iter()), Ok("http"));
    }

    #[test]
    fn sentences() {
        let say = |typed| find(typed, WORDS.into_iter()).expect_err("unclear").sentence("verb of `port`", typed);
        assert_eq!(say("sta"), "`sta` is ambiguous, it may be `status` or `start`");
        assert_eq!(say("statsu"), "`statsu` is not a verb of `port`, did you mean `status`?");
        assert_eq!(say("\u{1b}[2J"), "`\\u{1b}[2J` is not a verb of `port`");
        assert_eq!(say(&"é".repeat(70)).chars().filter(|c| *c == 'é').count(), 64);
    }
}

//! What the grammar expects after words that were typed.

use super::Question;
use super::operand::{Shape, Third, parts};
use crate::config::schema::{self, Keyword, Kind, Usage, ValueKind, unabbreviate};
use crate::control::grammar::{OBJECTS, Object, Understood, Verb, find_object};
use crate::control::lookup::find;
use crate::model::AdvisorKind;

/// One thing that may stand at the cursor.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// One of these words.
    Words(Vec<Word>),
    Operand(Shape),
    /// Live names, joined by `+`.
    Names(Question),
    /// One live name.
    One(Question),
    /// Something that only the operator knows; what it is.
    Told(String),
}

/// A word of the language.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Word {
    pub word: &'static str,
    /// One line; may be empty.
    pub help: &'static str,
}

/// What may follow these words. Nothing where they are no beginning of a command.
pub fn expected(words: &[String]) -> Vec<Expected> {
    let Some((first, rest)) = words.split_first() else { return vec![Expected::Words(beginnings())] };
    let Ok(object) = find_object(first) else { return Vec::new() };
    let verbs: Vec<&Verb> = object.spoken().collect();
    if let [only] = verbs.as_slice()
        && only.word.is_empty()
    {
        return operands(object, only, rest);
    }
    let Some((verb, rest)) = rest.split_first() else {
        return vec![Expected::Words(verbs.iter().map(|verb| Word { word: verb.word, help: verb.meaning }).collect())];
    };
    // Words that are only known for the sake of old scripts count too: they make a short form ambiguous.
    let known: Vec<&'static str> = object.verbs.iter().map(|verb| verb.word).collect();
    let found = find(verb, &known, "").ok().and_then(|word| verbs.into_iter().find(|verb| verb.word == word));
    found.map(|verb| operands(object, verb, rest)).unwrap_or_default()
}

/// The objects of which there is something to say, and the words of the prompt.
fn beginnings() -> Vec<Word> {
    let mut words = objects();
    words.push(Word { word: "exit", help: "Ends this session, as Ctrl-D does." });
    words.push(Word { word: "quit", help: "Ends this session." });
    words
}

fn objects() -> Vec<Word> {
    let spoken = OBJECTS.iter().filter(|object| object.spoken().count() > 0);
    spoken.map(|object| Word { word: object.word, help: object.meaning }).collect()
}

fn operands(object: &Object, verb: &Verb, typed: &[String]) -> Vec<Expected> {
    let pairs = kind_of_pairs(object, verb);
    if pairs.is_none() && verb.operands.contains(EITHER) {
        return either_form(object, verb, typed);
    }
    let tokens: Vec<&'static str> = verb.operands.split_whitespace().collect();
    let is_operand = |token: &&&str| token.starts_with('C') || token.starts_with("[C");
    let places = match pairs {
        Some(_) => tokens.iter().take(1).filter(is_operand).copied().collect(),
        None => tokens,
    };
    if let Some(token) = places.get(typed.len()) {
        return alternatives(object, verb, token, typed);
    }
    match (pairs, typed.get(places.len()..)) {
        (Some(kind), Some(rest)) => after_pairs(kind, verb.word == "add", rest),
        _ => Vec::new(),
    }
}

/// What may follow in those of several forms (`add SOURCE DESTINATION | delete ADDRESS`) that go with what was typed.
fn either_form(object: &Object, verb: &Verb, typed: &[String]) -> Vec<Expected> {
    let forms = verb.operands.split(EITHER).map(|form| form.split_whitespace().collect::<Vec<&'static str>>());
    let fits = |form: &Vec<&'static str>| typed.iter().zip(form).all(|(word, token)| may_stand_for(word, token));
    let tokens = forms.filter(fits).filter_map(|form| form.get(typed.len()).copied());
    let (words, mut others): (Vec<Expected>, Vec<Expected>) = tokens
        .flat_map(|token| alternatives(object, verb, token, typed))
        .partition(|one| matches!(one, Expected::Words(_)));
    let words: Vec<Word> =
        words.into_iter().flat_map(|one| if let Expected::Words(words) = one { words } else { Vec::new() }).collect();
    if !words.is_empty() {
        others.insert(0, Expected::Words(words));
    }
    others
}

/// Whether a typed word goes with a token of the syntax: one of its words, perhaps shortened, or anything where it is in capitals.
fn may_stand_for(word: &str, token: &'static str) -> bool {
    let words: Vec<&'static str> = token.split('|').collect();
    !token.starts_with(|c: char| c.is_ascii_lowercase()) || find(word, &words, "").is_ok()
}

/// Between forms of one verb.
const EITHER: &str = " | ";

/// `add` and `set` take pairs of a keyword and its value.
fn kind_of_pairs(object: &Object, verb: &Verb) -> Option<Kind> {
    let takes = matches!(verb.understood, Understood::Change) && matches!(verb.word, "add" | "set" | "");
    let word = if object.word == "set" { "log" } else { object.word };
    let schema = schema::OBJECTS.iter().find(|schema| schema.word == word)?;
    takes.then_some(schema.kind)
}

/// What one token of the syntax (`C:P[+P2...]`, `S|C:P:S`, `[now]`) stands for. Small letters are words of the language,
/// capitals stand for something.
fn alternatives(object: &Object, verb: &Verb, token: &'static str, typed: &[String]) -> Vec<Expected> {
    let one = token.split("[+").next().unwrap_or_default().trim_matches(['[', ']', '.']);
    let is_word = |part: &&str| part.starts_with(|c: char| c.is_ascii_lowercase());
    let (words, others): (Vec<&'static str>, Vec<&str>) = one.split('|').partition(is_word);
    let mut expected: Vec<Expected> = others.iter().flat_map(|part| place(object, verb, part, typed)).collect();
    if !words.is_empty() {
        expected.push(Expected::Words(words.into_iter().map(|word| Word { word, help: "" }).collect()));
    }
    let is_optional = token.starts_with('[');
    let has_words_alone = (one, object.word) == ("NAME", "advisor") || (others.is_empty() && !is_optional);
    if !has_words_alone {
        expected.push(Expected::Told(balanced(token.trim_end_matches("..."))));
    }
    expected
}

/// A token from within brackets of its own (`[NAME [P|C:P]]`) brings one too many.
fn balanced(token: &str) -> String {
    let surplus = token.matches(']').count().saturating_sub(token.matches('[').count());
    token.get(..token.len().saturating_sub(surplus)).unwrap_or(token).to_owned()
}

fn place(object: &Object, verb: &Verb, token: &str, typed: &[String]) -> Vec<Expected> {
    let adds = verb.word == "add";
    let shape = |depth, third| vec![Expected::Operand(Shape { depth, third, adds })];
    match (token, object.word) {
        ("P" | "C:P", "advisor") if verb.word != "start" => scopes(token, typed),
        ("P", _) => vec![Expected::Names(Question::Ports { clusters: String::new() })],
        ("C", _) => shape(1, Third::Servers),
        ("C:P", _) => shape(2, Third::Servers),
        ("C:P:S", _) => shape(3, Third::Servers),
        ("C:P:R", _) => shape(3, Third::Rules),
        ("S", "rule") => vec![Expected::Names(servers_beside(typed.first()))],
        ("S", _) => vec![Expected::Names(servers_beside(None))],
        ("NAME", "advisor") => vec![Expected::Words(advisors())],
        ("NAME", _) => vec![Expected::One(Question::Files)],
        ("OBJECT", _) => vec![Expected::Words(objects())],
        _ => Vec::new(),
    }
}

/// The servers of the port of a rule, or all there are.
fn servers_beside(rule: Option<&String>) -> Question {
    let mut parts = rule.map(|rule| parts(rule, 3)).unwrap_or_default().into_iter();
    let (clusters, ports) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    Question::Servers { clusters, ports }
}

fn advisors() -> Vec<Word> {
    AdvisorKind::ALL.into_iter().map(|kind| Word { word: kind.word(), help: "" }).collect()
}

/// Where the advisor that was named probes; said once for `P|C:P`.
fn scopes(token: &str, typed: &[String]) -> Vec<Expected> {
    let words = AdvisorKind::ALL.map(AdvisorKind::word);
    let named = typed.first().and_then(|word| find(word, &words, "").ok());
    let kind = AdvisorKind::ALL.into_iter().find(|kind| Some(kind.word()) == named);
    match kind {
        Some(kind) if token == "P" => vec![Expected::One(Question::Scopes { kind })],
        _ => Vec::new(),
    }
}

/// After pairs: a keyword that was not said yet, or the value of the last one.
fn after_pairs(kind: Kind, adding: bool, typed: &[String]) -> Vec<Expected> {
    let fits = |keyword: &&Keyword| keyword.usage == Usage::Set || (adding && keyword.usage == Usage::Add);
    let keywords = kind.schema().keywords;
    let all: Vec<&'static str> = keywords.iter().map(Keyword::spoken).collect();
    let mut said = Vec::new();
    let mut rest = typed;
    while let Some((word, values)) = rest.split_first() {
        let Ok(spoken) = unabbreviate(word, &all) else { return Vec::new() };
        let Some(keyword) = keywords.iter().filter(fits).find(|keyword| keyword.spoken() == spoken) else {
            return Vec::new();
        };
        match values.get(keyword.value.words()..) {
            Some(more) => rest = more,
            None => return value(keyword),
        }
        said.push(spoken);
    }
    let left = keywords.iter().filter(fits).filter(|keyword| !said.contains(&keyword.spoken()));
    let words: Vec<Word> = left.map(|keyword| Word { word: keyword.spoken(), help: keyword.help }).collect();
    if words.is_empty() { Vec::new() } else { vec![Expected::Words(words)] }
}

fn value(keyword: &Keyword) -> Vec<Expected> {
    let words: &[&'static str] = match keyword.value {
        ValueKind::Choice { words, .. } => words,
        ValueKind::Flag => &["yes", "no"],
        ValueKind::FractionsOrUnlimited { .. } | ValueKind::WholeOrUnlimited { .. } => &["unlimited"],
        _ => &[],
    };
    let told = Expected::Told(keyword.value.description());
    match words {
        [] => vec![told],
        words => vec![Expected::Words(words.iter().map(|word| Word { word, help: "" }).collect()), told],
    }
}

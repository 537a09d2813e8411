//! The one table of the language: objects, their verbs, the syntax and meaning of each, and who understands it.

use crate::config::{Change, Refusal};

use super::command::Command;
use super::command::arguments::Fault;
use super::lookup::{either, find};

mod table;

pub use table::OBJECTS;

/// What commands are about.
pub struct Object {
    pub word: &'static str,
    /// One sentence.
    pub meaning: &'static str,
    /// One with an empty word for objects that are their own verb.
    pub verbs: &'static [Verb],
}

/// What can be asked of an object.
pub struct Verb {
    pub word: &'static str,
    /// The grammar after the object and the verb.
    pub operands: &'static str,
    /// One sentence; empty for words that are known only for the sake of old scripts.
    pub meaning: &'static str,
    /// Operands that fit.
    pub example: &'static str,
    pub understood: Understood,
}

/// Who understands the words after the verb.
pub enum Understood {
    /// `config`: it changes configured state.
    Change,
    /// This room.
    Here(Understand),
    /// Nobody yet; the sentence says what to do instead.
    Later(&'static str),
}

/// Understands the operands of one verb.
pub type Understand = fn(&[String]) -> Result<Command, Fault>;

/// Understands one command.
pub fn parse(words: &[String]) -> Result<Command, Refusal> {
    let (first, rest) = words.split_first().ok_or_else(|| misuse("a command is missing", USAGE))?;
    let object = find_object(first)?;
    let (verb, operands) = find_verb(object, rest)?;
    match &verb.understood {
        Understood::Change => change(object, verb, operands),
        Understood::Here(understand) => understand(operands).map_err(|fault| misuse(&fault, &verb.usage(object))),
        Understood::Later(sentence) => Err(Refusal::Refused((*sentence).to_owned())),
    }
}

/// The object that a (shortened) word stands for.
pub fn find_object(word: &str) -> Result<&'static Object, Refusal> {
    let words: Vec<_> = OBJECTS.iter().map(|object| object.word).collect();
    // IBM writes `host:NAME`.
    let typed = word.split_once(':').map_or(word, |(object, _)| object);
    let name = find(typed, &words, "known object").map_err(|fault| misuse(&fault, USAGE))?;
    let object = OBJECTS.iter().find(|object| object.word == name);
    Ok(object.expect("`find` returns one of the words it was given"))
}

fn find_verb<'a>(object: &'static Object, words: &'a [String]) -> Result<(&'static Verb, &'a [String]), Refusal> {
    if let [only] = object.verbs
        && only.word.is_empty()
    {
        return Ok((only, words));
    }
    let Some((word, operands)) = words.split_first() else {
        let spoken: Vec<_> = object.spoken().map(|verb| verb.word).collect();
        return Err(misuse(&format!("`{}` needs a verb: {}", object.word, either(&spoken)), &object.usage()));
    };
    let verbs: Vec<_> = object.verbs.iter().map(|verb| verb.word).collect();
    let kind = format!("verb of `{}`", object.word);
    let name = find(word, &verbs, &kind).map_err(|fault| misuse(&fault, &object.usage()))?;
    let verb = object.verbs.iter().find(|verb| verb.word == name);
    Ok((verb.expect("`find` returns one of the words it was given"), operands))
}

/// Object and verb are handed on unshortened, so that `config` and this table cannot read them differently.
fn change(object: &Object, verb: &Verb, operands: &[String]) -> Result<Command, Refusal> {
    let head = [object.word, verb.word].into_iter().filter(|word| !word.is_empty()).map(str::to_owned);
    let words: Vec<String> = head.chain(operands.iter().cloned()).collect();
    match Change::parse(&words) {
        Ok(Some(change)) => Ok(Command::Change(change)),
        Ok(None) => Err(misuse("this command is not complete", &verb.usage(object))),
        Err(Refusal::Misuse(text)) => Err(misuse(&text, &verb.usage(object))),
        Err(refused) => Err(refused),
    }
}

impl Object {
    /// The object with the words of its verbs.
    pub fn usage(&self) -> String {
        let verbs: Vec<_> = self.spoken().map(|verb| verb.word).collect();
        format!("usage: dscontrol {} {}", self.word, verbs.join("|"))
    }

    /// The verbs that help speaks of.
    pub fn spoken(&self) -> impl Iterator<Item = &Verb> {
        self.verbs.iter().filter(|verb| !verb.meaning.is_empty())
    }
}

impl Verb {
    /// `port add C:P …`, without the leading `dscontrol`.
    pub fn syntax(&self, object: &Object) -> String {
        join(&[object.word, self.word, self.operands])
    }

    /// A command that fits, without the leading `dscontrol`.
    pub fn example(&self, object: &Object) -> String {
        join(&[object.word, self.word, self.example])
    }

    fn usage(&self, object: &Object) -> String {
        format!("usage: dscontrol {}", self.syntax(object))
    }
}

fn join(words: &[&str]) -> String {
    let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn misuse(fault: &str, usage: &str) -> Refusal {
    Refusal::Misuse(format!("{fault}\n{}", usage))
}

const USAGE: &str = "usage: dscontrol OBJECT VERB [OPERAND]...; `dscontrol help` lists them all";

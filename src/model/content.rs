//! Patterns of `content` rules: what a request has to be like, in IBM's grammar.

use std::fmt;
use std::str::FromStr;

/// A condition on a request: `(uri=/shop/*)&!(method=POST)`.
///
/// Terms are `keyword=value`; keywords are `method`, `uri`, `version`, `host` and names of header fields, without regard to
/// case. In values `*` stands for any characters, also none. `!` binds closest, then `&`, then `|`; parentheses group;
/// `\` takes the meaning from the character behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContentPattern {
    text: String,
    root: Node,
}

/// What a pattern asks of a request.
pub trait Subject {
    /// The value of a keyword (lower case), or each of the values of a field.
    fn any(&self, keyword: &str, is_wanted: &mut dyn FnMut(&str) -> bool) -> bool;
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Term(Term),
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Term {
    /// Lower case.
    keyword: String,
    /// What has to follow one after the other; between two of them anything may be.
    pieces: Vec<String>,
    /// Hosts and methods are compared without regard to case.
    folds: bool,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ContentFault {
    #[error("is empty; a term such as uri=/shop/* would be right")]
    Empty,
    #[error("has a blank at character {0}; patterns have none")]
    Blank(usize),
    #[error("ends where {0} is expected")]
    Ends(&'static str),
    #[error("has `{found}` at character {at}, where {wanted} is expected")]
    Unexpected { found: char, at: usize, wanted: &'static str },
    #[error("is nested deeper than {MAX_DEPTH} parentheses")]
    TooDeep,
    #[error("is longer than {MAX_LENGTH} characters")]
    TooLong,
}

/// Parentheses and `!` within each other; people write three.
const MAX_DEPTH: usize = 32;
/// Characters of a pattern.
const MAX_LENGTH: usize = 4096;

impl ContentPattern {
    pub fn matches(&self, subject: &impl Subject) -> bool {
        self.root.matches(subject)
    }
}

impl Node {
    fn matches(&self, subject: &impl Subject) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(subject)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(subject)),
            Self::Not(node) => !node.matches(subject),
            Self::Term(term) => subject.any(&term.keyword, &mut |value| term.matches(value)),
        }
    }
}

impl Term {
    fn matches(&self, value: &str) -> bool {
        if self.folds {
            return fits(&self.pieces, &value.to_ascii_lowercase());
        }
        fits(&self.pieces, value)
    }
}

/// Whether the pieces follow one another in `value`, the first at its beginning and the last at its end. Taking each piece
/// at the first place where it fits leaves the most room for the rest, so no second try is needed: the time is bounded by
/// the product of both lengths.
fn fits(pieces: &[String], value: &str) -> bool {
    let Some((first, later)) = pieces.split_first() else { return value.is_empty() };
    let Some((last, middle)) = later.split_last() else { return first == value };
    let Some(mut rest) = value.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        let Some(found) = rest.find(piece.as_str()) else { return false };
        rest = rest.get(found + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last.as_str())
}

impl FromStr for ContentPattern {
    type Err = ContentFault;

    fn from_str(text: &str) -> Result<Self, ContentFault> {
        if text.is_empty() {
            return Err(ContentFault::Empty);
        }
        if text.chars().count() > MAX_LENGTH {
            return Err(ContentFault::TooLong);
        }
        let mut reader = Reader { rest: text.chars().collect(), at: 0, depth: 0 };
        let root = reader.any()?;
        match reader.peek() {
            None => Ok(Self { text: text.to_owned(), root }),
            Some(found) => Err(reader.unexpected(found, "`&`, `|` or the end")),
        }
    }
}

impl fmt::Display for ContentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&self, found: char, wanted: &'static str) -> ContentFault {
        match found {
            ' ' | '\t' => ContentFault::Blank(self.at + 1),
            found => ContentFault::Unexpected { found, at: self.at + 1, wanted },
        }
    }

    fn any(&mut self) -> Result<Node, ContentFault> {
        let mut nodes = vec![self.all()?];
        while self.take('|') {
            nodes.push(self.all()?);
        }
        Ok(only(nodes, Node::Any))
    }

    fn all(&mut self) -> Result<Node, ContentFault> {
        let mut nodes = vec![self.one()?];
        while self.take('&') {
            nodes.push(self.one()?);
        }
        Ok(only(nodes, Node::All))
    }

    fn one(&mut self) -> Result<Node, ContentFault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ContentFault::TooDeep);
        }
        let node = if self.take('!') {
            Node::Not(Box::new(self.one()?))
        } else if self.take('(') {
            let inner = self.any()?;
            match self.peek() {
                Some(')') => self.at += 1,
                Some(found) => return Err(self.unexpected(found, "`)`")),
                None => return Err(ContentFault::Ends("`)`")),
            }
            inner
        } else {
            Node::Term(self.term()?)
        };
        self.depth -= 1;
        Ok(node)
    }

    fn term(&mut self) -> Result<Term, ContentFault> {
        let mut keyword = String::new();
        loop {
            match self.peek() {
                Some('=') if !keyword.is_empty() => break,
                Some(c) if c.is_ascii_alphanumeric() || "-_.$".contains(c) => keyword.push(c.to_ascii_lowercase()),
                Some(found) => return Err(self.unexpected(found, "a term such as uri=/shop/*")),
                None => return Err(ContentFault::Ends("a term such as uri=/shop/*")),
            }
            self.at += 1;
        }
        self.at += 1;
        let folds = matches!(keyword.as_str(), "method" | "host");
        Ok(Term { keyword, pieces: self.pieces(folds)?, folds })
    }

    /// The value, parted at its asterisks.
    fn pieces(&mut self, folds: bool) -> Result<Vec<String>, ContentFault> {
        let mut pieces = vec![String::new()];
        while let Some(c) = self.peek() {
            let literal = match c {
                '&' | '|' | ')' => break,
                '(' | '!' | ' ' | '\t' => {
                    return Err(self.unexpected(c, "a character of the value (`\\` before it, if it is meant)"));
                }
                '*' => {
                    pieces.push(String::new());
                    self.at += 1;
                    continue;
                }
                '\\' => {
                    self.at += 1;
                    self.peek().ok_or(ContentFault::Ends("the character that `\\` is for"))?
                }
                c => c,
            };
            self.at += 1;
            if let Some(piece) = pieces.last_mut() {
                piece.push(if folds { literal.to_ascii_lowercase() } else { literal });
            }
        }
        Ok(pieces)
    }
}

fn only(mut nodes: Vec<Node>, wrap: impl Fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(node) if nodes.is_empty() => node,
        Some(node) => {
            nodes.push(node);
            wrap(nodes)
        }
        None => wrap(nodes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Request<'a>(&'a [(&'a str, &'a str)]);

    impl Subject for Request<'_> {
        fn any(&self, keyword: &str, is_wanted: &mut dyn FnMut(&str) -> bool) -> bool {
            self.0.iter().any(|(name, value)| *name == keyword && is_wanted(value))
        }
    }

    const REQUEST: Request<'_> = Request(&[
        ("method", "GET"),
        ("uri", "/shop/cgi-bin/list.cgi?page=2"),
        ("version", "HTTP/1.1"),
        ("host", "WWW.example.com"),
        ("accept-language", "de"),
        ("accept-language", "en;q=0.5"),
    ]);

    #[test]
    fn patterns_of_ibm_and_ours() {
        let cases = [
            ("uri=*/cgi-bin/*", true),
            ("(method=GET)&(uri=/shop/*)", true),
            ("(method=get)&(uri=/a/*)", false),
            ("method=POST|host=www.*", true),
            ("!method=POST&!uri=/a*", true),
            ("!(method=GET|method=HEAD)", false),
            ("Accept-Language=de*", true),
            ("accept-language=en*", true),
            ("accept-language=fr", false),
            ("referer=*", false),
            ("uri=/shop/*/list.cgi\\?page\\=2", true),
            ("uri=/shop*list*2", true),
            ("uri=/shop*2*list*", false),
            ("version=HTTP/1.1", true),
            ("host=*.EXAMPLE.com", true),
            ("uri=/SHOP/*", false),
            ("method=POST&method=GET|uri=*", true),
        ];
        for (text, expected) in cases {
            let pattern: ContentPattern = text.parse().expect(text);
            assert_eq!(pattern.matches(&REQUEST), expected, "{text}");
            assert_eq!(pattern.to_string(), text);
        }
    }

    #[test]
    fn faults_name_the_place() {
        let cases = [
            ("", "is empty; a term such as uri=/shop/* would be right"),
            ("uri=/a & b", "has a blank at character 7; patterns have none"),
            ("uri=/a&", "ends where a term such as uri=/shop/* is expected"),
            ("(uri=/a", "ends where `)` is expected"),
            ("uri=/a)", "has `)` at character 7, where `&`, `|` or the end is expected"),
            ("=x", "has `=` at character 1, where a term such as uri=/shop/* is expected"),
            ("uri", "ends where a term such as uri=/shop/* is expected"),
            ("uri=\\", "ends where the character that `\\` is for is expected"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<ContentPattern>().unwrap_err().to_string(), expected, "{text}");
        }
        assert_eq!("(".repeat(100).parse::<ContentPattern>(), Err(ContentFault::TooDeep));
        assert_eq!("!".repeat(100_000).parse::<ContentPattern>(), Err(ContentFault::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_is_a_disaster(text in "[a-z=*&|!()\\\\ ]{0,80}") {
            if let Ok(pattern) = text.parse::<ContentPattern>() {
                pattern.matches(&REQUEST);
            }
        }

        /// An asterisk stands for any text.
        #[test]
        fn what_is_cut_out_of_a_value_is_matched_by_an_asterisk(a in "[a-c]{0,6}", b in "[a-c]{0,6}", c in "[a-c]{0,6}") {
            let pieces = [a.clone(), c.clone()];
            let value = format!("{a}{b}{c}");
            prop_assert!(fits(&pieces, &value));
        }
    }
}

//! A source file, taken apart as far as the rules need it.

/// One file under `src` without its tests.
#[derive(Debug)]
pub struct Source {
    /// Under `src`, with `/`.
    pub path: String,
    /// The whole text, for what stands in comments.
    pub text: String,
    /// The words and marks of the code proper: no comments, no literals, no `#[cfg(test)]` items.
    pub tokens: Vec<Token>,
    /// Names of modules that are declared under `#[cfg(test)]` and live in files of their own.
    test_modules: Vec<String>,
    /// The line of the first `#[cfg(test)]`, or one more than there are lines.
    pub tests_begin: usize,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A path through modules, as in `crate::model::Port`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CodePath {
    pub parts: Vec<String>,
    pub line: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let all = tokens(text);
        let lines = text.lines().count();
        let (tokens, test_modules, first_test) = without_tests(all);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens,
            test_modules,
            tests_begin: first_test.unwrap_or(lines + 1),
        }
    }

    /// The first folder, or the name of a file that is a room by itself.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or(&self.path);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The modules in which the file's code stands: `a/b.rs` is `a`, `b`; so is `a/b/mod.rs`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        path.split('/').filter(|part| !matches!(*part, "mod" | "lib")).collect()
    }

    /// Paths under `src`, without ending, of the modules that only tests see.
    pub fn test_modules(&self) -> Vec<String> {
        let here = self.module().join("/");
        self.test_modules.iter().map(|name| format!("{here}/{name}")).collect()
    }

    /// Whether the file belongs to one of these modules, or is called `tests`.
    pub fn is_for_tests(&self, modules: &[String]) -> bool {
        let module = self.module();
        let path = module.join("/");
        let inside =
            |of: &String| path.strip_prefix(of.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        module.contains(&"tests") || modules.iter().any(inside)
    }

    /// Every path that the code names, imports taken apart.
    pub fn paths(&self) -> Vec<CodePath> {
        let mut paths = Vec::new();
        let mut reader = Reader { tokens: &self.tokens, next: 0 };
        while let Some(token) = reader.take() {
            if token.text == "use" {
                reader.tree(&[], &mut paths);
            } else if is_word(&token.text) {
                paths.push(reader.path(token));
            }
        }
        paths
    }
}

/// Walks over tokens.
struct Reader<'a> {
    tokens: &'a [Token],
    next: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.next)?;
        self.next += 1;
        Some(token)
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.tokens.get(self.next).is_some_and(|token| token.text == text);
        self.next += usize::from(found);
        found
    }

    /// The rest of a path that begins with this word.
    fn path(&mut self, first: &Token) -> CodePath {
        let mut path = CodePath { parts: vec![first.text.clone()], line: first.line };
        while self.tokens.get(self.next).is_some_and(|token| token.text == "::")
            && let Some(word) = self.tokens.get(self.next + 1)
            && is_word(&word.text)
        {
            path.parts.push(word.text.clone());
            self.next += 2;
        }
        path
    }

    /// One tree of a `use` declaration below `prefix`: `a::b`, `a::{b, c::d}`, `a::*`, `a as b`.
    fn tree(&mut self, prefix: &[String], paths: &mut Vec<CodePath>) {
        self.skip("::");
        let mut parts = prefix.to_vec();
        let mut line = 0;
        while let Some(token) = self.take() {
            line = token.line;
            match token.text.as_str() {
                "{" => {
                    while !self.skip("}") && self.next < self.tokens.len() {
                        self.tree(&parts, paths);
                        self.skip(",");
                    }
                    return;
                }
                "*" => break,
                word if is_word(word) => parts.push(word.to_owned()),
                // What does not belong to an import ends it; nothing is lost but its name.
                _ => break,
            }
            if !self.skip("::") {
                break;
            }
        }
        if self.skip("as") {
            self.take();
        }
        paths.push(CodePath { parts, line });
    }
}

/// The tokens without `#[cfg(test)]` items, the names of test modules in files of their own, and where the first
/// such item begins.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>, Option<usize>) {
    let (mut kept, mut modules, mut first) = (Vec::new(), Vec::new(), None);
    let mut rest = tokens.as_slice();
    while let Some(token) = rest.first() {
        if !is_test_attribute(rest) {
            kept.push(token.clone());
            rest = &rest[1..];
            continue;
        }
        first = first.or(Some(token.line));
        let item = item_length(&rest[TEST_ATTRIBUTE.len()..]);
        let (gone, after) = rest.split_at(TEST_ATTRIBUTE.len() + item);
        if let [.., module, name, end] = gone
            && (module.text.as_str(), end.text.as_str()) == ("mod", ";")
        {
            modules.push(name.text.clone());
        }
        rest = after;
    }
    (kept, modules, first)
}

const TEST_ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

fn is_test_attribute(tokens: &[Token]) -> bool {
    tokens.len() >= TEST_ATTRIBUTE.len() && tokens.iter().zip(TEST_ATTRIBUTE).all(|(token, text)| token.text == text)
}

/// An item goes to its semicolon or to the end of its braces, whichever comes first outside of other brackets.
fn item_length(tokens: &[Token]) -> usize {
    let mut depth = 0usize;
    for (place, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                // `use a::{b};` goes on after its braces.
                let ends = tokens.get(place + 1).is_none_or(|next| next.text != ";");
                if depth == 0 && token.text == "}" && ends {
                    return place + 1;
                }
            }
            ";" if depth == 0 => return place + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The words and marks of a text; comments and literals are left out, `::` is one mark.
fn tokens(text: &str) -> Vec<Token> {
    let (mut found, mut line, mut rest) = (Vec::new(), 1, text);
    while let Some(first) = rest.chars().next() {
        let length = length_of(rest, first);
        let (token, after) = rest.split_at(length);
        let is_literal = token.contains(['"', '\'']);
        if !is_literal && (is_word(token) || (!first.is_whitespace() && is_mark(token))) {
            found.push(Token { text: token.to_owned(), line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    found
}

/// Single marks and `::`; not comments, literals and lifetimes.
fn is_mark(token: &str) -> bool {
    token == "::" || (token.chars().count() == 1 && !token.starts_with(|c: char| c.is_ascii_digit()))
}

fn length_of(rest: &str, first: char) -> usize {
    match first {
        '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
        '/' if rest.starts_with("/*") => block_comment(rest),
        '"' => 1 + quoted(&rest[1..], '"'),
        '\'' => character_or_lifetime(rest),
        ':' if rest.starts_with("::") => 2,
        c if c.is_alphanumeric() || c == '_' => word(rest),
        c => c.len_utf8(),
    }
}

/// A word, a number, or a literal with a prefix such as `r#""#`, `b""`, `br""`, `c""`; `r#name` is a word.
fn word(rest: &str) -> usize {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (prefix, after) = rest.split_at(end);
    match prefix {
        "r" | "br" | "cr" if after.starts_with(['"', '#']) => {
            let hashes = after.chars().take_while(|&c| c == '#').count();
            let Some(body) = after[hashes..].strip_prefix('"') else { return end };
            let close = format!("\"{}", "#".repeat(hashes));
            end + hashes + 1 + body.find(&close).map_or(body.len(), |place| place + close.len())
        }
        "b" | "c" if after.starts_with('"') => end + 1 + quoted(&after[1..], '"'),
        "b" if after.starts_with('\'') => end + 1 + quoted(&after[1..], '\''),
        _ => end,
    }
}

/// Up to and with the closing quote.
fn quoted(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (place, character) in body.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return place + 1,
            _ => {}
        }
    }
    body.len()
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn character_or_lifetime(rest: &str) -> usize {
    let mut after = rest[1..].chars();
    match (after.next(), after.next()) {
        (Some('\\'), _) => 1 + quoted(&rest[1..], '\''),
        (Some(character), Some('\'')) => 1 + character.len_utf8() + 1,
        _ => 1 + word(&rest[1..]).max(1).min(rest.len() - 1),
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut place) = (0usize, 0);
    while place < rest.len() {
        let here = &rest[place..];
        if here.starts_with("/*") {
            (depth, place) = (depth + 1, place + 2);
        } else if here.starts_with("*/") {
            (depth, place) = (depth - 1, place + 2);
            if depth == 0 {
                return place;
            }
        } else {
            place += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        Source::new("a/b.rs", text).paths().iter().map(|path| path.parts.join("::")).collect()
    }

    #[test]
    fn imports_are_taken_apart() {
        assert_eq!(paths("use crate::model::Port;"), ["crate::model::Port"]);
        assert_eq!(paths("use crate::{a::B, c::{D as E, f::*}};"), ["crate::a::B", "crate::c::D", "crate::c::f"]);
        assert_eq!(paths("pub(crate) use super::x::{self, Y,};").last().unwrap(), "super::x::Y");
        assert_eq!(paths("use ::std::{fs, net::TcpStream};"), ["std::fs", "std::net::TcpStream"]);
    }

    #[test]
    fn paths_in_code_are_seen() {
        assert!(paths("fn f() { let x = crate::daemon::start(); }").contains(&"crate::daemon::start".to_owned()));
        assert!(paths("fn f(a: Vec<crate::sys::Fd>) {}").contains(&"crate::sys::Fd".to_owned()));
        assert!(paths("let now = Instant::now();").contains(&"Instant::now".to_owned()));
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let quiet = [
            "// crate::daemon",
            "/* crate::daemon /* nested */ crate::daemon */",
            "\"crate::daemon \\\" crate::daemon\"",
            "r#\"crate::daemon \" crate::daemon\"#",
            "b\"crate::daemon\"",
            "'\\''",
            "'\"'",
            "b'\\''",
        ];
        for text in quiet {
            assert_eq!(paths(text), [""; 0], "{text}");
            assert_eq!(paths(&format!("{text}\nfound")), ["found"], "{text}");
        }
        assert_eq!(paths("fn f<'a>(x: &'a str) -> Y<'_>"), ["fn", "f", "x", "str", "Y"]);
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let source = Source::new("a.rs", "/* \n */ \"\n\"\nfound");
        assert_eq!(source.paths(), [CodePath { parts: vec!["found".to_owned()], line: 4 }]);
    }

    #[test]
    fn tests_are_left_out() {
        let text = "one;\n#[cfg(test)]\nmod tests { use crate::daemon::X; fn f() { { } } }\n#[cfg(test)] use crate::{a, b};\n\
                    #[cfg(test)]\n#[derive(Debug)]\nfn f() {}\ntwo;\n#[cfg(test)]\nmod stand;";
        let source = Source::new("room/file.rs", text);
        let words: Vec<&str> = source.tokens.iter().map(|token| token.text.as_str()).collect();
        assert_eq!(words, ["one", ";", "two", ";"]);
        assert_eq!(source.test_modules(), ["room/file/stand"]);
        assert_eq!(source.tests_begin, 2);
    }

    #[test]
    fn files_for_tests_are_known() {
        let for_tests = ["room/file/stand".to_owned()];
        let is = |path| Source::new(path, "").is_for_tests(&for_tests);
        assert!(
            is("room/file/stand.rs") && is("room/file/stand/more.rs") && is("room/tests.rs") && is("room/tests/a.rs")
        );
        assert!(!is("room/file.rs") && !is("room/file/standing.rs"));
    }
}

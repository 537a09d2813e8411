//! The cases of `tests/fixtures/one-meaning`; its README has the words.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// One case.
pub struct Case {
    pub name: String,
    /// What is sent, a step each.
    pub steps: Vec<(String, String)>,
    /// What has to become of it.
    pub outcomes: Vec<(String, String)>,
}

/// Words of a case that say what is sent; all others say what becomes of it.
const STEPS: [&str; 9] = [">", "|", "f", "request", "headers", "headers-end", "data", "data-end", "trailers-end"];

fn read(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/one-meaning").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case { name: name.to_owned(), steps: Vec::new(), outcomes: Vec::new() });
            continue;
        }
        let case = cases.last_mut().expect("a case begins with its name");
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let list = if STEPS.contains(&word) { &mut case.steps } else { &mut case.outcomes };
        list.push((word.to_owned(), rest.to_owned()));
    }
    for case in &cases {
        assert!(!case.steps.is_empty() && !case.outcomes.is_empty(), "{}", case.name);
    }
    cases
}

/// Bytes with their escapes: `\r`, `\n`, `\t`, `\0`, `\\`, `\xNN`, and `\{N c}` for N times the character c.
pub fn bytes(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (kind, behind) = escape.split_at(1);
        rest = behind;
        match kind {
            "r" => bytes.push(b'\r'),
            "n" => bytes.push(b'\n'),
            "t" => bytes.push(b'\t'),
            "0" => bytes.push(0),
            "\\" => bytes.push(b'\\'),
            "x" => {
                bytes.push(u8::from_str_radix(&behind[..2], 16).unwrap());
                rest = &behind[2..];
            }
            "{" => {
                let (inner, after) = behind.split_once('}').unwrap();
                let (count, what) = inner.split_once(' ').unwrap();
                bytes.extend(self::bytes(what).repeat(count.parse().unwrap()));
                rest = after;
            }
            other => panic!("\\{other} is no escape"),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// One run shows every case that fails.
pub fn run(file: &str, check: impl Fn(&Case)) {
    let failed: Vec<String> = read(file)
        .into_iter()
        .filter(|case| catch_unwind(AssertUnwindSafe(|| check(case))).is_err())
        .map(|case| case.name)
        .collect();
    assert_eq!(failed, Vec::<String>::new());
}

impl Case {
    pub fn has(&self, word: &str) -> bool {
        self.outcomes.iter().any(|(there, _)| there == word)
    }

    pub fn all(&self, word: &str) -> impl Iterator<Item = &str> {
        self.outcomes.iter().filter(move |(there, _)| there == word).map(|(_, rest)| rest.as_str())
    }

    /// The bytes of a case in HTTP/1.1.
    pub fn text(&self) -> Vec<u8> {
        let mut sent = Vec::new();
        for (word, rest) in &self.steps {
            sent.extend(bytes(rest));
            if word == ">" {
                sent.extend(b"\r\n");
            }
        }
        sent
    }
}

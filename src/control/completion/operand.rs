//! `C:P:S` while it is typed: which part the cursor is in, and how names are spelled there.

use super::{Fitting, Objects, Question};

/// Which operand is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    /// 1 for clusters, 2 for ports, 3 for servers and rules.
    pub depth: usize,
    pub third: Third,
    /// The last part is the name of something that is not there yet.
    pub adds: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Third {
    Servers,
    Rules,
}

/// What the typed part of an operand may become.
pub fn fitting(typed: &str, shape: Shape, objects: &impl Objects) -> Vec<Fitting> {
    let parted = Parted::new(typed, shape.depth);
    let mut found = Vec::new();
    if parted.earlier.len() < shape.depth {
        found.extend(parted.fitting(shape, objects));
    }
    found.extend(bare_addresses(typed, &parted, objects));
    found
}

/// Names joined by `+`, outside of any operand.
pub fn listed(typed: &str, names: &[String]) -> Vec<Fitting> {
    let (stem, item) = typed.rfind('+').map_or(("", typed), |plus| typed.split_at(plus + 1));
    let said: Vec<&str> = stem.split('+').map(bare).collect();
    let wanted = names.iter().filter(|name| !said.contains(&name.as_str()));
    let spelled = wanted.map(|name| (name, bracketed(name))).filter(|(_, text)| text.starts_with(item));
    spelled.map(|(name, text)| whole(name, format!("{stem}{text}"))).collect()
}

/// The parts of an operand's text, as texts without brackets.
pub fn parts(typed: &str, depth: usize) -> Vec<String> {
    let parted = Parted::new(typed, depth);
    let all = parted.earlier.iter().copied().chain([parted.last]);
    all.map(without_brackets).collect()
}

/// An operand up to the cursor.
struct Parted<'a> {
    separator: char,
    earlier: Vec<&'a str>,
    /// All before the last part.
    stem: &'a str,
    last: &'a str,
}

impl<'a> Parted<'a> {
    fn new(typed: &'a str, depth: usize) -> Self {
        let separator = if typed.contains('@') { '@' } else { ':' };
        // An IPv6 address alone is a cluster, too.
        let cuts = if depth == 1 && separator == ':' { Vec::new() } else { cuts(typed, separator) };
        let begins = [0].into_iter().chain(cuts.iter().map(|at| at + 1));
        let earlier = begins.zip(&cuts).filter_map(|(from, to)| typed.get(from..*to)).collect();
        let (stem, last) = cuts.last().map_or(("", typed), |at| typed.split_at(at + 1));
        Self { separator, earlier, stem, last }
    }

    fn fitting(&self, shape: Shape, objects: &impl Objects) -> Vec<Fitting> {
        let level = self.earlier.len();
        let is_last = level + 1 == shape.depth;
        if is_last && shape.adds {
            return Vec::new();
        }
        let (list, item) = self.last.rfind('+').map_or(("", self.last), |plus| self.last.split_at(plus + 1));
        let said: Vec<&str> = list.split('+').map(bare).collect();
        let names = objects.names(&self.question(shape));
        let wanted = names.iter().filter(|name| !said.contains(&name.as_str()));
        let spelled = wanted.filter_map(|name| {
            let (name_text, separator) = self.spell(name, item, shape.depth);
            let text = format!("{}{list}{name_text}", self.stem);
            name_text.starts_with(item).then(|| match is_last {
                true => whole(name, text),
                false => Fitting {
                    label: format!("{name_text}{separator}"),
                    help: "",
                    text: format!("{text}{separator}"),
                    whole: false,
                },
            })
        });
        spelled.collect()
    }

    /// The name and what separates the next part from it. A name with colons in it asks for `@` or for brackets.
    fn spell(&self, name: &str, item: &str, depth: usize) -> (String, char) {
        let is_address = name.contains(':');
        if !is_address || self.separator == '@' && !item.starts_with('[') {
            return (name.to_owned(), self.separator);
        }
        let at_the_beginning = self.stem.is_empty() && !self.last.contains('[');
        match at_the_beginning {
            true if depth == 1 => (name.to_owned(), ':'),
            true => (name.to_owned(), '@'),
            false => (bracketed(name), self.separator),
        }
    }

    fn question(&self, shape: Shape) -> Question {
        let part = |at: usize| self.earlier.get(at).copied().map(without_brackets).unwrap_or_default();
        match (self.earlier.len(), shape.third) {
            (0, _) => Question::Clusters,
            (1, _) => Question::Ports { clusters: part(0) },
            (_, Third::Servers) => Question::Servers { clusters: part(0), ports: part(1) },
            (_, Third::Rules) => Question::Rules { clusters: part(0), ports: part(1) },
        }
    }
}

/// `2001:d…` may be the beginning of an address, although it reads as several parts.
fn bare_addresses(typed: &str, parted: &Parted<'_>, objects: &impl Objects) -> Vec<Fitting> {
    if parted.earlier.is_empty() || typed.contains(['@', '[']) {
        return Vec::new();
    }
    let (list, item) = typed.rfind('+').map_or(("", typed), |plus| typed.split_at(plus + 1));
    if item.is_empty() || !item.chars().all(|c| c.is_ascii_hexdigit() || c == ':') {
        return Vec::new();
    }
    let names = objects.names(&Question::Clusters).into_iter();
    let addresses = names.filter(|name| name.contains(':') && name.starts_with(item));
    let goes_on =
        |name: String| Fitting { label: format!("{name}@"), help: "", text: format!("{list}{name}@"), whole: false };
    addresses.map(goes_on).collect()
}

/// Where the separator stands, outside of brackets.
fn cuts(typed: &str, separator: char) -> Vec<usize> {
    let mut inside = false;
    let is_cut = |c: char| {
        inside = separator == ':' && (c == '[' || (inside && c != ']'));
        c == separator && !inside
    };
    typed.match_indices(is_cut).map(|(at, _)| at).collect()
}

fn whole(name: &str, text: String) -> Fitting {
    Fitting { label: name.to_owned(), help: "", text, whole: true }
}

/// The items of a part without their brackets.
fn without_brackets(part: &str) -> String {
    part.split('+').map(bare).collect::<Vec<_>>().join("+")
}

fn bare(item: &str) -> &str {
    item.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(item)
}

/// Addresses in brackets.
fn bracketed(name: &str) -> String {
    if name.contains(':') { format!("[{name}]") } else { name.to_owned() }
}

//! Operands of commands: `C:P:S` with lists, wildcards and IPv6 addresses.

use std::fmt;
use std::hash::Hash;

use indexmap::IndexSet;

use super::Refusal;
use super::fault::quoted;
use super::object::{Key, Label, Path};
use super::schema::Kind;
use crate::model::{Name, PortNumber};

/// One part of an operand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part<T> {
    /// Left empty: all there are.
    Any,
    /// These, in the order written, none twice. Never empty.
    These(Vec<T>),
}

/// Clusters, ports of clusters, or servers or rules of ports. `:` and `@` separate (where a name is an IPv6 address only
/// `@` does, or the address stands in brackets), `+` joins, an empty part stands for all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operand {
    pub clusters: Part<Name>,
    /// `Any` where the operand has one part.
    pub ports: Part<PortNumber>,
    /// Servers or rules; `Any` where the operand has fewer than three parts.
    pub third: Part<Name>,
    depth: usize,
}

impl Operand {
    /// Reads an operand of `depth` parts: 1 for clusters, 2 for ports, 3 for servers and rules. Fewer or more parts are misuse.
    pub fn parse(text: &str, depth: usize) -> Result<Self, Refusal> {
        let wildcard = depth == 1 && matches!(text, ":" | "@");
        let parts = if wildcard { vec![""] } else { split(text, depth)? };
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        if parts.len() != depth || text.is_empty() {
            let form = FORMS.get(depth.wrapping_sub(1)).copied().unwrap_or_default();
            return Err(Refusal::misuse(format!("{} is not of the form {form}", quoted(text))));
        }
        Ok(Self { clusters: names(part(0))?, ports: numbers(part(1))?, third: names(part(2))?, depth })
    }

    /// How many parts it has.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Whether it means this object; parts that the object has not are not asked.
    pub fn matches(&self, cluster: &Name, port: Option<PortNumber>, third: Option<&Name>) -> bool {
        self.clusters.matches(cluster)
            && port.is_none_or(|port| self.ports.matches(&port))
            && third.is_none_or(|third| self.third.matches(third))
    }

    /// Servers of this name on all ports of all clusters.
    pub(super) fn servers_everywhere(names: Vec<Name>) -> Self {
        Self { clusters: Part::Any, ports: Part::Any, third: Part::These(names), depth: 3 }
    }

    /// The one object at a path; `None` for those that operands do not name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let mut operand = Self { clusters: Part::Any, ports: Part::Any, third: Part::Any, depth: path.0.len() };
        for (at, key) in path.0.iter().enumerate() {
            match (at, &key.label) {
                (0, Label::Name(name)) => operand.clusters = Part::These(vec![name.clone()]),
                (1, Label::Number(number)) => operand.ports = Part::These(vec![*number]),
                (2, Label::Name(name)) => operand.third = Part::These(vec![name.clone()]),
                _ => return None,
            }
        }
        Some(operand)
    }

    /// The keys wanted at each level down to objects of `kind`; `None` for all.
    pub(super) fn levels(&self, kind: Kind) -> Vec<(Kind, Option<Vec<Key>>)> {
        let clusters = self.clusters.keys(|name| Key::named(Kind::Cluster, name.clone()));
        let ports = self.ports.keys(|number| Key::port(*number));
        let third = self.third.keys(|name| Key::named(kind, name.clone()));
        let mut levels = vec![(Kind::Cluster, clusters), (Kind::Port, ports), (kind, third)];
        levels.truncate(self.depth);
        levels
    }
}

impl<T: PartialEq> Part<T> {
    pub fn matches(&self, item: &T) -> bool {
        match self {
            Self::Any => true,
            Self::These(items) => items.contains(item),
        }
    }
}

impl<T> Part<T> {
    fn keys(&self, key: impl Fn(&T) -> Key) -> Option<Vec<Key>> {
        match self {
            Self::Any => None,
            Self::These(items) => Some(items.iter().map(key).collect()),
        }
    }
}

/// Joined by `+`; nothing for all.
impl<T: fmt::Display> fmt::Display for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::These(items) => {
                let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("+"))
            }
        }
    }
}

/// With `:`, or with `@` where a name is an IPv6 address.
impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clusters, third) = (self.clusters.to_string(), self.third.to_string());
        let separator = if clusters.contains(':') || third.contains(':') { '@' } else { ':' };
        match self.depth {
            1 if clusters.is_empty() => write!(f, "{separator}"),
            1 => f.write_str(&clusters),
            2 => write!(f, "{clusters}{separator}{}", self.ports),
            _ => write!(f, "{clusters}{separator}{}{separator}{third}", self.ports),
        }
    }
}

/// Whether a text has more than one part. `a::b` has three, although it could be an IPv6 address: that needs brackets.
pub(super) fn is_parted(text: &str) -> bool {
    text.contains('@') || split_outside_brackets(text, ':').len() > 1
}

/// Names joined by `+`, at least one.
pub(super) fn name_list(text: &str) -> Result<Vec<Name>, Refusal> {
    match names(text)? {
        Part::These(names) => Ok(names),
        Part::Any => Err(Refusal::misuse("a name is missing")),
    }
}

/// Port numbers joined by `+`; nothing for all.
pub(super) fn numbers(text: &str) -> Result<Part<PortNumber>, Refusal> {
    part(text, |item| {
        let digits = item.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| item.parse::<u64>().ok()).flatten();
        number
            .and_then(|number| PortNumber::new(number).ok())
            .ok_or_else(|| Refusal::misuse(format!("port {} is not a whole number from 0 to 65535", quoted(item))))
    })
}

fn names(text: &str) -> Result<Part<Name>, Refusal> {
    part(text, |item| {
        let name = item.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(item);
        Name::new(name).map_err(|fault| Refusal::misuse(fault.to_string().escape_debug().to_string()))
    })
}

fn part<T: Eq + Hash>(text: &str, read: impl Fn(&str) -> Result<T, Refusal>) -> Result<Part<T>, Refusal> {
    if text.is_empty() {
        return Ok(Part::Any);
    }
    let mut items = IndexSet::new();
    for item in text.split('+') {
        let item = read(item)?;
        if items.len() == MAX_ITEMS {
            return Err(Refusal::misuse(format!("a list has at most {MAX_ITEMS} items")));
        }
        items.insert(item);
    }
    Ok(Part::These(items.into_iter().collect()))
}

fn split(text: &str, depth: usize) -> Result<Vec<&str>, Refusal> {
    if depth == 1 && !text.contains('@') {
        return Ok(vec![text]);
    }
    if text.contains('@') {
        return Ok(text.split('@').collect());
    }
    let parts = split_outside_brackets(text, ':');
    if parts.len() > depth {
        let message = format!("{} has too many parts; an IPv6 address needs `@` or brackets", quoted(text));
        return Err(Refusal::misuse(message));
    }
    Ok(parts)
}

fn split_outside_brackets(text: &str, separator: char) -> Vec<&str> {
    let mut inside = false;
    let is_cut = |c: char| {
        inside = c == '[' || (inside && c != ']');
        c == separator && !inside
    };
    text.split(is_cut).collect()
}

const FORMS: [&str; 3] = ["CLUSTER", "CLUSTER:PORT", "CLUSTER:PORT:NAME"];
/// Items of one list: as many as a port has servers, the longest list there is.
const MAX_ITEMS: usize = crate::model::MAX_PORTS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        let cases = [
            ("shop", 1, "shop"),
            ("shop+web+shop", 1, "shop+web"),
            ("2001:db8::1", 1, "2001:db8::1"),
            ("@", 1, ":"),
            (":", 1, ":"),
            ("shop:80", 2, "shop:80"),
            ("shop@80+443", 2, "shop:80+443"),
            (":80", 2, ":80"),
            ("shop:", 2, "shop:"),
            ("shop:80:w1+w2", 3, "shop:80:w1+w2"),
            ("::w1", 3, "::w1"),
            ("@80@w1", 3, ":80:w1"),
            ("2001:db8::1@80@w1", 3, "2001:db8::1@80@w1"),
            ("[2001:db8::1]:80:w1", 3, "2001:db8::1@80@w1"),
            ("shop:80:[::1]+w1", 3, "shop@80@::1+w1"),
        ];
        for (text, depth, shown) in cases {
            let operand = Operand::parse(text, depth).expect(text);
            assert_eq!(operand.to_string(), shown);
            assert_eq!(Operand::parse(shown, depth), Ok(operand), "{shown}");
        }
    }

    #[test]
    fn refused_forms() {
        let cases = [
            ("", 1, "`` is not of the form CLUSTER"),
            ("shop", 2, "`shop` is not of the form CLUSTER:PORT"),
            ("shop:80", 3, "`shop:80` is not of the form CLUSTER:PORT:NAME"),
            ("shop:80:w1:x", 3, "`shop:80:w1:x` has too many parts; an IPv6 address needs `@` or brackets"),
            ("shop@80:w1", 3, "`shop@80:w1` is not of the form CLUSTER:PORT:NAME"),
            ("shop:http", 2, "port `http` is not a whole number from 0 to 65535"),
            ("shop:65536", 2, "port `65536` is not a whole number from 0 to 65535"),
            ("shop:+80", 2, "port `` is not a whole number from 0 to 65535"),
            ("a++b", 1, "a name must not be empty"),
            ("sh*p", 1, "name `sh*p` contains `*`; letters, digits, `_`, `-` and `.` are allowed"),
        ];
        for (text, depth, message) in cases {
            assert_eq!(Operand::parse(text, depth).expect_err(text).message(), message);
        }
    }

    #[test]
    fn matching() {
        let name = |text| Name::new(text).expect("name");
        let port = |number| PortNumber::new(number).expect("port");
        let operand = Operand::parse("shop+web:80:", 3).expect("operand");
        assert!(operand.matches(&name("web"), Some(port(80)), Some(&name("w9"))));
        assert!(operand.matches(&name("web"), None, None));
        assert!(!operand.matches(&name("web"), Some(port(81)), None));
        assert!(!operand.matches(&name("mail"), Some(port(80)), None));
    }
}

//! Names of clusters, servers, rules and advisors.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use super::MAX_NAME;

/// A name as operators may write it: letters, digits, `_`, `-`, `.`, `:` only inside IPv6 addresses; 1 to 64 characters.
///
/// IBM lets an object be named by its address, so addresses are names too. `+`, `@` and blanks separate
/// operands of commands and are never part of a name. Cheap to clone.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameFault {
    #[error("a name must not be empty")]
    Empty,
    #[error("name `{0}` is longer than {MAX_NAME} characters")]
    TooLong(String),
    #[error("name `{name}` contains `{character}`; letters, digits, `_`, `-` and `.` are allowed")]
    Character { name: String, character: char },
}

impl Name {
    /// Checks the spelling.
    pub fn new(text: &str) -> Result<Self, NameFault> {
        if text.is_empty() {
            return Err(NameFault::Empty);
        }
        if text.len() > MAX_NAME {
            return Err(NameFault::TooLong(text.chars().take(MAX_NAME).collect()));
        }
        let is_address = text.parse::<std::net::Ipv6Addr>().is_ok();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') || (is_address && c == ':');
        match text.chars().find(|&c| !allowed(c)) {
            Some(character) => Err(NameFault::Character { name: text.to_owned(), character }),
            None => Ok(Self(text.into())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        for good in ["w1", "192.0.2.1", "2001:db8::1", "a_b-c.d", "0.0.0.0"] {
            assert_eq!(Name::new(good).expect(good).as_str(), good);
        }
        assert_eq!(Name::new(""), Err(NameFault::Empty));
        assert!(matches!(Name::new(&"x".repeat(65)), Err(NameFault::TooLong(_))));
        for bad in ["a b", "a:b", "a@b", "a+b", "ü"] {
            assert!(matches!(Name::new(bad), Err(NameFault::Character { .. })), "{bad}");
        }
    }
}

//! Rules: which servers may take a new connection, under which condition.

use std::net::IpAddr;
use std::sync::Arc;

use super::{ContentPattern, Name};

/// A condition and the servers it sends new connections to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// 1 to 20 characters, as in IBM.
    pub name: Name,
    pub kind: RuleType,
    /// Lower is asked first.
    pub priority: u32,
    /// Names of servers of the same port; empty: a true rule refuses the connection.
    pub servers: Vec<Name>,
    /// It is asked before affinity: service hours, maintenance.
    pub over_affinity: bool,
    /// It is asked for requests of this group only; `None`: for all of the port.
    pub group: Option<Name>,
}

/// When a rule is true.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RuleType {
    /// Always.
    True,
    /// Active connections are within the range.
    Active { range: NumberRange, evaluate: Evaluate },
    /// New connections per second are within the range.
    Connection { range: NumberRange, evaluate: Evaluate },
    /// The client's address is within the range.
    Ip(IpRange),
    /// The local hour is within the range.
    Time(HourRange),
    /// The request is like this (http).
    Content(Arc<ContentPattern>),
}

impl RuleType {
    /// IBM's word for the type.
    pub fn word(&self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Active { .. } => "active",
            Self::Connection { .. } => "connection",
            Self::Ip(_) => "ip",
            Self::Time(_) => "time",
            Self::Content(_) => "content",
        }
    }
}

/// Over which servers a load condition is measured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Evaluate {
    /// All servers of the port.
    #[default]
    Port,
    /// The rule's own servers.
    Rule,
}

/// Both ends belong to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NumberRange {
    pub begin: u32,
    pub end: u32,
}

impl NumberRange {
    pub fn contains(self, value: u64) -> bool {
        (u64::from(self.begin)..=u64::from(self.end)).contains(&value)
    }
}

/// Both ends belong to it and are of one family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpRange {
    pub begin: IpAddr,
    pub end: IpAddr,
}

impl IpRange {
    /// An address of the other family is never inside.
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.begin.is_ipv4() && (self.begin..=self.end).contains(&address)
    }
}

/// Whole local hours: from the beginning of `begin` to the beginning of `end`, 0 to 24. A range whose begin is later
/// than its end goes over midnight (22 to 6 is the night).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HourRange {
    pub begin: u8,
    pub end: u8,
}

impl HourRange {
    /// `hour` is 0 to 23.
    pub fn contains(self, hour: u8) -> bool {
        if self.begin <= self.end {
            (self.begin..self.end).contains(&hour)
        } else {
            hour >= self.begin || hour < self.end
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours() {
        let inside = |begin, end, hour| HourRange { begin, end }.contains(hour);
        assert!(inside(8, 17, 8) && inside(8, 17, 16) && !inside(8, 17, 17) && !inside(8, 17, 7));
        assert!(inside(0, 24, 0) && inside(0, 24, 23));
        assert!(inside(22, 6, 23) && inside(22, 6, 0) && inside(22, 6, 5) && !inside(22, 6, 6) && !inside(22, 6, 21));
        assert!(!inside(9, 9, 9), "an empty range is never true");
    }

    #[test]
    fn addresses_of_the_other_family_are_outside() {
        let all = IpRange { begin: "0.0.0.0".parse().expect("v4"), end: "255.255.255.255".parse().expect("v4") };
        assert!(all.contains("203.0.113.1".parse().expect("v4")));
        assert!(!all.contains("2001:db8::1".parse().expect("v6")));
    }
}

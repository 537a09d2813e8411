//! The words of a pair: small values, each with its own type.

use std::fmt;

pub use crate::model::{MOST_PATHS, Recovery};

/// A group of clusters that is claimed together. A pair in mutual mode has two: each dispatcher is the primary of one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GroupId(pub u8);

/// Groups of a pair: one, or two in mutual mode. There are only two dispatchers to be the primary of something.
pub const MOST_GROUPS: usize = 2;

/// A way between the two dispatchers: an address here, an address there. Both give it the same number, and it keeps it when
/// others come and go.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PathId(pub u32);

/// A dispatcher, as its configuration names it. The two of a pair differ.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub u64);

/// One life of a process: drawn at random when it starts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct BootId(pub u128);

/// The number of a claim. The higher one is the newer one and wins.
///
/// Primaries claim with even numbers and backups with odd ones. So the two never claim with the same number, not even when
/// both have forgotten everything and cannot hear each other.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The lowest epoch above this one that a dispatcher of this role may claim with.
    pub fn next_for(self, role: Role) -> Self {
        let parity = match role {
            Role::Primary => 0,
            Role::Backup => 1,
        };
        let next = self.0.saturating_add(1);
        // 2^64 claims do not happen; the end of the numbers is a ceiling and not a fresh start, because a lower epoch loses.
        Self(if next % 2 == parity { next } else { next.saturating_add(1) })
    }
}

/// What a dispatcher is to a group when both are well. One configured as `both` is the primary of its own group and the
/// backup of its partner's.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    Primary,
    Backup,
}

/// Where a dispatcher is with a group.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum GroupState {
    /// It does not claim the group's addresses.
    Standby,
    /// The partner has fallen silent: a last look before claiming.
    Probing,
    /// It claims the addresses.
    Active,
    /// It is not fit to claim them.
    Fault,
}

impl fmt::Display for GroupState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Standby => "standby",
            Self::Probing => "probing",
            Self::Active => "active",
            Self::Fault => "fault",
        })
    }
}

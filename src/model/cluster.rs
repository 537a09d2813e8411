//! Clusters and the proportions by which their servers are weighed.

use std::net::IpAddr;

use super::{Name, Port};

/// A virtual address and the ports served there.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    pub name: Name,
    pub address: IpAddr,
    pub proportions: Proportions,
    pub claim: Claim,
    /// In a pair whose dispatchers are both primary of something: an address of the one that is it for this cluster.
    pub primaryhost: Option<IpAddr>,
    /// What becomes of packets to a port of a `mac` cluster that no port object serves.
    pub unserved: Unserved,
    pub ports: Vec<Port>,
}

/// Whether this dispatcher answers for a cluster's address on the wire (ARP, neighbour discovery).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claim {
    /// Yes, for clusters with `mac` ports.
    Auto,
    /// No: routers are told by other means, as by a static route.
    None,
}

/// What becomes of packets that no service wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unserved {
    /// They are discarded and counted, as in IBM.
    Drop,
    /// They go to this host's own network stack.
    Pass,
}

/// How much each kind of evidence counts for a weight, in percent; the four make 100 (IBM: `proportions`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proportions {
    active: u8,
    new: u8,
    port: u8,
    system: u8,
}

/// Four percentages that do not make a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("proportions must make 100 together, these make {sum}")]
pub struct ProportionsNotWhole {
    pub sum: u64,
}

impl Proportions {
    /// IBM's default: half active connections, half new connections.
    pub const DEFAULT: Self = Self { active: 50, new: 50, port: 0, system: 0 };

    /// Percentages of active connections, new connections, advisor ("port") load and system metric.
    pub fn new(active: u64, new: u64, port: u64, system: u64) -> Result<Self, ProportionsNotWhole> {
        let sum = [active, new, port, system].into_iter().fold(0, u64::saturating_add);
        if sum != 100 {
            return Err(ProportionsNotWhole { sum });
        }
        Ok(Self { active: active as u8, new: new as u8, port: port as u8, system: system as u8 })
    }

    pub fn active(self) -> u8 {
        self.active
    }

    pub fn new_connections(self) -> u8 {
        self.new
    }

    pub fn port(self) -> u8 {
        self.port
    }

    pub fn system(self) -> u8 {
        self.system
    }

    /// The proportions once an advisor runs: where the port's part is 0 it becomes 1 and the largest part
    /// gives that one up (50/50/0/0 becomes 49/50/1/0).
    #[must_use]
    pub fn with_advisor(self) -> Self {
        if self.port > 0 {
            return self;
        }
        let mut next = Self { port: 1, ..self };
        let largest = [&mut next.active, &mut next.new, &mut next.system].into_iter().rev().max_by_key(|part| **part);
        if let Some(part) = largest {
            *part -= 1;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advisor_takes_its_percent_from_the_largest() {
        let parts = |p: Proportions| (p.active(), p.new_connections(), p.port(), p.system());
        assert_eq!(parts(Proportions::DEFAULT.with_advisor()), (49, 50, 1, 0));
        assert_eq!(parts(Proportions::new(20, 20, 0, 60).expect("whole").with_advisor()), (20, 20, 1, 59));
        assert_eq!(parts(Proportions::new(30, 30, 40, 0).expect("whole").with_advisor()), (30, 30, 40, 0));
    }

    #[test]
    fn parts_make_a_whole() {
        assert_eq!(Proportions::new(50, 50, 1, 0), Err(ProportionsNotWhole { sum: 101 }));
        assert!(Proportions::new(u64::MAX, 101, 0, 0).is_err());
    }
}

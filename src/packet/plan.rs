//! The forwarding table, compiled for packet engines.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::model::StickyMask;

/// All services of this dispatcher's `mac` ports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// One that is the same in two plans is most often shared by them.
    pub services: Vec<Arc<ServicePlan>>,
}

impl Plan {
    /// The same while the executor is stopped: there is nothing to choose from, and clients' affinity counts for no new
    /// connection. Connections that are known go on, because their servers stay as they are.
    pub fn closed(mut self) -> Self {
        self.services.iter_mut().for_each(|service| Arc::make_mut(service).close());
        self
    }
}

/// One port of one cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServicePlan {
    /// `cluster:port`; numbers and counters belong to this name, across changes and restarts.
    pub name: String,
    /// The cluster address; `0.0.0.0` or `::` is the wildcard cluster.
    pub address: IpAddr,
    /// One port, several, or, for the wildcard port, all.
    pub ports: RangeInclusive<u16>,
    pub sticky: Option<Sticky>,
    /// No connections are kept: each packet follows its client's affinity record.
    pub unrecorded: bool,
    /// Consistent hash instead of weighted round robin.
    pub hash: bool,
    /// A TCP segment that belongs to no known connection follows the consistent hash; else it is discarded.
    pub pickup: bool,
    /// Packets for the address that no service wants go to this host; else they are discarded.
    pub unserved_pass: bool,
    /// In the order in which they are asked.
    pub rules: Vec<RulePlan>,
    /// Rules that are left out for now: they keep their turn and their count.
    pub resting: Vec<String>,
    /// Where no rule decides.
    pub otherwise: Choice,
    pub servers: Vec<ServerPlan>,
}

impl ServicePlan {
    fn close(&mut self) {
        // Rules rest, so that they neither choose nor count.
        self.resting.extend(self.rules.drain(..).map(|rule| rule.name));
        self.otherwise = Choice::default();
        // Where no connections are kept, an affinity record is all that tells what runs from what is new.
        if !self.unrecorded {
            self.servers.iter_mut().for_each(|server| server.flags.affinity = false);
        }
    }
}

/// How a service remembers its clients' servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sticky {
    /// The name of the service whose records these are: its own, or the one that it shares with (cross-port).
    pub group: String,
    pub mask: StickyMask,
    pub time: Duration,
}

/// A rule that may be true, as far as the moment of compiling tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RulePlan {
    pub name: String,
    pub clients: Clients,
    /// An empty choice refuses the client.
    pub choice: Choice,
}

/// For whom a rule is true.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clients {
    All,
    /// Both included, of one family.
    Between(IpAddr, IpAddr),
}

/// Servers to choose from, as places in [`ServicePlan::servers`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Choice {
    /// The smooth order of weighted round robin.
    pub ring: Vec<u16>,
    /// The consistent hash's table.
    pub maglev: Vec<u16>,
}

/// One server of one service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerPlan {
    /// `cluster:port:server`.
    pub name: String,
    /// Where it is; `None` while its host name has no address.
    pub address: Option<IpAddr>,
    pub flags: ServerFlags,
}

/// What packets of a server's clients may expect of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerFlags {
    /// Clients with affinity to it may still come.
    pub affinity: bool,
    /// It takes no new connection: a SYN is decided anew, whatever connection its ports had.
    pub down: bool,
    /// Its connections have ended.
    pub dead: bool,
    /// Clients of ended connections are told so by a TCP reset.
    pub reset: bool,
    /// It runs on this host.
    pub local: bool,
    /// It gets no affinity record when a rule chose it.
    pub sticky_no: bool,
    /// Affinity records to it count no more, not even when it comes back.
    pub forgotten: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(unrecorded: bool) -> ServicePlan {
        let choice = Choice { ring: vec![0], maglev: vec![0; 7] };
        let flags = ServerFlags { affinity: true, reset: true, ..ServerFlags::default() };
        ServicePlan {
            name: "shop:80".to_owned(),
            address: IpAddr::from([192, 0, 2, 10]),
            ports: 80..=80,
            sticky: None,
            unrecorded,
            hash: true,
            pickup: true,
            unserved_pass: false,
            rules: vec![RulePlan { name: "office".to_owned(), clients: Clients::All, choice: choice.clone() }],
            resting: vec!["night".to_owned()],
            otherwise: choice,
            servers: vec![ServerPlan { name: "shop:80:w1".to_owned(), address: None, flags }],
        }
    }

    #[test]
    fn a_closed_plan_chooses_nobody_and_knows_everybody() {
        for unrecorded in [false, true] {
            let closed = Plan { services: vec![Arc::new(service(unrecorded))] }.closed().services.remove(0);
            let flags = ServerFlags { affinity: unrecorded, reset: true, ..ServerFlags::default() };
            let expected = ServicePlan {
                rules: Vec::new(),
                resting: vec!["night".to_owned(), "office".to_owned()],
                otherwise: Choice::default(),
                servers: vec![ServerPlan { name: "shop:80:w1".to_owned(), address: None, flags }],
                ..service(unrecorded)
            };
            assert_eq!(*closed, expected);
        }
    }
}

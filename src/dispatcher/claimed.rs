//! Which cluster addresses this dispatcher speaks for on the wire, and for whom.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::Config;
use crate::high_availability::GroupId;
use crate::model::{Claim, Cluster, ForwardingMethod};

use super::pair::PairPlan;
use super::{Dispatcher, Plan};

/// An address that is to be claimed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClaimedAddress {
    pub address: IpAddr,
    /// Who decides in a pair when it is spoken for. A dispatcher that stands alone has one group.
    pub group: GroupId,
    /// A server on this host has it, on whatever interface.
    pub is_collocated: bool,
    /// A proxy of this dispatcher listens there, so this host has to have it, where its kernel does not speak for it.
    pub is_proxied: bool,
}

impl Dispatcher {
    /// Each once, in their order.
    pub fn claimed(&self) -> Vec<ClaimedAddress> {
        claimed(self.config())
    }
}

impl Plan {
    /// What will be claimed.
    pub fn claimed(&self) -> Vec<ClaimedAddress> {
        claimed(self.config())
    }
}

/// Addresses with `mac` ports always. Those of proxies in a pair alone: without a partner an address is on the interface where the
/// operator put it, and the kernel answers for it.
pub(super) fn claimed(config: &Config) -> Vec<ClaimedAddress> {
    let plan = config.pair.as_ref().map(|settings| PairPlan::new(settings, config));
    let groups = plan.as_ref().map(PairPlan::groups).unwrap_or_default();
    let group_of =
        |address: IpAddr| groups.iter().find(|group| group.addresses.contains(&address)).map(|group| group.id);
    let mut claimed: BTreeMap<IpAddr, ClaimedAddress> = BTreeMap::new();
    for cluster in config.clusters.iter().filter(|cluster| cluster.claim == Claim::Auto) {
        let address = cluster.address;
        let (mac, proxied) = (has(cluster, |method| method == ForwardingMethod::Mac), has(cluster, is_proxied));
        let is_proxied = plan.is_some() && proxied;
        if address.is_unspecified() || address.is_loopback() || !(mac || is_proxied) {
            continue;
        }
        let collocated = cluster.ports.iter().flat_map(|port| &port.servers).any(|server| server.collocated);
        let group = group_of(address).unwrap_or(GroupId(0));
        let entry = claimed.entry(address).or_insert(ClaimedAddress {
            address,
            group,
            is_collocated: false,
            is_proxied: false,
        });
        entry.is_collocated |= collocated;
        entry.is_proxied |= is_proxied;
    }
    claimed.into_values().collect()
}

fn has(cluster: &Cluster, is: impl Fn(ForwardingMethod) -> bool) -> bool {
    cluster.ports.iter().any(|port| is(port.method))
}

fn is_proxied(method: ForwardingMethod) -> bool {
    matches!(method, ForwardingMethod::Http | ForwardingMethod::Tcp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Document;

    const CLUSTERS: &str = "cluster add m address 192.0.2.1 primaryhost 10.0.0.2\nport add m:80 method mac\n\
         cluster add p address 192.0.2.2 primaryhost 10.0.0.1\nport add p:80 method http\n\
         cluster add c address 192.0.2.3 primaryhost 10.0.0.1\nport add c:80 method mac\n\
         server add c:80:s address 192.0.2.9 collocated yes\n\
         cluster add q address 192.0.2.4 claim none\nport add q:80 method mac\n\
         cluster add l address 127.0.0.1 primaryhost 10.0.0.1\nport add l:8080 method tcp\n";
    const PAIR: &str = "highavailability set key /k\nhighavailability heartbeat add 10.0.0.1 10.0.0.2\n\
         highavailability backup add both auto\n";

    fn of(script: &str) -> Vec<(u8, u8, bool, bool)> {
        let document = Document::parse(script, "x.cfg").unwrap_or_else(|faults| panic!("{faults}"));
        let config = document.resolve().unwrap_or_else(|faults| panic!("{faults}")).config;
        let last = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(_) => 0,
        };
        let short = |one: ClaimedAddress| (last(one.address), one.group.0, one.is_collocated, one.is_proxied);
        claimed(&config).into_iter().map(short).collect()
    }

    #[test]
    fn a_dispatcher_that_stands_alone_claims_what_no_kernel_answers_for() {
        assert_eq!(of(CLUSTERS), [(1, 0, false, false), (3, 0, true, false)]);
    }

    #[test]
    fn in_a_pair_addresses_of_proxies_are_claimed_too_each_for_its_group() {
        let expected = [(1, 1, false, false), (2, 0, false, true), (3, 0, true, false)];
        assert_eq!(of(&format!("{PAIR}{CLUSTERS}")), expected);
    }
}

//! Which advisors look at a port.

use crate::model::{Advisor, AdvisorScope, PortKey};

/// The advisors that probe the servers of `port`. One for exactly this cluster's port takes the place of the same kind
/// for the port number on all clusters.
pub fn applying<'a>(advisors: &'a [Advisor], port: &PortKey) -> Vec<&'a Advisor> {
    let own = |advisor: &Advisor| matches!(&advisor.key.scope, AdvisorScope::ClusterPort(key) if key == port);
    let wide = |advisor: &Advisor| matches!(advisor.key.scope, AdvisorScope::Port(number) if number == port.port);
    let replaced = |advisor: &Advisor| advisors.iter().any(|other| own(other) && other.key.kind == advisor.key.kind);
    advisors.iter().filter(|advisor| own(advisor) || (wide(advisor) && !replaced(advisor))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{AdvisorKey, AdvisorKind, AdvisorTimeout, Name, PortNumber};

    fn port(cluster: &str, number: u64) -> PortKey {
        PortKey { cluster: Name::new(cluster).expect("a name"), port: PortNumber::new(number).expect("a port") }
    }

    fn advisor(kind: AdvisorKind, scope: AdvisorScope) -> Advisor {
        let second = Duration::from_secs(1);
        let key = AdvisorKey { kind, scope };
        let timeout = AdvisorTimeout::Unlimited;
        Advisor {
            key,
            interval: second,
            timeout,
            connecttimeout: second,
            receivetimeout: second,
            retries: 0,
            verify: false,
        }
    }

    #[test]
    fn a_clusters_own_advisor_replaces_the_same_kind_only() {
        let advisors = [
            advisor(AdvisorKind::Http, AdvisorScope::Port(port("shop", 80).port)),
            advisor(AdvisorKind::Ping, AdvisorScope::Port(port("shop", 80).port)),
            advisor(AdvisorKind::Http, AdvisorScope::ClusterPort(port("shop", 80))),
        ];
        let names = |port: PortKey| -> Vec<String> {
            applying(&advisors, &port).into_iter().map(|advisor| advisor.key.to_string()).collect()
        };
        assert_eq!(names(port("shop", 80)), ["ping 80", "http shop:80"]);
        assert_eq!(names(port("bank", 80)), ["http 80", "ping 80"]);
        assert!(names(port("shop", 81)).is_empty());
    }
}

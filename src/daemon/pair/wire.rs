//! Records of tables as they travel: numbers that are each dispatcher's own become hashes of names, and back.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::daemon::claiming::Claiming;
use crate::datapath::xdp::copies::Copy;
use crate::dispatcher::Dispatcher;
use crate::executor::{AffinityCopy, fnv1a};
use crate::high_availability::GroupId;
use crate::model::PortId;
use crate::packet::connections::State;
use crate::packet::hash::Flow;
use crate::pairing::copy::{Affinity, Connection};

/// The ports of this dispatcher.
pub(super) struct Ports {
    names: HashMap<PortId, (u64, GroupId)>,
    ids: HashMap<u64, PortId>,
}

impl Ports {
    pub fn of(dispatcher: &Dispatcher) -> Self {
        let claimed = dispatcher.claimed();
        let group = |address: IpAddr| {
            let found = claimed.iter().find(|claimed| claimed.address == address);
            found.map_or(GroupId(0), |claimed| claimed.group)
        };
        let named =
            |port: &crate::executor::PortTable| (port.id, fnv1a(&port.key.to_string()), group(port.listen.ip()));
        let all: Vec<_> = dispatcher.table().ports().map(|port| named(port)).collect();
        Self {
            names: all.iter().map(|&(id, name, group)| (id, (name, group))).collect(),
            ids: all.iter().map(|&(id, name, _)| (name, id)).collect(),
        }
    }
}

/// `None`: it is about a port that is gone, or that the partner serves.
pub(super) fn affinity_records(copy: &AffinityCopy, ports: &Ports, claiming: &Claiming) -> Option<Affinity> {
    let (port, group) = *ports.names.get(&copy.group)?;
    let AffinityCopy { application, network, server, idle, stickytime, .. } = *copy;
    claiming.voice(group).is_active.then(|| Affinity {
        port,
        application,
        who: v6(network).octets(),
        is_cookie: false,
        server,
        idle_ms: milliseconds(idle),
        time_ms: milliseconds(stickytime),
    })
}

/// `None`: there is no such port here, or it is a kind of record that this version does not keep.
pub(super) fn affinity_copies(record: &Affinity, ports: &Ports) -> Option<AffinityCopy> {
    let group = *ports.ids.get(&record.port)?;
    (!record.is_cookie).then(|| AffinityCopy {
        group,
        application: record.application,
        network: IpAddr::V6(Ipv6Addr::from(record.who)).to_canonical(),
        server: record.server,
        idle: Duration::from_millis(record.idle_ms.into()),
        stickytime: Duration::from_millis(record.time_ms.into()),
    })
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

pub(super) fn connection_records(copy: &Copy) -> Connection {
    let Flow { saddr, daddr, sport, dport, protocol } = copy.flow;
    Connection {
        service: copy.service,
        server: copy.server,
        source: bytes(saddr),
        destination: bytes(daddr),
        source_port: u16::from_be(sport),
        destination_port: u16::from_be(dport),
        protocol,
        state: copy.state as u8,
        idle_ms: milliseconds(copy.idle),
    }
}

/// `None`: no state has this number.
pub(super) fn copies(record: &Connection) -> Option<Copy> {
    let flow = Flow {
        saddr: words(record.source),
        daddr: words(record.destination),
        sport: record.source_port.to_be(),
        dport: record.destination_port.to_be(),
        protocol: record.protocol,
    };
    let state = STATES.into_iter().find(|state| *state as u8 == record.state)?;
    Some(Copy {
        service: record.service,
        server: record.server,
        flow,
        state,
        idle: Duration::from_millis(record.idle_ms.into()),
    })
}

/// Those that are told.
const STATES: [State; 4] = [State::Established, State::Fin, State::Closed, State::Udp];

/// As they lie in a packet.
fn bytes(words: [u32; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *place = word.to_ne_bytes();
    }
    bytes
}

fn words(bytes: [u8; 16]) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, place) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_ne_bytes(*place);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_comes_as_it_went() {
        let flow = Flow { saddr: [0, 0, 0, 0x0102_a8c0], daddr: [1, 2, 3, 4], sport: 80, dport: 0x5000, protocol: 6 };
        for state in STATES {
            let copy = Copy { service: 1, server: 2, flow, state, idle: Duration::from_millis(1500) };
            assert_eq!(copies(&connection_records(&copy)), Some(copy));
        }
        assert_eq!(copies(&Connection { state: 1, ..Connection::default() }), None, "a SYN alone is not told");
    }
}

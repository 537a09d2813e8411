//! Random plans, and frames of all shapes for them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tsuji::model::StickyMask;
use tsuji::packet::{Choice, Clients, Plan, RulePlan, ServerFlags, ServerPlan, ServicePlan, Sticky};

use super::frame::{self, Wrapping};

/// Frames from here were decided on by a partner.
pub const PARTNER: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

/// Services that a plan may have: single ports, ranges, all ports, wildcard clusters.
const SERVICES: [(&str, &str, u16, u16); 9] = [
    ("a", "192.0.2.10", 80, 80),
    ("b", "192.0.2.10", 443, 443),
    ("c", "192.0.2.11", 8000, 8100),
    ("d", "192.0.2.11", 0, u16::MAX),
    ("e", "2001:db8::10", 80, 80),
    ("f", "2001:db8::10", 0, u16::MAX),
    ("g", "0.0.0.0", 80, 80),
    ("h", "::", 0, u16::MAX),
    ("i", "192.0.2.12", 53, 60),
];
const PORTS: [u16; 9] = [80, 80, 80, 443, 8000, 8100, 8101, 53, 7];
const V4: [&str; 5] = ["192.0.2.10", "192.0.2.10", "192.0.2.11", "192.0.2.12", "198.51.100.1"];
const V6: [&str; 3] = ["2001:db8::10", "2001:db8::10", "2001:db8::99"];
const FLAGS: [&str; 12] = ["S", "S", "S", "A", "A", "PA", "FA", "RA", "R", "SA", "SF", ""];

pub struct Traffic {
    pub random: fastrand::Rng,
}

impl Traffic {
    pub fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed) }
    }

    fn one_in(&mut self, many: u32) -> bool {
        self.random.u32(0..many) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.usize(0..from.len())]
    }

    pub fn plan(&mut self) -> Plan {
        let some: Vec<_> = SERVICES.into_iter().filter(|_| self.random.u8(0..4) != 0).collect();
        Plan { services: some.into_iter().map(|service| Arc::new(self.service(service))).collect() }
    }

    fn service(&mut self, (name, address, first, last): (&str, &str, u16, u16)) -> ServicePlan {
        let address: IpAddr = address.parse().unwrap();
        let count = self.random.u16(1..5);
        let rules = (0..self.random.usize(0..4)).map(|rule| self.rule(rule, address, count)).collect();
        let sticky = (!self.one_in(3)).then(|| self.sticky(name));
        ServicePlan {
            name: name.to_owned(),
            address,
            ports: first..=last,
            unrecorded: sticky.is_some() && self.one_in(4),
            sticky,
            hash: self.one_in(3),
            pickup: self.random.bool(),
            unserved_pass: self.random.bool(),
            rules,
            resting: Vec::new(),
            otherwise: self.choice(count),
            servers: (0..count).map(|number| self.server(name, number)).collect(),
        }
    }

    /// Some services share records: the same machines have servers of theirs.
    fn sticky(&mut self, name: &str) -> Sticky {
        let group = if self.random.bool() { name } else { "a" };
        let mask = StickyMask::new(self.random.u64(1..33), self.random.u64(1..129)).unwrap();
        Sticky { group: group.to_owned(), mask, time: Duration::from_millis(self.random.u64(1..20_000)) }
    }

    fn server(&mut self, service: &str, number: u16) -> ServerPlan {
        let flags = ServerFlags {
            affinity: !self.one_in(5),
            down: self.one_in(5),
            dead: self.one_in(6),
            reset: self.random.bool(),
            local: self.one_in(8),
            sticky_no: self.one_in(4),
            forgotten: self.one_in(6),
        };
        ServerPlan {
            name: format!("{service}:s{number}"),
            address: Some(IpAddr::from([10, 1, 0, number as u8 + 1])),
            flags,
        }
    }

    fn rule(&mut self, number: usize, address: IpAddr, servers: u16) -> RulePlan {
        let (one, other) = (self.client(address.is_ipv4()), self.client(address.is_ipv4()));
        let clients = if self.one_in(3) { Clients::All } else { Clients::Between(one.min(other), one.max(other)) };
        RulePlan { name: format!("r{number}"), clients, choice: self.choice(servers) }
    }

    /// Longer than one line of the plan at times, and empty at times.
    fn choice(&mut self, servers: u16) -> Choice {
        let mut list = |longest: usize| {
            let length = if self.random.u8(0..8) == 0 { 0 } else { self.random.usize(1..longest) };
            (0..length).map(|_| self.random.u16(0..servers)).collect()
        };
        Choice { ring: list(40), maglev: list(90) }
    }

    fn client(&mut self, v4: bool) -> IpAddr {
        let host = self.random.u8(0..12);
        if v4 {
            IpAddr::from([203, 0, host / 4, host % 4])
        } else {
            IpAddr::from([0x2001, 0xdb8, 1, u16::from(host / 4), 0, 0, 0, u16::from(host % 4)])
        }
    }

    pub fn frame(&mut self) -> Vec<u8> {
        let v4 = self.random.u8(0..3) != 0;
        let client = SocketAddr::new(self.client(v4), self.random.u16(1024..1026));
        let cluster = if v4 { self.pick(&V4) } else { self.pick(&V6) };
        let cluster = SocketAddr::new(cluster.parse().unwrap(), self.pick(&PORTS));
        let wrapping = self.wrapping();
        let mut frame = match self.random.u8(0..24) {
            0..15 => {
                let flags = self.pick(&FLAGS);
                frame::tcp(client, cluster, flags, &wrapping)
            }
            15..19 => frame::udp(client, cluster, &wrapping),
            19 => frame::echo(client.ip(), cluster.ip(), &wrapping),
            20..22 => {
                let router = self.client(v4);
                let protocol = self.pick(&[6, 6, 17]);
                frame::error(router, (cluster, client), protocol, &wrapping)
            }
            _ => {
                let protocol = self.pick(&[6, 17, 17, 1, 58, 47]);
                let fragment = wrapping.fragment.map(|(_, more, id)| (self.random.u16(1..400), more, id));
                frame::data(client.ip(), cluster.ip(), protocol, &Wrapping { fragment, ..wrapping })
            }
        };
        self.damage(&mut frame);
        frame
    }

    fn wrapping(&mut self) -> Wrapping {
        let tags = if self.one_in(10) { self.random.usize(1..4) } else { 0 };
        Wrapping {
            tags: vec![5; tags],
            to: self.one_in(40).then_some([2, 0, 0, 0, 0, 9]),
            from: self.one_in(20).then_some(PARTNER),
            options: if self.one_in(10) { self.random.usize(1..11) } else { 0 },
            fragment: self.one_in(6).then(|| (0, self.random.u8(0..4) != 0, self.random.u32(0..4))),
            extension: self.one_in(6),
            cut: if self.one_in(12) { self.random.usize(0..30) } else { 0 },
        }
    }

    /// Bytes that nobody meant, and padding.
    fn damage(&mut self, frame: &mut Vec<u8>) {
        if self.one_in(8) {
            for _ in 0..self.random.usize(1..4) {
                let place = self.random.usize(12..frame.len().min(80));
                frame[place] = self.random.u8(..);
            }
        }
        if self.one_in(8) {
            frame.resize(frame.len() + self.random.usize(1..40), 0);
        }
    }
}

//! Ports with servers, ready to be asked: the one place outside the executor's own tests that builds tables by hand.

#![allow(dead_code, reason = "each bench and test that includes this file uses a part of it")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tsuji::executor::{
    AffinityTable, CookieKey, ForwardingTable, PortCounters, PortPlan, PortTable, ServerCounters, ServerPlan,
};
use tsuji::message::SorrySite;
use tsuji::model::{
    AdministrativeState, ForwardingMethod, Health, Name, Port, PortId, PortKey, PortNumber, ProxiedServer, Rule,
    RuleType, Server, ServerHost, ServerId, Standing, Timeouts, Weight,
};

/// A port and what is known of its servers.
pub struct Site {
    pub id: u32,
    pub cluster: Name,
    pub port: Port,
    /// One for each server of the port.
    pub measured: Vec<Measured>,
    pub affinity: Arc<AffinityTable>,
    pub counters: Arc<PortCounters>,
}

/// What is known of one server.
#[derive(Clone)]
pub struct Measured {
    pub address: Option<IpAddr>,
    pub health: Health,
    pub standing: Standing,
    pub counters: Arc<ServerCounters>,
}

impl Site {
    /// A port of cluster `shop` with so many servers `w0`, `w1`…, all usable, with weights 1 to 20.
    pub fn with_servers(count: usize) -> Self {
        let servers: Vec<Server> = (0..count).map(server).collect();
        Self {
            id: 0,
            cluster: name("shop"),
            measured: servers.iter().map(|_| usable()).collect(),
            port: port(servers),
            affinity: Arc::new(AffinityTable::new(100_000)),
            counters: Arc::new(PortCounters::new(LANES, REASONS.len())),
        }
    }

    /// Clients stay with their server for five minutes.
    pub fn sticky(mut self) -> Self {
        self.port.stickytime = Duration::from_secs(300);
        self
    }

    /// One more rule, asked after those before, over all servers.
    pub fn rule(mut self, rule: &str, kind: RuleType) -> Self {
        let servers = self.port.servers.iter().map(|server| server.name.clone()).collect();
        let priority = (self.port.rules.len() as u32 + 1) * 10;
        self.port.rules.push(Rule { name: name(rule), kind, priority, servers, over_affinity: false, group: None });
        self
    }

    pub fn table(&self) -> PortTable {
        let settings = Arc::new(self.port.clone());
        let plans = (0..).zip(settings.servers.iter().zip(&self.measured)).map(|(id, (server, measured))| ServerPlan {
            id: ServerId(id),
            server,
            address: measured.address,
            weight: server.weight,
            health: measured.health.clone(),
            standing: measured.standing,
            counters: &measured.counters,
            tls: None,
        });
        PortTable::new(PortPlan {
            id: PortId(self.id),
            key: PortKey { cluster: self.cluster.clone(), port: self.port.number },
            address: Ipv4Addr::LOCALHOST.into(),
            settings: &settings,
            servers: plans.collect(),
            affinity_group: PortId(self.id),
            affinity: &self.affinity,
            sorry: &Arc::new(SorrySite::built_in(&settings.sorry).expect("the default settings are right")),
            tls: None,
            accesslog: None,
            counters: &self.counters,
            cookie_key: &CookieKey::new(&[7; 32]),
            previous: None,
        })
    }
}

/// A dispatcher with so many ports of so many servers each.
pub fn forwarding_table(ports: u32, servers: usize) -> ForwardingTable {
    let site = |id: u32| {
        let mut site = Site { id, ..Site::with_servers(servers) };
        site.port.number = PortNumber::new(u64::from(id) + 1).expect("a port number");
        site.table()
    };
    ForwardingTable::default().with((0..ports).map(site), &[])
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// Workers that count.
pub const LANES: usize = 2;

/// As many reasons as data paths have, with the words of some.
pub const REASONS: [&str; 3] = ["no-server", "connect-refused", "bad-request"];

fn usable() -> Measured {
    Measured {
        address: Some(Ipv4Addr::LOCALHOST.into()),
        health: Health::Up,
        standing: Standing::Usable,
        counters: Arc::new(ServerCounters::new(LANES)),
    }
}

fn server(number: usize) -> Server {
    Server {
        name: name(&format!("w{number}")),
        host: ServerHost::Address(Ipv4Addr::LOCALHOST.into()),
        mapport: PortNumber::new(8080).expect("a port number"),
        weight: Weight::new(number as u64 % 20 + 1).expect("a weight"),
        fixedweight: false,
        sticky: true,
        collocated: false,
        state: AdministrativeState::Up,
        advisorrequest: Server::DEFAULT_ADVISOR_REQUEST.to_owned(),
        advisorresponse: Vec::new(),
        proxied: ProxiedServer::default(),
    }
}

fn port(servers: Vec<Server>) -> Port {
    let number = PortNumber::new(80).expect("a port number");
    let timeouts = Timeouts::all(Duration::from_secs(1));
    Port { servers, timeouts, ..Port::preset(number, ForwardingMethod::Http) }
}

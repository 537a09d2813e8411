//! What the dispatcher knows of each port and server beside their configuration.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::executor::{PortCounters, ServerCounters};
use crate::manager::reported_weight;
use crate::message::SorrySite;
use crate::model::{
    DownReason, Health, Port, PortId, PortKey, PortNumber, Proportions, Server, ServerHost, ServerId, ServerKey,
    Standing, Weight,
};

use super::alerts::Told;
use super::tls::PortSecurity;

/// One port in service.
#[derive(Debug)]
pub(super) struct PortState {
    pub id: PortId,
    pub key: PortKey,
    pub listen: SocketAddr,
    pub settings: Arc<Port>,
    /// The cluster's, with the percent that goes to advisors once one runs.
    pub proportions: Proportions,
    /// In the order of the settings' servers.
    pub servers: Vec<ServerId>,
    /// The port whose affinity records this one uses.
    pub affinity_group: PortId,
    pub sorry: Arc<SorrySite>,
    /// What it speaks TLS with.
    pub tls: PortSecurity,
    pub counters: Arc<PortCounters>,
    /// All servers are down and somebody was told.
    pub alerted: bool,
    /// What scripts were told.
    pub told: Told,
}

/// One server in service.
#[derive(Debug)]
pub(super) struct ServerState {
    pub id: ServerId,
    pub key: ServerKey,
    pub port: PortId,
    pub server: Server,
    /// The weight it has, or will have again once it takes new connections.
    pub weight: Weight,
    pub address: Option<IpAddr>,
    pub lookup: Lookup,
    /// It was said that its name has no address; once is enough.
    pub complained: bool,
    /// What advisors say.
    pub advised: Health,
    /// Since when it is on its slow start, and the weight that it has meanwhile.
    pub ramp: Option<Instant>,
    pub ramped: Option<Weight>,
    /// Why packets cannot be forwarded to it, whatever advisors say (`mac` ports).
    pub unreached: Option<DownReason>,
    /// The port that its port follows, while that one has no usable server.
    pub forsaken: Option<PortNumber>,
    /// What both amount to.
    pub health: Health,
    /// Since when the health is what it is.
    pub since: Instant,
    pub standing: Standing,
    pub counters: Arc<ServerCounters>,
    /// Connections begun when rates were last measured.
    pub begun: u64,
    /// Bytes of both directions when rates were last measured.
    pub bytes: u64,
    /// Both directions, over the last second.
    pub bytes_per_second: f64,
}

/// Where a server's address comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Lookup {
    /// The configuration gives it.
    Fixed,
    /// Its name is looked up, next at this time.
    At(Instant),
    /// The question is out.
    Asked,
}

impl ServerState {
    pub fn new(id: ServerId, key: ServerKey, port: PortId, server: Server, lanes: usize, now: Instant) -> Self {
        let (address, lookup) = address_of(&server.host, now);
        Self {
            id,
            key,
            port,
            weight: server.weight,
            address,
            lookup,
            complained: false,
            advised: Health::Unknown,
            ramp: None,
            ramped: None,
            unreached: None,
            forsaken: None,
            health: Health::Unknown,
            since: now,
            standing: Standing::Usable,
            counters: Arc::new(ServerCounters::new(lanes)),
            begun: 0,
            bytes: 0,
            bytes_per_second: 0.0,
            server,
        }
    }

    /// Takes a new configuration. What was measured stays, unless the server is now another machine.
    pub fn reconfigure(&mut self, server: &Server, now: Instant) {
        if self.server.weight != server.weight || server.fixedweight {
            self.weight = server.weight;
        }
        if self.server.host != server.host {
            (self.address, self.lookup) = address_of(&server.host, now);
            self.complained = false;
        }
        self.server = server.clone();
    }

    /// Taken out: because of its health, as far as the velocity limit lets advisors have their way, or for want of an address.
    pub fn is_down(&self) -> bool {
        self.standing != Standing::Usable || self.address.is_none()
    }

    /// Its name was not answered for the first time yet. That takes a moment after each start, and is nobody's fault.
    pub fn awaits_address(&self) -> bool {
        self.address.is_none() && !self.complained
    }

    /// IBM's way to show it: -1 down, 0 quiesced, else the weight.
    pub fn shown_weight(&self) -> i16 {
        reported_weight(self.weight, self.server.state, self.is_down())
    }
}

fn address_of(host: &ServerHost, now: Instant) -> (Option<IpAddr>, Lookup) {
    match host {
        ServerHost::Address(address) => (Some(*address), Lookup::Fixed),
        ServerHost::Name(_) => (None, Lookup::At(now)),
    }
}

//! The connection table as a list for people.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::control::ConnectionFilter;
use crate::control::reply::{ConnectionLine, ConnectionList};
use crate::datapath::xdp::directory::address_of;
use crate::datapath::xdp::engine::PacketEngine;
use crate::packet::connections::{State, Value};
use crate::packet::{Plan, ServicePlan};
use crate::sys::datapath_layout::Tuple;

/// Lines of one list: as much as anybody reads.
const MOST: usize = 1000;

/// Goes over the whole table: some milliseconds for a million connections, and nobody waits meanwhile.
pub(super) fn list(engine: &PacketEngine, plan: &Plan, filter: &ConnectionFilter) -> ConnectionList {
    let names = Names::of(engine, plan);
    let mut list = ConnectionList::default();
    for (place, slot) in (0_u32..).zip(engine.tables().connections.words().as_chunks::<2>().0) {
        let [key, value] = slot.each_ref().map(|word| word.load(std::sync::atomic::Ordering::Acquire));
        let Some(state) = Value(value).state().filter(|state| key != 0 && *state != State::Dead) else { continue };
        let Some(line) = names.line(engine, place, key, Value(value), state) else { continue };
        if !is_wanted(&line, filter) {
            continue;
        }
        list.total += 1;
        if list.connections.len() < MOST {
            list.connections.push(line.shown());
        }
    }
    list
}

/// Whose numbers are in the table.
struct Names<'p> {
    services: HashMap<u16, &'p ServicePlan>,
    servers: HashMap<u16, &'p str>,
}

struct Line<'p> {
    client: SocketAddr,
    service: &'p str,
    udp: bool,
    server: &'p str,
    state: State,
    idle: Duration,
}

impl<'p> Names<'p> {
    fn of(engine: &PacketEngine, plan: &'p Plan) -> Self {
        let services = plan.services.iter();
        let servers = plan.services.iter().flat_map(|service| &service.servers);
        Self {
            services: services
                .filter_map(|service| Some((engine.service(&service.name)? as u16 * 2, &**service)))
                .collect(),
            servers: servers.filter_map(|server| Some((engine.number(&server.name)? as u16, &*server.name))).collect(),
        }
    }

    fn line(&self, engine: &PacketEngine, place: u32, key: u64, value: Value, state: State) -> Option<Line<'p>> {
        let number = key as u16;
        let service = *self.services.get(&(number & !1))?;
        let exact = service.address.is_ipv4() && !service.address.is_unspecified() && service.ports.len() == 1;
        let client = if exact { exact_client(key) } else { client_of(&engine.tables().tuples.get(place)?) };
        Some(Line {
            client,
            service: &service.name,
            udp: number & 1 == 1,
            server: self.servers.get(&value.server()).copied().unwrap_or("(removed)"),
            state,
            idle: engine.age(value),
        })
    }
}

impl Line<'_> {
    fn shown(&self) -> ConnectionLine {
        let state = match self.state {
            State::New => "new",
            State::Established => "established",
            State::Fin => "fin",
            State::Closed => "closed",
            State::Udp => "udp",
            State::Dead => "dead",
        };
        ConnectionLine {
            client: self.client.to_string(),
            service: self.service.to_owned(),
            protocol: if self.udp { "udp" } else { "tcp" }.to_owned(),
            server: self.server.rsplit([':', '@']).next().unwrap_or(self.server).to_owned(),
            state: state.to_owned(),
            idle_seconds: self.idle.as_secs(),
        }
    }
}

fn is_wanted(line: &Line<'_>, filter: &ConnectionFilter) -> bool {
    match filter {
        ConnectionFilter::All => true,
        ConnectionFilter::Client(network) => network.contains(line.client.ip()),
        ConnectionFilter::Object(name) => {
            let full = line.server.replace('@', ":");
            let rest = full.strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':') || name.ends_with(':'))
        }
    }
}

/// The key of a flow of one address and one port tells its client.
fn exact_client(key: u64) -> SocketAddr {
    let address = ((key >> 32) as u32).to_ne_bytes();
    SocketAddr::new(IpAddr::from(address), u16::from_be((key >> 16) as u16))
}

fn client_of(tuple: &Tuple) -> SocketAddr {
    let [port, _] = tuple.ports;
    SocketAddr::new(address_of(tuple.saddr), u16::from_be(port))
}

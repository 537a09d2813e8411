//! Servers: address, weight, state.

use std::net::IpAddr;

use super::port::Surroundings;
use super::{Check, View, called};
use crate::config::object::Key;
use crate::config::schema::{Kind, is_host_name};
use crate::config::value::Value;
use crate::model::{
    AdministrativeState, MAX_SERVERS_PER_PORT, Name, PortNumber, ProxiedServer, Server, ServerHost, Weight,
};

impl Check {
    pub(super) fn servers(&mut self, port: &Surroundings<'_>, view: View<'_>) -> Vec<Server> {
        let count = view.children(Kind::Server).count();
        if count > MAX_SERVERS_PER_PORT {
            let message = format!("{} has {count} servers; {MAX_SERVERS_PER_PORT} is the most", called(port.path));
            self.fault(view.place(), message);
        }
        view.named(Kind::Server).filter_map(|(name, server)| self.server(port, name, server)).collect()
    }

    fn server(&mut self, port: &Surroundings<'_>, name: &Name, view: View<'_>) -> Option<Server> {
        let mapport = match view.said("mapport") {
            Some(Value::Whole(number)) => PortNumber::new(*number).unwrap_or(port.number),
            _ => port.number,
        };
        let weight = self.weight(port, name, view);
        let host = self.host(port, name, view)?;
        let tls = self.server_tls(&port.path.join(Key::named(Kind::Server, name.clone())), port.is_http, view);
        self.not_itself(port, name, (&host, mapport), view);
        Some(Server {
            name: name.clone(),
            host,
            mapport,
            weight,
            fixedweight: view.flag("fixedweight"),
            sticky: view.flag("sticky"),
            collocated: view.flag("collocated"),
            state: state(view),
            advisorrequest: view.text("advisorrequest").to_owned(),
            advisorresponse: view.text("advisorresponse").as_bytes().to_vec(),
            proxied: ProxiedServer { tls, ..proxied(view) },
        })
    }

    fn weight(&mut self, port: &Surroundings<'_>, name: &Name, view: View<'_>) -> Weight {
        let Some(Value::Whole(weight)) = view.said("weight") else { return port.weightbound.initial() };
        let bound = port.weightbound.max();
        let weight = Weight::new(*weight).unwrap_or(bound);
        if weight > bound {
            let message = format!(
                "{}: weight {weight} is above the port's weightbound {bound}; a smaller weight or a larger bound would be right",
                server_called(port, name)
            );
            self.fault(view.place_at("weight"), message);
        }
        weight
    }

    fn host(&mut self, port: &Surroundings<'_>, name: &Name, view: View<'_>) -> Option<ServerHost> {
        let silent = view.is_silent_on("address");
        let text = if silent { name.as_str() } else { view.text("address") };
        match text.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() || address.is_multicast() => {
                let called = server_called(port, name);
                self.fault(view.place_at("address"), format!("{called}: {address} is not the address of a server"));
                None
            }
            Ok(address) => Some(ServerHost::Address(address)),
            Err(_) if is_host_name(text) => Some(ServerHost::Name(text.to_owned())),
            Err(_) => {
                if silent {
                    let called = server_called(port, name);
                    self.fault(view.place(), format!("{called} has no `address`, and its name is none"));
                }
                None
            }
        }
    }

    /// A server that is this very port would send each connection round in circles.
    fn not_itself(&mut self, port: &Surroundings<'_>, name: &Name, at: (&ServerHost, PortNumber), view: View<'_>) {
        if at == (&ServerHost::Address(port.address), port.number) {
            let message = format!(
                "{}: {} port {} is this very port, so each connection would go round in circles; another address or mapport would be right",
                server_called(port, name),
                port.address,
                port.number
            );
            self.fault(view.place_at("address"), message);
        }
    }
}

fn proxied(view: View<'_>) -> ProxiedServer {
    let seconds = |word| view.said(word).map(|_| view.seconds(word));
    ProxiedServer {
        clone_id: Some(view.text("cloneid")).filter(|id| !id.is_empty()).map(str::to_owned),
        backup: view.flag("backup"),
        max_connections: view.count("maxconnections"),
        connect_timeout: seconds("connecttimeout"),
        server_timeout: seconds("servertimeout"),
        marks_on_timeout: view.word("ontimeout") == "mark",
        extended_handshake: view.flag("extendedhandshake"),
        private_headers: view.flag("privateheaders"),
        tls: None,
        http2: view.flag("http2"),
    }
}

fn server_called(port: &Surroundings<'_>, name: &Name) -> String {
    called(&port.path.join(Key::named(Kind::Server, name.clone())))
}

fn state(view: View<'_>) -> AdministrativeState {
    let states = [AdministrativeState::Quiesced, AdministrativeState::QuiescedNow, AdministrativeState::Down];
    let word = view.word("state");
    states.into_iter().find(|state| state.word() == word).unwrap_or(AdministrativeState::Up)
}

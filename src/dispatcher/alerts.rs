//! Which script is due when servers go and come back: IBM's serverDown, serverUp, managerAlert and managerClear. Those of a
//! pair are in `role_alerts`.
//!
//! What is told depends on what was told before, so each port keeps that ([`Told`]) and compares it with what is.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::model::{AdministrativeState, Health, Name, PortId, PortNumber, ServerId};

use super::state::ServerState;
use super::{Action, Dispatcher};

/// What happened, as operators' scripts are called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AlertEvent {
    /// A server is down, and others of its port are not.
    ServerDown,
    /// A server is back, and it is not the first.
    ServerUp,
    /// The last server of a port is down.
    ManagerAlert,
    /// The first server is back after all were down.
    ManagerClear,
    /// This dispatcher serves from now on.
    GoActive,
    /// It stands by.
    GoStandby,
    /// It is not fit to serve.
    GoInOp,
    /// It serves and has no partner.
    GoIdle,
    /// One of these four has happened; after its script.
    HighavailChange,
}

impl AlertEvent {
    /// About servers.
    pub const SERVERS: [Self; 4] = [Self::ServerDown, Self::ServerUp, Self::ManagerAlert, Self::ManagerClear];
    pub const ALL: [Self; 9] = [
        Self::ServerDown,
        Self::ServerUp,
        Self::ManagerAlert,
        Self::ManagerClear,
        Self::GoActive,
        Self::GoStandby,
        Self::GoInOp,
        Self::GoIdle,
        Self::HighavailChange,
    ];

    /// The script's name, which is IBM's.
    pub fn script(self) -> &'static str {
        match self {
            Self::ServerDown => "serverDown",
            Self::ServerUp => "serverUp",
            Self::ManagerAlert => "managerAlert",
            Self::ManagerClear => "managerClear",
            Self::GoActive => "goActive",
            Self::GoStandby => "goStandby",
            Self::GoInOp => "goInOp",
            Self::GoIdle => "goIdle",
            Self::HighavailChange => "highavailChange",
        }
    }

    /// Whether it is about a port as a whole, so that its script gets no server as an argument.
    pub fn is_of_port(self) -> bool {
        matches!(self, Self::ManagerAlert | Self::ManagerClear)
    }
}

/// Everything that a script is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alert {
    pub event: AlertEvent,
    pub cluster: Name,
    pub cluster_address: IpAddr,
    pub port: PortNumber,
    /// Whose change it was, also where the port as a whole is meant; `None`: a server that was taken out of the
    /// configuration.
    pub server: Option<AlertedServer>,
    /// Why the server is down, or had been.
    pub reason: String,
}

/// The server that an alert is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AlertedServer {
    pub name: Name,
    /// `None`: its name has no address.
    pub address: Option<IpAddr>,
}

/// What operators know of one port.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// All servers are down.
    all_down: bool,
    /// Every server that was there, and why it was down, if it was.
    servers: HashMap<ServerId, Option<String>>,
}

/// One server as it is now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub server: ServerId,
    /// Why it is down; `None`: it may serve.
    pub down: Option<String>,
}

/// One thing to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Occasion {
    pub event: AlertEvent,
    pub server: Option<ServerId>,
    pub reason: String,
}

impl Told {
    /// What is to be told of a port whose servers are these now, in the order in which it is told.
    ///
    /// A server is a piece of news only if it was there before: one that was added is what its author made it. A port
    /// without servers is neither alerted nor cleared: nobody went down and nobody is back.
    pub fn news(&mut self, now: &[Seen]) -> Vec<Occasion> {
        if self.is_known(now) {
            return Vec::new();
        }
        let may_serve = now.iter().any(|seen| seen.down.is_none());
        // What changes together was published together, so who is back comes first: at no time were all down between
        // one that came and one that went.
        let mut occasions = self.returned(now);
        if self.all_down && may_serve {
            occasions.extend(self.cleared_by_another(now));
        }
        let alert = !self.all_down && !may_serve && !now.is_empty();
        occasions.extend(self.gone(now, alert));
        self.all_down = !may_serve && (self.all_down || !now.is_empty());
        self.remember(now);
        occasions
    }

    fn is_known(&self, now: &[Seen]) -> bool {
        let same = |seen: &Seen| self.servers.get(&seen.server).is_some_and(|was| was.is_some() == seen.down.is_some());
        self.servers.len() == now.len() && now.iter().all(same)
    }

    fn returned(&mut self, now: &[Seen]) -> Vec<Occasion> {
        let mut occasions = Vec::new();
        for seen in now.iter().filter(|seen| seen.down.is_none()) {
            let Some(Some(reason)) = self.servers.get(&seen.server) else { continue };
            let first = std::mem::take(&mut self.all_down);
            let event = if first { AlertEvent::ManagerClear } else { AlertEvent::ServerUp };
            occasions.push(Occasion { event, server: Some(seen.server), reason: reason.clone() });
        }
        occasions
    }

    /// Nobody came back, but somebody new may serve.
    fn cleared_by_another(&mut self, now: &[Seen]) -> Option<Occasion> {
        self.all_down = false;
        let newcomer = now.iter().find(|seen| seen.down.is_none())?;
        let reason = "added".to_owned();
        Some(Occasion { event: AlertEvent::ManagerClear, server: Some(newcomer.server), reason })
    }

    /// `alert`: those who go leave nobody.
    fn gone(&self, now: &[Seen], alert: bool) -> Vec<Occasion> {
        let news = now.iter().filter(|seen| self.servers.get(&seen.server) == Some(&None));
        let news = news.filter_map(|seen| {
            let reason = seen.down.clone()?;
            Some(Occasion { event: AlertEvent::ServerDown, server: Some(seen.server), reason })
        });
        let mut occasions: Vec<Occasion> = news.collect();
        match occasions.last_mut() {
            Some(last) if alert => last.event = AlertEvent::ManagerAlert,
            // The last one that served was taken out of the configuration. At the first look nobody had served yet.
            None if alert && !self.servers.is_empty() => {
                occasions.push(Occasion { event: AlertEvent::ManagerAlert, server: None, reason: "removed".to_owned() })
            }
            _ => {}
        }
        occasions
    }

    /// Why a server went down stays what it was while it is down.
    fn remember(&mut self, now: &[Seen]) {
        let mut before = std::mem::take(&mut self.servers);
        let entry = |seen: &Seen| {
            let was = before.remove(&seen.server).flatten();
            (seen.server, seen.down.clone().map(|reason| was.unwrap_or(reason)))
        };
        self.servers = now.iter().map(entry).collect();
    }
}

impl Dispatcher {
    /// Has the scripts run that are due after a port was judged.
    pub(super) fn alert(&mut self, id: PortId) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        let servers = port.servers.iter().filter_map(|id| self.servers.get(id));
        let seen: Vec<Seen> = servers.map(|server| Seen { server: server.id, down: server.why_down() }).collect();
        let occasions = port.told.news(&seen);
        let (key, cluster_address) = (port.key.clone(), port.listen.ip());
        for Occasion { event, server, reason } in occasions {
            let server = server.and_then(|id| self.servers.get(&id));
            self.actions.push_back(Action::RunScript(Alert {
                event,
                cluster: key.cluster.clone(),
                cluster_address,
                port: key.port,
                server: server.map(|state| AlertedServer { name: state.key.server.clone(), address: state.address }),
                reason,
            }));
        }
    }
}

impl ServerState {
    /// Why reports show it as down; `None`: they do not.
    fn why_down(&self) -> Option<String> {
        if self.shown_weight() >= 0 || self.awaits_address() {
            return None;
        }
        let reason = match (&self.health, self.server.state) {
            (_, AdministrativeState::Down) => "operator".to_owned(),
            (Health::Down(reason), _) => reason.to_string(),
            _ => "unresolved".to_owned(),
        };
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A server per letter: `a` may serve, `A` is down.
    fn seen(port: &str) -> Vec<Seen> {
        let server = |letter: char| Seen {
            server: ServerId(u32::from(letter.to_ascii_lowercase())),
            down: letter.is_ascii_uppercase().then(|| "refused".to_owned()),
        };
        port.chars().map(server).collect()
    }

    /// What is told on the way through these states.
    fn told(states: &str) -> String {
        let mut told = Told::default();
        let occasions = states.split(' ').flat_map(|state| told.news(&seen(state.trim_matches('-'))));
        let words = occasions.map(|occasion| {
            let server = occasion.server.and_then(|id| char::from_u32(id.0)).unwrap_or('-');
            format!("{} {server} {}", occasion.event.script(), occasion.reason)
        });
        words.collect::<Vec<_>>().join(", ").replace(" refused", "")
    }

    #[test]
    fn what_is_told() {
        for (states, wanted) in [
            // The order that IBM's users know.
            ("ab Ab AB aB ab", "serverDown a, managerAlert b, managerClear a, serverUp b"),
            ("ab AB ab", "serverDown a, managerAlert b, managerClear a, serverUp b"),
            ("abc aBc ABc aBc abc", "serverDown b, serverDown a, serverUp a, serverUp b"),
            ("a A a A", "managerAlert a, managerClear a, managerAlert a"),
            // The same again is no news.
            ("ab ab Ab Ab AB AB", "serverDown a, managerAlert b"),
            // One goes while another comes.
            ("aB Ab", "serverUp b, serverDown a"),
            // The first look: whoever is down is meant to be.
            ("AB", ""),
            ("Ab AB", "managerAlert b"),
            ("AB aB", "managerClear a"),
            // Servers come and go with the configuration.
            ("ab abC abc", "serverUp c"),
            ("Ab A", "managerAlert - removed"),
            ("ab Ab A a", "serverDown a, managerAlert - removed, managerClear a"),
            ("a b", ""),
            ("a B", "managerAlert - removed"),
            ("ab Ab b B", "serverDown a, managerAlert b"),
            ("a A Ab ab", "managerAlert a, managerClear b added, serverUp a"),
            // Nobody is left, and nobody is back.
            ("a A - B b", "managerAlert a, managerClear b"),
            ("a A - b", "managerAlert a, managerClear b added"),
            ("a - b B", "managerAlert b"),
        ] {
            assert_eq!(told(states), wanted, "{states}");
        }
    }

    proptest! {
        /// Whatever happens to four servers: who reads the alerts alone knows whether the port is served.
        #[test]
        fn the_alerts_of_a_port_take_turns(states in prop::collection::vec("[aA]?[bB]?[cC]?[dD]?", 0..30)) {
            let mut told = Told::default();
            for state in states {
                let (mut all_down, now) = (told.all_down, seen(&state));
                for occasion in told.news(&now) {
                    let (before, after) = match occasion.event {
                        AlertEvent::ManagerAlert => (false, true),
                        AlertEvent::ManagerClear => (true, false),
                        AlertEvent::ServerDown | AlertEvent::ServerUp => (false, false),
                        other => panic!("{other:?} is not about servers"),
                    };
                    prop_assert_eq!(all_down, before, "{:?} in {}", occasion, state);
                    all_down = after;
                }
                prop_assert!(now.is_empty() || told.all_down == now.iter().all(|server| server.down.is_some()));
                prop_assert_eq!(told.news(&now), vec![], "once is enough: {}", state);
            }
        }
    }

    #[test]
    fn why_it_went_down_is_told_when_it_is_back() {
        let mut told = Told::default();
        let at = |reason: &str| [Seen { server: ServerId(1), down: Some(reason.to_owned()) }];
        assert_eq!(told.news(&seen("x")).len(), 0);
        told.news(&[Seen { server: ServerId(1), down: None }]);
        told.news(&at("connect-refused"));
        told.news(&at("connect-timeout"));
        let back = told.news(&[Seen { server: ServerId(1), down: None }]);
        assert_eq!(back[0].reason, "connect-refused");
    }
}

//! Where servers are on the wire: routes, neighbour entries and links of the kernel, watched by netlink.
//!
//! The kernel resolves; we only ask it to and listen. An entry is made with the *managed* flag where the kernel knows it
//! (5.16 and later), so that it keeps resolving by itself.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
    NeighbourState as KernelState,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder};
use tokio::sync::watch;

use crate::wire::Mac;

/// What is known of a machine's place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Neighbour {
    /// The kernel asks for its MAC address.
    Resolving {
        interface: u32,
    },
    Reachable {
        mac: Mac,
        interface: u32,
    },
    /// It does not answer ARP or neighbour solicitations.
    Failed {
        interface: u32,
    },
    /// An address of this host.
    Local,
    /// A router is in between: its MAC address is not the server's, so MAC forwarding cannot reach it.
    BehindRouter {
        router: IpAddr,
    },
    NoRoute,
}

/// As reports have it.
impl std::fmt::Display for Neighbour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resolving { .. } => f.write_str("asked for"),
            Self::Reachable { mac, .. } => mac.fmt(f),
            Self::Failed { .. } => f.write_str("no answer"),
            Self::Local => f.write_str("this host"),
            Self::BehindRouter { router } => write!(f, "behind router {router}: not to be reached by MAC forwarding"),
            Self::NoRoute => f.write_str("no route"),
        }
    }
}

/// Where machines are, and the MAC addresses of this host's interfaces.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Surroundings {
    pub neighbours: HashMap<IpAddr, Neighbour>,
    pub interfaces: HashMap<u32, Mac>,
    /// Counts looks that news of links and of this host's addresses called for: with each of them those may be others.
    pub link_news: u64,
}

impl Surroundings {
    /// Machines that frames cannot be sent to, and why.
    pub fn unreached(&self) -> HashMap<IpAddr, String> {
        let why = |neighbour: &Neighbour| match neighbour {
            Neighbour::Failed { .. } => Some("it does not answer ARP or neighbour solicitations".to_owned()),
            Neighbour::BehindRouter { router } => {
                Some(format!("router {router} is in between, and MAC forwarding ends at a router"))
            }
            Neighbour::NoRoute => Some("there is no route to it".to_owned()),
            Neighbour::Local => Some("it is this host; `collocated` yes would be right".to_owned()),
            Neighbour::Resolving { .. } | Neighbour::Reachable { .. } => None,
        };
        self.neighbours.iter().filter_map(|(address, neighbour)| Some((*address, why(neighbour)?))).collect()
    }
}

/// Routes and links change seldom and are looked at this often; neighbours are told at once.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// News of links and addresses come in crowds when an interface is made: they are waited for so long.
const CROWD: Duration = Duration::from_millis(50);
/// And however many there are, as on a host of containers, they call for no more than one look in this time.
const LEAST: Duration = Duration::from_millis(500);

/// A machine that the kernel lost sight of has this time to answer once more; on a link that works it does so in less than a
/// millisecond.
const CONFIRMATION: Duration = Duration::from_secs(1);

/// Watches the machines that `wanted` names and calls `changed` with every change; never returns while netlink works.
pub async fn watch(
    mut wanted: watch::Receiver<HashSet<IpAddr>>,
    changed: impl Fn(&Surroundings),
) -> std::io::Result<()> {
    let groups = [MulticastGroup::Neigh, MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
    let (connection, handle, mut news) = rtnetlink::new_multicast_connection(&groups)?;
    tokio::task::spawn_local(connection);
    let mut watcher = Watcher::new(handle);
    let mut look = tokio::time::interval(LOOK_AGAIN);
    loop {
        let before = watcher.around.clone();
        tokio::select! {
            _ = look.tick() => watcher.look(&wanted.borrow().clone()).await,
            more = wanted.changed() => match more {
                Ok(()) => {
                    let addresses = wanted.borrow_and_update().clone();
                    watcher.look(&addresses).await;
                }
                Err(_) => return Ok(()),
            },
            () = until(watcher.due) => watcher.look(&wanted.borrow().clone()).await,
            () = until(watcher.doubts_end()) => watcher.give_up(Instant::now()),
            message = news.next() => match message {
                Some((message, _)) => watcher.hear(&message).await,
                None => return Err(std::io::ErrorKind::BrokenPipe.into()),
            },
        }
        if watcher.around != before {
            changed(&watcher.around);
        }
    }
}

/// For good, where no time is given.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

struct Watcher {
    handle: Handle,
    around: Surroundings,
    /// Links or addresses have changed, and are looked at then.
    due: Option<Instant>,
    looked: Instant,
    /// Machines that the kernel lost sight of: until then they are taken to be where they were.
    doubted: HashMap<IpAddr, Instant>,
}

impl Watcher {
    fn new(handle: Handle) -> Self {
        let around = Surroundings::default();
        Self { handle, around, due: None, looked: Instant::now(), doubted: HashMap::new() }
    }

    fn doubts_end(&self) -> Option<Instant> {
        self.doubted.values().min().copied()
    }

    /// Who has not answered by now does not.
    fn give_up(&mut self, now: Instant) {
        for (address, _) in self.doubted.extract_if(|_, end| *end <= now) {
            if let Some(known) = self.around.neighbours.get_mut(&address)
                && let Some(interface) = interface_of(known)
            {
                *known = Neighbour::Failed { interface };
            }
        }
    }

    async fn look(&mut self, wanted: &HashSet<IpAddr>) {
        self.around.link_news += u64::from(self.due.take().is_some());
        self.looked = Instant::now();
        self.around.interfaces = self.links().await;
        self.around.neighbours.retain(|address, _| wanted.contains(address));
        self.doubted.retain(|address, _| wanted.contains(address));
        for &address in wanted {
            let place = self.route(address).await;
            let known = self.around.neighbours.get(&address);
            // What neighbour news told is better than "resolving".
            let same_link = known.and_then(interface_of) == interface_of(&place);
            if known.is_none() || !same_link || interface_of(&place).is_none() {
                self.around.neighbours.insert(address, place);
            }
            if let Some(interface) = interface_of(&place) {
                self.manage(address, interface).await;
            }
        }
        self.dump().await;
    }

    async fn links(&self) -> HashMap<u32, Mac> {
        let links: Vec<_> = self.handle.link().get().execute().collect().await;
        links.into_iter().flatten().filter_map(|link| Some((link.header.index, mac_of(&link)?))).collect()
    }

    async fn route(&self, address: IpAddr) -> Neighbour {
        let message = match address {
            IpAddr::V4(v4) => RouteMessageBuilder::<std::net::Ipv4Addr>::new().destination_prefix(v4, 32).build(),
            IpAddr::V6(v6) => RouteMessageBuilder::<std::net::Ipv6Addr>::new().destination_prefix(v6, 128).build(),
        };
        let mut routes = Box::pin(self.handle.route().get(message).execute());
        match routes.next().await {
            Some(Ok(route)) => place_of(&route),
            _ => Neighbour::NoRoute,
        }
    }

    /// Asks the kernel to resolve the address and to keep it resolved.
    async fn manage(&self, address: IpAddr, interface: u32) {
        let managed = NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed);
        let mut request = self.handle.neighbours().add(interface, address).state(KernelState::None).replace();
        request.message_mut().attributes.push(managed);
        if request.execute().await.is_err() {
            let request = self.handle.neighbours().add(interface, address).state(KernelState::None).replace();
            if let Err(error) = request.flags(NeighbourFlags::Use).execute().await {
                tracing::debug!("cannot ask for the neighbour {address}: {error}");
            }
        }
    }

    async fn dump(&mut self) {
        let entries: Vec<_> = self.handle.neighbours().get().execute().collect().await;
        for entry in entries.iter().flatten() {
            self.note(entry, false).await;
        }
    }

    async fn hear(&mut self, message: &NetlinkMessage<RouteNetlinkMessage>) {
        match &message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(entry)) => self.note(entry, false).await,
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelNeighbour(entry)) => self.note(entry, true).await,
            // More was said than we could take: links may have changed too.
            NetlinkPayload::Overrun(_)
            | NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewLink(_)
                | RouteNetlinkMessage::DelLink(_)
                | RouteNetlinkMessage::NewAddress(_)
                | RouteNetlinkMessage::DelAddress(_),
            ) => {
                self.due.get_or_insert((Instant::now() + CROWD).max(self.looked + LEAST));
            }
            _ => {}
        }
    }

    async fn note(&mut self, entry: &NeighbourMessage, deleted: bool) {
        let Some(address) = address_of(entry) else { return };
        let Some(known) = self.around.neighbours.get_mut(&address) else { return };
        let interface = entry.header.ifindex;
        if interface_of(known) != Some(interface) {
            return;
        }
        match after(*known, &Word::of(entry, deleted)) {
            Some(next) => {
                *known = next;
                self.doubted.remove(&address);
            }
            None if !self.doubted.contains_key(&address) => {
                self.doubted.insert(address, Instant::now() + CONFIRMATION);
                self.manage(address, interface).await;
            }
            None => {}
        }
    }
}

/// What the kernel says of a machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Word {
    At(Mac),
    Failed,
    /// It is asked for, or was forgotten.
    Unknown,
}

impl Word {
    fn of(entry: &NeighbourMessage, deleted: bool) -> Self {
        match (deleted, entry.header.state, link_address_of(entry)) {
            (false, KernelState::Failed, _) => Self::Failed,
            (false, KernelState::Incomplete | KernelState::None, _) | (true, ..) | (_, _, None) => Self::Unknown,
            (false, _, Some(mac)) => Self::At(mac),
        }
    }
}

/// What is known after this word. `None`: it was reached until now, and is in doubt. The kernel says "failed" of an entry that
/// did not answer three times, but also of one that somebody takes away (`ip neigh flush`, a link that flaps), and then all
/// servers would be down until they are asked again. So it is asked once more before that is believed.
fn after(known: Neighbour, word: &Word) -> Option<Neighbour> {
    let interface = interface_of(&known)?;
    match (known, word) {
        (_, Word::At(mac)) => Some(Neighbour::Reachable { mac: *mac, interface }),
        (Neighbour::Reachable { .. }, Word::Failed | Word::Unknown) => None,
        (_, Word::Failed) => Some(Neighbour::Failed { interface }),
        // Being asked again, and not yet given up.
        (_, Word::Unknown) => Some(known),
    }
}

fn interface_of(neighbour: &Neighbour) -> Option<u32> {
    match *neighbour {
        Neighbour::Resolving { interface }
        | Neighbour::Reachable { interface, .. }
        | Neighbour::Failed { interface } => Some(interface),
        _ => None,
    }
}

fn place_of(route: &RouteMessage) -> Neighbour {
    let attribute = |pick: fn(&RouteAttribute) -> Option<IpAddr>| route.attributes.iter().find_map(pick);
    let router = attribute(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        RouteAttribute::Gateway(RouteAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    });
    let interface = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    match (route.header.kind, router, interface) {
        (RouteType::Local, ..) => Neighbour::Local,
        (_, Some(router), _) => Neighbour::BehindRouter { router },
        (RouteType::Unicast, None, Some(interface)) => Neighbour::Resolving { interface },
        _ => Neighbour::NoRoute,
    }
}

fn address_of(entry: &NeighbourMessage) -> Option<IpAddr> {
    entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    })
}

fn link_address_of(entry: &NeighbourMessage) -> Option<Mac> {
    entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => bytes.as_slice().try_into().ok().map(Mac),
        _ => None,
    })
}

fn mac_of(link: &LinkMessage) -> Option<Mac> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(bytes) => bytes.as_slice().try_into().ok().map(Mac),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_was_reached_is_asked_once_more() {
        let interface = 4;
        let (here, there) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let at = |mac| Neighbour::Reachable { mac, interface };
        let (resolving, failed) = (Neighbour::Resolving { interface }, Neighbour::Failed { interface });
        let cases = [
            (resolving, Word::At(here), Some(at(here))),
            (resolving, Word::Unknown, Some(resolving)),
            (resolving, Word::Failed, Some(failed)),
            (at(here), Word::At(there), Some(at(there))),
            (at(here), Word::Failed, None),
            (at(here), Word::Unknown, None),
            (failed, Word::Unknown, Some(failed)),
            (failed, Word::Failed, Some(failed)),
            (failed, Word::At(here), Some(at(here))),
            (Neighbour::Local, Word::At(here), None),
        ];
        for (known, word, expected) in cases {
            assert_eq!(after(known, &word), expected, "{known:?} {word:?}");
        }
    }
}

//! Speaks for cluster addresses on the wire: a thread for each interface drives a machine of [`crate::claim`] over a packet
//! socket that sees ARP and neighbour discovery alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pnet::datalink::{self, Channel, DataLinkReceiver, DataLinkSender, NetworkInterface};
use socket2::{Domain, SockFilter, Socket, Type};

use crate::claim::{Action, Alert, Claims, Counts, Event, Owned, TICK};
use crate::datapath::xdp::engine::Interface;

/// What the threads are to claim.
#[derive(Debug, Default)]
struct Wish {
    /// What was asked for last, and whether each may be an address of this host.
    asked: BTreeMap<IpAddr, bool>,
    addresses: BTreeSet<IpAddr>,
    active: bool,
}

/// The threads that claim.
#[derive(Debug)]
pub struct Claimants {
    wish: Arc<Mutex<Wish>>,
    counts: Arc<Mutex<Vec<Counts>>>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Claimants {
    /// Starts a thread for each interface. They claim nothing yet.
    pub fn start(interfaces: &[Interface]) -> io::Result<Self> {
        let wish = Arc::new(Mutex::new(Wish::default()));
        let counts = Arc::new(Mutex::new(vec![Counts::default(); interfaces.len()]));
        let end = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (place, interface) in interfaces.iter().enumerate() {
            let first = place == 0;
            let claimant = Claimant {
                interface: interface.clone(),
                first,
                place,
                wish: Arc::clone(&wish),
                counts: Arc::clone(&counts),
                end: Arc::clone(&end),
            };
            let name = format!("claim-{}", interface.name);
            threads.push(std::thread::Builder::new().name(name).spawn(move || claimant.live())?);
        }
        Ok(Self { wish, counts, end, threads })
    }

    /// Claims these addresses from now on, each on the interface whose network it belongs to, else on the first one. Those
    /// that may be this host's own have a collocated server, and its kernel is told not to answer for them. Any other
    /// address of this host is left to its kernel, which answers for it anyway, and that is told.
    pub fn claim(&self, asked: BTreeMap<IpAddr, bool>) {
        let mut wish = lock(&self.wish);
        if wish.asked == asked {
            return;
        }
        let local: Vec<_> = datalink::interfaces()
            .into_iter()
            .flat_map(|interface| {
                let name = interface.name;
                interface.ips.into_iter().map(move |network| (network.ip(), name.clone()))
            })
            .filter(|(address, _)| asked.get(address) == Some(&false))
            .collect();
        for (address, interface) in &local {
            tracing::error!(
                "{address} is an address of {interface} here: a cluster address with mac ports must not be, because this \
                 host would answer its clients itself; remove it (`ip address del {address} dev {interface}`), or set \
                 claim = \"none\""
            );
        }
        let free = |address: &IpAddr| local.iter().all(|(local, _)| local != address);
        wish.addresses = asked.keys().copied().filter(free).collect();
        wish.asked = asked;
    }

    /// Speaks for the addresses, or no longer.
    pub fn set_active(&self, active: bool) {
        lock(&self.wish).active = active;
    }

    /// Over all interfaces.
    pub fn counts(&self) -> Counts {
        lock(&self.counts).iter().fold(Counts::default(), |sum, one| Counts {
            answers: sum.answers + one.answers,
            announcements: sum.announcements + one.announcements,
            late: sum.late + one.late,
            excess: sum.excess + one.excess,
            duplicates: sum.duplicates + one.duplicates,
        })
    }
}

impl Drop for Claimants {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Claimant {
    interface: Interface,
    first: bool,
    place: usize,
    wish: Arc<Mutex<Wish>>,
    counts: Arc<Mutex<Vec<Counts>>>,
    end: Arc<AtomicBool>,
}

/// An interface as its claimant holds it.
struct Wire {
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
    link: NetworkInterface,
}

/// After an interface went away, or was not there.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Claimant {
    fn live(self) {
        let mut told = false;
        while !self.end.load(Ordering::Relaxed) {
            let served = self.open().and_then(|wire| {
                told = false;
                self.serve(wire)
            });
            match served {
                Ok(()) => return,
                Err(error) if !told => {
                    tracing::error!(
                        "interface {}: cluster addresses are not claimed: {error}; tried again every second",
                        self.interface.name
                    );
                    told = true;
                }
                Err(_) => {}
            }
            std::thread::sleep(TRY_AGAIN);
        }
    }

    fn open(&self) -> io::Result<Wire> {
        let link = datalink::interfaces().into_iter().find(|link| link.index == self.interface.index);
        let link = link.filter(NetworkInterface::is_up).ok_or_else(|| io::Error::other("it is not there or not up"))?;
        // Without a protocol nothing comes in before the filter stands.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.attach_filter(&FILTER)?;
        let config = datalink::linux::Config {
            read_timeout: Some(TICK / 2),
            promiscuous: false,
            socket_fd: Some(socket.into_raw_fd()),
            ..datalink::linux::Config::default()
        };
        match datalink::linux::channel(&link, config)? {
            Channel::Ethernet(sender, receiver) => Ok(Wire { sender, receiver, link }),
            _ => Err(io::Error::other("it is no Ethernet")),
        }
    }

    fn serve(&self, mut wire: Wire) -> io::Result<()> {
        let mut claims = Claims::new(Instant::now());
        let mut groups = Groups::default();
        let mut ticked = Instant::now();
        let mut known = None;
        while !self.end.load(Ordering::Relaxed) {
            let mut actions = self.wishes(&mut claims, &mut known, &wire.link);
            match wire.receiver.next() {
                Ok(bytes) => {
                    let received = Instant::now();
                    let event = Event::Frame { interface: self.interface.index, received, bytes };
                    actions.extend(claims.handle(event, received));
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error),
            }
            let now = Instant::now();
            if now.saturating_duration_since(ticked) >= TICK / 2 {
                ticked = now;
                actions.extend(claims.handle(Event::Tick, now));
            }
            for action in actions {
                self.carry_out(action, wire.sender.as_mut(), &mut groups)?;
            }
            if let Some(counts) = lock(&self.counts).get_mut(self.place) {
                *counts = claims.counts();
            }
        }
        Ok(())
    }

    /// What is wished now, where that is new.
    fn wishes(
        &self,
        claims: &mut Claims,
        known: &mut Option<(BTreeSet<IpAddr>, bool)>,
        link: &NetworkInterface,
    ) -> Vec<Action> {
        let (addresses, active) = {
            let wish = lock(&self.wish);
            let wish = (&wish.addresses, wish.active);
            if known.as_ref().is_some_and(|known| (&known.0, known.1) == wish) {
                return Vec::new();
            }
            (wish.0.clone(), wish.1)
        };
        *known = Some((addresses.clone(), active));
        let at_home = |address: &IpAddr| link.ips.iter().any(|network| network.contains(*address));
        let elsewhere = |address: &IpAddr| {
            let links = datalink::interfaces();
            links
                .iter()
                .any(|other| other.index != link.index && other.ips.iter().any(|network| network.contains(*address)))
        };
        let ours = addresses.into_iter().filter(|address| at_home(address) || (self.first && !elsewhere(address)));
        let owned = |address| Owned { address, interface: self.interface.index, mac: self.interface.mac };
        let now = Instant::now();
        let mut actions = claims.handle(Event::Own(ours.map(owned).collect()), now);
        actions.extend(claims.handle(Event::Active(active), now));
        actions
    }

    fn carry_out(&self, action: Action, sender: &mut dyn DataLinkSender, groups: &mut Groups) -> io::Result<()> {
        match action {
            Action::Send { frame, .. } => sender.send_to(&frame, None).unwrap_or(Ok(())),
            Action::Join { interface, group } => groups.join(group, interface),
            Action::Leave { interface, group } => groups.leave(group, interface),
            Action::Alert(Alert::Duplicate { address, mac }) => {
                tracing::error!(
                    target: "tsuji::state",
                    "{address} is claimed by another station too, with MAC {mac}, on {}: if it is a server, it must not \
                     answer ARP for the cluster address",
                    self.interface.name
                );
                Ok(())
            }
            Action::Alert(Alert::RivalGone { address, mac }) => {
                tracing::warn!(target: "tsuji::state", "{address} is no longer claimed by MAC {mac}");
                Ok(())
            }
        }
    }
}

/// Memberships of solicited-node groups, which end with the socket.
#[derive(Debug, Default)]
struct Groups(Option<UdpSocket>);

impl Groups {
    fn socket(&mut self) -> io::Result<&UdpSocket> {
        if self.0.is_none() {
            self.0 = Some(UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?);
        }
        self.0.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn join(&mut self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket()?.join_multicast_v6(&group, interface)
    }

    fn leave(&mut self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        // Several addresses may share a group, and the kernel counts memberships of a socket once.
        let _ = self.socket()?.leave_multicast_v6(&group, interface);
        Ok(())
    }
}

/// Classic BPF: ARP, and of IPv6 neighbour solicitations and advertisements without extension headers. Opcodes and their
/// meaning: `linux/filter.h`.
const FILTER: [SockFilter; 10] = {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_GREATER: u16 = 0x25;
    const JUMP_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_EQUAL, 6, 0, 0x0806),
        SockFilter::new(JUMP_EQUAL, 0, 6, 0x86dd),
        SockFilter::new(LOAD_BYTE, 0, 0, 20),
        SockFilter::new(JUMP_EQUAL, 0, 4, 58),
        SockFilter::new(LOAD_BYTE, 0, 0, 54),
        SockFilter::new(JUMP_AT_LEAST, 0, 2, 135),
        SockFilter::new(JUMP_GREATER, 1, 0, 136),
        SockFilter::new(RETURN, 0, 0, 0xffff),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
};

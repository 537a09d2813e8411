//! Speaks for cluster addresses on the wire: a thread for each interface drives a machine of [`crate::claim`] over a packet
//! socket that sees ARP and neighbour discovery alone.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pnet::datalink::{self, DataLinkSender, NetworkInterface};

use crate::claim::{Action, Alert, Counts, Owned, TICK};
use crate::daemon::bell::Bell;
use crate::daemon::claiming::Claiming;
use crate::daemon::loopback::LOOPBACK;
use crate::datapath::xdp::engine::Interface;
use crate::dispatcher::ClaimedAddress;
use crate::high_availability::GroupId;

use super::voices::{Said, Voices};
use super::wire::{Groups, Wire, link};

/// What the threads are to claim.
#[derive(Debug, Default)]
struct Wish {
    /// What was asked for last.
    asked: Vec<ClaimedAddress>,
    addresses: BTreeMap<IpAddr, GroupId>,
    /// Another number: links or addresses of this host have changed.
    link_news: u64,
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
    pub fn start(interfaces: &[Interface], claiming: &Arc<Claiming>) -> io::Result<Self> {
        let wish = Arc::new(Mutex::new(Wish::default()));
        let counts = Arc::new(Mutex::new(vec![Counts::default(); interfaces.len()]));
        let end = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (place, interface) in interfaces.iter().enumerate() {
            let (first, bell) = (place == 0, Arc::new(Bell::new()?));
            claiming.tell(Arc::clone(&bell));
            let claimant = Claimant {
                name: interface.name.clone(),
                first,
                place,
                wish: Arc::clone(&wish),
                counts: Arc::clone(&counts),
                end: Arc::clone(&end),
                claiming: Arc::clone(claiming),
                bell,
            };
            let name = format!("claim-{}", interface.name);
            threads.push(std::thread::Builder::new().name(name).spawn(move || claimant.live())?);
        }
        Ok(Self { wish, counts, end, threads })
    }

    /// Claims these addresses from now on, each on the interface whose network it belongs to, else on the first one. Those
    /// that may be this host's own have a collocated server, and its kernel is told not to answer for them. Any other
    /// address of this host is left to its kernel, which answers for it anyway, and that is told.
    pub fn claim(&self, asked: &[ClaimedAddress]) {
        let mut wish = lock(&self.wish);
        if wish.asked == asked {
            return;
        }
        let is_wrong = |address: IpAddr, interface: &str| {
            let asked = asked.iter().find(|asked| asked.address == address);
            let is_right = |asked: &ClaimedAddress| asked.is_collocated || (asked.is_proxied && interface == LOOPBACK);
            asked.is_some_and(|asked| !is_right(asked))
        };
        let local: Vec<_> = datalink::interfaces()
            .into_iter()
            .flat_map(|interface| {
                let name = interface.name;
                interface.ips.into_iter().map(move |network| (network.ip(), name.clone()))
            })
            .filter(|(address, interface)| is_wrong(*address, interface))
            .collect();
        for (address, interface) in &local {
            tracing::error!(
                "{address} is an address of {interface} here: a cluster address with mac ports, or of a pair, must not be, because \
                 this host would answer for it whoever serves; remove it (`ip address del {address} dev {interface}`), or set \
                 claim = \"none\""
            );
        }
        let free = |address: &IpAddr| local.iter().all(|(local, _)| local != address);
        let wished = asked.iter().map(|asked| (asked.address, asked.group));
        wish.addresses = wished.filter(|(address, _)| free(address)).collect();
        wish.asked = asked.to_vec();
    }

    /// Links or addresses of this host have changed: each thread looks whether its interface is still the one that it speaks on.
    pub fn look_again(&self, link_news: u64) {
        lock(&self.wish).link_news = link_news;
    }

    /// Over all interfaces.
    pub fn counts(&self) -> Counts {
        lock(&self.counts).iter().copied().fold(Counts::default(), Counts::plus)
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
    name: String,
    first: bool,
    place: usize,
    wish: Arc<Mutex<Wish>>,
    counts: Arc<Mutex<Vec<Counts>>>,
    end: Arc<AtomicBool>,
    claiming: Arc<Claiming>,
    /// Rings when who speaks has changed.
    bell: Arc<Bell>,
}

/// Addresses that were wished for, and who speaks for them.
type Wished = BTreeMap<IpAddr, GroupId>;

/// Frames that are heard before anything else is looked at.
const BURST: usize = 64;

/// After an interface went away, or was not there.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Claimant {
    fn live(self) {
        let (mut told, mut before) = (false, Counts::default());
        while !self.end.load(Ordering::Relaxed) {
            let link_news = lock(&self.wish).link_news;
            let served = Wire::open(&self.name).and_then(|wire| {
                if std::mem::take(&mut told) {
                    tracing::info!(target: "tsuji::state", "interface {}: cluster addresses are claimed again", self.name);
                }
                self.serve(wire, link_news, &mut before)
            });
            let Err(error) = served else { continue };
            if !std::mem::replace(&mut told, true) {
                tracing::error!(
                    target: "tsuji::state",
                    "interface {}: cluster addresses are not claimed: {error}; tried again every second",
                    self.name
                );
            }
            self.wait(link_news);
        }
    }

    /// Until it is time to try again, or links have changed.
    fn wait(&self, link_news: u64) {
        let until = Instant::now() + TRY_AGAIN;
        while Instant::now() < until && lock(&self.wish).link_news == link_news {
            std::thread::sleep(TICK);
        }
    }

    /// Until this is to end, or the interface has become another one.
    fn serve(&self, mut wire: Wire, mut link_news: u64, before: &mut Counts) -> io::Result<()> {
        let mut voices = Voices::new(Instant::now());
        let mut groups = Groups::default();
        let mut known = None;
        let counted = *before;
        while !self.end.load(Ordering::Relaxed) {
            self.await_news(&wire);
            if self.has_become_another(&mut wire, &mut link_news, &mut known) {
                return Ok(());
            }
            let mut said = self.wishes(&mut voices, &mut known, &wire);
            said.extend(voices.look(&self.claiming, Instant::now()));
            self.hear(&mut wire, &mut voices, &mut said)?;
            for said in said {
                self.carry_out(said, wire.sender.as_mut(), &mut groups)?;
            }
            *before = counted.plus(voices.counts());
            if let Some(counts) = lock(&self.counts).get_mut(self.place) {
                *counts = *before;
            }
        }
        Ok(())
    }

    /// Until a frame comes, who speaks has changed, or it is time to look at the clock.
    fn await_news(&self, wire: &Wire) {
        let mut awaited =
            [PollFd::new(wire.socket(), PollFlags::POLLIN), PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(TICK / 2).unwrap_or(PollTimeout::ZERO);
        // A signal ends the wait early, which does no harm.
        let _woken = poll(&mut awaited, patience);
        self.bell.hush();
    }

    /// The frames that are there. The claims are looked at before each, because a lease may end in between.
    fn hear(&self, wire: &mut Wire, voices: &mut Voices, said: &mut Vec<Said>) -> io::Result<()> {
        for _ in 0..BURST {
            match wire.receiver.next() {
                Ok(bytes) => {
                    let received = Instant::now();
                    said.extend(voices.look(&self.claiming, received));
                    said.extend(voices.hear(wire.interface.index, bytes, received));
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether another interface has the name now, or this one another MAC address. News besides may have changed on whose
    /// network an address is, so that is asked anew.
    fn has_become_another(&self, wire: &mut Wire, link_news: &mut u64, known: &mut Option<Wished>) -> bool {
        let newest = lock(&self.wish).link_news;
        if std::mem::replace(link_news, newest) == newest {
            return false;
        }
        *known = None;
        // One that is not there ends the socket, and that is told as such.
        let Some(link) = link(&self.name) else { return false };
        let is_another = (link.index, link.mac) != (wire.link.index, wire.link.mac);
        wire.link = link;
        is_another
    }

    /// What is wished now, where that is new.
    fn wishes(&self, voices: &mut Voices, known: &mut Option<Wished>, wire: &Wire) -> Vec<Said> {
        let addresses = {
            let wish = lock(&self.wish);
            if known.as_ref() == Some(&wish.addresses) {
                return Vec::new();
            }
            wish.addresses.clone()
        };
        *known = Some(addresses.clone());
        let is_near = |link: &NetworkInterface, address: &IpAddr| link.ips.iter().any(|net| net.contains(*address));
        let links = datalink::interfaces();
        let elsewhere =
            |address: &IpAddr| links.iter().any(|other| other.index != wire.link.index && is_near(other, address));
        let ours = addresses
            .into_iter()
            .filter(|(address, _)| is_near(&wire.link, address) || (self.first && !elsewhere(address)));
        let owned =
            |(address, group)| (group, Owned { address, interface: wire.interface.index, mac: wire.interface.mac });
        voices.own(ours.map(owned), Instant::now())
    }

    fn carry_out(&self, said: Said, sender: &mut dyn DataLinkSender, groups: &mut Groups) -> io::Result<()> {
        match said.action {
            Action::Send { frame, .. } => sender.send_to(&frame, None).unwrap_or(Ok(())),
            Action::Join { interface, group } => groups.join(group, interface),
            Action::Leave { interface, group } => groups.leave(group, interface),
            Action::Answered { .. } => {
                self.claiming.answered(said.group);
                Ok(())
            }
            Action::Alert(Alert::Duplicate { address, mac }) => {
                tracing::error!(
                    target: "tsuji::state",
                    "{address} is claimed by another station too, with MAC {mac}, on {}: if it is a server, it must not \
                     answer ARP for the cluster address",
                    self.name
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

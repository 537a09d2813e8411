//! Who answers for a cluster address: ARP and neighbour discovery as a machine of events and time.
//!
//! The addresses are on no interface of this host, so its kernel stays silent about them. This machine speaks for them while
//! the dispatcher is active *and its own loop is on time*: a daemon that hangs stops claiming by itself, while packets of
//! everybody who knows the way go on to be forwarded in the kernel.

mod address;
mod punctual;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::wire::Mac;
use crate::wire::arp::{Arp, Operation};
use crate::wire::ndp::{ALL_NODES, Advertisement, Ndp, Solicitation, solicited_node};

use address::{Claim, Heard};
use punctual::Punctuality;

/// An address of ours on a link.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Owned {
    pub address: IpAddr,
    pub interface: u32,
    /// The interface's, which is told to who asks.
    pub mac: Mac,
}

/// What happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// From now on these addresses are ours.
    Own(Vec<Owned>),
    /// The dispatcher speaks for them from now on. Unless it was `asked` whether somebody else does, each address that was never
    /// claimed here is probed first.
    Claim { asked: bool },
    /// It speaks for them no longer.
    Yield,
    /// Somebody else was believed to have them: all is announced anew.
    Announce,
    /// Look whether another station answers for them, while this one does not.
    Ask,
    /// In a pair: until when the dispatcher may speak, which is told again and again. `None`: a dispatcher that stands alone,
    /// which speaks for as long as it is on time.
    Lease(Option<Instant>),
    /// A frame of ARP or ICMPv6 came in at this time.
    Frame { interface: u32, received: Instant, bytes: &'a [u8] },
    /// To be told every [`TICK`]; how late it comes shows whether this process is on time.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    Send {
        interface: u32,
        frame: Vec<u8>,
    },
    /// Solicitations for an IPv6 address go to a group, which the network card and switches let through to members.
    Join {
        interface: u32,
        group: Ipv6Addr,
    },
    Leave {
        interface: u32,
        group: Ipv6Addr,
    },
    /// Another station has this address, which was asked for.
    Answered {
        address: IpAddr,
        mac: Mac,
    },
    Alert(Alert),
}

/// Someone should know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alert {
    /// Another station has the address, or says so.
    Duplicate { address: IpAddr, mac: Mac },
    /// It has been silent for a while.
    RivalGone { address: IpAddr, mac: Mac },
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    pub answers: u64,
    pub announcements: u64,
    /// Questions that were not answered because this process was late, or they were old.
    pub late: u64,
    /// Questions beyond [`MOST_ANSWERS`].
    pub excess: u64,
    pub duplicates: u64,
}

impl Counts {
    pub fn plus(self, other: Self) -> Self {
        Self {
            answers: self.answers + other.answers,
            announcements: self.announcements + other.announcements,
            late: self.late + other.late,
            excess: self.excess + other.excess,
            duplicates: self.duplicates + other.duplicates,
        }
    }
}

/// Between two ticks.
pub const TICK: Duration = Duration::from_millis(50);
/// A claim is a lease of 0.8 × the 300 ms after which a partner is thought dead; who is later than that does not answer.
pub const LEASE: Duration = Duration::from_millis(240);
/// Answers per second: many times what a link with a full table of neighbours asks, and little work.
pub const MOST_ANSWERS: u32 = 10_000;

/// For so long after it was asked whether somebody has an address, an answer is one.
const ASKING: Duration = Duration::from_millis(500);

/// All claims of this dispatcher.
#[derive(Debug)]
pub struct Claims {
    claims: BTreeMap<(IpAddr, u32), Claim>,
    active: bool,
    /// In a pair.
    lease: Option<Instant>,
    asked: Option<Instant>,
    punctual: Punctuality,
    second: (Option<Instant>, u32),
    counts: Counts,
}

impl Claims {
    pub fn new(now: Instant) -> Self {
        Self {
            claims: BTreeMap::new(),
            active: false,
            lease: None,
            asked: None,
            punctual: Punctuality::new(now),
            second: (None, 0),
            counts: Counts::default(),
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn handle(&mut self, event: Event<'_>, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Own(owned) => self.own(&owned, now, &mut actions),
            Event::Claim { asked } => self.claim(asked, now, &mut actions),
            Event::Yield => {
                self.active = false;
                self.claims.values_mut().for_each(Claim::forget_rival);
            }
            Event::Announce => {
                self.claims.values_mut().for_each(|claim| claim.begin(now));
                self.speak(now, &mut actions);
            }
            Event::Ask => self.ask(now, &mut actions),
            Event::Lease(until) => self.lease = until,
            Event::Frame { interface, received, bytes } => self.hear(interface, received, bytes, now, &mut actions),
            Event::Tick => {
                self.punctual.tick(now);
                self.speak(now, &mut actions);
            }
        }
        actions
    }

    fn claim(&mut self, asked: bool, now: Instant, actions: &mut Vec<Action>) {
        if self.active {
            return;
        }
        self.active = true;
        for claim in self.claims.values_mut() {
            if asked {
                claim.settle(now);
            } else {
                claim.begin(now);
            }
        }
        if asked {
            // Clients wait for it.
            self.speak(now, actions);
        }
    }

    fn ask(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.asked = Some(now);
        let probes = self.claims.values().filter(|_| !self.active);
        actions.extend(probes.map(|claim| Action::Send { interface: claim.owned().interface, frame: claim.probe() }));
    }

    /// Whether frames may say that the addresses are here.
    fn may_speak(&mut self, now: Instant) -> bool {
        self.active && self.lease.is_none_or(|until| now <= until) && self.punctual.is_on_time(now)
    }

    fn own(&mut self, owned: &[Owned], now: Instant, actions: &mut Vec<Action>) {
        let wanted: BTreeMap<_, _> = owned.iter().map(|owned| ((owned.address, owned.interface), *owned)).collect();
        let gone: Vec<_> = self.claims.extract_if(.., |key, _| !wanted.contains_key(key)).map(|(key, _)| key).collect();
        let group = |address, interface, make: fn(u32, Ipv6Addr) -> Action| match address {
            IpAddr::V6(v6) => Some(make(interface, solicited_node(v6))),
            IpAddr::V4(_) => None,
        };
        actions.extend(gone.into_iter().filter_map(|(address, interface)| {
            group(address, interface, |interface, group| Action::Leave { interface, group })
        }));
        for (key, owned) in wanted {
            let known = self.claims.get(&key).is_some_and(|claim| claim.owned() == owned);
            if !known {
                self.claims.insert(key, Claim::new(owned, now));
                actions.extend(group(key.0, key.1, |interface, group| Action::Join { interface, group }));
            }
        }
    }

    /// Probes and announcements that are due, and rivals that have fallen silent.
    fn speak(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let speaks = self.may_speak(now);
        for claim in self.claims.values_mut() {
            actions.extend(claim.rival_gone(now).map(Action::Alert));
            if !speaks {
                continue;
            }
            let owned = claim.owned();
            let frames = claim.due(now);
            self.counts.announcements += u64::from(!frames.is_empty());
            actions.extend(frames.into_iter().map(|frame| Action::Send { interface: owned.interface, frame }));
        }
    }

    fn hear(&mut self, interface: u32, received: Instant, bytes: &[u8], now: Instant, actions: &mut Vec<Action>) {
        if let Some(arp) = Arp::read(bytes) {
            self.hear_arp(interface, &arp, received, now, actions);
        } else if let Some(ndp) = Ndp::read(bytes) {
            self.hear_ndp(interface, &ndp, received, now, actions);
        }
    }

    fn hear_arp(&mut self, interface: u32, arp: &Arp, received: Instant, now: Instant, actions: &mut Vec<Action>) {
        let (sender_mac, sender) = arp.sender;
        self.contest(interface, sender.into(), sender_mac, now, actions);
        let asked = arp.operation == Operation::Request && sender != arp.target.1;
        // A probe of another station for an address of ours: it is going to take it. A partner only asks whether we live.
        if asked && self.lease.is_none() && sender.is_unspecified() && self.is_settled(interface, arp.target.1.into()) {
            self.note_rival(interface, arp.target.1.into(), sender_mac, now, actions);
        }
        if !asked {
            return;
        }
        let Some(own) = self.may_answer(interface, arp.target.1.into(), received, now) else { return };
        let reply = Arp { operation: Operation::Reply, sender: (own, arp.target.1), target: arp.sender };
        actions.push(Action::Send { interface, frame: reply.frame(sender_mac) });
    }

    fn hear_ndp(&mut self, interface: u32, ndp: &Ndp, received: Instant, now: Instant, actions: &mut Vec<Action>) {
        match *ndp {
            Ndp::Advertisement(Advertisement { target, owner: Some(mac), .. }) => {
                self.contest(interface, target.into(), mac, now, actions);
            }
            Ndp::Advertisement(_) => {}
            Ndp::Solicitation(Solicitation { source, target, asker }) => {
                let Some(own) = self.may_answer(interface, target.into(), received, now) else { return };
                // A station that wants the address itself has none yet: everybody is told (RFC 4861, 7.2.4).
                let wants_it = source.is_unspecified();
                let destination = if wants_it { ALL_NODES } else { source };
                let to = match asker {
                    Some(mac) if !wants_it => mac,
                    _ => Mac::of_ipv6_group(ALL_NODES),
                };
                let answer =
                    Advertisement { source: target, destination, target, owner: Some(own), solicited: !wants_it };
                actions.push(Action::Send { interface, frame: answer.frame(own, to) });
            }
        }
    }

    /// Whether a question for this address is answered, and with which MAC.
    fn may_answer(&mut self, interface: u32, address: IpAddr, received: Instant, now: Instant) -> Option<Mac> {
        let claim = self.claims.get(&(address, interface)).filter(|_| self.active)?;
        let own = claim.is_settled().then_some(claim.owned().mac)?;
        if !self.may_speak(now) || now.saturating_duration_since(received) > LEASE {
            self.counts.late += 1;
            return None;
        }
        if !self.has_breath(now) {
            self.counts.excess += 1;
            return None;
        }
        self.counts.answers += 1;
        Some(own)
    }

    fn has_breath(&mut self, now: Instant) -> bool {
        let same = self.second.0.is_some_and(|start| now.saturating_duration_since(start) < Duration::from_secs(1));
        self.second = if same { (self.second.0, self.second.1 + 1) } else { (Some(now), 1) };
        self.second.1 <= MOST_ANSWERS
    }

    fn is_settled(&self, interface: u32, address: IpAddr) -> bool {
        self.claims.get(&(address, interface)).is_some_and(Claim::is_settled)
    }

    /// Somebody says that an address is its own.
    fn contest(&mut self, interface: u32, address: IpAddr, mac: Mac, now: Instant, actions: &mut Vec<Action>) {
        let ours = self.claims.values().any(|claim| claim.owned().mac == mac);
        if !ours && self.claims.contains_key(&(address, interface)) {
            self.note_rival(interface, address, mac, now, actions);
        }
    }

    fn note_rival(&mut self, interface: u32, address: IpAddr, mac: Mac, now: Instant, actions: &mut Vec<Action>) {
        if !self.active {
            // Somebody has it, as is right. It is news for who has asked.
            let asks = self.asked.is_some_and(|asked| now.saturating_duration_since(asked) <= ASKING);
            return actions.extend(asks.then_some(Action::Answered { address, mac }));
        }
        let speaks = self.may_speak(now);
        let Some(claim) = self.claims.get_mut(&(address, interface)) else { return };
        let Heard { alert, defend } = claim.rival(mac, now);
        if alert {
            self.counts.duplicates += 1;
            actions.push(Action::Alert(Alert::Duplicate { address, mac }));
        }
        if defend && speaks {
            let frames = claim.announcement();
            actions.extend(frames.into_iter().map(|frame| Action::Send { interface, frame }));
        }
    }
}

#[cfg(test)]
mod tests;

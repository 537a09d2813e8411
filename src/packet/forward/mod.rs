//! What becomes of a frame: the whole decision of the XDP program, in Rust and over the same tables.
//!
//! `datapath/xdp/program/dispatch.c` is the same, function by function, and a test sends random frames through both and
//! compares frames and tables. So an engine that cannot load programs into the kernel decides as the one that can, and
//! may even share its tables.
//!
//! This reads no clock and touches no socket: a frame, the interface that it came in on and the time go in, and a
//! [`Verdict`] comes out. The tables are memory that others may write to at the same time; affinity records and fragments,
//! which the kernel keeps in maps of its own, are this side's [`Memory`].

mod answer;
mod choose;
mod errors;
mod known;
mod open;
mod packet;
mod recent;
mod service;
mod tables;
mod tally;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

pub use choose::{Network, Record};
pub use recent::Recent;
pub use tables::Tables;
pub use tally::Count;

use self::packet::{ETHERNET, IPV4, IPV6, PROTOCOL_ICMP, PROTOCOL_ICMP6, Packet, TCP, UDP};
use self::service::Wanted;
use self::tables::Server;
use self::tally::Tally;
use super::connections::{Found, NotATable, Place, Table};
use super::hash::{Flow, HashKeys, Key};
use super::layout::{live, server};
use super::reason::Reason;
use crate::wire::Mac;

/// Where a frame goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Nowhere.
    Drop,
    /// To this host's own network stack.
    Pass,
    /// Out by the interface that it came in on.
    Transmit,
    /// The same, as a frame made here that goes back to its sender: an echo reply or a reset.
    Reply,
    /// Out by the interface of this number.
    Redirect(u32),
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Bytes of the frame that are left: a reset is shorter than what it answers.
    pub length: usize,
}

/// The first fragment of a datagram tells where the others go.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Datagram {
    pub saddr: [u32; 4],
    pub daddr: [u32; 4],
    pub id: u32,
    /// 0 for IPv6, whose later fragments do not tell.
    pub protocol: u8,
}

/// What is remembered beside the tables.
#[derive(Debug)]
pub struct Memory {
    pub affinity: Recent<Network, Record>,
    pub fragments: Recent<Datagram, u16>,
}

impl Memory {
    /// Room for so many affinity records and datagrams; beyond it the oldest are forgotten.
    pub fn new(records: usize, datagrams: usize) -> Self {
        Self { affinity: Recent::new(records), fragments: Recent::new(datagrams) }
    }
}

/// Decides on frames, for one interface and one thread.
#[derive(Debug)]
pub struct Forwarder<'a> {
    tables: Tables<'a>,
    table: Table<'a, AtomicU64>,
    keys: &'a HashKeys,
    tally: Tally<'a>,
    own: Mac,
    memory: &'a mut Memory,
}

impl<'a> Forwarder<'a> {
    /// `own` is the interface's address. `lane` is the place among counters that this thread alone writes to, as a CPU of
    /// the kernel's program does to its own.
    ///
    /// # Errors
    ///
    /// The connections' memory is no table.
    pub fn new(
        tables: Tables<'a>,
        keys: &'a HashKeys,
        own: Mac,
        lane: u32,
        memory: &'a mut Memory,
    ) -> Result<Self, NotATable> {
        let table = Table::new(tables.connections, keys)?;
        Ok(Self { tables, table, keys, tally: Tally::new(tables, lane), own, memory })
    }

    /// Decides on a frame that came in on the interface of this number, and rewrites it if it goes on. `now` is the time in
    /// units of [`TIME_SHIFT`](super::connections::TIME_SHIFT).
    pub fn forward(&mut self, frame: &mut [u8], ingress: u32, now: u32) -> Outcome {
        let mut packet = Packet::new(frame, ingress, now);
        let Some(to) = packet.bytes::<6>(0).filter(|_| packet.fits(0, ETHERNET)) else {
            return self.leave(&packet, Reason::NotIp, Verdict::Pass);
        };
        // A switch that does not know an address floods its frames: one that is not for us is not ours to dispatch.
        if to != self.own.0 {
            return self.leave(&packet, Reason::OtherMac, Verdict::Pass);
        }
        match behind_tags(&mut packet) {
            Some(0x0800) => self.ipv4(&mut packet),
            Some(0x86dd) => self.ipv6(&mut packet),
            _ => self.leave(&packet, Reason::NotIp, Verdict::Pass),
        }
    }

    fn ipv4(&mut self, packet: &mut Packet<'_>) -> Outcome {
        match self.read_ipv4(packet) {
            Some(later) => self.by_protocol(packet, later),
            None => self.leave(packet, Reason::Foreign, Verdict::Pass),
        }
    }

    /// Whether it is a later fragment. `None`: it is not for us.
    fn read_ipv4(&self, packet: &mut Packet<'_>) -> Option<bool> {
        let at = packet.l3;
        packet.fits(at, IPV4).then_some(())?;
        let daddr = packet.address4(at + 16)?;
        let [.., low] = daddr;
        let version = packet.byte(at)?;
        if !self.tables.gate_is_open(low) || version >> 4 != 4 || version & 15 < 5 {
            return None;
        }
        packet.family = 4;
        packet.l4 = at + usize::from(version & 15) * 4;
        packet.flow.saddr = packet.address4(at + 12)?;
        packet.flow.daddr = daddr;
        packet.flow.protocol = packet.byte(at + 9)?;
        let fragment = packet.number16(at + 6)?;
        let later = fragment & 0x1fff != 0;
        if fragment & 0x3fff != 0 {
            packet.fragment_id = u32::from(packet.native16(at + 4)?);
            packet.first_fragment = !later;
        }
        Some(later)
    }

    fn ipv6(&mut self, packet: &mut Packet<'_>) -> Outcome {
        let has_clusters = self.tables.live_flags() & live::IPV6 != 0;
        match read_ipv6(packet).filter(|_| has_clusters) {
            Some(later) => self.by_protocol(packet, later),
            None => self.leave(packet, Reason::Foreign, Verdict::Pass),
        }
    }

    fn by_protocol(&mut self, packet: &mut Packet<'_>, later: bool) -> Outcome {
        if !later && (packet.is_tcp() || packet.is_udp()) {
            return self.transport(packet);
        }
        let is_ours = self.is_cluster(&packet.flow.daddr, packet.family);
        if !(is_ours || (later && self.has_wildcard(packet.family))) {
            return self.leave(packet, Reason::Foreign, Verdict::Pass);
        }
        if later {
            return self.later_fragment(packet);
        }
        if packet.flow.protocol != if packet.family == 4 { PROTOCOL_ICMP } else { PROTOCOL_ICMP6 } {
            return self.leave(packet, Reason::Protocol, Verdict::Pass);
        }
        self.icmp(packet)
    }

    fn transport(&mut self, packet: &mut Packet<'_>) -> Outcome {
        let at = packet.l4;
        if !packet.fits(at, if packet.is_tcp() { TCP } else { UDP }) {
            return self.leave(packet, Reason::Malformed, Verdict::Drop);
        }
        packet.flow.sport = packet.native16(at).unwrap_or_default();
        packet.flow.dport = packet.native16(at + 2).unwrap_or_default();
        if packet.is_tcp() {
            packet.tcp = packet.byte(at + 13).unwrap_or_default();
        }
        let mut wanted = match self.service_of(&packet.flow.daddr, packet.flow.dport, packet.family) {
            Ok(wanted) => wanted,
            Err(reason @ (Reason::Foreign | Reason::UnservedPass)) => return self.leave(packet, reason, Verdict::Pass),
            Err(reason) => return self.leave(packet, reason, Verdict::Drop),
        };
        if packet.bytes::<6>(6).is_some_and(|from| self.tables.is_partner(from)) {
            return self.leave(packet, Reason::Partner, Verdict::Pass);
        }
        wanted.service |= u16::from(packet.is_udp());
        self.dispatch(packet, wanted)
    }

    fn new_flow(&mut self, packet: &mut Packet<'_>, wanted: Wanted, key: Key, ended: Option<Found>) -> Outcome {
        match self.open(packet, wanted, key, ended) {
            Ok(number) => {
                if packet.first_fragment {
                    self.remember_fragment(packet, number);
                }
                self.send_to(packet, number)
            }
            Err(reason) => self.leave(packet, reason, Verdict::Drop),
        }
    }

    /// The later fragments of a datagram carry no ports: they follow the first.
    fn later_fragment(&mut self, packet: &mut Packet<'_>) -> Outcome {
        match self.memory.fragments.get(&datagram_of(packet)).copied() {
            Some(number) => self.send_to(packet, number),
            None => self.leave(packet, Reason::Fragment, Verdict::Drop),
        }
    }

    fn remember_fragment(&mut self, packet: &Packet<'_>, number: u16) {
        self.memory.fragments.put(datagram_of(packet), number);
    }

    fn send_to(&mut self, packet: &mut Packet<'_>, number: u16) -> Outcome {
        match self.tables.server(number) {
            Some(server) => self.send(packet, &server, number),
            None => self.leave(packet, Reason::BrokenPlan, Verdict::Drop),
        }
    }

    /// The frame goes to this server.
    fn send(&mut self, packet: &mut Packet<'_>, server: &Server, number: u16) -> Outcome {
        self.tally.add(number, Count::Packets, 1);
        self.tally.add(number, Count::Bytes, u64::from(packet.length()));
        if server.flags & server::LOCAL != 0 {
            return self.leave(packet, Reason::Local, Verdict::Pass);
        }
        if server.interface == 0 {
            return self.leave(packet, Reason::NoNeighbour, Verdict::Drop);
        }
        packet.put(0, &server.mac.0);
        packet.put(6, &server.source.0);
        let length = packet.frame.len();
        if server.interface == packet.ingress {
            return Outcome { verdict: Verdict::Transmit, length };
        }
        self.tally.remark(Reason::Redirected, packet.length());
        Outcome { verdict: Verdict::Redirect(server.interface), length }
    }

    fn leave(&self, packet: &Packet<'_>, reason: Reason, verdict: Verdict) -> Outcome {
        self.tally.remark(reason, packet.length());
        Outcome { verdict, length: packet.frame.len() }
    }

    /// The flow behind a fingerprint, for reports and replication; written before its key can be seen.
    fn write_tuple(&self, Place(place): Place, flow: &Flow) {
        let Some(words) = tables::element::<5>(self.tables.tuples, place) else { return };
        let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let ([a, b, c, d], [e, f, g, h]) = (flow.saddr, flow.daddr);
        let ports = u32::from(flow.sport) | u32::from(flow.dport) << 16;
        let values = [pair(a, b), pair(c, d), pair(e, f), pair(g, h), pair(ports, u32::from(flow.protocol))];
        for (word, value) in words.iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

/// The type of what is behind at most two VLAN tags, and where it begins.
fn behind_tags(packet: &mut Packet<'_>) -> Option<u16> {
    const TAG: usize = 4;
    for _ in 0..2 {
        let kind = packet.number16(packet.l3 - 2)?;
        if !matches!(kind, 0x8100 | 0x88a8) {
            return Some(kind);
        }
        packet.fits(packet.l3, TAG).then_some(())?;
        packet.l3 += TAG;
    }
    packet.number16(packet.l3 - 2)
}

/// Extension headers (RFC 8200, 4) that are looked past.
const EXTENSIONS: usize = 4;

/// Whether it is a later fragment. `None`: it is not for us.
fn read_ipv6(packet: &mut Packet<'_>) -> Option<bool> {
    const HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const OPTIONS: u8 = 60;
    // The program has room for so much in front of a transport header.
    const REACH: usize = 1023;
    packet.fits(packet.l3, IPV6).then_some(())?;
    packet.family = 6;
    packet.flow.saddr = packet.address6(packet.l3 + 8)?;
    packet.flow.daddr = packet.address6(packet.l3 + 24)?;
    packet.flow.protocol = packet.byte(packet.l3 + 6)?;
    let (mut at, mut later) = (packet.l3 + IPV6, false);
    for _ in 0..EXTENSIONS {
        if !matches!(packet.flow.protocol, HOP | ROUTING | FRAGMENT | OPTIONS) {
            break;
        }
        (at <= REACH).then_some(())?;
        let [next, length, _, low, ..] = packet.bytes::<8>(at)?;
        if packet.flow.protocol == FRAGMENT {
            packet.fragment_id = packet.native32(at + 4)?;
            packet.first_fragment = low & 1 != 0;
            later = packet.number16(at + 2)? & 0xfff8 != 0;
            at += 8;
        } else {
            at += (usize::from(length) + 1) * 8;
        }
        packet.flow.protocol = next;
        if later {
            break;
        }
    }
    (at <= REACH).then_some(())?;
    packet.l4 = at;
    packet.first_fragment &= !later;
    Some(later)
}

fn datagram_of(packet: &Packet<'_>) -> Datagram {
    let protocol = if packet.family == 4 { packet.flow.protocol } else { 0 };
    Datagram { saddr: packet.flow.saddr, daddr: packet.flow.daddr, id: packet.fragment_id, protocol }
}

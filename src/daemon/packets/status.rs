//! What reports say of the packet engine.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::claim::Counts;
use crate::control::reply::{Count, PacketReport};
use crate::metrics::PacketReading;
use crate::packet::reason::{Fate, Reason};
use crate::sys::datapath_layout::Tally;

use super::neighbours::Neighbour;

/// What reports say of the packet engine.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Interfaces with the mode in which each is served.
    pub interfaces: Vec<(String, &'static str)>,
    /// In the order of [`Reason::ALL`].
    pub reasons: Vec<Tally>,
    /// Connections in the table, and how many it has room for.
    pub connections: (u64, u64),
    pub half_open: u64,
    /// See [`PacketEngine::drift`](crate::datapath::xdp::engine::PacketEngine::drift).
    pub drift: i64,
    /// Plans that could not be put into the tables.
    pub refused_plans: u64,
    /// See [`PacketSockets::lost`](crate::datapath::packet_socket::PacketSockets::lost).
    pub lost: u64,
    pub neighbours: HashMap<IpAddr, Neighbour>,
    /// Of ARP and neighbour discovery for cluster addresses.
    pub claims: Counts,
    /// Connections of the partner that were taken in, and that found no place or no server.
    pub copied: (u64, u64),
}

impl Status {
    fn counted(&self) -> impl Iterator<Item = (Reason, Tally)> + '_ {
        Reason::ALL.into_iter().zip(self.reasons.iter().copied())
    }

    /// For `dscontrol executor report`.
    pub fn report(&self) -> PacketReport {
        let of = |fate: Fate| {
            let counted = self.counted().filter(|(reason, tally)| reason.fate() == fate && tally.packets > 0);
            counted.map(|(reason, tally)| Count { reason: reason.word().to_owned(), count: tally.packets }).collect()
        };
        let mut neighbours: Vec<_> = self.neighbours.iter().collect();
        neighbours.sort_by_key(|(address, _)| **address);
        PacketReport {
            interfaces: self.interfaces.iter().map(|(name, mode)| (name.clone(), (*mode).to_owned())).collect(),
            sent: of(Fate::Sent),
            passed: of(Fate::Passed),
            dropped: of(Fate::Dropped),
            remarks: of(Fate::Remark),
            connections: self.connections.0,
            half_open: self.half_open,
            room: self.connections.1,
            drift: self.drift,
            refused_plans: self.refused_plans,
            lost: self.lost,
            arp_answers: self.claims.answers,
            announcements: self.claims.announcements,
            duplicates: self.claims.duplicates,
            neighbours: neighbours
                .into_iter()
                .map(|(address, state)| (address.to_string(), state.to_string()))
                .collect(),
        }
    }

    /// For Prometheus.
    pub fn reading(&self) -> PacketReading {
        PacketReading {
            reasons: self.counted().map(|(reason, tally)| (reason.word(), tally.packets, tally.bytes)).collect(),
            connections: self.connections.0,
            half_open: self.half_open,
            room: self.connections.1,
            drift: self.drift.unsigned_abs(),
            refused_plans: self.refused_plans,
            lost: self.lost,
            arp_answers: self.claims.answers,
            announcements: self.claims.announcements,
            duplicates: self.claims.duplicates,
            copied: self.copied,
        }
    }
}

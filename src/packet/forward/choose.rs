//! Choosing a server for a new flow: affinity, then rules, then the ring or the consistent hash.

use std::sync::atomic::Ordering;

use super::Forwarder;
use super::open::{Hashed, Work};
use super::packet::Packet;
use super::tables::{Policy, Rule, Target, element};
use crate::packet::hash::in_range;
use crate::packet::layout::{NO_SERVER, RULES, policy, server, service};
use crate::packet::reason::Reason;

/// Whose affinity record it is: the group of ports, and the client's network.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network {
    pub group: u32,
    pub family: u32,
    pub address: [u32; 4],
}

/// Where clients of a network went, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    pub server: u16,
    pub epoch: u16,
    pub last: u32,
}

/// A server, and how it came to be chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Chosen {
    pub server: u16,
    pub by_affinity: bool,
}

pub(super) fn network_of(packet: &Packet<'_>, policy: &Policy) -> Network {
    let [a, b, c, d] = packet.flow.saddr;
    let address = if packet.family == 4 {
        [0, 0, 0, d & policy.mask4]
    } else {
        [a & mask6(policy, 0), b & mask6(policy, 1), c & mask6(policy, 2), d & mask6(policy, 3)]
    };
    Network { group: policy.group, family: packet.family, address }
}

fn mask6(policy: &Policy, word: u32) -> u32 {
    let bits = policy.prefix6.saturating_sub(word * 32).min(32);
    u32::MAX.checked_shl(32 - bits).unwrap_or(0).to_be()
}

impl Forwarder<'_> {
    pub(super) fn choose(&mut self, packet: &Packet<'_>, work: &Work) -> Result<Chosen, Reason> {
        let sticky = work.wanted.is(service::STICKY) && work.policy.sticky != 0;
        let recorded = if sticky { self.by_record(packet, &work.policy) } else { None };
        let (number, by_rule) = match recorded {
            Some(number) => (number, false),
            None => self.by_policy(packet, work),
        };
        let server = self.tables.server(number).ok_or(Reason::NoServer)?;
        // Clients shall leave a sorry server as soon as the rule no longer sends them there. In a flood nothing new is
        // remembered.
        if sticky && work.hashed != Hashed::Flood && !(by_rule && server.flags & server::STICKY_NO != 0) {
            let record = Record { server: number, epoch: server.epoch as u16, last: packet.now };
            self.memory.affinity.put(network_of(packet, &work.policy), record);
        }
        Ok(Chosen { server: number, by_affinity: recorded.is_some() })
    }

    /// The client was there last, and may come again.
    fn by_record(&mut self, packet: &Packet<'_>, policy: &Policy) -> Option<u16> {
        let record = *self.memory.affinity.get(&network_of(packet, policy))?;
        if packet.now.wrapping_sub(record.last) >= policy.sticky {
            return None;
        }
        self.tables.server(record.server).filter(|server| server.epoch as u16 == record.epoch)?;
        let number = self.sibling(policy, record.server)?;
        let server = self.tables.server(number)?;
        (server.flags & server::AFFINITY != 0).then_some(number)
    }

    /// Ports that share records know one machine by servers of their own.
    fn sibling(&self, policy: &Policy, number: u16) -> Option<u16> {
        if policy.flags & policy::CROSSPORT == 0 {
            return Some(number);
        }
        let host = self.tables.server(number)?.host;
        (host < policy.siblings_length).then(|| self.tables.word(policy.siblings, host))
    }

    /// The server, or one that there is not; and whether a rule named it.
    fn by_policy(&self, packet: &Packet<'_>, work: &Work) -> (u16, bool) {
        let (target, by_rule) = self.by_rules(packet, &work.policy, work.policy_line);
        let by_hash = work.hashed != Hashed::No || work.policy.flags & policy::HASH != 0;
        let number = if by_hash { self.by_hash(packet, &target) } else { self.next_in_ring(&target) };
        if by_rule && let Some([_, hits, ..]) = element::<8>(self.tables.cursors, target.cursor) {
            hits.fetch_add(1, Ordering::Relaxed);
        }
        (number, by_rule)
    }

    /// The target of the first rule that is true, or else that of all servers of the port.
    pub(super) fn by_rules(&self, packet: &Packet<'_>, policy: &Policy, line: u32) -> (Target, bool) {
        let [a, b, c, d] = packet.flow.saddr.map(|word| u64::from(u32::from_be(word)));
        let client = [a << 32 | b, c << 32 | d];
        let holds = |rule: &Rule| {
            rule.family == 0 || rule.family == packet.family && (rule.first..=rule.last).contains(&client)
        };
        let places = 0..policy.rules.min(RULES as u32);
        let rules = places.filter_map(|place| self.tables.rule(line.wrapping_add(1 + place)));
        rules.into_iter().find(holds).map_or((policy.target, false), |rule| (rule.target, true))
    }

    /// Weighted round robin is exact: the ring has the smooth order, and all writers take from one cursor.
    fn next_in_ring(&self, target: &Target) -> u16 {
        let Some([next, ..]) = element::<8>(self.tables.cursors, target.cursor) else { return NO_SERVER };
        if target.ring_length == 0 {
            return NO_SERVER;
        }
        let turn = next.fetch_add(1, Ordering::Relaxed) % u64::from(target.ring_length);
        self.tables.word(target.ring, turn as u32)
    }

    pub(super) fn by_hash(&self, packet: &Packet<'_>, target: &Target) -> u16 {
        if target.maglev_length == 0 {
            return NO_SERVER;
        }
        self.tables.word(target.maglev, in_range(packet.flow.client_hash(), target.maglev_length))
    }
}

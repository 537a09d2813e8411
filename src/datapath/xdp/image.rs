//! One service's part of the plan as lines of the table.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::packet::connections::TIME_SHIFT;
use crate::packet::layout::{NO_SERVER, RULES, WORDS_A_LINE, policy};
use crate::packet::{Choice, Clients, RulePlan, ServicePlan};
use crate::sys::datapath_layout::{Line, Policy, Rule, Target};
use crate::sys::shared_array::bits_of;

/// All that a service's lines are made from, but the place where they stand. Equal sources make equal lines.
#[derive(Debug, Eq, PartialEq)]
pub struct Source {
    pub service: Arc<ServicePlan>,
    /// Numbers of the service's servers, in its order.
    pub servers: Vec<u32>,
    /// Where no rule decides, and each rule's.
    pub cursors: Vec<u32>,
    /// Whose affinity records these are.
    pub group: u32,
    /// For services that share records: this service's server on each machine.
    pub siblings: Vec<u16>,
}

impl Source {
    /// How many lines there are.
    pub fn length(&self) -> u32 {
        let rules = &self.service.rules;
        let lists = std::iter::once(&self.service.otherwise).chain(rules.iter().map(|rule| &rule.choice));
        let lists: u32 = lists.map(|choice| lines_for(choice.ring.len()) + lines_for(choice.maglev.len())).sum();
        1 + rules.len() as u32 + lists + lines_for(self.siblings.len())
    }

    /// The lines, for a place that begins here.
    pub fn lines(&self, start: u32) -> Vec<Line> {
        let service = &*self.service;
        let head = 1 + service.rules.len() as u32;
        let mut lists = Lists { next: start + head, lines: Vec::new(), servers: &self.servers };
        let mut cursors = self.cursors.iter().copied();
        let target = lists.target(&service.otherwise, cursors.next());
        let rules: Vec<_> =
            service.rules.iter().map(|rule| rule_line(rule, lists.target(&rule.choice, cursors.next()))).collect();
        let siblings = lists.words(self.siblings.iter().copied());
        let first = Policy {
            flags: flags_of(service, !self.siblings.is_empty()),
            rules: rules.len().min(RULES) as u8,
            group: self.group,
            siblings,
            siblings_length: self.siblings.len() as u32,
            target,
            lines: head + lists.lines.len() as u32,
            ..sticky_of(service)
        };
        let lines = std::iter::once(line_of(&first)).chain(rules.iter().map(line_of));
        lines.chain(lists.lines).collect()
    }
}

fn lines_for(words: usize) -> u32 {
    words.div_ceil(WORDS_A_LINE) as u32
}

fn flags_of(service: &ServicePlan, crossport: bool) -> u16 {
    let bit = |set: bool, bit| if set { bit } else { 0 };
    bit(service.hash, policy::HASH) | bit(service.pickup, policy::PICKUP) | bit(crossport, policy::CROSSPORT)
}

fn sticky_of(service: &ServicePlan) -> Policy {
    let Some(sticky) = &service.sticky else { return Policy::default() };
    let mask4 = u32::MAX.checked_shl(32 - u32::from(sticky.mask.v4().min(32))).unwrap_or(0);
    Policy { prefix6: sticky.mask.v6(), mask4: mask4.to_be(), sticky: units_of(sticky.time), ..Policy::default() }
}

/// A duration in the tables' units, rounded up; at most half of the span after which they wrap.
pub fn units_of(time: Duration) -> u32 {
    let units = time.as_nanos().div_ceil(1 << TIME_SHIFT);
    u32::try_from(units).unwrap_or(u32::MAX).min(u32::MAX / 2)
}

/// A record is renewed four to eight times within its stickytime: whenever the time shifted by this moves on.
pub fn touch_of(sticky: u32) -> u8 {
    (sticky / 4).checked_ilog2().unwrap_or(0) as u8
}

fn rule_line(rule: &RulePlan, target: Target) -> Rule {
    match rule.clients {
        Clients::All => Rule { target, ..Rule::default() },
        Clients::Between(first, last) => {
            Rule { first: halves_of(first), last: halves_of(last), family: family_of(first), target, pad: [0; 2] }
        }
    }
}

pub fn family_of(address: IpAddr) -> u32 {
    if address.is_ipv4() { 4 } else { 6 }
}

fn halves_of(address: IpAddr) -> [u64; 2] {
    let number = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    [(number >> 64) as u64, number as u64]
}

/// The lists behind a service's policy and rules, one after the other.
struct Lists<'a> {
    next: u32,
    lines: Vec<Line>,
    servers: &'a [u32],
}

impl Lists<'_> {
    fn target(&mut self, choice: &Choice, cursor: Option<u32>) -> Target {
        Target {
            ring: self.servers(&choice.ring),
            ring_length: choice.ring.len() as u32,
            maglev: self.servers(&choice.maglev),
            maglev_length: choice.maglev.len() as u32,
            cursor: cursor.unwrap_or_default(),
        }
    }

    fn servers(&mut self, places: &[u16]) -> u32 {
        let servers = self.servers;
        let number = |&place: &u16| servers.get(usize::from(place)).map_or(NO_SERVER, |&number| number as u16);
        self.words(places.iter().map(number))
    }

    /// Appends a list; the line at which it begins.
    fn words(&mut self, words: impl Iterator<Item = u16>) -> u32 {
        let start = self.next;
        let words: Vec<u16> = words.collect();
        for chunk in words.chunks(WORDS_A_LINE) {
            let mut line = Line::default();
            for (place, &word) in chunk.iter().enumerate() {
                if let Some(bits) = line.words.get_mut(place / 4) {
                    *bits |= u64::from(word) << (16 * (place % 4));
                }
            }
            self.lines.push(line);
            self.next += 1;
        }
        start
    }
}

fn line_of<T: crate::sys::shared_array::Plain>(value: &T) -> Line {
    let mut line = Line::default();
    for (word, bits) in line.words.iter_mut().zip(bits_of(value)) {
        *word = bits;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_renewed_some_times_within_its_stickytime() {
        for seconds in [1, 7, 60, 300, 3600, 86_400] {
            let sticky = units_of(Duration::from_secs(seconds));
            let renewals = sticky >> touch_of(sticky);
            assert!((4..=8).contains(&renewals), "{seconds} s: {renewals}");
        }
        assert_eq!(units_of(Duration::from_nanos(1)), 1);
    }
}

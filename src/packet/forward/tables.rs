//! The tables as the program has them, and what is in their words. `datapath/xdp/program/layout.h` gives every field its
//! place; here are those that a decision needs.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::packet::layout::{
    MAX_SERVERS, NO_SERVER, RANGES, RANGES_A_LINE, SERVICE_BANK, SERVICE_PROBES, WORDS_A_LINE, service_place,
};
use crate::wire::Mac;

/// The words of all arrays. Each is a map of the kernel's, mapped into this process, or memory of our own of the same size.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    pub connections: &'a [AtomicU64],
    pub tuples: &'a [AtomicU64],
    pub services: &'a [AtomicU64],
    pub selection: &'a [AtomicU64],
    pub plan: &'a [AtomicU64],
    pub cursors: &'a [AtomicU64],
    pub servers: &'a [AtomicU64],
    pub counters: &'a [AtomicU64],
    pub reasons: &'a [AtomicU64],
    pub gauges: &'a [AtomicU64],
    pub live: &'a [AtomicU64],
}

/// An entry of the service table.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    pub flags: u8,
    pub service: u16,
    pub touch: u8,
    pub ranges: u32,
    pub line: u32,
}

/// A run of ports with a service.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub service: u16,
    pub flags: u8,
    pub touch: u8,
}

/// Where a choice comes from: lists of server numbers, from a line of the plan on.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub ring: u32,
    pub ring_length: u32,
    pub maglev: u32,
    pub maglev_length: u32,
    pub cursor: u32,
}

/// How a service chooses.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub flags: u16,
    pub rules: u32,
    pub prefix6: u32,
    pub mask4: u32,
    pub group: u32,
    pub sticky: u32,
    pub siblings: u32,
    pub siblings_length: u32,
    pub target: Target,
}

/// Clients from `first` to `last`; family 0: all.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub first: [u64; 2],
    pub last: [u64; 2],
    pub family: u32,
    pub target: Target,
}

/// Where a server's frames go.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub mac: Mac,
    pub source: Mac,
    pub interface: u32,
    pub flags: u16,
    pub host: u32,
    pub epoch: u32,
}

fn read(word: &AtomicU64) -> u64 {
    word.load(Ordering::Acquire)
}

fn low(word: u64) -> u32 {
    word as u32
}

fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

/// The `n`-th piece of 16 bits.
fn quarter(word: u64, n: u32) -> u16 {
    (word >> (16 * n)) as u16
}

/// The `n`-th byte.
fn byte(word: u64, n: u32) -> u8 {
    (word >> (8 * n)) as u8
}

/// One element of `N` words.
pub fn element<const N: usize>(array: &[AtomicU64], index: u32) -> Option<&[AtomicU64; N]> {
    array.as_chunks::<N>().0.get(index as usize)
}

fn values<const N: usize>(array: &[AtomicU64], index: u32) -> Option<[u64; N]> {
    Some(element::<N>(array, index)?.each_ref().map(read))
}

impl Tables<'_> {
    fn live_word(&self, place: usize) -> u64 {
        self.live.get(place).map_or(0, read)
    }

    pub fn live_flags(&self) -> u32 {
        high(self.live_word(0))
    }

    /// New connections that are remembered in one window of the flood gauge.
    pub fn new_limit(&self) -> u32 {
        low(self.live_word(4))
    }

    /// Whether a frame from here was decided on by a partner already.
    pub fn is_partner(&self, from: [u8; 6]) -> bool {
        let partners = high(self.live_word(4)).min(4) as usize;
        (5..5 + partners).any(|place| self.live_word(place).to_ne_bytes().starts_with(&from))
    }

    /// Whether an IPv4 address may be a cluster's, by its last 16 bits.
    pub fn gate_is_open(&self, address: u32) -> bool {
        const GATE: usize = 42;
        let low = address >> 16;
        self.live_word(GATE + (low >> 6) as usize) >> (low & 63) & 1 == 1
    }

    /// The entry of an address with this port, or with 0 for what the address has besides.
    pub fn service(&self, address: &[u32; 4], port: u16, family: u32) -> Option<Service> {
        let bank = low(self.live_word(0)) & 1;
        let start = service_place(address, port, self.live_word(2 + bank as usize));
        for probe in 0..SERVICE_PROBES {
            let at = bank * SERVICE_BANK + ((start + probe) & (SERVICE_BANK - 1));
            let [upper, lower, rest, more] = values::<4>(self.services, at)?;
            if byte(rest, 2) == 0 {
                return None;
            }
            let other = [low(upper), high(upper), low(lower), high(lower)];
            let is_same = if family == 6 { other == *address } else { other.last() == address.last() };
            if is_same && quarter(rest, 0) == port && u32::from(byte(rest, 2)) == family {
                return Some(Service {
                    flags: byte(rest, 3),
                    service: quarter(rest, 2),
                    touch: byte(rest, 6),
                    ranges: u32::from(byte(rest, 7)),
                    line: low(more),
                });
            }
        }
        None
    }

    /// The run of ports, of `count` from this line on, that a port in host order is in.
    pub fn range(&self, line: u32, count: u32, port: u16) -> Option<Range> {
        for place in 0..(count as usize).min(RANGES) {
            let words = element::<8>(self.plan, line.wrapping_add((place / RANGES_A_LINE) as u32))?;
            let word = words.get(place % RANGES_A_LINE).map_or(0, read);
            if (quarter(word, 0)..=quarter(word, 1)).contains(&port) {
                return Some(Range { service: quarter(word, 2), flags: byte(word, 6), touch: byte(word, 7) });
            }
        }
        None
    }

    /// The line of the policy by which a service chooses.
    pub fn policy_line(&self, service: u16) -> Option<u32> {
        let [line, _] = values::<2>(self.selection, u32::from(service >> 1))?;
        Some(low(line))
    }

    pub fn policy(&self, line: u32) -> Option<Policy> {
        let [a, b, c, d, e, f, ..] = values::<8>(self.plan, line)?;
        Some(Policy {
            flags: quarter(a, 0),
            rules: u32::from(byte(a, 2)),
            prefix6: u32::from(byte(a, 3)),
            mask4: high(a),
            group: low(b),
            sticky: high(b),
            siblings: low(c),
            siblings_length: high(c),
            target: target(d, e, f),
        })
    }

    pub fn rule(&self, line: u32) -> Option<Rule> {
        let [first, upper, last, top, a, b, c, _] = values::<8>(self.plan, line)?;
        Some(Rule { first: [first, upper], last: [last, top], family: high(c), target: target(a, b, c) })
    }

    /// A server number of the list that begins at this line.
    pub fn word(&self, line: u32, place: u32) -> u16 {
        const A_LINE: u32 = WORDS_A_LINE as u32;
        let words = element::<8>(self.plan, line.wrapping_add(place / A_LINE));
        let place = place % A_LINE;
        let word = words.and_then(|words| words.get((place / 4) as usize));
        word.map_or(NO_SERVER, |word| quarter(read(word), place % 4))
    }

    pub fn server(&self, number: u16) -> Option<Server> {
        let [a, b, c, ..] = values::<8>(self.servers, u32::from(number)).filter(|_| u32::from(number) < MAX_SERVERS)?;
        let bytes = [a.to_ne_bytes(), b.to_ne_bytes()];
        let [[m0, m1, m2, m3, m4, m5, s0, s1], [s2, s3, s4, s5, ..]] = bytes;
        Some(Server {
            mac: Mac([m0, m1, m2, m3, m4, m5]),
            source: Mac([s0, s1, s2, s3, s4, s5]),
            interface: high(b),
            flags: quarter(c, 0),
            host: u32::from(quarter(c, 1)),
            epoch: high(c),
        })
    }
}

fn target(ring: u64, maglev: u64, rest: u64) -> Target {
    Target {
        ring: low(ring),
        ring_length: high(ring),
        maglev: low(maglev),
        maglev_length: high(maglev),
        cursor: low(rest),
    }
}

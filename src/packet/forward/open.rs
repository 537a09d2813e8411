//! New flows: whether they may be remembered, which server they get, and their entry in the table.

use super::Forwarder;
use super::choose::network_of;
use super::packet::{ACK, FIN, Packet, RST, SYN};
use super::service::Wanted;
use super::tables::Policy;
use super::tally::{Count, Gauge, Tally};
use crate::packet::connections::{Entered, Found, Place, State, Value, Witness};
use crate::packet::hash::{Flow, Key};
use crate::packet::layout::{live, policy, service};
use crate::packet::reason::Reason;

/// Whether the answer is to be the one that needs no memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hashed {
    No,
    /// For a connection that we did not see begin.
    Pickup,
    /// In a flood.
    Flood,
}

/// A flow that is being decided on.
#[derive(Debug)]
pub(super) struct Work {
    pub wanted: Wanted,
    pub key: Key,
    /// The entry that is to be taken over.
    pub ended: Option<Found>,
    pub policy: Policy,
    pub policy_line: u32,
    pub state: State,
    pub generation: u32,
    pub hashed: Hashed,
    pub picked_up: bool,
}

/// What a segment makes of a connection's state.
pub(super) fn state_after(state: State, tcp: u8) -> State {
    if tcp & RST != 0 {
        State::Closed
    } else if tcp & FIN != 0 {
        if state == State::Closed { State::Closed } else { State::Fin }
    } else if state == State::New {
        State::Established
    } else {
        state
    }
}

fn stray(tcp: u8) -> Reason {
    if tcp & RST != 0 {
        Reason::StrayRst
    } else if tcp & FIN != 0 {
        Reason::StrayFin
    } else if tcp & ACK != 0 && tcp & SYN == 0 {
        Reason::StrayAck
    } else {
        Reason::StrayOther
    }
}

/// Time units, shifted by this, are windows of the flood gauge: 16.8 ms.
const FLOOD_WINDOW_SHIFT: u32 = 2;

impl Gauge {
    /// Whether this writer opens more than it should remember. `limit` is entered above, and left below half of it.
    fn is_flood(&mut self, limit: u32, flags: u32, now: u32, picked_up: bool) -> bool {
        let window = now >> FLOOD_WINDOW_SHIFT;
        if self.window != window {
            let level = if self.stateless { limit / 2 } else { limit };
            let follows = self.window.wrapping_add(1) == window;
            *self = Self {
                serial: self.serial,
                window,
                created: 0,
                picked_up: 0,
                stateless: follows && self.created > level,
            };
        }
        if picked_up {
            self.picked_up = self.picked_up.wrapping_add(1);
            return self.picked_up > limit;
        }
        self.created = self.created.wrapping_add(1);
        self.stateless || self.created > limit || flags & live::STATELESS != 0
    }
}

impl Forwarder<'_> {
    /// The server of a packet whose flow is not known, or whose entry is to be taken over.
    pub(super) fn open(
        &mut self,
        packet: &Packet<'_>,
        wanted: Wanted,
        key: Key,
        ended: Option<Found>,
    ) -> Result<u16, Reason> {
        let mut work = self.work(packet, wanted, key, ended).ok_or(Reason::BrokenPlan)?;
        if work.picked_up {
            if work.policy.flags & policy::PICKUP == 0 {
                return Err(stray(packet.tcp));
            }
            work.hashed = Hashed::Pickup;
        }
        let mut gauge = self.tally.gauge();
        gauge.serial = gauge.serial.wrapping_add(1);
        work.generation = gauge.serial;
        if ended.is_none() && !wanted.is(service::UNRECORDED) {
            let (limit, flags) = (self.tables.new_limit(), self.tables.live_flags());
            if gauge.is_flood(limit, flags, packet.now, work.picked_up) {
                work.hashed = Hashed::Flood;
            }
        }
        self.tally.set_gauge(gauge);
        self.open_with(packet, &mut work)
    }

    fn work(&self, packet: &Packet<'_>, wanted: Wanted, key: Key, ended: Option<Found>) -> Option<Work> {
        let policy_line = self.tables.policy_line(wanted.service)?;
        let policy = self.tables.policy(policy_line)?;
        let state = match packet.is_tcp() {
            false => State::Udp,
            true if packet.is_syn() => State::New,
            true => state_after(State::New, packet.tcp),
        };
        let picked_up = packet.is_tcp() && state != State::New && !wanted.is(service::UNRECORDED);
        let (generation, hashed) = (0, Hashed::No);
        Some(Work { wanted, key, ended, policy, policy_line, state, generation, hashed, picked_up })
    }

    /// Chooses and remembers.
    fn open_with(&mut self, packet: &Packet<'_>, work: &mut Work) -> Result<u16, Reason> {
        let chosen = self.choose(packet, work)?;
        self.tally.add(chosen.server, Count::Sticky, u64::from(chosen.by_affinity));
        self.tally.add(chosen.server, Count::PickedUp, u64::from(work.picked_up));
        if work.hashed == Hashed::Flood {
            self.tally.remark(Reason::Stateless, 0);
            return Ok(chosen.server);
        }
        // What ends a connection does not begin one.
        if work.wanted.is(service::UNRECORDED) || matches!(work.state, State::Fin | State::Closed) {
            return Ok(chosen.server);
        }
        match work.ended {
            Some(ended) => Ok(self.take_over(packet, work, ended, chosen.server)),
            None => self.enter(packet, work, chosen.server),
        }
    }

    /// Enters the flow with this server; the server that it has then.
    fn enter(&mut self, packet: &Packet<'_>, work: &mut Work, server: u16) -> Result<u16, Reason> {
        let value = Value::new(server, work.state, work.generation, packet.now);
        let tuple = (!work.wanted.is(service::EXACT)).then_some(packet.flow);
        let mut birth = Birth { forwarder: self, tuple };
        match self.table.enter(work.key, value, &mut birth) {
            Entered::Here(_) => {
                self.tally.add(server, Count::Opened, 1);
                Ok(server)
            }
            Entered::Existing(winner) => {
                self.tally.add(server, Count::Opened, 1);
                Ok(winner.server())
            }
            Entered::Full => self.without_room(packet, work, server),
        }
    }

    /// No room: the answer that the flow's next packets will find too.
    fn without_room(&mut self, packet: &Packet<'_>, work: &mut Work, server: u16) -> Result<u16, Reason> {
        self.tally.remark(Reason::TableFull, 0);
        if work.hashed != Hashed::No {
            return Ok(server);
        }
        work.hashed = Hashed::Flood;
        Ok(self.choose(packet, work)?.server)
    }

    /// Takes an entry over that has ended, or whose server has.
    fn take_over(&self, packet: &Packet<'_>, work: &Work, ended: Found, server: u16) -> u16 {
        let value = ended.value.succeeded_by(server, work.state, packet.now);
        match self.table.change(ended, value) {
            Ok(()) => {
                if let Some(before) = ended.value.state() {
                    self.tally.count_end(ended.value.server(), before, State::Closed);
                }
                self.tally.add(server, Count::Opened, 1);
                server
            }
            // Another packet of the flow was quicker.
            Err(met) if met.is_live() => met.server(),
            Err(_) => server,
        }
    }

    /// Renews the client's affinity record, a few times per stickytime: it never expires under a living connection.
    pub(super) fn touch(&mut self, packet: &Packet<'_>, service: u16) {
        let policy = self.tables.policy_line(service).and_then(|line| self.tables.policy(line));
        if let Some(policy) = policy
            && let Some(record) = self.memory.affinity.get(&network_of(packet, &policy))
        {
            record.last = packet.now;
        }
    }

    /// The answer of the consistent hash for a flow that nobody remembers.
    pub(super) fn hashed_server(&self, packet: &Packet<'_>, service: u16) -> Option<u16> {
        let line = self.tables.policy_line(service)?;
        let policy = self.tables.policy(line).filter(|policy| policy.flags & policy::HASH != 0)?;
        let (target, _) = self.by_rules(packet, &policy, line);
        Some(self.by_hash(packet, &target))
    }
}

/// What an entry takes with it into the tables.
struct Birth<'b, 'a> {
    forwarder: &'b Forwarder<'a>,
    /// For entries whose key does not tell it.
    tuple: Option<Flow>,
}

impl Witness for Birth<'_, '_> {
    fn claimed(&mut self, place: Place) {
        if let Some(flow) = self.tuple {
            self.forwarder.write_tuple(place, &flow);
        }
    }

    fn displaced(&mut self, value: Value) {
        let tally: Tally<'_> = self.forwarder.tally;
        tally.add(value.server(), Count::Opened, u64::MAX);
    }
}

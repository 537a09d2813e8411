//! Packets of flows that the table knows.

use super::open::state_after;
use super::packet::{Packet, RST};
use super::service::Wanted;
use super::tables::Server;
use super::tally::Count;
use super::{Forwarder, Outcome, Verdict};
use crate::packet::connections::{Found, State};
use crate::packet::layout::{server, service};
use crate::packet::reason::Reason;

/// A connection to a server that may not have this packet: its server is dead, or this is a SYN and begins another one.
fn is_over(state: State, server: &Server, packet: &Packet<'_>) -> bool {
    let is_down = server.flags & server::DOWN != 0;
    if server.flags & server::DEAD != 0 {
        return true;
    }
    if !packet.is_tcp() {
        return is_down;
    }
    packet.is_syn() && (matches!(state, State::Fin | State::Closed) || is_down)
}

impl Forwarder<'_> {
    pub(super) fn dispatch(&mut self, packet: &mut Packet<'_>, wanted: Wanted) -> Outcome {
        let key = if wanted.is(service::EXACT) {
            packet.flow.exact_key(wanted.service)
        } else {
            packet.flow.fingerprint_key(wanted.service, self.keys)
        };
        let known = if wanted.is(service::UNRECORDED) { None } else { self.table.find(key) };
        let Some(found) = known else { return self.new_flow(packet, wanted, key, None) };
        let number = found.value.server();
        let Some(server) = self.tables.server(number) else {
            return self.leave(packet, Reason::BrokenPlan, Verdict::Drop);
        };
        let state = found.value.state().unwrap_or(State::New);
        if is_over(state, &server, packet) {
            if server.flags & server::RESET != 0 && packet.is_tcp() && packet.tcp & RST == 0 && !packet.is_syn() {
                return self.reset(packet, number);
            }
            return self.new_flow(packet, wanted, key, Some(found));
        }
        let next = match packet.is_tcp() {
            false => state,
            true if packet.is_syn() => State::New,
            true => state_after(state, packet.tcp),
        };
        let due = self.advance(packet, found, wanted, state, next);
        if packet.first_fragment {
            self.remember_fragment(packet, number);
        }
        if wanted.is(service::STICKY) && (due || packet.first_fragment) {
            self.touch(packet, wanted.service);
        }
        self.send(packet, &server, number)
    }

    /// Moves the connection on, once per time unit and whenever its state changes. `true`: its affinity record is due too.
    fn advance(&self, packet: &Packet<'_>, found: Found, wanted: Wanted, state: State, next: State) -> bool {
        let (now, last, touch) = (packet.now, found.value.last(), u32::from(wanted.touch) & 31);
        // A closed connection is kept for its late segments, and they do not keep it.
        if next == state && (last == now || state == State::Closed) {
            return false;
        }
        if self.table.change(found, found.value.seen(next, now)).is_ok() && next != state {
            self.tally.count_end(found.value.server(), state, next);
        }
        wanted.is(service::STICKY) && (next != state || now >> touch != last >> touch)
    }

    /// The client of a dead server learns of it at once.
    fn reset(&mut self, packet: &mut Packet<'_>, number: u16) -> Outcome {
        self.tally.add(number, Count::Resets, 1);
        self.tally.remark(Reason::Reset, packet.length());
        match packet.reset() {
            Some(length) => Outcome { verdict: Verdict::Reply, length },
            None => Outcome { verdict: Verdict::Drop, length: packet.frame.len() },
        }
    }
}

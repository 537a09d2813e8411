//! ICMP: echo requests for a cluster address, and errors about packets that its servers sent.

use super::packet::{ICMP, IPV4, IPV6, PORTS, PROTOCOL_TCP, PROTOCOL_UDP, Packet};
use super::{Forwarder, Outcome, Verdict};
use crate::packet::layout::{NO_SERVER, live, service};
use crate::packet::reason::Reason;

const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST6: u8 = 128;

/// A fragment's offset within its datagram.
const OFFSET: u16 = 0x1fff;

impl Forwarder<'_> {
    pub(super) fn icmp(&mut self, packet: &mut Packet<'_>) -> Outcome {
        if !packet.fits(packet.l4, ICMP) {
            return self.leave(packet, Reason::Malformed, Verdict::Drop);
        }
        let kind = packet.byte(packet.l4).unwrap_or_default();
        let answers = self.tables.live_flags() & live::ACTIVE != 0 && !packet.first_fragment;
        let v4 = packet.family == 4;
        if answers && kind == if v4 { ECHO_REQUEST } else { ECHO_REQUEST6 } {
            let (addresses, reply) = if v4 { (packet.l3 + 12, 0) } else { (packet.l3 + 8, 129) };
            let _ = packet.echo_back(addresses, reply);
            return self.leave(packet, Reason::Echo, Verdict::Reply);
        }
        // Neighbour discovery, router discovery and the like belong to this host.
        if !if v4 { matches!(kind, 3 | 4 | 11 | 12) } else { matches!(kind, 1..=4) } {
            return self.leave(packet, Reason::IcmpPass, Verdict::Pass);
        }
        match if v4 { quoted4(packet) } else { quoted6(packet) } {
            Ok(()) => self.forward_error(packet),
            Err(reason) => self.leave(packet, reason, Verdict::Drop),
        }
    }

    /// An error tells the server of what became of its packet, which went from the cluster address to the client: the flow
    /// is the quoted packet's, turned round.
    fn forward_error(&mut self, packet: &mut Packet<'_>) -> Outcome {
        let flow = packet.flow;
        let Ok(mut wanted) = self.service_of(&flow.daddr, flow.dport, packet.family) else {
            return self.leave(packet, Reason::IcmpUnknown, Verdict::Drop);
        };
        wanted.service |= u16::from(packet.is_udp());
        let key = if wanted.is(service::EXACT) {
            flow.exact_key(wanted.service)
        } else {
            flow.fingerprint_key(wanted.service, self.keys)
        };
        let known = self.table.find(key).map(|found| found.value.server());
        match known.or_else(|| self.hashed_server(packet, wanted.service)) {
            Some(number) if number != NO_SERVER => self.send_to(packet, number),
            _ => self.leave(packet, Reason::IcmpUnknown, Verdict::Drop),
        }
    }
}

/// Puts the flow of the quoted packet in place of the error's own.
fn quoted4(packet: &mut Packet<'_>) -> Result<(), Reason> {
    let inner = packet.l4 + ICMP;
    if !packet.fits(inner, IPV4) {
        return Err(Reason::Malformed);
    }
    let words = packet.byte(inner).unwrap_or_default() & 15;
    let fragment = packet.number16(inner + 6).unwrap_or_default() & OFFSET;
    let source = packet.address4(inner + 12).unwrap_or_default();
    let protocol = packet.byte(inner + 9).unwrap_or_default();
    if words < 5 || fragment != 0 || source != packet.flow.daddr || !has_ports(protocol) {
        return Err(Reason::IcmpUnknown);
    }
    let client = packet.address4(inner + 16).unwrap_or_default();
    turned(packet, client, protocol, inner + usize::from(words) * 4)
}

fn quoted6(packet: &mut Packet<'_>) -> Result<(), Reason> {
    let inner = packet.l4 + ICMP;
    if !packet.fits(inner, IPV6 + PORTS) {
        return Err(Reason::Malformed);
    }
    let source = packet.address6(inner + 8).unwrap_or_default();
    let protocol = packet.byte(inner + 6).unwrap_or_default();
    if source != packet.flow.daddr || !has_ports(protocol) {
        return Err(Reason::IcmpUnknown);
    }
    let client = packet.address6(inner + 24).unwrap_or_default();
    turned(packet, client, protocol, inner + IPV6)
}

fn has_ports(protocol: u8) -> bool {
    matches!(protocol, PROTOCOL_TCP | PROTOCOL_UDP)
}

fn turned(packet: &mut Packet<'_>, client: [u32; 4], protocol: u8, ports: usize) -> Result<(), Reason> {
    let source = packet.native16(ports).ok_or(Reason::Malformed)?;
    let destination = packet.native16(ports + 2).ok_or(Reason::Malformed)?;
    packet.flow.saddr = client;
    packet.flow.sport = destination;
    packet.flow.dport = source;
    packet.flow.protocol = protocol;
    Ok(())
}

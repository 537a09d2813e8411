//! Packets that go back to where they came from: echo replies, and resets for the clients of a dead server.

use super::packet::{ACK, ETHERNET, FIN, IPV4, IPV6, PROTOCOL_TCP, Packet, RST, SYN, TCP};

impl Packet<'_> {
    fn turn_round(&mut self) {
        if let Some([to, from]) = self.frame.as_chunks_mut::<6>().0.get_mut(..2) {
            std::mem::swap(to, from);
        }
    }

    /// The echo reply needs no new sum over the data: only the type has changed. RFC 1624: HC' = ~(~HC + ~m + m').
    /// `addresses` is where the IP header has them, its source first.
    pub(super) fn echo_back(&mut self, addresses: usize, reply: u8) -> Option<()> {
        let before = self.native16(self.l4)?;
        let checksum = self.native16(self.l4 + 2)?;
        self.turn_round();
        let (from, to) = (self.flow.saddr, self.flow.daddr);
        let width = self.put_address(addresses, &to);
        self.put_address(addresses + width, &from);
        self.put(self.l4, &[reply]);
        let after = self.native16(self.l4)?;
        let sum = u64::from(!checksum) + u64::from(!before) + u64::from(after);
        self.put(self.l4 + 2, &folded(sum).to_ne_bytes());
        Some(())
    }

    /// Writes an address of the packet's family; how many bytes it has.
    fn put_address(&mut self, at: usize, address: &[u32; 4]) -> usize {
        let bytes = address.map(u32::to_ne_bytes);
        let bytes = bytes.as_flattened();
        let bytes = if self.family == 4 { bytes.get(12..).unwrap_or_default() } else { bytes };
        self.put(at, bytes);
        bytes.len()
    }

    /// The frame becomes a reset from the cluster address to the client; how long it is then. `None`: it was too short.
    pub(super) fn reset(&mut self) -> Option<usize> {
        let tcp = self.reset_of()?;
        let l4 = self.l3 + if self.family == 4 { IPV4 } else { IPV6 };
        let length = l4 + TCP;
        if length > self.frame.len() || self.l3 < ETHERNET {
            return None;
        }
        self.turn_round();
        if self.family == 4 {
            self.put_ipv4()
        } else {
            self.put_ipv6()
        }
        self.put(l4, &tcp);
        let (from, to) = (self.flow.daddr, self.flow.saddr);
        let pseudo =
            sum_of(from.map(u32::to_ne_bytes).as_flattened()) + sum_of(to.map(u32::to_ne_bytes).as_flattened());
        let pseudo = pseudo + u64::from(u16::from(PROTOCOL_TCP).to_be()) + u64::from((TCP as u16).to_be());
        self.put(l4 + 16, &folded(pseudo + sum_of(&tcp)).to_ne_bytes());
        Some(length)
    }

    /// RFC 9293, 3.5.2: a segment with ACK is answered from its acknowledgment, any other by acknowledging it.
    fn reset_of(&self) -> Option<[u8; TCP]> {
        let l4 = self.l4;
        let (sequence, acknowledged) = (self.number32(l4 + 4)?, self.bytes::<4>(l4 + 8)?);
        let words = self.byte(l4 + 12)? >> 4;
        let [s0, s1] = self.flow.dport.to_ne_bytes();
        let [d0, d1] = self.flow.sport.to_ne_bytes();
        let ends = u32::from(self.tcp & SYN != 0) + u32::from(self.tcp & FIN != 0);
        let after = self.end_of_data()?.wrapping_sub(l4 as u32).wrapping_sub(u32::from(words) * 4).wrapping_add(ends);
        let [q0, q1, q2, q3] = if self.tcp & ACK != 0 { acknowledged } else { [0; 4] };
        let next = if self.tcp & ACK != 0 { 0 } else { sequence.wrapping_add(after) };
        let [a0, a1, a2, a3] = next.to_be_bytes();
        let flags = if self.tcp & ACK != 0 { RST } else { RST | ACK };
        Some([s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, 5 << 4, flags, 0, 0, 0, 0, 0, 0])
    }

    /// Where the packet ends by its own account; frames may be padded.
    fn end_of_data(&self) -> Option<u32> {
        let (before, field) = if self.family == 4 { (0, 2) } else { (IPV6, 4) };
        Some((self.l3 + before) as u32 + u32::from(self.number16(self.l3 + field)?))
    }

    fn put_ipv4(&mut self) {
        let l3 = self.l3;
        let [_, length] = ((IPV4 + TCP) as u16).to_be_bytes();
        self.put(l3, &[0x45, 0, 0, length, 0, 0, 0x40, 0, 64, PROTOCOL_TCP, 0, 0]);
        let (from, to) = (self.flow.daddr, self.flow.saddr);
        self.put_address(l3 + 12, &from);
        self.put_address(l3 + 16, &to);
        let sum = folded(sum_of(self.frame.get(l3..l3 + IPV4).unwrap_or_default()));
        self.put(l3 + 10, &sum.to_ne_bytes());
    }

    fn put_ipv6(&mut self) {
        let l3 = self.l3;
        self.put(l3, &[0x60, 0, 0, 0, 0, TCP as u8, PROTOCOL_TCP, 64]);
        let (from, to) = (self.flow.daddr, self.flow.saddr);
        self.put_address(l3 + 8, &from);
        self.put_address(l3 + 24, &to);
    }
}

/// Sum of the 16-bit words as they lie there; the order of bytes does not matter to it (RFC 1071, 2.B).
fn sum_of(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<2>().0.iter().map(|pair| u64::from(u16::from_ne_bytes(*pair))).sum()
}

fn folded(sum: u64) -> u16 {
    let sum = (0..4).fold(sum, |sum, _| (sum & 0xffff) + (sum >> 16));
    !(sum as u16)
}

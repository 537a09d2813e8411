//! A frame, and where its headers are.

use crate::packet::hash::Flow;

/// A frame on its way.
#[derive(Debug)]
pub struct Packet<'f> {
    pub frame: &'f mut [u8],
    /// The interface that it came in on.
    pub ingress: u32,
    /// In units of [`TIME_SHIFT`](crate::packet::connections::TIME_SHIFT).
    pub now: u32,
    pub l3: usize,
    pub l4: usize,
    /// 4 or 6.
    pub family: u32,
    pub flow: Flow,
    /// The flags of a TCP segment.
    pub tcp: u8,
    pub fragment_id: u32,
    pub first_fragment: bool,
}

pub const ETHERNET: usize = 14;
pub const IPV4: usize = 20;
pub const IPV6: usize = 40;
pub const TCP: usize = 20;
pub const UDP: usize = 8;
pub const ICMP: usize = 8;
pub const PORTS: usize = 4;

pub const PROTOCOL_ICMP: u8 = 1;
pub const PROTOCOL_TCP: u8 = 6;
pub const PROTOCOL_UDP: u8 = 17;
pub const PROTOCOL_ICMP6: u8 = 58;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

impl<'f> Packet<'f> {
    pub fn new(frame: &'f mut [u8], ingress: u32, now: u32) -> Self {
        Self {
            frame,
            ingress,
            now,
            l3: ETHERNET,
            l4: 0,
            family: 0,
            flow: Flow::default(),
            tcp: 0,
            fragment_id: 0,
            first_fragment: false,
        }
    }

    /// Of the frame, in bytes.
    pub fn length(&self) -> u32 {
        self.frame.len() as u32
    }

    pub fn is_tcp(&self) -> bool {
        self.flow.protocol == PROTOCOL_TCP
    }

    pub fn is_udp(&self) -> bool {
        self.flow.protocol == PROTOCOL_UDP
    }

    /// A segment that begins a connection.
    pub fn is_syn(&self) -> bool {
        self.is_tcp() && self.tcp & (SYN | ACK | RST | FIN) == SYN
    }

    /// Whether a header of this size at this place is wholly within the frame.
    pub fn fits(&self, at: usize, size: usize) -> bool {
        at + size <= self.frame.len()
    }

    pub fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.frame.get(at..at + N)?.try_into().ok()
    }

    pub fn byte(&self, at: usize) -> Option<u8> {
        self.frame.get(at).copied()
    }

    /// 16 bits as they lie there.
    pub fn native16(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_ne_bytes)
    }

    pub fn native32(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_ne_bytes)
    }

    pub fn number16(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_be_bytes)
    }

    pub fn number32(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_be_bytes)
    }

    /// An IPv4 address, in the last word of four.
    pub fn address4(&self, at: usize) -> Option<[u32; 4]> {
        Some([0, 0, 0, self.native32(at)?])
    }

    /// An IPv6 address.
    pub fn address6(&self, at: usize) -> Option<[u32; 4]> {
        Some([self.native32(at)?, self.native32(at + 4)?, self.native32(at + 8)?, self.native32(at + 12)?])
    }

    /// Puts bytes into the frame; those that do not fit are left out, which callers rule out before.
    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.frame.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

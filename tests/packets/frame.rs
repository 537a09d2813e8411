//! Frames from words.

use std::net::{IpAddr, SocketAddr};

/// The dispatcher's own MAC address in all tests.
pub const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The router's, where clients' packets come from.
pub const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];

/// What is around a packet.
#[derive(Clone, Debug, Default)]
pub struct Wrapping {
    pub tags: Vec<u16>,
    pub to: Option<[u8; 6]>,
    pub from: Option<[u8; 6]>,
    /// Words of IPv4 options.
    pub options: usize,
    /// A fragment: offset in units of eight bytes, more to come, id.
    pub fragment: Option<(u16, bool, u32)>,
    /// An IPv6 destination options header in front.
    pub extension: bool,
    /// Bytes that are cut off the end.
    pub cut: usize,
}

pub fn tcp(from: SocketAddr, to: SocketAddr, flags: &str, wrapping: &Wrapping) -> Vec<u8> {
    let bits = flags.chars().fold(0, |bits, flag| {
        bits | match flag {
            'F' => 1,
            'S' => 2,
            'R' => 4,
            'P' => 8,
            'A' => 16,
            other => panic!("no flag {other}"),
        }
    });
    let mut segment = Vec::new();
    segment.extend(from.port().to_be_bytes());
    segment.extend(to.port().to_be_bytes());
    segment.extend(1000_u32.to_be_bytes());
    segment.extend(2000_u32.to_be_bytes());
    segment.extend([0x50, bits, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(*b"data");
    packet(from.ip(), to.ip(), 6, &segment, wrapping)
}

pub fn udp(from: SocketAddr, to: SocketAddr, wrapping: &Wrapping) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(from.port().to_be_bytes());
    datagram.extend(to.port().to_be_bytes());
    datagram.extend([0, 12, 0, 0]);
    datagram.extend(*b"data");
    packet(from.ip(), to.ip(), 17, &datagram, wrapping)
}

/// The rest of a datagram: no header, only data.
pub fn data(from: IpAddr, to: IpAddr, protocol: u8, wrapping: &Wrapping) -> Vec<u8> {
    packet(from, to, protocol, b"the rest of a datagram", wrapping)
}

pub fn echo(from: IpAddr, to: IpAddr, wrapping: &Wrapping) -> Vec<u8> {
    let kind = if to.is_ipv4() { 8 } else { 128 };
    icmp(from, to, &[kind, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], wrapping)
}

/// A router's error about a packet that went from the cluster address to the client.
pub fn error(router: IpAddr, about: (SocketAddr, SocketAddr), protocol: u8, wrapping: &Wrapping) -> Vec<u8> {
    let (cluster, client) = about;
    let quoted = match protocol {
        6 => tcp(cluster, client, "A", &Wrapping::default()),
        _ => udp(cluster, client, &Wrapping::default()),
    };
    // Time exceeded in both families, with the packet behind its Ethernet header.
    let kind = if cluster.is_ipv4() { 11 } else { 3 };
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    let end = (14 + if cluster.is_ipv4() { 28 } else { 48 }).min(quoted.len());
    message.extend(&quoted[14..end]);
    icmp(router, cluster.ip(), &message, wrapping)
}

fn icmp(from: IpAddr, to: IpAddr, message: &[u8], wrapping: &Wrapping) -> Vec<u8> {
    let mut message = message.to_vec();
    let protocol = if to.is_ipv4() { 1 } else { 58 };
    let pseudo = if to.is_ipv4() { Vec::new() } else { pseudo_header(from, to, protocol, message.len()) };
    let sum = checksum(&[&pseudo[..], &message[..]].concat());
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    packet(from, to, protocol, &message, wrapping)
}

fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    let (IpAddr::V6(from), IpAddr::V6(to)) = (from, to) else { return Vec::new() };
    let mut header = [from.octets(), to.octets()].concat();
    header.extend((length as u32).to_be_bytes());
    header.extend([0, 0, 0, protocol]);
    header
}

/// RFC 1071.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn packet(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8], wrapping: &Wrapping) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(wrapping.to.unwrap_or(OWN));
    frame.extend(wrapping.from.unwrap_or(ROUTER));
    for tag in &wrapping.tags {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            frame.extend([0x08, 0]);
            let words = 5 + wrapping.options;
            let (offset, more, id) = wrapping.fragment.unwrap_or((0, false, 7));
            let mut header = vec![0x40 | words as u8, 0];
            header.extend((words as u16 * 4 + payload.len() as u16).to_be_bytes());
            header.extend((id as u16).to_be_bytes());
            header.extend((offset | if more { 0x2000 } else { 0 }).to_be_bytes());
            header.extend([64, protocol, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            header.extend(std::iter::repeat_n(1, wrapping.options * 4));
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            frame.extend(header);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            let mut extensions = Vec::new();
            let mut next = protocol;
            if let Some((offset, more, id)) = wrapping.fragment {
                extensions.extend([protocol, 0]);
                extensions.extend((offset << 3 | u16::from(more)).to_be_bytes());
                extensions.extend(id.to_be_bytes());
                next = 44;
            }
            if wrapping.extension {
                extensions.splice(0..0, [next, 0, 1, 4, 0, 0, 0, 0]);
                next = 60;
            }
            frame.extend((extensions.len() as u16 + payload.len() as u16).to_be_bytes());
            frame.extend([next, 64]);
            frame.extend(from.octets());
            frame.extend(to.octets());
            frame.extend(extensions);
        }
        _ => panic!("two families"),
    }
    frame.extend(payload);
    frame.truncate(frame.len() - wrapping.cut);
    frame
}

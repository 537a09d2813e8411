//! What needs no kernel to compare with: answers are valid packets, and nothing whatever ends the thread.

use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::packet::{Packet, RST, SYN};
use super::*;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];

/// RFC 1071 over bytes in the order of the network; 0 when a checksum among them is right.
fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn address(bytes: [u8; 4]) -> [u32; 4] {
    [0, 0, 0, u32::from_ne_bytes(bytes)]
}

/// A segment of four bytes from 203.0.113.7:4000 to 192.0.2.10:80, padded to 64 bytes.
fn segment(flags: u8) -> Vec<u8> {
    let mut frame = [OWN.0, ROUTER].concat();
    frame.extend([8, 0, 0x45, 0, 0, 44, 0, 7, 0, 0, 63, 6, 0, 0, 203, 0, 113, 7, 192, 0, 2, 10]);
    frame.extend([0x0f, 0xa0, 0, 80, 0, 0, 3, 232, 0, 0, 7, 208, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(*b"data");
    frame.resize(64, 0);
    frame
}

fn on_its_way(frame: &mut [u8], flags: u8) -> Packet<'_> {
    let mut packet = Packet::new(frame, 1, 0);
    packet.family = 4;
    packet.l4 = 34;
    packet.tcp = flags;
    packet.flow = Flow {
        saddr: address([203, 0, 113, 7]),
        daddr: address([192, 0, 2, 10]),
        sport: 4000_u16.to_be(),
        dport: 80_u16.to_be(),
        protocol: 6,
    };
    packet
}

#[test]
fn resets_answer_what_they_are_for() {
    // Flags; of the reset: flags, sequence, acknowledgment.
    let cases = [(16, RST, 2000, 0), (0, RST | 16, 0, 1004), (SYN | 1, RST | 16, 0, 1006), (17, RST, 2000, 0)];
    for (flags, reset, sequence, acknowledgment) in cases {
        let mut frame = segment(flags);
        let length = on_its_way(&mut frame, flags).reset().unwrap();
        assert_eq!((length, &frame[..12]), (54, &[ROUTER, OWN.0].concat()[..]));
        let (ip, tcp) = (&frame[14..34], &frame[34..54]);
        assert_eq!((checksum(&[ip]), ip[3]), (0, 40));
        assert_eq!(checksum(&[&ip[12..20], &[0, 6, 0, 20], tcp]), 0);
        assert_eq!((&tcp[..4], tcp[13]), (&[0, 80, 0x0f, 0xa0][..], reset));
        assert_eq!((&tcp[4..8], &tcp[8..12]), (&u32::to_be_bytes(sequence)[..], &u32::to_be_bytes(acknowledgment)[..]));
    }
}

#[test]
fn echoes_keep_their_checksums() {
    for data in 0..=255 {
        let mut frame = [OWN.0, ROUTER].concat();
        frame.extend([8, 0, 0x45, 0, 0, 32, 0, 7, 0, 0, 63, 1, 0, 0, 203, 0, 113, 7, 192, 0, 2, 10]);
        let mut message = [8, 0, 0, 0, data, 2, 3, 4, 5, 6, 7, data];
        let sum = checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        frame.extend(message);
        on_its_way(&mut frame, 0).echo_back(26, 0).unwrap();
        assert_eq!((&frame[26..30], &frame[30..34], frame[34]), (&[192, 0, 2, 10][..], &[203, 0, 113, 7][..], 0));
        assert_eq!(checksum(&[&frame[34..]]), 0, "{data}");
    }
}

/// Tables in which anything may stand.
fn tables_of(seed: u64) -> [Vec<AtomicU64>; 11] {
    let mut random = fastrand::Rng::with_seed(seed);
    let sizes = [32, 80, 65_536, 64, 800, 64, 64, 256, 64, 8, 1066];
    sizes.map(|words| {
        let mut word = || if random.bool() { random.u64(..) } else { random.u64(0..16) };
        (0..words).map(|_| AtomicU64::new(word())).collect()
    })
}

/// A frame for us with random bytes behind the type.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(&[0x0800_u16, 0x86dd, 0x8100, 0x88a8, 0x0806][..]);
    let start = prop::sample::select(&[0x45_u8, 0x46, 0x60, 0x4f][..]);
    (kind, start, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(kind, start, rest)| {
        let mut frame = [&OWN.0[..], &ROUTER, &kind.to_be_bytes(), &rest].concat();
        if let Some(first) = frame.get_mut(14) {
            *first = start;
        }
        frame
    })
}

proptest! {
    #[test]
    fn no_frame_and_no_table_ends_the_thread(frame in frame(), length in 0..220_usize, seed in any::<u64>(), now in any::<u32>()) {
        let arrays = tables_of(seed);
        let [connections, tuples, services, selection, plan, cursors, servers, counters, reasons, gauges, live] = &arrays;
        let tables = Tables { connections, tuples, services, selection, plan, cursors, servers, counters, reasons, gauges, live };
        let (keys, mut memory) = (HashKeys([seed; 32]), Memory::new(4, 4));
        let mut forwarder = Forwarder::new(tables, &keys, OWN, 0, &mut memory).unwrap();
        let mut frame = frame;
        frame.truncate(length);
        let outcome = forwarder.forward(&mut frame, 1, now);
        prop_assert!(outcome.length <= frame.len());
    }
}

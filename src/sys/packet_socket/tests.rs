use std::time::Duration;

use super::*;

/// IEEE's number for experiments within one network: nobody else's frames have it.
const EXPERIMENT: [u8; 2] = [0x88, 0xb5];
const PATIENCE: Duration = Duration::from_millis(50);

fn loopback() -> u32 {
    nix::net::if_::if_nametoindex("lo").unwrap()
}

/// A ring at the loopback interface of a network of this thread's own, where nobody else's frames are.
fn ring(memory: usize) -> Option<Ring> {
    if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
        println!("skipped: no network namespace: {error}");
        return None;
    }
    let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
    if !up.is_ok_and(|up| up.success()) {
        println!("skipped: no ip here, or not for us");
        return None;
    }
    Some(Ring::open(loopback(), memory).unwrap())
}

fn frame(number: usize, length: usize) -> Vec<u8> {
    let tag: &[u8] = if number.is_multiple_of(2) { &[0x81, 0, 0, 7] } else { &[] };
    let mut frame = [&[0; 12], tag, &EXPERIMENT].concat();
    frame.resize(length.max(60), number as u8);
    frame
}

/// So many of our frames, as they come in and are then rewritten.
fn seen(ring: &mut Ring, count: usize, rewrite: impl Fn(&mut [u8])) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while seen.len() < count && std::time::Instant::now() < until {
        ring.receive(PATIENCE).unwrap();
        for place in 0..ring.len() {
            // The kernel's own neighbour discovery is on the interface too.
            if ring.frame(place).windows(2).any(|bytes| bytes == EXPERIMENT) {
                rewrite(ring.frame(place));
                seen.push(ring.outgoing(place)[HEADER..].to_vec());
            }
        }
    }
    seen
}

#[test]
fn frames_of_all_lengths_cross_with_their_tags() {
    let Some(mut ring) = ring(4 << 20) else { return };
    // Across the end of a slot, and up to the longest.
    let lengths = [60, 61, 1514, 1900, 1960, 1970, 1972, 1973, 1974, 1978, 2000, 2112, 9000, 65_000, 65_535];
    let frames: Vec<_> = lengths.iter().enumerate().map(|(number, &length)| frame(number, length)).collect();
    let sent: Vec<_> = frames.iter().map(|frame| outgoing(frame)).collect();
    // What leaves by the interface does not come in a second time.
    let sender = PacketSocket::open(loopback(), 4 << 20).unwrap();
    let all = sender.send(sent.iter().map(Vec::as_slice)).unwrap();
    assert_eq!(all, Sent { frames: frames.len(), lost: 0 });
    let came = seen(&mut ring, frames.len(), |_| ());
    assert_eq!(came.len(), frames.len());
    for (came, frame) in came.iter().zip(&frames) {
        assert_eq!(came, frame, "{} bytes, {} of {} came", frame.len(), came.len(), lengths.len());
    }
}

#[test]
fn the_ring_goes_round() {
    let Some(mut ring) = ring(1 << 16) else { return };
    let frames: Vec<_> = (0..10).map(|number| frame(number, 100)).collect();
    let sent: Vec<_> = frames.iter().map(|frame| outgoing(frame)).collect();
    let sender = PacketSocket::open(loopback(), 4 << 20).unwrap();
    // 31 slots, of which ten are given back only with the next call.
    for _ in 0..20 {
        sender.send(sent.iter().map(Vec::as_slice)).unwrap();
        let came = seen(&mut ring, frames.len(), |frame| frame[0] = 0x55);
        let changed = frames.iter().map(|frame| [&[0x55], &frame[1..]].concat());
        assert_eq!(came, changed.collect::<Vec<_>>());
    }
    assert_eq!(ring.take_lost(), 0);
}

#[test]
fn a_full_ring_says_how_many_it_lost() {
    let Some(mut small) = ring(1 << 16) else { return };
    let sender = PacketSocket::open(loopback(), 4 << 20).unwrap();
    let sent: Vec<_> = (0..64).map(|number| outgoing(&frame(number, 1000))).collect();
    assert_eq!(sender.send(sent.iter().map(Vec::as_slice)).unwrap().frames, 64);
    assert!(small.take_lost() > 0);
    assert_eq!(small.take_lost(), 0);
}

#[test]
fn an_interface_that_is_not_there_is_said() {
    if ring(1 << 16).is_none() {
        return;
    }
    let error = Ring::open(0x7fff_fff0, 1 << 16).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
}

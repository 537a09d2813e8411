//! Much of it through method `tcp` and tunnels: what goes through pipes comes out whole, in order and where it belongs.

use std::sync::mpsc::sync_channel;
use std::thread;

use crate::support::origin::Visit;
use crate::support::site::Site;
use crate::support::{Client, Origin, Setup};

const MIB: usize = 1 << 20;
const PIECE: usize = 1 << 16;

/// Bytes of which each piece differs from any other, and from those of another seed.
fn pieces(seed: u64, length: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut piece: Vec<u8> = (0..PIECE as u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    (0..length.div_ceil(PIECE)).map(move |place| {
        for stamped in piece.chunks_exact_mut(1024) {
            stamped[..8].copy_from_slice(&seed.to_le_bytes());
            stamped[8..16].copy_from_slice(&place.to_le_bytes());
        }
        piece[..PIECE.min(length - place * PIECE)].to_vec()
    })
}

fn send_to(client: &mut Client, seed: u64, length: usize) {
    for piece in pieces(seed, length) {
        client.send(piece);
    }
}

fn expect_from(client: &mut Client, seed: u64, length: usize) {
    let mut heard = vec![0; PIECE];
    for (place, piece) in pieces(seed, length).enumerate() {
        let heard = &mut heard[..piece.len()];
        client.read_exact(heard).unwrap();
        assert!(heard == piece, "piece {place} of {seed}");
    }
}

fn send_back(visit: &mut Visit, seed: u64, length: usize) {
    for piece in pieces(seed, length) {
        if visit.try_send(piece).is_err() {
            return;
        }
    }
}

/// Everything comes back as it came.
fn mirror() -> Origin {
    Origin::new(|visit| {
        loop {
            let piece = visit.some();
            if piece.is_empty() {
                return;
            }
            visit.send(piece);
        }
    })
}

fn both_ways(client: &mut Client, seed: u64, length: usize) {
    let mut sender = client.twin();
    thread::scope(|scope| {
        scope.spawn(|| {
            send_to(&mut sender, seed, length);
            sender.finish();
        });
        expect_from(client, seed, length);
    });
}

fn over(site: &Site) {
    site.until("it is over", |site| site.server(0).active == 0 && site.port().connections == 0);
}

#[test]
fn a_hundred_megabytes_both_ways() {
    let origin = mirror();
    let site = Setup::tcp(&[&origin]).start();
    let mut client = site.client();
    both_ways(&mut client, 1, 100 * MIB);
    client.expect_end();
    over(&site);
    let server = site.server(0);
    assert_eq!((server.bytes_in, server.bytes_out), (100 << 20, 100 << 20));
}

#[test]
fn through_a_tunnel_with_bytes_that_came_before_it() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly");
        send_back(visit, 2, 20 * MIB);
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").answer();
    assert_eq!(client.bytes(5).unwrap(), b"early");
    expect_from(&mut client, 2, 20 * MIB);
    client.expect_end();
}

#[test]
fn one_side_finishes_in_the_middle_of_the_other() {
    let (finished, go_on) = sync_channel::<()>(0);
    let go_on = std::sync::Mutex::new(go_on);
    let origin = Origin::new(move |visit| {
        send_back(visit, 3, 10 * MIB);
        go_on.lock().unwrap().recv().unwrap();
        let heard = visit.bytes(usize::MAX).len();
        send_back(visit, 4, 10 * MIB);
        visit.send(heard.to_string());
    });
    let site = Setup::tcp(&[&origin]).start();
    let mut client = site.client();
    expect_from(&mut client, 3, 10 * MIB);
    client.send("last words").finish();
    finished.send(()).unwrap();
    expect_from(&mut client, 4, 10 * MIB);
    assert_eq!(client.rest().unwrap(), b"10");
}

#[test]
fn a_reset_in_the_middle_passes_on_both_ways() {
    let origin = Origin::new(|visit| {
        send_back(visit, 5, 10 * MIB);
        visit.bytes(1);
        visit.reset();
    });
    let site = Setup::tcp(&[&origin]).start();
    let mut client = site.client();
    expect_from(&mut client, 5, 10 * MIB);
    assert!(client.send("x").rest().is_err(), "the server's");
    over(&site);

    let endless = Origin::new(|visit| send_back(visit, 6, 10_000 * MIB));
    let site = Setup::tcp(&[&endless]).start();
    let mut client = site.client();
    expect_from(&mut client, 6, 10 * MIB);
    drop(client);
    over(&site);
}

#[test]
fn a_cut_in_the_middle_and_the_next_flow_sees_nothing_of_it() {
    let origin = Origin::new(|visit| {
        let seed = visit.number as u64;
        send_back(visit, seed, 30 * MIB);
    });
    let site = Setup::tcp(&[&origin]).start();
    let mut stuck: Vec<Client> = (0..3).map(|_| site.client()).collect();
    for client in &mut stuck {
        client.bytes(4 * MIB).unwrap();
    }
    site.cut(0);
    over(&site);
    let mut client = site.client();
    expect_from(&mut client, 3, 30 * MIB);
    client.expect_end();
}

#[test]
fn a_slow_reader_gets_all_of_it() {
    let origin = Origin::new(|visit| send_back(visit, 7, 24 * MIB));
    let site = Setup::tcp(&[&origin]).start();
    let mut client = site.client();
    let mut heard = vec![0; PIECE];
    for (place, piece) in pieces(7, 24 * MIB).enumerate() {
        if place % 16 == 0 {
            thread::sleep(std::time::Duration::from_millis(3));
        }
        client.read_exact(&mut heard).unwrap();
        assert!(heard == piece, "piece {place}");
    }
    client.expect_end();
}

#[test]
fn more_flows_than_a_worker_has_pipes() {
    let origin = Origin::new(|visit| {
        let seed = visit.bytes(1).first().copied().unwrap_or_default();
        send_back(visit, seed.into(), 12 * MIB);
    });
    let site = Setup::tcp(&[&origin]).workers(1).start();
    // All of them wait with as much on its way as goes, and with a pipe if there is one, before any is read to its end.
    let mut clients: Vec<(u8, Client)> = (0..24).map(|seed| (seed, site.client())).collect();
    for (seed, client) in &mut clients {
        client.send([*seed]);
    }
    for (seed, client) in &mut clients {
        expect_from(client, u64::from(*seed), 12 * MIB);
        client.expect_end();
    }
    drop(clients);
    over(&site);
    assert_eq!(site.server(0).bytes_out, (24 * 12) << 20);
}

#[test]
fn small_talk_after_much_and_much_again() {
    let origin = mirror();
    let site = Setup::tcp(&[&origin]).start();
    let mut client = site.client();
    for seed in 10..13 {
        let mut sender = client.twin();
        thread::scope(|scope| {
            scope.spawn(|| send_to(&mut sender, seed, 20 * MIB));
            expect_from(&mut client, seed, 20 * MIB);
        });
        for byte in 0..100 {
            assert_eq!(client.send([byte]).bytes(1).unwrap(), [byte]);
        }
    }
    client.finish().expect_end();
}

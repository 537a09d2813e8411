//! Clients spread evenly over workers, whichever of them the kernel brings them to.

use std::sync::Arc;
use std::time::Duration;

use crate::support::site::Site;
use crate::support::{Client, Origin, Setup};

/// Clients that come one after the other, each with a request, and stay.
fn come(site: &Site, clients: usize) -> Vec<Client> {
    let served = |_| {
        let mut client = site.client();
        assert_eq!(client.get("/").text(), "x");
        client
    };
    (0..clients).map(served).collect()
}

/// How many more clients the busiest worker has than the idlest.
fn apart(site: &Site) -> u64 {
    let spread = site.shared.spread();
    spread.iter().max().unwrap() - spread.iter().min().unwrap()
}

#[test]
fn clients_that_come_one_by_one_are_one_apart_at_the_most() {
    let origin = Origin::named("x");
    for workers in 2..=4 {
        for clients in [5, 62] {
            let site = Setup::http(&[&origin]).workers(workers).start();
            let mut there = come(&site, clients);
            assert!(apart(&site) <= 1, "{clients} on {:?}", site.shared.spread());
            assert_eq!(site.shared.spread().iter().sum::<u64>(), clients as u64);
            assert!(there.iter_mut().all(|client| client.get("/").text() == "x"), "they are served where they are");
            let (port, counters) = (site.port(), site.counters());
            assert_eq!((port.connections, port.accepted), (clients as u64, clients as u64), "each is counted once");
            assert_eq!((counters.handovers_forgone, counters.handovers_refused), (0, 0));
            // The kernel would have to be right 62 times.
            assert!(clients == 5 || counters.handovers > 0);
            drop(there);
            site.until("all are gone", |site| site.shared.spread().iter().all(|&open| open == 0));
            assert_eq!(site.counters().connections, 0);
        }
    }
}

#[test]
fn clients_that_come_at_once_are_spread_too() {
    let origin = Origin::named("x");
    for workers in 2..=4 {
        let site = Setup::http(&[&origin]).workers(workers).start();
        let mut clients: Vec<_> = (0..64).map(|_| site.client()).collect();
        assert!(clients.iter_mut().all(|client| client.get("/").text() == "x"));
        // Two workers that decide at the same moment do not know of each other, so each may be one beside the mark.
        assert!(apart(&site) <= 1 + workers as u64, "{:?}", site.shared.spread());
    }
}

#[test]
fn tcp_clients_are_spread_as_well() {
    let origin = Origin::named("x");
    let site = Setup::tcp(&[&origin]).workers(2).start();
    let _clients = come(&site, 40);
    assert_eq!(site.shared.spread(), [20, 20]);
}

#[test]
fn a_single_worker_counts_and_hands_over_nothing() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    let _clients = come(&site, 20);
    assert_eq!((site.shared.spread(), site.counters().handovers), (Vec::new(), 0));
}

#[test]
fn a_port_s_bound_holds_wherever_clients_are_served() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).workers(3).change(|port| port.maxconnections = 20).start();
    let mut clients = come(&site, 20);
    for _ in 0..20 {
        assert_eq!(site.client().answer().status, 503);
    }
    assert_eq!((site.port().connections, site.counters().rejected), (20, 20));
    clients.truncate(10);
    site.until("places are free", |site| site.port().connections == 10);
    come(&site, 1);
}

#[test]
fn no_request_is_lost_when_workers_end_while_clients_are_handed_over() {
    let origin = Origin::named("x");
    for round in 0..10 {
        let site = Setup::http(&[&origin]).workers(4).start();
        // Each of these may be accepted or not, on its way to another worker or served when the order comes.
        let mut clients: Vec<_> = (0..60).map(|_| site.client()).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        site.drain(Duration::from_secs(20));
        for client in &mut clients {
            assert_eq!(client.answer().text(), "x", "round {round}");
            client.expect_end();
        }
        let shared = Arc::clone(&site.shared);
        site.join();
        assert_eq!((shared.spread(), shared.counters().connections), (vec![0; 4], 0));
    }
}

#[test]
fn a_worker_s_successor_begins_with_nothing_and_gets_what_comes_until_all_are_even() {
    let origin = Origin::named("x");
    let mut site = Setup::http(&[&origin]).workers(3).start();
    let mut before = come(&site, 30);
    site.end_worker(1);
    assert_eq!(site.shared.spread(), [10, 0, 10], "its clients are gone, the others' are not");
    before.retain_mut(|client| {
        client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok() && client.try_answer("GET").is_ok()
    });
    assert_eq!(before.len(), 20);
    let meanwhile = come(&site, 10);
    assert_eq!(site.shared.spread(), [15, 0, 15], "nobody is given to a worker that is not there");
    site.start_worker(1);
    let after = come(&site, 15);
    assert_eq!(site.shared.spread(), [15; 3], "{:?}", site.counters());
    drop((before, meanwhile, after));
}

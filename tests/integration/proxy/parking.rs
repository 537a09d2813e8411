//! Silent clients: what they hold, and what must never be parked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tsuji::message::ErrorReason;

use crate::support::{Client, Origin, Setup, Site};

/// Clients are parked after 100 ms of silence.
fn parking(origin: &Origin) -> Site {
    Setup::http(&[origin]).change(|port| port.timeouts.park = Duration::from_millis(100)).start()
}

/// At least: a client whose first words a busy machine delays is parked before them as well.
fn parked(site: &Site, times: u64) {
    site.until("parked", |site| site.counters().parked >= times);
}

#[test]
fn a_parked_client_goes_on_as_before() {
    let origin = Origin::mirror();
    let site = parking(&origin);
    let mut client = site.client();
    for round in 1..=3 {
        let answer = client.get(&format!("/{round}"));
        assert!(answer.text().starts_with(&format!("GET /{round} ")), "{}", answer.text());
        parked(&site, round);
    }
    assert_eq!((site.port().accepted, site.port().connections), (1, 1), "all over one connection");
    drop(client);
    site.until("it is gone", |site| site.port().connections == 0);
    assert_eq!(site.counters().clients_gone, 0, "to leave in silence is nothing to count");
}

#[test]
fn parking_switched_off_parks_nobody() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin])
        .change(|port| {
            port.timeouts.park = Duration::ZERO;
            port.timeouts.idle = Duration::from_millis(300);
        })
        .start();
    let mut client = site.client();
    assert_eq!(client.get("/").text(), "x");
    client.expect_end();
    site.until("closed", |site| site.counters().idle_closed == 1);
}

#[test]
fn the_idle_time_counts_from_the_last_response_however_the_client_waits() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin])
        .change(|port| {
            port.timeouts.park = Duration::from_millis(100);
            port.timeouts.idle = Duration::from_millis(400);
        })
        .start();
    let mut client = site.client();
    client.get("/");
    client.expect_end();
    site.until("closed", |site| site.counters().idle_closed == 1);
    assert_eq!(site.counters().parked, 1);
}

/// Who sends half a head and then nothing would, parked, hold a connection for the idle time again and again.
#[test]
fn half_a_head_is_never_parked() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin])
        .change(|port| {
            port.timeouts.park = Duration::from_millis(100);
            port.timeouts.head = Duration::from_millis(600);
        })
        .start();
    // After a request, with the half behind it in the same write, and as the first that is said.
    let starts = ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /se", ""];
    for (round, start) in starts.into_iter().enumerate() {
        let mut client = site.client();
        client.send(start);
        if !start.is_empty() {
            assert_eq!(client.answer().text(), "x");
        }
        if !start.ends_with("/se") {
            client.send("GET /se");
        }
        let answer = client.answer();
        assert_eq!((answer.status, answer.reason()), (408, Some("head-timeout")), "round {round}");
        client.expect_end();
    }
    assert_eq!((site.reason(ErrorReason::HeadTimeout), site.counters().parked), (3, 0));
}

/// The beginning of the next head comes behind a request and its rest only after the time to park.
#[test]
fn half_a_head_behind_a_request_is_kept() {
    let origin = Origin::mirror();
    let site = parking(&origin);
    let mut client = site.client();
    client.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHo");
    assert!(client.answer().text().starts_with("GET /one "));
    std::thread::sleep(Duration::from_millis(400));
    client.send("st: b\r\n\r\n");
    let answer = client.answer();
    assert!(answer.text().starts_with("GET /two ") && answer.text().contains("host: b\r\n"), "{}", answer.text());
}

#[test]
fn pipelined_requests_after_a_silence_are_answered_in_their_order() {
    let origin = Origin::mirror();
    let site = parking(&origin);
    let mut client = site.client();
    client.get("/first");
    parked(&site, 1);
    client
        .send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    for path in ["/a", "/b", "/c"] {
        assert!(client.answer().text().starts_with(&format!("GET {path} ")));
    }
}

#[test]
fn a_tunnel_begins_after_a_silence_and_is_never_parked() {
    let origin = Origin::new(|visit| {
        while let Some(head) = visit.request() {
            if !head.contains("upgrade: websocket") {
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
                continue;
            }
            visit.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
            while let Some(line) = visit.line() {
                visit.send(line);
            }
            return;
        }
    });
    let site = parking(&origin);
    let mut client = site.client();
    assert_eq!(client.get("/").text(), "x");
    parked(&site, 1);
    // The first words through the tunnel come with the request.
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n");
    assert_eq!(client.answer().status, 101);
    assert_eq!(client.line().unwrap().trim_end(), "hello");
    std::thread::sleep(Duration::from_millis(400));
    client.send("again\n");
    assert_eq!(client.line().unwrap().trim_end(), "again");
    assert_eq!(site.counters().parked, 1);
}

/// Its last response is not out yet: what is silent there is the client's ear.
#[test]
fn a_client_that_has_not_taken_its_response_is_not_parked() {
    let body = "x".repeat(16 << 20);
    let origin = Origin::saying(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let site = parking(&origin);
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("it is served", |site| site.server(0).begun == 1);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(site.counters().parked, 0);
    assert_eq!(client.answer().text().len(), body.len());
    parked(&site, 1);
    assert_eq!(client.get("/").text().len(), body.len());
}

#[test]
fn a_thousand_wake_at_once() {
    let origin = Origin::named("x");
    let site =
        Setup::http(&[&origin]).workers(2).change(|port| port.timeouts.park = Duration::from_millis(100)).start();
    let mut crowd: Vec<Client> = (0..1000).map(|_| site.client()).collect();
    for _ in 0..2 {
        let before = site.counters().parked;
        for client in &mut crowd {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        for client in &mut crowd {
            assert_eq!(client.answer().text(), "x");
        }
        parked(&site, before + 1000);
    }
    drop(crowd);
    site.until("all are gone", |site| site.port().connections == 0);
}

#[test]
fn a_drain_closes_parked_clients_and_serves_what_they_have_just_said() {
    let origin = Origin::named("x");
    let site = parking(&origin);
    let (mut silent, mut speaking) = (site.client(), site.client());
    for client in [&mut silent, &mut speaking] {
        assert_eq!(client.get("/").text(), "x");
    }
    parked(&site, 2);
    speaking.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    site.drain(Duration::from_secs(10));
    assert_eq!(speaking.answer().text(), "x");
    silent.expect_end();
    speaking.expect_end();
    site.join();
}

/// Connections may be opened long before their first request, as browsers do.
#[test]
fn a_client_that_has_not_spoken_yet_is_closed_after_the_idle_time() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).change(|port| port.timeouts.idle = Duration::from_millis(300)).start();
    let mut early = TcpStream::connect(site.address).unwrap();
    assert_eq!(early.read(&mut [0; 1]).unwrap(), 0, "closed without a word");
    site.until("counted", |site| site.counters().idle_closed == 1);
    let mut late = TcpStream::connect(site.address).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    late.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nx"), "{answer}");
}

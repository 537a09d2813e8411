//! Bodies in both directions.

use std::sync::mpsc;
use std::time::Duration;

use tsuji::message::ErrorReason;

use crate::support::{Origin, Setup};

/// Bytes that are different everywhere, so that a piece lost, doubled or moved shows.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

const LARGE: usize = 20 << 20;

#[test]
fn large_bodies_pass_both_ways_unharmed() {
    let origin = Origin::new(|visit| {
        while let Some(request) = visit.request() {
            let body = visit.body_of(&request);
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            visit.send(&body);
        }
    });
    let site = Setup::http(&[&origin]).start();
    let sent = noise(LARGE);
    let mut client = site.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n")).send(&sent);
    assert!(client.answer().body == sent);
    assert_eq!(client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").answer().text(), "hi");
    assert_eq!(origin.connections(), 1);
    let server = site.server(0);
    assert_eq!((server.bytes_in, server.bytes_out), (LARGE as u64 + 2, LARGE as u64 + 2));
}

#[test]
fn chunked_bodies_of_every_method() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for method in ["POST", "GET", "PUT", "DELETE", "QUERY", "BREW"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(head).send("5\r\nhello\r\n").send("6;x=y\r\n world\r\n0\r\n\r\n");
        let answer = client.answer();
        assert!(answer.text().ends_with("\r\nhello world"), "{method}: {}", answer.text());
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_body_streams_while_it_comes() {
    let (half, seen) = mpsc::sync_channel(1);
    let (sender, proceed) = mpsc::sync_channel::<()>(1);
    let proceed = std::sync::Mutex::new(proceed);
    let origin = Origin::new(move |visit| {
        visit.request();
        half.send(visit.bytes(3)).unwrap();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
        visit.bytes(3);
        proceed.lock().unwrap().recv().unwrap();
        visit.send("def");
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nxyz");
    assert_eq!(seen.recv().unwrap(), b"xyz", "the server has the first half before the client sent the second");
    while !client.line().unwrap().is_empty() {}
    assert_eq!(client.bytes(3).unwrap(), b"abc", "and the client of the response");
    client.send("uvw");
    sender.send(()).unwrap();
    assert_eq!(client.bytes(3).unwrap(), b"def");
}

#[test]
fn trailers_pass_when_they_were_announced_and_asked_for() {
    let origin = Origin::new(|visit| {
        while visit.request().is_some() {
            let (body, trailers) = visit.chunks();
            let body = String::from_utf8(body).unwrap() + "|" + &trailers.replace("\r\n", ";");
            visit.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Content-Length\r\n\r\n");
            visit.send(format!("{:x}\r\n{body}\r\n0\r\nX-Sum: 7\r\nContent-Length: 1\r\n\r\n", body.len()));
        }
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    let mut ask = |te: &str| {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{te}Trailer: X-Check, Authorization\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\nX-Check: 5\r\nAuthorization: stolen\r\n\r\n"
        ));
        client.answer()
    };
    let answer = ask("TE: trailers\r\nConnection: te\r\n");
    assert_eq!((answer.text(), answer.trailers.join(";").as_str()), ("hi|x-check: 5;", "x-sum: 7"));
    let answer = ask("");
    assert_eq!((answer.text(), answer.trailers.len()), ("hi|x-check: 5;", 0), "not asked for");
    assert_eq!(origin.connections(), 1);
}

const EXPECTING: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn the_client_hears_100_when_the_server_has_said_it() {
    let (asked, expectations) = mpsc::sync_channel(1);
    let origin = Origin::new(move |visit| {
        while let Some(request) = visit.request() {
            asked.send(request.contains("expect: 100-continue")).unwrap();
            visit.send("HTTP/1.1 100 Continue\r\n\r\n");
            let body = visit.body_of(&request);
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").send(body);
        }
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for _ in 0..2 {
        client.send(EXPECTING);
        assert!(expectations.recv().unwrap());
        assert_eq!(client.answer().status, 100);
        assert_eq!(client.send("hello").answer().text(), "hello");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_server_that_refuses_before_the_body_spares_the_client_sending_it() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
        assert!(visit.wait_for_end(), "the body was sent all the same");
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    let answer = client.send(EXPECTING).answer();
    assert_eq!((answer.status, answer.field("connection")), (413, Some("close")));
    client.expect_end();
}

#[test]
fn a_server_that_knows_nothing_of_expectations_gets_the_body_anyway() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    assert_eq!(client.send(EXPECTING).answer().status, 100, "after a while, from us");
    assert!(client.send("hello").answer().text().ends_with("hello"));
}

#[test]
fn an_early_answer_to_an_upload_arrives_whole_and_the_connection_ends() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        visit.wait_for_end();
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text(), answer.field("connection")), (403, "no", Some("close")));
    // What the client goes on sending is read for a while, so that no reset takes the answer back.
    client.try_send(vec![0; 100_000]).unwrap();
    client.expect_end();
}

#[test]
fn our_own_answer_to_a_small_upload_keeps_the_connection() {
    let site = Setup::http(&[]).start();
    let mut client = site.client();
    for _ in 0..2 {
        let answer = client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").answer();
        assert_eq!((answer.status, answer.field("connection"), answer.reason()), (503, None, Some("no-server")));
    }
    let answer = client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\nhello").answer();
    assert_eq!((answer.status, answer.field("connection")), (503, Some("close")));
    client.expect_end();
    let answer = site.client().send(EXPECTING).answer();
    assert_eq!((answer.status, answer.field("connection")), (503, Some("close")), "and no 100 before it");
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let origin = Origin::new(|visit| {
        while visit.request().is_some() {
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")).send(noise(LARGE));
        }
    });
    let site = Setup::http(&[&origin]).change(|port| port.timeouts.body = Duration::from_millis(300)).start();
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("the client is given up", |site| site.counters().stalled == 1);
    site.until("its connection is gone", |site| site.port().connections == 0 && site.server(0).active == 0);
    assert!(client.try_answer("GET").is_err(), "cut, not ended");
}

#[test]
fn a_client_that_reads_slowly_gets_everything() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")).send(noise(LARGE));
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while !client.line().unwrap().is_empty() {}
    let mut body = Vec::new();
    while body.len() < LARGE {
        body.extend(client.bytes(LARGE / 20).unwrap());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(body == noise(LARGE));
}

#[test]
fn a_client_that_stops_in_the_middle_of_its_body_is_told_so() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).change(|port| port.timeouts.body = Duration::from_millis(200)).start();
    let mut client = site.client();
    let answer = client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").answer();
    assert_eq!((answer.status, answer.reason()), (408, Some("body-timeout")));
    client.expect_end();
    assert_eq!((site.reason(ErrorReason::BodyTimeout), site.server(0).failed), (1, 0), "no server is to blame");
}

#[test]
fn a_malformed_chunk_of_a_client_is_refused() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nxyz\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.reason()), (400, Some("bad-body")));
    client.expect_end();
    assert_eq!((site.reason(ErrorReason::BadBody), site.server(0).failed), (1, 0));
}

//! Upgraded connections.

use std::time::Duration;

use tsuji::message::ErrorReason;

use crate::support::{Origin, Setup};

const ASKING: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Switches and gives back every byte until the client's side ends, then says goodbye.
fn echo() -> Origin {
    Origin::new(|visit| {
        while let Some(request) = visit.request() {
            if !request.contains("upgrade: websocket") {
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
                continue;
            }
            visit.send(SWITCHING).send("welcome ");
            while let [byte] = *visit.bytes(1) {
                visit.send([byte]);
            }
            visit.send(" goodbye");
            return;
        }
    })
}

#[test]
fn a_tunnel_carries_bytes_both_ways_and_each_side_closes_for_itself() {
    let origin = echo();
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    // The client does not wait for the answer before it speaks.
    let answer = client.send(ASKING).send("early ").answer();
    assert_eq!(answer.status, 101);
    assert_eq!((answer.field("upgrade"), answer.field("connection")), (Some("websocket"), Some("upgrade")));
    assert!(answer.field("sec-websocket-accept").is_some());
    assert_eq!(client.bytes(14).unwrap(), b"welcome early ");
    assert_eq!((site.server(0).active, site.port().codes[0]), (1, 1));
    client.send("hello").finish();
    assert_eq!(client.rest().unwrap(), b"hello goodbye");
    site.until("it is over", |site| site.server(0).active == 0 && site.port().connections == 0);
    assert_eq!((site.server(0).bytes_in, site.server(0).bytes_out), (11, 27));
}

#[test]
fn a_tunnel_after_ordinary_requests_on_the_same_connections() {
    let origin = echo();
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    assert_eq!(client.get("/").text(), "plain");
    assert_eq!(client.send(ASKING).answer().status, 101);
    assert_eq!(client.send("x").bytes(9).unwrap(), b"welcome x");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn only_what_is_allowed_is_asked_for() {
    let origin = echo();
    let cases = [
        (ASKING.replace("websocket", "h2c"), vec!["websocket", "*"]),
        (ASKING.to_owned(), vec![]),
        (ASKING.replace("keep-alive, Upgrade", "keep-alive"), vec!["websocket"]),
        (ASKING.replace("HTTP/1.1", "HTTP/1.0"), vec!["websocket"]),
    ];
    for (request, allowed) in cases {
        let allowed: Vec<String> = allowed.into_iter().map(str::to_owned).collect();
        let site = Setup::http(&[&origin]).change(|port| port.upgrade = allowed).start();
        assert_eq!(site.client().send(&request).answer().text(), "plain", "{request}");
    }
}

#[test]
fn a_server_that_declines_answers_as_usual() {
    let origin = Origin::named("no");
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    // Bytes after the head are the next request, not a tunnel's.
    client.send(ASKING).send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((client.answer().text(), client.answer().text()), ("no", "no"));
    assert_eq!((origin.heads().len(), origin.connections()), (2, 1));
}

#[test]
fn a_server_that_switches_to_something_else_is_not_believed() {
    for switch in [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let origin = Origin::saying(switch);
        let site = Setup::http(&[&origin]).start();
        let answer = site.client().send(ASKING).answer();
        assert_eq!((answer.status, answer.reason()), (502, Some("bad-response")), "{switch}");
    }
}

#[test]
fn a_silent_tunnel_ends_after_its_time_and_a_talking_one_does_not() {
    let origin = echo();
    let site = Setup::http(&[&origin]).change(|port| port.timeouts.stale = Duration::from_secs(1)).start();
    let mut silent = site.client();
    let mut talking = site.client();
    silent.send(ASKING).answer();
    talking.send(ASKING).answer();
    talking.bytes(8).unwrap();
    while site.counters().stalled == 0 {
        assert_eq!(talking.send("x").bytes(1).unwrap(), b"x");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(silent.rest().is_err(), "reset, not ended");
    assert_eq!(talking.send("y").bytes(1).unwrap(), b"y");
}

#[test]
fn a_cut_server_ends_its_tunnels() {
    let origins = [echo(), echo()];
    let site = Setup::http(&[&origins[0], &origins[1]]).start();
    let mut clients = [site.client(), site.client()];
    for client in &mut clients {
        client.send(ASKING).answer();
        client.bytes(8).unwrap();
    }
    site.cut(0);
    site.until("one is over", |site| site.server(0).active == 0);
    assert_eq!((site.server(1).active, site.reason(ErrorReason::ServerDown)), (1, 1));
    let alive = clients.iter_mut().filter_map(|client| client.try_send("x").ok().and(client.bytes(1).ok())).count();
    assert_eq!(alive, 1);
}

#[test]
fn a_tunnel_whose_server_dies_ends() {
    let origin = echo();
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send(ASKING).answer();
    client.bytes(8).unwrap();
    origin.kill();
    assert_eq!(client.rest().unwrap(), b"", "its side of the tunnel is closed");
    // What the client says now meets a reset.
    while client.try_send("anybody there?").is_ok() && site.port().connections > 0 {}
    site.until("it is over", |site| site.server(0).active == 0 && site.port().connections == 0);
}

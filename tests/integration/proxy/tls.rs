//! TLS with clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion};
use tsuji::message::ErrorReason;
use tsuji::model::{Misdirected, TlsVersion};
use tsuji::tls::{AcceptAll, provider};

use crate::support::secure::{Front, Issuer, secure};
use crate::support::{Client, Origin, Setup, Site};

const NAME: &str = "shop.example";

/// A site with one certificate, and its issuer.
fn shop(origin: &Origin) -> (Site, Issuer) {
    let issuer = Issuer::new("issuer");
    let front = Front::with(&[&issuer.certificate(&[NAME])]);
    (Setup::http(&[origin]).tls(&front).start(), issuer)
}

#[test]
fn requests_inside_tls_reach_the_server_which_is_told_so() {
    let origin = Origin::mirror();
    let (site, issuer) = shop(&origin);
    let mut client = secure(site.address, &Arc::new(issuer.trusting()), NAME);
    for path in ["/one", "/two"] {
        let answer = client.get(path);
        assert!(answer.text().starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{}", answer.text());
        assert!(answer.text().contains("x-forwarded-proto: https\r\n"), "{}", answer.text());
    }
    assert_eq!(client.session().protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let counters = site.counters();
    assert_eq!((counters.tls_handshakes, counters.tls_resumed, site.port().connections), (1, 0, 1));
}

#[test]
fn each_name_gets_its_certificate() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let certificates = [issuer.certificate(&[NAME]), issuer.certificate(&["*.shop.example", "other.example"])];
    let site = Setup::http(&[&origin]).tls(&Front::with(&[&certificates[0], &certificates[1]])).start();
    let config = Arc::new(issuer.trusting());
    for name in [NAME, "www.shop.example", "OTHER.example"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n");
        assert_eq!(secure(site.address, &config, name).send(request).answer().text(), "x", "{name}");
    }
}

#[test]
fn a_host_that_the_certificate_is_not_for_is_misdirected() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let certificates = [issuer.certificate(&[NAME, "www.shop.example"]), issuer.certificate(&["other.example"])];
    let site = Setup::http(&[&origin]).tls(&Front::with(&[&certificates[0], &certificates[1]])).start();
    let config = Arc::new(issuer.trusting());
    let ask = |client: &mut Client, host: &str| {
        let answer = client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).answer();
        (answer.status, answer.reason().map(str::to_owned))
    };
    let mut client = secure(site.address, &config, NAME);
    for host in [NAME, "www.shop.example", "WWW.shop.example:443", NAME] {
        assert_eq!(ask(&mut client, host), (200, None), "{host}: of the same certificate");
    }
    assert_eq!(ask(&mut client, "other.example"), (421, Some("misdirected".to_owned())));
    client.expect_end();
    assert_eq!(site.reason(ErrorReason::Misdirected), 1);
    site.change(|setup| setup.port.misdirected = Misdirected::Serve);
    assert_eq!(ask(&mut secure(site.address, &config, NAME), "other.example"), (200, None));
}

/// What counts is the certificate that the client saw, and not all that there are for a name: without one, or with a stranger's,
/// it saw the first; and one of two of the same name.
#[test]
fn the_certificate_that_was_served_says_what_may_be_asked_for() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let names: [&[&str]; 3] = [&["a.example"], &["b.example"], &["a.example", "c.example"]];
    let made = names.map(|names| issuer.certificate(names));
    let site = Setup::http(&[&origin]).tls(&Front::with(&[&made[0], &made[1], &made[2]])).start();
    let mut nameless = unbelieving();
    nameless.enable_sni = false;
    let cases = [
        (nameless, "a.example", ["a.example"], ["b.example", "c.example"]),
        (unbelieving(), "zzz.example", ["a.example"], ["b.example", "zzz.example"]),
        (unbelieving(), "a.example", ["a.example"], ["b.example", "c.example"]),
        (unbelieving(), "b.example", ["b.example"], ["a.example", "c.example"]),
    ];
    for (config, name, served, refused) in cases {
        let config = Arc::new(config);
        let status = |host: &str| {
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            // The second time on a session that is resumed.
            [(); 2].map(|()| secure(site.address, &config, name).send(&request).answer().status)
        };
        for host in served {
            assert_eq!(status(host), [200, 200], "{host} for a client of {name}");
        }
        for host in refused {
            assert_eq!(status(host), [421, 421], "{host} for a client of {name}");
        }
    }
}

/// A client that takes any certificate.
fn unbelieving() -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let any = AcceptAll::new(provider());
    builder.dangerous().with_custom_certificate_verifier(Arc::new(any)).with_no_client_auth()
}

#[test]
fn a_session_goes_on_over_the_next_connection_and_for_its_host_alone() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let front = Front::with(&[&issuer.certificate(&[NAME, "www.shop.example"])]);
    let site = Setup::http(&[&origin]).tls(&front).start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = Arc::new(issuer.client_of(&[version], None));
        let kind = |name: &str| {
            let mut client = secure(site.address, &config, name);
            assert_eq!(client.get("/").status, 200);
            client.session().handshake_kind().unwrap()
        };
        assert_ne!(kind(NAME), HandshakeKind::Resumed);
        assert_eq!(kind(NAME), HandshakeKind::Resumed);
        assert_ne!(kind("www.shop.example"), HandshakeKind::Resumed);
        // A new key for tickets: the old one is still known. After more turns it is not.
        front.tickets.turn();
        assert_eq!(kind(NAME), HandshakeKind::Resumed);
        (0..3).for_each(|_| front.tickets.turn());
        assert_ne!(kind(NAME), HandshakeKind::Resumed);
    }
    assert_eq!(site.counters().tls_resumed, 4);
}

#[test]
fn who_must_show_a_certificate_and_does_not_is_turned_away() {
    let origin = Origin::named("x");
    let (issuer, people, strangers) = (Issuer::new("issuer"), Issuer::new("people"), Issuer::new("strangers"));
    let front = Front::with(&[&issuer.certificate(&[NAME])]).asking(&people);
    let site = Setup::http(&[&origin]).tls(&front).start();
    let enter = |config: rustls::ClientConfig| {
        let mut client = secure(site.address, &Arc::new(config), NAME);
        client.try_send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").and_then(|()| client.try_answer("GET"))
    };
    assert_eq!(enter(issuer.client(Some(&people.certificate(&["ann"])))).unwrap().text(), "x");
    assert!(enter(issuer.trusting()).is_err(), "none");
    assert!(enter(issuer.client(Some(&strangers.certificate(&["ann"])))).is_err(), "another issuer's");
    assert_eq!((site.server(0).begun, site.counters().tls_handshakes), (1, 1));
    site.until("counted", |site| site.reason(ErrorReason::TlsHandshake) == 2);
}

/// A client that was let in without a certificate must not come in with that session where one is asked for.
#[test]
fn a_session_does_not_go_on_where_clients_are_told_apart() {
    let origin = Origin::named("x");
    let (issuer, people) = (Issuer::new("issuer"), Issuer::new("people"));
    let certificate = issuer.certificate(&[NAME]);
    let open = Front::with(&[&certificate]);
    let mut closed = Front::with(&[&certificate]).asking(&people);
    closed.tickets = Arc::clone(&open.tickets);
    let (site, config) = (Setup::http(&[&origin]).tls(&open).start(), Arc::new(issuer.trusting()));
    assert_eq!(secure(site.address, &config, NAME).get("/").status, 200);
    site.change(|setup| {
        setup.port.tls = Some(closed.settings.clone());
        setup.tls = Some(closed.build());
    });
    let mut client = secure(site.address, &config, NAME);
    let answer =
        client.try_send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").and_then(|()| client.try_answer("GET"));
    assert!(answer.is_err());
    assert_eq!(site.counters().tls_resumed, 0);
}

#[test]
fn what_does_not_speak_tls_is_told_what_to_do_or_left() {
    let origin = Origin::named("x");
    let (site, _) = shop(&origin);
    let answer = site.client().get("/");
    assert_eq!((answer.status, answer.reason()), (400, Some("plain-on-tls-port")));
    assert!(answer.text().contains("https://"), "{}", answer.text());
    let mut binary = TcpStream::connect(site.address).unwrap();
    binary.write_all(&[0x80, 0x2e, 1, 2, 3]).unwrap();
    assert!(binary.read(&mut [0; 16]).is_err(), "a reset");
    site.until("both are counted", |site| site.reason(ErrorReason::NotTls) == 2);
    drop(TcpStream::connect(site.address).unwrap());
    site.until("all are gone", |site| site.port().connections == 0);
    assert_eq!(site.reason(ErrorReason::TlsHandshake), 0, "to look whether somebody listens is no failure");
}

#[test]
fn tls_to_a_plain_port_is_named() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    let issuer = Issuer::new("issuer");
    let mut client = secure(site.address, &Arc::new(issuer.trusting()), NAME);
    assert!(client.try_send("GET / HTTP/1.1\r\n\r\n").is_err());
    site.until("counted", |site| site.reason(ErrorReason::TlsOnPlainPort) == 1);
}

#[test]
fn a_handshake_that_is_not_over_in_time_ends() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let front = Front::with(&[&issuer.certificate(&[NAME])]);
    let limit = Duration::from_millis(300);
    let site = Setup::http(&[&origin]).tls(&front).change(|port| port.timeouts.tls = limit).start();
    let begun = Instant::now();
    // Nothing at all, and the beginning of a record that never ends, one byte at a time.
    let mut silent = TcpStream::connect(site.address).unwrap();
    let mut slow = TcpStream::connect(site.address).unwrap();
    for byte in [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3] {
        slow.write_all(&[byte]).unwrap();
    }
    for stream in [&mut silent, &mut slow] {
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)), "it ends");
    }
    assert!(begun.elapsed() >= limit);
    site.until("both are counted", |site| site.reason(ErrorReason::TlsTimeout) == 2);
}

#[test]
fn only_a_whole_first_message_takes_one_of_the_places_for_handshakes() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let front = Front::with(&[&issuer.certificate(&[NAME])]);
    let site = Setup::http(&[&origin]).tls(&front).change(|port| port.timeouts.tls = Duration::from_secs(60)).start();
    site.shared.set_most_handshakes(1);
    let config = Arc::new(issuer.trusting());
    let hello = hello(&config);
    let begin = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(site.address).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let _halves: Vec<_> = [1, 5, 6, hello.len() / 2, hello.len() - 1].map(|length| begin(&hello[..length])).into();
    site.until("all are there", |site| site.port().connections == 5);
    assert_eq!(secure(site.address, &config, NAME).get("/").text(), "x");
    assert_eq!(site.reason(ErrorReason::TlsTimeout), 0, "nobody had to end for that");
    // Who has begun and left gives the place to the next one, long before its time is over.
    let mut left = begin(&hello);
    left.read_exact(&mut [0; 5]).unwrap();
    assert_eq!(secure(site.address, &config, NAME).get("/").text(), "x");
    site.until("it is counted", |site| site.reason(ErrorReason::TlsTimeout) == 1);
    site.until("only the halves are there", |site| site.port().connections == 5);
}

/// What a client says first.
fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut session = ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME).unwrap()).unwrap();
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_new_certificate_is_for_new_connections() {
    let origin = Origin::named("x");
    let (issuer, next) = (Issuer::new("issuer"), Issuer::new("next"));
    let site = Setup::http(&[&origin]).tls(&Front::with(&[&issuer.certificate(&[NAME])])).start();
    let mut before = secure(site.address, &Arc::new(issuer.trusting()), NAME);
    assert_eq!(before.get("/").text(), "x");
    site.change(|setup| setup.tls = Some(Front::with(&[&next.certificate(&[NAME])]).build()));
    assert_eq!(before.get("/").text(), "x", "a connection that is there notices nothing");
    assert_eq!(secure(site.address, &Arc::new(next.trusting()), NAME).get("/").text(), "x");
}

#[test]
fn a_port_whose_certificates_are_of_no_use_lets_nobody_in() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let site = Setup::http(&[&origin]).tls(&Front::with(&[&issuer.certificate(&[NAME])])).start();
    site.change(|setup| setup.tls = None);
    let mut client = secure(site.address, &Arc::new(issuer.trusting()), NAME);
    assert!(client.try_send("GET / HTTP/1.1\r\n\r\n").is_err());
    site.until("counted", |site| site.reason(ErrorReason::NoCertificate) == 1);
    assert_eq!(site.server(0).begun, 0);
}

#[test]
fn versions_are_those_of_the_port() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let mut front = Front::with(&[&issuer.certificate(&[NAME])]);
    front.settings.policy.versions = vec![TlsVersion::V13];
    let site = Setup::http(&[&origin]).tls(&front).start();
    let old = Arc::new(issuer.client_of(&[&rustls::version::TLS12], None));
    assert!(secure(site.address, &old, NAME).try_send("x").is_err());
    assert_eq!(secure(site.address, &Arc::new(issuer.trusting()), NAME).get("/").text(), "x");
}

#[test]
fn silent_clients_are_parked_inside_tls_too() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let front = Front::with(&[&issuer.certificate(&[NAME])]);
    let site = Setup::http(&[&origin])
        .tls(&front)
        .change(|port| {
            port.timeouts.park = Duration::from_millis(100);
            port.timeouts.idle = Duration::from_millis(1000);
        })
        .start();
    let mut client = secure(site.address, &Arc::new(issuer.trusting()), NAME);
    for round in 1..=3 {
        assert_eq!(client.get("/").text(), "x");
        site.until("parked", |site| site.counters().parked >= round);
    }
    // A regular end, which the client can tell from a broken connection.
    client.expect_end();
    site.until("closed", |site| site.counters().idle_closed == 1);
}

#[test]
fn large_bodies_pass_both_ways_and_a_broken_one_does_not_end_well() {
    let body = "x".repeat(3 << 20);
    let length = body.len();
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    let origin = Origin::new(move |visit| {
        while let Some(head) = visit.request() {
            if head.starts_with("GET /broken ") {
                visit.send(&text[..text.len() / 2]);
                return;
            }
            assert_eq!(visit.body_of(&head).len(), length);
            visit.send(&text);
        }
    });
    let (site, issuer) = shop(&origin);
    let config = Arc::new(issuer.trusting());
    let mut client = secure(site.address, &config, NAME);
    let head = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {length}\r\n\r\n{body}");
    client.send(head("/"));
    assert_eq!(client.answer().body.len(), length);
    client.send(format!("GET /broken HTTP/1.1\r\nHost: {NAME}\r\n\r\n"));
    assert!(client.try_answer("GET").is_err());
}

#[test]
fn a_tunnel_and_a_tcp_port_carry_bytes_inside_tls() {
    let origin = Origin::new(|visit| {
        while let Some(line) = visit.line() {
            visit.send(line.to_uppercase());
        }
        visit.send("bye");
    });
    let issuer = Issuer::new("issuer");
    let front = Front::with(&[&issuer.certificate(&[NAME])]);
    let site = Setup::tcp(&[&origin]).tls(&front).start();
    let mut client = secure(site.address, &Arc::new(issuer.trusting()), NAME);
    client.send("one\n");
    assert_eq!(client.line().unwrap(), "ONE");
    // Half of the connection is closed; the other half still says something.
    client.finish();
    assert_eq!(client.rest().unwrap(), b"bye");
}

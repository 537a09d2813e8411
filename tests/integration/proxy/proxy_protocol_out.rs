//! `sendproxy v1|v2`: servers are told who the client is before anything else.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tsuji::message::ErrorReason;
use tsuji::message::proxy_protocol::{Progress, ProxiedClient, ProxyHeader, parse};
use tsuji::model::{ForwardingMethod, ProxyVersion};

use crate::support::{Client, Origin, PATIENCE, Setup, Visit, has_ipv6};

const VERSIONS: [ProxyVersion; 2] = [ProxyVersion::V1, ProxyVersion::V2];

/// Takes a header and not a byte more.
fn take_header(visit: &mut Visit) -> Option<(ProxyHeader, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        match parse(&bytes).unwrap() {
            Progress::Whole { header, .. } => return Some((header, bytes)),
            Progress::Incomplete => bytes.push(*visit.bytes(1).first()?),
        }
    }
}

fn named(source: SocketAddr, destination: SocketAddr, tls: bool) -> ProxyHeader {
    ProxyHeader::Client(ProxiedClient { source, destination, tls })
}

/// Says to each http client what its connection's header said, and its number.
fn teller() -> Origin {
    Origin::new(|visit| {
        let Some((ProxyHeader::Client(client), _)) = take_header(visit) else { return };
        let text = format!("{} {}", visit.number, client.source);
        while visit.request().is_some() {
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
        }
    })
}

fn sending(method: ForwardingMethod, origins: &[&Origin], version: ProxyVersion) -> Setup {
    let addresses = origins.iter().map(|origin| origin.address()).collect();
    Setup::with_addresses(method, addresses).change(|port| port.sendproxy = Some(version))
}

#[test]
fn over_tcp() {
    for version in VERSIONS {
        let heard = Arc::new(Mutex::new(None));
        let hears = Arc::clone(&heard);
        let origin = Origin::new(move |visit| {
            *hears.lock().unwrap() = take_header(visit);
            let rest = visit.bytes(5);
            visit.send(rest);
        });
        let site = sending(ForwardingMethod::Tcp, &[&origin], version).start();
        let mut client = site.client();
        assert_eq!(client.send("hello").rest().unwrap(), b"hello");
        let expected = named(client.address(), site.address, false);
        let (header, bytes) = heard.lock().unwrap().take().unwrap();
        assert_eq!((header, bytes), (expected, expected.to_bytes(version)));
        site.until("only the client's bytes are counted", |site| site.server(0).bytes_in == 5);
    }
}

#[test]
fn over_http_a_kept_connection_serves_the_client_that_it_was_opened_for() {
    for version in VERSIONS {
        let origin = teller();
        let site = sending(ForwardingMethod::Http, &[&origin], version).start();
        let mut clients = [site.client(), site.client()];
        for _ in 0..3 {
            for (number, client) in clients.iter_mut().enumerate() {
                let address = client.address();
                assert_eq!(client.get("/").text(), format!("{number} {address}"));
            }
        }
        assert_eq!((origin.connections(), site.counters().pool_hits), (2, 4));
        let mut third = site.client();
        assert_eq!(third.get("/").text(), format!("2 {}", third.address()));
    }
}

#[test]
fn a_kept_connection_ends_soon_after_its_client() {
    let (gone, going) = std::sync::mpsc::channel();
    let origin = Origin::new(move |visit| {
        take_header(visit);
        while visit.request().is_some() {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        gone.send(()).unwrap();
    });
    let site = sending(ForwardingMethod::Http, &[&origin], ProxyVersion::V2).start();
    assert_eq!(site.client().get("/").status, 200);
    going.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn connections_from_before_the_setting_are_not_used() {
    let origin = Origin::new(|visit| {
        let text = if visit.number == 0 { "plain" } else { "told" };
        if visit.number > 0 {
            take_header(visit);
        }
        while visit.request().is_some() {
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
        }
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    assert_eq!(client.get("/").text(), "plain");
    site.change(|setup| setup.port.sendproxy = Some(ProxyVersion::V1));
    assert_eq!(client.get("/").text(), "told");
    site.change(|setup| setup.port.sendproxy = None);
    assert_eq!(client.get("/").text(), "plain");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn whom_the_proxy_before_us_named_is_named_again() {
    for (version, tls) in [(ProxyVersion::V1, false), (ProxyVersion::V2, true)] {
        for method in [ForwardingMethod::Http, ForwardingMethod::Tcp] {
            let heard = Arc::new(Mutex::new(None));
            let hears = Arc::clone(&heard);
            let origin = Origin::new(move |visit| {
                *hears.lock().unwrap() = take_header(visit);
                visit.request();
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            });
            let site = sending(method, &[&origin], version)
                .change(|port| {
                    port.proxyprotocol = true;
                    port.trusted = vec!["127.0.0.1".parse().unwrap()];
                })
                .start();
            let client = named("203.0.113.9:56324".parse().unwrap(), "198.51.100.1:443".parse().unwrap(), tls);
            assert_eq!(site.client().send(client.to_bytes(ProxyVersion::V2)).get("/").status, 200);
            assert_eq!(heard.lock().unwrap().take().unwrap().0, client, "{method:?}");
        }
    }
}

#[test]
fn over_ipv6_and_any_address() {
    if !has_ipv6() {
        return;
    }
    let origin = teller();
    for listen in [Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED] {
        let heard = Arc::new(Mutex::new(None));
        let hears = Arc::clone(&heard);
        let witness = Origin::new(move |visit| *hears.lock().unwrap() = take_header(visit));
        let site = sending(ForwardingMethod::Tcp, &[&witness], ProxyVersion::V2).listen(listen).start();
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, site.address.port()));
        let mut client = Client::connect(address);
        client.rest().unwrap();
        assert_eq!(heard.lock().unwrap().take().unwrap().0, named(client.address(), address, false), "{listen}");
    }
    let site = sending(ForwardingMethod::Http, &[&origin], ProxyVersion::V1).listen(Ipv6Addr::LOCALHOST).start();
    let mut client = site.client();
    assert_eq!(client.get("/").text(), format!("0 {}", client.address()));
}

#[test]
fn every_new_connection_has_one_also_when_another_server_is_tried() {
    let origin = teller();
    let addresses = vec![Origin::nobody(), origin.address()];
    let site = Setup::with_addresses(ForwardingMethod::Http, addresses)
        .change(|port| port.sendproxy = Some(ProxyVersion::V2))
        .start();
    for number in 0..4 {
        let mut client = site.client();
        assert_eq!(client.get("/").text(), format!("{number} {}", client.address()));
    }
    assert!(site.port().retries[ErrorReason::ConnectRefused.index()] > 0);
}

//! `proxyprotocol on`: trusted proxies say who the client is, nobody else does.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tsuji::message::ErrorReason;
use tsuji::message::proxy_protocol::{MAX_PROXY_HEADER, ProxiedClient, ProxyHeader};
use tsuji::model::{ForwardingMethod, ProxyVersion};

use crate::support::secure::{Front, Issuer};
use crate::support::{Client, Origin, Setup, Site, has_ipv6};

const LINE: &str = "PROXY TCP4 203.0.113.9 198.51.100.1 56324 8443\r\n";
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// A port that trusts 127.0.0.1 and wants its headers.
fn expecting(method: ForwardingMethod, origins: &[&Origin]) -> Setup {
    let addresses = origins.iter().map(|origin| origin.address()).collect();
    Setup::with_addresses(method, addresses).change(|port| {
        port.proxyprotocol = true;
        port.trusted = ["127.0.0.1", "::1", "203.0.113.200"].map(|address| address.parse().unwrap()).into();
    })
}

fn header(source: &str, destination: &str, tls: bool) -> ProxyHeader {
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    ProxyHeader::Client(ProxiedClient { source, destination, tls })
}

/// Connects from an address of this machine that is not trusted.
fn stranger(site: &Site) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0)).into()).unwrap();
    socket.connect(&site.address.into()).unwrap();
    Client::over(TcpStream::from(socket))
}

fn field(head: &str, name: &str) -> String {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let values = lines.filter(|(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    values.collect::<Vec<_>>().join("|")
}

/// What servers are told of the client: address, port that it came to, protocol.
fn told(head: &str) -> [String; 3] {
    ["x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"].map(|name| field(head, name))
}

/// The same word for each connection, and what it got.
fn echo(name: &'static str) -> Origin {
    Origin::new(move |visit| {
        visit.send(name);
        while let Some(&byte) = visit.bytes(1).first() {
            visit.send([byte]);
        }
    })
}

#[test]
fn servers_are_told_of_the_client_in_the_header() {
    let origin = Origin::mirror();
    let site = expecting(ForwardingMethod::Http, &[&origin]).start();
    let cases = [
        (header("203.0.113.9:56324", "198.51.100.1:8443", false), ["203.0.113.9", "8443", "http"]),
        (header("[2001:db8::9]:1", "[2001:db8::1]:80", false), ["2001:db8::9", "80", "http"]),
        (header("[::ffff:203.0.113.9]:1", "[::ffff:198.51.100.1]:80", false), ["203.0.113.9", "80", "http"]),
    ];
    for (header, expected) in cases {
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            // The request in one segment with the header.
            let bytes = [&*header.to_bytes(version), REQUEST.as_bytes()].concat();
            assert_eq!(told(site.client().send(bytes).answer().text()), expected, "{version:?}");
        }
    }
    let tls = header("203.0.113.9:56324", "198.51.100.1:443", true).to_bytes(ProxyVersion::V2);
    let mut client = site.client();
    assert_eq!(told(client.send(tls).get("/").text()), ["203.0.113.9", "443", "https"]);
    assert_eq!(told(client.get("/second").text()), ["203.0.113.9", "443", "https"], "for all of the connection");
    assert_eq!(site.counters().headers_read, 7);
    assert_eq!(site.reason(ErrorReason::BadProxyHeader), 0);
}

#[test]
fn a_header_may_come_in_any_pieces() {
    let origin = Origin::mirror();
    let site = expecting(ForwardingMethod::Http, &[&origin]).start();
    let one = header("203.0.113.9:56324", "198.51.100.1:8443", true);
    for (version, proto) in [(ProxyVersion::V1, "http"), (ProxyVersion::V2, "https")] {
        let bytes = [&*one.to_bytes(version), REQUEST.as_bytes(), REQUEST.as_bytes()].concat();
        for place in 1..bytes.len() {
            let mut client = site.client();
            client.send(&bytes[..place]).send(&bytes[place..]);
            for _ in 0..2 {
                assert_eq!(told(client.answer().text()), ["203.0.113.9", "8443", proto], "{version:?} {place}");
            }
        }
        let mut slow = site.client();
        for byte in &bytes {
            slow.send([*byte]);
        }
        assert_eq!(told(slow.answer().text()), ["203.0.113.9", "8443", proto], "byte by byte");
    }
}

#[test]
fn a_long_header_and_what_follows_it() {
    let origin = Origin::named("a");
    let site = expecting(ForwardingMethod::Http, &[&origin]).start();
    let long = |length: usize| {
        let mut bytes = header("203.0.113.9:1", "198.51.100.1:2", false).to_bytes(ProxyVersion::V2);
        let value = length - bytes.len() - 3;
        bytes.extend([4, (value >> 8) as u8, value as u8]);
        bytes.resize(length, 0);
        bytes[14..16].copy_from_slice(&(length as u16 - 16).to_be_bytes());
        bytes
    };
    for length in [535, 536, 537, 1000, MAX_PROXY_HEADER] {
        let bytes = [&*long(length), REQUEST.as_bytes()].concat();
        assert_eq!(site.client().send(bytes).answer().text(), "a", "{length}");
    }
    let mut client = site.client();
    let _reset_meanwhile = client.try_send([&*long(MAX_PROXY_HEADER + 1), REQUEST.as_bytes()].concat());
    assert!(client.rest().is_err(), "longer ones are refused");
    assert_eq!(site.reason(ErrorReason::BadProxyHeader), 1);
}

#[test]
fn an_untrusted_client_is_ordinary_and_its_header_a_malformed_request() {
    let origin = Origin::mirror();
    let site = expecting(ForwardingMethod::Http, &[&origin]).start();
    assert_eq!(told(stranger(&site).get("/").text())[0], "127.0.0.2");
    let v2 = header("203.0.113.9:1", "198.51.100.1:2", false).to_bytes(ProxyVersion::V2);
    for lie in [LINE.as_bytes(), &v2] {
        let answer = stranger(&site).send([lie, REQUEST.as_bytes()].concat()).answer();
        assert_eq!((answer.status, answer.reason()), (400, Some("bad-request")));
    }
    assert_eq!((origin.heads().len(), site.counters().headers_read), (1, 0));
    // The same where nobody's header is wanted.
    site.change(|setup| setup.port.proxyprotocol = false);
    assert_eq!(site.client().send(LINE).send(REQUEST).answer().status, 400);
    assert_eq!(site.client().get("/").status, 200);
}

#[test]
fn over_tcp_the_header_stays_here_unless_a_stranger_sent_it() {
    let origin = echo("");
    let site = expecting(ForwardingMethod::Tcp, &[&origin]).start();
    let mut client = site.client();
    client.send([LINE.as_bytes(), b"early"].concat()).send(" and late").finish();
    assert_eq!(client.rest().unwrap(), b"early and late");
    let mut client = stranger(&site);
    client.send(LINE).finish();
    assert_eq!(client.rest().unwrap(), LINE.as_bytes());
    site.until("bytes are counted", |site| site.server(0).bytes_in == 14 + LINE.len() as u64);
}

#[test]
fn affinity_goes_by_the_client_in_the_header() {
    let origins = [echo("a"), echo("b")];
    let site = expecting(ForwardingMethod::Tcp, &[&origins[0], &origins[1]])
        .change(|port| port.stickytime = Duration::from_secs(300))
        .start();
    let ask = |host: u8| {
        let line = format!("PROXY TCP4 203.0.113.{host} 198.51.100.1 4{host} 80\r\n");
        site.client().send(line).bytes(1).unwrap()
    };
    let first: Vec<Vec<u8>> = (1..=8).map(ask).collect();
    assert!(first.contains(&b"a".to_vec()) && first.contains(&b"b".to_vec()), "each client has its own choice");
    let second: Vec<Vec<u8>> = (1..=8).map(ask).collect();
    assert_eq!(first, second);
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_client() {
    let origin = Origin::mirror();
    let site = expecting(ForwardingMethod::Http, &[&origin]).start();
    let local = ProxyHeader::Own.to_bytes(ProxyVersion::V2);
    let unix = [&local[..12], &[0x21, 0x31, 0, 216], &[b'x'; 216]].concat();
    let unspecified = [&local[..12], &[0x21, 0x00, 0, 0]].concat();
    let port = site.address.port().to_string();
    for begin in [b"PROXY UNKNOWN\r\n".as_slice(), b"PROXY UNKNOWN ::1 ::1 1 1\r\n", &local, &unix, &unspecified] {
        assert_eq!(told(site.client().send(begin).get("/").text()), ["127.0.0.1", &*port, "http"]);
    }
}

#[test]
fn the_client_in_the_header_is_the_peer_whose_forwarding_fields_are_believed_or_not() {
    let origin = Origin::mirror();
    let site = expecting(ForwardingMethod::Http, &[&origin]).start();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.77\r\nX-Real-IP: 192.0.2.77\r\n\r\n";
    let ask = |source: &str| {
        let line = format!("PROXY TCP4 {source} 198.51.100.1 1 80\r\n");
        site.client().send([&line, request].concat()).answer().text().to_owned()
    };
    // The proxy that sends the header is trusted; whom it names is not for that.
    let untrusted = ask("203.0.113.9");
    assert_eq!(
        (field(&untrusted, "x-forwarded-for").as_str(), field(&untrusted, "x-real-ip").as_str()),
        ("203.0.113.9", "")
    );
    let trusted = ask("203.0.113.200");
    assert_eq!(field(&trusted, "x-forwarded-for"), "192.0.2.77, 203.0.113.200");
}

#[test]
fn whatever_is_no_header_ends_the_connection_without_an_answer() {
    let cases: [&[u8]; 7] = [
        REQUEST.as_bytes(),
        b"\x16\x03\x01\x02\0\x01",
        b"PROXY TCP4 203.0.113.9 198.51.100.1 1\r\n",
        b"PROXY TCP4 203.0.113.9 198.51.100.1 1 2\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b01234567890",
        &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(),
    ];
    for method in [ForwardingMethod::Http, ForwardingMethod::Tcp] {
        let origin = Origin::named("a");
        let site = expecting(method, &[&origin]).start();
        for (place, bytes) in cases.iter().enumerate() {
            let mut client = site.client();
            assert!(client.send(bytes).rest().is_err(), "{method:?} {place}: a reset");
            assert_eq!(site.reason(ErrorReason::BadProxyHeader), place as u64 + 1, "{method:?}");
        }
        let mut half = site.client();
        assert!(half.send(&LINE[..20]).finish().rest().is_err());
        let counters = site.counters();
        assert_eq!((counters.headers_read, counters.headers_late, origin.connections()), (0, 0, 0));
        site.until("all have left", |site| site.port().connections == 0);
    }
}

#[test]
fn a_look_whether_somebody_listens_is_no_fault() {
    let site = expecting(ForwardingMethod::Http, &[]).start();
    site.client().finish().expect_end();
    drop(site.client());
    site.until("both have left", |site| site.port().accepted == 2 && site.port().connections == 0);
    assert_eq!(site.reason(ErrorReason::BadProxyHeader), 0);
}

#[test]
fn who_keeps_its_header_back_is_not_waited_for() {
    let origin = Origin::named("a");
    let site = expecting(ForwardingMethod::Http, &[&origin]).start();
    let (mut silent, mut slow) = (site.client(), site.client());
    slow.send(&LINE[..10]);
    assert!(silent.rest().is_err() && slow.rest().is_err());
    assert_eq!((site.counters().headers_late, site.reason(ErrorReason::BadProxyHeader)), (2, 2));
    // An ordinary client has nothing to say at first.
    assert_eq!(stranger(&site).get("/").text(), "a");
}

/// In one piece, so that both are there when it is asked what the client speaks.
#[test]
fn plain_http_behind_a_header_is_told_to_speak_tls() {
    let origin = Origin::named("x");
    let issuer = Issuer::new("issuer");
    let front = Front::with(&[&issuer.certificate(&["shop.example"])]);
    let site = expecting(ForwardingMethod::Http, &[&origin]).tls(&front).start();
    let answer = site.client().send(format!("{LINE}{REQUEST}")).answer();
    assert_eq!((answer.status, answer.reason()), (400, Some("plain-on-tls-port")));
    assert_eq!(site.reason(ErrorReason::NotTls), 1);
}

#[test]
fn over_ipv6() {
    if !has_ipv6() {
        return;
    }
    let origin = Origin::mirror();
    let site = expecting(ForwardingMethod::Http, &[&origin]).listen(Ipv6Addr::LOCALHOST).start();
    let line = "PROXY TCP6 2001:db8::9 2001:db8::1 56324 8443\r\n";
    assert_eq!(told(site.client().send(line).get("/").text()), ["2001:db8::9", "8443", "http"]);
    assert_eq!(told(site.client().send("PROXY UNKNOWN\r\n").get("/").text())[0], "::1");
    assert!(site.client().send(REQUEST).rest().is_err(), "::1 is trusted");
}

#[test]
fn a_tunnel_after_a_header() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
        let bytes = visit.bytes(5);
        visit.send(bytes);
    });
    let site = expecting(ForwardingMethod::Http, &[&origin]).start();
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let mut client = site.client();
    client.send([LINE, upgrade, "hello"].concat());
    assert_eq!(client.answer().status, 101);
    assert_eq!(client.rest().unwrap(), b"hello");
}

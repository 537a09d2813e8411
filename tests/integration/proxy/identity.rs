//! Who the client is, as servers are told.

use tsuji::model::ForwardedHeaders;

use crate::support::{Origin, Setup};

fn fields(head: &str, name: &str) -> Vec<String> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

const SPOOFED: &str = "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
     X_Forwarded_For: 203.0.113.8\r\nX-Real-IP: 203.0.113.7\r\nForwarded: for=203.0.113.6\r\nX-Forwarded-Host: evil\r\n\
     Connection: x-forwarded-for, keep-alive\r\n\r\n";

#[test]
fn a_client_cannot_say_who_it_is() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).start();
    site.client().send(SPOOFED).answer();
    let head = &origin.heads()[0];
    assert_eq!(fields(head, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(fields(head, "x-forwarded-proto"), ["http"]);
    assert_eq!(fields(head, "x-forwarded-host"), ["shop.example"]);
    assert_eq!(fields(head, "x-forwarded-port"), [site.address.port().to_string()]);
    assert!(!head.contains("203.0.113.") && !head.contains("evil"), "{head}");
}

#[test]
fn a_trusted_proxy_is_believed_and_added() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).change(|port| port.trusted = vec!["127.0.0.0/8".parse().unwrap()]).start();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n";
    site.client().send(request).answer();
    let head = &origin.heads()[0];
    assert_eq!(fields(head, "x-forwarded-for"), ["203.0.113.9, 127.0.0.1"]);
    assert_eq!(fields(head, "x-forwarded-proto"), ["https"]);
}

#[test]
fn affinity_goes_by_the_client_behind_a_trusted_proxy() {
    let origins = [Origin::named("a"), Origin::named("b")];
    let site = Setup::http(&[&origins[0], &origins[1]])
        .change(|port| {
            port.trusted = vec!["127.0.0.1".parse().unwrap()];
            port.stickytime = std::time::Duration::from_secs(300);
        })
        .start();
    let mut proxy = site.client();
    let mut ask = |client: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
        proxy.send(request).answer().text().to_owned()
    };
    let first: Vec<String> = (1..=8).map(|host| ask(&format!("203.0.113.{host}"))).collect();
    assert!(first.contains(&"a".to_owned()) && first.contains(&"b".to_owned()), "each client has its own choice");
    let second: Vec<String> = (1..=8).map(|host| ask(&format!("203.0.113.{host}"))).collect();
    assert_eq!(first, second);
}

#[test]
fn the_other_ways_of_saying_it() {
    let cases = [
        (ForwardedHeaders::Forwarded, 0, 1),
        (ForwardedHeaders::Both, 1, 1),
        (ForwardedHeaders::Off, 0, 0),
        (ForwardedHeaders::XForwarded, 1, 0),
    ];
    for (forwarded, x_forwarded, standard) in cases {
        let origin = Origin::mirror();
        let site = Setup::http(&[&origin]).change(|port| port.forwarded = forwarded).start();
        site.client().send(SPOOFED).answer();
        let head = &origin.heads()[0];
        assert_eq!(fields(head, "x-forwarded-for").len(), x_forwarded, "{forwarded:?}");
        assert_eq!(fields(head, "forwarded").len(), standard, "{forwarded:?}");
        assert!(!head.contains("203.0.113."), "{forwarded:?}: {head}");
    }
}

#[test]
fn fields_of_the_connection_end_here() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).start();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n\
         Proxy-Authorization: Basic x\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n";
    site.client().send(request).answer();
    let head = &origin.heads()[0];
    for name in ["x-secret", "keep-alive", "proxy-authorization", "upgrade", "http2-settings"] {
        assert!(fields(head, name).is_empty(), "{name} in {head}");
    }
    assert_eq!((fields(head, "te"), fields(head, "connection")), (vec!["trailers".to_owned()], vec!["te".to_owned()]));
}

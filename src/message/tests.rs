//! Whole heads through all steps, and the laws that hold for every head.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use super::codec::write_request;
use super::testing::{request, response, text};
use super::*;
use crate::model::{ForwardedHeaders, Network};

const CLIENT: &str = "203.0.113.9";
const PROXY: &str = "10.0.0.1";

#[derive(Debug)]
struct Port {
    forwarded: ForwardedHeaders,
    trusted: Vec<Network>,
    upgrade: Vec<String>,
}

impl Port {
    fn with(forwarded: ForwardedHeaders) -> Self {
        let trusted = vec!["10.0.0.0/8".parse().expect("a network")];
        Self { forwarded, trusted, upgrade: vec!["websocket".to_owned()] }
    }

    /// The head that the server gets.
    fn prepare(&self, peer: &str, head: &mut http::request::Parts) -> Result<(), ErrorReason> {
        let peer: IpAddr = peer.parse().expect("an address");
        let connection = ConnectionFacts::new(peer, SocketAddr::from(([192, 0, 2, 10], 8080)), Proto::Http);
        let view = ClientView { connection: &connection, trusted: &self.trusted, forwarded: self.forwarded };
        let facts = examine_request(head)?;
        let upgrade = Upgrade::asked(head, &facts, &self.upgrade);
        let before = client_address(&view, &head.headers);
        let introduction = prepare_request(head, &facts, &view, upgrade.as_ref());
        let mut wire = Vec::new();
        let sent = codec::OutgoingHead {
            method: &head.method,
            target: &head.uri,
            fields: &head.headers,
            unedited: &head.headers,
        };
        write_request(sent, introduction, &connection, |_| {}, &mut wire);
        head.headers = testing::fields_of(&wire);
        assert_eq!(client_address(&view, &head.headers), before, "the client is the same before and after");
        Ok(())
    }

    fn check(&self, story: &str, peer: &str, fields: &str, expected: &[&str]) {
        let mut head = request(&format!("GET /a HTTP/1.1\n{fields}"));
        self.prepare(peer, &mut head).expect(story);
        let mut expected = expected.to_vec();
        expected.sort_by_key(|line| line.split(':').next());
        assert_eq!(text(&head.headers), expected.join("\n"), "{story}");
    }
}

const XFF: &str = "x-forwarded-for: 203.0.113.9";
const XFH: &str = "x-forwarded-host: a";
const XFP: &str = "x-forwarded-port: 8080";
const XFO: &str = "x-forwarded-proto: http";

#[test]
fn what_an_untrusted_client_says_of_itself_is_replaced() {
    let port = Port::with(ForwardedHeaders::XForwarded);
    let ours = ["host: a", XFF, XFH, XFP, XFO];
    port.check("nothing said", CLIENT, "Host: a", &ours);
    for said in [
        "X-Forwarded-For: 10.0.0.2\nX-FORWARDED-FOR: 10.0.0.3",
        "X_Forwarded_For: 10.0.0.2\nX-Forwarded_For: 10.0.0.2\nx.forwarded.for: 10.0.0.2",
        "X-Forwarded-Proto: https\nX-Forwarded-Host: evil\nX-Forwarded-Port: 1\nX-Forwarded-Ssl: on",
        "Forwarded: for=10.0.0.2\nFORWARDED: for=10.0.0.3",
        "X-Real-IP: 10.0.0.2\nTrue-Client-IP: 10.0.0.2\nClient-Cert: :x:\nX-Original-URL: /admin",
        "WL-Proxy-Client-IP: 10.0.0.2\nWL-Proxy-SSL: true\nWL-Proxy-Client-Cert: x\nProxy-Client-IP: 10.0.0.2",
        "iv-user: root\niv-groups: admins\nRemote-User: root\nX-Remote-User: root\nX-Request-Id: 1",
        "$WSRA: 10.0.0.2\n$WSIS: true\nX|Y: 1",
        "Connection: X-Forwarded-For, Host, x-forwarded-proto",
    ] {
        port.check(said, CLIENT, &format!("Host: a\n{said}"), &ours);
    }
    let off = Port::with(ForwardedHeaders::Off);
    off.check("off", CLIENT, "Host: a\nX-Forwarded-For: 1\nForwarded: for=1\nX-Forwarded-Host: b", &["host: a"]);
}

#[test]
fn forwarded_quotes_what_needs_quotes() {
    let port = Port::with(ForwardedHeaders::Forwarded);
    let cases = [
        (CLIENT, "a", "for=203.0.113.9;proto=http;host=a"),
        (CLIENT, "a:8080", "for=203.0.113.9;proto=http;host=\"a:8080\""),
        ("2001:db8::9", "[::1]", "for=\"[2001:db8::9]\";proto=http;host=\"[::1]\""),
        ("::ffff:203.0.113.9", "a", "for=203.0.113.9;proto=http;host=a"),
    ];
    for (peer, host, element) in cases {
        let fields = format!("Host: {host}\nForwarded: for=1.1.1.1\nX-Forwarded-For: 1.1.1.1");
        port.check(peer, peer, &fields, &[&format!("host: {host}"), &format!("forwarded: {element}")]);
    }
    let both = Port::with(ForwardedHeaders::Both);
    both.check(
        "both",
        CLIENT,
        "Host: a",
        &["host: a", "forwarded: for=203.0.113.9;proto=http;host=a", XFF, XFH, XFP, XFO],
    );
    let x_forwarded = Port::with(ForwardedHeaders::XForwarded);
    x_forwarded.check(
        "an IPv6 address stands bare",
        "2001:db8::9",
        "Host: a",
        &["host: a", "x-forwarded-for: 2001:db8::9", XFH, XFP, XFO],
    );
}

#[test]
fn what_a_trusted_proxy_says_is_kept_and_extended() {
    let port = Port::with(ForwardedHeaders::Both);
    port.check("a full set", PROXY, "Host: a\nX-Forwarded-For: 1.1.1.1\nX-Forwarded-For: 2.2.2.2\nX-Forwarded-Proto: https\nX-Forwarded-Host: shop\nX-Real-IP: 1.1.1.1\nForwarded: for=1.1.1.1", &[
        "host: a",
        "forwarded: for=1.1.1.1, for=10.0.0.1;proto=http;host=a",
        "x-forwarded-for: 1.1.1.1, 2.2.2.2, 10.0.0.1",
        "x-forwarded-host: shop",
        "x-forwarded-proto: https",
        "x-real-ip: 1.1.1.1",
    ]);
    let port = Port::with(ForwardedHeaders::XForwarded);
    port.check(
        "gaps are filled",
        PROXY,
        "Host: a\nX-Forwarded-For: 1.1.1.1\nX_Forwarded_Proto: https",
        &["host: a", "x-forwarded-for: 1.1.1.1, 10.0.0.1", XFH, XFP, XFO],
    );
    let off = Port::with(ForwardedHeaders::Off);
    off.check(
        "what other products' servers believe",
        PROXY,
        "Host: a\nConnection: iv-user\niv-user: u\nProxy-Client-IP: 1.1.1.1\nRemote-User: u\nWL-Proxy-SSL: true\nX-Remote-User: u\nX-Request-Id: 1",
        &["host: a", "iv-user: u", "proxy-client-ip: 1.1.1.1", "remote-user: u", "wl-proxy-ssl: true", "x-remote-user: u", "x-request-id: 1"],
    );
    off.check("off", PROXY, "Host: a\nX-Forwarded-For: 1.1.1.1", &["host: a", "x-forwarded-for: 1.1.1.1"]);
}

#[test]
fn hop_by_hop_fields_of_requests() {
    let port = Port::with(ForwardedHeaders::Off);
    let cases: [(&str, &[&str]); 14] = [
        ("Connection: keep-alive\nKeep-Alive: 5\nProxy-Connection: keep-alive", &[]),
        ("Connection: close, X-Session\nX-Session: 1\nX-Other: 2", &["x-other: 2"]),
        ("Connection: x-a\nConnection: ,x-b ,, X-C\nX-A: 1\nX-B: 1\nX-B: 2\nX-C: 1", &[]),
        (
            "Connection: Cookie, authorization, Content-Type, Sec-WebSocket-Key\nCookie: a=b\nAuthorization: x\nContent-Type: y\nSec-WebSocket-Key: z",
            &["authorization: x", "content-type: y", "cookie: a=b", "sec-websocket-key: z"],
        ),
        ("Connection: (bad), x y, x-a\nX-A: 1", &[]),
        ("Proxy-Authorization: Basic x\nAuthorization: Basic y", &["authorization: Basic y"]),
        ("TE: gzip\nConnection: TE", &[]),
        ("TE: gzip, Trailers\nConnection: TE", &["connection: te", "te: trailers"]),
        ("TE: gzip\nTE: trailers", &["connection: te", "te: trailers"]),
        ("Connection: upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: x", &[]),
        (
            "Connection: Upgrade\nUpgrade: websocket, h2c\nSec-WebSocket-Key: k\nSec-WebSocket-Version: 13",
            &["connection: upgrade", "sec-websocket-key: k", "sec-websocket-version: 13", "upgrade: websocket"],
        ),
        (
            "Connection: Upgrade, TE\nUpgrade: websocket\nTE: trailers",
            &["connection: upgrade, te", "te: trailers", "upgrade: websocket"],
        ),
        ("Trailer: X-Sum\nContent-Length: 5", &["content-length: 5"]),
        ("Trailer: X-Sum\nTransfer-Encoding: CHUNKED", &["trailer: X-Sum", "transfer-encoding: chunked"]),
    ];
    for (fields, expected) in cases {
        port.check(fields, CLIENT, &format!("Host: a\n{fields}"), &[&["host: a"], expected].concat());
    }
}

#[test]
fn hop_by_hop_fields_of_responses() {
    let upgrade = |fields: &str| {
        let head = request(&format!("GET / HTTP/1.1\nHost: a\n{fields}"));
        let facts = examine_request(&head).expect("examined");
        Upgrade::asked(&head, &facts, &["websocket".to_owned()])
    };
    let asked = upgrade("Connection: upgrade\nUpgrade: websocket");
    let cases = [
        ("200\nConnection: close, X-A, Set-Cookie\nX-A: 1\nSet-Cookie: a=b\nKeep-Alive: 5", "set-cookie: a=b"),
        ("200\nTransfer-Encoding: chunked\nTrailer: X-Sum\nX_Y: 1", "trailer: X-Sum\nx_y: 1"),
        ("200\nContent-Length: 5\nUpgrade: h2c", "content-length: 5"),
        ("204\nContent-Length: 0", ""),
        ("304\nContent-Length: 5", "content-length: 5"),
        ("407\nProxy-Authenticate: Basic\nProxy-Connection: close\nProxy-Authentication-Info: x", ""),
        (
            "101\nConnection: Upgrade, X-A\nUpgrade: websocket\nX-A: 1\nSec-WebSocket-Accept: k\nContent-Length: 0",
            "connection: upgrade\nsec-websocket-accept: k\nupgrade: websocket",
        ),
    ];
    for (head, expected) in cases {
        let mut parts = response(head);
        let facts = examine_response(&parts, asked.as_ref()).expect(head);
        strip_response(&mut parts.headers, &facts);
        assert_eq!(text(&parts.headers), expected, "{head}");
    }
}

#[test]
fn targets_become_origin_form_and_old_clients_get_a_host() {
    let port = Port::with(ForwardedHeaders::Off);
    let cases = [
        ("GET /a?b=%95%5C HTTP/1.1\nHost: h", "/a?b=%95%5C", "h"),
        ("GET http://h:80/a//../b? HTTP/1.1\nHost: H", "/a//../b?", "H"),
        ("GET http://h?x HTTP/1.1\nHost: h", "/?x", "h"),
        ("OPTIONS * HTTP/1.1\nHost: h", "*", "h"),
        ("GET / HTTP/1.0", "/", "192.0.2.10:8080"),
        ("GET http://h:8080/x HTTP/1.0", "/x", "h:8080"),
    ];
    for (head, target, host) in cases {
        let mut parts = request(head);
        port.prepare(CLIENT, &mut parts).expect(head);
        // As it is written; the text of a `Uri` adds a slash that is not there.
        let written = parts.uri.path_and_query().expect("a target").as_str();
        assert_eq!((written, parts.version), (target, http::Version::HTTP_11), "{head}");
        assert_eq!(parts.headers["host"], host, "{head}");
    }
}

#[test]
fn an_expectation_that_nobody_waits_for_is_not_passed_on() {
    let port = Port::with(ForwardedHeaders::Off);
    let mut waiting = request("PUT / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue");
    let mut bodyless = request("PUT / HTTP/1.1\nHost: a\nExpect: 100-continue");
    for head in [&mut waiting, &mut bodyless] {
        port.prepare(CLIENT, head).expect("prepared");
    }
    assert!(waiting.headers.contains_key("expect") && !bodyless.headers.contains_key("expect"));
}

/// Names that matter, in spellings that servers might read alike, and some that do not matter.
fn name() -> impl Strategy<Value = HeaderName> {
    let names = prop::sample::select(vec![
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-server",
        "x-real-ip",
        "forwarded",
        "true-client-ip",
        "client-cert",
        "connection",
        "keep-alive",
        "te",
        "upgrade",
        "trailer",
        "x-session",
        "proxy-connection",
        "proxy-authorization",
        "http2-settings",
        "cookie",
        "authorization",
        "accept",
        "content-type",
    ]);
    let separator = prop::sample::select(vec!["-", "-", "-", "_", ".", "$", "!"]);
    (names, separator, any::<bool>()).prop_map(|(name, separator, upper)| {
        let name = name.replace('-', separator);
        let name = if upper { name.to_uppercase() } else { name };
        HeaderName::from_bytes(name.as_bytes()).expect("a token")
    })
}

fn value() -> impl Strategy<Value = HeaderValue> {
    let known = prop::sample::select(vec![
        "evil",
        "close",
        "keep-alive",
        "upgrade",
        "websocket",
        "h2c",
        "trailers",
        "x-session, cookie",
        "te, x-forwarded-for",
        "upgrade, host, forwarded, content-length",
        "10.0.0.2",
        "for=10.0.0.2",
        "",
        ",",
        "X_Session",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "[ -~]{0,20}"]
        .prop_map(|text| HeaderValue::from_str(&text).expect("visible"))
}

fn head() -> impl Strategy<Value = http::request::Parts> {
    let path = "/[!$-;=@-Z_a-z~%\\\\]{0,20}(\\?[!$-;=?-~]{0,20})?";
    // Others are refused.
    let path = path.prop_filter("leads somewhere", |path| canonical_path(path.split('?').next().unwrap()).is_ok());
    let body =
        prop::sample::select(vec!["X-None: 1", "Content-Length: 0", "Content-Length: 5", "Transfer-Encoding: chunked"]);
    (path, body, prop::collection::vec((name(), value()), 0..12)).prop_map(|(path, body, fields)| {
        let mut head = request(&format!("POST {path} HTTP/1.1\nHost: a\n{body}"));
        for (name, value) in fields {
            head.headers.append(name, value);
        }
        head
    })
}

fn policy() -> impl Strategy<Value = Port> {
    use ForwardedHeaders::{Both, Forwarded, Off, XForwarded};
    prop::sample::select(vec![Both, Forwarded, Off, XForwarded]).prop_map(Port::with)
}

/// A name as the most careless server would read it.
fn careless(name: &HeaderName) -> String {
    name.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

const OURS: [&str; 5] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded"];

proptest! {
    /// After the filter no client-made trusted name in any spelling is left: what is there, we said.
    #[test]
    fn an_untrusted_client_says_nothing_of_itself(head in head(), port in policy()) {
        let mut said = head.clone();
        port.prepare(CLIENT, &mut said).expect("prepared");
        let mut silent = request("POST / HTTP/1.1\nHost: a");
        port.prepare(CLIENT, &mut silent).expect("prepared");
        for name in said.headers.keys() {
            let read = careless(name);
            if OURS.contains(&read.as_str()) {
                let lines = |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
                prop_assert_eq!(lines(&said.headers), lines(&silent.headers), "{}", name);
            }
            prop_assert!(!matches!(read.as_str(), "x-real-ip" | "true-client-ip" | "client-cert" | "x-forwarded-server"), "{}", name);
            prop_assert_eq!(name.as_str(), read, "no odd name is left");
        }
    }

    /// Stripping twice is stripping once.
    #[test]
    fn stripping_is_idempotent(head in head()) {
        let strip = |head: &mut http::request::Parts| {
            let facts = examine_request(head).expect("examined");
            let upgrade = Upgrade::asked(head, &facts, &["*".to_owned()]);
            strip_request(&mut head.headers, &facts, upgrade.as_ref());
        };
        let mut once = head;
        strip(&mut once);
        let mut twice = once.clone();
        strip(&mut twice);
        prop_assert_eq!(text(&once.headers), text(&twice.headers));
    }

    /// Nothing that concerns one connection reaches the server, and nothing that concerns everybody is lost.
    #[test]
    fn only_hop_by_hop_fields_are_lost(head in head(), port in policy()) {
        let mut prepared = head.clone();
        port.prepare(PROXY, &mut prepared).expect("prepared");
        for name in ["keep-alive", "proxy-connection", "proxy-authorization", "http2-settings"] {
            prop_assert!(!prepared.headers.contains_key(name), "{}", name);
        }
        let connection = prepared.headers.get("connection").map(|value| value.to_str().expect("text"));
        prop_assert!(matches!(connection, None | Some("te" | "upgrade" | "upgrade, te")));
        for name in ["host", "cookie", "authorization", "content-type", "content-length", "transfer-encoding", "accept"] {
            let lines = |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
            prop_assert_eq!(lines(&prepared.headers), lines(&head.headers), "{}", name);
        }
    }

    /// The bytes of path and query are the client's.
    #[test]
    fn path_bytes_are_never_touched(head in head(), port in policy()) {
        let mut prepared = head.clone();
        port.prepare(CLIENT, &mut prepared).expect("prepared");
        prop_assert_eq!(prepared.uri.to_string(), head.uri.to_string());
        let absolute: http::Uri = format!("http://a{}", head.uri).parse().expect("a URI");
        prop_assert_eq!(origin_form(absolute).to_string(), head.uri.to_string());
    }

    /// Whatever fields a server sends, a response is refused or loses all that concerned its connection.
    #[test]
    fn responses_are_stripped_or_refused(fields in prop::collection::vec((name(), value()), 0..12), status in 200u16..600) {
        let mut head = response(&status.to_string());
        for (name, value) in fields {
            head.headers.append(name, value);
        }
        if let Ok(facts) = examine_response(&head, None) {
            strip_response(&mut head.headers, &facts);
            for name in ["connection", "keep-alive", "te", "upgrade", "transfer-encoding", "proxy-connection"] {
                prop_assert!(!head.headers.contains_key(name), "{}", name);
            }
        }
    }

    /// Any head at all ends in facts or in a reason.
    #[test]
    fn no_head_is_too_strange(fields in prop::collection::vec(("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", "[ -~\u{80}-\u{ff}]{0,20}"), 0..20)) {
        let mut head = request("GET / HTTP/1.1\nHost: a");
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a token");
            head.headers.append(name, HeaderValue::from_bytes(value.trim().as_bytes()).expect("a value"));
        }
        let _ = Port::with(ForwardedHeaders::Both).prepare(PROXY, &mut head);
    }
}

#[test]
fn refusals_are_answered_with_their_word() {
    let head = request("GET / HTTP/1.1\nHost: a\nHost: b");
    let reason = examine_request(&head).expect_err("two hosts");
    let answer = reason.answer(&Method::GET);
    assert_eq!((answer.status().as_u16(), answer.headers()["tsuji-error"].as_bytes()), (400, &b"bad-host"[..]));
}

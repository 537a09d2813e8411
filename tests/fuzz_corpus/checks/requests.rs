//! What a client sends, what a server gets of it, and that both mean the same.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use http_body_util::Full;
use tsuji::message::codec::{OutgoingHead, write_chunk, write_last_chunk, write_request};
use tsuji::message::{
    Body, ClientView, ConnectionFacts, Proto, Upgrade, client_address, examine_request, prepare_request, take_private,
};
use tsuji::model::{ForwardedHeaders, Network};

use super::memory::served;
use super::{Target, bounded};

pub const TARGET: Target = Target { name: "requests", check };

/// Requests of one connection that are looked at.
const MOST_REQUESTS: usize = 50;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

static CONNECTION_FACTS: LazyLock<ConnectionFacts> =
    LazyLock::new(|| ConnectionFacts::new(PEER, SocketAddr::from(([192, 0, 2, 10], 8080)), Proto::Http));

fn check(data: &[u8]) {
    let seen = served(bounded(data), || Response::new(Full::default()));
    let everybody: [Network; 1] = ["203.0.113.0/24".parse().expect("a network")];
    for (head, body) in seen.requests.iter().take(MOST_REQUESTS) {
        for (trusted, forwarded) in [
            (&[][..], ForwardedHeaders::XForwarded),
            (&[][..], ForwardedHeaders::Both),
            (&everybody[..], ForwardedHeaders::Both),
        ] {
            let view = ClientView { connection: &CONNECTION_FACTS, trusted, forwarded };
            if let Some(forwarded) = forward(head, body.as_ref(), &view) {
                assert_one_meaning(&forwarded);
                if !view.trusts_peer() {
                    assert_only_we_speak_of_the_client(&forwarded.wire);
                }
            }
        }
    }
}

/// A request on its way to a server.
struct Forwarded {
    head: Parts,
    body: Bytes,
    framing: Body,
    wire: Vec<u8>,
}

/// As the proxy does it. `None`: the request is refused, or its body broke off.
fn forward(head: &Parts, body: Option<&Bytes>, view: &ClientView<'_>) -> Option<Forwarded> {
    let facts = examine_request(head).ok()?;
    let mut head = head.clone();
    let _address = client_address(view, &head.headers);
    let upgrade = Upgrade::asked(&head, &facts, &["websocket".to_owned()]);
    if view.trusts_peer() {
        let _private = take_private(&mut head.headers);
    }
    let target = head.uri.clone();
    let introduction = prepare_request(&mut head, &facts, view, upgrade.as_ref());
    assert_same_target(&target, &head.uri);
    let outgoing =
        OutgoingHead { method: &head.method, target: &head.uri, fields: &head.headers, unedited: &head.headers };
    let mut wire = Vec::new();
    write_request(outgoing, introduction, view.connection, |_| {}, &mut wire);
    let body = body?.clone();
    match facts.body() {
        Body::None => assert!(body.is_empty(), "a body that is not announced"),
        Body::Sized(length) => {
            assert_eq!(length, body.len() as u64);
            wire.extend_from_slice(&body);
        }
        Body::Chunked => {
            for chunk in body.chunks(1000) {
                write_chunk(chunk.len(), &mut wire);
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            write_last_chunk(None, &mut wire);
        }
    }
    Some(Forwarded { head, body, framing: facts.body(), wire })
}

/// Path and query are the client's bytes, but for the slash that `http://host?query` leaves out.
fn assert_same_target(client: &Uri, server: &Uri) {
    assert!(server.authority().is_none() && server.scheme().is_none());
    let (client, server) = (text_of(client), text_of(server));
    let slash = if client.starts_with('?') { "/" } else { "" };
    assert_eq!(server, format!("{slash}{client}"));
}

/// Whoever reads it strictly, whoever reads it as hyper does, and we ourselves find one request, the same.
fn assert_one_meaning(forwarded: &Forwarded) {
    let again = read_strictly(&forwarded.wire);
    let facts = examine_request(&again).expect("what we send we would take");
    assert_eq!(facts.body(), forwarded.framing);
    assert_eq!((&again.method, text_of(&again.uri)), (&forwarded.head.method, text_of(&forwarded.head.uri)));
    for (name, _) in &forwarded.head.headers {
        let values = |fields: &HeaderMap| fields.get_all(name).iter().cloned().collect::<Vec<HeaderValue>>();
        assert_eq!(values(&again.headers), values(&forwarded.head.headers), "{name}");
    }
    assert_hops_end_here(&again.headers);
    // Our own fields may be more than hyper takes.
    if again.headers.len() > 99 {
        return;
    }
    let next = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n".as_slice();
    let seen = served(&[&forwarded.wire, next].concat(), || Response::new(Full::default()));
    let paths: Vec<String> = seen.requests.iter().map(|(head, _)| text_of(&head.uri)).collect();
    assert_eq!(paths, [text_of(&forwarded.head.uri), "/next".to_owned()], "{}", forwarded.wire.escape_ascii());
    let (head, body) = &seen.requests[0];
    assert_eq!((&head.method, &head.headers), (&again.method, &again.headers));
    assert_eq!(body.as_ref(), Some(&forwarded.body));
}

fn text_of(uri: &Uri) -> String {
    uri.path_and_query().map_or("/".to_owned(), |target| target.as_str().to_owned())
}

/// Reads a head to the letter of RFC 9112: CRLF ends lines and stands nowhere else, single blanks, tokens.
fn read_strictly(wire: &[u8]) -> Parts {
    let end = wire.windows(4).position(|four| four == b"\r\n\r\n").expect("an empty line");
    let mut lines = wire[..end].split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let words: Vec<&[u8]> = lines.next().expect("a line").split(|&byte| byte == b' ').collect();
    let [method, target, b"HTTP/1.1"] = words.as_slice() else { panic_with("three words", wire) };
    assert!(!target.is_empty() && target.iter().all(|&byte| byte > b' ' && byte != 0x7f), "a target of one word");
    let mut head = Request::new(()).into_parts().0;
    head.method = method.to_owned().try_into().expect("a method");
    head.uri = (*target).try_into().expect("a target");
    head.version = Version::HTTP_11;
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':').expect("a colon");
        let value = line[colon + 1..].trim_ascii();
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "no line ends in values");
        let name = HeaderName::from_bytes(&line[..colon]).expect("a name that is a token");
        head.headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
    }
    head
}

#[track_caller]
fn panic_with(what: &str, wire: &[u8]) -> ! {
    panic!("{what}: {}", wire.escape_ascii())
}

/// What concerned the client's connection is gone, and framing is said once.
fn assert_hops_end_here(fields: &HeaderMap) {
    for name in ["keep-alive", "proxy-connection", "proxy-authorization", "http2-settings", "proxy-authenticate"] {
        assert!(!fields.contains_key(name), "{name}");
    }
    let once = |name: &HeaderName| fields.get_all(name).iter().count() <= 1;
    assert!(once(&HOST) && once(&CONTENT_LENGTH) && once(&TRANSFER_ENCODING) && once(&CONNECTION));
    assert!(fields.contains_key(HOST));
    assert!(!(fields.contains_key(CONTENT_LENGTH) && fields.contains_key(TRANSFER_ENCODING)));
    if let Some(encoding) = fields.get(TRANSFER_ENCODING) {
        assert_eq!(encoding, "chunked");
    }
    if let Some(connection) = fields.get(CONNECTION) {
        assert!(["te", "upgrade", "upgrade, te"].contains(&connection.to_str().expect("ours")));
    }
    let odd = |name: &HeaderName| name.as_str().bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'-');
    assert!(!fields.keys().any(odd), "names that servers read as others: {fields:?}");
}

/// A peer that is not trusted cannot say who it is.
fn assert_only_we_speak_of_the_client(wire: &[u8]) {
    let fields = read_strictly(wire).headers;
    for value in fields.get_all("x-forwarded-for") {
        assert_eq!(value, "203.0.113.9");
    }
    for value in fields.get_all("forwarded") {
        assert!(value.as_bytes().starts_with(b"for=203.0.113.9;"), "{value:?}");
    }
    for name in ["x-real-ip", "true-client-ip", "x-client-ip", "client-ip", "x-original-url", "x-rewrite-url", "$wsra"]
    {
        assert!(!fields.contains_key(name), "{name}");
    }
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-host", "forwarded"] {
        assert!(fields.get_all(name).iter().count() <= 1, "{name}");
    }
}

//! What a server answers, hostile ones included, and what a client gets of it.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::Full;
use hyper::ext::ReasonPhrase;
use tsuji::message::codec::{BadHead, MAX_RESPONSE_HEAD, Read, parse_response};
use tsuji::message::{ResponseFacts, ResponseLength, Upgrade, examine_request, examine_response, strip_response};

use super::chunked::decode;
use super::memory::served;
use super::{Target, bounded, cuts};

pub const TARGET: Target = Target { name: "responses", check };

static WEBSOCKET: LazyLock<Upgrade> = LazyLock::new(|| {
    let asking = Request::get("/").header("host", "a").header("connection", "upgrade").header("upgrade", "websocket");
    let (head, ()) = asking.body(()).expect("a request").into_parts();
    let facts = examine_request(&head).expect("a good one");
    Upgrade::asked(&head, &facts, &["websocket".to_owned()]).expect("an upgrade")
});

fn check(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(bounded(data));
    let whole = summary(&bytes);
    for cut in cuts(bytes.len()) {
        let early = summary(&bytes.slice(..cut));
        assert!(early == Ok(None) || early == whole, "{cut} bytes are {early:?}, all are {whole:?}");
    }
    let mut rest = bytes;
    // Interim responses come before the final one.
    for _ in 0..20 {
        let Ok(Some(read)) = parse_response(&rest, &mut HeaderMap::new()) else { return };
        assert!(read.len <= rest.len() && read.head.headers.len() <= 100);
        rest = rest.slice(read.len..);
        if !read.head.status.is_informational() || read.head.status == 101 {
            return answered(read, &rest);
        }
    }
}

/// What of a head can be compared.
type Summary = (u16, Version, Vec<(String, Vec<u8>)>, Option<Bytes>, usize);

fn summary(bytes: &Bytes) -> Result<Option<Summary>, BadHead> {
    let read = parse_response(bytes, &mut HeaderMap::new())?;
    if read.is_none() {
        assert!(bytes.len() < MAX_RESPONSE_HEAD, "no more than that is waited for");
    }
    Ok(read.map(|Read { head, reason, len }| {
        let fields = head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        (head.status.as_u16(), head.version, fields.collect(), reason, len)
    }))
}

fn answered(read: Read, rest: &Bytes) {
    let unasked = examine_response(&read.head, None);
    let asked = examine_response(&read.head, Some(&WEBSOCKET));
    if read.head.status == 101 {
        assert!(unasked.is_err(), "nobody asked for it");
        if let Ok(facts) = asked {
            assert!(facts.switches() && facts.length(&Method::GET) == ResponseLength::None);
        }
        return;
    }
    let Ok(facts) = unasked else { return };
    assert!(asked.is_ok() && !facts.switches());
    assert_eq!(facts.length(&Method::HEAD), ResponseLength::None);
    passed_on(&read, &facts, Some(Bytes::new()), &Method::HEAD);
    passed_on(&read, &facts, body(facts.length(&Method::GET), rest), &Method::GET);
}

/// `None`: the response breaks off.
fn body(length: ResponseLength, rest: &Bytes) -> Option<Bytes> {
    match length {
        ResponseLength::None => Some(Bytes::new()),
        ResponseLength::Sized(length) => {
            let length = usize::try_from(length).ok().filter(|&length| length <= rest.len())?;
            Some(rest.slice(..length))
        }
        ResponseLength::Chunked => {
            let decoded = decode([rest.as_ref()]);
            decoded.end.ok().flatten().map(|_| decoded.data.into())
        }
        ResponseLength::UntilClose => Some(rest.clone()),
    }
}

/// The client gets one response with the same status, fields and body, and nothing behind it.
fn passed_on(read: &Read, facts: &ResponseFacts, body: Option<Bytes>, method: &Method) {
    // hyper adds two fields of its own, and we take no more than a hundred.
    let Some(body) = body.filter(|_| read.head.headers.len() <= 98) else { return };
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = read.head.status;
    head.headers = read.head.headers.clone();
    strip_response(&mut head.headers, facts);
    if let Some(phrase) = read.reason.clone().and_then(|reason| ReasonPhrase::try_from(reason).ok()) {
        head.extensions.insert(phrase);
    }
    let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
    let seen = served(request.as_bytes(), || Response::from_parts(head.clone(), Full::new(body.clone())));
    let answer = Bytes::from(seen.answer);
    let again = parse_response(&answer, &mut HeaderMap::new()).expect("what we send we would take").expect("whole");
    let rest = answer.slice(again.len..);
    assert_eq!(again.head.status, read.head.status);
    assert_eq!(again.reason, read.reason);
    for (name, _) in &head.headers {
        // The client's own; hyper sees to them.
        if ["connection", "content-length", "transfer-encoding", "trailer"].contains(&name.as_str()) {
            continue;
        }
        let values = |fields: &HeaderMap| fields.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(values(&again.head.headers), values(&head.headers), "{name}");
    }
    let facts = examine_response(&again.head, None).expect("one meaning");
    match facts.length(method) {
        ResponseLength::None => assert!(rest.is_empty() && body.is_empty()),
        ResponseLength::Sized(length) => assert_eq!((length, &rest), (body.len() as u64, &body)),
        ResponseLength::Chunked => {
            let decoded = decode([rest.as_ref()]);
            assert_eq!((decoded.data, decoded.end), (body.to_vec(), Ok(Some(0))));
        }
        ResponseLength::UntilClose => assert_eq!(rest, body),
    }
}

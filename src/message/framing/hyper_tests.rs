//! What hyper shows of what a client sent: the tables in the room's documentation, held to the code.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, request};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

/// The requests that came out of a connection, each with its body, and what was answered.
struct Seen {
    requests: Vec<(request::Parts, Option<Bytes>)>,
    answer: String,
}

/// Sends `raw` to a server that answers everything with an empty 200.
fn served(raw: impl AsRef<[u8]>) -> Seen {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let answer = block_on(async {
        let (mut client, server) = duplex(1 << 20);
        client.write_all(raw.as_ref()).await.expect("written");
        client.shutdown().await.expect("shut down");
        let service = service_fn(|request: Request<Incoming>| {
            let requests = Arc::clone(&requests);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).ok();
                requests.lock().expect("not poisoned").push((head, body));
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let mut connection = hyper::server::conn::http1::Builder::new();
        let _ = connection.half_close(true).serve_connection(TokioIo::new(server), service).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("read");
        answer
    });
    let requests = std::mem::take(&mut *requests.lock().expect("not poisoned"));
    Seen { requests, answer }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

#[test]
fn refused_by_hyper_itself() {
    let cases = [
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /< HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /` HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /?\" HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /?> HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
    ];
    for (raw, status) in cases {
        let seen = served(raw);
        assert!(seen.requests.is_empty(), "{raw}");
        assert_eq!(seen.answer.split(' ').nth(1).unwrap_or(""), status, "{raw}");
    }
    let latin = served(b"GET /caf\xe9 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(latin.answer.starts_with("HTTP/1.1 400"));
    let long = served(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(65_534)));
    assert!(long.answer.starts_with("HTTP/1.1 414"));
    let many = served(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(100)));
    assert!(many.answer.starts_with("HTTP/1.1 431"));
}

#[test]
fn a_length_beside_an_encoding_is_hidden_and_the_connection_closes() {
    let orders = [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Transfer-Encoding: chunked\r\nContent-Length: nonsense",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nContent-Length: 4",
    ];
    for fields in orders {
        let seen = served(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n2\r\nhi\r\n0\r\n\r\n{NEXT}"));
        let [(head, body)] = seen.requests.as_slice() else { panic!("{fields}: {}", seen.requests.len()) };
        assert_eq!(examine_request(head).map(|facts| facts.body()), Ok(Body::Chunked), "{fields}");
        assert!(!head.headers.contains_key("content-length"), "{fields}");
        assert_eq!(body.as_deref(), Some(&b"hi"[..]), "{fields}");
        assert!(seen.answer.contains("connection: close"), "{fields}");
    }
}

#[test]
fn heads_that_look_clean_after_hyper() {
    let cases = [
        ("equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi"),
        ("bare line feeds", "POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\nhi"),
        ("empty lines first", "\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
        ("blanks around values", "POST / HTTP/1.1\r\nHost: \t a \t\r\nContent-Length:2  \r\n\r\nhi"),
        ("a fragment", "POST /#x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
    ];
    for (story, raw) in cases {
        let seen = served(format!("{raw}{NEXT}"));
        let [(head, body), (next, _)] = seen.requests.as_slice() else { panic!("{story}: {}", seen.requests.len()) };
        assert_eq!(examine_request(head).map(|facts| facts.body()), Ok(Body::Sized(2)), "{story}");
        assert_eq!(lines(&head.headers, "content-length"), ["2"], "{story}");
        assert_eq!((head.uri.to_string().as_str(), body.as_deref()), ("/", Some(&b"hi"[..])), "{story}");
        assert_eq!(next.uri.path(), "/next", "{story}");
    }
}

#[test]
fn an_absolute_target_without_a_path_has_one() {
    let seen = served("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(seen.requests[0].0.uri.path(), "/");
}

#[test]
fn chunks_are_read_in_one_way_or_not_at_all() {
    let chunked = |body: &str| {
        let seen = served(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        seen.requests.into_iter().next().and_then(|(_, body)| body)
    };
    for good in ["2\r\nhi\r\n0\r\n\r\n", "2;x=y\r\nhi\r\n0\r\n\r\n", "2 \r\nhi\r\n0\r\n\r\n", "0002\r\nhi\r\n0\r\n\r\n"]
    {
        assert_eq!(chunked(good).as_deref(), Some(&b"hi"[..]), "{good}");
    }
    for bad in [
        "2\nhi\r\n0\r\n\r\n",
        "0x2\r\nhi\r\n0\r\n\r\n",
        "+2\r\nhi\r\n0\r\n\r\n",
        " 2\r\nhi\r\n0\r\n\r\n",
        "2;x\nhi\r\n0\r\n\r\n",
        "2\r\nhi0\r\n\r\n",
        "ffffffffffffffff1\r\nhi",
        "2\r\nhi",
    ] {
        assert_eq!(chunked(bad), None, "{bad}");
    }
}

#[test]
fn everything_a_check_needs_is_visible() {
    let seen = served("GET / HTTP/1.1\r\nHOST: a\r\nhost: b\r\nConnection: a\r\nConnection: b\r\nX_Y: 1\r\n\r\n");
    let head = &seen.requests[0].0;
    assert_eq!(lines(&head.headers, "host"), ["a", "b"]);
    assert_eq!(lines(&head.headers, "connection"), ["a", "b"]);
    assert!(head.headers.contains_key("x_y"));
    let seen = served("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(lines(&seen.requests[0].0.headers, "transfer-encoding"), ["gzip, chunked"]);
}

#[test]
fn path_bytes_come_through() {
    for path in ["/%95%5C", "/a//b/../c;d?e=%zz&f", "/\"|{}^\\[]'", "/?|{}^`\\[]'", "/a?b?c", "/ü", "/%2e%2E/%00"] {
        let seen = served(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(seen.requests.first().map(|(head, _)| head.uri.to_string()).as_deref(), Some(path));
    }
}

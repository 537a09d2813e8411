//! Whole responses through the codec, and beside hyper's client, which reads the same bytes.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, response};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::super::framing::{ResponseFault, ResponseLength, examine_response};
use super::*;

/// What we make of the server's answer `raw` to a GET, after which it closes.
fn read(raw: &[u8]) -> Result<(response::Parts, Bytes), String> {
    let mut bytes = Bytes::copy_from_slice(raw);
    let (head, length) = loop {
        let read = parse_response(&bytes, &mut HeaderMap::new()).map_err(|fault| fault.to_string())?;
        let read = read.ok_or("the head is not whole")?;
        bytes = bytes.slice(read.len..);
        if !read.head.status.is_informational() {
            let facts = examine_response(&read.head, None).map_err(|fault| fault.to_string())?;
            break (read.head, facts.length(&Method::GET));
        }
    };
    let body = match length {
        ResponseLength::None => Bytes::new(),
        ResponseLength::UntilClose => bytes,
        ResponseLength::Sized(left) => {
            let left = usize::try_from(left).map_err(|_| "too long")?;
            bytes.get(..left).map(Bytes::copy_from_slice).ok_or("the body is cut short")?
        }
        ResponseLength::Chunked => unchunked(bytes)?,
    };
    Ok((head, body))
}

fn unchunked(mut bytes: Bytes) -> Result<Bytes, String> {
    let (mut chunked, mut body) = (Chunked::default(), Vec::new());
    loop {
        match chunked.next(&mut bytes).map_err(|fault| fault.to_string())? {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::Trailers(_) | Piece::End => return Ok(body.into()),
            Piece::More => return Err("the body is cut short".to_owned()),
        }
    }
}

/// What hyper's client makes of it.
fn fetched(raw: &[u8]) -> Result<(response::Parts, Option<Bytes>), hyper::Error> {
    block_on(async {
        let (client, mut server) = duplex(1 << 20);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await?;
        let request = Request::get("/").header("host", "a").body(Empty::<Bytes>::new()).expect("a request");
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok((head, body.collect().await.map(|body| body.to_bytes()).ok()))
        };
        let server = async {
            let request = server.read(&mut [0; 1024]).await.expect("a request");
            assert!(request > 0);
            server.write_all(raw).await.expect("written");
            server.shutdown().await.expect("shut down");
        };
        let (exchanged, _, ()) = tokio::join!(exchange, connection, server);
        exchanged
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

#[test]
fn responses() {
    let good = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi"),
        ("HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\nSum: 1\r\n\r\n", "hi"),
        ("HTTP/1.1 200 OK\r\n\r\nhi", "hi"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""),
        // A bare LF is a line end, and the head goes out with CRLF.
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "hi"),
    ];
    for (raw, body) in good {
        assert_eq!(read(raw.as_bytes()).map(|(_, body)| body).as_deref(), Ok(body.as_bytes()), "{raw}");
    }
    let refused = [
        ("Content-Length: 2\r\nContent-Length: 2", ResponseFault::SeveralLengths),
        ("Content-Length: 2\r\nContent-Length: 3", ResponseFault::SeveralLengths),
        ("Content-Length: 2, 2", ResponseFault::BadLength),
        ("Content-Length: x", ResponseFault::BadLength),
        ("Content-Length: +2", ResponseFault::BadLength),
        ("Content-Length: 99999999999999999999", ResponseFault::BadLength),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked", ResponseFault::LengthAndEncoding),
        ("Transfer-Encoding: gzip", ResponseFault::BadTransferEncoding),
        ("Transfer-Encoding: gzip, chunked", ResponseFault::BadTransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", ResponseFault::BadTransferEncoding),
    ];
    for (fields, fault) in refused {
        let raw = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhi");
        assert_eq!(read(raw.as_bytes()).err(), Some(fault.to_string()), "{fields}");
    }
    let old = read(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(old.err(), Some(ResponseFault::EncodingOnOldVersion.to_string()));
    for raw in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n",
        "HTTP/1.1 103 Early\r\n\r\n",
    ] {
        assert!(read(raw.as_bytes()).is_err(), "{raw}: a response cut short is not a whole one");
    }
}

/// A response put together of parts that servers send, right and wrong.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 404 Not Here",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 X",
        "HTTP/1.1 200",
    ]);
    let field = prop::sample::select(vec![
        "Content-Length: 5",
        "Content-Length: 0",
        "Content-Length: 7",
        "Transfer-Encoding: chunked",
        "Connection: close",
        "X: y",
        "Server:",
        "Set-Cookie: a=b; c",
        "Transfer-Encoding: identity",
        "Content-Length: 5, 5",
        "A : b",
        " folded",
    ]);
    let body =
        prop::sample::select(vec!["", "hello", "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n", "hello, world", "5\r\nhel"]);
    (line, prop::collection::vec(field, 0..4), body, any::<u16>(), 0u8..4).prop_map(
        |(line, fields, body, place, change)| {
            let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
            let mut raw = format!("{line}\r\n{fields}\r\n{body}").into_bytes();
            let place = usize::from(place) % raw.len();
            match change {
                1 => raw.truncate(place),
                2 => raw[place] = raw[place].wrapping_add(1),
                3 => raw.insert(place, b'0'),
                _ => {}
            }
            raw
        },
    )
}

proptest! {
    /// What we pass on is what hyper would have: where the two differ, we refuse.
    #[test]
    fn nothing_is_read_otherwise_than_by_hyper(raw in response()) {
        if let Ok((head, body)) = read(&raw) {
            let (reference, bytes) = fetched(&raw).expect("hyper takes it too");
            prop_assert_eq!((head.status, head.version), (reference.status, reference.version));
            prop_assert_eq!(head.headers, reference.headers);
            prop_assert_eq!(Some(body), bytes);
        }
    }
}

//! What servers answer that could be read in two ways: a client gets it whole and as it was meant, or sees that it broke.
//! Nobody else gets anything of it.

use http::Request;

use crate::support::http2::{Http2, story};
use crate::support::{Origin, Setup, Site};

/// What a client has to get.
#[derive(Clone, Copy)]
enum Means {
    /// This status and body, and the server's connection is used again.
    Whole(u16, &'static str),
    /// The same, but the connection has said too much or too little to be used again.
    Once(u16, &'static str),
    /// 502 in its place.
    Refused,
    /// Its head, perhaps, and never a regular end.
    Broken,
}

use Means::{Broken, Once, Refused, Whole};

/// To a GET, and what becomes of it. All connections are closed by the server when the text is over and it has said so by
/// ending with `<end>`.
const CASES: [(&str, Means); 45] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Whole(200, "hello")),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", Whole(200, "hi")),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0;c\r\nX-Sum: 1\r\n\r\n", Whole(200, "hi")),
    ("HTTP/1.1 200 OK\r\n\r\nhello<end>", Once(200, "hello")),
    ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", Once(200, "hello")),
    ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", Once(200, "hello")),
    ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", Once(200, "hello")),
    // Two framings, or one that nobody knows.
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", Refused),
    ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello<end>", Refused),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused),
    // Heads that split where they should not.
    ("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", Refused),
    ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 5\r\n\r\nhello", Refused),
    ("HTTP/1.1 200 OK\r\nX: y\0z\r\nContent-Length: 5\r\n\r\nhello", Refused),
    ("HTTP/1.1 200 OK\r\nX: y\rContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello", Refused),
    ("HTTP/2 200 OK\r\nContent-Length: 5\r\n\r\nhello", Refused),
    ("200 OK\r\nContent-Length: 5\r\n\r\nhello", Refused),
    // More than a response.
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        Once(200, "hello"),
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        Once(200, "hi"),
    ),
    ("HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison", Once(204, "")),
    ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n", Once(204, "")),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison", Once(304, "")),
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n", Whole(304, "")),
    // Words before the word.
    (
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        Whole(200, "hello"),
    ),
    (
        "HTTP/1.1 100 Continue\r\nContent-Length: 6\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        Whole(200, "hello"),
    ),
    ("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\npoison", Refused),
    // Too little.
    ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello<end>", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n<end>", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n<end>", Broken),
    // Chunks that are none.
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nhello\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n", Broken),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\na: 1\n\nb: 2\r\n\r\n", Broken),
];

/// Answers the first request of each connection with these bytes, and all later ones with `again`.
fn origin(said: &'static str) -> Origin {
    Origin::new(move |visit| {
        let (text, ends) = said.strip_suffix("<end>").map_or((said, false), |text| (text, true));
        if visit.request().is_none() {
            return;
        }
        visit.send(text);
        while !ends && visit.request().is_some() {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain");
        }
    })
}

fn site(origin: &Origin) -> Site {
    Setup::http(&[origin]).change(|port| port.http2 = true).start()
}

/// What one client made of a response: its status and body, or nothing regular.
type Got = Option<(u16, String)>;

fn check(said: &str, means: Means, got: &Got, origin: &Origin, again: impl FnOnce() -> Got) {
    let (expected, is_kept) = match means {
        Whole(status, body) => (Some((status, body.to_owned())), true),
        Once(status, body) => (Some((status, body.to_owned())), false),
        Refused => (Some((502, "502 Bad Gateway (bad-response)\n".to_owned())), false),
        Broken => (None, false),
    };
    assert_eq!(got, &expected, "{said:?}");
    let again = again();
    if is_kept {
        assert_eq!((again, origin.connections()), (Some((200, "again".to_owned())), 1), "{said:?}");
    } else {
        // Whoever comes next gets what a new connection says, and nothing that was left of the old one.
        assert_eq!((again, origin.connections()), (expected, 2), "{said:?}");
    }
}

#[test]
fn whole_and_meant_or_visibly_broken_for_a_client_of_http11() {
    for (said, means) in CASES {
        let origin = origin(said);
        let site = site(&origin);
        let ask = || {
            let mut client = site.client();
            let answer = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_answer("GET").ok()?;
            Some((answer.status, answer.text().to_owned()))
        };
        let got = ask();
        check(said, means, &got, &origin, ask);
    }
}

#[test]
fn whole_and_meant_or_visibly_broken_for_a_client_of_http2() {
    for (said, means) in CASES {
        let origin = origin(said);
        let site = site(&origin);
        let ask = || {
            story(async {
                let mut client = Http2::plain(site.address).await;
                let answer = client.ask(Request::get("http://a/").body(()).unwrap()).await.ok()?;
                Some((answer.status(), answer.text().to_owned()))
            })
        };
        let got = ask();
        check(said, means, &got, &origin, ask);
    }
}

/// An answer to HEAD has no body, whatever it says and whatever comes.
#[test]
fn an_answer_to_head_has_no_body() {
    for (said, is_kept) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false),
    ] {
        let origin = Origin::saying(said);
        let site = site(&origin);
        let mut client = site.client();
        assert_eq!((client.head("/").status, client.head("/").status), (200, 200), "{said:?}");
        story(async {
            let mut client = Http2::plain(site.address).await;
            let answer = client.ask(Request::head("http://a/").body(()).unwrap()).await.unwrap();
            assert_eq!((answer.status(), answer.text()), (200, ""), "{said:?}");
        });
        assert_eq!(origin.connections(), if is_kept { 1 } else { 3 }, "{said:?}");
    }
}

/// A body that must not be, and comes when the head was passed on already: nobody gets it for an answer. The client has its
/// head before the body leaves the server, so what finds it is a look at the socket.
#[test]
fn a_body_that_comes_behind_an_answer_to_head_is_nobodys() {
    for head in ["HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"] {
        for _ in 0..20 {
            let (late, sent) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
            let gates = std::sync::Arc::new((late, sent));
            let server = std::sync::Arc::clone(&gates);
            let origin = Origin::new(move |visit| {
                while let Some(request) = visit.request() {
                    if !request.starts_with("HEAD") {
                        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
                        continue;
                    }
                    visit.send(head);
                    server.0.wait();
                    visit.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
                    server.1.wait();
                }
            });
            let site = site(&origin);
            let (mut first, mut second) = (site.client(), site.client());
            first.head("/");
            gates.0.wait();
            gates.1.wait();
            assert_eq!(second.get("/").text(), "other", "{head:?}");
        }
    }
}

/// A flood of interim responses is no response, and what comes behind the flood is nobody's.
#[test]
fn interim_responses_without_end() {
    let flood = format!("{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", "HTTP/1.1 102 P\r\n\r\n".repeat(17));
    let origin = Origin::saying(flood);
    let site = site(&origin);
    assert_eq!(site.client().get("/").reason(), Some("bad-response"));
    story(async {
        let mut client = Http2::plain(site.address).await;
        assert_eq!(client.get("/").await.reason(), Some("bad-response"));
    });
    assert_eq!(origin.connections(), 2);
}

/// A server that speaks before it is asked: its words are no answer to whoever asks next.
#[test]
fn a_response_before_the_request() {
    let origin = Origin::new(|visit| {
        if visit.number == 0 {
            visit.request();
            // Both arrive before the second request is sent over this connection.
            visit.send(
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            );
            visit.wait_for_end();
            return;
        }
        while visit.request().is_some() {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
        }
    });
    let site = site(&origin);
    assert_eq!(site.client().get("/").text(), "first");
    assert_eq!(site.client().get("/").text(), "good");
    story(async { assert_eq!(Http2::plain(site.address).await.get("/").await.text(), "good") });
}

/// Values that a server made of what a client sent, with line breaks in them as far as they get here.
#[test]
fn a_value_never_becomes_a_second_response() {
    for (value, shown) in [
        ("/a\u{1}b", None),
        ("/a\u{7f}b", None),
        ("/a\0b", None),
        ("/a\rSet-Cookie: b", None),
        ("/a%0d%0aSet-Cookie:%20b", Some("/a%0d%0aSet-Cookie:%20b")),
        ("/a\u{e5}\u{98}\u{8a}Set-Cookie: b", Some("Set-Cookie: b")),
    ] {
        let origin = Origin::saying(format!("HTTP/1.1 302 Found\r\nLocation: {value}\r\nContent-Length: 0\r\n\r\n"));
        let site = site(&origin);
        let answer = site.client().get("/");
        assert_eq!(answer.fields("set-cookie").count(), 0, "{value:?}");
        match shown {
            None => assert_eq!(answer.reason(), Some("bad-response"), "{value:?}"),
            Some(shown) => assert!(answer.field("location").unwrap().contains(shown), "{value:?}"),
        }
        story(async {
            let answer = Http2::plain(site.address).await.get("/").await;
            assert!(!answer.head.headers().contains_key("set-cookie"), "{value:?}");
            assert_eq!(answer.status(), if shown.is_some() { 302 } else { 502 }, "{value:?}");
        });
    }
}

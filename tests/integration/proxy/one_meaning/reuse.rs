//! A server's connection carries another request only if both sides of it are where they should be: after an error, an answer
//! that came too early or a body that was not sent to its end, it is closed.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio_rustls::TlsAcceptor;

use crate::support::http2::{Http2, send, story, until};
use crate::support::secure::{Front, Issuer};
use crate::support::{Origin, Setup, Site, Visit};

use super::super::tls_servers::{NAME, link};

/// TLS in front of a server.
fn veil(inside: SocketAddr, issuer: &Issuer) -> SocketAddr {
    let config = Arc::clone(Front::with(&[&issuer.certificate(&[NAME])]).build().config());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(Arc::clone(&config));
                tokio::spawn(async move {
                    let mut outside = acceptor.accept(stream).await.ok()?;
                    let mut inside = tokio::net::TcpStream::connect(inside).await.ok()?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await.ok()
                });
            }
        });
    });
    address
}

/// The port before a server that is spoken to plainly or inside TLS, for clients of both protocols.
fn site(origin: &Origin, secure: bool) -> Site {
    let change = |port: &mut tsuji::model::Port| {
        port.http2 = true;
        port.timeouts.body = Duration::from_millis(300);
    };
    if !secure {
        return Setup::http(&[origin]).change(change).start();
    }
    let issuer = Issuer::new("servers");
    let (settings, link) = link(&issuer, |_, _| ());
    let address = veil(origin.address(), &issuer);
    let mut setup = Setup::with_addresses(tsuji::model::ForwardingMethod::Http, vec![address]);
    setup.port.servers[0].proxied.tls = Some(settings);
    setup.links = vec![Some(link)];
    setup.change(change).start()
}

/// What goes wrong with the first request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    /// Nothing does.
    Nothing,
    /// The server answers before it has the body, which the client goes on to send or not.
    Early,
    /// The client gives its upload up.
    Abandoned,
    /// The client sends nothing more of its upload.
    Stuck,
    /// The client leaves while the response is on its way.
    Left,
    /// The response is none.
    Nonsense,
    /// Its body breaks off.
    Short,
}

const ALL: [Wrong; 7] =
    [Wrong::Nothing, Wrong::Early, Wrong::Abandoned, Wrong::Stuck, Wrong::Left, Wrong::Nonsense, Wrong::Short];

/// A server that does its part of it, and honestly serves every other request.
fn origin(wrong: Wrong) -> Origin {
    Origin::new(move |visit| {
        while let Some(head) = visit.request() {
            if head.contains(" /first ") && !first(visit, wrong, &head) {
                return;
            }
            if !head.contains(" /first ") {
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
            }
        }
    })
}

/// `false`: the server ends the connection.
fn first(visit: &mut Visit, wrong: Wrong, head: &str) -> bool {
    match wrong {
        Wrong::Nothing => {
            visit.body_of(head);
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        }
        Wrong::Early => {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        }
        Wrong::Abandoned | Wrong::Stuck => {
            visit.body_of(head);
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        }
        Wrong::Left => {
            visit.body_of(head);
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst");
        }
        Wrong::Nonsense => {
            visit.body_of(head);
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\npoison");
        }
        Wrong::Short => {
            visit.body_of(head);
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
            return false;
        }
    }
    true
}

/// A client of HTTP/1.1 has its part of it.
fn by_http11(site: &Site, origin: &Origin, wrong: Wrong) {
    let mut client = site.client();
    let head = "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    match wrong {
        Wrong::Early | Wrong::Stuck => {
            client.send(head).send("bo");
            let answer = client.answer();
            let expected = if wrong == Wrong::Early { (200, None) } else { (408, Some("body-timeout")) };
            assert_eq!((answer.status, answer.reason()), expected, "{wrong:?}");
            assert!(client.rest().is_ok_and(|rest| rest.is_empty()), "{wrong:?}: nor is the client's connection");
        }
        Wrong::Abandoned => {
            client.send(head).send("bo");
            site.until("the server has begun", |_| origin.heads().len() == 1);
        }
        Wrong::Left => {
            client.send(head).send("body");
            assert!(client.line().unwrap().contains("200"));
        }
        Wrong::Nothing | Wrong::Nonsense => {
            let status = client.send(head).send("body").answer().status;
            assert_eq!(status, if wrong == Wrong::Nothing { 200 } else { 502 });
        }
        Wrong::Short => assert!(client.send(head).send("body").try_answer("POST").is_err()),
    }
}

fn by_http2(site: &Site, origin: &Origin, wrong: Wrong) {
    story(async {
        let mut client = Http2::plain(site.address).await;
        let request = Request::post("http://a/first").header("content-length", 4).body(()).unwrap();
        match wrong {
            Wrong::Early | Wrong::Stuck | Wrong::Abandoned => {
                let (response, mut stream) = client.begin(request, false).await;
                send(&mut stream, b"bo").await;
                if wrong == Wrong::Abandoned {
                    until(site, |_| origin.heads().len() == 1).await;
                    stream.send_reset(h2::Reason::CANCEL);
                    return;
                }
                let status = response.await.unwrap().status();
                assert_eq!(status, if wrong == Wrong::Early { 200 } else { 408 }, "{wrong:?}");
            }
            Wrong::Left => {
                let (response, mut stream) = client.begin(request, false).await;
                stream.send_data("body".into(), true).unwrap();
                let response = response.await.unwrap();
                assert_eq!(response.status(), 200);
                stream.send_reset(h2::Reason::CANCEL);
            }
            Wrong::Nothing | Wrong::Nonsense => {
                let status = client.post(request, b"body").await.unwrap().status();
                assert_eq!(status, if wrong == Wrong::Nothing { 200 } else { 502 });
            }
            Wrong::Short => assert!(client.post(request, b"body").await.is_err()),
        }
    });
}

fn check(wrong: Wrong, secure: bool, way: impl Fn(&Site, &Origin, Wrong)) {
    let origin = origin(wrong);
    let site = site(&origin, secure);
    way(&site, &origin, wrong);
    site.until("it is over", |site| site.server(0).active == 0);
    assert_eq!(site.client().get("/other").text(), "other", "{wrong:?}, TLS {secure}");
    let expected = if wrong == Wrong::Nothing { 1 } else { 2 };
    assert_eq!(origin.connections(), expected, "{wrong:?}, TLS {secure}");
}

#[test]
fn after_a_request_of_http11_that_went_wrong() {
    for wrong in ALL {
        check(wrong, false, by_http11);
    }
}

#[test]
fn after_a_request_of_http11_that_went_wrong_at_a_server_inside_tls() {
    for wrong in ALL {
        check(wrong, true, by_http11);
    }
}

#[test]
fn after_a_request_of_http2_that_went_wrong() {
    for wrong in ALL {
        check(wrong, false, by_http2);
    }
}

#[test]
fn after_a_request_of_http2_that_went_wrong_at_a_server_inside_tls() {
    for wrong in ALL {
        check(wrong, true, by_http2);
    }
}

/// An answer of ours to a request whose body was not read: what follows is no request (CVE-2025-4366 and its kin).
#[test]
fn a_body_that_nobody_read_is_not_the_next_request() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).all_down().start();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = |expect: &str| {
        format!("POST /a HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: {}\r\n\r\n{smuggled}", smuggled.len())
    };
    let mut client = site.client();
    assert_eq!(client.send(post("")).answer().status, 503);
    // It was here and is read: the connection goes on with what is behind it.
    site.change(|setup| setup.standings[0] = tsuji::model::Standing::Usable);
    assert!(client.get("/next").text().starts_with("GET /next "));
    site.change(|setup| setup.standings[0] = tsuji::model::Standing::Out);
    // One that its client would hold back is not asked for: the connection ends.
    let mut client = site.client();
    let answer = client.send(post("Expect: 100-continue\r\n")).answer();
    assert_eq!((answer.status, answer.field("connection")), (503, Some("close")));
    assert!(client.rest().is_ok_and(|rest| rest.is_empty()));
    // One that is longer than what is read of it for nothing.
    let mut client = site.client();
    client.send(format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n{smuggled}"));
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (503, Some("close")));
    assert!(client.rest().is_ok_and(|rest| rest.is_empty()));
    assert!(origin.heads().iter().all(|head| !head.contains("smuggled")));
}

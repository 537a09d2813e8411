//! HTTP/2 with servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tsuji::message::ErrorReason;
use tsuji::model::{AppProtocol, ProxyVersion};

use super::tls_servers::{SecureOrigin, link};
use crate::support::http2::{Http2, send, story, until, whole};
use crate::support::secure::{Front, Issuer};
use crate::support::{Setup, Site};

/// A server that speaks HTTP/2 and nothing else, on a thread of its own.
struct Origin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Origin {
    fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let number = count.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(accept(stream, tls.clone(), number));
                }
            });
        });
        Self { address, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn accept(stream: TcpStream, tls: Option<Arc<ServerConfig>>, number: usize) {
    stream.set_nodelay(true).unwrap();
    match tls {
        None => serve(stream, number).await,
        Some(tls) => {
            if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                serve(stream, number).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, number: usize) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        if request.uri().path() == "/leave" && number == 0 {
            // The last one.
            connection.graceful_shutdown();
        }
        tokio::spawn(answer(request, respond, number));
    }
}

/// Talks as the path says.
async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, number: usize) {
    let (head, mut body) = request.into_parts();
    let response = || Response::builder().status(200);
    match head.uri.path() {
        "/refused" if number == 0 => respond.send_reset(Reason::REFUSED_STREAM),
        "/broken" => {
            let mut stream = respond.send_response(response().body(()).unwrap(), false).unwrap();
            stream.send_data("half".into(), false).unwrap();
            // It leaves before the reset would take it back.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            stream.send_reset(Reason::INTERNAL_ERROR);
        }
        "/short" => {
            let sized = response().header("content-length", 10).body(()).unwrap();
            let mut stream = respond.send_response(sized, false).unwrap();
            stream.send_data("short".into(), true).unwrap();
        }
        // Their length is known, and something comes behind it, if only the end.
        "/sized" | "/sized-and-late" => {
            let sized = response().header("content-length", 5).body(()).unwrap();
            let mut stream = respond.send_response(sized, false).unwrap();
            if head.method != http::Method::HEAD {
                stream.send_data("hello".into(), false).unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            if head.uri.path() == "/sized" {
                stream.send_trailers(HeaderMap::from_iter([grpc_status()])).unwrap();
            } else {
                let _ = stream.send_data(Bytes::new(), true);
            }
        }
        "/talk" => {
            let grpc = response().header("content-type", "application/grpc").body(()).unwrap();
            let mut stream = respond.send_response(grpc, false).unwrap();
            while let Some(Ok(word)) = body.data().await {
                body.flow_control().release_capacity(word.len()).unwrap();
                stream.send_data(word.to_ascii_uppercase().into(), false).unwrap();
            }
            stream.send_trailers(HeaderMap::from_iter([grpc_status()])).unwrap();
        }
        _ => {
            let mut heard = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                body.flow_control().release_capacity(piece.len()).unwrap();
                heard.extend_from_slice(&piece);
            }
            let text = format!("{} {} {:?} {}", head.method, head.uri, head.headers, heard.len());
            let empty = head.method == http::Method::HEAD;
            let mut stream = respond.send_response(response().body(()).unwrap(), empty).unwrap();
            if !empty {
                send(&mut stream, text.as_bytes()).await;
                send(&mut stream, &heard).await;
                let _ = stream.send_data(Bytes::new(), true);
            }
        }
    }
}

fn grpc_status() -> (http::HeaderName, HeaderValue) {
    (http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))
}

fn setup(address: SocketAddr) -> Setup {
    let mut setup = Setup::with_addresses(tsuji::model::ForwardingMethod::Http, vec![address]);
    setup.port.servers[0].proxied.http2 = true;
    setup.port.http2 = true;
    setup
}

fn site(origin: &Origin) -> Site {
    setup(origin.address).start()
}

#[test]
fn requests_of_all_clients_share_a_connection() {
    let origin = Origin::start(None);
    let site = site(&origin);
    let body = "x".repeat(1 << 20);
    for _ in 0..3 {
        let mut client = site.client();
        let answer = client.get("/a?b");
        assert!(answer.text().starts_with("GET http://shop.example/a?b {"), "{}", answer.text());
        assert!(answer.text().contains("\"x-forwarded-for\": \"127.0.0.1\""), "{}", answer.text());
        assert!(!answer.text().contains("\"host\"") && !answer.text().contains("connection"), "{}", answer.text());
        assert_eq!(client.head("/").status, 200);
        for field in [format!("Content-Length: {}", body.len()), "Transfer-Encoding: chunked".to_owned()] {
            let framed =
                if field.starts_with('T') { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) } else { body.clone() };
            client.send(format!("POST / HTTP/1.1\r\nHost: shop.example\r\n{field}\r\n\r\n{framed}"));
            let answer = client.answer();
            assert!(answer.text().ends_with(&body) && answer.text().contains(&format!(" {}x", body.len())));
        }
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(site.server(0).active, 0);
}

#[test]
fn grpc_speaks_both_ways_at_once_and_ends_with_trailers() {
    let origin = Origin::start(None);
    let site = site(&origin);
    story(async {
        let mut client = Http2::plain(site.address).await;
        let request = Request::post("https://shop.example/talk").header("content-type", "application/grpc");
        let request = request.header("te", "trailers").body(()).unwrap();
        let (response, mut stream) = client.begin(request, false).await;
        let (head, mut body) = response.await.unwrap().into_parts();
        assert_eq!(head.headers["content-type"], "application/grpc");
        for word in ["one", "two", "three"] {
            stream.send_data(word.into(), false).unwrap();
            assert_eq!(body.data().await.unwrap().unwrap(), word.to_uppercase(), "before the next is said");
            body.flow_control().release_capacity(word.len()).unwrap();
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert!(body.data().await.is_none());
        assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
        until(&site, |site| site.server(0).active == 0).await;
        // Several at once on one connection, each with its own answer.
        let mut begun = Vec::new();
        for number in 0..50 {
            let request = Request::get(format!("https://shop.example/{number}")).body(()).unwrap();
            begun.push((number, client.begin(request, true).await.0));
        }
        for (number, response) in begun {
            let answer = whole(response).await.unwrap();
            assert!(answer.text().starts_with(&format!("GET http://shop.example/{number} ")), "{}", answer.text());
        }
    });
    assert_eq!(origin.connections(), 1);
}

/// The server, which knows no PROXY header, refuses what begins with one.
#[test]
fn connections_from_before_a_proxy_header_was_to_be_sent_are_not_used() {
    let origin = Origin::start(None);
    let site = site(&origin);
    assert_eq!(site.client().get("/").status, 200);
    site.change(|setup| setup.port.sendproxy = Some(ProxyVersion::V1));
    assert_ne!(site.client().get("/").status, 200);
    site.change(|setup| setup.port.sendproxy = None);
    assert_eq!(site.client().get("/").status, 200);
    assert_eq!(origin.connections(), 2);
}

/// A length says when the body is over, and not the stream: gRPC's word on how it went comes behind it.
#[test]
fn trailers_come_behind_a_body_of_a_known_length() {
    let origin = Origin::start(None);
    let site = site(&origin);
    story(async {
        let mut client = Http2::plain(site.address).await;
        let mut ask = async |method: http::Method, path: &str| {
            let request = Request::builder().method(method).uri(format!("https://shop.example{path}"));
            client.ask(request.header("te", "trailers").body(()).unwrap()).await.unwrap()
        };
        let answer = ask(http::Method::GET, "/sized").await;
        assert_eq!((answer.text(), answer.head.headers()["content-length"].as_bytes()), ("hello", &b"5"[..]));
        assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
        let answer = ask(http::Method::GET, "/sized-and-late").await;
        assert_eq!((answer.text(), &answer.trailers), ("hello", &None));
        assert_eq!(ask(http::Method::HEAD, "/sized-and-late").await.text(), "");
    });
    // Behind such a body HTTP/1.1 has no place for them.
    let mut client = site.client();
    for path in ["/sized", "/sized-and-late", "/sized"] {
        assert_eq!(client.get(path).text(), "hello");
        assert_eq!(client.head(path).status, 200);
    }
    assert_eq!((origin.connections(), site.server(0).active), (1, 0));
}

#[test]
fn inside_tls_the_server_says_what_it_speaks() {
    let issuer = Issuer::new("servers");
    let made = issuer.certificate(&["app.example"]);
    let secure = |protocols: &[AppProtocol]| {
        let mut front = Front::with(&[&made]);
        front.settings.protocols = protocols.to_vec();
        Arc::clone(front.build().config())
    };
    let both = || link(&issuer, |settings, _| settings.protocols = vec![AppProtocol::Http2, AppProtocol::Http11]);
    let start = |address| {
        let mut setup = setup(address);
        let (settings, link) = both();
        setup.port.servers[0].proxied.tls = Some(settings);
        setup.links = vec![Some(link)];
        setup.start()
    };
    let origin = Origin::start(Some(secure(&[AppProtocol::Http2])));
    let site = start(origin.address);
    for _ in 0..2 {
        let answer = site.client().get("/");
        assert!(answer.text().starts_with("GET https://shop.example/ "), "{}", answer.text());
    }
    assert_eq!(origin.connections(), 1);
    let old = SecureOrigin::start(secure(&[AppProtocol::Http11]));
    let site = start(old.address);
    for _ in 0..2 {
        assert_eq!(site.client().get("/").text(), "app.example 0", "HTTP/1.1, kept and used again");
    }
    assert_eq!(old.handshakes.load(Ordering::SeqCst), 1);
}

#[test]
fn what_a_server_has_not_looked_at_is_asked_again() {
    let origin = Origin::start(None);
    let site = site(&origin);
    assert_eq!(site.client().get("/").status, 200);
    let mut client = site.client();
    client.send("POST /refused HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n");
    let answer = client.answer();
    assert!(answer.status == 200 && answer.text().ends_with(" 0"), "{} {}", answer.head, answer.text());
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_server_that_leaves_is_connected_to_again() {
    let origin = Origin::start(None);
    let site = site(&origin);
    let mut client = site.client();
    for path in ["/", "/leave", "/", "/"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_response_that_breaks_off_or_is_too_short_is_not_whole() {
    let origin = Origin::start(None);
    let site = site(&origin);
    for path in ["/broken", "/short"] {
        let mut client = site.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n"));
        assert!(client.try_answer("GET").is_err(), "{path}");
        story(async {
            let mut client = Http2::plain(site.address).await;
            let request = Request::get(format!("https://shop.example{path}")).body(()).unwrap();
            assert!(client.ask(request).await.is_err(), "{path}");
        });
    }
    assert_eq!(site.client().get("/").status, 200, "the connection goes on");
    assert!(site.reason(ErrorReason::ServerClosed) >= 2);
}

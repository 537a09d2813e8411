//! HTTP/2 with clients.

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use h2::Reason;
use h2::ext::Protocol;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tsuji::message::ErrorReason;
use tsuji::model::AppProtocol;

use crate::support::http2::{Http2, rest, send, story, until, whole};
use crate::support::secure::{Front, Issuer};
use crate::support::{Origin, Setup, Site};

fn plain(origin: &Origin) -> Setup {
    Setup::http(&[origin]).change(|port| port.http2 = true)
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://shop.example{path}")).body(()).unwrap()
}

fn post(path: &str) -> http::request::Builder {
    Request::post(format!("https://shop.example{path}"))
}

#[test]
fn agreed_on_inside_tls() {
    let origin = Origin::mirror();
    let issuer = Issuer::new("issuer");
    let mut front = Front::with(&[&issuer.certificate(&["shop.example", "www.shop.example"])]);
    front.settings.protocols = vec![AppProtocol::Http2, AppProtocol::Http11];
    let site = Setup::http(&[&origin]).tls(&front).start();
    story(async {
        let mut client = Http2::secure(site.address, issuer.trusting(), "shop.example").await;
        for path in ["/one", "/two"] {
            let answer = client.get(path).await;
            assert!(answer.text().starts_with(&format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\n")));
            assert!(answer.text().contains("x-forwarded-proto: https\r\n"), "{}", answer.text());
        }
        // RFC 9113 9.1.1: one connection for several hosts where one certificate is for all.
        let other = Request::get("https://www.shop.example/").body(()).unwrap();
        assert_eq!(client.ask(other).await.unwrap().status(), 200);
        let stranger = Request::get("https://other.example/").body(()).unwrap();
        let answer = client.ask(stranger).await.unwrap();
        assert_eq!((answer.status(), answer.reason()), (421, Some("misdirected")));
        assert_eq!(client.get("/after").await.status(), 200, "the connection goes on");
    });
    assert_eq!(site.port().accepted, 1);
}

#[test]
fn by_prior_knowledge_where_the_port_allows_it() {
    let origin = Origin::named("x");
    let site = plain(&origin).start();
    story(async {
        assert_eq!(Http2::plain(site.address).await.get("/").await.text(), "x");
    });
    assert_eq!(site.client().get("/").text(), "x", "HTTP/1.1 as well");
    let without = Setup::http(&[&origin]).start();
    story(async {
        let mut stream = TcpStream::connect(without.address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    });
}

#[test]
fn many_requests_at_once_get_their_own_answers() {
    let origin = Origin::mirror();
    let site = plain(&origin).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        // The bound on streams comes with the first settings.
        client.get("/").await;
        let mut begun = Vec::new();
        for number in 0..300 {
            begun.push((number, client.begin(get(&format!("/{number}")), true).await.0));
        }
        for (number, response) in begun {
            let answer = whole(response).await.unwrap();
            assert!(answer.text().starts_with(&format!("GET /{number} ")), "{}", answer.text());
        }
    });
    assert_eq!((site.port().accepted, site.port().requests), (1, 301));
}

#[test]
fn bodies_pass_both_ways_with_a_length_and_without() {
    let origin = Origin::new(|visit| {
        while let Some(head) = visit.request() {
            let body = visit.body_of(&head);
            let sized = head.contains("content-length: ");
            assert_ne!(sized, head.contains("transfer-encoding: chunked"), "{head}");
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            visit.send(&body);
        }
    });
    let site = plain(&origin).start();
    let body: Vec<u8> = (0..3 << 20).map(|place: u32| (place >> 8) as u8).collect();
    story(async {
        let mut client = Http2::plain(site.address).await;
        for length in [0, 1, 70_000, body.len()] {
            let request = post("/").header("content-length", length).body(()).unwrap();
            assert!(client.post(request, &body[..length]).await.unwrap().body == body[..length], "{length} sized");
            let request = post("/").body(()).unwrap();
            assert!(client.post(request, &body[..length]).await.unwrap().body == body[..length], "{length} open");
        }
    });
}

/// RFC 9113 8.1.1, in both directions and whatever ends the stream.
#[test]
fn a_length_that_is_not_true_is_never_believed() {
    let origin = Origin::new(|visit| {
        while let Some(head) = visit.request() {
            if head.starts_with("GET ") {
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort");
                return;
            }
            visit.body_of(&head);
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        }
    });
    let site = plain(&origin).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        // (the length that is said, the data that come)
        for (said, sent) in [("5", "1234"), ("5", "123456"), ("5", "")] {
            let request = post("/").header("content-length", said).body(()).unwrap();
            let error = client.post(request, sent.as_bytes()).await.unwrap_err();
            assert_eq!(error.reason(), Some(Reason::PROTOCOL_ERROR), "{said} {sent}");
        }
        // What comes behind a length of none is of no request.
        let request = post("/").header("content-length", 0).body(()).unwrap();
        let _either = client.post(request, b"GET /smuggled HTTP/1.1\r\n\r\n").await;
        let error = client.ask(get("/")).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "a response that breaks off");
    });
    assert!(origin.heads().iter().all(|head| !head.contains("smuggled")), "{:?}", origin.heads());
}

#[test]
fn fields_are_those_of_http11_behind_us() {
    let origin = Origin::mirror();
    let site = plain(&origin).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        let request = Request::get("https://Shop.example:443/a")
            .header("cookie", "a=1")
            .header("x-forwarded-for", "203.0.113.9")
            .header("cookie", "b=2")
            .header("te", "trailers");
        let answer = client.ask(request.body(()).unwrap()).await.unwrap();
        let text = answer.text().to_owned();
        assert!(text.starts_with("GET /a HTTP/1.1\r\n"), "{text}");
        assert!(text.contains("cookie: a=1; b=2\r\n") && text.contains("host: Shop.example:443\r\n"), "{text}");
        assert!(text.contains("te: trailers\r\n") && !text.contains("203.0.113.9"), "{text}");
        assert!(!answer.head.headers().contains_key("connection"), "{:?}", answer.head);
        let two = Request::get("https://shop.example/").header("host", "other.example").body(()).unwrap();
        assert_eq!(client.ask(two).await.unwrap().reason(), Some("host-mismatch"));
        let many = (0..200)
            .fold(Request::get("https://shop.example/"), |builder, number| builder.header(format!("x-{number}"), "y"));
        assert_eq!(client.ask(many.body(()).unwrap()).await.unwrap().reason(), Some("too-many-headers"));
        let connect = Request::builder().method("CONNECT").uri("shop.example:443").body(()).unwrap();
        assert!(client.ask(connect).await.map_or(true, |answer| answer.status() >= 400));
        assert_eq!(client.get("/").await.status(), 200, "the connection goes on");
    });
}

#[test]
fn trailers_reach_those_who_ask_for_them() {
    let origin = Origin::new(|visit| {
        while visit.request().is_some() {
            visit.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n");
            visit.send("2\r\nhi\r\n0\r\ngrpc-status: 0\r\n\r\n");
        }
    });
    let site = plain(&origin).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        let grpc = post("/x.Y/Z").header("content-type", "application/grpc").body(()).unwrap();
        let answer = client.post(grpc, b"").await.unwrap();
        assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
        let answer = client.get("/").await;
        assert_eq!((answer.text(), &answer.trailers), ("hi", &None));
    });
}

#[test]
fn a_stream_that_its_client_resets_leaves_its_server() {
    let origin = Origin::new(|visit| {
        let head = visit.request().unwrap();
        if head.starts_with("GET /slow ") {
            visit.wait_for_end();
            return;
        }
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    });
    let site = plain(&origin).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        let (response, mut stream) = client.begin(get("/slow"), true).await;
        until(&site, |site| site.server(0).active == 1).await;
        stream.send_reset(Reason::CANCEL);
        drop(response);
        until(&site, |site| site.server(0).active == 0).await;
        assert_eq!(client.get("/").await.text(), "x");
    });
    assert_eq!(site.counters().clients_gone, 1);
}

#[test]
fn a_client_that_takes_nothing_is_not_waited_for_by_others() {
    let body = "x".repeat(1 << 20);
    let origin = Origin::saying(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let site = plain(&origin).start();
    story(async {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1000).initial_connection_window_size(1 << 20);
        let stream = TcpStream::connect(site.address).await.unwrap();
        let mut client = Http2::over(stream, &builder).await;
        let (held, _) = client.begin(get("/held"), true).await;
        let (head, held) = held.await.unwrap().into_parts();
        // Another one takes all of its own meanwhile.
        assert_eq!(client.get("/").await.body.len(), body.len());
        let answer = rest(http::Response::from_parts(head, ()), held).await.unwrap();
        assert_eq!(answer.body.len(), body.len());
    });
}

#[test]
fn expect_continue_is_answered_when_the_server_says_so() {
    let origin = Origin::new(|visit| {
        let head = visit.request().unwrap();
        assert!(head.contains("expect: 100-continue"), "{head}");
        visit.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(visit.body_of(&head), b"body");
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    });
    let site = plain(&origin).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        let request = post("/").header("content-length", 4).header("expect", "100-continue").body(()).unwrap();
        let (mut response, mut stream) = client.begin(request, false).await;
        let informed = std::future::poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!(informed.status(), 100);
        send(&mut stream, b"body").await;
        stream.send_data(Bytes::new(), true).unwrap();
        assert_eq!(whole(response).await.unwrap().text(), "x");
    });
}

#[test]
fn silent_connections_end_after_the_idle_time_and_a_drain_lets_requests_end() {
    let origin = Origin::new(|visit| {
        while let Some(head) = visit.request() {
            if head.starts_with("GET /slow ") {
                std::thread::sleep(Duration::from_millis(500));
            }
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        }
    });
    let site = plain(&origin).change(|port| port.limits.http2.idle = Duration::from_millis(300)).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        assert_eq!(client.get("/slow").await.text(), "x", "it is not silent meanwhile");
        let begun = Instant::now();
        client.ended.await.unwrap().unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(250));
        assert_eq!(site.counters().idle_closed, 1);

        let mut client = Http2::plain(site.address).await;
        let (response, _) = client.begin(get("/slow"), true).await;
        until(&site, |site| site.server(0).active == 1).await;
        site.drain(Duration::from_secs(10));
        assert_eq!(whole(response).await.unwrap().text(), "x");
        client.ended.await.unwrap().unwrap();
    });
    site.join();
}

/// A server that talks as the path says.
fn websockets() -> Origin {
    Origin::new(|visit| {
        let Some(head) = visit.request() else { return };
        assert!(head.contains("connection: upgrade\r\n") && head.contains("upgrade: websocket\r\n"), "{head}");
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
        let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()));
        let switch =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ";
        match head.split(' ').nth(1).unwrap() {
            "/echo" => {
                visit.send(format!("{switch}{accept}\r\n\r\n"));
                while let Some(line) = visit.line() {
                    visit.send(line.to_uppercase());
                }
                visit.send("bye");
            }
            "/wrong" => drop(visit.send(format!("{switch}wrong\r\n\r\n"))),
            "/closed" => drop(visit.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")),
            _ => drop(visit.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")),
        }
    })
}

fn tunnel(path: &str, protocol: &'static str) -> Request<()> {
    let request = Request::connect(format!("https://shop.example{path}")).header("sec-websocket-version", "13");
    request.extension(Protocol::from_static(protocol)).body(()).unwrap()
}

/// RFC 8441.
#[test]
fn websockets_run_over_streams_beside_requests() {
    let origin = websockets();
    let site = plain(&origin).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        while !client.requests.is_extended_connect_protocol_enabled() {
            client.requests = client.requests.ready().await.unwrap();
            tokio::task::yield_now().await;
        }
        let (response, mut send) = client.begin(tunnel("/echo", "websocket"), false).await;
        let (head, mut receive) = response.await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        assert!(["upgrade", "connection", "sec-websocket-accept"].iter().all(|name| !head.headers.contains_key(*name)));
        let long = "x".repeat(300_000) + "\n";
        for line in ["hello\n", &long] {
            let mut heard = Vec::new();
            let (sending, receiving) = (async { self::send(&mut send, line.as_bytes()).await }, async {
                while heard.len() < line.len() {
                    let piece = receive.data().await.unwrap().unwrap();
                    receive.flow_control().release_capacity(piece.len()).unwrap();
                    heard.extend_from_slice(&piece);
                }
            });
            tokio::join!(sending, receiving);
            assert!(heard == line.to_uppercase().as_bytes());
        }
        // Half of it is closed; the other half still says something.
        send.send_data(Bytes::new(), true).unwrap();
        assert_eq!(receive.data().await.unwrap().unwrap(), "bye");
        while let Some(last) = receive.data().await {
            assert_eq!(last.unwrap(), "", "nothing but the end");
        }

        for (path, protocol, status, reason) in [
            ("/closed", "websocket", 403, None),
            ("/other", "websocket", 502, Some("bad-response")),
            ("/wrong", "websocket", 502, Some("bad-response")),
            ("/echo", "telepathy", 501, Some("method-connect")),
        ] {
            let (response, _send) = client.begin(tunnel(path, protocol), false).await;
            let answer = whole(response).await.unwrap();
            assert_eq!((answer.status(), answer.reason()), (status, reason), "{path} {protocol}");
        }
        // A length would have the server wait for a body that nobody sends, and read the next request as that.
        let mut request = tunnel("/other", "websocket");
        request.headers_mut().insert("content-length", 5.into());
        let (response, _send) = client.begin(request, false).await;
        assert_eq!(whole(response).await.unwrap().status(), 502);
        // A client that resets the stream ends the tunnel at its server.
        let (response, mut send) = client.begin(tunnel("/echo", "websocket"), false).await;
        let response = response.await.unwrap();
        until(&site, |site| site.server(0).active == 1).await;
        send.send_reset(Reason::CANCEL);
        drop(response);
        until(&site, |site| site.server(0).active == 0).await;
    });
    assert_eq!(site.port().accepted, 1);
    assert!(origin.heads().iter().all(|head| !head.contains("content-length")), "{:?}", origin.heads());
}

/// A connection whose frames are written by hand.
struct Raw(TcpStream);

impl Raw {
    async fn connect(site: &Site) -> Self {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        Self(stream)
    }

    /// Until the other side has had enough.
    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.0.write_all(&bytes).await
    }

    /// The code of the GOAWAY that ends the connection.
    async fn goaway(mut self) -> Option<u32> {
        let mut bytes = Vec::new();
        let _broken = self.0.read_to_end(&mut bytes).await;
        let mut rest = &bytes[..];
        let mut code = None;
        while let Some((head, behind)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, behind)) = behind.split_at_checked(length) else { break };
            if head[3] == 7 {
                code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
            rest = behind;
        }
        code
    }
}

#[test]
fn floods_of_frames_end_the_connection_and_are_counted() {
    const CALM: u32 = 11;
    let origin = Origin::named("x");
    let site = plain(&origin).start();
    let floods: [(ErrorReason, u8, u8, u32, &[u8]); 5] = [
        (ErrorReason::Http2Pings, 6, 0, 0, &[0; 8]),
        (ErrorReason::Http2Settings, 4, 0, 0, &[]),
        (ErrorReason::Http2Windows, 8, 0, 0, &[0, 0, 0, 1]),
        (ErrorReason::Http2Priorities, 2, 0, 1, &[0, 0, 0, 0, 16]),
        (ErrorReason::Http2Continuations, 9, 0, 1, &[]),
    ];
    story(async {
        for (reason, kind, flags, stream, payload) in floods {
            let mut raw = Raw::connect(&site).await;
            if reason == ErrorReason::Http2Continuations {
                raw.send(1, 0, 1, &[]).await.unwrap();
            }
            for _ in 0..2000 {
                if raw.send(kind, flags, stream, payload).await.is_err() {
                    break;
                }
            }
            assert_eq!(raw.goaway().await.unwrap_or(CALM), CALM, "{reason}");
            until(&site, |site| site.reason(reason) == 1).await;
        }
        // Rapid reset (CVE-2023-44487): requests that are taken back at once.
        let mut raw = Raw::connect(&site).await;
        for number in 0..500 {
            let head = [0x82, 0x87, 0x84, 0x41, 1, b'a'];
            let stream = 1 + 2 * number;
            if raw.send(1, 5, stream, &head).await.is_err() || raw.send(3, 0, stream, &[0, 0, 0, 8]).await.is_err() {
                break;
            }
        }
        assert_eq!(raw.goaway().await.unwrap_or(CALM), CALM);
        until(&site, |site| site.reason(ErrorReason::Http2Resets) + site.reason(ErrorReason::Http2Protocol) == 1).await;
        assert_eq!(Http2::plain(site.address).await.get("/").await.text(), "x", "others are served");
    });
    site.until("all are gone", |site| site.port().connections == 0);
}

/// On a slow line a client is in the middle of some frame most of the time.
#[test]
fn a_slow_body_is_no_slow_head() {
    let origin = Origin::mirror();
    let site = plain(&origin).change(|port| port.timeouts.head = Duration::from_millis(300)).start();
    story(async {
        let mut raw = Raw::connect(&site).await;
        raw.send(1, 4, 1, &[0x83, 0x87, 0x84, 0x41, 1, b'a']).await.unwrap();
        raw.0.write_all(&[0, 0, 16, 0, 1, 0, 0, 0, 1]).await.unwrap();
        for byte in 0..16 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            raw.0.write_all(&[byte]).await.unwrap();
        }
        until(&site, |site| site.port().codes[1] == 1).await;
    });
    assert_eq!(site.reason(ErrorReason::HeadTimeout), 0);
}

#[test]
fn a_slow_head_ends_the_connection() {
    let origin = Origin::named("x");
    let site = plain(&origin).change(|port| port.timeouts.head = Duration::from_millis(300)).start();
    story(async {
        for half in [&b""[..], &[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82]] {
            let mut raw = Raw::connect(&site).await;
            raw.0.write_all(half).await.unwrap();
            if half.is_empty() {
                // No more than a part of the next frame's head.
                raw.0.write_all(&[0, 0]).await.unwrap();
            }
            let begun = Instant::now();
            raw.goaway().await;
            assert!(begun.elapsed() >= Duration::from_millis(250));
        }
        // Not even the preface.
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nS").await.unwrap();
        let _end = stream.read_to_end(&mut Vec::new()).await;
    });
    site.until("counted", |site| site.reason(ErrorReason::HeadTimeout) == 3);
    site.until("all are gone", |site| site.port().connections == 0);
}

#[test]
fn what_is_refused_for_its_size_or_number_is_counted() {
    let origin = Origin::new(|visit| while visit.request().is_some() {});
    let site = plain(&origin).change(|port| port.limits.http2.streams = 2).start();
    let head = [0x82, 0x87, 0x84, 0x41, 1, b'a'];
    story(async {
        // A field of 4000 bytes, kept in the table and named again and again: a few bytes stand for many.
        let mut raw = Raw::connect(&site).await;
        let mut bomb = [&head[..], &[0x40, 1, b'x', 0x7f, 0xa1, 0x1e], &[b'y'; 4000]].concat();
        bomb.extend([0xbe; 9]);
        raw.send(1, 5, 1, &bomb).await.unwrap();
        until(&site, |site| site.reason(ErrorReason::Http2Refused) == 1).await;
        // Far more than that is no mistake.
        let mut raw = Raw::connect(&site).await;
        bomb.extend([0xbe; 10_000]);
        raw.send(1, 5, 1, &bomb).await.unwrap();
        until(&site, |site| site.reason(ErrorReason::Http2Protocol) == 1).await;
        // One request too many.
        let mut raw = Raw::connect(&site).await;
        for stream in [1, 3, 5] {
            raw.send(1, 5, stream, &head).await.unwrap();
        }
        until(&site, |site| site.reason(ErrorReason::Http2Refused) == 2).await;
    });
}

#[test]
fn a_silent_connection_is_told_goodbye_when_memory_is_short() {
    let origin = Origin::named("x");
    let site = plain(&origin).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        assert_eq!(client.get("/").await.text(), "x");
        until(&site, |site| site.server(0).active == 0).await;
        site.order(|| tsuji::datapath::proxy::Order::Shed);
        client.ended.await.unwrap().unwrap();
    });
    assert_eq!(site.counters().shed, 1);
}

#[test]
fn a_body_that_drips_is_cut() {
    let origin = Origin::mirror();
    let site = plain(&origin).change(|port| port.limits.body_grace = Duration::from_millis(300)).start();
    story(async {
        let mut client = Http2::plain(site.address).await;
        let (response, mut body) = client.begin(post("/").body(()).unwrap(), false).await;
        let drip = tokio::spawn(async move {
            while body.send_data(Bytes::from_static(b"x"), false).is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert_eq!(whole(response).await.unwrap().reason(), Some("body-timeout"));
        drip.abort();
    });
    assert_eq!(site.reason(ErrorReason::BodyTimeout), 1);
}

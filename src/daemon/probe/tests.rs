//! Probes of real servers on loopback. Timeouts are short; only outcomes are asserted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::advisor::{ProbeId, dialogue};
use crate::model::ProxyVersion;

/// A probe with patience enough for a busy machine.
fn order(kind: AdvisorKind, target: SocketAddr) -> ProbeOrder {
    let patience = Duration::from_secs(20);
    ProbeOrder {
        id: ProbeId(7),
        kind,
        target,
        sendproxy: None,
        request: dialogue::request("GET / HTTP/1.0", "localhost"),
        expected: Vec::new(),
        connecttimeout: patience,
        receivetimeout: patience,
        total: patience * 2,
        verify: false,
        host: "localhost".into(),
    }
}

/// The same, for servers that are to exhaust the probe's patience.
fn hurried(order: ProbeOrder) -> ProbeOrder {
    ProbeOrder { receivetimeout: Duration::from_millis(200), ..order }
}

/// `good`, the word of a reason, or `not-made`.
async fn outcome(order: &ProbeOrder) -> &'static str {
    match Prober::new().carry_out(order).await {
        ProbeOutcome::Good { .. } => "good",
        ProbeOutcome::Bad { reason, .. } => reason.word(),
        ProbeOutcome::NotMade { .. } => "not-made",
    }
}

/// A server and what it does with each connection; ends with the value.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = listener().await;
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    Server { address, task }
}

/// Reads the request's head.
async fn request(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => head.extend_from_slice(&byte),
            _ => break,
        }
    }
    head
}

/// Answers every request with these bytes and closes.
async fn answering(answer: &'static [u8]) -> Server {
    server(move |mut stream| async move {
        request(&mut stream).await;
        stream.write_all(answer).await.ok();
        stream.shutdown().await.ok();
    })
    .await
}

#[tokio::test]
async fn answers_and_what_they_mean() {
    let cases: [(&'static [u8], &str, &str); 9] = [
        (b"HTTP/1.0 200 OK\r\n\r\nfine", "", "good"),
        (b"HTTP/1.0 500 Internal Server Error\r\n\r\n", "", "good"),
        (b"HTTP/1.0 200 OK\r\n\r\nall fine here", "fine", "good"),
        (b"HTTP/1.0 200 OK\r\n\r\nnot well", "fine", "unexpected-response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n", "fine", "good"),
        (b"HTTP/1.0 20", "", "closed-early"),
        (b"", "", "closed-early"),
        (b"220 mail.example ESMTP\r\n", "", "garbage"),
        (b"\0\xff\xfe", "", "garbage"),
    ];
    for (answer, expected, wanted) in cases {
        let server = answering(answer).await;
        let probe = ProbeOrder { expected: expected.into(), ..order(AdvisorKind::Http, server.address) };
        assert_eq!(outcome(&probe).await, wanted, "{}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn a_good_answer_is_recognised_before_its_end() {
    let server = server(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nfine and").await.ok();
        std::future::pending::<()>().await;
    })
    .await;
    let probe = ProbeOrder { expected: b"fine".into(), ..order(AdvisorKind::Http, server.address) };
    assert_eq!(outcome(&probe).await, "good");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = server(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.ok();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let probe = ProbeOrder { expected: b"fine".into(), ..order(AdvisorKind::Http, server.address) };
    assert_eq!(outcome(&probe).await, "unexpected-response");
}

#[tokio::test]
async fn nobody_listens() {
    let (listener, address) = listener().await;
    drop(listener);
    for kind in [AdvisorKind::Http, AdvisorKind::Https, AdvisorKind::Connect] {
        assert_eq!(outcome(&order(kind, address)).await, "connect-refused", "{kind:?}");
    }
}

#[tokio::test]
async fn no_answer_to_the_connection_request() {
    // Once the queue of connections that nobody accepts is full, the kernel drops further requests.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
    socket.listen(0).expect("a queue");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queued.push(stream);
    }
    let probe = ProbeOrder { connecttimeout: Duration::from_millis(200), ..order(AdvisorKind::Connect, address) };
    assert_eq!(outcome(&probe).await, "connect-timeout");
    let short = ProbeOrder { total: Duration::from_millis(200), ..order(AdvisorKind::Http, address) };
    assert_eq!(outcome(&short).await, "connect-timeout", "nor beyond the total");
}

/// What these many first bytes of a connection are, and an answer to what follows.
async fn header_first(length: usize) -> (Server, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let (told, header) = tokio::sync::mpsc::unbounded_channel();
    let server = server(move |mut stream| {
        let told = told.clone();
        async move {
            let mut bytes = vec![0; length];
            stream.read_exact(&mut bytes).await.expect("a header");
            told.send(bytes).expect("the test waits");
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.ok();
        }
    })
    .await;
    (server, header)
}

#[tokio::test]
async fn servers_that_want_a_proxy_header_get_one_that_speaks_for_ourselves() {
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".as_slice();
    for (version, expected) in [(ProxyVersion::V1, b"PROXY UNKNOWN\r\n".as_slice()), (ProxyVersion::V2, v2)] {
        let (server, mut header) = header_first(expected.len()).await;
        for kind in [AdvisorKind::Http, AdvisorKind::Connect] {
            let probe = ProbeOrder { sendproxy: Some(version), ..order(kind, server.address) };
            assert_eq!(outcome(&probe).await, "good", "{kind:?}");
            assert_eq!(header.recv().await.as_deref(), Some(expected), "{kind:?}");
        }
        // Before TLS too, which this server does not speak.
        let probe = ProbeOrder { sendproxy: Some(version), ..order(AdvisorKind::Https, server.address) };
        assert_eq!(outcome(&hurried(probe)).await, "receive-timeout");
        assert_eq!(header.recv().await.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn accepted_and_silent() {
    // The kernel completes the connection; nobody ever accepts it.
    let (_listener, address) = listener().await;
    assert_eq!(outcome(&hurried(order(AdvisorKind::Http, address))).await, "receive-timeout");
    assert_eq!(outcome(&hurried(order(AdvisorKind::Https, address))).await, "receive-timeout");
    assert_eq!(outcome(&order(AdvisorKind::Connect, address)).await, "good");
}

#[tokio::test]
async fn half_an_answer() {
    let server = server(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.0 200").await.ok();
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(outcome(&hurried(order(AdvisorKind::Http, server.address))).await, "receive-timeout");
}

#[tokio::test]
async fn a_slow_drip_does_not_stretch_the_timeout() {
    let server = server(|mut stream| async move {
        stream.write_all(b"HTTP/1.0 200 ").await.ok();
        while stream.write_all(b"O").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(outcome(&hurried(order(AdvisorKind::Http, server.address))).await, "receive-timeout");
    let short = ProbeOrder { total: Duration::from_millis(200), ..order(AdvisorKind::Http, server.address) };
    assert_eq!(outcome(&short).await, "receive-timeout", "nor the total");
}

#[tokio::test]
async fn a_reset() {
    let reset = |stream: TcpStream| {
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).expect("linger");
    };
    let server = server(move |mut stream| async move {
        stream.read_u8().await.ok();
        reset(stream);
    })
    .await;
    assert_eq!(outcome(&order(AdvisorKind::Http, server.address)).await, "closed-early");
    assert_eq!(outcome(&order(AdvisorKind::Https, server.address)).await, "closed-early");
}

#[tokio::test]
async fn an_answer_given_without_reading_the_request_counts() {
    let server = server(|mut stream| async move {
        stream.write_all(b"HTTP/1.0 503 Busy\r\n\r\n").await.ok();
        stream.shutdown().await.ok();
        tokio::time::sleep(Duration::from_secs(5)).await;
    })
    .await;
    let long = dialogue::request(&format!("GET /{} HTTP/1.0", "x".repeat(100_000)), "w1");
    let probe = ProbeOrder { request: long, ..order(AdvisorKind::Http, server.address) };
    assert_eq!(outcome(&probe).await, "good");
}

/// A key, and a certificate for `localhost` that nobody vouches for.
fn certificate() -> (CertificateDer<'static>, Arc<dyn SigningKey>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    (made.cert.der().clone(), provider.key_provider.load_private_key(key).expect("a key"))
}

async fn tls_server(
    (certificate, key): (CertificateDer<'static>, Arc<dyn SigningKey>),
    answer: &'static [u8],
    alpn: &[&[u8]],
) -> Server {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let resolver = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            request(&mut stream).await;
            stream.write_all(answer).await.ok();
            stream.shutdown().await.ok();
        }
    })
    .await
}

#[tokio::test]
async fn https_with_a_key_that_is_not_the_certificates() {
    let ((certificate, _), (_, key)) = (certificate(), certificate());
    let server = tls_server((certificate, key), b"HTTP/1.1 200 OK\r\n\r\n", &[]).await;
    assert_eq!(outcome(&order(AdvisorKind::Https, server.address)).await, "tls", "though nothing is verified");
}

#[tokio::test]
async fn https_with_a_certificate_of_its_own() {
    let server = tls_server(certificate(), b"HTTP/1.1 200 OK\r\n\r\nfine", &[b"h2", b"http/1.1"]).await;
    let plain = ProbeOrder { expected: b"fine".into(), ..order(AdvisorKind::Https, server.address) };
    assert_eq!(outcome(&plain).await, "good");
    assert_eq!(outcome(&ProbeOrder { host: "not a name".into(), ..plain.clone() }).await, "good");
    assert_eq!(outcome(&ProbeOrder { verify: true, ..plain.clone() }).await, "tls");
    assert_eq!(outcome(&ProbeOrder { expected: b"well".into(), ..plain }).await, "unexpected-response");
}

#[tokio::test]
async fn https_with_a_trusted_certificate() {
    let (certificate, key) = certificate();
    let server = tls_server((certificate.clone(), key), b"HTTP/1.1 200 OK\r\n\r\n", &[]).await;
    let verifying = ProbeOrder { verify: true, ..order(AdvisorKind::Https, server.address) };
    for (trusted, host, good) in [
        (vec![certificate.clone()], "localhost", true),
        (vec![certificate.clone()], "elsewhere", false),
        (vec![certificate], "127.0.0.1", false),
        (Vec::new(), "localhost", false),
    ] {
        let prober = Prober { secure: Secure::trusting(trusted) };
        let outcome = prober.carry_out(&ProbeOrder { host: host.into(), ..verifying.clone() }).await;
        assert_eq!(matches!(outcome, ProbeOutcome::Good { .. }), good, "{host}: {outcome:?}");
        let tls = matches!(outcome, ProbeOutcome::Bad { reason: DownReason::Tls(_), .. });
        assert_eq!(tls, !good, "{host}: {outcome:?}");
    }
}

#[tokio::test]
async fn https_where_something_else_is_spoken() {
    let plain = server(|mut stream| async move {
        stream.read_u8().await.ok();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
        stream.shutdown().await.ok();
        tokio::time::sleep(Duration::from_secs(5)).await;
    })
    .await;
    assert_eq!(outcome(&order(AdvisorKind::Https, plain.address)).await, "tls");
    let newer = tls_server(certificate(), b"", &[b"h2"]).await;
    assert_eq!(outcome(&order(AdvisorKind::Https, newer.address)).await, "tls", "no common protocol");
}

#[tokio::test]
async fn a_probe_that_is_dropped_closes_its_connection() {
    let (listener, address) = listener().await;
    let probe = tokio::spawn(async move { outcome(&order(AdvisorKind::Http, address)).await });
    let (mut stream, _) = listener.accept().await.expect("a connection");
    request(&mut stream).await;
    probe.abort();
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.ok(), Some(0), "closed, not left open");
}

#[tokio::test]
async fn echo_on_loopback() {
    for target in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        match Prober::new().carry_out(&order(AdvisorKind::Ping, SocketAddr::new(target, 0))).await {
            ProbeOutcome::Good { .. } => {}
            ProbeOutcome::Bad { reason: DownReason::Unreachable(why), .. } => eprintln!("skipped: {target}: {why}"),
            other => panic!("{target}: {other:?}"),
        }
    }
}

//! TLS with servers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tsuji::message::ErrorReason;
use tsuji::model::{AppProtocol, ForwardingMethod, ServerHost, ServerTls};
use tsuji::tls::{BackFiles, FileText, ServerLink, TlsBack};

use crate::support::secure::{Front, Issuer, Made, secure};
use crate::support::{Origin, Setup, Site};

pub(super) const NAME: &str = "app.example";

/// A server inside TLS that tells whom it was asked for and by whom.
pub(super) struct SecureOrigin {
    pub address: SocketAddr,
    pub handshakes: Arc<AtomicUsize>,
}

impl SecureOrigin {
    pub fn start(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handshakes);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, count) = (Arc::clone(&config), Arc::clone(&count));
                std::thread::spawn(move || {
                    let session = ServerConnection::new(config).unwrap();
                    serve(&mut StreamOwned::new(session, stream), &count)
                });
            }
        });
        Self { address, handshakes }
    }

    pub fn with(made: &Made) -> Self {
        Self::start(Arc::clone(Front::with(&[made]).build().config()))
    }
}

fn serve(stream: &mut StreamOwned<ServerConnection, std::net::TcpStream>, handshakes: &AtomicUsize) {
    let mut head = Vec::new();
    let mut is_new = true;
    loop {
        let mut byte = [0];
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return;
        }
        if std::mem::take(&mut is_new) {
            handshakes.fetch_add(1, Ordering::SeqCst);
        }
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        if head.windows(9).any(|name| name == b"websocket") {
            let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
            stream.write_all(switch.as_bytes()).unwrap();
            let mut words = [0; 5];
            stream.read_exact(&mut words).unwrap();
            stream.write_all(&words).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            return;
        }
        let name = stream.conn.server_name().unwrap_or("nobody").to_owned();
        let shown = stream.conn.peer_certificates().map_or(0, <[_]>::len);
        let body = format!("{name} {shown}");
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).unwrap();
        head.clear();
    }
}

/// How the server is spoken to.
pub(super) fn link(
    issuer: &Issuer,
    change: impl FnOnce(&mut ServerTls, &mut BackFiles),
) -> (ServerTls, Arc<ServerLink>) {
    let mut settings = ServerTls {
        name: Some(NAME.to_owned()),
        ca: Some("ca.pem".into()),
        verify: true,
        certificate: None,
        protocols: vec![AppProtocol::Http11],
    };
    let issuers = FileText { path: "ca.pem".into(), bytes: issuer.pem().into_bytes() };
    let mut files = BackFiles { issuers: Some(issuers), identity: None };
    change(&mut settings, &mut files);
    let back = TlsBack::new(&settings, files, &Arc::new(RootCertStore::empty())).unwrap();
    let host = ServerHost::Address("127.0.0.1".parse().unwrap());
    let link = ServerLink::new(Arc::new(back), &settings, &host).unwrap();
    (settings, Arc::new(link))
}

fn site(method: ForwardingMethod, address: SocketAddr, (settings, link): (ServerTls, Arc<ServerLink>)) -> Setup {
    let mut setup = Setup::with_addresses(method, vec![address]);
    setup.port.servers[0].proxied.tls = Some(settings);
    setup.links = vec![Some(link)];
    setup
}

fn http(address: SocketAddr, link: (ServerTls, Arc<ServerLink>)) -> Site {
    site(ForwardingMethod::Http, address, link).start()
}

#[test]
fn requests_go_over_verified_sessions_that_are_kept() {
    let issuer = Issuer::new("servers");
    let origin = SecureOrigin::with(&issuer.certificate(&[NAME]));
    let site = http(origin.address, link(&issuer, |_, _| {}));
    let mut client = site.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "app.example 0");
    }
    assert_eq!((origin.handshakes.load(Ordering::SeqCst), site.counters().pool_hits), (1, 2));
    // Another way to speak to it: the kept session is not of it.
    let (_, other) = link(&issuer, |_, _| {});
    site.change(|setup| setup.links = vec![Some(other)]);
    assert_eq!(client.get("/").text(), "app.example 0");
    assert_eq!(origin.handshakes.load(Ordering::SeqCst), 2);
}

#[test]
fn a_server_that_is_not_who_it_should_be_gets_nothing() {
    let (issuer, stranger) = (Issuer::new("servers"), Issuer::new("stranger"));
    let cases = [
        (stranger.certificate(&[NAME]), true, 502),
        (issuer.certificate(&["other.example"]), true, 502),
        (stranger.certificate(&["other.example"]), false, 200),
    ];
    for (made, verify, status) in cases {
        let origin = SecureOrigin::with(&made);
        let site = http(origin.address, link(&issuer, |settings, _| settings.verify = verify));
        let answer = site.client().get("/");
        assert_eq!(answer.status == 200, status == 200, "{}", answer.head);
        if status != 200 {
            assert_eq!(answer.reason(), Some("server-tls"));
            assert_eq!(site.reason(ErrorReason::ServerTls), 1);
        }
    }
}

#[test]
fn our_own_certificate_is_shown_to_a_server_that_asks() {
    let (issuer, people) = (Issuer::new("servers"), Issuer::new("people"));
    let front = Front::with(&[&issuer.certificate(&[NAME])]).asking(&people);
    let origin = SecureOrigin::start(Arc::clone(front.build().config()));
    let own = people.certificate(&["tsuji"]);
    let with = link(&issuer, |settings, files| {
        settings.certificate = Some("own.pem".into());
        files.identity = Some(own.files(0));
    });
    assert_eq!(http(origin.address, with).client().get("/").text(), "app.example 1");
    let site = http(origin.address, link(&issuer, |_, _| {}));
    assert_ne!(site.client().get("/").status, 200, "none to show");
}

#[test]
fn what_is_meant_for_tls_never_leaves_in_the_clear() {
    let issuer = Issuer::new("servers");
    let plain = Origin::new(|visit| {
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
        visit.wait_for_end();
    });
    let site = http(plain.address(), link(&issuer, |_, _| {}));
    assert_eq!(site.client().get("/").reason(), Some("server-tls"), "it does not speak TLS");
    site.change(|setup| setup.links = vec![None]);
    assert_eq!(site.client().get("/").reason(), Some("server-tls"), "nothing could be made of the settings");
    assert_eq!(plain.connections(), 1, "it was not even asked");
}

#[test]
fn tunnels_and_tcp_ports_inside_tls_on_both_sides() {
    let issuer = Issuer::new("servers");
    let origin = SecureOrigin::with(&issuer.certificate(&[NAME]));
    let front = Front::with(&[&issuer.certificate(&["shop.example"])]);
    let config = Arc::new(issuer.trusting());
    let upgrade = "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    for method in [ForwardingMethod::Http, ForwardingMethod::Tcp] {
        let site = site(method, origin.address, link(&issuer, |_, _| {})).tls(&front).start();
        let mut client = secure(site.address, &config, "shop.example");
        assert_eq!(client.send(upgrade).answer().status, 101);
        assert_eq!(client.send("hello").bytes(5).unwrap(), b"hello");
        client.finish();
        assert_eq!(client.rest().unwrap(), b"");
        assert_eq!(site.server(0).begun, 1);
    }
}

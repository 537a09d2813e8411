//! Which server is asked, and who is asked next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tsuji::message::{ErrorReason, SorrySite};
use tsuji::model::Standing;
use tsuji::model::{AllDown, ForwardingMethod, Name, Rule, RuleType};

use crate::support::{Origin, Setup};

#[test]
fn a_server_that_refuses_the_connection_gives_way_to_the_next() {
    let good = Origin::named("good");
    let addresses = vec![Origin::nobody(), good.address(), Origin::nobody()];
    let site = Setup::with_addresses(ForwardingMethod::Http, addresses).start();
    let mut client = site.client();
    for _ in 0..6 {
        assert_eq!(client.get("/").text(), "good");
        let post = client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").answer();
        assert_eq!(post.text(), "good", "nothing of it was sent before");
    }
    let retries: u64 = site.port().retries.iter().sum();
    assert_eq!(retries, site.server(0).failed + site.server(2).failed);
    assert!(retries > 0 && site.server(1).failed == 0);
    assert_eq!(site.port().codes, [0, 12, 0, 0, 0]);
}

#[test]
fn no_server_is_asked_twice_and_no_more_than_allowed() {
    for (retries, status, asked) in [(0, 502, 1), (1, 502, 2), (2, 503, 3), (9, 503, 3)] {
        let addresses = (0..3).map(|_| Origin::nobody()).collect();
        let site = Setup::with_addresses(ForwardingMethod::Http, addresses)
            .change(|port| port.policy.retries = retries)
            .start();
        let answer = site.client().get("/");
        assert_eq!((answer.status, answer.reason()), (status, Some("connect-refused")), "{retries} retries");
        let failed: Vec<u64> = (0..3).map(|index| site.server(index).failed).collect();
        assert_eq!(failed.iter().sum::<u64>(), asked, "{retries} retries");
        assert!(failed.iter().all(|&failed| failed <= 1));
        assert_eq!(site.reason(ErrorReason::ConnectRefused), 1);
    }
}

#[test]
fn a_connection_that_takes_too_long() {
    // Its queue is full, so further connection requests get no answer.
    let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&full).listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let _queue: Vec<_> =
        (0..3).map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50))).collect();
    let site = Setup::with_addresses(ForwardingMethod::Http, vec![address])
        .change(|port| {
            port.timeouts.connect = Duration::from_millis(100);
            port.policy.retries = 0;
        })
        .start();
    let answer = site.client().get("/");
    assert_eq!((answer.status, answer.reason()), (503, Some("connect-timeout")), "nobody is left: the port answers");
    let other = Origin::named("other");
    let site = Setup::with_addresses(ForwardingMethod::Http, vec![address, other.address()])
        .change(|port| {
            port.timeouts.connect = Duration::from_millis(100);
            port.policy.retries = 0;
        })
        .start();
    let answers: Vec<u16> = (0..2).map(|_| site.client().get("/").status).collect();
    assert!(answers.contains(&504) && answers.contains(&200), "{answers:?}");
}

#[test]
fn the_sorry_page_when_all_are_down() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).all_down().start();
    let mut client = site.client();
    let answer = client.get("/anything");
    assert_eq!((answer.status, answer.reason()), (503, Some("no-server")));
    assert_eq!((answer.field("retry-after"), answer.field("cache-control")), (Some("30"), Some("no-store")));
    assert!(answer.text().contains("Sorry"), "{}", answer.text());
    let head = client.head("/anything");
    let length = answer.body.len().to_string();
    assert_eq!((head.status, head.field("content-length")), (503, Some(&*length)));
    site.change(|setup| setup.standings[0] = Standing::Usable);
    assert_eq!(client.get("/").text(), "x", "the same client, as soon as a server is back");
    assert_eq!((site.reason(ErrorReason::NoServer), origin.connections()), (2, 1));
}

#[test]
fn a_sorry_directory_sends_its_pictures_as_themselves() {
    let files = vec![
        ("index.html".to_owned(), b"<p>Back soon</p><img src=/logo.png>".to_vec()),
        ("logo.png".to_owned(), b"\x89PNG".to_vec()),
        ("css/site.css".to_owned(), b"p {}".to_vec()),
    ];
    let site = Setup::http(&[]).sorry(|settings| SorrySite::directory(files, settings).unwrap()).start();
    let mut client = site.client();
    let cases = [
        ("/", 503, "text/html; charset=utf-8", b"<p>Back soon</p><img src=/logo.png>".as_slice()),
        ("/logo.png?v=2", 200, "image/png", b"\x89PNG"),
        ("/css/site.css", 200, "text/css", b"p {}"),
        ("/x/../etc/passwd", 503, "text/html; charset=utf-8", b"<p>Back soon</p><img src=/logo.png>"),
    ];
    for (path, status, kind, body) in cases {
        let answer = client.get(path);
        assert_eq!((answer.status, &*answer.body), (status, body), "{path}");
        let sent = answer.field("content-type").unwrap();
        assert!(sent.starts_with(kind.split(';').next().unwrap()), "{path}: {sent}");
    }
    assert_eq!(client.head("/logo.png").field("content-length"), Some("4"));
}

#[test]
fn all_down_can_mean_to_try_them_all_the_same() {
    let origin = Origin::named("alive after all");
    let site = Setup::http(&[&origin]).all_down().change(|port| port.all_down = AllDown::Spread).start();
    assert_eq!(site.client().get("/").text(), "alive after all");
}

#[test]
fn a_rule_without_servers_refuses() {
    let origin = Origin::named("x");
    let rule = Rule {
        name: Name::new("closed").unwrap(),
        kind: RuleType::True,
        priority: 1,
        servers: Vec::new(),
        over_affinity: false,
        group: None,
    };
    let site = Setup::http(&[&origin]).change(|port| port.rules.push(rule)).start();
    let answer = site.client().get("/");
    assert_eq!((answer.status, answer.reason()), (503, Some("refused-by-rule")));
}

#[test]
fn a_kept_connection_that_its_server_closed_meanwhile_is_nobodys_failure() {
    // Closes each connection after its first response without saying so, as servers do whose keep-alive time is over.
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if visit.number % 2 == 0 {
            visit.request();
        }
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "ok");
    }
    let (server, port) = (site.server(0), site.port());
    assert_eq!((server.failed, port.retries.iter().sum::<u64>(), port.codes[1]), (0, 0, 20));
    assert!(site.counters().pool_stale > 0, "{:?}", site.counters());
}

#[test]
fn a_post_is_not_sent_again_once_it_may_have_been_heard() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        visit.request();
    });
    let site = Setup::http(&[&origin, &origin]).change(|port| port.servers.truncate(1)).start();
    let mut client = site.client();
    client.get("/");
    let answer = client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").answer();
    assert_eq!((answer.status, answer.reason()), (502, Some("server-closed")));
    assert_eq!(origin.heads().len(), 2);
    assert_eq!(site.server(0).failed, 1);
}

#[test]
fn an_idempotent_request_survives_its_server() {
    // Both die on every request but the one on their third connection.
    let mortal = || {
        Origin::new(|visit| {
            visit.request();
            if visit.number >= 1 {
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        })
    };
    let (first, second) = (mortal(), mortal());
    let site = Setup::http(&[&first, &second]).change(|port| port.policy.retries = 1).start();
    let answer = site.client().get("/");
    assert_eq!((answer.status, answer.reason()), (503, Some("server-closed")), "both died: the port answers");
    assert_eq!((first.connections(), second.connections()), (1, 1));
    assert_eq!(site.client().get("/").text(), "ok");
}

#[test]
fn a_killed_server_costs_no_idempotent_request() {
    let (mortal, other) = (Origin::named("mortal"), Origin::named("other"));
    let site = Setup::http(&[&mortal, &other]).start();
    let mut clients: Vec<_> = (0..8).map(|_| site.client()).collect();
    for _ in 0..5 {
        assert!(clients.iter_mut().all(|client| client.get("/").status == 200));
    }
    mortal.kill();
    for _ in 0..5 {
        assert!(clients.iter_mut().all(|client| client.get("/").text() == "other"));
    }
}

#[test]
fn idle_connections_are_bounded_in_number() {
    let closed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&closed);
    let origin = Origin::new(move |visit| {
        while visit.request().is_some() {
            // So that several are on their way at once.
            std::thread::sleep(Duration::from_millis(50));
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        }
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let site = Setup::http(&[&origin]).change(|port| port.poolsize = 2).start();
    let mut clients: Vec<_> = (0..6).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert!(clients.iter_mut().all(|client| client.answer().text() == "x"));
    let opened = origin.connections();
    site.until("all but two are closed", |_| closed.load(Ordering::SeqCst) == opened.saturating_sub(2));
    assert_eq!(clients[0].get("/").text(), "x");
    assert_eq!(origin.connections(), opened);
}

#[test]
fn idle_connections_are_bounded_in_time() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).change(|port| port.timeouts.pool = Duration::from_millis(50)).start();
    let mut client = site.client();
    assert_eq!(client.get("/").text(), "x");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(client.get("/").text(), "x");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_pool_of_size_zero_keeps_nothing() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).change(|port| port.poolsize = 0).start();
    let mut client = site.client();
    assert!((0..3).all(|_| client.get("/").text() == "x"));
    assert_eq!(origin.connections(), 3);
}

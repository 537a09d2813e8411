//! Bounds, and what happens at them.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tsuji::datapath::proxy::{Order, Pressure};
use tsuji::message::ErrorReason;

use crate::support::{Client, Origin, PATIENCE, Setup, Site};

#[test]
fn a_port_has_as_many_connections_as_it_may() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).change(|port| port.maxconnections = 2).start();
    let mut inside = [site.client(), site.client()];
    assert!(inside.iter_mut().all(|client| client.get("/").text() == "x"));
    let mut outside = site.client();
    let answer = outside.answer();
    assert_eq!(
        (answer.status, answer.reason(), answer.field("connection")),
        (503, Some("max-connections"), Some("close"))
    );
    assert_eq!((site.reason(ErrorReason::MaxConnections), site.counters().rejected), (1, 1));
    let [first, mut second] = inside;
    drop(first);
    site.until("there is room", |site| site.port().connections == 1);
    assert_eq!((site.client().get("/").text(), second.get("/").text()), ("x", "x"));
}

#[test]
fn so_has_the_process() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    site.shared.set_most_connections(1);
    let mut inside = site.client();
    assert_eq!(inside.get("/").text(), "x");
    assert_eq!(site.client().answer().reason(), Some("overloaded"));
    assert_eq!(site.counters().connections, 1, "the refused one is not counted");
    site.shared.set_most_connections(0);
    assert_eq!(site.client().get("/").text(), "x");
}

#[test]
fn a_full_tcp_port_hangs_up() {
    let origin = Origin::saying("");
    let site = Setup::tcp(&[&origin]).change(|port| port.maxconnections = 1).start();
    let _inside = site.client();
    site.until("the first is in", |site| site.port().connections == 1);
    assert!(site.client().rest().is_ok_and(|bytes| bytes.is_empty()));
    site.until("it is counted", |site| site.reason(ErrorReason::MaxConnections) == 1);
}

/// The worker runs in a process of its own that may open few files. It shall pause while they are used up, not spin,
/// and go on when there are some again.
#[test]
fn used_up_file_descriptors_pause_accepting() {
    let test = "proxy::limits::with_few_file_descriptors";
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 48; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "--test-threads=1", test])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told = |word: &str| loop {
        // The test harness writes its own words on the same line.
        if let Some((_, value)) = lines.next().unwrap().split_once(word) {
            return value.to_owned();
        }
    };
    let mut child_input = child.stdin.take().unwrap();
    let address: SocketAddr = told("address ").parse().unwrap();
    let began = Instant::now();
    let mut clients: Vec<Client> = (0..60).map(|_| Client::connect(address)).collect();
    clients[0].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    writeln!(child_input, "pauses").unwrap();
    told("paused");
    clients.truncate(1);
    let answer = clients[0].answer();
    assert!(matches!(answer.status, 200 | 503), "{}", answer.head);
    // All is well again as soon as those who left are gone, here and at the server.
    while Client::connect(address).get("/").text() != "x" {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    writeln!(child_input, "end").unwrap();
    let pauses: u128 = told("pauses ").parse().unwrap();
    let most = began.elapsed().as_millis() / 50 + 2;
    assert!((1..=most).contains(&pauses), "{pauses} pauses are more than {most}: it spins");
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "runs inside used_up_file_descriptors_pause_accepting"]
fn with_few_file_descriptors() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    println!("\naddress {}", site.address);
    let mut orders = std::io::stdin().lines().map(Result::unwrap);
    assert_eq!(orders.next().unwrap(), "pauses");
    site.until("accepting pauses", |site| site.counters().accept_pauses > 0);
    println!("paused");
    assert_eq!(orders.next().unwrap(), "end");
    println!("pauses {}", site.counters().accept_pauses);
}

/// Connects from another address of this machine.
fn client_from(site: &Site, host: u8) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into()).unwrap();
    socket.connect(&site.address.into()).unwrap();
    Client::over(TcpStream::from(socket))
}

#[test]
fn so_has_each_client() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).workers(2).change(|port| port.limits.per_client = 2).start();
    let mut inside = [client_from(&site, 5), client_from(&site, 5)];
    assert!(inside.iter_mut().all(|client| client.get("/").text() == "x"));
    let answer = client_from(&site, 5).answer();
    assert_eq!(
        (answer.status, answer.reason(), answer.field("connection")),
        (429, Some("max-per-client"), Some("close"))
    );
    assert_eq!(site.reason(ErrorReason::MaxPerClient), 1);
    assert_eq!(client_from(&site, 6).get("/").text(), "x", "others are none of its business");
    let [first, _second] = inside;
    drop(first);
    site.until("there is room", |site| site.port().connections == 1);
    assert_eq!(client_from(&site, 5).get("/").text(), "x");
}

#[test]
fn a_trusted_proxy_is_not_one_client_but_whom_it_names_is() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin])
        .change(|port| {
            port.limits.per_client = 1;
            port.proxyprotocol = true;
            port.trusted = vec!["127.0.0.1".parse().unwrap()];
        })
        .start();
    let named = |client: &str| {
        let mut connection = site.client();
        let header = format!("PROXY TCP4 {client} 198.51.100.1 5 80\r\n");
        connection.send(header + "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        connection
    };
    let mut inside = [named("203.0.113.1"), named("203.0.113.2")];
    assert!(inside.iter_mut().all(|client| client.answer().text() == "x"));
    let answer = named("203.0.113.1").answer();
    assert_eq!((answer.status, answer.reason()), (429, Some("max-per-client")));
    drop(inside);
    site.until("they are gone", |site| site.port().connections == 0);
    assert_eq!(named("203.0.113.1").answer().text(), "x");
}

/// A byte now and then moved the timer for a body each time, and held a request and its server for ever.
#[test]
fn a_body_that_drips_is_cut() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).change(|port| port.limits.body_grace = Duration::from_millis(300)).start();
    let mut client = site.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    let mut dripping = client.twin();
    let drip = std::thread::spawn(move || {
        while dripping.try_send("x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let answer = client.answer();
    assert_eq!((answer.status, answer.reason()), (408, Some("body-timeout")));
    drip.join().unwrap();
    assert_eq!((site.reason(ErrorReason::BodyTimeout), site.server(0).failed), (1, 0), "no server is to blame");
}

#[test]
fn a_body_that_comes_fast_enough_is_not_nor_one_for_which_nothing_is_asked() {
    let origin = Origin::mirror();
    for (rate, piece) in [(500, 100), (0, 1)] {
        let site = Setup::http(&[&origin])
            .change(|port| (port.limits.body_rate, port.limits.body_grace) = (rate, Duration::from_millis(100)))
            .start();
        let mut client = site.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 10 * piece));
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(50));
            client.send("x".repeat(piece));
        }
        assert_eq!(client.answer().status, 200, "{rate}");
    }
}

#[test]
fn a_head_may_be_as_large_as_the_port_says() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).change(|port| port.limits.head = 64 * 1024).start();
    let head = |length| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length));
    assert_eq!(site.client().send(head(60_000)).answer().text(), "x");
    assert_eq!(site.client().send(head(70_000)).answer().reason(), Some("head-too-large"));
}

#[test]
fn short_memory_keeps_new_clients_waiting_then_closes_silent_ones_then_refuses() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).change(|port| port.timeouts.park = Duration::from_millis(50)).start();
    let mut known = site.client();
    assert_eq!(known.get("/").text(), "x");
    let mut silent = site.client();
    site.until("both are in", |site| site.port().connections == 2 && site.counters().parked >= 2);

    site.shared.set_memory(98, 100, Pressure::Refusing);
    let answer = known.get("/");
    assert_eq!((answer.status, answer.reason()), (503, Some("overloaded")));
    known.expect_end();

    site.shared.set_memory(93, 100, Pressure::Shedding);
    site.order(|| Order::Shed);
    silent.expect_end();
    assert!(site.counters().shed >= 1);
    assert_eq!(site.counters().memory_level, 2);

    site.shared.set_memory(86, 100, Pressure::Closed);
    // The listener that sleeps takes one more.
    let mut last = site.client();
    assert_eq!(last.get("/").text(), "x");
    site.until("it pauses", |site| site.counters().memory_pauses == 1);
    let mut waiting = site.client();
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(last.get("/").text(), "x", "who is in is served");
    assert_eq!(site.port().accepted, 3);
    site.shared.set_memory(10, 100, Pressure::Calm);
    assert_eq!(waiting.answer().text(), "x", "it was not lost");
}

//! Bounds, and what happens at them.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tsuji::message::ErrorReason;

use crate::support::{Client, Origin, PATIENCE, Setup};

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

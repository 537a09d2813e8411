//! What operators do while clients are there.

use std::sync::mpsc;
use std::time::Duration;

use tsuji::datapath::proxy::Order;
use tsuji::message::ErrorReason;
use tsuji::model::AdministrativeState;

use crate::support::Origin;
use crate::support::Setup;
use crate::support::site::PORT;

/// Answers when it is told to.
fn patient(name: &'static str) -> (Origin, mpsc::SyncSender<()>) {
    let (go, told) = mpsc::sync_channel(10);
    let told = std::sync::Mutex::new(told);
    let origin = Origin::new(move |visit| {
        while visit.request().is_some() {
            if told.lock().unwrap().recv_timeout(Duration::from_secs(20)).is_err() {
                return;
            }
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()));
        }
    });
    (origin, go)
}

#[test]
fn a_request_after_publish_sees_the_new_table() {
    let origins = [Origin::named("a"), Origin::named("b")];
    let site = Setup::http(&[&origins[0], &origins[1]]).workers(2).start();
    let mut clients: Vec<_> = (0..8).map(|_| site.client()).collect();
    for round in 0..50 {
        let (out, stays) = if round % 2 == 0 { (0, "b") } else { (1, "a") };
        site.change(|setup| {
            for (index, server) in setup.port.servers.iter_mut().enumerate() {
                let state = if index == out { AdministrativeState::QuiescedNow } else { AdministrativeState::Up };
                server.state = state;
            }
        });
        assert!(clients.iter_mut().all(|client| client.get("/").text() == stays), "round {round}");
    }
}

#[test]
fn a_running_request_does_not_notice_a_new_table() {
    let (origin, go) = patient("slow");
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("it runs", |site| site.server(0).active == 1);
    site.change(|setup| setup.port.servers[0].state = AdministrativeState::QuiescedNow);
    go.send(()).unwrap();
    assert_eq!(client.answer().text(), "slow");
    assert_eq!(client.get("/").status, 503);
}

#[test]
fn cutting_a_server_ends_what_runs_there() {
    let (origin, _go) = patient("never");
    let site = Setup::http(&[&origin]).start();
    let mut post = site.client();
    post.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    site.until("it runs", |site| site.server(0).active == 1);
    site.change(|setup| setup.port.servers[0].state = AdministrativeState::Down);
    site.cut(0);
    let answer = post.answer();
    assert_eq!((answer.status, answer.reason()), (503, Some("server-down")));
    assert_eq!((site.server(0).active, site.server(0).failed, site.reason(ErrorReason::ServerDown)), (0, 0, 1));
}

#[test]
fn what_can_be_done_again_moves_to_another_server() {
    let (slow, _go) = patient("slow");
    let other = Origin::named("other");
    let site = Setup::http(&[&slow, &other]).change(|port| port.servers[1].state = AdministrativeState::Down).start();
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("it runs", |site| site.server(0).active == 1);
    site.change(|setup| {
        setup.port.servers[0].state = AdministrativeState::Down;
        setup.port.servers[1].state = AdministrativeState::Up;
    });
    site.cut(0);
    assert_eq!(client.answer().text(), "other");
    assert_eq!((site.server(0).active, site.port().retries.iter().sum::<u64>()), (0, 1));
}

#[test]
fn a_response_that_has_begun_is_broken_off_by_a_cut() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        visit.wait_for_end();
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while !client.line().unwrap().is_empty() {}
    assert_eq!(client.bytes(4).unwrap(), b"half");
    site.cut(0);
    assert!(client.rest().is_err(), "reset, not ended");
    assert_eq!((site.server(0).active, site.reason(ErrorReason::ServerDown)), (0, 1));
}

#[test]
fn a_cut_reaches_a_client_that_does_not_read() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n").send(vec![0; 50_000_000]);
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("the response is stuck", |site| site.server(0).bytes_out > 0);
    std::thread::sleep(Duration::from_millis(100));
    site.cut(0);
    site.until("it is over", |site| site.server(0).active == 0 && site.port().connections == 0);
    assert_eq!(site.reason(ErrorReason::ServerDown), 1);
}

#[test]
fn a_drain_answers_what_runs_and_closes_who_waits() {
    let (origin, go) = patient("last");
    let site = Setup::http(&[&origin]).start();
    let mut fresh = site.client();
    let mut idle = site.client();
    go.send(()).unwrap();
    assert_eq!(idle.get("/").text(), "last");
    let mut busy = site.client();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("all are there", |site| site.port().connections == 3 && site.server(0).active == 1);
    site.drain(Duration::from_secs(20));
    fresh.expect_end();
    idle.expect_end();
    let address = site.address;
    while std::net::TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    let answer = busy.answer();
    assert_eq!((answer.text(), answer.field("connection")), ("last", Some("close")));
    busy.expect_end();
    site.join();
}

#[test]
fn a_drain_ends_at_its_deadline_at_the_latest() {
    let (origin, _go) = patient("never");
    let site = Setup::http(&[&origin]).start();
    let mut busy = site.client();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("it runs", |site| site.server(0).active == 1);
    site.drain(Duration::from_millis(200));
    site.join();
    assert!(busy.try_answer("GET").is_err());
}

#[test]
fn a_port_that_is_no_longer_listened_to_keeps_its_clients() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    assert_eq!(client.get("/").text(), "x");
    site.order(|| Order::Unlisten { port: PORT });
    while std::net::TcpStream::connect(site.address).is_ok() {
        std::thread::yield_now();
    }
    assert_eq!(client.get("/").text(), "x");
    site.remove_port();
    let answer = client.get("/");
    assert_eq!((answer.status, answer.reason(), answer.field("connection")), (503, Some("no-server"), Some("close")));
    client.expect_end();
}

#[test]
fn a_worker_that_is_let_go_ends() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).workers(2).start();
    let mut client = site.client();
    client.get("/");
    site.join();
    client.expect_end();
}

#[test]
fn requests_that_wait_in_the_queue_are_answered_before_a_drain_ends() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    // Each of these may be running, just accepted or still in the queue when the order comes.
    let mut clients: Vec<_> = (0..50).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    site.drain(Duration::from_secs(20));
    for client in &mut clients {
        assert_eq!(client.answer().text(), "x");
        client.expect_end();
    }
    site.join();
}

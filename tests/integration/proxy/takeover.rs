//! Connections to servers that one worker has to spare and another one needs.

use crate::support::{Client, Origin, Setup, Site};

/// Two workers, and a client of each: the second one goes to the worker that has none.
fn two_workers(origin: &Origin) -> (Site, Client, Client) {
    let site = Setup::http(&[origin]).workers(2).start();
    let first = site.client();
    site.until("the first is taken", |site| site.port().connections == 1);
    let second = site.client();
    site.until("the second is taken", |site| site.port().connections == 2);
    assert_eq!(site.shared.spread(), [1, 1]);
    (site, first, second)
}

#[test]
fn what_one_worker_does_not_use_serves_the_other() {
    let origin = Origin::named("x");
    let (site, mut first, mut second) = two_workers(&origin);
    assert_eq!(first.get("/").text(), "x");
    site.until("it is spare", |site| site.counters().pool_shelved == 1);
    assert_eq!(second.get("/").text(), "x");
    second.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(second.answer().text(), "x");
    assert_eq!((site.counters().pool_takeovers, origin.connections()), (1, 1), "one connection for all three");
    site.until("and spare again", |site| site.counters().pool_shelved == 2);
    assert_eq!(first.get("/").text(), "x");
    assert_eq!((site.counters().pool_takeovers, origin.connections()), (2, 1));
}

#[test]
fn a_spare_connection_that_its_server_closed_is_not_taken() {
    let origin = Origin::new(|visit| {
        // One answer, and away before anybody asks again.
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        std::thread::sleep(std::time::Duration::from_millis(2500));
    });
    let (site, mut first, mut second) = two_workers(&origin);
    assert_eq!(first.get("/").text(), "x");
    site.until("it is spare", |site| site.counters().pool_shelved == 1);
    std::thread::sleep(std::time::Duration::from_millis(2000));
    // Not replayable: it would be lost over a dead connection.
    second.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(second.answer().text(), "x");
    assert_eq!((site.counters().pool_takeovers, origin.connections()), (0, 2));
}

#[test]
fn a_server_that_is_cut_keeps_no_spare_connection() {
    let origin = Origin::named("x");
    let (site, mut first, mut second) = two_workers(&origin);
    assert_eq!(first.get("/").text(), "x");
    site.until("it is spare", |site| site.counters().pool_shelved == 1);
    site.cut(0);
    // Orders are carried out at the worker's next turn.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(second.get("/").text(), "x");
    assert_eq!((site.counters().pool_takeovers, origin.connections()), (0, 2));
}

//! What clients may send by mistake or on purpose.

use std::time::Duration;

use tsuji::message::ErrorReason;

use crate::support::{Origin, Setup};

#[test]
fn half_a_head_byte_by_byte_is_cut_when_its_time_is_over() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).change(|port| port.timeouts.head = Duration::from_millis(300)).start();
    let mut client = site.client();
    assert_eq!(client.get("/").text(), "x", "the second head has the same bound as the first");
    // Endless and never silent for long: only an absolute bound ends this.
    let trickle = std::iter::once(b'G').chain("ET / HTTP/1.1\r\nX-Slow: ".bytes()).chain(std::iter::repeat(b'z'));
    for byte in trickle {
        if client.try_send([byte]).is_err() || site.reason(ErrorReason::HeadTimeout) > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.reason(), answer.field("connection")),
        (408, Some("head-timeout"), Some("close"))
    );
    client.expect_end();
    assert_eq!((site.reason(ErrorReason::HeadTimeout), origin.heads().len()), (1, 1));
}

#[test]
fn an_idle_client_is_closed_without_a_word() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).change(|port| port.timeouts.idle = Duration::from_millis(200)).start();
    site.client().expect_end();
    let mut client = site.client();
    client.get("/");
    client.expect_end();
    site.until("both are counted", |site| site.counters().idle_closed == 2);
}

#[test]
fn ambiguous_and_malformed_requests_are_refused_and_the_connection_ends() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    let long = "x".repeat(9000);
    let cases: [(&str, u16, &str); 21] = [
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400, "bad-request"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400, "bad-request"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400, "bad-request"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400, "bad-request"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "bad-request"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad-transfer-encoding",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad-transfer-encoding",
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "bad-host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad-host"),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "bad-host"),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "host-mismatch"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n", 400, "bad-request"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501, "method-connect"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method-trace"),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\nContent-Length: 1\r\n\r\n", 417, "bad-expectation"),
        ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("\u{16}\u{3}\u{1} hello over TLS \r\n\r\n", 400, "tls-on-plain-port"),
        ("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri-too-long"),
    ];
    for (request, status, reason) in cases {
        let before: u64 = site.port().reasons.iter().sum();
        let mut client = site.client();
        let answer = client.send(request.replace("{long}", &long)).answer();
        assert_eq!((answer.status, answer.reason()), (status, Some(reason)), "{request:?}");
        assert_eq!(answer.field("connection"), Some("close"), "{request:?}");
        client.expect_end();
        assert_eq!(site.port().reasons.iter().sum::<u64>(), before + 1, "{request:?}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn heads_beyond_every_measure() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    let many: String = (0..120).map(|number| format!("X-{number}: y\r\n")).collect();
    let large = format!("X: {}\r\n", "y".repeat(40_000));
    let cases = [
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431, "head-too-large"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{large}\r\n"), 431, "head-too-large"),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(25_000)), 414, "uri-too-long"),
    ];
    for (request, status, reason) in cases {
        let mut client = site.client();
        let _may_be_cut_short = client.try_send(request);
        let answer = client.answer();
        assert_eq!((answer.status, answer.reason()), (status, Some(reason)));
        client.expect_end();
    }
}

/// What hyper hides has one meaning for us and the server alike.
#[test]
fn what_is_ambiguous_but_hidden_is_forwarded_with_one_meaning() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let answer = client.answer();
    assert!(answer.text().ends_with("\r\nhi") && !answer.text().contains("content-length"), "{}", answer.text());
    client.expect_end();
    assert_eq!(origin.heads().len(), 1, "what follows is not looked at");
    let equal = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi";
    let answer = site.client().send(equal).answer();
    assert_eq!(answer.text().matches("content-length: 2").count(), 1);
}

#[test]
fn garbage_after_a_request_ends_only_that_connection() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    let mut bad = site.client();
    let mut good = site.client();
    bad.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n\u{1}\u{2}\u{3}\r\n\r\n");
    assert_eq!(bad.answer().text(), "x");
    assert_eq!(bad.answer().status, 400);
    bad.expect_end();
    assert_eq!(good.get("/").text(), "x");
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let (ended, ends) = std::sync::mpsc::sync_channel(1);
    let origin = Origin::new(move |visit| {
        visit.request();
        ended.send(visit.wait_for_end()).unwrap();
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("the request runs", |site| site.server(0).active == 1);
    drop(client);
    assert!(ends.recv().unwrap(), "the server's connection ends too");
    site.until("nothing runs", |site| site.server(0).active == 0 && site.port().connections == 0);
    assert_eq!(site.counters().clients_gone, 1);
    assert_eq!(site.server(0).failed, 0);
}

#[test]
fn the_preface_of_http_2_is_answered_in_http_1() {
    let site = Setup::http(&[]).start();
    let mut client = site.client();
    let answer = client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").answer();
    assert_eq!((answer.status, answer.reason()), (400, Some("bad-request")));
    client.expect_end();
    assert_eq!(site.reason(ErrorReason::BadRequest), 1);
}

#[test]
fn half_a_head_and_then_the_end() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHo");
    site.until("it is there", |site| site.port().connections == 1);
    drop(client);
    site.until("it is noticed", |site| site.port().connections == 0);
    assert_eq!((site.counters().clients_gone, origin.connections()), (1, 0));
}

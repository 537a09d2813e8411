//! What servers may answer by mistake or on purpose. A client never takes a part for the whole.

use std::time::Duration;

use tsuji::message::ErrorReason;

use crate::support::{Origin, Setup};

#[test]
fn garbage_instead_of_a_response() {
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let cases = [
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n".to_owned(),
        "HTTP/1.1 abc OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(200_000)),
    ];
    for response in cases {
        let origin = Origin::saying(response.clone());
        let site = Setup::http(&[&origin, &origin]).start();
        let mut client = site.client();
        let answer = client.get("/");
        let shown: String = response.chars().take(60).collect();
        assert_eq!((answer.status, answer.reason()), (502, Some("bad-response")), "{shown:?}");
        assert_eq!(client.get("/").status, 502, "the client's connection is kept");
        assert_eq!(origin.connections(), 2, "{shown:?}: the server's is not, and nobody else was asked");
        assert_eq!(site.reason(ErrorReason::BadResponse), 2);
        assert_eq!(site.server(0).failed + site.server(1).failed, 2);
    }
}

#[test]
fn half_a_head_and_then_the_end() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Le");
    });
    let site = Setup::http(&[&origin]).start();
    assert_eq!(site.client().get("/").reason(), Some("bad-response"));
}

/// Responses that end too soon, and what the client may see of them: the head, but never a regular end.
#[test]
fn a_response_that_breaks_off_breaks_off_for_the_client_too() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nnonsense\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshortXX\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n",
    ];
    for response in cases {
        for version in ["1.1", "1.0"] {
            let origin = Origin::new(move |visit| {
                visit.request();
                visit.send(response);
            });
            let site = Setup::http(&[&origin]).start();
            let mut client = site.client();
            let broken = client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).try_answer("GET");
            assert!(broken.is_err(), "{response:?} on {version}: {broken:?}");
            site.until("it is over", |site| site.port().connections == 0);
            let reasons = [ErrorReason::ServerClosed, ErrorReason::BadResponse];
            assert_eq!(reasons.map(|reason| site.reason(reason)).iter().sum::<u64>(), 1, "{response:?}");
            assert_eq!((site.server(0).failed, site.server(0).active), (1, 0), "{response:?}");
        }
    }
}

#[test]
fn a_reset_in_the_middle_of_a_body() {
    for framing in ["Content-Length: 1000000\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        for version in ["1.1", "1.0"] {
            let origin = Origin::new(move |visit| {
                visit.request();
                visit.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n64\r\n")).send([b'x'; 100]);
                std::thread::sleep(Duration::from_millis(20));
                visit.reset();
            });
            let site = Setup::http(&[&origin]).start();
            let mut client = site.client();
            let broken = client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).try_answer("GET");
            assert!(broken.is_err(), "{framing:?} on {version}: {broken:?}");
        }
    }
}

#[test]
fn more_than_was_announced_spoils_the_connection_only() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more");
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "hello");
    }
    assert_eq!(origin.connections(), 3);
    site.until("each is counted", |site| site.counters().pool_spoiled == 3);
}

#[test]
fn words_that_nobody_asked_for_on_an_idle_connection() {
    let (speak, spoken) = std::sync::mpsc::sync_channel::<()>(0);
    let spoken = std::sync::Mutex::new(spoken);
    let origin = Origin::new(move |visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if visit.number == 0 {
            spoken.lock().unwrap().recv().unwrap();
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
            visit.wait_for_end();
        }
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    assert_eq!(client.get("/").text(), "ok");
    speak.send(()).unwrap();
    site.until("it is noticed", |site| site.counters().pool_spoiled == 1);
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn bytes_after_a_response_without_a_body() {
    let origin = Origin::saying("HTTP/1.1 204 No Content\r\n\r\nbody");
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    assert_eq!((client.get("/").status, client.get("/").status), (204, 204));
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_server_that_does_not_answer_in_time() {
    let origin = Origin::new(|visit| {
        let request = visit.request().unwrap_or_default();
        visit.body_of(&request);
        visit.wait_for_end();
    });
    let site =
        Setup::http(&[&origin, &origin]).change(|port| port.timeouts.server = Duration::from_millis(200)).start();
    let mut client = site.client();
    let answer = client.get("/");
    assert_eq!((answer.status, answer.reason()), (504, Some("server-timeout")));
    let answer = client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").answer();
    assert_eq!((answer.status, answer.reason()), (504, Some("server-timeout")));
    assert_eq!((origin.connections(), site.reason(ErrorReason::ServerTimeout)), (2, 2), "no other server was asked");
}

#[test]
fn a_server_that_stops_in_the_middle_of_its_body() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        visit.wait_for_end();
    });
    let site = Setup::http(&[&origin]).change(|port| port.timeouts.body = Duration::from_millis(200)).start();
    assert!(site.client().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_answer("GET").is_err());
    assert_eq!((site.counters().stalled, site.reason(ErrorReason::ServerTimeout)), (1, 1));
}

#[test]
fn interim_responses_are_swallowed_and_the_final_one_counts() {
    let origin = Origin::saying(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    assert_eq!((client.get("/").text(), client.get("/").text()), ("ok", "ok"));
    assert_eq!(origin.connections(), 1);
}

/// Each of them would be a sign of life; without a bound a server could hold a client, and a worker's time, for ever.
#[test]
fn an_endless_row_of_interim_responses_is_no_response() {
    let origin = Origin::saying("HTTP/1.1 102 Processing\r\n\r\n".repeat(1000));
    let site = Setup::http(&[&origin]).start();
    let answer = site.client().get("/");
    assert_eq!((answer.status, answer.reason()), (502, Some("bad-response")));
    let origin =
        Origin::saying(format!("{}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 102 P\r\n\r\n".repeat(15)));
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), "x", "the count begins anew with each response");
    }
}

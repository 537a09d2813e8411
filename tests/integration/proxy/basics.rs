//! The plain way through.

use crate::support::{Origin, Setup};

#[test]
fn a_request_goes_through_and_its_connection_is_used_again() {
    let origin = Origin::named("hello");
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for _ in 0..10 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.text()), (200, "hello"));
        assert!(answer.field("date").is_some(), "added where the server sent none");
    }
    drop(client);
    assert_eq!(site.client().get("/").text(), "hello");
    assert_eq!(origin.connections(), 1);
    site.until("all is over", |site| site.port().connections == 0);
    let (port, server, process) = (site.port(), site.server(0), site.counters());
    assert_eq!((port.requests, port.codes, port.accepted), (11, [0, 11, 0, 0, 0], 2));
    assert_eq!((server.begun, server.active, server.bytes_out, server.responses), (11, 0, 55, [0, 11, 0, 0, 0]));
    assert_eq!((process.pool_hits, process.pool_misses, process.connections), (10, 1, 0));
    let recorded = port.phases.map(|phase| phase.buckets.iter().sum::<u64>());
    assert_eq!(recorded, [1, 11, 11], "connect, first byte, total");
}

#[test]
fn the_target_and_the_host_pass_byte_for_byte() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for target in ["/%95%5C", "/a%2Fb/../c//d?x=%00&y=a+b;c", "/%e3%81%82?q", "/%C0%AE%E9/", "/?", "/a;jsessionid=0:c1"]
    {
        let answer = client.get(target);
        assert_eq!(answer.text().lines().next(), Some(&*format!("GET {target} HTTP/1.1")));
    }
    let answer = client.send("GET /x HTTP/1.1\r\nHost: ShOp.Example:8080\r\nAccept: */*\r\n\r\n").answer();
    assert!(answer.text().lines().any(|line| line == "host: ShOp.Example:8080"), "{}", answer.text());
    let answer = client.send("GET http://shop.example/y?z HTTP/1.1\r\nHost: shop.example\r\n\r\n").answer();
    assert_eq!(answer.text().lines().next(), Some("GET /y?z HTTP/1.1"));
    let answer = client.send("OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n").answer();
    assert_eq!(answer.text().lines().next(), Some("OPTIONS * HTTP/1.1"));
}

#[test]
fn a_response_passes_with_its_fields_and_its_reason_phrase() {
    let origin = Origin::saying(
        "HTTP/1.1 404 Nothing of that name\r\nServer: Apache\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n\
         Content-Length: 2\r\n\r\nno",
    );
    let site = Setup::http(&[&origin]).start();
    let answer = site.client().get("/");
    assert_eq!(answer.head.lines().next(), Some("HTTP/1.1 404 Nothing of that name"));
    assert_eq!(answer.field("server"), Some("Apache"));
    assert_eq!(answer.field("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(answer.fields("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!((answer.field("x-hop"), answer.field("keep-alive"), answer.field("tsuji-error")), (None, None, None));
}

#[test]
fn responses_without_bodies_keep_their_connections() {
    let origin = Origin::new(|visit| {
        while let Some(request) = visit.request() {
            visit.send(match request.split(' ').next() {
                Some("HEAD") => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                Some("PUT") => "HTTP/1.1 204 No Content\r\n\r\n",
                Some("DELETE") => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                _ => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1000\r\n\r\n",
            });
        }
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    let head = client.head("/");
    assert_eq!((head.status, head.field("content-length")), (200, Some("1000")));
    assert_eq!(client.get("/").field("etag"), Some("\"x\""));
    let put = client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").answer();
    assert_eq!((put.status, put.field("content-length"), put.field("transfer-encoding")), (204, None, None));
    assert_eq!(client.send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n").answer().field("content-length"), Some("0"));
    assert_eq!(client.head("/").status, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn clients_of_http_1_0_and_those_that_close() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let site = Setup::http(&[&origin]).start();
    let mut old = site.client();
    let answer = old.send("GET / HTTP/1.0\r\n\r\n").answer();
    assert!(answer.head.starts_with("HTTP/1.0 200 OK"), "{}", answer.head);
    assert_eq!((answer.field("transfer-encoding"), answer.text()), (None, "abc"));
    assert!(origin.heads()[0].contains(&format!("host: {}\r\n", site.address)), "{}", origin.heads()[0]);
    let mut closing = site.client();
    let answer = closing.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").answer();
    assert_eq!((answer.field("connection"), answer.text()), (Some("close"), "abc"));
    closing.expect_end();
    assert_eq!(origin.connections(), 1, "the server's connection does not close with the client's");
}

#[test]
fn http_1_0_keeps_alive_when_it_asks_and_the_length_is_known() {
    let origin = Origin::named("abc");
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for _ in 0..2 {
        let answer = client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer();
        assert_eq!((answer.field("connection"), answer.text()), (Some("keep-alive"), "abc"));
    }
}

#[test]
fn a_server_of_http_1_0_is_used_once() {
    let origin = Origin::saying("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok");
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for _ in 0..3 {
        let answer = client.get("/");
        assert!(answer.head.starts_with("HTTP/1.1 200 OK"), "{}", answer.head);
        assert_eq!(answer.text(), "ok");
    }
    assert_eq!(origin.connections(), 3, "its next request could not have a chunked body");
}

#[test]
fn a_body_that_ends_with_the_servers_connection() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!((answer.field("transfer-encoding"), answer.text()), (Some("chunked"), "until the end"));
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).start();
    let mut client = site.client();
    let requests: String = (0..50).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests);
    for number in 0..50 {
        assert!(client.answer().text().starts_with(&format!("GET /{number} HTTP/1.1\r\n")));
    }
}

#[test]
fn several_workers_share_a_port() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).workers(3).start();
    let mut clients: Vec<_> = (0..30).map(|_| site.client()).collect();
    assert!(clients.iter_mut().all(|client| client.get("/").text() == "x"));
    assert_eq!((site.port().connections, site.counters().connections, site.server(0).begun), (30, 30, 30));
}

#[test]
fn accepted_connections_inherit_nodelay() {
    let listener = tsuji::datapath::listen::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    listener.set_nonblocking(false).unwrap();
    assert!(listener.accept().unwrap().0.nodelay().unwrap());
}

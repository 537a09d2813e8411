//! One line for each request and each tcp connection, whatever becomes of it.

use std::time::Duration;

use serde_json::{Value, json};

use tsuji::model::{AccessLogFormat, Standing};

use crate::support::{Origin, Setup};

/// These fields of a line.
fn told(line: &Value, fields: &[&str]) -> Value {
    fields.iter().map(|field| line.get(field).cloned().unwrap_or(Value::Null)).collect()
}

/// `status`, `error`, `end`, `target` of each line.
fn ends(lines: &[Value]) -> Vec<Value> {
    lines.iter().map(|line| told(line, &["status", "error", "end", "target"])).collect()
}

#[test]
fn everything_that_is_known_of_a_request() {
    let origin = Origin::named("hello");
    let setup = Setup::http(&[&origin]).logs();
    let site = setup.change(|port| port.trusted = vec!["127.0.0.0/8".parse().unwrap()]).start();
    let port = site.address.port();
    let mut client = site.client();
    let head = "PUT /a?b=c%20d HTTP/1.1\r\nHost: shop.example\r\nReferer: http://x/\r\nUser-Agent: agent \"7\"\r\n\
                X-Forwarded-For: 203.0.113.9\r\nContent-Length: 3\r\n\r\n";
    client.send(head).send("abc").answer();
    client.get("/second");
    let lines = site.logged();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let fields = ["client", "kind", "method", "target", "host", "referer", "agent", "protocol", "status", "sent"];
    assert_eq!(
        told(&lines[0], &fields),
        json!([
            "203.0.113.9",
            "http",
            "PUT",
            "/a?b=c%20d",
            "shop.example",
            "http://x/",
            "agent \"7\"",
            "HTTP/1.1",
            200,
            5
        ])
    );
    let fields = ["received", "server", "address", "upstream", "attempts", "error", "end"];
    let address = origin.address().to_string();
    assert_eq!(told(&lines[0], &fields), json!([3, "a", address, "new", 1, null, "complete"]));
    assert_eq!(told(&lines[1], &fields), json!([0, "a", address, "reused", 1, null, "complete"]));
    let time = |line: &Value, field: &str| line[field].as_u64();
    let [request, connect, first, total] =
        ["request_us", "connect_us", "first_byte_us", "total_us"].map(|field| time(&lines[0], field));
    assert!(connect.is_some() && request.is_some() && first <= total && first.is_some(), "{}", lines[0]);
    assert_eq!((time(&lines[1], "request_us"), time(&lines[1], "connect_us")), (None, None));
    assert!(lines[0]["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(lines[0]["port"], format!("shop:{port}"));
}

#[test]
fn requests_in_one_go_have_a_line_each() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).logs().start();
    let mut client = site.client();
    let all: String = (0..50).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(all);
    (0..50).for_each(|_| assert_eq!(client.answer().status, 200));
    let targets: Vec<String> = site.logged().iter().map(|line| line["target"].as_str().unwrap().to_owned()).collect();
    assert_eq!(targets, (0..50).map(|number| format!("/{number}")).collect::<Vec<_>>());
}

#[test]
fn a_port_that_does_not_log_leaves_nothing() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    site.client().get("/");
    assert_eq!(site.logged(), [] as [Value; 0]);
}

#[test]
fn a_log_that_is_turned_off_holds_for_the_next_request() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).logs().start();
    let mut client = site.client();
    client.get("/on");
    site.change(|setup| setup.port.accesslog = None);
    client.get("/off");
    site.change(|setup| setup.port.accesslog = Setup::log(AccessLogFormat::Json));
    client.get("/again");
    assert_eq!(ends(&site.logged()), [json!([200, null, "complete", "/on"]), json!([200, null, "complete", "/again"])]);
}

#[test]
fn refusals_and_the_sorry_page() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).logs().start();
    let mut client = site.client();
    client.send("TRACE /t HTTP/1.1\r\nHost: a\r\n\r\n").answer();
    site.change(|setup| setup.standings.fill(Standing::Out));
    site.client().get("/sorry");
    site.remove_port();
    let lines = site.logged();
    assert_eq!(
        ends(&lines),
        [json!([405, "method-trace", "complete", "/t"]), json!([503, "no-server", "complete", "/sorry"])]
    );
    assert!(lines[1]["sent"].as_u64() > Some(0));
}

#[test]
fn heads_that_are_no_request() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).logs().change(|port| port.timeouts.head = Duration::from_millis(100)).start();
    site.client().send("nonsense\r\n\r\n").answer();
    site.client().send(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(40_000))).answer();
    site.client().send("GET / HT").answer();
    // Nothing was asked here, so nothing is told.
    site.client().finish().expect_end();
    let lines = site.logged();
    let mut ends = ends(&lines);
    ends.sort_by_key(|end| end[0].as_u64());
    assert_eq!(ends.len(), 3, "{lines:?}");
    assert_eq!(ends[0], json!([400, "bad-request", "complete", null]));
    assert_eq!(ends[1], json!([408, "head-timeout", "complete", null]));
    assert_eq!(ends[2][2], "complete");
}

#[test]
fn a_client_too_many() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).logs().change(|port| port.maxconnections = 1).start();
    let mut first = site.client();
    first.get("/");
    site.client().answer();
    assert_eq!(
        ends(&site.logged()),
        [json!([200, null, "complete", "/"]), json!([503, "max-connections", "complete", null])]
    );
}

#[test]
fn a_server_that_breaks_off() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    });
    let site = Setup::http(&[&origin]).logs().start();
    assert!(site.client().send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n").try_answer("GET").is_err());
    let lines = site.logged();
    assert_eq!(ends(&lines), [json!([200, "server-closed", "broken-off", "/half"])]);
    assert_eq!(lines[0]["sent"], 9);
}

#[test]
fn a_server_that_says_nothing_and_one_that_refuses() {
    let silent = Origin::new(|visit| {
        visit.request();
        visit.wait_for_end();
    });
    let site = Setup::http(&[&silent]).logs().change(|port| port.timeouts.server = Duration::from_millis(100)).start();
    assert_eq!(site.client().get("/silent").status, 504);
    let lines = site.logged();
    assert_eq!(ends(&lines), [json!([504, "server-timeout", "complete", "/silent"])]);
    assert_eq!(told(&lines[0], &["server", "attempts", "first_byte_us"]), json!(["a", 1, null]));

    let well = Origin::named("x");
    let nobody = Origin::nobody();
    let site = Setup::with_addresses(tsuji::model::ForwardingMethod::Http, vec![nobody, nobody, well.address()]);
    let site = site.logs().start();
    for _ in 0..3 {
        site.client().get("/");
    }
    let lines = site.logged();
    assert!(lines.iter().all(|line| line["server"] == "c" && line["status"] == 200), "{lines:?}");
    assert!(lines.iter().any(|line| line["attempts"].as_u64() > Some(1)), "{lines:?}");
}

#[test]
fn a_response_that_stalls_and_a_server_that_is_taken_down() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstall");
        visit.wait_for_end();
    });
    let site = Setup::http(&[&origin]).logs().change(|port| port.timeouts.body = Duration::from_millis(100)).start();
    assert!(site.client().send("GET /stall HTTP/1.1\r\nHost: a\r\n\r\n").try_answer("GET").is_err());
    assert_eq!(ends(&site.logged()), [json!([200, "server-timeout", "stalled", "/stall"])]);

    let site = Setup::http(&[&origin]).logs().start();
    let mut client = site.client();
    client.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("the response has begun", |site| site.port().codes[1] == 1);
    site.cut(0);
    assert!(client.try_answer("GET").is_err());
    assert_eq!(ends(&site.logged()), [json!([200, "server-down", "cut", "/cut"])]);
}

#[test]
fn clients_that_leave() {
    let origin = Origin::new(|visit| {
        let slow = visit.request().is_some_and(|head| head.starts_with("GET /slow"));
        if !slow {
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        }
        visit.wait_for_end();
    });
    let site = Setup::http(&[&origin]).logs().start();
    for (number, target) in ["/slow", "/half"].into_iter().enumerate() {
        let mut client = site.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        site.until("it is at the server", |site| site.server(0).begun == number as u64 + 1);
        if target == "/half" {
            client.line().unwrap();
        }
        drop(client);
        site.until("it is over", |site| site.server(0).active == 0);
    }
    let lines = site.logged();
    assert_eq!(ends(&lines), [json!([0, null, "client-gone", "/slow"]), json!([200, null, "client-gone", "/half"])]);
}

#[test]
fn a_body_that_never_comes() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).logs().change(|port| port.timeouts.body = Duration::from_millis(100)).start();
    let mut client = site.client();
    let answer = client.send("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").answer();
    let lines = site.logged();
    assert_eq!(ends(&lines), [json!([answer.status, answer.reason(), "complete", "/late"])]);
    assert_eq!(told(&lines[0], &["received", "request_us"]), json!([3, null]));
}

#[test]
fn what_runs_when_the_dispatcher_ends() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.wait_for_end();
    });
    let site = Setup::http(&[&origin]).logs().start();
    let mut client = site.client();
    client.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    site.until("it is at the server", |site| site.server(0).active == 1);
    assert_eq!(ends(&site.logged_within(Duration::ZERO)), [json!([0, null, "stopped", "/long"])]);
}

#[test]
fn a_tunnel_has_one_line_at_its_end() {
    let origin = Origin::new(|visit| {
        visit.request();
        visit.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nwelcome");
        let said = visit.bytes(5);
        visit.send(said);
    });
    let site = Setup::http(&[&origin]).logs().start();
    let mut client = site.client();
    client.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.answer().status, 101);
    client.send("hello").finish();
    assert_eq!(client.rest().unwrap(), b"welcomehello");
    let lines = site.logged();
    assert_eq!(ends(&lines), [json!([101, null, "complete", "/chat"])]);
    assert_eq!(told(&lines[0], &["kind", "sent", "received"]), json!(["tunnel", 12, 5]));
}

#[test]
fn tcp_connections() {
    let origin = Origin::new(|visit| {
        let said = visit.bytes(5);
        visit.send(said).send("!");
    });
    let site = Setup::tcp(&[&origin]).logs().start();
    let mut client = site.client();
    client.send("hello").finish();
    assert_eq!(client.rest().unwrap(), b"hello!");
    site.until("it is over", |site| site.port().connections == 0);
    site.change(|setup| setup.standings.fill(Standing::Out));
    let _reset = site.client().rest();
    let lines = site.logged();
    let fields = ["kind", "status", "sent", "received", "server", "attempts", "error", "end", "method"];
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(told(&lines[0], &fields), json!(["tcp", 0, 6, 5, "a", 1, null, "complete", null]));
    assert_eq!(told(&lines[1], &fields), json!(["tcp", 0, 0, 0, null, 0, "no-server", "refused", null]));
}

#[test]
fn lines_in_the_combined_format_begin_as_apache_writes_them() {
    let origin = Origin::named("x");
    let mut setup = Setup::http(&[&origin]);
    setup.port.accesslog = Setup::log(AccessLogFormat::Combined);
    let site = setup.start();
    site.client().send("GET /%0a\" HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b[31m\\\r\n\r\n".replace("\x1b", "")).answer();
    let text = site.logged_text();
    let line = text.strip_suffix('\n').unwrap();
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.contains("] \"GET /%0a\\x22 HTTP/1.1\" 200 1 \"-\" \"[31m\\x5C\" kind=http port=shop:"), "{line}");
}

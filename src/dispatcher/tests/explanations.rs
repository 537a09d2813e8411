//! `explain` says what would happen, and changes nothing.

use super::{Fate, Pretend, SHOP};

fn with(port: &str, more: &str) -> Pretend {
    let text = SHOP.replace("method = \"http\"", &format!("method = \"http\"\n{port}"));
    Pretend::settled(&text.replace("[[advisor]]", &format!("{more}\n[[advisor]]")))
}

#[track_caller]
fn check(world: &Pretend, question: &str, wanted: &str) {
    assert_eq!(world.shown(question).trim_end(), wanted.trim_start_matches('\n'), "{question}");
}

const RULES: &str = r#"
    [[cluster.port.server]]
    name = "sorry"
    address = "192.0.2.99"
    [[cluster.port.rule]]
    name = "office"
    type = "ip"
    beginrange = "198.51.100.0"
    endrange = "198.51.100.255"
    servers = ["w2"]
    [[cluster.port.rule]]
    name = "night"
    type = "time"
    beginrange = 22
    endrange = 6
    servers = ["w2"]
    [[cluster.port.rule]]
    name = "calm"
    type = "active"
    beginrange = 0
    endrange = 2
    servers = ["w1", "w2"]
    [[cluster.port.rule]]
    name = "sorry"
    type = "true"
    servers = ["sorry"]"#;

#[test]
fn rules_tell_what_they_measured() {
    let mut world = with("", RULES);
    let _running = world.connect("w1", 3);
    check(
        &world,
        "explain 203.0.113.7 shop:80 'GET /cart HTTP/1.1'",
        "
 1. GET /cart to shop:80: the client is 203.0.113.7
 2. the port has no affinity (its stickytime is 0)
 3. rule `office` is not true: the client is 203.0.113.7, its range is 198.51.100.0 to 198.51.100.255
 4. rule `night` is not true: it is 12:xx, its hours are from 22:00 to 06:00
 5. rule `calm` is not true: 3 active connections on the port, its range is 0 to 2
 6. rule `sorry` is true: sorry is its only usable server
Decision:
---------
Server .. shop:80:sorry
Reason .. rule `sorry` is the first true rule with a usable server, and its weighted round robin is there",
    );
    world.outside.hour = 23;
    world.fate("192.0.2.22", Fate::Refused);
    world.run_seconds(2.0);
    let shown = world.shown("explain 203.0.113.7 shop:80");
    assert!(shown.contains("rule `night` is true (it is 23:xx, its hours are from 22:00 to 06:00), but none of its servers is usable: w2 is down (connect-refused)"), "{shown}");
}

#[test]
fn asking_moves_nothing() {
    let world = with("stickytime = 300", "");
    for _ in 0..5 {
        assert!(world.shown("explain 203.0.113.7 shop:80").contains("comes to w1"));
    }
    assert_eq!(world.next_server("203.0.113.7"), "w1");
    assert!(
        world.shown("explain 203.0.113.7 shop:80").contains("the client's affinity record names w1, which may take it")
    );
    assert!(world.shown("explain 203.0.113.8 shop:80").contains("comes to w2"));
    assert_eq!(world.row("port report shop:80", "Affinity records"), "1");
}

#[test]
fn affinity_ends_where_its_server_does() {
    let mut world = with("stickytime = 300", "");
    assert_eq!(world.next_server("203.0.113.7"), "w1");
    world.command("manager quiesce w1").expect("quiesced");
    let shown = world.shown("explain 203.0.113.7 shop:80");
    assert!(shown.contains("names w1, which is quiesced and keeps its clients"), "{shown}");
    assert!(shown.contains("Reason .. the client used this server within the last 300 s"), "{shown}");
    world.command("manager quiesce w1 now").expect("quiesced now");
    let shown = world.shown("explain 203.0.113.7 shop:80");
    assert!(shown.contains("names w1, which may not take it: it is quiesced now"), "{shown}");
    assert!(shown.contains("w2 is its only usable server; w1 is quiesced now"), "{shown}");
}

#[test]
fn proxies_are_believed_when_they_are_trusted() {
    let world = with("trustedproxies = [\"10.0.0.0/8\"]", "");
    let first = |question: &str| world.shown(question).lines().next().unwrap_or_default().to_owned();
    assert_eq!(
        first("explain 10.1.1.1 shop:80 'GET / HTTP/1.1' 'X-Forwarded-For: 203.0.113.9'"),
        " 1. GET / to shop:80: the client is 203.0.113.9, as the trusted proxy 10.1.1.1 says"
    );
    assert_eq!(
        first("explain 192.0.2.77 shop:80 'GET / HTTP/1.1' 'X-Forwarded-For: 203.0.113.9'"),
        " 1. GET / to shop:80: the client is 192.0.2.77; what its headers say of others is not believed, because it is no \
         trusted proxy"
    );
}

#[test]
fn refusals_say_what_the_client_gets() {
    let mut world = with("sorrystatus = 500", "");
    world.command("server down shop:80:").expect("down");
    let shown = world.shown("explain 203.0.113.7 shop:80");
    assert!(
        shown.contains("no server of the port is usable: w1 is taken down by an operator, w2 is taken down"),
        "{shown}"
    );
    assert!(shown.contains("Server .. none\n"), "{shown}");
    assert!(shown.contains("the client gets the sorry page with status 500 (no-server)"), "{shown}");
    world.command("rule add shop:80:closed type true").expect("added");
    assert!(world.shown("explain 203.0.113.7 shop:80").contains("(refused-by-rule)"));
    world.command("port add shop:25 method tcp").expect("added");
    let shown = world.shown("explain 203.0.113.7 shop:25");
    assert!(shown.contains("the port has no servers: the connection is closed (no-server)"), "{shown}");
    world.outside.paused = true;
    assert!(world.shown("explain 203.0.113.7 shop:80").contains("the executor is stopped"));
    assert_eq!(world.refusal("explain 203.0.113.7 shop:81"), "there is no port `shop:81`; did you mean `shop:80`?");
}

#[test]
fn a_port_within_a_range_is_explained_by_the_range() {
    let mut world = with("", "");
    for line in [
        "cluster add direct address 192.0.2.11",
        "port add direct:0+8042 method mac",
        "port add direct:8000 method mac lastport 8099",
        "server add direct::d1 address 192.0.2.31",
    ] {
        world.command(line).expect(line);
    }
    for (port, object) in [(8000, 8000), (8042, 8042), (8099, 8000), (8100, 0)] {
        let shown = world.shown(&format!("explain 203.0.113.7 direct:{port}"));
        assert!(shown.contains(&format!("Server .. direct:{object}:d1")), "{port}: {shown}");
    }
    let shown = world.shown("explain 203.0.113.7 direct:8043");
    assert!(shown.contains("a connection to direct:8043, which is in port direct:8000"), "{shown}");
    let shown = world.shown("port status direct:8000");
    assert!(shown.contains("Last port number") && shown.contains(" 8099"), "{shown}");
}

const APPLICATIONS: &str = r#"[[cluster]]
name = "shop"
address = "192.0.2.10"
[[cluster.port]]
number = 80
method = "http"
[[cluster.port.server]]
name = "cart1"
address = "192.0.2.21"
cloneid = "one"
[[cluster.port.server]]
name = "cart2"
address = "192.0.2.22"
cloneid = "two"
[[cluster.port.server]]
name = "spare"
address = "192.0.2.23"
backup = true
[[cluster.port.group]]
name = "cart"
servers = ["cart1", "cart2", "spare"]
[[cluster.port.route]]
name = "cart"
hosts = ["www.example.com"]
uris = ["/cart/*"]
group = "cart"
[[cluster.port.route]]
name = "secure"
hosts = ["pay.example.com"]
redirect = "https://{host}{path}"
[[cluster.port.rule]]
name = "beta"
type = "content"
pattern = "x-beta=yes"
servers = ["cart2"]
group = "cart"
"#;

#[test]
fn routes_sessions_and_backups_are_told() {
    let mut world = Pretend::settled(APPLICATIONS);
    let ask = |world: &Pretend, line: &str| world.shown(&format!("explain 203.0.113.7 shop:80 {line}"));
    let cases: [(&str, &[&str]); 7] = [
        (
            "'GET /x/%2e%2E/%63art/7;v=1 HTTP/1.1' 'Host: WWW.example.com.:80' 'Cookie: JSESSIONID=0001abc:two'",
            &["route `cart` leads to group `cart`", "the request's session names cart2, which may take it"],
        ),
        (
            "'GET /cart/..%2f7 HTTP/1.1' 'Host: www.example.com'",
            &["in a spelling that some servers read as such and others do not: the client gets 400 (bad-path)"],
        ),
        (
            "'GET /cart/7 HTTP/1.1' 'Host: www.example.com' 'Cookie: JSESSIONID=0001abc:two'",
            &[
                "route `cart` leads to group `cart`",
                "the request's session names cart2, which may take it",
                "the session that the request carries names this server",
            ],
        ),
        (
            "'GET /cart/7 HTTP/1.1' 'Host: www.example.com' 'Cookie: JSESSIONID=0001abc:nobody'",
            &["the request carries a session that names none of these servers"],
        ),
        (
            "'GET /cart HTTP/1.1' 'Host: www.example.com' 'X-Beta: yes'",
            &[
                "the request carries no session",
                "rule `beta` is true (its pattern is x-beta=yes)",
                "Server .. shop:80:cart2",
            ],
        ),
        (
            "'GET /x HTTP/1.1' 'Host: pay.example.com'",
            &["route `secure` sends the client to https://{host}{path} with status 302"],
        ),
        (
            "'GET /other HTTP/1.1' 'Host: x'",
            &["no route fits, and the port has no servers outside of groups: the client gets 404 (no-route)"],
        ),
    ];
    for (line, expected) in cases {
        let shown = ask(&world, line);
        for text in expected {
            assert!(shown.contains(text), "{line}\n{text}\n{shown}");
        }
    }
    world.command("server down shop:80:cart1+cart2").expect("is carried out");
    let shown = ask(&world, "'GET /cart HTTP/1.1' 'Host: www.example.com' 'Cookie: JSESSIONID=0001abc:one'");
    for text in [
        "the request's session names cart1, which may not take it: it is taken down",
        "the first usable backup is spare",
    ] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
}

//! Which server a session belongs to: clone ids, learnt cookies, cookies of ours.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use tsuji::model::{AdministrativeState, Compat, CookieAffinity, Standing};

use crate::support::client::{Answer, Client};
use crate::support::{Origin, Setup};

/// Servers `a`, `b`, `c` that answer with their name, and their clone ids.
fn clones(ids: &[&str]) -> (Vec<Origin>, Setup) {
    let origins: Vec<Origin> = ('a'..).zip(ids).map(|(name, _)| Origin::named(&name.to_string())).collect();
    let setup = Setup::http(&origins.iter().collect::<Vec<_>>()).change(|port| {
        for (server, id) in port.servers.iter_mut().zip(ids) {
            server.proxied.clone_id = Some((*id).to_owned());
        }
    });
    (origins, setup)
}

fn ask(client: &mut Client, path: &str, cookie: &str) -> Answer {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n")).answer()
}

#[test]
fn a_session_id_names_its_server_in_every_way_of_writing() {
    let (_origins, setup) = clones(&["one", "two", "node3.example.com"]);
    let site = setup.start();
    let mut client = site.client();
    let long = format!("JSESSIONID={}", ":".repeat(7000));
    let cases = [
        ("/", "JSESSIONID=0001abc:two", "b"),
        ("/", "JSESSIONID=0001abc:gone:two", "b"),
        ("/", "JSESSIONID=0001abc+two+one", "b"),
        ("/", "JSESSIONID=C0FFEE.node3.example.com", "c"),
        ("/", "x=y; JSESSIONID=\"0001abc:two\"; z", "b"),
        ("/", "JSESSIONID=0001abc:nobody; JSESSIONID=0001abc:one", "a"),
        ("/shop;jsessionid=0001abc:two?x=1", "x=y", "b"),
        ("/shop;JSESSIONID=0001abc%3Atwo", "x=y", "b"),
        ("/shop;jsessionid=0001abc:two", "JSESSIONID=0001abc:one", "a"),
    ];
    for (path, cookie, expected) in cases {
        for _ in 0..3 {
            assert_eq!(ask(&mut client, path, cookie).text(), expected, "{path} {cookie}");
        }
    }
    for malformed in ["JSESSIONID=", "JSESSIONID=:", "JSESSIONID=::::", "JSESSIONID", "jsessionid=0001:two", &long] {
        let three: String = (0..3).map(|_| ask(&mut client, "/", malformed).text().to_owned()).collect();
        let mut letters: Vec<char> = three.chars().collect();
        letters.sort_unstable();
        assert_eq!(letters, ['a', 'b', 'c'], "the turns of everybody else: {three}");
    }
}

#[test]
fn quiesced_servers_keep_their_sessions_and_dead_ones_lose_them() {
    let (_origins, setup) = clones(&["one", "two", "three"]);
    let site = setup.start();
    let mut client = site.client();
    let mut answers =
        |cookie: &str| -> String { (0..4).map(|_| ask(&mut client, "/", cookie).text().to_owned()).collect() };
    site.change(|setup| setup.port.servers[1].state = AdministrativeState::Quiesced);
    assert_eq!(answers("JSESSIONID=0001abc:two"), "bbbb");
    assert!(!answers("x=y").contains('b'));
    site.change(|setup| setup.port.servers[1].state = AdministrativeState::QuiescedNow);
    assert!(!answers("JSESSIONID=0001abc:two").contains('b'));
    site.change(|setup| {
        setup.port.servers[1].state = AdministrativeState::Up;
        setup.standings[1] = Standing::Out;
    });
    assert!(!answers("JSESSIONID=0001abc:two").contains('b'), "the normal choice, not always the next");
    assert_eq!(answers("JSESSIONID=0001abc:two:three"), "cccc", "the second clone id counts while the first is down");
    site.change(|setup| setup.standings[1] = Standing::Usable);
    assert_eq!(answers("JSESSIONID=0001abc:two:three"), "bbbb", "switched back");
}

#[test]
fn learnt_cookies_are_shared_by_workers_and_expire() {
    let setting = |name: &'static str| {
        let body = format!("HTTP/1.1 200 OK\r\nSet-Cookie: SID={name}42; Path=/\r\nContent-Length: 1\r\n\r\n{name}");
        Origin::saying(body)
    };
    let origins = [setting("a"), setting("b")];
    let site = Setup::http(&[&origins[0], &origins[1]])
        .workers(2)
        .change(|port| {
            port.policy.affinity = CookieAffinity::Learn;
            port.policy.cookie = "SID".to_owned();
            port.policy.cookie_time = Duration::from_millis(300);
        })
        .start();
    for _ in 0..4 {
        site.client().get("/");
    }
    for _ in 0..6 {
        assert_eq!(ask(&mut site.client(), "/", "SID=b42").text(), "b");
        assert_eq!(ask(&mut site.client(), "/", "SID=a42").text(), "a");
    }
    let unknown: String = (0..4).map(|_| ask(&mut site.client(), "/", "SID=c42").text().to_owned()).collect();
    assert!(unknown.contains('a') && unknown.contains('b'), "{unknown}");
}

#[test]
fn our_own_cookie_says_nothing_and_cannot_be_made_up() {
    let origins = [Origin::named("a"), Origin::named("b")];
    let site = Setup::http(&[&origins[0], &origins[1]])
        .change(|port| {
            port.policy.affinity = CookieAffinity::Insert;
            port.policy.cookie = "TSUJI".to_owned();
        })
        .start();
    let mut client = site.client();
    let first = client.get("/");
    let set = first.field("set-cookie").expect("a cookie").to_owned();
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax", "no Secure where the client speaks plainly");
    let value = pair.strip_prefix("TSUJI=").expect("its name");
    assert!(value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()), "{value}");
    for _ in 0..4 {
        let again = ask(&mut client, "/", pair);
        assert_eq!((again.text(), again.field("set-cookie")), (first.text(), None));
    }
    let forged = format!("TSUJI={}", "0".repeat(32));
    let answers: Vec<Answer> = (0..2).map(|_| ask(&mut client, "/", &forged)).collect();
    assert_ne!(answers[0].text(), answers[1].text(), "it names nobody");
    assert!(answers.iter().all(|answer| answer.field("set-cookie").is_some()));
}

#[test]
fn partition_tables_are_learnt_from_marked_servers_and_kept_from_clients() {
    let table =
        "HTTP/1.1 200 OK\r\n$WSPT: part1=two:one;part2=one\r\n_WS_HAPRT_WLMVERSION: 7\r\nContent-Length: 1\r\n\r\na";
    let (first, second) = (Origin::saying(table), Origin::named("b"));
    let site = Setup::http(&[&first, &second])
        .workers(2)
        .change(|port| {
            for (server, id) in port.servers.iter_mut().zip(["one", "two"]) {
                server.proxied.clone_id = Some(id.to_owned());
                server.proxied.private_headers = true;
            }
        })
        .start();
    let told = ask(&mut site.client(), "/", "JSESSIONID=0001abc:one");
    assert_eq!((told.field("$wspt"), told.field("_ws_haprt_wlmversion")), (None, None));
    for _ in 0..6 {
        assert_eq!(ask(&mut site.client(), "/", "JSESSIONID=0001abc:part1").text(), "b");
        assert_eq!(ask(&mut site.client(), "/", "JSESSIONID=0001abc:part2").text(), "a");
    }
    let heads = second.heads();
    assert!(heads.iter().all(|head| head.contains("_WS_HAPRT_WLMVERSION: 7\r\n")), "{heads:?}");
    assert!(first.heads()[0].contains("_WS_HAPRT_WLMVERSION: -1\r\n"));
}

#[test]
fn private_fields_come_from_trusted_peers_only_and_go_to_marked_servers_only() {
    for trusted in [false, true] {
        let (marked, plain) = (Origin::named("a"), Origin::named("b"));
        let site = Setup::http(&[&marked, &plain])
            .change(|port| {
                port.servers[0].proxied.private_headers = true;
                port.trusted = if trusted { vec!["127.0.0.1".parse().unwrap()] } else { Vec::new() };
            })
            .start();
        let mut client = site.client();
        for _ in 0..2 {
            let fields = "$WSRA: 198.51.100.7\r\n$wsru: admin\r\n$WSCC: MIIB\r\n_WS_HAPRT_WLMVERSION: 99\r\n";
            client.send(format!("GET / HTTP/1.1\r\nHost: shop.example:8080\r\n{fields}\r\n")).answer();
        }
        let (marked, plain) = (marked.heads()[0].clone(), plain.heads()[0].to_ascii_uppercase());
        assert!(!plain.contains("$WS") && !plain.contains("WLMVERSION"), "{plain}");
        assert!(marked.contains("$WSSN: shop.example\r\n$WSSP: 8080\r\n"), "{marked}");
        assert!(marked.contains("_WS_HAPRT_WLMVERSION: -1\r\n"), "{marked}");
        assert_eq!(marked.contains("$WSRA: 198.51.100.7\r\n"), trusted, "{marked}");
        assert_eq!(marked.contains("$WSRU: admin\r\n"), trusted, "{marked}");
        assert_eq!(marked.contains("$WSRA: 127.0.0.1\r\n"), !trusted, "{marked}");
    }
}

#[test]
fn affinity_requests_count_as_turns_where_the_plug_in_is_told_so() {
    for (ignore, expected) in [(true, "ababab"), (false, "bbbaba")] {
        let (_origins, setup) = clones(&["one", "two"]);
        let site = setup
            .change(|port| {
                port.policy.compat = Compat::Plugin;
                port.policy.ignore_affinity = ignore;
            })
            .start();
        let mut client = site.client();
        for _ in 0..3 {
            assert_eq!(ask(&mut client, "/", "JSESSIONID=0001abc:one").text(), "a");
        }
        let turns: String = (0..6).map(|_| client.get("/").text().to_owned()).collect();
        assert_eq!(turns, expected, "IgnoreAffinityRequests {ignore}");
    }
}

/// A server that keeps sessions as WebSphere does: a session that was begun elsewhere gets its clone id added behind the others.
fn websphere(listener: TcpListener, id: &'static str) -> Origin {
    Origin::on(listener, move |visit| {
        while let Some(request) = visit.request() {
            let session = request.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                value.strip_prefix("JSESSIONID=").filter(|_| name.eq_ignore_ascii_case("cookie"))
            });
            let set = match session {
                None => format!("Set-Cookie: JSESSIONID=0000eCtUKo0_Kj5BWGsW5UoLVpz:{id}; Path=/; HttpOnly\r\n"),
                Some(session) if session.split(':').any(|known| known == id) => String::new(),
                Some(session) => format!("Set-Cookie: JSESSIONID={session}:{id}; Path=/; HttpOnly\r\n"),
            };
            visit.send(format!("HTTP/1.1 200 OK\r\n{set}Content-Length: {}\r\n\r\n{id}", id.len()));
        }
    })
}

#[test]
fn a_websphere_session_fails_over_and_switches_back() {
    let listen = |address: &str| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.listen(128).unwrap();
        TcpListener::from(socket)
    };
    let first = websphere(listen("127.0.0.1:0"), "10j0tobbm");
    let second = websphere(listen("127.0.0.1:0"), "10j0todzd");
    let site = Setup::http(&[&first, &second])
        .change(|port| {
            port.policy.retry_interval = Duration::from_millis(300);
            port.policy.compat = Compat::Plugin;
            port.policy.max_fails = 1;
            for (server, id) in port.servers.iter_mut().zip(["10j0tobbm", "10j0todzd"]) {
                server.proxied.clone_id = Some(id.to_owned());
            }
        })
        .start();
    let (client, cookie): (Client, Option<String>) = (site.client(), None);
    let client = RefCell::new((client, cookie));
    let ask = |times: usize| -> String {
        let (client, cookie) = &mut *client.borrow_mut();
        let mut served = Vec::new();
        for _ in 0..times {
            let sent = cookie.as_ref().map_or(String::new(), |cookie| format!("Cookie: JSESSIONID={cookie}\r\n"));
            let answer = client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{sent}\r\n")).answer();
            assert_eq!(answer.status, 200);
            if let Some(set) = answer.field("set-cookie") {
                *cookie = set.strip_prefix("JSESSIONID=").and_then(|set| set.split(';').next()).map(str::to_owned);
            }
            served.push(answer.text().to_owned());
        }
        served.dedup();
        served.join(" ")
    };
    assert_eq!(ask(5), "10j0tobbm");
    let address = first.address().to_string();
    first.kill();
    assert_eq!(ask(5), "10j0todzd", "the session moves once");
    let _back = websphere(listen(&address), "10j0tobbm");
    site.until("the interval is over", |_| ask(1) == "10j0tobbm");
    assert_eq!(ask(5), "10j0tobbm", "switched back, because its id still comes first");
}

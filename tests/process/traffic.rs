//! Clients reach servers; servers die and come back; the sorry page answers when all are gone.

use std::collections::HashSet;

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Daemon, Origin, Site, ask, get};

const PORT: &str = "[[cluster.port]]\nnumber = {port}\nmethod = \"http\"\nconnecttimeout = 1\n";
const ADVISOR: &str =
    "[[advisor]]\nname = \"http\"\nport = {port}\ninterval = 0.2\nconnecttimeout = 1\nreceivetimeout = 1\n";

#[test]
fn a_server_dies_and_comes_back() {
    let mut one = Origin::start("one");
    let two = Origin::start("two");
    let site = Site::new(&format!("{PORT}{}{}{ADVISOR}", one.server(), two.server()));
    let daemon = site.start();
    let seen: HashSet<String> = (0..4).map(|_| get(site.address(), "/").server().to_owned()).collect();
    assert_eq!(seen.len(), 2, "both serve");
    one.kill();
    for _ in 0..10 {
        let answer = get(site.address(), "/");
        assert_eq!((answer.status, answer.server()), (200, "two"), "a refused connection goes to the other server");
    }
    daemon.wait_until("one is down", |daemon| daemon.must("server status shop::one").contains("connect-refused"));
    one.restart();
    daemon.wait_until("one serves again", |_| get(site.address(), "/").server() == "one");
}

#[test]
fn a_sick_server_is_out_although_it_answers() {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let site = Site::new(&format!("{PORT}{}{}{ADVISOR}", one.server(), two.server()));
    let daemon = site.start();
    one.set_sick(true);
    daemon.wait_until("one is out", |daemon| daemon.must("server status shop::one").contains("unexpected-response"));
    assert!((0..10).all(|_| get(site.address(), "/").server() == "two"));
    one.set_sick(false);
    daemon.wait_until("one is back", |_| get(site.address(), "/").server() == "one");
}

#[test]
fn the_sorry_page_answers_when_all_are_gone() {
    let mut one = Origin::start("one");
    let site = Site::new(&format!("{PORT}sorrypage = \"sorry\"\nretryafter = 7\n{}{ADVISOR}", one.server()));
    std::fs::create_dir(site.path("sorry")).unwrap();
    site.write("sorry/index.html", "<!doctype html><meta charset=\"utf-8\">Closed");
    site.write("sorry/closed.svg", "<svg/>");
    let daemon = site.start();
    one.kill();
    daemon.wait_until("one is down", |daemon| daemon.must("server report shop::").contains("-1"));
    let page = get(site.address(), "/any/path?x=1");
    assert_eq!((page.status, page.body.contains("Closed")), (503, true));
    assert_eq!((page.field("retry-after"), page.field("cache-control")), (Some("7"), Some("no-store")));
    assert_eq!(page.field("tsuji-error"), Some("no-server"));
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    let picture = get(site.address(), "/closed.svg");
    assert_eq!((picture.status, picture.body.as_str()), (200, "<svg/>"));
    let head = ask(site.address(), "HEAD / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (503, ""));
    one.restart();
    daemon.wait_until("the shop opens", |_| get(site.address(), "/").status == 200);
}

#[test]
fn the_sorry_server_answers_by_rule_and_keeps_nobody() {
    let mut normal = Origin::start("normal");
    let sorry = Origin::start("sorry");
    let rules = "[[cluster.port.rule]]\nname = \"normal\"\ntype = \"true\"\npriority = 10\nservers = [\"normal\"]\n\
                 [[cluster.port.rule]]\nname = \"sorry\"\ntype = \"true\"\npriority = 20\nservers = [\"sorry\"]\n";
    let sorry_server = format!("{}sticky = false\n", sorry.server());
    let site = Site::new(&format!("{PORT}stickytime = 60\n{}{sorry_server}{rules}{ADVISOR}", normal.server()));
    let daemon = site.start();
    assert_eq!(get(site.address(), "/").server(), "normal");
    normal.kill();
    assert_eq!(get(site.address(), "/").server(), "sorry");
    normal.restart();
    daemon.wait_until("the client is back at once", |_| get(site.address(), "/").server() == "normal");
    assert!(daemon.must("rule report shop::").contains("sorry"));
}

#[test]
fn clients_stay_with_their_server() {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let site = Site::new(&format!("{PORT}stickytime = 60\n{}{}", one.server(), two.server()));
    let _daemon = site.start();
    let first = get(site.address(), "/").server().to_owned();
    assert!((0..10).all(|_| get(site.address(), "/").server() == first));
}

#[test]
fn path_bytes_pass_unchanged() {
    let one = Origin::start("one");
    let site = Site::new(&format!("{PORT}{}", one.server()));
    let _daemon = site.start();
    assert!(get(site.address(), "/a%95%5Cb//../c?x=%2F").body.starts_with("one /a%95%5Cb//../c?x=%2F"));
}

#[test]
fn metrics_agree_with_what_clients_saw() {
    let one = Origin::start("one");
    let site = Site::new(&format!("{PORT}{}", one.server()));
    let daemon = site.start();
    for _ in 0..7 {
        assert_eq!(get(site.address(), "/").status, 200);
    }
    assert_eq!(ask(site.address(), "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").status, 400, "no Host");
    let labels = format!("cluster=\"shop\",port=\"{}\"", site.port);
    daemon.wait_until("the counters are there", |_| {
        let page = get(site.metrics_address(), "/metrics").body;
        page.lines()
            .any(|line| line.starts_with("tsuji_server_new_total") && line.contains(&labels) && line.ends_with(" 7"))
    });
    let page = get(site.metrics_address(), "/metrics").body;
    assert!(page.lines().any(|line| line.contains("reason=\"bad-host\"") && line.ends_with(" 1")), "{page}");
    assert_eq!(get(site.metrics_address(), "/healthz").body, "ok\n");
    assert_eq!(get(site.metrics_address(), "/nothing").status, 404);
}

#[test]
fn used_up_file_descriptors_pause_and_pass() {
    let one = Origin::start("one");
    let site = Site::new(&format!("{PORT}{}", one.server()));
    let daemon = site.start();
    let limit = |most: u64| {
        let most = format!("--nofile={most}:{most}");
        std::process::Command::new("prlimit").args(["--pid", &daemon.id().to_string(), &most]).status()
    };
    // Nobody but root may count them from outside.
    let page = get(site.metrics_address(), "/metrics").body;
    let used = page.lines().find_map(|line| line.strip_prefix("process_open_fds ")).unwrap().parse::<u64>().unwrap();
    match limit(used + 6) {
        Ok(status) if status.success() => {}
        other => {
            eprintln!("skipped: prlimit cannot lower the limit of another process ({other:?})");
            return;
        }
    }
    let crowd: Vec<_> = (0..40).map(|_| std::net::TcpStream::connect(site.address()).unwrap()).collect();
    daemon.wait_until("accept pauses", |daemon| daemon.errors().to_lowercase().contains("accept"));
    daemon.must("status");
    drop(crowd);
    daemon.wait_until("clients are served again", |_| {
        std::panic::catch_unwind(|| get(site.address(), "/").status).is_ok_and(|status| status == 200)
    });
}

#[test]
fn servers_are_known_by_name_and_one_without_an_address_holds_nobody_up() {
    let one = Origin::start("one");
    let named = one.server().replace("address = \"127.0.0.1\"", "address = \"localhost\"");
    let nowhere = "[[cluster.port.server]]\nname = \"lost\"\naddress = \"nowhere.invalid\"\n";
    let site = Site::new(&format!("{PORT}{named}{nowhere}"));
    let daemon = site.start();
    daemon.wait_until("the named server serves", |_| get(site.address(), "/").server() == "one");
    daemon.wait_until("the other one is unresolved", |daemon| {
        daemon.must("server status shop::lost").contains("unresolved")
    });
    assert!((0..5).all(|_| get(site.address(), "/").server() == "one"));
}

/// Bytes of memory that the daemon has in use, as the system counts them.
fn resident(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// Each of them had some twenty KiB of buffers while it was served. Parked, they have none, and the system has them back.
#[test]
fn what_silent_clients_held_goes_back_to_the_system() {
    const CLIENTS: u64 = 300;
    let one = Origin::start("one");
    let site = Site::new(&format!("{PORT}parktime = 0.2\n{}", one.server()));
    let daemon = site.start();
    get(site.address(), "/");
    let before = resident(&daemon);
    let crowd: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut client = TcpStream::connect(site.address()).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
            assert!(client.read(&mut [0; 1024]).unwrap() > 0);
            client
        })
        .collect();
    let is_parked = |_: &Daemon| {
        ask(site.metrics_address(), "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .body
            .contains(&format!("tsuji_proxy_parked_total {CLIENTS}"))
    };
    daemon.wait_until("all are parked", is_parked);
    daemon.wait_until("their memory is back", |daemon| resident(daemon).saturating_sub(before) / CLIENTS < 8 * 1024);
    drop(crowd);
}

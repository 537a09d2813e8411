//! The classic topologies of `config/examples`, each with its file as it is shipped, but for addresses and ports.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::support::{Daemon, Origin, Site, ask, free_port, get};

/// An example in force on loopback.
struct Topology {
    site: Site,
    daemon: Daemon,
}

impl Topology {
    /// `moved`: an address of the file, and the port on loopback that stands for its port there. `ports`: a port of the file, and
    /// where it is instead.
    fn start(example: &str, servers: &[(&str, u16)], ports: &[(u16, u16)], more: &[(&str, String)]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples").join(example);
        let mut text = fs::read_to_string(file).unwrap();
        for (address, port) in servers {
            let line = format!("address = \"{address}\"");
            assert!(text.contains(&line), "{example} has no {address}");
            text = text.replace(&line, &format!("address = \"127.0.0.1\"\nmapport = {port}"));
        }
        for (wanted, port) in ports {
            text = text.replace(&format!("number = {wanted}\n"), &format!("number = {port}\n"));
            text = text.replace(&format!("port = {wanted}\n"), &format!("port = {port}\n"));
            text = text.replace(&format!("follows = {wanted}\n"), &format!("follows = {port}\n"));
        }
        for (from, to) in more {
            assert!(text.contains(from), "{example} has no {from}");
            text = text.replace(from, to);
        }
        text = text.replace("address = \"192.0.2.10\"", "address = \"127.0.0.1\"");
        text = text.replace("interval = 5\n", "interval = 1\n").replace("interval = 2\n", "interval = 0.5\n");
        let site = Site::new("");
        let head = site.text("").split("[[cluster]]").next().unwrap().to_owned();
        site.write("tsuji.toml", &format!("{head}{text}"));
        let daemon = site.start();
        Self { site, daemon }
    }

    fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        self.daemon.wait_until(what, |_| holds());
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn one_to_one_with_deep_checks() {
    let (one, two) = (Origin::start("pair1"), Origin::start("pair2"));
    let port = free_port();
    let servers = [("192.0.2.21", one.port()), ("192.0.2.22", two.port())];
    let more = [("GET /deep-check HTTP/1.1", "GET /health HTTP/1.1".to_owned())];
    let topology = Topology::start("one-to-one.toml", &servers, &[(80, port)], &more);
    let first = get(loopback(port), "/").server().to_owned();
    for _ in 0..4 {
        assert_eq!(get(loopback(port), "/").server(), first, "by address");
    }
    let (sick, other) = if first == "pair1" { (&one, "pair2") } else { (&two, "pair1") };
    // The web server answers, but what is behind it does not.
    sick.set_sick(true);
    topology.wait_until("the pair leaves", || get(loopback(port), "/").server() == other);
    assert!(topology.daemon.dscontrol("manager report").out.contains("DOWN BY ADVISOR"));
}

#[test]
fn sessions_before_many_application_servers() {
    let mut origins: Vec<Origin> = ["app1", "app2", "spare"].map(Origin::start).into();
    let port = free_port();
    let servers =
        [("192.0.2.31", origins[0].port()), ("192.0.2.32", origins[1].port()), ("192.0.2.33", origins[2].port())];
    let topology = Topology::start("sessions.toml", &servers, &[(80, port)], &[]);
    let session = |id: &str| {
        let request =
            format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: JSESSIONID=0001abc:{id}\r\nConnection: close\r\n\r\n");
        ask(loopback(port), &request).server().to_owned()
    };
    for _ in 0..3 {
        assert_eq!((session("10j0tobbm"), session("10j0todzd")), ("app1".to_owned(), "app2".to_owned()));
        assert_ne!(get(loopback(port), "/").server(), "spare");
    }
    origins[0].kill();
    topology.wait_until("its sessions go on at the other", || session("10j0tobbm") == "app2");
    origins[1].kill();
    topology.wait_until("the spare one takes over", || get(loopback(port), "/").server() == "spare");
}

#[test]
fn web_servers_that_follow_the_application_port() {
    let web: Vec<Origin> = ["web1", "web2"].map(Origin::start).into();
    let mut app: Vec<Origin> = ["app1", "app2"].map(Origin::start).into();
    let (port, watched) = (free_port(), free_port());
    let servers = [
        ("192.0.2.21", web[0].port()),
        ("192.0.2.22", web[1].port()),
        ("192.0.2.31", app[0].port()),
        ("192.0.2.32", app[1].port()),
    ];
    let topology = Topology::start("follows.toml", &servers, &[(80, port), (9080, watched)], &[]);
    assert!(get(loopback(port), "/").server().starts_with("web"));
    assert!(std::net::TcpStream::connect(loopback(watched)).is_err(), "watched, not served");
    app[0].kill();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(get(loopback(port), "/").server().starts_with("web"), "one application server is left");
    app[1].kill();
    topology.wait_until("the web port is closed", || get(loopback(port), "/").status == 503);
    let status = topology.daemon.dscontrol(&format!("server status shop:{port}:web1"));
    assert!(
        status.out.contains(&format!("followed-port (port {watched}")) || status.out.contains("which its own follows"),
        "{}",
        status.out
    );
    app[1].restart();
    topology.wait_until("it opens again", || get(loopback(port), "/").status == 200);
}

#[test]
fn a_dispatcher_on_either_side_of_authenticating_proxies() {
    let app: Vec<Origin> = ["app1", "app2"].map(Origin::start).into();
    let (outside, inside) = (free_port(), free_port());
    // The proxies authenticate in real life; here they are dispatchers of their own that pass everything on.
    let proxies: Vec<(Site, Daemon)> = (0..2)
        .map(|_| {
            let site = Site::new(&format!(
                "[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\ntrustedproxies = [\"127.0.0.1\"]\n\
                 [[cluster.port.server]]\nname = \"inside\"\naddress = \"127.0.0.1\"\nmapport = {inside}\n"
            ));
            let daemon = site.start();
            (site, daemon)
        })
        .collect();
    let servers = [
        ("192.0.2.21", proxies[0].0.port),
        ("192.0.2.22", proxies[1].0.port),
        ("192.0.2.31", app[0].port()),
        ("192.0.2.32", app[1].port()),
    ];
    let more = [
        ("address = \"192.0.2.11\"", "address = \"127.0.0.1\"".to_owned()),
        ("[\"192.0.2.21\", \"192.0.2.22\"]", "[\"127.0.0.1\"]".to_owned()),
    ];
    let topology = Topology::start("two-tiers.toml", &servers, &[(8080, inside), (80, outside)], &more);
    let session = |id: &str| {
        let request =
            format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: JSESSIONID=0001abc:{id}\r\nConnection: close\r\n\r\n");
        ask(loopback(outside), &request)
    };
    topology.wait_until("all of it is up", || session("10j0tobbm").status == 200);
    for _ in 0..4 {
        assert_eq!(session("10j0tobbm").server(), "app1");
        assert_eq!(session("10j0todzd").server(), "app2");
    }
    let explained = topology.daemon.dscontrol_words(&[
        "explain",
        "127.0.0.1",
        &format!("inside:{inside}"),
        "GET / HTTP/1.1",
        "Host: x",
        "X-Forwarded-For: 198.51.100.7",
    ]);
    assert!(
        explained.out.contains("the client is 198.51.100.7, as the trusted proxy 127.0.0.1 says"),
        "{}",
        explained.out
    );
    drop(topology.site);
}

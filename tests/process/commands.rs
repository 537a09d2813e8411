//! What an operator types, rightly and wrongly, and what comes back.

use crate::support::{Origin, Site, get};

fn shop() -> (Site, Origin, Origin) {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let site =
        Site::new(&format!("[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\n{}{}", one.server(), two.server()));
    (site, one, two)
}

#[test]
fn every_report_answers_for_people_and_for_programs() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    daemon.must(&format!("advisor start http {}", site.port));
    daemon.must("rule add shop::all type true priority 5");
    daemon.must("rule useserver shop::all one+two");
    for line in [
        "status",
        "executor status",
        "executor report",
        "cluster status shop",
        "cluster report shop",
        "port status shop:",
        "port report shop:",
        "server status shop::one",
        "server report shop::",
        "rule status shop::all",
        "rule report shop::all",
        "manager status",
        "manager report",
        "advisor list",
        &format!("advisor status http {}", site.port),
        &format!("advisor report http {}", site.port),
        "file report",
        "logstatus",
        "help",
        "help server",
        &format!("explain 192.0.2.1 shop:{}", site.port),
    ] {
        let text = daemon.must(line);
        assert!(!text.trim().is_empty(), "{line}");
        let json = daemon.must(&format!("--json {line}"));
        let value: serde_json::Value =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{line}: {error}\n{json}"));
        assert_eq!(value["outcome"], "done", "{line}");
    }
}

#[test]
fn refusals_say_what_would_be_right() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let cases = [
        ("server sett shop::one weight 5", 2, "set"),
        ("server set shop::one wieght 5", 2, "weight"),
        ("server set shop::one weight 500", 1, "500"),
        ("server set shp::one weight 5", 1, "shop"),
        ("server down shop::three", 1, "three"),
        ("port add shop:99999 method http", 2, "99999"),
        ("port add shop:8443 method nat", 1, "method http or tcp"),
        ("port add shop:8443 method mac", 1, "a cluster address of its own"),
        ("cluster add shop address 127.0.0.1", 1, "shop"),
        ("nonsense", 2, "help"),
        ("file newload nowhere.toml", 1, "nowhere.toml"),
    ];
    for (line, code, wanted) in cases {
        let output = daemon.dscontrol(line);
        let said = format!("{}{}", output.out, output.err);
        assert!(said.contains(wanted), "{line}: {said}");
        assert!(output.code == code || output.code == 3 - code, "{line}: {output:?}");
        assert_ne!(output.code, 0, "{line}");
    }
    assert_eq!(get(site.address(), "/").status, 200);
}

#[test]
fn drain_a_server_and_take_it_back() {
    let (site, one, _two) = shop();
    let daemon = site.start();
    let touched = daemon.must("manager quiesce one");
    assert!(touched.contains(&format!("shop:{}:one", site.port)), "{touched}");
    let before = one.requests();
    assert!((0..10).all(|_| get(site.address(), "/").server() == "two"));
    assert_eq!(one.requests(), before);
    assert!(daemon.must("manager report").contains("QUIESCED"));
    daemon.must("manager unquiesce one");
    daemon.wait_until("one serves again", |_| get(site.address(), "/").server() == "one");
    daemon.must("server down shop::one");
    assert!((0..10).all(|_| get(site.address(), "/").server() == "two"));
    daemon.must("server up shop::one");
    daemon.wait_until("one serves again", |_| get(site.address(), "/").server() == "one");
}

#[test]
fn the_executor_stops_and_starts() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    daemon.must("executor stop");
    daemon.wait_until("nobody listens", |_| std::net::TcpStream::connect(site.address()).is_err());
    assert_eq!(get(site.metrics_address(), "/healthz").status, 503);
    daemon.must("status");
    daemon.must("executor start");
    assert_eq!(get(site.address(), "/").status, 200);
}

#[test]
fn objects_come_and_go_while_traffic_runs() {
    let (site, _one, _two) = shop();
    let three = Origin::start("three");
    let daemon = site.start();
    daemon.must(&format!("server add shop:{}:three address 127.0.0.1 mapport {}", site.port, three.port()));
    daemon.wait_until("three serves", |_| get(site.address(), "/").server() == "three");
    daemon.must("server remove shop::three");
    assert!((0..9).all(|_| get(site.address(), "/").server() != "three"));
    let other = crate::support::free_port();
    daemon.must(&format!("port add shop:{other} method http"));
    daemon.must(&format!("server add shop:{other}:three address 127.0.0.1 mapport {}", three.port()));
    let address = (std::net::Ipv4Addr::LOCALHOST, other).into();
    assert_eq!(get(address, "/").server(), "three");
    daemon.must(&format!("port remove shop:{other}"));
    daemon.wait_until("nobody listens", |_| std::net::TcpStream::connect(address).is_err());
}

#[test]
fn the_prompt_goes_on_after_a_mistake() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let output = daemon.prompt("status\nnonsense\nmanager status\nexit\nstatus\n");
    assert_ne!(output.code, 0, "the mistake shows in the exit code: {output:?}");
    assert!(output.out.contains("Smoothing index"), "{}", output.out);
    assert!(!output.out.contains("dscontrol>>"), "no prompt for a pipe");
}

#[test]
fn a_change_that_changes_nothing_says_so() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    assert!(daemon.must("manager start").contains("it was so already"));
    assert!(!daemon.must("manager stop").contains("already"));
    assert!(daemon.must("manager unquiesce one").contains("it was so already"));
}

#[test]
fn a_huge_command_is_refused_and_the_next_one_answered() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let huge = format!("server set shop::one advisorrequest {}\n", "x".repeat(10 * 1024 * 1024));
    let output = daemon.prompt(&huge);
    assert_ne!(output.code, 0);
    let said = format!("{}{}", output.out, output.err);
    assert!(said.len() < 10_000, "the refusal does not repeat it: {} bytes", said.len());
    daemon.must("status");
}

#[test]
fn a_daemon_that_is_not_there_is_named() {
    let (site, _one, _two) = shop();
    let mut daemon = site.start();
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));
    let output = daemon.dscontrol("status");
    assert_eq!(output.code, 1);
    assert!(output.err.contains("control.sock") && output.err.contains("not running"), "{}", output.err);
}

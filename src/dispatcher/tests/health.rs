//! Servers die and come back.

use std::time::Duration;

use super::{Fate, Pretend, SHOP};
use crate::model::{DownReason, ProxyVersion};

const CLIENT: &str = "203.0.113.7";

fn shop_with(port: &str, advisor: &str) -> String {
    let port = SHOP.replace("method = \"http\"\n", &format!("method = \"http\"\n{port}\n"));
    format!("{port}{advisor}\n")
}

/// How long until this server is chosen no more (or again), looked at every 10 ms.
fn until_chosen(world: &mut Pretend, server: &str, chosen: bool) -> Duration {
    let begin = world.now;
    while world.choices("shop:80", 20).contains(server) != chosen {
        world.run_for(Duration::from_millis(10));
        assert!(world.now - begin < Duration::from_secs(3600), "{server} is never chosen = {chosen}");
    }
    world.now - begin
}

#[test]
fn the_first_probe_is_made_at_once() {
    let world = Pretend::with(SHOP);
    assert_eq!(world.probes.len(), 2, "before any time has passed");
    assert_eq!(world.row("server status shop:80:w1", "Measured health"), "unknown");
    assert_eq!(world.choices("shop:80", 2), "w1 1 w2 1", "nobody waits for a verdict");
}

#[test]
fn probes_begin_as_connections_to_the_port_do() {
    let mut world = Pretend::settled(SHOP);
    assert_eq!(world.probe_header, None);
    for (word, version) in [("v1", Some(ProxyVersion::V1)), ("v2", Some(ProxyVersion::V2)), ("off", None)] {
        world.command(&format!("port set shop:80 sendproxy {word}")).expect("is carried out");
        world.run_for(Duration::from_secs(30));
        assert_eq!(world.probe_header, version, "the next probe after the change");
    }
}

#[test]
fn a_dead_server_leaves_in_time_and_comes_back() {
    for (retries, fate) in
        [(0, Fate::Silent), (2, Fate::Silent), (0, Fate::Refused), (3, Fate::Bad(DownReason::ClosedEarly))]
    {
        let mut world = Pretend::settled(&shop_with("", &format!("retries = {retries}")));
        world.run_for(Duration::from_millis(333));
        world.fate("192.0.2.21", fate.clone());
        let took = until_chosen(&mut world, "w1", false);
        let allowed = Duration::from_secs(retries + 1) + Duration::from_secs(1);
        assert!(took <= allowed, "{fate:?} with {retries} retries took {took:?}, allowed {allowed:?}");
        let told = world.take_told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("warning server shop:80:w1: up -> down ("), "{told:?}");
        world.fate("192.0.2.21", Fate::Good(10));
        assert!(until_chosen(&mut world, "w1", true) <= Duration::from_secs(2), "one good probe is enough");
        assert!(world.take_told()[0].starts_with("info server shop:80:w1: down -> up (was "));
    }
}

#[test]
fn the_sorry_server_takes_over_while_all_others_are_down() {
    let sorry = r#"
    [[cluster.port.server]]
    name = "sorry"
    address = "192.0.2.99"
    sticky = false
    [[cluster.port.rule]]
    name = "normal"
    type = "true"
    priority = 10
    servers = ["w1", "w2"]
    [[cluster.port.rule]]
    name = "sorry"
    type = "true"
    priority = 20
    servers = ["sorry"]
[[advisor]]"#;
    let mut world = Pretend::settled(&shop_with("stickytime = 300", "").replace("[[advisor]]", sorry));
    let first = world.next_server(CLIENT);
    assert_ne!(first, "sorry");
    assert_eq!(world.next_server(CLIENT), first, "affinity");
    world.fate("192.0.2.21", Fate::Refused);
    world.fate("192.0.2.22", Fate::Refused);
    world.run_seconds(2.0);
    assert_eq!(world.next_server(CLIENT), "sorry");
    assert_eq!(world.row("rule report shop:80:sorry", "Times fired"), "1");
    assert!(world.take_told().iter().all(|told| !told.starts_with("ALERT")), "the sorry server is up");
    world.fate("192.0.2.21", Fate::Good(10));
    world.run_seconds(2.0);
    assert_eq!(world.next_server(CLIENT), "w1", "`sticky no` holds nobody at the sorry server");
}

#[test]
fn all_servers_down_alert_once_and_clear_once() {
    let mut world = Pretend::settled(SHOP);
    world.fate("192.0.2.21", Fate::Refused);
    world.fate("192.0.2.22", Fate::Silent);
    world.run_seconds(10.0);
    let alerts =
        |told: &[String]| told.iter().filter(|line| line.contains("port shop:80")).cloned().collect::<Vec<_>>();
    assert_eq!(alerts(&world.take_told()), ["ALERT port shop:80: all servers are down"]);
    assert_eq!(world.next_server(CLIENT), "AllDown");
    assert_eq!(world.row("status", "WARNING"), "port shop:80: all servers are down");
    world.command("port set shop:80 stickytime 10").expect("an unrelated change");
    world.run_seconds(10.0);
    assert_eq!(alerts(&world.take_told()), [""; 0], "once is enough");
    world.fate("192.0.2.22", Fate::Good(10));
    world.run_seconds(3.0);
    assert_eq!(alerts(&world.take_told()), ["info port shop:80: a server is back"]);
    assert_eq!(world.next_server(CLIENT), "w2");
}

#[test]
fn all_down_may_spread() {
    let mut world = Pretend::settled(&shop_with("all-down = \"spread\"", ""));
    world.fate("192.0.2.21", Fate::Refused);
    world.fate("192.0.2.22", Fate::Refused);
    world.run_seconds(3.0);
    assert_eq!(world.choices("shop:80", 4), "w1 2 w2 2");
}

#[test]
fn a_purging_port_cuts_what_runs_at_a_dead_server_after_the_table_says_so() {
    for (ondown, wanted) in [("keep", false), ("purge", true)] {
        let mut world = Pretend::settled(&shop_with(&format!("ondown = \"{ondown}\""), ""));
        world.fate("192.0.2.21", Fate::Refused);
        world.run_seconds(3.0);
        let done = world.take_done();
        let cut = done.iter().position(|done| done == "cut shop:80:w1");
        assert_eq!(cut.is_some(), wanted, "{ondown}: {done:?}");
        assert!(cut.is_none_or(|cut| done[..cut].contains(&"publish".to_owned())), "{done:?}");
        assert_eq!(done.iter().filter(|done| done.starts_with("cut")).count(), usize::from(wanted), "{done:?}");
    }
}

/// Ten servers named w0 to w9.
fn many(manager: &str) -> String {
    let servers: String = (0..10)
        .map(|n| format!("    [[cluster.port.server]]\n    name = \"w{n}\"\n    address = \"192.0.2.{}\"\n", 100 + n))
        .collect();
    format!(
        "[manager]\n{manager}\n[[cluster]]\nname = \"shop\"\naddress = \"192.0.2.10\"\n  [[cluster.port]]\n  number = 80\n  \
         method = \"http\"\n{servers}[[advisor]]\nname = \"http\"\nport = 80\ninterval = 10\n"
    )
}

fn silence(world: &mut Pretend, servers: std::ops::Range<u8>, fate: &Fate) {
    for server in servers {
        world.fate(&format!("192.0.2.{}", 100 + server), fate.clone());
    }
}

fn usable(world: &Pretend) -> usize {
    world.row("port report shop:80", "Number of usable servers").parse().expect("a number")
}

#[test]
fn the_velocity_limit_takes_servers_out_one_after_the_other() {
    let bad = Fate::Bad(DownReason::ReceiveTimeout);
    let mut without = Pretend::settled(&many(""));
    silence(&mut without, 0..6, &bad);
    without.run_seconds(10.5);
    assert_eq!(usable(&without), 4, "off by default");
    let mut world = Pretend::settled(&many("velocitylimit = true"));
    silence(&mut world, 0..6, &bad);
    world.run_seconds(10.5);
    assert_eq!(usable(&world), 8, "a fifth of ten within one interval");
    let shown = world.shown("server status shop:80:");
    assert_eq!(shown.lines().filter(|row| row.starts_with("Measured health") && row.contains(" down ")).count(), 6);
    assert_eq!(world.row("status", "Servers down"), "2", "those that are held back still serve");
    world.run_seconds(40.0);
    assert_eq!(usable(&world), 4, "in the end all of them");
    let mut refused = Pretend::settled(&many("velocitylimit = true"));
    silence(&mut refused, 0..6, &Fate::Refused);
    refused.run_seconds(10.5);
    assert_eq!(usable(&refused), 4, "a refused connection is certain");
}

#[test]
fn fail_open_sets_verdicts_aside_when_most_are_called_down() {
    let bad = Fate::Bad(DownReason::UnexpectedResponse);
    let mut world = Pretend::settled(&many("failopen = true"));
    silence(&mut world, 0..5, &bad);
    world.run_seconds(11.0);
    assert_eq!(world.choices("shop:80", 50).split(' ').count(), 10, "half are healthy: five servers in use");
    silence(&mut world, 5..6, &bad);
    world.run_seconds(11.0);
    assert_eq!(world.choices("shop:80", 200).split(' ').count(), 20, "fewer than half: the checks may be wrong");
    silence(&mut world, 0..1, &Fate::Refused);
    world.run_seconds(11.0);
    assert!(!world.choices("shop:80", 200).contains("w0"), "a refused connection is never argued with");
    silence(&mut world, 1..10, &bad);
    world.run_seconds(11.0);
    assert!(world.next_server(CLIENT).starts_with('w'), "all called down: fail-open serves on");
    assert_eq!(world.row("server report shop:80:w5", "Weight"), "-1", "a last resort is still called down");
    assert!(world.row("server report shop:80:w5", "Measured health").starts_with("down"));
    assert!(world.take_told().contains(&"ALERT port shop:80: all servers are down".to_owned()), "and hides nothing");
}

#[test]
fn a_server_that_no_advisor_looks_at_any_more_is_not_held_down() {
    let mut world = Pretend::settled(SHOP);
    world.fate("192.0.2.21", Fate::Refused);
    world.run_seconds(3.0);
    assert_eq!(world.choices("shop:80", 4), "w2 4");
    world.command("advisor stop http 80").expect("stopped");
    assert_eq!(world.choices("shop:80", 4), "w1 2 w2 2");
    let probes = world.probes.clone();
    world.run_seconds(10.0);
    assert_eq!(world.probes, probes, "nobody is probed");
    world.command("advisor start http 80").expect("started");
    assert_ne!(world.probes, probes, "at once");
}

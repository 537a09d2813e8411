//! What operators see.

use super::{Fate, Pretend, SHOP};
use crate::control::Outcome;
use crate::executor::{Lane, Phase};
use crate::message::ErrorReason;

#[test]
fn every_question_is_answered() {
    let world = Pretend::settled(SHOP);
    for question in [
        "status",
        "executor status",
        "executor report",
        "executor certificates",
        "cluster status",
        "cluster report shop",
        "port status",
        "port report shop:80",
        "server status",
        "server report shop:80:w1+w2",
        "manager status",
        "manager report",
        "manager version",
        "advisor list",
        "advisor status http 80",
        "advisor report",
        "advisor version http",
        "logstatus",
        "control status",
        "metrics status",
        "explain 203.0.113.7 shop:80",
        "help",
        "help server",
        "version",
    ] {
        let reply = world.answer(question);
        assert_eq!(reply.outcome, Outcome::Done, "{question}: {:?}", reply.lines);
    }
}

#[test]
fn operands_choose_in_the_order_of_the_configuration() {
    let more = r#"  [[cluster.port]]
  number = 443
  method = "tcp"
    [[cluster.port.server]]
    name = "w1"
    address = "192.0.2.21"
[[cluster]]
name = "bank"
address = "192.0.2.11"
  [[cluster.port]]
  number = 443
  method = "tcp"
    [[cluster.port.server]]
    name = "z9"
    address = "192.0.2.29"
[[advisor]]"#;
    let world = Pretend::settled(&SHOP.replace("[[advisor]]", more));
    let chosen = |operand: &str| {
        let shown = world.shown(&format!("server report {operand}"));
        let of = |label: &str| {
            let rows = shown.lines().filter(|line| line.starts_with(label));
            rows.map(|row| row.rsplit(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let keys = of("Cluster ..").into_iter().zip(of("Port number ..")).zip(of("Server .."));
        keys.map(|((cluster, port), server)| format!("{cluster}:{port}:{server}")).collect::<Vec<_>>().join(" ")
    };
    for (operand, servers) in [
        ("::", "shop:80:w1 shop:80:w2 shop:443:w1 bank:443:z9"),
        ("shop:80:w2+w1", "shop:80:w1 shop:80:w2"),
        ("shop::w1", "shop:80:w1 shop:443:w1"),
        ("::w1", "shop:80:w1 shop:443:w1"),
        (":443:", "shop:443:w1 bank:443:z9"),
        ("bank@443@z9", "bank:443:z9"),
    ] {
        assert_eq!(chosen(operand), servers, "{operand}");
    }
    for (question, sentence) in [
        ("server report shp:80:w1", "there is no cluster `shp`; did you mean `shop`?"),
        ("server report zebra:80:w1", "there is no cluster `zebra`; there are `shop` and `bank`"),
        ("server report shop:81:w1", "cluster shop has no port `81`; did you mean `80`?"),
        ("port report shop+bank:80", "cluster bank has no port `80`; there is `443`"),
        ("server report shop:80:w3", "port shop:80 has no server `w3`; did you mean `w1`?"),
        ("server status shop:443:long-name", "port shop:443 has no server `long-name`; there is `w1`"),
        ("server report ::long-name", "there is no server `long-name`; there are `w1`, `w2` and `z9`"),
        ("rule report", "there is no rule"),
        ("rule report shop:80:calm", "port shop:80 has no rule `calm`; there is none at all"),
        ("advisor report http 81", "advisor `http 81` does not run; did you mean `http 80`?"),
        ("advisor status ping", "advisor `ping` does not run; there is `http 80`"),
    ] {
        assert_eq!(world.refusal(question), sentence, "{question}");
    }
}

#[test]
fn nothing_configured_is_said_so() {
    let world = Pretend::empty();
    assert_eq!(world.refusal("cluster report"), "there is no cluster");
    assert_eq!(world.refusal("advisor report"), "no advisor runs; `advisor start http 80` would start one");
    assert_eq!(world.row("status", "Servers"), "0");
    assert_eq!(world.row("executor status", "Default stale timeout"), "by port number");
}

#[test]
fn counters_come_through() {
    let mut world = Pretend::settled(SHOP);
    let port = world.port("shop:80");
    let open = port.counters.open_connection(Lane(0));
    drop(port.counters.open_connection(Lane(1)));
    port.counters.count_reason(Lane(0), ErrorReason::NoServer.index());
    port.counters.count_code(Lane(0), 200);
    port.counters.count_code(Lane(1), 503);
    port.counters.count_retry(Lane(0), ErrorReason::ConnectRefused.index());
    port.counters.record(Lane(0), Phase::Total, 1_500);
    port.counters.record(Lane(1), Phase::Total, 2_500);
    port.servers[0].counters.count_failed(Lane(0));
    port.servers[0].counters.count_response(Lane(0), 204);
    let row = |label: &str| world.row("port report shop:80", label);
    assert_eq!((row("Client connections open"), row("Client connections accepted")), ("1".into(), "2".into()));
    assert_eq!((row("Refused - no-server"), row("Retried on another server")), ("1".into(), "1".into()));
    assert_eq!((row("Responses - 2xx"), row("Responses - 5xx")), ("1".into(), "1".into()));
    assert_eq!(row("Mean total time (ms)"), "2");
    assert!(!world.shown("port report shop:80").contains("Mean connect"), "what was not measured is not shown");
    assert!(!world.shown("port report shop:80").contains("Refused - rejected"), "only what happened");
    assert_eq!(world.row("executor report", "Refused - no-server"), "1");
    assert_eq!(world.row("cluster report shop", "Refused - no-server"), "1");
    assert_eq!(world.row("server report shop:80:w1", "Not taken"), "1");
    assert_eq!(world.row("server report shop:80:w1", "Responses - 2xx"), "1");
    drop(open);
    world.outside.paused = true;
    assert_eq!(world.row("port report shop:80", "Listener"), "paused");
    assert_eq!(world.row("executor report", "Started"), "N");
}

#[test]
fn loads_tell_unknown_bad_and_good_apart() {
    let mut world = Pretend::with(SHOP);
    world.fate("192.0.2.22", Fate::Good(0));
    let load = |world: &Pretend, server: &str| world.row(&format!("server report shop:80:{server}"), "Port load");
    assert_eq!(load(&world, "w1"), "0", "nobody knows yet");
    world.run_seconds(3.0);
    assert_eq!((load(&world, "w1"), load(&world, "w2")), ("10".into(), "1".into()), "quick is not unknown");
    world.fate("192.0.2.21", Fate::Refused);
    world.run_seconds(2.0);
    assert_eq!(load(&world, "w1"), "-1");
    let report = world.shown("advisor report http 80");
    assert!(report.contains("connect-refused"), "{report}");
    world.command("advisor stop http 80").expect("stopped");
    assert_eq!((load(&world, "w1"), load(&world, "w2")), ("0".into(), "0".into()));
}

#[test]
fn overrides_are_told_where_they_were_made() {
    let mut world = Pretend::settled(SHOP);
    world.command("port set shop:80 stickytime 60").expect("set");
    world.command("server remove shop:80:w2").expect("removed");
    world.command("manager set sensitivity 7").expect("set");
    world.command("advisor interval http 80 3").expect("set");
    let of = |question: &str| {
        let shown = world.shown(question);
        let rows = shown.lines().filter(|row| row.starts_with("Changed by operators"));
        rows.map(|row| row.split_once(".. ").map_or("", |(_, value)| value).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("port status shop:80"), ["stickytime 60 (file: the default)", "server w2 removed"]);
    assert_eq!(of("manager status"), ["sensitivity 7 (file: the default)"]);
    assert_eq!(of("advisor status http"), ["interval 3 (file: 1)"]);
    assert_eq!(of("status"), ["4"]);
}

#[test]
fn a_command_that_is_no_question_is_refused_as_our_own_mistake() {
    let world = Pretend::settled(SHOP);
    for command in ["server down shop:80:w1", "executor stop", "file report"] {
        assert!(world.refusal(command).starts_with("a mistake of tsuji itself"), "{command}");
    }
}

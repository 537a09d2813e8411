//! Weights follow evidence.

use super::{Fate, Pretend, SHOP};

fn weight(world: &Pretend, server: &str) -> i16 {
    world.row(&format!("server report shop:80:{server}"), "Weight").parse().expect("a number")
}

#[test]
fn the_busier_server_gets_less() {
    let mut world = Pretend::settled(SHOP);
    let mut running = Vec::new();
    for _ in 0..15 {
        running.extend(world.connect("w1", 12));
        running.extend(world.connect("w2", 2));
        world.run_seconds(2.0);
    }
    assert!(weight(&world, "w1") < weight(&world, "w2"), "{} {}", weight(&world, "w1"), weight(&world, "w2"));
    let table = &world.port("shop:80").servers;
    let published: Vec<i16> = table.iter().map(|entry| entry.weight.get().into()).collect();
    assert_eq!(published, [weight(&world, "w1"), weight(&world, "w2")], "what is shown is in force");
    let report = world.shown("manager report");
    assert!(report.contains("| w1         |") && report.contains("  180 |"), "active connections:\n{report}");
}

#[test]
fn an_advisor_takes_its_percent_where_it_looks() {
    let mut world = Pretend::with(SHOP);
    let proportions = |world: &Pretend| world.row("cluster status shop", "Proportion given to active connections");
    assert_eq!(proportions(&world), "0.49");
    assert!(world.shown("manager report").contains("|  49% |  50% |   1% |  0% |"));
    world.command("advisor stop http 80").expect("stopped");
    assert_eq!(proportions(&world), "0.5");
    world.command("advisor start http 443").expect("started elsewhere");
    assert!(world.shown("manager report").contains("|  50% |  50% |   0% |  0% |"));
}

#[test]
fn weights_shown_are_minus_one_for_down_and_zero_for_quiesced() {
    let mut world = Pretend::settled(SHOP);
    world.fate("192.0.2.21", Fate::Refused);
    world.command("manager quiesce shop:80:w2").expect("quiesced");
    world.run_seconds(5.0);
    assert_eq!((weight(&world, "w1"), weight(&world, "w2")), (-1, 0));
    let report = world.shown("manager report");
    assert!(report.contains("|  -1  -1 |") && report.contains("|   0   0 |"), "{report}");
    assert!(report.contains("DOWN BY ADVISOR") && report.contains("| QUIESCED "), "{report}");
    assert_eq!(world.row("server status shop:80:w2", "Saved weight"), "20");
    world.command("manager unquiesce shop:80:w2").expect("back");
    assert_eq!(weight(&world, "w2"), 20, "it goes on from where it was");
}

#[test]
fn a_stopped_manager_leaves_weights_alone_and_a_fixed_weight_is_never_touched() {
    let mut world = Pretend::settled(SHOP);
    world.command("server set shop:80:w1 weight 7 fixedweight yes").expect("fixed");
    assert_eq!(weight(&world, "w1"), 7, "at once");
    let busy = world.connect("w2", 50);
    world.run_seconds(20.0);
    assert_eq!(weight(&world, "w1"), 7);
    drop(busy);
    world.command("manager stop").expect("stopped");
    let before = weight(&world, "w2");
    let _busy = world.connect("w1", 500);
    world.run_seconds(20.0);
    assert_eq!(weight(&world, "w2"), before);
    assert!(world.shown("status").contains("Manager has been stopped."));
}

#[test]
fn connection_rates_are_of_the_last_second() {
    let rule = r#"
    [[cluster.port.rule]]
    name = "calm"
    type = "connection"
    beginrange = 0
    endrange = 9
    servers = ["w1"]
    [[cluster.port.rule]]
    name = "busy"
    type = "true"
    servers = ["w2"]
[[advisor]]"#;
    let mut world = Pretend::settled(&SHOP.replace("[[advisor]]", rule));
    assert_eq!(world.next_server("203.0.113.7"), "w1");
    drop(world.connect("w1", 25));
    assert_eq!(world.next_server("203.0.113.7"), "w1", "not measured yet");
    world.run_seconds(1.0);
    assert_eq!(world.next_server("203.0.113.7"), "w2");
    assert_eq!(world.row("port report shop:80", "Connections per second"), "25");
    assert_eq!(world.row("rule report shop:80:calm", "True now"), "N");
    world.run_seconds(1.0);
    assert_eq!(world.next_server("203.0.113.7"), "w1");
    assert_eq!(world.row("rule report shop:80:calm", "Times fired"), "3");
}

#[test]
fn bytes_per_second_are_of_the_last_second() {
    let mut world = Pretend::settled(SHOP);
    let counters = &world.port("shop:80").servers[0].counters;
    counters.count_bytes_in(crate::executor::Lane(0), 1024);
    counters.count_bytes_out(crate::executor::Lane(1), 9 * 1024);
    world.run_seconds(1.0);
    for report in ["server report shop:80:w1", "port report shop:80", "cluster report shop", "executor report"] {
        assert_eq!(world.row(report, "KBytes transferred per second"), "10", "{report}");
        assert_eq!(world.row(report, "Bytes sent"), "9216", "{report}");
    }
    world.run_seconds(1.0);
    assert_eq!(world.row("executor report", "KBytes transferred per second"), "0");
}

//! Servers that begin slowly, and ports that follow others.

use super::{Fate, Pretend, SHOP};

#[test]
fn a_server_that_comes_back_begins_slowly_and_the_first_one_back_does_not() {
    let mut world = Pretend::settled(&SHOP.replace("method = \"http\"\n", "method = \"http\"\nslowstart = 10\n"));
    assert_eq!(world.choices("shop:80", 20), "w1 10 w2 10", "nobody comes back at the start");
    world.fate("192.0.2.21", Fate::Refused);
    world.run_seconds(3.0);
    world.fate("192.0.2.21", Fate::Good(10));
    let mut share = Vec::new();
    for _ in 0..14 {
        world.run_seconds(1.0);
        let choices = world.choices("shop:80", 110);
        share.push(
            choices.strip_prefix("w1 ").and_then(|rest| rest.split(' ').next()).map_or(0, |n| n.parse().unwrap_or(0)),
        );
    }
    assert!(share.is_sorted(), "a little more each second: {share:?}");
    assert!(share.iter().any(|&part| (1..=30).contains(&part)), "{share:?}");
    assert_eq!(share.last(), Some(&55));
    world.fate("192.0.2.21", Fate::Refused);
    world.fate("192.0.2.22", Fate::Refused);
    world.run_seconds(3.0);
    world.fate("192.0.2.21", Fate::Good(10));
    world.run_seconds(1.5);
    world.command("server set shop:80:w2 weight 10").expect("an unrelated change");
    assert_eq!(world.choices("shop:80", 10), "w1 10");
}

#[test]
fn an_operators_server_up_and_a_server_that_is_added_begin_slowly_too() {
    let mut world = Pretend::settled(&SHOP.replace("method = \"http\"\n", "method = \"http\"\nslowstart = 10\n"));
    world.command("server down shop:80:w1").expect("is carried out");
    world.run_seconds(2.0);
    world.command("server up shop:80:w1").expect("is carried out");
    assert_eq!(world.choices("shop:80", 11), "w1 1 w2 10");
    world.command("server add shop:80:w3 address 192.0.2.23").expect("is carried out");
    let choices = world.choices("shop:80", 12);
    assert!(choices.ends_with("w3 1"), "{choices}");
    world.run_seconds(12.0);
    assert_eq!(world.choices("shop:80", 30), "w1 10 w2 10 w3 10");
}

const FOLLOWING: &str = r#"[[cluster]]
name = "shop"
address = "192.0.2.10"
  [[cluster.port]]
  number = 80
  method = "http"
  follows = 9080
    [[cluster.port.server]]
    name = "web1"
    address = "192.0.2.21"
    [[cluster.port.server]]
    name = "web2"
    address = "192.0.2.22"
  [[cluster.port]]
  number = 9080
  method = "tcp"
  monitor = true
    [[cluster.port.server]]
    name = "app1"
    address = "192.0.2.31"
    [[cluster.port.server]]
    name = "app2"
    address = "192.0.2.32"
[[advisor]]
name = "connect"
port = 9080
interval = 1
"#;

#[test]
fn a_port_is_closed_while_the_one_that_it_follows_has_no_server() {
    let mut world = Pretend::settled(FOLLOWING);
    let client = "203.0.113.7";
    assert!(world.next_server(client).starts_with("web"));
    world.fate("192.0.2.31", Fate::Refused);
    world.run_seconds(3.0);
    assert!(world.next_server(client).starts_with("web"), "one application server is left");
    world.fate("192.0.2.32", Fate::Refused);
    world.run_seconds(3.0);
    assert_eq!(world.next_server(client), "AllDown");
    let told = world.take_told();
    assert!(told.iter().any(|line| line == "ALERT port shop:80: all servers are down"), "{told:#?}");
    assert!(told.iter().any(|line| line.contains("shop:80:web1") && line.contains("9080")), "{told:#?}");
    world.fate("192.0.2.31", Fate::Good(10));
    world.run_seconds(3.0);
    assert!(world.next_server(client).starts_with("web"));
    world.command("server down shop:9080:app1").expect("is carried out");
    world.run_seconds(1.0);
    assert_eq!(world.next_server(client), "AllDown", "an operator's word counts too");
    world.command("port set shop:80 follows 80").expect_err("it cannot follow itself");
    world.command("server up shop:9080:app1").expect("is carried out");
    world.run_seconds(1.0);
    assert!(world.next_server(client).starts_with("web"));
}

//! Servers that are known by name.

use super::{Pretend, SHOP};

fn by_name() -> String {
    SHOP.replace("address = \"192.0.2.21\"", "address = \"w1.example.com\"")
}

#[test]
fn a_name_is_looked_up_at_once_and_raises_no_alarm_meanwhile() {
    let mut world = Pretend::empty();
    world.name("w1.example.com", &["192.0.2.31"]);
    let only = by_name().replace("    [[cluster.port.server]]\n    name = \"w2\"\n    address = \"192.0.2.22\"\n", "");
    world.load(&only).expect("a configuration");
    assert_eq!(world.take_told(), ["listen shop:80 at 192.0.2.10:80", "resolve w1.example.com"]);
    assert_eq!(world.next_server("203.0.113.7"), "AllDown");
    world.run_seconds(0.01);
    assert_eq!(world.next_server("203.0.113.7"), "w1", "at once");
    world.run_seconds(0.1);
    assert_eq!(world.take_told(), ["info server shop:80:w1: address unresolved -> 192.0.2.31 (name w1.example.com)"]);
    assert_eq!(world.next_server("203.0.113.7"), "w1");
    assert!(world.probes.contains_key(&"192.0.2.31:80".parse().expect("an address")), "probed as soon as it has one");
}

#[test]
fn an_unresolved_server_is_looked_up_again_until_it_has_an_address() {
    let mut world = Pretend::with(&by_name());
    world.run_seconds(1.0);
    let told = world.take_told();
    assert!(
        told.contains(&"warning server shop:80:w1: cannot resolve `w1.example.com`: no such host".to_owned()),
        "{told:?}"
    );
    assert!(told.contains(&"warning server shop:80:w1: unknown -> down (unresolved)".to_owned()), "{told:?}");
    assert_eq!(world.row("server status shop:80:w1", "Server address"), "unresolved (w1.example.com)");
    assert_eq!(world.row("server status shop:80:w1", "Weight"), "-1");
    assert_eq!(world.choices("shop:80", 3), "w2 3");
    world.run_seconds(11.0);
    assert_eq!(world.take_told(), ["resolve w1.example.com"; 2], "asked every five seconds, told once");
    world.name("w1.example.com", &["192.0.2.31", "192.0.2.32"]);
    world.run_seconds(6.0);
    assert_eq!(world.choices("shop:80", 4), "w1 2 w2 2");
    assert_eq!(world.row("server status shop:80:w1", "Server address"), "192.0.2.31 (w1.example.com)");
    assert_eq!(world.row("server status shop:80:w1", "Measured health").split(' ').next(), Some("up"));
}

#[test]
fn a_server_moves_with_its_name_and_stays_where_it_is_while_the_resolver_is_away() {
    let mut world = Pretend::empty();
    world.name("w1.example.com", &["192.0.2.31"]);
    world.load(&by_name()).expect("a configuration");
    world.run_seconds(5.0);
    world.name("w1.example.com", &[]);
    world.run_seconds(60.0);
    assert_eq!(world.row("server status shop:80:w1", "Server address"), "192.0.2.31 (w1.example.com)");
    world.take_told();
    world.name("w1.example.com", &["192.0.2.40", "192.0.2.31"]);
    world.run_seconds(60.0);
    assert_eq!(
        world.row("server status shop:80:w1", "Server address"),
        "192.0.2.31 (w1.example.com)",
        "still among them"
    );
    world.name("w1.example.com", &["192.0.2.40"]);
    world.run_seconds(31.0);
    let moved = "info server shop:80:w1: address 192.0.2.31 -> 192.0.2.40 (name w1.example.com)".to_owned();
    assert!(world.take_told().contains(&moved));
    assert!(world.probes.contains_key(&"192.0.2.40:80".parse().expect("an address")));
    assert_eq!(world.choices("shop:80", 2), "w1 1 w2 1");
}

#[test]
fn servers_of_one_name_share_one_question() {
    let mut world = Pretend::empty();
    world.name("w1.example.com", &["192.0.2.31"]);
    world
        .load(&by_name().replace("address = \"192.0.2.22\"", "address = \"w1.example.com\"\nmapport = 81"))
        .expect("a configuration");
    assert_eq!(world.take_told().iter().filter(|told| told.starts_with("resolve")).count(), 1);
    world.run_seconds(1.0);
    assert_eq!(world.choices("shop:80", 2), "w1 1 w2 1");
}

//! What operators steer.

use super::{Fate, Pretend, SHOP};
use crate::config::Refusal;

const CLIENT: &str = "203.0.113.7";

fn sticky() -> String {
    SHOP.replace("method = \"http\"", "method = \"http\"\nstickytime = 300")
}

fn refused(world: &mut Pretend, line: &str) -> String {
    match world.command(line) {
        Err(Refusal::Refused(text)) => text,
        other => panic!("`{line}`: {other:?}"),
    }
}

#[test]
fn a_quiesced_server_keeps_its_clients_and_gets_no_new_ones() {
    let mut world = Pretend::settled(&sticky());
    assert_eq!(world.next_server(CLIENT), "w1");
    assert_eq!(world.command("manager quiesce shop:80:w1").expect("quiesced"), ["shop:80:w1"]);
    assert_eq!(world.take_done(), ["info server shop:80:w1: up -> quiesced (operator)", "publish"]);
    assert_eq!(world.next_server(CLIENT), "w1", "affinity");
    assert_eq!(world.choices("shop:80", 6), "w2 6", "new clients");
    world.command("manager quiesce w1 now").expect("quiesced now");
    assert_eq!(world.next_server(CLIENT), "w2", "affinity moves");
    assert_eq!(world.row("server status shop:80:w1", "Administrative state"), "quiesced-now");
    world.command("manager unquiesce w1").expect("back");
    assert_eq!(world.next_server(CLIENT), "w2", "it stays where it moved to");
    assert!(world.choices("shop:80", 200).contains("w1"));
}

#[test]
fn a_server_taken_down_is_cut_after_the_table_without_it() {
    let mut world = Pretend::settled(&sticky());
    assert_eq!(world.next_server(CLIENT), "w1");
    world.command("server down shop:80:w1").expect("down");
    assert_eq!(world.take_done(), ["info server shop:80:w1: up -> down (operator)", "publish", "cut shop:80:w1"]);
    assert_eq!(world.next_server(CLIENT), "w2");
    assert_eq!(world.row("server report shop:80:w1", "Weight"), "-1");
    assert_eq!(world.row("server status shop:80:w1", "Measured health").split(' ').next(), Some("up"), "two axes");
    assert!(refused(&mut world, "manager quiesce shop:80:w1").contains("server up shop:80:w1"));
    world.command("server up shop:80:w1").expect("up");
    assert_eq!(world.take_done(), ["info server shop:80:w1: down -> up (operator)", "publish"]);
    assert_eq!(world.next_server(CLIENT), "w2", "its affinity ended when it was taken down");
    assert!(world.choices("shop:80", 200).contains("w1"));
}

#[test]
fn all_taken_down_by_operators_is_an_alert_too() {
    let mut world = Pretend::settled(SHOP);
    world.command("server down shop:80:").expect("down");
    let done = world.take_done();
    assert!(done.contains(&"ALERT port shop:80: all servers are down".to_owned()), "{done:?}");
    assert_eq!(world.next_server(CLIENT), "AllDown");
}

#[test]
fn a_command_that_cannot_be_carried_out_changes_nothing() {
    let mut world = Pretend::settled(SHOP);
    let before = (world.heart.document().clone(), world.table.generation(), world.heart.generation());
    assert!(refused(&mut world, "server down shop:80:w3").contains("did you mean `w1`?"));
    assert!(refused(&mut world, "server add shop:80:w1 address 192.0.2.99").contains("already"));
    assert!(refused(&mut world, "port set shop:80 crossport 443").contains("443"));
    assert!(refused(&mut world, "rule add shop:80:r type active beginrange 9 endrange 1").contains("range"));
    assert_eq!((world.heart.document().clone(), world.table.generation(), world.heart.generation()), before);
    assert_eq!(world.take_done(), [""; 0]);
}

#[test]
fn each_change_is_one_table_and_one_generation() {
    let mut world = Pretend::settled(SHOP);
    let (tables, plans) = (world.table.generation(), world.heart.generation());
    world.command("server set shop:80:w1+w2 weight 5").expect("set");
    world.command("port set shop:80 stickytime 60").expect("set");
    assert_eq!(world.take_done(), ["publish", "publish"]);
    assert_eq!((world.table.generation(), world.heart.generation()), (tables + 2, plans + 2));
    assert_eq!(world.row("status", "Generation"), (plans + 2).to_string());
    world.command("manager interval 3").expect("a setting that no table has");
    assert_eq!(world.take_done(), [""; 0], "workers are not disturbed");
}

#[test]
fn objects_come_and_go_while_the_rest_runs() {
    let mut world = Pretend::settled(&sticky());
    world.command("server add shop:80:w3 address 192.0.2.23 weight 10").expect("added");
    assert!(world.probes.contains_key(&"192.0.2.23:80".parse().expect("an address")), "probed at once");
    assert!(world.choices("shop:80", 100).contains("w3"));
    world.take_done();
    world.command("port add shop:8080 method tcp").expect("added");
    assert_eq!(world.take_done(), ["publish", "listen shop:8080 at 192.0.2.10:8080"]);
    assert_eq!(world.next_server_at("shop:8080", CLIENT), "NoServers");
    world.command("server add shop:8080:w1 address 192.0.2.21").expect("added");
    assert_eq!(world.next_server_at("shop:8080", CLIENT), "w1");
    world.take_done();
    world.command("port remove shop:8080").expect("removed");
    assert_eq!(world.take_done(), ["unlisten 1", "publish"]);
    world.command("server remove shop:80:w1").expect("removed");
    assert_eq!(world.take_done(), ["publish"], "what runs there runs on");
    assert!(!world.choices("shop:80", 100).contains("w1"));
    world.command("rule add shop:80:closed type true").expect("added");
    assert_eq!(world.next_server("198.51.100.1"), "EmptyRule(0)");
}

#[test]
fn quiesced_and_down_by_an_advisor_are_told_apart() {
    let mut world = Pretend::settled(SHOP);
    world.command("manager quiesce w1").expect("quiesced");
    world.fate("192.0.2.21", Fate::Refused);
    world.run_seconds(2.0);
    assert_eq!(world.row("server report shop:80:w1", "Administrative state"), "quiesced");
    assert_eq!(world.row("server report shop:80:w1", "Weight"), "-1");
    assert!(world.row("server report shop:80:w1", "Measured health").ends_with(": connect-refused"));
    assert_eq!(world.row("status", "Servers quiesced"), "1");
    assert_eq!(world.row("status", "Servers down"), "1");
    world.command("manager unquiesce w1").expect("back");
    assert_eq!(world.next_server(CLIENT), "w2", "still down");
}

#[test]
fn settings_that_surprise_are_warned_of_and_kept() {
    let mut world = Pretend::settled(SHOP);
    let before = world.heart.warnings();
    world.command("server set shop:80:w1 advisorresponse OK").expect("set");
    let warnings = world.heart.warnings();
    let new: Vec<&String> = warnings.iter().filter(|warning| !before.contains(warning)).collect();
    assert!(new.iter().any(|warning| warning.contains("HEAD")), "{warnings:?}");
    assert!(world.shown("status").contains(new[0]));
}

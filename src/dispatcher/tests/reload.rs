//! New files in the same process.

use super::{Fate, Pretend, SHOP};
use crate::config::Overrides;
use crate::dispatcher::Occupancy;

const CLIENT: &str = "203.0.113.7";

fn sticky() -> String {
    SHOP.replace("method = \"http\"", "method = \"http\"\nstickytime = 300")
}

#[test]
fn the_same_file_again_disturbs_nobody() {
    let mut world = Pretend::settled(&sticky());
    let tables = world.table.generation();
    world.load(&sticky()).expect("loaded");
    assert_eq!(world.take_done(), [""; 0]);
    assert_eq!(world.table.generation(), tables);
    assert_eq!(world.heart.generation(), 2);
    assert!(world.needs_of(&sticky()).listeners.is_empty());
}

#[test]
fn health_affinity_counters_and_weights_stay() {
    let mut world = Pretend::settled(&sticky());
    let client_server = world.next_server(CLIENT);
    let _running = world.connect("w2", 30);
    world.fate("192.0.2.21", Fate::Refused);
    world.run_seconds(30.0);
    let weight = world.row("server status shop:80:w2", "Saved weight");
    world
        .load(&sticky().replace("name = \"w2\"", "name = \"w2\"\nadvisorrequest = \"GET / HTTP/1.0\""))
        .expect("loaded");
    assert_eq!(world.row("server report shop:80:w2", "Total active connections"), "30");
    assert_eq!(world.row("server status shop:80:w2", "Saved weight"), weight);
    assert_eq!(world.row("server status shop:80:w1", "Weight"), "-1", "no server is up just because a file was read");
    world.fate("192.0.2.21", Fate::Good(10));
    world.run_seconds(3.0);
    assert_eq!(world.next_server(CLIENT), client_server, "affinity");
}

#[test]
fn overrides_stay_unless_the_file_changes_that_very_field() {
    let mut world = Pretend::settled(&sticky());
    world.command("manager quiesce shop:80:w1").expect("quiesced");
    world.command("port set shop:80 stickytime 60").expect("set");
    world.command("server add shop:80:w3 address 192.0.2.23").expect("added");
    assert_eq!(world.row("status", "Changed by operators"), "3");
    let dropped = world.load(&sticky().replace("stickytime = 300", "stickytime = 90")).expect("loaded");
    assert_eq!(dropped.len(), 1, "{dropped:?}");
    assert!(dropped[0].contains("stickytime") && dropped[0].contains("90"), "{dropped:?}");
    assert_eq!(world.row("port status shop:80", "Sticky time"), "90");
    assert_eq!(world.row("server status shop:80:w1", "Administrative state"), "quiesced");
    assert_eq!(world.row("server status shop:80:w3", "Changed by operators"), "added");
    assert_eq!(world.row("server status shop:80:w1", "Changed by operators"), "state quiesced (file: the default)");
}

#[test]
fn overrides_survive_a_restart() {
    let mut world = Pretend::settled(SHOP);
    world.command("server down shop:80:w1").expect("down");
    let kept = world.heart.overrides().to_text();
    let mut next = Pretend::empty();
    next.load_with(SHOP, &Overrides::parse(&kept).expect("our own text"));
    assert_eq!(next.choices("shop:80", 3), "w2 3");
    assert_eq!(next.heart.overrides(), world.heart.overrides());
    next.command("server up shop:80:w1").expect("up");
    assert!(next.heart.overrides().is_empty());
}

#[test]
fn only_new_ports_need_sockets_and_removed_ones_give_theirs_up() {
    let mut world = Pretend::settled(SHOP);
    let second = SHOP.replace("[[advisor]]", "  [[cluster.port]]\n  number = 443\n  method = \"tcp\"\n[[advisor]]");
    let needs = world.needs_of(&second);
    assert_eq!(needs.listeners, [("192.0.2.10:443".parse().expect("an address"), Occupancy::Free)]);
    assert_eq!(world.take_done(), [""; 0], "a plan changes nothing");
    world.load(&second).expect("loaded");
    assert_eq!(world.take_done(), ["publish", "listen shop:443 at 192.0.2.10:443"]);
    world.load(SHOP).expect("loaded");
    assert_eq!(world.take_done(), ["unlisten 1", "publish"]);
    world.load(&second).expect("loaded");
    assert_eq!(world.take_done(), ["publish", "listen shop:443 at 192.0.2.10:443"], "and again");
}

#[test]
fn a_renamed_cluster_hands_its_socket_over() {
    let mut world = Pretend::settled(SHOP);
    let renamed = SHOP.replace("name = \"shop\"", "name = \"store\"");
    let needs = world.needs_of(&renamed);
    assert_eq!(needs.listeners, [("192.0.2.10:80".parse().expect("an address"), Occupancy::Ours)]);
    world.load(&renamed).expect("loaded");
    assert_eq!(world.take_done(), ["unlisten 0", "publish", "listen store:80 at 192.0.2.10:80"]);
    assert_eq!(world.next_server_at("store:80", CLIENT), "w1");
}

#[test]
fn a_cluster_that_moves_to_another_address_listens_there() {
    let mut world = Pretend::settled(SHOP);
    world.load(&SHOP.replace("address = \"192.0.2.10\"", "address = \"192.0.2.11\"")).expect("loaded");
    assert_eq!(world.take_done(), ["unlisten 0", "publish", "listen shop:80 at 192.0.2.11:80"]);
}

#[test]
fn a_broken_file_leaves_everything_as_it_was() {
    let mut world = Pretend::settled(SHOP);
    let before = (world.heart.document().clone(), world.heart.generation(), world.table.generation());
    for broken in [
        SHOP.replace("number = 80", "number = 80\nstickytme = 3"),
        SHOP.replace("method = \"http\"", "method = \"nat\""),
        SHOP.replace("name = \"w2\"", "name = \"w1\""),
        "[[cluster]".to_owned(),
    ] {
        let faults = world.load(&broken).expect_err(&broken).to_string();
        assert!(faults.starts_with("/etc/tsuji/tsuji.toml:"), "{faults}");
        assert_eq!((world.heart.document().clone(), world.heart.generation(), world.table.generation()), before);
    }
    assert_eq!(world.take_done(), [""; 0]);
}

#[test]
fn a_server_that_becomes_another_machine_is_probed_anew() {
    let mut world = Pretend::settled(SHOP);
    world.fate("192.0.2.21", Fate::Refused);
    world.run_seconds(2.0);
    world.load(&SHOP.replace("192.0.2.21", "192.0.2.51")).expect("loaded");
    assert!(world.probes.contains_key(&"192.0.2.51:80".parse().expect("an address")), "at once");
    world.run_seconds(0.1);
    assert_eq!(world.choices("shop:80", 2), "w1 1 w2 1");
}

#[test]
fn cross_port_affinity_outlives_a_reload() {
    let two = SHOP.replace(
        "[[advisor]]",
        "  [[cluster.port]]\n  number = 443\n  method = \"tcp\"\n  stickytime = 300\n  crossport = 80\n    \
         [[cluster.port.server]]\n    name = \"w2\"\n    address = \"192.0.2.22\"\n    [[cluster.port.server]]\n    \
         name = \"w1\"\n    address = \"192.0.2.21\"\n[[advisor]]",
    );
    let two = two.replacen("method = \"http\"", "method = \"http\"\nstickytime = 300", 1);
    let mut world = Pretend::settled(&two);
    let first = world.next_server(CLIENT);
    for _ in 0..3 {
        assert_eq!(world.next_server_at("shop:443", CLIENT), first);
    }
    world.load(&two.replacen("stickytime = 300", "stickytime = 300\n  retries = 1", 1)).expect("loaded");
    assert_eq!(world.next_server_at("shop:443", CLIENT), first);
    assert_eq!(world.row("port report shop:443", "Affinity records"), "1");
}

#[test]
fn an_edited_sorry_page_comes_in_with_a_reload_and_an_unchanged_one_disturbs_nobody() {
    let with_page = SHOP.replace("method = \"http\"", "method = \"http\"\nsorrypage = \"sorry.html\"");
    let mut world = Pretend::settled(&with_page);
    world.load(&with_page).expect("loaded");
    assert_eq!(world.take_done(), [""; 0]);
    world.page = "closed until noon";
    world.load(&with_page).expect("loaded");
    assert_eq!(world.take_done(), ["publish"]);
    let answer = world.port("shop:80").sorry.answer(crate::message::ErrorReason::NoServer, &http::Method::GET, "/");
    assert_eq!(answer.body().as_ref(), b"closed until noon");
    world.page = "not read";
    world.command("port set shop:80 retries 1").expect("a command reads no page again");
    let answer = world.port("shop:80").sorry.answer(crate::message::ErrorReason::NoServer, &http::Method::GET, "/");
    assert_eq!(answer.body().as_ref(), b"closed until noon");
}

#[test]
fn an_appended_file_counts_as_typed() {
    let mut world = Pretend::settled(SHOP);
    world.append("[[cluster]]\nname = \"bank\"\naddress = \"192.0.2.11\"\n  [[cluster.port]]\n  number = 25\n  method = \"tcp\"\n").expect("appended");
    assert_eq!(world.take_done(), ["publish", "listen bank:25 at 192.0.2.11:25"]);
    assert_eq!(world.row("status", "Changed by operators"), "1");
    assert_eq!(world.row("cluster status bank", "Changed by operators"), "added");
    let before = world.heart.document().clone();
    world.append("[[cluster]]\nname = \"bank\"\n  [[cluster.port]]\n  number = 0\n").expect_err("port 0");
    assert_eq!(*world.heart.document(), before);
    world.load(SHOP).expect("loaded");
    assert_eq!(world.take_done(), [""; 0], "it stays over a reload");
}

//! Which scripts run, and when none does.

use super::{Fate, Pretend, SHOP};
use crate::model::DownReason;

const W1: &str = "192.0.2.21";
const W2: &str = "192.0.2.22";

/// What ran since this was last asked.
fn ran(world: &mut Pretend) -> Vec<String> {
    std::mem::take(&mut world.scripts)
}

#[test]
fn servers_go_one_by_one_and_come_back() {
    let mut world = Pretend::settled(SHOP);
    assert_eq!(ran(&mut world), [""; 0], "a good first verdict is no news");
    world.fate(W1, Fate::Refused);
    world.run_seconds(3.0);
    assert_eq!(ran(&mut world), ["serverDown shop 80 w1 (connect-refused)"]);
    world.fate(W2, Fate::Bad(DownReason::Garbage));
    world.run_seconds(3.0);
    assert_eq!(ran(&mut world), ["managerAlert shop 80 w2 (garbage)"]);
    world.fate(W1, Fate::Good(10));
    world.run_seconds(3.0);
    assert_eq!(ran(&mut world), ["managerClear shop 80 w1 (connect-refused)"]);
    world.fate(W2, Fate::Good(10));
    world.run_seconds(60.0);
    assert_eq!(ran(&mut world), ["serverUp shop 80 w2 (garbage)"]);
}

#[test]
fn operators_count_as_advisors_do() {
    let mut world = Pretend::settled(SHOP);
    world.command("server down shop:80:w1").expect("down");
    world.fate(W2, Fate::Refused);
    world.run_seconds(3.0);
    assert_eq!(ran(&mut world), ["serverDown shop 80 w1 (operator)", "managerAlert shop 80 w2 (connect-refused)"]);
    world.command("server up shop:80:").expect("up");
    world.fate(W1, Fate::Refused);
    world.run_seconds(3.0);
    let wanted = ["managerClear shop 80 w1 (operator)", "managerAlert shop 80 w1 (connect-refused)"];
    assert_eq!(ran(&mut world), wanted);
}

#[test]
fn all_at_once_are_told_in_their_order() {
    let mut world = Pretend::settled(SHOP);
    world.command("server down shop:80:").expect("down");
    assert_eq!(ran(&mut world), ["serverDown shop 80 w1 (operator)", "managerAlert shop 80 w2 (operator)"]);
    world.command("server up shop:80:").expect("up");
    assert_eq!(ran(&mut world), ["managerClear shop 80 w1 (operator)", "serverUp shop 80 w2 (operator)"]);
}

#[test]
fn what_is_meant_to_be_down_at_the_start_is_no_news() {
    let all_down = SHOP.replace("address = \"192.0.2.2", "state = \"down\"\n    address = \"192.0.2.2");
    let mut world = Pretend::settled(&all_down);
    assert_eq!(ran(&mut world), [""; 0]);
    world.command("server up shop:80:w2").expect("up");
    assert_eq!(ran(&mut world), ["managerClear shop 80 w2 (operator)"]);
}

#[test]
fn a_bad_first_verdict_is_news() {
    let mut world = Pretend::empty();
    world.fate(W1, Fate::Refused);
    world.load(SHOP).expect("loaded");
    assert_eq!(ran(&mut world), [""; 0], "nobody was asked yet");
    world.run_seconds(5.0);
    assert_eq!(ran(&mut world), ["serverDown shop 80 w1 (connect-refused)"]);
}

#[test]
fn a_reload_and_the_passing_time_repeat_nothing() {
    let mut world = Pretend::settled(SHOP);
    world.fate(W1, Fate::Refused);
    world.fate(W2, Fate::Silent);
    world.run_seconds(10.0);
    assert_eq!(ran(&mut world).len(), 2);
    world.load(SHOP).expect("loaded");
    world.load(&SHOP.replace("method = \"http\"", "method = \"http\"\nstickytime = 300")).expect("loaded");
    world.run_seconds(60.0);
    assert_eq!(ran(&mut world), [""; 0]);
}

#[test]
fn a_quiesced_server_is_not_down() {
    let mut world = Pretend::settled(SHOP);
    world.command("manager quiesce shop:80:w1").expect("quiesced");
    world.fate(W2, Fate::Refused);
    world.run_seconds(3.0);
    assert_eq!(ran(&mut world), ["serverDown shop 80 w2 (connect-refused)"]);
}

#[test]
fn a_name_without_address_is_down_once_that_is_known() {
    let mut world = Pretend::settled(&SHOP.replace(W1, "w1.example"));
    assert_eq!(ran(&mut world), ["serverDown shop 80 w1 (unresolved)"]);
    world.name("w1.example", &[W1]);
    world.run_seconds(6.0);
    assert_eq!(ran(&mut world), ["serverUp shop 80 w1 (unresolved)"]);
}

#[test]
fn the_last_one_may_be_removed_and_a_new_one_clears() {
    let mut world = Pretend::settled(SHOP);
    world.fate(W1, Fate::Refused);
    world.run_seconds(3.0);
    ran(&mut world);
    world.command("server remove shop:80:w2").expect("removed");
    assert_eq!(ran(&mut world), ["managerAlert shop 80 - (removed)"]);
    world.command("server add shop:80:w3 address 192.0.2.23").expect("added");
    assert_eq!(ran(&mut world), ["managerClear shop 80 w3 (added)"]);
    world.command("port remove shop:80").expect("removed");
    assert_eq!(ran(&mut world), [""; 0]);
}

//! Two dispatchers, one address.

use std::process::Command;
use std::time::Duration;

use super::forwarding::{lab, site};
use super::lab::{CLUSTER, Daemon, Lab, PARTNER};
use super::probe::Asker;
use super::web::who;

/// Two daemons, the primary on the first dispatcher.
struct Two {
    primary: Daemon,
    backup: Daemon,
}

fn half(lab: &Lab, host: &str, more: &str) -> String {
    let (role, own, other) = if host == "lb" { ("primary", 1, 2) } else { ("backup", 2, 1) };
    // On the bridge their addresses end in 2 and 6.
    let service = |number: u32| number * 4 - 2;
    let (own_service, other_service) = (service(own), service(other));
    format!(
        "{}[highavailability]\nrole = \"{role}\"\nrecovery = \"manual\"\nnode = \"{host}\"\nkey = \"{}\"\n{more}\n\
         [[highavailability.heartbeat]]\nsource = \"10.78.0.{own}\"\ndestination = \"10.78.0.{other}\"\n\
         [[highavailability.heartbeat]]\nsource = \"10.77.0.{own_service}\"\ndestination = \"10.77.0.{other_service}\"\n",
        site("packet_socket", ""),
        lab.file("pair.key").display()
    )
}

fn make_key(lab: &Lab) {
    let made = Command::new(env!("CARGO_BIN_EXE_tsuji")).args(["keys", "pair"]).arg(lab.file("pair.key")).output();
    assert!(made.unwrap().status.success());
}

fn two(more: &str) -> Option<(Lab, Two)> {
    let lab = lab()?;
    lab.add_partner();
    make_key(&lab);
    let primary = lab.start_on("lb", &half(&lab, "lb", more));
    primary.wait_until("it serves", || is_active(&primary));
    let backup = lab.start_on(PARTNER, &half(&lab, PARTNER, more));
    backup.wait_until("it stands by", || !sub_state(&backup).contains("Listening") && has_state(&backup, "Standby"));
    primary.wait_until("servers answer", || who(&lab, CLUSTER, 1)[0].starts_with('s'));
    Some((lab, Two { primary, backup }))
}

fn line(daemon: &Daemon, name: &str) -> String {
    let status = daemon.dscontrol("highavailability status");
    status.lines().find(|line| line.starts_with(&format!("{name} ."))).unwrap_or_default().to_owned()
}

fn has_state(daemon: &Daemon, state: &str) -> bool {
    line(daemon, "State").ends_with(state)
}

fn sub_state(daemon: &Daemon) -> String {
    line(daemon, "Sub-state")
}

fn is_active(daemon: &Daemon) -> bool {
    has_state(daemon, "Active")
}

#[test]
fn the_backup_takes_the_place_of_a_primary_that_dies() {
    let Some((lab, Two { primary, backup })) = two("") else { return };
    assert!(is_active(&primary) && !is_active(&backup), "{}", backup.dscontrol("highavailability status"));
    let asker = Asker::start(&lab, CLUSTER);
    std::thread::sleep(Duration::from_millis(500));
    primary.kill();
    backup.wait_until("it serves", || is_active(&backup));
    std::thread::sleep(Duration::from_millis(500));
    let heard = asker.stop();
    println!("gap after a kill: {:?} of {} answers", heard.gap(), heard.count());
    assert!(heard.gap() < Duration::from_secs(2), "{:?}; {}", heard.gap(), backup.said());
}

#[test]
fn a_takeover_is_hardly_noticed() {
    let Some((lab, Two { primary, backup })) = two("") else { return };
    let asker = Asker::start(&lab, CLUSTER);
    std::thread::sleep(Duration::from_millis(500));
    let said = backup.dscontrol("highavailability takeover");
    assert!(said.contains("taken over"), "{said}");
    assert!(is_active(&backup) && !is_active(&primary), "{}", backup.dscontrol("highavailability status"));
    std::thread::sleep(Duration::from_millis(500));
    let heard = asker.stop();
    println!("gap of a takeover: {:?} of {} answers", heard.gap(), heard.count());
    assert!(heard.gap() < Duration::from_millis(500), "{:?}; {}", heard.gap(), backup.said());
}

/// A proxy's cluster, which has to be local on both dispatchers.
const PROXIED: &str = "10.77.0.200";

fn proxied(more: &str) -> String {
    let server =
        |number: u32| format!("[[cluster.port.server]]\nname = \"s{number}\"\naddress = \"10.77.0.{}\"\n", number + 2);
    let servers: String = (1..=3).map(server).collect();
    format!(
        "{more}\n[[cluster]]\nname = \"web\"\naddress = \"{PROXIED}\"\n[[cluster.port]]\nnumber = 80\nmethod = \"tcp\"\n{servers}"
    )
}

/// Who answers ARP for an address, as the client's kernel has it after asking anew.
fn owner(lab: &Lab, address: &'static str) -> String {
    lab.sh("client", &format!("ip neigh del {address} dev eth0 2>/dev/null || true"));
    who(lab, address, 1);
    lab.output("client", &format!("ip neigh show {address} dev eth0"))
}

fn mac(lab: &Lab, host: &str) -> String {
    lab.output(host, "cat /proc/net/dev > /dev/null; ip -o link show eth0 | sed 's/.*ether \\([^ ]*\\).*/\\1/'")
        .trim()
        .to_owned()
}

#[test]
fn a_proxys_address_is_on_both_and_only_the_active_says_so() {
    let Some((lab, Two { primary, backup })) = two(&proxied("")) else { return };
    primary.wait_until("the proxy serves", || who(&lab, PROXIED, 1)[0].starts_with('s'));
    for host in ["lb", PARTNER] {
        let addresses = lab.output(host, "ip -o address show dev lo");
        assert!(addresses.contains(PROXIED), "{host}: {addresses}");
    }
    assert!(owner(&lab, PROXIED).contains(&mac(&lab, "lb")), "{}", owner(&lab, PROXIED));
    let said = backup.dscontrol("highavailability takeover");
    assert!(said.contains("taken over"), "{said}");
    backup.wait_until("the proxy serves", || who(&lab, PROXIED, 1)[0].starts_with('s'));
    assert!(owner(&lab, PROXIED).contains(&mac(&lab, PARTNER)), "{}", owner(&lab, PROXIED));
    backup.kill();
    primary.wait_until("it serves again", || is_active(&primary) && who(&lab, PROXIED, 1)[0].starts_with('s'));
    assert!(owner(&lab, PROXIED).contains(&mac(&lab, "lb")), "{}", owner(&lab, PROXIED));
}

#[test]
fn a_dispatcher_that_is_stopped_hands_over_first() {
    let Some((lab, Two { primary, backup })) = two("") else { return };
    let asker = Asker::start(&lab, CLUSTER);
    std::thread::sleep(Duration::from_millis(300));
    primary.stop();
    assert!(is_active(&backup), "{}", backup.dscontrol("highavailability status"));
    std::thread::sleep(Duration::from_millis(500));
    let heard = asker.stop();
    println!("gap of a stop: {:?} of {} answers", heard.gap(), heard.count());
    assert!(backup.said().contains("better health"), "{}", backup.said());
}

/// The link to clients and servers goes, the one between the dispatchers stays.
#[test]
fn a_lost_carrier_moves_the_role() {
    let Some((lab, Two { primary, backup })) = two("") else { return };
    let asker = Asker::start(&lab, CLUSTER);
    std::thread::sleep(Duration::from_millis(300));
    lab.sh("switch", "ip link set to-lb down");
    backup.wait_until("it serves", || is_active(&backup));
    std::thread::sleep(Duration::from_millis(500));
    let heard = asker.stop();
    println!("gap of a carrier: {:?} of {} answers", heard.gap(), heard.count());
    assert!(has_state(&primary, "Fault"), "{}", primary.dscontrol("highavailability status"));
    assert!(heard.gap() < Duration::from_secs(2), "{:?}", heard.gap());
    lab.sh("switch", "ip link set to-lb up");
    primary.wait_until("it is fit again", || has_state(&primary, "Standby"));
    assert!(is_active(&backup), "recovery is manual");
}

//! Two dispatchers, one address.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use super::forwarding::{lab, site};
use super::lab::{CLUSTER, Daemon, Lab, PARTNER};
use super::probe::Asker;
use super::web::{Visitor, who};

/// Two daemons, the primary on the first dispatcher.
pub struct Two {
    pub primary: Daemon,
    pub backup: Daemon,
}

pub fn half(lab: &Lab, host: &str, more: &str) -> String {
    let (role, own, other) = if host == "lb" { ("primary", 1, 2) } else { ("backup", 2, 1) };
    // On the bridge their addresses end in 2 and 6.
    let service = |number: u32| number * 4 - 2;
    let (own_service, other_service) = (service(own), service(other));
    format!(
        "{}[highavailability]\nrole = \"{role}\"\nnode = \"{host}\"\nkey = \"{}\"\n{}\n\
         [[highavailability.heartbeat]]\nsource = \"10.78.0.{own}\"\ndestination = \"10.78.0.{other}\"\n\
         [[highavailability.heartbeat]]\nsource = \"10.77.0.{own_service}\"\ndestination = \"10.77.0.{other_service}\"\n",
        site(engine(), ""),
        lab.file("pair.key").display(),
        words(more),
    )
    .replace("{scripts}", &lab.file("scripts").display().to_string())
}

/// Unless the test says otherwise, nothing moves by itself, and it takes a second of silence to be dead: a test machine may well stand
/// still for the 0.3 s of profile `standard`.
fn words(more: &str) -> String {
    let recovery = if more.contains("recovery") { "" } else { "recovery = \"manual\"\n" };
    let times = if more.contains("profile") { "" } else { "interval = 0.1\nhatimeout = 1\n" };
    format!("{recovery}{times}{more}")
}

/// In the kernel; `PAIR_ENGINE=packet_socket` takes the other one.
fn engine() -> &'static str {
    if std::env::var("PAIR_ENGINE").is_ok_and(|engine| engine == "packet_socket") { "packet_socket" } else { "native" }
}

fn make_key(lab: &Lab) {
    let made = Command::new(env!("CARGO_BIN_EXE_tsuji")).args(["keys", "pair"]).arg(lab.file("pair.key")).output();
    assert!(made.unwrap().status.success());
}

/// Each says how it was called; the daemon has that in its log.
fn make_scripts(lab: &Lab) {
    let directory = lab.file("scripts");
    std::fs::create_dir(&directory).unwrap();
    let of_servers = ["serverDown", "serverUp", "managerAlert", "managerClear"];
    for script in ["goActive", "goStandby", "goInOp", "goIdle", "highavailChange"].into_iter().chain(of_servers) {
        let path = directory.join(script);
        std::fs::write(&path, "#!/bin/sh\necho \"called: $TSUJI_EVENT $* ${TSUJI_FROM-} ${TSUJI_TO-}\"\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

pub fn two(more: &str) -> Option<(Lab, Two)> {
    let lab = lab()?;
    lab.add_partner();
    make_key(&lab);
    make_scripts(&lab);
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

pub fn is_synchronized(daemon: &Daemon) -> bool {
    sub_state(daemon).ends_with("Synchronized")
}

pub fn is_active(daemon: &Daemon) -> bool {
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
    lab.sh("switch", "ip link set to-lb up");
    primary.wait_until("it is fit again", || has_state(&primary, "Standby"));
    assert!(is_active(&backup), "recovery is manual");
}

/// Connections that run, each with a server that knows nothing of the others' connections.
fn visitors(lab: &Lab, count: usize) -> Vec<(Visitor, String)> {
    let visitor = |_| {
        let visitor = Visitor::new(lab);
        let server = visitor.ask();
        (visitor, server)
    };
    (0..count).map(visitor).collect()
}

fn all_go_on(visitors: &[(Visitor, String)], after: &str) {
    for (visitor, server) in visitors {
        assert_eq!(visitor.ask(), *server, "after {after}");
    }
}

#[test]
fn connections_outlive_a_takeover_and_a_death() {
    let Some((lab, Two { primary, backup })) = two("") else { return };
    backup.wait_until("it is in sync", || is_synchronized(&backup));
    let visitors = visitors(&lab, 24);
    std::thread::sleep(Duration::from_millis(150));
    backup.dscontrol("highavailability takeover");
    all_go_on(&visitors, "a takeover");
    std::thread::sleep(Duration::from_millis(150));
    let young = self::visitors(&lab, 24);
    std::thread::sleep(Duration::from_millis(150));
    backup.kill();
    primary.wait_until("it serves", || is_active(&primary));
    all_go_on(&visitors, "a death");
    all_go_on(&young, "a death of who saw them begin");
}

/// It knows nothing, and nobody notices.
#[test]
fn a_standby_that_begins_anew_is_in_sync_soon() {
    let Some((lab, Two { primary, backup })) = two("") else { return };
    let visitors = visitors(&lab, 12);
    backup.kill();
    lab.forget_files_of(PARTNER);
    let backup = lab.start_on(PARTNER, &half(&lab, PARTNER, ""));
    backup.wait_until("it is in sync", || is_synchronized(&backup));
    assert!(is_active(&primary), "{}", primary.said());
    primary.kill();
    backup.wait_until("it serves", || is_active(&backup));
    all_go_on(&visitors, "a death");
}

#[test]
fn a_primary_that_returns_takes_back_what_it_served() {
    let Some((lab, Two { primary, backup })) = two("recovery = \"auto\"\nhold = 1") else { return };
    backup.wait_until("it is in sync", || is_synchronized(&backup));
    primary.kill();
    backup.wait_until("it serves", || is_active(&backup));
    let visitors = visitors(&lab, 12);
    let asker = Asker::start(&lab, CLUSTER);
    let primary = lab.start_on("lb", &half(&lab, "lb", "recovery = \"auto\"\nhold = 1"));
    primary.wait_until("it serves again", || is_active(&primary));
    std::thread::sleep(Duration::from_millis(500));
    let heard = asker.stop();
    println!("gap of a recovery: {:?} of {} answers", heard.gap(), heard.count());
    assert!(primary.said().contains("recovery auto") && !is_active(&backup), "{}", primary.said());
    all_go_on(&visitors, "a recovery");
}

/// A proxied client finds the server that it had.
#[test]
fn a_proxied_client_keeps_its_server() {
    let sticky = proxied("").replace("method = \"tcp\"", "method = \"tcp\"\nstickytime = 60");
    let Some((lab, Two { primary, backup })) = two(&sticky) else { return };
    primary.wait_until("the proxy serves", || who(&lab, PROXIED, 1)[0].starts_with('s'));
    let server = who(&lab, PROXIED, 1);
    assert!(who(&lab, PROXIED, 5).iter().all(|answer| *answer == server[0]), "it is sticky");
    backup.wait_until("it is in sync", || is_synchronized(&backup));
    std::thread::sleep(Duration::from_millis(150));
    primary.kill();
    backup.wait_until("the proxy serves", || is_active(&backup) && who(&lab, PROXIED, 1)[0].starts_with('s'));
    let after = who(&lab, PROXIED, 6);
    assert!(after.iter().all(|answer| *answer == server[0]), "{server:?}, then {after:?}");
}

/// Bytes from the partner's own address that are not its word.
#[test]
fn what_is_not_the_partners_word_is_counted_and_moves_nothing() {
    let Some((lab, Two { primary, backup })) = two("") else { return };
    backup.kill();
    primary.wait_until("it serves alone", || sub_state(&primary).ends_with("Serving alone"));
    let sent = lab.on(PARTNER, || {
        let socket = std::net::UdpSocket::bind(("10.78.0.2", 12345)).unwrap();
        let stranger = std::net::UdpSocket::bind(("10.78.0.2", 0)).unwrap();
        let mut forged = vec![0; 256];
        forged[..8].copy_from_slice(b"TsHB\x01\0\0\x01");
        for bytes in [&b"short"[..], &[0; 256], &[7; 1400], &forged] {
            socket.send_to(bytes, ("10.78.0.1", 12345)).unwrap();
        }
        stranger.send_to(b"hello", ("10.78.0.1", 12345)).unwrap();
    });
    sent.join().unwrap();
    primary.wait_until("it is counted", || {
        let refused = line(&primary, "Refused datagrams");
        ["size 2", "stranger 1", "not-heartbeat 1"].iter().all(|count| refused.contains(count))
    });
    assert!(is_active(&primary), "{}", primary.said());
}

#[test]
fn a_key_that_is_not_there_is_a_start_that_fails() {
    let Some(lab) = lab() else { return };
    let said = lab.refuse(&half(&lab, "lb", ""));
    assert!(said.contains("cannot read the pair's key") && said.contains("tsuji keys pair"), "{said}");
}

/// Clouds ask a port.
#[test]
fn the_probe_port_answers_on_the_active_alone() {
    let Some((lab, Two { primary, backup })) = two("probeport = 8099") else { return };
    let answers = |host: u32| {
        let asked = lab.on("client", move || {
            let address = std::net::SocketAddr::from(([10, 77, 0, host as u8], 8099));
            let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
            std::io::read_to_string(stream)
        });
        asked.join().unwrap()
    };
    let is_up = |host: u32| answers(host).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 OK\r\n"));
    primary.wait_until("it answers", || is_up(2));
    assert!(answers(6).is_err(), "the standby is silent");
    backup.dscontrol("highavailability takeover");
    backup.wait_until("it answers", || is_up(6));
    primary.wait_until("it is silent", || answers(2).is_err());
}

#[test]
fn a_change_of_role_runs_its_scripts() {
    let Some((_lab, Two { primary, backup })) = two("[alerts]\ndirectory = \"{scripts}\"") else { return };
    let has = |daemon: &Daemon, call: &str| daemon.said().contains(&format!("called: {call}"));
    primary.wait_until("goActive runs", || has(&primary, "highavailChange goActive probing active"));
    assert!(has(&primary, "goActive  probing active"), "{}", primary.said());
    backup.dscontrol("highavailability takeover");
    primary.wait_until("goStandby runs", || has(&primary, "highavailChange goStandby active standby"));
    backup.wait_until("goActive runs", || has(&backup, "highavailChange goActive standby active"));
    assert!(!has(&primary, "goIdle") && !has(&backup, "goInOp"));
    backup.dscontrol("highavailability backup delete");
    backup.wait_until("goIdle runs", || has(&backup, "highavailChange goIdle  idle"));
}

/// Both files have a second key, then it comes first, then the first one goes.
#[test]
fn keys_are_changed_while_it_runs() {
    let Some((lab, Two { primary, backup })) = two("") else { return };
    let path = lab.file("pair.key");
    let said = |count: usize| {
        for daemon in [&primary, &backup] {
            daemon
                .wait_until("the keys are read", || daemon.said().matches("the key file has changed").count() >= count);
        }
    };
    let added = Command::new(env!("CARGO_BIN_EXE_tsuji")).args(["keys", "pair", "--add"]).arg(&path).output().unwrap();
    assert!(added.status.success(), "{added:?}");
    said(1);
    let text = std::fs::read_to_string(&path).unwrap();
    let keys: Vec<&str> = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!(keys.len(), 2, "{text}");
    std::fs::write(&path, format!("{}\n{}\n", keys[1], keys[0])).unwrap();
    said(2);
    std::fs::write(&path, format!("{}\n", keys[1])).unwrap();
    said(3);
    std::fs::write(&path, "no key\n").unwrap();
    primary.wait_until("it is refused", || primary.said().contains("the keys before go on"));
    assert!(is_active(&primary) && !primary.said().contains("is silent"), "{}", primary.said());
    assert!(!backup.said().contains("fell silent"), "{}", backup.said());
}

/// A server that went down under the one is down under the other, and is told of once.
#[test]
fn a_server_that_is_down_is_told_of_once_and_gets_nothing_after_a_takeover() {
    let Some((lab, Two { primary, backup })) = two("[alerts]\ndirectory = \"{scripts}\"") else { return };
    let calls = |daemon: &Daemon, event: &str| daemon.said().matches(&format!("called: {event} shop 80 s1")).count();
    let is_down = "server shop:80:s1: unknown -> down";
    lab.sh("s1", "ip link set eth0 down");
    lab.sh("lb", "ip neigh flush dev eth0");
    lab.sh(PARTNER, "ip neigh flush dev eth0");
    primary.wait_until("it is told", || calls(&primary, "serverDown") == 1);
    backup.wait_until("it knows", || backup.said().contains(is_down));
    primary.kill();
    backup.wait_until("it serves", || is_active(&backup));
    let answers = who(&lab, CLUSTER, 20);
    assert!(answers.iter().all(|answer| answer == "s2" || answer == "s3"), "{answers:?}");
    assert_eq!((calls(&backup, "serverDown"), calls(&backup, "serverUp")), (0, 0), "{}", backup.said());
    lab.sh("s1", "ip link set eth0 up");
    backup.wait_until("it is told", || calls(&backup, "serverUp") == 1);
    backup.wait_until("it serves again", || who(&lab, CLUSTER, 8).contains(&"s1".to_owned()));
}

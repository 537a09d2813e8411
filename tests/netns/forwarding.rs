//! What clients and operators see of MAC forwarding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::lab::{CLUSTER, CLUSTER6, Daemon, Lab};
use super::web::{Connection, serve, who, who_by_datagram};

pub fn site(mode: &str, more: &str) -> String {
    let server = |number: u32, weight: u32| {
        format!(
            "[[cluster.port.server]]\nname = \"s{number}\"\naddress = \"10.77.0.{}\"\nweight = {weight}\nfixedweight = true\n",
            number + 2
        )
    };
    let servers = server(1, 10) + &server(2, 5) + &server(3, 5);
    let cluster = |name: &str, address: &str| {
        format!(
            "[[cluster]]\nname = \"{name}\"\naddress = \"{address}\"\n[[cluster.port]]\nnumber = 80\nmethod = \"mac\"\n{more}\n{servers}"
        )
    };
    let engine = if mode == "packet_socket" { "packet_socket" } else { "xdp" };
    let mode = if mode == "packet_socket" { "auto" } else { mode };
    format!(
        "[executor]\nengine = \"{engine}\"\nworkers = 1\ninterfaces = [\"eth0\"]\nbpffs = \"{{bpffs}}\"\nxdpmode = \"{mode}\"\nconnections = 65536\n{}{}",
        cluster("shop", CLUSTER),
        cluster("shop6", CLUSTER6)
    )
}

pub fn lab() -> Option<Lab> {
    let lab = Lab::new()?;
    ["s1", "s2", "s3"].into_iter().for_each(|server| serve(&lab, server));
    Some(lab)
}

/// Servers are known to the kernel, and the addresses are claimed.
pub fn settle(lab: &Lab, daemon: &Daemon) {
    for address in [CLUSTER, CLUSTER6] {
        daemon.wait_until("servers answer", || who(lab, address, 1)[0].starts_with('s'));
    }
}

pub fn count(answers: &[String]) -> [usize; 3] {
    ["s1", "s2", "s3"].map(|name| answers.iter().filter(|answer| *answer == name).count())
}

#[test]
fn connections_go_to_servers_in_turn_and_answers_come_back_directly() {
    for mode in ["native", "generic", "packet_socket"] {
        let Some(lab) = lab() else { return };
        let daemon = lab.start(&site(mode, ""));
        settle(&lab, &daemon);
        let how = if mode == "packet_socket" { "packet socket".to_owned() } else { format!("XDP ({mode})") };
        assert!(daemon.said().contains(&format!("forwarded by {how}")), "{}", daemon.said());
        for address in [CLUSTER, CLUSTER6] {
            let answers = who(&lab, address, 40);
            assert_eq!(count(&answers), [20, 10, 10], "{mode} {address}: {answers:?}");
            let answers = who_by_datagram(&lab, address, 40);
            assert_eq!(count(&answers), [20, 10, 10], "{mode} {address} by UDP: {answers:?}");
        }
        daemon.wait_until("connections are counted", || daemon.figure("shop:80:s1", "Total connections") >= 40);
    }
}

#[test]
fn the_address_answers_arp_and_echo_while_the_daemon_is_alive() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", ""));
    settle(&lab, &daemon);
    let pings = |address: &str| lab.command("client", "ping").args(["-c1", "-W1", address]).output();
    if pings(CLUSTER).is_ok() {
        assert!(pings(CLUSTER).unwrap().status.success(), "{}", daemon.said());
        assert!(pings(CLUSTER6).unwrap().status.success(), "{}", daemon.said());
    }
    daemon.freeze(true);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(who(&lab, CLUSTER, 4).len(), 4, "who knows the way is served");
    lab.sh("client", &format!("ip neigh flush dev eth0; ip neigh del {CLUSTER} dev eth0 2>/dev/null || true"));
    let silent = who(&lab, CLUSTER, 1);
    assert!(!silent[0].starts_with('s'), "nobody answers for the address: {silent:?}");
    daemon.freeze(false);
    daemon.wait_until("the address is answered for again", || who(&lab, CLUSTER, 1)[0].starts_with('s'));
}

#[test]
fn a_server_that_is_taken_down_gets_nothing_more() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", ""));
    settle(&lab, &daemon);
    daemon.dscontrol("server down shop:80:s1");
    let answers = who(&lab, CLUSTER, 20);
    assert_eq!(count(&answers), [0, 10, 10], "{answers:?}");
    daemon.dscontrol("server up shop:80:s1");
    let answers = who(&lab, CLUSTER, 20);
    assert_eq!(count(&answers), [10, 5, 5], "{answers:?}");
}

#[test]
fn a_server_that_leaves_the_link_is_down_before_an_advisor_says_so() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", ""));
    settle(&lab, &daemon);
    lab.sh("s1", "ip link set eth0 down");
    lab.sh("lb", "ip neigh flush dev eth0");
    daemon.wait_until("it is down", || daemon.said().contains("server shop:80:s1: unknown -> down (unreachable"));
    // The plan follows what is said of it.
    daemon.wait_until("it gets nothing", || count(&who(&lab, CLUSTER, 4)) == [0, 2, 2]);
    let answers = who(&lab, CLUSTER, 20);
    assert_eq!(count(&answers), [0, 10, 10], "{answers:?}");
    lab.sh("s1", "ip link set eth0 up");
    daemon.wait_until("it is back", || daemon.said().contains("server shop:80:s1: down -> unknown"));
    daemon.wait_until("it gets its share", || count(&who(&lab, CLUSTER, 4)) == [2, 1, 1]);
    let answers = who(&lab, CLUSTER, 20);
    assert_eq!(count(&answers), [10, 5, 5], "{answers:?}");
}

#[test]
fn where_bpf_is_not_to_be_had_packet_sockets_forward() {
    let Some(lab) = lab() else { return };
    let site = site("auto", "stickytime = 60")
        .replace("engine = \"xdp\"", "engine = \"auto\"")
        .replace("\"{bpffs}\"", "\"/tmp\"");
    let daemon = lab.start(&site);
    assert!(daemon.said().contains("interface eth0: packets are forwarded by packet socket"), "{}", daemon.said());
    settle(&lab, &daemon);
    let answers = who(&lab, CLUSTER, 10);
    assert_eq!(count(&answers).iter().max(), Some(&10), "{answers:?}");
    daemon.wait_until("packets are reported", || {
        daemon.dscontrol("executor report").contains("Packets sent - forwarded")
    });
    assert!(daemon.dscontrol("connections 10.77.0.1").contains("10.77.0.1:"));
}

#[test]
fn the_wildcard_port_takes_what_no_other_port_names() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", "").replace("number = 80", "number = 0"));
    settle(&lab, &daemon);
    assert_eq!(count(&who(&lab, CLUSTER, 20)), [10, 5, 5]);
    assert!(daemon.dscontrol("server report shop:0:s1").contains("Port number"));
}

#[test]
fn a_sorry_server_on_the_dispatcher_itself() {
    let Some(lab) = lab() else { return };
    // As on a server: the address on lo, and ARP for it left to Tsuji.
    lab.sh("lb", &format!("ip addr add {CLUSTER}/32 dev lo; ip addr add {CLUSTER6}/128 dev lo nodad"));
    lab.sh("lb", "for i in all eth0; do echo 1 > /proc/sys/net/ipv4/conf/$i/arp_ignore; echo 2 > /proc/sys/net/ipv4/conf/$i/arp_announce; done");
    serve(&lab, "lb");
    let own = "[[cluster.port.server]]\nname = \"own\"\naddress = \"10.77.0.2\"\ncollocated = true\nsticky = false\n";
    let rules = "[[cluster.port.rule]]\nname = \"normal\"\ntype = \"true\"\nservers = [\"s1\", \"s2\", \"s3\"]\n\
                 [[cluster.port.rule]]\nname = \"sorry\"\ntype = \"true\"\nservers = [\"own\"]\n";
    let site = site("auto", "");
    let site = site.replace("[[cluster]]\nname = \"shop6\"", &format!("{own}{rules}[[cluster]]\nname = \"shop6\""))
        + own
        + rules;
    let daemon = lab.start(&site);
    settle(&lab, &daemon);
    assert_eq!(count(&who(&lab, CLUSTER, 20)), [10, 5, 5]);
    let every = |verb: &str| {
        ["s1", "s2", "s3"].iter().for_each(|server| drop(daemon.dscontrol(&format!("server {verb} shop:80:{server}"))));
    };
    every("down");
    assert_eq!(who(&lab, CLUSTER, 3), ["lb", "lb", "lb"]);
    every("up");
    assert_eq!(count(&who(&lab, CLUSTER, 20)), [10, 5, 5]);
}

#[test]
fn a_server_behind_a_router_is_refused_with_its_reason() {
    let Some(lab) = lab() else { return };
    lab.sh("lb", "ip route add 10.99.0.0/24 via 10.77.0.1");
    let daemon = lab.start(&site("auto", "").replace("10.77.0.3", "10.99.0.3"));
    daemon.wait_until("it is told", || daemon.said().contains("router 10.77.0.1 is in between"));
    settle(&lab, &daemon);
    assert_eq!(count(&who(&lab, CLUSTER, 20)), [0, 10, 10]);
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_left_behind() {
    let Some(lab) = lab() else { return };
    let refused = |configuration: String, words: &str| {
        let said = lab.refuse(&configuration);
        assert!(said.contains(words), "{words}: {said}");
        assert_eq!(lab.tsuji(&["datapath", "status"]).status.code(), Some(1), "{words}");
    };
    let site = site("auto", "");
    refused(site.replace("[\"eth0\"]", "[\"eth9\"]"), "there is no interface eth9 here; there are: eth0, lo");
    refused(site.replace("[\"eth0\"]", "[\"lo\"]"), "interface lo has no Ethernet address");
    refused(site.replace("\"{bpffs}\"", "\"/tmp\""), "is no BPF file system: `mount -t bpf bpf /tmp`");
    // Somebody else's program stays.
    let pass = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/pass.o");
    lab.sh("lb", &format!("ip link set eth0 xdpdrv obj {pass} sec xdp"));
    refused(site.clone(), "another XDP program is there already (pass with id");
    lab.sh("lb", "ip link show eth0 | grep -q xdp && ip link set eth0 xdp off");
    // A driver without XDP.
    lab.sh("lb", "ip link add br9 type bridge && ip link set br9 up");
    let bridge = site.replace("[\"eth0\"]", "[\"br9\"]");
    let native = bridge.replace("xdpmode = \"auto\"", "xdpmode = \"native\"");
    refused(native, "interface br9: its driver refuses the program");
    let daemon = lab.start(&bridge);
    assert!(daemon.said().contains("interface br9: packets are forwarded by XDP (generic)"), "{}", daemon.said());
    drop(daemon);
    assert!(lab.tsuji(&["datapath", "detach"]).status.success());
    // Tables that are not whole. Nothing is taken away before somebody says so.
    let daemon = lab.start(&site);
    settle(&lab, &daemon);
    daemon.kill();
    let sockets = site.replace("engine = \"xdp\"", "engine = \"packet_socket\"");
    assert!(lab.refuse(&sockets).contains("the XDP program of an earlier run is at an interface still"));
    lab.forget_pin("plan");
    assert!(lab.refuse(&site).contains("holds tables that are not whole"));
    assert!(who(&lab, CLUSTER, 1)[0].starts_with('s'), "packets go on");
    assert!(lab.tsuji(&["datapath", "detach"]).status.success());
    drop(lab.start(&site));
    assert!(lab.tsuji(&["datapath", "detach"]).status.success());
    // An address of this host.
    lab.sh("lb", &format!("ip addr add {CLUSTER}/32 dev lo"));
    let daemon = lab.start(&site);
    daemon.wait_until("it is told", || daemon.said().contains("10.77.0.100 is an address of lo here"));
}

#[test]
fn clients_of_a_dead_server_are_told() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", "reset = true"));
    settle(&lab, &daemon);
    let (said, heard) = std::sync::mpsc::channel();
    let (go, went) = std::sync::mpsc::channel::<()>();
    let client = lab.on("client", move || {
        let mut connection = Connection::open(CLUSTER).unwrap();
        said.send(connection.ask().unwrap()).unwrap();
        went.recv().unwrap();
        connection.ask()
    });
    let server = heard.recv().unwrap();
    let listed = daemon.dscontrol("connections 10.77.0.1");
    assert!(listed.contains("10.77.0.1:") && listed.contains("established"), "{listed}");
    assert!(daemon.dscontrol(&format!("connections shop:80:{server}")).contains(&server));
    assert!(daemon.dscontrol("connections 192.0.2.0/24").contains("0 connections"));
    daemon.dscontrol(&format!("server down shop:80:{server}"));
    go.send(()).unwrap();
    let error = client.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
}

#[test]
fn clients_stay_with_their_server() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", "stickytime = 60"));
    settle(&lab, &daemon);
    let answers = who(&lab, CLUSTER, 10);
    assert_eq!(count(&answers).iter().max(), Some(&10), "{answers:?}");
    daemon.dscontrol(&format!("server down shop:80:{}", answers[0]));
    let moved = who(&lab, CLUSTER, 10);
    assert_eq!(count(&moved).iter().max(), Some(&10), "{moved:?}");
    assert_ne!(moved[0], answers[0]);
}

#[test]
fn killing_the_daemon_and_starting_it_again_breaks_no_connection() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", ""));
    settle(&lab, &daemon);
    let end = Arc::new(AtomicBool::new(false));
    let (served, broken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let load = |long: bool| {
        let (end, served, broken) = (Arc::clone(&end), Arc::clone(&served), Arc::clone(&broken));
        lab.on("client", move || {
            while !end.load(Ordering::Relaxed) {
                let asked = Connection::open(CLUSTER).and_then(|mut connection| {
                    let first = connection.ask()?;
                    while long && !end.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(2));
                        assert_eq!(connection.ask()?, first, "it stays with its server");
                    }
                    Ok(())
                });
                let counter = if asked.is_ok() { &served } else { &broken };
                counter.fetch_add(1, Ordering::Relaxed);
                if !long {
                    std::thread::sleep(Duration::from_millis(4));
                }
            }
        })
    };
    let clients: Vec<_> = (0..8).map(|number| load(number < 4)).collect();
    std::thread::sleep(Duration::from_millis(500));
    daemon.kill();
    std::thread::sleep(Duration::from_millis(1000));
    let daemon = lab.start(&site("auto", ""));
    assert!(daemon.said().contains("by XDP (adopted)"), "{}", daemon.said());
    std::thread::sleep(Duration::from_millis(1000));
    end.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(served.load(Ordering::Relaxed) > 200, "{}", served.load(Ordering::Relaxed));
    assert_eq!(broken.load(Ordering::Relaxed), 0);
    let status = lab.tsuji(&["datapath", "status"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("interface eth0: XDP program attached"), "{status:?}");
    drop(daemon);
    assert!(lab.tsuji(&["datapath", "detach"]).status.success());
    // The kernel takes the program away a moment after its last holder has gone.
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while who(&lab, CLUSTER, 1)[0].starts_with('s') {
        assert!(std::time::Instant::now() < patience, "it is still forwarded after `detach`");
    }
    assert_eq!(lab.tsuji(&["datapath", "status"]).status.code(), Some(1));
}

#[test]
fn a_range_of_ports_is_one_object() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", "").replace("number = 80", "number = 70\nlastport = 90"));
    settle(&lab, &daemon);
    let answers = who(&lab, CLUSTER, 20);
    assert_eq!(count(&answers), [10, 5, 5], "{answers:?}");
    daemon.wait_until("connections are counted", || daemon.figure("shop:70:s1", "Total connections") >= 10);
    let listed = daemon.dscontrol("connections shop:70:s1");
    assert!(listed.lines().filter(|line| line.contains("shop:70")).count() >= 10, "{listed}");
}

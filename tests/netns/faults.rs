//! What goes wrong beneath a running daemon: others at its pins, interfaces that change.

use std::time::Duration;

use super::forwarding::{count, lab, settle, site};
use super::lab::{CLUSTER, Daemon, Lab};
use super::web::{Visitor, who};

/// How often the log says so.
fn times(daemon: &Daemon, words: &str) -> usize {
    daemon.said().matches(words).count()
}

/// Two daemons with sockets of their own wrote plans into the same tables, each over the other's.
#[test]
fn the_pins_are_for_one_daemon_at_a_time() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", ""));
    settle(&lab, &daemon);
    for engine in ["xdp", "auto"] {
        let said = lab.refuse_beside(&site("auto", "").replace("engine = \"xdp\"", &format!("engine = \"{engine}\"")));
        assert!(said.contains("are in use by tsuji (process "), "{engine}: {said}");
        assert!(said.contains("stop it, or give this one a `bpffs` of its own"), "{engine}: {said}");
    }
    assert_eq!(count(&who(&lab, CLUSTER, 20)), [10, 5, 5], "the first one goes on");
    daemon.kill();
    let daemon = lab.start(&site("auto", ""));
    assert!(daemon.said().contains("by XDP (adopted)"), "a kill leaves no lock: {}", daemon.said());
}

#[test]
fn a_detach_beneath_a_daemon_is_told_and_ends_the_forwarding_until_a_restart() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("native", ""));
    settle(&lab, &daemon);
    let output = lab.tsuji(&["datapath", "detach"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("tsuji (process "), "{output:?}");
    let told = "interface eth0: packets are no longer forwarded there";
    daemon.wait_until("it is told", || times(&daemon, told) > 0);
    daemon.wait_until("it is reported", || {
        daemon.dscontrol("executor report").lines().any(|line| line.contains("eth0") && line.ends_with(" detached"))
    });
    daemon.wait_until("nothing is forwarded", || !who(&lab, CLUSTER, 1)[0].starts_with('s'));
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(times(&daemon, told), 1, "once: {}", daemon.said());
    assert!(!lab.tsuji(&["datapath", "status"]).status.success(), "it is not put back");
    daemon.kill();
    let daemon = lab.start(&site("native", ""));
    settle(&lab, &daemon);
}

fn flows_again(lab: &Lab, daemon: &Daemon) {
    daemon.wait_until("connections flow again", || who(lab, CLUSTER, 1)[0].starts_with('s'));
    assert_eq!(count(&who(lab, CLUSTER, 20)).iter().sum::<usize>(), 20);
}

/// Once an interface was deleted and made again, nothing was forwarded until the daemon was started again.
#[test]
fn an_interface_that_is_made_anew_is_served_again() {
    for mode in ["native", "packet_socket"] {
        let Some(lab) = lab() else { return };
        let daemon = lab.start(&site(mode, ""));
        settle(&lab, &daemon);
        let visitor = Visitor::new(&lab);
        let server = visitor.ask();
        lab.sh("lb", "ip link del eth0");
        daemon.wait_until("it is told", || times(&daemon, "interface eth0 is gone (index ") == 1);
        daemon.wait_until("it is reported", || {
            daemon.dscontrol("executor report").lines().any(|line| line.contains("eth0") && line.ends_with(" gone"))
        });
        lab.connect_dispatcher_again("");
        flows_again(&lab, &daemon);
        assert_eq!(visitor.ask(), server, "{mode}: its connection goes on");
        let how = if mode == "packet_socket" { "packet socket".to_owned() } else { format!("XDP ({mode})") };
        assert_eq!(times(&daemon, "interface eth0 is another one now (index "), 1, "{}", daemon.said());
        assert!(daemon.dscontrol("executor report").contains(&format!(" {how}\n")), "{}", daemon.said());
        if mode == "native" {
            let status = lab.tsuji(&["datapath", "status"]);
            let status = String::from_utf8_lossy(&status.stdout);
            assert_eq!(status.matches("interface ").count(), 1, "the old link's pin is gone: {status}");
            assert!(status.contains("interface eth0: XDP program attached"), "{status}");
        }
    }
}

/// The program has the MAC address of its interface as a constant, and passed all frames to the new one by.
#[test]
fn an_interface_with_another_mac_address_is_served_again() {
    for mode in ["native", "generic", "packet_socket"] {
        let Some(lab) = lab() else { return };
        let daemon = lab.start(&site(mode, ""));
        settle(&lab, &daemon);
        let visitor = Visitor::new(&lab);
        let server = visitor.ask();
        lab.sh("lb", "ip link set eth0 address 02:00:00:00:77:77");
        daemon.wait_until("it is told", || times(&daemon, "MAC 02:00:00:00:77:77): packets are forwarded by") == 1);
        flows_again(&lab, &daemon);
        assert_eq!(visitor.ask(), server, "{mode}: its connection goes on");
        lab.sh("client", &format!("ip neigh show {CLUSTER} | grep -q 02:00:00:00:77:77"));
    }
}

#[test]
fn an_interface_that_cannot_be_served_is_tried_again() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("native", ""));
    settle(&lab, &daemon);
    lab.sh("lb", "ip link set eth0 down && ip link set eth0 name other");
    daemon.wait_until("it is told", || times(&daemon, "interface eth0 is gone") == 1);
    let pass = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/pass.o");
    daemon.wait_until("the program is gone from there", || {
        let put = lab.command("lb", "ip").args(["link", "set", "other", "xdpdrv", "obj", pass, "sec", "xdp"]).output();
        put.unwrap().status.success()
    });
    lab.sh("lb", "ip link set other name eth0 && ip link set eth0 up");
    daemon.wait_until("it is refused", || times(&daemon, "another XDP program is there already (pass with id") == 1);
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(times(&daemon, "another XDP program is there already"), 1, "once: {}", daemon.said());
    lab.sh("lb", "ip link set eth0 xdp off");
    daemon.wait_until("it is served", || times(&daemon, "interface eth0 is another one now") == 2);
    daemon.wait_until("connections flow again", || who(&lab, CLUSTER, 1)[0].starts_with('s'));
}

/// The pin of a link is called by its interface's index. One that was made anew while no daemon ran may have the index of the
/// old one, and the start failed with the kernel's `ENOLINK`.
#[test]
fn a_link_of_an_interface_that_has_gone_is_no_hindrance_to_the_next_start() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("native", ""));
    settle(&lab, &daemon);
    daemon.kill();
    let shown = lab.command("lb", "ip").args(["-o", "link", "show", "eth0"]).output().unwrap().stdout;
    let shown = String::from_utf8(shown).unwrap();
    let (index, _) = shown.split_once(':').unwrap();
    lab.sh("lb", "ip link del eth0");
    lab.connect_dispatcher_again(&format!("index {index}"));
    let daemon = lab.start(&site("native", ""));
    assert!(daemon.said().contains("interface eth0: packets are forwarded by XDP (native)"), "{}", daemon.said());
    settle(&lab, &daemon);
}

/// The first interface lends the engine its tables, and stays no less replaceable for that.
#[test]
fn the_other_interfaces_go_on_while_one_is_away() {
    for mode in ["native", "packet_socket"] {
        let Some(lab) = lab() else { return };
        let spare = "ip link add spare type veth peer name far && ip link set far up && ip link set spare up";
        lab.sh("lb", spare);
        let daemon = lab.start(&site(mode, "").replace("[\"eth0\"]", "[\"spare\", \"eth0\"]"));
        settle(&lab, &daemon);
        let visitor = Visitor::new(&lab);
        let server = visitor.ask();
        lab.sh("lb", "ip link del spare");
        daemon.wait_until("it is told", || times(&daemon, "interface spare is gone") == 1);
        assert_eq!(visitor.ask(), server, "{mode}");
        assert_eq!(count(&who(&lab, CLUSTER, 20)), [10, 5, 5], "{mode}");
        lab.sh("lb", spare);
        daemon.wait_until("it is served again", || times(&daemon, "interface spare is another one now") == 1);
        assert_eq!(visitor.ask(), server, "{mode}");
        assert_eq!(count(&who(&lab, CLUSTER, 20)), [10, 5, 5], "{mode}");
    }
}

/// `executor stop` closed the listeners of other methods alone, and `mac` ports went on to take new connections.
#[test]
fn a_stopped_executor_takes_nothing_new_and_lets_go_on_what_runs() {
    for (mode, more) in [("auto", "stickytime = 60"), ("auto", "balance = \"hash\""), ("packet_socket", "")] {
        let Some(lab) = lab() else { return };
        let daemon = lab.start(&site(mode, more));
        settle(&lab, &daemon);
        let visitor = Visitor::new(&lab);
        let server = visitor.ask();
        let echo = || lab.command("client", "ping").args(["-c1", "-W1", CLUSTER]).output().map(|ping| ping.status);
        assert!(echo().is_ok_and(|status| status.success()), "{mode} {more}");
        daemon.dscontrol("executor stop");
        let is_dropped = || daemon.dscontrol("executor report").contains("no-server");
        daemon.wait_until("nothing new is taken", || !who(&lab, CLUSTER, 1)[0].starts_with('s'));
        daemon.wait_until("it is counted", is_dropped);
        assert!(echo().is_ok_and(|status| !status.success()), "{mode} {more}");
        // Who asks for the address's MAC finds it.
        lab.sh("client", &format!("ip neigh flush dev eth0; ip neigh del {CLUSTER} dev eth0 2>/dev/null || true"));
        assert_eq!(visitor.ask(), server, "{mode} {more}: what runs goes on");
        daemon.dscontrol("executor start");
        daemon.wait_until("connections are taken", || who(&lab, CLUSTER, 1)[0].starts_with('s'));
        assert!(echo().is_ok_and(|status| status.success()), "{mode} {more}");
        assert_eq!(visitor.ask(), server, "{mode} {more}");
    }
}

/// The kernel says "failed" of each entry that is taken away, and all servers were down for some seconds.
#[test]
fn a_flush_of_the_kernels_neighbours_takes_no_server_down() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("auto", ""));
    settle(&lab, &daemon);
    for _ in 0..3 {
        lab.sh("lb", "ip neigh flush dev eth0");
        assert_eq!(count(&who(&lab, CLUSTER, 20)), [10, 5, 5]);
        std::thread::sleep(Duration::from_millis(700));
    }
    assert!(!daemon.said().contains("-> down"), "{}", daemon.said());
}

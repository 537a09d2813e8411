//! What goes wrong beneath a running daemon: others at its pins, interfaces that change.

use std::time::Duration;

use super::forwarding::{count, lab, settle, site};
use super::lab::{CLUSTER, Daemon};
use super::web::who;

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

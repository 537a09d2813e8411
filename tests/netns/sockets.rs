//! What packet sockets have to do beyond what the XDP program meets.

use std::time::Duration;

use super::lab::{CLUSTER, CLUSTER6};
use super::web::Connection;
use super::{forwarding, lab::Daemon};

fn forwarded(daemon: &Daemon) -> u64 {
    let report = daemon.dscontrol("executor report");
    let line = report.lines().find(|line| line.starts_with("Packets sent - forwarded"));
    line.and_then(|line| line.split(' ').next_back()?.parse().ok()).unwrap_or(0)
}

#[test]
fn frames_of_many_segments_cross_in_one_piece() {
    const BYTES: usize = 4 << 20;
    let Some(lab) = forwarding::lab() else { return };
    // The client leaves checksums and segments to its network card, which here is the dispatcher's kernel.
    lab.sh("client", "ethtool -K eth0 tx on gso on tso on");
    let daemon = lab.start(&forwarding::site("packet_socket", ""));
    forwarding::settle(&lab, &daemon);
    for address in [CLUSTER, CLUSTER6] {
        let before = forwarded(&daemon);
        let answer = lab.on("client", move || Connection::open(address)?.tell(BYTES)).join().unwrap().unwrap();
        assert!(answer.starts_with('s'), "{answer}");
        daemon.wait_until("it is counted", || forwarded(&daemon) > before + 20);
        let packets = forwarded(&daemon) - before;
        assert!(packets < BYTES as u64 / 1500 / 2, "{packets} packets to {address}: they came as single segments");
    }
    let report = daemon.dscontrol("executor report");
    assert!(
        report.lines().any(|line| line.starts_with("Packets lost by packet sockets") && line.ends_with(" 0")),
        "{report}"
    );
}

#[test]
fn an_interface_that_is_down_is_told_once_and_served_again() {
    let Some(lab) = forwarding::lab() else { return };
    let daemon = lab.start(&forwarding::site("packet_socket", ""));
    forwarding::settle(&lab, &daemon);
    let told = || daemon.said().matches("packets are not forwarded").count();
    for times in 1..3 {
        lab.sh("lb", "ip link set eth0 down");
        daemon.wait_until("it is told", || told() == times);
        std::thread::sleep(Duration::from_millis(2500));
        assert_eq!(told(), times, "{}", daemon.said());
        // What goes with the link comes back with it, but for IPv6 addresses.
        lab.sh("lb", "ip link set eth0 up; ip addr replace fd77::2/64 dev eth0 nodad");
        forwarding::settle(&lab, &daemon);
        std::thread::sleep(Duration::from_millis(1500));
    }
}

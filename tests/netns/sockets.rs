//! What packet sockets have to do beyond what the XDP program meets.

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

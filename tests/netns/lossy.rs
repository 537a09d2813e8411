//! A link that loses packets.

use super::bulk;
use super::forwarding::{lab, settle, site};
use super::lab::{CLUSTER, CLUSTER6, is_there};

#[test]
fn lost_packets_are_sent_again_to_the_same_server() {
    let Some(lab) = lab() else { return };
    if !is_there("nft") {
        println!("skipped: no nft here");
        return;
    }
    ["s1", "s2", "s3"].into_iter().for_each(|server| bulk::serve(&lab, server));
    let site = site("auto", "fintimeout = 1").replace("number = 80", "number = 0");
    let daemon = lab.start(&site);
    settle(&lab, &daemon);
    // The kernel here has no netem. Handshakes, data and ends of connections are lost alike; ARP is not, it has tests of its own.
    lab.sh(
        "switch",
        "nft 'add table bridge loss; add chain bridge loss forward { type filter hook forward priority 0; }; \
         add rule bridge loss forward oifname \"to-lb\" meta l4proto tcp numgen random mod 100 < 5 counter drop'",
    );
    let transfers = |address: &'static str| {
        let work = move || (0..6).map(|_| bulk::transfer(address, 200_000, 200_000)).collect::<Result<Vec<_>, _>>();
        lab.on("client", work)
    };
    let clients: Vec<_> = (0..4).flat_map(|_| [CLUSTER, CLUSTER6]).map(transfers).collect();
    for client in clients {
        let served = client.join().unwrap();
        assert!(served.is_ok(), "{served:?}");
    }
    let lost = lab.output("switch", "nft list chain bridge loss forward");
    assert!(!lost.contains("counter packets 0 "), "{lost}");
    let figure = |name: &str| {
        let report = daemon.dscontrol("executor report");
        let line = report.lines().find(|line| line.starts_with(name)).and_then(|line| line.split(' ').next_back());
        line.and_then(|figure| figure.parse::<u64>().ok()).unwrap_or_else(|| panic!("{name}: {report}"))
    };
    // What is reported is the last whole pass over the table; a connection that stays shows that it is not an old one.
    let open = lab.on("client", || std::net::TcpStream::connect((CLUSTER, 81))).join().unwrap().unwrap();
    daemon.wait_until("connections are in the table", || figure("Connection table - entries") > 0);
    drop(open);
    daemon.wait_until("all have ended, and nothing was counted wrong", || {
        figure("Connection table - entries") == 0 && figure("Connection table - counter drift") == 0
    });
    for server in ["shop:0:s1", "shop:0:s2", "shop:0:s3", "shop6:0:s1"] {
        assert_eq!(daemon.figure(server, "Total active connections"), 0, "{server}");
    }
}

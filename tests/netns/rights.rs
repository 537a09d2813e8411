//! What the daemon may do as the systemd unit starts it: with these capabilities and no others.

use std::path::Path;

use super::forwarding::{lab, settle, site};
use super::lab::is_there;

/// The capabilities of the unit and its drop-in, in the words of `setpriv`: `bpf`, `net_admin`.
fn capabilities() -> Vec<String> {
    let file = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let units = file("deploy/systemd/tsuji.service") + &file("deploy/systemd/tsuji.service.d/mac-forwarding.conf");
    let lines = units.lines().filter_map(|line| line.strip_prefix("AmbientCapabilities="));
    lines.flat_map(str::split_whitespace).map(|name| name.trim_start_matches("CAP_").to_lowercase()).collect()
}

/// Root without its powers: what is left is what the list says.
fn with_only(capabilities: &[String]) -> Vec<String> {
    let more = capabilities.iter().map(|name| format!(",+{name}")).collect::<String>();
    ["setpriv", "--inh-caps=-all", &format!("--bounding-set=-all{more}"), "--no-new-privs"].map(str::to_owned).to_vec()
}

#[test]
fn the_units_capabilities_are_enough_and_a_missing_one_is_named() {
    if !is_there("setpriv") {
        println!("skipped: no setpriv here");
        return;
    }
    let Some(lab) = lab() else { return };
    let all = capabilities();
    for without in ["bpf", "perfmon", "net_admin"] {
        assert!(all.iter().any(|name| name == without), "{all:?}");
        let rest: Vec<_> = all.iter().filter(|name| *name != without).cloned().collect();
        let through = with_only(&rest);
        let through: Vec<_> = through.iter().map(String::as_str).collect();
        let said = lab.refuse_through(&through, &site("native", ""));
        assert!(said.contains("CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW"), "without {without}: {said}");
    }
    let through = with_only(&all);
    let through: Vec<_> = through.iter().map(String::as_str).collect();
    let daemon = lab.start_through(&through, &site("native", ""));
    settle(&lab, &daemon);
    // Loaded again while it runs, too.
    lab.sh("lb", "ip link set eth0 address 02:00:00:00:77:77");
    daemon.wait_until("it is served", || daemon.said().contains("MAC 02:00:00:00:77:77): packets are forwarded by"));
    settle(&lab, &daemon);
}

#[test]
fn a_daemon_that_becomes_another_user_takes_roots_pins_over_and_forwards() {
    let Some(lab) = lab() else { return };
    let daemon = lab.start(&site("native", ""));
    settle(&lab, &daemon);
    daemon.kill();
    lab.forget_files();
    for (mode, rights) in [("native", "CAP_NET_RAW CAP_PERFMON CAP_BPF"), ("packet_socket", "CAP_NET_RAW")] {
        let site = site(mode, "").replace("[executor]\n", "[executor]\nuser = \"nobody\"\n");
        let daemon = lab.start(&site);
        settle(&lab, &daemon);
        let kept = format!("with CAP_NET_BIND_SERVICE CAP_NET_ADMIN {rights}\n");
        assert!(daemon.said().contains(&kept), "{}", daemon.said());
        // Loaded again while it runs, too.
        let address = format!("02:00:00:00:77:{:02x}", mode.len());
        lab.sh("lb", &format!("ip link set eth0 address {address}"));
        daemon.wait_until("it is served", || {
            daemon.said().contains(&format!("MAC {address}): packets are forwarded by"))
        });
        settle(&lab, &daemon);
        daemon.kill();
        // Packet sockets would see nothing behind the program; they pin nothing themselves.
        let detached = lab.tsuji(&["datapath", "detach"]);
        assert_eq!(detached.status.success(), mode == "native", "{detached:?}");
    }
}

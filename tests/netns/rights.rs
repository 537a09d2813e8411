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

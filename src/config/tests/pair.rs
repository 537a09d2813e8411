//! The pair of dispatchers.

use std::time::Duration;

use super::{FILE, config, document, faults};
use crate::model::{PairRole, PairSettings, Recovery, Side, Timings};

/// Ten lines of a cluster, then these.
fn with_cluster(lines: &str) -> String {
    format!("[[cluster]]\nname = \"shop\"\naddress = \"192.0.2.10\"\n{lines}")
}

const PAIR: &str = "[highavailability]\nrole = \"primary\"\nkey = \"/etc/tsuji/pair.key\"\n";
const WAY: &str = "[[highavailability.heartbeat]]\nsource = \"10.0.0.1\"\ndestination = \"10.0.0.2\"\n";

fn pair(lines: &str) -> PairSettings {
    config(&with_cluster(lines), FILE).pair.expect("a pair")
}

#[test]
fn little_is_enough() {
    let pair = pair(&format!("{PAIR}{WAY}"));
    assert_eq!((pair.role, pair.recovery, pair.port.get()), (PairRole::Primary, Recovery::Auto, 12345));
    assert_eq!(
        (pair.timings, pair.hold, pair.reach.interval),
        (Timings::IBM, Duration::from_secs(30), Duration::from_secs(7))
    );
    assert_eq!((pair.node, pair.probeport), (None, None));
    assert_eq!(pair.paths.len(), 1);
    assert_eq!(config(&with_cluster(""), FILE).pair, None);
}

#[test]
fn times_follow_the_profile_the_ways_and_what_is_said() {
    let second = WAY.replace("10.0.0.", "10.0.1.");
    let cases = [
        ("", WAY.to_owned(), Timings::IBM),
        ("", format!("{WAY}{second}"), Timings::STANDARD),
        ("profile = \"fast\"\n", WAY.to_owned(), Timings::FAST),
        ("profile = \"ibm\"\n", format!("{WAY}{second}"), Timings::IBM),
        (
            "hatimeout = 3\n",
            WAY.to_owned(),
            Timings::new(Duration::from_millis(500), Duration::from_secs(3)).expect("fits"),
        ),
    ];
    for (said, ways, timings) in cases {
        assert_eq!(pair(&format!("{PAIR}{said}{ways}")).timings, timings, "{said}{ways}");
    }
}

#[test]
fn a_script_that_speaks_as_ibm_gets_ibms_times() {
    let script = "cluster add shop address 192.0.2.10\nhighavailability set key /k\nhighavailability heartbeat add 10.0.0.1 10.0.0.2\n\
                  highavailability heartbeat add 10.0.1.1 10.0.1.2\nhighavailability backup add backup manual 4711\nhighavailability reach add 10.0.0.254\n";
    let pair = config(script, "x.cfg").pair.expect("a pair");
    assert_eq!((pair.timings, pair.role, pair.recovery), (Timings::IBM, PairRole::Backup, Recovery::Manual));
    assert_eq!((pair.port.get(), pair.reach.targets.len()), (4711, 1));
    assert_eq!(pair.side_of("10.0.1.2".parse().expect("address")), Some(Side::Partner));
}

#[test]
fn what_is_one_machines_own_may_stand_in_a_second_file() {
    let site = with_cluster("[highavailability]\nkey = \"/k\"\nreach = [\"10.0.0.254\"]\n");
    let own = format!("[highavailability]\nrole = \"backup\"\n{WAY}");
    let both = document(&site, FILE).append(&own, "local.toml").expect("appends");
    let pair = both.resolve().unwrap_or_else(|faults| panic!("{faults}")).config.pair.expect("a pair");
    assert_eq!((pair.role, pair.paths.len(), pair.reach.targets.len()), (PairRole::Backup, 1, 1));
}

#[test]
fn faults_say_where_and_what_would_be_right() {
    let cases: &[(&str, &str)] = &[
        (
            "[highavailability]\nrole = \"primary\"\nkey = \"/k\"\n",
            "5:1: highavailability: role primary needs a way to the partner; a heartbeat with source and destination would be right",
        ),
        (
            "[highavailability]\nrole = \"backup\"\n[[highavailability.heartbeat]]\nsource = \"10.0.0.1\"\ndestination = \"10.0.0.2\"\n",
            "5:1: highavailability: role backup needs a `key`, a file with the same secret on both dispatchers, or anybody could say who serves",
        ),
        (
            "[[highavailability.heartbeat]]\nsource = \"10.0.0.1\"\ndestination = \"10.0.0.1\"\n",
            "4:1: heartbeat 10.0.0.1 10.0.0.1: it leads from this dispatcher to itself; the partner's address would be right",
        ),
        (
            "[[highavailability.heartbeat]]\nsource = \"10.0.0.1\"\ndestination = \"::1\"\n",
            "4:1: heartbeat 10.0.0.1 ::1: the two addresses are of different families",
        ),
        ("[[highavailability.heartbeat]]\nsource = \"10.0.0.1\"\n", "4:1: this heartbeat has no `destination`"),
        (
            "[[highavailability.heartbeat]]\nsource = \"192.0.2.10\"\ndestination = \"10.0.0.1\"\n",
            "4:1: heartbeat 192.0.2.10 10.0.0.1: 192.0.2.10 is the address of cluster shop, which moves from one dispatcher to the other; one that stays would be right",
        ),
        (
            "[highavailability]\nreach = [\"192.0.2.10\"]\n",
            "5:1: reach target 192.0.2.10 is the address of cluster shop, which this dispatcher answers for itself; the gateway's would be right",
        ),
        ("[highavailability]\nreach = [\"10.0.0.9\", \"10.0.0.9\"]\n", "5:1: reach target 10.0.0.9 is there twice"),
        (
            "[highavailability]\nhatimeout = 1\n",
            "5:1: highavailability: hatimeout 1s is too short for a heartbeat every 500ms: at least 1.5s",
        ),
        ("heartbeat = 1\n", "4:1: unknown key `heartbeat`"),
    ];
    for (lines, expected) in cases {
        assert_eq!(faults(&with_cluster(lines), FILE), [*expected], "{lines}");
    }
}

#[test]
fn the_same_way_twice() {
    let found = faults(&with_cluster(&format!("{PAIR}{WAY}{WAY}")), FILE);
    assert_eq!(found, ["10:1: heartbeat `10.0.0.1 10.0.0.2` is already there, at 7:1"]);
}

#[test]
fn with_role_both_each_cluster_says_whose_it_is() {
    let text = |host: &str| format!("{}{}{WAY}", with_cluster(host), PAIR.replace("primary", "both"));
    assert_eq!(config(&text("primaryhost = \"10.0.0.2\"\n"), FILE).pair.map(|pair| pair.role), Some(PairRole::Both));
    assert_eq!(
        faults(&text(""), FILE),
        [
            "1:1: cluster shop has no `primaryhost`; with role both, an address of the dispatcher that serves it would be right"
        ]
    );
    assert_eq!(
        faults(&text("primaryhost = \"10.0.0.7\"\n"), FILE),
        [
            "4:1: cluster shop: primaryhost 10.0.0.7 is in no heartbeat, so it is neither this dispatcher nor the partner"
        ]
    );
}

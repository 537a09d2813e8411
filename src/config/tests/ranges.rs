//! Ranges of ports of `mac` ports.

use super::{config, document, faults};
use crate::config::{Change, Overrides, split_words};
use crate::model::MAX_PORT_RANGES;

/// A script with one cluster at 192.0.2.10 and these lines.
fn site(lines: &str) -> String {
    format!("cluster add shop address 192.0.2.10\n{lines}\n")
}

/// The ports of each object.
fn ports(lines: &str) -> Vec<(u16, u16)> {
    let clusters = config(&site(lines), "f").clusters;
    let ports = clusters.iter().flat_map(|cluster| &cluster.ports);
    ports.map(|port| port.ports().into_inner()).collect()
}

#[test]
fn an_object_has_one_port_some_or_all() {
    let cases: &[(&str, &[(u16, u16)])] = &[
        ("port add shop:8000 method mac", &[(8000, 8000)]),
        ("port add shop:8000 lastport 8099", &[(8000, 8099)]),
        ("port add shop:8000 lastport 8000", &[(8000, 8000)]),
        ("port add shop:1 lastport 65535\nport add shop:0", &[(1, 65535), (0, 65535)]),
        ("port add shop:8000 lastport 8099\nport add shop:8100 lastport 8199", &[(8000, 8099), (8100, 8199)]),
        ("port add shop:8000 lastport 8099\nport add shop:8042+8099", &[(8000, 8099), (8042, 8042), (8099, 8099)]),
        ("port add shop:8000 lastport 8099\nport set shop:8000 lastport 9000", &[(8000, 9000)]),
        (
            "port add shop:8000 lastport 8099\ncluster add b address 192.0.2.11\nport add b:8000 lastport 8099",
            &[(8000, 8099), (8000, 8099)],
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(ports(lines), *expected, "{lines}");
    }
}

#[test]
fn faults_name_what_is_in_the_way() {
    let cases: &[(&str, &[&str])] = &[
        (
            "port add shop:80 method tcp lastport 90",
            &[
                "f:2:29: port shop:80: `lastport` 90: method tcp listens on one port; method mac, or a port object for each port, would be right",
            ],
        ),
        (
            "port add shop:0 lastport 90",
            &[
                "f:2:17: port shop:0: `lastport` 90: port 0 stands for all ports already; the first port of the range as the number would be right",
            ],
        ),
        (
            "port add shop:80 lastport 79",
            &[
                "f:2:18: port shop:80: `lastport` 79: a range that begins at 80 cannot end before it; 80 or more would be right",
            ],
        ),
        (
            "port add shop:8000 lastport 8099\nport add shop:8099 lastport 8199",
            &[
                "f:3:20: port shop:8099: ports 8099 to 8199 overlap port shop:8000, which has ports 8000 to 8099; ranges without a port in common would be right",
            ],
        ),
        (
            "port add shop:8000 lastport 8999\nport add shop:8100 lastport 8101\nport add shop:8998 lastport 9000",
            &[
                "f:3:20: port shop:8100: ports 8100 to 8101 overlap port shop:8000, which has ports 8000 to 8999; ranges without a port in common would be right",
                "f:4:20: port shop:8998: ports 8998 to 9000 overlap port shop:8000, which has ports 8000 to 8999; ranges without a port in common would be right",
            ],
        ),
        (
            "port add shop:8000 lastport 8099\ncluster add b address 192.0.2.10\nport add b:8050 lastport 8051",
            &[
                "f:4:17: port b:8050: ports 8050 to 8051 overlap port shop:8000, which has ports 8000 to 8099; ranges without a port in common would be right",
            ],
        ),
        (
            "port add shop:8000 lastport 8099\ncluster add b address 192.0.2.10\nport add b:8000 lastport 8099",
            &["f:4:10: 192.0.2.10 port 8000 is in cluster shop already, and again in b"],
        ),
        (
            "port add shop:8000 lastport 8099\nserver add shop:8000:w1 address 192.0.2.1 collocated yes\n\
             port add shop:8042 method tcp",
            &[
                "f:4:20: port shop:8042: method tcp would see no packet here, because port shop:8000 has ports 8000 to 8099; method mac, or a port outside of that range, would be right",
            ],
        ),
        (
            "port add shop:8000 lastport 8099\nserver add shop:8000:w1 address 192.0.2.1 mapport 8001",
            &[
                "f:3:43: server shop:8000:w1: `mapport` 8001 has no place on a port of method mac, which changes nothing in a packet; the server must listen on ports 8000 to 8099",
            ],
        ),
        (
            "port add shop:8000 lastport 8099\nserver add shop:8000:w1 address 192.0.2.1 collocated yes\n\
             metrics set listen 192.0.2.10:8050",
            &["f:4:13: the metrics listener 192.0.2.10:8050 is a port of cluster shop; another port would be right"],
        ),
        ("port add shop:80 lastport 0", &["f:2:27: `lastport` is a whole number from 1 to 65535, not `0`"]),
    ];
    for (lines, expected) in cases {
        let found = faults(&site(lines), "f");
        let expected: Vec<String> = expected.iter().map(|fault| fault.replacen("f:", "", 1)).collect();
        assert_eq!(found, expected, "{lines}");
    }
}

#[test]
fn an_address_has_so_many_ranges_and_no_more() {
    let range = |number: usize| format!("port add shop:{0}0 lastport {0}9\n", 100 + number);
    let most: String = (1..MAX_PORT_RANGES).map(range).collect();
    assert_eq!(ports(&format!("{most}port add shop:0")).len(), MAX_PORT_RANGES);
    let more = format!("{most}port add shop:0\nport add shop:6000 lastport 6001");
    assert_eq!(
        faults(&site(&more), "f"),
        [
            "18:20: 192.0.2.10 has 17 ranges of ports, port 0 among them; 16 are the most of one address; fewer and wider ranges, or port 0 for all other ports, would be right"
        ]
    );
}

#[test]
fn a_range_is_printed_and_saved_as_it_was_said() {
    let file = document(&site("port add shop:8000 method mac lastport 8099"), "f");
    assert!(file.to_script().contains("port add shop:8000 lastport 8099 method mac"), "{}", file.to_script());
    assert!(file.to_toml().contains("number = 8000\n  lastport = 8099\n"), "{}", file.to_toml());
    let mut after = file.clone();
    let line = split_words("port set shop:8000 lastport 8199").expect("words");
    after.apply(&Change::parse(&line).expect("is right").expect("changes")).expect("may be done");
    let overrides = Overrides::between(&file, &after);
    let read = Overrides::parse(&overrides.to_text()).expect("reads back");
    let (laid, dropped) = read.over(&file);
    assert_eq!((laid, dropped), (after, Vec::<String>::new()));
}

//! Reading TOML.

use std::time::Duration;

use super::{FILE, config, faults};
use crate::model::{
    AdministrativeState, AdvisorTimeout, AllDown, ForwardingMethod, Port, Proportions, RuleType, ServerHost,
};

/// A configuration with one cluster at 192.0.2.10, whose port has these lines.
fn with_port(lines: &str) -> String {
    format!(
        "[[cluster]]\nname = \"shop\"\naddress = \"192.0.2.10\"\n[[cluster.port]]\nnumber = 80\nmethod = \"http\"\n{lines}"
    )
}

fn port(lines: &str) -> Port {
    let mut config = config(&with_port(lines), FILE);
    config.clusters.remove(0).ports.remove(0)
}

#[test]
fn an_ordinary_configuration() {
    let text = include_str!("ordinary.toml");
    let config = config(text, FILE);
    let shop = &config.clusters[0];
    assert_eq!(shop.proportions, Proportions::new(49, 50, 1, 0).expect("whole"));
    let port = &shop.ports[0];
    assert_eq!((port.method, port.stickytime), (ForwardingMethod::Http, Duration::from_secs(300)));
    assert_eq!(port.sorry.path.as_deref(), Some("/etc/tsuji/sorry/index.html".as_ref()));
    let w1 = &port.servers[0];
    assert_eq!(w1.host, ServerHost::Address("192.0.2.21".parse().expect("address")));
    assert_eq!((w1.mapport.get(), w1.weight.get(), w1.advisorresponse.as_slice()), (9080, 10, b"OK".as_slice()));
    assert_eq!(port.servers[1].host, ServerHost::Name("app-2.example.com".to_owned()));
    assert_eq!(port.servers[1].state, AdministrativeState::Quiesced);
    assert_eq!(port.rules[0].kind, RuleType::True);
    assert_eq!(config.advisors[0].receivetimeout, Duration::from_millis(1500));
}

#[test]
fn defaults_are_ibms_where_ibm_has_them() {
    let port = port("[[cluster.port.server]]\nname = \"w1\"\n");
    assert_eq!((port.stickytime, port.weightbound.get(), port.servers[0].weight.get()), (Duration::ZERO, 20, 10));
    assert_eq!(
        (port.timeouts.stale.as_secs(), port.timeouts.head.as_secs(), port.all_down),
        (300, 10, AllDown::Refuse)
    );
    assert_eq!((port.crossport.get(), port.policy.retries, port.upgrade), (80, 2, vec!["websocket".to_owned()]));
    assert_eq!((port.servers[0].advisorrequest.as_str(), port.servers[0].mapport.get()), ("HEAD / HTTP/1.0", 80));
    let config = config("[[advisor]]\nname = \"http\"\nport = 80\n", FILE);
    let advisor = &config.advisors[0];
    assert_eq!((advisor.interval.as_secs(), advisor.connecttimeout.as_secs(), advisor.retries), (7, 21, 0));
    assert_eq!(advisor.timeout, AdvisorTimeout::Unlimited);
    assert_eq!((config.manager.interval.as_secs(), config.manager.smoothing), (2, 1.5));
    assert_eq!(config.metrics.listen.map(|listen| listen.to_string()).as_deref(), Some("127.0.0.1:9150"));
    assert_eq!((config.executor.maxaffinity, config.control.mode), (262_144, 0o660));
}

#[test]
fn the_stale_timeout_depends_on_the_port() {
    let text = |number: u16| {
        format!("[[cluster]]\nname = \"192.0.2.1\"\n[[cluster.port]]\nnumber = {number}\nmethod = \"tcp\"\n")
    };
    for (number, seconds) in [(80, 300), (21, 900), (23, 32_000_000)] {
        let port = &config(&text(number), FILE).clusters[0].ports[0];
        assert_eq!(port.timeouts.stale.as_secs(), seconds);
        let inherited = &config(&format!("[executor]\nstaletimeout = 5\n{}", text(number)), FILE).clusters[0].ports[0];
        assert_eq!(inherited.timeouts.stale.as_secs(), 5);
    }
}

#[test]
fn ports_inherit_wherever_the_executor_stands() {
    let text = "[[cluster]]\nname = \"192.0.2.1\"\nweightbound = 50\n[[cluster.port]]\nnumber = 80\nmethod = \"tcp\"\n\
                [[cluster.port]]\nnumber = 81\nmethod = \"tcp\"\nstickytime = 0\n[executor]\nstickytime = 60\nweightbound = 9\n";
    let ports = &config(text, FILE).clusters[0].ports;
    let seen: Vec<_> = ports.iter().map(|port| (port.stickytime.as_secs(), port.weightbound.get())).collect();
    assert_eq!(seen, [(60, 50), (0, 50)]);
}

#[test]
fn faults_say_where_and_what_would_be_right() {
    let cases: &[(&str, &[&str])] = &[
        ("stickytme = 3\n", &["7:1: unknown key `stickytme`, did you mean `stickytime`?"]),
        ("zebra = 3\n", &["7:1: unknown key `zebra`"]),
        ("stickytime = \"5\"\n", &["7:14: `stickytime` is whole seconds from 0 to 32000000, not a text"]),
        ("stickytime = -1\n", &["7:14: `stickytime` is whole seconds from 0 to 32000000, not `-1`"]),
        ("weightbound = 0x65\n", &["7:15: `weightbound` is a whole number from 1 to 100, not `101`"]),
        ("headtimeout = nan\n", &["7:15: `headtimeout` is seconds from 0.1 to 3600, not `nan`"]),
        ("all-down = \"refus\"\n", &["7:12: `all-down` is one of refuse, spread, not `refus`; did you mean `refuse`?"]),
        (
            "trustedproxies = [\"10.0.0.0/33\"]\n",
            &[
                "7:18: `trustedproxies` is a list of addresses and networks such as 10.0.0.0/8, and `10.0.0.0/33` is none of these",
            ],
        ),
        (
            "maxhalfopen = 3\n",
            &[
                "7:1: `maxhalfopen` belongs to a later version: the system's SYN cookies meet floods of half-open connections",
            ],
        ),
        ("crossport = 443\n", &["7:1: port shop:80: crossport 443: this cluster has no such port"]),
        ("a = 1\nb = 2\n", &["7:1: unknown key `a`", "8:1: unknown key `b`"]),
        (
            "[[cluster.port.server]]\nnaem = \"w1\"\n",
            &["7:1: this server has no `name`", "8:1: unknown key `naem`, did you mean `name`?"],
        ),
        (
            "[[cluster.port.server]]\nname = \"w 1\"\n",
            &["8:8: `name` is a name of letters, digits, `_`, `-` and `.`, not `w 1`"],
        ),
        (
            "[[cluster.port.server]]\nname = \"w1\"\n[[cluster.port.server]]\nname = \"w1\"\n",
            &["9:1: server `shop:80:w1` is already there, at 7:1"],
        ),
        (
            "[[cluster.port.server]]\nname = \"w1\"\nweight = 30\n",
            &[
                "9:1: server shop:80:w1: weight 30 is above the port's weightbound 20; a smaller weight or a larger bound would be right",
            ],
        ),
        (
            "[[cluster.port.server]]\nname = \"w1\"\naddress = \"192.0.2.10\"\n",
            &[
                "9:1: server shop:80:w1: 192.0.2.10 port 80 is this very port, so each connection would go round in circles; another address or mapport would be right",
            ],
        ),
        (
            "[[cluster.port.rule]]\nname = \"r\"\n",
            &["7:1: rule shop:80:r has no `type`; one of true, active, connection, ip, time, content"],
        ),
        (
            "[[cluster.port.server]]\nname = \"web1\"\n[[cluster.port.rule]]\nname = \"r\"\ntype = \"true\"\nservers = [\"wbe1\"]\n",
            &["12:1: rule shop:80:r: this port has no server `wbe1`, did you mean `web1`?"],
        ),
        (
            "[[cluster.port.rule]]\nname = \"r\"\ntype = \"service\"\n",
            &["9:8: `type` is not `service` yet: rules by type of service are not there"],
        ),
        (
            "[[cluster.port.rule]]\nname = \"r\"\ntype = \"active\"\nbeginrange = \"10.0.0.1\"\n",
            &["10:1: rule shop:80:r: `beginrange` of type active is a number of connections, not `10.0.0.1`"],
        ),
        (
            "[[cluster.port.rule]]\nname = \"r\"\ntype = \"ip\"\nbeginrange = \"10.0.0.9\"\nendrange = \"10.0.0.1\"\n",
            &["10:1: rule shop:80:r: beginrange 10.0.0.9 is above endrange 10.0.0.1, so it could never be true"],
        ),
        (
            "[[cluster.port.rule]]\nname = \"r\"\ntype = \"ip\"\nbeginrange = \"10.0.0.9\"\nendrange = \"::1\"\n",
            &["11:1: rule shop:80:r: 10.0.0.9 and ::1 are of different families"],
        ),
        (
            "[[cluster.port.rule]]\nname = \"r\"\ntype = \"time\"\nendrange = 25\n",
            &["10:1: rule shop:80:r: `endrange` is an hour from 0 to 24, not `25`"],
        ),
        (
            "[[cluster.port.rule]]\nname = \"r\"\ntype = \"true\"\nevaluate = \"rule\"\n",
            &["10:1: rule shop:80:r: `evaluate` belongs to rules of type active, connection"],
        ),
        (
            "[[cluster.port]]\nnumber = 0\nmethod = \"tcp\"\n",
            &[
                "7:1: port shop:0: port 0 stands for all ports, which method tcp cannot listen on; method mac, or a port object for each port, would be right",
            ],
        ),
        ("[[cluster.port]]\nnumber = 81\n", &["7:1: port shop:81 has no `method`; http, tcp or mac would be right"]),
        (
            "[[cluster.port]]\nnumber = 81\nmethod = \"nat\"\n",
            &["9:10: `method` is not `nat` yet: method http or tcp would be right"],
        ),
        ("[[cluster]]\nname = \"b\"\n", &["7:1: cluster b has no `address`, and its name is none"]),
        (
            "[[cluster]]\nname = \"b\"\naddress = \"192.0.2.10\"\nproportions = [50, 50, 1, 0]\n[[cluster.port]]\nnumber = 80\nmethod = \"tcp\"\n",
            &[
                "10:15: `proportions` is four percentages that make 100 together: active new port system, not `50 50 1 0`",
                "11:1: 192.0.2.10 port 80 is in cluster shop already, and again in b",
            ],
        ),
        ("[executer]\n", &["7:2: unknown key `executer`, did you mean `executor`?"]),
        ("[manager]\nsmoothing = 0.5\n", &["8:13: `smoothing` is a number from 1 to 1000, not `0.5`"]),
        ("[[manager]]\ninterval = 1\n", &["7:3: `manager` is a table: write [manager]"]),
        ("[advisor]\nname = \"http\"\n", &["7:2: there may be several of `advisor`: write [[advisor]]"]),
        ("[[advisor]]\nname = \"ftp\"\nport = 21\n", &["8:8: `name` is not `ftp` yet: advisor connect would be right"]),
        (
            "[metrics]\nlisten = \"192.0.2.10:80\"\n",
            &["8:1: the metrics listener 192.0.2.10:80 is a port of cluster shop; another port would be right"],
        ),
        ("stickytime = \n", &["7:14: string values must be quoted, expected literal string"]),
        ("stickytime = 1\nstickytime = 2\n", &["8:1: duplicate key"]),
    ];
    for (lines, expected) in cases {
        assert_eq!(faults(&with_port(lines), FILE), *expected, "{lines}");
    }
}

#[test]
fn all_faults_come_at_once() {
    let text = with_port(
        "stickytme = 1\nretries = 99\ncrossport = 81\n[[cluster.port.rule]]\nname = \"r\"\ntype = \"true\"\nservers = [\"x\"]\n",
    );
    let places: Vec<String> =
        faults(&text, FILE).iter().map(|fault| fault.split(": ").next().expect("place").to_owned()).collect();
    assert_eq!(places, ["7:1", "8:11", "9:1", "13:1"]);
}

#[test]
fn boms_and_line_ends_do_not_matter_and_nul_is_refused() {
    let text = with_port("stickytime = 3\n");
    let plain = config(&text, FILE);
    assert_eq!(config(&format!("\u{feff}{}", text.replace('\n', "\r\n")), FILE), plain);
    let faulty = text.replace('\n', "\r\n").replace("stickytime", "stickytme");
    assert_eq!(faults(&faulty, FILE), ["7:1: unknown key `stickytme`, did you mean `stickytime`?"]);
    let nul = faults(&with_port("sorrypage = \"a\u{0}b\"\n"), FILE);
    assert!(nul.iter().all(|fault| fault.starts_with("7:1")), "{nul:?}");
    let escaped = faults(&with_port("sorrypage = \"a\\u0000b\"\n"), FILE);
    assert_eq!(escaped, [r"7:13: `sorrypage` is a file or a directory; `\u{0}` has no place in it"]);
}

#[test]
fn other_shapes_of_toml_say_the_same() {
    let inline =
        "executor.workers = 3\ncluster = [{ name = \"192.0.2.1\", port = [{ number = 0x50, method = \"http\" }] }]\n";
    let long = "[[cluster]]\nname = '192.0.2.1'\n[[cluster.port]]\nnumber = 8_0\nmethod = \"\"\"http\"\"\"\n[executor]\nworkers = 3\n";
    assert_eq!(config(inline, FILE), config(long, FILE));
    assert_eq!(
        faults(&format!("{inline}port = 1\n"), FILE),
        ["3:1: `port` belongs within a cluster: write [[cluster.port]]"]
    );
}

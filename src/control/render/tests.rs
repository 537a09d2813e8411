//! Reports as operators see them, against the files in `golden/`.

use super::{json, text};
use crate::control::reply::*;

macro_rules! check {
    ($name:literal, $body:expr) => {{
        let body: Body = $body;
        assert_eq!(text(&Reply::report(body.clone())), include_str!(concat!("golden/", $name, ".txt")), $name);
        let back: Reply = serde_json::from_str(&json(&Reply::report(body.clone()))).expect("our own JSON");
        assert_eq!(back, Reply::report(body), "{} as JSON", $name);
    }};
}

fn up() -> Measured {
    Measured { state: HealthState::Up, reason: None, for_seconds: Some(3_725) }
}

fn down() -> Measured {
    Measured { state: HealthState::Down, reason: Some("connect-refused".into()), for_seconds: Some(12) }
}

fn traffic() -> Traffic {
    Traffic {
        active: 55,
        total: 123_456,
        new_per_second: 12.25,
        bytes_in: 1_048_576,
        bytes_out: 987_654_321,
        kbytes_per_second: 298.0,
    }
}

fn counts(pairs: &[(&str, u64)]) -> Vec<Count> {
    pairs.iter().map(|&(reason, count)| Count { reason: reason.into(), count }).collect()
}

fn defaults() -> Defaults {
    Defaults { sticky_seconds: 0.0, sticky_mask: 32, sticky_mask6: 128, weight_bound: 20, stale_seconds: Some(300.0) }
}

fn advisors() -> Vec<AdvisorLine> {
    let line = |advisor: &str, scope: &str, timeout_seconds| AdvisorLine {
        advisor: advisor.into(),
        scope: scope.into(),
        timeout_seconds,
    };
    vec![line("http", "80", None), line("connect", "shop:8443", Some(30.0))]
}

#[test]
fn the_whole() {
    check!(
        "status",
        Body::Status(StatusReport {
            version: "0.1.0".into(),
            uptime_seconds: 93_784,
            executor_running: true,
            manager_running: false,
            advisors: advisors(),
            clusters: 1,
            ports: 2,
            servers: 4,
            servers_down: 1,
            servers_quiesced: 1,
            configuration: vec!["/etc/tsuji/tsuji.toml".into()],
            generation: 17,
            overrides: 2,
            warnings: vec!["port shop:443: all servers are down".into()],
        })
    );
}

#[test]
fn executor() {
    check!(
        "executor_status",
        Body::ExecutorStatus(ExecutorStatus {
            version: "0.1.0".into(),
            running: true,
            workers: 2,
            max_connections: 0,
            max_affinity: 262_144,
            drain_seconds: 30.0,
            defaults: defaults(),
            clusters: 1,
            ports: 2,
            servers: 4,
            overrides: Vec::new(),
        })
    );
    check!(
        "executor_report",
        Body::ExecutorReport(ExecutorReport {
            version: "0.1.0".into(),
            uptime_seconds: 61,
            running: true,
            connections: 64,
            connections_total: 640,
            traffic: traffic(),
            refusals: counts(&[("no-server", 3), ("head-timeout", 1)]),
            retries: 2,
            affinity_records: 10,
            affinity_evicted: 0,
            packets: Some(PacketReport {
                interfaces: vec![("eth0".into(), "XDP (native)".into())],
                sent: counts(&[("forwarded", 123_456), ("echo", 7)]),
                passed: counts(&[("foreign", 99)]),
                dropped: counts(&[("unserved", 3)]),
                remarks: counts(&[("table-full", 1)]),
                connections: 64,
                half_open: 2,
                room: 1_572_864,
                drift: 0,
                refused_plans: 0,
                lost: 0,
                arp_answers: 12,
                announcements: 9,
                duplicates: 0,
                neighbours: vec![
                    ("192.0.2.21".into(), "02:00:00:00:01:01".into()),
                    ("192.0.2.22".into(), "no answer".into())
                ],
            }),
        })
    );
}

#[test]
fn clusters() {
    check!(
        "cluster_status",
        Body::ClusterStatus(vec![ClusterStatus {
            cluster: "test".into(),
            address: "10.19.90.110".into(),
            ports: 1,
            proportions: [49, 50, 1, 0],
            defaults: defaults(),
            overrides: vec!["proportions 49 50 1 0 (file: 50 50 0 0)".into()],
        }])
    );
    check!(
        "cluster_report",
        Body::ClusterReport(vec![ClusterReport {
            cluster: "test".into(),
            address: "10.19.90.110".into(),
            ports: 1,
            servers: 2,
            usable: 1,
            traffic: traffic(),
            refusals: counts(&[("no-server", 3)]),
        }])
    );
}

#[test]
fn ports() {
    check!(
        "port_status",
        Body::PortStatus(vec![PortStatus {
            cluster: "test".into(),
            cluster_address: "10.19.90.110".into(),
            port: 80,
            last_port: None,
            listener: Listener::Paused,
            servers: 2,
            rules: 2,
            method: "http".into(),
            sticky_seconds: 300.0,
            sticky_mask: 24,
            sticky_mask6: 64,
            cross_port: 443,
            weight_bound: 20,
            all_down: "refuse".into(),
            on_down: "keep".into(),
            timeouts: TimeoutsStatus {
                head_seconds: 10.0,
                idle_seconds: 60.0,
                body_seconds: 60.0,
                connect_seconds: 5.0,
                server_seconds: 60.0,
                stale_seconds: 300.0,
                pool_seconds: 0.5,
            },
            pool_size: 64,
            retries: 2,
            max_connections: 0,
            sorry_page: Some("/etc/tsuji/sorry".into()),
            sorry_status: 503,
            retry_after: 30,
            sorry_cache: "no-store".into(),
            access_log: Some("/var/log/tsuji/shop.log".into()),
            access_log_format: "combined".into(),
            trusted_proxies: vec!["10.0.0.0/8".into(), "192.0.2.1/32".into()],
            proxy_protocol: true,
            send_proxy: Some("v2".into()),
            forwarded: "x-forwarded".into(),
            upgrade: vec!["websocket".into()],
            balance: "leasttime".into(),
            affinity: "insert".into(),
            cookie: "TSUJI".into(),
            groups: vec![GroupStatus {
                group: "cart".into(),
                servers: vec!["w1".into(), "w2".into()],
                usable: 1,
                balance: "roundrobin".into(),
                affinity: "cloneid".into(),
                cookie: "CARTID".into(),
                waiting: 3,
            }],
            routes: vec![RouteStatus {
                route: "cart".into(),
                hosts: Vec::new(),
                uris: vec!["/cart/*".into()],
                group: Some("cart".into()),
                redirect: None,
            }],
            follows: Some(9080),
            monitor: false,
            overrides: Vec::new(),
        }])
    );
    let report = |port, listener| PortReport {
        cluster: "test".into(),
        cluster_address: "10.19.90.110".into(),
        port,
        last_port: (port == 443).then_some(499),
        listener,
        method: "http".into(),
        servers: 2,
        usable: 2,
        max_weight: 10,
        connections: 64,
        connections_total: 700,
        requests: 123_460,
        traffic: traffic(),
        responses: counts(&[("2xx", 100), ("5xx", 1)]),
        refusals: counts(&[("no-server", 1)]),
        retries: 4,
        affinity_records: 9,
        latency: LatencyReport { connect_ms: Some(0.5), first_byte_ms: None, total_ms: Some(14.25) },
    };
    check!("port_report", Body::PortReport(vec![report(80, Listener::Listening), report(443, Listener::Paused)]));
}

#[test]
fn servers() {
    let probes = vec![ProbeView {
        advisor: "http 80".into(),
        health: down(),
        failures: 2,
        last: Some(Probe { age_seconds: 1.5, latency_ms: None, fault: Some("connect-refused".into()) }),
        history: vec![
            Probe { age_seconds: 15.5, latency_ms: Some(12.34), fault: None },
            Probe { age_seconds: 8.5, latency_ms: None, fault: Some("connect-refused".into()) },
            Probe { age_seconds: 1.5, latency_ms: None, fault: Some("connect-refused".into()) },
        ],
    }];
    check!(
        "server_status",
        Body::ServerStatus(vec![ServerStatus {
            cluster: "test".into(),
            cluster_address: "10.19.90.110".into(),
            port: 80,
            server: "w1a".into(),
            host: "w1a.example.com".into(),
            address: Some("10.19.90.10".into()),
            map_port: 9080,
            state: AdminState::Quiesced,
            health: down(),
            weight: -1,
            saved_weight: 10,
            configured_weight: 12,
            fixed_weight: false,
            sticky: true,
            advisor_request: "HEAD / HTTP/1.0".into(),
            advisor_response: String::new(),
            group: Some("cart".into()),
            clone_id: Some("10j0tobbm".into()),
            backup: true,
            max_connections: 50,
            failures: 5,
            left_alone_seconds: Some(7.25),
            slow_start_weight: Some(3),
            probes,
            overrides: vec!["state quiesced (file: up)".into()],
        }])
    );
    check!(
        "server_report",
        Body::ServerReport(vec![ServerReport {
            cluster: "test".into(),
            port: 80,
            server: "w1a".into(),
            address: None,
            state: AdminState::Up,
            health: Measured { state: HealthState::Unknown, reason: None, for_seconds: None },
            weight: 10,
            saved_weight: 10,
            traffic: traffic(),
            port_load: -1,
            system_load: 0,
            responses: counts(&[("2xx", 100)]),
            failed: 2,
        }])
    );
}

#[test]
fn rules() {
    check!(
        "rule_status",
        Body::RuleStatus(vec![RuleStatus {
            cluster: "test".into(),
            port: 80,
            rule: "night".into(),
            kind: "time".into(),
            begin_range: Some("22".into()),
            end_range: Some("6".into()),
            priority: 10,
            evaluate: None,
            servers: vec!["w1a".into(), "w1b".into()],
            overrides: Vec::new(),
        }])
    );
    check!(
        "rule_report",
        Body::RuleReport(vec![RuleReport {
            cluster: "test".into(),
            port: 80,
            rule: "night".into(),
            kind: "time".into(),
            priority: 10,
            hits: 1234,
            holds: Some(true),
            servers: 2,
            usable: 1,
            port_active: 55,
            port_new_per_second: 12.0,
        }])
    );
}

#[test]
fn manager() {
    check!(
        "manager_status",
        Body::ManagerStatus(ManagerStatus {
            running: true,
            interval_seconds: 2.0,
            refresh: 2,
            sensitivity: 5,
            smoothing: 1.5,
            velocity_limit: false,
            fail_open: true,
            log_level: 1,
            overrides: Vec::new(),
        })
    );
    let server = |server: &str, address: Option<&str>, state, health, weights: (i16, i16), active| ManagerServer {
        server: server.into(),
        address: address.map(str::to_owned),
        state,
        health,
        now: weights.0,
        new: weights.1,
        active,
        new_connections: active / 2,
        port_load: if weights.0 < 0 { -1 } else { 25 },
        system_load: 0,
    };
    let port = |port, last: ManagerServer| ManagerPort {
        cluster: "test".into(),
        cluster_address: "10.19.90.110".into(),
        port,
        proportions: [49, 50, 1, 0],
        servers: vec![server("w1a", Some("10.19.90.10"), AdminState::Up, up(), (10, 12), 14), last],
    };
    check!(
        "manager_report",
        Body::ManagerReport(ManagerReport {
            ports: vec![
                port(80, server("w1b", Some("10.19.90.12"), AdminState::Quiesced, up(), (0, 0), 123_456)),
                port(443, server("w1b", None, AdminState::Up, down(), (-1, -1), 0)),
            ],
        })
    );
}

#[test]
fn advisor_tables() {
    check!("advisor_list", Body::AdvisorList(advisors()));
    check!("advisor_list_empty", Body::AdvisorList(Vec::new()));
    check!(
        "advisor_status",
        Body::AdvisorStatus(vec![AdvisorStatus {
            advisor: "https".into(),
            scope: "443".into(),
            interval_seconds: 7.0,
            timeout_seconds: None,
            connect_timeout_seconds: 21.0,
            receive_timeout_seconds: 0.5,
            retries: 0,
            verify: Some(false),
            overrides: Vec::new(),
        }])
    );
    let server = |server: &str, load, health, last_seconds, fault: Option<&str>, failures| AdvisorServer {
        cluster: "shop".into(),
        port: 80,
        server: server.into(),
        address: Some("192.0.2.21".into()),
        load,
        health,
        last_seconds,
        last_fault: fault.map(str::to_owned),
        failures,
    };
    let unknown = Measured { state: HealthState::Unknown, reason: None, for_seconds: None };
    check!(
        "advisor_report",
        Body::AdvisorReport(vec![AdvisorReport {
            advisor: "http".into(),
            scope: "80".into(),
            servers: vec![
                server("w1", Some(12), up(), Some(3.0), None, 0),
                server("w2", Some(-1), down(), Some(1.25), Some("connect-refused"), 2),
                server("w3", None, unknown, None, None, 0),
            ],
        }])
    );
}

#[test]
fn tools() {
    check!(
        "changed",
        Body::Changed(Changed {
            touched: vec!["shop:80:w1".into(), "shop:443:w1".into()],
            warnings: vec!["`HEAD` with an expected body".into()],
        })
    );
    let file = |name: &str, bytes, modified| FileEntry { name: name.into(), bytes, modified };
    check!(
        "file_report",
        Body::FileReport(FileReport {
            directory: "/etc/tsuji".into(),
            loaded: vec!["/etc/tsuji/tsuji.toml".into()],
            files: vec![file("old.cfg", 77, None), file("tsuji.toml", 12_345, Some(1_767_225_600))],
        })
    );
    check!(
        "log_status",
        Body::LogStatus(LogStatus {
            level: 1,
            format: "text".into(),
            destination: "standard error".into(),
            dropped: 0,
            access_log_mib: 0,
            access_log_keep: 5,
            access_log_lines: 1200,
            access_log_dropped: 3
        })
    );
    check!(
        "control_status",
        Body::ControlStatus(ControlStatus {
            socket: "/run/tsuji/control.sock".into(),
            mode: "0660".into(),
            owner: None,
            group: Some("operators".into()),
            state_directory: "/var/lib/tsuji".into(),
            overrides: Vec::new(),
        })
    );
    let certificate = |object: &str, names: &[&str], days_left| CertificateLine {
        object: object.into(),
        file: "/etc/tsuji/certs/shop.pem".into(),
        names: names.iter().map(|&name| name.to_owned()).collect(),
        subject: "CN=shop.example".into(),
        issuer: "C=NL, O=Example, CN=Example R3".into(),
        not_before: 1_767_225_600,
        not_after: 1_775_001_599,
        days_left,
        key: "ECDSA P-256".into(),
    };
    check!(
        "certificates",
        Body::Certificates(CertificateReport {
            certificates: vec![
                certificate("shop:443", &["shop.example", "*.shop.example", "a.example", "192.0.2.10"], 12),
                certificate("shop:443:w1", &["shop.example"], -1),
            ],
            without: vec!["bank:443".into()],
        })
    );
    let listen = Some("127.0.0.1:9150".into());
    check!("metrics_status", Body::MetricsStatus(MetricsStatus { listen, overrides: Vec::new() }));
    check!(
        "alerts_status",
        Body::AlertsStatus(AlertsStatus {
            directory: Some("/etc/tsuji/scripts".into()),
            timeout_seconds: 30.0,
            user: "nobody".into(),
            scripts: vec![
                AlertScript { script: "serverDown".into(), state: "runs".into() },
                AlertScript { script: "serverUp".into(), state: "is not there".into() },
            ],
            overrides: vec!["timeout 30 (file: 10)".into()],
        })
    );
    check!(
        "explanation",
        Body::Explanation(Explanation {
            steps: vec!["no affinity record for 203.0.113.7".into(), "rule `normal` is true: w1".into()],
            server: Some("shop:80:w1".into()),
            reason: "weighted round robin among 1 server".into(),
        })
    );
    check!("version", Body::Version(VersionReport { program: "tsuji".into(), version: "0.1.0".into() }));
}

#[test]
fn help_texts() {
    let body = |word| crate::control::help::help(word).body.expect("help");
    check!("help", body(None));
    check!("help_file", body(Some("file")));
    let keyword = |word: &str, default: &str| HelpKeyword {
        word: word.into(),
        meaning: "seconds that a client stays with its server".into(),
        value: "whole seconds from 0 to 60".into(),
        default: default.into(),
    };
    let keywords = vec![keyword("stickytime", "0"), keyword("other", "")];
    check!("help_keywords", Body::Help(Help { detailed: true, entries: Vec::new(), keywords }));
}

#[test]
fn sentences_come_first_and_stand_alone() {
    assert_eq!(text(&Reply::refused("no\nway")), "no\nway\n");
    let both = Reply { lines: vec!["Done.".into()], ..Reply::report(Body::ClusterReport(Vec::new())) };
    assert_eq!(text(&both), "Done.\nThere is none.\n");
    assert_eq!(text(&Reply::done("")), "");
}

#[test]
fn terminals_obey_nobody_but_us() {
    let evil = "\u{1b}[2J\u{7}\r\n".to_owned();
    let bodies = [
        Body::Changed(Changed { touched: vec![evil.clone()], warnings: vec![evil.clone()] }),
        Body::AdvisorList(vec![AdvisorLine { advisor: evil.clone(), scope: evil.clone(), timeout_seconds: None }]),
        Body::Explanation(Explanation { steps: vec![evil.clone()], server: Some(evil.clone()), reason: evil.clone() }),
        Body::Version(VersionReport { program: evil.clone(), version: evil.clone() }),
    ];
    for body in bodies {
        let text = text(&Reply { lines: vec![evil.clone()], ..Reply::report(body) });
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}

#[test]
fn the_pair() {
    let group = PairGroupStatus {
        clusters: vec!["shop".into()],
        primary_host: Some("10.0.0.1".into()),
        state: "active".into(),
        sub_state: "serving".into(),
        epoch: 4,
        partner_state: Some("standby".into()),
        last_change: Some(PairChange {
            from: "standby".into(),
            to: "active".into(),
            reason: "the partner fell silent".into(),
            seconds_ago: 75.5,
        }),
        damped: false,
        unsaved: false,
    };
    let way = HeartbeatStatus {
        source: "10.0.0.1".into(),
        destination: "10.0.0.2".into(),
        heard_seconds_ago: Some(0.25),
        lost: false,
        loss_percent: 1.5,
        round_trip_ms: Some(0.125),
    };
    check!(
        "pair_status",
        Body::HighAvailabilityStatus(PairStatus {
            role: "primary".into(),
            recovery: "auto".into(),
            node: None,
            port: 12345,
            interval_seconds: 0.5,
            timeout_seconds: 2.0,
            groups: vec![group],
            heartbeats: vec![way],
            reach: vec![ReachStatus { address: "10.0.0.254".into(), reachable: Some(true) }],
            partner: Some(PartnerStatus { silent: false, hears_us: true, reach: 1, in_sync: true }),
            fault: None,
            misconfigured: Vec::new(),
            sync: SyncStatus { in_sync: true, position: 4711, lag_ms: 0.0 },
            refused: counts(&[("stranger", 0), ("forged", 3), ("replayed", 1)]),
            overrides: Vec::new(),
        })
    );
}

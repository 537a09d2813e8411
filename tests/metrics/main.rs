//! The metrics page, read the way Prometheus reads it.

#![allow(clippy::indexing_slicing, reason = "a test that meets the unexpected should stop right there")]

mod exposition;
#[path = "../../benches/support/mod.rs"]
mod support;
#[path = "../support/tools.rs"]
mod tools;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tsuji::executor::{ActiveConnection, ForwardingTable, HistogramReading, Lane, Phase};
use tsuji::metrics::{
    AccessLogReading, AdvisorReading, AffinityReading, CertificateReading, CertificatesReading, ConfigurationReading,
    PairGroupReading, PairPathReading, PairReading, ProcessReading, ProxyCounter, Reading, ReloadReading, encode,
};
use tsuji::model::{AdministrativeState, DownReason, Health, PortNumber, RuleType, Standing};

use exposition::Exposition;
use support::{REASONS, Site, forwarding_table, name};

fn reading(table: ForwardingTable) -> Reading {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    Reading {
        table: Arc::new(table),
        reasons: REASONS.to_vec(),
        advisors: vec![
            advisor("w0", Some(true), Some(0.0125), 7, &[("connect-refused", 1)]),
            advisor("w1", Some(false), None, 2, &[("connect-refused", 5), ("tls", 1)]),
            advisor("w2", None, None, 0, &[]),
        ],
        configuration: ConfigurationReading {
            generation: 4,
            reload: Some(ReloadReading { good: false, at: at(1_700_000_100) }),
            overrides: 2,
        },
        certificates: CertificatesReading {
            // The same file twice on one port is one series.
            in_use: vec![
                certificate(None, 1_800_000_000),
                certificate(None, 1_800_000_000),
                certificate(Some("w0"), 7),
            ],
            read: 4,
            refused: 1,
            good: Some(false),
        },
        affinity: AffinityReading { records: 12, evicted: 3 },
        proxy: vec![
            ProxyCounter { name: "accept_pauses_total", help: "Times that accepting paused.", value: 1 },
            ProxyCounter { name: "connections", help: "Client connections open now.", value: 9 },
        ],
        commands: vec![("done", 5), ("refused", 1), ("misused", 0)],
        scripts: vec![("serverDown", "done", 3), ("managerAlert", "timeout", 1)],
        log_lines_dropped: 0,
        packets: None,
        pair: Some(PairReading {
            groups: vec![PairGroupReading { group: 0, active: true, partner_active: false, fault: false, epoch: 4 }],
            paths: vec![
                PairPathReading {
                    name: "10.0.0.1 10.0.0.2".to_owned(),
                    heard: true,
                    loss: 0.125,
                    round_trip_seconds: Some(0.0005),
                },
                PairPathReading {
                    name: "10.0.1.1 10.0.1.2".to_owned(),
                    heard: false,
                    loss: 0.0,
                    round_trip_seconds: None,
                },
            ],
            partner_heard: true,
            in_sync: true,
            misconfigurations: 1,
            admitted: 70,
            refused: vec![("stranger", 2), ("forged", 0)],
            news_lost: 0,
            lateness: HistogramReading::default(),
            reach: vec![("10.0.0.254".to_owned(), true)],
        }),
        access_logs: AccessLogReading { lines: 7, bytes: 1_200, dropped: 2, errors: 1 },
        alerts: 1,
        started: at(1_700_000_000),
        version: "1.2.3",
        process: ProcessReading {
            cpu_seconds: Some(1.25),
            resident_bytes: Some(4096),
            virtual_bytes: None,
            open_fds: Some(20),
            max_fds: Some(1024),
            threads: Some(3),
        },
    }
}

fn certificate(server: Option<&str>, expires: i64) -> CertificateReading {
    let file = if server.is_some() { "certs/own.pem" } else { "certs/shop.pem" };
    let port = PortNumber::new(443).expect("a port number");
    CertificateReading { cluster: name("shop"), port, server: server.map(name), file: file.to_owned(), expires }
}

fn advisor(
    server: &str,
    up: Option<bool>,
    latency_seconds: Option<f64>,
    good: u64,
    failed: &[(&'static str, u64)],
) -> AdvisorReading {
    let port = PortNumber::new(80).expect("a port number");
    let (cluster, server) = (name("shop"), name(server));
    AdvisorReading { advisor: "http", cluster, port, server, up, latency_seconds, good, failed: failed.to_vec() }
}

/// Three servers, of which one is down and one quiesced, after a little traffic.
fn small_table() -> ForwardingTable {
    let mut site = Site::with_servers(3).rule("normal", RuleType::True);
    site.measured[1].health = Health::Down(DownReason::ConnectRefused);
    site.measured[1].standing = Standing::Out;
    site.port.servers[2].state = AdministrativeState::Quiesced;
    site.measured[2].health = Health::Unknown;
    for (lane, duration_us) in [(0, 200), (1, 700), (1, 20_000_000)] {
        site.counters.record(Lane(lane), Phase::Total, duration_us);
        site.counters.count_request(Lane(lane));
        site.counters.count_code(Lane(lane), 200);
    }
    site.counters.count_reason(Lane(1), 1);
    site.counters.count_retry(Lane(0), 1);
    let w0 = &site.measured[0].counters;
    w0.count_bytes_in(Lane(0), 10);
    w0.count_bytes_out(Lane(1), 3_000_000_000);
    w0.count_response(Lane(1), 404);
    w0.count_failed(Lane(0));
    drop(ActiveConnection::begin(w0, Lane(0)));
    ForwardingTable::default().with([site.table()], &[])
}

fn text_of(reading: &Reading) -> String {
    String::from_utf8(encode(reading)).expect("the page is UTF-8")
}

#[test]
fn a_small_table_word_for_word() {
    let table = small_table();
    let port = table.ports().next().expect("one port");
    let _open = port.counters.open_connection(Lane(0));
    let _busy = ActiveConnection::begin(&port.servers[0].counters, Lane(1));
    let text = text_of(&reading(table));
    let golden = include_str!("small.txt");
    for (number, (found, wanted)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(found, wanted, "line {} of tests/metrics/small.txt", number + 1);
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "lines; the page is\n{text}");
}

#[test]
fn every_line_can_be_read_back() {
    Exposition::parse(&text_of(&reading(small_table()))).expect("a page that Prometheus accepts");
    Exposition::parse(&text_of(&reading(forwarding_table(3, 4)))).expect("a page that Prometheus accepts");
}

#[test]
fn histograms_are_cumulative() {
    let page = Exposition::parse(&text_of(&reading(small_table()))).expect("a page");
    let at = |series: &str| page.value(series).unwrap_or_else(|| panic!("{series} is missing"));
    let bucket = |bound: &str| {
        at(&format!(r#"tsuji_port_latency_seconds_bucket{{cluster="shop",port="80",phase="total",le="{bound}"}}"#))
    };
    assert_eq!((bucket("0.00025"), bucket("0.0005"), bucket("0.001")), (1.0, 1.0, 2.0));
    assert_eq!((bucket("10"), bucket("+Inf")), (2.0, 3.0));
    let labels = r#"{cluster="shop",port="80",phase="total"}"#;
    assert_eq!(at(&format!("tsuji_port_latency_seconds_count{labels}")), 3.0);
    assert_eq!(at(&format!("tsuji_port_latency_seconds_sum{labels}")), 20.0009);
}

#[test]
fn an_empty_dispatcher_has_a_page_too() {
    let mut empty = reading(ForwardingTable::default());
    empty.advisors.clear();
    empty.configuration = ConfigurationReading::default();
    empty.certificates = CertificatesReading::default();
    empty.process = ProcessReading::default();
    let page = Exposition::parse(&text_of(&empty)).expect("a page");
    assert_eq!(page.value("tsuji_configuration_generation"), Some(0.0));
    assert_eq!(page.value("tsuji_configuration_last_reload_successful"), None, "nothing was loaded yet");
    assert_eq!(page.value("process_open_fds"), None);
}

#[test]
fn label_values_are_escaped() {
    let mut odd = reading(ForwardingTable::default());
    odd.version = "a\"b\\c\nd";
    let text = text_of(&odd);
    assert!(text.contains(r#"tsuji_build_info{version="a\"b\\c\nd"} 1"#), "{text}");
    Exposition::parse(&text).expect("a page");
}

/// So many series per port and per server, whatever the clients do.
#[test]
fn the_configuration_alone_decides_how_many_series_there_are() {
    let series =
        |ports, servers| Exposition::parse(&text_of(&reading(forwarding_table(ports, servers)))).expect("a page").len();
    let none = series(0, 0);
    let per_port = series(1, 0) - none;
    let per_server = series(1, 1) - none - per_port;
    assert_eq!(series(20, 10), none + 20 * per_port + 200 * per_server);
    // A connection, a retry, refusals by reason, codes, three histograms; states, counters and codes of a server.
    assert_eq!((per_port, per_server), (1 + 2 + REASONS.len() + 5 + 3 * 18, 6 + 1 + 4 + 5));
}

#[test]
fn a_thousand_ports_of_ten_servers() {
    let text = text_of(&reading(forwarding_table(1000, 10)));
    let page = Exposition::parse(&text).expect("a page");
    assert!(page.len() > 200_000 && text.len() < 32 << 20, "{} series, {} bytes", page.len(), text.len());
}

#[test]
fn promtool_finds_no_fault() {
    let page = encode(&reading(small_table()));
    let Some(output) = tools::run("promtool", &["check", "metrics"], &page) else { return };
    tools::assert_content("promtool check metrics", &output);
}

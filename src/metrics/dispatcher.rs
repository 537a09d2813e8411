//! The dispatcher as a whole, and its advisors.

use super::page::{About, Labels, Page, flag, timestamp};
use super::{AdvisorReading, ConfigurationReading, ProxyCounter, Reading};

pub(super) fn write(page: &mut Page, reading: &Reading) {
    page.gauges(BUILD_INFO, [(Labels::new(&[("version", reading.version)]), 1.0)]);
    page.gauge(TABLE_GENERATION, reading.table.generation() as f64);
    write_configuration(page, &reading.configuration);
    page.gauge(AFFINITY_RECORDS, reading.affinity.records as f64);
    page.counter(AFFINITY_EVICTIONS, reading.affinity.evicted);
    let commands = reading.commands.iter();
    page.counters(COMMANDS, commands.map(|(outcome, count)| (Labels::new(&[("outcome", outcome)]), *count as f64)));
    let scripts = reading.scripts.iter();
    let run = |(event, result, count): &(&str, &str, u64)| {
        (Labels::new(&[("event", event), ("result", result)]), *count as f64)
    };
    page.counters(SCRIPT_RUNS, scripts.map(run));
    page.counter(LOG_LINES_DROPPED, reading.log_lines_dropped);
    page.counter(ACCESS_LOG_LINES, reading.access_logs.lines);
    page.counter(ACCESS_LOG_BYTES, reading.access_logs.bytes);
    page.counter(ACCESS_LOG_DROPPED, reading.access_logs.dropped);
    page.counter(ACCESS_LOG_ERRORS, reading.access_logs.errors);
    page.gauge(ALERTS, reading.alerts as f64);
    for counter in &reading.proxy {
        write_proxy(page, counter);
    }
}

fn write_configuration(page: &mut Page, configuration: &ConfigurationReading) {
    page.gauge(CONFIGURATION_GENERATION, configuration.generation as f64);
    let reload = configuration.reload;
    page.gauges(RELOAD_GOOD, reload.map(|reload| (Labels::default(), flag(reload.good))));
    page.gauges(RELOAD_TIME, reload.map(|reload| (Labels::default(), timestamp(reload.at))));
    page.gauge(OVERRIDES, configuration.overrides as f64);
}

fn write_proxy(page: &mut Page, figure: &ProxyCounter) {
    let name = format!("tsuji_proxy_{}", figure.name);
    let about = About::new(&name, figure.help);
    if figure.name.ends_with("_total") {
        page.counter(about, figure.value);
    } else {
        page.gauge(about, figure.value as f64);
    }
}

pub(super) fn write_advisors(page: &mut Page, advisors: &[AdvisorReading]) {
    let rows: Vec<(Labels, &AdvisorReading)> = advisors.iter().map(|reading| (labels(reading), reading)).collect();
    let verdict = |(labels, reading): &(Labels, &AdvisorReading)| Some((labels.clone(), flag(reading.up?)));
    let latency = |(labels, reading): &(Labels, &AdvisorReading)| Some((labels.clone(), reading.latency_seconds?));
    page.gauges(ADVISOR_UP, rows.iter().filter_map(verdict));
    page.gauges(ADVISOR_LATENCY, rows.iter().filter_map(latency));
    page.counters(ADVISOR_GOOD, rows.iter().map(|(labels, reading)| (labels.clone(), reading.good as f64)));
    let failures = |(labels, reading): &(Labels, &AdvisorReading)| {
        let counts = reading.failed.iter();
        counts.map(|(reason, count)| (labels.with("reason", reason), *count as f64)).collect::<Vec<_>>()
    };
    page.counters(ADVISOR_FAILED, rows.iter().flat_map(failures));
}

fn labels(reading: &AdvisorReading) -> Labels {
    Labels::new(&[
        ("advisor", reading.advisor),
        ("cluster", reading.cluster.as_str()),
        ("port", &reading.port.to_string()),
        ("server", reading.server.as_str()),
    ])
}

const BUILD_INFO: About = About::new("tsuji_build_info", "1, with the version that runs.");
const TABLE_GENERATION: About =
    About::new("tsuji_forwarding_table_generation", "Grows with every change of membership, health or weight.");
const CONFIGURATION_GENERATION: About =
    About::new("tsuji_configuration_generation", "Grows with every change of configuration that took effect.");
const RELOAD_GOOD: About = About::new(
    "tsuji_configuration_last_reload_successful",
    "1 if the last file was loaded, 0 if it was refused and the last good configuration goes on.",
);
const RELOAD_TIME: About =
    About::new("tsuji_configuration_last_reload_timestamp_seconds", "When a file was last loaded or refused.");
const OVERRIDES: About =
    About::new("tsuji_configuration_overrides", "Fields in which operators' commands differ from the file.");
const AFFINITY_RECORDS: About = About::new("tsuji_affinity_records", "Clients whose server is remembered.");
const AFFINITY_EVICTIONS: About = About::new(
    "tsuji_affinity_evictions_total",
    "Affinity records that left before their time because the table was full.",
);
const COMMANDS: About = About::new("tsuji_control_commands_total", "Operators' commands by how they ended.");
const SCRIPT_RUNS: About =
    About::new("tsuji_script_runs_total", "Alert scripts that were due and are there, by how they ended.");
const LOG_LINES_DROPPED: About =
    About::new("tsuji_log_lines_dropped_total", "Log lines lost because whoever writes them was behind.");
const ACCESS_LOG_LINES: About = About::new("tsuji_accesslog_lines_total", "Lines written to access logs.");
const ACCESS_LOG_BYTES: About = About::new("tsuji_accesslog_bytes_total", "Bytes written to access logs.");
const ACCESS_LOG_DROPPED: About = About::new(
    "tsuji_accesslog_dropped_total",
    "Lines of access logs lost because the disk was behind or a file could not be written.",
);
const ACCESS_LOG_ERRORS: About =
    About::new("tsuji_accesslog_errors_total", "Failed attempts to open or write an access log.");
const ALERTS: About = About::new("tsuji_alerts", "Alerts open now, as `dscontrol status` lists them.");
const ADVISOR_UP: About =
    About::new("tsuji_advisor_up", "The advisor's verdict: 1 up, 0 down; absent before the first.");
const ADVISOR_LATENCY: About = About::new("tsuji_advisor_latency_seconds", "How long the last good probe took.");
const ADVISOR_GOOD: About = About::new("tsuji_advisor_good_total", "Probes that ended well.");
const ADVISOR_FAILED: About = About::new("tsuji_advisor_failed_total", "Probes that failed, by reason.");

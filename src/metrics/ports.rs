//! Ports and their rules.

use std::sync::Arc;

use crate::executor::{ForwardingTable, HistogramReading, Phase, PortReading, PortTable};

use super::page::{About, CODES, Column, Labels, Page};

/// One port, read once for all families.
struct Row {
    labels: Labels,
    port: Arc<PortTable>,
    reading: PortReading,
}

pub(super) fn write(page: &mut Page, table: &ForwardingTable, reasons: &[&'static str]) {
    let rows: Vec<Row> = table.ports().map(row).collect();
    page.gauges(CONNECTIONS, rows.iter().map(|row| (row.labels.clone(), row.reading.connections as f64)));
    for (about, value) in COUNTERS {
        page.counters(about, rows.iter().map(|row| (row.labels.clone(), value(&row.reading) as f64)));
    }
    // Few of the reasons ever lead to another server, so only those that did have a series.
    let retries = rows.iter().flat_map(|row| labelled(row, "reason", reasons, &row.reading.retries));
    page.counters(RETRIES, retries.filter(|(_, count)| *count > 0.0));
    page.counters(REFUSALS, rows.iter().flat_map(|row| labelled(row, "reason", reasons, &row.reading.reasons)));
    page.counters(RESPONSES, rows.iter().flat_map(|row| labelled(row, "code", &CODES, &row.reading.codes)));
    page.histograms(LATENCY, rows.iter().flat_map(phases));
    page.counters(RULE_HITS, rows.iter().flat_map(rules));
}

/// The labels of everything that belongs to this port.
pub(super) fn labels(port: &PortTable) -> Labels {
    Labels::new(&[("cluster", port.key.cluster.as_str()), ("port", &port.key.port.to_string())])
}

fn row(port: &Arc<PortTable>) -> Row {
    Row { labels: labels(port), port: Arc::clone(port), reading: port.counters.read() }
}

fn labelled<'a>(
    row: &'a Row,
    name: &'a str,
    words: &'a [&'static str],
    counts: &'a [u64],
) -> impl Iterator<Item = (Labels, f64)> + 'a {
    words.iter().zip(counts).map(move |(word, &count)| (row.labels.with(name, word), count as f64))
}

fn phases(row: &Row) -> impl Iterator<Item = (Labels, HistogramReading)> {
    Phase::ALL.iter().zip(row.reading.phases).map(|(phase, reading)| (row.labels.with("phase", phase.word()), reading))
}

fn rules(row: &Row) -> impl Iterator<Item = (Labels, f64)> {
    row.port.rules.iter().map(|rule| (row.labels.with("rule", rule.name.as_str()), rule.hits() as f64))
}

const CONNECTIONS: About = About::new("tsuji_port_connections", "Client connections open now.");

/// Families with one sample per port.
const COUNTERS: [Column<PortReading, u64>; 2] = [
    (About::new("tsuji_port_accepted_total", "Client connections taken."), |reading| reading.accepted),
    (About::new("tsuji_port_requests_total", "Requests read (http)."), |reading| reading.requests),
];

const RETRIES: About = About::new(
    "tsuji_port_retries_total",
    "Requests or connections offered to one more server, by the reason why the one before was given up.",
);

const REFUSALS: About = About::new(
    "tsuji_port_refusals_total",
    "Requests and connections that were not served as asked, by the reason in the Tsuji-Error header.",
);

const RESPONSES: About =
    About::new("tsuji_port_responses_total", "Answers given to clients by class of status, our own included.");

const LATENCY: About = About::new(
    "tsuji_port_latency_seconds",
    "Time until a new connection to the server stood (connect), until the server's first byte (first_byte) and until \
     the last byte (total).",
);

const RULE_HITS: About = About::new("tsuji_rule_hits_total", "How often the rule decided.");

//! Servers of ports.

use std::sync::Arc;

use crate::executor::{ForwardingTable, PortTable, ServerEntry, ServerReading, Takes};
use crate::model::{AdministrativeState, Health};

use super::page::{About, CODES, Column, Labels, Page, flag};
use super::ports;

/// One server, read once for all families.
struct Row<'a> {
    labels: Labels,
    server: &'a ServerEntry,
    reading: ServerReading,
}

pub(super) fn write(page: &mut Page, table: &ForwardingTable) {
    let rows: Vec<Row<'_>> = table.ports().flat_map(rows).collect();
    for (about, value) in STATES {
        page.gauges(about, rows.iter().map(|row| (row.labels.clone(), value(row.server))));
    }
    page.gauges(DOWN_REASON, rows.iter().filter_map(down_reason));
    page.gauges(ACTIVE, rows.iter().map(|row| (row.labels.clone(), row.reading.active as f64)));
    for (about, value) in COUNTERS {
        page.counters(about, rows.iter().map(|row| (row.labels.clone(), value(&row.reading) as f64)));
    }
    page.counters(RESPONSES, rows.iter().flat_map(responses));
}

fn rows(port: &Arc<PortTable>) -> impl Iterator<Item = Row<'_>> {
    let labels = ports::labels(port);
    port.servers.iter().map(move |server| Row {
        labels: labels.with("server", server.name.as_str()),
        server,
        reading: server.counters.read(),
    })
}

fn down_reason(row: &Row<'_>) -> Option<(Labels, f64)> {
    match &row.server.health {
        Health::Down(reason) => Some((row.labels.with("reason", reason.word()), 1.0)),
        Health::Up | Health::Unknown => None,
    }
}

fn responses(row: &Row<'_>) -> impl Iterator<Item = (Labels, f64)> {
    CODES.iter().zip(row.reading.responses).map(|(code, count)| (row.labels.with("code", code), count as f64))
}

/// Families of what a server is, one sample per server.
const STATES: [Column<ServerEntry, f64>; 6] = [
    (
        About::new(
            "tsuji_server_left_alone",
            "1 while requests leave the server alone because it failed too often in a row.",
        ),
        |server| flag(server.counters.mark.is_marked()),
    ),
    (
        About::new("tsuji_server_up", "1 unless an advisor calls the server down or its name has no address."),
        |server| flag(!server.health.is_down() && server.address.is_some()),
    ),
    (About::new("tsuji_server_health", "What the advisors say: 1 up, 0 nobody has looked yet, -1 down."), |server| {
        match server.health {
            Health::Up => 1.0,
            Health::Unknown => 0.0,
            Health::Down(_) => -1.0,
        }
    }),
    (
        About::new(
            "tsuji_server_administrative_state",
            "What the operator wants: 0 up, 1 quiesced, 2 quiesced now, 3 down.",
        ),
        |server| match server.state {
            AdministrativeState::Up => 0.0,
            AdministrativeState::Quiesced => 1.0,
            AdministrativeState::QuiescedNow => 2.0,
            AdministrativeState::Down => 3.0,
        },
    ),
    (About::new("tsuji_server_usable", "1 while the server takes new connections, whatever the reason."), |server| {
        flag(takes_new(server))
    }),
    (About::new("tsuji_server_weight", "The server's share of new connections; 0 while it takes none."), |server| {
        if takes_new(server) { f64::from(server.weight.get()) } else { 0.0 }
    }),
];

fn takes_new(server: &ServerEntry) -> bool {
    matches!(server.takes, Takes::New | Takes::FailOpen)
}

const DOWN_REASON: About =
    About::new("tsuji_server_down_reason", "1 with the advisor's reason for as long as the server is down.");

const ACTIVE: About =
    About::new("tsuji_server_active", "Connections (tcp, tunnels) or requests (http) in progress at the server.");

/// Families of what is counted of a server, one sample per server.
const COUNTERS: [Column<ServerReading, u64>; 4] = [
    (About::new("tsuji_server_new_total", "Connections or requests begun at the server."), |reading| reading.begun),
    (About::new("tsuji_server_failed_total", "Offered to the server but not taken by it."), |reading| reading.failed),
    (About::new("tsuji_server_in_bytes_total", "Bytes of bodies from clients to the server."), |reading| {
        reading.bytes_in
    }),
    (About::new("tsuji_server_out_bytes_total", "Bytes of bodies from the server to clients."), |reading| {
        reading.bytes_out
    }),
];

const RESPONSES: About = About::new("tsuji_server_responses_total", "Responses of the server by class of status.");

//! Tables of the executor, the manager and the advisors.

use super::boxed::{Align, Boxed};
use super::dotted::Dotted;
use super::objects::defaults;
use super::spelling::{Row, address, counts, health, limit, overrides, rate, row, span, standing, traffic, yes_no};
use crate::control::lookup::plain;
use crate::control::reply::{
    AdvisorLine, AdvisorReport, AdvisorServer, AdvisorStatus, ExecutorReport, ExecutorStatus, ManagerPort,
    ManagerReport, ManagerServer, ManagerStatus, PacketReport, StatusReport,
};

pub fn status(status: &StatusReport) -> String {
    let started = |running| if running { "started" } else { "stopped" };
    let mut text = format!(
        "Executor has been {}.\nManager has been {}.\n",
        started(status.executor_running),
        started(status.manager_running)
    );
    text.push_str(&advisor_list(&status.advisors));
    let summary = Dotted::new("Dispatcher Status")
        .row("Version", &status.version)
        .row("Running for", span(status.uptime_seconds))
        .row("Clusters", status.clusters)
        .row("Ports", status.ports)
        .row("Servers", status.servers)
        .row("Servers down", status.servers_down)
        .row("Servers quiesced", status.servers_quiesced)
        .rows(status.configuration.iter().map(|file| row("Configuration", file)))
        .row("Generation", status.generation)
        .row("Changed by operators", status.overrides)
        .rows(status.warnings.iter().map(|warning| row("WARNING", warning)));
    text + &summary.to_string()
}

pub fn advisor_list(advisors: &[AdvisorLine]) -> String {
    let cells = advisors
        .iter()
        .map(|line| [line.advisor.clone(), line.scope.clone(), limit(line.timeout_seconds).to_ascii_lowercase()]);
    Boxed::new(&[Align::Left; 3]).head(["ADVISOR", "CLUSTER:PORT", "TIMEOUT"]).rows(cells).to_string()
}

pub fn executor_status(status: &ExecutorStatus) -> String {
    Dotted::new("Executor Status")
        .row("Version level", &status.version)
        .row("Started", yes_no(status.running))
        .row("Worker threads", status.workers)
        .row("Maximum connections", status.max_connections)
        .row("Maximum affinity records", status.max_affinity)
        .row("Drain time (seconds)", status.drain_seconds)
        .rows(defaults(&status.defaults))
        .row("Number of clusters", status.clusters)
        .row("Number of ports", status.ports)
        .row("Number of servers", status.servers)
        .rows(overrides(&status.overrides))
        .to_string()
}

pub fn executor_report(report: &ExecutorReport) -> String {
    Dotted::new("Executor Report")
        .row("Version level", &report.version)
        .row("Started", yes_no(report.running))
        .row("Running for", span(report.uptime_seconds))
        .row("Client connections open", report.connections)
        .row("Client connections accepted", report.connections_total)
        .rows(traffic(&report.traffic))
        .rows(counts("Refused", &report.refusals))
        .row("Retried on another server", report.retries)
        .row("Affinity records", report.affinity_records)
        .row("Affinity records given up early", report.affinity_evicted)
        .rows(report.packets.iter().flat_map(packets))
        .to_string()
}

fn packets(report: &PacketReport) -> impl Iterator<Item = Row> {
    let interfaces = report.interfaces.iter().map(|(name, mode)| row(format!("Interface {name}"), mode));
    let neighbours = report.neighbours.iter().map(|(address, state)| row(format!("Neighbour {address}"), state));
    let table = [
        row("Connection table - entries".to_owned(), report.connections),
        row("Connection table - half open".to_owned(), report.half_open),
        row("Connection table - places".to_owned(), report.room),
        row("Connection table - counter drift".to_owned(), report.drift),
        row("Plans refused".to_owned(), report.refused_plans),
        row("Packets lost by packet sockets".to_owned(), report.lost),
        row("Cluster addresses - questions answered".to_owned(), report.arp_answers),
        row("Cluster addresses - announcements".to_owned(), report.announcements),
        row("Cluster addresses - duplicates".to_owned(), report.duplicates),
    ];
    interfaces
        .chain(counts("Packets sent", &report.sent))
        .chain(counts("Packets passed to this host", &report.passed))
        .chain(counts("Packets discarded", &report.dropped))
        .chain(counts("Packets remarked", &report.remarks))
        .chain(table)
        .chain(neighbours)
}

pub fn manager_status(status: &ManagerStatus) -> String {
    Dotted::new("Manager Status")
        .row("Started", yes_no(status.running))
        .row("Log level", status.log_level)
        .row("Sensitivity level", f64::from(status.sensitivity) / 100.0)
        .row("Smoothing index", status.smoothing)
        .row("Update interval (seconds)", status.interval_seconds)
        .row("Weights refresh cycle", status.refresh)
        .row("Velocity limit", yes_no(status.velocity_limit))
        .row("Fail open", yes_no(status.fail_open))
        .rows(overrides(&status.overrides))
        .to_string()
}

/// IBM's three parts: the servers, the legend, and the weights of each port.
pub fn manager_report(report: &ManagerReport) -> String {
    let ports: String = report.ports.iter().map(manager_port).collect();
    format!("{}{LEGEND}{ports}", manager_servers(report))
}

/// A server that stands the same on several ports has one line.
fn manager_servers(report: &ManagerReport) -> String {
    let mut seen = std::collections::HashSet::new();
    let servers = report.ports.iter().flat_map(|port| &port.servers).map(|server| {
        let standing = standing(server.state, &server.health, server.address.is_some());
        [server.server.clone(), address(server.address.as_ref()), standing.to_owned()]
    });
    Boxed::new(&[Align::Left; 3])
        .head(["SERVER", "IP ADDRESS", "STATUS"])
        .rows(servers.filter(|cells| seen.insert(cells.clone())))
        .to_string()
}

fn manager_port(port: &ManagerPort) -> String {
    let [active, new, load, system] = port.proportions.map(|percent| format!("{percent}%"));
    let number = format!("PORT: {}", port.port);
    Boxed::new(&[Align::Left, Align::Left, Align::Right, Align::Right, Align::Right, Align::Right])
        .head([&port.cluster, "WEIGHT", "ACTV", "NEWC", "PORT", "SYS"])
        .head([&port.cluster_address, "NOW NEW", &active, &new, &load, &system])
        .head([&number, "", "", "", "", ""])
        .rows(port.servers.iter().map(manager_server))
        .to_string()
}

fn manager_server(server: &ManagerServer) -> [String; 6] {
    [
        server.server.clone(),
        format!("{:>3} {:>3}", server.now, server.new),
        server.active.to_string(),
        server.new_connections.to_string(),
        server.port_load.to_string(),
        server.system_load.to_string(),
    ]
}

pub fn advisor_status(status: &AdvisorStatus) -> String {
    Dotted::new("Advisor Status")
        .row("Advisor name", &status.advisor)
        .row("Port number", &status.scope)
        .row("Interval (seconds)", status.interval_seconds)
        .row("Timeout (seconds)", limit(status.timeout_seconds))
        .row("Connect timeout (seconds)", status.connect_timeout_seconds)
        .row("Receive timeout (seconds)", status.receive_timeout_seconds)
        .row("Number of retries", status.retries)
        .rows(status.verify.map(|verify| row("Certificate verified", yes_no(verify))))
        .rows(overrides(&status.overrides))
        .to_string()
}

pub fn advisor_report(report: &AdvisorReport) -> String {
    let list = Dotted::new("Advisor Report").row("Advisor name", &report.advisor).row("Port number", &report.scope);
    let table = Boxed::new(&[Align::Left, Align::Left, Align::Right, Align::Left, Align::Left])
        .head(["SERVER", "IP ADDRESS", "LOAD", "HEALTH", "LAST PROBE"])
        .rows(report.servers.iter().map(advisor_server));
    format!("{list}{table}")
}

fn advisor_server(server: &AdvisorServer) -> [String; 5] {
    let separator = if server.cluster.contains(':') { '@' } else { ':' };
    let result = match (&server.last_fault, server.failures) {
        (None, _) => "good".to_owned(),
        (Some(fault), 0 | 1) => plain(fault),
        (Some(fault), failures) => format!("{} ({failures} failed in a row)", plain(fault)),
    };
    let last = server.last_seconds.map_or("none yet".to_owned(), |age| format!("{result}, {} s ago", rate(age)));
    [
        format!("{}{separator}{}{separator}{}", server.cluster, server.port, server.server),
        address(server.address.as_ref()),
        server.load.map(|load| load.to_string()).unwrap_or_default(),
        health(&server.health),
        last,
    ]
}

const LEGEND: &str = "\
-----------------------------
|   MANAGER REPORT LEGEND   |
| ACTV | Active Connections |
| NEWC | New Connections    |
| PORT | Advisor Load (ms)  |
| SYS  | System Metric      |
| NOW  | Current Weight     |
| NEW  | New Weight         |
-----------------------------
";

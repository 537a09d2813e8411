//! Tables of clusters, ports, servers and rules.

use super::boxed::{Align, Boxed};
use super::dotted::Dotted;
use super::spelling::{Row, address, counts, health, list, listener, overrides, probe, rate, row, traffic, yes_no};
use crate::control::reply::{
    AdminState, ClusterReport, ClusterStatus, Defaults, HealthState, LatencyReport, PortReport, PortStatus, ProbeView,
    RuleReport, RuleStatus, ServerReport, ServerStatus, TimeoutsStatus,
};

pub fn cluster_status(status: &ClusterStatus) -> String {
    let [active, new, port, system] = status.proportions.map(|percent| f64::from(percent) / 100.0);
    Dotted::new("Cluster Status")
        .row("Cluster", &status.cluster)
        .row("Address", &status.address)
        .row("Number of target ports", status.ports)
        .rows(defaults(&status.defaults))
        .row("Proportion given to active connections", active)
        .row("Proportion given to new connections", new)
        .row("Proportion given specific to the port", port)
        .row("Proportion given to system metrics", system)
        .rows(overrides(&status.overrides))
        .to_string()
}

/// What later ports begin with.
pub fn defaults(defaults: &Defaults) -> [Row; 5] {
    let stale = defaults.stale_seconds.map_or("by port number".to_owned(), |seconds| seconds.to_string());
    [
        row("Default sticky time", defaults.sticky_seconds),
        row("Default sticky mask", defaults.sticky_mask),
        row("Default sticky mask for IPv6", defaults.sticky_mask6),
        row("Default stale timeout", stale),
        row("Default port weight bound", defaults.weight_bound),
    ]
}

pub fn cluster_report(report: &ClusterReport) -> String {
    Dotted::new("Cluster Report")
        .row("Cluster", &report.cluster)
        .row("Address", &report.address)
        .row("Number of target ports", report.ports)
        .row("Number of servers", report.servers)
        .row("Number of usable servers", report.usable)
        .rows(traffic(&report.traffic))
        .rows(counts("Refused", &report.refusals))
        .to_string()
}

pub fn port_status(status: &PortStatus) -> String {
    Dotted::new("Port Status")
        .row("Port number", status.port)
        .rows(last_port(status.last_port))
        .row("Cluster", &status.cluster)
        .row("Cluster address", &status.cluster_address)
        .row("Listener", listener(status.listener))
        .row("Number of servers", status.servers)
        .row("Number of rules", status.rules)
        .row("Forwarding method", &status.method)
        .row("Sticky time", status.sticky_seconds)
        .row("Sticky mask bits", status.sticky_mask)
        .row("Sticky mask bits for IPv6", status.sticky_mask6)
        .row("Cross port affinity", status.cross_port)
        .row("Maximum server weight", status.weight_bound)
        .row("When all servers are down", &status.all_down)
        .row("Connections of a server that goes down", &status.on_down)
        .rows(timeouts(&status.timeouts))
        .row("Idle connections kept per server", status.pool_size)
        .row("Other servers tried", status.retries)
        .row("Maximum connections", status.max_connections)
        .rows(sorry(status))
        .row("Access log", status.access_log.as_deref().unwrap_or("off"))
        .row("Access log format", &status.access_log_format)
        .row("Trusted proxies", list(&status.trusted_proxies))
        .row("PROXY protocol from trusted proxies", if status.proxy_protocol { "on" } else { "off" })
        .row("PROXY protocol to servers", status.send_proxy.as_deref().unwrap_or("off"))
        .row("Forwarding headers", &status.forwarded)
        .row("Upgrades", list(&status.upgrade))
        .rows(applications(status))
        .rows(overrides(&status.overrides))
        .to_string()
}

/// What only ports with several applications, or other ways than round robin, have.
fn applications(status: &PortStatus) -> Vec<Row> {
    let mut rows = Vec::new();
    if status.balance != "roundrobin" {
        rows.push(row("Balance", &status.balance));
    }
    if !matches!(status.affinity.as_str(), "" | "cloneid") {
        rows.push(row("Affinity by session", format!("{}, cookie {}", status.affinity, status.cookie)));
    }
    rows.extend(status.follows.map(|port| row("Follows port", port)));
    if status.monitor {
        rows.push(row("Watched only", "Y"));
    }
    rows.extend(status.groups.iter().map(|group| {
        let waiting = if group.waiting > 0 { format!(", {} waiting", group.waiting) } else { String::new() };
        let text = format!(
            "{} ({} usable), {}, {} {}{waiting}",
            list(&group.servers),
            group.usable,
            group.balance,
            group.affinity,
            group.cookie
        );
        row(format!("Group {}", group.group), text)
    }));
    rows.extend(status.routes.iter().map(|route| {
        let or_any = |items: &[String]| if items.is_empty() { "any".to_owned() } else { list(items) };
        let to = match (&route.group, &route.redirect) {
            (_, Some(redirect)) => format!("to {redirect}"),
            (Some(group), _) => format!("group {group}"),
            (None, None) => "servers of no group".to_owned(),
        };
        row(format!("Route {}", route.route), format!("{} {}: {to}", or_any(&route.hosts), or_any(&route.uris)))
    }));
    rows
}

/// Of a range.
fn last_port(last: Option<u16>) -> Option<Row> {
    last.map(|last| row("Last port number", last))
}

fn timeouts(timeouts: &TimeoutsStatus) -> [Row; 7] {
    [
        row("Stale timeout", timeouts.stale_seconds),
        row("Head timeout", timeouts.head_seconds),
        row("Idle timeout", timeouts.idle_seconds),
        row("Body timeout", timeouts.body_seconds),
        row("Connect timeout", timeouts.connect_seconds),
        row("Server timeout", timeouts.server_seconds),
        row("Pool timeout", timeouts.pool_seconds),
    ]
}

fn sorry(status: &PortStatus) -> [Row; 4] {
    [
        row("Sorry page", status.sorry_page.as_deref().unwrap_or("built in")),
        row("Sorry status", status.sorry_status),
        row("Sorry page's Retry-After", status.retry_after),
        row("Sorry page's Cache-Control", &status.sorry_cache),
    ]
}

pub fn port_report(report: &PortReport) -> String {
    Dotted::new("Port Report")
        .row("Cluster", &report.cluster)
        .row("Cluster address", &report.cluster_address)
        .row("Port number", report.port)
        .rows(last_port(report.last_port))
        .row("Listener", listener(report.listener))
        .row("Number of servers", report.servers)
        .row("Number of usable servers", report.usable)
        .row("Maximum server weight", report.max_weight)
        .row("Client connections open", report.connections)
        .row("Client connections accepted", report.connections_total)
        .row("Requests read", report.requests)
        .rows(traffic(&report.traffic))
        .rows(counts("Responses", &report.responses))
        .rows(counts("Refused", &report.refusals))
        .row("Retried on another server", report.retries)
        .row("Affinity records", report.affinity_records)
        .rows(latency(&report.latency))
        .row("Forwarding method", &report.method)
        .to_string()
}

fn latency(latency: &LatencyReport) -> impl Iterator<Item = Row> {
    let means = [
        ("Mean connect time (ms)", latency.connect_ms),
        ("Mean time to first byte (ms)", latency.first_byte_ms),
        ("Mean total time (ms)", latency.total_ms),
    ];
    means.into_iter().filter_map(|(label, mean)| Some(row(label, rate(mean?))))
}

pub fn server_status(status: &ServerStatus) -> String {
    let quiesced = matches!(status.state, AdminState::Quiesced | AdminState::QuiescedNow);
    let up = status.state != AdminState::Down && status.health.state != HealthState::Down && status.address.is_some();
    let list = Dotted::new("Server Status")
        .row("Server", &status.server)
        .row("Port number", status.port)
        .row("Cluster", &status.cluster)
        .row("Cluster address", &status.cluster_address)
        .row("Server address", host(status))
        .row("Mapped port", status.map_port)
        .row("Administrative state", status.state.word())
        .row("Measured health", health(&status.health))
        .row("Quiesced", yes_no(quiesced))
        .row("Server up", yes_no(up))
        .row("Weight", status.weight)
        .row("Saved weight", status.saved_weight)
        .row("Configured weight", status.configured_weight)
        .row("Fixed weight", yes_no(status.fixed_weight))
        .row("Sticky for rule", yes_no(status.sticky))
        .row("Advisor request", &status.advisor_request)
        .row("Advisor response", &status.advisor_response)
        .rows(in_its_group(status))
        .rows(status.probes.iter().flat_map(probe_view))
        .rows(overrides(&status.overrides));
    format!("{list}{}", history(&status.probes))
}

/// What only some servers have.
fn in_its_group(status: &ServerStatus) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(status.group.as_ref().map(|group| row("Group", group)));
    rows.extend(status.clone_id.as_ref().map(|id| row("Clone id", id)));
    if status.backup {
        rows.push(row("Backup", "Y"));
    }
    if status.max_connections > 0 {
        rows.push(row("Maximum connections", status.max_connections));
    }
    rows.extend(status.slow_start_weight.map(|weight| row("Weight on its slow start", weight)));
    rows.extend(status.left_alone_seconds.map(|seconds| {
        let until = if seconds > 0.0 { format!("for {seconds:.1} s more") } else { "one request tries it".to_owned() };
        row("Left alone for its failures", format!("{until} ({} in a row)", status.failures))
    }));
    rows
}

/// `192.0.2.21`, `192.0.2.21 (w1.example.com)` or `unresolved (w1.example.com)`.
fn host(status: &ServerStatus) -> String {
    let resolved = address(status.address.as_ref());
    if resolved == status.host { resolved } else { format!("{resolved} ({})", status.host) }
}

fn probe_view(view: &ProbeView) -> [Row; 2] {
    let last = view.last.as_ref().map_or("none yet".to_owned(), probe);
    let failures = if view.failures > 0 { format!(" ({} failed in a row)", view.failures) } else { String::new() };
    [
        row(format!("Advisor {}", view.advisor), health(&view.health)),
        row(format!("Advisor {}, last probe", view.advisor), format!("{last}{failures}")),
    ]
}

/// The newest probe first.
fn history(views: &[ProbeView]) -> String {
    let all = views.iter().flat_map(|view| view.history.iter().rev().map(|probe| (&view.advisor, probe)));
    let mut rows = all.peekable();
    if rows.peek().is_none() {
        return String::new();
    }
    let cells = rows.map(|(advisor, probe)| {
        let result = probe.fault.clone().unwrap_or_else(|| "good".to_owned());
        let latency = probe.latency_ms.map(rate).unwrap_or_default();
        [advisor.clone(), rate(probe.age_seconds), latency, result]
    });
    Boxed::new(&[Align::Left, Align::Right, Align::Right, Align::Left])
        .head(["ADVISOR", "SECONDS AGO", "MS", "RESULT"])
        .rows(cells)
        .to_string()
}

pub fn server_report(report: &ServerReport) -> String {
    Dotted::new("Server Report")
        .row("Server", &report.server)
        .row("Port number", report.port)
        .row("Cluster", &report.cluster)
        .row("Server address", address(report.address.as_ref()))
        .row("Administrative state", report.state.word())
        .row("Measured health", health(&report.health))
        .row("Weight", report.weight)
        .row("Saved weight", report.saved_weight)
        .rows(traffic(&report.traffic))
        .row("Port load", report.port_load)
        .row("System load", report.system_load)
        .rows(counts("Responses", &report.responses))
        .row("Not taken", report.failed)
        .to_string()
}

pub fn rule_status(status: &RuleStatus) -> String {
    let optional = |label: &str, value: &Option<String>| value.as_ref().map(|value| row(label, value));
    Dotted::new("Rule Status")
        .row("Rule name", &status.rule)
        .row("Port number", status.port)
        .row("Cluster", &status.cluster)
        .row("Rule type", &status.kind)
        .rows(optional("Begin range", &status.begin_range))
        .rows(optional("End range", &status.end_range))
        .row("Priority", status.priority)
        .rows(optional("Evaluate", &status.evaluate))
        .row("Servers", list(&status.servers))
        .rows(overrides(&status.overrides))
        .to_string()
}

pub fn rule_report(report: &RuleReport) -> String {
    let holds = report.holds.map_or("depends on the client", yes_no);
    Dotted::new("Rule Report")
        .row("Rule name", &report.rule)
        .row("Port number", report.port)
        .row("Cluster", &report.cluster)
        .row("Rule type", &report.kind)
        .row("Priority", report.priority)
        .row("Times fired", report.hits)
        .row("True now", holds)
        .row("Number of servers", report.servers)
        .row("Number of usable servers", report.usable)
        .row("Active connections of the port", report.port_active)
        .row("Connections per second of the port", rate(report.port_new_per_second))
        .to_string()
}

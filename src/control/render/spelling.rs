//! How single values are spelled in all tables.

use crate::control::reply::{AdminState, Count, HealthState, Listener, Measured, Probe, Traffic};

/// A label and a value of a dotted list.
pub type Row = (String, String);

pub fn row(label: impl Into<String>, value: impl ToString) -> Row {
    (label.into(), value.to_string())
}

/// IBM's `Y` and `N`.
pub fn yes_no(value: bool) -> &'static str {
    if value { "Y" } else { "N" }
}

/// At most one decimal, none when it is zero.
pub fn rate(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Seconds, or `Unlimited`.
pub fn limit(seconds: Option<f64>) -> String {
    seconds.map_or("Unlimited".to_owned(), |seconds| seconds.to_string())
}

/// A span in its two largest units: `3 d 4 h`, `12 s`.
pub fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

pub fn address(address: Option<&String>) -> String {
    address.cloned().unwrap_or_else(|| "unresolved".to_owned())
}

/// `down for 12 s: connect-refused`
pub fn health(health: &Measured) -> String {
    let age = health.for_seconds.map(|seconds| format!(" for {}", span(seconds))).unwrap_or_default();
    let reason = health.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}{age}{reason}", health.state.word())
}

/// IBM's word for operator's and advisor's view together; a server without an address is neither's doing.
pub fn standing(state: AdminState, health: &Measured, is_resolved: bool) -> &'static str {
    match state {
        AdminState::Up if !is_resolved => return "UNRESOLVED",
        AdminState::Quiesced | AdminState::QuiescedNow if !is_resolved => return "QUIESCED, UNRESOLVED",
        _ => {}
    }
    let down = health.state == HealthState::Down;
    match (state, down) {
        (AdminState::Up, false) => "ACTIVE",
        (AdminState::Up, true) => "DOWN BY ADVISOR",
        (AdminState::Quiesced, false) => "QUIESCED",
        (AdminState::QuiescedNow, false) => "QUIESCED NOW",
        (AdminState::Quiesced | AdminState::QuiescedNow, true) => "QUIESCED, DOWN BY ADVISOR",
        (AdminState::Down, false) => "DOWN",
        (AdminState::Down, true) => "DOWN, ALSO BY ADVISOR",
    }
}

pub fn listener(listener: Listener) -> &'static str {
    match listener {
        Listener::Listening => "listening",
        Listener::Paused => "paused",
    }
}

/// `12 ms`, or what was wrong, and when.
pub fn probe(probe: &Probe) -> String {
    let result = match (&probe.fault, probe.latency_ms) {
        (Some(fault), _) => fault.clone(),
        (None, Some(latency)) => format!("{} ms", rate(latency)),
        (None, None) => "good".to_owned(),
    };
    format!("{result}, {} s ago", rate(probe.age_seconds))
}

pub fn list(words: &[String]) -> String {
    words.join(" ")
}

/// The rows that all reports of traffic share.
pub fn traffic(traffic: &Traffic) -> [Row; 6] {
    [
        row("Total active connections", traffic.active),
        row("Total connections", traffic.total),
        row("Connections per second", rate(traffic.new_per_second)),
        row("Bytes received", traffic.bytes_in),
        row("Bytes sent", traffic.bytes_out),
        row("KBytes transferred per second", rate(traffic.kbytes_per_second)),
    ]
}

/// A row per reason, `Refused - no-server`.
pub fn counts(title: &str, counts: &[Count]) -> impl Iterator<Item = Row> {
    counts.iter().map(move |count| row(format!("{title} - {}", count.reason), count.count))
}

/// A row per change that operators made on top of the file.
pub fn overrides(overrides: &[String]) -> impl Iterator<Item = Row> {
    overrides.iter().map(|change| row("Changed by operators", change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (75, "1 min 15 s"), (3_600, "1 h 0 min"), (273_600, "3 d 4 h")]
        {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn rates() {
        for (value, text) in [(0.0, "0"), (12.0, "12"), (0.25, "0.2"), (1e9, "1000000000")] {
            assert_eq!(rate(value), text);
        }
    }
}

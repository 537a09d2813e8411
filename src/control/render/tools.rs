//! Tables of changes, files, the log, decisions and help.

use super::boxed::{Align, Boxed};
use super::dotted::Dotted;
use super::spelling::{overrides, row};
use crate::control::lookup::plain;
use crate::control::reply::{
    AlertsStatus, CertificateLine, CertificateReport, Changed, ConnectionLine, ConnectionList, ControlStatus,
    Explanation, FileEntry, FileReport, Help, HelpEntry, HelpKeyword, LogStatus, MetricsStatus, VersionReport,
};

pub fn changed(changed: &Changed) -> String {
    let touched = changed.touched.iter().map(|operand| format!("  {}\n", plain(operand)));
    let warnings = changed.warnings.iter().map(|warning| format!("warning: {}\n", plain(warning)));
    touched.chain(warnings).collect()
}

pub fn file_report(report: &FileReport) -> String {
    let list = Dotted::new("File Report")
        .row("Directory", &report.directory)
        .rows(report.loaded.iter().map(|file| row("Loaded", file)));
    let table = Boxed::new(&[Align::Left, Align::Right, Align::Left])
        .head(["FILE", "BYTES", "CHANGED (UTC)"])
        .rows(report.files.iter().map(file_entry));
    format!("{list}{table}")
}

fn file_entry(file: &FileEntry) -> [String; 3] {
    let time = file.modified.map(|seconds| utc(seconds, "%Y-%m-%d %H:%M:%S")).unwrap_or_default();
    [file.name.clone(), file.bytes.to_string(), time]
}

/// A moment in seconds since 1970; empty where no calendar has it.
fn utc(seconds: i64, form: &str) -> String {
    let time = jiff::Timestamp::from_second(seconds);
    time.map(|time| time.strftime(form).to_string()).unwrap_or_default()
}

pub fn certificates(report: &CertificateReport) -> String {
    use Align::{Left, Right};
    if report.certificates.is_empty() && report.without.is_empty() {
        return "There is none.\n".to_owned();
    }
    let table = Boxed::new(&[Left, Left, Left, Left, Left, Right, Left, Left, Left])
        .head(["PORT", "FILE", "NAMES", "VALID FROM", "EXPIRES (UTC)", "DAYS LEFT", "KEY", "SUBJECT", "ISSUER"])
        .rows(report.certificates.iter().map(certificate));
    let without = report.without.iter().map(|port| format!("{}: none of its certificates can be used\n", plain(port)));
    table.to_string() + &without.collect::<String>()
}

fn certificate(line: &CertificateLine) -> [String; 9] {
    let valid_from = utc(line.not_before, "%Y-%m-%d");
    let expires = utc(line.not_after, "%Y-%m-%d %H:%M");
    let days = if line.days_left < 0 { "expired".to_owned() } else { line.days_left.to_string() };
    let [object, file, key, subject, issuer] =
        [&line.object, &line.file, &line.key, &line.subject, &line.issuer].map(String::clone);
    [object, file, some_of(&line.names), valid_from, expires, days, key, subject, issuer]
}

/// A certificate may be for a hundred names; the first ones tell people which one it is, and JSON has all.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(" ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

pub fn connections(list: &ConnectionList) -> String {
    use Align::{Left, Right};
    let table = Boxed::new(&[Left, Left, Left, Left, Left, Right])
        .head(["CLIENT", "SERVICE", "PROTOCOL", "SERVER", "STATE", "IDLE"])
        .rows(list.connections.iter().map(connection));
    let shown = list.connections.len() as u64;
    let rest = if shown < list.total { format!(", of which these are the first {shown}") } else { String::new() };
    format!("{table}{} connections{rest}\n", list.total)
}

fn connection(line: &ConnectionLine) -> [String; 6] {
    let idle = format!("{} s", line.idle_seconds);
    let text = [&line.client, &line.service, &line.protocol, &line.server, &line.state];
    let [client, service, protocol, server, state] = text.map(String::clone);
    [client, service, protocol, server, state, idle]
}

pub fn log_status(status: &LogStatus) -> String {
    Dotted::new("Log Status")
        .row("Log goes to", &status.destination)
        .row("Log level", status.level)
        .row("Log format", &status.format)
        .row("Lines given up", status.dropped)
        .row("Access log size (MiB)", limit(status.access_log_mib))
        .row("Access logs kept", status.access_log_keep)
        .row("Access log lines written", status.access_log_lines)
        .row("Access log lines dropped", status.access_log_dropped)
        .to_string()
}

fn limit(mib: u64) -> String {
    if mib == 0 { "no limit".to_owned() } else { mib.to_string() }
}

pub fn control_status(status: &ControlStatus) -> String {
    let own = || "the daemon's own".to_owned();
    Dotted::new("Control Status")
        .row("Socket", &status.socket)
        .row("Mode", &status.mode)
        .row("Owner", status.owner.clone().unwrap_or_else(own))
        .row("Group", status.group.clone().unwrap_or_else(own))
        .row("State directory", &status.state_directory)
        .rows(overrides(&status.overrides))
        .to_string()
}

pub fn metrics_status(status: &MetricsStatus) -> String {
    Dotted::new("Metrics Status")
        .row("Listens on", status.listen.as_deref().unwrap_or("nothing"))
        .rows(overrides(&status.overrides))
        .to_string()
}

pub fn alerts_status(status: &AlertsStatus) -> String {
    Dotted::new("Alerts Status")
        .row("Scripts are in", status.directory.as_deref().unwrap_or("no directory: none is run"))
        .row("Time limit (s)", status.timeout_seconds)
        .row("Run by root as", &status.user)
        .rows(status.scripts.iter().map(|script| row(&script.script, &script.state)))
        .rows(overrides(&status.overrides))
        .to_string()
}

pub fn explanation(explanation: &Explanation) -> String {
    let steps = explanation.steps.iter().enumerate();
    let steps: String = steps.map(|(at, step)| format!("{:>2}. {}\n", at + 1, plain(step))).collect();
    let verdict = Dotted::new("Decision")
        .row("Server", explanation.server.as_deref().unwrap_or("none"))
        .row("Reason", &explanation.reason);
    format!("{steps}{verdict}")
}

/// All objects with their syntax, or one object with meanings and examples.
pub fn help(help: &Help) -> String {
    let mut text = String::new();
    let mut object = "";
    for entry in &help.entries {
        if entry.object != object {
            object = &entry.object;
            text.push_str(&format!("{} - {}\n", plain(object), plain(&entry.about)));
        }
        text.push_str(&if help.detailed { detailed(entry) } else { brief(entry) });
    }
    if !help.detailed {
        text.push_str(HINT);
    }
    if !help.keywords.is_empty() {
        text.push_str("Keywords (the same as in TOML; a default in brackets):\n");
    }
    text.extend(help.keywords.iter().map(keyword));
    text
}

fn keyword(keyword: &HelpKeyword) -> String {
    let default = if keyword.default.is_empty() { String::new() } else { format!(" [{}]", plain(&keyword.default)) };
    format!("    {}{default}\n        {}; {}\n", plain(&keyword.word), plain(&keyword.meaning), plain(&keyword.value))
}

fn brief(entry: &HelpEntry) -> String {
    format!("    dscontrol {}\n", plain(&entry.syntax))
}

fn detailed(entry: &HelpEntry) -> String {
    let example = if entry.example == entry.syntax {
        String::new()
    } else {
        format!("        example: dscontrol {}\n", plain(&entry.example))
    };
    format!("{}        {}\n{example}", brief(entry), plain(&entry.meaning))
}

pub fn version(version: &VersionReport) -> String {
    format!("{} {}\n", plain(&version.program), plain(&version.version))
}

const HINT: &str = "
C cluster, P port, S server, G group, R route or rule; `:` or `@` separates, `+` joins, an empty part means all.
Words may be shortened while unique. `dscontrol help OBJECT` explains and gives examples.
";

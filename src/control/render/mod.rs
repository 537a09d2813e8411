//! Replies as people read them (IBM's tables) and as programs read them (JSON).
//!
//! Nothing is asked or computed here beyond spelling: what a table shows is in the reply.

mod boxed;
mod dotted;
mod machinery;
mod objects;
mod pair;
mod spelling;
#[cfg(test)]
mod tests;
mod tools;

use super::lookup::plain;
use super::reply::{Body, Reply};

/// The reply as text, ending with a line end unless there is nothing to say. Control characters that came from files or
/// servers are shown as escapes: a terminal must not obey them.
pub fn text(reply: &Reply) -> String {
    let mut text: String = reply.lines.iter().map(|line| plain(line) + "\n").collect();
    if let Some(body) = &reply.body {
        text.push_str(&self::body(body));
    }
    text
}

/// The reply as indented JSON with a line end.
pub fn json(reply: &Reply) -> String {
    let json = serde_json::to_string_pretty(reply);
    json.expect("a reply has only text keys and numbers") + "\n"
}

fn body(body: &Body) -> String {
    match body {
        Body::Changed(changed) => tools::changed(changed),
        Body::Status(status) => machinery::status(status),
        Body::ExecutorStatus(status) => machinery::executor_status(status),
        Body::ExecutorReport(report) => machinery::executor_report(report),
        Body::Certificates(report) => tools::certificates(report),
        Body::ClusterStatus(list) => each(list, objects::cluster_status),
        Body::ClusterReport(list) => each(list, objects::cluster_report),
        Body::PortStatus(list) => each(list, objects::port_status),
        Body::PortReport(list) => each(list, objects::port_report),
        Body::ServerStatus(list) => each(list, objects::server_status),
        Body::ServerReport(list) => each(list, objects::server_report),
        Body::RuleStatus(list) => each(list, objects::rule_status),
        Body::RuleReport(list) => each(list, objects::rule_report),
        Body::ManagerStatus(status) => machinery::manager_status(status),
        Body::ManagerReport(report) => machinery::manager_report(report),
        Body::AdvisorList(list) => machinery::advisor_list(list),
        Body::AdvisorStatus(list) => each(list, machinery::advisor_status),
        Body::AdvisorReport(list) => each(list, machinery::advisor_report),
        Body::FileReport(report) => tools::file_report(report),
        Body::LogStatus(status) => tools::log_status(status),
        Body::ControlStatus(status) => tools::control_status(status),
        Body::MetricsStatus(status) => tools::metrics_status(status),
        Body::AlertsStatus(status) => tools::alerts_status(status),
        Body::HighAvailabilityStatus(status) => pair::status(status),
        Body::Explanation(explanation) => tools::explanation(explanation),
        Body::Connections(list) => tools::connections(list),
        Body::Help(help) => tools::help(help),
        Body::Version(version) => tools::version(version),
    }
}

/// One after the other with an empty line between.
fn each<T>(list: &[T], render: fn(&T) -> String) -> String {
    if list.is_empty() {
        return "There is none.\n".to_owned();
    }
    list.iter().map(render).collect::<Vec<_>>().join("\n")
}

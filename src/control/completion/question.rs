//! What a dispatcher is asked for the sake of completion: reports that it gives to anybody who may read.

use crate::control::reply::{Body, Reply};
use crate::model::AdvisorKind;

/// Names that are wanted. Texts are parts of an operand as typed; empty ones stand for all.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Question {
    Clusters,
    Ports {
        clusters: String,
    },
    Servers {
        clusters: String,
        ports: String,
    },
    Rules {
        clusters: String,
        ports: String,
    },
    /// Where the advisors of a kind probe: `80`, `shop:80`.
    Scopes {
        kind: AdvisorKind,
    },
    Files,
}

impl Question {
    /// The command that asks.
    pub fn words(&self) -> Vec<String> {
        let words = match self {
            Self::Clusters => vec!["cluster", "status"],
            // `@` separates names of all kinds.
            Self::Ports { clusters } => return operand("port", &[clusters, ""]),
            Self::Servers { clusters, ports } => return operand("server", &[clusters, ports, ""]),
            Self::Rules { clusters, ports } => return operand("rule", &[clusters, ports, ""]),
            Self::Scopes { .. } => vec!["advisor", "list"],
            Self::Files => vec!["file", "report"],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// The names in the answer, in its order.
    pub fn names(&self, reply: Reply) -> Vec<String> {
        let Some(body) = reply.body else { return Vec::new() };
        match (self, body) {
            (Self::Clusters, Body::ClusterStatus(all)) => all.into_iter().map(|one| one.cluster).collect(),
            (Self::Ports { .. }, Body::PortStatus(all)) => all.into_iter().map(|one| one.port.to_string()).collect(),
            (Self::Servers { .. }, Body::ServerStatus(all)) => all.into_iter().map(|one| one.server).collect(),
            (Self::Rules { .. }, Body::RuleStatus(all)) => all.into_iter().map(|one| one.rule).collect(),
            (Self::Scopes { kind }, Body::AdvisorList(all)) => {
                let ours = all.into_iter().filter(|line| line.advisor == kind.word());
                ours.map(|line| line.scope).collect()
            }
            (Self::Files, Body::FileReport(report)) => report.files.into_iter().map(|file| file.name).collect(),
            _ => Vec::new(),
        }
    }
}

fn operand(object: &str, parts: &[&str]) -> Vec<String> {
    vec![object.to_owned(), "status".to_owned(), parts.join("@")]
}

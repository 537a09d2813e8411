//! Changes as dscontrol lines.

use std::fmt;

use super::{Change, Deed, Steering, Target, joined, line_of};
use crate::config::object::Fields;
use crate::config::operand::Operand;
use crate::config::schema::{Kind, Usage};
use crate::config::value::Value;

/// The canonical line, words in full.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dscontrol ")?;
        match &self.deed {
            Deed::Add { kind, operand, fields } => write!(f, "{} add {operand}{}", kind.word(), pairs(*kind, fields)),
            Deed::Set { target, fields } => f.write_str(&set(target, fields)),
            Deed::Remove { kind, operand } => write!(f, "{} remove {operand}", kind.word()),
            Deed::UseServers { rules, servers } => write!(f, "rule useserver {rules} {}", joined(servers)),
            Deed::DropServers { rules, servers } => write!(f, "rule dropserver {rules} {}", joined(servers)),
            Deed::Steer { servers, steering } => f.write_str(&steer(servers, *steering)),
            Deed::StartAdvisor(operand) => write!(f, "advisor start {operand}"),
            Deed::StopAdvisor(operand) => write!(f, "advisor stop {operand}"),
            Deed::Pair(deed) => deed.fmt(f),
            Deed::Nothing { words } => f.write_str(&line_of(words)),
        }
    }
}

fn set(target: &Target, fields: &Fields) -> String {
    match target {
        Target::Only(Kind::Manager) => manager(fields),
        Target::Only(Kind::Log) => format!("set{}", pairs(Kind::Log, fields)),
        Target::Only(kind) => format!("{} set{}", kind.word(), pairs(*kind, fields)),
        Target::Objects(kind, operand) => format!("{} set {operand}{}", kind.word(), pairs(*kind, fields)),
        Target::Advisors(operand) => {
            let field = fields.iter().next();
            let shown = field.map(|field| (field.keyword.word, field.keyword.value.show(&field.value)));
            let (word, value) = shown.unwrap_or_default();
            format!("advisor {word} {operand} {value}")
        }
    }
}

/// IBM's verbs where one of them says it.
fn manager(fields: &Fields) -> String {
    let mut all = fields.iter();
    match (all.next(), all.next()) {
        (Some(field), None) => match (field.keyword.word, &field.value) {
            ("running", Value::Flag(true)) => "manager start".to_owned(),
            ("running", _) => "manager stop".to_owned(),
            ("velocitylimit" | "failopen", value) => format!("manager set {} {value}", field.keyword.word),
            (word, value) => format!("manager {word} {value}"),
        },
        _ => format!("manager set{}", pairs(Kind::Manager, fields)),
    }
}

fn steer(servers: &Operand, steering: Steering) -> String {
    match steering {
        Steering::Up => format!("server up {servers}"),
        Steering::Down => format!("server down {servers}"),
        Steering::Quiesce => format!("manager quiesce {servers}"),
        Steering::QuiesceNow => format!("manager quiesce {servers} now"),
        Steering::Unquiesce => format!("manager unquiesce {servers}"),
    }
}

/// ` KEYWORD VALUE` for each field that `add` and `set` take, in the schema's order.
fn pairs(kind: Kind, fields: &Fields) -> String {
    let told = kind.schema().keywords.iter().filter(|keyword| matches!(keyword.usage, Usage::Add | Usage::Set));
    told.filter_map(|keyword| fields.get(keyword.word))
        .map(|field| format!(" {} {}", field.keyword.spoken(), field.keyword.value.show(&field.value)))
        .collect()
}

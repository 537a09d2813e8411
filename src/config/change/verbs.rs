//! One function per object of the command language: its verbs.

use super::keywords::{Context, read_fields};
use super::pair;
use super::parse::Line;
use super::{AdvisorOperand, Deed, Steering, Target, advisor_kind};
use crate::config::Refusal;
use crate::config::fault::quoted;
use crate::config::object::{Field, Fields};
use crate::config::operand::{Operand, is_parted, name_list};
use crate::config::schema::{Kind, later, unabbreviate};
use crate::config::value::Value;

type Outcome = Result<Option<Deed>, Refusal>;

/// Reads what follows the object and its verb.
pub(super) fn dispatch(line: &mut Line<'_>, object: &str, verb: &str) -> Outcome {
    match object {
        "executor" => executor(line, verb),
        "cluster" => objects(line, Kind::Cluster, verb),
        "port" => objects(line, Kind::Port, verb),
        "server" => server(line, verb),
        "group" => objects(line, Kind::Group, verb),
        "route" => objects(line, Kind::Route, verb),
        "rule" => rule(line, verb),
        "manager" => manager(line, verb),
        "advisor" => advisor(line, verb),
        "control" if verb == "set" => single(line, Kind::Control),
        "metrics" if verb == "set" => single(line, Kind::Metrics),
        "alerts" if verb == "set" => single(line, Kind::Alerts),
        "highavailability" => highavailability(line, verb),
        "set" => single(line, Kind::Log),
        _ => Ok(None),
    }
}

fn executor(line: &mut Line<'_>, verb: &str) -> Outcome {
    Ok(match verb {
        "set" => return single(line, Kind::Executor),
        "start" => line.nothing("the executor runs from the start"),
        "configure" | "unconfigure" | "nicconfig" => {
            line.nothing("addresses of clusters are not put on interfaces yet; `ip address add` would be right")
        }
        _ => None,
    })
}

fn single(line: &mut Line<'_>, kind: Kind) -> Outcome {
    let fields = read_fields(line, Context { kind, adding: false })?;
    Ok(Some(Deed::Set { target: Target::Only(kind), fields }))
}

/// How many parts the operand of a kind has.
fn depth(kind: Kind) -> usize {
    match kind {
        Kind::Cluster => 1,
        Kind::Port => 2,
        _ => 3,
    }
}

fn form(kind: Kind) -> &'static str {
    match kind {
        Kind::Cluster => "cluster add|set|remove CLUSTER [KEYWORD VALUE]...",
        Kind::Port => "port add|set|remove CLUSTER:PORT [KEYWORD VALUE]...",
        Kind::Group => "group add|set|remove CLUSTER:PORT:GROUP [KEYWORD VALUE]...",
        Kind::Route => "route add|set|remove CLUSTER:PORT:ROUTE [KEYWORD VALUE]...",
        Kind::Rule => "rule add|set|remove CLUSTER:PORT:RULE [KEYWORD VALUE]...",
        _ => "server add|set|remove CLUSTER:PORT:SERVER [KEYWORD VALUE]...",
    }
}

fn objects(line: &mut Line<'_>, kind: Kind, verb: &str) -> Outcome {
    if !matches!(verb, "add" | "set" | "remove") {
        return Ok(None);
    }
    let operand = line.operand(depth(kind), form(kind))?;
    if verb == "remove" {
        return Ok(Some(Deed::Remove { kind, operand }));
    }
    let mut fields = read_fields(line, Context { kind, adding: verb == "add" })?;
    if verb == "set" {
        return Ok(Some(Deed::Set { target: Target::Objects(kind, operand), fields }));
    }
    if kind == Kind::Port {
        default_method(&mut fields);
    }
    Ok(Some(Deed::Add { kind, operand, fields }))
}

/// IBM's ports forward by MAC unless told otherwise.
fn default_method(fields: &mut Fields) {
    if let (None, Some(keyword)) = (fields.get("method"), Kind::Port.keyword("method")) {
        fields.set(Field { keyword, value: Value::Word("mac"), place: None });
    }
}

fn server(line: &mut Line<'_>, verb: &str) -> Outcome {
    let steering = match verb {
        "down" => Steering::Down,
        "up" => Steering::Up,
        _ => return objects(line, Kind::Server, verb),
    };
    let servers = line.operand(3, "server down|up CLUSTER:PORT:SERVER")?;
    Ok(Some(Deed::Steer { servers, steering }))
}

fn rule(line: &mut Line<'_>, verb: &str) -> Outcome {
    let use_them = match verb {
        "useserver" => true,
        "dropserver" => false,
        _ => return objects(line, Kind::Rule, verb),
    };
    let form = "rule useserver|dropserver CLUSTER:PORT:RULE SERVER[+SERVER]...";
    let rules = line.operand(3, form)?;
    let servers = name_list(line.need(form)?)?;
    Ok(Some(if use_them { Deed::UseServers { rules, servers } } else { Deed::DropServers { rules, servers } }))
}

fn manager(line: &mut Line<'_>, verb: &str) -> Outcome {
    match verb {
        "start" => manager_start(line),
        "stop" => Ok(running(line, false)),
        "set" => single(line, Kind::Manager),
        "interval" | "refresh" | "sensitivity" | "smoothing" => {
            let fields = one_field(line, Kind::Manager, verb)?;
            Ok(Some(Deed::Set { target: Target::Only(Kind::Manager), fields }))
        }
        "loglevel" | "logsize" => Ok(without_effect(line, Kind::Manager, verb)),
        "quiesce" => quiesce(line),
        "unquiesce" => {
            let servers = steered(line, "manager unquiesce SERVER | CLUSTER:PORT:SERVER")?;
            Ok(Some(Deed::Steer { servers, steering: Steering::Unquiesce }))
        }
        "reach" => manager_reach(line),
        "metric" => {
            Err(Refusal::refused("`manager metric` belongs to a later version: metrics of servers are not there yet"))
        }
        _ => Ok(None),
    }
}

/// IBM's manager pings the reach targets; here the pair does.
fn manager_reach(line: &mut Line<'_>) -> Outcome {
    let form = "manager reach set interval SECONDS";
    unabbreviate(line.need(form)?, &["set"]).map_err(|fault| Refusal::misuse(fault.to_string()))?;
    let words = ["interval", "loglevel", "logsize", "suspend"];
    match unabbreviate(line.need(form)?, &words).map_err(|fault| Refusal::misuse(fault.to_string()))? {
        "interval" => {
            let fields = one_field(line, Kind::HighAvailability, "reachinterval")?;
            Ok(Some(Deed::Set { target: Target::Only(Kind::HighAvailability), fields }))
        }
        "suspend" => Err(Refusal::refused("reach targets are always pinged; `highavailability reach delete` ends it")),
        word => Ok(without_effect(line, Kind::Manager, word)),
    }
}

fn highavailability(line: &mut Line<'_>, verb: &str) -> Outcome {
    match verb {
        "set" => single(line, Kind::HighAvailability),
        "backup" | "heartbeat" | "reach" => pair::read(line, verb).map(Some),
        _ => Ok(None),
    }
}

/// IBM's operands are a log file and the port of metric servers.
fn manager_start(line: &mut Line<'_>) -> Outcome {
    if line.next().is_some() {
        line.next();
        line.note("the log file and the metric port of `manager start` have no effect".to_owned());
    }
    Ok(running(line, true))
}

fn running(line: &Line<'_>, running: bool) -> Option<Deed> {
    let keyword = Kind::Manager.keyword("running")?;
    let mut fields = Fields::default();
    let place = line.place(line.position().saturating_sub(1));
    fields.put(Field { keyword, value: Value::Flag(running), place });
    Some(Deed::Set { target: Target::Only(Kind::Manager), fields })
}

fn quiesce(line: &mut Line<'_>) -> Outcome {
    let servers = steered(line, "manager quiesce SERVER | CLUSTER:PORT:SERVER [now]")?;
    let steering = match line.next() {
        None => Steering::Quiesce,
        Some(word) if word.eq_ignore_ascii_case("now") => Steering::QuiesceNow,
        Some(word) if word.eq_ignore_ascii_case("daily") => {
            let message = "`quiesce … daily` is not there; a rule of type time would be right";
            return Err(Refusal::refused(message));
        }
        Some(word) => return Err(Refusal::misuse(format!("only `now` may follow, not {}", quoted(word)))),
    };
    Ok(Some(Deed::Steer { servers, steering }))
}

/// A bare name means that server on every port of every cluster.
fn steered(line: &mut Line<'_>, form: &str) -> Result<Operand, Refusal> {
    let word = line.operand_word(form)?;
    if is_parted(word) { Operand::parse(word, 3) } else { Ok(Operand::servers_everywhere(name_list(word)?)) }
}

fn advisor(line: &mut Line<'_>, verb: &str) -> Outcome {
    if matches!(verb, "list" | "status" | "report" | "version") {
        return Ok(None);
    }
    let form = "advisor VERB NAME PORT | CLUSTER:PORT [VALUE]";
    let kind = advisor_kind(line.need(form)?)?;
    let operand = AdvisorOperand::new(kind, line.operand_word(form)?)?;
    match verb {
        "start" => {
            if line.next().is_some() {
                line.note("the log file of `advisor start` has no effect".to_owned());
            }
            Ok(Some(Deed::StartAdvisor(operand)))
        }
        "stop" => Ok(Some(Deed::StopAdvisor(operand))),
        "loglevel" | "logsize" => Ok(without_effect(line, Kind::Advisor, verb)),
        _ => {
            let fields = one_field(line, Kind::Advisor, verb)?;
            Ok(Some(Deed::Set { target: Target::Advisors(operand), fields }))
        }
    }
}

/// The value of the keyword that is the verb.
fn one_field(line: &mut Line<'_>, kind: Kind, verb: &str) -> Result<Fields, Refusal> {
    let keyword = kind.keyword(verb).ok_or_else(|| Refusal::misuse(format!("unknown word `{verb}`")))?;
    let place = line.place(line.position());
    let word = line.need(&format!("`{verb}` is {}", keyword.value.description()))?;
    let value = keyword.value.read_word(word).map_err(|refusal| refusal.after(&format!("`{verb}` is ")))?;
    let mut fields = Fields::default();
    fields.put(Field { keyword, value, place });
    Ok(fields)
}

fn without_effect(line: &mut Line<'_>, kind: Kind, verb: &str) -> Option<Deed> {
    let sentence = later(kind, verb).map_or("", |later| later.sentence);
    line.nothing(&format!("`{verb}` has no effect: {sentence}"))
}

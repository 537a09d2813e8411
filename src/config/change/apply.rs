//! Carrying a change out: first everything is looked up, then everything is done, so a refusal leaves no trace.

use indexmap::IndexSet;

use super::{Change, Deed, Steering, Target};
use crate::config::edit;
use crate::config::fault::{Place, nearest, quoted};
use crate::config::object::{Field, Fields, Key, Label, Object, Path};
use crate::config::operand::Operand;
use crate::config::schema::Kind;
use crate::config::select::{select, vacant};
use crate::config::value::Value;
use crate::config::{Document, Refusal, Touched};
use crate::model::Name;

impl Document {
    /// One operator's change; all or nothing: when it is refused, the document is as it was. Whether the document still
    /// makes sense is for [`Document::resolve`] to say, so a caller changes a clone.
    pub fn apply(&mut self, change: &Change) -> Result<Touched, Refusal> {
        let place = change.place();
        let paths = match &change.deed {
            Deed::Add { kind, operand, fields } => self.add(vacant(&self.root, operand, *kind)?, fields, place),
            Deed::Set { target, fields } => self.set(target.paths(&self.root)?, fields),
            Deed::Remove { kind, operand } => self.remove(select(&self.root, operand, *kind)?),
            Deed::UseServers { rules, servers } => self.change_rules(rules, servers, true, place)?,
            Deed::DropServers { rules, servers } => self.change_rules(rules, servers, false, place)?,
            Deed::Steer { servers, steering } => self.steer(servers, *steering, place)?,
            Deed::StartAdvisor(operand) => self.add(operand.vacant(&self.root)?, &Fields::default(), place),
            Deed::StopAdvisor(operand) => self.remove(operand.select(&self.root)?),
            Deed::Pair(deed) => deed.apply(self.root_mut(), place)?,
            Deed::Nothing { .. } => Vec::new(),
        };
        Ok(Touched(paths.iter().map(ToString::to_string).collect()))
    }

    fn add(&mut self, paths: Vec<Path>, fields: &Fields, place: Option<&Place>) -> Vec<Path> {
        for path in &paths {
            edit::insert(self.root_mut(), path, Object::new(place.cloned(), fields.kept()));
        }
        paths
    }

    fn set(&mut self, paths: Vec<Path>, fields: &Fields) -> Vec<Path> {
        for path in &paths {
            for field in fields.iter() {
                edit::set_field(self.root_mut(), path, field.clone());
            }
        }
        paths
    }

    fn remove(&mut self, paths: Vec<Path>) -> Vec<Path> {
        for path in &paths {
            edit::remove(self.root_mut(), path);
        }
        paths
    }

    fn change_rules(
        &mut self,
        rules: &Operand,
        servers: &[Name],
        use_them: bool,
        place: Option<&Place>,
    ) -> Result<Vec<Path>, Refusal> {
        let paths = select(&self.root, rules, Kind::Rule)?;
        let lists: Result<Vec<Value>, Refusal> = paths
            .iter()
            .map(|path| {
                if use_them {
                    with_servers(&self.root, path, servers)
                } else {
                    without_servers(&self.root, path, servers)
                }
            })
            .collect();
        let Some(keyword) = Kind::Rule.keyword("servers") else { return Ok(Vec::new()) };
        for (path, value) in paths.iter().zip(lists?) {
            edit::set_field(self.root_mut(), path, Field { keyword, value, place: place.cloned() });
        }
        Ok(paths)
    }

    fn steer(&mut self, servers: &Operand, steering: Steering, place: Option<&Place>) -> Result<Vec<Path>, Refusal> {
        let mut paths = select(&self.root, servers, Kind::Server)?;
        if matches!(steering, Steering::Quiesce | Steering::QuiesceNow | Steering::Unquiesce) {
            paths = not_down(&self.root, paths)?;
        }
        let Some(keyword) = Kind::Server.keyword("state") else { return Ok(Vec::new()) };
        for path in &paths {
            let value = Value::Word(steering.state());
            edit::set_field(self.root_mut(), path, Field { keyword, value, place: place.cloned() });
        }
        Ok(paths)
    }
}

impl Target {
    fn paths(&self, root: &Object) -> Result<Vec<Path>, Refusal> {
        match self {
            Self::Only(kind) => Ok(vec![Path::of([Key::only(*kind)])]),
            Self::Objects(kind, operand) => select(root, operand, *kind),
            Self::Advisors(operand) => operand.select(root),
        }
    }
}

/// A server that is down is more than quiesced: quiescing must not bring it halfway back. Where others are meant too, it
/// is passed over.
fn not_down(root: &Object, paths: Vec<Path>) -> Result<Vec<Path>, Refusal> {
    let is_down = |path: &Path| {
        root.at(path).and_then(|server| server.fields.value("state")) == Some(&Value::Word(Steering::Down.state()))
    };
    let (down, others): (Vec<Path>, Vec<Path>) = paths.into_iter().partition(|path| is_down(path));
    match (down.first(), others.is_empty()) {
        (Some(path), true) => {
            Err(Refusal::refused(format!("server {path} is down; `server up {path}` would be right")))
        }
        _ => Ok(others),
    }
}

fn with_servers(root: &Object, rule: &Path, servers: &[Name]) -> Result<Value, Refusal> {
    let port = rule.parent();
    let there =
        |name: &Name| root.at(&port).is_some_and(|port| port.child(&Key::named(Kind::Server, name.clone())).is_some());
    if let Some(missing) = servers.iter().find(|name| !there(name)) {
        let known: Vec<&str> = root.at(&port).into_iter().flat_map(server_names).collect();
        let near = nearest(missing.as_str(), known).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return Err(Refusal::refused(format!("port {port} has no server {}{near}", quoted(missing.as_str()))));
    }
    let mut names: IndexSet<&str> = rule_list(root, rule).into_iter().collect();
    names.extend(servers.iter().map(Name::as_str));
    Ok(Value::list(names))
}

fn server_names(port: &Object) -> impl Iterator<Item = &str> {
    port.children_of(Kind::Server).filter_map(|(label, _)| match label {
        Label::Name(name) => Some(name.as_str()),
        _ => None,
    })
}

fn without_servers(root: &Object, rule: &Path, servers: &[Name]) -> Result<Value, Refusal> {
    let names = rule_list(root, rule);
    if let Some(missing) = servers.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(Refusal::refused(format!("rule {rule} does not use server {}", quoted(missing.as_str()))));
    }
    Ok(Value::list(names.into_iter().filter(|name| !servers.iter().any(|dropped| dropped.as_str() == *name))))
}

fn rule_list<'r>(root: &'r Object, rule: &Path) -> Vec<&'r str> {
    root.at(rule).into_iter().flat_map(edit::rule_servers).collect()
}

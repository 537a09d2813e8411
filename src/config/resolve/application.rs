//! Groups and routes: that what they name is there, and that each server has one group.

use std::collections::{BTreeSet, HashMap, HashSet};

use http::uri::PathAndQuery;

use super::port::{Surroundings, edits};
use super::{Check, View, called, policy};
use crate::config::fault::{proposal, quoted};
use crate::config::object::{Key, Path};
use crate::config::schema::Kind;
use crate::model::{
    Destination, Group, HostPattern, MAX_GROUPS_PER_PORT, MAX_ROUTE_PATTERNS, MAX_ROUTES_PER_PORT, Name, Redirect,
    Route, Server, UriPattern,
};

impl Check {
    pub(super) fn groups(&mut self, port: &Surroundings<'_>, servers: &[Server], view: View<'_>) -> Vec<Group> {
        self.at_most(port, view, Kind::Group, MAX_GROUPS_PER_PORT);
        let known: BTreeSet<&str> = view.named(Kind::Server).map(|(name, _)| name.as_str()).collect();
        let mut owners: HashMap<&str, &Name> = HashMap::new();
        let mut groups = Vec::new();
        for (name, group) in view.named(Kind::Group) {
            let path = port.path.join(Key::named(Kind::Group, name.clone()));
            for server in group.list("servers") {
                let message = if !known.contains(server) {
                    let near = proposal(server, known.iter().copied());
                    format!("{}: this port has no server {}{near}", called(&path), quoted(server))
                } else if let Some(owner) = owners.insert(server, name) {
                    format!("{}: server {} belongs to group `{owner}` already", called(&path), quoted(server))
                } else {
                    continue;
                };
                self.fault(group.place_at("servers"), message);
            }
            let mut members: Vec<&Server> = Vec::new();
            let names: HashSet<&str> = group.list("servers").into_iter().collect();
            members.extend(servers.iter().filter(|server| names.contains(server.name.as_str())));
            if members.is_empty() && names.is_empty() {
                self.warning(group.place(), format!("{} has no servers, so its requests are refused", called(&path)));
            }
            self.clone_ids_differ(&path, &members, group);
            let servers = members.into_iter().map(|server| server.name.clone()).collect();
            groups.push(Group { name: name.clone(), servers, policy: policy::of_group(view, group) });
        }
        let own: Vec<&Server> = servers.iter().filter(|server| !owners.contains_key(server.name.as_str())).collect();
        self.clone_ids_differ(port.path, &own, view);
        groups
    }

    /// Of two servers with one clone id only one would ever see its sessions again.
    fn clone_ids_differ(&mut self, path: &Path, members: &[&Server], view: View<'_>) {
        let mut owners: HashMap<&str, &Name> = HashMap::new();
        for server in members {
            let Some(id) = server.proxied.clone_id.as_deref() else { continue };
            if let Some(owner) = owners.insert(id, &server.name) {
                let message = format!(
                    "{}: servers `{owner}` and `{}` have the same cloneid {}; each needs its own",
                    called(path),
                    server.name,
                    quoted(id)
                );
                self.fault(view.place(), message);
            }
        }
    }

    pub(super) fn routes(&mut self, port: &Surroundings<'_>, groups: &[Group], view: View<'_>) -> Vec<Route> {
        self.at_most(port, view, Kind::Route, MAX_ROUTES_PER_PORT);
        let patterns: usize = view.named(Kind::Route).map(|(_, route)| route.list("uris").len()).sum();
        if patterns > MAX_ROUTE_PATTERNS {
            let message =
                format!("{} has {patterns} paths in routes; {MAX_ROUTE_PATTERNS} is the most", called(port.path));
            self.fault(view.place(), message);
        }
        view.named(Kind::Route).filter_map(|(name, route)| self.route(port, name, groups, route)).collect()
    }

    fn route(&mut self, port: &Surroundings<'_>, name: &Name, groups: &[Group], view: View<'_>) -> Option<Route> {
        let path = port.path.join(Key::named(Kind::Route, name.clone()));
        let text = |word| view.said(word).map(|_| view.text(word).to_owned());
        let hosts: Vec<HostPattern> = view.list("hosts").into_iter().filter_map(|host| host.parse().ok()).collect();
        let uris: Vec<UriPattern> = view.list("uris").into_iter().filter_map(|uri| uri.parse().ok()).collect();
        let rewrite = text("rewrite").filter(|rewrite| !rewrite.is_empty());
        if let Some(rewrite) = &rewrite
            && !(rewrite.starts_with('/') && !rewrite.contains(['?', '#']) && is_target(rewrite))
        {
            let message = format!("{}: `rewrite` is a path such as /new, not {}", called(&path), quoted(rewrite));
            self.fault(view.place_at("rewrite"), message);
        }
        Some(Route {
            name: name.clone(),
            to: self.destination(&path, groups, view)?,
            hosts,
            uris,
            cookie: text("cookiename").filter(|name| !name.is_empty()),
            url_identifier: text("urlidentifier"),
            rewrite,
            request_edits: edits(view, "requestheaders"),
            response_edits: edits(view, "responseheaders"),
        })
    }

    fn destination(&mut self, path: &Path, groups: &[Group], view: View<'_>) -> Option<Destination> {
        let redirect = view.text("redirect");
        let group = view.said("group").map(|_| view.text("group"));
        if !redirect.is_empty() {
            for word in ["group", "rewrite"] {
                if view.said(word).is_some_and(|_| !view.text(word).is_empty()) {
                    let message = format!("{}: `{word}` has no meaning beside `redirect`", called(path));
                    self.fault(view.place_at(word), message);
                }
            }
            return self.redirect(path, redirect, view);
        }
        let Some(name) = group else { return Some(Destination::Group(None)) };
        match groups.iter().find(|group| group.name.as_str() == name) {
            Some(group) => Some(Destination::Group(Some(group.name.clone()))),
            None => {
                let near = proposal(name, groups.iter().map(|group| group.name.as_str()));
                let message = format!("{}: this port has no group {}{near}", called(path), quoted(name));
                self.fault(view.place_at("group"), message);
                None
            }
        }
    }

    fn redirect(&mut self, path: &Path, location: &str, view: View<'_>) -> Option<Destination> {
        let status = view.count("redirectstatus");
        if ![301, 302, 303, 307, 308].contains(&status) {
            let message = format!("{}: `redirectstatus` is 301, 302, 303, 307 or 308, not {status}", called(path));
            self.fault(view.place_at("redirectstatus"), message);
        }
        let is_url = location.starts_with('/') || location.starts_with("http://") || location.starts_with("https://");
        let known = ["{host}", "{path}", "{rest}", "{query}"]
            .iter()
            .fold(location.to_owned(), |rest, word| rest.replace(word, ""));
        if !is_url || known.contains(['{', '}']) || !location.bytes().all(|b| b.is_ascii_graphic()) {
            let message = format!(
                "{}: `redirect` is a URL such as https://{{host}}{{path}}{{query}}, not {}",
                called(path),
                quoted(location)
            );
            self.fault(view.place_at("redirect"), message);
            return None;
        }
        if is_host_open(location) {
            let message = format!(
                "{}: `redirect` lets clients name the host in {}: {{path}} and {{rest}} bring the slash that they begin with, so \
                 https://new.example{{rest}} or /new{{rest}} would be right",
                called(path),
                quoted(location)
            );
            self.fault(view.place_at("redirect"), message);
            return None;
        }
        Some(Destination::Redirect(Redirect { location: location.to_owned(), status: status as u16 }))
    }

    fn at_most(&mut self, port: &Surroundings<'_>, view: View<'_>, kind: Kind, most: usize) {
        let count = view.children(kind).count();
        if count > most {
            let message = format!("{} has {count} {}s; {most} is the most", called(port.path), kind.word());
            self.fault(view.place(), message);
        }
    }
}

/// Whether a client's path would stand where the host of an address does: `/{rest}` becomes `//evil.example` for
/// `/old/evil.example` (RFC 3986 4.2), and so does `https://{path}` to browsers. What may be empty does not keep them apart.
fn is_host_open(location: &str) -> bool {
    let first = ["{path}", "{rest}"].iter().filter_map(|word| location.find(word)).min();
    let before = first.and_then(|at| location.get(..at)).unwrap_or_default().replace("{query}", "");
    before.ends_with("//") || before.replace("{host}", "") == "/"
}

/// Whether a server can be asked for this path.
fn is_target(path: &str) -> bool {
    path.bytes().all(|b| b.is_ascii_graphic()) && PathAndQuery::try_from(path).is_ok()
}

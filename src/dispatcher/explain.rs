//! `dscontrol explain`: which server a client would get, and why, without sending anything.

mod steps;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use std::net::IpAddr;

use crate::config::Refusal;
use crate::control::Exchange;
use crate::control::reply::Explanation;
use crate::executor::{
    self, Ask, Decision, GroupIndex, Moment, PortTable, RequestAsk, RequestView, RouteEntry, Routed, Session, Tried,
    Turn, Why, decide_aloud,
};
use crate::message::{BadPath, Canonical, ClientView, ConnectionFacts, ErrorReason, Proto, client_address};
use crate::model::{ForwardingMethod, Port};

use super::report::{Look, PortView};
use steps::Notebook;

impl Look<'_> {
    pub(super) fn explain(&self, exchange: &Exchange) -> Result<Explanation, Refusal> {
        let port = self.port_around(&exchange.port).ok_or_else(|| self.no_such_port(exchange))?;
        let (client, first) = client(exchange, port)?;
        let mut notebook = Notebook::new(port.table, client, self.outside.hour);
        notebook.note(first);
        let head = request_head(exchange, port)?;
        let default_port = if port.state.settings.tls.is_some() { 443 } else { 80 };
        let canonical = match head.as_ref().map(|head| Canonical::of(&head.uri, default_port)) {
            Some(Ok(canonical)) => canonical,
            Some(Err(bad)) => return Ok(answered_for_path(notebook, bad)),
            None => Canonical::new(None, default_port),
        };
        let view = head.as_ref().map(|head| RequestView {
            method: &head.method,
            uri: &head.uri,
            version: head.version,
            fields: &head.headers,
            canonical: &canonical,
        });
        let request = match view.as_ref().map(|view| (view, port.table.route(view))) {
            Some((view, Routed::Group(group, route))) => {
                notebook.note_some(routed(port.table, group, route));
                Some(RequestAsk { view: *view, group, route })
            }
            Some((_, other)) => return Ok(answered_by_route(notebook, &other)),
            None => None,
        };
        let ask =
            &mut Ask { client, request, session: &mut Session::default(), tried: &Tried::default(), turn: Turn::Peek };
        let moment = Moment { now: self.now, hour: self.outside.hour };
        let decision = decide_aloud(port.table, ask, moment, &mut notebook);
        Ok(Explanation {
            steps: notebook.into_lines(),
            server: chosen(port, decision),
            reason: self.reason(port.table, decision),
        })
    }

    fn no_such_port(&self, exchange: &Exchange) -> Refusal {
        let there: Vec<String> = self.all_ports().map(|port| port.state.key.to_string()).collect();
        let wanted = exchange.port.to_string();
        Refusal::Refused(format!("there is no port `{wanted}`; {}", super::report::proposal(&wanted, &there)))
    }

    /// The deciding reason, and what becomes of the client where nobody was chosen.
    fn reason(&self, port: &PortTable, decision: Decision) -> String {
        let reason = match decision {
            Decision::Forward { why, .. } => forwarded(port, why),
            Decision::Refuse(refusal) => refused(port, refusal),
        };
        match self.outside.paused {
            true => format!("{reason}; but the executor is stopped, so no new connection is taken at all"),
            false => reason,
        }
    }
}

/// The request that was asked about; a request for `/` where none was given.
fn request_head(exchange: &Exchange, port: PortView<'_>) -> Result<Option<Parts>, Refusal> {
    if port.state.settings.method != ForwardingMethod::Http {
        return Ok(None);
    }
    let (method, target) = exchange.request.as_ref().map_or(("GET", "/"), |request| (&request.method, &request.target));
    let built = Request::builder().method(method).uri(target).body(());
    let Ok(request) = built else {
        let shown = format!("{method} {target}");
        return Err(Refusal::Refused(format!("`{}` is not the beginning of a request", shown.escape_debug())));
    };
    let (mut head, ()) = request.into_parts();
    head.headers = header_map(exchange)?;
    Ok(Some(head))
}

/// The step that names the application.
fn routed(port: &PortTable, group: GroupIndex, route: Option<&RouteEntry>) -> Option<String> {
    if port.routes.is_empty() {
        return None;
    }
    let group = port.group(group).and_then(|group| group.name.as_ref());
    Some(match (route, group) {
        (None, _) => "no route fits, so the servers that belong to no group are candidates".to_owned(),
        (Some(route), Some(group)) => format!("route `{}` leads to group `{group}`", route.settings().name),
        (Some(route), None) => {
            format!("route `{}` leads to the servers that belong to no group", route.settings().name)
        }
    })
}

fn answered_for_path(notebook: Notebook<'_>, bad: BadPath) -> Explanation {
    let reason = format!("the request's path {bad}: the client gets 400 ({})", ErrorReason::BadPath);
    Explanation { steps: notebook.into_lines(), server: None, reason }
}

fn answered_by_route(notebook: Notebook<'_>, routed: &Routed<'_>) -> Explanation {
    let reason = match routed {
        Routed::Redirect(route, redirect) => format!(
            "route `{}` sends the client to {} with status {}",
            route.settings().name,
            redirect.location,
            redirect.status
        ),
        _ => format!(
            "no route fits, and the port has no servers outside of groups: the client gets 404 ({})",
            ErrorReason::NoRoute
        ),
    };
    Explanation { steps: notebook.into_lines(), server: None, reason }
}

/// Whose affinity and rules count, and the step that says so.
fn client(exchange: &Exchange, port: PortView<'_>) -> Result<(IpAddr, String), Refusal> {
    let (peer, settings) = (exchange.client.to_canonical(), &*port.state.settings);
    if settings.method != ForwardingMethod::Http {
        let unread = if exchange.headers.is_empty() && exchange.request.is_none() {
            ""
        } else {
            &format!("; method `{}` reads neither request line nor headers", settings.method.word())
        };
        return Ok((
            peer,
            format!("the client is {peer}, a connection to {}{}{unread}", exchange.port, around(exchange, port)),
        ));
    }
    let headers = header_map(exchange)?;
    let connection = ConnectionFacts::new(peer, port.state.listen, Proto::Http);
    let view = ClientView { connection: &connection, trusted: &settings.trusted, forwarded: settings.forwarded };
    let client = client_address(&view, &headers);
    let text = format!("{}{}", heading(exchange, port), introduction(peer, client, settings, &headers));
    Ok((client, text))
}

/// The object that was meant, where it is another one than was named.
fn around(exchange: &Exchange, port: PortView<'_>) -> String {
    if exchange.port == port.state.key { String::new() } else { format!(", which is in port {}", port.state.key) }
}

fn heading(exchange: &Exchange, port: PortView<'_>) -> String {
    let request = exchange
        .request
        .as_ref()
        .map_or_else(|| "a request".to_owned(), |request| format!("{} {}", request.method, request.target));
    format!("{request} to {}: ", port.state.key)
}

fn introduction(peer: IpAddr, client: IpAddr, settings: &Port, headers: &HeaderMap) -> String {
    let is_trusted = settings.trusted.iter().any(|network| network.contains(peer));
    let says = ["x-forwarded-for", "forwarded"].into_iter().any(|name| headers.contains_key(name));
    match (is_trusted, says) {
        (true, _) if client != peer => format!("the client is {client}, as the trusted proxy {peer} says"),
        (true, true) => format!("the client is {peer}, a trusted proxy whose headers name nobody that counts"),
        (false, true) => {
            format!(
                "the client is {peer}; what its headers say of others is not believed, because it is no trusted proxy"
            )
        }
        _ => format!("the client is {peer}"),
    }
}

fn header_map(exchange: &Exchange) -> Result<HeaderMap, Refusal> {
    let mut map = HeaderMap::new();
    for (name, value) in &exchange.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value.as_bytes()).ok());
        let Some((name, value)) = parsed else {
            return Err(Refusal::Refused(format!(
                "`{}: {}` is not a header",
                name.escape_debug(),
                value.escape_debug()
            )));
        };
        // The number of headers is bounded by the length of a command, which is less than a map can hold.
        if map.try_append(name, value).is_err() {
            return Err(Refusal::Refused("there are more headers than a request may have".to_owned()));
        }
    }
    Ok(map)
}

fn chosen(port: PortView<'_>, decision: Decision) -> Option<String> {
    let Decision::Forward { server, .. } = decision else { return None };
    let (key, entry) = (&port.state.key, port.table.server(server)?);
    Some(format!("{key}{}{}", key.separator(), entry.name))
}

fn forwarded(port: &PortTable, why: Why) -> String {
    match why {
        Why::Affinity => format!(
            "the client used this server within the last {} s, and affinity comes before rules and weights",
            port.settings.stickytime.as_secs_f64()
        ),
        Why::Rule(place) => {
            let name = port.rules.get(place).map(|rule| rule.name.to_string()).unwrap_or_default();
            format!("rule `{name}` is the first true rule with a usable server, and its weighted round robin is there")
        }
        Why::Session => {
            "the session that the request carries names this server, and affinity comes before rules and weights"
                .to_owned()
        }
        Why::AllServers => "no rule decides, and the turn of the port's balance is there".to_owned(),
        Why::Backup => "no primary server is usable, and this is the first usable backup".to_owned(),
        Why::Marked => "nobody is left but servers that failed lately, so one of them is tried all the same".to_owned(),
        Why::FailOpen => "nobody else is left, and `failopen` sets the advisors' verdict aside".to_owned(),
        Why::Spread => "all servers are down, and `all-down spread` tries them all the same".to_owned(),
    }
}

fn refused(port: &PortTable, refusal: executor::Refusal) -> String {
    let (reason, why) = match refusal {
        executor::Refusal::NoServers => (ErrorReason::NoServer, "the port has no servers".to_owned()),
        executor::Refusal::EmptyRule(place) => {
            let name = port.rules.get(place).map(|rule| rule.name.to_string()).unwrap_or_default();
            (ErrorReason::RefusedByRule, format!("rule `{name}` is true and has no servers, so it refuses"))
        }
        executor::Refusal::Busy => (
            ErrorReason::QueueFull,
            "all usable servers have as many requests as their maxconnections allow, so the request waits in line"
                .to_owned(),
        ),
        executor::Refusal::AllDown | executor::Refusal::AllTried => {
            (ErrorReason::NoServer, "no server is usable, and the port refuses then (`all-down refuse`)".to_owned())
        }
    };
    match port.settings.method {
        ForwardingMethod::Http => {
            format!("{why}: the client gets the sorry page with status {} ({reason})", port.settings.sorry.status)
        }
        ForwardingMethod::Tcp => format!("{why}: the connection is closed ({reason})"),
        ForwardingMethod::Mac => format!("{why}: the packet is discarded ({reason})"),
    }
}

//! The executor's choice, asked for a connection or request of this worker.

use std::net::IpAddr;
use std::time::Instant;

use crate::executor::{
    Ask, Decision, GroupIndex, Moment, Refusal, RequestAsk, RequestView, Routed, ServerIndex, Tried, Turn, decide,
};
use crate::message::ErrorReason;
use crate::model::ServerId;

use super::client::Client;
use super::local::PortRef;
use super::tally::Chosen;

/// Who looks for a server.
pub(super) struct Asker<'a> {
    pub client: &'a Client,
    /// Of the client itself, behind the proxies that we trust.
    pub address: IpAddr,
    pub now: Instant,
    /// The request; of method `tcp` a stand-in where there are routes.
    pub request: Option<RequestView<'a>>,
}

/// The server to offer to next. `tried` are those that had their chance, by identity: in the table of now they may have
/// other places than in the one they were chosen from.
pub(super) fn choose(asker: &Asker<'_>, port: &PortRef, tried: &[ServerId], turn: Turn) -> Result<Chosen, Refusal> {
    let mut places = Tried::default();
    if !tried.is_empty() {
        let servers = port.servers.iter().zip(0..).filter(|(server, _)| tried.contains(&server.id));
        servers.for_each(|(_, index)| places.add(ServerIndex(index)));
    }
    let moment = Moment { now: asker.now, hour: asker.client.local.shared.hour() };
    let request = match asker.request.map(|view| (view, port.route(&view))) {
        None => None,
        Some((view, Routed::Group(group, route))) => Some(RequestAsk { view, group, route }),
        // A table that came between two attempts has no servers for this request any more; those of others are not for it.
        Some((_, Routed::Redirect(..) | Routed::Nowhere)) => return Err(Refusal::NoServers),
    };
    let group = request.map_or(GroupIndex::PORT, |request| request.group);
    let decision = asker.client.with_session(|session| {
        decide(port, &mut Ask { client: asker.address, request, session, tried: &places, turn }, moment)
    });
    match decision {
        Decision::Forward { server, trial, .. } => Ok(Chosen { server, group, trial }),
        Decision::Refuse(refusal) => Err(refusal),
    }
}

/// The reason that is given. Where servers were tried, it says what became of the `last` one.
pub(super) fn why(refusal: Refusal, last: Option<ErrorReason>) -> ErrorReason {
    match refusal {
        Refusal::EmptyRule(_) => ErrorReason::RefusedByRule,
        Refusal::Busy => ErrorReason::QueueFull,
        Refusal::NoServers | Refusal::AllDown | Refusal::AllTried => last.unwrap_or(ErrorReason::NoServer),
    }
}

//! Method `tcp`: one client connection, one connection to a server.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

use crate::accesslog::End;
use crate::executor::{Event, Phase, Replay, Situation, Turn};
use crate::message::ErrorReason;

use super::announce::announce;
use super::choice::{Asker, choose, why};
use super::client::Client;
use super::connecting::{NoConnection, connect};
use super::ending::reset;
use super::local::PortRef;
use super::named::{Named, name};
use super::relay::relay;
use super::secure_server::{link_of, secure};
use super::shared::Event as ProxyEvent;
use super::stream::Stream;
use super::tally::{NotBegun, Tally};
use super::upstream::Rest;

/// Carries one tcp client's connection until it ends.
pub(super) async fn serve(client: &Rc<Client>, port: &PortRef, rest: &mut Option<Rest>) {
    let Some(mut front) = rest.take() else { return };
    client.log_connection(port, Instant::now());
    let reached = match name(client, port, &mut front).await {
        Ok(named) => reach(client, port.clone(), named.as_ref()).await,
        Err(reason) => Err(reason),
    };
    match reached {
        Ok((tally, server)) => {
            let back = Rest { stream: server, read: Bytes::new() };
            relay(client, &tally, front, back).await;
        }
        Err(reason) => {
            port.counters.count_reason(client.local.lane, reason.index());
            client.log_broken(Instant::now(), End::Refused, reason);
            // There is no other way to tell this client than to hang up.
            reset(&front.stream);
        }
    }
}

/// No server was given anything before there is a connection.
const NOTHING_SENT: Situation =
    Situation { is_idempotent: true, replay: Replay::Whole, timeouts: 0, marks_on_timeout: false };

/// A connection to one of the port's servers. Nothing was sent to any of them yet, so each failure may move on to the
/// next.
async fn reach(client: &Rc<Client>, mut port: PortRef, named: Option<&Named>) -> Result<(Tally, Stream), ErrorReason> {
    let mut tried = Vec::new();
    let mut last = None;
    loop {
        let begun = Instant::now();
        let request = named.map(Named::view);
        let asker = Asker { client, address: client.peer().ip(), now: begun, request };
        let chosen = choose(&asker, &port, &tried, Turn::Take).map_err(|refusal| why(refusal, last))?;
        let tally = match Tally::begin(&port, chosen, client.local.lane) {
            Ok(tally) => tally,
            Err(NotBegun::Full) => continue,
            Err(NotBegun::NoServer) => return Err(ErrorReason::NoServer),
        };
        client.log_offer(&port, chosen.server);
        let reason = match open(client, &tally, begun).await {
            Ok(stream) => {
                tally.succeeded(begun, Instant::now());
                return Ok((tally, stream));
            }
            Err(NoConnection::Failed(reason)) => {
                let (_, newly) = tally.judge(Event::NotReached, NOTHING_SENT, Instant::now());
                if newly {
                    client.local.count(ProxyEvent::MarkedDown);
                }
                reason
            }
            Err(NoConnection::Cut) => ErrorReason::ServerDown,
            Err(NoConnection::Exhausted) => {
                client.local.pool.clear();
                return Err(ErrorReason::Overloaded);
            }
        };
        tried.extend(tally.server().map(|server| server.id));
        if tried.len() > port.settings.policy.retries as usize {
            return Err(reason);
        }
        port.counters.count_retry(client.local.lane, reason.index());
        last = Some(reason);
        port = client.local.port(client.port).unwrap_or(port);
    }
}

async fn open(client: &Client, tally: &Tally, begun: Instant) -> Result<Stream, NoConnection> {
    let unresolved = NoConnection::Failed(ErrorReason::Unresolved);
    let (server, address) = tally.server().and_then(|server| Some((server, server.address?))).ok_or(unresolved)?;
    let link = link_of(server)?;
    client.serve_by(Some(server.id));
    let patience = server.proxied().connect_timeout.unwrap_or(tally.port.settings.timeouts.connect);
    let mut stream = connect(client, address, begun, patience).await?;
    announce(client, &tally.port, &mut stream).await?;
    let stream = secure(client, link, stream).await?;
    let now = Instant::now();
    tally.record(Phase::Connect, begun, now);
    client.log_connected(now.saturating_duration_since(begun));
    Ok(stream)
}

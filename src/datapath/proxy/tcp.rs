//! Method `tcp`: one client connection, one connection to a server.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::executor::{Phase, Refusal, Turn};
use crate::message::ErrorReason;

use super::choice::{Asker, choose};
use super::client::Client;
use super::front::reset;
use super::local::PortRef;
use super::offer::{NoConnection, connect};
use super::relay::relay;
use super::tally::Tally;
use super::upstream::Rest;

/// Carries one tcp client's connection until it ends.
pub(super) async fn serve(client: Rc<Client>, port: PortRef, stream: TcpStream) {
    match reach(&client, port.clone()).await {
        Ok((tally, server)) => {
            let rest = |stream| Rest { stream, read: Bytes::new() };
            relay(&client, &tally, rest(stream), rest(server)).await;
        }
        Err(reason) => {
            port.counters.count_reason(client.local.lane, reason.index());
            // There is no other way to tell this client than to hang up.
            reset(&stream);
        }
    }
}

/// A connection to one of the port's servers. Nothing was sent to any of them yet, so each failure may move on to the
/// next.
async fn reach(client: &Rc<Client>, mut port: PortRef) -> Result<(Tally, TcpStream), ErrorReason> {
    let lane = client.local.lane;
    let mut failed = Vec::new();
    let mut last = None;
    loop {
        let begun = Instant::now();
        let index = match choose(&Asker { client, address: client.peer.ip(), now: begun }, &port, &failed, Turn::Take) {
            Ok(index) => index,
            Err(Refusal::EmptyRule(_)) => return Err(ErrorReason::RefusedByRule),
            Err(_) => return Err(last.unwrap_or(ErrorReason::NoServer)),
        };
        let tally = Tally::begin(&port, index, lane).ok_or(ErrorReason::NoServer)?;
        let Some((id, address)) = tally.server().map(|server| (server.id, server.address)) else {
            return Err(ErrorReason::NoServer);
        };
        client.serve_by(Some(id));
        let reason = match address {
            None => ErrorReason::Unresolved,
            Some(address) => match connect(client, address, begun, port.settings.timeouts.connect).await {
                Ok(stream) => {
                    tally.record(Phase::Connect, begun, Instant::now());
                    return Ok((tally, stream));
                }
                Err(NoConnection::Failed(reason)) => reason,
                Err(NoConnection::Cut) => ErrorReason::ServerDown,
                Err(NoConnection::Exhausted) => {
                    client.local.pool.clear();
                    return Err(ErrorReason::Overloaded);
                }
            },
        };
        if reason != ErrorReason::ServerDown {
            tally.failed();
        }
        if failed.len() >= port.settings.retries as usize {
            return Err(reason);
        }
        failed.push(id);
        port.counters.count_retry(lane);
        last = Some(reason);
        port = client.local.port(client.port).unwrap_or(port);
    }
}

//! Probes on real sockets.
//!
//! A [`Prober`] does what a [`ProbeOrder`] says and reports what came of it, nothing else: when to probe and what an
//! outcome means is the advisor room's business. A probe is one future; dropping it at any point closes its socket. It
//! never takes longer than the order's `total`.

mod exchange;
mod failure;
mod ping;
mod secure;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use self::failure::Failure;
use self::secure::Secure;
use crate::advisor::{ProbeId, ProbeOrder, ProbeOutcome};
use crate::message::proxy_protocol::ProxyHeader;
use crate::model::{AdvisorKind, DownReason};

/// Carries out probes. One for the whole process; any number of probes may run at a time.
#[derive(Debug)]
pub struct Prober {
    secure: Secure,
}

impl Prober {
    pub fn new() -> Self {
        Self { secure: Secure::new() }
    }

    /// Does one probe.
    pub async fn carry_out(&self, order: &ProbeOrder) -> ProbeOutcome {
        let begun = Instant::now();
        let end = later(begun, order.total);
        let result = match order.kind {
            AdvisorKind::Http => self.http(order, end).await,
            AdvisorKind::Https => self.https(order, end).await,
            AdvisorKind::Connect => connect(order, end).await.map(drop),
            AdvisorKind::Ping => answered(order, end, ping::echo(order.target.ip(), order.id)).await,
        };
        let latency = begun.elapsed();
        match result {
            Ok(()) => ProbeOutcome::Good { latency },
            Err(Failure::Bad(reason)) => ProbeOutcome::Bad { reason, latency },
            Err(Failure::NotMade(why)) => ProbeOutcome::NotMade { why },
        }
    }

    async fn http(&self, order: &ProbeOrder, end: Instant) -> Result<(), Failure> {
        let mut stream = connect(order, end).await?;
        answered(order, end, exchange::exchange(&mut stream, order)).await
    }

    async fn https(&self, order: &ProbeOrder, end: Instant) -> Result<(), Failure> {
        let stream = connect(order, end).await?;
        let talk = async {
            let mut stream = self.secure.handshake(stream, order).await?;
            exchange::exchange(&mut stream, order).await
        };
        answered(order, end, talk).await
    }
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a host answers an echo request in time. `number` is new with every ping.
pub async fn pings(target: IpAddr, number: ProbeId, patience: Duration) -> bool {
    timeout_at(later(Instant::now(), patience), ping::echo(target, number)).await.is_ok_and(|answer| answer.is_ok())
}

/// Connects within the order's connect timeout, and begins as the server expects it.
async fn connect(order: &ProbeOrder, end: Instant) -> Result<TcpStream, Failure> {
    let limit = later(Instant::now(), order.connecttimeout).min(end);
    let connected = timeout_at(limit, TcpStream::connect(order.target)).await;
    let mut stream = connected.map_err(|_| Failure::Bad(DownReason::ConnectTimeout))?.map_err(Failure::to_connect)?;
    if is_itself(&stream, order.target) {
        return Err(Failure::Bad(DownReason::ConnectRefused));
    }
    if let Some(version) = order.sendproxy {
        // A server that wants such a header takes whatever comes instead for garbage. This one says that nobody is behind it.
        let header = ProxyHeader::Own.to_bytes(version);
        let sent = timeout_at(limit, stream.write_all(&header)).await;
        sent.map_err(|_| Failure::Bad(DownReason::ConnectTimeout))?
            .map_err(|_| Failure::Bad(DownReason::ClosedEarly))?;
    }
    Ok(stream)
}

/// On this machine, where nobody listens on a port from the range that the kernel takes source ports from, it may by
/// chance take that very port, and TCP connects the socket to itself. Nobody is there all the same.
fn is_itself(stream: &TcpStream, target: SocketAddr) -> bool {
    stream.local_addr().is_ok_and(|local| local == target)
}

/// The rest of a probe, within the order's receive timeout, however busily bytes trickle.
async fn answered(
    order: &ProbeOrder,
    end: Instant,
    talk: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let limit = later(Instant::now(), order.receivetimeout).min(end);
    timeout_at(limit, talk).await.unwrap_or(Err(Failure::Bad(DownReason::ReceiveTimeout)))
}

/// A year is as good as for ever, and the clock can say it.
fn later(now: Instant, wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    now + wait.min(YEAR)
}

#[cfg(test)]
mod tests;

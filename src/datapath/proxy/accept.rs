//! New client connections.

use std::cell::Cell;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::message::ErrorReason;
use crate::model::{ForwardingMethod, PortId};

use super::answer;
use super::arrival::meet;
use super::client::Client;
use super::ending::close;
use super::intake::admit_or_give;
use super::journal::log_rejected;
use super::local::{BREATH, Local, PortRef};
use super::per_client;
use super::pressure::Pressure;
use super::secure::secure;
use super::shared::Event;
use super::stream::Stream;
use super::upstream::Rest;
use super::{front, http2, tcp};

/// Takes connections of one port until it is told to stop, and then those that wait already.
pub(super) async fn accept(local: Rc<Local>, port: PortId, listener: TcpListener, stop: Rc<Notify>) {
    let episode = Cell::new(false);
    let mut breath = BREATH;
    loop {
        if local.shared.pressure() >= Pressure::Closed {
            tokio::select! {
                () = relief(&local) => {}
                () = stop.notified() => break,
            }
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.notified() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                episode.set(false);
                admit_or_give(&local, port, stream, peer);
                breath -= 1;
                if breath == 0 {
                    breath = BREATH;
                    yield_now().await;
                }
            }
            Err(error) => pause(&local, &error, &episode).await,
        }
    }
    if let Err(error) = empty(&local, port, listener) {
        tracing::warn!(%error, "connections that waited to be accepted are lost");
    }
}

/// Takes what waits in the queue. The event loop may not have heard of it yet, so the kernel itself is asked.
fn empty(local: &Rc<Local>, port: PortId, listener: TcpListener) -> io::Result<()> {
    let listener = listener.into_std()?;
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if is_passing(&error) => continue,
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        admit_or_give(local, port, TcpStream::from_std(stream)?, peer);
    }
}

/// It concerns one connection, and the next may be well.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

/// The connection that could not be taken stays in the queue and keeps the listener readable, so to try again at once
/// would be to spin. A short pause lets connections end that hold what is missing.
async fn pause(local: &Local, error: &io::Error, episode: &Cell<bool>) {
    if is_passing(error) {
        return;
    }
    local.count(Event::AcceptPause);
    if !episode.replace(true) {
        tracing::warn!(%error, "accepting connections pauses");
    }
    if is_exhaustion(error) {
        local.pool.clear();
    }
    tokio::time::sleep(PAUSE).await;
}

/// Waits until there is memory for more clients. They wait in the kernel's queue, which holds next to nothing for each and
/// is bounded itself.
async fn relief(local: &Local) {
    local.count(Event::MemoryPause);
    while local.shared.pressure() >= Pressure::Closed {
        tokio::time::sleep(PAUSE).await;
    }
}

const PAUSE: Duration = Duration::from_millis(50);

/// File descriptors or memory are used up.
pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
}

/// Serves a connection on this worker, unless there are too many.
pub(super) fn admit(local: &Rc<Local>, id: PortId, stream: TcpStream, peer: SocketAddr) {
    // Removed a moment ago: nobody is there to say what to do with it.
    let Some(port) = local.port(id) else { return };
    let most = u64::from(port.settings.maxconnections);
    if most > 0 && port.counters.connections() >= most {
        return reject(local, &port, (stream, peer), ErrorReason::MaxConnections);
    }
    let seat = match per_client::sit(&local.shared, &port, peer.ip()) {
        Ok(seat) => seat,
        Err(per_client::TooMany) => return reject(local, &port, (stream, peer), ErrorReason::MaxPerClient),
    };
    let Some(admitted) = local.shared.admit(local.lane) else {
        return reject(local, &port, (stream, peer), ErrorReason::Overloaded);
    };
    let open = port.counters.open_connection(local.lane);
    let (client, registered) = Client::register(local, id, peer);
    client.sit(seat);
    // The guards go last: they must see the connection's end, a panic's too.
    let guards = (registered, open, admitted);
    tokio::task::spawn_local(carry(client, port, stream, guards));
}

/// Serves a client until its connection ends.
///
/// What is awaited here, or moved, is room in the task of every client, so all but what an idle one needs is boxed, and
/// what it needs is built before the task is and used in its place.
fn carry<Guards>(client: Rc<Client>, port: PortRef, stream: TcpStream, guards: Guards) -> impl Future<Output = ()> {
    let mut rest = Some(Rest { stream: Stream::Plain(stream), read: Bytes::new() });
    async move {
        let _guards = &guards;
        if !meet(&client, &port, &mut rest).await
            || !seat_introduced(&client, &port, &mut rest)
            || !secure(&client, &port, &mut rest).await
        {
            return;
        }
        match port.settings.method {
            ForwardingMethod::Http => match http2::begins(&client, &port, &rest).await {
                // Boxed because whoever it serves is not idle.
                Some(true) => Box::pin(http2::serve(&client, &port, &mut rest)).await,
                Some(false) => front::serve(&client, &port, &mut rest).await,
                None => {}
            },
            ForwardingMethod::Tcp => Box::pin(tcp::serve(&client, &port, &mut rest)).await,
            // It was a proxy port until a moment ago; what came in meanwhile is closed.
            ForwardingMethod::Mac => {}
        }
        if let Some(Rest { stream, .. }) = rest.take() {
            close(stream);
        }
    }
}

/// Whom a trusted proxy names counts like everybody else; the proxy itself does not. `false`: the connection is over.
fn seat_introduced(client: &Client, port: &PortRef, rest: &mut Option<Rest>) -> bool {
    if port.settings.limits.per_client == 0 || !client.is_introduced() {
        return true;
    }
    if let Ok(seat) = per_client::sit(&client.local.shared, port, client.peer().ip()) {
        client.sit(seat);
        return true;
    }
    let (local, reason) = (&client.local, ErrorReason::MaxPerClient);
    if let Some(Rest { stream: Stream::Plain(stream), .. }) = rest.take() {
        reject(local, port, (stream, client.peer()), reason);
    }
    false
}

/// One connection too many. An http client is told so, in one write and without waiting for its request: whatever is
/// kept for it is missing for others.
fn reject(local: &Local, port: &PortRef, (stream, peer): (TcpStream, SocketAddr), reason: ErrorReason) {
    local.count(Event::Rejected);
    port.counters.count_reason(local.lane, reason.index());
    // Inside TLS it could be told only after a handshake, which is what there may be too many of.
    if port.settings.method != ForwardingMethod::Http || port.settings.tls.is_some() {
        return log_rejected(local, port, peer, reason, false);
    }
    let told = stream.into_std().and_then(|mut stream| {
        stream.write_all(&answer::raw(reason))?;
        stream.shutdown(Shutdown::Write)
    });
    log_rejected(local, port, peer, reason, told.is_ok());
    if told.is_ok() {
        port.counters.count_code(local.lane, reason.status().as_u16());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_task<F: Future>(_: impl FnOnce(Rc<Client>, PortRef, TcpStream, [usize; 6]) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    /// With tokio's own part it has to stay within 512 bytes: beyond, the allocator takes half as much again, to align it.
    #[test]
    fn the_task_of_an_idle_client_is_small() {
        let size = size_of_task(carry);
        assert!(size <= 400, "{size}");
    }
}

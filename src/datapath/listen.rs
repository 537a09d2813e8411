//! The sockets where clients come in.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Why nobody can listen at an address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{0} is in use by another program")]
    InUse(SocketAddr),
    #[error("{} is not an address of this machine", .0.ip())]
    NotLocal(SocketAddr),
    #[error("port {} is below 1024 and needs the right CAP_NET_BIND_SERVICE", .0.port())]
    Forbidden(SocketAddr),
    #[error("cannot listen at {address}")]
    Other { address: SocketAddr, source: io::Error },
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::AddrNotAvailable => Self::NotLocal(address),
            io::ErrorKind::PermissionDenied => Self::Forbidden(address),
            _ => Self::Other { address, source },
        }
    }
}

/// Opens `lanes` listeners at `address`, one for each worker; the kernel spreads new connections over them. Port 0 is
/// chosen by the system, the same for all.
///
/// Sockets with SO_REUSEPORT would silently share the port with another program of this user, an older copy of this one
/// for example, so the address is first tried without that option.
pub fn bind(address: SocketAddr, lanes: usize) -> Result<Vec<TcpListener>, BindError> {
    let address = try_alone(address).map_err(|source| BindError::new(address, source))?;
    (0..lanes).map(|_| bind_one_more(address)).collect()
}

/// One more listener beside those that [`bind`] opened, for a worker that takes the place of a dead one.
pub fn bind_one_more(address: SocketAddr) -> Result<TcpListener, BindError> {
    listener(address, true).map_err(|source| BindError::new(address, source))
}

/// Listens for a moment and says where.
fn try_alone(address: SocketAddr) -> io::Result<SocketAddr> {
    listener(address, false)?.local_addr()
}

fn listener(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // After a restart, connections of before may linger in TIME_WAIT; they must not keep the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Linux hands both options down to accepted connections, which saves two system calls for each of them.
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connections that wait to be accepted, for each worker. The kernel cuts it to `net.core.somaxconn` (4096 by default
/// since Linux 5.4); when it is full, clients' connection requests are dropped and come again a second later.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn lanes_share_one_port_of_the_systems_choice() {
        let listeners = bind(loopback(0), 3).unwrap();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 3);
        assert!(ports.iter().all(|&port| port == ports[0] && port != 0));
        assert!(bind_one_more(loopback(ports[0])).is_ok(), "a restarted worker joins in");
    }

    #[test]
    fn a_port_in_use_is_found_however_it_is_used() {
        let alone = TcpListener::bind(loopback(0)).unwrap();
        let shared = bind(loopback(0), 1).unwrap();
        for address in [alone.local_addr().unwrap(), shared[0].local_addr().unwrap()] {
            assert!(matches!(bind(address, 2), Err(BindError::InUse(used)) if used == address));
        }
    }

    #[test]
    fn a_foreign_address_is_named() {
        let error = bind("192.0.2.1:80".parse().unwrap(), 1).unwrap_err();
        assert!(matches!(error, BindError::NotLocal(_)), "{error}");
        assert_eq!(error.to_string(), "192.0.2.1 is not an address of this machine");
    }

    #[test]
    fn ipv6_leaves_ipv4_alone() {
        let Ok(six) = bind("[::]:0".parse().unwrap(), 1) else { return };
        let port = six[0].local_addr().unwrap().port();
        assert!(bind(SocketAddr::from(([0, 0, 0, 0], port)), 1).is_ok());
    }
}

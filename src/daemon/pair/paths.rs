//! The ways to the partner: UDP sockets, one for each address of this host that has one.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::high_availability::PathId;
use crate::model::HeartbeatPath;

/// All of them.
#[derive(Debug)]
pub(super) struct Paths {
    port: u16,
    ends: Vec<End>,
    paths: Vec<Path>,
    try_again: Option<Instant>,
    trouble: Vec<String>,
}

/// A way, and which of the sockets it begins at.
#[derive(Debug)]
struct Path {
    id: PathId,
    path: HeartbeatPath,
    /// Why the last heartbeat did not leave.
    unsent: Option<String>,
}

#[derive(Debug)]
struct End {
    address: IpAddr,
    socket: Option<UdpSocket>,
    told: bool,
}

/// An address that is not there yet, as at the start of a host, is looked for this often.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Class selector 6, which network control has (RFC 4594 3.1): switches that queue by it carry heartbeats before the rest.
const NETWORK_CONTROL: u32 = 0xc0;

impl Paths {
    pub fn open(port: u16, paths: &[(PathId, HeartbeatPath)], now: Instant) -> Self {
        let mut opened = Self { port, ends: Vec::new(), paths: Vec::new(), try_again: None, trouble: Vec::new() };
        opened.change(port, paths, now);
        opened
    }

    /// Other ways from now on. Sockets that are still needed stay as they are.
    pub fn change(&mut self, port: u16, paths: &[(PathId, HeartbeatPath)], now: Instant) {
        if port != self.port {
            self.ends.clear();
        }
        self.port = port;
        self.ends.retain(|end| paths.iter().any(|(_, path)| path.source == end.address));
        for (_, path) in paths {
            if !self.ends.iter().any(|end| end.address == path.source) {
                self.ends.push(End { address: path.source, socket: None, told: false });
            }
        }
        self.paths = paths.iter().map(|&(id, path)| Path { id, path, unsent: None }).collect();
        self.open_what_is_closed(now);
    }

    /// When there is something to be tried again.
    pub fn deadline(&self) -> Option<Instant> {
        self.try_again
    }

    /// Opens sockets on addresses that were not there.
    pub fn look_again(&mut self, now: Instant) {
        if self.try_again.is_some_and(|at| now >= at) {
            self.open_what_is_closed(now);
        }
    }

    fn open_what_is_closed(&mut self, now: Instant) {
        for end in self.ends.iter_mut().filter(|end| end.socket.is_none()) {
            match bind(SocketAddr::new(end.address, self.port)) {
                Ok(socket) => {
                    end.socket = Some(socket);
                    if std::mem::take(&mut end.told) {
                        self.trouble.push(format!("heartbeats leave from {} again", end.address));
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut end.told, true) {
                        let (address, port) = (end.address, self.port);
                        self.trouble.push(format!(
                            "no heartbeats leave from {address}, UDP port {port}: {error}; tried again every second"
                        ));
                    }
                }
            }
        }
        self.try_again = self.ends.iter().any(|end| end.socket.is_none()).then(|| now + TRY_AGAIN);
    }

    /// What an operator should know since this was asked last.
    pub fn take_trouble(&mut self) -> Vec<String> {
        std::mem::take(&mut self.trouble)
    }

    /// The sockets, to wait for. The n-th is the n-th of [`Paths::receive`].
    pub fn sockets(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        self.ends.iter().enumerate().filter_map(|(place, end)| Some((place, end.socket.as_ref()?.as_fd())))
    }

    pub fn send(&mut self, id: PathId, bytes: &[u8]) {
        let Some(path) = self.paths.iter_mut().find(|path| path.id == id) else { return };
        let end = self.ends.iter().find(|end| end.address == path.path.source);
        let Some(socket) = end.and_then(|end| end.socket.as_ref()) else { return };
        let sent = socket.send_to(bytes, (path.path.destination, self.port));
        // A full queue or a link that is down loses this heartbeat, as a network would; the next one is due soon.
        let why = sent.err().filter(|error| error.kind() != ErrorKind::WouldBlock).map(|error| error.to_string());
        if why != path.unsent {
            if let Some(why) = &why {
                self.trouble.push(format!("heartbeats on the path {} do not leave: {why}", path.path));
            }
            path.unsent = why;
        }
    }

    /// What came in on a socket, and on which path; no path for who is a stranger. `None`: nothing more.
    pub fn receive(&self, place: usize, buffer: &mut [u8]) -> Option<(Option<PathId>, usize)> {
        let end = self.ends.get(place)?;
        let socket = end.socket.as_ref()?;
        loop {
            match socket.recv_from(buffer) {
                Ok((length, from)) => return Some((self.path_of(end.address, from), length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Errors of what was sent earlier are told here, too; none of them says anything about what comes.
                Err(_) => return None,
            }
        }
    }

    fn path_of(&self, source: IpAddr, from: SocketAddr) -> Option<PathId> {
        let is = |path: &HeartbeatPath| path.source == source && path.destination == from.ip();
        self.paths.iter().find(|path| from.port() == self.port && is(&path.path)).map(|path| path.id)
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Advice to the network: heartbeats travel without it, too.
    let _advice = match address {
        SocketAddr::V4(_) => socket.set_tos_v4(NETWORK_CONTROL),
        SocketAddr::V6(_) => socket.set_only_v6(true).and_then(|()| socket.set_tclass_v6(NETWORK_CONTROL)),
    };
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    /// Of nobody (RFC 5737).
    const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn path(source: IpAddr, destination: IpAddr) -> (PathId, HeartbeatPath) {
        (PathId(7), HeartbeatPath { source, destination })
    }

    /// A port that is free at both addresses.
    fn port() -> u16 {
        UdpSocket::bind((HERE, 0)).unwrap().local_addr().unwrap().port()
    }

    fn received(paths: &Paths) -> Option<(Option<PathId>, usize)> {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if let Some(received) = paths.receive(0, &mut [0; 300]) {
                return Some(received);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }

    #[test]
    fn what_comes_from_the_partner_is_told_from_what_strangers_send() {
        let (now, port) = (Instant::now(), port());
        let (mut one, other) =
            (Paths::open(port, &[path(HERE, THERE)], now), Paths::open(port, &[path(THERE, HERE)], now));
        one.send(PathId(7), b"beat");
        assert_eq!(received(&other), Some((Some(PathId(7)), 4)));
        let stranger = UdpSocket::bind((HERE, 0)).unwrap();
        stranger.send_to(b"strange", (THERE, port)).unwrap();
        assert_eq!(received(&other), Some((None, 7)), "from another port of the same host");
        assert_eq!((one.take_trouble(), one.deadline()), (Vec::new(), None));
    }

    #[test]
    fn an_address_that_is_not_there_is_told_once_and_looked_for_again() {
        let now = Instant::now();
        let mut paths = Paths::open(port(), &[path(NOWHERE, THERE)], now);
        assert_eq!((paths.take_trouble().len(), paths.deadline()), (1, Some(now + TRY_AGAIN)));
        paths.look_again(now + TRY_AGAIN);
        assert_eq!((paths.take_trouble().len(), paths.deadline()), (0, Some(now + TRY_AGAIN * 2)));
        paths.send(PathId(7), b"beat");
        paths.change(paths.port, &[path(HERE, THERE)], now);
        assert_eq!(paths.deadline(), None);
        assert_eq!(paths.sockets().count(), 1);
    }
}

//! ICMP echo, version 4 and 6.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};

use pnet::packet::Packet;
use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;
use pnet::packet::icmp::{self, IcmpPacket, IcmpTypes};
use pnet::packet::icmpv6::echo_request::MutableEchoRequestPacket as MutableEchoRequestPacket6;
use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types};
use pnet::packet::ipv4::Ipv4Packet;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::failure::Failure;
use crate::advisor::ProbeId;
use crate::model::DownReason;

/// Sends one echo request and waits for its reply. Without an answer it waits for ever; the caller has the timeout.
pub(super) async fn echo(target: IpAddr, probe: ProbeId) -> Result<(), Failure> {
    let socket = EchoSocket::open(target)?;
    let payload = payload(probe);
    let request = request(target, probe, payload).ok_or_else(|| Failure::NotMade("no room for a packet".into()))?;
    socket.socket.send(&request).await.map_err(Failure::to_ping)?;
    let mut buffer = [0; LARGEST_REPLY];
    loop {
        let read = socket.socket.recv(&mut buffer).await.map_err(Failure::to_ping)?;
        if socket.is_reply(buffer.get(..read).unwrap_or_default(), &payload) {
            return Ok(());
        }
    }
}

/// A socket for echo with one target.
struct EchoSocket {
    /// The kind of socket does not matter to tokio: it sends and receives datagrams, which ICMP sockets do too.
    socket: UdpSocket,
    family: Family,
}

/// What received datagrams look like.
#[derive(Clone, Copy, Debug)]
enum Family {
    /// Raw, version 4: the IP header comes along.
    V4WithHeader,
    V4,
    V6,
}

impl EchoSocket {
    /// A datagram ICMP socket where the system lets this user's group have one (`net.ipv4.ping_group_range`), else a
    /// raw one, for which `CAP_NET_RAW` is needed.
    fn open(target: IpAddr) -> Result<Self, Failure> {
        let (domain, protocol) = match target {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let datagram = Socket::new(domain, Type::DGRAM, Some(protocol)).map(|socket| (socket, false));
        let raw = || Socket::new(domain, Type::RAW, Some(protocol)).map(|socket| (socket, true));
        let (socket, is_raw) = datagram.or_else(|_| raw()).map_err(not_allowed)?;
        let family = match (target, is_raw) {
            (IpAddr::V4(_), true) => Family::V4WithHeader,
            (IpAddr::V4(_), false) => Family::V4,
            (IpAddr::V6(_), _) => Family::V6,
        };
        let socket = connected(socket, target).map_err(Failure::to_ping)?;
        Ok(Self { socket, family })
    }

    /// A raw socket hears all of the target's ICMP (and on this machine our own requests), hence the payload.
    fn is_reply(&self, datagram: &[u8], payload: &[u8]) -> bool {
        let is_v4 = |icmp: &[u8]| {
            IcmpPacket::new(icmp).is_some_and(|packet| packet.get_icmp_type() == IcmpTypes::EchoReply)
                && icmp.ends_with(payload)
        };
        match self.family {
            Family::V4WithHeader => Ipv4Packet::new(datagram).is_some_and(|packet| is_v4(packet.payload())),
            Family::V4 => is_v4(datagram),
            Family::V6 => {
                Icmpv6Packet::new(datagram).is_some_and(|packet| packet.get_icmpv6_type() == Icmpv6Types::EchoReply)
                    && datagram.ends_with(payload)
            }
        }
    }
}

/// Only the target is heard, and its network's errors are reported.
fn connected(socket: Socket, target: IpAddr) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    socket.connect(&SocketAddr::new(target, 0).into())?;
    UdpSocket::from_std(StdUdpSocket::from(socket))
}

fn not_allowed(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let how = "ping is not permitted: CAP_NET_RAW, or the group in net.ipv4.ping_group_range, is needed";
        return Failure::Bad(DownReason::Unreachable(how.into()));
    }
    Failure::to_ping(error)
}

/// The whole ICMP message. `None` cannot happen: the buffer has room for it.
fn request(target: IpAddr, probe: ProbeId, payload: [u8; PAYLOAD]) -> Option<Vec<u8>> {
    let mut buffer = vec![0; HEADER + PAYLOAD];
    let (identifier, sequence) = (std::process::id() as u16, probe.0 as u16);
    if target.is_ipv4() {
        let mut packet = MutableEchoRequestPacket::new(&mut buffer)?;
        packet.set_icmp_type(IcmpTypes::EchoRequest);
        packet.set_identifier(identifier);
        packet.set_sequence_number(sequence);
        packet.set_payload(&payload);
        let checksum = icmp::checksum(&IcmpPacket::new(packet.packet())?);
        packet.set_checksum(checksum);
    } else {
        // The checksum covers the addresses; the kernel, which knows them, fills it in (RFC 3542, section 3.1).
        let mut packet = MutableEchoRequestPacket6::new(&mut buffer)?;
        packet.set_icmpv6_type(Icmpv6Types::EchoRequest);
        packet.set_identifier(identifier);
        packet.set_sequence_number(sequence);
        packet.set_payload(&payload);
    }
    Some(buffer)
}

/// Says which probe a reply belongs to; the identifier cannot, since datagram sockets get their own.
fn payload(probe: ProbeId) -> [u8; PAYLOAD] {
    let mut payload = *b"tsuji...........";
    let (_, number) = payload.split_at_mut(PAYLOAD - 8);
    number.copy_from_slice(&probe.0.to_be_bytes());
    payload
}

const HEADER: usize = 8;
const PAYLOAD: usize = 16;
/// Our reply, its IP header with options, and room to see that something longer is not it.
const LARGEST_REPLY: usize = 256;

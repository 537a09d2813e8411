//! An interface as a claimant holds it: a packet socket that sees ARP and neighbour discovery alone, and memberships of groups.

use std::io;
use std::net::{Ipv6Addr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use pnet::datalink::{self, Channel, DataLinkReceiver, DataLinkSender, NetworkInterface};
use socket2::{Domain, SockFilter, Socket, Type};

use crate::datapath::xdp::engine::Interface;

use super::interfaces::interface;

/// The interface, until it goes away.
pub(super) struct Wire {
    pub sender: Box<dyn DataLinkSender>,
    pub receiver: Box<dyn DataLinkReceiver>,
    pub interface: Interface,
    pub link: NetworkInterface,
    /// The receiver's socket once more, to wait for it.
    awaited: OwnedFd,
}

/// The interface with its addresses, as it is now.
pub(super) fn link(name: &str) -> Option<NetworkInterface> {
    datalink::interfaces().into_iter().find(|link| link.name == name)
}

impl Wire {
    /// The interface that has this name now.
    pub fn open(name: &str) -> io::Result<Self> {
        let interface = interface(name).map_err(io::Error::other)?;
        let link = link(name).filter(NetworkInterface::is_up).ok_or_else(|| io::Error::other("it is not up"))?;
        // Without a protocol nothing comes in before the filter stands.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.attach_filter(&FILTER)?;
        let awaited = socket.try_clone()?.into();
        let config = datalink::linux::Config {
            // Whoever reads has waited for the socket, and wants to know what is there.
            read_timeout: Some(Duration::ZERO),
            promiscuous: false,
            socket_fd: Some(socket.into_raw_fd()),
            ..datalink::linux::Config::default()
        };
        match datalink::linux::channel(&link, config)? {
            Channel::Ethernet(sender, receiver) => Ok(Self { sender, receiver, interface, link, awaited }),
            _ => Err(io::Error::other("it is no Ethernet")),
        }
    }

    /// Readable when a frame has come.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.awaited.as_fd()
    }
}

/// Memberships of solicited-node groups, which end with the socket.
#[derive(Debug, Default)]
pub(super) struct Groups(Option<UdpSocket>);

impl Groups {
    fn socket(&mut self) -> io::Result<&UdpSocket> {
        if self.0.is_none() {
            self.0 = Some(UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?);
        }
        self.0.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub fn join(&mut self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket()?.join_multicast_v6(&group, interface)
    }

    pub fn leave(&mut self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        // Several addresses may share a group, and the kernel counts memberships of a socket once.
        let _ = self.socket()?.leave_multicast_v6(&group, interface);
        Ok(())
    }
}

/// Classic BPF: ARP, and of IPv6 neighbour solicitations and advertisements without extension headers. Opcodes and their
/// meaning: `linux/filter.h`.
const FILTER: [SockFilter; 10] = {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_GREATER: u16 = 0x25;
    const JUMP_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_EQUAL, 6, 0, 0x0806),
        SockFilter::new(JUMP_EQUAL, 0, 6, 0x86dd),
        SockFilter::new(LOAD_BYTE, 0, 0, 20),
        SockFilter::new(JUMP_EQUAL, 0, 4, 58),
        SockFilter::new(LOAD_BYTE, 0, 0, 54),
        SockFilter::new(JUMP_AT_LEAST, 0, 2, 135),
        SockFilter::new(JUMP_GREATER, 1, 0, 136),
        SockFilter::new(RETURN, 0, 0, 0xffff),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
};

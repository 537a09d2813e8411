//! MAC forwarding by this process, for hosts where no BPF program may be loaded: frames come in on a packet socket, are
//! decided on as the XDP program would ([`crate::packet::forward`], over tables of the same layout), and go out by it.
//!
//! The kernel sees a copy of each frame and stays silent about those for cluster addresses, because they are not its own. A
//! frame costs some system calls here and none there: this is the floor, not the ceiling.

use std::collections::HashMap;
use std::io;
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pnet::datalink::{self, Channel, DataLinkReceiver, DataLinkSender};
use socket2::{Domain, Socket, Type};

use crate::packet::forward::{Forwarder, Memory, Verdict};
use crate::packet::hash::HashKeys;

use super::coarse_clock::coarse_units;
use super::xdp::engine::Interface;
use super::xdp::tables::Tables;

/// A thread for each interface; they end with this.
#[derive(Debug)]
pub struct PacketSockets {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// Affinity records and awaited datagrams of one interface, as in the kernel's tables.
const RECORDS: usize = 262_144;
const DATAGRAMS: usize = 16_384;
/// How often a thread looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(200);
/// After an interface went away.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// What the socket may hold while the thread is busy: some thousand full frames.
const BUFFER: usize = 8 << 20;

impl PacketSockets {
    /// Forwards what comes in on these interfaces by these tables.
    pub fn start(tables: &Arc<Tables>, keys: HashKeys, interfaces: &[Interface]) -> io::Result<Self> {
        let end = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (lane, interface) in (0..).zip(interfaces) {
            // Opened here once, so that what cannot work is told at once.
            drop(open(interface.index)?);
            let socket = PacketSocket {
                interface: interface.clone(),
                lane,
                tables: Arc::clone(tables),
                keys,
                end: Arc::clone(&end),
            };
            let name = format!("packets-{}", interface.name);
            threads.push(std::thread::Builder::new().name(name).spawn(move || socket.live())?);
        }
        Ok(Self { end, threads })
    }
}

impl Drop for PacketSockets {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

struct PacketSocket {
    interface: Interface,
    lane: u32,
    tables: Arc<Tables>,
    keys: HashKeys,
    end: Arc<AtomicBool>,
}

impl PacketSocket {
    fn live(self) {
        let mut memory = Memory::new(RECORDS, DATAGRAMS);
        while !self.end.load(Ordering::Relaxed) {
            match self.serve(&mut memory) {
                Ok(()) => return,
                Err(error) => tracing::error!(
                    "interface {}: packets are not forwarded: {error}; tried again in a second",
                    self.interface.name
                ),
            }
            std::thread::sleep(TRY_AGAIN);
        }
    }

    fn serve(&self, memory: &mut Memory) -> io::Result<()> {
        let words = self.tables.words();
        let forwarder = Forwarder::new(words, &self.keys, self.interface.mac, self.lane, memory);
        let mut forwarder = forwarder.map_err(io::Error::other)?;
        let (mut sender, mut receiver) = open(self.interface.index)?;
        let mut others: HashMap<u32, Box<dyn DataLinkSender>> = HashMap::new();
        let mut frame = Vec::with_capacity(2048);
        while !self.end.load(Ordering::Relaxed) {
            match receiver.next() {
                Ok(bytes) => {
                    frame.clear();
                    frame.extend_from_slice(bytes);
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => continue,
                Err(error) => return Err(error),
            }
            let outcome = forwarder.forward(&mut frame, self.interface.index, coarse_units());
            frame.truncate(outcome.length);
            // A frame that the interface has no room for is lost, as on any full link; its sender repeats it.
            match outcome.verdict {
                Verdict::Transmit => drop(sender.send_to(&frame, None)),
                Verdict::Redirect(index) => drop(sender_to(&mut others, index)?.send_to(&frame, None)),
                Verdict::Drop | Verdict::Pass => {}
            }
        }
        Ok(())
    }
}

fn sender_to(
    others: &mut HashMap<u32, Box<dyn DataLinkSender>>,
    index: u32,
) -> io::Result<&mut Box<dyn DataLinkSender>> {
    use std::collections::hash_map::Entry;
    match others.entry(index) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(vacant) => Ok(vacant.insert(open(index)?.0)),
    }
}

/// The interface's own frames and those for groups; not promiscuous.
fn open(index: u32) -> io::Result<(Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>)> {
    let link = datalink::interfaces().into_iter().find(|link| link.index == index);
    let link = link.ok_or_else(|| io::Error::other("it is not there"))?;
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    socket.set_recv_buffer_size(BUFFER)?;
    let config = datalink::linux::Config {
        read_timeout: Some(PATIENCE),
        read_buffer_size: 65_536,
        write_buffer_size: 65_536,
        promiscuous: false,
        socket_fd: Some(socket.into_raw_fd()),
        ..datalink::linux::Config::default()
    };
    match datalink::linux::channel(&link, config)? {
        Channel::Ethernet(sender, receiver) => Ok((sender, receiver)),
        _ => Err(io::Error::other("it is no Ethernet")),
    }
}

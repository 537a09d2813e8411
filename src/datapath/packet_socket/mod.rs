//! MAC forwarding by this process, for hosts where no BPF program may be loaded: frames come in on a packet socket, are
//! decided on as the XDP program would ([`crate::packet::forward`], over tables of the same layout), and go out by it.
//!
//! The kernel sees a copy of each frame and stays silent about those for cluster addresses, because they are not its own.
//! Frames come in through memory shared with the kernel, are rewritten there and go out many per system call
//! ([`crate::sys::packet_socket`]). What is left is the kernel's own work on each, which XDP does not have: this is the floor,
//! not the ceiling.

mod egress;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::packet::forward::{Forwarder, Memory, Verdict};
use crate::packet::hash::HashKeys;
use crate::sys::packet_socket::Ring;

use super::coarse_clock::coarse_units;
use super::xdp::engine::Interface;
use super::xdp::tables::Tables;
use egress::Egress;

/// A thread for each interface; they end with this.
#[derive(Debug)]
pub struct PacketSockets {
    end: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

/// Affinity records and awaited datagrams of one interface, as in the kernel's tables.
const RECORDS: usize = 262_144;
const DATAGRAMS: usize = 16_384;
/// How often a thread looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(200);
/// After an interface went away.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// The ring is asked for what it lost once in so many batches, and whenever nothing comes: asking is a system call.
const READING: u32 = 64;
/// What a ring, or a socket that sends, may hold while the thread is busy: some thousand full frames.
const BUFFER: usize = 8 << 20;

impl PacketSockets {
    /// Forwards what comes in on these interfaces by these tables.
    pub fn start(tables: &Arc<Tables>, keys: HashKeys, interfaces: &[Interface]) -> io::Result<Self> {
        let (end, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut threads = Vec::new();
        for (lane, interface) in (0..).zip(interfaces) {
            // Opened here once, so that what cannot work is told at once.
            drop(open(interface.index)?);
            let worker = Worker {
                interface: interface.clone(),
                lane,
                tables: Arc::clone(tables),
                keys,
                end: Arc::clone(&end),
                lost: Arc::clone(&lost),
            };
            let name = format!("packets-{}", interface.name);
            threads.push(std::thread::Builder::new().name(name).spawn(move || worker.live())?);
        }
        Ok(Self { end, lost, threads })
    }

    /// Frames that found a socket or an interface full, over all interfaces.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for PacketSockets {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Forwards what comes in on one interface.
struct Worker {
    interface: Interface,
    lane: u32,
    tables: Arc<Tables>,
    keys: HashKeys,
    end: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

impl Worker {
    fn live(self) {
        let mut memory = Memory::new(RECORDS, DATAGRAMS);
        let mut told = None;
        while !self.end.load(Ordering::Relaxed) {
            let begun = Instant::now();
            match self.serve(&mut memory) {
                Ok(()) => return,
                // An interface may be down for hours, and once is enough to say so, unless it was up in between.
                Err(error) if told == Some(error.kind()) && begun.elapsed() < TRY_AGAIN => {}
                Err(error) => {
                    told = Some(error.kind());
                    tracing::error!(
                        "interface {}: packets are not forwarded: {error}; tried again every second",
                        self.interface.name
                    );
                }
            }
            std::thread::sleep(TRY_AGAIN);
        }
    }

    fn serve(&self, memory: &mut Memory) -> io::Result<()> {
        let words = self.tables.words();
        let forwarder = Forwarder::new(words, &self.keys, self.interface.mac, self.lane, memory);
        let mut forwarder = forwarder.map_err(io::Error::other)?;
        let mut ring = open(self.interface.index)?;
        let mut egress = Egress::default();
        let mut turns = 0_u32;
        while !self.end.load(Ordering::Relaxed) {
            ring.receive(PATIENCE)?;
            self.forward(&mut forwarder, &mut ring, &mut egress);
            let mut lost = egress.send(&ring)?;
            turns = turns.wrapping_add(1);
            if ring.is_empty() || turns.is_multiple_of(READING) {
                lost += ring.take_lost();
            }
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        Ok(())
    }

    fn forward(&self, forwarder: &mut Forwarder<'_>, ring: &mut Ring, egress: &mut Egress) {
        let now = coarse_units();
        for place in 0..ring.len() {
            let outcome = forwarder.forward(ring.frame(place), self.interface.index, now);
            match outcome.verdict {
                Verdict::Transmit => egress.here(place),
                Verdict::Reply => {
                    ring.renew(place, outcome.length);
                    egress.here(place);
                }
                Verdict::Redirect(index) => egress.elsewhere(index, place),
                Verdict::Drop | Verdict::Pass => {}
            }
        }
    }
}

/// The interface's own frames and those for groups; not promiscuous.
fn open(index: u32) -> io::Result<Ring> {
    Ring::open(index, BUFFER)
}

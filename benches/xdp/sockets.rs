//! Packet sockets: how many packets a second a core forwards, beside a plain loop of the library that they could use.
//!
//! A veth pair in a network namespace of this process: one CPU sends frames of some flows into it as fast as it can, the
//! other forwards them back out. The figure is what came back, by the time that the forwarding CPU was busy for it.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pnet::datalink::{self, Channel};
use tsuji::datapath::packet_socket::PacketSockets;
use tsuji::datapath::xdp::engine::Interface;
use tsuji::datapath::xdp::load::Sizes;
use tsuji::datapath::xdp::tables::Tables;
use tsuji::datapath::xdp::writer::Writer;
use tsuji::packet::hash::HashKeys;
use tsuji::sys::packet_socket::{BATCH, PacketSocket, outgoing};
use tsuji::wire::Mac;

use super::Failure;
use super::bed::{self, Family, Path};

/// Who forwards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    /// Takes a frame, exchanges its addresses, sends it: no decision, no table.
    PlainLoop,
    Tsuji,
}

/// Where the forwarder and the sender run.
const FORWARDING_CPU: usize = 0;
const SENDING_CPU: usize = 1;
const FLOWS: u16 = 1024;
/// Before counting, and while counting.
const WARM: Duration = Duration::from_millis(300);
const SPAN: Duration = Duration::from_millis(1500);
/// Of the kernel's figures in `/proc/stat`, per second.
const TICKS: f64 = 100.0;

/// Packets a second of a core that is busy all the time.
pub fn rate(engine: Engine) -> Result<f64, Failure> {
    // In a thread of its own: the namespace ends with it, and nobody else's network changes.
    let measured = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
        let (near, far) = veth()?;
        measure(engine, &near, &far)
    });
    measured.join().map_err(|_| "the measuring thread has died")?
}

fn measure(engine: Engine, near: &Interface, far: &Interface) -> Result<f64, Failure> {
    let end = Arc::new(AtomicBool::new(false));
    let sender = send(near, far, &end)?;
    bed::pin_to_cpu(FORWARDING_CPU)?;
    let forwarder = Forwarder::start(engine, near, &end)?;
    std::thread::sleep(WARM);
    let (start, before, busy) = (Instant::now(), returned(far)?, busy(FORWARDING_CPU)?);
    std::thread::sleep(SPAN.saturating_sub(start.elapsed()));
    let packets = returned(far)? - before;
    let seconds = self::busy(FORWARDING_CPU)? - busy;
    end.store(true, Ordering::Relaxed);
    drop(forwarder);
    sender.join().map_err(|_| "the sender has died")??;
    if packets < 10_000.0 {
        return Err(format!("{engine:?} forwarded {packets} packets").into());
    }
    Ok(packets / seconds)
}

fn veth() -> Result<(Interface, Interface), Failure> {
    for line in [
        "link add near type veth peer name far",
        "link set near address 02:00:00:00:00:01 up",
        "link set far address 02:00:00:00:00:0a up",
    ] {
        // Threads of this process are in namespaces of their own, which a child inherits.
        let done = Command::new("ip").args(line.split(' ')).status()?;
        if !done.success() {
            return Err(format!("ip {line}: {done}").into());
        }
    }
    let interface = |name: &str, last| -> Result<Interface, Failure> {
        let index = nix::net::if_::if_nametoindex(name)?;
        Ok(Interface { name: name.to_owned(), index, mac: Mac([2, 0, 0, 0, 0, last]) })
    };
    Ok((interface("near", 1)?, interface("far", 10)?))
}

/// Sends frames from the far end until the end.
fn send(near: &Interface, far: &Interface, end: &Arc<AtomicBool>) -> Result<JoinHandle<Result<(), Failure>>, Failure> {
    let socket = PacketSocket::open(far.index, 1 << 20)?;
    let (end, to) = (Arc::clone(end), near.mac);
    Ok(std::thread::spawn(move || {
        bed::pin_to_cpu(SENDING_CPU)?;
        let frames: Vec<Vec<u8>> = (0..FLOWS).map(|flow| frame(to, flow)).collect();
        while !end.load(Ordering::Relaxed) {
            for batch in frames.chunks(BATCH) {
                socket.send(batch.iter().map(Vec::as_slice))?;
            }
        }
        Ok(())
    }))
}

/// A segment of this flow.
fn frame(to: Mac, flow: u16) -> Vec<u8> {
    let mut frame = bed::frame_of(Path::established(Family::V4, 1));
    frame.splice(..6, to.0);
    frame.splice(34..36, (1024 + flow).to_be_bytes());
    outgoing(&frame)
}

enum Forwarder {
    Plain { end: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
    Ours { _sockets: PacketSockets },
}

impl Forwarder {
    fn start(engine: Engine, near: &Interface, end: &Arc<AtomicBool>) -> Result<Self, Failure> {
        match engine {
            Engine::PlainLoop => {
                let (interface, seen) = (near.index, Arc::clone(end));
                let thread = std::thread::spawn(move || plain_loop(interface, &seen));
                Ok(Self::Plain { end: Arc::clone(end), thread: Some(thread) })
            }
            Engine::Tsuji => {
                let sizes = Sizes::of(65_536, 1, 1);
                let tables = Tables::in_process(&sizes)?;
                let plan = bed::plan_of(Path::established(Family::V4, 1));
                let hops = bed::hops_of(&plan, near.index);
                Writer::new().apply(&tables, &plan, &hops, Instant::now())?;
                let mut live = tables.live.get(0).ok_or("no live table")?;
                live.buckets = sizes.buckets;
                live.new_limit = u32::MAX;
                let _ = tables.live.set(0, live);
                let keys = HashKeys(std::array::from_fn(|_| fastrand::u64(..)));
                let sockets = PacketSockets::start(&Arc::new(tables), keys, std::slice::from_ref(near))?;
                Ok(Self::Ours { _sockets: sockets })
            }
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        if let Self::Plain { end, thread } = self {
            end.store(true, Ordering::Relaxed);
            thread.take().map(JoinHandle::join);
        }
    }
}

fn plain_loop(index: u32, end: &AtomicBool) {
    let Some(link) = datalink::interfaces().into_iter().find(|link| link.index == index) else { return };
    let config =
        datalink::Config { read_timeout: Some(Duration::from_millis(100)), promiscuous: false, ..Default::default() };
    let Ok(Channel::Ethernet(mut sender, mut receiver)) = datalink::channel(&link, config) else { return };
    let mut frame = Vec::with_capacity(2048);
    while !end.load(Ordering::Relaxed) {
        let Ok(bytes) = receiver.next() else { continue };
        frame.clear();
        frame.extend_from_slice(bytes);
        if let Some((to, rest)) = frame.split_at_mut_checked(6)
            && let Some(from) = rest.get_mut(..6)
        {
            to.swap_with_slice(from);
        }
        let _ = sender.send_to(&frame, None);
    }
}

/// Packets that came back to the far end.
fn returned(far: &Interface) -> Result<f64, Failure> {
    let devices = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = devices.lines().find_map(|line| line.trim().strip_prefix(&format!("{}:", far.name)));
    let packets = line.and_then(|line| line.split_whitespace().nth(1)).ok_or("no such interface")?;
    Ok(packets.parse()?)
}

/// Seconds for which a CPU was busy since it started.
fn busy(cpu: usize) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{cpu} "))).ok_or("no such CPU")?;
    let ticks: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    // user, nice, system, then idle and iowait, then irq, softirq.
    let of = |place: usize| ticks.get(place).copied().unwrap_or_default();
    Ok([0, 1, 2, 5, 6].map(of).iter().sum::<f64>() / TICKS)
}

//! What the cursor of a ring costs when two CPUs take turns from it at once, beside a ring for each of them.

use std::sync::{Arc, Barrier};
use std::time::Instant;

use aya::Ebpf;
use aya::maps::{Array, ProgramArray};
use aya::programs::{TestRun, TestRunOptions, Xdp};
use tsuji::datapath::xdp::load::{Loading, Sizes};
use tsuji::datapath::xdp::writer::Writer;
use tsuji::packet::hash::HashKeys;

use super::Failure;
use super::bed::{self, Family, LOOPBACK, OWN, Path, SYN};

/// New connections of each CPU in one measurement: together four fifths of what the table is made for.
const PACKETS: u32 = 400_000;
/// The second CPU's flows begin where the first one's will not come.
const APART: u64 = 1 << 24;
const PATH: Path = Path::new_flows(Family::V4);

/// Who takes turns where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rings {
    /// Both CPUs from one.
    Shared,
    /// Each from its own: services on two ports.
    Apart,
}

/// ns per new connection of two CPUs that both open them all the time, harness included; the mean of both.
pub fn ns(rings: Rings) -> Result<f64, Failure> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)? as u32;
    let keys = HashKeys(std::array::from_fn(|_| fastrand::u64(..)));
    let mut program = Loading { keys, sizes: Sizes::of(1 << 20, 1 << 18, cpus), mac: OWN, pins: None }.load()?;
    let tables = program.tables()?;
    let mut plan = bed::plan_of(PATH);
    let mut second = plan.services.clone();
    for service in second.iter_mut().map(Arc::make_mut) {
        service.name = "shop:81".into();
        service.ports = 81..=81;
        // Names of their own, addresses of the same machines.
        service.servers.iter_mut().for_each(|server| server.name = server.name.replace(":80:", ":81:"));
    }
    plan.services.extend(second);
    Writer::new().apply(&tables, &plan, &bed::hops_of(&plan, LOOPBACK), Instant::now())?;
    let mut live = tables.live.get(0).ok_or("no live table")?;
    live.new_limit = u32::MAX;
    let _ = tables.live.set(0, live);
    let start = Arc::new(Barrier::new(2));
    let threads: Vec<_> = (0..2)
        .map(|cpu| {
            let (mut harness, start) = (bed::harness_of(PATH, SYN)?, Arc::clone(&start));
            let fd = program.program()?.fd()?.try_clone()?;
            let mut measured: ProgramArray<_> = harness.map_mut("measured").ok_or("no array")?.try_into()?;
            measured.set(0, &fd, 0)?;
            let port = if rings == Rings::Apart { 80 + cpu as u16 } else { 80 };
            Ok(std::thread::spawn(move || open(&mut harness, cpu, port, &start)))
        })
        .collect::<Result<_, Failure>>()?;
    let mut sum = 0.0;
    for thread in threads {
        sum += thread.join().map_err(|_| "a measuring thread has died")??;
    }
    Ok(sum / 2.0)
}

fn open(harness: &mut Ebpf, cpu: usize, port: u16, start: &Barrier) -> Result<f64, Failure> {
    bed::pin_to_cpu(cpu)?;
    let mut turns: Array<_, [u64; 8]> = harness.map_mut("turns").ok_or("no turns")?.try_into()?;
    turns.set(cpu as u32, [cpu as u64 * APART, 0, 0, 0, 0, 0, 0, 0], 0)?;
    let mut frame = bed::frame_of(PATH);
    frame.splice(36..38, port.to_be_bytes());
    let mut out = [0; 256];
    let vary: &mut Xdp = harness.program_mut("vary").ok_or("no harness")?.try_into()?;
    let options = TestRunOptions {
        data_in: Some(&frame),
        data_out: Some(&mut out),
        repeat: PACKETS,
        ..TestRunOptions::default()
    };
    start.wait();
    let result = vary.test_run(options)?;
    if result.return_value != 3 {
        return Err(format!("verdict {} on CPU {cpu}, port {port}", result.return_value).into());
    }
    Ok(result.duration.as_nanos() as f64)
}

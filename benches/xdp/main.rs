//! ns per packet of the XDP program, by test run: no network card, no wire.
//!
//! Each figure is the time with the program under test minus the time with a bare MAC swap in its place, both behind the
//! same harness, in alternating rounds of one run. Measures with `--measure`, as root
//! (`--quick`: fewer rounds, `--only TEXT`: the figures whose names have it); without it, only says so.

mod bed;
mod cursor;
mod sockets;

use std::process::ExitCode;

use bed::{Bed, Family, Path};
use cursor::Rings;
use sockets::Engine;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Rounds of each figure; the median counts.
const ROUNDS: usize = 7;

struct Figure {
    what: &'static str,
    path: Path,
    target: Option<f64>,
}

const FIGURES: [Figure; 11] = [
    Figure { what: "IPv4 TCP, established, 1 flow", path: Path::established(Family::V4, 1), target: Some(35.0) },
    Figure {
        what: "IPv4 TCP, established, 10,000 flows",
        path: Path::established(Family::V4, 10_000),
        target: Some(45.0),
    },
    Figure {
        what: "IPv4 TCP, established, 1,000,000 flows",
        path: Path::established(Family::V4, 1_000_000),
        target: Some(180.0),
    },
    Figure { what: "IPv6 TCP, established, 1 flow", path: Path::established(Family::V6, 1), target: Some(52.5) },
    Figure {
        what: "IPv6 TCP, established, 10,000 flows",
        path: Path::established(Family::V6, 10_000),
        target: Some(67.5),
    },
    Figure {
        what: "IPv6 TCP, established, 1,000,000 flows",
        path: Path::established(Family::V6, 1_000_000),
        target: Some(270.0),
    },
    Figure { what: "IPv4 TCP, every packet a new flow", path: Path::new_flows(Family::V4), target: Some(200.0) },
    Figure { what: "IPv6 TCP, every packet a new flow", path: Path::new_flows(Family::V6), target: None },
    Figure { what: "IPv4 TCP, new flows, consistent hash", path: Path::new_flows(Family::V4).hashed(), target: None },
    Figure { what: "foreign IPv4 packet", path: Path::foreign(Family::V4), target: Some(12.0) },
    Figure { what: "foreign IPv6 packet", path: Path::foreign(Family::V6), target: None },
];

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--measure") {
        println!("xdp: run `make bench-xdp` to measure");
        return ExitCode::SUCCESS;
    }
    let only = std::env::args().skip_while(|argument| argument != "--only").nth(1).unwrap_or_default();
    let rounds = if std::env::args().any(|argument| argument == "--quick") { 3 } else { ROUNDS };
    match measure(rounds, &only) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xdp: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(rounds: usize, only: &str) -> Result<(), Failure> {
    println!("ns per packet, net of harness and bare swap; 100 servers; median of {rounds} rounds (least, most)\n");
    println!("{:<42} {:>22} {:>22} {:>8}", "", "stickytime 0", "stickytime 300", "target");
    for figure in FIGURES.iter().filter(|figure| figure.what.contains(only)) {
        let plain = figure_of(figure.path, rounds)?;
        let sticky = figure_of(figure.path.sticky(), rounds)?;
        let target = figure.target.map_or_else(String::new, |target| format!("<= {target}"));
        println!("{:<42} {plain:>22} {sticky:>22} {target:>8}", figure.what);
    }
    if "sweep".contains(only) {
        let bed = Bed::new(Path::established(Family::V4, 1_000_000))?;
        let mut sweeps: Vec<(f64, u64)> = (0..rounds).map(|_| bed.sweep_ms()).collect::<Result<_, _>>()?;
        sweeps.sort_by(|one, other| one.0.total_cmp(&other.0));
        if let Some((ms, entries)) = sweeps.get(rounds / 2) {
            println!("\nsweep of a table with {entries} connections: {ms:.1} ms of CPU (target: <= 100)");
        }
    }
    if "shared cursor".contains(only) {
        shared_cursor(rounds)?;
    }
    if "packet sockets".contains(only) {
        packet_sockets(rounds)?;
    }
    Ok(())
}

/// In alternating rounds; the ratio is that of the medians.
fn shared_cursor(rounds: usize) -> Result<(), Failure> {
    let [apart, shared] = medians(rounds, [&|| cursor::ns(Rings::Apart), &|| cursor::ns(Rings::Shared)])?;
    println!(
        "\ntwo CPUs that open connections: {apart:.0} ns each with a ring of their own, {shared:.0} with one for both; ratio {:.2} \
         (target: <= 1.10)",
        shared / apart
    );
    Ok(())
}

/// In alternating rounds; the ratio is that of the medians.
fn packet_sockets(rounds: usize) -> Result<(), Failure> {
    let [plain, ours] = medians(rounds, [&|| sockets::rate(Engine::PlainLoop), &|| sockets::rate(Engine::Tsuji)])?;
    println!(
        "\npacket sockets: {ours:.0} packets/s of a core; a plain loop of pnet, which decides nothing: {plain:.0}; ratio {:.2} \
         (target: >= 2)",
        ours / plain
    );
    Ok(())
}

/// One of two things that are measured in turn.
type Measured<'m> = &'m dyn Fn() -> Result<f64, Failure>;

fn medians(rounds: usize, measured: [Measured<'_>; 2]) -> Result<[f64; 2], Failure> {
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (values, measure) in found.iter_mut().zip(measured) {
            values.push(measure()?);
        }
    }
    Ok(found.map(|mut values| {
        values.sort_by(f64::total_cmp);
        values.get(rounds / 2).copied().unwrap_or(f64::NAN)
    }))
}

fn figure_of(path: Path, rounds: usize) -> Result<String, Failure> {
    let mut net: Vec<f64> = Vec::new();
    for _ in 0..rounds {
        let mut bed = Bed::new(path)?;
        let swap = bed.swap_ns()?;
        net.push(bed.program_ns()? - swap);
    }
    net.sort_by(f64::total_cmp);
    let at = |place: usize| net.get(place).copied().unwrap_or(f64::NAN);
    Ok(format!("{:.1} ({:.0}, {:.0})", at(rounds / 2), at(0), at(rounds - 1)))
}

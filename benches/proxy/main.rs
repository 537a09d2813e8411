//! Tsuji beside Debian's HAProxy and nginx: CPU time per request, latency, system calls and memory, each proxy with one
//! CPU to itself, load and servers on the others. `make bench-proxy` runs it; docs/performance.md says how to read it.
//!
//! It measures for minutes, so it does nothing but say how it is run until it is given an option of its own.

mod cells;
mod configuration;
mod figures;
mod household;
mod load;
mod machine;
mod options;
mod origin;
mod proc;
mod products;
mod proxy;
mod rounds;
mod run;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Parser;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use figures::report::{Method, Report};
use figures::{chart, table};
use household::Household;
use machine::Places;
use options::{Options, Plan, is_meant};
use origin::Origins;
use products::Contender;
use rounds::Bench;

/// Others who want to run take turns with what is measured, and take its caches.
const BUSY: f64 = 0.5;

/// What can go wrong here is told to the person who sits before it, and that is all.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if !is_meant(&words) {
        eprintln!("proxy: measures for minutes when asked: make bench-proxy, or cargo bench --bench proxy -- --quick");
        return ExitCode::SUCCESS;
    }
    match guarded(Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures in a thread of its own, while this one waits for the end or for a signal to leave.
fn guarded(options: Options) -> Result<ExitCode, Failure> {
    let plan = options.plan()?;
    let (household, directory) = (Arc::<Household>::default(), TempDir::with_prefix("tsuji-bench-")?);
    let (done, outcome) = oneshot::channel();
    let (ours, place) = (Arc::clone(&household), directory.path().to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || done.send(bench(&plan, ours, &place)));
    let ended = runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            outcome = outcome => Ok::<_, Failure>(Some(outcome?)),
            _ = interrupt.recv() => Ok(None),
            _ = terminate.recv() => Ok(None),
        }
    })?;
    household.end_all();
    match ended {
        Some(outcome) => outcome.map(|()| ExitCode::SUCCESS),
        None => Ok(ExitCode::from(130)),
    }
}

fn bench(plan: &Plan, household: Arc<Household>, directory: &Path) -> Result<(), Failure> {
    let places = Places::find()?;
    places.settle()?;
    let descriptors = machine::raise_descriptors()?;
    let Present { contenders, syscalls, notes } = Present::of(plan)?;
    let versions = contenders.iter().filter_map(|one| Some((one.name.clone(), one.version()?))).collect();
    let certificate = certificate(directory)?;
    let mut bench = Bench {
        plan,
        contenders: &contenders,
        places: &places,
        origins: Origins::start()?,
        household,
        directory,
        certificate,
        descriptors,
        syscalls,
        random: fastrand::Rng::with_seed(plan.seed),
        notes,
    };
    let mut report = begin(plan, &places, versions, machine::file_system(directory));
    for cell in &plan.cells {
        let cell = bench.cell(cell);
        if !cell.rows.is_empty() {
            println!("{}", table::table(&cell));
            report.cells.push(cell);
        }
    }
    report.notes = bench.notes;
    write(plan, &report)
}

/// A certificate for the site with its key, in one file.
fn certificate(directory: &Path) -> Result<PathBuf, Failure> {
    let names = ["shop.example.com", "127.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names)?;
    let path = directory.join("site.pem");
    fs::write(&path, made.cert.pem() + &made.signing_key.serialize_pem())?;
    Ok(path)
}

/// What of the plan this machine has the programs for.
struct Present {
    contenders: Vec<Contender>,
    syscalls: bool,
    /// A line for each that is missing.
    notes: Vec<String>,
}

impl Present {
    fn of(plan: &Plan) -> Result<Self, Failure> {
        let (contenders, missing): (Vec<_>, Vec<_>) =
            plan.contenders.iter().cloned().partition(|one| one.version().is_some());
        let line = |one: &Contender| format!("{} is left out: {} cannot be run", one.name, one.binary.display());
        let mut notes: Vec<String> = missing.iter().map(line).collect();
        // Only root may trace a proxy that leaves no core dumps.
        let traced = nix::unistd::Uid::effective().is_root() && machine::version("strace", "-V").is_some();
        let syscalls = plan.syscalls && traced;
        if plan.syscalls && !syscalls {
            notes.push("system calls are left out: strace cannot be run, or this is not root".to_owned());
        }
        notes.iter().for_each(|note| eprintln!("{note}"));
        if contenders.is_empty() || machine::version("wrk", "-v").is_none() {
            return Err("nothing to measure, or no wrk to measure it with (as root: apt-get install wrk)".into());
        }
        Ok(Self { contenders, syscalls, notes })
    }
}

fn begin(plan: &Plan, places: &Places, versions: BTreeMap<String, String>, file_system: String) -> Report {
    let machine = machine::facts(places, versions);
    let named: Vec<String> = machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    println!("{}, {} CPUs, Linux {}, {}", machine.processor, machine.cpus, machine.kernel, machine.system);
    println!(
        "{}; proxy on CPU {}, load and servers on CPU {}; {} rounds of {} s (accesslog, parking: {} of {} s), seed {}",
        named.join(", "),
        places.proxy_name,
        places.load_name,
        plan.rounds,
        plan.seconds,
        plan.precise_rounds,
        plan.precise_seconds,
        plan.seed
    );
    if machine.load_average > BUSY {
        println!("the machine is busy, load average {}: these figures are noisy", machine.load_average);
    }
    println!("{}; logs are written to {file_system}", plan.buffers.title());
    println!("medians; all load comes from one address, so with affinity one server gets it\n");
    let method = Method {
        peers_buffers: plan.buffers,
        rounds: plan.rounds,
        seconds: plan.seconds,
        precise_rounds: plan.precise_rounds,
        precise_seconds: plan.precise_seconds,
        seed: plan.seed,
        proxy_cpu: places.proxy_name.clone(),
        load_cpu: places.load_name.clone(),
        file_system,
    };
    Report { machine, method, cells: Vec::new(), notes: Vec::new() }
}

fn write(plan: &Plan, report: &Report) -> Result<(), Failure> {
    let files = [(&plan.json, serde_json::to_string_pretty(report)? + "\n"), (&plan.svg, chart::chart(report))];
    for (path, text) in files {
        let Some(path) = path else { continue };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

//! One run of one contender: start, warm up, measure, end.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Failure;
use super::cells::{Cell, Load, Variant};
use super::figures::measure::{Measure, Sample};
use super::figures::strace;
use super::figures::wrk::Run;
use super::household::program;
use super::load::crowd::{CLIENTS, Crowd};
use super::load::echo;
use super::proc::{self, Usage};
use super::products::Contender;
use super::proxy::Proxy;
use super::rounds::{Bench, per_request};

/// Enough for connections to servers to be there and memory to be touched.
const WARM_UP: Duration = Duration::from_millis(300);

/// Memory is looked at when everything has come to rest: Tsuji parks a client after a second of silence, and the
/// allocator gives back what that frees within another second or two.
const REST: Duration = Duration::from_secs(5);

pub fn measure(bench: &Bench, cell: &Cell, contender: &Contender, variant: Variant) -> Result<Sample, Failure> {
    let proxy = Proxy::start(bench, contender, variant)?;
    if matches!(cell.load, Load::Crowd) {
        return crowd(&proxy, variant.setup.tls.then_some(&bench.certificate));
    }
    warm_up(bench, cell, variant, &proxy)?;
    let (before, requests, workers) = (Usage::of(proxy.id()), bench.origins.requests(), workers(&proxy));
    let run = load(bench, cell, variant, &proxy, bench.plan.seconds_of(cell))?;
    let used = Usage::of(proxy.id()).since(before);
    if run.requests == 0 {
        return Err("no request was answered".into());
    }
    let mut sample = per_request(&run, used);
    if cell.variants.iter().any(|variant| variant.setup.workers > 1) {
        let servers = bench.origins.requests().iter().zip(requests).map(|(after, before)| after - before).collect();
        let threads = self::workers(&proxy).iter().zip(workers).map(|(after, before)| after - before).collect();
        sample.extend(busiest(Measure::BusiestServer, servers));
        sample.extend(busiest(Measure::BusiestWorker, threads));
    }
    Ok(sample)
}

/// What the figures of this cell leave out.
pub fn remark(cell: &Cell) -> Option<String> {
    matches!(cell.load, Load::Crowd).then(|| {
        let rest = REST.as_secs();
        format!("resident memory, {rest} s after the last request; the kernel's, such as socket buffers, is not in it")
    })
}

/// The largest of these in percent of all.
fn busiest(measure: Measure, counts: Vec<u64>) -> Option<(Measure, f64)> {
    let sum: u64 = counts.iter().sum();
    let most = counts.into_iter().max()?;
    (sum > 0).then(|| (measure, most as f64 * 100.0 / sum as f64))
}

/// CPU ticks of Tsuji's worker threads.
fn workers(proxy: &Proxy) -> Vec<u64> {
    let mut threads = proc::threads(proxy.id());
    threads.retain(|thread| thread.name.starts_with("tsuji-worker"));
    threads.sort_by_key(|thread| thread.id);
    threads.iter().map(|thread| thread.user_ticks + thread.system_ticks).collect()
}

fn scheme(variant: Variant) -> &'static str {
    if variant.setup.tls { "https" } else { "http" }
}

fn warm_up(bench: &Bench, cell: &Cell, variant: Variant, proxy: &Proxy) -> Result<(), Failure> {
    match cell.load {
        Load::Http(http) => http.warm_up(&bench.household, &proxy.directory(), scheme(variant), proxy.port, WARM_UP),
        Load::Http2(http2) => http2.warm_up(&bench.household, &proxy.directory(), proxy.port, WARM_UP),
        Load::Handshake(handshake) => handshake.run(proxy.port, &bench.certificate, WARM_UP).map(drop),
        Load::Echo => echo::run(proxy.port, WARM_UP).map(drop),
        Load::Crowd => Ok(()),
    }
}

fn load(bench: &Bench, cell: &Cell, variant: Variant, proxy: &Proxy, seconds: u64) -> Result<Run, Failure> {
    match cell.load {
        Load::Http(http) => http.run(&bench.household, &proxy.directory(), scheme(variant), proxy.port, seconds),
        Load::Http2(http2) => http2.run(&bench.household, &proxy.directory(), proxy.port, seconds),
        Load::Handshake(handshake) => handshake.run(proxy.port, &bench.certificate, Duration::from_secs(seconds)),
        Load::Echo => echo::run(proxy.port, Duration::from_secs(seconds)),
        Load::Crowd => Err("idle clients make no requests".into()),
    }
}

fn crowd(proxy: &Proxy, certificate: Option<&PathBuf>) -> Result<Sample, Failure> {
    let clients = CLIENTS as f64;
    let before = proc::resident(proxy.id());
    let mut crowd = Crowd::gather(proxy.port, certificate.map(PathBuf::as_path))?;
    thread::sleep(REST);
    let first = proc::resident(proxy.id());
    crowd.ask_again()?;
    thread::sleep(REST);
    let second = proc::resident(proxy.id());
    Ok(Sample::from([
        (Measure::ResidentBefore, before),
        (Measure::IdleClient, (first - before) / clients),
        (Measure::IdleClientAfterSecondWave, (second - before) / clients),
    ]))
}

/// System calls per request, by name and the most frequent first, in a short run of its own.
pub fn system_calls(
    bench: &Bench,
    cell: &Cell,
    contender: &Contender,
    variant: Variant,
) -> Result<Vec<(String, f64)>, Failure> {
    if matches!(cell.load, Load::Crowd) {
        return Ok(Vec::new());
    }
    let proxy = Proxy::start(bench, contender, variant)?;
    warm_up(bench, cell, variant, &proxy)?;
    let summary = proxy.directory().join("strace.txt");
    let mut command = program("strace");
    command.args(["-f", "-c", "-o"]).arg(&summary);
    proc::family(proxy.id()).iter().for_each(|stat| {
        command.args(["-p", &stat.id.to_string()]);
    });
    let strace = bench.household.start(command, &bench.places.load, &proxy.directory().join("strace.log"))?;
    // It has nothing to say once it has attached to every thread, so it is given a moment.
    thread::sleep(WARM_UP);
    let run = load(bench, cell, variant, &proxy, 1);
    strace.signal(Signal::SIGINT);
    strace.wait()?;
    let requests = run?.requests.max(1) as f64;
    let calls = strace::calls(&fs::read_to_string(&summary)?);
    if calls.is_empty() {
        return Err("strace counted nothing; is it installed, and may it attach?".into());
    }
    Ok(calls.into_iter().map(|(name, count)| (name, count as f64 / requests)).collect())
}

//! The machine: who runs where, how many descriptors there are, and what it is called.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use super::Failure;
use super::figures::report::Machine;
use super::figures::stat::processor;

/// Enough for two descriptors per client of the largest cell, with as much again.
const DESCRIPTORS: u64 = 65_536;

/// Which CPUs are whose.
pub struct Places {
    pub proxy: CpuSet,
    pub load: CpuSet,
    pub everywhere: CpuSet,
    pub proxy_name: String,
    pub load_name: String,
    pub count: usize,
}

impl Places {
    /// The last CPU is the proxy's, the others carry load and origins. With a single one all share it.
    pub fn find() -> Result<Self, Failure> {
        let everywhere = sched_getaffinity(Pid::from_raw(0))?;
        let cpus: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| everywhere.is_set(cpu).unwrap_or(false)).collect();
        let (last, others) = cpus.split_last().ok_or("no CPU is allowed to us")?;
        let others = if others.is_empty() { cpus.as_slice() } else { others };
        Ok(Self {
            proxy: set(&[*last])?,
            load: set(others)?,
            everywhere,
            proxy_name: last.to_string(),
            load_name: others.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
            count: cpus.len(),
        })
    }

    /// Takes this thread, and all that it will start, to where load and origins belong.
    pub fn settle(&self) -> Result<(), Failure> {
        Ok(sched_setaffinity(Pid::from_raw(0), &self.load)?)
    }
}

fn set(cpus: &[usize]) -> Result<CpuSet, Failure> {
    let mut set = CpuSet::new();
    cpus.iter().try_for_each(|&cpu| set.set(cpu))?;
    Ok(set)
}

/// Asks for as many descriptors as the largest cell wants, and returns how many there are.
pub fn raise_descriptors() -> Result<u64, Failure> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Root may raise the hard limit too.
    let raised = setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, hard.max(DESCRIPTORS));
    raised.or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))?;
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

/// What the machine says of itself.
pub fn facts(places: &Places, versions: BTreeMap<String, String>) -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (cpuinfo, release) = (read("/proc/cpuinfo"), read("/etc/os-release"));
    let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Machine {
        processor: processor(&cpuinfo).unwrap_or("unknown").to_owned(),
        cpus: places.count,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        load_average: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
        system: system.unwrap_or("unknown").trim_matches('"').to_owned(),
        versions,
    }
}

/// The kind of file system that a directory is on; one in memory would make logs cheaper than they are.
pub fn file_system(directory: &Path) -> String {
    let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(directory).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The version that a program names when it is asked, on whichever output.
pub fn version(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let line = said.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()))?;
    let word = line.split([' ', '/']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Some(word.unwrap_or(line).to_owned())
}

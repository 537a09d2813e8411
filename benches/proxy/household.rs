//! Programs that we start. None outlives us: each ends with its guard, all of them when we are interrupted, and the
//! kernel ends them should we be killed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Failure;
use super::proc;

/// How long a program may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Household {
    children: Mutex<BTreeMap<u32, Child>>,
}

/// A running program. Dropping it ends it.
pub struct Process {
    id: u32,
    household: Arc<Household>,
}

/// A program with its words, `util-linux` asking the kernel to end it with us.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(name).stdin(Stdio::null());
    command
}

impl Household {
    /// Starts a program where this thread runs.
    pub fn start_here(self: &Arc<Self>, command: Command, log: &Path) -> Result<Process, Failure> {
        self.start(command, &sched_getaffinity(Pid::from_raw(0))?, log)
    }

    /// Starts a program on these CPUs, with what it says in `log`.
    pub fn start(self: &Arc<Self>, mut command: Command, cpus: &CpuSet, log: &Path) -> Result<Process, Failure> {
        let log = File::create(log)?;
        command.stdout(log.try_clone()?).stderr(log);
        Ok(self.keep(spawn_on(&mut command, cpus)?))
    }

    /// Runs a program on our own CPUs to its end and returns what it printed.
    pub fn output(self: &Arc<Self>, mut command: Command) -> Result<String, Failure> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let stdout = child.stdout.take();
        let process = self.keep(child);
        let mut text = String::new();
        stdout.map(|mut stdout| stdout.read_to_string(&mut text)).transpose()?;
        process.wait()?;
        Ok(text)
    }

    fn keep(self: &Arc<Self>, child: Child) -> Process {
        let id = child.id();
        self.children().insert(id, child);
        Process { id, household: Arc::clone(self) }
    }

    /// Ends everybody, at once: for the moment when we are told to go.
    pub fn end_all(&self) {
        let children = std::mem::take(&mut *self.children());
        for (id, mut child) in children {
            end(id, &mut child);
        }
    }

    fn children(&self) -> MutexGuard<'_, BTreeMap<u32, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether it has ended without being asked to.
    pub fn has_ended(&self) -> bool {
        let mut children = self.household.children();
        children.get_mut(&self.id).is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    pub fn signal(&self, signal: Signal) {
        send(self.id, signal);
    }

    /// Waits for it to end by itself, without holding the others up.
    pub fn wait(&self) -> Result<(), Failure> {
        while !self.has_ended() {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.household.children().remove(&self.id);
        if let Some(mut child) = child {
            end(self.id, &mut child);
        }
    }
}

/// A child begins where its parent's thread runs, so that thread goes there for the moment.
fn spawn_on(command: &mut Command, cpus: &CpuSet) -> Result<Child, Failure> {
    let this_thread = Pid::from_raw(0);
    let here = sched_getaffinity(this_thread)?;
    sched_setaffinity(this_thread, cpus)?;
    let spawned = command.spawn();
    sched_setaffinity(this_thread, &here)?;
    let name = command.get_args().nth(3).unwrap_or_else(|| command.get_program()).to_string_lossy().into_owned();
    spawned.map_err(|error| format!("{name} cannot be started: {error}").into())
}

/// Asks it to end. If it does not, its children are ended with it.
fn end(id: u32, child: &mut Child) {
    send(id, Signal::SIGTERM);
    let begun = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if begun.elapsed() > PATIENCE {
            proc::family(id).iter().for_each(|stat| send(stat.id, Signal::SIGKILL));
            let _ = child.wait();
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn send(id: u32, signal: Signal) {
    if let Ok(id) = i32::try_from(id) {
        // Who is gone already needs no signal.
        let _ = kill(Pid::from_raw(id), signal);
    }
}

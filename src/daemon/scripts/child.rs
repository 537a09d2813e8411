//! One script as a process: bounded in time and output, and gone with all its children when this returns.

use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// How often it is looked whether a script has ended that closed its output, or whose children keep it open.
const LOOK: u16 = 20;
/// After SIGTERM, until SIGKILL: time to write a last line.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// After SIGKILL. A process that hangs in the kernel, at a disk that does not answer, is left to itself then.
const BURIAL: Duration = Duration::from_secs(2);
/// What is kept of a script's output: some screens full.
const KEPT: usize = 16 * 1024;
/// Reads after the end: what a pipe holds. A child that ran away may write without end.
const LAST_READS: usize = 16;

/// What is to be run, and how.
#[derive(Debug)]
pub struct Order<'a> {
    pub program: &'a Path,
    pub arguments: &'a [String],
    pub environment: &'a [(&'static str, OsString)],
    /// As whom; `None`: as this process.
    pub account: Option<Account>,
    pub timeout: Duration,
}

/// A user with his group; further groups are given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
}

/// How it ended.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Itself(ExitStatus),
    /// It took too long.
    TimedOut,
    /// We were asked to stop.
    Stopped,
}

/// What it said on both of its outputs.
#[derive(Debug, Default)]
pub struct Output {
    pub kept: Vec<u8>,
    /// Bytes that were read and thrown away.
    pub more: u64,
}

/// Runs it to its end, which comes some seconds after its timeout at the latest, or after `stop` has become true.
///
/// # Errors
///
/// The system does not start it.
pub fn run(order: &Order<'_>, stop: impl Fn() -> bool) -> io::Result<(End, Output)> {
    let (child, output) = start(order)?;
    let mut running = Running { group: group_of(&child), child, pipe: Some(output), output: Output::default() };
    let end = running.live(Instant::now() + order.timeout, stop);
    running.clear_up();
    Ok((end, running.output))
}

/// In a process group of its own, with nothing of ours but one pipe.
fn start(order: &Order<'_>) -> io::Result<(Child, PipeReader)> {
    let (output, input) = io::pipe()?;
    let mut command = Command::new(order.program);
    command.args(order.arguments).env_clear().envs(order.environment.iter().cloned()).current_dir("/");
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input).process_group(0);
    if let Some(Account { uid, gid }) = order.account {
        // The standard library gives up all further groups where it changes the user.
        command.gid(gid).uid(uid);
    }
    Ok((command.spawn()?, output))
}

fn group_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

struct Running {
    child: Child,
    /// Its number is the leader's; nobody else gets it before the leader is buried.
    group: Pid,
    /// `None`: everybody who could write has closed it.
    pipe: Option<PipeReader>,
    output: Output,
}

impl Running {
    fn live(&mut self, until: Instant, stop: impl Fn() -> bool) -> End {
        loop {
            if self.has_ended() {
                return self.bury();
            }
            let (late, stopped) = (Instant::now() >= until, stop());
            if late || stopped {
                self.end();
                return if late { End::TimedOut } else { End::Stopped };
            }
            self.listen(LOOK);
        }
    }

    /// Asks it to end, then makes it.
    fn end(&mut self) {
        for (signal, patience) in [(Signal::SIGTERM, LAST_WORDS), (Signal::SIGKILL, BURIAL)] {
            self.signal(signal);
            let until = Instant::now() + patience;
            while !self.has_ended() && Instant::now() < until {
                self.listen(LOOK);
            }
        }
        if self.has_ended() {
            self.bury();
        } else {
            tracing::error!("process {} does not end although it was killed; it is left to itself", self.group);
        }
    }

    /// The leader is left unburied, so that its number still means its group.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.group), flags), Ok(WaitStatus::StillAlive))
    }

    /// Whoever is left of the group goes with its leader.
    fn bury(&mut self) -> End {
        self.signal(Signal::SIGKILL);
        self.child.wait().map_or(End::Stopped, End::Itself)
    }

    fn signal(&self, signal: Signal) {
        // A group that is gone already is no fault.
        let _ = killpg(self.group, signal);
    }

    /// Reads what there is, waiting for it no longer than this.
    fn listen(&mut self, milliseconds: u16) {
        if self.pipe.is_none() {
            thread::sleep(Duration::from_millis(milliseconds.into()));
        } else if self.speaks_within(milliseconds) {
            self.read();
        }
    }

    fn speaks_within(&self, milliseconds: u16) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let mut asked = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        poll(&mut asked, PollTimeout::from(milliseconds)).is_ok_and(|ready| ready > 0)
    }

    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut bytes = [0; 4096];
        match pipe.read(&mut bytes) {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(count) => self.output.take(bytes.get(..count).unwrap_or_default()),
        }
    }

    /// What was written before the end, and no more.
    fn clear_up(&mut self) {
        for _ in 0..LAST_READS {
            if !self.speaks_within(0) {
                return;
            }
            self.read();
        }
    }
}

impl Output {
    fn take(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.kept.len()).min(bytes.len());
        let (kept, more) = bytes.split_at(room);
        self.kept.extend_from_slice(kept);
        self.more += more.len() as u64;
    }
}

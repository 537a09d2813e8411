//! What the kernel knows of running programs.

use std::fs;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use super::figures::stat::{Stat, descendants, resident_kib};

/// CPU time that a program and its children have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// The CPU clock, exact.
    pub microseconds: f64,
    /// Ticks of 10 ms, good for the proportion only.
    pub user_ticks: u64,
    pub system_ticks: u64,
}

impl Usage {
    pub fn of(id: u32) -> Self {
        family(id).iter().fold(Self::default(), |sum, stat| Self {
            microseconds: sum.microseconds + clock(stat.id).unwrap_or_default(),
            user_ticks: sum.user_ticks + stat.user_ticks,
            system_ticks: sum.system_ticks + stat.system_ticks,
        })
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            microseconds: self.microseconds - before.microseconds,
            user_ticks: self.user_ticks.saturating_sub(before.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(before.system_ticks),
        }
    }

    /// The part that was spent outside of the kernel; `None` without a tick.
    pub fn user_part(self) -> Option<f64> {
        let ticks = self.user_ticks + self.system_ticks;
        (ticks > 0).then(|| self.user_ticks as f64 / ticks as f64)
    }
}

fn clock(id: u32) -> Option<f64> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(id).ok()?)).ok()?;
    let time = clock.now().ok()?;
    Some(time.tv_sec() as f64 * 1e6 + time.tv_nsec() as f64 / 1e3)
}

/// A program and its children, and theirs.
pub fn family(id: u32) -> Vec<Stat> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    // A process may end while we look.
    let read = |entry: fs::DirEntry| Stat::parse(&fs::read_to_string(entry.path().join("stat")).ok()?);
    descendants(id, &processes.filter_map(read).collect::<Vec<_>>())
}

/// Resident memory of a program and its children.
pub fn resident(id: u32) -> f64 {
    let read = |stat: &Stat| resident_kib(&fs::read_to_string(format!("/proc/{}/status", stat.id)).ok()?);
    family(id).iter().filter_map(read).sum::<u64>() as f64
}

/// The threads of a program.
pub fn threads(id: u32) -> Vec<Stat> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|entry| Stat::parse(&fs::read_to_string(entry.path().join("stat")).ok()?)).collect()
}

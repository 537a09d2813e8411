//! Reads how much memory the process has, and tells the workers when it is too much.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::datapath::proxy::{Pressure, ceiling};

use super::heart::Heart;

/// Between two looks; a look is one small file of the kernel's.
const EVERY: Duration = Duration::from_secs(1);

/// While it is more than half of what may be: a flood takes some hundred MiB in a second.
const CLOSELY: Duration = Duration::from_millis(100);

/// Between two rounds of closing silent clients: what the last one freed has gone back to the system by then.
const SHED: Duration = Duration::from_secs(1);

/// Looks for as long as the daemon lives.
pub async fn run(heart: Rc<Heart>) {
    let (available, group) = (available(), group_limit());
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().map_or(4096, |size| size as u64);
    let mut statm = None;
    let (mut level, mut until_shed, mut resident) = (Pressure::Calm, Duration::ZERO, 0);
    loop {
        let asked = heart.read(|dispatcher| dispatcher.config().executor.maxmemory);
        let most = ceiling(asked, available, group);
        // What cannot be read is what it was: descriptors are used up when memory is, too.
        resident = read_resident(&mut statm, page).unwrap_or(resident);
        let before = level;
        level = before.next(resident, most);
        heart.workers().shared().set_memory(resident, most, level);
        if before != level {
            tell(before, level, resident, most);
        }
        let pause = if most > 0 && resident > most / 2 { CLOSELY } else { EVERY };
        until_shed = until_shed.saturating_sub(pause);
        if level >= Pressure::Shedding && until_shed.is_zero() {
            heart.workers().shed();
            until_shed = SHED;
        }
        tokio::time::sleep(pause).await;
    }
}

fn tell(before: Pressure, level: Pressure, resident: u64, most: u64) {
    let (used, most) = (resident >> 20, most >> 20);
    match level {
        Pressure::Calm => tracing::warn!("memory: {used} of {most} MiB; clients are served again"),
        level => tracing::warn!("memory: {used} of {most} MiB; {} ({before:?} before)", level.words()),
    }
}

/// The second number of proc_pid_statm(5).
fn read_resident(statm: &mut Option<File>, page: u64) -> Option<u64> {
    if statm.is_none() {
        *statm = File::open("/proc/self/statm").ok();
    }
    let mut bytes = [0; 256];
    let read = statm.as_ref()?.read_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(bytes.get(..read)?).ok()?;
    text.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages.saturating_mul(page))
}

fn available() -> Option<u64> {
    parse_available(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_available(meminfo: &str) -> Option<u64> {
    let rest = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    rest.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The least limit of this process's control group and of those around it, in either version.
fn group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let read = |file: PathBuf| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    limit_files(&groups).into_iter().filter_map(read).min()
}

/// Where limits are told: for each line of cgroup(7)'s `hierarchy:controllers:path`, the group and its parents. In a
/// container the path may be the host's and lead nowhere; then the root is the container's own.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let lines = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?))
    });
    lines
        .filter_map(|(controllers, path)| match controllers {
            "" => Some(("/sys/fs/cgroup", "memory.max", path)),
            several if several.split(',').any(|one| one == "memory") => {
                Some(("/sys/fs/cgroup/memory", "memory.limit_in_bytes", path))
            }
            _ => None,
        })
        .flat_map(|(root, file, path)| {
            let own = Path::new(path.trim_start_matches('/')).ancestors();
            own.map(move |group| Path::new(root).join(group).join(file))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_understood() {
        assert_eq!(parse_available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(parse_available("MemTotal: 9 kB\n"), None);
        let mut statm = None;
        for _ in 0..2 {
            assert!(read_resident(&mut statm, 4096).is_some_and(|bytes| bytes > 1 << 20));
        }
    }

    #[test]
    fn a_group_is_bounded_by_those_around_it() {
        let files = limit_files("0::/system.slice/tsuji.service\n");
        let expected = ["system.slice/tsuji.service/", "system.slice/", ""];
        assert_eq!(files, expected.map(|group| PathBuf::from(format!("/sys/fs/cgroup/{group}memory.max"))));
        let files = limit_files("4:cpu,memory:/a\n1:name=systemd:/a\n");
        let expected = ["a/", ""].map(|group| format!("/sys/fs/cgroup/memory/{group}memory.limit_in_bytes"));
        assert_eq!(files, expected.map(PathBuf::from));
    }
}

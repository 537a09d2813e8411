//! This process as the kernel sees it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::page::{About, Labels, Page, timestamp};

/// Figures of this process from `/proc`. What cannot be read is `None` and left out of the page: a hardened unit may
/// hide a file, and a scrape is no reason to fail.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessReading {
    /// User and system time.
    pub cpu_seconds: Option<f64>,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub open_fds: Option<u64>,
    /// The soft limit; `None` also where there is no limit.
    pub max_fds: Option<u64>,
    pub threads: Option<u64>,
}

impl ProcessReading {
    /// Reads `/proc/self`.
    pub fn take() -> Self {
        Self::from_directory(Path::new("/proc/self"))
    }

    fn from_directory(process: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(process.join(name)).unwrap_or_default();
        let status = text("status");
        Self {
            cpu_seconds: cpu_seconds(&text("stat")),
            resident_bytes: kibibytes(&status, "VmRSS:"),
            virtual_bytes: kibibytes(&status, "VmSize:"),
            open_fds: fs::read_dir(process.join("fd")).ok().map(|entries| entries.count() as u64),
            max_fds: after(&text("limits"), "Max open files"),
            threads: after(&status, "Threads:"),
        }
    }
}

/// Fields 14 and 15 of proc_pid_stat(5). The second field, the name, may contain anything, so counting begins behind its
/// last parenthesis, at field 3.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(14 - 3).map(str::parse::<u64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

/// What the kernel tells user space is in units of 1/100 s on every architecture that Rust's std supports, whatever
/// the kernel's own tick (USER_HZ; proc(5) reads it with sysconf, which answers this constant).
const TICKS_PER_SECOND: f64 = 100.0;

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    after(text, key)?.checked_mul(1024)
}

/// The number behind this key at the beginning of a line.
fn after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

pub(super) fn write(page: &mut Page, process: &ProcessReading, started: SystemTime) {
    let sample = |value: f64| (Labels::default(), value);
    let whole = |value: Option<u64>| value.map(|value| sample(value as f64));
    page.counters(CPU, process.cpu_seconds.map(sample));
    page.gauges(RESIDENT, whole(process.resident_bytes));
    page.gauges(VIRTUAL, whole(process.virtual_bytes));
    page.gauges(OPEN_FDS, whole(process.open_fds));
    page.gauges(MAX_FDS, whole(process.max_fds));
    page.gauges(THREADS, whole(process.threads));
    page.gauge(STARTED, timestamp(started));
}

const CPU: About = About::new("process_cpu_seconds_total", "User and system time spent.");
const RESIDENT: About = About::new("process_resident_memory_bytes", "Memory in use.");
const VIRTUAL: About = About::new("process_virtual_memory_bytes", "Address space reserved.");
const OPEN_FDS: About = About::new("process_open_fds", "File descriptors open now.");
const MAX_FDS: About = About::new("process_max_fds", "File descriptors that may be open.");
const THREADS: About = About::new("process_threads", "Threads of the process.");
const STARTED: About = About::new("process_start_time_seconds", "When the process started, in seconds since 1970.");

#[cfg(test)]
mod tests {
    use super::*;

    fn write_file(directory: &Path, name: &str, text: &str) {
        fs::write(directory.join(name), text).unwrap();
    }

    #[test]
    fn figures_of_a_process() {
        let directory = tempfile::tempdir().unwrap();
        let process = directory.path();
        fs::create_dir(process.join("fd")).unwrap();
        for fd in ["0", "1", "7"] {
            write_file(&process.join("fd"), fd, "");
        }
        write_file(process, "stat", "7 (a) name ) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 3 4 20 0 9 0 1234 99 88\n");
        write_file(process, "status", "Name:\tx\nVmSize:\t   20 kB\nVmRSS:\t   10 kB\nThreads:\t9\n");
        write_file(process, "limits", "Limit  Soft  Hard Units\nMax open files            1024  4096  files\n");
        let expected = ProcessReading {
            cpu_seconds: Some(3.0),
            resident_bytes: Some(10 * 1024),
            virtual_bytes: Some(20 * 1024),
            open_fds: Some(3),
            max_fds: Some(1024),
            threads: Some(9),
        };
        assert_eq!(ProcessReading::from_directory(process), expected);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(ProcessReading::from_directory(directory.path()), ProcessReading::default());
        write_file(directory.path(), "stat", "7 (x) S 1");
        write_file(directory.path(), "status", "VmRSS: many kB\nThreads:\n");
        write_file(directory.path(), "limits", "Max open files  unlimited unlimited files\n");
        assert_eq!(ProcessReading::from_directory(directory.path()), ProcessReading::default());
    }

    #[test]
    fn this_very_process_has_all_figures() {
        let reading = ProcessReading::take();
        assert!(reading.cpu_seconds.is_some() && reading.threads.is_some_and(|threads| threads > 0), "{reading:?}");
        assert!(reading.resident_bytes > Some(0) && reading.virtual_bytes >= reading.resident_bytes, "{reading:?}");
        assert!(reading.open_fds > Some(0), "{reading:?}");
    }
}

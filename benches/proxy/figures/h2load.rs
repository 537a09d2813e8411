//! What h2load prints and writes.

use super::wrk::Run;

/// The figures of one run, of its summary and of its log: `time \t status \t microseconds` for each request.
pub fn run(text: &str, log: &str) -> Option<Run> {
    let mut times: Vec<u64> = log.lines().filter_map(|line| line.split('\t').nth(2)?.trim().parse().ok()).collect();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(f64::NAN, |&time| time as f64);
    let [done, failed, errored] = ["done", "failed", "errored"].map(|what| count(text, "requests:", what));
    let other = ["4xx", "5xx"].map(|what| count(text, "status codes:", what).unwrap_or(0));
    Some(Run {
        requests: done?,
        seconds: seconds(text)?,
        p50_us: at(50),
        p99_us: at(99),
        failures: failed? + errored? + other.iter().sum::<u64>(),
    })
}

/// `finished in 5.00s, 12345.60 req/s, 1.20MB/s`
fn seconds(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("finished in "))?;
    super::wrk::microseconds(line.split(',').next()?).map(|time| time / 1e6)
}

/// `requests: 200 total, 200 started, 200 done, 200 succeeded, 0 failed, 0 errored, 0 timeout`
fn count(text: &str, line: &str, what: &str) -> Option<u64> {
    let counts = text.lines().find_map(|there| there.strip_prefix(line))?;
    counts.split(',').find_map(|count| count.trim().strip_suffix(what)?.trim().parse().ok())
}

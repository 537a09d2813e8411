//! What `wrk --latency` prints.

/// The figures of one run of wrk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    pub requests: u64,
    pub seconds: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Errors of sockets, time-outs and answers that are neither 2xx nor 3xx.
    pub failures: u64,
}

impl Run {
    pub fn parse(text: &str) -> Option<Self> {
        let (requests, seconds) = text.lines().find_map(total)?;
        Some(Self {
            requests,
            seconds,
            p50_us: percentile(text, "50%")?,
            p99_us: percentile(text, "99%")?,
            failures: socket_errors(text) + refusals(text),
        })
    }
}

/// `  22464657 requests in 30.00s, 17.76GB read`
fn total(line: &str) -> Option<(u64, f64)> {
    let (requests, rest) = line.split_once(" requests in ")?;
    let (time, _) = rest.split_once(',')?;
    Some((requests.trim().parse().ok()?, microseconds(time)? / 1e6))
}

/// `     99%    5.80ms`
fn percentile(text: &str, which: &str) -> Option<f64> {
    microseconds(text.lines().find_map(|line| line.trim().strip_prefix(which))?.trim())
}

/// `  Socket errors: connect 0, read 3, write 0, timeout 1`
fn socket_errors(text: &str) -> u64 {
    let counts = text.lines().find_map(|line| line.trim().strip_prefix("Socket errors:")).unwrap_or_default();
    counts.split(',').filter_map(|count| count.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// `  Non-2xx or 3xx responses: 5`
fn refusals(text: &str) -> u64 {
    let count = text.lines().find_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

/// wrk writes times as `250.00us`, `5.80ms`, `1.20s`, `2.00m` and `1.00h`.
pub fn microseconds(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3600e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

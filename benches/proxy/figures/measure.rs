//! What is measured, and what several measurements of it come to.

use std::collections::BTreeMap;

use serde::Serialize;

/// One figure of one run, in the unit that `unit` names.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// CPU time of all threads and processes of the proxy, over the requests of the run.
    CpuPerRequest,
    UserPerRequest,
    SystemPerRequest,
    /// Requests per second of the run. The load shares the machine, so this is of less use than CPU time.
    Rate,
    /// The latency that half of the requests stayed under.
    LatencyP50,
    LatencyP99,
    /// Counted in a run of its own under strace, which slows the proxy down: it then finds more to do per wake-up.
    SystemCallsPerRequest,
    /// Requests that failed or were not answered with 2xx.
    Failures,
    /// Resident memory before the first of the idle clients.
    ResidentBefore,
    /// Resident memory that each idle client costs after one request.
    IdleClient,
    /// The same after each has made another request.
    IdleClientAfterSecondWave,
    /// The busiest worker's part of all workers' CPU time.
    BusiestWorker,
    /// The busiest server's part of all requests.
    BusiestServer,
}

impl Measure {
    pub const fn title(self) -> &'static str {
        match self {
            Self::CpuPerRequest => "CPU/req",
            Self::UserPerRequest => "user",
            Self::SystemPerRequest => "system",
            Self::Rate => "rate",
            Self::LatencyP50 => "p50",
            Self::LatencyP99 => "p99",
            Self::SystemCallsPerRequest => "syscalls",
            Self::Failures => "failures",
            Self::ResidentBefore => "before",
            Self::IdleClient => "per client",
            Self::IdleClientAfterSecondWave => "second wave",
            Self::BusiestWorker => "busiest worker",
            Self::BusiestServer => "busiest server",
        }
    }

    pub const fn unit(self) -> &'static str {
        match self {
            Self::CpuPerRequest
            | Self::UserPerRequest
            | Self::SystemPerRequest
            | Self::LatencyP50
            | Self::LatencyP99 => "µs",
            Self::Rate => "1/s",
            Self::SystemCallsPerRequest => "/req",
            Self::Failures => "",
            Self::ResidentBefore | Self::IdleClient | Self::IdleClientAfterSecondWave => "KiB",
            Self::BusiestWorker | Self::BusiestServer => "%",
        }
    }
}

/// The figures of one run.
pub type Sample = BTreeMap<Measure, f64>;

/// Several values of one figure: the one in the middle, between which two the middle half lies, and the ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub lower: f64,
    pub upper: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` without a value, or with one that is no number.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quarter = |quarters| quartile(&sorted, quarters);
        let (least, lower, median, upper, most) = (quarter(0)?, quarter(1)?, quarter(2)?, quarter(3)?, quarter(4)?);
        Some(Self { median, lower, upper, least, most })
    }

    /// The spread of `of ÷ to`, round by round: what disturbs a whole round disturbs both and falls out.
    pub fn of_ratios(of: &[f64], to: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
        Self::of(&ratios)
    }
}

/// The value below which so many quarters of all lie; between two values in proportion.
fn quartile(sorted: &[f64], quarters: usize) -> Option<f64> {
    let steps = sorted.len().checked_sub(1)? * quarters;
    let (at, rest) = (steps / 4, (steps % 4) as f64 / 4.0);
    let below = *sorted.get(at)?;
    let above = sorted.get(at + 1).copied().unwrap_or(below);
    Some(below + (above - below) * rest)
}

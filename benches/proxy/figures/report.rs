//! Everything that a run of the bench found out, in the form that is written as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measure::{Measure, Sample, Spread};

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub method: Method,
    pub cells: Vec<Cell>,
    /// What was left out and why.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cpus: usize,
    pub kernel: String,
    pub system: String,
    /// How many wanted to run before we came, over the last minute: figures of a busy machine are noisy.
    pub load_average: f64,
    /// Program and version, by the name it has in the cells.
    pub versions: BTreeMap<String, String>,
}

/// The sizes of the peers' buffers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Buffers {
    /// Their own, as most people run them.
    Default,
    /// As an expert sets them for large bodies.
    Tuned,
}

impl Buffers {
    pub const fn title(self) -> &'static str {
        match self {
            Self::Default => "HAProxy and nginx with their default buffers",
            Self::Tuned => "HAProxy and nginx with buffers tuned for large bodies",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Method {
    pub peers_buffers: Buffers,
    pub rounds: usize,
    pub seconds: u64,
    /// Of cells that set a product against itself, where a few percent count.
    pub precise_rounds: usize,
    pub precise_seconds: u64,
    pub seed: u64,
    pub proxy_cpu: String,
    pub load_cpu: String,
    /// Access logs are written to one of this kind.
    pub file_system: String,
}

/// One kind of load and those that were put under it.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    pub name: String,
    pub title: String,
    /// The figure that this cell is about; ratios are of this one.
    pub headline: Measure,
    pub rows: Vec<Row>,
    pub ratios: Vec<Ratio>,
    /// What has to be known to read the figures.
    pub remark: Option<String>,
}

/// One contender in one cell.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub figures: BTreeMap<Measure, Spread>,
    /// The most frequent system calls, per request.
    pub calls: BTreeMap<String, f64>,
    pub rounds: Vec<Sample>,
}

/// The headline of one row over that of another one, round by round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    pub of: String,
    pub to: String,
    pub spread: Spread,
}

impl Row {
    pub fn new(name: String, rounds: Vec<Sample>) -> Self {
        let mut values: BTreeMap<Measure, Vec<f64>> = BTreeMap::new();
        for (measure, value) in rounds.iter().flatten() {
            values.entry(*measure).or_default().push(*value);
        }
        let spreads = values.into_iter().filter_map(|(measure, values)| Some((measure, Spread::of(&values)?)));
        Self { name, figures: spreads.collect(), calls: BTreeMap::new(), rounds }
    }

    /// Adds system calls, which are per request.
    pub fn count(&mut self, calls: Vec<(String, f64)>) {
        let values = [calls.iter().map(|(_, count)| count).sum()];
        if !calls.is_empty()
            && let Some(spread) = Spread::of(&values)
        {
            self.figures.insert(Measure::SystemCallsPerRequest, spread);
        }
        self.calls = calls.into_iter().collect();
    }

    fn values(&self, measure: Measure) -> Option<Vec<f64>> {
        self.rounds.iter().map(|sample| sample.get(&measure).copied()).collect()
    }
}

impl Cell {
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Sets one row over another; nothing if one of them is not there or was not measured in every round.
    pub fn compare(&mut self, of: &str, to: &str) {
        let values = |name| self.row(name)?.values(self.headline);
        let spread = values(of).zip(values(to)).and_then(|(of, to)| Spread::of_ratios(&of, &to));
        self.ratios.extend(spread.map(|spread| Ratio { of: of.to_owned(), to: to.to_owned(), spread }));
    }
}

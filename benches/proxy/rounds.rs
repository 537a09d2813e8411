//! Rounds: each contender of a cell once per round, in an order that changes, each time as a fresh process. What a
//! process happens to get at its start (addresses, seeds of hashes) so becomes part of the spread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cells::{Cell, Load, Variant};
use super::figures::measure::{Measure, Sample};
use super::figures::order::bring_together;
use super::figures::report::{self, Row};
use super::figures::table::number;
use super::household::Household;
use super::machine::Places;
use super::options::Plan;
use super::origin::Origins;
use super::products::{Contender, Product};
use super::proxy::Proxy;
use super::run::{measure, remark, system_calls};

/// Everything that runs share.
pub struct Bench<'a> {
    pub plan: &'a Plan,
    pub contenders: &'a [Contender],
    pub places: &'a Places,
    pub origins: Origins,
    pub household: Arc<Household>,
    pub directory: &'a Path,
    /// For proxies whose clients speak TLS: ECDSA on P-256.
    pub certificate: PathBuf,
    pub descriptors: u64,
    pub syscalls: bool,
    pub random: fastrand::Rng,
    pub notes: Vec<String>,
}

/// One row of a cell in the making.
struct Entry<'a> {
    name: String,
    contender: &'a Contender,
    variant: Variant,
    /// Where its row stands in the cell.
    place: usize,
    samples: Vec<Sample>,
}

/// Beginnings of 5,000 clients take their time, and memory varies little.
const ROUNDS_OF_CROWDS: usize = 3;

/// On a busy machine one run may starve; a product that cannot do what is asked fails each time.
const ATTEMPTS: usize = 3;

impl<'a> Bench<'a> {
    /// Measures one cell. Who cannot take part is left out, with a note.
    pub fn cell(&mut self, cell: &Cell) -> report::Cell {
        let mut entries = self.entries(cell);
        let rounds = match cell.load {
            Load::Crowd => self.plan.rounds.min(ROUNDS_OF_CROWDS),
            Load::Http(_) | Load::Http2(_) | Load::Handshake(_) | Load::Echo => self.plan.rounds_of(cell),
        };
        for round in 1..=rounds {
            if entries.is_empty() {
                break;
            }
            self.random.shuffle(&mut entries);
            bring_together(&mut entries, |entry| &entry.contender.name);
            eprint!("{} {round}/{rounds}:", cell.name);
            entries.retain_mut(|entry| self.turn(cell, entry));
            eprintln!();
        }
        self.finish(cell, entries)
    }

    /// A contender takes part in all variants or in none: one alone has nothing to be compared with.
    fn entries(&mut self, cell: &Cell) -> Vec<Entry<'a>> {
        let mut entries = Vec::new();
        for contender in self.contenders {
            let is_meant = |variant: &&Variant| contender.product == Product::Tsuji || !variant.tsuji_only;
            let variants: Vec<&Variant> = cell.variants.iter().filter(is_meant).collect();
            if let Some(why) = variants.iter().find_map(|variant| self.refusal(contender, variant)) {
                self.note(format!("{}: {} is left out: {why}", cell.name, contender.name));
                continue;
            }
            for &variant in variants {
                let name = format!("{}{}", contender.name, variant.suffix);
                entries.push(Entry { name, contender, variant, place: entries.len(), samples: Vec::new() });
            }
        }
        entries
    }

    fn refusal(&self, contender: &Contender, variant: &Variant) -> Option<String> {
        Proxy::site(self).map_or_else(|error| Some(error.to_string()), |site| contender.refusal(variant.setup, &site))
    }

    /// One run; false if it failed each time and there shall be no more of this entry.
    fn turn(&mut self, cell: &Cell, entry: &mut Entry) -> bool {
        for _ in 0..ATTEMPTS {
            match measure(self, cell, entry.contender, entry.variant) {
                Ok(sample) => {
                    let headline = sample.get(&cell.headline).copied().unwrap_or(f64::NAN);
                    eprint!("  {} {}", entry.name, number(headline));
                    entry.samples.push(sample);
                    return true;
                }
                Err(error) => self.note(format!("{}: a run of {} failed: {error}", cell.name, entry.name)),
            }
        }
        self.note(format!("{}: {} is left out", cell.name, entry.name));
        false
    }

    fn finish(&mut self, cell: &Cell, mut entries: Vec<Entry>) -> report::Cell {
        entries.sort_by_key(|entry| entry.place);
        let mut finished = report::Cell {
            name: cell.name.to_owned(),
            title: cell.title.to_owned(),
            headline: cell.headline,
            rows: Vec::new(),
            ratios: Vec::new(),
            remark: remark(cell),
        };
        let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        for entry in entries {
            let mut row = Row::new(entry.name, entry.samples);
            if self.syscalls && cell.variants.len() == 1 {
                match system_calls(self, cell, entry.contender, entry.variant) {
                    Ok(calls) => row.count(calls),
                    Err(error) => self.note(format!("{}: system calls of {}: {error}", cell.name, row.name)),
                }
            }
            finished.rows.push(row);
        }
        compare(&mut finished, cell, &names);
        finished
    }

    pub fn note(&mut self, note: String) {
        eprintln!("\n{note}");
        self.notes.push(note);
    }
}

/// Tsuji over everybody else; where a cell has variants, each contender's last over its first.
fn compare(finished: &mut report::Cell, cell: &Cell, names: &[String]) {
    match cell.variants {
        [first, .., last] => {
            for first_name in names.iter().filter(|name| name.ends_with(first.suffix)) {
                let base = first_name.trim_end_matches(first.suffix);
                finished.compare(&format!("{base}{}", last.suffix), first_name);
            }
        }
        _ => {
            let tsuji = Product::Tsuji.name();
            names.iter().filter(|name| *name != tsuji).for_each(|name| finished.compare(tsuji, name));
        }
    }
}

/// Figures of a run of requests.
pub fn per_request(run: &crate::figures::wrk::Run, used: crate::proc::Usage) -> Sample {
    let requests = run.requests.max(1) as f64;
    let mut sample = Sample::from([
        (Measure::CpuPerRequest, used.microseconds / requests),
        (Measure::Rate, run.requests as f64 / run.seconds),
        (Measure::LatencyP50, run.p50_us),
        (Measure::LatencyP99, run.p99_us),
        (Measure::Failures, run.failures as f64),
    ]);
    if let Some(user) = used.user_part() {
        sample.insert(Measure::UserPerRequest, used.microseconds * user / requests);
        sample.insert(Measure::SystemPerRequest, used.microseconds * (1.0 - user) / requests);
    }
    sample
}

//! The words after `--`.

use std::path::{PathBuf, absolute};

use clap::{CommandFactory, Parser};

use super::Failure;
use super::cells::{CELLS, Cell};
use super::figures::report::Buffers;
use super::products::{Contender, Product};

/// Measures Tsuji beside HAProxy and nginx.
#[derive(Debug, Parser)]
#[command(name = "proxy", version)]
pub struct Options {
    /// All cells, five rounds, system calls.
    #[arg(long)]
    full: bool,
    /// About a minute: fewer cells, three short rounds.
    #[arg(long)]
    quick: bool,
    /// All cells, and the figures of docs/performance.md are written anew.
    #[arg(long)]
    publish: bool,
    /// Rounds of each cell.
    #[arg(long)]
    rounds: Option<usize>,
    /// Length of each run.
    #[arg(long)]
    seconds: Option<u64>,
    /// Cells by the beginnings of their names, with commas.
    #[arg(long, value_delimiter = ',')]
    cells: Vec<String>,
    /// Products by name, with commas.
    #[arg(long, value_delimiter = ',')]
    products: Vec<String>,
    /// The Tsuji to measure; by default the one of this build.
    #[arg(long)]
    tsuji: Option<PathBuf>,
    /// Another Tsuji beside it, measured in the same rounds.
    #[arg(long, value_name = "NAME=PATH")]
    also: Vec<String>,
    /// The order of the runs; by default another one each time.
    #[arg(long)]
    seed: Option<u64>,
    /// HAProxy and nginx with buffers as an expert sets them for large bodies, instead of their default ones.
    #[arg(long)]
    tuned: bool,
    /// Count system calls too, as the full form does.
    #[arg(long)]
    syscalls: bool,
    /// Write everything that was measured.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the chart.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is to be done.
pub struct Plan {
    pub cells: Vec<Cell>,
    pub contenders: Vec<Contender>,
    pub rounds: usize,
    pub seconds: u64,
    /// Of cells where a few percent count.
    pub precise_rounds: usize,
    pub precise_seconds: u64,
    pub buffers: Buffers,
    pub seed: u64,
    pub syscalls: bool,
    pub json: Option<PathBuf>,
    pub svg: Option<PathBuf>,
}

impl Plan {
    pub fn rounds_of(&self, cell: &Cell) -> usize {
        if cell.precise { self.precise_rounds } else { self.rounds }
    }

    pub fn seconds_of(&self, cell: &Cell) -> u64 {
        if cell.precise { self.precise_seconds } else { self.seconds }
    }
}

/// Whether one of the words is an option of ours. Benches and tests of everything start us with words for others.
pub fn is_meant(words: &[String]) -> bool {
    let command = Options::command();
    let ours: Vec<&str> = command.get_arguments().filter_map(|argument| argument.get_long()).collect();
    let is_ours = |word: &String| {
        let name = word.strip_prefix("--").map(|word| word.split('=').next().unwrap_or(word));
        name.is_some_and(|name| ours.contains(&name) && name != "bench" || name == "help")
    };
    words.iter().any(is_ours)
}

impl Options {
    pub fn plan(self) -> Result<Plan, Failure> {
        let quick = self.quick;
        let is_whole =
            self.cells.is_empty() && self.products.is_empty() && self.also.is_empty() && !quick && !self.tuned;
        if self.publish && !is_whole {
            eprintln!("published figures are of all cells and products with default buffers: they stay as they are");
        }
        let published = |name: &str| {
            let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/figures"));
            (self.publish && is_whole).then(|| directory.join(name))
        };
        Ok(Plan {
            cells: self.cells()?,
            contenders: self.contenders()?,
            rounds: self.rounds.unwrap_or(if quick { 3 } else { 5 }).max(1),
            seconds: self.seconds.unwrap_or(if quick { 1 } else { 3 }).max(1),
            precise_rounds: self.rounds.unwrap_or(if quick { 3 } else { 9 }).max(1),
            precise_seconds: self.seconds.unwrap_or(2).max(1),
            buffers: if self.tuned { Buffers::Tuned } else { Buffers::Default },
            seed: self.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000)),
            syscalls: self.syscalls || !quick,
            json: self.json.clone().or_else(|| published("proxy.json")),
            svg: self.svg.clone().or_else(|| published("proxy.svg")),
        })
    }

    fn cells(&self) -> Result<Vec<Cell>, Failure> {
        let names: Vec<&str> = CELLS.iter().map(|cell| cell.name).collect();
        if let Some(unknown) = self.cells.iter().find(|&word| !names.iter().any(|name| name.starts_with(word.as_str())))
        {
            return Err(format!("no cell is called {unknown}; there are {}", names.join(", ")).into());
        }
        let named = |cell: &Cell| self.cells.iter().any(|word| cell.name.starts_with(word.as_str()));
        let is_wanted = |cell: &Cell| if self.cells.is_empty() { !self.quick || cell.quick } else { named(cell) };
        Ok(CELLS.into_iter().filter(is_wanted).collect())
    }

    /// Tsuji first, then its other versions, then the peers.
    fn contenders(&self) -> Result<Vec<Contender>, Failure> {
        let known = Product::ALL.map(Product::name);
        if let Some(unknown) = self.products.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("no product is called {unknown}; there are {}", known.join(", ")).into());
        }
        let wanted =
            |product: &Product| self.products.is_empty() || self.products.iter().any(|name| name == product.name());
        let mut contenders = Vec::new();
        for product in Product::ALL.into_iter().filter(wanted) {
            let binary = match product {
                Product::Tsuji => match &self.tsuji {
                    Some(path) => absolute(path)?,
                    None => env!("CARGO_BIN_EXE_tsuji").into(),
                },
                Product::HaProxy | Product::Nginx => product.name().into(),
            };
            contenders.push(Contender { name: product.name().to_owned(), product, binary });
            if product == Product::Tsuji {
                contenders.append(&mut self.others()?);
            }
        }
        Ok(contenders)
    }

    fn others(&self) -> Result<Vec<Contender>, Failure> {
        let other = |word: &String| {
            let (name, path) = word.split_once('=').ok_or_else(|| format!("--also {word}: NAME=PATH is wanted"))?;
            Ok(Contender { name: name.to_owned(), product: Product::Tsuji, binary: absolute(path)? })
        };
        self.also.iter().map(other).collect()
    }
}

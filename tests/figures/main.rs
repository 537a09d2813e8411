//! The figures of `benches/proxy`: from what programs print to the table and the chart.

// The bench uses what no test needs to ask for.
#[allow(dead_code)]
#[path = "../../benches/proxy/figures/mod.rs"]
mod figures;

mod numbers;
mod printed;
mod shown;

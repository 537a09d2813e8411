//! The pure parts of `benches/proxy`: configurations, and the way from what programs print to the table and the chart.

// The bench uses what no test needs to ask for.
#[allow(dead_code)]
#[path = "../../benches/proxy/figures/mod.rs"]
mod figures;

#[path = "../../benches/proxy/configuration.rs"]
mod configuration;
#[path = "../support/tools.rs"]
mod tools;

mod configurations;
mod numbers;
mod printed;
mod shown;
